//! What flows into the service: attempts and resolutions (and with them contracts and grants), and their JSON.

use crate::terms::{Contract, Grant};
use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// The source name of the webhook door; the facts' ids begin with it.
pub const WEBHOOK_SOURCE: &str = "support";

/// Everything that happens, each fact once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// By customer and version.
    pub contracts: Vec<Contract>,
    /// By time.
    pub attempts: Vec<Attempt>,
    /// By time.
    pub resolutions: Vec<Resolution>,
    /// In any order.
    pub grants: Vec<Grant>,
}

/// One try of an agent at a case; the fields are those of `proto/verdict/v1/attempt.proto`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the proto's")]
pub struct Attempt {
    pub id: String,
    pub customer: String,
    pub case: String,
    pub agent: String,
    pub action: String,
    pub provider: String,
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_cost: Option<Amount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_costs: Vec<NamedAmount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    #[serde(serialize_with = "as_rfc3339")]
    pub started_at: i64,
    #[serde(serialize_with = "as_rfc3339")]
    pub ended_at: i64,
    pub status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_fingerprint: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// What the provider counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the proto's")]
pub struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    #[serde(skip_serializing_if = "is_default")]
    pub estimated: bool,
}

/// A decimal amount of a currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the proto's")]
pub struct Amount {
    pub amount: String,
    pub currency: String,
}

/// What else an attempt cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the proto's")]
pub struct NamedAmount {
    pub name: String,
    pub amount: String,
    pub currency: String,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the proto's")]
pub enum Status {
    Answered,
    Replied,
    Failed,
    HandedOff,
}

impl Attempt {
    /// The event as the queue carries it.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("plain data")
    }

    /// The id that orders it among the facts of its case.
    pub fn fact_id(&self) -> String {
        format!("attempt:{}", self.id)
    }
}

/// What became of a case, by somebody's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Under the door: the delivery's id or the request's.
    pub id: String,
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// What is said.
    pub kind: Kind,
    /// When it was so.
    pub occurred_at: i64,
    /// Why, in the sender's words.
    pub reason: Option<String>,
    /// The score of a rating.
    pub score: Option<i64>,
    /// What the outcome is worth; only a word for a win has it.
    pub value: Option<Amount>,
    /// For a dispute the name of an episode, for a decision the fact id of a dispute. No door of [`Door`] takes it.
    pub about: Option<String>,
    /// How much it proves; what comes in by a door has [`Door::strength`].
    pub strength: Strength,
    /// Which way it comes in.
    pub door: Door,
}

/// What a resolution says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Kind {
    Confirmed,
    Assumed,
    Escalated,
    Reopened,
    Failed,
    Message,
    Acknowledged,
    Rated,
    Disputed,
    DisputeAccepted,
    DisputeRejected,
}

/// How much a resolution proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Strength {
    Signed,
    Fetched,
    Token,
    Api,
    Operator,
}

/// The way a resolution comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// A signed delivery of the source [`WEBHOOK_SOURCE`], its id in the `webhook-id` header.
    Webhook,
    /// The same of another source, of this name.
    Source(&'static str),
    /// `POST /v1/resolutions`.
    Api,
}

impl Door {
    /// How much a resolution proves that comes in this way.
    pub fn strength(self) -> Strength {
        match self {
            Self::Webhook | Self::Source(_) => Strength::Signed,
            Self::Api => Strength::Api,
        }
    }
}

impl Resolution {
    /// The body of `POST /v1/resolutions`.
    pub fn to_json(&self) -> Value {
        let mut body = json!({
            "id": self.id,
            "customer": self.customer,
            "case": self.case,
            "kind": self.kind,
            "occurred_at": rfc3339(self.occurred_at),
        });
        self.add_optional(&mut body);
        body
    }

    /// The body of a webhook delivery; its id travels in a header.
    pub fn to_webhook_body(&self) -> Value {
        let kind = json!(self.kind);
        let mut data = json!({
            "customer": self.customer,
            "case": self.case,
            "occurred_at": rfc3339(self.occurred_at),
        });
        self.add_optional(&mut data);
        json!({
            "type": format!("resolution.{}", kind.as_str().expect("a name")),
            "timestamp": rfc3339(self.occurred_at),
            "data": data,
        })
    }

    /// The id that orders it among the facts of its case.
    pub fn fact_id(&self) -> String {
        let source = match self.door {
            Door::Webhook => WEBHOOK_SOURCE,
            Door::Source(name) => name,
            Door::Api => "api",
        };
        format!("{source}:{}", self.id)
    }

    fn add_optional(&self, body: &mut Value) {
        if let Some(score) = self.score {
            body["score"] = json!(score);
        }
        if let Some(value) = &self.value {
            body["value"] = json!(value);
        }
        if let Some(reason) = &self.reason {
            body["reason"] = json!(reason);
        }
    }
}

/// A time as RFC 3339 in UTC, with microseconds.
pub fn rfc3339(micros: i64) -> String {
    let time = DateTime::from_timestamp_micros(micros).expect("a time in range");
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn as_rfc3339<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*micros))
}

/// Whether a field is as if it were not there.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
