//! Objects of Stripe's by their ids, as they are now: what is asked when Stripe tells that something happened.

use super::invoices::INVOICE;
use super::{Listed, Metadata, Page, Stripe, StripeError};
use miniserde::Deserialize;
use stripe_client_core::{RequestBuilder, StripeMethod};

/// Where an invoice stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceNow {
    /// What Stripe calls its state.
    pub status: String,
    /// What was paid, in minor units.
    pub paid: i64,
    /// What is still to be paid, in minor units.
    pub remaining: i64,
    /// Our id of it, as its metadata has it.
    pub named: Option<String>,
}

/// Where a credit note stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNoteNow {
    /// What Stripe calls its state.
    pub status: String,
    /// Stripe's id of the invoice that it corrects.
    pub invoice: String,
    /// Our id of it, as its metadata has it.
    pub named: Option<String>,
}

/// Where a disputed payment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputeNow {
    /// What Stripe calls its state: `needs_response`, `won`, `lost`, …
    pub status: String,
    /// What is disputed, in minor units.
    pub amount: i64,
    /// In which currency, in lower case.
    pub currency: String,
    /// Why, in Stripe's words.
    pub reason: String,
    /// The payment that is disputed.
    pub payment_intent: Option<String>,
}

#[derive(Deserialize)]
struct InvoiceReply {
    status: String,
    amount_paid: i64,
    amount_remaining: i64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct CreditNoteReply {
    status: String,
    invoice: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct DisputeReply {
    status: String,
    amount: i64,
    currency: String,
    reason: String,
    payment_intent: Option<String>,
}

#[derive(Deserialize)]
struct CustomerReply {
    deleted: Option<bool>,
}

#[derive(Deserialize)]
struct InvoicePaymentReply {
    id: String,
    invoice: String,
}

impl Listed for InvoicePaymentReply {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Whether this can be an id of Stripe's: such as may stand in an address.
pub fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Stripe {
    async fn object<T: Deserialize>(&self, kind: &str, id: &str) -> Result<T, StripeError> {
        self.get(RequestBuilder::new(StripeMethod::Get, format!("/{kind}/{id}"))).await
    }

    /// An invoice as it is now.
    pub async fn invoice_now(&self, id: &str) -> Result<InvoiceNow, StripeError> {
        let reply: InvoiceReply = self.object("invoices", id).await?;
        Ok(InvoiceNow {
            status: reply.status,
            paid: reply.amount_paid,
            remaining: reply.amount_remaining,
            named: reply.metadata.and_then(|mut metadata| metadata.remove(INVOICE)),
        })
    }

    /// A credit note as it is now.
    pub async fn credit_note_now(&self, id: &str) -> Result<CreditNoteNow, StripeError> {
        let reply: CreditNoteReply = self.object("credit_notes", id).await?;
        let named = reply.metadata.and_then(|mut metadata| metadata.remove("verdict_credit_note"));
        Ok(CreditNoteNow { status: reply.status, invoice: reply.invoice, named })
    }

    /// A dispute as it is now.
    pub async fn dispute_now(&self, id: &str) -> Result<DisputeNow, StripeError> {
        let DisputeReply { status, amount, currency, reason, payment_intent } =
            self.object("disputes", id).await?;
        Ok(DisputeNow { status, amount, currency, reason, payment_intent })
    }

    /// Whether a customer was deleted. One that never was is refused with 404.
    pub async fn is_customer_deleted(&self, id: &str) -> Result<bool, StripeError> {
        Ok(self.object::<CustomerReply>("customers", id).await?.deleted == Some(true))
    }

    /// The invoices that a payment went to.
    pub async fn invoices_paid_by(&self, payment_intent: &str) -> Result<Vec<String>, StripeError> {
        let mut request = RequestBuilder::new(StripeMethod::Get, "/invoice_payments");
        request.query =
            Some(format!("payment[type]=payment_intent&payment[payment_intent]={payment_intent}&limit=100"));
        let page: Page<InvoicePaymentReply> = self.get(request).await?;
        Ok(page.data.into_iter().map(|payment| payment.invoice).collect())
    }
}
