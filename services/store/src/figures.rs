//! The daily figures: moved by differences, read by reports; and what each case adds to them.
//!
//! Who changes a figure only notes by how much, in its own transaction. A step of its own adds up what was noted: the sums
//! follow the facts within a moment, and nobody who judges or charges waits for a sum that others add to.

mod behind;
mod contributions;
mod levels;
mod rebuild;
mod waiting;

pub use behind::{Behind, CaseBehind, Order, Place, Total, behind_total, cases_behind, cases_behind_within};
pub use contributions::{Changed, contributions, set_contributions};
pub(crate) use levels::{Span, of_attempts};
pub use rebuild::{next_customer, rebuild_customer, rebuild_overall};
pub(crate) use waiting::waiting_of;
pub use waiting::{Added, add, add_waiting};

use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all, known};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Cell, Figures};

/// All that adds to the sums at a time meets in the same few rows: without a turn, two would wait for each other in a circle.
async fn claim(tx: &Tx) -> Result<(), StoreError> {
    tx.claim("figures").await
}

/// The currency of a period `p`: all that a customer is billed is in one, and not each has a document.
const CURRENCY_OF_PERIOD: &str = "COALESCE((SELECT MIN(i.currency) FROM invoices i WHERE i.customer = p.customer), \
                                  (SELECT MIN(c.currency) FROM charges c WHERE c.customer = p.customer))";

/// So many rows are put together at a time: many of them, with all their columns, take more memory than what they are made of.
const AT_A_TIME: usize = 10_000;

/// Adds to the daily figures alone.
async fn add_to_days(tx: &Tx, changes: &BTreeMap<(String, Cell), Figures>) -> Result<(), StoreError> {
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
    let row = |((customer, cell), figures): (&(String, Cell), &Figures)| -> Vec<Value> {
        vec![
            customer.as_str().into(),
            cell.day.into(),
            cell.agent.as_str().into(),
            cell.provider.as_str().into(),
            cell.model.as_str().into(),
            cell.action.as_str().into(),
            cell.currency.as_str().into(),
            cell.bucket.as_str().into(),
            cell.reason.as_str().into(),
            figures.attempts.into(),
            figures.unknown_costs.into(),
            figures.cost_nanos.into(),
            figures.other_cost_nanos.into(),
            figures.outcomes.into(),
            figures.revenue_nanos.into(),
        ]
    };
    let mut left = changes.iter();
    while left.len() > 0 {
        bulk::insert(&tx.tx, &UPSERT, left.by_ref().take(AT_A_TIME).map(row).collect()).await?;
    }
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

impl GroupBy {
    fn column(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Action => "action",
            Self::Reason => "reason",
            Self::Day => "day",
        }
    }
}

impl Slice {
    /// What beside the days it may be of: the column, its name, and what is wanted of it.
    fn columns(&self) -> [(GroupBy, &'static str, Option<&str>); 5] {
        [
            (GroupBy::Customer, &self.customer),
            (GroupBy::Agent, &self.agent),
            (GroupBy::Provider, &self.provider),
            (GroupBy::Model, &self.model),
            (GroupBy::Action, &self.action),
        ]
        .map(|(column, wanted)| (column, column.column(), wanted.as_deref()))
    }
}

/// The figures of a slice, grouped, in the order of the keys; those that are nothing are left out. From the roll-ups alone: no
/// attempt is read. What no level keeps together reads the daily figures, which takes
/// longer: a customer's days by something else than it is of, or customers by two of agent, model and action.
pub async fn sums(store: &Store, slice: &Slice, by: GroupBy) -> Result<Vec<Sum>, StoreError> {
    let mut sums = match levels::Level::of(slice, by) {
        Some(level) => levels::sums(store, level, slice, by).await?,
        None => daily_sums(store, slice, by).await?,
    };
    sums.sort_by(|a, b| (&a.key, &a.currency, a.bucket).cmp(&(&b.key, &b.currency, b.bucket)));
    Ok(sums)
}

async fn daily_sums(store: &Store, slice: &Slice, by: GroupBy) -> Result<Vec<Sum>, StoreError> {
    let key = by.column();
    let mut values: Vec<Value> = vec![slice.from.into(), slice.to.into()];
    let mut only = String::new();
    for (_, column, wanted) in slice.columns() {
        if let Some(wanted) = wanted {
            values.push(wanted.into());
            only += &format!(" AND {column} = ${}", values.len());
        }
    }
    let sum = |column: &str| format!("CAST(SUM({column}) AS BIGINT)");
    let sql = format!(
        "SELECT CAST({key} AS TEXT), currency, bucket, {}, {}, {}, {}, {}, {} FROM daily_figures \
         WHERE day >= $1 AND day < $2{only} GROUP BY {key}, currency, bucket",
        sum("attempts"),
        sum("unknown_costs"),
        sum("cost_nanos"),
        sum("other_cost_nanos"),
        sum("outcomes"),
        sum("revenue_nanos"),
    );
    let mut sums = Vec::new();
    for row in all(&store.db, &sql, values).await? {
        let (bucket, figures): (String, _) = (row.try_get_by_index(2)?, read_figures(&row, 3)?);
        if figures != Figures::default() {
            sums.push(Sum {
                key: row.try_get_by_index(0)?,
                currency: row.try_get_by_index(1)?,
                bucket: known(Bucket::parse(&bucket), "bucket", &bucket)?,
                figures,
            });
        }
    }
    Ok(sums)
}

/// Six columns, from this one on.
fn read_figures(row: &QueryResult, from: usize) -> Result<Figures, StoreError> {
    Ok(Figures {
        attempts: row.try_get_by_index(from)?,
        unknown_costs: row.try_get_by_index(from + 1)?,
        cost_nanos: row.try_get_by_index(from + 2)?,
        other_cost_nanos: row.try_get_by_index(from + 3)?,
        outcomes: row.try_get_by_index(from + 4)?,
        revenue_nanos: row.try_get_by_index(from + 5)?,
    })
}

/// Eight columns, from this one on.
fn read_cell(row: &QueryResult, from: usize) -> Result<Cell, StoreError> {
    let bucket: String = row.try_get_by_index(from + 6)?;
    Ok(Cell {
        day: row.try_get_by_index(from)?,
        agent: row.try_get_by_index(from + 1)?,
        provider: row.try_get_by_index(from + 2)?,
        model: row.try_get_by_index(from + 3)?,
        action: row.try_get_by_index(from + 4)?,
        currency: row.try_get_by_index(from + 5)?,
        bucket: known(Bucket::parse(&bucket), "bucket", &bucket)?,
        reason: row.try_get_by_index(from + 7)?,
    })
}

/// What a customer's attempts of a UTC day cost, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayCost {
    /// Whose.
    pub customer: String,
    /// The UTC day, counted from 1970-01-01.
    pub day: i64,
    /// The currency of the cost.
    pub currency: String,
    /// The cost.
    pub cost_nanos: i64,
}

/// The costs of the days `[from, to)` by customer, day and currency; those of nothing are left out. From the roll-ups alone.
pub async fn daily_costs(store: &Store, from: i64, to: i64) -> Result<Vec<DayCost>, StoreError> {
    let cost = of_attempts("cost_nanos");
    let sql = format!(
        "SELECT customer, day, currency, {cost} FROM figures_by_level \
         WHERE level = 'customer' AND days = 1 AND day >= $1 AND day < $2 AND {cost} <> 0 ORDER BY customer, currency, day"
    );
    let rows = all(&store.db, &sql, [from.into(), to.into()]).await?;
    rows.iter()
        .map(|row| {
            Ok(DayCost {
                customer: row.try_get_by_index(0)?,
                day: row.try_get_by_index(1)?,
                currency: row.try_get_by_index(2)?,
                cost_nanos: row.try_get_by_index(3)?,
            })
        })
        .collect()
}
