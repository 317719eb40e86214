//! What each case adds to the figures, in rows: a row for each of its cells.

use crate::bulk::{self, Insert, Kind};
use crate::cases::CaseKey;
use crate::connect::{StoreError, Tx, known};
use sea_orm::{ConnectionTrait, Value};
use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Cell, Contribution, Figures, whole_cost};

/// What cases add to the figures; those that add nothing are absent.
pub async fn contributions(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, Contribution>, StoreError> {
    contributions_on(&tx.tx, keys).await
}

pub(super) async fn contributions_on(
    on: &impl ConnectionTrait,
    keys: &[CaseKey],
) -> Result<BTreeMap<CaseKey, Contribution>, StoreError> {
    let select = "SELECT f.customer, f.case_id, f.day, f.agent, f.provider, f.model, f.action, f.currency, f.bucket, \
                  f.reason, f.attempts, f.unknown_costs, f.cost_nanos, f.other_cost_nanos, f.outcomes \
                  FROM keys JOIN case_figures f ON f.customer = keys.customer AND f.case_id = keys.key";
    let mut contributions: BTreeMap<CaseKey, Contribution> = BTreeMap::new();
    for row in bulk::select_by_keys(on, keys.iter().map(CaseKey::parts), select).await? {
        let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
        let bucket: String = row.try_get_by_index(8)?;
        let cell = Cell {
            day: row.try_get_by_index(2)?,
            agent: row.try_get_by_index(3)?,
            provider: row.try_get_by_index(4)?,
            model: row.try_get_by_index(5)?,
            action: row.try_get_by_index(6)?,
            currency: row.try_get_by_index(7)?,
            bucket: known(Bucket::parse(&bucket), "bucket", &bucket)?,
            reason: row.try_get_by_index(9)?,
        };
        let figures = Figures {
            attempts: row.try_get_by_index(10)?,
            unknown_costs: row.try_get_by_index(11)?,
            cost_nanos: row.try_get_by_index(12)?,
            other_cost_nanos: row.try_get_by_index(13)?,
            outcomes: row.try_get_by_index(14)?,
            revenue_nanos: 0,
        };
        contributions.entry(key).or_default().insert(cell, figures);
    }
    Ok(contributions)
}

/// A case that adds something else to the figures than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub key: CaseKey,
    /// Whether it added nothing before.
    pub is_new: bool,
    /// What it adds now. Cases add no revenue: charges do.
    pub contribution: Contribution,
}

/// Writes what cases add to the figures, in the transaction in which the difference is added to the sums. The cases must be
/// sorted by their keys.
pub async fn set_contributions(tx: &Tx, changed: Vec<Changed>) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "case_figures",
        columns: &[
            ("customer", Kind::Text),
            ("case_id", Kind::Text),
            ("number", Kind::Int),
            ("day", Kind::Int),
            ("agent", Kind::Text),
            ("provider", Kind::Text),
            ("model", Kind::Text),
            ("action", Kind::Text),
            ("currency", Kind::Text),
            ("bucket", Kind::Text),
            ("reason", Kind::Text),
            ("attempts", Kind::Int),
            ("unknown_costs", Kind::Int),
            ("cost_nanos", Kind::Int),
            ("other_cost_nanos", Kind::Int),
            ("outcomes", Kind::Int),
            ("case_cost_nanos", Kind::Int),
        ],
        on_conflict: "",
        returning: "",
    };
    let old: Vec<_> = changed.iter().filter(|case| !case.is_new).map(|case| case.key.parts()).collect();
    if !old.is_empty() {
        let delete = "DELETE FROM case_figures WHERE (customer, case_id) IN (SELECT customer, key FROM keys)";
        bulk::select_by_keys(&tx.tx, old.into_iter(), delete).await?;
    }
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for Changed { key, contribution, .. } in changed {
        let case_cost = whole_cost(&contribution);
        for ((cell, figures), number) in contribution.into_iter().zip(1_i64..) {
            rows.push(vec![
                key.customer.as_str().into(),
                key.case.as_str().into(),
                number.into(),
                cell.day.into(),
                cell.agent.into(),
                cell.provider.into(),
                cell.model.into(),
                cell.action.into(),
                cell.currency.into(),
                cell.bucket.as_str().into(),
                cell.reason.into(),
                figures.attempts.into(),
                figures.unknown_costs.into(),
                figures.cost_nanos.into(),
                figures.other_cost_nanos.into(),
                figures.outcomes.into(),
                case_cost.into(),
            ]);
        }
    }
    bulk::insert(&tx.tx, &INSERT, rows).await?;
    Ok(())
}
