//! What was said of a period's outcomes, kept so that a change need not look at all of them again. `docs/RULES.md` ("Which outcomes
//! are free") is the definition; [`super::free`] is its evaluator, and what is said here never differs from it.

use super::free::costs_nothing;
use super::{Counts, Free, Mode, Standing, Tally, come_to, included};
use crate::contract::Contract;
use crate::invoice::parts;
use crate::judge::WinKind;
use crate::money::{self, MoneyError};
use crate::period::Period;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where an outcome stands in the order: when it settled, its case, its episode.
type Place = (Timestamp, String, String);

fn place(outcome: &Standing) -> Place {
    (outcome.effective_at, outcome.case.clone(), outcome.episode.clone())
}

/// How many outcomes stand in a period, and up to and from where in the order they are free.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allotment(BTreeMap<u32, OfVersion>);

/// What one contract version priced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct OfVersion {
    /// By action and kind.
    kinds: BTreeMap<String, BTreeMap<WinKind, OfKind>>,
    /// The first of those beyond the cap.
    #[serde(skip_serializing_if = "Option::is_none")]
    beyond_cap: Option<Place>,
}

/// Outcomes of one action and kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct OfKind {
    /// How many stand.
    quantity: i64,
    /// The sum of their list prices, in nanos.
    listed: i64,
    /// How many are included.
    included: i64,
    /// The last of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_included: Option<Place>,
}

/// An outcome of which something was posted since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The outcome.
    pub outcome: Standing,
    /// Whether it stands now.
    pub stands: bool,
    /// The sum of what was posted of it since: 1 if it stands and did not, -1 if it did and does not.
    pub by: i64,
}

/// Which of the outcomes are free, place by place.
pub type FreeOnes = Vec<Option<Free>>;

impl Allotment {
    /// What [`super::free`] said of all outcomes that stand in a period, place by place.
    pub fn of(outcomes: &[Standing], free: &[Option<Free>]) -> Result<Self, MoneyError> {
        let mut said = Self::default();
        for (outcome, free) in outcomes.iter().zip(free) {
            let version = said.0.entry(outcome.contract_version).or_default();
            version.add(outcome, 1)?;
            match free {
                Some(Free::Included) => version.include(outcome),
                Some(Free::Cap) => {
                    let first = version.beyond_cap.take().map_or(place(outcome), |at| at.min(place(outcome)));
                    version.beyond_cap = Some(first);
                }
                Some(Free::Trial | Free::ZeroPrice) | None => {}
            }
        }
        Ok(said)
    }

    /// What is to be said after a change, and which of the changed outcomes are free, place by place. `None`: others may be free
    /// now, or no longer, and all must be looked at.
    pub fn after(
        &self,
        versions: &[Contract],
        period: Period,
        changed: &[Changed],
    ) -> Result<Option<(Self, FreeOnes)>, MoneyError> {
        let mut said = self.clone();
        for (contract, part) in parts(versions, period) {
            let is_own = |one: &&Changed| one.outcome.contract_version == contract.version && one.by != 0;
            let mut own: Vec<&Changed> = changed.iter().filter(is_own).collect();
            own.sort_by_key(|one| &one.outcome);
            if own.is_empty() {
                continue;
            }
            let version = said.0.entry(contract.version).or_default();
            for one in &own {
                version.add(&one.outcome, one.by)?;
            }
            let cap = contract.cap.as_deref().filter(|_| part.in_force > 0);
            let cap = cap.map(|cap| part.prorate(money::parse_nanos(cap)?)).transpose()?;
            if !version.include_after(contract, &own) || !version.is_cap_where_it_was(contract, cap, &own)? {
                return Ok(None);
            }
        }
        let of_one = |one: &Changed| said.of_one(versions, &one.outcome).filter(|_| one.stands);
        let free = changed.iter().map(of_one).collect();
        Ok(Some((said, free)))
    }

    /// What is said of an outcome.
    fn of_one(&self, versions: &[Contract], outcome: &Standing) -> Option<Free> {
        let version = self.0.get(&outcome.contract_version)?;
        let last = version.kind(&outcome.action, outcome.win).and_then(|kind| kind.last_included.as_ref());
        if last.is_some_and(|last| place(outcome) <= *last) {
            return Some(Free::Included);
        }
        let is_beyond = version.beyond_cap.as_ref().is_some_and(|first| place(outcome) >= *first);
        if is_beyond {
            return Some(Free::Cap);
        }
        let contract = versions.iter().find(|contract| contract.version == outcome.contract_version)?;
        costs_nothing(contract, outcome).then_some(Free::ZeroPrice)
    }
}

impl OfVersion {
    fn kind(&self, action: &str, win: WinKind) -> Option<&OfKind> {
        self.kinds.get(action)?.get(&win)
    }

    fn kind_of(&mut self, outcome: &Standing) -> &mut OfKind {
        self.kinds.entry(outcome.action.clone()).or_default().entry(outcome.win).or_default()
    }

    fn add(&mut self, outcome: &Standing, by: i64) -> Result<(), MoneyError> {
        let kind = self.kind_of(outcome);
        kind.quantity = kind.quantity.checked_add(by).ok_or(MoneyError::Overflow)?;
        let listed = outcome.listed.checked_mul(by).ok_or(MoneyError::Overflow)?;
        kind.listed = kind.listed.checked_add(listed).ok_or(MoneyError::Overflow)?;
        Ok(())
    }

    /// One more is included: the last one is the last in the order.
    fn include(&mut self, outcome: &Standing) {
        let kind = self.kind_of(outcome);
        kind.included += 1;
        kind.last_included = kind.last_included.take().max(Some(place(outcome)));
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (action, kinds) in &self.kinds {
            for (win, kind) in kinds {
                let tally = Tally { quantity: kind.quantity, listed: kind.listed, value: 0 };
                counts.outcomes.insert((action.clone(), *win), tally);
            }
        }
        counts
    }

    /// Includes of the changed ones, in order, what there is room for. `false`: of those before others are included now.
    fn include_after(&mut self, contract: &Contract, changed: &[&Changed]) -> bool {
        let counts = self.counts();
        for price in contract.prices.iter().filter(|price| price.included > 0) {
            let (confirmed, assumed) = included(price, &counts);
            for (win, now) in [(WinKind::Confirmed, confirmed), (WinKind::Assumed, assumed)] {
                let is_own = |one: &&Changed| one.outcome.action == price.action && one.outcome.win == win;
                let own: Vec<&Changed> = changed.iter().copied().filter(is_own).collect();
                let kind = self.kind(&price.action, win).cloned().unwrap_or_default();
                if own.iter().any(|one| Some(place(&one.outcome)) <= kind.last_included) {
                    return false;
                }
                let before = kind.quantity - own.iter().map(|one| one.by).sum::<i64>();
                match now - kind.included {
                    0 => {}
                    // All that stood were included, so that none of them is passed over.
                    more if more > 0 && kind.included == before => {
                        let arrived = own.iter().filter(|one| one.by > 0);
                        let more = usize::try_from(more).unwrap_or(usize::MAX);
                        arrived.take(more).for_each(|one| self.include(&one.outcome));
                    }
                    _ => return false,
                }
            }
        }
        true
    }

    /// Whether those that were beyond the cap are still those, and of the changed ones those that come after them.
    fn is_cap_where_it_was(
        &self,
        contract: &Contract,
        cap: Option<i64>,
        changed: &[&Changed],
    ) -> Result<bool, MoneyError> {
        let Some(cap) = cap else { return Ok(true) };
        let Some(first) = &self.beyond_cap else { return Ok(come_to(contract, &self.counts())? < cap) };
        // Where one more outcome never makes the bill smaller, what is beyond the cap does not matter to what comes before it, nor
        // does what is included: it costs nothing.
        let is_ever_more = contract.assumed_at_most.is_none()
            && contract.prices.iter().all(|price| price.mode == Mode::Graduated);
        let is_included = |outcome: &Standing| {
            let kind = self.kind(&outcome.action, outcome.win);
            kind.is_some_and(|kind| Some(place(outcome)) <= kind.last_included)
        };
        Ok(is_ever_more
            && changed.iter().all(|one| place(&one.outcome) >= *first || is_included(&one.outcome)))
    }
}
