//! The figures built again, for operators.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use crate::clock::wall_clock;
use actix_web::{HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use verdict_domain::time::Timestamp;
use verdict_store::rebuilds::{self, Rebuild};

/// A rebuild of the figures. Its times are the machine's.
#[derive(Serialize, ToSchema)]
struct RebuildBody {
    id: i64,
    /// `waiting` until a worker takes it, `running`, `done`, or `failed`: the log says why.
    state: &'static str,
    /// By whom.
    asked_by: String,
    #[schema(value_type = String, format = DateTime)]
    asked_at: Timestamp,
    /// How often it was begun: again where the process that did it ended.
    begun: i64,
    /// Cases that were looked at since it was begun last.
    cases: u64,
    /// Customers whose sums were compared since it was begun last: after the cases.
    customers: u64,
    /// Cases that were said to add something else to the figures than their facts say, and were put right.
    wrong_cases: u64,
    /// Sums that were not the sums of what they are made of, and were put right.
    wrong_sums: u64,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
}

impl From<Rebuild> for RebuildBody {
    fn from(rebuild: Rebuild) -> Self {
        let state = match (rebuild.ended_at, rebuild.failed, rebuild.begun) {
            (None, _, 0) => "waiting",
            (None, ..) => "running",
            (Some(_), true, _) => "failed",
            (Some(_), false, _) => "done",
        };
        Self {
            id: rebuild.id,
            state,
            asked_by: rebuild.asked_by,
            asked_at: rebuild.asked_at,
            begun: rebuild.begun,
            cases: rebuild.done.cases,
            customers: rebuild.done.customers,
            wrong_cases: rebuild.done.wrong_cases,
            wrong_sums: rebuild.done.wrong_sums,
            ended_at: rebuild.ended_at,
        }
    }
}

/// Asks for the figures to be built again from facts and charges. The worker does it while the service goes on, and writes only what
/// differs; `GET` says how far it is. One at a time.
#[utoipa::path(responses(
    (status = 202, description = "In line", body = RebuildBody),
    (status = 409, description = "One is not over", body = ProblemBody, content_type = "application/problem+json")
))]
#[post("/v1/figures/rebuild")]
pub(super) async fn post_rebuild(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let asked = rebuilds::ask(&door.store, &caller.author(), wall_clock()).await?;
    let asked = asked.ok_or_else(|| {
        Problem::conflict("a rebuild is not over: `GET /v1/figures/rebuild` says how far it is".into())
    })?;
    Ok(HttpResponse::Accepted()
        .insert_header(("Location", "/v1/figures/rebuild"))
        .json(RebuildBody::from(asked)))
}

/// Shows the rebuild of the figures that was asked for last: how far it is, or what it put right.
#[utoipa::path(responses(
    (status = 200, body = RebuildBody),
    (status = 404, description = "None was asked for", body = ProblemBody, content_type = "application/problem+json")
))]
#[get("/v1/figures/rebuild")]
pub(super) async fn get_rebuild(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let last = rebuilds::last(&door.store).await?;
    let last = last.ok_or_else(|| Problem::missing("none was asked for".into()))?;
    Ok(HttpResponse::Ok().json(RebuildBody::from(last)))
}
