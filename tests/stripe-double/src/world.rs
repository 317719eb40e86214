//! All that the double remembers, and the routes by which it is reached. No HTTP here: a call comes in as method,
//! path and parameters, and leaves as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::credit_notes::CreditNote;
use crate::customers::Customer;
use crate::disputes::Dispute;
use crate::error::ApiError;
use crate::invoices::Invoice;
use crate::items::Item;
use crate::meters::MeterEvent;
use crate::params::Params;

pub(crate) type Reply = Result<Value, ApiError>;
pub(crate) type Metadata = BTreeMap<String, String>;

/// The version that async-stripe speaks.
const API_VERSION: &str = "2026-09-30.endive";

/// Every object, in the order of creation.
#[derive(Default)]
pub(crate) struct World {
    /// Unix time of the call in hand.
    pub now: i64,
    /// The idempotency key of the call in hand.
    pub key: Option<String>,
    pub customers: Vec<Customer>,
    pub invoices: Vec<Invoice>,
    pub items: Vec<Item>,
    pub credit_notes: Vec<CreditNote>,
    pub disputes: Vec<Dispute>,
    pub meter_events: Vec<MeterEvent>,
    /// What happened, as Stripe tells it. Webhooks would be delivered from here.
    pub events: Vec<Value>,
    serial: u64,
}

impl World {
    /// Carries out a call, or refuses it and leaves everything as it was.
    pub fn call(&mut self, method: &str, path: &str, params: Params) -> Reply {
        let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, segments.as_slice()) {
            ("POST", ["customers"]) => self.create_customer(params),
            ("GET", ["customers"]) => self.list_customers(params),
            ("GET", ["customers", id]) => self.retrieve_customer(id, params),
            ("POST", ["customers", id]) => self.update_customer(id, params),
            ("DELETE", ["customers", id]) => self.delete_customer(id, params),

            ("POST", ["invoices"]) => self.create_invoice(params),
            ("GET", ["invoices"]) => self.list_invoices(params),
            ("GET", ["invoices", id]) => self.retrieve_invoice(id, params),
            ("POST", ["invoices", id]) => self.update_invoice(id, params),
            ("DELETE", ["invoices", id]) => self.delete_invoice(id, params),
            ("GET", ["invoices", id, "lines"]) => self.list_lines(id, params),
            ("POST", ["invoices", id, "finalize"]) => self.finalize_invoice(id, params),
            ("POST", ["invoices", id, "pay"]) => self.pay_invoice(id, params),
            ("POST", ["invoices", id, "void"]) => self.void_invoice(id, params),
            ("POST", ["invoices", id, "mark_uncollectible"]) => self.mark_uncollectible(id, params),

            ("POST", ["invoiceitems"]) => self.create_item(params),
            ("GET", ["invoiceitems"]) => self.list_items(params),
            ("GET", ["invoiceitems", id]) => self.retrieve_item(id, params),
            ("DELETE", ["invoiceitems", id]) => self.delete_item(id, params),

            ("POST", ["credit_notes"]) => self.create_credit_note(params),
            ("GET", ["credit_notes"]) => self.list_credit_notes(params),
            ("GET", ["credit_notes", "preview"]) => self.preview_credit_note(params),
            ("GET", ["credit_notes", id, "lines"]) => self.list_credit_note_lines(id, params),
            ("GET", ["credit_notes", id]) => self.retrieve_credit_note(id, params),

            ("GET", ["disputes", id]) => self.retrieve_dispute(id, params),
            ("POST", ["billing", "meter_events"]) => self.create_meter_event(params),
            ("POST", ["billing", "meter_event_adjustments"]) => self.adjust_meter_event(params),
            ("GET", ["invoice_payments"]) => self.list_invoice_payments(params),

            ("GET", ["events"]) => self.list_events(params),
            ("GET", ["events", id]) => self.retrieve_event(id, params),

            _ => Err(ApiError::no_route(method, path)),
        }
    }

    /// Everything, in the order of creation, as Stripe would show it.
    pub fn state(&self) -> Value {
        let customers: Vec<Value> = self.customers.iter().map(Customer::show).collect();
        let invoices: Vec<Value> = self.invoices.iter().map(|invoice| self.show_invoice(invoice)).collect();
        let items: Vec<Value> = self.items.iter().map(Item::show).collect();
        let credit_notes: Vec<Value> = self.credit_notes.iter().map(CreditNote::show).collect();
        json!({
            "customers": customers, "invoices": invoices, "invoiceitems": items, "credit_notes": credit_notes,
            "events": self.events,
        })
    }

    pub fn next_id(&mut self, prefix: &str) -> String {
        self.serial += 1;
        format!("{prefix}_double{:010}", self.serial)
    }

    /// Notes that something happened to an object.
    pub fn emit(&mut self, kind: &str, object: Value) {
        let event = json!({
            "id": self.next_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.now,
            "data": { "object": object },
            "livemode": false,
            "pending_webhooks": 0,
            "request": { "id": null, "idempotency_key": self.key },
            "type": kind,
        });
        self.events.push(event);
    }

    fn list_events(&self, mut params: Params) -> Reply {
        let (page, kind, created) = (Page::take(&mut params)?, params.text("type"), params.created()?);
        params.end()?;
        let chosen = self.events.iter().filter(|event| {
            kind.as_ref().is_none_or(|kind| event["type"] == **kind)
                && event["created"].as_i64().is_some_and(|time| created.holds(time))
        });
        page.of("event", "/v1/events", chosen, |event| event["id"].as_str().unwrap_or_default(), Value::clone)
    }

    fn retrieve_event(&self, id: &str, params: Params) -> Reply {
        params.end()?;
        let found = self.events.iter().find(|event| event["id"] == id);
        found.cloned().ok_or_else(|| ApiError::not_found("event", id))
    }
}

/// Which page of a list is wanted.
pub(crate) struct Page {
    limit: usize,
    starting_after: Option<String>,
}

impl Page {
    pub fn take(params: &mut Params) -> Result<Self, ApiError> {
        let limit = match params.integer("limit")?.map(usize::try_from) {
            None => 10,
            Some(Ok(limit @ 1..=100)) => limit,
            Some(_) => {
                let message = "Invalid limit: it must be between 1 and 100.";
                return Err(ApiError::parameter("parameter_invalid_integer", "limit", message));
            }
        };
        Ok(Self { limit, starting_after: params.text("starting_after") })
    }

    pub fn map_cursor(self, map: impl Fn(String) -> String) -> Self {
        Self { starting_after: self.starting_after.map(map), ..self }
    }

    /// The page of these objects, newest first. `all` comes in the order of creation.
    pub fn of<'a, T: 'a>(
        &self,
        what: &str,
        url: &str,
        all: impl DoubleEndedIterator<Item = &'a T>,
        id: impl Fn(&T) -> &str,
        show: impl Fn(&T) -> Value,
    ) -> Reply {
        let mut rest = all.rev().peekable();
        if let Some(cursor) = &self.starting_after
            && !rest.by_ref().any(|object| id(object) == cursor)
        {
            return Err(ApiError::dangling(what, cursor, "starting_after"));
        }
        let data: Vec<Value> = rest.by_ref().take(self.limit).map(show).collect();
        Ok(json!({ "object": "list", "data": data, "has_more": rest.peek().is_some(), "url": url }))
    }
}

/// Metadata after an update: an empty value takes a name away.
pub(crate) fn merge(mut metadata: Metadata, update: Metadata) -> Metadata {
    metadata.extend(update);
    metadata.retain(|_, value| !value.is_empty());
    metadata
}
