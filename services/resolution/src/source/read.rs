//! Reading: what a stored delivery means. Pure: the same bytes and settings always mean the same.

use super::Source;
use super::encoding::by_digest;
use super::operand::{Operands, Scope, elements_text};
use super::platform::{Reading, Rule, RuleOutcome, Rules, Via, When};
use super::value::{Settings, scalar};
use super::verify::valid_id;
use crate::event::ValueEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use verdict_domain::fact::ResolutionKind;
use verdict_domain::time::Timestamp;

/// The longest id of a fact.
const MOST_ID_CHARS: usize = 255;
/// The longest name of a case, a customer or an episode.
const MOST_NAME_CHARS: usize = 128;
/// What is kept of the platform's words.
const MOST_REASON_CHARS: usize = 512;
/// What is kept of one piece of evidence, as JSON.
const MOST_EVIDENCE_BYTES: usize = 2048;

/// A delivery as it is stored, or what a platform answered.
pub struct Stored<'a> {
    /// How it was learned.
    pub via: Via,
    /// The id that it is stored under.
    pub id: &'a str,
    /// The headers that were kept; the case of their names does not matter.
    pub headers: &'a BTreeMap<String, String>,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// When it was received.
    pub received_at: Timestamp,
    /// Of a fetch: what made us ask.
    pub origin: Option<&'a Origin>,
}

/// What a delivery, or one element of a batch, means.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place in the batch; 0 where there is none.
    pub index: usize,
    /// The rule that matched: its name, or its place as `rules[2]`.
    pub rule: Option<String>,
    /// What it means.
    pub outcome: Outcome,
}

/// What an event means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// No rule matches: acknowledged and dropped.
    None,
    /// Known, and means nothing.
    Ignore,
    /// A person must look at it.
    Quarantine(Quarantine),
    /// The platform must be asked for more.
    Fetch(Origin),
    /// A fact of a case.
    Fact(Draft),
}

/// Why a person must look at an event, and whose it is as far as that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantine {
    /// Why, and which operand.
    pub reason: String,
    /// Which case.
    pub case: Option<String>,
    /// Whose case.
    pub customer: Option<String>,
}

/// A fact, as far as the delivery tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What is said.
    pub kind: ResolutionKind,
    /// The source, a colon, and the id given there; at most 255 characters.
    pub fact_id: String,
    /// Which case.
    pub case: String,
    /// Whose case.
    pub customer: String,
    /// When it occurred there.
    pub occurred_at: Timestamp,
    /// The platform's words.
    pub reason: Option<String>,
    /// A score that the person gave.
    pub score: Option<i64>,
    /// What the outcome is worth, of a fact that speaks for one: as it was sent.
    pub value: Option<ValueEvent>,
    /// The episode that is meant.
    pub episode: Option<String>,
    /// What the mapping records with it.
    pub evidence: Map<String, Value>,
}

/// An event that the platform must be asked about: what is known of it. It can be stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The event.
    pub event: Value,
    /// The id of the fact, if one comes of it.
    pub fact_id: String,
    /// The id of the delivery or the element.
    pub delivery_id: String,
    /// Which case.
    #[serde(default)]
    pub case: Option<String>,
    /// Whose case.
    #[serde(default)]
    pub customer: Option<String>,
    /// When it occurred.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// The platform's words.
    #[serde(default)]
    pub reason: Option<String>,
    /// A score that the person gave.
    #[serde(default)]
    pub score: Option<i64>,
    /// What the outcome is worth, as it was sent.
    #[serde(default)]
    pub value: Option<ValueEvent>,
    /// The episode that is meant.
    #[serde(default)]
    pub episode: Option<String>,
    /// What the mapping records.
    #[serde(default)]
    pub evidence: Map<String, Value>,
}

/// Looks a header up; the case of names does not matter.
pub(crate) fn header_of<'a>(headers: &'a BTreeMap<String, String>) -> impl Fn(&str) -> Option<String> + 'a {
    |name| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
}

/// The values that the operands give at one rule.
struct Found {
    case: Option<String>,
    customer: Option<String>,
    occurred_at: Option<Timestamp>,
    delivery_id: Option<String>,
    fact_id: Option<String>,
    reason: Option<String>,
    score: Option<i64>,
    /// What the outcome is worth; an error where its currency is not there.
    value: Option<Result<ValueEvent, ()>>,
    episode: Option<String>,
    evidence: Map<String, Value>,
}

impl Source {
    /// What a delivery means: one event, or one for each element of a batch.
    pub fn read(&self, stored: &Stored) -> Vec<Event> {
        let one = |outcome| vec![Event { index: 0, rule: None, outcome }];
        let quarantine = |reason: &str| {
            let origin = stored.origin;
            let case = origin.and_then(|origin| origin.case.clone());
            let customer = origin.and_then(|origin| origin.customer.clone());
            one(Outcome::Quarantine(Quarantine { reason: reason.into(), case, customer }))
        };
        let Some(rules) = self.platform_rules().rules_for(stored.via) else {
            return quarantine("the platform has no rules for what is fetched or polled any more");
        };
        if rules.rules.is_empty() || stored.body.trim_ascii().is_empty() {
            return one(Outcome::None);
        }
        if stored.via == Via::Fetch && stored.origin.is_none() {
            return quarantine("what made us fetch is not known any more");
        }
        // serde_json stops at a depth of 128: a body of brackets cannot overflow the stack.
        let body: Value = match serde_json::from_slice(stored.body) {
            Ok(body) => body,
            Err(error) => return quarantine(&format!("the body is not JSON: {error}")),
        };
        let header = header_of(stored.headers);
        // The same once more, with each number as it was written.
        let whole: Option<&RawValue> = serde_json::from_slice(stored.body).ok();
        let texts = match (&self.platform_rules().each, whole) {
            (Some(each), Some(whole)) if stored.via == Via::Webhook => {
                each.0.find_text(whole).into_iter().flat_map(elements_text).collect()
            }
            _ => Vec::from_iter(whole),
        };
        let event = |index: usize, element: &Value| {
            let scope = Scope {
                body: element,
                text: texts.get(index).copied(),
                envelope: &body,
                event: stored.origin.map(|origin| &origin.event),
                header: &header,
                settings: self.settings(),
                received: stored.received_at,
                raw: stored.body,
            };
            self.read_one(stored, rules, &scope, index)
        };
        match &self.platform_rules().each {
            Some(each) if stored.via == Via::Webhook => match each.0.find(&body).as_slice() {
                [] => one(Outcome::None),
                [Value::Array(elements)] => {
                    elements.iter().enumerate().map(|(index, element)| event(index, element)).collect()
                }
                _ => quarantine("what `each` points to is not an array"),
            },
            _ => vec![event(0, &body)],
        }
    }

    fn read_one(&self, stored: &Stored, set: Rules, scope: &Scope, index: usize) -> Event {
        let holds = |rule: &Rule| rule.when.iter().all(|condition| condition.holds(scope));
        let Some((place, rule)) = set.rules.iter().enumerate().find(|(_, rule)| holds(rule)) else {
            return Event { index, rule: None, outcome: Outcome::None };
        };
        let name = rule.name.clone().unwrap_or_else(|| format!("rules[{place}]"));
        let outcome = match rule.outcome {
            RuleOutcome::Ignore => Outcome::Ignore,
            outcome => self.outcome(stored, rule, rule.reading(set.reading), scope, index, outcome),
        };
        Event { index, rule: Some(name), outcome }
    }

    fn outcome(
        &self,
        stored: &Stored,
        rule: &Rule,
        reading: Reading,
        scope: &Scope,
        index: usize,
        outcome: RuleOutcome,
    ) -> Outcome {
        let found = self.found(stored, reading, scope, index);
        let quarantine = |reason: String| {
            let (case, customer) = (found.case.clone(), found.customer.clone());
            Outcome::Quarantine(Quarantine { reason, case, customer })
        };
        let absent = |what: &str, operands: String| {
            let at = if operands.is_empty() { "no operand is given" } else { operands.as_str() };
            quarantine(format!("the event has no {what} that can be used ({at})"))
        };
        let written = |operands: Option<&Operands>| operands.map(ToString::to_string).unwrap_or_default();
        let speaks_for_a_win = matches!(outcome, RuleOutcome::Confirmed | RuleOutcome::Assumed);
        let value = match found.value.clone() {
            _ if !speaks_for_a_win && outcome != RuleOutcome::Fetch => None,
            Some(Err(())) => return absent("currency of its value", written(reading.value_currency)),
            Some(Ok(value)) => Some(value),
            None => None,
        };
        let Some(kind) = outcome.kind() else {
            if outcome == RuleOutcome::Quarantine {
                let why = rule.reason.as_ref().and_then(|reason| reason.text(scope));
                return quarantine(why.unwrap_or_else(|| "the platform's rules ask for a person".into()));
            }
            let (Some(fact_id), Some(delivery_id)) = (found.fact_id.clone(), found.delivery_id.clone())
            else {
                return absent("id", self.id_operands(reading));
            };
            return Outcome::Fetch(Origin {
                event: scope.body.clone(),
                fact_id,
                delivery_id,
                case: found.case,
                customer: found.customer,
                occurred_at: found.occurred_at,
                reason: found.reason,
                score: found.score,
                value,
                episode: found.episode,
                evidence: found.evidence,
            });
        };
        let Some(fact_id) = found.fact_id.clone() else { return absent("id", self.id_operands(reading)) };
        let Some(case) = found.case.clone() else { return absent("case", written(reading.case_id)) };
        let Some(customer) = found.customer.clone() else {
            return absent("customer", written(reading.customer));
        };
        let Some(occurred_at) = found.occurred_at else {
            let at = reading.occurred_at.map(|when| when.at.to_string()).unwrap_or_default();
            return absent("time between 2000 and 2100", at);
        };
        if kind == ResolutionKind::Rated && found.score.is_none() {
            return absent("whole number as score", written(reading.score));
        }
        let Found { reason, score, episode, evidence, .. } = found;
        Outcome::Fact(Draft {
            kind,
            fact_id,
            case,
            customer,
            occurred_at,
            reason,
            score,
            value,
            episode,
            evidence,
        })
    }

    /// Evaluates the operands. What a fetch does not say is known from the event that made us ask.
    fn found(&self, stored: &Stored, reading: Reading, scope: &Scope, index: usize) -> Found {
        let text = |operands: Option<&Operands>| operands.and_then(|operands| operands.text(scope));
        let name = |operands| text(operands).filter(|text| is_name(text));
        let origin = stored.origin.filter(|_| stored.via == Via::Fetch);
        let known = |of: fn(&Origin) -> &Option<String>| origin.and_then(|origin| of(origin).clone());
        let customer = text(reading.customer).map(|customer| self.alias(customer));
        let own_id = text(reading.fact_id).map(|id| self.fact_id(&id));
        let delivery_id = match (stored.via, origin) {
            (Via::Webhook, _) => self.id_of_element(scope, stored.id, index),
            (_, Some(origin)) => Some(origin.delivery_id.clone()),
            (_, None) => Some(stored.id.to_string()),
        };
        let fact_id = own_id.or_else(|| match origin {
            Some(origin) => Some(origin.fact_id.clone()),
            None => delivery_id.as_deref().map(|id| self.fact_id(id)),
        });
        let mut evidence = origin.map(|origin| origin.evidence.clone()).unwrap_or_default();
        for operand in reading.evidence {
            if let Some(value) = shown(operand.values(scope)) {
                evidence.insert(operand.to_string(), value);
            }
        }
        Found {
            case: name(reading.case_id).or_else(|| known(|origin| &origin.case)),
            customer: customer
                .filter(|customer| is_name(customer))
                .or_else(|| known(|origin| &origin.customer)),
            occurred_at: reading
                .occurred_at
                .and_then(|when| moment(when, scope))
                .or_else(|| origin.and_then(|origin| origin.occurred_at)),
            delivery_id,
            fact_id,
            reason: text(reading.reason)
                .map(|reason| plain(&reason))
                .or_else(|| known(|origin| &origin.reason)),
            score: text(reading.score)
                .and_then(|score| whole(&score))
                .or_else(|| origin.and_then(|origin| origin.score)),
            value: match reading.value.and_then(|operands| operands.digits(scope)) {
                Some(amount) => Some(
                    text(reading.value_currency).map(|currency| ValueEvent { amount, currency }).ok_or(()),
                ),
                None => origin.and_then(|origin| origin.value.clone()).map(Ok),
            },
            episode: name(reading.episode).or_else(|| known(|origin| &origin.episode)),
            evidence,
        }
    }

    /// The id of what is read: the sender's, or where it has none the delivery's (with the place in a batch).
    fn id_of_element(&self, scope: &Scope, stored_id: &str, index: usize) -> Option<String> {
        let platform = self.platform_rules();
        let batch = platform.each.is_some();
        if platform.delivery_id.is_empty() {
            return Some(if batch { format!("{stored_id}:{index}") } else { stored_id.to_string() });
        }
        let id = body_id(platform.delivery_id.iter().find_map(|operand| operand.text(scope))?);
        let of_whole = platform.delivery_id.iter().all(|operand| operand.is_of_headers());
        Some(if batch && of_whole { format!("{id}:{index}") } else { id })
    }

    fn id_operands(&self, reading: Reading) -> String {
        let ids = Operands(self.platform_rules().delivery_id.clone());
        reading.fact_id.map(|own| format!("{own}, ")).unwrap_or_default() + &ids.to_string()
    }

    /// The id of a fact: unique, of limited length, and it tells the source.
    fn fact_id(&self, id: &str) -> String {
        let whole = format!("{}:{id}", self.name());
        if whole.chars().count() <= MOST_ID_CHARS && !id.chars().any(char::is_control) {
            return whole;
        }
        format!("{}:{}", self.name(), by_digest(id.as_bytes()))
    }
}

/// An id from a body, as the id of a delivery: one that is too long is known by its digest.
pub(crate) fn body_id(id: String) -> String {
    let digest = by_digest(id.as_bytes());
    valid_id(id).unwrap_or(digest)
}

/// Whether a text can name a case or a customer.
fn is_name(text: &str) -> bool {
    (1..=MOST_NAME_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// The first time that can be read.
fn moment(when: &When, scope: &Scope) -> Option<Timestamp> {
    use super::operand::Part;
    let mut operands = when.at.0.iter();
    operands.find_map(|operand| match operand.parts() {
        [Part::Received] => Some(scope.received),
        _ => when.format.read(&operand.text(scope)?),
    })
}

/// A whole number, also where it is written as `4.0`.
fn whole(text: &str) -> Option<i64> {
    let (whole, fraction) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    fraction.bytes().all(|digit| digit == b'0').then(|| whole.parse().ok()).flatten()
}

/// A platform's words, without control characters and not too long.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_REASON_CHARS).collect()
}

/// A piece of evidence: the value, or all values where `*` finds several. What is large is cut to its beginning.
fn shown(values: Vec<std::borrow::Cow<Value>>) -> Option<Value> {
    let mut values: Vec<Value> = values.into_iter().map(std::borrow::Cow::into_owned).collect();
    let value = if values.len() > 1 { Value::Array(values) } else { values.pop()? };
    if let Value::String(text) = &value {
        return Some(Value::String(plain(text)));
    }
    let text = value.to_string();
    // A NUL, even escaped, is refused by databases.
    if text.len() <= MOST_EVIDENCE_BYTES && !text.contains("\\u0000") {
        return Some(value);
    }
    Some(Value::String(plain(&text.replace("\\u0000", ""))))
}

/// The value of a challenge: short and printable, or there is none.
pub(crate) fn challenge_value(operands: &Operands, scope: &Scope) -> Option<String> {
    let value = operands.text(scope)?;
    ((1..=256).contains(&value.chars().count()) && !value.chars().any(char::is_control)).then_some(value)
}

/// The texts of a setting's values.
pub(crate) fn setting_text(settings: &Settings, name: &str) -> Option<String> {
    let value = settings.get(name)?.values().first()?;
    scalar(value).filter(|text| !text.is_empty()).map(std::borrow::Cow::into_owned)
}
