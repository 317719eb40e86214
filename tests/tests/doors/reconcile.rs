//! Reconciliation: a line that is whole agrees with itself; whatever is broken in it is found, under its name.

use crate::{START, attempt, contract, folder, until, with};
use reqwest::Client;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_stripe_double::StripeDouble;
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, texts};
use verdict_tests::service::{Service, Setup};

/// When October is billed: at its end and three days.
const BILLED: i64 = START + 34 * DAY;
const INVOICE: &str = "acme:2026-10-01T00:00:00Z";

/// A confirmed outcome, two assumed ones and one that was taken back, with a fee: a month, billed.
async fn billed(service: &Service) {
    let fees = with(&contract("acme"), "/fees", json!([{ "name": "Seats", "amount": "100" }]));
    service.post("/v1/contracts", &fees).await;
    let attempts: Vec<Value> = (0..4).map(|n| attempt("acme", &format!("a-{n}"))).collect();
    service.post("/v1/attempts", &json!(attempts)).await;
    // What is priced before the month is closed must be on its invoice.
    for (id, case, kind, at) in [
        ("r-1", "a-0", "confirmed", 2 * HOUR),
        ("r-2", "a-3", "confirmed", 2 * HOUR),
        ("r-3", "a-3", "reopened", 9 * DAY),
    ] {
        service.move_clock(START + at).await;
        let resolution = json!({
            "id": id, "customer": "acme", "case": case, "kind": kind, "occurred_at": rfc3339(START + at)
        });
        service.post("/v1/resolutions", &resolution).await;
    }
    service.move_clock(START + 20 * DAY).await;
    service.move_clock(BILLED).await;
    service.wait_until_idle(Duration::from_secs(60)).await;
}

/// What `verdict reconcile` says, and which differences it names. It fails if and only if there are any.
fn reconcile(service: &Service, arguments: &[&str]) -> (Value, BTreeSet<String>) {
    let output = service.try_command(&[&["reconcile", "--format", "json"], arguments].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let said: Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let names: BTreeSet<String> = said["counts"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(output.status.code(), Some(i32::from(!names.is_empty())), "{said:#}");
    for difference in said["differences"].as_array().unwrap() {
        assert_ne!(difference["expected"], difference["found"], "{difference}");
    }
    (said, names)
}

fn named(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| name.to_string()).collect()
}

/// Breaks something, and mends it: which names are found meanwhile. All agrees before and after.
const BREAKS: [(&str, &[&str], &str); 10] = [
    (
        "INSERT INTO cases (customer, case_id, judged_at, verdict, episodes) VALUES ('acme', 'ghost', 0, 'none', '[]')",
        &["facts_missing"],
        "DELETE FROM cases WHERE case_id = 'ghost'",
    ),
    (
        "UPDATE outcomes SET agent = 'another' WHERE case_id = 'a-1'",
        &["ledger_differs"],
        "UPDATE outcomes SET agent = 'resolver' WHERE case_id = 'a-1'",
    ),
    (
        "DELETE FROM charges WHERE case_id = 'a-2'",
        &["unpriced_outcome", "line_differs", "revenue_differs"],
        "INSERT INTO charges SELECT * FROM kept_charges WHERE case_id = 'a-2'",
    ),
    (
        "UPDATE charges SET amount_nanos = amount_nanos + 1 WHERE case_id = 'a-2'",
        &["charge_differs", "revenue_differs"],
        "UPDATE charges SET amount_nanos = amount_nanos - 1 WHERE case_id = 'a-2'",
    ),
    (
        "UPDATE charges SET sign = 1 WHERE case_id = 'a-3' AND seq = 2",
        &["charge_differs", "line_differs"],
        "UPDATE charges SET sign = -1 WHERE case_id = 'a-3' AND seq = 2",
    ),
    (
        "DELETE FROM outcomes WHERE case_id = 'a-2'",
        &["ledger_differs", "charge_without_outcome"],
        "INSERT INTO outcomes SELECT * FROM kept_outcomes WHERE case_id = 'a-2'",
    ),
    (
        "UPDATE charges SET invoice_id = NULL WHERE case_id = 'a-2'",
        &["charge_left_off", "line_differs", "revenue_differs"],
        "UPDATE charges SET invoice_id = 'acme:2026-10-01T00:00:00Z' WHERE case_id = 'a-2'",
    ),
    (
        "DELETE FROM invoice_lines WHERE number = 1",
        &["line_differs", "total_differs", "revenue_differs"],
        "INSERT INTO invoice_lines SELECT * FROM kept_lines WHERE number = 1",
    ),
    (
        "UPDATE invoices SET total_minor = total_minor + 1",
        &["total_differs"],
        "UPDATE invoices SET total_minor = total_minor - 1",
    ),
    (
        "UPDATE daily_figures SET revenue_nanos = revenue_nanos + 1 WHERE bucket = 'revenue'",
        &["revenue_differs"],
        "UPDATE daily_figures SET revenue_nanos = revenue_nanos - 1 WHERE bucket = 'revenue'",
    ),
];

async fn what_is_broken_is_found(name: &str, url: &str) {
    let setup = Setup { test_clock: Some(START), ..Setup::new(url) };
    let service = Service::start(setup, &folder(name)).await;
    assert_eq!(service.get("/v1/reconciliation").await.status(), 404, "none was made yet");
    billed(&service).await;
    let (said, names) = reconcile(&service, &[]);
    assert_eq!(names, named(&[]), "{said:#}");
    assert_eq!(said["compared"], json!(["facts", "lines"]));
    let checked = json!({ "cases": 4, "outcomes": 5, "periods": 1, "documents": 1 });
    assert_eq!(said["checked"], checked, "nothing was looked at twice, or not at all");
    assert_eq!(service.get_json("/v1/reconciliation").await, said, "the last result is shown");

    let db = connect(url).await;
    for (kept, table) in
        [("kept_charges", "charges"), ("kept_outcomes", "outcomes"), ("kept_lines", "invoice_lines")]
    {
        db.execute_unprepared(&format!("CREATE TABLE {kept} AS SELECT * FROM {table}")).await.unwrap();
    }
    for (broken, expected, mended) in BREAKS {
        db.execute_unprepared(broken).await.unwrap();
        let (said, names) = reconcile(&service, &[]);
        assert_eq!(names, named(expected), "{broken}: {said:#}");
        db.execute_unprepared(mended).await.unwrap();
        let (said, names) = reconcile(&service, &[]);
        assert_eq!(names, named(&[]), "{mended}: {said:#}");
    }
    the_remedy_of_lost_marks_works(&service, &db).await;

    // A day after all of it: nothing is compared, so nothing is found.
    db.execute_unprepared("UPDATE invoices SET total_minor = total_minor + 1").await.unwrap();
    let (said, names) = reconcile(&service, &["--only", "lines", "--since", "2026-12-01"]);
    assert_eq!(names, named(&[]), "{said:#}");
    let output = service.try_command(&["reconcile"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && text.contains("total_differs: 1\n") && text.contains(INVOICE),
        "{text}"
    );
    assert!(text.contains("What to do: The service writes both at once"), "{text}");
}

/// What the remedy says is done, and then all agrees.
async fn the_remedy_of_lost_marks_works(service: &Service, db: &DatabaseConnection) {
    for (broken, expected) in [
        ("DELETE FROM cases WHERE case_id = 'a-1'", "unjudged_case"),
        ("DELETE FROM case_figures WHERE case_id = 'a-2'", "contribution_differs"),
    ] {
        db.execute_unprepared(broken).await.unwrap();
        let (said, names) = reconcile(service, &["--only", "facts"]);
        assert_eq!(names, named(&[expected]), "{said:#}");
        let case = said["differences"][0]["subject"].as_str().unwrap().strip_prefix("acme/").unwrap();
        let mark = format!("INSERT INTO cases_to_judge (customer, case_id) VALUES ('acme', '{case}')");
        db.execute_unprepared(&mark).await.unwrap();
        service.wait_until_idle(Duration::from_secs(30)).await;
        let (said, names) = reconcile(service, &["--only", "facts"]);
        assert_eq!(names, named(&[]), "{mark}: {said:#}");
    }
}

#[tokio::test]
async fn what_is_broken_is_found_on_sqlite() {
    what_is_broken_is_found("reconcile-sqlite", &fresh_sqlite(&folder("reconcile-sqlite"))).await;
}

#[tokio::test]
async fn what_is_broken_is_found_on_postgres() {
    what_is_broken_is_found("reconcile-postgres", &fresh_postgres("doors_reconcile").await).await;
}

/// A billed month at a double of Stripe, which writes down its traffic.
async fn at_stripe(name: &str, every: &str) -> (Service, StripeDouble, DatabaseConnection, PathBuf) {
    let (double, traffic) = verdict_tests::stripe::recorded(name);
    let url = fresh_sqlite(&folder(name));
    let mut setup = Setup { test_clock: Some(START), ..Setup::new(&url) };
    setup.stripe_base_url = Some(double.base_url.clone());
    for (variable, value) in [("VERDICT_WORKER_TICK_MS", "20"), ("VERDICT_RECONCILE_EVERY", every)] {
        setup.environment.push((variable.into(), value.into()));
    }
    let service = Service::start(setup, &folder(name)).await;
    billed(&service).await;
    (service, double, connect(&url).await, traffic)
}

/// Somebody else's call to Stripe.
async fn operate(double: &StripeDouble, path: &str, form: &str) -> Value {
    let request = Client::new().post(format!("{}v1/{path}", double.base_url)).bearer_auth("sk_test_operator");
    let request = request.header("Idempotency-Key", format!("operator {path} {form}"));
    let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_string());
    let response = request.send().await.unwrap();
    let (status, body) = (response.status(), response.json().await.unwrap());
    assert!(status.is_success(), "{path}: {body}");
    body
}

#[tokio::test]
async fn what_differs_at_stripe_is_found() {
    let (service, double, db, traffic) = at_stripe("reconcile-stripe", "0s").await;
    let (said, names) = reconcile(&service, &[]);
    assert_eq!(names, named(&[]), "{said:#}");
    assert_eq!(said["compared"], json!(["facts", "lines", "stripe"]));
    assert_eq!([&said["checked"]["at_stripe"], &said["checked"]["listed_at_stripe"]], [1, 1]);

    // What differs here differs there.
    let theirs = double.invoices().remove(0);
    let restore = format!("UPDATE invoices SET stripe_id = '{}'", theirs["id"].as_str().unwrap());
    let payer =
        format!("UPDATE stripe_customers SET stripe_customer = '{}'", theirs["customer"].as_str().unwrap());
    for (broken, expected, mended) in [
        (
            "UPDATE invoices SET total_minor = total_minor + 1",
            "amount_differs_at_stripe",
            "UPDATE invoices SET total_minor = total_minor - 1",
        ),
        (
            "UPDATE invoice_lines SET amount_minor = amount_minor + 1 WHERE number = 1",
            "item_differs_at_stripe",
            "UPDATE invoice_lines SET amount_minor = amount_minor - 1 WHERE number = 1",
        ),
        (
            "UPDATE invoice_lines SET number = 9 WHERE number = 1",
            "item_differs_at_stripe",
            "UPDATE invoice_lines SET number = 1 WHERE number = 9",
        ),
        (
            "UPDATE invoices SET currency = 'EUR'",
            "currency_differs_at_stripe",
            "UPDATE invoices SET currency = 'USD'",
        ),
        (
            "UPDATE stripe_customers SET stripe_customer = 'cus_another'",
            "customer_differs_at_stripe",
            payer.as_str(),
        ),
        ("UPDATE invoices SET state = 'draft'", "early_at_stripe", "UPDATE invoices SET state = 'final'"),
    ] {
        db.execute_unprepared(broken).await.unwrap();
        let (said, names) = reconcile(&service, &["--only", "stripe"]);
        assert_eq!(names, named(&[expected]), "{broken}: {said:#}");
        assert!(said["differences"][0]["subject"].as_str().unwrap().contains(INVOICE), "{said:#}");
        db.execute_unprepared(mended).await.unwrap();
    }
    // Another id is stored: that one is not there, and the one that is there is one too many.
    db.execute_unprepared("UPDATE invoices SET stripe_id = 'in_gone'").await.unwrap();
    let (said, names) = reconcile(&service, &["--only", "stripe"]);
    assert_eq!(names, named(&["missing_at_stripe", "twice_at_stripe"]), "{said:#}");
    db.execute_unprepared(&restore).await.unwrap();

    // Two that nobody here made, and ours withdrawn.
    let payer = theirs["customer"].as_str().unwrap();
    for of in [INVOICE, "ghost:2026-10-01T00:00:00Z"] {
        operate(&double, "invoices", &format!("customer={payer}&metadata[verdict_invoice]={of}")).await;
    }
    operate(&double, &format!("invoices/{}/void", theirs["id"].as_str().unwrap()), "").await;
    let (said, names) = reconcile(&service, &["--only", "stripe"]);
    assert_eq!(names, named(&["void_at_stripe", "twice_at_stripe", "unknown_at_stripe"]), "{said:#}");
    assert_eq!(texts(&db, "SELECT stripe_status FROM invoices").await, ["void"], "its state is stored");
    drop((service, double));
    verdict_tests::stripe::check(&traffic);
}

#[tokio::test]
async fn on_a_schedule_differences_raise_alerts_until_they_are_gone() {
    let (service, double, db, traffic) = at_stripe("reconcile-schedule", "1s").await;
    let alerts = async || -> Vec<(String, bool)> {
        let alerts = service.get_json("/v1/alerts").await;
        let of_ours = alerts.as_array().unwrap().iter().filter(|alert| alert["kind"] == "reconcile").cloned();
        let told = |alert: Value| {
            assert!(alert["text"].as_str().unwrap().contains(INVOICE), "{alert}");
            (alert["subject"].as_str().unwrap().to_string(), alert["cleared_at"].is_null())
        };
        of_ours.map(told).collect()
    };
    until("a reconciliation", async || {
        service.get("/v1/reconciliation").await.status() == 200
            && service.get_json("/v1/reconciliation").await["checked"]["at_stripe"] == 1
    })
    .await;
    assert_eq!(alerts().await, [], "all agrees");
    db.execute_unprepared("UPDATE invoices SET total_minor = total_minor + 1").await.unwrap();
    until("two alerts", async || alerts().await.len() == 2).await;
    let mut raised = alerts().await;
    raised.sort();
    assert_eq!(raised, [("amount_differs_at_stripe".to_string(), true), ("total_differs".to_string(), true)]);
    db.execute_unprepared("UPDATE invoices SET total_minor = total_minor - 1").await.unwrap();
    until("the alerts are over", async || alerts().await.iter().all(|(_, open)| !open)).await;
    drop((service, double));
    verdict_tests::stripe::check(&traffic);
}
