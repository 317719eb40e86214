//! What is sent: the cases, all that is said of them, and when it arrives.

use crate::{CUT, START};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use verdict_oracle::{
    Attempt, Cadence, DAY, Door, HOUR, Kind, MINUTE, Plan, Resolution, Rule, Strength, Traffic, generate,
};
use verdict_tests::service::{Delivery, WEBHOOK_SECRET};

pub const CASES: usize = 20_000;
pub const DELIVERIES: usize = 100_000;
/// A fifth of all comes again.
pub const DISTINCT: usize = DELIVERIES - DELIVERIES / 5;
/// How many attempts are recorded in one request.
const TOGETHER: usize = 250;

const OTHER_SECRET: &str = "whsec_YW5vdGhlciBzb3VyY2UsIGFub3RoZXIgc2VjcmV0ICE=";
const TOKEN: &str = "a token that is no signature";
const DESK: Door = Door::Source("desk");
const FORM: Door = Door::Source("form");

/// The sources. How old a signature may be is told in wall time; here weeks pass in a minute.
pub fn config() -> String {
    format!(
        "[[sources]]\nname = \"support\"\nsecrets = [\"{WEBHOOK_SECRET}\"]\ntolerance = \"off\"\n\
         [[sources]]\nname = \"desk\"\nsecrets = [\"{OTHER_SECRET}\"]\ntolerance = \"off\"\n\
         [[sources]]\nname = \"form\"\nplatform = \"standard\"\nscheme = \"shared-token\"\nsecrets = [\"{TOKEN}\"]\n"
    )
}

/// A resolution as its source sends it.
pub fn delivery(resolution: &Resolution) -> Delivery {
    let (id, body) = (resolution.id.as_str(), resolution.to_webhook_body().to_string());
    match resolution.door {
        Door::Webhook => Delivery::signed("support", WEBHOOK_SECRET, id, body, resolution.occurred_at),
        DESK => Delivery::signed("desk", OTHER_SECRET, id, body, resolution.occurred_at),
        FORM => {
            let headers = vec![("webhook-id", id.into()), ("x-outcome-secret", TOKEN.into())];
            Delivery { source: "form", headers, body }
        }
        door => panic!("{door:?} is no webhook"),
    }
}

/// Cases that begin within ten days, and four resolutions for each on average: the oracle's stories, and what else people
/// and platforms say. All contracts together use every field of the rule.
pub fn traffic(seed: u64) -> Traffic {
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan { seed, events: 4 * CASES, start: START, days: 10, customers: 8 };
    let mut traffic = generate(&plan);
    // A week would be over before all of its facts are in, and its invoice would depend on which are.
    for contract in traffic.contracts.iter_mut().filter(|contract| contract.period == Cadence::Weekly) {
        contract.period = Cadence::Monthly;
    }
    traffic.attempts.retain(|attempt| attempt.ended_at <= CUT);
    traffic.resolutions.retain(|resolution| resolution.occurred_at <= CUT);
    keep_cases(&mut traffic, &mut random);

    let rules: BTreeMap<&str, &Rule> =
        traffic.contracts.iter().map(|contract| (contract.customer.as_str(), &contract.rule)).collect();
    while traffic.resolutions.len() < DISTINCT {
        let attempt = traffic.attempts.choose(&mut random).unwrap();
        traffic.resolutions.extend(said_of(attempt, rules[attempt.customer.as_str()], &mut random));
    }
    name(&mut traffic.resolutions, &mut random);
    traffic
}

/// Leaves out all but so many of the cases.
fn keep_cases(traffic: &mut Traffic, random: &mut StdRng) {
    let of_attempts = traffic.attempts.iter().map(|attempt| (&attempt.customer, &attempt.case));
    let of_resolutions =
        traffic.resolutions.iter().map(|resolution| (&resolution.customer, &resolution.case));
    let cases: BTreeSet<_> = of_attempts.chain(of_resolutions).collect();
    let mut cases: Vec<(String, String)> = cases.into_iter().map(|(a, b)| (a.clone(), b.clone())).collect();
    assert!(cases.len() >= CASES, "only {} cases were told", cases.len());
    cases.shuffle(random);
    let kept: BTreeSet<(String, String)> = cases.into_iter().take(CASES).collect();
    let is_kept = |customer: &String, case: &String| kept.contains(&(customer.clone(), case.clone()));
    traffic.attempts.retain(|attempt| is_kept(&attempt.customer, &attempt.case));
    traffic.resolutions.retain(|resolution| is_kept(&resolution.customer, &resolution.case));
}

/// Something about a case, some time after one of its attempts: often at the very end of a timer, or beside it. None if
/// that is after all is told.
fn said_of(attempt: &Attempt, rule: &Rule, random: &mut StdRng) -> Option<Resolution> {
    let kind = match random.random_range(0..100) {
        0..28 => Kind::Message,
        28..52 => Kind::Acknowledged,
        52..67 => Kind::Rated,
        67..77 => Kind::Confirmed,
        77..88 => Kind::Assumed,
        88..92 => Kind::Reopened,
        92..95 => Kind::Escalated,
        95..98 => Kind::Failed,
        _ => Kind::Disputed,
    };
    let off = random.random_range(-1..=1);
    let after = match random.random_range(0..8) {
        0 => rule.silence_window + off,
        1 => rule.confirmed_settles_after + off,
        2 => 0,
        3..6 => random.random_range(MINUTE..DAY),
        _ => random.random_range(HOUR..8 * DAY),
    };
    let occurred_at = attempt.ended_at + after;
    // People who answer at all are rather content.
    let mut score = || random.random_range(1..=5).max(random.random_range(1..=5));
    (occurred_at <= CUT).then(|| Resolution {
        id: String::new(),
        customer: attempt.customer.clone(),
        case: attempt.case.clone(),
        kind,
        occurred_at,
        reason: None,
        score: (kind == Kind::Rated).then(&mut score),
        value: None,
        about: None,
        strength: Strength::Signed,
        door: Door::Webhook,
    })
}

/// Gives each resolution a source and an id there. Sources count for themselves: they use the same ids.
fn name(resolutions: &mut [Resolution], random: &mut StdRng) {
    resolutions.shuffle(random);
    let mut counts: BTreeMap<Door, u32> = BTreeMap::new();
    for resolution in resolutions {
        resolution.door = match random.random_range(0..10) {
            0..5 => Door::Webhook,
            5..8 => DESK,
            _ => FORM,
        };
        resolution.strength = if resolution.door == FORM { Strength::Token } else { Strength::Signed };
        let count = counts.entry(resolution.door).or_default();
        *count += 1;
        resolution.id = format!("msg-{count:06}");
    }
}

/// Something on its way to the service.
pub struct Mail {
    /// When the last of it occurred.
    pub occurred_at: i64,
    /// When it gets there.
    pub arrives_at: i64,
    pub what: What,
}

pub enum What {
    Attempts(Value),
    Resolution(Resolution),
}

/// Everything in the order in which it arrives. Nothing arrives before it has occurred; apart from that, resolutions
/// arrive whenever it may be, and so do a quarter of the attempts. A fifth of all deliveries is one that came before, or
/// comes once more after.
pub fn mail(traffic: &Traffic, seed: u64) -> Vec<Mail> {
    let mut random = StdRng::seed_from_u64(seed + 1);
    let mut attempts: Vec<(i64, &Attempt)> = (traffic.attempts.iter())
        .map(|attempt| {
            let latest = if random.random_ratio(1, 4) { CUT } else { CUT.min(attempt.ended_at + HOUR) };
            (random.random_range(attempt.ended_at..=latest), attempt)
        })
        .collect();
    attempts.sort_by_key(|(arrives_at, _)| *arrives_at);
    let together = |attempts: &[(i64, &Attempt)]| {
        let events = attempts.iter().map(|(_, attempt)| attempt.to_json()).collect();
        let last = attempts[attempts.len() - 1].0;
        Mail { occurred_at: last, arrives_at: last, what: What::Attempts(Value::Array(events)) }
    };
    let mut mail: Vec<Mail> = attempts.chunks(TOGETHER).map(together).collect();
    let again = traffic.resolutions.sample(&mut random, DELIVERIES - DISTINCT);
    for resolution in traffic.resolutions.iter().chain(again) {
        let occurred_at = resolution.occurred_at;
        let arrives_at = random.random_range(occurred_at..=CUT);
        mail.push(Mail { occurred_at, arrives_at, what: What::Resolution(resolution.clone()) });
    }
    mail.sort_by_key(|mail| mail.arrives_at);
    mail
}
