-- Invoices have a life of their own (drafted, approved, final), and credit notes stand beside them. A period still has one
-- invoice: its id says so; the constraint on the period made way for credit notes.
CREATE TABLE documents (
    id TEXT NOT NULL PRIMARY KEY, -- of an invoice: customer and beginning of the period; of a credit note: that, and what it corrects
    kind TEXT NOT NULL, -- invoice, credit_note
    customer TEXT NOT NULL,
    period_start BIGINT NOT NULL, -- the period that was closed when it was drafted
    period_end BIGINT NOT NULL,
    corrects TEXT, -- of a credit note: the invoice
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL, -- of a credit note: what it takes off, as a negative number
    bill_to TEXT NOT NULL, -- JSON
    terms TEXT NOT NULL, -- JSON: what Stripe is told
    drafted_at BIGINT NOT NULL,
    state TEXT NOT NULL, -- draft (waits for approval), final, shadow (never charged)
    approved_at BIGINT,
    approved_by TEXT,
    stripe_id TEXT,
    stripe_status TEXT
) {plain};

CREATE TABLE document_lines (
    document_id TEXT NOT NULL REFERENCES documents (id),
    number BIGINT NOT NULL,
    period_start BIGINT NOT NULL,
    item TEXT NOT NULL,
    action TEXT NOT NULL,
    win TEXT NOT NULL,
    contract_version BIGINT NOT NULL,
    quantity BIGINT NOT NULL,
    amount_nanos BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (document_id, number)
) {plain};

INSERT INTO documents (id, kind, customer, period_start, period_end, currency, total_minor, bill_to, terms, drafted_at, state, stripe_id, stripe_status)
    SELECT id, 'invoice', customer, period_start, period_end, currency, total_minor, bill_to, '{}', drafted_at, 'final', stripe_invoice, stripe_status FROM invoices;
INSERT INTO document_lines (document_id, number, period_start, item, action, win, contract_version, quantity, amount_nanos, amount_minor, why)
    SELECT invoice_id, number, period_start, item, action, win, contract_version, quantity, amount_nanos, amount_minor, why FROM invoice_lines;
DROP TABLE invoice_lines;
DROP TABLE invoices;
ALTER TABLE documents RENAME TO invoices;
ALTER TABLE document_lines RENAME TO invoice_lines;
ALTER TABLE invoice_lines RENAME COLUMN document_id TO invoice_id;

CREATE INDEX invoices_of_customer ON invoices (customer, period_start);
CREATE INDEX invoices_corrected ON invoices (corrects) WHERE corrects IS NOT NULL;
CREATE INDEX invoice_lines_of_period ON invoice_lines (period_start);

-- What must reach Stripe is of some sort, and about a customer.
ALTER TABLE outbox ADD COLUMN customer TEXT NOT NULL DEFAULT '';
UPDATE outbox SET customer = COALESCE((SELECT i.customer FROM invoices i WHERE i.id = outbox.invoice_id), '');
ALTER TABLE outbox ADD COLUMN sort TEXT NOT NULL DEFAULT 'invoice'; -- invoice, credit_note, …
