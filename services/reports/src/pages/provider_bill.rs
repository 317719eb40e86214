//! The page of a provider's bill.

use super::{currency_name, exact, grouped, moment};
use crate::provider_bill::{Agreement, BillRow, ProviderBill, Unmatched, model_name};
use crate::text::rounded;
use askama::Template;

/// What the page was asked for: the form shows it again, the links repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillFilter {
    /// The first UTC day, such as `2026-10-01`.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// Whose bill.
    pub provider: String,
    /// What the bill calls a model and what attempts do, as it was written.
    pub model_names: String,
}

#[derive(Template)]
#[template(path = "provider_bill.html")]
struct Page<'a> {
    filter: &'a BillFilter,
    providers: &'a [String],
    bill: Option<&'a ProviderBill>,
    columns: &'static [Column],
}

/// The bill of a provider (`None`: none is asked for yet), among the providers that can be asked for.
pub fn provider_bill(
    bill: Option<&ProviderBill>,
    providers: &[String],
    filter: &BillFilter,
) -> Result<String, askama::Error> {
    Page { filter, providers, bill, columns: &COLUMNS }.render()
}

/// A column of figures.
struct Column {
    heading: &'static str,
    definition: &'static str,
    value: Value,
}

enum Value {
    Count(fn(&BillRow) -> i64),
    Money(fn(&BillRow) -> Option<i64>),
    /// Money that should not be there.
    Bad(fn(&BillRow) -> i64),
}

impl Column {
    fn text(&self, row: &BillRow) -> String {
        match self.value {
            Value::Count(of) => grouped(&of(row)),
            Value::Money(of) => of(row).map_or("–".into(), |nanos| rounded(nanos, &row.currency)),
            Value::Bad(of) => rounded(of(row), &row.currency),
        }
    }

    fn class(&self, row: &BillRow) -> &'static str {
        match self.value {
            Value::Count(of) if of(row) == 0 => "zero",
            Value::Bad(of) if of(row) == 0 => "zero",
            Value::Money(of) if of(row).is_none_or(|nanos| nanos == 0) => "zero",
            Value::Money(of) if of(row).is_some_and(|nanos| nanos < 0) => "negative",
            Value::Bad(_) if !matches!(row.agreement, Agreement::Agrees) => "unknown",
            _ => "",
        }
    }
}

/// An agreement as people say it.
fn agreement(row: &BillRow) -> &'static str {
    match row.agreement {
        Agreement::Agrees => "agrees",
        Agreement::Missing => "missing",
        Agreement::Excess => "excess",
        Agreement::Differs => "missing and excess",
        Agreement::NotBilled => "not billed yet",
    }
}

/// The columns of the tables.
const COLUMNS: [Column; 8] = [
    Column {
        heading: "billed",
        definition: "What the newest bill of each day says.",
        value: Value::Money(|row| row.billed_nanos),
    },
    Column {
        heading: "recorded",
        definition: "What the models of attempts on billed days are known to have cost; without tools and other costs.",
        value: Value::Money(|row| row.billed_nanos.map(|_| row.recorded_nanos)),
    },
    Column {
        heading: "covered",
        definition: "The lesser of both, of each day and model.",
        value: Value::Money(|row| row.billed_nanos.map(|_| row.covered_nanos)),
    },
    Column {
        heading: "missing",
        definition: "Billed beyond what was recorded: attempts that nobody told of, or whose cost is unknown.",
        value: Value::Bad(|row| row.missing_nanos),
    },
    Column {
        heading: "excess",
        definition: "Recorded beyond what was billed.",
        value: Value::Bad(|row| row.excess_nanos),
    },
    Column {
        heading: "not billed yet",
        definition: "Recorded on days that no bill tells of: in none of the columns before.",
        value: Value::Money(|row| Some(row.not_billed_nanos)),
    },
    Column {
        heading: "attempts",
        definition: "Attempts, on the day they ended.",
        value: Value::Count(|row| row.attempts),
    },
    Column {
        heading: "cost unknown",
        definition: "Attempts whose model cost is unknown: what is missing may be theirs.",
        value: Value::Count(|row| row.unknown_cost_attempts),
    },
];

fn shown(one: &Unmatched) -> String {
    rounded(one.nanos, &one.currency)
}
