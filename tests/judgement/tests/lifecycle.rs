//! The life of a case, exhaustively: every sequence of up to six facts, each soon after the one before it or beyond
//! every window, looked at as it goes. The ledger never holds what it must not, at no moment of any of them.
//!
//! A history is walked as far as it is the same as others: all that begin alike share the ledger up to there.
//!
//! # What is left out, and why nothing is lost
//!
//! `docs/RULES.md` compares the distance of two times only with a window or with the horizon after one. Here the
//! windows are 0 or longer than five times [`SOON`], and shorter than [`BEYOND`]; the horizon is 0 or longer than
//! any history. So a distance matters only by whether it has a `BEYOND` in it, and two gaps joined are like one of the
//! two lengths. It follows that a history with a fact that changes nothing is like the one without it, which is
//! looked at by itself: a look comes after every fact and again just before the next, when all windows are over.
//!
//! Up to six facts, these are left out ([`Alphabet::Short`]):
//! - What no field of the rule reads ([`letters`]): ratings without `low_score`, thanks that are no activity,
//!   messages that are neither activity nor follow-up, the platform's *assumed* where it is not asked for, words
//!   that are no evidence.
//! - One of two kinds between which no sentence of the rules tells a difference: *replied* and *failed* attempts
//!   (neither answers nor hands off), *confirmed* by signature and by token under `evidence = any`, *failed* and a
//!   low *rated* (both are negative feedback) where ratings are no activity.
//! - *confirmed* and *assumed* before the episode's first answer: they need one not after them.
//! - *escalated* after a handoff of the episode, negative feedback after negative feedback under `refuses`: the
//!   first one takes. (An escalation that is passed over leaves only later ones to be passed over as well.)
//! - *reopened* in an episode without an attempt: it has no verdict, so the next might as well bear its name.
//! - Disputes that are open or rejected: they change nothing. An accepted one counts from its acceptance on,
//!   wherever it was raised: both facts come together, naming the episode, and only the first of an episode.
//! - The gap before the first fact: the rules know no absolute time.
//!
//! Up to four facts nothing of this is left out ([`Alphabet::Whole`]).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use verdict_domain::attempt::{Cost, Status};
use verdict_domain::fact::{AttemptFact, Fact, ResolutionFact, ResolutionKind, Said, Strength};
use verdict_domain::judge::{Episode, Judgement, LossReason, Verdict};
use verdict_domain::ledger::{EntryKind, Row};
use verdict_domain::money::Currency;
use verdict_domain::rule::{
    Assumed, Charges, Evidence, FollowUp, NegativeFeedback, Reopen, RestartedBy, Rule, SilenceFrom,
};
use verdict_domain::time::{Span, Timestamp};
use verdict_judgement::{live, look};
use verdict_oracle::HOUR;

/// Inside every window, five times over.
const SOON: i64 = HOUR;
/// Longer than every window.
const BEYOND: i64 = 100 * HOUR;
/// Later than the last fact of any history.
const FOREVER: Span = Span::hours(9_000);

const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const PLANNED: &str = "refund.processed";
const UNPLANNED: &str = "support.resolution";

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letter {
    Attempt(Status),
    PlannedHandoff,
    Said(ResolutionKind, Strength),
    /// A dispute of the first episode, wherever it stands.
    DisputedStart,
    /// On the latest dispute.
    Decided(ResolutionKind),
    /// A dispute of the nth episode, and its acceptance at once: two facts.
    AcceptedDispute(usize),
}

const ANSWERED: Letter = Letter::Attempt(Status::Answered);
const FAILED: Letter = Letter::Attempt(Status::Failed);
const HANDED_OFF: Letter = Letter::Attempt(Status::HandedOff);
const CONFIRMED: Letter = signed(ResolutionKind::Confirmed);
const ASSUMED: Letter = signed(ResolutionKind::Assumed);
const ESCALATED: Letter = signed(ResolutionKind::Escalated);
const REOPENED: Letter = signed(ResolutionKind::Reopened);
const NEGATIVE: Letter = signed(ResolutionKind::Failed);
const MESSAGE: Letter = signed(ResolutionKind::Message);
const ACKNOWLEDGED: Letter = signed(ResolutionKind::Acknowledged);
const RATED_LOW: Letter = signed(ResolutionKind::Rated);

const fn signed(kind: ResolutionKind) -> Letter {
    Letter::Said(kind, Strength::Signed)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Whole,
    Short,
}

fn letters(rule: &Rule, alphabet: Alphabet) -> Vec<Letter> {
    if alphabet == Alphabet::Whole {
        return vec![
            ANSWERED,
            Letter::Attempt(Status::Replied),
            FAILED,
            HANDED_OFF,
            Letter::PlannedHandoff,
            CONFIRMED,
            Letter::Said(ResolutionKind::Confirmed, Strength::Token),
            ASSUMED,
            ESCALATED,
            REOPENED,
            NEGATIVE,
            MESSAGE,
            ACKNOWLEDGED,
            RATED_LOW,
            signed(ResolutionKind::Disputed),
            Letter::DisputedStart,
            Letter::Decided(ResolutionKind::DisputeAccepted),
            Letter::Decided(ResolutionKind::DisputeRejected),
        ];
    }
    let mut letters = vec![ANSWERED, FAILED, HANDED_OFF, CONFIRMED, ESCALATED, REOPENED, NEGATIVE];
    letters.extend((0..3).map(Letter::AcceptedDispute));
    let read = [
        (Letter::PlannedHandoff, !rule.planned_handoffs.is_empty()),
        (ASSUMED, rule.assumed == Assumed::Platform),
        (MESSAGE, rule.restarted_by != RestartedBy::Answers || rule.follow_up == FollowUp::Unresolved),
        (ACKNOWLEDGED, rule.restarted_by == RestartedBy::Everything),
        (RATED_LOW, rule.restarted_by == RestartedBy::Everything),
    ];
    letters.extend(read.into_iter().filter(|(_, is_read)| *is_read).map(|(letter, _)| letter));
    letters
}

/// A history on its way, and the ledger of it.
struct Walk {
    rule: Rule,
    letters: Vec<Letter>,
    alphabet: Alphabet,
    depth: usize,
    facts: Vec<Fact>,
    posted: Vec<Row>,
    histories: u64,
    looks: u64,
    charges: u64,
    voids: u64,
    corrections: u64,
}

impl Walk {
    /// Walks all histories of up to `depth` facts under a rule.
    fn all(name: &str, rule: Rule, alphabet: Alphabet, depth: usize) {
        let letters = letters(&rule, alphabet);
        let (facts, posted) = (Vec::new(), Vec::new());
        let mut walk = Self {
            rule,
            letters,
            alphabet,
            depth,
            facts,
            posted,
            histories: 0,
            looks: 0,
            charges: 0,
            voids: 0,
            corrections: 0,
        };
        walk.with_each_next(0);
        let Self { histories, looks, charges, voids, corrections, .. } = walk;
        println!(
            "{name}: {histories} histories of up to {depth} facts, {looks} looks, \
             {charges} charges, {voids} voids and {corrections} corrections"
        );
        assert!(histories > 500_000 && charges > 5_000 && voids > 100, "{name}: something is missing");
    }

    /// Goes on from a fact that was looked at: soon after it, and after a silence in which time alone works.
    fn go_on(&mut self, at: i64) {
        let known = self.posted.len();
        if self.facts.len() < self.depth {
            self.with_each_next(at + SOON);
        }
        self.look(at + BEYOND - 1);
        if self.facts.len() < self.depth {
            self.with_each_next(at + BEYOND);
        }
        self.posted.truncate(known);
    }

    fn with_each_next(&mut self, at: i64) {
        let (held, known) = (self.facts.len(), self.posted.len());
        for index in 0..self.letters.len() {
            if self.push(self.letters[index], at) {
                self.histories += 1;
                self.look(at);
                self.go_on(at);
                self.facts.truncate(held);
                self.posted.truncate(known);
            }
        }
    }

    /// Adds what the letter says, unless it is left out here or longer than there is room for.
    fn push(&mut self, letter: Letter, at: i64) -> bool {
        if self.alphabet == Alphabet::Short && self.is_left_out(letter) {
            return false;
        }
        match letter {
            Letter::Attempt(status) => self.add(at, attempt(status, UNPLANNED)),
            Letter::PlannedHandoff => self.add(at, attempt(Status::HandedOff, PLANNED)),
            Letter::Said(kind, strength) => self.add(at, said(kind, strength, None)),
            Letter::DisputedStart => {
                self.add(at, said(ResolutionKind::Disputed, Strength::Signed, Some("start")));
            }
            Letter::Decided(kind) => {
                let mut disputes = self.facts.iter().filter(|fact| fact.is(ResolutionKind::Disputed));
                let Some(dispute) = disputes.next_back().map(|fact| fact.id.clone()) else { return false };
                self.add(at, said(kind, Strength::Operator, Some(&dispute)));
            }
            Letter::AcceptedDispute(nth) => {
                let Some(name) = self.name_of(nth).filter(|_| self.facts.len() + 2 <= self.depth) else {
                    return false;
                };
                let dispute = IDS[self.facts.len()];
                self.add(at, said(ResolutionKind::Disputed, Strength::Signed, Some(&name)));
                self.add(at, said(ResolutionKind::DisputeAccepted, Strength::Operator, Some(dispute)));
            }
        }
        true
    }

    fn add(&mut self, at: i64, said: Said) {
        let id = IDS[self.facts.len()].to_owned();
        self.facts.push(Fact { at: Timestamp(at), id, said });
    }

    /// The name of the nth episode, if there is one.
    fn name_of(&self, nth: usize) -> Option<String> {
        let reopened = self.facts.iter().filter(|fact| fact.is(ResolutionKind::Reopened));
        std::iter::once("start").chain(reopened.map(|fact| fact.id.as_str())).nth(nth).map(String::from)
    }

    /// The facts since the last re-open.
    fn episode(&self) -> &[Fact] {
        let reopened = self.facts.iter().rposition(|fact| fact.is(ResolutionKind::Reopened));
        &self.facts[reopened.map_or(0, |reopened| reopened + 1)..]
    }

    fn is_left_out(&self, letter: Letter) -> bool {
        let has = |is: &dyn Fn(&Fact) -> bool| self.episode().iter().any(is);
        match letter {
            CONFIRMED | ASSUMED => !has(&|fact| fact.ended(Status::Answered)),
            ESCALATED => {
                has(&|fact| fact.is(ResolutionKind::Escalated) || is_unplanned_handoff(&self.rule, fact))
            }
            NEGATIVE => {
                let refuses = self.rule.negative_feedback == NegativeFeedback::Refuses;
                refuses && has(&|fact| fact.is(ResolutionKind::Failed))
            }
            REOPENED => !has(&|fact| fact.attempt().is_some()),
            Letter::AcceptedDispute(nth) => {
                let name = self.name_of(nth);
                let of_it = |fact: &Fact| {
                    fact.resolution()
                        .is_some_and(|said| said.kind == ResolutionKind::Disputed && said.about == name)
                };
                self.facts.iter().any(of_it)
            }
            _ => false,
        }
    }

    fn look(&mut self, now: i64) {
        self.looks += 1;
        let known = self.posted.len();
        let judgement = look(&self.facts, &self.rule, now, &mut self.posted);
        if let Some(wrong) = self.wrong(&judgement, now, known) {
            panic!(
                "{wrong}\n{:#?}\nat {now}: {:#?}\n{judgement:#?}\n{:#?}",
                self.rule, self.facts, self.posted
            );
        }
        for row in &self.posted[known..] {
            *match row.entry.kind {
                EntryKind::Charge => &mut self.charges,
                EntryKind::Void => &mut self.voids,
                EntryKind::Correction => &mut self.corrections,
            } += 1;
        }
    }

    /// What must never be.
    fn wrong(&self, judgement: &Judgement, now: i64, known: usize) -> Option<&'static str> {
        if judgement.wake_at.is_some_and(|wake_at| wake_at.0 <= now) {
            return Some("it wakes no later than now");
        }
        let unreasoned = |episode: &Episode| match episode.verdict {
            Some(Verdict::Void(reason)) => !self.is_taken(episode, reason) || episode.taker.is_none(),
            Some(Verdict::Failed(reason)) => !self.is_taken(episode, reason),
            _ => episode.taker.is_some(),
        };
        if judgement.episodes.iter().any(unreasoned) {
            return Some("taken without a reason or a fact");
        }
        if self.posted.len() == known {
            return None;
        }
        let standing: Vec<&Row> = live(&self.posted).collect();
        let of_kind = |kind| standing.iter().filter(move |row| row.entry.kind == kind);
        for charge in of_kind(EntryKind::Charge) {
            if of_kind(EntryKind::Charge).filter(|row| row.entry.episode == charge.entry.episode).count() > 1
            {
                return Some("two live outcomes in an episode");
            }
            if !judgement.episodes.iter().any(|episode| self.is_earned(episode, charge)) {
                return Some("a charge without an answer in that episode at or before it");
            }
        }
        for void in of_kind(EntryKind::Void) {
            let charged = standing.iter().any(|row| Some(row.seq) == void.reverses && row.entry.sign == 1);
            let reasoned = void.entry.reason.is_some() && void.entry.facts.len() > 1;
            if !charged || !reasoned {
                return Some("a void of nothing, or for nothing");
            }
        }
        let left = of_kind(EntryKind::Charge).count() - of_kind(EntryKind::Void).count();
        let once = self.rule.charges == Charges::OnceACase;
        (once && left > 1).then_some("two live charges in a case that is charged once")
    }

    /// Whether a fact took the win for this reason; for the two that need none, that no fact did.
    fn is_taken(&self, episode: &Episode, reason: LossReason) -> bool {
        let facts = &self.facts[episode.facts.clone()];
        let negative = |fact: &Fact| {
            fact.is(ResolutionKind::Failed) || fact.is(ResolutionKind::Rated) && self.rule.low_score.is_some()
        };
        let Some(index) = episode.taker else {
            // Refuted under `holds`, and given up after the silence.
            let refuted =
                self.rule.negative_feedback == NegativeFeedback::Holds && facts.iter().any(negative);
            return match reason {
                LossReason::NoAnswer => !facts.iter().any(|fact| fact.ended(Status::Answered)),
                LossReason::Unresolved => facts.iter().any(|fact| fact.ended(Status::Answered)),
                LossReason::NegativeFeedback => refuted,
                _ => false,
            };
        };
        let taker = &self.facts[index];
        let in_episode = episode.facts.contains(&index);
        Some(taker.at) == episode.decided_at
            && match reason {
                LossReason::Handoff => {
                    let handed_off = is_unplanned_handoff(&self.rule, taker);
                    in_episode && (handed_off || taker.is(ResolutionKind::Escalated))
                }
                LossReason::NegativeFeedback => in_episode && negative(taker),
                LossReason::Reopened => {
                    self.rule.reopen == Reopen::Void
                        && index == episode.facts.end
                        && taker.is(ResolutionKind::Reopened)
                }
                LossReason::Dispute => taker.is(ResolutionKind::DisputeAccepted),
                LossReason::NoAnswer | LossReason::Unresolved => false,
            }
    }

    /// Whether this is the charge's episode, with the answer or the planned handoff that it was charged for.
    fn is_earned(&self, episode: &Episode, charge: &Row) -> bool {
        let earns = |fact: &Fact| {
            let handed_off = fact.ended(Status::HandedOff) && !is_unplanned_handoff(&self.rule, fact);
            (fact.ended(Status::Answered) || handed_off)
                && fact.at <= charge.entry.effective_at
                && charge.entry.facts.first() == Some(&fact.id)
        };
        episode.name == charge.entry.episode && self.facts[episode.facts.clone()].iter().any(earns)
    }
}

fn is_unplanned_handoff(rule: &Rule, fact: &Fact) -> bool {
    fact.ended(Status::HandedOff)
        && fact.attempt().is_some_and(|attempt| !rule.planned_handoffs.contains(&attempt.action))
}

fn attempt(status: Status, action: &str) -> Said {
    Said::Attempt(AttemptFact {
        status,
        failure_reason: None,
        agent: "bot".into(),
        action: action.into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        cost: Cost { model_nanos: None, other_nanos: 0, currency: Currency::USD },
        value: None,
    })
}

fn said(kind: ResolutionKind, strength: Strength, about: Option<&str>) -> Said {
    let score = (kind == ResolutionKind::Rated).then_some(1);
    Said::Resolution(ResolutionFact { kind, score, about: about.map(String::from), strength, value: None })
}

/// Five rules that between them set every field to every value.
const NAMES: [&str; 5] = ["default", "platform", "chatty", "planned", "strict"];

fn rule(name: &str) -> Rule {
    let usual = Rule { reversal_horizon: FOREVER, ..Rule::default() };
    match name {
        "default" => usual,
        "platform" => Rule {
            assumed: Assumed::Platform,
            silence_from: SilenceFrom::FirstActivity,
            restarted_by: RestartedBy::Answers,
            negative_feedback: NegativeFeedback::Holds,
            evidence: Evidence::Platform,
            charges: Charges::OnceACase,
            ..usual
        },
        "chatty" => Rule {
            restarted_by: RestartedBy::Everything,
            follow_up: FollowUp::Unresolved,
            low_score: Some(1),
            reopen: Reopen::Keep,
            charges: Charges::OnceACase,
            ..usual
        },
        "planned" => Rule {
            assumed: Assumed::Never,
            restarted_by: RestartedBy::Answers,
            planned_handoffs: vec![PLANNED.into()],
            negative_feedback: NegativeFeedback::Holds,
            reopen: Reopen::Keep,
            ..usual
        },
        _ => Rule {
            silence_from: SilenceFrom::FirstActivity,
            follow_up: FollowUp::Unresolved,
            confirmed_settles_after: Span::hours(0),
            reversal_horizon: Span::hours(0),
            ..usual
        },
    }
}

#[test]
fn every_field_has_every_value() {
    let rules = NAMES.map(rule);
    let values = |value: &dyn Fn(&Rule) -> String| {
        let mut values: Vec<_> = rules.iter().map(value).collect();
        values.sort();
        values.dedup();
        values.len()
    };
    assert_eq!(values(&|rule| format!("{:?}", rule.assumed)), 3);
    assert_eq!(values(&|rule| format!("{:?}", rule.silence_from)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.restarted_by)), 3);
    assert_eq!(values(&|rule| format!("{:?}", rule.follow_up)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.negative_feedback)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.low_score.is_some())), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.planned_handoffs.is_empty())), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.evidence)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.reopen)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.charges)), 2);
    assert_eq!(values(&|rule| format!("{:?}", rule.reversal_horizon)), 2);
    for rule in rules {
        let windows = [rule.confirmed_settles_after, rule.silence_window];
        assert!(
            windows
                .iter()
                .all(|window| *window == Span::hours(0) || (5 * SOON + 1..BEYOND).contains(&window.0))
        );
        assert!(rule.reversal_horizon == Span::hours(0) || rule.reversal_horizon.0 > 6 * BEYOND);
    }
}

#[test]
fn up_to_four_facts_of_every_kind() {
    for name in NAMES {
        Walk::all(name, rule(name), Alphabet::Whole, 4);
    }
}

#[test]
fn six_facts_under_the_default_rule() {
    Walk::all("default", rule("default"), Alphabet::Short, 6);
}

#[test]
fn six_facts_where_the_platform_speaks() {
    Walk::all("platform", rule("platform"), Alphabet::Short, 6);
}

#[test]
fn six_facts_where_every_word_counts() {
    Walk::all("chatty", rule("chatty"), Alphabet::Short, 6);
}

#[test]
fn six_facts_with_planned_handoffs() {
    Walk::all("planned", rule("planned"), Alphabet::Short, 6);
}

#[test]
fn six_facts_without_a_second_chance() {
    Walk::all("strict", rule("strict"), Alphabet::Short, 6);
}
