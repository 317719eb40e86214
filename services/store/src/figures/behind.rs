//! The cases behind a figure, in pages.

mod charged;

use super::contributions::contributions_on;
use super::{GroupBy, Slice, sums};
use crate::cases::{self, CaseKey};
use crate::connect::{Store, StoreError, all};
use sea_orm::{ConnectionTrait, Value};
use std::collections::BTreeMap;
use verdict_domain::economics::{Bucket, Cell, Contribution, Figures, whole_cost};

/// So many rows are read and sorted for one page. Where more would have to be, an index is walked in the wanted order
/// instead: of many rows there are soon enough that match.
const FEW: i64 = 20_000;
/// Where more rows would have to be looked at, cases are not counted.
const COUNTED: i64 = 50_000;

/// A figure: what adds up to it. What is `None`, or empty, is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Behind {
    /// Its days, and what else it is of.
    pub of: Slice,
    /// ISO 4217, as the figure's.
    pub currency: Option<String>,
    /// The buckets that it is the sum of. Revenue is of charges, and stands alone: what cases add holds none.
    pub buckets: Vec<Bucket>,
    /// Why it failed or was lost, `-` for what did not.
    pub reason: Option<String>,
}

impl Behind {
    /// Whether a cell of a case is part of the figure.
    fn holds(&self, cell: &Cell) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        (self.of.from..self.of.to).contains(&cell.day)
            && (self.buckets.is_empty() || self.buckets.contains(&cell.bucket))
            && is(&self.of.agent, &cell.agent)
            && is(&self.of.provider, &cell.provider)
            && is(&self.of.model, &cell.model)
            && is(&self.of.action, &cell.action)
            && is(&self.currency, &cell.currency)
            && is(&self.reason, &cell.reason)
    }

    /// Whether it is revenue: then the cases behind it are those whose charges make it up, and come by [`Order::Day`].
    fn is_revenue(&self) -> bool {
        self.buckets == [Bucket::Revenue]
    }

    /// The wanted buckets, of those that cases add to.
    fn buckets(&self) -> Vec<&'static str> {
        use Bucket::*;
        let all = [Pending, Won, Retry, Free, Lost, Confirmed, Assumed, Failed, Void];
        let wanted = |bucket: &Bucket| self.buckets.is_empty() || self.buckets.contains(bucket);
        all.into_iter().filter(wanted).map(Bucket::as_str).collect()
    }
}

/// Which cases come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those that cost most in all, whatever of that is in the figure; in the currency in which they cost most.
    Cost,
    /// Those with the last day in the figure; of revenue, those with the last charge.
    Day,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The last case's cost in nanos, or its day; of revenue, when its last charge takes effect, in microseconds.
    pub rank: i64,
    /// The last case.
    pub case: CaseKey,
}

/// A case behind a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseBehind {
    /// Which.
    pub key: CaseKey,
    /// The verdict of its last episode.
    pub verdict: String,
    /// The last UTC day on which it is part of the figure, from 1970-01-01.
    pub day: i64,
    /// Its part of the figure, by currency.
    pub figures: BTreeMap<String, Figures>,
    /// What it cost in all, in the currency in which that is most.
    pub whole_cost_nanos: i64,
    /// Of revenue: when its last charge in the figure takes effect, in microseconds since 1970.
    pub last_charge_at: Option<i64>,
}

impl CaseBehind {
    /// Where a page in this order ends that ends with this case.
    pub fn place(&self, order: Order) -> Place {
        let rank = match (self.last_charge_at, order) {
            (Some(at), _) => at,
            (None, Order::Cost) => self.whole_cost_nanos,
            (None, Order::Day) => self.day,
        };
        Place { rank, case: self.key.clone() }
    }
}

/// The next cases behind a figure after a place (the first ones: `None`), at most `limit`. What they are of the figure adds
/// up to [`behind_total`], over all pages. Those behind revenue come by day, whatever order is asked for.
pub async fn cases_behind(
    store: &Store,
    behind: &Behind,
    order: Order,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<CaseBehind>, StoreError> {
    cases_behind_within(store, behind, order, after, limit, FEW).await
}

/// The same, with another bound to how many rows are read and sorted before an index is walked instead.
pub async fn cases_behind_within(
    store: &Store,
    behind: &Behind,
    order: Order,
    after: Option<&Place>,
    limit: u32,
    few: i64,
) -> Result<Vec<CaseBehind>, StoreError> {
    if behind.is_revenue() {
        return charged::cases(store, behind, after, limit).await;
    }
    let buckets = behind.buckets();
    if buckets.is_empty() {
        return Ok(Vec::new());
    }
    let way = match (order, &behind.of.customer) {
        (Order::Day, None) => Way::Walk,
        _ => way(store, behind, few).await?,
    };
    let buckets = match way {
        Way::Walk => with_rows(store, behind, buckets).await?,
        _ => buckets,
    };
    if buckets.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Select { values: Vec::new(), behind, way };
    let rank = match order {
        Order::Cost => "case_cost_nanos",
        Order::Day => "day",
    };
    let sql = match way {
        Way::Walk => select.walk(&buckets, order, rank, after, limit),
        _ => {
            let which = select.which("f");
            let of = select.in_buckets("f", &buckets);
            let after = select.after(&format!("MAX(f.{rank})"), after);
            let having = if after.is_empty() { String::new() } else { format!(" HAVING {after}") };
            let limit = select.value(i64::from(limit));
            format!(
                "SELECT MAX(f.{rank}), f.customer, f.case_id FROM case_figures f WHERE {which} AND {of} \
                 GROUP BY f.customer, f.case_id{having} ORDER BY 1 DESC, 2 DESC, 3 DESC LIMIT {limit}"
            )
        }
    };
    let snapshot = store.snapshot().await?;
    let keys = all(&snapshot.tx, &sql, select.values)
        .await?
        .iter()
        .map(|row| Ok(CaseKey { customer: row.try_get_by_index(1)?, case: row.try_get_by_index(2)? }))
        .collect::<Result<Vec<CaseKey>, StoreError>>()?;
    told(&snapshot.tx, behind, keys).await
}

/// Their parts of the figure.
async fn told(
    on: &impl ConnectionTrait,
    behind: &Behind,
    keys: Vec<CaseKey>,
) -> Result<Vec<CaseBehind>, StoreError> {
    let mut contributions = contributions_on(on, &keys).await?;
    let mut held = cases::load_on(on, &keys).await?;
    let mut told = Vec::with_capacity(keys.len());
    for key in keys {
        let contribution: Contribution = contributions.remove(&key).unwrap_or_default();
        let (mut day, mut figures) = (i64::MIN, BTreeMap::<String, Figures>::new());
        for (cell, part) in contribution.iter().filter(|(cell, _)| behind.holds(cell)) {
            day = day.max(cell.day);
            let sum = figures.entry(cell.currency.clone()).or_default();
            *sum = sum.plus(*part).ok_or_else(overflow)?;
        }
        let verdict = held.remove(&key).map_or_else(|| "none".into(), |case| case.verdict);
        let whole_cost_nanos = whole_cost(&contribution);
        told.push(CaseBehind { key, verdict, day, figures, whole_cost_nanos, last_charge_at: None });
    }
    Ok(told)
}

fn overflow() -> StoreError {
    StoreError::Refused("the sums overflow; ask for fewer days".into())
}

/// What a figure comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// The figure, by currency, from the roll-ups: as in the report that shows it.
    pub figures: BTreeMap<String, Figures>,
    /// What of it is of no case, by currency, in nanos: by how much the price of periods differs from list prices. Of revenue alone;
    /// the cases add up to the rest.
    pub of_no_case: BTreeMap<String, i64>,
    /// How many cases are behind it; `None`: too many to count each time somebody looks.
    pub cases: Option<u64>,
}

/// What the cases behind a figure add up to, and how many they are.
pub async fn behind_total(store: &Store, behind: &Behind) -> Result<Total, StoreError> {
    if behind.is_revenue() {
        return charged::total(store, behind).await;
    }
    let mut figures: BTreeMap<String, Figures> = BTreeMap::new();
    for sum in sums(store, &behind.of, GroupBy::Reason).await? {
        let is_of_cases = behind.buckets().contains(&sum.bucket.as_str());
        let is_asked_for = behind.reason.as_ref().is_none_or(|reason| *reason == sum.key)
            && behind.currency.as_ref().is_none_or(|currency| *currency == sum.currency);
        if is_of_cases && is_asked_for {
            let total = figures.entry(sum.currency).or_default();
            *total = total.plus(sum.figures).ok_or_else(overflow)?;
        }
    }
    let buckets = behind.buckets();
    let way = way(store, behind, COUNTED).await?;
    let cases = match way {
        _ if buckets.is_empty() => Some(0),
        Way::Walk => None,
        way => {
            let mut select = Select { values: Vec::new(), behind, way };
            let (which, of) = (select.which("f"), select.in_buckets("f", &buckets));
            let sql = format!(
                "SELECT COUNT(*) FROM (SELECT DISTINCT f.customer, f.case_id FROM case_figures f WHERE {which} AND {of}) AS cases"
            );
            let rows = all(&store.db, &sql, select.values).await?;
            let count: i64 = rows.first().map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
            Some(count.unsigned_abs())
        }
    };
    Ok(Total { figures, of_no_case: BTreeMap::new(), cases })
}

/// How the rows of a figure are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All of the customer's rows are read.
    OfCustomer,
    /// All rows of the days and buckets are read.
    OfDays,
    /// The rows are read in the order that is wanted, until there are enough.
    Walk,
}

/// The roll-ups tell how many rows there are to read at most.
async fn way(store: &Store, behind: &Behind, most: i64) -> Result<Way, StoreError> {
    let count = async |slice: &Slice, by: GroupBy, buckets: &[&str]| -> Result<i64, StoreError> {
        let sums = sums(store, slice, by).await?;
        let of = sums.iter().filter(|sum| buckets.is_empty() || buckets.contains(&sum.bucket.as_str()));
        Ok(of.fold(0_i64, |count, sum| {
            count.saturating_add(sum.figures.attempts).saturating_add(sum.figures.outcomes)
        }))
    };
    let Slice { from, to, customer, .. } = &behind.of;
    if customer.is_some() {
        let always = Slice { from: i64::MIN, to: i64::MAX, customer: customer.clone(), ..Slice::default() };
        if count(&always, GroupBy::Customer, &[]).await? <= most {
            return Ok(Way::OfCustomer);
        }
    }
    let days = Slice { from: *from, to: *to, ..Slice::default() };
    match count(&days, GroupBy::Action, &behind.buckets()).await? <= most {
        true => Ok(Way::OfDays),
        false => Ok(Way::Walk),
    }
}

/// Of the buckets those in which the roll-ups have any rows that match: where there are none, a walk would look at all.
async fn with_rows(
    store: &Store,
    behind: &Behind,
    mut buckets: Vec<&'static str>,
) -> Result<Vec<&'static str>, StoreError> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
    let sums = sums(store, &behind.of, GroupBy::Reason).await?;
    let matching: Vec<_> = sums
        .iter()
        .filter(|sum| is(&behind.reason, &sum.key) && is(&behind.currency, &sum.currency))
        .collect();
    buckets.retain(|bucket| matching.iter().any(|sum| sum.bucket.as_str() == *bucket));
    Ok(buckets)
}

/// A statement that is being put together.
struct Select<'a> {
    values: Vec<Value>,
    behind: &'a Behind,
    way: Way,
}

impl Select<'_> {
    fn value(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// Which rows, but for their bucket. `|| ''` keeps a database from an index that the figures speak against: neither
    /// knows how many rows of an index match.
    fn which(&mut self, table: &str) -> String {
        let behind = self.behind;
        let (from, to) = (self.value(behind.of.from), self.value(behind.of.to));
        let mut which = format!("{table}.day >= {from} AND {table}.day < {to}");
        if let Some(customer) = &behind.of.customer {
            let customer = self.value(customer.as_str());
            let by_itself = if self.way == Way::OfCustomer { "" } else { " || ''" };
            which += &format!(" AND {table}.customer{by_itself} = {customer}");
        }
        for (column, wanted) in [
            ("agent", &behind.of.agent),
            ("provider", &behind.of.provider),
            ("model", &behind.of.model),
            ("action", &behind.of.action),
            ("currency", &behind.currency),
            ("reason", &behind.reason),
        ] {
            if let Some(wanted) = wanted {
                let wanted = self.value(wanted.as_str());
                which += &format!(" AND {table}.{column} = {wanted}");
            }
        }
        which
    }

    fn in_buckets(&mut self, table: &str, buckets: &[&str]) -> String {
        let list: Vec<String> = buckets.iter().map(|bucket| self.value(*bucket)).collect();
        let by_itself = if self.way == Way::OfDays { "" } else { " || ''" };
        format!("{table}.bucket{by_itself} IN ({})", list.join(", "))
    }

    fn after(&mut self, rank: &str, after: Option<&Place>) -> String {
        let Some(Place { rank: at, case }) = after else { return String::new() };
        let (at, customer) = (self.value(*at), self.value(case.customer.as_str()));
        let case = self.value(case.case.as_str());
        format!("({rank}, f.customer, f.case_id) < ({at}, {customer}, {case})")
    }

    /// Of each bucket the next ones in the order of its index: the first of all of these are the page.
    fn walk(
        &mut self,
        buckets: &[&str],
        order: Order,
        rank: &str,
        after: Option<&Place>,
        limit: u32,
    ) -> String {
        let which = self.which("f");
        let after = self.after(&format!("f.{rank}"), after);
        let after = if after.is_empty() { after } else { format!(" AND {after}") };
        // A case is listed at its last day, once.
        let later = match order {
            Order::Cost => String::new(),
            Order::Day => {
                let (which, of) = (self.which("l"), self.in_buckets("l", buckets));
                format!(
                    " AND NOT EXISTS (SELECT 1 FROM case_figures l WHERE l.customer = f.customer \
                     AND l.case_id = f.case_id AND l.day + 0 > f.day AND {which} AND {of})"
                )
            }
        };
        let limit = self.value(i64::from(limit));
        let in_order = "ORDER BY 1 DESC, 2 DESC, 3 DESC";
        let parts: Vec<String> = buckets
            .iter()
            .map(|name| {
                let bucket = self.value(*name);
                format!(
                    "SELECT * FROM (SELECT DISTINCT f.{rank}, f.customer, f.case_id FROM case_figures f \
                     WHERE f.bucket = {bucket} AND {which}{after}{later} {in_order} LIMIT {limit}) AS of_{name}"
                )
            })
            .collect();
        format!("{} {in_order} LIMIT {limit}", parts.join(" UNION "))
    }
}
