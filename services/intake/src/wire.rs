//! The wire forms of the attempt event: JSON, protobuf, and CloudEvents 1.0 around either. (CSV is in `table`.)

use crate::table::{self, CSV};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message as _;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use validator::{Validate, ValidationError};
use verdict_domain::attempt::{FailureReason, ServiceTier, Status};
use verdict_domain::time::Timestamp;

/// The protobuf form, as `proto/verdict/v1/attempt.proto` declares it.
pub mod proto {
    #![allow(missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/verdict.v1.rs"));
}

/// The content type of JSON.
pub const JSON: &str = "application/json";
/// The content type of protobuf.
pub const PROTOBUF: &str = "application/x-protobuf";
/// The content type of CloudEvents 1.0 in structured JSON (`application/cloudevents-batch+json` for several).
pub const CLOUD_EVENTS: &str = "application/cloudevents+json";
const CLOUD_EVENTS_BATCH: &str = "application/cloudevents-batch+json";
/// The `type` of a CloudEvent that carries an attempt.
const CLOUD_EVENT_TYPE: &str = "verdict.attempt.v1";

/// The most events in one message or request.
pub const MAX_BATCH: usize = 10_000;
const MAX_TOKENS: u64 = 1_000_000_000;

/// One try of an AI agent at a case, as it is sent. `proto/verdict/v1/attempt.proto` explains each field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttemptEvent {
    /// Unique per customer and stable across retries of sending it.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub id: String,
    /// Whose bill this counts toward.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub customer: String,
    /// The unit that is judged: a conversation, a ticket.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub case: String,
    /// Which of the seller's agents tried.
    #[validate(length(min = 1, max = 64), custom(function = printable))]
    pub agent: String,
    /// What kind of outcome it works toward, such as `support.resolution`.
    #[validate(length(min = 1, max = 64), custom(function = printable))]
    pub action: String,
    /// Who served the model, such as `openai`.
    #[validate(length(min = 1, max = 64), custom(function = printable))]
    pub provider: String,
    /// The model as the provider names it.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub model: String,
    /// Which of the provider's services answered: `standard` (also `default`, `auto`), `flex`, `balanced`, `priority`, `fast`,
    /// `ultrafast`, `batch`, `scale`, `reserved` or `performance`. Absent is the standard one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub service_tier: Option<ServiceTier>,
    /// What the provider counted; absent is unknown, not zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(nested)]
    pub usage: Option<UsageEvent>,
    /// What the inference cost by the sender's own reckoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_cost: Option<AmountEvent>,
    /// What else it cost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[validate(length(max = 16), nested)]
    pub other_costs: Vec<NamedAmountEvent>,
    /// What the outcome is worth that it works toward, for prices by a share of it: from 0 to below 100,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<AmountEvent>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it ended: its place in the history of its case.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// `answered`, `replied` (no answer: a greeting, a question back), `failed` or `handed_off`.
    #[schema(value_type = String)]
    pub status: Status,
    /// Why it failed; only with `failed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub failure_reason: Option<FailureReason>,
    /// The failure in the sender's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 512), custom(function = storable))]
    pub failure_detail: Option<String>,
    /// The same for the same prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 128), custom(function = printable))]
    pub prompt_fingerprint: Option<String>,
    /// Anything else the sender wants to find again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[validate(custom(function = small_metadata))]
    pub metadata: BTreeMap<String, String>,
}

/// Token counts. Cached and cache-write tokens are part of the input, reasoning tokens of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageEvent {
    /// All input tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub input_tokens: Option<u64>,
    /// Of these, read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub cached_input_tokens: Option<u64>,
    /// Of these, written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub cache_write_tokens: Option<u64>,
    /// Of the written ones, those to be kept for an hour, not for minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub cache_write_1h_tokens: Option<u64>,
    /// All output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub output_tokens: Option<u64>,
    /// Of these, reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(range(max = MAX_TOKENS))]
    pub reasoning_tokens: Option<u64>,
    /// Whether these counts are the sender's estimate, rather than what the provider counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

/// A non-negative amount of an ISO 4217 currency: a cost is below 100,000 units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AmountEvent {
    /// A decimal such as `0.0123`, at most 18 decimals.
    pub amount: String,
    /// Such as `USD`.
    pub currency: String,
}

/// An amount with a name, such as `voice minutes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedAmountEvent {
    /// What cost it.
    #[validate(length(min = 1, max = 64), custom(function = printable))]
    pub name: String,
    /// A decimal such as `0.0123`, at most 18 decimals.
    pub amount: String,
    /// Such as `USD`.
    pub currency: String,
}

fn printable(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(char::is_control) {
        return Err(ValidationError::new("printable").with_message("must not have control characters".into()));
    }
    Ok(())
}

/// NUL is the one character that PostgreSQL cannot store in text.
fn storable(text: &str) -> Result<(), ValidationError> {
    if text.contains('\0') {
        return Err(ValidationError::new("storable").with_message("must not have NUL characters".into()));
    }
    Ok(())
}

fn small_metadata(metadata: &BTreeMap<String, String>) -> Result<(), ValidationError> {
    let fits = |(key, value): (&String, &String)| {
        !key.is_empty()
            && key.chars().count() <= 64
            && value.chars().count() <= 512
            && !(key.clone() + value).contains('\0')
    };
    if metadata.len() > 32 || !metadata.iter().all(fits) {
        let message =
            "must have at most 32 entries, keys of 1 to 64 and values of at most 512 characters, without NUL";
        return Err(ValidationError::new("metadata").with_message(message.into()));
    }
    Ok(())
}

/// An event of a message, as far as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Its bytes as they came: its own, where the message held several and they can be told apart.
    pub raw: Cow<'a, [u8]>,
    /// The event, or what is wrong with it, naming the field.
    pub read: Result<AttemptEvent, String>,
}

/// Reads the events of one message: at least one, and at most [`MAX_BATCH`].
pub fn decode<'a>(content_type: &str, body: &'a [u8]) -> Vec<Event<'a>> {
    // What follows a semicolon is a parameter, such as the charset.
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let whole = |reason| vec![Event { raw: Cow::Borrowed(body), read: Err(reason) }];
    let read: fn(&str) -> Result<AttemptEvent, String> = match kind.as_str() {
        JSON => json,
        CLOUD_EVENTS | CLOUD_EVENTS_BATCH => cloud_event,
        PROTOBUF => return protobuf(body),
        CSV => return table::events(body),
        _ => {
            return whole(format!(
                "content type `{content_type}` is not {JSON}, {PROTOBUF}, {CLOUD_EVENTS} or {CSV}"
            ));
        }
    };
    match one_or_many(body) {
        Ok(items) => items
            .into_iter()
            .map(|raw| Event { raw: Cow::Borrowed(raw.as_bytes()), read: read(raw) })
            .collect(),
        Err(reason) => whole(reason),
    }
}

fn one_or_many(body: &[u8]) -> Result<Vec<&str>, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match items.len() {
        0 => Err("the array holds no event".into()),
        1..=MAX_BATCH => Ok(items.into_iter().map(RawValue::get).collect()),
        more => {
            Err(format!("the array holds {more} events, {MAX_BATCH} at most are taken: send it in parts"))
        }
    }
}

pub(crate) fn json(text: &str) -> Result<AttemptEvent, String> {
    serde_json::from_str(text).map_err(|_| fault::<AttemptEvent>(text))
}

/// What is wrong with a JSON text, naming the field. Reads it a second time, which only what is wrong has to pay for.
fn fault<T: serde::de::DeserializeOwned>(text: &str) -> String {
    let read: Result<T, _> = serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text));
    match read {
        Err(error) if error.path().iter().next().is_some() => format!("{}: {}", error.path(), error.inner()),
        Err(error) => error.inner().to_string(),
        // Then there is something behind it.
        Ok(_) => "there is more than one JSON value".into(),
    }
}

/// A CloudEvents 1.0 envelope in structured JSON. Unknown attributes are extensions, and allowed.
#[derive(Deserialize)]
struct Envelope<'a> {
    specversion: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    datacontenttype: Option<String>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    data_base64: Option<String>,
}

fn cloud_event(text: &str) -> Result<AttemptEvent, String> {
    let envelope: Envelope =
        serde_json::from_str(text).map_err(|error| format!("not a CloudEvent: {error}"))?;
    if envelope.specversion != "1.0" {
        return Err(format!("specversion: `{}` is not 1.0", envelope.specversion));
    }
    if envelope.kind != CLOUD_EVENT_TYPE {
        return Err(format!("type: `{}` is not {CLOUD_EVENT_TYPE}", envelope.kind));
    }
    match (envelope.data, envelope.data_base64) {
        (Some(data), None) => json(data.get()).map_err(|reason| format!("data: {reason}")),
        (None, Some(text)) => {
            let bytes = STANDARD.decode(text).map_err(|error| format!("data_base64: {error}"))?;
            if envelope.datacontenttype.as_deref() == Some(PROTOBUF) {
                let attempt = proto::Attempt::decode(bytes.as_slice());
                let attempt = attempt.map_err(|error| format!("data_base64: not protobuf: {error}"))?;
                return from_proto(attempt).map_err(|reason| format!("data_base64: {reason}"));
            }
            let text =
                std::str::from_utf8(&bytes).map_err(|error| format!("data_base64: not UTF-8: {error}"))?;
            json(text).map_err(|reason| format!("data_base64: {reason}"))
        }
        _ => Err("data: exactly one of `data` and `data_base64` must be there".into()),
    }
}

/// A message is one `Attempt` or an `AttemptBatch`. A batch is nothing but its field 1, over and over; an attempt has more
/// than its field 1, the id. Each attempt of a batch is read by itself, so that one that is odd (a field from
/// the future, a text that is no UTF-8) stops none of its neighbours.
fn protobuf(body: &[u8]) -> Vec<Event<'_>> {
    let event = |raw: &'_ [u8]| {
        proto::Attempt::decode(raw).map_err(|error| format!("not protobuf: {error}")).and_then(from_proto)
    };
    let whole = |read| vec![Event { raw: Cow::Borrowed(body), read }];
    match batch_items(body) {
        Some(items) if items.len() > MAX_BATCH => {
            let held = items.len();
            whole(Err(format!("the batch holds {held} events, {MAX_BATCH} at most are taken")))
        }
        Some(items) => {
            items.into_iter().map(|raw| Event { raw: Cow::Borrowed(raw), read: event(raw) }).collect()
        }
        None => whole(event(body)),
    }
}

/// The bytes of each attempt of a batch; `None` if the message is no batch.
fn batch_items(mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    /// Field 1, length-delimited: (1 << 3) | 2.
    const FIELD_1: u8 = 0x0a;
    let mut items = Vec::new();
    while let Some((&FIELD_1, after)) = rest.split_first() {
        rest = after;
        let length = usize::try_from(prost::encoding::decode_varint(&mut rest).ok()?).ok()?;
        let (item, after) = rest.split_at_checked(length)?;
        items.push(item);
        rest = after;
    }
    (rest.is_empty() && !items.is_empty()).then_some(items)
}

fn from_proto(attempt: proto::Attempt) -> Result<AttemptEvent, String> {
    let time = |field: &str, time: Option<prost_types::Timestamp>| {
        let time = time.ok_or_else(|| format!("{field}: is missing"))?;
        let micros =
            time.seconds.checked_mul(1_000_000).and_then(|s| s.checked_add(i64::from(time.nanos / 1_000)));
        micros.map(Timestamp).ok_or_else(|| format!("{field}: is out of range"))
    };
    let status = match attempt.status() {
        proto::Status::Answered => Status::Answered,
        proto::Status::Replied => Status::Replied,
        proto::Status::Failed => Status::Failed,
        proto::Status::HandedOff => Status::HandedOff,
        proto::Status::Unspecified => return Err(format!("status: {} is not a status", attempt.status)),
    };
    let failure_reason = match attempt.failure_reason() {
        proto::FailureReason::Unspecified if attempt.failure_reason != 0 => {
            return Err(format!("failure_reason: {} is not a reason", attempt.failure_reason));
        }
        proto::FailureReason::Unspecified => None,
        proto::FailureReason::AgentError => Some(FailureReason::AgentError),
        proto::FailureReason::ProviderError => Some(FailureReason::ProviderError),
        proto::FailureReason::RateLimited => Some(FailureReason::RateLimited),
        proto::FailureReason::Timeout => Some(FailureReason::Timeout),
        proto::FailureReason::ToolError => Some(FailureReason::ToolError),
        proto::FailureReason::Refused => Some(FailureReason::Refused),
    };
    let text = |text: String| (!text.is_empty()).then_some(text);
    let service_tier = text(attempt.service_tier).map(|name| ServiceTier::read(&name)).transpose();
    Ok(AttemptEvent {
        service_tier: service_tier.map_err(|fault| format!("service_tier: {fault}"))?,
        started_at: time("started_at", attempt.started_at)?,
        ended_at: time("ended_at", attempt.ended_at)?,
        status,
        failure_reason,
        id: attempt.id,
        customer: attempt.customer,
        case: attempt.case,
        agent: attempt.agent,
        action: attempt.action,
        provider: attempt.provider,
        model: attempt.model,
        usage: attempt.usage.map(|usage| UsageEvent {
            input_tokens: usage.input_tokens,
            cached_input_tokens: usage.cached_input_tokens,
            cache_write_tokens: usage.cache_write_tokens,
            cache_write_1h_tokens: usage.cache_write_1h_tokens,
            output_tokens: usage.output_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            estimated: usage.estimated,
        }),
        reported_cost: attempt
            .reported_cost
            .map(|cost| AmountEvent { amount: cost.amount, currency: cost.currency }),
        value: attempt.value.map(|value| AmountEvent { amount: value.amount, currency: value.currency }),
        other_costs: attempt
            .other_costs
            .into_iter()
            .map(|cost| NamedAmountEvent { name: cost.name, amount: cost.amount, currency: cost.currency })
            .collect(),
        failure_detail: text(attempt.failure_detail),
        prompt_fingerprint: text(attempt.prompt_fingerprint),
        metadata: attempt.metadata,
    })
}
