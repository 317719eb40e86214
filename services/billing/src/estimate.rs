//! What a customer's open periods would come to if they closed now. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::invoice::{Counted, Draft, Line, draft};
use verdict_domain::spend::{Estimate, EstimatedPeriod};
use verdict_domain::time::Timestamp;
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::{Store, StoreError, Tx, estimates, grants, invoices};

/// Estimates a customer's open periods, all read at one moment; `None` for a customer without a contract. Each comes to
/// what its invoice would say if all of them closed now, one after the other: corrections of closed periods are on the
/// first.
pub async fn estimate(store: &Store, customer: &str, now: Timestamp) -> Result<Option<Estimate>, StoreError> {
    let tx = store.snapshot().await?;
    let versions = contracts::of_customers(&tx, std::iter::once(customer)).await?.remove(customer);
    let Some(versions) = versions else { return Ok(None) };
    let Some(contract) = in_force(&versions, now).or(versions.first()) else { return Ok(None) };
    let open = estimates::open_periods(&tx, &BTreeSet::from([customer])).await?;
    // As the closing step will see them: by the last version in each.
    let is_trial =
        |due: &DuePeriod| in_force(&versions, Timestamp(due.period.end.0 - 1)).unwrap_or(contract).shadow;
    let trial = open.first().is_some_and(is_trial);
    let touched = estimates::touched_periods(&tx, customer, trial).await?;
    let due: Vec<(DuePeriod, bool)> = touched
        .into_iter()
        .map(|due| (due, trial))
        .chain(open.iter().map(|due| (due.clone(), is_trial(due))))
        .collect();
    let mut lines = closed_now(&tx, contract, &versions, &due).await?.lines;
    let mut periods = Vec::with_capacity(open.len());
    for due in open {
        let rest = lines.iter().position(|line| line.period_start > due.period.start);
        let rest = lines.split_off(rest.unwrap_or(lines.len()));
        let draft = numbered(std::mem::replace(&mut lines, rest))
            .ok_or_else(|| StoreError::Refused(format!("the estimate of `{customer}` overflows")))?;
        let is_trial = is_trial(&due);
        periods.push(EstimatedPeriod { period: due.period, closes_at: due.closes_at, is_trial, draft });
    }
    Ok(Some(Estimate {
        customer: customer.into(),
        currency: contract.currency,
        as_of: now,
        periods,
        pending: estimates::pending(&tx, customer).await?,
    }))
}

/// Lines as those of one invoice; `None` if their sum overflows.
fn numbered(mut lines: Vec<Line>) -> Option<Draft> {
    for (line, number) in lines.iter_mut().zip(1..) {
        line.number = number;
    }
    let total_minor = lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.minor))?;
    Some(Draft { lines, total_minor })
}

/// What these periods (each with whether it is a trial) would be invoiced at, or corrected by: as the step that closes a period drafts it, with what is on no invoice yet
/// taken for invoiced.
async fn closed_now(
    tx: &Tx,
    contract: &Contract,
    versions: &[Contract],
    of: &[(DuePeriod, bool)],
) -> Result<Draft, StoreError> {
    let due: Vec<DuePeriod> = of.iter().map(|(due, _)| due.clone()).collect();
    let mut counted = estimates::counted_so_far(tx, &due).await?;
    let (mut periods, mut billed) = (Vec::with_capacity(due.len()), BTreeMap::new());
    for (DuePeriod { customer, period, .. }, is_trial) in of {
        let counts = counted.remove(&(customer.clone(), period.start)).unwrap_or_default();
        periods.push(Counted { period: *period, trial: *is_trial, counts });
        billed.extend(invoices::billed(tx, customer, period.start).await?);
    }
    let grants = grants::of_customer(tx, &contract.customer).await?;
    draft(contract.currency, versions, &periods, &billed, &grants)
        .map_err(|error| StoreError::Refused(format!("the estimate of `{}`: {error}", contract.customer)))
}
