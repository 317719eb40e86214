//! The steps that open periods and close them with an invoice.

use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::invoice::{Counted, Draft, draft};
use verdict_domain::period::Period;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::invoices::{self, Invoice, Kind, State};
use verdict_store::ledger::Touched;
use verdict_store::{Store, StoreError, Tx, figures, ledger, outbox};

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
    let touched = ledger::put_on_invoice(tx, customer, due.period, &id).await?;
    let (mut periods, mut billed) = (Vec::with_capacity(touched.len()), BTreeMap::new());
    for Touched { period, .. } in &touched {
        let outcomes = ledger::counted(tx, customer, *period).await?;
        periods.push(Counted { period: *period, outcomes });
        billed.extend(invoices::billed(tx, customer, period.start).await?);
    }
    let draft = draft(contract.currency, &versions, &periods, &billed)
        .map_err(|error| StoreError::Corrupt(format!("invoice `{id}`: {error}")))?;
    post_revenue(tx, contract, &touched, &draft).await?;
    if !draft.lines.is_empty() {
        let invoice = Invoice {
            id,
            kind: Kind::Invoice,
            corrects: None,
            state: State::Final,
            customer: customer.into(),
            period: due.period,
            currency: contract.currency,
            total_minor: draft.total_minor,
            bill_to: contract.bill_to.clone(),
            terms: contract.stripe.clone(),
            drafted_at: now,
            approved: None,
            stripe_id: None,
            stripe_status: None,
            payment: None,
            lines: draft.lines,
        };
        invoices::record(tx, &invoice).await?;
        if push {
            outbox::send_later(tx, &invoice.id).await?;
        }
    }
    contracts::close_period(tx, due, now).await
}

/// Outcomes count as revenue at their list prices until they are invoiced: what their period's price differs from that is
/// posted on the period's last day.
async fn post_revenue(
    tx: &Tx,
    contract: &Contract,
    touched: &[Touched],
    draft: &Draft,
) -> Result<(), StoreError> {
    let mut changes = BTreeMap::new();
    for Touched { period, listed_nanos } in touched {
        let lines = draft.lines.iter().filter(|line| line.period_start == period.start);
        let billed = lines.map(|line| line.amount.nanos).try_fold(0_i64, |sum, nanos| sum.checked_add(nanos));
        let differs = billed
            .and_then(|billed| billed.checked_sub(*listed_nanos))
            .ok_or_else(|| StoreError::Refused("the revenue of a period overflows".into()))?;
        if differs == 0 {
            continue;
        }
        let cell = Cell {
            day: Timestamp(period.end.0 - 1).day(),
            agent: "-".into(),
            model: "-".into(),
            currency: contract.currency.code().into(),
            bucket: Bucket::Revenue,
            reason: "-".into(),
        };
        let figures = Figures { revenue_nanos: differs, ..Figures::default() };
        changes.insert((contract.customer.clone(), cell), figures);
    }
    figures::add(tx, changes).await
}
