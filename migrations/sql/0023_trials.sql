-- Whether a period was closed as a trial, and by how much its lines differ from the list prices of its outcomes: that much is
-- posted as revenue beside the charges.
ALTER TABLE periods ADD COLUMN trial BIGINT NOT NULL DEFAULT 0;
ALTER TABLE periods ADD COLUMN beyond_list_nanos BIGINT NOT NULL DEFAULT 0;
UPDATE periods SET beyond_list_nanos =
    COALESCE((SELECT SUM(l.amount_nanos) FROM invoices i JOIN invoice_lines l ON l.invoice_id = i.id
              WHERE i.customer = periods.customer AND l.period_start = periods.start_at), 0)
    - COALESCE((SELECT SUM(c.amount_nanos) FROM charges c WHERE c.customer = periods.customer AND c.invoice_id IS NOT NULL
                AND c.origin_at >= periods.start_at AND c.origin_at < periods.end_at), 0)
    WHERE closed_at IS NOT NULL;

-- What waits for a person.
CREATE INDEX invoices_to_approve ON invoices (customer) WHERE state = 'draft';
