//! Asking a platform over HTTP: one request, one answer, told apart by what to do next.

use crate::source::HttpRequest;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;
use verdict_domain::time::Span;

/// The most bytes of an answer.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// A client of platforms. It follows no redirect: credentials go where they were meant to go.
#[derive(Clone)]
pub struct Client(reqwest::Client);

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What was asked for.
    Document(Vec<u8>),
    /// It may be had later: after so long, where the platform says so.
    Later(String, Option<Span>),
    /// It is not to be had: a person must look.
    Never(String),
}

impl Client {
    /// A client that trusts Mozilla's certificate authorities. The error says why there can be none.
    pub fn new() -> Result<Self, String> {
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
            .user_agent(concat!("verdict/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("HTTP client: {error}"))?;
        Ok(Self(client))
    }

    /// Asks.
    pub(crate) async fn ask(&self, request: &HttpRequest) -> Answer {
        let Ok(method) = request.method.as_str().parse::<reqwest::Method>() else {
            return Answer::Never(format!("method: `{}` is none", request.method.as_str()));
        };
        let timeout = Duration::from_micros(u64::try_from(request.timeout.0).unwrap_or_default());
        let mut asked = self.0.request(method, &request.url).timeout(timeout);
        for (name, value) in &request.headers {
            asked = asked.header(name, value);
        }
        if let Some(body) = &request.body {
            asked = asked.body(body.clone());
        }
        let mut response = match asked.send().await {
            Ok(response) => response,
            Err(error) if error.is_builder() => return Answer::Never(format!("the request: {error}")),
            Err(error) => return Answer::Later(error.without_url().to_string(), None),
        };
        let status = response.status();
        if !status.is_success() {
            let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
            let after = after.and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds >= 0);
            let after = after.map(|seconds| Span(seconds.min(86_400) * 1_000_000));
            let reason = format!("the platform answered {status}");
            return match status.as_u16() {
                // A credential can be mended, a limit passes.
                401 | 403 | 408 | 425 | 429 | 500..=599 => Answer::Later(reason, after),
                _ => Answer::Never(reason),
            };
        }
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MAX_ANSWER => {
                    return Answer::Never(format!("the answer has more than {MAX_ANSWER} bytes"));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Answer::Document(body),
                Err(error) => return Answer::Later(error.without_url().to_string(), None),
            }
        }
    }
}
