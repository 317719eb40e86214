//! Logs of a LiteLLM proxy in: its generic API callback.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use super::traces::{Became, record, unpacked};
use actix_web::http::header::CONTENT_ENCODING;
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use verdict_intake::{LITELLM, decode_logs};

/// What became of the logs of a request.
#[derive(Debug, Serialize, ToSchema)]
struct LogResults {
    recorded: usize,
    duplicate: usize,
    /// Kept, without what was said, to be looked at and replayed.
    parked: usize,
    /// Why the first of these was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Takes what a LiteLLM proxy logs of its calls (`StandardLoggingPayload`): one, an array, or one a line. What is no
/// attempt is parked: the proxy sends nothing again.
#[utoipa::path(
    request_body(content((Object = "application/json"), (Vec<Object> = "application/json"))),
    responses(
        (status = 200, description = "What became of them", body = LogResults),
        (status = 400, description = "Not JSON", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/litellm")]
pub(super) async fn post_litellm(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Ingest)?;
    let body = read::bytes(body)?;
    let encoding = request.headers().get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let body = unpacked(encoding, &body)?;
    let events = decode_logs(&body).map_err(Problem::bad_request)?;
    let Became { recorded, duplicate, parked, reason } = record(&door, LITELLM, events).await?;
    Ok(HttpResponse::Ok().json(LogResults { recorded, duplicate, parked, reason }))
}
