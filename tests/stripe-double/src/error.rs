//! Refusals, in the form in which Stripe words them.

use serde_json::{Map, Value, json};

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    pub status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    message: String,
    param: Option<String>,
    /// Whether the answer is kept for the idempotency key: it is once the call has begun to be carried out, not
    /// when its parameters alone were wrong.
    pub kept: bool,
}

impl ApiError {
    fn invalid_request(status: u16, code: Option<&'static str>, message: String) -> Self {
        Self { status, kind: "invalid_request_error", code, message, param: None, kept: false }
    }

    fn about(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// A parameter that is wrong in itself.
    pub fn parameter(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self::invalid_request(400, Some(code), message.into()).about(param)
    }

    /// A parameter that names something that is not there.
    pub fn dangling(what: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::invalid_request(400, Some("resource_missing"), message).about(param).kept()
    }

    /// A path that names something that is not there.
    pub fn not_found(what: &str, id: &str) -> Self {
        let message = format!("No such {what}: '{id}'");
        Self::invalid_request(404, Some("resource_missing"), message).about("id").kept()
    }

    /// A call that does not fit the state that the object is in.
    pub fn state(code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self::invalid_request(400, code, message.into()).kept()
    }

    pub fn no_route(method: &str, path: &str) -> Self {
        let message =
            format!("Unrecognized request URL ({method}: {path}). The double knows only some of Stripe's.");
        Self::invalid_request(404, None, message)
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::invalid_request(401, None, message.into())
    }

    pub fn rate_limited() -> Self {
        let message =
            "Request rate limit exceeded. You can learn more about rate limits in the API documentation.";
        Self::invalid_request(429, Some("rate_limit"), message.to_owned())
    }

    pub fn key_in_use(key: &str) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Idempotency Key: {key}. Please try again later."
        );
        Self::invalid_request(409, Some("idempotency_key_in_use"), message)
    }

    pub fn key_of_another_call(message: String) -> Self {
        Self { kind: "idempotency_error", ..Self::invalid_request(400, None, message) }
    }

    pub fn internal() -> Self {
        let message = "An unknown error occurred. The double was told to fail here.".to_owned();
        Self { kind: "api_error", ..Self::invalid_request(500, None, message) }.kept()
    }

    pub fn body(&self) -> Value {
        let mut error = Map::new();
        error.insert("type".to_owned(), json!(self.kind));
        error.insert("message".to_owned(), json!(self.message));
        if let Some(code) = self.code {
            error.insert("code".to_owned(), json!(code));
        }
        if let Some(param) = &self.param {
            error.insert("param".to_owned(), json!(param));
        }
        json!({ "error": error })
    }
}
