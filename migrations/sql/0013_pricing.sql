-- The origin of a charge: its effective time, and for what reverses a row, that row's origin. It names the period whose
-- price it changes.
ALTER TABLE charges ADD COLUMN origin_at BIGINT NOT NULL DEFAULT 0;
UPDATE charges SET origin_at = effective_at;
CREATE INDEX charges_by_origin ON charges (customer, origin_at);

-- What a line is for, which period it is about, and how its amount came to be.
ALTER TABLE invoice_lines ADD COLUMN period_start BIGINT NOT NULL DEFAULT 0;
ALTER TABLE invoice_lines ADD COLUMN item TEXT NOT NULL DEFAULT 'outcomes';
ALTER TABLE invoice_lines ADD COLUMN why TEXT NOT NULL DEFAULT '';
UPDATE invoice_lines SET period_start = (SELECT i.period_start FROM invoices i WHERE i.id = invoice_lines.invoice_id);
