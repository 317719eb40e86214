//! What waits to be done, and what was set aside.

use crate::connect::{Store, StoreError, one};

/// How much waits at each step. All zero but `parked` and `pushes_waiting`: everything known is judged and billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Status {
    /// Deliveries that were stored and not read yet.
    pub deliveries_to_map: i64,
    /// Marks on cases that have new facts.
    pub cases_to_judge: i64,
    /// Marks on outcomes that have no price yet.
    pub outcomes_to_rate: i64,
    /// Invoices on their way to Stripe.
    pub pushes_waiting: i64,
    /// Things set aside for a person.
    pub parked: i64,
}

/// Looks.
pub async fn status(store: &Store) -> Result<Status, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'received'), \
               (SELECT COUNT(*) FROM cases_to_judge), (SELECT COUNT(*) FROM outcomes_to_rate), \
               (SELECT COUNT(*) FROM outbox WHERE state = 'waiting'), \
               (SELECT COUNT(*) FROM parked WHERE replayed_at IS NULL)";
    let Some(row) = one(&store.db, sql, []).await? else { return Ok(Status::default()) };
    Ok(Status {
        deliveries_to_map: row.try_get_by_index(0)?,
        cases_to_judge: row.try_get_by_index(1)?,
        outcomes_to_rate: row.try_get_by_index(2)?,
        pushes_waiting: row.try_get_by_index(3)?,
        parked: row.try_get_by_index(4)?,
    })
}
