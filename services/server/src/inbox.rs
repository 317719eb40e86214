//! Deliveries that arrive together are stored together: one commit for many, so that each is answered soon also where
//! a commit takes its time.

use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use verdict_store::deliveries::{self, Delivery};
use verdict_store::quarantine::{self, Bounds, Refused};
use verdict_store::stripe_events::{self, StripeEvent};
use verdict_store::{Store, StoreError};

/// The most that wait for a commit; who comes then waits for a place.
const WAITING: usize = 256;

/// What is to be stored.
#[derive(Clone)]
pub enum Item {
    /// A delivery whose signature was good.
    Delivery(Delivery),
    /// One whose signature was not.
    Refused(Refused),
    /// An event of Stripe's whose signature was good.
    Stripe(StripeEvent),
}

/// Senders wait for as little as five seconds. One that is told to come again in time does; one that gives up may drop
/// the delivery. What is stored after all is known when it comes again.
const PATIENCE: Duration = Duration::from_secs(3);

type Waiting = (Item, oneshot::Sender<Result<(), StoreError>>);

/// The way in for deliveries.
#[derive(Clone)]
pub struct Inbox(mpsc::Sender<Waiting>);

impl Inbox {
    /// Starts the task that stores. It ends when all its clones are gone.
    pub fn start(store: Store, bounds: Bounds) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(store_together(store, bounds, receiver));
        Self(sender)
    }

    /// Stores an item, if it is not there already. When this returns `Ok`, it is committed.
    pub async fn store(&self, item: Item) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        let ended = || StoreError::Transient("the service is ending".into());
        let stored = async {
            self.0.send((item, answer)).await.map_err(|_| ended())?;
            answered.await.map_err(|_| ended())?
        };
        let late = || StoreError::Transient("it could not be stored in time".into());
        tokio::time::timeout(PATIENCE, stored).await.unwrap_or_else(|_| Err(late()))
    }
}

/// While one transaction commits, the next batch gathers by itself.
async fn store_together(store: Store, bounds: Bounds, mut receiver: mpsc::Receiver<Waiting>) {
    let mut waiting: Vec<Waiting> = Vec::with_capacity(WAITING);
    while receiver.recv_many(&mut waiting, WAITING).await > 0 {
        let (batch, answers): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let results = match store_all(&store, bounds, batch.clone()).await {
            // One that the database refuses must not take its neighbours with it.
            Err(error) if !error.is_transient() && batch.len() > 1 => {
                let mut results = Vec::with_capacity(batch.len());
                for item in batch {
                    results.push(store_all(&store, bounds, vec![item]).await);
                }
                results
            }
            result => vec![result; batch.len()],
        };
        for (answer, result) in answers.into_iter().zip(results) {
            // Who has hung up gets no answer, and sends again.
            let _ = answer.send(result);
        }
    }
}

async fn store_all(store: &Store, bounds: Bounds, batch: Vec<Item>) -> Result<(), StoreError> {
    let (mut good, mut refused, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for item in batch {
        match item {
            Item::Delivery(delivery) => good.push(delivery),
            Item::Refused(bad) => refused.push(bad),
            Item::Stripe(event) => events.push(event),
        }
    }
    let tx = store.begin().await?;
    deliveries::store(&tx, good).await?;
    events.sort_by(|a, b| a.id.cmp(&b.id));
    for event in &events {
        stripe_events::store(&tx, event).await?;
    }
    quarantine::keep(&tx, &refused, bounds).await?;
    tx.commit().await
}
