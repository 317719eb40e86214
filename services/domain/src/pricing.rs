//! What the outcomes of a period cost: a pure function of how many there are, the contract version and the part of
//! the period in which it was in force. The one evaluator for bills, previews and simulations.
//!
//! `docs/RULES.md` ("The price of a period") is the definition.

mod allotment;
mod check;
mod credits;
mod free;
mod item;
mod ladder;
mod usage;

pub use allotment::{Allotment, Changed, FreeOnes};
pub(crate) use check::check;
pub use credits::{Grant, draw};
pub use free::{Free, Standing, free, has_free, may_be_free};
pub use item::Item;
pub use usage::{Used, used_by};

use crate::contract::{Contract, Price};
use crate::judge::WinKind;
use crate::money::{self, Money, MoneyError, divide_half_away};
use crate::time::Timestamp;
use ladder::Ladder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// Outcomes of one action and kind, less those taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub quantity: i64,
    /// The sum of their list prices, in nanos.
    pub listed: i64,
    /// The sum of what they are worth, in nanos; nothing for those without a value. Only shown: what is worth much would
    /// not fit money.
    pub value: i128,
}

impl Tally {
    /// The sum; `None` if it overflows.
    pub fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            listed: self.listed.checked_add(other.listed)?,
            value: self.value.checked_add(other.value)?,
        })
    }
}

/// What one contract version prices in a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Outcomes, by action and kind.
    pub outcomes: BTreeMap<(String, WinKind), Tally>,
    /// Attempts that are charged as usage, by action.
    pub usage: BTreeMap<String, Used>,
}

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
    for usage in &contract.usage {
        if let Some(used) = counts.usage.get(&usage.action) {
            for (item, quantity, nanos, why) in usage::lines(usage, used, contract.currency)? {
                bill.push(item, quantity, nanos, why);
            }
        }
    }
    Ok(bill.lines)
}

/// How many confirmed and how many assumed outcomes of a price are free: confirmed ones first.
fn included(price: &Price, counts: &Counts) -> (i64, i64) {
    let count = |win| counts.outcomes.get(&(price.action.clone(), win)).map_or(0, |tally| tally.quantity);
    let confirmed = count(WinKind::Confirmed).clamp(0, price.included.max(0));
    (confirmed, count(WinKind::Assumed).clamp(0, (price.included - confirmed).max(0)))
}

/// What outcomes come to after their part of the discount: what is held against minimum and cap.
fn come_to(contract: &Contract, counts: &Counts) -> Result<i64, MoneyError> {
    let mut bill = Bill { contract, lines: Vec::new() };
    for price in &contract.prices {
        bill.outcomes(price, counts)?;
    }
    bill.assumed_share()?;
    bill.discounted(bill.total()?)
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

    fn worth(&self, nanos: i128) -> String {
        let per_unit = i128::from(money::NANOS_PER_UNIT);
        match i64::try_from(nanos) {
            Ok(nanos) => self.shown(nanos),
            Err(_) => format!("{} {}", nanos / per_unit, self.contract.currency.code()),
        }
    }

    fn shown(&self, nanos: i64) -> String {
        Money { nanos, currency: self.contract.currency }.to_string()
    }

    /// The lines of one action: confirmed and assumed apart.
    fn outcomes(&mut self, price: &Price, counts: &Counts) -> Result<(), MoneyError> {
        let tally = |win| counts.outcomes.get(&(price.action.clone(), win)).copied().unwrap_or_default();
        if let Some(share) = &price.share {
            for win in [WinKind::Confirmed, WinKind::Assumed] {
                self.shares(price, share, win, tally(win));
            }
            return Ok(());
        }
        let (confirmed, assumed) = (tally(WinKind::Confirmed).quantity, tally(WinKind::Assumed).quantity);
        let (free_confirmed, free_assumed) = included(price, counts);
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

    /// The line of outcomes that each cost a share of their own value.
    fn shares(&mut self, price: &Price, share: &str, win: WinKind, tally: Tally) {
        if tally == Tally::default() {
            return;
        }
        let bound = |word: &str, bound: &Option<String>| match bound {
            Some(bound) => format!(", at {word} {bound} each"),
            None => String::new(),
        };
        let why = format!(
            "{share} % of {}, the value of each by itself{}{}",
            self.worth(tally.value),
            bound("least", &price.at_least),
            bound("most", &price.at_most)
        );
        let item = Item::Outcomes { action: price.action.clone(), win };
        self.push(item, tally.quantity, tally.listed, why);
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
            self.push(Item::Discount, 1, nanos.checked_neg().ok_or(MoneyError::Overflow)?, why);
        }
        Ok(())
    }

    /// What is left of an amount after the discount.
    fn discounted(&self, nanos: i64) -> Result<i64, MoneyError> {
        let discount = self.contract.discount.as_deref().map_or(Ok(0), money::parse_nanos)?;
        nanos.checked_sub(share(nanos, discount, HUNDRED)?).ok_or(MoneyError::Overflow)
    }

    /// What is missing to the minimum, or is beyond the cap: of the outcomes after their part of the discount, without fees.
    fn minimum_and_cap(&mut self, outcomes: i64, part: Part) -> Result<(), MoneyError> {
        let counted = self.discounted(outcomes)?;
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
