//! Time as UTC microseconds since 1970, the one form in which it is stored, compared and judged.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// A moment: microseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Microseconds in a day.
pub const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Timestamp {
    /// Reads RFC 3339. What is finer than a microsecond is cut off.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|time| Self(time.timestamp_micros()))
    }

    /// The moment `micros` later; stays at the end of time where that does not fit.
    pub fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The UTC day, counted from 1970-01-01.
    pub fn day(self) -> i64 {
        self.0.div_euclid(MICROS_PER_DAY)
    }

    /// The same moment for calendar arithmetic; the end of chrono's calendar if beyond it.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            D::Error::custom(format!("`{text}` is not an RFC 3339 time such as 2026-10-01T00:00:00Z"))
        })
    }
}

/// The UTC day number as `2026-10-01`.
pub fn day_text(day: i64) -> String {
    Timestamp(day.saturating_mul(MICROS_PER_DAY)).to_utc().format("%Y-%m-%d").to_string()
}

/// Reads `2026-10-01` as a UTC day number.
pub fn parse_day(text: &str) -> Option<i64> {
    Timestamp::parse(&format!("{text}T00:00:00Z")).map(Timestamp::day)
}

/// A non-negative length of time in microseconds. Written as `24h`, `90m`, `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i64);

impl Span {
    /// So many hours.
    pub const fn hours(hours: i64) -> Self {
        Self(hours * 3_600_000_000)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let whole = |unit: i64| (self.0 % unit == 0).then_some(self.0 / unit);
        let text = match (whole(3_600_000_000), whole(1_000_000)) {
            (Some(hours), _) => format!("{hours}h"),
            (_, Some(seconds)) => format!("{seconds}s"),
            _ => format!("{}us", self.0),
        };
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let duration = humantime::parse_duration(&text)
            .map_err(|error| D::Error::custom(format!("`{text}` is not a duration such as 72h: {error}")))?;
        let micros = i64::try_from(duration.as_micros())
            .ok()
            .filter(|micros| *micros <= 400 * MICROS_PER_DAY)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is longer than 400 days")))?;
        Ok(Self(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_in_utc_also_before_1970() {
        assert_eq!(Timestamp(-1).day(), -1);
        assert_eq!(parse_day("1970-01-02"), Some(1));
        assert_eq!(day_text(20_362), "2025-10-01");
        assert_eq!(parse_day("2025-13-01"), None);
    }

    #[test]
    fn rfc_3339_goes_in_and_out() {
        let time = Timestamp::parse("2026-10-01T02:00:00.000001+02:00");
        assert_eq!(time.map(|t| t.to_string()).as_deref(), Some("2026-10-01T00:00:00.000001Z"));
        assert_eq!(Timestamp::parse("2026-10-01"), None);
    }
}
