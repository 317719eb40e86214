-- Each row of the ledger, each charge and each document has its place in a chain, and a link that binds it to all rows
-- before it (docs/EVIDENCE.md). NULL: older than the chain, or a draft, which gets its place when it becomes final.
ALTER TABLE outcomes ADD COLUMN position BIGINT;
ALTER TABLE outcomes ADD COLUMN link TEXT;
ALTER TABLE charges ADD COLUMN position BIGINT;
ALTER TABLE charges ADD COLUMN link TEXT;
ALTER TABLE invoices ADD COLUMN position BIGINT;
ALTER TABLE invoices ADD COLUMN link TEXT;
ALTER TABLE invoices ADD COLUMN charges_digest TEXT; -- of the charges that were on it when it was recorded
ALTER TABLE invoices ADD COLUMN usage_digest TEXT; -- of the usage

CREATE UNIQUE INDEX outcomes_chain ON outcomes (position);
CREATE UNIQUE INDEX charges_chain ON charges (position);
CREATE UNIQUE INDEX invoices_chain ON invoices (position);

-- The charges of an invoice are read in the order of the chain.
DROP INDEX charges_of_invoice;
CREATE INDEX charges_of_invoice ON charges (invoice_id, position) WHERE invoice_id IS NOT NULL;
DROP INDEX usage_of_invoice;
CREATE INDEX usage_of_invoice ON usage (invoice_id, attempt_id) WHERE invoice_id IS NOT NULL;

-- The last place and link of each chain.
CREATE TABLE chains (
    name TEXT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    link TEXT NOT NULL,
    unlinked BIGINT NOT NULL -- how many rows are older than the chain
) {plain};

INSERT INTO chains (name, position, link, unlinked)
    SELECT 'outcomes', 0, '0000000000000000000000000000000000000000000000000000000000000000', COUNT(*) FROM outcomes;
INSERT INTO chains (name, position, link, unlinked)
    SELECT 'charges', 0, '0000000000000000000000000000000000000000000000000000000000000000', COUNT(*) FROM charges;
INSERT INTO chains (name, position, link, unlinked)
    SELECT 'invoices', 0, '0000000000000000000000000000000000000000000000000000000000000000', COUNT(*) FROM invoices WHERE state <> 'draft';

-- The digest of a delivery's body outlives its bytes. NULL: older than this.
ALTER TABLE deliveries ADD COLUMN body_sha256 TEXT;
