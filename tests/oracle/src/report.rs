//! RULES, "Buckets": what was tried, what it cost and what it earned.

use crate::free::is_trial_by;
use crate::oracle::{Episode, Oracle, in_force};
use crate::{Attempt, Contract, DAY, Free, Posting, Status, closed_periods, cost, other_costs, rfc3339};
use std::collections::BTreeMap;
use std::ops::Range;

/// What a report is broken down by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The customer.
    Customer,
    /// The agent: the attempt's own for costs, else the deciding answer's or the last attempt's.
    Agent,
    /// The model, likewise.
    Model,
    /// The attempt's own for costs; `-` for outcomes and revenue.
    Provider,
    /// The kind of outcome, as the agent; `-` for what a period's price differs from list prices.
    Action,
    /// The bucket's reason for costs, the verdict's for outcomes; `-` where there is none.
    Reason,
    /// The UTC day, such as `2026-09-01`.
    Day,
}

/// One row of a report. Sums are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Attempts that ended.
    pub attempts: i64,
    /// Those of them whose model's cost is unknown.
    pub unknown_cost_attempts: i64,
    /// The cost of what won.
    pub won_nanos: i128,
    /// The cost of failed tries on the way to a win.
    pub retry_nanos: i128,
    /// The cost of what was resolved and is not charged.
    pub free_nanos: i128,
    /// The cost of what came to nothing.
    pub lost_nanos: i128,
    /// The cost of what is not decided.
    pub pending_nanos: i128,
    /// Of these five, what was no model's cost.
    pub other_cost_nanos: i128,
    /// Outcomes confirmed.
    pub confirmed: i64,
    /// Outcomes assumed.
    pub assumed: i64,
    /// Episodes failed.
    pub failed: i64,
    /// Outcomes taken back.
    pub void: i64,
    /// Charges less voids at their list price, and what the invoices differ from that.
    pub revenue_nanos: i128,
}

/// Where something counts.
struct Tags<'a> {
    at: i64,
    currency: &'a str,
    customer: &'a str,
    agent: &'a str,
    provider: &'a str,
    model: &'a str,
    action: &'a str,
    reason: Option<&'a str>,
}

struct Rows {
    days: Range<i64>,
    by: By,
    rows: BTreeMap<(String, String), Figures>,
}

impl Rows {
    fn add(&mut self, tags: &Tags, change: impl FnOnce(&mut Figures)) {
        if !self.days.contains(&tags.at.div_euclid(DAY)) {
            return;
        }
        let key = match self.by {
            By::Customer => tags.customer.to_owned(),
            By::Agent => tags.agent.to_owned(),
            By::Model => tags.model.to_owned(),
            By::Provider => tags.provider.to_owned(),
            By::Action => tags.action.to_owned(),
            By::Reason => tags.reason.unwrap_or("-").to_owned(),
            By::Day => rfc3339(tags.at)[..10].to_owned(),
        };
        change(self.rows.entry((key, tags.currency.to_owned())).or_default());
    }
}

/// The bucket of an attempt's cost, and the reason; `free` says why the outcome of the episode is, if it is.
fn bucket<'a>(
    attempt: &'a Attempt,
    episode: &Episode<'a>,
    free: Option<&'static str>,
) -> (&'static str, Option<&'a str>) {
    let judgement = &episode.judgement;
    match (judgement.verdict, judgement.reason) {
        ("pending", _) => ("pending", None),
        ("confirmed" | "assumed", _) if !episode.charged => ("free", Some("not_charged")),
        ("confirmed" | "assumed", _) if free.is_some() => ("free", free),
        ("confirmed" | "assumed", _) => match (attempt.status, &attempt.failure_reason) {
            (Status::Failed, Some(reason)) => ("retry", Some(reason)),
            (Status::Failed, None) => ("retry", Some("unspecified")),
            _ => ("won", None),
        },
        ("void", Some("dispute")) => ("free", Some("dispute")),
        ("void", _) => ("lost", Some("late_void")),
        (_, Some("unresolved")) => ("lost", Some("silence")),
        (_, Some("no_answer")) => {
            let mut failed = episode.attempts.iter().rev().filter(|attempt| attempt.status == Status::Failed);
            let cause = match failed.next().and_then(|attempt| attempt.failure_reason.as_deref()) {
                Some("agent_error" | "tool_error" | "refused") => "agent_error",
                Some(_) => "provider_error",
                None => "no_answer",
            };
            ("lost", Some(cause))
        }
        (_, reason) => ("lost", reason),
    }
}

impl Oracle<'_> {
    /// The figures by (key, currency) of the UTC days `from_day..to_day`, numbered since 1970. Costs are under
    /// their own currency, outcomes and revenue under the contract's, `XXX` where there is none.
    pub fn report(&self, from_day: i64, to_day: i64, by: By) -> BTreeMap<(String, String), Figures> {
        let mut rows = Rows { days: from_day..to_day, by, rows: BTreeMap::new() };
        let free: BTreeMap<&str, Free> =
            self.customers().into_iter().map(|customer| (customer, self.free(customer))).collect();
        for case in &self.cases {
            for episode in &case.episodes {
                let key = (case.name.to_owned(), episode.name.clone());
                let why_free = free.get(case.customer).and_then(|free| free.get(&key).copied());
                let judgement = &episode.judgement;
                let (verdict, verdict_reason) = (judgement.verdict, judgement.reason);
                for attempt in &episode.attempts {
                    let (bucket, reason) = bucket(attempt, episode, why_free);
                    let cost = cost(attempt);
                    let tags = Tags {
                        at: attempt.ended_at,
                        currency: &cost.currency,
                        customer: case.customer,
                        agent: &attempt.agent,
                        provider: &attempt.provider,
                        model: &attempt.model,
                        action: &attempt.action,
                        reason,
                    };
                    rows.add(&tags, |row| {
                        row.attempts += 1;
                        row.unknown_cost_attempts += i64::from(!cost.known);
                        row.other_cost_nanos += i128::from(other_costs(attempt));
                        *match bucket {
                            "pending" => &mut row.pending_nanos,
                            "lost" => &mut row.lost_nanos,
                            "free" => &mut row.free_nanos,
                            "retry" => &mut row.retry_nanos,
                            _ => &mut row.won_nanos,
                        } += i128::from(cost.nanos);
                    });
                }

                if verdict == "pending" {
                    continue;
                }
                let named = judgement.win.as_ref().map_or(judgement.last, |win| win.answer);
                let priced_at = judgement.win.as_ref().map_or(judgement.at, |win| win.settles_at);
                let contract = in_force(&self.traffic.contracts, case.customer, priced_at);
                let outcome = Tags {
                    at: judgement.at,
                    currency: contract.map_or("XXX", |contract| &contract.currency),
                    customer: case.customer,
                    agent: &named.agent,
                    provider: "-",
                    model: &named.model,
                    action: &named.action,
                    reason: verdict_reason,
                };
                rows.add(&outcome, |row| {
                    *match verdict {
                        "confirmed" => &mut row.confirmed,
                        "assumed" => &mut row.assumed,
                        "failed" => &mut row.failed,
                        _ => &mut row.void,
                    } += 1;
                });
                for posting in self
                    .entries(case, episode)
                    .iter()
                    .filter(|posting| !self.is_in_trial(case.customer, posting))
                {
                    let revenue = Tags {
                        at: posting.effective_at,
                        currency: &posting.currency,
                        reason: None,
                        ..outcome
                    };
                    rows.add(&revenue, |row| row.revenue_nanos += i128::from(posting.amount_nanos));
                }
            }
        }
        for customer in self.customers() {
            let versions: Vec<Contract> = self.versions(customer).into_iter().cloned().collect();
            let currency = &self.versions(customer)[0].currency;
            for closed in self.closings(customer) {
                for (period, beyond_list) in closed.beyond_list {
                    if is_trial_by(&versions, &period) {
                        continue;
                    }
                    let (agent, provider, model, action, reason) = ("-", "-", "-", "-", None);
                    let at = period.end - 1;
                    let tags = Tags { at, currency, customer, agent, provider, model, action, reason };
                    rows.add(&tags, |row| row.revenue_nanos += beyond_list);
                }
            }
        }
        rows.rows
    }

    fn is_in_trial(&self, customer: &str, posting: &Posting) -> bool {
        let versions: Vec<Contract> = self.versions(customer).into_iter().cloned().collect();
        if versions.iter().all(|version| !version.shadow) {
            return false;
        }
        let mut periods = closed_periods(&versions, customer, posting.origin + 800 * DAY).into_iter();
        let period = periods.find(|period| posting.origin < period.end).expect("a period holds it");
        is_trial_by(&versions, &period)
    }
}
