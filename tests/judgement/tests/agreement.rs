//! The service's judge and ledger say of 100,000 random cases what the oracle says.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Contribution, Figures, contribution};
use verdict_domain::fact::Fact;
use verdict_domain::judge::{Episode, Verdict, judge};
use verdict_domain::ledger::entries;
use verdict_domain::money::Money;
use verdict_domain::time::Timestamp;
use verdict_judgement::{History, seed};
use verdict_oracle::{By, DAY, Dispute, Judged, JudgedWin, Oracle, Posting};

const HISTORIES: u64 = 100_000;

/// What an outcome is worth, in the oracle's words.
fn worth(value: Money) -> (i64, String) {
    (value.nanos, value.currency.code().into())
}

/// What the service holds of an episode, in the oracle's words; `None` without a verdict.
fn judged(facts: &[Fact], episode: &Episode) -> Option<Judged> {
    let (verdict, reason) = match episode.verdict? {
        Verdict::Pending => ("pending", None),
        Verdict::Won(kind) => (kind.as_str(), None),
        Verdict::Failed(reason) => ("failed", Some(reason.as_str())),
        Verdict::Void(reason) => ("void", Some(reason.as_str())),
    };
    let id = |index: usize| facts[index].id.clone();
    let win = episode.win.map(|win| JudgedWin {
        kind: win.kind.as_str(),
        settles_at: win.settles_at.0,
        answer: id(win.answer),
        evidence: win.evidence.map(id),
        value: win.valued.and_then(|at| facts[at].value()).map(worth),
    });
    let dispute = |dispute: &verdict_domain::judge::Dispute| Dispute {
        id: id(dispute.raised),
        accepted: dispute.decided.map(|(_, accepted)| accepted),
    };
    Some(Judged {
        episode: episode.name.clone(),
        verdict,
        reason,
        decided_at: episode.decided_at.map(|at| at.0),
        win,
        taker: episode.taker.map(id),
        charged: episode.charged,
        disputes: episode.disputes.iter().map(dispute).collect(),
    })
}

/// The days of a report that has everything in it.
const DAYS: std::ops::Range<i64> = -100..100;

type Sums = BTreeMap<String, [i128; 12]>;

/// The oracle's report, without the revenue.
fn reported(oracle: &Oracle, by: By) -> Sums {
    let figures = |f: verdict_oracle::Figures| {
        let counts = [f.attempts, f.unknown_cost_attempts].map(i128::from);
        let outcomes = [f.confirmed, f.assumed, f.failed, f.void].map(i128::from);
        let nanos = [f.won_nanos, f.retry_nanos, f.free_nanos, f.lost_nanos, f.pending_nanos];
        [&counts[..], &nanos, &outcomes, &[f.other_cost_nanos]].concat().try_into().unwrap()
    };
    let mut sums = Sums::new();
    for ((key, _), row) in oracle.report(DAYS.start, DAYS.end, by) {
        sums.insert(key, figures(row));
    }
    sums.retain(|_, sum| *sum != [0; 12]);
    sums
}

/// The same from the service's contribution of the case.
fn contributed(contribution: &Contribution, by: By) -> Sums {
    let mut sums = Sums::new();
    for (cell, figures) in contribution {
        let key = match by {
            By::Customer => "acme".into(),
            By::Agent => cell.agent.clone(),
            By::Model => cell.model.clone(),
            By::Provider => cell.provider.clone(),
            By::Action => cell.action.clone(),
            By::Reason => cell.reason.clone(),
            By::Day => verdict_oracle::rfc3339(cell.day * DAY)[..10].to_owned(),
        };
        let Figures { attempts, unknown_costs, cost_nanos, other_cost_nanos, outcomes, .. } = *figures;
        let column = match cell.bucket {
            Bucket::Won => 2,
            Bucket::Retry => 3,
            Bucket::Free => 4,
            Bucket::Lost => 5,
            Bucket::Pending => 6,
            Bucket::Confirmed => 7,
            Bucket::Assumed => 8,
            Bucket::Failed => 9,
            Bucket::Void => 10,
            Bucket::Revenue => panic!("a case contributes no revenue"),
        };
        let sum = sums.entry(key).or_default();
        sum[0] += i128::from(attempts);
        sum[1] += i128::from(unknown_costs);
        sum[11] += i128::from(other_cost_nanos);
        sum[column] += i128::from(if column < 7 { cost_nanos } else { outcomes });
    }
    sums.retain(|_, sum| *sum != [0; 12]);
    sums
}

/// What the two say of a case, where it differs.
fn disagreement(history: &History, by: By) -> Option<String> {
    let facts = history.facts();
    let judgement = judge(&facts, &history.rule(), Timestamp(history.now));
    let oracle = Oracle::new(&history.traffic, history.now);
    let case = ("acme".to_owned(), "c1".to_owned());

    let expected = oracle.judged().remove(&case).unwrap_or_default();
    let found: Vec<_> = judgement.episodes.iter().filter_map(|episode| judged(&facts, episode)).collect();
    if found != expected {
        return Some(format!("judged: the service {found:#?}, the oracle {expected:#?}"));
    }
    let expected: Vec<_> = oracle
        .postings()
        .remove(&case)
        .unwrap_or_default()
        .into_iter()
        .map(|p| {
            (
                p.episode,
                i64::from(p.sign),
                p.kind,
                p.action,
                p.agent,
                p.model,
                p.effective_at,
                p.value,
                p.amount_nanos,
            )
        })
        .collect();
    let contract = history.contract();
    // What has no price, such as a share of nothing that is told, is parked, and no posting of the oracle's.
    let found: Vec<_> = entries(&facts, &judgement.episodes)
        .into_iter()
        .filter_map(|e| {
            let amount = contract.list_price(&e.action, e.win, e.value).ok()?.nanos * e.sign;
            let value = e.value.map(worth);
            Some((
                e.episode,
                e.sign,
                e.win.as_str(),
                e.action,
                e.agent,
                e.model,
                e.effective_at.0,
                value,
                amount,
            ))
        })
        .collect();
    if found != expected {
        return Some(format!("posted: the service {found:#?}, the oracle {expected:#?}"));
    }
    let found =
        contributed(&contribution(&facts, &judgement.episodes, |_| None, |_| "USD".into()).unwrap(), by);
    let expected = reported(&oracle, by);
    (found != expected).then(|| format!("by {by:?}: the service {found:#?}, the oracle {expected:#?}"))
}

#[test]
fn the_service_agrees_with_the_oracle_on_random_cases() {
    let seed = seed();
    let mut verdicts: BTreeMap<_, u64> = BTreeMap::new();
    let (mut uncharged, mut disputes, mut by_share, mut parked) = (0, 0, 0, 0);
    for nth in 0..HISTORIES {
        let history = History::random(seed, nth);
        let by = [By::Customer, By::Agent, By::Provider, By::Model, By::Action, By::Reason, By::Day];
        let by = by[nth as usize % by.len()];
        if disagreement(&history, by).is_some() {
            let smallest = history.shrunk(|history| disagreement(history, by).is_some());
            panic!("case {nth}:\n{}\n{}", smallest.told(), disagreement(&smallest, by).unwrap());
        }
        let oracle = Oracle::new(&history.traffic, history.now);
        let is_by_share = |posting: &&Posting| posting.action == "refund.processed";
        by_share += oracle.postings().values().flatten().filter(is_by_share).count();
        parked += oracle.parked();
        for episode in oracle.judged().into_values().flatten() {
            *verdicts.entry((episode.verdict, episode.reason.unwrap_or("-"))).or_default() += 1;
            uncharged += u64::from(episode.verdict == "confirmed" && !episode.charged);
            disputes += episode.disputes.len();
        }
    }
    println!(
        "{HISTORIES} histories agree: {verdicts:?}, {uncharged} confirmed and not charged, {disputes} disputes, \
         {by_share} entries by a share, {parked} charges without the value they need"
    );
    // Every verdict with every reason, in numbers: the agreement is about something.
    assert_eq!(verdicts.len(), 3 + 6 + 4);
    assert!(verdicts.values().all(|count| *count > HISTORIES / 500), "{verdicts:?}");
    assert!(uncharged > HISTORIES / 1_000 && disputes > 1_000);
    assert!(by_share > 10_000 && parked > 1_000);
}
