//! Each field of the rule that says more than when and by whom, and the disputes.

use super::*;
use Kind::{
    Acknowledged, Assumed, Confirmed, DisputeAccepted, DisputeRejected, Disputed, Escalated, Message,
    Reopened,
};
use Status::{HandedOff, Replied};

const LATE: i64 = T + 100 * DAY;

fn first_activity() -> Rule {
    Rule { silence_from: SilenceFrom::FirstActivity, ..Rule::default() }
}

fn unresolved() -> Rule {
    Rule { follow_up: FollowUp::Unresolved, ..Rule::default() }
}

fn everything() -> Rule {
    Rule { restarted_by: RestartedBy::Everything, ..Rule::default() }
}

fn holds() -> Rule {
    Rule { negative_feedback: NegativeFeedback::Holds, ..Rule::default() }
}

fn planned() -> Rule {
    Rule { planned_handoffs: vec!["refund.processed".into()], ..Rule::default() }
}

fn once() -> Rule {
    Rule { charges: Charges::OnceACase, ..Rule::default() }
}

/// When the outcome of `c1` settles and whose answer it is; none if it has no win.
fn win(traffic: &Traffic) -> Option<(&'static str, i64, String)> {
    let mut judged = Oracle::new(traffic, LATE).judged();
    let judged = judged.remove(&("acme".into(), "c1".into()))?.remove(0);
    let win = judged.win?;
    Some((win.kind, (win.settles_at - T) / HOUR, win.answer))
}

fn assumed(hour: i64, answer: &str) -> Option<(&'static str, i64, String)> {
    Some(("assumed", hour, format!("attempt:{answer}")))
}

fn confirmed(hour: i64, answer: &str) -> Option<(&'static str, i64, String)> {
    Some(("confirmed", hour, format!("attempt:{answer}")))
}

#[test]
fn a_greeting_is_no_answer() {
    let greeted = acme(Rule::default()).attempt("a1", h(0), Replied);
    assert_eq!(greeted.verdicts(h(72) - 1), ["start pending"]);
    assert_eq!(greeted.verdicts(h(72)), ["start failed no_answer"]);
    let confirmed = acme(Rule::default()).attempt("a1", h(0), Replied).resolved("r1", h(1), Confirmed);
    assert_eq!(confirmed.verdicts(LATE), ["start failed no_answer"]);
    // A question back after the answer has the word.
    let asked_back = acme(Rule::default()).answered("a1", h(0)).attempt("a2", h(1), Replied);
    assert_eq!(asked_back.verdicts(LATE), ["start failed unresolved"]);
    // Its cost is the win's, if there is one, and no retry.
    let won = acme(Rule::default()).attempt("a1", h(0), Replied).answered("a2", h(1));
    let report = Oracle::new(&won, LATE).report(T / DAY, T / DAY + 100, By::Customer);
    let row = &report[&("acme".into(), "USD".into())];
    assert_eq!((row.won_nanos, row.retry_nanos), (20_000_000, 0));
}

#[test]
fn the_silence_begins_anew_with_what_the_rule_says() {
    let told = |rule| {
        acme(rule)
            .answered("a1", h(0))
            .resolved("r1", h(10), Message)
            .answered("a2", h(11))
            .resolved("r2", h(20), Message)
            .resolved("r3", h(30), Acknowledged)
    };
    let by = |restarted_by| win(&told(Rule { restarted_by, ..Rule::default() }));
    assert_eq!(by(RestartedBy::Answers), assumed(83, "a2"));
    assert_eq!(by(RestartedBy::Messages), assumed(92, "a2"));
    assert_eq!(by(RestartedBy::Everything), assumed(102, "a2"));
    assert_eq!(told(everything()).verdicts(h(102) - 1), ["start pending"]);
    // At the end of the window it is too late to begin anew.
    let late = |at| win(&acme(Rule::default()).answered("a1", h(0)).resolved("r1", at, Message));
    assert_eq!(late(h(72)), assumed(72, "a1"));
    assert_eq!(late(h(71)), assumed(143, "a1"));
    // A message before any answer rests on none.
    let first = acme(Rule::default()).resolved("r1", h(0), Message).failed("a1", h(80));
    assert_eq!(first.verdicts(h(152) - 1), ["start pending"]);
    assert_eq!(first.verdicts(h(152)), ["start failed no_answer"]);
}

#[test]
fn what_nobody_answers_is_given_up_after_the_last_activity() {
    let told = |rule| acme(rule).failed("a1", h(0)).resolved("r1", h(10), Message);
    assert_eq!(told(Rule::default()).verdicts(h(82) - 1), ["start pending"]);
    assert_eq!(told(Rule::default()).verdicts(h(82)), ["start failed no_answer"]);
    let answers = Rule { restarted_by: RestartedBy::Answers, ..Rule::default() };
    assert_eq!(told(answers).verdicts(h(72)), ["start failed no_answer"]);
}

#[test]
fn the_silence_is_counted_from_the_first_activity() {
    let told = acme(first_activity()).failed("a1", h(0)).answered("a2", h(50)).answered("a3", h(72));
    assert_eq!(win(&told), assumed(72, "a2"));
    // The last before the end decides; a message by itself takes nothing from the answer.
    let told = acme(first_activity()).resolved("r1", h(0), Message).answered("a1", h(60));
    assert_eq!(win(&told), assumed(72, "a1"));
    let told = acme(first_activity()).answered("a1", h(0)).resolved("r1", h(71), Message);
    assert_eq!(win(&told), assumed(72, "a1"));
    let failed = acme(first_activity()).answered("a1", h(0)).failed("a2", h(71));
    assert_eq!(failed.verdicts(h(143) - 1), ["start pending"]);
    assert_eq!(failed.verdicts(h(143)), ["start failed unresolved"]);
    // There is no second silence.
    let once = acme(first_activity()).failed("a1", h(0)).answered("a2", h(72));
    assert_eq!(once.verdicts(LATE), ["start failed unresolved"]);
    let none = Rule { silence_window: 0, ..first_activity() };
    assert_eq!(win(&acme(none.clone()).answered("a1", h(0)).failed("a2", h(0))), assumed(0, "a1"));
    assert_eq!(win(&acme(none).failed("a1", h(0)).answered("a2", h(0))), None);
}

#[test]
fn the_platforms_word_after_the_first_silence() {
    let rule = Rule { assumed: crate::Assumed::Platform, ..first_activity() };
    let told = |at| acme(rule.clone()).failed("a1", h(0)).answered("a2", h(50)).resolved("r1", at, Assumed);
    assert_eq!(win(&told(h(50))), assumed(72, "a2"));
    assert_eq!(win(&told(h(50) - 1)), None);
    assert_eq!(win(&told(h(90))), assumed(90, "a2"));
    // What comes after the window does not take the word away.
    assert_eq!(win(&told(h(90)).answered("a3", h(80))), assumed(90, "a2"));
}

#[test]
fn a_follow_up_needs_another_answer() {
    let asked = |rule| acme(rule).answered("a1", h(0)).resolved("r1", h(10), Message);
    assert_eq!(win(&asked(Rule::default())), assumed(82, "a1"));
    assert_eq!(asked(unresolved()).verdicts(h(82)), ["start failed unresolved"]);
    assert_eq!(win(&asked(unresolved()).answered("a2", h(11))), assumed(83, "a2"));
    // Only toward an assumed outcome: what was confirmed is confirmed.
    assert_eq!(win(&asked(unresolved()).resolved("r2", h(12), Confirmed)), confirmed(36, "a1"));
    // Thanks are no follow-up, even where they begin the silence anew.
    let thanked = acme(Rule { restarted_by: RestartedBy::Everything, ..unresolved() })
        .answered("a1", h(0))
        .resolved("r1", h(10), Acknowledged);
    assert_eq!(win(&thanked), assumed(82, "a1"));
    // After the silence it comes too late.
    assert_eq!(
        win(&acme(unresolved()).answered("a1", h(0)).resolved("r1", h(72), Message)),
        assumed(72, "a1")
    );
}

#[test]
fn a_low_score_is_negative_feedback() {
    let rated = |low_score, score| {
        let rule = Rule { low_score, ..Rule::default() };
        acme(rule).answered("a1", h(0)).rated("r1", h(1), score).verdicts(LATE)
    };
    assert_eq!(rated(Some(3), 3), ["start failed negative_feedback"]);
    assert_eq!(rated(Some(3), 4), ["start assumed"]);
    assert_eq!(rated(None, 1), ["start assumed"]);
    let without = acme(Rule { low_score: Some(3), ..Rule::default() }).answered("a1", h(0)).resolved(
        "r1",
        h(1),
        Kind::Rated,
    );
    assert_eq!(without.verdicts(LATE), ["start assumed"]);
}

#[test]
fn negative_feedback_holds_the_answers_before_it() {
    let bad = |at| acme(holds()).answered("a1", h(0)).resolved("r1", at, Kind::Failed);
    assert_eq!(bad(h(5)).verdicts(h(72) - 1), ["start pending"]);
    assert_eq!(bad(h(5)).verdicts(h(72)), ["start failed negative_feedback"]);
    assert_eq!(win(&bad(h(5)).answered("a2", h(6))), assumed(78, "a2"));
    // At the answer's time it refutes it, before it does not, at settling it voids.
    assert_eq!(bad(h(0)).verdicts(LATE), ["start failed negative_feedback"]);
    assert_eq!(bad(h(0) - 1).verdicts(LATE), ["start assumed"]);
    assert_eq!(bad(h(72) - 1).verdicts(LATE), ["start failed negative_feedback"]);
    assert_eq!(bad(h(72)).verdicts(LATE), ["start void negative_feedback"]);
    // A confirmation before it is refuted until it settles, one after it is not.
    let confirmed_at = |at| win(&bad(h(5)).resolved("r2", at, Confirmed));
    assert_eq!(confirmed_at(h(4)), None);
    assert_eq!(confirmed_at(h(5)), None);
    assert_eq!(confirmed_at(h(6)), confirmed(30, "a1"));
    let twice = bad(h(5)).resolved("r2", h(4), Confirmed).resolved("r3", h(7), Confirmed);
    assert_eq!(win(&twice), confirmed(31, "a1"));
    // A human's hand goes before it, and without a win the reason stays.
    assert_eq!(bad(h(5)).resolved("r2", h(9), Escalated).verdicts(LATE), ["start failed handoff"]);
    let greeted = acme(holds()).attempt("a1", h(0), Replied).resolved("r1", h(1), Kind::Failed);
    assert_eq!(greeted.verdicts(LATE), ["start failed negative_feedback"]);
}

#[test]
fn a_planned_handoff_is_a_win_of_its_own() {
    let handed = |action: &str| acme(planned()).attempt("a1", h(0), HandedOff).toward(action);
    assert_eq!(handed("support.resolution").verdicts(LATE), ["start failed handoff"]);
    assert_eq!(handed("refund.processed").verdicts(h(24) - 1), ["start pending"]);
    assert_eq!(win(&handed("refund.processed")), confirmed(24, "a1"));
    // The human was meant to step in then, not before.
    let escalated = |at| handed("refund.processed").resolved("r1", at, Escalated).verdicts(LATE);
    assert_eq!(escalated(h(0)), ["start confirmed"]);
    assert_eq!(escalated(h(30)), ["start confirmed"]);
    assert_eq!(escalated(h(0) - 1), ["start failed handoff"]);
    // Another handoff was not planned.
    let other = handed("refund.processed").attempt("a2", h(30), HandedOff);
    assert_eq!(other.verdicts(LATE), ["start void handoff"]);
    // An answer confirmed before it decides, and then the escalation counts.
    let after_an_answer = acme(planned())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .attempt("a2", h(2), HandedOff)
        .toward("refund.processed");
    assert_eq!(win(&after_an_answer), confirmed(25, "a1"));
    assert_eq!(after_an_answer.resolved("r2", h(3), Escalated).verdicts(LATE), ["start failed handoff"]);
    assert_eq!(
        handed("refund.processed").resolved("r1", h(5), Kind::Failed).verdicts(LATE),
        ["start failed negative_feedback"]
    );
}

#[test]
fn only_the_platforms_word_is_evidence() {
    let rule = |evidence| Rule { evidence, assumed: crate::Assumed::Platform, ..Rule::default() };
    let told = |evidence, kind, strength| {
        let traffic = acme(rule(evidence)).answered("a1", h(0)).resolved("r1", h(1), kind).by(strength);
        traffic.verdicts(LATE).remove(0)
    };
    for (kind, verdict) in [(Confirmed, "start confirmed"), (Assumed, "start assumed")] {
        for strength in [Strength::Signed, Strength::Fetched] {
            assert_eq!(told(Evidence::Platform, kind, strength), verdict);
        }
        for strength in [Strength::Token, Strength::Api, Strength::Operator] {
            assert_eq!(told(Evidence::Platform, kind, strength), "start failed unresolved");
            assert_eq!(told(Evidence::Any, kind, strength), verdict);
        }
    }
    // What takes a win counts by anybody's word, and a word that does not count hides none that does.
    assert_eq!(told(Evidence::Platform, Escalated, Strength::Token), "start failed handoff");
    let second = acme(rule(Evidence::Platform))
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(2), Confirmed)
        .by(Strength::Signed);
    assert_eq!(win(&second), confirmed(26, "a1"));
}

#[test]
fn a_case_is_charged_once() {
    let told = |rule| {
        acme(rule)
            .answered("a1", h(0))
            .resolved("r1", h(1), Confirmed)
            .resolved("r2", h(30), Reopened)
            .answered("a2", h(31))
            .resolved("r3", h(32), Confirmed)
    };
    let keep = |charges| Rule { reopen: Reopen::Keep, charges, ..Rule::default() };
    let first = (1, "confirmed", 25, 990_000_000);
    let second = (1, "confirmed", 56, 990_000_000);
    assert_eq!(told(keep(Charges::EachEpisode)).entries(LATE), [first, second]);
    assert_eq!(told(keep(Charges::OnceACase)).entries(LATE), [first]);
    // Both are won; the verdicts do not change.
    assert_eq!(told(keep(Charges::OnceACase)).verdicts(LATE), ["start confirmed", "api:r2 confirmed"]);
    // What was taken back is no charge in the way.
    let taken_back = (-1, "confirmed", 30, -990_000_000);
    assert_eq!(told(once()).entries(LATE), [first, taken_back, second]);
    // Neither is what has not settled yet: the later episode is charged until the earlier is won.
    let slow = Rule { confirmed_settles_after: 40 * HOUR, silence_window: HOUR, ..keep(Charges::OnceACase) };
    let overtaken = acme(slow)
        .answered("a1", h(10))
        .resolved("r1", h(10), Confirmed)
        .resolved("r2", h(11), Reopened)
        .answered("a2", h(12));
    assert_eq!(overtaken.entries(h(50) - 1), [(1, "assumed", 13, 790_000_000)]);
    assert_eq!(overtaken.entries(h(50)), [(1, "confirmed", 50, 990_000_000)]);
}

#[test]
fn an_accepted_dispute_takes_the_win_at_any_time() {
    let raised = || acme(Rule::default()).answered("a1", h(0)).resolved("d1", h(100), Disputed);
    assert_eq!(raised().verdicts(LATE), ["start assumed"]);
    let decided = |at, kind, about: &str| raised().resolved("r1", at, kind).about(about).verdicts(LATE);
    let accepted = |at| decided(at, DisputeAccepted, "api:d1");
    assert_eq!(accepted(h(101)), ["start void dispute"]);
    assert_eq!(accepted(h(72) + 31 * DAY), ["start void dispute"]);
    assert_eq!(accepted(h(72)), ["start void dispute"]);
    assert_eq!(accepted(h(72) - 1), ["start failed dispute"]);
    assert_eq!(decided(h(101), DisputeRejected, "api:d1"), ["start assumed"]);
    // A decision on a dispute that there is not changes nothing.
    assert_eq!(decided(h(101), DisputeAccepted, "d1"), ["start assumed"]);
    assert_eq!(decided(h(101), DisputeAccepted, "start"), ["start assumed"]);
    assert_eq!(raised().resolved("r1", h(101), DisputeAccepted).verdicts(LATE), ["start assumed"]);
    // The first decision decides; another dispute may be decided otherwise.
    let rejected = raised().resolved("r1", h(101), DisputeRejected).about("api:d1");
    let again = rejected.resolved("r2", h(102), DisputeAccepted).about("api:d1");
    assert_eq!(again.verdicts(LATE), ["start assumed"]);
    let second = again.resolved("d2", h(103), Disputed).about("start");
    let second = second.resolved("r3", h(104), DisputeAccepted).about("api:d2");
    assert_eq!(second.verdicts(LATE), ["start void dispute"]);
    assert_eq!(second.entries(LATE), [(1, "assumed", 72, 790_000_000), (-1, "assumed", 104, -790_000_000)]);
    let judged = &Oracle::new(&second, LATE).judged()[&("acme".into(), "c1".into())][0];
    let dispute = |id: &str, accepted| Dispute { id: id.into(), accepted: Some(accepted) };
    assert_eq!(judged.disputes, [dispute("api:d1", false), dispute("api:d2", true)]);
    assert_eq!(judged.taker.as_deref(), Some("api:r3"));
    // The last in precedence.
    let reopened = raised().resolved("r1", h(101), DisputeAccepted).about("api:d1");
    assert_eq!(reopened.resolved("r2", h(102), Reopened).verdicts(LATE), ["start void reopened"]);
}

#[test]
fn a_dispute_is_of_the_episode_it_names_or_stands_in() {
    let told = |about: Option<&str>| {
        let rule = Rule { reopen: Reopen::Keep, ..Rule::default() };
        let traffic = acme(rule)
            .answered("a1", h(0))
            .resolved("r1", h(100), Reopened)
            .answered("a2", h(101))
            .resolved("d1", h(200), Disputed);
        let traffic = about.into_iter().fold(traffic, Traffic::about);
        // A decision before the dispute by its clock still decides it.
        traffic.resolved("r2", h(199), DisputeAccepted).about("api:d1").verdicts(LATE)
    };
    assert_eq!(told(None), ["start assumed", "api:r1 void dispute"]);
    assert_eq!(told(Some("api:r1")), ["start assumed", "api:r1 void dispute"]);
    assert_eq!(told(Some("start")), ["start void dispute", "api:r1 assumed"]);
    assert_eq!(told(Some("r1")), ["start assumed", "api:r1 assumed"]);
}
