//! Deliveries whose signature no secret had made: kept for a while, within bounds, so that a botched change of
//! secrets loses nothing.

use crate::connect::{Store, StoreError, Tx, all, one, run};
use sea_orm::QueryResult;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use verdict_domain::time::Timestamp;

/// A delivery that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The source that it was addressed to.
    pub source: String,
    /// The HTTP method.
    pub method: String,
    /// The query of its address.
    pub query: Option<String>,
    /// The headers that a later look needs, as JSON.
    pub headers: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Why it was refused.
    pub reason: String,
    /// When it came.
    pub received_at: Timestamp,
}

impl Refused {
    /// The same delivery has the same id, however often it comes.
    pub fn id(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.source.as_bytes(), self.headers.as_bytes(), &self.body] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A refused delivery as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// How many bytes it has.
    pub size: i64,
    /// The delivery.
    pub refused: Refused,
}

/// How much is kept of each source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many deliveries.
    pub deliveries: u32,
    /// At most so many bytes.
    pub bytes: i64,
}

/// Keeps refused deliveries; the oldest of their sources go where the bounds are exceeded.
pub async fn keep(tx: &Tx, refused: &[Refused], bounds: Bounds) -> Result<(), StoreError> {
    let mut with_ids: Vec<(String, &Refused)> = refused.iter().map(|one| (one.id(), one)).collect();
    with_ids.sort_by(|a, b| a.0.cmp(&b.0));
    for (id, refused) in with_ids {
        let size =
            i64::try_from(refused.headers.len().saturating_add(refused.body.len())).unwrap_or(i64::MAX);
        let sql = "INSERT INTO quarantine (id, source, method, query, headers, body, size, reason, received_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
        let values = [
            id.into(),
            refused.source.as_str().into(),
            refused.method.as_str().into(),
            refused.query.clone().into(),
            refused.headers.as_str().into(),
            refused.body.clone().into(),
            size.into(),
            refused.reason.as_str().into(),
            refused.received_at.0.into(),
        ];
        run(&tx.tx, sql, values).await?;
    }
    let sources: BTreeSet<&str> = refused.iter().map(|one| one.source.as_str()).collect();
    for source in sources {
        let sql = "DELETE FROM quarantine WHERE id IN (SELECT id FROM (SELECT id, \
                   ROW_NUMBER() OVER newest AS place, SUM(size) OVER newest AS bytes \
                   FROM quarantine WHERE source = $1 WINDOW newest AS (ORDER BY received_at DESC, id DESC)) AS kept \
                   WHERE place > $2 OR bytes > $3)";
        run(&tx.tx, sql, [source.into(), i64::from(bounds.deliveries).into(), bounds.bytes.into()]).await?;
    }
    Ok(())
}

const COLUMNS: &str = "id, source, method, query, headers, body, size, reason, received_at";

fn read(row: &QueryResult) -> Result<Listed, StoreError> {
    let refused = Refused {
        source: row.try_get_by_index(1)?,
        method: row.try_get_by_index(2)?,
        query: row.try_get_by_index(3)?,
        headers: row.try_get_by_index(4)?,
        body: row.try_get_by_index(5)?,
        reason: row.try_get_by_index(7)?,
        received_at: Timestamp(row.try_get_by_index(8)?),
    };
    Ok(Listed { id: row.try_get_by_index(0)?, size: row.try_get_by_index(6)?, refused })
}

/// What is kept, the oldest first, at most `limit`, with the first 4,096 bytes of each body.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<Listed>, StoreError> {
    let columns = COLUMNS.replace("body", "COALESCE(substr(body, 1, 4096), body)");
    let sql = format!("SELECT {columns} FROM quarantine ORDER BY received_at, id LIMIT $1");
    all(&store.db, &sql, [i64::from(limit).into()]).await?.iter().map(read).collect()
}

/// One of them, whole.
pub async fn find(store: &Store, id: &str) -> Result<Option<Listed>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM quarantine WHERE id = $1");
    one(&store.db, &sql, [id.into()]).await?.as_ref().map(read).transpose()
}

/// Takes one out, in the transaction that stores it as a delivery.
pub async fn take_out(tx: &Tx, id: &str) -> Result<(), StoreError> {
    run(&tx.tx, "DELETE FROM quarantine WHERE id = $1", [id.into()]).await?;
    Ok(())
}
