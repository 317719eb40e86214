//! The report as a workbook, for people who go on reckoning.

use crate::beside::Beside;
use crate::failure_cost::Row;
use crate::rate::Rate;
use crate::text::HEADINGS;
use rust_xlsxwriter::{Format, Formula, Workbook, Worksheet};
use verdict_domain::money::decimal;

/// A workbook could not be written: nothing that the caller can mend.
#[derive(Debug, thiserror::Error)]
#[error("the workbook cannot be written: {0}")]
pub struct XlsxError(#[from] rust_xlsxwriter::XlsxError);

/// A workbook (Office Open XML) with a row for each group and currency, and sums as formulas below, one for each
/// currency. Cells hold floats, as all of a spreadsheet's do: to the cent they are exact up to a billion. The exact figures are in the CSV.
/// Where it is compared, the figures of the other days follow in columns of their own, `before cost` and so on.
pub fn xlsx(beside: &Beside) -> Result<Vec<u8>, XlsxError> {
    let (report, others) = (&beside.now, beside.others());
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("Failure cost")?;
    let bold = Format::new().set_bold();
    sheet.write_with_format(
        0,
        0,
        format!("Failure cost, {} to {} (UTC, end excluded)", report.from, report.to),
        &bold,
    )?;
    let heading = bold.clone().set_border_bottom(rust_xlsxwriter::FormatBorder::Thin);
    sheet.write_with_format(2, 0, report.by.as_str(), &heading)?;
    for (column, text) in (1..).zip(HEADINGS) {
        sheet.write_with_format(2, column, text, &heading)?;
    }
    if let Some(before) = &beside.before {
        let title = format!("before: {} to {}", before.from, before.to);
        sheet.write_with_format(1, BEFORE, title, &bold)?;
        for (column, text) in (BEFORE..).zip(&HEADINGS[1..]) {
            sheet.write_with_format(2, column, format!("before {text}"), &heading)?;
        }
    }
    let mut at = 3;
    for row in &report.rows {
        write_row(sheet, at, row)?;
        if let Some(before) = others.as_ref().and_then(|others| others.of_row(row)) {
            write_cells(sheet, at, BEFORE, before)?;
        }
        at += 1;
    }
    if !report.rows.is_empty() {
        for total in &report.totals {
            sheet.write_with_format(at, 0, "total", &bold)?;
            sheet.write_with_format(at, 1, total.currency.as_str(), &bold)?;
            for (column, cell) in (2..).zip(cells(total)) {
                match cell {
                    Cell::Count(_) | Cell::Money(Some(_)) if column < SUMS_END => {
                        let name = column_name(column);
                        let (first, last) = (4, 3 + report.rows.len());
                        let sum =
                            format!("=SUMIF($B${first}:$B${last},B{},{name}${first}:{name}${last})", at + 1);
                        let known = match cell {
                            Cell::Count(count) => count.to_string(),
                            Cell::Money(nanos) => decimal(nanos.unwrap_or(0), 0),
                            Cell::Rate(_) => String::new(),
                        };
                        sheet.write_with_format(
                            at,
                            column,
                            Formula::new(sum).set_result(known),
                            &format_of(&cell).set_bold(),
                        )?;
                    }
                    cell => write_cell(sheet, at, column, &cell)?,
                }
            }
            // No formula: by day, not each of the other days stands beside one.
            if let Some(before) = others.as_ref().and_then(|others| others.of_total(total)) {
                write_cells(sheet, at, BEFORE, before)?;
            }
            at += 1;
        }
    }
    sheet.set_freeze_panes(3, 2)?;
    sheet.autofit();
    Ok(workbook.save_to_buffer()?)
}

/// From this column on nothing is a sum: margin, rates, averages.
const SUMS_END: u16 = 15;
/// Where the columns of the days begin that it is compared with: after the name, the currency and 17 figures.
const BEFORE: u16 = 19;

enum Cell {
    Count(i64),
    Money(Option<i64>),
    Rate(Option<Rate>),
}

fn cells(row: &Row) -> [Cell; 17] {
    let money = |nanos: i64| Cell::Money(Some(nanos));
    [
        Cell::Count(row.attempts),
        Cell::Count(row.unknown_cost_attempts),
        money(row.won_nanos),
        money(row.retry_nanos),
        money(row.free_nanos),
        money(row.lost_nanos),
        money(row.pending_nanos),
        money(row.cost_nanos),
        Cell::Count(row.confirmed),
        Cell::Count(row.assumed),
        Cell::Count(row.failed),
        Cell::Count(row.void),
        money(row.revenue_nanos),
        Cell::Money(row.margin_nanos),
        Cell::Money(row.cost_per_resolution_nanos),
        Cell::Money(row.profit_per_attempt_nanos),
        Cell::Rate(row.success),
    ]
}

fn write_row(sheet: &mut Worksheet, at: u32, row: &Row) -> Result<(), XlsxError> {
    sheet.write(at, 0, row.key.as_str())?;
    sheet.write(at, 1, row.currency.as_str())?;
    write_cells(sheet, at, 2, row)
}

fn write_cells(sheet: &mut Worksheet, at: u32, from: u16, row: &Row) -> Result<(), XlsxError> {
    for (column, cell) in (from..).zip(cells(row)) {
        write_cell(sheet, at, column, &cell)?;
    }
    Ok(())
}

fn write_cell(sheet: &mut Worksheet, at: u32, column: u16, cell: &Cell) -> Result<(), XlsxError> {
    let format = format_of(cell);
    match cell {
        Cell::Count(count) => sheet.write_with_format(at, column, *count, &format)?,
        // Missing is not zero: the cell stays empty.
        Cell::Money(None) | Cell::Rate(None) => return Ok(()),
        Cell::Money(Some(nanos)) => {
            // The nearest float of the exact decimal.
            let shown: f64 = decimal(*nanos, 0).parse().unwrap_or(f64::NAN);
            sheet.write_with_format(at, column, shown, &format)?
        }
        Cell::Rate(Some(rate)) => {
            let share: f64 = format!("{}e-3", rate.permille).parse().unwrap_or(f64::NAN);
            sheet.write_with_format(at, column, share, &format)?
        }
    };
    Ok(())
}

fn format_of(cell: &Cell) -> Format {
    Format::new().set_num_format(match cell {
        Cell::Count(_) => "#,##0",
        Cell::Money(_) => "#,##0.00####",
        Cell::Rate(_) => "0.0 %",
    })
}

/// `A` to `Z`: no more columns have sums.
fn column_name(column: u16) -> char {
    char::from(b'A' + u8::try_from(column).unwrap_or(0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::failure_cost::FailureCost;
    use calamine::{Data, Reader, Xlsx};
    use std::io::Cursor;

    #[test]
    fn a_spreadsheet_reads_what_was_written_and_its_sums_are_the_totals() {
        let row = |key: &str, cost_nanos: i64, revenue_nanos: i64| Row {
            key: key.into(),
            currency: "USD".into(),
            attempts: 40,
            won_nanos: cost_nanos,
            cost_nanos,
            revenue_nanos,
            margin_nanos: Some(revenue_nanos - cost_nanos),
            success: Rate::of(3, 4),
            ..Row::default()
        };
        let total = Row { attempts: 80, ..row("total", 3_000_000_001, 7_500_000_000) };
        let report = FailureCost {
            from: "2026-10-01".into(),
            to: "2026-11-01".into(),
            by: "customer".into(),
            rows: vec![row("acme", 1_000_000_001, 2_500_000_000), row("=1+1", 2_000_000_000, 5_000_000_000)],
            totals: vec![total],
        };
        let before = FailureCost {
            from: "2026-09-01".into(),
            to: "2026-10-01".into(),
            rows: vec![row("=1+1", 500_000_000, 0)],
            totals: vec![row("total", 500_000_000, 0)],
            ..report.clone()
        };
        let alone = xlsx(&report.clone().into()).unwrap();
        let mut alone: Xlsx<_> = Xlsx::new(Cursor::new(alone)).unwrap();
        assert_eq!(alone.worksheet_range("Failure cost").unwrap().width(), 19);
        let both = Beside { now: report, before: Some(before) };
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(xlsx(&both).unwrap())).unwrap();
        let sheet = book.worksheet_range("Failure cost").unwrap();
        let heading = |name: &str| {
            (0..40).find(|column| sheet.get_value((2, *column)) == Some(&Data::String(name.into()))).unwrap()
        };
        let number = |at: u32, name: &str| match sheet.get_value((at, heading(name))) {
            Some(Data::Float(number)) => *number,
            other => panic!("{name} in row {at}: {other:?}"),
        };
        assert_eq!((number(3, "cost"), number(4, "revenue"), number(3, "success")), (1.000000001, 5.0, 0.75));
        // What a sender named is text, whatever it looks like.
        assert_eq!(sheet.get_value((4, 0)), Some(&Data::String("=1+1".into())));
        assert_eq!(
            (number(5, "attempts"), number(5, "cost"), number(5, "revenue")),
            (80.0, 3.000000001, 7.5)
        );
        assert_eq!((number(4, "before cost"), number(5, "before cost")), (0.5, 0.5));
        assert_eq!(sheet.get_value((3, heading("before cost"))), Some(&Data::Empty));
        let formulas = book.worksheet_formula("Failure cost").unwrap();
        for (name, column) in [("attempts", 'C'), ("cost", 'J'), ("revenue", 'O')] {
            let sum = formulas.get_value((5, heading(name))).unwrap();
            assert_eq!(sum, &format!("SUMIF($B$4:$B$5,B6,{column}$4:{column}$5)"));
        }
        assert_eq!(formulas.get_value((5, heading("success"))).map_or("", String::as_str), "");
    }
}
