//! Billing periods: half-open stretches of UTC time, resolved from the contract's time zone once.

use crate::contract::Cadence;
use crate::time::{MICROS_PER_DAY, Timestamp};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeZone};
pub use chrono_tz::{Tz, UTC};

/// `[start, end)` in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// How the periods of a contract run.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    /// How long they are.
    pub cadence: Cadence,
    /// Where their days begin.
    pub zone: Tz,
    /// When the first version of the contract took effect: anniversaries are counted from its day.
    pub anchor: Timestamp,
}

impl Calendar {
    /// The period that contains `at`.
    pub fn containing(&self, at: Timestamp) -> Period {
        let day = self.local_day(at);
        let (start, end) = match self.cadence {
            Cadence::Monthly => (first_of_month(day), first_of_month(day).and_then(|day| later(day, 1))),
            Cadence::Quarterly => {
                let start = first_of_month(day)
                    .and_then(|first| first.checked_sub_months(Months::new(first.month0() % 3)));
                (start, start.and_then(|start| later(start, 3)))
            }
            Cadence::Weekly => {
                let days = u64::from(day.weekday().num_days_from_monday());
                let start = day.checked_sub_days(Days::new(days));
                (start, start.and_then(|start| start.checked_add_days(Days::new(7))))
            }
            Cadence::Anniversary => self.anniversary(day),
        };
        Period { start: self.beginning(start), end: self.beginning(end) }
    }

    /// The month, from the day of the month of the anchor on, that contains `day`. A month that is too short for it
    /// begins on its last day.
    fn anniversary(&self, day: NaiveDate) -> (Option<NaiveDate>, Option<NaiveDate>) {
        let wanted = self.local_day(self.anchor).day();
        let in_month = |first: Option<NaiveDate>| {
            let first = first?;
            (28..=wanted.max(28))
                .rev()
                .chain([wanted])
                .filter(|day| *day <= wanted)
                .find_map(|day| first.with_day(day))
        };
        let first = first_of_month(day);
        let here = in_month(first);
        if here.is_some_and(|here| here <= day) {
            return (here, in_month(first.and_then(|first| later(first, 1))));
        }
        (in_month(first.and_then(|first| first.checked_sub_months(Months::new(1)))), here)
    }

    fn local_day(&self, at: Timestamp) -> NaiveDate {
        let local: DateTime<Tz> = at.to_utc().with_timezone(&self.zone);
        local.date_naive()
    }

    /// The first moment of a day. Where the clocks skip midnight, it is the first moment there is; where midnight comes
    /// twice, the first of the two.
    fn beginning(&self, day: Option<NaiveDate>) -> Timestamp {
        let midnight = day.and_then(|day| day.and_hms_opt(0, 0, 0));
        let moment = midnight.and_then(|midnight| {
            (0..=24 * 4).find_map(|quarter| {
                self.zone
                    .from_local_datetime(&(midnight + chrono::Duration::minutes(15 * quarter)))
                    .earliest()
            })
        });
        // Outside chrono's calendar (the year 262,000) there is no such day: the end of time stands for it.
        Timestamp(moment.map_or(i64::MAX, |moment| moment.timestamp_micros()))
    }
}

fn first_of_month(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)
}

fn later(day: NaiveDate, months: u32) -> Option<NaiveDate> {
    day.checked_add_months(Months::new(months))
}

/// The UTC month that contains `at`.
pub fn month_containing(at: Timestamp) -> Period {
    Calendar { cadence: Cadence::Monthly, zone: UTC, anchor: at }.containing(at)
}

/// The UTC month of a UTC day: its first day, and the first day after it, counted from 1970-01-01.
pub fn month_of_day(day: i64) -> (i64, i64) {
    let month = month_containing(Timestamp(day.saturating_mul(MICROS_PER_DAY)));
    (month.start.day(), month.end.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap_or_default()
    }

    fn period(cadence: Cadence, zone: Tz, anchor: &str, moment: &str) -> (String, String) {
        let period = Calendar { cadence, zone, anchor: at(anchor) }.containing(at(moment));
        (period.start.to_string(), period.end.to_string())
    }

    fn bounds(start: &str, end: &str) -> (String, String) {
        (start.into(), end.into())
    }

    #[test]
    fn months_follow_the_local_clock() {
        let month = |at: &str, zone| period(Cadence::Monthly, zone, at, at);
        let berlin = chrono_tz::Europe::Berlin;
        // October 2026 has the end of summer time in it: 745 hours.
        let october = bounds("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z");
        assert_eq!(month("2026-10-15T12:00:00Z", berlin), october);
        assert_eq!(month("2026-09-30T22:00:00Z", berlin), october);
        assert_ne!(month("2026-09-30T21:59:59Z", berlin), october);
        let february = bounds("2028-02-01T05:00:00Z", "2028-03-01T05:00:00Z");
        assert_eq!(month("2028-02-29T12:00:00Z", chrono_tz::America::New_York), february);
        assert_eq!(month("2026-12-31T15:00:00Z", chrono_tz::Asia::Tokyo).0, "2026-12-31T15:00:00Z");
    }

    #[test]
    fn weeks_begin_on_monday_and_quarters_in_january() {
        let berlin = chrono_tz::Europe::Berlin;
        let week = |at: &str| period(Cadence::Weekly, berlin, at, at);
        // The clocks go forward on Sunday 2026-03-29: 167 hours.
        let spring = bounds("2026-03-22T23:00:00Z", "2026-03-29T22:00:00Z");
        assert_eq!(week("2026-03-29T21:59:59Z"), spring);
        assert_ne!(week("2026-03-29T22:00:00Z"), spring);
        let quarter = |at: &str| period(Cadence::Quarterly, UTC, at, at);
        assert_eq!(quarter("2028-02-29T23:59:59Z"), bounds("2028-01-01T00:00:00Z", "2028-04-01T00:00:00Z"));
        assert_eq!(quarter("2026-12-31T23:59:59Z"), bounds("2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"));
    }

    #[test]
    fn anniversaries_fall_on_the_last_day_of_a_month_that_is_too_short() {
        let month = |anchor: &str, at: &str| period(Cadence::Anniversary, UTC, anchor, at);
        let on_31st = |at: &str| month("2027-10-31T15:00:00Z", at);
        assert_eq!(on_31st("2027-11-15T00:00:00Z"), bounds("2027-10-31T00:00:00Z", "2027-11-30T00:00:00Z"));
        assert_eq!(on_31st("2028-02-29T00:00:00Z"), bounds("2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"));
        assert_eq!(on_31st("2028-02-28T23:59:59Z"), bounds("2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"));
        let on_5th = |at: &str| month("2026-10-05T00:00:00Z", at);
        assert_eq!(on_5th("2026-11-04T23:59:59Z"), bounds("2026-10-05T00:00:00Z", "2026-11-05T00:00:00Z"));
        assert_eq!(on_5th("2027-01-05T00:00:00Z"), bounds("2027-01-05T00:00:00Z", "2027-02-05T00:00:00Z"));
    }

    #[test]
    fn each_moment_is_in_the_period_that_contains_it_and_periods_touch() {
        let zones = [UTC, chrono_tz::America::Sao_Paulo, chrono_tz::Pacific::Apia, chrono_tz::Africa::Cairo];
        for zone in zones {
            for cadence in [Cadence::Monthly, Cadence::Weekly, Cadence::Quarterly, Cadence::Anniversary] {
                let calendar = Calendar { cadence, zone, anchor: at("2011-10-31T12:00:00Z") };
                let mut moment = at("2011-11-01T00:30:00Z");
                for _ in 0..700 {
                    let period = calendar.containing(moment);
                    assert!((period.start..period.end).contains(&moment), "{zone} {cadence:?} {moment}");
                    assert_eq!(
                        calendar.containing(period.end).start,
                        period.end,
                        "{zone} {cadence:?} {moment}"
                    );
                    moment = Timestamp(moment.0 + 31 * 3_600_000_000);
                }
            }
        }
    }
}
