//! Sources of webhooks as data: how a platform signs, what its bodies mean, and how it can be asked.
//!
//! A *scheme* says how deliveries are signed, a *platform* how bodies are read, a *source* is one address
//! (`/webhooks/NAME`) with its secrets and settings. Schemes and platforms are TOML: those that come with the service
//! are read from the same form as an operator's own. A platform that no code knows takes a file and nothing else.
//!
//! Nothing here reads a clock, a file or the network.

mod ask;
mod catalogue;
mod check;
mod condition;
mod config;
mod encoding;
mod moment;
mod operand;
mod outgoing;
mod platform;
mod read;
mod sample;
mod scheme;
mod secret;
mod template;
mod value;
mod verify;

#[cfg(test)]
mod tests;

pub use ask::{Fetch, Method, Poll};
pub use catalogue::{Catalogue, ConfigError, Definitions, SourcesFile};
pub use check::{Finding, Severity, lint};
pub use condition::Condition;
pub use config::{SourceConfig, Tolerance};
pub use encoding::Encoding;
pub use moment::TimeFormat;
pub use operand::{Operand, Operands, Pointer};
pub use outgoing::{HttpRequest, PollPage};
pub use platform::{ChallengeRule, Each, Expected, Nack, Platform, Rule, RuleOutcome, Sample, Via, When};
pub use read::{Draft, Event, Origin, Outcome, Quarantine, Stored};
pub use sample::{SampleResult, run_samples};
pub use scheme::{Format, Hash, KeyForm, Scheme, SchemeKind, Signed};
pub use secret::SecretConfig;
pub use template::Template;
pub use value::{Literal, Setting, Settings};
pub use verdict_domain::fact::Strength;
pub use verify::{BadSignature, Verified};

use encoding::by_digest;
use operand::{Part, Scope};
use read::{body_id, challenge_value};
use secret::Key;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use verdict_domain::time::{Span, Timestamp};
use verify::valid_id;

/// A source that is not safe to run with; the operator must mend the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("source `{source_name}`: {problem}")]
pub struct SourceError {
    source_name: String,
    problem: String,
}

/// A delivery that names itself in a header, and the header is not there: the sender must mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the delivery has no id: {0} is missing or malformed")]
pub struct MissingId(pub String);

/// A delivery at the door.
pub struct Request<'a> {
    /// `POST`, in upper case.
    pub method: &'a str,
    /// What stands after the `?` of its address.
    pub query: Option<&'a str>,
    /// Looks a header up; the case of the name must not matter.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// What answers a platform's question whether the address is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The body of the answer, with status 200.
    pub value: String,
    /// Its content type.
    pub content_type: String,
    /// Whether it is answered only after [`Source::verify`] has found the signature good.
    pub signed: bool,
}

/// A source, ready for deliveries. Cheap to clone.
#[derive(Clone)]
pub struct Source(Arc<Parts>);

#[derive(Clone)]
struct Parts {
    name: String,
    platform_name: String,
    platform: Arc<Platform>,
    scheme: Arc<Scheme>,
    keys: Vec<Key>,
    settings: Settings,
    credentials: BTreeMap<String, String>,
    customers: BTreeMap<String, String>,
    public_url: Option<String>,
    tolerance: Tolerance,
    silent_after: Option<Span>,
    kept_headers: Vec<String>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Source");
        shown.field("name", &self.0.name).field("platform", &self.0.platform_name);
        shown.field("secrets", &self.0.keys.len()).finish_non_exhaustive()
    }
}

impl Source {
    /// A source. `resolve` gives the values of environment variables. Without a secret it refuses every delivery;
    /// secrets can be added with [`Source::with_secrets`].
    pub fn new(
        config: &SourceConfig,
        catalogue: &Catalogue,
        resolve: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceError> {
        let fault = |problem: String| SourceError { source_name: config.name.clone(), problem };
        if !is_plain_name(&config.name) {
            return Err(fault("its name must be 1 to 64 lower-case letters, digits, `-` or `_`".into()));
        }
        if matches!(config.name.as_str(), "api" | "attempt" | "operator" | "stripe") {
            return Err(fault("this name is taken by the service itself".into()));
        }
        let platform_name = config.platform_name();
        let platform = catalogue.platform(platform_name).ok_or_else(|| {
            let known = catalogue.platforms().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            fault(format!("the platform `{platform_name}` is not defined; there are {known}"))
        })?;
        let scheme_name = config.scheme.as_ref().or(platform.scheme.as_ref()).ok_or_else(|| {
            fault(format!("give a `scheme`: the platform `{platform_name}` does not say how it signs"))
        })?;
        let scheme = catalogue.scheme(scheme_name).ok_or_else(|| {
            let known = catalogue.schemes().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            fault(format!("the scheme `{scheme_name}` is not defined; there are {known}"))
        })?;
        if scheme.signs_url() && config.public_url.is_none() {
            return Err(fault(format!(
                "give `public_url`, the address as the sender knows it: the scheme `{scheme_name}` signs it"
            )));
        }
        let mut credentials = BTreeMap::new();
        for (name, value) in &config.credentials {
            let value = match value.strip_prefix("env:") {
                Some(variable) => resolve(variable).ok_or_else(|| {
                    fault(format!("credentials.{name}: the environment variable {variable} is not set"))
                })?,
                None => value.clone(),
            };
            credentials.insert(name.clone(), value);
        }
        let mut settings = platform.settings.clone();
        settings.extend(config.settings.clone());
        let parts = Parts {
            name: config.name.clone(),
            platform_name: platform_name.into(),
            kept_headers: kept_headers(platform, scheme),
            platform: Arc::clone(platform),
            scheme: Arc::clone(scheme),
            keys: Vec::new(),
            settings,
            credentials,
            customers: config.customers.clone(),
            public_url: config.public_url.clone(),
            tolerance: config.tolerance.unwrap_or_default(),
            silent_after: config.silent_after,
        };
        Self(Arc::new(parts)).with_resolved(&config.secrets, resolve)
    }

    /// The same source with more secrets, such as those that were added at run time.
    pub fn with_secrets(&self, extra: Vec<SecretConfig>) -> Result<Self, SourceError> {
        self.with_resolved(&extra, &|_| None)
    }

    fn with_resolved(
        &self,
        secrets: &[SecretConfig],
        resolve: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceError> {
        let mut parts = Parts::clone(&self.0);
        for secret in secrets {
            let place = parts.keys.len() + 1;
            let fault = |problem| {
                let name = secret.name.clone().unwrap_or_else(|| place.to_string());
                let problem = format!("the secret `{name}` {problem}");
                SourceError { source_name: self.name().into(), problem }
            };
            let key = Key::new(secret, place, &parts.scheme, resolve).map_err(fault)?;
            if parts.keys.iter().any(|other| other.name == key.name) {
                return Err(fault("is there twice: give each its own `name`".into()));
            }
            parts.keys.push(key);
        }
        Ok(Self(Arc::new(parts)))
    }

    /// Its name: the last part of its address.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name of its platform.
    pub fn platform(&self) -> &str {
        &self.0.platform_name
    }

    /// Whether any delivery could be found good.
    pub fn has_secrets(&self) -> bool {
        !self.0.keys.is_empty()
    }

    /// What is answered when a delivery cannot be taken.
    pub fn nack(&self) -> Nack {
        self.0.platform.nack
    }

    /// How much a webhook of this source proves.
    pub fn strength(&self) -> Strength {
        match self.0.scheme.kind {
            SchemeKind::Token => Strength::Token,
            _ => Strength::Signed,
        }
    }

    /// After so long without a delivery the operator should be told.
    pub fn silent_after(&self) -> Option<Span> {
        self.0.silent_after
    }

    /// Verifies a delivery over its raw bytes, with all secrets that are valid `now`.
    pub fn verify(&self, request: &Request, now: Timestamp) -> Result<Verified, BadSignature> {
        let tolerance = match self.0.tolerance {
            Tolerance::Off => None,
            Tolerance::Within(span) => Some(span),
        };
        verify::verify(&self.0.scheme, &self.0.keys, request, self.0.public_url.as_deref(), tolerance, now)
    }

    /// The answer to a platform's question, if this is one.
    pub fn challenge(&self, request: &Request) -> Option<Challenge> {
        let rule = self.0.platform.challenge.as_ref()?;
        let in_body = rule.at.0.iter().chain(rule.when.iter().map(Condition::at)).any(Operand::is_of_json);
        let body = if in_body { serde_json::from_slice(request.body).ok()? } else { Value::Null };
        let scope = self.scope(request, &body);
        let asked = rule.when.iter().all(|condition| condition.holds(&scope));
        let value = challenge_value(&rule.at, &scope).filter(|_| asked)?;
        let content_type = rule.content_type.clone().unwrap_or_else(|| "text/plain".into());
        Some(Challenge { value, content_type, signed: rule.signed })
    }

    /// The id that a delivery is stored under, for ever once: the sender's. Where the sender has none, where the body
    /// does not tell it, and for batches, it is the digest of the body.
    pub fn delivery_id(&self, request: &Request) -> Result<String, MissingId> {
        let operands = &self.0.platform.delivery_id;
        let of_headers = !operands.is_empty() && operands.iter().all(Operand::is_of_headers);
        let of_whole = of_headers || self.0.platform.each.is_none();
        if operands.is_empty() || !of_whole {
            return Ok(by_digest(request.body));
        }
        let in_body = operands.iter().any(Operand::is_of_json);
        let body = in_body.then(|| serde_json::from_slice(request.body).ok()).flatten().unwrap_or_default();
        let id = operands.iter().find_map(|operand| operand.text(&self.scope(request, &body)));
        if of_headers {
            let names = Operands(operands.clone()).to_string();
            return id.and_then(valid_id).ok_or(MissingId(names));
        }
        Ok(id.map_or_else(|| by_digest(request.body), body_id))
    }

    /// The id that an item of a poll is stored under: its digest, so that it is stored again only when it has changed.
    pub fn item_id(&self, item: &str) -> String {
        format!("poll:{}", by_digest(item.as_bytes()))
    }

    /// The headers that must be stored with a delivery, so that it can be verified and read again later; lower case.
    pub fn kept_headers(&self) -> impl Iterator<Item = &str> {
        self.0.kept_headers.iter().map(String::as_str)
    }

    /// The header that is itself the secret, where the scheme is a token: what stores headers should not store it in
    /// the clear.
    pub fn secret_header(&self) -> Option<String> {
        (self.0.scheme.kind == SchemeKind::Token).then(|| self.0.scheme.header.to_ascii_lowercase())
    }

    /// The value of the header that is itself the secret, from its [`token_digest`]: `None` where no secret of this source
    /// has that digest.
    pub fn token_of_digest(&self, digest: &str) -> Option<String> {
        let prefix = &self.0.scheme.prefix;
        let tokens = self.0.keys.iter().filter_map(|key| key.text());
        tokens
            .flat_map(|token| [format!("{prefix}{token}"), token.to_string()])
            .find(|value| token_digest(value) == digest)
    }

    fn scope<'a>(&'a self, request: &Request<'a>, body: &'a Value) -> Scope<'a> {
        Scope {
            body,
            text: None,
            envelope: body,
            event: None,
            header: request.header,
            settings: &self.0.settings,
            received: Timestamp::default(),
            raw: request.body,
        }
    }

    fn platform_rules(&self) -> &Platform {
        &self.0.platform
    }

    fn settings(&self) -> &Settings {
        &self.0.settings
    }

    fn credential(&self, name: &str) -> Option<String> {
        self.0.credentials.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn alias(&self, customer: String) -> String {
        self.0.customers.get(&customer).cloned().unwrap_or(customer)
    }
}

/// What is stored in the place of a header that is itself the secret.
pub fn token_digest(value: &str) -> String {
    by_digest(value.as_bytes())
}

/// Whether this can be the name of a source, a platform or a scheme.
fn is_plain_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn kept_headers(platform: &Platform, scheme: &Scheme) -> Vec<String> {
    let mut names: BTreeSet<String> = scheme.headers().collect();
    names.extend(["content-type".to_string(), "user-agent".to_string()]);
    check::operands(platform, &mut |_, operand| {
        names.extend(operand.parts().iter().filter_map(|part| match part {
            Part::Header(name) => Some(name.clone()),
            _ => None,
        }));
    });
    names.into_iter().collect()
}
