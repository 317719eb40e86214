//! The judge of a case: a pure function of its facts, its rule and a time.
//!
//! `docs/RULES.md` is the definition. Here a case is cut into episodes and these are put together again; what one
//! episode comes to is [`stretch`]'s.

mod stretch;

use crate::attempt::stored_as_text;
use crate::fact::{Fact, ResolutionKind};
use crate::rule::{Charges, Rule};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use stretch::Stretch;

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
    /// A dispute was accepted.
    Dispute,
}

stored_as_text!(LossReason {
    Handoff = "handoff",
    NegativeFeedback = "negative_feedback",
    Reopened = "reopened",
    NoAnswer = "no_answer",
    Unresolved = "unresolved",
    Dispute = "dispute",
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
    /// The fact that says what the outcome is worth, if one does: an index into the facts.
    pub valued: Option<usize>,
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
    /// Whether its win is charged: not so where the rule charges a case once and an earlier episode is won.
    pub charged: bool,
    /// Its disputes, in order.
    pub disputes: Vec<Dispute>,
}

/// A dispute of an episode's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    /// The fact that raised it: an index into the facts.
    pub raised: usize,
    /// The fact that decided it, and whether it was accepted; `None` while it is open.
    pub decided: Option<(usize, bool)>,
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
    let mut cuts: Vec<(String, Range<usize>, Option<usize>)> = Vec::new();
    let (mut name, mut from) = ("start".to_string(), 0);
    for closing in reopens.map(Some).chain([None]) {
        cuts.push((name, from..closing.unwrap_or(facts.len()), closing));
        let Some(closing) = closing else { break };
        (name, from) = (facts[closing].id.clone(), closing + 1);
    }
    let mut judgement = Judgement { episodes: Vec::new(), wake_at: None };
    // Only the episodes that are won now can stand in the way of a later one's charge.
    let mut charged_already = false;
    for (name, range, closing) in cuts {
        let disputes = disputes(facts, &name, &range);
        let stretch = Stretch { facts, range, closing, rule, disputes };
        let (mut episode, wake_at) = stretch.judge(name, now);
        let has_win = matches!(episode.verdict, Some(Verdict::Won(_) | Verdict::Void(_)));
        episode.charged = has_win && !(charged_already && rule.charges == Charges::OnceACase);
        charged_already |= episode.charged && matches!(episode.verdict, Some(Verdict::Won(_)));
        judgement.episodes.push(episode);
        judgement.wake_at = [judgement.wake_at, wake_at].into_iter().flatten().min();
    }
    judgement
}

/// The disputes of an episode, each with its decision, wherever in the case these stand.
fn disputes(facts: &[Fact], episode: &str, range: &Range<usize>) -> Vec<Dispute> {
    let is_about = |at: usize, raised: &Fact| match raised.resolution().and_then(|said| said.about.as_deref())
    {
        Some(about) => about == episode,
        None => range.contains(&at),
    };
    let decision = |of: &Fact| {
        facts.iter().enumerate().find_map(|(at, fact)| {
            let said = fact.resolution().filter(|said| said.about.as_deref() == Some(of.id.as_str()))?;
            match said.kind {
                ResolutionKind::DisputeAccepted => Some((at, true)),
                ResolutionKind::DisputeRejected => Some((at, false)),
                _ => None,
            }
        })
    };
    facts
        .iter()
        .enumerate()
        .filter(|(at, fact)| fact.is(ResolutionKind::Disputed) && is_about(*at, fact))
        .map(|(raised, fact)| Dispute { raised, decided: decision(fact) })
        .collect()
}
