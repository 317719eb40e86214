//! The step that tells which outcomes of a period are free.

use crate::books::Books;
use verdict_domain::pricing::{Standing, free, has_free};
use verdict_store::allotments::{self, Marked, ToAllot};
use verdict_store::{Store, StoreError, Tx, figures};

/// The step: tells of each marked period which of its outcomes are free, a customer's periods in one transaction. What has
/// changed is marked on the charges, and its cases are judged again. Answers how many periods it looked at.
pub async fn allot_free(store: &Store) -> Result<usize, StoreError> {
    let (mut customer, mut looked_at) = (String::new(), 0);
    while let Some(next) = allotments::next_customer(store, &customer).await? {
        customer = next;
        match allot_customer(store, &customer).await {
            Ok(periods) => looked_at += periods,
            Err(error) if error.is_transient() => return Err(error),
            // One customer's trouble is not the others'. The marks stay: it is tried again.
            Err(error) => tracing::error!(%error, customer, "which outcomes are free cannot be told"),
        }
    }
    Ok(looked_at)
}

async fn allot_customer(store: &Store, customer: &str) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    // Both write to charges: with one claim, neither waits for the other in a circle.
    tx.claim("close").await?;
    let periods = allotments::take(&tx, customer).await?;
    if !periods.is_empty() {
        let books = Books::open(&tx, customer).await?;
        for of in &periods {
            allot(&tx, &books, customer, of).await?;
        }
    }
    tx.commit().await?;
    Ok(periods.len())
}

async fn allot(tx: &Tx, books: &Books, customer: &str, of: &ToAllot) -> Result<(), StoreError> {
    let is_trial = of.closed_as_trial.unwrap_or_else(|| books.terms(of.period).shadow);
    figures::add(tx, allotments::mark_trial(tx, customer, of, is_trial).await?).await?;
    if is_trial {
        return books.without_revenue(tx, of.period).await;
    }
    if !has_free(books.versions()) && !allotments::is_any_free(tx, customer, of).await? {
        return Ok(());
    }
    let charges = allotments::charges(tx, customer, of).await?;
    let (standing, taken_back): (Vec<Marked>, Vec<Marked>) =
        charges.into_iter().partition(|charge| charge.stands);
    let marked: Vec<_> = standing.iter().map(|charge| (charge.seq, charge.free)).collect();
    let standing: Vec<Standing> = standing.into_iter().map(|charge| charge.outcome).collect();
    let free = free(books.versions(), of.period, &standing)
        .map_err(|error| StoreError::Refused(format!("the outcomes of `{customer}`: {error}")))?;
    let now_free = standing.iter().zip(&marked).zip(free);
    let changed = now_free
        .filter(|((_, (_, before)), free)| before != free)
        .map(|((outcome, (seq, _)), free)| (outcome.case.as_str(), *seq, free));
    let cleared = taken_back.iter().map(|charge| (charge.outcome.case.as_str(), charge.seq, None));
    allotments::mark_free(tx, customer, &changed.chain(cleared).collect::<Vec<_>>()).await
}
