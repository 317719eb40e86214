//! What the double tells: its events, signed as Stripe signs deliveries.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::StripeDouble;

/// An event as Stripe delivers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The header `Stripe-Signature`.
    pub signature: String,
    /// The body, byte for byte.
    pub body: String,
}

impl StripeDouble {
    /// All events so far, each signed with this secret at this Unix time. It is for the caller to deliver them: twice, late,
    /// in any order.
    pub fn deliveries(&self, secret: &str, at: i64) -> Vec<Delivery> {
        self.events().iter().map(|event| sign(secret, at, event)).collect()
    }
}

/// Signs an event.
pub fn sign(secret: &str, at: i64, event: &Value) -> Delivery {
    let body = event.to_string();
    // A key of any length will do for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { unreachable!() };
    mac.update(format!("{at}.{body}").as_bytes());
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Delivery { signature: format!("t={at},v1={digest}"), body }
}
