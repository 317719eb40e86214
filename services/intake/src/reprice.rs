//! Repricing: what attempts cost under another book, posted as differences. An attempt stays as it was recorded, and so does what
//! a customer was charged for it.

use crate::price::books::{self, BookError};
use crate::price::{PriceBook, Priced};
use std::collections::BTreeMap;
use verdict_domain::money::Currency;
use verdict_domain::time::Timestamp;
use verdict_store::repricings::{self, NewCost, Posted, Priceable, Terms};
use verdict_store::{Store, StoreError};

/// So many attempts are looked at, and posted, at once.
const PAGE: u32 = 1_000;
/// What books price in.
const BOOKS_IN: Currency = Currency::USD;

/// Why attempts cannot be priced anew.
#[derive(Debug, thiserror::Error)]
pub enum RepriceError {
    /// What was asked for cannot be; the reason names the field.
    #[error("{0}")]
    Invalid(String),
    /// The book cannot be opened.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The database does not answer, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a repricing does, or would do, to the attempts of a model. Money is in nanos of US dollars.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepricedModel {
    /// Attempts of the span that the filter takes.
    pub attempts: i64,
    /// Of these, those whose sender reported the cost: they are left alone.
    pub reported: i64,
    /// Those that the book has no price for, or whose tokens nobody counted: they stay as they are.
    pub unpriced: i64,
    /// Those whose cost changes.
    pub changed: i64,
    /// Of the changed ones, those whose cost was unknown.
    pub newly_known: i64,
    /// What is known of the cost of all but the reported ones, before.
    pub before_nanos: i64,
    /// The same, after.
    pub after_nanos: i64,
}

/// What a repricing does, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repriced {
    /// By provider and model.
    pub models: BTreeMap<(String, String), RepricedModel>,
    /// What was posted.
    pub posted: Posted,
    /// The repricing that it was posted by; `None` where there was nothing to post, or it was only looked at.
    pub id: Option<String>,
}

/// The one place that asks a book: what an attempt costs under it.
fn price(book: &PriceBook, attempt: &Priceable) -> Option<Priced> {
    let Priceable { customer, provider, model, started_at, usage, tier, .. } = attempt;
    book.cost_nanos(customer, provider, model, *started_at, usage, *tier)
}

/// Prices attempts anew. Without `author` nothing is posted: the answer says what would be. With one, it is posted part by part,
/// each in a transaction of its own; broken off and run again it goes on, and run again after its end it finds nothing to change.
pub async fn reprice(
    store: &Store,
    terms: &Terms,
    author: Option<&str>,
    now: Timestamp,
) -> Result<Repriced, RepriceError> {
    check(terms, author).map_err(RepriceError::Invalid)?;
    let book = books::open(store, &terms.book).await?;
    // By one name, however it was asked for: what was broken off is found again by its terms.
    let terms = Terms { book: book.id().into(), ..terms.clone() };
    let mut repriced = Repriced::default();
    let mut after: Option<(String, String)> = None;
    loop {
        let from = after.as_ref().map(|(customer, id)| (customer.as_str(), id.as_str()));
        let page = repricings::page(store, &terms, from, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.customer.clone(), last.id.clone()));
        let mut costs = Vec::new();
        for attempt in page {
            let key = (attempt.provider.clone(), attempt.model.clone());
            let sums = repriced.models.entry(key).or_default();
            costs.extend(look(&book, attempt, sums).ok_or_else(overflow)?);
        }
        if let Some(author) = author.filter(|_| !costs.is_empty()) {
            let tx = store.begin().await?;
            let posted = repricings::post(&tx, &terms, &costs, BOOKS_IN, author, now).await?;
            tx.commit().await?;
            repriced.posted = plus(repriced.posted, posted).ok_or_else(overflow)?;
        }
    }
    if author.is_some() {
        let tx = store.begin().await?;
        repriced.id = repricings::finish(&tx, &terms, now).await?;
        tx.commit().await?;
    }
    Ok(repriced)
}

fn check(terms: &Terms, author: Option<&str>) -> Result<(), String> {
    if terms.to <= terms.from {
        return Err("to: is not after from".into());
    }
    for (field, name) in
        [("provider", &terms.provider), ("model", &terms.model), ("customer", &terms.customer)]
    {
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(format!("{field}: is empty: leave it away for all"));
        }
    }
    if author.is_some_and(str::is_empty) {
        return Err("author: is empty: say who has the attempts priced anew".into());
    }
    Ok(())
}

fn overflow() -> StoreError {
    StoreError::Refused("the costs of a repricing add up to more than 64 bits hold".into())
}

fn plus(a: Posted, b: Posted) -> Option<Posted> {
    Some(Posted {
        attempts: a.attempts.checked_add(b.attempts)?,
        newly_known: a.newly_known.checked_add(b.newly_known)?,
        difference_nanos: a.difference_nanos.checked_add(b.difference_nanos)?,
    })
}

/// Counts an attempt, and says what it costs anew, if that is something else; `None` where the sums overflow.
fn look(book: &PriceBook, attempt: Priceable, sums: &mut RepricedModel) -> Option<Option<NewCost>> {
    sums.attempts += 1;
    if attempt.is_reported {
        sums.reported += 1;
        return Some(None);
    }
    let before = attempt.cost_nanos;
    // A known cost never becomes an unknown one; and what is in another currency than the book's, it says nothing of.
    let priced = price(book, &attempt).filter(|_| attempt.currency == BOOKS_IN);
    sums.unpriced += i64::from(priced.is_none());
    let after = priced.as_ref().map(|priced| priced.nanos).or(before);
    sums.before_nanos = sums.before_nanos.checked_add(before.unwrap_or(0))?;
    sums.after_nanos = sums.after_nanos.checked_add(after.unwrap_or(0))?;
    let Some(priced) = priced.filter(|_| after != before) else { return Some(None) };
    sums.changed += 1;
    sums.newly_known += i64::from(before.is_none());
    Some(Some(NewCost {
        customer: attempt.customer,
        attempt: attempt.id,
        case: attempt.case,
        nanos: priced.nanos,
        price_source: priced.source,
    }))
}
