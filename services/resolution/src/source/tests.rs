//! Tests of sources as a whole.

mod built_in;
mod definitions;
mod mapping;
mod outgoing;
mod vectors;

use super::*;

/// A source of a built-in platform without secrets.
fn source(platform: &str) -> Source {
    of(&Catalogue::builtin().unwrap(), platform, &[])
}

/// A source of a platform, with `customer` set to `tenant-default` and these settings besides.
fn of(catalogue: &Catalogue, platform: &str, settings: &[(&str, Value)]) -> Source {
    let mut config = SourceConfig {
        name: "desk".into(),
        platform: Some(platform.into()),
        public_url: Some("https://billing.example/webhooks/desk".into()),
        ..SourceConfig::default()
    };
    config.settings.insert("customer".into(), Setting("tenant-default".into()));
    config.settings.extend(settings.iter().map(|(name, value)| (name.to_string(), Setting(value.clone()))));
    Source::new(&config, catalogue, &|_| None).unwrap()
}

/// The built-in definitions and one more platform, `own`.
fn with_own(toml: &str) -> Catalogue {
    Catalogue::builtin().unwrap().extended(toml).unwrap_or_else(|error| panic!("{error}"))
}

/// 2026-03-02T10:15:00Z.
const RECEIVED: Timestamp = Timestamp(1_772_446_500_000_000);

/// What a webhook means, as the map step would read it.
fn webhook(source: &Source, headers: &[(&str, &str)], body: &[u8]) -> Vec<Event> {
    let headers: BTreeMap<String, String> =
        headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let header = read::header_of(&headers);
    let request = Request { method: "POST", query: None, header: &header, body };
    let id = source.delivery_id(&request).unwrap();
    let headers = &headers;
    source.read(&Stored { via: Via::Webhook, id: &id, headers, body, received_at: RECEIVED, origin: None })
}

/// The one event of a webhook.
fn one(source: &Source, body: &str) -> Outcome {
    let mut events = webhook(source, &[], body.as_bytes());
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0).outcome
}

/// The reason of a quarantine.
fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Quarantine(quarantine) => quarantine.reason,
        other => panic!("{other:?}"),
    }
}
