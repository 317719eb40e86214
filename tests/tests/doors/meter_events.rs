//! Stripe's meters: what they add up to is what was settled and not taken back, whatever goes wrong.

use crate::{attempt, contract, folder, parked, problem, unix_now, until};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_stripe_double::{Fault, FaultKind, RandomFaults, StripeDouble};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::{Service, Setup};

struct Line {
    /// Ten days ago: Stripe's meters know no simulated time, and take nothing that is much older.
    start: i64,
    service: Service,
    double: StripeDouble,
    db: sea_orm::DatabaseConnection,
    traffic: PathBuf,
}

impl Line {
    async fn new(name: &str) -> Self {
        Self::on(name, &fresh_sqlite(&folder(name))).await
    }

    async fn on(name: &str, url: &str) -> Self {
        let start = unix_now() * 1_000_000 - 10 * DAY;
        let (double, traffic) = verdict_tests::stripe::recorded(name);
        let mut setup = Setup::new(url);
        setup.test_clock = Some(start);
        setup.stripe_base_url = Some(double.base_url.clone());
        for (variable, value) in [
            ("VERDICT_STRIPE_RETRY_MS", "20"),
            ("VERDICT_STRIPE_TIMEOUT_MS", "300"),
            ("VERDICT_WORKER_TICK_MS", "20"),
        ] {
            setup.environment.push((variable.into(), value.into()));
        }
        let service = Service::start(setup, &folder(name)).await;
        Self { start, service, double, db: connect(url).await, traffic }
    }

    /// A customer that Stripe's meters bill, with so many confirmed outcomes, which are charged.
    async fn customer(&self, customer: &str, outcomes: usize) {
        let mut contract = contract(customer);
        contract["effective_from"] = json!(rfc3339(self.start));
        contract["stripe"] = json!({ "through": "meter_events" });
        contract["prices"][0]["meter"] = json!("resolutions");
        self.service.post("/v1/contracts", &contract).await;
        for n in 0..outcomes {
            let mut attempt = attempt(customer, &format!("a-{n}"));
            attempt["started_at"] = json!(rfc3339(self.start + HOUR - MINUTE));
            attempt["ended_at"] = json!(rfc3339(self.start + HOUR));
            self.service.post("/v1/attempts", &json!([attempt])).await;
        }
    }

    async fn settle(&self, customers: &[&str], outcomes: usize) {
        self.service.move_clock(self.start + 2 * HOUR).await;
        for customer in customers {
            for n in 0..outcomes {
                let confirmed = json!({
                    "id": format!("r-{n}"), "customer": customer, "case": format!("a-{n}"), "kind": "confirmed",
                    "occurred_at": rfc3339(self.start + 2 * HOUR),
                });
                self.service.post("/v1/resolutions", &confirmed).await;
            }
        }
        self.service.move_clock(self.start + 2 * DAY).await;
    }

    /// The customer disputes an outcome, and is right.
    async fn take_back(&self, customer: &str, n: usize) {
        let case = format!("a-{n}");
        let dispute = json!({ "id": format!("d-{n}"), "customer": customer, "case": case, "reason": "no" });
        let raised = self.service.post("/v1/disputes", &dispute).await;
        let decision = json!({
            "customer": customer, "case": case, "dispute": raised["id"], "reason": "we looked", "author": "Kim"
        });
        self.service.post("/v1/disputes/accept", &decision).await;
    }

    /// Makes a customer at Stripe.
    async fn payer(&self, name: &str) -> String {
        let request = Client::new().request(Method::POST, format!("{}v1/customers", self.double.base_url));
        let request = request.bearer_auth("sk_test_operator").header("Idempotency-Key", format!("op {name}"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let made: Value = request.body(format!("name={name}")).send().await.unwrap().json().await.unwrap();
        made["id"].as_str().unwrap().into()
    }

    async fn link(&self, customer: &str, payer: &str) {
        self.service.command(&["customers", "link", customer, payer]);
    }

    fn metered(&self, payer: &str) -> i64 {
        self.double.metered().get(&(payer.into(), "resolutions".into())).copied().unwrap_or_default()
    }

    /// Waits until nothing waits. What a killed process had in hand stays leased: so much time passes here.
    async fn settled(&self) {
        until("the meters are told", async || {
            let sql = "UPDATE meter_events SET next_try_at = 0 WHERE next_try_at > 0";
            self.db.execute_unprepared(sql).await.unwrap();
            let status = self.service.get_json("/v1/status").await;
            ["cases_to_judge", "outcomes_to_rate", "meter_events_waiting"]
                .iter()
                .all(|step| status[step] == 0)
        })
        .await;
    }

    async fn states(&self) -> Vec<String> {
        let sql =
            "SELECT state || ' ' || CAST(COUNT(*) AS TEXT) FROM meter_events GROUP BY state ORDER BY state";
        texts(&self.db, sql).await
    }

    /// Holds the recorded traffic against Stripe's own schema, by a checker that is kept beside the repository.
    fn check_traffic(self) {
        drop(self.service);
        drop(self.double);
        verdict_tests::stripe::check(&self.traffic);
    }
}

#[tokio::test]
async fn outcomes_wait_for_their_customer_and_its_invoice_stays_here() {
    let line = Line::new("doors-meters").await;
    line.customer("acme", 3).await;
    line.customer("globex", 1).await;
    line.settle(&["acme", "globex"], 1).await;
    line.service.move_clock(line.start + 9 * DAY).await;
    line.settled().await;
    assert_eq!(line.states().await, ["unlinked 4"]);
    let alerts = line.service.get_json("/v1/alerts").await;
    let subjects: Vec<&Value> = alerts.as_array().unwrap().iter().map(|alert| &alert["subject"]).collect();
    assert!(
        subjects.contains(&&json!("acme")) && alerts[0]["kind"] == "stripe_customer_unlinked",
        "{alerts}"
    );
    // One that was taken back by now never gets there.
    line.take_back("acme", 0).await;
    line.settled().await;

    let (acme, globex) = (line.payer("acme").await, line.payer("globex").await);
    line.link("acme", &acme).await;
    let url = line.service.url("/v1/customers/globex/stripe");
    let put = async |payer: &str| {
        let request = Client::new().put(&url).bearer_auth(&line.service.key);
        request.json(&json!({ "stripe_customer": payer })).send().await.unwrap()
    };
    assert!(problem(put("cus_unknown").await, 422).await.contains("cus_unknown"));
    assert!(problem(put(&acme).await, 409).await.contains("acme"));
    assert_eq!(put(&globex).await.status(), 200);
    line.settled().await;
    assert_eq!((line.metered(&acme), line.metered(&globex)), (2, 1));
    assert_eq!(line.states().await, ["cancelled 1", "sent 3"]);
    assert_eq!(line.double.meter_events(), (3, 0));
    let open = "SELECT COUNT(*) FROM alerts WHERE cleared_at IS NULL";
    assert_eq!(number(&line.db, open).await, 0);

    // The period closes with an invoice as always. It stays here.
    line.service.move_clock(line.start + 45 * DAY).await;
    line.service.wait_until_idle(Duration::from_secs(30)).await;
    let invoices = line.service.get_json("/v1/invoices").await;
    assert!(!invoices.as_array().unwrap().is_empty());
    let id = invoices[0]["id"].as_str().unwrap();
    assert!(!line.service.try_command(&["invoices", "push", id]).status.success());
    assert_eq!(line.double.invoices(), Vec::<Value>::new());
    // All versions go to Stripe the same way.
    let mut other = contract("acme");
    other["version"] = json!(2);
    let response = line.service.try_post("/v1/contracts", &other).await.unwrap();
    assert!(problem(response, 409).await.contains("stripe.through"));
    line.check_traffic();
}

#[tokio::test]
async fn what_is_taken_back_is_cancelled_within_a_day_and_for_a_person_after() {
    let line = Line::new("doors-meters-back").await;
    line.customer("acme", 3).await;
    let payer = line.payer("acme").await;
    line.link("acme", &payer).await;
    line.settle(&["acme"], 3).await;
    line.settled().await;
    assert_eq!(line.metered(&payer), 3);
    line.take_back("acme", 0).await;
    line.settled().await;
    assert_eq!(line.metered(&payer), 2);

    // A day passes for what was sent.
    let day = format!("UPDATE meter_events SET sent_at = sent_at - {DAY} WHERE state = 'sent'");
    line.db.execute_unprepared(&day).await.unwrap();
    line.take_back("acme", 1).await;
    line.settled().await;
    assert_eq!(line.metered(&payer), 2);
    let list = parked(&line.service).await;
    assert_eq!((list.len(), &list[0]["origin"]), (1, &json!("meter_event")), "{list:?}");
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(reason.contains("24 hours") && reason.contains("credit it"), "{reason}");
    line.service.command(&["parked", "replay", list[0]["id"].as_str().unwrap()]);
    line.settled().await;
    assert_eq!(line.states().await, ["cancelled 2", "sent 1"]);
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    line.check_traffic();
}

#[tokio::test]
async fn what_stripe_would_not_take_by_its_age_waits_or_is_parked() {
    let line = Line::new("doors-meters-age").await;
    line.customer("acme", 2).await;
    let payer = line.payer("acme").await;
    line.settle(&["acme"], 2).await;
    line.settled().await;
    for (case, days) in [("a-0", -36), ("a-1", 20)] {
        let sql = format!("UPDATE meter_events SET at = at + {} WHERE case_id = '{case}'", days * DAY);
        line.db.execute_unprepared(&sql).await.unwrap();
    }
    line.link("acme", &payer).await;
    until("the old one is parked", async || parked(&line.service).await.len() == 1).await;
    assert!(parked(&line.service).await[0]["reason"].as_str().unwrap().contains("35 days"));
    let waits = "SELECT case_id FROM meter_events WHERE state = 'owed' AND next_try_at > 0";
    assert_eq!(texts(&line.db, waits).await, ["a-1"]);
    assert_eq!(line.double.meter_events(), (0, 0));
}

/// Faults of every kind, kills at any moment, and outcomes taken back meanwhile.
async fn killed_at_any_moment(name: &str, url: &str) {
    const OUTCOMES: usize = 25;
    let mut line = Line::on(name, url).await;
    let payers = [line.payer("acme").await, line.payer("globex").await];
    for (customer, payer) in ["acme", "globex"].into_iter().zip(&payers) {
        line.customer(customer, OUTCOMES).await;
        line.link(customer, payer).await;
    }
    line.double.random_faults(Some(RandomFaults { seed: 5, per_mille: 500, hang_ms: 400 }));
    line.settle(&["acme", "globex"], OUTCOMES).await;
    let mut random = StdRng::seed_from_u64(20_261_122);
    let mut waiting = Vec::new();
    for n in 0..8 {
        line.take_back("acme", n).await;
        let sql = "UPDATE meter_events SET next_try_at = 0 WHERE next_try_at > 0";
        // It takes the rows in another order than the service does: PostgreSQL may have to break one of the two off.
        until("what waits is due", async || line.db.execute_unprepared(sql).await.is_ok()).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(10..200))).await;
        line.service.kill();
        waiting
            .push(number(&line.db, "SELECT COUNT(*) FROM meter_events WHERE unsure_since IS NOT NULL").await);
        line.service.restart().await;
    }
    assert!(waiting.iter().filter(|count| **count > 0).count() >= 3, "too few were interrupted: {waiting:?}");
    line.double.random_faults(None);
    line.settled().await;
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    let net = |customer: &str| {
        format!("SELECT CAST(SUM(sign) AS BIGINT) FROM charges WHERE customer = '{customer}'")
    };
    for (customer, payer) in ["acme", "globex"].into_iter().zip(&payers) {
        assert_eq!(line.metered(payer), number(&line.db, &net(customer)).await, "{customer}");
    }
    assert_eq!((line.metered(&payers[0]), line.metered(&payers[1])), (17, 25));
    line.check_traffic();
}

#[tokio::test]
async fn killed_at_any_moment_the_meters_add_up_on_sqlite() {
    let name = "doors-meters-killed";
    killed_at_any_moment(name, &fresh_sqlite(&folder(name))).await;
}

#[tokio::test]
async fn killed_at_any_moment_the_meters_add_up_on_postgres() {
    let url = fresh_postgres("doors_meters_killed").await;
    killed_at_any_moment("doors-meters-killed-postgres", &url).await;
}

/// An answer that got lost is no second event, also when Stripe has forgotten the key of the call.
#[tokio::test]
async fn a_lost_answer_is_no_second_event() {
    let line = Line::new("doors-meters-lost").await;
    line.customer("acme", 1).await;
    let payer = line.payer("acme").await;
    line.double.faults([
        Fault::new("POST", "/v1/billing/meter_events", FaultKind::DropConnection { committed: true }),
        Fault::new("POST", "/v1/billing/meter_events", FaultKind::RateLimited { retry_after: 1 }).count(3),
    ]);
    line.settle(&["acme"], 1).await;
    line.link("acme", &payer).await;
    until("it was tried", async || line.double.meter_events().0 == 1).await;
    line.double.forget_keys();
    line.settled().await;
    assert_eq!((line.metered(&payer), line.double.meter_events()), (1, (1, 0)));
    assert_eq!(line.states().await, ["sent 1"]);
}
