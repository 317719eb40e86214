//! How a contract bills beside its prices: usage at cost, corrections, and what Stripe is told.

use super::is_default;
use serde::{Deserialize, Serialize};

/// Attempts of an action at their model's real cost and a mark-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// The action, as attempts name it.
    pub action: String,
    /// Percent of the real cost that is added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<String>,
    /// What is added for each request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_request: Option<String>,
    /// Whether outcomes of the action are charged as well. Without this an action has a price or usage, never both.
    #[serde(default, skip_serializing_if = "is_default")]
    pub beside_outcomes: bool,
}

/// Where the difference goes when something is taken back after its invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corrections {
    /// Lines on the next invoice.
    #[default]
    NextInvoice,
    /// A credit note on the invoice that is corrected.
    CreditNote,
}

/// What Stripe is told of a customer's invoices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StripeTerms {
    /// What goes to Stripe.
    pub through: Through,
    /// How an invoice is paid.
    pub collect: Collect,
    /// Days from finalising until payment is due, for invoices that are sent.
    pub days_until_due: u32,
    /// Whether Stripe adds tax.
    pub tax: Tax,
    /// Where a credit note goes that comes after payment.
    pub credit_to: CreditTo,
}

impl Default for StripeTerms {
    fn default() -> Self {
        Self {
            through: Through::default(),
            collect: Collect::default(),
            days_until_due: 30,
            tax: Tax::default(),
            credit_to: CreditTo::default(),
        }
    }
}

/// What goes to Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Through {
    /// Our invoices.
    #[default]
    Invoices,
    /// A meter event for each settled outcome: the customer's subscription at Stripe bills it.
    MeterEvents,
}

/// How an invoice is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// It is sent, and the customer pays it.
    #[default]
    Send,
    /// The customer's stored payment method is charged.
    Charge,
}

/// Whether Stripe adds tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tax {
    /// No tax.
    #[default]
    None,
    /// Stripe's automatic tax, on top of our amounts.
    Automatic,
}

/// Where a credit note goes that comes after payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditTo {
    /// To the customer's balance at Stripe: it lowers the next invoice.
    #[default]
    Balance,
    /// Back to the payment method.
    Refund,
}
