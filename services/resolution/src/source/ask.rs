//! Asking platforms, as data: what is sent to them, and what their answers mean.

use super::condition::Condition;
use super::operand::{Operand, Operands, Pointer};
use super::platform::{Rule, When};
use super::template::Template;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use verdict_domain::time::Span;

/// How to ask the platform for more about an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetch {
    /// `GET` if left out.
    #[serde(default)]
    pub method: Method,
    /// The address: a template.
    pub url: Template,
    /// Headers: templates.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The body, where the method is `POST`: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// How long to wait for the answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// At most so many a minute.
    #[serde(default = "sixty")]
    pub per_minute: u32,
    /// What the answer means; `body:` is the answer, `event:` what made us ask.
    pub rules: Vec<Rule>,
    /// Operands instead of what is known from the event.
    #[serde(default)]
    pub fact_id: Option<Operands>,
    /// Which case.
    #[serde(default)]
    pub case_id: Option<Operands>,
    /// Whose case.
    #[serde(default)]
    pub customer: Option<Operands>,
    /// When it occurred.
    #[serde(default)]
    pub occurred_at: Option<When>,
    /// The platform's words.
    #[serde(default)]
    pub reason: Option<Operands>,
    /// A score that the person gave.
    #[serde(default)]
    pub score: Option<Operands>,
    /// What the outcome is worth, of a `confirmed` or `assumed` fact.
    #[serde(default)]
    pub value: Option<Operands>,
    /// The currency of the value (ISO 4217).
    #[serde(default)]
    pub value_currency: Option<Operands>,
    /// The episode that is meant.
    #[serde(default)]
    pub episode: Option<Operands>,
    /// What is recorded with a fact, besides what the event gave.
    #[serde(default)]
    pub evidence: Vec<Operand>,
}

/// How to ask the platform what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// How often.
    #[serde(default = "fifteen_minutes")]
    pub every: Span,
    /// `GET` if left out.
    #[serde(default)]
    pub method: Method,
    /// The address of the first page: a template.
    pub url: Template,
    /// The address of the later ones, if another. It may begin with `{cursor}` where the platform gives it whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_url: Option<Template>,
    /// Headers: templates.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// The body, where the method is `POST`: a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Template>,
    /// The body for the later pages, if another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_body: Option<Template>,
    /// How long to wait for an answer.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
    /// At most so many a minute.
    #[serde(default = "sixty")]
    pub per_minute: u32,
    /// How far a poll looks back before the last one: what was written late is still found.
    #[serde(default = "one_hour")]
    pub overlap: Span,
    /// Where the array of items is.
    pub items: Pointer,
    /// The cursor of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Operands>,
    /// There is a next page only if this holds too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<Condition>,
    /// What an item means; `body:` is the item.
    pub rules: Vec<Rule>,
    /// What a fact is known by. The same as of the webhook, so that both meet in one fact.
    #[serde(default)]
    pub fact_id: Option<Operands>,
    /// Which case.
    #[serde(default)]
    pub case_id: Option<Operands>,
    /// Whose case.
    #[serde(default)]
    pub customer: Option<Operands>,
    /// When it occurred.
    #[serde(default)]
    pub occurred_at: Option<When>,
    /// The platform's words.
    #[serde(default)]
    pub reason: Option<Operands>,
    /// A score that the person gave.
    #[serde(default)]
    pub score: Option<Operands>,
    /// What the outcome is worth, of a `confirmed` or `assumed` fact.
    #[serde(default)]
    pub value: Option<Operands>,
    /// The currency of the value (ISO 4217).
    #[serde(default)]
    pub value_currency: Option<Operands>,
    /// The episode that is meant.
    #[serde(default)]
    pub episode: Option<Operands>,
    /// What is recorded with a fact.
    #[serde(default)]
    pub evidence: Vec<Operand>,
}

fn ten_seconds() -> Span {
    Span(10_000_000)
}

fn fifteen_minutes() -> Span {
    Span(900_000_000)
}

fn one_hour() -> Span {
    Span::hours(1)
}

fn sixty() -> u32 {
    60
}

/// The method of a request to a platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// `GET`.
    #[default]
    Get,
    /// `POST`, where a platform's search wants it.
    Post,
}

impl Method {
    /// As it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}
