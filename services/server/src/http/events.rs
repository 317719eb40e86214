//! Events in: attempts, resolutions.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use verdict_intake::{AttemptEvent, MAX_BATCH, Outcome, decode};
use verdict_resolution::{ResolutionEvent, read_json};

/// What became of one event.
#[derive(Debug, Serialize, ToSchema)]
struct EventResult {
    /// `recorded`, `duplicate` (which is success) or `rejected`.
    status: &'static str,
    /// Why it was rejected: the field, and what would be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What became of a request's events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Results {
    recorded: usize,
    duplicate: usize,
    rejected: usize,
    /// For each event, in the order sent.
    results: Vec<EventResult>,
}

impl Results {
    fn new(results: Vec<EventResult>) -> Self {
        let count = |status: &str| results.iter().filter(|result| result.status == status).count();
        let (recorded, duplicate, rejected) = (count("recorded"), count("duplicate"), count("rejected"));
        Self { recorded, duplicate, rejected, results }
    }

    /// Success if any event was taken; a problem that holds the reasons if none was.
    fn answer(self) -> Result<HttpResponse, Problem> {
        if self.recorded + self.duplicate > 0 {
            return Ok(HttpResponse::Ok().json(self));
        }
        let first = self.results.first().and_then(|result| result.reason.clone()).unwrap_or_default();
        let detail = match self.results.len() {
            1 => first,
            all => format!("all {all} events were rejected; the first: {first}"),
        };
        Err(Problem::unprocessable(detail).with_results(self.results))
    }
}

/// Records attempts: one, or an array of up to 10,000.
#[utoipa::path(
    request_body(content(
        (AttemptEvent = "application/json"),
        (Vec<AttemptEvent> = "application/json"),
        (AttemptEvent = "application/cloudevents+json"),
        (String = "application/x-protobuf"),
        (String = "text/csv")
    )),
    responses(
        (status = 200, description = "What became of each, in order", body = Results),
        (status = 422, description = "None was taken", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/attempts")]
pub(super) async fn post_attempts(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Ingest)?;
    let body = read::bytes(body)?;
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let events = decode(content_type.unwrap_or(verdict_intake::JSON), &body);
    let outcomes = verdict_intake::record(&door.store, &door.prices.now(), events, door.clock.now()).await?;
    door.worker.nudge();
    let results = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Recorded => EventResult { status: "recorded", reason: None },
        Outcome::Duplicate => EventResult { status: "duplicate", reason: None },
        Outcome::Rejected(reason) => EventResult { status: "rejected", reason: Some(reason) },
    });
    Results::new(results.collect()).answer()
}

/// Records resolutions: one, or an array of up to 10,000.
#[utoipa::path(
    request_body(content((ResolutionEvent = "application/json"), (Vec<ResolutionEvent> = "application/json"))),
    responses(
        (status = 200, description = "What became of each, in order", body = Results),
        (status = 422, description = "None was taken", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/resolutions")]
pub(super) async fn post_resolutions(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Resolve)?;
    let body = read::bytes(body)?;
    let events = resolutions(&body).map_err(Problem::unprocessable)?;
    let outcomes =
        verdict_resolution::record(&door.store, events, &caller.author(), door.clock.now()).await?;
    door.worker.nudge();
    let results = outcomes.into_iter().map(|outcome| match outcome {
        Ok(true) => EventResult { status: "recorded", reason: None },
        Ok(false) => EventResult { status: "duplicate", reason: None },
        Err(reason) => EventResult { status: "rejected", reason: Some(reason) },
    });
    Results::new(results.collect()).answer()
}

fn resolutions(body: &[u8]) -> Result<Vec<Result<ResolutionEvent, String>>, String> {
    let one = |text: &str| read_json(text.as_bytes());
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    if !text.trim_start().starts_with('[') {
        return Ok(vec![one(text)]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    if items.len() > MAX_BATCH {
        return Err(format!(
            "the array holds {} events, {MAX_BATCH} at most are taken: send it in parts",
            items.len()
        ));
    }
    Ok(items.into_iter().map(|item| one(item.get())).collect())
}
