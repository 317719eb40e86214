//! `verdict invoices …`.

use super::Outcome;
use clap::Subcommand;
use verdict_billing::{VoidAsked, void};
use verdict_domain::money::minor_decimal;
use verdict_store::{Store, invoices};

#[derive(Debug, Subcommand)]
pub(super) enum Invoices {
    /// Lists, the newest first.
    List,
    /// Sends a local draft (made while no Stripe key was set) to Stripe. One that is there already stays as it is.
    Push {
        /// Its id.
        id: String,
    },
    /// Voids an invoice at Stripe, if it is open or uncollectible there. What is billed here stays as it is.
    Void {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(store: &Store, command: Invoices) -> Outcome {
    match command {
        Invoices::List => {
            for invoice in invoices::list(store, 10_000).await? {
                let total = minor_decimal(invoice.total_minor, invoice.currency);
                let state = invoice.stripe_status.as_deref().unwrap_or("local draft");
                println!(
                    "{}  {}  {total} {}  {state}",
                    invoice.id,
                    invoice.customer,
                    invoice.currency.code()
                );
            }
        }
        Invoices::Push { id } => {
            let invoice =
                invoices::find(store, &id).await?.ok_or_else(|| format!("there is no invoice `{id}`"))?;
            let tx = store.begin().await?;
            let new = verdict_store::outbox::send_later(&tx, &invoice.id).await?;
            tx.commit().await?;
            match new {
                true => println!("in line for Stripe"),
                false => println!(
                    "it was sent before: see its state in `verdict invoices list`, and `verdict parked list`"
                ),
            }
        }
        Invoices::Void { id } => match void(store, &id).await? {
            VoidAsked::Queued => println!("in line for Stripe"),
            VoidAsked::Before(state) => println!("it was asked for before: {state}"),
            VoidAsked::NotFound => return Err(format!("there is no invoice `{id}`").into()),
            VoidAsked::Refused(why) => return Err(format!("`{id}` cannot be voided: {why}").into()),
        },
    }
    Ok(())
}
