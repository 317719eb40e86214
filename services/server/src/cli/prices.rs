//! `verdict prices`.

use super::{Outcome, cases, reprice};
use crate::config::parse_start;
use clap::{Args, Subcommand};
use verdict_domain::attempt::ServiceTier;
use verdict_domain::time::Timestamp;
use verdict_intake::{
    Diff, ModelChange, OverrideRequest, PricesRequest, Reading, books, disagreements, quotes, tell_override,
};
use verdict_store::{Store, prices};

#[derive(Debug, Subcommand)]
pub(super) enum Prices {
    /// Lists the price books, and when which was made active.
    List,
    /// Imports LiteLLM's `model_prices_and_context_window.json` as it is, and prints what its activation would change.
    Import {
        /// The file.
        file: String,
        /// What the book is called.
        #[arg(long, default_value = "litellm")]
        name: String,
        /// Its version, such as that of the package that the file is from.
        #[arg(long)]
        version: String,
    },
    /// Prints what would change for the models of the last 90 days, if one book took the place of another.
    Diff {
        /// The first book.
        from: String,
        /// The second.
        to: String,
    },
    /// Prints what would change, and with --yes makes a book the one that prices attempts from now on.
    Activate {
        /// The book, as `verdict prices list` names it.
        book: String,
        /// Does it.
        #[arg(long)]
        yes: bool,
    },
    /// Shows what a model costs, by which service, and what says so.
    Show {
        /// Provider and model, such as openai/gpt-5.
        model: String,
        /// At which time [default: now].
        #[arg(long, value_name = "TIME", value_parser = parse_start)]
        at: Option<Timestamp>,
        /// For which customer.
        #[arg(long)]
        customer: Option<String>,
    },
    /// Lists the models that two books price differently, by more than rounding.
    Disagreements {
        /// The first book [default: the one that is built in].
        #[arg(long)]
        book: Option<String>,
        /// The other [default: the active one].
        #[arg(long)]
        other: Option<String>,
        /// At which time [default: now].
        #[arg(long, value_name = "TIME", value_parser = parse_start)]
        at: Option<Timestamp>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Records prices that go before the book's, for all customers or for one.
    Override(Box<Override>),
    /// Lists the overrides. Of those in force at a time, the last one counts.
    Overrides,
    /// Prices attempts anew under a book, with the overrides as they are now, and prints what would change; with --yes it posts the
    /// differences. Attempts stay as they were recorded, and so does what customers were charged.
    Reprice(Box<reprice::Reprice>),
    /// Lists the repricings that posted something, the newest first.
    Repricings,
}

#[derive(Debug, Args)]
pub(super) struct Override {
    /// The override's own id, the same when it is sent again.
    #[arg(long)]
    id: String,
    /// For this customer only.
    #[arg(long)]
    customer: Option<String>,
    /// As attempts name it, such as openai.
    #[arg(long)]
    provider: String,
    /// As attempts name it, such as gpt-5.
    #[arg(long)]
    model: String,
    /// Which of the provider's services [default: standard].
    #[arg(long, value_parser = ServiceTier::read)]
    service_tier: Option<ServiceTier>,
    /// From when on.
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    from: Timestamp,
    /// Until when, itself excluded [default: for good].
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    to: Option<Timestamp>,
    /// US dollars per million input tokens, such as 1.25.
    #[arg(long, requires = "output", required_unless_present = "none")]
    input: Option<String>,
    /// The same, read from the cache [default: as input].
    #[arg(long, requires = "input")]
    cached_input: Option<String>,
    /// The same, written to the cache [default: as input].
    #[arg(long, requires = "input")]
    cache_write: Option<String>,
    /// The same, written to the cache for an hour [default: as what is written].
    #[arg(long = "cache-write-1h", requires = "input")]
    cache_write_1h: Option<String>,
    /// US dollars per million output tokens.
    #[arg(long, requires = "input")]
    output: Option<String>,
    /// The same, reasoning [default: as output].
    #[arg(long, requires = "input")]
    reasoning: Option<String>,
    /// US dollars per request [default: 0].
    #[arg(long, requires = "input")]
    request: Option<String>,
    /// No prices: from --from on it is as if there were no override, which ends an earlier one.
    #[arg(long, conflicts_with = "input")]
    none: bool,
    /// What for.
    #[arg(long)]
    note: Option<String>,
}

impl From<Override> for OverrideRequest {
    fn from(given: Override) -> Self {
        let prices = given.input.zip(given.output).map(|(input, output)| PricesRequest {
            input,
            cached_input: given.cached_input,
            cache_write: given.cache_write,
            cache_write_1h: given.cache_write_1h,
            output,
            reasoning: given.reasoning,
            request: given.request,
        });
        Self {
            id: given.id,
            customer: given.customer,
            provider: given.provider,
            model: given.model,
            service_tier: given.service_tier,
            from: given.from,
            to: given.to,
            prices,
            note: given.note,
        }
    }
}

/// Who did it, where the command line was the door.
const CALLER: &str = "command line";

pub(super) async fn run(store: &Store, command: Prices) -> Outcome {
    let now = cases::now(store).await?;
    match command {
        Prices::List => list(store).await?,
        Prices::Import { file, name, version } => {
            let content = std::fs::read(&file).map_err(|error| format!("{file}: {error}"))?;
            let (book, reading, is_new) =
                books::import(store, &name, &version, &content, now, CALLER).await?;
            let done = if is_new { "imported" } else { "is there already" };
            println!("{}  {}  {done}", book.id(), book.digest());
            print_reading(&reading);
            print_diff(&books::changes(store, None, &book, now).await?);
            println!("`verdict prices activate {}` makes it the one that prices attempts.", book.id());
        }
        Prices::Diff { from, to } => {
            let to = books::open(store, &to).await?;
            print_diff(&books::changes(store, Some(&from), &to, now).await?);
        }
        Prices::Activate { book, yes } => {
            let opened = books::open(store, &book).await?;
            let diff = books::changes(store, None, &opened, now).await?;
            print_diff(&diff);
            if !yes {
                return Err("nothing was changed: with --yes it is".into());
            }
            books::activate(store, opened.id(), &diff.digest, now, CALLER).await?;
            println!("active: {} prices what is recorded from now on", opened.id());
        }
        Prices::Show { model, at, customer } => {
            let (provider, name) = model
                .split_once('/')
                .ok_or_else(|| format!("`{model}` is not a provider and its model, such as openai/gpt-5"))?;
            let at = at.unwrap_or(now);
            let book = books::open_active(store).await?;
            let quoted = quotes(&book, customer.as_deref(), provider, name, at);
            if quoted.is_empty() {
                return Err(format!("there is no price of `{name}` by `{provider}` at {at}").into());
            }
            println!("{provider}/{name} at {at}: US dollars per million tokens, and per request");
            for quote in quoted {
                println!("\n{}  by {}", quote.service_tier.as_str(), quote.source);
                for step in quote.steps {
                    println!("  from {} input tokens", step.from_input_tokens);
                    for (unit, price) in step.prices {
                        println!("    {unit:<15} {}", price.as_deref().unwrap_or("unknown"));
                    }
                }
            }
        }
        Prices::Disagreements { book, other, at, json } => {
            let (book, other) = books::pair(store, book.as_deref(), other.as_deref()).await?;
            let compared = disagreements(&book, &other, at.unwrap_or(now));
            if json {
                println!("{}", serde_json::to_string_pretty(&compared)?);
                return Ok(());
            }
            compared.disagree.iter().for_each(print_change);
            println!(
                "{} and {}: {} models priced alike, {} not",
                compared.book,
                compared.other,
                compared.agree,
                compared.disagree.len()
            );
        }
        Prices::Override(given) => {
            let request = OverrideRequest::from(*given);
            match books::record_override(store, &request, now, CALLER).await? {
                true => println!("recorded"),
                false => println!("recorded before: nothing changed"),
            }
        }
        Prices::Reprice(command) => reprice::run(store, *command).await?,
        Prices::Repricings => reprice::list(store).await?,
        Prices::Overrides => {
            for (row, recorded) in prices::overrides(store).await? {
                println!("{}", serde_json::to_string(&tell_override(&row))?);
                println!("  recorded {} by {}", recorded.at, recorded.by);
            }
        }
    }
    Ok(())
}

async fn list(store: &Store) -> Outcome {
    let (listed, activations) = books::list(store).await?;
    for book in listed {
        let from =
            book.imported.map_or("built in".to_string(), |by| format!("imported {} by {}", by.at, by.by));
        let state = if book.is_active { "active" } else { "-" };
        println!("{}  {}  {state}  {from}", book.id, book.digest);
    }
    for row in activations {
        println!("{}  {} activated by {}  (diff {})", row.at, row.book, row.by, row.diff);
    }
    Ok(())
}

fn print_reading(reading: &Reading) {
    let Reading { priced, skipped, unread, shadowed } = reading;
    println!("{priced} entries priced, {skipped} not paid by text tokens");
    for entry in unread {
        println!("cannot be read: {}: {}", entry.entry, entry.reason);
    }
    for entry in shadowed {
        println!("another entry of the same model goes before: {entry}");
    }
}

fn print_diff(diff: &Diff) {
    println!("{} to {}, for the models of the last 90 days:", diff.from, diff.to);
    diff.changes.iter().for_each(print_change);
    println!(
        "{} models change, {} do not, {} have no price in either (diff {})",
        diff.changes.len(),
        diff.same,
        diff.unpriced,
        diff.digest
    );
}

/// A line for each price: provider, model, service, what for, old, new.
fn print_change(change: &ModelChange) {
    let attempts = change.attempts.map_or(String::new(), |attempts| format!("  {attempts} attempts"));
    for unit in &change.units {
        let size = match unit.from_input_tokens {
            0 => String::new(),
            from => format!(" from {from} input tokens"),
        };
        let price = |price: &Option<String>| price.clone().unwrap_or_else(|| "none".into());
        println!(
            "{}  {}  {}  {}  {}{size}  {} -> {}{attempts}",
            change.change,
            change.provider,
            change.model,
            change.service_tier.as_str(),
            unit.unit,
            price(&unit.old),
            price(&unit.new)
        );
    }
}
