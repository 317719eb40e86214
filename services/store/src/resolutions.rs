//! Resolutions: recorded in batches, read by case.

use crate::bulk::{self, Insert, Kind};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, Tx, all, known, one, read_money};
use sea_orm::{QueryResult, Value};
use verdict_domain::fact::{Fact, Resolution, ResolutionFact, ResolutionKind, Said, Strength};
use verdict_domain::time::Timestamp;

const INSERT: Insert = Insert {
    table: "resolutions",
    columns: &[
        ("customer", Kind::Text),
        ("id", Kind::Text),
        ("case_id", Kind::Text),
        ("kind", Kind::Text),
        ("occurred_at", Kind::Int),
        ("reason", Kind::TextOrNull),
        ("score", Kind::IntOrNull),
        ("about", Kind::TextOrNull),
        ("value_nanos", Kind::IntOrNull),
        ("value_currency", Kind::TextOrNull),
        ("strength", Kind::Text),
        ("author", Kind::TextOrNull),
        ("evidence", Kind::TextOrNull),
        ("recorded_at", Kind::Int),
    ],
    on_conflict: "ON CONFLICT (customer, id) DO NOTHING",
    returning: "customer, id",
};

/// Records resolutions and marks their cases to be judged. Answers for each, in the order given, whether it was new.
pub async fn record(tx: &Tx, resolutions: &[Resolution], now: Timestamp) -> Result<Vec<bool>, StoreError> {
    let mut sorted: Vec<&Resolution> = resolutions.iter().collect();
    sorted.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    let row = |resolution: &Resolution| -> Vec<Value> {
        vec![
            resolution.customer.as_str().into(),
            resolution.id.as_str().into(),
            resolution.case.as_str().into(),
            resolution.said.kind.as_str().into(),
            resolution.occurred_at.0.into(),
            resolution.reason.clone().into(),
            resolution.said.score.into(),
            resolution.said.about.clone().into(),
            resolution.said.value.map(|value| value.nanos).into(),
            resolution.said.value.map(|value| value.currency.code()).into(),
            resolution.said.strength.as_str().into(),
            resolution.author.clone().into(),
            resolution.evidence.clone().into(),
            now.0.into(),
        ]
    };
    let written = bulk::insert(&tx.tx, &INSERT, sorted.into_iter().map(row).collect()).await?;
    let mut new = std::collections::HashSet::new();
    for row in written {
        new.insert((row.try_get_by_index::<String>(0)?, row.try_get_by_index::<String>(1)?));
    }
    let recorded: Vec<bool> =
        resolutions.iter().map(|r| new.remove(&(r.customer.clone(), r.id.clone()))).collect();
    let to_judge = resolutions.iter().zip(&recorded).filter(|(_, new)| **new);
    let to_judge =
        to_judge.map(|(r, _)| CaseKey { customer: r.customer.clone(), case: r.case.clone() }).collect();
    cases::mark_to_judge(tx, to_judge).await?;
    Ok(recorded)
}

/// What of a resolution (of the table `r`) the judge reads, as [`read_fact`] expects it.
pub(crate) const FACT_COLUMNS: &str = "r.customer, r.case_id, r.id, r.kind, r.occurred_at, r.score, r.about, r.strength, r.value_nanos, r.value_currency";

/// The resolutions of many cases, as facts, in no order.
pub(crate) async fn facts_of(tx: &Tx, keys: &[CaseKey]) -> Result<Vec<(CaseKey, Fact)>, StoreError> {
    let select = format!(
        "SELECT {FACT_COLUMNS} FROM keys JOIN resolutions r {} ON r.customer = keys.customer AND r.case_id = keys.key",
        bulk::by_case(&tx.tx, "resolutions")
    );
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await?;
    rows.iter().map(read_fact).collect()
}

pub(crate) fn read_fact(row: &QueryResult) -> Result<(CaseKey, Fact), StoreError> {
    let (kind, strength): (String, String) = (row.try_get_by_index(3)?, row.try_get_by_index(7)?);
    let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
    let said = Said::Resolution(ResolutionFact {
        kind: known(ResolutionKind::parse(&kind), "resolution", &kind)?,
        score: row.try_get_by_index(5)?,
        about: row.try_get_by_index(6)?,
        strength: known(Strength::parse(&strength), "strength", &strength)?,
        value: read_money(row, 8)?,
    });
    Ok((key, Fact { at: Timestamp(row.try_get_by_index(4)?), id: row.try_get_by_index(2)?, said }))
}

/// Whether a fact is recorded.
pub async fn exists(tx: &Tx, customer: &str, id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM resolutions WHERE customer = $1 AND id = $2";
    Ok(one(&tx.tx, sql, [customer.into(), id.into()]).await?.is_some())
}

/// A dispute as listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ListedDispute {
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// The dispute's fact id.
    pub id: String,
    /// The episode that it names.
    pub episode: Option<String>,
    /// Why it was raised.
    pub reason: Option<String>,
    /// By whom.
    pub author: Option<String>,
    /// When.
    pub raised_at: Timestamp,
    /// `open`, `accepted` or `rejected`.
    pub state: &'static str,
    /// By whom it was decided.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
}

/// The disputes, the newest first, at most `limit`; with `open` only those that wait for a decision.
pub async fn disputes(store: &Store, open: bool, limit: u32) -> Result<Vec<ListedDispute>, StoreError> {
    let undecided = if open { "AND d.id IS NULL" } else { "" };
    let decisions = "('dispute_accepted', 'dispute_rejected')";
    let sql = format!(
        "SELECT r.customer, r.case_id, r.id, r.about, r.reason, r.author, r.occurred_at, d.kind, d.author, d.occurred_at \
         FROM resolutions r LEFT JOIN resolutions d ON d.customer = r.customer AND d.about = r.id \
         AND d.kind IN {decisions} WHERE r.kind = 'disputed' {undecided} \
         ORDER BY r.occurred_at DESC, r.customer, r.id LIMIT $1"
    );
    let rows = all(&store.db, &sql, [i64::from(limit).into()]).await?;
    rows.iter()
        .map(|row| {
            let decision: Option<String> = row.try_get_by_index(7)?;
            let decided_at: Option<i64> = row.try_get_by_index(9)?;
            Ok(ListedDispute {
                customer: row.try_get_by_index(0)?,
                case: row.try_get_by_index(1)?,
                id: row.try_get_by_index(2)?,
                episode: row.try_get_by_index(3)?,
                reason: row.try_get_by_index(4)?,
                author: row.try_get_by_index(5)?,
                raised_at: Timestamp(row.try_get_by_index(6)?),
                state: match decision.as_deref() {
                    Some("dispute_accepted") => "accepted",
                    Some(_) => "rejected",
                    None => "open",
                },
                decided_by: row.try_get_by_index(8)?,
                decided_at: decided_at.map(Timestamp),
            })
        })
        .collect()
}
