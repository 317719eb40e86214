//! Why a case was billed as it was: at each door, and counted again from what is handed to the customer.

use crate::{START, attempt, contract, folder, problem, start_on, with};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, rows};
use verdict_tests::service::{Service, binary};

/// The addresses of an empty database of each sort.
pub(crate) async fn databases(name: &str) -> [(String, String); 2] {
    let postgres = fresh_postgres(&format!("doors_{}", name.replace('-', "_"))).await;
    let sqlite = fresh_sqlite(&folder(&format!("{name}-sqlite")));
    [(format!("{name}-postgres"), postgres), (format!("{name}-sqlite"), sqlite)]
}

fn event(kind: &str, case: &str, at: i64) -> String {
    let data = json!({ "customer": "acme", "case": case, "reason": "thumbs up" });
    json!({ "type": format!("resolution.{kind}"), "timestamp": rfc3339(at), "data": data }).to_string()
}

async fn deliver(service: &Service, id: &str, body: &str, now: i64) {
    let response = service.try_webhook(id, body, now).await.unwrap();
    assert_eq!(response.status(), 202, "{id}");
    service.move_clock(now).await;
}

async fn page(service: &Service, path: &str) -> String {
    let response = service.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn a_case_is_explained_at_every_door_from_its_delivery_to_its_invoice() {
    for (name, url) in databases("cases-explained").await {
        let service = start_on(&name, &url).await;
        service.post("/v1/contracts", &contract("acme")).await;
        service.post("/v1/attempts", &attempt("acme", "a-1")).await;
        let home_made = with(&attempt("acme", "a-0"), "/model", json!("home-made"));
        service.post("/v1/attempts", &with(&home_made, "/case", json!("a-1"))).await;
        service.move_clock(START + 2 * HOUR).await;
        let pending = service.get_json("/v1/cases/acme/a-1").await;
        let sentence = pending["episodes"][0]["sentence"].as_str().unwrap();
        assert!(
            sentence.starts_with("Pending: it settles on 2026-10-04 01:00 UTC, assumed for"),
            "{sentence}"
        );
        assert_eq!(pending["wake_at"], "2026-10-04T01:00:00Z");

        let body = event("confirmed", "a-1", START + 2 * HOUR);
        deliver(&service, "msg/1:a", &body, START + 2 * HOUR).await;
        service.move_clock(START + 36 * DAY).await;
        let case = service.get_json("/v1/cases/acme/a-1").await;
        assert_eq!(
            [&case["verdict"], &case["waits"], &case["contract_version"]],
            [&json!("confirmed"), &json!(false), &json!(1)]
        );
        let episode = &case["episodes"][0];
        assert_eq!(episode["because"], json!(["attempt:a-1", "support:msg/1:a"]));
        assert_eq!([&episode["kind"], &episode["settles_at"]], ["confirmed", "2026-10-02T02:00:00Z"]);
        let invoice = service.get_json("/v1/invoices").await[0]["id"].as_str().unwrap().to_string();
        let sentence = episode["sentence"].as_str().unwrap();
        let (who, rest) = sentence.split_once(" on 2026").unwrap();
        assert!(who.starts_with("Confirmed by `support:msg/1:a` (signed webhook"), "{sentence}");
        assert_eq!(
            rest,
            format!(
                "-10-01 02:00 UTC; it settled 24 h later, on 2026-10-02 02:00 UTC, and was charged 0.99 USD on invoice `{invoice}`."
            )
        );
        assert_eq!(
            case["billed"][0]["amount"],
            json!({ "currency": "USD", "nanos": 990_000_000, "amount": "0.99" })
        );
        assert_eq!(case["costs"][0]["attempts"], 2);
        assert_eq!(case["costs"][0]["unknown_cost_attempts"], 1, "missing is not zero");
        let known = case["costs"][0]["known"]["nanos"].as_i64().unwrap();
        assert!(known > 0);
        assert_eq!(case["margin"]["nanos"], 990_000_000 - known);
        let confirmation = &case["timeline"][2];
        assert_eq!(
            [&confirmation["id"], &confirmation["kind"], &confirmation["strength"], &confirmation["reason"]],
            ["support:msg/1:a", "confirmed", "signed", "thumbs up"]
        );
        let evidence = &confirmation["evidence"];
        assert_eq!(
            [&evidence["source"], &evidence["delivery"], &evidence["via"]],
            ["support", "msg/1:a", "webhook"]
        );

        // The raw delivery, byte for byte.
        let path = "/v1/deliveries/support/msg%2F1%3Aa";
        let raw = service.get_json(path).await;
        assert_eq!(
            [&raw["body"], &raw["id"], &raw["via"]],
            [&json!(body), &json!("msg/1:a"), &json!("webhook")]
        );
        assert_eq!(raw["headers"]["webhook-id"], "msg/1:a");
        problem(service.get("/v1/deliveries/support/msg").await, 404).await;
        problem(service.get("/v1/cases/acme/a-2").await, 404).await;

        // The same by the command line and on the pages.
        let text = service.command(&["explain", "acme", "a-1"]);
        for part in
            [sentence, "model cost unknown", "[signed]", "margin at list prices 0.98", "at most", &invoice]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let same: Value =
            serde_json::from_str(&service.command(&["explain", "acme", "a-1", "--json"])).unwrap();
        assert_eq!(same, case);
        assert!(!service.try_command(&["explain", "acme", "none"]).status.success());
        let html = page(&service, "/cases/acme/a-1").await;
        assert!(html.contains(r#"href="/deliveries/support/msg%2F1%3Aa""#), "{html}");
        assert!(html.contains("it settled 24 h later, on 2026-10-02 02:00 UTC"), "{html}");
        assert!(page(&service, "/deliveries/support/msg%2F1%3Aa").await.contains("resolution.confirmed"));
        let encoded = invoice.replace('/', "%2F");
        assert!(page(&service, &format!("/invoices/{encoded}")).await.contains(r#"href="/cases/acme/a-1""#));

        // A re-open that is heard of later: the win is void, on the next invoice.
        deliver(&service, "msg-2", &event("reopened", "a-1", START + 29 * DAY), START + 36 * DAY).await;
        let case = service.get_json("/v1/cases/acme/a-1").await;
        let sentence = case["episodes"][0]["sentence"].as_str().unwrap();
        assert!(sentence.starts_with("Void: it was confirmed by `support:msg/1:a`"), "{sentence}");
        assert!(sentence.contains("then the customer came back (`support:msg-2`"), "{sentence}");
        let entries: Vec<_> =
            case["billed"].as_array().unwrap().iter().map(|row| row["entry"].clone()).collect();
        assert_eq!(entries, ["charge", "void"]);
        assert_eq!(case["billed_sums"][0]["amount"], "0.00");
    }
}

#[tokio::test]
async fn cases_are_listed_by_customer_verdict_and_beginning() {
    for (name, url) in databases("cases-listed").await {
        let service = start_on(&name, &url).await;
        for case in ["T-1", "T-2", "t-3", "T%"] {
            service.post("/v1/attempts", &attempt("acme", case)).await;
        }
        service.post("/v1/attempts", &with(&attempt("globex", "T-4"), "/status", json!("handed_off"))).await;
        service.move_clock(START + 2 * HOUR).await;
        let listed = async |query: &str| -> Vec<String> {
            let list = service.get_json(&format!("/v1/cases?{query}")).await;
            let names =
                list.as_array().unwrap().iter().map(|case| case["case"].as_str().unwrap().to_string());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        assert_eq!(listed("").await, ["T%", "T-1", "T-2", "T-4", "t-3"]);
        assert_eq!(listed("customer=acme&q=T-").await, ["T-1", "T-2"]);
        assert_eq!(listed("q=T%25").await, ["T%"]);
        assert_eq!(listed("verdict=failed").await, ["T-4"]);
        assert_eq!(listed("customer=&verdict=&q=t").await, ["t-3"]);
        let detail = problem(service.get("/v1/cases?verdict=won").await, 422).await;
        assert!(detail.starts_with("verdict: `won` is not"), "{detail}");
        let html = page(&service, "/cases?customer=acme&verdict=pending&q=T-1").await;
        assert!(html.contains(r#"href="/cases/acme/T-1""#) && !html.contains("T-2"), "{html}");
        assert!(html.contains("<option selected>pending</option>"), "{html}");
    }
}

#[tokio::test]
async fn cases_and_deliveries_are_for_those_who_may_report() {
    let service = crate::start("cases-scope").await;
    let key = service.command(&["keys", "create", "--name", "in", "--scopes", "ingest,billing"]);
    for path in ["/v1/cases", "/v1/cases/a/b", "/v1/deliveries/a/b"] {
        let request = reqwest::Client::new().get(service.url(path)).bearer_auth(key.trim());
        assert!(problem(request.send().await.unwrap(), 403).await.contains("`report`"), "{path}");
        problem(reqwest::get(service.url(path)).await.unwrap(), 401).await;
    }
}

/// Cases of each kind, of three customers: acme pays 0.99 and 0.49 dollars, globex 2 euros, nobody has no contract.
async fn known_set(service: &Service) {
    service.post("/v1/contracts", &contract("acme")).await;
    let euros = with(&contract("globex"), "/currency", json!("EUR"));
    let price = json!([{ "action": "support.resolution", "amount": "2" }]);
    service.post("/v1/contracts", &with(&euros, "/prices", price)).await;
    let mut attempts: Vec<Value> = ["by-api", "by-platform", "silent", "void", "unpriced"]
        .iter()
        .map(|case| attempt("acme", case))
        .collect();
    attempts[4]["action"] = json!("refund");
    attempts.push(with(&attempt("acme", "handed-off"), "/status", json!("handed_off")));
    attempts.push(with(&attempt("globex", "by-api"), "/model", json!("home-made")));
    attempts.push(attempt("nobody", "by-api"));
    // Not in the window: its earliest attempt is of the day before, its second within it.
    let early = with(&attempt("acme", "early"), "/ended_at", json!(rfc3339(START - DAY)));
    let early = with(&early, "/started_at", json!(rfc3339(START - DAY)));
    attempts.push(early);
    attempts.push(with(&attempt("acme", "early-2"), "/case", json!("early")));
    service.post("/v1/attempts", &json!(attempts)).await;
    service.move_clock(START + 2 * HOUR).await;
    let said = |customer: &str| {
        json!({
            "id": "r-1", "customer": customer, "case": "by-api", "kind": "confirmed",
            "occurred_at": rfc3339(START + 2 * HOUR), "reason": "says the seller"
        })
    };
    service.post("/v1/resolutions", &json!([said("acme"), said("globex"), said("nobody")])).await;
    for case in ["by-platform", "void"] {
        deliver(service, &format!("c-{case}"), &event("confirmed", case, START + 2 * HOUR), START + 2 * HOUR)
            .await;
    }
    service.move_clock(START + 4 * DAY).await;
    deliver(service, "r-void", &event("reopened", "void", START + 4 * DAY), START + 4 * DAY).await;
    service.move_clock(START + 5 * DAY).await;
}

const BUYERS_RULE: &str = "evidence = \"platform\"\nassumed = \"never\"\n";
const WINDOW: [&str; 4] = ["--from", "2026-10-01", "--to", "2026-10-02"];

fn file(service_name: &str, name: &str, text: &str) -> String {
    let file: PathBuf = folder(service_name).join(name);
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// Each table's rows as text, in order.
async fn contents(db: &DatabaseConnection) -> BTreeMap<String, String> {
    let is_sqlite = db.get_database_backend() == DbBackend::Sqlite;
    let tables = match is_sqlite {
        true => "SELECT name FROM sqlite_master WHERE type = 'table'",
        false => "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'",
    };
    let mut contents = BTreeMap::new();
    for table in rows(db, tables).await {
        let table: String = table.try_get_by_index(0).unwrap();
        let sql = match is_sqlite {
            true => {
                let columns = rows(db, &format!("SELECT name FROM pragma_table_info('{table}')")).await;
                let quoted = columns
                    .iter()
                    .map(|column| format!("quote(\"{}\")", column.try_get_by_index::<String>(0).unwrap()));
                let row = quoted.collect::<Vec<_>>().join(" || ',' || ");
                format!(
                    "SELECT COALESCE(group_concat(x, '\n'), '') FROM (SELECT {row} AS x FROM \"{table}\" ORDER BY 1)"
                )
            }
            false => format!(
                "SELECT COALESCE(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM \"{table}\" t"
            ),
        };
        contents.insert(table, rows(db, &sql).await[0].try_get_by_index(0).unwrap());
    }
    contents
}

#[tokio::test]
async fn rejudging_tells_the_difference_and_changes_nothing() {
    for (name, url) in databases("cases-rejudged").await {
        let mut service = start_on(&name, &url).await;
        known_set(&service).await;
        service.kill();
        let db = connect(&url).await;
        let before = contents(&db).await;
        assert!(before["attempts"].lines().count() == 10 && !before["charges"].is_empty());

        let rule = file(&name, "buyer.toml", BUYERS_RULE);
        let rejudge = |more: &[&str]| {
            let arguments = [&["rejudge", "--rule", &rule][..], &WINDOW, more].concat();
            service.command(&arguments)
        };
        let json: Value = serde_json::from_str(&rejudge(&["--json"])).unwrap();
        assert_eq!(json["as_of"], "2026-10-06T00:00:00Z", "the time of the test clock");
        let counts = |side: &Value| {
            ["confirmed", "assumed", "void", "failed", "pending", "unpriced"]
                .map(|count| side[count].as_i64().unwrap())
        };
        let (acme, globex) = (&json["customers"]["acme"], &json["customers"]["globex"]);
        assert_eq!(
            (counts(&acme["before"]), counts(&acme["after"])),
            ([2, 2, 1, 1, 0, 1], [1, 0, 1, 4, 0, 0])
        );
        assert_eq!(
            [&acme["before"]["revenue"], &acme["after"]["revenue"]],
            [&json!({"USD": "2.47"}), &json!({"USD": "0.99"})]
        );
        assert_eq!(acme["before"]["revenue_assumed"], json!({"USD": "0.49"}));
        assert_eq!([&acme["cases"], &acme["changed"], &acme["costs"]["attempts"]], [6, 3, 6]);
        assert_eq!(
            [&globex["before"]["revenue"], &globex["after"]["revenue"]],
            [&json!({"EUR": "2.00"}), &json!({})]
        );
        assert_eq!(
            [&globex["margin_before"], &globex["costs"]["unknown_cost_attempts"]],
            [&json!({"EUR": "2.00"}), &json!(1)]
        );
        assert_eq!(counts(&json["customers"]["nobody"]["before"]), [1, 0, 0, 0, 0, 1]);
        let total = &json["total"];
        assert_eq!([&total["cases"], &total["changed"]], [8, 5]);
        assert_eq!(counts(&total["before"]), [4, 2, 1, 1, 0, 2]);
        assert_eq!(total["margin_before"], Value::Null, "two currencies are not added");
        let changed: Vec<_> =
            json["changes"].as_array().unwrap().iter().map(|c| c["case"].as_str().unwrap()).collect();
        assert_eq!(changed, ["by-api", "silent", "unpriced", "by-api", "by-api"]);
        assert_eq!(json["changes"][0]["before"], "confirmed; 0.99 USD");
        assert_eq!(json["changes"][0]["after"], "failed (unresolved); nothing");

        let text = rejudge(&["--customer", "acme", "--changes", "1"]);
        for part in
            ["Customer `acme`: 6 cases, 3 look different", "The first 1 of 3 cases", "Nothing was changed."]
        {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("globex"), "{text}");
        let same = file(&name, "same.json", r#"{"rule": {}, "customer": "whoever"}"#);
        let arguments = [&["rejudge", "--rule", &same, "--json"][..], &WINDOW].concat();
        let json: Value = serde_json::from_str(&service.command(&arguments)).unwrap();
        assert_eq!(json["total"]["changed"], 0);

        for (rule, named) in [
            ("evidence = \"none\"", "evidence"),
            ("[rule]\nsilence_window = \"0s\"", "rule.silence_window"),
            ("colour = 1", "colour"),
        ] {
            let rule = file(&name, "bad.toml", rule);
            let output = service.try_command(&[&["rejudge", "--rule", &rule][..], &WINDOW].concat());
            assert!(!output.status.success());
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains("bad.toml") && error.contains(named), "{error}");
        }
        assert_eq!(contents(&db).await, before);
    }
}

/// Runs `verdict recount` by itself: no configuration, no database.
fn recount(file: &str, more: &[&str]) -> (Output, String) {
    let mut command = Command::new(binary());
    let output = command.env_clear().arg("recount").arg(file).args(more).output().unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, told)
}

#[tokio::test]
async fn what_is_handed_to_the_customer_can_be_counted_again_by_the_customer() {
    for (name, url) in databases("cases-exported").await {
        let mut service = start_on(&name, &url).await;
        known_set(&service).await;
        let target = folder(&name).join("acme.jsonl").display().to_string();
        let arguments = [&["export", "cases", "--customer", "acme", "--out", &target][..], &WINDOW].concat();
        service.command(&arguments);
        let text = std::fs::read_to_string(&target).unwrap();
        assert_eq!(text.lines().count(), 8, "a head, six cases, an end");
        let printed = service.command(&[&["export", "cases", "--customer", "acme"][..], &WINDOW].concat());
        assert_eq!(printed, text);
        // The seller's own stays with the seller; what it rests on does not.
        for secret in ["gpt-4o", "openai", "nanos", "token", "cost", "billing@acme"] {
            assert!(!text.contains(secret), "{secret}");
        }
        for told in ["says the seller", "key:test", "c-by-platform", "\"rule\""] {
            assert!(text.contains(told), "{told}\n{text}");
        }

        let (output, told) = recount(&target, &[]);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("The bill agrees with the facts, case by case."), "{told}");
        let (output, told) = recount(&target, &["--json"]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["billed"]["revenue"], json!({"USD": "2.47"}), "{told}");
        assert_eq!(json["recounted"]["revenue"], json!({"USD": "2.47"}));
        assert_eq!([&json["cases"], &json["waiting"], &json["differing"]], [6, 0, 0]);

        // Under the buyer's own rule.
        let rule = file(&name, "buyer.toml", &format!("[rule]\n{BUYERS_RULE}"));
        let (output, told) = recount(&target, &["--rule", &rule]);
        assert!(output.status.success(), "{told}");
        assert!(
            told.contains(
                "Billed 2.47 USD at list prices; under the other rule it would be 0.99 USD (-1.48 USD)."
            ),
            "{told}"
        );
        assert!(told.contains("`by-api`") && told.contains("never confirmed"), "{told}");

        // Changed by hand, or cut off.
        let edited =
            file(&name, "edited.jsonl", &text.replacen("\"0.49\",\"currency\"", "\"0.00\",\"currency\"", 1));
        let (output, told) = recount(&edited, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(told.contains("edited.jsonl: line 5: does not fit its check"), "{told}");
        let cut: Vec<&str> = text.lines().take(5).collect();
        let cut = file(&name, "cut.jsonl", &cut.join("\n"));
        let (output, told) = recount(&cut, &[]);
        assert!(!output.status.success() && told.contains("line 6: is missing"), "{told}");

        // Billed by the seller as the facts do not say.
        service.kill();
        let db = connect(&url).await;
        db.execute_unprepared("UPDATE charges SET amount_nanos = 1990000000 WHERE case_id = 'by-platform'")
            .await
            .unwrap();
        service.command(&arguments);
        let (output, told) = recount(&target, &[]);
        assert_eq!(output.status.code(), Some(1));
        assert!(told.contains("The bill differs from the facts in 1 cases"), "{told}");
        assert!(told.contains("`by-platform`\n    billed         1.99 USD"), "{told}");
        assert!(
            told.contains("why            Confirmed by `support:c-by-platform` (signed webhook"),
            "{told}"
        );

        // What was not judged to the end is not held against the bill.
        let mark = "INSERT INTO cases_to_judge (customer, case_id) VALUES ('acme', 'by-platform')";
        db.execute_unprepared(mark).await.unwrap();
        service.command(&arguments);
        let (output, told) = recount(&target, &[]);
        assert!(output.status.success() && told.contains("1 of them were not judged"), "{told}");
    }
}
