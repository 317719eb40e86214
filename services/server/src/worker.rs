//! The steps of the line, run until there is nothing left to do: periodically, and when nudged.

use crate::clock::{Clock, wall_clock};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use verdict_billing::stripe::Stripe;
use verdict_billing::{Backoff, close_periods, open_periods, push_next, rate_outcomes};
use verdict_resolution::{judge_cases, map_deliveries};
use verdict_store::{Store, StoreError};

/// How many things one transaction of a step takes.
const BATCH: u32 = 1_000;

/// All steps with what they need.
pub struct Worker {
    store: Store,
    clock: Clock,
    stripe: Option<Stripe>,
    backoff: Backoff,
    /// Wakes the loop.
    nudge: Notify,
    /// One run at a time: who asks for one and waits, gets all that was there when it asked.
    turn: Mutex<()>,
}

impl Worker {
    /// A worker; it does nothing by itself.
    pub fn new(store: Store, clock: Clock, stripe: Option<Stripe>, backoff: Backoff) -> Self {
        Self { store, clock, stripe, backoff, nudge: Notify::new(), turn: Mutex::new(()) }
    }

    /// Tells the loop that there may be work.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// Runs the steps for ever. An error is logged and tried again: the work stays where it is.
    pub async fn run(&self, tick: Duration) {
        let mut failures = 0_u32;
        loop {
            match self.run_until_idle().await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::warn!(%error, failures, "a step failed; it will be tried again");
                }
            }
            let wait = tick.saturating_mul(2_u32.saturating_pow(failures.min(6)));
            tokio::select! {
                () = self.nudge.notified(), if failures == 0 => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Runs every step until none finds work: the whole line, in its order.
    pub async fn run_until_idle(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        loop {
            let now = self.clock.now();
            let mut worked = false;
            while map_deliveries(&self.store, now, BATCH).await? > 0 {
                worked = true;
            }
            while judge_cases(&self.store, now, BATCH).await? > 0 {
                worked = true;
            }
            while rate_outcomes(&self.store, now, BATCH).await? {
                worked = true;
            }
            worked |= open_periods(&self.store, now).await? > 0;
            worked |= close_periods(&self.store, now, self.stripe.is_some(), BATCH).await? > 0;
            if let Some(stripe) = &self.stripe {
                while push_next(&self.store, stripe, &self.backoff, wall_clock()).await? {
                    worked = true;
                }
            }
            if !worked {
                return Ok(());
            }
        }
    }
}
