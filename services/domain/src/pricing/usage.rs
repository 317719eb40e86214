//! Attempts at their model's real cost and a mark-up: two lines, so that who pays sees both.

use super::{HUNDRED, Item, share, times};
use crate::contract::{Contract, Usage, in_force};
use crate::money::{self, Currency, Money, MoneyError};
use crate::time::Timestamp;
use std::collections::BTreeSet;

/// The attempts of an action that a contract version charges as usage, of one period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Used {
    /// How many there are.
    pub requests: i64,
    /// Of these, those whose cost is known, and in the contract's currency.
    pub known: i64,
    /// What the known ones cost, in nanos.
    pub cost: i64,
    /// Of the known ones, those that bear a mark-up: the sender did not estimate their tokens.
    pub marked: i64,
    /// What these cost, in nanos.
    pub marked_cost: i64,
    /// Where the known costs are from: `reported`, or a price book's version.
    pub sources: BTreeSet<String>,
}

impl Used {
    /// Adds an attempt: what it cost in the contract's currency, whether its tokens were estimated, and where the cost is from. `None` if a sum
    /// overflows.
    pub fn add(&mut self, cost: Option<i64>, estimated: bool, source: Option<String>) -> Option<()> {
        self.requests = self.requests.checked_add(1)?;
        if let Some(cost) = cost {
            self.known = self.known.checked_add(1)?;
            self.cost = self.cost.checked_add(cost)?;
            if !estimated {
                self.marked = self.marked.checked_add(1)?;
                self.marked_cost = self.marked_cost.checked_add(cost)?;
            }
            self.sources.extend(source);
        }
        Some(())
    }
}

/// The version that charges an attempt of an action as usage, by when it ended; `None` if none does.
pub fn used_by<'a>(versions: &'a [Contract], action: &str, at: Timestamp) -> Option<&'a Contract> {
    in_force(versions, at).filter(|contract| contract.usage.iter().any(|usage| usage.action == action))
}

/// A line in the making: for what, how many, nanos, why.
type Line = (Item, i64, i64, String);

/// The lines of one action's usage: the cost, and the mark-up.
pub(super) fn lines(usage: &Usage, used: &Used, currency: Currency) -> Result<Vec<Line>, MoneyError> {
    let shown = |nanos: i64| Money { nanos, currency }.to_string();
    let mut lines = Vec::new();
    if used.requests != 0 || used.cost != 0 {
        let sources: Vec<&str> = used.sources.iter().map(String::as_str).collect();
        let mut why = format!("{} requests", used.known);
        if !sources.is_empty() {
            why.push_str(&format!(", cost by {}", sources.join(", ")));
        }
        let unknown = used.requests.checked_sub(used.known).ok_or(MoneyError::Overflow)?;
        if unknown != 0 {
            why.push_str(&format!("; {unknown} more of unknown cost, not charged"));
        }
        lines.push((Item::ModelCost { action: usage.action.clone() }, used.requests, used.cost, why));
    }
    let percent = usage.percent.as_deref().unwrap_or("0");
    let each = usage.per_request.as_deref().unwrap_or("0");
    let of_cost = share(used.marked_cost, money::parse_nanos(percent)?, HUNDRED)?;
    let nanos =
        of_cost.checked_add(times(money::parse_nanos(each)?, used.marked)?).ok_or(MoneyError::Overflow)?;
    if used.marked != 0 || nanos != 0 {
        let mut parts = Vec::new();
        if usage.percent.is_some() {
            parts.push(format!("{percent} % of {}", shown(used.marked_cost)));
        }
        if usage.per_request.is_some() {
            parts.push(format!("{} × {each}", used.marked));
        }
        let mut why = if parts.is_empty() { "none".to_string() } else { parts.join(" + ") };
        let estimated = used.known.checked_sub(used.marked).ok_or(MoneyError::Overflow)?;
        if estimated != 0 {
            why.push_str(&format!("; {estimated} with estimated tokens bear none"));
        }
        lines.push((Item::MarkUp { action: usage.action.clone() }, used.marked, nanos, why));
    }
    Ok(lines)
}
