//! Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body` (github.com/standard-webhooks/standard-webhooks,
//! `spec/standard-webhooks.md`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use verdict_domain::time::Timestamp;

/// How far a delivery's timestamp may be from now, either way: the specification's advice.
const TOLERANCE_MICROS: u64 = 300 * 1_000_000;
/// More than any sender has secrets in rotation.
const MOST_SIGNATURES: usize = 10;
/// The specification's least length of a secret.
const LEAST_SECRET_BYTES: usize = 24;

/// A source of webhooks, with the secrets that it may sign with.
#[derive(Clone)]
pub struct Source {
    name: String,
    secrets: Vec<Vec<u8>>,
}

/// A source that is not safe to run with; the operator must mend the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source `{source_name}`: {problem}")]
pub struct SourceError {
    source_name: String,
    problem: String,
}

/// Why a delivery is refused. The sender sees no more than that it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing or cannot be read.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// Too old, or from the future: perhaps a replay.
    #[error("the timestamp is more than 5 minutes away from now")]
    Timestamp,
    /// No secret of the source made this signature.
    #[error("no signature matches")]
    Mismatch,
}

/// What a good signature tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The sender's id of the delivery.
    pub id: String,
    /// Which secret matched, counted from 1.
    pub secret: usize,
}

impl Source {
    /// A source that signs with one of `secrets` (`whsec_` and base64). Several allow for rotation: all are tried.
    pub fn new(name: &str, secrets: &[String]) -> Result<Self, SourceError> {
        let fault = |problem: &str| SourceError { source_name: name.into(), problem: problem.into() };
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
            return Err(fault("its name must be 1 to 64 lower-case letters, digits, `-` or `_`"));
        }
        if matches!(name, "api" | "attempt") {
            return Err(fault("this name is taken by the service's own doors"));
        }
        if secrets.is_empty() {
            return Err(fault("has no secret; make one of 32 random bytes"));
        }
        let mut decoded = Vec::new();
        for secret in secrets {
            let bytes = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.ok_or_else(|| fault("a secret must be `whsec_` and base64"))?;
            if bytes.len() < LEAST_SECRET_BYTES {
                return Err(fault("a secret is shorter than 24 bytes; make one of 32 random bytes"));
            }
            decoded.push(bytes);
        }
        Ok(Self { name: name.into(), secrets: decoded })
    }

    /// Its name: the last part of its address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Verifies a delivery over its raw bytes, in constant time per secret.
    pub(crate) fn verify(
        &self,
        header: impl Fn(&str) -> Option<String>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Verified, BadSignature> {
        let id = header("webhook-id").filter(|id| printable(id)).ok_or(BadSignature::Header("webhook-id"))?;
        let timestamp = header("webhook-timestamp").ok_or(BadSignature::Header("webhook-timestamp"))?;
        let signatures = header("webhook-signature").ok_or(BadSignature::Header("webhook-signature"))?;
        // Plain digits only: what is signed is this very text.
        let seconds: Option<i64> = Some(&timestamp)
            .filter(|text| text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let seconds = seconds.ok_or(BadSignature::Header("webhook-timestamp"))?;
        if now.0.abs_diff(seconds * 1_000_000) > TOLERANCE_MICROS {
            return Err(BadSignature::Timestamp);
        }
        let mut matched = None;
        for (nth, secret) in self.secrets.iter().enumerate() {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { continue };
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            // The body is gone through once a secret, however many signatures a stranger sends.
            mac.update(body);
            let given = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
            for signature in given.take(MOST_SIGNATURES) {
                let Ok(signature) = STANDARD.decode(signature) else { continue };
                if mac.clone().verify_slice(&signature).is_ok() && matched.is_none() {
                    matched = Some(nth + 1);
                }
            }
        }
        matched.map(|secret| Verified { id, secret }).ok_or(BadSignature::Mismatch)
    }
}

/// An id becomes part of a fact's id and is shown to people.
fn printable(id: &str) -> bool {
    (1..=128).contains(&id.chars().count()) && !id.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries' own tests.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &str = r#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const AT: i64 = 1_614_265_330;

    fn verify(
        signature: &str,
        timestamp: &str,
        body: &str,
        now_seconds: i64,
    ) -> Result<Verified, BadSignature> {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_string();
        let source =
            Source::new("support", &[other, SECRET.to_string()]).map_err(|_| BadSignature::Mismatch)?;
        let header = |name: &str| match name {
            "webhook-id" => Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_string()),
            "webhook-timestamp" => Some(timestamp.to_string()),
            "webhook-signature" => Some(signature.to_string()),
            _ => None,
        };
        source.verify(header, body.as_bytes(), Timestamp(now_seconds * 1_000_000))
    }

    #[test]
    fn a_good_signature_is_found_among_several_and_by_the_second_secret() {
        let verified = verify(&format!("v1,AAAA v2,x {SIGNATURE}"), "1614265330", BODY, AT);
        assert_eq!(verified.map(|verified| verified.secret), Ok(2));
        assert!(verify(SIGNATURE, "1614265330", BODY, AT + 300).is_ok());
    }

    #[test]
    fn what_is_not_signed_so_is_refused() {
        assert_eq!(verify(SIGNATURE, "1614265330", "{}", AT), Err(BadSignature::Mismatch));
        assert_eq!(verify("", "1614265330", BODY, AT), Err(BadSignature::Mismatch));
        assert_eq!(verify(SIGNATURE, "1614265331", BODY, AT), Err(BadSignature::Mismatch));
        assert_eq!(verify(SIGNATURE, "1614265330", BODY, AT + 301), Err(BadSignature::Timestamp));
        assert_eq!(verify(SIGNATURE, "1614265330", BODY, AT - 301), Err(BadSignature::Timestamp));
        for odd in ["+1614265330", " 1614265330", "1614265330.0", "", "99999999999999999999"] {
            assert_eq!(
                verify(SIGNATURE, odd, BODY, AT),
                Err(BadSignature::Header("webhook-timestamp")),
                "{odd}"
            );
        }
    }

    #[test]
    fn unsafe_sources_are_refused() {
        for secrets in [vec![], vec![""], vec!["whsec_"], vec!["whsec_c2hvcnQ="], vec!["plain"]] {
            let secrets: Vec<String> = secrets.into_iter().map(String::from).collect();
            assert!(Source::new("support", &secrets).is_err(), "{secrets:?}");
        }
        for name in ["", "api", "attempt", "Up", "a/b"] {
            assert!(Source::new(name, &[SECRET.to_string()]).is_err(), "{name}");
        }
    }
}
