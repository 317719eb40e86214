//! The steps of the line, run until there is nothing left to do: periodically, and when nudged.

use crate::clock::{Clock, wall_clock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use verdict_billing::stripe::Stripe;
use verdict_billing::{Backoff, close_periods, open_periods, push_next, rate_outcomes};
use verdict_resolution::{judge_cases, map_deliveries};
use verdict_store::{Store, StoreError};

/// How many things one transaction of a step takes.
const BATCH: u32 = 5_000;
/// After a nudge, so long more facts may come before the steps begin: a case that gets several is judged once.
const LINGER: Duration = Duration::from_millis(50);
/// Facts first: while they stream in, the steps pause so long between passes. On a small machine judging would take from
/// recording, and what waits in the queue is not safe here yet; what is recorded can be judged a moment later.
const BREATH: Duration = Duration::from_millis(500);

/// All steps with what they need.
pub struct Worker {
    store: Store,
    clock: Clock,
    stripe: Option<Stripe>,
    backoff: Backoff,
    /// Wakes the loop.
    nudge: Notify,
    /// Whether facts have come since the last pass.
    nudged: AtomicBool,
    /// One run at a time: who asks for one and waits, gets all that was there when it asked.
    turn: Mutex<()>,
}

impl Worker {
    /// A worker; it does nothing by itself.
    pub fn new(store: Store, clock: Clock, stripe: Option<Stripe>, backoff: Backoff) -> Self {
        Self {
            store,
            clock,
            stripe,
            backoff,
            nudge: Notify::new(),
            nudged: AtomicBool::new(false),
            turn: Mutex::new(()),
        }
    }

    /// Tells the loop that there may be work.
    pub fn nudge(&self) {
        self.nudged.store(true, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    /// Runs the steps, and beside them the pushes to Stripe, for ever: a Stripe that hangs does not keep cases from being
    /// judged. An error is logged and tried again: the work stays where it is.
    pub async fn run(&self, tick: Duration) {
        tokio::join!(self.run_steps(tick), self.run_pushes(tick));
    }

    async fn run_steps(&self, tick: Duration) {
        let mut failures = 0_u32;
        loop {
            match self.pass().await {
                Ok(true) => {
                    if self.nudged.swap(false, Ordering::Relaxed) {
                        tokio::time::sleep(BREATH).await;
                    }
                    continue;
                }
                Ok(false) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, failures, "a step failed; it will be tried again");
                }
            }
            let wait = tick.saturating_mul(2_u32.saturating_pow(failures.min(6)));
            tokio::select! {
                () = self.nudge.notified(), if failures == 0 => tokio::time::sleep(LINGER).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn run_pushes(&self, tick: Duration) {
        loop {
            if let Err(error) = self.push_due().await {
                tracing::warn!(%error, "a push failed; it will be tried again");
            }
            tokio::time::sleep(tick).await;
        }
    }

    /// Runs every step until none finds work, then pushes what is due: the whole line, in its order.
    pub async fn run_until_idle(&self) -> Result<(), StoreError> {
        while self.pass().await? {}
        self.push_due().await
    }

    /// Each step once, so that under steady traffic each gets its turn. A step that fails does not stop the others; the
    /// first error is returned when all have had theirs. `false`: none found work.
    async fn pass(&self) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        let (store, now) = (&self.store, || self.clock.now());
        let results = [
            map_deliveries(store, now(), BATCH).await.map(|done| done > 0),
            judge_cases(store, now(), BATCH).await.map(|done| done > 0),
            rate_outcomes(store, now(), BATCH).await,
            open_periods(store, now()).await.map(|done| done > 0),
            close_periods(store, now(), self.stripe.is_some(), BATCH).await.map(|done| done > 0),
        ];
        let mut worked = false;
        for result in results {
            worked |= result?;
        }
        Ok(worked)
    }

    async fn push_due(&self) -> Result<(), StoreError> {
        let Some(stripe) = &self.stripe else { return Ok(()) };
        while push_next(&self.store, stripe, &self.backoff, wall_clock).await? {}
        Ok(())
    }
}
