//! A provider's own bill: imported once, the newest of a day counts, held against what was recorded.

use crate::{START, attempt, folder, problem, start_on, with};
use reqwest::Response;
use serde_json::{Value, json};
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number};
use verdict_tests::service::Service;

const HEADER: &str =
    "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,line_item,project_id\n";
/// What two attempts of gpt-4o cost: 1,000 tokens in and 200 out at 2.50 and 10.00 USD per million.
const TWO: i64 = 9_000_000;

/// A row of OpenAI's export, of the first day.
fn row(amount: &str, line: &str) -> String {
    let from = START / 1_000_000;
    format!(
        "{from},{},2026-10-01T00:00:00+00:00,2026-10-02T00:00:00+00:00,{amount},usd,\"{line}\",\n",
        from + 86_400
    )
}

async fn post(service: &Service, query: &str, file: &str) -> Response {
    service.post_bytes(&format!("/v1/provider-bills?{query}"), "text/csv", file.into()).await
}

async fn imported(service: &Service, query: &str, file: &str, status: u16) -> Value {
    let response = post(service, query, file).await;
    assert_eq!(response.status(), status);
    response.json().await.unwrap()
}

async fn report(service: &Service, more: &str) -> Value {
    let path = "/v1/reports/provider-bill?provider=openai&from=2026-10-01&to=2026-10-04&tolerance_percent=0&tolerance_amount=0";
    service.get_json(&format!("{path}{more}")).await
}

fn sums(row: &Value) -> [i64; 5] {
    ["recorded_nanos", "covered_nanos", "missing_nanos", "excess_nanos", "not_billed_nanos"]
        .map(|field| row[field].as_i64().unwrap())
}

async fn recorded(service: &Service) {
    let other = json!([{ "name": "voice", "amount": "0.5", "currency": "USD" }]);
    let at = |id: &str, at: i64| {
        let event = with(&attempt("acme", id), "/started_at", json!(rfc3339(at)));
        with(&event, "/ended_at", json!(rfc3339(at)))
    };
    let attempts = [
        with(&at("a-1", START + HOUR), "/other_costs", other),
        at("a-2", START + DAY - 1_000_000),
        with(&at("a-3", START + HOUR), "/model", json!("house-model-1")),
        at("a-4", START + DAY),
        with(&at("a-5", START + HOUR), "/provider", json!("anthropic")),
    ];
    service.move_clock(START + 2 * DAY).await;
    service.post("/v1/attempts", &json!(attempts)).await;
    service.wait_until_idle(Duration::from_secs(30)).await;
}

async fn a_bill_is_held_against_what_was_recorded(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    recorded(&service).await;

    // Before any bill: that is not a bill of nothing.
    let none = report(&service, "").await;
    assert_eq!(sums(&none["totals"][0]), [0, 0, 0, 0, TWO + TWO / 2]);
    assert_eq!(
        (&none["totals"][0]["agreement"], &none["totals"][0]["billed_nanos"]),
        (&json!("not_billed"), &Value::Null)
    );

    // A row that cannot be read: nothing is imported.
    for (bad, reason) in [
        (
            row("0.009", "gpt-4o, input") + &row("much", "gpt-4o"),
            "line 3: column `amount_value`: `much` is not a decimal",
        ),
        (row("0.009", "gpt-4o").replace("2026-10-01T", "1 Oct "), "line 2: column `start_time_iso`"),
    ] {
        let detail = problem(post(&service, "provider=openai", &format!("{HEADER}{bad}")).await, 422).await;
        assert!(detail.starts_with(reason), "{detail}");
    }
    let detail = problem(post(&service, "", HEADER).await, 422).await;
    assert!(detail.starts_with("provider: "), "{detail}");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM provider_bills").await, 0);

    // The bill of the first day, under the name of a snapshot, in two lines.
    let first = format!(
        "{HEADER}{}{}",
        row("0.005000000000000000000000", "gpt-4o-2024-08-06, input"),
        row("0.004", "gpt-4o-2024-08-06, output")
    );
    let said = imported(&service, "provider=openai&file=october.csv", &first, 201).await;
    assert_eq!(
        (&said["status"], &said["lines"], &said["to"]),
        (&json!("imported"), &json!(2), &json!("2026-10-02"))
    );
    assert_eq!(said.get("differs"), None, "by day it agrees: {said}");
    let bill = report(&service, "").await;
    let names = |of: &str| {
        bill[of]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["model"].as_str().unwrap().to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (names("only_billed"), names("only_recorded")),
        (vec!["gpt-4o-2024-08-06".into()], vec!["gpt-4o".to_string(), "house-model-1".into()])
    );
    let bill = report(&service, "&model_names=gpt-4o-2024-08-06%3Dgpt-4o").await;
    let total = &bill["totals"][0];
    assert_eq!(
        sums(total),
        [TWO, TWO, 0, 0, TWO / 2],
        "other costs are no model's, nor is another provider's: {bill:#}"
    );
    assert_eq!((&total["agreement"], &total["billed_nanos"]), (&json!("agrees"), &json!(TWO)));
    assert_eq!((&total["attempts"], &total["unknown_cost_attempts"]), (&json!(4), &json!(1)));
    let days: Vec<_> = bill["days"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["day"].clone(), row["agreement"].clone()))
        .collect();
    assert_eq!(days, [(json!("2026-10-01"), json!("agrees")), (json!("2026-10-02"), json!("not_billed"))]);

    // The same file again changes nothing; a later one of the day takes its place, and the alert says by how much it differs.
    let said = imported(&service, "provider=openai&file=again.csv", &first, 200).await;
    assert_eq!(said["status"], "duplicate");
    assert_eq!(number(&db, "SELECT COUNT(*) FROM provider_bills").await, 1);
    let second = format!("{HEADER}{}{}", row("5.009", "gpt-4o, output"), row("-1", ""));
    let said = imported(&service, "provider=openai", &second, 201).await;
    assert!(
        said["differs"].as_str().unwrap().contains("4.009 USD billed, 0.009 USD recorded: 4.00 USD missing"),
        "{said}"
    );
    let bill = report(&service, "").await;
    assert_eq!(sums(&bill["totals"][0]), [TWO, TWO - 1_000_000_000, 5_000_000_000, 1_000_000_000, TWO / 2]);
    let counting: Vec<_> = bill["bills"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["file"].clone(), one["counting_days"].clone()))
        .collect();
    assert_eq!(
        counting,
        [(json!("-"), json!(1)), (json!("october.csv"), json!(0))],
        "the older one stays listed"
    );
    let alerts = service.get_json("/v1/alerts").await;
    let raised = |alerts: &Value| {
        let open = |alert: &&Value| alert["kind"] == "provider_bill" && alert["cleared_at"].is_null();
        alerts.as_array().unwrap().iter().filter(open).count()
    };
    assert_eq!(raised(&alerts), 1, "{alerts}");

    // By the command line, with columns that are named.
    let third = "When,Note,Model,Cost\n2026-10-01,x,gpt-4o,0.009\n";
    let command = [
        "provider-bill",
        "import",
        "-",
        "--provider",
        "openai",
        "--columns",
        "day=When,model=Model,amount=Cost",
        "--currency",
        "USD",
    ];
    let output = service.try_command_with(&command, third);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(
        output.status.success() && said.contains("imported: 1 lines of openai") && said.contains("agrees"),
        "{said}"
    );
    assert_eq!(raised(&service.get_json("/v1/alerts").await), 0, "the alert is over");
    let output = service.try_command_with(&command, &third.replace("0.009", "0,009"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("line 2: has 5 cells, the header 4: nothing was imported"),
        "{said}"
    );
    assert_eq!(service.command(&["provider-bill", "list"]).lines().count(), 3);
    let asked =
        ["report", "provider-bill", "--provider", "openai", "--from", "2026-10-01", "--to", "2026-10-03"];
    let table = service.command(&asked);
    assert!(
        table.contains("2026-10-01  USD") && table.contains("not_billed") && !table.contains("(no model)"),
        "{table}"
    );
    let csv = service.command(&[&asked[..], &["--format", "csv"]].concat());
    assert!(csv.contains("2026-10-01,gpt-4o,USD,agrees,0.009,0.009,0.009,0.00,0.00,0.00,2,0\r\n"), "{csv}");
    let refused = service.get("/v1/reports/provider-bill?provider=openai&format=pdf").await;
    assert!(problem(refused, 422).await.starts_with("format: "));
    let refused = service.get("/v1/reports/provider-bill").await;
    assert!(problem(refused, 422).await.starts_with("provider: "));
}

#[tokio::test]
async fn a_bill_is_held_against_what_was_recorded_on_sqlite() {
    a_bill_is_held_against_what_was_recorded("bills-sqlite", &fresh_sqlite(&folder("bills-sqlite"))).await;
}

#[tokio::test]
async fn a_bill_is_held_against_what_was_recorded_on_postgres() {
    a_bill_is_held_against_what_was_recorded("bills-postgres", &fresh_postgres("doors_bills").await).await;
}
