-- What changed of a period: a row of the ledger that was priced; NULL: its contract changed, and all of it must be looked at.
ALTER TABLE periods_to_allot ADD COLUMN case_id TEXT;
ALTER TABLE periods_to_allot ADD COLUMN seq BIGINT;

-- What was said of a period's outcomes at the last look (JSON), so that a change need not look at all of them again. It is right
-- together with the marks that wait: both change in one transaction.
CREATE TABLE allotments (
    customer TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (customer, period_start)
) {plain};
