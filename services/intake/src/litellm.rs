//! What a LiteLLM proxy logs of a call (its `StandardLoggingPayload`), as its generic API callback posts it, and the
//! attempts that it tells of.
//!
//! The fields are those of docs.litellm.ai/docs/proxy/logging_spec. What was said to a model and by it (`messages`,
//! `response`, `error_str`, all that callers put into metadata) is dropped while it is read.

use crate::telemetry::{self, Call, Counts};
use crate::wire::{AmountEvent, AttemptEvent, Event};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use verdict_domain::time::Timestamp;

/// What a log that could not be used is parked as: the log as far as it is kept, as JSON.
pub const LITELLM: &str = "application/vnd.verdict.litellm+json";

/// What metadata may say for us: under `billing.` or `billing_`, since not every way into LiteLLM takes dots.
const FIELDS: [&str; 5] = ["customer_id", "case_id", "agent", "action", "status"];

/// What is kept of a log. Numbers stay the text that they are.
#[derive(Debug, Serialize, Deserialize)]
struct Log {
    id: Option<String>,
    trace_id: Option<String>,
    call_type: Option<String>,
    status: Option<String>,
    custom_llm_provider: Option<String>,
    model: Option<String>,
    end_user: Option<String>,
    response_cost: Option<Box<RawValue>>,
    /// Only there if LiteLLM could not tell what the call cost; it logs 0 then.
    #[serde(default)]
    cost_is_unknown: bool,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    #[serde(rename = "startTime")]
    start_time: Option<Box<RawValue>>,
    #[serde(rename = "endTime")]
    end_time: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    key_alias: Option<String>,
    #[serde(default)]
    cached_tokens: Option<u64>,
    #[serde(default)]
    cache_write_tokens: Option<u64>,
    #[serde(default)]
    cache_write_1h_tokens: Option<u64>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    reasoning_tokens: Option<u64>,
    #[serde(default)]
    billing: BTreeMap<String, String>,
}

/// The parts of a log that are deeper in it.
#[derive(Deserialize)]
struct Depths {
    #[serde(default)]
    metadata: Value,
    #[serde(default)]
    error_information: Value,
    #[serde(default)]
    response_cost_failure_debug_info: Value,
    #[serde(default)]
    cost_breakdown: Value,
    #[serde(default)]
    model_parameters: Value,
}

/// Reads what was posted: one log, an array of them, or one a line. The error says what is wrong with it as a whole.
pub fn decode_logs(body: &[u8]) -> Result<Vec<Event<'static>>, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    let not_json = |error: serde_json::Error| format!("not JSON: {error}");
    let logs: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(not_json)?
    } else {
        let logs = serde_json::Deserializer::from_str(text).into_iter();
        logs.collect::<Result<_, _>>().map_err(not_json)?
    };
    if logs.is_empty() {
        return Err("there is no log in it".into());
    }
    Ok(logs.into_iter().map(|log| read(log.get())).collect())
}

fn read(text: &str) -> Event<'static> {
    match serde_json::from_str::<Log>(text).and_then(|log| Ok((log, serde_json::from_str::<Depths>(text)?))) {
        Ok((mut log, depths)) => {
            log.take(&depths);
            log.event()
        }
        // What it is cannot be told, and so not what in it was said: nothing of it is kept.
        Err(error) => {
            Event { raw: Cow::Borrowed(b"{}"), read: Err(format!("not a StandardLoggingPayload: {error}")) }
        }
    }
}

/// Reads a log that was parked.
pub(crate) fn parked(body: &[u8]) -> Event<'_> {
    match serde_json::from_slice::<Log>(body) {
        Ok(log) => log.event(),
        Err(error) => Event { raw: Cow::Borrowed(body), read: Err(format!("not a log of LiteLLM: {error}")) },
    }
}

/// A text or a number, as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
    .filter(|text| !text.is_empty())
}

impl Log {
    /// Takes what is needed out of the depths of the log.
    fn take(&mut self, depths: &Depths) {
        let metadata = &depths.metadata;
        let said = [&metadata["requester_metadata"], &metadata["spend_logs_metadata"], metadata];
        for field in FIELDS {
            let named = |held: &Value| {
                text(&held[format!("billing.{field}")]).or_else(|| text(&held[format!("billing_{field}")]))
            };
            if let Some(value) = said.iter().find_map(|held| named(held)) {
                self.billing.insert(field.into(), value);
            }
        }
        let error = &depths.error_information;
        self.error = text(&error["error_class"]).or_else(|| text(&error["error_code"]));
        self.cost_is_unknown = !depths.response_cost_failure_debug_info.is_null();
        self.key_alias = text(&metadata["user_api_key_alias"]);
        self.end_user = self.end_user.take().or_else(|| text(&metadata["user_api_key_end_user_id"]));
        let usage = &metadata["usage_object"];
        let (prompt, completion) = (&usage["prompt_tokens_details"], &usage["completion_tokens_details"]);
        self.cached_tokens =
            prompt["cached_tokens"].as_u64().or_else(|| usage["cache_read_input_tokens"].as_u64());
        self.cache_write_tokens = prompt["cache_creation_tokens"]
            .as_u64()
            .or_else(|| usage["cache_creation_input_tokens"].as_u64());
        self.cache_write_1h_tokens =
            prompt["cache_creation_token_details"]["ephemeral_1h_input_tokens"].as_u64();
        // What LiteLLM billed by, then what the provider said, then what was asked for.
        self.service_tier = [
            &depths.cost_breakdown["service_tier"],
            &usage["service_tier"],
            &depths.model_parameters["service_tier"],
        ]
        .into_iter()
        .find_map(text);
        self.reasoning_tokens = completion["reasoning_tokens"].as_u64();
    }

    fn event(&self) -> Event<'static> {
        Event { raw: Cow::Owned(serde_json::to_vec(self).unwrap_or_default()), read: self.attempt() }
    }

    fn attempt(&self) -> Result<AttemptEvent, String> {
        let id = self.id.clone().filter(|id| !id.is_empty()).ok_or("id: is missing")?;
        let failed = match self.status.as_deref() {
            Some("success") => false,
            Some("failure") => true,
            other => {
                return Err(format!("status: `{}` is not `success` or `failure`", other.unwrap_or_default()));
            }
        };
        let time = |field: &str, raw: &Option<Box<RawValue>>| {
            let micros = raw.as_ref().and_then(|raw| micros(raw.get()));
            micros.ok_or_else(|| format!("{field}: is no time in seconds since 1970"))
        };
        let mut metadata = BTreeMap::from([("source".to_string(), "litellm".to_string())]);
        for (name, value) in [("call_id", Some(&id)), ("trace_id", self.trace_id.as_ref())] {
            metadata.extend(value.map(|value| (name.to_string(), value.chars().take(512).collect())));
        }
        let cost = match &self.response_cost {
            Some(raw) if !self.cost_is_unknown && raw.get() != "null" => {
                let amount = decimal(raw.get().trim_matches('"'))
                    .ok_or_else(|| format!("response_cost: {raw} is not an amount"))?;
                Some(AmountEvent { amount, currency: "USD".into() })
            }
            _ => None,
        };
        let (provider, model) = self.served_by();
        let billing = |field: &str| self.billing.get(field).cloned();
        telemetry::event(Call {
            // What failed has no response: its id is LiteLLM's.
            response_id: (!failed).then(|| id.clone()),
            own_id: format!("litellm:{id}"),
            customer: billing("customer_id").or_else(|| self.end_user.clone()),
            case: billing("case_id"),
            agent: billing("agent").or_else(|| self.key_alias.clone()).or_else(|| Some("litellm".into())),
            action: billing("action").or_else(|| self.call_type.clone()),
            provider,
            model,
            service_tier: self.service_tier.clone(),
            usage: Counts {
                input: self.prompt_tokens,
                cached_input: self.cached_tokens,
                cache_write: self.cache_write_tokens,
                cache_write_1h: self.cache_write_1h_tokens,
                output: self.completion_tokens,
                reasoning: self.reasoning_tokens,
            },
            cost,
            started_at: time("startTime", &self.start_time)?,
            ended_at: time("endTime", &self.end_time)?,
            status: billing("status"),
            error: failed.then(|| self.error.clone().unwrap_or_else(|| "_OTHER".into())),
            metadata,
        })
    }

    /// The provider and its model: LiteLLM may name them together, as `openai/gpt-4o`.
    fn served_by(&self) -> (Option<String>, Option<String>) {
        let split = self.model.as_deref().and_then(|model| model.split_once('/'));
        match (&self.custom_llm_provider, split) {
            (Some(provider), Some((first, model))) if provider == first => {
                (Some(provider.clone()), Some(model.into()))
            }
            (None, Some((provider, model))) => (Some(provider.into()), Some(model.into())),
            (provider, _) => (provider.clone(), self.model.clone()),
        }
    }
}

/// A number as JSON writes it (`1.5e-05`) as a plain decimal, exact to 18 decimals. What is beyond them is cut off,
/// which changes nothing of how it is rounded to the nano.
pub(crate) fn decimal(number: &str) -> Option<String> {
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (number, 0),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty()
        || !digits.bytes().all(|digit| digit.is_ascii_digit())
        || !(-400..=400).contains(&exponent)
    {
        return None;
    }
    // Where the point stands among the digits; zeros stand where there are none.
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let leading = "0".repeat(usize::try_from(1 - point).unwrap_or(0));
    let mut digits = leading + &digits;
    let point = usize::try_from(point).unwrap_or(0).max(1);
    while digits.len() < point {
        digits.push('0');
    }
    let (whole, fraction) = digits.split_at(point);
    let whole = whole.trim_start_matches('0');
    let fraction = fraction[..fraction.len().min(18)].trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// Seconds since 1970 with decimals, or a time in RFC 3339, to the microsecond.
fn micros(raw: &str) -> Option<Timestamp> {
    if let Ok(time) = serde_json::from_str::<Timestamp>(raw) {
        return Some(time);
    }
    let seconds = decimal(raw.trim_matches('"'))?;
    let (whole, fraction) = seconds.split_once('.').unwrap_or((&seconds, ""));
    let fraction = format!("{:0<6}", &fraction[..fraction.len().min(6)]);
    let micros = whole.parse::<i64>().ok()?.checked_mul(1_000_000)?;
    (micros >= 0).then_some(())?;
    micros.checked_add(fraction.parse().ok()?).map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (number, plain) in [
            ("1.5e-05", "0.000015"),
            ("1.5E-5", "0.000015"),
            ("0.0123", "0.0123"),
            ("3e+2", "300"),
            ("1.25e1", "12.5"),
            ("12e-1", "1.2"),
            ("0", "0"),
            ("0.0", "0"),
            ("0e-30", "0"),
            ("1e-300", "0"),
            ("-2.50", "-2.5"),
            ("3.3000000000000003e-05", "0.000033"),
            ("1.0000000000000000019", "1.000000000000000001"),
            ("123456789.123456789", "123456789.123456789"),
        ] {
            assert_eq!(decimal(number).as_deref(), Some(plain), "{number}");
        }
        for bad in ["", "e5", ".5", "1e", "1e999", "NaN", "--1", "1,5", "0x1"] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_read_to_the_microsecond() {
        assert_eq!(micros("1790812800.1234567"), Some(Timestamp(1_790_812_800_123_456)));
        assert_eq!(micros("1.7908128e9"), Some(Timestamp(1_790_812_800_000_000)));
        assert_eq!(micros("\"2026-10-01T00:00:00Z\""), Some(Timestamp(1_790_812_800_000_000)));
        assert_eq!(micros("\"soon\""), None);
        assert_eq!(micros("-1"), None);
    }
}
