//! What webhooks leave out: thin events are enriched from the platform's API, and what got lost is found by polling.
//! Whatever comes is stored raw, as a delivery, and mapped by the same step as the rest.

use crate::ask::{Answer, Client};
use crate::source::{Origin, Poll, Source};
use serde::de::IgnoredAny;
use std::time::Duration;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::deliveries::{self, Delivery, Via};
use verdict_store::parked::{self, Origin as ParkedOrigin, Parked};
use verdict_store::sources::{self, Fetch};
use verdict_store::{Store, StoreError, alerts};

const FAILING: &str = "source_failing";
/// From so many failures in a row on, a person should know.
const MANY_FAILURES: i64 = 5;
const FIRST_WAIT: Span = Span(2_000_000);
const LONGEST_WAIT: Span = Span::hours(1);
/// A platform whose pages never end.
const MOST_PAGES: usize = 1_000;

/// The wait after so many failures: doubling, with up to a quarter more, so that many do not come back at once.
fn wait(failures: i64) -> Span {
    let doublings = u32::try_from(failures.clamp(1, 20) - 1).unwrap_or_default();
    let wait = FIRST_WAIT.0.saturating_mul(1_i64 << doublings).min(LONGEST_WAIT.0);
    Span(wait + rand::random_range(0..=wait / 4))
}

/// The time between two questions to a source, under its limit.
fn pause(per_minute: u32) -> Span {
    Span(60_000_000 / i64::from(per_minute.max(1)))
}

/// Carries out the next fetch of a source, if one is due. `wall` is the wall clock, by which waits are counted.
/// `false`: there was none.
pub async fn fetch_next(
    store: &Store,
    source: &Source,
    client: &Client,
    now: Timestamp,
    wall: impl Fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let Some(plan) = source.fetch() else { return Ok(false) };
    if !sources::has_due_fetch(store, source.name(), wall()).await? {
        return Ok(false);
    }
    let tx = store.begin().await?;
    // Longer than one question can take.
    let leased_until = wall().plus(Span(plan.timeout.0.saturating_mul(3)));
    let fetch =
        sources::lease_fetch(&tx, source.name(), wall(), pause(plan.per_minute), leased_until).await?;
    tx.commit().await?;
    let Some(fetch) = fetch else { return Ok(false) };
    let origin: Origin = serde_json::from_str(&fetch.origin)
        .map_err(|error| StoreError::Corrupt(format!("origin of fetch {}: {error}", fetch.id)))?;
    let answer = match source.fetch_request(&origin) {
        Ok(request) => client.ask(&request).await,
        Err(reason) => Answer::Never(reason),
    };
    let answer = match answer {
        // Stored, it would be the answer for ever; a platform in maintenance shows a page to people.
        Answer::Document(body) if serde_json::from_slice::<IgnoredAny>(&body).is_err() => {
            Answer::Later("the answer is not JSON".into(), None)
        }
        answer => answer,
    };
    let tx = store.begin().await?;
    match answer {
        Answer::Document(body) => {
            let delivery = Delivery {
                source: fetch.source.clone(),
                id: format!("fetch:{}", fetch.id),
                via: Via::Fetch,
                headers: "{}".into(),
                body,
                secret: String::new(),
                origin: Some(fetch.origin.clone()),
                received_at: now,
            };
            deliveries::store(&tx, vec![delivery]).await?;
            sources::finish_fetch(&tx, &fetch).await?;
            alerts::clear(&tx, FAILING, source.name(), now).await?;
        }
        Answer::Later(reason, after) => {
            let next = wall().plus(after.unwrap_or(Span(0)).max(wait(fetch.tries)));
            sources::retry_fetch(&tx, &fetch, next, &reason).await?;
            if let Some(after) = after {
                sources::ask_not_before(&tx, source.name(), wall().plus(after)).await?;
            }
            if fetch.tries >= MANY_FAILURES {
                let text =
                    format!("its API fails: {reason}: look at the credentials and the platform's status");
                alerts::raise(&tx, FAILING, source.name(), &text, now).await?;
            }
            tracing::warn!(
                source = source.name(),
                fetch = fetch.id,
                reason,
                "a fetch failed; it is tried again"
            );
        }
        Answer::Never(reason) => {
            sources::set_fetch_aside(&tx, &fetch, &reason).await?;
            parked::park(&tx, &[to_park(&fetch, reason)], now).await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

fn to_park(fetch: &Fetch, reason: String) -> Parked {
    Parked {
        origin: ParkedOrigin::Fetch,
        reference: serde_json::json!([fetch.source, fetch.id]).to_string(),
        headers: "{}".into(),
        body: fetch.origin.clone().into_bytes(),
        reason: format!("cannot be fetched: {reason}"),
    }
}

/// Polls a source, if it is time: asks for all that changed since the last poll (and a little before), page by page.
/// Answers whether it asked.
pub async fn poll_if_due(
    store: &Store,
    source: &Source,
    client: &Client,
    now: Timestamp,
    wall: impl Fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let Some(plan) = source.poll() else { return Ok(false) };
    let tx = store.begin().await?;
    // Nobody else begins meanwhile; what is polled twice is stored once.
    if !sources::begin_poll(&tx, source.name(), now, now.plus(plan.every)).await? {
        return Ok(false);
    }
    let state = sources::state(&tx, source.name()).await?;
    tx.commit().await?;

    let since = state.polled_until.unwrap_or(Timestamp(now.0.saturating_sub(plan.every.0)));
    let polled = poll_pages(store, source, plan, client, since, now, &wall).await?;
    let tx = store.begin().await?;
    match polled {
        Ok(()) => {
            sources::finish_poll(&tx, source.name(), now).await?;
            alerts::clear(&tx, FAILING, source.name(), now).await?;
        }
        Err(reason) => {
            let failures = state.poll_failures.saturating_add(1);
            let next = now.plus(wait(failures).min(plan.every));
            sources::retry_poll(&tx, source.name(), failures, next, &reason).await?;
            if failures >= MANY_FAILURES {
                let text =
                    format!("polling it fails: {reason}: look at the credentials and the platform's status");
                alerts::raise(&tx, FAILING, source.name(), &text, now).await?;
            }
            tracing::warn!(source = source.name(), reason, "polling failed; it is tried again");
        }
    }
    tx.commit().await?;
    Ok(true)
}

async fn poll_pages(
    store: &Store,
    source: &Source,
    plan: &Poll,
    client: &Client,
    since: Timestamp,
    until: Timestamp,
    wall: &impl Fn() -> Timestamp,
) -> Result<Result<(), String>, StoreError> {
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        while !take_turn(store, source, plan, wall()).await? {
            let micros = u64::try_from(pause(plan.per_minute).0).unwrap_or_default();
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
        let request = match source.poll_request(since, until, cursor.as_deref()) {
            Ok(request) => request,
            Err(reason) => return Ok(Err(reason)),
        };
        let body = match client.ask(&request).await {
            Answer::Document(body) => body,
            Answer::Later(reason, after) => {
                if let Some(after) = after {
                    let tx = store.begin().await?;
                    sources::ask_not_before(&tx, source.name(), wall().plus(after)).await?;
                    tx.commit().await?;
                }
                return Ok(Err(reason));
            }
            Answer::Never(reason) => return Ok(Err(reason)),
        };
        let page = match source.poll_page(&body) {
            Ok(page) => page,
            Err(reason) => return Ok(Err(reason)),
        };
        let documents = page.items.into_iter().map(|item| Delivery {
            source: source.name().into(),
            id: source.item_id(&item),
            via: Via::Poll,
            headers: "{}".into(),
            body: item.into_bytes(),
            secret: String::new(),
            origin: None,
            received_at: until,
        });
        let documents: Vec<Delivery> = documents.collect();
        let tx = store.begin().await?;
        deliveries::store(&tx, documents).await?;
        tx.commit().await?;
        match page.next {
            Some(next) if Some(&next) == cursor.as_ref() => {
                return Ok(Err("the next page is the same again".into()));
            }
            Some(next) => cursor = Some(next),
            None => return Ok(Ok(())),
        }
    }
    Ok(Err(format!("it has more than {MOST_PAGES} pages")))
}

async fn take_turn(store: &Store, source: &Source, plan: &Poll, wall: Timestamp) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let turn = sources::may_ask(&tx, source.name(), wall, pause(plan.per_minute)).await?;
    tx.commit().await?;
    Ok(turn)
}
