//! What is raised, decided on figures made by hand.

use super::spike::{Spent, by_customer, spike};
use super::*;
use verdict_domain::money::Currency;
use verdict_store::figures::DayCost;

const UNIT: i64 = 1_000_000_000;

fn dollars(units: i64) -> Money {
    Money { nanos: units * UNIT, currency: Currency::USD }
}

/// Revenue, cost and decided episodes of one currency.
fn row(revenue: i64, cost: i64, decided: i64) -> Row {
    Row {
        key: "acme".into(),
        currency: "USD".into(),
        revenue_nanos: revenue * UNIT,
        cost_nanos: cost * UNIT,
        margin_nanos: Some((revenue - cost) * UNIT),
        success: Rate::of(0, decided),
        ..Row::default()
    }
}

#[test]
fn a_margin_is_below_its_threshold_or_not() {
    let is_raised = |row: &Row, below: i64| thin_margin(row, below, 30).is_some();
    // No data, and money in two currencies: there is no margin.
    assert!(!is_raised(&Row::default(), 100));
    assert!(!is_raised(&Row { margin_nanos: None, ..row(1, 100, 100) }, 100));
    // Few are decided.
    assert!(!is_raised(&row(1, 100, 29), 0));
    assert!(is_raised(&row(1, 100, 30), 0));
    // Exactly the threshold is not below it.
    assert!(!is_raised(&row(100, 80, 100), 20));
    assert!(is_raised(&row(100, 81, 100), 20));
    assert!(!is_raised(&row(100, 100, 100), 0));
    // No cost: all of it is margin. A cost without revenue, and a revenue that was taken back, are below any threshold.
    assert!(!is_raised(&row(100, 0, 100), 99));
    assert!(is_raised(&row(0, 1, 100), -1_000));
    assert!(is_raised(&row(-1, 0, 100), -1_000));
    assert!(!is_raised(&row(0, 0, 100), 99));
    // A loss that is allowed.
    assert!(!is_raised(&row(100, 150, 100), -50));
    assert!(is_raised(&row(100, 151, 100), -50));
    let greatest = Row { revenue_nanos: i64::MAX, margin_nanos: Some(i64::MIN), ..row(0, 0, 100) };
    assert!(is_raised(&greatest, 100));
}

#[test]
fn a_margin_is_told_with_its_figures() {
    let text = thin_margin(&Row { unknown_cost_attempts: 3, ..row(8, 9, 40) }, 20, 30);
    assert_eq!(
        text.as_deref(),
        Some(
            "the margin is -1.00 USD of 8.00 USD of revenue, -12.5 %, below 20 % (40 episodes decided; the cost of 3 attempts \
             is unknown, so it is at most that)"
        )
    );
    let text = thin_margin(&row(0, 1, 40), 0, 30);
    assert_eq!(
        text.as_deref(),
        Some("the margin is -1.00 USD of 0.00 USD of revenue, below 0 % (40 episodes decided)")
    );
}

#[test]
fn failures_are_held_against_the_budget_of_their_currency() {
    let row = Row { lost_nanos: 7 * UNIT, retry_nanos: 3 * UNIT, free_nanos: 90 * UNIT, ..row(0, 100, 0) };
    let is_raised = |row: &Row, budgets: &[Money]| beyond_budget(row, budgets).is_some();
    assert!(!is_raised(&row, &[]));
    assert!(!is_raised(&row, &[dollars(10)]), "as much as the budget is within it");
    assert!(is_raised(&row, &[dollars(9)]));
    assert!(is_raised(&row, &[Money { nanos: UNIT, currency: Currency::EUR }, dollars(0)]));
    assert!(!is_raised(&row, &[Money { nanos: UNIT, currency: Currency::EUR }]));
    assert!(!is_raised(&Row { currency: "USD".into(), ..Row::default() }, &[dollars(0)]));
    assert!(is_raised(&Row { lost_nanos: i64::MAX, ..row.clone() }, &[dollars(9_000_000_000)]));
    assert_eq!(
        beyond_budget(&row, &[dollars(9)]).as_deref(),
        Some(
            "failures cost 10.00 USD (7.00 USD lost, 3.00 USD of retries), above the budget of 9.00 USD a month"
        )
    );
}

#[test]
fn a_share_of_assumed_outcomes_jumps_only_where_it_is_hardly_chance() {
    let jumps = |before: (i64, i64), now: (i64, i64), points: i64| {
        let of = |(assumed, all): (i64, i64)| Wins { assumed, all };
        assumed_jump(of(before), of(now), points, 30).is_some()
    };
    assert!(jumps((100, 1_000), (50, 100), 10));
    // Nothing to compare with, or few.
    assert!(!jumps((0, 0), (50, 100), 10));
    assert!(!jumps((100, 1_000), (0, 0), 10));
    assert!(!jumps((3, 29), (100, 100), 10));
    assert!(!jumps((100, 1_000), (29, 29), 10));
    // By so many points, not by more.
    assert!(!jumps((1_000, 10_000), (2_000, 10_000), 10));
    assert!(jumps((1_000, 10_000), (2_001, 10_000), 10));
    // By many points, but of few: the intervals overlap.
    assert!(!jumps((10, 40), (16, 40), 10));
    // Less is assumed: that is no alarm.
    assert!(!jumps((900, 1_000), (100, 1_000), 10));
    assert!(!jumps((0, 1_000), (0, 1_000), 0));
}

/// Days before day 100, the last first.
fn spent(before: &[i64], on: i64) -> Spent {
    let before = before.iter().enumerate().map(|(nth, units)| (99 - nth as i64, units * UNIT));
    before.chain([(100, on * UNIT)]).filter(|(_, nanos)| *nanos != 0).collect()
}

#[test]
fn a_day_stands_out_from_the_median() {
    let is_raised = |before: &[i64], on: i64, floor: i64| {
        spike(&spent(before, on), 100, 3, floor * UNIT, "USD").is_some()
    };
    let steady = [10; 14];
    assert!(!is_raised(&steady, 30, 20), "three times is not more than three times");
    assert!(is_raised(&steady, 31, 20));
    assert!(!is_raised(&steady, 31, 31), "not above the floor");
    assert!(!is_raised(&[], 1_000, 0), "nobody knows what is normal");
    assert!(!is_raised(&[10; 6], 1_000, 0), "six days are too few");
    // Seven days of fourteen: the median is half of one of them.
    assert!(is_raised(&[10; 7], 16, 0));
    assert!(!is_raised(&[10; 7], 15, 0));
    // An earlier spike does not make the next one normal.
    let mut spiky = steady;
    spiky[3] = 1_000;
    assert!(is_raised(&spiky, 31, 20));
    assert!(!is_raised(&steady, 0, 0));
    let text = spike(&spent(&steady, 31), 100, 3, 20 * UNIT, "USD");
    assert_eq!(
        text.as_deref(),
        Some(
            "1970-04-11 costs 31.00 USD, more than 3 times 10.00 USD, the median of the 14 days before and above 20.00 USD"
        )
    );
}

#[test]
fn currencies_and_customers_are_kept_apart() {
    let cost = |customer: &str, day: i64, currency: &str, nanos: i64| DayCost {
        customer: customer.into(),
        day,
        currency: currency.into(),
        cost_nanos: nanos,
    };
    let costs = [
        cost("a", 1, "USD", 1),
        cost("b", 1, "USD", 2),
        cost("b", 1, "EUR", 4),
        cost("b", 2, "USD", i64::MAX),
    ];
    let by = by_customer(&costs);
    let of = |whose, currency| by.get(&(whose, currency)).cloned().unwrap_or_default();
    assert_eq!(of(Whose::All, "USD"), Spent::from([(1, 3), (2, i64::MAX)]));
    assert_eq!(of(Whose::All, "EUR"), Spent::from([(1, 4)]));
    assert_eq!(of(Whose::Customer("a"), "USD"), Spent::from([(1, 1)]));
    assert_eq!(of(Whose::Customer("a"), "EUR"), Spent::new());
    // A customer of that name is not all customers.
    assert_ne!(Whose::All.subject("x"), Whose::Customer("all customers").subject("x"));
}

#[test]
fn the_days_are_those_that_are_named() {
    let now = Timestamp::parse("2026-03-05T12:00:00Z").unwrap_or_default();
    let shown = |days: Days| format!("{} {}", days.name, days.shown());
    assert_eq!(shown(Days::month_to_date(now)), "month 2026-03 2026-03-01 to 2026-03-05");
    assert_eq!(shown(Days::last(7, now)), "last 7 days 2026-02-27 to 2026-03-05");
    assert_eq!(shown(Days::before_the_last(28, 7, now)), "the 28 days before 2026-01-30 to 2026-02-26");
    assert_eq!(
        Days::last(7, now).link("model", Whose::Customer("a&b"), ""),
        "/reports/failure-cost?from=2026-02-27&to=2026-03-06&by=model&customer=a%26b"
    );
}
