use super::sentence::Charge;
use super::words::Note;
use super::*;
use std::sync::LazyLock;
use verdict_domain::attempt::{Cost, Status};
use verdict_domain::fact::{AttemptFact, ResolutionFact, ResolutionKind, Strength, in_order};
use verdict_domain::money::{Currency, Money};
use verdict_domain::rule::{
    Assumed as By, Charges, FollowUp, NegativeFeedback, Reopen, RestartedBy, SilenceFrom,
};
use verdict_domain::time::Span;
use verdict_store::history::InLine;

pub(crate) fn hour(hours: i64) -> Timestamp {
    Timestamp(1_790_812_800_000_000 + hours * 3_600_000_000)
}

pub(crate) fn attempt(at: i64, id: &str, status: Status) -> Fact {
    let said = AttemptFact {
        status,
        failure_reason: None,
        agent: "resolver".into(),
        action: "support.resolution".into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        cost: Cost { model_nanos: Some(5_000_000), other_nanos: 0, currency: Currency::USD },
        value: None,
    };
    Fact { at: hour(at), id: format!("attempt:{id}"), said: Said::Attempt(said) }
}

pub(crate) fn said(at: i64, id: &str, kind: ResolutionKind) -> Fact {
    let strength = if id.starts_with("api:") { Strength::Api } else { Strength::Signed };
    let said = ResolutionFact { kind, score: None, about: None, strength, value: None };
    Fact { at: hour(at), id: id.into(), said: Said::Resolution(said) }
}

fn about(fact: Fact, about: &str) -> Fact {
    let Said::Resolution(said) = fact.said else { return fact };
    Fact { said: Said::Resolution(ResolutionFact { about: Some(about.into()), ..said }), ..fact }
}

fn scored(fact: Fact, score: i64) -> Fact {
    let Said::Resolution(said) = fact.said else { return fact };
    Fact { said: Said::Resolution(ResolutionFact { score: Some(score), ..said }), ..fact }
}

fn note_of(fact: &Fact) -> Note {
    match fact.resolution().map(|said| said.strength) {
        Some(Strength::Signed) => Note { mapping: Some("rules[0]".into()), ..Note::default() },
        Some(Strength::Api) => Note { author: Some("key:desk".into()), ..Note::default() },
        _ => Note::default(),
    }
}

/// On an invoice, where five cost what three do.
static ON: LazyLock<On> = LazyLock::new(|| On::Invoice {
    id: "acme/2026-10-01".into(),
    line: Some(InLine {
        number: 1,
        quantity: 5,
        amount: Money { nanos: 2_970_000_000, currency: Currency::USD },
        why: "2 included; 3 × 0.99".into(),
    }),
});

const LISTED: Money = Money { nanos: 990_000_000, currency: Currency::USD };

fn paid() -> Charge<'static> {
    Charge::Charged { listed: LISTED, on: &ON, is_its_price: true, free: None }
}

/// The same, but free.
fn free(free: Free) -> Charge<'static> {
    Charge::Charged { listed: LISTED, on: &ON, is_its_price: true, free: Some(free) }
}

/// The sentence of the last episode but `before`.
fn told(facts: &[Fact], rule: &Rule, now: i64, charge: Charge, before: usize) -> String {
    let facts = in_order(facts.to_vec());
    let notes: Vec<Note> = facts.iter().map(note_of).collect();
    let judgement = judge(&facts, rule, hour(now));
    let views = episode_views(&facts, &notes, rule, &judgement, |_| charge);
    views[views.len() - 1 - before].sentence.clone()
}

#[test]
fn each_verdict_and_each_reason_has_its_sentence() {
    use ResolutionKind::*;
    let rule = Rule::default;
    let answer = || attempt(1, "a-1", Status::Answered);
    let planned = Rule { planned_handoffs: vec!["support.resolution".into()], ..rule() };
    let platform = Rule { assumed: By::Platform, ..rule() };
    let holds = Rule { negative_feedback: NegativeFeedback::Holds, ..rule() };
    let low = Rule { low_score: Some(2), ..rule() };
    let once = Rule { charges: Charges::OnceACase, reopen: Reopen::Keep, ..rule() };
    let unresolved = Rule { follow_up: FollowUp::Unresolved, ..rule() };
    let first = Rule { silence_from: SilenceFrom::FirstActivity, ..rule() };
    let answers = Rule { restarted_by: RestartedBy::Answers, ..rule() };
    let at_once = Rule { confirmed_settles_after: Span(0), ..rule() };
    let signed = |at, id: &str, kind| said(at, &format!("support:{id}"), kind);
    let confirmed = || signed(2, "msg-1", Confirmed);
    /// Name, facts, rule, now, charge, how many episodes from the end, sentence.
    type Row = (&'static str, Vec<Fact>, Rule, i64, Charge<'static>, usize, &'static str);
    let cases: Vec<Row> = vec![
        (
            "none",
            vec![confirmed()],
            rule(),
            99,
            paid(),
            0,
            "Nothing to judge: no attempt is recorded in this episode.",
        ),
        (
            "confirmed",
            vec![answer(), confirmed()],
            rule(),
            99,
            paid(),
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00, and PAID.",
        ),
        (
            "included",
            vec![answer(), confirmed()],
            rule(),
            99,
            free(Free::Included),
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00, and LINE; it is one of those that the price includes in each period, so it is free.",
        ),
        (
            "beyond the cap",
            vec![answer(), confirmed()],
            rule(),
            99,
            free(Free::Cap),
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00, and LINE; those before it in the period come to the cap already, so it is free.",
        ),
        (
            "trial",
            vec![answer(), confirmed()],
            rule(),
            99,
            free(Free::Trial),
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00, and LINE; the period is a trial, so it is free.",
        ),
        (
            "confirmed, no invoice",
            vec![answer(), said(2, "api:r-1", Confirmed)],
            rule(),
            99,
            Charge::Charged { listed: LISTED, on: &On::NoneYet, is_its_price: false, free: None },
            0,
            "Confirmed by `api:r-1` (API, by `key:desk`) on 01 02:00; it settled 24 h later, on 02 02:00, and was charged, at its list price of 0.99 USD, for the next invoice.",
        ),
        (
            "confirmed, nothing to bill",
            vec![answer(), said(2, "api:r-1", Confirmed)],
            rule(),
            99,
            Charge::Charged { listed: LISTED, on: &On::NothingToBill, is_its_price: false, free: None },
            0,
            "Confirmed by `api:r-1` (API, by `key:desk`) on 01 02:00; it settled 24 h later, on 02 02:00, and was charged, at its list price of 0.99 USD, but there was nothing to bill in its period.",
        ),
        (
            "confirmed, not at its list price",
            vec![answer(), said(2, "api:r-1", Confirmed)],
            rule(),
            99,
            Charge::Charged { listed: LISTED, on: &ON, is_its_price: false, free: None },
            0,
            "Confirmed by `api:r-1` (API, by `key:desk`) on 01 02:00; it settled 24 h later, on 02 02:00, and LINE.",
        ),
        (
            "confirmed, unpriced",
            vec![answer(), confirmed()],
            at_once,
            99,
            Charge::Unpriced,
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled at once, but it is not charged: it has no price, and is parked with what would give it one.",
        ),
        (
            "confirmed, due",
            vec![answer(), confirmed()],
            rule(),
            99,
            Charge::Due,
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00, and is about to be charged.",
        ),
        (
            "confirmed, untold",
            vec![answer(), confirmed()],
            rule(),
            99,
            Charge::Untold,
            0,
            "Confirmed by `support:msg-1` (S) on 01 02:00; it settled 24 h later, on 02 02:00.",
        ),
        (
            "planned",
            vec![attempt(1, "a-1", Status::HandedOff)],
            planned,
            99,
            paid(),
            0,
            "Confirmed by `attempt:a-1`, the handover to a human that `support.resolution` plans for, on 01 01:00; it settled 24 h later, on 02 01:00, and PAID.",
        ),
        (
            "assumed",
            vec![answer()],
            rule(),
            99,
            paid(),
            0,
            "Assumed: no message and no other attempt followed the answer `attempt:a-1` of 01 01:00 for 72 h; it settled on 04 01:00, and PAID.",
        ),
        (
            "assumed after message",
            vec![answer(), signed(5, "m-1", Message)],
            rule(),
            99,
            paid(),
            0,
            "Assumed: for 72 h after `support:m-1` (S) on 01 05:00 no message and no other attempt came; what stands is the answer `attempt:a-1` of 01 01:00; it settled on 04 05:00, and PAID.",
        ),
        (
            "assumed, answers",
            vec![answer(), signed(5, "m-1", Message)],
            answers,
            99,
            paid(),
            0,
            "Assumed: no other attempt followed the answer `attempt:a-1` of 01 01:00 for 72 h; it settled on 04 01:00, and PAID.",
        ),
        (
            "assumed, first",
            vec![answer(), attempt(5, "a-2", Status::Answered)],
            first,
            99,
            paid(),
            0,
            "Assumed: when 72 h had passed since the episode began, the last word was the answer `attempt:a-2` of 01 05:00; it settled on 04 01:00, and PAID.",
        ),
        (
            "assumed, platform",
            vec![answer(), signed(30, "as-1", ResolutionKind::Assumed)],
            platform.clone(),
            99,
            paid(),
            0,
            "Assumed: `support:as-1` (S) counted it as solved on 02 06:00, and no message and no other attempt followed the answer `attempt:a-1` of 01 01:00 for 72 h; it settled on 04 01:00, and PAID.",
        ),
        (
            "pending confirmed",
            vec![answer(), confirmed()],
            rule(),
            3,
            paid(),
            0,
            "Pending: confirmed by `support:msg-1` (S) on 01 02:00; it settles on 02 02:00 unless a human steps in, there is negative feedback or the customer comes back before.",
        ),
        (
            "pending assumed",
            vec![answer()],
            rule(),
            3,
            paid(),
            0,
            "Pending: it settles on 04 01:00, assumed for the answer `attempt:a-1` of 01 01:00, unless there is a message or another attempt, a human steps in, there is negative feedback or the customer comes back before.",
        ),
        (
            "pending nothing",
            vec![attempt(1, "a-1", Status::Failed)],
            rule(),
            3,
            paid(),
            0,
            "Pending: nothing speaks for a win yet; unless that changes, it fails on 04 01:00.",
        ),
        (
            "failed handoff",
            vec![answer(), attempt(3, "a-2", Status::HandedOff)],
            rule(),
            99,
            paid(),
            0,
            "Failed: the agent handed over to a human (`attempt:a-2`) on 01 03:00, before anything had settled.",
        ),
        (
            "failed escalated",
            vec![answer(), signed(3, "e-1", Escalated)],
            rule(),
            99,
            paid(),
            0,
            "Failed: a human was asked for, or stepped in (`support:e-1`, S), on 01 03:00, before anything had settled.",
        ),
        (
            "failed negative",
            vec![answer(), signed(3, "f-1", Failed)],
            rule(),
            99,
            paid(),
            0,
            "Failed: there was negative feedback (`support:f-1`, S) on 01 03:00, before anything had settled.",
        ),
        (
            "failed rated",
            vec![answer(), scored(signed(3, "s-1", Rated), 1)],
            low,
            99,
            paid(),
            0,
            "Failed: the customer gave a score of 1, where 2 and less is negative feedback (`support:s-1`, S), on 01 03:00, before anything had settled.",
        ),
        (
            "failed negative holds",
            vec![answer(), signed(3, "f-1", Failed)],
            holds,
            99,
            paid(),
            0,
            "Failed: negative feedback refuted the answers, and none after it won; it was given up on 04 01:00.",
        ),
        (
            "failed reopened",
            vec![answer(), signed(3, "r-1", Reopened)],
            rule(),
            99,
            paid(),
            1,
            "Failed: the customer came back (`support:r-1`, S) on 01 03:00, before anything had settled.",
        ),
        (
            "failed no answer",
            vec![attempt(1, "a-1", Status::Replied)],
            rule(),
            99,
            paid(),
            0,
            "Failed: the agent never gave a real answer; it was given up on 04 01:00.",
        ),
        (
            "failed unresolved never",
            vec![answer()],
            Rule { assumed: By::Never, ..rule() },
            99,
            paid(),
            0,
            "Failed: it was answered but never confirmed, and this rule counts nothing else; it was given up on 04 01:00.",
        ),
        (
            "failed unresolved platform",
            vec![answer()],
            platform,
            99,
            paid(),
            0,
            "Failed: it was answered, but nothing confirmed that, and the platform did not count 72 h of silence as solved; it was given up on 04 01:00.",
        ),
        (
            "failed unresolved silence",
            vec![answer(), signed(3, "m-1", Message)],
            unresolved,
            99,
            paid(),
            0,
            "Failed: it was answered, but nothing confirmed that, and the answer did not stand for 72 h as the last word; it was given up on 04 03:00.",
        ),
        (
            "failed dispute",
            vec![
                answer(),
                confirmed(),
                signed(3, "d-1", Disputed),
                about(said(4, "operator:d-2", DisputeAccepted), "support:d-1"),
            ],
            rule(),
            99,
            paid(),
            0,
            "Failed: the dispute `support:d-1` was accepted (`operator:d-2`, S) on 01 04:00, before anything had settled.",
        ),
        (
            "void handoff",
            vec![answer(), confirmed(), attempt(50, "a-2", Status::HandedOff)],
            rule(),
            99,
            paid(),
            0,
            "Void: it was confirmed by `support:msg-1` (S) on 01 02:00, had settled on 02 02:00 and PAID; then the agent handed over to a human (`attempt:a-2`) on 03 02:00, and the charge was taken back.",
        ),
        (
            "void negative",
            vec![answer(), confirmed(), signed(50, "f-1", Failed)],
            rule(),
            99,
            paid(),
            0,
            "Void: it was confirmed by `support:msg-1` (S) on 01 02:00, had settled on 02 02:00 and PAID; then there was negative feedback (`support:f-1`, S) on 03 02:00, and the charge was taken back.",
        ),
        (
            "void reopened",
            vec![answer(), confirmed(), signed(50, "r-1", Reopened)],
            rule(),
            99,
            paid(),
            1,
            "Void: it was confirmed by `support:msg-1` (S) on 01 02:00, had settled on 02 02:00 and PAID; then the customer came back (`support:r-1`, S) on 03 02:00, and the charge was taken back.",
        ),
        (
            "void assumed reopened",
            vec![answer(), signed(90, "r-1", Reopened)],
            rule(),
            99,
            paid(),
            1,
            "Void: it was assumed (no message and no other attempt followed the answer `attempt:a-1` of 01 01:00 for 72 h), had settled on 04 01:00 and PAID; then the customer came back (`support:r-1`, S) on 04 18:00, and the charge was taken back.",
        ),
        (
            "void dispute",
            vec![
                answer(),
                confirmed(),
                signed(50, "d-1", Disputed),
                about(said(60, "operator:d-2", DisputeAccepted), "support:d-1"),
            ],
            rule(),
            99,
            Charge::Unpriced,
            0,
            "Void: it was confirmed by `support:msg-1` (S) on 01 02:00, had settled on 02 02:00; then the dispute `support:d-1` was accepted (`operator:d-2`, S) on 03 12:00; it never had a price.",
        ),
        (
            "once",
            vec![
                answer(),
                confirmed(),
                signed(50, "r-1", Reopened),
                attempt(51, "a-2", Status::Answered),
                signed(52, "msg-2", Confirmed),
            ],
            once,
            199,
            paid(),
            0,
            "Won, but not charged: the case is charged once, and episode `start` is won. (Confirmed by `support:msg-2` (S) on 03 04:00; it settled 24 h later, on 04 04:00.)",
        ),
    ];
    for (name, facts, rule, now, charge, before, expected) in &cases {
        let sentence = told(facts, rule, *now, *charge, *before);
        let short = sentence
            .replace("signed webhook, rule `rules[0]`", "S")
            .replace("was charged 0.99 USD on invoice `acme/2026-10-01`", "PAID")
            .replace(
                "counts in line 1 of invoice `acme/2026-10-01`: 5 for 2.97 USD (2 included; 3 × 0.99); its list price is 0.99 USD",
                "LINE",
            )
            .replace("2026-10-", "")
            .replace(" UTC", "");
        assert_eq!(&short, expected, "{name}");
    }
}

#[test]
fn a_sentence_tells_who_what_and_when() {
    let facts = [attempt(1, "a-1", Status::Answered), said(2, "support:msg-1", ResolutionKind::Confirmed)];
    assert_eq!(
        told(&facts, &Rule::default(), 99, paid(), 0),
        "Confirmed by `support:msg-1` (signed webhook, rule `rules[0]`) on 2026-10-01 02:00 UTC; it settled 24 h later, \
         on 2026-10-02 02:00 UTC, and was charged 0.99 USD on invoice `acme/2026-10-01`."
    );
}

#[test]
fn a_dispute_tells_its_state_and_who_decided_it() {
    let dispute = said(5, "api:d-1", ResolutionKind::Disputed);
    let decided = |kind| about(said(6, "api:d-2", kind), "api:d-1");
    let view = |more: &[Fact]| {
        let facts = in_order([&[attempt(1, "a-1", Status::Answered), dispute.clone()], more].concat());
        let notes: Vec<Note> =
            facts.iter().map(|fact| Note { reason: Some("not so".into()), ..note_of(fact) }).collect();
        let judgement = judge(&facts, &Rule::default(), hour(99));
        episode_views(&facts, &notes, &Rule::default(), &judgement, |_| paid())[0].disputes[0].clone()
    };
    let raised = "Disputed by `api:d-1` (API, by `key:desk`) on 2026-10-01 05:00 UTC, saying \"not so\".";
    let by = "by `api:d-2` (API, by `key:desk`) on 2026-10-01 06:00 UTC, saying \"not so\".";
    for (more, state, decision) in [
        (vec![], "open", "It is not decided yet.".to_string()),
        (vec![decided(ResolutionKind::DisputeAccepted)], "accepted", format!("Accepted {by}")),
        (vec![decided(ResolutionKind::DisputeRejected)], "rejected", format!("Rejected {by}")),
    ] {
        let view = view(&more);
        assert_eq!((view.state, view.sentence), (state, format!("{raised} {decision}")));
    }
}

#[test]
fn lengths_of_time_are_said_in_the_unit_that_fits() {
    let hours = |hours| words::span(Span::hours(hours));
    assert_eq!([hours(24), hours(72), hours(30 * 24)], ["24 h", "72 h", "30 days"]);
    assert_eq!(words::span(Span(5_400_000_000)), "90 min");
    assert_eq!([words::span(Span(0)), words::span(Span(1_000_001))], ["0 µs", "1000001 µs"]);
    assert_eq!(time(Timestamp(hour(0).0 + 1_500_000)), "2026-10-01 00:00:01.500 UTC");
}
