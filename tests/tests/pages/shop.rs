//! A seller with a month behind it: the same to the nano whenever it is made, all through the real doors.

use crate::folder;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::service::{Delivery, Service, Setup, WEBHOOK_SECRET};

/// 2026-10-01T00:00:00Z.
const START: i64 = 1_790_812_800_000_000;
/// Where the clock stands in the end: in the morning of 6 November; October is invoiced.
pub const NOW: i64 = START + 36 * DAY + 9 * HOUR;

const PUBLIC_URL: &str = "https://billing.example.com";
const SECRETS_KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

/// The case whose page is looked at: confirmed by a delivery, charged, then taken back.
pub const CASE: &str = "acme-009";
/// That delivery.
pub const DELIVERY: &str = "msg-0001";
/// The invoice of October.
pub const INVOICE: &str = "acme:2026-10-01T00:00:00Z";

/// The running service of the seller.
pub struct Shop {
    pub service: Service,
    pub truth: Truth,
    /// The path of a customer's own page.
    customer: String,
}

/// What is known of October from the traffic alone: nobody has judged or added it.
pub struct Truth {
    pub attempts: i64,
    /// Of what was reported; all of it is in dollars.
    pub cost_nanos: i128,
}

impl Truth {
    fn of(attempts: &[Value]) -> Self {
        let end = rfc3339(START + 31 * DAY);
        let of_october =
            attempts.iter().filter(|attempt| attempt["ended_at"].as_str().unwrap() < end.as_str());
        let nanos = |attempt: &Value| {
            let amount = attempt["reported_cost"]["amount"].as_str()?;
            let digits = amount.strip_prefix("0.").unwrap();
            // What is finer than a nano is rounded, half of one away from zero.
            let finer = 10_i128.pow(u32::try_from(digits.len()).unwrap() - 9);
            Some((digits.parse::<i128>().unwrap() + finer / 2) / finer)
        };
        let (mut count, mut cost_nanos) = (0, 0);
        for attempt in of_october {
            count += 1;
            cost_nanos += nanos(attempt).unwrap_or(0);
            assert_eq!(nanos(attempt).is_none(), attempt["reported_cost"].is_null(), "{attempt}");
        }
        Self { attempts: count, cost_nanos }
    }
}

/// A page to look at.
pub struct Place {
    /// Also of its pictures.
    pub name: &'static str,
    pub path: String,
    /// What the address answers with.
    pub status: u16,
}

/// What became of a case: what its attempts reported, and what was said of it so many hours after its answer.
struct Fate {
    attempts: &'static [(&'static str, Option<&'static str>)],
    said: &'static [(&'static str, i64)],
}

const ANSWERED: (&str, Option<&str>) = ("answered", None);

/// Cases take turns.
const FATES: [Fate; 10] = [
    Fate { attempts: &[ANSWERED], said: &[("confirmed", 1)] },
    Fate { attempts: &[ANSWERED], said: &[] },
    Fate { attempts: &[("failed", Some("timeout")), ANSWERED], said: &[("confirmed", 2)] },
    Fate { attempts: &[("handed_off", None)], said: &[] },
    Fate { attempts: &[ANSWERED], said: &[("confirmed", 3)] },
    Fate { attempts: &[ANSWERED], said: &[("failed", 1)] },
    Fate { attempts: &[("failed", Some("provider_error")), ("failed", Some("rate_limited"))], said: &[] },
    Fate { attempts: &[("failed", Some("tool_error")), ANSWERED], said: &[("confirmed", 1)] },
    Fate { attempts: &[ANSWERED], said: &[] },
    Fate { attempts: &[ANSWERED], said: &[("confirmed", 2), ("reopened", 100)] },
];

const AGENTS: [&str; 3] = ["resolver", "concierge", "returns desk"];
const MODELS: [(&str, &str); 3] =
    [("openai", "gpt-4o"), ("anthropic", "claude-sonnet-4-5"), ("self-hosted", "home-made-7b")];

fn contract(customer: &str, name: &str, currency: &str) -> Value {
    json!({
        "customer": customer, "version": 1, "effective_from": rfc3339(START), "currency": currency,
        "bill_to": { "name": name, "email": format!("billing@{customer}.example") },
        "prices": [{ "action": "support.resolution", "amount": "0.99", "assumed_amount": "0.49" }],
    })
}

/// The attempts and resolutions of the `nth` case of a customer, which began then.
fn history(customer: &str, nth: usize, began: i64) -> (Vec<Value>, Vec<Value>) {
    let case = format!("{customer}-{nth:03}");
    let fate = &FATES[nth % FATES.len()];
    let (mut attempts, mut resolutions) = (Vec::new(), Vec::new());
    let mut at = began;
    for (number, (status, reason)) in fate.attempts.iter().enumerate() {
        at += 5 * MINUTE;
        let (provider, model) = MODELS[(nth / 2 + number) % MODELS.len()];
        let mut attempt = json!({
            "id": format!("{case}.{number}"), "customer": customer, "case": case,
            "agent": AGENTS[nth % AGENTS.len()], "action": "support.resolution", "provider": provider, "model": model,
            "started_at": rfc3339(at - MINUTE), "ended_at": rfc3339(at), "status": status,
        });
        if let Some(reason) = reason {
            attempt["failure_reason"] = json!(reason);
        }
        // What the seller hosts itself has no price: unknown, not zero.
        if provider != "self-hosted" {
            let nanos = 21_000_003 + 1_370_001 * nth as u64 + 7_000_000 * number as u64;
            attempt["reported_cost"] = json!({ "amount": format!("0.{nanos:09}"), "currency": "USD" });
        }
        attempts.push(attempt);
    }
    for (kind, hours) in fate.said {
        resolutions.push(json!({
            "id": format!("{case} {kind}"), "customer": customer, "case": case, "kind": kind,
            "occurred_at": rfc3339(at + hours * HOUR),
        }));
    }
    (attempts, resolutions)
}

impl Shop {
    /// Starts one on an empty database.
    pub async fn open(name: &str, database_url: &str) -> Self {
        let environment = [("VERDICT_SECRETS_KEY", SECRETS_KEY), ("VERDICT_PUBLIC_URL", PUBLIC_URL)];
        let environment = environment.map(|(name, value)| (name.to_string(), value.to_string())).to_vec();
        let setup = Setup { test_clock: Some(START), environment, ..Setup::new(database_url) };
        let service = Service::start(setup, &folder(name)).await;
        service.post("/v1/contracts", &contract("acme", "Acme Inc.", "USD")).await;
        service.post("/v1/contracts", &contract("globex", "Globex Corporation", "EUR")).await;

        // 42 cases of one customer, 21 of another, 4 of one that has no contract; each day some, and some in November.
        let (mut attempts, mut resolutions) = (Vec::new(), Vec::new());
        for (customer, count) in [("acme", 42), ("globex", 21), ("initech", 4)] {
            for nth in 0..count {
                let began = START + nth as i64 * (35 * DAY / count as i64) + 10 * HOUR;
                let (tried, said) = history(customer, nth, began);
                attempts.extend(tried);
                resolutions.extend(said);
            }
        }
        // One is confirmed by a webhook instead, one has no price, one is still open.
        resolutions.retain(|resolution| resolution["id"] != format!("{CASE} confirmed"));
        let (mut odd, _) = history("acme", 901, START + 20 * DAY);
        odd[0]["action"] = json!("support.refund");
        let (open, _) = history("acme", 911, NOW - 5 * HOUR);
        attempts.extend([odd, open].concat());

        let truth = Truth::of(&attempts);
        let time =
            |fact: &Value| fact["occurred_at"].as_str().or(fact["ended_at"].as_str()).unwrap().to_string();
        let idle = async || service.wait_until_idle(Duration::from_secs(30)).await;
        for week in 1..=5 {
            let now = START + (7 * week + 1) * DAY;
            service.move_clock(now).await;
            // What was said comes before what it is said of, and the clock stands until all of it is judged: so it does not
            // matter when the worker looks.
            for (path, facts) in [("/v1/resolutions", &mut resolutions), ("/v1/attempts", &mut attempts)] {
                let due: Vec<Value> = facts.extract_if(.., |fact| time(fact) <= rfc3339(now)).collect();
                if !due.is_empty() {
                    service.post(path, &json!(due)).await;
                }
                idle().await;
            }
            service.move_clock(now + HOUR).await;
            if week == 1 {
                deliveries(&service, now + HOUR).await;
                idle().await;
            }
        }
        service.post("/v1/attempts", &json!(attempts)).await;
        idle().await;
        service.move_clock(NOW - HOUR).await;
        let dispute =
            json!({ "id": "d-1", "customer": "acme", "case": "acme-000", "reason": "it was our own people" });
        service.post("/v1/disputes", &dispute).await;
        idle().await;
        service.move_clock(NOW).await;
        idle().await;
        let parked = service.get_json("/v1/parked").await;
        assert_eq!(
            parked.as_array().unwrap().len(),
            5,
            "no price, and a delivery that nobody can read: {parked}"
        );

        let link = service.post("/v1/customers/acme/page-link", &json!({ "days": 90 })).await;
        let customer = link["url"].as_str().unwrap().strip_prefix(PUBLIC_URL).unwrap().to_string();
        Self { service, truth, customer }
    }

    /// All pages. Each is one line.
    pub fn places(&self) -> Vec<Place> {
        let place = |name, path: &str| Place { name, path: path.into(), status: 200 };
        let customer =
            |name, path: &str| Place { name, path: format!("{}{path}", self.customer), status: 200 };
        let october = "from=2026-10-01&to=2026-11-01";
        let invoice = INVOICE.replace(':', "%3A");
        vec![
            place("overview", &format!("/overview?{october}")),
            place("overview-of-a-customer", &format!("/overview?{october}&customer=acme&compare=none")),
            place("customers", &format!("/customers?{october}&sort=-cost")),
            place("agents", &format!("/agents?{october}")),
            place("models", &format!("/models?{october}")),
            place("actions", &format!("/actions?{october}")),
            place("definitions", "/definitions"),
            place("levers", "/levers"),
            place("provider-bill", &format!("/reports/provider-bill?{october}&provider=openai")),
            place("failures", &format!("/cases?{october}&bucket=failures&sort=-cost")),
            place("failure-cost", &format!("/reports/failure-cost?{october}&by=agent&sort=-lost_nanos")),
            place("failure-cost-by-day", &format!("/reports/failure-cost?{october}&by=day&customer=acme")),
            place("failure-cost-of-nothing", "/reports/failure-cost?from=2025-01-01&to=2025-02-01"),
            place("cases", "/cases"),
            place("case", &format!("/cases/acme/{CASE}")),
            place("delivery", &format!("/deliveries/support/{DELIVERY}")),
            place("invoices", "/invoices"),
            place("invoice", &format!("/invoices/{invoice}")),
            place("alerts", "/alerts"),
            place("sources", "/sources"),
            place("parked", "/parked"),
            Place { status: 404, ..place("not-found", "/cases/acme/none") },
            place("login", "/login"),
            customer("customer", ""),
            customer("customer-outcomes", "/outcomes"),
            customer("customer-invoice", &format!("/invoices/{invoice}")),
            customer("customer-case", "/cases/acme-004"),
        ]
    }
}

/// A delivery that confirms a case, one that nobody can read, and one that no secret had signed.
async fn deliveries(service: &Service, now: i64) {
    let said = |case: &str| {
        let data = json!({ "customer": "acme", "case": case, "reason": "thumbs up" });
        json!({ "type": "resolution.confirmed", "timestamp": rfc3339(now - 2 * HOUR), "data": data })
            .to_string()
    };
    for (id, body) in [(DELIVERY, said(CASE)), ("msg-0002", said("").replace("acme", ""))] {
        assert_eq!(service.try_webhook(id, &body, now).await.unwrap().status(), 202);
    }
    let secret = "whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhpcyBzb3VyY2UgISEh";
    assert_ne!(secret, WEBHOOK_SECRET);
    let forged = Delivery::signed("support", secret, "msg-0003", said("acme-001"), now);
    assert_eq!(service.try_delivery(&forged).await.unwrap().status(), 401);
}

/// Where the database of a test is.
pub fn sqlite(name: &str) -> String {
    verdict_tests::database::fresh_sqlite(Path::new(&folder(name)))
}
