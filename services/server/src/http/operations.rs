//! For operators: what waits, what is parked, the test clock.

use super::Door;
use super::access::{Caller, Scope};
use super::paging::{self, PageParams};
use super::problem::{Problem, ProblemBody};
use super::read;
use crate::config::TEST_CLOCK_SETTING;
use crate::replay::{Replayed, replay};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::time::Timestamp;
use verdict_store::parked::{self, Listed, Place};
use verdict_store::{StoreError, access, status as look};

/// How much waits at each step.
#[utoipa::path(responses((status = 200, description = "Counts, by step", body = Object)))]
#[get("/v1/status")]
pub(super) async fn status(_caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(look(&door.store).await?))
}

/// Something that could not be processed.
#[derive(Serialize, ToSchema)]
struct ParkedBody {
    id: String,
    /// `attempt`, `delivery`, `case`, `outcome`, `outbox`, `fetch`, `stripe_event` or `meter_event`.
    #[schema(value_type = String)]
    origin: parked::Origin,
    reference: String,
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    parked_at: Timestamp,
    headers: String,
    /// The bytes as they came (in a list the first 4,096); what is not UTF-8 in them is shown as U+FFFD.
    body: String,
}

impl From<Listed> for ParkedBody {
    fn from(listed: Listed) -> Self {
        Self {
            id: listed.id,
            origin: listed.parked.origin,
            reference: listed.parked.reference,
            reason: listed.parked.reason,
            parked_at: listed.parked_at,
            headers: listed.parked.headers,
            body: String::from_utf8_lossy(&listed.parked.body).into_owned(),
        }
    }
}

/// Lists what is parked, the oldest first, 1,000 a page: the header `Link` leads to the next one.
#[utoipa::path(
    params(PageParams),
    responses(
        (status = 200, body = Vec<ParkedBody>),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/parked")]
pub(super) async fn list_parked(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    params: web::Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let (items, next) = listed(&door, params.after.as_deref(), 1_000).await?;
    Ok(paging::listed(&request, items.into_iter().map(ParkedBody::from).collect::<Vec<_>>(), next))
}

/// A page of what is parked, and where the next one begins.
pub(super) async fn listed(
    door: &Door,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Listed>, Option<String>), Problem> {
    let after: Option<(i64, String)> = paging::place(after)?;
    let after = after.map(|(at, id)| Place { parked_at: Timestamp(at), id });
    let mut items = parked::list(&door.store, after.as_ref(), limit + 1).await?;
    let next = paging::cut(&mut items, limit, |last| (last.parked_at.0, last.id.clone()));
    Ok((items, next))
}

/// Shows one parked thing.
#[utoipa::path(
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = ParkedBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/parked/{id}")]
pub(super) async fn get_parked(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let listed =
        parked::find(&door.store, &id).await?.ok_or_else(|| Problem::not_found("this parked thing"))?;
    Ok(HttpResponse::Ok().json(ParkedBody::from(listed)))
}

/// Tries a parked thing again.
#[utoipa::path(
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "Done, or in line to be done"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It still cannot be processed", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/parked/{id}/replay")]
pub(super) async fn replay_parked(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    match try_again(&door, &id).await? {
        Replayed::Done => Ok(HttpResponse::Accepted().finish()),
        Replayed::NotFound => Err(Problem::not_found("this parked thing")),
        Replayed::StillFails(reason) => Err(Problem::unprocessable(reason)),
    }
}

/// Tries a parked thing again.
pub(super) async fn try_again(door: &Door, id: &str) -> Result<Replayed, StoreError> {
    let (sources, now) = (door.sources.now(), door.clock.now());
    replay(&door.store, &door.prices.now(), &sources, Some(&door.worker), id, now).await
}

/// The time of the service.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TestClockBody {
    /// What the test clock shows.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
}

/// Shows the test clock.
#[utoipa::path(responses(
    (status = 200, body = TestClockBody),
    (status = 409, description = "There is none", body = ProblemBody, content_type = "application/problem+json")
))]
#[get("/v1/test-clock")]
pub(super) async fn get_test_clock(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    require_test_clock(&door)?;
    Ok(HttpResponse::Ok().json(TestClockBody { now: door.clock.now() }))
}

/// Moves the test clock forward. What falls due by then (timers, ends of periods) is run before this answers.
#[utoipa::path(
    request_body = TestClockBody,
    responses(
        (status = 200, body = TestClockBody),
        (status = 409, description = "There is none", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not forward", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/test-clock")]
pub(super) async fn move_test_clock(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    require_test_clock(&door)?;
    let to: TestClockBody = read::json(body)?;
    if to.now < door.clock.now() {
        return Err(Problem::unprocessable(format!("now: {} is before {}", to.now, door.clock.now())));
    }
    access::set_setting(&door.store, TEST_CLOCK_SETTING, &to.now.to_string()).await?;
    door.clock.advance_to(to.now);
    door.worker.run_until_idle().await?;
    Ok(HttpResponse::Ok().json(TestClockBody { now: door.clock.now() }))
}

fn require_test_clock(door: &Door) -> Result<(), Problem> {
    if door.clock.is_test() {
        return Ok(());
    }
    Err(Problem::conflict(
        "the service runs on real time: start it with `verdict serve --test-clock TIME`".into(),
    ))
}
