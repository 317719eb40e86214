//! What model providers billed, as their exports said, and what was recorded beside it. Imports are only appended: of those
//! that tell of a day of a provider the newest counts.

use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all, one};
use crate::figures::{Span, of_attempts};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::time::Timestamp;

/// A file of a provider's costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBill {
    /// Whose costs, by the name that attempts have for it.
    pub provider: String,
    /// The digest of the file, in hexadecimal digits.
    pub sha256: String,
    /// By which columns it was read.
    pub read_as: String,
    /// What it was called.
    pub file: String,
    /// How many lines of it say a cost.
    pub lines: i64,
    /// What it says, by UTC day, model (empty: of none, or of all) and currency: the sum in nanos, and of how many lines.
    pub amounts: BTreeMap<(i64, String, String), (i64, i64)>,
    /// Who brought it.
    pub imported_by: String,
}

/// Appends a bill. `false`: this file was read by these columns for this provider before, and nothing is changed.
pub async fn import(tx: &Tx, bill: &NewBill, now: Timestamp) -> Result<bool, StoreError> {
    const INSERT: Insert = Insert {
        table: "provider_bill_amounts",
        columns: &[
            ("provider", Kind::Text),
            ("day", Kind::Int),
            ("bill_id", Kind::Int),
            ("model", Kind::Text),
            ("currency", Kind::Text),
            ("amount_nanos", Kind::Int),
            ("lines", Kind::Int),
        ],
        on_conflict: "",
        returning: "",
    };
    // One at a time: which is the newest is said by the id.
    tx.claim("provider-bill").await?;
    let sql = "INSERT INTO provider_bills (provider, sha256, read_as, file, lines, imported_by, imported_at) \
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (provider, sha256, read_as) DO NOTHING RETURNING id";
    let values = [
        bill.provider.as_str().into(),
        bill.sha256.as_str().into(),
        bill.read_as.as_str().into(),
        bill.file.as_str().into(),
        bill.lines.into(),
        bill.imported_by.as_str().into(),
        now.0.into(),
    ];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(false) };
    let id: i64 = row.try_get_by_index(0)?;
    let row =
        |((day, model, currency), (nanos, lines)): (&(i64, String, String), &(i64, i64))| -> Vec<Value> {
            vec![
                bill.provider.as_str().into(),
                (*day).into(),
                id.into(),
                model.as_str().into(),
                currency.as_str().into(),
                (*nanos).into(),
                (*lines).into(),
            ]
        };
    bulk::insert(&tx.tx, &INSERT, bill.amounts.iter().map(row).collect()).await?;
    Ok(true)
}

/// What was billed of a day and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    /// The UTC day, counted from 1970-01-01.
    pub day: i64,
    /// The model by the provider's name; empty where it says none.
    pub model: String,
    /// ISO 4217.
    pub currency: String,
    /// The sum of the lines, in nanos.
    pub nanos: i64,
}

/// What a provider billed for the days `[from, to)`, by the bills that count.
pub async fn billed(tx: &Tx, provider: &str, from: i64, to: i64) -> Result<Vec<Billed>, StoreError> {
    let sql = "SELECT b.day, b.model, b.currency, b.amount_nanos FROM provider_bill_amounts b \
               WHERE b.provider = $1 AND b.day >= $2 AND b.day < $3 AND b.bill_id = (SELECT MAX(n.bill_id) \
               FROM provider_bill_amounts n WHERE n.provider = b.provider AND n.day = b.day) \
               ORDER BY b.day, b.model, b.currency";
    let rows = all(&tx.tx, sql, [provider.into(), from.into(), to.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Billed {
                day: row.try_get_by_index(0)?,
                model: row.try_get_by_index(1)?,
                currency: row.try_get_by_index(2)?,
                nanos: row.try_get_by_index(3)?,
            })
        })
        .collect()
}

/// What was recorded of a day and a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The UTC day, counted from 1970-01-01.
    pub day: i64,
    /// The model, by the attempts' name.
    pub model: String,
    /// ISO 4217.
    pub currency: String,
    /// Attempts.
    pub attempts: i64,
    /// Of these, whose model cost is unknown.
    pub unknown_costs: i64,
    /// What the model is known to have cost, in nanos: no tools, no voice.
    pub nanos: i64,
}

/// What the models of a provider cost on the days `[from, to)`: from the roll-ups alone, no attempt is read.
pub async fn recorded(tx: &Tx, provider: &str, from: i64, to: i64) -> Result<Vec<Recorded>, StoreError> {
    let [attempts, unknown, cost, other] =
        ["attempts", "unknown_costs", "cost_nanos", "other_cost_nanos"].map(of_attempts);
    let sql = format!(
        "SELECT day, model, currency, CAST(SUM({attempts}) AS BIGINT), CAST(SUM({unknown}) AS BIGINT), \
         CAST(SUM({cost} - ({other})) AS BIGINT) FROM figures_by_level \
         WHERE level = 'what' AND days = 1 AND provider = $1 AND day >= $2 AND day < $3 GROUP BY day, model, currency \
         HAVING SUM({attempts}) <> 0 ORDER BY day, model, currency"
    );
    let rows = all(&tx.tx, &sql, [provider.into(), from.into(), to.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Recorded {
                day: row.try_get_by_index(0)?,
                model: row.try_get_by_index(1)?,
                currency: row.try_get_by_index(2)?,
                attempts: row.try_get_by_index(3)?,
                unknown_costs: row.try_get_by_index(4)?,
                nanos: row.try_get_by_index(5)?,
            })
        })
        .collect()
}

/// An import, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bill {
    /// 1, 2, 3 … in the order of the imports.
    pub id: i64,
    /// Whose costs.
    pub provider: String,
    /// What the file was called.
    pub file: String,
    /// Its digest.
    pub sha256: String,
    /// By which columns it was read.
    pub read_as: String,
    /// How many of its lines say a cost.
    pub lines: i64,
    /// Who brought it.
    pub imported_by: String,
    /// When.
    pub imported_at: Timestamp,
    /// Its first UTC day.
    pub first_day: i64,
    /// Its last one.
    pub last_day: i64,
    /// On how many days it says something.
    pub days: i64,
    /// On how many of these no newer bill does.
    pub counting_days: i64,
}

/// The imports of a provider (`None`: of all) that tell of the days `[from, to)`, the newest first, at most `limit`.
pub async fn list(
    tx: &Tx,
    provider: Option<&str>,
    days: (i64, i64),
    limit: u32,
) -> Result<Vec<Bill>, StoreError> {
    let mut values: Vec<Value> = vec![days.0.into(), days.1.into(), i64::from(limit).into()];
    values.extend(provider.map(Value::from));
    let of = if provider.is_some() { "AND b.provider = $4" } else { "" };
    let sql = format!(
        "SELECT b.id, b.provider, b.file, b.sha256, b.read_as, b.lines, b.imported_by, b.imported_at, MIN(a.day), MAX(a.day), \
         COUNT(*), CAST(SUM(CASE WHEN EXISTS (SELECT 1 FROM provider_bill_amounts n WHERE n.provider = a.provider \
         AND n.day = a.day AND n.bill_id > a.bill_id) THEN 0 ELSE 1 END) AS BIGINT) FROM provider_bills b \
         JOIN (SELECT DISTINCT provider, day, bill_id FROM provider_bill_amounts WHERE day >= $1 AND day < $2) a \
         ON a.provider = b.provider AND a.bill_id = b.id WHERE b.id > 0 {of} \
         GROUP BY b.id, b.provider, b.file, b.sha256, b.read_as, b.lines, b.imported_by, b.imported_at \
         ORDER BY b.id DESC LIMIT $3"
    );
    all(&tx.tx, &sql, values).await?.iter().map(read_bill).collect()
}

fn read_bill(row: &QueryResult) -> Result<Bill, StoreError> {
    Ok(Bill {
        id: row.try_get_by_index(0)?,
        provider: row.try_get_by_index(1)?,
        file: row.try_get_by_index(2)?,
        sha256: row.try_get_by_index(3)?,
        read_as: row.try_get_by_index(4)?,
        lines: row.try_get_by_index(5)?,
        imported_by: row.try_get_by_index(6)?,
        imported_at: Timestamp(row.try_get_by_index(7)?),
        first_day: row.try_get_by_index(8)?,
        last_day: row.try_get_by_index(9)?,
        days: row.try_get_by_index(10)?,
        counting_days: row.try_get_by_index(11)?,
    })
}

/// The providers that attempts or bills name, in order, at most `limit`: what can be asked for.
pub async fn providers(store: &Store, limit: u32) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT provider FROM (SELECT provider FROM provider_bills UNION SELECT provider FROM figures_by_level \
         WHERE level = 'what' AND days = {} AND provider <> '-') AS named ORDER BY provider LIMIT $1",
        Span::Month.days()
    );
    let rows = all(&store.db, &sql, [i64::from(limit).into()]).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}
