//! Credit notes at Stripe.

use super::{Listed, Metadata, PAGE, Page, Stripe, StripeError, metadata};
use miniserde::Deserialize;
use stripe_billing::credit_note::{
    CreateCreditNote, CreateCreditNoteLines, CreateCreditNoteLinesType, ListCreditNote, PreviewCreditNote,
    PreviewCreditNoteLines, PreviewCreditNoteLinesType,
};
use stripe_billing::credit_note_line_item::ListCreditNoteCreditNoteLineItem;
use stripe_client_core::StripeRequest;
use stripe_shared::CreditNoteReason;

const CREDIT_NOTE: &str = "verdict_credit_note";

/// What a credit note credits, in the currency's minor unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credit {
    /// So much of the whole. Not for invoices with automatic tax, of which Stripe credits lines alone.
    Whole {
        /// How much.
        amount_minor: i64,
        /// Shown on the credit note.
        description: String,
    },
    /// So much of each of these lines (by their ids at Stripe), before tax: Stripe adds the tax on them.
    Lines(Vec<(String, i64)>),
}

/// Where the part of a credit note goes that was paid already, in the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Split {
    /// To the customer's balance: it lowers the next invoice.
    pub balance: i64,
    /// Back to the payment method.
    pub refund: i64,
}

/// A credit note to create.
#[derive(Debug, Clone)]
pub struct NewCreditNote<'a> {
    /// Stripe's id of the invoice; it must be open or paid.
    pub stripe_invoice: &'a str,
    /// Our id of the credit note.
    pub verdict_credit_note: &'a str,
    /// Printed on it.
    pub memo: &'a str,
    /// What is credited.
    pub credit: &'a Credit,
    /// What goes where of the part that was paid already: Stripe wants it to add up exactly.
    pub split: Split,
}

/// A credit note as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNoteState {
    /// Stripe's id.
    pub id: String,
    /// Our id; `None` for one that we did not make.
    pub verdict_credit_note: Option<String>,
    /// What Stripe calls its state: `issued` or `void`.
    pub status: String,
    /// What it comes to, with tax.
    pub total: i64,
    /// The same without tax.
    pub before_tax: i64,
    /// How much it takes off which of the invoice's lines, before tax.
    pub lines: Vec<(String, i64)>,
}

impl Stripe {
    /// Creates a credit note.
    pub async fn create_credit_note(
        &self,
        key: &str,
        new: &NewCreditNote<'_>,
    ) -> Result<CreditNoteState, StripeError> {
        let lines: Vec<CreateCreditNoteLines> = match new.credit {
            Credit::Whole { amount_minor, description } => {
                let mut line = CreateCreditNoteLines::new(CreateCreditNoteLinesType::CustomLineItem);
                line.description = Some(description.clone());
                line.quantity = Some(1);
                line.unit_amount = Some(*amount_minor);
                vec![line]
            }
            Credit::Lines(lines) => {
                let line = |(id, amount): &(String, i64)| {
                    let mut line = CreateCreditNoteLines::new(CreateCreditNoteLinesType::InvoiceLineItem);
                    line.invoice_line_item = Some(id.clone());
                    line.amount = Some(*amount);
                    line
                };
                lines.iter().map(line).collect()
            }
        };
        let mut request = CreateCreditNote::new(new.stripe_invoice)
            .lines(lines)
            .memo(new.memo)
            .reason(CreditNoteReason::OrderChange)
            .metadata(metadata([(CREDIT_NOTE, new.verdict_credit_note.to_owned())]));
        // A part of nothing would have Stripe look for a payment to give back.
        if new.split.balance > 0 {
            request = request.credit_amount(new.split.balance);
        }
        if new.split.refund > 0 {
            request = request.refund_amount(new.split.refund);
        }
        let note: CreditNoteReply = self.post(key, &request).await?;
        self.credit_note_state(note).await
    }

    /// What a credit note on these lines would come to with tax.
    pub async fn preview_credit_note(
        &self,
        stripe_invoice: &str,
        lines: &[(String, i64)],
    ) -> Result<i64, StripeError> {
        let line = |(id, amount): &(String, i64)| {
            let mut line = PreviewCreditNoteLines::new(PreviewCreditNoteLinesType::InvoiceLineItem);
            line.invoice_line_item = Some(id.clone());
            line.amount = Some(*amount);
            line
        };
        let lines: Vec<PreviewCreditNoteLines> = lines.iter().map(line).collect();
        let request = PreviewCreditNote::new(stripe_invoice).lines(lines);
        Ok(self.get::<PreviewReply>(request.build()).await?.total)
    }

    /// The credit notes of an invoice, newest first, in whatever state.
    pub async fn list_credit_notes(&self, stripe_invoice: &str) -> Result<Vec<CreditNoteState>, StripeError> {
        let mut notes = Vec::new();
        let list = ListCreditNote::new().limit(PAGE).invoice(stripe_invoice);
        self.walk(&list, |note: CreditNoteReply| -> Option<Result<(), StripeError>> {
            notes.push(note);
            None
        })
        .await?;
        let mut states = Vec::new();
        for note in notes {
            states.push(self.credit_note_state(note).await?);
        }
        Ok(states)
    }

    /// The credit note with all its lines, of which Stripe shows the first few.
    async fn credit_note_state(&self, note: CreditNoteReply) -> Result<CreditNoteState, StripeError> {
        let mut lines = note.lines.data;
        if note.lines.has_more {
            lines.clear();
            let list = ListCreditNoteCreditNoteLineItem::new(note.id.as_str()).limit(PAGE);
            self.walk(&list, |line: LineReply| -> Option<Result<(), StripeError>> {
                lines.push(line);
                None
            })
            .await?;
        }
        let line = |line: LineReply| Some((line.invoice_line_item?, line.amount));
        Ok(CreditNoteState {
            verdict_credit_note: note.metadata.and_then(|mut metadata| metadata.remove(CREDIT_NOTE)),
            id: note.id,
            status: note.status,
            total: note.total,
            before_tax: note.total_excluding_tax.unwrap_or(note.total),
            lines: lines.into_iter().filter_map(line).collect(),
        })
    }
}

#[derive(Deserialize)]
struct CreditNoteReply {
    id: String,
    status: String,
    total: i64,
    total_excluding_tax: Option<i64>,
    metadata: Metadata,
    lines: Page<LineReply>,
}

#[derive(Deserialize)]
struct LineReply {
    id: String,
    amount: i64,
    invoice_line_item: Option<String>,
}

#[derive(Deserialize)]
struct PreviewReply {
    total: i64,
}

impl Listed for CreditNoteReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for LineReply {
    fn id(&self) -> &str {
        &self.id
    }
}
