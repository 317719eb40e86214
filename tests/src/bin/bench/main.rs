//! The intake, measured beside what bounds it, in one run on one machine: a consumer that does nothing, a bare batched
//! insert, and Verdict with everything switched on. Rates drift with the machine; the ratios are the figures. And webhook
//! deliveries at a fixed rate, on both databases, while what they say is judged beside: how long the answers take. And a
//! month of a million outcomes, closed. And pages and reports over ten million attempts.
//!
//! Prints a table and writes `intake.json`, `deliveries.json`, `close.json` and `figures.json` in `target/bench`. Ends with an error if
//! the service's figures are wrong, or if it misses what it promises.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_arithmetic, clippy::cast_precision_loss)]

mod close;
mod figures;

use clap::{Parser, ValueEnum};
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use verdict_oracle::{HOUR, MINUTE, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, rows, server};
use verdict_tests::service::{Delivery, Service, Setup, WEBHOOK_SECRET};
use verdict_tests::{load, queue};

#[derive(Parser)]
struct Arguments {
    /// Attempts in each round.
    #[arg(long, default_value = "200000")]
    attempts: usize,
    /// Rounds; the medians are printed.
    #[arg(long, default_value = "5")]
    rounds: usize,
    /// Webhook deliveries a second.
    #[arg(long, default_value = "500")]
    delivery_rate: u32,
    /// For how many seconds.
    #[arg(long, default_value = "60")]
    delivery_seconds: u32,
    /// Attempts that pages and reports are asked about.
    #[arg(long, default_value = "10000000")]
    figures_attempts: usize,
    /// On which databases.
    #[arg(long, value_delimiter = ',', default_value = "postgres,sqlite")]
    figures_databases: Vec<String>,
    /// Asks the databases that an earlier run filled: filling them takes most of the time.
    #[arg(long)]
    figures_again: bool,
    /// Measures only one of the four.
    #[arg(long)]
    only: Option<Round>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Round {
    Intake,
    Deliveries,
    Close,
    Figures,
}

const BATCH: usize = 2_000;
/// 2026-10-15T12:00:00Z: the service's simulated time.
const NOW: i64 = 1_792_065_600_000_000;
const NOOP_QUEUE: &str = "verdict.bench";

/// What is promised: at least so much of the bare insert, at most so much memory, reports within so long.
const LEAST_RATIO: f64 = 0.5;
const MOST_MEMORY_MB: f64 = 150.0;
const SLOWEST_REPORT_MS: f64 = 50.0;
/// What is promised of a hundredth of the answers to deliveries: platforms begin to give up after a few seconds.
const SLOWEST_ANSWER: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let measures = |round| arguments.only.is_none_or(|only| only == round);
    if measures(Round::Deliveries) {
        measure_deliveries(&arguments).await;
    }
    if measures(Round::Intake) {
        measure_intake(&arguments).await;
    }
    if measures(Round::Close) {
        let measured = close::measure().await;
        std::fs::write("target/bench/close.json", format!("{measured:#}\n")).unwrap();
        close::assert_promised(&measured);
    }
    if measures(Round::Figures) {
        let databases: Vec<&str> = arguments.figures_databases.iter().map(String::as_str).collect();
        let measured =
            figures::measure(arguments.figures_attempts, &databases, arguments.figures_again).await;
        std::fs::write("target/bench/figures.json", format!("{measured:#}\n")).unwrap();
        figures::assert_promised(&measured);
    }
}

/// How many cases the deliveries are about.
const CASES: usize = 20_000;
const CONNECTIONS: usize = 32;

/// Deliveries at a fixed rate, and as many as are taken, on each database.
async fn measure_deliveries(arguments: &Arguments) {
    let folder = Path::new("target/bench");
    let postgres = fresh_postgres("bench_deliveries").await;
    let sqlite = fresh_sqlite(&std::path::absolute(folder.join("deliveries-db")).unwrap());
    let mut measured = serde_json::Map::new();
    for (name, url) in [("postgres", postgres), ("sqlite", sqlite)] {
        let mut setup = Setup::new(&url);
        setup.test_clock = Some(NOW);
        let service = Service::start(setup, &folder.join(format!("deliveries-{name}"))).await;
        for customer in 0..20 {
            service.post("/v1/contracts", &contract(customer)).await;
        }
        for from in (0..CASES * 5 / 2).step_by(BATCH) {
            let attempts: Vec<_> = (from..from + BATCH).map(attempt).collect();
            service.post("/v1/attempts", &json!(attempts)).await;
        }
        service.wait_until_idle(Duration::from_secs(600)).await;

        let (rate, seconds) = (arguments.delivery_rate, arguments.delivery_seconds);
        let count = (rate * seconds) as usize;
        // Each fifth is the one before once more.
        let deliveries = (0..count).map(|nth| delivery(nth - nth % 5 / 4)).collect();
        let answers = load::at_rate(&service, rate, deliveries).await;
        println!("{name}: {rate} deliveries a second for {seconds} s: {answers}");
        let time = Duration::from_secs(10);
        let taken =
            load::as_many_as_are_taken(&service, CONNECTIONS, time, move |nth| delivery(count + nth)).await;
        let most = self::rate(taken, time);
        println!("{name}: at most {most:.0} deliveries a second, over {CONNECTIONS} connections");
        let start = Instant::now();
        service.wait_until_idle(Duration::from_secs(600)).await;
        println!("{name}: what was left was judged after {:.1} s", start.elapsed().as_secs_f64());
        let stored =
            number(&connect(&url).await, "SELECT COUNT(*) FROM deliveries WHERE state = 'mapped'").await;
        let ms = |percent| answers.percentile(percent).as_secs_f64() * 1_000.0;
        measured.insert(
            name.into(),
            json!({
                "per_s": rate, "seconds": seconds, "errors": answers.errors,
                "p50_ms": ms(50), "p95_ms": ms(95), "p99_ms": ms(99), "max_ms": ms(100),
                "most_per_s": most.round(),
            }),
        );
        assert_eq!(
            usize::try_from(stored).unwrap(),
            count - count / 5 + taken,
            "{name}: all is stored, once"
        );
        assert_eq!(answers.errors, 0, "{name}: deliveries were not taken");
        let p99 = answers.percentile(99);
        assert!(p99 < SLOWEST_ANSWER, "{name}: p99 is {p99:.0?}; below {SLOWEST_ANSWER:.0?} is promised");
    }
    let text = format!("{:#}\n", serde_json::Value::Object(measured));
    std::fs::write(folder.join("deliveries.json"), text).unwrap();
}

async fn measure_intake(arguments: &Arguments) {
    let (count, amqp) = (arguments.attempts, server("VERDICT_TEST_AMQP_URL"));
    let postgres = fresh_postgres("bench").await;
    queue::forget(&amqp).await;
    let bare = connect(&fresh_postgres("bench_bare").await).await;
    bare.execute_unprepared(BARE_TABLE).await.unwrap();

    let folder = Path::new("target/bench");
    let mut setup = Setup::new(&postgres);
    setup.test_clock = Some(NOW);
    let mut door = Service::start(setup, &folder.join("bench-door")).await;
    for customer in 0..20 {
        door.post("/v1/contracts", &contract(customer)).await;
    }
    // The first start declares the queue; while nobody consumes, it fills.
    door.kill();
    let mut setup = Setup::new(&postgres);
    setup.test_clock = Some(NOW);
    setup.amqp_url = Some(amqp.clone());
    let mut service = Service::start(setup, &folder.join("bench")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    let mut figures: Vec<[f64; 4]> = Vec::new();
    let mut memory_mb = 0.0_f64;
    for round in 0..arguments.rounds {
        service.kill();
        let bodies: Vec<Vec<u8>> =
            (0..count).map(|nth| attempt(round * count + nth).to_string().into_bytes()).collect();
        let messages: Vec<queue::Message> = bodies.iter().map(|b| ("application/json", b.clone())).collect();
        fill_noop_queue(&amqp, &messages).await;
        queue::publish(&amqp, &messages).await;
        // After a burst the broker is busy for a while with what it took.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let noop = rate(count, drain_noop_queue(&amqp, count).await);
        let inserted = rate(count, insert_bare(&bare, round, count).await);

        let db = connect(&postgres).await;
        let expected = i64::try_from((round + 1) * count).unwrap();
        let start = Instant::now();
        service.restart().await;
        queue::wait_until_ready_is_empty(&amqp).await;
        while number(&db, "SELECT COUNT(*) FROM attempts").await < expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let recorded = rate(count, start.elapsed());
        service.wait_until_idle(Duration::from_secs(600)).await;
        let judged = rate(count, start.elapsed());
        memory_mb = memory_mb.max(peak_memory_mb(service.process_id()));
        println!(
            "round {round}: no-op consumer {noop:.0}/s, bare insert {inserted:.0}/s, \
             recorded {recorded:.0}/s ({:.2} of the bare insert), recorded and judged {judged:.0}/s",
            recorded / inserted
        );
        figures.push([noop, inserted, recorded, judged]);
    }
    let db = connect(&postgres).await;
    check_figures(&db).await;
    let reports = time_reports(&service).await;

    let median = |pick: &dyn Fn(&[f64; 4]) -> f64| {
        let mut values: Vec<f64> = figures.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let ratio = median(&|f| f[2] / f[1]);
    let slowest = reports.iter().map(|(_, p95)| *p95).fold(0.0, f64::max);
    let result = json!({
        "attempts_per_round": count,
        "rounds": arguments.rounds,
        "noop_consumer_per_s": median(&|f| f[0]).round(),
        "bare_insert_per_s": median(&|f| f[1]).round(),
        "recorded_per_s": median(&|f| f[2]).round(),
        "recorded_and_judged_per_s": median(&|f| f[3]).round(),
        "recorded_to_bare_insert": ratio,
        "recorded_to_noop_consumer": median(&|f| f[2] / f[0]),
        "judged_to_bare_insert": median(&|f| f[3] / f[1]),
        "peak_memory_mb": memory_mb.round(),
        "report_p95_ms": reports.iter().map(|(by, p95)| (by.to_string(), json!(p95))).collect::<serde_json::Map<_, _>>(),
        "report_attempts": count * arguments.rounds,
    });
    std::fs::create_dir_all("target/bench").unwrap();
    std::fs::write("target/bench/intake.json", format!("{result:#}\n")).unwrap();
    println!("{result:#}");
    assert!(ratio >= LEAST_RATIO, "recorded {ratio:.2} of the bare insert; {LEAST_RATIO} is promised");
    assert!(memory_mb < MOST_MEMORY_MB, "{memory_mb:.0} MB of memory; below {MOST_MEMORY_MB} is promised");
    assert!(
        slowest < SLOWEST_REPORT_MS,
        "a report took {slowest:.0} ms; below {SLOWEST_REPORT_MS} is promised"
    );
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn contract(customer: usize) -> serde_json::Value {
    json!({
        "customer": format!("customer-{customer:02}"), "version": 1, "effective_from": "2026-10-01T00:00:00Z",
        "currency": "USD", "bill_to": {"name": "Bench", "email": "bench@example.com"},
        "prices": [{"action": "support.resolution", "amount": "0.99"}]
    })
}

/// A delivery about one of the cases, of any kind, some time within the last day.
fn delivery(nth: usize) -> Delivery {
    let kinds = ["message", "acknowledged", "confirmed", "assumed", "rated", "message", "reopened", "failed"];
    let case = nth * 7_919 % CASES;
    let mut body = json!({
        "type": format!("resolution.{}", kinds[nth % kinds.len()]), "timestamp": rfc3339(NOW),
        "data": {
            "customer": format!("customer-{:02}", case % 20), "case": format!("case-{case:010}"),
            "occurred_at": rfc3339(NOW - HOUR + i64::try_from(nth % 3_000).unwrap() * 1_000_000)
        }
    });
    if nth % kinds.len() == 4 {
        body["data"]["score"] = json!(nth % 5 + 1);
    }
    Delivery::signed("support", WEBHOOK_SECRET, &format!("msg-{nth:08}"), body.to_string(), NOW)
}

/// An attempt of some 400 bytes: five for two cases, of 20 customers, within the last day; a time-ordered id.
fn attempt(nth: usize) -> serde_json::Value {
    let models = [
        ("openai", "gpt-4o"),
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-5-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("anthropic", "claude-sonnet-4-5"),
        ("google", "gemini-2.5-flash"),
    ];
    let (provider, model) = models[nth % models.len()];
    let case = nth * 2 / 5;
    let ended_at = NOW - 24 * HOUR + i64::try_from(nth % 200_000).unwrap() * 400_000;
    let status = if nth.is_multiple_of(5) { "failed" } else { "answered" };
    json!({
        "id": format!("{ended_at:016x}-{nth:012}"), "customer": format!("customer-{:02}", case % 20),
        "case": format!("case-{case:010}"), "agent": format!("agent-{}", case % 5), "action": "support.resolution",
        "provider": provider, "model": model,
        "usage": {"input_tokens": 800 + nth % 700, "cached_input_tokens": 200, "output_tokens": 100 + nth % 90},
        "started_at": rfc3339(ended_at - MINUTE / 20), "ended_at": rfc3339(ended_at), "status": status
    })
}

const BARE_TABLE: &str = "CREATE TABLE bare (customer TEXT NOT NULL, id TEXT NOT NULL, case_id TEXT NOT NULL, \
    agent TEXT NOT NULL, action TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, input_tokens BIGINT, \
    output_tokens BIGINT, cost_nanos BIGINT, started_at BIGINT NOT NULL, ended_at BIGINT NOT NULL, \
    status TEXT NOT NULL, PRIMARY KEY (customer, id)); CREATE INDEX bare_cases ON bare (customer, case_id)";

/// The bare batched insert: the same attempts, 13 columns, two indexes, one connection, a transaction a batch.
async fn insert_bare(db: &DatabaseConnection, round: usize, count: usize) -> Duration {
    let columns = ["customer", "id", "case", "agent", "action", "provider", "model"];
    let mut batches = Vec::new();
    for from in (0..count).step_by(BATCH) {
        let mut values: Vec<Vec<Value>> = vec![Vec::new(); 13];
        let mut events: Vec<_> =
            (from..(from + BATCH).min(count)).map(|nth| attempt(round * count + nth)).collect();
        events.sort_by_key(|e| (e["customer"].to_string(), e["id"].to_string()));
        for event in events {
            for (column, name) in values.iter_mut().zip(columns) {
                column.push(event[name].as_str().unwrap().into());
            }
            values[7].push(event["usage"]["input_tokens"].as_i64().unwrap().into());
            values[8].push(event["usage"]["output_tokens"].as_i64().unwrap().into());
            values[9].push(1_234_567_i64.into());
            values[10].push(NOW.into());
            values[11].push(NOW.into());
            values[12].push(event["status"].as_str().unwrap().into());
        }
        batches.push(values);
    }
    let texts = [0, 1, 2, 3, 4, 5, 6, 12];
    let casts: Vec<String> = (0..13)
        .map(|n| format!("${}::{}[]", n + 1, if texts.contains(&n) { "text" } else { "bigint" }))
        .collect();
    let sql = format!("INSERT INTO bare SELECT * FROM UNNEST({}) ON CONFLICT DO NOTHING", casts.join(", "));
    let start = Instant::now();
    for batch in batches {
        let values = batch.into_iter().enumerate().map(|(n, column)| {
            let kind = if texts.contains(&n) { ArrayType::String } else { ArrayType::BigInt };
            Value::Array(kind, Some(Box::new(column)))
        });
        let tx = db.begin().await.unwrap();
        tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, &sql, values)).await.unwrap();
        tx.commit().await.unwrap();
    }
    start.elapsed()
}

async fn fill_noop_queue(url: &str, messages: &[queue::Message]) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let _ = channel.queue_delete(NOOP_QUEUE.into(), QueueDeleteOptions::default()).await;
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(NOOP_QUEUE.into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    let (options, empty) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(NOOP_QUEUE.into(), "verdict".into(), "bench.#".into(), options, empty).await.unwrap();
    queue::publish_as(url, "bench.noop", messages).await;
}

/// A consumer that does nothing but acknowledge, in the same batches.
async fn drain_noop_queue(url: &str, count: usize) -> Duration {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.basic_qos(u16::try_from(BATCH * 4).unwrap(), BasicQosOptions::default()).await.unwrap();
    let start = Instant::now();
    let (options, empty) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer =
        channel.basic_consume(NOOP_QUEUE.into(), "bench".into(), options, empty).await.unwrap();
    let mut drained = 0;
    while drained < count {
        let delivery = consumer.next().await.unwrap().unwrap();
        drained += 1;
        if drained.is_multiple_of(BATCH) || drained == count {
            delivery.acker.ack(BasicAckOptions { multiple: true }).await.unwrap();
        }
    }
    start.elapsed()
}

/// What the roll-ups say is what the attempts say, group by group and to the nano. The database compares: there may be millions
/// of groups.
async fn check_figures(db: &DatabaseConnection) {
    const KEY: &str = "customer, day, agent, provider, model, action, currency";
    let of = |attempts: &str, unknown: &str, cost: &str, other: &str, from: &str| {
        let sums = [attempts, unknown, cost, other].map(|sum| format!("CAST({sum} AS BIGINT)")).join(", ");
        format!("SELECT {KEY}, {sums} FROM {from} GROUP BY {KEY} HAVING {attempts} <> 0")
    };
    let raw = of(
        "COUNT(*)",
        "SUM(CASE WHEN model_cost_nanos IS NULL THEN 1 ELSE 0 END)",
        "SUM(COALESCE(model_cost_nanos, 0) + other_cost_nanos)",
        "SUM(other_cost_nanos)",
        "(SELECT attempts.*, ended_at / 86400000000 AS day, cost_currency AS currency FROM attempts) AS raw",
    );
    let rolled = of(
        "SUM(attempts)",
        "SUM(unknown_costs)",
        "SUM(cost_nanos)",
        "SUM(other_cost_nanos)",
        "daily_figures",
    );
    for (these, but_not, what) in [
        (&raw, &rolled, "the attempts and not the roll-ups"),
        (&rolled, &raw, "the roll-ups and not the attempts"),
    ] {
        let only = rows(db, &format!("{these} EXCEPT {but_not} LIMIT 5")).await;
        assert!(only.is_empty(), "{what} have these groups: {only:?}");
    }
    let sums = "SELECT COUNT(DISTINCT customer || ' ' || day), CAST(SUM(attempts) AS BIGINT), \
                CAST(SUM(cost_nanos) AS BIGINT) FROM daily_figures";
    let sums = rows(db, sums).await;
    let number = |at: usize| sums[0].try_get_by_index::<i64>(at).unwrap();
    println!(
        "roll-ups equal the raw aggregation: {} attempts, {} nanos, of {} days of customers",
        number(1),
        number(2),
        number(0)
    );
}

/// The 95th percentile of each grouping, over HTTP.
async fn time_reports(service: &Service) -> Vec<(&'static str, f64)> {
    let mut timed = Vec::new();
    for by in ["customer", "agent", "provider", "model", "action", "reason", "day"] {
        let path = format!("/v1/reports/failure-cost?from=2026-10-01&to=2026-11-01&by={by}");
        let mut took: Vec<f64> = Vec::new();
        for _ in 0..40 {
            let start = Instant::now();
            service.get_json(&path).await;
            took.push(start.elapsed().as_secs_f64() * 1_000.0);
        }
        took.sort_by(f64::total_cmp);
        timed.push((by, took[took.len() * 95 / 100]));
    }
    timed
}

fn peak_memory_mb(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}
