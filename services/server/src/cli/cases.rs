//! `verdict cases`, `explain`, `rejudge`, `export` and `recount`.

use super::{Of, Outcome, day, export};
use crate::clock::wall_clock;
use crate::config::{TEST_CLOCK_SETTING, parse_start};
use crate::contract::{self, Format};
use crate::http::behind::{BehindBody, BehindParams, Found, Written, asked, found};
use crate::http::cases::{CaseParams, ListedBody, SHOWN_CASES, filter, listed};
use clap::{Args, Subcommand, ValueEnum};
use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use verdict_domain::rule::Rule;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text};
use verdict_store::cases::CaseKey;
use verdict_store::history::Window;
use verdict_store::{Store, access};

/// Explains a case: what is held of it and why, what was recorded, billed and paid.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// Whose case.
    customer: String,
    /// Which case.
    case: String,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Cases.
#[derive(Debug, Subcommand)]
pub(super) enum Cases {
    List(List),
}

/// Lists cases that were judged, the last judged first; or, as the page of cases does, those behind a figure: where one of the
/// options of a figure is given (all but customer, verdict and q).
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    of: Of,
    /// Not of a figure: pending, confirmed, assumed, failed, void or none, of the case's last episode.
    #[arg(long)]
    verdict: Option<String>,
    /// Not of a figure: what the case's id begins with.
    #[arg(long)]
    q: Option<String>,
    #[command(flatten)]
    figure: Figure,
    /// Of a figure: how to print it. A table and JSON have a hundred cases, CSV all.
    #[arg(long, value_enum)]
    format: Option<ListFormat>,
}

/// Which figure.
#[derive(Debug, Args)]
struct Figure {
    /// The first UTC day, such as 2026-10-01 [default: the first of this month]
    #[arg(long)]
    from: Option<String>,
    /// The first UTC day after [default: tomorrow]
    #[arg(long)]
    to: Option<String>,
    /// In this currency only.
    #[arg(long)]
    currency: Option<String>,
    /// The figure: cost, failures, won, retry, free, lost, pending, decided, confirmed, assumed, failed or void [default: cost]
    #[arg(long)]
    bucket: Option<String>,
    /// Why it failed or was lost; - for what did not.
    #[arg(long, allow_hyphen_values = true)]
    reason: Option<String>,
    /// The order: -cost, the cases that cost most first, or -day, those with the last day [default: -cost]
    #[arg(long, allow_hyphen_values = true)]
    sort: Option<String>,
    /// Where the page before ended: its next.
    #[arg(long)]
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    Table,
    Json,
    Csv,
}

/// UTC days, by the time of a case's earliest attempt.
#[derive(Debug, Args)]
pub(super) struct Days {
    /// The first UTC day of the cases' earliest attempts, such as 2026-10-01.
    #[arg(long, value_parser = day)]
    from: i64,
    /// The first UTC day after.
    #[arg(long, value_parser = day)]
    to: i64,
    /// As of when to judge [default: now; the test clock's time in a database that has run under one]
    #[arg(long, value_name = "TIME", value_parser = parse_start)]
    at: Option<Timestamp>,
}

impl Days {
    fn bounds(&self) -> Result<(Timestamp, Timestamp), String> {
        if self.to <= self.from {
            return Err(format!("--to: {} is not after {}", day_text(self.to), day_text(self.from)));
        }
        let start = |day: i64| Timestamp(day.saturating_mul(MICROS_PER_DAY));
        Ok((start(self.from), start(self.to)))
    }

    async fn now(&self, store: &Store) -> Result<Timestamp, Box<dyn Error>> {
        if let Some(at) = self.at {
            return Ok(at);
        }
        now(store).await
    }
}

/// The service's time: that of its test clock where the database has run under one.
pub(super) async fn now(store: &Store) -> Result<Timestamp, Box<dyn Error>> {
    let test_clock = access::setting(store, TEST_CLOCK_SETTING).await?;
    Ok(test_clock.as_deref().and_then(Timestamp::parse).unwrap_or_else(wall_clock))
}

/// Judges cases by another rule beside their own, and changes nothing.
#[derive(Debug, Args)]
pub(super) struct Rejudge {
    /// A file with the rule: TOML or (`.json`) JSON, with its fields at the top or in `[rule]`, as in a contract.
    #[arg(long, value_name = "FILE")]
    rule: String,
    #[command(flatten)]
    days: Days,
    /// One customer only.
    #[arg(long)]
    customer: Option<String>,
    /// How many of the cases that look different to show.
    #[arg(long, default_value = "20")]
    changes: usize,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Exports.
#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// A customer's cases with their facts and what was billed, for the customer to count again: JSON Lines.
    Cases {
        /// Whose cases.
        #[arg(long)]
        customer: String,
        #[command(flatten)]
        days: Days,
        /// Where to write it instead of standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<String>,
    },
    Facts(export::Facts),
}

/// Counts an export again from its facts, by itself: without configuration, database or network.
#[derive(Debug, Args)]
pub(super) struct Recount {
    /// A file made by `verdict export cases`.
    file: String,
    /// Counts by the rule in this file too, beside the contract's own.
    #[arg(long, value_name = "FILE")]
    rule: Option<String>,
    /// How many of the cases that differ to show.
    #[arg(long, default_value = "20")]
    changes: usize,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

fn read_rule(file: &str) -> Result<Rule, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let format = if file.ends_with(".json") { Format::Json } else { Format::Toml };
    contract::read_rule(format, &text).map_err(|reason| format!("{file}: {reason}"))
}

pub(super) async fn run(store: &Store, command: Cases) -> Outcome {
    let Cases::List(List { of, verdict, q, figure, format }) = command;
    let Of { customer, agent, provider, model, action } = of;
    let Figure { from, to, currency, bucket, reason, sort, after } = figure;
    let words = [&from, &to, &agent, &provider, &model, &action, &currency, &bucket, &reason, &sort];
    let is_of_figure = format.is_some() || words.iter().any(|word| word.is_some());
    if !is_of_figure {
        let filter = filter(CaseParams { customer, verdict, q, after: None })?;
        let (cases, next) = listed(store, &filter, after.as_deref(), SHOWN_CASES)
            .await
            .map_err(|problem| problem.detail().to_string())?;
        let cases: Vec<ListedBody> = cases.into_iter().map(ListedBody::from).collect();
        println!("{}", serde_json::to_string_pretty(&cases)?);
        if let Some(next) = next {
            eprintln!("There are more: --after '{next}'");
        }
        return Ok(());
    }
    if verdict.is_some() || q.is_some() {
        return Err("--verdict, --q: are of a list by the last judged: leave them out, or the figure".into());
    }
    let params = BehindParams {
        from,
        to,
        customer,
        agent,
        provider,
        model,
        action,
        currency,
        bucket,
        reason,
        sort,
        after,
        format: None,
    };
    let (asked, after) = asked(params, now(store).await?)?;
    match format.unwrap_or(ListFormat::Table) {
        ListFormat::Csv => {
            let mut written = Written::new(store, asked, after);
            let mut output = std::io::stdout().lock();
            while let Some(piece) = written.next().await? {
                output.write_all(piece.as_bytes())?;
            }
        }
        ListFormat::Json => {
            let body = BehindBody::from(found(store, &asked, after.as_ref()).await?);
            println!("{}", serde_json::to_string_pretty(&body)?);
        }
        ListFormat::Table => {
            let Found { cases, next, .. } = found(store, &asked, after.as_ref()).await?;
            print!("{}", verdict_reports::cases_table(&cases));
            if let Some(next) = next {
                eprintln!("There are more: --after '{next}'");
            }
        }
    }
    Ok(())
}

pub(super) async fn explain(store: &Store, command: Explain) -> Outcome {
    let Explain { customer, case, json } = command;
    let key = CaseKey { customer, case };
    let explained = verdict_reports::explain(store, &key, now(store).await?).await?;
    let explained = explained.ok_or_else(|| {
        format!("`{}` has no case `{}` that was judged: see `/v1/cases`", key.customer, key.case)
    })?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&explained)?),
        false => print!("{}", verdict_reports::case_text(&explained)),
    }
    Ok(())
}

pub(super) async fn rejudge(store: &Store, command: Rejudge) -> Outcome {
    let rule = read_rule(&command.rule)?;
    let (from, to) = command.days.bounds()?;
    let window = Window { from, to, customer: command.customer };
    let now = command.days.now(store).await?;
    let rejudged = verdict_reports::rejudge(store, &window, &rule, now, command.changes).await?;
    match command.json {
        true => println!("{}", serde_json::to_string_pretty(&rejudged)?),
        false => print!("{}", verdict_reports::rejudged(&rejudged)),
    }
    Ok(())
}

pub(super) async fn export(store: &Store, command: Export) -> Outcome {
    let (customer, days, out) = match command {
        Export::Cases { customer, days, out } => (customer, days, out),
        Export::Facts(facts) => return export::facts(store, facts).await,
    };
    let (bounds, now) = (days.bounds()?, days.now(store).await?);
    let output: Box<dyn Write> = match &out {
        Some(file) => Box::new(File::create(file).map_err(|error| format!("--out: {file}: {error}"))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let written = verdict_reports::export(store, &customer, bounds, now, BufWriter::new(output)).await?;
    eprintln!("{written} cases of `{customer}`");
    Ok(())
}

pub(super) fn recount(command: Recount) -> Outcome {
    let Recount { file, rule, changes, json } = command;
    let other = rule.as_deref().map(read_rule).transpose()?;
    let input = File::open(&file).map_err(|error| format!("{file}: {error}"))?;
    let recount = verdict_reports::recount(BufReader::new(input), other.as_ref(), changes)
        .map_err(|error| format!("{file}: {error}"))?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&recount)?),
        false => print!("{}", verdict_reports::recounted(&recount)),
    }
    match (recount.differing, other) {
        (1.., None) => Err(format!(
            "the bill differs from the facts in {} of {} cases",
            recount.differing, recount.cases
        )
        .into()),
        _ => Ok(()),
    }
}
