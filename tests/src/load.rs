//! Deliveries in numbers: at a fixed rate, or as many as are taken; and how long the answers took.

use crate::service::{Api, Delivery};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

/// Platforms wait a few seconds; who waits for longer than this was not answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the answers took.
#[derive(Debug)]
pub struct Latencies {
    sorted: Vec<Duration>,
    /// How many were not taken.
    pub errors: usize,
}

impl Latencies {
    /// So many of a hundred answers took at most so long.
    pub fn percentile(&self, percent: usize) -> Duration {
        self.sorted[(self.sorted.len() * percent).div_ceil(100).max(1) - 1]
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99, max] = [50, 95, 99, 100].map(|percent| self.percentile(percent));
        write!(
            f,
            "{} answers: p50 {p50:.1?}, p95 {p95:.1?}, p99 {p99:.1?}, max {max:.1?}",
            self.sorted.len()
        )?;
        write!(f, "; {} errors", self.errors)
    }
}

/// Whether a delivery was taken.
async fn is_taken(api: &Api, delivery: &Delivery) -> bool {
    let answer = timeout(PATIENCE, api.try_delivery(delivery)).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == 202))
}

/// Sends deliveries at a fixed rate, whether the ones before were answered or not. The time of an answer counts from the
/// moment at which its delivery was due: a service that stalls is charged for all who had to wait.
pub async fn at_rate(api: &Api, per_second: u32, deliveries: Vec<Delivery>) -> Latencies {
    let start = tokio::time::Instant::now();
    let mut sent = JoinSet::new();
    for (nth, delivery) in (0..).zip(deliveries) {
        let due = start + Duration::from_secs(1) * nth / per_second;
        sleep_until(due).await;
        let api = api.clone();
        sent.spawn(async move {
            let taken = is_taken(&api, &delivery).await;
            (due.elapsed(), taken)
        });
    }
    let answers = sent.join_all().await;
    let errors = answers.iter().filter(|(_, taken)| !taken).count();
    let mut sorted: Vec<Duration> = answers.into_iter().map(|(took, _)| took).collect();
    sorted.sort();
    Latencies { sorted, errors }
}

/// Sends deliveries as fast as they are taken, each connection the next one when the one before is answered. Answers how
/// many were taken.
pub async fn as_many_as_are_taken(
    api: &Api,
    connections: usize,
    time: Duration,
    make: impl Fn(usize) -> Delivery + Copy + Send + 'static,
) -> usize {
    let (start, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut senders = JoinSet::new();
    for _ in 0..connections {
        let (api, next) = (api.clone(), next.clone());
        senders.spawn(async move {
            let mut taken = 0;
            while start.elapsed() < time {
                let delivery = make(next.fetch_add(1, Ordering::Relaxed));
                taken += usize::from(is_taken(&api, &delivery).await);
            }
            taken
        });
    }
    senders.join_all().await.into_iter().sum()
}
