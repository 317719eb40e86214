-- Links to a customer's page are signed and not stored. Their signature covers the customer's generation: raising it
-- revokes all that were made before.
CREATE TABLE page_links (
    customer TEXT NOT NULL PRIMARY KEY,
    generation BIGINT NOT NULL
) {plain};
