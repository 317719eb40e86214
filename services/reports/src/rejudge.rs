//! What another rule would have made of the cases of some days: beside what their own makes of them, at the same
//! moment, from the same facts. Reads only.

use crate::count::{Costs, Overflow, Sums, Tally, count};
use serde::Serialize;
use std::collections::BTreeMap;
use verdict_domain::contract::{self, Contract};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::history::{self, Window};
use verdict_store::{Store, StoreError, Tx, cases, contracts};

/// How many cases are in memory at once.
pub(crate) const PAGE: u32 = 1_000;

/// What some cases come to under their own rules and under another.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Comparison {
    /// Cases.
    pub cases: u64,
    /// Of these, those that look different: other verdicts, or another sum.
    pub changed: u64,
    /// Under the rules of their contracts.
    pub before: Tally,
    /// Under the other rule.
    pub after: Tally,
    /// What the attempts cost, under either.
    pub costs: Costs,
    /// Revenue at list prices less known cost under their own rules; absent where money is in more than one currency.
    pub margin_before: Option<Sums>,
    /// The same under the other rule.
    pub margin_after: Option<Sums>,
}

impl Comparison {
    fn finish(&mut self) {
        let margin = |tally: &Tally| {
            tally.revenue.less(&self.costs.known).map(|(code, nanos)| Sums(BTreeMap::from([(code, nanos)])))
        };
        (self.margin_before, self.margin_after) = (margin(&self.before), margin(&self.after));
    }
}

/// A case that looks different under the other rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// What its own rule makes of it.
    pub before: String,
    /// What the other rule makes of it.
    pub after: String,
}

/// The cases of a window under their own rules and under another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejudged {
    /// As of when both judged. (A case that was judged later already is judged as of then.)
    pub as_of: Timestamp,
    /// By customer.
    pub customers: BTreeMap<String, Comparison>,
    /// All together.
    pub total: Comparison,
    /// The first cases that look different, by customer and case.
    pub changes: Vec<Change>,
}

/// Why cases could not be judged again.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sum.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// Judges the cases of a window by `rule` beside their own, as of `now`; tells the first `changes` that look different.
/// All is read at one moment, and nothing is written.
pub async fn rejudge(
    store: &Store,
    window: &Window,
    rule: &Rule,
    now: Timestamp,
    changes: usize,
) -> Result<Rejudged, RejudgeError> {
    let mut rejudged = Rejudged {
        as_of: now,
        customers: BTreeMap::new(),
        total: Comparison::default(),
        changes: Vec::new(),
    };
    let snapshot = store.snapshot().await?;
    let contracts = all_contracts(&snapshot, window.customer.as_deref()).await?;
    let default = Rule::default();
    let mut after = None;
    loop {
        let keys = history::page(&snapshot, window, after.as_ref(), PAGE).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let facts = cases::facts(&snapshot, &keys).await?;
        let held = cases::load(&snapshot, &keys).await?;
        for key in keys {
            let facts = facts.get(&key).map_or(&[][..], Vec::as_slice);
            let versions = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
            // As the judge does: time does not run backward for a case.
            let now = held.get(&key).map_or(now, |held| held.judged_at.max(now));
            let own = contract::of_case(versions, facts).map_or(&default, |contract| &contract.rule);
            let (old, new) = (count(facts, own, versions, now), count(facts, rule, versions, now));
            let differs = !old.looks_like(&new)?;
            if differs && rejudged.changes.len() < changes {
                let (before, after) = (old.summary()?, new.summary()?);
                let (customer, case) = (key.customer.clone(), key.case);
                rejudged.changes.push(Change { customer, case, before, after });
            }
            let of_customer = rejudged.customers.entry(key.customer).or_default();
            for comparison in [of_customer, &mut rejudged.total] {
                comparison.cases += 1;
                comparison.changed += u64::from(differs);
                comparison.before.add(&old)?;
                comparison.after.add(&new)?;
                comparison.costs.add(facts)?;
            }
        }
    }
    rejudged.customers.values_mut().for_each(Comparison::finish);
    rejudged.total.finish();
    Ok(rejudged)
}

/// The contract versions by customer.
pub(crate) async fn all_contracts(
    snapshot: &Tx,
    customer: Option<&str>,
) -> Result<BTreeMap<String, Vec<Contract>>, StoreError> {
    if let Some(customer) = customer {
        return contracts::of_customers(snapshot, std::iter::once(customer)).await;
    }
    let mut by_customer: BTreeMap<String, Vec<Contract>> = BTreeMap::new();
    for contract in contracts::list_in(snapshot).await? {
        by_customer.entry(contract.customer.clone()).or_default().push(contract);
    }
    Ok(by_customer)
}
