//! A month of a million outcomes over a thousand customers, closed: how long it takes, and in how much memory. What is
//! invoiced must be what a loop over the same outcomes comes to.

use super::peak_memory_mb;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, rows};
use verdict_tests::service::{Service, Setup};

const CUSTOMERS: i64 = 1_000;
/// Outcomes of a customer in September, and on the average in October.
const SEPTEMBER: i64 = 20;
const OCTOBER: i64 = 1_000;
/// 2026-09-01, 2026-10-01 and 2026-11-01, each at T00:00:00Z.
const SEPTEMBER_STARTS: i64 = 1_788_220_800_000_000;
const OCTOBER_STARTS: i64 = SEPTEMBER_STARTS + 30 * DAY;
const OCTOBER_ENDS: i64 = OCTOBER_STARTS + 31 * DAY;
const GRACE: i64 = 72 * HOUR;

/// What is promised of closing.
const MOST_SECONDS: f64 = 60.0;
const MOST_MEMORY_MB: f64 = 150.0;

/// On each database; what was measured, and what was missed.
pub(super) async fn measure() -> Value {
    let folder = Path::new("target/bench");
    let postgres = fresh_postgres("bench_close").await;
    let sqlite = fresh_sqlite(&std::path::absolute(folder.join("close-db")).unwrap());
    let mut measured = serde_json::Map::new();
    for (name, url) in [("postgres", postgres), ("sqlite", sqlite)] {
        let mut setup = Setup::new(&url);
        setup.test_clock = Some(SEPTEMBER_STARTS);
        let mut service = Service::start(setup, &folder.join(format!("close-{name}"))).await;
        for customer in 0..CUSTOMERS {
            service.post("/v1/contracts", &contract(customer)).await;
        }
        let db = connect(&url).await;
        outcomes(&db, "s", SEPTEMBER_STARTS, &SEPTEMBER.to_string()).await;
        figures(&db).await;
        service.move_clock(OCTOBER_STARTS + GRACE).await;
        assert_eq!(number(&db, "SELECT COUNT(*) FROM invoices").await, CUSTOMERS, "September is invoiced");

        let start = Instant::now();
        outcomes(&db, "o", OCTOBER_STARTS, OCTOBER_OF_CUSTOMER).await;
        voids(&db).await;
        figures(&db).await;
        service.move_clock(OCTOBER_ENDS + GRACE - 1).await;
        // The peak is to be that of closing alone.
        service.restart().await;
        println!("{name}: filled within {:.0} s", start.elapsed().as_secs_f64());
        assert_eq!(number(&db, "SELECT COUNT(*) FROM invoices").await, CUSTOMERS, "it is too early to close");

        let start = Instant::now();
        service.move_clock(OCTOBER_ENDS + GRACE).await;
        let seconds = start.elapsed().as_secs_f64();
        let memory_mb = peak_memory_mb(service.process_id());
        let charges = check(&db).await;
        println!(
            "{name}: {charges} charges on {CUSTOMERS} invoices within {seconds:.1} s, {memory_mb:.0} MB"
        );
        measured.insert(
            name.into(),
            json!({
                "outcomes": charges, "customers": CUSTOMERS, "seconds": (seconds * 10.0).round() / 10.0,
                "peak_memory_mb": memory_mb.round(),
            }),
        );
    }
    Value::Object(measured)
}

/// Fails if closing took longer, or more memory, than is promised.
pub(super) fn assert_promised(measured: &Value) {
    for (name, figures) in measured.as_object().unwrap() {
        let figure = |of: &str| figures[of].as_f64().unwrap();
        let (seconds, memory_mb) = (figure("seconds"), figure("peak_memory_mb"));
        assert!(seconds < MOST_SECONDS, "{name}: closing took {seconds} s; below {MOST_SECONDS} is promised");
        assert!(
            memory_mb < MOST_MEMORY_MB,
            "{name}: closing took {memory_mb} MB; below {MOST_MEMORY_MB} is promised"
        );
    }
}

/// Tiers for confirmed outcomes, another price for assumed ones, and a fee.
fn contract(customer: i64) -> Value {
    json!({
        "customer": format!("customer-{customer:04}"), "version": 1,
        "effective_from": rfc3339(SEPTEMBER_STARTS), "currency": "USD",
        "bill_to": {"name": "Bench", "email": "bench@example.com"},
        "prices": [{
            "action": "support.resolution", "assumed_amount": "0.49",
            "tiers": [{"up_to": 500, "amount": "0.99"}, {"amount": "0.79"}]
        }],
        "fees": [{"name": "Platform", "amount": "100"}]
    })
}

/// Of an even customer as many more than [`OCTOBER`] as of the odd one after it less: together exactly the average.
const OCTOBER_OF_CUSTOMER: &str = "(1000 + CASE WHEN k % 2 = 0 THEN k % 100 ELSE -((k - 1) % 100) END)";

fn october_of(customer: i64) -> i64 {
    if customer % 2 == 0 { OCTOBER + customer % 100 } else { OCTOBER - (customer - 1) % 100 }
}

fn is_assumed(customer: i64, nth: i64) -> bool {
    (nth + customer) % 5 == 0
}

/// Settled and priced outcomes, so many of each customer (in SQL, of its number `k`), over 30 days, as the judge and the
/// rating step write them.
async fn outcomes(db: &DatabaseConnection, prefix: &str, from: i64, count: &str) {
    let source = format!(
        "WITH RECURSIVE nths (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM nths WHERE n < 1100), \
         numbered AS (SELECT customer, CAST(SUBSTR(customer, 10) AS INTEGER) AS k FROM contracts), \
         made AS (SELECT customer, '{prefix}-' || n AS case_id, {from} + CAST(n AS BIGINT) * 2304000000 AS at, \
         CASE WHEN (n + k) % 5 = 0 THEN 'assumed' ELSE 'confirmed' END AS win FROM numbered CROSS JOIN nths WHERE n < {count})"
    );
    let statements = [
        "INSERT INTO cases (customer, case_id, judged_at, verdict, episodes) MADE \
         SELECT customer, case_id, at, win, '[]' FROM made",
        "INSERT INTO outcomes (customer, case_id, seq, episode, kind, sign, win, action, agent, model, effective_at, \
         facts, posted_at) MADE SELECT customer, case_id, 1, '1', 'charge', 1, win, 'support.resolution', 'agent-1', \
         'gpt-5-mini', at, '[\"attempt:' || case_id || '\",\"api:' || case_id || '\"]', at FROM made",
        "INSERT INTO charges (customer, case_id, seq, action, win, sign, contract_version, amount_nanos, currency, \
         effective_at, origin_at, rated_at) MADE SELECT customer, case_id, 1, 'support.resolution', win, 1, 1, \
         CASE WHEN win = 'assumed' THEN 490000000 ELSE 990000000 END, 'USD', at, at, at FROM made",
    ];
    for statement in statements {
        // SQLite and PostgreSQL both take the tables in common after the columns.
        db.execute_unprepared(&statement.replace("MADE", &source)).await.unwrap();
    }
}

/// Of each customer, up to three of September's outcomes are taken back in October.
async fn voids(db: &DatabaseConnection) {
    let taken = "FROM charges c WHERE c.case_id IN ('s-0', 's-1', 's-2') AND c.seq = 1 \
                 AND CAST(SUBSTR(c.case_id, 3) AS INTEGER) < CAST(SUBSTR(c.customer, 10) AS INTEGER) % 4";
    let at = OCTOBER_STARTS + DAY;
    let statements = [
        format!(
            "INSERT INTO outcomes (customer, case_id, seq, episode, kind, sign, win, action, agent, model, \
             effective_at, reason, reverses, facts, posted_at) SELECT c.customer, c.case_id, 2, '1', 'void', -1, \
             c.win, c.action, 'agent-1', 'gpt-5-mini', {at}, 'reopened', 1, '[]', {at} {taken}"
        ),
        format!(
            "INSERT INTO charges (customer, case_id, seq, action, win, sign, contract_version, amount_nanos, \
             currency, effective_at, origin_at, rated_at) SELECT c.customer, c.case_id, 2, c.action, c.win, -1, 1, \
             -c.amount_nanos, 'USD', {at}, c.origin_at, {at} {taken}"
        ),
    ];
    for statement in statements {
        db.execute_unprepared(&statement).await.unwrap();
    }
}

/// The revenue of what is on no invoice yet.
async fn figures(db: &DatabaseConnection) {
    let sql = "INSERT INTO daily_figures (customer, day, agent, provider, model, action, currency, bucket, reason, attempts, \
               unknown_costs, cost_nanos, other_cost_nanos, outcomes, revenue_nanos) \
               SELECT customer, effective_at / 86400000000, 'agent-1', '-', 'gpt-5-mini', action, 'USD', 'revenue', '-', 0, 0, 0, 0, 0, \
               CAST(SUM(amount_nanos) AS BIGINT) FROM charges WHERE invoice_id IS NULL \
               GROUP BY customer, effective_at / 86400000000, action";
    db.execute_unprepared(sql).await.unwrap();
}

/// Each of October's invoices is there and says what a loop over the outcomes comes to. Answers how many charges are on
/// them.
async fn check(db: &DatabaseConnection) -> i64 {
    let sql = format!("SELECT customer, total_minor FROM invoices WHERE period_start = {OCTOBER_STARTS}");
    let invoiced: BTreeMap<String, i64> = rows(db, &sql)
        .await
        .iter()
        .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
        .collect();
    let mut charges = 0;
    for customer in 0..CUSTOMERS {
        let mut cents = 10_000;
        let mut confirmed = 0;
        for nth in 0..october_of(customer) {
            cents += match is_assumed(customer, nth) {
                true => 49,
                false => {
                    confirmed += 1;
                    if confirmed <= 500 { 99 } else { 79 }
                }
            };
            charges += 1;
        }
        for nth in 0..customer % 4 {
            cents -= if is_assumed(customer, nth) { 49 } else { 99 };
            charges += 1;
        }
        let name = format!("customer-{customer:04}");
        assert_eq!(invoiced.get(&name), Some(&cents), "the invoice of {name}, in cents");
    }
    assert_eq!(invoiced.len(), usize::try_from(CUSTOMERS).unwrap());
    let on_them = format!(
        "SELECT COUNT(*) FROM charges c JOIN invoices i ON i.id = c.invoice_id WHERE i.period_start = {OCTOBER_STARTS}"
    );
    assert_eq!(number(db, &on_them).await, charges, "every charge is on its invoice");
    charges
}
