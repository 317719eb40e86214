//! The judge and the ledger are functions of a set: order, repetition and the moments of looking cannot change what is
//! held in the end.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use verdict_domain::attempt::{Cost, Status};
use verdict_domain::economics::{Figures, contribution, difference};
use verdict_domain::fact::{AttemptFact, Fact, ResolutionKind, Said, in_order};
use verdict_domain::judge::{Assumed, Judgement, LossReason, Reopen, Rule, Verdict, WinKind, judge};
use verdict_domain::ledger::{self, EntryKind, Row};
use verdict_domain::money::Currency;
use verdict_domain::time::{Span, Timestamp};

const HOUR: i64 = 3_600_000_000;

fn attempt(hour: i64, id: &str, status: Status) -> Fact {
    let said = Said::Attempt(AttemptFact {
        status,
        failure_reason: None,
        agent: "support-bot".into(),
        action: "support.resolution".into(),
        model: "gpt-4o".into(),
        cost: Cost { model_nanos: Some(hour), other_nanos: 0, currency: Currency::USD },
    });
    Fact { at: Timestamp(hour * HOUR), id: format!("attempt:{id}"), said }
}

fn resolution(hour: i64, id: &str, kind: ResolutionKind) -> Fact {
    Fact { at: Timestamp(hour * HOUR), id: format!("api:{id}"), said: Said::Resolution(kind) }
}

fn fact() -> impl Strategy<Value = Fact> {
    let statuses = [Status::Answered, Status::Failed, Status::HandedOff];
    let kinds = [
        ResolutionKind::Confirmed,
        ResolutionKind::Assumed,
        ResolutionKind::Escalated,
        ResolutionKind::Reopened,
        ResolutionKind::Failed,
    ];
    (0..1_000_i64, 0..40_u32, 0..12_usize).prop_map(move |(hour, id, what)| match what {
        0..5 => attempt(hour, &id.to_string(), Status::Answered),
        5..7 => attempt(hour, &id.to_string(), statuses[what - 5 + 1]),
        _ => resolution(hour, &id.to_string(), kinds[what - 7]),
    })
}

/// Facts with one fact an id: what the store keeps.
fn facts() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(fact(), 0..14).prop_map(|mut facts| {
        facts.sort_by(|a, b| a.id.cmp(&b.id));
        facts.dedup_by(|a, b| a.id == b.id);
        facts
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let assumed = prop::sample::select(vec![Assumed::Silence, Assumed::Platform, Assumed::Never]);
    let reopen = prop::sample::select(vec![Reopen::Void, Reopen::Keep]);
    (0..60_i64, assumed, 0..120_i64, reopen, 0..400_i64).prop_map(
        |(confirmed, assumed, silence, reopen, horizon)| Rule {
            confirmed_settles_after: Span::hours(confirmed),
            assumed,
            silence_window: Span::hours(silence),
            reopen,
            reversal_horizon: Span::hours(horizon),
        },
    )
}

/// What is live in a ledger: rows less those corrected.
fn live(rows: &[Row]) -> Vec<(String, EntryKind, WinKind, i64, String)> {
    let corrected: Vec<i64> =
        rows.iter().filter(|r| r.entry.kind == EntryKind::Correction).filter_map(|r| r.reverses).collect();
    let mut live: Vec<_> = rows
        .iter()
        .filter(|r| r.entry.kind != EntryKind::Correction && !corrected.contains(&r.seq))
        .map(|r| {
            (
                r.entry.episode.clone(),
                r.entry.kind,
                r.entry.win,
                r.entry.effective_at.0,
                r.entry.agent.clone(),
            )
        })
        .collect();
    live.sort_by_key(|entry| (entry.0.clone(), entry.3, entry.1));
    live
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_ends_the_same_whatever_the_order_and_the_moments_of_looking(
        facts in facts(),
        rule in rule(),
        shuffled in any::<prop::sample::Index>(),
        looks in prop::collection::vec(0..1_500_i64, 1..6),
    ) {
        let end = Timestamp(3_000 * HOUR);
        let all = in_order(facts.clone());
        let Judgement { episodes, .. } = judge(&all, &rule, end);
        let direct = ledger::difference(&[], &ledger::entries(&all, &episodes));

        // The same facts in another order, some twice, in parts, with a look after each.
        let mut arriving = facts.clone();
        if !arriving.is_empty() {
            let by = shuffled.index(arriving.len());
            arriving.rotate_left(by);
            arriving.push(arriving[by / 2].clone());
        }
        let (mut held, mut posted): (Vec<Fact>, Vec<Row>) = (Vec::new(), Vec::new());
        let mut looks = looks;
        looks.sort_unstable();
        let part = arriving.len() / looks.len() + 1;
        for (nth, look) in looks.iter().enumerate() {
            held.extend(arriving.iter().skip(nth * part).take(part).cloned());
            held = in_order(std::mem::take(&mut held));
            let mut unique = held.clone();
            unique.sort_by(|a, b| a.id.cmp(&b.id));
            unique.dedup_by(|a, b| a.id == b.id);
            held = in_order(unique);
            let judgement = judge(&held, &rule, Timestamp(look * HOUR));
            let added = ledger::difference(&posted, &ledger::entries(&held, &judgement.episodes));
            posted.extend(added);
        }
        let judgement = judge(&held, &rule, end);
        posted.extend(ledger::difference(&posted, &ledger::entries(&held, &judgement.episodes)));

        prop_assert_eq!(&held, &all);
        prop_assert_eq!(live(&posted), live(&direct));
        // Whatever was posted on the way, what is billed is the sum of what is live; nothing is taken back twice.
        let net: i64 = posted.iter().map(|row| row.entry.sign).sum();
        let expected: i64 = direct.iter().map(|row| row.entry.sign).sum();
        prop_assert_eq!(net, expected);
        let mut reversed: Vec<i64> = posted.iter().filter(|r| r.entry.kind == EntryKind::Correction).filter_map(|r| r.reverses).collect();
        let corrections = reversed.len();
        reversed.sort_unstable();
        reversed.dedup();
        prop_assert_eq!(reversed.len(), corrections);
        for row in posted.iter().filter(|row| row.entry.sign < 0) {
            let earlier = posted.iter().find(|other| Some(other.seq) == row.reverses);
            prop_assert!(earlier.is_some_and(|other| other.seq < row.seq));
        }
    }

    #[test]
    fn an_episode_is_charged_at_most_once_and_only_for_an_answer(facts in facts(), rule in rule(), now in 0..1_500_i64) {
        let all = in_order(facts);
        let Judgement { episodes, wake_at } = judge(&all, &rule, Timestamp(now * HOUR));
        for episode in &episodes {
            let entries: Vec<_> = ledger::entries(&all, std::slice::from_ref(episode));
            prop_assert!(entries.iter().map(|entry| entry.sign).sum::<i64>() <= 1);
            if let Some(win) = episode.win {
                prop_assert!(all[win.answer].ended(Status::Answered));
                prop_assert!(episode.facts.contains(&win.answer));
            }
            if let Some(Verdict::Void(_)) = episode.verdict {
                prop_assert!(episode.taker.is_some(), "no void without a reason");
            }
        }
        prop_assert!(wake_at.is_none_or(|wake| wake > Timestamp(now * HOUR)), "it wakes later than now");
    }

    #[test]
    fn each_attempt_is_in_exactly_one_bucket(facts in facts(), rule in rule(), now in 0..1_500_i64) {
        let all = in_order(facts);
        let early = judge(&all, &rule, Timestamp(now * HOUR)).episodes;
        let late = judge(&all, &rule, Timestamp(3_000 * HOUR)).episodes;
        let of = |episodes: &[_]| contribution(&all, episodes, |_| "USD".into()).unwrap();
        let expected: i64 = all.iter().filter_map(Fact::attempt).map(|attempt| attempt.cost.known().nanos).sum();
        let attempts = all.iter().filter(|fact| fact.attempt().is_some()).count();
        let change = difference(&of(&early), &of(&late)).unwrap();
        for sum in [of(&early), of(&late)] {
            prop_assert_eq!(sum.values().map(|f| f.cost_nanos).sum::<i64>(), expected);
            prop_assert_eq!(sum.values().map(|f| f.attempts).sum::<i64>(), i64::try_from(attempts).unwrap());
        }
        // A move between buckets moves no money.
        let moved = change.values().fold(Figures::default(), |a, b| a.plus(*b).unwrap());
        prop_assert_eq!((moved.attempts, moved.cost_nanos), (0, 0));
    }
}

fn verdict(facts: Vec<Fact>, rule: &Rule, hour: i64) -> Option<Verdict> {
    judge(&in_order(facts), rule, Timestamp(hour * HOUR)).episodes.remove(0).verdict
}

#[test]
fn the_default_rule_of_the_market() {
    let rule = Rule::default();
    let answered = || attempt(0, "1", Status::Answered);
    let confirmed = || resolution(1, "1", ResolutionKind::Confirmed);
    // Confirmed settles a day after the confirmation, silence after three days.
    assert_eq!(verdict(vec![answered(), confirmed()], &rule, 24), Some(Verdict::Pending));
    assert_eq!(verdict(vec![answered(), confirmed()], &rule, 25), Some(Verdict::Won(WinKind::Confirmed)));
    assert_eq!(verdict(vec![answered()], &rule, 71), Some(Verdict::Pending));
    assert_eq!(verdict(vec![answered()], &rule, 72), Some(Verdict::Won(WinKind::Assumed)));
    // A greeting is no answer: no charge without one.
    assert_eq!(
        verdict(vec![attempt(0, "1", Status::Failed), confirmed()], &rule, 999),
        Some(Verdict::Failed(LossReason::NoAnswer))
    );
    // A re-open before settling refuses, after it voids, and beyond the horizon does neither.
    let reopened = |hour| resolution(hour, "2", ResolutionKind::Reopened);
    let after = |hour| verdict(vec![answered(), confirmed(), reopened(hour)], &rule, 9_999);
    assert_eq!(after(24), Some(Verdict::Failed(LossReason::Reopened)));
    assert_eq!(after(25), Some(Verdict::Void(LossReason::Reopened)));
    assert_eq!(after(25 + 720), Some(Verdict::Void(LossReason::Reopened)));
    assert_eq!(after(25 + 721), Some(Verdict::Won(WinKind::Confirmed)));
    // A human's hand goes before all.
    let escalated = resolution(3, "3", ResolutionKind::Escalated);
    let negative = resolution(2, "4", ResolutionKind::Failed);
    assert_eq!(
        verdict(vec![answered(), confirmed(), negative, escalated], &rule, 999),
        Some(Verdict::Failed(LossReason::Handoff))
    );
}
