//! The webhook door behind the door, and the step that reads what it stored.

use crate::event::{accept, read_webhook};
use crate::signature::{BadSignature, Source};
use verdict_domain::time::Timestamp;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::resolutions::{self, Delivery};
use verdict_store::{Store, StoreError, Tx};

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not from whom it says: the sender must mend it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It could not be stored: the sender must send it again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Verifies a delivery and stores it as it came. `false`: it is there already. When this returns `Ok` it may be
/// answered with success.
pub async fn receive(
    store: &Store,
    source: &Source,
    header: impl Fn(&str) -> Option<String>,
    body: Vec<u8>,
    now: Timestamp,
) -> Result<bool, Refusal> {
    let verified = source.verify(&header, &body, now)?;
    let kept = ["webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "user-agent"];
    let headers: serde_json::Map<String, serde_json::Value> =
        kept.iter().filter_map(|name| Some((name.to_string(), header(name)?.into()))).collect();
    let delivery = Delivery {
        source: source.name().into(),
        id: verified.id,
        headers: serde_json::Value::Object(headers).to_string(),
        body,
        secret: verified.secret.to_string(),
    };
    let tx = store.begin().await?;
    let new = resolutions::store_delivery(&tx, delivery, now).await?;
    tx.commit().await?;
    Ok(new)
}

/// The step: reads stored deliveries as resolutions. What cannot be read, or what the database refuses (found by halving),
/// is parked: it does not hold up the others. Answers how many it took.
pub async fn map_deliveries(store: &Store, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    match map_together(store, now, limit, None).await {
        Err(error) if !error.is_transient() && limit > 1 => {
            Box::pin(map_deliveries(store, now, limit / 2)).await
        }
        Err(error) if !error.is_transient() => map_together(store, now, 1, Some(error.to_string())).await,
        result => result,
    }
}

/// Maps the next deliveries; with `refused`, parks them for that reason.
async fn map_together(
    store: &Store,
    now: Timestamp,
    limit: u32,
    refused: Option<String>,
) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    tx.claim("map").await?;
    let deliveries = resolutions::deliveries_to_map(&tx, limit).await?;
    for delivery in &deliveries {
        let mapped = match &refused {
            Some(reason) => Err(reason.clone()),
            None => map(&tx, delivery, now).await?,
        };
        if let Err(reason) = mapped {
            park(&tx, delivery, reason, now).await?;
        }
    }
    tx.commit().await?;
    Ok(deliveries.len())
}

async fn map(tx: &Tx, delivery: &Delivery, now: Timestamp) -> Result<Result<(), String>, StoreError> {
    let read = read_webhook(&delivery.id, &delivery.body);
    match read.and_then(|event| accept(event, &delivery.source, now)) {
        Ok(resolution) => {
            resolutions::record(tx, &[resolution], now).await?;
            resolutions::set_delivery_state(tx, &delivery.source, &delivery.id, "mapped").await?;
            Ok(Ok(()))
        }
        Err(reason) => Ok(Err(reason)),
    }
}

async fn park(tx: &Tx, delivery: &Delivery, reason: String, now: Timestamp) -> Result<(), StoreError> {
    let parked = Parked {
        origin: Origin::Delivery,
        reference: format!("{}/{}", delivery.source, delivery.id),
        headers: delivery.headers.clone(),
        body: delivery.body.clone(),
        reason,
    };
    parked::park(tx, &[parked], now).await?;
    resolutions::set_delivery_state(tx, &delivery.source, &delivery.id, "parked").await
}

/// Tries a parked delivery again: `None` is recorded, `Some(reason)` still cannot be read.
pub async fn replay(
    store: &Store,
    id: &str,
    reference: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let tx = store.begin().await?;
    let (source, delivery) = reference.split_once('/').unwrap_or_default();
    let Some(delivery) = resolutions::delivery(&tx, source, delivery).await? else {
        return Ok(Some(format!("the delivery `{reference}` is not stored")));
    };
    if let Err(reason) = map(&tx, &delivery, now).await? {
        return Ok(Some(reason));
    }
    parked::set_replayed(&tx, id, now).await?;
    tx.commit().await?;
    Ok(None)
}
