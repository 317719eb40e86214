//! What comes back from Stripe: its events, and which of its customers is whose.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use crate::clock::wall_clock;
use crate::inbox::Item;
use actix_web::{HttpRequest, HttpResponse, post, put, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_billing::{NotLinked, link_customer, read_event};
use verdict_resolution::source::Request;

/// The most bytes in an event.
const MAX_EVENT: usize = 1024 * 1024;

/// Takes an event of Stripe's: verified, stored, answered; its object is asked for after. The same event again is answered
/// the same and stored no second time.
#[utoipa::path(
    security(()),
    request_body(content = Object, content_type = "application/json"),
    params(("Stripe-Signature" = String, Header, description = "As Stripe signs: `t=…,v1=…`, at most 5 minutes from now")),
    responses(
        (status = 202, description = "Stored, now or before"),
        (status = 400, description = "Signed, but no event", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "Not signed with any of `stripe_webhook_secrets`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "More than 1 MiB", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`stripe_webhook_secrets` is not set, or the database is away: send it again later", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/webhooks/stripe")]
pub(super) async fn post_stripe_event(
    door: web::Data<Door>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let Some(source) = &door.stripe_events else {
        return Err(Problem::unavailable(
            "stripe_webhook_secrets is not set: give it the signing secret (whsec_…) of this address at Stripe"
                .into(),
        ));
    };
    let body = read::bytes(body)?;
    if body.len() > MAX_EVENT {
        return Err(Problem::too_large(format!("the body has more than {MAX_EVENT} bytes")));
    }
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let looked_at = Request { method: "POST", query: None, header: &header, body: &body };
    // Stripe knows no test clock. What is refused is not kept: Stripe sends it again for days, and shows it.
    if let Err(refusal) = source.verify(&looked_at, wall_clock()) {
        tracing::warn!(%refusal, "an event of Stripe's was refused");
        return Err(Problem::unauthorised(
            "the event is not signed with any of stripe_webhook_secrets, or too long ago",
        ));
    }
    let event = read_event(&body, wall_clock()).map_err(Problem::bad_request)?;
    door.inbox.store(Item::Stripe(event)).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Which of Stripe's customers is ours.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    /// Its id at Stripe, `cus_…`.
    stripe_customer: String,
}

/// Says which of Stripe's customers is ours, in the place of any before.
#[utoipa::path(
    request_body = LinkBody,
    params(("customer" = String, Path, description = "Our customer")),
    responses(
        (status = 200, body = LinkBody),
        (status = 409, description = "It is another customer's", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "Stripe has no such customer", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Stripe cannot be asked now", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[put("/v1/customers/{customer}/stripe")]
pub(super) async fn put_stripe_customer(
    caller: Caller,
    door: web::Data<Door>,
    customer: web::Path<String>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let body: LinkBody = read::json(body)?;
    let (store, stripe) = (&door.store, door.worker.stripe());
    match link_customer(store, stripe, &customer, &body.stripe_customer, wall_clock()).await {
        Ok(()) => Ok(HttpResponse::Ok().json(body)),
        Err(NotLinked::Store(error)) => Err(error.into()),
        Err(error @ NotLinked::NoSuch(_)) => Err(Problem::unprocessable(format!("stripe_customer: {error}"))),
        Err(error @ NotLinked::Taken(_)) => Err(Problem::conflict(format!("stripe_customer: {error}"))),
        Err(error @ NotLinked::Unasked(_)) => Err(Problem::unavailable(error.to_string())),
    }
}
