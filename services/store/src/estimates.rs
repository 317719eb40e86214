//! What periods hold before they are closed. Only reads.

use crate::bulk;
use crate::connect::{StoreError, Tx, all, known, one};
use crate::contracts::DuePeriod;
use crate::ledger::worth;
use crate::usage;
use sea_orm::QueryResult;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::judge::WinKind;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Tally};
use verdict_domain::time::Timestamp;

fn read_period(row: &QueryResult) -> Result<DuePeriod, StoreError> {
    let (start, end) = (Timestamp(row.try_get_by_index(1)?), Timestamp(row.try_get_by_index(2)?));
    let closes_at = Timestamp(row.try_get_by_index(3)?);
    Ok(DuePeriod { customer: row.try_get_by_index(0)?, period: Period { start, end }, closes_at })
}

/// The open periods of these customers, each customer's oldest first.
pub async fn open_periods(tx: &Tx, customers: &BTreeSet<&str>) -> Result<Vec<DuePeriod>, StoreError> {
    let select = "SELECT p.customer, p.start_at, p.end_at, p.closes_at FROM keys \
                  JOIN periods p ON p.customer = keys.customer AND p.closed_at IS NULL \
                  ORDER BY p.customer, p.start_at";
    let rows = bulk::select_by_keys(&tx.tx, customers.iter().map(|customer| (*customer, "")), select).await?;
    rows.iter().map(read_period).collect()
}

/// The closed periods of a customer, trials or not, that charges and usage on no invoice belong to, the oldest first. What is older
/// than the first period belongs to the first.
pub async fn touched_periods(tx: &Tx, customer: &str, trial: bool) -> Result<Vec<DuePeriod>, StoreError> {
    let sql = "SELECT p.customer, p.start_at, p.end_at, p.closes_at FROM charges c \
               JOIN periods p ON p.customer = c.customer AND c.origin_at < p.end_at AND (p.start_at <= c.origin_at \
               OR p.start_at = (SELECT MIN(start_at) FROM periods WHERE customer = $1)) \
               WHERE c.customer = $1 AND c.invoice_id IS NULL AND p.closed_at IS NOT NULL AND p.trial = $2 \
               UNION SELECT p.customer, p.start_at, p.end_at, p.closes_at FROM usage u \
               JOIN periods p ON p.customer = u.customer AND u.at < p.end_at AND (p.start_at <= u.at \
               OR p.start_at = (SELECT MIN(start_at) FROM periods WHERE customer = $1)) \
               WHERE u.customer = $1 AND u.invoice_id IS NULL AND p.closed_at IS NOT NULL AND p.trial = $2 \
               ORDER BY start_at";
    all(&tx.tx, sql, [customer.into(), i64::from(trial).into()]).await?.iter().map(read_period).collect()
}

/// What periods are charged for by customer and beginning, whether it is invoiced or not, by contract version: outcomes by action and kind,
/// usage by action.
pub async fn counted_so_far(
    tx: &Tx,
    periods: &[DuePeriod],
) -> Result<BTreeMap<(String, Timestamp), BTreeMap<u32, Counts>>, StoreError> {
    let select = "SELECT p.customer, p.start_at, c.contract_version, c.action, c.win, CAST(SUM(c.sign) AS BIGINT), \
                  CAST(SUM(c.amount_nanos) AS BIGINT), CAST(COALESCE(SUM(c.value_nanos / 1000000000), 0) AS BIGINT), CAST(COALESCE(SUM(c.value_nanos % 1000000000), 0) AS BIGINT) \
                  FROM keys JOIN periods p ON p.customer = keys.customer AND p.start_at = CAST(keys.key AS BIGINT) \
                  JOIN charges c ON c.customer = p.customer AND c.origin_at < p.end_at AND c.origin_at >= \
                  CASE WHEN EXISTS (SELECT 1 FROM periods e WHERE e.customer = p.customer AND e.start_at < p.start_at) \
                  THEN p.start_at ELSE 0 END \
                  GROUP BY p.customer, p.start_at, c.contract_version, c.action, c.win";
    let keys: Vec<(&str, String)> =
        periods.iter().map(|due| (due.customer.as_str(), due.period.start.0.to_string())).collect();
    let keys = || keys.iter().map(|(customer, start)| (*customer, start.as_str()));
    let mut counted: BTreeMap<_, BTreeMap<u32, Counts>> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys(), select).await? {
        let key = (row.try_get_by_index::<String>(0)?, Timestamp(row.try_get_by_index(1)?));
        let (version, win): (i64, String) = (row.try_get_by_index(2)?, row.try_get_by_index(4)?);
        let version = known(u32::try_from(version).ok(), "version", "of a charge")?;
        let win = known(WinKind::parse(&win), "win", &win)?;
        let tally = Tally {
            quantity: row.try_get_by_index(5)?,
            listed: row.try_get_by_index(6)?,
            value: worth(&row, 7)?,
        };
        let counts = counted.entry(key).or_default().entry(version).or_default();
        counts.outcomes.insert((row.try_get_by_index(3)?, win), tally);
    }
    let select = format!(
        "SELECT p.customer, p.start_at, {} FROM keys \
         JOIN periods p ON p.customer = keys.customer AND p.start_at = CAST(keys.key AS BIGINT) \
         JOIN usage u ON u.customer = p.customer AND u.at < p.end_at AND u.at >= \
         CASE WHEN EXISTS (SELECT 1 FROM periods e WHERE e.customer = p.customer AND e.start_at < p.start_at) \
         THEN p.start_at ELSE 0 END \
         GROUP BY p.customer, p.start_at, {}",
        usage::COUNTED,
        usage::COUNTED_BY
    );
    for row in bulk::select_by_keys(&tx.tx, keys(), &select).await? {
        let key = (row.try_get_by_index::<String>(0)?, Timestamp(row.try_get_by_index(1)?));
        usage::add_counted(&row, 2, counted.entry(key).or_default())?;
    }
    Ok(counted)
}

/// How many of a customer's cases are pending.
pub async fn pending(tx: &Tx, customer: &str) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM cases WHERE customer = $1 AND verdict = 'pending'";
    match one(&tx.tx, sql, [customer.into()]).await? {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Ok(0),
    }
}
