//! Operands: the places of a delivery that rules look at.

use super::encoding::sha256_hex;
use super::value::{Settings, scalar};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use verdict_domain::time::Timestamp;

/// The forms of an operand, for messages.
const FORMS: &str = "write body:/pointer, header:name, const:text, setting:name, event:/pointer, \
                     envelope:/pointer, received: or digest:";

/// A place of a delivery: `body:/data/id`, `header:name`, `const:text`, `setting:name`, `received:`, `digest:`; or
/// several, joined with `+`, whose texts are joined with `:`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Operand {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// In a JSON document.
    In(Document, Pointer),
    /// A header of the delivery, in lower case.
    Header(String),
    /// This very text.
    Const(String),
    /// A setting of the source.
    Setting(String),
    /// When the delivery was received.
    Received,
    /// The SHA-256 of the body.
    Digest,
}

/// Which JSON document a pointer points into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    /// What is read: the body, an element of a batch, the fetched document, an item of a poll.
    Body,
    /// The whole body that an element of a batch is from.
    Envelope,
    /// What made us fetch.
    Event,
}

/// A JSON pointer (RFC 6901). `*` stands for every element of an array and every member of an object, `~2` for `+`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Any,
    To(String),
}

/// All that operands may look at.
pub(crate) struct Scope<'a> {
    pub body: &'a Value,
    /// The body (or the element) as it stands in what was sent: there a number has all its digits.
    pub text: Option<&'a RawValue>,
    pub envelope: &'a Value,
    pub event: Option<&'a Value>,
    pub header: &'a dyn Fn(&str) -> Option<String>,
    pub settings: &'a Settings,
    pub received: Timestamp,
    pub raw: &'a [u8],
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if !text.is_empty() && !text.starts_with('/') {
            return Err(format!("`{text}` is no JSON pointer: it begins with `/`"));
        }
        let steps = text.split('/').skip(1).map(|step| match step {
            "*" => Ok(Step::Any),
            step => unescaped(step).map(Step::To),
        });
        Ok(Self { steps: steps.collect::<Result<_, _>>()?, text })
    }
}

/// `~0` is `~`, `~1` is `/` and, since a plain one joins operands, `~2` is `+`.
fn unescaped(step: &str) -> Result<String, String> {
    let mut plain = String::new();
    let mut rest = step.chars();
    while let Some(next) = rest.next() {
        plain.push(match next {
            '~' => match rest.next() {
                Some('0') => '~',
                Some('1') => '/',
                Some('2') => '+',
                _ => return Err(format!("`{step}`: after `~` comes 0 (for ~), 1 (for /) or 2 (for +)")),
            },
            other => other,
        });
    }
    Ok(plain)
}

impl Pointer {
    /// What it points to; `null` is nothing.
    pub(crate) fn find<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut here = vec![document];
        for step in &self.steps {
            here = here.into_iter().flat_map(|value| stepped(value, step)).collect();
        }
        here.retain(|value| !value.is_null());
        here
    }

    /// The same in a document as it stands; `null` is there too.
    pub(crate) fn find_text<'a>(&self, document: &'a RawValue) -> Vec<&'a RawValue> {
        let mut here = vec![document];
        for step in &self.steps {
            here = here.into_iter().flat_map(|value| stepped_text(value, step)).collect();
        }
        here
    }
}

/// The elements of an array as they stand; none of anything else.
pub(crate) fn elements_text(array: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(array.get()).unwrap_or_default()
}

fn stepped_text<'a>(value: &'a RawValue, step: &Step) -> Vec<&'a RawValue> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(value.get()).unwrap_or_default();
    match step {
        Step::Any => elements_text(value).into_iter().chain(members.into_values()).collect(),
        Step::To(place) => {
            let element = nth(place).and_then(|place| elements_text(value).get(place).copied());
            element.or_else(|| members.get(place).copied()).into_iter().collect()
        }
    }
}

/// The place in an array that a step names.
fn nth(place: &str) -> Option<usize> {
    let plain = place == "0" || !place.starts_with(['0', '+']);
    place.parse().ok().filter(|_| plain)
}

fn stepped<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match (value, step) {
        (Value::Array(elements), Step::Any) => elements.iter().collect(),
        (Value::Object(members), Step::Any) => members.values().collect(),
        (Value::Array(elements), Step::To(place)) => {
            nth(place).and_then(|place| elements.get(place)).into_iter().collect()
        }
        (Value::Object(members), Step::To(name)) => members.get(name).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl TryFrom<String> for Operand {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        for part in text.split('+') {
            parts.push(read_part(part, parts.last()).map_err(|problem| format!("`{text}`: {problem}"))?);
        }
        Ok(Self { text, parts })
    }
}

/// Reads a part. A later one without a prefix is a member of the document that the part before it is in.
fn read_part(text: &str, before: Option<&Part>) -> Result<Part, String> {
    let pointer = |text: &str| Pointer::try_from(text.to_string());
    let name = |text: &str| match text {
        "" => Err("a name is missing after the colon".to_string()),
        text => Ok(text.to_string()),
    };
    let (kind, rest) = match (text.split_once(':'), before) {
        (Some(split), _) => split,
        (None, Some(before)) if !text.is_empty() => {
            let document = if let Part::In(document, _) = before { *document } else { Document::Body };
            let path = if text.starts_with('/') { text.to_string() } else { format!("/{text}") };
            return Ok(Part::In(document, pointer(&path)?));
        }
        (None, _) => return Err(format!("is no operand; {FORMS}")),
    };
    Ok(match kind {
        "body" => Part::In(Document::Body, pointer(rest)?),
        "event" => Part::In(Document::Event, pointer(rest)?),
        "envelope" => Part::In(Document::Envelope, pointer(rest)?),
        "header" => Part::Header(name(rest)?.to_ascii_lowercase()),
        "const" => Part::Const(rest.replace("~2", "+")),
        "setting" => Part::Setting(name(rest)?),
        "received" if rest.is_empty() => Part::Received,
        "digest" if rest.is_empty() => Part::Digest,
        _ => return Err(format!("is no operand; {FORMS}")),
    })
}

impl Operand {
    /// Its parts.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether it can be evaluated without reading the body, from what the sender's headers say.
    pub(crate) fn is_of_headers(&self) -> bool {
        let header = |part: &Part| matches!(part, Part::Header(_));
        let body = |part: &Part| matches!(part, Part::In(..) | Part::Digest);
        self.parts.iter().any(header) && !self.parts.iter().any(body)
    }

    /// Whether it looks into a JSON document.
    pub(crate) fn is_of_json(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::In(..)))
    }

    /// Everything at that place, `null` left out. Several parts make one text, or nothing if one of them is absent.
    pub(crate) fn values<'a>(&self, scope: &Scope<'a>) -> Vec<Cow<'a, Value>> {
        if let [part] = self.parts.as_slice() {
            return part.values(scope);
        }
        let texts = self.parts.iter().map(|part| first_text(part.values(scope)));
        let texts: Option<Vec<String>> = texts.collect();
        texts.map(|texts| Cow::Owned(Value::String(texts.join(":")))).into_iter().collect()
    }

    /// The first number or text there that is not empty: a number of the body with the digits that it was sent with,
    /// one of another document only if it is whole.
    pub(crate) fn digits(&self, scope: &Scope) -> Option<String> {
        let [Part::In(document, pointer)] = self.parts.as_slice() else { return self.text(scope) };
        if *document == Document::Body {
            let found = scope.text.map(|text| pointer.find_text(text)).unwrap_or_default();
            return found.into_iter().find_map(|value| match value.get().as_bytes().first()? {
                b'"' => serde_json::from_str(value.get()).ok().filter(|text: &String| !text.is_empty()),
                b'-' | b'0'..=b'9' => Some(value.get().to_string()),
                _ => None,
            });
        }
        let exact = |value: &Cow<Value>| value.is_string() || value.is_i64() || value.is_u64();
        first_text(self.values(scope).into_iter().filter(exact).collect())
    }

    /// The first scalar there that is not empty, as text.
    pub(crate) fn text(&self, scope: &Scope) -> Option<String> {
        first_text(self.values(scope))
    }
}

fn first_text(values: Vec<Cow<Value>>) -> Option<String> {
    values.iter().find_map(|value| scalar(value).filter(|text| !text.is_empty())).map(Cow::into_owned)
}

impl Part {
    fn values<'a>(&self, scope: &Scope<'a>) -> Vec<Cow<'a, Value>> {
        let text = |text: String| vec![Cow::Owned(Value::String(text))];
        match self {
            Self::In(document, pointer) => {
                let document = match document {
                    Document::Body => Some(scope.body),
                    Document::Envelope => Some(scope.envelope),
                    Document::Event => scope.event,
                };
                let found = document.map(|document| pointer.find(document)).unwrap_or_default();
                found.into_iter().map(Cow::Borrowed).collect()
            }
            Self::Header(name) => (scope.header)(name).map(text).unwrap_or_default(),
            Self::Const(value) => text(value.clone()),
            Self::Setting(name) => match scope.settings.get(name).map(|value| &value.0) {
                Some(Value::Array(values)) => values.iter().map(Cow::Borrowed).collect(),
                Some(value) => vec![Cow::Borrowed(value)],
                None => Vec::new(),
            },
            Self::Received => text(scope.received.to_string()),
            Self::Digest => text(sha256_hex(scope.raw)),
        }
    }
}

/// One or several operands; the first that is present counts. Written as a text or as an array of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operands(pub Vec<Operand>);

impl Operands {
    /// The number or text of the first that is present, with all its digits.
    pub(crate) fn digits(&self, scope: &Scope) -> Option<String> {
        self.0.iter().find_map(|operand| operand.digits(scope))
    }

    /// The text of the first that is present.
    pub(crate) fn text(&self, scope: &Scope) -> Option<String> {
        self.0.iter().find_map(|operand| operand.text(scope))
    }
}

impl fmt::Display for Operands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<&str> = self.0.iter().map(|operand| operand.text.as_str()).collect();
        f.write_str(&texts.join(", "))
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Operand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Serialize for Operands {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Operands {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;
        impl<'de> de::Visitor<'de> for OneOrMore {
            type Value = Operands;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an operand such as \"body:/id\", or an array of them")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Operands, E> {
                Operand::try_from(text.to_string()).map(|operand| Operands(vec![operand])).map_err(E::custom)
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Operands, A::Error> {
                let mut operands = Vec::new();
                while let Some(operand) = seq.next_element()? {
                    operands.push(operand);
                }
                Ok(Operands(operands))
            }
        }
        deserializer.deserialize_any(OneOrMore)
    }
}
