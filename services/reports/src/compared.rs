//! What came of counting again, as tables for a terminal.

use crate::count::{Costs, Tally};
use crate::recount::Recount;
use crate::rejudge::{Comparison, Rejudged};
use std::fmt::Write;

/// What is said of all amounts of outcomes here: the cases are not those of a period, so that no invoice could be made of them.
const LIST_PRICES: &str = "Amounts are list prices: what a period charges (tiers, included outcomes, cap, discount) is on the lines of its invoices.";

/// Cases under their own rules and under another: by customer, in sum, and the first that look different.
pub fn rejudged(rejudged: &Rejudged) -> String {
    let mut text = String::new();
    for (customer, comparison) in &rejudged.customers {
        write_comparison(&mut text, &format!("Customer `{customer}`"), comparison);
    }
    if rejudged.customers.len() != 1 {
        write_comparison(&mut text, "All customers", &rejudged.total);
    }
    let _ = writeln!(text, "{LIST_PRICES}");
    let _ = writeln!(text, "As of {}. Nothing was changed.", rejudged.as_of);
    let (shown, changed) = (rejudged.changes.len() as u64, rejudged.total.changed);
    if shown > 0 {
        let which = if shown < changed {
            format!("The first {shown} of {changed}")
        } else {
            format!("All {changed}")
        };
        let _ = writeln!(text, "\n{which} cases that look different:");
    }
    for change in &rejudged.changes {
        let (customer, case) = (&change.customer, &change.case);
        let _ = writeln!(
            text,
            "  `{customer}` `{case}`\n    before  {}\n    after   {}",
            change.before, change.after
        );
    }
    text
}

fn write_comparison(text: &mut String, title: &str, comparison: &Comparison) {
    let (before, after) = (&comparison.before, &comparison.after);
    let _ = writeln!(text, "{title}: {} cases, {} look different", comparison.cases, comparison.changed);
    let rows = tally_rows(&[before, after]);
    write_rows(text, &["", "before", "after"], rows);
    let Costs { attempts, unknown_cost_attempts, known } = &comparison.costs;
    let unknown = match unknown_cost_attempts {
        0 => String::new(),
        unknown => format!("; the model cost of {unknown} is unknown and not in it"),
    };
    let _ = writeln!(text, "  cost           {known} for {attempts} attempts{unknown}");
    if let (Some(before), Some(after)) = (&comparison.margin_before, &comparison.margin_after) {
        let at_most = if *unknown_cost_attempts > 0 { " (at most)" } else { "" };
        let _ = writeln!(text, "  margin at list prices  {before} -> {after}{at_most}");
    }
    text.push('\n');
}

/// What was billed, what was counted again, and under which differences.
pub fn recounted(recount: &Recount) -> String {
    let mut text = String::new();
    let _ =
        writeln!(text, "Customer `{}`, {} cases, as of {}", recount.customer, recount.cases, recount.as_of);
    if recount.waiting > 0 {
        let _ = writeln!(
            text,
            "{} of them were not judged or priced to the end when the file was made: they are left out below.",
            recount.waiting
        );
    }
    let (mut columns, mut tallies) =
        (vec!["", "billed", "counted again"], vec![&recount.billed, &recount.recounted]);
    if let Some(other) = &recount.other {
        columns.push("other rule");
        tallies.push(&other.recounted);
    }
    let mut rows = tally_rows(&tallies);
    // What is not billed leaves no trace in the bill.
    for row in rows.iter_mut().filter(|row| ["failed", "pending", "not charged"].contains(&row[0].as_str())) {
        row[1] = "-".into();
    }
    write_rows(&mut text, &columns, rows);
    let _ = writeln!(text, "{LIST_PRICES}");
    let _ = match recount.differing {
        0 => writeln!(text, "\nThe bill agrees with the facts, case by case."),
        differing => writeln!(text, "\nThe bill differs from the facts in {differing} cases:"),
    };
    for difference in &recount.differences {
        let (billed, recounted) = (&difference.billed, &difference.recounted);
        let _ = writeln!(
            text,
            "  `{}`\n    billed         {billed}\n    counted again  {recounted}",
            difference.case
        );
        let _ = writeln!(text, "    why            {}", difference.why);
    }
    write_more(&mut text, recount.differences.len(), recount.differing);
    let Some(other) = &recount.other else { return text };
    let _ = writeln!(
        text,
        "\nBilled {} at list prices; under the other rule it would be {}{}.",
        recount.billed.revenue,
        other.recounted.revenue,
        other.difference.as_ref().map(|difference| format!(" ({difference})")).unwrap_or_default()
    );
    let _ = writeln!(text, "{} cases look different under it.", other.changed);
    for changed in &other.changes {
        let change = &changed.change;
        let _ = writeln!(
            text,
            "  `{}`\n    own rule    {}\n    other rule  {}",
            change.case, change.before, change.after
        );
        let _ = writeln!(text, "    why         {}", changed.why);
    }
    write_more(&mut text, other.changes.len(), other.changed);
    text
}

fn write_more(text: &mut String, shown: usize, all: u64) {
    let more = all.saturating_sub(shown as u64);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more: ask for them with --changes");
    }
}

/// A row for each figure, with a cell for each tally.
fn tally_rows(tallies: &[&Tally]) -> Vec<Vec<String>> {
    let row = |name: &str, cell: &dyn Fn(&Tally) -> String| {
        std::iter::once(name.to_string()).chain(tallies.iter().map(|tally| cell(tally))).collect()
    };
    vec![
        row("confirmed", &|tally| tally.confirmed.to_string()),
        row("assumed", &|tally| tally.assumed.to_string()),
        row("void", &|tally| tally.void.to_string()),
        row("failed", &|tally| tally.failed.to_string()),
        row("pending", &|tally| tally.pending.to_string()),
        row("not charged", &|tally| tally.not_charged.to_string()),
        row("without a price", &|tally| tally.unpriced.to_string()),
        row("revenue at list prices", &|tally| tally.revenue.to_string()),
        row("  confirmed", &|tally| tally.revenue_confirmed.to_string()),
        row("  assumed", &|tally| tally.revenue_assumed.to_string()),
    ]
}

fn write_rows(text: &mut String, columns: &[&str], rows: Vec<Vec<String>>) {
    let heading: Vec<String> = columns.iter().map(|column| column.to_string()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(rows).collect();
    let width =
        |nth: usize| lines.iter().filter_map(|line| line.get(nth)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|nth| width(nth).unwrap_or(0)).collect();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(nth, (cell, width))| match nth {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        let _ = writeln!(text, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
