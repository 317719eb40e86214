//! Invoice items, and the lines that they become.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::invoices::Status;
use crate::params::Params;
use crate::tax::taxes;
use crate::world::{Metadata, Page, Reply, World, merge};

/// The most items that Stripe takes on one invoice.
const MOST_ITEMS: usize = 250;
/// Twelve digits, the most that Stripe takes in any currency.
const MOST_AMOUNT: i64 = 999_999_999_999;

pub(crate) struct Item {
    pub id: String,
    pub created: i64,
    pub customer: String,
    /// None for a pending item: it waits for the next invoice that includes such.
    pub invoice: Option<String>,
    pub amount: i64,
    pub currency: String,
    pub description: Option<String>,
    pub metadata: Metadata,
}

impl Item {
    /// The id of the line that it becomes.
    pub fn line_id(&self) -> String {
        self.id.replacen("ii_", "il_", 1)
    }

    fn period(&self) -> Value {
        json!({ "start": self.created, "end": self.created })
    }

    pub fn show(&self) -> Value {
        json!({
            "id": self.id,
            "object": "invoiceitem",
            "amount": self.amount,
            "currency": self.currency,
            "customer": self.customer,
            "customer_account": null,
            "date": self.created,
            "description": self.description,
            "discountable": self.amount >= 0,
            "discounts": [],
            "invoice": self.invoice,
            "livemode": false,
            "metadata": self.metadata,
            "net_amount": self.amount,
            "parent": null,
            "period": self.period(),
            "pricing": null,
            "proration": false,
            "quantity": 1,
            "quantity_decimal": "1",
            "tax_rates": [],
            "test_clock": null,
        })
    }

    pub fn show_as_line(&self, taxed: bool) -> Value {
        json!({
            "id": self.line_id(),
            "object": "line_item",
            "amount": self.amount,
            "currency": self.currency,
            "description": self.description,
            "discount_amounts": [],
            "discountable": self.amount >= 0,
            "discounts": [],
            "invoice": self.invoice,
            "livemode": false,
            "metadata": self.metadata,
            "parent": {
                "invoice_item_details": {
                    "invoice_item": self.id, "proration": false, "proration_details": null, "subscription": null,
                },
                "subscription_item_details": null,
                "type": "invoice_item_details",
            },
            "period": self.period(),
            "pretax_credit_amounts": [],
            "pricing": null,
            "quantity": 1,
            "quantity_decimal": "1",
            "subscription": null,
            "subtotal": self.amount,
            "taxes": taxes(taxed, self.amount),
        })
    }
}

impl World {
    pub(crate) fn create_item(&mut self, mut params: Params) -> Reply {
        let customer = params.needed("customer")?;
        let amount = params.integer("amount")?.ok_or_else(|| {
            ApiError::parameter(
                "parameter_missing",
                "amount",
                "Missing required param: amount. (The double does not price items.)",
            )
        })?;
        if !(-MOST_AMOUNT..=MOST_AMOUNT).contains(&amount) {
            return Err(ApiError::parameter(
                "amount_too_large",
                "amount",
                format!("Invalid amount: {amount}"),
            ));
        }
        let currency = params.currency("currency")?;
        let (invoice, description) = (params.text("invoice"), params.text("description"));
        let metadata = merge(Metadata::new(), params.metadata()?);
        let tax_behavior = params.one_of("tax_behavior", &["exclusive", "inclusive", "unspecified"])?;
        params.end()?;
        if tax_behavior == Some("inclusive") {
            let message = "The double knows only tax that comes on top.";
            return Err(ApiError::parameter("parameter_unknown", "tax_behavior", message));
        }
        let tax_on_top = tax_behavior == Some("exclusive");

        self.living_customer(&customer)?;
        let currency = match &invoice {
            None => currency.ok_or_else(|| {
                ApiError::parameter("parameter_missing", "currency", "Missing required param: currency.")
            })?,
            Some(id) => self.room_on(id, &customer, currency, tax_on_top && amount >= 0)?,
        };
        let id = self.next_id("ii");
        let item = Item { id, created: self.now, customer, invoice, amount, currency, description, metadata };
        let shown = item.show();
        self.items.push(item);
        self.emit("invoiceitem.created", shown.clone());
        Ok(shown)
    }

    /// Checks that an item of this customer and currency may join the invoice; gives the currency.
    fn room_on(
        &self,
        invoice: &str,
        customer: &str,
        currency: Option<String>,
        taxable: bool,
    ) -> Result<String, ApiError> {
        let invoice =
            self.invoice(invoice).ok_or_else(|| ApiError::dangling("invoice", invoice, "invoice"))?;
        if invoice.customer != customer {
            return Err(ApiError::state(None, "The invoice belongs to another customer than the item."));
        }
        if invoice.status != Status::Draft {
            let message = "The specified invoice can no longer be edited: items can be added to drafts only.";
            return Err(ApiError::state(Some("invoice_not_editable"), message));
        }
        if invoice.automatic_tax && !taxable {
            let message = "Items with a negative amount or an unspecified tax behavior cannot be added to an invoice with \
                           automatic tax.";
            return Err(ApiError::state(None, message));
        }
        let currency = currency.unwrap_or_else(|| invoice.currency.clone());
        if currency != invoice.currency {
            let message =
                format!("The item's currency ({currency}) is not the invoice's ({}).", invoice.currency);
            return Err(ApiError::state(None, message));
        }
        if self.items_of(&invoice.id).count() >= MOST_ITEMS {
            return Err(ApiError::state(None, "You can only add up to 250 items to an invoice."));
        }
        Ok(currency)
    }

    pub(crate) fn items_of(&self, invoice: &str) -> impl DoubleEndedIterator<Item = &Item> {
        self.items.iter().filter(move |item| item.invoice.as_deref() == Some(invoice))
    }

    pub(crate) fn list_items(&self, mut params: Params) -> Reply {
        let (page, created) = (Page::take(&mut params)?, params.created()?);
        let (customer, invoice) = (params.text("customer"), params.text("invoice"));
        let pending = params.flag("pending")?;
        params.end()?;
        let chosen = self.items.iter().filter(|item| {
            created.holds(item.created)
                && customer.as_ref().is_none_or(|customer| item.customer == *customer)
                && invoice.as_ref().is_none_or(|invoice| item.invoice.as_ref() == Some(invoice))
                && pending.is_none_or(|pending| item.invoice.is_none() == pending)
        });
        page.of("invoiceitem", "/v1/invoiceitems", chosen, |item| &item.id, Item::show)
    }

    pub(crate) fn retrieve_item(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.items.iter().find(|item| item.id == id);
        found.map(Item::show).ok_or_else(|| ApiError::not_found("invoiceitem", id))
    }

    pub(crate) fn delete_item(&mut self, id: &str, params: Params) -> Reply {
        params.end()?;
        let at = self.items.iter().position(|item| item.id == id);
        let at = at.ok_or_else(|| ApiError::not_found("invoiceitem", id))?;
        let invoice = self.items[at].invoice.as_deref().and_then(|invoice| self.invoice(invoice));
        if invoice.is_some_and(|invoice| invoice.status != Status::Draft) {
            let message = "This invoice item is on an invoice that can no longer be edited.";
            return Err(ApiError::state(Some("invoice_not_editable"), message));
        }
        let item = self.items.remove(at);
        self.emit("invoiceitem.deleted", item.show());
        Ok(json!({ "id": item.id, "object": "invoiceitem", "deleted": true }))
    }
}
