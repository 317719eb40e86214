//! Rebuilds of the figures that were asked for: one at a time, whoever runs it. Times are by the machine's clock.

use crate::connect::{Store, StoreError, one, run};
use sea_orm::QueryResult;
use verdict_domain::time::Timestamp;

/// What a rebuild has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Cases that were looked at.
    pub cases: u64,
    /// Customers whose sums were compared.
    pub customers: u64,
    /// Cases that were put right.
    pub wrong_cases: u64,
    /// Sums that were put right.
    pub wrong_sums: u64,
}

/// A rebuild that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// Its number.
    pub id: i64,
    /// By whom.
    pub asked_by: String,
    /// When.
    pub asked_at: Timestamp,
    /// How often it was begun.
    pub begun: i64,
    /// What was looked at since it was begun last, and all that was put right.
    pub done: Done,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Whether it was given up.
    pub failed: bool,
}

const COLUMNS: &str =
    "id, asked_by, asked_at, begun, cases, customers, wrong_cases, wrong_sums, ended_at, failed";

fn read(row: &QueryResult) -> Result<Rebuild, StoreError> {
    let count = |column: usize| -> Result<u64, StoreError> {
        Ok(row.try_get_by_index::<i64>(column)?.unsigned_abs())
    };
    let (ended_at, failed): (Option<i64>, i64) = (row.try_get_by_index(8)?, row.try_get_by_index(9)?);
    Ok(Rebuild {
        id: row.try_get_by_index(0)?,
        asked_by: row.try_get_by_index(1)?,
        asked_at: Timestamp(row.try_get_by_index(2)?),
        begun: row.try_get_by_index(3)?,
        done: Done { cases: count(4)?, customers: count(5)?, wrong_cases: count(6)?, wrong_sums: count(7)? },
        ended_at: ended_at.map(Timestamp),
        failed: failed != 0,
    })
}

/// Asks for one. `None`: another is not over.
pub async fn ask(store: &Store, by: &str, now: Timestamp) -> Result<Option<Rebuild>, StoreError> {
    let tx = store.begin().await?;
    let sql = format!(
        "INSERT INTO figure_rebuilds (asked_by, asked_at, open, begun, leased_until, cases, customers, wrong_cases, wrong_sums, \
         failed) VALUES ($1, $2, 1, 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (open) DO NOTHING RETURNING {COLUMNS}"
    );
    let asked = one(&tx.tx, &sql, [by.into(), now.0.into()]).await?.as_ref().map(read).transpose()?;
    tx.commit().await?;
    Ok(asked)
}

/// The one that was asked for last.
pub async fn last(store: &Store) -> Result<Option<Rebuild>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM figure_rebuilds ORDER BY id DESC LIMIT 1");
    one(&store.db, &sql, []).await?.as_ref().map(read).transpose()
}

/// Takes the one that is not over, to begin it, unless another process is at it: nobody else takes it before `leased_until`.
pub async fn take(
    store: &Store,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<Option<Rebuild>, StoreError> {
    // Most often there is none: nothing is written to see that.
    let sql = "SELECT id FROM figure_rebuilds WHERE open = 1 AND leased_until <= $1";
    if one(&store.db, sql, [now.0.into()]).await?.is_none() {
        return Ok(None);
    }
    let tx = store.begin().await?;
    let sql = format!(
        "UPDATE figure_rebuilds SET begun = begun + 1, cases = 0, customers = 0, leased_until = $2 \
         WHERE open = 1 AND leased_until <= $1 RETURNING {COLUMNS}"
    );
    let taken = one(&tx.tx, &sql, [now.0.into(), leased_until.0.into()]).await?;
    tx.commit().await?;
    taken.as_ref().map(read).transpose()
}

/// Notes what a rebuild that was taken has come to (with what was put right before), and keeps it. `false`: another process has
/// taken it since.
pub async fn keep(
    store: &Store,
    taken: &Rebuild,
    done: Done,
    leased_until: Timestamp,
) -> Result<bool, StoreError> {
    set(store, taken, done, "leased_until = $7", leased_until).await
}

/// Notes that it is over. `false`: another process has taken it since.
pub async fn end(
    store: &Store,
    taken: &Rebuild,
    done: Done,
    failed: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let what = if failed { "failed = 1" } else { "failed = 0" };
    set(store, taken, done, &format!("ended_at = $7, open = NULL, {what}"), now).await
}

async fn set(
    store: &Store,
    taken: &Rebuild,
    done: Done,
    what: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let sql = format!(
        "UPDATE figure_rebuilds SET cases = $3, customers = $4, wrong_cases = $5, wrong_sums = $6, {what} \
         WHERE id = $1 AND begun = $2 AND open = 1"
    );
    let values = [
        taken.id.into(),
        taken.begun.into(),
        number(done.cases).into(),
        number(done.customers).into(),
        number(done.wrong_cases).into(),
        number(done.wrong_sums).into(),
        at.0.into(),
    ];
    let tx = store.begin().await?;
    let is_ours = run(&tx.tx, &sql, values).await? > 0;
    tx.commit().await?;
    Ok(is_ours)
}
