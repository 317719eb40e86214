//! `verdict customers`.

use super::Outcome;
use crate::clock::{Clock, wall_clock};
use crate::config::Config;
use clap::Subcommand;
use verdict_billing::link_customer;
use verdict_store::Store;

#[derive(Debug, Subcommand)]
pub(super) enum Customers {
    /// Says which of Stripe's customers is ours, in the place of any before.
    Link {
        /// Our customer.
        customer: String,
        /// Its id at Stripe, `cus_…`.
        stripe_customer: String,
    },
}

pub(super) async fn run(config: &Config, store: &Store, command: Customers) -> Outcome {
    let Customers::Link { customer, stripe_customer } = command;
    let stripe = config.stripe(&Clock::default())?;
    link_customer(store, stripe.as_ref(), &customer, &stripe_customer, wall_clock()).await?;
    println!("linked; what was parked for it can be replayed: see `verdict parked list`");
    Ok(())
}
