use super::*;
use crate::price::rates::Rates;
use verdict_domain::attempt::Usage;

const FILE: &str = r#"{
  "sample_spec": {"mode": "one of: chat, …", "litellm_provider": "one of …", "input_cost_per_token": 0.0},
  "gpt-5": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1.25e-06,
    "cache_read_input_token_cost": 1.25e-07, "output_cost_per_token": 1e-05, "input_cost_per_token_flex": 6.25e-07,
    "cache_read_input_token_cost_flex": 6.25e-08, "output_cost_per_token_flex": 5e-06,
    "input_cost_per_token_batches": 6.25e-07, "output_cost_per_token_batches": 5e-06,
    "input_cost_per_token_priority": 2.5e-06, "output_cost_per_token_priority": 2e-05},
  "anthropic.claude-sonnet-4-5-20250929-v1:0": {"mode": "chat", "litellm_provider": "bedrock_converse",
    "input_cost_per_token": 3e-06, "input_cost_per_token_above_200k_tokens": 6e-06, "output_cost_per_token": 1.5e-05,
    "output_cost_per_token_above_200k_tokens": 2.25e-05, "cache_read_input_token_cost": 3e-07,
    "cache_read_input_token_cost_above_200k_tokens": 6e-07, "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06, "cache_creation_input_token_cost_above_1hr": 6e-06,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05, "input_cost_per_token_batches": 1.5e-06,
    "output_cost_per_token_batches": 7.5e-06},
  "xai/grok-4": {"mode": "chat", "litellm_provider": "xai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "input_cost_per_token_above_128k_tokens": 6e-06, "output_cost_per_token_above_128k_tokens": 3e-05},
  "dashscope/qwen-plus": {"mode": "chat", "litellm_provider": "dashscope", "tiered_pricing": [
    {"range": [256000.0, 1000000.0], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 3.6e-06,
     "output_cost_per_reasoning_token": 1.2e-05},
    {"range": [0, 256000.0], "input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06,
     "output_cost_per_reasoning_token": 4e-06}]},
  "perplexity/pplx-7b-online": {"mode": "chat", "litellm_provider": "perplexity", "input_cost_per_request": 0.005,
    "input_cost_per_token": 0, "output_cost_per_token": 2.8e-07},
  "deepseek/deepseek-v4": {"mode": "chat", "litellm_provider": "deepseek", "input_cost_per_token": 3e-07,
    "cache_read_input_token_cost": 6e-09, "output_cost_per_token": 1.2e-06, "off_peak_pricing": {
      "input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "weekday_timezone": "Asia/Shanghai",
      "windows": [{"hours_utc": ["10:00-00:00", "04:00-06:00"], "weekdays": [1, 2, 3, 4, 5]},
                  {"hours_utc": "00:00-00:00", "weekdays": [6, 7]}]}},
  "gemini/gemini-9": {"mode": "chat", "litellm_provider": "gemini", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
  "gemini-9": {"mode": "chat", "litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 3e-06,
    "output_cost_per_token": 4e-06},
  "text-embedding-3-small": {"mode": "embedding", "litellm_provider": "openai", "input_cost_per_token": 2e-08},
  "dall-e-9": {"mode": "image_generation", "litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_image": 0.04},
  "tts-9": {"mode": "chat", "litellm_provider": "openai", "output_cost_per_second": 0.01},
  "odd/negative": {"mode": "chat", "litellm_provider": "odd", "input_cost_per_token": -1e-06, "output_cost_per_token": 0},
  "odd/text": {"mode": "chat", "litellm_provider": "odd", "input_cost_per_token": "1e-06", "output_cost_per_token": 0},
  "odd/nobody": {"mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 0},
  "odd/gap": {"mode": "chat", "litellm_provider": "odd", "tiered_pricing": [{"range": [0, 10], "input_cost_per_token": 1e-06},
    {"range": [20, 30], "input_cost_per_token": 2e-06}]},
  "odd/hours": {"mode": "chat", "litellm_provider": "odd", "input_cost_per_token": 1e-06, "output_cost_per_token": 0,
    "off_peak_pricing": {"hours_utc": "10:05-11:00", "input_cost_per_token": 1e-07}},
  "odd/twice": {"mode": "chat", "litellm_provider": "odd", "input_cost_per_token": 1e-06, "output_cost_per_token": 0},
  "odd/twice": {"mode": "chat", "litellm_provider": "odd", "input_cost_per_token": 2e-06, "output_cost_per_token": 0}
}"#;

fn read() -> (LiteLlm, Reading) {
    match LiteLlm::read(FILE.as_bytes()) {
        Ok(read) => read,
        Err(error) => panic!("{error}"),
    }
}

fn card(provider: &str, model: &str, tier: ServiceTier) -> Option<Card> {
    card_at("2026-11-02T12:00:00Z", provider, model, tier)
}

fn card_at(time: &str, provider: &str, model: &str, tier: ServiceTier) -> Option<Card> {
    read().0.card(provider, model, Timestamp::parse(time).unwrap_or_default(), tier)
}

fn rates(provider: &str, model: &str, tier: ServiceTier, input: i64) -> Option<[Option<i64>; 7]> {
    card(provider, model, tier).map(|card| card.rates(input).by_unit())
}

/// Dollars per million tokens, in nanos.
const fn usd(micros: i64) -> Option<i64> {
    Some(micros * 1_000)
}

#[test]
fn prices_are_read_exactly() {
    let standard = [
        usd(1_250_000),
        usd(125_000),
        usd(1_250_000),
        usd(1_250_000),
        usd(10_000_000),
        usd(10_000_000),
        Some(0),
    ];
    assert_eq!(rates("openai", "gpt-5", ServiceTier::Standard, 1), Some(standard));
    assert_eq!(rates("OpenAI", "GPT-5", ServiceTier::Standard, 1), Some(standard));
    assert_eq!(rates("openai", "gpt-5-no-such", ServiceTier::Standard, 1), None);
    // By any of LiteLLM's names, and by ours.
    for provider in ["aws", "bedrock_converse", "aws.bedrock", "bedrock"] {
        let model = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        assert!(card(provider, model, ServiceTier::Standard).is_some(), "{provider}");
    }
    // An embedding has no output; should one have some, it has no price.
    let embedding = card("openai", "text-embedding-3-small", ServiceTier::Standard);
    let cost = |output| {
        let usage = Usage { input: Some(1_000), output: Some(output), ..Usage::default() };
        embedding.as_ref().and_then(|card| card.cost_nanos(&usage))
    };
    assert_eq!((cost(0), cost(1)), (Some(20_000), None));
}

#[test]
fn a_service_without_a_price_is_unknown_not_standard() {
    let flex =
        [usd(625_000), usd(62_500), usd(625_000), usd(625_000), usd(5_000_000), usd(5_000_000), Some(0)];
    assert_eq!(rates("openai", "gpt-5", ServiceTier::Flex, 1), Some(flex));
    // What is read from the cache has a price of its own in the standard service, and none in the batch.
    let batch = [usd(625_000), None, usd(625_000), usd(625_000), usd(5_000_000), usd(5_000_000), Some(0)];
    assert_eq!(rates("openai", "gpt-5", ServiceTier::Batch, 1), Some(batch));
    let priority = rates("openai", "gpt-5", ServiceTier::Priority, 1);
    assert_eq!(rates("openai", "gpt-5", ServiceTier::Fast, 1), priority);
    for none in [ServiceTier::Balanced, ServiceTier::Ultrafast, ServiceTier::Scale, ServiceTier::Reserved] {
        assert_eq!(card("openai", "gpt-5", none), None, "{none:?}");
    }
}

#[test]
fn sizes_have_their_own_prices() {
    let model = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let low = [
        usd(3_000_000),
        usd(300_000),
        usd(3_750_000),
        usd(6_000_000),
        usd(15_000_000),
        usd(15_000_000),
        Some(0),
    ];
    let high = [
        usd(6_000_000),
        usd(600_000),
        usd(7_500_000),
        usd(12_000_000),
        usd(22_500_000),
        usd(22_500_000),
        Some(0),
    ];
    assert_eq!(rates("aws", model, ServiceTier::Standard, 200_000), Some(low));
    assert_eq!(rates("aws", model, ServiceTier::Standard, 200_001), Some(high));
    // The batch has no price above 200,000, where the standard service has another.
    let batch = card("aws", model, ServiceTier::Batch)
        .map(|card| (card.rates(200_000).input, card.rates(200_001).input));
    assert_eq!(batch, Some((usd(1_500_000), None)));
    // xAI's begins at the threshold.
    let grok = |input| rates("x-ai", "grok-4", ServiceTier::Standard, input).map(|rates| rates[0]);
    assert_eq!((grok(127_999), grok(128_000)), (Some(usd(3_000_000)), Some(usd(6_000_000))));
}

#[test]
fn ranges_and_reasoning_and_requests_are_read() {
    let qwen = |input| card("dashscope", "qwen-plus", ServiceTier::Standard).map(|card| card.rates(input));
    let rates = |input, output, reasoning| Rates {
        input,
        cached_input: input,
        cache_write: input,
        cache_write_1h: input,
        output,
        reasoning,
        request: Some(0),
    };
    assert_eq!(qwen(256_000), Some(rates(usd(400_000), usd(1_200_000), usd(4_000_000))));
    assert_eq!(qwen(256_001), Some(rates(usd(1_200_000), usd(3_600_000), usd(12_000_000))));
    // Beyond the last range it is as in the last.
    assert_eq!(qwen(2_000_000), qwen(256_001));
    let usage = Usage { input: Some(10), output: Some(100), ..Usage::default() };
    let cost =
        card("perplexity", "pplx-7b-online", ServiceTier::Standard).and_then(|card| card.cost_nanos(&usage));
    assert_eq!(cost, Some(5_000_000 + 100 * 280));
}

#[test]
fn it_is_cheaper_off_the_peak() {
    let input = |time| {
        card_at(time, "deepseek", "deepseek-v4", ServiceTier::Standard).map(|card| {
            let rates = card.rates(1);
            (rates.input, rates.cached_input, rates.reasoning)
        })
    };
    let (dear, cheap) = (
        Some((usd(300_000), usd(6_000), usd(1_200_000))),
        // What has no price of its own there keeps that which it has.
        Some((usd(150_000), usd(6_000), usd(600_000))),
    );
    // Monday.
    for (time, wanted) in [
        ("2026-11-02T03:59:59Z", dear),
        ("2026-11-02T04:00:00Z", cheap),
        ("2026-11-02T06:00:00Z", dear),
        ("2026-11-02T10:00:00Z", cheap),
        ("2026-11-02T23:59:59Z", cheap),
        // Friday in UTC, and Saturday in Shanghai.
        ("2026-11-06T15:59:59Z", cheap),
        ("2026-11-06T16:00:00Z", cheap),
        ("2026-11-07T03:00:00Z", cheap),
        // Sunday in UTC, and Monday in Shanghai: between its windows.
        ("2026-11-08T09:00:00Z", cheap),
        ("2026-11-09T01:00:00Z", dear),
    ] {
        assert_eq!(input(time), wanted, "{time}");
    }
}

#[test]
fn what_cannot_be_read_is_listed_and_has_no_price() {
    let (book, reading) = read();
    assert_eq!((reading.priced, reading.skipped), (9, 3));
    assert_eq!(reading.shadowed, ["gemini-9"]);
    let reasons: Vec<_> =
        reading.unread.iter().map(|unread| (unread.entry.as_str(), unread.reason.as_str())).collect();
    let starts = [
        ("odd/negative", "input_cost_per_token: `-1e-06` is no price"),
        ("odd/text", "input_cost_per_token: `\"1e-06\"` is no price"),
        ("odd/nobody", "litellm_provider: is missing"),
        ("odd/gap", "tiered_pricing: the ranges do not follow each other"),
        ("odd/hours", "off_peak_pricing.hours_utc: `10:05-11:00` is not such as"),
        ("odd/twice", "it is there twice"),
    ];
    assert_eq!(reasons.len(), starts.len(), "{reasons:?}");
    for ((entry, reason), (name, start)) in reasons.iter().zip(starts) {
        assert!(*entry == name && reason.starts_with(start), "{entry}: {reason}");
        let model = entry.trim_start_matches("odd/");
        assert_eq!(book.card("odd", model, Timestamp(0), ServiceTier::Standard), None, "{entry}");
    }
    // Of two prices of Google's, that of its own API counts; who asks by LiteLLM's name gets that one's.
    let input = |provider| rates(provider, "gemini-9", ServiceTier::Standard, 1).map(|rates| rates[0]);
    assert_eq!((input("google"), input("gemini")), (Some(usd(1_000_000)), Some(usd(1_000_000))));
    assert_eq!(input("vertex_ai"), Some(usd(3_000_000)));
}

#[test]
fn what_is_no_price_list_is_refused_whole() {
    for bad in ["", "[]", "{}", "null", r#"{"a": 1}"#, r#"{"a": {"mode": "chat"}}"#, "{\"a\": {}"] {
        assert!(LiteLlm::read(bad.as_bytes()).is_err(), "{bad}");
    }
}
