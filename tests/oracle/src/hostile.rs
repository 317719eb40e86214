//! What queues do to good messages, and what bad messages look like.

use crate::generate::Random;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// All items in some order, about so many in a hundred of them twice.
pub fn shuffle_and_duplicate<T: Clone>(items: &[T], seed: u64, duplicates_percent: u32) -> Vec<T> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut all = items.to_vec();
    for item in items {
        if random.random_ratio(duplicates_percent, 100) {
            all.push(item.clone());
        }
    }
    all.shuffle(&mut random);
    all
}

/// `n` distinct bodies of which none is an attempt.
pub fn malformed(seed: u64, n: usize) -> Vec<Vec<u8>> {
    let mut random = Random::seed_from_u64(seed);
    let spoilers = spoilers();
    let mut seen = BTreeSet::new();
    let mut bodies = Vec::new();
    for turn in 0.. {
        if bodies.len() >= n {
            break;
        }
        let mut event = well_formed(&mut random);
        // Every other body is broken as a document, the rest are sound JSON with one bad field.
        let body = if turn % 2 == 0 {
            broken(&mut random, turn / 2, &event)
        } else {
            spoilers[turn / 2 % spoilers.len()].spoil(&mut event);
            event.to_string().into_bytes()
        };
        if seen.insert(body.clone()) {
            bodies.push(body);
        }
    }
    bodies
}

/// An attempt with every field present, acceptable but for what is done to it next.
pub(crate) fn well_formed(random: &mut Random) -> Value {
    let tag: u64 = random.random();
    json!({
        "id": format!("bad-{tag:016x}"),
        "customer": "acme",
        "case": format!("bad-case-{tag:016x}"),
        "agent": "support-bot",
        "action": "support.resolution",
        "provider": "openai",
        "model": "gpt-4o",
        "usage": { "input_tokens": 900, "cached_input_tokens": 100, "cache_write_tokens": 1,
            "output_tokens": 80, "reasoning_tokens": 8 },
        "reported_cost": { "amount": "0.0123", "currency": "USD" },
        "other_costs": [{ "name": "voice", "amount": "0.004", "currency": "USD" }],
        "started_at": "2026-09-02T08:00:00.000000Z",
        "ended_at": "2026-09-02T08:00:09.000000Z",
        "status": "failed",
        "failure_reason": "timeout",
        "failure_detail": "no answer in time",
        "prompt_fingerprint": "5eed",
        "metadata": { "channel": "chat" },
    })
}

/// Not a JSON document, or not one that is an object.
fn broken(random: &mut Random, way: usize, event: &Value) -> Vec<u8> {
    let text = event.to_string();
    let mut body = text.clone().into_bytes();
    match way % 8 {
        0 => body.truncate(random.random_range(0..text.len())),
        1 => {
            let place = text.find("bad-").expect("an id");
            body[place] = 0xff;
        }
        2 => body.extend(b"}"),
        3 => body = vec![b'['; random.random_range(1..100_000)],
        4 => {
            // An overlong first byte: no text, and no protobuf field either.
            body = (0..random.random_range(1..64)).map(|_| random.random()).collect();
            body.insert(0, 0xff);
        }
        5 => body = text.replace('"', "'").into_bytes(),
        6 => body = json!(text).to_string().into_bytes(),
        // Comes once: a second one is no distinct body.
        _ => body.clear(),
    }
    body
}

/// What makes a well-formed event unacceptable.
enum Spoiler {
    Remove(&'static str),
    Set(&'static str, Value),
}

impl Spoiler {
    fn spoil(&self, event: &mut Value) {
        match self {
            Self::Remove(field) => {
                event.as_object_mut().expect("an object").remove(*field).expect("the field");
            }
            Self::Set(pointer, value) => *event.pointer_mut(pointer).expect("the field") = value.clone(),
        }
    }
}

fn spoilers() -> Vec<Spoiler> {
    let mut spoilers = Vec::new();
    let texts = [
        ("id", "/id", 128),
        ("customer", "/customer", 128),
        ("case", "/case", 128),
        ("agent", "/agent", 64),
        ("action", "/action", 64),
        ("provider", "/provider", 64),
        ("model", "/model", 128),
    ];
    for (field, pointer, longest) in texts {
        let too_long = json!("x".repeat(longest + 1));
        spoilers.push(Spoiler::Remove(field));
        for value in [json!(null), json!(""), json!(17), json!({}), json!("a\u{0}b"), too_long] {
            spoilers.push(Spoiler::Set(pointer, value));
        }
    }
    spoilers.extend(["started_at", "ended_at", "status"].map(Spoiler::Remove));
    for pointer in ["/started_at", "/ended_at"] {
        for value in [json!(null), json!("yesterday"), json!("2026-13-01T00:00:00Z"), json!(""), json!([])] {
            spoilers.push(Spoiler::Set(pointer, value));
        }
    }
    for pointer in ["/usage/input_tokens", "/usage/output_tokens", "/usage/cached_input_tokens"] {
        for value in [json!(-1), json!(1.5), json!("many"), json!(1_000_000_001), json!(u64::MAX)] {
            spoilers.push(Spoiler::Set(pointer, value));
        }
    }
    for pointer in ["/reported_cost/amount", "/other_costs/0/amount"] {
        let nineteen_decimals = json!("0.0000000000000000001");
        for value in [json!(0.5), json!("-1"), json!("abc"), json!(""), json!("100000"), nineteen_decimals] {
            spoilers.push(Spoiler::Set(pointer, value));
        }
    }
    for pointer in ["/reported_cost/currency", "/other_costs/0/currency"] {
        for value in [json!("DOLLARS"), json!("U$"), json!(""), json!(840), json!("EURO")] {
            spoilers.push(Spoiler::Set(pointer, value));
        }
    }
    let cost = json!({ "name": "voice", "amount": "0.004", "currency": "USD" });
    let many: serde_json::Map<String, Value> = (0..33).map(|n| (n.to_string(), json!("v"))).collect();
    spoilers.extend([
        Spoiler::Set("/ended_at", json!("2026-09-02T07:59:59.999999Z")),
        Spoiler::Set("/status", json!("solved")),
        Spoiler::Set("/status", json!(7)),
        Spoiler::Set("/status", json!(null)),
        // A failure reason without a failure.
        Spoiler::Set("/status", json!("answered")),
        Spoiler::Set("/failure_reason", json!("bored")),
        Spoiler::Set("/failure_detail", json!("x".repeat(513))),
        Spoiler::Set("/prompt_fingerprint", json!("x".repeat(129))),
        Spoiler::Set("/usage", json!("lots")),
        Spoiler::Set("/reported_cost", json!(0.5)),
        Spoiler::Set("/reported_cost", json!({ "amount": "0.5" })),
        Spoiler::Set("/other_costs", json!({})),
        Spoiler::Set("/other_costs", json!(vec![cost; 17])),
        Spoiler::Set("/other_costs/0/name", json!("")),
        Spoiler::Set("/other_costs/0/name", json!("x".repeat(65))),
        // Not the currency of the inference cost.
        Spoiler::Set("/other_costs/0/currency", json!("EUR")),
        Spoiler::Set("/metadata", json!(["channel"])),
        Spoiler::Set("/metadata", json!(many)),
        Spoiler::Set("/metadata", json!({ "x".repeat(65): "v" })),
        Spoiler::Set("/metadata/channel", json!("x".repeat(513))),
    ]);
    spoilers
}
