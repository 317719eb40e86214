//! The customer: its estimate, the link to its own page, and that page. Who has a link sees what is the link's customer's,
//! and nothing else: the customer is taken from the token alone.

use super::Door;
use super::access::{Caller, Scope};
use super::billing::LineBody;
use super::pages::page;
use super::problem::{Problem, ProblemBody};
use super::read;
use crate::link::{self, NoLink, Opened, Sort};
use crate::page_link::{DAYS, make_link};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, CONTENT_DISPOSITION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, ORIGIN,
};
use actix_web::{HttpRequest, HttpResponse, ResponseError, get, post, web};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;
use verdict_domain::money::minor_decimal;
use verdict_domain::spend::{Estimate, EstimatedPeriod};
use verdict_domain::time::Timestamp;
use verdict_reports::pages::{self as view, At};
use verdict_reports::{RejudgeError, explain_to_customer};
use verdict_resolution::{DisputeRequest, NotDisputed, raise_dispute};
use verdict_store::cases::CaseKey;
use verdict_store::invoices::{self, Invoice, State};
use verdict_store::{StoreError, contracts, grants, statement};

/// What a customer's open periods would come to if they closed now.
#[derive(Serialize, ToSchema)]
struct EstimateBody {
    customer: String,
    currency: &'static str,
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// Cases whose verdict is pending: what they come to is in no line yet.
    pending: i64,
    /// The oldest first; what is corrected of closed periods is on the first.
    periods: Vec<EstimatedPeriodBody>,
}

/// An open period as it would be invoiced now.
#[derive(Serialize, ToSchema)]
struct EstimatedPeriodBody {
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    /// The first moment after the period.
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    /// When its grace ends and it is invoiced.
    #[schema(value_type = String, format = DateTime)]
    closes_at: Timestamp,
    /// Whether it is only a trial: none of it is charged.
    is_trial: bool,
    /// The sum of the lines, in the currency's minor units.
    total_minor: i64,
    /// The same as a decimal.
    total: String,
    lines: Vec<LineBody>,
}

impl From<Estimate> for EstimateBody {
    fn from(estimate: Estimate) -> Self {
        let currency = estimate.currency;
        let period = |EstimatedPeriod { period, closes_at, is_trial, draft }| EstimatedPeriodBody {
            period_start: period.start,
            period_end: period.end,
            closes_at,
            is_trial,
            total_minor: draft.total_minor,
            total: minor_decimal(draft.total_minor, currency),
            lines: draft.lines.into_iter().map(LineBody::from).collect(),
        };
        Self {
            customer: estimate.customer,
            currency: currency.code(),
            as_of: estimate.as_of,
            pending: estimate.pending,
            periods: estimate.periods.into_iter().map(period).collect(),
        }
    }
}

/// Estimates what a customer's open periods would come to if they closed now. Changes nothing.
#[utoipa::path(
    params(("customer" = String, Path, description = "Whose periods")),
    responses(
        (status = 200, body = EstimateBody),
        (status = 404, description = "The customer has no contract", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/customers/{customer}/estimate")]
pub(super) async fn get_estimate(
    caller: Caller,
    door: web::Data<Door>,
    customer: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let estimate = verdict_billing::estimate(&door.store, &customer, door.clock.now()).await?;
    let estimate = estimate.ok_or_else(|| Problem::not_found("a contract of this customer"))?;
    Ok(HttpResponse::Ok().json(EstimateBody::from(estimate)))
}

/// For how long a link holds.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PageLinkRequest {
    /// Days from now on, from 1 to 400.
    #[serde(default = "thirty")]
    days: u32,
}

fn thirty() -> u32 {
    DAYS
}

/// A link to a customer's own page. Whoever has it, sees the page.
#[derive(Serialize, ToSchema)]
struct PageLinkBody {
    url: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes a link to a customer's own page: usage, estimate, invoices, evidence, disputes. It is signed, not stored; `verdict
/// customers revoke-pages` revokes all of a customer's.
#[utoipa::path(
    params(("customer" = String, Path, description = "Whose page")),
    request_body = PageLinkRequest,
    responses(
        (status = 201, body = PageLinkBody),
        (status = 404, description = "The customer has no contract", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`secrets_key` or `public_url` is not set", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/customers/{customer}/page-link")]
pub(super) async fn make_page_link(
    caller: Caller,
    door: web::Data<Door>,
    customer: web::Path<String>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let body = body.map(|body| if body.is_empty() { web::Bytes::from_static(b"{}") } else { body });
    let request: PageLinkRequest = read::json(body)?;
    let set = (door.sources.key(), door.public_url.as_deref());
    match make_link(&door.store, set, &customer, request.days, door.clock.now()).await? {
        Ok(link) => {
            Ok(HttpResponse::Created().json(PageLinkBody { url: link.url, expires_at: link.expires_at }))
        }
        Err(NoLink::Unconfigured(remedy)) => Err(Problem::conflict(remedy.into())),
        Err(NoLink::NotFound(detail)) => Err(Problem::missing(detail)),
        Err(NoLink::Invalid(detail)) => Err(Problem::unprocessable(detail)),
    }
}

/// The most documents on the first page.
const SHOWN_DOCUMENTS: u32 = 200;
/// Outcomes on a page.
const SHOWN_OUTCOMES: u32 = 100;

/// The routes of customers' own pages.
pub(super) fn pages(config: &mut web::ServiceConfig) {
    config
        .route("/c/{token}", web::get().to(home))
        .route("/c/{token}/outcomes", web::get().to(open_outcomes))
        .route("/c/{token}/outcomes/evidence.csv", web::get().to(open_evidence))
        .route("/c/{token}/invoices/{id}", web::get().to(show_invoice))
        .route("/c/{token}/invoices/{id}/evidence.csv", web::get().to(invoice_evidence))
        .route("/c/{token}/cases/{case}", web::get().to(show_case))
        .route("/c/{token}/cases/{case}/dispute", web::post().to(dispute));
}

/// What a customer is told when there is no page.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    title: &'static str,
    text: String,
    back: Option<String>,
}

impl Refused {
    fn new(status: StatusCode, title: &'static str, text: &str) -> Self {
        Self { status, title, text: text.into(), back: None }
    }

    fn not_there(at: &At, what: &str) -> Self {
        let text = format!("There is no such {what} of yours.");
        Self { back: Some(at.base.clone()), ..Self::new(StatusCode::NOT_FOUND, "Not found", &text) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.title, self.text)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let status = Problem::from(error).status_code();
        Self::new(status, "This does not work now", "An error of ours. Please try again in a moment.")
    }
}

impl From<RejudgeError> for Refused {
    fn from(error: RejudgeError) -> Self {
        match error {
            RejudgeError::Store(error) => error.into(),
            RejudgeError::Overflow(error) => StoreError::Corrupt(error.to_string()).into(),
        }
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        match view::customer_message(self.title, &self.text, self.back.as_deref()) {
            Ok(html) => unindexed(page(self.status, html)),
            Err(_) => HttpResponse::build(self.status).finish(),
        }
    }
}

type Page = Result<HttpResponse, Refused>;

/// No search engine is to know of it.
pub(super) fn unindexed(mut response: HttpResponse) -> HttpResponse {
    let name = HeaderName::from_static("x-robots-tag");
    response.headers_mut().insert(name, HeaderValue::from_static("noindex, nofollow"));
    response
}

fn shown<E: fmt::Display>(html: Result<String, E>) -> Page {
    let html = html.map_err(|error| StoreError::Corrupt(format!("the page cannot be shown: {error}")))?;
    Ok(unindexed(page(StatusCode::OK, html)))
}

/// Whose page a token opens, and where it is.
async fn opened(door: &Door, token: &str) -> Result<(String, At), Refused> {
    let now = door.clock.now();
    match link::open(&door.store, door.sources.key(), Sort::CustomerPage, token, now).await? {
        Opened::Subject(customer) => {
            let name = name(door, &customer).await?.unwrap_or_else(|| customer.clone());
            Ok((customer, At { base: format!("/c/{token}"), name }))
        }
        Opened::Expired => Err(Refused::new(
            StatusCode::GONE,
            "This link has expired",
            "Links to this page hold for some time only. Please ask whoever sent it to you for a new one.",
        )),
        Opened::Wrong => Err(Refused::new(
            StatusCode::NOT_FOUND,
            "This link does not work",
            "It is not complete, or it was revoked. Please ask whoever sent it to you for a new one.",
        )),
    }
}

/// Who is billed for a customer.
async fn name(door: &Door, customer: &str) -> Result<Option<String>, StoreError> {
    let tx = door.store.snapshot().await?;
    let versions = contracts::of_customers(&tx, std::iter::once(customer)).await?.remove(customer);
    let versions = versions.unwrap_or_default();
    let contract = verdict_domain::contract::in_force(&versions, door.clock.now()).or(versions.first());
    Ok(contract.map(|contract| contract.bill_to.name.clone()))
}

async fn home(door: web::Data<Door>, token: web::Path<String>) -> Page {
    let (customer, at) = opened(&door, &token).await?;
    let estimate = verdict_billing::estimate(&door.store, &customer, door.clock.now()).await?;
    let estimate = estimate.ok_or_else(|| Refused::not_there(&at, "page"))?;
    let mut documents = Vec::new();
    for id in statement::final_documents(&door.store, &customer, SHOWN_DOCUMENTS).await? {
        documents.extend(invoices::find(&door.store, &id).await?);
    }
    let grants = grants::list(&door.store, &customer).await?;
    shown(view::customer_home(&at, &estimate, &grants, &documents))
}

#[derive(Deserialize)]
struct Paged {
    page: Option<u32>,
}

async fn outcomes(
    door: &Door,
    customer: &str,
    at: &At,
    invoice: Option<&Invoice>,
    params: &web::Query<Paged>,
) -> Page {
    let page = params.page.unwrap_or(1).clamp(1, 1_000_000);
    let tx = door.store.snapshot().await?;
    let id = invoice.map(|invoice| invoice.id.as_str());
    let skip = (page - 1) * SHOWN_OUTCOMES;
    // One more than is shown says whether there are more.
    let mut outcomes = statement::outcomes(&tx, customer, id, skip, SHOWN_OUTCOMES + 1).await?;
    let more = outcomes.len() > SHOWN_OUTCOMES as usize;
    outcomes.truncate(SHOWN_OUTCOMES as usize);
    shown(view::customer_outcomes(at, invoice, &outcomes, (page, more)))
}

async fn open_outcomes(door: web::Data<Door>, token: web::Path<String>, params: web::Query<Paged>) -> Page {
    let (customer, at) = opened(&door, &token).await?;
    outcomes(&door, &customer, &at, None, &params).await
}

/// A document of the customer's that is final.
async fn document(door: &Door, customer: &str, at: &At, id: &str) -> Result<Invoice, Refused> {
    let found = invoices::find(&door.store, id).await?;
    let is_theirs = |invoice: &Invoice| invoice.customer == customer && invoice.state == State::Final;
    found.filter(is_theirs).ok_or_else(|| Refused::not_there(at, "invoice"))
}

async fn show_invoice(
    door: web::Data<Door>,
    path: web::Path<(String, String)>,
    params: web::Query<Paged>,
) -> Page {
    let (token, id) = path.into_inner();
    let (customer, at) = opened(&door, &token).await?;
    let invoice = document(&door, &customer, &at, &id).await?;
    outcomes(&door, &customer, &at, Some(&invoice), &params).await
}

async fn csv(door: &Door, customer: &str, invoice: Option<&str>) -> Page {
    let csv = verdict_reports::statement(&door.store, customer, invoice, door.clock.now()).await?;
    let mut response = unindexed(page(StatusCode::OK, csv));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"evidence.csv\""));
    Ok(response)
}

async fn open_evidence(door: web::Data<Door>, token: web::Path<String>) -> Page {
    let (customer, _) = opened(&door, &token).await?;
    csv(&door, &customer, None).await
}

async fn invoice_evidence(door: web::Data<Door>, path: web::Path<(String, String)>) -> Page {
    let (token, id) = path.into_inner();
    let (customer, at) = opened(&door, &token).await?;
    let invoice = document(&door, &customer, &at, &id).await?;
    csv(&door, &customer, Some(&invoice.id)).await
}

async fn show_case(door: web::Data<Door>, path: web::Path<(String, String)>) -> Page {
    let (token, case) = path.into_inner();
    let (customer, at) = opened(&door, &token).await?;
    let case = explain_to_customer(&door.store, &CaseKey { customer, case }, door.clock.now()).await?;
    let case = case.ok_or_else(|| Refused::not_there(&at, "case"))?;
    shown(view::customer_case(&at, &case, &format!("{:016x}", rand::random::<u64>())))
}

#[derive(Deserialize)]
struct DisputeForm {
    id: String,
    episode: String,
    reason: String,
}

async fn dispute(
    door: web::Data<Door>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    form: web::Form<DisputeForm>,
) -> Page {
    let (token, case) = path.into_inner();
    let (customer, at) = opened(&door, &token).await?;
    let case_at = format!("{}/cases/{}", at.base, verdict_reports::pages::encoded(&case));
    let refused = |status, text: &str| Refused {
        back: Some(case_at.clone()),
        ..Refused::new(status, "The dispute was not taken", text)
    };
    if !is_same_origin(request.headers(), door.public_url.as_deref()) {
        return Err(refused(
            StatusCode::FORBIDDEN,
            "It did not come from this page. Open the page and try again.",
        ));
    }
    if form.id.len() > 32 || !form.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused(StatusCode::UNPROCESSABLE_ENTITY, "Open the case again and retry."));
    }
    let author = format!("customer:{customer} via page");
    let dispute = DisputeRequest {
        id: format!("page-{}", form.id),
        customer,
        case,
        episode: Some(form.episode.clone()),
        // A text field has lines; a reason has none.
        reason: form.reason.split_whitespace().collect::<Vec<_>>().join(" "),
        author: None,
    };
    let taken = raise_dispute(&door.store, &dispute, &author, door.clock.now()).await?;
    door.worker.nudge();
    match taken {
        Ok(_) => Ok(unindexed(HttpResponse::SeeOther().insert_header((LOCATION, case_at)).finish())),
        Err(NotDisputed::Invalid(text)) => Err(refused(StatusCode::UNPROCESSABLE_ENTITY, &text)),
        Err(NotDisputed::NotFound(text)) => Err(refused(StatusCode::NOT_FOUND, &text)),
        Err(NotDisputed::Conflict(text)) => Err(refused(StatusCode::CONFLICT, &text)),
    }
}

/// Whether a form was sent from our own page. Browsers that say where a request is from are believed; of others, the origin
/// must be ours. (Under `no-referrer` a form's origin is `null`, also from our own page.)
fn is_same_origin(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    let Some((scheme, authority)) = text(ORIGIN).and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let public = public_url.and_then(|url| url.split_once("://"));
    let is_public = public.is_some_and(|(public_scheme, rest)| {
        public_scheme == scheme && rest.split('/').next() == Some(authority)
    });
    is_public || text(HOST) == Some(authority)
}
