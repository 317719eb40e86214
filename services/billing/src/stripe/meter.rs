//! Meter events.

use super::{Stripe, StripeError};
use miniserde::Deserialize;
use serde::Serialize;
use std::collections::BTreeMap;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

/// A meter event to send: one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMeterEvent {
    /// The name that its meter listens to.
    pub name: String,
    /// Ours, at most 100 characters: Stripe takes one event of an identifier, for a day at least.
    pub identifier: String,
    /// Stripe's id of the customer.
    pub stripe_customer: String,
    /// When it happened, as Unix time.
    pub at_unix: i64,
}

/// By hand: the crate's own requests keep the payload in an unordered map, and a repeated call must be equal to the byte.
struct Form<T> {
    path: &'static str,
    form: T,
}

impl<T: Serialize> StripeRequest for Form<T> {
    type Output = ();

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Post, self.path).form(&self.form)
    }
}

/// Of the answers nothing is needed.
#[derive(Deserialize)]
struct Taken {}

impl Stripe {
    /// Sends a meter event. One whose identifier Stripe has already is there: that is no error.
    pub async fn send_meter_event(&self, key: &str, event: &NewMeterEvent) -> Result<(), StripeError> {
        #[derive(Serialize)]
        struct Fields<'a> {
            event_name: &'a str,
            identifier: &'a str,
            payload: BTreeMap<&'a str, &'a str>,
            timestamp: i64,
        }
        let form = Fields {
            event_name: &event.name,
            identifier: &event.identifier,
            payload: [("stripe_customer_id", event.stripe_customer.as_str()), ("value", "1")].into(),
            timestamp: event.at_unix,
        };
        match self.post::<Taken>(key, &Form { path: "/billing/meter_events", form }).await {
            Ok(Taken {}) => Ok(()),
            // Stripe has no code of its own for it.
            Err(StripeError::Refused { message, .. })
                if message.contains("already exists") && message.contains(&event.identifier) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Cancels a meter event, which Stripe takes for 24 hours after it got the event.
    pub async fn cancel_meter_event(
        &self,
        key: &str,
        name: &str,
        identifier: &str,
    ) -> Result<(), StripeError> {
        #[derive(Serialize)]
        struct Fields<'a> {
            cancel: Cancel<'a>,
            event_name: &'a str,
            r#type: &'a str,
        }
        #[derive(Serialize)]
        struct Cancel<'a> {
            identifier: &'a str,
        }
        let form = Fields { cancel: Cancel { identifier }, event_name: name, r#type: "cancel" };
        self.post::<Taken>(key, &Form { path: "/billing/meter_event_adjustments", form }).await?;
        Ok(())
    }
}
