//! The overview, the pages of groups, the definitions.

use super::failure_cost::many;
use super::*;
use crate::overview::{Overview, Reports, grouped as group};
use crate::unit::{StripeFee, Unit};
use crate::view::{Compare, View};
use crate::{DEFINITIONS, Groups};
use verdict_domain::time::parse_day;
use verdict_store::alerts::Alert;
use verdict_store::figures::{GroupBy, Slice};

const FEE: StripeFee = StripeFee { basis_points: Some(290) };

fn view() -> View {
    let day = |text| parse_day(text).unwrap();
    let of = Slice { from: day("2026-10-01"), to: day("2026-11-01"), ..Slice::default() };
    View { of, compare: Compare::Previous, sort: None }
}

/// All customers' money is in one currency.
fn measured(mut report: FailureCost) -> FailureCost {
    for row in report.rows.iter_mut().chain(&mut report.totals) {
        row.pending = row.pending_nanos / 40_000_000;
        let mut unit = Unit {
            attempts: row.attempts,
            cost_nanos: row.cost_nanos,
            won: row.confirmed + row.assumed,
            revenue_nanos: row.revenue_nanos,
            ..Unit::default()
        };
        unit.derive();
        row.margin_nanos = unit.margin_nanos;
        row.profit_per_attempt_nanos = unit.profit_per_attempt_nanos;
        row.success = Rate::of(unit.won, unit.won + row.failed + row.void);
        row.one_currency = unit;
    }
    report
}

/// The month before: two thirds of everything.
fn before(mut report: FailureCost) -> FailureCost {
    for row in report.rows.iter_mut().chain(&mut report.totals) {
        let sums = [&mut row.attempts, &mut row.won_nanos, &mut row.retry_nanos, &mut row.lost_nanos];
        let more =
            [&mut row.cost_nanos, &mut row.confirmed, &mut row.assumed, &mut row.failed, &mut row.void];
        for sum in sums.into_iter().chain(more) {
            *sum = *sum * 2 / 3;
        }
        row.revenue_nanos = row.revenue_nanos * 7 / 10;
    }
    measured(report)
}

fn overview_of(now: FailureCost, compared: bool) -> Overview {
    let view = view();
    let reports = Reports {
        before: compared.then(|| before(now.clone())),
        now,
        days: measured(month("day")),
        reasons: measured(month("reason")),
        models: measured(month("model")),
    };
    reports.overview(&view.of, view.compared().as_ref().filter(|_| compared), FEE).unwrap()
}

fn by_customer() -> FailureCost {
    let mut report = month("customer");
    let cost = 3_400_000_000;
    let losing = Row {
        key: "loses-money".into(),
        currency: "USD".into(),
        attempts: 90,
        lost_nanos: cost,
        cost_nanos: cost,
        confirmed: 2,
        failed: 9,
        revenue_nanos: 1_980_000_000,
        ..Row::default()
    };
    report.rows.push(losing);
    measured(report)
}

fn groups_of(by: GroupBy, compared: bool) -> Groups {
    let view = view();
    let now = if by == GroupBy::Customer {
        by_customer()
    } else {
        measured(month(crate::failure_cost::group_name(by)))
    };
    let other = compared.then(|| before(now.clone()));
    group(now, other, by, view.compared().as_ref().filter(|_| compared), FEE)
}

fn alert(text: &str) -> Alert {
    Alert {
        kind: "spend".into(),
        subject: "acme".into(),
        text: text.into(),
        raised_at: Timestamp::parse("2026-10-12T08:31:07Z").unwrap(),
        cleared_at: None,
        number: 1,
        link: None,
    }
}

pub(super) fn sample() -> Vec<(String, String)> {
    let today = parse_day("2026-11-22").unwrap();
    let alerts = [alert("80 % of the budget of 500.00 EUR is spent; raise it, or tell the customer")];
    let mut filtered = view();
    filtered.of.customer = Some("acme".into());
    filtered.compare = Compare::Days(20_454, 20_485);
    let empty = report("customer", Vec::new(), Vec::new());
    let nothing = Reports {
        now: empty.clone(),
        before: Some(empty.clone()),
        days: empty.clone(),
        reasons: empty.clone(),
        models: empty.clone(),
    };
    let nothing = nothing.overview(&view().of, None, FEE).unwrap();
    let mut pages = vec![
        ("overview".to_string(), overview(&overview_of(by_customer(), true), &view(), Some(&alerts), today)),
        (
            "overview_filtered".into(),
            overview(&overview_of(by_customer(), false), &filtered, Some(&[]), today),
        ),
        ("overview_empty".into(), overview(&nothing, &view(), None, today)),
        ("definitions".into(), definitions()),
    ];
    for by in [GroupBy::Customer, GroupBy::Agent, GroupBy::Model] {
        let name = format!("groups_by_{}", crate::failure_cost::group_name(by));
        let sorted = View { sort: Some("-failure_cost".into()), ..view() };
        pages.push((name, groups(&groups_of(by, true), &sorted, 1, today)));
    }
    pages.into_iter().map(|(name, html)| (name, html.unwrap())).collect()
}

fn shown(view: &View, compared: bool) -> String {
    overview(&overview_of(by_customer(), compared), view, None, 20_779).unwrap()
}

#[test]
fn the_overview_tells_each_figure_its_change_and_where_it_is_defined() {
    let html = shown(&view(), true);
    for id in ["revenue", "cost", "failure-cost", "margin", "success", "loaded-cost", "profit", "accrual"] {
        assert!(html.contains(&format!(r#"href="/definitions#{id}" title=""#)), "{id}");
    }
    for text in [
        "compared with 2026-09-01 to 2026-10-01",
        "%), better</dd>",
        "%), worse</dd>",
        "95 % interval: ",
        "with Stripe&#39;s fee, ",
        "pending episodes; void rate ",
        r#"<a href="/overview?from=2026-10-01&#38;to=2026-11-01&#38;customer=loses-money">loses-money</a>"#,
        r#"href="/cases?from=2026-10-01&#38;to=2026-11-01&#38;currency=USD&#38;bucket=failures&#38;reason=handoff&#38;sort=-cost""#,
        r#"href="/cases?from=2026-10-01&#38;to=2026-11-01&#38;currency=USD&#38;bucket=revenue&#38;sort=-day""#,
        r#"<a href="/customers?from=2026-10-01&#38;to=2026-11-01">Customers</a>"#,
        r#"aria-current="page">Overview</a>"#,
        "<summary>The same as a table</summary>",
        "Models without a price",
        r#"<option value="previous" selected>"#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    // The trend has a step for each day, and the table behind it a row.
    assert_eq!(html.matches(r#"<tr><th class="key" scope="row">2026-10-17</th>"#).count(), 2, "EUR and USD");
    assert!(!html.contains(r#"id="alerts""#), "only who may see them");
    let html = shown(&view(), false);
    assert!(!html.contains("better") && !html.contains("worse"));
}

#[test]
fn filters_are_kept_by_all_links_and_shown_by_the_form() {
    let mut view = view();
    view.of.customer = Some(HOSTILE.into());
    view.of.agent = Some("triage".into());
    view.compare = Compare::Days(20_454, 20_485);
    let html = shown(&view, true);
    assert_escaped(&html);
    for text in [
        "&#38;agent=triage&#38;compare_from=2026-01-01&#38;compare_to=2026-02-01\">Models</a>",
        "&#38;agent=triage&#38;compare_from=2026-01-01&#38;compare_to=2026-02-01\">Failure cost</a>",
        r#"name="agent" value="triage""#,
        r#"name="compare_from" value="2026-01-01""#,
        r#"<details class="own" open>"#,
        r#"<option value="days" selected>"#,
        "Agent <strong>triage</strong>",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(
        html.contains("/overview?from=2026-10-01&#38;to=2026-11-01&#38;agent=triage&#38;compare_from"),
        "all customers"
    );
}

#[test]
fn what_is_unknown_or_rests_on_few_is_said() {
    let mut now = by_customer();
    for row in now.totals.iter_mut() {
        (row.confirmed, row.assumed, row.failed, row.void, row.pending) = (3, 0, 1, 0, 7);
        row.one_currency.leaves_out = true;
    }
    for row in now.rows.iter_mut().filter(|row| row.key == "acme") {
        row.one_currency.leaves_out = true;
    }
    let few = Reports {
        before: None,
        days: report("day", Vec::new(), Vec::new()),
        reasons: report("reason", Vec::new(), Vec::new()),
        models: report("model", Vec::new(), Vec::new()),
        now,
    };
    let mut few = few.overview(&view().of, None, StripeFee::default()).unwrap();
    few.counted.success = Rate::of(3, 4);
    let html = overview(&few, &view(), Some(&[alert(HOSTILE)]), 20_779).unwrap();
    assert_escaped(&html);
    for text in [
        "few, so it says little: 3 of 4 decided",
        "too few: 7 pending, and fewer than 30 decided at a price",
        "without Stripe&#39;s fee",
        "few are decided, so it says little",
        "without <strong>acme</strong>: their money in these days is in more than one currency",
        "not of customers with money in several currencies",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.contains("<figure"), "nothing to draw");
}

/// The names in the order of a page.
fn order(view: &View, groups_of: &Groups) -> Vec<String> {
    let html = groups(groups_of, view, 1, 20_779).unwrap();
    let rows = html.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    let name = |row: &str| row.split_once("\">").unwrap().1.split("</a>").next().unwrap().to_string();
    rows.split(r#"<tr><th class="key" scope="row"><a"#).skip(1).map(name).collect()
}

#[test]
fn groups_are_sorted_by_any_column_within_their_currency() {
    let of = groups_of(GroupBy::Customer, true);
    let sorted = |sort: &str| order(&View { sort: Some(sort.into()), ..view() }, &of);
    let default = order(&view(), &of);
    // Euros, outcomes without a contract, dollars: the worst margin first.
    assert_eq!(default, ["acme", "pilot", "loses-money", "northwind", "globex", "pilot"]);
    assert_eq!(sorted("-margin"), ["acme", "globex", "northwind", "loses-money", "pilot", "pilot"]);
    assert_eq!(sorted("-name")[1..5], ["pilot", "northwind", "loses-money", "globex"]);
    assert_eq!(sorted("cost")[1], "loses-money");
    for column in ["attempts", "success", "failure_cost", "revenue", "loaded_cost", "profit", "name"] {
        assert_eq!(sorted(&format!("-{column}")).len(), 6);
        check_sort(&format!("-{column}")).unwrap();
    }
    assert!(check_sort("--margin").unwrap_err().starts_with("sort: "));
    let html = groups(&of, &View { sort: Some("-cost".into()), ..view() }, 1, 20_779).unwrap();
    for text in [
        r#"aria-sort="descending"><a href="/customers?from=2026-10-01&#38;to=2026-11-01&#38;sort=cost#rows">cost"#,
        r#"<span class="mark">loss-making</span>"#,
        "<strong>2 loss-making</strong>",
        r#"<a href="/overview?from=2026-10-01&#38;to=2026-11-01&#38;customer=acme">acme</a>"#,
        r#"href="/cases?from=2026-10-01&#38;to=2026-11-01&#38;customer=acme&#38;sort=-cost""#,
        r#"href="/reports/failure-cost?from=2026-10-01&#38;to=2026-11-01&#38;customer=acme&#38;by=reason""#,
        r#"<input type="hidden" name="sort" value="-cost">"#,
        r#"<circle cx=""#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert_eq!(html.matches("aria-sort").count(), 1);
}

#[test]
fn groups_escape_and_say_that_there_are_none() {
    let mut of = groups_of(GroupBy::Agent, true);
    of.lines[0].now.row.key = HOSTILE.into();
    assert_escaped(&groups(&of, &view(), 1, 20_779).unwrap());
    of.lines.clear();
    let html = groups(&of, &view(), 1, 20_779).unwrap();
    assert!(html.contains("No attempts, outcomes or charges in these days.") && !html.contains("<table"));
}

#[test]
fn many_groups_are_shown_in_pages() {
    let of = group(measured(many()), None, GroupBy::Customer, None, FEE);
    let sorted = View { sort: Some("-name".into()), ..view() };
    let html = groups(&of, &sorted, 3, 20_779).unwrap();
    let is_shown = |nth: usize| html.contains(&format!(">customer-{nth:04}</a>"));
    assert_eq!((1..=250).filter(|nth| is_shown(*nth)).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
    for text in [
        "<caption>201 to 250 of 250; the total is of all.",
        r##"<a href="/customers?from=2026-10-01&#38;to=2026-11-01&#38;sort=-name#rows" rel="first">"##,
        r##"sort=-name&#38;page=2#rows" rel="prev">Previous page</a>"##,
        "<td class=\"\">250</td>",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
}

#[test]
fn each_definition_has_its_place() {
    let html = definitions().unwrap();
    for definition in DEFINITIONS {
        assert!(html.contains(&format!(r#"<div id="{}"><dt>"#, definition.id)), "{}", definition.id);
    }
}
