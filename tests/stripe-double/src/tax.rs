//! Automatic tax: one rate for all, on top of each line.

use serde_json::{Value, json};

/// The rate, in percent.
const PERCENT: i64 = 20;

/// The tax on an amount, rounded half away from zero.
pub(crate) fn tax_on(amount: i64) -> i64 {
    let hundredths = amount * PERCENT;
    (hundredths + hundredths.signum() * 50) / 100
}

/// The tax on an amount as Stripe shows it; nothing where there is none to be.
pub(crate) fn taxes(taxed: bool, amount: i64) -> Value {
    if !taxed {
        return json!([]);
    }
    json!([{
        "amount": tax_on(amount),
        "tax_behavior": "exclusive",
        "tax_rate_details": { "tax_rate": "txr_double" },
        "taxability_reason": "standard_rated",
        "taxable_amount": amount,
        "type": "tax_rate_details",
    }])
}
