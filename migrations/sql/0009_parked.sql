-- What could not be processed: raw bytes and reason, for a person to list and replay.
CREATE TABLE parked (
    id TEXT NOT NULL PRIMARY KEY, -- a digest of origin, reference and bytes: the same thing is parked once
    origin TEXT NOT NULL, -- attempt, delivery, case, outcome, outbox
    reference TEXT NOT NULL, -- the content type, the delivery, the case, the outcome, the outbox row
    headers TEXT NOT NULL,
    body {bytes} NOT NULL,
    reason TEXT NOT NULL,
    parked_at BIGINT NOT NULL,
    replayed_at BIGINT
) {plain};

CREATE INDEX parked_open ON parked (parked_at) WHERE replayed_at IS NULL;
