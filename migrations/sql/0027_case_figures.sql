-- What each case adds to the figures, in rows instead of a JSON text: the cases behind a figure can be found.
CREATE TABLE case_figures (
    customer TEXT NOT NULL,
    case_id TEXT NOT NULL,
    number BIGINT NOT NULL, -- of its cells, in their order
    day BIGINT NOT NULL,
    agent TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    currency TEXT NOT NULL,
    bucket TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    unknown_costs BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    other_cost_nanos BIGINT NOT NULL,
    outcomes BIGINT NOT NULL,
    case_cost_nanos BIGINT NOT NULL, -- of the whole case, the same in each of its rows: the dearest come first
    PRIMARY KEY (customer, case_id, number)
) {clustered};
CREATE INDEX case_figures_by_day ON case_figures (bucket, day, customer, case_id);
CREATE INDEX case_figures_by_cost ON case_figures (bucket, case_cost_nanos, customer, case_id, day);

-- 0026 left the case's part of the daily figures empty and has all cases judged again: that fills both. Whoever judged some
-- between the two has them emptied and judged once more.
DELETE FROM daily_figures WHERE bucket <> 'revenue';
INSERT INTO cases_to_judge (customer, case_id)
SELECT customer, case_id FROM cases WHERE contribution <> '[]' ORDER BY customer, case_id;
ALTER TABLE cases DROP COLUMN contribution;

-- The same sums, coarser: each level leaves some of the columns out (they are empty) and has the buckets side by side; a row spans
-- so many days. They grow with days, not with traffic, and most are read for all customers at once: hence the order of the key.
CREATE TABLE figures_by_level (
    level TEXT NOT NULL,
    days BIGINT NOT NULL,
    day BIGINT NOT NULL, -- the first of them
    customer TEXT NOT NULL,
    agent TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    currency TEXT NOT NULL,
    pending_attempts BIGINT NOT NULL,
    pending_unknown_costs BIGINT NOT NULL,
    pending_cost_nanos BIGINT NOT NULL,
    pending_other_cost_nanos BIGINT NOT NULL,
    pending_outcomes BIGINT NOT NULL,
    won_attempts BIGINT NOT NULL,
    won_unknown_costs BIGINT NOT NULL,
    won_cost_nanos BIGINT NOT NULL,
    won_other_cost_nanos BIGINT NOT NULL,
    retry_attempts BIGINT NOT NULL,
    retry_unknown_costs BIGINT NOT NULL,
    retry_cost_nanos BIGINT NOT NULL,
    retry_other_cost_nanos BIGINT NOT NULL,
    free_attempts BIGINT NOT NULL,
    free_unknown_costs BIGINT NOT NULL,
    free_cost_nanos BIGINT NOT NULL,
    free_other_cost_nanos BIGINT NOT NULL,
    lost_attempts BIGINT NOT NULL,
    lost_unknown_costs BIGINT NOT NULL,
    lost_cost_nanos BIGINT NOT NULL,
    lost_other_cost_nanos BIGINT NOT NULL,
    confirmed_outcomes BIGINT NOT NULL,
    assumed_outcomes BIGINT NOT NULL,
    failed_outcomes BIGINT NOT NULL,
    void_outcomes BIGINT NOT NULL,
    revenue_nanos BIGINT NOT NULL,
    PRIMARY KEY (level, days, day, customer, agent, provider, model, action, reason, currency)
) {clustered} {hot};
CREATE INDEX figures_by_level_of_customer ON figures_by_level (customer, level, days, day);

-- Revenue stays as it is, so the levels have it from the beginning.
INSERT INTO figures_by_level
SELECT l.level, l.days, f.day - ((f.day % l.days) + l.days) % l.days,
       CASE WHEN l.customer = 1 THEN f.customer ELSE '' END,
       CASE WHEN l.agent = 1 THEN f.agent ELSE '' END,
       CASE WHEN l.provider = 1 THEN f.provider ELSE '' END,
       CASE WHEN l.model = 1 THEN f.model ELSE '' END,
       CASE WHEN l.action = 1 THEN f.action ELSE '' END,
       CASE WHEN l.reason = 1 THEN f.reason ELSE '' END,
       f.currency, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
       CAST(SUM(f.revenue_nanos) AS BIGINT)
FROM daily_figures f CROSS JOIN (
    SELECT 'what' AS level, 1 AS days, 0 AS customer, 1 AS agent, 1 AS provider, 1 AS model, 1 AS action, 0 AS reason
    UNION ALL SELECT 'what', 7, 0, 1, 1, 1, 1, 0
    UNION ALL SELECT 'why', 1, 0, 1, 1, 1, 1, 1
    UNION ALL SELECT 'why', 7, 0, 1, 1, 1, 1, 1
    UNION ALL SELECT 'customer', 1, 1, 0, 0, 0, 0, 0
    UNION ALL SELECT 'customer', 7, 1, 0, 0, 0, 0, 0
    UNION ALL SELECT 'customer', 1000000, 1, 0, 0, 0, 0, 0
    UNION ALL SELECT 'customer_agent', 1, 1, 1, 0, 0, 0, 0
    UNION ALL SELECT 'customer_agent', 7, 1, 1, 0, 0, 0, 0
    UNION ALL SELECT 'customer_action', 1, 1, 0, 0, 0, 1, 0
    UNION ALL SELECT 'customer_action', 7, 1, 0, 0, 0, 1, 0
    UNION ALL SELECT 'customer_model', 1, 1, 0, 1, 1, 0, 0
    UNION ALL SELECT 'customer_model', 7, 1, 0, 1, 1, 0, 0
    UNION ALL SELECT 'customer_model', 1000000, 1, 0, 1, 1, 0, 0
) AS l
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
