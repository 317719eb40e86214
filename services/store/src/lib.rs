//! The only room with SQL: plain functions by aggregate over one [`Store`].
//!
//! Owns: connections, transactions, statements, the mapping of rows to domain types.
//! Does not own: rules, prices, retries, clocks. Every time is handed in.
//!
//! Invariants:
//! - Facts are inserted under a permanent unique key and never changed. What an attempt cost is read with what repricings
//!   posted beside it.
//! - What a step does and the bookkeeping that it did it are written in one [`Tx`].
//! - Rows written in bulk are sorted by their key first: two writers never deadlock.
//! - The same functions serve PostgreSQL and SQLite.

pub mod access;
pub mod alerts;
pub mod allotments;
pub mod attempts;
mod bulk;
pub mod calls;
pub mod cases;
pub mod chain;
pub mod changes;
mod connect;
pub mod contracts;
pub mod deliveries;
pub mod estimates;
pub mod evidence;
pub mod figures;
pub mod grants;
pub mod history;
pub mod invoices;
pub mod ledger;
pub mod levers;
pub mod meter;
pub mod outbox;
pub mod page_links;
pub mod parked;
pub mod prices;
pub mod provider_bills;
pub mod quarantine;
pub mod raw;
pub mod rebuilds;
pub mod reconcile;
pub mod repricings;
pub mod resolutions;
pub mod sources;
pub mod statement;
mod status;
pub mod stripe_events;
pub mod usage;

pub use connect::{Store, StoreError, Tx};
pub use status::{Status, is_anything_due, status};
