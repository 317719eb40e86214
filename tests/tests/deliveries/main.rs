//! 100,000 webhook deliveries to a running service, a fifth of them duplicates, in random order, while weeks pass and the
//! service is killed ten times: what it holds in the end is what the oracle makes of the facts. And how fast it answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../comparison/mod.rs"]
mod comparison;
mod traffic;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::sleep;
use traffic::{CASES, DELIVERIES, DISTINCT, Mail, What};
use verdict_oracle::{DAY, HOUR, Oracle, Traffic};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number};
use verdict_tests::load;
use verdict_tests::service::{Api, Service, Setup};

/// 2026-10-01T00:00:00Z.
const START: i64 = 1_790_812_800_000_000;
/// When the last of it arrives: no period is over before all facts are in.
const CUT: i64 = START + 30 * DAY + 14 * HOUR;
/// How far the clock is moved at once while deliveries come in.
const STEP: i64 = 6 * HOUR;
const CONNECTIONS: usize = 128;
const CRASHES: usize = 10;

/// Each test wants the machine for itself.
static TURN: Mutex<()> = Mutex::const_new(());

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Another seed is another October.
fn seed() -> u64 {
    std::env::var("VERDICT_SEED").map_or(20_261_122, |seed| seed.parse().expect("VERDICT_SEED: a number"))
}

/// Everything that is on its way, how much of it was sent, and what the service's clock shows at least.
struct Flight {
    api: Api,
    mail: Vec<Mail>,
    next: AtomicUsize,
    now: AtomicI64,
}

impl Flight {
    /// Sends what comes next until there is nothing left, each until it was taken.
    async fn send(self: Arc<Self>) {
        while let Some(mail) = self.mail.get(self.next.fetch_add(1, Ordering::SeqCst)) {
            // Who is a day ahead of the service is not believed.
            while self.now.load(Ordering::SeqCst) + DAY < mail.occurred_at {
                sleep(Duration::from_millis(5)).await;
            }
            let start = Instant::now();
            while !self.is_taken(&mail.what).await {
                assert!(start.elapsed() < Duration::from_secs(120), "the service is away for too long");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// `false`: the service was away, and it must be sent again.
    async fn is_taken(&self, what: &What) -> bool {
        let answer = match what {
            What::Attempts(events) => self.api.try_post("/v1/attempts", events).await,
            What::Resolution(resolution) => self.api.try_delivery(&traffic::delivery(resolution)).await,
        };
        let Ok(answer) = answer else { return false };
        let status = answer.status();
        assert!(status.is_success() || status.is_server_error(), "{status}: {:?}", answer.text().await);
        status.is_success()
    }

    /// Lets the time pass that passes between arrivals, until all was sent. Answers how often the clock was moved.
    async fn move_clock(self: Arc<Self>) -> usize {
        let mut moves = 0;
        while let Some(mail) = self.mail.get(self.next.load(Ordering::SeqCst)) {
            let to = mail.arrives_at - (mail.arrives_at - START) % STEP;
            if to > self.now.load(Ordering::SeqCst) && self.api.try_move_clock(to).await {
                self.now.store(to, Ordering::SeqCst);
                moves += 1;
            }
            sleep(Duration::from_millis(5)).await;
        }
        moves
    }
}

/// Sends everything while the time passes, and kills the service when so much of it was sent.
async fn fly(service: &mut Service, mail: Vec<Mail>, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed + 2);
    let mut crashes: Vec<usize> = (0..CRASHES).map(|_| random.random_range(0..mail.len())).collect();
    crashes.sort_unstable();
    let next = AtomicUsize::new(0);
    let flight = Arc::new(Flight { api: service.api(), mail, next, now: AtomicI64::new(START) });
    let senders: Vec<_> = (0..CONNECTIONS).map(|_| tokio::spawn(flight.clone().send())).collect();
    let clock = tokio::spawn(flight.clone().move_clock());
    for crash in crashes {
        while flight.next.load(Ordering::SeqCst) < crash && !senders.iter().all(|sender| sender.is_finished())
        {
            sleep(Duration::from_millis(5)).await;
        }
        service.restart().await;
    }
    for sender in senders {
        sender.await.unwrap();
    }
    clock.await.unwrap()
}

/// That there is something to be right about.
fn describe(traffic: &Traffic, oracle: &Oracle<'_>, seed: u64) {
    let mut verdicts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, verdict, _) in oracle.verdicts().into_values().flatten() {
        *verdicts.entry(verdict).or_default() += 1;
    }
    println!(
        "VERDICT_SEED={seed}: {CASES} cases, {} attempts, {} resolutions, {DELIVERIES} deliveries; {verdicts:?}",
        traffic.attempts.len(),
        traffic.resolutions.len()
    );
    for verdict in ["confirmed", "assumed", "failed", "void"] {
        assert!(verdicts[verdict] >= 500, "hardly any case is {verdict}");
    }
}

async fn run(name: &str, database_url: &str) {
    let _turn = TURN.lock().await;
    let (seed, end) = (seed(), CUT + 66 * DAY);
    let traffic = traffic::traffic(seed);
    let oracle = Oracle::new(&traffic, end);
    describe(&traffic, &oracle, seed);

    let mut setup = Setup::new(database_url);
    setup.test_clock = Some(START);
    setup.config = traffic::config();
    let mut service = Service::start(setup, &folder(name)).await;
    for contract in &traffic.contracts {
        service.post("/v1/contracts", &contract.to_json()).await;
    }
    let start = Instant::now();
    let moves = fly(&mut service, traffic::mail(&traffic, seed), seed).await;
    println!(
        "{name}: all is sent after {:.1} s; the clock was moved {moves} times",
        start.elapsed().as_secs_f32()
    );
    assert!(moves >= 10, "hardly any time passed while they came");
    service.wait_until_idle(Duration::from_secs(120)).await;
    println!("{name}: all facts are judged after {:.1} s", start.elapsed().as_secs_f32());
    for days in [0, 1, 2, 5, 20, 33, 40, 66] {
        service.move_clock(CUT + days * DAY).await;
    }

    comparison::compare(&service, database_url, &oracle, 0).await;
    let db = connect(database_url).await;
    let count = async |what: &str| number(&db, &format!("SELECT COUNT(*) FROM {what}")).await;
    let distinct = i64::try_from(DISTINCT).unwrap();
    assert_eq!(count("deliveries").await, distinct, "each delivery is stored, once");
    assert_eq!(count("deliveries WHERE state = 'mapped'").await, distinct, "each delivery is read");
    assert_eq!(count("resolutions").await, distinct, "each says one thing");
    assert_eq!(count("parked WHERE origin <> 'outcome'").await, 0, "no delivery was ever parked");
    assert_eq!(count("quarantine").await, 0, "nothing was refused");
    let corrections = count("outcomes WHERE kind = 'correction'").await;
    assert!(corrections > 500, "only {corrections} corrections: hardly anything came too late");
    println!(
        "{name}: agrees with the oracle after {:.1} s; {corrections} corrections",
        start.elapsed().as_secs_f32()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_in_any_order_agree_with_the_oracle_on_sqlite() {
    let url = fresh_sqlite(&folder("deliveries-sqlite-db"));
    run("deliveries-sqlite", &url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_in_any_order_agree_with_the_oracle_on_postgres() {
    let url = fresh_postgres("deliveries").await;
    run("deliveries-postgres", &url).await;
}

/// A short version of what the benchmark measures for longer, with a service that is built for tests.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_deliveries_a_second_are_answered_at_once() {
    let _turn = TURN.lock().await;
    let traffic = traffic::traffic(seed());
    let url = fresh_sqlite(&folder("deliveries-fast-db"));
    let mut setup = Setup::new(&url);
    setup.test_clock = Some(CUT);
    setup.config = traffic::config();
    let service = Service::start(setup, &folder("deliveries-fast")).await;
    for contract in &traffic.contracts {
        service.post("/v1/contracts", &contract.to_json()).await;
    }
    for attempts in traffic.attempts[..10_000].chunks(1_000) {
        let events = attempts.iter().map(|attempt| attempt.to_json()).collect();
        service.post("/v1/attempts", &Value::Array(events)).await;
    }
    service.wait_until_idle(Duration::from_secs(120)).await;
    let deliveries = traffic.resolutions.iter().take(2_500).map(traffic::delivery).collect();
    let answers = load::at_rate(&service, 500, deliveries).await;
    println!("500 deliveries a second for 5 s: {answers}");
    assert_eq!(answers.errors, 0);
    assert!(answers.percentile(99) < Duration::from_millis(500), "{answers}");
    service.wait_until_idle(Duration::from_secs(120)).await;
    assert_eq!(
        number(&connect(&url).await, "SELECT COUNT(*) FROM deliveries WHERE state = 'mapped'").await,
        2_500
    );
}
