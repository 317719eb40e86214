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
            ("model", Kind::Text),
            ("currency", Kind::Text),
            ("bucket", Kind::Text),
            ("reason", Kind::Text),
            ("attempts", Kind::Int),
            ("unknown_costs", Kind::Int),
            ("cost_nanos", Kind::Int),
            ("outcomes", Kind::Int),
            ("revenue_nanos", Kind::Int),
        ],
        on_conflict: "ON CONFLICT (customer, day, agent, model, currency, bucket, reason) DO UPDATE SET \
                      attempts = daily_figures.attempts + excluded.attempts, \
                      unknown_costs = daily_figures.unknown_costs + excluded.unknown_costs, \
                      cost_nanos = daily_figures.cost_nanos + excluded.cost_nanos, \
                      outcomes = daily_figures.outcomes + excluded.outcomes, \
                      revenue_nanos = daily_figures.revenue_nanos + excluded.revenue_nanos",
        returning: "",
    };
    let row = |((customer, cell), figures): ((String, Cell), Figures)| -> Vec<Value> {
        vec![
            customer.into(),
            cell.day.into(),
            cell.agent.into(),
            cell.model.into(),
            cell.currency.into(),
            cell.bucket.as_str().into(),
            cell.reason.into(),
            figures.attempts.into(),
            figures.unknown_costs.into(),
            figures.cost_nanos.into(),
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
    /// The model.
    Model,
    /// Why it failed or was lost.
    Reason,
    /// The UTC day.
    Day,
}

/// One sum of the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// The customer, agent, model, reason, or the day as a number.
    pub key: String,
    /// The currency of the money in it.
    pub currency: String,
    /// The bucket.
    pub bucket: Bucket,
    /// The sums.
    pub figures: Figures,
}

/// The figures of the days `[from, to)`, of one customer or all, grouped. From the roll-ups alone: no attempt is read.
pub async fn sums(
    store: &Store,
    from: i64,
    to: i64,
    customer: Option<&str>,
    by: GroupBy,
) -> Result<Vec<Sum>, StoreError> {
    let key = match by {
        GroupBy::Customer => "customer",
        GroupBy::Agent => "agent",
        GroupBy::Model => "model",
        GroupBy::Reason => "reason",
        GroupBy::Day => "day",
    };
    let of_customer = if customer.is_some() { "AND customer = $3" } else { "" };
    let sum = |column: &str| format!("CAST(SUM({column}) AS BIGINT)");
    let sql = format!(
        "SELECT CAST({key} AS TEXT), currency, bucket, {}, {}, {}, {}, {} FROM daily_figures \
         WHERE day >= $1 AND day < $2 {of_customer} GROUP BY {key}, currency, bucket ORDER BY {key}, currency, bucket",
        sum("attempts"),
        sum("unknown_costs"),
        sum("cost_nanos"),
        sum("outcomes"),
        sum("revenue_nanos"),
    );
    let mut values: Vec<Value> = vec![from.into(), to.into()];
    values.extend(customer.map(Value::from));
    let rows = all(&store.db, &sql, values).await?;
    rows.iter()
        .map(|row| {
            let bucket: String = row.try_get_by_index(2)?;
            Ok(Sum {
                key: row.try_get_by_index(0)?,
                currency: row.try_get_by_index(1)?,
                bucket: known(Bucket::parse(&bucket), "bucket", &bucket)?,
                figures: Figures {
                    attempts: row.try_get_by_index(3)?,
                    unknown_costs: row.try_get_by_index(4)?,
                    cost_nanos: row.try_get_by_index(5)?,
                    outcomes: row.try_get_by_index(6)?,
                    revenue_nanos: row.try_get_by_index(7)?,
                },
            })
        })
        .collect()
}
