//! A database of an earlier version, with a month in it, goes on under this one.

use crate::{START, contract, folder, start_on, with};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use verdict_migrations::{Migrator, MigratorTrait};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite};

/// Of the schema before prices by share, usage, documents and chains.
const EARLIER: u32 = 13;

/// A case that was won, charged and invoiced, as that version left it.
async fn a_month_of_before(url: &str, contract: &Value) {
    let db = connect(&url.replace(".db", ".db?mode=rwc")).await;
    Migrator::up(&db, Some(EARLIER)).await.unwrap();
    let (answered, settled, end) = (START + HOUR, START + 25 * HOUR, START + 31 * DAY);
    let (closes, body) = (end + 3 * DAY, contract.to_string());
    let bill_to = json!({ "name": "Acme Inc.", "email": "billing@acme.example" });
    let invoice = "acme:2026-10-01T00:00:00Z";
    let cell = |bucket: &str, at: i64, figures: [i64; 3]| {
        let [attempts, outcomes, revenue] = figures;
        format!(
            "INSERT INTO daily_figures VALUES ('acme', {}, 'resolver', 'gpt-4o', 'USD', '{bucket}', '-', {attempts}, 0, \
             {}, {outcomes}, {revenue})",
            at / DAY,
            attempts * 4_500_000
        )
    };
    let contribution = json!([
        [answered / DAY, "resolver", "gpt-4o", "USD", "won", "-", [1, 0, 4_500_000, 0, 0]],
        [settled / DAY, "resolver", "gpt-4o", "USD", "confirmed", "-", [0, 0, 0, 1, 0]],
    ]);
    for sql in [
        format!("INSERT INTO contracts VALUES ('acme', 1, {START}, '{body}', {START})"),
        format!("INSERT INTO periods VALUES ('acme', {START}, {end}, {closes}, 1, 0, 0, {closes})"),
        format!(
            "INSERT INTO attempts (customer, id, case_id, agent, action, provider, model, input_tokens, output_tokens, status, \
             model_cost_nanos, other_cost_nanos, cost_currency, price_source, started_at, ended_at, recorded_at) VALUES \
             ('acme', 'a', 'c', 'resolver', 'support.resolution', 'openai', 'gpt-4o', 1000, 200, 'answered', 4500000, 0, 'USD', \
             'genai-prices', {answered}, {answered}, {answered})"
        ),
        format!(
            "INSERT INTO resolutions (customer, id, case_id, kind, occurred_at, recorded_at, strength) VALUES \
             ('acme', 'api:r', 'c', 'confirmed', {answered}, {answered}, 'api')"
        ),
        format!(
            "INSERT INTO cases VALUES ('acme', 'c', {closes}, NULL, 'confirmed', '[]', '{contribution}')"
        ),
        format!(
            "INSERT INTO outcomes (customer, case_id, seq, episode, kind, sign, win, action, agent, model, effective_at, facts, \
             posted_at) VALUES ('acme', 'c', 1, 'start', 'charge', 1, 'confirmed', 'support.resolution', 'resolver', 'gpt-4o', \
             {settled}, '[\"attempt:a\",\"api:r\"]', {settled})"
        ),
        format!(
            "INSERT INTO charges (customer, case_id, seq, action, win, sign, contract_version, amount_nanos, currency, effective_at, \
             rated_at, invoice_id, origin_at) VALUES ('acme', 'c', 1, 'support.resolution', 'confirmed', 1, 1, 990000000, 'USD', \
             {settled}, {settled}, '{invoice}', {settled})"
        ),
        format!(
            "INSERT INTO invoices (id, customer, period_start, period_end, currency, total_minor, bill_to, drafted_at) VALUES \
             ('{invoice}', 'acme', {START}, {end}, 'USD', 99, '{bill_to}', {closes})"
        ),
        format!(
            "INSERT INTO invoice_lines (invoice_id, number, action, win, contract_version, quantity, amount_nanos, amount_minor, \
             period_start, item, why) VALUES ('{invoice}', 1, 'support.resolution', 'confirmed', 1, 1, 990000000, 99, {START}, \
             'outcomes', '1 × 0.99')"
        ),
        cell("won", answered, [1, 0, 0]),
        cell("confirmed", settled, [0, 1, 0]),
        cell("revenue", settled, [0, 0, 990_000_000]),
    ] {
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
    }
}

async fn it_goes_on(url: &str, name: &str) {
    a_month_of_before(url, &contract("acme")).await;
    let service = start_on(name, url).await;
    service.move_clock(START + 35 * DAY).await;
    let invoices = service.get_json("/v1/invoices").await;
    let october = &invoices[0];
    let said = [&october["kind"], &october["state"], &october["total"], &october["lines"][0]["why"]];
    assert_eq!(said, ["invoice", "final", "0.99", "1 × 0.99"], "{invoices}");
    let shown = service.command(&["verify"]);
    assert!(shown.contains('1'), "{shown}");
    let agreed = service.command(&["reconcile", "--since", "2026-10-01"]);
    assert!(!agreed.contains("differs"), "{agreed}");
    // What was won before is taken back now: November's invoice has the difference.
    let reopened = json!({ "id": "r2", "customer": "acme", "case": "c", "kind": "reopened", "occurred_at": rfc3339(START + 20 * DAY) });
    service.post("/v1/resolutions", &reopened).await;
    service.move_clock(START + 65 * DAY).await;
    let november = service.get_json("/v1/invoices").await[0].clone();
    assert_eq!(november["total"], "-0.99", "{november}");
    let report = "/v1/reports/failure-cost?from=2026-10-01&to=2026-12-31&by=customer";
    let totals = service.get_json(report).await["totals"][0].clone();
    assert_eq!((&totals["revenue_nanos"], &totals["lost_nanos"]), (&json!(0), &json!(4_500_000)), "{totals}");
    service.command(&["verify"]);
}

#[tokio::test]
async fn a_month_of_before_goes_on_on_sqlite() {
    it_goes_on(&fresh_sqlite(&folder("upgrade")), "upgrade").await;
}

#[tokio::test]
async fn a_month_of_before_goes_on_on_postgres() {
    it_goes_on(&fresh_postgres("doors_upgrade").await, "upgrade-postgres").await;
}

/// What was won before and is included is free now.
async fn it_is_free_now(url: &str, name: &str) {
    a_month_of_before(url, &with(&contract("acme"), "/prices/0/included", json!(1))).await;
    let service = start_on(name, url).await;
    service.move_clock(START + 35 * DAY).await;
    let report = "/v1/reports/failure-cost?from=2026-10-01&to=2026-12-31&by=reason";
    let report = service.get_json(report).await;
    let total = &report["totals"][0];
    assert_eq!((&total["won_nanos"], &total["free_nanos"]), (&json!(0), &json!(4_500_000)), "{report}");
    assert!(report["rows"].as_array().unwrap().iter().any(|row| row["key"] == "included"), "{report}");
}

#[tokio::test]
async fn what_was_won_before_is_free_now() {
    it_is_free_now(&fresh_sqlite(&folder("upgrade-free")), "upgrade-free").await;
    it_is_free_now(&fresh_postgres("doors_upgrade_free").await, "upgrade-free-postgres").await;
}
