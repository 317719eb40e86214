//! What Verdict knows about outcomes, prices and costs, as pure functions over plain data.
//!
//! Owns: money, time, attempts and resolutions as facts, the judge of a case, the ledger of outcomes,
//! contracts, what a period costs, periods, invoices, the buckets that costs fall into.
//! Does not own: storage, wire formats, price books, clocks, randomness, any IO.
//!
//! Invariants:
//! - A judgement is a function of the *set* of facts, the rule and a time: order and repetition of the
//!   facts cannot change it (`docs/RULES.md` is the definition).
//! - Money never passes through a float and never overflows silently: sums are checked.
//! - Each attempt of a case is in exactly one bucket.

pub mod attempt;
pub mod contract;
pub mod document;
pub mod economics;
pub mod fact;
pub mod invoice;
pub mod judge;
pub mod ledger;
pub mod money;
pub mod period;
pub mod pricing;
pub mod rule;
pub mod time;
