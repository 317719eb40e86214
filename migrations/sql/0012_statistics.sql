-- SQLite knows nothing of how many rows a customer has and takes ten for granted: then it reads all attempts of a
-- customer to find those of one case. So it is told. (PostgreSQL counts for itself.)
{sqlite} ANALYZE sqlite_schema;
{sqlite} INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('attempts', 'attempts', '1000000 100000 1'), ('attempts', 'attempts_of_case', '1000000 100000 2'), ('resolutions', 'resolutions', '1000000 100000 1'), ('resolutions', 'resolutions_of_case', '1000000 100000 2');
{sqlite} ANALYZE sqlite_schema;
