//! Polls find what webhooks lost, and meet what they did not.

use crate::fetching::{THIN, send, solved, thin};
use crate::signing::headers;
use crate::{START, attempt, contract, folder, source, start_with, until};
use serde_json::{Value, json};
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, MINUTE};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::platform::{Asked, Mood, Platform};

const POLL: &str = r#"
[platforms.thin.poll]
every = "15m"
overlap = "1h"
url = "{api_url}/cases?since={since}"
next_url = "{api_url}/cases?since={since}&page={cursor}"
headers = { Authorization = "Bearer {credential:token}" }
timeout = "1s"
per_minute = 6000
items = "/cases"
next = "body:/next"
fact_id = "body:/case+state"
case_id = "body:/case"
customer = "setting:customer"
occurred_at = { at = "body:/at", format = "unix_s" }
evidence = ["body:/state"]
rules = [{ name = "solved", outcome = "confirmed", when = [{ at = "body:/state", eq = "solved" }] }]
"#;

const QUICK: (&str, &str) = ("VERDICT_WORKER_TICK_MS", "50");

fn case(name: &str, state: &str) -> Value {
    json!({ "case": name, "state": state, "at": (START + 2 * HOUR) / 1_000_000 })
}

/// Nothing happened.
fn nothing(asked: &Asked) -> Option<String> {
    asked.line.contains("/cases?").then(|| json!({ "cases": [] }).to_string())
}

/// Three pages: two cases, one case, one that is not solved.
fn pages(asked: &Asked) -> Option<String> {
    let page = match asked.line.split_once("&page=").map(|(_, page)| page) {
        None if asked.line.contains("/cases?") => {
            json!({ "cases": [case("a-1", "solved"), case("a-2", "solved")], "next": "p 2/&" })
        }
        Some("p%202%2F%26") => json!({ "cases": [case("a-3", "solved")], "next": 3 }),
        Some("3") => json!({ "cases": [case("a-4", "open")], "next": null }),
        _ => return solved(asked),
    };
    Some(page.to_string())
}

async fn finds_what_was_lost(name: &str, database_url: &str) {
    let platform = Platform::start("t0ken", nothing).await;
    let config = format!("{THIN}{POLL}{}", thin("desk", &platform, "t0ken"));
    let service = start_with(name, database_url, &config, &[QUICK]).await;
    let db = connect(database_url).await;
    let facts = async || texts(&db, "SELECT id || ' ' || strength FROM resolutions ORDER BY id").await;
    service.post("/v1/contracts", &contract("acme")).await;
    for case in ["a-1", "a-2", "a-3", "a-4"] {
        service.post("/v1/attempts", &attempt("acme", case)).await;
    }
    let lines = |asked: &[Asked]| -> Vec<String> { asked.iter().map(|asked| asked.line.clone()).collect() };
    let since = |at: i64| format!("GET /cases?since={}", at / 1_000_000);
    // The first one looks back by its interval and the overlap.
    let first = platform.wait_until_asked(1).await;
    assert_eq!(lines(&first), [since(START - 75 * MINUTE)]);
    // Of a-1 the webhook comes, of the others it is lost.
    platform.answers(pages);
    send(&service, "desk", "ev-1", "a-1").await;
    until("it is fetched", async || facts().await.len() == 1).await;
    assert_eq!(platform.asked().len(), 2, "it is not time to poll yet");
    service.move_clock(START + 2 * HOUR).await;
    until("it is polled", async || facts().await.len() == 3).await;
    let from = since(START - HOUR);
    let expected = [from.clone(), format!("{from}&page=p%202%2F%26"), format!("{from}&page=3")];
    until("to the last page", async || platform.asked().len() == 5).await;
    assert_eq!(lines(&platform.asked()[2..]), expected, "an hour before the last poll, page by page");
    assert!(platform.asked().iter().all(|asked| asked.authorised));
    assert_eq!(
        facts().await,
        ["desk:a-1:solved fetched", "desk:a-2:solved fetched", "desk:a-3:solved fetched"]
    );
    let by_poll = "SELECT evidence FROM resolutions WHERE case_id = 'a-2'";
    let evidence: Value = serde_json::from_str(&texts(&db, by_poll).await[0]).unwrap();
    assert_eq!([&evidence["via"], &evidence["rule"]], ["poll", "solved"]);
    // What is polled again says nothing new; of what is lost for good another poll tells.
    until("the poll is noted", async || {
        service.get_json("/v1/sources").await[0]["polled_until"] == "2026-10-01T02:00:00Z"
    })
    .await;
    service.move_clock(START + 2 * HOUR + 15 * MINUTE).await;
    until("it is polled again", async || platform.asked().len() == 8).await;
    assert_eq!(platform.asked()[5].line, since(START + HOUR));
    // And its webhook comes after all.
    send(&service, "desk", "ev-2", "a-2").await;
    until("it is fetched too", async || platform.asked().len() == 9).await;
    service.move_clock(START + 2 * DAY).await;
    assert_eq!(facts().await.len(), 3);
    assert_eq!(
        number(&db, "SELECT COUNT(*) FROM deliveries WHERE via = 'poll'").await,
        4,
        "each item is stored once"
    );
    assert_eq!(number(&db, "SELECT COUNT(*) FROM charges").await, 3);
}

#[tokio::test]
async fn a_poll_finds_what_webhooks_lost_and_counts_nothing_twice_on_sqlite() {
    finds_what_was_lost("polling-sqlite", &fresh_sqlite(&folder("polling-sqlite"))).await;
}

#[tokio::test]
async fn a_poll_finds_what_webhooks_lost_and_counts_nothing_twice_on_postgres() {
    finds_what_was_lost("polling-postgres", &fresh_postgres("doors_polling").await).await;
}

#[tokio::test]
async fn a_poll_that_fails_in_the_middle_is_begun_again_where_the_last_good_one_ended() {
    let platform = Platform::start("t0ken", nothing).await;
    let database_url = fresh_sqlite(&folder("polling-fails"));
    let config = format!("{THIN}{POLL}{}", thin("desk", &platform, "t0ken"));
    let service = start_with("polling-fails", &database_url, &config, &[QUICK]).await;
    let db = connect(&database_url).await;
    platform.wait_until_asked(1).await;
    let state = async || service.get_json("/v1/sources").await[0].clone();
    until("the first poll is noted", async || state().await["polled_until"] == "2026-10-01T00:00:00Z").await;
    platform.answers(pages);
    let good = format!("GET /cases?since={}", (START - HOUR) / 1_000_000);
    let endless = Mood::Bytes(br#"{"cases":[],"next":"p 2/&"}"#.to_vec());
    let failures: [(&[Mood], &str); 7] = [
        (&[Mood::Well, Mood::Status(500)], "500"),
        (&[Mood::Well, Mood::Hang], "error sending request"),
        (&[Mood::Well, Mood::Well, Mood::Bytes(b"<html>".to_vec())], "the page is not JSON"),
        (&[Mood::Well, Mood::Bytes(b"{\"cases\":7}".to_vec())], "no array where `items` points to"),
        (&[Mood::Well, endless], "the same again"),
        (&[Mood::Status(401)], "401"),
        (&[Mood::Busy(2)], "429"),
    ];
    let mut now = START + 2 * HOUR;
    let mut asked = 1;
    for (moods, words) in failures {
        platform.will(moods);
        service.move_clock(now).await;
        asked += moods.len();
        let said = async || state().await["last_error"].as_str().unwrap_or_default().to_string();
        until(words, async || platform.asked().len() == asked && said().await.contains(words)).await;
        let first = &platform.asked()[asked - moods.len()];
        assert_eq!(first.line, good, "{words}: nothing between is left out");
        assert_eq!(state().await["polled_until"], "2026-10-01T00:00:00Z");
        now += 5 * MINUTE;
    }
    // What had come before it failed is there.
    assert_eq!(texts(&db, "SELECT case_id FROM resolutions ORDER BY id").await, ["a-1", "a-2", "a-3"]);
    let alerts = service.get_json("/v1/alerts").await;
    assert_eq!(
        [&alerts[0]["kind"], &alerts[0]["subject"], &alerts[0]["cleared_at"]],
        [&json!("source_failing"), &json!("desk"), &Value::Null]
    );
    assert!(alerts[0]["text"].as_str().unwrap().contains("the same again"), "{alerts}");
    // It had said: not before two seconds are over.
    service.move_clock(now).await;
    until("all is well again", async || state().await["last_error"].is_null()).await;
    let at: Vec<_> = platform.asked().iter().map(|asked| asked.at).collect();
    assert_eq!(at.len(), asked + 3);
    assert!(at[asked] - at[asked - 1] >= Duration::from_secs(2), "{:?}", at[asked] - at[asked - 1]);
    assert!(service.get_json("/v1/alerts").await[0]["cleared_at"].is_string());
    assert_eq!(number(&db, "SELECT COUNT(*) FROM resolutions").await, 3);
}

#[tokio::test]
async fn two_services_on_one_database_ask_for_each_thing_once() {
    let platform = Platform::start("t0ken", nothing).await;
    let config = format!("{THIN}{POLL}{}", thin("desk", &platform, "t0ken"));
    let database_url = fresh_postgres("doors_polling_two").await;
    let one = start_with("polling-two-1", &database_url, &config, &[QUICK]).await;
    let two = start_with("polling-two-2", &database_url, &config, &[QUICK]).await;
    let db = connect(&database_url).await;
    platform.wait_until_asked(1).await;
    platform.answers(|asked| nothing(asked).or_else(|| solved(asked)));
    tokio::join!(one.move_clock(START + 2 * HOUR), two.move_clock(START + 2 * HOUR));
    for nth in 0..10 {
        let service = if nth % 2 == 0 { &one } else { &two };
        send(service, "desk", &format!("ev-{nth}"), &format!("a-{nth}")).await;
    }
    until("all are fetched", async || number(&db, "SELECT COUNT(*) FROM resolutions").await == 10).await;
    let mut lines: Vec<String> = platform.asked().into_iter().map(|asked| asked.line).collect();
    assert_eq!(lines.len(), 12, "two polls and ten fetches: {lines:#?}");
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 12);
}

/// Intercom as it comes with the service: what it sends, what it is asked, and what its search gives are one fact.
#[tokio::test]
async fn one_resolution_of_intercom_is_one_fact_whichever_way_it_comes() {
    let state = |id: &str| {
        json!({
            "type": "conversation", "id": id, "state": "closed", "updated_at": (START + HOUR) / 1_000_000,
            "ai_agent": { "resolution_state": "confirmed_resolution" }, "statistics": { "count_reopens": 0 },
        })
    };
    let platform = Platform::start("t0ken", move |asked| {
        let all = json!({ "conversations": [state("1"), state("2"), state("3")], "pages": {} });
        match asked.line.as_str() {
            "POST /conversations/search" => Some(all.to_string()),
            line => Some(state(line.strip_prefix("GET /conversations/")?).to_string()),
        }
    })
    .await;
    let settings = format!(
        "settings = {{ api_url = \"{}\", customer = \"acme\" }}\ncredentials = {{ token = \"t0ken\" }}\n\
         customers = {{ ws = \"acme\" }}",
        platform.address()
    );
    let database_url = fresh_sqlite(&folder("polling-intercom"));
    let config = source("desk", "intercom", &settings);
    let service = start_with("polling-intercom", &database_url, &config, &[QUICK]).await;
    let db = connect(&database_url).await;
    let deliver = async |id: &str, topic: &str, item: Value| {
        let created = (START + HOUR) / 1_000_000;
        let body = json!({ "id": id, "app_id": "ws", "topic": topic, "created_at": created, "data": { "item": item } });
        let body = body.to_string();
        let signed = headers("intercom", "", body.as_bytes(), START);
        assert_eq!(service.deliver("desk", &signed, body).await.status(), 202);
    };
    // The poll has all three; of the first the webhook tells all, of the second that something was.
    deliver("n-1", "conversation.rating.added", state("1")).await;
    deliver("n-2", "conversation.operator.replied", json!({ "id": "2" })).await;
    service.move_clock(START + 2 * HOUR).await;
    until("all is asked", async || number(&db, "SELECT COUNT(*) FROM resolutions").await == 3).await;
    until("the fetch too", async || texts(&db, "SELECT state FROM fetches").await == ["done"]).await;
    service.move_clock(START + 3 * HOUR).await;
    let facts = "SELECT customer || ' ' || id || ' ' || kind FROM resolutions ORDER BY id";
    assert_eq!(
        texts(&db, facts).await,
        ["1", "2", "3"].map(|case| format!("acme desk:{case}:confirmed_resolution:0 confirmed"))
    );
    let search = platform.asked().into_iter().find(|asked| asked.line.starts_with("POST")).unwrap();
    let query: Value = serde_json::from_str(&search.body).unwrap();
    assert_eq!(query["query"]["value"][0]["value"], (START - 75 * MINUTE) / 1_000_000, "{query}");
}
