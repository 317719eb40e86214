//! `verdict sources` and `verdict quarantine`.

use super::Outcome;
use crate::clock::wall_clock;
use crate::config::Config;
use crate::sources::{CREDENTIAL, LiveSources, SECRET, put_secret, read_file};
use clap::{Subcommand, ValueEnum};
use std::io::Write;
use verdict_domain::time::Timestamp;
use verdict_resolution::release;
use verdict_resolution::source::{Catalogue, Finding, Severity, lint, run_samples};
use verdict_store::sources::{self, Sealed};
use verdict_store::{Store, quarantine};

#[derive(Debug, Subcommand)]
pub(super) enum SourcesCommand {
    /// Lists the configured sources.
    List,
    /// Looks for mistakes in the schemes, platforms and sources of a file.
    Lint {
        /// A TOML file: the service's configuration, or one of its `source_files`.
        file: String,
    },
    /// Lints a file, and runs the sample deliveries of its platforms.
    Test {
        /// A TOML file: the service's configuration, or one of its `source_files`.
        file: String,
    },
    /// Secrets and credentials that are stored, sealed under `secrets_key`.
    #[command(subcommand)]
    Secret(SecretCommand),
}

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Stores a secret, which is read from standard input. A running service takes it up within seconds.
    Put {
        /// The source.
        source: String,
        /// What it is called where a delivery is shown.
        name: String,
        /// A secret verifies deliveries, a credential asks the platform.
        #[arg(long, value_enum, default_value = "secret")]
        kind: SecretKind,
        /// Not valid before.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        from: Option<Timestamp>,
        /// Not valid from then on.
        #[arg(long, value_name = "TIME", value_parser = moment)]
        until: Option<Timestamp>,
    },
    /// Takes a secret away.
    Remove {
        /// The source.
        source: String,
        /// Its name.
        name: String,
        /// A secret or a credential.
        #[arg(long, value_enum, default_value = "secret")]
        kind: SecretKind,
    },
    /// Lists what is stored, without the secrets.
    List,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum SecretKind {
    Secret,
    Credential,
}

impl SecretKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Secret => SECRET,
            Self::Credential => CREDENTIAL,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// Lists, the oldest first.
    List,
    /// Shows one, with its bytes as they came.
    Show {
        /// Its id.
        id: String,
    },
    /// Tries one again, or all, with the secrets that the sources have now.
    Replay {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All that are there.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| format!("`{text}` is not an RFC 3339 time such as 2026-10-01T00:00:00Z"))
}

/// Checks a file: needs no configuration and no database.
pub(super) fn check(file: &str, with_samples: bool) -> Outcome {
    let read = read_file(file)?;
    let own = read.definitions();
    let builtin = Catalogue::builtin()?;
    let catalogue = builtin.with(own.clone()).map_err(|error| format!("{file}: {error}"))?;
    let environment = |name: &str| std::env::var(name).ok();
    // What comes with the service is checked by its own tests.
    let is_own = |place: &str| {
        let mut parts = place.split(['.', '[']);
        match (parts.next(), parts.next()) {
            (Some("schemes"), Some(name)) => own.schemes.contains_key(name),
            (Some("platforms"), Some(name)) => own.platforms.contains_key(name),
            _ => true,
        }
    };
    let found = lint(&catalogue, &read.sources, &environment);
    let (mut errors, mut warnings) = (0, 0);
    for Finding { place, severity, text } in found.iter().filter(|finding| is_own(&finding.place)) {
        let word = match severity {
            Severity::Error => {
                errors += 1;
                "error"
            }
            Severity::Warning => {
                warnings += 1;
                "warning"
            }
        };
        println!("{word}: {place}: {text}");
    }
    if with_samples {
        for result in
            run_samples(&catalogue).iter().filter(|result| own.platforms.contains_key(&result.platform))
        {
            match &result.problem {
                None => println!("ok: platforms.{}: sample `{}`", result.platform, result.sample),
                Some(problem) => {
                    errors += 1;
                    println!("error: platforms.{}: sample `{}`: {problem}", result.platform, result.sample);
                }
            }
        }
    }
    println!(
        "{} schemes, {} platforms, {} sources: {errors} errors, {warnings} warnings",
        own.schemes.len(),
        own.platforms.len(),
        read.sources.len()
    );
    if errors > 0 {
        return Err(format!("{file} has {errors} errors").into());
    }
    Ok(())
}

pub(super) async fn run(config: &Config, store: &Store, command: SourcesCommand) -> Outcome {
    match command {
        SourcesCommand::Lint { file } => check(&file, false)?,
        SourcesCommand::Test { file } => check(&file, true)?,
        SourcesCommand::List => {
            let (live, states) = (LiveSources::load(config, store).await?, sources::states(store).await?);
            for source in live.now().values() {
                let state = states.iter().find(|state| state.source == source.name());
                let last = state.and_then(|state| state.last_delivery_at);
                let heard = last.map_or("never heard".to_string(), |at| format!("last heard {at}"));
                let secrets = if source.has_secrets() { "" } else { "  no secret" };
                println!(
                    "{}  {}  {}  {heard}{secrets}",
                    source.name(),
                    source.platform(),
                    source.strength().as_str()
                );
            }
        }
        SourcesCommand::Secret(command) => secret(config, store, command).await?,
    }
    Ok(())
}

async fn secret(config: &Config, store: &Store, command: SecretCommand) -> Outcome {
    match command {
        SecretCommand::Put { source, name, kind, from, until } => {
            let live = LiveSources::load(config, store).await?;
            let value = std::io::read_to_string(std::io::stdin())?;
            let place = Sealed {
                source,
                kind: kind.as_str().into(),
                name,
                sealed: Vec::new(),
                valid_from: from,
                valid_until: until,
            };
            put_secret(&live, store, place, value.trim_end_matches(['\r', '\n']), wall_clock()).await??;
            println!("stored");
        }
        SecretCommand::Remove { source, name, kind } => {
            let tx = store.begin().await?;
            let removed = sources::remove_secret(&tx, &source, kind.as_str(), &name).await?;
            tx.commit().await?;
            if !removed {
                return Err(format!("`{source}` has no stored {} `{name}`", kind.as_str()).into());
            }
            println!("removed");
        }
        SecretCommand::List => {
            for sealed in sources::secrets(store).await? {
                let bound = |at: Option<Timestamp>| at.map_or("-".to_string(), |at| at.to_string());
                println!(
                    "{}  {}  {}  from {} until {}",
                    sealed.source,
                    sealed.kind,
                    sealed.name,
                    bound(sealed.valid_from),
                    bound(sealed.valid_until)
                );
            }
        }
    }
    Ok(())
}

pub(super) async fn quarantined(config: &Config, store: &Store, command: Quarantine) -> Outcome {
    match command {
        Quarantine::List => {
            for item in quarantine::list(store, 10_000).await? {
                let refused = &item.refused;
                println!(
                    "{}  {}  {}  {} bytes  {}",
                    item.id, refused.received_at, refused.source, item.size, refused.reason
                );
            }
        }
        Quarantine::Show { id } => {
            let item = quarantine::find(store, &id).await?;
            let refused = item.ok_or_else(|| format!("nothing is in quarantine under `{id}`"))?.refused;
            println!("source     {}\nreceived   {}", refused.source, refused.received_at);
            println!("reason     {}\nheaders    {}\n", refused.reason, refused.headers);
            std::io::stdout().write_all(&refused.body)?;
            println!();
        }
        Quarantine::Replay { id, all } => {
            let ids = match (id, all) {
                (Some(id), _) => vec![id],
                _ => quarantine::list(store, 100_000).await?.into_iter().map(|item| item.id).collect(),
            };
            let sources = LiveSources::load(config, store).await?.now();
            let mut failed = 0;
            for id in &ids {
                let item = quarantine::find(store, id).await?;
                let refused = item.ok_or_else(|| format!("nothing is in quarantine under `{id}`"))?.refused;
                match release(store, sources.get(&refused.source), id, &refused).await? {
                    None => println!("{id}  replayed"),
                    Some(reason) => {
                        failed += 1;
                        println!("{id}  still refused: {reason}");
                    }
                }
            }
            if failed > 0 {
                return Err(format!("{failed} of {} are still refused", ids.len()).into());
            }
        }
    }
    Ok(())
}
