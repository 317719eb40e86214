-- What attempts of resolved cases cost that are not charged is a bucket of its own, and what is lost has finer causes: each case is
-- judged again, which moves its figures.
INSERT INTO cases_to_judge (customer, case_id) SELECT customer, case_id FROM cases ORDER BY customer, case_id;
