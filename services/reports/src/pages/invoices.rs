//! The pages of invoices.

use super::{grouped, length, moment, thousands};
use askama::Template;
use verdict_domain::money::{Currency, decimal, minor_decimal};
use verdict_domain::time::Timestamp;
use verdict_store::invoices::{Invoice, Kind, State};
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
    decimals: usize,
}

/// One invoice, to be printed, with the charges that it rests on: those read with `shown_limit`.
pub fn invoice(invoice: &Invoice, charges: &[Charge], shown_limit: u32) -> Result<String, askama::Error> {
    let lines = invoice.lines.iter().map(|line| line.amount.nanos);
    let nanos = lines.chain(charges.iter().map(|item| item.charge.amount.nanos));
    let decimals = nanos.map(|nanos| decimal(nanos, 2).rsplit('.').next().map_or(2, str::len)).max();
    One { invoice, charges, shown_limit, decimals: decimals.unwrap_or(2) }.render()
}

impl One<'_> {
    /// An amount to the nano, with as many decimals as any other on the page: they stand below each other.
    fn exact(&self, nanos: &i64) -> String {
        thousands(&decimal(*nanos, self.decimals))
    }

    fn adds_up(&self) -> bool {
        let sum: i128 = self.invoice.lines.iter().map(|line| i128::from(line.minor)).sum();
        sum == i128::from(self.invoice.total_minor)
    }

    /// As many as were asked for: whether there are more is not known.
    fn may_be_cut(&self) -> bool {
        self.charges.len() >= self.shown_limit as usize
    }
}

/// Stripe's state of an invoice, or where it stands here.
fn state(invoice: &Invoice) -> &str {
    match (&invoice.stripe_status, invoice.state) {
        (Some(status), _) => status,
        (None, State::Draft) => "waits for approval",
        (None, State::Final) => "final, not at Stripe",
        (None, State::Shadow) => "trial, never charged",
    }
}

/// What it is called.
fn kind(invoice: &Invoice) -> &'static str {
    match invoice.kind {
        Kind::Invoice => "Invoice",
        Kind::CreditNote => "Credit note",
    }
}

/// `+1`, `-1`.
fn signed(quantity: &i64) -> String {
    format!("{quantity:+}")
}

/// An amount in minor units, as it is paid.
fn minor(minor: &i64, currency: &Currency) -> String {
    thousands(&minor_decimal(*minor, *currency))
}

/// Where a period begins or ends: seconds are not said where there are none.
fn bound(at: &Timestamp) -> String {
    let text = moment(at);
    text.strip_suffix(":00").unwrap_or(&text).to_string()
}
