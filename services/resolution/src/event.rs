//! The wire form of a resolution: as an API call, and inside a webhook of our own shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};
use verdict_domain::fact::{Resolution, ResolutionFact, ResolutionKind, Strength};
use verdict_domain::money::{self, Money};
use verdict_domain::time::{MICROS_PER_DAY, Timestamp};
use verdict_store::{Store, StoreError, resolutions};

/// 2020-01-01, as for attempts.
const EARLIEST: Timestamp = Timestamp(1_577_836_800_000_000);

/// What somebody says of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolutionEvent {
    /// Unique per customer and stable across retries of sending it.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub id: String,
    /// Whose case.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub customer: String,
    /// Which case.
    #[validate(length(min = 1, max = 128), custom(function = printable))]
    pub case: String,
    /// `confirmed`, `assumed`, `escalated`, `reopened`, `failed`, `message`, `acknowledged` or `rated`.
    #[schema(value_type = String)]
    pub kind: ResolutionKind,
    /// When it occurred there.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// The platform's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 512), custom(function = printable))]
    pub reason: Option<String>,
    /// For `rated`: the score, on the platform's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// For `confirmed` and `assumed`: what the outcome is worth, for prices by a share of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueEvent>,
}

/// What an outcome is worth: from 0 to below 100,000,000 units of an ISO 4217 currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueEvent {
    /// A decimal such as `120.50`, at most 18 decimals.
    pub amount: String,
    /// Such as `EUR`.
    pub currency: String,
}

/// The body of a webhook of our own shape (Standard Webhooks' `type`, `timestamp`, `data`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookEvent {
    /// `resolution.confirmed`, `.assumed`, `.escalated`, `.reopened`, `.failed`, `.disputed`, `.message`, `.acknowledged`
    /// or `.rated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the event was made; stands for `data.occurred_at` where that is absent.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What it is about.
    pub data: WebhookData,
}

/// What a webhook of our own shape is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookData {
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// When it occurred.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub occurred_at: Option<Timestamp>,
    /// The platform's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// For `rated`: the score.
    #[serde(default)]
    pub score: Option<i64>,
    /// For `confirmed` and `assumed`: what the outcome is worth.
    #[serde(default)]
    pub value: Option<ValueEvent>,
    /// For `disputed`: the episode, if not the one that it falls into.
    #[serde(default)]
    pub episode: Option<String>,
}

fn printable(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(char::is_control) {
        return Err(ValidationError::new("printable").with_message("must not have control characters".into()));
    }
    Ok(())
}

/// Validates what an API caller says. The error names the field and what would be right.
fn accept(event: ResolutionEvent, author: &str, now: Timestamp) -> Result<Resolution, String> {
    event.validate().map_err(|errors| {
        let mut fields: Vec<String> = errors.errors().keys().map(ToString::to_string).collect();
        fields.sort();
        format!(
            "{}: must have 1 to 128 characters (`reason` at most 512) and no control characters",
            fields.join(", ")
        )
    })?;
    match (event.kind, event.score) {
        (ResolutionKind::Disputed | ResolutionKind::DisputeAccepted | ResolutionKind::DisputeRejected, _) => {
            return Err("kind: a dispute is raised and decided at /v1/disputes".into());
        }
        (ResolutionKind::Rated, None) => return Err("score: is missing; `rated` needs one".into()),
        (ResolutionKind::Rated, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err("score: only `rated` has one".into()),
    }
    let value =
        event.value.map(|value| check_value(event.kind, &value.amount, &value.currency)).transpose()?;
    check_time(event.occurred_at, now)?;
    Ok(Resolution {
        id: format!("api:{}", event.id),
        customer: event.customer,
        case: event.case,
        occurred_at: event.occurred_at,
        said: ResolutionFact {
            kind: event.kind,
            score: event.score,
            about: None,
            strength: Strength::Api,
            value,
        },
        reason: event.reason.filter(|reason| !reason.is_empty()),
        author: Some(author.into()),
        evidence: None,
    })
}

/// What the outcome is worth by a fact of this kind. The error names the field.
pub(crate) fn check_value(kind: ResolutionKind, amount: &str, currency: &str) -> Result<Money, String> {
    if !matches!(kind, ResolutionKind::Confirmed | ResolutionKind::Assumed) {
        return Err("value: only `confirmed` and `assumed` have one".into());
    }
    money::parse_value(amount, currency).map_err(|problem| format!("value.{problem}"))
}

/// Whether a fact can have occurred then.
pub(crate) fn check_time(occurred_at: Timestamp, now: Timestamp) -> Result<(), String> {
    if occurred_at < EARLIEST {
        return Err(format!("occurred_at: {occurred_at} is before 2020"));
    }
    if occurred_at.0 > now.0.saturating_add(MICROS_PER_DAY) {
        return Err(format!("occurred_at: {occurred_at} is more than a day ahead of {now}"));
    }
    Ok(())
}

/// Whether a name can stand for a customer, a case or an id.
pub(crate) fn check_name(field: &str, name: &str) -> Result<(), String> {
    match name.chars().count() {
        1..=128 if !name.contains(char::is_control) => Ok(()),
        _ => Err(format!("{field}: must have 1 to 128 characters and no control characters")),
    }
}

/// Reads JSON; the error names the field.
pub fn read_json<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|error| match error.path().iter().next() {
            Some(_) => format!("{}: {}", error.path(), error.inner()),
            None => error.inner().to_string(),
        })?;
    json.end().map_err(|error| error.to_string())?;
    Ok(value)
}

/// Records resolutions that an API caller (`author`) sends. Answers for each, in order: new, duplicate, or the reason why it is no fact.
pub async fn record(
    store: &Store,
    events: Vec<Result<ResolutionEvent, String>>,
    author: &str,
    now: Timestamp,
) -> Result<Vec<Result<bool, String>>, StoreError> {
    let accepted: Vec<Result<Resolution, String>> =
        events.into_iter().map(|event| event.and_then(|event| accept(event, author, now))).collect();
    let facts: Vec<Resolution> = accepted.iter().flatten().cloned().collect();
    let tx = store.begin().await?;
    let mut recorded = resolutions::record(&tx, &facts, now).await?.into_iter();
    tx.commit().await?;
    Ok(accepted.into_iter().map(|event| event.map(|_| recorded.next().unwrap_or(false))).collect())
}
