//! Alerts: raised once for a thing, and cleared when it is over.

use crate::connect::{Store, StoreError, Tx, all, run};
use std::collections::BTreeSet;
use verdict_domain::time::Timestamp;

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alert {
    /// What sort of thing, such as `source_silent`.
    pub kind: String,
    /// Which thing.
    pub subject: String,
    /// What is the matter, and what to do.
    pub text: String,
    /// Since when.
    pub raised_at: Timestamp,
    /// Until when, if it is over.
    pub cleared_at: Option<Timestamp>,
}

/// Raises an alert; `false` if it is raised already.
pub async fn raise(
    tx: &Tx,
    kind: &str,
    subject: &str,
    text: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO alerts (kind, subject, text, raised_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO NOTHING";
    Ok(run(&tx.tx, sql, [kind.into(), subject.into(), text.into(), now.0.into()]).await? > 0)
}

/// Clears an alert; `false` if there was none.
pub async fn clear(tx: &Tx, kind: &str, subject: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE alerts SET cleared_at = $3 WHERE kind = $1 AND subject = $2 AND cleared_at IS NULL";
    Ok(run(&tx.tx, sql, [kind.into(), subject.into(), now.0.into()]).await? > 0)
}

/// The subjects of the alerts of a kind that are not over.
pub async fn raised(tx: &Tx, kind: &str) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT subject FROM alerts WHERE kind = $1 AND cleared_at IS NULL";
    all(&tx.tx, sql, [kind.into()]).await?.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// The alerts, those not over first, then the newest; at most `limit`.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<Alert>, StoreError> {
    let sql = "SELECT kind, subject, text, raised_at, cleared_at FROM alerts \
               ORDER BY CASE WHEN cleared_at IS NULL THEN 0 ELSE 1 END, raised_at DESC, id DESC LIMIT $1";
    let rows = all(&store.db, sql, [i64::from(limit).into()]).await?;
    rows.iter()
        .map(|row| {
            let cleared_at: Option<i64> = row.try_get_by_index(4)?;
            Ok(Alert {
                kind: row.try_get_by_index(0)?,
                subject: row.try_get_by_index(1)?,
                text: row.try_get_by_index(2)?,
                raised_at: Timestamp(row.try_get_by_index(3)?),
                cleared_at: cleared_at.map(Timestamp),
            })
        })
        .collect()
}
