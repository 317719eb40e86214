//! The whole line, held against the oracle: over 50,000 attempts through the real queue, 15,000 resolutions by HTTP, shuffled, repeated,
//! some malformed; on both databases; and once more while everything is killed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod comparison;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use verdict_oracle::{
    DAY, HOUR, Oracle, Plan, Resolution, Traffic, generate, malformed, shuffle_and_duplicate,
};
use verdict_tests::database::{self, fresh_postgres, fresh_sqlite};
use verdict_tests::queue::{self, Message};
use verdict_tests::service::{Api, Service, Setup};

/// 2026-10-01T00:00:00Z.
const START: i64 = 1_790_812_800_000_000;
const SEED: u64 = 20_261_122;
/// Attempts go through the queue, resolutions through the HTTP doors: enough that over 50,000 are published.
const EVENTS: usize = 66_000;

/// The queue has one name: who uses it takes turns.
static QUEUE: Mutex<()> = Mutex::const_new(());

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// October's traffic. What would happen after `cut` has not happened yet: no month is over before all facts are in. Weeks
/// are: their invoices come before the outcomes, which are on a later one.
fn traffic(events: usize, cut: i64) -> Traffic {
    let plan = Plan { seed: SEED, events: events + events / 8, start: START, days: 26, customers: 6 };
    let mut traffic = generate(&plan);
    traffic.attempts.retain(|attempt| attempt.ended_at <= cut);
    traffic.resolutions.retain(|resolution| resolution.occurred_at <= cut);
    println!(
        "seed {SEED}: {} attempts, {} resolutions, {} contract versions",
        traffic.attempts.len(),
        traffic.resolutions.len(),
        traffic.contracts.len()
    );
    traffic
}

/// The attempts as messages: alone, many together, in CloudEvents; a tenth twice; the malformed among them.
fn messages(traffic: &Traffic, bad: &[Vec<u8>]) -> Vec<Message> {
    let attempts = shuffle_and_duplicate(&traffic.attempts, SEED, 10);
    let mut messages: Vec<Message> = Vec::new();
    let mut rest = attempts.as_slice();
    while let Some(first) = rest.first() {
        let (taken, message): (usize, Message) = match messages.len() % 10 {
            0 => {
                let many = &rest[..rest.len().min(20)];
                let body = Value::Array(many.iter().map(|attempt| attempt.to_json()).collect());
                (many.len(), ("application/json", body.to_string().into_bytes()))
            }
            1 => {
                let event = json!({
                    "specversion": "1.0", "id": first.id, "source": "/agents", "type": "verdict.attempt.v1",
                    "datacontenttype": "application/json", "data": first.to_json()
                });
                (1, ("application/cloudevents+json", event.to_string().into_bytes()))
            }
            _ => (1, ("application/json", first.to_json().to_string().into_bytes())),
        };
        messages.push(message);
        rest = &rest[taken..];
    }
    messages.extend(bad.iter().map(|body| ("application/json", body.clone())));
    shuffle_and_duplicate(&messages, SEED + 1, 0)
}

/// Sends the resolutions, a tenth twice, until each was taken.
async fn send_resolutions(api: Api, resolutions: Vec<Resolution>, now: Arc<AtomicI64>) {
    for resolution in resolutions {
        let start = Instant::now();
        while !api.try_resolution(&resolution, now.load(Ordering::SeqCst)).await {
            assert!(start.elapsed() < Duration::from_secs(120), "the service is away for too long");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Runs October through the line and compares everything with the oracle.
async fn run(name: &str, database_url: String, crashes: usize) {
    let _turn = QUEUE.lock().await;
    let amqp_url = database::server("VERDICT_TEST_AMQP_URL");
    queue::forget(&amqp_url).await;
    let cut = START + 30 * DAY + 14 * HOUR;
    let traffic = traffic(EVENTS, cut);
    let bad = malformed(SEED, EVENTS / 50);

    let mut setup = Setup::new(&database_url);
    setup.amqp_url = Some(amqp_url.clone());
    setup.test_clock = Some(START);
    let mut service = Service::start(setup, &folder(name)).await;
    for contract in &traffic.contracts {
        service.post("/v1/contracts", &contract.to_json()).await;
    }
    service.move_clock(cut).await;

    let start = Instant::now();
    let publishing = {
        let (url, messages) = (amqp_url.clone(), messages(&traffic, &bad));
        tokio::spawn(async move { queue::publish(&url, &messages).await })
    };
    let resolutions = shuffle_and_duplicate(&traffic.resolutions, SEED + 2, 10);
    let now = Arc::new(AtomicI64::new(cut));
    let senders: Vec<_> = resolutions
        .chunks(resolutions.len() / 4 + 1)
        .map(|chunk| tokio::spawn(send_resolutions(service.api(), chunk.to_vec(), now.clone())))
        .collect();
    let mut random = StdRng::seed_from_u64(SEED);
    for crash in 0..crashes {
        tokio::time::sleep(Duration::from_millis(random.random_range(100..1_000))).await;
        match crash {
            5 => servers("kill-postgres"),
            10 => servers("kill-rabbitmq"),
            _ => {}
        }
        service.restart().await;
    }
    publishing.await.unwrap();
    for sender in senders {
        sender.await.unwrap();
    }
    queue::wait_until_empty(&amqp_url, Duration::from_secs(300)).await;
    service.wait_until_idle(Duration::from_secs(300)).await;
    println!("{name}: all facts are judged after {:.1} s", start.elapsed().as_secs_f32());

    // Two months pass, in steps; the service dies in the middle of some.
    for days in [1, 2, 5, 20, 33, 40, 66] {
        let to = cut + days * DAY;
        if crashes > 0 {
            let api = service.api();
            let moving = tokio::spawn(async move { api.try_move_clock(to).await });
            tokio::time::sleep(Duration::from_millis(random.random_range(1..300))).await;
            service.restart().await;
            let _ = moving.await;
        }
        service.move_clock(to).await;
    }
    // The clock had come to the cut before the facts came in: weeks were over.
    let oracle = Oracle::new(&traffic, cut + 66 * DAY).with_facts_from(cut);
    comparison::compare(&service, &database_url, &oracle, bad.len()).await;
    println!("{name}: agrees with the oracle after {:.1} s", start.elapsed().as_secs_f32());
}

/// Does something to the tests' own servers.
fn servers(action: &str) {
    let folder = database::server("VERDICT_TEST_SERVERS");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let status =
        Command::new(root.join("scripts/servers")).args([action, &folder]).current_dir(root).status();
    assert!(status.unwrap().success(), "scripts/servers {action}");
}

#[tokio::test(flavor = "multi_thread")]
async fn october_on_sqlite_agrees_with_the_oracle() {
    let url = fresh_sqlite(&folder("line-sqlite-db"));
    run("line-sqlite", url, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn october_on_postgres_agrees_with_the_oracle() {
    let url = fresh_postgres("line").await;
    run("line-postgres", url, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn october_agrees_with_the_oracle_while_everything_is_killed() {
    let url = fresh_postgres("line_killed").await;
    run("line-killed", url, 20).await;
}
