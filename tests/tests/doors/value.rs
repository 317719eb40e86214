//! What an outcome is worth, from each door to its price: a share of it, within bounds; none of it, and it waits.

use crate::cases::databases;
use crate::{START, attempt, contract, parked, start_on, with};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, rows, texts};
use verdict_tests::service::Service;

/// The amounts charged for a case and what they are a share of, in the order of the ledger.
async fn charges(db: &DatabaseConnection, case: &str) -> Vec<(i64, i64)> {
    let sql = format!("SELECT amount_nanos, value_nanos FROM charges WHERE case_id = '{case}' ORDER BY seq");
    let row =
        |row: &sea_orm::QueryResult| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
    rows(db, &sql).await.iter().map(row).collect()
}

/// A confirmation of a case, so many hours after [`START`].
fn confirmed(case: &str, hours: i64, value: Value) -> Value {
    json!({
        "id": format!("{case}-{hours}"), "customer": "acme", "case": case, "kind": "confirmed",
        "occurred_at": rfc3339(START + hours * HOUR), "value": value,
    })
}

async fn rejected(service: &Service, path: &str, body: &Value) -> String {
    let response = service.try_post(path, body).await.unwrap();
    crate::problem(response, 422).await
}

#[tokio::test]
async fn an_outcome_costs_a_share_of_its_value() {
    for (name, url) in databases("value").await {
        let service = start_on(&name, &url).await;
        let db = connect(&url).await;
        let share =
            json!([{ "action": "support.resolution", "share": "20", "at_least": "1", "at_most": "50" }]);
        let contract = with(&with(&contract("acme"), "/currency", json!("EUR")), "/prices", share);
        service.post("/v1/contracts", &contract).await;
        let euros = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
        let told = [
            ("a-1", euros("120")),
            ("a-2", euros("3.10")),
            ("a-3", euros("410")),
            ("a-4", Value::Null),
            ("a-5", json!({ "amount": "120", "currency": "USD" })),
            ("a-6", euros("1")),
        ];
        for (case, value) in &told {
            service.post("/v1/attempts", &with(&attempt("acme", case), "/value", value.clone())).await;
        }
        service.move_clock(START + 2 * HOUR).await;
        for (case, _) in &told[..5] {
            service.post("/v1/resolutions", &confirmed(case, 2, Value::Null)).await;
        }
        // A number whose digits a float does not hold: read as one it would be 10.000000003.
        let webhook = |value: &str| {
            let (at, case) = (rfc3339(START + 2 * HOUR), r#""customer":"acme","case":"a-6""#);
            format!(
                r#"{{"type":"resolution.confirmed","timestamp":"{at}","data":{{{case},"value":{value}}}}}"#
            )
        };
        let digits = webhook(r#"{"amount":10.000000002499999999,"currency":"EUR"}"#);
        for (id, body) in [("m-1", &digits), ("m-2", &webhook(r#"{"amount":10}"#))] {
            assert_eq!(service.try_webhook(id, body, START + 2 * HOUR).await.unwrap().status(), 202);
        }
        service.move_clock(START + 3 * DAY).await;

        const UNIT: i64 = 1_000_000_000;
        assert_eq!(charges(&db, "a-1").await, [(24 * UNIT, 120 * UNIT)], "{name}");
        assert_eq!(charges(&db, "a-2").await, [(UNIT, 31 * UNIT / 10)], "at least");
        assert_eq!(charges(&db, "a-3").await, [(50 * UNIT, 410 * UNIT)], "at most");
        assert_eq!(charges(&db, "a-6").await, [(2 * UNIT, 10 * UNIT + 2)], "the last that is told, exactly");
        let parked_now = parked(&service).await;
        let reasons: Vec<&str> = parked_now.iter().map(|parked| parked["reason"].as_str().unwrap()).collect();
        let remedies = reasons.iter().filter(|reason| {
            reason.contains("send a resolution `confirmed` of this case with a `value` in EUR")
        });
        assert_eq!((remedies.count(), reasons.len()), (2, 3), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.contains("currency of its value")), "{reasons:?}");
        assert_eq!(charges(&db, "a-4").await, []);

        // What was not told is told late: a correction, and the outcome is charged anew. So with what was told otherwise.
        for (case, hours, amount) in [("a-4", 3, "100"), ("a-5", 3, "100"), ("a-1", 4, "60")] {
            service.post("/v1/resolutions", &confirmed(case, hours, euros(amount))).await;
        }
        // After it settled at 26 h, it is too late.
        service.post("/v1/resolutions", &confirmed("a-3", 27, euros("5"))).await;
        service.move_clock(START + 3 * DAY + HOUR).await;
        for case in ["a-4", "a-5"] {
            assert_eq!(charges(&db, case).await, [(20 * UNIT, 100 * UNIT)], "{name} {case}");
            let kinds = format!("SELECT kind FROM outcomes WHERE case_id = '{case}' ORDER BY seq");
            assert_eq!(texts(&db, &kinds).await, ["charge", "correction", "charge"]);
        }
        let corrected = [(24 * UNIT, 120 * UNIT), (-24 * UNIT, -120 * UNIT), (12 * UNIT, 60 * UNIT)];
        assert_eq!(charges(&db, "a-1").await, corrected);
        assert_eq!(charges(&db, "a-3").await.len(), 1);
        assert_eq!(parked(&service).await.len(), 1, "only the delivery without a currency");
        let case = service.get_json("/v1/cases/acme/a-1").await;
        let sentence = case["episodes"][0]["sentence"].as_str().unwrap();
        assert!(sentence.contains("worth 60.00 EUR by `api:a-1-4`"), "{sentence}");

        let nobody = |value: Value| with(&confirmed("a-1", 5, value), "/id", json!("none"));
        for (value, field) in [
            (euros("-1"), "value.amount: "),
            (euros("1e3"), "value.amount: "),
            (euros("100000000"), "value.amount: "),
            (json!({ "amount": "1", "currency": "EURO" }), "value.currency: "),
        ] {
            let attempt = with(&attempt("acme", "none"), "/value", value.clone());
            for (path, body) in [("/v1/resolutions", nobody(value)), ("/v1/attempts", attempt)] {
                let detail = rejected(&service, path, &body).await;
                assert!(detail.starts_with(field), "{path}: {detail}");
            }
        }
        let failed = with(&nobody(euros("1")), "/kind", json!("failed"));
        assert!(rejected(&service, "/v1/resolutions", &failed).await.starts_with("value: "));
    }
}
