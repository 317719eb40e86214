-- What an outcome is worth, in the words of who reports it: for prices by a share of it.
ALTER TABLE attempts ADD COLUMN value_nanos BIGINT;
ALTER TABLE attempts ADD COLUMN value_currency TEXT;
ALTER TABLE attempts ADD COLUMN usage_estimated BIGINT NOT NULL DEFAULT 0; -- 1: the sender estimated the tokens
ALTER TABLE resolutions ADD COLUMN value_nanos BIGINT;
ALTER TABLE resolutions ADD COLUMN value_currency TEXT;
ALTER TABLE outcomes ADD COLUMN value_nanos BIGINT;
ALTER TABLE outcomes ADD COLUMN value_currency TEXT;
ALTER TABLE charges ADD COLUMN value_nanos BIGINT; -- with its sign; in the charge's currency
