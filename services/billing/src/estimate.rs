//! What a customer's open periods would come to if they closed now. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::invoice::{Counted, Draft, draft};
use verdict_domain::spend::{Estimate, EstimatedPeriod};
use verdict_domain::time::Timestamp;
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::{Store, StoreError, Tx, estimates, invoices};

/// Estimates a customer's open periods, all read at one moment; `None` for a customer without a contract. Each comes to
/// what its invoice would say if all of them closed now, one after the other: corrections of closed periods are on the
/// first.
pub async fn estimate(store: &Store, customer: &str, now: Timestamp) -> Result<Option<Estimate>, StoreError> {
    let tx = store.snapshot().await?;
    let versions = contracts::of_customers(&tx, std::iter::once(customer)).await?.remove(customer);
    let Some(versions) = versions else { return Ok(None) };
    let Some(contract) = in_force(&versions, now).or(versions.first()) else { return Ok(None) };
    let open = estimates::open_periods(&tx, &BTreeSet::from([customer])).await?;
    let mut touched = match open.is_empty() {
        true => Vec::new(),
        false => estimates::touched_periods(&tx, customer).await?,
    };
    let mut periods = Vec::with_capacity(open.len());
    for due in open {
        touched.push(due.clone());
        let draft = closed_now(&tx, contract, &versions, &std::mem::take(&mut touched)).await?;
        periods.push(EstimatedPeriod { period: due.period, closes_at: due.closes_at, draft });
    }
    Ok(Some(Estimate {
        customer: customer.into(),
        currency: contract.currency,
        as_of: now,
        is_trial: contract.shadow,
        periods,
        pending: estimates::pending(&tx, customer).await?,
    }))
}

/// What the last of these periods would be invoiced at, with what the others are corrected by: as the step that closes a
/// period drafts it, with what is on no invoice yet taken for invoiced.
async fn closed_now(
    tx: &Tx,
    contract: &Contract,
    versions: &[Contract],
    touched: &[DuePeriod],
) -> Result<Draft, StoreError> {
    let mut outcomes = estimates::counted_so_far(tx, touched).await?;
    let (mut periods, mut billed) = (Vec::with_capacity(touched.len()), BTreeMap::new());
    for DuePeriod { customer, period, .. } in touched {
        let outcomes = outcomes.remove(&(customer.clone(), period.start)).unwrap_or_default();
        periods.push(Counted { period: *period, outcomes });
        billed.extend(invoices::billed(tx, customer, period.start).await?);
    }
    draft(contract.currency, versions, &periods, &billed)
        .map_err(|error| StoreError::Refused(format!("the estimate of `{}`: {error}", contract.customer)))
}
