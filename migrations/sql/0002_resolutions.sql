-- Webhook deliveries as they came over the wire, deduplicated for ever by the sender's own id.
CREATE TABLE deliveries (
    source TEXT NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body {bytes} NOT NULL,
    secret TEXT NOT NULL, -- which of the source's secrets verified it, by its place: never the secret itself
    received_at BIGINT NOT NULL,
    state TEXT NOT NULL, -- received, mapped, parked
    PRIMARY KEY (source, id)
) {clustered};

CREATE INDEX deliveries_to_map ON deliveries (received_at) WHERE state = 'received';

-- Resolutions: facts, recorded once for ever. The id begins with the door they came by.
CREATE TABLE resolutions (
    customer TEXT NOT NULL,
    id TEXT NOT NULL,
    case_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    reason TEXT,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (customer, id)
) {clustered};

CREATE INDEX resolutions_of_case ON resolutions (customer, case_id);
