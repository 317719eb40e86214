//! Each door of the service by itself: who may enter, what is taken, what is refused and in which words, and what
//! the outside sees when things go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod attempts;
mod clock;
mod contracts;
mod queue;
mod stripe;
mod webhooks;

use reqwest::Response;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use verdict_oracle::{HOUR, MINUTE, rfc3339};
use verdict_tests::database::fresh_sqlite;
use verdict_tests::service::{Service, Setup};

/// 2026-10-01T00:00:00Z: where the test clock starts.
const START: i64 = 1_790_812_800_000_000;

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
