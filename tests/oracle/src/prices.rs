//! The price table: the providers' published prices as collected in the genai-prices data, 2026.

/// Nanos of a US dollar per million tokens. Reasoning tokens have no price of their own anywhere in this
/// table: they cost what output costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Plain input tokens.
    pub input: i64,
    /// Input tokens read from the provider's cache.
    pub cached: i64,
    /// Input tokens written to the provider's cache.
    pub cache_write: i64,
    /// Output tokens, reasoning included.
    pub output: i64,
}

/// Input above this many tokens puts the whole attempt into the upper tier, where a model has tiers.
const TIER: u64 = 200_000;

/// The price that holds for an attempt with so many input tokens; `None` for a model not in the table.
pub fn price(provider: &str, model: &str, input_tokens: u64) -> Option<Price> {
    let big = input_tokens > TIER;
    // Thousandths of a dollar per million tokens keep the table readable: 75 is $0.075.
    let (input, cached, cache_write, output) = match (provider, model) {
        ("openai", "gpt-4o") => (2_500, 1_250, None, 10_000),
        ("openai", "gpt-4o-mini") => (150, 75, None, 600),
        ("openai", "gpt-5-mini") => (250, 25, None, 2_000),
        ("anthropic", "claude-haiku-4-5") => (1_000, 100, Some(1_250), 5_000),
        ("anthropic", "claude-sonnet-4-5") if big => (6_000, 600, Some(7_500), 22_500),
        ("anthropic", "claude-sonnet-4-5") => (3_000, 300, Some(3_750), 15_000),
        ("google", "gemini-2.5-flash") => (300, 30, None, 2_500),
        ("google", "gemini-2.5-pro") if big => (2_500, 250, None, 15_000),
        ("google", "gemini-2.5-pro") => (1_250, 125, None, 10_000),
        _ => return None,
    };
    let nanos = |thousandths: i64| thousandths * 1_000_000;
    Some(Price {
        input: nanos(input),
        cached: nanos(cached),
        cache_write: nanos(cache_write.unwrap_or(input)),
        output: nanos(output),
    })
}
