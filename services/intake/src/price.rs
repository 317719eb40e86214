//! Prices: what a call to a model cost at a time, in integers.
//!
//! A price is looked for where it is most particular: among the customer's own, then the operator's, then in the active book
//! ([`genai`], which is built in, or one that was imported). What none of them has stays unknown.

pub mod books;
mod genai;
mod rates;

pub use genai::{BOOK_DIGEST, BOOK_VERSION};
pub use rates::{Card, Rates, UNITS};

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use verdict_domain::attempt::{ServiceTier, Usage};
use verdict_domain::time::Timestamp;

/// Prices change by date and by time of day, at quarters of an hour: so long a card holds.
const SLOT_MICROS: i64 = 900_000_000;
/// Bounds the memory of what is kept.
const MOST_CARDS: usize = 20_000;

/// A cost, and what it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The cost, in nanos of US dollars.
    pub nanos: i64,
    /// What priced it: a book's id with the beginning of its digest, or `override:` and the override's id.
    pub source: String,
}

/// Prices attempts. Shared by all threads; it never changes: other prices are another book.
pub struct PriceBook {
    book: Arc<Book>,
    cards: RwLock<HashMap<String, Option<Arc<Card>>>>,
}

/// A book of list prices.
pub(crate) struct Book {
    id: String,
    digest: String,
    /// What is kept with each price taken from it.
    source: String,
    content: Content,
}

enum Content {
    GenAi,
}

impl Book {
    fn new(id: &str, digest: &str, content: Content) -> Self {
        let source = format!("{id}#{}", &digest[..digest.len().min(12)]);
        Self { id: id.into(), digest: digest.into(), source, content }
    }

    fn built_in() -> Self {
        Self::new(BOOK_VERSION, BOOK_DIGEST, Content::GenAi)
    }

    /// A model's prices at a time. `None`: it has none for this model, or not for this service.
    fn card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Card> {
        match &self.content {
            Content::GenAi => genai::card(provider, model, at, tier),
        }
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
        Self { book: Arc::new(Book::built_in()), cards: RwLock::default() }
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
    pub fn cost_nanos(
        &self,
        _customer: &str,
        provider: &str,
        model: &str,
        at: Timestamp,
        usage: &Usage,
        tier: Option<ServiceTier>,
    ) -> Option<Priced> {
        let tier = tier.unwrap_or(ServiceTier::Standard);
        let nanos = self.card(provider, model, at, tier)?.cost_nanos(usage)?;
        Some(Priced { nanos, source: self.book.source.clone() })
    }

    /// The book's prices of a model at a time; kept, because to find them takes long.
    pub fn card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Arc<Card>> {
        let slot = at.0.div_euclid(SLOT_MICROS);
        let key = format!("{provider}\n{model}\n{slot}\n{}", tier.as_str());
        // A poisoned lock only means that another thread panicked: what is kept is still whole.
        let kept = self.cards.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(card) = kept {
            return card;
        }
        let card = self.book.card(provider, model, Timestamp(slot * SLOT_MICROS), tier).map(Arc::new);
        let mut cards = self.cards.write().unwrap_or_else(PoisonError::into_inner);
        if cards.len() >= MOST_CARDS {
            cards.clear();
        }
        cards.insert(key, card.clone());
        card
    }
}
