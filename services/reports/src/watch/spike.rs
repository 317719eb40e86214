//! A day that costs far more than the days before it.

use super::Whose;
use crate::count::shown;
use std::collections::BTreeMap;
use verdict_domain::money::divide_half_away;
use verdict_domain::time::day_text;
use verdict_store::figures::DayCost;

/// With how many days before it a day is compared.
pub(super) const DAYS: i64 = 14;
/// Of these, on at least so many something must have been spent: else nobody knows yet what is normal.
const LEAST_DAYS: usize = 7;

/// What was spent on days, by their number.
pub(super) type Spent = BTreeMap<i64, i64>;

/// The costs of all together and of each customer, by currency. What does not fit 64 bits stays at their end.
pub(super) fn by_customer(costs: &[DayCost]) -> BTreeMap<(Whose<'_>, &str), Spent> {
    let mut by: BTreeMap<(Whose, &str), Spent> = BTreeMap::new();
    for cost in costs {
        for whose in [Whose::All, Whose::Customer(&cost.customer)] {
            let sum = by.entry((whose, &cost.currency)).or_default().entry(cost.day).or_default();
            *sum = sum.saturating_add(cost.cost_nanos);
        }
    }
    by
}

/// What is to be said of a day that costs more than `times` the median of the days before it, and more than `floor`. The median
/// is not moved by a few days that stand out, a spike of last week among them; days without any cost count as zero.
pub(super) fn spike(spent: &Spent, day: i64, times: i64, floor: i64, currency: &str) -> Option<String> {
    let of = |day: i64| spent.get(&day).copied().unwrap_or(0);
    let cost = of(day);
    let mut before: Vec<i64> = (day - DAYS..day).map(of).collect();
    if before.iter().filter(|cost| **cost > 0).count() < LEAST_DAYS || cost <= floor {
        return None;
    }
    before.sort_unstable();
    let middle = before.len() / 2;
    // Of an even number of days, the median is the mean of the two in the middle.
    let twice_median = i128::from(before[middle - 1]) + i128::from(before[middle]);
    (2 * i128::from(cost) > i128::from(times) * twice_median).then(|| {
        let median =
            divide_half_away(twice_median, 2).map_or_else(String::new, |nanos| shown(nanos, currency));
        let over = if floor > 0 { format!(" and above {}", shown(floor, currency)) } else { String::new() };
        format!(
            "{} costs {}, more than {times} times {median}, the median of the {DAYS} days before{over}",
            day_text(day),
            shown(cost, currency)
        )
    })
}
