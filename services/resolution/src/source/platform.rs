//! Platforms: how bodies are read, as data.

use super::ask::{Fetch, Poll};
use super::condition::Condition;
use super::moment::TimeFormat;
use super::operand::{Operand, Operands, Pointer};
use super::value::{Setting, Settings};
use crate::event::ValueEvent;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use std::fmt;
use verdict_domain::fact::ResolutionKind;
use verdict_domain::time::Timestamp;

/// How a platform's deliveries are read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Platform {
    /// How deliveries are signed, where the source does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// Where the body is a batch: the array of what is read one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Each>,
    /// The sender's id of a delivery (of an element, in a batch); none if the sender has none.
    pub delivery_id: Vec<Operand>,
    /// The operands where a rule does not give its own.
    pub fact_id: Option<Operands>,
    /// Which case.
    pub case_id: Option<Operands>,
    /// Whose case.
    pub customer: Option<Operands>,
    /// When it occurred.
    pub occurred_at: Option<When>,
    /// The platform's words.
    pub reason: Option<Operands>,
    /// A score that the person gave.
    pub score: Option<Operands>,
    /// What the outcome is worth, of a `confirmed` or `assumed` fact.
    pub value: Option<Operands>,
    /// The currency of the value (ISO 4217).
    pub value_currency: Option<Operands>,
    /// The episode that is meant.
    pub episode: Option<Operands>,
    /// What is recorded with a fact.
    pub evidence: Vec<Operand>,
    /// Defaults of the settings.
    pub settings: Settings,
    /// A question that a platform asks before it trusts an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeRule>,
    /// What is answered when a delivery cannot be taken.
    pub nack: Nack,
    /// What a delivery means: the first rule whose conditions all hold.
    pub rules: Vec<Rule>,
    /// How to ask the platform for more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetch: Option<Fetch>,
    /// How to ask the platform what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Deliveries with what must come of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<Sample>,
}

/// A rule: its conditions, and what a delivery means for which all of them hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// How it is called where an event is shown; its place, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it means.
    pub outcome: RuleOutcome,
    /// What must hold.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Operands instead of the mapping's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fact_id: Option<Operands>,
    /// Which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_id: Option<Operands>,
    /// Whose case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Operands>,
    /// When it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<When>,
    /// The platform's words; of a quarantine, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Operands>,
    /// A score that the person gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Operands>,
    /// What the outcome is worth, of a `confirmed` or `assumed` fact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Operands>,
    /// The currency of the value (ISO 4217).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_currency: Option<Operands>,
    /// The episode that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Operands>,
}

/// What a rule makes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// The customer's person affirmed that it is solved.
    Confirmed,
    /// The platform itself counts silence as solved.
    Assumed,
    /// A human was asked for, or stepped in.
    Escalated,
    /// The person came back for help.
    Reopened,
    /// Negative feedback: not solved.
    Failed,
    /// Somebody disputes the outcome.
    Disputed,
    /// The customer's person wrote again.
    Message,
    /// They wrote no more than a thank-you.
    Acknowledged,
    /// They gave a score.
    Rated,
    /// Known, and means nothing.
    Ignore,
    /// The platform must be asked for more.
    Fetch,
    /// A person must look at it.
    Quarantine,
}

impl RuleOutcome {
    /// The fact that it is, if it is one.
    pub(crate) fn kind(self) -> Option<ResolutionKind> {
        Some(match self {
            Self::Confirmed => ResolutionKind::Confirmed,
            Self::Assumed => ResolutionKind::Assumed,
            Self::Escalated => ResolutionKind::Escalated,
            Self::Reopened => ResolutionKind::Reopened,
            Self::Failed => ResolutionKind::Failed,
            Self::Disputed => ResolutionKind::Disputed,
            Self::Message => ResolutionKind::Message,
            Self::Acknowledged => ResolutionKind::Acknowledged,
            Self::Rated => ResolutionKind::Rated,
            Self::Ignore | Self::Fetch | Self::Quarantine => return None,
        })
    }

    /// Whether money can come of it.
    pub(crate) fn bills(self) -> bool {
        matches!(self, Self::Confirmed | Self::Assumed)
    }
}

/// Where a time is, and how it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// The operands; the first that can be read counts.
    pub at: Operands,
    /// How it is written.
    pub format: TimeFormat,
}

/// A question that a platform asks before it trusts an address: the value is sent back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRule {
    /// What is sent back.
    pub at: Operands,
    /// What must hold, besides that the value is there.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// Whether it is answered only with a good signature.
    #[serde(default = "yes")]
    pub signed: bool,
    /// `text/plain` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

fn yes() -> bool {
    true
}

/// What is answered when a delivery cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nack {
    /// From 500 to 599: anything else makes one sender or another drop the delivery or switch the source off.
    pub status: u16,
    /// Seconds, for `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Default for Nack {
    fn default() -> Self {
        Self { status: 503, retry_after: Some(30) }
    }
}

/// Where the array of a batch is: `true` for the body itself, or a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each(pub Pointer);

impl Serialize for Each {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Each {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TrueOrPointer;
        impl de::Visitor<'_> for TrueOrPointer {
            type Value = Each;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("true (the body is an array) or a JSON pointer such as \"/events\"")
            }

            fn visit_bool<E: de::Error>(self, whole: bool) -> Result<Each, E> {
                if !whole {
                    return Err(E::custom("leave `each` out where the body is no batch"));
                }
                Ok(Each(Pointer::default()))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Each, E> {
                Pointer::try_from(text.to_string()).map(Each).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(TrueOrPointer)
    }
}

/// How something was learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The platform sent it.
    #[default]
    Webhook,
    /// We asked for more about what it sent.
    Fetch,
    /// We asked what happened.
    Poll,
}

impl Via {
    /// The name under which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Fetch => "fetch",
            Self::Poll => "poll",
        }
    }
}

/// A delivery with what must come of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// How it is called.
    pub name: String,
    /// What its form is taken from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it is learned.
    #[serde(default)]
    pub via: Via,
    /// The headers of the delivery.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: of the delivery, of the answer to a fetch, or one item of a poll.
    pub body: String,
    /// Of a fetch: the body of the delivery that made us ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Settings of the source.
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    /// What must come of it, in order. Events without a matching rule do not count.
    pub expect: Vec<Expected>,
}

/// What must come of a sample. What is left out may be anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What it means.
    pub outcome: RuleOutcome,
    /// Which case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// Whose case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// When it occurred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// The score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    /// What the outcome is worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueEvent>,
}

/// The operands of a set of rules, as they stand at one rule.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading<'a> {
    pub fact_id: Option<&'a Operands>,
    pub case_id: Option<&'a Operands>,
    pub customer: Option<&'a Operands>,
    pub occurred_at: Option<&'a When>,
    pub reason: Option<&'a Operands>,
    pub score: Option<&'a Operands>,
    pub value: Option<&'a Operands>,
    pub value_currency: Option<&'a Operands>,
    pub episode: Option<&'a Operands>,
    pub evidence: &'a [Operand],
}

/// A set of rules with its operands.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub rules: &'a [Rule],
    pub reading: Reading<'a>,
}

/// The operands of what has fields of these names.
macro_rules! reading_of {
    ($of:expr, $evidence:expr) => {
        Reading {
            fact_id: $of.fact_id.as_ref(),
            case_id: $of.case_id.as_ref(),
            customer: $of.customer.as_ref(),
            occurred_at: $of.occurred_at.as_ref(),
            reason: $of.reason.as_ref(),
            score: $of.score.as_ref(),
            value: $of.value.as_ref(),
            value_currency: $of.value_currency.as_ref(),
            episode: $of.episode.as_ref(),
            evidence: $evidence,
        }
    };
}

impl Platform {
    /// The rules for what came that way, if there are any.
    pub(crate) fn rules_for(&self, via: Via) -> Option<Rules<'_>> {
        match via {
            Via::Webhook => Some(Rules { rules: &self.rules, reading: reading_of!(self, &self.evidence) }),
            Via::Fetch => {
                let fetch = self.fetch.as_ref()?;
                Some(Rules { rules: &fetch.rules, reading: reading_of!(fetch, &fetch.evidence) })
            }
            Via::Poll => {
                let poll = self.poll.as_ref()?;
                Some(Rules { rules: &poll.rules, reading: reading_of!(poll, &poll.evidence) })
            }
        }
    }
}

impl Rule {
    /// The operands that hold for this rule: its own, else those of its set.
    pub(crate) fn reading<'a>(&'a self, set: Reading<'a>) -> Reading<'a> {
        let own = reading_of!(self, set.evidence);
        Reading {
            fact_id: own.fact_id.or(set.fact_id),
            case_id: own.case_id.or(set.case_id),
            customer: own.customer.or(set.customer),
            occurred_at: own.occurred_at.or(set.occurred_at),
            reason: own.reason.or(set.reason),
            score: own.score.or(set.score),
            value: own.value.or(set.value),
            value_currency: own.value_currency.or(set.value_currency),
            episode: own.episode.or(set.episode),
            evidence: own.evidence,
        }
    }
}
