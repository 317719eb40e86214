//! The order of a report's rows.

use crate::failure_cost::Row;
use std::cmp::Ordering;
use std::fmt;

/// By which column, and in which direction. It is written as the column is called in the report's JSON, with `-` before it
/// for the largest first: `-lost_nanos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The name of the column in the report's JSON.
    pub column: &'static str,
    /// The largest first.
    pub descending: bool,
}

enum Value<'a> {
    Key(&'a str),
    Count(i64),
    Money(Option<i64>),
    /// Successes and decided episodes.
    Rate(Option<(i64, i64)>),
}

/// A column: its name, and its value in a row.
type Column = (&'static str, fn(&Row) -> Value<'_>);

const COLUMNS: [Column; 20] = [
    ("key", |row| Value::Key(&row.key)),
    ("attempts", |row| Value::Count(row.attempts)),
    ("unknown_cost_attempts", |row| Value::Count(row.unknown_cost_attempts)),
    ("won_nanos", |row| Value::Money(Some(row.won_nanos))),
    ("retry_nanos", |row| Value::Money(Some(row.retry_nanos))),
    ("free_nanos", |row| Value::Money(Some(row.free_nanos))),
    ("lost_nanos", |row| Value::Money(Some(row.lost_nanos))),
    ("pending_nanos", |row| Value::Money(Some(row.pending_nanos))),
    ("cost_nanos", |row| Value::Money(Some(row.cost_nanos))),
    ("other_cost_nanos", |row| Value::Money(Some(row.other_cost_nanos))),
    ("pending", |row| Value::Count(row.pending)),
    ("confirmed", |row| Value::Count(row.confirmed)),
    ("assumed", |row| Value::Count(row.assumed)),
    ("failed", |row| Value::Count(row.failed)),
    ("void", |row| Value::Count(row.void)),
    ("revenue_nanos", |row| Value::Money(Some(row.revenue_nanos))),
    ("margin_nanos", |row| Value::Money(row.margin_nanos)),
    ("cost_per_resolution_nanos", |row| Value::Money(row.cost_per_resolution_nanos)),
    ("profit_per_attempt_nanos", |row| Value::Money(row.profit_per_attempt_nanos)),
    ("success", |row| Value::Rate(row.success.map(|rate| (rate.successes, rate.decided)))),
];

impl Sort {
    /// Reads `column` or `-column`; the message names the field and the columns that there are.
    pub fn read(text: &str) -> Result<Self, String> {
        let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let found = COLUMNS.iter().find(|(column, _)| *column == name);
        found.map(|(column, _)| Self { column, descending }).ok_or_else(|| {
            let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
            format!("sort: `{text}` is none of {}, or one of them after a `-`", names.join(", "))
        })
    }

    /// Puts rows in this order. What is equal is in the order of the keys. Money is compared within its currency alone: the rows
    /// of each currency are together. What a row does not have (a margin in two currencies) comes last either way.
    pub fn apply(self, rows: &mut [Row]) {
        let Some((_, value)) = COLUMNS.iter().find(|(column, _)| *column == self.column) else { return };
        rows.sort_by(|a, b| {
            let (of_a, of_b) = (value(a), value(b));
            let currency = match of_a {
                Value::Money(_) => a.currency.cmp(&b.currency),
                _ => Ordering::Equal,
            };
            currency
                .then_with(|| self.compare(&of_a, &of_b))
                .then_with(|| (&a.key, &a.currency).cmp(&(&b.key, &b.currency)))
        });
    }

    fn compare(self, a: &Value<'_>, b: &Value<'_>) -> Ordering {
        let directed = |order: Ordering| if self.descending { order.reverse() } else { order };
        match (a, b) {
            (Value::Key(a), Value::Key(b)) => directed(a.cmp(b)),
            (Value::Count(a), Value::Count(b)) => directed(a.cmp(b)),
            (Value::Money(Some(a)), Value::Money(Some(b))) => directed(a.cmp(b)),
            (Value::Rate(Some(a)), Value::Rate(Some(b))) => {
                // a.0 / a.1 with b.0 / b.1, exactly: products of two i64 fit into an i128.
                let product = |a: i64, b: i64| i128::from(a) * i128::from(b);
                directed(product(a.0, b.1).cmp(&product(b.0, a.1)))
            }
            (Value::Money(a), Value::Money(b)) => a.is_none().cmp(&b.is_none()),
            (Value::Rate(a), Value::Rate(b)) => a.is_none().cmp(&b.is_none()),
            // Values of one column are of one kind.
            _ => Ordering::Equal,
        }
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rate::Rate;

    fn row(key: &str, currency: &str, lost: i64, margin: Option<i64>, decided: (i64, i64)) -> Row {
        Row {
            key: key.into(),
            currency: currency.into(),
            lost_nanos: lost,
            margin_nanos: margin,
            success: Rate::of(decided.0, decided.1),
            ..Row::default()
        }
    }

    fn sorted(by: &str) -> Vec<String> {
        let mut rows = [
            row("a", "EUR", 5, None, (0, 0)),
            row("a", "USD", 7, Some(-3), (2, 3)),
            row("b", "USD", 9, None, (200_001, 300_000)),
            row("c", "USD", 7, Some(4), (1, 3)),
        ];
        Sort::read(by).unwrap().apply(&mut rows);
        rows.iter().map(|row| format!("{} {}", row.key, row.currency)).collect()
    }

    #[test]
    fn rows_are_in_the_order_that_is_asked_for() {
        assert_eq!(sorted("key"), ["a EUR", "a USD", "b USD", "c USD"]);
        assert_eq!(sorted("-key"), ["c USD", "b USD", "a EUR", "a USD"]);
        // Five euros are neither more nor less than seven dollars.
        assert_eq!(sorted("-lost_nanos"), ["a EUR", "b USD", "a USD", "c USD"]);
        assert_eq!(sorted("lost_nanos"), ["a EUR", "a USD", "c USD", "b USD"]);
        assert_eq!(sorted("margin_nanos"), ["a EUR", "a USD", "c USD", "b USD"]);
        assert_eq!(sorted("-margin_nanos"), ["a EUR", "c USD", "a USD", "b USD"]);
        // 66.667 % and 66.66700 % are shown alike, and are not.
        assert_eq!(sorted("-success"), ["b USD", "a USD", "c USD", "a EUR"]);
        assert_eq!(sorted("success"), ["c USD", "a USD", "b USD", "a EUR"]);
    }

    #[test]
    fn a_column_is_called_as_in_the_json() {
        let json = serde_json::to_value(Row::default()).unwrap();
        let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        // A sum of several figures is no column.
        names.retain(|name| !matches!(*name, "currency" | "one_currency"));
        let mut columns = COLUMNS.map(|(name, _)| name);
        names.sort();
        columns.sort();
        assert_eq!(names, columns);
        assert_eq!(Sort::read("-won_nanos").unwrap().to_string(), "-won_nanos");
        assert!(Sort::read("--won_nanos").unwrap_err().starts_with("sort: `--won_nanos` is none of key, "));
    }
}
