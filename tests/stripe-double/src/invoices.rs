//! Invoices: draft, then open, then paid, void or uncollectible.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::items::Item;
use crate::params::Params;
use crate::tax::{tax_on, taxes};
use crate::world::{Metadata, Page, Reply, World, merge};

const DAY: i64 = 24 * 60 * 60;
/// How many lines Stripe shows inside an invoice; the others are listed on their own.
const LINES_SHOWN: usize = 10;
const COLLECTION_METHODS: &[&str] = &["charge_automatically", "send_invoice"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Draft,
    Open,
    Paid,
    Void,
    Uncollectible,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

pub(crate) struct Invoice {
    pub id: String,
    pub created: i64,
    pub customer: String,
    pub currency: String,
    pub status: Status,
    pub description: Option<String>,
    pub metadata: Metadata,
    pub automatic_tax: bool,
    auto_advance: bool,
    collection_method: &'static str,
    days_until_due: Option<i64>,
    due_date: Option<i64>,
    number: Option<String>,
    /// What remains to be settled by the finalised invoice: its total and the customer's balance, less what credit
    /// notes took off before payment.
    due: i64,
    /// The customer's balance before and after finalising.
    balances: Option<(i64, i64)>,
    amount_paid: i64,
    paid_off_stripe: i64,
    pub credited_before_payment: i64,
    pub credited_after_payment: i64,
    finalized_at: Option<i64>,
    paid_at: Option<i64>,
    voided_at: Option<i64>,
    marked_uncollectible_at: Option<i64>,
}

impl Invoice {
    pub fn remaining(&self) -> i64 {
        self.due - self.amount_paid
    }

    pub fn paid_through_stripe(&self) -> i64 {
        self.amount_paid - self.paid_off_stripe
    }

    pub fn number(&self) -> &str {
        self.number.as_deref().unwrap_or_default()
    }

    /// Takes a credit note off what is due. Without anything left to pay, the invoice is paid.
    pub fn credit_before_payment(&mut self, amount: i64, now: i64) {
        self.credited_before_payment += amount;
        self.due -= amount;
        self.settle_if_nothing_is_due(now);
    }

    fn settle_if_nothing_is_due(&mut self, now: i64) {
        if self.status == Status::Open && self.remaining() == 0 {
            self.status = Status::Paid;
            self.paid_at = Some(now);
        }
    }
}

/// What was asked about how and when an invoice is to be paid.
struct Terms {
    collection_method: Option<&'static str>,
    days_until_due: Option<i64>,
    due_date: Option<i64>,
}

impl Terms {
    fn take(params: &mut Params) -> Result<Self, ApiError> {
        Ok(Self {
            collection_method: params.one_of("collection_method", COLLECTION_METHODS)?,
            days_until_due: params.integer("days_until_due")?,
            due_date: params.integer("due_date")?,
        })
    }

    fn check(&self, collection_method: &str, email: Option<&String>) -> Result<(), ApiError> {
        let dated = self.days_until_due.is_some() || self.due_date.is_some();
        let sent = collection_method == "send_invoice";
        let wrong = |message: &str| Err(ApiError::state(None, message));
        if sent && !dated {
            return wrong(
                "An invoice with collection_method `send_invoice` needs `days_until_due` or `due_date`.",
            );
        }
        if !sent && dated {
            return wrong("Only an invoice with collection_method `send_invoice` can have a due date.");
        }
        if self.days_until_due.is_some() && self.due_date.is_some() {
            return wrong("You may only specify one of these parameters: days_until_due, due_date.");
        }
        if self.days_until_due.is_some_and(|days| !(0..=3650).contains(&days)) {
            return wrong("Invalid days_until_due.");
        }
        if sent && email.is_none() {
            return wrong("Missing email. A customer that invoices are sent to must have a valid email.");
        }
        Ok(())
    }
}

impl World {
    pub(crate) fn invoice(&self, id: &str) -> Option<&Invoice> {
        self.invoices.iter().find(|invoice| invoice.id == id)
    }

    pub(crate) fn invoice_mut(&mut self, id: &str) -> Result<&mut Invoice, ApiError> {
        let found = self.invoices.iter_mut().find(|invoice| invoice.id == id);
        found.ok_or_else(|| ApiError::not_found("invoice", id))
    }

    /// What the lines come to.
    pub(crate) fn subtotal(&self, invoice: &Invoice) -> i64 {
        self.items_of(&invoice.id).map(|item| item.amount).sum()
    }

    pub(crate) fn tax(&self, invoice: &Invoice) -> i64 {
        match invoice.automatic_tax {
            true => self.items_of(&invoice.id).map(|item| tax_on(item.amount)).sum(),
            false => 0,
        }
    }

    pub(crate) fn total(&self, invoice: &Invoice) -> i64 {
        self.subtotal(invoice) + self.tax(invoice)
    }

    pub(crate) fn create_invoice(&mut self, mut params: Params) -> Reply {
        let customer = params.needed("customer")?;
        let currency = params.currency("currency")?.unwrap_or_else(|| "usd".to_owned());
        let description = params.text("description");
        let metadata = merge(Metadata::new(), params.metadata()?);
        let auto_advance = params.flag("auto_advance")?.unwrap_or(false);
        let automatic_tax = params.flag("automatic_tax[enabled]")?.unwrap_or(false);
        let pending = params.one_of("pending_invoice_items_behavior", &["exclude", "include"])?;
        let terms = Terms::take(&mut params)?;
        params.end()?;

        let collection_method = terms.collection_method.unwrap_or("charge_automatically");
        let payer = self.living_customer(&customer)?;
        terms.check(collection_method, payer.email.as_ref())?;
        if automatic_tax && payer.country.is_none() {
            let message = "The customer's location isn't recognized. Set a valid customer address in order to \
                           automatically calculate tax.";
            return Err(ApiError::state(Some("customer_tax_location_invalid"), message));
        }
        let id = self.next_id("in");
        if pending == Some("include") && automatic_tax {
            return Err(ApiError::state(None, "The double puts no pending items on taxed invoices."));
        }
        if pending == Some("include") {
            let taken = |item: &&mut Item| {
                item.invoice.is_none() && item.customer == customer && item.currency == currency
            };
            self.items.iter_mut().filter(taken).for_each(|item| item.invoice = Some(id.clone()));
        }
        self.invoices.push(Invoice {
            id: id.clone(),
            created: self.now,
            customer,
            currency,
            status: Status::Draft,
            description,
            metadata,
            automatic_tax,
            auto_advance,
            collection_method,
            days_until_due: terms.days_until_due,
            due_date: terms.due_date,
            number: None,
            due: 0,
            balances: None,
            amount_paid: 0,
            paid_off_stripe: 0,
            credited_before_payment: 0,
            credited_after_payment: 0,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            marked_uncollectible_at: None,
        });
        self.tell(&id, &["invoice.created"])
    }

    /// Shows an invoice after a change, and notes what happened to it.
    pub(crate) fn tell(&mut self, id: &str, events: &[&str]) -> Reply {
        let invoice = self.invoice(id).ok_or_else(|| ApiError::not_found("invoice", id))?;
        let shown = self.show_invoice(invoice);
        for event in events {
            self.emit(event, shown.clone());
        }
        Ok(shown)
    }

    pub(crate) fn list_invoices(&self, mut params: Params) -> Reply {
        let (page, created, customer) =
            (Page::take(&mut params)?, params.created()?, params.text("customer"));
        let status = params.one_of("status", &["draft", "open", "paid", "uncollectible", "void"])?;
        let collection_method = params.one_of("collection_method", COLLECTION_METHODS)?;
        params.end()?;
        let chosen = self.invoices.iter().filter(|invoice| {
            created.holds(invoice.created)
                && customer.as_ref().is_none_or(|customer| invoice.customer == *customer)
                && status.is_none_or(|status| invoice.status.name() == status)
                && collection_method.is_none_or(|method| invoice.collection_method == method)
        });
        page.of(
            "invoice",
            "/v1/invoices",
            chosen,
            |invoice| &invoice.id,
            |invoice| self.show_invoice(invoice),
        )
    }

    pub(crate) fn retrieve_invoice(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.invoice(id);
        found.map(|invoice| self.show_invoice(invoice)).ok_or_else(|| ApiError::not_found("invoice", id))
    }

    pub(crate) fn list_lines(&self, id: &str, mut params: Params) -> Reply {
        let page = Page::take(&mut params)?;
        params.end()?;
        let taxed = self.invoice(id).ok_or_else(|| ApiError::not_found("invoice", id))?.automatic_tax;
        // Lines are kept under the ids of their items, which differ in the prefix only.
        let page = page.map_cursor(|line| line.replacen("il_", "ii_", 1));
        let url = format!("/v1/invoices/{id}/lines");
        page.of("line_item", &url, self.items_of(id), |item| &item.id, |item| item.show_as_line(taxed))
    }

    pub(crate) fn update_invoice(&mut self, id: &str, mut params: Params) -> Reply {
        let metadata = params.metadata()?;
        let auto_advance = params.flag("auto_advance")?;
        let description = params.text("description");
        let terms = Terms::take(&mut params)?;
        params.end()?;

        let invoice = self.invoice(id).ok_or_else(|| ApiError::not_found("invoice", id))?;
        let asks_terms =
            terms.collection_method.is_some() || terms.days_until_due.is_some() || terms.due_date.is_some();
        if invoice.status != Status::Draft && (asks_terms || description.is_some()) {
            let message = "Finalized invoices can't be updated in this way.";
            return Err(ApiError::state(Some("invoice_not_editable"), message));
        }
        let collection_method = terms.collection_method.unwrap_or(invoice.collection_method);
        if asks_terms {
            let payer = self.customers.iter().find(|customer| customer.id == invoice.customer);
            terms.check(collection_method, payer.and_then(|payer| payer.email.as_ref()))?;
        }
        let invoice = self.invoice_mut(id)?;
        if asks_terms {
            invoice.collection_method = collection_method;
            invoice.days_until_due = terms.days_until_due;
            invoice.due_date = terms.due_date;
        }
        invoice.description = description.or(invoice.description.take());
        invoice.auto_advance = auto_advance.unwrap_or(invoice.auto_advance);
        invoice.metadata = merge(std::mem::take(&mut invoice.metadata), metadata);
        self.tell(id, &["invoice.updated"])
    }

    pub(crate) fn delete_invoice(&mut self, id: &str, params: Params) -> Reply {
        params.end()?;
        let at = self.invoices.iter().position(|invoice| invoice.id == id);
        let at = at.ok_or_else(|| ApiError::not_found("invoice", id))?;
        if self.invoices[at].status != Status::Draft {
            return Err(ApiError::state(Some("invoice_not_editable"), "You can only delete draft invoices."));
        }
        let shown = self.show_invoice(&self.invoices[at]);
        self.invoices.remove(at);
        self.items.retain(|item| item.invoice.as_deref() != Some(id));
        self.emit("invoice.deleted", shown);
        Ok(json!({ "id": id, "object": "invoice", "deleted": true }))
    }

    pub(crate) fn finalize_invoice(&mut self, id: &str, mut params: Params) -> Reply {
        let auto_advance = params.flag("auto_advance")?;
        params.end()?;
        let now = self.now;
        let invoice = self.invoice(id).ok_or_else(|| ApiError::not_found("invoice", id))?;
        if invoice.status != Status::Draft {
            let message =
                "This invoice is already finalized, you can't re-finalize a non-draft invoice.".to_owned();
            return Err(ApiError::state(Some("invoice_not_editable"), message));
        }
        let total = self.total(invoice);
        let payer = invoice.customer.clone();
        let payer = self.living_customer(&payer)?;
        // The balance is settled along with the total; what goes below zero is kept for the next invoice.
        let starting = payer.balance;
        let owed = total + starting;
        let (due, ending) = (owed.max(0), owed.min(0));
        payer.balance = ending;
        let number = format!("{}-{:04}", payer.invoice_prefix(), payer.next_invoice);
        payer.next_invoice += 1;

        let invoice = self.invoice_mut(id)?;
        invoice.status = Status::Open;
        invoice.finalized_at = Some(now);
        invoice.number = Some(number);
        invoice.due = due;
        invoice.balances = Some((starting, ending));
        invoice.auto_advance = auto_advance.unwrap_or(invoice.auto_advance);
        invoice.due_date = invoice.due_date.or(invoice.days_until_due.map(|days| now + days * DAY));
        invoice.settle_if_nothing_is_due(now);
        let paid = invoice.status == Status::Paid;
        self.tell(id, if paid { &["invoice.finalized", "invoice.paid"] } else { &["invoice.finalized"] })
    }

    pub(crate) fn pay_invoice(&mut self, id: &str, mut params: Params) -> Reply {
        let out_of_band = params.flag("paid_out_of_band")?.unwrap_or(false);
        params.end()?;
        let now = self.now;
        let invoice = self.invoice_mut(id)?;
        match invoice.status {
            Status::Open | Status::Uncollectible => {}
            Status::Paid => return Err(ApiError::state(None, "Invoice is already paid")),
            Status::Void => return Err(ApiError::state(None, "Invoice is voided and can't be paid")),
            Status::Draft => {
                return Err(ApiError::state(None, "The double pays finalized invoices only."));
            }
        }
        let amount = invoice.remaining();
        invoice.amount_paid += amount;
        if out_of_band {
            invoice.paid_off_stripe += amount;
        }
        invoice.status = Status::Paid;
        invoice.paid_at = Some(now);
        self.tell(id, &["invoice.paid", "invoice.payment_succeeded"])
    }

    pub(crate) fn void_invoice(&mut self, id: &str, params: Params) -> Reply {
        params.end()?;
        let now = self.now;
        let invoice = self.invoice_mut(id)?;
        if !matches!(invoice.status, Status::Open | Status::Uncollectible) {
            let message = "You can only void an invoice that is open or uncollectible.";
            return Err(ApiError::state(None, message));
        }
        invoice.status = Status::Void;
        invoice.voided_at = Some(now);
        // The balance that went into the invoice comes back.
        let (starting, ending) = invoice.balances.unwrap_or_default();
        let payer = invoice.customer.clone();
        if let Ok(payer) = self.living_customer(&payer) {
            payer.balance += starting - ending;
        }
        self.tell(id, &["invoice.voided"])
    }

    pub(crate) fn mark_uncollectible(&mut self, id: &str, params: Params) -> Reply {
        params.end()?;
        let now = self.now;
        let invoice = self.invoice_mut(id)?;
        if invoice.status != Status::Open {
            return Err(ApiError::state(None, "You can only mark an open invoice as uncollectible."));
        }
        invoice.status = Status::Uncollectible;
        invoice.marked_uncollectible_at = Some(now);
        self.tell(id, &["invoice.marked_uncollectible"])
    }

    pub(crate) fn show_invoice(&self, invoice: &Invoice) -> Value {
        let customer = self.customers.iter().find(|customer| customer.id == invoice.customer);
        let total = self.total(invoice);
        let (subtotal, taxed) = (self.subtotal(invoice), invoice.automatic_tax);
        let lines: Vec<Value> =
            self.items_of(&invoice.id).rev().take(LINES_SHOWN).map(|item| item.show_as_line(taxed)).collect();
        let more_lines = self.items_of(&invoice.id).count() > LINES_SHOWN;
        let balance_now = customer.map_or(0, |customer| customer.balance);
        let (starting, ending) = match invoice.balances {
            Some((starting, ending)) => (starting, Some(ending)),
            None => (balance_now, None),
        };
        let due = if invoice.status == Status::Draft { (total + starting).max(0) } else { invoice.due };
        json!({
            "id": invoice.id,
            "object": "invoice",
            "account_country": "US",
            "account_name": "Double",
            "account_tax_ids": null,
            "amount_due": due,
            "amount_overpaid": 0,
            "amount_paid": invoice.amount_paid,
            "amount_paid_off_stripe": invoice.paid_off_stripe,
            "amount_remaining": due - invoice.amount_paid,
            "amount_shipping": 0,
            "application": null,
            "attempt_count": i32::from(invoice.amount_paid > 0),
            "attempted": invoice.paid_at.is_some(),
            "auto_advance": invoice.auto_advance,
            "automatic_tax": {
                "disabled_reason": null, "enabled": taxed, "liability": taxed.then(|| json!({ "type": "self" })),
                "provider": taxed.then_some("stripe"), "status": taxed.then_some("complete"),
            },
            "automatically_finalizes_at": null,
            "billing_reason": "manual",
            "collection_method": invoice.collection_method,
            "created": invoice.created,
            "currency": invoice.currency,
            "custom_fields": null,
            "customer": invoice.customer,
            "customer_account": null,
            "customer_address": null,
            "customer_email": customer.and_then(|customer| customer.email.as_ref()),
            "customer_name": customer.and_then(|customer| customer.name.as_ref()),
            "customer_phone": null,
            "customer_shipping": null,
            "customer_tax_exempt": "none",
            "customer_tax_ids": [],
            "default_payment_method": null,
            "default_source": null,
            "default_tax_rates": [],
            "description": invoice.description,
            "discounts": [],
            "due_date": invoice.due_date,
            "effective_at": invoice.finalized_at,
            "ending_balance": ending,
            "footer": null,
            "from_invoice": null,
            "hosted_invoice_url": null,
            "invoice_pdf": null,
            "issuer": { "type": "self" },
            "last_finalization_error": null,
            "latest_revision": null,
            "lines": {
                "object": "list", "data": lines, "has_more": more_lines,
                "url": format!("/v1/invoices/{}/lines", invoice.id),
            },
            "livemode": false,
            "metadata": invoice.metadata,
            "next_payment_attempt": null,
            "number": invoice.number,
            "on_behalf_of": null,
            "parent": null,
            "payment_settings": {
                "default_mandate": null, "payment_method_options": null, "payment_method_types": null,
            },
            "period_end": invoice.created,
            "period_start": invoice.created,
            "post_payment_credit_notes_amount": invoice.credited_after_payment,
            "pre_payment_credit_notes_amount": invoice.credited_before_payment,
            "receipt_number": null,
            "rendering": null,
            "shipping_cost": null,
            "shipping_details": null,
            "starting_balance": starting,
            "statement_descriptor": null,
            "status": invoice.status.name(),
            "status_transitions": {
                "finalized_at": invoice.finalized_at,
                "marked_uncollectible_at": invoice.marked_uncollectible_at,
                "paid_at": invoice.paid_at,
                "voided_at": invoice.voided_at,
            },
            "subtotal": subtotal,
            "subtotal_excluding_tax": subtotal,
            "test_clock": null,
            "total": total,
            "total_discount_amounts": [],
            "total_excluding_tax": subtotal,
            "total_pretax_credit_amounts": [],
            "total_taxes": taxes(taxed, subtotal),
            "webhooks_delivered_at": null,
        })
    }
}
