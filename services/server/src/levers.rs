//! The levers, off the path of requests: computed now and then, and kept.

use crate::config::LeversConfig;
use std::time::Duration;
use verdict_domain::attempt::Usage;
use verdict_domain::money::{Currency, Money};
use verdict_domain::time::{Span, Timestamp};
use verdict_intake::{BookError, PriceBook, books};
use verdict_reports::{Levers, Question, levers};
use verdict_store::{Store, StoreError, access, levers as kept};

/// When they were computed last, by the wall clock.
const LAST_RUN: &str = "levers_at";
/// After each bite the other steps have so long to themselves.
const BREATH: Duration = Duration::from_millis(10);

/// What tokens cost by the price book: the one place where the levers ask it.
pub(crate) fn price(book: &PriceBook) -> impl Fn(&str, &str, Timestamp, &Usage) -> Option<Money> + Sync + '_ {
    // Of no customer: what one of them has agreed on says nothing of the others.
    |provider, model, at, usage| {
        let nanos = book.cost_nanos("", provider, model, at, usage, None)?.nanos;
        Some(Money { nanos, currency: Currency::USD })
    }
}

/// The prices that are in force.
pub(crate) async fn active_book(store: &Store) -> Result<PriceBook, StoreError> {
    books::open_active(store).await.map_err(|error| match error {
        BookError::Store(error) => error,
        error => StoreError::Refused(error.to_string()),
    })
}

/// Computes and keeps them if the last time is at least `every` ago by the wall clock, `wall`. Answers whether it did. Of
/// several processes, one does.
pub(crate) async fn compute_if_due(
    store: &Store,
    config: &LeversConfig,
    now: Timestamp,
    wall: Timestamp,
) -> Result<bool, StoreError> {
    if config.every == Span(0) {
        return Ok(false);
    }
    let last = access::setting(store, LAST_RUN).await?;
    let is_due =
        last.as_deref().and_then(Timestamp::parse).is_none_or(|last| last.plus(config.every) <= wall);
    // Moved on first: what fails is tried again when it is due again, and nobody else begins it meanwhile.
    if !is_due || !access::replace_setting(store, LAST_RUN, last.as_deref(), &wall.to_string()).await? {
        return Ok(false);
    }
    // They were checked at the start.
    let bad = |error: crate::config::ConfigError| StoreError::Refused(error.to_string());
    let question = Question {
        from: now.day() - config.days,
        to: now.day(),
        customer: None,
        models: config.models().map_err(bad)?,
        distillation: config.distillation().map_err(bad)?,
    };
    let book = active_book(store).await?;
    let computed = levers(store, &question, &price(&book), || tokio::time::sleep(BREATH), now).await?;
    let body = serde_json::to_string(&computed).map_err(|error| StoreError::Refused(error.to_string()))?;
    kept::keep(store, now, &body).await?;
    tracing::info!(attempts = computed.attempts, "computed the levers");
    Ok(true)
}

/// Those that are kept. What another version kept in another form counts as not computed yet: it is, when it is due.
pub(crate) async fn last(store: &Store) -> Result<Option<Levers>, StoreError> {
    let Some(body) = kept::kept(store).await? else { return Ok(None) };
    match serde_json::from_str(&body) {
        Ok(levers) => Ok(Some(levers)),
        Err(error) => {
            tracing::warn!(%error, "the levers that are kept cannot be read; they will be computed anew");
            Ok(None)
        }
    }
}
