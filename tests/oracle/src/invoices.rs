//! RULES, "Periods and invoices".

use crate::oracle::Oracle;
use crate::periods::{Period, closed_periods};
use crate::pricing::{Counts, Item, Listed, price_listed};
use crate::{Contract, Posting, Traffic, minor_units, round_div};
use std::collections::{BTreeMap, BTreeSet};

/// The invoice of a closed period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Who pays.
    pub customer: String,
    /// The first moment of the period.
    pub period_start: i64,
    /// The first moment after it.
    pub period_end: i64,
    /// Of all its lines.
    pub currency: String,
    /// By (period, contract version, item).
    pub lines: Vec<Line>,
    /// The sum of the rounded lines.
    pub total_minor: i64,
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the period begins that it is about: the invoice's own or an earlier one.
    pub period_start: i64,
    /// What it is for.
    pub item: Item,
    /// The version that priced it.
    pub contract_version: u32,
    /// How many, less what earlier lines say.
    pub quantity: i64,
    /// The exact amount, less what earlier lines say.
    pub amount_nanos: i64,
    /// The rounded amount, less what earlier lines say.
    pub amount_minor: i64,
}

/// What is on a customer's invoices.
#[derive(Clone, Debug)]
pub struct Books<'a> {
    versions: Vec<&'a Contract>,
    /// The outcomes on invoices, by period and the version that priced them.
    outcomes: BTreeMap<(Period, u32), Counts>,
    /// What they cost by themselves, the same way.
    listed: BTreeMap<(Period, u32), Listed>,
    /// The sums of the lines so far: quantity, nanos and minor units.
    billed: BTreeMap<(i64, u32, Item), (i64, i128, i128)>,
}

impl<'a> Books<'a> {
    /// Those of a customer with these versions of a contract, all of one currency. Nothing is on an invoice.
    pub fn new(versions: Vec<&'a Contract>) -> Self {
        Self { versions, outcomes: BTreeMap::new(), listed: BTreeMap::new(), billed: BTreeMap::new() }
    }

    /// Takes outcomes, priced by a version, of a period; a negative number of those taken back.
    pub fn take(&mut self, period: Period, version: u32, action: &str, kind: &'static str, n: i64) {
        let counts = self.outcomes.entry((period, version)).or_default();
        *counts.entry((action.to_owned(), kind)).or_default() += n;
    }

    /// Takes what outcomes cost by themselves.
    fn list(&mut self, period: Period, version: u32, action: &str, kind: &'static str, nanos: i128) {
        let listed = self.listed.entry((period, version)).or_default();
        *listed.entry((action.to_owned(), kind)).or_default() += nanos;
    }

    /// The lines of the next invoice: what each of these periods costs now, less what was billed for it.
    pub fn bill(&mut self, periods: &[Period]) -> Vec<Line> {
        let mut now: BTreeMap<(i64, u32, Item), (i64, i128)> = BTreeMap::new();
        for period in periods {
            for version in &self.versions {
                let in_force = self.in_force(version, period);
                let none = Counts::new();
                let counts = self.outcomes.get(&(*period, version.version)).unwrap_or(&none);
                let nothing = Listed::new();
                let listed = self.listed.get(&(*period, version.version)).unwrap_or(&nothing);
                for priced in price_listed(version, counts, listed, in_force, period.end - period.start) {
                    let sum = now.entry((period.start, version.version, priced.item)).or_default();
                    sum.0 += priced.quantity;
                    sum.1 += priced.nanos;
                }
            }
        }
        let is_meant = |start: &i64| periods.iter().any(|period| period.start == *start);
        let keys: BTreeSet<_> = now.keys().chain(self.billed.keys()).cloned().collect();
        let one_minor = 10i128.pow(9 - minor_units(&self.versions[0].currency));
        let mut lines = Vec::new();
        for key in keys.into_iter().filter(|(start, _, _)| is_meant(start)) {
            let (quantity, nanos) = now.get(&key).copied().unwrap_or_default();
            let minor = round_div(nanos, one_minor);
            let before = self.billed.insert(key.clone(), (quantity, nanos, minor)).unwrap_or_default();
            let (period_start, contract_version, item) = key;
            let line = Line {
                period_start,
                item,
                contract_version,
                quantity: quantity - before.0,
                amount_nanos: i64::try_from(nanos - before.1).expect("in range"),
                amount_minor: i64::try_from(minor - before.2).expect("in range"),
            };
            if (line.quantity, line.amount_nanos, line.amount_minor) != (0, 0, 0) {
                lines.push(line);
            }
        }
        lines
    }

    /// For how long of a period a version is in force: until another one is.
    fn in_force(&self, version: &Contract, period: &Period) -> i64 {
        let mut until = period.end;
        for other in &self.versions {
            let (from, other_from) = (version.effective_from, other.effective_from);
            if other_from > from || (other_from == from && other.version > version.version) {
                until = until.min(other_from);
            }
        }
        (until - version.effective_from.max(period.start)).max(0)
    }
}

/// What makes rows of the ledger the same: origin, version, action and kind.
type Row = (i64, u32, String, &'static str);

/// What closing a period, at its time, made of it.
pub(crate) struct Closed {
    pub period: Period,
    pub lines: Vec<Line>,
    /// By how much the lines of the periods differ from the list prices of what was taken, by period.
    pub beyond_list: BTreeMap<Period, i128>,
}

impl Oracle<'_> {
    /// The invoices of all periods that are closed, by customer and period, as if each period had been closed
    /// as soon as it may be. A fact is known at its time, or when the first facts are known if that is later.
    pub fn invoices(&self) -> Vec<Invoice> {
        let mut invoices = Vec::new();
        for customer in self.customers() {
            let currency = &self.versions(customer)[0].currency;
            for Closed { period, lines, .. } in self.closings(customer) {
                if !lines.is_empty() {
                    invoices.push(Invoice {
                        customer: customer.to_owned(),
                        period_start: period.start,
                        period_end: period.end,
                        currency: currency.clone(),
                        total_minor: lines.iter().map(|line| line.amount_minor).sum(),
                        lines,
                    });
                }
            }
        }
        invoices
    }

    pub(crate) fn customers(&self) -> BTreeSet<&str> {
        self.traffic.contracts.iter().map(|contract| contract.customer.as_str()).collect()
    }

    pub(crate) fn versions(&self, customer: &str) -> Vec<&Contract> {
        self.traffic.contracts.iter().filter(|contract| contract.customer == customer).collect()
    }

    /// Closes the customer's periods, one after the other.
    pub(crate) fn closings(&self, customer: &str) -> Vec<Closed> {
        let mut books = Books::new(self.versions(customer));
        let mut taken: BTreeMap<Row, (i64, i128)> = BTreeMap::new();
        let mut periods: Vec<Period> = Vec::new();
        let mut closings = Vec::new();
        for period in closed_periods(&self.traffic.contracts, customer, self.now) {
            periods.push(period);
            let mut posted: BTreeMap<Row, (i64, i128)> = BTreeMap::new();
            for posting in self.posted(customer, period.closes_at) {
                let row = (posting.origin, posting.contract_version, posting.action, posting.kind);
                let sum = posted.entry(row).or_default();
                sum.0 += i64::from(posting.sign);
                sum.1 += i128::from(posting.amount_nanos);
            }
            let mut touched = BTreeSet::from([period]);
            let mut beyond_list: BTreeMap<Period, i128> = BTreeMap::new();
            let rows: BTreeSet<Row> = posted.keys().chain(taken.keys()).cloned().collect();
            for row in rows.into_iter().filter(|row| row.0 < period.end) {
                let (n, list) = posted.get(&row).copied().unwrap_or_default();
                let before = taken.insert(row.clone(), (n, list)).unwrap_or_default();
                if (n, list) != before {
                    let (origin, version, action, kind) = row;
                    let holds = |period: &&Period| (period.start..period.end).contains(&origin);
                    // What is older than the first period belongs to it.
                    let of = *periods.iter().find(holds).unwrap_or(&periods[0]);
                    touched.insert(of);
                    books.take(of, version, &action, kind, n - before.0);
                    books.list(of, version, &action, kind, list - before.1);
                    *beyond_list.entry(of).or_default() -= list - before.1;
                }
            }
            let touched: Vec<Period> = touched.into_iter().collect();
            let lines = books.bill(&touched);
            for line in &lines {
                let of = touched.iter().find(|period| period.start == line.period_start).expect("one");
                *beyond_list.entry(*of).or_default() += i128::from(line.amount_nanos);
            }
            closings.push(Closed { period, lines, beyond_list });
        }
        closings
    }

    /// The entries of a customer that hold at a time, by the facts known by then.
    fn posted(&self, customer: &str, now: i64) -> Vec<Posting> {
        let is_known = |of: &str, at: i64| of == customer && at.max(self.facts_from) <= now;
        let (attempts, resolutions) = (self.traffic.attempts.iter(), self.traffic.resolutions.iter());
        let known = Traffic {
            contracts: self.versions(customer).into_iter().cloned().collect(),
            attempts: attempts.filter(|fact| is_known(&fact.customer, fact.ended_at)).cloned().collect(),
            resolutions: resolutions
                .filter(|fact| is_known(&fact.customer, fact.occurred_at))
                .cloned()
                .collect(),
        };
        Oracle::new(&known, now).postings().into_values().flatten().collect()
    }
}
