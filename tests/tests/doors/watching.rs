//! Sources that fall silent, and what is kept of what they sent.

use crate::signing::headers;
use crate::{START, folder, parked, problem, source, start_with};
use serde_json::{Value, json};
use verdict_oracle::{HOUR, MINUTE, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::Service;

/// A delivery of the source `desk` (of the platform `standard`), at a time.
async fn send(service: &Service, to: &str, id: &str, body: &str, at: i64) -> u16 {
    service
        .deliver(to, &headers("standard", id, body.as_bytes(), at), body.to_string())
        .await
        .status()
        .as_u16()
}

async fn silence(name: &str, database_url: &str) {
    let config = [
        source("learned", "standard", ""),
        source("told", "standard", "silent_after = \"30m\""),
        source("never", "standard", "silent_after = \"30m\""),
    ]
    .concat();
    let service = start_with(name, database_url, &config, &[]).await;
    let alerts = async || -> Vec<String> {
        let list = service.get_json("/v1/alerts").await;
        let shown = |alert: &Value| {
            let over = if alert["cleared_at"].is_null() { "" } else { " over" };
            format!("{} {}{over}", alert["kind"].as_str().unwrap(), alert["subject"].as_str().unwrap())
        };
        list.as_array().unwrap().iter().map(shown).collect()
    };
    let of = async |wanted: &str| -> Value {
        let list = service.get_json("/v1/sources").await;
        list.as_array().unwrap().iter().find(|source| source["name"] == wanted).unwrap().clone()
    };
    let mut last = START;
    let mut sent = 0;
    let mut speak = async |to: &str, at: i64| {
        service.move_clock(at).await;
        sent += 1;
        assert_eq!(send(&service, to, &format!("msg-{sent}"), "{}", at).await, 202);
        service.move_clock(at).await;
    };
    // Up to three hours between two: that is normal for it.
    for hours in [0, 2, 5, 6] {
        last = START + hours * HOUR;
        speak("learned", last).await;
    }
    let normal = of("learned").await;
    assert_eq!([&normal["allowed_silence"], &normal["is_silent"]], [&json!("6h"), &json!(false)]);
    assert_eq!(normal["last_delivery_at"], "2026-10-01T06:00:00Z");
    service.move_clock(last + 6 * HOUR).await;
    assert_eq!(alerts().await, [] as [&str; 0]);
    service.move_clock(last + 6 * HOUR + MINUTE).await;
    assert_eq!(alerts().await, ["source_silent learned"]);
    assert_eq!(of("learned").await["is_silent"], true);
    let text = service.get_json("/v1/alerts").await[0]["text"].as_str().unwrap().to_string();
    assert!(text.contains("2026-10-01T06:00:00Z") && text.contains("quarantine"), "{text}");
    // Once, however long it lasts.
    service.move_clock(last + 20 * HOUR).await;
    assert_eq!(alerts().await, ["source_silent learned"]);
    speak("learned", last + 21 * HOUR).await;
    assert_eq!(alerts().await, ["source_silent learned over"]);
    // A silence of 21 hours is not normal at once; it counts as the six that were allowed.
    let heard = of("learned").await;
    assert_eq!([&heard["is_silent"], &heard["allowed_silence"]], [&json!(false), &json!("12h")]);

    speak("told", last + 22 * HOUR).await;
    service.move_clock(last + 22 * HOUR + 31 * MINUTE).await;
    assert_eq!(alerts().await, ["source_silent told", "source_silent learned over"]);
    // What is refused is no sign of life: it may be why nothing comes.
    let now = last + 22 * HOUR + 32 * MINUTE;
    service.move_clock(now).await;
    problem(service.deliver("told", &headers("standard", "bad", b"one", now), "other").await, 401).await;
    service.move_clock(now).await;
    assert_eq!(alerts().await[0], "source_silent told");
    speak("told", now).await;
    assert_eq!(alerts().await, ["source_silent told over", "source_silent learned over"]);
    assert_eq!(of("never").await["last_delivery_at"], Value::Null);
    let listed = service.command(&["sources", "list"]);
    assert!(listed.contains("never  standard  signed  never heard"), "{listed}");
}

#[tokio::test]
async fn a_source_that_falls_silent_raises_an_alert_until_it_speaks_again_on_sqlite() {
    silence("watching-sqlite", &fresh_sqlite(&folder("watching-sqlite"))).await;
}

#[tokio::test]
async fn a_source_that_falls_silent_raises_an_alert_until_it_speaks_again_on_postgres() {
    silence("watching-postgres", &fresh_postgres("doors_watching").await).await;
}

async fn retention(name: &str, database_url: &str) {
    let environment = [("VERDICT_RAW_RETENTION", "48h")];
    let service = start_with(name, database_url, &source("desk", "standard", ""), &environment).await;
    let db = connect(database_url).await;
    let confirmed = |case: &str| {
        json!({ "type": "resolution.confirmed", "timestamp": rfc3339(START), "data": { "customer": "acme", "case": case } })
            .to_string()
    };
    assert_eq!(send(&service, "desk", "msg-1", &confirmed("a-1"), START).await, 202);
    assert_eq!(send(&service, "desk", "msg-2", "{", START).await, 202);
    service.move_clock(START + 48 * HOUR).await;
    let states = "SELECT id || ' ' || state FROM deliveries ORDER BY id";
    assert_eq!(texts(&db, states).await, ["msg-1 mapped", "msg-2 parked"]);
    service.move_clock(START + 48 * HOUR + MINUTE).await;
    assert_eq!(texts(&db, states).await, ["msg-1 pruned", "msg-2 parked"]);
    assert_eq!(
        number(&db, "SELECT CAST(length(body) AS BIGINT) FROM deliveries WHERE id = 'msg-1'").await,
        0
    );
    assert_eq!(texts(&db, "SELECT headers FROM deliveries WHERE id = 'msg-1'").await, ["{}"]);
    // What a person must look at stays, and so does what the fact rests on.
    assert_eq!(parked(&service).await[0]["body"], "{");
    assert!(texts(&db, "SELECT evidence FROM resolutions").await[0].contains("\"delivery\":\"msg-1\""));
    let shown = service.get_json("/v1/deliveries/desk/msg-1").await;
    assert_eq!([&shown["body"], &shown["secret"]], ["", "1"]);
    // A repeat is still known, even one that says something else.
    let now = START + 48 * HOUR + MINUTE;
    assert_eq!(send(&service, "desk", "msg-1", &confirmed("a-2"), now).await, 202);
    service.move_clock(now).await;
    assert_eq!(texts(&db, "SELECT case_id FROM resolutions").await, ["a-1"]);
    assert_eq!(texts(&db, states).await, ["msg-1 pruned", "msg-2 parked"]);
}

#[tokio::test]
async fn raw_bytes_go_when_their_time_is_over_and_ids_stay_for_ever_on_sqlite() {
    retention("retention-sqlite", &fresh_sqlite(&folder("retention-sqlite"))).await;
}

#[tokio::test]
async fn raw_bytes_go_when_their_time_is_over_and_ids_stay_for_ever_on_postgres() {
    retention("retention-postgres", &fresh_postgres("doors_retention").await).await;
}
