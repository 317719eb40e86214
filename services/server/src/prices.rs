//! The prices as they are now: the active book with the overrides, looked for again every other second.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use verdict_intake::{BookError, PriceBook, books};
use verdict_store::Store;
use verdict_store::prices::{self, State};

/// How often a running service looks for changed prices.
const REFRESH: Duration = Duration::from_secs(2);

/// The prices of a running service.
pub struct LivePrices {
    /// What was stored when the prices were made, and the prices.
    current: RwLock<(State, Arc<PriceBook>)>,
}

impl LivePrices {
    /// Reads the prices that are in force. An active book that cannot be read is refused: no price is better than one that
    /// nobody asked for.
    pub async fn load(store: &Store) -> Result<Self, BookError> {
        let state = prices::state(store).await?;
        let book = books::refreshed(store, None, &state).await?;
        Ok(Self { current: RwLock::new((state, Arc::new(book))) })
    }

    /// The prices now.
    pub fn now(&self) -> Arc<PriceBook> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Looks for changed prices, for ever.
    pub async fn keep_fresh(self: Arc<Self>, store: Store) {
        loop {
            tokio::time::sleep(REFRESH).await;
            if let Err(error) = self.refresh(&store).await {
                tracing::warn!(%error, "the stored prices cannot be read; those before stay");
            }
        }
    }

    /// Takes the prices as they are stored now.
    pub async fn refresh(&self, store: &Store) -> Result<(), BookError> {
        let state = prices::state(store).await?;
        let before = self.now();
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == state {
            return Ok(());
        }
        let book = books::refreshed(store, Some(&before), &state).await?;
        tracing::info!(book = book.id(), overrides = state.overrides, "the prices have changed");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (state, Arc::new(book));
        Ok(())
    }
}
