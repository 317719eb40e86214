//! Which outcomes of a period are free: which periods must be looked at, what they hold, and the marks on their charges.

use crate::bulk::{self, Insert, Kind};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, Tx, all, from_json, known, one, run, to_json};
use sea_orm::{QueryResult, Value};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::judge::WinKind;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Allotment, Free, Standing};
use verdict_domain::time::Timestamp;

/// Marks the periods of customers in which rows of the ledger were priced, in the transaction that prices them. Of each the
/// moment that names its period.
pub async fn mark<'a>(
    tx: &Tx,
    priced: impl Iterator<Item = (&'a CaseKey, i64, Timestamp)>,
) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "periods_to_allot",
        columns: &[("customer", Kind::Text), ("at", Kind::Int), ("case_id", Kind::Text), ("seq", Kind::Int)],
        on_conflict: "",
        returning: "",
    };
    let row = |(key, seq, at): (&CaseKey, i64, Timestamp)| -> Vec<Value> {
        vec![key.customer.as_str().into(), at.0.into(), key.case.as_str().into(), seq.into()]
    };
    bulk::insert(&tx.tx, &INSERT, priced.map(row).collect()).await?;
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

/// Rows of the ledger of one customer, by case.
pub type Rows = BTreeMap<String, BTreeSet<i64>>;

/// A period of which it must be told which outcomes are free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAllot {
    /// Its bounds.
    pub period: Period,
    /// The origins of its outcomes are from then on: what is older than the first period belongs to the first.
    pub from: Timestamp,
    /// Whether it was closed as a trial; `None` while it is open.
    pub closed_as_trial: Option<bool>,
    /// What was priced since the last look; `None`: all of it must be looked at.
    pub priced: Option<Rows>,
}

/// Takes a customer's marked periods; the marks go with the transaction. A mark whose period is not opened yet stays. Nothing must
/// be priced meanwhile: the caller has claimed that step.
pub async fn take(tx: &Tx, customer: &str) -> Result<Vec<ToAllot>, StoreError> {
    let sql = "DELETE FROM periods_to_allot WHERE customer = $1 \
               AND at < (SELECT MAX(end_at) FROM periods WHERE customer = $1) RETURNING at, case_id, seq";
    let mut marks: Vec<(i64, Option<(String, i64)>)> = Vec::new();
    for row in all(&tx.tx, sql, [customer.into()]).await? {
        let (case, seq): (Option<String>, Option<i64>) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        marks.push((row.try_get_by_index(0)?, case.zip(seq)));
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
            priced: Some(Rows::new()),
        });
    }
    for (at, row) in marks {
        // They begin one where the other ends.
        let nth = periods.partition_point(|of| of.period.end.0 <= at);
        let Some(of) = periods.get_mut(nth) else { continue };
        match (row, &mut of.priced) {
            (Some((case, seq)), Some(priced)) => {
                priced.entry(case).or_default().insert(seq);
            }
            _ => of.priced = None,
        }
    }
    periods.retain(|of| of.priced.as_ref().is_none_or(|priced| !priced.is_empty()));
    Ok(periods)
}

/// What was said of a period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// That it is a trial: all is free.
    Trial,
    /// That it is none, and which of its outcomes are free.
    Free(Allotment),
}

/// What was said of a period at the last look; `None`: there was none.
pub async fn said(tx: &Tx, customer: &str, of: &ToAllot) -> Result<Option<Said>, StoreError> {
    let sql = "SELECT said FROM allotments WHERE customer = $1 AND period_start = $2";
    let row = one(&tx.tx, sql, [customer.into(), of.period.start.0.into()]).await?;
    row.map(|row| from_json("said", &row.try_get_by_index::<String>(0)?)).transpose()
}

/// Keeps what is said of a period, beside the marks on its charges.
pub async fn say(tx: &Tx, customer: &str, of: &ToAllot, said: &Said) -> Result<(), StoreError> {
    let sql = "INSERT INTO allotments (customer, period_start, said) VALUES ($1, $2, $3) \
               ON CONFLICT (customer, period_start) DO UPDATE SET said = excluded.said";
    let values = [customer.into(), of.period.start.0.into(), to_json("said", said)?.into()];
    run(&tx.tx, sql, values).await?;
    Ok(())
}

/// The bounds of a period, as the first three placeholders.
fn bounds(customer: &str, of: &ToAllot) -> [Value; 3] {
    [customer.into(), of.from.0.into(), of.period.end.0.into()]
}

const IN_PERIOD: &str = "c.customer = $1 AND c.origin_at >= $2 AND c.origin_at < $3";

/// Marks what is charged in a period as of a trial, or takes such marks away, and has the cases judged again: all of it, or only
/// that of some cases. Answers by how much that moves the revenue: what is in a trial counts none.
pub async fn mark_trial(
    tx: &Tx,
    customer: &str,
    of: &ToAllot,
    cases: Option<&Rows>,
    trial: bool,
) -> Result<BTreeMap<(String, Cell), Figures>, StoreError> {
    let (differs, sign, free) = match trial {
        true => ("(c.free IS NULL OR c.free <> 'trial')", -1, "'trial'"),
        false => ("c.free = 'trial'", 1, "NULL"),
    };
    let (keys, of_case): (Vec<&str>, _) = match cases {
        Some(cases) => (cases.keys().map(String::as_str).collect(), "AND c.case_id = keys.key"),
        None => (vec![""], ""),
    };
    let keys = || keys.iter().map(|key| (customer, *key));
    let charged = format!(
        "c.customer = keys.customer {of_case} AND c.origin_at >= {} AND c.origin_at < {} AND {differs}",
        // One more than the least integer, which has no literal: no outcome is as old as that.
        of.from.0.max(i64::MIN + 1),
        of.period.end.0
    );
    let sql = format!(
        "SELECT c.effective_at / 86400000000, o.agent, o.model, c.action, c.currency, CAST(SUM(c.amount_nanos) AS BIGINT) \
         FROM keys JOIN charges c ON {charged} \
         JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         GROUP BY c.effective_at / 86400000000, o.agent, o.model, c.action, c.currency"
    );
    let mut moved: BTreeMap<(String, Cell), Figures> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys(), &sql).await? {
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
        let sum = moved.entry((customer.to_string(), cell)).or_default();
        let revenue_nanos = listed.checked_mul(sign).and_then(|more| sum.revenue_nanos.checked_add(more));
        sum.revenue_nanos = revenue_nanos
            .ok_or_else(|| StoreError::Refused(format!("the revenue of `{customer}` overflows")))?;
    }
    if moved.is_empty() {
        return Ok(moved);
    }
    let sql = format!(
        "INSERT INTO cases_to_judge (customer, case_id) SELECT DISTINCT c.customer, c.case_id \
         FROM keys JOIN charges c ON {charged} ORDER BY c.customer, c.case_id"
    );
    bulk::select_by_keys(&tx.tx, keys(), &sql).await?;
    let sql = format!("UPDATE charges AS c SET free = {free} FROM keys WHERE {charged}");
    bulk::select_by_keys(&tx.tx, keys(), &sql).await?;
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

/// What of a charge is read: at these places by [`read`].
const MARKED: &str = "c.origin_at, c.case_id, c.seq, o.episode, c.contract_version, c.action, c.win, c.amount_nanos, \
     c.effective_at, c.free";

/// The charges of a period (no voids or corrections) that stand or are marked, in no order that means anything.
pub async fn charges(tx: &Tx, customer: &str, of: &ToAllot) -> Result<Vec<Marked>, StoreError> {
    // What is taken back by a row that is taken back itself stands. A row without a price takes back nothing yet.
    let taken_back = |by: &str, of: &str| {
        format!(
            "SELECT 1 FROM outcomes {by} JOIN charges p{by} \
             ON p{by}.customer = {by}.customer AND p{by}.case_id = {by}.case_id AND p{by}.seq = {by}.seq \
             WHERE {by}.customer = {of}.customer AND {by}.case_id = {of}.case_id AND {by}.reverses = {of}.seq"
        )
    };
    let sql = format!(
        "SELECT {MARKED}, CASE WHEN EXISTS ({} AND NOT EXISTS ({})) THEN 'no' ELSE 'yes' END \
         FROM charges c JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         WHERE {IN_PERIOD} AND o.kind = 'charge' AND (c.origin_at, c.case_id, c.seq) > ($4, $5, $6) \
         ORDER BY c.origin_at, c.case_id, c.seq LIMIT $7",
        taken_back("r", "c"),
        taken_back("b", "r")
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
            let stands: String = row.try_get_by_index(10)?;
            let charge = read(row, stands == "yes")?;
            if charge.stands || charge.free.is_some() {
                charges.push(charge);
            }
        }
    }
}

/// The rows of a case that are priced: what is read of each, which row it takes back, its sign.
type Ledger = BTreeMap<i64, (QueryResult, Option<i64>, i64)>;

/// The charges of which these rows are, or which they take back; and the sum of what the rows are of each: 1 a charge, -1 what takes
/// one back.
pub async fn charges_of(tx: &Tx, customer: &str, rows: &Rows) -> Result<Vec<(Marked, i64)>, StoreError> {
    let select = format!(
        "SELECT {MARKED}, o.kind, o.reverses, c.sign FROM keys \
         JOIN charges c ON c.customer = keys.customer AND c.case_id = keys.key \
         JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq"
    );
    let mut by_case: BTreeMap<String, Ledger> = BTreeMap::new();
    let keys = rows.keys().map(|case| (customer, case.as_str()));
    for row in bulk::select_by_keys(&tx.tx, keys, &select).await? {
        let (case, seq): (String, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let (reverses, sign): (Option<i64>, i64) = (row.try_get_by_index(11)?, row.try_get_by_index(12)?);
        by_case.entry(case).or_default().insert(seq, (row, reverses, sign));
    }
    let mut charges = Vec::new();
    for (case, wanted) in rows {
        let ledger =
            by_case.get(case).ok_or_else(|| StoreError::Corrupt(format!("case `{case}` has no charge")))?;
        let mut by: BTreeMap<i64, i64> = BTreeMap::new();
        for seq in wanted {
            let (mut root, mut row) = (*seq, ledger.get(seq));
            let sign = row.map_or(0, |(.., sign)| *sign);
            while let Some((_, Some(reverses), _)) = row {
                (root, row) = (*reverses, ledger.get(reverses));
            }
            *by.entry(root).or_default() += sign;
        }
        for (seq, by) in by {
            let (row, ..) = ledger
                .get(&seq)
                .ok_or_else(|| StoreError::Corrupt(format!("row {seq} of case `{case}` has no price")))?;
            charges.push((read(row, stands(ledger, seq))?, by));
        }
    }
    Ok(charges)
}

/// Whether a row of a case's ledger stands: nothing that stands takes it back.
fn stands(ledger: &Ledger, seq: i64) -> bool {
    // What takes back is posted after what it takes back, so this ends.
    let mut later = ledger.range(seq.saturating_add(1)..);
    !later.any(|(by, (_, reverses, _))| *reverses == Some(seq) && stands(ledger, *by))
}

fn read(row: &QueryResult, stands: bool) -> Result<Marked, StoreError> {
    let (version, win): (i64, String) = (row.try_get_by_index(4)?, row.try_get_by_index(6)?);
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
        stands,
        free: read_free(row.try_get_by_index(9)?)?,
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
