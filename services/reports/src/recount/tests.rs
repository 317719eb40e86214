use super::*;
use crate::export::{self, FactLine, Terms};
use verdict_domain::attempt::Status;
use verdict_domain::contract::Price;
use verdict_domain::fact::{ResolutionKind, Strength};
use verdict_domain::money::Currency;
use verdict_domain::rule::{Assumed, Evidence};

fn hour(hours: i64) -> Timestamp {
    Timestamp(1_790_812_800_000_000 + hours * 3_600_000_000)
}

fn fact(at: i64, id: &str) -> FactLine {
    let empty = serde_json::json!({ "at": hour(at), "id": id });
    serde_json::from_value(empty).unwrap()
}

fn answered(at: i64, id: &str) -> FactLine {
    let (agent, action) = (Some("resolver".into()), Some("support.resolution".into()));
    FactLine { attempt: Some(Status::Answered), agent, action, ..fact(at, id) }
}

fn confirmed(at: i64, id: &str, strength: Strength) -> FactLine {
    FactLine { resolution: Some(ResolutionKind::Confirmed), strength: Some(strength), ..fact(at, id) }
}

fn billed(seq: i64, entry: EntryKind, kind: WinKind, at: i64, amount: &str) -> BilledLine {
    BilledLine {
        seq,
        entry,
        episode: "start".into(),
        kind,
        action: "support.resolution".into(),
        effective_at: hour(at),
        reason: None,
        reverses: None,
        value: None,
        value_currency: None,
        amount: Some(amount.into()),
        currency: Some("USD".into()),
        contract_version: Some(1),
        invoice: Some("acme/2026-10-01".into()),
        line: None,
        nothing_to_bill: false,
    }
}

fn case(name: &str, facts: Vec<FactLine>, billed: Vec<BilledLine>) -> CaseLine {
    CaseLine { case: name.into(), judged_at: Some(hour(200)), waits: false, facts, billed }
}

/// Two cases, billed as their facts say: one confirmed over the API, one assumed.
fn good() -> Vec<CaseLine> {
    let charge = |kind, at, amount| vec![billed(1, EntryKind::Charge, kind, at, amount)];
    vec![
        case(
            "c-1",
            vec![answered(1, "attempt:a-1"), confirmed(2, "api:r-1", Strength::Api)],
            charge(WinKind::Confirmed, 26, "0.99"),
        ),
        case("c-2", vec![answered(1, "attempt:a-2")], charge(WinKind::Assumed, 73, "0.49")),
    ]
}

fn file(cases: &[CaseLine]) -> String {
    let mut lines = export::Lines { out: Vec::new(), check: String::new() };
    let price = Price::flat("support.resolution", "0.99", Some("0.49"));
    let terms = Terms {
        version: 1,
        effective_from: hour(0),
        currency: Currency::USD,
        prices: vec![price],
        rule: Rule::default(),
    };
    let head = Head {
        format: FORMAT.into(),
        version: VERSION,
        customer: "acme".into(),
        as_of: hour(100),
        from: hour(0),
        to: hour(48),
        contracts: vec![terms],
    };
    lines.write(&head).unwrap();
    cases.iter().for_each(|case| lines.write(case).unwrap());
    lines.write(&End { end: true, cases: cases.len() as u64 }).unwrap();
    String::from_utf8(lines.out).unwrap()
}

fn counted(cases: &[CaseLine]) -> Recount {
    recount(file(cases).as_bytes(), None, 10).unwrap()
}

#[test]
fn a_bill_that_the_facts_bear_out_agrees() {
    let recount = counted(&good());
    assert_eq!((recount.cases, recount.differing), (2, 0), "{:#?}", recount.differences);
    assert_eq!(recount.billed, recount.recounted);
    assert_eq!((recount.billed.confirmed, recount.billed.assumed), (1, 1));
    assert_eq!(recount.billed.revenue.to_string(), "1.48 USD");
    assert_eq!(recount.billed.revenue_assumed.to_string(), "0.49 USD");
    let text = crate::recounted(&recount);
    assert!(text.contains("The bill agrees with the facts, case by case."), "{text}");
}

#[test]
fn what_was_billed_otherwise_is_found_and_told_why() {
    let row = |seq, entry, amount| billed(seq, entry, WinKind::Confirmed, 26, amount);
    let twice = vec![row(1, EntryKind::Charge, "0.99"), row(2, EntryKind::Charge, "0.99")];
    let corrected = vec![
        row(1, EntryKind::Charge, "0.99"),
        BilledLine { reverses: Some(1), ..row(2, EntryKind::Correction, "-0.98") },
        row(3, EntryKind::Charge, "0.99"),
    ];
    let late = vec![billed(1, EntryKind::Charge, WinKind::Confirmed, 27, "0.99")];
    let as_assumed = vec![billed(1, EntryKind::Charge, WinKind::Assumed, 26, "0.99")];
    let unpriced = vec![BilledLine { amount: None, currency: None, ..row(1, EntryKind::Charge, "") }];
    for (what, rows) in [
        ("nothing", vec![]),
        ("too much", vec![row(1, EntryKind::Charge, "1.00")]),
        ("twice", twice),
        ("a correction that is not the opposite", corrected),
        ("another day", late),
        ("another kind", as_assumed),
        ("no price", unpriced),
    ] {
        let mut cases = good();
        cases[0].billed = rows;
        let recount = counted(&cases);
        assert_eq!(recount.differing, 1, "{what}");
        let difference = &recount.differences[0];
        assert_eq!(difference.case, "c-1", "{what}");
        assert!(difference.why.starts_with("Confirmed by `api:r-1` (API) on"), "{what}: {}", difference.why);
        assert!(crate::recounted(&recount).contains("The bill differs from the facts in 1 cases:"), "{what}");
    }
    // A corrected row leaves nothing behind.
    let mut cases = good();
    cases[0].billed = vec![
        row(1, EntryKind::Charge, "1.00"),
        BilledLine { reverses: Some(1), ..row(2, EntryKind::Correction, "-1.00") },
        row(3, EntryKind::Charge, "0.99"),
    ];
    assert_eq!(counted(&cases).differing, 0);
}

#[test]
fn another_rule_tells_what_it_would_have_billed() {
    let rule = Rule { evidence: Evidence::Platform, assumed: Assumed::Never, ..Rule::default() };
    let recount = recount(file(&good()).as_bytes(), Some(&rule), 1).unwrap();
    let other = recount.other.as_ref().unwrap();
    assert_eq!((other.recounted.failed, other.changed, other.changes.len()), (2, 2, 1));
    assert_eq!(other.difference.as_ref().unwrap().to_string(), "-1.48 USD");
    let text = crate::recounted(&recount);
    assert!(
        text.contains(
            "Billed 1.48 USD at list prices; under the other rule it would be nothing (-1.48 USD)."
        ),
        "{text}"
    );
    assert!(text.contains("… and 1 more"), "{text}");
    assert!(text.contains("never confirmed, and this rule counts nothing else"), "{text}");
}

#[test]
fn a_case_that_waits_is_left_out() {
    let mut cases = good();
    cases[0] = CaseLine { waits: true, billed: vec![], ..cases[0].clone() };
    let recount = counted(&cases);
    assert_eq!((recount.cases, recount.waiting, recount.differing), (2, 1, 0));
    assert_eq!(recount.recounted.confirmed, 0);
}

#[test]
fn a_file_that_was_cut_or_changed_is_refused_by_its_line() {
    let whole = file(&good());
    let lines: Vec<&str> = whole.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n");
    for (what, text, line) in [
        ("empty", String::new(), 1),
        ("cut within a line", whole[..whole.len() - 60].to_string(), 4),
        ("cut between lines", joined(&lines[..3]), 4),
        ("a line left out", joined(&[lines[0], lines[2], lines[3]]), 2),
        ("lines exchanged", joined(&[lines[0], lines[2], lines[1], lines[3]]), 2),
        ("an amount changed", whole.replacen("\"0.49\",\"currency\"", "\"0.48\",\"currency\"", 1), 3),
        ("a fact changed", whole.replacen("api:r-1", "api:r-2", 1), 2),
        ("a price changed", whole.replacen("\"0.99\"", "\"0.89\"", 1), 1),
        ("not a line of ours", "{}\n".into(), 1),
        ("not UTF-8, nor anything", "\u{1}\u{2}".into(), 1),
    ] {
        let error = recount(text.as_bytes(), None, 1).unwrap_err();
        assert_eq!(error.line, line, "{what}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let no_strength = FactLine { strength: None, ..confirmed(2, "api:r-1", Strength::Api) };
    let neither = fact(1, "x:1");
    let no_money = vec![BilledLine { amount: Some("much".into()), ..good()[1].billed[0].clone() }];
    for (facts, billed, named) in [
        (vec![no_strength], vec![], "`api:r-1` has no `strength`"),
        (vec![neither], vec![], "`x:1` has no `attempt` or `resolution`"),
        (vec![], no_money, "row 1: amount"),
    ] {
        let text = file(&[case("c-1", facts, billed)]);
        let error = recount(text.as_bytes(), None, 1).unwrap_err();
        assert!(error.line == 2 && error.problem.contains(named), "{error}");
    }
}
