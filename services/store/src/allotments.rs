//! Which outcomes of a period are free: which periods must be looked at, what they hold, and the marks on their charges.

use crate::bulk::{self, Insert, Kind};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use sea_orm::{QueryResult, Value};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::judge::WinKind;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Free, Standing};
use verdict_domain::time::Timestamp;

/// Marks the periods of customers that contain these moments, in the transaction of what changed them.
pub async fn mark(tx: &Tx, moments: impl Iterator<Item = (String, Timestamp)>) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "periods_to_allot",
        columns: &[("customer", Kind::Text), ("at", Kind::Int)],
        on_conflict: "",
        returning: "",
    };
    // Of one day the first and the last: no period begins and ends between them.
    let mut days: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    for (customer, at) in moments {
        let (first, last) = days.entry((customer, at.day())).or_insert((at.0, at.0));
        (*first, *last) = ((*first).min(at.0), (*last).max(at.0));
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for ((customer, _), (first, last)) in days {
        for at in BTreeSet::from([first, last]) {
            rows.push(vec![customer.as_str().into(), at.into()]);
        }
    }
    bulk::insert(&tx.tx, &INSERT, rows).await?;
    Ok(())
}

/// Marks all periods of a customer: its contract changed.
pub(crate) async fn mark_all(tx: &Tx, customer: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO periods_to_allot (customer, at) \
               SELECT customer, start_at FROM periods WHERE customer = $1 ORDER BY start_at";
    run(&tx.tx, sql, [customer.into()]).await?;
    Ok(())
}

/// The next customer with a mark, after the one given.
pub async fn next_customer(store: &Store, after: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT MIN(customer) FROM periods_to_allot WHERE customer > $1";
    match one(&store.db, sql, [after.into()]).await? {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Ok(None),
    }
}

/// A period of which it must be told which outcomes are free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAllot {
    /// Its bounds.
    pub period: Period,
    /// The origins of its outcomes are from then on: what is older than the first period belongs to the first.
    pub from: Timestamp,
    /// Whether it was closed as a trial; `None` while it is open.
    pub closed_as_trial: Option<bool>,
}

/// Takes a customer's marked periods; the marks go with the transaction. A mark whose period is not opened yet stays.
pub async fn take(tx: &Tx, customer: &str) -> Result<Vec<ToAllot>, StoreError> {
    let sql = "DELETE FROM periods_to_allot WHERE customer = $1 \
               AND at < (SELECT MAX(end_at) FROM periods WHERE customer = $1) RETURNING at";
    let mut moments: Vec<i64> = Vec::new();
    for row in all(&tx.tx, sql, [customer.into()]).await? {
        moments.push(row.try_get_by_index(0)?);
    }
    let sql = "SELECT start_at, end_at, closed_at, trial FROM periods WHERE customer = $1 ORDER BY start_at";
    let mut periods: Vec<ToAllot> = Vec::new();
    for row in all(&tx.tx, sql, [customer.into()]).await? {
        let (start, end) = (Timestamp(row.try_get_by_index(0)?), Timestamp(row.try_get_by_index(1)?));
        let (closed_at, trial): (Option<i64>, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        periods.push(ToAllot {
            period: Period { start, end },
            from: if periods.is_empty() { Timestamp(i64::MIN) } else { start },
            closed_as_trial: closed_at.map(|_| trial != 0),
        });
    }
    let holds = |of: &ToAllot, at: i64| of.from.0 <= at && at < of.period.end.0;
    periods.retain(|of| moments.iter().any(|at| holds(of, *at)));
    Ok(periods)
}

/// The bounds of a period, as the first three placeholders.
fn bounds(customer: &str, of: &ToAllot) -> [Value; 3] {
    [customer.into(), of.from.0.into(), of.period.end.0.into()]
}

const IN_PERIOD: &str = "c.customer = $1 AND c.origin_at >= $2 AND c.origin_at < $3";

/// Marks all that is charged in a period as of a trial, or takes such marks away, and has the cases judged again. Answers by how
/// much that moves the revenue: what is in a trial counts none.
pub async fn mark_trial(
    tx: &Tx,
    customer: &str,
    of: &ToAllot,
    trial: bool,
) -> Result<BTreeMap<(String, Cell), Figures>, StoreError> {
    let (differs, sign, free) = match trial {
        true => ("(c.free IS NULL OR c.free <> 'trial')", -1, "'trial'"),
        false => ("c.free = 'trial'", 1, "NULL"),
    };
    let sql = format!(
        "SELECT c.effective_at / 86400000000, o.agent, o.model, c.action, c.currency, CAST(SUM(c.amount_nanos) AS BIGINT) \
         FROM charges c JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         WHERE {IN_PERIOD} AND {differs} \
         GROUP BY c.effective_at / 86400000000, o.agent, o.model, c.action, c.currency"
    );
    let mut moved = BTreeMap::new();
    for row in all(&tx.tx, &sql, bounds(customer, of)).await? {
        let cell = Cell {
            day: row.try_get_by_index(0)?,
            agent: row.try_get_by_index(1)?,
            provider: "-".into(),
            model: row.try_get_by_index(2)?,
            action: row.try_get_by_index(3)?,
            currency: row.try_get_by_index(4)?,
            bucket: Bucket::Revenue,
            reason: "-".into(),
        };
        let listed: i64 = row.try_get_by_index(5)?;
        let revenue_nanos = listed.checked_mul(sign);
        let revenue_nanos = revenue_nanos
            .ok_or_else(|| StoreError::Refused(format!("the revenue of `{customer}` overflows")))?;
        moved.insert((customer.to_string(), cell), Figures { revenue_nanos, ..Figures::default() });
    }
    if moved.is_empty() {
        return Ok(moved);
    }
    let sql = format!(
        "INSERT INTO cases_to_judge (customer, case_id) SELECT DISTINCT c.customer, c.case_id FROM charges c \
         WHERE {IN_PERIOD} AND {differs} ORDER BY c.customer, c.case_id"
    );
    run(&tx.tx, &sql, bounds(customer, of)).await?;
    let sql = format!("UPDATE charges AS c SET free = {free} WHERE {IN_PERIOD} AND {differs}");
    run(&tx.tx, &sql, bounds(customer, of)).await?;
    Ok(moved)
}

/// Whether any charge of a period is marked.
pub async fn is_any_free(tx: &Tx, customer: &str, of: &ToAllot) -> Result<bool, StoreError> {
    let sql = format!("SELECT 1 FROM charges c WHERE {IN_PERIOD} AND c.free IS NOT NULL LIMIT 1");
    Ok(one(&tx.tx, &sql, bounds(customer, of)).await?.is_some())
}

/// A charge of a period, with its mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// Which row of the case's ledger.
    pub seq: i64,
    /// The outcome.
    pub outcome: Standing,
    /// Whether nothing took it back.
    pub stands: bool,
    /// Why it is not billed, as marked.
    pub free: Option<Free>,
}

/// How many charges one statement reads.
const PAGE: i64 = 10_000;

/// The charges of a period (no voids or corrections) that stand or are marked, in no order that means anything.
pub async fn charges(tx: &Tx, customer: &str, of: &ToAllot) -> Result<Vec<Marked>, StoreError> {
    // What is taken back by a row that is taken back itself stands.
    let sql = format!(
        "SELECT c.origin_at, c.case_id, c.seq, o.episode, c.contract_version, c.action, c.win, c.amount_nanos, \
         c.effective_at, c.free, CASE WHEN EXISTS (SELECT 1 FROM outcomes r WHERE r.customer = c.customer \
         AND r.case_id = c.case_id AND r.reverses = c.seq AND NOT EXISTS (SELECT 1 FROM outcomes b \
         WHERE b.customer = r.customer AND b.case_id = r.case_id AND b.reverses = r.seq)) THEN 'no' ELSE 'yes' END \
         FROM charges c JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         WHERE {IN_PERIOD} AND o.kind = 'charge' AND (c.origin_at, c.case_id, c.seq) > ($4, $5, $6) \
         ORDER BY c.origin_at, c.case_id, c.seq LIMIT $7"
    );
    let mut charges = Vec::new();
    let (mut from, mut after) = (of.from.0, (i64::MIN, String::new(), 0_i64));
    loop {
        let bounds = [customer.into(), from.into(), of.period.end.0.into()];
        let (at, case, seq) = &after;
        let after_values: [Value; 4] = [(*at).into(), case.as_str().into(), (*seq).into(), PAGE.into()];
        let rows = all(&tx.tx, &sql, bounds.into_iter().chain(after_values)).await?;
        let Some(last) = rows.last() else { return Ok(charges) };
        after = (last.try_get_by_index(0)?, last.try_get_by_index(1)?, last.try_get_by_index(2)?);
        from = after.0;
        for row in &rows {
            let charge = read(row)?;
            if charge.stands || charge.free.is_some() {
                charges.push(charge);
            }
        }
    }
}

fn read(row: &QueryResult) -> Result<Marked, StoreError> {
    let (version, win): (i64, String) = (row.try_get_by_index(4)?, row.try_get_by_index(6)?);
    let (free, stands): (Option<String>, String) = (row.try_get_by_index(9)?, row.try_get_by_index(10)?);
    Ok(Marked {
        seq: row.try_get_by_index(2)?,
        outcome: Standing {
            effective_at: Timestamp(row.try_get_by_index(8)?),
            case: row.try_get_by_index(1)?,
            episode: row.try_get_by_index(3)?,
            contract_version: known(u32::try_from(version).ok(), "version", "of a charge")?,
            action: row.try_get_by_index(5)?,
            win: known(WinKind::parse(&win), "win", &win)?,
            listed: row.try_get_by_index(7)?,
        },
        stands: stands == "yes",
        free: read_free(free)?,
    })
}

pub(crate) fn read_free(free: Option<String>) -> Result<Option<Free>, StoreError> {
    free.map(|free| known(Free::parse(&free), "free", &free)).transpose()
}

/// Marks charges of a customer, by case and row, and has the cases judged again.
pub async fn mark_free(
    tx: &Tx,
    customer: &str,
    changed: &[(&str, i64, Option<Free>)],
) -> Result<(), StoreError> {
    // By mark and row of the ledger: few, for most cases have few rows.
    let mut by_mark: BTreeMap<(Option<Free>, i64), Vec<&str>> = BTreeMap::new();
    for (case, seq, free) in changed {
        by_mark.entry((*free, *seq)).or_default().push(case);
    }
    for ((free, seq), mut cases) in by_mark {
        let free = free.map_or("NULL".into(), |free| format!("'{}'", free.as_str()));
        let update = format!(
            "UPDATE charges SET free = {free} FROM keys \
             WHERE charges.customer = keys.customer AND charges.case_id = keys.key AND charges.seq = {seq}"
        );
        cases.sort_unstable();
        bulk::select_by_keys(&tx.tx, cases.iter().map(|case| (customer, *case)), &update).await?;
    }
    let key = |case: &str| CaseKey { customer: customer.into(), case: case.into() };
    cases::mark_to_judge(tx, changed.iter().map(|(case, ..)| key(case)).collect()).await
}

/// The marks on the charges of cases, by row; cases without any are absent.
pub async fn marks(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, BTreeMap<i64, Free>>, StoreError> {
    let select = "SELECT c.customer, c.case_id, c.seq, c.free FROM keys \
                  JOIN charges c ON c.customer = keys.customer AND c.case_id = keys.key WHERE c.free IS NOT NULL";
    let mut marks: BTreeMap<CaseKey, BTreeMap<i64, Free>> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), select).await? {
        let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
        if let Some(free) = read_free(row.try_get_by_index(3)?)? {
            marks.entry(key).or_default().insert(row.try_get_by_index(2)?, free);
        }
    }
    Ok(marks)
}
