//! The rebuild of the figures that was asked for, run by whoever takes it: the worker, or the command.

use crate::clock::wall_clock;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use verdict_domain::time::{Span, Timestamp};
use verdict_resolution::rebuild_figures;
use verdict_store::rebuilds::{self, Done, Rebuild};
use verdict_store::{Store, StoreError};

/// For so long a rebuild is that of who took it. Then whoever did is taken for dead, and it is begun again.
const LEASE: Span = Span(60_000_000);
/// How often the lease is renewed, and what was done so far is noted.
const BEAT: Duration = Duration::from_secs(1);
/// By then a lease must be renewed: before it is over, so that two never rebuild at a time. On SQLite the renewal waits for whoever
/// writes, which is not long.
const RENEWED: Duration = Duration::from_secs(50);

fn leased_until() -> Timestamp {
    wall_clock().plus(LEASE)
}

/// Runs the rebuild that was asked for, if there is one and nobody is at it. Answers what came of it; `None`: nothing is to be done
/// here. On an error it is begun again when the lease is over.
pub(crate) async fn rebuild_if_asked(store: &Store) -> Result<Option<Rebuild>, StoreError> {
    let Some(taken) = rebuilds::take(store, wall_clock(), leased_until()).await? else { return Ok(None) };
    tracing::info!(id = taken.id, by = taken.asked_by, begun = taken.begun, "rebuilding the figures");
    let so_far = watch::Sender::new(Done::default());
    // What was put right before it was broken off stays so, and counts.
    let with_before = |done: Done| Done {
        wrong_cases: done.wrong_cases + taken.done.wrong_cases,
        wrong_sums: done.wrong_sums + taken.done.wrong_sums,
        ..done
    };
    let renew = async {
        loop {
            sleep(BEAT).await;
            let done = with_before(*so_far.borrow());
            match timeout(RENEWED, rebuilds::keep(store, &taken, done, leased_until())).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(error),
            }
        }
    };
    let rebuilt = tokio::select! {
        rebuilt = rebuild_figures(store, |done| { so_far.send_replace(done); }) => rebuilt,
        // What it was writing is rolled back.
        lost = renew => {
            tracing::warn!(id = taken.id, "the rebuild of the figures was given up here: it is begun again");
            return lost.map(|()| None);
        }
    };
    let (done, failed) = match rebuilt {
        Ok(done) => (done, false),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => {
            tracing::error!(%error, id = taken.id, "the figures cannot be rebuilt");
            (*so_far.borrow(), true)
        }
    };
    let (done, now) = (with_before(done), wall_clock());
    if !rebuilds::end(store, &taken, done, failed, now).await? {
        return Ok(None);
    }
    tracing::info!(id = taken.id, ?done, failed, "the rebuild of the figures is over");
    Ok(Some(Rebuild { done, failed, ended_at: Some(now), ..taken }))
}
