//! What a page of figures was asked for, and with which days it is compared.

use crate::pages::encoded;
use verdict_domain::period::month_containing;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text, parse_day};
use verdict_store::figures::Slice;

/// With which days the figures are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compare {
    /// The period before: for what begins with a month as many months before, for the rest as many days.
    #[default]
    Previous,
    /// The same days of the year before.
    Year,
    /// None.
    Nothing,
    /// Days of one's own choice, the second excluded.
    Days(i64, i64),
}

impl Compare {
    /// What can be chosen: its name in an address, and what it is called.
    pub(crate) const CHOICES: [(&'static str, &'static str); 4] =
        [("previous", "period before"), ("year", "year before"), ("none", "nothing"), ("days", "days below")];

    /// Its name in an address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Previous => "previous",
            Self::Year => "year",
            Self::Nothing => "none",
            Self::Days(..) => "days",
        }
    }
}

/// What a page of figures was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Of which figures.
    pub of: Slice,
    /// Beside which.
    pub compare: Compare,
    /// By which column a table is sorted, the greatest first where a `-` stands before it.
    pub sort: Option<String>,
}

impl View {
    /// The figures beside which they stand: the same of other days.
    pub fn compared(&self) -> Option<Slice> {
        let (from, to) = match self.compare {
            Compare::Previous => before(self.of.from, self.of.to),
            Compare::Year => (year_before(self.of.from)?, year_before(self.of.to)?),
            Compare::Nothing => return None,
            Compare::Days(from, to) => (from, to),
        };
        (from < to).then(|| Slice { from, to, ..self.of.clone() })
    }

    /// The view in an address, without the `?`: it leads to the same days whenever it is opened.
    pub fn query(&self) -> String {
        let mut query = slice_query(&self.of);
        let mut add = |name: &str, value: &str| query += &format!("&{name}={}", encoded(value));
        match self.compare {
            Compare::Previous => {}
            Compare::Days(from, to) => {
                add("compare_from", &day_text(from));
                add("compare_to", &day_text(to));
            }
            other => add("compare", other.name()),
        }
        if let Some(sort) = &self.sort {
            add("sort", sort);
        }
        query
    }

    /// The same of other days.
    pub fn in_days(&self, from: i64, to: i64) -> Self {
        let compare = if let Compare::Days(..) = self.compare { Compare::Previous } else { self.compare };
        Self { of: Slice { from, to, ..self.of.clone() }, compare, ..self.clone() }
    }
}

/// What all pages understand of a view, in an address.
pub(crate) fn slice_query(of: &Slice) -> String {
    let mut query = format!("from={}&to={}", day_text(of.from), day_text(of.to));
    for (name, value) in [
        ("customer", &of.customer),
        ("agent", &of.agent),
        ("provider", &of.provider),
        ("model", &of.model),
        ("action", &of.action),
    ] {
        if let Some(value) = value {
            query += &format!("&{name}={}", encoded(value));
        }
    }
    query
}

/// Days that are often asked for: what they are called, and from when to when (excluded).
pub fn presets(today: i64) -> [(&'static str, i64, i64); 5] {
    let month = month_start(today);
    let last = |days: i64| (today + 1 - days, today + 1);
    let ((week, end), (thirty, _), (ninety, _)) = (last(7), last(30), last(90));
    [
        ("This month", month, end),
        ("Last month", month_start(month - 1), month),
        ("7 days", week, end),
        ("30 days", thirty, end),
        ("90 days", ninety, end),
    ]
}

/// The first day of the month that a day is in.
pub(crate) fn month_start(day: i64) -> i64 {
    month_containing(Timestamp(day.saturating_mul(MICROS_PER_DAY))).start.day()
}

/// The period before: as many days; or, for what begins with a month, that many months before: whole ones for whole
/// ones, else as many days of them as there are, so that the first half of a month stands beside the first half.
fn before(from: i64, to: i64) -> (i64, i64) {
    if month_start(from) != from {
        return (from - (to - from), from);
    }
    let (mut months, mut last) = (1, month_start(to - 1));
    while last > from {
        (months, last) = (months + 1, month_start(last - 1));
    }
    let start = (0..months).fold(from, |day, _| month_start(day - 1));
    let is_whole = month_start(to) == to;
    (start, if is_whole { from } else { from.min(start + (to - from)) })
}

/// The same day of the year before; of the 29th of February, the 28th.
fn year_before(day: i64) -> Option<i64> {
    let text = day_text(day);
    let (year, rest) = text.split_once('-')?;
    let year = year.parse::<i64>().ok()?.checked_sub(1)?;
    let rest = if rest == "02-29" { "02-28" } else { rest };
    parse_day(&format!("{year:04}-{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> i64 {
        parse_day(text).unwrap()
    }

    fn view(from: &str, to: &str, compare: Compare) -> View {
        let of = Slice { from: day(from), to: day(to), ..Slice::default() };
        View { of, compare, sort: None }
    }

    fn compared(from: &str, to: &str, compare: Compare) -> Option<(String, String)> {
        let other = view(from, to, compare).compared()?;
        Some((day_text(other.from), day_text(other.to)))
    }

    #[test]
    fn the_period_before_is_as_long_or_as_many_months() {
        for (from, to, before, until) in [
            ("2026-11-05", "2026-11-12", "2026-10-29", "2026-11-05"),
            ("2026-11-01", "2026-12-01", "2026-10-01", "2026-11-01"),
            ("2026-11-01", "2026-11-23", "2026-10-01", "2026-10-23"),
            ("2026-03-01", "2026-03-31", "2026-02-01", "2026-03-01"),
            ("2026-03-01", "2026-04-01", "2026-02-01", "2026-03-01"),
            ("2026-01-01", "2026-04-01", "2025-10-01", "2026-01-01"),
            ("2026-01-01", "2026-03-15", "2025-10-01", "2025-12-13"),
        ] {
            let found = compared(from, to, Compare::Previous);
            assert_eq!(found, Some((before.into(), until.into())), "{from} {to}");
        }
    }

    #[test]
    fn other_days_are_those_of_the_year_before_ones_own_or_none() {
        let year = compared("2028-02-29", "2028-03-01", Compare::Year);
        assert_eq!(year, Some(("2027-02-28".into(), "2027-03-01".into())));
        assert_eq!(compared("2028-03-01", "2028-04-01", Compare::Nothing), None);
        let own = Compare::Days(day("2026-01-02"), day("2026-01-09"));
        assert_eq!(
            compared("2026-05-01", "2026-06-01", own),
            Some(("2026-01-02".into(), "2026-01-09".into()))
        );
    }

    #[test]
    fn an_address_holds_the_whole_view() {
        let mut view = view("2026-10-01", "2026-11-01", Compare::Days(20_454, 20_455));
        view.of.customer = Some("A&B".into());
        view.sort = Some("-margin".into());
        assert_eq!(
            view.query(),
            "from=2026-10-01&to=2026-11-01&customer=A%26B&compare_from=2026-01-01&compare_to=2026-01-02&sort=-margin"
        );
        let week = view.in_days(20_454, 20_461);
        assert_eq!(week.query(), "from=2026-01-01&to=2026-01-08&customer=A%26B&sort=-margin");
    }

    #[test]
    fn presets_are_of_today() {
        let days = presets(day("2026-11-22")).map(|(_, from, to)| (day_text(from), day_text(to)));
        assert_eq!(
            days.each_ref().map(|(from, to)| (from.as_str(), to.as_str())),
            [
                ("2026-11-01", "2026-11-23"),
                ("2026-10-01", "2026-11-01"),
                ("2026-11-16", "2026-11-23"),
                ("2026-10-24", "2026-11-23"),
                ("2026-08-25", "2026-11-23"),
            ]
        );
    }
}
