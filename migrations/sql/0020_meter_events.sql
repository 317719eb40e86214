-- What Stripe's meters are told, for customers whose subscription there bills them: one event for each settled outcome,
-- written in the transaction of its charge.
CREATE TABLE meter_events (
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    seq BIGINT NOT NULL, -- which row of the case's ledger; with customer and case it makes the identifier at Stripe
    name TEXT NOT NULL, -- of the meter event
    at BIGINT NOT NULL, -- when the outcome takes effect
    wanted BIGINT NOT NULL, -- 0: the outcome was taken back
    state TEXT NOT NULL, -- unlinked (no customer at Stripe yet), owed, sent, cancelled, parked
    sent_at BIGINT, -- the earliest moment at which Stripe may have had it, by the wall clock
    unsure_since BIGINT, -- the first try of what is being done whose end is not known
    tries BIGINT NOT NULL,
    next_try_at BIGINT NOT NULL, -- by the wall clock
    reason TEXT,
    PRIMARY KEY (customer, case_id, seq)
) {clustered} {hot};

CREATE INDEX meter_events_due ON meter_events (next_try_at) WHERE state = 'owed' OR (state = 'sent' AND wanted = 0);
CREATE INDEX meter_events_unlinked ON meter_events (customer) WHERE state = 'unlinked';
