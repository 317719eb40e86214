use super::*;

pub(super) fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap_or_default()
}

fn usage(input: i64, cached: i64, output: i64) -> Usage {
    Usage { input: Some(input), cached_input: Some(cached), output: Some(output), ..Usage::default() }
}

fn cost(provider: &str, model: &str, usage: &Usage, tier: Option<ServiceTier>) -> Option<i64> {
    let now = at("2026-10-20T12:00:00Z");
    PriceBook::new().cost_nanos("acme", provider, model, now, usage, tier).map(|priced| priced.nanos)
}

#[test]
fn prices_are_exact_to_the_nano() {
    let cost =
        |provider, model, input, cached, output| cost(provider, model, &usage(input, cached, output), None);
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
fn what_is_kept_for_an_hour_costs_twice_the_input() {
    // Anthropic's page on prompt caching: writes at 1.25 times the input, for an hour at twice, reads at a tenth.
    let usage = Usage {
        input: Some(1_000),
        cached_input: Some(100),
        cache_write: Some(600),
        cache_write_1h: Some(400),
        output: Some(0),
        ..Usage::default()
    };
    let wanted = 300 * 3_000 + 100 * 300 + 200 * 3_750 + 400 * 6_000;
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", &usage, None), Some(wanted));
}

#[test]
fn a_service_has_its_own_prices_or_none() {
    let usage = usage(1_000, 0, 1_000);
    let cost = |tier| cost("openai", "gpt-5", &usage, tier);
    // OpenAI's price page: gpt-5 at 1.25 and 10, flex and batch at half of it, priority at twice.
    let standard = 1_000 * 1_250 + 1_000 * 10_000;
    assert_eq!(cost(None), Some(standard));
    assert_eq!(cost(Some(ServiceTier::Standard)), Some(standard));
    assert_eq!(cost(Some(ServiceTier::Flex)), Some(standard / 2));
    assert_eq!(cost(Some(ServiceTier::Batch)), Some(standard / 2));
    assert_eq!(cost(Some(ServiceTier::Priority)), Some(standard * 2));
    for none in [ServiceTier::Scale, ServiceTier::Reserved, ServiceTier::Performance, ServiceTier::Balanced] {
        assert_eq!(cost(Some(none)), None, "{none:?}");
    }
}

#[test]
fn a_price_names_what_it_is_from() {
    let usage = usage(1, 0, 0);
    let now = at("2026-10-20T12:00:00Z");
    let priced = PriceBook::new().cost_nanos("acme", "openai", "gpt-5", now, &usage, None);
    let source = priced.map(|priced| priced.source);
    assert_eq!(source, Some(format!("{BOOK_VERSION}#{}", &BOOK_DIGEST[..12])));
}

#[test]
fn what_is_unknown_stays_unknown() {
    assert_eq!(cost("openai", "no-such-model", &usage(1, 0, 1), None), None);
    assert_eq!(cost("no-such-provider", "gpt-4o", &usage(1, 0, 1), None), None);
    let no_output = Usage { input: Some(1), ..Usage::default() };
    assert_eq!(cost("openai", "gpt-4o", &no_output, None), None);
}
