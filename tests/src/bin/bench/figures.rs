//! Ten million attempts of a thousand customers over ninety days, judged, charged and invoiced: how long pages and
//! reports take then. What the roll-ups say must be what the attempts say, group by group.

use super::{check_figures, peak_memory_mb};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use verdict_oracle::{DAY, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, postgres, sqlite_in};
use verdict_tests::service::{Service, Setup};

const CUSTOMERS: usize = 1_000;
const DAYS: i64 = 90;
/// 2026-07-01T00:00:00Z.
const STARTS: i64 = 1_782_864_000_000_000;
/// Two weeks later, all is settled but for what came last.
const NOW: i64 = STARTS + (DAYS + 1) * DAY;
/// The name on PostgreSQL.
const DATABASE: &str = "bench_figures";
/// How many attempts one statement makes.
const CHUNK: usize = 500_000;
/// How often each page and report is asked for.
const TIMES: usize = 40;

/// What is promised of 95 in 100 answers.
const SLOWEST_PAGE_MS: f64 = 100.0;
const SLOWEST_REPORT_MS: f64 = 50.0;

/// The month that is looked at; `CUSTOMER`, `CASE` and `INVOICE` stand for another one each time.
const MONTH: &str = "from=2026-08-01&to=2026-09-01";
const QUARTER: &str = "from=2026-07-01&to=2026-10-01";

/// The pages, as people open them.
const PAGES: [&str; 26] = [
    "/overview?MONTH",
    "/overview?MONTH&customer=CUSTOMER",
    "/overview?QUARTER&compare=year",
    "/reports/failure-cost?MONTH",
    "/reports/failure-cost?MONTH&by=customer&sort=-lost_nanos",
    "/reports/failure-cost?QUARTER&by=day",
    "/reports/failure-cost?MONTH&by=reason&customer=CUSTOMER",
    "/customers?MONTH",
    "/customers?QUARTER&sort=margin",
    "/agents?MONTH",
    "/models?QUARTER",
    "/models?MONTH&customer=CUSTOMER",
    "/actions?MONTH",
    "/levers",
    "/definitions",
    "/reports/provider-bill?provider=openai&MONTH",
    "/cases",
    "/cases?customer=CUSTOMER",
    "/cases?MONTH&bucket=lost",
    "/cases?MONTH&bucket=failures&reason=timeout&sort=-day",
    "/cases?QUARTER&bucket=lost&customer=CUSTOMER&model=model-1",
    "/cases/CUSTOMER/CASE",
    "/invoices",
    "/invoices/INVOICE",
    "/parked",
    "/sources",
];

/// The reports, as programs ask for them.
const REPORTS: [&str; 19] = [
    "/v1/reports/overview?MONTH",
    "/v1/reports/groups?MONTH&by=customer",
    "/v1/reports/groups?QUARTER&by=model",
    "/v1/reports/failure-cost?MONTH&by=customer",
    "/v1/reports/failure-cost?MONTH&by=customer&agent=agent-1",
    "/v1/reports/failure-cost?QUARTER&by=customer&model=model-1",
    "/v1/reports/failure-cost?from=2026-07-10&to=2026-09-20&by=customer&model=model-1",
    "/v1/reports/failure-cost?MONTH&by=agent",
    "/v1/reports/failure-cost?MONTH&by=model",
    "/v1/reports/failure-cost?MONTH&by=provider",
    "/v1/reports/failure-cost?MONTH&by=action",
    "/v1/reports/failure-cost?MONTH&by=reason",
    "/v1/reports/failure-cost?QUARTER&by=customer",
    "/v1/reports/failure-cost?QUARTER&by=day",
    "/v1/reports/failure-cost?from=2026-07-10&to=2026-09-20&by=day&agent=agent-1",
    "/v1/reports/failure-cost?from=2026-07-10&to=2026-09-20&by=model&agent=agent-1&action=sales.meeting",
    "/v1/reports/failure-cost?MONTH&by=model&customer=CUSTOMER",
    "/v1/reports/failure-cost?MONTH&by=reason&customer=CUSTOMER&agent=agent-1&model=model-1",
    "/v1/reports/unknown-costs",
];

/// On each database; what was measured. `again`: on databases that an earlier run filled.
pub(super) async fn measure(attempts: usize, databases: &[&str], again: bool) -> Value {
    let folder = Path::new("target/bench");
    let mut measured = Map::new();
    for name in databases {
        let sqlite = std::path::absolute(folder.join("figures-db")).unwrap();
        let url = match (*name, again) {
            ("postgres", false) => fresh_postgres(DATABASE).await,
            ("postgres", true) => postgres(DATABASE),
            (_, false) => fresh_sqlite(&sqlite),
            (_, true) => sqlite_in(&sqlite),
        };
        let mut setup = Setup::new(&url);
        setup.test_clock = Some(if again { NOW } else { STARTS });
        let mut service = Service::start(setup, &folder.join(format!("figures-{name}"))).await;
        let mut told = json!({ "attempts": attempts, "customers": CUSTOMERS, "days": DAYS });
        if !again {
            told["judged_seconds"] = json!(fill_and_judge(name, &url, &mut service, attempts).await.round());
            service.restart().await;
        }
        told["page_p95_ms"] = Value::Object(time(&service, attempts, &PAGES).await);
        told["report_p95_ms"] = Value::Object(time(&service, attempts, &REPORTS).await);
        measured.insert((*name).into(), told);
    }
    Value::Object(measured)
}

/// Fills an empty database, and has the service judge, charge and invoice; answers within how many seconds it did.
async fn fill_and_judge(name: &str, url: &str, service: &mut Service, attempts: usize) -> f64 {
    for customer in 0..CUSTOMERS {
        service.post("/v1/contracts", &contract(customer)).await;
    }
    // Else it would judge as pending what is settled below.
    service.kill();
    let db = connect(url).await;
    let start = Instant::now();
    for from in (0..attempts).step_by(CHUNK) {
        fill(&db, from, CHUNK.min(attempts - from), attempts).await;
    }
    if name == "postgres" {
        db.execute_unprepared("ANALYZE").await.unwrap();
    }
    let filled = start.elapsed().as_secs_f64();
    service.restart().await;
    let start = Instant::now();
    service.move_clock(NOW).await;
    service.wait_until_idle(Duration::from_secs(3 * 3_600)).await;
    let judged = start.elapsed().as_secs_f64();
    println!(
        "{name}: {attempts} attempts filled in within {filled:.0} s, judged, charged and invoiced within {judged:.0} s, {:.0} MB",
        peak_memory_mb(service.process_id())
    );
    assert_eq!(
        number(&db, "SELECT COUNT(*) FROM attempts").await,
        i64::try_from(attempts).unwrap(),
        "{name}: the attempts are there"
    );
    check_figures(&db).await;
    // What is asked for the first time is read from the disk; and what was written is put in order.
    if name == "postgres" {
        db.execute_unprepared("VACUUM ANALYZE").await.unwrap();
    }
    judged
}

/// Fails if a page or a report took longer than is promised.
pub(super) fn assert_promised(measured: &Value) {
    for (name, figures) in measured.as_object().unwrap() {
        for (of, most) in [("page_p95_ms", SLOWEST_PAGE_MS), ("report_p95_ms", SLOWEST_REPORT_MS)] {
            for (path, ms) in figures[of].as_object().unwrap() {
                let ms = ms.as_f64().unwrap();
                assert!(ms < most, "{name}: {path} took {ms:.0} ms; below {most} is promised");
            }
        }
    }
}

fn contract(customer: usize) -> Value {
    json!({
        "customer": format!("customer-{customer:04}"), "version": 1, "effective_from": rfc3339(STARTS),
        "currency": "USD", "bill_to": {"name": "Bench", "email": "bench@example.com"},
        "prices": [
            {"action": "support.resolution", "amount": "0.99", "assumed_amount": "0.49"},
            {"action": "sales.meeting", "amount": "5"}
        ]
    })
}

/// So many attempts from the one of that number on, two of each case, the first of some failed; what is said of the
/// cases, and the marks on them: as the doors write them.
async fn fill(db: &DatabaseConnection, from: usize, count: usize, of: usize) {
    let (to, apart) = (from + count, DAYS * DAY / i64::try_from(of).unwrap());
    let numbers = match db.get_database_backend() {
        sea_orm::DbBackend::Postgres => {
            format!("nths (n) AS (SELECT generate_series({from}::BIGINT, {}))", to - 1)
        }
        _ => format!(
            "RECURSIVE nths (n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM nths WHERE n < {})",
            to - 1
        ),
    };
    let customer = "'customer-' || SUBSTR(CAST(10000 + n / 2 % 1000 AS TEXT), 2)";
    let case = "'case-' || SUBSTR(CAST(100000000 + n / 2 AS TEXT), 2)";
    let action = "CASE WHEN n / 2 % 10 = 9 THEN 'sales.meeting' ELSE 'support.resolution' END";
    let failed = "n % 2 = 0 AND n / 2 % 4 = 0";
    let statements = [
        format!(
            "INSERT INTO attempts (customer, id, case_id, agent, action, provider, model, input_tokens, output_tokens, \
             status, failure_reason, model_cost_nanos, other_cost_nanos, cost_currency, price_source, started_at, ended_at, \
             recorded_at) WITH {numbers} SELECT {customer}, 'a-' || SUBSTR(CAST(100000000 + n AS TEXT), 2), {case}, \
             'agent-' || (n / 2 % 3), {action}, CASE WHEN n % 5 < 3 THEN 'openai' ELSE 'anthropic' END, 'model-' || (n % 5), \
             1000 + n % 700, 100 + n % 300, CASE WHEN {failed} THEN 'failed' ELSE 'answered' END, \
             CASE WHEN {failed} THEN CASE WHEN n % 16 = 0 THEN 'timeout' ELSE 'agent_error' END END, \
             CASE WHEN n % 97 = 0 THEN NULL ELSE 2000000 + n % 900 * 1000 END, n % 7 * 1000, 'USD', 'bench', \
             at, at + 1000000, at + 2000000 FROM (SELECT n, {STARTS} + n * {apart} AS at FROM nths) AS made"
        ),
        format!(
            "INSERT INTO resolutions (customer, id, case_id, kind, occurred_at, recorded_at, strength) WITH {numbers} \
             SELECT {customer}, 'api:r-' || n, {case}, CASE WHEN n / 2 % 10 < 5 THEN 'confirmed' WHEN n / 2 % 10 = 5 THEN 'failed' \
             ELSE 'escalated' END, {STARTS} + n * {apart} + 60000000, {STARTS} + n * {apart} + 61000000, 'api' \
             FROM nths WHERE n % 2 = 1 AND n / 2 % 10 < 7"
        ),
        format!(
            "INSERT INTO cases_to_judge (customer, case_id) WITH {numbers} SELECT {customer}, {case} FROM nths WHERE n % 2 = 1"
        ),
    ];
    for statement in statements {
        db.execute_unprepared(&statement).await.unwrap();
    }
}

/// The 95th percentile of each, in milliseconds, over HTTP: when all is asked for the second time. The first time, after all that
/// was written, some is read from the disk: that is printed beside, and held against nothing.
async fn time(service: &Service, attempts: usize, paths: &[&str]) -> Map<String, Value> {
    let mut timed = Map::new();
    for path in paths {
        let first = percentile(service, attempts, path).await;
        let again = percentile(service, attempts, path).await;
        println!("{again:8.1} ms, at first {first:.1} ms  {path}");
        timed.insert((*path).into(), json!((again * 10.0).round() / 10.0));
    }
    timed
}

/// Asks for it of many customers and cases in turn.
async fn percentile(service: &Service, attempts: usize, path: &str) -> f64 {
    let mut took: Vec<f64> = Vec::with_capacity(TIMES);
    for nth in 0..TIMES {
        let case = nth * 7_919 % (attempts / 2);
        let asked = path
            .replace("MONTH", MONTH)
            .replace("QUARTER", QUARTER)
            .replace("CUSTOMER", &format!("customer-{:04}", case % CUSTOMERS))
            .replace("CASE", &format!("case-{case:08}"))
            // Every tenth customer's cases are confirmed.
            .replace("INVOICE", &format!("customer-{:04}:2026-08-01T00:00:00Z", case % CUSTOMERS / 10 * 10));
        let start = Instant::now();
        let answer = service.get(&asked).await;
        let (status, body) = (answer.status(), answer.bytes().await.unwrap());
        took.push(start.elapsed().as_secs_f64() * 1_000.0);
        assert!(status.is_success(), "{asked}: {status} {}", String::from_utf8_lossy(&body));
    }
    took.sort_by(f64::total_cmp);
    took[TIMES * 95 / 100]
}
