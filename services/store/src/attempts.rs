//! Attempts: recorded in batches, read by case.

use crate::bulk::{self, Insert, Kind};
use crate::calls::{self, Call};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, Tx, all, known, read_money};
use crate::figures;
use sea_orm::{QueryResult, Value};
use std::collections::{BTreeMap, HashSet};
use verdict_domain::attempt::{Attempt, Cost, FailureReason, ServiceTier, Status};
use verdict_domain::fact::{AttemptFact, Fact, Said};
use verdict_domain::money;
use verdict_domain::time::Timestamp;

const INSERT: Insert = Insert {
    table: "attempts",
    columns: &[
        ("customer", Kind::Text),
        ("id", Kind::Text),
        ("case_id", Kind::Text),
        ("agent", Kind::Text),
        ("action", Kind::Text),
        ("provider", Kind::Text),
        ("model", Kind::Text),
        ("service_tier", Kind::TextOrNull),
        ("input_tokens", Kind::IntOrNull),
        ("cached_input_tokens", Kind::IntOrNull),
        ("cache_write_tokens", Kind::IntOrNull),
        ("cache_write_1h_tokens", Kind::IntOrNull),
        ("output_tokens", Kind::IntOrNull),
        ("reasoning_tokens", Kind::IntOrNull),
        ("usage_estimated", Kind::Int),
        ("status", Kind::Text),
        ("failure_reason", Kind::TextOrNull),
        ("model_cost_nanos", Kind::IntOrNull),
        ("other_cost_nanos", Kind::Int),
        ("cost_currency", Kind::Text),
        ("value_nanos", Kind::IntOrNull),
        ("value_currency", Kind::TextOrNull),
        ("price_source", Kind::TextOrNull),
        ("started_at", Kind::Int),
        ("ended_at", Kind::Int),
        ("prompt_fingerprint", Kind::TextOrNull),
        ("details", Kind::TextOrNull),
        ("recorded_at", Kind::Int),
    ],
    on_conflict: "ON CONFLICT (customer, id) DO NOTHING",
    returning: "customer, id",
};

/// Records attempts and marks their cases to be judged. Answers for each, in the order given, whether it was
/// new: `false` is a duplicate of one recorded before, or earlier in `attempts`.
pub async fn record(tx: &Tx, attempts: Vec<Attempt>, now: Timestamp) -> Result<Vec<bool>, StoreError> {
    let keys: Vec<(String, String, String, Option<Call>)> =
        attempts.iter().map(|a| (a.customer.clone(), a.id.clone(), a.case.clone(), calls::call(a))).collect();
    let mut sorted = attempts;
    // Stable: of two with one key, the first stays the first, and is the one that is written.
    sorted.sort_by(|a, b| (&a.customer, &a.id).cmp(&(&b.customer, &b.id)));
    let rows = sorted.into_iter().map(|attempt| row(attempt, now)).collect();
    let written = bulk::insert(&tx.tx, &INSERT, rows).await?;
    let mut new: HashSet<(String, String)> = HashSet::with_capacity(written.len());
    for row in written {
        new.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    let mut recorded = Vec::with_capacity(keys.len());
    let mut to_judge = Vec::new();
    let mut called: BTreeMap<Call, i64> = BTreeMap::new();
    for (customer, id, case, call) in keys {
        let key = (customer, id);
        let is_new = new.remove(&key);
        if is_new {
            to_judge.push(CaseKey { customer: key.0, case });
            if let Some(call) = call {
                *called.entry(call).or_default() += 1;
            }
        }
        recorded.push(is_new);
    }
    calls::add(tx, called).await?;
    cases::mark_to_judge(tx, to_judge).await?;
    Ok(recorded)
}

fn row(attempt: Attempt, now: Timestamp) -> Vec<Value> {
    let usage = attempt.usage;
    vec![
        attempt.customer.into(),
        attempt.id.into(),
        attempt.case.into(),
        attempt.agent.into(),
        attempt.action.into(),
        attempt.provider.into(),
        attempt.model.into(),
        attempt.service_tier.map(ServiceTier::as_str).into(),
        usage.input.into(),
        usage.cached_input.into(),
        usage.cache_write.into(),
        usage.cache_write_1h.into(),
        usage.output.into(),
        usage.reasoning.into(),
        i64::from(attempt.usage_estimated).into(),
        attempt.status.as_str().into(),
        attempt.failure_reason.map(FailureReason::as_str).into(),
        attempt.cost.model_nanos.into(),
        attempt.cost.other_nanos.into(),
        attempt.cost.currency.code().into(),
        attempt.value.map(|value| value.nanos).into(),
        attempt.value.map(|value| value.currency.code()).into(),
        attempt.price_source.into(),
        attempt.started_at.0.into(),
        attempt.ended_at.0.into(),
        attempt.prompt_fingerprint.into(),
        attempt.details.into(),
        now.0.into(),
    ]
}

/// What the model of an attempt (of the table `a`) cost, with what repricings changed; NULL where nobody knows. Whoever asks
/// what attempts cost asks for this; what they were recorded at is in `a.model_cost_nanos` for ever.
macro_rules! model_cost {
    () => {
        "COALESCE(COALESCE(a.model_cost_nanos, 0) + (SELECT CAST(SUM(h.difference_nanos) AS BIGINT) FROM cost_changes h \
         WHERE h.customer = a.customer AND h.attempt_id = a.id), a.model_cost_nanos)"
    };
}
pub(crate) use model_cost;

/// What of an attempt (of the table `a`) the judge reads, as [`read_fact`] expects it.
pub(crate) const FACT_COLUMNS: &str = concat!(
    "a.customer, a.case_id, a.id, a.status, a.failure_reason, a.agent, a.action, a.model, ",
    model_cost!(),
    ", a.other_cost_nanos, a.cost_currency, a.ended_at, a.value_nanos, a.value_currency, a.provider"
);

/// The attempts of many cases, as facts, in no order.
pub(crate) async fn facts_of(tx: &Tx, keys: &[CaseKey]) -> Result<Vec<(CaseKey, Fact)>, StoreError> {
    let select = format!(
        "SELECT {FACT_COLUMNS} FROM keys JOIN attempts a {} ON a.customer = keys.customer AND a.case_id = keys.key",
        bulk::by_case(&tx.tx, "attempts")
    );
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await?;
    rows.iter().map(read_fact).collect()
}

pub(crate) fn read_fact(row: &QueryResult) -> Result<(CaseKey, Fact), StoreError> {
    let id: String = row.try_get_by_index(2)?;
    let status: String = row.try_get_by_index(3)?;
    let failure: Option<String> = row.try_get_by_index(4)?;
    let currency: String = row.try_get_by_index(10)?;
    let attempt = AttemptFact {
        status: known(Status::parse(&status), "status", &status)?,
        failure_reason: match failure {
            Some(reason) => Some(known(FailureReason::parse(&reason), "failure_reason", &reason)?),
            None => None,
        },
        agent: row.try_get_by_index(5)?,
        action: row.try_get_by_index(6)?,
        model: row.try_get_by_index(7)?,
        cost: Cost {
            model_nanos: row.try_get_by_index(8)?,
            other_nanos: row.try_get_by_index(9)?,
            currency: known(money::currency(&currency).ok(), "currency", &currency)?,
        },
        value: read_money(row, 12)?,
        provider: row.try_get_by_index(14)?,
    };
    let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
    let at = Timestamp(row.try_get_by_index(11)?);
    Ok((key, Fact { at, id: format!("attempt:{id}"), said: Said::Attempt(attempt) }))
}

/// A model whose attempts have no price.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnknownCost {
    /// Whose attempts.
    pub customer: String,
    /// Who serves the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// How many attempts of it have an unknown cost.
    pub attempts: i64,
}

/// Which models' attempts have an unknown cost, the most frequent first; at most 1,000. From the figures: of cases that were
/// judged.
pub async fn unknown_costs(store: &Store) -> Result<Vec<UnknownCost>, StoreError> {
    let unknown = figures::of_attempts("unknown_costs");
    let sql = format!(
        "SELECT customer, provider, model, CAST(SUM({unknown}) AS BIGINT) FROM figures_by_level \
         WHERE level = 'customer_model' AND days = {} GROUP BY customer, provider, model \
         HAVING SUM({unknown}) > 0 ORDER BY 4 DESC, customer, provider, model LIMIT 1000",
        figures::Span::Ever.days()
    );
    let rows = all(&store.db, &sql, []).await?;
    rows.iter()
        .map(|row| {
            Ok(UnknownCost {
                customer: row.try_get_by_index(0)?,
                provider: row.try_get_by_index(1)?,
                model: row.try_get_by_index(2)?,
                attempts: row.try_get_by_index(3)?,
            })
        })
        .collect()
}
