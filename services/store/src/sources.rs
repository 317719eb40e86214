//! What is known of the sources of webhooks: sealed secrets, when they were heard last, and what is to be fetched or
//! polled from them.

use crate::connect::{Store, StoreError, Tx, all, one, run};
use sea_orm::QueryResult;
use verdict_domain::time::{Span, Timestamp};

/// A secret or a credential, sealed under the operator's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Whose it is.
    pub source: String,
    /// `secret` (verifies deliveries) or `credential` (asks the platform).
    pub kind: String,
    /// What the operator calls it.
    pub name: String,
    /// The sealed bytes.
    pub sealed: Vec<u8>,
    /// From when on it counts.
    pub valid_from: Option<Timestamp>,
    /// From when on it counts no more.
    pub valid_until: Option<Timestamp>,
}

/// Stores a sealed secret, in the place of one of that name.
pub async fn put_secret(tx: &Tx, secret: &Sealed, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO source_secrets (source, kind, name, sealed, valid_from, valid_until, added_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (source, kind, name) DO UPDATE SET \
               sealed = excluded.sealed, valid_from = excluded.valid_from, valid_until = excluded.valid_until, \
               added_at = excluded.added_at";
    let values = [
        secret.source.as_str().into(),
        secret.kind.as_str().into(),
        secret.name.as_str().into(),
        secret.sealed.clone().into(),
        secret.valid_from.map(|at| at.0).into(),
        secret.valid_until.map(|at| at.0).into(),
        now.0.into(),
    ];
    run(&tx.tx, sql, values).await?;
    Ok(())
}

/// Takes a secret away; `false` if there is none such.
pub async fn remove_secret(tx: &Tx, source: &str, kind: &str, name: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM source_secrets WHERE source = $1 AND kind = $2 AND name = $3";
    Ok(run(&tx.tx, sql, [source.into(), kind.into(), name.into()]).await? > 0)
}

/// All sealed secrets, in order.
pub async fn secrets(store: &Store) -> Result<Vec<Sealed>, StoreError> {
    let sql = "SELECT source, kind, name, sealed, valid_from, valid_until FROM source_secrets \
               ORDER BY source, kind, added_at, name";
    let rows = all(&store.db, sql, []).await?;
    let time = |row: &QueryResult, at: usize| -> Result<Option<Timestamp>, StoreError> {
        Ok(row.try_get_by_index::<Option<i64>>(at)?.map(Timestamp))
    };
    rows.iter()
        .map(|row| {
            Ok(Sealed {
                source: row.try_get_by_index(0)?,
                kind: row.try_get_by_index(1)?,
                name: row.try_get_by_index(2)?,
                sealed: row.try_get_by_index(3)?,
                valid_from: time(row, 4)?,
                valid_until: time(row, 5)?,
            })
        })
        .collect()
}

/// When a source was heard last, and how it is polled.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct State {
    /// Which source.
    pub source: String,
    /// When it delivered last.
    pub last_delivery_at: Option<Timestamp>,
    /// The longest time between two deliveries, in microseconds; one that raised an alert counts as long as was allowed.
    pub longest_gap: i64,
    /// Up to when it was polled.
    pub polled_until: Option<Timestamp>,
    /// When it is polled next.
    pub next_poll_at: Timestamp,
    /// How often polling has failed since it last did not.
    pub poll_failures: i64,
    /// What went wrong last when it was asked for something.
    pub last_error: Option<String>,
}

/// The states of all sources that have one.
pub async fn states(store: &Store) -> Result<Vec<State>, StoreError> {
    let sql = "SELECT source, last_delivery_at, longest_gap, polled_until, next_poll_at, poll_failures, last_error \
               FROM source_state ORDER BY source";
    all(&store.db, sql, []).await?.iter().map(read_state).collect()
}

/// The state of one source, to be written in this transaction; a new one if it has none yet.
pub async fn state(tx: &Tx, source: &str) -> Result<State, StoreError> {
    let sql = "INSERT INTO source_state (source) VALUES ($1) ON CONFLICT (source) DO NOTHING";
    run(&tx.tx, sql, [source.into()]).await?;
    // Locked until the transaction ends: mapping and polling write it, each its part.
    let sql = "UPDATE source_state SET source = $1 WHERE source = $1 RETURNING source, last_delivery_at, longest_gap, \
               polled_until, next_poll_at, poll_failures, last_error";
    match one(&tx.tx, sql, [source.into()]).await? {
        Some(row) => read_state(&row),
        None => Ok(State { source: source.into(), ..State::default() }),
    }
}

fn read_state(row: &QueryResult) -> Result<State, StoreError> {
    let (last, polled): (Option<i64>, Option<i64>) = (row.try_get_by_index(1)?, row.try_get_by_index(3)?);
    Ok(State {
        source: row.try_get_by_index(0)?,
        last_delivery_at: last.map(Timestamp),
        longest_gap: row.try_get_by_index(2)?,
        polled_until: polled.map(Timestamp),
        next_poll_at: Timestamp(row.try_get_by_index(4)?),
        poll_failures: row.try_get_by_index(5)?,
        last_error: row.try_get_by_index(6)?,
    })
}

/// Notes when a source was heard.
pub async fn set_heard(tx: &Tx, source: &str, at: Timestamp, longest_gap: i64) -> Result<(), StoreError> {
    let sql = "UPDATE source_state SET last_delivery_at = $2, longest_gap = $3 WHERE source = $1";
    run(&tx.tx, sql, [source.into(), at.0.into(), longest_gap.into()]).await?;
    Ok(())
}

/// Takes the turn to poll a source: `false` if its time has not come. Nobody else polls it before `next`.
pub async fn begin_poll(tx: &Tx, source: &str, now: Timestamp, next: Timestamp) -> Result<bool, StoreError> {
    state(tx, source).await?;
    let sql = "UPDATE source_state SET next_poll_at = $3 WHERE source = $1 AND next_poll_at <= $2";
    Ok(run(&tx.tx, sql, [source.into(), now.0.into(), next.0.into()]).await? > 0)
}

/// Notes that a source was polled up to a time.
pub async fn finish_poll(tx: &Tx, source: &str, until: Timestamp) -> Result<(), StoreError> {
    let sql =
        "UPDATE source_state SET polled_until = $2, poll_failures = 0, last_error = NULL WHERE source = $1";
    run(&tx.tx, sql, [source.into(), until.0.into()]).await?;
    Ok(())
}

/// Notes that polling failed, and when it is tried again.
pub async fn retry_poll(
    tx: &Tx,
    source: &str,
    failures: i64,
    next: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE source_state SET poll_failures = $2, next_poll_at = $3, last_error = $4 WHERE source = $1";
    run(&tx.tx, sql, [source.into(), failures.into(), next.0.into(), error.into()]).await?;
    Ok(())
}

/// Something to ask from a platform, because of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// From which source's platform.
    pub source: String,
    /// The id of the event.
    pub id: String,
    /// The delivery that the event came in.
    pub delivery: String,
    /// The event and what was read of it, as JSON.
    pub origin: String,
    /// How often it was tried.
    pub tries: i64,
}

/// Puts a fetch in line; once, however often the event comes.
pub async fn fetch_later(tx: &Tx, fetch: &Fetch) -> Result<(), StoreError> {
    let sql = "INSERT INTO fetches (source, id, delivery, origin, state, tries, next_try_at) \
               VALUES ($1, $2, $3, $4, 'waiting', 0, 0) ON CONFLICT (source, id) DO NOTHING";
    let parts = [&fetch.source, &fetch.id, &fetch.delivery, &fetch.origin];
    run(&tx.tx, sql, parts.map(|part| part.as_str().into())).await?;
    Ok(())
}

/// Leases the next fetch of a source, if one is due and the source may be asked again. `wall` is the wall clock. Nobody
/// else takes it before `leased_until`, and nobody asks the source before `wall + pause`.
pub async fn lease_fetch(
    tx: &Tx,
    source: &str,
    wall: Timestamp,
    pause: Span,
    leased_until: Timestamp,
) -> Result<Option<Fetch>, StoreError> {
    if !may_ask(tx, source, wall, pause).await? {
        return Ok(None);
    }
    let sql = "UPDATE fetches SET next_try_at = $3, tries = tries + 1 WHERE (source, id) IN \
               (SELECT source, id FROM fetches WHERE state = 'waiting' AND source = $1 AND next_try_at <= $2 \
               ORDER BY next_try_at, id LIMIT 1) RETURNING source, id, delivery, origin, tries";
    let values = [source.into(), wall.0.into(), leased_until.0.into()];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(None) };
    Ok(Some(Fetch {
        source: row.try_get_by_index(0)?,
        id: row.try_get_by_index(1)?,
        delivery: row.try_get_by_index(2)?,
        origin: row.try_get_by_index(3)?,
        tries: row.try_get_by_index(4)?,
    }))
}

/// Whether a source has a fetch that is due.
pub async fn has_due_fetch(store: &Store, source: &str, wall: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM fetches f LEFT JOIN source_state s ON s.source = f.source WHERE f.state = 'waiting' \
               AND f.source = $1 AND f.next_try_at <= $2 AND COALESCE(s.next_fetch_at, 0) <= $2 LIMIT 1";
    Ok(one(&store.db, sql, [source.into(), wall.0.into()]).await?.is_some())
}

/// Takes the turn to ask a source: `false` if it was asked less than its pause ago. All processes share this.
pub async fn may_ask(tx: &Tx, source: &str, wall: Timestamp, pause: Span) -> Result<bool, StoreError> {
    state(tx, source).await?;
    let sql = "UPDATE source_state SET next_fetch_at = $3 WHERE source = $1 AND next_fetch_at <= $2";
    Ok(run(&tx.tx, sql, [source.into(), wall.0.into(), wall.plus(pause).0.into()]).await? > 0)
}

/// Nobody asks a source before `until`: it said so itself.
pub async fn ask_not_before(tx: &Tx, source: &str, until: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE source_state SET next_fetch_at = $2 WHERE source = $1 AND next_fetch_at < $2";
    run(&tx.tx, sql, [source.into(), until.0.into()]).await?;
    Ok(())
}

/// Notes that a fetch is done.
pub async fn finish_fetch(tx: &Tx, fetch: &Fetch) -> Result<(), StoreError> {
    set_fetch(tx, fetch, "done", None, None).await
}

/// Notes that a fetch failed, and when it is tried again.
pub async fn retry_fetch(tx: &Tx, fetch: &Fetch, next: Timestamp, error: &str) -> Result<(), StoreError> {
    set_fetch(tx, fetch, "waiting", Some(next), Some(error)).await
}

/// Notes that a fetch was set aside for a person.
pub async fn set_fetch_aside(tx: &Tx, fetch: &Fetch, error: &str) -> Result<(), StoreError> {
    set_fetch(tx, fetch, "parked", None, Some(error)).await
}

async fn set_fetch(
    tx: &Tx,
    fetch: &Fetch,
    state: &str,
    next: Option<Timestamp>,
    error: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE fetches SET state = $3, next_try_at = COALESCE($4, next_try_at), last_error = $5 \
               WHERE source = $1 AND id = $2";
    let values = [
        fetch.source.as_str().into(),
        fetch.id.as_str().into(),
        state.into(),
        next.map(|at| at.0).into(),
        error.map(String::from).into(),
    ];
    run(&tx.tx, sql, values).await?;
    Ok(())
}

/// Puts a fetch that was set aside in line again.
pub async fn replay_fetch(tx: &Tx, source: &str, id: &str) -> Result<(), StoreError> {
    let sql = "UPDATE fetches SET state = 'waiting', tries = 0, next_try_at = 0 \
               WHERE source = $1 AND id = $2 AND state = 'parked'";
    run(&tx.tx, sql, [source.into(), id.into()]).await?;
    Ok(())
}
