//! Which of Stripe's customers is ours, where a person says so.

use crate::events::CUSTOMER_DELETED;
use crate::meter::UNLINKED;
use crate::stripe::{Stripe, StripeError, is_id};
use verdict_domain::time::Timestamp;
use verdict_store::{Store, StoreError, alerts, contracts, meter, stripe_events};

/// Why a customer was not linked.
#[derive(Debug, thiserror::Error)]
pub enum NotLinked {
    /// One of the two is not there: name another.
    #[error("{0}")]
    NoSuch(String),
    /// It is linked already, to another of ours.
    #[error("it is Stripe's customer of `{0}` already: two would be billed as one")]
    Taken(String),
    /// Stripe could not be asked: again later.
    #[error("{0}")]
    Unasked(String),
    /// The database refused or was away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Links a customer of ours to one of Stripe's, in the place of any before. With a client of Stripe the latter is looked
/// at first. What waits for it is sent; what is parked must be replayed.
pub async fn link_customer(
    store: &Store,
    stripe: Option<&Stripe>,
    customer: &str,
    stripe_customer: &str,
    now: Timestamp,
) -> Result<(), NotLinked> {
    if !stripe_customer.starts_with("cus_") || !is_id(stripe_customer) {
        return Err(NotLinked::NoSuch(format!(
            "`{stripe_customer}` is no id of a customer at Stripe (cus_…)"
        )));
    }
    if let Some(stripe) = stripe {
        let gone = |why: &str| NotLinked::NoSuch(format!("Stripe's customer {stripe_customer} {why}"));
        match stripe.is_customer_deleted(stripe_customer).await {
            Ok(false) => {}
            Ok(true) => return Err(gone("is deleted")),
            Err(StripeError::Refused { message, .. }) => {
                return Err(gone(&format!("is not to be had: {message}")));
            }
            Err(error) => return Err(NotLinked::Unasked(error.to_string())),
        }
    }
    let tx = store.begin().await?;
    // Rating looks at links as well.
    tx.claim("rate").await?;
    if contracts::of_customers(&tx, [customer].into_iter()).await?.is_empty() {
        return Err(NotLinked::NoSuch(format!("there is no contract of a customer `{customer}`")));
    }
    let others = stripe_events::customers_of(&tx, stripe_customer).await?;
    if let Some(other) = others.into_iter().find(|other| other != customer) {
        return Err(NotLinked::Taken(other));
    }
    stripe_events::link(&tx, customer, stripe_customer).await?;
    meter::set_linked(&tx, customer).await?;
    alerts::clear(&tx, UNLINKED, customer, now).await?;
    alerts::clear(&tx, CUSTOMER_DELETED, customer, now).await?;
    Ok(tx.commit().await?)
}
