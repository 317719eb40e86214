//! Bills of model providers, by whichever door they come: stored, compared at once, and an alert where they differ.

use serde::Serialize;
use utoipa::ToSchema;
use verdict_domain::time::{Timestamp, day_text};
use verdict_intake::BillFile;
use verdict_reports::{BillQuery, Tolerance, provider_bill, what_differs};
use verdict_store::provider_bills::{self, NewBill};
use verdict_store::{Store, StoreError, alerts};

/// The kind of the alert; its subject is the provider.
const ALERT: &str = "provider_bill";
/// No name of an attempt's provider is longer.
const MOST_NAME: usize = 200;

/// What became of a bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportedBill {
    /// `imported`, or `duplicate`: this file was read like this before, and nothing changed.
    pub status: &'static str,
    /// Whose bill.
    pub provider: String,
    /// The SHA-256 of the file.
    pub sha256: String,
    /// By which columns it was read.
    pub read_as: String,
    /// How many of its rows say a cost.
    pub lines: u64,
    /// How many say none, or were not to be taken.
    pub left: u64,
    /// The first UTC day that it tells of.
    pub from: String,
    /// The first UTC day after the last one.
    pub to: String,
    /// In which way what was recorded of these days differs by more than half a per cent and a hundredth; absent where it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
}

/// Checks the name of a provider; the message names the field.
pub fn check_provider(provider: &str) -> Result<(), String> {
    match provider.is_empty() || provider.len() > MOST_NAME || provider.contains('\0') {
        true => Err("provider: say whose bill it is, by the name that attempts have, such as openai".into()),
        false => Ok(()),
    }
}

/// Stores a bill, and compares the days that it tells of with what was recorded: an alert says whether they differ.
pub async fn import(
    store: &Store,
    bill: BillFile,
    provider: &str,
    file: &str,
    by: &str,
    now: Timestamp,
) -> Result<ImportedBill, StoreError> {
    // A bill has at least one day.
    let days = || bill.amounts.keys().map(|(day, ..)| *day);
    let (from, to) = (days().min().unwrap_or_default(), days().max().unwrap_or_default() + 1);
    let new = NewBill {
        provider: provider.into(),
        sha256: bill.sha256.clone(),
        read_as: bill.read_as.clone(),
        file: file.into(),
        lines: i64::try_from(bill.lines).unwrap_or(i64::MAX),
        amounts: bill.amounts,
        imported_by: by.into(),
    };
    let tx = store.begin().await?;
    let is_new = provider_bills::import(&tx, &new, now).await?;
    tx.commit().await?;

    let tolerance = Tolerance::default();
    let query = BillQuery { provider: provider.into(), from, to, tolerance, ..BillQuery::default() };
    let differs = what_differs(&provider_bill(store, &query).await?, tolerance);
    if is_new {
        let tx = store.begin().await?;
        // What an earlier bill differed by is no matter any more.
        alerts::clear(&tx, ALERT, provider, now).await?;
        if let Some(text) = &differs {
            alerts::raise(&tx, ALERT, provider, text, now).await?;
        }
        tx.commit().await?;
    }
    Ok(ImportedBill {
        status: if is_new { "imported" } else { "duplicate" },
        provider: provider.into(),
        sha256: bill.sha256,
        read_as: bill.read_as,
        lines: bill.lines,
        left: bill.left,
        from: day_text(from),
        to: day_text(to),
        differs,
    })
}
