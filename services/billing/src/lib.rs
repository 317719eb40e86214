//! Billing: periods, invoices, and their way to Stripe.

pub mod stripe;
