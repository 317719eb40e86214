//! What a platform is answered: so that it sends again what we could not take, and never switches us off.

use crate::signing::headers;
use crate::{START, folder, parked, problem, source, start_with, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::gate::Gate;
use verdict_tests::service::client;

#[tokio::test]
async fn probes_and_challenges_are_answered_and_stored_nowhere() {
    let database_url = fresh_sqlite(&folder("answers-probes"));
    let config =
        [source("desk", "front", "settings.customer = \"acme\""), source("rule", "front-rule", "")].concat();
    let service = start_with("answers-probes", &database_url, &config, &[]).await;
    // Which sources there are is told to nobody.
    for name in ["desk", "rule", "nobody"] {
        let url = service.url(&format!("/webhooks/{name}"));
        let head = client().request(Method::HEAD, &url).send().await.unwrap();
        assert_eq!((head.status().as_u16(), head.text().await.unwrap().as_str()), (200, ""), "{name}");
        problem(client().get(&url).send().await.unwrap(), 401).await;
    }
    let body = r#"{"type":"sync"}"#;
    let mut asked = headers("front", "", body.as_bytes(), START);
    asked.push(("X-Front-Challenge".into(), "7d5f<b>".into()));
    let answer = service.deliver("desk", &asked, body).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.text().await.unwrap(), "7d5f<b>");
    // Unsigned it is no question of Front's; and a rule's webhook asks none.
    problem(service.deliver("desk", &asked[2..], body).await, 401).await;
    let signed = headers("front-rule", "", body.as_bytes(), START);
    assert_eq!(service.deliver("rule", &[signed, asked[2..].to_vec()].concat(), body).await.status(), 202);
    let db = connect(&database_url).await;
    assert_eq!(texts(&db, "SELECT source FROM deliveries").await, ["rule"]);
    assert_eq!(texts(&db, "SELECT source FROM quarantine").await, ["desk"]);
}

#[tokio::test]
async fn of_a_batch_with_a_bad_event_the_good_ones_count_and_the_rest_when_it_is_mended() {
    let database_url = fresh_postgres("doors_batch").await;
    let settings = "settings.reopened_stages = [\"1\"]";
    let mut service =
        start_with("answers-batch", &database_url, &source("desk", "hubspot", settings), &[]).await;
    let db = connect(&database_url).await;
    let event = |id: i64, portal: Value| {
        json!({
            "eventId": id, "subscriptionId": 7, "portalId": portal, "occurredAt": START / 1_000, "objectId": 30 + id,
            "subscriptionType": "ticket.propertyChange", "propertyName": "hs_pipeline_stage", "propertyValue": "1",
        })
    };
    let body = json!([event(1, json!(555)), event(2, Value::Null), event(3, json!(555)), { "objectId": 9 }])
        .to_string();
    let facts = "SELECT customer || ' ' || case_id FROM resolutions ORDER BY case_id";
    for _ in 0..2 {
        let signed = headers("hubspot", "", body.as_bytes(), START);
        assert_eq!(service.deliver("desk", &signed, body.clone()).await.status(), 202);
        service.move_clock(START).await;
        assert_eq!(texts(&db, facts).await, ["555 31", "555 33"]);
    }
    let list = parked(&service).await;
    assert_eq!(list.len(), 1, "{list:?}");
    let reason = list[0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("event 1: case `32`: the event has no customer")
            && reason.contains("setting:customer"),
        "{reason}"
    );
    assert_eq!(list[0]["body"], body);
    let replay = format!("/v1/parked/{}/replay", list[0]["id"].as_str().unwrap());
    problem(service.try_post(&replay, &json!({})).await.unwrap(), 422).await;
    service
        .configure(&source("desk", "hubspot", &format!("{settings}\nsettings.customer = \"globex\"")))
        .await;
    assert_eq!(service.try_post(&replay, &json!({})).await.unwrap().status(), 202);
    assert_eq!(texts(&db, facts).await, ["555 31", "globex 32", "555 33"]);
    assert_eq!(texts(&db, "SELECT state FROM deliveries").await, ["mapped"]);
    assert_eq!(parked(&service).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_each_platform_is_told_what_makes_it_come_again() {
    let database_url = fresh_postgres("doors_away").await;
    let (before, after) = database_url.split_once('@').unwrap();
    let (server, database) = after.split_once('/').unwrap();
    let gate = Gate::before(server).await;
    let through = format!("{before}@127.0.0.1:{}/{database}", gate.port());
    let platforms = ["chatwoot", "hubspot", "intercom", "intercom-fin", "zendesk"];
    let config: String = platforms.iter().map(|platform| source(platform, platform, "")).collect();
    let service = start_with("answers-away", &through, &config, &[]).await;
    let send = async |platform: &str| {
        let body = r#"{"id":"away-1"}"#;
        service.deliver(platform, &headers(platform, "away-1", body.as_bytes(), START), body).await
    };
    gate.close();
    let start = Instant::now();
    let answers = futures_util::future::join_all(platforms.map(send)).await;
    for (platform, answer) in platforms.iter().zip(answers) {
        let after = answer.headers().get("retry-after").map(|after| after.to_str().unwrap().to_string());
        // 410 and 429 would switch Intercom's subscription off; Zendesk comes again only with the header.
        let wanted = match *platform {
            "zendesk" | "chatwoot" => Some("30"),
            _ => None,
        };
        assert_eq!((answer.status().as_u16(), after.as_deref()), (503, wanted), "{platform}");
    }
    // Intercom and HubSpot give up after five seconds, and do not see what is answered later.
    assert!(start.elapsed() < Duration::from_millis(4_500), "after {:?}", start.elapsed());
    gate.open();
    for platform in platforms {
        until("the database is back", async || send(platform).await.status() == 202).await;
        assert_eq!(send(platform).await.status(), 202);
    }
    let db = connect(&database_url).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM deliveries").await, 5, "each once");
}

#[tokio::test]
async fn odd_deliveries_are_answered_for_and_harm_nobody() {
    let database_url = fresh_sqlite(&folder("answers-odd"));
    let names = ["chatwoot", "front", "intercom", "standard", "zendesk"];
    let config: String =
        names.iter().map(|name| source(name, name, "settings.customer = \"acme\"")).collect();
    let service = start_with("answers-odd", &database_url, &config, &[]).await;
    let db = connect(&database_url).await;

    // Chatwoot gives each delivery an id: without one it is not stored, but not lost either.
    let body = br#"{"id":31,"event":"message_created"}"#;
    let signed = headers("chatwoot", "d-1", body, START);
    let detail = problem(service.deliver("chatwoot", &signed[..2], &body[..]).await, 400).await;
    assert!(detail.contains("header:x-chatwoot-delivery"), "{detail}");
    let kept = service.get_json("/v1/quarantine").await;
    assert_eq!((kept.as_array().unwrap().len(), &kept[0]["reason"]), (1, &json!(detail)));
    for _ in 0..3 {
        assert_eq!(service.deliver("chatwoot", &signed, &body[..]).await.status(), 202);
    }
    assert_eq!(number(&db, "SELECT COUNT(*) FROM deliveries").await, 1);

    let largest = vec![b' '; 1024 * 1024];
    let too_large = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(
        service.deliver("intercom", &headers("intercom", "", &largest, START), largest).await.status(),
        202
    );
    let refused = service.deliver("intercom", &headers("intercom", "", &too_large, START), too_large).await;
    problem(refused, 413).await;
    let far_too_large = vec![b' '; 33 * 1024 * 1024];
    let refused = client().post(service.url("/webhooks/intercom")).body(far_too_large).send().await;
    assert!(refused.is_err() || refused.unwrap().status() == 413);

    let odd: [Vec<u8>; 6] = [
        vec![0xFF, 0xFE, b'{', 0x00],
        b"\"\xC3\x28\"".to_vec(),
        [vec![b'['; 200_000], vec![b']'; 200_000]].concat(),
        [br#"{"a":"#.repeat(50_000), b"1".to_vec(), b"}".repeat(50_000)].concat(),
        b"{\"id\":\"one\",".to_vec(),
        b"<?xml version=\"1.0\"?><soap/>".to_vec(),
    ];
    for (nth, body) in odd.iter().enumerate() {
        for name in names {
            let signed = headers(name, &format!("odd-{nth}"), body, START);
            assert_eq!(service.deliver(name, &signed, body.clone()).await.status(), 202, "{name} {nth}");
        }
    }
    service.move_clock(START).await;
    let list = parked(&service).await;
    assert_eq!(list.len(), odd.len() * names.len());
    assert!(
        list.iter().all(|thing| thing["reason"].as_str().unwrap().starts_with("the body is not JSON")),
        "{list:?}"
    );
    assert_eq!(number(&db, "SELECT COUNT(*) FROM deliveries WHERE state = 'received'").await, 0);
    // And those behind them are read.
    let good = json!({ "type": "resolution.failed", "timestamp": "2026-10-01T00:00:00Z", "data": { "case": "a", "customer": "acme" } });
    let good = good.to_string();
    assert_eq!(
        service
            .deliver("standard", &headers("standard", "good", good.as_bytes(), START), good)
            .await
            .status(),
        202
    );
    service.move_clock(START).await;
    assert_eq!(texts(&db, "SELECT kind FROM resolutions").await, ["failed"]);
}
