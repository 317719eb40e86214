//! Conditions: what a rule asks of a delivery.

use super::operand::{Operand, Scope};
use super::value::{Literal, Settings, compared, same, scalar};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;
use std::cmp::Ordering;
use std::fmt;

/// What a rule asks: an operand and one test of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Condition {
    at: Operand,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists(bool),
    /// Is one of these.
    In(Vec<Value>),
    /// Is none of these.
    NotIn(Vec<Value>),
    /// Compares so with this; the orderings that satisfy it.
    Size(&'static [Ordering], Value),
    StartsWith(String),
    Contains(Value),
    HasWord(Value),
}

/// A condition as it is written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    at: Option<Operand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eq: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ne: Option<Literal>,
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    one_of: Option<Literals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_in: Option<Literals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lt: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    le: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gt: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ge: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exists: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contains: Option<Literal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_word: Option<Literal>,
}

const LESS: &[Ordering] = &[Ordering::Less];
const LESS_OR_EQUAL: &[Ordering] = &[Ordering::Less, Ordering::Equal];
const GREATER: &[Ordering] = &[Ordering::Greater];
const GREATER_OR_EQUAL: &[Ordering] = &[Ordering::Greater, Ordering::Equal];

impl TryFrom<Written> for Condition {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let one = |value: Literal| vec![value.0];
        let size = |value: Option<Literal>, orderings| value.map(|value| Test::Size(orderings, value.0));
        let tests = [
            written.eq.map(|value| Test::In(one(value))),
            written.ne.map(|value| Test::NotIn(one(value))),
            written.one_of.map(|values| Test::In(values.0)),
            written.not_in.map(|values| Test::NotIn(values.0)),
            size(written.lt, LESS),
            size(written.le, LESS_OR_EQUAL),
            size(written.gt, GREATER),
            size(written.ge, GREATER_OR_EQUAL),
            written.exists.map(Test::Exists),
            written.starts_with.map(Test::StartsWith),
            written.contains.map(|value| Test::Contains(value.0)),
            written.has_word.map(|value| Test::HasWord(value.0)),
        ];
        let mut tests = tests.into_iter().flatten();
        let at = written.at.ok_or("`at` is missing: the operand to look at, such as \"body:/type\"")?;
        match (tests.next(), tests.next()) {
            (Some(test), None) => Ok(Self { at, test }),
            _ => {
                Err("give exactly one of eq, ne, in, not_in, lt, le, gt, ge, exists, starts_with, contains, \
                      has_word"
                    .into())
            }
        }
    }
}

impl From<Condition> for Written {
    fn from(condition: Condition) -> Self {
        let mut written = Self { at: Some(condition.at), ..Self::default() };
        match condition.test {
            Test::Exists(exists) => written.exists = Some(exists),
            Test::In(values) => written.one_of = Some(Literals(values)),
            Test::NotIn(values) => written.not_in = Some(Literals(values)),
            Test::Size(LESS, value) => written.lt = Some(Literal(value)),
            Test::Size(LESS_OR_EQUAL, value) => written.le = Some(Literal(value)),
            Test::Size(GREATER, value) => written.gt = Some(Literal(value)),
            Test::Size(_, value) => written.ge = Some(Literal(value)),
            Test::StartsWith(text) => written.starts_with = Some(text),
            Test::Contains(value) => written.contains = Some(Literal(value)),
            Test::HasWord(value) => written.has_word = Some(Literal(value)),
        }
        written
    }
}

impl Condition {
    /// The operand that it looks at.
    pub(crate) fn at(&self) -> &Operand {
        &self.at
    }

    /// The settings that it compares with.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        let values: &[Value] = match &self.test {
            Test::In(values) | Test::NotIn(values) => values,
            Test::Size(_, value) | Test::Contains(value) | Test::HasWord(value) => {
                std::slice::from_ref(value)
            }
            Test::Exists(_) | Test::StartsWith(_) => &[],
        };
        values.iter().filter_map(named_setting)
    }

    /// Whether it holds. What is absent satisfies `exists = false` and nothing else; so does what is compared with a
    /// setting that is not set. Where `*` finds several, one must satisfy the test, but all must satisfy `ne` and
    /// `not_in`.
    pub(crate) fn holds(&self, scope: &Scope) -> bool {
        let found = self.at.values(scope);
        let any = |test: &dyn Fn(&Value) -> bool| found.iter().any(|value| test(value));
        let settings = scope.settings;
        match &self.test {
            Test::Exists(exists) => found.is_empty() != *exists,
            Test::In(values) => meant(values, settings)
                .is_some_and(|values| any(&|found| values.iter().any(|value| same(found, value)))),
            Test::NotIn(values) => meant(values, settings).is_some_and(|values| {
                let scalars: Vec<&Value> =
                    found.iter().map(AsRef::as_ref).filter(|value| scalar(value).is_some()).collect();
                let is_in = |found: &&Value| values.iter().any(|value| same(found, value));
                !scalars.is_empty() && !scalars.iter().any(is_in)
            }),
            Test::Size(orderings, value) => one_of(value, settings, &|value| {
                any(&|found| compared(found, value).is_some_and(|ordering| orderings.contains(&ordering)))
            }),
            Test::StartsWith(prefix) => {
                any(&|found| scalar(found).is_some_and(|text| text.starts_with(prefix)))
            }
            Test::Contains(value) => one_of(value, settings, &|value| any(&|found| contains(found, value))),
            Test::HasWord(value) => one_of(value, settings, &|value| any(&|found| has_word(found, value))),
        }
    }
}

/// Whether the test holds for one of the values that are meant.
fn one_of(value: &Value, settings: &Settings, test: &dyn Fn(&Value) -> bool) -> bool {
    meant(std::slice::from_ref(value), settings).is_some_and(|values| values.into_iter().any(test))
}

/// The values that are meant: `setting:name` stands for that setting's. `None` if one is not set.
fn meant<'a>(values: &'a [Value], settings: &'a Settings) -> Option<Vec<&'a Value>> {
    let mut meant = Vec::new();
    for value in values {
        match named_setting(value) {
            Some(name) => meant.extend(settings.get(name)?.values()),
            None => meant.push(value),
        }
    }
    Some(meant)
}

fn named_setting(value: &Value) -> Option<&str> {
    value.as_str()?.strip_prefix("setting:")
}

/// A text has this within; an array has it as an element.
fn contains(found: &Value, value: &Value) -> bool {
    match found {
        Value::Array(elements) => elements.iter().any(|element| same(element, value)),
        found => match (scalar(found), scalar(value)) {
            (Some(found), Some(value)) => found.contains(value.as_ref()),
            _ => false,
        },
    }
}

/// A text has this as one of its words (separated by spaces or commas); an array has it as an element.
fn has_word(found: &Value, value: &Value) -> bool {
    match (found, scalar(value)) {
        (Value::Array(_), _) => contains(found, value),
        (Value::String(text), Some(value)) => {
            text.split(|c: char| c.is_whitespace() || c == ',').any(|word| word == value)
        }
        _ => false,
    }
}

/// Scalars: an array of them, or one `setting:name` that is an array.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
struct Literals(Vec<Value>);

impl<'de> Deserialize<'de> for Literals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Several;
        impl<'de> de::Visitor<'de> for Several {
            type Value = Literals;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array of texts and numbers, or \"setting:name\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Literals, E> {
                let value = Value::String(text.into());
                if named_setting(&value).is_none() {
                    return Err(E::invalid_type(de::Unexpected::Str(text), &self));
                }
                Ok(Literals(vec![value]))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Literals, A::Error> {
                let mut values = Vec::new();
                while let Some(Literal(value)) = seq.next_element()? {
                    values.push(value);
                }
                Ok(Literals(values))
            }
        }
        deserializer.deserialize_any(Several)
    }
}
