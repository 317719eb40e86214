//! Spans of OpenTelemetry (OTLP over HTTP, in protobuf and JSON) and the attempts that they tell of.
//!
//! What is not needed is dropped while it is read: only attributes that [`names`] lists are kept of a span, so that
//! neither an attempt nor what is parked ever holds a prompt or an answer.

use crate::names::{self, About, Kind};
use crate::telemetry::{self, Call, Counts};
use crate::wire::{AmountEvent, AttemptEvent, Event};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use verdict_domain::time::Timestamp;

/// The messages of OTLP that are read, as `proto/verdict/v1/otlp.proto` declares them.
pub mod otlp {
    #![allow(missing_docs)]
    include!(concat!(env!("OUT_DIR"), "/verdict.otlp.v1.rs"));
}

/// What a span that could not be used is parked as: the span as far as it is kept, as JSON.
pub const SPAN: &str = "application/vnd.verdict.span+json";

/// The attributes that are kept, by name.
type Attributes = BTreeMap<String, String>;

/// What is kept of a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// In hex, as is the next.
    trace_id: String,
    span_id: String,
    start_time_unix_nano: u64,
    end_time_unix_nano: u64,
    is_error: bool,
    attributes: Attributes,
    resource: Attributes,
}

/// The spans of one export that tell of attempts.
pub struct Export<'a> {
    /// What they tell, one event for each attempt.
    pub events: Vec<Event<'a>>,
    /// Spans that tell of an attempt that another span here tells of better.
    pub repeated: usize,
    /// Spans that are about something else.
    pub ignored: usize,
}

/// Reads an export. The error says what is wrong with the body as a whole.
pub fn decode_export(content_type: &str, body: &[u8]) -> Result<Export<'static>, String> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let spans = match kind.as_str() {
        crate::PROTOBUF => from_protobuf(body)?,
        crate::JSON => from_json(body)?,
        _ => {
            return Err(format!(
                "content type `{content_type}` is not {} or {}",
                crate::PROTOBUF,
                crate::JSON
            ));
        }
    };
    let all = spans.len();
    let spans: Vec<Span> = spans.into_iter().filter(Span::tells_of_an_attempt).collect();
    let mut export = Export { events: Vec::new(), repeated: 0, ignored: all - spans.len() };
    let mut best: HashMap<(String, String), (usize, Rank)> = HashMap::new();
    for span in spans {
        let event = span.event();
        if let Ok(attempt) = &event.read {
            let key = (attempt.customer.clone(), attempt.id.clone());
            let (rank, next) = (span.rank(), export.events.len());
            let (at, held) = best.entry(key).or_insert_with(|| (next, rank.clone()));
            if *at != next {
                export.repeated += 1;
                if rank > *held {
                    *held = rank;
                    export.events[*at] = event;
                }
                continue;
            }
        }
        export.events.push(event);
    }
    Ok(export)
}

/// Reads a span that was parked.
pub(crate) fn parked(body: &[u8]) -> Event<'_> {
    match serde_json::from_slice::<Span>(body) {
        Ok(span) => span.event(),
        Err(error) => Event { raw: Cow::Borrowed(body), read: Err(format!("not a span: {error}")) },
    }
}

/// Which of two spans of one response tells more: what it says of the attempt, how much it counted, and that it
/// began first (a wrapper began before what it wraps). The last makes it the same whatever the order.
type Rank = (bool, usize, Reverse<u64>, Reverse<String>);

impl Span {
    fn on_span(&self, about: About) -> Option<&String> {
        names::names(about).iter().find_map(|name| self.attributes.get(*name)).filter(|text| !text.is_empty())
    }

    /// By the name that counts first; under it, what the span says before what its resource says.
    fn get(&self, about: About) -> Option<String> {
        let named = |name: &&str| self.attributes.get(*name).or(self.resource.get(*name));
        names::names(about).iter().filter_map(named).find(|text| !text.is_empty()).cloned()
    }

    fn count(&self, about: About) -> Option<u64> {
        self.on_span(about).and_then(|text| text.parse().ok())
    }

    fn counts(&self) -> Counts {
        Counts {
            input: self.count(About::Input),
            cached_input: self.count(About::CachedInput),
            cache_write: self.count(About::CacheWrite),
            // No convention has a name for it yet.
            cache_write_1h: None,
            output: self.count(About::Output),
            reasoning: self.count(About::Reasoning),
        }
    }

    fn kind(&self) -> Kind {
        let known = self.on_span(About::Operation).and_then(|operation| names::kind(operation));
        let looks_like_a_call = || self.on_span(About::Model).is_some() && self.counts().is_counted();
        known.unwrap_or(if looks_like_a_call() { Kind::Call } else { Kind::Other })
    }

    /// A call does. An agent's work does if it says what became of it.
    fn tells_of_an_attempt(&self) -> bool {
        match self.kind() {
            Kind::Call => true,
            Kind::Work => self.on_span(About::Status).is_some(),
            Kind::Other => false,
        }
    }

    fn rank(&self) -> Rank {
        let counts = self.counts();
        let counted =
            [counts.input, counts.cached_input, counts.cache_write, counts.output, counts.reasoning];
        (
            self.on_span(About::Status).is_some(),
            counted.iter().flatten().count(),
            Reverse(self.start_time_unix_nano),
            Reverse(self.span_id.clone()),
        )
    }

    fn event(&self) -> Event<'static> {
        let raw = serde_json::to_vec(self).unwrap_or_default();
        Event { raw: Cow::Owned(raw), read: self.attempt() }
    }

    fn attempt(&self) -> Result<AttemptEvent, String> {
        let hex = |text: &str, digits: usize| {
            text.len() == digits
                && text.bytes().all(|b| b.is_ascii_hexdigit())
                && text.bytes().any(|b| b != b'0')
        };
        if !hex(&self.trace_id, 32) || !hex(&self.span_id, 16) {
            return Err(format!(
                "trace_id, span_id: `{}`, `{}` are not the ids of a span",
                self.trace_id, self.span_id
            ));
        }
        let time = |nanos: u64| i64::try_from(nanos / 1_000).map(Timestamp).unwrap_or(Timestamp(i64::MAX));
        let metadata = [("source", "otlp"), ("trace_id", &self.trace_id), ("span_id", &self.span_id)];
        let mut call = Call {
            own_id: format!("otel:{}:{}", self.trace_id, self.span_id),
            customer: self.get(About::Customer),
            case: self.get(About::Case),
            agent: self.get(About::Agent),
            action: self.get(About::Action).or_else(|| self.get(About::Operation)),
            started_at: time(self.start_time_unix_nano),
            ended_at: time(self.end_time_unix_nano),
            status: self.on_span(About::Status).cloned(),
            error: self.error(),
            metadata: metadata.map(|(name, value)| (name.to_string(), value.to_string())).into(),
            ..Call::default()
        };
        if self.kind() == Kind::Work {
            // Its calls have spans of their own, with their tokens: it says what became of them, and costs nothing more.
            call.provider = Some("none".into());
            call.model = Some("none".into());
            call.cost = Some(AmountEvent { amount: "0".into(), currency: "USD".into() });
        } else {
            call.provider = self.get(About::Provider);
            call.model = self.get(About::Model);
            call.service_tier = self.on_span(About::ServiceTier).cloned();
            call.response_id = self.on_span(About::ResponseId).cloned();
            call.usage = self.counts();
        }
        telemetry::event(call)
    }

    fn error(&self) -> Option<String> {
        // What the conventions write where the type is not known.
        let unknown = || self.is_error.then(|| "_OTHER".to_string());
        self.on_span(About::Error).cloned().or_else(unknown)
    }
}

fn from_protobuf(body: &[u8]) -> Result<Vec<Span>, String> {
    use otlp::any_value::Value;
    let request =
        otlp::ExportTraceServiceRequest::decode(body).map_err(|error| format!("not protobuf: {error}"))?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let kept = |attributes: Vec<otlp::KeyValue>| -> Attributes {
        let kept = attributes.into_iter().filter(|attribute| names::is_read(&attribute.key));
        let text = |value: Value| match value {
            Value::StringValue(text) => text,
            Value::BoolValue(value) => value.to_string(),
            Value::IntValue(value) => value.to_string(),
            Value::DoubleValue(value) => value.to_string(),
        };
        kept.filter_map(|attribute| Some((attribute.key, text(attribute.value?.value?)))).collect()
    };
    let mut spans = Vec::new();
    for group in request.resource_spans {
        let resource = kept(group.resource.unwrap_or_default().attributes);
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace_id: hex(&span.trace_id),
                span_id: hex(&span.span_id),
                start_time_unix_nano: span.start_time_unix_nano,
                end_time_unix_nano: span.end_time_unix_nano,
                is_error: span.status.is_some_and(|status| status.code == ERROR),
                attributes: kept(span.attributes),
                resource: resource.clone(),
            });
        }
    }
    Ok(spans)
}

/// The code of a span's status that says that it failed.
const ERROR: i32 = 2;

/// OTLP in JSON: ids in hex, 64-bit integers as text (numbers are taken too), unknown fields skipped.
mod json {
    use serde::{Deserialize, Deserializer};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Request {
        #[serde(default)]
        pub resource_spans: Vec<ResourceSpans>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct ResourceSpans {
        #[serde(default)]
        pub resource: Resource,
        #[serde(default)]
        pub scope_spans: Vec<ScopeSpans>,
    }

    #[derive(Default, Deserialize)]
    pub struct Resource {
        #[serde(default)]
        pub attributes: Vec<KeyValue>,
    }

    #[derive(Deserialize)]
    pub struct ScopeSpans {
        #[serde(default)]
        pub spans: Vec<Span>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Span {
        #[serde(default)]
        pub trace_id: String,
        #[serde(default)]
        pub span_id: String,
        #[serde(default, deserialize_with = "nanos")]
        pub start_time_unix_nano: u64,
        #[serde(default, deserialize_with = "nanos")]
        pub end_time_unix_nano: u64,
        #[serde(default)]
        pub attributes: Vec<KeyValue>,
        #[serde(default)]
        pub status: Status,
    }

    #[derive(Default, Deserialize)]
    pub struct Status {
        #[serde(default)]
        pub code: Code,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    pub enum Code {
        Number(i32),
        /// The protocol has numbers only, but protobuf's own JSON has names.
        Name(String),
    }

    impl Default for Code {
        fn default() -> Self {
            Self::Number(0)
        }
    }

    #[derive(Deserialize)]
    pub struct KeyValue {
        #[serde(default)]
        pub key: String,
        #[serde(default)]
        pub value: Value,
    }

    /// Of a value that is none of these (an array, a map), nothing is kept.
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub struct Value {
        pub string_value: Option<String>,
        pub bool_value: Option<bool>,
        pub int_value: Option<Number>,
        pub double_value: Option<Number>,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    pub enum Number {
        Whole(i64),
        Real(f64),
        Text(String),
    }

    impl Value {
        pub fn text(self) -> Option<String> {
            let number = |number| match number {
                Number::Whole(number) => number.to_string(),
                Number::Real(number) => number.to_string(),
                Number::Text(text) => text,
            };
            let other = self.bool_value.map(|value| value.to_string());
            self.string_value.or(self.int_value.or(self.double_value).map(number)).or(other)
        }
    }

    fn nanos<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Nanos {
            Number(u64),
            Text(String),
        }
        match Nanos::deserialize(deserializer)? {
            Nanos::Number(nanos) => Ok(nanos),
            Nanos::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

fn from_json(body: &[u8]) -> Result<Vec<Span>, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let request: json::Request =
        serde_path_to_error::deserialize(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    let kept = |attributes: Vec<json::KeyValue>| -> Attributes {
        let kept = attributes.into_iter().filter(|attribute| names::is_read(&attribute.key));
        kept.filter_map(|attribute| Some((attribute.key, attribute.value.text()?))).collect()
    };
    let mut spans = Vec::new();
    for group in request.resource_spans {
        let resource = kept(group.resource.attributes);
        for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace_id: span.trace_id.to_ascii_lowercase(),
                span_id: span.span_id.to_ascii_lowercase(),
                start_time_unix_nano: span.start_time_unix_nano,
                end_time_unix_nano: span.end_time_unix_nano,
                is_error: match span.status.code {
                    json::Code::Number(code) => code == ERROR,
                    json::Code::Name(name) => name == "STATUS_CODE_ERROR",
                },
                attributes: kept(span.attributes),
                resource: resource.clone(),
            });
        }
    }
    Ok(spans)
}

/// The answer to an export, in the encoding that it came in: how many spans were rejected, and why.
pub fn encode_answer(content_type: &str, rejected: usize, reason: &str) -> Vec<u8> {
    let rejected = i64::try_from(rejected).unwrap_or(i64::MAX);
    let is_json = content_type.trim().to_ascii_lowercase().starts_with(crate::JSON);
    if is_json {
        let answer = match rejected {
            0 => serde_json::json!({}),
            // 64-bit integers are text in protobuf's JSON.
            _ => {
                serde_json::json!({ "partialSuccess": { "rejectedSpans": rejected.to_string(), "errorMessage": reason } })
            }
        };
        return answer.to_string().into_bytes();
    }
    let partial = otlp::ExportTracePartialSuccess { rejected_spans: rejected, error_message: reason.into() };
    otlp::ExportTraceServiceResponse { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec()
}
