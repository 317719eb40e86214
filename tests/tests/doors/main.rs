//! Each door of the service by itself: who may enter, what is taken, what is refused and in which words, and what
//! the outside sees when things go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod answers;
mod attempts;
mod cases;
mod clock;
mod contracts;
mod customer;
mod disputes;
mod documents;
mod drill;
mod evidence;
mod export;
mod fetching;
mod figures;
mod free;
mod import;
mod levers;
mod lists;
mod litellm;
mod live;
mod meter_events;
mod overview;
mod payloads;
mod polling;
mod prices;
mod pricing;
mod provider_bills;
mod quarantine;
mod queue;
mod reconcile;
mod repricing;
mod secrets;
mod shared;
mod signatures;
mod signing;
mod sources;
mod stripe;
mod stripe_events;
mod traces;
mod upgrade;
mod value;
mod versions;
mod watched_figures;
mod watching;
mod webhooks;

use reqwest::Response;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use verdict_oracle::{HOUR, MINUTE, rfc3339};
use verdict_tests::database::fresh_sqlite;
use verdict_tests::service::{Service, Setup};

/// 2026-10-01T00:00:00Z: where the test clock starts.
const START: i64 = 1_790_812_800_000_000;

/// The time outside, as Unix time: Stripe knows no test clock, and the service holds what comes from there against it.
#[allow(clippy::disallowed_methods)]
fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("doors").join(name)
}

/// A service of its own on an empty SQLite database, at [`START`].
async fn start(name: &str) -> Service {
    start_on(name, &fresh_sqlite(&folder(name))).await
}

async fn start_on(name: &str, database_url: &str) -> Service {
    let setup = Setup { test_clock: Some(START), ..Setup::new(database_url) };
    Service::start(setup, &folder(name)).await
}

/// The same with a configuration file, and more by the environment.
async fn start_with(name: &str, database_url: &str, config: &str, environment: &[(&str, &str)]) -> Service {
    let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let config = config.into();
    let setup = Setup { test_clock: Some(START), config, environment, ..Setup::new(database_url) };
    Service::start(setup, &folder(name)).await
}

/// Waits until something has come about.
async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < Duration::from_secs(30), "not yet: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// The configuration of a source of a built-in platform, which signs as [`signing`] does.
fn source(name: &str, platform: &str, more: &str) -> String {
    let (url, secret) = (signing::PUBLIC_URL, signing::secret_of(platform));
    format!(
        "[[sources]]\nname = \"{name}\"\nplatform = \"{platform}\"\nsecrets = [\"{secret}\"]\npublic_url = \"{url}\"\n{more}\n"
    )
}

/// Pays 0.99 for a confirmed resolution and 0.49 for an assumed one, in calendar months from [`START`] on.
fn contract(customer: &str) -> Value {
    json!({
        "customer": customer,
        "version": 1,
        "effective_from": rfc3339(START),
        "currency": "USD",
        "bill_to": { "name": "Acme Inc.", "email": "billing@acme.example" },
        "prices": [{ "action": "support.resolution", "amount": "0.99", "assumed_amount": "0.49" }],
    })
}

/// An answer in a case of the same name, an hour after [`START`].
fn attempt(customer: &str, id: &str) -> Value {
    json!({
        "id": id,
        "customer": customer,
        "case": id,
        "agent": "resolver",
        "action": "support.resolution",
        "provider": "openai",
        "model": "gpt-4o",
        "usage": { "input_tokens": 1_000, "output_tokens": 200 },
        "started_at": rfc3339(START + HOUR - MINUTE),
        "ended_at": rfc3339(START + HOUR),
        "status": "answered",
    })
}

/// The value with one field, given by its JSON pointer, set to something else.
fn with(value: &Value, pointer: &str, field: Value) -> Value {
    let mut value = value.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = field,
        parent => parent[name] = field,
    }
    value
}

/// The detail of a problem (RFC 9457), which must be of this status.
async fn problem(response: Response, status: u16) -> String {
    let url = response.url().to_string();
    assert_eq!(response.status(), status, "{url}");
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{url}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{url}");
    assert!(body["title"].is_string(), "{url}: {body}");
    body["detail"].as_str().unwrap().to_string()
}

/// Whether a field is named in a text, as a word.
fn names(text: &str, field: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == field)
}

/// What is parked.
async fn parked(service: &Service) -> Vec<Value> {
    service.get_json("/v1/parked").await.as_array().unwrap().clone()
}
