//! The wire form of a resolution: as an API call, and inside a webhook of our own shape.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};
use verdict_domain::fact::{Resolution, ResolutionKind};
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
    /// `confirmed`, `assumed`, `escalated`, `reopened` or `failed`.
    #[schema(value_type = String)]
    pub kind: ResolutionKind,
    /// When it occurred there.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: Timestamp,
    /// The platform's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[validate(length(max = 512), custom(function = printable))]
    pub reason: Option<String>,
}

/// The body of a webhook of our own shape (Standard Webhooks' `type`, `timestamp`, `data`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookEvent {
    /// `resolution.confirmed`, `.assumed`, `.escalated`, `.reopened` or `.failed`.
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
}

fn printable(text: &str) -> Result<(), ValidationError> {
    if text.chars().any(char::is_control) {
        return Err(ValidationError::new("printable").with_message("must not have control characters".into()));
    }
    Ok(())
}

/// Validates an event that came by `door`. The error names the field and what would be right.
pub(crate) fn accept(event: ResolutionEvent, door: &str, now: Timestamp) -> Result<Resolution, String> {
    event.validate().map_err(|errors| {
        let mut fields: Vec<String> = errors.errors().keys().map(ToString::to_string).collect();
        fields.sort();
        format!(
            "{}: must have 1 to 128 characters (`reason` at most 512) and no control characters",
            fields.join(", ")
        )
    })?;
    if event.occurred_at < EARLIEST {
        return Err(format!("occurred_at: {} is before 2020", event.occurred_at));
    }
    if event.occurred_at.0 > now.0.saturating_add(MICROS_PER_DAY) {
        return Err(format!("occurred_at: {} is more than a day ahead of {now}", event.occurred_at));
    }
    Ok(Resolution {
        id: format!("{door}:{}", event.id),
        customer: event.customer,
        case: event.case,
        kind: event.kind,
        occurred_at: event.occurred_at,
        reason: event.reason.filter(|reason| !reason.is_empty()),
    })
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

/// Reads the body of a webhook of our own shape. `id` is the delivery's.
pub(crate) fn read_webhook(id: &str, body: &[u8]) -> Result<ResolutionEvent, String> {
    let event: WebhookEvent = read_json(body)?;
    let kind = event.kind.strip_prefix("resolution.").and_then(ResolutionKind::parse).ok_or_else(|| {
        format!(
            "type: `{}` is not resolution.confirmed, .assumed, .escalated, .reopened or .failed",
            event.kind
        )
    })?;
    Ok(ResolutionEvent {
        id: id.to_string(),
        customer: event.data.customer,
        case: event.data.case,
        kind,
        occurred_at: event.data.occurred_at.unwrap_or(event.timestamp),
        reason: event.data.reason,
    })
}

/// Records resolutions that an API caller sends. Answers for each, in order: new, duplicate, or the reason why it is no fact.
pub async fn record(
    store: &Store,
    events: Vec<Result<ResolutionEvent, String>>,
    now: Timestamp,
) -> Result<Vec<Result<bool, String>>, StoreError> {
    let accepted: Vec<Result<Resolution, String>> =
        events.into_iter().map(|event| event.and_then(|event| accept(event, "api", now))).collect();
    let facts: Vec<Resolution> = accepted.iter().flatten().cloned().collect();
    let tx = store.begin().await?;
    let mut recorded = resolutions::record(&tx, &facts, now).await?.into_iter();
    tx.commit().await?;
    Ok(accepted.into_iter().map(|event| event.map(|_| recorded.next().unwrap_or(false))).collect())
}
