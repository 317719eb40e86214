//! Disputes: raised against what is charged, decided once, and money moved only by an accepted one.

use crate::{START, attempt, contract, folder, names, problem, start_on, with};
use reqwest::Response;
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, texts};
use verdict_tests::service::{Service, Setup};

/// Confirmed two hours after the start, charged a day later.
async fn charged(service: &Service, cases: &[&str]) {
    service.post("/v1/contracts", &contract("acme")).await;
    for case in cases {
        service.post("/v1/attempts", &attempt("acme", case)).await;
    }
    service.move_clock(START + 2 * HOUR).await;
    for case in cases {
        let confirmed = json!({
            "id": format!("r-{case}"), "customer": "acme", "case": case, "kind": "confirmed",
            "occurred_at": rfc3339(START + 2 * HOUR),
        });
        service.post("/v1/resolutions", &confirmed).await;
    }
    service.move_clock(START + 2 * DAY).await;
}

fn dispute(id: &str, case: &str) -> Value {
    json!({ "id": id, "customer": "acme", "case": case, "reason": "it was our own people" })
}

fn decision(id: &str, case: &str) -> Value {
    json!({ "customer": "acme", "case": case, "dispute": id, "reason": "we looked", "author": "Kim" })
}

async fn post(service: &Service, path: &str, body: &Value) -> Response {
    service.try_post(&format!("/v1/disputes{path}"), body).await.unwrap()
}

/// Takes the answer of one that is recorded (201) or was before (200).
async fn taken(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], if status == 201 { "recorded" } else { "duplicate" }, "{body}");
    (status, body["id"].as_str().unwrap().into())
}

/// What stands in the ledger of a case, with its price in nanos.
async fn ledger(db: &DatabaseConnection, case: &str) -> Vec<String> {
    let sql = format!(
        "SELECT o.kind || ' ' || CAST(c.amount_nanos AS TEXT) FROM outcomes o JOIN charges c \
         ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq WHERE o.case_id = '{case}' ORDER BY o.seq"
    );
    texts(db, &sql).await
}

async fn verdict(service: &Service, case: &str) -> String {
    let case = service.get_json(&format!("/v1/cases/acme/{case}")).await;
    case["verdict"].as_str().unwrap().into()
}

async fn raised_and_decided(name: &str, database_url: &str) {
    let service = start_on(name, database_url).await;
    let db = connect(database_url).await;
    charged(&service, &["a-1", "a-2", "a-3"]).await;
    let raise = async |body: &Value| post(&service, "", body).await;
    for (field, value) in [
        ("/reason", json!("")),
        ("/reason", json!("x".repeat(513))),
        ("/reason", Value::Null),
        ("/id", json!("")),
        ("/id", json!("decision:operator:d-1")),
        ("/case", json!("a\n")),
        ("/colour", json!("red")),
    ] {
        let detail = problem(raise(&with(&dispute("d-0", "a-1"), field, value)).await, 422).await;
        assert!(names(&detail, field.trim_start_matches('/')), "{field}: {detail}");
    }
    let mut without = dispute("d-0", "a-1");
    without.as_object_mut().unwrap().remove("reason");
    assert!(names(&problem(raise(&without).await, 422).await, "reason"));
    for (body, field) in [
        (dispute("d-0", "a-9"), "case"),
        (with(&dispute("d-0", "a-1"), "/customer", json!("nobody")), "case"),
        (with(&dispute("d-0", "a-1"), "/episode", json!("api:none")), "episode"),
    ] {
        assert!(names(&problem(raise(&body).await, 404).await, field), "{body}");
    }
    // Raised, raised again, and only one at a time.
    assert_eq!(taken(raise(&dispute("d-1", "a-1")).await).await, (201, "operator:d-1".into()));
    assert_eq!(taken(raise(&dispute("d-1", "a-1")).await).await, (200, "operator:d-1".into()));
    assert!(problem(raise(&dispute("d-2", "a-1")).await, 409).await.contains("open already"));
    let named = with(&with(&dispute("d-2", "a-2"), "/episode", json!("start")), "/author", json!("Ada"));
    assert_eq!(taken(raise(&named).await).await.0, 201);
    service.move_clock(START + 2 * DAY + HOUR).await;
    assert_eq!(verdict(&service, "a-1").await, "confirmed", "an open dispute takes nothing");
    let open = service.get_json("/v1/disputes?open=true").await;
    let shown = |dispute: &Value, field: &str| dispute[field].as_str().unwrap_or_default().to_string();
    let authors: Vec<_> = open.as_array().unwrap().iter().map(|dispute| shown(dispute, "author")).collect();
    assert_eq!(authors, ["key:test", "Ada (key:test)"]);
    assert_eq!([&open[0]["id"], &open[0]["state"], &open[0]["episode"]], ["operator:d-1", "open", "start"]);

    // Decided, decided again, and not otherwise.
    assert!(names(
        &problem(post(&service, "/accept", &decision("operator:d-9", "a-1")).await, 404).await,
        "dispute"
    ));
    problem(post(&service, "/accept", &decision("operator:d-1", "a-2")).await, 404).await;
    problem(
        post(&service, "/accept", &with(&decision("operator:d-1", "a-1"), "/reason", json!(""))).await,
        422,
    )
    .await;
    for (path, other, id, case) in
        [("/accept", "/reject", "operator:d-1", "a-1"), ("/reject", "/accept", "operator:d-2", "a-2")]
    {
        assert_eq!(taken(post(&service, path, &decision(id, case)).await).await.0, 201);
        assert_eq!(taken(post(&service, path, &decision(id, case)).await).await.0, 200);
        assert!(
            problem(post(&service, other, &decision(id, case)).await, 409).await.contains("decided already")
        );
    }
    service.move_clock(START + 3 * DAY).await;
    assert_eq!([verdict(&service, "a-1").await, verdict(&service, "a-2").await], ["void", "confirmed"]);
    assert_eq!(ledger(&db, "a-1").await, ["charge 990000000", "void -990000000"]);
    assert_eq!(ledger(&db, "a-2").await, ["charge 990000000"]);
    assert_eq!(service.get_json("/v1/disputes?open=true").await, json!([]));
    let all = service.get_json("/v1/disputes").await;
    let states: Vec<_> =
        all.as_array().unwrap().iter().map(|one| (shown(one, "state"), shown(one, "decided_by"))).collect();
    assert_eq!(
        states,
        [("accepted".into(), "Kim (key:test)".into()), ("rejected".into(), "Kim (key:test)".into())]
            as [(String, String); 2]
    );
    // There is nothing left to dispute of the one; the other may be disputed once more.
    problem(raise(&dispute("d-3", "a-1")).await, 404).await;
    assert_eq!(taken(raise(&dispute("d-3", "a-2")).await).await.0, 201);
    let facts = "SELECT kind || ' ' || strength || ' ' || author || ' ' || reason FROM resolutions \
                 WHERE about IS NOT NULL AND case_id = 'a-1' ORDER BY kind";
    assert_eq!(
        texts(&db, facts).await,
        [
            "dispute_accepted operator Kim (key:test) we looked",
            "disputed operator key:test it was our own people"
        ]
    );

    // A month later, on the invoice: its window is open for thirty days.
    let invoiced = START + 34 * DAY;
    service.move_clock(invoiced).await;
    assert_eq!(service.get_json("/v1/invoices").await[0]["total"], "1.98");
    service.move_clock(invoiced + 30 * DAY).await;
    assert_eq!(taken(raise(&dispute("d-4", "a-3")).await).await.0, 201);
    service.move_clock(invoiced + 30 * DAY + 1).await;
    assert_eq!(taken(post(&service, "/reject", &decision("operator:d-3", "a-2")).await).await.0, 201);
    let detail = problem(raise(&dispute("d-5", "a-2")).await, 409).await;
    assert!(detail.contains("could be disputed until 2026-12-04T00:00:00Z"), "{detail}");
    // What was raised in time may be accepted later, and is taken back on the next invoice.
    service.move_clock(invoiced + 40 * DAY).await;
    assert_eq!(taken(post(&service, "/accept", &decision("operator:d-4", "a-3")).await).await.0, 201);
    service.move_clock(START + 34 * DAY + 62 * DAY).await;
    assert_eq!(ledger(&db, "a-3").await, ["charge 990000000", "void -990000000"]);
    let totals = "SELECT CAST(total_minor AS TEXT) FROM invoices ORDER BY drafted_at";
    assert_eq!(texts(&db, totals).await, ["198", "-99"]);
}

#[tokio::test]
async fn a_dispute_is_raised_in_its_window_and_decided_once_on_sqlite() {
    raised_and_decided("disputes-sqlite", &fresh_sqlite(&folder("disputes-sqlite"))).await;
}

#[tokio::test]
async fn a_dispute_is_raised_in_its_window_and_decided_once_on_postgres() {
    raised_and_decided("disputes-postgres", &fresh_postgres("doors_disputes").await).await;
}

#[tokio::test]
async fn a_platform_s_own_dispute_waits_for_a_decision_like_any_other() {
    let database_url = fresh_sqlite(&folder("disputes-platform"));
    let service = start_on("disputes-platform", &database_url).await;
    charged(&service, &["a-1"]).await;
    let now = START + 2 * DAY;
    let body = json!({
        "type": "resolution.disputed", "timestamp": rfc3339(now),
        "data": { "customer": "acme", "case": "a-1", "reason": "thumbs down" },
    });
    assert_eq!(service.try_webhook("msg-1", &body.to_string(), now).await.unwrap().status(), 202);
    service.move_clock(now + HOUR).await;
    assert_eq!(verdict(&service, "a-1").await, "confirmed");
    let open = service.get_json("/v1/disputes?open=true").await;
    assert_eq!(
        [&open[0]["id"], &open[0]["reason"], &open[0]["author"]],
        [&json!("support:msg-1"), &json!("thumbs down"), &Value::Null]
    );
    let listed = service.command(&["disputes", "list", "--open"]);
    assert!(
        listed.contains("support:msg-1  open") && listed.contains("by the platform: thumbs down"),
        "{listed}"
    );
    problem(post(&service, "", &dispute("d-1", "a-1")).await, 409).await;
    assert_eq!(taken(post(&service, "/accept", &decision("support:msg-1", "a-1")).await).await.0, 201);
    service.move_clock(now + 2 * HOUR).await;
    assert_eq!(verdict(&service, "a-1").await, "void");
    assert_eq!(ledger(&connect(&database_url).await, "a-1").await, ["charge 990000000", "void -990000000"]);
    assert_eq!(service.command(&["disputes", "list", "--open"]), "");
}

/// The command line goes by the wall clock, so the service does too.
#[tokio::test]
async fn disputes_are_raised_and_decided_by_the_command_line() {
    let database_url = fresh_sqlite(&folder("disputes-command"));
    let service = Service::start(Setup::new(&database_url), &folder("disputes-command")).await;
    let long_ago = "2026-03-02T10:15:00Z";
    let early = with(&contract("acme"), "/effective_from", json!("2026-01-01T00:00:00Z"));
    service.post("/v1/contracts", &early).await;
    let attempt = with(&attempt("acme", "a-1"), "/started_at", json!(long_ago));
    service.post("/v1/attempts", &with(&attempt, "/ended_at", json!(long_ago))).await;
    let confirmed = json!({ "id": "r-1", "customer": "acme", "case": "a-1", "kind": "confirmed", "occurred_at": long_ago });
    service.post("/v1/resolutions", &confirmed).await;
    service.wait_until_idle(std::time::Duration::from_secs(10)).await;
    assert_eq!(verdict(&service, "a-1").await, "confirmed");
    let why = ["--reason", "it was our own people", "--author", "Kim"];
    let run = |arguments: &[&str]| {
        let output = service.try_command(&[&["disputes"], arguments, &why].concat());
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    assert_eq!(run(&["raise", "acme", "a-1", "--id", "d-1"]), (true, "recorded as operator:d-1\n".into()));
    assert_eq!(
        run(&["raise", "acme", "a-1", "--id", "d-1"]),
        (true, "operator:d-1 is there already\n".into())
    );
    let (done, said) = run(&["raise", "acme", "a-1", "--id", "d-2"]);
    assert!(!done && said.contains("open already"), "{said}");
    assert!(run(&["raise", "acme", "a-9", "--id", "d-2"]).1.contains("is not there"));
    let no_reason = service.try_command(&["disputes", "raise", "acme", "a-1", "--id", "d-2"]);
    assert!(String::from_utf8_lossy(&no_reason.stderr).contains("--reason"));
    assert!(run(&["accept", "acme", "a-1", "operator:d-9"]).1.contains("verdict disputes list"));
    assert!(run(&["accept", "acme", "a-1", "operator:d-1"]).0);
    assert!(run(&["reject", "acme", "a-1", "operator:d-1"]).1.contains("decided already"));
    service.wait_until_idle(std::time::Duration::from_secs(10)).await;
    assert_eq!(verdict(&service, "a-1").await, "void");
    let db = connect(&database_url).await;
    let authors = texts(&db, "SELECT author FROM resolutions WHERE about IS NOT NULL ORDER BY kind").await;
    assert_eq!(authors, ["Kim (command line)", "Kim (command line)"]);
    assert!(service.command(&["disputes", "list"]).contains("operator:d-1  accepted  start"));
}
