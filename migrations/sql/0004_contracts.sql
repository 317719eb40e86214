CREATE TABLE contracts (
    customer TEXT NOT NULL,
    version BIGINT NOT NULL,
    effective_from BIGINT NOT NULL,
    body TEXT NOT NULL, -- JSON
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (customer, version)
) {clustered};

-- Billing periods: half-open, resolved from the contract's time zone once, when opened.
CREATE TABLE periods (
    customer TEXT NOT NULL,
    start_at BIGINT NOT NULL,
    end_at BIGINT NOT NULL,
    closes_at BIGINT NOT NULL, -- end plus grace
    contract_version BIGINT NOT NULL,
    judge_mark BIGINT, -- the last mark in cases_to_judge that it waits for
    rate_mark BIGINT, -- the last mark in outcomes_to_rate that it waits for
    closed_at BIGINT,
    PRIMARY KEY (customer, start_at)
) {clustered};

CREATE INDEX periods_to_close ON periods (closes_at) WHERE closed_at IS NULL;
