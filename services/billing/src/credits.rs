//! Prepaid credits: granted by the operator, drawn by invoices.

use serde::{Deserialize, Serialize};
use verdict_domain::money::{self, Money, MoneyError};
use verdict_domain::pricing::Grant;
use verdict_domain::time::Timestamp;
use verdict_store::grants::{self, Recorded};
use verdict_store::{Store, StoreError};

/// Credits to grant. That the customer paid for them is settled elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantRequest {
    /// Unique per customer, and the same when it is sent again.
    pub id: String,
    /// Whose.
    pub customer: String,
    /// How much: a decimal of whole minor units in the currency of the customer's contract.
    pub amount: String,
    /// From when on it counts [default: now].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_at: Option<Timestamp>,
    /// From when on no more [default: never].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Why credits were not granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// The request must be mended.
    #[error("{0}")]
    Invalid(String),
    /// Another grant is there under the id.
    #[error("{0}")]
    Conflict(String),
    /// The database failed.
    #[error(transparent)]
    Store(StoreError),
}

/// Grants credits, once for an id. `false`: the very same were granted before.
pub async fn grant(store: &Store, request: &GrantRequest, now: Timestamp) -> Result<bool, GrantError> {
    let invalid = |text: String| GrantError::Invalid(text);
    let short = |text: &str, most: usize| {
        (1..=most).contains(&text.chars().count()) && !text.contains(char::is_control)
    };
    if !short(&request.id, 128) {
        return Err(invalid("id: must have 1 to 128 characters".into()));
    }
    if request.note.as_deref().is_some_and(|note| !short(note, 512)) {
        return Err(invalid("note: must have 1 to 512 characters".into()));
    }
    let tx = store.begin().await.map_err(GrantError::Store)?;
    let currency = grants::currency_of(&tx, &request.customer).await.map_err(GrantError::Store)?;
    let currency = currency.ok_or_else(|| {
        invalid(format!(
            "customer: `{}` has no contract, so that no currency is known: put one first",
            request.customer
        ))
    })?;
    let of_amount = |error: MoneyError| invalid(format!("amount: {error}"));
    let amount = Money { nanos: money::parse_nanos(&request.amount).map_err(of_amount)?, currency };
    let minor = amount.to_minor_units().map_err(of_amount)?;
    let whole = Money::of_minor_units(minor, currency).map_err(of_amount)?;
    if minor <= 0 || whole != amount {
        let unit = money::minor_decimal(1, currency);
        return Err(invalid(format!("amount: must be a positive multiple of {unit} {}", currency.code())));
    }
    // Sent again without a time, it is the same grant: its first time stays.
    let known = grants::of_customer(&tx, &request.customer).await.map_err(GrantError::Store)?;
    let before =
        known.iter().find(|drawn| drawn.grant.id == request.id).map(|drawn| drawn.grant.effective_at);
    let effective_at = request.effective_at.or(before).unwrap_or(now);
    if request.expires_at.is_some_and(|expires_at| expires_at <= effective_at) {
        return Err(invalid("expires_at: must be after effective_at".into()));
    }
    let grant = Grant { id: request.id.clone(), minor, effective_at, expires_at: request.expires_at };
    let recorded =
        Recorded { customer: request.customer.clone(), grant, currency, note: request.note.clone() };
    let new = grants::record(&tx, &recorded, now).await.map_err(|error| match error {
        StoreError::Refused(text) => GrantError::Conflict(text),
        error => GrantError::Store(error),
    })?;
    tx.commit().await.map_err(GrantError::Store)?;
    Ok(new)
}
