//! Recording: one transaction a batch, whatever door it came by.

use crate::accept::accept;
use crate::litellm;
use crate::price::PriceBook;
use crate::spans;
use crate::wire::{Event, MAX_BATCH, decode};
use verdict_domain::attempt::Attempt;
use verdict_domain::time::Timestamp;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError, attempts};

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is a new fact.
    Recorded,
    /// The fact is there already.
    Duplicate,
    /// It is no fact; the reason names the field.
    Rejected(String),
}

/// A message from the queue.
pub struct Message<'a> {
    /// What its bytes are.
    pub content_type: &'a str,
    /// Its bytes.
    pub body: &'a [u8],
    /// What came with it, as JSON: only asked for, and kept, if it is parked.
    pub headers: Box<dyn Fn() -> String + Send + Sync + 'a>,
}

/// How what is no attempt is parked.
#[derive(Clone, Copy)]
pub struct Parking<'a> {
    /// What the events are, as a content type: it decides how they are replayed.
    pub reference: &'a str,
    /// What is kept beside an event, by its place among all, as JSON.
    pub headers: &'a (dyn Fn(usize) -> String + Sync),
    /// How much is kept of what has this reference; `None`: all.
    pub within: Option<parked::Bounds>,
}

/// Records the events of one request and answers for each, in order. Nothing is parked: the caller sees the reason.
pub async fn record(
    store: &Store,
    book: &PriceBook,
    events: Vec<Event<'_>>,
    now: Timestamp,
) -> Result<Vec<Outcome>, StoreError> {
    record_batch(store, book, events, 0, None, now).await
}

/// The same where nobody reads the answer, as of telemetry: what is no attempt is parked in the same transaction, to be
/// seen and replayed; where that is bounded, the oldest goes and is counted. More than [`MAX_BATCH`] events are recorded in parts; on an error, what is sent again is a duplicate.
pub async fn record_or_park(
    store: &Store,
    book: &PriceBook,
    events: Vec<Event<'_>>,
    parking: Parking<'_>,
    now: Timestamp,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(events.len());
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        let part = events.by_ref().take(MAX_BATCH).collect();
        outcomes.extend(record_batch(store, book, part, outcomes.len(), Some(parking), now).await?);
    }
    Ok(outcomes)
}

async fn record_batch(
    store: &Store,
    book: &PriceBook,
    events: Vec<Event<'_>>,
    before: usize,
    parking: Option<Parking<'_>>,
    now: Timestamp,
) -> Result<Vec<Outcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(events.len());
    let mut accepted = Vec::with_capacity(events.len());
    let mut refused = Vec::new();
    for Event { raw, read } in events {
        match read.and_then(|event| accept(event, book, now)) {
            Ok(attempt) => {
                accepted.push(attempt);
                outcomes.push(Outcome::Recorded);
            }
            Err(reason) => {
                refused.extend(parking.map(|parking| Parked {
                    origin: Origin::Attempt,
                    reference: parking.reference.into(),
                    headers: (parking.headers)(before + outcomes.len()),
                    body: raw.into_owned(),
                    reason: reason.clone(),
                }));
                outcomes.push(Outcome::Rejected(reason));
            }
        }
    }
    let mut recorded =
        write(store, accepted, &refused, parking.and_then(|parking| parking.within), now).await?.into_iter();
    for outcome in outcomes.iter_mut().filter(|outcome| **outcome == Outcome::Recorded) {
        if recorded.next() == Some(false) {
            *outcome = Outcome::Duplicate;
        }
    }
    Ok(outcomes)
}

/// Records the events of many messages in one transaction; what is no fact is parked in the same. When this
/// returns `Ok`, every message may be acknowledged. Answers how many facts were new. An error is
/// transient or an error of ours: nothing is recorded that was not committed, the messages stay with the queue.
pub async fn record_messages(
    store: &Store,
    book: &PriceBook,
    messages: &[Message<'_>],
    now: Timestamp,
) -> Result<usize, StoreError> {
    match (record_together(store, book, messages, now).await, messages) {
        // Our limits should keep the database from ever refusing a row. Should it, one message must
        // not hold up the others: halve until it is alone.
        (Err(StoreError::Refused(reason)), [message]) => {
            let parked = Parked {
                origin: Origin::Attempt,
                reference: message.content_type.to_string(),
                headers: (message.headers)(),
                body: message.body.to_vec(),
                reason: format!("the database refused it: {reason}"),
            };
            write(store, Vec::new(), &[parked], None, now).await?;
            Ok(0)
        }
        (Err(StoreError::Refused(_)), [_, _, ..]) => {
            let (first, second) = messages.split_at(messages.len() / 2);
            Ok(Box::pin(record_messages(store, book, first, now)).await?
                + Box::pin(record_messages(store, book, second, now)).await?)
        }
        (result, _) => result,
    }
}

async fn record_together(
    store: &Store,
    book: &PriceBook,
    messages: &[Message<'_>],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let mut accepted = Vec::with_capacity(messages.len());
    let mut refused = Vec::new();
    for message in messages {
        for event in decode(message.content_type, message.body) {
            let Event { raw, read } = event;
            match read.and_then(|event| accept(event, book, now)) {
                Ok(attempt) => accepted.push(attempt),
                Err(reason) => refused.push(Parked {
                    origin: Origin::Attempt,
                    reference: message.content_type.to_string(),
                    headers: (message.headers)(),
                    body: raw.into_owned(),
                    reason,
                }),
            }
        }
    }
    let recorded = write(store, accepted, &refused, None, now).await?;
    Ok(recorded.iter().filter(|new| **new).count())
}

/// Tries a parked event again: `Ok(None)` is recorded (or there already), `Ok(Some(reason))` still is no fact.
pub async fn replay(
    store: &Store,
    book: &PriceBook,
    id: &str,
    parked: &Parked,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let events = match parked.reference.as_str() {
        spans::SPAN => vec![spans::parked(&parked.body)],
        litellm::LITELLM => vec![litellm::parked(&parked.body)],
        content_type => decode(content_type, &parked.body),
    };
    let outcomes = record(store, book, events, now).await?;
    for outcome in outcomes {
        if let Outcome::Rejected(reason) = outcome {
            return Ok(Some(reason));
        }
    }
    let tx = store.begin().await?;
    parked::set_replayed(&tx, id, now).await?;
    tx.commit().await?;
    Ok(None)
}

/// One transaction: the facts, the marks on their cases, and what is parked beside them.
async fn write(
    store: &Store,
    accepted: Vec<Attempt>,
    refused: &[Parked],
    within: Option<parked::Bounds>,
    now: Timestamp,
) -> Result<Vec<bool>, StoreError> {
    let tx = store.begin().await?;
    let recorded = attempts::record(&tx, accepted, now).await?;
    let dropped = match within {
        None => parked::park(&tx, refused, now).await.map(|()| 0),
        Some(bounds) => parked::park_within(&tx, refused, bounds, now).await,
    }?;
    tx.commit().await?;
    if dropped > 0 {
        tracing::warn!(
            dropped,
            "more telemetry than is kept cannot be used: the oldest of what was parked is gone"
        );
    }
    Ok(recorded)
}
