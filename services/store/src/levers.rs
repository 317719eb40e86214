//! What the levers are computed from: a customer's attempts, read in bites of bounded size; and the last result.

use crate::attempts;
use crate::bulk;
use crate::cases::CaseKey;
use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use sea_orm::{ConnectionTrait, DbBackend, Value};
use std::collections::BTreeMap;
use verdict_domain::attempt::{Status, Usage};
use verdict_domain::time::Timestamp;

/// The attempts of a customer that ended from the first time on and before the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Whose attempts.
    pub customer: String,
    /// From when on.
    pub from: Timestamp,
    /// Before when.
    pub to: Timestamp,
}

/// What an attempt used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// Who served the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Toward which kind of outcome.
    pub action: String,
    /// What was counted.
    pub usage: Usage,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Whether its sender told a fingerprint of the prompt.
    pub has_fingerprint: bool,
}

/// The attempts of the span among the next `limit` ids after the one given, and the last of these ids; `None`: there are no
/// more. By the primary key, so that each bite is short, whatever the customer has.
pub async fn used(
    store: &Store,
    span: &Span,
    after: &str,
    limit: u32,
) -> Result<(Vec<Used>, Option<String>), StoreError> {
    let sql = "SELECT id FROM attempts WHERE customer = $1 AND id > $2 ORDER BY id LIMIT 1 OFFSET $3";
    let values = [span.customer.as_str().into(), after.into(), (i64::from(limit.max(1)) - 1).into()];
    let last: Option<String> = match one(&store.db, sql, values).await? {
        Some(row) => Some(row.try_get_by_index(0)?),
        None => None,
    };
    let mut values: Vec<Value> =
        vec![span.customer.as_str().into(), after.into(), span.from.0.into(), span.to.0.into()];
    let mut until = "";
    if let Some(last) = &last {
        values.push(last.as_str().into());
        until = " AND id <= $5";
    }
    let sql = format!(
        "SELECT provider, model, action, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, \
         reasoning_tokens, ended_at, cache_write_1h_tokens, CAST(CASE WHEN prompt_fingerprint IS NULL THEN 0 ELSE 1 END AS BIGINT) FROM attempts \
         WHERE customer = $1 AND id > $2 AND ended_at >= $3 AND ended_at < $4{until}"
    );
    let rows = all(&store.db, &sql, values).await?;
    let used = rows.iter().map(|row| {
        let has_fingerprint: i64 = row.try_get_by_index(10)?;
        Ok(Used {
            provider: row.try_get_by_index(0)?,
            model: row.try_get_by_index(1)?,
            action: row.try_get_by_index(2)?,
            usage: Usage {
                input: row.try_get_by_index(3)?,
                cached_input: row.try_get_by_index(4)?,
                cache_write: row.try_get_by_index(5)?,
                cache_write_1h: row.try_get_by_index(9)?,
                output: row.try_get_by_index(6)?,
                reasoning: row.try_get_by_index(7)?,
            },
            ended_at: Timestamp(row.try_get_by_index(8)?),
            has_fingerprint: has_fingerprint != 0,
        })
    });
    Ok((used.collect::<Result<_, StoreError>>()?, last))
}

/// An attempt whose prompt was asked more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which agent, kind of outcome and prompt: alike in all that ask the same.
    pub prompt: (String, String, String),
    /// Its id.
    pub id: String,
    /// Its case.
    pub case: String,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// What the model cost; `None`: nobody knows.
    pub model_nanos: Option<i64>,
    /// In which currency.
    pub currency: String,
}

/// The attempts of a span whose agent, kind of outcome and prompt are those of another one of it: all that ask the same
/// together, in the order of their end. Sorted by the database once, in files where they do not fit its memory, and handed out
/// page by page; all is read at one moment.
pub struct Repeats {
    tx: Tx,
    customer: String,
    given: i64,
}

/// The name of the cursor (PostgreSQL) or of the temporary table (SQLite); each connection has its own.
const SORTED: &str = "prompts_asked_again";

impl Repeats {
    /// Sorts them.
    pub async fn of(store: &Store, span: &Span) -> Result<Self, StoreError> {
        let tx = store.snapshot().await?;
        // A cursor may be declared, and a temporary table be filled, in a transaction that only reads the database.
        let begin = match tx.tx.get_database_backend() {
            DbBackend::Sqlite => format!("CREATE TEMPORARY TABLE {SORTED} AS"),
            _ => format!("DECLARE {SORTED} NO SCROLL CURSOR FOR"),
        };
        let sql = format!(
            "{begin} SELECT agent, action, prompt_fingerprint, id, case_id, status, started_at, model_cost_nanos, cost_currency \
             FROM (SELECT agent, action, prompt_fingerprint, id, case_id, status, started_at, ended_at, {} AS model_cost_nanos, \
                   cost_currency, COUNT(*) OVER (PARTITION BY prompt_fingerprint, agent, action) AS alike FROM attempts a \
                   WHERE customer = $1 AND ended_at >= $2 AND ended_at < $3 AND prompt_fingerprint IS NOT NULL) AS asked \
             WHERE alike > 1 ORDER BY prompt_fingerprint, agent, action, ended_at, id",
            attempts::model_cost!()
        );
        let values = [span.customer.as_str().into(), span.from.0.into(), span.to.0.into()];
        run(&tx.tx, &sql, values).await?;
        Ok(Self { tx, customer: span.customer.clone(), given: 0 })
    }

    /// The next ones; none: that was all.
    pub async fn next(&mut self, limit: u32) -> Result<Vec<Asked>, StoreError> {
        let rows = match self.tx.tx.get_database_backend() {
            DbBackend::Sqlite => {
                let sql = format!("SELECT * FROM {SORTED} WHERE rowid > $1 ORDER BY rowid LIMIT $2");
                all(&self.tx.tx, &sql, [self.given.into(), i64::from(limit).into()]).await?
            }
            _ => all(&self.tx.tx, &format!("FETCH FORWARD {limit} FROM {SORTED}"), []).await?,
        };
        self.given += i64::try_from(rows.len()).unwrap_or(i64::MAX);
        rows.iter()
            .map(|row| {
                let status: String = row.try_get_by_index(5)?;
                Ok(Asked {
                    prompt: (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?),
                    id: row.try_get_by_index(3)?,
                    case: row.try_get_by_index(4)?,
                    status: known(Status::parse(&status), "status", &status)?,
                    started_at: Timestamp(row.try_get_by_index(6)?),
                    model_nanos: row.try_get_by_index(7)?,
                    currency: row.try_get_by_index(8)?,
                })
            })
            .collect()
    }

    /// What is held of the episodes of cases, as JSON, at the moment that is read; those never judged are absent.
    pub async fn episodes(
        &self,
        cases: impl Iterator<Item = String>,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let keys: Vec<CaseKey> =
            cases.map(|case| CaseKey { customer: self.customer.clone(), case }).collect();
        let select = "SELECT c.case_id, c.episodes FROM keys JOIN cases c ON c.customer = keys.customer AND c.case_id = keys.key";
        let rows = bulk::select_by_keys(&self.tx.tx, keys.iter().map(CaseKey::parts), select).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }
}

/// Keeps a result (JSON) in place of the last one.
pub async fn keep(store: &Store, as_of: Timestamp, body: &str) -> Result<(), StoreError> {
    let tx = store.begin().await?;
    run(&tx.tx, "DELETE FROM levers", []).await?;
    let sql = "INSERT INTO levers (as_of, body) VALUES ($1, $2)";
    run(&tx.tx, sql, [as_of.0.into(), body.into()]).await?;
    tx.commit().await
}

/// The result that is kept, as JSON.
pub async fn kept(store: &Store) -> Result<Option<String>, StoreError> {
    let sql = "SELECT body FROM levers ORDER BY id DESC LIMIT 1";
    match one(&store.db, sql, []).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}
