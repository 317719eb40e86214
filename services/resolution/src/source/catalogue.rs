//! The catalogue: the schemes and platforms that are known.

use super::check::{Finding, faults};
use super::{Platform, Scheme, SourceConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What comes with the service: in the same form as an operator's own.
const BUILT_IN: [(&str, &str); 13] = [
    ("schemes.toml", include_str!("../../sources/schemes.toml")),
    ("ada.toml", include_str!("../../sources/ada.toml")),
    ("chatwoot.toml", include_str!("../../sources/chatwoot.toml")),
    ("freshchat.toml", include_str!("../../sources/freshchat.toml")),
    ("freshdesk.toml", include_str!("../../sources/freshdesk.toml")),
    ("front.toml", include_str!("../../sources/front.toml")),
    ("gorgias.toml", include_str!("../../sources/gorgias.toml")),
    ("helpscout.toml", include_str!("../../sources/helpscout.toml")),
    ("hubspot.toml", include_str!("../../sources/hubspot.toml")),
    ("intercom.toml", include_str!("../../sources/intercom.toml")),
    ("standard.toml", include_str!("../../sources/standard.toml")),
    ("zendesk.toml", include_str!("../../sources/zendesk.toml")),
    ("zendesk-trigger.toml", include_str!("../../sources/zendesk-trigger.toml")),
];

/// Definitions that cannot be run with: each fault with its place and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// Schemes and platforms: the tables `[schemes.NAME]` and `[platforms.NAME]`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Definitions {
    /// How deliveries are signed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub schemes: BTreeMap<String, Scheme>,
    /// How bodies are read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub platforms: BTreeMap<String, Platform>,
}

/// A file of definitions that may have `[[sources]]` too.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourcesFile {
    /// How deliveries are signed.
    pub schemes: BTreeMap<String, Scheme>,
    /// How bodies are read.
    pub platforms: BTreeMap<String, Platform>,
    /// The sources.
    pub sources: Vec<SourceConfig>,
}

impl SourcesFile {
    /// Reads a file; the error tells the place.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        parse(toml)
    }

    /// Its schemes and platforms.
    pub fn definitions(&self) -> Definitions {
        Definitions { schemes: self.schemes.clone(), platforms: self.platforms.clone() }
    }
}

impl Definitions {
    /// Reads schemes and platforms; the error tells the place.
    pub fn parse(toml: &str) -> Result<Self, ConfigError> {
        parse(toml)
    }
}

fn parse<T: DeserializeOwned>(toml: &str) -> Result<T, ConfigError> {
    let fault = |text: String| ConfigError(vec![text]);
    let document = toml::Deserializer::parse(toml).map_err(|error| fault(error.to_string()))?;
    serde_path_to_error::deserialize(document)
        .map_err(|error| fault(format!("{}: {}", error.path(), error.inner().message())))
}

/// The schemes and platforms that are known.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    schemes: BTreeMap<String, Arc<Scheme>>,
    platforms: BTreeMap<String, Arc<Platform>>,
}

impl Catalogue {
    /// What comes with the service.
    pub fn builtin() -> Result<Self, ConfigError> {
        BUILT_IN.iter().try_fold(Self::default(), |catalogue, (file, toml)| {
            let in_file = |error: ConfigError| {
                ConfigError(error.0.into_iter().map(|text| format!("{file}: {text}")).collect())
            };
            catalogue.extended(toml).map_err(in_file)
        })
    }

    /// With the definitions of a file besides; those of the same name take the place of what was there.
    pub fn extended(self, toml: &str) -> Result<Self, ConfigError> {
        self.with(SourcesFile::parse(toml)?.definitions())
    }

    /// With these definitions besides; those of the same name take the place of what was there.
    pub fn with(mut self, definitions: Definitions) -> Result<Self, ConfigError> {
        let shared = |(name, scheme): (&String, &Scheme)| (name.clone(), Arc::new(scheme.clone()));
        self.schemes.extend(definitions.schemes.iter().map(shared));
        let faults: Vec<String> = faults(&definitions, &self).iter().map(Finding::to_string).collect();
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        let platforms = definitions.platforms.into_iter();
        self.platforms.extend(platforms.map(|(name, platform)| (name, Arc::new(platform))));
        Ok(self)
    }

    /// A scheme.
    pub fn scheme(&self, name: &str) -> Option<&Arc<Scheme>> {
        self.schemes.get(name)
    }

    /// A platform.
    pub fn platform(&self, name: &str) -> Option<&Arc<Platform>> {
        self.platforms.get(name)
    }

    /// All schemes, by name.
    pub fn schemes(&self) -> impl Iterator<Item = (&str, &Scheme)> {
        self.schemes.iter().map(|(name, scheme)| (name.as_str(), scheme.as_ref()))
    }

    /// All platforms, by name.
    pub fn platforms(&self) -> impl Iterator<Item = (&str, &Platform)> {
        self.platforms.iter().map(|(name, platform)| (name.as_str(), platform.as_ref()))
    }
}
