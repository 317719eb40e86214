//! The pages that a customer sees of its own, by a link: nothing of costs, models, agents or other customers.

use super::cases::{money, parts};
use super::invoices::{bound, minor};
use super::{exact, grouped, moment};
use crate::case::{EpisodeView, Explanation};
use askama::Template;
use verdict_domain::ledger::EntryKind;
use verdict_domain::pricing::Item;
use verdict_domain::spend::{Estimate, EstimatedPeriod};
use verdict_store::grants::Recorded;
use verdict_store::invoices::{Invoice, Kind};
use verdict_store::statement::Outcome;

/// Where a customer's pages are, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// What their addresses begin with: `/c/TOKEN`.
    pub base: String,
    /// Who sees them.
    pub name: String,
}

#[derive(Template)]
#[template(path = "customer_home.html")]
struct Home<'a> {
    at: &'a At,
    estimate: &'a Estimate,
    grants: &'a [(Recorded, i64)],
    documents: &'a [Invoice],
}

/// The first page: usage and estimate of the open periods, the prepaid credits with what was drawn of each (in minor units), and the documents, in
/// the order given.
pub fn customer_home(
    at: &At,
    estimate: &Estimate,
    grants: &[(Recorded, i64)],
    documents: &[Invoice],
) -> Result<String, askama::Error> {
    Home { at, estimate, grants, documents }.render()
}

impl Home<'_> {
    /// The running period first.
    fn periods(&self) -> impl Iterator<Item = &EstimatedPeriod> {
        self.estimate.periods.iter().rev()
    }

    fn left(&self, granted: &Recorded, drawn: &i64) -> String {
        minor(&granted.grant.minor.saturating_sub(*drawn), &granted.currency)
    }

    fn is_running(&self, part: &EstimatedPeriod) -> bool {
        part.period.end > self.estimate.as_of
    }

    /// How many outcomes the lines of the period itself are about.
    fn outcomes(&self, part: &EstimatedPeriod) -> String {
        let lines = part.draft.lines.iter().filter(|line| line.period_start == part.period.start);
        let outcomes = lines.filter(|line| matches!(line.item, Item::Outcomes { .. }));
        grouped(&outcomes.fold(0_i64, |sum, line| sum.saturating_add(line.quantity)))
    }
}

#[derive(Template)]
#[template(path = "customer_outcomes.html")]
struct Outcomes<'a> {
    at: &'a At,
    invoice: Option<&'a Invoice>,
    outcomes: &'a [Outcome],
    page: u32,
    more: bool,
}

/// A document with its lines and a page of the outcomes on it, or (`None`) the outcomes that are on none yet.
pub fn customer_outcomes(
    at: &At,
    invoice: Option<&Invoice>,
    outcomes: &[Outcome],
    (page, more): (u32, bool),
) -> Result<String, askama::Error> {
    Outcomes { at, invoice, outcomes, page, more }.render()
}

impl Outcomes<'_> {
    fn path(&self) -> String {
        match self.invoice {
            Some(invoice) => format!("{}/invoices/{}", self.at.base, encoded(&invoice.id)),
            None => format!("{}/outcomes", self.at.base),
        }
    }

    fn case(&self, outcome: &Outcome) -> String {
        format!("{}/cases/{}", self.at.base, encoded(&outcome.charge.key.case))
    }

    fn takes_back(&self, outcome: &Outcome) -> bool {
        outcome.entry != EntryKind::Charge
    }

    /// Whether its dispute may be raised; whether its window is still open, is said by who takes it.
    fn can_be_disputed(&self, outcome: &Outcome) -> bool {
        outcome.entry == EntryKind::Charge && !outcome.is_taken_back && outcome.dispute != Some("open")
    }

    fn price(&self, outcome: &Outcome) -> String {
        let amount = outcome.charge.charge.amount;
        format!("{} {}", exact(&amount.nanos), amount.currency.code())
    }
}

#[derive(Template)]
#[template(path = "customer_case.html")]
struct Case<'a> {
    at: &'a At,
    case: &'a Explanation,
    form_id: &'a str,
}

/// A case, as [`crate::explain_to_customer`] explains it. `form_id` names the dispute that its form would raise, so that one
/// that is sent twice is one.
pub fn customer_case(at: &At, case: &Explanation, form_id: &str) -> Result<String, askama::Error> {
    Case { at, case, form_id }.render()
}

impl Case<'_> {
    fn can_be_disputed(&self, episode: &EpisodeView) -> bool {
        let is_won = matches!(episode.held.verdict.as_deref(), Some("confirmed" | "assumed"));
        is_won && !episode.held.not_charged && episode.disputes.iter().all(|dispute| dispute.state != "open")
    }
}

#[derive(Template)]
#[template(path = "customer_message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    back: Option<&'a str>,
}

/// Says one thing to a customer, or to whoever has a link that does not hold.
pub fn customer_message(title: &str, text: &str, back: Option<&str>) -> Result<String, askama::Error> {
    Message { title, text, back }.render()
}

fn kind(invoice: &Invoice) -> &'static str {
    match invoice.kind {
        Kind::Invoice => "Invoice",
        Kind::CreditNote => "Credit note",
    }
}

/// What is known of its payment.
fn payment(invoice: &Invoice) -> String {
    match (invoice.kind, invoice.stripe_status.as_deref()) {
        (Kind::CreditNote, Some(_)) => "credited".into(),
        (_, None | Some("draft")) => "not sent yet".into(),
        (Kind::Invoice, Some(state)) => state.replace('_', " "),
    }
}

/// A part of an address, escaped: all but letters, digits and `-_.~` in percent.
pub fn encoded(part: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    part.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
