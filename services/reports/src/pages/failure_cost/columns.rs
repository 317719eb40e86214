//! The columns of the table: what each holds, how it is shown and what it means.

use super::super::figures::{Better, Change, change, points};
use super::super::grouped;
use crate::failure_cost::Row;
use crate::rate::Rate;
use crate::text::rounded;

/// A column of figures.
pub(super) struct Column {
    /// As the report's JSON calls it, by which it is sorted.
    pub name: &'static str,
    pub heading: &'static str,
    pub definition: &'static str,
    value: Value,
}

enum Value {
    Count(fn(&Row) -> i64),
    /// A count that should be zero.
    Bad(fn(&Row) -> i64),
    Money(fn(&Row) -> Option<i64>),
    Rate(fn(&Row) -> Option<Rate>),
}

impl Column {
    pub fn change(&self, row: &Row, before: &Row) -> Option<Change> {
        let better = match self.name {
            "confirmed" | "revenue_nanos" | "margin_nanos" | "profit_per_attempt_nanos" => Better::More,
            "unknown_cost_attempts"
            | "retry_nanos"
            | "lost_nanos"
            | "failed"
            | "void"
            | "cost_per_resolution_nanos" => Better::Less,
            _ => Better::Neither,
        };
        match self.value {
            Value::Count(of) | Value::Bad(of) => {
                change(Some(of(row)), Some(of(before)), better, |count| grouped(&count))
            }
            Value::Money(of) => change(of(row), of(before), better, |nanos| rounded(nanos, &row.currency)),
            Value::Rate(of) => Some(points(of(row)?.permille, of(before)?.permille)),
        }
    }

    pub fn text(&self, row: &Row) -> String {
        match self.value {
            Value::Count(of) | Value::Bad(of) => grouped(&of(row)),
            Value::Money(of) => of(row).map_or("–".into(), |nanos| rounded(nanos, &row.currency)),
            Value::Rate(of) => of(row).map_or("–".into(), |rate| rate.shown()),
        }
    }

    pub fn class(&self, row: &Row) -> &'static str {
        match self.value {
            Value::Bad(of) if of(row) != 0 => "unknown",
            Value::Count(of) | Value::Bad(of) if of(row) == 0 => "zero",
            Value::Rate(of) if of(row).is_none_or(|rate| rate.is_of_few()) => "zero",
            Value::Money(of) if of(row).is_none_or(|nanos| nanos == 0) => "zero",
            Value::Money(of) if of(row).is_some_and(|nanos| nanos < 0) => "negative",
            _ => "",
        }
    }
}

pub(super) const REVENUE: &str =
    "Charges for outcomes less those taken back, on the day they take effect; trials are none.";
pub(super) const COST: &str = "Won, retries, free, lost and pending together. What is unknown is not in it.";
pub(super) const MARGIN: &str = "Revenue less cost, where both are in one currency.";
const PER_ATTEMPT: &str =
    "Of decided attempts: the chance of success times the price, less the cost of a try.";
const SUCCESS: &str = "Confirmed and assumed outcomes among all that are decided; with the interval that holds the true rate in 95 of 100 cases.";
pub(super) const PER_RESOLUTION: &str = "Cost over confirmed and assumed outcomes.";

/// The columns, as they are grouped in the table's heading.
pub(super) const COLUMNS: [Column; 17] = [
    Column {
        name: "attempts",
        heading: "all",
        definition: "Attempts, on the day they ended.",
        value: Value::Count(|row| row.attempts),
    },
    Column {
        name: "unknown_cost_attempts",
        heading: "cost unknown",
        definition: "Attempts whose model cost is unknown: it is in no sum.",
        value: Value::Bad(|row| row.unknown_cost_attempts),
    },
    Column {
        name: "won_nanos",
        heading: "won",
        definition: "Attempts of won and billed episodes that did not fail.",
        value: Value::Money(|row| Some(row.won_nanos)),
    },
    Column {
        name: "retry_nanos",
        heading: "retries",
        definition: "Failed attempts of billed episodes that were won in the end.",
        value: Value::Money(|row| Some(row.retry_nanos)),
    },
    Column {
        name: "free_nanos",
        heading: "free",
        definition: "Attempts of episodes that were resolved and are not billed: included in the price, beyond the cap, in a trial, at a price of 0, the case is charged already, or a dispute was accepted.",
        value: Value::Money(|row| Some(row.free_nanos)),
    },
    Column {
        name: "lost_nanos",
        heading: "lost",
        definition: "Attempts of episodes that failed, or whose outcome was taken back.",
        value: Value::Money(|row| Some(row.lost_nanos)),
    },
    Column {
        name: "pending_nanos",
        heading: "pending",
        definition: "Attempts of episodes that are not decided yet.",
        value: Value::Money(|row| Some(row.pending_nanos)),
    },
    Column {
        name: "cost_nanos",
        heading: "total",
        definition: COST,
        value: Value::Money(|row| Some(row.cost_nanos)),
    },
    Column {
        name: "confirmed",
        heading: "confirmed",
        definition: "Outcomes that somebody affirmed, on the day they settled.",
        value: Value::Count(|row| row.confirmed),
    },
    Column {
        name: "assumed",
        heading: "assumed",
        definition: "Outcomes that nobody complained of, on the day they settled.",
        value: Value::Count(|row| row.assumed),
    },
    Column {
        name: "failed",
        heading: "failed",
        definition: "Episodes that were not won, on the day that was decided.",
        value: Value::Count(|row| row.failed),
    },
    Column {
        name: "void",
        heading: "void",
        definition: "Outcomes that had settled and were taken back, on the day of that.",
        value: Value::Count(|row| row.void),
    },
    Column {
        name: "revenue_nanos",
        heading: "revenue",
        definition: REVENUE,
        value: Value::Money(|row| Some(row.revenue_nanos)),
    },
    Column {
        name: "margin_nanos",
        heading: "margin",
        definition: MARGIN,
        value: Value::Money(|row| row.margin_nanos),
    },
    Column {
        name: "cost_per_resolution_nanos",
        heading: "cost per resolution",
        definition: PER_RESOLUTION,
        value: Value::Money(|row| row.cost_per_resolution_nanos),
    },
    Column {
        name: "profit_per_attempt_nanos",
        heading: "profit per attempt",
        definition: PER_ATTEMPT,
        value: Value::Money(|row| row.profit_per_attempt_nanos),
    },
    Column {
        name: "success",
        heading: "success",
        definition: SUCCESS,
        value: Value::Rate(|row| row.success),
    },
];
