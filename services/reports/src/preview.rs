//! What a month would cost under a contract that is not signed yet: beside what it costs under those that are, from the
//! same facts, at the same moment. Reads only.

use crate::count::Overflow;
use crate::rejudge::{PAGE, RejudgeError, all_contracts};
use std::collections::BTreeMap;
use std::fmt::Write;
use verdict_domain::contract::{self, Contract, in_force};
use verdict_domain::fact::Fact;
use verdict_domain::invoice::{Counted, Draft, draft};
use verdict_domain::judge::judge;
use verdict_domain::ledger::{Entry, EntryKind, entries};
use verdict_domain::money::minor_decimal;
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Tally, used_by};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::history::{self, Window};
use verdict_store::{Store, cases, usage};

/// A period under two contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The period.
    pub period: Period,
    /// How many cases the outcomes are of.
    pub cases: u64,
    /// What it costs under the versions that are put; `None` without any.
    pub before: Option<Draft>,
    /// What it would cost under the other.
    pub after: Draft,
    /// Outcomes that the other has no price for, or whose value its price needs is not told, by action.
    pub unpriced: BTreeMap<String, i64>,
}

/// What a period of the contract's customer would cost under `contract`, as of `now`.
pub async fn preview(
    store: &Store,
    contract: &Contract,
    period: Period,
    now: Timestamp,
) -> Result<Preview, RejudgeError> {
    let snapshot = store.snapshot().await?;
    let customer = Some(contract.customer.clone());
    let versions = all_contracts(&snapshot, customer.as_deref()).await?.remove(&contract.customer);
    let versions = versions.unwrap_or_default();
    // As if it had been in force all the while.
    let signed = Contract { effective_from: period.start, ..contract.clone() };
    let window = Window { from: Timestamp(i64::MIN), to: period.end, customer };
    let (mut before, mut after) = (Month::new(period), Month::new(period));
    let (mut cases_counted, mut unpriced, mut last_key) = (0_u64, BTreeMap::new(), None);
    let default = Rule::default();
    loop {
        let keys = history::page(&snapshot, &window, last_key.as_ref(), PAGE).await?;
        let Some(last) = keys.last() else { break };
        last_key = Some(last.clone());
        let facts = cases::facts(&snapshot, &keys).await?;
        for facts in facts.values() {
            let own = contract::of_case(&versions, facts).map_or(&default, |contract| &contract.rule);
            before.count(facts, own, now, |entry| listed(in_force(&versions, entry.effective_at)?, entry))?;
            let touched = after.count(facts, &signed.rule, now, |entry| {
                let priced = listed(&signed, entry);
                if priced.is_none() {
                    *unpriced.entry(entry.action.clone()).or_default() += entry.sign;
                }
                priced
            })?;
            cases_counted += u64::from(touched);
        }
        for attempt in usage::of_cases(&snapshot, &keys).await? {
            before.use_attempt(&versions, &attempt)?;
            after.use_attempt(std::slice::from_ref(&signed), &attempt)?;
        }
    }
    let bill = |versions: &[Contract], month: Month| {
        // What prepaid credits pay is no part of the comparison.
        let counted = [Counted { period, trial: true, counts: month.counts }];
        draft(contract.currency, versions, &counted, &BTreeMap::new(), &[]).map_err(|_| Overflow)
    };
    let before = if versions.is_empty() { None } else { Some(bill(&versions, before)?) };
    let after = bill(&[signed], after)?;
    Ok(Preview { period, cases: cases_counted, before, after, unpriced })
}

/// The list price of an outcome, and the version that it is of; `None` where that has none.
fn listed(version: &Contract, entry: &Entry) -> Option<(u32, i64)> {
    let price = version.list_price(&entry.action, entry.win, entry.value).ok()?;
    Some((version.version, price.nanos))
}

/// What is charged for in a period, by contract version.
struct Month {
    period: Period,
    counts: BTreeMap<u32, Counts>,
}

impl Month {
    fn new(period: Period) -> Self {
        Self { period, counts: BTreeMap::new() }
    }

    fn has(&self, at: Timestamp) -> bool {
        (self.period.start..self.period.end).contains(&at)
    }

    /// Counts what a case adds to the period, by the version and the list price that `price` gives to a charge. Answers whether it adds anything.
    fn count(
        &mut self,
        facts: &[Fact],
        rule: &Rule,
        now: Timestamp,
        mut price: impl FnMut(&Entry) -> Option<(u32, i64)>,
    ) -> Result<bool, Overflow> {
        let mut touched = false;
        let mut charge: Option<Entry> = None;
        for entry in entries(facts, &judge(facts, rule, now).episodes) {
            if entry.kind == EntryKind::Charge {
                charge = Some(entry.clone());
            }
            // A void belongs to the period of its charge, which stands before it.
            let Some(origin) = charge.as_ref().filter(|origin| self.has(origin.effective_at)) else {
                continue;
            };
            let Some((version, listed)) = price(&Entry { sign: entry.sign, ..origin.clone() }) else {
                continue;
            };
            let value = entry.value.map_or(0, |value| i128::from(value.nanos) * i128::from(entry.sign));
            let added = Tally { quantity: entry.sign, listed: listed * entry.sign, value };
            let outcomes = &mut self.counts.entry(version).or_default().outcomes;
            let tally = outcomes.entry((entry.action.clone(), entry.win)).or_default();
            *tally = tally.plus(added).ok_or(Overflow)?;
            touched = true;
        }
        Ok(touched)
    }

    /// Counts an attempt that a version charges as usage.
    fn use_attempt(&mut self, versions: &[Contract], attempt: &usage::Attempt) -> Result<(), Overflow> {
        let version = used_by(versions, &attempt.action, attempt.at).filter(|_| self.has(attempt.at));
        let Some(version) = version else { return Ok(()) };
        let used = &mut self.counts.entry(version.version).or_default().usage;
        let cost = attempt.cost_nanos.filter(|_| attempt.currency == version.currency.code());
        used.entry(attempt.action.clone())
            .or_default()
            .add(cost, attempt.estimated, attempt.price_source.clone())
            .ok_or(Overflow)
    }
}

/// A preview as text.
pub fn previewed(preview: &Preview, contract: &Contract) -> String {
    let currency = contract.currency;
    let mut text = format!(
        "{} from {} to {} (end excluded), {} cases\n",
        contract.customer, preview.period.start, preview.period.end, preview.cases
    );
    let mut bill = |title: &str, bill: &Draft| {
        let _ = writeln!(text, "\n{title}");
        for line in &bill.lines {
            let amount = minor_decimal(line.minor, currency);
            let _ = writeln!(text, "  {:>14}  {} x {}: {}", amount, line.quantity, line.item, line.why);
        }
        let total = minor_decimal(bill.total_minor, currency);
        let _ = writeln!(text, "  {total:>14}  {} in total", currency.code());
    };
    if let Some(before) = &preview.before {
        bill("Under the versions that are put", before);
    }
    bill(&format!("Under version {} of this file", contract.version), &preview.after);
    for (action, count) in &preview.unpriced {
        let _ = writeln!(
            text,
            "\n{count} outcomes of `{action}` have no price in it (or no value, where the price is a share of it): they would be parked"
        );
    }
    text
}
