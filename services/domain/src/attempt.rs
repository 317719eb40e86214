//! An attempt as recorded: what an AI agent tried at a case, and what that cost.

use crate::money::{Currency, Money};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The agent gave the person a real answer.
    Answered,
    /// The agent said something that is no answer: a greeting, a question back.
    Replied,
    /// No answer came of it.
    Failed,
    /// The agent passed the case to a human.
    HandedOff,
}

/// Why an attempt failed, in the sender's judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The agent's own logic.
    AgentError,
    /// The model's provider.
    ProviderError,
    /// The provider refused for load.
    RateLimited,
    /// No answer in time.
    Timeout,
    /// A tool that the agent called.
    ToolError,
    /// The model declined to answer.
    Refused,
}

/// Gives an enum of plain names its stored text, the same that serde writes.
macro_rules! stored_as_text {
    ($type:ty { $($variant:ident = $text:literal),+ $(,)? }) => {
        impl $type {
            /// The name under which it is stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
            /// Reads a stored name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use stored_as_text;

stored_as_text!(Status {
    Answered = "answered",
    Replied = "replied",
    Failed = "failed",
    HandedOff = "handed_off",
});
stored_as_text!(ServiceTier {
    Standard = "standard",
    Flex = "flex",
    Balanced = "balanced",
    Priority = "priority",
    Fast = "fast",
    Ultrafast = "ultrafast",
    Batch = "batch",
    Scale = "scale",
    Reserved = "reserved",
    Performance = "performance",
});
stored_as_text!(FailureReason {
    AgentError = "agent_error",
    ProviderError = "provider_error",
    RateLimited = "rate_limited",
    Timeout = "timeout",
    ToolError = "tool_error",
    Refused = "refused",
});

/// Which of its services the provider answered with: one model has other prices in another. A sender that names none
/// means the standard one.
///
/// The names are those of OpenAI (`auto`, `default`, `flex`, `scale`, `priority`, `fast`), Anthropic (`standard`,
/// `standard_only`, `priority`, `batch`), Amazon Bedrock (`default`, `flex`, `priority`, `reserved`), Groq (`on_demand`, `flex`,
/// `performance`), and those that LiteLLM's price book has besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// What is served where nobody asks for something else.
    #[serde(alias = "default", alias = "auto", alias = "standard_only", alias = "on_demand")]
    Standard,
    /// Cheaper and slower.
    Flex,
    /// Between flex and standard.
    Balanced,
    /// Dearer and faster.
    Priority,
    /// Another name of some vendors for a dearer and faster one.
    Fast,
    /// Faster still.
    Ultrafast,
    /// Answered within hours.
    #[serde(alias = "batches")]
    Batch,
    /// Units bought beforehand (OpenAI).
    Scale,
    /// Units bought beforehand (Amazon).
    Reserved,
    /// Groq's dearer and faster one.
    Performance,
}

/// Token counts; `None` is unknown, not zero. Cached and cache-write tokens are part of `input`,
/// reasoning tokens of `output` (OpenTelemetry's GenAI conventions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// All input tokens.
    pub input: Option<i64>,
    /// Of these, read from the provider's cache.
    pub cached_input: Option<i64>,
    /// Of these, written to the provider's cache.
    pub cache_write: Option<i64>,
    /// Of the written ones, those to be kept for an hour: they cost more. The others are kept for minutes.
    pub cache_write_1h: Option<i64>,
    /// All output tokens.
    pub output: Option<i64>,
    /// Of these, reasoning.
    pub reasoning: Option<i64>,
}

impl ServiceTier {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Standard,
        Self::Flex,
        Self::Balanced,
        Self::Priority,
        Self::Fast,
        Self::Ultrafast,
        Self::Batch,
        Self::Scale,
        Self::Reserved,
        Self::Performance,
    ];

    /// Reads a name as a sender writes it. The error says which there are.
    pub fn read(name: &str) -> Result<Self, String> {
        let tier = match name {
            "default" | "auto" | "standard_only" | "on_demand" => Some(Self::Standard),
            "batches" => Some(Self::Batch),
            name => Self::parse(name),
        };
        tier.ok_or_else(|| {
            let known = Self::ALL.map(|tier| format!("`{}`", tier.as_str())).join(", ");
            format!(
                "`{name}` is not a service tier: there are {known} (and `default` and `auto` for `standard`)"
            )
        })
    }
}

/// What an attempt cost: the known part, and whether the model's part is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// What the model cost; `None` where nobody knows.
    pub model_nanos: Option<i64>,
    /// Tool calls, voice minutes and the like.
    pub other_nanos: i64,
    /// The currency of both.
    pub currency: Currency,
}

impl Cost {
    /// The known cost: model (if known) plus others. Both are limited at intake, so that they add up.
    pub fn known(&self) -> Money {
        let nanos = self.model_nanos.unwrap_or(0).saturating_add(self.other_nanos);
        Money { nanos, currency: self.currency }
    }
}

/// An attempt, validated and priced: the fact as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Unique per customer.
    pub id: String,
    /// Whose bill this counts toward.
    pub customer: String,
    /// The case it belongs to.
    pub case: String,
    /// Which agent tried.
    pub agent: String,
    /// What kind of outcome it works toward.
    pub action: String,
    /// Who served the model.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// Which of its services it answered with, if the sender said so.
    pub service_tier: Option<ServiceTier>,
    /// What the provider counted.
    pub usage: Usage,
    /// Whether the sender estimated these counts, rather than the provider counting them.
    pub usage_estimated: bool,
    /// What it cost, frozen when it was recorded.
    pub cost: Cost,
    /// What the outcome is worth that it works toward, as its sender says; never negative.
    pub value: Option<Money>,
    /// Where the model's cost is from: `reported`, a price book with its digest, an override, or `None` when unknown.
    pub price_source: Option<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended: its place in the case's history.
    pub ended_at: Timestamp,
    /// How it ended.
    pub status: Status,
    /// Why it failed.
    pub failure_reason: Option<FailureReason>,
    /// The same for the same prompt.
    pub prompt_fingerprint: Option<String>,
    /// What else the sender told (named other costs, failure detail, metadata), as a JSON object.
    pub details: Option<String>,
}
