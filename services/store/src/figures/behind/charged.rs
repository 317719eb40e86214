//! The cases behind revenue: those whose charges, voids and corrections make it up. By when they take effect, as the roll-ups
//! have it; what is of a trial is no revenue.

use super::{Behind, CaseBehind, Place, Total, overflow};
use crate::bulk;
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, all};
use crate::figures::contributions::contributions_on;
use crate::figures::{CURRENCY_OF_PERIOD, GroupBy, Slice, sums};
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Figures, whole_cost};
use verdict_domain::time::MICROS_PER_DAY;

/// Where more charges would have to be looked at, cases are not counted.
const COUNTED: i64 = 1_000;
/// What is narrowed down to an agent, a model or an action may be a few charges among very many: of so many customers at most,
/// theirs alone are read.
const FEW: usize = 8;

/// The next cases after a place, those with the last charge first.
pub(super) async fn cases(
    store: &Store,
    behind: &Behind,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<CaseBehind>, StoreError> {
    if !is_of_charges(behind) {
        return Ok(Vec::new());
    }
    let customers = customers(store, behind).await?;
    if customers.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Select { values: Vec::new(), behind };
    let sql = select.page(&customers, after, limit);
    let snapshot = store.snapshot().await?;
    let mut found: Vec<(i64, CaseKey)> = Vec::new();
    for row in all(&snapshot.tx, &sql, select.values).await? {
        found.push((row.try_get_by_index(0)?, key(&row, 1)?));
    }
    let keys: Vec<CaseKey> = found.iter().map(|(_, key)| key.clone()).collect();
    let mut held = cases::load_on(&snapshot.tx, &keys).await?;
    let mut contributions = contributions_on(&snapshot.tx, &keys).await?;
    let select = "SELECT c.customer, c.case_id, c.effective_at, c.action, c.currency, c.amount_nanos, c.free, o.agent, o.model \
                  FROM keys JOIN charges c ON c.customer = keys.customer AND c.case_id = keys.key \
                  JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq";
    let mut parts: BTreeMap<CaseKey, BTreeMap<String, Figures>> = BTreeMap::new();
    for row in bulk::select_by_keys(&snapshot.tx, keys.iter().map(CaseKey::parts), select).await? {
        if let Some((currency, revenue_nanos)) = part(behind, &row)? {
            let sum = parts.entry(key(&row, 0)?).or_default().entry(currency).or_default();
            *sum = sum.plus(Figures { revenue_nanos, ..Figures::default() }).ok_or_else(overflow)?;
        }
    }
    let told = found.into_iter().map(|(at, key)| CaseBehind {
        verdict: held.remove(&key).map_or_else(|| "none".into(), |case| case.verdict),
        day: at.div_euclid(MICROS_PER_DAY),
        figures: parts.remove(&key).unwrap_or_default(),
        whole_cost_nanos: whole_cost(&contributions.remove(&key).unwrap_or_default()),
        last_charge_at: Some(at),
        key,
    });
    Ok(told.collect())
}

/// What revenue comes to, what of it is of no case, and how many cases have charges in it.
pub(super) async fn total(store: &Store, behind: &Behind) -> Result<Total, StoreError> {
    let is_asked_for = |currency: &str| behind.currency.as_deref().is_none_or(|wanted| wanted == currency);
    let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
    let mut of_no_case: BTreeMap<String, i64> = BTreeMap::new();
    if is_of_charges(behind) {
        for sum in sums(store, &behind.of, GroupBy::Reason).await? {
            if sum.bucket == Bucket::Revenue && is_asked_for(&sum.currency) {
                let total = figures.entry(sum.currency).or_default();
                *total = total.plus(sum.figures).ok_or_else(overflow)?;
            }
        }
        for (currency, nanos) in beyond_list(store, &behind.of).await? {
            if is_asked_for(&currency) {
                // Also where the cases add up to the opposite, and the figure is nothing.
                figures.entry(currency.clone()).or_default();
                of_no_case.insert(currency, nanos);
            }
        }
    }
    let cases = match is_of_charges(behind) {
        true => count(store, behind).await?,
        false => Some(0),
    };
    Ok(Total { figures, of_no_case, cases })
}

/// Charges are of no provider, and for no reason: so do the roll-ups have them.
fn is_of_charges(behind: &Behind) -> bool {
    let is_none = |wanted: &Option<String>| wanted.as_deref().is_none_or(|wanted| wanted == "-");
    is_none(&behind.of.provider) && is_none(&behind.reason)
}

/// By how much the price of the periods that end in the days of a slice differs from list prices, by currency. It stands on a
/// period's last day, and is of no agent, model or action (`-`).
async fn beyond_list(store: &Store, of: &Slice) -> Result<BTreeMap<String, i64>, StoreError> {
    let mut sums = BTreeMap::new();
    if [&of.agent, &of.model, &of.action].into_iter().flatten().any(|wanted| wanted != "-") {
        return Ok(sums);
    }
    let mut values: Vec<Value> = vec![micros(of.from).into(), micros(of.to).into()];
    let mut only = String::new();
    if let Some(customer) = &of.customer {
        values.push(customer.as_str().into());
        only = " AND p.customer = $3".into();
    }
    let sql = format!(
        "SELECT currency, CAST(SUM(nanos) AS BIGINT) FROM ( \
         SELECT {CURRENCY_OF_PERIOD} AS currency, p.beyond_list_nanos AS nanos \
         FROM periods p WHERE p.beyond_list_nanos <> 0 AND p.end_at - 1 >= $1 AND p.end_at - 1 < $2{only} \
         ) AS beyond GROUP BY currency"
    );
    for row in all(&store.db, &sql, values).await? {
        let nanos: i64 = row.try_get_by_index(1)?;
        if nanos != 0 {
            sums.insert(row.try_get_by_index(0)?, nanos);
        }
    }
    Ok(sums)
}

/// How many cases; `None`: too many charges to look at each time.
async fn count(store: &Store, behind: &Behind) -> Result<Option<u64>, StoreError> {
    let customers = customers(store, behind).await?;
    if customers.is_empty() {
        return Ok(Some(0));
    }
    let mut select = Select { values: Vec::new(), behind };
    let sql = select.count(&customers);
    let rows = all(&store.db, &sql, select.values).await?;
    let Some(row) = rows.first() else { return Ok(Some(0)) };
    let (charges, cases): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    Ok((charges <= COUNTED).then_some(cases.unsigned_abs()))
}

/// Whose charges are read, one after the other; `None`: those of all.
async fn customers(store: &Store, behind: &Behind) -> Result<Vec<Option<String>>, StoreError> {
    let of = &behind.of;
    // By two of them no roll-up tells it fast.
    if of.customer.is_none() && [&of.agent, &of.model, &of.action].into_iter().flatten().count() == 1 {
        let is_charged =
            |bucket| matches!(bucket, Bucket::Revenue | Bucket::Confirmed | Bucket::Assumed | Bucket::Void);
        // Whoever is not there has nothing charged, or charges that come to nothing. (Of days this would not do: a case may be on
        // one that comes to nothing, and on another.)
        let sums = sums(store, of, GroupBy::Customer).await?.into_iter().filter(|sum| is_charged(sum.bucket));
        let mut known: Vec<String> = sums.map(|sum| sum.key).collect();
        known.dedup();
        if known.len() <= FEW {
            return Ok(known.into_iter().map(Some).collect());
        }
    }
    Ok(vec![of.customer.clone()])
}

fn micros(day: i64) -> i64 {
    day.saturating_mul(MICROS_PER_DAY)
}

fn key(row: &QueryResult, at: usize) -> Result<CaseKey, StoreError> {
    Ok(CaseKey { customer: row.try_get_by_index(at)?, case: row.try_get_by_index(at + 1)? })
}

/// What a charge adds to the figure, with its currency; `None`: it is not in it.
fn part(behind: &Behind, row: &QueryResult) -> Result<Option<(String, i64)>, StoreError> {
    let of = &behind.of;
    let (at, currency, free): (i64, String, Option<String>) =
        (row.try_get_by_index(2)?, row.try_get_by_index(4)?, row.try_get_by_index(6)?);
    let mut is_in = (micros(of.from)..micros(of.to)).contains(&at) && free.as_deref() != Some("trial");
    for (wanted, column) in [(&behind.currency, 4), (&of.action, 3), (&of.agent, 7), (&of.model, 8)] {
        if let Some(wanted) = wanted {
            is_in &= *wanted == row.try_get_by_index::<String>(column)?;
        }
    }
    Ok(if is_in { Some((currency, row.try_get_by_index(5)?)) } else { None })
}

/// A statement that is being put together.
struct Select<'a> {
    values: Vec<Value>,
    behind: &'a Behind,
}

impl Select<'_> {
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Charges of the figure within these times, called `name`. `by_itself` (`+ 0`) keeps their time from choosing an index.
    fn charges_where(&mut self, name: &str, by_itself: &str, (from, to): (i64, i64)) -> String {
        let (behind, of) = (self.behind, &self.behind.of);
        let (from, to) = (self.value(from), self.value(to));
        let mut sql = format!(
            "FROM charges {name} WHERE {name}.effective_at{by_itself} >= {from} AND {name}.effective_at{by_itself} < {to} \
             AND ({name}.free IS NULL OR {name}.free <> 'trial')"
        );
        // Agent and model are the outcome's. Not joined: of three columns PostgreSQL expects hardly any row, and reads all.
        let outcome = |column: &str| {
            format!(
                "(SELECT o.{column} FROM outcomes o WHERE o.customer = {name}.customer AND o.case_id = {name}.case_id \
                 AND o.seq = {name}.seq)"
            )
        };
        for (column, wanted) in [
            (format!("{name}.currency"), &behind.currency),
            (format!("{name}.action"), &of.action),
            (outcome("agent"), &of.agent),
            (outcome("model"), &of.model),
        ] {
            if let Some(wanted) = wanted {
                let wanted = self.value(wanted.as_str());
                sql += &format!(" AND {column} = {wanted}");
            }
        }
        sql
    }

    /// The charges of each customer, before `end`.
    fn of_each(&mut self, customers: &[Option<String>], end: i64, of_one: impl Fn(&str) -> String) -> String {
        let parts: Vec<String> = (customers.iter().enumerate())
            .map(|(nth, customer)| {
                let times = (micros(self.behind.of.from), micros(self.behind.of.to).min(end));
                let mut from = self.charges_where("c", "", times);
                if let Some(customer) = customer {
                    let customer = self.value(customer.as_str());
                    from += &format!(" AND c.customer = {customer}");
                }
                format!("SELECT * FROM ({}) AS of_{nth}", of_one(&from))
            })
            .collect();
        parts.join(" UNION ALL ")
    }

    /// A case is listed at its last charge, once. An index has them in this order: so many are read as are shown.
    fn page(&mut self, customers: &[Option<String>], after: Option<&Place>, limit: u32) -> String {
        // The time by itself bounds what is read; neither database would take it from the comparison of all three.
        let end = after.map_or(i64::MAX, |place| place.rank.saturating_add(1));
        let after = after.map_or(String::new(), |Place { rank, case }| {
            let (rank, customer) = (self.value(*rank), self.value(case.customer.as_str()));
            let case = self.value(case.case.as_str());
            format!(" AND (c.effective_at, c.customer, c.case_id) < ({rank}, {customer}, {case})")
        });
        let of = &self.behind.of;
        let later = self.charges_where("l", " + 0", (micros(of.from), micros(of.to)));
        let limit = self.value(i64::from(limit));
        let in_order = format!("ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT {limit}");
        let each = self.of_each(customers, end, |from| {
            format!(
                "SELECT DISTINCT c.effective_at, c.customer, c.case_id {from}{after} AND c.effective_at = (SELECT MAX(l.effective_at + 0) {later} \
                 AND l.customer = c.customer AND l.case_id = c.case_id) {in_order}"
            )
        });
        format!("{each} {in_order}")
    }

    /// How many charges there are (more than are counted, if there are more), and of how many cases.
    fn count(&mut self, customers: &[Option<String>]) -> String {
        let limit = self.value(COUNTED + 1);
        let each = self.of_each(customers, i64::MAX, |from| {
            format!("SELECT c.customer, c.case_id {from} LIMIT {limit}")
        });
        format!(
            "WITH found AS ({each}) SELECT (SELECT COUNT(*) FROM found), \
             (SELECT COUNT(*) FROM (SELECT DISTINCT customer, case_id FROM found) AS cases)"
        )
    }
}
