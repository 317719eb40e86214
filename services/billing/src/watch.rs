//! The step that watches what open periods come to against the bounds of their contracts.

use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::invoice::{Counted, come_to};
use verdict_domain::money::MoneyError;
use verdict_domain::pricing::{Counts, Part, price};
use verdict_domain::spend::{Reached, Spent, is_bounded, reached};
use verdict_domain::time::Timestamp;
use verdict_store::alerts::{self, Wanted};
use verdict_store::contracts::{self, DuePeriod};
use verdict_store::{Store, StoreError, estimates};

const SPEND: &str = "spend";

/// The step: raises an alert for each share of a cap, soft cap, budget or minimum that an open period has reached, and
/// clears those that hold no more: the figure fell, the period was closed, or the contract has changed. Answers how many it
/// raised and cleared.
pub async fn watch_spend(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    let reached = reached_now(store, now).await?;
    let tx = store.begin().await?;
    let (raised, cleared) = alerts::settle(&tx, SPEND, &reached, now).await?;
    for alert in &raised {
        tracing::warn!(subject = alert.subject, "{}", alert.text);
    }
    let changed = raised.len() + cleared;
    tx.commit().await?;
    Ok(changed)
}

/// The alerts of what is reached now. All is read at one moment.
async fn reached_now(store: &Store, now: Timestamp) -> Result<Vec<Wanted>, StoreError> {
    let tx = store.snapshot().await?;
    let mut by_customer: BTreeMap<String, Vec<Contract>> = BTreeMap::new();
    for contract in contracts::list_in(&tx).await? {
        by_customer.entry(contract.customer.clone()).or_default().push(contract);
    }
    by_customer.retain(|_, versions| versions.iter().any(is_bounded));
    let customers: BTreeSet<&str> = by_customer.keys().map(String::as_str).collect();
    let mut open = estimates::open_periods(&tx, &customers).await?;
    open.retain(|due| version_at(&by_customer, due, now).is_some_and(|(contract, _)| is_bounded(contract)));
    let mut counted = estimates::counted_so_far(&tx, &open).await?;
    let mut wanted = Vec::new();
    for due in open {
        let Some((contract, part)) = version_at(&by_customer, &due, now) else { continue };
        let (customer, start) = (due.customer, due.period.start);
        let counts = counted.remove(&(customer.clone(), start)).unwrap_or_default();
        let versions = by_customer.get(&customer).map_or(&[][..], Vec::as_slice);
        let counted = Counted { period: due.period, trial: false, counts };
        match of_version(contract, part, versions, &counted) {
            Ok(reached) => wanted.extend(reached.into_iter().map(|one| {
                let subject = format!("{customer} {start} {} {}", one.bound.as_str(), one.percent);
                Wanted { subject, text: one.to_string(), link: None }
            })),
            // One customer's trouble is not the others'.
            Err(error) => tracing::error!(%error, customer, "what a period comes to cannot be watched"),
        }
    }
    Ok(wanted)
}

/// The version in force in an open period now, or at its end if that is over, with its part of the period.
fn version_at<'a>(
    by_customer: &'a BTreeMap<String, Vec<Contract>>,
    due: &DuePeriod,
    now: Timestamp,
) -> Option<(&'a Contract, Part)> {
    let versions = by_customer.get(&due.customer)?;
    let contract = in_force(versions, now.min(Timestamp(due.period.end.0 - 1)))?;
    let later =
        versions.iter().map(|other| other.effective_from).filter(|from| *from > contract.effective_from);
    Some((contract, Part::of(due.period.start, due.period.end, contract.effective_from, later.min())))
}

/// What a version's outcomes in its part of a period reach, and what the whole period does.
fn of_version(
    contract: &Contract,
    part: Part,
    versions: &[Contract],
    counted: &Counted,
) -> Result<Vec<Reached>, MoneyError> {
    let none = Counts::default();
    let lines = price(contract, counted.counts.get(&contract.version).unwrap_or(&none), part)?;
    reached(contract, part, Spent::of(contract, &lines, come_to(versions, counted)?)?)
}
