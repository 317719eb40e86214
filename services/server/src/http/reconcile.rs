//! The last reconciliation.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpResponse, get, web};
use verdict_billing::reconcile;

/// Shows what the last reconciliation came to: what it compared, what waits, how many differences there are of each name, and
/// the first of them.
#[utoipa::path(responses(
    (status = 200, body = Object),
    (status = 404, description = "None was made yet", body = ProblemBody, content_type = "application/problem+json")
))]
#[get("/v1/reconciliation")]
pub(super) async fn get_reconciliation(
    caller: Caller,
    door: web::Data<Door>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let last = reconcile::last(&door.store).await?;
    let last = last.ok_or_else(|| {
        Problem::missing("none was made yet: run `verdict reconcile`, or wait for `reconcile_every`".into())
    })?;
    Ok(HttpResponse::Ok().json(last))
}
