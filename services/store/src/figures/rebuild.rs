//! The sums, held against what they are sums of: what differs is added.
//!
//! Each comparison is of one moment, and what is noted to be added counts as added. All that changes the sums adds the same
//! to them and to what they are sums of, in one transaction: so a difference that was found stays the right one, whatever is
//! added before it is posted.

use super::levels::{self, Rows};
use super::{CURRENCY_OF_PERIOD, GroupBy, add_to_days, claim, read_cell, read_figures, waiting_of};
use crate::connect::{Store, StoreError, Tx, all, one};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use verdict_domain::economics::{self, Cell, Contribution, Figures};

const CELL: &str = "day, agent, provider, model, action, currency, bucket, reason";

/// What cases add, and the revenue of charges and of periods. As the migration that made these sums has it.
static SOURCES: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT day, agent, provider, model, action, currency, bucket, reason, \
     CAST(SUM(attempts) AS BIGINT), CAST(SUM(unknown_costs) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT), \
     CAST(SUM(other_cost_nanos) AS BIGINT), CAST(SUM(outcomes) AS BIGINT), CAST(0 AS BIGINT) \
     FROM case_figures WHERE customer = $1 GROUP BY day, agent, provider, model, action, currency, bucket, reason \
     UNION ALL \
     SELECT day, agent, '-', model, action, currency, 'revenue', '-', CAST(0 AS BIGINT), CAST(0 AS BIGINT), \
     CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(SUM(nanos) AS BIGINT) FROM ( \
     SELECT c.effective_at / 86400000000 AS day, o.agent AS agent, o.model AS model, c.action AS action, \
     c.currency AS currency, c.amount_nanos AS nanos FROM charges c \
     JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
     WHERE c.customer = $1 AND (c.free IS NULL OR c.free <> 'trial') \
     UNION ALL \
     SELECT (p.end_at - 1) / 86400000000, '-', '-', '-', \
     {CURRENCY_OF_PERIOD}, p.beyond_list_nanos \
     FROM periods p WHERE p.customer = $1 AND p.beyond_list_nanos <> 0 \
     ) AS revenue GROUP BY day, agent, model, action, currency"
    )
});

/// The next customer who has figures, or something that figures are made of, after the one given.
pub async fn next_customer(store: &Store, after: &str) -> Result<Option<String>, StoreError> {
    let tables =
        ["case_figures", "charges", "periods", "daily_figures", "figures_by_level", "figures_to_add"];
    let next =
        tables.map(|table| format!("SELECT MIN(customer) AS customer FROM {table} WHERE customer > $1"));
    let sql = format!("SELECT MIN(customer) FROM ({}) AS next", next.join(" UNION ALL "));
    Ok(match one(&store.db, &sql, [after.into()]).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    })
}

/// Makes the sums of a customer what they are sums of: first the daily figures, then the levels that keep the customer. Answers
/// how many rows were wrong. In memory are the sums of the customer, not what is summed up.
pub async fn rebuild_customer(store: &Store, customer: &str) -> Result<u64, StoreError> {
    let snapshot = store.snapshot().await?;
    let expected = cells(&snapshot, &SOURCES, customer).await?;
    let found = format!(
        "SELECT {CELL}, attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos \
         FROM daily_figures WHERE customer = $1"
    );
    let mut found = cells(&snapshot, &found, customer).await?;
    for (cell, figures) in waiting_of(&snapshot, customer).await? {
        economics::add(&mut found, cell, figures).map_err(overflow)?;
    }
    drop(snapshot);
    let missing = economics::difference(&found, &expected).map_err(overflow)?;
    let mut wrong = missing.len() as u64;
    if !missing.is_empty() {
        let missing: BTreeMap<(String, Cell), Figures> =
            missing.into_iter().map(|(cell, figures)| ((customer.to_string(), cell), figures)).collect();
        let tx = store.begin().await?;
        claim(&tx).await?;
        add_to_days(&tx, &missing).await?;
        tx.commit().await?;
    }
    let days = "FROM daily_figures WHERE customer = $1";
    wrong += rebuild_levels(store, days, customer).await?;
    Ok(wrong)
}

/// The same of the sums over all customers, after those of each.
pub async fn rebuild_overall(store: &Store) -> Result<u64, StoreError> {
    // The empty name is nobody's: it stands for all.
    rebuild_levels(store, "FROM daily_figures WHERE customer > $1", "").await
}

async fn rebuild_levels(store: &Store, days: &str, customer: &str) -> Result<u64, StoreError> {
    let sums = "CAST(SUM(attempts) AS BIGINT), CAST(SUM(unknown_costs) AS BIGINT), CAST(SUM(cost_nanos) AS BIGINT), \
                CAST(SUM(other_cost_nanos) AS BIGINT), CAST(SUM(outcomes) AS BIGINT), CAST(SUM(revenue_nanos) AS BIGINT)";
    let snapshot = store.snapshot().await?;
    let cells = cells(&snapshot, &format!("SELECT {CELL}, {sums} {days} GROUP BY {CELL}"), customer).await?;
    let held = levels::held(&snapshot, customer).await?;
    drop(snapshot);
    let of_customer = !customer.is_empty();
    let cells = cells.iter().map(|(cell, figures)| (customer, cell, *figures));
    let mut missing = Rows::of(cells, |level| level.keeps(GroupBy::Customer) == of_customer)?;
    missing.take_off(&held)?;
    if missing.is_nothing() {
        return Ok(0);
    }
    let tx = store.begin().await?;
    claim(&tx).await?;
    let wrong = missing.add(&tx).await?;
    tx.commit().await?;
    Ok(wrong)
}

async fn cells(tx: &Tx, sql: &str, customer: &str) -> Result<Contribution, StoreError> {
    let mut cells = Contribution::new();
    for row in all(&tx.tx, sql, [customer.into()]).await? {
        economics::add(&mut cells, read_cell(&row, 0)?, read_figures(&row, 8)?).map_err(overflow)?;
    }
    Ok(cells)
}

fn overflow(_: economics::Overflow) -> StoreError {
    StoreError::Refused("the sums of the figures overflow".into())
}
