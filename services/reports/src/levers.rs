//! Levers: what the past says of three ways to spend less, each with its assumptions and its sample, and refused where that
//! is too small. `docs/LEVERS.md` defines them.
//!
//! Caching and routing read attempts, in bites of bounded size: that may take minutes, so no page computes them.

mod caching;
mod distillation;
mod routing;
#[cfg(test)]
mod tests;
mod text;

pub use caching::{Cached, Caching};
pub use distillation::{Assumed, Distillation};
pub use routing::{Cheaper, Routed, Routing};
pub use text::text as levers_text;

use caching::Caches;
use routing::Routes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use verdict_domain::attempt::Usage;
use verdict_domain::money::Money;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text};
use verdict_store::figures::{self, GroupBy, Slice};
use verdict_store::levers::{Span, used};
use verdict_store::{Store, StoreError};

/// Below so many attempts nothing is said.
pub const LEAST_ATTEMPTS: i64 = 1_000;
/// Below so many repeats nothing is said of caching.
pub const LEAST_REPEATS: i64 = 100;

/// So many attempts are read at once.
const BITE: u32 = 5_000;

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Who serves it.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
}

impl Model {
    /// Reads `openai/gpt-4o-mini`: what stands before the first `/` is the provider.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok(Self { provider: provider.into(), model: model.into() })
            }
            _ => Err(format!("`{text}` is not a provider and a model such as openai/gpt-4o-mini")),
        }
    }
}

/// Of which attempts, and with which assumptions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The first UTC day, counted from 1970-01-01.
    pub from: i64,
    /// The first UTC day after.
    pub to: i64,
    /// Of this customer only.
    pub customer: Option<String>,
    /// Models to reprice on; empty: those in use.
    pub models: Vec<Model>,
    /// What is assumed of a small model of one's own; without it nothing is said of that.
    pub distillation: Option<Assumed>,
}

/// What the levers would have moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Levers {
    /// When it was computed, by the service's time.
    #[schema(value_type = String, format = DateTime)]
    pub as_of: Timestamp,
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// Whose attempts; absent: all customers'.
    pub customer: Option<String>,
    /// Attempts that ended in these days.
    pub attempts: i64,
    /// Repeats of prompts whose first answer was verified.
    pub caching: Caching,
    /// The same tokens on cheaper models.
    pub routing: Routing,
    /// From which volume on a small model of one's own pays; absent without assumptions.
    pub distillation: Option<Distillation>,
}

/// What tokens cost at a time, by provider and model; `None`: the price is unknown.
pub type Price<'a> = dyn Fn(&str, &str, Timestamp, &Usage) -> Option<Money> + Sync + 'a;

/// Computes them. `breathe` is called between bites: whoever has other work to do waits there.
pub async fn levers<F, B>(
    store: &Store,
    question: &Question,
    price: &Price<'_>,
    breathe: F,
    now: Timestamp,
) -> Result<Levers, StoreError>
where
    F: Fn() -> B + Sync,
    B: Future<Output = ()> + Send,
{
    let of = Slice {
        from: question.from,
        to: question.to,
        customer: question.customer.clone(),
        ..Slice::default()
    };
    let candidates = match question.models.as_slice() {
        [] => routing::in_use(store, &of).await?,
        named => named.to_vec(),
    };
    let (mut caches, mut routes) = (Caches::default(), Routes::new(candidates));
    let at = |day: i64| Timestamp(day.saturating_mul(MICROS_PER_DAY));
    for customer in customers(store, &of).await? {
        let span = Span { customer, from: at(question.from), to: at(question.to) };
        let (mut after, mut cached) = (String::new(), Cached::of(&span.customer));
        loop {
            let (bite, last) = used(store, &span, &after, BITE).await?;
            for attempt in &bite {
                cached.attempts += 1;
                cached.with_fingerprint += i64::from(attempt.has_fingerprint);
                routes.add(attempt, price)?;
            }
            let Some(last) = last else { break };
            after = last;
            breathe().await;
        }
        if cached.with_fingerprint > 0 {
            caching::count(store, &span, &mut cached, &breathe).await?;
        }
        caches.add(cached)?;
    }
    let success = routing::success(store, &of, &routes).await?;
    let distillation = match &question.distillation {
        Some(assumed) => Some(distillation::distillation(store, &of, assumed).await?),
        None => None,
    };
    Ok(Levers {
        as_of: now,
        from: day_text(question.from),
        to: day_text(question.to),
        customer: question.customer.clone(),
        attempts: caches.all.attempts,
        caching: caches.caching(),
        routing: routes.routing(&success),
        distillation,
    })
}

/// The customers that have attempts in these days, by the roll-ups.
async fn customers(store: &Store, of: &Slice) -> Result<Vec<String>, StoreError> {
    let mut attempts: BTreeMap<String, i64> = BTreeMap::new();
    for sum in figures::sums(store, of, GroupBy::Customer).await? {
        *attempts.entry(sum.key).or_default() += sum.figures.attempts;
    }
    attempts.retain(|_, count| *count != 0);
    Ok(attempts.into_keys().collect())
}

/// Why nothing is said: so many there are, so many are needed.
fn too_few(what: &str, there: i64, least: i64) -> Option<String> {
    let missing = least - there;
    (missing > 0).then(|| format!("too few to say: {there} {what}, {missing} are missing"))
}

fn overflow() -> StoreError {
    StoreError::Refused("the sums of the levers overflow; ask for fewer days".into())
}

fn add(to: &mut i64, more: i64) -> Result<(), StoreError> {
    *to = to.checked_add(more).ok_or_else(overflow)?;
    Ok(())
}
