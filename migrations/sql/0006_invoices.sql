CREATE TABLE invoices (
    id TEXT NOT NULL PRIMARY KEY, -- customer and beginning of the period: one invoice a period, for ever
    customer TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    bill_to TEXT NOT NULL, -- JSON
    drafted_at BIGINT NOT NULL,
    stripe_invoice TEXT,
    stripe_status TEXT,
    UNIQUE (customer, period_start)
) {plain};

CREATE TABLE invoice_lines (
    invoice_id TEXT NOT NULL REFERENCES invoices (id),
    number BIGINT NOT NULL,
    action TEXT NOT NULL,
    win TEXT NOT NULL,
    contract_version BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (invoice_id, number)
) {plain};

-- Which of Stripe's customers is ours. Written as soon as Stripe has answered.
CREATE TABLE stripe_customers (
    customer TEXT NOT NULL PRIMARY KEY,
    stripe_customer TEXT NOT NULL
) {plain};

-- What must reach another system. Written in the transaction that decides it, under a deterministic id.
CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY, -- push:INVOICE
    invoice_id TEXT NOT NULL,
    state TEXT NOT NULL, -- waiting, done, parked
    tries BIGINT NOT NULL,
    next_try_at BIGINT NOT NULL, -- by the wall clock, not the test clock
    first_tried_at BIGINT,
    last_error TEXT
) {plain};

CREATE INDEX outbox_due ON outbox (next_try_at) WHERE state = 'waiting';
