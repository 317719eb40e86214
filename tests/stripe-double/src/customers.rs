//! Customers.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::params::Params;
use crate::world::{Metadata, Page, Reply, World, merge};

pub(crate) struct Customer {
    pub id: String,
    pub created: i64,
    pub name: Option<String>,
    pub email: Option<String>,
    pub description: Option<String>,
    /// The country of its address; without one there is no tax to be known.
    pub country: Option<String>,
    pub metadata: Metadata,
    /// What the customer owes besides its invoices; negative for credit.
    pub balance: i64,
    /// The number of the next invoice.
    pub next_invoice: u64,
    pub deleted: bool,
}

impl Customer {
    pub fn invoice_prefix(&self) -> String {
        let digits: String = self.id.chars().rev().take(7).collect();
        format!("D{}", digits.chars().rev().collect::<String>())
    }

    pub fn show(&self) -> Value {
        if self.deleted {
            return json!({ "id": self.id, "object": "customer", "deleted": true });
        }
        json!({
            "id": self.id,
            "object": "customer",
            "address": self.country.as_ref().map(|country| json!({
                "city": null, "country": country, "line1": null, "line2": null, "postal_code": null, "state": null,
            })),
            "balance": self.balance,
            "created": self.created,
            "currency": null,
            "customer_account": null,
            "default_source": null,
            "delinquent": false,
            "description": self.description,
            "discount": null,
            "email": self.email,
            "invoice_prefix": self.invoice_prefix(),
            "invoice_settings": {
                "custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null,
            },
            "livemode": false,
            "metadata": self.metadata,
            "name": self.name,
            "next_invoice_sequence": self.next_invoice,
            "phone": null,
            "preferred_locales": [],
            "shipping": null,
            "tax_exempt": "none",
            "test_clock": null,
        })
    }
}

impl World {
    pub(crate) fn create_customer(&mut self, mut params: Params) -> Reply {
        let (name, email, description) =
            (params.text("name"), params.text("email"), params.text("description"));
        let country = params.text("address[country]");
        let metadata = merge(Metadata::new(), params.metadata()?);
        let balance = params.integer("balance")?.unwrap_or(0);
        params.end()?;
        check_email(email.as_ref())?;
        let id = self.next_id("cus");
        let created = self.now;
        let customer = Customer {
            id,
            created,
            name,
            email,
            description,
            country,
            metadata,
            balance,
            next_invoice: 1,
            deleted: false,
        };
        let shown = customer.show();
        self.customers.push(customer);
        self.emit("customer.created", shown.clone());
        Ok(shown)
    }

    pub(crate) fn update_customer(&mut self, id: &str, mut params: Params) -> Reply {
        let (name, email, description) =
            (params.text("name"), params.text("email"), params.text("description"));
        let country = params.text("address[country]");
        let metadata = params.metadata()?;
        params.end()?;
        check_email(email.as_ref())?;
        let found = self.customers.iter_mut().find(|customer| customer.id == id && !customer.deleted);
        let customer = found.ok_or_else(|| ApiError::not_found("customer", id))?;
        customer.name = name.or(customer.name.take());
        customer.email = email.or(customer.email.take());
        customer.description = description.or(customer.description.take());
        customer.country = country.or(customer.country.take());
        customer.metadata = merge(std::mem::take(&mut customer.metadata), metadata);
        let shown = customer.show();
        self.emit("customer.updated", shown.clone());
        Ok(shown)
    }

    pub(crate) fn list_customers(&self, mut params: Params) -> Reply {
        let (page, created, email) = (Page::take(&mut params)?, params.created()?, params.text("email"));
        params.end()?;
        let chosen = self.customers.iter().filter(|customer| {
            !customer.deleted
                && created.holds(customer.created)
                && email.as_ref().is_none_or(|email| customer.email.as_ref() == Some(email))
        });
        page.of("customer", "/v1/customers", chosen, |customer| &customer.id, Customer::show)
    }

    pub(crate) fn retrieve_customer(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.customers.iter().find(|customer| customer.id == id);
        found.map(Customer::show).ok_or_else(|| ApiError::not_found("customer", id))
    }

    pub(crate) fn delete_customer(&mut self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.customers.iter_mut().find(|customer| customer.id == id && !customer.deleted);
        let customer = found.ok_or_else(|| ApiError::not_found("customer", id))?;
        let before = customer.show();
        customer.deleted = true;
        let shown = customer.show();
        self.emit("customer.deleted", before);
        Ok(shown)
    }

    /// The customer that the parameter `customer` names.
    pub(crate) fn living_customer(&mut self, id: &str) -> Result<&mut Customer, ApiError> {
        let found = self.customers.iter_mut().find(|customer| customer.id == id && !customer.deleted);
        found.ok_or_else(|| ApiError::dangling("customer", id, "customer"))
    }
}

fn check_email(email: Option<&String>) -> Result<(), ApiError> {
    match email {
        Some(email) if !email.contains('@') => {
            let message = format!("Invalid email address: {email}");
            Err(ApiError::parameter("email_invalid", "email", message))
        }
        _ => Ok(()),
    }
}
