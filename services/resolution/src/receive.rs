//! What a delivery is at the door: a challenge to answer, a delivery to store, or one to refuse and keep aside.

use crate::source::{BadSignature, Challenge, MissingId, Request, Source, token_digest};
use std::collections::BTreeMap;
use verdict_domain::time::Timestamp;
use verdict_store::deliveries::{self, Delivery, Via};
use verdict_store::quarantine::{self, Refused};
use verdict_store::{Store, StoreError};

/// What a request to a source's address is.
#[derive(Debug)]
pub enum Arrival {
    /// The platform asks whether we are there; it is stored nowhere.
    Challenge(Challenge),
    /// It is verified: store it, then answer with success.
    Delivery(Delivery),
    /// It is not what it says, or lacks what it must have: keep it in quarantine, then refuse it.
    Refused(Refused, Refusal),
}

/// Why a delivery is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No secret of the source had signed it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// It has not the id that this platform gives each delivery.
    #[error(transparent)]
    Id(#[from] MissingId),
}

/// Looks at a request to a source's address: pure.
pub fn look_at(source: &Source, request: &Request<'_>, now: Timestamp) -> Arrival {
    let challenge = source.challenge(request);
    if let Some(challenge) = challenge.as_ref().filter(|challenge| !challenge.signed) {
        return Arrival::Challenge(challenge.clone());
    }
    let kept = || {
        let secret = source.secret_header();
        let headers = source.kept_headers().filter_map(|name| {
            let value = (request.header)(name)?;
            // Where the header is the secret itself, what is stored is its digest.
            let value = if secret.as_deref() == Some(name) { token_digest(&value) } else { value };
            Some((name, value))
        });
        serde_json::to_string(&headers.collect::<BTreeMap<&str, String>>()).unwrap_or_default()
    };
    let refused = |refusal: Refusal| {
        let refused = Refused {
            source: source.name().into(),
            method: request.method.into(),
            query: request.query.map(String::from),
            headers: kept(),
            body: request.body.to_vec(),
            reason: refusal.to_string(),
            received_at: now,
        };
        Arrival::Refused(refused, refusal)
    };
    let verified = match source.verify(request, now) {
        Ok(verified) => verified,
        Err(error) => return refused(error.into()),
    };
    if let Some(challenge) = challenge {
        return Arrival::Challenge(challenge);
    }
    match source.delivery_id(request) {
        Ok(id) => Arrival::Delivery(Delivery {
            source: source.name().into(),
            id,
            via: Via::Webhook,
            headers: kept(),
            body: request.body.to_vec(),
            secret: verified.secret,
            origin: None,
            received_at: now,
        }),
        Err(error) => refused(error.into()),
    }
}

/// Tries a delivery from the quarantine again, with the secrets that the source has now and the time at which it came.
/// `None`: it is stored, as if it had been good then. `Some(reason)`: it is still refused.
pub async fn release(
    store: &Store,
    source: Option<&Source>,
    id: &str,
    refused: &Refused,
) -> Result<Option<String>, StoreError> {
    let Some(source) = source else {
        return Ok(Some(format!("the source `{}` is not configured", refused.source)));
    };
    let headers: BTreeMap<String, String> = serde_json::from_str(&refused.headers)
        .map_err(|error| StoreError::Corrupt(format!("headers of {id}: {error}")))?;
    let secret = source.secret_header();
    let header = |name: &str| {
        let value = headers.get(&name.to_ascii_lowercase())?;
        let is_secret = secret.as_deref().is_some_and(|secret| secret.eq_ignore_ascii_case(name));
        if is_secret { source.token_of_digest(value) } else { Some(value.clone()) }
    };
    let request = Request {
        method: &refused.method,
        query: refused.query.as_deref(),
        header: &header,
        body: &refused.body,
    };
    let delivery = match look_at(source, &request, refused.received_at) {
        Arrival::Delivery(delivery) => delivery,
        Arrival::Challenge(_) => return Ok(Some("it is a challenge: nothing to store".into())),
        Arrival::Refused(_, refusal) => return Ok(Some(refusal.to_string())),
    };
    let tx = store.begin().await?;
    deliveries::store(&tx, vec![delivery]).await?;
    quarantine::take_out(&tx, id).await?;
    tx.commit().await?;
    Ok(None)
}
