//! The logs of a LiteLLM proxy, as its generic API callback posts them.

use crate::{START, folder, parked, problem, start, start_with, with};
use serde_json::{Value, json};
use verdict_oracle::MINUTE;
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::Service;

/// A log with what LiteLLM puts into it, and what people said: of a call an hour after the test clock's start.
fn log(id: &str) -> Value {
    json!({
        "id": id, "trace_id": "t-1", "call_type": "acompletion", "stream": false, "status": "success",
        "response_cost": 0.0, "response_cost_failure_debug_info": null, "custom_llm_provider": "openai",
        "total_tokens": 1_200, "prompt_tokens": 1_000, "completion_tokens": 200,
        "startTime": 1790816400.25, "endTime": 1790816401.5, "completionStartTime": 1790816401.0,
        "model": "gpt-4o", "model_id": "m", "model_group": "gpt-4o", "api_base": "https://api.openai.com",
        "metadata": {
            "user_api_key_alias": "helpdesk", "requester_ip_address": "10.0.0.1",
            "requester_metadata": { "billing.customer_id": "acme", "billing.case_id": "c-1", "note": "CANARY" },
            "spend_logs_metadata": { "billing_action": "support.resolution" },
            "usage_object": { "prompt_tokens_details": { "cached_tokens": 300 },
                              "completion_tokens_details": { "reasoning_tokens": 50 } },
        },
        "cache_hit": null, "request_tags": [], "end_user": "somebody",
        "messages": [{ "role": "user", "content": "CANARY" }], "response": { "choices": ["CANARY"] },
        "error_str": null, "error_information": null, "model_parameters": {}, "hidden_params": {},
    })
}

#[tokio::test]
async fn a_proxys_logs_become_attempts_at_the_cost_that_it_reports() {
    let service = start("litellm").await;
    // As Python writes a small number; a JSON library of ours might write it otherwise.
    let first = log("chatcmpl-1").to_string().replace("\"response_cost\":0.0", "\"response_cost\":1.5e-05");
    let post = async |body: String| -> Value {
        let response = service.post_bytes("/v1/litellm", "application/json", body.into_bytes()).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    };
    assert_eq!(post(first.clone()).await, json!({ "recorded": 1, "duplicate": 0, "parked": 0 }));

    let mut limited = log("call-2");
    for (pointer, value) in [
        ("/status", json!("failure")),
        ("/error_str", json!("CANARY")),
        (
            "/error_information",
            json!({ "error_class": "RateLimitError", "error_code": "429", "error_message": "CANARY" }),
        ),
        ("/metadata/requester_metadata", json!({ "billing_case_id": "c-2" })),
        ("/prompt_tokens", json!(0)),
        ("/completion_tokens", json!(0)),
        ("/metadata/usage_object", json!(null)),
    ] {
        limited = with(&limited, pointer, value);
    }
    // LiteLLM could not tell, and says 0: the price book is asked.
    let unpriced =
        with(&log("msg-3"), "/response_cost_failure_debug_info", json!({ "error_str": "no price" }));
    let unpriced = with(&unpriced, "/model", json!("openai/gpt-4o"));
    let answered = with(&log("msg-4"), "/metadata/requester_metadata/billing.status", json!("answered"));
    let lost = with(&log("msg-5"), "/metadata/requester_metadata", json!({}));
    let batch = format!("[{first},{limited},{unpriced},{answered},{lost},17]");
    let told = post(batch.clone()).await;
    assert_eq!([&told["recorded"], &told["duplicate"], &told["parked"]], [3, 1, 2], "{told}");
    assert!(told["reason"].as_str().unwrap().starts_with("billing.case_id: is missing"), "{told}");
    // One a line, all of them known.
    let lines =
        batch.trim_matches(['[', ']']).replace("},{\"api_base\"", "}\n{\"api_base\"").replace(",17", "\n17");
    let told = post(lines).await;
    assert_eq!([&told["recorded"], &told["duplicate"], &told["parked"]], [0, 4, 2], "{told}");

    let db = connect(&format!("sqlite:{}", folder("litellm").join("verdict.db").display())).await;
    let columns = "id || ' ' || customer || ' ' || case_id || ' ' || agent || ' ' || action || ' ' || model || ' ' \
                   || status || ' ' || COALESCE(failure_reason, '-') || ' ' || COALESCE(price_source, '-') || ' ' \
                   || COALESCE(model_cost_nanos, -1) || ' ' || (ended_at - started_at)";
    let rows = texts(&db, &format!("SELECT {columns} FROM attempts ORDER BY id")).await;
    let of_acme = "acme c-1 helpdesk support.resolution gpt-4o";
    let price = 700 * 2_500 + 300 * 1_250 + 200 * 10_000;
    let book =
        texts(&db, "SELECT price_source FROM attempts WHERE id = 'response:openai:msg-3'").await.remove(0);
    assert_eq!(
        rows,
        [
            "litellm:call-2 somebody c-2 helpdesk support.resolution gpt-4o failed rate_limited reported 0 1250000".into(),
            format!("response:openai:chatcmpl-1 {of_acme} replied - reported 15000 1250000"),
            format!("response:openai:msg-3 {of_acme} replied - {book} {price} 1250000"),
            format!("response:openai:msg-4 {of_acme} answered - reported 0 1250000"),
        ]
    );
    assert!(book.starts_with("genai-prices/"), "{book}");
    let counted = "SELECT COUNT(*) FROM attempts WHERE cached_input_tokens = 300 AND reasoning_tokens = 50 \
                   AND details LIKE '%litellm%'";
    assert_eq!(number(&db, counted).await, 3);

    let held = parked(&service).await;
    assert_eq!(held.len(), 2);
    assert!(!json!(held).to_string().contains("CANARY"), "{held:?}");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts WHERE details LIKE '%CANARY%'").await, 0);
    let lost = held.iter().find(|held| held["body"].as_str().unwrap().contains("msg-5")).unwrap();
    let path = format!("/v1/parked/{}/replay", lost["id"].as_str().unwrap());
    let detail = problem(service.try_post(&path, &Value::Null).await.unwrap(), 422).await;
    assert!(detail.starts_with("billing.case_id: is missing"), "{detail}");

    for body in ["", "{", "[]", "[1] 2"] {
        problem(service.post_bytes("/v1/litellm", "application/json", body.into()).await, 400).await;
    }
}

/// Of what cannot be used the newest is kept, and it is told how much went.
async fn it_is_bounded(name: &str, url: &str) {
    let bounds = [("VERDICT_TELEMETRY_PARKED", "3"), ("VERDICT_TELEMETRY_PARKED_BYTES", "4000")];
    let service = start_with(name, url, "", &bounds).await;
    let db = connect(url).await;
    let lost = |id: &str| with(&log(id), "/metadata/requester_metadata", json!({}));
    let post = async |logs: Value| {
        let body = logs.to_string().into_bytes();
        let response = service.post_bytes("/v1/litellm", "application/json", body).await;
        assert_eq!(response.status(), 200);
    };
    let kept = async |service: &Service, reference: &str| -> Vec<String> {
        let of = |thing: &Value| {
            (thing["reference"] == reference).then(|| thing["body"].as_str().unwrap().to_string())
        };
        parked(service).await.iter().filter_map(of).collect()
    };
    let reference = verdict_intake::LITELLM;
    // What somebody imports by hand is not telemetry: he is there to see what is wrong with it.
    let bad: String = (0..5).map(|nth| format!("{{\"id\":\"bad-{nth}\"}}\n")).collect();
    let imported = service.try_command_with(&["import", "attempts", "-", "--format", "jsonl"], &bad);
    assert!(!imported.status.success());
    assert_eq!(
        kept(&service, "application/json").await.len(),
        5,
        "{}",
        String::from_utf8_lossy(&imported.stderr)
    );

    for nth in 1..=6 {
        service.move_clock(START + nth * MINUTE).await;
        post(lost(&format!("lost-{nth}"))).await;
    }
    let left = kept(&service, reference).await;
    let is = |nth: usize| left[nth - 4].contains(&format!("lost-{nth}"));
    assert!(left.len() == 3 && is(4) && is(5) && is(6), "{left:?}");
    assert_eq!(service.get_json("/v1/status").await["telemetry_dropped"], 3);
    // The same again is the same.
    post(lost("lost-6")).await;
    assert_eq!(service.get_json("/v1/status").await["telemetry_dropped"], 3);

    // Many at once, of which each is large: what is recorded beside them stays.
    service.move_clock(START + 10 * MINUTE).await;
    let large = |nth: usize| with(&lost(&format!("large-{nth}")), "/model", json!("m".repeat(2_500)));
    let fine = with(&with(&log("fine"), "/startTime", json!(1790812900.0)), "/endTime", json!(1790812901.0));
    post(json!([large(1), large(2), fine, large(3)])).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 1);
    let left = kept(&service, reference).await;
    assert!(left.len() == 1 && left[0].contains("large-"), "{left:?}");
    let size =
        number(&db, &format!("SELECT CAST(SUM(size) AS BIGINT) FROM parked WHERE reference = '{reference}'"))
            .await;
    assert!((2_500..=4_000).contains(&size), "{size}");
    assert_eq!(service.get_json("/v1/status").await["telemetry_dropped"], 8);
    let gone = number(&db, "SELECT bytes FROM parked_dropped").await;
    assert!(gone > 5_000, "{gone}");
    let page = service.get("/parked").await.text().await.unwrap();
    assert!(page.contains("8 spans and logs that could not be used are gone"), "{page}");
    let listed = service.try_command(&["parked", "list"]);
    let told = String::from_utf8(listed.stderr).unwrap();
    assert!(told.contains(&format!("8 of `{reference}`")), "{told}");
    // Spans have bounds of their own, and what was imported stays.
    assert_eq!(kept(&service, "application/json").await.len(), 5);
}

#[tokio::test]
async fn what_cannot_be_used_is_bounded_on_sqlite() {
    it_is_bounded("litellm-bounds", &fresh_sqlite(&folder("litellm-bounds"))).await;
}

#[tokio::test]
async fn what_cannot_be_used_is_bounded_on_postgres() {
    it_is_bounded("litellm-bounds-postgres", &fresh_postgres("doors_litellm_bounds").await).await;
}
