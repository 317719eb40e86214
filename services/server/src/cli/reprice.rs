//! `verdict prices reprice` and `verdict prices repricings`.

use super::{Outcome, cases, day};
use clap::Args;
use verdict_domain::money::decimal;
use verdict_domain::time::day_text;
use verdict_intake::{Repriced, RepricedModel, reprice};
use verdict_store::Store;
use verdict_store::repricings::{self, Terms};

/// How many repricings are listed.
const LISTED: u32 = 1_000;

#[derive(Debug, Args)]
pub(super) struct Reprice {
    /// The book, as `verdict prices list` names it.
    #[arg(long)]
    book: String,
    /// The first UTC day of the attempts' ends, such as 2026-10-01.
    #[arg(long, value_parser = day)]
    from: i64,
    /// The first UTC day after.
    #[arg(long, value_parser = day)]
    to: i64,
    /// Of this provider's models only.
    #[arg(long)]
    provider: Option<String>,
    /// Of this model only.
    #[arg(long)]
    model: Option<String>,
    /// Of this customer only.
    #[arg(long)]
    customer: Option<String>,
    /// Only attempts whose cost is unknown.
    #[arg(long)]
    only_unknown: bool,
    /// Posts the differences; without it they are only printed.
    #[arg(long)]
    yes: bool,
    /// Who has it done.
    #[arg(long, default_value = "command line")]
    author: String,
}

pub(super) async fn run(store: &Store, command: Reprice) -> Outcome {
    let Reprice { book, from, to, provider, model, customer, only_unknown, yes, author } = command;
    let terms = Terms { book, from, to, provider, model, customer, only_unknown };
    let now = cases::now(store).await?;
    let repriced = reprice(store, &terms, yes.then_some(author.as_str()), now).await?;
    print(&repriced);
    let changed: i64 = repriced.models.values().map(|model| model.changed).sum();
    match (yes, &repriced.id) {
        (true, Some(id)) => println!(
            "posted as {id}: {} attempts, of which {} were of unknown cost, {:+} USD; their cases are judged again",
            repriced.posted.attempts,
            repriced.posted.newly_known,
            Signed(repriced.posted.difference_nanos)
        ),
        (false, _) if changed > 0 => println!("nothing was posted: with --yes it is"),
        _ => println!("nothing to change"),
    }
    Ok(())
}

/// An amount that may be printed with its sign.
struct Signed(i64);

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if f.sign_plus() && self.0 >= 0 { "+" } else { "" };
        write!(f, "{sign}{}", decimal(self.0, 2))
    }
}

fn print(repriced: &Repriced) {
    for ((provider, name), model) in &repriced.models {
        let RepricedModel { attempts, reported, unpriced, changed, newly_known, before_nanos, after_nanos } =
            model;
        println!(
            "{provider}  {name}  {attempts} attempts: {} USD before, {} USD after; {changed} change, {newly_known} newly known, \
             {unpriced} without a price, {reported} reported by their sender",
            decimal(*before_nanos, 2),
            decimal(*after_nanos, 2)
        );
    }
}

pub(super) async fn list(store: &Store) -> Outcome {
    for one in repricings::list(store, LISTED).await? {
        let Terms { book, from, to, provider, model, customer, only_unknown } = &one.terms;
        let of: String = [("provider", provider), ("model", model), ("customer", customer)]
            .into_iter()
            .filter_map(|(what, name)| Some(format!(", {what} {}", name.as_ref()?)))
            .collect();
        let only = if *only_unknown { ", only unknown costs" } else { "" };
        let state =
            one.finished_at.map_or("not finished: run it again".to_string(), |at| format!("finished {at}"));
        println!(
            "{}  {book}  {} to {}{of}{only}  {} attempts, {} newly known, {:+} {}  begun {} by {}, {state}",
            one.id,
            day_text(*from),
            day_text(*to),
            one.posted.attempts,
            one.posted.newly_known,
            Signed(one.posted.difference_nanos),
            one.currency,
            one.begun_at,
            one.author
        );
    }
    Ok(())
}
