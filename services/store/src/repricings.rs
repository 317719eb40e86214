//! Repricings: what attempts cost under another price book, posted as differences beside them. An attempt itself is never
//! changed; whoever reads its cost reads it with the differences.

use crate::attempts::model_cost;
use crate::bulk::{self, Insert, Kind};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use sea_orm::{QueryResult, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::attempt::{ServiceTier, Usage};
use verdict_domain::money::{self, Currency};
use verdict_domain::time::{MICROS_PER_DAY, Timestamp};

/// Which attempts are priced anew, and by which book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The book.
    pub book: String,
    /// The first UTC day of the attempts' ends, counted from 1970-01-01.
    pub from: i64,
    /// The first UTC day after.
    pub to: i64,
    /// Of this provider's models.
    pub provider: Option<String>,
    /// Of this model.
    pub model: Option<String>,
    /// Of this customer.
    pub customer: Option<String>,
    /// Only those whose cost is unknown.
    pub only_unknown: bool,
}

/// An attempt with what its price depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priceable {
    /// Whose.
    pub customer: String,
    /// Its id.
    pub id: String,
    /// Its case.
    pub case: String,
    /// Who served the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// When it began: the price is that of this moment.
    pub started_at: Timestamp,
    /// Which of its services the provider answered with.
    pub tier: Option<ServiceTier>,
    /// What the provider counted.
    pub usage: Usage,
    /// What its model cost, with earlier repricings; `None` where nobody knows.
    pub cost_nanos: Option<i64>,
    /// The currency of the cost.
    pub currency: Currency,
    /// Whether the sender reported the cost: such a cost is never priced anew.
    pub is_reported: bool,
}

/// The next attempts of a repricing, in the order of their keys, after the one given.
pub async fn page(
    store: &Store,
    terms: &Terms,
    after: Option<(&str, &str)>,
    limit: u32,
) -> Result<Vec<Priceable>, StoreError> {
    let micros = |day: i64| Value::from(day.saturating_mul(MICROS_PER_DAY));
    let mut values = vec![micros(terms.from), micros(terms.to), i64::from(limit).into()];
    let mut of = String::new();
    for (column, wanted) in
        [("customer", &terms.customer), ("provider", &terms.provider), ("model", &terms.model)]
    {
        if let Some(wanted) = wanted {
            values.push(wanted.as_str().into());
            of += &format!(" AND a.{column} = ${}", values.len());
        }
    }
    if terms.only_unknown {
        of += " AND a.model_cost_nanos IS NULL AND NOT EXISTS (SELECT 1 FROM cost_changes h \
               WHERE h.customer = a.customer AND h.attempt_id = a.id)";
    }
    if let Some((customer, id)) = after {
        values.extend([customer.into(), id.into()]);
        of += &format!(" AND (a.customer, a.id) > (${}, ${})", values.len() - 1, values.len());
    }
    let sql = format!(
        "SELECT a.customer, a.id, a.case_id, a.provider, a.model, a.started_at, {}, a.cost_currency, \
         COALESCE(a.price_source, ''), a.input_tokens, a.cached_input_tokens, a.cache_write_tokens, a.output_tokens, \
         a.reasoning_tokens, a.cache_write_1h_tokens, a.service_tier FROM attempts a WHERE a.ended_at >= $1 AND a.ended_at < $2{of} \
         ORDER BY a.customer, a.id LIMIT $3",
        model_cost!()
    );
    all(&store.db, &sql, values).await?.iter().map(read_priceable).collect()
}

fn read_priceable(row: &QueryResult) -> Result<Priceable, StoreError> {
    let (currency, source): (String, String) = (row.try_get_by_index(7)?, row.try_get_by_index(8)?);
    let tier: Option<String> = row.try_get_by_index(15)?;
    Ok(Priceable {
        customer: row.try_get_by_index(0)?,
        id: row.try_get_by_index(1)?,
        case: row.try_get_by_index(2)?,
        provider: row.try_get_by_index(3)?,
        model: row.try_get_by_index(4)?,
        started_at: Timestamp(row.try_get_by_index(5)?),
        tier: match tier {
            Some(tier) => Some(known(ServiceTier::parse(&tier), "service_tier", &tier)?),
            None => None,
        },
        usage: Usage {
            input: row.try_get_by_index(9)?,
            cached_input: row.try_get_by_index(10)?,
            cache_write: row.try_get_by_index(11)?,
            cache_write_1h: row.try_get_by_index(14)?,
            output: row.try_get_by_index(12)?,
            reasoning: row.try_get_by_index(13)?,
        },
        cost_nanos: row.try_get_by_index(6)?,
        currency: known(money::currency(&currency).ok(), "currency", &currency)?,
        is_reported: source == "reported",
    })
}

/// What an attempt costs under the other book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCost {
    /// Whose attempt.
    pub customer: String,
    /// Its id.
    pub attempt: String,
    /// Its case.
    pub case: String,
    /// What its model costs, in the currency that it was recorded in.
    pub nanos: i64,
    /// Where that is from.
    pub price_source: String,
}

/// What was posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Posted {
    /// Attempts whose cost changed.
    pub attempts: i64,
    /// Of these, those whose cost was unknown.
    pub newly_known: i64,
    /// What they cost more in sum, in nanos.
    pub difference_nanos: i64,
}

/// Posts what attempts cost more or less than is held of them, in `currency`, and has their cases judged again, which
/// moves the daily figures. What costs the same is left alone, and what this repricing changed before is not changed again: so
/// it can be broken off between two calls, and run again. Answers what was new.
pub async fn post(
    tx: &Tx,
    terms: &Terms,
    costs: &[NewCost],
    currency: Currency,
    author: &str,
    now: Timestamp,
) -> Result<Posted, StoreError> {
    // One at a time: a difference is to what is held, and nobody else may change that meanwhile.
    tx.claim("reprice").await?;
    let held = held(tx, costs).await?;
    let mut changes = Vec::new();
    for cost in costs {
        let key = (cost.customer.clone(), cost.attempt.clone());
        let Some(before) = held.get(&key).copied() else { continue };
        if before == Some(cost.nanos) {
            continue;
        }
        let difference = cost.nanos.checked_sub(before.unwrap_or(0)).ok_or_else(overflow)?;
        changes.push((cost, difference, before.is_none()));
    }
    if changes.is_empty() {
        return Ok(Posted::default());
    }
    changes.sort_by(|(a, ..), (b, ..)| (&a.customer, &a.attempt).cmp(&(&b.customer, &b.attempt)));
    let id = open(tx, terms, currency, author, now).await?;
    let new = insert(tx, &id, &changes, now).await?;
    let mut posted = Posted::default();
    let mut to_judge = Vec::new();
    for (cost, difference, newly_known) in changes {
        if !new.contains(&(cost.customer.clone(), cost.attempt.clone())) {
            continue;
        }
        posted.attempts += 1;
        posted.newly_known += i64::from(newly_known);
        posted.difference_nanos = posted.difference_nanos.checked_add(difference).ok_or_else(overflow)?;
        to_judge.push(CaseKey { customer: cost.customer.clone(), case: cost.case.clone() });
    }
    cases::mark_to_judge(tx, to_judge).await?;
    let sql = "UPDATE repricings SET attempts = attempts + $2, newly_known = newly_known + $3, \
               difference_nanos = difference_nanos + $4 WHERE id = $1";
    let values =
        [id.into(), posted.attempts.into(), posted.newly_known.into(), posted.difference_nanos.into()];
    run(&tx.tx, sql, values).await?;
    Ok(posted)
}

fn overflow() -> StoreError {
    StoreError::Refused("the costs of a repricing add up to more than 64 bits hold".into())
}

/// What these attempts cost as held now.
async fn held(tx: &Tx, costs: &[NewCost]) -> Result<BTreeMap<(String, String), Option<i64>>, StoreError> {
    let names: BTreeSet<(&str, &str)> =
        costs.iter().map(|cost| (cost.customer.as_str(), cost.attempt.as_str())).collect();
    let select = concat!(
        "SELECT a.customer, a.id, ",
        model_cost!(),
        " FROM keys JOIN attempts a ON a.customer = keys.customer AND a.id = keys.key"
    );
    let rows = bulk::select_by_keys(&tx.tx, names.into_iter(), select).await?;
    rows.iter()
        .map(|row| {
            let key = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            Ok((key, row.try_get_by_index(2)?))
        })
        .collect()
}

async fn insert(
    tx: &Tx,
    id: &str,
    changes: &[(&NewCost, i64, bool)],
    now: Timestamp,
) -> Result<BTreeSet<(String, String)>, StoreError> {
    const INSERT: Insert = Insert {
        table: "cost_changes",
        columns: &[
            ("customer", Kind::Text),
            ("attempt_id", Kind::Text),
            ("repricing_id", Kind::Text),
            ("difference_nanos", Kind::Int),
            ("newly_known", Kind::Int),
            ("price_source", Kind::Text),
            ("posted_at", Kind::Int),
        ],
        on_conflict: "ON CONFLICT (customer, attempt_id, repricing_id) DO NOTHING",
        returning: "customer, attempt_id",
    };
    let row = |(cost, difference, newly_known): &(&NewCost, i64, bool)| -> Vec<Value> {
        vec![
            cost.customer.as_str().into(),
            cost.attempt.as_str().into(),
            id.into(),
            (*difference).into(),
            i64::from(*newly_known).into(),
            cost.price_source.as_str().into(),
            now.0.into(),
        ]
    };
    let written = bulk::insert(&tx.tx, &INSERT, changes.iter().map(row).collect()).await?;
    written.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

/// The repricing of these terms that is not finished, or a new one.
async fn open(
    tx: &Tx,
    terms: &Terms,
    currency: Currency,
    author: &str,
    now: Timestamp,
) -> Result<String, StoreError> {
    if let Some(id) = unfinished(tx, terms).await? {
        return Ok(id);
    }
    let number = one(&tx.tx, "SELECT COALESCE(MAX(number), 0) + 1 FROM repricings", []).await?;
    let number: i64 = number.map_or(Ok(1), |row| row.try_get_by_index(0))?;
    let named = serde_json::json!([
        number,
        terms.book,
        terms.from,
        terms.to,
        terms.provider,
        terms.model,
        terms.customer,
        terms.only_unknown
    ]);
    let digest = Sha256::digest(named.to_string().as_bytes());
    let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let id = format!("repricing:{digits}");
    let sql = "INSERT INTO repricings (id, number, book, from_day, to_day, provider, model, customer, only_unknown, \
               author, begun_at, attempts, newly_known, difference_nanos, currency) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 0, 0, $12)";
    let values = [
        id.as_str().into(),
        number.into(),
        terms.book.as_str().into(),
        terms.from.into(),
        terms.to.into(),
        terms.provider.clone().into(),
        terms.model.clone().into(),
        terms.customer.clone().into(),
        i64::from(terms.only_unknown).into(),
        author.into(),
        now.0.into(),
        currency.code().into(),
    ];
    run(&tx.tx, sql, values).await?;
    Ok(id)
}

async fn unfinished(tx: &Tx, terms: &Terms) -> Result<Option<String>, StoreError> {
    // A name is never empty: the empty one stands for all.
    let sql = "SELECT id FROM repricings WHERE finished_at IS NULL AND book = $1 AND from_day = $2 AND to_day = $3 \
               AND COALESCE(provider, '') = $4 AND COALESCE(model, '') = $5 AND COALESCE(customer, '') = $6 \
               AND only_unknown = $7 ORDER BY number LIMIT 1";
    let name = |name: &Option<String>| Value::from(name.clone().unwrap_or_default());
    let values = [
        terms.book.as_str().into(),
        terms.from.into(),
        terms.to.into(),
        name(&terms.provider),
        name(&terms.model),
        name(&terms.customer),
        i64::from(terms.only_unknown).into(),
    ];
    match one(&tx.tx, sql, values).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}

/// The repricing of these terms has looked at all its attempts. Answers with its id, if it posted anything.
pub async fn finish(tx: &Tx, terms: &Terms, now: Timestamp) -> Result<Option<String>, StoreError> {
    tx.claim("reprice").await?;
    let Some(id) = unfinished(tx, terms).await? else { return Ok(None) };
    run(&tx.tx, "UPDATE repricings SET finished_at = $2 WHERE id = $1", [id.as_str().into(), now.0.into()])
        .await?;
    Ok(Some(id))
}

/// A repricing that posted something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repricing {
    /// Deterministic.
    pub id: String,
    /// What was priced anew, by which book.
    pub terms: Terms,
    /// Who had it run.
    pub author: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended; `None` where it runs, or was broken off.
    pub finished_at: Option<Timestamp>,
    /// What it has posted.
    pub posted: Posted,
    /// The currency of the difference.
    pub currency: String,
}

/// The repricings, the newest first, at most `limit`.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<Repricing>, StoreError> {
    let sql = "SELECT id, book, from_day, to_day, provider, model, customer, only_unknown, author, begun_at, finished_at, \
               attempts, newly_known, difference_nanos, currency FROM repricings ORDER BY number DESC LIMIT $1";
    let rows = all(&store.db, sql, [i64::from(limit).into()]).await?;
    rows.iter()
        .map(|row| {
            let only_unknown: i64 = row.try_get_by_index(7)?;
            let finished_at: Option<i64> = row.try_get_by_index(10)?;
            Ok(Repricing {
                id: row.try_get_by_index(0)?,
                terms: Terms {
                    book: row.try_get_by_index(1)?,
                    from: row.try_get_by_index(2)?,
                    to: row.try_get_by_index(3)?,
                    provider: row.try_get_by_index(4)?,
                    model: row.try_get_by_index(5)?,
                    customer: row.try_get_by_index(6)?,
                    only_unknown: only_unknown != 0,
                },
                author: row.try_get_by_index(8)?,
                begun_at: Timestamp(row.try_get_by_index(9)?),
                finished_at: finished_at.map(Timestamp),
                posted: Posted {
                    attempts: row.try_get_by_index(11)?,
                    newly_known: row.try_get_by_index(12)?,
                    difference_nanos: row.try_get_by_index(13)?,
                },
                currency: row.try_get_by_index(14)?,
            })
        })
        .collect()
}

/// By what a repricing changed the cost of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CostChange {
    /// Which repricing.
    pub repricing: String,
    /// By which book.
    pub book: String,
    /// Where the cost now is from.
    pub price_source: String,
    /// In nanos of the attempt's cost's currency.
    pub difference_nanos: i64,
    /// Whether it was unknown before.
    pub newly_known: bool,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub author: String,
}

/// What repricings changed of the attempts of cases, by customer and attempt, in the order of the repricings.
pub(crate) async fn changes_of(
    tx: &Tx,
    keys: &[CaseKey],
) -> Result<BTreeMap<(String, String), Vec<CostChange>>, StoreError> {
    let select = format!(
        "SELECT h.customer, h.attempt_id, h.repricing_id, p.book, h.price_source, h.difference_nanos, h.newly_known, \
         h.posted_at, p.author FROM keys JOIN attempts a {} ON a.customer = keys.customer AND a.case_id = keys.key \
         JOIN cost_changes h ON h.customer = a.customer AND h.attempt_id = a.id \
         JOIN repricings p ON p.id = h.repricing_id ORDER BY p.number",
        bulk::by_case(&tx.tx, "attempts")
    );
    let mut changes: BTreeMap<(String, String), Vec<CostChange>> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await? {
        let newly_known: i64 = row.try_get_by_index(6)?;
        let change = CostChange {
            repricing: row.try_get_by_index(2)?,
            book: row.try_get_by_index(3)?,
            price_source: row.try_get_by_index(4)?,
            difference_nanos: row.try_get_by_index(5)?,
            newly_known: newly_known != 0,
            at: Timestamp(row.try_get_by_index(7)?),
            author: row.try_get_by_index(8)?,
        };
        changes.entry((row.try_get_by_index(0)?, row.try_get_by_index(1)?)).or_default().push(change);
    }
    Ok(changes)
}
