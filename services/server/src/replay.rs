//! Replaying what was parked, by where it came from.

use crate::worker::Worker;
use verdict_domain::time::Timestamp;
use verdict_intake::PriceBook;
use verdict_resolution::Sources;
use verdict_store::cases::CaseKey;
use verdict_store::parked::{self, Origin};
use verdict_store::{Store, StoreError, cases, ledger, meter, outbox, sources, stripe_events};

/// What became of a replay.
pub(crate) enum Replayed {
    /// There is nothing parked under this id.
    NotFound,
    /// It is done, or in line to be done.
    Done,
    /// It still cannot be processed: the reason.
    StillFails(String),
}

/// Replays one parked thing.
pub(crate) async fn replay(
    store: &Store,
    book: &PriceBook,
    configured: &Sources,
    worker: Option<&Worker>,
    id: &str,
    now: Timestamp,
) -> Result<Replayed, StoreError> {
    let Some(listed) = parked::find(store, id).await? else { return Ok(Replayed::NotFound) };
    let thing = &listed.parked;
    let failure = match thing.origin {
        Origin::Attempt => verdict_intake::replay(store, book, id, thing, now).await?,
        Origin::Delivery => verdict_resolution::replay(store, configured, id, &thing.reference, now).await?,
        Origin::Case
        | Origin::Outcome
        | Origin::Outbox
        | Origin::Fetch
        | Origin::StripeEvent
        | Origin::MeterEvent => {
            // Back in line, in one transaction with the note; the steps park it again if it still fails.
            let tx = store.begin().await?;
            match thing.origin {
                Origin::Outbox => outbox::replay_errand(&tx, &thing.reference).await?,
                Origin::StripeEvent => stripe_events::replay(&tx, &thing.reference).await?,
                origin => {
                    let parts: Vec<serde_json::Value> = serde_json::from_str(&thing.reference)
                        .map_err(|error| StoreError::Corrupt(format!("reference of {id}: {error}")))?;
                    let text =
                        |nth: usize| parts.get(nth).and_then(|part| part.as_str()).unwrap_or_default().into();
                    let key = CaseKey { customer: text(0), case: text(1) };
                    match origin {
                        Origin::Case => cases::mark_to_judge(&tx, vec![key]).await?,
                        Origin::MeterEvent => {
                            let seq = parts.get(2).and_then(serde_json::Value::as_i64).unwrap_or_default();
                            meter::replay(&tx, &key, seq, outbox::TRIES_PER_KEY).await?;
                        }
                        Origin::Fetch => sources::replay_fetch(&tx, &key.customer, &key.case).await?,
                        _ => {
                            let seq = parts.get(2).and_then(serde_json::Value::as_i64).unwrap_or_default();
                            ledger::mark_to_rate(&tx, [(&key, seq)].into_iter()).await?;
                        }
                    }
                }
            }
            parked::set_replayed(&tx, id, now).await?;
            tx.commit().await?;
            None
        }
    };
    if let Some(worker) = worker {
        worker.nudge();
    }
    Ok(failure.map_or(Replayed::Done, Replayed::StillFails))
}

/// What became of settling a parked errand.
pub(crate) enum Settled {
    /// There is nothing parked under this id.
    NotFound,
    /// It is no errand to Stripe, or it is not parked any more.
    NoErrand,
    /// It is done.
    Done,
}

/// Takes a parked errand to Stripe, which was put right there by hand, as done.
pub(crate) async fn settle(
    store: &Store,
    id: &str,
    because: &str,
    now: Timestamp,
) -> Result<Settled, StoreError> {
    let Some(listed) = parked::find(store, id).await? else { return Ok(Settled::NotFound) };
    let tx = store.begin().await?;
    if listed.parked.origin != Origin::Outbox
        || !outbox::settle_errand(&tx, &listed.parked.reference, because).await?
    {
        return Ok(Settled::NoErrand);
    }
    parked::set_replayed(&tx, id, now).await?;
    tx.commit().await?;
    Ok(Settled::Done)
}
