//! The overview: what a period brought and cost, beside another; and groups, each beside itself in another period.

use crate::failure_cost::{FailureCost, Query, Row, failure_cost, group_name};
use crate::rate::Rate;
use crate::unit::{Measured, StripeFee, permille};
use crate::view::{View, month_start};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use verdict_domain::time::{day_text, parse_day};
use verdict_store::figures::{GroupBy, Slice};
use verdict_store::{Store, StoreError};

/// From this many days on the trend has weeks instead of days.
const MOST_DAYS: i64 = 100;
/// From this many days on it has months instead of weeks.
const MOST_WEEK_DAYS: i64 = 731;

/// UTC days, the last excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Days {
    /// The first day.
    pub from: String,
    /// The first day after.
    pub to: String,
}

impl Days {
    fn of(slice: &Slice) -> Self {
        Self { from: day_text(slice.from), to: day_text(slice.to) }
    }
}

/// What a period brought and cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Overview {
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// The days it is compared with.
    pub compared: Option<Days>,
    /// What is counted, in all currencies.
    pub counted: Counted,
    /// The same of the days it is compared with.
    pub counted_before: Option<Counted>,
    /// The money, by currency.
    pub currencies: Vec<InCurrency>,
    /// The models whose attempts have unknown costs in these days, the most frequent first.
    pub unpriced: Vec<Unpriced>,
}

/// Attempts and outcomes, in all currencies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Counted {
    /// Attempts.
    pub attempts: i64,
    /// Of these, whose model cost is unknown.
    pub unknown_cost_attempts: i64,
    /// Confirmed outcomes.
    pub confirmed: i64,
    /// Assumed outcomes.
    pub assumed: i64,
    /// Episodes that failed.
    pub failed: i64,
    /// Outcomes that were taken back.
    pub void: i64,
    /// Episodes that are not decided.
    pub pending: i64,
    /// How often what is decided succeeded.
    pub success: Option<Rate>,
    /// Of the outcomes that settled, those taken back, in tenths of a per cent.
    pub void_permille: Option<i64>,
}

/// The money of one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InCurrency {
    /// ISO 4217.
    pub currency: String,
    /// Its figures.
    pub now: Measured,
    /// Its figures in the days it is compared with.
    pub before: Option<Measured>,
    /// Day by day, week by week or month by month: as `step` says.
    pub trend: Vec<Point>,
    /// `day`, `week` (from Monday) or `month`.
    pub step: &'static str,
    /// Why failures cost something, the most expensive first.
    pub causes: Vec<Row>,
    /// The customers that cost more than they brought, the worst first.
    pub losing: Vec<Row>,
    /// The customers of this currency who have money in another one too: no margin holds theirs.
    pub left_out: Vec<String>,
}

/// What a stretch of days brought and cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Point {
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// Charges less voids and corrections.
    pub revenue_nanos: i64,
    /// What the attempts cost.
    pub cost_nanos: i64,
    /// Of this, lost and retries.
    pub failure_nanos: i64,
}

/// A model without a price for some attempts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unpriced {
    /// The model.
    pub model: String,
    /// Attempts whose cost is unknown.
    pub attempts: i64,
}

fn overflow() -> StoreError {
    StoreError::Refused("the sums of the report overflow; ask for fewer days".into())
}

/// The overview, from the roll-ups: five sums, whatever their size.
pub async fn overview(store: &Store, view: &View, fee: StripeFee) -> Result<Overview, StoreError> {
    let report = async |of: &Slice, by| failure_cost(store, &Query { of: of.clone(), by }).await;
    let other = view.compared();
    let now = report(&view.of, GroupBy::Customer).await?;
    let before = match &other {
        Some(other) => Some(report(other, GroupBy::Customer).await?),
        None => None,
    };
    let days = report(&view.of, GroupBy::Day).await?;
    let reasons = report(&view.of, GroupBy::Reason).await?;
    let models = report(&view.of, GroupBy::Model).await?;
    let reports = Reports { now, before, days, reasons, models };
    reports.overview(&view.of, other.as_ref(), fee).ok_or_else(overflow)
}

/// What an overview is made of: the same days by customer, day, reason and model, and others by customer.
pub(crate) struct Reports {
    pub(crate) now: FailureCost,
    pub(crate) before: Option<FailureCost>,
    pub(crate) days: FailureCost,
    pub(crate) reasons: FailureCost,
    pub(crate) models: FailureCost,
}

impl Reports {
    /// Puts it together; `None` where a sum does not fit.
    pub(crate) fn overview(self, of: &Slice, other: Option<&Slice>, fee: StripeFee) -> Option<Overview> {
        let mut currencies = Vec::new();
        for total in self.now.totals.iter().filter(|total| total.attempts != 0 || has_money(total)) {
            let currency = &total.currency;
            let mut causes: Vec<Row> = in_currency(&self.reasons, currency)
                .filter(|row| row.key != "-" && (row.lost_nanos != 0 || row.retry_nanos != 0))
                .cloned()
                .collect();
            causes.sort_by_key(|row| -(i128::from(row.lost_nanos) + i128::from(row.retry_nanos)));
            let mut losing: Vec<Row> = in_currency(&self.now, currency)
                .filter(|row| row.margin_nanos.is_some_and(|nanos| nanos < 0))
                .cloned()
                .collect();
            losing.sort_by_key(|row| row.margin_nanos);
            let left_out = in_currency(&self.now, currency)
                .filter(|row| row.one_currency.leaves_out)
                .map(|row| row.key.clone());
            let (step, trend) = trend(&self.days, of, currency)?;
            let before = self.before.as_ref().map(|before| {
                let row = before.totals.iter().find(|row| row.currency == *currency).cloned();
                let none = || Row { key: "total".into(), currency: currency.clone(), ..Row::default() };
                Measured::of(row.unwrap_or_else(none), fee)
            });
            currencies.push(InCurrency {
                currency: currency.clone(),
                now: Measured::of(total.clone(), fee),
                before,
                trend,
                step,
                causes,
                losing,
                left_out: left_out.collect(),
            });
        }
        let mut unpriced: BTreeMap<&str, i64> = BTreeMap::new();
        for row in self.models.rows.iter().filter(|row| row.unknown_cost_attempts > 0) {
            *unpriced.entry(&row.key).or_default() += row.unknown_cost_attempts;
        }
        let mut unpriced: Vec<Unpriced> = unpriced
            .into_iter()
            .map(|(model, attempts)| Unpriced { model: model.into(), attempts })
            .collect();
        unpriced.sort_by_key(|unpriced| -unpriced.attempts);
        Some(Overview {
            from: self.now.from.clone(),
            to: self.now.to.clone(),
            compared: other.map(Days::of),
            counted: Counted::of(&self.now.totals)?,
            counted_before: match &self.before {
                Some(before) => Some(Counted::of(&before.totals)?),
                None => None,
            },
            currencies,
            unpriced,
        })
    }
}

fn has_money(row: &Row) -> bool {
    row.cost_nanos != 0 || row.revenue_nanos != 0
}

fn in_currency<'a>(report: &'a FailureCost, currency: &str) -> impl Iterator<Item = &'a Row> {
    report.rows.iter().filter(move |row| row.currency == currency)
}

impl Counted {
    /// The sum of totals; `None` where it does not fit.
    fn of(totals: &[Row]) -> Option<Self> {
        let mut sum = Self::default();
        for row in totals {
            for (sum, more) in [
                (&mut sum.attempts, row.attempts),
                (&mut sum.unknown_cost_attempts, row.unknown_cost_attempts),
                (&mut sum.confirmed, row.confirmed),
                (&mut sum.assumed, row.assumed),
                (&mut sum.failed, row.failed),
                (&mut sum.void, row.void),
                (&mut sum.pending, row.pending),
            ] {
                *sum = sum.checked_add(more)?;
            }
        }
        let won = sum.confirmed.checked_add(sum.assumed)?;
        let settled = won.checked_add(sum.void)?;
        sum.success = Rate::of(won, settled.checked_add(sum.failed)?);
        sum.void_permille = permille(i128::from(sum.void), i128::from(settled));
        Some(sum)
    }
}

/// The trend of a currency over all days of a slice, with nothing left out where nothing was; `None` where a sum does
/// not fit.
fn trend(days: &FailureCost, of: &Slice, currency: &str) -> Option<(&'static str, Vec<Point>)> {
    let span = of.to - of.from;
    let (step, start): (_, fn(i64) -> i64) = if span <= MOST_DAYS {
        ("day", |day| day)
    } else if span <= MOST_WEEK_DAYS {
        // 1970-01-01 was a Thursday.
        ("week", |day| day - (day + 3).rem_euclid(7))
    } else {
        ("month", month_start)
    };
    // Nothing is drawn before the first day with figures and after the last: years may be asked for.
    let held: BTreeMap<i64, &Row> =
        in_currency(days, currency).filter_map(|row| Some((parse_day(&row.key)?, row))).collect();
    let (Some(first), Some(last)) = (held.keys().next(), held.keys().next_back()) else {
        return Some((step, Vec::new()));
    };
    let (from, to) = if step == "day" { (of.from, of.to) } else { (*first, *last + 1) };
    let mut points: BTreeMap<i64, Point> = BTreeMap::new();
    for day in from..to {
        let point = points.entry(start(day).max(of.from)).or_default();
        point.to = day_text(day + 1);
        if let Some(row) = held.get(&day) {
            let failures = row.lost_nanos.checked_add(row.retry_nanos)?;
            point.revenue_nanos = point.revenue_nanos.checked_add(row.revenue_nanos)?;
            point.cost_nanos = point.cost_nanos.checked_add(row.cost_nanos)?;
            point.failure_nanos = point.failure_nanos.checked_add(failures)?;
        }
    }
    let named = |(day, point): (i64, Point)| Point { from: day_text(day), ..point };
    Some((step, points.into_iter().map(named).collect()))
}

/// Groups, each beside itself in another period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Groups {
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// The days it is compared with.
    pub compared: Option<Days>,
    /// `customer`, `agent`, `provider`, `model` or `action`.
    pub by: String,
    /// A line for each group and currency.
    pub lines: Vec<Line>,
    /// The sums, by currency.
    pub totals: Vec<Line>,
}

/// A group's figures in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Line {
    /// Its figures.
    pub now: Measured,
    /// Its figures in the days it is compared with; absent where it had none, or where nothing is compared.
    pub before: Option<Measured>,
}

impl Line {
    /// Whether it cost more than it brought.
    pub fn is_losing(&self) -> bool {
        self.now.row.one_currency.margin_nanos.is_some_and(|nanos| nanos < 0)
    }
}

/// The groups of a view, from the roll-ups.
pub async fn groups(store: &Store, view: &View, by: GroupBy, fee: StripeFee) -> Result<Groups, StoreError> {
    let other = view.compared();
    let now = failure_cost(store, &Query { of: view.of.clone(), by }).await?;
    let before = match &other {
        Some(other) => Some(failure_cost(store, &Query { of: other.clone(), by }).await?),
        None => None,
    };
    Ok(grouped(now, before, by, other.as_ref(), fee))
}

/// Puts groups together.
pub(crate) fn grouped(
    now: FailureCost,
    before: Option<FailureCost>,
    by: GroupBy,
    other: Option<&Slice>,
    fee: StripeFee,
) -> Groups {
    let lines = |rows: Vec<Row>, held: Vec<Row>| {
        let mut held: BTreeMap<(String, String), Row> =
            held.into_iter().map(|row| ((row.key.clone(), row.currency.clone()), row)).collect();
        rows.into_iter()
            .map(|row| {
                let before = held.remove(&(row.key.clone(), row.currency.clone()));
                Line { before: before.map(|row| Measured::of(row, fee)), now: Measured::of(row, fee) }
            })
            .collect()
    };
    let (rows, totals) = before.map(|before| (before.rows, before.totals)).unwrap_or_default();
    Groups {
        from: now.from,
        to: now.to,
        compared: other.map(Days::of),
        by: group_name(by).into(),
        lines: lines(now.rows, rows),
        totals: lines(now.totals, totals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, currency: &str, revenue_nanos: i64, lost_nanos: i64) -> Row {
        let margin_nanos = Some(revenue_nanos - lost_nanos);
        Row {
            key: key.into(),
            currency: currency.into(),
            attempts: 1,
            revenue_nanos,
            lost_nanos,
            cost_nanos: lost_nanos,
            margin_nanos,
            ..Row::default()
        }
    }

    fn report(rows: Vec<Row>, totals: Vec<Row>) -> FailureCost {
        FailureCost { from: "2026-10-01".into(), to: "2026-11-01".into(), by: String::new(), rows, totals }
    }

    fn slice(from: &str, to: &str) -> Slice {
        let day = |text| parse_day(text).unwrap();
        Slice { from: day(from), to: day(to), ..Slice::default() }
    }

    fn points(from: &str, to: &str) -> (&'static str, Vec<(String, String, i64)>) {
        let rows = ["2026-10-01", "2026-10-04", "2026-10-05"].map(|day| row(day, "USD", 1, 0)).into();
        let (step, points) = trend(&report(rows, Vec::new()), &slice(from, to), "USD").unwrap();
        (step, points.into_iter().map(|point| (point.from, point.to, point.revenue_nanos)).collect())
    }

    #[test]
    fn a_trend_is_by_day_by_week_from_monday_or_by_month() {
        let (step, days) = points("2026-10-01", "2026-10-08");
        assert_eq!((step, days.len()), ("day", 7));
        assert_eq!(days[3], ("2026-10-04".into(), "2026-10-05".into(), 1));
        let (step, weeks) = points("2026-10-01", "2027-10-01");
        assert_eq!(step, "week");
        assert_eq!(
            weeks,
            [("2026-10-01".into(), "2026-10-05".into(), 2), ("2026-10-05".into(), "2026-10-06".into(), 1),]
        );
        let (step, months) = points("0001-01-01", "9999-01-01");
        assert_eq!((step, months.len(), months[0].2), ("month", 1, 3));
    }

    #[test]
    fn the_worst_stands_first_and_a_sum_that_does_not_fit_is_refused() {
        let now = report(
            vec![row("a", "USD", 1, 3), row("b", "USD", 1, 9), row("c", "USD", 5, 1), row("d", "EUR", 0, 1)],
            vec![row("total", "USD", 7, 13), row("total", "EUR", 0, 1), Row::default()],
        );
        let reasons = report(vec![row("silence", "USD", 0, 2), row("handoff", "USD", 0, 9)], Vec::new());
        let reports = |now: &FailureCost| Reports {
            now: now.clone(),
            before: Some(report(Vec::new(), Vec::new())),
            days: report(Vec::new(), Vec::new()),
            reasons: reasons.clone(),
            models: report(vec![Row { unknown_cost_attempts: 2, ..row("m", "USD", 0, 0) }], Vec::new()),
        };
        let of = slice("2026-10-01", "2026-11-01");
        let overview = reports(&now).overview(&of, None, StripeFee::default()).unwrap();
        let names = |rows: &[Row]| rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>();
        assert_eq!(overview.currencies.len(), 2, "a currency without money is none");
        assert_eq!(names(&overview.currencies[0].losing), ["b", "a"]);
        assert_eq!(names(&overview.currencies[0].causes), ["handoff", "silence"]);
        assert_eq!(overview.currencies[0].before.as_ref().unwrap().row.revenue_nanos, 0);
        assert_eq!(overview.unpriced, [Unpriced { model: "m".into(), attempts: 2 }]);
        assert_eq!(overview.counted.attempts, 2);
        let mut most = now;
        most.totals =
            vec![Row { attempts: i64::MAX, ..row("total", "USD", 1, 1) }, row("total", "EUR", 1, 1)];
        assert_eq!(reports(&most).overview(&of, None, StripeFee::default()), None);
    }

    #[test]
    fn a_group_stands_beside_itself() {
        let now = report(vec![row("a", "USD", 9, 1), row("a", "EUR", 0, 1)], Vec::new());
        let before = report(vec![row("a", "USD", 4, 1), row("gone", "USD", 4, 1)], Vec::new());
        let groups = grouped(now, Some(before), GroupBy::Agent, None, StripeFee::default());
        let revenue = |line: &Line| line.before.as_ref().map(|before| before.row.revenue_nanos);
        assert_eq!(groups.lines.iter().map(revenue).collect::<Vec<_>>(), [Some(4), None]);
        assert_eq!(groups.by, "agent");
    }
}
