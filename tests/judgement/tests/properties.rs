//! The judge and the ledger are functions of a set of facts: order, repetition, parts and the moments of looking
//! cannot change what is held in the end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeSet;
use verdict_domain::economics::{self, Bucket, Contribution, Figures, contribution};
use verdict_domain::fact::{Fact, in_order};
use verdict_domain::judge::{Episode, Judgement, judge};
use verdict_domain::ledger::{Entry, EntryKind, Row, difference, entries};
use verdict_domain::pricing::Free;
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_judgement::{History, Told, live, look, seed};
use verdict_oracle::HOUR;

const HISTORIES: u64 = 20_000;
/// Later than anything that the random cases could wait for.
const LATE: i64 = 1_000 * HOUR;

/// What an entry bills; the facts named as evidence may differ.
fn billed(entry: &Entry) -> String {
    format!("{:?}", Entry { facts: Vec::new(), ..entry.clone() })
}

fn all_billed<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<String> {
    let mut all: Vec<_> = entries.map(billed).collect();
    all.sort();
    all
}

/// Says of each episode, at random, that it is free or not.
fn random_free(random: &mut Xoshiro256PlusPlus) -> impl Fn(&Episode) -> Option<Free> + use<> {
    let marks: Vec<Option<Free>> = (0..8)
        .map(|_| {
            *[None, Some(Free::Included), Some(Free::Cap), Some(Free::Trial), Some(Free::ZeroPrice)]
                .choose(random)
                .unwrap()
        })
        .collect();
    move |episode| marks[episode.facts.start % marks.len()]
}

/// Looks at the facts held so far, and checks that exactly the difference is posted.
fn step(facts: &[Fact], rule: &Rule, now: i64, posted: &mut Vec<Row>) -> Judgement {
    let before: BTreeSet<i64> = live(posted).map(|row| row.seq).collect();
    let judgement = look(facts, rule, now, posted);
    let wanted = entries(facts, &judgement.episodes);
    assert_eq!(all_billed(live(posted).map(|row| &row.entry)), all_billed(wanted.iter()));
    assert_eq!(difference(posted, &wanted), [], "a second look finds nothing to do");

    let after: BTreeSet<i64> = live(posted).map(|row| row.seq).collect();
    let gone = |row: &&Row| before.contains(&row.seq) && !after.contains(&row.seq);
    for row in posted.iter().filter(gone) {
        // Only a void stands and falls with another row: with the charge that it takes back.
        let still_wanted = wanted.iter().any(|entry| billed(entry) == billed(&row.entry));
        let its_charge_is_gone = row.reverses.is_some_and(|charge| !after.contains(&charge));
        assert!(!still_wanted || its_charge_is_gone, "taken back for nothing: {row:?}");
    }
    judgement
}

/// The ledger as a ledger: numbered, and whatever is taken back was there, once, and is taken back whole.
fn check_rows(posted: &[Row]) {
    let mut corrected = BTreeSet::new();
    for (row, seq) in posted.iter().zip(1..) {
        assert_eq!(row.seq, seq);
        let reversed = row.reverses.map(|of| posted.iter().find(|other| other.seq == of).unwrap());
        assert_eq!(row.entry.kind == EntryKind::Charge, reversed.is_none());
        let Some(reversed) = reversed else { continue };
        assert!(reversed.seq < row.seq && reversed.entry.sign == -row.entry.sign);
        assert_eq!(reversed.entry.episode, row.entry.episode);
        if row.entry.kind == EntryKind::Correction {
            assert!(corrected.insert(reversed.seq), "corrected twice");
            let opposite =
                Entry { kind: reversed.entry.kind, sign: reversed.entry.sign, ..row.entry.clone() };
            assert_eq!(opposite, reversed.entry, "it bears the same time and all else");
        }
    }
    for void in live(posted).filter(|row| row.entry.kind == EntryKind::Void) {
        let stands = live(posted).any(|row| Some(row.seq) == void.reverses);
        assert!(stands, "a void of a charge that is corrected: {void:?}");
    }
}

/// Attempts, those of unknown cost, all costs, and those that are no model's.
type Costs = [i64; 4];

fn costs_of(figures: &Contribution) -> Costs {
    figures.values().fold([0; 4], |sum, f| {
        [sum[0] + f.attempts, sum[1] + f.unknown_costs, sum[2] + f.cost_nanos, sum[3] + f.other_cost_nanos]
    })
}

fn costs_of_attempts(facts: &[Fact]) -> Costs {
    facts.iter().filter_map(Fact::attempt).fold([0; 4], |sum, attempt| {
        let (model, other) = (attempt.cost.model_nanos, attempt.cost.other_nanos);
        [
            sum[0] + 1,
            sum[1] + i64::from(model.is_none()),
            sum[2] + model.unwrap_or_default() + other,
            sum[3] + other,
        ]
    })
}

#[test]
fn facts_in_any_order_and_number_leave_the_same_in_the_ledger() {
    let seed = seed();
    let (mut looks, mut corrections, mut changed, mut moved_free) = (0, 0, 0, 0);
    for nth in 0..HISTORIES {
        let history = History::random(seed, nth);
        let _told = Told(&history);
        let (rule, all) = (history.rule(), history.facts());
        let mut direct = Vec::new();
        let expected = look(&all, &rule, history.now, &mut direct);

        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ nth);
        for _ in 0..3 {
            let mut arriving = all.clone();
            arriving.extend(all.iter().filter(|_| random.random_ratio(1, 3)).cloned().collect::<Vec<_>>());
            arriving.shuffle(&mut random);
            let mut moments: Vec<i64> = (0..random.random_range(0..6))
                .map(|_| {
                    all.choose(&mut random).map_or(0, |fact| fact.at.0) + random.random_range(-1..=12) * HOUR
                })
                .filter(|moment| *moment <= history.now)
                .collect();
            moments.sort_unstable();

            let (mut held, mut posted) = (Vec::new(), Vec::new());
            let mut figures = Contribution::new();
            let parts = moments.len() + 1;
            for (part, moment) in moments.into_iter().chain([history.now]).enumerate() {
                let until =
                    if part + 1 == parts { arriving.len() } else { random.random_range(0..=arriving.len()) };
                held.extend(arriving.drain(..until));
                held = in_order(held);
                let judgement = step(&held, &rule, moment, &mut posted);
                // Whatever is said to be free on the way.
                let free = random_free(&mut random);
                let now = contribution(&held, &judgement.episodes, free, |_| "USD".into()).unwrap();
                moved_free += u64::from(
                    now.keys().any(|cell| cell.bucket == Bucket::Free && Free::parse(&cell.reason).is_some()),
                );
                for (cell, moved) in economics::difference(&figures, &now).unwrap() {
                    economics::add(&mut figures, cell, moved).unwrap();
                }
                assert_eq!(
                    costs_of(&figures),
                    costs_of_attempts(&held),
                    "in whatever buckets, nothing is lost"
                );
                looks += 1;
            }
            assert_eq!(held, all);
            let billed = |rows| all_billed(live(rows).map(|row| &row.entry));
            assert_eq!(billed(&posted), billed(&direct));
            let net = |rows: &[Row]| rows.iter().map(|row| row.entry.sign).sum::<i64>();
            assert_eq!(net(&posted), net(&direct), "what was posted on the way nets out");
            check_rows(&posted);
            // The figures that moved on the way sum up to those of the end, and no attempt is lost.
            let last = contribution(&held, &expected.episodes, |_| None, |_| "USD".into()).unwrap();
            for (cell, moved) in economics::difference(&figures.clone(), &last).unwrap() {
                economics::add(&mut figures, cell, moved).unwrap();
            }
            assert_eq!(costs_of(&figures), costs_of_attempts(&held), "wherever they moved");
            figures.retain(|_, figures| *figures != Figures::default());
            assert_eq!(figures, last);

            let of_kind = posted.iter().filter(|row| row.entry.kind == EntryKind::Correction).count();
            corrections += of_kind;
            changed += u64::from(of_kind > 0);
        }
    }
    println!(
        "{HISTORIES} histories, each in 3 orders: {looks} looks, {moved_free} with free outcomes, {corrections} corrections"
    );
    assert!(moved_free > HISTORIES / 10, "some are free on the way: {moved_free}");
    assert!(changed > HISTORIES / 50, "late facts change what was posted: {changed}");
}

#[test]
fn a_late_fact_posts_exactly_the_difference() {
    let seed = seed();
    let (mut changes, mut none) = (0, 0);
    for nth in 0..HISTORIES {
        let history = History::random(seed, nth);
        let _told = Told(&history);
        let (rule, all) = (history.rule(), history.facts());
        for late in 0..all.len() {
            let mut early = all.clone();
            early.remove(late);
            let mut posted = Vec::new();
            step(&early, &rule, LATE, &mut posted);
            let known = posted.len();
            step(&all, &rule, LATE, &mut posted);
            check_rows(&posted);
            if posted.len() > known { changes += 1 } else { none += 1 }
        }
    }
    println!("a late fact: {changes} times something was posted, {none} times nothing");
    assert!(changes > 10_000 && none > 10_000);
}

/// What is held of each episode, as far as it is shown.
fn shown(judgement: &Judgement) -> String {
    let of = |episode: &verdict_domain::judge::Episode| {
        format!("{:?} {:?} {:?} {}", episode.verdict, episode.win, episode.decided_at, episode.charged)
    };
    judgement.episodes.iter().map(of).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_changes_before_it_wakes_and_something_does_then() {
    let seed = seed();
    let mut awoken = 0;
    for nth in 0..HISTORIES {
        let history = History::random(seed, nth);
        let _told = Told(&history);
        let (rule, all) = (history.rule(), history.facts());
        let at = |now| judge(&all, &rule, Timestamp(now));
        let mut now = -LATE;
        while let Some(Timestamp(wake_at)) = at(now).wake_at {
            assert!(wake_at > now);
            assert_eq!(shown(&at(wake_at - 1)), shown(&at(now)));
            assert_ne!(shown(&at(wake_at)), shown(&at(now)));
            now = wake_at;
            awoken += 1;
        }
        assert_eq!(shown(&at(LATE)), shown(&at(now)));
    }
    println!("{HISTORIES} histories woke {awoken} times");
    assert!(awoken > HISTORIES / 4);
}
