//! Credit notes on finalised invoices.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::invoices::Status;
use crate::params::Params;
use crate::world::{Metadata, Page, Reply, World, merge};

const REASONS: &[&str] = &["duplicate", "fraudulent", "order_change", "product_unsatisfactory"];

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
                "data": [{
                    "id": self.id.replacen("cn_", "cnli_", 1),
                    "object": "credit_note_line_item",
                    "amount": amount,
                    "description": self.memo,
                    "discount_amount": 0,
                    "discount_amounts": [],
                    "livemode": false,
                    "metadata": {},
                    "pretax_credit_amounts": [],
                    "quantity": 1,
                    "tax_rates": [],
                    "taxes": [],
                    "type": "custom_line_item",
                    "unit_amount": amount,
                    "unit_amount_decimal": amount.to_string(),
                }],
                "has_more": false,
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
            "subtotal": amount,
            "subtotal_excluding_tax": amount,
            "total": amount,
            "total_excluding_tax": amount,
            "total_taxes": [],
            "type": kind,
            "voided_at": null,
        })
    }
}

impl World {
    /// Credits what is unpaid first. What goes beyond it must be split exactly into refund, credit to the customer's
    /// balance, and money returned outside of Stripe.
    pub(crate) fn create_credit_note(&mut self, mut params: Params) -> Reply {
        let invoice = params.needed("invoice")?;
        let amount = params.integer("amount")?.filter(|amount| *amount > 0).ok_or_else(|| {
            ApiError::parameter("parameter_missing", "amount", "The double needs a positive `amount`.")
        })?;
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
}
