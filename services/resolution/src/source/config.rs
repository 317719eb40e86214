//! A source as the operator configures it.

use super::secret::SecretConfig;
use super::value::Settings;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::collections::BTreeMap;
use std::fmt;
use verdict_domain::time::Span;

/// A source as the operator configures it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The last part of its address: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// How its bodies are read: `standard` if left out, or `raw` where a scheme is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// How its deliveries are signed: the platform's scheme if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// What it may sign with. All that are valid are tried.
    #[serde(default)]
    pub secrets: Vec<SecretConfig>,
    /// Values for the platform's rules and addresses.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: Settings,
    /// What the service needs to ask the platform; `env:NAME` for an environment variable's value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "hidden")]
    pub credentials: BTreeMap<String, String>,
    /// Our names of customers, by the platform's. One that is not listed keeps its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub customers: BTreeMap<String, String>,
    /// The address as the sender knows it, for schemes that sign it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// How far a timestamp may be from now: `"300s"` if left out, or `"off"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// After so long without a delivery the operator should be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_after: Option<Span>,
}

fn hidden<S: Serializer>(credentials: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = |value: &str| if value.starts_with("env:") { value.to_string() } else { "***".into() };
    serializer.collect_map(credentials.iter().map(|(name, value)| (name, shown(value))))
}

impl fmt::Debug for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SourceConfig");
        shown.field("name", &self.name).field("platform", &self.platform).field("scheme", &self.scheme);
        shown.field("secrets", &self.secrets).field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How far a signed timestamp may be from now, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tolerance {
    /// Its age is not checked; it need not even be readable.
    Off,
    /// At most so far, the end included.
    Within(Span),
}

impl Default for Tolerance {
    fn default() -> Self {
        Self::Within(Span(300_000_000))
    }
}

impl Serialize for Tolerance {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::Within(span) => span.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Tolerance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "off" {
            return Ok(Self::Off);
        }
        let span = Span::deserialize(serde::de::value::StrDeserializer::<D::Error>::new(&text));
        span.map(Self::Within).map_err(|error| D::Error::custom(format!("{error}; or give \"off\"")))
    }
}

impl SourceConfig {
    /// The platform that it names, or the default.
    pub(crate) fn platform_name(&self) -> &str {
        let default = if self.scheme.is_some() { "raw" } else { "standard" };
        self.platform.as_deref().unwrap_or(default)
    }
}
