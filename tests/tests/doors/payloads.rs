//! What the deliveries of each platform mean, from its address to the fact: as vendors show them, and as we wrote them.

use crate::signing::{PLATFORMS, headers};
use crate::{START, source, start_with};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use verdict_tests::database::{connect, fresh_sqlite, number, rows};
use verdict_tests::service::Service;

/// A delivery of a platform, and what must come of it: the outcome, the case and the customer.
struct Payload {
    name: String,
    platform: String,
    settings: String,
    body: Vec<u8>,
    expect: Vec<String>,
}

/// What came of what a source sent: what must be looked at, what is asked, what is recorded.
async fn came_of(db: &DatabaseConnection, source: &str) -> Vec<Vec<String>> {
    let select = [
        format!("SELECT kind, case_id, customer FROM resolutions WHERE id LIKE '{source}:%' ORDER BY id"),
        format!("SELECT 'fetch', origin, '' FROM fetches WHERE source = '{source}'"),
        format!(
            "SELECT 'quarantine', reason, '' FROM parked WHERE origin = 'delivery' AND reference LIKE '{source}/%'"
        ),
    ];
    let mut all = Vec::new();
    for select in select {
        for row in rows(db, &select).await {
            let text = |nth| row.try_get_by_index::<String>(nth).unwrap();
            let (outcome, case, customer) = (text(0), text(1), text(2));
            all.push(match outcome.as_str() {
                "fetch" => {
                    let origin: Value = serde_json::from_str(&case).unwrap();
                    let known = |field: &str| origin[field].as_str().unwrap_or_default().to_string();
                    vec![outcome, known("case"), known("customer")]
                }
                // A person is told of which case it is.
                "quarantine" => {
                    let mut parts = case.split('`');
                    let (case, customer) =
                        (parts.nth(1).unwrap_or_default(), parts.nth(1).unwrap_or_default());
                    vec![outcome, case.into(), customer.into()]
                }
                _ => vec![outcome, case, customer],
            });
        }
    }
    all
}

/// Sends each payload to a source of its own, twice.
async fn run(name: &str, payloads: &[Payload], at: i64) {
    let config: String = payloads
        .iter()
        .enumerate()
        .map(|(nth, payload)| {
            let settings = format!("settings.customer = \"tenant-default\"\n{}", payload.settings);
            source(&format!("s-{nth}"), &payload.platform, &settings)
        })
        .collect();
    let database_url = fresh_sqlite(&crate::folder(name));
    let service: Service = start_with(name, &database_url, &config, &[]).await;
    service.move_clock(at).await;
    let db = connect(&database_url).await;
    let mut wrong = Vec::new();
    for (nth, payload) in payloads.iter().enumerate() {
        let source = format!("s-{nth}");
        let headers = headers(&payload.platform, &format!("delivery-{nth}"), &payload.body, at);
        for _ in 0..2 {
            let status = service.deliver(&source, &headers, payload.body.clone()).await.status();
            assert_eq!(status, 202, "{}", payload.name);
        }
        service.move_clock(at).await;
        let came = came_of(&db, &source).await;
        let expected: Vec<Vec<String>> = match payload.expect[0].as_str() {
            "none" | "ignore" => Vec::new(),
            _ => vec![payload.expect.clone()],
        };
        if came != expected {
            wrong.push(format!("{}: {came:?} instead of {expected:?}", payload.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mapped = "SELECT COUNT(*) FROM deliveries WHERE state = 'received'";
    assert_eq!(number(&db, mapped).await, 0);
    assert_eq!(number(&db, "SELECT COUNT(*) FROM deliveries").await, i64::try_from(payloads.len()).unwrap());
    assert_eq!(number(&db, "SELECT COUNT(*) FROM quarantine").await, 0);
}

#[tokio::test]
async fn what_vendors_show_in_their_documents_means_what_we_read_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/webhooks");
    let Ok(expected) = std::fs::read(folder.join("expected.json")) else {
        println!("not run: ../shared/webhooks is not there");
        return;
    };
    let expected: Vec<Vec<String>> = serde_json::from_slice(&expected).unwrap();
    let payloads: Vec<Payload> = expected
        .into_iter()
        .map(|row| Payload {
            body: std::fs::read(folder.join("payloads").join(&row[0])).unwrap(),
            name: row[0].clone(),
            platform: row[1].clone(),
            settings: String::new(),
            expect: row[2..].to_vec(),
        })
        .collect();
    assert!(payloads.len() >= 18, "{}", payloads.len());
    run("payloads-published", &payloads, START).await;
}

/// One that counts and one that does not, of each built-in platform: a time is that of the test.
#[tokio::test]
async fn each_built_in_platform_is_understood() {
    let (time, seconds, millis) = ("2026-10-01T00:00:00Z", START / 1_000_000, START / 1_000);
    let intercom = |topic: &str, item: Value| json!({ "id": "n-1", "app_id": "ws", "topic": topic, "created_at": seconds, "data": { "item": item } });
    let zendesk = |kind: &str, event: Value| {
        let detail = json!({ "id": "902", "organization_id": "44", "tags": ["ai_agent_resolved"] });
        json!({ "type": format!("zen:event-type:ticket.{kind}"), "id": "z-1", "time": time, "detail": detail, "event": event })
    };
    let front = |kind: &str, by: &str| {
        json!({
            "id": "evt_1", "type": kind, "emitted_at": seconds, "source": { "_meta": { "type": by } },
            "conversation": { "id": "cnv_1", "status_category": "resolved" },
        })
    };
    let freshchat = |resolver: &str| {
        json!({
            "actor": { "actor_type": "agent", "actor_id": resolver }, "action": "conversation_resolution", "action_time": time,
            "data": { "resolve": { "resolver": "agent", "resolver_id": resolver, "conversation": { "conversation_id": "cv-1" } } },
        })
    };
    let chatwoot = |status: &str, assignee: Value| {
        json!({
            "id": 31, "event": "conversation_status_changed", "status": status, "updated_at": seconds, "meta": { "assignee": assignee },
            "changed_attributes": [{ "status": { "previous_value": "pending", "current_value": status } }],
        })
    };
    let hubspot = |property: &str| {
        json!([{
            "eventId": 1, "subscriptionId": 2, "portalId": 555, "occurredAt": millis, "objectId": 31,
            "subscriptionType": "ticket.propertyChange", "propertyName": property, "propertyValue": "4",
        }])
    };
    let standard = |kind: &str| json!({ "type": kind, "timestamp": time, "data": { "case": "T-1", "customer": "acme" } });
    let table: Vec<(&str, &str, Value, &[&str])> = vec![
        (
            "ada",
            "",
            json!({ "type": "v1.conversation.ended", "timestamp": time, "data": { "conversation_id": "cv-9", "ended_by": { "role": "system" }, "ai_agent_domain": "acme.ada" } }),
            &["fetch", "cv-9", "acme.ada"],
        ),
        ("ada", "", json!({ "type": "v1.conversation.created", "timestamp": time }), &["none"]),
        ("chatwoot", "", chatwoot("resolved", Value::Null), &["assumed", "31", "tenant-default"]),
        ("chatwoot", "", chatwoot("resolved", json!({ "id": 4 })), &["none"]),
        (
            "chatwoot",
            "settings.ai_agents = [4]",
            chatwoot("resolved", json!({ "id": 4 })),
            &["assumed", "31", "tenant-default"],
        ),
        (
            "freshchat",
            "settings.ai_agents = [\"bot\"]",
            freshchat("bot"),
            &["assumed", "cv-1", "tenant-default"],
        ),
        (
            "freshchat",
            "settings.ai_agents = [\"bot\"]",
            freshchat("kim"),
            &["escalated", "cv-1", "tenant-default"],
        ),
        (
            "freshdesk",
            "",
            json!({ "event": "status_changed", "ticket": "88", "company": "acme" }),
            &["fetch", "88", "acme"],
        ),
        (
            "freshdesk",
            "",
            json!({ "event": "handed_over", "ticket": "88", "company": "acme" }),
            &["escalated", "88", "acme"],
        ),
        ("front", "", front("archive", "rule"), &["assumed", "cnv_1", "tenant-default"]),
        ("front", "", front("archive", "teammate"), &["none"]),
        ("front-rule", "", front("reopen", "rule"), &["reopened", "cnv_1", "tenant-default"]),
        ("front-rule", "", front("tag", "rule"), &["none"]),
        (
            "gorgias",
            "",
            json!({ "id": 5, "type": "ticket-closed", "object_id": 77, "created_datetime": time }),
            &["fetch", "77", "tenant-default"],
        ),
        (
            "gorgias",
            "",
            json!({ "id": 5, "type": "ticket-updated", "object_id": 77, "created_datetime": time }),
            &["none"],
        ),
        (
            "helpscout",
            "settings.ai_agents = [999]",
            json!({ "id": 71, "status": "closed", "closedBy": 999, "closedAt": time }),
            &["assumed", "71", "tenant-default"],
        ),
        (
            "helpscout",
            "settings.ai_agents = [999]",
            json!({ "id": 71, "status": "closed", "closedBy": 5, "closedAt": time }),
            &["none"],
        ),
        ("hubspot", "", hubspot("hs_pipeline_stage"), &["fetch", "31", "555"]),
        ("hubspot", "", hubspot("subject"), &["none"]),
        (
            "intercom",
            "",
            intercom(
                "conversation.rating.added",
                json!({ "id": "9", "ai_agent": { "resolution_state": "confirmed_resolution", "rating": 5 } }),
            ),
            &["confirmed", "9", "ws"],
        ),
        (
            "intercom",
            "",
            intercom("conversation.operator.replied", json!({ "id": "9" })),
            &["fetch", "9", "ws"],
        ),
        ("intercom", "", intercom("conversation.user.created", json!({ "id": "9" })), &["none"]),
        (
            "intercom-fin",
            "",
            json!({ "event_name": "fin_status_updated", "conversation_id": "c-1", "status": "resolved", "created_at_ms": time }),
            &["assumed", "c-1", "tenant-default"],
        ),
        (
            "intercom-fin",
            "",
            json!({ "event_name": "fin_status_updated", "conversation_id": "c-1", "status": "thinking", "created_at_ms": time }),
            &["none"],
        ),
        ("standard", "", standard("resolution.confirmed"), &["confirmed", "T-1", "acme"]),
        ("standard", "", standard("resolution.solved"), &["quarantine", "T-1", "acme"]),
        ("standard", "", standard("invoice.paid"), &["none"]),
        ("standard-v1a", "", standard("resolution.escalated"), &["escalated", "T-1", "acme"]),
        ("standard-v1a", "", standard("invoice.paid"), &["none"]),
        (
            "zendesk",
            "",
            zendesk("status_changed", json!({ "previous": "OPEN", "current": "SOLVED" })),
            &["assumed", "902", "44"],
        ),
        (
            "zendesk",
            "",
            zendesk("status_changed", json!({ "previous": "SOLVED", "current": "CLOSED" })),
            &["ignore"],
        ),
        (
            "zendesk",
            "settings.ai_agents = [\"8\"]",
            zendesk("agent_assignment_changed", json!({ "current": "8" })),
            &["none"],
        ),
        (
            "zendesk-trigger",
            "",
            json!({ "event": "solved", "ticket": "902", "time": "2026-10-01T00:00Z", "tags": "vpn ai_agent_resolved" }),
            &["assumed", "902", "tenant-default"],
        ),
        (
            "zendesk-trigger",
            "",
            json!({ "event": "solved", "ticket": "902", "time": "2026-10-01T00:00Z", "tags": "vpn" }),
            &["none"],
        ),
    ];
    let covered: BTreeSet<&str> = table.iter().map(|row| row.0).collect();
    assert_eq!(covered, BTreeSet::from(PLATFORMS));
    let payloads: Vec<Payload> = table
        .into_iter()
        .map(|(platform, settings, body, expect)| Payload {
            name: format!("{platform}: {body}"),
            platform: platform.into(),
            settings: settings.into(),
            body: body.to_string().into_bytes(),
            expect: expect.iter().map(ToString::to_string).collect(),
        })
        .collect();
    run("payloads", &payloads, START).await;
}
