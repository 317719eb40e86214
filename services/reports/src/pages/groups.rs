//! The pages of groups: customers, agents, models, actions, each beside itself in other days.

use super::figures::{Better, Change, Frame, cases_href, change, money, narrowed_to, percent, points};
use super::paging::Numbered;
use super::{currency_name, grouped};
use crate::definitions::{Definition, definition};
use crate::overview::{Groups, Line};
use crate::rate::Rate;
use crate::text::rounded;
use crate::unit::Measured;
use crate::view::{View, slice_query};
use askama::Template;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A column of figures, and how it is shown.
struct Column {
    name: &'static str,
    heading: &'static str,
    id: &'static str,
    value: fn(&Measured) -> Option<i64>,
    better: Better,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Count,
    Money,
    Margin,
    Rate,
}

const fn column(
    name: &'static str,
    heading: &'static str,
    id: &'static str,
    value: fn(&Measured) -> Option<i64>,
    better: Better,
    kind: Kind,
) -> Column {
    Column { name, heading, id, value, better, kind }
}

const COLUMNS: [Column; 8] = [
    column("attempts", "attempts", "attempts", |of| Some(of.row.attempts), Better::Neither, Kind::Count),
    column(
        "success",
        "success",
        "success",
        |of| of.row.success.map(|rate| rate.permille),
        Better::More,
        Kind::Rate,
    ),
    column("cost", "cost", "cost", |of| Some(of.row.cost_nanos), Better::Neither, Kind::Money),
    column(
        "failure_cost",
        "cost of failures",
        "failure-cost",
        |of| of.failure_nanos,
        Better::Less,
        Kind::Money,
    ),
    column("revenue", "revenue", "revenue", |of| Some(of.row.revenue_nanos), Better::More, Kind::Money),
    column("margin", "margin", "margin", |of| of.row.one_currency.margin_nanos, Better::More, Kind::Margin),
    column(
        "loaded_cost",
        "loaded cost per outcome",
        "loaded-cost",
        |of| of.loaded_cost_nanos,
        Better::Less,
        Kind::Money,
    ),
    column(
        "profit",
        "profit per attempt",
        "profit",
        |of| of.row.one_currency.profit_per_attempt_nanos,
        Better::More,
        Kind::Money,
    ),
];

/// The default: what loses most stands first.
const DEFAULT_SORT: &str = "margin";

/// Refuses a column that is none; the message names those there are.
pub fn check_sort(sort: &str) -> Result<(), String> {
    let name = sort.strip_prefix('-').unwrap_or(sort);
    if name == "name" || COLUMNS.iter().any(|column| column.name == name) {
        return Ok(());
    }
    let names: Vec<&str> = COLUMNS.iter().map(|column| column.name).collect();
    Err(format!("sort: `{sort}` is none of name, {}, or one of these after a `-`", names.join(", ")))
}

#[derive(Template)]
#[template(path = "groups.html")]
struct Page<'a> {
    frame: Frame<'a>,
    groups: &'a Groups,
    heads: Vec<Head>,
    rows: Numbered<'a, &'a Line>,
    lines: Vec<Shown<'a>>,
    totals: Vec<Shown<'a>>,
    losing: usize,
    leaves_out: bool,
    with_fee: bool,
    csv: String,
}

/// A heading that sorts.
struct Head {
    text: &'static str,
    definition: Option<Definition>,
    href: String,
    sorted: &'static str,
}

/// A line as it is shown.
struct Shown<'a> {
    line: &'a Line,
    cells: Vec<Cell>,
    overview: String,
    failures: String,
    cases: String,
}

struct Cell {
    text: String,
    class: &'static str,
    notes: Vec<String>,
    change: Option<Change>,
    /// From where to where of the width, in hundredths, and the zero.
    bar: Option<(i64, i64, i64)>,
    /// The interval of a rate and the rate itself, in tenths of a per cent.
    rate: Option<Rate>,
}

/// The page of a grouping: customers, agents, models or actions. `number`: which page of its lines.
pub fn groups(groups: &Groups, view: &View, number: usize, today: i64) -> Result<String, askama::Error> {
    let page = match groups.by.as_str() {
        "customer" => "/customers",
        "agent" => "/agents",
        "action" => "/actions",
        _ => "/models",
    };
    let sort = view.sort.as_deref().unwrap_or(DEFAULT_SORT);
    let (name, downward) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
    let mut lines: Vec<&Line> = groups.lines.iter().collect();
    lines.sort_by(|a, b| {
        let currency = a.now.row.currency.cmp(&b.now.row.currency);
        let by = match COLUMNS.iter().find(|column| column.name == name) {
            Some(column) => compare((column.value)(&a.now), (column.value)(&b.now), downward),
            None if downward => b.now.row.key.cmp(&a.now.row.key),
            None => a.now.row.key.cmp(&b.now.row.key),
        };
        // Money of two currencies has no order.
        currency.then(by).then_with(|| a.now.row.key.cmp(&b.now.row.key))
    });
    let rows = Numbered::of(&lines, number, |to| match to {
        1 => format!("{page}?{}#rows", view.query()),
        _ => format!("{page}?{}&page={to}#rows", view.query()),
    });
    let ranges = margin_ranges(groups);
    let shown = |line: &'_ Line| Shown::cells(line, &ranges);
    let head = |column: &str, text, definition| {
        let is_sorted = column == name;
        // What is best or most first, and the other way round at the second click.
        let next = if is_sorted && downward { column.into() } else { format!("-{column}") };
        let sorted = View { sort: Some(next), ..view.clone() };
        Head {
            text,
            definition,
            href: format!("{page}?{}#rows", sorted.query()),
            sorted: match (is_sorted, downward) {
                (false, _) => "",
                (true, false) => "ascending",
                (true, true) => "descending",
            },
        }
    };
    let mut heads = vec![head("name", name_of(&groups.by), None)];
    heads.extend(COLUMNS.iter().map(|column| head(column.name, column.heading, Some(definition(column.id)))));
    let page = Page {
        heads,
        losing: groups.lines.iter().filter(|line| line.is_losing()).count(),
        leaves_out: groups.lines.iter().any(|line| line.now.row.one_currency.leaves_out),
        with_fee: groups.lines.iter().any(|line| line.now.stripe_fee_nanos.is_some()),
        lines: rows
            .lines
            .iter()
            .map(|line| Shown { cells: shown(line), ..Shown::new(line, groups, view) })
            .collect(),
        totals: groups
            .totals
            .iter()
            .map(|line| Shown { cells: shown(line), ..Shown::new(line, groups, view) })
            .collect(),
        csv: format!("/v1/reports/failure-cost?{}&by={}&format=csv", slice_query(&view.of), groups.by),
        frame: Frame::new(page, view, today),
        groups,
        rows,
    };
    page.render()
}

fn name_of(by: &str) -> &'static str {
    match by {
        "customer" => "customer",
        "agent" => "agent",
        "action" => "action",
        _ => "model",
    }
}

/// In order; what has no value comes last, whichever way.
fn compare(a: Option<i64>, b: Option<i64>, downward: bool) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if downward => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

impl<'a> Shown<'a> {
    fn new(line: &'a Line, groups: &Groups, view: &View) -> Self {
        let one = narrowed_to(view, &groups.by, &line.now.row.key);
        Self {
            line,
            cells: Vec::new(),
            overview: format!("/overview?{}", one.query()),
            failures: format!("/reports/failure-cost?{}&by=reason", slice_query(&one.of)),
            cases: cases_href(&one.of, &[]),
        }
    }

    fn cells(line: &Line, ranges: &BTreeMap<&str, (i64, i64)>) -> Vec<Cell> {
        let (row, currency) = (&line.now.row, line.now.row.currency.as_str());
        let is_total = row.key == "total";
        let cell = |column: &Column| {
            let (now, before) = ((column.value)(&line.now), line.before.as_ref().and_then(column.value));
            let text = |value: i64| match column.kind {
                Kind::Count => grouped(&value),
                Kind::Rate => percent(value),
                Kind::Money | Kind::Margin => rounded(value, currency),
            };
            let mut notes = Vec::new();
            let rate = row.success.filter(|_| column.kind == Kind::Rate);
            if let Some(rate) = rate {
                notes.push(rate.interval());
                if rate.is_of_few() {
                    notes.push(format!("few: {} decided", rate.decided));
                }
            }
            if column.name == "attempts" && row.unknown_cost_attempts > 0 {
                notes.push(format!("cost unknown: {}", grouped(&row.unknown_cost_attempts)));
            }
            let is_margin = column.kind == Kind::Margin;
            if is_margin && now.is_some_and(|nanos| nanos < 0) {
                notes.push("loss-making".into());
            }
            if is_margin && row.one_currency.leaves_out {
                notes.push(if now.is_some() { "in part" } else { "several currencies" }.into());
            }
            Cell {
                text: match column.kind {
                    Kind::Count | Kind::Rate => now.map_or("–".into(), text),
                    Kind::Money | Kind::Margin => money(now, currency),
                },
                class: match now {
                    None | Some(0) => "zero",
                    Some(value) if value < 0 => "negative",
                    _ if rate.is_some_and(|rate| rate.is_of_few()) => "zero",
                    _ => "",
                },
                notes,
                change: match column.kind {
                    Kind::Rate => now.zip(before).map(|(now, before)| points(now, before)),
                    _ => change(now, before, column.better, text),
                },
                bar: (is_margin && !is_total).then(|| bar(now?, *ranges.get(currency)?)).flatten(),
                rate,
            }
        };
        COLUMNS.iter().map(cell).collect()
    }

    /// What stands before the name of a line in words, not by colour.
    fn is_losing(&self) -> bool {
        self.line.is_losing()
    }
}

impl Cell {
    /// A position of the interval, in per cent of the width.
    fn at(&self, permille: &i64) -> String {
        format!("{}.{}%", permille / 10, permille % 10)
    }
}

/// From where to where the margins of each currency reach, zero among them.
fn margin_ranges(groups: &Groups) -> BTreeMap<&str, (i64, i64)> {
    let mut ranges: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for row in groups.lines.iter().map(|line| &line.now.row) {
        if let Some(nanos) = row.one_currency.margin_nanos {
            let (low, high) = ranges.entry(&row.currency).or_default();
            (*low, *high) = (nanos.min(*low), nanos.max(*high));
        }
    }
    ranges
}

/// Where the bar of a margin begins and how wide it is, beside all others of the currency, and where the zero is: in
/// hundredths of the width.
fn bar(nanos: i64, (low, high): (i64, i64)) -> Option<(i64, i64, i64)> {
    let range = i128::from(high) - i128::from(low);
    if range == 0 {
        return None;
    }
    let at = |nanos: i64| i64::try_from((i128::from(nanos) - i128::from(low)) * 100 / range).ok();
    let (zero, end) = (at(0)?, at(nanos)?);
    Some((zero.min(end), (zero - end).abs().max(1), zero))
}
