-- What is to be added to the figures: noted by whoever changes them, in the transaction that does, and added up by a step of its
-- own a moment later. So few rows wait that they need no index by customer.
CREATE TABLE figures_to_add (
    id {id},
    customer TEXT NOT NULL,
    cells BIGINT NOT NULL, -- how many the differences are of
    differences TEXT NOT NULL, -- JSON: of each cell its columns, and what is added
    refused TEXT -- why it cannot be added, if it cannot: it waits for a person, and holds up no other
) {plain};

-- Calendar months beside days and weeks: what people ask for is one row, or three. Stored as 31 days, however long they are.
INSERT INTO figures_by_level
SELECT level, 31, {month}, customer, agent, provider, model, action, reason, currency,
       CAST(SUM(pending_attempts) AS BIGINT), CAST(SUM(pending_unknown_costs) AS BIGINT),
       CAST(SUM(pending_cost_nanos) AS BIGINT), CAST(SUM(pending_other_cost_nanos) AS BIGINT),
       CAST(SUM(pending_outcomes) AS BIGINT), CAST(SUM(won_attempts) AS BIGINT), CAST(SUM(won_unknown_costs) AS BIGINT),
       CAST(SUM(won_cost_nanos) AS BIGINT), CAST(SUM(won_other_cost_nanos) AS BIGINT), CAST(SUM(retry_attempts) AS BIGINT),
       CAST(SUM(retry_unknown_costs) AS BIGINT), CAST(SUM(retry_cost_nanos) AS BIGINT),
       CAST(SUM(retry_other_cost_nanos) AS BIGINT), CAST(SUM(free_attempts) AS BIGINT),
       CAST(SUM(free_unknown_costs) AS BIGINT), CAST(SUM(free_cost_nanos) AS BIGINT),
       CAST(SUM(free_other_cost_nanos) AS BIGINT), CAST(SUM(lost_attempts) AS BIGINT),
       CAST(SUM(lost_unknown_costs) AS BIGINT), CAST(SUM(lost_cost_nanos) AS BIGINT),
       CAST(SUM(lost_other_cost_nanos) AS BIGINT), CAST(SUM(confirmed_outcomes) AS BIGINT),
       CAST(SUM(assumed_outcomes) AS BIGINT), CAST(SUM(failed_outcomes) AS BIGINT), CAST(SUM(void_outcomes) AS BIGINT),
       CAST(SUM(revenue_nanos) AS BIGINT)
FROM figures_by_level WHERE days = 1
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;
