//! What one episode comes to. The numbers in the comments are those of `docs/RULES.md`, "The verdict of an episode".

use super::{Dispute, Episode, LossReason, Verdict, Win, WinKind};
use crate::attempt::Status;
use crate::fact::{Fact, ResolutionKind, Strength};
use crate::rule::{Assumed, Evidence, FollowUp, NegativeFeedback, Reopen, RestartedBy, Rule, SilenceFrom};
use crate::time::Timestamp;
use std::ops::Range;

/// An episode's facts with what limits them.
pub(super) struct Stretch<'a> {
    pub facts: &'a [Fact],
    pub range: Range<usize>,
    /// The re-open that ends it.
    pub closing: Option<usize>,
    pub rule: &'a Rule,
    pub disputes: Vec<Dispute>,
}

impl Stretch<'_> {
    /// The episode as judged at `now`, and when time alone will change that.
    pub fn judge(self, name: String, now: Timestamp) -> (Episode, Option<Timestamp>) {
        let has_attempt = self.range.clone().any(|at| self.facts[at].attempt().is_some());
        let last = self.activities().last();
        let win = self.win();
        let taker = self.taker(win.as_ref());
        let mut episode = Episode {
            name,
            facts: self.range.clone(),
            verdict: None,
            win: None,
            taker: None,
            decided_at: None,
            charged: false,
            disputes: Vec::new(),
        };
        let (Some(last), true) = (last, has_attempt) else {
            episode.disputes = self.disputes;
            return (episode, None);
        };
        // Until `due`, the verdict is pending.
        let (verdict, decided_at, due) = match (win, taker) {
            (None, Some((taker, reason))) => (Verdict::Failed(reason), self.time(taker), None),
            (Some(win), Some((taker, reason))) if self.time(taker) < win.settles_at => {
                (Verdict::Failed(reason), self.time(taker), None)
            }
            (Some(win), Some((taker, reason))) => {
                (Verdict::Void(reason), self.time(taker), Some(win.settles_at))
            }
            // 3. Nobody takes it.
            (Some(win), None) => (Verdict::Won(win.kind), win.settles_at, Some(win.settles_at)),
            (None, None) => {
                // 4. Nothing speaks for it and nothing against.
                let given_up = self.time(last).plus(self.rule.silence_window);
                let verdict = Verdict::Failed(self.no_win());
                match self.closing.map(|closing| self.time(closing)) {
                    Some(closed) => (verdict, given_up.min(closed), None),
                    None => (verdict, given_up, Some(given_up)),
                }
            }
        };
        episode.disputes = self.disputes;
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

    fn time(&self, at: usize) -> Timestamp {
        self.facts[at].at
    }

    fn is_answer(&self, at: usize) -> bool {
        self.facts[at].ended(Status::Answered)
    }

    fn is_planned_handoff(&self, at: usize) -> bool {
        self.facts[at].attempt().is_some_and(|attempt| {
            attempt.status == Status::HandedOff && self.rule.planned_handoffs.contains(&attempt.action)
        })
    }

    fn is_negative(&self, at: usize) -> bool {
        let is_low =
            |score: Option<i64>| self.rule.low_score.zip(score).is_some_and(|(low, score)| score <= low);
        self.facts[at].resolution().is_some_and(|said| match said.kind {
            ResolutionKind::Failed => true,
            ResolutionKind::Rated => is_low(said.score),
            _ => false,
        })
    }

    /// Whether it is such a fact, of a strength that the rule lets speak for a win.
    fn speaks_for_it(&self, at: usize, kind: ResolutionKind) -> bool {
        self.facts[at].resolution().is_some_and(|said| {
            let is_platforms = matches!(said.strength, Strength::Signed | Strength::Fetched);
            said.kind == kind && (self.rule.evidence == Evidence::Any || is_platforms)
        })
    }

    /// What begins the silence anew.
    fn activities(&self) -> impl Iterator<Item = usize> {
        self.range.clone().filter(|&at| match (&self.facts[at], self.rule.restarted_by) {
            (fact, _) if fact.attempt().is_some() => true,
            (_, RestartedBy::Answers) => false,
            (fact, RestartedBy::Messages) => fact.is(ResolutionKind::Message),
            (fact, RestartedBy::Everything) => {
                [ResolutionKind::Message, ResolutionKind::Acknowledged, ResolutionKind::Rated]
                    .into_iter()
                    .any(|kind| fact.is(kind))
            }
        })
    }

    /// 1. The win candidate.
    fn win(&self) -> Option<Win> {
        let win = match (self.confirmed(), self.assumed()) {
            (Some((at, _)), Some(assumed)) if assumed.settles_at < at => Some(assumed),
            (Some((_, confirmed)), _) => Some(confirmed),
            (None, assumed) => assumed,
        }?;
        Some(Win { valued: self.valued(&win), ..win })
    }

    /// Who says what the win is worth: the last of the deciding answer, and of what speaks for a win from the answer's
    /// time until it settles.
    fn valued(&self, win: &Win) -> Option<usize> {
        let span = self.time(win.answer)..=win.settles_at;
        self.range.clone().rfind(|&at| {
            let speaks = [ResolutionKind::Confirmed, ResolutionKind::Assumed]
                .into_iter()
                .any(|kind| self.speaks_for_it(at, kind));
            let counts = at == win.answer || (speaks && span.contains(&self.time(at)));
            counts && self.facts[at].value().is_some()
        })
    }

    /// The confirmed candidate, with the time of the confirmation.
    fn confirmed(&self) -> Option<(Timestamp, Win)> {
        self.range.clone().find_map(|evidence| {
            let at = self.time(evidence);
            let answer = if self.is_planned_handoff(evidence) {
                evidence
            } else if self.speaks_for_it(evidence, ResolutionKind::Confirmed) {
                self.range.clone().rfind(|&answer| self.is_answer(answer) && self.time(answer) <= at)?
            } else {
                return None;
            };
            let settles_at = at.plus(self.rule.confirmed_settles_after);
            let evidence = Some(evidence);
            let win = Win { kind: WinKind::Confirmed, settles_at, answer, evidence, valued: None };
            (!self.is_refuted(at, settles_at)).then_some((at, win))
        })
    }

    /// The assumed candidate: the first activity that rests on an answer and after which it stayed silent for long
    /// enough.
    fn assumed(&self) -> Option<Win> {
        let activities: Vec<usize> = self.activities().collect();
        let win = match self.rule.silence_from {
            SilenceFrom::LastActivity => activities.iter().enumerate().find_map(|(nth, &activity)| {
                let next_at = activities.get(nth + 1).map(|&next| self.time(next));
                let silent_until = self.time(activity).plus(self.rule.silence_window);
                if next_at.is_some_and(|next| next < silent_until) {
                    return None;
                }
                self.assumed_at(activity, next_at, silent_until)
            }),
            SilenceFrom::FirstActivity => {
                let first = *activities.first()?;
                let end = self.time(first).plus(self.rule.silence_window);
                let last = activities.iter().rfind(|&&at| self.time(at) < end);
                self.assumed_at(*last.unwrap_or(&first), None, end)
            }
        }?;
        let closed_before = self.closing.is_some_and(|closing| self.time(closing) <= win.settles_at);
        (!closed_before).then_some(win)
    }

    /// The candidate at one activity after which it stayed silent.
    fn assumed_at(
        &self,
        activity: usize,
        next_at: Option<Timestamp>,
        silent_until: Timestamp,
    ) -> Option<Win> {
        // With whom the last word is.
        let word = (self.range.start..=activity).rev().find(|&at| {
            self.facts[at].attempt().is_some()
                || (self.rule.follow_up == FollowUp::Unresolved && self.facts[at].is(ResolutionKind::Message))
        })?;
        if !self.is_answer(word) {
            return None;
        }
        let (settles_at, evidence) = match self.rule.assumed {
            Assumed::Never => return None,
            Assumed::Silence => (silent_until, None),
            Assumed::Platform => {
                let said = self.range.clone().find(|&at| {
                    self.speaks_for_it(at, ResolutionKind::Assumed)
                        && self.time(at) >= self.time(activity)
                        && next_at.is_none_or(|next| self.time(at) < next)
                })?;
                (self.time(said).max(silent_until), Some(said))
            }
        };
        let win = Win { kind: WinKind::Assumed, settles_at, answer: word, evidence, valued: None };
        (!self.is_refuted(self.time(word), settles_at)).then_some(win)
    }

    /// Whether negative feedback that only holds came in this time.
    fn is_refuted(&self, from: Timestamp, settles_at: Timestamp) -> bool {
        self.rule.negative_feedback == NegativeFeedback::Holds
            && self
                .range
                .clone()
                .any(|at| self.is_negative(at) && (from..settles_at).contains(&self.time(at)))
    }

    /// 2. Who refuses or takes back the win, by precedence.
    fn taker(&self, win: Option<&Win>) -> Option<(usize, LossReason)> {
        let first = |wanted: &dyn Fn(usize) -> bool| self.range.clone().find(|&at| wanted(at));
        let planned = win.map(|win| win.answer).filter(|&answer| self.is_planned_handoff(answer));
        let handoff = first(&|at| {
            let handed_off = self.facts[at].ended(Status::HandedOff) && !self.is_planned_handoff(at);
            let escalated = self.facts[at].is(ResolutionKind::Escalated);
            handed_off || (escalated && planned.is_none_or(|planned| self.time(at) < self.time(planned)))
        });
        let negative = first(&|at| {
            let counts = match self.rule.negative_feedback {
                NegativeFeedback::Refuses => true,
                NegativeFeedback::Holds => win.is_some_and(|win| self.time(at) >= win.settles_at),
            };
            counts && self.is_negative(at)
        });
        let reopened = self.closing.filter(|_| self.rule.reopen == Reopen::Void);
        let accepted = self.disputes.iter().filter_map(|dispute| dispute.decided).filter(|decided| decided.1);
        let dispute = accepted.map(|(at, _)| at).min();
        let takers: Vec<(usize, LossReason)> = [
            (handoff, LossReason::Handoff),
            (negative, LossReason::NegativeFeedback),
            (reopened, LossReason::Reopened),
            (dispute, LossReason::Dispute),
        ]
        .into_iter()
        .filter_map(|(taker, reason)| Some((taker?, reason)))
        .filter(|&(taker, reason)| {
            let in_time = |win: &Win| self.time(taker) <= win.settles_at.plus(self.rule.reversal_horizon);
            reason == LossReason::Dispute || win.is_none_or(in_time)
        })
        .collect();
        let refuses =
            |&&(taker, _): &&(usize, LossReason)| win.is_none_or(|win| self.time(taker) < win.settles_at);
        takers.iter().find(refuses).or(takers.first()).copied()
    }

    /// Why there is no win where nobody took one.
    fn no_win(&self) -> LossReason {
        let any = |wanted: &dyn Fn(usize) -> bool| self.range.clone().any(wanted);
        if any(&|at| self.is_negative(at)) {
            LossReason::NegativeFeedback
        } else if any(&|at| self.is_answer(at)) {
            LossReason::Unresolved
        } else {
            LossReason::NoAnswer
        }
    }
}
