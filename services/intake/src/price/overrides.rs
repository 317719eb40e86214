//! Prices that go before the book's: the operator's for all, and those of one customer's contract. By date.

use super::rates::{Card, MOST, Rates};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use utoipa::ToSchema;
use verdict_domain::attempt::ServiceTier;
use verdict_domain::money::{decimal, parse_nanos};
use verdict_domain::time::Timestamp;
use verdict_store::prices::{Override, OwnPrices};

/// An override as it is sent: what a model costs from a time on, for all customers or for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideRequest {
    /// Its own id, the same when it is sent again.
    pub id: String,
    /// For this customer only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// As attempts name it, such as `openai`.
    pub provider: String,
    /// As attempts name it, such as `gpt-5`.
    pub model: String,
    /// Which of the provider's services; the standard one, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub service_tier: Option<ServiceTier>,
    /// From when on: an attempt has the price of when it began.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when, itself excluded; for good, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub to: Option<Timestamp>,
    /// The prices. Absent: from here on it is as if there were none, which ends an earlier override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<PricesRequest>,
    /// What for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Prices in US dollars, as decimals of at most 9 places: per million tokens, and `request` per request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PricesRequest {
    /// Input.
    pub input: String,
    /// What is read from the cache; as input, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<String>,
    /// What is written to the cache; as input, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<String>,
    /// What of it is kept for an hour; as what is written, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_1h: Option<String>,
    /// Output.
    pub output: String,
    /// Reasoning; as output, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Each request; nothing, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Checks an override. The error names the field and what would be right.
pub fn read_override(sent: &OverrideRequest) -> Result<Override, String> {
    for (field, text, most) in [
        ("id", Some(&sent.id), 128),
        ("customer", sent.customer.as_ref(), 128),
        ("provider", Some(&sent.provider), 64),
        ("model", Some(&sent.model), 128),
        ("note", sent.note.as_ref(), 512),
    ] {
        let Some(text) = text else { continue };
        if text.trim().is_empty() || text.chars().count() > most {
            return Err(format!("{field}: must have 1 to {most} characters"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{field}: must not have control characters"));
        }
    }
    if sent.to.is_some_and(|to| to <= sent.from) {
        return Err("to: is not after `from`".into());
    }
    let prices = sent.prices.as_ref().map(|prices| {
        let price = |field: &str, text: &str| match parse_nanos(text) {
            Ok(nanos) if !(0..=MOST).contains(&nanos) => {
                Err(format!("prices.{field}: `{text}` is not from 0 to 1,000,000"))
            }
            // It would be rounded: that is not the price that was meant.
            Ok(_) if text.split_once('.').is_some_and(|(_, decimals)| decimals.len() > 9) => {
                Err(format!("prices.{field}: `{text}` has more than 9 decimals"))
            }
            Ok(nanos) => Ok(nanos),
            Err(error) => Err(format!("prices.{field}: {error}")),
        };
        let maybe =
            |field: &str, text: &Option<String>| text.as_ref().map(|text| price(field, text)).transpose();
        Ok::<_, String>(OwnPrices {
            input: price("input", &prices.input)?,
            cached_input: maybe("cached_input", &prices.cached_input)?,
            cache_write: maybe("cache_write", &prices.cache_write)?,
            cache_write_1h: maybe("cache_write_1h", &prices.cache_write_1h)?,
            output: price("output", &prices.output)?,
            reasoning: maybe("reasoning", &prices.reasoning)?,
            request: maybe("request", &prices.request)?.unwrap_or(0),
        })
    });
    Ok(Override {
        id: sent.id.clone(),
        customer: sent.customer.clone(),
        provider: sent.provider.trim().to_ascii_lowercase(),
        model: sent.model.trim().to_ascii_lowercase(),
        tier: sent.service_tier.unwrap_or(ServiceTier::Standard),
        from: sent.from,
        to: sent.to,
        prices: prices.transpose()?,
        note: sent.note.clone(),
    })
}

/// An override as it is told.
pub fn tell_override(stored: &Override) -> OverrideRequest {
    let text = |nanos: i64| decimal(nanos, 0);
    OverrideRequest {
        id: stored.id.clone(),
        customer: stored.customer.clone(),
        provider: stored.provider.clone(),
        model: stored.model.clone(),
        service_tier: Some(stored.tier),
        from: stored.from,
        to: stored.to,
        prices: stored.prices.map(|prices| PricesRequest {
            input: text(prices.input),
            cached_input: prices.cached_input.map(text),
            cache_write: prices.cache_write.map(text),
            cache_write_1h: prices.cache_write_1h.map(text),
            output: text(prices.output),
            reasoning: prices.reasoning.map(text),
            request: Some(text(prices.request)),
        }),
        note: stored.note.clone(),
    }
}

/// An override, and its prices as a card.
type Row = (Override, Option<Arc<Card>>);

/// The overrides, found by model.
#[derive(Default)]
pub(super) struct Overrides {
    /// By provider and model in lower case, in the order in which they were recorded.
    by_model: HashMap<(String, String), Vec<Row>>,
}

impl Overrides {
    pub(super) fn new(recorded: impl Iterator<Item = Override>) -> Self {
        let mut by_model: HashMap<_, Vec<_>> = HashMap::new();
        for new in recorded {
            let card = new.prices.as_ref().map(|prices| Arc::new(card(prices)));
            by_model.entry((new.provider.clone(), new.model.clone())).or_default().push((new, card));
        }
        Self { by_model }
    }

    /// What goes before the book's price: the customer's own, or else the operator's. Of those in force at the time that of the
    /// row that was recorded last; one without prices takes back.
    pub(super) fn find(
        &self,
        customer: Option<&str>,
        provider: &str,
        model: &str,
        at: Timestamp,
        tier: ServiceTier,
    ) -> Option<(&str, &Arc<Card>)> {
        if self.by_model.is_empty() {
            return None;
        }
        let recorded = self.by_model.get(&(provider.to_ascii_lowercase(), model.to_ascii_lowercase()))?;
        let in_force = |row: &Override| row.tier == tier && row.from <= at && row.to.is_none_or(|to| at < to);
        let last = |of: Option<&str>| {
            let row = |(row, _): &&Row| row.customer.as_deref() == of && in_force(row);
            let (row, card) = recorded.iter().rev().find(row)?;
            card.as_ref().map(|card| (row.id.as_str(), card))
        };
        customer.and_then(|customer| last(Some(customer))).or_else(|| last(None))
    }
}

fn card(prices: &OwnPrices) -> Card {
    let cache_write = prices.cache_write.unwrap_or(prices.input);
    Card::flat(Rates {
        input: Some(prices.input),
        cached_input: Some(prices.cached_input.unwrap_or(prices.input)),
        cache_write: Some(cache_write),
        cache_write_1h: Some(prices.cache_write_1h.unwrap_or(cache_write)),
        output: Some(prices.output),
        reasoning: Some(prices.reasoning.unwrap_or(prices.output)),
        request: Some(prices.request),
    })
}
