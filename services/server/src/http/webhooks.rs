//! The door of the webhook sources.

use super::Door;
use super::problem::{Problem, ProblemBody};
use super::read;
use crate::inbox::Item;
use actix_web::http::StatusCode;
use actix_web::http::header::RETRY_AFTER;
use actix_web::{HttpRequest, HttpResponse, ResponseError, post, web};
use verdict_resolution::source::{Challenge, Nack, Request};
use verdict_resolution::{Arrival, Refusal, WebhookEvent, look_at};
use verdict_store::StoreError;

/// The most bytes in a webhook delivery.
const MAX_DELIVERY: usize = 1024 * 1024;

/// Some platforms probe an address with HEAD before they use it. Whether there is such a source is told to nobody.
pub(super) fn probes(config: &mut web::ServiceConfig) {
    config.route("/webhooks/{source}", web::head().to(HttpResponse::Ok));
}

/// Takes a delivery of a webhook source: verified as its platform signs, stored, answered; read and judged after. The
/// headers and the body are the platform's; those shown here are of the platform `standard`. A delivery whose
/// signature does not match is kept in quarantine.
#[utoipa::path(
    security(()),
    request_body(content = WebhookEvent, content_type = "application/json"),
    params(
        ("source" = String, Path, description = "The source's name in the configuration"),
        ("webhook-id" = Option<String>, Header, description = "The delivery's id, the same on each retry"),
        ("webhook-timestamp" = Option<String>, Header, description = "Unix time in seconds, at most 5 minutes from now"),
        ("webhook-signature" = Option<String>, Header, description = "`v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`")
    ),
    responses(
        (status = 200, description = "A challenge, answered as the platform wants it", body = String, content_type = "text/plain"),
        (status = 202, description = "Stored, now or before"),
        (status = 400, description = "Signed, but without the id that its platform gives each delivery", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "Not signed by this source", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "More than 1 MiB", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "Send it again later (a platform may want another status)", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/webhooks/{source}")]
pub(super) async fn post_webhook(
    door: web::Data<Door>,
    source: web::Path<String>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    let body = read::bytes(body)?;
    if body.len() > MAX_DELIVERY {
        return Err(Problem::too_large(format!("the body has more than {MAX_DELIVERY} bytes")));
    }
    // Whether a source exists is not told to who cannot sign for it.
    let unsigned = || Problem::unauthorised("the delivery is not signed by this source");
    let sources = door.sources.now();
    let source = sources.get(source.as_str()).ok_or_else(unsigned)?;
    let header =
        |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(String::from);
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    let looked_at = Request { method: request.method().as_str(), query, header: &header, body: &body };
    match look_at(source, &looked_at, door.clock.now()) {
        Arrival::Challenge(challenge) => Ok(answer(challenge)),
        Arrival::Delivery(delivery) => match door.inbox.store(Item::Delivery(delivery)).await {
            Ok(()) => {
                door.worker.nudge();
                Ok(HttpResponse::Accepted().finish())
            }
            Err(error) => Ok(not_taken(source.nack(), error)),
        },
        Arrival::Refused(refused, refusal) => {
            tracing::warn!(source = source.name(), %refusal, "a delivery was refused");
            // Kept or not, the answer is the same.
            if let Err(error) = door.inbox.store(Item::Refused(refused)).await {
                tracing::warn!(source = source.name(), %error, "a refused delivery could not be kept");
            }
            Err(match refusal {
                Refusal::Signature(_) => unsigned(),
                Refusal::Id(error) => Problem::bad_request(error.to_string()),
            })
        }
    }
}

fn answer(challenge: Challenge) -> HttpResponse {
    let headers = [("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "default-src 'none'")];
    let mut response = HttpResponse::Ok();
    for header in headers {
        response.insert_header(header);
    }
    response.content_type(challenge.content_type).body(challenge.value)
}

/// What makes this platform send it again.
fn not_taken(nack: Nack, error: StoreError) -> HttpResponse {
    let mut response = Problem::from(error).error_response();
    if let Ok(status) = StatusCode::from_u16(nack.status) {
        *response.status_mut() = status;
    }
    response.headers_mut().remove(RETRY_AFTER);
    if let Some(seconds) = nack.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
