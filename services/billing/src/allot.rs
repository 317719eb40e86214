//! The step that tells which outcomes of a period are free.

use crate::books::Books;
use verdict_domain::money::MoneyError;
use verdict_domain::pricing::{Allotment, Changed, Free, Standing, free, has_free};
use verdict_store::allotments::{self, Marked, Said, ToAllot};
use verdict_store::{Store, StoreError, Tx, figures};

/// The step: tells of each marked period which of its outcomes are free, a customer's periods in one transaction. What has
/// changed is marked on the charges, and its cases are judged again. It looks at what was priced since the last look, and at all of
/// a period's outcomes only where that moves others. Answers how many periods it looked at.
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
    // What was said, and the marks that were taken, are of one moment.
    tx.claim("rate").await?;
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
    let said = allotments::said(tx, customer, of).await?;
    // What was priced since is all that can differ only where it was said already what the period is.
    let is_same = said.as_ref().is_some_and(|said| matches!(said, Said::Trial) == is_trial);
    if is_trial || !is_same {
        let cases = of.priced.as_ref().filter(|_| is_same);
        figures::add(tx, allotments::mark_trial(tx, customer, of, cases, is_trial).await?).await?;
    }
    if is_trial {
        allotments::say(tx, customer, of, &Said::Trial).await?;
        return books.without_revenue(tx, of.period).await;
    }
    if !has_free(books.versions()) && !allotments::is_any_free(tx, customer, of).await? {
        // Where a version changes that, its period is marked as a whole.
        return allotments::say(tx, customer, of, &Said::Free(Allotment::default())).await;
    }
    let overflows = |error: MoneyError| StoreError::Refused(format!("the outcomes of `{customer}`: {error}"));
    if let (Some(Said::Free(said)), Some(priced)) = (&said, &of.priced) {
        let charges = allotments::charges_of(tx, customer, priced).await?;
        let changed: Vec<Changed> = charges
            .iter()
            .map(|(charge, by)| Changed { outcome: charge.outcome.clone(), stands: charge.stands, by: *by })
            .collect();
        if let Some((said, free)) = said.after(books.versions(), of.period, &changed).map_err(overflows)? {
            let charges: Vec<Marked> = charges.into_iter().map(|(charge, _)| charge).collect();
            mark(tx, customer, &charges, &free).await?;
            return allotments::say(tx, customer, of, &Said::Free(said)).await;
        }
    }
    let (standing, taken_back): (Vec<Marked>, Vec<Marked>) =
        allotments::charges(tx, customer, of).await?.into_iter().partition(|charge| charge.stands);
    let outcomes: Vec<Standing> = standing.iter().map(|charge| charge.outcome.clone()).collect();
    let free = free(books.versions(), of.period, &outcomes).map_err(overflows)?;
    mark(tx, customer, &standing, &free).await?;
    mark(tx, customer, &taken_back, &vec![None; taken_back.len()]).await?;
    let said = Allotment::of(&outcomes, &free).map_err(overflows)?;
    allotments::say(tx, customer, of, &Said::Free(said)).await
}

/// Marks the charges that are marked otherwise.
async fn mark(tx: &Tx, customer: &str, charges: &[Marked], free: &[Option<Free>]) -> Result<(), StoreError> {
    let differ = charges.iter().zip(free).filter(|(charge, free)| charge.free != **free);
    let changed: Vec<_> =
        differ.map(|(charge, free)| (charge.outcome.case.as_str(), charge.seq, *free)).collect();
    allotments::mark_free(tx, customer, &changed).await
}
