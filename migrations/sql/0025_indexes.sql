-- What was priced late for a period: found without reading all that is invoiced.
CREATE INDEX charges_to_invoice_by_origin ON charges (customer, origin_at) WHERE invoice_id IS NULL;
