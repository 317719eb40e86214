//! Attempts that their contract charges as usage.

use crate::bulk::{self, Insert, Kind};
use crate::cases::CaseKey;
use crate::connect::{StoreError, Tx, all, known};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::period::Period;
use verdict_domain::pricing::Counts;
use verdict_domain::time::Timestamp;

/// An attempt as usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Whose.
    pub customer: String,
    /// Its id.
    pub id: String,
    /// Its action.
    pub action: String,
    /// When it ended.
    pub at: Timestamp,
    /// What its model cost, in nanos; `None` where that is unknown.
    pub cost_nanos: Option<i64>,
    /// The currency of the cost.
    pub currency: String,
    /// Whether the sender estimated its tokens.
    pub estimated: bool,
    /// Where the cost is from.
    pub price_source: Option<String>,
}

/// The attempts of cases that are not recorded as usage.
pub async fn unrecorded(tx: &Tx, keys: &[&CaseKey]) -> Result<Vec<Attempt>, StoreError> {
    read(tx, keys, "WHERE u.attempt_id IS NULL").await
}

/// All attempts of cases, as they would be recorded.
pub async fn of_cases(tx: &Tx, keys: &[CaseKey]) -> Result<Vec<Attempt>, StoreError> {
    read(tx, &keys.iter().collect::<Vec<_>>(), "").await
}

async fn read(tx: &Tx, keys: &[&CaseKey], which: &str) -> Result<Vec<Attempt>, StoreError> {
    let select = format!(
        "SELECT a.customer, a.id, a.action, a.ended_at, a.model_cost_nanos, a.cost_currency, a.usage_estimated, a.price_source \
         FROM keys JOIN attempts a {} ON a.customer = keys.customer AND a.case_id = keys.key \
         LEFT JOIN usage u ON u.customer = a.customer AND u.attempt_id = a.id {which}",
        bulk::by_case(&tx.tx, "attempts")
    );
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(|key| key.parts()), &select).await?;
    rows.iter()
        .map(|row| {
            let estimated: i64 = row.try_get_by_index(6)?;
            Ok(Attempt {
                customer: row.try_get_by_index(0)?,
                id: row.try_get_by_index(1)?,
                action: row.try_get_by_index(2)?,
                at: Timestamp(row.try_get_by_index(3)?),
                cost_nanos: row.try_get_by_index(4)?,
                currency: row.try_get_by_index(5)?,
                estimated: estimated != 0,
                price_source: row.try_get_by_index(7)?,
            })
        })
        .collect()
}

/// Records usage, each with the contract version that charges it. A cost in another currency than the contract's is to be given as
/// unknown.
pub async fn record(tx: &Tx, usage: &[(Attempt, u32)], now: Timestamp) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "usage",
        columns: &[
            ("customer", Kind::Text),
            ("attempt_id", Kind::Text),
            ("action", Kind::Text),
            ("contract_version", Kind::Int),
            ("at", Kind::Int),
            ("cost_nanos", Kind::IntOrNull),
            ("estimated", Kind::Int),
            ("price_source", Kind::TextOrNull),
            ("recorded_at", Kind::Int),
        ],
        on_conflict: "ON CONFLICT (customer, attempt_id) DO NOTHING",
        returning: "",
    };
    let mut sorted: Vec<&(Attempt, u32)> = usage.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    let row = |(attempt, version): &(Attempt, u32)| -> Vec<Value> {
        vec![
            attempt.customer.as_str().into(),
            attempt.id.as_str().into(),
            attempt.action.as_str().into(),
            i64::from(*version).into(),
            attempt.at.0.into(),
            attempt.cost_nanos.into(),
            i64::from(attempt.estimated).into(),
            attempt.price_source.clone().into(),
            now.0.into(),
        ]
    };
    bulk::insert(&tx.tx, &INSERT, sorted.into_iter().map(row).collect()).await?;
    Ok(())
}

/// What [`add_counted`] reads of usage (of the table `u`), and what it is to be grouped by.
pub(crate) const COUNTED: &str = "u.contract_version, u.action, u.price_source, COUNT(*), COUNT(u.cost_nanos), \
     CAST(COALESCE(SUM(u.cost_nanos), 0) AS BIGINT), \
     CAST(COALESCE(SUM(CASE WHEN u.estimated = 0 AND u.cost_nanos IS NOT NULL THEN 1 ELSE 0 END), 0) AS BIGINT), \
     CAST(COALESCE(SUM(CASE WHEN u.estimated = 0 THEN u.cost_nanos ELSE 0 END), 0) AS BIGINT)";
pub(crate) const COUNTED_BY: &str = "u.contract_version, u.action, u.price_source";

/// Adds a row of [`COUNTED`] columns, which begin at `from`.
pub(crate) fn add_counted(
    row: &QueryResult,
    from: usize,
    counted: &mut BTreeMap<u32, Counts>,
) -> Result<(), StoreError> {
    let version: i64 = row.try_get_by_index(from)?;
    let version = known(u32::try_from(version).ok(), "version", "of usage")?;
    let counts = counted.entry(version).or_default();
    let used = counts.usage.entry(row.try_get_by_index(from + 1)?).or_default();
    let add = |to: &mut i64, at: usize| -> Result<i64, StoreError> {
        let more: i64 = row.try_get_by_index(from + at)?;
        *to = to
            .checked_add(more)
            .ok_or_else(|| StoreError::Refused("the usage of a period overflows".into()))?;
        Ok(more)
    };
    add(&mut used.requests, 3)?;
    let known = add(&mut used.known, 4)?;
    add(&mut used.cost, 5)?;
    add(&mut used.marked, 6)?;
    add(&mut used.marked_cost, 7)?;
    let source: Option<String> = row.try_get_by_index(from + 2)?;
    used.sources.extend(source.filter(|_| known > 0));
    Ok(())
}

/// Adds what usage of a customer's period is on documents, by contract version and action. What is older than the first period
/// belongs to the first.
pub(crate) async fn count(
    tx: &Tx,
    customer: &str,
    period: Period,
    counted: &mut BTreeMap<u32, Counts>,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT {COUNTED} FROM usage u WHERE u.customer = $1 AND u.invoice_id IS NOT NULL AND u.at < $3 AND u.at >= \
         CASE WHEN EXISTS (SELECT 1 FROM periods e WHERE e.customer = $1 AND e.start_at < $2) \
         THEN CAST($2 AS BIGINT) ELSE 0 END GROUP BY {COUNTED_BY}"
    );
    let values = [customer.into(), period.start.0.into(), period.end.0.into()];
    for row in all(&tx.tx, &sql, values).await? {
        add_counted(&row, 0, counted)?;
    }
    Ok(())
}
