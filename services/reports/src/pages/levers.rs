//! The page of the levers, as they were computed last.

use super::{exact, grouped, moment};
use crate::levers::{Cached, Levers, Model};
use crate::rate::Rate;
use crate::text::rounded;
use askama::Template;

#[derive(Template)]
#[template(path = "levers.html")]
struct Page<'a> {
    levers: Option<&'a Levers>,
}

/// The levers; `None`: they were not computed yet.
pub fn levers(levers: Option<&Levers>) -> Result<String, askama::Error> {
    Page { levers }.render()
}

impl Page<'_> {
    /// All together first.
    fn cached<'a>(&self, levers: &'a Levers) -> Vec<&'a Cached> {
        std::iter::once(&levers.caching.all).chain(&levers.caching.customers).collect()
    }
}

/// `openai/gpt-4o`.
fn model_name(model: &Model) -> String {
    format!("{}/{}", model.provider, model.model)
}

/// A rate with its interval, and of how many.
fn rate_text(rate: &Option<Rate>) -> String {
    rate.map_or("–".into(), |rate| {
        format!("{} ({}, of {})", rate.shown(), rate.interval(), grouped(&rate.decided))
    })
}

/// What was saved, by currency.
fn saved_text(cached: &Cached) -> String {
    let sums: Vec<String> =
        cached.saved_nanos.iter().map(|(code, nanos)| format!("{} {code}", rounded(*nanos, code))).collect();
    if sums.is_empty() { "–".into() } else { sums.join(", ") }
}

/// Money, rounded for reading.
fn money_text(nanos: &i64, currency: &str) -> String {
    format!("{} {currency}", rounded(*nanos, currency))
}
