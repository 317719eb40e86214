//! The hours off the peak, as LiteLLM's book writes them: windows of UTC time, of every day or of some days of the week.

use chrono::{Datelike, Timelike};
use serde::Deserialize;
use verdict_domain::period::Tz;
use verdict_domain::time::Timestamp;

/// Prices are kept for a quarter of an hour, so that none may change within one.
const QUARTER: u32 = 15;

/// When it is off the peak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hours {
    rules: Vec<Rule>,
    /// Where the days of the week begin.
    zone: Tz,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Minutes of the UTC day: the first is in it, the second is not. One that ends before it begins goes over midnight.
    windows: Vec<(u32, u32)>,
    /// From Monday (1) to Sunday (7); `None`: every day.
    days: Option<Vec<u32>>,
}

#[derive(Deserialize)]
struct Block {
    #[serde(default)]
    hours_utc: Option<OneOrMany>,
    #[serde(default)]
    windows: Vec<Window>,
    #[serde(default)]
    weekday_timezone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Window {
    hours_utc: OneOrMany,
    #[serde(default)]
    weekdays: Option<Vec<u32>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn windows(self) -> Result<Vec<(u32, u32)>, String> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        };
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute) = (hour.parse::<u32>().ok()?, minute.parse::<u32>().ok()?);
            (hour < 24 && minute < 60 && minute.is_multiple_of(QUARTER)).then_some(hour * 60 + minute)
        };
        let window = |text: &String| {
            let both = text.split_once('-').and_then(|(start, end)| Some((minute(start)?, minute(end)?)));
            both.ok_or_else(|| {
                format!("hours_utc: `{text}` is not such as `10:00-16:30`, at quarters of an hour")
            })
        };
        texts.iter().map(window).collect()
    }
}

impl Hours {
    /// The fields that say when.
    pub(super) const FIELDS: [&str; 3] = ["hours_utc", "windows", "weekday_timezone"];

    /// Reads the block. The error names the field.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let block: Block = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut rules = Vec::new();
        if let Some(hours) = block.hours_utc {
            rules.push(Rule { windows: hours.windows()?, days: None });
        }
        for window in block.windows {
            if window.weekdays.iter().flatten().any(|day| !(1..=7).contains(day)) {
                return Err("windows.weekdays: has a number that is not from 1 (Monday) to 7".into());
            }
            rules.push(Rule { windows: window.hours_utc.windows()?, days: window.weekdays });
        }
        if rules.is_empty() {
            return Err("windows: there are none, and no hours_utc".into());
        }
        let zone = block.weekday_timezone.as_deref().unwrap_or("UTC");
        let zone = zone.parse().map_err(|_| format!("weekday_timezone: `{zone}` is no time zone"))?;
        Ok(Self { rules, zone })
    }

    /// Whether a time is off the peak.
    pub(super) fn contain(&self, at: Timestamp) -> bool {
        let utc = at.to_utc();
        let minute = utc.hour() * 60 + utc.minute();
        let day = utc.with_timezone(&self.zone).weekday().number_from_monday();
        self.rules.iter().any(|rule| {
            let on_day = rule.days.as_ref().is_none_or(|days| days.contains(&day));
            let within = |(start, end): &(u32, u32)| match start < end {
                true => (*start..*end).contains(&minute),
                // Over midnight; one that ends when it begins is the whole day.
                false => minute >= *start || minute < *end,
            };
            on_day && rule.windows.iter().any(within)
        })
    }
}
