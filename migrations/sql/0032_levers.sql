-- What was computed last of caching, routing and distillation: too slow for a page, so the worker computes it once a day.
CREATE TABLE levers (
    id {id},
    as_of BIGINT NOT NULL, -- by the service's time
    body TEXT NOT NULL -- JSON
) {plain};

-- Where to look: a path of ours.
ALTER TABLE alerts ADD COLUMN link TEXT;
