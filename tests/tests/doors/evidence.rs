//! The chains find what somebody does to the ledger by SQL, and the evidence of an invoice can be computed again by others.

use crate::{START, attempt, contract, folder, problem, start_on, with};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use verdict_domain::time::Timestamp;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, rows, texts};
use verdict_tests::service::Service;

const WEBHOOK: &str = r#"{"type":"resolution.confirmed","timestamp":"2026-10-01T02:00:00Z","data":{"customer":"acme","case":"c-1"}}"#;

fn said(id: &str, case: &str, kind: &str, at: i64) -> Value {
    json!({ "id": id, "customer": "acme", "case": case, "kind": kind, "occurred_at": rfc3339(at) })
}

/// October: four outcomes, of which one came by webhook, with an id that JSON must escape in another. November: one of
/// October's is taken back, and a new one.
async fn two_months(name: &str, url: &str) -> Service {
    let service = start_on(name, url).await;
    let fee = with(&contract("acme"), "/fees", json!([{ "name": "Seats", "amount": "20" }]));
    service.post("/v1/contracts", &fee).await;
    for case in ["c-1", "c-2", "c-3 \"ü\"", "c-4"] {
        service.post("/v1/attempts", &attempt("acme", case)).await;
    }
    for case in ["c-2", "c-3 \"ü\"", "c-4"] {
        service.post("/v1/resolutions", &said(case, case, "confirmed", START + 2 * HOUR)).await;
    }
    assert_eq!(service.try_webhook("msg-1", WEBHOOK, START).await.unwrap().status(), 202);
    service.move_clock(START + 34 * DAY).await;
    let late = with(&attempt("acme", "c-5"), "/ended_at", json!(rfc3339(START + 35 * DAY)));
    let late = with(&late, "/started_at", json!(rfc3339(START + 35 * DAY - 1)));
    service.move_clock(START + 36 * DAY).await;
    service.post("/v1/attempts", &late).await;
    service.post("/v1/resolutions", &said("c-5", "c-5", "confirmed", START + 35 * DAY)).await;
    service
}

async fn november(service: &Service) {
    let reopened = said("again", "c-2", "reopened", START + 20 * DAY);
    service.post("/v1/resolutions", &reopened).await;
    service.move_clock(START + 65 * DAY).await;
}

/// What `verdict verify` prints, and whether it finds all in order.
fn verify(service: &Service, arguments: &[&str]) -> (bool, String) {
    let output = service.try_command(&[&["verify"], arguments].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

const TABLES: [&str; 5] = ["invoices", "invoice_lines", "charges", "outcomes", "chains"];

async fn execute(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn restore(db: &DatabaseConnection) {
    for table in ["invoice_lines", "invoices", "charges", "outcomes", "chains"] {
        execute(db, &format!("DELETE FROM {table}")).await;
    }
    for table in TABLES {
        execute(db, &format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
    }
}

const FORGED: &str = "INSERT INTO outcomes (customer, case_id, seq, episode, kind, sign, win, action, agent, model, \
     effective_at, facts, posted_at";

async fn what_is_done_by_sql_is_found(name: &str, url: &str) {
    let mut service = two_months(name, url).await;
    november(&service).await;
    service.kill();
    let db = connect(url).await;
    let (sound, text) = verify(&service, &[]);
    assert!(
        sound && text.contains("outcomes  6 rows  ok") && text.contains("invoices  2 rows  ok"),
        "{text}"
    );
    let heads = text.lines().find_map(|line| line.strip_prefix("heads  ")).unwrap().to_string();
    assert!(verify(&service, &["--expect", &heads]).0);
    for table in TABLES {
        execute(&db, &format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}")).await;
    }
    let at = async |table: &str| {
        number(&db, &format!("SELECT position FROM {table} WHERE case_id = 'c-4' AND seq = 1")).await
    };
    let (outcome, charge) = (at("outcomes").await, at("charges").await);
    let ids = texts(&db, "SELECT id FROM invoices ORDER BY position").await;
    let (first, second) = (&ids[0], &ids[1]);
    let of_c4 = "WHERE case_id = 'c-4' AND seq = 1";
    let swap = |table: &str| {
        let set = |to: i64, from: i64| format!("UPDATE {table} SET position = {to} WHERE position = {from}");
        [set(-1, 2), set(2, 3), set(3, -1)].join(";")
    };
    let forged = "customer, 'forged', seq, episode, kind, sign, win, action, agent, model, effective_at, facts, posted_at";
    let changed = |table: &str, place: i64| format!("{table} {place} (acme/c-4/1): its content was changed");
    let tampered: Vec<(String, Vec<String>)> = vec![
        (
            format!("UPDATE outcomes SET effective_at = effective_at + 1 {of_c4}"),
            vec![changed("outcomes", outcome)],
        ),
        (format!("UPDATE outcomes SET model = 'x' {of_c4}"), vec![changed("outcomes", outcome)]),
        (format!("UPDATE outcomes SET facts = '[]' {of_c4}"), vec![changed("outcomes", outcome)]),
        (
            format!("UPDATE outcomes SET link = '{}' {of_c4}", "0".repeat(64)),
            vec![format!("outcomes {outcome} (acme/c-4/1): its link was changed")],
        ),
        (format!("DELETE FROM outcomes {of_c4}"), vec![format!("outcomes {outcome}: the row is missing")]),
        (
            format!("{FORGED}) SELECT {forged} FROM outcomes {of_c4}"),
            vec!["outcomes (acme/forged/1): it has no place in the chain".into()],
        ),
        (
            format!("{FORGED}, position, link) SELECT {forged}, 7, link FROM outcomes {of_c4}"),
            vec![
                "outcomes 7 (acme/forged/1)".into(),
                "outcomes 7: the head says that the chain ends at 6".into(),
            ],
        ),
        (
            "UPDATE outcomes SET position = NULL WHERE position = 2".into(),
            vec!["outcomes 2: the row is missing".into(), "it has no place in the chain".into()],
        ),
        (swap("outcomes"), vec!["outcomes 2 (".into(), "outcomes 3 (".into()]),
        (format!("UPDATE charges SET amount_nanos = 1 {of_c4}"), vec![changed("charges", charge)]),
        (format!("DELETE FROM charges {of_c4}"), vec![format!("charges {charge}: the row is missing")]),
        (swap("charges"), vec!["charges 2 (".into(), "charges 3 (".into()]),
        (
            format!("UPDATE charges SET invoice_id = '{second}' {of_c4}"),
            vec![
                format!("invoices 1 ({first}): the charges on it are not those"),
                format!("invoices 2 ({second}): the charges on it are not those"),
            ],
        ),
        (
            format!("UPDATE charges SET origin_at = origin_at + 1 {of_c4}"),
            vec![format!("invoices 1 ({first}): the charges on it are not those")],
        ),
        (
            format!("UPDATE invoices SET total_minor = 1 WHERE id = '{first}'"),
            vec![format!("invoices 1 ({first}): its content was changed")],
        ),
        (
            format!("UPDATE invoice_lines SET why = 'x' WHERE invoice_id = '{second}' AND number = 1"),
            vec![format!("invoices 2 ({second}): its content was changed")],
        ),
        (
            format!("DELETE FROM invoice_lines WHERE invoice_id = '{first}' AND number = 2"),
            vec![format!("invoices 1 ({first}): its content was changed")],
        ),
        (
            format!(
                "DELETE FROM invoice_lines WHERE invoice_id = '{first}'; DELETE FROM invoices WHERE id = '{first}'"
            ),
            vec!["invoices 1: the row is missing".into()],
        ),
        (
            "UPDATE chains SET position = 0 WHERE name = 'charges'".into(),
            vec!["charges 6: the head says that the chain ends at 0".into()],
        ),
    ];
    for (sql, told) in tampered {
        execute(&db, &sql).await;
        let (sound, text) = verify(&service, &[]);
        assert!(!sound, "{sql}\n{text}");
        for what in &told {
            assert!(text.contains(what), "{sql}\n{what}\n{text}");
        }
        restore(&db).await;
    }
    // Who cuts off the end and writes the head anew is found by who noted the head. (c-5 is the last.)
    let cut = "DELETE FROM outcomes WHERE position = 6; UPDATE chains SET position = 5, \
               link = (SELECT link FROM outcomes WHERE position = 5) WHERE name = 'outcomes'";
    execute(&db, cut).await;
    assert!(verify(&service, &["--chain", "outcomes"]).0);
    let (sound, text) = verify(&service, &["--expect", &heads]);
    assert!(!sound && text.contains("outcomes 6: a row with a known link is expected here"), "{text}");
    restore(&db).await;
    let (sound, text) = verify(&service, &["--expect", &heads]);
    assert!(sound, "{text}");
}

#[tokio::test]
async fn what_is_done_by_sql_is_found_on_sqlite() {
    what_is_done_by_sql_is_found("chain", &fresh_sqlite(&folder("chain"))).await;
}

#[tokio::test]
async fn what_is_done_by_sql_is_found_on_postgres() {
    what_is_done_by_sql_is_found("chain-postgres", &fresh_postgres("doors_chain").await).await;
}

/// SHA-256 in hexadecimal digits, and JSON without blanks: all that docs/EVIDENCE.md asks for.
fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn linked(before: &str, content: &Value) -> String {
    sha256(&format!("{before}\n{content}"))
}

/// The chain of outcomes, from the table alone and the words of docs/EVIDENCE.md.
async fn recompute(db: &DatabaseConnection) -> String {
    let sql = "SELECT customer, case_id, seq, episode, kind, sign, win, action, agent, model, effective_at, reason, reverses, \
               value_nanos, value_currency, facts, posted_at, link FROM outcomes ORDER BY position";
    let mut before = "0".repeat(64);
    for (nth, row) in rows(db, sql).await.iter().enumerate() {
        let text = |at: usize| row.try_get_by_index::<Option<String>>(at).unwrap();
        let int = |at: usize| row.try_get_by_index::<Option<i64>>(at).unwrap();
        let model = sha256(&json!([text(0), text(1), int(2), text(9)]).to_string());
        let content = json!([
            "outcomes/1",
            nth + 1,
            text(0),
            text(1),
            int(2),
            text(3),
            text(4),
            int(5),
            text(6),
            text(7),
            text(8),
            model,
            int(10),
            text(11),
            int(12),
            int(13),
            text(14),
            text(15),
            int(16)
        ]);
        before = linked(&before, &content);
        assert_eq!(text(17), Some(before.clone()), "{content}");
    }
    before
}

async fn evidence_is_computed_again(name: &str, url: &str) {
    let service = two_months(name, url).await;
    let id = service.get_json("/v1/invoices").await[0]["id"].as_str().unwrap().to_string();
    let path = format!("/v1/invoices/{id}/evidence");
    let bytes = async |format: &str| {
        let response = service.get(&format!("{path}?format={format}")).await;
        assert_eq!(response.status(), 200);
        assert!(
            response.headers()["content-disposition"].to_str().unwrap().ends_with(&format!(".{format}\""))
        );
        response.text().await.unwrap()
    };
    let (text, csv) = (bytes("json").await, bytes("csv").await);
    let db = connect(url).await;
    let outcomes_end = recompute(&db).await;
    november(&service).await;
    // What happened later, and bytes that are no longer kept, change nothing of it.
    let forget = "UPDATE deliveries SET state = 'pruned', body = '' WHERE id = 'msg-1'";
    if url.starts_with("sqlite") {
        execute(&db, &forget.replace("''", "x''")).await;
    } else {
        execute(&db, forget).await;
    }
    assert_eq!(bytes("json").await, text);
    assert_eq!(bytes("csv").await, csv);
    let out = folder(name).join("evidence.json");
    service.command(&["invoices", "evidence", &id, "--out", out.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), text);

    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!([&file["format"], &file["end"]], [&json!("verdict.evidence"), &json!(true)]);
    let lines = file["lines"].as_array().unwrap();
    assert_eq!([&lines[0]["outcomes"], &lines[0]["amount"]], [&json!(4), &json!("3.96")], "{lines:?}");
    assert_eq!([&lines[1]["item"], &lines[1]["outcomes"]], [&json!("fee"), &json!(0)]);
    assert!(lines[1]["because"].as_str().unwrap().contains("fee"));
    let outcomes = file["outcomes"].as_array().unwrap();
    assert_eq!(outcomes.len(), 4);
    let mut charges = String::new();
    for outcome in outcomes {
        for chain in [&outcome["outcome"], &outcome["charge"]] {
            let before = chain["before"].as_str().unwrap();
            assert_eq!(chain["link"], linked(before, &chain["content"]), "{chain}");
        }
        let origin_at = Timestamp::parse(outcome["origin_at"].as_str().unwrap()).unwrap().0;
        let (position, link) = (&outcome["charge"]["position"], outcome["charge"]["link"].as_str().unwrap());
        charges.push_str(&format!("{position} {link} {origin_at}\n"));
        assert_eq!([&outcome["line"], &outcome["entry"]], [&json!(1), &json!("charge")]);
    }
    let invoice = &file["invoice"];
    assert_eq!(invoice["charges_digest"], sha256(&charges));
    assert_eq!(invoice["usage_digest"], sha256(""));
    let chain = &invoice["chain"];
    assert_eq!(chain["link"], linked(&"0".repeat(64), &chain["content"]), "{chain}");
    let by_webhook = outcomes.iter().find(|outcome| outcome["case"] == "c-1").unwrap();
    let facts = json!([{ "attempt": "c-1" }, {
        "resolution": "support:msg-1", "strength": "signed", "via": "webhook", "source": "support", "delivery": "msg-1",
        "body_sha256": sha256(WEBHOOK),
    }]);
    assert_eq!(by_webhook["facts"], facts);
    let row = csv.lines().find(|line| line.contains(",c-1,")).unwrap();
    assert!(
        row.contains(&format!(",attempt:c-1 support:msg-1,c-1,support/msg-1,{},", sha256(WEBHOOK))),
        "{row}"
    );
    assert_eq!(csv.lines().count(), 5);

    let heads = service.get_json("/v1/chain").await;
    assert_eq!([&heads[0]["chain"], &heads[0]["position"]], [&json!("outcomes"), &json!(6)]);
    assert_ne!(heads[0]["link"], outcomes_end.as_str());
    assert_eq!(heads[0]["link"], recompute(&db).await.as_str());
    let newest = service.get_json("/v1/invoices").await[0]["id"].as_str().unwrap().to_string();
    let text = service.get(&format!("/v1/invoices/{newest}/evidence")).await.text().await.unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let taken: Vec<_> = file["outcomes"].as_array().unwrap().iter().filter(|o| o["line"] == 1).collect();
    assert_eq!(taken.len(), 1, "{text}");
    assert_eq!([&taken[0]["case"], &taken[0]["entry"], &taken[0]["reason"]], ["c-2", "void", "reopened"]);
    assert_eq!(taken[0]["list_price"], "-0.99");

    problem(service.get(&format!("{path}?format=xml")).await, 422).await;
    problem(service.get("/v1/invoices/none/evidence").await, 404).await;
}

#[tokio::test]
async fn evidence_is_computed_again_on_sqlite() {
    evidence_is_computed_again("evidence", &fresh_sqlite(&folder("evidence"))).await;
}

#[tokio::test]
async fn evidence_is_computed_again_on_postgres() {
    evidence_is_computed_again("evidence-postgres", &fresh_postgres("doors_evidence").await).await;
}

async fn a_chain_that_grows_is_verified(name: &str, url: &str) {
    let service = start_on(name, url).await;
    service.post("/v1/contracts", &contract("acme")).await;
    let done = Arc::new(AtomicBool::new(false));
    let (api, is_done) = (service.api(), done.clone());
    let writer = tokio::spawn(async move {
        for batch in 0..20 {
            let cases: Vec<String> = (0..50).map(|nth| format!("g-{batch}-{nth}")).collect();
            let attempts: Vec<Value> = cases.iter().map(|case| attempt("acme", case)).collect();
            api.post("/v1/attempts", &Value::Array(attempts)).await;
            let at = START + 2 * HOUR;
            let facts: Vec<Value> = cases.iter().map(|case| said(case, case, "confirmed", at)).collect();
            api.post("/v1/resolutions", &Value::Array(facts)).await;
            api.move_clock(START + 2 * DAY + batch * HOUR).await;
        }
        is_done.store(true, Ordering::Relaxed);
    });
    let (mut heads, mut grown) = (String::new(), 0);
    loop {
        let last = done.load(Ordering::Relaxed);
        let (sound, text) = verify(&service, &["--expect", &heads]);
        assert!(sound, "{text}");
        let now = text.lines().find_map(|line| line.strip_prefix("heads  ")).unwrap();
        grown += i32::from(now != heads);
        heads = now.into();
        if last {
            break;
        }
    }
    writer.await.unwrap();
    assert!(heads.starts_with("outcomes:1000:") && heads.contains("charges:1000:"), "{heads}");
    assert!(grown > 2, "it was verified {grown} times in different states only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_grows_is_verified_on_sqlite() {
    a_chain_that_grows_is_verified("growing", &fresh_sqlite(&folder("growing"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_grows_is_verified_on_postgres() {
    a_chain_that_grows_is_verified("growing-postgres", &fresh_postgres("doors_growing").await).await;
}
