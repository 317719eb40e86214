//! The steps that open periods and close them with an invoice.

use crate::books::Books;
use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::document::{About, State, documents};
use verdict_domain::period::Period;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::invoices::{self, Invoice};
use verdict_store::ledger::{Take, Touched};
use verdict_store::{Store, StoreError, Tx, ledger, outbox};

/// Opens the periods of all contracts up to and including the one that contains `now`. Answers how many.
pub async fn open_periods(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    tx.claim("open").await?;
    let mut by_customer: BTreeMap<String, Vec<Contract>> = BTreeMap::new();
    for contract in contracts::list_in(&tx).await? {
        by_customer.entry(contract.customer.clone()).or_default().push(contract);
    }
    let latest = contracts::latest_periods(&tx).await?;
    let mut opened = 0;
    for (customer, versions) in &by_customer {
        let Some(first) = versions.iter().map(|contract| contract.effective_from).min() else { continue };
        let mut from = latest.get(customer).copied();
        while from.unwrap_or(first) <= now {
            // The version in force when the period begins (or the first one) sets its time zone and grace.
            let at = from.unwrap_or(first);
            let Some(contract) = in_force(versions, at.max(first)) else { break };
            let calendar = contract.calendar(first).ok_or_else(|| {
                StoreError::Corrupt(format!("time zone `{}` of customer `{customer}`", contract.time_zone))
            })?;
            let period = match from {
                // A period begins where the one before ended, also when the time zone or the cadence has changed since.
                // Of a boundary that is none in the new calendar, the period that mostly follows.
                Some(start) => Period { start, end: calendar.containing(start.plus(Span::hours(36))).end },
                None => calendar.containing(first),
            };
            if period.end <= period.start {
                break;
            }
            opened += usize::from(
                contracts::open_period(&tx, contract, period, period.end.plus(contract.grace)).await?,
            );
            from = Some(period.end);
        }
    }
    tx.commit().await?;
    Ok(opened)
}

/// The step: closes periods that are over, at most `limit`, each in its own transaction. With `push`, the invoices
/// go to the outbox; without, they stay here. Answers how many it closed. A period of a customer
/// who has cases or outcomes waiting stays open until they are done.
pub async fn close_periods(
    store: &Store,
    now: Timestamp,
    push: bool,
    limit: u32,
) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    let due = contracts::periods_to_close(&tx, now, limit).await?;
    drop(tx);
    let mut closed = 0;
    for period in due {
        let tx = store.begin().await?;
        tx.claim("close").await?;
        if !contracts::is_ready_to_close(&tx, &period).await? {
            // What it waits for is noted.
            tx.commit().await?;
            continue;
        }
        match close(&tx, &period, now, push).await {
            Ok(()) => {
                tx.commit().await?;
                closed += 1;
            }
            Err(error) if error.is_transient() => return Err(error),
            // One customer's trouble is not the others'.
            Err(error) => tracing::error!(%error, customer = period.customer, "a period cannot be closed"),
        }
    }
    Ok(closed)
}

async fn close(tx: &Tx, due: &DuePeriod, now: Timestamp, push: bool) -> Result<(), StoreError> {
    let DuePeriod { customer, period, .. } = due;
    let books = Books::open(tx, customer).await?;
    // A draft that still waits takes what is its own first.
    for draft in invoices::stale_drafts(tx, Some(customer)).await? {
        books.redraft(tx, &draft, now).await?;
    }
    let terms = books.terms(*period);
    if terms.shadow {
        contracts::set_trial(tx, customer, *period).await?;
    }
    let id = document_id(customer, *period);
    let touched = ledger::put_on_invoice(tx, customer, *period, &id, Take::UntilEnd).await?;
    let draft = books.draft(tx, &touched).await?;
    let mut earlier = Vec::with_capacity(touched.len());
    for Touched { period: of, trial } in touched.iter().filter(|touched| touched.period != *period) {
        let creditable_minor = invoices::creditable(tx, &document_id(customer, *of)).await?;
        earlier.push(About { start: of.start, trial: *trial, creditable_minor });
    }
    let closed = About { start: period.start, trial: terms.shadow, creditable_minor: 0 };
    let documents = documents(draft, closed, &earlier, terms)
        .map_err(|error| StoreError::Corrupt(format!("invoice `{id}`: {error}")))?;
    let mut invoices = Vec::with_capacity(documents.len());
    for document in documents {
        let about =
            document.about.and_then(|start| touched.iter().find(|touched| touched.period.start == start));
        let (own_id, corrects) = match about {
            None => (id.clone(), None),
            Some(about) => {
                let own_id = format!("{id}/{}", about.period.start);
                ledger::move_to_invoice(tx, about.period, &id, &own_id).await?;
                (own_id, Some(document_id(customer, about.period)))
            }
        };
        invoices.push(Invoice {
            id: own_id,
            kind: document.kind,
            corrects,
            state: document.state,
            customer: customer.clone(),
            period: *period,
            currency: terms.currency,
            total_minor: document.total_minor,
            bill_to: books.bill_to(*period).clone(),
            terms: terms.stripe.clone(),
            drafted_at: now,
            approved: None,
            stripe_id: None,
            stripe_status: None,
            payment: None,
            lines: document.lines,
        });
    }
    // Only now is on each what is on it for good.
    for invoice in &invoices {
        invoices::record(tx, invoice).await?;
        if push && invoice.state == State::Final {
            outbox::send_later(tx, &invoice.id).await?;
        }
    }
    contracts::close_period(tx, due, now).await
}

/// The id of a period's invoice.
fn document_id(customer: &str, period: Period) -> String {
    format!("{customer}:{}", period.start)
}
