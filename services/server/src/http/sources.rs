//! The sources of webhooks, for operators: how they are, and what of them is in quarantine.

use super::Door;
use super::access::{Caller, Scope};
use super::paging::{self, PageParams};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use verdict_domain::fact::Strength;
use verdict_domain::time::{Span, Timestamp};
use verdict_reports::pages::SourceHealth;
use verdict_resolution::{allowed_silence, release};
use verdict_store::alerts::{self, Alert, Place};
use verdict_store::quarantine::{self, Listed};
use verdict_store::sources::{self, State};

/// How a source is.
#[derive(Serialize, ToSchema)]
pub(super) struct SourceBody {
    name: String,
    platform: String,
    /// `signed`, or `token` where whoever knows a header could have sent it.
    #[schema(value_type = String)]
    strength: Strength,
    /// `false`: it has no secret yet, and all its deliveries go to quarantine.
    has_secrets: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_delivery_at: Option<Timestamp>,
    /// How long it may be silent; absent while it has not shown what is normal.
    #[schema(value_type = Option<String>)]
    allowed_silence: Option<Span>,
    /// Whether it is silent for longer.
    is_silent: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    polled_until: Option<Timestamp>,
    /// What went wrong when it was asked last.
    last_error: Option<String>,
    /// Why it is not fetched from or polled: settings and credentials that are missing.
    unmet: Vec<String>,
}

/// The configured sources.
pub(super) async fn looked_at(door: &Door) -> Result<Vec<SourceBody>, Problem> {
    let (states, now) = (sources::states(&door.store).await?, door.clock.now());
    let body = |source: &verdict_resolution::Source| {
        let state = states.iter().find(|state| state.source == source.name());
        let State { last_delivery_at, longest_gap, polled_until, last_error, .. } =
            state.cloned().unwrap_or_default();
        let allowed = allowed_silence(source.silent_after(), longest_gap);
        let is_silent = last_delivery_at.zip(allowed).is_some_and(|(last, allowed)| last.plus(allowed) < now);
        SourceBody {
            name: source.name().into(),
            platform: source.platform().into(),
            strength: source.strength(),
            has_secrets: source.has_secrets(),
            last_delivery_at,
            allowed_silence: allowed,
            is_silent,
            polled_until,
            last_error,
            unmet: source.unmet(),
        }
    };
    Ok(door.sources.now().values().map(body).collect())
}

impl From<SourceBody> for SourceHealth {
    fn from(source: SourceBody) -> Self {
        let mut troubles = Vec::new();
        if !source.has_secrets {
            troubles.push("it has no secret yet: all its deliveries go to quarantine".to_string());
        }
        if source.is_silent {
            troubles.push("silent for longer than is normal for it".into());
        }
        troubles.extend(source.last_error);
        troubles.extend(source.unmet);
        Self {
            name: source.name,
            platform: source.platform,
            strength: source.strength.as_str().into(),
            last_delivery_at: source.last_delivery_at,
            troubles,
        }
    }
}

/// Lists the configured sources.
#[utoipa::path(responses((status = 200, body = Vec<SourceBody>)))]
#[get("/v1/sources")]
pub(super) async fn list_sources(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    Ok(HttpResponse::Ok().json(looked_at(&door).await?))
}

/// Lists alerts: those not over first, of either the last raised first; 1,000 a page: the header `Link` leads to the next one.
#[utoipa::path(
    params(PageParams),
    responses(
        (status = 200, body = Vec<Object>),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/alerts")]
pub(super) async fn list_alerts(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    params: web::Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let (alerts, next) = alerts_after(&door, params.after.as_deref(), 1_000).await?;
    Ok(paging::listed(&request, alerts, next))
}

/// A page of the alerts, and where the next one begins.
pub(super) async fn alerts_after(
    door: &Door,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Alert>, Option<String>), Problem> {
    let after: Option<(bool, i64)> = paging::place(after)?;
    let after = after.map(|(is_over, number)| Place { is_over, number });
    let mut alerts = alerts::list(&door.store, after, limit + 1).await?;
    let next = paging::cut(&mut alerts, limit, |last| (last.cleared_at.is_some(), last.number));
    Ok((alerts, next))
}

/// A delivery whose signature no secret had made.
#[derive(Serialize, ToSchema)]
struct QuarantinedBody {
    id: String,
    source: String,
    reason: String,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Bytes of headers and body.
    size: i64,
    headers: String,
    /// The first 4,096 bytes; what is not UTF-8 in them is shown as U+FFFD.
    body: String,
}

impl From<Listed> for QuarantinedBody {
    fn from(Listed { id, size, refused }: Listed) -> Self {
        Self {
            id,
            source: refused.source,
            reason: refused.reason,
            received_at: refused.received_at,
            size,
            headers: refused.headers,
            body: String::from_utf8_lossy(&refused.body).into_owned(),
        }
    }
}

/// Lists what is in quarantine, the oldest first, at most 1,000.
#[utoipa::path(responses((status = 200, body = Vec<QuarantinedBody>)))]
#[get("/v1/quarantine")]
pub(super) async fn list_quarantine(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let listed = quarantine::list(&door.store, 1_000).await?;
    Ok(HttpResponse::Ok().json(listed.into_iter().map(QuarantinedBody::from).collect::<Vec<_>>()))
}

/// Tries a delivery in quarantine again, with the secrets that its source has now.
#[utoipa::path(
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "It is stored, as if it had been good when it came"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It is still refused", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/quarantine/{id}/replay")]
pub(super) async fn replay_quarantined(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    match try_again(&door, &id).await? {
        None => Ok(HttpResponse::Accepted().finish()),
        Some(reason) => Err(Problem::unprocessable(reason)),
    }
}

/// Tries a delivery in quarantine again; answers why it is still refused.
pub(super) async fn try_again(door: &Door, id: &str) -> Result<Option<String>, Problem> {
    let listed = quarantine::find(&door.store, id).await?;
    let listed = listed.ok_or_else(|| Problem::not_found("this delivery"))?;
    let sources = door.sources.now();
    let source = sources.get(&listed.refused.source);
    let refused = release(&door.store, source, &listed.id, &listed.refused).await?;
    door.worker.nudge();
    Ok(refused)
}
