//! Cases: which must be judged, what is known of them, and what was held of them last.

use crate::bulk::{self, Insert, Kind};
use crate::connect::{Store, StoreError, Tx, all, run};
use crate::{attempts, resolutions};
use sea_orm::{ConnectionTrait, Value};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::fact::{self, Fact};
use verdict_domain::time::Timestamp;

/// Names a case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CaseKey {
    /// Whose case.
    pub customer: String,
    /// Its id there.
    pub case: String,
}

impl CaseKey {
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.customer, &self.case)
    }
}

/// What is held of a case. (What it adds to the figures is [`crate::figures::contributions`].)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCase {
    /// When it was judged last.
    pub judged_at: Timestamp,
    /// When time alone will change the judgement.
    pub wake_at: Option<Timestamp>,
    /// The verdict of its last episode, for lists.
    pub verdict: String,
    /// Its episodes as JSON, for people.
    pub episodes: String,
}

/// Marks cases to be judged, in the transaction of what changed them.
pub async fn mark_to_judge(tx: &Tx, mut keys: Vec<CaseKey>) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "cases_to_judge",
        columns: &[("customer", Kind::Text), ("case_id", Kind::Text)],
        on_conflict: "",
        returning: "",
    };
    keys.sort();
    keys.dedup();
    let rows = keys.into_iter().map(|key| vec![key.customer.into(), key.case.into()]).collect();
    bulk::insert(&tx.tx, &INSERT, rows).await?;
    Ok(())
}

/// Marks all cases of a customer to be judged again: its contract changed.
pub async fn mark_all_to_judge(tx: &Tx, customer: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO cases_to_judge (customer, case_id) \
               SELECT customer, case_id FROM cases WHERE customer = $1 ORDER BY case_id";
    run(&tx.tx, sql, [customer.into()]).await?;
    Ok(())
}

/// Takes cases to judge: those with new facts, then those whose time has come. Each once, in order; the marks
/// go with the transaction.
pub async fn take_to_judge(tx: &Tx, now: Timestamp, limit: u32) -> Result<Vec<CaseKey>, StoreError> {
    let sql = "DELETE FROM cases_to_judge WHERE id IN (SELECT id FROM cases_to_judge ORDER BY id LIMIT $1) \
               RETURNING customer, case_id";
    let mut rows = all(&tx.tx, sql, [i64::from(limit).into()]).await?;
    if rows.len() < limit as usize {
        let sql = "SELECT customer, case_id FROM cases WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2";
        rows.extend(all(&tx.tx, sql, [now.0.into(), i64::from(limit).into()]).await?);
    }
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        keys.push(CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? });
    }
    keys.sort();
    keys.dedup();
    Ok(keys)
}

/// Which of these cases are marked to be judged: what is held of them is not yet what their facts say.
pub async fn to_judge(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeSet<CaseKey>, StoreError> {
    let select = "SELECT DISTINCT m.customer, m.case_id FROM keys \
                  JOIN cases_to_judge m ON m.customer = keys.customer AND m.case_id = keys.key";
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), select).await?;
    rows.iter()
        .map(|row| Ok(CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? }))
        .collect()
}

/// Until a person has looked at a case, time does not wake it.
pub async fn stop_waking(tx: &Tx, key: &CaseKey) -> Result<(), StoreError> {
    let sql = "UPDATE cases SET wake_at = NULL WHERE customer = $1 AND case_id = $2";
    run(&tx.tx, sql, [key.customer.as_str().into(), key.case.as_str().into()]).await?;
    Ok(())
}

/// All facts of cases, in order, each once.
pub async fn facts(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, Vec<Fact>>, StoreError> {
    let mut facts: BTreeMap<CaseKey, Vec<Fact>> = keys.iter().map(|key| (key.clone(), Vec::new())).collect();
    let attempts = attempts::facts_of(tx, keys).await?;
    let resolutions = resolutions::facts_of(tx, keys).await?;
    for (key, fact) in attempts.into_iter().chain(resolutions) {
        facts.entry(key).or_default().push(fact);
    }
    for list in facts.values_mut() {
        *list = fact::in_order(std::mem::take(list));
    }
    Ok(facts)
}

/// What is held of cases; those never judged are absent.
pub async fn load(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
    load_on(&tx.tx, keys).await
}

pub(crate) async fn load_on(
    on: &impl ConnectionTrait,
    keys: &[CaseKey],
) -> Result<BTreeMap<CaseKey, StoredCase>, StoreError> {
    let select = "SELECT c.customer, c.case_id, c.judged_at, c.wake_at, c.verdict, c.episodes \
                  FROM keys JOIN cases c ON c.customer = keys.customer AND c.case_id = keys.key";
    let rows = bulk::select_by_keys(on, keys.iter().map(CaseKey::parts), select).await?;
    rows.iter()
        .map(|row| {
            let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
            let wake_at: Option<i64> = row.try_get_by_index(3)?;
            let case = StoredCase {
                judged_at: Timestamp(row.try_get_by_index(2)?),
                wake_at: wake_at.map(Timestamp),
                verdict: row.try_get_by_index(4)?,
                episodes: row.try_get_by_index(5)?,
            };
            Ok((key, case))
        })
        .collect()
}

/// Writes what is held of cases.
pub async fn save(tx: &Tx, cases: BTreeMap<CaseKey, StoredCase>) -> Result<(), StoreError> {
    const UPSERT: Insert = Insert {
        table: "cases",
        columns: &[
            ("customer", Kind::Text),
            ("case_id", Kind::Text),
            ("judged_at", Kind::Int),
            ("wake_at", Kind::IntOrNull),
            ("verdict", Kind::Text),
            ("episodes", Kind::Text),
        ],
        on_conflict: "ON CONFLICT (customer, case_id) DO UPDATE SET judged_at = excluded.judged_at, \
                      wake_at = excluded.wake_at, verdict = excluded.verdict, episodes = excluded.episodes",
        returning: "",
    };
    let mut rows: Vec<Vec<Value>> = Vec::with_capacity(cases.len());
    for (key, case) in cases {
        rows.push(vec![
            key.customer.into(),
            key.case.into(),
            case.judged_at.0.into(),
            case.wake_at.map(|at| at.0).into(),
            case.verdict.into(),
            case.episodes.into(),
        ]);
    }
    bulk::insert(&tx.tx, &UPSERT, rows).await?;
    Ok(())
}

/// One case as held, for a person who asks.
pub async fn find(store: &Store, key: &CaseKey) -> Result<Option<StoredCase>, StoreError> {
    Ok(load_on(&store.db, std::slice::from_ref(key)).await?.remove(key))
}
