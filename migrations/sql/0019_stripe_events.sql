-- What Stripe tells. An event is only a hint to look: its object is asked for, and what Stripe says then is written.
CREATE TABLE stripe_events (
    id TEXT NOT NULL PRIMARY KEY, -- Stripe's: stored once, for ever
    type TEXT NOT NULL,
    object TEXT NOT NULL, -- the id of what it is about, empty if it has none
    livemode BIGINT NOT NULL,
    body {bytes} NOT NULL,
    received_at BIGINT NOT NULL, -- by the wall clock, as all times here
    state TEXT NOT NULL, -- received, applied, ignored, parked
    tries BIGINT NOT NULL,
    next_try_at BIGINT NOT NULL,
    reason TEXT
) {plain};

CREATE INDEX stripe_events_due ON stripe_events (next_try_at) WHERE state = 'received';
CREATE INDEX stripe_events_of_object ON stripe_events (object, type);

-- How often an object was looked at. Who began to look last has the newest answer: only that one is written.
CREATE TABLE stripe_looks (
    object TEXT NOT NULL PRIMARY KEY,
    looks BIGINT NOT NULL
) {plain};

-- What Stripe said of an invoice when it was asked last.
ALTER TABLE invoices ADD COLUMN stripe_paid_minor BIGINT;
ALTER TABLE invoices ADD COLUMN stripe_remaining_minor BIGINT;
ALTER TABLE invoices ADD COLUMN stripe_checked_at BIGINT;
CREATE INDEX invoices_at_stripe ON invoices (stripe_id) WHERE stripe_id IS NOT NULL;

-- A customer that was deleted at Stripe stays ours until a person links another.
ALTER TABLE stripe_customers ADD COLUMN deleted_at BIGINT;
CREATE INDEX stripe_customers_by_theirs ON stripe_customers (stripe_customer);
