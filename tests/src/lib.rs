//! The whole thing against real servers: what starts the service, talks to it through its doors, and looks.
//!
//! Owns: the harness, the demo, the benchmark. Does not own: what is right; that is `oracle`.
//! The service is the real binary in a process of its own; nothing here calls its code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod browser;
pub mod database;
pub mod gate;
pub mod load;
pub mod platform;
pub mod queue;
pub mod service;
pub mod stripe;
