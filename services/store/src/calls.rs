//! Which models are called, and how often: counted with each batch of attempts, so that nobody reads all of them to see it.

use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all, known};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use verdict_domain::attempt::{Attempt, ServiceTier};

/// On PostgreSQL, where several record at a time, a count has so many parts: each takes the next one, so that two seldom wait for
/// each other.
const PARTS: i64 = 8;

/// What an attempt called: the UTC day on which it ended, provider, model, service.
pub(crate) type Call = (i64, String, String, &'static str);

/// What is counted of an attempt: nothing where its sender priced it.
pub(crate) fn call(attempt: &Attempt) -> Option<Call> {
    let tier = attempt.service_tier.unwrap_or(ServiceTier::Standard).as_str();
    let is_priced_by_sender = attempt.price_source.as_deref() == Some("reported");
    (!is_priced_by_sender)
        .then(|| (attempt.ended_at.day(), attempt.provider.clone(), attempt.model.clone(), tier))
}

/// Adds to the counts, in the transaction that records the attempts.
pub(crate) async fn add(tx: &Tx, calls: BTreeMap<Call, i64>) -> Result<(), StoreError> {
    static NEXT: AtomicI64 = AtomicI64::new(0);
    let part = match tx.tx.get_database_backend() {
        DbBackend::Postgres => NEXT.fetch_add(1, Ordering::Relaxed).rem_euclid(PARTS),
        _ => 0,
    };
    let row = |((day, provider, model, tier), attempts): (Call, i64)| {
        vec![day.into(), provider.into(), model.into(), tier.into(), part.into(), attempts.into()]
    };
    write(tx, calls.into_iter().map(row).collect()).await
}

async fn write(tx: &Tx, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
    const UPSERT: Insert = Insert {
        table: "model_calls",
        columns: &[
            ("day", Kind::Int),
            ("provider", Kind::Text),
            ("model", Kind::Text),
            ("service_tier", Kind::Text),
            ("part", Kind::Int),
            ("attempts", Kind::Int),
        ],
        on_conflict: "ON CONFLICT (day, provider, model, service_tier, part) DO UPDATE SET \
                      attempts = model_calls.attempts + excluded.attempts",
        returning: "",
    };
    bulk::insert(&tx.tx, &UPSERT, rows).await?;
    Ok(())
}

/// A model, as attempts name it, and how many of them called it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who served it.
    pub provider: String,
    /// The model.
    pub model: String,
    /// By which of its services.
    pub tier: ServiceTier,
    /// How many attempts.
    pub attempts: i64,
}

/// Which models the attempts that ended on a UTC day or later have called, and that were not priced by their senders.
pub async fn used(store: &Store, from_day: i64) -> Result<Vec<Used>, StoreError> {
    let sql = "SELECT provider, model, service_tier, CAST(SUM(attempts) AS BIGINT) FROM model_calls WHERE day >= $1 \
               GROUP BY provider, model, service_tier HAVING SUM(attempts) > 0 ORDER BY 1, 2, 3";
    let read = |row: &QueryResult| {
        let tier: String = row.try_get_by_index(2)?;
        Ok(Used {
            provider: row.try_get_by_index(0)?,
            model: row.try_get_by_index(1)?,
            tier: known(ServiceTier::parse(&tier), "service tier", &tier)?,
            attempts: row.try_get_by_index(3)?,
        })
    };
    all(&store.db, sql, [from_day.into()]).await?.iter().map(read).collect()
}

/// Makes the counts what the attempts say, as the figures are built again. Reads all attempts, and holds a count for each day and
/// model. Answers how many were wrong. What is recorded meanwhile adds the same to both, so what is found wrong stays so.
pub async fn rebuild(store: &Store) -> Result<u64, StoreError> {
    let snapshot = store.snapshot().await?;
    let sql = "SELECT day, provider, model, service_tier, CAST(SUM(attempts) AS BIGINT) FROM ( \
               SELECT ended_at / 86400000000 AS day, provider, model, COALESCE(service_tier, 'standard') AS service_tier, \
               1 AS attempts FROM attempts WHERE COALESCE(price_source, '') <> 'reported' \
               UNION ALL SELECT day, provider, model, service_tier, -attempts FROM model_calls) AS missing \
               GROUP BY day, provider, model, service_tier HAVING SUM(attempts) <> 0";
    let read = |row: &QueryResult| -> Result<(i64, [String; 3], i64), StoreError> {
        let text = |column: usize| row.try_get_by_index::<String>(column);
        Ok((row.try_get_by_index(0)?, [text(1)?, text(2)?, text(3)?], row.try_get_by_index(4)?))
    };
    let mut missing: Vec<(i64, [String; 3], i64)> =
        all(&snapshot.tx, sql, []).await?.iter().map(read).collect::<Result<_, _>>()?;
    drop(snapshot);
    if missing.is_empty() {
        return Ok(0);
    }
    missing.sort();
    let wrong = missing.len() as u64;
    let row = |(day, [provider, model, tier], attempts): (i64, [String; 3], i64)| {
        vec![day.into(), provider.into(), model.into(), tier.into(), 0_i64.into(), attempts.into()]
    };
    let tx = store.begin().await?;
    write(&tx, missing.into_iter().map(row).collect()).await?;
    tx.commit().await?;
    Ok(wrong)
}
