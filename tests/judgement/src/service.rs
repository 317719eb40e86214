//! The oracle's words in the service's.

use serde::Serialize;
use serde::de::DeserializeOwned;
use verdict_domain::attempt::Cost;
use verdict_domain::fact::{AttemptFact, Fact, ResolutionFact, Said};
use verdict_domain::judge::{Judgement, judge};
use verdict_domain::ledger::{EntryKind, Row, difference, entries};
use verdict_domain::money::{self, Currency, Money};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_oracle::{Amount, Attempt, Resolution, cost, other_costs};

/// The rule as the service reads it from a contract.
///
/// # Panics
/// If the service does not know a field or a value.
pub fn rule(rule: &verdict_oracle::Rule) -> Rule {
    serde_json::from_value(rule.to_json()).expect("a rule")
}

/// The value of the same name.
fn same<T: DeserializeOwned>(value: impl Serialize) -> T {
    serde_json::to_value(value).and_then(serde_json::from_value).expect("the same name")
}

fn money(amount: Option<&Amount>) -> Option<Money> {
    amount.map(|amount| money::parse_value(&amount.amount, &amount.currency).expect("a value"))
}

/// An attempt as the service judges it.
pub fn attempt_fact(attempt: &Attempt) -> Fact {
    let (cost, other_nanos) = (cost(attempt), other_costs(attempt));
    let said = Said::Attempt(AttemptFact {
        status: same(attempt.status),
        failure_reason: same(&attempt.failure_reason),
        agent: attempt.agent.clone(),
        action: attempt.action.clone(),
        provider: attempt.provider.clone(),
        model: attempt.model.clone(),
        cost: Cost {
            model_nanos: cost.known.then_some(cost.nanos - other_nanos),
            other_nanos,
            currency: Currency::USD,
        },
        value: money(attempt.value.as_ref()),
    });
    Fact { at: Timestamp(attempt.ended_at), id: attempt.fact_id(), said }
}

/// A resolution as the service judges it.
pub fn to_fact(resolution: &Resolution) -> Fact {
    let said = Said::Resolution(ResolutionFact {
        kind: same(resolution.kind),
        score: resolution.score,
        about: resolution.about.clone(),
        strength: same(resolution.strength),
        value: money(resolution.value.as_ref()),
    });
    Fact { at: Timestamp(resolution.occurred_at), id: resolution.fact_id(), said }
}

/// Looks at a case: judges it and posts what that changes.
pub fn look(facts: &[Fact], rule: &Rule, now: i64, posted: &mut Vec<Row>) -> Judgement {
    let judgement = judge(facts, rule, Timestamp(now));
    let added = difference(posted, &entries(facts, &judgement.episodes));
    posted.extend(added);
    judgement
}

/// What stands in a ledger: the rows that no correction took back.
pub fn live(posted: &[Row]) -> impl Iterator<Item = &Row> {
    let corrects = |row: &Row, seq| row.entry.kind == EntryKind::Correction && row.reverses == Some(seq);
    posted.iter().filter(move |row| {
        row.entry.kind != EntryKind::Correction && !posted.iter().any(|other| corrects(other, row.seq))
    })
}
