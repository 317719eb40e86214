//! What failure costs, for people and programs: from the daily roll-ups, never from the attempts.
//!
//! Owns: the figures of the report and how they are derived, tables, CSV, the pages and their charts.
//! Does not own: the roll-ups (the steps maintain them), routes, logins.
//!
//! Invariants:
//! - Each attempt's cost is in exactly one column, so that the columns add up to the total, to the nano.
//! - Money of two currencies is never added; a margin is shown only where cost and revenue are in one.
//! - A cost that is unknown is counted beside the sums, never as zero.

mod chart;
mod failure_cost;
pub mod pages;
mod text;

pub use failure_cost::{FailureCost, Query, Row, failure_cost, group_by};
pub use text::{csv, table};
