-- What sets the price of a call, besides its model and its tokens.
ALTER TABLE attempts ADD COLUMN service_tier TEXT; -- NULL: the sender named none, which is the standard one
ALTER TABLE attempts ADD COLUMN cache_write_1h_tokens BIGINT; -- of cache_write_tokens

-- Books of prices that were imported, each whole as it came, for ever. (One more is built in.)
CREATE TABLE price_books (
    id TEXT PRIMARY KEY, -- name/version
    digest TEXT NOT NULL, -- SHA-256 of the content, in hex
    content {bytes} NOT NULL,
    imported_at BIGINT NOT NULL,
    imported_by TEXT NOT NULL
) {plain};

-- Which book prices attempts, from when on: the last row says. Without any it is the one that is built in.
CREATE TABLE price_activations (
    seq {id},
    book TEXT NOT NULL,
    diff TEXT NOT NULL, -- SHA-256 of the list of changes that was shown before
    activated_at BIGINT NOT NULL,
    activated_by TEXT NOT NULL
) {plain};

-- Prices that go before the book's, of the operator or of one customer. Of those in force at a time the last row counts; one
-- without prices says: as if there were none. Rows are never changed.
CREATE TABLE price_overrides (
    seq {id},
    id TEXT NOT NULL UNIQUE,
    customer TEXT, -- NULL: all
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    service_tier TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT, -- NULL: for good
    -- Nanos of US dollars per million tokens; NULL: none of its own. `request_nanos` is per request.
    input_nanos BIGINT, -- NULL: the row has no prices
    cached_input_nanos BIGINT,
    cache_write_nanos BIGINT,
    cache_write_1h_nanos BIGINT,
    output_nanos BIGINT,
    reasoning_nanos BIGINT,
    request_nanos BIGINT,
    note TEXT,
    recorded_at BIGINT NOT NULL,
    recorded_by TEXT NOT NULL
) {plain};
