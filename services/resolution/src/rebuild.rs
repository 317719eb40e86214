//! The figures built again from the facts, while the line goes on.

use crate::judge::rule_of;
use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::economics::{self, Contribution, Overflow};
use verdict_domain::fact::Fact;
use verdict_domain::judge::{Episode, judge};
use verdict_domain::ledger::{Row, charge_of};
use verdict_domain::pricing::Free;
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey};
use verdict_store::figures::{self, Changed};
use verdict_store::rebuilds::Done;
use verdict_store::{Store, StoreError, Tx, allotments, calls, contracts, ledger, reconcile};

/// How many cases are in memory at a time.
const PAGE: u32 = 1_000;

/// What a case adds to the figures, as of when it was judged last.
pub(crate) fn contribution(
    facts: &[Fact],
    contracts: &[Contract],
    posted: &[Row],
    free: &BTreeMap<i64, Free>,
    judged_at: Timestamp,
) -> Result<Contribution, Overflow> {
    let episodes = judge(facts, &rule_of(facts, contracts), judged_at).episodes;
    let currency_at = |at: Timestamp| {
        in_force(contracts, at).map_or("XXX", |contract| contract.currency.code()).to_string()
    };
    let free_of = |episode: &Episode| free.get(&charge_of(posted.iter(), &episode.name)?.seq).copied();
    economics::contribution(facts, &episodes, free_of, currency_at)
}

/// Builds the figures again: what each case adds to them from its facts, and all sums from that and from the charges. Only what
/// differs is written, page by page and customer by customer: the service goes on meanwhile, and what it adds is not lost. It
/// can be stopped and begun again at any time; until it is through, sums may be off by what was put right of cases. `so_far` hears
/// after each part what was done. Two must not run at a time: what both find missing would be added twice.
pub async fn rebuild_figures(store: &Store, mut so_far: impl FnMut(Done)) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let mut after = CaseKey { customer: String::new(), case: String::new() };
    loop {
        let snapshot = store.snapshot().await?;
        let keys = reconcile::cases_page(&snapshot, Timestamp(i64::MIN), &after, PAGE).await?;
        let Some(last) = keys.last() else { break };
        after = last.clone();
        let (looked_at, wrong) = wrong_cases(&snapshot, &keys).await?;
        drop(snapshot);
        done.cases += looked_at;
        if !wrong.is_empty() {
            let wrong: Vec<CaseKey> = wrong.into_iter().map(|case| case.key).collect();
            done.wrong_cases += put_right(store, &wrong).await?;
        }
        so_far(done);
    }
    let mut customer = String::new();
    while let Some(next) = figures::next_customer(store, &customer).await? {
        done.wrong_sums += figures::rebuild_customer(store, &next).await?;
        done.customers += 1;
        so_far(done);
        customer = next;
    }
    done.wrong_sums += figures::rebuild_overall(store).await?;
    done.wrong_sums += calls::rebuild(store).await?;
    Ok(done)
}

/// Writes what cases add, unless the judge has done so meanwhile; the sums follow.
async fn put_right(store: &Store, keys: &[CaseKey]) -> Result<u64, StoreError> {
    let tx = store.begin().await?;
    // The judge writes the same rows.
    tx.claim("judge").await?;
    let (_, wrong) = wrong_cases(&tx, keys).await?;
    let count = wrong.len() as u64;
    figures::set_contributions(&tx, wrong).await?;
    tx.commit().await?;
    Ok(count)
}

/// How many of the cases were judged, and those of them that are said to add something else than they do. (One whose costs
/// overflow is parked by the judge and left as it is.)
async fn wrong_cases(tx: &Tx, keys: &[CaseKey]) -> Result<(u64, Vec<Changed>), StoreError> {
    let facts = cases::facts(tx, keys).await?;
    let held = cases::load(tx, keys).await?;
    let mut added = figures::contributions(tx, keys).await?;
    let contracts: BTreeMap<String, Vec<Contract>> =
        contracts::of_customers(tx, keys.iter().map(|key| key.customer.as_str())).await?;
    let posted = ledger::posted(tx, keys).await?;
    let free = allotments::marks(tx, keys).await?;
    let none = BTreeMap::new();
    let mut wrong = Vec::new();
    for (key, facts) in facts {
        let Some(held) = held.get(&key) else { continue };
        let versions = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
        let before = added.remove(&key).unwrap_or_default();
        let posted = posted.get(&key).map_or(&[][..], Vec::as_slice);
        let free = free.get(&key).unwrap_or(&none);
        match contribution(&facts, versions, posted, free, held.judged_at) {
            Ok(contribution) if contribution != before => {
                wrong.push(Changed { key, is_new: before.is_empty(), contribution });
            }
            Ok(_) | Err(Overflow) => {}
        }
    }
    // The judge sees to those that it is to look at anyway: what came since is nothing wrong.
    if !wrong.is_empty() {
        let of_wrong: Vec<CaseKey> = wrong.iter().map(|case| case.key.clone()).collect();
        let to_judge = cases::to_judge(tx, &of_wrong).await?;
        wrong.retain(|case| !to_judge.contains(&case.key));
    }
    Ok((held.len() as u64, wrong))
}
