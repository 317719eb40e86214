//! The levers, as they were computed last.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpResponse, get, web};
use verdict_reports::Levers;

/// Shows what caching, routing and distillation would have moved, as it was computed last (`as_of`). Once a day it is computed
/// anew; `verdict report levers` computes any days.
#[utoipa::path(responses(
    (status = 200, body = Levers),
    (status = 404, description = "They were not computed yet", body = ProblemBody, content_type = "application/problem+json")
))]
#[get("/v1/reports/levers")]
pub(super) async fn get_levers(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let last = crate::levers::last(&door.store).await?;
    let last = last.ok_or_else(|| {
        Problem::missing(
            "they were not computed yet: wait for `levers.every`, or run `verdict report levers`".into(),
        )
    })?;
    Ok(HttpResponse::Ok().json(last))
}
