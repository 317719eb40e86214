-- Attempts: facts, recorded once for ever. Times are UTC microseconds, money is nanos of cost_currency.
CREATE TABLE attempts (
    customer TEXT NOT NULL,
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    action TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens BIGINT,
    cached_input_tokens BIGINT,
    cache_write_tokens BIGINT,
    output_tokens BIGINT,
    reasoning_tokens BIGINT,
    status TEXT NOT NULL,
    failure_reason TEXT,
    model_cost_nanos BIGINT, -- NULL: nobody knows
    other_cost_nanos BIGINT NOT NULL,
    cost_currency TEXT NOT NULL,
    price_source TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    prompt_fingerprint TEXT,
    details TEXT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (customer, id)
) {clustered};

CREATE INDEX attempts_of_case ON attempts (customer, case_id);

-- What to show a person who asks which models have no price.
CREATE INDEX attempts_of_unknown_cost ON attempts (customer, provider, model) WHERE model_cost_nanos IS NULL;
