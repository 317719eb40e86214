//! Random contracts and outcomes: what drafts promise, and that they agree with the oracle to the nano and to the
//! minor unit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::{self, Contract};
use verdict_domain::document::{About, documents};
use verdict_domain::invoice::{Billed, Counted, Drawn, Key, Line, NO_VERSION, draft};
use verdict_domain::judge::WinKind;
use verdict_domain::period;
use verdict_domain::pricing::{self, Counts, Item};
use verdict_domain::time::Timestamp;
use verdict_judgement::seed;
use verdict_oracle::{
    Books, Cadence, ContractPrice, Corrections, DAY, Fee, Grant, HOUR, Mode, Period, Plan, Tally, Tier,
    UsagePrice, Used, closed_periods, generate, minor_units, nanos,
};

const CONTRACTS: u64 = 10_000;
/// 2026-09-01T00:00:00Z.
const START: i64 = 1_788_220_800_000_000;
const ACTIONS: [&str; 2] = ["support.resolution", "refund.processed"];
const USED: &str = "research";

/// September, October and November.
const PERIODS: [Period; 3] = [
    Period { start: START, end: START + 30 * DAY, closes_at: START + 33 * DAY },
    Period { start: START + 30 * DAY, end: START + 61 * DAY, closes_at: START + 64 * DAY },
    Period { start: START + 61 * DAY, end: START + 91 * DAY, closes_at: START + 94 * DAY },
];

/// What a closing takes, by (period, version): outcomes by (action, kind), and usage by action. What is taken of an earlier
/// period was known late, or is taken back.
#[derive(Debug, Clone, Default)]
struct Taken {
    outcomes: BTreeMap<(usize, u32, &'static str, WinKind), Tally>,
    usage: BTreeMap<(usize, u32, &'static str), Used>,
}

impl Taken {
    fn touched(&self, closing: usize) -> Vec<usize> {
        let outcomes = self.outcomes.keys().map(|key| key.0);
        let touched: BTreeSet<usize> =
            outcomes.chain(self.usage.keys().map(|key| key.0)).chain([closing]).collect();
        touched.into_iter().collect()
    }
}

/// A contract of one or two versions, prepaid credits, and what is taken as each period is closed.
#[derive(Debug)]
struct Case {
    versions: Vec<verdict_oracle::Contract>,
    grants: Vec<Grant>,
    taken: Vec<Taken>,
}

struct Teller(Xoshiro256PlusPlus);

impl Teller {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0).expect("some").clone()
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.0.random_ratio(1, n)
    }

    /// Often a price that people ask, at times one that is cut at odd places.
    fn amount(&mut self) -> String {
        if self.one_in(3) {
            return format!("{}.{:09}", self.0.random_range(0..20), self.0.random_range(0..1_000_000_000));
        }
        self.one(&["0", "0.99", "0.5", "2", "1.2", "0.005", "0.333333333", "110", "87.5"]).into()
    }

    fn tiers(&mut self) -> Vec<Tier> {
        let mut last = 0;
        let mut tiers = Vec::new();
        for _ in 0..self.0.random_range(0..3) {
            last += self.0.random_range(1..8);
            tiers.push(self.tier(Some(last)));
        }
        tiers.push(self.tier(None));
        tiers
    }

    fn tier(&mut self, up_to: Option<i64>) -> Tier {
        Tier { up_to, amount: self.amount(), flat: if self.one_in(3) { Some(self.amount()) } else { None } }
    }

    fn price(&mut self, action: &str) -> ContractPrice {
        let mut price = ContractPrice { action: action.into(), ..ContractPrice::default() };
        if self.one_in(6) {
            price.share = Some(self.one(&["20", "2.5"]).into());
            return price;
        }
        if self.one_in(2) {
            price.amount = Some(self.amount());
        } else {
            price.tiers = self.tiers();
        }
        match self.0.random_range(0..3) {
            0 => price.assumed_amount = Some(self.amount()),
            1 => price.assumed_tiers = self.tiers(),
            _ => {}
        }
        price.mode = self.one(&[Mode::Graduated, Mode::Volume]);
        price.included = self.one(&[0, 0, 1, 5, 12]);
        price.package = self.one(&[None, None, Some(1), Some(3), Some(10)]);
        price
    }

    fn usage(&mut self) -> Vec<UsagePrice> {
        let mut usage = Vec::new();
        for action in self.one(&[&[][..], &[USED], &[USED, ACTIONS[0]]]) {
            let mut some = |text: &str| if self.one_in(2) { Some(text.to_owned()) } else { None };
            usage.push(UsagePrice {
                action: (*action).into(),
                percent: some("20").or_else(|| some("12.345678901")),
                per_request: some("0.005").or_else(|| some("1.3")),
                beside_outcomes: *action != USED,
            });
        }
        usage
    }

    fn contract(&mut self, version: u32, currency: &str) -> verdict_oracle::Contract {
        let percents = [None, None, Some("0"), Some("10"), Some("12.345678901"), Some("33.3"), Some("100")];
        let mut percent = || self.one(&percents).map(str::to_owned);
        let (discount, assumed_at_most) = (percent(), percent());
        let fee = |name: &str, amount: String, quantity| Fee { name: name.into(), amount, quantity };
        let mut fees = Vec::new();
        for name in self.one(&[&[][..], &["seats"], &["seats", "platform"]]) {
            fees.push(fee(name, self.amount(), self.0.random_range(1..4)));
        }
        let minimum = self.0.random_range(1..60);
        let from = if version == 1 { -DAY } else { self.0.random_range(-1..92) * DAY + HOUR };
        verdict_oracle::Contract {
            customer: "acme".into(),
            version,
            effective_from: START + from,
            currency: currency.into(),
            time_zone: "UTC".into(),
            grace_hours: 72,
            bill_to_name: "Acme GmbH".into(),
            bill_to_email: "billing@acme.example".into(),
            prices: ACTIONS.iter().map(|action| self.price(action)).collect(),
            fees,
            minimum: self.one_in(3).then(|| format!("{minimum}.{}", self.0.random_range(0..1_000))),
            cap: self.one_in(3).then(|| (minimum + self.0.random_range(1..60)).to_string()),
            discount,
            assumed_at_most,
            usage: self.usage(),
            shadow: self.one_in(4),
            corrections: self.one(&[Corrections::NextInvoice, Corrections::CreditNote]),
            ..verdict_oracle::Contract::default()
        }
    }

    fn grant(&mut self, nth: usize, currency: &str) -> Grant {
        let minor: u32 = self.one(&[0, 100, 1_000, 5_000, 20_000]) + self.0.random_range(0..100);
        let amount = match minor_units(currency) {
            0 => minor.to_string(),
            _ => format!("{}.{:02}", minor / 100, minor % 100),
        };
        let effective_at = START + self.0.random_range(-20..95) * DAY;
        // Some end with a period, to the microsecond.
        let expires_at = self.one(&[None, None, Some(START + 30 * DAY), Some(effective_at + 45 * DAY)]);
        Grant {
            id: format!("g-{}", (nth * 7) % 5),
            customer: "acme".into(),
            amount,
            currency: currency.into(),
            effective_at,
            expires_at: expires_at.filter(|at| *at > effective_at),
        }
    }

    /// What is taken of a period as it, or a later one, is closed.
    fn take(&mut self, versions: usize, period: usize, late: bool, taken: &mut Taken) {
        for version in (1..=versions).map(|version| u32::try_from(version).unwrap()) {
            for action in ACTIONS {
                for win in [WinKind::Confirmed, WinKind::Assumed] {
                    let of_late = [0, 0, 0, 1, 3, -1, -2, -9];
                    let n = self.one(if late { &of_late } else { &[0, 1, 2, 5, 9, 30, -3, -12] });
                    let listed = i128::from(n) * self.0.random_range(0..3_000_000_000);
                    taken.outcomes.insert((period, version, action, win), Tally { n, listed });
                }
            }
            for action in [USED, ACTIONS[0]] {
                let attempts = self.one(&[0, 1, 3, 40]);
                let known = self.0.random_range(0..=attempts);
                let marked = self.0.random_range(0..=known);
                let mut cost = |n: i64| i128::from(n) * self.0.random_range(0..200_000_000);
                let marked_cost = cost(marked);
                let used = Used { attempts, cost: marked_cost + cost(known - marked), marked, marked_cost };
                taken.usage.insert((period, version, action), used);
            }
        }
    }

    fn case(seed: u64, nth: u64) -> Case {
        let mut teller = Self(Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(nth)));
        let currency = teller.one(&["USD", "EUR", "JPY"]);
        let mut versions = vec![teller.contract(1, currency)];
        if teller.one_in(2) {
            versions.push(teller.contract(2, currency));
        }
        let mut grants: Vec<Grant> = Vec::new();
        for nth in 0..teller.one(&[0, 0, 1, 2, 4]) {
            grants.push(teller.grant(nth, currency));
        }
        let mut all = Vec::new();
        for closing in 0..PERIODS.len() {
            let mut taken = Taken::default();
            for period in 0..=closing {
                if period == closing || teller.one_in(2) {
                    teller.take(versions.len(), period, period != closing, &mut taken);
                }
            }
            for version in &versions {
                let charges = |action: &str| version.usage.iter().any(|usage| usage.action == action);
                taken.usage.retain(|key, _| key.1 != version.version || charges(key.2));
            }
            all.push(taken);
        }
        Case { versions, grants, taken: all }
    }
}

/// What the service has closed of a case.
struct Service {
    versions: Vec<Contract>,
    grants: Vec<pricing::Grant>,
    counts: [BTreeMap<u32, Counts>; 3],
    billed: BTreeMap<Key, Billed>,
    /// By period, of those that are closed: whether it is a trial, and what can be taken off its invoice.
    closed: [(bool, i64); 3],
}

impl Service {
    fn new(case: &Case) -> Self {
        let read = |version: &verdict_oracle::Contract| {
            let contract: Contract = serde_json::from_value(version.to_json()).unwrap();
            contract.check().unwrap();
            contract
        };
        let grant = |grant: &Grant| pricing::Grant {
            id: grant.id.clone(),
            minor: nanos(&grant.amount) / 10i64.pow(9 - minor_units(&grant.currency)),
            effective_at: Timestamp(grant.effective_at),
            expires_at: grant.expires_at.map(Timestamp),
        };
        Self {
            versions: case.versions.iter().map(read).collect(),
            grants: case.grants.iter().map(grant).collect(),
            counts: Default::default(),
            billed: BTreeMap::new(),
            closed: Default::default(),
        }
    }

    fn take(&mut self, taken: &Taken) {
        let to_i64 = |sum: i128| i64::try_from(sum).unwrap();
        for (&(period, version, action, win), more) in &taken.outcomes {
            let counts = self.counts[period].entry(version).or_default();
            let tally = counts.outcomes.entry((action.into(), win)).or_default();
            let more = pricing::Tally { quantity: more.n, listed: to_i64(more.listed), value: 0 };
            *tally = tally.plus(more).unwrap();
        }
        for (&(period, version, action), more) in &taken.usage {
            let counts = self.counts[period].entry(version).or_default();
            let used = counts.usage.entry(action.into()).or_default();
            used.requests += more.attempts;
            used.known += more.marked;
            used.cost += to_i64(more.cost);
            used.marked += more.marked;
            used.marked_cost += to_i64(more.marked_cost);
        }
    }

    fn drawn(&self, grant: &pricing::Grant) -> i64 {
        let item = Item::Credits { grant: grant.id.clone() };
        self.billed.iter().filter(|(key, _)| key.2 == item).map(|(_, billed)| -billed.minor).sum()
    }

    /// Closes a period: the documents about these.
    fn close(&mut self, closing: usize, touched: &[usize]) -> Vec<Said> {
        let (start, end) = (Timestamp(PERIODS[closing].start), Timestamp(PERIODS[closing].end));
        let terms = contract::in_force(&self.versions, Timestamp(end.0 - 1)).unwrap().clone();
        self.closed[closing].0 = terms.shadow;
        let counted = |nth: &usize| Counted {
            period: period::Period {
                start: Timestamp(PERIODS[*nth].start),
                end: Timestamp(PERIODS[*nth].end),
            },
            trial: self.closed[*nth].0,
            counts: self.counts[*nth].clone(),
        };
        let counted: Vec<Counted> = touched.iter().map(counted).collect();
        let is_touched = |start: Timestamp| touched.iter().any(|nth| PERIODS[*nth].start == start.0);
        let billed: BTreeMap<Key, Billed> =
            self.billed.iter().filter(|(key, _)| is_touched(key.0)).map(|(k, b)| (k.clone(), *b)).collect();
        let drawn: Vec<Drawn> = self
            .grants
            .iter()
            .map(|grant| Drawn { grant: grant.clone(), minor: self.drawn(grant) })
            .collect();
        let draft = draft(self.versions[0].currency, &self.versions, &counted, &billed, &drawn).unwrap();
        let about = |nth: usize| {
            let (trial, creditable_minor) = self.closed[nth];
            About { start: Timestamp(PERIODS[nth].start), trial, creditable_minor }
        };
        let earlier: Vec<About> =
            touched.iter().filter(|nth| **nth != closing).map(|nth| about(*nth)).collect();
        assert_eq!(draft.total_minor, draft.lines.iter().map(|line| line.minor).sum::<i64>());
        let documents = documents(draft, about(closing), &earlier, &terms).unwrap();
        let mut all = Vec::new();
        for document in documents {
            let lines = document.lines.iter().map(|line| line.minor).sum::<i64>();
            assert_eq!(document.total_minor, lines, "the lines add up to the total");
            for (line, number) in document.lines.iter().zip(1..) {
                assert_eq!(line.number, number);
                let billed = self.billed.entry(key(line)).or_default();
                billed.quantity += line.quantity;
                billed.nanos += line.amount.nanos;
                billed.minor += line.minor;
            }
            let (kind, state) = (document.kind.as_str(), document.state.as_str());
            match (kind, document.about) {
                ("credit_note", Some(about)) => {
                    let corrected = PERIODS.iter().position(|period| period.start == about.0).unwrap();
                    self.closed[corrected].1 += document.total_minor;
                    assert!(self.closed[corrected].1 >= 0, "no more is taken off than is there");
                }
                (_, None) if state == "final" => self.closed[closing].1 = document.total_minor,
                _ => {}
            }
            assert!(!document.lines.is_empty() && document.about != Some(start));
            let said = document.lines.iter().map(said).collect();
            all.push((kind, state, document.about.map(|about| about.0), document.total_minor, said));
        }
        for grant in &self.grants {
            let drawn = self.drawn(grant);
            assert!((0..=grant.minor).contains(&drawn), "{drawn} of {grant:?} are drawn");
        }
        all.sort();
        all
    }
}

fn key(line: &Line) -> Key {
    (line.period_start, line.contract_version, line.item.clone())
}

/// What both say of a document: kind, state, the earlier period that all of it is about, the total, and of each line: key,
/// quantity, nanos and minor units.
type Said = (&'static str, &'static str, Option<i64>, i64, BTreeMap<(i64, u32, String), (i64, i64, i64)>);

fn said(line: &Line) -> ((i64, u32, String), (i64, i64, i64)) {
    let of_version = matches!(line.item, Item::Credits { .. }) == (line.contract_version == NO_VERSION);
    assert!(of_version, "credits, and nothing else, are of no version");
    let key = (line.period_start.0, line.contract_version, format!("{:?}", in_oracles_words(&line.item)));
    (key, (line.quantity, line.amount.nanos, line.minor))
}

fn in_oracles_words(item: &Item) -> verdict_oracle::Item {
    match item.clone() {
        Item::Outcomes { action, win } => verdict_oracle::Item::Outcomes { action, kind: win.as_str() },
        Item::Fee { name } => verdict_oracle::Item::Fee { name },
        Item::AssumedBeyondShare => verdict_oracle::Item::AssumedBeyondShare,
        Item::Discount => verdict_oracle::Item::Discount,
        Item::Minimum => verdict_oracle::Item::Minimum,
        Item::BeyondCap => verdict_oracle::Item::BeyondCap,
        Item::ModelCost { action } => verdict_oracle::Item::ModelCost { action },
        Item::MarkUp { action } => verdict_oracle::Item::MarkUp { action },
        Item::Credits { grant } => verdict_oracle::Item::Credits { grant },
    }
}

/// The oracle closes the same period.
fn oracle(books: &mut Books, taken: &Taken, closing: usize) -> Vec<Said> {
    for (&(period, version, action, win), more) in &taken.outcomes {
        books.take(PERIODS[period], version, action, win.as_str(), *more);
    }
    for (&(period, version, action), more) in &taken.usage {
        books.take_usage(PERIODS[period], version, action, *more);
    }
    let line = |line: &verdict_oracle::Line| {
        let key = (line.period_start, line.contract_version, format!("{:?}", line.item));
        (key, (line.quantity, line.amount_nanos, line.amount_minor))
    };
    let touched: Vec<Period> = taken.touched(closing).into_iter().map(|nth| PERIODS[nth]).collect();
    let documents = books.close(PERIODS[closing], &touched);
    let mut all = Vec::new();
    for document in documents {
        let lines = document.lines.iter().map(line).collect();
        all.push((document.kind, document.state, document.about, document.total_minor, lines));
    }
    all.sort();
    all
}

fn compare(nth: u64, closing: usize, case: &Case, found: &[Said], expected: &[Said]) {
    if found != expected {
        for version in &case.versions {
            println!("{:#}", version.to_json());
        }
        println!("{:#?}\n{:#?}", case.grants, &case.taken[..=closing]);
        let only = |a: &[Said], b: &[Said]| -> Vec<Said> {
            a.iter().filter(|document| !b.contains(document)).cloned().collect()
        };
        let (found, expected) = (only(found, expected), only(expected, found));
        panic!("case {nth}, closing {closing}: the service {found:#?}, the oracle {expected:#?}");
    }
}

#[test]
fn documents_agree_with_the_oracle_and_keep_their_promises() {
    let seed = seed();
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    let mut kinds: BTreeMap<(&str, &str, bool), u64> = BTreeMap::new();
    let mut given_back = 0;
    for nth in 0..CONTRACTS {
        let case = Teller::case(seed, nth);
        let mut service = Service::new(&case);
        let mut books = Books::new(case.versions.clone());
        books.grant(case.grants.clone());
        let mut total = 0;
        for (closing, taken) in case.taken.iter().enumerate() {
            service.take(taken);
            let touched = taken.touched(closing);
            let found = service.close(closing, &touched);
            compare(nth, closing, &case, &found, &oracle(&mut books, taken, closing));
            if case.grants.is_empty() {
                assert_eq!(service.close(closing, &touched), [], "case {nth}: nothing has changed");
            }
            for (kind, state, about, minor, of_document) in &found {
                total += minor;
                *kinds.entry((kind, state, about.is_some())).or_default() += 1;
                for ((.., item), (quantity, ..)) in of_document {
                    let name = item.split_once(' ').map_or(item.as_str(), |(name, _)| name);
                    let name = [
                        "Outcomes",
                        "Fee",
                        "AssumedBeyondShare",
                        "Discount",
                        "Minimum",
                        "BeyondCap",
                        "ModelCost",
                        "MarkUp",
                        "Credits",
                    ]
                    .into_iter()
                    .find(|known| *known == name)
                    .expect("an item");
                    *lines.entry(name).or_default() += 1;
                    given_back += u64::from(name == "Credits" && *quantity < 0);
                }
            }
        }
        // For each key, what the documents say adds up to what they would have said at once: an item that has gone, to nothing.
        if case.grants.is_empty() {
            let mut at_once = Service::new(&case);
            at_once.closed = service.closed;
            for taken in &case.taken {
                at_once.take(taken);
            }
            let once: i64 = at_once.close(2, &[0, 1, 2]).iter().map(|document| document.3).sum();
            service.billed.retain(|_, billed| *billed != Billed::default());
            assert_eq!(service.billed, at_once.billed, "case {nth}");
            assert_eq!(total, once, "case {nth}");
        }
    }
    println!("{CONTRACTS} contracts agree: {lines:?}, {kinds:?}, {given_back} grants get all back");
    assert!(lines.len() == 9 && lines.values().all(|count| *count > CONTRACTS / 10), "{lines:?}");
    let all = [
        ("credit_note", "final", true),
        ("invoice", "final", false),
        ("invoice", "final", true),
        ("invoice", "shadow", false),
        ("invoice", "shadow", true),
    ];
    assert!(
        kinds.keys().copied().eq(all) && kinds.values().all(|count| *count > CONTRACTS / 100),
        "{kinds:?}"
    );
    assert!(given_back > CONTRACTS / 100);
}

#[test]
fn calendars_agree_with_the_oracle() {
    // Among them zones whose clocks change at midnight, and one that left out a day.
    let zones = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "America/Havana",
        "America/Sao_Paulo",
        "Africa/Cairo",
        "Asia/Beirut",
        "Asia/Tokyo",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ];
    let cadences = [
        (Cadence::Monthly, contract::Cadence::Monthly),
        (Cadence::Weekly, contract::Cadence::Weekly),
        (Cadence::Quarterly, contract::Cadence::Quarterly),
        (Cadence::Anniversary, contract::Cadence::Anniversary),
    ];
    let mut teller = Teller(Xoshiro256PlusPlus::seed_from_u64(seed()));
    let mut periods = 0;
    for _ in 0..400 {
        let (time_zone, (theirs, cadence)) = (teller.one(&zones), teller.one(&cadences));
        // 2000 to 2030.
        let effective_from = 946_684_800_000_000 + teller.0.random_range(0..30 * 365 * 24) * HOUR;
        let version = verdict_oracle::Contract {
            customer: "acme".into(),
            effective_from,
            period: theirs,
            time_zone: time_zone.into(),
            ..verdict_oracle::Contract::default()
        };
        let anchor = Timestamp(effective_from);
        let calendar = period::Calendar { cadence, zone: time_zone.parse().unwrap(), anchor };
        let mut next = calendar.containing(anchor);
        for expected in closed_periods(&[version], "acme", effective_from + 500 * DAY) {
            let found = (next.start.0, next.end.0);
            assert_eq!(found, (expected.start, expected.end), "{cadence:?} in {time_zone} from {anchor}");
            let end = calendar.containing(Timestamp(next.end.0 + 36 * HOUR)).end;
            next = period::Period { start: next.end, end };
            periods += 1;
        }
    }
    println!("{periods} periods agree");
}

#[test]
fn the_generated_contracts_are_sound() {
    for version in generate(&Plan { events: 0, customers: 8, ..Plan::default() }).contracts {
        let contract: Contract = serde_json::from_value(version.to_json()).unwrap();
        assert_eq!(contract.check(), Ok(()), "{}", version.customer);
    }
}
