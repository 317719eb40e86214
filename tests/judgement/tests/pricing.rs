//! Random contracts and outcomes: what drafts promise, and that they agree with the oracle to the nano and to the
//! minor unit.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use verdict_domain::contract::{self, Contract};
use verdict_domain::invoice::{Billed, Counted, Draft, Key, Line, draft};
use verdict_domain::judge::WinKind;
use verdict_domain::period;
use verdict_domain::pricing::{Counts, Item};
use verdict_domain::time::Timestamp;
use verdict_judgement::seed;
use verdict_oracle::{
    Books, Cadence, ContractPrice, DAY, Fee, HOUR, Mode, Period, Plan, Tier, closed_periods, generate,
};

const CONTRACTS: u64 = 10_000;
/// 2026-09-01T00:00:00Z.
const START: i64 = 1_788_220_800_000_000;
const ACTIONS: [&str; 2] = ["support.resolution", "refund.processed"];

/// September and October.
const PERIODS: [Period; 2] = [
    Period { start: START, end: START + 30 * DAY, closes_at: START + 33 * DAY },
    Period { start: START + 30 * DAY, end: START + 61 * DAY, closes_at: START + 64 * DAY },
];

/// So many outcomes of a period by (version, action, kind); some of them are known late.
type Outcomes = BTreeMap<(usize, u32, &'static str, WinKind), i64>;

/// A contract of one or two versions, what is on the first invoice of it, and what comes late: of the first period, too.
struct Case {
    versions: Vec<verdict_oracle::Contract>,
    early: Outcomes,
    late: Outcomes,
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
        verdict_oracle::Contract {
            customer: "acme".into(),
            version,
            effective_from: START
                + if version == 1 { -DAY } else { self.0.random_range(-1..62) * DAY + HOUR },
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
            ..verdict_oracle::Contract::default()
        }
    }

    fn case(seed: u64, nth: u64) -> Case {
        let mut teller = Self(Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(nth)));
        let currency = teller.one(&["USD", "EUR", "JPY"]);
        let mut versions = vec![teller.contract(1, currency)];
        if teller.one_in(2) {
            versions.push(teller.contract(2, currency));
        }
        let (mut early, mut late) = (Outcomes::new(), Outcomes::new());
        for version in 1..=versions.len() {
            for action in ACTIONS {
                for win in [WinKind::Confirmed, WinKind::Assumed] {
                    let key = |period| (period, u32::try_from(version).unwrap(), action, win);
                    let n = teller.one(&[0, 1, 2, 5, 9, 30, -3, -12]);
                    early.insert(key(0), n);
                    // Taken back, or known late.
                    late.insert(key(0), teller.one(&[0, 0, 0, 1, 3, -n, -n / 2]));
                    late.insert(key(1), teller.one(&[0, 0, 1, 4, 10]));
                }
            }
        }
        Case { versions, early, late }
    }
}

/// The service's bills of a case.
struct Service {
    versions: Vec<Contract>,
    outcomes: [BTreeMap<u32, Counts>; 2],
    billed: BTreeMap<Key, Billed>,
}

impl Service {
    fn new(case: &Case) -> Self {
        let read = |version: &verdict_oracle::Contract| {
            let contract: Contract = serde_json::from_value(version.to_json()).unwrap();
            contract.check().unwrap();
            contract
        };
        let versions = case.versions.iter().map(read).collect();
        Self { versions, outcomes: [BTreeMap::new(), BTreeMap::new()], billed: BTreeMap::new() }
    }

    fn take(&mut self, outcomes: &Outcomes) {
        for (&(period, version, action, win), n) in outcomes {
            let counts = self.outcomes[period].entry(version).or_default();
            *counts.entry((action.into(), win)).or_default() += n;
        }
    }

    /// The next invoice, of the first so many periods.
    fn bill(&mut self, periods: usize) -> Draft {
        let counted = |nth: usize| Counted {
            period: period::Period { start: Timestamp(PERIODS[nth].start), end: Timestamp(PERIODS[nth].end) },
            outcomes: self.outcomes[nth].clone(),
        };
        let counted: Vec<Counted> = (0..periods).map(counted).collect();
        let draft = draft(self.versions[0].currency, &self.versions, &counted, &self.billed).unwrap();
        let lines = draft.lines.iter().map(|line| line.minor).sum::<i64>();
        assert_eq!(draft.total_minor, lines, "the lines add up to the total");
        for (line, number) in draft.lines.iter().zip(1..) {
            assert_eq!(line.number, number);
            let billed = self.billed.entry(key(line)).or_default();
            billed.quantity += line.quantity;
            billed.nanos += line.amount.nanos;
            billed.minor += line.minor;
        }
        draft
    }
}

fn key(line: &Line) -> Key {
    (line.period_start, line.contract_version, line.item.clone())
}

/// What both say of a line: key, quantity, nanos and minor units.
type Said = BTreeMap<(i64, u32, String), (i64, i64, i64)>;

fn said(draft: &Draft) -> Said {
    let line = |line: &Line| {
        let key = (line.period_start.0, line.contract_version, format!("{:?}", in_oracles_words(&line.item)));
        (key, (line.quantity, line.amount.nanos, line.minor))
    };
    draft.lines.iter().map(line).collect()
}

fn in_oracles_words(item: &Item) -> verdict_oracle::Item {
    match item.clone() {
        Item::Outcomes { action, win } => verdict_oracle::Item::Outcomes { action, kind: win.as_str() },
        Item::Fee { name } => verdict_oracle::Item::Fee { name },
        Item::AssumedBeyondShare => verdict_oracle::Item::AssumedBeyondShare,
        Item::Discount => verdict_oracle::Item::Discount,
        Item::Minimum => verdict_oracle::Item::Minimum,
        Item::BeyondCap => verdict_oracle::Item::BeyondCap,
    }
}

/// The oracle's next invoice of the first so many periods, after these outcomes.
fn oracle(books: &mut Books, outcomes: &Outcomes, periods: usize) -> Said {
    for (&(period, version, action, win), &n) in outcomes {
        books.take(PERIODS[period], version, action, win.as_str(), n);
    }
    let line = |line: &verdict_oracle::Line| {
        let key = (line.period_start, line.contract_version, format!("{:?}", line.item));
        (key, (line.quantity, line.amount_nanos, line.amount_minor))
    };
    books.bill(&PERIODS[..periods]).iter().map(line).collect()
}

fn compare(nth: u64, case: &Case, found: &Said, expected: &Said) {
    if found != expected {
        let only = |a: &Said, b: &Said| -> Said {
            a.iter().filter(|(key, line)| b.get(*key) != Some(line)).map(|(k, l)| (k.clone(), *l)).collect()
        };
        for version in &case.versions {
            println!("{:#}", version.to_json());
        }
        println!("first {:?}\nthen {:?}", case.early, case.late);
        panic!(
            "case {nth}: the service {:#?}, the oracle {:#?}",
            only(found, expected),
            only(expected, found)
        );
    }
}

#[test]
fn drafts_agree_with_the_oracle_and_keep_their_promises() {
    let seed = seed();
    let mut lines: BTreeMap<&str, u64> = BTreeMap::new();
    for nth in 0..CONTRACTS {
        let case = Teller::case(seed, nth);
        let mut service = Service::new(&case);
        let mut books = Books::new(case.versions.iter().collect());

        // The first period in its turn; then what is late of it, with the second.
        service.take(&case.early);
        let first = service.bill(1);
        compare(nth, &case, &said(&first), &oracle(&mut books, &case.early, 1));
        assert_eq!(service.bill(1).lines, [], "case {nth}: nothing has changed");
        service.take(&case.late);
        let second = service.bill(2);
        compare(nth, &case, &said(&second), &oracle(&mut books, &case.late, 2));
        assert_eq!(service.bill(2).lines, [], "case {nth}: nothing has changed");

        // For each key, what the two invoices say adds up to what one would have said: an item that has gone, to nothing.
        let mut at_once = Service::new(&case);
        at_once.take(&case.early);
        at_once.take(&case.late);
        let once = at_once.bill(2);
        service.billed.retain(|_, billed| *billed != Billed::default());
        assert_eq!(service.billed, at_once.billed, "case {nth}");
        assert_eq!(first.total_minor + second.total_minor, once.total_minor, "case {nth}");

        for line in first.lines.iter().chain(&second.lines) {
            let name = match line.item {
                Item::Outcomes { .. } => "outcomes",
                Item::Fee { .. } => "fee",
                Item::AssumedBeyondShare => "assumed_beyond_share",
                Item::Discount => "discount",
                Item::Minimum => "minimum",
                Item::BeyondCap => "beyond_cap",
            };
            *lines.entry(name).or_default() += 1;
        }
    }
    println!("{CONTRACTS} contracts agree: {lines:?}");
    assert!(lines.len() == 6 && lines.values().all(|count| *count > CONTRACTS / 10), "{lines:?}");
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
