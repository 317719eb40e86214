//! RULES, "The verdict of an episode".

use crate::{
    Amount, Assumed, Attempt, Evidence, FollowUp, Kind, NegativeFeedback, Reopen, Resolution, RestartedBy,
    Rule, SilenceFrom, Status, Strength,
};

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

    pub(crate) fn resolution(&self) -> Option<&'a Resolution> {
        match self.what {
            What::Attempt(_) => None,
            What::Resolution(resolution) => Some(resolution),
        }
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.resolution().is_some_and(|resolution| resolution.kind == kind)
    }

    /// The attempt, if it gave a real answer.
    fn answer(&self) -> Option<&'a Attempt> {
        self.attempt().filter(|attempt| attempt.status == Status::Answered)
    }
}

/// The win candidate: `confirmed` or `assumed`, and the answer that decided it.
#[derive(Clone)]
pub(crate) struct Win<'a> {
    pub kind: &'static str,
    pub settles_at: i64,
    pub answer: &'a Attempt,
    /// The id of the fact that speaks for it; silence has none.
    pub evidence: Option<String>,
    /// What the outcome is worth.
    pub value: Option<&'a Amount>,
}

/// What an episode came to.
#[derive(Clone)]
pub(crate) struct Judgement<'a> {
    /// `pending`, `confirmed`, `assumed`, `failed` or `void`.
    pub verdict: &'static str,
    pub reason: Option<&'static str>,
    /// When it settled or was decided; of no meaning while pending.
    pub at: i64,
    /// The win that is, was taken back, or is on its way; none for failed.
    pub win: Option<Win<'a>>,
    /// The id of the fact that refused the win or took it back.
    pub taker: Option<String>,
    /// The episode's last attempt: who a failure is counted under.
    pub last: &'a Attempt,
}

/// Judges the facts of one episode, which are in order; `None` for one without an attempt. `closing` is the fact
/// that closes it, `accepted` the first that accepts a dispute of it.
pub(crate) fn judge<'a>(
    rule: &Rule,
    facts: &[Fact<'a>],
    closing: Option<&Fact<'a>>,
    accepted: Option<&Fact<'a>>,
    now: i64,
) -> Option<Judgement<'a>> {
    let last = facts.iter().rev().find_map(Fact::attempt)?;
    let facts: Vec<Fact> = facts.iter().filter(|fact| is_there(rule, fact)).cloned().collect();
    let failed =
        |reason, at, taker| Judgement { verdict: "failed", reason: Some(reason), at, win: None, taker, last };

    let win = win_candidate(rule, &facts, closing.map(|closing| closing.at));
    let pending =
        Judgement { verdict: "pending", reason: None, at: now, win: win.clone(), taker: None, last };
    let taker = taker(rule, &facts, closing, accepted, win.as_ref());
    Some(match (taker, win) {
        (Some((reason, taker)), Some(win)) if taker.at >= win.settles_at => {
            if now < win.settles_at {
                return Some(pending);
            }
            let (at, taker) = (taker.at, Some(taker.id));
            Judgement { verdict: "void", reason: Some(reason), at, win: Some(win), taker, last }
        }
        (Some((reason, taker)), _) => failed(reason, taker.at, Some(taker.id)),
        (None, Some(win)) if now < win.settles_at => pending,
        (None, Some(win)) => {
            let at = win.settles_at;
            Judgement { verdict: win.kind, reason: None, at, win: Some(win), taker: None, last }
        }
        (None, None) => {
            let last_activity = facts.iter().rev().find(|fact| is_activity(rule, fact))?;
            let silent_at = last_activity.at + rule.silence_window;
            if now < silent_at && closing.is_none() {
                return Some(pending);
            }
            let reason = if facts.iter().any(|fact| is_negative(rule, fact)) {
                "negative_feedback"
            } else if facts.iter().any(|fact| fact.answer().is_some()) {
                "unresolved"
            } else {
                "no_answer"
            };
            failed(reason, closing.map_or(silent_at, |closing| closing.at.min(silent_at)), None)
        }
    })
}

/// Under `evidence = platform`, a win that somebody else speaks of is not spoken of.
fn is_there(rule: &Rule, fact: &Fact) -> bool {
    let by_platform = fact
        .resolution()
        .is_some_and(|resolution| matches!(resolution.strength, Strength::Signed | Strength::Fetched));
    let of_a_win = fact.is(Kind::Confirmed) || fact.is(Kind::Assumed);
    rule.evidence == Evidence::Any || by_platform || !of_a_win
}

fn is_activity(rule: &Rule, fact: &Fact) -> bool {
    fact.attempt().is_some()
        || match rule.restarted_by {
            RestartedBy::Answers => false,
            RestartedBy::Messages => fact.is(Kind::Message),
            RestartedBy::Everything => {
                fact.is(Kind::Message) || fact.is(Kind::Acknowledged) || fact.is(Kind::Rated)
            }
        }
}

fn is_negative(rule: &Rule, fact: &Fact) -> bool {
    let is_low = |score| rule.low_score.is_some_and(|low_score| score <= low_score);
    let score = fact.resolution().and_then(|resolution| resolution.score);
    fact.is(Kind::Failed) || fact.is(Kind::Rated) && score.is_some_and(is_low)
}

fn is_planned_handoff(rule: &Rule, attempt: &Attempt) -> bool {
    attempt.status == Status::HandedOff && rule.planned_handoffs.contains(&attempt.action)
}

fn win_candidate<'a>(rule: &Rule, facts: &[Fact<'a>], closed_at: Option<i64>) -> Option<Win<'a>> {
    let assumed = match rule.assumed {
        Assumed::Never => None,
        _ => assumed(rule, facts),
    };
    let assumed = assumed.filter(|assumed| closed_at.is_none_or(|closed_at| assumed.settles_at < closed_at));
    let win = match (confirmed(rule, facts), assumed) {
        (Some((confirmed_at, _)), Some(assumed)) if assumed.settles_at < confirmed_at => assumed,
        (Some((_, confirmed)), _) => confirmed,
        (None, assumed) => assumed?,
    };
    Some(Win { value: value(facts, &win), ..win })
}

/// What the last fact says that may say what a win is worth.
fn value<'a>(facts: &[Fact<'a>], win: &Win) -> Option<&'a Amount> {
    let mut value = None;
    for fact in facts {
        let told = match fact.what {
            What::Attempt(attempt) if attempt.id == win.answer.id => attempt.value.as_ref(),
            What::Resolution(resolution) if fact.is(Kind::Confirmed) || fact.is(Kind::Assumed) => {
                let in_time = win.answer.ended_at <= fact.at && fact.at <= win.settles_at;
                resolution.value.as_ref().filter(|_| in_time)
            }
            _ => None,
        };
        value = told.or(value);
    }
    value
}

/// The confirmed candidate, and when it was confirmed.
fn confirmed<'a>(rule: &Rule, facts: &[Fact<'a>]) -> Option<(i64, Win<'a>)> {
    for fact in facts {
        let mut answer = fact.attempt().filter(|attempt| is_planned_handoff(rule, attempt));
        if fact.is(Kind::Confirmed) {
            let mut answers = facts.iter().filter_map(Fact::answer);
            answer = answers.rfind(|answer| answer.ended_at <= fact.at);
        }
        let Some(answer) = answer else { continue };
        let settles_at = fact.at + rule.confirmed_settles_after;
        if !is_refuted(rule, facts, fact.at, settles_at) {
            let evidence = Some(fact.id.clone());
            return Some((fact.at, Win { kind: "confirmed", settles_at, answer, evidence, value: None }));
        }
    }
    None
}

fn assumed<'a>(rule: &Rule, facts: &[Fact<'a>]) -> Option<Win<'a>> {
    let mut activities = Vec::new();
    for (index, fact) in facts.iter().enumerate() {
        if is_activity(rule, fact) {
            activities.push((fact.at, &facts[..=index]));
        }
    }
    // Each with its next activity's time, and when its silence is over.
    let mut searched = Vec::new();
    match rule.silence_from {
        SilenceFrom::LastActivity => {
            for (index, activity) in activities.iter().enumerate() {
                let next_at = activities.get(index + 1).map(|next| next.0);
                let silent_at = activity.0 + rule.silence_window;
                if next_at.is_none_or(|next_at| next_at >= silent_at) {
                    searched.push((*activity, next_at, silent_at));
                }
            }
        }
        SilenceFrom::FirstActivity => {
            let first = *activities.first()?;
            let end = first.0 + rule.silence_window;
            let last_before_end = activities.iter().rev().find(|activity| activity.0 < end);
            searched.push((*last_before_end.unwrap_or(&first), None, end));
        }
    }
    for ((at, up_to_it), next_at, silent_at) in searched {
        let Some(answer) = rests_on(rule, up_to_it) else { continue };
        let (mut settles_at, mut evidence) = (silent_at, None);
        if rule.assumed == Assumed::Platform {
            let word = facts
                .iter()
                .filter(|fact| fact.is(Kind::Assumed))
                .find(|word| word.at >= at && next_at.is_none_or(|next_at| word.at < next_at));
            let Some(word) = word else { continue };
            settles_at = word.at.max(silent_at);
            evidence = Some(word.id.clone());
        }
        if !is_refuted(rule, facts, answer.ended_at, settles_at) {
            return Some(Win { kind: "assumed", settles_at, answer, evidence, value: None });
        }
    }
    None
}

/// The answer that has the word after these facts.
fn rests_on<'a>(rule: &Rule, up_to_the_activity: &[Fact<'a>]) -> Option<&'a Attempt> {
    let has_the_word = |fact: &&Fact| {
        let asks_again = rule.follow_up == FollowUp::Unresolved && fact.is(Kind::Message);
        fact.attempt().is_some() || asks_again
    };
    up_to_the_activity.iter().rev().find(has_the_word)?.answer()
}

/// Whether negative feedback keeps a candidate from winning that could be refuted from a time on.
fn is_refuted(rule: &Rule, facts: &[Fact], from: i64, settles_at: i64) -> bool {
    let refutes = |fact: &Fact| is_negative(rule, fact) && from <= fact.at && fact.at < settles_at;
    rule.negative_feedback == NegativeFeedback::Holds && facts.iter().any(refutes)
}

/// Who refuses or takes back the win, and its reason.
fn taker<'a>(
    rule: &Rule,
    facts: &[Fact<'a>],
    closing: Option<&Fact<'a>>,
    accepted: Option<&Fact<'a>>,
    win: Option<&Win>,
) -> Option<(&'static str, Fact<'a>)> {
    let planned_at =
        win.map(|win| win.answer).filter(|answer| is_planned_handoff(rule, answer)).map(|win| win.ended_at);
    let handed_off = |fact: &&Fact| match fact.attempt() {
        Some(attempt) => attempt.status == Status::HandedOff && !is_planned_handoff(rule, attempt),
        None => fact.is(Kind::Escalated) && planned_at.is_none_or(|planned_at| fact.at < planned_at),
    };
    let negative = |fact: &&Fact| {
        let not_refuting = match rule.negative_feedback {
            NegativeFeedback::Refuses => true,
            NegativeFeedback::Holds => win.is_some_and(|win| fact.at >= win.settles_at),
        };
        is_negative(rule, fact) && not_refuting
    };
    let takers = [
        ("handoff", facts.iter().find(handed_off)),
        ("negative_feedback", facts.iter().find(negative)),
        ("reopened", closing.filter(|_| rule.reopen == Reopen::Void)),
        ("dispute", accepted),
    ];
    // Who refuses the win before it settled comes before who takes it back after.
    for before_settling in [true, false] {
        for (reason, taker) in takers {
            let Some(taker) = taker else { continue };
            let Some(win) = win else { return Some((reason, taker.clone())) };
            let acts = reason == "dispute" || taker.at <= win.settles_at + rule.reversal_horizon;
            if acts && (!before_settling || taker.at < win.settles_at) {
                return Some((reason, taker.clone()));
            }
        }
    }
    None
}
