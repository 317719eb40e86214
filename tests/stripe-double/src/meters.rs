//! Meter events. A meter is there for each name that comes; it adds up.
//!
//! An identifier is known for a day. Where Stripe's documents are silent, the double takes a second cancellation of the
//! same event like the first.

use serde_json::json;
use std::collections::BTreeMap;

use crate::StripeDouble;
use crate::error::ApiError;
use crate::params::Params;
use crate::world::{Reply, World};

const DAY: i64 = 24 * 60 * 60;

pub(crate) struct MeterEvent {
    name: String,
    identifier: String,
    customer: String,
    value: i64,
    /// When it came.
    created: i64,
    cancelled: bool,
}

impl World {
    pub(crate) fn create_meter_event(&mut self, mut params: Params) -> Reply {
        let (name, identifier) = (params.needed("event_name")?, params.needed("identifier")?);
        let customer = params.needed("payload[stripe_customer_id]")?;
        let value = params.integer("payload[value]")?.unwrap_or_default();
        let at = params.integer("timestamp")?.unwrap_or(self.now);
        params.end()?;
        let wrong = |message: String| Err(ApiError::state(None, message));
        if identifier.len() > 100 || name.len() > 100 {
            return wrong("Names and identifiers of meter events have at most 100 characters.".into());
        }
        if at < self.now - 35 * DAY || at > self.now + 5 * 60 {
            return wrong("The timestamp must be within the past 35 days or up to 5 minutes ahead.".into());
        }
        let created = self.now;
        let known = |event: &&MeterEvent| event.identifier == identifier && event.created > created - DAY;
        if self.meter_events.iter().any(|event| known(&event)) {
            return wrong(format!("An event already exists with identifier {identifier}."));
        }
        self.living_customer(&customer)?;
        let shown = json!({
            "object": "billing.meter_event", "created": created, "event_name": name, "identifier": identifier,
            "livemode": false, "payload": { "stripe_customer_id": customer, "value": value.to_string() },
            "timestamp": at,
        });
        self.meter_events.push(MeterEvent { name, identifier, customer, value, created, cancelled: false });
        Ok(shown)
    }

    pub(crate) fn adjust_meter_event(&mut self, mut params: Params) -> Reply {
        let (name, identifier) = (params.needed("event_name")?, params.needed("cancel[identifier]")?);
        params.one_of("type", &["cancel"])?;
        params.end()?;
        let now = self.now;
        let found = self
            .meter_events
            .iter_mut()
            .find(|event| event.identifier == identifier && event.name == name && event.created > now - DAY);
        let Some(event) = found else {
            let message = format!("No event of the past 24 hours has the identifier {identifier}.");
            return Err(ApiError::state(None, message));
        };
        event.cancelled = true;
        Ok(json!({
            "object": "billing.meter_event_adjustment", "cancel": { "identifier": identifier },
            "event_name": name, "livemode": false, "status": "pending", "type": "cancel",
        }))
    }
}

impl StripeDouble {
    /// What the meters add up to, by customer and name.
    pub fn metered(&self) -> BTreeMap<(String, String), i64> {
        let mut sums = BTreeMap::new();
        for event in &self.shared.lock().world.meter_events {
            let sum = sums.entry((event.customer.clone(), event.name.clone())).or_default();
            *sum += if event.cancelled { 0 } else { event.value };
        }
        sums
    }

    /// How many meter events came, and how many of them were cancelled.
    pub fn meter_events(&self) -> (usize, usize) {
        let double = self.shared.lock();
        let events = &double.world.meter_events;
        (events.len(), events.iter().filter(|event| event.cancelled).count())
    }
}
