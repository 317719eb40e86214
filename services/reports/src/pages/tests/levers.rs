//! The page of the levers.

use super::{HOSTILE, assert_escaped};
use crate::levers::{Cached, Caching, Cheaper, Distillation, Levers, Model, Routed, Routing, levers_text};
use crate::pages::levers;
use crate::rate::Rate;
use std::collections::BTreeMap;
use std::path::Path;
use verdict_domain::time::Timestamp;

/// Levers in which all texts are the one given.
fn all_of(text: &str) -> Levers {
    let model = Model { provider: text.into(), model: text.into() };
    let cached = Cached {
        customer: text.into(),
        attempts: 12_345,
        with_fingerprint: 2_000,
        prompts: 7,
        repeats: 150,
        unknown_costs: 3,
        saved_nanos: BTreeMap::from([("USD".into(), 1_234_500_000_000), ("EUR".into(), 1)]),
        refused: None,
    };
    let other = Cheaper {
        model: model.clone(),
        attempts: 1_500,
        now_nanos: 2_500_000_000,
        then_nanos: 250_000_000,
        currency: "USD".into(),
        success: Rate::of(40, 100),
    };
    let routed = Routed {
        model: model.clone(),
        action: text.into(),
        attempts: 1_600,
        without_tokens: 40,
        without_price: 60,
        success: None,
        cheaper: vec![other],
        refused: None,
    };
    Levers {
        as_of: Timestamp::parse("2026-10-12T08:31:01Z").unwrap(),
        from: "2026-09-12".into(),
        to: "2026-10-12".into(),
        customer: Some(text.into()),
        attempts: 12_345,
        caching: Caching {
            assumptions: vec![text.into()],
            all: Cached { customer: String::new(), ..cached.clone() },
            customers: vec![cached.clone(), Cached { refused: Some(text.into()), ..cached }],
            more_customers: 2,
        },
        routing: Routing {
            assumptions: vec![text.into()],
            candidates: vec![model],
            routes: vec![
                routed.clone(),
                Routed { refused: Some(text.into()), cheaper: Vec::new(), ..routed },
            ],
            more_attempts: 9,
        },
        distillation: Some(Distillation {
            assumptions: vec![text.into()],
            attempts: 12_000,
            left_out: 345,
            cost_nanos: 1,
            currency: "USD".into(),
            attempts_a_month: 12_000,
            break_even: Some(25_000),
            month_nanos: Some(-1_500_000_000),
            refused: None,
        }),
    }
}

#[test]
fn the_levers_say_what_they_rest_on() {
    assert!(levers(None).unwrap().contains("not computed yet"));
    assert_escaped(&levers(Some(&all_of(HOSTILE))).unwrap());
    let shown = all_of("some-text");
    let html = levers(Some(&shown)).unwrap();
    for text in [
        "As of 2026-10-12 08:31:01",
        "a floor, not a forecast",
        "0.0000 EUR, 1,234.5000 USD",
        "It says nothing about success",
        "some-text/some-text",
        "40.0 % (30.9 % to 49.8 %, of 100)",
        "0.2500 USD",
        "from <strong>25,000</strong> attempts a month",
        "-1.50 USD",
        "2 more are in the sum",
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let mut never = shown.clone();
    if let Some(distillation) = &mut never.distillation {
        distillation.break_even = None;
    }
    assert!(levers(Some(&never)).unwrap().contains("never pays"));
    let text = levers_text(&shown);
    for line in [
        "CACHING: a floor, not a forecast",
        "150 repeats of 7 prompts; at least 0.000000001 EUR, 1234.50 USD, and the unknown cost of 3 would have been saved",
        "on some-text/some-text: 0.25 USD instead of 2.50 USD for 1500 attempts; success 40.0 %",
        "pays from 25000 attempts a month; today there are 12000",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // As it is kept.
    let json = serde_json::to_string(&shown).unwrap();
    assert_eq!(serde_json::from_str::<Levers>(&json).unwrap(), shown);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("levers.html"), html.replace("/style.css", "style.css")).unwrap();
}
