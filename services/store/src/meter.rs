//! Meter events: what Stripe's meters are told of settled outcomes, and what is taken back.

use crate::bulk::{self, Insert, Kind};
use crate::cases::CaseKey;
use crate::connect::{StoreError, Tx, all, run};
use sea_orm::Value;
use verdict_domain::time::Timestamp;

/// A meter event that a charge owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose case.
    pub key: CaseKey,
    /// Which row of the case's ledger.
    pub seq: i64,
    /// The meter event's name at Stripe.
    pub name: String,
    /// When the outcome takes effect.
    pub at: Timestamp,
    /// Whether its customer is known at Stripe.
    pub linked: bool,
}

/// Records what charges owe, in their transaction. They must be sorted by their keys.
pub async fn owe(tx: &Tx, owed: &[Owed]) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "meter_events",
        columns: &[
            ("customer", Kind::Text),
            ("case_id", Kind::Text),
            ("seq", Kind::Int),
            ("name", Kind::Text),
            ("at", Kind::Int),
            ("wanted", Kind::Int),
            ("state", Kind::Text),
            ("tries", Kind::Int),
            ("next_try_at", Kind::Int),
        ],
        on_conflict: "",
        returning: "",
    };
    let row = |one: &Owed| -> Vec<Value> {
        vec![
            one.key.customer.as_str().into(),
            one.key.case.as_str().into(),
            one.seq.into(),
            one.name.as_str().into(),
            one.at.0.into(),
            1_i64.into(),
            if one.linked { "owed" } else { "unlinked" }.into(),
            0_i64.into(),
            0_i64.into(),
        ]
    };
    bulk::insert(&tx.tx, &INSERT, owed.iter().map(row).collect()).await?;
    Ok(())
}

/// Takes back the event of an outcome, in the transaction of the charge that reverses it. What Stripe certainly has not
/// got is never sent; the rest is cancelled there.
pub async fn take_back(tx: &Tx, key: &CaseKey, seq: i64) -> Result<(), StoreError> {
    let sql = "UPDATE meter_events SET wanted = 0, \
               state = CASE WHEN unsure_since IS NULL AND state IN ('unlinked', 'owed', 'parked') AND sent_at IS NULL \
               THEN 'cancelled' ELSE state END, \
               next_try_at = CASE WHEN state = 'sent' THEN 0 ELSE next_try_at END \
               WHERE customer = $1 AND case_id = $2 AND seq = $3";
    run(&tx.tx, sql, [key.customer.as_str().into(), key.case.as_str().into(), seq.into()]).await?;
    Ok(())
}

/// A meter event that has something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterEvent {
    /// Whose case.
    pub key: CaseKey,
    /// Which row of the case's ledger.
    pub seq: i64,
    /// The meter event's name at Stripe.
    pub name: String,
    /// When the outcome takes effect.
    pub at: Timestamp,
    /// `false`: the outcome was taken back.
    pub wanted: bool,
    /// The earliest moment at which Stripe may have had it; `None` while it is to be sent.
    pub sent_at: Option<Timestamp>,
    /// The first try whose end is not known.
    pub unsure_since: Option<Timestamp>,
    /// How often it was tried.
    pub tries: i64,
    /// Stripe's customer, unless there is none or it was deleted.
    pub stripe_customer: Option<String>,
}

/// The events that are due, at most `limit`.
pub async fn due(tx: &Tx, now: Timestamp, limit: u32) -> Result<Vec<MeterEvent>, StoreError> {
    let sql = "SELECT m.customer, m.case_id, m.seq, m.name, m.at, m.wanted, m.sent_at, m.unsure_since, m.tries, \
               CASE WHEN s.deleted_at IS NULL THEN s.stripe_customer END \
               FROM meter_events m LEFT JOIN stripe_customers s ON s.customer = m.customer \
               WHERE (m.state = 'owed' OR (m.state = 'sent' AND m.wanted = 0)) AND m.next_try_at <= $1 \
               ORDER BY m.next_try_at LIMIT $2";
    let rows = all(&tx.tx, sql, [now.0.into(), i64::from(limit).into()]).await?;
    rows.iter()
        .map(|row| {
            let (sent_at, unsure_since): (Option<i64>, Option<i64>) =
                (row.try_get_by_index(6)?, row.try_get_by_index(7)?);
            Ok(MeterEvent {
                key: CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? },
                seq: row.try_get_by_index(2)?,
                name: row.try_get_by_index(3)?,
                at: Timestamp(row.try_get_by_index(4)?),
                wanted: row.try_get_by_index::<i64>(5)? != 0,
                sent_at: sent_at.map(Timestamp),
                unsure_since: unsure_since.map(Timestamp),
                tries: row.try_get_by_index(8)?,
                stripe_customer: row.try_get_by_index(9)?,
            })
        })
        .collect()
}

async fn update(
    tx: &Tx,
    event: &MeterEvent,
    set: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<(), StoreError> {
    // `set` is one of the texts below. Who was overtaken by another process changes nothing: the other goes on.
    let sql = format!(
        "UPDATE meter_events SET {set} WHERE customer = $1 AND case_id = $2 AND seq = $3 AND tries = $4 \
         AND state IN ('owed', 'sent')"
    );
    let key = [
        event.key.customer.as_str().into(),
        event.key.case.as_str().into(),
        event.seq.into(),
        event.tries.into(),
    ];
    run(&tx.tx, &sql, key.into_iter().chain(values)).await?;
    Ok(())
}

/// Leases an event that is about to be sent or cancelled, and counts the try. Commit before the call.
pub async fn lease(
    tx: &Tx,
    event: &mut MeterEvent,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<(), StoreError> {
    let set = "tries = tries + 1, next_try_at = $5, unsure_since = COALESCE(unsure_since, $6)";
    update(tx, event, set, [leased_until.0.into(), now.0.into()]).await?;
    event.tries += 1;
    Ok(())
}

/// Stripe has it, not before `since`. One that was taken back meanwhile is due to be cancelled.
pub async fn set_sent(tx: &Tx, event: &MeterEvent, since: Timestamp) -> Result<(), StoreError> {
    let set = "state = 'sent', sent_at = $5, unsure_since = NULL, tries = 0, next_try_at = 0, reason = NULL";
    update(tx, event, set, [since.0.into()]).await
}

/// Stripe has cancelled it.
pub async fn set_cancelled(tx: &Tx, event: &MeterEvent) -> Result<(), StoreError> {
    update(tx, event, "state = 'cancelled', unsure_since = NULL, reason = NULL", []).await
}

/// It is to be tried again. `unsure_since` is the first try whose end is not known: with none, one that was taken back
/// meanwhile need not be sent.
pub async fn retry(
    tx: &Tx,
    event: &MeterEvent,
    next_try_at: Timestamp,
    unsure_since: Option<Timestamp>,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let set = "next_try_at = $5, unsure_since = $6, reason = $7, state = CASE WHEN wanted = 0 AND state = 'owed' \
               AND CAST($6 AS BIGINT) IS NULL THEN 'cancelled' ELSE state END";
    let unsure = unsure_since.map(|at| at.0);
    update(tx, event, set, [next_try_at.0.into(), unsure.into(), reason.map(String::from).into()]).await
}

/// It waits until its customer is linked.
pub async fn set_unlinked(tx: &Tx, event: &MeterEvent) -> Result<(), StoreError> {
    update(tx, event, "state = 'unlinked'", []).await
}

/// It is set aside for a person.
pub async fn set_aside(tx: &Tx, event: &MeterEvent, reason: &str) -> Result<(), StoreError> {
    update(tx, event, "state = 'parked', reason = $5", [reason.into()]).await
}

/// Puts a customer's events that waited for it to be linked in line.
pub async fn set_linked(tx: &Tx, customer: &str) -> Result<(), StoreError> {
    let sql =
        "UPDATE meter_events SET state = 'owed', next_try_at = 0 WHERE customer = $1 AND state = 'unlinked'";
    run(&tx.tx, sql, [customer.into()]).await?;
    Ok(())
}

/// A person has looked at what was set aside: what is wanted is sent again, under new keys, and what was taken back counts
/// as settled.
pub async fn replay(tx: &Tx, key: &CaseKey, seq: i64, tries_per_key: i64) -> Result<(), StoreError> {
    let sql = "UPDATE meter_events SET state = CASE WHEN wanted = 0 THEN 'cancelled' ELSE 'owed' END, \
               unsure_since = NULL, tries = tries + $4, next_try_at = 0 \
               WHERE customer = $1 AND case_id = $2 AND seq = $3 AND state = 'parked'";
    let values = [key.customer.as_str().into(), key.case.as_str().into(), seq.into(), tries_per_key.into()];
    run(&tx.tx, sql, values).await?;
    Ok(())
}
