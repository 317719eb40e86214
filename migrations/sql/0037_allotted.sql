-- What changed of a period: a row of the ledger that was priced; NULL: its contract changed, and all of it must be looked at.
ALTER TABLE periods_to_allot ADD COLUMN case_id TEXT;
ALTER TABLE periods_to_allot ADD COLUMN seq BIGINT;

-- An outcome whose price is 0 is free, too: what was billed so far under contracts with a zero in an amount, or with a share of a value
-- that may be 0, is looked at once.
INSERT INTO periods_to_allot (customer, at) SELECT p.customer, p.start_at FROM periods p
    WHERE EXISTS (SELECT 1 FROM contracts c WHERE c.customer = p.customer
        AND (c.body LIKE '%amount":"0%' OR c.body LIKE '%"share":"%'))
    ORDER BY p.customer, p.start_at;

-- What was said of a period's outcomes at the last look (JSON), so that a change need not look at all of them again. It is right
-- together with the marks that wait: both change in one transaction.
CREATE TABLE allotments (
    customer TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (customer, period_start)
) {plain};
