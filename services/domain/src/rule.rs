//! The rule of a contract by which its cases are judged. `docs/RULES.md` says what each field means to a verdict.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Whose word makes an outcome *assumed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assumed {
    /// Our own silence timer, or the platform's word.
    Silence,
    /// Only the platform's word, after our silence window.
    Platform,
    /// Nothing: only confirmed outcomes count.
    Never,
}

/// From when the silence is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SilenceFrom {
    /// Anew with each activity.
    LastActivity,
    /// Once, from the first activity of the episode (as Zendesk's advanced agents do for tickets).
    FirstActivity,
}

/// Which facts beside the attempts begin the silence anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestartedBy {
    /// None: only what the agent does.
    Answers,
    /// The customer's messages, but no mere thank-you (as Gorgias does).
    Messages,
    /// Whatever the customer does: also a thank-you, a rating (as witn does).
    Everything,
}

/// What a customer's message after the answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// The silence begins anew.
    Waits,
    /// The answer did not help; another is needed (as with Intercom's Fin).
    Unresolved,
}

/// What negative feedback does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeFeedback {
    /// It refuses the win, or takes it back.
    Refuses,
    /// The answers before it cannot win any more; a later one can (as with Intercom's Fin).
    Holds,
}

/// Whose confirmation counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Anybody's who may send one.
    Any,
    /// Only what the platform signed, or answered when it was asked.
    Platform,
}

/// What a re-open does to the outcome before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reopen {
    /// Takes it back (as Intercom's Fin does: help article 8205718).
    Void,
    /// Leaves it and starts a new billable episode.
    Keep,
}

/// How often a case can be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charges {
    /// Each episode once.
    EachEpisode,
    /// Not while an earlier episode is won (one charge a conversation, as with Intercom's Fin).
    OnceACase,
}

/// How a contract judges its cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// A confirmed outcome settles so long after the confirmation.
    pub confirmed_settles_after: Span,
    /// Whose word makes an outcome assumed.
    pub assumed: Assumed,
    /// How long nothing may happen.
    pub silence_window: Span,
    /// From when the silence is counted.
    pub silence_from: SilenceFrom,
    /// What begins it anew.
    pub restarted_by: RestartedBy,
    /// What a message after the answer means.
    pub follow_up: FollowUp,
    /// What negative feedback does.
    pub negative_feedback: NegativeFeedback,
    /// A score of at most this is negative feedback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_score: Option<i64>,
    /// The actions whose handoffs are wins of their own.
    pub planned_handoffs: Vec<String>,
    /// Whose confirmation counts.
    pub evidence: Evidence,
    /// What a re-open does to the outcome before it.
    pub reopen: Reopen,
    /// How often a case can be charged.
    pub charges: Charges,
    /// Later than this after settling, only an accepted dispute takes an outcome back.
    pub reversal_horizon: Span,
    /// How long after its invoice an outcome can be disputed.
    pub dispute_window: Span,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            confirmed_settles_after: Span::hours(24),
            assumed: Assumed::Silence,
            silence_window: Span::hours(72),
            silence_from: SilenceFrom::LastActivity,
            restarted_by: RestartedBy::Messages,
            follow_up: FollowUp::Waits,
            negative_feedback: NegativeFeedback::Refuses,
            low_score: None,
            planned_handoffs: Vec::new(),
            evidence: Evidence::Any,
            reopen: Reopen::Void,
            charges: Charges::EachEpisode,
            reversal_horizon: Span::hours(30 * 24),
            dispute_window: Span::hours(30 * 24),
        }
    }
}
