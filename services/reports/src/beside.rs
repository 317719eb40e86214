//! The failure-cost report beside itself in other days.

use crate::failure_cost::{FailureCost, Query, Row, failure_cost};
use crate::view::{Compare, View};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use verdict_domain::time::{day_text, parse_day};
use verdict_store::figures::GroupBy;
use verdict_store::{Store, StoreError};

/// A failure-cost report, and the same of the days it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Beside {
    /// The report. Beside others, a group that has figures in those days alone has a row of zeros (but by day).
    #[serde(flatten)]
    pub now: FailureCost,
    /// The same of the days it is compared with; absent where nothing is compared. A row stands beside the one with its key and
    /// currency; by day, the first day beside the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FailureCost>,
}

impl From<FailureCost> for Beside {
    /// Beside nothing.
    fn from(now: FailureCost) -> Self {
        Self { now, before: None }
    }
}

/// Reports, beside what `compare` says.
pub async fn beside(store: &Store, query: &Query, compare: Compare) -> Result<Beside, StoreError> {
    let mut now = failure_cost(store, query).await?;
    let view = View { of: query.of.clone(), compare, sort: None };
    let Some(of) = view.compared() else { return Ok(now.into()) };
    let before = failure_cost(store, &Query { of, by: query.by }).await?;
    if query.by != GroupBy::Day {
        now.rows = with_gone(now.rows, &before.rows);
    }
    now.totals = with_gone(now.totals, &before.totals);
    Ok(Beside { now, before: Some(before) })
}

/// With a row of zeros for each that is only in the other days, so that the rows of those add up, too.
fn with_gone(mut rows: Vec<Row>, before: &[Row]) -> Vec<Row> {
    let held: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row.key.clone(), row.currency.clone())).collect();
    let gone = before.iter().filter(|row| !held.contains(&(row.key.clone(), row.currency.clone())));
    rows.extend(gone.map(|row| Row {
        key: row.key.clone(),
        currency: row.currency.clone(),
        ..Row::default()
    }));
    rows.sort_by(|a, b| (&a.key, &a.currency).cmp(&(&b.key, &b.currency)));
    rows
}

/// Rows by key and currency.
type Rows<'a> = BTreeMap<(String, &'a str), &'a Row>;

/// What each row and each total stands beside.
pub(crate) struct Others<'a> {
    rows: Rows<'a>,
    totals: Rows<'a>,
}

impl Others<'_> {
    pub(crate) fn of_row(&self, row: &Row) -> Option<&Row> {
        self.rows.get(&(row.key.clone(), row.currency.as_str())).copied()
    }

    pub(crate) fn of_total(&self, row: &Row) -> Option<&Row> {
        self.totals.get(&(row.key.clone(), row.currency.as_str())).copied()
    }
}

impl Beside {
    /// What the rows stand beside; none where nothing is compared.
    pub(crate) fn others(&self) -> Option<Others<'_>> {
        let before = self.before.as_ref()?;
        let shift = match (self.now.by.as_str(), parse_day(&self.now.from), parse_day(&before.from)) {
            ("day", Some(now), Some(then)) => now - then,
            _ => 0,
        };
        let key = |row: &Row| match (shift, parse_day(&row.key)) {
            (0, _) | (_, None) => row.key.clone(),
            (shift, Some(day)) => day_text(day + shift),
        };
        let named = |row| (key(row), row.currency.as_str());
        Some(Others {
            rows: before.rows.iter().map(|row| (named(row), row)).collect(),
            totals: before.totals.iter().map(|row| ((row.key.clone(), row.currency.as_str()), row)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, lost_nanos: i64) -> Row {
        Row { key: key.into(), currency: "USD".into(), lost_nanos, ..Row::default() }
    }

    fn report(from: &str, by: &str, rows: Vec<Row>) -> FailureCost {
        let totals = vec![row("total", rows.iter().map(|row| row.lost_nanos).sum())];
        FailureCost { from: from.into(), to: "2026-12-01".into(), by: by.into(), rows, totals }
    }

    #[test]
    fn a_day_stands_beside_the_same_day_of_the_other_days() {
        let now = report("2026-10-01", "day", vec![row("2026-10-01", 1), row("2026-10-03", 3)]);
        let before = report("2026-09-01", "day", vec![row("2026-09-02", 20), row("2026-09-03", 30)]);
        let both = Beside { now, before: Some(before) };
        let others = both.others().unwrap();
        let beside = |row| others.of_row(row).map(|row| row.lost_nanos);
        assert_eq!(both.now.rows.iter().map(beside).collect::<Vec<_>>(), [None, Some(30)]);
        assert_eq!(others.of_total(&both.now.totals[0]).map(|row| row.lost_nanos), Some(50));
        assert!(Beside::from(both.now.clone()).others().is_none());
    }

    #[test]
    fn who_is_gone_has_a_row_of_zeros_and_one_called_total_is_not_the_sum() {
        let rows = with_gone(vec![row("b", 1)], &[row("a", 2), row("b", 3), row("total", 4)]);
        assert_eq!(rows, [row("a", 0), row("b", 1), row("total", 0)]);
        let now = report("2026-10-01", "customer", rows);
        let before = report("2026-09-01", "customer", vec![row("a", 2), row("b", 3), row("total", 4)]);
        let both = Beside { now, before: Some(before) };
        let others = both.others().unwrap();
        assert_eq!(others.of_row(&both.now.rows[2]).map(|row| row.lost_nanos), Some(4));
        assert_eq!(others.of_total(&both.now.totals[0]).map(|row| row.lost_nanos), Some(9));
    }
}
