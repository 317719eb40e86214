//! Facts, times and lengths of time in plain words.

use verdict_domain::attempt::Status;
use verdict_domain::fact::{AttemptFact, Fact, ResolutionFact, ResolutionKind, Said, Strength};
use verdict_domain::rule::Rule;
use verdict_domain::time::{Span, Timestamp};

/// What is known of a fact beside what the judge reads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Note {
    /// Who said so.
    pub author: Option<String>,
    /// In which words.
    pub reason: Option<String>,
    /// `webhook`, `fetch` or `poll`.
    pub via: Option<String>,
    /// Which rule of the source's mapping read it.
    pub mapping: Option<String>,
}

impl Note {
    /// Reads what it needs from the evidence of a resolution.
    pub fn new(author: Option<&str>, reason: Option<&str>, evidence: Option<&serde_json::Value>) -> Self {
        let of = |field: &str| evidence?.get(field)?.as_str().map(String::from);
        Self {
            author: author.map(String::from),
            reason: reason.map(String::from),
            via: of("via"),
            mapping: of("rule"),
        }
    }
}

/// A fact's id and, for a resolution, how it came: `` `support:msg-1` (signed webhook, rule `rules[0]`) ``.
pub(crate) fn source(fact: &Fact, note: &Note) -> String {
    let how = how(fact, note);
    if how.is_empty() { format!("`{}`", fact.id) } else { format!("`{}` ({})", fact.id, how.join(", ")) }
}

/// The same in brackets: `` (`support:msg-1`, signed webhook, rule `rules[0]`) ``.
pub(crate) fn source_aside(fact: &Fact, note: &Note) -> String {
    let parts = [vec![format!("`{}`", fact.id)], how(fact, note)].concat();
    format!("({})", parts.join(", "))
}

fn how(fact: &Fact, note: &Note) -> Vec<String> {
    let Some(said) = fact.resolution() else { return Vec::new() };
    let came = how_it_came(said.strength, note.via.as_deref()).to_string();
    let author = note.author.as_ref().map(|author| format!("by `{author}`"));
    let mapping = note.mapping.as_ref().map(|mapping| format!("rule `{mapping}`"));
    [Some(came), author, mapping].into_iter().flatten().collect()
}

fn how_it_came(strength: Strength, via: Option<&str>) -> &'static str {
    match (strength, via) {
        (Strength::Signed, _) => "signed webhook",
        (Strength::Fetched, Some("poll")) => "found when the platform was asked",
        (Strength::Fetched, _) => "asked from the platform",
        (Strength::Token, _) => "webhook with a token, not signed",
        (Strength::Api, _) => "API",
        (Strength::Operator, _) => "operator",
    }
}

/// What a fact says, for a timeline.
pub(crate) fn what(fact: &Fact, rule: &Rule) -> String {
    let said = match &fact.said {
        Said::Attempt(attempt) => attempt_words(attempt, rule),
        Said::Resolution(said) => resolution_words(said, rule),
    };
    match fact.value() {
        Some(value) => format!("{said}, worth {value}"),
        None => said,
    }
}

fn attempt_words(attempt: &AttemptFact, rule: &Rule) -> String {
    let action = &attempt.action;
    // A customer is not told which agent it was.
    let agent = match attempt.agent.as_str() {
        "" => "The agent".to_string(),
        agent => format!("The agent `{agent}`"),
    };
    match attempt.status {
        Status::Answered => format!("{agent} answered ({action})"),
        Status::Replied => format!("{agent} replied, without an answer ({action})"),
        Status::Failed => match attempt.failure_reason {
            Some(reason) => format!("{agent} failed: {} ({action})", reason.as_str().replace('_', " ")),
            None => format!("{agent} failed ({action})"),
        },
        Status::HandedOff if rule.planned_handoffs.contains(action) => {
            format!("{agent} handed over to a human, as planned ({action})")
        }
        Status::HandedOff => format!("{agent} handed over to a human ({action})"),
    }
}

fn resolution_words(said: &ResolutionFact, rule: &Rule) -> String {
    let about = said.about.as_deref();
    match said.kind {
        ResolutionKind::Confirmed => "It was confirmed as solved".into(),
        ResolutionKind::Assumed => "The platform counts it as solved".into(),
        ResolutionKind::Escalated => "A human was asked for, or stepped in".into(),
        ResolutionKind::Reopened => "The customer came back".into(),
        ResolutionKind::Failed => "Negative feedback: not solved".into(),
        ResolutionKind::Message => "The customer wrote again".into(),
        ResolutionKind::Acknowledged => "The customer wrote a thank-you".into(),
        ResolutionKind::Rated => {
            let score = said.score.map_or_else(|| "no score".into(), |score| score.to_string());
            let is_low = said.score.zip(rule.low_score).is_some_and(|(score, low)| score <= low);
            format!("The customer gave a score: {score}{}", if is_low { " (negative feedback)" } else { "" })
        }
        ResolutionKind::Disputed => match about {
            Some(episode) => format!("The outcome of episode `{episode}` was disputed"),
            None => "The outcome was disputed".into(),
        },
        ResolutionKind::DisputeAccepted => format!("The dispute `{}` was accepted", about.unwrap_or("?")),
        ResolutionKind::DisputeRejected => format!("The dispute `{}` was rejected", about.unwrap_or("?")),
    }
}

/// `2026-10-01 02:00 UTC`: seconds and what is finer only where there are any.
pub(crate) fn time(at: Timestamp) -> String {
    let text = at.to_utc().format("%Y-%m-%d %H:%M:%S%.f").to_string();
    format!("{} UTC", text.strip_suffix(":00").unwrap_or(&text))
}

/// `72 h`, `30 days`, `90 min`.
pub(crate) fn span(span: Span) -> String {
    const UNITS: [(i64, &str); 4] =
        [(86_400_000_000, "days"), (3_600_000_000, "h"), (60_000_000, "min"), (1_000_000, "s")];
    let mut units = UNITS.iter().filter(|(unit, _)| span.0 % unit == 0 && span.0 >= *unit);
    let days_are_longer = |unit: i64| unit < UNITS[0].0 || span.0 >= 7 * unit;
    match units.find(|(unit, _)| days_are_longer(*unit)) {
        Some((unit, name)) => format!("{} {name}", span.0 / unit),
        None => format!("{} µs", span.0),
    }
}
