//! The pages that a customer sees of its own.

use super::cases::explained;
use super::{HOSTILE, assert_escaped, charge, line, one_invoice};
use crate::case::tests::{attempt, said};
use crate::pages::{At, customer_case, customer_home, customer_message, customer_outcomes};
use verdict_domain::attempt::Status;
use verdict_domain::contract::BillTo;
use verdict_domain::fact::ResolutionKind;
use verdict_domain::invoice::{Draft, Line};
use verdict_domain::ledger::EntryKind;
use verdict_domain::money::{Currency, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::{Grant, Item};
use verdict_domain::spend::{Estimate, EstimatedPeriod};
use verdict_domain::time::Timestamp;
use verdict_store::grants::Recorded;
use verdict_store::invoices::{Invoice, Kind};
use verdict_store::ledger::Charge;
use verdict_store::statement::Outcome;

fn at(name: &str) -> At {
    At { base: "/c/AbC".into(), name: name.into() }
}

fn time(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Two open periods: the one before is in its grace, and corrects the one before that.
fn estimate(words: &str) -> Estimate {
    let of = |nanos| charge("T-1", "2026-10-05T00:00:00Z", words, 412, nanos, Currency::EUR);
    let discount = |number: u32, nanos: i64| Line {
        number,
        period_start: time("2026-10-31T23:00:00Z"),
        item: Item::Discount,
        contract_version: 3,
        quantity: 1,
        amount: Money { nanos, currency: Currency::EUR },
        minor: nanos / 10_000_000,
        why: "10 % of 407.88 EUR".into(),
    };
    let running = Line { period_start: time("2026-10-31T23:00:00Z"), ..line(1, &of(407_880_000_000), false) };
    let drafts = [
        (
            Period { start: time("2026-09-30T22:00:00Z"), end: time("2026-10-31T23:00:00Z") },
            Draft {
                lines: vec![line(1, &of(-990_000_000), true), line(2, &of(1_284_070_000_001), false)],
                total_minor: 128_308,
            },
        ),
        (
            Period { start: time("2026-10-31T23:00:00Z"), end: time("2026-11-30T23:00:00Z") },
            Draft { lines: vec![running, discount(2, -40_790_000_000)], total_minor: 36_709 },
        ),
    ];
    let part = |(period, draft): (Period, Draft)| EstimatedPeriod {
        closes_at: Timestamp(period.end.0 + 3 * 86_400_000_000),
        period,
        is_trial: false,
        draft,
    };
    Estimate {
        customer: "acme".into(),
        currency: Currency::EUR,
        as_of: time("2026-11-02T09:30:00Z"),
        periods: drafts.into_iter().map(part).collect(),
        pending: 1_037,
    }
}

fn outcome(charge: Charge, entry: EntryKind, is_taken_back: bool, dispute: Option<&'static str>) -> Outcome {
    Outcome { charge, episode: "start".into(), entry, is_taken_back, dispute }
}

fn granted(id: &str) -> (Recorded, i64) {
    let grant =
        Grant { id: id.into(), minor: 50_000, effective_at: time("2026-10-01T00:00:00Z"), expires_at: None };
    (Recorded { customer: "acme".into(), grant, currency: Currency::EUR, note: Some(id.into()) }, 12_345)
}

#[test]
fn the_first_page_shows_the_running_period_first() {
    let html = customer_home(&at("Acme GmbH"), &estimate("support.resolution"), &[], &[]).unwrap();
    let (running, before) = (html.find("This period so far"), html.find("The period before"));
    assert!(running.is_some() && running < before, "{html}");
    assert!(!html.contains("Prepaid credits"));
    let with_credits = customer_home(&at("x"), &estimate("x"), &[granted("2026-q4")], &[]).unwrap();
    assert!(with_credits.contains("500.00 EUR</td><td>376.55 EUR"), "{with_credits}");
    for text in ["367.09 EUR", "1,037", "correction, period from 2026-08-31 22:00", "There is none yet."] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.contains("trial"));
    let mut trial = estimate("x");
    trial.periods[0].is_trial = true;
    assert!(
        customer_home(&at("x"), &trial, &[], &[])
            .unwrap()
            .contains("This is a trial: none of it is charged.")
    );
}

#[test]
fn an_outcome_can_be_disputed_until_it_is_taken_back_or_a_dispute_is_open() {
    let one = |entry, is_taken_back, dispute| {
        let of = charge("T/1", "2026-10-05T00:00:00Z", "support.resolution", 1, 990_000_000, Currency::EUR);
        let html =
            customer_outcomes(&at("x"), None, &[outcome(of, entry, is_taken_back, dispute)], (1, false))
                .unwrap();
        html.contains("/c/AbC/cases/T%2F1#dispute")
    };
    assert!(one(EntryKind::Charge, false, None) && one(EntryKind::Charge, false, Some("rejected")));
    assert!(!one(EntryKind::Charge, false, Some("open")) && !one(EntryKind::Charge, true, None));
    assert!(!one(EntryKind::Void, false, None));
}

#[test]
fn the_pages_escape_and_name_no_page_of_the_seller() {
    let facts = || vec![attempt(1, "a-1", Status::Answered), said(3, "support:m", ResolutionKind::Confirmed)];
    let of = charge(HOSTILE, "2026-10-05T00:00:00Z", HOSTILE, 1, 990_000_000, Currency::EUR);
    let lines = vec![line(1, &of, false)];
    let invoice = Invoice {
        bill_to: BillTo { name: HOSTILE.into(), email: HOSTILE.into() },
        corrects: Some(HOSTILE.into()),
        kind: Kind::CreditNote,
        ..one_invoice(HOSTILE, Currency::EUR, lines)
    };
    let outcomes = [outcome(of, EntryKind::Charge, false, None)];
    let pages = [
        customer_home(&at(HOSTILE), &estimate(HOSTILE), &[granted(HOSTILE)], std::slice::from_ref(&invoice))
            .unwrap(),
        customer_outcomes(&at(HOSTILE), Some(&invoice), &outcomes, (2, true)).unwrap(),
        customer_case(&at(HOSTILE), &explained(HOSTILE, facts(), HOSTILE, 200), "0123").unwrap(),
        customer_message(HOSTILE, HOSTILE, Some(HOSTILE)).unwrap(),
    ];
    for html in pages {
        assert_escaped(&html);
        for theirs in ["/reports", "\"/cases", "\"/invoices", "/parked", "/logout", "/deliveries"] {
            assert!(!html.contains(theirs), "{theirs}\n{html}");
        }
    }
}

/// Each page by its name.
pub(super) fn sample(invoice: &Invoice, charges: &[Charge]) -> Vec<(String, String)> {
    let at = at("Acme GmbH");
    let documents = [
        Invoice { stripe_status: Some("open".into()), ..invoice.clone() },
        Invoice {
            kind: Kind::CreditNote,
            total_minor: -198,
            stripe_status: Some("issued".into()),
            ..invoice.clone()
        },
        Invoice { stripe_status: Some("paid".into()), ..invoice.clone() },
    ];
    let states = [None, None, Some("open"), None, Some("rejected"), None];
    let outcomes: Vec<Outcome> = charges
        .iter()
        .enumerate()
        .map(|(nth, charge)| match charge.charge.quantity {
            1.. => outcome(charge.clone(), EntryKind::Charge, nth % 9 == 8, states[nth % 6]),
            _ => outcome(charge.clone(), EntryKind::Void, false, None),
        })
        .collect();
    let facts = vec![
        attempt(1, "a-1", Status::Answered),
        said(3, "support:msg-1", ResolutionKind::Confirmed),
        said(160, "support:dispute-9", ResolutionKind::Disputed),
    ];
    let undisputed = explained("T-48137", facts[..2].to_vec(), "thumbs up", 200);
    let case = |case| customer_case(&at, case, "0123").unwrap();
    vec![
        (
            "customer".to_string(),
            customer_home(&at, &estimate("support.resolution"), &[granted("2026-q4")], &documents).unwrap(),
        ),
        (
            "customer_invoice".to_string(),
            customer_outcomes(&at, Some(&documents[0]), &outcomes, (1, true)).unwrap(),
        ),
        ("customer_outcomes".to_string(), customer_outcomes(&at, None, &outcomes[..3], (1, false)).unwrap()),
        ("customer_case".to_string(), case(&undisputed)),
        ("customer_case_disputed".to_string(), case(&explained("T-48137", facts, "thumbs up", 200))),
        (
            "customer_expired".to_string(),
            customer_message(
                "This link has expired",
                "Please ask whoever sent it to you for a new one.",
                None,
            )
            .unwrap(),
        ),
    ]
}
