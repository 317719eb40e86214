//! What a case adds to the daily figures: which bucket each attempt's cost is in, and its outcomes.
//!
//! A case's contribution is a function of its judgement. The figures of a day are the sum of all
//! contributions (and of the posted charges); when a judgement moves, the difference is posted.

use crate::attempt::{FailureReason, Status, stored_as_text};
use crate::fact::Fact;
use crate::judge::{Episode, LossReason, Verdict, WinKind};
use crate::pricing::Free;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a figure belongs. The first five hold costs of attempts, the next four count outcomes, the
/// last holds revenue. The first counts the episodes that are not decided, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// Attempts of episodes that are not decided, and as outcomes these episodes.
    Pending,
    /// Attempts of won and billed episodes.
    Won,
    /// Failed attempts of won and billed episodes.
    Retry,
    /// Attempts of episodes that were resolved and are not billed.
    Free,
    /// Attempts of failed episodes, and of those whose win was taken back.
    Lost,
    /// Outcomes that were confirmed.
    Confirmed,
    /// Outcomes that were assumed.
    Assumed,
    /// Episodes that failed.
    Failed,
    /// Outcomes that were taken back.
    Void,
    /// Posted charges, voids and corrections, but those of trials.
    Revenue,
}

stored_as_text!(Bucket {
    Pending = "pending",
    Won = "won",
    Retry = "retry",
    Free = "free",
    Lost = "lost",
    Confirmed = "confirmed",
    Assumed = "assumed",
    Failed = "failed",
    Void = "void",
    Revenue = "revenue",
});

/// A cell of the daily figures, within a customer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// UTC day, counted from 1970-01-01.
    pub day: i64,
    /// The agent.
    pub agent: String,
    /// Who serves the model, of attempts; `-` for outcomes and revenue.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Toward which kind of outcome.
    pub action: String,
    /// ISO 4217; `XXX` for outcomes that no contract covers.
    pub currency: String,
    /// Where it belongs.
    pub bucket: Bucket,
    /// Why, for what failed or was lost; else `-`.
    pub reason: String,
}

/// What a cell holds. A difference of two may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Attempts.
    pub attempts: i64,
    /// Of these, whose model cost is unknown.
    pub unknown_costs: i64,
    /// The known cost.
    pub cost_nanos: i64,
    /// The part of it that is not the model's.
    pub other_cost_nanos: i64,
    /// Outcomes; in [`Bucket::Pending`] episodes that have none yet.
    pub outcomes: i64,
    /// Revenue.
    pub revenue_nanos: i64,
}

impl Figures {
    /// The sum; `None` where it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            attempts: self.attempts.checked_add(other.attempts)?,
            unknown_costs: self.unknown_costs.checked_add(other.unknown_costs)?,
            cost_nanos: self.cost_nanos.checked_add(other.cost_nanos)?,
            other_cost_nanos: self.other_cost_nanos.checked_add(other.other_cost_nanos)?,
            outcomes: self.outcomes.checked_add(other.outcomes)?,
            revenue_nanos: self.revenue_nanos.checked_add(other.revenue_nanos)?,
        })
    }

    /// The opposite; `None` where it does not fit.
    pub fn negated(self) -> Option<Self> {
        Some(Self {
            attempts: self.attempts.checked_neg()?,
            unknown_costs: self.unknown_costs.checked_neg()?,
            cost_nanos: self.cost_nanos.checked_neg()?,
            other_cost_nanos: self.other_cost_nanos.checked_neg()?,
            outcomes: self.outcomes.checked_neg()?,
            revenue_nanos: self.revenue_nanos.checked_neg()?,
        })
    }
}

/// Cells with their figures.
pub type Contribution = BTreeMap<Cell, Figures>;

/// The sums of a case do not fit 64 bits: an account in an impossible state, for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the figures of the case overflow")]
pub struct Overflow;

/// Adds `figures` to a cell.
pub fn add(to: &mut Contribution, cell: Cell, figures: Figures) -> Result<(), Overflow> {
    let held = to.entry(cell).or_default();
    *held = held.plus(figures).ok_or(Overflow)?;
    Ok(())
}

/// What a case adds to the figures. `free` says why the charge of an episode is not billed, if it is not; `currency_at` names
/// the currency that its contract bills in at a time.
pub fn contribution(
    facts: &[Fact],
    episodes: &[Episode],
    free: impl Fn(&Episode) -> Option<Free>,
    currency_at: impl Fn(Timestamp) -> String,
) -> Result<Contribution, Overflow> {
    let mut sum = Contribution::new();
    for episode in episodes {
        let Some(verdict) = episode.verdict else { continue };
        let free = free(episode);
        let (mut last, mut ended_at) = (None, None);
        let own = &facts[episode.facts.clone()];
        for fact in own {
            let Some(attempt) = fact.attempt() else { continue };
            (last, ended_at) = (Some(attempt), Some(fact.at));
            let (bucket, reason) = match (verdict, free) {
                (Verdict::Pending, _) => (Bucket::Pending, "-"),
                (Verdict::Won(_), _) if !episode.charged => (Bucket::Free, "not_charged"),
                (Verdict::Won(_), Some(free)) => (Bucket::Free, free.as_str()),
                (Verdict::Won(_), None) if attempt.status == Status::Failed => {
                    (Bucket::Retry, attempt.failure_reason.map_or("unspecified", |reason| reason.as_str()))
                }
                (Verdict::Won(_), None) => (Bucket::Won, "-"),
                // It was resolved, and the operator gave way.
                (Verdict::Void(LossReason::Dispute), _) => (Bucket::Free, LossReason::Dispute.as_str()),
                (Verdict::Void(_), _) => (Bucket::Lost, "late_void"),
                (Verdict::Failed(reason), _) => (Bucket::Lost, cause(reason, own)),
            };
            let cell = Cell {
                day: fact.at.day(),
                agent: attempt.agent.clone(),
                provider: attempt.provider.clone(),
                model: attempt.model.clone(),
                action: attempt.action.clone(),
                currency: attempt.cost.currency.code().into(),
                bucket,
                reason: reason.into(),
            };
            let figures = Figures {
                attempts: 1,
                unknown_costs: i64::from(attempt.cost.model_nanos.is_none()),
                cost_nanos: attempt.cost.known().nanos,
                other_cost_nanos: attempt.cost.other_nanos,
                ..Figures::default()
            };
            add(&mut sum, cell, figures)?;
        }
        let (bucket, reason): (_, Option<LossReason>) = match verdict {
            Verdict::Pending => (Bucket::Pending, None),
            Verdict::Won(WinKind::Confirmed) => (Bucket::Confirmed, None),
            Verdict::Won(WinKind::Assumed) => (Bucket::Assumed, None),
            Verdict::Failed(reason) => (Bucket::Failed, Some(reason)),
            Verdict::Void(reason) => (Bucket::Void, Some(reason)),
        };
        let answer = episode.win.and_then(|win| facts[win.answer].attempt()).or(last);
        // What is not decided stands on the day of its last attempt.
        let (Some(answer), Some(counted_at)) = (answer, episode.decided_at.or(ended_at)) else { continue };
        let cell = Cell {
            day: counted_at.day(),
            agent: answer.agent.clone(),
            provider: "-".into(),
            model: answer.model.clone(),
            action: answer.action.clone(),
            currency: currency_at(counted_at),
            bucket,
            reason: reason.map_or("-", LossReason::as_str).into(),
        };
        add(&mut sum, cell, Figures { outcomes: 1, ..Figures::default() })?;
    }
    Ok(sum)
}

/// Why the attempts of a failed episode were for nothing.
fn cause(reason: LossReason, facts: &[Fact]) -> &'static str {
    let last_failed = || {
        let mut attempts = facts.iter().rev().filter_map(Fact::attempt);
        attempts.find(|attempt| attempt.status == Status::Failed)?.failure_reason
    };
    match reason {
        LossReason::Unresolved => "silence",
        LossReason::NoAnswer => match last_failed() {
            Some(FailureReason::AgentError | FailureReason::ToolError | FailureReason::Refused) => {
                "agent_error"
            }
            Some(FailureReason::ProviderError | FailureReason::RateLimited | FailureReason::Timeout) => {
                "provider_error"
            }
            None => reason.as_str(),
        },
        reason => reason.as_str(),
    }
}

/// What a case cost, in the currency in which that is most: for putting cases in order, not for sums.
pub fn whole_cost(contribution: &Contribution) -> i64 {
    let mut costs: BTreeMap<&str, i64> = BTreeMap::new();
    for (cell, figures) in contribution {
        let cost = costs.entry(&cell.currency).or_default();
        *cost = cost.saturating_add(figures.cost_nanos);
    }
    costs.into_values().max().unwrap_or_default()
}

/// What turns `old` into `new`; cells that stay as they are do not appear.
pub fn difference(old: &Contribution, new: &Contribution) -> Result<Contribution, Overflow> {
    let mut change = new.clone();
    for (cell, figures) in old {
        add(&mut change, cell.clone(), figures.negated().ok_or(Overflow)?)?;
    }
    change.retain(|_, figures| *figures != Figures::default());
    Ok(change)
}
