//! Invoices at Stripe, whatever goes wrong on the way: one each, finalised, with our lines and our total.

mod documents;

use crate::{START, attempt, contract, folder, parked, until, with};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_stripe_double::{Fault, FaultKind, RandomFaults, StripeDouble};
use verdict_tests::database::{connect, fresh_sqlite, number};
use verdict_tests::service::{Service, Setup, binary};

/// When October is billed: at its end and three days.
const BILLED: i64 = START + 34 * DAY;

struct Line {
    name: String,
    service: Service,
    double: StripeDouble,
    database_url: String,
    traffic: PathBuf,
}

impl Line {
    /// A service that bills at a double of Stripe, which writes down its traffic.
    async fn new(name: &str) -> Self {
        let (double, traffic) = verdict_tests::stripe::recorded(name);
        let database_url = fresh_sqlite(&folder(name));
        let mut setup = Setup::new(&database_url);
        setup.test_clock = Some(START);
        setup.stripe_base_url = Some(double.base_url.clone());
        for (variable, milliseconds) in [
            ("VERDICT_STRIPE_RETRY_MS", "20"),
            ("VERDICT_STRIPE_TIMEOUT_MS", "500"),
            ("VERDICT_WORKER_TICK_MS", "20"),
        ] {
            setup.environment.push((variable.into(), milliseconds.into()));
        }
        let service = Service::start(setup, &folder(name)).await;
        Self { name: name.into(), service, double, database_url, traffic }
    }

    /// A customer with a confirmed outcome for 0.99 and `assumed` assumed ones for 0.49 in October. Its name begins
    /// with the test's, so that no key serves two different calls of the recorded traffic.
    async fn customer(&self, name: &str, assumed: usize) -> String {
        self.customer_on(name, assumed, json!({})).await
    }

    /// The same on these terms.
    async fn customer_on(&self, name: &str, assumed: usize, terms: Value) -> String {
        let customer = format!("{}-{name}", self.name);
        let contract = match terms["tax"] == "automatic" {
            true => with(&contract(&customer), "/corrections", json!("credit_note")),
            false => contract(&customer),
        };
        let contract = with(&contract, "/stripe", terms);
        self.service.post("/v1/contracts", &contract).await;
        let attempts: Vec<Value> = (0..=assumed).map(|n| attempt(&customer, &format!("a-{n}"))).collect();
        self.service.post("/v1/attempts", &json!(attempts)).await;
        let confirmed = json!({
            "id": "r-1", "customer": customer, "case": "a-0", "kind": "confirmed",
            "occurred_at": rfc3339(START + 2 * HOUR)
        });
        self.service.post("/v1/resolutions", &confirmed).await;
        customer
    }

    async fn bill(&self) {
        self.service.move_clock(BILLED).await;
        self.service.wait_until_idle(Duration::from_secs(60)).await;
    }

    /// Our invoice of a customer.
    async fn invoice(&self, customer: &str) -> Value {
        let invoices = self.service.get_json("/v1/invoices").await;
        let mut of_customer =
            invoices.as_array().unwrap().iter().filter(|invoice| invoice["customer"] == customer);
        of_customer.next().unwrap().clone()
    }

    /// An operator's call to Stripe.
    async fn operate(&self, method: Method, path: &str, form: &str) -> Value {
        let request = Client::new().request(method, format!("{}v1/{path}", self.double.base_url));
        let request = request
            .bearer_auth("sk_test_operator")
            .header("Idempotency-Key", format!("operator {path} {form}"));
        let request =
            request.header("Content-Type", "application/x-www-form-urlencoded").body(form.to_string());
        let response = request.send().await.unwrap();
        let (status, body) = (response.status(), response.json().await.unwrap());
        assert!(status.is_success(), "{path}: {body}");
        body
    }

    /// Each of these customers' invoices, one for each, is at Stripe once, finalised, with our lines; and nothing else.
    async fn everything_is_billed_once(&self, customers: usize) {
        assert_eq!(parked(&self.service).await, Vec::<Value>::new());
        let ours = self.service.get_json("/v1/invoices").await;
        let ours = ours.as_array().unwrap();
        let (theirs, items, payers) = (self.double.invoices(), self.double.items(), self.double.customers());
        let lines: usize = ours.iter().map(|invoice| invoice["lines"].as_array().unwrap().len()).sum();
        assert_eq!(
            (ours.len(), theirs.len(), payers.len(), items.len()),
            (customers, customers, customers, lines),
            "ours; at Stripe: invoices, customers, items"
        );
        for invoice in ours {
            self.is_billed_once(invoice);
        }
    }

    fn is_billed_once(&self, ours: &Value) {
        let one = |objects: Vec<Value>, name: &str, value: &Value| {
            let mut found: Vec<Value> =
                objects.into_iter().filter(|object| &object["metadata"][name] == value).collect();
            assert_eq!(found.len(), 1, "{name} {value} at Stripe: {found:#?}");
            found.remove(0)
        };
        let payer = one(self.double.customers(), "verdict_customer", &ours["customer"]);
        let theirs = one(self.double.invoices(), "verdict_invoice", &ours["id"]);
        assert_eq!([&theirs["status"], &ours["stripe_status"]], ["open", "open"], "{ours}");
        assert_eq!(
            [&theirs["total_excluding_tax"], &theirs["customer"]],
            [&ours["total_minor"], &payer["id"]],
            "{ours}"
        );
        let is_taxed = theirs["automatic_tax"]["enabled"] == true;
        assert_eq!(theirs["total"] != theirs["total_excluding_tax"], is_taxed, "{theirs}");
        assert_eq!(theirs["id"], ours["stripe_invoice"]);
        let items = self.double.items().into_iter().filter(|item| item["invoice"] == theirs["id"]);
        let items: BTreeSet<String> = items.map(|item| line(&item)).collect();
        let lines = ours["lines"].as_array().unwrap().iter().map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            let (number, quantity) = (&line["number"], &line["quantity"]);
            format!("{number}: {quantity} {} {} {}", text("action"), text("kind"), line["amount_minor"])
        });
        assert_eq!(items, lines.collect(), "{ours}");
    }

    /// Holds the recorded traffic against Stripe's own schema, by a checker that is kept beside the repository.
    fn check_traffic(self) {
        drop(self.service);
        drop(self.double);
        verdict_tests::stripe::check(&self.traffic);
    }
}

/// An item at Stripe, as a line of ours.
fn line(item: &Value) -> String {
    let named = |name: &str| item["metadata"][format!("verdict_{name}")].as_str().unwrap().to_string();
    let (number, quantity, action, kind) = (named("line"), named("quantity"), named("action"), named("kind"));
    format!("{number}: {quantity} {action} {kind} {}", item["amount"])
}

#[tokio::test]
async fn a_month_ends_in_one_finalised_invoice_for_each_customer() {
    let line = Line::new("doors-month").await;
    let customers = [line.customer("acme", 3).await, line.customer("globex", 1).await];
    line.bill().await;
    line.everything_is_billed_once(2).await;
    assert_eq!(line.invoice(&customers[0]).await["total_minor"], 99 + 3 * 49);
    assert_eq!(line.invoice(&customers[1]).await["total_minor"], 99 + 49);
    for theirs in line.double.invoices() {
        assert_eq!(theirs["currency"], "usd");
        assert_eq!(
            [&theirs["collection_method"], &theirs["auto_advance"]],
            [&json!("send_invoice"), &json!(true)]
        );
    }
    let calls = line.double.calls();
    assert!(calls.iter().filter(|call| call.method == "POST").all(|call| call.idempotency_key.is_some()));
    // Nothing goes twice, also after another month without outcomes.
    line.service.move_clock(BILLED + 31 * DAY).await;
    line.everything_is_billed_once(2).await;
    assert_eq!(line.double.calls().len(), calls.len());
    line.check_traffic();
}

#[tokio::test]
async fn a_customer_may_have_any_name() {
    let line = Line::new("doors-names").await;
    for name in ["Müller & Söhne / 2", "アクメ", &"x".repeat(116)] {
        line.customer(name, 1).await;
    }
    line.bill().await;
    line.everything_is_billed_once(3).await;
    line.check_traffic();
}

/// The calls of a push.
const CALLS: [(&str, &str, u32); 7] = [
    ("GET", "/v1/customers", 0),
    ("POST", "/v1/customers", 0),
    ("POST", "/v1/invoices", 0),
    ("POST", "/v1/invoiceitems", 0),
    ("POST", "/v1/invoiceitems", 1),
    ("GET", "/v1/invoices/*", 0),
    ("POST", "/v1/invoices/*/finalize", 0),
];

/// Customers enough to bill, and for each call of a push a fault of this kind.
async fn troubled(name: &str, kind: FaultKind) -> Line {
    let line = Line::new(name).await;
    for n in 0..CALLS.len() {
        line.customer(&n.to_string(), 2).await;
    }
    for (method, path, skip) in CALLS {
        line.double.faults([Fault::new(method, path, kind).skip(skip)]);
    }
    line
}

async fn is_billed_all_the_same(line: Line) {
    let state = Client::new().get(format!("{}_double/state", line.double.base_url)).send().await.unwrap();
    let state: Value = state.json().await.unwrap();
    assert_eq!(state["faults"], json!([]), "each was made");
    line.everything_is_billed_once(CALLS.len()).await;
    line.check_traffic();
}

async fn survives(name: &str, kind: FaultKind) {
    let line = troubled(name, kind).await;
    line.bill().await;
    is_billed_all_the_same(line).await;
    survives_by_itself(&format!("{name}-charged"), kind).await;
    survives_with_tax(&format!("{name}-taxed"), kind).await;
}

/// The same of invoices that Stripe collects by itself.
async fn survives_by_itself(name: &str, kind: FaultKind) {
    let line = Line::new(name).await;
    for n in 0..CALLS.len() {
        line.customer_on(&n.to_string(), 2, json!({ "collect": "charge" })).await;
    }
    for (method, path, skip) in CALLS {
        line.double.faults([Fault::new(method, path, kind).skip(skip)]);
    }
    line.bill().await;
    for theirs in line.double.invoices() {
        assert_eq!(theirs["collection_method"], "charge_automatically", "{theirs}");
    }
    is_billed_all_the_same(line).await;
}

/// The same of invoices that Stripe adds tax to: their customers are there already, for tax depends on where they are.
async fn survives_with_tax(name: &str, kind: FaultKind) {
    let line = Line::new(name).await;
    for n in 0..CALLS.len() {
        let customer = line.customer_on(&n.to_string(), 2, json!({ "tax": "automatic" })).await;
        let form = format!("name=Acme&email=a@b&address[country]=DE&metadata[verdict_customer]={customer}");
        line.operate(Method::POST, "customers", &form).await;
    }
    for (method, path, skip) in CALLS {
        // Who is there is not made, but told the name on the invoice.
        let path = if path == "/v1/customers" && method == "POST" { "/v1/customers/*" } else { path };
        line.double.faults([Fault::new(method, path, kind).skip(skip)]);
    }
    line.bill().await;
    for theirs in line.double.invoices() {
        assert_eq!(theirs["automatic_tax"]["enabled"], true, "{theirs}");
    }
    is_billed_all_the_same(line).await;
}

#[tokio::test]
async fn a_500_before_the_commit_bills_once() {
    survives("doors-error-before", FaultKind::ErrorBeforeCommit).await;
}

#[tokio::test]
async fn a_500_after_the_commit_bills_once() {
    survives("doors-error-after", FaultKind::ErrorAfterCommit).await;
}

#[tokio::test]
async fn an_answer_that_comes_too_late_bills_once() {
    survives("doors-hang", FaultKind::HangAfterCommit { ms: 800 }).await;
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_commit_bills_once() {
    survives("doors-drop-before", FaultKind::DropConnection { committed: false }).await;
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_commit_bills_once() {
    survives("doors-drop-after", FaultKind::DropConnection { committed: true }).await;
}

#[tokio::test]
async fn a_gateway_that_fails_before_the_commit_bills_once() {
    survives("doors-html-before", FaultKind::Html502 { committed: false }).await;
}

#[tokio::test]
async fn a_gateway_that_fails_after_the_commit_bills_once() {
    survives("doors-html-after", FaultKind::Html502 { committed: true }).await;
}

#[tokio::test]
async fn a_rate_limit_bills_once() {
    survives("doors-rate", FaultKind::RateLimited { retry_after: 1 }).await;
}

/// Stripe may forget keys after a day. Here it forgets them at once: what is there is found all the same.
#[tokio::test]
async fn without_stripes_memory_of_keys_it_bills_once() {
    let line = troubled("doors-forgotten", FaultKind::DropConnection { committed: true }).await;
    let forgets = async {
        loop {
            line.double.forget_keys();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! {
        () = line.bill() => {}
        () = forgets => {}
    }
    is_billed_all_the_same(line).await;
}

#[tokio::test]
async fn killed_at_any_moment_it_bills_once() {
    let mut line = Line::new("doors-killed").await;
    let db = connect(&line.database_url).await;
    for n in 0..10 {
        line.customer(&n.to_string(), n).await;
    }
    // What was in flight stays leased for half an hour, and waits grow with each try: so much time passes here.
    let time_passes = async || {
        let sql = "UPDATE outbox SET next_try_at = 0 WHERE state = 'waiting'";
        db.execute_unprepared(sql).await.unwrap();
    };
    line.double.random_faults(Some(RandomFaults { seed: 3, per_mille: 300, hang_ms: 700 }));
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut waiting = Vec::new();
    for _ in 0..10 {
        let api = line.service.api();
        let moving = tokio::spawn(async move { api.try_move_clock(BILLED).await });
        tokio::time::sleep(Duration::from_millis(random.random_range(20..400))).await;
        line.service.kill();
        moving.await.unwrap();
        time_passes().await;
        waiting.push(number(&db, "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'").await);
        line.service.restart().await;
    }
    assert!(
        waiting.iter().filter(|count| **count > 0).count() >= 5,
        "too few pushes were interrupted: {waiting:?}"
    );
    line.double.random_faults(None);
    line.service.move_clock(BILLED).await;
    let start = Instant::now();
    while line.service.get_json("/v1/status").await["pushes_waiting"] != 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the invoices do not arrive");
        time_passes().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    line.everything_is_billed_once(10).await;
    line.check_traffic();
}

/// Stripe fails for a day: calls go wrong before and after they are carried out, the service dies meanwhile, and when Stripe is back it has
/// forgotten all keys.
#[tokio::test]
async fn a_day_without_stripe_bills_once() {
    let mut line = Line::new("doors-outage").await;
    for n in 0..4 {
        line.customer(&n.to_string(), n).await;
    }
    let db = connect(&line.database_url).await;
    let time_passes = async || {
        let sql = "UPDATE outbox SET next_try_at = 0 WHERE state = 'waiting'";
        db.execute_unprepared(sql).await.unwrap();
    };
    line.double.random_faults(Some(RandomFaults { seed: 11, per_mille: 1_000, hang_ms: 700 }));
    line.service.move_clock(BILLED).await;
    for nth in 0..12 {
        time_passes().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if nth % 4 == 3 {
            line.service.kill();
            line.service.restart().await;
        }
    }
    assert!(line.service.get_json("/v1/status").await["pushes_waiting"].as_i64().unwrap() > 0);
    line.double.random_faults(None);
    line.double.forget_keys();
    line.double.set_clock(Some(crate::unix_now() + 25 * 3_600));
    let start = Instant::now();
    while line.service.get_json("/v1/status").await["pushes_waiting"] != 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "the invoices do not arrive");
        time_passes().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    line.everything_is_billed_once(4).await;
    line.check_traffic();
}

/// The push of one customer's invoice meets a draft of it at Stripe on which somebody put so many items of 1 cent.
/// Gives that customer, and the items.
async fn meddled(line: &Line, items: usize) -> (String, Vec<String>) {
    let customer = line.customer("meddled", 2).await;
    line.customer("untouched", 2).await;
    let form = format!("name=Acme&email=a@b&metadata[verdict_customer]={customer}");
    let payer = line.operate(Method::POST, "customers", &form).await;
    let payer = payer["id"].as_str().unwrap();
    let id = format!("{customer}:2026-10-01T00:00:00Z");
    let form = format!(
        "customer={payer}&currency=usd&collection_method=send_invoice&days_until_due=30&metadata[verdict_invoice]={id}"
    );
    let draft = line.operate(Method::POST, "invoices", &form).await;
    let mut added = Vec::new();
    for n in 0..items {
        let draft = draft["id"].as_str().unwrap();
        let form = format!("customer={payer}&invoice={draft}&amount=1&currency=usd&description=stray {n}");
        let item = line.operate(Method::POST, "invoiceitems", &form).await;
        added.push(item["id"].as_str().unwrap().to_string());
    }
    // From the second try on, the push looks for what is there already.
    line.double.faults([Fault::new("GET", "/v1/customers", FaultKind::RateLimited { retry_after: 1 })]);
    line.bill().await;
    (customer, added)
}

/// The one parked errand; mends it at Stripe and replays it.
async fn mend_and_replay(line: &Line, customer: &str, stray: Vec<String>) {
    line.is_billed_once(&line.invoice(&format!("{}-untouched", line.name)).await);
    let list = parked(&line.service).await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0]["origin"], "outbox");
    assert_eq!(list[0]["reference"], format!("push:{customer}:2026-10-01T00:00:00Z"));
    assert_ne!(line.invoice(customer).await["stripe_status"], "open");
    for item in stray {
        line.operate(Method::DELETE, &format!("invoiceitems/{item}"), "").await;
    }
    line.service.command(&["parked", "replay", list[0]["id"].as_str().unwrap()]);
    line.service.wait_until_idle(Duration::from_secs(30)).await;
    line.everything_is_billed_once(2).await;
}

#[tokio::test]
async fn what_stripe_refuses_for_good_is_parked_and_billed_once_mended() {
    let line = Line::new("doors-refused").await;
    // Stripe takes no 251st item.
    let (customer, stray) = meddled(&line, 250).await;
    let reason = parked(&line.service).await[0]["reason"].to_string();
    assert!(reason.contains("400") && reason.contains("250 items") && reason.contains("replay"), "{reason}");
    mend_and_replay(&line, &customer, stray).await;
    line.check_traffic();
}

#[tokio::test]
async fn an_invoice_with_another_total_than_ours_is_never_finalised() {
    let line = Line::new("doors-total").await;
    let (customer, stray) = meddled(&line, 1).await;
    let reason = parked(&line.service).await[0]["reason"].to_string();
    assert!(reason.contains("198") && reason.contains("197"), "{reason}");
    mend_and_replay(&line, &customer, stray).await;
    line.check_traffic();
}

#[tokio::test]
async fn a_live_key_and_a_test_clock_never_meet() {
    let url = fresh_sqlite(&folder("doors-live"));
    for key in ["sk_live_verdict", "rk_live_verdict"] {
        let output = Command::new(binary())
            .args(["serve", "--test-clock", "2026-10-01T00:00:00Z"])
            .env("VERDICT_DATABASE_URL", &url)
            .env("VERDICT_LISTEN", "127.0.0.1:0")
            .env("VERDICT_STRIPE_SECRET_KEY", key)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains("test clock is refused"), "{key}: {errors}");
        assert!(!errors.contains(key), "the key is told: {errors}");
    }
}
