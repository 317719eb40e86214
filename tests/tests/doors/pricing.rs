//! What a period costs: tiers, fees, bounds, and what is taken back after its invoice.

use crate::{START, attempt, contract, folder, start, start_on, with};
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::Service;

/// Records `count` answered cases and their confirmations, a minute apart from `from` on.
async fn confirmed(service: &Service, name: &str, count: usize, from: i64) {
    let (mut attempts, mut resolutions) = (Vec::new(), Vec::new());
    for nth in 0..count {
        let at = from + i64::try_from(nth).unwrap() * 60_000_000;
        let case = format!("{name}-{nth}");
        let attempt = with(&attempt("acme", &case), "/ended_at", json!(rfc3339(at)));
        attempts.push(with(&attempt, "/started_at", json!(rfc3339(at - 1_000_000))));
        let kind = json!({ "id": case, "customer": "acme", "case": case, "kind": "confirmed", "occurred_at": rfc3339(at) });
        resolutions.push(kind);
    }
    service.post("/v1/attempts", &Value::Array(attempts)).await;
    service.post("/v1/resolutions", &Value::Array(resolutions)).await;
}

/// The lines of the newest invoice: item and name, quantity, amount in minor units.
async fn newest(service: &Service) -> (Value, Vec<(String, i64, i64)>) {
    let invoices = service.get_json("/v1/invoices").await;
    let lines = invoices[0]["lines"].as_array().unwrap().iter().map(|line| {
        let name = line["action"].as_str().unwrap_or_default();
        let kind = line["kind"].as_str().unwrap_or_default();
        let what = format!("{} {name} {kind}", line["item"].as_str().unwrap()).trim().to_string();
        (what, line["quantity"].as_i64().unwrap(), line["amount_minor"].as_i64().unwrap())
    });
    (invoices[0].clone(), lines.collect())
}

fn tiered() -> Value {
    let prices = json!([{
        "action": "support.resolution", "included": 2,
        "tiers": [{ "up_to": 5, "amount": "1" }, { "amount": "0.5", "flat": "2" }],
    }]);
    let contract = with(&contract("acme"), "/prices", prices);
    let contract = with(&contract, "/fees", json!([{ "name": "Seats", "amount": "20", "quantity": 2 }]));
    with(&contract, "/discount", json!("10"))
}

async fn a_month_is_priced_whole_and_corrected_by_what_it_costs_less(url: &str, name: &str) {
    let service = start_on(name, url).await;
    service.post("/v1/contracts", &tiered()).await;
    confirmed(&service, "c", 10, START + HOUR).await;
    service.move_clock(START + 34 * DAY).await;
    // 2 are included; 5 x 1 + 3 x 0.5 + 2 = 8.5; with 40 of fees 48.5, less 10 %.
    let outcomes = "outcomes support.resolution confirmed".to_string();
    let fee = "fee Seats".to_string();
    let (invoice, lines) = newest(&service).await;
    let first = vec![(outcomes.clone(), 10, 850), (fee.clone(), 2, 4_000), ("discount".into(), 1, -485)];
    assert_eq!(lines, first, "{invoice}");
    assert_eq!(invoice["total"], "43.65");
    assert_eq!(invoice["lines"][0]["why"], "2 included; 5 × 1.00 + 3 × 0.50 + 2.00");

    // One is taken back after the invoice: it comes off at the price of the last tier, not at its list price. The
    // revenue of October is what October costs now.
    let reopened = json!({ "id": "r", "customer": "acme", "case": "c-3", "kind": "reopened", "occurred_at": rfc3339(START + 20 * DAY) });
    service.post("/v1/resolutions", &reopened).await;
    service.move_clock(START + 65 * DAY).await;
    let (invoice, lines) = newest(&service).await;
    let second =
        vec![(outcomes, -1, -50), ("discount".into(), 0, 5), (fee, 2, 4_000), ("discount".into(), 1, -400)];
    assert_eq!(lines, second, "{invoice}");
    assert_eq!(invoice["lines"][0]["period_start"], "2026-10-01T00:00:00Z");
    assert_eq!(invoice["total"], "35.55");
    let report = "/v1/reports/failure-cost?from=2026-10-01&to=2026-12-01&by=customer";
    let revenue = service.get_json(report).await["totals"][0]["revenue_nanos"].clone();
    assert_eq!(revenue, json!(79_200_000_000_i64), "43.65 + 35.55, to the nano");
}

#[tokio::test]
async fn a_month_is_priced_whole_on_sqlite() {
    let url = fresh_sqlite(&folder("pricing-month"));
    a_month_is_priced_whole_and_corrected_by_what_it_costs_less(&url, "pricing-month").await;
}

#[tokio::test]
async fn a_month_is_priced_whole_on_postgres() {
    let url = fresh_postgres("doors_pricing_month").await;
    a_month_is_priced_whole_and_corrected_by_what_it_costs_less(&url, "pricing-month-postgres").await;
}

#[tokio::test]
async fn weeks_have_their_minimum_and_their_cap() {
    let service = start("pricing-weeks").await;
    let weekly = with(&contract("acme"), "/period", json!("weekly"));
    let weekly = with(&with(&weekly, "/minimum", json!("7")), "/cap", json!("9"));
    service.post("/v1/contracts", &weekly).await;
    // The start is a Thursday: the first week has four days of the contract.
    service.move_clock(START + 5 * DAY).await;
    confirmed(&service, "many", 12, START + 5 * DAY).await;
    service.move_clock(START + 20 * DAY).await;
    let invoices = service.get_json("/v1/invoices").await;
    let totals: Vec<&str> =
        invoices.as_array().unwrap().iter().map(|i| i["total"].as_str().unwrap()).collect();
    // The newest first: 12 x 0.99 is beyond the cap; four sevenths of the minimum.
    assert_eq!(totals, ["9.00", "4.00"], "{invoices}");
    assert_eq!(invoices[0]["period_start"], "2026-10-05T00:00:00Z");
    assert_eq!(invoices[0]["lines"][1]["item"], "beyond_cap");
}

#[tokio::test]
async fn a_contract_is_tried_on_the_last_month_before_it_is_signed() {
    let service = start("pricing-preview").await;
    service.post("/v1/contracts", &contract("acme")).await;
    confirmed(&service, "c", 10, START + HOUR).await;
    service.move_clock(START + 40 * DAY).await;
    let file = folder("pricing-preview").join("next.json");
    let next =
        with(&with(&tiered(), "/version", json!(2)), "/effective_from", json!(rfc3339(START + 61 * DAY)));
    std::fs::write(&file, next.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let shown = service.command(&["contracts", "preview", file]);
    for text in
        ["10 cases", "9.90  USD in total", "43.65  USD in total", "2 included; 5 × 1.00 + 3 × 0.50 + 2.00"]
    {
        assert!(shown.contains(text), "{text}\n{shown}");
    }
    assert_eq!(service.get_json("/v1/contracts").await.as_array().unwrap().len(), 1, "nothing is put");
    let linted = service.command(&["contracts", "lint", file]);
    assert!(linted.contains("can be put"), "{linted}");
    std::fs::write(file, with(&next, "/discount", json!("200")).to_string()).unwrap();
    let refused = service.try_command(&["contracts", "lint", file]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("discount"));
}
