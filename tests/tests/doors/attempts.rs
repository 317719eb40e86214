//! Attempts by HTTP: JSON, protobuf, CloudEvents, and the limits of every field.

use crate::{START, attempt, contract, folder, names, problem, start, with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use serde_json::{Map, Value, json};
use verdict_intake::proto;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::{connect, number, rows};
use verdict_tests::service::Service;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";
const CLOUD_EVENT: &str = "application/cloudevents+json";

/// The status of each event of a request that must succeed.
async fn statuses(service: &Service, content_type: &str, body: Vec<u8>) -> Vec<String> {
    let response = service.post_bytes("/v1/attempts", content_type, body).await;
    let (status, body): (u16, Value) = (response.status().as_u16(), response.json().await.unwrap());
    assert_eq!(status, 200, "{body}");
    let results = body["results"].as_array().unwrap();
    results.iter().map(|result| result["status"].as_str().unwrap().to_string()).collect()
}

async fn recorded(service: &Service, content_type: &str, body: impl Into<Vec<u8>>) {
    assert_eq!(statuses(service, content_type, body.into()).await, ["recorded"], "{content_type}");
}

/// An attempt with every field.
fn full(id: &str) -> Value {
    let mut full = attempt("acme", id);
    let more = json!({
        "case": "c-1",
        "usage": {
            "input_tokens": 1_000, "cached_input_tokens": 300, "cache_write_tokens": 100,
            "output_tokens": 200, "reasoning_tokens": 50, "estimated": true
        },
        "value": { "amount": "120.5", "currency": "EUR" },
        "reported_cost": { "amount": "0.0123", "currency": "EUR" },
        "other_costs": [{ "name": "voice minutes", "amount": "0.04", "currency": "EUR" }],
        "status": "failed",
        "failure_reason": "tool_error",
        "failure_detail": "the tool said:\n\"no\"",
        "prompt_fingerprint": "4f2a",
        "metadata": { "queue": "vip" },
    });
    full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    full
}

/// The same in protobuf.
fn full_proto(id: &str) -> proto::Attempt {
    let time = |micros: i64| Some(prost_types::Timestamp { seconds: micros / 1_000_000, nanos: 0 });
    proto::Attempt {
        id: id.into(),
        customer: "acme".into(),
        case: "c-1".into(),
        agent: "resolver".into(),
        action: "support.resolution".into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        usage: Some(proto::Usage {
            input_tokens: Some(1_000),
            cached_input_tokens: Some(300),
            cache_write_tokens: Some(100),
            cache_write_1h_tokens: None,
            output_tokens: Some(200),
            reasoning_tokens: Some(50),
            estimated: true,
        }),
        value: Some(proto::Amount { amount: "120.5".into(), currency: "EUR".into() }),
        reported_cost: Some(proto::Amount { amount: "0.0123".into(), currency: "EUR".into() }),
        other_costs: vec![proto::NamedAmount {
            name: "voice minutes".into(),
            amount: "0.04".into(),
            currency: "EUR".into(),
        }],
        started_at: time(START + HOUR - MINUTE),
        ended_at: time(START + HOUR),
        status: proto::Status::Failed.into(),
        failure_reason: proto::FailureReason::ToolError.into(),
        failure_detail: "the tool said:\n\"no\"".into(),
        prompt_fingerprint: "4f2a".into(),
        metadata: [("queue".into(), "vip".into())].into(),
        service_tier: String::new(),
    }
}

fn cloud_event(more: Value) -> Value {
    let mut event = json!({
        "specversion": "1.0", "id": "e-1", "source": "/agents", "type": "verdict.attempt.v1", "traceparent": "00-1"
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    event
}

#[tokio::test]
async fn each_event_of_a_request_is_answered_for_in_order() {
    let service = start("attempts-results").await;
    let (one, two) = (attempt("acme", "a-1"), attempt("acme", "a-2"));
    recorded(&service, JSON, one.to_string()).await;
    let bad = with(&two, "/model", json!(""));
    let many = json!([one, two, bad, two, "nonsense"]);
    let body = service.post("/v1/attempts", &many).await;
    assert_eq!([&body["recorded"], &body["duplicate"], &body["rejected"]], [1, 2, 2], "{body}");
    let statuses: Vec<&str> =
        body["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["duplicate", "recorded", "rejected", "duplicate", "rejected"]);
    assert!(body["results"][2]["reason"].as_str().unwrap().starts_with("model: "), "{body}");

    // Where nothing was taken, the request has failed, and says why.
    let response = service.try_post("/v1/attempts", &json!([bad, bad])).await.unwrap();
    let detail = problem(response, 422).await;
    assert!(detail.contains("all 2") && detail.contains("model: "), "{detail}");
    // The same id with another content is the same fact: what was recorded first stays.
    service.post("/v1/attempts", &with(&one, "/model", json!("gpt-4o-mini"))).await;
    let db = connect(&format!("sqlite:{}", folder("attempts-results").join("verdict.db").display())).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts WHERE model = 'gpt-4o'").await, 2);
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 2);
}

#[tokio::test]
async fn more_than_ten_thousand_events_at_once_are_refused_whole() {
    let service = start("attempts-many").await;
    let many: Vec<Value> = (0..10_001).map(|n| json!({ "id": n })).collect();
    for path in ["/v1/attempts", "/v1/resolutions"] {
        let response = service.try_post(path, &json!(many)).await.unwrap();
        let detail = problem(response, 422).await;
        assert!(detail.contains("10001") && detail.contains("in parts"), "{path}: {detail}");
    }
    let batch = proto::AttemptBatch { attempts: vec![full_proto("a-1"); 10_001] };
    let response = service.post_bytes("/v1/attempts", PROTOBUF, batch.encode_to_vec()).await;
    assert!(problem(response, 422).await.contains("10001"));
    let detail = problem(service.try_post("/v1/attempts", &json!([])).await.unwrap(), 422).await;
    assert!(detail.contains("no event"), "{detail}");
    assert_eq!(service.get_json("/v1/parked").await, json!([]), "what HTTP refuses is not parked");
}

#[tokio::test]
async fn the_same_attempt_reads_the_same_in_every_form() {
    let service = start("attempts-forms").await;
    let base64 = |bytes: Vec<u8>| STANDARD.encode(bytes);
    recorded(&service, "application/json; charset=utf-8", full("a-1").to_string()).await;
    recorded(&service, PROTOBUF, full_proto("a-2").encode_to_vec()).await;
    recorded(&service, CLOUD_EVENT, cloud_event(json!({ "data": full("a-3") })).to_string()).await;
    let data = json!({ "data_base64": base64(full("a-4").to_string().into_bytes()) });
    recorded(&service, CLOUD_EVENT, cloud_event(data).to_string()).await;
    let data =
        json!({ "data_base64": base64(full_proto("a-5").encode_to_vec()), "datacontenttype": PROTOBUF });
    recorded(&service, CLOUD_EVENT, cloud_event(data).to_string()).await;
    let batch =
        proto::AttemptBatch { attempts: vec![full_proto("a-6"), full_proto("a-2"), full_proto("a-7")] };
    let batch = statuses(&service, PROTOBUF, batch.encode_to_vec()).await;
    assert_eq!(batch, ["recorded", "duplicate", "recorded"]);
    let events =
        json!([cloud_event(json!({ "data": full("a-8") })), cloud_event(json!({ "data": full("a-1") }))]);
    let events =
        statuses(&service, "application/cloudevents-batch+json", events.to_string().into_bytes()).await;
    assert_eq!(events, ["recorded", "duplicate"]);

    let db = connect(&format!("sqlite:{}", folder("attempts-forms").join("verdict.db").display())).await;
    let distinct = "SELECT COUNT(*) FROM (SELECT DISTINCT customer, case_id, agent, action, provider, model, \
                    input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, status, \
                    failure_reason, model_cost_nanos, other_cost_nanos, cost_currency, price_source, started_at, \
                    ended_at, prompt_fingerprint, details FROM attempts)";
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 8);
    assert_eq!(number(&db, distinct).await, 1);
    let row = &rows(&db, "SELECT model_cost_nanos, other_cost_nanos, details FROM attempts LIMIT 1").await[0];
    assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 12_300_000);
    assert_eq!(row.try_get_by_index::<i64>(1).unwrap(), 40_000_000);
    assert!(row.try_get_by_index::<String>(2).unwrap().contains("vip"));
}

#[tokio::test]
async fn what_is_no_cloud_event_of_ours_is_refused_by_name() {
    let service = start("attempts-envelopes").await;
    let data = full("a-1");
    let bad = cloud_event(json!({ "data": with(&data, "/agent", json!("")) }));
    for (event, field) in [
        (cloud_event(json!({ "data": data, "specversion": "0.3" })), "specversion"),
        (cloud_event(json!({ "data": data, "type": "verdict.attempt.v2" })), "type"),
        (cloud_event(json!({ "data": data, "data_base64": "e30=" })), "data_base64"),
        (cloud_event(json!({})), "data"),
        (cloud_event(json!({ "data_base64": "%" })), "data_base64"),
        (cloud_event(json!({ "data_base64": "/w==", "datacontenttype": PROTOBUF })), "data_base64"),
        (bad, "agent"),
    ] {
        let body = event.to_string().into_bytes();
        let detail = problem(service.post_bytes("/v1/attempts", CLOUD_EVENT, body).await, 422).await;
        assert!(names(&detail, field), "{event}: {detail}");
    }
}

/// A newer sender may know fields that we do not, and a broken one may break its own event; both concern nobody else.
#[tokio::test]
async fn a_strange_attempt_in_a_protobuf_batch_stops_none_of_its_neighbours() {
    let service = start("attempts-neighbours").await;
    let item = |attempt: &[u8]| {
        let mut item = vec![0x0a];
        prost::encode_length_delimiter(attempt.len(), &mut item).unwrap();
        item.extend(attempt);
        item
    };
    // Field 99, a number.
    let newer = [full_proto("a-1").encode_to_vec(), vec![0x98, 0x06, 0x01]].concat();
    // A customer that is not UTF-8.
    let broken = [full_proto("a-2").encode_to_vec(), vec![0x12, 0x01, 0xff]].concat();
    for (strange, good) in [(newer, "a-3"), (broken, "a-4")] {
        let batch = [item(&strange), item(&full_proto(good).encode_to_vec())].concat();
        let response = service.post_bytes("/v1/attempts", PROTOBUF, batch).await;
        let (status, body): (u16, Value) = (response.status().as_u16(), response.json().await.unwrap());
        assert_eq!((status, &body["results"][1]["status"]), (200, &json!("recorded")), "{good}: {body}");
    }
}

#[tokio::test]
async fn each_field_has_its_limit_and_is_named_when_beyond() {
    let service = start("attempts-limits").await;
    let text = |length: usize| json!("é".repeat(length));
    let entries = |count: usize| {
        let entry = |n: usize| (format!("key-{n}"), json!("value"));
        Value::Object((0..count).map(entry).collect::<Map<_, _>>())
    };
    let named = json!({ "name": "voice", "amount": "0.01", "currency": "EUR" });
    let good = full("a-good");
    let mut faults: Vec<(&str, Value)> = vec![
        ("/usage/input_tokens", json!(-1)),
        ("/usage/output_tokens", json!(1.5)),
        ("/usage/seconds", json!(1)),
        ("/usage", json!({ "input_tokens": 10, "cached_input_tokens": 6, "cache_write_tokens": 5 })),
        ("/usage", json!({ "output_tokens": 10, "reasoning_tokens": 11 })),
        ("/reported_cost", json!("0.01")),
        ("/reported_cost/amount", json!("100000")),
        ("/reported_cost/amount", json!("-0.01")),
        ("/reported_cost/amount", json!("1e-2")),
        ("/reported_cost/amount", json!("0.1234567890123456789")),
        ("/reported_cost/amount", json!(0.01)),
        ("/reported_cost/currency", json!("ZZZ")),
        ("/reported_cost/currency", json!("eur")),
        ("/other_costs", json!(vec![named.clone(); 17])),
        ("/other_costs/0/name", text(0)),
        ("/other_costs/0/name", text(65)),
        ("/other_costs/0/amount", json!("100000")),
        ("/other_costs/0/amount", json!("cheap")),
        ("/other_costs/0/currency", json!("USD")),
        ("/started_at", json!("yesterday")),
        ("/started_at", json!(1_790_812_800)),
        ("/started_at", json!("2019-12-31T23:59:59Z")),
        ("/ended_at", json!(rfc3339(START + HOUR - MINUTE - 1))),
        ("/ended_at", json!(rfc3339(START + DAY + 1))),
        ("/ended_at", json!("2026-10-01")),
        ("/status", json!("maybe")),
        ("/status", json!(null)),
        ("/failure_reason", json!("tired")),
        ("/failure_detail", text(513)),
        ("/failure_detail", json!("a\0b")),
        ("/prompt_fingerprint", text(129)),
        ("/prompt_fingerprint", json!("a\tb")),
        ("/metadata", entries(33)),
        ("/metadata", json!({ "": "value" })),
        ("/metadata", json!({ "x".repeat(65): "value" })),
        ("/metadata/queue", text(513)),
        ("/metadata/queue", json!("a\0b")),
        ("/metadata/queue", json!(7)),
        ("/colour", json!("red")),
    ];
    let texts = [
        ("/id", 128),
        ("/customer", 128),
        ("/case", 128),
        ("/agent", 64),
        ("/action", 64),
        ("/provider", 64),
        ("/model", 128),
    ];
    for (pointer, most) in texts {
        faults.extend([(pointer, text(0)), (pointer, text(most + 1)), (pointer, json!("a\nb"))]);
        faults.extend([(pointer, json!("a\0b")), (pointer, json!(null))]);
    }
    for part in ["input", "cached_input", "cache_write", "output", "reasoning"] {
        let pointer: &str = Box::leak(format!("/usage/{part}_tokens").into_boxed_str());
        faults.push((pointer, json!(1_000_000_001)));
    }

    let events: Vec<Value> =
        faults.iter().map(|(pointer, value)| with(&good, pointer, value.clone())).collect();
    let mut events = events;
    let reason_without_failure = with(&good, "/status", json!("answered"));
    events.push(reason_without_failure);
    faults.push(("/failure_reason", json!("tool_error")));
    for field in
        ["id", "customer", "case", "agent", "action", "provider", "model", "started_at", "ended_at", "status"]
    {
        let mut event = good.clone();
        event.as_object_mut().unwrap().remove(field);
        events.push(event);
        faults.push((Box::leak(format!("/{field}").into_boxed_str()), json!("absent")));
    }
    // One good event, so that the request as a whole succeeds.
    events.push(good.clone());
    let body = service.post("/v1/attempts", &json!(events)).await;
    let results = body["results"].as_array().unwrap();
    let mut wrong = Vec::new();
    for ((pointer, value), result) in faults.iter().zip(results) {
        let field = pointer.trim_start_matches('/').split('/').rfind(|part| part.parse::<usize>().is_err());
        // An entry of the metadata is named by its whole.
        let field = if pointer.starts_with("/metadata") { "metadata" } else { field.unwrap() };
        let value: String = value.to_string().chars().take(40).collect();
        match result["reason"].as_str() {
            None => wrong.push(format!("{pointer} = {value} was taken")),
            Some(reason) if !names(reason, field) => wrong.push(format!("{pointer} = {value}: {reason}")),
            Some(_) => {}
        }
    }
    assert_eq!(results.last().unwrap()["status"], "recorded");
    assert!(wrong.is_empty(), "taken, or refused without the field's name: {wrong:#?}");
}

#[tokio::test]
async fn an_event_at_all_its_limits_is_taken() {
    let service = start("attempts-most").await;
    let text = |length: usize| json!("é".repeat(length));
    let mut most = full("a-1");
    for (pointer, length) in [
        ("/id", 128),
        ("/customer", 128),
        ("/case", 128),
        ("/agent", 64),
        ("/action", 64),
        ("/provider", 64),
        ("/model", 128),
        ("/failure_detail", 512),
        ("/prompt_fingerprint", 128),
    ] {
        most = with(&most, pointer, text(length));
    }
    let named = json!({ "name": "é".repeat(64), "amount": "99999.999999999", "currency": "EUR" });
    most = with(&most, "/other_costs", json!(vec![named; 16]));
    most = with(&most, "/reported_cost/amount", json!("99999.999999999"));
    let tokens = 1_000_000_000;
    let usage = json!({
        "input_tokens": tokens, "cached_input_tokens": tokens, "cache_write_tokens": 0,
        "output_tokens": tokens, "reasoning_tokens": tokens
    });
    most = with(&most, "/usage", usage);
    let entry = |n: usize| (format!("{n:0>64}"), text(512));
    most = with(&most, "/metadata", Value::Object((0..32).map(entry).collect()));
    most = with(&most, "/ended_at", json!(rfc3339(START + DAY)));
    most = with(&most, "/started_at", json!("2020-01-01T00:00:00Z"));
    recorded(&service, JSON, most.to_string()).await;
    // It is judged, too: its figures fit.
    service.move_clock(START).await;
    assert_eq!(service.get_json("/v1/parked").await, json!([]));
}

#[tokio::test]
async fn an_unknown_model_leaves_the_cost_unknown_and_is_listed() {
    let service = start("attempts-unknown").await;
    service.post("/v1/contracts", &contract("acme")).await;
    let house = |id: &str| {
        let house = with(&attempt("acme", id), "/provider", json!("acme-ai"));
        with(&house, "/model", json!("house-model-1"))
    };
    let other = json!([{ "name": "search", "amount": "0.02", "currency": "USD" }]);
    let uncounted = with(&attempt("acme", "a-3"), "/usage", json!({ "input_tokens": 10 }));
    let many =
        json!([with(&house("a-1"), "/other_costs", other), house("a-2"), uncounted, attempt("acme", "a-4")]);
    service.post("/v1/attempts", &many).await;
    service.move_clock(START + 2 * HOUR).await;
    assert_eq!(
        service.get_json("/v1/reports/unknown-costs").await,
        json!([
            { "customer": "acme", "provider": "acme-ai", "model": "house-model-1", "attempts": 2 },
            { "customer": "acme", "provider": "openai", "model": "gpt-4o", "attempts": 1 },
        ])
    );
    assert!(service.command(&["report", "unknown-costs"]).contains("acme-ai  house-model-1  2 attempts"));
    let db = connect(&format!("sqlite:{}", folder("attempts-unknown").join("verdict.db").display())).await;
    let sums = "SELECT COALESCE(SUM(model_cost_nanos), -1) FROM attempts WHERE model = 'house-model-1'";
    assert_eq!(number(&db, sums).await, -1, "unknown is not zero");
    // What is known still counts, and what is not is counted beside it.
    let report = service.get_json("/v1/reports/failure-cost?from=2026-10-01&to=2026-10-02&by=model").await;
    let figures =
        |row: &Value| (row["key"].clone(), row["cost_nanos"].clone(), row["unknown_cost_attempts"].clone());
    let figures: Vec<_> = report["rows"].as_array().unwrap().iter().map(figures).collect();
    let (known, house) = (json!(4_500_000), json!(20_000_000));
    assert_eq!(figures, [(json!("gpt-4o"), known, json!(1)), (json!("house-model-1"), house, json!(2))]);
}
