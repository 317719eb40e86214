//! RULES, "The cost of an attempt".

use crate::{Attempt, nanos, price, round_div};

/// What an attempt cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The model's cost, nothing if unknown, plus the other costs.
    pub nanos: i64,
    /// Whether the model's cost is known.
    pub known: bool,
    /// The reported cost's, else US dollars.
    pub currency: String,
}

/// The cost of one attempt.
pub fn cost(attempt: &Attempt) -> Cost {
    let model = model_cost(attempt);
    let sum = model.as_ref().map_or(0, |(model, _)| *model) + other_costs(attempt);
    let reported = attempt.reported_cost.as_ref();
    let currency = reported.map_or("USD", |cost| &cost.currency).to_owned();
    Cost { nanos: sum, known: model.is_some(), currency }
}

/// Those of an attempt's costs that are not the model's, in nanos.
pub fn other_costs(attempt: &Attempt) -> i64 {
    let mut sum = 0;
    for other in &attempt.other_costs {
        sum += nanos(&other.amount);
    }
    sum
}

/// The model's cost and its currency, if it is known.
pub(crate) fn model_cost(attempt: &Attempt) -> Option<(i64, String)> {
    match &attempt.reported_cost {
        Some(cost) => Some((nanos(&cost.amount), cost.currency.clone())),
        None => Some((book_cost(attempt)?, "USD".to_owned())),
    }
}

fn book_cost(attempt: &Attempt) -> Option<i64> {
    let usage = attempt.usage.as_ref()?;
    let (input, output) = (usage.input_tokens?, usage.output_tokens?);
    let price = price(&attempt.provider, &attempt.model, input)?;
    let cached = usage.cached_input_tokens.unwrap_or(0);
    let written = usage.cache_write_tokens.unwrap_or(0);
    let reasoning = usage.reasoning_tokens.unwrap_or(0);
    let parts = [
        (input - cached - written, price.input),
        (cached, price.cached),
        (written, price.cache_write),
        (output - reasoning, price.output),
        (reasoning, price.output),
    ];
    let mut sum = 0;
    for (tokens, price) in parts {
        sum += i128::from(tokens) * i128::from(price);
    }
    Some(i64::try_from(round_div(sum, 1_000_000)).expect("a cost in range"))
}
