CREATE TABLE api_keys (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL, -- SHA-256 of 256 random bits
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
) {plain};

-- Logins to the pages.
CREATE TABLE sessions (
    token_hash TEXT NOT NULL PRIMARY KEY,
    key_id TEXT NOT NULL REFERENCES api_keys (id),
    expires_at BIGINT NOT NULL
) {plain};

-- Small things that outlive a restart, such as the test clock's time.
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) {plain};
