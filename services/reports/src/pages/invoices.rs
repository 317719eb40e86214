//! The pages of invoices.

use super::paging::{Links, Turn};
use super::{encoded, grouped, length, moment, thousands};
use askama::Template;
use verdict_domain::money::{Currency, decimal, minor_decimal};
use verdict_domain::time::Timestamp;
use verdict_store::invoices::{Invoice, Kind, State};
use verdict_store::ledger::Charge;

#[derive(Template)]
#[template(path = "invoices.html")]
struct List<'a> {
    invoices: &'a [Invoice],
    turn: Links,
}

/// A page of the list of invoices, in the order given.
pub fn invoices(invoices: &[Invoice], turn: &Turn) -> Result<String, askama::Error> {
    List { invoices, turn: turn.links("/invoices", &[]) }.render()
}

#[derive(Template)]
#[template(path = "invoice.html")]
struct One<'a> {
    invoice: &'a Invoice,
    link: Option<&'a (i64, String)>,
    charges: &'a [Charge],
    turn: Links,
    decimals: usize,
}

/// One invoice, to be printed, with its place and link in the chain and a page of the charges that it rests on.
pub fn invoice(
    invoice: &Invoice,
    link: Option<&(i64, String)>,
    charges: &[Charge],
    turn: &Turn,
) -> Result<String, askama::Error> {
    let lines = invoice.lines.iter().map(|line| line.amount.nanos);
    let nanos = lines.chain(charges.iter().map(|item| item.charge.amount.nanos));
    let decimals = nanos.map(|nanos| decimal(nanos, 2).rsplit('.').next().map_or(2, str::len)).max();
    let turn = turn.links(&format!("/invoices/{}", encoded(&invoice.id)), &[]);
    One { invoice, link, charges, turn, decimals: decimals.unwrap_or(2) }.render()
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
pub(super) fn minor(minor: &i64, currency: &Currency) -> String {
    thousands(&minor_decimal(*minor, *currency))
}

/// Where a period begins or ends: seconds are not said where there are none.
pub(super) fn bound(at: &Timestamp) -> String {
    let text = moment(at);
    text.strip_suffix(":00").unwrap_or(&text).to_string()
}
