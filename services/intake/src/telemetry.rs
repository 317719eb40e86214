//! From what telemetry tells of a call to a model to the attempt event: what OTLP spans and a LiteLLM proxy's log have
//! in common.

use crate::names;
use crate::wire::{AmountEvent, AttemptEvent, UsageEvent};
use std::collections::BTreeMap;
use verdict_domain::attempt::{FailureReason, ServiceTier, Status};
use verdict_domain::time::Timestamp;

/// An id has at most so many characters.
const MAX_ID: usize = 128;

/// A call as its telemetry tells of it.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// The provider's id of its response.
    pub response_id: Option<String>,
    /// What the call is known by if there is none.
    pub own_id: String,
    pub customer: Option<String>,
    pub case: Option<String>,
    pub agent: Option<String>,
    pub action: Option<String>,
    /// As the instrumentation names it.
    pub provider: Option<String>,
    pub model: Option<String>,
    /// Which of the provider's services answered, as it names it.
    pub service_tier: Option<String>,
    pub usage: Counts,
    pub cost: Option<AmountEvent>,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// What the sender said became of the attempt.
    pub status: Option<String>,
    /// The type of the error, if the call failed.
    pub error: Option<String>,
    pub metadata: BTreeMap<String, String>,
}

/// Token counts as telemetry has them: parts may be counted beside the whole instead of within it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub input: Option<u64>,
    pub cached_input: Option<u64>,
    pub cache_write: Option<u64>,
    pub cache_write_1h: Option<u64>,
    pub output: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Counts {
    pub(crate) fn is_counted(&self) -> bool {
        self.input.is_some() || self.output.is_some()
    }

    /// The counts as the event has them: parts within the whole. Conventions say the same, but some instrumentations
    /// pass on what providers count beside it. Where the parts exceed the whole, they cannot be within it.
    fn event(self) -> Option<UsageEvent> {
        let whole = |whole: Option<u64>, parts: u64| {
            whole.map(|whole| if parts > whole { whole.saturating_add(parts) } else { whole })
        };
        let cached = self.cached_input.unwrap_or(0).saturating_add(self.cache_write.unwrap_or(0));
        self.is_counted().then_some(UsageEvent {
            input_tokens: whole(self.input, cached),
            cached_input_tokens: self.cached_input,
            cache_write_tokens: self.cache_write,
            cache_write_1h_tokens: self.cache_write_1h,
            output_tokens: whole(self.output, self.reasoning.unwrap_or(0)),
            reasoning_tokens: self.reasoning,
            estimated: false,
        })
    }
}

/// A field of the call, or what is to be set.
fn needed(field: Option<String>, remedy: &str) -> Result<String, String> {
    field.filter(|text| !text.is_empty()).ok_or_else(|| remedy.to_string())
}

/// Makes the event of a call.
///
/// Its id is the provider's response, where one is named: a wrapper and the library that it wraps both tell of the same
/// response, and it is one attempt. Else the id is the call's own.
///
/// Its status is what the sender says of it. That a call to a model succeeded does not say that a person was given an
/// answer: it may have been one of many, to classify or to plan. So it counts as *replied*.
pub(crate) fn event(call: Call) -> Result<AttemptEvent, String> {
    let customer =
        needed(call.customer, "billing.customer_id: is missing, and says whose bill this counts toward")?;
    let case = needed(
        call.case,
        "billing.case_id: is missing, and so are gen_ai.conversation.id and session.id: one says which case this is",
    )?;
    let provider = names::provider(&needed(call.provider, "gen_ai.provider.name: is missing")?);
    let model = needed(call.model, "gen_ai.request.model: is missing")?;
    let agent =
        needed(call.agent, "billing.agent: is missing, and so are gen_ai.agent.name and service.name")?;
    let status = match &call.status {
        Some(text) => Status::parse(text).ok_or_else(|| {
            format!("billing.status: `{text}` is not `answered`, `replied`, `failed` or `handed_off`")
        })?,
        None if call.error.is_some() => Status::Failed,
        None => Status::Replied,
    };
    let service_tier = call.service_tier.map(|name| ServiceTier::read(&name.trim().to_ascii_lowercase()));
    let service_tier = service_tier.transpose().map_err(|fault| format!("service_tier: {fault}"))?;
    let error = call.error.filter(|_| status == Status::Failed);
    let mut metadata = call.metadata;
    let by_response = call.response_id.as_ref().map(|id| format!("response:{provider}:{id}"));
    if let Some(id) = call.response_id {
        metadata.insert("response_id".into(), id.chars().take(512).collect());
    }
    Ok(AttemptEvent {
        // A response's id that is too long for one of ours is no use: providers' have some forty characters.
        id: by_response.filter(|id| id.chars().count() <= MAX_ID).unwrap_or(call.own_id),
        customer,
        case,
        agent,
        action: call.action.filter(|text| !text.is_empty()).unwrap_or_else(|| "chat".into()),
        provider,
        model,
        service_tier,
        usage: call.usage.event(),
        reported_cost: call.cost,
        other_costs: Vec::new(),
        value: None,
        started_at: call.started_at,
        ended_at: call.ended_at,
        status,
        failure_reason: error.as_deref().map(failure_reason),
        // The type of the error only: its message may quote what was said.
        failure_detail: error.map(|error| error.chars().take(512).collect()),
        prompt_fingerprint: None,
        metadata,
    })
}

/// The reason behind the type of an error: the class of an exception, or an HTTP status.
fn failure_reason(error: &str) -> FailureReason {
    let error: String = error.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let is_any = |statuses: &[&str], words: &[&str]| {
        statuses.contains(&error.as_str()) || words.iter().any(|word| error.contains(word))
    };
    if is_any(&["429"], &["ratelimit", "throttl", "toomanyrequests", "resourceexhausted"]) {
        FailureReason::RateLimited
    } else if is_any(&["408", "504"], &["timeout", "timedout", "deadlineexceeded"]) {
        FailureReason::Timeout
    } else {
        FailureReason::ProviderError
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_of_errors_have_reasons() {
        for (error, reason) in [
            ("timeout", FailureReason::Timeout),
            ("openai.APITimeoutError", FailureReason::Timeout),
            ("java.net.SocketTimeoutException", FailureReason::Timeout),
            ("504", FailureReason::Timeout),
            ("DEADLINE_EXCEEDED", FailureReason::Timeout),
            ("429", FailureReason::RateLimited),
            ("RateLimitError", FailureReason::RateLimited),
            ("rate_limit_exceeded", FailureReason::RateLimited),
            ("ThrottlingException", FailureReason::RateLimited),
            ("500", FailureReason::ProviderError),
            ("_OTHER", FailureReason::ProviderError),
        ] {
            assert_eq!(failure_reason(error), reason, "{error}");
        }
    }

    #[test]
    fn parts_that_exceed_their_whole_were_counted_beside_it() {
        let within = Counts { input: Some(100), cached_input: Some(60), ..Counts::default() };
        assert_eq!(within.event().and_then(|usage| usage.input_tokens), Some(100));
        let beside = Counts { input: Some(100), cached_input: Some(60), cache_write: Some(50), ..within };
        assert_eq!(beside.event().and_then(|usage| usage.input_tokens), Some(210));
        let thought = Counts { output: Some(5), reasoning: Some(7), ..Counts::default() };
        assert_eq!(thought.event().and_then(|usage| usage.output_tokens), Some(12));
        assert_eq!(Counts { reasoning: Some(7), ..Counts::default() }.event(), None);
    }
}
