//! The facts of a case: what the judge reads.

use crate::attempt::{Cost, FailureReason, Status, stored_as_text};
use crate::money::Money;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a support platform or the seller says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionKind {
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
    /// The customer's person wrote again.
    Message,
    /// They wrote no more than a thank-you.
    Acknowledged,
    /// They gave a score.
    Rated,
    /// Somebody disputes the outcome of an episode.
    Disputed,
    /// The operator gives way to a dispute.
    DisputeAccepted,
    /// The operator does not.
    DisputeRejected,
}

stored_as_text!(ResolutionKind {
    Confirmed = "confirmed",
    Assumed = "assumed",
    Escalated = "escalated",
    Reopened = "reopened",
    Failed = "failed",
    Message = "message",
    Acknowledged = "acknowledged",
    Rated = "rated",
    Disputed = "disputed",
    DisputeAccepted = "dispute_accepted",
    DisputeRejected = "dispute_rejected",
});

/// How much a resolution proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// A signature over its bytes was verified.
    Signed,
    /// It was asked from the platform itself.
    Fetched,
    /// Whoever knows a header could have sent it.
    Token,
    /// The holder of one of the service's keys said so.
    Api,
    /// The operator decided so.
    Operator,
}

stored_as_text!(Strength {
    Signed = "signed",
    Fetched = "fetched",
    Token = "token",
    Api = "api",
    Operator = "operator",
});

/// The part of a resolution that the judge reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolutionFact {
    /// What is said of the case.
    pub kind: ResolutionKind,
    /// The score of a rating, on the platform's scale.
    pub score: Option<i64>,
    /// For a dispute the name of the episode, for a decision the id of the dispute.
    pub about: Option<String>,
    /// What the outcome is worth, as whoever speaks of it says; never negative.
    pub value: Option<Money>,
    /// How much it proves.
    pub strength: Strength,
}

/// A resolution as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Unique per customer: the door it came by, a colon, the id given there.
    pub id: String,
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// When it occurred there.
    pub occurred_at: Timestamp,
    /// What it says.
    pub said: ResolutionFact,
    /// The platform's words, or the author's.
    pub reason: Option<String>,
    /// Who said so, where it was a person or a program with a key.
    pub author: Option<String>,
    /// What it rests on, as a JSON object: the delivery, the rule that read it, the values that the rule looked at.
    pub evidence: Option<String>,
}

/// The part of an attempt that the judge reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptFact {
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// Which agent.
    pub agent: String,
    /// Toward which kind of outcome.
    pub action: String,
    /// Who serves the model.
    pub provider: String,
    /// By which model.
    pub model: String,
    /// At what cost.
    pub cost: Cost,
    /// What the outcome is worth, as the attempt's sender says; never negative.
    pub value: Option<Money>,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// An AI agent tried.
    Attempt(AttemptFact),
    /// Somebody spoke of the result.
    Resolution(ResolutionFact),
}

/// One fact of a case. Facts are ordered by time, then id; the order of arrival means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// When it happened.
    pub at: Timestamp,
    /// Unique within the case: `attempt:ID`, `SOURCE:DELIVERY` or `api:ID`.
    pub id: String,
    /// What it says.
    pub said: Said,
}

impl Fact {
    /// The attempt, if it is one.
    pub fn attempt(&self) -> Option<&AttemptFact> {
        match &self.said {
            Said::Attempt(attempt) => Some(attempt),
            Said::Resolution(_) => None,
        }
    }

    /// The resolution, if it is one.
    pub fn resolution(&self) -> Option<&ResolutionFact> {
        match &self.said {
            Said::Attempt(_) => None,
            Said::Resolution(resolution) => Some(resolution),
        }
    }

    /// What it says that the outcome is worth.
    pub fn value(&self) -> Option<Money> {
        match &self.said {
            Said::Attempt(attempt) => attempt.value,
            Said::Resolution(resolution) => resolution.value,
        }
    }

    /// Whether it is a resolution of this kind.
    pub fn is(&self, kind: ResolutionKind) -> bool {
        self.resolution().is_some_and(|resolution| resolution.kind == kind)
    }

    /// Whether it is an attempt that ended so.
    pub fn ended(&self, status: Status) -> bool {
        self.attempt().is_some_and(|attempt| attempt.status == status)
    }
}

/// The facts in their order, each id once: the form that the judge expects.
pub fn in_order(mut facts: Vec<Fact>) -> Vec<Fact> {
    facts.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    facts.dedup_by(|a, b| a.id == b.id);
    facts
}
