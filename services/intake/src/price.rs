//! Prices: what a call to a model cost at a time, in integers.
//!
//! A price is looked for where it is most particular: among the customer's own, then the operator's, then in the active book
//! ([`genai`], which is built in, or one that was imported). What none of them has stays unknown.

pub mod books;
mod compare;
mod genai;
mod litellm;
mod overrides;
mod rates;
#[cfg(test)]
mod tests;

pub use compare::{Compared, Diff, ModelChange, Quote, Step, UnitChange, disagreements, quotes};
pub use genai::{BOOK_DIGEST, BOOK_VERSION};
pub use litellm::{Reading, Unread};
pub use overrides::{OverrideRequest, PricesRequest, tell_override};
pub use rates::{Card, Rates, UNITS};

use litellm::LiteLlm;
use overrides::Overrides;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use verdict_domain::attempt::{ServiceTier, Usage};
use verdict_domain::time::Timestamp;
use verdict_store::prices::Override;

/// Prices change by date and by time of day, at quarters of an hour: so long a card holds.
const SLOT_MICROS: i64 = 900_000_000;
/// Bounds the memory of what is kept.
const MOST_CARDS: usize = 20_000;
/// How many digits of a book's digest stand beside its name.
const DIGITS: usize = 12;

/// A cost, and what it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The cost, in nanos of US dollars.
    pub nanos: i64,
    /// What priced it: a book's id with the beginning of its digest, or `override:` and the override's id.
    pub source: String,
}

/// The prices of a model, and what they are from.
#[derive(Debug, Clone)]
pub struct Found {
    /// The prices.
    pub card: Arc<Card>,
    /// As in [`Priced`].
    pub source: String,
}

/// Prices attempts: a book, and what goes before it. Shared by all threads; it never changes: other prices are another one.
pub struct PriceBook {
    book: Arc<Book>,
    overrides: Overrides,
}

/// A book of list prices.
struct Book {
    id: String,
    digest: String,
    /// What is kept with each price taken from it.
    source: String,
    content: Content,
    /// Cards that were asked for: to find one takes long.
    cards: RwLock<HashMap<String, Option<Arc<Card>>>>,
}

enum Content {
    GenAi,
    LiteLlm(LiteLlm),
}

impl Book {
    fn new(id: &str, digest: &str, content: Content) -> Self {
        let source = format!("{id}#{}", &digest[..digest.len().min(DIGITS)]);
        Self { id: id.into(), digest: digest.into(), source, content, cards: RwLock::default() }
    }

    fn read_card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Card> {
        match &self.content {
            Content::GenAi => genai::card(provider, model, at, tier),
            Content::LiteLlm(book) => book.card(provider, model, at, tier),
        }
    }

    fn card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Arc<Card>> {
        let slot = at.0.div_euclid(SLOT_MICROS);
        let key = format!("{provider}\n{model}\n{slot}\n{}", tier.as_str());
        // A poisoned lock only means that another thread panicked: what is kept is still whole.
        let kept = self.cards.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(card) = kept {
            return card;
        }
        let card = self.read_card(provider, model, Timestamp(slot * SLOT_MICROS), tier).map(Arc::new);
        let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
        if cards.len() >= MOST_CARDS {
            cards.clear();
        }
        cards.insert(key, card.clone());
        card
    }
}

impl Default for PriceBook {
    fn default() -> Self {
        Self::new()
    }
}

impl PriceBook {
    /// The book that is built in, and nothing that goes before it. Its first use decodes it, which takes some tens of
    /// milliseconds.
    pub fn new() -> Self {
        let book = Book::new(BOOK_VERSION, BOOK_DIGEST, Content::GenAi);
        Self { book: Arc::new(book), overrides: Overrides::default() }
    }

    /// LiteLLM's book, of its JSON, and nothing that goes before it. The error says what is wrong with the file as a whole.
    pub fn of_litellm(id: &str, digest: &str, content: &[u8]) -> Result<(Self, Reading), String> {
        let (book, reading) = LiteLlm::read(content)?;
        let book = Book::new(id, digest, Content::LiteLlm(book));
        Ok((Self { book: Arc::new(book), overrides: Overrides::default() }, reading))
    }

    /// The same book, and before it these overrides, in the order in which they were recorded.
    pub fn with_overrides(&self, recorded: impl Iterator<Item = Override>) -> Self {
        Self { book: self.book.clone(), overrides: Overrides::new(recorded) }
    }

    /// The book's name and version.
    pub fn id(&self) -> &str {
        &self.book.id
    }

    /// The SHA-256 of the book, in hex.
    pub fn digest(&self) -> &str {
        &self.book.digest
    }

    /// What a call cost, and what says so; `None` if that is unknown: the model, the service, or what it counted.
    ///
    /// `at` is when the call began. Without a `tier` it is the standard service.
    pub fn cost_nanos(
        &self,
        customer: &str,
        provider: &str,
        model: &str,
        at: Timestamp,
        usage: &Usage,
        tier: Option<ServiceTier>,
    ) -> Option<Priced> {
        let found = self.find(Some(customer), provider, model, at, tier.unwrap_or(ServiceTier::Standard))?;
        Some(Priced { nanos: found.card.cost_nanos(usage)?, source: found.source })
    }

    /// The prices of a model for a customer (without one: for who has none of its own), and what they are from.
    pub fn find(
        &self,
        customer: Option<&str>,
        provider: &str,
        model: &str,
        at: Timestamp,
        tier: ServiceTier,
    ) -> Option<Found> {
        if let Some((id, card)) = self.overrides.find(customer, provider, model, at, tier) {
            return Some(Found { card: card.clone(), source: format!("override:{id}") });
        }
        let card = self.book.card(provider, model, at, tier)?;
        Some(Found { card, source: self.book.source.clone() })
    }

    /// The book's own prices of a model, whatever goes before it.
    pub fn card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Arc<Card>> {
        self.book.card(provider, model, at, tier)
    }

    /// The models that the book has: providers by our names for them, models by theirs.
    pub fn models(&self) -> BTreeSet<(String, String)> {
        match &self.book.content {
            Content::GenAi => genai::models().collect(),
            Content::LiteLlm(book) => {
                book.models().map(|(provider, model)| (provider.into(), model.into())).collect()
            }
        }
    }
}
