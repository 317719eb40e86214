//! The steps that open periods and close them with an invoice.

use chrono_tz::Tz;
use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::invoice::draft;
use verdict_domain::period::{self, Period};
use verdict_domain::time::{Span, Timestamp};
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::invoices::{self, Invoice};
use verdict_store::{Store, StoreError, Tx, ledger};

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
            let zone: Tz = contract.time_zone.parse().map_err(|_| {
                StoreError::Corrupt(format!("time zone `{}` of customer `{customer}`", contract.time_zone))
            })?;
            let month = match from {
                // A period begins where the one before ended, also when the time zone has changed since.
                // Of a boundary that is not quite midnight in the new zone, the month that mostly follows.
                Some(start) => {
                    Period { start, end: period::next_month_start(start.plus(Span::hours(36)), zone) }
                }
                None => period::month_containing(first, zone),
            };
            if month.end <= month.start {
                break;
            }
            opened += usize::from(
                contracts::open_period(&tx, contract, month, month.end.plus(contract.grace)).await?,
            );
            from = Some(month.end);
        }
    }
    tx.commit().await?;
    Ok(opened)
}

/// The step: closes periods that are over, at most `limit`, each in its own transaction. With `push`, the invoices
/// go to the outbox; without, they stay local drafts. Answers how many it closed. A period of a customer
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
    let customer = due.customer.as_str();
    let versions =
        contracts::of_customers(tx, [customer].into_iter()).await?.remove(customer).unwrap_or_default();
    // Who gets it is what the latest version says that had begun when the period ended.
    let contract = in_force(&versions, due.period.end)
        .or(versions.first())
        .ok_or_else(|| StoreError::Corrupt(format!("customer `{customer}` has a period but no contract")))?;
    let id = format!("{customer}:{}", due.period.start);
    let charges = ledger::put_on_invoice(tx, customer, due.period.end, &id).await?;
    let draft = draft(contract.currency, &charges)
        .map_err(|error| StoreError::Corrupt(format!("invoice `{id}`: {error}")))?;
    if !draft.lines.is_empty() {
        let invoice = Invoice {
            id,
            customer: customer.into(),
            period: due.period,
            currency: contract.currency,
            total_minor: draft.total_minor,
            bill_to: contract.bill_to.clone(),
            drafted_at: now,
            stripe_invoice: None,
            stripe_status: None,
            lines: draft.lines,
        };
        invoices::record(tx, &invoice).await?;
        if push {
            invoices::send_later(tx, &invoice.id).await?;
        }
    }
    contracts::close_period(tx, due, now).await
}
