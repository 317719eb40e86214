//! Reading the times that platforms write.

use serde::{Deserialize, Serialize};
use verdict_domain::time::Timestamp;

/// 2000-01-01 and 2100-01-01: what is outside is no time of a case.
const EARLIEST: Timestamp = Timestamp(946_684_800_000_000);
const LATEST: Timestamp = Timestamp(4_102_444_800_000_000);

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// `2026-10-01T12:00:00.5Z`; the seconds may be left out.
    Rfc3339,
    /// The same, and where the offset is left out it is UTC.
    Rfc3339Utc,
    /// Seconds since 1970, with decimals or without.
    UnixS,
    /// Milliseconds since 1970.
    UnixMs,
}

impl TimeFormat {
    /// The time, if the text is one between 2000 and 2100. What is finer than a microsecond is cut off.
    pub(crate) fn read(self, text: &str) -> Option<Timestamp> {
        let time = match self {
            Self::Rfc3339 => rfc3339(text)?,
            Self::Rfc3339Utc => rfc3339(text).or_else(|| rfc3339(&format!("{text}Z")))?,
            Self::UnixS => Timestamp(scaled(text, 6)?),
            Self::UnixMs => Timestamp(scaled(text, 3)?),
        };
        (EARLIEST..LATEST).contains(&time).then_some(time)
    }

    /// A timestamp that is signed: plain digits, at most 15, or RFC 3339 in full.
    pub(crate) fn read_signed(self, text: &str) -> Option<Timestamp> {
        let digits = || {
            let plain = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<i64>().ok()).flatten()
        };
        match self {
            Self::Rfc3339 | Self::Rfc3339Utc => Timestamp::parse(text),
            Self::UnixS => Some(Timestamp(digits()?.saturating_mul(1_000_000))),
            Self::UnixMs => Some(Timestamp(digits()?.saturating_mul(1_000))),
        }
    }
}

/// Reads RFC 3339. Some platforms leave out the seconds: `2026-10-01T12:00Z`.
fn rfc3339(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text).or_else(|| {
        let (minutes, offset) = text.split_at_checked(16)?;
        Timestamp::parse(&format!("{minutes}:00{offset}"))
    })
}

/// Reads a decimal as a count of 10^-`places`, from its digits: a floating-point number would not hold it.
fn scaled(text: &str, places: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) {
        return None;
    }
    let kept: String = fraction.chars().chain(std::iter::repeat('0')).take(places as usize).collect();
    let whole: i64 = whole.parse().ok()?;
    whole.checked_mul(10_i64.checked_pow(places)?)?.checked_add(kept.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond_and_from_this_century() {
        let read = |format: TimeFormat, text| format.read(text).map(|time| time.to_string());
        for (format, text, expected) in [
            (TimeFormat::UnixS, "1703102616.25", Some("2023-12-20T20:03:36.250Z")),
            (TimeFormat::UnixS, "1703102616.2500019", Some("2023-12-20T20:03:36.250001Z")),
            (TimeFormat::UnixMs, "1703102616250", Some("2023-12-20T20:03:36.250Z")),
            (TimeFormat::UnixMs, "1703102616", None),
            (TimeFormat::UnixS, "1703102616250", None),
            (TimeFormat::UnixS, "-1", None),
            (TimeFormat::UnixS, "99999999999999999999", None),
            (TimeFormat::UnixS, "1.7e9", None),
            (TimeFormat::UnixS, "1703102616.", None),
            (TimeFormat::UnixS, "", None),
            (TimeFormat::Rfc3339, "2025-01-08T16:45:20.987654321Z", Some("2025-01-08T16:45:20.987654Z")),
            (TimeFormat::Rfc3339, "2026-06-23T06:12:37.1+02:00", Some("2026-06-23T04:12:37.100Z")),
            (TimeFormat::Rfc3339, "2025-01-08T16:45Z", Some("2025-01-08T16:45:00Z")),
            (TimeFormat::Rfc3339, "2025-01-08T16:45:20", None),
            (TimeFormat::Rfc3339Utc, "2025-01-08T16:45:20", Some("2025-01-08T16:45:20Z")),
            (TimeFormat::Rfc3339, "1999-12-31T23:59:59Z", None),
            (TimeFormat::Rfc3339, "2100-01-01T00:00:00Z", None),
            (TimeFormat::Rfc3339, "é025-01-08T16:45Z", None),
        ] {
            assert_eq!(read(format, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_signed_time_is_plain() {
        for odd in ["+1", " 1", "1 ", "1.0", "", "1e3", "1234567890123456", "hello", "１"] {
            assert_eq!(TimeFormat::UnixS.read_signed(odd), None, "{odd}");
        }
        assert_eq!(TimeFormat::UnixS.read_signed("0"), Some(Timestamp(0)));
        assert_eq!(TimeFormat::UnixS.read_signed("999999999999999"), Some(Timestamp(i64::MAX)));
        assert_eq!(TimeFormat::Rfc3339.read_signed("1234"), None);
        assert_eq!(TimeFormat::Rfc3339.read_signed("2025-01-08T16:45Z"), None);
    }
}
