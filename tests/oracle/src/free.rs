//! RULES, "Which outcomes are free".

use crate::oracle::{Oracle, in_force};
use crate::pricing::{Counts, Item, costs_nothing, price_period};
use crate::{Contract, DAY, Journal, Period, Posting, closed_periods, nanos, round_div};
use std::collections::{BTreeMap, BTreeSet};

/// Which of the outcomes that stand are free, and why, by (case, episode).
pub type Free = BTreeMap<(String, String), &'static str>;

/// Those of a customer: `versions` are all of its contract's, `standing` the charges that nothing took back, each with its case,
/// `is_trial` says it of a period.
pub fn free(
    versions: &[Contract],
    standing: &[(&str, &Posting)],
    is_trial: impl Fn(&Period) -> bool,
) -> Free {
    let mut free = Free::new();
    let Some(latest) = standing.iter().map(|(_, posting)| posting.origin).max() else { return free };
    let customer = &versions[0].customer;
    let mut from = i64::MIN;
    for period in closed_periods(versions, customer, latest + 800 * DAY) {
        let is_in = |posting: &Posting| (from..period.end).contains(&posting.origin);
        let mut all: Vec<_> = standing.iter().filter(|(_, posting)| is_in(posting)).copied().collect();
        from = period.end;
        all.sort_by_key(|(case, posting)| {
            (posting.effective_at, case.as_bytes(), posting.episode.as_bytes())
        });
        if is_trial(&period) {
            for (case, posting) in &all {
                free.insert(((*case).to_owned(), posting.episode.clone()), "trial");
            }
            continue;
        }
        for version in versions {
            let is_own = |posting: &Posting| posting.contract_version == version.version;
            let own: Vec<_> = all.iter().filter(|(_, posting)| is_own(posting)).copied().collect();
            let outcomes: Vec<&Posting> = own.iter().map(|(_, posting)| *posting).collect();
            let reasons = of_version(version, in_force_for(versions, version, &period), &period, &outcomes);
            for ((case, posting), reason) in own.into_iter().zip(reasons) {
                free.extend(reason.map(|reason| ((case.to_owned(), posting.episode.clone()), reason)));
            }
        }
    }
    free
}

/// Why outcomes that a version priced in a period, in order, are free.
fn of_version(
    version: &Contract,
    in_force: i64,
    period: &Period,
    outcomes: &[&Posting],
) -> Vec<Option<&'static str>> {
    let mut reasons = vec![None; outcomes.len()];
    for price in &version.prices {
        let mut left = price.included;
        for kind in ["confirmed", "assumed"] {
            for (nth, posting) in outcomes.iter().enumerate() {
                if left > 0 && posting.action == price.action && posting.kind == kind {
                    reasons[nth] = Some("included");
                    left -= 1;
                }
            }
        }
    }
    if let Some(cap) = version.cap.as_ref().filter(|_| in_force > 0) {
        beyond_cap(version, cap, in_force, period, outcomes, &mut reasons);
    }
    for (posting, reason) in outcomes.iter().zip(&mut reasons).filter(|(_, reason)| reason.is_none()) {
        let price = version.prices.iter().find(|price| price.action == posting.action);
        if price.is_some_and(|price| costs_nothing(price, posting)) {
            *reason = Some("zero_price");
        }
    }
    reasons
}

/// Gives those their reason that are beyond the cap.
fn beyond_cap(
    version: &Contract,
    cap: &str,
    in_force: i64,
    period: &Period,
    outcomes: &[&Posting],
    reasons: &mut [Option<&'static str>],
) {
    let cap = round_div(i128::from(nanos(cap)) * i128::from(in_force), i128::from(period.end - period.start));
    let rest: Vec<usize> = (0..outcomes.len()).filter(|nth| reasons[*nth].is_none()).collect();
    let mut counts = Counts::default();
    for (posting, _) in outcomes.iter().zip(&*reasons).filter(|(_, reason)| reason.is_some()) {
        count(&mut counts, posting);
    }
    // O(0), O(1) …
    let mut sums = vec![come_to(version, &counts)];
    for nth in &rest {
        count(&mut counts, outcomes[*nth]);
        sums.push(come_to(version, &counts));
    }
    for (nth, i) in rest.into_iter().zip(1..) {
        if sums[i - 1..].iter().all(|sum| *sum >= cap) {
            reasons[nth] = Some("cap");
        }
    }
}

fn count(counts: &mut Counts, posting: &Posting) {
    let tally = counts.outcomes.entry((posting.action.clone(), posting.kind)).or_default();
    tally.n += 1;
    tally.listed += i128::from(posting.amount_nanos);
}

/// What outcomes of a version come to, less the discount's percent of that.
fn come_to(version: &Contract, counts: &Counts) -> i128 {
    let lines = price_period(version, counts, 1, 1);
    let is_of_outcomes = |item: &Item| matches!(item, Item::Outcomes { .. } | Item::AssumedBeyondShare);
    let sum: i128 = lines.iter().filter(|line| is_of_outcomes(&line.item)).map(|line| line.nanos).sum();
    let percent = version.discount.as_ref().map_or(0, |percent| i128::from(nanos(percent)));
    sum - round_div(sum * percent, 100_000_000_000)
}

/// For how long of a period a version is in force.
fn in_force_for(versions: &[Contract], version: &Contract, period: &Period) -> i64 {
    let mut bounds = BTreeSet::from([period.start, period.end]);
    let begin = versions.iter().map(|version| version.effective_from);
    bounds.extend(begin.filter(|from| (period.start..period.end).contains(from)));
    let bounds: Vec<i64> = bounds.into_iter().collect();
    let is_own =
        |part: &&[i64]| in_force(versions, &version.customer, part[0]).is_some_and(|own| own == version);
    bounds.windows(2).filter(is_own).map(|part| part[1] - part[0]).sum()
}

/// Whether a period's terms say `shadow` by these versions.
pub(crate) fn is_trial_by(versions: &[Contract], period: &Period) -> bool {
    let first = versions.iter().min_by_key(|version| (version.effective_from, version.version));
    let first = first.expect("it has a contract");
    in_force(versions, &first.customer, period.end - 1).unwrap_or(first).shadow
}

/// The postings that stand: charges without a void.
fn standing<'p>(
    postings: impl Iterator<Item = (&'p str, &'p Posting)> + Clone,
) -> Vec<(&'p str, &'p Posting)> {
    let is_void = |case: &str, episode: &str| {
        postings
            .clone()
            .any(|(other, posting)| posting.sign < 0 && other == case && posting.episode == episode)
    };
    let charges = postings.clone().filter(|(_, posting)| posting.sign > 0);
    charges.filter(|(case, posting)| !is_void(case, &posting.episode)).collect()
}

impl Oracle<'_> {
    /// Which outcomes of a customer are free.
    pub(crate) fn free(&self, customer: &str) -> Free {
        let versions: Vec<Contract> = self.versions(customer).into_iter().cloned().collect();
        if versions.is_empty() {
            return Free::new();
        }
        let mut of_case: Vec<(&str, Vec<Posting>)> = Vec::new();
        for case in self.cases.iter().filter(|case| case.customer == customer) {
            for episode in &case.episodes {
                of_case.push((case.name, self.entries(case, episode)));
            }
        }
        let standing: Vec<(&str, &Posting)> = of_case
            .iter()
            .flat_map(|(case, entries)| standing(entries.iter().map(|posting| (*case, posting))))
            .collect();
        free(&versions, &standing, |period| is_trial_by(&versions, period))
    }
}

impl Journal {
    /// Which outcomes are free, by (case, episode): a period that is closed is a trial as it was closed.
    pub fn free(&self) -> Free {
        let by_case = self.ledger().chunk_by(|one, next| one.case == next.case);
        let standing: Vec<(&str, &Posting)> = by_case
            .flat_map(|case| standing(case.iter().map(|entry| (entry.case.as_str(), &entry.posting))))
            .collect();
        free(self.versions(), &standing, |period| self.is_trial(period))
    }
}
