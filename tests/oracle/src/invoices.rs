//! RULES, "Periods and invoices".

use crate::oracle::Oracle;
use crate::{Contract, HOUR, Posting, minor_units, round_div};
use chrono::{DateTime, Datelike, TimeZone};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// The invoice of a closed period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Who pays.
    pub customer: String,
    /// The first moment of the month in the contract's time zone.
    pub period_start: i64,
    /// The first moment after it.
    pub period_end: i64,
    /// Of all its lines.
    pub currency: String,
    /// By (action, kind, contract version).
    pub lines: Vec<Line>,
    /// The sum of the rounded lines.
    pub total_minor: i64,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The action of the outcomes.
    pub action: String,
    /// `confirmed` or `assumed`.
    pub kind: &'static str,
    /// The version that priced them.
    pub contract_version: u32,
    /// Charges less voids.
    pub quantity: i64,
    /// Their sum.
    pub amount_nanos: i64,
    /// The sum, rounded once to the currency's minor unit.
    pub amount_minor: i64,
}

impl Oracle<'_> {
    /// The invoices of all periods that are closed, by customer, period and currency, as if each period had
    /// been closed in its turn with all facts known.
    pub fn invoices(&self) -> Vec<Invoice> {
        let mut invoices = Vec::new();
        let customers: BTreeSet<&str> =
            self.traffic.contracts.iter().map(|contract| contract.customer.as_str()).collect();
        for customer in customers {
            let versions = self.traffic.contracts.iter().filter(|contract| contract.customer == customer);
            let first = versions.min_by_key(|contract| contract.version).expect("it has a contract");
            let mut open = Vec::new();
            for case in self.cases.iter().filter(|case| case.customer == customer) {
                for episode in &case.episodes {
                    open.extend(self.entries(case, episode));
                }
            }
            self.bill(first, open, &mut invoices);
        }
        invoices
    }

    fn bill(&self, contract: &Contract, mut open: Vec<Posting>, invoices: &mut Vec<Invoice>) {
        let zone: Tz = contract.time_zone.parse().expect("a time zone");
        let effective_from = DateTime::from_timestamp_micros(contract.effective_from).expect("in range");
        let local = effective_from.with_timezone(&zone);
        let (mut year, mut month) = (local.year(), local.month());
        loop {
            let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
            let start = month_start(zone, year, month);
            let end = month_start(zone, next_year, next_month);
            if self.now < end + contract.grace_hours * HOUR {
                return;
            }
            let (due, later) = open.into_iter().partition(|posting| posting.effective_at < end);
            open = later;
            for (currency, lines) in lines(due) {
                let total_minor = lines.iter().map(|line| line.amount_minor).sum();
                invoices.push(Invoice {
                    customer: contract.customer.clone(),
                    period_start: start,
                    period_end: end,
                    currency,
                    lines,
                    total_minor,
                });
            }
            (year, month) = (next_year, next_month);
        }
    }
}

/// The lines of each currency that has any.
fn lines(postings: Vec<Posting>) -> BTreeMap<String, Vec<Line>> {
    let mut groups: BTreeMap<_, (i64, i128)> = BTreeMap::new();
    for posting in postings {
        let key = (posting.currency, posting.action, posting.kind, posting.contract_version);
        let (quantity, amount) = groups.entry(key).or_default();
        *quantity += i64::from(posting.sign);
        *amount += i128::from(posting.amount_nanos);
    }
    let mut lines: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for ((currency, action, kind, contract_version), (quantity, amount)) in groups {
        if quantity == 0 && amount == 0 {
            continue;
        }
        let minor = 10i128.pow(9 - minor_units(&currency));
        lines.entry(currency).or_default().push(Line {
            action,
            kind,
            contract_version,
            quantity,
            amount_nanos: i64::try_from(amount).expect("in range"),
            amount_minor: i64::try_from(round_div(amount, minor)).expect("in range"),
        });
    }
    lines
}

/// The first moment of a month. Where the clocks leap over midnight, the day begins later.
pub(crate) fn month_start(zone: Tz, year: i32, month: u32) -> i64 {
    let first = (0..24).find_map(|hour| zone.with_ymd_and_hms(year, month, 1, hour, 0, 0).earliest());
    first.expect("a month begins").timestamp_micros()
}
