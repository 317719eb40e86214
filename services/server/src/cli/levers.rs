//! `verdict report levers`.

use super::{Outcome, cases, day};
use crate::config::Config;
use crate::levers::{active_book, price};
use clap::{Args, ValueEnum};
use verdict_domain::time::day_text;
use verdict_reports::{Model, Question, levers, levers_text};
use verdict_store::Store;

/// What caching, routing and distillation would have moved. Reads all attempts of these days: it may take minutes.
#[derive(Debug, Args)]
pub(super) struct Levers {
    /// The first UTC day, such as 2026-10-01.
    #[arg(long, value_parser = day)]
    from: i64,
    /// The first UTC day after.
    #[arg(long, value_parser = day)]
    to: i64,
    /// Of this customer only.
    #[arg(long)]
    customer: Option<String>,
    /// A model to reprice on, such as openai/gpt-4o-mini; may be given several times [default: `levers.models`, else those in use]
    #[arg(long = "model", value_parser = Model::parse)]
    models: Vec<Model>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) async fn run(config: &Config, store: &Store, command: Levers) -> Outcome {
    let Levers { from, to, customer, models, format } = command;
    if to <= from {
        return Err(format!("--to: {} is not after {}", day_text(to), day_text(from)).into());
    }
    let models = if models.is_empty() { config.levers.models()? } else { models };
    let question = Question { from, to, customer, models, distillation: config.levers.distillation()? };
    let now = cases::now(store).await?;
    let computed =
        levers(store, &question, &price(&active_book(store).await?), || std::future::ready(()), now).await?;
    match format {
        Format::Table => print!("{}", levers_text(&computed)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&computed)?),
    }
    Ok(())
}
