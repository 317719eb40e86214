//! Invoices at Stripe and what is on them.

use super::{Listed, Metadata, PAGE, Stripe, StripeError, currency, is, metadata};
use miniserde::Deserialize;
use stripe_billing::InvoiceCollectionMethod;
use stripe_billing::invoice::{
    CreateInvoice, CreateInvoiceAutomaticTax, CreateInvoicePendingInvoiceItemsBehavior,
    FinalizeInvoiceInvoice, ListInvoice, RetrieveInvoice, VoidInvoiceInvoice,
};
use stripe_billing::invoice_item::{CreateInvoiceItem, CreateInvoiceItemTaxBehavior, ListInvoiceItem};
use stripe_billing::invoice_line_item::ListInvoiceInvoiceLineItem;
use stripe_client_core::StripeRequest;

pub(super) const INVOICE: &str = "verdict_invoice";
const LINE: &str = "verdict_line";

/// How an invoice is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// By the customer's stored payment method.
    ChargeAutomatically,
    /// By the customer, on receipt.
    SendInvoice {
        /// Days from finalising until payment is due.
        days_until_due: u32,
    },
}

/// An empty draft to create.
#[derive(Debug, Clone)]
pub struct NewInvoice<'a> {
    /// Stripe's id of the customer.
    pub stripe_customer: &'a str,
    /// Our id of the invoice.
    pub verdict_invoice: &'a str,
    /// ISO 4217, in any case.
    pub currency: &'a str,
    /// Shown on the invoice.
    pub description: &'a str,
    /// How it is to be paid.
    pub collection: Collection,
    /// Whether Stripe adds tax to it.
    pub automatic_tax: bool,
}

/// A line to add to a draft.
#[derive(Debug, Clone)]
pub struct NewItem<'a> {
    /// Stripe's id of the customer.
    pub stripe_customer: &'a str,
    /// Stripe's id of the draft.
    pub stripe_invoice: &'a str,
    /// Our id of the invoice.
    pub verdict_invoice: &'a str,
    /// The line's number on our invoice.
    pub line: u32,
    /// The line's amount in the currency's minor unit; may be negative.
    pub amount_minor: i64,
    /// The invoice's currency.
    pub currency: &'a str,
    /// Shown on the line.
    pub description: &'a str,
    /// How many outcomes the line stands for. Kept as metadata: Stripe has no negative quantities.
    pub quantity: i64,
    /// The action that was priced.
    pub action: &'a str,
    /// Confirmed or assumed.
    pub kind: &'a str,
    /// Whether tax comes on top; Stripe must be told before it adds any.
    pub tax_on_top: bool,
}

/// Where an invoice stands at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceStatus {
    /// May still be changed.
    Draft,
    /// Finalised and awaiting payment.
    Open,
    /// Paid, or nothing was to be paid.
    Paid,
    /// Withdrawn.
    Void,
    /// Given up.
    Uncollectible,
}

impl InvoiceStatus {
    /// What Stripe calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

/// An invoice as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceState {
    /// Stripe's id.
    pub id: String,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// What it comes to in the currency's minor unit, with tax.
    pub total: i64,
    /// The same without tax: the sum of its lines.
    pub before_tax: i64,
    /// What is still to be paid.
    pub remaining: i64,
    /// What was paid through Stripe and not given back: so much can be refunded, at least.
    pub refundable: i64,
}

/// A line of an invoice as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemState {
    /// Stripe's id.
    pub id: String,
    /// The line's number on our invoice; `None` for a line that we did not make.
    pub line: Option<u32>,
    /// In the currency's minor unit.
    pub amount_minor: i64,
}

/// A finalised invoice's line as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineState {
    /// Stripe's id.
    pub id: String,
    /// In the currency's minor unit, before tax.
    pub amount_minor: i64,
}

impl Stripe {
    /// Creates an empty draft that Stripe neither finalises by itself nor fills with stray items.
    pub async fn create_invoice(&self, key: &str, new: &NewInvoice<'_>) -> Result<InvoiceState, StripeError> {
        let request = CreateInvoice::new()
            .customer(new.stripe_customer)
            .currency(currency(new.currency))
            .description(new.description)
            .auto_advance(false)
            .pending_invoice_items_behavior(CreateInvoicePendingInvoiceItemsBehavior::Exclude)
            .metadata(metadata([(INVOICE, new.verdict_invoice.to_owned())]));
        let request = match new.automatic_tax {
            true => request.automatic_tax(CreateInvoiceAutomaticTax::new(true)),
            false => request,
        };
        let request = match new.collection {
            Collection::ChargeAutomatically => {
                request.collection_method(InvoiceCollectionMethod::ChargeAutomatically)
            }
            Collection::SendInvoice { days_until_due } => {
                request.collection_method(InvoiceCollectionMethod::SendInvoice).days_until_due(days_until_due)
            }
        };
        self.post::<InvoiceReply>(key, &request).await?.state()
    }

    /// Finds the invoice made for ours, in whatever state.
    pub async fn find_invoice(
        &self,
        stripe_customer: &str,
        verdict_invoice: &str,
    ) -> Result<Option<InvoiceState>, StripeError> {
        let list = ListInvoice::new().limit(PAGE).customer(stripe_customer);
        self.walk(&list, |invoice: InvoiceReply| {
            is(&invoice.metadata, INVOICE, verdict_invoice).then(|| invoice.state())
        })
        .await
    }

    /// Adds a line to a draft and gives the id of the item. Stripe takes at most 250 on an invoice.
    pub async fn add_item(&self, key: &str, new: &NewItem<'_>) -> Result<String, StripeError> {
        let request = CreateInvoiceItem::new()
            .customer(new.stripe_customer)
            // An item without an invoice would end up on whichever is made next.
            .invoice(new.stripe_invoice)
            .amount(new.amount_minor)
            .currency(currency(new.currency))
            .description(new.description)
            .metadata(metadata([
                (INVOICE, new.verdict_invoice.to_owned()),
                (LINE, new.line.to_string()),
                ("verdict_quantity", new.quantity.to_string()),
                ("verdict_action", new.action.to_owned()),
                ("verdict_kind", new.kind.to_owned()),
            ]));
        let request = match new.tax_on_top {
            true => request.tax_behavior(CreateInvoiceItemTaxBehavior::Exclusive),
            false => request,
        };
        let item: ItemReply = self.post(key, &request).await?;
        Ok(item.id)
    }

    /// The lines of an invoice, newest first.
    pub async fn list_items(&self, stripe_invoice: &str) -> Result<Vec<ItemState>, StripeError> {
        let mut items = Vec::new();
        let list = ListInvoiceItem::new().limit(PAGE).invoice(stripe_invoice);
        self.walk(&list, |item: ItemReply| -> Option<Result<(), StripeError>> {
            items.push(item.state());
            None
        })
        .await?;
        Ok(items)
    }

    /// Finalises a draft; from then on Stripe sends it, collects and reminds by itself.
    pub async fn finalize_invoice(&self, key: &str, id: &str) -> Result<InvoiceState, StripeError> {
        self.post::<InvoiceReply>(key, &FinalizeInvoiceInvoice::new(id).auto_advance(true)).await?.state()
    }

    /// An invoice by its id at Stripe.
    pub async fn get_invoice(&self, id: &str) -> Result<InvoiceState, StripeError> {
        self.get::<InvoiceReply>(RetrieveInvoice::new(id).build()).await?.state()
    }

    /// Withdraws a finalised invoice that is not paid.
    pub async fn void_invoice(&self, key: &str, id: &str) -> Result<InvoiceState, StripeError> {
        self.post::<InvoiceReply>(key, &VoidInvoiceInvoice::new(id)).await?.state()
    }

    /// The lines that an invoice's items became, newest first.
    pub async fn list_lines(&self, stripe_invoice: &str) -> Result<Vec<LineState>, StripeError> {
        let mut lines = Vec::new();
        let list = ListInvoiceInvoiceLineItem::new(stripe_invoice).limit(PAGE);
        self.walk(&list, |line: LineReply| -> Option<Result<(), StripeError>> {
            lines.push(LineState { id: line.id, amount_minor: line.amount });
            None
        })
        .await?;
        Ok(lines)
    }
}

#[derive(Deserialize)]
struct InvoiceReply {
    id: String,
    status: Option<String>,
    total: i64,
    total_excluding_tax: Option<i64>,
    amount_remaining: i64,
    amount_paid: i64,
    amount_paid_off_stripe: i64,
    post_payment_credit_notes_amount: i64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct ItemReply {
    id: String,
    amount: i64,
    metadata: Metadata,
}

impl Listed for InvoiceReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for ItemReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl InvoiceReply {
    fn state(self) -> Result<InvoiceState, StripeError> {
        let status = match self.status.as_deref() {
            Some("draft") => InvoiceStatus::Draft,
            Some("open") => InvoiceStatus::Open,
            Some("paid") => InvoiceStatus::Paid,
            Some("void") => InvoiceStatus::Void,
            Some("uncollectible") => InvoiceStatus::Uncollectible,
            other => {
                return Err(StripeError::unknown(format!("invoice {} has status {other:?}", self.id)));
            }
        };
        let refundable =
            self.amount_paid - self.amount_paid_off_stripe - self.post_payment_credit_notes_amount;
        Ok(InvoiceState {
            id: self.id,
            status,
            total: self.total,
            before_tax: self.total_excluding_tax.unwrap_or(self.total),
            remaining: self.amount_remaining,
            refundable: refundable.max(0),
        })
    }
}

impl ItemReply {
    fn state(self) -> ItemState {
        let line = self.metadata.as_ref().and_then(|metadata| metadata.get(LINE)?.parse().ok());
        ItemState { id: self.id, line, amount_minor: self.amount }
    }
}

#[derive(Deserialize)]
struct LineReply {
    id: String,
    amount: i64,
}

impl Listed for LineReply {
    fn id(&self) -> &str {
        &self.id
    }
}
