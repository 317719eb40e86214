//! What the tests of the double share.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use verdict_billing::stripe::{Collection, NewCustomer, NewInvoice, NewItem, Stripe};
use verdict_stripe_double::StripeDouble;

/// Long enough for a machine that is busy with other things.
pub const TIMEOUT: Duration = Duration::from_secs(10);
pub const SECRET: &str = "sk_test_double";

/// A double that records to `target/stripe-traffic/NAME.jsonl`, and where that is. Idempotency keys begin with the
/// name wherever the calls of several recordings differ, so that they can also be checked in one go.
pub fn recorded(name: &str) -> (StripeDouble, PathBuf) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .with_file_name("stripe-traffic")
        .join(name)
        .with_extension("jsonl");
    (StripeDouble::start(Some(path.clone())), path)
}

pub fn client(double: &StripeDouble) -> Stripe {
    Stripe::new(SECRET, Some(&double.base_url), TIMEOUT).unwrap()
}

/// A client that does not wait for late answers.
pub fn impatient(double: &StripeDouble) -> Stripe {
    Stripe::new(SECRET, Some(&double.base_url), Duration::from_millis(250)).unwrap()
}

/// Holds recorded traffic against Stripe's schema, by a checker that is kept beside the repository. Where it is not
/// at hand, says so and lets the test pass.
pub fn check_traffic(path: &Path) {
    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/stripe/check");
    if !checker.exists() {
        println!("not checked against Stripe's schema: {} is absent", checker.display());
        return;
    }
    let python = |arguments: &[&Path]| Command::new("python3").args(arguments).output();
    match python(&[Path::new("-c"), Path::new("import jsonschema")]) {
        Ok(output) if output.status.success() => {}
        _ => return println!("not checked against Stripe's schema: no python3 with jsonschema"),
    }
    let output = python(&[&checker, path]).unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    println!("{report}");
    assert!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
}

pub fn customer(verdict_customer: &str) -> NewCustomer<'_> {
    NewCustomer { verdict_customer, name: "Ärmel & Söhne", email: Some("billing@example.com") }
}

pub fn draft<'a>(stripe_customer: &'a str, verdict_invoice: &'a str) -> NewInvoice<'a> {
    NewInvoice {
        stripe_customer,
        verdict_invoice,
        currency: "EUR",
        description: "Outcomes of March",
        collection: Collection::ChargeAutomatically,
        automatic_tax: false,
    }
}

pub fn line<'a>(
    stripe_customer: &'a str,
    stripe_invoice: &'a str,
    line: u32,
    amount_minor: i64,
) -> NewItem<'a> {
    NewItem {
        stripe_customer,
        stripe_invoice,
        verdict_invoice: "inv-1",
        line,
        amount_minor,
        currency: "EUR",
        description: "Refund requests settled, 100% & more",
        quantity: -2,
        action: "refund[eu]",
        kind: "confirmed",
        tax_on_top: false,
    }
}

/// A bare answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub replayed: bool,
    pub retry_after: Option<String>,
}

impl Answer {
    pub fn id(&self) -> &str {
        self.body["id"].as_str().unwrap()
    }

    pub fn error(&self) -> (u16, &str, &str) {
        let text = |name: &str| self.body["error"][name].as_str().unwrap_or_default();
        (self.status, text("type"), text("code"))
    }
}

/// A client. All is `http://` here, but the library wants to know who would do the cryptography.
pub fn http() -> reqwest::Client {
    // The second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// A bare call.
pub async fn call(double: &StripeDouble, method: &str, path: &str, key: Option<&str>, form: &str) -> Answer {
    let url = format!("{}{}", double.base_url, path.trim_start_matches('/'));
    let request = http().request(method.parse().unwrap(), url).bearer_auth(SECRET);
    let request = match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    };
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_owned());
    let response = request.send().await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, replayed) = (response.status().as_u16(), header("Idempotent-Replayed").is_some());
    let retry_after = header("Retry-After");
    Answer { status, replayed, retry_after, body: response.json().await.unwrap() }
}
