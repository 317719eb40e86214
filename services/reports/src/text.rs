//! The report as a table for a terminal, and as CSV.

use crate::beside::Beside;
use crate::failure_cost::{FailureCost, Row};
use verdict_domain::money::{self, decimal};

pub(crate) const HEADINGS: [&str; 18] = [
    "currency",
    "attempts",
    "unknown cost",
    "won",
    "retries",
    "free",
    "lost",
    "pending",
    "cost",
    "confirmed",
    "assumed",
    "failed",
    "void",
    "revenue",
    "margin",
    "cost/resolution",
    "profit/attempt",
    "success",
];

/// A table with aligned columns; money to the currency's own decimals, at least two. Below it that of the days it is compared
/// with, if it is.
pub fn table(report: &Beside) -> String {
    let mut text = one_table(&report.now);
    if let Some(before) = &report.before {
        text.push_str("\nCompared with:\n");
        text.push_str(&one_table(before));
    }
    text
}

fn one_table(report: &FailureCost) -> String {
    let mut heading = vec![report.by.clone()];
    heading.extend(HEADINGS.iter().map(|text| text.to_string()));
    let mut lines = vec![heading];
    lines.extend(report.rows.iter().chain(&report.totals).map(|row| cells(row, rounded)));
    let lines = aligned(&lines, 2);
    let rule = "-".repeat(lines.iter().map(|line| line.chars().count()).max().unwrap_or(0));
    let mut text = format!("Failure cost, {} to {} (UTC, end excluded)\n\n", report.from, report.to);
    for (nth, line) in lines.iter().enumerate() {
        if nth == lines.len() - report.totals.len() || nth == 1 {
            text.push_str(&format!("{rule}\n"));
        }
        text.push_str(&format!("{line}\n"));
    }
    text
}

/// Lines of cells as lines of text, each column as wide as its widest cell: the first `words` columns begin together, the others,
/// numbers, end together. All lines have the same number of cells.
pub(crate) fn aligned(lines: &[Vec<String>], words: usize) -> Vec<String> {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            _ if column < words => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    lines.iter().map(padded).collect()
}

/// CSV (RFC 4180); money as exact decimals, one row a group and currency, then the totals. Where it is compared, the figures of
/// the other days follow in columns of their own (`before_attempts` and so on); empty ones where there is nothing to stand beside.
pub fn csv(report: &Beside) -> String {
    let others = report.others();
    let now = &report.now;
    let mut headings: Vec<String> = vec![now.by.clone()];
    headings.extend(HEADINGS.iter().map(|name| name.replace(' ', "_")));
    if others.is_some() {
        headings.extend(HEADINGS[1..].iter().map(|name| format!("before_{}", name.replace(' ', "_"))));
    }
    let mut text = headings.join(",") + "\r\n";
    let told = |row: &Row| cells(row, |nanos, _| decimal(nanos, 2));
    let mut line = |row: &Row, before: Option<&Row>| {
        let mut cells = told(row);
        if others.is_some() {
            let none = || vec![String::new(); HEADINGS.len() - 1];
            cells.extend(before.map_or_else(none, |before| told(before).split_off(2)));
        }
        text.push_str(&csv_line(cells));
    };
    for row in &now.rows {
        line(row, others.as_ref().and_then(|others| others.of_row(row)));
    }
    for row in &now.totals {
        line(row, others.as_ref().and_then(|others| others.of_total(row)));
    }
    text
}

fn cells(row: &Row, money: fn(i64, &str) -> String) -> Vec<String> {
    let known = |nanos: Option<i64>| nanos.map_or(String::new(), |nanos| money(nanos, &row.currency));
    let money = |nanos: i64| money(nanos, &row.currency);
    vec![
        row.key.clone(),
        row.currency.clone(),
        row.attempts.to_string(),
        row.unknown_cost_attempts.to_string(),
        money(row.won_nanos),
        money(row.retry_nanos),
        money(row.free_nanos),
        money(row.lost_nanos),
        money(row.pending_nanos),
        money(row.cost_nanos),
        row.confirmed.to_string(),
        row.assumed.to_string(),
        row.failed.to_string(),
        row.void.to_string(),
        money(row.revenue_nanos),
        known(row.margin_nanos),
        known(row.cost_per_resolution_nanos),
        known(row.profit_per_attempt_nanos),
        row.success.map_or(String::new(), |rate| rate.shown()),
    ]
}

/// Money for reading: to four decimals, since a resolution costs fractions of a cent.
pub(crate) fn rounded(nanos: i64, currency: &str) -> String {
    let decimals = money::currency(currency).and_then(money::minor_exponent).unwrap_or(2) + 2;
    let step = 10_i128.pow(9 - decimals.min(9));
    let steps = money::divide_half_away(i128::from(nanos), step).unwrap_or(0);
    let nanos = i64::try_from(i128::from(steps) * step).unwrap_or(nanos);
    let text = decimal(nanos, decimals as usize);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.trim_start_matches('-');
    let mut grouped = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{grouped}.{fraction}")
}

/// A line of CSV (RFC 4180).
pub(crate) fn csv_line(cells: impl IntoIterator<Item = String>) -> String {
    let cells: Vec<String> = cells.into_iter().map(|cell| quoted(&cell)).collect();
    format!("{}\r\n", cells.join(","))
}

/// A CSV cell: quoted where it must be, and never one that a spreadsheet would run as a formula.
pub(crate) fn quoted(cell: &str) -> String {
    let is_number = cell.parse::<f64>().is_ok();
    let cell = if !is_number && cell.starts_with(['=', '+', '-', '@', '\t']) && cell != "-" {
        format!("'{cell}")
    } else {
        cell.to_string()
    };
    if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
