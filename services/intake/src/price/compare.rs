//! Two books side by side: what an activation would change, and where two books disagree.

use super::PriceBook;
use super::rates::{Card, Rates, UNITS};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use utoipa::ToSchema;
use verdict_domain::attempt::ServiceTier;
use verdict_domain::money::decimal;
use verdict_domain::time::Timestamp;
use verdict_store::calls::Used;

/// Two prices are the same if they differ by no more than this: a millionth of a dollar per million tokens. LiteLLM writes prices by
/// token, as floats, and some of them only to six digits.
const ROUNDING_NANOS: i64 = 1_000;

/// A price of a model that differs. Prices are US dollars per million tokens, those of `request` per request; absent is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnitChange {
    /// What it is for: `input`, `cached_input`, `cache_write`, `cache_write_1h`, `output`, `reasoning` or `request`.
    pub unit: String,
    /// From how many input tokens on.
    pub from_input_tokens: i64,
    /// In the first book.
    pub old: Option<String>,
    /// In the second.
    pub new: Option<String>,
}

/// A model whose prices differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ModelChange {
    /// Who serves it.
    pub provider: String,
    /// The model.
    pub model: String,
    /// By which service.
    #[schema(value_type = String)]
    pub service_tier: ServiceTier,
    /// How many attempts called it, where attempts were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i64>,
    /// `changes`, `gains` a price, `loses` its price; `differs` between two books.
    pub change: String,
    /// Which prices.
    pub units: Vec<UnitChange>,
}

/// What the second book would change for models that were used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Diff {
    /// The first book.
    pub from: String,
    /// The second.
    pub to: String,
    /// The models whose prices change.
    pub changes: Vec<ModelChange>,
    /// How many models keep their prices.
    pub same: usize,
    /// How many have no price in either.
    pub unpriced: usize,
    /// SHA-256 of what is listed, in hex: an activation names what was seen.
    pub digest: String,
}

/// Where two books price the same model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Compared {
    /// The first book.
    pub book: String,
    /// The second.
    pub other: String,
    /// How many models (a model in another service is another one) both price, and do so alike.
    pub agree: usize,
    /// Those that they price differently.
    pub disagree: Vec<ModelChange>,
}

/// What would change if `to` took the place of `from`, for the models that were used.
pub fn diff(from: &PriceBook, to: &PriceBook, used: &[Used], at: Timestamp) -> Diff {
    let (mut changes, mut same, mut unpriced) = (Vec::new(), 0, 0);
    for model in used {
        let card = |book: &PriceBook| book.card(&model.provider, &model.model, at, model.tier);
        let (old, new) = (card(from), card(to));
        let change = match (&old, &new) {
            (None, None) => {
                unpriced += 1;
                continue;
            }
            (None, Some(_)) => "gains",
            (Some(_), None) => "loses",
            (Some(_), Some(_)) => "changes",
        };
        // Whatever is not exactly the same is shown: here a person decides.
        let units = differences(old.as_deref(), new.as_deref(), 0);
        if units.is_empty() && change == "changes" {
            same += 1;
            continue;
        }
        changes.push(ModelChange {
            provider: model.provider.clone(),
            model: model.model.clone(),
            service_tier: model.tier,
            attempts: Some(model.attempts),
            change: change.into(),
            units,
        });
    }
    let mut seen = format!("{} {}\n{} {}\n", from.id(), from.digest(), to.id(), to.digest());
    for change in &changes {
        // Not how many attempts: their number grows while one looks.
        let shown = ModelChange { attempts: None, ..change.clone() };
        // Writing to a text cannot fail.
        let _ = writeln!(seen, "{shown:?}");
    }
    let digest = hex(&Sha256::digest(seen.as_bytes()));
    Diff { from: from.id().into(), to: to.id().into(), changes, same, unpriced, digest }
}

/// Compares two books at a time, for all models and services that both price.
pub fn disagreements(book: &PriceBook, other: &PriceBook, at: Timestamp) -> Compared {
    let (mut agree, mut disagree) = (0, Vec::new());
    let models: BTreeSet<(String, String)> = book.models().into_iter().chain(other.models()).collect();
    // One model may be written with other capitals in the other book.
    let mut seen = BTreeSet::new();
    for (provider, model) in models {
        if !seen.insert((provider.clone(), model.to_ascii_lowercase())) {
            continue;
        }
        for tier in ServiceTier::ALL {
            // The other first: the built-in book is slow to answer.
            let Some(new) = other.card(&provider, &model, at, tier) else { continue };
            let Some(old) = book.card(&provider, &model, at, tier) else { continue };
            let units = differences(Some(&old), Some(&new), ROUNDING_NANOS);
            if units.is_empty() {
                agree += 1;
                continue;
            }
            disagree.push(ModelChange {
                provider: provider.clone(),
                model: model.clone(),
                service_tier: tier,
                attempts: None,
                change: "differs".into(),
                units,
            });
        }
    }
    Compared { book: book.id().into(), other: other.id().into(), agree, disagree }
}

/// What a model costs for calls of a size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Step {
    /// From how many input tokens on.
    pub from_input_tokens: i64,
    /// US dollars per million tokens of each unit, `request` per request; null is unknown.
    pub prices: BTreeMap<&'static str, Option<String>>,
}

/// What a model costs, and what says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Quote {
    /// By which service.
    #[schema(value_type = String)]
    pub service_tier: ServiceTier,
    /// A book's id with the beginning of its digest, or `override:` and the override's id.
    pub source: String,
    /// The prices, by the size of the input.
    pub steps: Vec<Step>,
}

/// The prices of a model at a time by each of the provider's services that has some, for a customer.
pub fn quotes(
    book: &PriceBook,
    customer: Option<&str>,
    provider: &str,
    model: &str,
    at: Timestamp,
) -> Vec<Quote> {
    let quote = |tier: ServiceTier| {
        let found = book.find(customer, provider, model, at, tier)?;
        let step = |(from, rates): &(i64, Rates)| Step {
            from_input_tokens: *from,
            prices: UNITS.into_iter().zip(rates.by_unit().map(|price| price.map(dollars))).collect(),
        };
        let steps = found.card.steps().iter().map(step).collect();
        Some(Quote { service_tier: tier, source: found.source, steps })
    };
    ServiceTier::ALL.into_iter().filter_map(quote).collect()
}

/// Where two cards differ by more than `rounding`, by unit and size. What differs just so for a smaller size is not told again.
fn differences(old: Option<&Card>, new: Option<&Card>, rounding: i64) -> Vec<UnitChange> {
    let sizes: BTreeSet<i64> = [old, new]
        .into_iter()
        .flatten()
        .flat_map(|card| card.steps().iter().map(|(from, _)| *from))
        .collect();
    let at =
        |card: Option<&Card>, size: i64| card.map_or(Rates::default(), |card| card.rates(size)).by_unit();
    let mut changes = Vec::new();
    for (nth, unit) in UNITS.iter().enumerate() {
        let mut before = None;
        for size in &sizes {
            let pair = (at(old, *size)[nth], at(new, *size)[nth]);
            let differs = match pair {
                (Some(old), Some(new)) => old.abs_diff(new) > rounding.unsigned_abs(),
                // No fee for a request is no news.
                (None, Some(0)) | (Some(0), None) if *unit == "request" => false,
                (old, new) => old != new,
            };
            if differs && before != Some(pair) {
                changes.push(UnitChange {
                    unit: (*unit).into(),
                    from_input_tokens: *size,
                    old: pair.0.map(dollars),
                    new: pair.1.map(dollars),
                });
            }
            before = Some(pair);
        }
    }
    changes
}

/// A price as it is shown.
pub(crate) fn dollars(nanos: i64) -> String {
    decimal(nanos, 2)
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
