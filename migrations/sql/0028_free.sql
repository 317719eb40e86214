-- Why an outcome is not billed although it is charged at its list price: `trial`, `included`, `cap`; NULL where it is billed. What is
-- in a trial counts no revenue. No link covers it: it moves with the period's other outcomes.
ALTER TABLE charges ADD COLUMN free TEXT;
CREATE INDEX charges_free ON charges (customer, origin_at) WHERE free IS NOT NULL;

-- Periods of which it must be told anew which outcomes are free, each by a moment in it. Appended in the transaction of what
-- changed them, taken by the step that tells.
CREATE TABLE periods_to_allot (
    id {id},
    customer TEXT NOT NULL,
    at BIGINT NOT NULL
) {plain};
CREATE INDEX periods_to_allot_of_customer ON periods_to_allot (customer);

INSERT INTO periods_to_allot (customer, at) SELECT p.customer, p.start_at FROM periods p
    WHERE p.trial = 1 OR EXISTS (SELECT 1 FROM contracts c WHERE c.customer = p.customer
        AND (c.body LIKE '%"cap":%' OR c.body LIKE '%"included":%' OR c.body LIKE '%"shadow":true%'))
    ORDER BY p.customer, p.start_at;
