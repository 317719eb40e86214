//! Voiding an invoice at Stripe.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpResponse, post, web};
use verdict_billing::VoidAsked;

/// Asks to void an invoice at Stripe, where it must be open or uncollectible. What is billed here stays as it is: the
/// invoice remains, and what changes later is a difference to it.
#[utoipa::path(
    params(("id" = String, Path, description = "The invoice's id")),
    responses(
        (status = 202, description = "It is in line; `stripe_status` becomes `void`"),
        (status = 200, description = "It was asked for before"),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It is no invoice, or not at Stripe", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/invoices/{id}/void")]
pub(super) async fn void_invoice(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    match verdict_billing::void(&door.store, &id).await? {
        VoidAsked::Queued => {
            door.worker.nudge();
            Ok(HttpResponse::Accepted().finish())
        }
        VoidAsked::Before(_) => Ok(HttpResponse::Ok().finish()),
        VoidAsked::NotFound => Err(Problem::not_found("this invoice")),
        VoidAsked::Refused(why) => Err(Problem::conflict(format!("the invoice cannot be voided: {why}"))),
    }
}
