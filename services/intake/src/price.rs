//! The price book: what a model's tokens cost at a time, as integers.
//!
//! The `genai-prices` crate knows the prices and computes in floats. It is asked for the price of each unit alone;
//! that price, a short decimal, is taken to 10^-9 per million tokens, and all arithmetic from there is
//! in integers. What it answers is kept by provider, model and half hour (its prices
//! change by date and by time of day, at half hours).

use genai_prices::{Calculator, PriceRequest, Usage as BookUsage, UsageKey};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::{Duration, UNIX_EPOCH};
use verdict_domain::attempt::Usage;
use verdict_domain::money::divide_half_away;
use verdict_domain::time::Timestamp;

/// The price book's name and version, kept with each price taken from it.
pub const BOOK_VERSION: &str = "genai-prices/0.2.1";

const SLOT_MICROS: i64 = 1_800_000_000;
const MILLION: i64 = 1_000_000;
/// More tokens than this no event may have.
const MOST_TOKENS: i64 = 1_000_000_000;
/// Bounds the memory of what is kept.
const MOST_CARDS: usize = 20_000;

/// Prices in nanos per million tokens; `request` in nanos per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rates {
    input: i64,
    cached_input: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
    request: i64,
}

/// A model's rates at a time, by the size of the input: each holds from so many input tokens on.
type Card = Vec<(i64, Rates)>;

/// Prices attempts. Shared by all threads.
#[derive(Default)]
pub struct PriceBook {
    cards: RwLock<HashMap<String, Option<Arc<Card>>>>,
}

impl PriceBook {
    /// The book that is built in. Its first use decodes it, which takes some tens of milliseconds.
    pub fn new() -> Self {
        Self::default()
    }

    /// What a call cost, in nanos of US dollars; `None` if the model, or what it counted, is unknown.
    pub fn cost_nanos(&self, provider: &str, model: &str, at: Timestamp, usage: &Usage) -> Option<i64> {
        let (input, output) = (usage.input?, usage.output?);
        let card = self.card(provider, model, at)?;
        let (_, rates) = card.iter().rev().find(|(from, _)| input >= *from).or(card.first())?;
        let cached = usage.cached_input.unwrap_or(0);
        let cache_write = usage.cache_write.unwrap_or(0);
        let reasoning = usage.reasoning.unwrap_or(0);
        let sum: i128 = [
            (input - cached - cache_write, rates.input),
            (cached, rates.cached_input),
            (cache_write, rates.cache_write),
            (output - reasoning, rates.output),
            (reasoning, rates.reasoning),
            (MILLION, rates.request),
        ]
        .iter()
        .map(|(tokens, rate)| i128::from(*tokens) * i128::from(*rate))
        .sum();
        divide_half_away(sum, i128::from(MILLION))
    }

    fn card(&self, provider: &str, model: &str, at: Timestamp) -> Option<Arc<Card>> {
        let slot = at.0.div_euclid(SLOT_MICROS);
        let key = format!("{provider}\n{model}\n{slot}");
        // A poisoned lock only means that another thread panicked: what is kept is still whole.
        let kept = self.cards.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(&key).cloned();
        if let Some(card) = kept {
            return card;
        }
        let card = read_card(provider, model, Timestamp(slot * SLOT_MICROS)).map(Arc::new);
        let mut cards = self.cards.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if cards.len() >= MOST_CARDS {
            cards.clear();
        }
        cards.insert(key, card.clone());
        card
    }
}

fn read_card(provider: &str, model: &str, at: Timestamp) -> Option<Card> {
    let (small, large) = (rates(provider, model, at, 1)?, rates(provider, model, at, MOST_TOKENS)?);
    let mut card = vec![(0, small)];
    find_tiers(provider, model, at, (1, small), (MOST_TOKENS, large), &mut card)?;
    Some(card)
}

/// Finds, by halving, from which size of the input on other rates hold.
fn find_tiers(
    provider: &str,
    model: &str,
    at: Timestamp,
    low: (i64, Rates),
    high: (i64, Rates),
    card: &mut Card,
) -> Option<()> {
    if low.1 == high.1 {
        return Some(());
    }
    if high.0 - low.0 == 1 {
        card.push(high);
        return Some(());
    }
    let middle = low.0 + (high.0 - low.0) / 2;
    let middle = (middle, rates(provider, model, at, middle)?);
    find_tiers(provider, model, at, low, middle, card)?;
    find_tiers(provider, model, at, middle, high, card)
}

/// The rates that hold for a call of so many input tokens.
fn rates(provider: &str, model: &str, at: Timestamp, input: i64) -> Option<Rates> {
    let price = |cached: i64, cache_write: i64, output: i64, reasoning: i64| {
        let counts = [
            (UsageKey::INPUT_TOKENS, input),
            (UsageKey::CACHE_READ_TOKENS, cached),
            (UsageKey::CACHE_WRITE_TOKENS, cache_write),
            (UsageKey::OUTPUT_TOKENS, output),
            (UsageKey::OUTPUT_REASONING_TOKENS, reasoning),
        ];
        // At most 10^9: exact as a float.
        #[allow(clippy::cast_precision_loss)]
        let usage: BookUsage = counts.into_iter().map(|(key, count)| (key, count as f64)).collect();
        let seconds = u64::try_from(at.0 / 1_000_000).ok()?;
        let request = PriceRequest::new(model, &usage)
            .with_provider_id(provider)
            .with_timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        Calculator::bundled().calculate(&request).ok()
    };
    let plain = price(0, 0, 0, 0)?;
    // What is neither input nor output is per request.
    #[allow(clippy::float_arithmetic)]
    let per_request = plain.total_price - plain.input_price - plain.output_price;
    Some(Rates {
        input: per_million(plain.input_price, input)?,
        cached_input: per_million(price(input, 0, 0, 0)?.input_price, input)?,
        cache_write: per_million(price(0, input, 0, 0)?.input_price, input)?,
        output: per_million(price(0, 0, MILLION, 0)?.output_price, MILLION)?,
        reasoning: per_million(price(0, 0, MILLION, MILLION)?.output_price, MILLION)?,
        request: per_million(per_request, MILLION)?,
    })
}

/// The one place where a float becomes money: the price of `tokens` tokens, as nanos per million of them.
/// The float is a short decimal times a count, off by less than one part in 10^15; rounded to 10^-9 it is that
/// decimal again.
#[allow(clippy::float_arithmetic, clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn per_million(dollars: f64, tokens: i64) -> Option<i64> {
    let nanos = (dollars / tokens as f64 * 1e15).round();
    (nanos.is_finite() && (0.0..=1e15).contains(&nanos)).then_some(nanos as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(provider: &str, model: &str, input: i64, cached: i64, output: i64) -> Option<i64> {
        let usage = Usage {
            input: Some(input),
            cached_input: Some(cached),
            output: Some(output),
            ..Usage::default()
        };
        let at = Timestamp::parse("2026-10-05T12:00:00Z").unwrap_or_default();
        PriceBook::new().cost_nanos(provider, model, at, &usage)
    }

    #[test]
    fn prices_are_exact_to_the_nano() {
        // OpenAI's price page: gpt-4o at 2.50, cached 1.25, output 10.00 USD per million tokens.
        assert_eq!(cost("openai", "gpt-4o", 1_000, 200, 300), Some(800 * 2_500 + 200 * 1_250 + 300 * 10_000));
        // gpt-4o-mini: 0.15, 0.075, 0.60.
        assert_eq!(cost("openai", "gpt-4o-mini", 1, 1, 0), Some(75));
        // Anthropic's: claude-sonnet-4-5 at 3 and 15, above 200,000 input tokens 6 and 22.50.
        assert_eq!(cost("anthropic", "claude-sonnet-4-5", 200_000, 0, 1), Some(200_000 * 3_000 + 15_000));
        assert_eq!(cost("anthropic", "claude-sonnet-4-5", 200_001, 0, 1), Some(200_001 * 6_000 + 22_500));
        // gpt-5-mini cached at 0.025: 25 nanos a token.
        assert_eq!(cost("openai", "gpt-5-mini", 3, 3, 0), Some(75));
    }

    #[test]
    fn what_is_unknown_stays_unknown() {
        assert_eq!(cost("openai", "no-such-model", 1, 0, 1), None);
        assert_eq!(cost("no-such-provider", "gpt-4o", 1, 0, 1), None);
        let no_output = Usage { input: Some(1), ..Usage::default() };
        let at = Timestamp::parse("2026-10-05T12:00:00Z").unwrap_or_default();
        assert_eq!(PriceBook::new().cost_nanos("openai", "gpt-4o", at, &no_output), None);
    }
}
