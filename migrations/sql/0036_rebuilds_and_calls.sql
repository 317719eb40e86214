-- Rebuilds of the figures that were asked for: by whom, and what came of them.
CREATE TABLE figure_rebuilds (
    id {id},
    asked_by TEXT NOT NULL,
    asked_at BIGINT NOT NULL, -- by the machine's clock, as all times here
    open BIGINT UNIQUE, -- 1 until it is over, then NULL: one at a time
    begun BIGINT NOT NULL, -- how often: it is begun again if the process that did it ends
    leased_until BIGINT NOT NULL, -- until then it is the process's that began it last
    cases BIGINT NOT NULL, -- looked at since it was begun last
    customers BIGINT NOT NULL, -- whose sums were compared since it was begun last
    wrong_cases BIGINT NOT NULL,
    wrong_sums BIGINT NOT NULL,
    ended_at BIGINT,
    failed BIGINT NOT NULL -- 1: it was given up, and the log says why
) {plain};

-- What is parked of telemetry is bounded: by its bytes, too. The newest stay.
ALTER TABLE parked ADD COLUMN size BIGINT NOT NULL DEFAULT 0; -- bytes of headers and body
UPDATE parked SET size = length(headers) + length(body);
CREATE INDEX parked_attempts ON parked (reference, parked_at, id, size) WHERE origin = 'attempt' AND replayed_at IS NULL;

-- What went for it, ever.
CREATE TABLE parked_dropped (
    reference TEXT NOT NULL PRIMARY KEY,
    things BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    last_at BIGINT NOT NULL
) {plain};

-- How many attempts called which model, but for those that their senders priced: added to with each batch. It grows with days and
-- models, not with traffic. The parts of a row are added up: a batch adds to one of them, so that two seldom wait for each other.
CREATE TABLE model_calls (
    day BIGINT NOT NULL, -- UTC, of the attempts' ends, from 1970-01-01
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    service_tier TEXT NOT NULL,
    part BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    PRIMARY KEY (day, provider, model, service_tier, part)
) {clustered} {hot};
INSERT INTO model_calls
SELECT ended_at / 86400000000, provider, model, COALESCE(service_tier, 'standard'), 0, COUNT(*) FROM attempts
WHERE COALESCE(price_source, '') <> 'reported'
GROUP BY ended_at / 86400000000, provider, model, COALESCE(service_tier, 'standard');
