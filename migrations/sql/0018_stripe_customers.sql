-- What Stripe's customer was last given, so that a later invoice's changes reach it. Without a name: not known.
ALTER TABLE stripe_customers ADD COLUMN name TEXT;
ALTER TABLE stripe_customers ADD COLUMN email TEXT;
ALTER TABLE stripe_customers ADD COLUMN given_for BIGINT NOT NULL DEFAULT 0; -- the beginning of the invoice's period

-- While a customer has a parked errand, its others wait.
CREATE INDEX outbox_parked ON outbox (customer) WHERE state = 'parked';
