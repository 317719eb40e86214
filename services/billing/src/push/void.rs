//! The withdrawal of an invoice at Stripe, which only an operator asks for.
//!
//! It changes nothing here but what Stripe calls the invoice's state: the invoice stays a document, and what later
//! changes is still a difference to it.

use super::{Failure, Push, not_now};
use crate::stripe::InvoiceStatus;
use verdict_domain::document::Kind;
use verdict_store::invoices::{self, Invoice};
use verdict_store::{Store, StoreError, outbox};

/// What came of asking to void an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoidAsked {
    /// It is in line.
    Queued,
    /// It was asked for before; the errand is in this state: `waiting`, `parked` or `done`.
    Before(String),
    /// There is no such invoice.
    NotFound,
    /// It cannot be: the reason.
    Refused(String),
}

/// Asks to void an invoice at Stripe. The step *push* does it.
pub async fn void(store: &Store, id: &str) -> Result<VoidAsked, StoreError> {
    let Some(invoice) = invoices::find(store, id).await? else { return Ok(VoidAsked::NotFound) };
    if invoice.kind != Kind::Invoice {
        return Ok(VoidAsked::Refused("it is a credit note: void it at Stripe".into()));
    }
    let tx = store.begin().await?;
    if let Some(state) = outbox::state(&tx, &format!("void:{id}")).await? {
        return Ok(VoidAsked::Before(state));
    }
    if !outbox::void_later(&tx, id).await? {
        return Ok(VoidAsked::Refused("it was never sent to Stripe, so there is nothing to void".into()));
    }
    tx.commit().await?;
    Ok(VoidAsked::Queued)
}

impl Push<'_> {
    pub(super) async fn carry_void(&self, invoice: &Invoice) -> Result<String, Failure> {
        let Some(id) = &invoice.stripe_id else {
            return Err(Failure::Wrong(
                "it is not known which of Stripe's invoices it is".into(),
                "Void it at Stripe by hand, then settle this".into(),
            ));
        };
        let state = self.stripe.get_invoice(id).await?;
        match state.status {
            InvoiceStatus::Void => Ok(state.status.as_str().into()),
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {
                let key = self.key(&self.errand.id, "void").await?;
                Ok(self.stripe.void_invoice(&key, id).await?.status.as_str().into())
            }
            InvoiceStatus::Draft => Err(not_now(format!("Stripe's invoice {id} is not finalised yet"))),
            InvoiceStatus::Paid => Err(Failure::Wrong(
                format!("Stripe's invoice {id} is paid, and a paid one cannot be voided"),
                "Give the payment back at Stripe if it is to be, then settle this".into(),
            )),
        }
    }
}
