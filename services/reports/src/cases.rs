//! The cases behind a figure as rows: CSV, and a table for a terminal.

use crate::text::{aligned, csv_line};
use verdict_domain::economics::Figures;
use verdict_domain::money::decimal;
use verdict_domain::time::day_text;
use verdict_store::figures::CaseBehind;

/// The first line of the CSV.
pub const CASES_HEADING: &str =
    "customer,case,verdict,day,currency,attempts,unknown_cost,cost,outcomes,revenue,case_cost\r\n";

/// Rows of CSV (RFC 4180), one a case and currency: its part of the figure, and what it cost in all. Money is exact decimals.
pub fn cases_csv(cases: &[CaseBehind]) -> String {
    rows(cases).map(csv_line).collect()
}

/// The same as a table, with its heading.
pub fn cases_table(cases: &[CaseBehind]) -> String {
    let heading = CASES_HEADING.trim_end().split(',').map(|name| name.replace('_', " ")).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows(cases)).collect();
    aligned(&lines, 5).iter().map(|line| format!("{line}\n")).collect()
}

fn rows(cases: &[CaseBehind]) -> impl Iterator<Item = Vec<String>> {
    let row = |case: &CaseBehind, currency: &str, part: &Figures| {
        vec![
            case.key.customer.clone(),
            case.key.case.clone(),
            case.verdict.clone(),
            day_text(case.day),
            currency.to_string(),
            part.attempts.to_string(),
            part.unknown_costs.to_string(),
            decimal(part.cost_nanos, 2),
            part.outcomes.to_string(),
            decimal(part.revenue_nanos, 2),
            decimal(case.whole_cost_nanos, 2),
        ]
    };
    cases
        .iter()
        .flat_map(move |case| case.figures.iter().map(move |(currency, part)| row(case, currency, part)))
}
