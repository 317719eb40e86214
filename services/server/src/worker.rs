//! The steps of the line, run until there is nothing left to do: periodically, and when nudged.

use crate::clock::{Clock, wall_clock};
use crate::config::{ConfigError, LeversConfig};
use crate::levers::compute_if_due;
use crate::rebuild::rebuild_if_asked;
use crate::sources::LiveSources;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use verdict_billing::reconcile::reconcile_if_due;
use verdict_billing::stripe::Stripe;
use verdict_billing::{
    Backoff, allot_free, apply_stripe_events, close_periods, open_periods, push_next, rate_outcomes,
    refresh_drafts, send_meter_events, watch_spend,
};
use verdict_domain::time::{Span, Timestamp};
use verdict_reports::{Thresholds, watch_figures};
use verdict_resolution::{Client, fetch_next, judge_cases, map_deliveries, poll_if_due, watch_sources};
use verdict_store::figures::Added;
use verdict_store::{Store, StoreError, deliveries, figures, is_anything_due};

/// How many things one transaction of a step takes.
const BATCH: u32 = 5_000;
/// After a nudge, so long more facts may come before the steps begin: a case that gets several is judged once.
const LINGER: Duration = Duration::from_millis(50);
/// Facts first: while they stream in, the steps pause so long between passes. On a small machine judging would take from
/// recording, and what waits in the queue is not safe here yet; what is recorded can be judged a moment later.
const BREATH: Duration = Duration::from_millis(500);
/// How often what periods come to is watched, by the wall clock: each look counts all of their outcomes.
const WATCH_SPEND: Span = Span(60_000_000);

/// How often it is told which outcomes are free, by the wall clock: a look at what was priced since, seldom at a whole period.
const ALLOT: Span = Span(60_000_000);
/// While there is other work, so long the sums of the figures may lag behind the facts, by the wall clock: what is added up at
/// a time falls into fewer rows.
const ADD_FIGURES: Span = Span(5_000_000);
/// How often the figures are watched at most, by the wall clock.
const WATCH_FIGURES: Duration = Duration::from_secs(60);
/// How often it is looked whether a rebuild of the figures is asked for.
const LOOK: Duration = Duration::from_secs(1);
/// Watching the figures takes at most one part in so many of the time, however many roll-ups there are.
const WATCH_FIGURES_PART: u32 = 20;

/// All steps with what they need.
pub struct Worker {
    store: Store,
    clock: Clock,
    sources: Arc<LiveSources>,
    /// Asks platforms.
    client: Client,
    stripe: Option<Stripe>,
    backoff: Backoff,
    /// How long raw deliveries are kept.
    retention: Span,
    /// How often it is compared whether all agrees; zero is never.
    pub reconcile_every: Span,
    /// From which figures on alerts are raised.
    pub thresholds: Thresholds,
    /// What is computed of the levers, and how often.
    pub levers: LeversConfig,
    /// Wakes the loop.
    nudge: Notify,
    /// How often facts have come.
    nudges: AtomicU64,
    /// When what periods come to was watched last, by the wall clock in microseconds.
    watched_spend_at: AtomicI64,
    /// When it was told last which outcomes are free, by the wall clock in microseconds.
    allotted_at: AtomicI64,
    /// When the figures were added up last, by the wall clock in microseconds.
    added_figures_at: AtomicI64,
    /// One run at a time: who asks for one and waits, gets all that was there when it asked.
    turn: Mutex<()>,
}

impl Worker {
    /// A worker; it does nothing by itself.
    pub fn new(
        store: Store,
        clock: Clock,
        sources: Arc<LiveSources>,
        stripe: Option<Stripe>,
        backoff: Backoff,
        retention: Span,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            store,
            clock,
            sources,
            client: Client::new().map_err(ConfigError)?,
            stripe,
            backoff,
            retention,
            reconcile_every: Span(0),
            thresholds: Thresholds::default(),
            levers: LeversConfig { every: Span(0), ..LeversConfig::default() },
            nudge: Notify::new(),
            nudges: AtomicU64::new(0),
            watched_spend_at: AtomicI64::new(i64::MIN),
            allotted_at: AtomicI64::new(i64::MIN),
            added_figures_at: AtomicI64::new(i64::MIN),
            turn: Mutex::new(()),
        })
    }

    /// The client of Stripe, if there is a key.
    pub fn stripe(&self) -> Option<&Stripe> {
        self.stripe.as_ref()
    }

    /// Whether invoices go to Stripe.
    pub fn bills_at_stripe(&self) -> bool {
        self.stripe.is_some()
    }

    /// Tells the loop that there may be work.
    pub fn nudge(&self) {
        self.nudges.fetch_add(1, Ordering::Relaxed);
        self.nudge.notify_one();
    }

    /// Runs the steps, and beside them the pushes to Stripe, reconciliation, and what is asked from platforms, for ever: another's system
    /// that hangs does not keep cases from being judged. An error is logged and tried again: the work stays where it is.
    pub async fn run(&self, tick: Duration) {
        let sources = self.sources.now();
        let questions = join_all(sources.keys().map(|source| self.run_questions(source, tick)));
        tokio::join!(
            self.run_steps(tick),
            self.run_pushes(tick),
            self.run_reconciliations(),
            self.run_watch(),
            self.run_levers(),
            self.run_rebuilds(),
            questions
        );
    }

    /// What is asked from the platform of one source, for ever: a slow one does not hold up another.
    async fn run_questions(&self, source: &str, tick: Duration) {
        loop {
            if let Err(error) = self.ask(source).await {
                tracing::warn!(source, %error, "asking a platform failed; it will be tried again");
            }
            tokio::time::sleep(tick).await;
        }
    }

    /// Asks the platform of a source for all that is due. Answers whether there was something.
    async fn ask(&self, source: &str) -> Result<bool, StoreError> {
        let sources = self.sources.now();
        let Some(source) = sources.get(source) else { return Ok(false) };
        let (store, client, now) = (&self.store, &self.client, || self.clock.now());
        let mut asked = poll_if_due(store, source, client, now(), wall_clock).await?;
        while fetch_next(store, source, client, now(), wall_clock).await? {
            asked = true;
        }
        if asked {
            self.nudge();
        }
        Ok(asked)
    }

    async fn run_steps(&self, tick: Duration) {
        let (mut failures, mut seen) = (0_u32, 0);
        loop {
            match self.pass().await {
                Ok(true) => {
                    let before = std::mem::replace(&mut seen, self.nudges.load(Ordering::Relaxed));
                    if seen != before {
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

    /// Compares now and then whether all agrees, for ever.
    async fn run_reconciliations(&self) {
        let every = Duration::from_micros(self.reconcile_every.0.unsigned_abs());
        let look = (every / 4).clamp(Duration::from_millis(100), Duration::from_secs(60));
        loop {
            let (store, stripe, now) = (&self.store, self.stripe.as_ref(), self.clock.now());
            if let Err(error) = reconcile_if_due(store, stripe, self.reconcile_every, now, wall_clock()).await
            {
                tracing::warn!(%error, "reconciliation failed; it will be made when it is due again");
            }
            tokio::time::sleep(look).await;
        }
    }

    /// Watches the figures, for ever: beside the passes, so that many roll-ups hold up no judgement.
    async fn run_watch(&self) {
        loop {
            let begun = wall_clock();
            if let Err(error) = watch_figures(&self.store, &self.thresholds, self.clock.now()).await {
                tracing::warn!(%error, "the figures were not watched; they will be later");
            }
            let took = Duration::from_micros(wall_clock().0.abs_diff(begun.0));
            tokio::time::sleep(WATCH_FIGURES.max(took.saturating_mul(WATCH_FIGURES_PART))).await;
        }
    }

    /// Computes the levers now and then, for ever.
    async fn run_levers(&self) {
        let every = Duration::from_micros(self.levers.every.0.unsigned_abs());
        let look = (every / 4).clamp(Duration::from_millis(100), Duration::from_secs(60));
        loop {
            let now = self.clock.now();
            if let Err(error) = compute_if_due(&self.store, &self.levers, now, wall_clock()).await {
                tracing::warn!(%error, "the levers were not computed; they will be when they are due again");
            }
            tokio::time::sleep(look).await;
        }
    }

    /// Builds the figures again when that is asked for, for ever.
    async fn run_rebuilds(&self) {
        loop {
            if let Err(error) = rebuild_if_asked(&self.store).await {
                tracing::warn!(%error, "the figures were not rebuilt; it will be tried again");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Runs every step until none finds work, then pushes what is due: the whole line, in its order. Facts that stream in
    /// meanwhile would give it work for ever: with them, it ends when time has nothing left to do.
    pub async fn run_until_idle(&self) -> Result<(), StoreError> {
        self.pass_until_idle().await?;
        for source in self.sources.now().keys() {
            self.ask(source).await?;
        }
        self.pass_until_idle().await?;
        // Cases whose outcomes are free now, or no longer, are judged again; that changes no outcome, so it is the end of it.
        if allot_free(&self.store).await? > 0 {
            self.pass_until_idle().await?;
        }
        watch_spend(&self.store, self.clock.now()).await?;
        watch_figures(&self.store, &self.thresholds, self.clock.now()).await?;
        self.push_due().await
    }

    async fn pass_until_idle(&self) -> Result<(), StoreError> {
        let mut before = self.nudges.load(Ordering::Relaxed);
        while self.pass().await? {
            let nudges = self.nudges.load(Ordering::Relaxed);
            if nudges != before && !is_anything_due(&self.store, self.clock.now()).await? {
                break;
            }
            before = nudges;
        }
        Ok(())
    }

    /// Each step once, so that under steady traffic each gets its turn. A step that fails does not stop the others; the
    /// first error is returned when all have had theirs. `false`: none found work.
    async fn pass(&self) -> Result<bool, StoreError> {
        let _turn = self.turn.lock().await;
        let (store, now) = (&self.store, || self.clock.now());
        let results = [
            map_deliveries(store, &self.sources.now(), now(), BATCH).await.map(|done| done > 0),
            judge_cases(store, now(), BATCH).await.map(|done| done > 0),
            rate_outcomes(store, now(), BATCH).await,
            open_periods(store, now()).await.map(|done| done > 0),
            close_periods(store, now(), self.stripe.is_some(), BATCH).await.map(|done| done > 0),
            refresh_drafts(store, now()).await.map(|done| done > 0),
            self.allot().await,
            watch_sources(store, &self.sources.now(), now()).await.map(|raised| raised > 0),
            self.watch_spend(now()).await,
            self.prune(now()).await,
        ];
        let mut worked = false;
        for result in results {
            worked |= result?;
        }
        if !worked || is_due(&self.added_figures_at, ADD_FIGURES) {
            worked |= match figures::add_waiting(store).await? {
                Added::Nothing => false,
                Added::Some => true,
                Added::SetAside(reason) => {
                    tracing::error!(
                        reason,
                        "a note cannot be added to the figures: put its costs right, then rebuild"
                    );
                    true
                }
            };
        }
        Ok(worked)
    }

    /// Watches what periods come to, if that is due.
    async fn watch_spend(&self, now: Timestamp) -> Result<bool, StoreError> {
        Ok(is_due(&self.watched_spend_at, WATCH_SPEND) && watch_spend(&self.store, now).await? > 0)
    }

    /// Tells which outcomes are free, if that is due.
    async fn allot(&self) -> Result<bool, StoreError> {
        Ok(is_due(&self.allotted_at, ALLOT) && allot_free(&self.store).await? > 0)
    }

    /// Forgets the bytes of deliveries that are kept for long enough.
    async fn prune(&self, now: Timestamp) -> Result<bool, StoreError> {
        let before = Timestamp(now.0.saturating_sub(self.retention.0));
        let tx = self.store.begin().await?;
        let pruned = deliveries::prune(&tx, before, BATCH).await?;
        tx.commit().await?;
        Ok(pruned > 0)
    }

    async fn push_due(&self) -> Result<(), StoreError> {
        let Some(stripe) = &self.stripe else { return Ok(()) };
        while push_next(&self.store, stripe, &self.backoff, wall_clock).await? {}
        while send_meter_events(&self.store, stripe, &self.backoff, wall_clock).await? {}
        while apply_stripe_events(&self.store, stripe, &self.backoff, wall_clock).await? {}
        Ok(())
    }
}

/// Whether something that was done then is due again, and notes that it is done: also where it then fails, so that it does not
/// hold up the other steps each time.
fn is_due(done_at: &AtomicI64, every: Span) -> bool {
    let at = wall_clock();
    let is_due = Timestamp(done_at.load(Ordering::Relaxed)).plus(every) <= at;
    if is_due {
        done_at.store(at.0, Ordering::Relaxed);
    }
    is_due
}
