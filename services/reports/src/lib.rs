//! What failure costs, and why a case was billed as it was: for people and programs.
//!
//! Owns: the figures of the failure-cost report (from the daily roll-ups, never from the attempts) and how they are
//! derived, tables, CSV and XLSX; the explanation of a case; counting cases again under another rule or from an export;
//! the evidence of an invoice; the check of the chains; the pages and their charts, a customer's own among them.
//! Does not own: the roll-ups (the steps maintain them), the judge, routes, logins.
//!
//! Invariants:
//! - Each attempt's cost is in exactly one column, so that the columns add up to the total, to the nano.
//! - Money of two currencies is never added; a margin is shown only where cost and revenue are in one.
//! - A cost that is unknown is counted beside the sums, never as zero.
//! - Confirmed and assumed outcomes are told apart wherever they are counted.
//! - Explaining and counting again only read, and read one moment.
//! - An export tells nothing of what the attempts cost. A customer's own page tells nothing of costs, models, agents or the
//!   seller's people either: they are left out before anything is put together.
//! - The evidence of an invoice is the same, to the byte, whenever it is asked for.

mod case;
mod chart;
mod compared;
mod count;
mod definitions;
mod evidence;
mod export;
mod failure_cost;
mod overview;
pub mod pages;
mod preview;
mod rate;
mod recount;
mod rejudge;
mod statement;
mod text;
mod trend;
mod unit;
mod verify;
mod view;
mod xlsx;

pub use case::{
    AmountView, AttemptView, BilledView, CostView, DisputeView, EpisodeView, EventView, Explanation,
    HeldEpisode, explain, explain_to_customer, text as case_text,
};
pub use compared::{recounted, rejudged};
pub use count::{Costs, Overflow, Sums, Tally};
pub use definitions::{DEFINITIONS, Definition};
pub use evidence::{Evidence, EvidenceFormat};
pub use export::{ExportError, export};
pub use failure_cost::{FailureCost, GROUPINGS, Query, Row, failure_cost, group_by};
pub use overview::{Counted, Days, Groups, InCurrency, Line, Overview, Point, Unpriced, groups, overview};
pub use preview::{Preview, preview, previewed};
pub use rate::Rate;
pub use recount::{BadExport, Difference, Explained, Other, Recount, recount};
pub use rejudge::{Change, Comparison, RejudgeError, Rejudged, rejudge};
pub use statement::statement;
pub use text::{csv, table};
pub use unit::{Measured, StripeFee, Unit};
pub use verify::{Expected, Misfit, Verified, expected, verify};
pub use view::{Compare, View, presets};
pub use xlsx::{XlsxError, xlsx};
