//! Webhook deliveries as they came, and the resolutions read from them.

use crate::bulk::{self, Insert, Kind};
use crate::cases::{self, CaseKey};
use crate::connect::{StoreError, Tx, all, known, run};
use sea_orm::Value;
use verdict_domain::fact::{Fact, Resolution, ResolutionKind, Said};
use verdict_domain::time::Timestamp;

/// A webhook delivery whose signature was good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which source sent it.
    pub source: String,
    /// The sender's own id for it: the same on each retry.
    pub id: String,
    /// The headers, as JSON.
    pub headers: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Which of the source's secrets verified it, by its place in the configuration.
    pub secret: String,
}

/// Stores a delivery; `false` if it is there already.
pub async fn store_delivery(tx: &Tx, delivery: Delivery, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "INSERT INTO deliveries (source, id, headers, body, secret, received_at, state) \
               VALUES ($1, $2, $3, $4, $5, $6, 'received') ON CONFLICT (source, id) DO NOTHING";
    let Delivery { source, id, headers, body, secret } = delivery;
    let values = [source.into(), id.into(), headers.into(), body.into(), secret.into(), now.0.into()];
    Ok(run(&tx.tx, sql, values).await? > 0)
}

/// The oldest deliveries that wait to be mapped.
pub async fn deliveries_to_map(tx: &Tx, limit: u32) -> Result<Vec<Delivery>, StoreError> {
    let sql = "SELECT source, id, headers, body, secret FROM deliveries WHERE state = 'received' \
               ORDER BY received_at, source, id LIMIT $1";
    read_deliveries(all(&tx.tx, sql, [i64::from(limit).into()]).await?)
}

/// One delivery.
pub async fn delivery(tx: &Tx, source: &str, id: &str) -> Result<Option<Delivery>, StoreError> {
    let sql = "SELECT source, id, headers, body, secret FROM deliveries WHERE source = $1 AND id = $2";
    Ok(read_deliveries(all(&tx.tx, sql, [source.into(), id.into()]).await?)?.pop())
}

fn read_deliveries(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<Delivery>, StoreError> {
    rows.iter()
        .map(|row| {
            Ok(Delivery {
                source: row.try_get_by_index(0)?,
                id: row.try_get_by_index(1)?,
                headers: row.try_get_by_index(2)?,
                body: row.try_get_by_index(3)?,
                secret: row.try_get_by_index(4)?,
            })
        })
        .collect()
}

/// Notes what became of a delivery: `mapped` or `parked`.
pub async fn set_delivery_state(tx: &Tx, source: &str, id: &str, state: &str) -> Result<(), StoreError> {
    let sql = "UPDATE deliveries SET state = $3 WHERE source = $1 AND id = $2";
    run(&tx.tx, sql, [source.into(), id.into(), state.into()]).await?;
    Ok(())
}

const INSERT: Insert = Insert {
    table: "resolutions",
    columns: &[
        ("customer", Kind::Text),
        ("id", Kind::Text),
        ("case_id", Kind::Text),
        ("kind", Kind::Text),
        ("occurred_at", Kind::Int),
        ("reason", Kind::TextOrNull),
        ("recorded_at", Kind::Int),
    ],
    on_conflict: "ON CONFLICT (customer, id) DO NOTHING",
    returning: "customer, id",
};

/// Records resolutions and marks their cases to be judged. Answers for each, in the order given, whether it was new.
pub async fn record(tx: &Tx, resolutions: &[Resolution], now: Timestamp) -> Result<Vec<bool>, StoreError> {
    let mut sorted: Vec<&Resolution> = resolutions.iter().collect();
    sorted.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    let row = |resolution: &Resolution| -> Vec<Value> {
        vec![
            resolution.customer.as_str().into(),
            resolution.id.as_str().into(),
            resolution.case.as_str().into(),
            resolution.kind.as_str().into(),
            resolution.occurred_at.0.into(),
            resolution.reason.clone().into(),
            now.0.into(),
        ]
    };
    let written = bulk::insert(&tx.tx, &INSERT, sorted.into_iter().map(row).collect()).await?;
    let mut new = std::collections::HashSet::new();
    for row in written {
        new.insert((row.try_get_by_index::<String>(0)?, row.try_get_by_index::<String>(1)?));
    }
    let recorded: Vec<bool> =
        resolutions.iter().map(|r| new.remove(&(r.customer.clone(), r.id.clone()))).collect();
    let to_judge = resolutions.iter().zip(&recorded).filter(|(_, new)| **new);
    let to_judge =
        to_judge.map(|(r, _)| CaseKey { customer: r.customer.clone(), case: r.case.clone() }).collect();
    cases::mark_to_judge(tx, to_judge).await?;
    Ok(recorded)
}

/// The resolutions of many cases, as facts, in no order.
pub(crate) async fn facts_of(tx: &Tx, keys: &[CaseKey]) -> Result<Vec<(CaseKey, Fact)>, StoreError> {
    let select = "SELECT r.customer, r.case_id, r.id, r.kind, r.occurred_at \
                  FROM keys JOIN resolutions r ON r.customer = keys.customer AND r.case_id = keys.key";
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), select).await?;
    rows.iter()
        .map(|row| {
            let kind: String = row.try_get_by_index(3)?;
            let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
            let said = Said::Resolution(known(ResolutionKind::parse(&kind), "resolution", &kind)?);
            Ok((key, Fact { at: Timestamp(row.try_get_by_index(4)?), id: row.try_get_by_index(2)?, said }))
        })
        .collect()
}
