//! Credit notes on finalised invoices.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::invoices::Status;
use crate::params::Params;
use crate::tax::{tax_on, taxes};
use crate::world::{Metadata, Page, Reply, World, merge};

const REASONS: &[&str] = &["duplicate", "fraudulent", "order_change", "product_unsatisfactory"];

/// How many lines Stripe shows inside a credit note; the others are listed on their own.
const LINES_SHOWN: usize = 10;

/// A line of a credit note.
struct CreditedLine {
    id: String,
    /// Of the invoice; none for a custom line.
    invoice_line: Option<String>,
    description: Option<String>,
    /// Before tax.
    amount: i64,
    taxed: bool,
}

impl CreditedLine {
    fn total(&self) -> i64 {
        self.amount + if self.taxed { tax_on(self.amount) } else { 0 }
    }

    fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "object": "credit_note_line_item",
            "amount": self.amount,
            "description": self.description,
            "discount_amount": 0,
            "discount_amounts": [],
            "livemode": false,
            "metadata": {},
            "pretax_credit_amounts": [],
            "quantity": 1,
            "tax_rates": [],
            "taxes": taxes(self.taxed, self.amount),
            "type": "custom_line_item",
            "unit_amount": self.amount,
            "unit_amount_decimal": self.amount.to_string(),
        });
        if let Some(line) = &self.invoice_line {
            shown["type"] = json!("invoice_line_item");
            shown["invoice_line_item"] = json!(line);
        }
        shown
    }
}

pub(crate) struct CreditNote {
    id: String,
    created: i64,
    customer: String,
    invoice: String,
    number: String,
    currency: String,
    memo: Option<String>,
    reason: Option<&'static str>,
    metadata: Metadata,
    lines: Vec<CreditedLine>,
    /// What was taken off before payment.
    before: i64,
    /// What was given back after payment, by refund, to the customer's balance, and outside of Stripe.
    refund: i64,
    credit: i64,
    out_of_band: i64,
}

impl CreditNote {
    fn after(&self) -> i64 {
        self.refund + self.credit + self.out_of_band
    }

    fn amount(&self) -> i64 {
        self.before + self.after()
    }

    pub fn show(&self) -> Value {
        let amount = self.amount();
        let before_tax: i64 = self.lines.iter().map(|line| line.amount).sum();
        let lines: Vec<Value> = self.lines.iter().take(LINES_SHOWN).map(CreditedLine::show).collect();
        let kind = match (self.before, self.after()) {
            (_, 0) => "pre_payment",
            (0, _) => "post_payment",
            _ => "mixed",
        };
        let refunds: Vec<Value> = (self.refund > 0)
            .then(|| {
                let refund = self.id.replacen("cn_", "re_", 1);
                json!({
                    "amount_refunded": self.refund, "payment_record_refund": null, "refund": refund, "type": "refund",
                })
            })
            .into_iter()
            .collect();
        json!({
            "id": self.id,
            "object": "credit_note",
            "amount": amount,
            "amount_shipping": 0,
            "created": self.created,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "customer_balance_transaction": (self.credit > 0).then(|| self.id.replacen("cn_", "cbtxn_", 1)),
            "discount_amount": 0,
            "discount_amounts": [],
            "effective_at": self.created,
            "invoice": self.invoice,
            "lines": {
                "object": "list",
                "data": lines,
                "has_more": self.lines.len() > LINES_SHOWN,
                "url": format!("/v1/credit_notes/{}/lines", self.id),
            },
            "livemode": false,
            "memo": self.memo,
            "metadata": self.metadata,
            "number": self.number,
            "out_of_band_amount": (self.out_of_band > 0).then_some(self.out_of_band),
            "pdf": format!("https://example.invalid/credit_notes/{}.pdf", self.id),
            "post_payment_amount": self.after(),
            "pre_payment_amount": self.before,
            "pretax_credit_amounts": [],
            "reason": self.reason,
            "refunds": refunds,
            "shipping_cost": null,
            "status": "issued",
            "subtotal": before_tax,
            "subtotal_excluding_tax": before_tax,
            "total": amount,
            "total_excluding_tax": before_tax,
            "total_taxes": taxes(self.lines.iter().any(|line| line.taxed), before_tax),
            "type": kind,
            "voided_at": null,
        })
    }
}

impl World {
    /// What is to be credited on an invoice: an amount, or lines, each custom or of the invoice.
    fn credited_lines(&mut self, invoice: &str, params: &mut Params) -> Result<Vec<CreditedLine>, ApiError> {
        let wrong = |name: &str, message: &str| Err(ApiError::parameter("parameter_invalid", name, message));
        let amount = params.integer("amount")?;
        let mut asked = Vec::new();
        if let Some(amount) = amount {
            asked.push((None, None, amount));
        }
        for n in 0.. {
            let name = |field: &str| format!("lines[{n}][{field}]");
            match params.one_of(&name("type"), &["custom_line_item", "invoice_line_item"])? {
                None => break,
                Some("custom_line_item") => {
                    let unit = params.integer(&name("unit_amount"))?.unwrap_or(0);
                    let quantity = params.integer(&name("quantity"))?.unwrap_or(1);
                    asked.push((None, params.text(&name("description")), unit * quantity));
                }
                Some(_) => {
                    let line = params.needed(&name("invoice_line_item"))?;
                    asked.push((Some(line), None, params.integer(&name("amount"))?.unwrap_or(0)));
                }
            }
        }
        if asked.is_empty() || (amount.is_some() && asked.len() > 1) {
            return wrong("lines", "Exactly one of `amount` and `lines` must be given.");
        }
        if asked.iter().any(|(_, _, amount)| *amount <= 0) {
            return wrong("lines", "The double credits positive amounts.");
        }
        let credited =
            self.invoice(invoice).ok_or_else(|| ApiError::dangling("invoice", invoice, "invoice"))?;
        let taxed = credited.automatic_tax;
        if taxed && asked.iter().any(|(line, _, _)| line.is_none()) {
            let message = "Custom line items are not valid on an invoice with automatic tax.";
            return Err(ApiError::state(None, message));
        }
        for (line, _, amount) in &asked {
            let Some(line) = line else { continue };
            let Some(item) = self.items_of(invoice).find(|item| item.line_id() == *line) else {
                return Err(ApiError::dangling("line item", line, "lines"));
            };
            let before: i64 = self
                .credit_notes
                .iter()
                .flat_map(|note| &note.lines)
                .filter(|credited| credited.invoice_line.as_ref() == Some(line))
                .map(|credited| credited.amount)
                .sum();
            if before + amount > item.amount {
                return Err(ApiError::state(None, "The credit notes would exceed the line's amount."));
            }
        }
        let lines = asked.into_iter().map(|(invoice_line, description, amount)| CreditedLine {
            id: self.next_id("cnli"),
            invoice_line,
            description,
            amount,
            taxed,
        });
        Ok(lines.collect())
    }

    /// Shows what a credit note would come to; how it would be split is not looked at.
    pub(crate) fn preview_credit_note(&mut self, mut params: Params) -> Reply {
        let invoice = params.needed("invoice")?;
        let lines = self.credited_lines(&invoice, &mut params)?;
        params.end()?;
        let credited =
            self.invoice(&invoice).ok_or_else(|| ApiError::dangling("invoice", &invoice, "invoice"))?;
        let amount: i64 = lines.iter().map(CreditedLine::total).sum();
        let before = amount.min(credited.remaining());
        let note = CreditNote {
            id: "cn_preview".to_owned(),
            created: self.now,
            customer: credited.customer.clone(),
            invoice: invoice.clone(),
            number: String::new(),
            currency: credited.currency.clone(),
            memo: None,
            reason: None,
            metadata: Metadata::new(),
            lines,
            before,
            refund: 0,
            credit: 0,
            out_of_band: amount - before,
        };
        Ok(note.show())
    }

    /// Credits what is unpaid first. What goes beyond it must be split exactly into refund, credit to the customer's
    /// balance, and money returned outside of Stripe. No more can be refunded than was paid through Stripe.
    pub(crate) fn create_credit_note(&mut self, mut params: Params) -> Reply {
        let invoice = params.needed("invoice")?;
        let lines = self.credited_lines(&invoice, &mut params)?;
        let amount: i64 = lines.iter().map(CreditedLine::total).sum();
        let mut part = |name| Ok::<i64, ApiError>(params.integer(name)?.unwrap_or(0));
        let refund = part("refund_amount")?;
        let credit = part("credit_amount")?;
        let out_of_band = part("out_of_band_amount")?;
        let (memo, reason) = (params.text("memo"), params.one_of("reason", REASONS)?);
        let metadata = merge(Metadata::new(), params.metadata()?);
        params.end()?;

        let credited =
            self.invoice(&invoice).ok_or_else(|| ApiError::dangling("invoice", &invoice, "invoice"))?;
        if !matches!(credited.status, Status::Open | Status::Paid) {
            return Err(ApiError::state(None, "You can only credit an invoice that is open or paid."));
        }
        let before = amount.min(credited.remaining());
        let after = amount - before;
        if refund < 0 || credit < 0 || out_of_band < 0 || refund + credit + out_of_band != after {
            let message = format!(
                "The sum of refund_amount, credit_amount and out_of_band_amount must equal the credit note's \
                 amount after payment ({after})."
            );
            return Err(ApiError::state(None, message));
        }
        let refunded: i64 =
            self.credit_notes.iter().filter(|note| note.invoice == invoice).map(|note| note.refund).sum();
        if refund > credited.paid_through_stripe() - refunded {
            return Err(ApiError::state(None, "The refund would exceed what was paid through Stripe."));
        }
        let creditable =
            self.total(credited) - credited.credited_before_payment - credited.credited_after_payment;
        if amount > creditable {
            return Err(ApiError::state(None, "The credit notes would exceed the invoice's total."));
        }
        let sequence = 1 + self.credit_notes.iter().filter(|note| note.invoice == invoice).count();
        let number = format!("{}-CN-{sequence:02}", credited.number());
        let (customer, currency) = (credited.customer.clone(), credited.currency.clone());

        let now = self.now;
        let credited = self.invoice_mut(&invoice)?;
        let was_open = credited.status == Status::Open;
        credited.credit_before_payment(before, now);
        credited.credited_after_payment += after;
        let paid_by_it = was_open && credited.status == Status::Paid;
        if let Ok(payer) = self.living_customer(&customer) {
            payer.balance -= credit;
        }
        let id = self.next_id("cn");
        let note = CreditNote {
            id,
            created: now,
            customer,
            invoice: invoice.clone(),
            number,
            currency,
            memo,
            reason,
            metadata,
            lines,
            before,
            refund,
            credit,
            out_of_band,
        };
        let shown = note.show();
        self.credit_notes.push(note);
        self.emit("credit_note.created", shown.clone());
        self.tell(
            &invoice,
            if paid_by_it { &["invoice.updated", "invoice.paid"] } else { &["invoice.updated"] },
        )?;
        Ok(shown)
    }

    pub(crate) fn list_credit_notes(&self, mut params: Params) -> Reply {
        let (page, created) = (Page::take(&mut params)?, params.created()?);
        let (customer, invoice) = (params.text("customer"), params.text("invoice"));
        params.end()?;
        let chosen = self.credit_notes.iter().filter(|note| {
            created.holds(note.created)
                && customer.as_ref().is_none_or(|customer| note.customer == *customer)
                && invoice.as_ref().is_none_or(|invoice| note.invoice == *invoice)
        });
        page.of("credit_note", "/v1/credit_notes", chosen, |note| &note.id, CreditNote::show)
    }

    pub(crate) fn retrieve_credit_note(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.credit_notes.iter().find(|note| note.id == id);
        found.map(CreditNote::show).ok_or_else(|| ApiError::not_found("credit_note", id))
    }

    pub(crate) fn list_credit_note_lines(&self, id: &str, mut params: Params) -> Reply {
        let page = Page::take(&mut params)?;
        params.end()?;
        let found = self.credit_notes.iter().find(|note| note.id == id);
        let note = found.ok_or_else(|| ApiError::not_found("credit_note", id))?;
        let url = format!("/v1/credit_notes/{id}/lines");
        page.of("credit_note_line_item", &url, note.lines.iter(), |line| &line.id, CreditedLine::show)
    }
}
