-- Daily figures: the sum of what all cases contribute and of all charges, moved by differences.
CREATE TABLE daily_figures (
    customer TEXT NOT NULL,
    day BIGINT NOT NULL, -- UTC, from 1970-01-01
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    currency TEXT NOT NULL,
    bucket TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    unknown_costs BIGINT NOT NULL,
    cost_nanos BIGINT NOT NULL,
    outcomes BIGINT NOT NULL,
    revenue_nanos BIGINT NOT NULL,
    PRIMARY KEY (customer, day, agent, model, currency, bucket, reason)
) {clustered} {hot};
