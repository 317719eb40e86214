//! RULES, "The price of a period" and "Periods and invoices": what is billed, and the lines of the next closing.

use crate::periods::Period;
use crate::pricing::{Counts, Item, Tally, Used, price_period};
use crate::{Contract, Grant, minor_units, nanos, round_div};
use std::collections::{BTreeMap, BTreeSet};

/// One line of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When the period begins that it is about: the closed one or an earlier one.
    pub period_start: i64,
    /// What it is for.
    pub item: Item,
    /// The version that priced it; 0 for prepaid credits.
    pub contract_version: u32,
    /// How many, less what earlier lines say.
    pub quantity: i64,
    /// The exact amount, less what earlier lines say.
    pub amount_nanos: i64,
    /// The rounded amount, less what earlier lines say.
    pub amount_minor: i64,
}

/// What is on a customer's documents.
#[derive(Clone, Debug, Default)]
pub struct Books {
    pub(crate) versions: Vec<Contract>,
    pub(crate) grants: Vec<Grant>,
    /// What is on invoices, by period and the version that priced it.
    counts: BTreeMap<(Period, u32), Counts>,
    /// The sums of the lines so far: quantity, nanos and minor units.
    billed: BTreeMap<(i64, u32, Item), (i64, i128, i128)>,
    /// The periods that are trials, by their beginnings.
    pub(crate) trials: BTreeSet<i64>,
    /// What can still be taken off the invoice of a period, in minor units.
    pub(crate) creditable: BTreeMap<i64, i64>,
}

impl Books {
    /// Those of a customer with these versions of a contract, all of one currency. Nothing is on an invoice.
    pub fn new(versions: Vec<Contract>) -> Self {
        Self { versions, ..Self::default() }
    }

    /// The customer has these prepaid credits from now on.
    pub fn grant(&mut self, grants: Vec<Grant>) {
        self.grants = grants;
    }

    /// Takes outcomes, priced by a version, of a period; a negative number of those taken back.
    pub fn take(&mut self, period: Period, version: u32, action: &str, kind: &'static str, outcomes: Tally) {
        let counts = self.counts.entry((period, version)).or_default();
        let sum = counts.outcomes.entry((action.to_owned(), kind)).or_default();
        sum.n += outcomes.n;
        sum.listed += outcomes.listed;
    }

    /// Takes attempts of a period that a version charges as usage.
    pub fn take_usage(&mut self, period: Period, version: u32, action: &str, used: Used) {
        let counts = self.counts.entry((period, version)).or_default();
        let sum = counts.usage.entry(action.to_owned()).or_default();
        sum.attempts += used.attempts;
        sum.cost += used.cost;
        sum.marked += used.marked;
        sum.marked_cost += used.marked_cost;
    }

    /// The lines of the next closing: what each of these periods, in order, costs now, less what was billed for it.
    pub fn bill(&mut self, periods: &[Period]) -> Vec<Line> {
        let mut lines = Vec::new();
        for period in periods {
            let mut now = self.price(period);
            if !self.trials.contains(&period.start) {
                let drawn = self.draw(period, now.values().map(|(_, _, minor)| minor).sum());
                for (grant, minor) in drawn {
                    let key = (period.start, 0, Item::Credits { grant });
                    now.insert(key, (1, -minor * self.one_minor(), -minor));
                }
            }
            let mut keys: BTreeSet<_> = now.keys().cloned().collect();
            keys.extend(self.billed.keys().filter(|(start, ..)| *start == period.start).cloned());
            for key in keys {
                let (quantity, nanos, minor) = now.get(&key).copied().unwrap_or_default();
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
        }
        lines
    }

    /// 1 to 6 of a period's price.
    fn price(&self, period: &Period) -> BTreeMap<(i64, u32, Item), (i64, i128, i128)> {
        let mut now: BTreeMap<_, (i64, i128, i128)> = BTreeMap::new();
        for version in &self.versions {
            let in_force = self.in_force(version, period);
            let none = Counts::default();
            let counts = self.counts.get(&(*period, version.version)).unwrap_or(&none);
            for priced in price_period(version, counts, in_force, period.end - period.start) {
                let sum = now.entry((period.start, version.version, priced.item)).or_default();
                sum.0 += priced.quantity;
                sum.1 += priced.nanos;
            }
        }
        for sum in now.values_mut() {
            sum.2 = round_div(sum.1, self.one_minor());
        }
        now
    }

    /// What each grant pays of a period's total, in minor units.
    fn draw(&self, period: &Period, mut total: i128) -> Vec<(String, i128)> {
        let is_valid = |grant: &&Grant| {
            grant.effective_at < period.end && grant.expires_at.is_none_or(|at| at > period.start)
        };
        let mut grants: Vec<&Grant> = self.grants.iter().filter(is_valid).collect();
        let never = i64::MAX;
        grants.sort_by_key(|grant| {
            (grant.expires_at.unwrap_or(never), grant.effective_at, grant.id.as_bytes())
        });
        let mut drawn = Vec::new();
        for grant in grants {
            let mut left = i128::from(nanos(&grant.amount)) / self.one_minor();
            for ((start, _, item), (_, _, minor)) in &self.billed {
                if *start != period.start && *item == (Item::Credits { grant: grant.id.clone() }) {
                    left += minor;
                }
            }
            let pays = left.min(total);
            if pays > 0 {
                drawn.push((grant.id.clone(), pays));
                total -= pays;
            }
        }
        drawn
    }

    /// Nanos.
    fn one_minor(&self) -> i128 {
        10i128.pow(9 - minor_units(&self.versions[0].currency))
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
