-- The charges behind revenue, the last ones first: of all customers, and of one.
CREATE INDEX charges_by_day ON charges (effective_at, customer, case_id);
CREATE INDEX charges_of_customer_by_day ON charges (customer, effective_at, case_id);
-- Since 0025 nothing asks for it any more.
DROP INDEX charges_to_invoice;
