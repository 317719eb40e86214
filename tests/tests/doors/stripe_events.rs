//! What Stripe tells: verified, kept once, and looked after. However the events come, the end is the same.

use crate::{START, attempt, contract, folder, parked, problem, unix_now, until};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use verdict_oracle::DAY;
use verdict_stripe_double::{Delivery, RandomFaults, StripeDouble, sign};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::{Service, Setup, client};

const SECRET: &str = "whsec_of_the_double_of_stripe";
const NEXT_SECRET: &str = "whsec_that_comes_after_it";

struct Line {
    name: String,
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
        let (double, traffic) = verdict_tests::stripe::recorded(name);
        let mut setup = Setup::new(url);
        setup.test_clock = Some(START);
        setup.stripe_base_url = Some(double.base_url.clone());
        let secrets = format!("{NEXT_SECRET}, {SECRET}");
        for (variable, value) in [
            ("VERDICT_STRIPE_RETRY_MS", "20"),
            ("VERDICT_STRIPE_TIMEOUT_MS", "300"),
            ("VERDICT_WORKER_TICK_MS", "20"),
            ("VERDICT_STRIPE_WEBHOOK_SECRETS", &secrets),
        ] {
            setup.environment.push((variable.into(), value.into()));
        }
        let service = Service::start(setup, &folder(name)).await;
        Self { name: name.into(), service, double, db: connect(url).await, traffic }
    }

    /// Holds the recorded traffic against Stripe's own schema, by a checker that is kept beside the repository.
    fn check_traffic(self) {
        drop(self.service);
        drop(self.double);
        verdict_tests::stripe::check(&self.traffic);
    }

    /// So many customers with an invoice for October each; Stripe's ids of the invoices, in the order of the customers.
    async fn billed(&self, customers: usize) -> Vec<String> {
        for n in 0..customers {
            let customer = format!("{}-{n}", self.name);
            self.service.post("/v1/contracts", &contract(&customer)).await;
            self.service.post("/v1/attempts", &json!([attempt(&customer, "a-1")])).await;
        }
        self.service.move_clock(START + 34 * DAY).await;
        self.service.wait_until_idle(Duration::from_secs(30)).await;
        let invoices = self.service.get_json("/v1/invoices").await;
        let mut ids: Vec<(String, String)> = invoices
            .as_array()
            .unwrap()
            .iter()
            .map(|invoice| (text(&invoice["customer"]), text(&invoice["stripe_invoice"])))
            .collect();
        ids.sort();
        assert_eq!(ids.len(), customers);
        ids.into_iter().map(|(_, id)| id).collect()
    }

    /// An operator's call to Stripe.
    async fn operate(&self, method: Method, path: &str, form: &str) {
        let request = Client::new().request(method, format!("{}v1/{path}", self.double.base_url));
        let request = request.bearer_auth("sk_test_operator").header("Idempotency-Key", format!("op {path}"));
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.body(form.to_string()).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.text().await.unwrap());
    }

    async fn post(&self, delivery: &Delivery) -> reqwest::Result<Response> {
        let request = client().post(self.service.url("/webhooks/stripe"));
        let request = request.header("Stripe-Signature", &delivery.signature);
        request.body(delivery.body.clone()).send().await
    }

    /// Delivers as Stripe does: again and again, until it is taken.
    async fn deliver(&self, delivery: &Delivery) {
        until("the event is taken", async || {
            self.post(delivery).await.is_ok_and(|response| response.status() == 202)
        })
        .await;
    }

    async fn settled(&self) {
        until("all events are looked after", async || {
            self.service.get_json("/v1/status").await["stripe_events_waiting"] == 0
        })
        .await;
    }

    /// Where everything stands, in words: of each invoice its state and amounts, and the alerts that are not over.
    async fn state(&self) -> Vec<String> {
        let mut state = Vec::new();
        for invoice in self.service.get_json("/v1/invoices").await.as_array().unwrap() {
            let customer = text(&invoice["customer"]);
            let (paid, rest) = (&invoice["paid_minor"], &invoice["remaining_minor"]);
            state.push(format!("{}: {} {paid} {rest}", of(&customer), text(&invoice["stripe_status"])));
        }
        for alert in self.service.get_json("/v1/alerts").await.as_array().unwrap() {
            if alert["cleared_at"].is_null() {
                let subject = text(&alert["subject"]);
                let subject = if subject.starts_with("dp_") { "dispute".into() } else { of(&subject) };
                state.push(format!("{} {subject}", text(&alert["kind"])));
            }
        }
        state.sort();
        state
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").into()
}

/// The number that a customer's name ends with, or that of an invoice's.
fn of(name: &str) -> String {
    let customer = name.split(':').next().unwrap_or_default();
    customer.rsplit('-').next().unwrap_or_default().into()
}

/// Twice, late, in any order, with failing looks and the service killed meanwhile: the end is always the same, and it is
/// what Stripe has.
#[tokio::test]
async fn however_the_events_come_the_end_is_the_same() {
    let mut ends: BTreeMap<Vec<String>, Vec<u64>> = BTreeMap::new();
    for seed in 0..6 {
        let name = format!("doors-events-{seed}");
        let url = match seed % 2 {
            0 => fresh_sqlite(&folder(&name)),
            _ => fresh_postgres(&name.replace('-', "_")).await,
        };
        let mut line = Line::on(&name, &url).await;
        let invoices = line.billed(6).await;
        let mut random = StdRng::seed_from_u64(seed);
        // Some events come while the story goes on: their looks see what was then.
        let pay = async |line: &Line, nth: usize| {
            line.operate(Method::POST, &format!("invoices/{}/pay", invoices[nth]), "").await;
        };
        line.double.fail_payment(&invoices[0]);
        line.double.fail_payment(&invoices[1]);
        pay(&line, 4).await;
        line.double.dispute_payment(&invoices[4]);
        pay(&line, 5).await;
        line.double.dispute_payment(&invoices[5]);
        let early = line.double.deliveries(SECRET, unix_now());
        for _ in 0..random.random_range(0..10) {
            line.deliver(&early[random.random_range(0..early.len())]).await;
        }
        pay(&line, 0).await;
        line.operate(Method::POST, &format!("invoices/{}/mark_uncollectible", invoices[2]), "").await;
        line.operate(Method::POST, &format!("invoices/{}/void", invoices[3]), "").await;
        line.double.close_dispute(&invoices[5], "won");

        let mut deliveries = line.double.deliveries(SECRET, unix_now());
        deliveries.extend(line.double.deliveries(NEXT_SECRET, unix_now() - 200));
        deliveries.shuffle(&mut random);
        line.double.random_faults(Some(RandomFaults { seed, per_mille: 250, hang_ms: 400 }));
        let kills = [deliveries.len() / 3, 2 * deliveries.len() / 3];
        for (nth, delivery) in deliveries.iter().enumerate() {
            line.deliver(delivery).await;
            if kills.contains(&nth) {
                line.service.kill();
                line.service.restart().await;
            }
        }
        line.double.random_faults(None);
        // What a killed process was looking after stays leased; so much time passes here.
        rows_due(&line).await;
        line.settled().await;
        assert_eq!(parked(&line.service).await, Vec::<Value>::new());
        let events = line.double.events().len();
        assert_eq!(
            number(&line.db, "SELECT COUNT(*) FROM stripe_events").await,
            i64::try_from(events).unwrap()
        );
        ends.entry(line.state().await).or_default().push(seed);
        line.check_traffic();
    }
    let expected = [
        "0: paid 49 0",
        "1: open 0 49",
        "2: uncollectible 0 49",
        "3: void 0 49",
        "4: paid 49 0",
        "5: paid 49 0",
        "invoice_uncollectible 2",
        "invoice_voided 3",
        "payment_disputed dispute",
        "payment_failed 1",
    ];
    assert_eq!(ends.keys().collect::<Vec<_>>(), [&expected.map(String::from).to_vec()], "{ends:#?}");
}

async fn rows_due(line: &Line) {
    use sea_orm::ConnectionTrait;
    let sql = "UPDATE stripe_events SET next_try_at = 0 WHERE state = 'received'";
    line.db.execute_unprepared(sql).await.unwrap();
}

#[tokio::test]
async fn only_what_stripe_signed_is_kept() {
    let line = Line::new("doors-events-signed").await;
    let event = json!({ "id": "evt_1", "type": "plan.created", "data": { "object": { "id": "plan_1" } } });
    let good = sign(SECRET, unix_now(), &event);
    let altered = Delivery { body: good.body.replace("plan_1", "plan_2"), ..good.clone() };
    for bad in [
        sign("whsec_of_somebody_else", unix_now(), &event),
        sign(SECRET, unix_now() - 302, &event),
        sign(SECRET, unix_now() + 330, &event),
        altered,
        Delivery { signature: String::new(), ..good.clone() },
    ] {
        problem(line.post(&bad).await.unwrap(), 401).await;
    }
    assert_eq!(number(&line.db, "SELECT COUNT(*) FROM stripe_events").await, 0);
    let detail = problem(line.post(&sign(SECRET, unix_now(), &json!({"id": 7}))).await.unwrap(), 400).await;
    assert!(detail.contains("no event"), "{detail}");
    for _ in 0..2 {
        assert_eq!(line.post(&good).await.unwrap().status(), 202);
    }
    let columns = "SELECT id || ' ' || type || ' ' || object || ' ' || state FROM stripe_events";
    assert_eq!(texts(&line.db, columns).await, ["evt_1 plan.created plan_1 ignored"]);
}

#[tokio::test]
async fn what_is_of_ours_and_not_to_be_had_is_parked_and_what_is_not_ours_is_ignored() {
    let line = Line::new("doors-events-lost").await;
    let invoices = line.billed(1).await;
    let event = |id: &str, object: &str| {
        let event = json!({ "id": id, "type": "invoice.deleted", "data": { "object": { "id": object } } });
        sign(SECRET, unix_now(), &event)
    };
    // Stripe has another's memory now.
    line.double.reset();
    line.deliver(&event("evt_1", &invoices[0])).await;
    line.deliver(&event("evt_2", "in_unknown")).await;
    line.settled().await;
    let states = "SELECT id || ' ' || state FROM stripe_events ORDER BY id";
    assert_eq!(texts(&line.db, states).await, ["evt_1 parked", "evt_2 ignored"]);
    let list = parked(&line.service).await;
    assert_eq!((list.len(), &list[0]["origin"]), (1, &json!("stripe_event")), "{list:?}");
    let id = list[0]["id"].as_str().unwrap();
    line.service.command(&["parked", "replay", id]);
    line.settled().await;
    assert_eq!(parked(&line.service).await.len(), 1, "it is as it was");
    line.check_traffic();
}

/// A customer that was deleted at Stripe gets no second self there by itself.
#[tokio::test]
async fn a_customer_that_was_deleted_at_stripe_waits_for_a_person() {
    let line = Line::new("doors-events-deleted").await;
    line.billed(1).await;
    let payer = text(&line.double.customers()[0]["id"]);
    line.operate(Method::DELETE, &format!("customers/{payer}"), "").await;
    for delivery in line.double.deliveries(SECRET, unix_now()) {
        line.deliver(&delivery).await;
    }
    line.settled().await;
    assert!(line.state().await.contains(&"stripe_customer_deleted 0".into()), "{:?}", line.state().await);

    let customer = format!("{}-0", line.name);
    let mut late = attempt(&customer, "a-2");
    late["started_at"] = json!(verdict_oracle::rfc3339(START + 40 * DAY));
    late["ended_at"] = late["started_at"].clone();
    line.service.move_clock(START + 41 * DAY).await;
    line.service.post("/v1/attempts", &json!([late])).await;
    line.service.move_clock(START + 66 * DAY).await;
    line.service.wait_until_idle(Duration::from_secs(30)).await;
    let list = parked(&line.service).await;
    assert_eq!(list.len(), 1, "{list:?}");
    assert!(text(&list[0]["reason"]).contains("verdict customers link"), "{list:?}");
    assert_eq!(line.double.customers().len(), 1, "no second one was made");

    let refused = line.service.try_command(&["customers", "link", &customer, &payer]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("deleted"));
    line.operate(Method::POST, "customers", "name=Acme&email=a@b").await;
    let other = text(&line.double.customers()[1]["id"]);
    line.service.command(&["customers", "link", &customer, &other]);
    line.service.command(&["parked", "replay", list[0]["id"].as_str().unwrap()]);
    line.service.wait_until_idle(Duration::from_secs(30)).await;
    assert_eq!(parked(&line.service).await, Vec::<Value>::new());
    assert_eq!(line.double.invoices()[1]["customer"], json!(other));
    assert!(!line.state().await.iter().any(|one| one.starts_with("stripe_customer")), "the alert is over");
    line.check_traffic();
}

#[tokio::test]
async fn the_door_says_what_it_lacks() {
    let service = crate::start("doors-events-closed").await;
    let response = client().post(service.url("/webhooks/stripe")).body("{}").send().await.unwrap();
    let detail = problem(response, 503).await;
    assert!(detail.contains("stripe_webhook_secrets"), "{detail}");

    let refusal = |secrets: &str, key: bool, config: &str| {
        let mut setup = Setup::new(&fresh_sqlite(&folder("doors-events-refused")));
        setup.stripe_base_url = key.then(|| "http://127.0.0.1:9/".into());
        setup.environment.push(("VERDICT_STRIPE_WEBHOOK_SECRETS".into(), secrets.into()));
        setup.config = config.into();
        Service::refusal(setup, &folder("doors-events-refused"))
    };
    let empty = refusal(&format!("{SECRET},"), true, "");
    assert!(empty.contains("stripe_webhook_secrets") && empty.contains("empty"), "{empty}");
    let empty = refusal("", true, "stripe_webhook_secrets = [\"\"]\n");
    assert!(empty.contains("stripe_webhook_secrets") && empty.contains("empty"), "{empty}");
    assert!(refusal(SECRET, false, "").contains("stripe_secret_key"));
    let taken = "[[sources]]\nname = \"stripe\"\nsecrets = [\"whsec_dmVyZGljdCB0ZXN0IHNlY3JldCwgMzIgYnl0ZXMgIQ==\"]\n";
    assert!(refusal("", false, taken).contains("taken by the service"));
}
