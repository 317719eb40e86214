//! Alerts on figures: raised when a threshold is passed, refreshed while they stand, cleared when it is over.

use crate::cases::databases;
use crate::{START, attempt, contract, folder, start_with, with};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::fresh_sqlite;
use verdict_tests::service::{Service, Setup};

/// 2026-11-10, on which all happens.
const TODAY: i64 = START + 40 * DAY;

/// An answer of acme's that ended at a time, and what its model cost in dollars.
fn paid(case: &str, at: i64, dollars: &str) -> Value {
    let attempt = with(&attempt("acme", case), "/ended_at", json!(rfc3339(at)));
    let attempt = with(&attempt, "/started_at", json!(rfc3339(at - MINUTE)));
    with(&attempt, "/reported_cost", json!({ "amount": dollars, "currency": "USD" }))
}

fn said(kind: &str, case: &str, at: i64) -> Value {
    json!({ "id": format!("{kind}-{case}"), "customer": "acme", "case": case, "kind": kind, "occurred_at": rfc3339(at) })
}

/// The alerts on figures, `open` or over, as `kind subject`.
async fn alerts(service: &Service, open: bool) -> BTreeSet<String> {
    let list = service.get_json("/v1/alerts").await;
    let asked = list.as_array().unwrap().iter().filter(|alert| alert["cleared_at"].is_null() == open);
    let named = asked
        .map(|alert| format!("{} {}", alert["kind"].as_str().unwrap(), alert["subject"].as_str().unwrap()));
    named.collect()
}

/// An alert by its kind and subject.
async fn alert(service: &Service, kind: &str, subject: &str) -> Value {
    let list = service.get_json("/v1/alerts").await;
    let found =
        list.as_array().unwrap().iter().find(|alert| alert["kind"] == kind && alert["subject"] == subject);
    found.unwrap_or_else(|| panic!("no {kind} {subject} in {list}")).clone()
}

const RAISED: [&str; 11] = [
    "assumed_share all customers: last 7 days",
    "assumed_share customer acme: last 7 days",
    "failure_budget all customers: month 2026-11 USD",
    "failure_budget customer acme: month 2026-11 USD",
    "margin all customers: last 30 days",
    "margin all customers: month 2026-11",
    "margin customer acme: last 30 days",
    "margin customer acme: month 2026-11",
    "spend_spike all customers: 2026-11-10 USD",
    "spend_spike customer acme: 2026-11-10 USD",
    "unpriced_model openai no-such-model",
];

#[tokio::test]
async fn figures_beyond_their_thresholds_raise_alerts_until_it_is_over() {
    let config = "[alerts]\nleast_decided = 5\nspike_above = [\"1 USD\"]\n[alerts.failure_budgets]\nacme = [\"0.50 USD\"]\n";
    let environment =
        [("VERDICT_ALERTS_FAILURE_BUDGET", "1.50 USD, 2 EUR"), ("VERDICT_ALERTS_SPIKE_TIMES", "4")];
    for (name, url) in databases("watched-figures").await {
        let service = start_with(&name, &url, config, &environment).await;
        service.post("/v1/contracts", &contract("acme")).await;
        let (mut attempts, mut resolutions) = (Vec::new(), Vec::new());
        // Every day some cents, confirmed; in the last week as many more, of which nobody heard again.
        for day in 0..40 {
            let at = START + day * DAY + HOUR;
            for nth in 0..2 {
                let case = format!("c-{day}-{nth}");
                attempts.push(paid(&case, at, "0.05"));
                resolutions.push(said("confirmed", &case, at + HOUR));
            }
            if day >= 31 {
                attempts.extend((0..6).map(|nth| paid(&format!("s-{day}-{nth}"), at, "0.00")));
            }
        }
        service.move_clock(TODAY).await;
        service.post("/v1/attempts", &json!(attempts)).await;
        service.post("/v1/resolutions", &json!(resolutions)).await;
        service.move_clock(TODAY + MINUTE).await;
        // What stands so far is the share alone; the spend is as ever.
        assert_eq!(alerts(&service, true).await.into_iter().collect::<Vec<_>>(), &RAISED[..2], "{name}");

        let spent = [paid("lost", TODAY - 2 * DAY, "2.00"), paid("spike", TODAY + HOUR, "90.00")];
        let unknown = with(&attempt("acme", "unknown"), "/model", json!("no-such-model"));
        let unknown = with(&unknown, "/ended_at", json!(rfc3339(TODAY)));
        service.post("/v1/attempts", &json!([spent[0], spent[1], unknown])).await;
        service.post("/v1/resolutions", &said("escalated", "lost", TODAY - DAY)).await;
        service.move_clock(TODAY + 2 * HOUR).await;
        assert_eq!(alerts(&service, true).await, RAISED.map(String::from).into(), "{name}");
        let failures = alert(&service, "failure_budget", "customer acme: month 2026-11 USD").await;
        assert_eq!(
            [&failures["text"], &failures["link"]],
            [
                "2026-11-01 to 2026-11-10: failures cost 2.00 USD (2.00 USD lost, 0.00 USD of retries), above the budget of 0.50 USD \
                 a month; the cost of 1 attempt is unknown and not in it",
                "/reports/failure-cost?from=2026-11-01&to=2026-11-11&by=reason&customer=acme"
            ],
            "{name}"
        );
        let spike = alert(&service, "spend_spike", "all customers: 2026-11-10 USD").await;
        let text = spike["text"].as_str().unwrap();
        assert!(
            text.contains("costs 90.00 USD, more than 4 times 0.10 USD") && text.contains("1.00 USD"),
            "{text}"
        );
        let model = alert(&service, "unpriced_model", "openai no-such-model").await;
        assert!(model["text"].as_str().unwrap().contains("the cost of 1 of 1 attempt is unknown"), "{model}");
        let link = model["link"].as_str().unwrap();
        let report = service.get_json(&format!("/v1{link}")).await;
        assert_eq!(report["rows"][0]["unknown_cost_attempts"], 1, "the link leads to the figure: {report}");

        // More is lost: the same alert, with the figures of now.
        service.post("/v1/attempts", &paid("lost-2", TODAY - 2 * DAY, "1.00")).await;
        service.post("/v1/resolutions", &said("escalated", "lost-2", TODAY - DAY)).await;
        service.move_clock(TODAY + 3 * HOUR).await;
        assert_eq!(alerts(&service, true).await, RAISED.map(String::from).into(), "{name}");
        assert_eq!(alerts(&service, false).await, BTreeSet::new(), "{name}");
        let later = alert(&service, "failure_budget", "customer acme: month 2026-11 USD").await;
        assert_eq!(later["raised_at"], failures["raised_at"]);
        assert!(later["text"].as_str().unwrap().contains("failures cost 3.00 USD"), "{later}");

        // Ninety days on, all of it is over.
        service.move_clock(TODAY + 90 * DAY).await;
        assert_eq!(alerts(&service, true).await, BTreeSet::new(), "{name}");
        assert_eq!(alerts(&service, false).await, RAISED.map(String::from).into(), "{name}");
    }
}

#[tokio::test]
async fn what_is_switched_off_raises_nothing() {
    let environment = [("VERDICT_ALERTS_UNPRICED_ATTEMPTS", "off"), ("VERDICT_ALERTS_MARGIN_BELOW", "off")];
    let name = "watched-off";
    let service =
        start_with(name, &fresh_sqlite(&folder(name)), "[alerts]\nleast_decided = 1\n", &environment).await;
    let unknown = with(&attempt("acme", "unknown"), "/model", json!("no-such-model"));
    service.post("/v1/attempts", &json!([unknown, paid("lost", START + HOUR, "5.00")])).await;
    service.post("/v1/resolutions", &said("escalated", "lost", START + 2 * HOUR)).await;
    service.move_clock(START + 3 * HOUR).await;
    assert_eq!(alerts(&service, true).await, BTreeSet::new());
}

#[test]
fn thresholds_that_make_no_sense_are_refused_at_the_start() {
    let name = "watched-refused";
    for (config, variable, told) in [
        ("[alerts]\nmargin_below = 101\n", ("", ""), "alerts.margin_below must be from -1000 to 100"),
        ("[alerts]\nbudget = 1\n", ("", ""), "budget"),
        ("", ("VERDICT_ALERTS_SPIKE_TIMES", "1"), "alerts.spike_times"),
        ("", ("VERDICT_ALERTS_FAILURE_BUDGET", "500"), "`500` is not an amount with its currency"),
        ("[levers]\ndays = 0\n", ("", ""), "levers.days must be from 1 to 400"),
        ("", ("VERDICT_LEVERS_MODELS", "gpt-4o"), "`gpt-4o` is not a provider and a model"),
    ] {
        let environment = vec![(variable.0.to_string(), variable.1.to_string())];
        let environment = environment.into_iter().filter(|(name, _)| !name.is_empty()).collect();
        let setup = Setup { config: config.into(), environment, ..Setup::new(&fresh_sqlite(&folder(name))) };
        let said = Service::refusal(setup, &folder(name));
        assert!(said.contains(told), "{config}{variable:?}: {said}");
    }
}
