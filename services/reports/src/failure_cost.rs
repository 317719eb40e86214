//! The failure-cost report: figures by customer, agent, provider, model, action, reason or day.

use crate::rate::Rate;
use crate::unit::Unit;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use verdict_domain::economics::{Bucket, Figures};
use verdict_domain::money::divide_half_away;
use verdict_domain::time::day_text;
use verdict_store::figures::{self, GroupBy, Slice};
use verdict_store::{Store, StoreError};

/// What to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Of which figures.
    pub of: Slice,
    /// How to group.
    pub by: GroupBy,
}

/// The groupings, by name.
pub const GROUPINGS: [(&str, GroupBy); 7] = [
    ("customer", GroupBy::Customer),
    ("agent", GroupBy::Agent),
    ("provider", GroupBy::Provider),
    ("model", GroupBy::Model),
    ("action", GroupBy::Action),
    ("reason", GroupBy::Reason),
    ("day", GroupBy::Day),
];

/// Reads the name of a grouping; the message names those there are.
pub fn group_by(name: &str) -> Result<GroupBy, String> {
    let found = GROUPINGS.iter().find(|(known, _)| *known == name).map(|(_, by)| *by);
    found.ok_or_else(|| {
        let names: Vec<&str> = GROUPINGS.iter().map(|(name, _)| *name).collect();
        format!("by: `{name}` is none of {}", names.join(", "))
    })
}

/// The name of a grouping.
pub fn group_name(by: GroupBy) -> &'static str {
    // Each grouping is in the list.
    GROUPINGS.iter().find(|(_, known)| *known == by).map_or("", |(name, _)| name)
}

/// The figures of one group in one currency. Money is in nanos (10^-9) of `currency`; outcomes are counted
/// in the currency that their contract bills in, costs in the one that they were paid in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct Row {
    /// The customer, agent, provider, model, action, reason (`-`: none) or day; `total` in the totals.
    pub key: String,
    /// ISO 4217; `XXX`: outcomes that no contract covers.
    pub currency: String,
    /// Attempts.
    pub attempts: i64,
    /// Of these, whose model cost is unknown: their cost is in no sum.
    pub unknown_cost_attempts: i64,
    /// Attempts of won and billed episodes that did not fail.
    pub won_nanos: i64,
    /// Failed attempts of won and billed episodes.
    pub retry_nanos: i64,
    /// Attempts of episodes that were resolved and are not billed.
    pub free_nanos: i64,
    /// Attempts of failed episodes, and of those whose win was taken back.
    pub lost_nanos: i64,
    /// Attempts of episodes that are not decided.
    pub pending_nanos: i64,
    /// The five above.
    pub cost_nanos: i64,
    /// Of these, what was no model's cost.
    pub other_cost_nanos: i64,
    /// Confirmed outcomes.
    pub confirmed: i64,
    /// Assumed outcomes.
    pub assumed: i64,
    /// Episodes that failed.
    pub failed: i64,
    /// Outcomes that were taken back.
    pub void: i64,
    /// Episodes that are not decided, on the day of their last attempt.
    pub pending: i64,
    /// Charges less voids and corrections; trials are none.
    pub revenue_nanos: i64,
    /// What of this may be held against each other: all of it, if the group has money in this currency alone. In the totals,
    /// whatever the report is by: of the customers that have.
    pub one_currency: Unit,
    /// Revenue less cost; absent where some of the money is of a group that has it in more than one currency.
    pub margin_nanos: Option<i64>,
    /// Cost over confirmed and assumed outcomes of the group (in all currencies); absent without any.
    pub cost_per_resolution_nanos: Option<i64>,
    /// Of [`Unit`], where the margin is not absent.
    pub profit_per_attempt_nanos: Option<i64>,
    /// How often the episodes that are decided succeeded (in all currencies); absent without any.
    pub success: Option<Rate>,
}

/// A failure-cost report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FailureCost {
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// How it is grouped.
    pub by: String,
    /// A row for each group and currency.
    pub rows: Vec<Row>,
    /// The sums, by currency.
    pub totals: Vec<Row>,
}

/// Reports from the roll-ups.
pub async fn failure_cost(store: &Store, query: &Query) -> Result<FailureCost, StoreError> {
    let sums = figures::sums(store, &query.of, query.by).await?;
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut totals: BTreeMap<(String, String), Row> = BTreeMap::new();
    let mut units: BTreeMap<(String, String), Unit> = BTreeMap::new();
    let mut units_of_all: BTreeMap<(String, String), Unit> = BTreeMap::new();
    let overflow = || StoreError::Refused("the sums of the report overflow; ask for fewer days".into());
    let homes = Homes::new(&sums);
    // The groups of other reports may share a customer: in which currency its money is, customers tell.
    let by_customer = match query.by == GroupBy::Customer || homes.currencies.len() <= 1 {
        true => None,
        false => Some(figures::sums(store, &query.of, GroupBy::Customer).await?),
    };
    for sum in &sums {
        let key = match (query.by, sum.key.parse()) {
            (GroupBy::Day, Ok(day)) => day_text(day),
            _ => sum.key.clone(),
        };
        for (key, rows) in [(key.clone(), &mut rows), ("total".into(), &mut totals)] {
            let row = rows.entry((key, sum.currency.clone())).or_default();
            add(row, sum.bucket, &sum.figures).ok_or_else(overflow)?;
        }
        hold(sum, key, homes.of(&sum.key), &mut rows, &mut units).ok_or_else(overflow)?;
    }
    let homes_of_all = by_customer.as_deref().map(Homes::new);
    for sum in by_customer.as_ref().unwrap_or(&sums) {
        let home = match &homes_of_all {
            Some(homes) => homes.of(&sum.key),
            None if query.by == GroupBy::Customer => homes.of(&sum.key),
            None => homes.currencies.first().map(String::as_str),
        };
        hold(sum, "total".into(), home, &mut totals, &mut units_of_all).ok_or_else(overflow)?;
    }
    let mut rows = named(rows, units);
    let mut totals = named(totals, units_of_all);
    derive(&mut rows);
    derive(&mut totals);
    let by = group_name(query.by).to_string();
    Ok(FailureCost { from: day_text(query.of.from), to: day_text(query.of.to), by, rows, totals })
}

/// In which currency the money of a group is, if it is in one alone: only there may revenue be held against cost.
struct Homes {
    /// Of each key; `None`: in several.
    keys: BTreeMap<String, Option<String>>,
    /// All that there is.
    currencies: BTreeSet<String>,
}

/// By key and currency.
type By<T> = BTreeMap<(String, String), T>;

impl Homes {
    fn new(sums: &[figures::Sum]) -> Self {
        let (mut keys, mut currencies) = (BTreeMap::<String, Option<String>>::new(), BTreeSet::new());
        for sum in sums.iter().filter(|sum| has_money(sum)) {
            let home = keys.entry(sum.key.clone()).or_insert_with(|| Some(sum.currency.clone()));
            if home.as_ref() != Some(&sum.currency) {
                *home = None;
            }
            currencies.insert(sum.currency.clone());
        }
        Self { keys, currencies }
    }

    fn of(&self, key: &str) -> Option<&str> {
        self.keys.get(key)?.as_deref()
    }
}

/// Adds a sum to the unit of a row in the currency that its money is in, or notes that the row leaves it out. `None`: it does not fit.
fn hold(
    sum: &figures::Sum,
    key: String,
    home: Option<&str>,
    rows: &mut By<Row>,
    units: &mut By<Unit>,
) -> Option<()> {
    match home {
        Some(home) => units.entry((key, home.into())).or_default().add(sum.bucket, &sum.figures),
        None => {
            let row = rows.entry((key, sum.currency.clone())).or_default();
            row.one_currency.leaves_out |= has_money(sum);
            Some(())
        }
    }
}

fn has_money(sum: &figures::Sum) -> bool {
    sum.figures.cost_nanos != 0 || sum.figures.revenue_nanos != 0
}

fn named(rows: BTreeMap<(String, String), Row>, mut units: BTreeMap<(String, String), Unit>) -> Vec<Row> {
    let rows = rows.into_iter().map(|(name, row)| {
        let unit = units.remove(&name).unwrap_or_default();
        let leaves_out = row.one_currency.leaves_out;
        let (key, currency) = name;
        Row { key, currency, one_currency: Unit { leaves_out, ..unit }, ..row }
    });
    rows.collect()
}

fn add(row: &mut Row, bucket: Bucket, figures: &Figures) -> Option<()> {
    let mut attempts = |cost: fn(&mut Row) -> &mut i64| {
        row.attempts = row.attempts.checked_add(figures.attempts)?;
        row.unknown_cost_attempts = row.unknown_cost_attempts.checked_add(figures.unknown_costs)?;
        row.cost_nanos = row.cost_nanos.checked_add(figures.cost_nanos)?;
        row.other_cost_nanos = row.other_cost_nanos.checked_add(figures.other_cost_nanos)?;
        let cost = cost(row);
        *cost = cost.checked_add(figures.cost_nanos)?;
        Some(())
    };
    match bucket {
        Bucket::Pending => {
            attempts(|row| &mut row.pending_nanos)?;
            count(&mut row.pending, figures.outcomes)
        }
        Bucket::Won => attempts(|row| &mut row.won_nanos),
        Bucket::Retry => attempts(|row| &mut row.retry_nanos),
        Bucket::Free => attempts(|row| &mut row.free_nanos),
        Bucket::Lost => attempts(|row| &mut row.lost_nanos),
        Bucket::Confirmed => count(&mut row.confirmed, figures.outcomes),
        Bucket::Assumed => count(&mut row.assumed, figures.outcomes),
        Bucket::Failed => count(&mut row.failed, figures.outcomes),
        Bucket::Void => count(&mut row.void, figures.outcomes),
        Bucket::Revenue => count(&mut row.revenue_nanos, figures.revenue_nanos),
    }
}

pub(crate) fn count(to: &mut i64, more: i64) -> Option<()> {
    *to = to.checked_add(more)?;
    Some(())
}

/// What comes of the figures, from the rows of each key together.
fn derive(rows: &mut [Row]) {
    let mut decided: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for row in rows.iter() {
        let (wins, all) = decided.entry(row.key.clone()).or_default();
        *wins += row.confirmed + row.assumed;
        *all += row.confirmed + row.assumed + row.failed + row.void;
    }
    for row in rows {
        row.one_currency.derive();
        if !row.one_currency.leaves_out {
            row.margin_nanos = row.one_currency.margin_nanos;
            row.profit_per_attempt_nanos = row.one_currency.profit_per_attempt_nanos;
        }
        let (wins, all) = decided.get(&row.key).copied().unwrap_or_default();
        row.success = Rate::of(wins, all);
        if wins > 0 && row.cost_nanos != 0 {
            row.cost_per_resolution_nanos = divide_half_away(i128::from(row.cost_nanos), i128::from(wins));
        }
    }
}
