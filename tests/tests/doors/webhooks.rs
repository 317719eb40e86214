//! Resolutions. By webhook: what is signed well is kept, whatever it is, and nothing else is. By HTTP: each is answered
//! for.

use crate::{START, attempt, contract, names, parked, problem, start, start_on, with};
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, number, texts};
use verdict_tests::service::{Service, WEBHOOK_SECRET, client, sign};

struct Line {
    service: Service,
    db: sea_orm::DatabaseConnection,
}

impl Line {
    /// On PostgreSQL, with a contract and an answered case `a-1`, an hour after the start; it is two hours after.
    async fn new(name: &str) -> Self {
        let url = fresh_postgres(&format!("doors_{}", name.replace('-', "_"))).await;
        let service = start_on(name, &url).await;
        service.post("/v1/contracts", &contract("acme")).await;
        service.post("/v1/attempts", &attempt("acme", "a-1")).await;
        service.move_clock(START + 2 * HOUR).await;
        Self { service, db: connect(&url).await }
    }

    async fn deliver(&self, id: &str, body: &str) {
        let response = self.service.try_webhook(id, body, START + 2 * HOUR).await.unwrap();
        assert_eq!(response.status(), 202, "{id}");
        // The clock stays; what waits is run.
        let _ = self.service.try_move_clock(START + 2 * HOUR).await;
    }

    async fn deliveries(&self) -> i64 {
        number(&self.db, "SELECT COUNT(*) FROM deliveries").await
    }

    async fn because(&self) -> (String, String) {
        let case = self.service.get_json("/v1/cases/acme/a-1").await;
        (case["verdict"].as_str().unwrap().into(), case["episodes"][0]["because"].to_string())
    }
}

fn confirmed(occurred_at: i64) -> String {
    json!({
        "type": "resolution.confirmed",
        "timestamp": rfc3339(occurred_at),
        "data": { "customer": "acme", "case": "a-1" },
    })
    .to_string()
}

#[tokio::test]
async fn a_signed_delivery_is_judged_and_counts_once_however_often_it_comes() {
    let line = Line::new("webhooks-good").await;
    for _ in 0..3 {
        line.deliver("msg-1", &confirmed(START + 2 * HOUR)).await;
    }
    // The same id with another body is the same delivery.
    line.deliver("msg-1", &confirmed(START + HOUR)).await;
    assert_eq!(line.deliveries().await, 1);
    assert_eq!(number(&line.db, "SELECT COUNT(*) FROM resolutions").await, 1);
    line.service.move_clock(START + 2 * DAY).await;
    assert_eq!(line.because().await, ("confirmed".into(), r#"["attempt:a-1","support:msg-1"]"#.into()));
    assert_eq!(number(&line.db, "SELECT COUNT(*) FROM charges").await, 1);
    // What it was, how it came, and what it rests on.
    let columns = "SELECT source || ' ' || id || ' ' || via || ' ' || secret || ' ' || state FROM deliveries";
    assert_eq!(texts(&line.db, columns).await, ["support msg-1 webhook 1 mapped"]);
    let kept: Value =
        serde_json::from_str(&texts(&line.db, "SELECT headers FROM deliveries").await[0]).unwrap();
    let names: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert_eq!(names, ["content-type", "webhook-id", "webhook-signature", "webhook-timestamp"]);
    assert_eq!(texts(&line.db, "SELECT strength FROM resolutions").await, ["signed"]);
    let evidence: Value =
        serde_json::from_str(&texts(&line.db, "SELECT evidence FROM resolutions").await[0]).unwrap();
    assert_eq!(
        evidence,
        json!({
            "source": "support", "delivery": "msg-1", "via": "webhook", "rule": "confirmed", "secret": "1",
            "values": { "body:/type": "resolution.confirmed" },
        })
    );
}

#[tokio::test]
async fn what_means_nothing_is_acknowledged_and_dropped() {
    let line = Line::new("webhooks-dropped").await;
    for (nth, body) in ["{}", "", "7", "null", r#"{"type":"invoice.paid"}"#].iter().enumerate() {
        line.deliver(&format!("msg-{nth}"), body).await;
    }
    assert_eq!(texts(&line.db, "SELECT DISTINCT state FROM deliveries").await, ["mapped"]);
    assert_eq!(line.deliveries().await, 5);
    assert_eq!(number(&line.db, "SELECT COUNT(*) FROM resolutions").await, 0);
    assert_eq!(parked(&line.service).await, [] as [Value; 0]);
    // But one of our own subject that we do not understand is for a person, who is told whose it is.
    line.deliver("msg-5", &confirmed(START).replace("confirmed", "solved")).await;
    let list = parked(&line.service).await;
    assert!(
        list[0]["reason"].as_str().unwrap().starts_with("case `a-1` of `acme`: the type is not"),
        "{list:?}"
    );
}

#[tokio::test]
async fn what_is_not_signed_by_the_source_is_refused_and_kept_aside() {
    let line = Line::new("webhooks-refused").await;
    let now = (START + 2 * HOUR) / 1_000_000;
    let body = confirmed(START + 2 * HOUR);
    let good = sign(WEBHOOK_SECRET, "msg-1", now, &body);
    let other = sign("whsec_b3RoZXIgc2VjcmV0LCBhbHNvIDMyIGJ5dGVzICEhISE=", "msg-1", now, &body);
    let late = sign(WEBHOOK_SECRET, "msg-1", now - 301, &body);
    let early = sign(WEBHOOK_SECRET, "msg-1", now + 301, &body);
    let unversioned = good.replace("v1,", "");
    let send = async |source: &str, id: &str, at: i64, signature: &str, body: &str| {
        let request = client().post(line.service.url(&format!("/webhooks/{source}")));
        let request = request.header("webhook-id", id).header("webhook-timestamp", at.to_string());
        request.header("webhook-signature", signature).body(body.to_string()).send().await.unwrap()
    };
    let mut details = Vec::new();
    for (source, id, at, signature, body) in [
        ("support", "msg-1", now, "v1,AAAA", body.as_str()),
        ("support", "msg-1", now, "", &body),
        ("support", "msg-1", now, &unversioned, &body),
        ("support", "msg-1", now, &other, &body),
        ("support", "msg-2", now, &good, &body),
        ("support", "msg-1", now + 1, &good, &body),
        ("support", "msg-1", now, &good, &body.replace("confirmed", "failed")),
        ("support", "msg-1", now - 301, &late, &body),
        ("support", "msg-1", now + 301, &early, &body),
        ("nobody", "msg-1", now, &good, &body),
    ] {
        details.push(problem(send(source, id, at, signature, body).await, 401).await);
    }
    let bare = client().post(line.service.url("/webhooks/support")).body(body.clone()).send();
    details.push(problem(bare.await.unwrap(), 401).await);
    details.dedup();
    assert_eq!(details.len(), 1, "which fault it was is not told: {details:?}");
    assert_eq!(line.deliveries().await, 0);
    // What was addressed to a source that there is, each once; a header without a value is as good as absent.
    let kept = line.service.get_json("/v1/quarantine").await;
    let mut reasons: Vec<&str> =
        kept.as_array().unwrap().iter().map(|kept| kept["reason"].as_str().unwrap()).collect();
    reasons.sort_unstable();
    let (mismatch, away) = ("no signature matches", "the timestamp is too far away from now");
    let missing = |name: &str| format!("the header {name} is missing or malformed");
    let (no_id, no_signature) = (missing("webhook-id"), missing("webhook-signature"));
    let mut expected = [vec![mismatch; 6], vec![&no_id, &no_signature], vec![away; 2]].concat();
    expected.sort_unstable();
    assert_eq!(reasons, expected);
    assert!(kept[0]["headers"].as_str().unwrap().contains("webhook-id"), "{kept}");
    assert_eq!(send("support", "msg-1", now, &good, &body).await.status(), 202);
    // Several signatures, as while a secret is changed: one that fits is enough.
    let both = format!("{other} {good}");
    assert_eq!(send("support", "msg-1", now, &both, &body).await.status(), 202);
    assert_eq!(line.deliveries().await, 1);
}

#[tokio::test]
async fn a_signed_delivery_that_cannot_be_read_is_parked_as_it_came() {
    let line = Line::new("webhooks-parked").await;
    let body = "<xml>no JSON</xml>\u{1f41b}";
    line.deliver("msg-1", body).await;
    line.deliver("msg-1", body).await;
    let list = parked(&line.service).await;
    assert_eq!(list.len(), 1, "{list:?}");
    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(
        [&list[0]["origin"], &list[0]["reference"], &list[0]["body"]],
        ["delivery", "support/msg-1", body]
    );

    let listed = line.service.command(&["parked", "list"]);
    assert!(listed.starts_with(id) && listed.contains("support/msg-1"), "{listed}");
    let shown = line.service.command(&["parked", "show", id]);
    assert!(shown.contains(body) && shown.contains("webhook-signature"), "{shown}");
    let replay = line.service.try_command(&["parked", "replay", id]);
    assert!(!replay.status.success());
    assert!(String::from_utf8_lossy(&replay.stdout).contains("still fails"), "{replay:?}");
    assert!(!line.service.try_command(&["parked", "show", "none"]).status.success());
    assert_eq!(parked(&line.service).await.len(), 1);
}

#[tokio::test]
async fn a_parked_delivery_is_replayed_once_its_time_has_come() {
    let line = Line::new("webhooks-replay").await;
    // Senders' clocks may run ahead by a day, not by two.
    line.deliver("msg-1", &confirmed(START + 2 * DAY + 2 * HOUR)).await;
    line.deliver("msg-2", "[").await;
    let list = parked(&line.service).await;
    assert_eq!(list.len(), 2, "{list:?}");
    assert!(
        list.iter().any(|thing| thing["reason"].as_str().unwrap().starts_with("occurred_at: ")),
        "{list:?}"
    );
    line.service.move_clock(START + 2 * DAY).await;
    // Replay by the command line uses real time, by HTTP that of the service.
    for thing in &list {
        let path = format!("/v1/parked/{}/replay", thing["id"].as_str().unwrap());
        let status = line.service.try_post(&path, &json!({})).await.unwrap().status();
        assert_eq!(status, if thing["reference"] == "support/msg-1" { 202 } else { 422 });
    }
    let left = parked(&line.service).await;
    assert_eq!((left.len(), &left[0]["reference"]), (1, &json!("support/msg-2")));
    line.service.move_clock(START + 4 * DAY).await;
    assert_eq!(line.because().await, ("confirmed".into(), r#"["attempt:a-1","support:msg-1"]"#.into()));
}

/// NUL is the one character that PostgreSQL refuses in a text. Wherever a sender puts it, it is that delivery's fault.
#[tokio::test]
async fn no_delivery_holds_up_those_behind_it() {
    let line = Line::new("webhooks-nul").await;
    let event = |kind: &str, timestamp: &str, case: &str| {
        json!({ "type": kind, "timestamp": timestamp, "data": { "customer": "acme", "case": case } })
            .to_string()
    };
    let time = rfc3339(START + 2 * HOUR);
    line.deliver("msg-1", &event("resolution.\0", &time, "a-1")).await;
    line.deliver("msg-2", &event("resolution.failed", "\0", "a-1")).await;
    line.deliver("msg-3", &event("resolution.failed", &time, "a\0")).await;
    line.deliver("msg-4", &confirmed(START + 2 * HOUR)).await;
    assert_eq!(number(&line.db, "SELECT COUNT(*) FROM deliveries WHERE state = 'received'").await, 0);
    assert_eq!(parked(&line.service).await.len(), 3);
    line.service.move_clock(START + 2 * DAY).await;
    assert_eq!(line.because().await.0, "confirmed");
}

#[tokio::test]
async fn resolutions_by_http_are_answered_for_in_order_and_named_when_wrong() {
    let service = start("resolutions").await;
    let good = json!({
        "id": "r-1", "customer": "acme", "case": "a-1", "kind": "confirmed", "occurred_at": rfc3339(START),
        "reason": "thumbs up"
    });
    let faults = [
        ("/id", json!("")),
        ("/id", json!("x".repeat(129))),
        ("/customer", json!("")),
        ("/case", json!("a\0b")),
        ("/case", json!(7)),
        ("/kind", json!("solved")),
        ("/kind", json!("disputed")),
        ("/kind", json!("dispute_accepted")),
        ("/score", json!(5)),
        ("/occurred_at", json!("noon")),
        ("/occurred_at", json!("2019-12-31T23:59:59Z")),
        ("/occurred_at", json!(rfc3339(START + DAY + 1))),
        ("/reason", json!("x".repeat(513))),
        ("/colour", json!("red")),
    ];
    let mut events = vec![good.clone(), good.clone()];
    events.extend(faults.iter().map(|(pointer, value)| with(&good, pointer, value.clone())));
    let body = service.post("/v1/resolutions", &json!(events)).await;
    assert_eq!([&body["recorded"], &body["duplicate"], &body["rejected"]], [1, 1, faults.len()], "{body}");
    let mut unnamed = Vec::new();
    for ((pointer, value), result) in faults.iter().zip(&body["results"].as_array().unwrap()[2..]) {
        let reason = result["reason"].as_str().unwrap();
        if !names(reason, pointer.trim_start_matches('/')) {
            unnamed.push(format!("{pointer} = {value}: {reason}"));
        }
    }
    assert!(unnamed.is_empty(), "refused, but not by name: {unnamed:#?}");
}

#[tokio::test]
async fn a_value_that_looks_like_an_escape_is_evidence_that_can_be_read() {
    let line = Line::new("webhooks-escape").await;
    let mut body: serde_json::Value = serde_json::from_str(&confirmed(START + 2 * HOUR)).unwrap();
    // A backslash and letters, and a true NUL, which PostgreSQL's text cannot hold.
    body["data"]["csat"] = json!("a \\u0000 b");
    body["data"]["confirmed_by"] = json!("c \0 d");
    line.deliver("msg-1", &body.to_string()).await;
    line.service.move_clock(START + 2 * DAY).await;
    assert_eq!(line.because().await.0, "confirmed");
    let case = line.service.get_json("/v1/cases/acme/a-1").await.to_string();
    assert!(case.contains(r"a \\u0000 b"), "{case}");
}
