-- What a resolution says beside its kind, and what it rests on.
ALTER TABLE resolutions ADD COLUMN score BIGINT;
ALTER TABLE resolutions ADD COLUMN about TEXT; -- of a dispute: the episode; of a decision: the dispute
ALTER TABLE resolutions ADD COLUMN strength TEXT NOT NULL DEFAULT 'api'; -- signed, fetched, token, api, operator
ALTER TABLE resolutions ADD COLUMN author TEXT;
ALTER TABLE resolutions ADD COLUMN evidence TEXT; -- JSON: the delivery, the rule, the values that it looked at
-- Until now a webhook was signed, or it was not taken.
UPDATE resolutions SET strength = 'signed' WHERE id NOT LIKE 'api:%';
-- Disputes and their decisions, for who lists them.
CREATE INDEX disputes ON resolutions (customer, about, id) WHERE kind IN ('disputed', 'dispute_accepted', 'dispute_rejected');
