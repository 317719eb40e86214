//! The service's judge and ledger are held against the oracle here, against what they promise, and against the
//! rules of the market. This is what these tests share: random cases, told once in the oracle's words and once
//! in the service's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod history;
mod service;

pub use history::{History, SEED, Told, seed};
pub use service::{live, look, rule, to_fact};
