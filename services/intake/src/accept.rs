//! From the event as sent to the fact as stored: what the types cannot check, and the cost.

use crate::price::{PriceBook, Priced};
use crate::wire::AttemptEvent;
use serde::Serialize;
use std::collections::BTreeMap;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};
use verdict_domain::attempt::{Attempt, Cost, Status, Usage};
use verdict_domain::money::{self, Currency, NANOS_PER_UNIT};
use verdict_domain::time::{MICROS_PER_DAY, Timestamp};

/// A single amount stays below this, so that sums over many attempts stay within 64 bits.
const MAX_AMOUNT_NANOS: i64 = 100_000 * NANOS_PER_UNIT;
/// 2020-01-01: earlier than any agent that could be billed; catches seconds taken for microseconds.
const EARLIEST: Timestamp = Timestamp(1_577_836_800_000_000);
/// Clocks of senders may run ahead by so much.
const MAX_AHEAD_MICROS: i64 = MICROS_PER_DAY;

/// Validates and prices an event. The error names the field and what would be right.
pub(crate) fn accept(event: AttemptEvent, book: &PriceBook, now: Timestamp) -> Result<Attempt, String> {
    event.validate().map_err(|errors| first_fault(&errors))?;
    check_times(&event, now)?;
    if event.failure_reason.is_some() && event.status != Status::Failed {
        return Err("failure_reason: only goes with the status `failed`".into());
    }
    let usage = usage(&event)?;
    let (cost, price_source) = cost(&event, &usage, book)?;
    let value = event.value.as_ref().map(|value| money::parse_value(&value.amount, &value.currency));
    let value = value.transpose().map_err(|problem| format!("value.{problem}"))?;
    let details = details(&event)?;
    Ok(Attempt {
        id: event.id,
        customer: event.customer,
        case: event.case,
        agent: event.agent,
        action: event.action,
        provider: event.provider,
        model: event.model,
        service_tier: event.service_tier,
        usage,
        usage_estimated: event.usage.is_some_and(|usage| usage.estimated),
        cost,
        value,
        price_source,
        started_at: event.started_at,
        ended_at: event.ended_at,
        status: event.status,
        failure_reason: event.failure_reason,
        prompt_fingerprint: event.prompt_fingerprint.filter(|text| !text.is_empty()),
        details,
    })
}

fn check_times(event: &AttemptEvent, now: Timestamp) -> Result<(), String> {
    if event.started_at < EARLIEST {
        return Err(format!("started_at: {} is before 2020", event.started_at));
    }
    if event.ended_at < event.started_at {
        return Err("ended_at: is before started_at".into());
    }
    if event.ended_at.0 > now.0.saturating_add(MAX_AHEAD_MICROS) {
        return Err(format!("ended_at: {} is more than a day ahead of {now}", event.ended_at));
    }
    Ok(())
}

fn usage(event: &AttemptEvent) -> Result<Usage, String> {
    let Some(sent) = event.usage else { return Ok(Usage::default()) };
    // Each is at most 10^9 by now.
    let count = |tokens: Option<u64>| tokens.and_then(|tokens| i64::try_from(tokens).ok());
    let usage = Usage {
        input: count(sent.input_tokens),
        cached_input: count(sent.cached_input_tokens),
        cache_write: count(sent.cache_write_tokens),
        cache_write_1h: count(sent.cache_write_1h_tokens),
        output: count(sent.output_tokens),
        reasoning: count(sent.reasoning_tokens),
    };
    let parts = usage.cached_input.unwrap_or(0) + usage.cache_write.unwrap_or(0);
    if usage.input.is_some_and(|input| parts > input) {
        let fault =
            "usage.input_tokens: is less than its cached and cache-write tokens; it must include them";
        return Err(fault.into());
    }
    if usage.cache_write_1h.unwrap_or(0) > usage.cache_write.unwrap_or(0) {
        let fault = "usage.cache_write_tokens: is less than those kept for an hour; it must include them";
        return Err(fault.into());
    }
    if usage.output.is_some_and(|output| usage.reasoning.unwrap_or(0) > output) {
        return Err("usage.output_tokens: is less than its reasoning tokens; it must include them".into());
    }
    Ok(usage)
}

fn cost(event: &AttemptEvent, usage: &Usage, book: &PriceBook) -> Result<(Cost, Option<String>), String> {
    let (model_nanos, currency, source) = match &event.reported_cost {
        Some(reported) => {
            let nanos = amount("reported_cost.amount", &reported.amount)?;
            let currency = money::currency(&reported.currency)
                .map_err(|error| format!("reported_cost.currency: {error}"))?;
            (Some(nanos), currency, Some("reported".to_string()))
        }
        None => {
            let (at, tier) = (event.started_at, event.service_tier);
            match book.cost_nanos(&event.customer, &event.provider, &event.model, at, usage, tier) {
                Some(Priced { nanos, source }) => (Some(nanos), Currency::USD, Some(source)),
                None => (None, Currency::USD, None),
            }
        }
    };
    let mut other_nanos = 0_i64;
    for (nth, other) in event.other_costs.iter().enumerate() {
        if other.currency != currency.code() {
            return Err(format!(
                "other_costs[{nth}].currency: `{}` is not {}, the currency of the inference cost",
                other.currency,
                currency.code()
            ));
        }
        // At most 16 of at most 10^14: no overflow.
        other_nanos += amount(&format!("other_costs[{nth}].amount"), &other.amount)?;
    }
    Ok((Cost { model_nanos, other_nanos, currency }, source))
}

fn amount(field: &str, text: &str) -> Result<i64, String> {
    match money::parse_nanos(text) {
        Ok(nanos) if (0..MAX_AMOUNT_NANOS).contains(&nanos) => Ok(nanos),
        Ok(_) => Err(format!("{field}: must be from 0 to below 100,000")),
        Err(error) => Err(format!("{field}: {error}")),
    }
}

/// What is kept for people and for later questions, and no step reads.
#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    other_costs: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_detail: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, String>,
}

fn details(event: &AttemptEvent) -> Result<Option<String>, String> {
    if event.other_costs.is_empty() && event.failure_detail.is_none() && event.metadata.is_empty() {
        return Ok(None);
    }
    let details = Details {
        other_costs: event.other_costs.iter().map(|c| (c.name.as_str(), c.amount.as_str())).collect(),
        failure_detail: event.failure_detail.as_deref(),
        metadata: &event.metadata,
    };
    serde_json::to_string(&details).map(Some).map_err(|error| format!("metadata: {error}"))
}

/// The first fault, as `field: what would be right`.
fn first_fault(errors: &ValidationErrors) -> String {
    let mut fields: Vec<_> = errors.errors().iter().collect();
    fields.sort_by_key(|(field, _)| field.to_string());
    for (field, kind) in fields {
        match kind {
            ValidationErrorsKind::Field(faults) => {
                let Some(fault) = faults.first() else { continue };
                let limit = |name: &str| fault.params.get(name).map(ToString::to_string);
                let problem = match (&fault.message, fault.code.as_ref()) {
                    (Some(message), _) => message.to_string(),
                    (None, "length") => match (limit("min"), limit("max")) {
                        (Some(min), Some(max)) => format!("must have {min} to {max} characters"),
                        (_, max) => format!("must have at most {}", max.unwrap_or_default()),
                    },
                    (None, "range") => format!("must be at most {}", limit("max").unwrap_or_default()),
                    (None, code) => format!("is not valid ({code})"),
                };
                return format!("{field}: {problem}");
            }
            ValidationErrorsKind::Struct(inner) => return format!("{field}.{}", first_fault(inner)),
            ValidationErrorsKind::List(items) => {
                if let Some((nth, inner)) = items.iter().next() {
                    return format!("{field}[{nth}].{}", first_fault(inner));
                }
            }
        }
    }
    "is not valid".into()
}
