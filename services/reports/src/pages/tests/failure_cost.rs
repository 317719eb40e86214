//! The page of the failure-cost report.

use super::*;

#[test]
fn a_shared_report_leads_nowhere() {
    let row = Row {
        key: "acme".into(),
        currency: "USD".into(),
        attempts: 2,
        lost_nanos: 5,
        cost_nanos: 5,
        ..Row::default()
    };
    let all = report("customer", vec![row.clone()], vec![Row { key: "total".into(), ..row }]);
    let shared = Filter { is_shared: true, ..filter("customer", None) };
    let html = failure_cost(&alone(&all), &all, &all, &[], &[], &shared).unwrap();
    let links: Vec<&str> = html.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links, ["/style.css", "#main"], "{html}");
    assert!(!html.contains("<form") && !html.contains("<script"));
}

/// More rows than a page has.
pub(super) fn many() -> FailureCost {
    let row = |nth: usize| Row {
        key: format!("customer-{nth:04}"),
        currency: "USD".into(),
        attempts: 1,
        lost_nanos: 1,
        cost_nanos: 1,
        ..Row::default()
    };
    let total = Row { key: "total".into(), attempts: 250, lost_nanos: 250, cost_nanos: 250, ..row(0) };
    report("customer", (1..=250).map(row).collect(), vec![total])
}

#[test]
fn a_report_of_many_rows_is_shown_in_pages_with_the_sums_of_all() {
    let (all, none) = (many(), report("day", Vec::new(), Vec::new()));
    let sort = crate::Sort::read("-attempts").unwrap();
    let shown = |page, is_shared| {
        let filter = Filter { page, is_shared, sort: Some(sort), ..filter("customer", None) };
        failure_cost(&alone(&all), &none, &none, &[], &[], &filter).unwrap()
    };
    let html = shown(2, false);
    let has =
        |html: &str, nth: usize| html.contains(&format!(r#"<th class="key" scope="row">customer-{nth:04}"#));
    let held: Vec<usize> = (1..=250).filter(|nth| has(&html, *nth)).collect();
    assert_eq!(held, (101..=200).collect::<Vec<_>>());
    for text in [
        "<caption>101 to 200 of 250; the total is of all.",
        r##"href="/reports/failure-cost?from=2026-10-01&#38;to=2026-11-01&#38;compare=none&#38;by=customer&#38;sort=-attempts#rows" rel="prev""##,
        r##"sort=-attempts&#38;page=3#rows" rel="next">Next page</a>"##,
        // A link of the total is of all customers, also where it is not on the last page.
        ">250</a>",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let last = shown(3, true);
    assert!(has(&last, 250) && !has(&last, 200) && !last.contains("rel=\"next\""));
    assert!(last.contains(r##"<a href="?page=2#rows" rel="prev">Previous page</a>"##), "{last}");
    assert!(!last.contains("href=\"/reports"));
}

#[test]
fn models_without_a_price_are_shown_as_far_as_a_page_goes() {
    let model = |nth: usize| UnknownCost {
        customer: "acme".into(),
        provider: "openai".into(),
        model: format!("model-{nth:03}"),
        attempts: 1,
    };
    let unknown: Vec<UnknownCost> = (1..=LINES + 1).map(model).collect();
    let shown = |unknown: &[UnknownCost]| {
        let all = many();
        failure_cost(&alone(&all), &all, &all, unknown, &[], &filter("customer", None)).unwrap()
    };
    let html = shown(&unknown);
    assert!(html.contains("model-100") && !html.contains("model-101"));
    assert!(html.contains(r#"The 100 most frequent; <a href="/v1/reports/unknown-costs">"#));
    assert!(!shown(&unknown[..LINES]).contains("most frequent;"));
}

#[test]
fn failure_cost_stands_beside_itself_in_other_days() {
    let row = |key: &str, lost_nanos, confirmed| Row {
        key: key.into(),
        currency: "USD".into(),
        attempts: 2,
        lost_nanos,
        cost_nanos: lost_nanos,
        confirmed,
        success: Rate::of(confirmed, 10),
        ..Row::default()
    };
    let now = report("agent", vec![row("a", 3_000_000_000, 8)], vec![row("total", 3_000_000_000, 8)]);
    let before = FailureCost {
        from: "2026-01-01".into(),
        to: "2026-02-01".into(),
        ..report("agent", vec![row("a", 2_000_000_000, 9)], vec![row("total", 2_000_000_000, 9)])
    };
    let both = Beside { now: now.clone(), before: Some(before) };
    let asked = Filter { compare: Compare::Days(20_454, 20_485), ..filter("agent", None) };
    let html = failure_cost(&both, &now, &now, &[], &[], &asked).unwrap();
    for text in [
        "compared with 2026-01-01 to 2026-02-01;",
        r#"<small class="worse">up 1.0000 (+50.0 %), worse</small>"#,
        r#"<small class="worse">down 1 (−11.1 %), worse</small>"#,
        r#"<small class="worse">down 10.0 points, worse</small>"#,
        r#"<dd class="note worse">up 1.0000 (+50.0 %), worse</dd>"#,
        r#"name="compare_from" value="2026-01-01""#,
        "&#38;compare_from=2026-01-01&#38;compare_to=2026-02-01&#38;by=agent&amp;format=xlsx",
        r#"<option value="days" selected>"#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let html = failure_cost(&alone(&now), &now, &now, &[], &[], &filter("agent", None)).unwrap();
    assert!(!html.contains("worse") && !html.contains("unchanged") && html.contains("compare=none"));
}

#[test]
fn failure_cost_without_data() {
    for by in ["customer", "agent", "model", "reason", "day"] {
        let none = report(by, Vec::new(), Vec::new());
        let html = failure_cost(&alone(&none), &none, &none, &[], &[], &filter(by, None)).unwrap();
        assert!(html.contains("No attempts, outcomes or charges in these days."));
        assert!(html.contains(&format!("<option selected>{by}</option>")));
        assert!(!html.contains("<svg") && !html.contains("<table"));
    }
}

#[test]
fn failure_cost_escapes_and_encodes() {
    let row =
        Row { key: HOSTILE.into(), currency: HOSTILE.into(), attempts: 1, cost_nanos: 1, ..Row::default() };
    let day = Row { key: "2026-10-01".into(), lost_nanos: 1, ..row.clone() };
    let (rows, days) =
        (report(HOSTILE, vec![row.clone()], vec![row.clone()]), report("day", vec![day], vec![]));
    let unknown = UnknownCost {
        customer: HOSTILE.into(),
        provider: HOSTILE.into(),
        model: HOSTILE.into(),
        attempts: 1,
    };
    let html = failure_cost(
        &alone(&rows),
        &days,
        &rows,
        &[unknown],
        &[behind(HOSTILE)],
        &filter("model", Some(HOSTILE)),
    )
    .unwrap();
    assert_escaped(&html);
    assert!(html.contains("<svg"));
    assert!(html.contains("&#38;customer=%3Cscript%3Ealert%28%221%22%29%3C%2Fscript%3E%27%20onclick%3D%27x%27%20%26%20&#38;by=model&amp;format=csv"));
}

#[test]
fn failure_cost_shows_each_currency_by_itself() {
    let dollars = Row {
        key: "total".into(),
        currency: "USD".into(),
        attempts: 1_234,
        unknown_cost_attempts: 12,
        won_nanos: 1_000_000_001,
        retry_nanos: 200_000_000,
        lost_nanos: 300_000_000,
        pending_nanos: 0,
        cost_nanos: 1_500_000_001,
        cost_per_resolution_nanos: Some(500_000_000),
        one_currency: Unit { leaves_out: true, ..Unit::default() },
        ..Row::default()
    };
    let euros =
        Row { currency: "EUR".into(), key: "total".into(), revenue_nanos: -2_500_000_000, ..Row::default() };
    let uncovered = Row { currency: "XXX".into(), key: "total".into(), confirmed: 3, ..Row::default() };
    let all = report("customer", vec![dollars.clone()], vec![euros, dollars, uncovered]);
    let html = failure_cost(&alone(&all), &all, &all, &[], &[], &filter("customer", None)).unwrap();
    for text in [
        "Cost unknown for 12 attempts: not in the sums.",
        "33.3 % of cost",
        ">1.000000001</a></span>",
        ">1.500000001</a></strong>",
        r#"<dd class="figure negative"><a href="/cases?from=2026-10-01&#38;to=2026-11-01&#38;currency=EUR&#38;bucket=revenue&#38;sort=-day">-2.5000</a> <small>EUR</small></dd>"#,
        "<h2>no contract</h2>",
        "without customers with money in more than one currency: revenue 0.0000, cost 1.5000",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.replace("currency=XXX", "").contains("XXX"));
}

#[test]
fn failure_cost_survives_the_greatest_sums() {
    let row = |key: &str, nanos| Row {
        key: key.into(),
        currency: "USD".into(),
        attempts: i64::MAX,
        unknown_cost_attempts: i64::MIN,
        won_nanos: nanos,
        retry_nanos: nanos,
        lost_nanos: nanos,
        pending_nanos: nanos,
        cost_nanos: nanos,
        revenue_nanos: nanos,
        margin_nanos: Some(nanos),
        cost_per_resolution_nanos: Some(nanos),
        confirmed: nanos,
        ..Row::default()
    };
    for nanos in [i64::MIN, -1, 0, 1, i64::MAX] {
        let all = report("day", vec![row("2026-10-01", nanos)], vec![row("total", nanos)]);
        failure_cost(&alone(&all), &all, &all, &[], &[], &filter("day", None)).unwrap();
    }
}
