//! `verdict reconcile`.

use super::cases::now;
use super::{Outcome, day};
use crate::clock::Clock;
use crate::config::Config;
use clap::{Args, ValueEnum};
use verdict_billing::reconcile::{Comparison, Name, Reconciled, reconcile, remember};
use verdict_domain::time::{MICROS_PER_DAY, Timestamp};
use verdict_store::Store;

/// Compares facts with the ledger, the ledger with the lines of invoices, and invoices with Stripe's. Fails if there are
/// differences. Without --since and --only, what is found replaces what the service shows and raises as alerts.
#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// Only what was recorded, posted, or drafted since this UTC day, and periods that ended since.
    #[arg(long, value_parser = day)]
    since: Option<i64>,
    /// Only one of the comparisons.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Only {
    Facts,
    Lines,
    Stripe,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) async fn run(config: &Config, store: &Store, command: Reconcile) -> Outcome {
    let Reconcile { since, only, format } = command;
    let stripe = config.stripe(&Clock::default())?;
    let comparisons = match only {
        None => Comparison::ALL.to_vec(),
        Some(Only::Facts) => vec![Comparison::Facts],
        Some(Only::Lines) => vec![Comparison::Lines],
        Some(Only::Stripe) if stripe.is_none() => {
            return Err("--only stripe: no key is configured: set VERDICT_STRIPE_SECRET_KEY".into());
        }
        Some(Only::Stripe) => vec![Comparison::Stripe],
    };
    let start = since.map(|day| Timestamp(day.saturating_mul(MICROS_PER_DAY)));
    let now = now(store).await?;
    let reconciled = reconcile(store, stripe.as_ref(), &comparisons, start, now).await?;
    if since.is_none() && only.is_none() {
        remember(store, &reconciled, now).await?;
    }
    match format {
        Format::Text => print!("{}", text(&reconciled)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&reconciled)?),
    }
    match reconciled.counts.values().sum::<u64>() {
        0 => Ok(()),
        count => Err(format!("{count} differences").into()),
    }
}

fn text(reconciled: &Reconciled) -> String {
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        let counts: Vec<String> = counts.iter().map(|(what, count)| format!("{what} {count}")).collect();
        if counts.is_empty() { "nothing".into() } else { counts.join(", ") }
    };
    let mut text =
        format!("checked  {}\nwaiting  {}\n", counts(&reconciled.checked), counts(&reconciled.waiting));
    if !reconciled.compared.contains(&Comparison::Stripe) {
        text.push_str("Stripe was not asked\n");
    }
    for name in Name::ALL {
        let Some(count) = reconciled.counts.get(name) else { continue };
        text.push_str(&format!("\n{}: {count}\n", name.as_str()));
        for difference in reconciled.differences.iter().filter(|difference| difference.name == *name) {
            let (subject, expected, found) = (&difference.subject, &difference.expected, &difference.found);
            text.push_str(&format!("  {subject}\n    expected  {expected}\n    found     {found}\n"));
        }
        text.push_str(&format!("  What to do: {}\n", name.remedy()));
    }
    if reconciled.is_clean() {
        text.push_str("all agrees\n");
    }
    text
}
