//! RULES, "Periods and invoices", told in the order in which things become known: one customer's ledger and documents.

use crate::books::Books;
use crate::costs::model_cost;
use crate::documents::Document;
use crate::free::is_trial_by;
use crate::oracle::{Oracle, in_force};
use crate::periods::{Period, closed_periods};
use crate::pricing::{Tally, Used};
use crate::{Attempt, Contract, Posting, Traffic};
use std::collections::{BTreeMap, BTreeSet};

/// A row of the ledger that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose outcome, among the customer's.
    pub case: String,
    /// The row.
    pub posting: Posting,
}

/// An attempt that is charged as usage.
struct UsedUp {
    at: i64,
    version: u32,
    action: String,
    used: Used,
}

/// What makes rows of the ledger the same to an invoice: origin, version, action and kind.
type Row = (i64, u32, String, &'static str);

/// What closing a period, at its time, made of it.
pub(crate) struct Closed {
    pub documents: Vec<Document>,
    /// By how much the lines of the periods differ from the list prices of what was taken, by period.
    pub beyond_list: BTreeMap<Period, i128>,
}

/// What is known of a customer, and what the rules make of it, moment by moment.
#[derive(Default)]
pub struct Journal {
    customer: String,
    now: i64,
    known: Traffic,
    ledger: Vec<Entry>,
    /// The origins of rows that are on no invoice yet.
    to_take: BTreeSet<i64>,
    taken: BTreeMap<Row, Tally>,
    usage: Vec<UsedUp>,
    books: Books,
    periods: Vec<Period>,
    pub(crate) closed: Vec<Closed>,
}

impl Journal {
    /// A customer's, before anything is known.
    pub fn new(customer: &str) -> Self {
        Self { customer: customer.to_owned(), ..Self::default() }
    }

    /// From now on this is known, too: all of it about this customer.
    pub fn learn(&mut self, news: Traffic) {
        self.known.contracts.extend(news.contracts);
        self.known.grants.extend(news.grants);
        self.books.versions.clone_from(&self.known.contracts);
        self.books.grants.clone_from(&self.known.grants);
        for attempt in &news.attempts {
            self.use_up(attempt);
        }
        self.known.attempts.extend(news.attempts);
        self.known.resolutions.extend(news.resolutions);
    }

    /// Goes on to a time, and closes on the way what can be closed; nothing becomes known meanwhile.
    pub fn go_to(&mut self, now: i64) {
        while let Some(period) = self.next_to_close(now) {
            self.now = self.now.max(period.closes_at);
            self.post();
            self.close(period);
        }
        self.now = now;
        self.post();
    }

    /// The next period, if it is closed by then.
    pub fn next_to_close(&self, now: i64) -> Option<Period> {
        closed_periods(&self.known.contracts, &self.customer, now).get(self.periods.len()).copied()
    }

    /// The rows that hold.
    pub fn ledger(&self) -> &[Entry] {
        &self.ledger
    }

    pub(crate) fn versions(&self) -> &[Contract] {
        &self.known.contracts
    }

    /// Whether a period was closed as a trial, or would be by what is known now.
    pub(crate) fn is_trial(&self, period: &Period) -> bool {
        match self.periods.iter().any(|closed| closed.start == period.start) {
            true => self.books.trials.contains(&period.start),
            false => is_trial_by(&self.known.contracts, period),
        }
    }

    /// All documents so far.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.closed.iter().flat_map(|closed| &closed.documents)
    }

    fn use_up(&mut self, attempt: &Attempt) {
        let Some(version) = in_force(&self.known.contracts, &self.customer, attempt.ended_at) else { return };
        if !version.usage.iter().any(|usage| usage.action == attempt.action) {
            return;
        }
        let mut used = Used { attempts: 1, ..Used::default() };
        if let Some((cost, currency)) = model_cost(attempt)
            && currency == version.currency
        {
            used.cost = i128::from(cost);
            let estimated = attempt.usage.as_ref().is_some_and(|usage| usage.estimated);
            if !estimated {
                (used.marked, used.marked_cost) = (1, used.cost);
            }
        }
        let (at, version, action) = (attempt.ended_at, version.version, attempt.action.clone());
        self.usage.push(UsedUp { at, version, action, used });
    }

    /// Posts what holds now. What is posted already keeps its price.
    fn post(&mut self) {
        let key = |case: &str, posting: &Posting| {
            let Posting { episode, sign, kind, action, agent, model, effective_at, origin, value, .. } =
                posting.clone();
            (case.to_owned(), episode, sign, kind, action, agent, model, effective_at, origin, value)
        };
        let mut posted = BTreeMap::new();
        for entry in std::mem::take(&mut self.ledger) {
            posted.insert(key(&entry.case, &entry.posting), entry);
        }
        for ((_, case), postings) in Oracle::new(&self.known, self.now).postings() {
            for mut posting in postings {
                let of_charge = Posting { sign: 1, effective_at: posting.origin, ..posting.clone() };
                if let Some(charge) = posted.get(&key(&case, &of_charge)) {
                    let charge = &charge.posting;
                    posting.amount_nanos = i64::from(posting.sign) * charge.amount_nanos;
                    posting.contract_version = charge.contract_version;
                }
                if !posted.contains_key(&key(&case, &posting)) {
                    self.to_take.insert(posting.origin);
                }
                self.ledger.push(Entry { case: case.clone(), posting });
            }
        }
        for entry in &self.ledger {
            posted.remove(&key(&entry.case, &entry.posting));
        }
        // What is left holds no more.
        self.to_take.extend(posted.into_values().map(|entry| entry.posting.origin));
    }

    fn close(&mut self, period: Period) {
        self.periods.push(period);
        let periods = self.periods.clone();
        // What is older than the first period belongs to it.
        let of = |at: i64| *periods.iter().find(|period| at < period.end).expect("it is taken");
        let mut touched = BTreeSet::from([period]);
        let later = self.to_take.split_off(&period.end);
        touched.extend(std::mem::replace(&mut self.to_take, later).into_iter().map(of));

        let mut posted: BTreeMap<Row, Tally> = BTreeMap::new();
        for Entry { posting, .. } in &self.ledger {
            let row = (posting.origin, posting.contract_version, posting.action.clone(), posting.kind);
            let sum = posted.entry(row).or_default();
            sum.n += i64::from(posting.sign);
            sum.listed += i128::from(posting.amount_nanos);
        }
        let mut beyond_list: BTreeMap<Period, i128> = BTreeMap::new();
        let rows: BTreeSet<Row> = posted.keys().chain(self.taken.keys()).cloned().collect();
        for row in rows.into_iter().filter(|row| row.0 < period.end) {
            let holds = posted.get(&row).copied().unwrap_or_default();
            let before = self.taken.insert(row.clone(), holds).unwrap_or_default();
            let taken = Tally { n: holds.n - before.n, listed: holds.listed - before.listed };
            let (origin, version, action, kind) = row;
            if taken != Tally::default() {
                self.books.take(of(origin), version, &action, kind, taken);
                *beyond_list.entry(of(origin)).or_default() -= taken.listed;
            }
        }
        let (to_take, later) =
            std::mem::take(&mut self.usage).into_iter().partition(|used| used.at < period.end);
        self.usage = later;
        let to_take: Vec<UsedUp> = to_take;
        for UsedUp { at, version, action, used } in to_take {
            touched.insert(of(at));
            self.books.take_usage(of(at), version, &action, used);
        }

        let touched: Vec<Period> = touched.into_iter().collect();
        let documents = self.books.close(period, &touched);
        for line in documents.iter().flat_map(|document| &document.lines) {
            *beyond_list.entry(of(line.period_start)).or_default() += i128::from(line.amount_nanos);
        }
        self.closed.push(Closed { documents, beyond_list });
    }
}

impl Oracle<'_> {
    /// The documents of all periods that are closed, by customer and period, as if each period had been closed
    /// as soon as it may be. A fact is known at its time, or when the first facts are known if that is later.
    pub fn documents(&self) -> Vec<Document> {
        let mut documents = Vec::new();
        for customer in self.customers() {
            documents.extend(self.closings(customer).into_iter().flat_map(|closed| closed.documents));
        }
        documents
    }

    pub(crate) fn customers(&self) -> BTreeSet<&str> {
        self.traffic.contracts.iter().map(|contract| contract.customer.as_str()).collect()
    }

    pub(crate) fn versions(&self, customer: &str) -> Vec<&Contract> {
        self.traffic.contracts.iter().filter(|contract| contract.customer == customer).collect()
    }

    /// Closes the customer's periods, one after the other.
    pub(crate) fn closings(&self, customer: &str) -> Vec<Closed> {
        let mut journal = Journal::new(customer);
        let of_customer = |of: &str| of == customer;
        journal.learn(Traffic {
            contracts: self.versions(customer).into_iter().cloned().collect(),
            grants: self
                .traffic
                .grants
                .iter()
                .filter(|grant| of_customer(&grant.customer))
                .cloned()
                .collect(),
            ..Traffic::default()
        });
        let mut known_until = i64::MIN;
        while let Some(period) = journal.next_to_close(self.now) {
            let is_new = |at: i64| (known_until + 1..=period.closes_at).contains(&at.max(self.facts_from));
            let (attempts, resolutions) = (self.traffic.attempts.iter(), self.traffic.resolutions.iter());
            let attempts = attempts.filter(|fact| of_customer(&fact.customer) && is_new(fact.ended_at));
            let resolutions =
                resolutions.filter(|fact| of_customer(&fact.customer) && is_new(fact.occurred_at));
            journal.learn(Traffic {
                attempts: attempts.cloned().collect(),
                resolutions: resolutions.cloned().collect(),
                ..Traffic::default()
            });
            known_until = period.closes_at;
            journal.go_to(period.closes_at);
        }
        journal.closed
    }
}
