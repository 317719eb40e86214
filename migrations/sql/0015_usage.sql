-- Attempts that their contract charges at cost and a mark-up: one row an attempt, append-only but for the invoice.
CREATE TABLE usage (
    customer TEXT NOT NULL,
    attempt_id TEXT NOT NULL,
    action TEXT NOT NULL,
    contract_version BIGINT NOT NULL,
    at BIGINT NOT NULL, -- when the attempt ended
    cost_nanos BIGINT, -- of the model; NULL: unknown, or in another currency than the contract's
    estimated BIGINT NOT NULL,
    price_source TEXT,
    recorded_at BIGINT NOT NULL,
    invoice_id TEXT,
    PRIMARY KEY (customer, attempt_id)
) {clustered} {hot};

CREATE INDEX usage_to_invoice ON usage (customer, at) WHERE invoice_id IS NULL;
CREATE INDEX usage_by_time ON usage (customer, at);
CREATE INDEX usage_of_invoice ON usage (invoice_id) WHERE invoice_id IS NOT NULL;

-- Prepaid credits: what was granted. What is drawn of them are lines of invoices.
CREATE TABLE grants (
    customer TEXT NOT NULL,
    id TEXT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    currency TEXT NOT NULL,
    effective_at BIGINT NOT NULL,
    expires_at BIGINT,
    note TEXT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (customer, id)
) {clustered};
