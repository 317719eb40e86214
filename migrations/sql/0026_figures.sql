-- The daily figures, by action and provider too, and with the part of the cost that no model is paid for. Each case is judged
-- again, which adds its costs and outcomes anew; revenue is added here.
DROP TABLE daily_figures;
CREATE TABLE daily_figures (
    customer TEXT NOT NULL,
    day BIGINT NOT NULL, -- UTC, from 1970-01-01
    agent TEXT NOT NULL,
    provider TEXT NOT NULL, -- of attempts; `-` for outcomes and revenue
    model TEXT NOT NULL,
    action TEXT NOT NULL,
    currency TEXT NOT NULL,
    bucket TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    unknown_costs BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    other_cost_nanos BIGINT NOT NULL, -- of cost_nanos
    outcomes BIGINT NOT NULL,
    revenue_nanos BIGINT NOT NULL,
    PRIMARY KEY (customer, day, agent, provider, model, action, currency, bucket, reason)
) {clustered} {hot};

INSERT INTO daily_figures
SELECT customer, day, agent, '-', model, action, currency, 'revenue', '-', 0, 0, 0, 0, 0, CAST(SUM(nanos) AS BIGINT) FROM (
    SELECT c.customer AS customer, c.effective_at / 86400000000 AS day, o.agent AS agent, o.model AS model, c.action AS action,
           c.currency AS currency, c.amount_nanos AS nanos
    FROM charges c JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq
    UNION ALL
    SELECT p.customer, (p.end_at - 1) / 86400000000, '-', '-', '-',
           -- All that a customer is billed is in one currency.
           COALESCE((SELECT MIN(i.currency) FROM invoices i WHERE i.customer = p.customer),
                    (SELECT MIN(c.currency) FROM charges c WHERE c.customer = p.customer)), p.beyond_list_nanos
    FROM periods p WHERE p.beyond_list_nanos <> 0
) AS revenue GROUP BY customer, day, agent, model, action, currency;

UPDATE cases SET contribution = '[]';
INSERT INTO cases_to_judge (customer, case_id) SELECT customer, case_id FROM cases ORDER BY customer, case_id;
