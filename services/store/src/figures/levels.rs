//! The levels: the same sums with some columns left out, over one day or several, moved by the same differences.
//!
//! A question is answered by the first level that keeps the columns it is about. A range of days is cut into the longest spans
//! that fit and the days that are left.

use super::{AT_A_TIME, GroupBy, Slice, Sum};
use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all};
use sea_orm::{DbBackend, QueryResult, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::period::month_of_day;

/// A level: what it keeps beside the days, the currency and the buckets, and how many days its rows span.
pub(super) struct Level {
    pub name: &'static str,
    keeps: &'static [GroupBy],
    /// From the shortest to the longest, the first a day.
    spans: &'static [Span],
}

/// What a row of a level spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Span {
    Day,
    /// Counted from 1970-01-01: nobody sees them.
    Week,
    /// A calendar month, in UTC.
    Month,
    /// All days that there are figures of.
    Ever,
}

impl Span {
    /// How it is stored: in days; a month as the longest there is.
    pub(crate) const fn days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Month => 31,
            Self::Ever => EVER,
        }
    }

    /// The first day of the one that a day is in, and the first day after it.
    fn around(self, day: i64) -> (i64, i64) {
        match self {
            Self::Month => month_of_day(day),
            Self::Day | Self::Week | Self::Ever => {
                let first = day.div_euclid(self.days()) * self.days();
                (first, first + self.days())
            }
        }
    }
}

/// Longer than all days that there are figures of.
const EVER: i64 = 1_000_000;

/// The levels, the smallest first. One that is added or changed is filled by a migration, or by rebuilding the figures.
pub(super) static LEVELS: [Level; 6] = {
    use GroupBy::{Action, Agent, Customer, Model, Provider, Reason};
    use Span::{Day, Ever, Month, Week};
    [
        Level { name: "what", keeps: &[Agent, Provider, Model, Action], spans: &[Day, Week, Month] },
        Level { name: "why", keeps: &[Agent, Provider, Model, Action, Reason], spans: &[Day, Week, Month] },
        Level { name: "customer", keeps: &[Customer], spans: &[Day, Week, Month, Ever] },
        Level { name: "customer_agent", keeps: &[Customer, Agent], spans: &[Day, Week, Month] },
        Level { name: "customer_action", keeps: &[Customer, Action], spans: &[Day, Week, Month] },
        Level {
            name: "customer_model",
            keeps: &[Customer, Provider, Model],
            spans: &[Day, Week, Month, Ever],
        },
    ]
};

impl Level {
    pub(super) fn keeps(&self, column: GroupBy) -> bool {
        self.keeps.contains(&column)
    }

    /// The level that answers a question, if not only the daily figures do.
    pub(super) fn of(slice: &Slice, by: GroupBy) -> Option<&'static Self> {
        let asked = slice.columns().into_iter().filter_map(|(column, _, wanted)| wanted.map(|_| column));
        let asked: Vec<GroupBy> = asked.chain((by != GroupBy::Day).then_some(by)).collect();
        LEVELS.iter().find(|level| asked.iter().all(|column| level.keeps(*column)))
    }
}

/// A figure of a bucket, as a column.
struct Measure {
    column: &'static str,
    bucket: Bucket,
    of: fn(&mut Figures) -> &mut i64,
}

const MEASURES: [Measure; 26] = [
    Measure { column: "pending_attempts", bucket: Bucket::Pending, of: |f| &mut f.attempts },
    Measure { column: "pending_unknown_costs", bucket: Bucket::Pending, of: |f| &mut f.unknown_costs },
    Measure { column: "pending_cost_nanos", bucket: Bucket::Pending, of: |f| &mut f.cost_nanos },
    Measure { column: "pending_other_cost_nanos", bucket: Bucket::Pending, of: |f| &mut f.other_cost_nanos },
    Measure { column: "pending_outcomes", bucket: Bucket::Pending, of: |f| &mut f.outcomes },
    Measure { column: "won_attempts", bucket: Bucket::Won, of: |f| &mut f.attempts },
    Measure { column: "won_unknown_costs", bucket: Bucket::Won, of: |f| &mut f.unknown_costs },
    Measure { column: "won_cost_nanos", bucket: Bucket::Won, of: |f| &mut f.cost_nanos },
    Measure { column: "won_other_cost_nanos", bucket: Bucket::Won, of: |f| &mut f.other_cost_nanos },
    Measure { column: "retry_attempts", bucket: Bucket::Retry, of: |f| &mut f.attempts },
    Measure { column: "retry_unknown_costs", bucket: Bucket::Retry, of: |f| &mut f.unknown_costs },
    Measure { column: "retry_cost_nanos", bucket: Bucket::Retry, of: |f| &mut f.cost_nanos },
    Measure { column: "retry_other_cost_nanos", bucket: Bucket::Retry, of: |f| &mut f.other_cost_nanos },
    Measure { column: "free_attempts", bucket: Bucket::Free, of: |f| &mut f.attempts },
    Measure { column: "free_unknown_costs", bucket: Bucket::Free, of: |f| &mut f.unknown_costs },
    Measure { column: "free_cost_nanos", bucket: Bucket::Free, of: |f| &mut f.cost_nanos },
    Measure { column: "free_other_cost_nanos", bucket: Bucket::Free, of: |f| &mut f.other_cost_nanos },
    Measure { column: "lost_attempts", bucket: Bucket::Lost, of: |f| &mut f.attempts },
    Measure { column: "lost_unknown_costs", bucket: Bucket::Lost, of: |f| &mut f.unknown_costs },
    Measure { column: "lost_cost_nanos", bucket: Bucket::Lost, of: |f| &mut f.cost_nanos },
    Measure { column: "lost_other_cost_nanos", bucket: Bucket::Lost, of: |f| &mut f.other_cost_nanos },
    Measure { column: "confirmed_outcomes", bucket: Bucket::Confirmed, of: |f| &mut f.outcomes },
    Measure { column: "assumed_outcomes", bucket: Bucket::Assumed, of: |f| &mut f.outcomes },
    Measure { column: "failed_outcomes", bucket: Bucket::Failed, of: |f| &mut f.outcomes },
    Measure { column: "void_outcomes", bucket: Bucket::Void, of: |f| &mut f.outcomes },
    Measure { column: "revenue_nanos", bucket: Bucket::Revenue, of: |f| &mut f.revenue_nanos },
];

/// A figure of attempts over all buckets that hold any, as a term of columns.
pub(crate) fn of_attempts(figure: &str) -> String {
    ["pending", "won", "retry", "free", "lost"].map(|bucket| format!("{bucket}_{figure}")).join(" + ")
}

/// A row's figures, in the order of [`MEASURES`].
type Row = [i64; MEASURES.len()];
const NOTHING: Row = [0; MEASURES.len()];

/// Which row: level, days, first day, the columns in the order of [`COLUMNS`] (empty where they are left out), currency.
pub(super) type Key<'a> = (&'static str, i64, i64, [&'a str; COLUMNS.len()], &'a str);
const COLUMNS: [GroupBy; 6] = {
    use GroupBy::{Action, Agent, Customer, Model, Provider, Reason};
    [Customer, Agent, Provider, Model, Action, Reason]
};

/// The rows of levels that cells are summed up in.
#[derive(Default)]
pub(super) struct Rows<'a>(BTreeMap<Key<'a>, Row>);

fn overflow() -> StoreError {
    StoreError::Refused("the sums of the figures overflow".into())
}

impl<'a> Rows<'a> {
    /// Sums up in the levels that are `wanted`.
    pub(super) fn of(
        cells: impl Iterator<Item = (&'a str, &'a Cell, Figures)> + Clone,
        wanted: impl Fn(&Level) -> bool,
    ) -> Result<Self, StoreError> {
        let mut rows = Self::default();
        for level in LEVELS.iter().filter(|level| wanted(level)) {
            let mut by_day: BTreeMap<Key, Row> = BTreeMap::new();
            for (customer, cell, figures) in cells.clone() {
                let text: [&str; COLUMNS.len()] =
                    [customer, &cell.agent, &cell.provider, &cell.model, &cell.action, &cell.reason];
                let mut kept = [""; COLUMNS.len()];
                for ((kept, column), text) in kept.iter_mut().zip(COLUMNS).zip(text) {
                    if level.keeps(column) {
                        *kept = text;
                    }
                }
                let key = (level.name, Span::Day.days(), cell.day, kept, cell.currency.as_str());
                let row = by_day.entry(key).or_insert(NOTHING);
                plus(row, &spread(cell.bucket, figures)?)?;
            }
            for span in level.spans.iter().filter(|span| **span != Span::Day) {
                for ((name, _, day, kept, currency), row) in &by_day {
                    let (first, _) = span.around(*day);
                    plus(
                        rows.0.entry((*name, span.days(), first, *kept, *currency)).or_insert(NOTHING),
                        row,
                    )?;
                }
            }
            rows.0.append(&mut by_day);
        }
        Ok(rows)
    }

    /// Takes off what is held.
    pub(super) fn take_off(&mut self, held: &'a [Held]) -> Result<(), StoreError> {
        for Held { level, days, day, kept, currency, row } in held {
            // A level that there is no more is not looked at.
            let Some(level) = LEVELS.iter().find(|known| known.name == level) else { continue };
            let kept = std::array::from_fn(|at| kept[at].as_str());
            let sum = self.0.entry((level.name, *days, *day, kept, currency.as_str())).or_insert(NOTHING);
            for (sum, held) in sum.iter_mut().zip(row) {
                *sum = sum.checked_sub(*held).ok_or_else(overflow)?;
            }
        }
        Ok(())
    }

    /// Whether there is nothing to add.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.values().all(|row| *row == NOTHING)
    }

    /// Adds them to what is stored; answers how many were not nothing.
    pub(super) async fn add(mut self, tx: &Tx) -> Result<u64, StoreError> {
        static ON_CONFLICT: LazyLock<String> = LazyLock::new(|| {
            let added = MEASURES.map(|Measure { column, .. }| {
                format!("{column} = figures_by_level.{column} + excluded.{column}")
            });
            format!(
                "ON CONFLICT (level, days, day, customer, agent, provider, model, action, reason, currency) \
                 DO UPDATE SET {}",
                added.join(", ")
            )
        });
        const KEY: [(&str, Kind); 10] = [
            ("level", Kind::Text),
            ("days", Kind::Int),
            ("day", Kind::Int),
            ("customer", Kind::Text),
            ("agent", Kind::Text),
            ("provider", Kind::Text),
            ("model", Kind::Text),
            ("action", Kind::Text),
            ("reason", Kind::Text),
            ("currency", Kind::Text),
        ];
        let columns: Vec<(&str, Kind)> =
            KEY.into_iter().chain(MEASURES.map(|measure| (measure.column, Kind::Int))).collect();
        self.0.retain(|_, row| *row != NOTHING);
        let count = self.0.len() as u64;
        let values = |((level, days, day, kept, currency), row): (Key, Row)| -> Vec<Value> {
            let key: [Value; 3] = [level.into(), days.into(), day.into()];
            let text = kept.into_iter().chain([currency]).map(Value::from);
            key.into_iter().chain(text).chain(row.map(Value::from)).collect()
        };
        let insert =
            Insert { table: "figures_by_level", columns: &columns, on_conflict: &ON_CONFLICT, returning: "" };
        let mut left = self.0.into_iter();
        while left.len() > 0 {
            bulk::insert(&tx.tx, &insert, left.by_ref().take(AT_A_TIME).map(values).collect()).await?;
        }
        Ok(count)
    }
}

fn plus(sum: &mut Row, more: &Row) -> Result<(), StoreError> {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.checked_add(*more).ok_or_else(overflow)?;
    }
    Ok(())
}

/// The figures of a bucket side by side with those of the others.
fn spread(bucket: Bucket, mut figures: Figures) -> Result<Row, StoreError> {
    let mut row = NOTHING;
    for (at, measure) in row.iter_mut().zip(&MEASURES).filter(|(_, measure)| measure.bucket == bucket) {
        *at = std::mem::take((measure.of)(&mut figures));
    }
    if figures != Figures::default() {
        let bucket = bucket.as_str();
        return Err(StoreError::Refused(format!("the bucket `{bucket}` has no such figures: {figures:?}")));
    }
    Ok(row)
}

/// The same by bucket; those with nothing in them are left out.
fn gathered(row: &Row) -> BTreeMap<Bucket, Figures> {
    let mut gathered: BTreeMap<Bucket, Figures> = BTreeMap::new();
    for (value, measure) in row.iter().zip(&MEASURES).filter(|(value, _)| **value != 0) {
        *(measure.of)(gathered.entry(measure.bucket).or_default()) = *value;
    }
    gathered
}

/// A row as it is stored.
pub(super) struct Held {
    level: String,
    days: i64,
    day: i64,
    kept: [String; COLUMNS.len()],
    currency: String,
    row: Row,
}

/// All rows of a customer; of the empty one: those that leave the customer out.
pub(super) async fn held(tx: &Tx, customer: &str) -> Result<Vec<Held>, StoreError> {
    let measures = MEASURES.map(|measure| measure.column).join(", ");
    let sql = format!(
        "SELECT level, days, day, customer, agent, provider, model, action, reason, currency, {measures} \
         FROM figures_by_level WHERE customer = $1"
    );
    let read = |row: &QueryResult| {
        let mut kept = [const { String::new() }; COLUMNS.len()];
        for (at, kept) in kept.iter_mut().enumerate() {
            *kept = row.try_get_by_index(3 + at)?;
        }
        let (level, days, day) =
            (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok(Held { level, days, day, kept, currency: row.try_get_by_index(9)?, row: read_row(row, 10)? })
    };
    all(&tx.tx, &sql, [customer.into()]).await?.iter().map(read).collect()
}

fn read_row(row: &QueryResult, from: usize) -> Result<Row, StoreError> {
    let mut read = NOTHING;
    for (at, value) in read.iter_mut().enumerate() {
        *value = row.try_get_by_index(from + at)?;
    }
    Ok(read)
}

/// A range of days `[from, to)` cut into spans: `(span, from, to)`.
fn cut(from: i64, to: i64, spans: &[Span]) -> Vec<(Span, i64, i64)> {
    let Some((span, shorter)) = spans.split_last() else { return Vec::new() };
    let (around, next) = span.around(from);
    let first = if around == from { from } else { next };
    let (last, _) = span.around(to);
    if first >= last {
        return cut(from, to, shorter);
    }
    let mut ranges = cut(from, first, shorter);
    ranges.push((*span, first, last));
    ranges.append(&mut cut(last, to, shorter));
    ranges
}

/// The figures of a slice from a level that keeps what is asked for.
pub(super) async fn sums(
    store: &Store,
    level: &Level,
    slice: &Slice,
    by: GroupBy,
) -> Result<Vec<Sum>, StoreError> {
    let spans = if by == GroupBy::Day { &level.spans[..1] } else { level.spans };
    // No day is so far away; and what is asked for may be as far as an integer reaches.
    let far = EVER * 10;
    let ranges = cut(slice.from.clamp(-far, far), slice.to.clamp(-far, far), spans);
    if ranges.is_empty() {
        return Ok(Vec::new());
    }
    let mut values: Vec<Value> = vec![level.name.into()];
    let mut only = String::new();
    for (_, column, wanted) in slice.columns() {
        if let Some(wanted) = wanted {
            values.push(wanted.into());
            only += &format!(" AND {column} = ${}", values.len());
        }
    }
    // SQLite takes the primary key else, and reads the rows of all customers.
    let by_customer = match store.db.get_database_backend() {
        DbBackend::Sqlite if slice.customer.is_some() => "INDEXED BY figures_by_level_of_customer",
        _ => "",
    };
    let (key, measures) = (by.column(), MEASURES.map(|measure| measure.column));
    let parts: Vec<String> = ranges
        .into_iter()
        .map(|(span, from, to)| {
            values.extend([span.days().into(), from.into(), to.into()]);
            let (of, from, to) = (values.len() - 2, values.len() - 1, values.len());
            format!(
                "SELECT {key} AS of_group, currency, {} FROM figures_by_level {by_customer} \
                 WHERE level = $1 AND days = ${of} AND day >= ${from} AND day < ${to}{only}",
                measures.join(", ")
            )
        })
        .collect();
    let sql = format!(
        "SELECT CAST(of_group AS TEXT), currency, {} FROM ({}) AS spans GROUP BY of_group, currency",
        measures.map(|column| format!("CAST(SUM({column}) AS BIGINT)")).join(", "),
        parts.join(" UNION ALL ")
    );
    let mut sums = Vec::new();
    for row in all(&store.db, &sql, values).await? {
        let (key, currency): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let by_bucket = gathered(&read_row(&row, 2)?);
        sums.extend(by_bucket.into_iter().map(|(bucket, figures)| Sum {
            key: key.clone(),
            currency: currency.clone(),
            bucket,
            figures,
        }));
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::{Span, cut};

    #[test]
    fn a_range_is_cut_into_the_longest_spans_and_covered_once() {
        // From 1969-11 to 1970-04, and around a leap day.
        for (starts, ends) in [(-60, 100), (18_300, 18_340)] {
            for from in starts..ends {
                for to in from..ends {
                    let ranges = cut(from, to, &[Span::Day, Span::Week, Span::Month]);
                    let mut at = from;
                    for (span, first, last) in &ranges {
                        let whole = (span.around(*first).0, span.around(*last).0);
                        assert_eq!((*first, whole), (at, (*first, *last)));
                        assert!(first < last);
                        at = *last;
                    }
                    assert_eq!(at, to, "{ranges:?}");
                    let days = ranges.iter().filter(|range| range.0 == Span::Day).map(|(_, a, b)| b - a);
                    assert!(days.sum::<i64>() <= 4 * 6, "{ranges:?}");
                }
            }
        }
    }

    #[test]
    fn a_month_is_one_row_and_a_quarter_three() {
        let spans = [Span::Day, Span::Week, Span::Month];
        // 2026-08-01, 2026-09-01 and 2026-10-01.
        assert_eq!(cut(20_666, 20_697, &spans), [(Span::Month, 20_666, 20_697)]);
        assert_eq!(cut(20_635, 20_727, &spans), [(Span::Month, 20_635, 20_727)]);
        let rows = cut(20_666, 20_697, &spans[..2]);
        assert_eq!(rows.iter().map(|(span, from, to)| (to - from) / span.days()).sum::<i64>(), 13);
    }
}
