//! Drafts that are approved, trials, credit notes, prepaid credits, and usage at cost and a mark-up.

use crate::{START, attempt, contract, folder, problem, start, start_on, with};
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::Service;

/// October is closed then.
const CLOSED: i64 = START + 34 * DAY;
/// November is.
const NEXT: i64 = START + 65 * DAY;

/// Records `count` confirmed cases from `from` on.
async fn confirmed(service: &Service, name: &str, count: usize, from: i64) {
    let (mut attempts, mut resolutions) = (Vec::new(), Vec::new());
    for nth in 0..count {
        let case = format!("{name}-{nth}");
        let attempt = with(&attempt("acme", &case), "/ended_at", json!(rfc3339(from)));
        attempts.push(with(&attempt, "/started_at", json!(rfc3339(from - 1_000_000))));
        let kind = json!({ "id": case, "customer": "acme", "case": case, "kind": "confirmed", "occurred_at": rfc3339(from) });
        resolutions.push(kind);
    }
    service.post("/v1/attempts", &json!(attempts)).await;
    service.post("/v1/resolutions", &json!(resolutions)).await;
}

async fn reopen(service: &Service, case: &str, at: i64) {
    let fact = json!({ "id": format!("reopen {case}"), "customer": "acme", "case": case, "kind": "reopened", "occurred_at": rfc3339(at) });
    service.post("/v1/resolutions", &fact).await;
}

/// The documents, the oldest first: kind, state, total, what it corrects.
async fn documents(service: &Service) -> Vec<[String; 4]> {
    let invoices = service.get_json("/v1/invoices").await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut documents: Vec<(String, [String; 4])> = invoices
        .as_array()
        .unwrap()
        .iter()
        .map(|invoice| {
            let parts = ["kind", "state", "total", "corrects"].map(|name| text(&invoice[name]));
            (text(&invoice["id"]), parts)
        })
        .collect();
    documents.sort();
    documents.into_iter().map(|(_, parts)| parts).collect()
}

fn document(kind: &str, state: &str, total: &str, corrects: &str) -> [String; 4] {
    [kind, state, total, corrects].map(String::from)
}

const OCTOBER: &str = "acme:2026-10-01T00:00:00Z";

/// Revenue of October and November by the report.
async fn revenue(service: &Service) -> i64 {
    let report = "/v1/reports/failure-cost?from=2026-10-01&to=2026-12-31&by=customer";
    service.get_json(report).await["totals"][0]["revenue_nanos"].as_i64().unwrap()
}

async fn a_credit_note_takes_off_what_the_invoice_says_too_much(url: &str, name: &str) {
    let service = start_on(name, url).await;
    let tiers = json!([{ "action": "support.resolution", "tiers": [{ "up_to": 3, "amount": "1" }, { "amount": "0.5" }] }]);
    let terms = with(&with(&contract("acme"), "/prices", tiers), "/corrections", json!("credit_note"));
    service.post("/v1/contracts", &terms).await;
    confirmed(&service, "c", 5, START + HOUR).await;
    service.move_clock(CLOSED).await;
    reopen(&service, "c-1", START + 20 * DAY).await;
    confirmed(&service, "n", 1, CLOSED).await;
    service.move_clock(NEXT).await;
    // 3 x 1 + 2 x 0.5; one less is 0.5 less, not its list price.
    let note = document("credit_note", "final", "-0.50", OCTOBER);
    let november = document("invoice", "final", "1.00", "");
    let october = document("invoice", "final", "4.00", "");
    assert_eq!(documents(&service).await, [october.clone(), november.clone(), note.clone()]);
    assert_eq!(revenue(&service).await, 4_500_000_000);
    // All of October is taken back: no more than its invoice says is left to credit.
    for case in ["c-0", "c-2", "c-3", "c-4"] {
        reopen(&service, case, START + 25 * DAY).await;
    }
    service.move_clock(START + 96 * DAY).await;
    let rest = document("credit_note", "final", "-3.50", OCTOBER);
    assert_eq!(documents(&service).await, [october, november, note, rest]);
    assert_eq!(revenue(&service).await, 1_000_000_000);
    let shown = service.command(&["invoices", "list"]);
    assert!(shown.contains("-3.50 USD  credit note, final, not at Stripe"), "{shown}");
}

#[tokio::test]
async fn credit_notes_on_sqlite() {
    let url = fresh_sqlite(&folder("documents-notes"));
    a_credit_note_takes_off_what_the_invoice_says_too_much(&url, "documents-notes").await;
}

#[tokio::test]
async fn credit_notes_on_postgres() {
    let url = fresh_postgres("doors_documents_notes").await;
    a_credit_note_takes_off_what_the_invoice_says_too_much(&url, "documents-notes-postgres").await;
}

async fn a_draft_waits_and_takes_what_comes_late(url: &str, name: &str) {
    let service = start_on(name, url).await;
    service.post("/v1/contracts", &with(&contract("acme"), "/approval", json!(true))).await;
    confirmed(&service, "c", 3, START + HOUR).await;
    service.move_clock(CLOSED).await;
    assert_eq!(documents(&service).await, [document("invoice", "draft", "2.97", "")]);
    // A void before it is final: the line just changes.
    reopen(&service, "c-1", START + 20 * DAY).await;
    service.move_clock(CLOSED + HOUR).await;
    assert_eq!(documents(&service).await, [document("invoice", "draft", "1.98", "")]);
    assert_eq!(revenue(&service).await, 1_980_000_000);
    let approve = |total: i64| {
        let body = json!({ "total_minor": total });
        let service = &service;
        async move { service.try_post(&format!("/v1/invoices/{OCTOBER}/approve"), &body).await.unwrap() }
    };
    assert!(problem(approve(297).await, 409).await.contains("198"));
    let approved: Value = approve(198).await.json().await.unwrap();
    assert_eq!((&approved["state"], &approved["total_minor"]), (&json!("final"), &json!(198)));
    assert!(approved["approved_by"].is_string());
    assert!(problem(approve(198).await, 409).await.contains("final"));
    // After it, a correction.
    reopen(&service, "c-2", START + 20 * DAY).await;
    service.move_clock(NEXT).await;
    let november = document("invoice", "draft", "-0.99", "");
    assert_eq!(documents(&service).await, [document("invoice", "final", "1.98", ""), november]);
    let refused = service.try_command(&[
        "invoices",
        "approve",
        "acme:2026-11-01T00:00:00Z",
        "--total",
        "5",
        "--by",
        "kim",
    ]);
    assert!(!refused.status.success());
    let approved = service.command(&[
        "invoices",
        "approve",
        "acme:2026-11-01T00:00:00Z",
        "--total=-0.99",
        "--by",
        "kim",
    ]);
    assert_eq!(approved.trim(), "approved: -0.99 USD");
}

#[tokio::test]
async fn approval_on_sqlite() {
    a_draft_waits_and_takes_what_comes_late(
        &fresh_sqlite(&folder("documents-approval")),
        "documents-approval",
    )
    .await;
}

#[tokio::test]
async fn approval_on_postgres() {
    let url = fresh_postgres("doors_documents_approval").await;
    a_draft_waits_and_takes_what_comes_late(&url, "documents-approval-postgres").await;
}

#[tokio::test]
async fn a_trial_is_rated_and_never_charged() {
    let service = start("documents-trial").await;
    service.post("/v1/contracts", &with(&contract("acme"), "/shadow", json!(true))).await;
    let live = with(&contract("acme"), "/version", json!(2));
    service.post("/v1/contracts", &with(&live, "/effective_from", json!("2026-11-01T00:00:00Z"))).await;
    confirmed(&service, "c", 3, START + HOUR).await;
    service.move_clock(CLOSED).await;
    // What is taken back of the trial is not credited by the invoice that follows it.
    reopen(&service, "c-1", START + 20 * DAY).await;
    confirmed(&service, "n", 2, CLOSED).await;
    service.move_clock(NEXT).await;
    let trial = document("invoice", "shadow", "2.97", "");
    let less = document("invoice", "shadow", "-0.99", OCTOBER);
    assert_eq!(documents(&service).await, [trial, document("invoice", "final", "1.98", ""), less]);
    let refused = service.try_command(&["invoices", "push", OCTOBER]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("only final ones"), "{refused:?}");
}

async fn prepaid_credits_are_drawn_and_given_back(url: &str, name: &str) {
    let service = start_on(name, url).await;
    let grant = |id: &str, amount: &str, expires: Option<&str>| json!({ "id": id, "customer": "acme", "amount": amount, "effective_at": rfc3339(START), "expires_at": expires });
    let early = grant("q4", "2.00", Some("2026-12-31T00:00:00Z"));
    assert!(
        problem(service.try_post("/v1/credits", &early).await.unwrap(), 422).await.contains("no contract")
    );
    service.post("/v1/contracts", &contract("acme")).await;
    assert_eq!(service.try_post("/v1/credits", &early).await.unwrap().status(), 201);
    assert_eq!(service.try_post("/v1/credits", &early).await.unwrap().status(), 200);
    assert!(
        problem(service.try_post("/v1/credits", &grant("q4", "3", None)).await.unwrap(), 409)
            .await
            .contains("q4")
    );
    assert!(
        problem(service.try_post("/v1/credits", &grant("x", "0.001", None)).await.unwrap(), 422)
            .await
            .contains("0.01")
    );
    service.post("/v1/credits", &grant("ever", "5", None)).await;
    confirmed(&service, "c", 3, START + HOUR).await;
    service.move_clock(CLOSED).await;
    let invoice = service.get_json("/v1/invoices").await[0].clone();
    let lines: Vec<(&str, &str, i64)> = invoice["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            (
                line["item"].as_str().unwrap(),
                line["action"].as_str().unwrap(),
                line["amount_minor"].as_i64().unwrap(),
            )
        })
        .collect();
    // What expires first goes first.
    assert_eq!(
        lines,
        [("outcomes", "support.resolution", 297), ("credits", "ever", -97), ("credits", "q4", -200)]
    );
    assert_eq!(invoice["total"], "0.00");
    let left = || async {
        let grants = service.get_json("/v1/customers/acme/credits").await;
        let left = grants.as_array().unwrap().iter().map(|grant| grant["left"].as_str().unwrap().to_string());
        left.collect::<Vec<_>>()
    };
    assert_eq!(left().await, ["4.03", "0.00"]);
    // Two are taken back: what October no longer needs goes back to the grant, not out as money.
    reopen(&service, "c-1", START + 20 * DAY).await;
    reopen(&service, "c-2", START + 20 * DAY).await;
    service.move_clock(NEXT).await;
    let november = service.get_json("/v1/invoices").await[0].clone();
    assert_eq!(november["total"], "0.00", "{november}");
    assert_eq!(left().await, ["5.00", "1.01"]);
}

#[tokio::test]
async fn credits_on_sqlite() {
    prepaid_credits_are_drawn_and_given_back(
        &fresh_sqlite(&folder("documents-credits")),
        "documents-credits",
    )
    .await;
}

#[tokio::test]
async fn credits_on_postgres() {
    let url = fresh_postgres("doors_documents_credits").await;
    prepaid_credits_are_drawn_and_given_back(&url, "documents-credits-postgres").await;
}

async fn usage_is_charged_at_cost_and_a_mark_up(url: &str, name: &str) {
    let service = start_on(name, url).await;
    let usage = json!([{ "action": "chat", "percent": "20", "per_request": "0.001" }]);
    let terms = with(&contract("acme"), "/usage", usage.clone());
    service.post("/v1/contracts", &terms).await;
    let both = with(&terms, "/usage/0/action", json!("support.resolution"));
    let refused = service.try_post("/v1/contracts", &with(&both, "/version", json!(2))).await.unwrap();
    assert!(problem(refused, 422).await.contains("beside_outcomes"));
    let chat = |id: &str, cost: Option<&str>, at: i64| {
        let mut event = with(&attempt("acme", id), "/action", json!("chat"));
        event["ended_at"] = json!(rfc3339(at));
        event["started_at"] = json!(rfc3339(at - 1_000_000));
        if let Some(cost) = cost {
            event["reported_cost"] = json!({ "amount": cost, "currency": "USD" });
        } else {
            event["usage"] = Value::Null;
        }
        event
    };
    let at = START + HOUR;
    let mut events = vec![chat("a", Some("1.5"), at), chat("b", Some("0.25"), at), chat("c", None, at)];
    events.push(with(&chat("d", Some("9"), at), "/reported_cost/currency", json!("EUR")));
    service.post("/v1/attempts", &json!(events)).await;
    service.move_clock(CLOSED).await;
    let invoice = service.get_json("/v1/invoices").await[0].clone();
    let line = |nth: usize| {
        let line = &invoice["lines"][nth];
        (
            line["item"].as_str().unwrap(),
            line["quantity"].as_i64().unwrap(),
            line["amount_nanos"].as_i64().unwrap(),
            line["why"].as_str().unwrap(),
        )
    };
    let cost = "2 requests, cost by reported; 2 more of unknown cost, not charged";
    assert_eq!(line(0), ("model_cost", 4, 1_750_000_000, cost), "{invoice}");
    assert_eq!(line(1), ("mark_up", 2, 352_000_000, "20 % of 1.75 USD + 2 × 0.001"));
    // What comes late is on the next invoice, as the difference.
    service.post("/v1/attempts", &chat("e", Some("1"), at)).await;
    service.move_clock(NEXT).await;
    let late = service.get_json("/v1/invoices").await[0].clone();
    assert_eq!((&late["total"], &late["lines"][0]["quantity"]), (&json!("1.20"), &json!(1)), "{late}");
    assert_eq!(late["lines"][0]["period_start"], "2026-10-01T00:00:00Z");
    let linted = folder(name).join("usage.json");
    std::fs::write(&linted, with(&terms, "/version", json!(3)).to_string()).unwrap();
    let shown = service.command(&["contracts", "preview", linted.to_str().unwrap(), "--day", "2026-10-15"]);
    assert!(shown.contains("chat, mark-up: 20 % of 2.75 USD + 3 × 0.001"), "{shown}");
}

#[tokio::test]
async fn usage_on_sqlite() {
    usage_is_charged_at_cost_and_a_mark_up(&fresh_sqlite(&folder("documents-usage")), "documents-usage")
        .await;
}

#[tokio::test]
async fn usage_on_postgres() {
    let url = fresh_postgres("doors_documents_usage").await;
    usage_is_charged_at_cost_and_a_mark_up(&url, "documents-usage-postgres").await;
}
