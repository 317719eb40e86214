//! Sending one call and telling its answers apart.
//!
//! async-stripe's own client keeps the header `Retry-After` to itself and cannot tell some answers apart
//! (docs/adr/0016): its requests are sent from here.

use super::StripeError;
use chrono::DateTime;
use miniserde::{Deserialize, json};
use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use stripe_client_core::{RequestBuilder, StripeMethod, VERSION};

const STRIPE: &str = "https://api.stripe.com/";

/// Longer than this Stripe is not left alone, whatever it asks for.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// What carries calls.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    client: reqwest::Client,
    base: Url,
    authorization: HeaderValue,
    timeout: Duration,
}

impl Wire {
    /// It trusts Mozilla's certificate authorities and follows no redirect. The error says why there can be none.
    pub fn new(secret_key: &str, base_url: Option<&str>, timeout: Duration) -> Result<Self, String> {
        // Joined paths replace what comes after the last slash.
        let base =
            base_url.map_or_else(|| STRIPE.to_owned(), |url| format!("{}/", url.trim_end_matches('/')));
        let base = Url::parse(&base).map_err(|error| format!("the base URL: {error}"))?;
        if base.cannot_be_a_base() || !matches!(base.scheme(), "http" | "https") {
            return Err("the base URL: it is neither http nor https".to_owned());
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {secret_key}"))
            .map_err(|_| "the secret key has characters that no header can carry".to_owned())?;
        authorization.set_sensitive(true);
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(reqwest::redirect::Policy::none())
            // Each call is sent once: whether to send again is decided where keys are known.
            .retry(reqwest::retry::never())
            .user_agent(concat!("verdict/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("HTTP client: {error}"))?;
        Ok(Self { client, base, authorization, timeout })
    }

    /// Sends a call once, and reads what of its answer is wanted.
    pub async fn send<T: Deserialize>(
        &self,
        request: RequestBuilder,
        key: Option<&str>,
    ) -> Result<T, StripeError> {
        let RequestBuilder { query, body, path, method } = request;
        let mut url = self
            .base
            .join(&format!("v1{path}"))
            .map_err(|error| cannot_be_sent(format!("the path {path:?}: {error}")))?;
        url.set_query(query.as_deref().filter(|query| !query.is_empty()));
        let method = match method {
            StripeMethod::Get => reqwest::Method::GET,
            StripeMethod::Post => reqwest::Method::POST,
            StripeMethod::Delete => reqwest::Method::DELETE,
        };
        let mut call = self
            .client
            .request(method, url)
            .timeout(self.timeout)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(HeaderName::from_static("stripe-version"), VERSION.as_str());
        if let Some(key) = key {
            call = call.header(HeaderName::from_static("idempotency-key"), key);
        }
        if let Some(body) = body {
            call = call.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = call.send().await.map_err(unanswered)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.map_err(unanswered)?;
        let text = std::str::from_utf8(&body).unwrap_or_default();
        if (200..300).contains(&status) {
            return json::from_str(text)
                .map_err(|_| StripeError::unknown(format!("the answer ({status}) cannot be read")));
        }
        Err(refusal(status, retry_after(&headers), json::from_str(text).ok()))
    }
}

/// The form of Stripe's errors.
#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorReply,
}

#[derive(Deserialize)]
struct ErrorReply {
    message: Option<String>,
    code: Option<String>,
}

fn cannot_be_sent(why: String) -> StripeError {
    StripeError::Refused { status: 400, code: None, message: format!("the call cannot be sent: {why}") }
}

/// What is known of a call that got no answer.
fn unanswered(error: reqwest::Error) -> StripeError {
    let error = error.without_url();
    if error.is_builder() {
        return cannot_be_sent(error.to_string());
    }
    if error.is_connect() {
        return StripeError::NotNow { retry_after: None, message: "no connection to Stripe".to_owned() };
    }
    let message = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
    StripeError::unknown(message)
}

/// What an answer that is no success means. Without Stripe's own form of an error it is from something in between,
/// which may have handed the call on: only for what says that it did not is the outcome known.
fn refusal(status: u16, retry_after: Option<Duration>, body: Option<ErrorBody>) -> StripeError {
    let from_stripe = body.is_some();
    let ErrorReply { message, code } =
        body.map_or(ErrorReply { message: None, code: None }, |body| body.error);
    let message = message.unwrap_or_else(|| format!("an answer with status {status}"));
    match status {
        429 => StripeError::NotNow { retry_after, message },
        401 | 403 => StripeError::NotNow { retry_after: None, message },
        409 if from_stripe => StripeError::NotNow { retry_after: None, message },
        // 408 and 424: something gave up on waiting, on this side or behind Stripe.
        400..500 if from_stripe && status != 408 && status != 424 => {
            StripeError::Refused { status, code, message }
        }
        503 => StripeError::Unknown { retry_after, message: format!("503: {message}") },
        _ => StripeError::unknown(format!("{status}: {message}")),
    }
}

/// How long the answer asks to wait: seconds, or a date, which is held against the answer's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let asked = text(RETRY_AFTER)?;
    let seconds = match asked.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let until = DateTime::parse_from_rfc2822(asked).ok()?;
            let now = DateTime::parse_from_rfc2822(text(DATE)?).ok()?;
            u64::try_from((until - now).num_seconds()).unwrap_or(0)
        }
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(HeaderName, &'static str)]) -> Option<u64> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        retry_after(&headers).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_a_date() {
        let date = (DATE, "Sun, 22 Nov 2026 08:00:00 GMT");
        assert_eq!(asked(&[(RETRY_AFTER, "17")]), Some(17));
        assert_eq!(asked(&[(RETRY_AFTER, "86400")]), Some(3_600));
        let until = (RETRY_AFTER, "Sun, 22 Nov 2026 08:02:30 GMT");
        assert_eq!(asked(&[until.clone(), date.clone()]), Some(150));
        assert_eq!(asked(&[until]), None, "without a date of its own there is nothing to hold it against");
        assert_eq!(asked(&[(RETRY_AFTER, "Sun, 22 Nov 2026 07:00:00 GMT"), date.clone()]), Some(0));
        assert_eq!(asked(&[(RETRY_AFTER, "Mon, 23 Nov 2026 08:00:00 GMT"), date.clone()]), Some(3_600));
        assert_eq!(asked(&[(RETRY_AFTER, "soon"), date]), None);
        assert_eq!(asked(&[]), None);
    }

    /// The kind of an error, and the wait it asks for.
    fn kind(status: u16, stripes: bool) -> (char, Option<u64>) {
        let body = stripes.then_some(ErrorBody { error: ErrorReply { message: None, code: None } });
        let seconds = |wait: Option<Duration>| wait.map(|wait| wait.as_secs());
        match refusal(status, Some(Duration::from_secs(9)), body) {
            StripeError::Refused { .. } => ('R', None),
            StripeError::NotNow { retry_after, .. } => ('N', seconds(retry_after)),
            StripeError::Unknown { retry_after, .. } => ('U', seconds(retry_after)),
        }
    }

    #[test]
    fn each_answer_is_of_one_kind() {
        for (status, stripes, gateways) in [
            (302, ('U', None), ('U', None)),
            (400, ('R', None), ('U', None)),
            (401, ('N', None), ('N', None)),
            (402, ('R', None), ('U', None)),
            (403, ('N', None), ('N', None)),
            (404, ('R', None), ('U', None)),
            (408, ('U', None), ('U', None)),
            (409, ('N', None), ('U', None)),
            (424, ('U', None), ('U', None)),
            (429, ('N', Some(9)), ('N', Some(9))),
            (500, ('U', None), ('U', None)),
            (502, ('U', None), ('U', None)),
            (503, ('U', Some(9)), ('U', Some(9))),
            (504, ('U', None), ('U', None)),
        ] {
            assert_eq!([kind(status, true), kind(status, false)], [stripes, gateways], "{status}");
        }
    }
}
