-- How often the figures have changed: who shows them looks here whether to look again. A row for each step that posts figures, so
-- that no step waits for another here.
CREATE TABLE figure_changes (
    step TEXT NOT NULL PRIMARY KEY,
    changes BIGINT NOT NULL
) {plain} {hot};
