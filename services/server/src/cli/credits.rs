//! `verdict credits`.

use super::Outcome;
use crate::clock::wall_clock;
use crate::config::parse_start;
use clap::Subcommand;
use verdict_billing::{GrantRequest, grant};
use verdict_domain::money::minor_decimal;
use verdict_domain::time::Timestamp;
use verdict_store::{Store, grants};

#[derive(Debug, Subcommand)]
pub(super) enum Credits {
    /// Grants prepaid credits to a customer.
    Grant {
        /// Whose.
        customer: String,
        /// How much, in the currency of the contract, such as 500.00.
        amount: String,
        /// The grant's own id, the same when it is sent again.
        #[arg(long)]
        id: String,
        /// From when on it counts [default: now].
        #[arg(long, value_name = "TIME", value_parser = parse_start)]
        from: Option<Timestamp>,
        /// When it expires [default: never].
        #[arg(long, value_name = "TIME", value_parser = parse_start)]
        expires: Option<Timestamp>,
        /// What for.
        #[arg(long)]
        note: Option<String>,
    },
    /// Lists a customer's grants, and what is left of each.
    List {
        /// Whose.
        customer: String,
    },
}

pub(super) async fn run(store: &Store, command: Credits) -> Outcome {
    match command {
        Credits::Grant { customer, amount, id, from, expires, note } => {
            let request =
                GrantRequest { id, customer, amount, effective_at: from, expires_at: expires, note };
            match grant(store, &request, wall_clock()).await? {
                true => println!("granted"),
                false => println!("granted before: nothing changed"),
            }
        }
        Credits::List { customer } => {
            for (recorded, drawn) in grants::list(store, &customer).await? {
                let grant = &recorded.grant;
                let shown = |minor: i64| minor_decimal(minor, recorded.currency);
                let until = grant.expires_at.map_or("never expires".into(), |at| format!("expires {at}"));
                println!(
                    "{}  {} {}  drawn {}  left {}  from {}  {until}",
                    grant.id,
                    shown(grant.minor),
                    recorded.currency.code(),
                    shown(drawn),
                    shown(grant.minor.saturating_sub(drawn)),
                    grant.effective_at
                );
            }
        }
    }
    Ok(())
}
