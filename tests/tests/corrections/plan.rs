//! Who the customers are, and what happens in their year.

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use verdict_oracle::{
    Amount, Attempt, Cadence, Contract, ContractPrice, Corrections, DAY, Door, Fee, Grant, HOUR, Kind, Mode,
    Reopen, Resolution, Rule, SECOND, Status, Tier, Traffic, UsagePrice,
};

/// 2027-01-01T00:00:00Z.
pub const START: i64 = 1_798_761_600_000_000;
const SUPPORT: &str = "support.resolution";
const REFUND: &str = "refund.processed";
/// Charged as usage only: its attempts answer nobody.
const RESEARCH: &str = "research";
/// Cases that become known in time, in each batch.
const IN_TIME: usize = 320;
/// On the days 5, 15 and 25 of each month facts become known; on the fifth of them all of the month before is closed.
const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// When facts become known.
pub fn moments() -> Vec<i64> {
    let mut moments = Vec::new();
    let mut month = START;
    for days in LENGTHS {
        moments.extend([5, 15, 25].map(|day| month + day * DAY + 7 * HOUR + 13 * SECOND));
        month += days * DAY;
    }
    moments
}

/// When the last month of all is closed.
pub const END: i64 = START + 370 * DAY;

/// The customers, each with its first contract version.
pub fn customers() -> Vec<Contract> {
    let price = |action: &str, amount: &str, assumed_amount: Option<&str>| ContractPrice {
        action: action.into(),
        amount: Some(amount.into()),
        assumed_amount: assumed_amount.map(Into::into),
        ..ContractPrice::default()
    };
    let tier = |up_to, amount: &str, flat: Option<&str>| Tier {
        up_to,
        amount: amount.into(),
        flat: flat.map(Into::into),
    };
    let fee = |name: &str, amount: &str| Fee { name: name.into(), amount: amount.into(), quantity: 2 };
    let usage = |action: &str, percent: Option<&str>, per_request: Option<&str>| UsagePrice {
        action: action.into(),
        percent: percent.map(Into::into),
        per_request: per_request.map(Into::into),
        beside_outcomes: action != RESEARCH,
    };
    let some = |text: &str| Some(text.to_owned());
    let common = |customer: &str, currency: &str, time_zone: &str| Contract {
        customer: customer.into(),
        version: 1,
        effective_from: START,
        currency: currency.into(),
        time_zone: time_zone.into(),
        grace_hours: 72,
        bill_to_name: format!("{customer} Ltd"),
        bill_to_email: format!("billing@{customer}.example"),
        rule: Rule { reversal_horizon: 200 * DAY, dispute_window: 400 * DAY, ..Rule::default() },
        ..Contract::default()
    };
    let graduated = vec![
        tier(Some(100), "1.2", None),
        tier(Some(400), "1.075", Some("5")),
        tier(None, "0.9", Some("2.505")),
    ];
    let volume = vec![tier(Some(200), "110", None), tier(None, "95.5", Some("1000"))];
    vec![
        Contract {
            prices: vec![
                ContractPrice { amount: None, tiers: graduated, included: 10, ..price(SUPPORT, "", None) },
                price(REFUND, "0.355", Some("0.111111111")),
            ],
            minimum: some("300"),
            assumed_at_most: some("60"),
            ..common("berlin", "EUR", "Europe/Berlin")
        },
        Contract {
            period: Cadence::Anniversary,
            prices: vec![
                ContractPrice { package: Some(25), ..price(SUPPORT, "21.25", Some("10.625")) },
                price(REFUND, "0.333333333", None),
            ],
            discount: some("7.5"),
            usage: vec![usage(RESEARCH, Some("20"), Some("0.001")), usage(SUPPORT, Some("12.5"), None)],
            ..common("newyork", "USD", "America/New_York")
        },
        Contract {
            prices: vec![
                ContractPrice { amount: None, tiers: volume, mode: Mode::Volume, ..price(SUPPORT, "", None) },
                price(REFUND, "60.5", Some("40")),
            ],
            corrections: Corrections::CreditNote,
            cap: some("90000"),
            ..common("lordhowe", "JPY", "Australia/Lord_Howe")
        },
        Contract {
            period: Cadence::Weekly,
            prices: vec![price(SUPPORT, "0.7", Some("0.005")), price(REFUND, "0.4", None)],
            fees: vec![fee("platform", "12.495")],
            cap: some("25"),
            rule: Rule { dispute_window: 400 * DAY, ..Rule::default() },
            ..common("auckland", "USD", "Pacific/Auckland")
        },
        Contract {
            prices: vec![price(SUPPORT, "0.99", Some("0.49")), price(REFUND, "2", None)],
            fees: vec![fee("seats", "20")],
            corrections: Corrections::CreditNote,
            shadow: true,
            ..common("santiago", "USD", "America/Santiago")
        },
    ]
}

/// A customer's next version, put at a moment: it holds from some days before, or after. Prices, the rule and the terms
/// move; the trial ends with the second.
fn next(last: &Contract, at: i64) -> Contract {
    let mut next = last.clone();
    next.version += 1;
    // A week may be closed already.
    let days = if last.period == Cadence::Weekly { 2 } else { -3 };
    next.effective_from = at + days * DAY;
    next.shadow = false;
    next.prices[1].amount = Some(format!("{}.25", next.version));
    let silence_window = [72, 48, 96, 24][next.version as usize % 4] * HOUR;
    let reopen = if next.version == 3 { Reopen::Keep } else { Reopen::Void };
    let low_score = (next.version == 4).then_some(2);
    next.rule = Rule { silence_window, reopen, low_score, ..next.rule };
    next
}

/// What becomes known at a moment.
#[derive(Default)]
pub struct Batch {
    pub contracts: Vec<Contract>,
    pub grants: Vec<Grant>,
    pub attempts: Vec<Attempt>,
    pub resolutions: Vec<Resolution>,
    /// How many of the facts are corrections: cases known late, and facts about cases that are known.
    pub corrections: usize,
}

impl Batch {
    /// What is of one customer, but for contracts.
    pub fn of(&self, customer: &str) -> Traffic {
        Traffic {
            contracts: Vec::new(),
            grants: self.grants.iter().filter(|grant| grant.customer == customer).cloned().collect(),
            attempts: self.attempts.iter().filter(|fact| fact.customer == customer).cloned().collect(),
            resolutions: self.resolutions.iter().filter(|fact| fact.customer == customer).cloned().collect(),
        }
    }
}

struct Case {
    name: String,
    began: i64,
    /// The last batch that has a fact of it.
    touched: usize,
}

/// Tells the year, batch by batch.
pub struct Year {
    pub random: Xoshiro256PlusPlus,
    versions: Vec<Contract>,
    cases: BTreeMap<String, Vec<Case>>,
    facts: usize,
    before: i64,
    batches: usize,
}

impl Year {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            versions: customers(),
            cases: BTreeMap::new(),
            facts: 0,
            before: START,
            batches: 0,
        }
    }

    /// The next batch, with so many corrections.
    pub fn batch(&mut self, at: i64, corrections: usize) -> Batch {
        let mut batch = Batch::default();
        if self.batches == 0 {
            batch.contracts = self.versions.clone();
        } else if matches!(self.batches, 7 | 16 | 25) {
            self.versions = self.versions.iter().map(|last| next(last, at)).collect();
            batch.contracts = self.versions.clone();
        }
        batch.grants = self.grants(at);
        for _ in 0..IN_TIME {
            self.case(&mut batch, self.before + SECOND, at);
        }
        while batch.corrections < corrections {
            batch.corrections += 1;
            let customer = self.customer();
            let (since, late_since) = match customer.as_str() {
                // So many weeks have so many lines: Stripe takes 250 on an invoice.
                "auckland" => (at - 40 * DAY, at - 40 * DAY),
                // What comes late to old periods outweighs what is taken back of them; without it there are credit notes.
                "lordhowe" | "santiago" => (START, at - 20 * DAY),
                _ => (START, START),
            };
            if self.random.random_ratio(2, 5) || !self.correct(&mut batch, &customer, since, at) {
                self.case_of(&mut batch, &customer, late_since.max(START), self.before);
            }
        }
        self.before = at;
        self.batches += 1;
        batch
    }

    fn grants(&mut self, at: i64) -> Vec<Grant> {
        let grant = |customer: &str, id: &str, amount: &str, currency: &str, days: Option<i64>| Grant {
            id: id.into(),
            customer: customer.into(),
            amount: amount.into(),
            currency: currency.into(),
            effective_at: at - DAY,
            expires_at: days.map(|days| at + days * DAY),
        };
        match self.batches {
            1 => vec![
                grant("newyork", "year", "1500.50", "USD", None),
                grant("newyork", "spring", "900", "USD", Some(60)),
                grant("berlin", "welcome", "450.05", "EUR", Some(100)),
            ],
            19 => vec![
                grant("newyork", "autumn", "700", "USD", Some(90)),
                grant("lordhowe", "sorry", "12345", "JPY", None),
            ],
            _ => Vec::new(),
        }
    }

    fn customer(&mut self) -> String {
        self.versions.choose(&mut self.random).unwrap().customer.clone()
    }

    fn case(&mut self, batch: &mut Batch, from: i64, to: i64) {
        let customer = self.customer();
        self.case_of(batch, &customer, from, to);
    }

    /// A new case, with one attempt in that time; at times with a confirmation.
    fn case_of(&mut self, batch: &mut Batch, customer: &str, from: i64, to: i64) {
        let name = format!("c-{:06}", self.facts);
        let began = if from < to { self.random.random_range(from..to) } else { from };
        let attempt = self.attempt(customer, &name, began);
        let answered = attempt.status == Status::Answered;
        batch.attempts.push(attempt);
        if answered && self.random.random_ratio(1, 4) {
            let until = to.max(began + 1).min(began + 20 * HOUR + 1);
            let at = self.random.random_range(began..until);
            batch.resolutions.push(self.resolution(customer, &name, Kind::Confirmed, at));
        }
        let case = Case { name, began, touched: self.batches };
        self.cases.entry(customer.to_owned()).or_default().push(case);
    }

    /// A fact about a case that is known already and has none in this batch; `false` if none was found.
    fn correct(&mut self, batch: &mut Batch, customer: &str, since: i64, at: i64) -> bool {
        let batches = self.batches;
        let Some(cases) = self.cases.get_mut(customer) else { return false };
        let nth = self.random.random_range(0..cases.len());
        let case = &mut cases[nth];
        if case.touched == batches || case.began < since {
            return false;
        }
        case.touched = batches;
        let (name, from) = (case.name.clone(), case.began);
        let time = self.random.random_range(from..at);
        let kind = match self.random.random_range(0..20) {
            0..7 => Kind::Reopened,
            7..10 => Kind::Failed,
            10..12 => Kind::Escalated,
            12..15 => Kind::Confirmed,
            15 => Kind::Message,
            16 => Kind::Rated,
            _ => {
                let attempt = self.attempt(customer, &name, time);
                batch.attempts.push(attempt);
                return true;
            }
        };
        batch.resolutions.push(self.resolution(customer, &name, kind, time));
        true
    }

    fn attempt(&mut self, customer: &str, case: &str, ended_at: i64) -> Attempt {
        self.facts += 1;
        let random = &mut self.random;
        let research = customer == "newyork" && random.random_ratio(1, 10);
        let (action, status) = match random.random_range(0..20) {
            _ if research => (RESEARCH, Status::Replied),
            0 => (SUPPORT, Status::Failed),
            1 => (SUPPORT, Status::HandedOff),
            2..15 => (SUPPORT, Status::Answered),
            _ => (REFUND, Status::Answered),
        };
        // Of the costs some are in another currency than the contract's, and some unknown.
        let currency = *["USD", "USD", "USD", "EUR"].choose(random).unwrap();
        let amount = format!("0.0{:09}", random.random_range(1..1_000_000_000));
        let cost = Amount { amount, currency: currency.into() };
        Attempt {
            id: format!("a-{:06}", self.facts),
            customer: customer.into(),
            case: case.into(),
            agent: format!("agent-{}", random.random_range(0..3)),
            action: action.into(),
            provider: "acme-ai".into(),
            model: "house-model-1".into(),
            usage: None,
            reported_cost: random.random_ratio(9, 10).then_some(cost),
            other_costs: Vec::new(),
            started_at: ended_at - SECOND,
            ended_at,
            status,
            failure_reason: None,
            value: None,
            failure_detail: None,
            prompt_fingerprint: None,
            metadata: BTreeMap::new(),
        }
    }

    fn resolution(&mut self, customer: &str, case: &str, kind: Kind, occurred_at: i64) -> Resolution {
        self.facts += 1;
        let score = (kind == Kind::Rated).then(|| self.random.random_range(1..6));
        Resolution {
            id: format!("r-{:06}", self.facts),
            customer: customer.into(),
            case: case.into(),
            kind,
            occurred_at,
            reason: None,
            score,
            value: None,
            about: None,
            strength: Door::Api.strength(),
            door: Door::Api,
        }
    }
}
