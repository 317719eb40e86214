//! Differences on their way into the sums.

use super::{add_to_days, claim, levels};
use crate::bulk::{self, Insert, Kind};
use crate::changes;
use crate::connect::{Store, StoreError, Tx, all, run};
use sea_orm::Value;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use verdict_domain::economics::{self, Bucket, Cell, Contribution, Figures};

/// So many cells are added up in one transaction: what is in memory then.
const MOST_CELLS: i64 = 60_000;
/// No more rows are looked at for that.
const MOST_ROWS: i64 = 20_000;

/// A cell and what is added to it, as they are stored: what has a name of its own elsewhere needs none here.
#[derive(Serialize, Deserialize)]
struct Noted(i64, String, String, String, String, String, Bucket, String, [i64; 6]);

impl Noted {
    fn of(cell: Cell, figures: Figures) -> Self {
        let Cell { day, agent, provider, model, action, currency, bucket, reason } = cell;
        let Figures { attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos } =
            figures;
        let figures = [attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos];
        Self(day, agent, provider, model, action, currency, bucket, reason, figures)
    }

    fn told(self) -> (Cell, Figures) {
        let Self(day, agent, provider, model, action, currency, bucket, reason, figures) = self;
        let [attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos] = figures;
        (
            Cell { day, agent, provider, model, action, currency, bucket, reason },
            Figures { attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos },
        )
    }
}

fn overflow() -> StoreError {
    StoreError::Refused("the figures of a day overflow".into())
}

fn parsed(differences: &str) -> Result<Vec<Noted>, StoreError> {
    serde_json::from_str(differences).map_err(|error| StoreError::Corrupt(format!("figures to add: {error}")))
}

/// Notes what is to be added to the figures of customers, in the transaction of what changed them: a row a customer. They are
/// in the sums when [`add_waiting`] has been by.
pub async fn add(tx: &Tx, differences: BTreeMap<(String, Cell), Figures>) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "figures_to_add",
        columns: &[("customer", Kind::Text), ("cells", Kind::Int), ("differences", Kind::Text)],
        on_conflict: "",
        returning: "",
    };
    let mut of_customers: BTreeMap<String, Vec<Noted>> = BTreeMap::new();
    for ((customer, cell), figures) in differences {
        of_customers.entry(customer).or_default().push(Noted::of(cell, figures));
    }
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(of_customers.len());
    for (customer, differences) in of_customers {
        let text = serde_json::to_string(&differences)
            .map_err(|error| StoreError::Refused(format!("figures to add: {error}")))?;
        rows.push(vec![customer.into(), (differences.len() as i64).into(), text.into()]);
    }
    bulk::insert(&tx.tx, &INSERT, rows).await?;
    Ok(())
}

/// What came of a look at what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// Nothing waits.
    Nothing,
    /// Some was added.
    Some,
    /// A note cannot be added, for this reason: a sum would not fit 64 bits. It is set aside. When the costs behind it are put
    /// right, a rebuild adds what is missing.
    SetAside(String),
}

/// The step: adds what was noted to the sums, on all levels; the oldest first, a bounded number at a time. A note that the sums
/// have no room for is found by halving, and set aside: it does not hold up the others.
pub async fn add_waiting(store: &Store) -> Result<Added, StoreError> {
    add_at_most(store, MOST_ROWS).await
}

async fn add_at_most(store: &Store, most: i64) -> Result<Added, StoreError> {
    match add_together(store, most).await {
        Err(error) if !error.is_transient() && most > 1 => Box::pin(add_at_most(store, most / 2)).await,
        Err(error) if !error.is_transient() => {
            let reason = error.to_string();
            let tx = store.begin().await?;
            claim(&tx).await?;
            let sql = "UPDATE figures_to_add SET refused = $1 \
                       WHERE id = (SELECT MIN(id) FROM figures_to_add WHERE refused IS NULL)";
            run(&tx.tx, sql, [reason.as_str().into()]).await?;
            tx.commit().await?;
            Ok(Added::SetAside(reason))
        }
        result => result,
    }
}

async fn add_together(store: &Store, most: i64) -> Result<Added, StoreError> {
    let tx = store.begin().await?;
    claim(&tx).await?;
    let take = "DELETE FROM figures_to_add WHERE id IN (SELECT id FROM ( \
                SELECT id, cells, SUM(cells) OVER (ORDER BY id) AS up_to_here FROM ( \
                SELECT id, cells FROM figures_to_add WHERE refused IS NULL ORDER BY id LIMIT $1) AS oldest) AS counted \
                WHERE up_to_here - cells < $2) RETURNING customer, differences";
    let rows = all(&tx.tx, take, [most.into(), MOST_CELLS.into()]).await?;
    if rows.is_empty() {
        return Ok(Added::Nothing);
    }
    let mut differences: BTreeMap<(String, Cell), Figures> = BTreeMap::new();
    for row in rows {
        let (customer, text): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        for noted in parsed(&text)? {
            let (cell, figures) = noted.told();
            let sum = differences.entry((customer.clone(), cell)).or_default();
            *sum = sum.plus(figures).ok_or_else(overflow)?;
        }
    }
    differences.retain(|_, figures| *figures != Figures::default());
    let cells = differences.iter().map(|((customer, cell), figures)| (customer.as_str(), cell, *figures));
    let levels = levels::Rows::of(cells, |_| true)?;
    add_to_days(&tx, &differences).await?;
    levels.add(&tx).await?;
    changes::note(&tx).await?;
    tx.commit().await?;
    Ok(Added::Some)
}

/// What was noted of a customer and is not in the sums yet, but will be.
pub(crate) async fn waiting_of(tx: &Tx, customer: &str) -> Result<Contribution, StoreError> {
    let mut waiting = Contribution::new();
    let sql = "SELECT differences FROM figures_to_add WHERE customer = $1 AND refused IS NULL";
    for row in all(&tx.tx, sql, [customer.into()]).await? {
        let text: String = row.try_get_by_index(0)?;
        for noted in parsed(&text)? {
            let (cell, figures) = noted.told();
            economics::add(&mut waiting, cell, figures).map_err(|_| overflow())?;
        }
    }
    Ok(waiting)
}
