//! `verdict invoices`.

use super::{Outcome, evidence};
use crate::clock::wall_clock;
use crate::config::Config;
use clap::Subcommand;
use verdict_billing::{VoidAsked, approve, void};
use verdict_domain::contract::Through;
use verdict_domain::document::{Kind, State};
use verdict_domain::money::{minor_decimal, parse_minor};
use verdict_store::invoices::{self, Invoice};
use verdict_store::{Store, outbox};

#[derive(Debug, Subcommand)]
pub(super) enum Invoices {
    /// Lists invoices and credit notes, the newest first.
    List,
    /// Approves a draft: it becomes final, and goes to Stripe if a key is set.
    Approve {
        /// Its id.
        id: String,
        /// What it totals, such as 43.65: refused if it has changed since you looked.
        #[arg(long)]
        total: Option<String>,
        /// Who approves it.
        #[arg(long)]
        by: String,
    },
    /// Sends a final invoice (made while no Stripe key was set) to Stripe. One that is there already stays as it is.
    Push {
        /// Its id.
        id: String,
    },
    /// Voids an invoice at Stripe, if it is open or uncollectible there. What is billed here stays as it is.
    Void {
        /// Its id.
        id: String,
    },
    Evidence(evidence::Evidence),
}

pub(super) async fn run(config: &Config, store: &Store, command: Invoices) -> Outcome {
    match command {
        Invoices::List => {
            for invoice in invoices::list(store, None, 10_000).await? {
                let total = minor_decimal(invoice.total_minor, invoice.currency);
                println!(
                    "{}  {}  {total} {}  {}",
                    invoice.id,
                    invoice.customer,
                    invoice.currency.code(),
                    stands(&invoice)
                );
            }
        }
        Invoices::Approve { id, total, by } => {
            let seen = match total {
                None => None,
                Some(total) => Some(parse_minor(&total, find(store, &id).await?.currency)?),
            };
            let push = config.stripe_secret_key.is_some();
            let invoice = approve(store, &id, seen, &by, wall_clock(), push).await?;
            let total = minor_decimal(invoice.total_minor, invoice.currency);
            println!("approved: {total} {}", invoice.currency.code());
        }
        Invoices::Void { id } => match void(store, &id).await? {
            VoidAsked::Queued => println!("in line for Stripe"),
            VoidAsked::Before(state) => println!("it was asked for before: {state}"),
            VoidAsked::NotFound => return Err(format!("there is no invoice `{id}`").into()),
            VoidAsked::Refused(why) => return Err(format!("`{id}` cannot be voided: {why}").into()),
        },
        Invoices::Evidence(command) => evidence::write(store, command).await?,
        Invoices::Push { id } => {
            let invoice = find(store, &id).await?;
            if invoice.state != State::Final {
                let state = invoice.state.as_str();
                return Err(format!("invoice `{id}` is {state}: only final ones go to Stripe").into());
            }
            if invoice.terms.through == Through::MeterEvents {
                return Err(format!("`{id}` is billed by Stripe's meters: its invoice stays here").into());
            }
            let tx = store.begin().await?;
            let new = outbox::send_later(&tx, &invoice.id).await?;
            tx.commit().await?;
            match new {
                true => println!("in line for Stripe"),
                false => println!(
                    "it was sent before: see its state in `verdict invoices list`, and `verdict parked list`"
                ),
            }
        }
    }
    Ok(())
}

async fn find(store: &Store, id: &str) -> Result<Invoice, Box<dyn std::error::Error>> {
    Ok(invoices::find(store, id).await?.ok_or_else(|| format!("there is no invoice `{id}`"))?)
}

/// What it is and where it stands, in words.
fn stands(invoice: &Invoice) -> String {
    let kind = match invoice.kind {
        Kind::Invoice => "",
        Kind::CreditNote => "credit note, ",
    };
    let state = match (&invoice.stripe_status, invoice.state) {
        (Some(status), _) => status.as_str(),
        (None, State::Draft) => "waits for approval",
        (None, State::Final) => "final, not at Stripe",
        (None, State::Shadow) => "trial, never charged",
    };
    format!("{kind}{state}")
}
