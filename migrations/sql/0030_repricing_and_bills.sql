-- Repricing: what a run under another price book posted beside the attempts, which stay as they were recorded.
CREATE TABLE repricings (
    id TEXT PRIMARY KEY, -- deterministic: of its number and its terms
    number BIGINT NOT NULL UNIQUE, -- 1, 2, 3 … in the order in which they began
    book TEXT NOT NULL,
    from_day BIGINT NOT NULL, -- UTC days of the attempts' ends, from 1970-01-01
    to_day BIGINT NOT NULL,
    provider TEXT, -- NULL: of all
    model TEXT,
    customer TEXT,
    only_unknown BIGINT NOT NULL,
    author TEXT NOT NULL,
    begun_at BIGINT NOT NULL,
    finished_at BIGINT, -- NULL: it runs, or was broken off and goes on when it is run again
    -- What it has posted so far, moved with each part of it.
    attempts BIGINT NOT NULL,
    newly_known BIGINT NOT NULL,
    difference_nanos BIGINT NOT NULL,
    currency TEXT NOT NULL
) {plain};

-- What an attempt's model cost is changed by. Only appended.
CREATE TABLE cost_changes (
    customer TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    repricing_id TEXT NOT NULL,
    difference_nanos BIGINT NOT NULL, -- of the attempt's cost_currency
    newly_known BIGINT NOT NULL, -- 1: it was unknown, and the difference is all of it
    price_source TEXT NOT NULL, -- where the cost now is from
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (customer, attempt_id, repricing_id)
) {clustered};

-- What a provider billed, as its exports said. Only appended: of the imports that tell of a day the newest counts.
CREATE TABLE provider_bills (
    id {id},
    provider TEXT NOT NULL,
    sha256 TEXT NOT NULL, -- of the file
    read_as TEXT NOT NULL, -- by which columns
    file TEXT NOT NULL, -- what it was called
    lines BIGINT NOT NULL,
    imported_by TEXT NOT NULL,
    imported_at BIGINT NOT NULL,
    UNIQUE (provider, sha256, read_as)
) {plain};

CREATE TABLE provider_bill_amounts (
    provider TEXT NOT NULL,
    day BIGINT NOT NULL, -- UTC, from 1970-01-01
    bill_id BIGINT NOT NULL,
    model TEXT NOT NULL, -- empty: of no model, or of all of them
    currency TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL, -- the sum of so many lines of the file; credits are negative
    lines BIGINT NOT NULL,
    PRIMARY KEY (provider, day, bill_id, model, currency)
) {clustered};
