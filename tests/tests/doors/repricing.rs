//! `verdict prices reprice`: what attempts cost under another book is posted as differences, by which the figures move.

use crate::{START, attempt, contract, folder, start_on, with};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use serde_json::{Value, json};
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::Service;

/// The book that is built in; overrides go before it.
const BOOK: &str = "genai-prices/0.2.1";
/// 1,000 tokens in and 200 out of gpt-4o at 2.50 and 10.00 USD per million.
const LISTED: i64 = 4_500_000;
/// The same at 5 and 10.
const DEARER: i64 = 7_000_000;
/// The same of the house's own model, at 1 and 2.
const HOUSE: i64 = 1_400_000;

fn reprice(service: &Service, more: &[&str]) -> (bool, String) {
    let all = [
        "prices",
        "reprice",
        "--book",
        BOOK,
        "--from",
        "2026-10-01",
        "--to",
        "2026-10-02",
        "--author",
        "ada",
    ];
    let output = service.try_command(&[&all, more].concat());
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

fn price(service: &Service, id: &str, model: &str, input: &str, output: &str) {
    let all = [
        "prices",
        "override",
        "--id",
        id,
        "--provider",
        "openai",
        "--model",
        model,
        "--from",
        "2026-01-01T00:00:00Z",
    ];
    service.command(&[&all[..], &["--input", input, "--output", output]].concat());
}

/// Known and unknown costs, what is known and pending of them by the figures, and by the attempts and their changes.
async fn costs(service: &Service, db: &DatabaseConnection) -> (i64, i64) {
    service.wait_until_idle(Duration::from_secs(120)).await;
    let report = service.get_json("/v1/reports/failure-cost?from=2026-10-01&to=2026-10-02&by=model").await;
    let total = report["totals"].as_array().unwrap().iter().find(|row| row["currency"] == "USD").unwrap();
    let (cost, unknown) =
        (total["cost_nanos"].as_i64().unwrap(), total["unknown_cost_attempts"].as_i64().unwrap());
    let end = START + DAY;
    let raw = format!(
        "SELECT CAST(SUM(COALESCE(model_cost_nanos, 0) + other_cost_nanos) AS BIGINT) \
         + (SELECT CAST(COALESCE(SUM(difference_nanos), 0) AS BIGINT) FROM cost_changes) FROM attempts WHERE ended_at < {end}"
    );
    assert_eq!(cost, number(db, &raw).await, "the figures are the raw sums of costs and changes");
    let open = format!(
        "SELECT COUNT(*) FROM attempts a WHERE model_cost_nanos IS NULL AND ended_at < {end} AND NOT EXISTS \
         (SELECT 1 FROM cost_changes h WHERE h.customer = a.customer AND h.attempt_id = a.id)"
    );
    assert_eq!(unknown, number(db, &open).await);
    let said = service.try_command(&["reconcile", "--format", "json"]);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    (cost, unknown)
}

async fn recorded(service: &Service) {
    let usage = json!([{ "action": "support.resolution", "percent": "20", "beside_outcomes": true }]);
    service.post("/v1/contracts", &with(&contract("acme"), "/usage", usage)).await;
    let house = |id: &str| with(&attempt("acme", id), "/model", json!("house-model-1"));
    let reported = with(&house("a-3"), "/reported_cost", json!({ "amount": "0.0123", "currency": "USD" }));
    let mut uncounted = house("a-4");
    uncounted.as_object_mut().unwrap().remove("usage");
    let told = with(
        &house("a-2"),
        "/other_costs",
        json!([{ "name": "voice", "amount": "0.01", "currency": "USD" }]),
    );
    let nobodys = with(&attempt("acme", "a-5"), "/model", json!("nobodys-model"));
    let later = with(
        &with(&house("a-6"), "/started_at", json!(rfc3339(START + DAY))),
        "/ended_at",
        json!(rfc3339(START + DAY)),
    );
    let attempts = [attempt("acme", "a-1"), told, reported, uncounted, nobodys, later];
    service.post("/v1/attempts", &json!(attempts)).await;
}

async fn costs_are_repriced(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    recorded(&service).await;
    service.move_clock(START + DAY).await;
    let at_first = 10_000_000 + 12_300_000 + LISTED;
    assert_eq!(costs(&service, &db).await, (at_first, 3));
    let before = "SELECT customer || id || COALESCE(model_cost_nanos, -1) || COALESCE(price_source, '-') FROM attempts ORDER BY id";
    let attempts = texts(&db, before).await;
    let used = "SELECT attempt_id || COALESCE(cost_nanos, -1) FROM usage ORDER BY attempt_id";
    let charged = texts(&db, used).await;
    assert_eq!(charged.len(), 6, "all are charged as usage: {charged:?}");

    // The book has no price: nothing would change.
    let (_, said) = reprice(&service, &["--yes"]);
    assert!(said.contains("nothing to change") && said.contains("1 without a price"), "{said}");
    price(&service, "o-1", "house-model-1", "1", "2");
    price(&service, "o-2", "gpt-4o", "5", "10");
    // Looked at, nothing is posted.
    let (done, said) = reprice(&service, &[]);
    assert!(done && said.contains("nothing was posted: with --yes it is"), "{said}");
    let house = "openai  house-model-1  3 attempts: 0.00 USD before, 0.0014 USD after; 1 change, 1 newly known, 1 without a price, 1 reported";
    assert!(said.contains(house), "{said}");
    assert!(
        said.contains(
            "openai  gpt-4o  1 attempts: 0.0045 USD before, 0.007 USD after; 1 change, 0 newly known"
        ),
        "{said}"
    );
    assert_eq!(number(&db, "SELECT COUNT(*) FROM cost_changes").await, 0);
    assert_eq!(number(&db, "SELECT COUNT(*) FROM repricings").await, 0);

    // What is unknown becomes known, and the figures move by just that.
    let (done, said) = reprice(&service, &["--only-unknown", "--yes"]);
    assert!(done && said.contains("1 attempts, of which 1 were of unknown cost, +0.0014 USD"), "{said}");
    assert_eq!(costs(&service, &db).await, (at_first + HOUSE, 2));
    let unknown = service.command(&["report", "unknown-costs"]);
    assert!(
        unknown.contains("house-model-1  2 attempts"),
        "one was not counted, one is of the day after: {unknown}"
    );

    // A filter takes nothing else; and twice is once.
    let (_, said) = reprice(&service, &["--model", "gpt-4o", "--customer", "nobody", "--yes"]);
    assert!(said.contains("nothing to change"), "{said}");
    for (told, changes) in
        [("1 attempts, of which 0 were of unknown cost, +0.0025 USD", 2), ("nothing to change", 2)]
    {
        let (done, said) = reprice(&service, &["--yes"]);
        assert!(done && said.contains(told), "{said}");
        assert_eq!(number(&db, "SELECT COUNT(*) FROM cost_changes").await, changes);
        assert_eq!(costs(&service, &db).await, (at_first + HOUSE + DEARER - LISTED, 2));
    }
    let listed = service.command(&["prices", "repricings"]);
    assert!(
        listed.lines().count() == 2
            && listed.contains("only unknown costs")
            && listed.contains("by ada, finished"),
        "{listed}"
    );

    // The case tells what was recorded, and what was changed by whom.
    let case = service.get_json("/v1/cases/acme/a-1").await;
    let told = &case["timeline"][0]["attempt"];
    assert_eq!(
        (&told["model_cost"]["nanos"], &told["recorded_model_cost"]["nanos"]),
        (&json!(DEARER), &json!(LISTED))
    );
    let change = &told["cost_changes"][0];
    assert_eq!(
        (&change["difference"]["nanos"], &change["by"], &change["book"]),
        (&json!(DEARER - LISTED), &json!("ada"), &json!(BOOK))
    );
    assert_eq!(change["price_source"], "override:o-2");
    let explained = service.command(&["explain", "acme", "a-1"]);
    assert!(explained.contains("recorded as 0.0045 USD by genai-prices/0.2.1#"), "{explained}");
    assert!(
        explained.contains("repriced by +0.0025 USD by override:o-2 on 2026-10-02 00:00 UTC by `ada`"),
        "{explained}"
    );

    // Won, settled, and taken back: the cost goes with it as it is now.
    for (id, kind, at) in [("r-1", "confirmed", 2 * HOUR), ("r-2", "reopened", 3 * DAY)] {
        service.move_clock(START + at + DAY).await;
        let resolution = json!({ "id": id, "customer": "acme", "case": "a-1", "kind": kind, "occurred_at": rfc3339(START + at + DAY) });
        service.post("/v1/resolutions", &resolution).await;
        service.wait_until_idle(Duration::from_secs(60)).await;
        service.move_clock(START + at + 3 * DAY).await;
    }
    service.wait_until_idle(Duration::from_secs(60)).await;
    let lost = "SELECT CAST(SUM(cost_nanos) AS BIGINT) FROM daily_figures WHERE bucket = 'lost' AND model = 'gpt-4o'";
    assert_eq!(number(&db, lost).await, DEARER);
    assert_eq!(costs(&service, &db).await, (at_first + HOUSE + DEARER - LISTED, 2));

    // The attempts, and what customers are charged for them, are as they were.
    assert_eq!(texts(&db, before).await, attempts);
    assert_eq!(texts(&db, used).await, charged);

    // And back: what is cheaper now is a difference too.
    price(&service, "o-3", "gpt-4o", "2.5", "10");
    let (done, said) = reprice(&service, &["--provider", "openai", "--model", "gpt-4o", "--yes"]);
    assert!(done && said.contains("-0.0025 USD"), "{said}");
    assert_eq!(costs(&service, &db).await, (at_first + HOUSE, 2));

    for (more, reason) in [
        (&["--to", "2026-10-01"][..], "to: is not after from"),
        (&["--book", "nobodys/1"][..], "there is no price book `nobodys/1`"),
    ] {
        let mut wanted = ["prices", "reprice", "--book", BOOK, "--from", "2026-10-01", "--to", "2026-10-02"];
        let at = wanted.iter().position(|word| *word == more[0]).unwrap();
        wanted[at + 1] = more[1];
        let output = service.try_command(&wanted);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn costs_are_repriced_on_sqlite() {
    costs_are_repriced("reprice-sqlite", &fresh_sqlite(&folder("reprice-sqlite"))).await;
}

#[tokio::test]
async fn costs_are_repriced_on_postgres() {
    costs_are_repriced("reprice-postgres", &fresh_postgres("doors_reprice").await).await;
}

/// Has the database fail at one attempt, as if the power went in the middle.
async fn break_at(db: &DatabaseConnection, attempt: &str) {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => format!(
            "CREATE TRIGGER broken BEFORE INSERT ON cost_changes WHEN NEW.attempt_id = '{attempt}' \
             BEGIN SELECT RAISE(ABORT, 'the power went'); END"
        ),
        _ => format!(
            "CREATE FUNCTION broken() RETURNS trigger AS $$ BEGIN IF NEW.attempt_id = '{attempt}' THEN \
             RAISE EXCEPTION 'the power went'; END IF; RETURN NEW; END $$ LANGUAGE plpgsql; \
             CREATE TRIGGER broken BEFORE INSERT ON cost_changes FOR EACH ROW EXECUTE FUNCTION broken()"
        ),
    };
    db.execute_unprepared(&sql).await.unwrap();
}

async fn mend(db: &DatabaseConnection) {
    let sql = match db.get_database_backend() {
        DbBackend::Sqlite => "DROP TRIGGER broken",
        _ => "DROP TRIGGER broken ON cost_changes",
    };
    db.execute_unprepared(sql).await.unwrap();
}

/// Broken off in its second part: the first is posted whole, the second not at all; run again it is finished, once.
async fn what_was_broken_off_goes_on(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    let attempts: Vec<Value> = (0..2_500)
        .map(|n| with(&attempt("acme", &format!("k-{n:04}")), "/model", json!("house-model-1")))
        .collect();
    service.post("/v1/attempts", &json!(attempts)).await;
    service.move_clock(START + DAY).await;
    price(&service, "o-1", "house-model-1", "1", "2");
    break_at(&db, "k-1500").await;
    let (done, said) = reprice(&service, &["--yes"]);
    assert!(!done && said.contains("the power went"), "{said}");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM cost_changes").await, 1_000);
    assert_eq!(costs(&service, &db).await, (1_000 * HOUSE, 1_500), "half posted, and the figures say so");
    assert!(service.command(&["prices", "repricings"]).contains("not finished: run it again"));

    mend(&db).await;
    // What is left is half of it, and goes under the same repricing.
    let (done, said) = reprice(&service, &["--yes"]);
    assert!(done && said.contains("1500 attempts, of which 1500 were of unknown cost, +2.10 USD"), "{said}");
    assert_eq!(costs(&service, &db).await, (2_500 * HOUSE, 0));
    let sums = "SELECT id || attempts || ' ' || newly_known || ' ' || difference_nanos FROM repricings WHERE finished_at IS NOT NULL";
    let sums = texts(&db, sums).await;
    assert!(sums.len() == 1 && sums[0].ends_with("2500 2500 3500000000"), "{sums:?}");
    let (_, said) = reprice(&service, &["--yes"]);
    assert!(said.contains("nothing to change"), "{said}");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM repricings").await, 1);
}

#[tokio::test]
async fn what_was_broken_off_goes_on_on_sqlite() {
    what_was_broken_off_goes_on("reprice-broken", &fresh_sqlite(&folder("reprice-broken"))).await;
}

#[tokio::test]
async fn what_was_broken_off_goes_on_on_postgres() {
    what_was_broken_off_goes_on("reprice-broken-pg", &fresh_postgres("doors_reprice_broken").await).await;
}
