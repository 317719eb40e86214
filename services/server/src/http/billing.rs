//! Contracts in, invoices out.

use super::Door;
use super::access::{Caller, Scope};
use super::paging::{self, PageParams};
use super::problem::{Problem, ProblemBody};
use super::read;
use crate::contract::{self, Format};
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_billing::{ApproveError, approve};
use verdict_domain::invoice::Line;
use verdict_domain::judge::WinKind;
use verdict_domain::money::minor_decimal;
use verdict_domain::time::Timestamp;
use verdict_store::contracts;
use verdict_store::invoices::{self, Invoice, Place};

/// Puts a contract version. A version that a charge or a period rests on cannot change: put the next one.
#[utoipa::path(
    request_body(content((Object = "application/json"), (String = "application/toml"))),
    responses(
        (status = 201, description = "Recorded"),
        (status = 200, description = "The very same version is there already"),
        (status = 409, description = "The version is in use, or the currency differs", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Not a contract", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/contracts")]
pub(super) async fn post_contract(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let body = read::bytes(body)?;
    let content_type =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = if content_type.starts_with(verdict_intake::JSON) { Format::Json } else { Format::Toml };
    let text =
        std::str::from_utf8(&body).map_err(|error| Problem::unprocessable(format!("not UTF-8: {error}")))?;
    let contract = contract::read(format, text).map_err(Problem::unprocessable)?;
    let put = contract::put(&door.store, &contract, door.clock.now()).await?;
    door.worker.nudge();
    match put {
        Ok(true) => Ok(HttpResponse::Created().json(contract)),
        Ok(false) => Ok(HttpResponse::Ok().json(contract)),
        Err(reason) => Err(Problem::conflict(reason)),
    }
}

/// Lists all contract versions.
#[utoipa::path(responses((status = 200, description = "By customer and version", body = Vec<Object>)))]
#[get("/v1/contracts")]
pub(super) async fn list_contracts(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    Ok(HttpResponse::Ok().json(contracts::list(&door.store).await?))
}

/// An invoice.
#[derive(Serialize, ToSchema)]
struct InvoiceBody {
    id: String,
    /// `invoice` or `credit_note`.
    kind: &'static str,
    /// Of a credit note (and of a trial's correction), the invoice that it corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
    /// `draft` (waits for approval), `final`, or `shadow` (a trial: never charged).
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    approved_by: Option<String>,
    customer: String,
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    /// The first moment after the period.
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    currency: &'static str,
    /// The sum of the lines, in the currency's minor units.
    total_minor: i64,
    /// The same as a decimal.
    total: String,
    lines: Vec<LineBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_invoice: Option<String>,
    /// As Stripe calls it; absent if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_status: Option<String>,
    /// What was paid, as Stripe said when it was asked last; absent while it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_minor: Option<i64>,
    /// What is still to be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining_minor: Option<i64>,
    /// When Stripe said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stripe_checked_at: Option<Timestamp>,
}

/// A line of an invoice.
#[derive(Serialize, ToSchema)]
pub(super) struct LineBody {
    number: u32,
    /// When the period begins that it is about: the invoice's own, or an earlier one that is corrected.
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    /// `outcomes`, `fee`, `assumed_beyond_share`, `discount`, `minimum`, `beyond_cap`, `model_cost`, `mark_up` or `credits`.
    item: &'static str,
    /// The action, the name of the fee, or the id of the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// `confirmed` or `assumed`, where it is outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// 0 for prepaid credits.
    contract_version: u32,
    /// How many: outcomes, less those taken back.
    quantity: i64,
    /// The exact sum in nanos (10^-9).
    amount_nanos: i64,
    /// The same rounded to minor units.
    amount_minor: i64,
    /// How the amount came to be.
    why: String,
}

impl From<Line> for LineBody {
    fn from(line: Line) -> Self {
        Self {
            number: line.number,
            period_start: line.period_start,
            item: line.item.sort(),
            action: line.item.name().map(String::from),
            kind: line.item.win().map(WinKind::as_str),
            contract_version: line.contract_version,
            quantity: line.quantity,
            amount_nanos: line.amount.nanos,
            amount_minor: line.minor,
            why: line.why,
        }
    }
}

impl From<Invoice> for InvoiceBody {
    fn from(invoice: Invoice) -> Self {
        Self {
            total: minor_decimal(invoice.total_minor, invoice.currency),
            id: invoice.id,
            kind: invoice.kind.as_str(),
            corrects: invoice.corrects,
            state: invoice.state.as_str(),
            approved_by: invoice.approved.map(|(_, by)| by),
            customer: invoice.customer,
            period_start: invoice.period.start,
            period_end: invoice.period.end,
            currency: invoice.currency.code(),
            total_minor: invoice.total_minor,
            lines: invoice.lines.into_iter().map(LineBody::from).collect(),
            stripe_invoice: invoice.stripe_id,
            stripe_status: invoice.stripe_status,
            paid_minor: invoice.payment.map(|payment| payment.paid_minor),
            remaining_minor: invoice.payment.map(|payment| payment.remaining_minor),
            stripe_checked_at: invoice.payment.map(|payment| payment.checked_at),
        }
    }
}

/// Lists invoices, 1,000 a page: the header `Link` leads to the next one.
#[utoipa::path(
    params(PageParams),
    responses(
        (status = 200, description = "The newest first", body = Vec<InvoiceBody>),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/invoices")]
pub(super) async fn list_invoices(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    params: web::Query<PageParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let (invoices, next) = listed(&door, params.after.as_deref(), 1_000).await?;
    Ok(paging::listed(&request, invoices.into_iter().map(InvoiceBody::from).collect::<Vec<_>>(), next))
}

/// A page of the invoices, and where the next one begins.
pub(super) async fn listed(
    door: &Door,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Invoice>, Option<String>), Problem> {
    let after: Option<(i64, String)> = paging::place(after)?;
    let after = after.map(|(start, id)| Place { period_start: Timestamp(start), id });
    let mut invoices = invoices::list(&door.store, after.as_ref(), limit + 1).await?;
    let next = paging::cut(&mut invoices, limit, |last| (last.period.start.0, last.id.clone()));
    Ok((invoices, next))
}

/// Shows one invoice.
#[utoipa::path(
    params(("id" = String, Path, description = "The invoice's id")),
    responses(
        (status = 200, body = InvoiceBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/invoices/{id}")]
pub(super) async fn get_invoice(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let invoice = invoices::find(&door.store, &id).await?;
    let invoice = invoice.ok_or_else(|| Problem::not_found("this invoice"))?;
    Ok(HttpResponse::Ok().json(InvoiceBody::from(invoice)))
}

/// What was looked at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Approval {
    /// What the draft totalled then, in minor units: refused if it has changed since.
    total_minor: i64,
}

/// Approves a draft: it becomes final, and goes to Stripe if a key is set.
#[utoipa::path(
    params(("id" = String, Path, description = "The invoice's id")),
    request_body = Approval,
    responses(
        (status = 200, body = InvoiceBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "Not a draft, or it has changed since", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/invoices/{id}/approve")]
pub(super) async fn approve_invoice(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let approval: Approval = read::json(body)?;
    let (seen, by, now) = (Some(approval.total_minor), caller.author(), door.clock.now());
    match approve(&door.store, &id, seen, &by, now, door.worker.bills_at_stripe()).await {
        Ok(invoice) => {
            door.worker.nudge();
            Ok(HttpResponse::Ok().json(InvoiceBody::from(invoice)))
        }
        Err(error @ ApproveError::Unknown(_)) => Err(Problem::missing(error.to_string())),
        Err(ApproveError::Store(error)) => Err(error.into()),
        Err(error) => Err(Problem::conflict(error.to_string())),
    }
}
