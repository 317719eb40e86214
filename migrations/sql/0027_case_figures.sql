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
