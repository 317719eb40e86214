//! Revenue and cost, or cost and the cost of failures, as steps over time, as SVG.
//!
//! Positions are whole ten-thousandths of the plot, divided from nanos as integers; a browser stretches the plot to any
//! width, and not the width of its lines.

use crate::chart::{label_of, percent, short, step_of};
use crate::overview::Point;
use crate::text::rounded;
use askama::Template;

const WHOLE: i128 = 10_000;

/// The trend of one currency.
#[derive(Template)]
#[template(path = "trend.html")]
pub(crate) struct Trend<'a> {
    currency: &'a str,
    step: &'static str,
    ticks: Vec<Tick>,
    zero: String,
    revenue: Option<String>,
    cost: String,
    failures: Option<String>,
    slots: Vec<Slot>,
}

struct Tick {
    y: String,
    label: String,
}

/// A stretch of days: what the mouse may hit, and what it then says.
struct Slot {
    x: i128,
    width: i128,
    middle: String,
    label: Option<String>,
    title: String,
}

impl<'a> Trend<'a> {
    /// The trend of some points, of revenue and cost or of cost and failures; none without money.
    pub(crate) fn new(
        points: &[Point],
        step: &'static str,
        currency: &'a str,
        of_revenue: bool,
    ) -> Option<Self> {
        let other = |point: &Point| if of_revenue { point.revenue_nanos } else { point.failure_nanos };
        let all = || points.iter().flat_map(|point| [point.cost_nanos, other(point)]);
        let (low, high) = (i128::from(all().min()?.min(0)), i128::from(all().max()?.max(0)));
        let range = Some(high - low).filter(|range| *range > 0)?;
        let count = i128::try_from(points.len()).ok()?;
        let x = |nth: i128| nth * WHOLE / count;
        let y = |nanos: i128| (high - nanos) * WHOLE / range;
        let line = |pick: fn(&Point) -> i64| {
            let mut path = String::new();
            for (nth, point) in (0..).zip(points) {
                let up = if nth == 0 { "M0 " } else { "V" };
                path += &format!("{up}{}H{}", y(pick(point).into()), x(nth + 1));
            }
            path
        };
        let failures = line(|point| point.failure_nanos);
        let unit = step_of(range);
        let ticks = (low / unit..=high / unit).filter_map(|nth| {
            let nanos = nth * unit;
            Some(Tick { y: percent(y(nanos)), label: label_of(i64::try_from(nanos).ok()?, currency) })
        });
        let every = points.len().div_ceil(7);
        let slots = points.iter().enumerate().map(|(nth, point)| {
            let at = nth as i128;
            Slot {
                x: x(at),
                width: x(at + 1) - x(at),
                middle: percent((x(at) + x(at + 1)) / 2),
                label: (nth % every == 0).then(|| short(&point.from)).flatten(),
                title: title(point, step, currency, of_revenue),
            }
        });
        Some(Self {
            currency,
            step,
            ticks: ticks.collect(),
            zero: percent(y(0)),
            revenue: of_revenue.then(|| line(|point| point.revenue_nanos)),
            cost: line(|point| point.cost_nanos),
            failures: (!of_revenue)
                .then(|| format!("M0 {}{}V{}Z", y(0), failures.replacen("M0 ", "V", 1), y(0))),
            slots: slots.collect(),
        })
    }

    /// The longest label of the money axis: the page leaves it as much room.
    fn widest(&self) -> &str {
        let labels = self.ticks.iter().map(|tick| tick.label.as_str()).chain([self.currency]);
        labels.max_by_key(|label| label.len()).unwrap_or_default()
    }
}

fn title(point: &Point, step: &str, currency: &str, of_revenue: bool) -> String {
    let money = |nanos| rounded(nanos, currency);
    let days = if step == "day" { point.from.clone() } else { format!("{} to {}", point.from, point.to) };
    let other = match of_revenue {
        true => format!("revenue {}", money(point.revenue_nanos)),
        false => format!("cost of failures {}", money(point.failure_nanos)),
    };
    format!("{days}, in {currency}\ncost {}\n{other}", money(point.cost_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(from: &str, revenue_nanos: i64, cost_nanos: i64, failure_nanos: i64) -> Point {
        Point { from: from.into(), to: from.into(), revenue_nanos, cost_nanos, failure_nanos }
    }

    #[test]
    fn lines_are_steps_between_the_lowest_and_the_highest() {
        let points = [point("2026-10-01", 400, 100, 100), point("2026-10-02", -100, 300, 0)];
        let trend = Trend::new(&points, "day", "USD", true).unwrap();
        assert_eq!(trend.revenue.as_deref(), Some("M0 0H5000V10000H10000"));
        assert_eq!(trend.cost, "M0 6000H5000V2000H10000");
        assert_eq!((trend.zero.as_str(), trend.failures.as_deref()), ("80.00%", None));
        let svg = trend.render().unwrap();
        assert!(svg.contains(">1 Oct<") && svg.contains("\nrevenue 0.0000<"), "{svg}");
        let trend = Trend::new(&points, "day", "USD", false).unwrap();
        assert_eq!(trend.failures.as_deref(), Some("M0 10000V6666H5000V10000H10000V10000Z"));
        assert_eq!((trend.cost.as_str(), trend.revenue.as_deref()), ("M0 6666H5000V0H10000", None));
    }

    #[test]
    fn without_money_there_is_none_and_any_money_fits() {
        assert!(Trend::new(&[], "day", "USD", true).is_none());
        assert!(Trend::new(&[point("2026-10-01", 0, 0, 0)], "day", "USD", true).is_none());
        let most = [point("2026-10-01", i64::MIN, i64::MAX, i64::MAX)];
        let svg = Trend::new(&most, "month", "USD", true).unwrap().render().unwrap();
        assert!(svg.contains(">-5,000,000,000<") && svg.contains(">5,000,000,000<"), "{svg}");
    }
}
