//! Levers: computed on histories made by hand, by the command and by the service, on both databases.

use crate::cases::databases;
use crate::{START, attempt, contract, folder, problem, start_with, until, with};
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::fresh_sqlite;

const CENT: i64 = 10_000_000;

/// An answer at a time, with a fingerprint of its prompt.
fn asked(customer: &str, case: &str, prompt: &str, at: i64) -> Value {
    let attempt = with(&attempt(customer, case), "/ended_at", json!(rfc3339(at)));
    let attempt = with(&attempt, "/started_at", json!(rfc3339(at - MINUTE)));
    with(&attempt, "/prompt_fingerprint", json!(prompt))
}

/// The same for a cent.
fn paid(customer: &str, case: &str, prompt: &str, at: i64) -> Value {
    let attempt = asked(customer, case, prompt, at);
    with(&attempt, "/reported_cost", json!({ "amount": "0.01", "currency": "USD" }))
}

fn said(kind: &str, case: &str, at: i64) -> Value {
    json!({ "id": format!("{kind}-{case}"), "customer": "acme", "case": case, "kind": kind, "occurred_at": rfc3339(at) })
}

/// So many attempts, each in a case of its own.
fn many(count: usize, beginning: &str, make: impl Fn(&str) -> Value) -> Vec<Value> {
    (0..count).map(|nth| make(&format!("{beginning}-{nth}"))).collect()
}

const CONFIG: &str =
    "[levers.distillation]\nmonthly = \"10.00 USD\"\nper_attempt = \"0.001 USD\"\nsuccess = \"50\"\n";

#[tokio::test]
async fn levers_are_what_a_small_history_comes_to() {
    let environment =
        [("VERDICT_LEVERS_EVERY", "1s"), ("VERDICT_LEVERS_MODELS", "openai/gpt-4o-mini, openai/gpt-4")];
    for (name, url) in databases("levers").await {
        let service = start_with(&name, &url, CONFIG, &environment).await;
        let first = START + HOUR;
        let later = START + 5 * DAY;
        let mut facts = vec![
            paid("acme", "first-p", "p", first),
            paid("acme", "first-q", "q", first),
            paid("acme", "first-r", "r", first),
            paid("globex", "first-p", "p", first),
        ];
        // Before it settled, a day after it was confirmed.
        facts.extend(many(10, "early", |case| paid("acme", case, "p", first + 2 * HOUR)));
        facts.extend(many(150, "again", |case| paid("acme", case, "p", later)));
        let unknown = |case: &str| with(&asked("acme", case, "p", later), "/model", json!("no-such-model"));
        facts.extend(many(5, "unknown", unknown));
        // A failed first answer, one that nobody complained of, and another agent's.
        facts.extend(many(50, "failed", |case| paid("acme", case, "q", later)));
        facts.extend(many(50, "assumed", |case| paid("acme", case, "r", later)));
        facts.extend(many(50, "agent", |case| {
            with(&paid("acme", case, "p", later), "/agent", json!("other"))
        }));
        // Another customer, which may not have acme's answers.
        facts.extend(many(50, "globex", |case| paid("globex", case, "p", later)));
        let alone = |case: &str| asked("acme", case, &format!("alone-{case}"), later);
        facts.extend(many(1_000, "alone", alone));
        let plain = |case: &str| with(&attempt("acme", case), "/prompt_fingerprint", Value::Null);
        facts.extend(many(7, "plain", plain));
        // Before and after the days that are asked for.
        facts.extend(many(20, "outside", |case| paid("acme", case, "p", later + 20 * DAY)));
        service.post("/v1/contracts", &contract("acme")).await;
        service.move_clock(START + 26 * DAY).await;
        service.post("/v1/attempts", &json!(facts)).await;
        let resolutions =
            [said("confirmed", "first-p", first + MINUTE), said("escalated", "first-q", first + MINUTE)];
        service.post("/v1/resolutions", &json!(resolutions)).await;
        service.move_clock(START + 26 * DAY + MINUTE).await;

        let days = ["--from", "2026-10-01", "--to", "2026-10-11"];
        let command = |more: &[&str]| service.command(&[&["report", "levers"][..], &days, more].concat());
        let told: Value = serde_json::from_str(&command(&["--format", "json"])).unwrap();
        let caching = &told["caching"];
        let acme =
            caching["customers"].as_array().unwrap().iter().find(|row| row["customer"] == "acme").unwrap();
        let numbers = |row: &Value| {
            ["attempts", "with_fingerprint", "prompts", "repeats", "unknown_costs"]
                .map(|name| row[name].as_i64().unwrap())
        };
        assert_eq!(numbers(acme), [1_325, 1_318, 1, 155, 5], "{name} {caching}");
        assert_eq!(acme["saved_nanos"], json!({ "USD": 150 * CENT }));
        assert_eq!(acme["refused"], Value::Null);
        let globex =
            caching["customers"].as_array().unwrap().iter().find(|row| row["customer"] == "globex").unwrap();
        assert_eq!(numbers(globex), [51, 51, 0, 0, 0]);
        assert_eq!(globex["refused"], "too few to say: 51 attempts with a fingerprint, 949 are missing");
        assert_eq!(caching["all"]["saved_nanos"], json!({ "USD": 150 * CENT }));

        // OpenAI's prices in dollars per million tokens: gpt-4o 2.50 and 10, gpt-4o-mini 0.15 and 0.60; gpt-4 is dearer.
        let routes = told["routing"]["routes"].as_array().unwrap();
        let gpt = routes.iter().find(|row| row["model"] == "gpt-4o").unwrap();
        assert_eq!([&gpt["attempts"], &gpt["without_tokens"], &gpt["without_price"]], [1_371, 0, 0]);
        let cheaper = gpt["cheaper"].as_array().unwrap();
        assert_eq!(cheaper.len(), 1, "{cheaper:?}");
        assert_eq!(
            [&cheaper[0]["model"], &cheaper[0]["now_nanos"], &cheaper[0]["then_nanos"]],
            [&json!("gpt-4o-mini"), &json!(1_371 * 4_500_000_i64), &json!(1_371 * 270_000)]
        );
        assert_eq!(
            [&gpt["success"]["decided"], &cheaper[0]["success"]],
            [&json!(1_371), &Value::Null],
            "{gpt}"
        );
        let nameless = routes.iter().find(|row| row["model"] == "no-such-model").unwrap();
        assert_eq!([&nameless["attempts"], &nameless["without_price"]], [5, 5]);
        assert!(nameless["refused"].as_str().unwrap().contains("1000 are missing"));

        // 1,007 attempts by the book and 364 at a cent, in ten days.
        let distillation = &told["distillation"];
        let (n, cost) = (1_371_i64, 1_007 * 4_500_000 + 364 * CENT);
        assert_eq!(
            [&distillation["attempts"], &distillation["left_out"], &distillation["cost_nanos"]],
            [&json!(n), &json!(5), &json!(cost)]
        );
        let saved = 500 * i128::from(cost) - 1_000 * 1_000_000 * i128::from(n);
        let needed = 10_000_000_000_i128 * i128::from(n) * 1_000;
        let break_even = i64::try_from((needed + saved - 1) / saved).unwrap();
        assert_eq!([&distillation["break_even"], &distillation["attempts_a_month"]], [break_even, 3 * n]);

        // One customer alone; in words.
        let text = command(&["--customer", "globex", "--model", "openai/gpt-4o-mini"]);
        for line in [
            "customer globex",
            "refused: too few to say: 51 attempts with a fingerprint",
            "51 attempts (0 without tokens",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let refused =
            service.try_command(&["report", "levers", "--from", "2026-10-02", "--to", "2026-10-02"]);
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--to: 2026-10-02 is not after"));

        // The service computes the last thirty days by itself, and keeps them.
        until("the levers are computed", async || {
            let kept = service.get("/v1/reports/levers").await;
            if kept.status() != 200 {
                return false;
            }
            // Every second anew: the first time may have been before all cases were judged.
            let kept: Value = kept.json().await.unwrap();
            kept["as_of"] == "2026-10-27T00:01:00Z" && kept["caching"]["all"]["repeats"] == 175
        })
        .await;
        let kept = service.get_json("/v1/reports/levers").await;
        assert_eq!([&kept["from"], &kept["to"]], ["2026-09-27", "2026-10-27"]);
        assert_eq!(kept["caching"]["all"]["repeats"], 175, "those of the later days too");
        assert_eq!(kept["caching"]["all"]["saved_nanos"], json!({ "USD": 170 * CENT }));
    }
}

#[tokio::test]
async fn levers_that_are_switched_off_are_not_there() {
    let name = "levers-off";
    let service = start_with(name, &fresh_sqlite(&folder(name)), "", &[("VERDICT_LEVERS_EVERY", "0s")]).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let detail = problem(service.get("/v1/reports/levers").await, 404).await;
    assert!(detail.contains("levers.every"), "{detail}");
}
