//! `verdict customers` and `verdict estimate`.

use super::{Outcome, cases};
use crate::clock::{Clock, wall_clock};
use crate::config::Config;
use crate::link::{self, Sort, link_key};
use crate::page_link::{DAYS, has_contract, make_link};
use clap::{Args, Subcommand};
use verdict_billing::link_customer;
use verdict_domain::money::minor_decimal;
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
    /// Makes a link to a customer's own page: usage, estimate, invoices, evidence, disputes. Whoever has it, sees the page.
    Page {
        /// Whose page.
        customer: String,
        /// How many days it holds.
        #[arg(long, default_value_t = DAYS)]
        days: u32,
    },
    /// Revokes all links to a customer's page that were made so far.
    RevokePages {
        /// Whose page.
        customer: String,
    },
}

pub(super) async fn run(config: &Config, store: &Store, command: Customers) -> Outcome {
    match command {
        Customers::Link { customer, stripe_customer } => {
            let stripe = config.stripe(&Clock::default())?;
            link_customer(store, stripe.as_ref(), &customer, &stripe_customer, wall_clock()).await?;
            println!("linked; what was parked for it can be replayed: see `verdict parked list`");
        }
        Customers::Page { customer, days } => {
            let (key, now) = (link_key(config)?, cases::now(store).await?);
            let set = (key.as_ref(), config.public_url.as_deref());
            let link = make_link(store, set, &customer, days, now).await??;
            println!("{}", link.url);
            eprintln!("It holds until {}. Whoever has it, sees the page of `{customer}`.", link.expires_at);
        }
        Customers::RevokePages { customer } => {
            if !has_contract(store, &customer).await? {
                return Err(format!("customer: `{customer}` has no contract").into());
            }
            link::revoke(store, Sort::CustomerPage, &customer).await?;
            println!("all links to the page of `{customer}` that were made before are revoked");
        }
    }
    Ok(())
}

/// Shows what a customer's open periods would come to if they closed now.
#[derive(Debug, Args)]
pub(super) struct Estimate {
    /// Whose periods.
    customer: String,
}

pub(super) async fn estimate(store: &Store, Estimate { customer }: Estimate) -> Outcome {
    let estimate = verdict_billing::estimate(store, &customer, cases::now(store).await?).await?;
    let estimate = estimate.ok_or_else(|| format!("customer: `{customer}` has no contract"))?;
    let code = estimate.currency.code();
    let money = |minor| minor_decimal(minor, estimate.currency);
    println!("{customer}, as of {}", estimate.as_of);
    for part in &estimate.periods {
        let trial = if part.is_trial { "; a trial: none of it is charged" } else { "" };
        println!(
            "\n{} to {}, invoiced from {} on{trial}",
            part.period.start, part.period.end, part.closes_at
        );
        for line in &part.draft.lines {
            let corrected = match line.period_start == part.period.start {
                true => String::new(),
                false => format!(" (correction, period from {})", line.period_start),
            };
            let (item, quantity) = (line.item.to_string(), line.quantity);
            println!("  {:>14}  {item}: {quantity}{corrected}  [{}]", money(line.minor), line.why);
        }
        println!("  {:>14}  {code} in total", money(part.draft.total_minor));
    }
    if estimate.periods.is_empty() {
        println!("\nno period is open");
    }
    println!("\n{} cases are pending: what they come to is in no line yet", estimate.pending);
    Ok(())
}
