//! The comparison as text: tables for a terminal, CSV, and one line for an alert.

use super::{BillRow, BillView, ProviderBill, Tolerance, Unmatched};
use crate::text::{aligned, csv_line};
use verdict_domain::money::decimal;

/// What a person should look at, in one line: by how much the days differ, whatever their models are called; `None` where they
/// agree.
pub fn what_differs(bill: &ProviderBill, tolerance: Tolerance) -> Option<String> {
    let mut told = Vec::new();
    for total in &bill.totals {
        let billed = total.billed_nanos.unwrap_or(0);
        let (mut missing, mut excess) = (0_i64, 0_i64);
        for day in bill.days.iter().filter(|day| day.currency == total.currency) {
            let Some(billed) = day.billed_nanos else { continue };
            missing = missing.saturating_add(billed.saturating_sub(day.recorded_nanos).max(0));
            excess = excess.saturating_add(day.recorded_nanos.saturating_sub(billed).max(0));
        }
        if tolerance.allows(missing, billed) && tolerance.allows(excess, billed) {
            continue;
        }
        let money = |nanos| format!("{} {}", decimal(nanos, 2), total.currency);
        let unknown = match total.unknown_cost_attempts {
            0 => String::new(),
            count => format!(", with {count} attempts of unknown cost"),
        };
        told.push(format!(
            "{} billed, {} recorded: {} missing on some days, {} in excess on others{unknown}",
            money(billed),
            money(total.recorded_nanos),
            money(missing),
            money(excess)
        ));
    }
    let ProviderBill { provider, from, to, .. } = bill;
    (!told.is_empty()).then(|| {
        format!(
            "the bill of `{provider}` from {from} to {to} and what was recorded differ: {}; see /reports/provider-bill",
            told.join("; ")
        )
    })
}

const COLUMNS: [&str; 10] = [
    "currency",
    "agreement",
    "billed",
    "recorded",
    "covered",
    "missing",
    "excess",
    "not billed",
    "attempts",
    "unknown cost",
];

fn cells(row: &BillRow) -> Vec<String> {
    let money = |nanos: i64| decimal(nanos, 2);
    vec![
        row.currency.clone(),
        row.agreement.as_str().into(),
        row.billed_nanos.map_or(String::new(), money),
        money(row.recorded_nanos),
        money(row.covered_nanos),
        money(row.missing_nanos),
        money(row.excess_nanos),
        money(row.not_billed_nanos),
        row.attempts.to_string(),
        row.unknown_cost_attempts.to_string(),
    ]
}

/// Tables for a terminal: by day, by model, in total; what did not match, and the imports.
pub fn bill_table(bill: &ProviderBill) -> String {
    let ProviderBill { provider, from, to, tolerance_percent, tolerance_amount, .. } = bill;
    let mut text = format!(
        "Bill of {provider}, {from} to {to} (UTC, end excluded); agrees within {tolerance_percent} % or {tolerance_amount}\n"
    );
    let day = |row: &BillRow| row.day.clone().unwrap_or_default();
    let total = |row: &BillRow| vec!["total".to_string()].into_iter().chain(cells(row)).collect::<Vec<_>>();
    for (heading, rows, key) in [
        ("day", &bill.days, &day as &dyn Fn(&BillRow) -> String),
        ("model", &bill.models, &|row: &BillRow| model_name(row.model.as_deref().unwrap_or_default()).into()),
    ] {
        let head = std::iter::once(heading).chain(COLUMNS).map(String::from).collect();
        let mut lines: Vec<Vec<String>> = vec![head];
        lines.extend(rows.iter().map(|row| std::iter::once(key(row)).chain(cells(row)).collect()));
        lines.extend(bill.totals.iter().map(total));
        text.push('\n');
        text.extend(aligned(&lines, 3).iter().map(|line| format!("{line}\n")));
    }
    for (what, models) in
        [("Billed and not recorded", &bill.only_billed), ("Recorded and not billed", &bill.only_recorded)]
    {
        if !models.is_empty() {
            text.push_str(&format!("\n{what} (is it one model by two names? see --model-names):\n"));
        }
        for Unmatched { model, currency, nanos } in models {
            text.push_str(&format!("  {model}  {} {currency}\n", decimal(*nanos, 2)));
        }
    }
    text.push_str(if bill.bills.is_empty() {
        "\nNo bill was imported for these days.\n"
    } else {
        "\nImports:\n"
    });
    for one in &bill.bills {
        let BillView { id, file, imported_by, imported_at, lines, days, counting_days, .. } = one;
        text.push_str(&format!(
            "  {id}  {file}  {imported_at} by {imported_by}: {lines} lines, {days} days, of which {counting_days} count\n"
        ));
    }
    text
}

/// A model as people read it.
pub(crate) fn model_name(model: &str) -> &str {
    if model.is_empty() { "(no model)" } else { model }
}

/// CSV (RFC 4180): a row for each day, model and currency, then the totals; money as exact decimals.
pub fn bill_csv(bill: &ProviderBill) -> String {
    let columns = COLUMNS.join(",").replace(' ', "_");
    let mut text = format!("day,model,{columns}\r\n");
    for row in bill.rows.iter().chain(&bill.totals) {
        let key = [row.day.clone().unwrap_or_else(|| "total".into()), row.model.clone().unwrap_or_default()];
        text.push_str(&csv_line(key.into_iter().chain(cells(row))));
    }
    text
}
