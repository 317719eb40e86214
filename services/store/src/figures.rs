//! The daily figures: moved by differences, read by reports.

use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all, known};
use sea_orm::Value;
use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Cell, Figures};

/// Adds differences to the figures of customers.
pub async fn add(tx: &Tx, changes: BTreeMap<(String, Cell), Figures>) -> Result<(), StoreError> {
    const UPSERT: Insert = Insert {
        table: "daily_figures",
        columns: &[
            ("customer", Kind::Text),
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
            ("revenue_nanos", Kind::Int),
        ],
        on_conflict: "ON CONFLICT (customer, day, agent, provider, model, action, currency, bucket, reason) DO UPDATE SET \
                      attempts = daily_figures.attempts + excluded.attempts, \
                      unknown_costs = daily_figures.unknown_costs + excluded.unknown_costs, \
                      cost_nanos = daily_figures.cost_nanos + excluded.cost_nanos, \
                      other_cost_nanos = daily_figures.other_cost_nanos + excluded.other_cost_nanos, \
                      outcomes = daily_figures.outcomes + excluded.outcomes, \
                      revenue_nanos = daily_figures.revenue_nanos + excluded.revenue_nanos",
        returning: "",
    };
    let row = |((customer, cell), figures): ((String, Cell), Figures)| -> Vec<Value> {
        vec![
            customer.into(),
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
            figures.revenue_nanos.into(),
        ]
    };
    bulk::insert(&tx.tx, &UPSERT, changes.into_iter().map(row).collect()).await?;
    Ok(())
}

/// By what a report groups its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The customer.
    Customer,
    /// The agent.
    Agent,
    /// Who serves the model (`-`: outcomes and revenue).
    Provider,
    /// The model.
    Model,
    /// The kind of outcome.
    Action,
    /// Why it failed or was lost.
    Reason,
    /// The UTC day.
    Day,
}

/// One sum of the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The customer, agent, provider, model, action, reason, or the day as a number.
    pub key: String,
    /// The currency of the money in it.
    pub currency: String,
    /// The bucket.
    pub bucket: Bucket,
    /// Of the customers whose money, in the whole slice, is in this one currency; `None`: in several, or they have none.
    /// Only of such customers may revenue be held against cost.
    pub home: Option<String>,
    /// The sums.
    pub figures: Figures,
}

/// Of which figures: days, and what else they are of. What is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// The first UTC day, counted from 1970-01-01.
    pub from: i64,
    /// The first UTC day after.
    pub to: i64,
    /// Of this customer.
    pub customer: Option<String>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Of this provider's models. Outcomes and revenue are of none.
    pub provider: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this kind of outcome.
    pub action: Option<String>,
}

/// The figures of a slice, grouped. From the roll-ups alone: no attempt is read.
pub async fn sums(store: &Store, slice: &Slice, by: GroupBy) -> Result<Vec<Sum>, StoreError> {
    let key = match by {
        GroupBy::Customer => "customer",
        GroupBy::Agent => "agent",
        GroupBy::Provider => "provider",
        GroupBy::Model => "model",
        GroupBy::Action => "action",
        GroupBy::Reason => "reason",
        GroupBy::Day => "day",
    };
    let mut values: Vec<Value> = vec![slice.from.into(), slice.to.into()];
    let mut only = String::new();
    for (column, wanted) in [
        ("customer", &slice.customer),
        ("agent", &slice.agent),
        ("provider", &slice.provider),
        ("model", &slice.model),
        ("action", &slice.action),
    ] {
        if let Some(wanted) = wanted {
            values.push(wanted.as_str().into());
            only += &format!(" AND {column} = ${}", values.len());
        }
    }
    let sums = ["attempts", "unknown_costs", "cost_nanos", "other_cost_nanos", "outcomes", "revenue_nanos"]
        .map(|column| format!("CAST(SUM({column}) AS BIGINT)"))
        .join(", ");
    let sql = format!(
        "WITH held AS (SELECT {key} AS grouped, daily_figures.* FROM daily_figures WHERE day >= $1 AND day < $2{only}), \
         home AS (SELECT customer, CASE WHEN MIN(currency) = MAX(currency) THEN MIN(currency) END AS currency FROM held \
         WHERE cost_nanos <> 0 OR revenue_nanos <> 0 GROUP BY customer) \
         SELECT CAST(grouped AS TEXT), held.currency, bucket, home.currency, {sums} FROM held \
         LEFT JOIN home ON home.customer = held.customer \
         GROUP BY grouped, held.currency, bucket, home.currency ORDER BY grouped, held.currency, bucket, home.currency"
    );
    let rows = all(&store.db, &sql, values).await?;
    rows.iter()
        .map(|row| {
            let bucket: String = row.try_get_by_index(2)?;
            Ok(Sum {
                key: row.try_get_by_index(0)?,
                currency: row.try_get_by_index(1)?,
                bucket: known(Bucket::parse(&bucket), "bucket", &bucket)?,
                home: row.try_get_by_index(3)?,
                figures: Figures {
                    attempts: row.try_get_by_index(4)?,
                    unknown_costs: row.try_get_by_index(5)?,
                    cost_nanos: row.try_get_by_index(6)?,
                    other_cost_nanos: row.try_get_by_index(7)?,
                    outcomes: row.try_get_by_index(8)?,
                    revenue_nanos: row.try_get_by_index(9)?,
                },
            })
        })
        .collect()
}
