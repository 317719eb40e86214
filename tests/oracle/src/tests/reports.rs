use super::*;
use Kind::{Confirmed, Reopened};

const CENT: i128 = 10_000_000;

/// Three episodes of one case: void, then confirmed after a retry, then pending.
fn traffic() -> Traffic {
    let mut traffic = acme(Rule::default())
        .answered("a1", h(0))
        .resolved("r1", h(1), Confirmed)
        .resolved("r2", h(50), Reopened)
        .failed("a2", h(51))
        .failed("a3", h(52))
        .answered("a4", h(53))
        .resolved("r3", h(54), Confirmed)
        .resolved("r4", h(2000), Reopened)
        .failed("a5", h(2001));
    traffic.attempts[2].failure_reason = Some("timeout".into());
    traffic
}

fn report(traffic: &Traffic, by: By) -> BTreeMap<(String, String), Figures> {
    Oracle::new(traffic, h(2002)).report(T / DAY, T / DAY + 100, by)
}

fn row(key: &str, currency: &str) -> (String, String) {
    (key.into(), currency.into())
}

#[test]
fn each_cost_is_in_one_bucket() {
    let rows = report(&traffic(), By::Customer);
    let costs = Figures {
        attempts: 5,
        won_nanos: CENT,
        retry_nanos: 2 * CENT,
        lost_nanos: CENT,
        pending_nanos: CENT,
        ..Figures::default()
    };
    // 0.99 charged, taken back, and charged again.
    let outcomes = Figures { confirmed: 1, void: 1, revenue_nanos: 990_000_000, ..Figures::default() };
    assert_eq!(rows, BTreeMap::from([(row("acme", "USD"), costs), (row("acme", "EUR"), outcomes)]));
}

#[test]
fn reasons_are_the_buckets_or_the_verdicts() {
    let rows = report(&traffic(), By::Reason);
    assert_eq!(rows[&row("unspecified", "USD")].retry_nanos, CENT);
    assert_eq!(rows[&row("timeout", "USD")].retry_nanos, CENT);
    assert_eq!(rows[&row("late_void", "USD")].lost_nanos, CENT);
    assert_eq!(rows[&row("-", "USD")].attempts, 2);
    assert_eq!(rows[&row("reopened", "EUR")], Figures { void: 1, ..Figures::default() });
    let won = Figures { confirmed: 1, revenue_nanos: 990_000_000, ..Figures::default() };
    assert_eq!(rows[&row("-", "EUR")], won);
}

#[test]
fn outcomes_are_under_the_deciding_answer_and_failures_under_the_last_attempt() {
    let rows = report(&traffic(), By::Agent);
    assert_eq!(rows[&row("agent of a4", "EUR")].confirmed, 1);
    assert_eq!(rows[&row("agent of a1", "EUR")].void, 1);
    assert_eq!(rows[&row("agent of a1", "EUR")].revenue_nanos, 0);
    let failed = acme(Rule::default()).answered("a1", h(0)).failed("a2", h(1));
    assert_eq!(report(&failed, By::Agent)[&row("agent of a2", "EUR")].failed, 1);
    // Decided before there was a contract: in no currency.
    let early = acme(Rule::default()).failed("a1", T - DAY).resolved("r1", T - 1, Kind::Escalated);
    let rows = Oracle::new(&early, T).report(T / DAY - 1, T / DAY, By::Model);
    assert_eq!(rows[&row("gpt-4o", "XXX")].failed, 1);
}

#[test]
fn days_are_utc_and_half_open() {
    // The charge is effective at 01:00 of the 2nd, the void at 02:00 of the 3rd.
    let day = |from, to| {
        let traffic = traffic();
        let oracle = Oracle::new(&traffic, h(2002));
        oracle.report(T / DAY + from, T / DAY + to, By::Day)
    };
    assert_eq!(day(0, 1).keys().collect::<Vec<_>>(), [&row("2026-09-01", "USD")]);
    assert_eq!(day(1, 2)[&row("2026-09-02", "EUR")].revenue_nanos, 990_000_000);
    let third = &day(2, 3)[&row("2026-09-03", "EUR")];
    assert_eq!((third.void, third.revenue_nanos), (1, -990_000_000));
    assert_eq!(day(5, 5), BTreeMap::new());
}

#[test]
fn attempts_of_unknown_cost_are_counted_as_such() {
    let mut traffic = traffic();
    traffic.attempts[0].reported_cost = None;
    let figures = &report(&traffic, By::Model)[&row("gpt-4o", "USD")];
    assert_eq!((figures.attempts, figures.unknown_cost_attempts, figures.lost_nanos), (5, 1, 0));
}
