//! Billing periods: half-open stretches of UTC time, resolved from the contract's time zone once.

use crate::time::Timestamp;
use chrono::{Datelike, NaiveDate, TimeZone};
pub use chrono_tz::{Tz, UTC};

/// `[start, end)` in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment of it.
    pub start: Timestamp,
    /// The first moment after it.
    pub end: Timestamp,
}

/// The calendar month, in `zone`, that contains `at`.
pub fn month_containing(at: Timestamp, zone: Tz) -> Period {
    let local = at.to_utc().with_timezone(&zone);
    let start = month_start(local.year(), local.month(), zone);
    Period { start, end: next_month_start(at, zone) }
}

/// When, in `zone`, the month after the one that contains `at` begins.
pub fn next_month_start(at: Timestamp, zone: Tz) -> Timestamp {
    let local = at.to_utc().with_timezone(&zone);
    let (year, month) =
        if local.month() == 12 { (local.year() + 1, 1) } else { (local.year(), local.month() + 1) };
    month_start(year, month, zone)
}

/// The first moment of a month in a time zone. Where the clocks skip midnight, the day begins at the
/// first hour there is; where midnight comes twice, at the first of the two.
fn month_start(year: i32, month: u32, zone: Tz) -> Timestamp {
    let midnight = NaiveDate::from_ymd_opt(year, month, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    let moment = midnight.and_then(|midnight| {
        (0..=24 * 4).find_map(|quarter| {
            zone.from_local_datetime(&(midnight + chrono::Duration::minutes(15 * quarter))).earliest()
        })
    });
    // Outside chrono's calendar (the year 262,000) there is no such day: the end of time stands for it.
    Timestamp(moment.map_or(i64::MAX, |moment| moment.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month(at: &str, zone: Tz) -> (String, String) {
        let period = month_containing(Timestamp::parse(at).unwrap_or_default(), zone);
        (period.start.to_string(), period.end.to_string())
    }

    #[test]
    fn months_follow_the_local_clock() {
        let berlin = chrono_tz::Europe::Berlin;
        // October 2026 has the end of summer time in it: 745 hours.
        let october = ("2026-09-30T22:00:00Z".to_string(), "2026-10-31T23:00:00Z".to_string());
        assert_eq!(month("2026-10-15T12:00:00Z", berlin), october);
        assert_eq!(month("2026-09-30T22:00:00Z", berlin), october);
        assert_ne!(month("2026-09-30T21:59:59Z", berlin), october);
        let february = ("2028-02-01T05:00:00Z".to_string(), "2028-03-01T05:00:00Z".to_string());
        assert_eq!(month("2028-02-29T12:00:00Z", chrono_tz::America::New_York), february);
        assert_eq!(month("2026-12-31T15:00:00Z", chrono_tz::Asia::Tokyo).0, "2026-12-31T15:00:00Z");
    }
}
