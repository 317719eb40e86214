//! Prepaid credits.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use actix_web::{HttpResponse, get, post, web};
use serde::Serialize;
use utoipa::ToSchema;
use verdict_billing::{GrantError, GrantRequest, grant};
use verdict_domain::money::minor_decimal;
use verdict_domain::time::Timestamp;
use verdict_store::grants;

/// Grants prepaid credits to a customer: the next invoices draw them, what expires first is drawn first. The amount is a decimal in the currency of the
/// customer's contract.
#[utoipa::path(
    request_body = Object,
    responses(
        (status = 201, description = "Granted"),
        (status = 200, description = "The very same were granted before"),
        (status = 409, description = "Another grant has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/credits")]
pub(super) async fn post_credits(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let request: GrantRequest = read::json(body)?;
    match grant(&door.store, &request, door.clock.now()).await {
        Ok(true) => Ok(HttpResponse::Created().json(request)),
        Ok(false) => Ok(HttpResponse::Ok().json(request)),
        Err(GrantError::Invalid(detail)) => Err(Problem::unprocessable(detail)),
        Err(GrantError::Conflict(detail)) => Err(Problem::conflict(detail)),
        Err(GrantError::Store(error)) => Err(error.into()),
    }
}

/// A grant and what is left of it.
#[derive(Serialize, ToSchema)]
struct GrantBody {
    id: String,
    currency: &'static str,
    /// What was granted, as a decimal.
    amount: String,
    /// What invoices have drawn of it.
    drawn: String,
    /// What is left.
    left: String,
    #[schema(value_type = String, format = DateTime)]
    effective_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Lists a customer's grants with what is left of each.
#[utoipa::path(
    params(("customer" = String, Path, description = "The customer")),
    responses((status = 200, body = Vec<GrantBody>))
)]
#[get("/v1/customers/{customer}/credits")]
pub(super) async fn list_credits(
    caller: Caller,
    door: web::Data<Door>,
    customer: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let grants = grants::list(&door.store, &customer).await?;
    let body = |(recorded, drawn): (grants::Recorded, i64)| {
        let shown = |minor: i64| minor_decimal(minor, recorded.currency);
        GrantBody {
            currency: recorded.currency.code(),
            amount: shown(recorded.grant.minor),
            drawn: shown(drawn),
            left: shown(recorded.grant.minor.saturating_sub(drawn)),
            id: recorded.grant.id,
            effective_at: recorded.grant.effective_at,
            expires_at: recorded.grant.expires_at,
            note: recorded.note,
        }
    };
    Ok(HttpResponse::Ok().json(grants.into_iter().map(body).collect::<Vec<_>>()))
}
