mod alerts;
mod cases;
mod customer;
mod failure_cost;
mod figures;
mod levers;
mod provider_bill;
mod sources;

use super::*;
use crate::behind::Asked;
use crate::{Beside, Compare, FailureCost, Rate, Row, Unit};
use std::collections::BTreeMap;
use std::path::Path;
use verdict_domain::contract::{BillTo, StripeTerms};
use verdict_domain::economics::Figures;
use verdict_domain::invoice::{self, Line};
use verdict_domain::judge::WinKind;
use verdict_domain::money::{Currency, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::Item;
use verdict_domain::time::{day_text, parse_day};
use verdict_store::attempts::UnknownCost;
use verdict_store::cases::CaseKey;
use verdict_store::figures::{CaseBehind, Slice, Total};
use verdict_store::invoices::{Invoice, Kind, State};
use verdict_store::ledger::Charge;
use verdict_store::parked::{Listed, Origin, Parked};

const HOSTILE: &str = r#"<script>alert("1")</script>' onclick='x' & "#;

/// The page but for the one script that it may have.
fn without_ours(html: &str) -> String {
    html.replacen(r#"<script src="/live.js" defer></script>"#, "", 1)
}

/// No tag, and no attribute, of a hostile string is left.
fn assert_escaped(html: &str) {
    assert!(html.contains("&#60;script&#62;"), "it is not shown at all");
    assert!(!without_ours(html).contains("<script"));
    assert!(!html.contains("' onclick"));
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
}

fn report(by: &str, rows: Vec<Row>, totals: Vec<Row>) -> FailureCost {
    FailureCost { from: "2026-10-01".into(), to: "2026-11-01".into(), by: by.into(), rows, totals }
}

fn filter(by: &str, customer: Option<&str>) -> Filter {
    let (from, to) = (parse_day("2026-10-01").unwrap(), parse_day("2026-11-01").unwrap());
    let of = Slice { from, to, customer: customer.map(str::to_string), ..Slice::default() };
    Filter { of, by: by.into(), is_shared: false, sort: None, page: 1, compare: Compare::Nothing }
}

fn alone(report: &FailureCost) -> Beside {
    report.clone().into()
}

/// A lost case.
fn behind(case: &str) -> CaseBehind {
    let figures = Figures { attempts: 3, unknown_costs: 1, cost_nanos: 1_234_500_000, ..Figures::default() };
    CaseBehind {
        key: CaseKey { customer: "acme".into(), case: case.into() },
        verdict: "failed".into(),
        day: 20_730,
        figures: BTreeMap::from([("USD".to_string(), figures)]),
        whole_cost_nanos: 2_000_000_000,
        last_charge_at: None,
    }
}

fn page_of_cases(case: &str, figure: &'static str, after: Option<&str>) -> String {
    let of = filter("customer", Some(case)).of;
    let asked = Asked { figure, reason: Some(case.into()), ..Asked::of(of) };
    let cases = [behind(case), behind("T-1")];
    let total = Total { figures: cases[0].figures.clone(), of_no_case: BTreeMap::new(), cases: Some(2) };
    cases_behind(&asked, &total, &cases, after, false).unwrap()
}

#[test]
fn the_cases_behind_a_figure_say_what_they_add_to_it() {
    let html = page_of_cases(HOSTILE, "lost", Some(HOSTILE));
    assert_escaped(&html);
    for text in [
        "<strong>1.2345</strong>",
        ">First page</a>",
        r#"rel="next">Older</a>"#,
        "2 of them",
        r#"href="/cases/acme/T-1""#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let html = page_of_cases("T-2", "failed", None);
    assert!(html.contains("<strong>0</strong>") && !html.contains("Older") && !html.contains("cost unknown"));
}

/// A page that is not the first one, or that others follow.
fn turn(is_later: bool, next: Option<&str>) -> Turn {
    Turn { is_later, next: next.map(Into::into) }
}

#[test]
fn revenue_says_what_of_it_is_of_no_case() {
    let of = filter("customer", None).of;
    let asked = Asked { figure: "revenue", ..Asked::of(of) };
    let revenue = |revenue_nanos| Figures { revenue_nanos, ..Figures::default() };
    let case = CaseBehind {
        figures: BTreeMap::from([("USD".to_string(), revenue(990_000_000))]),
        last_charge_at: Some(7),
        ..behind("T-1")
    };
    assert_eq!(case.place(asked.order).rank, 7);
    let total = Total {
        figures: BTreeMap::from([("USD".to_string(), revenue(-1_500_000_000))]),
        of_no_case: BTreeMap::from([("USD".to_string(), -2_490_000_000)]),
        cases: Some(1),
    };
    let html = cases_behind(&asked, &total, &[case], None, true).unwrap();
    for text in [
        "<strong>-1.50</strong></td><td>0.99</td><td>-2.49</td></tr>",
        "what is of cases: 1 of them",
        r#"it stands on <a href="/invoices">the invoices</a>"#,
        "<td><strong>0.99</strong></td>",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.contains("cost unknown") && html.contains("<option selected>revenue</option>"));
}

#[test]
fn numbers_are_shown_by_thousands() {
    for (nanos, text) in [(0, "0.00"), (-500_000_000, "-0.50"), (-123_456_000_000_001, "-123,456.000000001")]
    {
        assert_eq!(exact(&nanos), text);
    }
    assert_eq!(grouped(&i64::MIN), "-9,223,372,036,854,775,808");
    assert_eq!(grouped(&100), "100");
}

#[test]
fn login_shows_its_error_as_text() {
    let html = login(Some(HOSTILE)).unwrap();
    assert_escaped(&html);
    assert!(html.contains(r#"aria-describedby="error""#));
    let html = login(None).unwrap();
    assert!(html.contains(r#"name="key" type="password""#) && html.contains(r#"action="/login""#));
    assert!(!html.contains("alert") && !html.contains("<nav"));
}

#[test]
fn message_escapes() {
    assert_escaped(&message(HOSTILE, HOSTILE).unwrap());
}

fn charge(case: &str, at: &str, action: &str, quantity: i64, nanos: i64, currency: Currency) -> Charge {
    let amount = Money { nanos, currency };
    Charge {
        key: CaseKey { customer: "acme".into(), case: case.into() },
        seq: 1,
        effective_at: Timestamp::parse(at).unwrap(),
        origin_at: Timestamp::parse(at).unwrap(),
        charge: invoice::Charge {
            action: action.into(),
            win: if nanos % 2 == 0 { WinKind::Confirmed } else { WinKind::Assumed },
            contract_version: 3,
            quantity,
            amount,
            value: None,
        },
    }
}

/// A line of the invoice's own period, or of an earlier one.
fn line(number: u32, charge: &Charge, earlier: bool) -> Line {
    let start = if earlier { "2026-08-31T22:00:00Z" } else { "2026-09-30T22:00:00Z" };
    let invoice::Charge { action, win, contract_version, quantity, amount, .. } = charge.charge.clone();
    let why = format!("{quantity} × {action}");
    Line {
        number,
        period_start: Timestamp::parse(start).unwrap(),
        item: Item::Outcomes { action, win },
        contract_version,
        quantity,
        amount,
        minor: amount.to_minor_units().unwrap(),
        why,
    }
}

fn one_invoice(id: &str, currency: Currency, lines: Vec<Line>) -> Invoice {
    Invoice {
        id: id.into(),
        kind: Kind::Invoice,
        corrects: None,
        state: State::Final,
        customer: id.split('/').next().unwrap_or_default().into(),
        period: Period {
            start: Timestamp::parse("2026-09-30T22:00:00Z").unwrap(),
            end: Timestamp::parse("2026-10-31T23:00:00Z").unwrap(),
        },
        currency,
        total_minor: lines.iter().map(|line| line.minor).sum(),
        bill_to: BillTo { name: "Acme Insurance GmbH".into(), email: "invoices@acme.example".into() },
        terms: StripeTerms::default(),
        drafted_at: Timestamp::parse("2026-11-03T23:00:04.25Z").unwrap(),
        approved: None,
        stripe_id: None,
        stripe_status: None,
        payment: None,
        lines,
    }
}

#[test]
fn invoices_without_any() {
    assert!(invoices(&[], &Turn::default()).unwrap().contains("No invoice has been drafted yet."));
}

#[test]
fn invoices_of_several_currencies() {
    let mut hostile = one_invoice(HOSTILE, Currency::USD, Vec::new());
    hostile.stripe_status = Some(HOSTILE.into());
    let yen = Invoice { total_minor: -110, ..one_invoice("kiku/2026-10", Currency::JPY, Vec::new()) };
    let html = invoices(&[hostile, yen], &Turn::default()).unwrap();
    assert_escaped(&html);
    assert!(html.contains(r#"href="/invoices/kiku%2F2026-10""#));
    assert!(html.contains(r#"class="negative">-110</td>"#) && html.contains("final, not at Stripe"));
}

#[test]
fn an_invoice_tells_whether_it_adds_up_and_whether_its_evidence_is_whole() {
    let charges = [
        charge(HOSTILE, "2026-10-04T10:00:00Z", HOSTILE, 1, 990_000_000, Currency::USD),
        charge("c-2", "2026-10-05T10:00:00.000001Z", "support.resolution", -1, -994_999_999, Currency::USD),
    ];
    let lines = vec![line(1, &charges[0], false), line(2, &charges[1], true)];
    let mut drafted = one_invoice(HOSTILE, Currency::USD, lines);
    drafted.bill_to = BillTo { name: HOSTILE.into(), email: HOSTILE.into() };
    drafted.stripe_id = Some(HOSTILE.into());
    let html = invoice(&drafted, Some(&(7, "4ab1".into())), &charges, &Turn::default()).unwrap();
    assert_escaped(&html);
    for text in [
        "The lines add up to the total.",
        "All 2 charges",
        "<td>0.990000000</td>",
        "-0.994999999",
        "2026-09-30 22:00 –",
        r#"class="negative">-0.99</td>"#,
        "<td>+1</td>",
        "<td>-1</td>",
        "2026-10-05 10:00:00.000001",
        "correction, period from 2026-08-31 22:00",
        "Number 7 in the chain of invoices, link <code>4ab1</code>",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    drafted.total_minor = i64::MIN;
    let html = invoice(&drafted, None, &charges, &turn(true, Some("[7]"))).unwrap();
    assert!(
        html.contains("do not add up")
            && html.contains("2 of the charges on this invoice, in the order of the chain.")
            && html.contains("?after=%5B7%5D\" rel=\"next\">Next page</a>")
    );
    assert!(
        invoice(&one_invoice("x", Currency::EUR, Vec::new()), None, &[], &Turn::default())
            .unwrap()
            .contains("No charges.")
    );
}

fn listed(origin: Origin, reference: &str, reason: &str, body: &[u8]) -> Listed {
    let parked = Parked {
        origin,
        reference: reference.into(),
        headers: "{}".into(),
        body: body.into(),
        reason: reason.into(),
    };
    Listed { id: parked.id(), parked, parked_at: Timestamp::parse("2026-10-12T08:31:07.5Z").unwrap() }
}

#[test]
fn parked_shows_the_beginning_of_any_bytes() {
    assert!(parked(&[], 0, 0, None, &Turn::default()).unwrap().contains("Nothing is parked."));
    let mut body = HOSTILE.as_bytes().to_vec();
    body.extend([0xff, 0xfe, 0]);
    body.extend("é".repeat(100).as_bytes());
    let item = listed(Origin::Delivery, HOSTILE, HOSTILE, &body);
    let html = parked(&[item], 1_001, 7, None, &turn(false, Some("[1]"))).unwrap();
    assert_escaped(&html);
    assert!(html.contains("7 spans and logs that could not be used are gone"), "{html}");
    assert!(
        html.contains("1,001 could not be processed") && html.contains(r#"href="/parked?after=%5B1%5D""#)
    );
    assert!(!html.contains('\0'));
    assert!(html.contains("The first 200 of") && html.contains("verdict parked replay "));
}

#[test]
fn pages_run_no_script_but_ours_and_load_nothing_else() {
    for (name, html) in sample() {
        let html = without_ours(&html);
        for forbidden in ["<script", "style=", "http:", "https:", "onclick", "@import"] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

/// Writes the pages with a month of believable data to `target/pages`, to be looked at.
#[test]
fn pages_can_be_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("style.css"), STYLE).unwrap();
    for (name, html) in sample() {
        let html = html.replace("href=\"/style.css\"", "href=\"style.css\"");
        std::fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}

/// Each page by its name.
fn sample() -> Vec<(String, String)> {
    let mut pages = vec![
        ("login".to_string(), login(None).unwrap()),
        ("cases_behind".to_string(), page_of_cases("T-48120", "lost", Some("[1]"))),
        ("login_error".to_string(), login(Some("That key is not known, or it was revoked.")).unwrap()),
        ("message".to_string(), message("No such page", "There is nothing at this address.").unwrap()),
    ];
    let (trend, reasons) = (month("day"), month("reason"));
    let unknown = |customer: &str, provider: &str, model: &str, attempts| UnknownCost {
        customer: customer.into(),
        provider: provider.into(),
        model: model.into(),
        attempts,
    };
    let unknown = [
        unknown("northwind", "azure", "gpt-5-mini-finetuned-2026-08", 1_204),
        unknown("acme", "self-hosted", "llama-4-scout", 87),
    ];
    for by in ["customer", "agent", "model", "reason", "day"] {
        let html = failure_cost(
            &alone(&month(by)),
            &trend,
            &reasons,
            &unknown,
            &[behind("T-48120"), behind("T-48137")],
            &filter(by, None),
        )
        .unwrap();
        pages.push((format!("failure_cost_by_{by}"), html));
    }
    let none = report("customer", Vec::new(), Vec::new());
    let html =
        failure_cost(&alone(&none), &none, &none, &[], &[], &filter("customer", Some("nobody"))).unwrap();
    pages.push(("failure_cost_empty".to_string(), html));

    let mut charges: Vec<Charge> = (0..40_i64)
        .map(|nth| {
            let at = format!("2026-10-{:02}T{:02}:14:09Z", 1 + nth / 2, nth * 7 % 24);
            let nanos = if nth % 3 == 0 { 990_000_000 } else { 742_500_001 };
            charge(&format!("T-{}", 48_120 + nth * 17), &at, "support.resolution", 1, nanos, Currency::EUR)
        })
        .collect();
    charges.push(charge(
        "T-48120",
        "2026-10-19T16:40:00Z",
        "support.resolution",
        -1,
        -990_000_000,
        Currency::EUR,
    ));
    let lines = vec![line(1, &charges[0], false), line(2, &charges[40], true)];
    let mut drafted = vec![
        one_invoice("acme/2026-10-01", Currency::EUR, lines),
        one_invoice("globex/2026-10-01", Currency::USD, Vec::new()),
        one_invoice("kiku/2026-10-01", Currency::JPY, Vec::new()),
        one_invoice("a-customer-with-a-name-that-goes-on/2026-10-01", Currency::USD, Vec::new()),
    ];
    for (invoice, total) in drafted.iter_mut().skip(1).zip([1_284_207, 98_410, -198]) {
        invoice.total_minor = total;
        invoice.stripe_id = Some("in_1SGq0aLkdIwHu7ixUEk1x2Yz".into());
        invoice.stripe_status = Some("open".into());
    }
    pages.push(("invoices".to_string(), invoices(&drafted, &Turn::default()).unwrap()));
    pages.push((
        "invoice".to_string(),
        invoice(&drafted[0], Some(&(3, "5d1c".repeat(16))), &charges, &Turn::default()).unwrap(),
    ));

    let items = [
        listed(
            Origin::Attempt,
            "application/json",
            "`ended_at` is missing: send it as an RFC 3339 time",
            br#"{"id":"a-77120","customer":"acme","case":"T-48120","status":"answered","agent":"triage","model":"claude-sonnet-4-5","started_at":"2026-10-12T08:31:01Z","input_tokens":1822,"output_tokens":412,"cached_tokens":0}"#,
        ),
        listed(
            Origin::Outcome,
            r#"["northwind","9-1182",3]"#,
            "no price for `support.refund` in version 2 of northwind's contract: add a version that has one",
            b"",
        ),
        listed(Origin::Delivery, "zendesk/01HQ7", "not JSON: expected value at line 1 column 1", &[0, 159, 146, 150]),
    ];
    pages.push(("parked".to_string(), parked(&items, 3, 0, None, &Turn::default()).unwrap()));
    pages.extend(alerts::sample());
    pages.extend(cases::sample());
    pages.extend(provider_bill::sample());
    pages.extend(figures::sample());
    pages.extend(customer::sample(&drafted[0], &charges));
    pages
}

/// October 2026 grouped: four customers, of whom one is billed in euros, one pays for its model in euros too,
/// and one has no contract.
fn month(by: &str) -> FailureCost {
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut totals: BTreeMap<String, Row> = BTreeMap::new();
    let mut dice = 7_u32;
    let mut roll = |below: i64| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(dice >> 8) % below
    };
    let customers = [
        ("acme", "EUR", "EUR", 3),
        ("globex", "USD", "USD", 9),
        ("northwind", "USD", "USD", 5),
        ("pilot", "XXX", "USD", 1),
    ];
    let (agents, models) = (["billing", "refunds", "triage"], ["claude-sonnet-4-5", "gpt-5-mini"]);
    let losses = ["handoff", "negative_feedback", "no_answer", "reopened", "unresolved"];
    let failures = ["provider_error", "rate_limited", "timeout", "tool_error"];
    for day in 20_727..20_758 {
        for (customer, billed, paid, size) in customers {
            for nth in 0..6 {
                let (agent, model) = (agents[nth % 3], models[nth / 3]);
                let size = if (day + 3) % 7 < 2 { size } else { size * 3 };
                let mut post = |reason: &str, currency: &str, figures: Row| {
                    let day = day_text(day);
                    let key = match by {
                        "customer" => customer,
                        "agent" => agent,
                        "model" => model,
                        "reason" => reason,
                        _ => &day,
                    };
                    add(rows.entry((key.into(), currency.into())).or_default(), &figures);
                    add(totals.entry(currency.into()).or_default(), &figures);
                };
                let cost = |attempts: i64, each: i64| attempts * (31_000_000 + each);
                let (won, retried, lost) = (size * 4 + roll(9), roll(size + 2), roll(size * 2));
                let pending = if day > 20_754 { size } else { 0 };
                let unknown = if customer == "northwind" { roll(4) } else { 0 };
                post(
                    "-",
                    paid,
                    Row {
                        attempts: won + unknown,
                        unknown_cost_attempts: unknown,
                        won_nanos: cost(won, roll(9_000_000)),
                        ..Row::default()
                    },
                );
                post(
                    failures[nth % 4],
                    paid,
                    Row { attempts: retried, retry_nanos: cost(retried, roll(5_000_000)), ..Row::default() },
                );
                let reason = losses[(nth + day as usize) % 5];
                post(
                    reason,
                    paid,
                    Row { attempts: lost, lost_nanos: cost(lost, roll(20_000_000)), ..Row::default() },
                );
                post(
                    "-",
                    paid,
                    Row {
                        attempts: pending,
                        pending_nanos: cost(pending, roll(9_000_000)),
                        ..Row::default()
                    },
                );
                let (assumed, void) = (won / 3, i64::from(roll(12) == 0));
                let revenue = if billed == "XXX" { 0 } else { (won - void) * 990_000_000 };
                post(
                    "-",
                    billed,
                    Row { confirmed: won - assumed, assumed, revenue_nanos: revenue, ..Row::default() },
                );
                post(reason, billed, Row { failed: lost, void, ..Row::default() });
            }
        }
    }
    let named = |(key, currency): (String, String), row: Row, alone: bool| {
        let cost_nanos = row.won_nanos + row.retry_nanos + row.lost_nanos + row.pending_nanos;
        let wins = row.confirmed + row.assumed;
        Row {
            key,
            currency,
            cost_nanos,
            margin_nanos: (alone && (cost_nanos != 0 || row.revenue_nanos != 0))
                .then_some(row.revenue_nanos - cost_nanos),
            cost_per_resolution_nanos: (wins > 0 && cost_nanos > 0).then(|| cost_nanos / wins.max(1)),
            ..row
        }
    };
    let alone = by == "customer";
    let rows = rows.into_iter().map(|(key, row)| named(key, row, alone)).collect();
    let totals = totals.into_iter().map(|(code, row)| named(("total".into(), code), row, false)).collect();
    report(by, rows, totals)
}

fn add(to: &mut Row, more: &Row) {
    to.attempts += more.attempts;
    to.unknown_cost_attempts += more.unknown_cost_attempts;
    to.won_nanos += more.won_nanos;
    to.retry_nanos += more.retry_nanos;
    to.lost_nanos += more.lost_nanos;
    to.pending_nanos += more.pending_nanos;
    to.confirmed += more.confirmed;
    to.assumed += more.assumed;
    to.failed += more.failed;
    to.void += more.void;
    to.revenue_nanos += more.revenue_nanos;
}
