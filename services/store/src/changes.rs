//! Whether the figures have changed, without reading them.
//!
//! A counter for each step that posts figures, raised in the transaction that does: a step's transactions are one after the
//! other anyway, so that none waits for another here, and intake never comes by.

use crate::connect::{Store, StoreError, Tx, one, run};

/// Notes that the figures change with this transaction.
pub(crate) async fn note(tx: &Tx) -> Result<(), StoreError> {
    let sql = "INSERT INTO figure_changes (step, changes) VALUES ($1, 1) \
               ON CONFLICT (step) DO UPDATE SET changes = figure_changes.changes + 1";
    run(&tx.tx, sql, [tx.claimed().unwrap_or("-").into()]).await?;
    Ok(())
}

/// How often the figures have changed: another number than before says that they have since then.
pub async fn seen(store: &Store) -> Result<i64, StoreError> {
    let sql = "SELECT CAST(COALESCE(SUM(changes), 0) AS BIGINT) FROM figure_changes";
    let row = one(&store.db, sql, []).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("a sum was not returned".into()))?;
    Ok(row.try_get_by_index(0)?)
}
