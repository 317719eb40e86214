//! The pages of cases and deliveries.

use super::{HOSTILE, assert_escaped};
use crate::case::tests::{attempt, hour, said};
use crate::case::{Explanation, assemble};
use crate::pages::{Turn, case, cases, delivery};
use verdict_domain::attempt::Status;
use verdict_domain::contract::{Contract, Price};
use verdict_domain::fact::{Fact, ResolutionFact, ResolutionKind, Said, in_order};
use verdict_domain::judge::judge;
use verdict_domain::ledger::{Row, difference, entries};
use verdict_domain::money::{Currency, Money};
use verdict_store::cases::{CaseKey, StoredCase};
use verdict_store::deliveries::{Delivery, Via};
use verdict_store::history::{Beside, Billed, Event, Filter, InLine, Listed, On, Priced};
use verdict_store::repricings::CostChange;

fn key(case: &str) -> CaseKey {
    CaseKey { customer: "acme".into(), case: case.into() }
}

fn contract() -> Contract {
    let prices = vec![Price::flat("support.resolution", "0.99", Some("0.49"))];
    Contract { version: 2, effective_from: hour(-100), ..Contract::new("acme", Currency::USD, prices) }
}

fn event(fact: Fact, words: &str) -> Event {
    let beside = match &fact.said {
        Said::Attempt(attempt) => Beside::Attempt {
            provider: words.into(),
            recorded_nanos: attempt.cost.model_nanos.map(|nanos| nanos - 1_000_000),
            cost_changes: Vec::from_iter(attempt.cost.model_nanos.map(|_| CostChange {
                repricing: "repricing:0".into(),
                book: words.into(),
                price_source: words.into(),
                difference_nanos: 1_000_000,
                newly_known: false,
                at: fact.at,
                author: words.into(),
            })),
            price_source: Some("genai-prices".into()),
            details: None,
            service_tier: fact.id.ends_with("a-2").then(|| "batch".into()),
            started_at: fact.at,
        },
        Said::Resolution(_) => {
            let delivery = fact.id.split_once(':').map_or("", |(_, id)| id);
            let evidence = serde_json::json!({
                "source": "support", "delivery": delivery, "via": "webhook", "rule": "rules[0]", "secret": "1",
                "values": { "type": "resolution.confirmed", "data.csat": 5, words: words }
            });
            Beside::Resolution {
                reason: Some(words.into()),
                author: fact.id.starts_with("api:").then(|| words.to_string()),
                evidence: (!fact.id.starts_with("api:")).then(|| evidence.to_string()),
            }
        }
    };
    Event { recorded_at: fact.at, fact, beside }
}

/// The page of a case with these facts, on an invoice of the charges' first month.
fn page(name: &str, facts: Vec<Fact>, words: &str, now: i64) -> String {
    case(&explained(name, facts, words, now)).unwrap()
}

/// One of two that cost less together than by the list.
fn on_line_1() -> On {
    let amount = Money { nanos: 990_000_000, currency: Currency::USD };
    let line = InLine { number: 1, quantity: 2, amount, why: "1 included; 1 × 0.99".into() };
    On::Invoice { id: "acme/2026-10-01".into(), line: Some(line) }
}

/// The explanation of a case with these facts.
pub(super) fn explained(name: &str, facts: Vec<Fact>, words: &str, now: i64) -> Explanation {
    let facts = in_order(facts);
    let contract = contract();
    let judgement = judge(&facts, &contract.rule, hour(now));
    let rows: Vec<Row> = difference(&[], &entries(&facts, &judgement.episodes));
    let nanos = |row: &Row| {
        row.entry.sign * if row.entry.win.as_str() == "assumed" { 490_000_000 } else { 990_000_000 }
    };
    let billed: Vec<Billed> = rows
        .into_iter()
        .map(|row| Billed {
            price: Some(Priced {
                amount: Money { nanos: nanos(&row), currency: Currency::USD },
                contract_version: 2,
                on: match row.seq {
                    1 => on_line_1(),
                    2 => On::NothingToBill,
                    _ => On::NoneYet,
                },
                free: None,
            }),
            row,
        })
        .collect();
    let views = crate::case::episode_views(
        &facts,
        &vec![crate::case::Note::default(); facts.len()],
        &contract.rule,
        &judgement,
        |_| crate::case::Charge::Untold,
    );
    let held: Vec<_> = views.into_iter().map(|view| view.held).collect();
    let held = StoredCase {
        judged_at: hour(now),
        wake_at: judgement.wake_at,
        verdict: held.last().and_then(|episode| episode.verdict.clone()).unwrap_or_default(),
        episodes: serde_json::to_string(&held).unwrap(),
    };
    let events: Vec<Event> = facts.into_iter().map(|fact| event(fact, words)).collect();
    assemble(&key(name), &held, &events, &billed, &[contract], false).unwrap()
}

/// Won, charged, taken back by a re-open, won again and disputed.
fn full(name: &str, words: &str) -> String {
    let mut unknown = attempt(1, "a-0", Status::Failed);
    if let Said::Attempt(attempt) = &mut unknown.said {
        attempt.cost.model_nanos = None;
    }
    let mut disputed = said(160, "support:dispute-9", ResolutionKind::Disputed);
    if let Said::Resolution(said) = &mut disputed.said {
        *said = ResolutionFact { about: Some("support:back-1".into()), ..said.clone() };
    }
    let facts = vec![
        unknown,
        attempt(2, "a-1", Status::Answered),
        said(3, "support:msg-1", ResolutionKind::Confirmed),
        said(50, "support:back-1", ResolutionKind::Reopened),
        attempt(51, "a-2", Status::Answered),
        said(53, "api:thanks", ResolutionKind::Acknowledged),
        disputed,
    ];
    page(name, facts, words, 200)
}

#[test]
fn a_case_tells_its_sentence_its_bill_and_what_it_rests_on() {
    let html = full("c-1", "thumbs up");
    for text in [
        "Void: it was confirmed by <code>support:msg-1</code> (signed webhook, rule <code>rules[0]</code>)",
        "then the customer came back (<code>support:back-1</code>",
        "Assumed: no message and no other attempt followed the answer <code>attempt:a-2</code>",
        r#"<span class="verdict assumed">assumed</span>"#,
        r#"href="/deliveries/support/msg-1""#,
        r#"href="/invoices/acme%2F2026-10-01""#,
        "<strong>Dispute open</strong>",
        "-0.99 USD",
        "unknown for 1: not in the sum",
        "Margin at list prices, at most",
        ", line 1<br><small>2 for 0.99 USD: 1 included; 1 × 0.99</small>",
        "nothing to bill in this period",
        "not yet: list price",
        "Together, at list prices",
        "contract version 2",
        "recorded as 0.004 USD by genai-prices<br>repriced by +0.001 USD by thumbs up on 2026-10-01 02:00 UTC by <code>thumbs up</code>",
        r#"<span class="strength api">api</span>"#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
}

#[test]
fn a_case_escapes_and_encodes() {
    assert_escaped(&full(HOSTILE, HOSTILE));
}

#[test]
fn a_case_without_a_bill() {
    let html = page("c-2", vec![attempt(1, "a-1", Status::Answered)], "openai", 5);
    assert!(html.contains("Pending: it settles on 2026-10-04 01:00 UTC"), "{html}");
    assert!(html.contains(r#"<p class="empty">Nothing.</p>"#));
}

#[test]
fn a_case_counts_its_attempts_and_says_by_which_service() {
    let one = page("c-2", vec![attempt(1, "a-1", Status::Answered)], "openai", 5);
    assert!(one.contains("<dt>1 attempt, known cost</dt>") && !one.contains("Service tier"), "{one}");
    let two = vec![attempt(1, "a-1", Status::Failed), attempt(2, "a-2", Status::Answered)];
    let two = page("c-2", two, "openai", 5);
    assert!(two.contains("<dt>2 attempts, known cost</dt>"), "{two}");
    assert_eq!(two.matches("<div><dt>Service tier</dt><dd>batch</dd></div>").count(), 1);
}

fn listed(case: &str, verdict: &str) -> Listed {
    Listed { key: key(case), verdict: verdict.into(), judged_at: hour(5), wake_at: Some(hour(77)) }
}

#[test]
fn cases_are_listed_with_the_filter_that_they_were_asked_by() {
    let none = cases(&[], &Filter::default(), &Turn::default()).unwrap();
    assert!(none.contains("No such case was judged."));
    let filter = Filter {
        customer: Some(HOSTILE.into()),
        verdict: Some("assumed".into()),
        beginning: Some(HOSTILE.into()),
    };
    let html = cases(
        &[listed(HOSTILE, "assumed"), listed("T/1", "pending")],
        &filter,
        &super::turn(true, Some(HOSTILE)),
    )
    .unwrap();
    assert_escaped(&html);
    assert!(html.contains("<option selected>assumed</option>"));
    assert!(html.contains(r#"href="/cases/acme/T%2F1""#));
    assert!(html.contains("In the order of their ids."));
    let encoded = crate::pages::encoded(HOSTILE);
    let kept = format!("/cases?customer={encoded}&#38;verdict=assumed&#38;q={encoded}");
    for link in [
        format!(r#"<a href="{kept}" rel="first">First page</a>"#),
        format!(r#"<a href="{kept}&#38;after={encoded}" rel="next">Next page</a>"#),
    ] {
        assert!(html.contains(&link), "{link}\n{html}");
    }
    let looked = cases(&[], &filter, &super::turn(false, Some("[]"))).unwrap();
    assert!(looked.contains("None among the 5,000 cases") && looked.contains("Next page"));
    let last = cases(&[], &filter, &super::turn(true, None)).unwrap();
    assert!(last.contains("There are no more.") && !last.contains("Next page"));
}

fn delivered(id: &str, body: &[u8]) -> String {
    delivery(&Delivery {
        source: "support".into(),
        id: id.into(),
        via: Via::Webhook,
        headers: serde_json::json!({ "webhook-id": id, "content-type": "application/json" }).to_string(),
        body: body.into(),
        secret: "2026-10".into(),
        origin: None,
        received_at: hour(3),
    })
    .unwrap()
}

#[test]
fn a_delivery_is_shown_as_text_whatever_its_bytes() {
    let mut body = HOSTILE.as_bytes().to_vec();
    body.extend([0xff, 0, 7, b'\n']);
    let html = delivered(HOSTILE, &body);
    assert_escaped(&html);
    assert!(!html.contains(['\0', '\u{7}']));
    assert!(delivered("x", b"").contains("no longer kept"));
}

/// Each page by its name.
pub(super) fn sample() -> Vec<(String, String)> {
    let list: Vec<Listed> = (0..30)
        .map(|nth| {
            let verdict = ["confirmed", "assumed", "void", "failed", "pending"][nth % 5];
            Listed {
                wake_at: (verdict == "pending").then(|| hour(77)),
                ..listed(&format!("T-{}", 48_120 + nth * 17), verdict)
            }
        })
        .collect();
    let body = br#"{"type":"resolution.confirmed","timestamp":"2026-10-01T03:00:00Z","data":{"customer":"acme","case":"T-48120","reason":"thumbs up"}}"#;
    vec![
        ("cases".to_string(), cases(&list, &Filter::default(), &Turn::default()).unwrap()),
        ("case".to_string(), full("T-48120", "thumbs up")),
        ("case_pending".to_string(), page("T-48137", vec![attempt(1, "a-1", Status::Answered)], "openai", 5)),
        ("delivery".to_string(), delivered("msg_2fKq0aLkdIwHu7ixUEk1x2Yz", body)),
    ]
}
