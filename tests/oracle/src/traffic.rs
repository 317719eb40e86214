//! What flows into the service: contracts, attempts and resolutions, and their JSON.

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
}

/// One version of a customer's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Contract {
    pub customer: String,
    pub version: u32,
    pub effective_from: i64,
    pub currency: String,
    pub period: Cadence,
    pub time_zone: String,
    pub grace_hours: i64,
    pub bill_to_name: String,
    pub bill_to_email: String,
    pub prices: Vec<ContractPrice>,
    pub fees: Vec<Fee>,
    pub minimum: Option<String>,
    pub cap: Option<String>,
    pub discount: Option<String>,
    pub assumed_at_most: Option<String>,
    pub rule: Rule,
}

/// What its periods are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Cadence {
    #[default]
    Monthly,
    Weekly,
    Quarterly,
    Anniversary,
}

/// What an outcome of an action is charged at: an amount or tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContractPrice {
    /// The action priced.
    pub action: String,
    /// For a confirmed outcome; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// For an assumed one, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed_amount: Option<String>,
    /// How many of a period are free.
    #[serde(skip_serializing_if = "is_default")]
    pub included: i64,
    /// How the tiers are read.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// The price by how many there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// For assumed ones, if it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumed_tiers: Vec<Tier>,
    /// How many are sold together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<i64>,
    /// Percent of an outcome's value; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// What a share comes to at least; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// What a share comes to at most; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<String>,
}

/// How tiers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Mode {
    #[default]
    Graduated,
    Volume,
}

/// A tier of a price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// The last package in it; none for the last tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<i64>,
    /// Of each package; a decimal.
    pub amount: String,
    /// Added once; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<String>,
}

/// What is charged whatever the outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Fee {
    pub name: String,
    pub amount: String,
    pub quantity: i64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// How cases are judged. Durations are microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Rule {
    pub confirmed_settles_after: i64,
    pub assumed: Assumed,
    pub silence_window: i64,
    pub silence_from: SilenceFrom,
    pub restarted_by: RestartedBy,
    pub follow_up: FollowUp,
    pub negative_feedback: NegativeFeedback,
    pub low_score: Option<i64>,
    pub planned_handoffs: Vec<String>,
    pub evidence: Evidence,
    pub reopen: Reopen,
    pub charges: Charges,
    pub reversal_horizon: i64,
    pub dispute_window: i64,
}

/// Whose word makes an outcome an assumed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Assumed {
    Silence,
    Platform,
    Never,
}

/// From when on the silence is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum SilenceFrom {
    LastActivity,
    FirstActivity,
}

/// Which facts beside the attempts are activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum RestartedBy {
    Answers,
    Messages,
    Everything,
}

/// What a message after the answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum FollowUp {
    Waits,
    Unresolved,
}

/// What negative feedback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum NegativeFeedback {
    Refuses,
    Holds,
}

/// Whose word of a win counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Evidence {
    Any,
    Platform,
}

/// What a re-open does to the outcome before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Reopen {
    Void,
    Keep,
}

/// How often a case is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Charges {
    EachEpisode,
    OnceACase,
}

impl Default for Rule {
    /// The rule of a case that no contract version covers.
    fn default() -> Self {
        Self {
            confirmed_settles_after: 24 * HOUR,
            assumed: Assumed::Silence,
            silence_window: 72 * HOUR,
            silence_from: SilenceFrom::LastActivity,
            restarted_by: RestartedBy::Messages,
            follow_up: FollowUp::Waits,
            negative_feedback: NegativeFeedback::Refuses,
            low_score: None,
            planned_handoffs: Vec::new(),
            evidence: Evidence::Any,
            reopen: Reopen::Void,
            charges: Charges::EachEpisode,
            reversal_horizon: 30 * DAY,
            dispute_window: 30 * DAY,
        }
    }
}

impl Rule {
    /// As contracts write it.
    pub fn to_json(&self) -> Value {
        let mut rule = json!({
            "confirmed_settles_after": duration(self.confirmed_settles_after),
            "assumed": self.assumed,
            "silence_window": duration(self.silence_window),
            "silence_from": self.silence_from,
            "restarted_by": self.restarted_by,
            "follow_up": self.follow_up,
            "negative_feedback": self.negative_feedback,
            "planned_handoffs": self.planned_handoffs,
            "evidence": self.evidence,
            "reopen": self.reopen,
            "charges": self.charges,
            "reversal_horizon": duration(self.reversal_horizon),
            "dispute_window": duration(self.dispute_window),
        });
        if let Some(low_score) = self.low_score {
            rule["low_score"] = json!(low_score);
        }
        rule
    }
}

impl Contract {
    /// The contract document.
    pub fn to_json(&self) -> Value {
        let mut contract = json!({
            "customer": self.customer,
            "version": self.version,
            "effective_from": rfc3339(self.effective_from),
            "currency": self.currency,
            "period": self.period,
            "time_zone": self.time_zone,
            "grace": format!("{}h", self.grace_hours),
            "bill_to": { "name": self.bill_to_name, "email": self.bill_to_email },
            "prices": self.prices,
            "rule": self.rule.to_json(),
        });
        if !self.fees.is_empty() {
            contract["fees"] = json!(self.fees);
        }
        let decimals = [
            ("minimum", &self.minimum),
            ("cap", &self.cap),
            ("discount", &self.discount),
            ("assumed_at_most", &self.assumed_at_most),
        ];
        for (name, decimal) in decimals {
            if let Some(decimal) = decimal {
                contract[name] = json!(decimal);
            }
        }
        contract
    }
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

/// The largest unit that divides it; up to three days are said in hours, as people do.
fn duration(micros: i64) -> String {
    if micros > 3 * DAY && micros % DAY == 0 {
        format!("{}d", micros / DAY)
    } else if micros % HOUR == 0 {
        format!("{}h", micros / HOUR)
    } else {
        format!("{}s", micros / SECOND)
    }
}
