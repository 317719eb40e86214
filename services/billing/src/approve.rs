//! Drafts that wait for a person: kept up to date, and approved.

use crate::books::Books;
use verdict_domain::time::Timestamp;
use verdict_store::invoices::{self, Invoice, State};
use verdict_store::{Store, StoreError, outbox};

/// The step: drafts those invoices again that wait for approval and for whose period something was priced since. Answers how many.
pub async fn refresh_drafts(store: &Store, now: Timestamp) -> Result<usize, StoreError> {
    // Looked for in each pass: no writer waits for it.
    let snapshot = store.snapshot().await?;
    let stale = invoices::stale_drafts(&snapshot, None).await?;
    drop(snapshot);
    let mut refreshed = 0;
    for id in stale {
        let tx = store.begin().await?;
        tx.claim("close").await?;
        match refresh(&tx, &id, now).await {
            Ok(()) => {
                tx.commit().await?;
                refreshed += 1;
            }
            Err(error) if error.is_transient() => return Err(error),
            // One customer's trouble is not the others'.
            Err(error) => tracing::error!(%error, invoice = id, "a draft cannot be drafted again"),
        }
    }
    Ok(refreshed)
}

async fn refresh(tx: &verdict_store::Tx, id: &str, now: Timestamp) -> Result<(), StoreError> {
    // It may have been approved meanwhile.
    let found = invoices::find_in(tx, id).await?.filter(|invoice| invoice.state == State::Draft);
    let Some(invoice) = found else { return Ok(()) };
    Books::open(tx, &invoice.customer).await?.redraft(tx, id, now).await
}

/// Why an invoice was not approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// There is none of this id.
    #[error("there is no invoice `{0}`")]
    Unknown(String),
    /// It is final already, or belongs to a trial.
    #[error("invoice `{id}` is {state}: only a draft can be approved")]
    NotADraft {
        /// Which.
        id: String,
        /// What it is.
        state: &'static str,
    },
    /// Something was priced since it was looked at.
    #[error(
        "invoice `{id}` now totals {now_minor} minor units, not {seen_minor}: look at it again, then approve that"
    )]
    Changed {
        /// Which.
        id: String,
        /// What it totals now.
        now_minor: i64,
        /// What was to be approved.
        seen_minor: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a draft final, if it still totals `seen_minor` (where that is given) with all that is priced by now. With `push` it goes to the outbox.
pub async fn approve(
    store: &Store,
    id: &str,
    seen_minor: Option<i64>,
    by: &str,
    now: Timestamp,
    push: bool,
) -> Result<Invoice, ApproveError> {
    let tx = store.begin().await?;
    tx.claim("close").await?;
    let found = invoices::find_in(&tx, id).await?.ok_or_else(|| ApproveError::Unknown(id.into()))?;
    if found.state != State::Draft {
        return Err(ApproveError::NotADraft { id: id.into(), state: found.state.as_str() });
    }
    if invoices::stale_drafts(&tx, Some(&found.customer)).await?.iter().any(|stale| stale == id) {
        refresh(&tx, id, now).await?;
    }
    let found = invoices::find_in(&tx, id).await?.ok_or_else(|| ApproveError::Unknown(id.into()))?;
    if let Some(seen_minor) = seen_minor.filter(|seen| *seen != found.total_minor) {
        // The draft as it now is is kept, to be looked at.
        tx.commit().await.map_err(ApproveError::Store)?;
        return Err(ApproveError::Changed { id: id.into(), now_minor: found.total_minor, seen_minor });
    }
    invoices::approve(&tx, id, by, now).await?;
    if push && !found.lines.is_empty() {
        outbox::send_later(&tx, id).await?;
    }
    tx.commit().await.map_err(ApproveError::Store)?;
    Ok(Invoice { state: State::Final, approved: Some((now, by.into())), ..found })
}
