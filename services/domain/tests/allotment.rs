//! Which outcomes are free, followed from change to change: never another answer than from a look at all of them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verdict_domain::contract::Contract;
use verdict_domain::judge::WinKind;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Allotment, Changed, Free, Standing, free};
use verdict_domain::time::Timestamp;

const DAY: i64 = 86_400_000_000;

fn september() -> Period {
    let start = Timestamp::parse("2026-09-01T00:00:00Z").unwrap();
    Period { start, end: Timestamp(start.0 + 30 * DAY) }
}

fn contract(version: u32, from: &str, fields: &Value) -> Contract {
    let mut contract = json!({
        "customer": "acme", "version": version, "effective_from": from, "currency": "USD",
        "bill_to": { "name": "Acme GmbH", "email": "billing@acme.example" },
    });
    for (name, value) in fields.as_object().unwrap() {
        contract[name] = value.clone();
    }
    let contract: Contract = serde_json::from_value(contract).unwrap();
    contract.check().unwrap();
    contract
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators): the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A period's outcomes as they come and go.
struct Followed {
    versions: Vec<Contract>,
    standing: Vec<Standing>,
    marks: BTreeMap<String, Option<Free>>,
    allotment: Allotment,
    looks_at_all: usize,
}

impl Followed {
    fn new(versions: Vec<Contract>) -> Self {
        let (standing, marks, allotment) = (Vec::new(), BTreeMap::new(), Allotment::default());
        Self { versions, standing, marks, allotment, looks_at_all: 0 }
    }

    fn change(&mut self, changed: &[Changed]) {
        for one in changed {
            self.standing.retain(|standing| standing.case != one.outcome.case);
            if one.stands {
                self.standing.push(one.outcome.clone());
            }
        }
        let all = free(&self.versions, september(), &self.standing).unwrap();
        match self.allotment.after(&self.versions, september(), changed).unwrap() {
            Some((allotment, free)) => {
                // As it is kept: through JSON.
                let kept = serde_json::to_string(&allotment).unwrap();
                self.allotment = serde_json::from_str(&kept).unwrap();
                assert_eq!(self.allotment, allotment);
                for (one, free) in changed.iter().zip(free) {
                    self.marks.insert(one.outcome.case.clone(), free);
                }
            }
            None => {
                self.looks_at_all += 1;
                self.allotment = Allotment::of(&self.standing, &all).unwrap();
                self.marks = BTreeMap::new();
                for (outcome, free) in self.standing.iter().zip(&all) {
                    self.marks.insert(outcome.case.clone(), *free);
                }
            }
        }
        for (outcome, free) in self.standing.iter().zip(&all) {
            assert_eq!(self.marks[&outcome.case], *free, "{outcome:?} of {:?}", self.versions);
        }
    }
}

fn outcome(at: i64, case: &str, version: u32, action: &str, win: WinKind) -> Standing {
    Standing {
        effective_at: Timestamp(september().start.0 + at),
        case: case.into(),
        episode: "start".into(),
        contract_version: version,
        action: action.into(),
        win,
        listed: 990_000_000,
    }
}

fn arrived(outcome: Standing) -> Changed {
    Changed { outcome, stands: true, by: 1 }
}

/// Contracts of which anything may be free, in all shapes that the evaluator knows.
fn contracts() -> Vec<Vec<Contract>> {
    let from = "2026-08-01T00:00:00Z";
    let one = |fields: Value| vec![contract(1, from, &fields)];
    let flat = |included: i64| json!({ "action": "solved", "amount": "0.99", "included": included });
    let other = json!({ "action": "sold", "amount": "2", "assumed_amount": "0.50" });
    let tiers = json!([{ "up_to": 10, "amount": "1", "flat": "3" }, { "amount": "0.20" }]);
    let capped = |mode: &str| {
        json!({ "cap": "9", "discount": "12.5", "prices": [
            { "action": "solved", "mode": mode, "tiers": tiers, "included": 4 }, other ] })
    };
    let first = contract(1, from, &json!({ "cap": "12", "prices": [flat(3), other] }));
    let second = contract(2, "2026-09-11T00:00:00Z", &json!({ "cap": "7.50", "prices": [flat(6), other] }));
    vec![
        one(json!({ "prices": [flat(0), other] })),
        one(json!({ "prices": [flat(7), other] })),
        one(json!({ "cap": "10", "prices": [flat(0), other] })),
        one(json!({ "cap": "0", "prices": [flat(2), other] })),
        one(json!({ "cap": "10", "assumed_at_most": "20", "prices": [flat(5), other] })),
        one(capped("graduated")),
        one(capped("volume")),
        one(json!({ "prices": [{ "action": "solved", "amount": "1", "assumed_amount": "0" },
            { "action": "sold", "amount": "0", "included": 1 }] })),
        one(json!({ "cap": "6", "prices": [
            { "action": "solved", "amount": "1", "package": 5, "included": 2 }, { "action": "sold", "amount": "0" } ] })),
        vec![first, second],
    ]
}

#[test]
fn changes_lead_where_a_look_at_all_does() {
    for (nth, versions) in contracts().into_iter().enumerate() {
        for seed in 0..40 {
            let mut random = Random(seed * 1_000 + u64::try_from(nth).unwrap());
            let mut followed = Followed::new(versions.clone());
            let mut left: Vec<Standing> = Vec::new();
            for step in 0..40 {
                let mut changed: Vec<Changed> = Vec::new();
                for more in 0..=random.below(3) {
                    let roll = random.below(10);
                    let back = usize::try_from(random.below(1 + left.len() as u64)).unwrap();
                    let is_there = |case: &str| changed.iter().any(|one| one.outcome.case == case);
                    if roll < 3 && back < left.len() && !is_there(&left[back].case) {
                        let outcome = left.remove(back);
                        changed.push(Changed { outcome, stands: false, by: -1 });
                        continue;
                    }
                    // Mostly later than all before; at times late, or at the same moment as another.
                    let at = if roll < 8 { step } else { i64::try_from(random.below(40)).unwrap() };
                    let version = if versions.len() > 1 && at > 15 { 2 } else { 1 };
                    let win = if random.below(3) == 0 { WinKind::Assumed } else { WinKind::Confirmed };
                    let action = if random.below(4) == 0 { "sold" } else { "solved" };
                    let case = format!("{:02}-{step}-{more}", random.below(50));
                    let outcome = outcome(at * DAY / 2, &case, version, action, win);
                    match random.below(12) {
                        // Posted and taken back between two looks; taken back and restored.
                        0 => changed.push(Changed { outcome, stands: false, by: 0 }),
                        _ => {
                            left.push(outcome.clone());
                            changed.push(arrived(outcome));
                        }
                    }
                }
                if let Some(same) = left.first()
                    && random.below(5) == 0
                    && !changed.iter().any(|one| one.outcome.case == same.case)
                {
                    changed.push(Changed { outcome: same.clone(), stands: true, by: 0 });
                }
                followed.change(&changed);
            }
        }
    }
}

#[test]
fn a_steady_stream_needs_few_looks_at_all() {
    let prices = json!([{ "action": "solved", "amount": "1", "included": 100 }]);
    let fields = json!({ "cap": "500", "prices": prices });
    let mut followed = Followed::new(vec![contract(1, "2026-08-01T00:00:00Z", &fields)]);
    for nth in 0..1_000_i64 {
        let case = format!("{nth:04}");
        followed.change(&[arrived(outcome(nth, &case, 1, "solved", WinKind::Confirmed))]);
    }
    let of = |wanted: Free| followed.marks.values().filter(|free| **free == Some(wanted)).count();
    assert_eq!((of(Free::Included), of(Free::Cap)), (100, 400));
    // At the one that comes to the cap, and at the first beyond it.
    assert_eq!(followed.looks_at_all, 2);
    // What is billed is taken back: while nothing is beyond the cap, that moves no other; then the last one takes its place.
    let back = |nth: i64| Changed {
        stands: false,
        by: -1,
        ..arrived(outcome(nth, &format!("{nth:04}"), 1, "solved", WinKind::Confirmed))
    };
    followed.change(&[back(999)]);
    assert_eq!(followed.looks_at_all, 2, "one beyond the cap is no one's place");
    followed.change(&[back(300)]);
    assert_eq!(followed.looks_at_all, 3);
}
