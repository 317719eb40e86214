//! Cases worked by hand from the text of the rules.

mod billing;
mod fields;
mod generator;
mod pricing;
mod reports;
mod verdicts;

use crate::*;
use std::collections::BTreeMap;

/// 2026-09-01T00:00:00Z, when the contract of [`acme`] becomes effective.
const T: i64 = 1_788_220_800_000_000;

/// A time that many hours after `T`.
fn h(hours: i64) -> i64 {
    T + hours * HOUR
}

fn contract(rule: Rule) -> Contract {
    Contract {
        customer: "acme".into(),
        version: 1,
        effective_from: T,
        currency: "EUR".into(),
        time_zone: "Europe/Berlin".into(),
        grace_hours: 72,
        bill_to_name: "Acme GmbH".into(),
        bill_to_email: "billing@acme.example".into(),
        prices: vec![ContractPrice {
            action: "support.resolution".into(),
            amount: Some("0.99".into()),
            assumed_amount: Some("0.79".into()),
            ..ContractPrice::default()
        }],
        rule,
        ..Contract::default()
    }
}

/// Traffic of one case, `acme`'s `c1`, under the given rule.
fn acme(rule: Rule) -> Traffic {
    Traffic { contracts: vec![contract(rule)], ..Traffic::default() }
}

impl Traffic {
    fn attempt(mut self, id: &str, at: i64, status: Status) -> Self {
        self.attempts.push(Attempt {
            id: id.into(),
            customer: "acme".into(),
            case: "c1".into(),
            agent: format!("agent of {id}"),
            action: "support.resolution".into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            usage: None,
            reported_cost: Some(Amount { amount: "0.01".into(), currency: "USD".into() }),
            other_costs: Vec::new(),
            value: None,
            started_at: at - SECOND,
            ended_at: at,
            status,
            failure_reason: None,
            failure_detail: None,
            prompt_fingerprint: None,
            metadata: BTreeMap::new(),
        });
        self
    }

    fn answered(self, id: &str, at: i64) -> Self {
        self.attempt(id, at, Status::Answered)
    }

    fn failed(self, id: &str, at: i64) -> Self {
        self.attempt(id, at, Status::Failed)
    }

    fn resolved_by(mut self, door: Door, id: &str, at: i64, kind: Kind) -> Self {
        self.resolutions.push(Resolution {
            id: id.into(),
            customer: "acme".into(),
            case: "c1".into(),
            kind,
            occurred_at: at,
            reason: None,
            score: None,
            value: None,
            about: None,
            strength: door.strength(),
            door,
        });
        self
    }

    /// A resolution through the API.
    fn resolved(self, id: &str, at: i64, kind: Kind) -> Self {
        self.resolved_by(Door::Api, id, at, kind)
    }

    /// A rating through the API.
    fn rated(self, id: &str, at: i64, score: i64) -> Self {
        let mut traffic = self.resolved(id, at, Kind::Rated);
        traffic.resolutions.last_mut().unwrap().score = Some(score);
        traffic
    }

    /// The last resolution is about this.
    fn about(mut self, about: &str) -> Self {
        self.resolutions.last_mut().unwrap().about = Some(about.into());
        self
    }

    /// The last resolution proves so much.
    fn by(mut self, strength: Strength) -> Self {
        self.resolutions.last_mut().unwrap().strength = strength;
        self
    }

    /// The last attempt works toward this action.
    fn toward(mut self, action: &str) -> Self {
        self.attempts.last_mut().unwrap().action = action.into();
        self
    }

    /// The last attempt belongs to another case.
    fn of_case(mut self, case: &str) -> Self {
        self.attempts.last_mut().unwrap().case = case.into();
        self
    }

    /// The episodes of `c1` in short, such as `start failed handoff`.
    fn verdicts(&self, now: i64) -> Vec<String> {
        let mut verdicts = Oracle::new(self, now).verdicts();
        let episodes = verdicts.remove(&("acme".into(), "c1".into())).unwrap_or_default();
        let short = |(name, verdict, reason): (String, &str, Option<&str>)| {
            format!("{name} {verdict} {}", reason.unwrap_or("")).trim_end().to_owned()
        };
        episodes.into_iter().map(short).collect()
    }

    /// The entries of `c1`: sign, kind, the hours after `T` they are effective at, and nanos.
    fn entries(&self, now: i64) -> Vec<(i8, &'static str, i64, i64)> {
        let mut postings = Oracle::new(self, now).postings();
        let postings = postings.remove(&("acme".into(), "c1".into())).unwrap_or_default();
        let short = |p: Posting| (p.sign, p.kind, (p.effective_at - T) / HOUR, p.amount_nanos);
        postings.into_iter().map(short).collect()
    }
}
