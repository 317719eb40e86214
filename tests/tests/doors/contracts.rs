//! Contracts in.

use crate::{START, contract, names, problem, start, with};
use serde_json::{Value, json};
use verdict_oracle::DAY;

const TOML: &str = r#"
customer = "globex"
version = 1
effective_from = "2026-10-01T00:00:00Z"
currency = "EUR"
time_zone = "Europe/Berlin"
grace = "48h"

[bill_to]
name = "Globex"
email = "billing@globex.example"

[[prices]]
action = "support.resolution"
amount = "0.99"

[rule]
assumed = "platform"
"#;

#[tokio::test]
async fn contracts_come_in_toml_and_json_and_the_same_again_is_no_error() {
    let service = start("contracts-forms").await;
    for (content_type, body) in
        [("application/json", contract("acme").to_string()), ("application/toml", TOML.to_string())]
    {
        for status in [201, 200] {
            let response = service.post_bytes("/v1/contracts", content_type, body.clone().into_bytes()).await;
            assert_eq!(response.status(), status, "{content_type}");
        }
    }
    let listed = service.get_json("/v1/contracts").await;
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    assert_eq!(listed[1]["bill_to"]["email"], "billing@globex.example");
    assert_eq!(listed[1]["rule"]["silence_window"], "72h", "what is not said is the default");
    assert_eq!(listed[1]["grace"], "48h");
}

#[tokio::test]
async fn a_bad_contract_is_refused_by_the_name_of_its_field() {
    let service = start("contracts-bad").await;
    let price = json!({ "action": "support.resolution", "amount": "1" });
    let long = "x".repeat(129);
    let faults = [
        ("/customer", json!("")),
        ("/customer", json!(long)),
        ("/customer", json!("ac\nme")),
        ("/version", json!(0)),
        ("/version", json!(-1)),
        ("/version", json!("first")),
        ("/effective_from", json!("tomorrow")),
        ("/effective_from", json!(1_790_812_800)),
        ("/currency", json!("ZZZ")),
        ("/currency", json!("XAU")),
        ("/period", json!("fortnightly")),
        ("/time_zone", json!("Mars/Olympus")),
        ("/grace", json!("soon")),
        ("/grace", json!("900d")),
        ("/bill_to", json!("Acme")),
        ("/bill_to/name", json!("")),
        ("/bill_to/email", json!("nobody")),
        ("/prices", json!([])),
        ("/prices/0/action", json!("")),
        ("/prices/0/action", json!("x".repeat(65))),
        ("/prices/0/amount", json!("free")),
        ("/prices/0/amount", json!("-0.01")),
        ("/prices/0/amount", json!("1000000.01")),
        ("/prices/0/amount", json!(0.99)),
        ("/prices/0/assumed_amount", json!("1e3")),
        ("/prices", json!([price, price])),
        ("/prices/0/tiers", json!([{ "amount": "1" }])),
        ("/prices/0/included", json!(-1)),
        ("/prices/0/package", json!(0)),
        ("/prices/0/mode", json!("by weight")),
        ("/fees", json!([{ "name": "", "amount": "1" }])),
        ("/minimum", json!("-1")),
        ("/cap", json!(100)),
        ("/discount", json!("101")),
        ("/assumed_at_most", json!("half")),
        ("/rule", json!({ "confirmed_settles_after": "a day" })),
        ("/rule", json!({ "assumed": "maybe" })),
        ("/rule", json!({ "silence_window": -3 })),
        ("/rule", json!({ "reopen": "sometimes" })),
        ("/rule", json!({ "reversal_horizon": "500d" })),
        ("/colour", json!("red")),
    ];
    let mut unnamed = Vec::new();
    for (pointer, value) in faults {
        let body = with(&contract("acme"), pointer, value.clone());
        let field = match value.as_object().filter(|_| pointer == "/rule") {
            Some(rule) => rule.keys().next().unwrap().clone(),
            None => pointer.rsplit('/').next().unwrap().to_string(),
        };
        let detail = problem(service.try_post("/v1/contracts", &body).await.unwrap(), 422).await;
        if !names(&detail, &field) {
            unnamed.push(format!("{pointer} = {value}: {detail}"));
        }
    }
    for field in ["customer", "version", "effective_from", "currency", "bill_to", "prices"] {
        let mut body = contract("acme");
        body.as_object_mut().unwrap().remove(field);
        let detail = problem(service.try_post("/v1/contracts", &body).await.unwrap(), 422).await;
        if !names(&detail, field) {
            unnamed.push(format!("without {field}: {detail}"));
        }
    }
    for (line, field) in
        [("grace = \"soon\"", "grace"), ("currency = 3", "currency"), ("colour = 1", "colour")]
    {
        let key = line.split(" =").next().unwrap();
        let kept: Vec<&str> = TOML.lines().filter(|line| !line.starts_with(key)).collect();
        let body = format!("{line}\n{}", kept.join("\n")).into_bytes();
        let detail = problem(service.post_bytes("/v1/contracts", "application/toml", body).await, 422).await;
        if !names(&detail, field) {
            unnamed.push(format!("{line}: {detail}"));
        }
    }
    assert_eq!(service.get_json("/v1/contracts").await, json!([]));
    assert!(unnamed.is_empty(), "refused, but not by name: {unnamed:#?}");
}

#[tokio::test]
async fn a_version_in_use_cannot_change_but_the_next_one_can_be_put() {
    let service = start("contracts-used").await;
    let first = contract("acme");
    let later = with(&first, "/effective_from", json!("2026-11-01T00:00:00Z"));
    service.post("/v1/contracts", &first).await;
    // The clock stays; what is due is run, so the first period opens under version 1.
    service.move_clock(START).await;
    let dearer = with(&first, "/prices/0/amount", json!("1.99"));
    let detail = problem(service.try_post("/v1/contracts", &dearer).await.unwrap(), 409).await;
    assert!(detail.contains("version 2"), "{detail}");
    assert_eq!(service.try_post("/v1/contracts", &first).await.unwrap().status(), 200);

    // A version that nothing rests on may still be mended.
    let second = with(&later, "/version", json!(2));
    for amount in ["1.99", "2.99"] {
        let second = with(&second, "/prices/0/amount", json!(amount));
        assert_eq!(service.try_post("/v1/contracts", &second).await.unwrap().status(), 201, "{amount}");
    }
    service.move_clock(START + 32 * DAY).await;
    problem(service.try_post("/v1/contracts", &second).await.unwrap(), 409).await;
}

#[tokio::test]
async fn all_versions_of_a_customer_bill_in_one_currency() {
    let service = start("contracts-currency").await;
    service.post("/v1/contracts", &contract("acme")).await;
    let other: Value = with(&with(&contract("acme"), "/version", json!(2)), "/currency", json!("EUR"));
    let detail = problem(service.try_post("/v1/contracts", &other).await.unwrap(), 409).await;
    assert!(detail.contains("currency"), "{detail}");
}
