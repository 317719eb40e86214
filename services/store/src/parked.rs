//! What could not be processed, with its raw bytes and its reason: listed, shown, replayed.

use crate::connect::{Store, StoreError, Tx, all, known, one, run, to_json};
use sea_orm::{QueryResult, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use verdict_domain::time::Timestamp;

/// Where a parked thing came from: it says how it is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An attempt event from the queue; `reference` is the content type.
    Attempt,
    /// A webhook delivery; `reference` is `SOURCE/ID`.
    Delivery,
    /// A case whose figures do not fit; `reference` is a JSON array: customer, case.
    Case,
    /// An outcome that no price covers; `reference` is a JSON array: customer, case, seq.
    Outcome,
    /// An errand that Stripe refused for good; `reference` is the errand's id.
    Outbox,
    /// A fetch that a platform refused for good; `reference` is a JSON array: source, id.
    Fetch,
    /// What Stripe told of an object that cannot be looked at; `reference` is the object's id.
    StripeEvent,
    /// A meter event that Stripe does not take, or not back; `reference` is a JSON array: customer, case, seq.
    MeterEvent,
}

impl Origin {
    /// Its stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Delivery => "delivery",
            Self::Case => "case",
            Self::Outcome => "outcome",
            Self::Outbox => "outbox",
            Self::Fetch => "fetch",
            Self::StripeEvent => "stripe_event",
            Self::MeterEvent => "meter_event",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Attempt,
            Self::Delivery,
            Self::Case,
            Self::Outcome,
            Self::Outbox,
            Self::Fetch,
            Self::StripeEvent,
            Self::MeterEvent,
        ];
        all.into_iter().find(|origin| origin.as_str() == text)
    }
}

/// Something that could not be processed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Where it came from.
    pub origin: Origin,
    /// What it is, to its origin.
    pub reference: String,
    /// What came with it, as JSON.
    pub headers: String,
    /// The bytes as they came.
    pub body: Vec<u8>,
    /// Why it could not be processed, and what to do.
    pub reason: String,
}

impl Parked {
    /// The same thing has the same id, however often it comes.
    pub fn id(&self) -> String {
        let mut digest = Sha256::new();
        for part in [self.origin.as_str().as_bytes(), self.reference.as_bytes(), &self.body] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// How much is kept of what nobody vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many things of each reference.
    pub things: u32,
    /// At most so many bytes of them.
    pub bytes: i64,
}

/// What went for the bounds, ever.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Dropped {
    /// What it was, to its origin.
    pub reference: String,
    /// How many things.
    pub things: i64,
    /// How many bytes.
    pub bytes: i64,
    /// When some went last.
    pub last_at: Timestamp,
}

/// A parked thing as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// The thing.
    pub parked: Parked,
    /// Since when.
    pub parked_at: Timestamp,
}

/// Parks things. One that is there already is parked anew if it had been replayed, with the new reason.
pub async fn park(tx: &Tx, things: &[Parked], now: Timestamp) -> Result<(), StoreError> {
    let mut things: Vec<(String, &Parked)> = things.iter().map(|parked| (parked.id(), parked)).collect();
    things.sort_by(|a, b| a.0.cmp(&b.0));
    for (id, parked) in things {
        let sql = "INSERT INTO parked (id, origin, reference, headers, body, reason, parked_at, size) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET \
                   reason = excluded.reason, replayed_at = NULL";
        let size = i64::try_from(parked.headers.len().saturating_add(parked.body.len())).unwrap_or(i64::MAX);
        let values = [
            id.into(),
            parked.origin.as_str().into(),
            storable(&parked.reference).into(),
            storable(&parked.headers).into(),
            parked.body.clone().into(),
            storable(&parked.reason).into(),
            now.0.into(),
            size.into(),
        ];
        run(&tx.tx, sql, values).await?;
    }
    Ok(())
}

/// Parks attempts that came from where nobody can be asked to send less. Of each reference the newest stay; what exceeds the
/// bounds goes, and is counted. Answers how many went.
pub async fn park_within(
    tx: &Tx,
    attempts: &[Parked],
    bounds: Bounds,
    now: Timestamp,
) -> Result<i64, StoreError> {
    if attempts.is_empty() {
        return Ok(0);
    }
    // Two that drop at a time would wait for each other in a circle.
    tx.claim("parked").await?;
    park(tx, attempts, now).await?;
    let mut dropped = 0;
    let references: BTreeSet<&str> = attempts.iter().map(|parked| parked.reference.as_str()).collect();
    for reference in references {
        let sql = "DELETE FROM parked WHERE id IN (SELECT id FROM (SELECT id, \
                   ROW_NUMBER() OVER newest AS place, SUM(size) OVER newest AS bytes FROM parked \
                   WHERE reference = $1 AND origin = 'attempt' AND replayed_at IS NULL \
                   WINDOW newest AS (ORDER BY parked_at DESC, id DESC)) AS kept WHERE place > $2 OR bytes > $3) RETURNING size";
        let values = [reference.into(), i64::from(bounds.things).into(), bounds.bytes.into()];
        let gone = all(&tx.tx, sql, values).await?;
        let (things, mut bytes) = (i64::try_from(gone.len()).unwrap_or(i64::MAX), 0_i64);
        for row in &gone {
            bytes = bytes.saturating_add(row.try_get_by_index(0)?);
        }
        if things > 0 {
            let sql = "INSERT INTO parked_dropped (reference, things, bytes, last_at) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (reference) DO UPDATE SET things = parked_dropped.things + excluded.things, \
                       bytes = parked_dropped.bytes + excluded.bytes, last_at = excluded.last_at";
            run(&tx.tx, sql, [reference.into(), things.into(), bytes.into(), now.0.into()]).await?;
        }
        dropped += things;
    }
    Ok(dropped)
}

/// What went for the bounds, by reference.
pub async fn dropped(store: &Store) -> Result<Vec<Dropped>, StoreError> {
    let sql = "SELECT reference, things, bytes, last_at FROM parked_dropped ORDER BY reference";
    let read = |row: &QueryResult| {
        Ok(Dropped {
            reference: row.try_get_by_index(0)?,
            things: row.try_get_by_index(1)?,
            bytes: row.try_get_by_index(2)?,
            last_at: Timestamp(row.try_get_by_index(3)?),
        })
    };
    all(&store.db, sql, []).await?.iter().map(read).collect()
}

/// PostgreSQL's text cannot hold NUL, which what is parked may well have: what cannot be parked would block its queue.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{FFFD}")
}

const COLUMNS: &str = "id, origin, reference, headers, body, reason, parked_at";

fn read(row: &QueryResult) -> Result<Listed, StoreError> {
    let origin: String = row.try_get_by_index(1)?;
    Ok(Listed {
        id: row.try_get_by_index(0)?,
        parked: Parked {
            origin: known(Origin::parse(&origin), "origin", &origin)?,
            reference: row.try_get_by_index(2)?,
            headers: row.try_get_by_index(3)?,
            body: row.try_get_by_index(4)?,
            reason: row.try_get_by_index(5)?,
        },
        parked_at: Timestamp(row.try_get_by_index(6)?),
    })
}

/// Where a page of the list of what is parked ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Since when the last thing is parked.
    pub parked_at: Timestamp,
    /// Its id.
    pub id: String,
}

/// What is parked after a place (the first ones: `None`), the oldest first: at most `limit`, with the first 4,096 bytes of each
/// body.
pub async fn list(store: &Store, after: Option<&Place>, limit: u32) -> Result<Vec<Listed>, StoreError> {
    let columns = COLUMNS.replace("body", "COALESCE(substr(body, 1, 4096), body)");
    let mut values: Vec<Value> = vec![i64::from(limit).into()];
    let mut of = "";
    if let Some(Place { parked_at, id }) = after {
        values.extend([parked_at.0.into(), id.as_str().into()]);
        of = " AND (parked_at, id) > ($2, $3)";
    }
    let sql =
        format!("SELECT {columns} FROM parked WHERE replayed_at IS NULL{of} ORDER BY parked_at, id LIMIT $1");
    all(&store.db, &sql, values).await?.iter().map(read).collect()
}

/// How many things are parked, as far as they are counted: up to `most`.
pub async fn count(store: &Store, most: u32) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM parked WHERE replayed_at IS NULL LIMIT $1) AS counted";
    let row = one(&store.db, sql, [i64::from(most).into()]).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by_index(0))?)
}

/// One parked thing, replayed or not.
pub async fn find(store: &Store, id: &str) -> Result<Option<Listed>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM parked WHERE id = $1");
    one(&store.db, &sql, [id.into()]).await?.as_ref().map(read).transpose()
}

/// Notes that a thing was replayed, in the transaction that did so.
pub async fn set_replayed(tx: &Tx, id: &str, now: Timestamp) -> Result<(), StoreError> {
    run(&tx.tx, "UPDATE parked SET replayed_at = $2 WHERE id = $1", [id.into(), now.0.into()]).await?;
    Ok(())
}

/// A customer's parked outcomes are looked at again, as its contract changed: those that still have no price are
/// parked anew.
pub(crate) async fn reconsider_outcomes(tx: &Tx, customer: &str, now: Timestamp) -> Result<(), StoreError> {
    let json = to_json("reference", &[customer])?;
    // `["acme",` begins the reference of each of its outcomes.
    let prefix = format!("{},", json.trim_end_matches(']'));
    let sql = "UPDATE parked SET replayed_at = $1 WHERE origin = 'outcome' AND replayed_at IS NULL \
               AND substr(reference, 1, CAST($2 AS INTEGER)) = $3";
    let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
    run(&tx.tx, sql, [now.0.into(), length.into(), prefix.into()]).await?;
    Ok(())
}
