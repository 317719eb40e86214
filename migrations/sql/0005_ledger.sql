-- The ledger of outcomes: append-only. A row that late facts refute is reversed by a later row.
CREATE TABLE outcomes (
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    episode TEXT NOT NULL,
    kind TEXT NOT NULL, -- charge, void, correction
    sign BIGINT NOT NULL,
    win TEXT NOT NULL, -- confirmed, assumed
    action TEXT NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    effective_at BIGINT NOT NULL,
    reason TEXT,
    reverses BIGINT,
    facts TEXT NOT NULL, -- JSON: the ids of the facts that decided
    posted_at BIGINT NOT NULL,
    PRIMARY KEY (customer, case_id, seq)
) {clustered};

-- Outcomes that have no price yet. Appended in the transaction of the outcome, taken by the rating step.
CREATE TABLE outcomes_to_rate (
    id {id},
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    seq BIGINT NOT NULL
) {plain};

-- The price of each outcome, one to one: append-only but for the invoice that it goes on.
CREATE TABLE charges (
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    action TEXT NOT NULL,
    win TEXT NOT NULL,
    sign BIGINT NOT NULL,
    contract_version BIGINT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    currency TEXT NOT NULL,
    effective_at BIGINT NOT NULL,
    rated_at BIGINT NOT NULL,
    invoice_id TEXT,
    PRIMARY KEY (customer, case_id, seq)
) {clustered} {hot};

CREATE INDEX charges_to_invoice ON charges (customer, effective_at) WHERE invoice_id IS NULL;
CREATE INDEX charges_of_invoice ON charges (invoice_id) WHERE invoice_id IS NOT NULL;
