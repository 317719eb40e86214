//! The judge of a case: a pure function of its facts, its rule and a time.
//!
//! `docs/RULES.md` ("The verdict of an episode") is the definition; the numbers in the comments here are
//! that section's.

use crate::attempt::{Status, stored_as_text};
use crate::fact::{Fact, ResolutionKind};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Whose word makes an outcome *assumed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assumed {
    /// Our own silence timer, or the platform's word.
    Silence,
    /// Only the platform's word, after our silence window.
    Platform,
    /// Nothing: only confirmed outcomes count.
    Never,
}

/// What a re-open does to the outcome before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reopen {
    /// Takes it back (as Intercom's Fin does: help article 8205718).
    Void,
    /// Leaves it and starts a new billable episode.
    Keep,
}

/// How a contract judges its cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// A confirmed outcome settles so long after the confirmation.
    pub confirmed_settles_after: Span,
    /// Whose word makes an outcome assumed.
    pub assumed: Assumed,
    /// How long nothing may happen after the last answer.
    pub silence_window: Span,
    /// What a re-open does to the outcome before it.
    pub reopen: Reopen,
    /// Later than this after settling, nothing takes an outcome back.
    pub reversal_horizon: Span,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            confirmed_settles_after: Span::hours(24),
            assumed: Assumed::Silence,
            silence_window: Span::hours(72),
            reopen: Reopen::Void,
            reversal_horizon: Span::hours(30 * 24),
        }
    }
}

/// How a win came to be. Told apart everywhere: they may be priced apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WinKind {
    /// Somebody affirmed it.
    Confirmed,
    /// Nobody complained.
    Assumed,
}

stored_as_text!(WinKind { Confirmed = "confirmed", Assumed = "assumed" });

/// Why an episode was not won, or its win was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossReason {
    /// A human was asked for, or stepped in.
    Handoff,
    /// The person said that it is not solved.
    NegativeFeedback,
    /// The person came back for help.
    Reopened,
    /// The agent never answered.
    NoAnswer,
    /// It answered, but nothing tells that this helped.
    Unresolved,
}

stored_as_text!(LossReason {
    Handoff = "handoff",
    NegativeFeedback = "negative_feedback",
    Reopened = "reopened",
    NoAnswer = "no_answer",
    Unresolved = "unresolved",
});

/// What is held of an episode at the time it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reason")]
pub enum Verdict {
    /// Not decided yet.
    Pending,
    /// Won, settled.
    Won(WinKind),
    /// Never won.
    Failed(LossReason),
    /// Won and settled, then taken back.
    Void(LossReason),
}

/// A win, settled or on its way to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Win {
    /// Confirmed or assumed.
    pub kind: WinKind,
    /// From when on it is billed.
    pub settles_at: Timestamp,
    /// The answer that won: an index into the facts.
    pub answer: usize,
    /// The fact that speaks for it, if one does (silence has none): an index into the facts.
    pub evidence: Option<usize>,
}

/// One episode of a case: the stretch between two re-opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// `start`, or the id of the re-open that began it.
    pub name: String,
    /// Its facts: a range of the facts that were judged.
    pub facts: Range<usize>,
    /// What is held of it; `None` for one without an attempt.
    pub verdict: Option<Verdict>,
    /// The win, if there is one or was one.
    pub win: Option<Win>,
    /// Who refused or took back the win: an index into the facts.
    pub taker: Option<usize>,
    /// When the verdict was reached: settled, taken back or given up. `None` while pending.
    pub decided_at: Option<Timestamp>,
}

/// What is held of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Its episodes in order; at least one.
    pub episodes: Vec<Episode>,
    /// When time alone will change a verdict; `None` if only facts can.
    pub wake_at: Option<Timestamp>,
}

/// Judges a case. `facts` are in order, each once ([`crate::fact::in_order`]).
pub fn judge(facts: &[Fact], rule: &Rule, now: Timestamp) -> Judgement {
    let reopens = (0..facts.len()).filter(|&at| facts[at].is(ResolutionKind::Reopened));
    let mut judgement = Judgement { episodes: Vec::new(), wake_at: None };
    let (mut name, mut from) = ("start".to_string(), 0);
    for closing in reopens.map(Some).chain([None]) {
        let stretch = from..closing.unwrap_or(facts.len());
        let case = Stretch { facts, range: stretch, closing, rule };
        let (episode, wake_at) = case.judge(name, now);
        judgement.episodes.push(episode);
        judgement.wake_at = [judgement.wake_at, wake_at].into_iter().flatten().min();
        let Some(closing) = closing else { break };
        (name, from) = (facts[closing].id.clone(), closing + 1);
    }
    judgement
}

/// An episode's facts with what limits them.
struct Stretch<'a> {
    facts: &'a [Fact],
    range: Range<usize>,
    /// The re-open that ends it.
    closing: Option<usize>,
    rule: &'a Rule,
}

impl Stretch<'_> {
    fn judge(self, name: String, now: Timestamp) -> (Episode, Option<Timestamp>) {
        let mut episode = Episode {
            name,
            facts: self.range.clone(),
            verdict: None,
            win: None,
            taker: None,
            decided_at: None,
        };
        let Some(last) = self.range.clone().rev().find(|&at| self.facts[at].attempt().is_some()) else {
            return (episode, None);
        };
        let win = self.win();
        let taker = self.taker(win.as_ref());
        // Until `due`, the verdict is pending.
        let (verdict, decided_at, due) = match (win, taker) {
            (None, Some((taker, reason))) => {
                let at = self.facts[taker].at;
                (Verdict::Failed(reason), at, None)
            }
            (Some(win), Some((taker, reason))) => {
                let at = self.facts[taker].at;
                if at < win.settles_at {
                    (Verdict::Failed(reason), at, None)
                } else {
                    (Verdict::Void(reason), at, Some(win.settles_at))
                }
            }
            (Some(win), None) => (Verdict::Won(win.kind), win.settles_at, Some(win.settles_at)),
            (None, None) => {
                // 4. Nothing speaks for it and nothing against.
                let answered = self.range.clone().any(|at| self.facts[at].ended(Status::Answered));
                let reason = if answered { LossReason::Unresolved } else { LossReason::NoAnswer };
                let given_up = self.facts[last].at.plus(self.rule.silence_window);
                match self.closing.map(|closing| self.facts[closing].at) {
                    Some(closed) => (Verdict::Failed(reason), given_up.min(closed), None),
                    None => (Verdict::Failed(reason), given_up, Some(given_up)),
                }
            }
        };
        // A win that was refused before it settled is no win.
        episode.win = win.filter(|_| !matches!(verdict, Verdict::Failed(_)));
        match due.filter(|&due| now < due) {
            Some(due) => {
                episode.verdict = Some(Verdict::Pending);
                (episode, Some(due))
            }
            None => {
                episode.verdict = Some(verdict);
                episode.taker = taker.map(|(taker, _)| taker);
                episode.decided_at = Some(decided_at);
                (episode, None)
            }
        }
    }

    /// 1. The win candidate.
    fn win(&self) -> Option<Win> {
        match (self.confirmed(), self.assumed()) {
            (Some((at, _)), Some(assumed)) if assumed.settles_at < at => Some(assumed),
            (Some((_, confirmed)), _) => Some(confirmed),
            (None, assumed) => assumed,
        }
    }

    /// The confirmed candidate, with the time of the confirmation.
    fn confirmed(&self) -> Option<(Timestamp, Win)> {
        let answers = || self.range.clone().filter(|&at| self.facts[at].ended(Status::Answered));
        self.range.clone().filter(|&at| self.facts[at].is(ResolutionKind::Confirmed)).find_map(|evidence| {
            let at = self.facts[evidence].at;
            let answer = answers().rfind(|&answer| self.facts[answer].at <= at)?;
            let settles_at = at.plus(self.rule.confirmed_settles_after);
            Some((at, Win { kind: WinKind::Confirmed, settles_at, answer, evidence: Some(evidence) }))
        })
    }

    /// The assumed candidate: the first answer after which it stayed silent for long enough.
    fn assumed(&self) -> Option<Win> {
        let activities: Vec<usize> =
            self.range.clone().filter(|&at| self.facts[at].attempt().is_some()).collect();
        let win = activities.iter().enumerate().find_map(|(nth, &answer)| {
            let answered_at = self.facts[answer].at;
            let silent_until = answered_at.plus(self.rule.silence_window);
            let next_at = activities.get(nth + 1).map(|&next| self.facts[next].at);
            if !self.facts[answer].ended(Status::Answered) || next_at.is_some_and(|next| next < silent_until)
            {
                return None;
            }
            let (settles_at, evidence) = match self.rule.assumed {
                Assumed::Never => return None,
                Assumed::Silence => (silent_until, None),
                Assumed::Platform => {
                    let said = self.range.clone().find(|&at| {
                        let fact = &self.facts[at];
                        fact.is(ResolutionKind::Assumed)
                            && fact.at >= answered_at
                            && next_at.is_none_or(|next| fact.at < next)
                    })?;
                    (self.facts[said].at.max(silent_until), Some(said))
                }
            };
            Some(Win { kind: WinKind::Assumed, settles_at, answer, evidence })
        })?;
        let closed_before = self.closing.is_some_and(|closing| self.facts[closing].at <= win.settles_at);
        (!closed_before).then_some(win)
    }

    /// 2. Who refuses or takes back the win, by precedence.
    fn taker(&self, win: Option<&Win>) -> Option<(usize, LossReason)> {
        let first = |wanted: &dyn Fn(&Fact) -> bool| self.range.clone().find(|&at| wanted(&self.facts[at]));
        let handoff = first(&|fact| fact.ended(Status::HandedOff) || fact.is(ResolutionKind::Escalated));
        let negative = first(&|fact| fact.is(ResolutionKind::Failed));
        let reopened = self.closing.filter(|_| self.rule.reopen == Reopen::Void);
        let time = |taker: usize| self.facts[taker].at;
        let takers: Vec<(usize, LossReason)> = [
            (handoff, LossReason::Handoff),
            (negative, LossReason::NegativeFeedback),
            (reopened, LossReason::Reopened),
        ]
        .into_iter()
        .filter_map(|(taker, reason)| Some((taker?, reason)))
        .filter(|&(taker, _)| {
            win.is_none_or(|win| time(taker) <= win.settles_at.plus(self.rule.reversal_horizon))
        })
        .collect();
        let refuses =
            |&&(taker, _): &&(usize, LossReason)| win.is_none_or(|win| time(taker) < win.settles_at);
        takers.iter().find(refuses).or(takers.first()).copied()
    }
}
