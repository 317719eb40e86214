//! The generation of the links to each customer's page, and (with no name) of the links to reports: those of an older one are
//! revoked.

use crate::connect::{Store, StoreError, one};

/// A customer's generation, 0 until it is raised.
pub async fn generation(store: &Store, customer: &str) -> Result<i64, StoreError> {
    let sql = "SELECT generation FROM page_links WHERE customer = $1";
    match one(&store.db, sql, [customer.into()]).await? {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Ok(0),
    }
}

/// Raises a customer's generation, and answers the new one: all links made before are revoked.
pub async fn raise_generation(store: &Store, customer: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO page_links (customer, generation) VALUES ($1, 1) ON CONFLICT (customer) \
               DO UPDATE SET generation = page_links.generation + 1 RETURNING generation";
    let tx = store.begin().await?;
    let row = one(&tx.tx, sql, [customer.into()]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("a generation was not returned".into()))?;
    let generation = row.try_get_by_index(0)?;
    tx.commit().await?;
    Ok(generation)
}
