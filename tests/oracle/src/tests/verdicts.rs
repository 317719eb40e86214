use super::*;
use Kind::{Assumed, Confirmed, Escalated, Reopened};
use Status::HandedOff;

const LATE: i64 = T + 100 * DAY;

fn platform() -> Rule {
    Rule { assumed: crate::Assumed::Platform, ..Rule::default() }
}

fn never() -> Rule {
    Rule { assumed: crate::Assumed::Never, ..Rule::default() }
}

fn keep() -> Rule {
    Rule { reopen: Reopen::Keep, ..Rule::default() }
}

#[test]
fn a_confirmed_outcome_settles_a_day_after_the_confirmation() {
    let traffic = acme(never()).failed("a1", h(1)).answered("a2", h(2)).resolved("r1", h(5), Confirmed);
    assert_eq!(traffic.verdicts(h(29) - 1), ["start pending"]);
    assert_eq!(traffic.verdicts(h(29)), ["start confirmed"]);
    assert_eq!(traffic.entries(h(29)), [(1, "confirmed", 29, 990_000_000)]);
}

#[test]
fn the_last_answer_before_the_confirmation_decides() {
    let traffic = acme(never())
        .answered("a1", h(1))
        .answered("a2", h(2))
        .failed("a3", h(3))
        .resolved("r1", h(4), Confirmed)
        .answered("a4", h(5))
        .resolved("r2", h(6), Confirmed);
    let postings = Oracle::new(&traffic, LATE).postings();
    let [charge] = &postings[&("acme".into(), "c1".into())][..] else { panic!("one charge") };
    assert_eq!((charge.agent.as_str(), charge.effective_at), ("agent of a2", h(28)));
}

#[test]
fn a_confirmation_counts_only_with_an_answer_not_after_it() {
    let before = acme(never()).resolved("r1", h(1), Confirmed).answered("a1", h(1) + 1);
    assert_eq!(before.verdicts(LATE), ["start failed unresolved"]);
    // At the same time it counts, although `api:` comes before `attempt:` in the order.
    let same = acme(never()).resolved("r1", h(1), Confirmed).answered("a1", h(1));
    assert_eq!(same.verdicts(LATE), ["start confirmed"]);
    let of_a_failure = acme(never()).failed("a1", h(1)).resolved("r1", h(2), Confirmed);
    assert_eq!(of_a_failure.verdicts(LATE), ["start failed no_answer"]);
}

#[test]
fn silence_assumes_after_the_window() {
    let traffic = acme(Rule::default()).failed("a1", h(0)).answered("a2", h(1));
    assert_eq!(traffic.verdicts(h(73) - 1), ["start pending"]);
    assert_eq!(traffic.verdicts(h(73)), ["start assumed"]);
    assert_eq!(traffic.entries(h(73)), [(1, "assumed", 73, 790_000_000)]);
    assert_eq!(acme(never()).answered("a1", h(1)).verdicts(LATE), ["start failed unresolved"]);
}

#[test]
fn the_next_activity_breaks_the_silence_within_the_window_only() {
    let within = acme(Rule::default()).answered("a1", h(0)).failed("a2", h(72) - 1);
    assert_eq!(within.verdicts(h(144) - 2), ["start pending"]);
    assert_eq!(within.verdicts(h(144) - 1), ["start failed unresolved"]);
    let at_its_end = acme(Rule::default()).answered("a1", h(0)).failed("a2", h(72));
    assert_eq!(at_its_end.verdicts(h(72)), ["start assumed"]);
    let twins = acme(Rule::default()).answered("a1", h(0)).answered("a2", h(0));
    assert_eq!(twins.entries(LATE).len(), 1);
    // Of two answers at one time the second by id is the last.
    let postings = Oracle::new(&twins, LATE).postings();
    assert_eq!(postings[&("acme".into(), "c1".into())][0].agent, "agent of a2");
}

#[test]
fn the_platforms_word_waits_for_the_window_at_least() {
    let early = acme(platform()).answered("a1", h(0)).resolved("r1", h(5), Assumed);
    assert_eq!(early.entries(LATE), [(1, "assumed", 72, 790_000_000)]);
    let late = acme(platform()).answered("a1", h(0)).resolved("r1", h(100), Assumed);
    assert_eq!(late.entries(LATE), [(1, "assumed", 100, 790_000_000)]);
    let no_word = acme(platform()).answered("a1", h(0));
    assert_eq!(no_word.verdicts(h(72)), ["start failed unresolved"]);
    let before_the_answer = acme(platform()).resolved("r1", h(0) - 1, Assumed).answered("a1", h(0));
    assert_eq!(before_the_answer.verdicts(LATE), ["start failed unresolved"]);
    // After the next answer it is that one's, even if the first had its window of silence.
    let next = acme(platform()).answered("a1", h(0)).answered("a2", h(80)).resolved("r1", h(80), Assumed);
    assert_eq!(next.entries(LATE), [(1, "assumed", 152, 790_000_000)]);
}

#[test]
fn a_confirmation_wins_unless_the_assumption_had_settled_before_it() {
    let at_the_bound = acme(Rule::default()).answered("a1", h(0)).resolved("r1", h(72), Confirmed);
    assert_eq!(at_the_bound.entries(LATE), [(1, "confirmed", 96, 990_000_000)]);
    let after = acme(Rule::default()).answered("a1", h(0)).resolved("r1", h(72) + 1, Confirmed);
    assert_eq!(after.entries(LATE), [(1, "assumed", 72, 790_000_000)]);
}

#[test]
fn a_taker_before_settling_fails_the_episode_and_after_it_voids() {
    let confirmed = |at| {
        let traffic = acme(never()).answered("a1", h(0)).resolved("r1", h(1), Confirmed);
        traffic.resolved("r2", at, Escalated).verdicts(LATE)
    };
    let settles_at = h(25);
    assert_eq!(confirmed(settles_at - 1), ["start failed handoff"]);
    assert_eq!(confirmed(settles_at), ["start void handoff"]);
    assert_eq!(confirmed(settles_at + 30 * DAY), ["start void handoff"]);
    assert_eq!(confirmed(settles_at + 30 * DAY + 1), ["start confirmed"]);
}

#[test]
fn a_void_is_a_charge_and_its_opposite() {
    let traffic = acme(never()).answered("a1", h(0)).resolved("r1", h(1), Confirmed).resolved(
        "r2",
        h(50),
        Kind::Failed,
    );
    assert_eq!(traffic.verdicts(h(60)), ["start void negative_feedback"]);
    let entries = [(1, "confirmed", 25, 990_000_000), (-1, "confirmed", 50, -990_000_000)];
    assert_eq!(traffic.entries(h(60)), entries);
    // Facts of the future count, but nothing is void that has not settled.
    assert_eq!(traffic.verdicts(h(25)), ["start void negative_feedback"]);
    assert_eq!(traffic.verdicts(h(25) - 1), ["start pending"]);
    assert_eq!(traffic.entries(h(25) - 1), []);
}

#[test]
fn takers_take_by_precedence_but_refusing_comes_before_taking_back() {
    let handed_off = acme(never())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(2), Kind::Failed)
        .attempt("a2", h(30), HandedOff);
    // The win never settled: the later handoff has nothing to take back.
    assert_eq!(handed_off.verdicts(LATE), ["start failed negative_feedback"]);
    let both_before = acme(never())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(2), Kind::Failed)
        .attempt("a2", h(20), HandedOff);
    assert_eq!(both_before.verdicts(LATE), ["start failed handoff"]);
    let both_after = acme(never())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(26), Kind::Failed)
        .attempt("a2", h(30), HandedOff);
    assert_eq!(both_after.verdicts(LATE), ["start void handoff"]);
    // Beyond the horizon the handoff does not act.
    let too_late = acme(never())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(2), Kind::Failed)
        .attempt("a2", h(25) + 30 * DAY + 1, HandedOff);
    assert_eq!(too_late.verdicts(LATE), ["start failed negative_feedback"]);
}

#[test]
fn a_taker_without_a_candidate_acts_at_any_time() {
    let traffic = acme(Rule::default()).failed("a1", h(0)).resolved("r1", h(2000), Escalated);
    assert_eq!(traffic.verdicts(h(1)), ["start failed handoff"]);
    let reopened = acme(Rule::default()).failed("a1", h(0)).resolved("r1", h(2000), Reopened);
    assert_eq!(reopened.verdicts(h(1)), ["start failed reopened"]);
}

#[test]
fn a_reopening_takes_back_what_it_closes() {
    let early = acme(Rule::default())
        .answered("a1", h(0))
        .resolved("r1", h(10), Reopened)
        .answered("a2", h(11))
        .resolved_by(Door::Webhook, "r2", h(12), Reopened)
        .failed("a3", h(13));
    let verdicts = ["start failed reopened", "api:r1 failed reopened", "support:r2 failed no_answer"];
    assert_eq!(early.verdicts(LATE), verdicts);
    let settled = acme(Rule::default())
        .answered("a1", h(0))
        .resolved("r1", h(73), Reopened)
        .answered("a2", h(74))
        .resolved("r2", h(75), Confirmed);
    assert_eq!(settled.verdicts(LATE), ["start void reopened", "api:r1 confirmed"]);
    let beyond = acme(Rule::default()).answered("a1", h(0)).resolved("r1", h(72) + 30 * DAY + 1, Reopened);
    assert_eq!(beyond.verdicts(LATE), ["start assumed"]);
    // At the very time of settling there is nothing assumed any more.
    let at_once = acme(Rule::default()).answered("a1", h(0)).resolved("r1", h(72), Reopened);
    assert_eq!(at_once.verdicts(LATE), ["start failed reopened"]);
}

#[test]
fn a_reopening_keeps_under_keep() {
    let settled = acme(keep()).answered("a1", h(0)).resolved("r1", h(73), Reopened).answered("a2", h(74));
    assert_eq!(settled.verdicts(LATE), ["start assumed", "api:r1 assumed"]);
    let confirmed =
        acme(keep()).answered("a1", h(0)).resolved("r1", h(1), Confirmed).resolved("r2", h(2), Reopened);
    assert_eq!(confirmed.verdicts(h(25) - 1), ["start pending"]);
    assert_eq!(confirmed.verdicts(h(25)), ["start confirmed"]);
    // Closed before the silence is over: nothing can be won any more, and nothing is waited for.
    let unsettled = acme(keep()).answered("a1", h(0)).resolved("r1", h(10), Reopened);
    assert_eq!(unsettled.verdicts(h(1)), ["start failed unresolved"]);
    let report = Oracle::new(&unsettled, h(11)).report(T / DAY, T / DAY + 1, By::Day);
    assert_eq!(report[&("2026-09-01".into(), "EUR".into())].failed, 1);
}

#[test]
fn facts_at_one_time_are_ordered_by_id() {
    // `api:` < `attempt:` < `support:`, so the door decides which episode the answer is in.
    let reopened_by = |door| {
        acme(Rule::default()).answered("a1", h(1)).resolved_by(door, "r1", h(1), Reopened).verdicts(LATE)
    };
    assert_eq!(reopened_by(Door::Api), ["api:r1 assumed"]);
    assert_eq!(reopened_by(Door::Webhook), ["start failed reopened"]);
}

#[test]
fn episodes_without_an_attempt_have_no_verdict() {
    let none = acme(Rule::default()).resolved("r1", h(0), Confirmed);
    assert!(none.verdicts(LATE).is_empty());
    let twice = acme(Rule::default())
        .answered("a1", h(0))
        .resolved("r1", h(1), Reopened)
        .resolved("r2", h(2), Escalated)
        .resolved("r3", h(3), Reopened)
        .answered("a2", h(4));
    assert_eq!(twice.verdicts(LATE), ["start failed reopened", "api:r3 assumed"]);
}

#[test]
fn nothing_answered_is_given_up_after_the_window() {
    let traffic = acme(Rule::default()).failed("a1", h(0)).failed("a2", h(1));
    assert_eq!(traffic.verdicts(h(73) - 1), ["start pending"]);
    assert_eq!(traffic.verdicts(h(73)), ["start failed no_answer"]);
}

#[test]
fn a_case_follows_the_version_of_its_earliest_attempt() {
    let mut traffic = acme(Rule::default()).answered("a2", h(50)).resolved("r1", h(1), Assumed);
    traffic.contracts.push(Contract { version: 2, effective_from: h(24), ..contract(never()) });
    assert_eq!(traffic.verdicts(LATE), ["start failed unresolved"]);
    let earlier = traffic.failed("a1", h(24) - 1);
    assert_eq!(earlier.verdicts(LATE), ["start assumed"]);
}

#[test]
fn among_versions_of_one_time_the_highest_is_in_force() {
    let mut traffic = acme(never()).answered("a1", h(0));
    traffic.contracts.insert(0, Contract { version: 2, ..contract(Rule::default()) });
    assert_eq!(traffic.verdicts(LATE), ["start assumed"]);
}

#[test]
fn without_a_contract_the_default_rule_holds_and_the_outcome_is_parked() {
    let traffic = acme(never()).answered("a1", T - 200 * HOUR);
    assert_eq!(traffic.verdicts(LATE), ["start assumed"]);
    assert_eq!(traffic.entries(LATE), []);
    // It settles when a version is in force: that one prices it.
    let later = acme(never()).answered("a1", T - 72 * HOUR);
    assert_eq!(later.entries(LATE), [(1, "assumed", 0, 790_000_000)]);
    let mut unpriced = acme(Rule::default()).answered("a1", h(0));
    unpriced.attempts[0].action = "sales.qualification".into();
    assert_eq!(unpriced.entries(LATE), []);
}
