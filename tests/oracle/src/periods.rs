//! RULES, "Periods and invoices": the calendar.

use crate::oracle::in_force;
use crate::{Cadence, Contract, HOUR};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, TimeZone};
use chrono_tz::Tz;

/// `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    /// The first moment.
    pub start: i64,
    /// The first moment after it.
    pub end: i64,
    /// The first moment at which it is closed.
    pub closes_at: i64,
}

/// The periods of a customer that are closed at `now`.
///
/// # Panics
/// For a customer without a contract.
pub fn closed_periods(contracts: &[Contract], customer: &str, now: i64) -> Vec<Period> {
    let of_customer = contracts.iter().filter(|contract| contract.customer == customer);
    let first = of_customer
        .min_by_key(|contract| (contract.effective_from, contract.version))
        .expect("it has a contract");
    let anchor = first.effective_from;
    let (mut start, mut end) = containing(first, anchor, anchor);
    let mut periods = Vec::new();
    loop {
        let contract = in_force(contracts, customer, start).unwrap_or(first);
        let closes_at = end + contract.grace_hours * HOUR;
        if now < closes_at {
            return periods;
        }
        periods.push(Period { start, end, closes_at });
        start = end;
        // Where nothing has changed, it is the one that begins here.
        let next = in_force(contracts, customer, start).unwrap_or(first);
        end = containing(next, anchor, start + 36 * HOUR).1;
    }
}

/// The period that contains a moment, by the calendar of a version.
fn containing(contract: &Contract, anchor: i64, at: i64) -> (i64, i64) {
    let zone: Tz = contract.time_zone.parse().expect("a time zone");
    let today = local_date(zone, at);
    let month = today.with_day(1).expect("a month has a first day");
    let begins = |first: NaiveDate, months: u32| (first, first + Months::new(months));
    let (first, next) = match contract.period {
        Cadence::Monthly => begins(month, 1),
        Cadence::Quarterly => begins(month - Months::new(month.month0() % 3), 3),
        Cadence::Weekly => {
            let monday = today - Days::new(today.weekday().num_days_from_monday().into());
            (monday, monday + Days::new(7))
        }
        Cadence::Anniversary => {
            let day = local_date(zone, anchor).day();
            let this = anniversary(month, day);
            if this <= today {
                (this, anniversary(month + Months::new(1), day))
            } else {
                (anniversary(month - Months::new(1), day), this)
            }
        }
    };
    (day_start(zone, first), day_start(zone, next))
}

/// That day of the month, or the last one there is.
fn anniversary(month: NaiveDate, day: u32) -> NaiveDate {
    (1..=day).rev().find_map(|day| month.with_day(day)).expect("a month has a first day")
}

fn local_date(zone: Tz, at: i64) -> NaiveDate {
    DateTime::from_timestamp_micros(at).expect("in range").with_timezone(&zone).date_naive()
}

/// The first moment of a day. Where the clocks leap over midnight, the day begins later.
pub(crate) fn day_start(zone: Tz, day: NaiveDate) -> i64 {
    // A zone that changed sides of the date line has a day less.
    let minutes = (0..2 * 24 * 60)
        .map(|minute| day.and_time(chrono::NaiveTime::MIN) + chrono::Duration::minutes(minute));
    let first = minutes.filter_map(|time| zone.from_local_datetime(&time).earliest()).next();
    first.expect("a day begins").timestamp_micros()
}
