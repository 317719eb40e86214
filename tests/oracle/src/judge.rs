//! RULES, "The verdict of an episode".

use crate::{Assumed, Attempt, Kind, Reopen, Resolution, Rule, Status};

/// One fact of a case.
#[derive(Clone)]
pub(crate) struct Fact<'a> {
    pub at: i64,
    pub id: String,
    pub what: What<'a>,
}

#[derive(Clone, Copy)]
pub(crate) enum What<'a> {
    Attempt(&'a Attempt),
    Resolution(&'a Resolution),
}

impl<'a> Fact<'a> {
    pub(crate) fn attempt(&self) -> Option<&'a Attempt> {
        match self.what {
            What::Attempt(attempt) => Some(attempt),
            What::Resolution(_) => None,
        }
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        matches!(self.what, What::Resolution(resolution) if resolution.kind == kind)
    }
}

/// The win candidate: `confirmed` or `assumed`, and the answer that decided it.
#[derive(Clone, Copy)]
pub(crate) struct Win<'a> {
    pub kind: &'static str,
    pub settles_at: i64,
    pub answer: &'a Attempt,
}

/// What an episode came to.
#[derive(Clone, Copy)]
pub(crate) struct Judgement<'a> {
    /// `pending`, `confirmed`, `assumed`, `failed` or `void`.
    pub verdict: &'static str,
    pub reason: Option<&'static str>,
    /// When it settled or was decided; of no meaning while pending.
    pub at: i64,
    /// The win that was, or was taken back; none for pending and failed.
    pub win: Option<Win<'a>>,
    /// The episode's last attempt: who a failure is counted under.
    pub last: &'a Attempt,
}

/// Judges the facts of one episode, which are in order; `None` for one without an attempt.
pub(crate) fn judge<'a>(
    rule: &Rule,
    facts: &[Fact<'a>],
    closed_at: Option<i64>,
    now: i64,
) -> Option<Judgement<'a>> {
    let mut activities = Vec::new();
    for fact in facts {
        activities.extend(fact.attempt());
    }
    let last = *activities.last()?;
    let pending = Judgement { verdict: "pending", reason: None, at: now, win: None, last };
    let failed = |reason, at| Judgement { verdict: "failed", reason: Some(reason), at, win: None, last };

    let win = win_candidate(rule, facts, &activities, closed_at);
    Some(match (taker(rule, facts, closed_at, win), win) {
        (Some((_, at)), Some(win)) if at >= win.settles_at && now < win.settles_at => pending,
        (Some((reason, at)), Some(win)) if at >= win.settles_at => {
            Judgement { verdict: "void", reason: Some(reason), at, win: Some(win), last }
        }
        (Some((reason, at)), _) => failed(reason, at),
        (None, Some(win)) if now < win.settles_at => pending,
        (None, Some(win)) => {
            Judgement { verdict: win.kind, reason: None, at: win.settles_at, win: Some(win), last }
        }
        (None, None) => {
            let silent_at = last.ended_at + rule.silence_window;
            if now < silent_at && closed_at.is_none() {
                return Some(pending);
            }
            let answered = activities.iter().any(|attempt| attempt.status == Status::Answered);
            let reason = if answered { "unresolved" } else { "no_answer" };
            failed(reason, closed_at.map_or(silent_at, |closed_at| closed_at.min(silent_at)))
        }
    })
}

fn win_candidate<'a>(
    rule: &Rule,
    facts: &[Fact<'a>],
    activities: &[&'a Attempt],
    closed_at: Option<i64>,
) -> Option<Win<'a>> {
    let assumed = assumed(rule, facts, activities)
        .filter(|assumed| closed_at.is_none_or(|closed_at| assumed.settles_at < closed_at));
    match (confirmed(rule, facts, activities), assumed) {
        (Some((confirmed_at, _)), Some(assumed)) if assumed.settles_at < confirmed_at => Some(assumed),
        (Some((_, confirmed)), _) => Some(confirmed),
        (None, assumed) => assumed,
    }
}

/// The confirmed candidate, and when it was confirmed.
fn confirmed<'a>(rule: &Rule, facts: &[Fact<'a>], activities: &[&'a Attempt]) -> Option<(i64, Win<'a>)> {
    for fact in facts.iter().filter(|fact| fact.is(Kind::Confirmed)) {
        let mut answer = None;
        for attempt in activities {
            if attempt.status == Status::Answered && attempt.ended_at <= fact.at {
                answer = Some(*attempt);
            }
        }
        if let Some(answer) = answer {
            let settles_at = fact.at + rule.confirmed_settles_after;
            return Some((fact.at, Win { kind: "confirmed", settles_at, answer }));
        }
    }
    None
}

fn assumed<'a>(rule: &Rule, facts: &[Fact<'a>], activities: &[&'a Attempt]) -> Option<Win<'a>> {
    for (index, attempt) in activities.iter().enumerate() {
        let answered_at = attempt.ended_at;
        let silent_at = answered_at + rule.silence_window;
        let next_at = activities.get(index + 1).map(|next| next.ended_at);
        if attempt.status != Status::Answered || next_at.is_some_and(|next_at| next_at < silent_at) {
            continue;
        }
        let settles_at = match rule.assumed {
            Assumed::Silence => Some(silent_at),
            Assumed::Platform => facts
                .iter()
                .filter(|fact| fact.is(Kind::Assumed))
                .find(|word| word.at >= answered_at && next_at.is_none_or(|next_at| word.at < next_at))
                .map(|word| word.at.max(silent_at)),
            Assumed::Never => None,
        };
        if let Some(settles_at) = settles_at {
            return Some(Win { kind: "assumed", settles_at, answer: attempt });
        }
    }
    None
}

/// Who refuses or takes back the win: its reason and its time.
fn taker(
    rule: &Rule,
    facts: &[Fact],
    closed_at: Option<i64>,
    win: Option<Win>,
) -> Option<(&'static str, i64)> {
    let handed_off = |fact: &&Fact| {
        fact.is(Kind::Escalated) || fact.attempt().is_some_and(|attempt| attempt.status == Status::HandedOff)
    };
    let takers = [
        ("handoff", facts.iter().find(handed_off).map(|fact| fact.at)),
        ("negative_feedback", facts.iter().find(|fact| fact.is(Kind::Failed)).map(|fact| fact.at)),
        ("reopened", closed_at.filter(|_| rule.reopen == Reopen::Void)),
    ];
    // Who refuses the win before it settled comes before who takes it back after.
    for before_settling in [true, false] {
        for (reason, at) in takers {
            let Some(at) = at else { continue };
            let Some(win) = win else { return Some((reason, at)) };
            let acts = at <= win.settles_at + rule.reversal_horizon;
            if acts && (!before_settling || at < win.settles_at) {
                return Some((reason, at));
            }
        }
    }
    None
}
