//! RULES, "Periods and invoices", told in the order in which things become known: one customer's ledger and documents.

use crate::books::Books;
use crate::costs::model_cost;
use crate::documents::Document;
use crate::oracle::{Oracle, in_force};
use crate::periods::{Period, closed_periods};
use crate::pricing::{Tally, Used};
use crate::{Attempt, Contract, Grant, Posting, Resolution, Traffic};
use std::collections::{BTreeMap, BTreeSet};

/// A row of the ledger that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose outcome, among the customer's.
    pub case: String,
    /// The row.
    pub posting: Posting,
}

/// What becomes known.
enum News<'a> {
    Contract(&'a Contract),
    Grant(&'a Grant),
    Attempt(&'a Attempt),
    Resolution(&'a Resolution),
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
pub struct Journal<'a> {
    customer: &'a str,
    /// By when it becomes known; where that is said, each such moment is looked at.
    news: BTreeMap<i64, Vec<News<'a>>>,
    looks_at_news: bool,
    now: i64,
    versions: Vec<&'a Contract>,
    grants: Vec<&'a Grant>,
    known: Traffic,
    ledger: Vec<Entry>,
    /// The origins of rows that are on no invoice yet.
    to_take: BTreeSet<i64>,
    taken: BTreeMap<Row, Tally>,
    usage: Vec<UsedUp>,
    books: Books<'a>,
    periods: Vec<Period>,
    pub(crate) closed: Vec<Closed>,
}

impl<'a> Journal<'a> {
    /// A customer's, before anything is known. Facts are known at their time or from `facts_from` on if that is later;
    /// contract versions and grants always.
    pub fn new(traffic: &'a Traffic, customer: &'a str, facts_from: i64) -> Self {
        Self::told(traffic, customer, false, |id, at| match id {
            Id::Fact(_) => at.max(facts_from),
            Id::Contract(_) | Id::Grant(_) => i64::MIN,
        })
    }

    /// The same, where everything has a time of its own to become known: facts by their id, versions as `contract:1`,
    /// grants as `grant:ID`. What is not in `known_at` is known always.
    pub fn with_known_at(
        traffic: &'a Traffic,
        customer: &'a str,
        known_at: &BTreeMap<(String, String), i64>,
    ) -> Self {
        let find = |id: String| known_at.get(&(customer.to_owned(), id)).copied().unwrap_or(i64::MIN);
        Self::told(traffic, customer, true, |id, _| match id {
            Id::Fact(id) => find(id),
            Id::Contract(version) => find(format!("contract:{version}")),
            Id::Grant(id) => find(format!("grant:{id}")),
        })
    }

    fn told(
        traffic: &'a Traffic,
        customer: &'a str,
        looks_at_news: bool,
        known_at: impl Fn(Id, i64) -> i64,
    ) -> Self {
        let mut news: BTreeMap<i64, Vec<News>> = BTreeMap::new();
        for version in traffic.contracts.iter().filter(|contract| contract.customer == customer) {
            let at = known_at(Id::Contract(version.version), version.effective_from);
            news.entry(at).or_default().push(News::Contract(version));
        }
        for grant in traffic.grants.iter().filter(|grant| grant.customer == customer) {
            let at = known_at(Id::Grant(grant.id.clone()), grant.effective_at);
            news.entry(at).or_default().push(News::Grant(grant));
        }
        for attempt in traffic.attempts.iter().filter(|attempt| attempt.customer == customer) {
            let at = known_at(Id::Fact(attempt.fact_id()), attempt.ended_at);
            news.entry(at).or_default().push(News::Attempt(attempt));
        }
        for resolution in traffic.resolutions.iter().filter(|resolution| resolution.customer == customer) {
            let at = known_at(Id::Fact(resolution.fact_id()), resolution.occurred_at);
            news.entry(at).or_default().push(News::Resolution(resolution));
        }
        Self {
            customer,
            news,
            looks_at_news,
            now: i64::MIN,
            versions: Vec::new(),
            grants: Vec::new(),
            known: Traffic::default(),
            ledger: Vec::new(),
            to_take: BTreeSet::new(),
            taken: BTreeMap::new(),
            usage: Vec::new(),
            books: Books::new(Vec::new()),
            periods: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// Goes on to a time.
    pub fn go_to(&mut self, now: i64) {
        self.learn(self.now);
        while self.now < now {
            let mut next = now;
            if self.looks_at_news {
                next = next.min(self.news.keys().next().copied().unwrap_or(now));
            }
            if let Some(period) = self.to_close(now) {
                next = next.min(period.closes_at);
            }
            self.now = self.now.max(next);
            self.learn(self.now);
            self.post();
            while let Some(period) = self.to_close(self.now) {
                self.close(period);
            }
        }
    }

    /// The rows that hold.
    pub fn ledger(&self) -> &[Entry] {
        &self.ledger
    }

    /// All documents so far.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.closed.iter().flat_map(|closed| &closed.documents)
    }

    /// The next period, if it is closed by then.
    fn to_close(&self, now: i64) -> Option<Period> {
        if self.versions.is_empty() {
            return None;
        }
        closed_periods(&self.known.contracts, self.customer, now).get(self.periods.len()).copied()
    }

    fn learn(&mut self, now: i64) {
        let later = self.news.split_off(&now.saturating_add(1));
        let news: Vec<News> = std::mem::replace(&mut self.news, later).into_values().flatten().collect();
        for news in &news {
            match news {
                News::Contract(version) => {
                    self.versions.push(version);
                    self.known.contracts.push((*version).clone());
                }
                News::Grant(grant) => self.grants.push(grant),
                News::Attempt(attempt) => self.known.attempts.push((*attempt).clone()),
                News::Resolution(resolution) => self.known.resolutions.push((*resolution).clone()),
            }
        }
        self.books.put(self.versions.clone());
        self.books.grant(self.grants.clone());
        for news in news {
            if let News::Attempt(attempt) = news {
                self.use_up(attempt);
            }
        }
    }

    fn use_up(&mut self, attempt: &Attempt) {
        let Some(version) = in_force(&self.known.contracts, self.customer, attempt.ended_at) else { return };
        if !version.usage.iter().any(|usage| usage.action == attempt.action) {
            return;
        }
        let mut used = Used { attempts: 1, ..Used::default() };
        if let Some((cost, currency)) = model_cost(attempt)
            && currency == version.currency
        {
            used.cost = i128::from(cost);
            (used.marked, used.marked_cost) = (1, used.cost);
        }
        let (at, version, action) = (attempt.ended_at, version.version, attempt.action.clone());
        self.usage.push(UsedUp { at, version, action, used });
    }

    /// Posts what holds now. What is posted already keeps its price.
    fn post(&mut self) {
        let key = |case: &str, posting: &Posting| {
            let Posting { episode, sign, kind, action, agent, model, effective_at, origin, .. } =
                posting.clone();
            (case.to_owned(), episode, sign, kind, action, agent, model, effective_at, origin)
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

/// What may become known.
enum Id {
    Fact(String),
    Contract(u32),
    Grant(String),
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
        let mut journal = Journal::new(self.traffic, customer, self.facts_from);
        journal.go_to(self.now);
        journal.closed
    }
}
