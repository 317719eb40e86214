//! The arithmetic, on histories made by hand.

use super::caching::{Walk, verified_at};
use super::distillation::{Today, break_even};
use super::*;
use verdict_domain::attempt::Status;
use verdict_domain::money::Currency;
use verdict_store::levers::{Asked, Used};

fn dollars(nanos: i64) -> Money {
    Money { nanos, currency: Currency::USD }
}

fn asked(prompt: &str, case: &str, status: Status, at: i64, nanos: Option<i64>) -> Asked {
    Asked {
        prompt: ("agent".into(), "action".into(), prompt.into()),
        id: format!("{case}-{at}"),
        case: case.into(),
        status,
        started_at: Timestamp(at),
        model_nanos: nanos,
        currency: "USD".into(),
    }
}

/// Counts a history in pages of a size; `verified` names the attempts whose answers are, and since when.
fn counted(history: &[Asked], size: usize, verified: &[(&str, i64)]) -> Cached {
    let (mut walk, mut cached) = (Walk::default(), Cached::default());
    for page in history.chunks(size) {
        let since = |nth: usize| {
            verified.iter().find(|(id, _)| *id == page[nth].id).map(|(_, since)| Timestamp(*since))
        };
        let firsts = walk.first_answers(page).into_iter().map(|nth| (nth, since(nth))).collect();
        walk.count(page, &firsts, &mut cached).unwrap();
    }
    cached
}

#[test]
fn repeats_count_from_when_the_first_answer_is_verified() {
    use Status::{Answered, Failed, Replied};
    let history = [
        // A time-out is no answer: the first one is the second attempt, which is verified at 100.
        asked("p", "a", Failed, 1, Some(1)),
        asked("p", "a", Answered, 2, Some(2)),
        asked("p", "b", Answered, 99, Some(4)),
        asked("p", "c", Answered, 100, Some(8)),
        asked("p", "d", Failed, 101, None),
        asked("p", "a", Answered, 102, Some(16)),
        asked("p", "e", Replied, 103, Some(32)),
        // The first answer was not verified; a later one is, which is of no use.
        asked("q", "f", Answered, 1, Some(64)),
        asked("q", "g", Answered, 2, Some(64)),
        asked("q", "h", Answered, 200, Some(64)),
        // Nobody answered.
        asked("r", "i", Failed, 1, Some(64)),
        asked("r", "j", Failed, 200, Some(64)),
    ];
    let verified = [("a-2", 100), ("g-2", 3)];
    let whole = counted(&history, 100, &verified);
    assert_eq!((whole.prompts, whole.repeats, whole.unknown_costs), (1, 3, 1));
    assert_eq!(whole.saved_nanos, BTreeMap::from([("USD".to_string(), 8 + 32)]));
    for size in 1..history.len() {
        assert_eq!(counted(&history, size, &verified), whole, "in pages of {size}");
    }
    assert_eq!(counted(&history, 100, &[]), Cached::default());
}

#[test]
fn currencies_are_not_added() {
    let mut history = [
        asked("p", "a", Status::Answered, 1, Some(1)),
        asked("p", "b", Status::Answered, 10, Some(2)),
        asked("p", "c", Status::Answered, 10, Some(4)),
    ];
    history[2].currency = "EUR".into();
    let counted = counted(&history, 2, &[("a-1", 5)]);
    assert_eq!(counted.saved_nanos, BTreeMap::from([("EUR".to_string(), 4), ("USD".to_string(), 2)]));
}

#[test]
fn only_the_answer_of_a_confirmed_episode_is_verified() {
    let held = |verdict: &str| {
        format!(
            r#"[{{"name":"start","verdict":"failed","because":["attempt:other"]}},
                {{"name":"again","verdict":"{verdict}","decided_at":"2026-10-01T00:00:00Z","because":["attempt:a","r-1"]}}]"#
        )
    };
    let at = Timestamp::parse("2026-10-01T00:00:00Z");
    assert_eq!(verified_at(&held("confirmed"), "a").unwrap(), at);
    for verdict in ["assumed", "failed", "void", "pending"] {
        assert_eq!(verified_at(&held(verdict), "a").unwrap(), None, "{verdict}");
    }
    assert_eq!(verified_at(&held("confirmed"), "r-1").unwrap(), None);
    assert_eq!(verified_at(&held("confirmed"), "other").unwrap(), None);
    assert!(verified_at("{", "a").is_err());
}

#[test]
fn few_are_refused_and_told_how_many_are_missing() {
    let of = |customer: &str, with_fingerprint: i64, repeats: i64| Cached {
        customer: customer.into(),
        attempts: 2_000,
        with_fingerprint,
        prompts: repeats.min(1),
        repeats,
        unknown_costs: 0,
        saved_nanos: BTreeMap::from([("USD".to_string(), repeats)]),
        refused: None,
    };
    let mut caches = Caches::default();
    for cached in [of("few", 999, 100), of("rare", 1_000, 99), of("enough", 1_000, 100)] {
        caches.add(cached).unwrap();
    }
    let caching = caches.caching();
    let told: Vec<(&str, Option<&str>, usize)> = caching
        .customers
        .iter()
        .map(|cached| (cached.customer.as_str(), cached.refused.as_deref(), cached.saved_nanos.len()))
        .collect();
    assert_eq!(
        told,
        [
            ("enough", None, 1),
            ("few", Some("too few to say: 999 attempts with a fingerprint, 1 are missing"), 0),
            ("rare", Some("too few to say: 99 repeats, 1 are missing"), 0),
        ]
    );
    assert_eq!((caching.all.repeats, caching.all.saved_nanos.get("USD")), (299, Some(&299)));
    let mut caches = Caches::default();
    for nth in 0..103 {
        caches.add(of(&format!("c-{nth}"), 1_000, nth)).unwrap();
    }
    let caching = caches.caching();
    assert_eq!((caching.customers.len(), caching.more_customers), (100, 3));
    assert_eq!(caching.all.repeats, (0..103).sum::<i64>(), "those that are not listed are in the sum");
    let mut caches = Caches::default();
    caches.add(of("a", i64::MAX, 1)).unwrap();
    assert!(caches.add(of("b", 1, 1)).is_err());
}

fn used(model: &str, input: Option<i64>) -> Used {
    Used {
        provider: "p".into(),
        model: model.into(),
        action: "solve".into(),
        usage: Usage { input, output: Some(0), ..Usage::default() },
        ended_at: Timestamp(0),
        has_fingerprint: false,
    }
}

fn model(name: &str) -> Model {
    Model { provider: "p".into(), model: name.into() }
}

/// So many nanos a token; what is `new` has a price in euros, and for up to ten tokens only.
fn price(_: &str, model: &str, _: Timestamp, usage: &Usage) -> Option<Money> {
    let rate = match model {
        "large" => 10,
        "small" => 1,
        "dear" => 100,
        "new" if usage.input? <= 10 => return Some(Money { nanos: 0, currency: Currency::EUR }),
        _ => return None,
    };
    Some(dollars(usage.input? * rate))
}

#[test]
fn the_same_tokens_are_repriced() {
    let mut routes = Routes::new(["large", "small", "dear", "new", "unknown"].map(model).to_vec());
    for _ in 0..1_000 {
        routes.add(&used("large", Some(7)), &price).unwrap();
    }
    routes.add(&used("large", None), &price).unwrap();
    for _ in 0..999 {
        routes.add(&used("dear", Some(1)), &price).unwrap();
    }
    routes.add(&used("unknown", Some(1)), &price).unwrap();
    let rate = crate::rate::Rate::of(90, 100);
    let success = [(("solve".to_string(), "small".to_string()), rate.unwrap())].into();
    let routing = routes.routing(&success);
    let large = &routing.routes[0];
    assert_eq!(
        (large.attempts, large.without_tokens, large.without_price, large.success),
        (1_001, 1, 0, None)
    );
    let cheaper: Vec<(&str, i64, i64, i64)> = large
        .cheaper
        .iter()
        .map(|other| (other.model.model.as_str(), other.attempts, other.now_nanos, other.then_nanos))
        .collect();
    assert_eq!(cheaper, [("small", 1_000, 70_000, 7_000)], "neither itself, nor dearer, nor other money");
    assert_eq!(large.cheaper[0].success, rate);
    let dear = &routing.routes[1];
    assert_eq!(
        dear.refused.as_deref(),
        Some("too few to say: 999 attempts with known tokens and a price, 1 are missing")
    );
    assert!(dear.cheaper.is_empty());
    assert_eq!((routing.routes[2].without_price, routing.routes[2].cheaper.len()), (1, 0));
}

#[test]
fn models_are_read_by_provider_and_name() {
    assert_eq!(Model::parse("p/small"), Ok(model("small")));
    assert_eq!(Model::parse("together/meta/llama").map(|model| model.model), Ok("meta/llama".into()));
    for bad in ["", "small", "/small", "p/"] {
        assert!(Model::parse(bad).is_err(), "{bad}");
    }
}

fn assumed(monthly: i64, per_attempt: i64, success_permille: i64) -> Assumed {
    Assumed {
        monthly: dollars(monthly),
        per_attempt: dollars(per_attempt),
        success_permille,
        model: None,
        action: None,
    }
}

#[test]
fn the_break_even_is_where_it_begins_to_pay() {
    // 2,000 attempts in 15 days at 100 nanos each: 4,000 a month.
    let today = Today { attempts: 2_000, left_out: 5, cost_nanos: 200_000, days: 15 };
    let of = |assumed: &Assumed| break_even(today, assumed).unwrap();
    // All of them as well, at 60: 40 saved each, so 1,000,000 pays from 25,000 on.
    let said = of(&assumed(1_000_000, 60, 1_000));
    assert_eq!((said.break_even, said.attempts_a_month), (Some(25_000), 4_000));
    assert_eq!(said.month_nanos, Some(1_000_000 - 4_000 * 40));
    // One nano more a month, and one attempt more is needed.
    assert_eq!(of(&assumed(1_000_001, 60, 1_000)).break_even, Some(25_001));
    // 80 % of them: 80 − 60 saved each.
    let said = of(&assumed(40_000, 60, 800));
    assert_eq!((said.break_even, said.month_nanos), (Some(2_000), Some(40_000 - 4_000 * 20)));
    // As dear as what it saves, or dearer: never.
    for never in [assumed(1, 80, 800), assumed(1, 200, 800), assumed(1, 0, 0)] {
        assert_eq!(of(&never).break_even, None);
    }
    assert_eq!(of(&assumed(0, 0, 1_000)).break_even, Some(0));
    let few = break_even(Today { attempts: 999, ..today }, &assumed(1, 1, 1_000)).unwrap();
    assert_eq!((few.break_even, few.month_nanos), (None, None));
    assert_eq!(
        few.refused.as_deref(),
        Some("too few to say: 999 attempts whose cost is known, 1 are missing")
    );
    let none = break_even(Today::default(), &assumed(1, 1, 1_000)).unwrap();
    assert!(none.refused.is_some());
    let greatest = Today { attempts: i64::MAX, left_out: 0, cost_nanos: i64::MAX, days: 1 };
    assert!(break_even(greatest, &assumed(i64::MAX, i64::MAX, 1_000)).is_none(), "refused, not wrapped");
}
