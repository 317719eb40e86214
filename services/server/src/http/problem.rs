//! Errors as `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::fmt;
use utoipa::ToSchema;
use verdict_store::StoreError;

/// What a caller is told when something cannot be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem.
    pub title: String,
    /// What is wrong, naming the field, and the remedy.
    pub detail: String,
    /// For each event of the request, in order, where the request had events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub results: Option<serde_json::Value>,
}

/// The same as an error of a handler.
#[derive(Debug)]
pub(crate) struct Problem(ProblemBody);

impl Problem {
    fn new(status: StatusCode, detail: String) -> Self {
        let title = status.canonical_reason().unwrap_or("Error").to_string();
        Self(ProblemBody { status: status.as_u16(), title, detail, results: None })
    }

    pub fn unprocessable(detail: String) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    pub fn bad_request(detail: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn too_large(detail: String) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub fn with_results(mut self, results: impl Serialize) -> Self {
        self.0.results = serde_json::to_value(results).ok();
        self
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} is not there"))
    }

    pub fn missing(detail: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn conflict(detail: String) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    pub fn unavailable(detail: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    pub fn unauthorised(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail.into())
    }

    pub fn forbidden(detail: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub fn unreadable(error: &actix_web::Error) -> Self {
        Self::new(error.as_response_error().status_code(), format!("the body cannot be read: {error}"))
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn title(&self) -> &str {
        &self.0.title
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.title, self.0.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.content_type("application/problem+json");
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header(("Retry-After", "30"));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header(("WWW-Authenticate", "Bearer"));
        }
        response.body(serde_json::to_string(&self.0).unwrap_or_default())
    }
}

impl From<StoreError> for Problem {
    /// The text of a database error stays in the log: it may tell more than a caller should know.
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a request failed");
        match error {
            StoreError::Transient(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the database is away or busy; send the same again later: nothing is counted twice".into(),
            ),
            StoreError::Refused(_) | StoreError::Corrupt(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "an error of the service's own; its log says more. Send the same again later".into(),
            ),
        }
    }
}

/// Answers what no route matches. Says no more than that, to anyone.
pub(crate) async fn not_found() -> HttpResponse {
    Problem::unauthorised("no such address, or no key: send `Authorization: Bearer KEY`").error_response()
}
