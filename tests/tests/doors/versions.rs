//! What each version of the schema left behind goes on under this one, with the figures that it had.

use crate::{START, contract, folder, start_on, with};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use std::time::Duration;
use verdict_migrations::{Migrator, MigratorTrait};
use verdict_oracle::{DAY, HOUR};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite};
use verdict_tests::service::Service;

/// The first version whose rows are written here, and the last: what is newer has its own tests.
const FIRST: usize = 13;
const LAST: &str = "0032";

const ANSWERED: i64 = START + HOUR;
const SETTLED: i64 = START + 25 * HOUR;
const END: i64 = START + 31 * DAY;
const CLOSED: i64 = END + 3 * DAY;

async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{error}\n{sql}"));
}

/// A month of one customer.
struct Month<'a> {
    customer: &'a str,
    contract: Value,
    /// Whether its period is a trial.
    trial: bool,
    /// What its period differs from list prices.
    beyond: i64,
    has_document: bool,
}

impl Month<'_> {
    /// One case: a try that failed, an answer that was confirmed, charged and invoiced; and the period's fee.
    async fn fill(&self, db: &DatabaseConnection, version: &str) {
        let Self { customer, contract, trial, beyond, has_document } = self;
        let (trial, invoice) = (i64::from(*trial), format!("{customer}:2026-10-01T00:00:00Z"));
        run(db, &format!("INSERT INTO contracts VALUES ('{customer}', 1, {START}, '{contract}', {START})"))
            .await;
        let period = "INSERT INTO periods (customer, start_at, end_at, closes_at, contract_version, judge_mark, rate_mark, closed_at";
        let values = format!("('{customer}', {START}, {END}, {CLOSED}, 1, 0, 0, {CLOSED}");
        match version < "0023" {
            true => run(db, &format!("{period}) VALUES {values})")).await,
            false => {
                run(db, &format!("{period}, trial, beyond_list_nanos) VALUES {values}, {trial}, {beyond})"))
                    .await;
            }
        }
        for (id, status, reason, cost, at) in [
            ("failed", "failed", "'timeout'", 1_500_000, ANSWERED - HOUR / 2),
            ("answer", "answered", "NULL", 4_500_000, ANSWERED),
        ] {
            let sql = format!(
                "INSERT INTO attempts (customer, id, case_id, agent, action, provider, model, input_tokens, output_tokens, status, \
                 failure_reason, model_cost_nanos, other_cost_nanos, cost_currency, price_source, started_at, ended_at, recorded_at) \
                 VALUES ('{customer}', '{id}', 'c', 'resolver', 'support.resolution', 'openai', 'gpt-4o', 1000, 200, '{status}', \
                 {reason}, {cost}, 0, 'USD', 'genai-prices', {at}, {at}, {at})"
            );
            run(db, &sql).await;
        }
        let contribution =
            if version < "0027" { ("contribution, ", "'[\"as it was\"]', ") } else { ("", "") };
        let (document, values) = match version < "0016" {
            true => ("", String::new()),
            false => {
                let state = if trial == 1 { "shadow" } else { "final" };
                (", kind, terms, state", format!(", 'invoice', '{{}}', '{state}'"))
            }
        };
        let total = 99 + beyond / 10_000_000;
        for sql in [
            format!(
                "INSERT INTO resolutions (customer, id, case_id, kind, occurred_at, recorded_at, strength) VALUES \
                 ('{customer}', 'api:r', 'c', 'confirmed', {ANSWERED}, {ANSWERED}, 'api')"
            ),
            format!(
                "INSERT INTO cases (customer, case_id, judged_at, verdict, {}episodes) VALUES \
                 ('{customer}', 'c', {CLOSED}, 'confirmed', {}'[]')",
                contribution.0, contribution.1
            ),
            format!(
                "INSERT INTO outcomes (customer, case_id, seq, episode, kind, sign, win, action, agent, model, effective_at, facts, \
                 posted_at) VALUES ('{customer}', 'c', 1, 'start', 'charge', 1, 'confirmed', 'support.resolution', 'resolver', \
                 'gpt-4o', {SETTLED}, '[\"attempt:answer\",\"api:r\"]', {SETTLED})"
            ),
            format!(
                "INSERT INTO charges (customer, case_id, seq, action, win, sign, contract_version, amount_nanos, currency, \
                 effective_at, rated_at, invoice_id, origin_at) VALUES ('{customer}', 'c', 1, 'support.resolution', 'confirmed', 1, \
                 1, 990000000, 'USD', {SETTLED}, {SETTLED}, '{invoice}', {SETTLED})"
            ),
        ] {
            run(db, &sql).await;
        }
        if *has_document {
            let lines = "INSERT INTO invoice_lines (invoice_id, number, action, win, contract_version, quantity, amount_nanos, \
                         amount_minor, period_start, item, why) VALUES";
            for sql in [
                format!(
                    "INSERT INTO invoices (id, customer, period_start, period_end, currency, total_minor, bill_to, drafted_at{document}) \
                     VALUES ('{invoice}', '{customer}', {START}, {END}, 'USD', {total}, '{{\"name\":\"A\",\"email\":\"a@a.example\"}}', \
                     {CLOSED}{values})"
                ),
                format!(
                    "{lines} ('{invoice}', 1, 'support.resolution', 'confirmed', 1, 1, 990000000, 99, {START}, 'outcomes', '1 × 0.99')"
                ),
                format!(
                    "{lines} ('{invoice}', 2, '', '', 1, 1, {beyond}, {}, {START}, 'fee', 'Seats')",
                    beyond / 10_000_000
                ),
            ] {
                run(db, &sql).await;
            }
        }
        self.fill_figures(db, version).await;
    }

    /// The figures as they were kept.
    async fn fill_figures(&self, db: &DatabaseConnection, version: &str) {
        let customer = self.customer;
        let action = "support.resolution";
        // Day, agent, provider, model, action, bucket, reason; attempts, cost, outcomes, revenue.
        let cells = [
            (ANSWERED / DAY, "resolver", "openai", "gpt-4o", action, "won", "-", [1, 4_500_000, 0, 0]),
            (
                ANSWERED / DAY,
                "resolver",
                "openai",
                "gpt-4o",
                action,
                "retry",
                "timeout",
                [1, 1_500_000, 0, 0],
            ),
            (SETTLED / DAY, "resolver", "-", "gpt-4o", action, "confirmed", "-", [0, 0, 1, 0]),
            (SETTLED / DAY, "resolver", "-", "gpt-4o", action, "revenue", "-", [0, 0, 0, 990_000_000]),
            ((END - 1) / DAY, "-", "-", "-", "-", "revenue", "-", [0, 0, 0, self.beyond]),
        ];
        for (nth, (day, agent, provider, model, action, bucket, reason, figures)) in
            cells.into_iter().enumerate()
        {
            let [attempts, cost, outcomes, revenue] = figures;
            if version < "0026" {
                let sql = format!(
                    "INSERT INTO daily_figures VALUES ('{customer}', {day}, '{agent}', '{model}', 'USD', '{bucket}', '{reason}', \
                     {attempts}, 0, {cost}, {outcomes}, {revenue})"
                );
                run(db, &sql).await;
                continue;
            }
            let cell = format!(
                "{day}, '{agent}', '{provider}', '{model}', '{action}', 'USD', '{bucket}', '{reason}'"
            );
            let sql = format!(
                "INSERT INTO daily_figures VALUES ('{customer}', {cell}, {attempts}, 0, {cost}, 0, {outcomes}, {revenue})"
            );
            run(db, &sql).await;
            if version >= "0027" && bucket != "revenue" {
                let sql = format!(
                    "INSERT INTO case_figures VALUES ('{customer}', 'c', {nth}, {cell}, {attempts}, 0, {cost}, 0, {outcomes}, \
                     6000000)"
                );
                run(db, &sql).await;
            }
        }
        if version >= "0027" {
            run(db, &levels(customer)).await;
        }
    }
}

/// The coarser levels, as 0027 began them: which columns each keeps.
const LEVELS: [(&str, &[i64], [&str; 6]); 6] = [
    ("what", &[1, 7], ["", "agent", "provider", "model", "action", ""]),
    ("why", &[1, 7], ["", "agent", "provider", "model", "action", "reason"]),
    ("customer", &[1, 7, 1_000_000], ["customer", "", "", "", "", ""]),
    ("customer_agent", &[1, 7], ["customer", "agent", "", "", "", ""]),
    ("customer_action", &[1, 7], ["customer", "", "", "", "action", ""]),
    ("customer_model", &[1, 7, 1_000_000], ["customer", "", "provider", "model", "", ""]),
];

/// Adds the daily figures of a customer to the levels.
fn levels(customer: &str) -> String {
    let mut columns = Vec::new();
    for bucket in ["pending", "won", "retry", "free", "lost"] {
        for part in ["attempts", "unknown_costs", "cost_nanos", "other_cost_nanos"] {
            columns.push((format!("{bucket}_{part}"), bucket, part));
        }
    }
    for bucket in ["pending", "confirmed", "assumed", "failed", "void"] {
        columns.push((format!("{bucket}_outcomes"), bucket, "outcomes"));
    }
    columns.push(("revenue_nanos".into(), "revenue", "revenue_nanos"));
    let key = "level, days, day, customer, agent, provider, model, action, reason, currency";
    let names: Vec<&str> = columns.iter().map(|(name, ..)| name.as_str()).collect();
    let sums: Vec<String> = columns
        .iter()
        .map(|(_, bucket, part)| {
            format!("CAST(SUM(CASE WHEN f.bucket = '{bucket}' THEN f.{part} ELSE 0 END) AS BIGINT)")
        })
        .collect();
    let added: Vec<String> =
        names.iter().map(|name| format!("{name} = figures_by_level.{name} + excluded.{name}")).collect();
    let mut statements = String::new();
    for (level, spans, kept) in LEVELS {
        for days in spans {
            let kept = kept.map(|column| if column.is_empty() { "''".into() } else { format!("f.{column}") });
            statements += &format!(
                "INSERT INTO figures_by_level ({key}, {}) SELECT '{level}', {days}, f.day - f.day % {days}, {}, f.currency, {} \
                 FROM daily_figures f WHERE f.customer = '{customer}' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 \
                 ON CONFLICT ({key}) DO UPDATE SET {};\n",
                names.join(", "),
                kept.join(", "),
                sums.join(", "),
                added.join(", ")
            );
        }
    }
    statements
}

async fn writable(url: &str) -> DatabaseConnection {
    connect(&url.replace(".db", ".db?mode=rwc")).await
}

fn with_fee(customer: &str) -> Value {
    with(&contract(customer), "/fees", json!([{ "name": "Seats", "amount": "10" }]))
}

async fn totals(service: &Service, of: &str) -> Value {
    let report = format!("/v1/reports/failure-cost?from=2026-09-30&to=2026-11-05&by=customer{of}");
    service.get_json(&report).await["totals"][0].clone()
}

async fn each_version_goes_on(name: &str, url: &str) {
    let db = writable(url).await;
    let names: Vec<String> = Migrator::migrations().iter().map(|file| file.name()[..4].to_string()).collect();
    Migrator::up(&db, Some(u32::try_from(FIRST - 1).unwrap())).await.unwrap();
    let mut customers = Vec::new();
    for version in names.iter().skip(FIRST - 1).take_while(|version| version.as_str() <= LAST) {
        Migrator::up(&db, Some(1)).await.unwrap();
        let customer = format!("at-{version}");
        let month = Month {
            customer: &customer,
            contract: with_fee(&customer),
            trial: false,
            beyond: 10_000_000_000,
            has_document: true,
        };
        month.fill(&db, version).await;
        customers.push(customer);
    }
    assert!(customers.len() > 15 && customers.last().unwrap().ends_with(LAST), "{customers:?}");
    let service = start_on(name, url).await;
    service.wait_until_idle(Duration::from_secs(60)).await;
    let fields = ["attempts", "won_nanos", "retry_nanos", "cost_nanos", "confirmed", "revenue_nanos"];
    let each = [2, 4_500_000, 1_500_000, 6_000_000, 1, 10_990_000_000_i64];
    for customer in &customers {
        let total = totals(&service, &format!("&customer={customer}")).await;
        let said = fields.map(|field| total[field].as_i64().unwrap());
        assert_eq!(said, each, "{customer}: {total}");
    }
    let total = totals(&service, "").await;
    let said = fields.map(|field| total[field].as_i64().unwrap());
    assert_eq!(said, each.map(|of| of * i64::try_from(customers.len()).unwrap()), "{total}");
    // What was judged again was judged once, and what was not had the right sums already.
    let said = service.command(&["figures", "rebuild"]);
    assert!(
        said.contains(&format!("{} cases looked at, 0 put right; 0 sums put right", customers.len())),
        "{said}"
    );
    // And they live on: November's invoice has the fee, and October's case is not charged twice.
    service.move_clock(CLOSED + 30 * DAY + HOUR).await;
    let invoices = service.get_json("/v1/invoices").await;
    for customer in &customers {
        let of = |invoice: &&Value| {
            invoice["customer"] == customer.as_str() && invoice["period_start"] != "2026-10-01T00:00:00Z"
        };
        let later: Vec<&Value> = invoices.as_array().unwrap().iter().filter(of).collect();
        assert!(later.len() == 1 && later[0]["total"] == "10.00", "{customer}: {later:?}");
    }
    assert!(service.command(&["figures", "rebuild"]).contains(" 0 put right; 0 sums put right"));
}

#[tokio::test]
async fn what_each_version_left_goes_on_on_sqlite() {
    each_version_goes_on("versions", &fresh_sqlite(&folder("versions"))).await;
}

#[tokio::test]
async fn what_each_version_left_goes_on_on_postgres() {
    each_version_goes_on("versions-postgres", &fresh_postgres("doors_versions").await).await;
}

/// A customer as the version before the one named left it, under this one.
async fn as_before(name: &str, url: &str, version: &str, month: Month<'_>) -> Service {
    let db = writable(url).await;
    let before: Vec<String> = Migrator::migrations()
        .iter()
        .map(|file| file.name()[..4].to_string())
        .take_while(|name| name.as_str() < version)
        .collect();
    Migrator::up(&db, Some(u32::try_from(before.len()).unwrap())).await.unwrap();
    month.fill(&db, before.last().unwrap()).await;
    let service = start_on(name, url).await;
    service.move_clock(CLOSED + HOUR).await;
    service
}

/// A closed period that came to nothing: its list prices are taken back, and no document tells its currency.
async fn without_a_document(name: &str, url: &str) {
    let month = Month {
        customer: "acme",
        contract: with(&contract("acme"), "/prices/0/included", json!(1)),
        trial: false,
        beyond: -990_000_000,
        has_document: false,
    };
    let service = as_before(name, url, "0026", month).await;
    let total = totals(&service, "").await;
    assert_eq!((&total["revenue_nanos"], &total["currency"]), (&json!(0), &json!("USD")), "{total}");
    let report = "/v1/reports/failure-cost?from=2026-09-30&to=2026-11-05&by=day";
    let report = service.get_json(report).await;
    let days: Vec<(&Value, i64)> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (&row["key"], row["revenue_nanos"].as_i64().unwrap()))
        .filter(|(_, revenue)| *revenue != 0)
        .collect();
    assert_eq!(days, [(&json!("2026-10-02"), 990_000_000), (&json!("2026-10-31"), -990_000_000)], "{report}");
    // It is included: what it cost is free.
    assert_eq!((&total["won_nanos"], &total["free_nanos"]), (&json!(0), &json!(6_000_000)), "{total}");
    assert!(service.command(&["figures", "rebuild"]).contains(" 0 put right; 0 sums put right"));
}

#[tokio::test]
async fn a_difference_without_a_document_has_the_currency_of_its_charges() {
    without_a_document("versions-no-document", &fresh_sqlite(&folder("versions-no-document"))).await;
    let postgres = fresh_postgres("doors_versions_no_document").await;
    without_a_document("versions-no-document-postgres", &postgres).await;
}

/// A trial that was closed when the revenue of trials still counted.
async fn of_a_trial(name: &str, url: &str, version: &str) {
    let month = Month {
        customer: "acme",
        contract: with(&contract("acme"), "/shadow", json!(true)),
        trial: true,
        beyond: 0,
        has_document: true,
    };
    let service = as_before(name, url, version, month).await;
    let total = totals(&service, "").await;
    let said = ["revenue_nanos", "won_nanos", "retry_nanos", "free_nanos", "confirmed"];
    assert_eq!(said.map(|field| total[field].as_i64().unwrap()), [0, 0, 0, 6_000_000, 1], "{total}");
    let report = "/v1/reports/failure-cost?from=2026-09-30&to=2026-11-05&by=reason";
    let report = service.get_json(report).await;
    let trial = report["rows"].as_array().unwrap().iter().find(|row| row["key"] == "trial");
    assert_eq!(trial.unwrap()["free_nanos"], 6_000_000, "{report}");
    assert!(service.command(&["figures", "rebuild"]).contains(" 0 put right; 0 sums put right"));
}

#[tokio::test]
async fn a_closed_trial_counts_no_revenue_any_more() {
    for version in ["0024", "0026", "0028"] {
        let name = format!("versions-trial-{version}");
        of_a_trial(&name, &fresh_sqlite(&folder(&name)), version).await;
        let postgres = fresh_postgres(&format!("doors_versions_trial_{version}")).await;
        of_a_trial(&format!("{name}-postgres"), &postgres, version).await;
    }
}
