//! Contract versions, and the billing periods opened under them.

use crate::connect::{Store, StoreError, Tx, all, from_json, one, run, to_json};
use crate::{allotments, bulk, cases, ledger, parked};
use sea_orm::ConnectionTrait;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::Contract;
use verdict_domain::period::Period;
use verdict_domain::pricing::may_be_free;
use verdict_domain::time::Timestamp;

/// What became of a contract version that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is in force from its `effective_from` on.
    Recorded,
    /// The very same version is there already.
    Unchanged,
    /// A charge or a period rests on the version that is there: it cannot change.
    Used,
    /// Another version bills in another currency: a customer has one.
    OtherCurrency,
    /// Another version goes to Stripe another way: what is billed twice, or not at all, at the change could not be told.
    OtherWay,
}

/// Records a contract version, and has all of the customer's cases and unpriced outcomes looked at again.
pub async fn put(tx: &Tx, contract: &Contract, now: Timestamp) -> Result<Put, StoreError> {
    // Nothing is judged, priced or opened meanwhile, and of two versions put at once the second sees the first.
    tx.claim("judge").await?;
    tx.claim("rate").await?;
    tx.claim("open").await?;
    let versions = of_customer(&tx.tx, &contract.customer).await?;
    let (customer, version) = (contract.customer.as_str(), i64::from(contract.version));
    if versions.iter().any(|other| other.version != contract.version && other.currency != contract.currency) {
        return Ok(Put::OtherCurrency);
    }
    // A trial goes to Stripe no way.
    let other_way = |other: &Contract| {
        !other.shadow && !contract.shadow && other.stripe.through != contract.stripe.through
    };
    if versions.iter().any(|other| other.version != contract.version && other_way(other)) {
        return Ok(Put::OtherWay);
    }
    if let Some(there) = versions.iter().find(|there| there.version == contract.version) {
        if there == contract {
            return Ok(Put::Unchanged);
        }
        let used = "SELECT 1 WHERE EXISTS (SELECT 1 FROM charges WHERE customer = $1 AND contract_version = $2) \
                    OR EXISTS (SELECT 1 FROM periods WHERE customer = $1 AND contract_version = $2) \
                    OR EXISTS (SELECT 1 FROM usage WHERE customer = $1 AND contract_version = $2)";
        if one(&tx.tx, used, [customer.into(), version.into()]).await?.is_some() {
            return Ok(Put::Used);
        }
    }
    let sql = "INSERT INTO contracts (customer, version, effective_from, body, recorded_at) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (customer, version) DO UPDATE SET \
               effective_from = excluded.effective_from, body = excluded.body, recorded_at = excluded.recorded_at";
    let body = to_json("contract", contract)?;
    let values =
        [customer.into(), version.into(), contract.effective_from.0.into(), body.into(), now.0.into()];
    run(&tx.tx, sql, values).await?;
    cases::mark_all_to_judge(tx, customer).await?;
    ledger::mark_unpriced_to_rate(tx, customer).await?;
    parked::reconsider_outcomes(tx, customer, now).await?;
    if may_be_free(&versions) || may_be_free(std::slice::from_ref(contract)) {
        allotments::mark_all(tx, customer).await?;
    }
    Ok(Put::Recorded)
}

/// All versions of the contracts of these customers.
pub async fn of_customers<'a>(
    tx: &Tx,
    customers: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Vec<Contract>>, StoreError> {
    let customers: BTreeSet<&str> = customers.collect();
    let select = "SELECT c.body FROM keys JOIN contracts c ON c.customer = keys.customer";
    let rows = bulk::select_by_keys(&tx.tx, customers.iter().map(|customer| (*customer, "")), select).await?;
    let mut contracts: BTreeMap<String, Vec<Contract>> = BTreeMap::new();
    for contract in read(rows)? {
        contracts.entry(contract.customer.clone()).or_default().push(contract);
    }
    Ok(contracts)
}

async fn of_customer(on: &impl ConnectionTrait, customer: &str) -> Result<Vec<Contract>, StoreError> {
    read(all(on, "SELECT body FROM contracts WHERE customer = $1 ORDER BY version", [customer.into()]).await?)
}

/// All contracts, by customer and version.
pub async fn list(store: &Store) -> Result<Vec<Contract>, StoreError> {
    read(all(&store.db, "SELECT body FROM contracts ORDER BY customer, version", []).await?)
}

/// The same within a transaction.
pub async fn list_in(tx: &Tx) -> Result<Vec<Contract>, StoreError> {
    read(all(&tx.tx, "SELECT body FROM contracts ORDER BY customer, version", []).await?)
}

fn read(rows: Vec<sea_orm::QueryResult>) -> Result<Vec<Contract>, StoreError> {
    rows.iter().map(|row| from_json("contract", &row.try_get_by_index::<String>(0)?)).collect()
}

/// The end of each customer's latest period.
pub async fn latest_periods(tx: &Tx) -> Result<BTreeMap<String, Timestamp>, StoreError> {
    let rows = all(&tx.tx, "SELECT customer, MAX(end_at) FROM periods GROUP BY customer", []).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, Timestamp(row.try_get_by_index(1)?)))).collect()
}

/// Opens a period: its bounds are stored, once. `false` if it is open already.
pub async fn open_period(
    tx: &Tx,
    contract: &Contract,
    period: Period,
    closes_at: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO periods (customer, start_at, end_at, closes_at, contract_version) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (customer, start_at) DO NOTHING";
    let values = [
        contract.customer.as_str().into(),
        period.start.0.into(),
        period.end.0.into(),
        closes_at.0.into(),
        i64::from(contract.version).into(),
    ];
    Ok(run(&tx.tx, sql, values).await? > 0)
}

/// A period that is over and waits to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePeriod {
    /// Whose period.
    pub customer: String,
    /// Its bounds.
    pub period: Period,
    /// The end of its grace.
    pub closes_at: Timestamp,
}

/// The periods to close at `now`: of each customer the oldest that is open, so that a later one never takes the charges
/// of one before it that still waits. What is judged and woken is taken in order, whosever it is: while something is left that
/// comes before a period's mark, or was due before it closes, the period is not looked at one by one with a thousand others.
pub async fn periods_to_close(tx: &Tx, now: Timestamp, limit: u32) -> Result<Vec<DuePeriod>, StoreError> {
    let sql = "SELECT customer, start_at, end_at, closes_at FROM periods p \
               WHERE closed_at IS NULL AND closes_at <= $1 AND NOT EXISTS (SELECT 1 FROM periods earlier \
               WHERE earlier.customer = p.customer AND earlier.start_at < p.start_at AND earlier.closed_at IS NULL) \
               AND NOT EXISTS (SELECT 1 FROM cases_to_judge j WHERE j.id <= p.judge_mark) \
               AND NOT EXISTS (SELECT 1 FROM cases c WHERE c.wake_at <= p.closes_at) \
               ORDER BY closes_at, customer LIMIT $2";
    let rows = all(&tx.tx, sql, [now.0.into(), i64::from(limit).into()]).await?;
    rows.iter()
        .map(|row| {
            let (start, end) = (Timestamp(row.try_get_by_index(1)?), Timestamp(row.try_get_by_index(2)?));
            let closes_at = Timestamp(row.try_get_by_index(3)?);
            Ok(DuePeriod { customer: row.try_get_by_index(0)?, period: Period { start, end }, closes_at })
        })
        .collect()
}

/// Whether a period waits to be closed, and nothing that it waits for is left: all facts that were marked when it was
/// first asked are judged, the timers that fell due by the end of its grace have fired, and what came of that
/// is priced. What is marked later does not hold it up, else a customer with steady traffic were never billed.
pub async fn is_ready_to_close(tx: &Tx, due: &DuePeriod) -> Result<bool, StoreError> {
    let key = || [due.customer.as_str().into(), due.period.start.0.into()];
    let sql = "UPDATE periods SET judge_mark = COALESCE(judge_mark, (SELECT MAX(id) FROM cases_to_judge), 0) \
               WHERE customer = $1 AND start_at = $2 AND closed_at IS NULL RETURNING judge_mark";
    let Some(row) = one(&tx.tx, sql, key()).await? else { return Ok(false) };
    let mark: i64 = row.try_get_by_index(0)?;
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM cases_to_judge WHERE customer = $1 AND id <= $2) \
               OR EXISTS (SELECT 1 FROM cases WHERE customer = $1 AND wake_at <= $3)";
    let customer = due.customer.as_str();
    if one(&tx.tx, sql, [customer.into(), mark.into(), due.closes_at.0.into()]).await?.is_some() {
        return Ok(false);
    }
    let sql = "UPDATE periods SET rate_mark = COALESCE(rate_mark, (SELECT MAX(id) FROM outcomes_to_rate), 0) \
               WHERE customer = $1 AND start_at = $2 RETURNING rate_mark";
    let Some(row) = one(&tx.tx, sql, key()).await? else { return Ok(false) };
    let mark: i64 = row.try_get_by_index(0)?;
    let sql = "SELECT 1 FROM outcomes_to_rate WHERE customer = $1 AND id <= $2 LIMIT 1";
    Ok(one(&tx.tx, sql, [customer.into(), mark.into()]).await?.is_none())
}

/// Closes a period.
pub async fn close_period(tx: &Tx, due: &DuePeriod, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE periods SET closed_at = $3 WHERE customer = $1 AND start_at = $2";
    run(&tx.tx, sql, [due.customer.as_str().into(), due.period.start.0.into(), now.0.into()]).await?;
    Ok(())
}

/// Says of a period that it is closed as a trial.
pub async fn set_trial(tx: &Tx, customer: &str, period: Period) -> Result<(), StoreError> {
    let sql = "UPDATE periods SET trial = 1 WHERE customer = $1 AND start_at = $2";
    run(&tx.tx, sql, [customer.into(), period.start.0.into()]).await?;
    Ok(())
}

/// Remembers by how much a period's lines differ from the list prices of its outcomes. Answers by how much more that is than
/// before.
pub async fn set_beyond_list(tx: &Tx, customer: &str, period: Period, nanos: i64) -> Result<i64, StoreError> {
    let sql = "SELECT beyond_list_nanos FROM periods WHERE customer = $1 AND start_at = $2";
    let key = || [customer.into(), period.start.0.into()];
    let row = one(&tx.tx, sql, key()).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt(format!("customer `{customer}` has no such period")))?;
    let before: i64 = row.try_get_by_index(0)?;
    let more = nanos.checked_sub(before);
    let more = more.ok_or_else(|| StoreError::Refused("the revenue of a period overflows".into()))?;
    if more != 0 {
        let sql = "UPDATE periods SET beyond_list_nanos = $3 WHERE customer = $1 AND start_at = $2";
        run(&tx.tx, sql, [customer.into(), period.start.0.into(), nanos.into()]).await?;
    }
    Ok(more)
}
