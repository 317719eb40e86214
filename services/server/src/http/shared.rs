//! Links to reports: made with a key, opened by whoever has one. The report and its parameters are taken from the link alone.

use super::Door;
use super::access::{Caller, Scope};
use super::customer::unindexed;
use super::pages::{failure_cost_page, page};
use super::paging::numbered;
use super::problem::{Problem, ProblemBody};
use super::read;
use super::reports::{ReportParams, answer, query};
use crate::link::{self, NoLink, Opened, Sort};
use crate::report_link::{HOLDS, REPORTS, make_report_link as make, view};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, ResponseError, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::time::{Span, Timestamp};
use verdict_reports::Compare;
use verdict_reports::pages::customer_message;
use verdict_store::StoreError;

/// Which view of a report to link to, and for how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportLinkRequest {
    /// `failure-cost`.
    #[serde(default = "failure_cost")]
    report: String,
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    to: Option<String>,
    /// `customer` (default), `agent`, `provider`, `model`, `action`, `reason` or `day`.
    by: Option<String>,
    /// Of this customer only.
    customer: Option<String>,
    /// Of this agent only.
    agent: Option<String>,
    /// Of this provider's models only.
    provider: Option<String>,
    /// Of this model only.
    model: Option<String>,
    /// Of this kind of outcome only.
    action: Option<String>,
    /// `page` (default), `json`, `csv` or `xlsx`.
    format: Option<String>,
    /// How long it holds, from `1m` to `400d`. Default: `7d`.
    #[serde(default = "holds")]
    #[schema(value_type = Option<String>)]
    expires: Span,
}

fn failure_cost() -> String {
    REPORTS[0].into()
}

fn holds() -> Span {
    HOLDS
}

/// A link to one view of a report. Whoever has it, sees that view.
#[derive(Serialize, ToSchema)]
struct ReportLinkBody {
    url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes a link to one view of a report, for somebody without a key: these days, these filters, this format, and nothing else. It
/// is signed, not stored; `verdict reports revoke-links` revokes all of them.
#[utoipa::path(
    request_body = ReportLinkRequest,
    responses(
        (status = 201, body = ReportLinkBody),
        (status = 409, description = "`secrets_key` or `public_url` is not set", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/reports/link")]
pub(super) async fn make_report_link(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let request: ReportLinkRequest = read::json(body)?;
    let ReportLinkRequest { report, from, to, by, customer, agent, provider, model, action, format, expires } =
        request;
    let params = ReportParams {
        from,
        to,
        by,
        customer,
        agent,
        provider,
        model,
        action,
        format,
        ..ReportParams::default()
    };
    let set = (door.sources.key(), door.public_url.as_deref());
    match make(&door.store, set, (&report, params), expires, door.clock.now()).await? {
        Ok(link) => {
            Ok(HttpResponse::Created().json(ReportLinkBody { url: link.url, expires_at: link.expires_at }))
        }
        Err(NoLink::Unconfigured(remedy)) => Err(Problem::conflict(remedy.into())),
        Err(NoLink::NotFound(detail)) => Err(Problem::missing(detail)),
        Err(NoLink::Invalid(detail)) => Err(Problem::unprocessable(detail)),
    }
}

/// The route of what links to reports open.
pub(super) fn pages(config: &mut web::ServiceConfig) {
    config.route("/r/{token}", web::get().to(show));
}

/// Also where it fails, all of it is a page: who opens it is a person with a link.
async fn show(door: web::Data<Door>, token: web::Path<String>, request: HttpRequest) -> HttpResponse {
    let response = match shown(&door, &token, &request).await {
        Ok(response) => response,
        Err(problem) => said(problem.status_code(), "This does not work now", problem.detail()),
    };
    private(unindexed(response))
}

async fn shown(door: &Door, token: &str, request: &HttpRequest) -> Result<HttpResponse, Problem> {
    let now = door.clock.now();
    let subject = match link::open(&door.store, door.sources.key(), Sort::Report, token, now).await? {
        Opened::Subject(subject) => subject,
        Opened::Expired => {
            let text =
                "Links to reports hold for some time only. Please ask whoever sent it to you for a new one.";
            return Ok(said(StatusCode::GONE, "This link has expired", text));
        }
        Opened::Wrong => {
            let text =
                "It is not complete, or it was revoked. Please ask whoever sent it to you for a new one.";
            return Ok(said(StatusCode::NOT_FOUND, "This link does not work", text));
        }
    };
    let unknown = || Problem::missing("there is no such report any more: ask for a new link".into());
    let (_, params) = view(&subject).ok_or_else(unknown)?;
    let query = query(&params, now).map_err(Problem::unprocessable)?;
    if params.format.as_deref() == Some("page") {
        // Which page of its rows: all else is taken from the link.
        let (number, _) = numbered(request.query_string())?;
        let html = failure_cost_page(door, &query, Compare::Nothing, None, number, true).await?;
        let html = html.map_err(|error| StoreError::Corrupt(format!("the page cannot be shown: {error}")))?;
        return Ok(page(StatusCode::OK, html));
    }
    let report = verdict_reports::failure_cost(&door.store, &query).await?;
    answer(&report.into(), params.format.as_deref())
}

fn said(status: StatusCode, title: &str, text: &str) -> HttpResponse {
    match customer_message(title, text, None) {
        Ok(html) => page(status, html),
        Err(_) => HttpResponse::build(status).finish(),
    }
}

/// In no cache, and told to nobody else, also as a file.
fn private(mut response: HttpResponse) -> HttpResponse {
    for (name, value) in
        [(CACHE_CONTROL, "no-store"), (REFERRER_POLICY, "no-referrer"), (X_CONTENT_TYPE_OPTIONS, "nosniff")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
