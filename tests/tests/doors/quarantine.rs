//! The quarantine keeps what no secret had signed, and no more of it than it may.

use crate::signing::{headers, headers_with};
use crate::{START, folder, problem, source, start_with};
use serde_json::{Value, json};
use verdict_oracle::MINUTE;
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number};
use verdict_tests::service::Service;

async fn bodies(service: &Service, of: &str) -> Vec<String> {
    let list = service.get_json("/v1/quarantine").await;
    let of_source = list.as_array().unwrap().iter().filter(|kept| kept["source"] == of);
    of_source.map(|kept| kept["body"].as_str().unwrap().to_string()).collect()
}

async fn bounds(name: &str, database_url: &str) {
    let config = [source("loud", "intercom", ""), source("quiet", "intercom", "")].concat();
    let environment = [("VERDICT_QUARANTINE_DELIVERIES", "3"), ("VERDICT_QUARANTINE_BYTES", "3000")];
    let service = start_with(name, database_url, &config, &environment).await;
    let db = connect(database_url).await;
    let mut at = START;
    let mut send = async |to: &str, body: Vec<u8>| {
        at += MINUTE;
        service.move_clock(at).await;
        let bad = headers_with("a secret that nobody gave us", "intercom", "", &body, at);
        problem(service.deliver(to, &bad, body).await, 401).await;
    };
    send("quiet", b"first of all".to_vec()).await;
    for nth in 1..=6 {
        send("loud", format!("loud {nth}").into_bytes()).await;
    }
    assert_eq!(bodies(&service, "loud").await, ["loud 4", "loud 5", "loud 6"], "the newest stay");
    assert_eq!(bodies(&service, "quiet").await, ["first of all"], "one source does not push another's out");
    // The same again is the same.
    send("loud", b"loud 6".to_vec()).await;
    assert_eq!(bodies(&service, "loud").await.len(), 3);
    // Each has some hundred bytes of headers besides.
    send("loud", vec![b'x'; 1_200]).await;
    send("loud", vec![b'y'; 1_200]).await;
    send("loud", vec![0xFF; 1_200]).await;
    assert!(
        number(&db, "SELECT CAST(SUM(size) AS BIGINT) FROM quarantine WHERE source = 'loud'").await <= 3_000
    );
    let left = bodies(&service, "loud").await;
    assert_eq!((left.len(), &left[0][..1]), (2, "y"), "{left:?}");
    assert!(left[1].starts_with('\u{FFFD}'), "what is not UTF-8 is shown as such");
    // What is larger than all that may be kept is not kept, and takes nothing good with it.
    send("quiet", vec![b'z'; 9_000]).await;
    assert!(bodies(&service, "quiet").await.len() <= 1);
    let missing = service.try_post("/v1/quarantine/0000/replay", &json!({})).await.unwrap();
    problem(missing, 404).await;
    assert!(!service.try_command(&["quarantine", "show", "0000"]).status.success());
    let replay = service.try_command(&["quarantine", "replay", "--all"]);
    let said = String::from_utf8(replay.stdout).unwrap();
    assert!(!replay.status.success() && said.contains("still refused: no signature matches"), "{said}");
}

#[tokio::test]
async fn it_keeps_the_newest_of_each_source_within_bounds_on_sqlite() {
    bounds("quarantine-sqlite", &fresh_sqlite(&folder("quarantine-sqlite"))).await;
}

#[tokio::test]
async fn it_keeps_the_newest_of_each_source_within_bounds_on_postgres() {
    bounds("quarantine-postgres", &fresh_postgres("doors_quarantine").await).await;
}

#[tokio::test]
async fn what_is_in_it_is_replayed_by_the_command_line_once_the_secret_is_configured() {
    let database_url = fresh_sqlite(&folder("quarantine-replay"));
    let without =
        source("desk", "zendesk", "").replace(crate::signing::SECRET, "an old secret, since replaced");
    let mut service = start_with("quarantine-replay", &database_url, &without, &[]).await;
    let event = |id: &str| {
        let detail = json!({ "id": "902", "organization_id": "44" });
        json!({
            "type": "zen:event-type:ticket.status_changed", "id": id, "time": "2026-10-01T00:00:00Z", "detail": detail,
            "event": { "previous": "SOLVED", "current": "OPEN" },
        })
        .to_string()
    };
    for id in ["z-1", "z-2"] {
        let body = event(id);
        let signed = headers("zendesk", "", body.as_bytes(), START);
        problem(service.deliver("desk", &signed, body).await, 401).await;
    }
    service.configure(&source("desk", "zendesk", "")).await;
    // It came in time; that it is replayed later does not make it stale.
    service.move_clock(START + 60 * MINUTE).await;
    let said = service.command(&["quarantine", "replay", "--all"]);
    assert_eq!(said.lines().filter(|line| line.ends_with("replayed")).count(), 2, "{said}");
    assert_eq!(service.get_json("/v1/quarantine").await, Value::Array(Vec::new()));
    service.move_clock(START + 61 * MINUTE).await;
    let db = connect(&database_url).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM resolutions WHERE kind = 'reopened'").await, 2);
}
