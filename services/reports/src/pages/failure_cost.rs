//! The page of the failure-cost report.

mod columns;

use super::figures::{Better, Change, change};
use super::paging::{LINES, Numbered};
use super::{currency_name, encoded, exact, grouped};
use crate::behind::Asked;
use crate::beside::{Beside, Others};
use crate::chart::{Chart, MOST_DAYS};
use crate::failure_cost::{FailureCost, GROUPINGS, Row};
use crate::sort::Sort;
use crate::text::rounded;
use crate::view::Compare;
use askama::Template;
use columns::{COLUMNS, COST, Column, MARGIN, PER_RESOLUTION, REVENUE};
use verdict_domain::money::divide_half_away;
use verdict_domain::time::{day_text, parse_day};
use verdict_store::attempts::UnknownCost;
use verdict_store::figures::{CaseBehind, Slice};

/// What the report was asked for: the form shows it again, the links repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Of which figures.
    pub of: Slice,
    /// The name of the grouping.
    pub by: String,
    /// For somebody who sees this one view and nothing else: without links and forms.
    pub is_shared: bool,
    /// The order of the rows, if it is not that of their names.
    pub sort: Option<Sort>,
    /// With which days it is compared.
    pub compare: Compare,
    /// Which page of the rows, the first being 1.
    pub page: usize,
}

impl Filter {
    /// What is asked for beside days and customer: name and value.
    fn narrowed(&self) -> Vec<(&'static str, &str)> {
        let of = &self.of;
        let said =
            [("agent", &of.agent), ("provider", &of.provider), ("model", &of.model), ("action", &of.action)];
        said.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }

    /// What other pages of figures are asked with, so that they show the same days and the same part.
    fn kept(&self) -> String {
        let customer = self.of.customer.as_deref().map(|customer| ("customer", customer));
        let more = customer.into_iter().chain(self.narrowed());
        let more: String = more.map(|(name, value)| format!("&{name}={}", encoded(value))).collect();
        let (from, to) = (day_text(self.of.from), day_text(self.of.to));
        format!("from={from}&to={to}{}{more}", self.compared())
    }

    /// With which days it is compared, as addresses say it: also what is usual, since of files nothing is.
    fn compared(&self) -> String {
        match self.compare {
            Compare::Days(from, to) => {
                format!("&compare_from={}&compare_to={}", day_text(from), day_text(to))
            }
            other => format!("&compare={}", other.name()),
        }
    }

    /// The days of one's own choice.
    fn own(&self) -> Option<(String, String)> {
        match self.compare {
            Compare::Days(from, to) => Some((day_text(from), day_text(to))),
            _ => None,
        }
    }

    /// The choices of the form, and which is taken.
    fn comparisons(&self) -> [(&'static str, &'static str, bool); 4] {
        Compare::CHOICES.map(|(name, text)| (name, text, self.compare.name() == name))
    }

    /// The query of the same with another grouping, but for the order.
    fn asked(&self, by: &str) -> String {
        format!("{}&by={}", self.kept(), encoded(by))
    }

    /// The query of the same with another grouping.
    fn query(&self, by: &str) -> String {
        let sort = self.sort.map(|sort| format!("&sort={sort}")).unwrap_or_default();
        self.asked(by) + &sort
    }

    /// The address of another page of the rows. A view that is shared has no address but its own.
    fn page(&self, number: usize) -> String {
        let page = if number == 1 { String::new() } else { format!("&page={number}") };
        match self.is_shared {
            true => format!("?{}#rows", page.trim_start_matches('&')),
            false => format!("/reports/failure-cost?{}{page}#rows", self.query(&self.by)),
        }
    }
}

#[derive(Template)]
#[template(path = "failure_cost.html")]
struct Page<'a> {
    filter: &'a Filter,
    report: &'a FailureCost,
    before: Option<&'a FailureCost>,
    others: Option<Others<'a>>,
    rows: Numbered<'a, Row>,
    unknown: &'a [UnknownCost],
    currencies: Vec<InCurrency<'a>>,
    losses: Vec<Loss<'a>>,
    dearest: &'a [CaseBehind],
    columns: &'static [Column],
    groupings: Vec<&'static str>,
}

/// The failure-cost report beside itself in other days: `trend` is the same by day, `reasons` the same by reason, `unknown` whatever has no
/// price, on any day and of any customer, `dearest` the lost cases that cost most.
pub fn failure_cost(
    beside: &Beside,
    trend: &FailureCost,
    reasons: &FailureCost,
    unknown: &[UnknownCost],
    dearest: &[CaseBehind],
    filter: &Filter,
) -> Result<String, askama::Error> {
    let (report, others) = (&beside.now, beside.others());
    let currencies = report.totals.iter().map(|row| InCurrency {
        name: currency_name(&row.currency),
        row,
        tiles: tiles(row, others.as_ref().and_then(|others| others.of_total(row))),
        chart: Chart::new(trend, &row.currency),
    });
    let page = Page {
        filter,
        report,
        before: beside.before.as_ref(),
        rows: Numbered::of(&report.rows, filter.page, |number| filter.page(number)),
        unknown,
        currencies: currencies.collect(),
        losses: losses(reasons),
        dearest,
        columns: &COLUMNS,
        groupings: GROUPINGS.iter().map(|(name, _)| *name).collect(),
        others,
    };
    page.render()
}

/// How a column of the table is sorted, for `aria-sort`.
const ASCENDING: &str = "ascending";
const DESCENDING: &str = "descending";

impl Page<'_> {
    /// How the table is sorted by a column, if it is.
    fn sorted(&self, column: &str) -> Option<&'static str> {
        match self.filter.sort {
            Some(sort) if sort.column == column => Some(if sort.descending { DESCENDING } else { ASCENDING }),
            None if column == "key" => Some(ASCENDING),
            _ => None,
        }
    }

    /// What a click on a column's heading asks for: the other direction; at first names from the beginning, figures from the
    /// largest.
    fn next_sort(&self, column: &'static str) -> Sort {
        let descending = match self.sorted(column) {
            Some(sorted) => sorted == ASCENDING,
            None => column != "key",
        };
        Sort { column, descending }
    }

    fn key<'a>(&self, row: &'a Row) -> &'a str {
        if self.report.by == "reason" { reason_text(&row.key) } else { &row.key }
    }

    /// The cases behind a figure of the report, as an address.
    fn cases(&self, figure: &'static str, currency: &str) -> String {
        let currency = Some(currency.to_string());
        format!("/cases?{}", Asked { figure, currency, ..Asked::of(self.filter.of.clone()) }.query())
    }

    /// What became of a cell since the other days.
    fn change(&self, column: &Column, row: &Row) -> Option<Change> {
        column.change(row, self.others.as_ref()?.of_row(row)?)
    }

    /// The same of a total.
    fn change_of_total(&self, column: &Column, row: &Row) -> Option<Change> {
        column.change(row, self.others.as_ref()?.of_total(row)?)
    }

    /// The same of the column of this name.
    fn change_named(&self, name: &str, row: &Row) -> Option<Change> {
        self.change_of_total(COLUMNS.iter().find(|column| column.name == name)?, row)
    }

    /// All lost cases.
    fn lost_cases(&self) -> String {
        format!("/cases?{}", Asked { figure: "lost", ..Asked::of(self.filter.of.clone()) }.query())
    }

    /// Those behind what was lost for a reason.
    fn cases_of_reason(&self, figure: &'static str, row: &Row) -> String {
        let of = self.filter.of.clone();
        let (currency, reason) = (Some(row.currency.clone()), Some(row.key.clone()));
        format!("/cases?{}", Asked { figure, currency, reason, ..Asked::of(of) }.query())
    }

    /// What is behind a cell of the table; nothing is behind one without a value.
    fn behind(&self, column: &Column, row: &Row) -> Option<String> {
        let figure = match column.heading {
            "all" | "cost unknown" | "total" | "cost per resolution" | "profit per attempt" => "cost",
            "retries" => "retry",
            "success" => "decided",
            name => Asked::figure(name).ok()?,
        };
        if self.filter.is_shared || column.text(row) == "–" {
            return None;
        }
        let mut asked =
            Asked { figure, currency: Some(row.currency.clone()), ..Asked::of(self.filter.of.clone()) };
        if row.key != "total" || self.report.rows.iter().any(|other| std::ptr::eq(other, row)) {
            let (of, key) = (&mut asked.of, Some(row.key.clone()));
            match self.report.by.as_str() {
                "customer" => of.customer = key,
                "agent" => of.agent = key,
                "provider" => of.provider = key,
                "model" => of.model = key,
                "action" => of.action = key,
                "reason" => asked.reason = key,
                _ => {
                    let day = parse_day(&row.key)?;
                    (of.from, of.to) = (day, day + 1);
                }
            }
        }
        // Averages and rates are of all currencies of their group.
        if matches!(column.heading, "success") {
            asked.currency = None;
        }
        Some(format!("/cases?{}", asked.query()))
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
    change: Option<Change>,
    note: String,
    /// The figure whose cases are behind it; empty where none are.
    behind: &'static str,
}

impl Tile {
    fn is_negative(&self) -> bool {
        self.value.starts_with('-')
    }
}

/// The key figures in money, beside those of other days; none where there is only something to count.
fn tiles(row: &Row, before: Option<&Row>) -> Vec<Tile> {
    let has_money = |row: &Row| row.cost_nanos != 0 || row.revenue_nanos != 0 || row.attempts != 0;
    if !has_money(row) && !before.is_some_and(has_money) {
        return Vec::new();
    }
    let shown = |nanos| rounded(nanos, &row.currency);
    let changed = |of: fn(&Row) -> Option<i64>, better| {
        before.and_then(|before| change(of(row), of(before), better, shown))
    };
    let money = |nanos: Option<i64>| nanos.map_or("–".into(), |nanos| rounded(nanos, &row.currency));
    let unless = |nanos: Option<i64>, note: &str| if nanos.is_some() { String::new() } else { note.into() };
    let failures = together(row);
    let part = share(failures, i128::from(row.cost_nanos));
    vec![
        Tile {
            label: "Revenue",
            definition: REVENUE,
            value: money(Some(row.revenue_nanos)),
            change: changed(|row| Some(row.revenue_nanos), Better::More),
            note: String::new(),
            behind: "revenue",
        },
        Tile {
            label: "Cost",
            definition: COST,
            value: money(Some(row.cost_nanos)),
            change: changed(|row| Some(row.cost_nanos), Better::Neither),
            note: String::new(),
            behind: "cost",
        },
        Tile {
            label: "Margin",
            definition: MARGIN,
            value: money(row.one_currency.margin_nanos),
            change: changed(|row| row.one_currency.margin_nanos, Better::More),
            note: margin_note(row),
            behind: "",
        },
        Tile {
            label: "Cost of failures",
            definition: "Lost and retries together.",
            value: money(i64::try_from(failures).ok()),
            change: changed(|row| i64::try_from(together(row)).ok(), Better::Less),
            note: part.map_or("no cost".into(), |part| format!("{part} of cost")),
            behind: "failures",
        },
        Tile {
            label: "Cost per resolution",
            definition: PER_RESOLUTION,
            value: money(row.cost_per_resolution_nanos),
            change: changed(|row| row.cost_per_resolution_nanos, Better::Less),
            note: unless(row.cost_per_resolution_nanos, "no cost, or no resolution"),
            behind: "cost",
        },
    ]
}

/// What a margin rests on: what is of customers whose money is in several currencies is told by itself, and never converted.
fn margin_note(row: &Row) -> String {
    let (unit, shown) = (&row.one_currency, |nanos| rounded(nanos, &row.currency));
    let each = unit.profit_per_attempt_nanos.map(|nanos| format!("{} for each attempt", shown(nanos)));
    if !unit.leaves_out {
        return each.unwrap_or_default();
    }
    let rest = (row.revenue_nanos.checked_sub(unit.revenue_nanos))
        .zip(row.cost_nanos.checked_sub(unit.cost_nanos))
        .map(|(revenue, cost)| format!(": revenue {}, cost {}", shown(revenue), shown(cost)));
    let left_out =
        format!("without customers with money in more than one currency{}", rest.unwrap_or_default());
    each.into_iter().chain([left_out]).collect::<Vec<String>>().join("; ")
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
        "trial" => "a trial: nothing is billed",
        "included" => "included in the price",
        "cap" => "beyond the cap",
        "zero_price" => "at a price of 0",
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
