//! The pages: behind a login with a key.

use super::Door;
use super::access::{Caller, Scope, log_in, log_out};
use super::behind::{self, BehindParams, Found};
use super::cases::{self, CaseParams};
use super::figures::{FigureParams, view};
use super::live;
use super::paging::{self, PageParams, numbered};
use super::problem::Problem;
use super::provider_bills::{BillParams, looked_at};
use super::reports::{ReportParams, compared, query, sort};
use super::{billing, figures, operations, read, sources};
use crate::replay::Replayed;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::Deserialize;
use std::fmt;
use verdict_reports::pages::{self, Filter, Said, SourceHealth};
use verdict_reports::{Asked, Compare, Query, Sort};
use verdict_store::figures::{GroupBy, cases_behind};
use verdict_store::{
    StoreError, alerts, attempts, chain, invoices, ledger, parked, provider_bills, quarantine,
};

/// The most charges shown as the evidence of an invoice.
const SHOWN_CHARGES: u32 = 500;
/// Lost cases on the page of the failure-cost report.
const DEAREST_CASES: u32 = 10;
/// The most lines of a list on a page.
const SHOWN: u32 = pages::LINES as u32;
const SHOWN_PROVIDERS: u32 = 200;

/// The routes of the pages.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(home))
        .route("/login", web::get().to(login_form))
        .route("/login", web::post().to(login))
        .route("/logout", web::post().to(logout))
        .route("/style.css", web::get().to(style))
        .route("/live.js", web::get().to(live_script))
        .route("/live", web::get().to(live::stream))
        .route("/openapi.json", web::get().to(openapi))
        .route("/overview", web::get().to(overview))
        .route("/customers", web::get().to(customers))
        .route("/agents", web::get().to(agents))
        .route("/models", web::get().to(models))
        .route("/actions", web::get().to(actions))
        .route("/definitions", web::get().to(definitions))
        .route("/reports/failure-cost", web::get().to(failure_cost))
        .route("/reports/provider-bill", web::get().to(provider_bill))
        .route("/levers", web::get().to(show_levers))
        .route("/cases", web::get().to(list_cases))
        .route("/cases/{customer}/{case}", web::get().to(show_case))
        .route("/deliveries/{source}/{id}", web::get().to(show_delivery))
        .route("/invoices", web::get().to(list_invoices))
        .route("/invoices/{id}", web::get().to(show_invoice))
        .route("/alerts", web::get().to(list_alerts))
        .route("/sources", web::get().to(list_sources))
        .route("/quarantine/{id}/replay", web::post().to(replay_quarantined))
        .route("/parked", web::get().to(list_parked))
        .route("/parked/{id}/replay", web::post().to(replay_parked));
}

/// A problem, as a page: without a login, the way to it.
#[derive(Debug)]
struct PageProblem(Problem);

impl fmt::Display for PageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Into<Problem>> From<T> for PageProblem {
    fn from(problem: T) -> Self {
        Self(problem.into())
    }
}

impl ResponseError for PageProblem {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        if self.status_code() == StatusCode::UNAUTHORIZED {
            return HttpResponse::SeeOther().insert_header((LOCATION, "/login")).finish();
        }
        match pages::message(self.0.title(), self.0.detail()) {
            Ok(html) => page(self.status_code(), html),
            Err(_) => self.0.error_response(),
        }
    }
}

type Page = Result<HttpResponse, PageProblem>;
/// Who calls, or the way to the login.
type Login = Result<Caller, Problem>;

/// No scripts, nothing from elsewhere, in nobody's frame.
const STILL: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The same, but for our own script, which asks nobody else.
const LIVE: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; \
                    base-uri 'none'; frame-ancestors 'none'";

/// A page, in no cache.
pub(super) fn page(status: StatusCode, html: String) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    response.content_type("text/html; charset=utf-8");
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_SECURITY_POLICY, STILL),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
    response.body(html)
}

fn shown<E: fmt::Display>(html: Result<String, E>) -> Page {
    match html {
        Ok(html) => Ok(page(StatusCode::OK, html)),
        Err(error) => {
            Err(verdict_store::StoreError::Corrupt(format!("the page cannot be shown: {error}")).into())
        }
    }
}

/// A page with `/live.js`: what it marks `data-live` is kept up to date.
fn shown_live<E: fmt::Display>(html: Result<String, E>) -> Page {
    let mut response = shown(html)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(LIVE));
    Ok(response)
}

async fn home() -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, "/overview")).finish()
}

async fn style() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "max-age=300"))
        .body(pages::STYLE)
}

async fn live_script() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/javascript; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "max-age=300"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(pages::LIVE_SCRIPT)
}

/// The description of the API.
async fn openapi(_caller: Caller) -> HttpResponse {
    HttpResponse::Ok().json(super::api_description())
}

async fn login_form() -> Page {
    shown(pages::login(None))
}

#[derive(Deserialize)]
struct LoginForm {
    key: String,
}

async fn login(door: web::Data<Door>, form: web::Form<LoginForm>) -> Page {
    match log_in(&door, &form.key).await? {
        Some(cookie) => Ok(HttpResponse::SeeOther().cookie(cookie).insert_header((LOCATION, "/")).finish()),
        None => {
            let html = pages::login(Some("This key is unknown or revoked."));
            let html = html.unwrap_or_else(|_| "This key is unknown or revoked.".into());
            Ok(page(StatusCode::UNAUTHORIZED, html))
        }
    }
}

async fn logout(door: web::Data<Door>, request: HttpRequest) -> Page {
    let cookie = log_out(&door, &request).await?;
    Ok(HttpResponse::SeeOther().cookie(cookie).insert_header((LOCATION, "/login")).finish())
}

async fn overview(login: Login, door: web::Data<Door>, params: web::Query<FigureParams>) -> Page {
    let caller = login?;
    caller.may(Scope::Report)?;
    let now = door.clock.now();
    let view = view(&params, now).map_err(Problem::unprocessable)?;
    let overview = figures::overview_of(&door, &view).await?;
    let open = match caller.may(Scope::Admin) {
        Ok(()) => Some(open_alerts(&door).await?),
        Err(_) => None,
    };
    shown(pages::overview(&overview, &view, open.as_deref(), now.day()))
}

/// The alerts that are not over, the last raised first, as many as a page shows.
async fn open_alerts(door: &Door) -> Result<Vec<alerts::Alert>, Problem> {
    let mut open = alerts::list(&door.store, None, SHOWN).await?;
    open.retain(|alert| alert.cleared_at.is_none());
    Ok(open)
}

async fn customers(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    groups(login, &door, &request, GroupBy::Customer).await
}

async fn agents(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    groups(login, &door, &request, GroupBy::Agent).await
}

async fn models(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    groups(login, &door, &request, GroupBy::Model).await
}

async fn actions(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    groups(login, &door, &request, GroupBy::Action).await
}

async fn groups(login: Login, door: &Door, request: &HttpRequest, by: GroupBy) -> Page {
    login?.may(Scope::Report)?;
    let now = door.clock.now();
    let (number, query) = numbered(request.query_string())?;
    let params: FigureParams = read::text(&query)?;
    let view = view(&params, now).map_err(Problem::unprocessable)?;
    shown(pages::groups(&figures::groups_of(door, &view, by).await?, &view, number, now.day()))
}

async fn definitions(login: Login) -> Page {
    login?;
    shown(pages::definitions())
}

async fn failure_cost(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    login?.may(Scope::Report)?;
    let (number, rest) = numbered(request.query_string())?;
    let params: ReportParams = read::text(&rest)?;
    let query = query(&params, door.clock.now()).map_err(Problem::unprocessable)?;
    let sort = sort(&params).map_err(Problem::unprocessable)?;
    let compare = compared(&params, Compare::Previous).map_err(Problem::unprocessable)?;
    shown_live(failure_cost_page(&door, &query, compare, sort, number, false).await?)
}

async fn provider_bill(login: Login, door: web::Data<Door>, params: web::Query<BillParams>) -> Page {
    login?.may(Scope::Report)?;
    let (bill, filter) = looked_at(&door, &params).await?;
    let providers = provider_bills::providers(&door.store, SHOWN_PROVIDERS).await?;
    shown(pages::provider_bill(bill.as_ref(), &providers, &filter))
}

async fn show_levers(login: Login, door: web::Data<Door>) -> Page {
    login?.may(Scope::Report)?;
    shown(pages::levers(crate::levers::last(&door.store).await?.as_ref()))
}

/// The page of the failure-cost report, `number` being which of its rows; `shared`: for somebody who sees this one view and nothing else.
pub(super) async fn failure_cost_page(
    door: &Door,
    query: &Query,
    compare: Compare,
    sort: Option<Sort>,
    number: usize,
    is_shared: bool,
) -> Result<Result<String, pages::RenderError>, StoreError> {
    let by = |by: GroupBy| Query { by, ..query.clone() };
    let mut report = verdict_reports::beside(&door.store, query, compare).await?;
    if let Some(sort) = sort {
        sort.apply(&mut report.now.rows);
    }
    let trend = verdict_reports::failure_cost(&door.store, &by(GroupBy::Day)).await?;
    let reasons = verdict_reports::failure_cost(&door.store, &by(GroupBy::Reason)).await?;
    // They are of all days and customers, which is more than what is shared.
    let unknown = if is_shared { Vec::new() } else { attempts::unknown_costs(&door.store).await? };
    let dearest = match is_shared {
        true => Vec::new(),
        false => {
            let lost = Asked { figure: "lost", ..Asked::of(query.of.clone()) };
            cases_behind(&door.store, &lost.behind(), lost.order, None, DEAREST_CASES).await?
        }
    };
    let by = report.now.by.clone();
    let filter = Filter { of: query.of.clone(), by, is_shared, sort, page: number, compare };
    Ok(pages::failure_cost(&report, &trend, &reasons, &unknown, &dearest, &filter))
}

async fn list_cases(login: Login, door: web::Data<Door>, request: HttpRequest) -> Page {
    login?.may(Scope::Report)?;
    if behind::is_of_figure(request.query_string()) {
        return list_cases_behind(&door, read::query(&request)?).await;
    }
    let params: CaseParams = read::query(&request)?;
    let after = params.after.clone();
    let filter = cases::filter(params).map_err(Problem::unprocessable)?;
    let (listed, next) = cases::listed(&door.store, &filter, after.as_deref(), SHOWN).await?;
    shown(pages::cases(&listed, &filter, &paging::turn(after.as_deref(), next)))
}

async fn list_cases_behind(door: &Door, params: BehindParams) -> Page {
    let (asked, after) = behind::asked(params, door.clock.now()).map_err(Problem::unprocessable)?;
    let Found { total, cases, next } = behind::found(&door.store, &asked, after.as_ref()).await?;
    shown(pages::cases_behind(&asked, &total, &cases, next.as_deref(), after.is_none()))
}

async fn show_case(login: Login, door: web::Data<Door>, path: web::Path<(String, String)>) -> Page {
    login?.may(Scope::Report)?;
    let (customer, case) = path.into_inner();
    shown(pages::case(&cases::explained(&door, customer, case).await?))
}

async fn show_delivery(login: Login, door: web::Data<Door>, path: web::Path<(String, String)>) -> Page {
    login?.may(Scope::Report)?;
    let (source, id) = path.into_inner();
    shown(pages::delivery(&cases::delivery(&door, &source, &id).await?))
}

async fn list_invoices(login: Login, door: web::Data<Door>, params: web::Query<PageParams>) -> Page {
    login?.may(Scope::Billing)?;
    let after = params.after.as_deref();
    let (invoices, next) = billing::listed(&door, after, SHOWN).await?;
    shown(pages::invoices(&invoices, &paging::turn(after, next)))
}

async fn show_invoice(
    login: Login,
    door: web::Data<Door>,
    id: web::Path<String>,
    params: web::Query<PageParams>,
) -> Page {
    login?.may(Scope::Billing)?;
    let after: Option<(Option<i64>, String, i64)> = paging::place(params.after.as_deref())?;
    let after = after.map(|(position, case, seq)| ledger::Place { position, case, seq });
    let invoice =
        invoices::find(&door.store, &id).await?.ok_or_else(|| Problem::not_found("this invoice"))?;
    let (charges, next) =
        ledger::charges_on_invoice(&door.store, &invoice.id, after.as_ref(), SHOWN_CHARGES).await?;
    let next = next.map(|ledger::Place { position, case, seq }| paging::told((position, case, seq)));
    let link = chain::link_of_invoice(&door.store, &invoice.id).await?;
    let turn = paging::turn(params.after.as_deref(), next);
    shown(pages::invoice(&invoice, link.as_ref(), &charges, &turn))
}

async fn list_parked(login: Login, door: web::Data<Door>, params: web::Query<PageParams>) -> Page {
    login?.may(Scope::Admin)?;
    parked_page(&door, params.after.as_deref(), None).await
}

async fn parked_page(door: &Door, after: Option<&str>, said: Option<Said>) -> Page {
    let (items, next) = operations::listed(door, after, SHOWN).await?;
    let total = parked::count(&door.store, pages::COUNTED + 1).await?;
    let dropped =
        parked::dropped(&door.store).await?.iter().fold(0_i64, |sum, of| sum.saturating_add(of.things));
    shown(pages::parked(&items, total, dropped, said.as_ref(), &paging::turn(after, next)))
}

async fn replay_parked(login: Login, door: web::Data<Door>, id: web::Path<String>) -> Page {
    login?.may(Scope::Admin)?;
    let said = match operations::try_again(&door, &id).await? {
        Replayed::Done => in_line(),
        Replayed::NotFound => Said { went_well: false, text: "It is not parked any more.".into() },
        Replayed::StillFails(reason) => Said { went_well: false, text: format!("It still fails: {reason}") },
    };
    parked_page(&door, None, Some(said)).await
}

fn in_line() -> Said {
    Said { went_well: true, text: "It is done, or in line to be done.".into() }
}

async fn list_alerts(login: Login, door: web::Data<Door>, params: web::Query<PageParams>) -> Page {
    login?.may(Scope::Admin)?;
    let after = params.after.as_deref();
    let (alerts, next) = sources::alerts_after(&door, after, SHOWN).await?;
    shown(pages::alerts(&alerts, &paging::turn(after, next)))
}

async fn list_sources(login: Login, door: web::Data<Door>) -> Page {
    login?.may(Scope::Admin)?;
    sources_page(&door, None).await
}

async fn sources_page(door: &Door, said: Option<Said>) -> Page {
    let alerts = open_alerts(door).await?;
    let health: Vec<SourceHealth> = sources::looked_at(door).await?.into_iter().map(Into::into).collect();
    let quarantined = quarantine::list(&door.store, SHOWN).await?;
    shown(pages::sources(&alerts, &health, &quarantined, said.as_ref()))
}

async fn replay_quarantined(login: Login, door: web::Data<Door>, id: web::Path<String>) -> Page {
    login?.may(Scope::Admin)?;
    let said = match sources::try_again(&door, &id).await? {
        None => in_line(),
        Some(reason) => Said { went_well: false, text: format!("It is still refused: {reason}") },
    };
    sources_page(&door, Some(said)).await
}
