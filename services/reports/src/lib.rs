//! What failure costs, and why a case was billed as it was: for people and programs.
//!
//! Owns: the figures of the failure-cost report (from the daily roll-ups, never from the attempts) and how they are
//! derived and sorted, tables, CSV and XLSX; recorded rows as Parquet; a provider's own bill beside them; the alerts on figures
//! (*watch figures*); the levers (caching, routing, distillation), which read attempts and are computed beside; the explanation of
//! a case; counting cases again under another rule or from an export;
//! the evidence of an invoice; the check of the chains; the pages and their charts, a customer's own among them.
//! Does not own: the roll-ups (the steps maintain them), the judge, routes, logins.
//!
//! Invariants:
//! - Each attempt's cost is in exactly one column, so that the columns add up to the total, to the nano.
//! - Money of two currencies is never added; a margin is shown only where cost and revenue are in one.
//! - A cost that is unknown is counted beside the sums, never as zero. A day without a bill is not one that cost nothing.
//! - Confirmed and assumed outcomes are told apart wherever they are counted.
//! - Explaining and counting again only read, and read one moment.
//! - A lever says what it rests on and of how many it is, and nothing where these are too few.
//! - An export tells nothing of what the attempts cost. A customer's own page tells nothing of costs, models, agents or the
//!   seller's people either: they are left out before anything is put together.
//! - The evidence of an invoice is the same, to the byte, whenever it is asked for.

mod behind;
mod beside;
mod case;
mod cases;
mod chart;
mod compared;
mod count;
mod definitions;
mod evidence;
mod export;
mod failure_cost;
mod levers;
mod overview;
pub mod pages;
mod parquet_file;
mod preview;
mod provider_bill;
mod rate;
mod recount;
mod rejudge;
mod sort;
mod statement;
mod text;
mod trend;
mod unit;
mod verify;
mod view;
mod watch;
mod xlsx;

pub use behind::{Asked, FIGURES};
pub use beside::{Beside, beside};
pub use case::{
    AmountView, AttemptView, BilledView, CostChangeView, CostView, DisputeView, EpisodeView, EventView,
    Explanation, HeldEpisode, explain, explain_to_customer, text as case_text,
};
pub use cases::{CASES_HEADING, cases_csv, cases_table};
pub use compared::{recounted, rejudged};
pub use count::{Costs, Overflow, Sums, Tally};
pub use definitions::{DEFINITIONS, Definition};
pub use evidence::{Evidence, EvidenceFormat};
pub use export::{ExportError, export};
pub use failure_cost::{FailureCost, GROUPINGS, Query, Row, failure_cost, group_by};
pub use levers::{
    Assumed, Cached, Caching, Cheaper, Distillation, Levers, Model, Price, Question, Routed, Routing, levers,
    levers_text,
};
pub use overview::{Counted, Days, Groups, InCurrency, Line, Overview, Point, Unpriced, groups, overview};
pub use parquet_file::{ParquetFile, ParquetFileError};
pub use preview::{Preview, preview, previewed};
pub use provider_bill::{
    Agreement, BillQuery, BillRow, BillView, ProviderBill, Tolerance, Unmatched, bill_csv, bill_table,
    model_names, provider_bill, what_differs,
};
pub use rate::Rate;
pub use recount::{BadExport, Difference, Explained, Other, Recount, recount};
pub use rejudge::{Change, Comparison, RejudgeError, Rejudged, rejudge};
pub use sort::Sort;
pub use statement::statement;
pub use text::{csv, table};
pub use unit::{Measured, StripeFee, Unit};
pub use verify::{Expected, Misfit, Verified, expected, verify};
pub use view::{Compare, View, presets};
pub use watch::{Thresholds, watch_figures};
pub use xlsx::{XlsxError, xlsx};
