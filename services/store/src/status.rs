//! What waits to be done, and what was set aside.

use crate::connect::{Store, StoreError, one};
use verdict_domain::time::Timestamp;

/// How much waits at each step. The first four zero: everything known is judged and priced, and in the figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Status {
    /// Deliveries that were stored and not read yet.
    pub deliveries_to_map: i64,
    /// Marks on cases that have new facts.
    pub cases_to_judge: i64,
    /// Marks on outcomes that have no price yet.
    pub outcomes_to_rate: i64,
    /// Notes of what is to be added to the figures.
    pub figures_to_add: i64,
    /// Invoices on their way to Stripe.
    pub pushes_waiting: i64,
    /// Things set aside for a person.
    pub parked: i64,
    /// What is to be asked from platforms.
    pub fetches_waiting: i64,
    /// Deliveries that no secret had signed.
    pub quarantined: i64,
    /// Alerts that are not over.
    pub alerts: i64,
    /// Events of Stripe that were stored and not looked after yet.
    pub stripe_events_waiting: i64,
    /// Meter events on their way to Stripe, or to be taken back there.
    pub meter_events_waiting: i64,
    /// What was parked of telemetry and went since, because no more than so much of it is kept: ever.
    pub telemetry_dropped: i64,
}

/// Looks.
pub async fn status(store: &Store) -> Result<Status, StoreError> {
    let sql = "SELECT (SELECT COUNT(*) FROM deliveries WHERE state = 'received'), \
               (SELECT COUNT(*) FROM cases_to_judge), (SELECT COUNT(*) FROM outcomes_to_rate), \
               (SELECT COUNT(*) FROM figures_to_add WHERE refused IS NULL), \
               (SELECT COUNT(*) FROM outbox WHERE state = 'waiting'), \
               (SELECT COUNT(*) FROM parked WHERE replayed_at IS NULL), \
               (SELECT COUNT(*) FROM fetches WHERE state = 'waiting'), (SELECT COUNT(*) FROM quarantine), \
               (SELECT COUNT(*) FROM alerts WHERE cleared_at IS NULL), \
               (SELECT COUNT(*) FROM stripe_events WHERE state = 'received'), \
               (SELECT COUNT(*) FROM meter_events WHERE state = 'owed' OR (state = 'sent' AND wanted = 0)), \
               (SELECT CAST(COALESCE(SUM(things), 0) AS BIGINT) FROM parked_dropped)";
    let Some(row) = one(&store.db, sql, []).await? else { return Ok(Status::default()) };
    Ok(Status {
        deliveries_to_map: row.try_get_by_index(0)?,
        cases_to_judge: row.try_get_by_index(1)?,
        outcomes_to_rate: row.try_get_by_index(2)?,
        figures_to_add: row.try_get_by_index(3)?,
        pushes_waiting: row.try_get_by_index(4)?,
        parked: row.try_get_by_index(5)?,
        fetches_waiting: row.try_get_by_index(6)?,
        quarantined: row.try_get_by_index(7)?,
        alerts: row.try_get_by_index(8)?,
        stripe_events_waiting: row.try_get_by_index(9)?,
        meter_events_waiting: row.try_get_by_index(10)?,
        telemetry_dropped: row.try_get_by_index(11)?,
    })
}

/// Whether time has something to do by `now`: a case to wake, or a period to close.
pub async fn is_anything_due(store: &Store, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM cases WHERE wake_at <= $1) \
               OR EXISTS (SELECT 1 FROM periods WHERE closed_at IS NULL AND closes_at <= $1)";
    Ok(one(&store.db, sql, [now.0.into()]).await?.is_some())
}
