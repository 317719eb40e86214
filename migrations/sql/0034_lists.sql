-- Lists for people, in pages: each is read along an index from where the page before ended (docs/adr/0032-lists-in-pages.md).

-- The last judged first: of a verdict, of a customer, of both. A list of all verdicts is the few of them, merged.
CREATE INDEX cases_by_verdict ON cases (verdict, judged_at, customer, case_id);
CREATE INDEX cases_of_customer ON cases (customer, verdict, judged_at, case_id);
-- By the beginning of their ids, byte by byte whatever the order of the database: only so are those of a beginning together.
CREATE INDEX cases_by_id ON cases (case_id{bytewise}, customer{bytewise});

CREATE INDEX invoices_by_period ON invoices (period_start DESC, id);

-- A batch that cannot be read is parked at one moment.
DROP INDEX parked_open;
CREATE INDEX parked_open ON parked (parked_at, id) WHERE replayed_at IS NULL;

CREATE INDEX alerts_standing ON alerts (id) WHERE cleared_at IS NULL;

CREATE INDEX quarantine_oldest ON quarantine (received_at, id);
