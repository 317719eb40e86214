//! A contract: what a customer pays for which outcome, and how its cases are judged.

mod terms;

pub use terms::{Collect, Corrections, CreditTo, StripeTerms, Tax, Through, Usage};

use crate::fact::Fact;
use crate::judge::WinKind;
use crate::money::{self, Currency, Money, MoneyError};
use crate::period::Calendar;
use crate::pricing::{self, Fee, Mode, Tier};
use crate::rule::{Assumed, FollowUp, RestartedBy, Rule};
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// One version of a customer's contract. Immutable once a charge or a period rests on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Whose contract.
    pub customer: String,
    /// 1, 2, 3 …
    pub version: u32,
    /// From when on this version is in force.
    pub effective_from: Timestamp,
    /// What it bills in (ISO 4217). The same in all versions of a customer.
    pub currency: Currency,
    /// How long a billing period is.
    #[serde(default)]
    pub period: Cadence,
    /// IANA time zone in which periods begin and end, such as `Europe/Berlin`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// How long after its end a period waits for late facts.
    #[serde(default = "three_days")]
    pub grace: Span,
    /// Who gets the invoice.
    pub bill_to: BillTo,
    /// Price per outcome, by action.
    #[serde(default)]
    pub prices: Vec<Price>,
    /// What is charged whatever the outcomes, for each period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fees: Vec<Fee>,
    /// What the outcomes of a period come to at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<String>,
    /// What the outcomes of a period come to at most; what is beyond is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<String>,
    /// Percent taken off outcomes and fees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<String>,
    /// Percent of the bill for outcomes that assumed ones may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_at_most: Option<String>,
    /// Attempts that are charged at cost and a mark-up, by action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<Usage>,
    /// What the outcomes of a period should not come to: only an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_cap: Option<String>,
    /// What the whole of a period should not come to: only an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// At which percents of the cap, the soft cap, the budget and the minimum an alert is raised.
    #[serde(default = "at_80_and_100", skip_serializing_if = "is_at_80_and_100")]
    pub alert_at: Vec<String>,
    /// Whether a person approves each invoice before it is final.
    #[serde(default, skip_serializing_if = "is_default")]
    pub approval: bool,
    /// Whether it is only a trial: invoices are drafted and never charged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub shadow: bool,
    /// Where the difference goes when something is taken back after its invoice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub corrections: Corrections,
    /// What Stripe is told.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stripe: StripeTerms,
    /// How its cases are judged.
    #[serde(default)]
    pub rule: Rule,
}

fn at_80_and_100() -> Vec<String> {
    vec!["80".into(), "100".into()]
}

fn is_at_80_and_100(shares: &[String]) -> bool {
    shares == at_80_and_100()
}

/// How long a billing period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// Calendar months in the contract's time zone.
    #[default]
    Monthly,
    /// Weeks, from Monday.
    Weekly,
    /// Calendar quarters.
    Quarterly,
    /// Months from the day of the month on which the first version took effect.
    Anniversary,
}

/// Who gets the invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BillTo {
    /// As it stands on the invoice.
    pub name: String,
    /// Where the invoice is sent.
    pub email: String,
}

/// The price of one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The kind of outcome, as attempts name it.
    pub action: String,
    /// For a confirmed outcome: a decimal in the contract's currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// For an assumed one, if it differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_amount: Option<String>,
    /// How many are free in each period.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub included: i64,
    /// How the tiers are read.
    #[serde(default, skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// Instead of `amount`: the price by how many there are in a period.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// The same for assumed ones, if it differs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed_tiers: Vec<Tier>,
    /// Outcomes are sold by so many, at the price of one each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<i64>,
    /// Instead of `amount`: percent of the value that an outcome carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// With `share`: what one outcome costs at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// With `share`: what one outcome costs at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<String>,
    /// With `stripe.through = "meter_events"`: the name of Stripe's meter event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meter: Option<String>,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Price {
    /// So much for each confirmed outcome, and for each assumed one if that differs.
    pub fn flat(action: &str, amount: &str, assumed_amount: Option<&str>) -> Self {
        Self {
            action: action.into(),
            amount: Some(amount.into()),
            assumed_amount: assumed_amount.map(String::from),
            included: 0,
            mode: Mode::default(),
            tiers: Vec::new(),
            assumed_tiers: Vec::new(),
            package: None,
            share: None,
            at_least: None,
            at_most: None,
            meter: None,
        }
    }

    /// The share of a value, raised to what an outcome costs at least, and then lowered to what it costs at most.
    fn of_value(&self, share: &str, value: i64) -> Result<i64, MoneyError> {
        let bound = |given: &Option<String>| given.as_deref().map(money::parse_nanos).transpose();
        let percent = i128::from(money::parse_nanos(share)?);
        let of_it =
            money::divide_half_away(i128::from(value) * percent, i128::from(100 * money::NANOS_PER_UNIT))
                .ok_or(MoneyError::Overflow)?;
        let raised = bound(&self.at_least)?.map_or(of_it, |least| of_it.max(least));
        Ok(bound(&self.at_most)?.map_or(raised, |most| raised.min(most)))
    }

    /// Whether assumed outcomes have a price of their own.
    pub(crate) fn has_assumed_price(&self) -> bool {
        self.assumed_amount.is_some() || !self.assumed_tiers.is_empty()
    }

    /// The amount, or the tiers, for outcomes of a kind.
    pub(crate) fn of(&self, win: WinKind) -> (Option<&str>, &[Tier]) {
        match win {
            WinKind::Assumed if self.has_assumed_price() => {
                (self.assumed_amount.as_deref(), &self.assumed_tiers)
            }
            _ => (self.amount.as_deref(), &self.tiers),
        }
    }

    /// Whether outcomes of this kind cost nothing however many there are. By the share of a value each has its own price: then it is
    /// whether some may cost nothing.
    pub(crate) fn may_be_nothing(&self, win: WinKind) -> bool {
        let is_zero = |amount: &str| money::parse_nanos(amount) == Ok(0);
        if self.share.is_some() {
            return self.at_least.as_deref().is_none_or(is_zero)
                || self.at_most.as_deref().is_some_and(is_zero);
        }
        let (amount, tiers) = self.of(win);
        let is_free = |tier: &Tier| is_zero(&tier.amount) && tier.flat.as_deref().is_none_or(is_zero);
        amount.map_or_else(|| tiers.iter().all(is_free), is_zero)
    }
}

fn utc() -> String {
    "UTC".into()
}

fn three_days() -> Span {
    Span::hours(72)
}

/// What is wrong with a contract; the caller must mend the named field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ContractError {
    /// The field.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// 2000-01-01 and 2100-01-01.
const EARLIEST: Timestamp = Timestamp(946_684_800_000_000);
const LATEST: Timestamp = Timestamp(4_102_444_800_000_000);

/// Currencies whose amounts Stripe takes in other steps than the minor units of ISO 4217: zero-decimal where ISO has two
/// (MGA), two-decimal where ISO has none (ISK, UGX), three decimals of which the last must be zero
/// (docs.stripe.com/currencies).
const STRIPE_COUNTS_OTHERWISE: [&str; 8] = ["BHD", "ISK", "JOD", "KWD", "MGA", "OMR", "TND", "UGX"];

impl Contract {
    /// A first version with these prices and each other field at its default; without anyone to bill yet.
    pub fn new(customer: &str, currency: Currency, prices: Vec<Price>) -> Self {
        Self {
            customer: customer.into(),
            version: 1,
            effective_from: EARLIEST,
            currency,
            period: Cadence::default(),
            time_zone: utc(),
            grace: three_days(),
            bill_to: BillTo { name: String::new(), email: String::new() },
            prices,
            fees: Vec::new(),
            minimum: None,
            cap: None,
            discount: None,
            assumed_at_most: None,
            usage: Vec::new(),
            soft_cap: None,
            budget: None,
            alert_at: at_80_and_100(),
            approval: false,
            shadow: false,
            corrections: Corrections::default(),
            stripe: StripeTerms::default(),
            rule: Rule::default(),
        }
    }

    /// Checks what the types cannot.
    pub fn check(&self) -> Result<(), ContractError> {
        let fault =
            |field: &str, problem: &str| ContractError { field: field.into(), problem: problem.into() };
        let short = |text: &str, most: usize| {
            !text.is_empty() && text.chars().count() <= most && !text.contains(char::is_control)
        };
        if !short(&self.customer, 128) {
            return Err(fault("customer", "must have 1 to 128 characters"));
        }
        if !(EARLIEST..LATEST).contains(&self.effective_from) {
            return Err(fault("effective_from", "must be from 2000 to before 2100"));
        }
        if self.version == 0 {
            return Err(fault("version", "begins at 1"));
        }
        if self.time_zone.parse::<chrono_tz::Tz>().is_err() {
            return Err(fault("time_zone", "is not an IANA time zone such as Europe/Berlin"));
        }
        if STRIPE_COUNTS_OTHERWISE.contains(&self.currency.code()) {
            return Err(fault(
                "currency",
                "Stripe counts it in other units than ISO 4217 does: not supported",
            ));
        }
        money::minor_exponent(self.currency).map_err(|error| fault("currency", &error.to_string()))?;
        if !short(&self.bill_to.name, 256) {
            return Err(fault("bill_to.name", "must have 1 to 256 characters"));
        }
        if !short(&self.bill_to.email, 256) || !self.bill_to.email.contains('@') {
            return Err(fault("bill_to.email", "must be an e-mail address"));
        }
        check_rule(&self.rule)?;
        if self.prices.is_empty() && self.usage.is_empty() {
            return Err(fault("prices", "needs at least one price"));
        }
        for (nth, price) in self.prices.iter().enumerate() {
            let field = |name: &str| format!("prices[{nth}].{name}");
            if !short(&price.action, 64) {
                return Err(fault(&field("action"), "must have 1 to 64 characters"));
            }
            if self.prices[..nth].iter().any(|other| other.action == price.action) {
                return Err(fault(&field("action"), "has a price already"));
            }
        }
        pricing::check(self)
    }

    /// How its periods run; `None` if the time zone is none. `anchor` is when the customer's first version took effect.
    pub fn calendar(&self, anchor: Timestamp) -> Option<Calendar> {
        Some(Calendar { cadence: self.period, zone: self.time_zone.parse().ok()?, anchor })
    }

    /// What is allowed and probably not meant, in words.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let rule = &self.rule;
        if rule.assumed == Assumed::Silence && rule.silence_window < Span::hours(1) {
            warnings.push("rule.silence_window: silence of less than an hour counts as success".to_string());
        }
        if self.effective_from.to_utc().timestamp_subsec_nanos() != 0 {
            warnings.push("effective_from: is within a second".into());
        }
        for price in self.prices.iter().filter(|price| !price.has_assumed_price()) {
            if rule.assumed != Assumed::Never {
                let action = &price.action;
                warnings.push(format!("prices: an assumed `{action}` costs what a confirmed one does"));
            }
        }
        for price in self.prices.iter().filter(|price| price.mode == Mode::Volume && price.tiers.len() > 1) {
            let action = &price.action;
            warnings
                .push(format!("prices: `{action}` by volume: one outcome more can make the whole cheaper"));
        }
        warnings
    }

    /// The list price of one outcome that is worth `value`. What it costs in the end may depend on how many there are in
    /// its period ([`pricing::price`]).
    pub fn list_price(&self, action: &str, win: WinKind, value: Option<Money>) -> Result<Money, Unpriced> {
        let price = self.prices.iter().find(|price| price.action == action).ok_or(Unpriced::NoPrice)?;
        if let Some(share) = &price.share {
            let value = value.ok_or(Unpriced::NoValue(self.currency))?;
            if value.currency != self.currency {
                return Err(Unpriced::OtherCurrency { value: value.currency, contract: self.currency });
            }
            let nanos = price.of_value(share, value.nanos)?;
            return Ok(Money { nanos, currency: self.currency });
        }
        let (amount, tiers) = price.of(win);
        let amount = amount.or(tiers.first().map(|tier| tier.amount.as_str())).unwrap_or("0");
        let of_one = |nanos: i64| {
            let package = i128::from(price.package.unwrap_or(1).max(1));
            money::divide_half_away(i128::from(nanos), package).ok_or(MoneyError::Overflow)
        };
        let nanos = money::parse_nanos(amount).and_then(of_one)?;
        Ok(Money { nanos, currency: self.currency })
    }
}

/// Why an outcome has no list price under a contract version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpriced {
    /// The version has no price for the action.
    #[error("it has no price for this action")]
    NoPrice,
    /// The price is a share of the outcome's value, and nobody said what that is. With the contract's currency.
    #[error("its price is a share of the outcome's value, and no fact tells a value in {}", .0.code())]
    NoValue(Currency),
    /// The price is a share of the outcome's value, which is in another currency.
    #[error(
        "its price is a share of the outcome's value, which must be in {}, and is in {}",
        .contract.code(),
        .value.code()
    )]
    OtherCurrency {
        /// The value's.
        value: Currency,
        /// The contract's.
        contract: Currency,
    },
    /// The price is no amount, or does not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The version that a case follows: the one in force at its earliest attempt. `facts` are in order.
pub fn of_case<'a>(versions: &'a [Contract], facts: &[Fact]) -> Option<&'a Contract> {
    facts.iter().find(|fact| fact.attempt().is_some()).and_then(|first| in_force(versions, first.at))
}

/// Checks what the types of a rule cannot.
pub fn check_rule(rule: &Rule) -> Result<(), ContractError> {
    let fault = |field: &str, problem: &str| ContractError { field: field.into(), problem: problem.into() };
    // witn, who sells the shortest, begins at a second and ends at 180 days.
    if rule.assumed != Assumed::Never && rule.silence_window < Span(1_000_000) {
        return Err(fault("rule.silence_window", "must be at least 1s where outcomes can be assumed"));
    }
    if rule.follow_up == FollowUp::Unresolved && rule.restarted_by == RestartedBy::Answers {
        let remedy = "`unresolved` needs `restarted_by` to be `messages` or `everything`";
        return Err(fault("rule.follow_up", remedy));
    }
    if rule.planned_handoffs.len() > 64
        || rule.planned_handoffs.iter().any(|action| !(1..=64).contains(&action.chars().count()))
    {
        return Err(fault("rule.planned_handoffs", "must name at most 64 actions of 1 to 64 characters"));
    }
    Ok(())
}

/// The version in force at a time: the latest effective one, the highest among equals.
pub fn in_force(versions: &[Contract], at: Timestamp) -> Option<&Contract> {
    versions
        .iter()
        .filter(|contract| contract.effective_from <= at)
        .max_by_key(|contract| (contract.effective_from, contract.version))
}
