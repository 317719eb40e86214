//! What is resolved and not billed: included outcomes, those beyond a cap, and trials.

use crate::{START, attempt, contract, folder, start_on, with};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::Service;

/// What an attempt costs, in nanos.
const COST: i64 = 4_500_000;

/// An attempt in a case that ends at a moment.
async fn tried(service: &Service, id: &str, case: &str, at: i64, status: &str) {
    let attempt = with(&with(&attempt("acme", id), "/case", json!(case)), "/status", json!(status));
    let attempt = with(&attempt, "/started_at", json!(rfc3339(at - MINUTE)));
    service.post("/v1/attempts", &with(&attempt, "/ended_at", json!(rfc3339(at)))).await;
}

async fn said(service: &Service, id: &str, case: &str, kind: &str, at: i64) {
    let said =
        json!({ "id": id, "customer": "acme", "case": case, "kind": kind, "occurred_at": rfc3339(at) });
    service.post("/v1/resolutions", &said).await;
}

/// An answer and its confirmation.
async fn confirmed(service: &Service, id: &str, case: &str, at: i64) {
    tried(service, id, case, at, "answered").await;
    said(service, &format!("yes-{id}"), case, "confirmed", at).await;
}

/// By reason: what is free, in attempts; then won, lost and retried attempts, and the revenue in nanos.
async fn figures(service: &Service) -> (BTreeMap<String, i64>, [i64; 4]) {
    let report = service.get_json("/v1/reports/failure-cost?from=2026-10-01&to=2026-12-31&by=reason").await;
    let number = |row: &Value, field: &str| row[field].as_i64().unwrap();
    let rows = report["rows"].as_array().unwrap().iter();
    let free = rows
        .filter(|row| number(row, "free_nanos") != 0)
        .map(|row| (row["key"].as_str().unwrap().to_string(), number(row, "free_nanos") / COST));
    let total = &report["totals"][0];
    let parts =
        ["won", "retry", "free", "lost", "pending"].map(|part| number(total, &format!("{part}_nanos")));
    assert_eq!(parts.iter().sum::<i64>(), COST * number(total, "attempts"), "to the nano");
    let of = |field| number(total, field) / COST;
    let totals = [of("won_nanos"), of("lost_nanos"), of("retry_nanos"), number(total, "revenue_nanos")];
    (free.collect(), totals)
}

fn free(reasons: &[(&str, i64)]) -> BTreeMap<String, i64> {
    reasons.iter().map(|(reason, attempts)| (reason.to_string(), *attempts)).collect()
}

/// Why the last charge of a case is free, and what the sentence of its last episode says of it.
async fn why(service: &Service, case: &str) -> (Option<String>, String) {
    let told = service.get_json(&format!("/v1/cases/acme/{case}")).await;
    let mut charges = told["billed"].as_array().unwrap().iter().filter(|row| row["entry"] == "charge");
    let episode = told["episodes"].as_array().unwrap().last().unwrap();
    let free = charges.next_back().unwrap()["free"].as_str().map(String::from);
    (free, episode["sentence"].as_str().unwrap().to_string())
}

fn agrees(service: &Service) {
    // It fails if there is any difference.
    service.command(&["reconcile", "--since", "2026-10-01"]);
}

/// Two are included, and two more come to the cap.
async fn the_first_are_included_and_the_last_beyond_the_cap(url: &str, name: &str) {
    let service = start_on(name, url).await;
    let capped = with(&with(&contract("acme"), "/cap", json!("1.98")), "/prices/0/included", json!(2));
    service.post("/v1/contracts", &capped).await;
    tried(&service, "a-0", "c-0", START + HOUR, "failed").await;
    tried(&service, "a-3", "c-3", START + HOUR, "failed").await;
    // The last ones become known first.
    for nth in [4, 3, 2, 1, 0] {
        let id = format!("c-{nth}");
        confirmed(&service, &id, &id, START + 2 * HOUR + nth * MINUTE).await;
        service.move_clock(START + 30 * HOUR + (4 - nth) * MINUTE).await;
    }
    let (reasons, [won, lost, retries, _]) = figures(&service).await;
    assert_eq!(reasons, free(&[("included", 3), ("cap", 1)]), "with the failed attempt of the first");
    assert_eq!([won, lost, retries], [2, 0, 1]);
    let (mark, sentence) = why(&service, "c-1").await;
    assert_eq!(mark.as_deref(), Some("included"));
    assert!(
        sentence.contains("one of those that the price includes in each period, so it is free"),
        "{sentence}"
    );
    let (mark, sentence) = why(&service, "c-4").await;
    assert_eq!(mark.as_deref(), Some("cap"));
    assert!(sentence.contains("come to the cap already, so it is free"), "{sentence}");
    assert_eq!(why(&service, "c-2").await.0, None);

    // The first is taken back: the next one is included, and the last is billed.
    said(&service, "r-0", "c-0", "reopened", START + 2 * DAY).await;
    service.move_clock(START + 3 * DAY).await;
    let (reasons, [won, lost, retries, _]) = figures(&service).await;
    assert_eq!(reasons, free(&[("included", 2)]));
    assert_eq!([won, lost, retries], [2, 2, 1]);
    assert_eq!(why(&service, "c-2").await.0.as_deref(), Some("included"));
    assert_eq!(why(&service, "c-4").await.0, None);

    // It is won again, later than all others: beyond the cap.
    confirmed(&service, "again", "c-0", START + 3 * DAY).await;
    service.move_clock(START + 5 * DAY).await;
    assert_eq!(figures(&service).await.0, free(&[("included", 2), ("cap", 1)]));
    assert_eq!(why(&service, "c-0").await.0.as_deref(), Some("cap"));
    agrees(&service);

    // Closing changes nothing of it; the bill has as many free ones.
    service.move_clock(START + 35 * DAY).await;
    let before = figures(&service).await;
    assert_eq!(before.0, free(&[("included", 2), ("cap", 1)]));
    assert_eq!(before.1, [2, 2, 1, 1_980_000_000]);
    let invoices = service.get_json("/v1/invoices").await;
    assert_eq!(invoices[0]["total"], "1.98");
    assert_eq!(invoices[0]["lines"][0]["why"], "2 included; 3 × 0.99");

    // After it one is taken back: what was beyond the cap takes a place, and the bill stays at the cap.
    said(&service, "r-1", "c-1", "reopened", START + 30 * DAY).await;
    service.move_clock(START + 36 * DAY).await;
    assert_eq!(figures(&service).await.0, free(&[("included", 3)]));
    assert_eq!(why(&service, "c-3").await.0.as_deref(), Some("included"), "with its failed attempt");
    assert_eq!(figures(&service).await.1[..3], [2, 3, 0]);
    service.move_clock(START + 66 * DAY).await;
    assert_eq!(figures(&service).await.1[3], 1_980_000_000);
    agrees(&service);
    service.command(&["verify"]);
}

#[tokio::test]
async fn included_and_capped_outcomes_are_free_on_sqlite() {
    the_first_are_included_and_the_last_beyond_the_cap(&fresh_sqlite(&folder("free")), "free").await;
}

#[tokio::test]
async fn included_and_capped_outcomes_are_free_on_postgres() {
    the_first_are_included_and_the_last_beyond_the_cap(&fresh_postgres("doors_free").await, "free-postgres")
        .await;
}

/// Who pays for confirmed outcomes only gets the assumed ones for nothing.
#[tokio::test]
async fn what_costs_nothing_is_free() {
    let service = start_on("free-zero", &fresh_sqlite(&folder("free-zero"))).await;
    service.post("/v1/contracts", &with(&contract("acme"), "/prices/0/assumed_amount", json!("0.00"))).await;
    confirmed(&service, "c-0", "c-0", START + HOUR).await;
    tried(&service, "a-1", "c-1", START + HOUR, "answered").await;
    service.move_clock(START + 6 * DAY).await;
    let (reasons, [won, lost, retries, revenue]) = figures(&service).await;
    assert_eq!(reasons, free(&[("zero_price", 1)]));
    assert_eq!([won, lost, retries, revenue], [1, 0, 0, 990_000_000]);
    let (mark, sentence) = why(&service, "c-1").await;
    assert_eq!(mark.as_deref(), Some("zero_price"));
    assert!(sentence.ends_with("; its price is 0, so it is free."), "{sentence}");
    agrees(&service);
}

async fn a_trial_is_free_and_no_revenue(url: &str, name: &str) {
    let service = start_on(name, url).await;
    service.post("/v1/contracts", &with(&contract("acme"), "/shadow", json!(true))).await;
    for nth in 0..3 {
        let id = format!("c-{nth}");
        confirmed(&service, &id, &id, START + HOUR + nth * MINUTE).await;
    }
    service.move_clock(START + 3 * DAY).await;
    said(&service, "r-0", "c-0", "reopened", START + 2 * DAY).await;
    service.move_clock(START + 4 * DAY).await;
    assert_eq!(figures(&service).await, (free(&[("trial", 2)]), [0, 1, 0, 0]));
    let (mark, sentence) = why(&service, "c-1").await;
    assert_eq!(mark.as_deref(), Some("trial"));
    assert!(sentence.contains("the period is a trial, so it is free"), "{sentence}");

    // Before the month is over it is agreed that it counts; then that it does not, after all.
    let live = with(&contract("acme"), "/version", json!(2));
    let live = with(&live, "/effective_from", json!("2026-10-20T00:00:00Z"));
    service.post("/v1/contracts", &live).await;
    service.move_clock(START + 5 * DAY).await;
    assert_eq!(figures(&service).await, (BTreeMap::new(), [2, 1, 0, 1_980_000_000]));
    assert_eq!(why(&service, "c-1").await.0, None);
    agrees(&service);
    service.post("/v1/contracts", &with(&live, "/shadow", json!(true))).await;
    service.move_clock(START + 6 * DAY).await;
    assert_eq!(figures(&service).await, (free(&[("trial", 2)]), [0, 1, 0, 0]));

    // A fee of the closed trial is no revenue either; what is paid for begins with the month after.
    let paid = with(
        &with(&contract("acme"), "/version", json!(3)),
        "/fees",
        json!([{ "name": "Seats", "amount": "20" }]),
    );
    service.post("/v1/contracts", &with(&paid, "/effective_from", json!("2026-11-01T00:00:00Z"))).await;
    service.move_clock(START + 35 * DAY).await;
    let shown = service.get_json("/v1/invoices").await;
    assert_eq!((&shown[0]["state"], &shown[0]["total"]), (&json!("shadow"), &json!("1.98")));
    assert_eq!(figures(&service).await, (free(&[("trial", 2)]), [0, 1, 0, 0]));
    confirmed(&service, "n", "n", START + 35 * DAY).await;
    said(&service, "r-1", "c-1", "reopened", START + 20 * DAY).await;
    service.move_clock(START + 66 * DAY).await;
    assert_eq!(figures(&service).await, (free(&[("trial", 1)]), [1, 2, 0, 20_990_000_000]));
    agrees(&service);
}

#[tokio::test]
async fn a_trial_is_free_on_sqlite() {
    a_trial_is_free_and_no_revenue(&fresh_sqlite(&folder("free-trial")), "free-trial").await;
}

#[tokio::test]
async fn a_trial_is_free_on_postgres() {
    a_trial_is_free_and_no_revenue(&fresh_postgres("doors_free_trial").await, "free-trial-postgres").await;
}
