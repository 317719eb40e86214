//! Reconciliation: whether each stretch of the line agrees with the one before it, to the minor unit. Three comparisons,
//! each of which reads page by page and changes nothing: facts with the ledger, the ledger with the lines of invoices,
//! invoices with what Stripe has.
//!
//! `docs/RECONCILIATION.md` lists the differences by name, and what to do about each.

mod facts;
mod lines;
mod stripe;

use crate::stripe::{Stripe, StripeError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::{Store, StoreError, Tx, access, alerts, status};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Facts with judged cases and what is posted for them.
    Facts,
    /// Settled outcomes with charges, lines, totals and figures.
    Lines,
    /// Invoices and credit notes with Stripe's.
    Stripe,
}

impl Comparison {
    /// All, in the order of the line.
    pub const ALL: [Self; 3] = [Self::Facts, Self::Lines, Self::Stripe];
}

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $remedy:literal;)+) => {
        /// What a difference is called.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Name {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Name {
            /// All of them, in the order of the line.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What a person should do about it.
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

names! {
    /// A case has facts, was never judged, and nothing says that it will be.
    UnjudgedCase = "unjudged_case",
        "Its mark was lost. Mark it, and it is judged: INSERT INTO cases_to_judge (customer, case_id) VALUES (…, …). Then find out who deleted marks.";
    /// A case is held, or something is posted for it, without any fact.
    FactsMissing = "facts_missing",
        "Facts are never deleted by the service: restore attempts and resolutions from a backup.";
    /// What is posted for a case is not what its facts say.
    LedgerDiffers = "ledger_differs",
        "Mark the case as for unjudged_case: judging it posts the difference. If somebody changed the ledger by hand, restore it instead.";
    /// What a case adds to the daily figures is not what its facts say.
    ContributionDiffers = "contribution_differs",
        "Mark the case as for unjudged_case: judging it posts the difference to the figures. For many: verdict figures rebuild.";
    /// A settled outcome has no price, is not parked and does not wait for one.
    UnpricedOutcome = "unpriced_outcome",
        "Its mark was lost. Mark it, and it is priced: INSERT INTO outcomes_to_rate (customer, case_id, seq) VALUES (…, …, …).";
    /// A charge is not what its outcome and its contract version say.
    ChargeDiffers = "charge_differs",
        "The service never changes a charge: restore the row, or set it to the figure that is expected.";
    /// A charge has no outcome.
    ChargeWithoutOutcome = "charge_without_outcome",
        "The service never deletes an outcome: restore it, or delete the charge if it is on no invoice.";
    /// A charge is on no invoice, though a period that it belongs to was closed after it was priced.
    ChargeLeftOff = "charge_left_off",
        "It goes on the customer's next invoice by itself. If its invoice_id was emptied by hand, set it back first: else it is billed twice.";
    /// The lines of all invoices about a period are not what its outcomes come to.
    LineDiffers = "line_differs",
        "The next closing that touches the period invoices the difference. If lines were changed by hand, restore them before that.";
    /// An invoice's total is not the sum of its lines.
    TotalDiffers = "total_differs",
        "The service writes both at once and never changes them: restore whichever was changed.";
    /// A day's revenue in the figures is not what charges and invoices come to.
    RevenueDiffers = "revenue_differs",
        "Reports are wrong by this much, invoices are not: verdict figures rebuild.";
    /// An invoice was carried to Stripe, and is not there.
    MissingAtStripe = "missing_at_stripe",
        "A draft can be deleted at Stripe, and a test account be emptied. Empty the invoice's stripe_id, set its errand in the outbox to waiting, and it is carried again.";
    /// Stripe has more than one invoice that names one of ours.
    TwiceAtStripe = "twice_at_stripe",
        "Void or delete at Stripe the one that is not stored here.";
    /// Something at Stripe names an invoice that we do not have.
    UnknownAtStripe = "unknown_at_stripe",
        "Another installation uses this account, or this database was restored from before it was sent: void it at Stripe if nobody owes it.";
    /// Stripe has an invoice that is not final here: a trial's, or one that waits to be approved.
    EarlyAtStripe = "early_at_stripe",
        "Void or delete it at Stripe: nothing of it should have left the house.";
    /// Stripe's invoice comes to another amount than ours.
    AmountDiffersAtStripe = "amount_differs_at_stripe",
        "Somebody edited it at Stripe: put it right there while it is a draft, else void it or credit the difference there.";
    /// Stripe's invoice is in another currency.
    CurrencyDiffersAtStripe = "currency_differs_at_stripe",
        "Void it at Stripe; whoever made it did not make it from ours.";
    /// Stripe's invoice is another customer's.
    CustomerDiffersAtStripe = "customer_differs_at_stripe",
        "Void it at Stripe, and look whether stripe_customers was changed.";
    /// An item of Stripe's invoice is not our line of its number.
    ItemDiffersAtStripe = "item_differs_at_stripe",
        "Somebody edited it at Stripe: put it right there while it is a draft, else credit the difference there.";
    /// Stripe's invoice was voided, though it is final here: nobody will pay it.
    VoidAtStripe = "void_at_stripe",
        "If the customer does not owe it, nothing is to be done; else issue it again at Stripe with the same lines.";
    /// Stripe's invoice is a draft still, though its errand is done: nobody was sent it.
    DraftAtStripe = "draft_at_stripe",
        "Finalise it at Stripe.";
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it is called.
    pub name: Name,
    /// Of what: a case (`CUSTOMER/CASE`), an invoice, a customer's day.
    pub subject: String,
    /// What should be, by what is compared with.
    pub expected: String,
    /// What is.
    pub found: String,
}

/// Of each name, so many differences are kept; all are counted.
const KEPT: usize = 50;

/// What a reconciliation came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconciled {
    /// When it began.
    pub at: Timestamp,
    /// Facts recorded, outcomes posted, periods ended and invoices drafted since then were compared; `None`: all.
    pub since: Option<Timestamp>,
    /// Which comparisons were made.
    pub compared: Vec<Comparison>,
    /// How many of what were looked at.
    pub checked: BTreeMap<String, u64>,
    /// What waits at the steps and is no difference: how many of what.
    pub waiting: BTreeMap<String, u64>,
    /// How many differences there are of each name.
    pub counts: BTreeMap<Name, u64>,
    /// The first of each name.
    pub differences: Vec<Difference>,
}

impl Reconciled {
    /// Whether all agrees.
    pub fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    fn differs(&mut self, name: Name, subject: String, expected: impl ToString, found: impl ToString) {
        let count = self.counts.entry(name).or_default();
        *count += 1;
        if *count <= KEPT as u64 {
            let (expected, found) = (expected.to_string(), found.to_string());
            self.differences.push(Difference { name, subject, expected, found });
        }
    }

    /// The same of two figures, where they differ.
    fn compare<T: PartialEq + ToString>(&mut self, name: Name, subject: &str, expected: T, found: T) {
        if expected != found {
            self.differs(name, subject.into(), expected, found);
        }
    }

    fn checked(&mut self, what: &str, count: usize) {
        *self.checked.entry(what.into()).or_default() += count as u64;
    }

    fn waits(&mut self, what: &str, count: u64) {
        if count > 0 {
            *self.waiting.entry(what.into()).or_default() += count;
        }
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Stripe, which could not be asked.
    #[error("Stripe could not be asked: {0}")]
    Stripe(#[from] StripeError),
    /// Sums that do not fit 64 bits.
    #[error("{0}")]
    Overflow(String),
}

/// How many cases, or invoices, are in memory at once.
const PAGE: u32 = 1_000;

/// Compares. Without `stripe` that comparison is left out. `now` is the service's time.
pub async fn reconcile(
    store: &Store,
    stripe: Option<&Stripe>,
    comparisons: &[Comparison],
    since: Option<Timestamp>,
    now: Timestamp,
) -> Result<Reconciled, ReconcileError> {
    let mut reconciled = Reconciled {
        at: now,
        since,
        compared: Vec::new(),
        checked: BTreeMap::new(),
        waiting: BTreeMap::new(),
        counts: BTreeMap::new(),
        differences: Vec::new(),
    };
    let from = since.unwrap_or(Timestamp(0));
    for comparison in Comparison::ALL.into_iter().filter(|comparison| comparisons.contains(comparison)) {
        match (comparison, stripe) {
            (Comparison::Facts, _) => facts::compare(store, from, now, &mut reconciled).await?,
            (Comparison::Lines, _) => lines::compare(store, from, now, &mut reconciled).await?,
            (Comparison::Stripe, Some(stripe)) => {
                stripe::compare(store, stripe, from, &mut reconciled).await?
            }
            (Comparison::Stripe, None) => continue,
        }
        reconciled.compared.push(comparison);
    }
    let left = status(store).await?;
    for (what, count) in [
        ("deliveries_to_map", left.deliveries_to_map),
        ("cases_to_judge", left.cases_to_judge),
        ("outcomes_to_rate", left.outcomes_to_rate),
        ("pushes_waiting", left.pushes_waiting),
        ("parked", left.parked),
    ] {
        reconciled.waits(what, count.unsigned_abs());
    }
    Ok(reconciled)
}

const ALERT: &str = "reconcile";
const LAST_RUN: &str = "reconciled_at";
const RESULT: &str = "reconciliation";

/// Remembers a result that is of all comparisons that can be made, and raises an alert for each name that has
/// differences; what is gone is cleared.
pub async fn remember(store: &Store, reconciled: &Reconciled, now: Timestamp) -> Result<(), StoreError> {
    let text = serde_json::to_string(reconciled).map_err(|error| StoreError::Refused(error.to_string()))?;
    access::set_setting(store, RESULT, &text).await?;
    let tx = store.begin().await?;
    for name in Name::ALL {
        match reconciled.counts.get(name) {
            Some(count) => raise(&tx, reconciled, *name, *count, now).await?,
            None => drop(alerts::clear(&tx, ALERT, name.as_str(), now).await?),
        }
    }
    tx.commit().await
}

async fn raise(
    tx: &Tx,
    reconciled: &Reconciled,
    name: Name,
    count: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let of_name = reconciled.differences.iter().filter(|difference| difference.name == name);
    let first: Vec<&str> = of_name.take(3).map(|difference| difference.subject.as_str()).collect();
    let text = format!("{count} found, first {}. {}", first.join(", "), name.remedy());
    if alerts::raise(tx, ALERT, name.as_str(), &text, now).await? {
        tracing::warn!(name = name.as_str(), count, "what should agree differs: see GET /v1/reconciliation");
    }
    Ok(())
}

/// The last result that was remembered.
pub async fn last(store: &Store) -> Result<Option<Reconciled>, StoreError> {
    let Some(text) = access::setting(store, RESULT).await? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| StoreError::Corrupt(format!("{RESULT}: {error}")))
}

/// A scheduled run looks back so far: what is older was compared when it was newer.
const LOOKS_BACK: Span = Span::hours(62 * 24);

/// The step: reconciles if the last run is at least `every` ago by the wall clock, `wall`; Stripe is asked things, which
/// knows no other. Answers whether it did. The first run is one `every` after the first call. Of several processes, one runs
/// it.
pub async fn reconcile_if_due(
    store: &Store,
    stripe: Option<&Stripe>,
    every: Span,
    now: Timestamp,
    wall: Timestamp,
) -> Result<bool, ReconcileError> {
    if every.0 == 0 {
        return Ok(false);
    }
    let last = access::setting(store, LAST_RUN).await?.as_deref().and_then(Timestamp::parse);
    if last.is_some_and(|last| last.plus(every) > wall) {
        return Ok(false);
    }
    // Moved on first: what fails is tried again when it is due again, and nobody else begins it meanwhile.
    let (before, begun) = (last.map(|at| at.to_string()), wall.to_string());
    if !access::replace_setting(store, LAST_RUN, before.as_deref(), &begun).await? || last.is_none() {
        return Ok(false);
    }
    let since = Timestamp(now.0.saturating_sub(LOOKS_BACK.0).max(0));
    let reconciled = reconcile(store, stripe, &Comparison::ALL, Some(since), now).await?;
    remember(store, &reconciled, now).await?;
    tracing::info!(differences = reconciled.counts.values().sum::<u64>(), "reconciled");
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_and_its_remedy_are_written_down() {
        let page = include_str!("../../../docs/RECONCILIATION.md");
        for name in Name::ALL {
            let (row, remedy) = (format!("| `{}` |", name.as_str()), format!("| {} |", name.remedy()));
            let found = page.lines().any(|line| line.starts_with(&row) && line.ends_with(&remedy));
            assert!(found, "docs/RECONCILIATION.md says nothing else of {row}");
            let json = serde_json::to_string(name).unwrap_or_default();
            assert_eq!(json, format!("\"{}\"", name.as_str()), "it is written in one way");
        }
        assert_eq!(page.lines().filter(|line| line.starts_with("| `")).count(), Name::ALL.len());
    }
}
