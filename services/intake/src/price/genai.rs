//! The book that is built in: that of the crate `genai-prices`.
//!
//! The crate knows the prices and computes in floats. It is asked for the price of each unit alone; that price, a short decimal, is
//! taken to 10^-9 per million tokens, and all arithmetic from there is in integers.

use super::rates::{Card, MOST, Rates};
use genai_prices::{Calculator, PriceRequest, Usage as BookUsage, UsageKey};
use std::time::{Duration, UNIX_EPOCH};
use verdict_domain::attempt::ServiceTier;
use verdict_domain::time::Timestamp;

/// The built-in book's name and version.
pub const BOOK_VERSION: &str = "genai-prices/0.2.1";
/// The SHA-256 of the crate that it comes in (prices and arithmetic), as Cargo.lock has it.
pub const BOOK_DIGEST: &str = "08cff5caf0c1f43b75e956f2ad40e40a6261c497847f6f268d811d34cba723e5";

const MILLION: i64 = 1_000_000;
/// More tokens than this no event may have.
const MOST_TOKENS: i64 = 1_000_000_000;

/// A model's prices at a time.
///
/// Of a service other than the standard one the crate does not say whether it has prices: where it has none, it answers with the
/// standard ones. So a service whose prices are all the same as the standard ones has none.
pub(super) fn card(provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Card> {
    let standard = read_card(&Asked { provider, model, at, context: None })?;
    let context = match tier {
        ServiceTier::Standard => return Some(standard),
        // A way of sending requests, not a tier, in this book.
        ServiceTier::Batch => ("processing", "batch"),
        tier => ("service_tier", tier.as_str()),
    };
    let card = read_card(&Asked { provider, model, at, context: Some(context) })?;
    (card != standard).then_some(card)
}

/// The providers and models of the book, by their ids.
pub(super) fn models() -> impl Iterator<Item = (String, String)> {
    let providers = Calculator::bundled().providers();
    providers.flat_map(|provider| {
        provider.models().map(move |model| (provider.id().to_string(), model.id().to_string()))
    })
}

/// What the book is asked for.
struct Asked<'a> {
    provider: &'a str,
    model: &'a str,
    at: Timestamp,
    context: Option<(&'static str, &'static str)>,
}

fn read_card(asked: &Asked) -> Option<Card> {
    let (small, large) = (rates(asked, 1)?, rates(asked, MOST_TOKENS)?);
    let mut card = Card::flat(small);
    find_steps(asked, (1, small), (MOST_TOKENS, large), &mut card)?;
    Some(card)
}

/// Finds, by halving, from which size of the input on other rates hold.
fn find_steps(asked: &Asked, low: (i64, Rates), high: (i64, Rates), card: &mut Card) -> Option<()> {
    if low.1 == high.1 {
        return Some(());
    }
    if high.0 - low.0 == 1 {
        card.add(high.0, high.1);
        return Some(());
    }
    let middle = low.0 + (high.0 - low.0) / 2;
    let middle = (middle, rates(asked, middle)?);
    find_steps(asked, low, middle, card)?;
    find_steps(asked, middle, high, card)
}

/// The rates that hold for a call of so many input tokens.
fn rates(asked: &Asked, input: i64) -> Option<Rates> {
    let price = |cached: i64, cache_write: i64, cache_write_1h: i64, output: i64, reasoning: i64| {
        let counts = [
            (UsageKey::INPUT_TOKENS, input),
            (UsageKey::CACHE_READ_TOKENS, cached),
            (UsageKey::CACHE_WRITE_TOKENS, cache_write),
            (UsageKey::CACHE_WRITE_1H_TOKENS, cache_write_1h),
            (UsageKey::OUTPUT_TOKENS, output),
            (UsageKey::OUTPUT_REASONING_TOKENS, reasoning),
        ];
        // At most 10^9: exact as a float.
        #[allow(clippy::cast_precision_loss)]
        let usage: BookUsage = counts.into_iter().map(|(key, count)| (key, count as f64)).collect();
        let seconds = u64::try_from(asked.at.0 / 1_000_000).ok()?;
        let mut request = PriceRequest::new(asked.model, &usage)
            .with_provider_id(asked.provider)
            .with_timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        if let Some((key, value)) = asked.context {
            request = request.with_price_context(key, value);
        }
        Calculator::bundled().calculate(&request).ok()
    };
    let plain = price(0, 0, 0, 0, 0)?;
    // What is neither input nor output is per request.
    #[allow(clippy::float_arithmetic)]
    let per_request = plain.total_price - plain.input_price - plain.output_price;
    Some(Rates {
        input: Some(per_million(plain.input_price, input)?),
        cached_input: Some(per_million(price(input, 0, 0, 0, 0)?.input_price, input)?),
        cache_write: Some(per_million(price(0, input, 0, 0, 0)?.input_price, input)?),
        cache_write_1h: Some(per_million(price(0, input, input, 0, 0)?.input_price, input)?),
        output: Some(per_million(price(0, 0, 0, MILLION, 0)?.output_price, MILLION)?),
        reasoning: Some(per_million(price(0, 0, 0, MILLION, MILLION)?.output_price, MILLION)?),
        request: Some(per_million(per_request, MILLION)?),
    })
}

/// The one place where a float becomes money: the price of `tokens` tokens, as nanos per million of them.
/// The float is a short decimal times a count, off by less than one part in 10^15; rounded to 10^-9 it is that
/// decimal again.
#[allow(clippy::float_arithmetic, clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn per_million(dollars: f64, tokens: i64) -> Option<i64> {
    let nanos = (dollars / tokens as f64 * 1e15).round();
    (nanos.is_finite() && (0.0..=MOST as f64).contains(&nanos)).then_some(nanos as i64)
}
