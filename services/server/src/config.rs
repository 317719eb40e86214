//! Configuration: defaults, then a TOML file, then `VERDICT_…` from the environment.

mod alerts;
mod levers;

pub use alerts::AlertsConfig;
pub use levers::{DistillationConfig, LeversConfig};

use crate::clock::Clock;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use verdict_billing::Backoff;
use verdict_billing::stripe::Stripe;
use verdict_domain::time::{Span, Timestamp};
use verdict_resolution::Source;
use verdict_resolution::source::{Catalogue, Platform, Scheme, SecretConfig, SourceConfig};
use verdict_store::parked;
use verdict_store::quarantine::Bounds;

/// All that can be configured. The defaults are the embedded mode: SQLite, the HTTP door, invoices stay here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `postgres://…` or `sqlite:FILE`.
    pub database_url: String,
    /// Where the HTTP door listens.
    pub listen: SocketAddr,
    /// Where RabbitMQ is, `amqp://…`; without it there is no queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amqp_url: Option<String>,
    /// The most messages in one transaction.
    pub batch_messages: usize,
    /// How long a batch waits for more, in milliseconds.
    pub batch_linger_ms: u64,
    /// How many batches are written at once.
    pub batch_writers: usize,
    /// `sk_…`; without it invoices stay here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_secret_key: Option<String>,
    /// Instead of Stripe's own address: for tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_base_url: Option<String>,
    /// The signing secrets (`whsec_…`) of `/webhooks/stripe` at Stripe: several while one is changed. A list, or in the
    /// environment separated by commas.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_commas")]
    pub stripe_webhook_secrets: Vec<String>,
    /// How long one call to Stripe may take, in milliseconds.
    pub stripe_timeout_ms: u64,
    /// The wait after the first failed push to Stripe, in milliseconds; it doubles with each.
    pub stripe_retry_ms: u64,
    /// What Stripe takes of revenue, in hundredths of a per cent (290 is 2.9 %), for the figures: an assumption, no fee is
    /// read from Stripe. Without it, figures are without the fee.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stripe_fee_basis_points: Option<u32>,
    /// How often the worker looks for work when nothing nudges it, in milliseconds.
    pub worker_tick_ms: u64,
    /// Whether the login cookie is only sent over HTTPS. Must be so unless only this machine can connect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_cookies: Option<bool>,
    /// Where others reach the service, such as `https://billing.example.com`: some platforms sign it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// 32 random bytes in base64: seals the secrets of sources that are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_key: Option<String>,
    /// How long the raw bytes of a delivery are kept once it is mapped.
    pub raw_retention: Span,
    /// How often it is compared whether all agrees; "0s" is never.
    pub reconcile_every: Span,
    /// How many deliveries without a good signature are kept of each source.
    pub quarantine_deliveries: u32,
    /// How many bytes of them.
    pub quarantine_bytes: u32,
    /// How many spans, and how many logs, that cannot be used are kept.
    pub telemetry_parked: u32,
    /// How many bytes of each.
    pub telemetry_parked_bytes: u32,
    /// From which figures on alerts are raised.
    pub alerts: AlertsConfig,
    /// What is computed of the levers.
    pub levers: LeversConfig,
    /// The sources of webhooks, each at `/webhooks/NAME`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceConfig>,
    /// More files with schemes, platforms and sources.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub source_files: Vec<String>,
    /// Schemes beside the built-in ones, or in their place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schemes: BTreeMap<String, Scheme>,
    /// Platforms beside the built-in ones, or in their place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Platform>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            database_url: "sqlite:verdict.db".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            amqp_url: None,
            batch_messages: 2_000,
            batch_linger_ms: 5,
            batch_writers: 2,
            stripe_secret_key: None,
            stripe_base_url: None,
            stripe_webhook_secrets: Vec::new(),
            stripe_timeout_ms: 30_000,
            stripe_retry_ms: 2_000,
            stripe_fee_basis_points: None,
            worker_tick_ms: 500,
            secure_cookies: None,
            public_url: None,
            secrets_key: None,
            raw_retention: Span::hours(400 * 24),
            reconcile_every: Span::hours(24),
            quarantine_deliveries: 1_000,
            quarantine_bytes: 64 * 1024 * 1024,
            telemetry_parked: 10_000,
            telemetry_parked_bytes: 64 * 1024 * 1024,
            alerts: AlertsConfig::default(),
            levers: LeversConfig::default(),
            sources: Vec::new(),
            source_files: Vec::new(),
            schemes: BTreeMap::new(),
            platforms: BTreeMap::new(),
        }
    }
}

/// A configuration that cannot be used, and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("configuration: {0}")]
pub struct ConfigError(pub String);

const ENVIRONMENT: [&str; 22] = [
    "database_url",
    "listen",
    "amqp_url",
    "batch_messages",
    "batch_linger_ms",
    "batch_writers",
    "stripe_secret_key",
    "stripe_base_url",
    "stripe_webhook_secrets",
    "stripe_timeout_ms",
    "stripe_retry_ms",
    "stripe_fee_basis_points",
    "worker_tick_ms",
    "secure_cookies",
    "public_url",
    "secrets_key",
    "raw_retention",
    "reconcile_every",
    "quarantine_deliveries",
    "quarantine_bytes",
    "telemetry_parked",
    "telemetry_parked_bytes",
];

impl Config {
    /// Reads it: from `file` if given (it must be there), and from the environment.
    pub fn read(file: Option<&str>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            if !std::path::Path::new(file).exists() {
                return Err(ConfigError(format!("the file {file} is not there")));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let names = [&ENVIRONMENT[..], &alerts::ENVIRONMENT, &levers::ENVIRONMENT].concat();
        let environment = Env::prefixed("VERDICT_").only(&names);
        // An empty variable is how compose files say that something is not set.
        let environment = environment.filter_map(|key| {
            let set = std::env::var(format!("VERDICT_{}", key.as_str().to_uppercase()));
            // Of a table, what stands before the first `_` is the table's name.
            let table = ["alerts", "levers"].into_iter().find_map(|table| {
                let name = key.as_str().to_lowercase().strip_prefix(table)?.strip_prefix('_')?.to_string();
                Some(format!("{table}.{name}"))
            });
            let name = table.unwrap_or_else(|| key.to_string()).into();
            set.is_ok_and(|value| !value.is_empty()).then_some(name)
        });
        let config: Self =
            figment.merge(environment).extract().map_err(|error| ConfigError(error.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        for (name, value, most) in
            [("batch_messages", self.batch_messages, 10_000), ("batch_writers", self.batch_writers, 8)]
        {
            if value == 0 || value > most {
                return Err(ConfigError(format!("{name} must be from 1 to {most}")));
            }
        }
        self.alerts.thresholds()?;
        self.levers.check()?;
        if self.stripe_fee_basis_points.is_some_and(|points| points > 10_000) {
            return Err(ConfigError("stripe_fee_basis_points must be from 0 to 10000 (290 is 2.9 %)".into()));
        }
        if self.worker_tick_ms == 0 {
            return Err(ConfigError("worker_tick_ms must be at least 1".into()));
        }
        if self.secure_cookies == Some(false) && !self.listen.ip().is_loopback() {
            let remedy = "secure_cookies = false sends logins in the clear: only with a loopback `listen`";
            return Err(ConfigError(remedy.into()));
        }
        Ok(())
    }

    /// Whether the login cookie is only sent over HTTPS.
    pub fn cookies_are_secure(&self) -> bool {
        self.secure_cookies.unwrap_or(!self.listen.ip().is_loopback())
    }

    /// How much of what is refused is kept.
    pub fn quarantine(&self) -> Bounds {
        Bounds { deliveries: self.quarantine_deliveries, bytes: i64::from(self.quarantine_bytes) }
    }

    /// How much is kept of telemetry that cannot be used.
    pub fn telemetry_parked(&self) -> parked::Bounds {
        parked::Bounds { things: self.telemetry_parked, bytes: i64::from(self.telemetry_parked_bytes) }
    }

    /// The client of Stripe, if there is a key. A live key and a test clock never meet: simulated months would be
    /// billed to real customers.
    pub fn stripe(&self, clock: &Clock) -> Result<Option<Stripe>, ConfigError> {
        let Some(key) = &self.stripe_secret_key else { return Ok(None) };
        let timeout = Duration::from_millis(self.stripe_timeout_ms);
        let stripe = Stripe::new(key, self.stripe_base_url.as_deref(), timeout)
            .map_err(|error| ConfigError(error.to_string()))?;
        if clock.is_test() && stripe.is_live_key() {
            return Err(ConfigError("a test clock is refused together with a live Stripe key".into()));
        }
        Ok(Some(stripe))
    }

    /// What Stripe's events are verified with, if their secrets are set. Without a key they are refused: an event is
    /// only a hint to ask Stripe.
    pub fn stripe_events(&self) -> Result<Option<Source>, ConfigError> {
        if self.stripe_webhook_secrets.is_empty() {
            return Ok(None);
        }
        if self.stripe_secret_key.is_none() {
            return Err(ConfigError(
                "stripe_webhook_secrets needs stripe_secret_key: what an event tells is asked from Stripe"
                    .into(),
            ));
        }
        let catalogue = Catalogue::builtin().map_err(|error| ConfigError(error.to_string()))?;
        let source = SourceConfig {
            name: "stripe_webhook_secrets".into(),
            scheme: Some("stripe".into()),
            secrets: self.stripe_webhook_secrets.iter().map(SecretConfig::plain).collect(),
            ..SourceConfig::default()
        };
        let resolve = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Source::new(&source, &catalogue, &resolve).map(Some).map_err(|error| ConfigError(error.to_string()))
    }

    /// The waits between pushes to Stripe.
    pub fn backoff(&self) -> Backoff {
        // Longer than one call can take: it is renewed before each.
        let lease = Duration::from_millis(self.stripe_timeout_ms.saturating_mul(3));
        Backoff { first: Duration::from_millis(self.stripe_retry_ms), lease, ..Backoff::default() }
    }
}

/// A list, or one text with commas, as it is written in the environment. Nothing between two commas is an empty item, not
/// none: it is for who uses the list to refuse it.
fn list_or_commas<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        List(Vec<String>),
        Text(String),
        // In the environment what looks like one is one; it is for who uses the list to refuse it.
        Number(i64),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::List(list) => list,
        Written::Number(number) => vec![number.to_string()],
        Written::Text(text) => text.split(',').map(|item| item.trim().to_string()).collect(),
    })
}

/// What the setting of the test clock's time is called.
pub(crate) const TEST_CLOCK_SETTING: &str = "test_clock";

/// Reads the time at which a test clock starts.
pub fn parse_start(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| format!("`{text}` is not an RFC 3339 time such as 2026-10-01T00:00:00Z"))
}
