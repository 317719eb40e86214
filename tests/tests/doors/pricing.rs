//! What a period costs: tiers, fees, bounds, and what is taken back after its invoice.

use crate::{START, attempt, contract, folder, start, start_on, with};
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::{Value, json};
use std::fs::File;
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

    // Why a case was charged is what the line says, and not its list price.
    let id = invoice["id"].as_str().unwrap();
    let why = format!(
        "counts in line 1 of invoice `{id}`: 10 for 8.50 USD (2 included; 5 × 1.00 + 3 × 0.50 + 2.00); its list price is 1.00 USD"
    );
    let case = service.get_json("/v1/cases/acme/c-9").await;
    let sentence = case["episodes"][0]["sentence"].as_str().unwrap();
    assert!(sentence.ends_with(&format!("{why}.")), "{sentence}");
    let row = &case["billed"][0];
    assert_eq!([&row["amount"]["amount"], &row["invoice"]], ["1.00", id]);
    assert_eq!(
        [&row["line"]["number"], &row["line"]["quantity"], &row["line"]["amount"]["amount"]],
        [&json!(1), &json!(10), &json!("8.50")]
    );
    let text = service.command(&["explain", "acme", "c-0"]);
    for part in
        [&format!("{why}; it is one of those that the price includes"), "in sum, at list prices: 1.00 USD"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }

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

/// All of a month is taken back before it is closed: no invoice is made, and nothing names one.
async fn a_month_with_nothing_to_bill_names_no_invoice(url: &str, name: &str) {
    let service = start_on(name, url).await;
    service.post("/v1/contracts", &contract("acme")).await;
    confirmed(&service, "c", 1, START + HOUR).await;
    service.move_clock(START + 2 * DAY).await;
    let case = service.get_json("/v1/cases/acme/c-0").await;
    let sentence = case["episodes"][0]["sentence"].as_str().unwrap();
    assert!(
        sentence.ends_with("was charged, at its list price of 0.99 USD, for the next invoice."),
        "{sentence}"
    );
    let reopened = json!({ "id": "r", "customer": "acme", "case": "c-0", "kind": "reopened", "occurred_at": rfc3339(START + 3 * DAY) });
    service.post("/v1/resolutions", &reopened).await;
    service.move_clock(START + 35 * DAY).await;
    assert_eq!(service.get_json("/v1/invoices").await, json!([]));

    let case = service.get_json("/v1/cases/acme/c-0").await;
    let rows = case["billed"].as_array().unwrap();
    let told: Vec<_> =
        rows.iter().map(|row| [&row["entry"], &row["invoice"], &row["nothing_to_bill"]]).collect();
    let [yes, none] = [json!(true), Value::Null];
    assert_eq!(told, [[&json!("charge"), &none, &yes], [&json!("void"), &none, &yes]]);
    let sentence = case["episodes"][0]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains(
            "was charged, at its list price of 0.99 USD, but there was nothing to bill in its period"
        ),
        "{sentence}"
    );
    let page = service.get("/cases/acme/c-0").await.text().await.unwrap();
    assert_eq!(page.matches("nothing to bill in this period").count(), 2, "{page}");
    let text = service.command(&["explain", "acme", "c-0"]);
    assert_eq!(text.matches("nothing to bill in its period").count(), 3, "{text}");
    let days = ["--from", "2026-10-01", "--to", "2026-12-01"];
    let file = folder(&format!("{name}-exported"));
    let (cases, facts) = (file.join("cases.jsonl"), file.join("facts"));
    std::fs::create_dir_all(&facts).unwrap();
    service.command(
        &[&["export", "cases", "--customer", "acme", "--out", cases.to_str().unwrap()], &days[..]].concat(),
    );
    let exported = std::fs::read_to_string(&cases).unwrap();
    assert!(
        exported.matches("\"nothing_to_bill\":true").count() == 2 && !exported.contains("acme:2026"),
        "{exported}"
    );
    service.command(&["recount", cases.to_str().unwrap()]);
    service.command(&[&["export", "facts"], &days[..], &[facts.to_str().unwrap()]].concat());
    let reader = SerializedFileReader::new(File::open(facts.join("charges.parquet")).unwrap()).unwrap();
    let rows: Vec<String> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(row.contains("invoice: null") && row.contains("nothing_to_bill: true"), "{row}");
    }
}

#[tokio::test]
async fn a_month_with_nothing_to_bill_names_no_invoice_on_sqlite() {
    let url = fresh_sqlite(&folder("pricing-nothing"));
    a_month_with_nothing_to_bill_names_no_invoice(&url, "pricing-nothing").await;
}

#[tokio::test]
async fn a_month_with_nothing_to_bill_names_no_invoice_on_postgres() {
    let url = fresh_postgres("doors_pricing_nothing").await;
    a_month_with_nothing_to_bill_names_no_invoice(&url, "pricing-nothing-postgres").await;
}

/// The contract changes within the month: its cap is that of its part, its budget that of the month.
#[tokio::test]
async fn a_budget_is_held_against_the_whole_month() {
    let service = start("pricing-budget").await;
    let first = with(&with(&contract("acme"), "/budget", json!("8")), "/alert_at", json!(["50", "100"]));
    service.post("/v1/contracts", &first).await;
    confirmed(&service, "c", 4, START + HOUR).await;
    service.move_clock(START + 2 * DAY).await;
    let spent = async || -> Vec<(String, String)> {
        let alerts = service.get_json("/v1/alerts").await;
        let open = alerts
            .as_array()
            .unwrap()
            .iter()
            .filter(|alert| alert["kind"] == "spend" && alert["cleared_at"].is_null());
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let mut open: Vec<_> = open.map(|alert| (text(&alert["subject"]), text(&alert["text"]))).collect();
        open.sort();
        open
    };
    assert_eq!(spent().await, [], "3.96 of 8");
    let second =
        with(&with(&first, "/version", json!(2)), "/effective_from", json!(rfc3339(START + 10 * DAY)));
    let dearer = with(&with(&second, "/prices/0/amount", json!("2")), "/prices/0/assumed_amount", json!("1"));
    service.post("/v1/contracts", &dearer).await;
    service.move_clock(START + 11 * DAY).await;
    confirmed(&service, "d", 1, START + 11 * DAY).await;
    service.move_clock(START + 13 * DAY).await;
    let half = spent().await;
    assert_eq!(half.len(), 1, "{half:?}");
    assert_eq!(half[0].0, "acme 2026-10-01T00:00:00Z budget 50");
    assert!(
        half[0].1.starts_with("the period comes to 5.96 USD, 50 % of the budget of 8.00 USD"),
        "{half:?}"
    );
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
