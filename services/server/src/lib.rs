//! The one binary and its roles: configuration, the HTTP door, the queue, the worker loop, the command line.
//!
//! Owns: processes, connections, the clock, access, routes. The only room with actix-web and lapin.
//! Does not own: rules, prices, SQL: a handler reads its input, calls one function and shapes its answer.
//!
//! Invariants:
//! - A message or a delivery is acknowledged only after the commit of what it brought.
//! - Nothing answers without a key but the login page, webhooks by their signature, a customer's own page and a report by their
//!   links, the pages' style and script.
//! - Steps are run by one loop, periodically and when nudged; whoever runs them, the result is the same.
//! - It refuses to start on a configuration that is not safe.

pub mod amqp;
pub mod cli;
pub mod clock;
pub mod config;
mod contract;
pub mod http;
pub mod inbox;
mod levers;
mod link;
mod page_link;
pub mod prices;
mod provider_bills;
mod rebuild;
mod replay;
mod report_link;
pub mod serve;
pub mod sources;
pub mod worker;
