//! Deliveries of webhook sources and what was fetched or polled, byte for byte, each once for ever.

use crate::bulk::{self, Insert, Kind};
use crate::chain::hex;
use crate::connect::{Store, StoreError, Tx, all, known, run};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use verdict_domain::time::Timestamp;

/// How a document came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The platform sent it, and its signature was good.
    Webhook,
    /// It was asked for because of an event.
    Fetch,
    /// It was found when the platform was asked on a schedule.
    Poll,
}

impl Via {
    /// Its stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Fetch => "fetch",
            Self::Poll => "poll",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Webhook, Self::Fetch, Self::Poll].into_iter().find(|via| via.as_str() == text)
    }
}

/// A document of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which source it is from.
    pub source: String,
    /// The sender's own id for it: the same on each retry.
    pub id: String,
    /// How it came.
    pub via: Via,
    /// The headers, as JSON.
    pub headers: String,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// Which of the source's secrets verified it, by its name: never the secret itself.
    pub secret: String,
    /// For a fetched document the event that it was asked for, as JSON.
    pub origin: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
}

/// Stores deliveries. Answers for each, in the order given, whether it was new.
pub async fn store(tx: &Tx, deliveries: Vec<Delivery>) -> Result<Vec<bool>, StoreError> {
    const INSERT: Insert = Insert {
        table: "deliveries",
        columns: &[
            ("source", Kind::Text),
            ("id", Kind::Text),
            ("via", Kind::Text),
            ("headers", Kind::Text),
            ("body", Kind::Bytes),
            ("body_sha256", Kind::Text),
            ("secret", Kind::Text),
            ("origin", Kind::TextOrNull),
            ("received_at", Kind::Int),
            ("state", Kind::Text),
        ],
        on_conflict: "ON CONFLICT (source, id) DO NOTHING",
        returning: "source, id",
    };
    let keys: Vec<(String, String)> = deliveries.iter().map(|d| (d.source.clone(), d.id.clone())).collect();
    let mut sorted = deliveries;
    // Stable: of two with one id the first is the one that is written.
    sorted.sort_by(|a, b| (&a.source, &a.id).cmp(&(&b.source, &b.id)));
    let row = |delivery: Delivery| -> Vec<Value> {
        let body_sha256 = hex(&Sha256::digest(&delivery.body));
        vec![
            delivery.source.into(),
            delivery.id.into(),
            delivery.via.as_str().into(),
            delivery.headers.into(),
            delivery.body.into(),
            // Evidence of an invoice names it when the bytes are long gone.
            body_sha256.into(),
            delivery.secret.into(),
            delivery.origin.into(),
            delivery.received_at.0.into(),
            "received".into(),
        ]
    };
    let written = bulk::insert(&tx.tx, &INSERT, sorted.into_iter().map(row).collect()).await?;
    let mut new: HashSet<(String, String)> = HashSet::with_capacity(written.len());
    for row in written {
        new.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    Ok(keys.into_iter().map(|key| new.remove(&key)).collect())
}

const COLUMNS: &str = "source, id, via, headers, body, secret, origin, received_at";

fn read(row: &QueryResult) -> Result<Delivery, StoreError> {
    let via: String = row.try_get_by_index(2)?;
    Ok(Delivery {
        source: row.try_get_by_index(0)?,
        id: row.try_get_by_index(1)?,
        via: known(Via::parse(&via), "via", &via)?,
        headers: row.try_get_by_index(3)?,
        body: row.try_get_by_index(4)?,
        secret: row.try_get_by_index(5)?,
        origin: row.try_get_by_index(6)?,
        received_at: Timestamp(row.try_get_by_index(7)?),
    })
}

/// The most bytes of bodies that are taken at once (but at least one delivery).
const TAKEN_BYTES: i64 = 64 * 1024 * 1024;

/// The oldest deliveries that wait to be mapped: at most `limit`, and not more than memory should hold.
pub async fn to_map(tx: &Tx, limit: u32) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM (SELECT {COLUMNS}, SUM(length(body)) OVER oldest AS bytes, \
         ROW_NUMBER() OVER oldest AS place FROM (SELECT {COLUMNS} FROM deliveries WHERE state = 'received' \
         ORDER BY received_at, source, id LIMIT $1) AS waiting WINDOW oldest AS (ORDER BY received_at, source, id)) \
         AS summed WHERE bytes <= $2 OR place = 1 ORDER BY received_at, source, id"
    );
    all(&tx.tx, &sql, [i64::from(limit).into(), TAKEN_BYTES.into()]).await?.iter().map(read).collect()
}

/// One delivery, within a transaction.
pub async fn find_in(tx: &Tx, source: &str, id: &str) -> Result<Option<Delivery>, StoreError> {
    find_on(&tx.tx, source, id).await
}

/// One delivery, for a person who asks. Its body is empty once its time of retention is over.
pub async fn find(store: &Store, source: &str, id: &str) -> Result<Option<Delivery>, StoreError> {
    find_on(&store.db, source, id).await
}

async fn find_on(on: &impl ConnectionTrait, source: &str, id: &str) -> Result<Option<Delivery>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE source = $1 AND id = $2");
    all(on, &sql, [source.into(), id.into()]).await?.first().map(read).transpose()
}

/// Notes what became of deliveries: `mapped` or `parked`.
pub async fn set_states<'a>(
    tx: &Tx,
    deliveries: impl Iterator<Item = &'a Delivery>,
    state: &str,
) -> Result<(), StoreError> {
    let keys: Vec<(&str, &str)> = deliveries.map(|d| (d.source.as_str(), d.id.as_str())).collect();
    if keys.is_empty() {
        return Ok(());
    }
    // `state` is one of two words of ours.
    let update = format!(
        "UPDATE deliveries SET state = '{state}' WHERE (source, id) IN (SELECT customer, key FROM keys) RETURNING source"
    );
    bulk::select_by_keys(&tx.tx, keys.into_iter(), &update).await?;
    Ok(())
}

/// Forgets the bytes of what was mapped and came before `before`, at most `limit`; the ids stay, so that a repeat is
/// still known. Answers how many.
pub async fn prune(tx: &Tx, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
    let sql = "UPDATE deliveries SET state = 'pruned', body = $1, headers = '{}', origin = NULL \
               WHERE (source, id) IN (SELECT source, id FROM deliveries WHERE state = 'mapped' \
               AND received_at < $2 ORDER BY received_at LIMIT $3)";
    run(&tx.tx, sql, [Vec::<u8>::new().into(), before.0.into(), i64::from(limit).into()]).await
}
