//! Billing, from the outcome to Stripe: the steps *rate*, *open*, *close*, *allot*, *refresh*, *push*, *send meter events* and *watch spend*;
//! back, the step *apply*; and whether all of it agrees (*reconcile*).
//!
//! Owns: pricing posted outcomes, which of them are free, opening and closing periods, the documents of a closing and their approval, prepaid credits,
//! carrying documents to Stripe, and what Stripe tells of them; what an open period comes to so far, and the alerts at shares of
//! its bounds; reconciliation.
//! Does not own: what a price or a line is (`domain`), SQL, when the steps run.
//!
//! Invariants:
//! - An outcome gets its list price once, by the contract version in force when it took effect; what has no price is
//!   parked, never free. A void is the exact opposite of what it takes back.
//! - Which outcomes of a period are free follows from those that stand, the contract and whether it is a trial, whatever the order
//!   in which they came; it changes no bill.
//! - A period has at most one invoice of its own. All lines about a period, on whichever documents, add up to what it costs with
//!   what is on them. A final document never changes; a draft does until it is approved, and only in what is about its own period.
//! - What belongs to a trial, and what is billed through Stripe's meters, is on documents that never go to Stripe.
//! - A crash at any point of a push ends in exactly one invoice at Stripe: ids are stored as soon as they are
//!   known, keys are deterministic, and what may have been sent is looked up before it is sent again.
//! - What Stripe tells is only a hint to look: however often, late or out of order events come, what is written is what
//!   Stripe said when it was asked last.

mod allot;
mod approve;
mod books;
mod close;
mod credits;
mod estimate;
mod events;
mod link;
mod meter;
mod push;
mod rate;
pub mod reconcile;
pub mod stripe;
mod watch;

pub use allot::allot_free;
pub use approve::{ApproveError, approve, refresh_drafts};
pub use close::{close_periods, open_periods};
pub use credits::{GrantError, GrantRequest, grant};
pub use estimate::estimate;
pub use events::{apply_stripe_events, read_event};
pub use link::{NotLinked, link_customer};
pub use meter::send_meter_events;
pub use push::{Backoff, VoidAsked, push_next, void};
pub use rate::rate_outcomes;
pub use watch::watch_spend;
