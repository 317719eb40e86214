//! An independent oracle for the service: `docs/RULES.md` written down a second time, naively, and a seeded
//! generator of believable traffic. It shares no code with the service, so an agreement of the two means
//! something.
//!
//! ```
//! use verdict_oracle::{Oracle, Plan, generate};
//!
//! let plan = Plan { events: 100, ..Plan::default() };
//! let traffic = generate(&plan);
//! let oracle = Oracle::new(&traffic, plan.end());
//! assert_eq!(oracle.costs().len(), traffic.attempts.len());
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attempts;
mod books;
mod contracts;
mod costs;
mod documents;
mod free;
mod generate;
mod hostile;
mod journal;
mod judge;
mod money;
mod oracle;
mod periods;
mod prices;
mod pricing;
mod report;
mod story;
mod terms;
#[cfg(test)]
mod tests;
mod traffic;

pub use books::{Books, Line};
pub use costs::{Cost, cost, other_costs};
pub use documents::Document;
pub use free::{Free, free};
pub use generate::{Plan, generate};
pub use hostile::{malformed, shuffle_and_duplicate};
pub use journal::{Entry, Journal};
pub use money::{minor_units, nanos, round_div};
pub use oracle::{Dispute, Judged, JudgedWin, Oracle, Posting, Verdict};
pub use periods::{Period, closed_periods};
pub use prices::{Price, price};
pub use pricing::{Counts, Item, Priced, Tally, Used, price_period};
pub use report::{By, Figures};
pub use terms::{
    Assumed, Cadence, Charges, Contract, ContractPrice, Corrections, Evidence, Fee, FollowUp, Grant, Mode,
    NegativeFeedback, Reopen, RestartedBy, Rule, SilenceFrom, Tier, UsagePrice,
};
pub use traffic::{
    Amount, Attempt, DAY, Door, HOUR, Kind, MINUTE, NamedAmount, Resolution, SECOND, Status, Strength,
    Traffic, Usage, WEBHOOK_SOURCE, rfc3339,
};
