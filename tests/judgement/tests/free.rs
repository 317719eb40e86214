//! Which outcomes of a period are free: the service says of random contracts and outcomes what the oracle says, in whatever order
//! they come, and never another number than the bill leaves out.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use verdict_domain::contract::Contract;
use verdict_domain::judge::WinKind;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Free, Item, Part, Standing, Tally, free, price};
use verdict_domain::time::Timestamp;
use verdict_judgement::seed;
use verdict_oracle::{ContractPrice, DAY, HOUR, Mode, Posting, Tier};

const PERIODS: u64 = 10_000;
/// 2026-09-01T00:00:00Z.
const START: i64 = 1_788_220_800_000_000;
const SEPTEMBER: Period = Period { start: Timestamp(START), end: Timestamp(START + 30 * DAY) };
const ACTIONS: [&str; 2] = ["support.resolution", "refund.processed"];

struct Teller(Xoshiro256PlusPlus);

impl Teller {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0).expect("some").clone()
    }

    fn some(&mut self, of: &[&str]) -> Option<String> {
        self.0.random_ratio(1, 2).then(|| self.one(of).to_owned())
    }

    fn amount(&mut self) -> String {
        self.one(&["0", "0.99", "0.5", "2", "1.2", "0.333333333", "11"]).into()
    }

    fn tiers(&mut self) -> Vec<Tier> {
        let (first, flat) = (self.0.random_range(1..9), self.some(&["3", "0.5"]));
        vec![
            Tier { up_to: Some(first), amount: self.amount(), flat: None },
            Tier { up_to: None, amount: self.amount(), flat },
        ]
    }

    fn price(&mut self, action: &str) -> ContractPrice {
        let mut price = ContractPrice { action: action.into(), ..ContractPrice::default() };
        if self.0.random_ratio(1, 6) {
            price.share = Some("20".into());
            return price;
        }
        match self.0.random_range(0..3) {
            0 => price.tiers = self.tiers(),
            _ => price.amount = Some(self.amount()),
        }
        match self.0.random_range(0..4) {
            0 => price.assumed_tiers = self.tiers(),
            1 => price.assumed_amount = Some(self.amount()),
            _ => {}
        }
        price.mode = self.one(&[Mode::Graduated, Mode::Volume]);
        price.included = self.one(&[0, 0, 1, 3, 12]);
        price.package = self.one(&[None, None, Some(3)]);
        price
    }

    fn contract(&mut self, version: u32) -> verdict_oracle::Contract {
        let days = if version == 1 { self.one(&[-40, 0, 10]) } else { self.one(&[-3, 0, 12, 29, 31]) };
        verdict_oracle::Contract {
            customer: "acme".into(),
            version,
            effective_from: START + days * DAY,
            currency: "USD".into(),
            time_zone: "UTC".into(),
            grace_hours: 72,
            bill_to_name: "Acme GmbH".into(),
            bill_to_email: "billing@acme.example".into(),
            prices: ACTIONS.iter().map(|action| self.price(action)).collect(),
            cap: self.some(&["0", "5", "10", "20.5", "60"]),
            discount: self.some(&["10", "33.3", "100"]),
            assumed_at_most: self.some(&["20", "50"]),
            ..verdict_oracle::Contract::default()
        }
    }

    /// An outcome that a version priced; some at the same moment, some of one case.
    fn outcome(&mut self, nth: usize, versions: u32) -> Standing {
        Standing {
            effective_at: Timestamp(START + self.0.random_range(0..240) * 3 * HOUR),
            case: format!("c-{}", nth / 2 * 7 % 10),
            episode: format!("e-{nth}"),
            contract_version: self.0.random_range(1..=versions),
            action: self.one(&ACTIONS).into(),
            win: self.one(&[WinKind::Confirmed, WinKind::Assumed]),
            listed: self.0.random_range(0..3_000_000_000),
        }
    }
}

fn read(contract: &verdict_oracle::Contract) -> Contract {
    let contract: Contract = serde_json::from_value(contract.to_json()).unwrap();
    contract.check().unwrap();
    contract
}

fn posting(outcome: &Standing) -> Posting {
    Posting {
        episode: outcome.episode.clone(),
        sign: 1,
        kind: outcome.win.as_str(),
        action: outcome.action.clone(),
        agent: "resolver".into(),
        model: "gpt-4o".into(),
        effective_at: outcome.effective_at.0,
        origin: outcome.effective_at.0,
        value: None,
        amount_nanos: outcome.listed,
        currency: "USD".into(),
        contract_version: outcome.contract_version,
    }
}

/// By episode.
type Marks = BTreeMap<String, Free>;

fn marks(versions: &[Contract], outcomes: &[Standing]) -> Marks {
    let free = free(versions, SEPTEMBER, outcomes).unwrap();
    assert_eq!(free.len(), outcomes.len());
    let marked = outcomes.iter().zip(free);
    marked.filter_map(|(outcome, free)| Some((outcome.episode.clone(), free?))).collect()
}

fn by_the_oracle(versions: &[verdict_oracle::Contract], outcomes: &[Standing]) -> Marks {
    let postings: Vec<Posting> = outcomes.iter().map(posting).collect();
    let of_case: Vec<(&str, &Posting)> =
        outcomes.iter().zip(&postings).map(|(outcome, posting)| (outcome.case.as_str(), posting)).collect();
    let free = verdict_oracle::free(versions, &of_case, |_| false);
    free.into_iter().map(|((_, episode), reason)| (episode, Free::parse(reason).unwrap())).collect()
}

fn counts<'a>(outcomes: impl Iterator<Item = &'a Standing>) -> Counts {
    let mut counts = Counts::default();
    for outcome in outcomes {
        let tally = counts.outcomes.entry((outcome.action.clone(), outcome.win)).or_default();
        *tally = tally.plus(Tally { quantity: 1, listed: outcome.listed, value: 0 }).unwrap();
    }
    counts
}

/// What a bill of a whole period says is beyond the cap.
fn beyond_cap(contract: &Contract, counts: &Counts) -> i64 {
    let lines = price(contract, counts, Part::WHOLE).unwrap();
    lines.iter().filter(|line| line.item == Item::BeyondCap).map(|line| line.amount.nanos).sum()
}

#[test]
fn the_service_and_the_oracle_leave_the_same_outcomes_free_in_any_order() {
    let (mut included, mut beyond, mut capped) = (0, 0, 0);
    for nth in 0..PERIODS {
        let mut teller = Teller(Xoshiro256PlusPlus::seed_from_u64(seed().wrapping_add(nth)));
        let mut versions = vec![teller.contract(1)];
        if teller.0.random_ratio(1, 3) {
            versions.push(teller.contract(2));
        }
        let count = u32::try_from(versions.len()).unwrap();
        let number = teller.one(&[0, 3, 12, 40]);
        let mut outcomes: Vec<Standing> = (0..number).map(|nth| teller.outcome(nth, count)).collect();
        let read: Vec<Contract> = versions.iter().map(read).collect();

        let told = marks(&read, &outcomes);
        assert_eq!(told, by_the_oracle(&versions, &outcomes), "period {nth}: {versions:#?} {outcomes:#?}");
        outcomes.shuffle(&mut teller.0);
        assert_eq!(marks(&read, &outcomes), told, "period {nth}, in another order");

        for contract in &read {
            let own = || outcomes.iter().filter(|outcome| outcome.contract_version == contract.version);
            let is = |outcome: &Standing, free| told.get(&outcome.episode) == Some(&free);
            for price in &contract.prices {
                let of_price = own().filter(|outcome| outcome.action == price.action);
                let left_out = of_price.clone().filter(|outcome| is(outcome, Free::Included)).count();
                let all = of_price.count();
                assert_eq!(
                    left_out,
                    all.min(usize::try_from(price.included).unwrap()),
                    "as many as the bill"
                );
            }
            let left_out = own().filter(|outcome| is(outcome, Free::Cap)).count();
            if read.len() == 1 && contract.effective_from <= SEPTEMBER.start {
                capped += u64::from(left_out > 0);
                // Without those beyond it, it comes to the cap all the same; without the one before them, it does not.
                let rest: Vec<&Standing> = own().filter(|outcome| !is(outcome, Free::Cap)).collect();
                let (with, without) = (counts(own()), counts(rest.iter().copied()));
                let bill = |counts: &Counts| {
                    let lines = price(contract, counts, Part::WHOLE).unwrap();
                    lines.iter().map(|line| line.amount.nanos).sum::<i64>()
                };
                if left_out > 0 {
                    assert_eq!(bill(&with), bill(&without), "what is beyond the cap is not billed");
                } else if own().count() > 0 && contract.cap.as_deref() != Some("0") {
                    let mut paid: Vec<&Standing> =
                        own().filter(|outcome| !is(outcome, Free::Included)).collect();
                    paid.sort();
                    if let Some(last) = paid.last() {
                        let before = counts(own().filter(|outcome| outcome != last));
                        let both = beyond_cap(contract, &with) < 0 && beyond_cap(contract, &before) < 0;
                        assert!(!both, "the last one is beyond the cap, and is not free");
                    }
                }
            }
            beyond += left_out;
        }
        included += told.values().filter(|free| **free == Free::Included).count();
    }
    println!(
        "{PERIODS} periods: {included} outcomes included, {beyond} beyond a cap, in {capped} whole periods"
    );
    assert!(included > 5_000 && beyond > 5_000 && capped > 500);
}

#[test]
fn the_next_one_takes_the_place_of_an_included_one_that_is_taken_back() {
    let mut promoted = 0;
    for nth in 0..PERIODS / 5 {
        let mut teller = Teller(Xoshiro256PlusPlus::seed_from_u64(seed().wrapping_add(nth)));
        let versions = [read(&teller.contract(1))];
        let mut outcomes: Vec<Standing> = (0..20).map(|nth| teller.outcome(nth, 1)).collect();
        let before = marks(&versions, &outcomes);
        let gone = outcomes.swap_remove(teller.0.random_range(0..20));
        let after = marks(&versions, &outcomes);
        let is_included = |marks: &Marks, episode: &str| marks.get(episode) == Some(&Free::Included);
        let kept = |outcome: &&Standing| is_included(&before, &outcome.episode);
        assert!(outcomes.iter().filter(kept).all(|outcome| is_included(&after, &outcome.episode)));
        let new: Vec<&Standing> = outcomes
            .iter()
            .filter(|outcome| {
                is_included(&after, &outcome.episode) && !is_included(&before, &outcome.episode)
            })
            .collect();
        let had_place = is_included(&before, &gone.episode);
        let mut next: Vec<&Standing> = outcomes
            .iter()
            .filter(|outcome| outcome.action == gone.action && !is_included(&before, &outcome.episode))
            .collect();
        next.sort_by_key(|outcome| (outcome.win != WinKind::Confirmed, *outcome));
        assert_eq!(new, next.into_iter().take(usize::from(had_place)).collect::<Vec<_>>());
        promoted += new.len();
    }
    println!("{promoted} outcomes took the place of one that was taken back");
    assert!(promoted > 100);
}
