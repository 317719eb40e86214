//! The test clock.

use crate::{START, attempt, contract, folder, problem, start};
use serde_json::json;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::fresh_sqlite;
use verdict_tests::service::{Service, Setup};

async fn verdict(service: &Service, case: &str) -> String {
    let case = service.get_json(&format!("/v1/cases/acme/{case}")).await;
    case["verdict"].as_str().unwrap().into()
}

#[tokio::test]
async fn timers_fire_when_the_clock_is_moved_past_them() {
    let service = start("clock-timers").await;
    service.post("/v1/contracts", &contract("acme")).await;
    service.post("/v1/attempts", &attempt("acme", "a-1")).await;
    // Answered an hour after the start: 72 hours of silence make it an assumed outcome.
    service.move_clock(START + 73 * HOUR - 1).await;
    assert_eq!(verdict(&service, "a-1").await, "pending");
    service.move_clock(START + 73 * HOUR).await;
    assert_eq!(verdict(&service, "a-1").await, "assumed");
    service.move_clock(START + 34 * DAY - 1).await;
    assert_eq!(service.get_json("/v1/invoices").await, json!([]));
    service.move_clock(START + 34 * DAY).await;
    let invoices = service.get_json("/v1/invoices").await;
    assert_eq!(invoices[0]["total"], "0.49", "{invoices}");
}

#[tokio::test]
async fn the_clock_never_goes_back() {
    let service = start("clock-back").await;
    service.move_clock(START + DAY).await;
    for (body, words) in [
        (json!({ "now": rfc3339(START + DAY - 1) }), "is before"),
        (json!({ "now": "noon" }), "2026-10-01T00:00:00Z"),
        (json!({}), "now"),
    ] {
        let detail = problem(service.try_post("/v1/test-clock", &body).await.unwrap(), 422).await;
        assert!(detail.contains(words), "{body}: {detail}");
    }
    service.move_clock(START + DAY).await;
    assert_eq!(service.get_json("/v1/test-clock").await["now"], "2026-10-02T00:00:00Z");
}

#[tokio::test]
async fn real_time_cannot_be_moved() {
    let setup = Setup::new(&fresh_sqlite(&folder("clock-real")));
    let service = Service::start(setup, &folder("clock-real")).await;
    let detail = problem(service.get("/v1/test-clock").await, 409).await;
    assert!(detail.contains("--test-clock"), "{detail}");
    let body = json!({ "now": "2126-10-01T00:00:00Z" });
    problem(service.try_post("/v1/test-clock", &body).await.unwrap(), 409).await;
}

#[tokio::test]
async fn the_clock_survives_a_restart() {
    let mut service = start("clock-restart").await;
    service.move_clock(START + 10 * DAY).await;
    service.restart().await;
    assert_eq!(service.get_json("/v1/test-clock").await["now"], "2026-10-11T00:00:00Z");
}
