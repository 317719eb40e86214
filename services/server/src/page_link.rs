//! The link to a customer's own page ([`crate::link`]).

use crate::link::{self, Link, Maker, NoLink, Sort};
use verdict_domain::time::{MICROS_PER_DAY, Span, Timestamp};
use verdict_resolution::SealKey;
use verdict_store::{Store, StoreError, contracts};

/// How many days a link holds if nobody says otherwise.
pub const DAYS: u32 = 30;
/// How many it holds at most.
const MOST_DAYS: u32 = 400;

/// Makes a link that holds for `days` from `now` on.
pub async fn make_link(
    store: &Store,
    set: (Option<&SealKey>, Option<&str>),
    customer: &str,
    days: u32,
    now: Timestamp,
) -> Result<Result<Link, NoLink>, StoreError> {
    let maker = match Maker::new(set) {
        Ok(maker) => maker,
        Err(lacks) => return Ok(Err(lacks)),
    };
    if !(1..=MOST_DAYS).contains(&days) {
        return Ok(Err(NoLink::Invalid(format!("days: must be from 1 to {MOST_DAYS}"))));
    }
    if !has_contract(store, customer).await? {
        return Ok(Err(NoLink::NotFound(format!("customer: `{customer}` has no contract"))));
    }
    let expires_at = now.plus(Span(i64::from(days) * MICROS_PER_DAY));
    link::make(store, maker, Sort::CustomerPage, customer, expires_at).await
}

/// Whether a customer has a contract.
pub async fn has_contract(store: &Store, customer: &str) -> Result<bool, StoreError> {
    let tx = store.snapshot().await?;
    Ok(!contracts::of_customers(&tx, std::iter::once(customer)).await?.is_empty())
}
