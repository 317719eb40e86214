//! What the outcomes of a period cost: a pure function of how many there are, the contract version and the part of
//! the period in which it was in force. The one evaluator for bills, previews and simulations.
//!
//! `docs/RULES.md` ("The price of a period") is the definition.

mod check;

pub(crate) use check::check;

use crate::contract::{Contract, Price};
use crate::judge::WinKind;
use crate::money::{self, Money, MoneyError, divide_half_away};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// How the tiers of a price are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Each outcome at the price of the tier that it falls into.
    #[default]
    Graduated,
    /// All outcomes at the price of the tier that their number falls into.
    Volume,
}

/// A tier of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The last outcome that it holds, counted from 1; none for the last tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<i64>,
    /// The price of an outcome in it.
    pub amount: String,
    /// What is charged besides, once, if an outcome falls into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<String>,
}

/// A fee that is charged whatever the outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// As it stands on the invoice.
    pub name: String,
    /// For a whole period, each.
    pub amount: String,
    /// How many, such as seats.
    #[serde(default = "one")]
    pub quantity: i64,
}

fn one() -> i64 {
    1
}

/// What a line of an invoice is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Outcomes of an action.
    Outcomes {
        /// What kind of outcome.
        action: String,
        /// Confirmed or assumed.
        win: WinKind,
    },
    /// A fee.
    Fee {
        /// Its name.
        name: String,
    },
    /// Assumed outcomes beyond their share of the bill: taken off.
    AssumedBeyondShare,
    /// The discount: taken off.
    Discount,
    /// What is missing to the minimum.
    Minimum,
    /// Outcomes beyond the cap: taken off.
    BeyondCap,
}

impl Item {
    /// The stored name of what sort it is.
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Outcomes { .. } => "outcomes",
            Self::Fee { .. } => "fee",
            Self::AssumedBeyondShare => "assumed_beyond_share",
            Self::Discount => "discount",
            Self::Minimum => "minimum",
            Self::BeyondCap => "beyond_cap",
        }
    }

    /// The action, or the name of the fee.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Outcomes { action, .. } => Some(action),
            Self::Fee { name } => Some(name),
            _ => None,
        }
    }

    /// Confirmed or assumed, where it is outcomes.
    pub fn win(&self) -> Option<WinKind> {
        match self {
            Self::Outcomes { win, .. } => Some(*win),
            _ => None,
        }
    }

    /// Reads an item from its parts.
    pub fn parse(sort: &str, name: &str, win: &str) -> Option<Self> {
        Some(match sort {
            "outcomes" => Self::Outcomes { action: name.into(), win: WinKind::parse(win)? },
            "fee" => Self::Fee { name: name.into() },
            "assumed_beyond_share" => Self::AssumedBeyondShare,
            "discount" => Self::Discount,
            "minimum" => Self::Minimum,
            "beyond_cap" => Self::BeyondCap,
            _ => return None,
        })
    }
}

impl fmt::Display for Item {
    /// As it stands on an invoice.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcomes { action, win } => write!(f, "{action}, {}", win.as_str()),
            Self::Fee { name } => f.write_str(name),
            Self::AssumedBeyondShare => f.write_str("Assumed outcomes beyond their share"),
            Self::Discount => f.write_str("Discount"),
            Self::Minimum => f.write_str("Minimum commitment"),
            Self::BeyondCap => f.write_str("Outcomes beyond the cap"),
        }
    }
}

/// Outcomes of a period, as they are priced: of one action and kind.
pub type Counts = BTreeMap<(String, WinKind), i64>;

/// What a contract version charges for a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// For what.
    pub item: Item,
    /// How many.
    pub quantity: i64,
    /// The exact amount.
    pub amount: Money,
    /// How it came to be, in words and figures.
    pub why: String,
}

/// The part of a period in which a contract version is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its length, in microseconds.
    pub in_force: i64,
    /// The length of the period.
    pub period: i64,
}

impl Part {
    /// The whole of a period.
    pub const WHOLE: Self = Self { in_force: 1, period: 1 };

    /// Of `[start, end)`, what lies in `[from, until)`.
    pub fn of(start: Timestamp, end: Timestamp, from: Timestamp, until: Option<Timestamp>) -> Self {
        let until = until.map_or(end, |until| until.min(end));
        let in_force = until.0.saturating_sub(from.max(start).0).max(0);
        Self { in_force, period: end.0.saturating_sub(start.0) }
    }

    pub(crate) fn prorate(self, nanos: i64) -> Result<i64, MoneyError> {
        share(nanos, self.in_force, self.period)
    }

    fn is_whole(self) -> bool {
        self.in_force >= self.period
    }

    /// `, for 15 of 30 days`, if it is not the whole.
    fn words(self) -> String {
        if self.is_whole() {
            return String::new();
        }
        let permille = divide_half_away(i128::from(self.in_force) * 1_000, i128::from(self.period.max(1)));
        let permille = permille.unwrap_or_default();
        format!(", for {}.{} % of the period", permille / 10, permille % 10)
    }
}

/// `nanos * part / whole`, rounded half away from zero; nothing of nothing.
pub(crate) fn share(nanos: i64, part: i64, whole: i64) -> Result<i64, MoneyError> {
    let product = i128::from(nanos) * i128::from(part) * i128::from(whole.signum());
    match i128::from(whole).abs() {
        0 => Ok(0),
        whole => divide_half_away(product, whole).ok_or(MoneyError::Overflow),
    }
}

/// 100 %, in the nanos that a percentage is read as.
pub(crate) const HUNDRED: i64 = 100 * money::NANOS_PER_UNIT;

/// Prices the outcomes of a period under one contract version. Lines that come to nothing are left out, but for
/// outcomes that are free: they are shown.
pub fn price(contract: &Contract, counts: &Counts, part: Part) -> Result<Vec<Priced>, MoneyError> {
    let mut bill = Bill { contract, lines: Vec::new() };
    for price in &contract.prices {
        bill.outcomes(price, counts)?;
    }
    bill.assumed_share()?;
    let before_fees = bill.total()?;
    for fee in &contract.fees {
        bill.fee(fee, part)?;
    }
    bill.discount()?;
    // A version that is in force in no part of the period priced outcomes all the same: it has no bounds there.
    if part.in_force > 0 {
        bill.minimum_and_cap(before_fees, part)?;
    }
    Ok(bill.lines)
}

/// A bill in the making.
struct Bill<'a> {
    contract: &'a Contract,
    lines: Vec<Priced>,
}

impl Bill<'_> {
    fn push(&mut self, item: Item, quantity: i64, nanos: i64, why: String) {
        let amount = Money { nanos, currency: self.contract.currency };
        self.lines.push(Priced { item, quantity, amount, why });
    }

    fn total(&self) -> Result<i64, MoneyError> {
        self.sum(|_| true)
    }

    fn sum(&self, wanted: impl Fn(&Item) -> bool) -> Result<i64, MoneyError> {
        let lines = self.lines.iter().filter(|line| wanted(&line.item));
        lines
            .map(|line| line.amount.nanos)
            .try_fold(0_i64, |sum, nanos| sum.checked_add(nanos))
            .ok_or(MoneyError::Overflow)
    }

    fn shown(&self, nanos: i64) -> String {
        Money { nanos, currency: self.contract.currency }.to_string()
    }

    /// The lines of one action: confirmed and assumed apart.
    fn outcomes(&mut self, price: &Price, counts: &Counts) -> Result<(), MoneyError> {
        let count = |win| counts.get(&(price.action.clone(), win)).copied().unwrap_or_default();
        let (confirmed, assumed) = (count(WinKind::Confirmed), count(WinKind::Assumed));
        // The free ones are confirmed ones first.
        let free_confirmed = confirmed.clamp(0, price.included.max(0));
        let free_assumed = assumed.clamp(0, (price.included - free_confirmed).max(0));
        let (paid_confirmed, paid_assumed) = (confirmed - free_confirmed, assumed - free_assumed);
        let free = |free: i64| if free > 0 { format!("{free} included; ") } else { String::new() };
        let ladder = Ladder::of(price, WinKind::Confirmed)?;
        let lines = if price.has_assumed_price() {
            let (confirmed, why) = ladder.cost(paid_confirmed)?;
            let (assumed, why_assumed) = Ladder::of(price, WinKind::Assumed)?.cost(paid_assumed)?;
            [(confirmed, why), (assumed, why_assumed)]
        } else {
            // One ladder for both: what they cost together is split by their numbers, to the nano.
            let together = paid_confirmed.checked_add(paid_assumed).ok_or(MoneyError::Overflow)?;
            let (cost, why) = ladder.cost(together)?;
            let of_confirmed = share(cost, paid_confirmed, together)?;
            let rest = cost.checked_sub(of_confirmed).ok_or(MoneyError::Overflow)?;
            let split = |quantity: i64| match quantity == together {
                true => why.clone(),
                false => format!("{quantity} of {together} that cost together: {why}"),
            };
            [(of_confirmed, split(paid_confirmed)), (rest, split(paid_assumed))]
        };
        let kinds =
            [(WinKind::Confirmed, confirmed, free_confirmed), (WinKind::Assumed, assumed, free_assumed)];
        for ((win, quantity, included), (nanos, why)) in kinds.into_iter().zip(lines) {
            if quantity != 0 || nanos != 0 {
                let item = Item::Outcomes { action: price.action.clone(), win };
                self.push(item, quantity, nanos, format!("{}{why}", free(included)));
            }
        }
        Ok(())
    }

    /// Assumed outcomes may be at most so much of what all outcomes come to.
    fn assumed_share(&mut self) -> Result<(), MoneyError> {
        let Some(most) = &self.contract.assumed_at_most else { return Ok(()) };
        let most_percent = money::parse_nanos(most)?;
        let of = |win: WinKind| {
            self.sum(|item| matches!(item, Item::Outcomes { win: other, .. } if *other == win))
        };
        let (confirmed, assumed) = (of(WinKind::Confirmed)?, of(WinKind::Assumed)?);
        if most_percent >= HUNDRED || assumed <= 0 {
            return Ok(());
        }
        // a <= p (c + a), so a <= c p / (1 - p).
        let allowed = share(confirmed.max(0), most_percent, HUNDRED - most_percent)?;
        if assumed > allowed {
            let why = format!(
                "assumed outcomes come to {}, and may be {most} % of the outcomes: {}",
                self.shown(assumed),
                self.shown(allowed)
            );
            self.push(Item::AssumedBeyondShare, 1, allowed - assumed, why);
        }
        Ok(())
    }

    fn fee(&mut self, fee: &Fee, part: Part) -> Result<(), MoneyError> {
        let whole = times(money::parse_nanos(&fee.amount)?, fee.quantity)?;
        let nanos = part.prorate(whole)?;
        if nanos != 0 {
            let why = format!("{} × {}{}", fee.quantity, fee.amount, part.words());
            self.push(Item::Fee { name: fee.name.clone() }, fee.quantity, nanos, why);
        }
        Ok(())
    }

    fn discount(&mut self) -> Result<(), MoneyError> {
        let Some(discount) = &self.contract.discount else { return Ok(()) };
        let total = self.total()?;
        let nanos = share(total, money::parse_nanos(discount)?, HUNDRED)?;
        if nanos != 0 {
            let why = format!("{discount} % of {}", self.shown(total));
            self.push(Item::Discount, 1, -nanos, why);
        }
        Ok(())
    }

    /// What is missing to the minimum, or is beyond the cap: of the outcomes after their part of the discount, without fees.
    fn minimum_and_cap(&mut self, outcomes: i64, part: Part) -> Result<(), MoneyError> {
        let discount = self.contract.discount.as_deref().map_or(Ok(0), money::parse_nanos)?;
        let counted =
            outcomes.checked_sub(share(outcomes, discount, HUNDRED)?).ok_or(MoneyError::Overflow)?;
        let bound = |amount: &Option<String>| amount.as_deref().map(money::parse_nanos).transpose();
        if let Some(minimum) = bound(&self.contract.minimum)? {
            let minimum = part.prorate(minimum)?;
            if counted < minimum {
                let why = format!(
                    "outcomes come to {}, the minimum is {}{}",
                    self.shown(counted),
                    self.shown(minimum),
                    part.words()
                );
                let missing = minimum.checked_sub(counted).ok_or(MoneyError::Overflow)?;
                self.push(Item::Minimum, 1, missing, why);
            }
        }
        if let Some(cap) = bound(&self.contract.cap)? {
            let cap = part.prorate(cap)?;
            if counted > cap {
                let why = format!(
                    "outcomes come to {}, the cap is {}{}: what is beyond is free",
                    self.shown(counted),
                    self.shown(cap),
                    part.words()
                );
                self.push(Item::BeyondCap, 1, cap - counted, why);
            }
        }
        Ok(())
    }
}

fn times(nanos: i64, quantity: i64) -> Result<i64, MoneyError> {
    nanos.checked_mul(quantity).ok_or(MoneyError::Overflow)
}

/// A price, decoded.
struct Ladder {
    mode: Mode,
    /// The last outcome of each, its price and what is charged once for it.
    tiers: Vec<(i64, i64, i64)>,
    /// Outcomes are sold by so many.
    package: i64,
}

impl Ladder {
    fn of(price: &Price, win: WinKind) -> Result<Self, MoneyError> {
        let (amount, tiers) = price.of(win);
        let tiers = match amount {
            Some(amount) => vec![(i64::MAX, money::parse_nanos(amount)?, 0)],
            None => tiers
                .iter()
                .map(|tier| {
                    let flat = tier.flat.as_deref().map_or(Ok(0), money::parse_nanos)?;
                    Ok((tier.up_to.unwrap_or(i64::MAX), money::parse_nanos(&tier.amount)?, flat))
                })
                .collect::<Result<_, MoneyError>>()?,
        };
        Ok(Self { mode: price.mode, tiers, package: price.package.unwrap_or(1).max(1) })
    }

    /// What so many outcomes cost, and how that comes to be.
    fn cost(&self, quantity: i64) -> Result<(i64, String), MoneyError> {
        // Fewer than none cannot be sold; they cost the opposite of what as many would.
        if quantity < 0 {
            let (cost, why) = self.cost(quantity.checked_neg().ok_or(MoneyError::Overflow)?)?;
            return Ok((cost.checked_neg().ok_or(MoneyError::Overflow)?, format!("taken back: {why}")));
        }
        let sold = quantity / self.package + i64::from(quantity % self.package != 0);
        let (mut sum, mut words, mut below) = (0_i64, Vec::new(), 0_i64);
        for &(up_to, amount, flat) in &self.tiers {
            let within = match self.mode {
                Mode::Graduated => sold.min(up_to) - below,
                Mode::Volume if sold <= up_to => sold,
                Mode::Volume => 0,
            };
            if within > 0 {
                let cost = times(amount, within)?.checked_add(flat).ok_or(MoneyError::Overflow)?;
                sum = sum.checked_add(cost).ok_or(MoneyError::Overflow)?;
                let once = if flat == 0 { String::new() } else { format!(" + {}", money::decimal(flat, 2)) };
                words.push(format!("{within} × {}{once}", money::decimal(amount, 2)));
            }
            if sold <= up_to {
                break;
            }
            below = up_to;
        }
        let packages =
            if self.package == 1 { String::new() } else { format!(" (packages of {})", self.package) };
        let words = if words.is_empty() { "0".into() } else { words.join(" + ") };
        Ok((sum, format!("{words}{packages}")))
    }
}
