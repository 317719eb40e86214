//! What Stripe has, read to be compared with what we have: page by page, with what we wrote into its metadata.

use super::{Listed, Metadata, PAGE, Page, Stripe, StripeError};
use miniserde::Deserialize;
use stripe_billing::credit_note::{ListCreditNote, RetrieveCreditNote};
use stripe_billing::invoice::{ListInvoice, RetrieveInvoice};
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_types::RangeQueryTs;

/// An invoice or a credit note as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Stripe's id.
    pub id: String,
    /// Ours, by its metadata; `None` for one that we did not make.
    pub ours: Option<String>,
    /// Stripe's id of the customer.
    pub customer: Option<String>,
    /// ISO 4217, in upper case.
    pub currency: String,
    /// What it comes to without tax, in minor units; of a credit note, what it takes off, as a negative number.
    pub before_tax: i64,
    /// What Stripe calls its state.
    pub status: String,
}

/// One page of a list, newest first, and the cursor of the next.
pub type SeenPage = (Vec<Seen>, Option<String>);

impl Stripe {
    /// An invoice by its id at Stripe; `None` if there is none (any more).
    pub async fn see_invoice(&self, id: &str) -> Result<Option<Seen>, StripeError> {
        self.see::<InvoiceReply>(RetrieveInvoice::new(id).build()).await
    }

    /// A credit note by its id at Stripe; `None` if there is none.
    pub async fn see_credit_note(&self, id: &str) -> Result<Option<Seen>, StripeError> {
        self.see::<CreditNoteReply>(RetrieveCreditNote::new(id).build()).await
    }

    /// A page of the invoices created since then (Unix time).
    pub async fn see_invoices(&self, since: i64, after: Option<&str>) -> Result<SeenPage, StripeError> {
        let mut list = ListInvoice::new().limit(PAGE).created(RangeQueryTs::gte(since));
        if let Some(after) = after {
            list = list.starting_after(after);
        }
        self.see_page::<InvoiceReply>(list.build()).await
    }

    /// A page of the credit notes created since then (Unix time).
    pub async fn see_credit_notes(&self, since: i64, after: Option<&str>) -> Result<SeenPage, StripeError> {
        let mut list = ListCreditNote::new().limit(PAGE).created(RangeQueryTs::gte(since));
        if let Some(after) = after {
            list = list.starting_after(after);
        }
        self.see_page::<CreditNoteReply>(list.build()).await
    }

    async fn see<T: Deserialize + Into<Seen>>(
        &self,
        request: RequestBuilder,
    ) -> Result<Option<Seen>, StripeError> {
        match self.get::<T>(request).await {
            Ok(reply) => Ok(Some(reply.into())),
            Err(StripeError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn see_page<T: Listed + Into<Seen>>(
        &self,
        request: RequestBuilder,
    ) -> Result<SeenPage, StripeError> {
        let Page { data, has_more }: Page<T> = self.get(request).await?;
        let next = data.last().filter(|_| has_more).map(|object| object.id().to_owned());
        Ok((data.into_iter().map(Into::into).collect(), next))
    }
}

#[derive(Deserialize)]
struct InvoiceReply {
    id: String,
    status: Option<String>,
    total: i64,
    total_excluding_tax: Option<i64>,
    currency: String,
    customer: Option<String>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct CreditNoteReply {
    id: String,
    status: String,
    total: i64,
    total_excluding_tax: Option<i64>,
    currency: String,
    customer: Option<String>,
    metadata: Metadata,
}

impl From<InvoiceReply> for Seen {
    fn from(reply: InvoiceReply) -> Self {
        Self {
            id: reply.id,
            ours: named(reply.metadata, "verdict_invoice"),
            customer: reply.customer,
            currency: reply.currency.to_ascii_uppercase(),
            before_tax: reply.total_excluding_tax.unwrap_or(reply.total),
            status: reply.status.unwrap_or_default(),
        }
    }
}

impl From<CreditNoteReply> for Seen {
    fn from(reply: CreditNoteReply) -> Self {
        Self {
            id: reply.id,
            ours: named(reply.metadata, "verdict_credit_note"),
            customer: reply.customer,
            currency: reply.currency.to_ascii_uppercase(),
            before_tax: reply.total_excluding_tax.unwrap_or(reply.total).saturating_neg(),
            status: reply.status,
        }
    }
}

fn named(metadata: Metadata, name: &str) -> Option<String> {
    metadata.and_then(|mut metadata| metadata.remove(name))
}

impl Listed for InvoiceReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for CreditNoteReply {
    fn id(&self) -> &str {
        &self.id
    }
}
