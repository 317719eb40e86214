//! The pages of invoices.

use super::{exact, grouped, length, moment, thousands};
use askama::Template;
use verdict_domain::money::{Currency, minor_decimal};
use verdict_store::invoices::Invoice;
use verdict_store::ledger::Charge;

#[derive(Template)]
#[template(path = "invoices.html")]
struct List<'a> {
    invoices: &'a [Invoice],
}

/// The list of invoices, in the order given.
pub fn invoices(invoices: &[Invoice]) -> Result<String, askama::Error> {
    List { invoices }.render()
}

#[derive(Template)]
#[template(path = "invoice.html")]
struct One<'a> {
    invoice: &'a Invoice,
    charges: &'a [Charge],
    shown_limit: u32,
}

/// One invoice, to be printed, with the charges that it rests on: those read with `shown_limit`.
pub fn invoice(invoice: &Invoice, charges: &[Charge], shown_limit: u32) -> Result<String, askama::Error> {
    One { invoice, charges, shown_limit }.render()
}

impl One<'_> {
    fn adds_up(&self) -> bool {
        let sum: i128 = self.invoice.lines.iter().map(|line| i128::from(line.minor)).sum();
        sum == i128::from(self.invoice.total_minor)
    }

    /// As many as were asked for: whether there are more is not known.
    fn may_be_cut(&self) -> bool {
        self.charges.len() >= self.shown_limit as usize
    }
}

/// Stripe's state of an invoice, or that it is not there yet.
fn state(invoice: &Invoice) -> &str {
    invoice.stripe_status.as_deref().unwrap_or("local draft")
}

/// `+1`, `-1`.
fn signed(quantity: &i64) -> String {
    format!("{quantity:+}")
}

/// An amount in minor units, as it is paid.
fn minor(minor: &i64, currency: &Currency) -> String {
    thousands(&minor_decimal(*minor, *currency))
}
