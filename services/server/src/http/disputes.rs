//! Disputes: raised, listed, accepted, rejected.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verdict_resolution::{
    DisputeDecision, DisputeRequest, NotDisputed, Taken, decide_dispute, raise_dispute,
};
use verdict_store::resolutions;

/// What came of it.
#[derive(Serialize, ToSchema)]
struct DisputeBody {
    /// The fact's id: of the dispute, or of its decision.
    id: String,
    /// `recorded`, or `duplicate` (which is success).
    status: &'static str,
}

fn answer(taken: Taken) -> Result<HttpResponse, Problem> {
    match taken {
        Ok((id, true)) => Ok(HttpResponse::Created().json(DisputeBody { id, status: "recorded" })),
        Ok((id, false)) => Ok(HttpResponse::Ok().json(DisputeBody { id, status: "duplicate" })),
        Err(NotDisputed::Invalid(detail)) => Err(Problem::unprocessable(detail)),
        Err(NotDisputed::NotFound(detail)) => Err(Problem::missing(detail)),
        Err(NotDisputed::Conflict(detail)) => Err(Problem::conflict(detail)),
    }
}

/// Raises a dispute of one outcome, with a reason. Until `dispute_window` after its invoice.
#[utoipa::path(
    request_body = DisputeRequest,
    responses(
        (status = 201, body = DisputeBody),
        (status = 200, description = "It was raised before", body = DisputeBody),
        (status = 404, description = "No such outcome is charged", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Too late, or one is open already", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/disputes")]
pub(super) async fn post_dispute(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let request: DisputeRequest = read::json(body)?;
    let taken = raise_dispute(&door.store, &request, &caller.author(), door.clock.now()).await?;
    door.worker.nudge();
    answer(taken)
}

async fn decide(
    caller: &Caller,
    door: &Door,
    body: Result<web::Bytes, actix_web::Error>,
    accept: bool,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let decision: DisputeDecision = read::json(body)?;
    let taken = decide_dispute(&door.store, &decision, accept, &caller.author(), door.clock.now()).await?;
    door.worker.nudge();
    answer(taken)
}

/// Accepts a dispute: its outcome is void.
#[utoipa::path(
    request_body = DisputeDecision,
    responses(
        (status = 201, body = DisputeBody),
        (status = 200, description = "It was accepted before", body = DisputeBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It was rejected before", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/disputes/accept")]
pub(super) async fn accept_dispute(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &door, body, true).await
}

/// Rejects a dispute: its outcome stands.
#[utoipa::path(
    request_body = DisputeDecision,
    responses(
        (status = 201, body = DisputeBody),
        (status = 200, description = "It was rejected before", body = DisputeBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It was accepted before", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/disputes/reject")]
pub(super) async fn reject_dispute(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    decide(&caller, &door, body, false).await
}

/// Which disputes.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DisputesParams {
    /// Only those that wait for a decision.
    #[serde(default)]
    open: bool,
}

/// Lists disputes, the newest first, at most 1,000.
#[utoipa::path(params(DisputesParams), responses((status = 200, body = Vec<Object>)))]
#[get("/v1/disputes")]
pub(super) async fn list_disputes(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<DisputesParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    Ok(HttpResponse::Ok().json(resolutions::disputes(&door.store, params.open, 1_000).await?))
}
