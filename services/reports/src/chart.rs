//! The stacked bars of a report by day, as SVG: the costs of each UTC day by what became of them.
//!
//! Positions are whole hundredths of a per cent of the plot, divided from nanos as integers: no float, and a
//! browser stretches the plot to any width without stretching its text.

use crate::failure_cost::{FailureCost, Row};
use crate::text::rounded;
use askama::Template;
use std::collections::BTreeMap;
use verdict_domain::money::decimal;
use verdict_domain::time::{day_text, parse_day};

/// The longest span that is drawn: beyond it a day is less than a pixel or two.
pub(crate) const MOST_DAYS: i64 = 400;

/// The whole of an axis, in hundredths of a per cent.
const WHOLE: i128 = 10_000;

/// The parts of a bar from the bottom up. The failures stand on the axis, where they compare best.
#[allow(clippy::type_complexity)] // names with what they pick
const PARTS: [(&str, fn(&Row) -> i64); 5] = [
    ("lost", |row| row.lost_nanos),
    ("retries", |row| row.retry_nanos),
    ("free", |row| row.free_nanos),
    ("won", |row| row.won_nanos),
    ("pending", |row| row.pending_nanos),
];

/// The chart of one currency.
#[derive(Template)]
#[template(path = "chart.html")]
pub(crate) struct Chart<'a> {
    currency: &'a str,
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
}

struct Tick {
    y: String,
    label: String,
}

/// One day: its slot is what the mouse may hit, the bar a little narrower.
struct Bar {
    slot: String,
    slot_width: String,
    x: String,
    width: String,
    middle: String,
    label: Option<String>,
    title: String,
    parts: Vec<Part>,
}

struct Part {
    name: &'static str,
    y: String,
    height: String,
}

impl<'a> Chart<'a> {
    /// The chart of `currency` over all days of a report by day; none without costs, or where the span is not
    /// one of up to [`MOST_DAYS`] days.
    pub(crate) fn new(trend: &FailureCost, currency: &'a str) -> Option<Self> {
        let (from, to) = (parse_day(&trend.from)?, parse_day(&trend.to)?);
        let days = to.checked_sub(from).filter(|days| (1..=MOST_DAYS).contains(days))?;
        let rows: BTreeMap<&str, &Row> = trend
            .rows
            .iter()
            .filter(|row| row.currency == currency)
            .map(|row| (row.key.as_str(), row))
            .collect();
        let most = rows.values().map(|row| heights(row).iter().sum()).max().filter(|most| *most > 0)?;
        let every = (days + 6) / 7;
        let bars = (0..days).map(|nth| {
            let day = day_text(from + nth);
            let row = rows.get(day.as_str()).copied();
            bar(nth, days, &day, row, most, currency, nth % every == 0)
        });
        Some(Self { currency, ticks: ticks(most, currency), bars: bars.collect() })
    }

    /// The longest label of the money axis: the page leaves it as much room.
    fn widest(&self) -> &str {
        let labels = self.ticks.iter().map(|tick| tick.label.as_str()).chain([self.currency]);
        labels.max_by_key(|label| label.len()).unwrap_or_default()
    }
}

/// How high each part is, in nanos. Costs are not negative; a sum that were could not be drawn, the tables show it.
fn heights(row: &Row) -> [i128; 5] {
    PARTS.map(|(_, nanos)| i128::from(nanos(row).max(0)))
}

fn bar(nth: i64, days: i64, day: &str, row: Option<&Row>, most: i128, currency: &str, labelled: bool) -> Bar {
    let at = |quarters: i64| i128::from(nth * 4 + quarters) * WHOLE / i128::from(days * 4);
    let (start, end) = (at(0), at(4));
    let bar_width = (end - start) * 4 / 5;
    let mut parts = Vec::new();
    let mut below = 0;
    for ((name, _), nanos) in PARTS.iter().zip(row.map(heights).unwrap_or_default()) {
        let (bottom, top) = (below * WHOLE / most, (below + nanos) * WHOLE / most);
        below += nanos;
        if top > bottom {
            parts.push(Part { name, y: percent(WHOLE - top), height: percent(top - bottom) });
        }
    }
    Bar {
        slot: percent(start),
        slot_width: percent(end - start),
        x: percent(start + (end - start - bar_width) / 2),
        width: percent(bar_width),
        middle: percent(at(2)),
        label: labelled.then(|| short(day)).flatten(),
        title: row.map_or_else(|| format!("{day}: no costs"), |row| title(day, row, currency)),
        parts,
    }
}

/// What a day's bar says when it is pointed at.
fn title(day: &str, row: &Row, currency: &str) -> String {
    let money = |nanos| rounded(nanos, currency);
    let mut text = format!("{day}: {} {currency}", money(row.cost_nanos));
    for (name, nanos) in PARTS.iter().rev() {
        text.push_str(&format!("\n{name} {}", money(nanos(row))));
    }
    if row.unknown_cost_attempts > 0 {
        text.push_str(&format!("\ncost unknown for {} attempts", row.unknown_cost_attempts));
    }
    text
}

/// At most eight steps of 1, 2 or 5 times a power of ten, and zero.
fn ticks(most: i128, currency: &str) -> Vec<Tick> {
    let step = step_of(most);
    (0..=most / step)
        .filter_map(|nth| {
            let label = label_of(i64::try_from(nth * step).ok()?, currency);
            Some(Tick { y: percent(WHOLE - nth * step * WHOLE / most), label })
        })
        .collect()
}

/// 1, 2 or 5 times a power of ten, of which at most eight are in `most`.
pub(crate) fn step_of(most: i128) -> i128 {
    let mut unit = 1;
    loop {
        match [1, 2, 5].into_iter().map(|times| unit * times).find(|step| step * 8 >= most) {
            Some(step) => break step,
            None => unit *= 10,
        }
    }
}

/// What stands at a step. From a thousand on the steps are whole units.
pub(crate) fn label_of(nanos: i64, currency: &str) -> String {
    match decimal(nanos, 0) {
        short if short.len() < 4 || short.contains('.') => short,
        _ => rounded(nanos, currency).split('.').next().unwrap_or_default().to_string(),
    }
}

pub(crate) fn percent(hundredths: i128) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// `2026-10-05` as `5 Oct`.
pub(crate) fn short(day: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = day.rsplit('-');
    let (day, month) = (parts.next()?, parts.next()?.parse::<usize>().ok()?);
    Some(format!("{} {}", day.trim_start_matches('0'), MONTHS.get(month.checked_sub(1)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(from: &str, to: &str, rows: &[(&str, [i64; 4])]) -> FailureCost {
        let row = |(day, [lost, retry, won, pending]): &(&str, [i64; 4])| Row {
            key: day.to_string(),
            currency: "USD".into(),
            lost_nanos: *lost,
            retry_nanos: *retry,
            won_nanos: *won,
            pending_nanos: *pending,
            ..Row::default()
        };
        let rows = rows.iter().map(row).collect();
        FailureCost { from: from.into(), to: to.into(), by: "day".into(), rows, totals: Vec::new() }
    }

    fn svg(trend: &FailureCost) -> Option<String> {
        Chart::new(trend, "USD").map(|chart| chart.render().unwrap())
    }

    #[test]
    fn without_costs_or_with_too_many_days_there_is_no_chart() {
        assert_eq!(svg(&trend("2026-10-01", "2026-10-08", &[])), None);
        assert_eq!(svg(&trend("2026-10-01", "2026-10-08", &[("2026-10-02", [0; 4])])), None);
        assert_eq!(svg(&trend("2026-10-01", "2026-10-08", &[("2026-10-02", [-1, 0, 0, 0])])), None);
        for (from, to) in [("0001-01-01", "9999-01-01"), ("2026-10-02", "2026-10-02"), ("x", "y")] {
            assert_eq!(svg(&trend(from, to, &[("2026-10-02", [1; 4])])), None, "{from} {to}");
        }
    }

    #[test]
    fn parts_stand_on_each_other_and_fill_the_plot() {
        let chart = trend("2026-10-01", "2026-10-03", &[("2026-10-01", [100, 100, 200, 0])]);
        let svg = svg(&chart).unwrap();
        for part in [
            r#"class="lost" x="5.00%" y="75.00%" width="40.00%" height="25.00%""#,
            r#"class="retries" x="5.00%" y="50.00%" width="40.00%" height="25.00%""#,
            r#"class="won" x="5.00%" y="0.00%" width="40.00%" height="50.00%""#,
        ] {
            assert!(svg.contains(part), "{part}\n{svg}");
        }
        assert!(!svg.contains(r#"class="pending" x"#));
        assert!(svg.contains("2026-10-02: no costs"));
        assert!(svg.contains(">1 Oct<"));
    }

    #[test]
    fn the_smallest_and_the_greatest_sums_are_drawn() {
        let tiny = svg(&trend("2026-10-01", "2026-10-02", &[("2026-10-01", [1, 0, 0, 0])])).unwrap();
        assert!(tiny.contains("0.000000001<"), "{tiny}");
        let day = [("2026-10-01", [i64::MAX; 4])];
        let huge = svg(&trend("2026-10-01", "2026-10-02", &day)).unwrap();
        assert!(huge.contains(r#"class="lost" x="10.00%" y="75.00%""#), "{huge}");
        let one = [("2026-10-01", [i64::MAX, 0, -5, i64::MIN])];
        let huge = svg(&trend("2026-10-01", "2026-10-02", &one)).unwrap();
        assert!(huge.contains(">8,000,000,000<"), "{huge}");
    }

    #[test]
    fn ticks_are_round() {
        let labels = |most| ticks(most, "USD").into_iter().map(|tick| tick.label).collect::<Vec<_>>();
        assert_eq!(labels(4_300_000_000_000), ["0", "1,000", "2,000", "3,000", "4,000"]);
        assert_eq!(labels(870_000_000), ["0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(25_000_000_000), ["0", "5", "10", "15", "20", "25"]);
    }
}
