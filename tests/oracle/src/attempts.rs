//! Believable attempts: who tried, on which model, and what it used and cost.

use crate::generate::Random;
use crate::{Amount, Attempt, MINUTE, NamedAmount, SECOND, Status, Usage};
use rand::RngExt;
use rand::seq::IndexedRandom;
use std::collections::BTreeMap;

const MODELS: [(&str, &str); 7] = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-5-mini"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
];
/// Not in the price table: its cost is unknown.
const HOUSE_MODEL: (&str, &str) = ("acme-ai", "house-model-1");

const FAILURE_REASONS: [&str; 6] =
    ["agent_error", "provider_error", "rate_limited", "timeout", "tool_error", "refused"];

/// An attempt of the customer's at the case, of the agent that works toward the action.
pub(crate) fn attempt(
    random: &mut Random,
    customer: &str,
    case: &str,
    action: &str,
    status: Status,
    ended_at: i64,
) -> Attempt {
    let house_model = random.random_ratio(1, 25);
    let (provider, model) = if house_model { HOUSE_MODEL } else { *MODELS.choose(random).expect("some") };
    let usage = usage(random, matches!(model, "claude-sonnet-4-5" | "gemini-2.5-pro"));
    let reported = !house_model && random.random_ratio(1, 5);
    let reported_cost = reported.then(|| reported_cost(random));
    let currency = reported_cost.as_ref().map_or("USD", |cost| &cost.currency).to_owned();
    let failed = status == Status::Failed;
    let stated = failed && random.random_ratio(4, 5);
    Attempt {
        id: format!("at-{ended_at:016x}-{:08x}", random.random::<u32>()),
        customer: customer.to_owned(),
        case: case.to_owned(),
        agent: agent(action).to_owned(),
        action: action.to_owned(),
        provider: provider.to_owned(),
        model: model.to_owned(),
        usage,
        reported_cost,
        other_costs: other_costs(random, &currency),
        value: None,
        started_at: ended_at - random.random_range(SECOND / 2..MINUTE),
        ended_at,
        status,
        failure_reason: stated.then(|| (*FAILURE_REASONS.choose(random).expect("some")).to_owned()),
        failure_detail: (failed && random.random_ratio(1, 3)).then(|| "no answer came — “503”".to_owned()),
        prompt_fingerprint: random.random_ratio(1, 3).then(|| format!("{:04x}", random.random_range(0..500))),
        metadata: if random.random_ratio(1, 4) {
            BTreeMap::from([("channel".to_owned(), "chat".to_owned())])
        } else {
            BTreeMap::new()
        },
    }
}

fn agent(action: &str) -> &'static str {
    match action {
        "refund.processed" => "refund-bot",
        "sales.qualification" => "sales-bot",
        _ => "support-bot",
    }
}

/// What the provider counted: mostly all of it, at times parts, at times nothing.
fn usage(random: &mut Random, tiered: bool) -> Option<Usage> {
    if random.random_ratio(1, 25) {
        return None;
    }
    let input = match random.random_range(0..16) {
        0 if tiered => 200_000,
        1 if tiered => 200_001,
        2..5 if tiered => random.random_range(200_001..900_000),
        _ => random.random_range(200..20_000),
    };
    let output = random.random_range(0..2_000);
    let cached = random.random_range(0..=input);
    let written = random.random_range(0..=input - cached);
    let reasoning = random.random_range(0..=output);
    let mut given = |one_in, count| (!random.random_ratio(1, one_in)).then_some(count);
    Some(Usage {
        input_tokens: given(50, input),
        cached_input_tokens: given(2, cached),
        cache_write_tokens: given(2, written),
        output_tokens: given(50, output),
        reasoning_tokens: given(2, reasoning),
        estimated: random.random_ratio(1, 8),
    })
}

/// Up to twelve decimals. Many of the longer ones lie exactly between two nanos, the one place where a single
/// cost has a tie: the price book's prices are whole nanos per token.
fn reported_cost(random: &mut Random) -> Amount {
    let decimals: u32 = random.random_range(2..=12);
    let mut digits = random.random_range(0..2 * 10u64.pow(decimals - 1));
    if decimals > 9 && random.random_ratio(1, 2) {
        let below_nano = 10u64.pow(decimals - 9);
        digits = digits / below_nano * below_nano + below_nano / 2;
    }
    let width = decimals as usize;
    let currency = if random.random_ratio(1, 5) { "EUR" } else { "USD" };
    Amount { amount: format!("0.{digits:0width$}"), currency: currency.to_owned() }
}

fn other_costs(random: &mut Random, currency: &str) -> Vec<NamedAmount> {
    let mut costs = Vec::new();
    if random.random_ratio(1, 10) {
        for name in ["voice minutes", "web search", "sms"].into_iter().take(random.random_range(1..=3)) {
            let amount = format!("0.{:05}", random.random_range(0..20_000));
            costs.push(NamedAmount { name: name.to_owned(), amount, currency: currency.to_owned() });
        }
    }
    costs
}
