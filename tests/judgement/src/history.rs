//! Random cases.

use crate::service;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use verdict_domain::fact::{Fact, in_order};
use verdict_domain::rule::Rule;
use verdict_oracle::{
    Amount, Assumed, Attempt, Charges, Contract, ContractPrice, Door, Evidence, FollowUp, HOUR, Kind,
    NamedAmount, NegativeFeedback, Reopen, Resolution, RestartedBy, SilenceFrom, Status, Strength, Traffic,
};

/// The seed of all random cases, unless `VERDICT_SEED` names another.
pub const SEED: u64 = 20_261_122;

/// The seed of this run, printed so that a failure can be had again.
///
/// # Panics
/// If `VERDICT_SEED` is no number.
pub fn seed() -> u64 {
    let seed =
        std::env::var("VERDICT_SEED").map_or(SEED, |seed| seed.parse().expect("VERDICT_SEED: a number"));
    println!("VERDICT_SEED={seed}");
    seed
}

/// A random case under a random rule, in the oracle's words: traffic of one customer with one contract.
#[derive(Clone, Debug)]
pub struct History {
    /// The facts and the contract, `acme`'s; the case is `c1`.
    pub traffic: Traffic,
    /// When it is looked at.
    pub now: i64,
}

const ACTIONS: [&str; 2] = ["support.resolution", "refund.processed"];

impl History {
    /// The `nth` case of a seed.
    pub fn random(seed: u64, nth: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(nth));
        let mut tell = Teller { spans: Vec::new(), times: Vec::new(), random: &mut random };
        let rule = tell.rule();
        tell.spans = vec![
            rule.confirmed_settles_after,
            rule.silence_window,
            rule.silence_window + rule.reversal_horizon,
            rule.confirmed_settles_after + rule.reversal_horizon,
        ];
        let mut history =
            Self { traffic: Traffic { contracts: vec![contract(rule)], ..Traffic::default() }, now: 0 };
        // Ids out of step with time: what happens at one time is ordered by them.
        let mut ids: Vec<u32> = (10..90).collect();
        ids.shuffle(tell.random);
        let most = tell.random.random_range(1..=14);
        for id in ids.into_iter().take(most) {
            if tell.random.random_ratio(2, 5) {
                let attempt = tell.attempt(id);
                history.traffic.attempts.push(attempt);
            } else {
                let resolution = tell.resolution(id, &history.traffic.resolutions);
                history.traffic.resolutions.push(resolution);
            }
        }
        history.now = tell.time();
        if tell.random.random_ratio(1, 3) {
            history.now += 100 * HOUR;
        }
        history
    }

    /// The rule as the service reads it from the contract.
    pub fn rule(&self) -> Rule {
        service::rule(&self.traffic.contracts[0].rule)
    }

    /// The contract as the service reads it.
    ///
    /// # Panics
    /// If the service does not know a field or a value.
    pub fn contract(&self) -> verdict_domain::contract::Contract {
        serde_json::from_value(self.traffic.contracts[0].to_json()).expect("a contract")
    }

    /// The facts as the service judges them.
    pub fn facts(&self) -> Vec<Fact> {
        let attempts = self.traffic.attempts.iter().map(service::attempt_fact);
        in_order(attempts.chain(self.traffic.resolutions.iter().map(service::to_fact)).collect())
    }

    /// The same without facts that it does not take to fail the check.
    pub fn shrunk(mut self, fails: impl Fn(&Self) -> bool) -> Self {
        'smaller: loop {
            for index in 0..self.traffic.attempts.len() {
                let mut smaller = self.clone();
                smaller.traffic.attempts.remove(index);
                if fails(&smaller) {
                    self = smaller;
                    continue 'smaller;
                }
            }
            for index in 0..self.traffic.resolutions.len() {
                let mut smaller = self.clone();
                smaller.traffic.resolutions.remove(index);
                if fails(&smaller) {
                    self = smaller;
                    continue 'smaller;
                }
            }
            return self;
        }
    }

    /// The rule and the facts in order, to be read by people.
    pub fn told(&self) -> String {
        let mut lines = vec![self.traffic.contracts[0].rule.to_json().to_string()];
        for fact in self.facts() {
            let said = match (&fact.attempt(), &fact.resolution()) {
                (Some(attempt), _) => {
                    format!("{:?} toward {}, worth {:?}", attempt.status, attempt.action, attempt.value)
                }
                (_, resolution) => format!("{resolution:?}"),
            };
            lines.push(format!("{:>12.6} h  {} {said}", hours(fact.at.0), fact.id));
        }
        lines.push(format!("{:>12.6} h  now", hours(self.now)));
        lines.join("\n")
    }
}

/// Tells a history if a check of it panics.
pub struct Told<'a>(pub &'a History);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.0.told());
        }
    }
}

#[expect(clippy::float_arithmetic, reason = "to be read by people")]
fn hours(micros: i64) -> f64 {
    (micros as f64) / (HOUR as f64)
}

fn contract(rule: verdict_oracle::Rule) -> Contract {
    let flat = ContractPrice {
        action: ACTIONS[0].into(),
        amount: Some("0.99".into()),
        assumed_amount: Some("0.79".into()),
        ..ContractPrice::default()
    };
    let by_share = ContractPrice {
        action: ACTIONS[1].into(),
        share: Some("12.5".into()),
        at_least: Some("1".into()),
        at_most: Some("50".into()),
        ..ContractPrice::default()
    };
    Contract {
        customer: "acme".into(),
        version: 1,
        effective_from: -1_000 * HOUR,
        currency: "USD".into(),
        time_zone: "UTC".into(),
        grace_hours: 72,
        bill_to_name: "Acme GmbH".into(),
        bill_to_email: "billing@acme.example".into(),
        prices: vec![flat, by_share],
        rule,
        ..Contract::default()
    }
}

/// Draws what happens, and when: at times so close to each other, and to the bounds of the rule, that each
/// comparison of two times is often one of equals.
struct Teller<'a> {
    spans: Vec<i64>,
    times: Vec<i64>,
    random: &'a mut Xoshiro256PlusPlus,
}

impl Teller<'_> {
    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(self.random).expect("some")
    }

    fn rule(&mut self) -> verdict_oracle::Rule {
        verdict_oracle::Rule {
            confirmed_settles_after: self.one(&[0, 1, 2, 3, 6]) * HOUR,
            assumed: self.one(&[Assumed::Silence, Assumed::Silence, Assumed::Platform, Assumed::Never]),
            silence_window: self.one(&[0, 1, 3, 4, 8]) * HOUR,
            silence_from: self.one(&[SilenceFrom::LastActivity, SilenceFrom::FirstActivity]),
            restarted_by: self.one(&[RestartedBy::Answers, RestartedBy::Messages, RestartedBy::Everything]),
            follow_up: self.one(&[FollowUp::Waits, FollowUp::Unresolved]),
            negative_feedback: self.one(&[NegativeFeedback::Refuses, NegativeFeedback::Holds]),
            low_score: self.one(&[None, Some(2), Some(3)]),
            planned_handoffs: match self.random.random_range(0..3) {
                0 => Vec::new(),
                1 => vec![ACTIONS[1].into()],
                _ => ACTIONS.map(String::from).into(),
            },
            evidence: self.one(&[Evidence::Any, Evidence::Platform]),
            reopen: self.one(&[Reopen::Void, Reopen::Keep]),
            charges: self.one(&[Charges::EachEpisode, Charges::OnceACase]),
            reversal_horizon: self.one(&[0, 1, 5, 20]) * HOUR,
            dispute_window: 30 * 24 * HOUR,
        }
    }

    /// On the hour, or a bound away from what happened before; at times just beside it.
    fn time(&mut self) -> i64 {
        let off = self.one(&[0, 0, 0, 0, -1, 1]);
        let at = match self.times.choose(self.random) {
            Some(earlier) if self.random.random_ratio(1, 2) => {
                *earlier + self.spans.choose(self.random).expect("some")
            }
            _ => self.random.random_range(0..24) * HOUR,
        };
        self.times.push(at + off);
        at + off
    }

    /// What the outcome is worth, if that is told: few different values, so that two facts often tell the same.
    fn value(&mut self) -> Option<Amount> {
        let amount = self.one(&[None, None, Some("0"), Some("3.999999999"), Some("17.5"), Some("999")])?;
        let currency = self.one(&["USD", "USD", "USD", "EUR"]);
        Some(Amount { amount: amount.into(), currency: currency.into() })
    }

    fn attempt(&mut self, id: u32) -> Attempt {
        let ended_at = self.time();
        let status = match self.random.random_range(0..12) {
            0 => Status::HandedOff,
            1..3 => Status::Replied,
            3..5 => Status::Failed,
            _ => Status::Answered,
        };
        let known = self.random.random_ratio(3, 4);
        let amount = format!("0.{:04}", self.random.random_range(0..1_000));
        Attempt {
            id: id.to_string(),
            customer: "acme".into(),
            case: "c1".into(),
            agent: self.one(&["support-bot", "refund-bot"]).into(),
            action: self.one(&ACTIONS).into(),
            provider: if id.is_multiple_of(2) { "acme-ai" } else { "birch-ai" }.into(),
            model: self.one(&["house-model-1", "house-model-2"]).into(),
            usage: None,
            reported_cost: known.then(|| Amount { amount, currency: "USD".into() }),
            other_costs: match id % 3 {
                0 => vec![NamedAmount {
                    name: "voice".into(),
                    amount: format!("0.00{id:02}00001"),
                    currency: "USD".into(),
                }],
                _ => Vec::new(),
            },
            value: self.value(),
            started_at: ended_at,
            ended_at,
            status,
            failure_reason: (status == Status::Failed).then(|| self.one(&["timeout", "tool_error"]).into()),
            failure_detail: None,
            prompt_fingerprint: None,
            metadata: BTreeMap::new(),
        }
    }

    fn resolution(&mut self, id: u32, before: &[Resolution]) -> Resolution {
        let kind = match self.random.random_range(0..32) {
            0..6 => Kind::Confirmed,
            6..10 => Kind::Assumed,
            10 => Kind::Escalated,
            11..15 => Kind::Reopened,
            15 => Kind::Failed,
            16..20 => Kind::Message,
            20..22 => Kind::Acknowledged,
            22..25 => Kind::Rated,
            25..28 => Kind::Disputed,
            28..31 => Kind::DisputeAccepted,
            _ => Kind::DisputeRejected,
        };
        let mut ids = |kind| -> Vec<String> {
            let of_kind = before.iter().filter(|resolution| resolution.kind == kind);
            // At times nothing, or something there is not.
            let ids = of_kind.map(Resolution::fact_id).chain(["start".into(), "api:0".into()]);
            ids.collect::<Vec<_>>().choose(self.random).cloned().into_iter().collect()
        };
        let about = match kind {
            Kind::Disputed => ids(Kind::Reopened).pop().filter(|_| self.random.random_ratio(1, 2)),
            Kind::DisputeAccepted | Kind::DisputeRejected => ids(Kind::Disputed).pop(),
            _ => None,
        };
        let speaks_for_a_win = matches!(kind, Kind::Confirmed | Kind::Assumed);
        let value = if speaks_for_a_win { self.value() } else { None };
        Resolution {
            value,
            id: id.to_string(),
            customer: "acme".into(),
            case: "c1".into(),
            kind,
            occurred_at: self.time(),
            reason: None,
            score: (kind == Kind::Rated && self.random.random_ratio(9, 10))
                .then(|| self.random.random_range(1..=5)),
            about,
            strength: self.one(&[
                Strength::Signed,
                Strength::Signed,
                Strength::Fetched,
                Strength::Token,
                Strength::Api,
                Strength::Operator,
            ]),
            door: self.one(&[Door::Webhook, Door::Api]),
        }
    }
}
