//! `verdict serve`: the roles, in one process or several.

use crate::amqp::{self, Batching, Intake};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, TEST_CLOCK_SETTING};
use crate::http::{self, Door, Live};
use crate::inbox::Inbox;
use crate::prices::LivePrices;
use crate::sources::LiveSources;
use crate::worker::Worker;
use clap::ValueEnum;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use verdict_domain::time::Timestamp;
use verdict_intake::BookError;
use verdict_store::{Store, StoreError, access};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Answers HTTP: events, webhooks, reports, pages.
    Http,
    /// Consumes the queue (if one is configured).
    Intake,
    /// Runs the steps.
    Worker,
}

/// Why the service did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Mend the configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database was away or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The active price book cannot be read.
    #[error("prices: {0}")]
    Prices(#[from] BookError),
    /// The address cannot be listened on.
    #[error("HTTP: {0}")]
    Http(#[from] std::io::Error),
    /// A role that never ends has ended: an error of ours. Better no service than half of one.
    #[error("a role ended: {0}")]
    Role(String),
}

/// Serves until it is told to stop (SIGINT, SIGTERM).
pub async fn serve(config: Config, roles: &[Role], test_clock: Option<Timestamp>) -> Result<(), ServeError> {
    let store = Store::connect(&config.database_url).await?;
    let clock = match test_clock {
        None => Clock::default(),
        Some(start) => {
            // A simulated time outlives a restart, as real time does.
            let stored = access::setting(&store, TEST_CLOCK_SETTING).await?;
            Clock::test(start.max(stored.as_deref().and_then(Timestamp::parse).unwrap_or(start)))
        }
    };
    let stripe = config.stripe(&clock)?;
    let stripe_events = config.stripe_events()?;
    let sources = Arc::new(LiveSources::load(&config, &store).await?);
    for source in sources.now().values().filter(|source| !source.has_secrets()) {
        tracing::warn!(source = source.name(), "it has no secret yet: its deliveries go to quarantine");
    }
    tracing::info!(
        now = %clock.now(),
        test_clock = clock.is_test(),
        queue = config.amqp_url.is_some(),
        stripe = stripe.is_some(),
        stripe_events = stripe_events.is_some(),
        "starting"
    );
    let mut worker = Worker::new(
        store.clone(),
        clock.clone(),
        sources.clone(),
        stripe,
        config.backoff(),
        config.raw_retention,
    )?;
    worker.reconcile_every = config.reconcile_every;
    worker.thresholds = config.alerts.thresholds()?;
    worker.levers = config.levers.clone();
    let prices = Arc::new(LivePrices::load(&store).await?);
    let worker = Arc::new(worker);

    let mut tasks = JoinSet::new();
    tasks.spawn(sources.clone().keep_fresh(store.clone()));
    tasks.spawn(prices.clone().keep_fresh(store.clone()));
    if roles.contains(&Role::Worker) {
        let worker = worker.clone();
        let tick = Duration::from_millis(config.worker_tick_ms);
        tasks.spawn(async move { worker.run(tick).await });
    }
    if let (true, Some(url)) = (roles.contains(&Role::Intake), config.amqp_url.clone()) {
        let batching = Batching {
            messages: config.batch_messages,
            linger: Duration::from_millis(config.batch_linger_ms),
            writers: config.batch_writers,
        };
        let intake = Intake {
            store: store.clone(),
            clock: clock.clone(),
            prices: prices.clone(),
            worker: worker.clone(),
            batching,
        };
        tasks.spawn(amqp::consume(url, Arc::new(intake)));
    }
    if roles.contains(&Role::Http) {
        let inbox = Inbox::start(store.clone(), config.quarantine());
        let secure_cookies = config.cookies_are_secure();
        let public_url = config.public_url.clone();
        let live = Live::start(store.clone());
        let telemetry_parked = config.telemetry_parked();
        let stripe_fee_basis_points = config.stripe_fee_basis_points;
        let door = Door {
            store,
            clock,
            prices,
            worker,
            sources,
            stripe_events,
            inbox,
            secure_cookies,
            public_url,
            live,
            telemetry_parked,
            stripe_fee_basis_points,
        };
        return tokio::select! {
            served = http::listen(config.listen, door) => Ok(served?),
            ended = ended(&mut tasks) => Err(ended),
        };
    }
    tokio::select! {
        () = stopped() => Ok(()),
        ended = ended(&mut tasks) => Err(ended),
    }
}

/// Waits until a role ends, which none does but by a panic.
async fn ended(tasks: &mut JoinSet<()>) -> ServeError {
    match tasks.join_next().await {
        Some(Err(error)) => ServeError::Role(error.to_string()),
        Some(Ok(())) => ServeError::Role("without an error".into()),
        None => std::future::pending().await,
    }
}

/// Waits until the process is told to stop.
pub(crate) async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
