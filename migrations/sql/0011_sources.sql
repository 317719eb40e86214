-- How a stored document came: webhook (the platform sent it), fetch (asked for because of an event), poll.
ALTER TABLE deliveries ADD COLUMN via TEXT NOT NULL DEFAULT 'webhook';
ALTER TABLE deliveries ADD COLUMN origin TEXT; -- JSON: the event that a fetched document was asked for
CREATE INDEX deliveries_to_prune ON deliveries (received_at) WHERE state = 'mapped';

-- Deliveries that no secret of their source had signed: bounded, for a person who mends the secret.
CREATE TABLE quarantine (
    id TEXT NOT NULL PRIMARY KEY, -- a digest of source, headers and bytes: the same delivery is kept once
    source TEXT NOT NULL,
    method TEXT NOT NULL,
    query TEXT,
    headers TEXT NOT NULL,
    body {bytes} NOT NULL,
    size BIGINT NOT NULL, -- bytes of headers and body
    reason TEXT NOT NULL,
    received_at BIGINT NOT NULL
) {plain};

CREATE INDEX quarantine_of_source ON quarantine (source, received_at, id);

-- Secrets and credentials that were given to the running service, sealed under the operator's key.
CREATE TABLE source_secrets (
    source TEXT NOT NULL,
    kind TEXT NOT NULL, -- secret, credential
    name TEXT NOT NULL,
    sealed {bytes} NOT NULL,
    valid_from BIGINT,
    valid_until BIGINT,
    added_at BIGINT NOT NULL,
    PRIMARY KEY (source, kind, name)
) {clustered};

-- What is known of each source.
CREATE TABLE source_state (
    source TEXT NOT NULL PRIMARY KEY,
    last_delivery_at BIGINT,
    longest_gap BIGINT NOT NULL DEFAULT 0, -- between two deliveries; one that raised an alert counts as long as was allowed
    next_fetch_at BIGINT NOT NULL DEFAULT 0, -- the rate limit, by the wall clock
    polled_until BIGINT,
    next_poll_at BIGINT NOT NULL DEFAULT 0,
    poll_failures BIGINT NOT NULL DEFAULT 0,
    last_error TEXT
) {plain};

-- Thin events whose rest must be asked from the platform.
CREATE TABLE fetches (
    source TEXT NOT NULL,
    id TEXT NOT NULL, -- the event's own id
    delivery TEXT NOT NULL,
    origin TEXT NOT NULL, -- JSON: the event and what was read of it
    state TEXT NOT NULL, -- waiting, done, parked
    tries BIGINT NOT NULL,
    next_try_at BIGINT NOT NULL, -- by the wall clock
    last_error TEXT,
    PRIMARY KEY (source, id)
) {clustered};

CREATE INDEX fetches_due ON fetches (source, next_try_at) WHERE state = 'waiting';

-- What a person should look at: raised once, cleared when it is over.
CREATE TABLE alerts (
    id {id},
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    raised_at BIGINT NOT NULL,
    cleared_at BIGINT
) {plain};

CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE cleared_at IS NULL;
