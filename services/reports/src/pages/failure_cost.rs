//! The page of the failure-cost report.

use super::{currency_name, exact, grouped};
use crate::chart::{Chart, MOST_DAYS};
use crate::failure_cost::{FailureCost, GROUPINGS, Row};
use crate::rate::Rate;
use crate::text::rounded;
use askama::Template;
use verdict_domain::money::divide_half_away;
use verdict_store::attempts::UnknownCost;

/// What the report was asked for: the form shows it again, the links repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The first UTC day, such as `2026-10-01`.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// The name of the grouping.
    pub by: String,
    /// One customer, or all.
    pub customer: Option<String>,
}

#[derive(Template)]
#[template(path = "failure_cost.html")]
struct Page<'a> {
    filter: &'a Filter,
    report: &'a FailureCost,
    unknown: &'a [UnknownCost],
    currencies: Vec<InCurrency<'a>>,
    losses: Vec<Loss<'a>>,
    columns: &'static [Column],
    groupings: Vec<&'static str>,
}

/// The failure-cost report: `trend` is the same by day, `reasons` the same by reason, `unknown` whatever has no
/// price, on any day and of any customer.
pub fn failure_cost(
    report: &FailureCost,
    trend: &FailureCost,
    reasons: &FailureCost,
    unknown: &[UnknownCost],
    filter: &Filter,
) -> Result<String, askama::Error> {
    let currencies = report.totals.iter().map(|row| InCurrency {
        name: currency_name(&row.currency),
        row,
        tiles: tiles(row),
        chart: Chart::new(trend, &row.currency),
    });
    let page = Page {
        filter,
        report,
        unknown,
        currencies: currencies.collect(),
        losses: losses(reasons),
        columns: &COLUMNS,
        groupings: GROUPINGS.iter().map(|(name, _)| *name).collect(),
    };
    page.render()
}

impl Page<'_> {
    fn key<'a>(&self, row: &'a Row) -> &'a str {
        if self.report.by == "reason" { reason_text(&row.key) } else { &row.key }
    }
}

/// What the page says of one currency.
struct InCurrency<'a> {
    name: &'a str,
    row: &'a Row,
    tiles: Vec<Tile>,
    chart: Option<Chart<'a>>,
}

/// A key figure.
struct Tile {
    label: &'static str,
    definition: &'static str,
    value: String,
    note: String,
}

impl Tile {
    fn is_negative(&self) -> bool {
        self.value.starts_with('-')
    }
}

/// The key figures in money; none where there is only something to count.
fn tiles(row: &Row) -> Vec<Tile> {
    if row.cost_nanos == 0 && row.revenue_nanos == 0 && row.attempts == 0 {
        return Vec::new();
    }
    let money = |nanos: Option<i64>| nanos.map_or("–".into(), |nanos| rounded(nanos, &row.currency));
    let unless = |nanos: Option<i64>, note: &str| if nanos.is_some() { String::new() } else { note.into() };
    let failures = together(row);
    let part = share(failures, i128::from(row.cost_nanos));
    vec![
        Tile {
            label: "Revenue",
            definition: REVENUE,
            value: money(Some(row.revenue_nanos)),
            note: String::new(),
        },
        Tile { label: "Cost", definition: COST, value: money(Some(row.cost_nanos)), note: String::new() },
        Tile {
            label: "Margin",
            definition: MARGIN,
            value: money(row.margin_nanos),
            note: row.profit_per_attempt_nanos.map_or_else(
                || unless(row.margin_nanos, "money is in more than one currency"),
                |nanos| format!("{} for each attempt", rounded(nanos, &row.currency)),
            ),
        },
        Tile {
            label: "Cost of failures",
            definition: "Lost and retries together.",
            value: money(i64::try_from(failures).ok()),
            note: part.map_or("no cost".into(), |part| format!("{part} of cost")),
        },
        Tile {
            label: "Cost per resolution",
            definition: PER_RESOLUTION,
            value: money(row.cost_per_resolution_nanos),
            note: unless(row.cost_per_resolution_nanos, "no cost, or no resolution"),
        },
    ]
}

/// What failures cost: lost and retries.
fn together(row: &Row) -> i128 {
    i128::from(row.lost_nanos) + i128::from(row.retry_nanos)
}

/// A part of a whole in per cent, rounded to a tenth; none of a whole that is not positive.
fn share(part: i128, whole: i128) -> Option<String> {
    let permille = (whole > 0).then(|| divide_half_away(part * 1000, whole)).flatten()?;
    let sign = if permille < 0 { "-" } else { "" };
    Some(format!("{sign}{}.{} %", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10))
}

/// A reason for which money was lost.
struct Loss<'a> {
    row: &'a Row,
    retries: String,
    lost: String,
    together: String,
    share: String,
}

/// The reasons by currency, the most expensive first.
fn losses(reasons: &FailureCost) -> Vec<Loss<'_>> {
    // What is free was resolved: it is no loss.
    let is_loss =
        |row: &&Row| row.key != "-" && row.attempts != 0 && (together(row) != 0 || row.free_nanos == 0);
    let mut rows: Vec<&Row> = reasons.rows.iter().filter(is_loss).collect();
    rows.sort_by(|a, b| a.currency.cmp(&b.currency).then_with(|| together(b).cmp(&together(a))));
    let all = |currency: &str| reasons.totals.iter().find(|row| row.currency == currency).map_or(0, together);
    rows.into_iter()
        .map(|row| Loss {
            retries: rounded(row.retry_nanos, &row.currency),
            lost: rounded(row.lost_nanos, &row.currency),
            together: i64::try_from(together(row))
                .map_or("–".into(), |nanos| rounded(nanos, &row.currency)),
            share: share(together(row), all(&row.currency)).unwrap_or("–".into()),
            row,
        })
        .collect()
}

/// A reason as people say it.
pub(super) fn reason_text(reason: &str) -> &str {
    match reason {
        "-" => "no failure",
        "handoff" => "handed to a human",
        "negative_feedback" => "person said: not solved",
        "reopened" => "person came back",
        "no_answer" => "never answered",
        "unresolved" => "answered, not resolved",
        "silence" => "answered, then silence",
        "late_void" => "taken back after it had settled",
        "not_charged" => "the case is charged already",
        "dispute" => "dispute accepted",
        "agent_error" => "agent error",
        "provider_error" => "model provider error",
        "rate_limited" => "rate limited",
        "timeout" => "timeout",
        "tool_error" => "tool error",
        "refused" => "model refused",
        "unspecified" => "failed, no reason given",
        other => other,
    }
}

/// A column of figures.
struct Column {
    heading: &'static str,
    definition: &'static str,
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
    fn text(&self, row: &Row) -> String {
        match self.value {
            Value::Count(of) | Value::Bad(of) => grouped(&of(row)),
            Value::Money(of) => of(row).map_or("–".into(), |nanos| rounded(nanos, &row.currency)),
            Value::Rate(of) => of(row).map_or("–".into(), |rate| rate.shown()),
        }
    }

    fn class(&self, row: &Row) -> &'static str {
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

const REVENUE: &str = "Charges for outcomes less those taken back, on the day they take effect.";
const COST: &str = "Won, retries, free, lost and pending together. What is unknown is not in it.";
const MARGIN: &str = "Revenue less cost, where both are in one currency.";
const PER_ATTEMPT: &str =
    "Of decided attempts: the chance of success times the price, less the cost of a try.";
const SUCCESS: &str = "Confirmed and assumed outcomes among all that are decided; with the interval that holds the true rate in 95 of 100 cases.";
const PER_RESOLUTION: &str = "Cost over confirmed and assumed outcomes.";

/// The columns of the table, as they are grouped in its heading.
const COLUMNS: [Column; 17] = [
    Column {
        heading: "all",
        definition: "Attempts, on the day they ended.",
        value: Value::Count(|row| row.attempts),
    },
    Column {
        heading: "cost unknown",
        definition: "Attempts whose model cost is unknown: it is in no sum.",
        value: Value::Bad(|row| row.unknown_cost_attempts),
    },
    Column {
        heading: "won",
        definition: "Attempts of won and charged episodes that did not fail.",
        value: Value::Money(|row| Some(row.won_nanos)),
    },
    Column {
        heading: "retries",
        definition: "Failed attempts of charged episodes that were won in the end.",
        value: Value::Money(|row| Some(row.retry_nanos)),
    },
    Column {
        heading: "free",
        definition: "Attempts of episodes that were resolved and are not charged: the case is charged already, or a dispute was accepted.",
        value: Value::Money(|row| Some(row.free_nanos)),
    },
    Column {
        heading: "lost",
        definition: "Attempts of episodes that failed, or whose outcome was taken back.",
        value: Value::Money(|row| Some(row.lost_nanos)),
    },
    Column {
        heading: "pending",
        definition: "Attempts of episodes that are not decided yet.",
        value: Value::Money(|row| Some(row.pending_nanos)),
    },
    Column { heading: "total", definition: COST, value: Value::Money(|row| Some(row.cost_nanos)) },
    Column {
        heading: "confirmed",
        definition: "Outcomes that somebody affirmed, on the day they settled.",
        value: Value::Count(|row| row.confirmed),
    },
    Column {
        heading: "assumed",
        definition: "Outcomes that nobody complained of, on the day they settled.",
        value: Value::Count(|row| row.assumed),
    },
    Column {
        heading: "failed",
        definition: "Episodes that were not won, on the day that was decided.",
        value: Value::Count(|row| row.failed),
    },
    Column {
        heading: "void",
        definition: "Outcomes that had settled and were taken back, on the day of that.",
        value: Value::Count(|row| row.void),
    },
    Column { heading: "revenue", definition: REVENUE, value: Value::Money(|row| Some(row.revenue_nanos)) },
    Column { heading: "margin", definition: MARGIN, value: Value::Money(|row| row.margin_nanos) },
    Column {
        heading: "cost per resolution",
        definition: PER_RESOLUTION,
        value: Value::Money(|row| row.cost_per_resolution_nanos),
    },
    Column {
        heading: "profit per attempt",
        definition: PER_ATTEMPT,
        value: Value::Money(|row| row.profit_per_attempt_nanos),
    },
    Column { heading: "success", definition: SUCCESS, value: Value::Rate(|row| row.success) },
];
