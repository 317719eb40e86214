//! The sources as they are now: those of the configuration, with the secrets that were given to the running service.

use crate::config::{Config, ConfigError};
use crate::serve::ServeError;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use verdict_resolution::source::{Catalogue, Definitions, SecretConfig, SourceConfig, SourcesFile};
use verdict_resolution::{SealKey, Source, Sources};
use verdict_store::sources::{self, Sealed};
use verdict_store::{Store, StoreError};

/// A secret verifies deliveries, a credential asks the platform.
pub(crate) const SECRET: &str = "secret";
pub(crate) const CREDENTIAL: &str = "credential";

/// How often a running service looks for changed secrets.
const REFRESH: Duration = Duration::from_secs(2);

/// The sources of a running service.
pub struct LiveSources {
    catalogue: Catalogue,
    configured: Vec<SourceConfig>,
    key: Option<SealKey>,
    /// What was stored when `current` was made.
    stored: RwLock<Vec<Sealed>>,
    current: RwLock<Arc<Sources>>,
}

impl LiveSources {
    /// Reads the configuration, and the stored secrets. Without the key that opens them it refuses.
    pub async fn load(config: &Config, store: &Store) -> Result<Self, ServeError> {
        let key = config.secrets_key.as_deref().map(SealKey::parse).transpose();
        let live = Self {
            catalogue: catalogue(config)?,
            configured: configured(config)?,
            key: key.map_err(|error| ConfigError(error.to_string()))?,
            stored: RwLock::default(),
            current: RwLock::default(),
        };
        let stored = sources::secrets(store).await?;
        live.replace(stored)?;
        Ok(live)
    }

    /// The sources now.
    pub fn now(&self) -> Arc<Sources> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that seals secrets, if there is one.
    pub(crate) fn key(&self) -> Option<&SealKey> {
        self.key.as_ref()
    }

    /// Takes the secrets as they are stored now; what cannot be used changes nothing.
    pub(crate) fn replace(&self, stored: Vec<Sealed>) -> Result<(), ConfigError> {
        let sources = self.with(&stored)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(sources);
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = stored;
        Ok(())
    }

    /// The sources as they would be with these stored secrets.
    pub(crate) fn with(&self, stored: &[Sealed]) -> Result<Sources, ConfigError> {
        let fault = |error: &dyn std::fmt::Display| ConfigError(error.to_string());
        let mut opened: Vec<(&Sealed, String)> = Vec::with_capacity(stored.len());
        for sealed in stored {
            let key = self.key.as_ref().ok_or_else(|| {
                ConfigError(
                    "secrets of sources are stored: set secrets_key (VERDICT_SECRETS_KEY) to the key that they \
                     were sealed with"
                        .into(),
                )
            })?;
            opened.push((sealed, key.open(sealed).map_err(|error| fault(&error))?));
        }
        let mut sources = Sources::new();
        for config in &self.configured {
            let mut config = config.clone();
            for (sealed, value) in opened.iter().filter(|(sealed, _)| sealed.source == config.name) {
                if sealed.kind == CREDENTIAL {
                    config.credentials.insert(sealed.name.clone(), value.clone());
                } else {
                    config.secrets.push(SecretConfig {
                        name: Some(sealed.name.clone()),
                        value: value.clone(),
                        from: sealed.valid_from,
                        until: sealed.valid_until,
                    });
                }
            }
            let source =
                Source::new(&config, &self.catalogue, &environment).map_err(|error| fault(&error))?;
            if let Some(twice) = sources.insert(source.name().to_string(), source) {
                return Err(ConfigError(format!("source `{}` is there twice", twice.name())));
            }
        }
        Ok(sources)
    }

    /// Looks for changed secrets, for ever.
    pub async fn keep_fresh(self: Arc<Self>, store: Store) {
        loop {
            tokio::time::sleep(REFRESH).await;
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(%error, "the stored secrets cannot be used; those before stay");
            }
        }
    }

    async fn refresh(&self, store: &Store) -> Result<(), ServeError> {
        let stored = sources::secrets(store).await?;
        if *self.stored.read().unwrap_or_else(PoisonError::into_inner) != stored {
            self.replace(stored)?;
            tracing::info!("the secrets of sources have changed");
        }
        Ok(())
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The built-in schemes and platforms, with those of the configuration and its files.
fn catalogue(config: &Config) -> Result<Catalogue, ConfigError> {
    let own = Definitions { schemes: config.schemes.clone(), platforms: config.platforms.clone() };
    let mut catalogue = Catalogue::builtin().map_err(|error| ConfigError(error.to_string()))?;
    for file in &config.source_files {
        let definitions = read_file(file)?.definitions();
        catalogue = catalogue.with(definitions).map_err(|error| ConfigError(format!("{file}: {error}")))?;
    }
    catalogue.with(own).map_err(|error| ConfigError(error.to_string()))
}

/// The sources of the configuration and its files. A source without an address of its own has the service's.
fn configured(config: &Config) -> Result<Vec<SourceConfig>, ConfigError> {
    let mut configured = config.sources.clone();
    for file in &config.source_files {
        configured.extend(read_file(file)?.sources);
    }
    if let Some(base) = &config.public_url {
        for source in &mut configured {
            let address = || format!("{}/webhooks/{}", base.trim_end_matches('/'), source.name);
            source.public_url.get_or_insert_with(address);
        }
    }
    Ok(configured)
}

/// Reads the schemes, platforms and sources of a file; what else it configures is left aside.
pub(crate) fn read_file(file: &str) -> Result<SourcesFile, ConfigError> {
    let fault = |error: &dyn std::fmt::Display| ConfigError(format!("{file}: {error}"));
    let text = std::fs::read_to_string(file).map_err(|error| fault(&error))?;
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| fault(&error))?;
    table.retain(|name, _| matches!(name, "schemes" | "platforms" | "sources"));
    let text = toml::to_string(&table).map_err(|error| fault(&error))?;
    SourcesFile::parse(&text).map_err(|error| fault(&error))
}

/// Seals a secret and stores it, if the source can use it.
pub(crate) async fn put_secret(
    live: &LiveSources,
    store: &Store,
    place: Sealed,
    value: &str,
    now: verdict_domain::time::Timestamp,
) -> Result<Result<(), String>, StoreError> {
    let Some(key) = live.key() else {
        return Ok(Err(
            "set secrets_key (VERDICT_SECRETS_KEY) first: `openssl rand -base64 32` makes one".into()
        ));
    };
    if !live.now().contains_key(&place.source) {
        return Ok(Err(format!("the source `{}` is not configured", place.source)));
    }
    let sealed = match key.seal(place, value) {
        Ok(sealed) => sealed,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut stored = sources::secrets(store).await?;
    let is_same = |other: &Sealed| {
        (&other.source, &other.kind, &other.name) == (&sealed.source, &sealed.kind, &sealed.name)
    };
    stored.retain(|other| !is_same(other));
    stored.push(sealed.clone());
    if let Err(error) = live.with(&stored) {
        return Ok(Err(error.to_string()));
    }
    let tx = store.begin().await?;
    sources::put_secret(&tx, &sealed, now).await?;
    tx.commit().await?;
    Ok(Ok(()))
}
