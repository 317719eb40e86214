//! A provider's own bill beside what was recorded: covered, missing, excess.

#[cfg(test)]
mod tests;
mod text;

pub(crate) use text::model_name;
pub use text::{bill_csv, bill_table, what_differs};

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use verdict_domain::money::{self, decimal};
use verdict_domain::time::{Timestamp, day_text};
use verdict_store::provider_bills::{self, Bill, Billed, Recorded};
use verdict_store::{Store, StoreError};

/// The most imports that are listed beside a comparison.
const SHOWN_BILLS: u32 = 100;

/// By how much what was billed and what was recorded may differ and still agree: by either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// A share of what was billed, in 10^-9 of a per cent.
    pub percent_nanos: i64,
    /// An amount, in nanos of the currency.
    pub amount_nanos: i64,
}

impl Default for Tolerance {
    /// Half a per cent, and a hundredth of a unit.
    fn default() -> Self {
        Self { percent_nanos: 500_000_000, amount_nanos: 10_000_000 }
    }
}

impl Tolerance {
    /// Reads a per cent and an amount, such as `0.5` and `0.01`; what is not given is as by default. The message names the field.
    pub fn read(percent: Option<&str>, amount: Option<&str>) -> Result<Self, String> {
        let read = |field: &str, text: Option<&str>, default: i64| match text.filter(|text| !text.is_empty())
        {
            None => Ok(default),
            Some(text) => match money::parse_nanos(text) {
                Ok(nanos) if nanos >= 0 => Ok(nanos),
                Ok(_) => Err(format!("{field}: `{text}` is negative")),
                Err(error) => Err(format!("{field}: {error}")),
            },
        };
        let default = Self::default();
        Ok(Self {
            percent_nanos: read("tolerance_percent", percent, default.percent_nanos)?,
            amount_nanos: read("tolerance_amount", amount, default.amount_nanos)?,
        })
    }

    fn allows(self, difference: i64, billed: i64) -> bool {
        let (difference, billed) = (i128::from(difference).abs(), i128::from(billed).abs());
        // 100 per cent of 10^9 each.
        difference <= i128::from(self.amount_nanos)
            || difference * 100_000_000_000 <= billed * i128::from(self.percent_nanos)
    }
}

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillQuery {
    /// Whose bill, by the name that attempts have for the provider.
    pub provider: String,
    /// The first UTC day, counted from 1970-01-01.
    pub from: i64,
    /// The first UTC day after.
    pub to: i64,
    /// What the bill calls a model, and what attempts do.
    pub names: BTreeMap<String, String>,
    /// What still agrees.
    pub tolerance: Tolerance,
}

/// Reads `gpt-4o-2024-08-06=gpt-4o, …`: the bill's name of a model, and the attempts'. The message names the field.
pub fn model_names(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut names = BTreeMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (theirs, ours) = part
            .split_once('=')
            .map(|(theirs, ours)| (theirs.trim(), ours.trim()))
            .filter(|(theirs, ours)| !theirs.is_empty() && !ours.is_empty())
            .ok_or_else(|| format!("model_names: `{part}` is not like BILLS_NAME=ATTEMPTS_NAME"))?;
        if names.insert(theirs.to_string(), ours.to_string()).is_some() {
            return Err(format!("model_names: `{theirs}` is there twice"));
        }
    }
    Ok(names)
}

/// What became of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Agreement {
    /// What was billed was recorded, within the tolerance.
    Agrees,
    /// More was billed than recorded.
    Missing,
    /// More was recorded than billed.
    Excess,
    /// Of a sum: more here, less there.
    Differs,
    /// No bill tells of the day, or of none of the days.
    NotBilled,
}

impl Agreement {
    /// The name, as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Missing => "missing",
            Self::Excess => "excess",
            Self::Differs => "differs",
            Self::NotBilled => "not_billed",
        }
    }
}

/// What was billed and recorded, of a day and a model or of a sum of these. Money is in nanos (10^-9) of `currency`. Recorded is
/// what models cost; tools and the like are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BillRow {
    /// The UTC day; absent in sums over days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day: Option<String>,
    /// The model; empty: the bill names none. Absent in sums over models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// Whether both agree.
    pub agreement: Agreement,
    /// What was billed; absent where no bill tells of the day.
    pub billed_nanos: Option<i64>,
    /// What was recorded of days that were billed.
    pub recorded_nanos: i64,
    /// The lesser of both, of each day and model.
    pub covered_nanos: i64,
    /// What was billed beyond what was recorded: attempts that nobody told of, or whose cost is unknown.
    pub missing_nanos: i64,
    /// What was recorded beyond what was billed.
    pub excess_nanos: i64,
    /// What was recorded of days that no bill tells of: it is in none of the above.
    pub not_billed_nanos: i64,
    /// Attempts.
    pub attempts: i64,
    /// Of these, whose cost is unknown.
    pub unknown_cost_attempts: i64,
}

/// A model that only one side names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unmatched {
    /// Its name there.
    pub model: String,
    /// ISO 4217.
    pub currency: String,
    /// What was billed, or recorded, in nanos.
    pub nanos: i64,
}

/// An import that tells of these days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BillView {
    /// 1, 2, 3 … in the order of the imports.
    pub id: i64,
    /// What the file was called.
    pub file: String,
    /// Its SHA-256.
    pub sha256: String,
    /// By which columns it was read.
    pub read_as: String,
    /// How many of its lines say a cost.
    pub lines: i64,
    /// Who brought it.
    pub imported_by: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub imported_at: Timestamp,
    /// On how many of these days it says something.
    pub days: i64,
    /// On how many of these no newer bill does.
    pub counting_days: i64,
}

/// A provider's bill beside what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProviderBill {
    /// The provider.
    pub provider: String,
    /// The first UTC day.
    pub from: String,
    /// The first UTC day after.
    pub to: String,
    /// What still agrees: a share of what was billed in per cent.
    pub tolerance_percent: String,
    /// And an amount, in units of the currency.
    pub tolerance_amount: String,
    /// By currency.
    pub totals: Vec<BillRow>,
    /// By day and currency.
    pub days: Vec<BillRow>,
    /// By model and currency.
    pub models: Vec<BillRow>,
    /// By day, model and currency.
    pub rows: Vec<BillRow>,
    /// Models that were billed and not recorded, on any of the days.
    pub only_billed: Vec<Unmatched>,
    /// Models that were recorded and not billed, on days that were billed by model.
    pub only_recorded: Vec<Unmatched>,
    /// The imports that tell of these days, the newest first.
    pub bills: Vec<BillView>,
}

/// Compares the bill that counts with the daily figures. Both are of one moment; no attempt is read.
pub async fn provider_bill(store: &Store, query: &BillQuery) -> Result<ProviderBill, StoreError> {
    let snapshot = store.snapshot().await?;
    let billed = provider_bills::billed(&snapshot, &query.provider, query.from, query.to).await?;
    let recorded = provider_bills::recorded(&snapshot, &query.provider, query.from, query.to).await?;
    let days = (query.from, query.to);
    let bills = provider_bills::list(&snapshot, Some(&query.provider), days, SHOWN_BILLS).await?;
    compare(query, &billed, &recorded, bills)
        .ok_or_else(|| StoreError::Refused("what was billed adds up to more than 64 bits hold".into()))
}

/// What was billed and recorded of a day and a model.
#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    billed: Option<i64>,
    recorded: i64,
    attempts: i64,
    unknown: i64,
}

/// Compares: pure. `None` where a sum overflows.
fn compare(
    query: &BillQuery,
    billed: &[Billed],
    recorded: &[Recorded],
    bills: Vec<Bill>,
) -> Option<ProviderBill> {
    let billed_days: BTreeSet<i64> = billed.iter().map(|line| line.day).collect();
    // A day whose bill names no model is compared as a whole, in each currency of the bill.
    let by_model: BTreeSet<(i64, &str)> = billed
        .iter()
        .filter(|line| !line.model.is_empty())
        .map(|line| (line.day, line.currency.as_str()))
        .collect();
    let whole: BTreeSet<(i64, &str)> = billed
        .iter()
        .map(|line| (line.day, line.currency.as_str()))
        .filter(|day| !by_model.contains(day))
        .collect();

    let mut cells: BTreeMap<(i64, &str, &str), Sides> = BTreeMap::new();
    let mut only_billed: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    let mut only_recorded: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for line in billed {
        let model = query.names.get(&line.model).map_or(line.model.as_str(), String::as_str);
        let cell = cells.entry((line.day, model, &line.currency)).or_default();
        cell.billed = Some(cell.billed.unwrap_or(0).checked_add(line.nanos)?);
        if !model.is_empty() {
            let sum = only_billed.entry((model, &line.currency)).or_default();
            *sum = sum.checked_add(line.nanos)?;
        }
    }
    for line in recorded {
        let is_whole = whole.contains(&(line.day, line.currency.as_str()));
        let model = if is_whole { "" } else { line.model.as_str() };
        let cell = cells.entry((line.day, model, &line.currency)).or_default();
        cell.recorded = cell.recorded.checked_add(line.nanos)?;
        cell.attempts = cell.attempts.checked_add(line.attempts)?;
        cell.unknown = cell.unknown.checked_add(line.unknown_costs)?;
        if billed_days.contains(&line.day) && !is_whole {
            let sum = only_recorded.entry((model, &line.currency)).or_default();
            *sum = sum.checked_add(line.nanos)?;
        }
    }
    let matched: BTreeSet<(&str, &str)> =
        only_billed.keys().filter(|key| only_recorded.contains_key(*key)).copied().collect();
    only_billed.retain(|key, _| !matched.contains(key));
    only_recorded.retain(|key, _| !matched.contains(key));

    let tolerance = query.tolerance;
    let mut rows = Vec::with_capacity(cells.len());
    let (mut days, mut models, mut totals) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for ((day, model, currency), mut sides) in cells {
        // Of a day that was billed, a model that is not on the bill was billed at nothing.
        if billed_days.contains(&day) {
            sides.billed.get_or_insert(0);
        }
        let day = day_text(day);
        let row = row(Some(day.clone()), Some(model.to_string()), currency, sides, tolerance)?;
        let zero = |day, model| blank(day, model, currency);
        add(days.entry((day.clone(), currency)).or_insert_with(|| zero(Some(day), None)), &row)?;
        add(models.entry((model, currency)).or_insert_with(|| zero(None, Some(model.to_string()))), &row)?;
        add(totals.entry(currency).or_insert_with(|| zero(None, None)), &row)?;
        rows.push(row);
    }
    let summed = |mut row: BillRow| {
        row.agreement = agreement(&row, tolerance);
        row
    };
    let unmatched = |of: BTreeMap<(&str, &str), i64>| {
        let named = |((model, currency), nanos): ((&str, &str), i64)| Unmatched {
            model: model.into(),
            currency: currency.into(),
            nanos,
        };
        of.into_iter().map(named).collect()
    };
    Some(ProviderBill {
        provider: query.provider.clone(),
        from: day_text(query.from),
        to: day_text(query.to),
        tolerance_percent: decimal(tolerance.percent_nanos, 0),
        tolerance_amount: decimal(tolerance.amount_nanos, 2),
        totals: totals.into_values().map(summed).collect(),
        days: days.into_values().map(summed).collect(),
        models: models.into_values().map(summed).collect(),
        rows,
        only_billed: unmatched(only_billed),
        only_recorded: unmatched(only_recorded),
        bills: bills.into_iter().map(view).collect(),
    })
}

fn view(bill: Bill) -> BillView {
    BillView {
        id: bill.id,
        file: bill.file,
        sha256: bill.sha256,
        read_as: bill.read_as,
        lines: bill.lines,
        imported_by: bill.imported_by,
        imported_at: bill.imported_at,
        days: bill.days,
        counting_days: bill.counting_days,
    }
}

fn blank(day: Option<String>, model: Option<String>, currency: &str) -> BillRow {
    BillRow {
        day,
        model,
        currency: currency.into(),
        agreement: Agreement::NotBilled,
        billed_nanos: None,
        recorded_nanos: 0,
        covered_nanos: 0,
        missing_nanos: 0,
        excess_nanos: 0,
        not_billed_nanos: 0,
        attempts: 0,
        unknown_cost_attempts: 0,
    }
}

fn row(
    day: Option<String>,
    model: Option<String>,
    currency: &str,
    sides: Sides,
    tolerance: Tolerance,
) -> Option<BillRow> {
    let counted = BillRow {
        attempts: sides.attempts,
        unknown_cost_attempts: sides.unknown,
        ..blank(day, model, currency)
    };
    let Some(billed) = sides.billed else {
        return Some(BillRow { not_billed_nanos: sides.recorded, ..counted });
    };
    let covered = sides.recorded.min(billed);
    let mut row = BillRow {
        billed_nanos: Some(billed),
        recorded_nanos: sides.recorded,
        covered_nanos: covered,
        missing_nanos: billed.checked_sub(covered)?,
        excess_nanos: sides.recorded.checked_sub(covered)?,
        ..counted
    };
    row.agreement = agreement(&row, tolerance);
    Some(row)
}

fn add(sum: &mut BillRow, row: &BillRow) -> Option<()> {
    if let Some(billed) = row.billed_nanos {
        sum.billed_nanos = Some(sum.billed_nanos.unwrap_or(0).checked_add(billed)?);
    }
    for (sum, more) in [
        (&mut sum.recorded_nanos, row.recorded_nanos),
        (&mut sum.covered_nanos, row.covered_nanos),
        (&mut sum.missing_nanos, row.missing_nanos),
        (&mut sum.excess_nanos, row.excess_nanos),
        (&mut sum.not_billed_nanos, row.not_billed_nanos),
        (&mut sum.attempts, row.attempts),
        (&mut sum.unknown_cost_attempts, row.unknown_cost_attempts),
    ] {
        *sum = sum.checked_add(more)?;
    }
    Some(())
}

fn agreement(row: &BillRow, tolerance: Tolerance) -> Agreement {
    let Some(billed) = row.billed_nanos else { return Agreement::NotBilled };
    let is_missing = !tolerance.allows(row.missing_nanos, billed);
    let is_excess = !tolerance.allows(row.excess_nanos, billed);
    match (is_missing, is_excess) {
        (false, false) => Agreement::Agrees,
        (true, false) => Agreement::Missing,
        (false, true) => Agreement::Excess,
        (true, true) => Agreement::Differs,
    }
}
