//! Spans of OpenTelemetry: sent by its own SDK, and by hand what no SDK would send.

use crate::{START, folder, parked, problem, start, with};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use verdict_oracle::{DAY, HOUR};
use verdict_tests::database::{connect, number, rows, texts};
use verdict_tests::service::{Service, client};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/x-protobuf";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// The folder with the Python SDK, installed if it is not there yet. Without it there is nothing to test with: that
/// fails, wherever this runs.
fn sdk() -> &'static Path {
    static SDK: OnceLock<PathBuf> = OnceLock::new();
    SDK.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-otel");
        let installed =
            Command::new(root().join("scripts/install-python-otel")).arg(&folder).output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        folder
    })
}

/// Has the SDK send the spans of `tests/python/spans.py`.
fn send(service: &Service, compression: &str) {
    let output = Command::new("python3")
        .arg(root().join("tests/python/spans.py"))
        .args([&service.url("/v1/traces"), &service.api().key])
        .args([&((START + HOUR) * 1_000).to_string(), compression])
        .env("PYTHONPATH", sdk())
        .output()
        .unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(printed.trim(), "SUCCESS", "{errors}");
}

#[tokio::test]
async fn what_the_python_sdk_sends_becomes_attempts_once() {
    let service = start("traces-sdk").await;
    send(&service, "none");
    let db = connect(&format!("sqlite:{}", folder("traces-sdk").join("verdict.db").display())).await;
    let columns = "customer || ' ' || case_id || ' ' || id || ' ' || agent || ' ' || action || ' ' || provider || ' ' \
                   || model || ' ' || status || ' ' || COALESCE(failure_reason, '-') || ' ' \
                   || COALESCE(model_cost_nanos, -1)";
    let told = texts(&db, &format!("SELECT {columns} FROM attempts ORDER BY ended_at")).await;
    let cost = 800 * 2_500 + 200 * 1_250 + 300 * 10_000;
    assert_eq!(
        told,
        [
            // The wrapper and the library told of one response; the library counted.
            format!(
                "acme ticket-1 response:openai:chatcmpl-1 resolver support.resolution openai gpt-4o-2024-08-06 replied - \
                 {cost}"
            ),
            "acme ticket-1 otel:ab000000000000000000000000000001:cd00000000000001 resolver support.resolution none none \
             answered - 0"
                .into(),
            "globex ticket-2 otel:ab000000000000000000000000000002:cd00000000000006 helpdesk support.resolution openai \
             gpt-4o failed rate_limited -1"
                .into(),
        ]
    );
    let details =
        texts(&db, "SELECT details FROM attempts WHERE case_id = 'ticket-1' AND provider = 'openai'").await;
    let details: Value = serde_json::from_str(&details[0]).unwrap();
    assert_eq!(details["metadata"]["source"], "otlp");
    assert_eq!(details["metadata"]["trace_id"], "ab000000000000000000000000000001");
    assert_eq!(details["metadata"]["span_id"], "cd00000000000003");

    let lost = &parked(&service).await[0];
    assert!(lost["reason"].as_str().unwrap().starts_with("billing.case_id: is missing"), "{lost}");
    assert!(lost["body"].as_str().unwrap().contains("chatcmpl-2"), "{lost}");

    // Sent again, packed: nothing new.
    send(&service, "gzip");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 3);
    assert_eq!(parked(&service).await.len(), 1);

    // What was said is nowhere: not in a column, not in what is parked, not in the database's files.
    service.wait_until_idle(std::time::Duration::from_secs(30)).await;
    let mut looked_at = 0;
    for file in std::fs::read_dir(folder("traces-sdk")).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"CANARY"), "{}", path.display());
        looked_at += usize::from(bytes.windows(10).any(|part| part == b"chatcmpl-1"));
    }
    assert!(looked_at > 0, "the files that hold the rest were looked at");
}

fn attributes(attributes: Value) -> Value {
    let value = |value: &Value| match value {
        Value::Number(number) => json!({ "intValue": number.to_string() }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "arrayValue": { "values": [other] } }),
    };
    let attributes = attributes.as_object().unwrap().iter();
    attributes.map(|(key, held)| json!({ "key": key, "value": value(held) })).collect()
}

/// A span an hour after [`START`], with an id of its own.
fn span(nth: u64, held: Value) -> Value {
    json!({
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": format!("{nth:016x}"), "name": "chat", "kind": 3,
        "startTimeUnixNano": ((START + HOUR) * 1_000).to_string(),
        "endTimeUnixNano": ((START + HOUR + 1_000_000) * 1_000).to_string(),
        "attributes": attributes(held), "status": {}
    })
}

fn export(spans: &[Value]) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(json!({ "service.name": "bot" })) },
        "scopeSpans": [{ "scope": { "name": "by hand" }, "spans": spans }]
    }] })
}

/// The counts in the headers of the answer: recorded, duplicate, parked, ignored; and its body.
async fn sent(service: &Service, export: &Value) -> ([String; 4], Value) {
    let response = service.post_bytes("/v1/traces", JSON, export.to_string().into_bytes()).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &JSON.parse().unwrap())
    );
    let header = |name: &str| response.headers()[format!("verdict-{name}")].to_str().unwrap().to_string();
    (["recorded", "duplicate", "parked", "ignored"].map(header), response.json().await.unwrap())
}

#[tokio::test]
async fn older_and_other_conventions_are_read_too() {
    let service = start("traces-names").await;
    let ours = json!({ "billing.customer_id": "acme", "billing.case_id": "c-1" });
    let say = |more: Value| {
        let mut held = ours.clone();
        held.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        held
    };
    let spans = [
        // OpenTelemetry up to 1.36.
        span(
            1,
            say(json!({ "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": 20 })),
        ),
        // OpenLLMetry, and what providers count beside the input.
        span(
            2,
            say(json!({ "gen_ai.system": "Anthropic", "gen_ai.response.model": "claude-sonnet-4-5",
            "llm.request.type": "chat", "gen_ai.usage.prompt_tokens": 10, "gen_ai.usage.completion_tokens": 20,
            "gen_ai.usage.cache_read_input_tokens": 1_000, "gen_ai.usage.cache_creation_input_tokens": 7 })),
        ),
        // OpenInference; its session is the case.
        span(
            3,
            json!({ "billing.customer_id": "acme", "session.id": "s-1", "openinference.span.kind": "LLM",
            "llm.provider": "azure", "llm.system": "openai", "llm.model_name": "gpt-4o", "llm.token_count.prompt": 10,
            "llm.token_count.completion": 20, "llm.token_count.prompt_details.cache_read": 4,
            "llm.token_count.completion_details.reasoning": 5, "llm.input_messages.0.message.content": "CANARY" }),
        ),
        // OpenTelemetry today.
        span(
            4,
            say(json!({ "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gen_ai",
            "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 20, "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.usage.cache_creation.input_tokens": 3, "gen_ai.input.messages": ["CANARY"] })),
        ),
        // Not calls: an agent's run that says nothing of itself, a chain, a tool, a database.
        span(5, say(json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 40 }))),
        span(
            6,
            say(
                json!({ "openinference.span.kind": "CHAIN", "llm.model_name": "gpt-4o", "llm.token_count.prompt": 9 }),
            ),
        ),
        span(7, say(json!({ "traceloop.span.kind": "tool" }))),
        span(8, json!({ "db.system.name": "postgresql", "billing.status": "answered" })),
    ];
    let (counts, body) = sent(&service, &export(&spans)).await;
    assert_eq!((counts.each_ref().map(String::as_str), body), (["4", "0", "0", "4"], json!({})));

    let db = connect(&format!("sqlite:{}", folder("traces-names").join("verdict.db").display())).await;
    let mut told = Vec::new();
    for row in rows(
        &db,
        "SELECT case_id, agent, provider, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, \
         reasoning_tokens, model_cost_nanos IS NOT NULL FROM attempts ORDER BY id",
    )
    .await
    {
        let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
        let count = |at: usize| row.try_get_by_index::<Option<i64>>(at).unwrap().unwrap_or(-1);
        told.push((text(0), text(1), text(2), [3, 4, 5, 6, 7, 8].map(count)));
    }
    let expected = [
        ("c-1", "bot", "openai", [10, -1, -1, 20, -1, 1]),
        ("c-1", "bot", "anthropic", [1_017, 1_000, 7, 20, -1, 1]),
        ("s-1", "bot", "azure", [10, 4, -1, 20, 5, 1]),
        ("c-1", "bot", "google", [10, -1, 3, 20, 5, 1]),
    ];
    assert_eq!(
        told,
        expected.map(|(case, agent, provider, counts)| (case.into(), agent.into(), provider.into(), counts))
    );
}

#[tokio::test]
async fn what_cannot_be_used_is_parked_without_content_and_can_be_replayed() {
    let service = start("traces-parked").await;
    let call = json!({ "billing.customer_id": "acme", "billing.case_id": "c-1", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o", "gen_ai.operation.name": "chat", "gen_ai.prompt": "CANARY" });
    let early =
        with(&span(1, call.clone()), "/endTimeUnixNano", json!(((START + 2 * DAY) * 1_000).to_string()));
    let mut nobody = call.clone();
    nobody.as_object_mut().unwrap().remove("billing.customer_id");
    let wrong = with(&span(3, call.clone()), "/spanId", json!("0000000000000000"));
    let mut odd = call.clone();
    odd.as_object_mut().unwrap().insert("billing.status".into(), json!("done"));
    let spans = [early, span(2, nobody), wrong, span(4, odd), span(5, call)];
    let (counts, body) = sent(&service, &export(&spans)).await;
    assert_eq!(counts.each_ref().map(String::as_str), ["1", "0", "4", "0"]);
    assert_eq!(body["partialSuccess"]["rejectedSpans"], "4", "{body}");
    assert!(body["partialSuccess"]["errorMessage"].as_str().unwrap().contains("ended_at: "), "{body}");

    // Sent again, nothing is parked twice.
    sent(&service, &export(&spans)).await;
    let held = parked(&service).await;
    assert_eq!(held.len(), 4);
    assert!(!json!(held).to_string().contains("CANARY"), "{held:?}");
    let of = |reason: &str| {
        let found = held.iter().find(|held| held["reason"].as_str().unwrap().starts_with(reason));
        found.unwrap_or_else(|| panic!("{reason}: {held:?}"))["id"].as_str().unwrap().to_string()
    };
    of("trace_id, span_id: ");
    of("billing.status: `done`");
    let replay =
        async |id: String| service.try_post(&format!("/v1/parked/{id}/replay"), &Value::Null).await.unwrap();
    let detail = problem(replay(of("billing.customer_id: ")).await, 422).await;
    assert!(detail.starts_with("billing.customer_id: "), "{detail}");
    // What came too early is taken when its time has come.
    service.move_clock(START + 2 * DAY).await;
    assert_eq!(replay(of("ended_at: ")).await.status(), 202);
    assert_eq!(parked(&service).await.len(), 3);
    let db = connect(&format!("sqlite:{}", folder("traces-parked").join("verdict.db").display())).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts WHERE case_id = 'c-1' AND agent = 'bot'").await, 2);
}

#[tokio::test]
async fn what_is_no_export_is_refused() {
    let service = start("traces-refused").await;
    for (content_type, body) in [
        (JSON, "{"),
        (JSON, r#"{"resourceSpans": 1}"#),
        (JSON, r#"{"resourceSpans": []} and more"#),
        (JSON, r#"{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "soon"}]}]}]}"#),
        (PROTOBUF, "\u{ff}nonsense"),
        ("text/plain", "{}"),
    ] {
        problem(service.post_bytes("/v1/traces", content_type, body.into()).await, 400).await;
    }
    let request = client().post(service.url("/v1/traces")).bearer_auth(&service.key);
    let request = request.header("content-type", JSON).header("content-encoding", "gzip").body("{}");
    let detail = problem(request.send().await.unwrap(), 400).await;
    assert!(detail.contains("not gzip"), "{detail}");
    // An empty one is fine: a collector may send it to see who is there.
    let response = service.post_bytes("/v1/traces", PROTOBUF, Vec::new()).await;
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());

    let key = service.command(&["keys", "create", "--name", "reader", "--scopes", "report"]);
    let request = client().post(service.url("/v1/traces")).header("content-type", JSON).body("{}");
    problem(request.try_clone().unwrap().bearer_auth(key.trim()).send().await.unwrap(), 403).await;
    problem(request.send().await.unwrap(), 401).await;
    assert_eq!(parked(&service).await.len(), 0);
}
