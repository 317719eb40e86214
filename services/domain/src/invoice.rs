//! The draft of an invoice: a pure function of what the outcomes of its periods are, and of what was invoiced for these
//! periods before.

use crate::contract::Contract;
use crate::judge::WinKind;
use crate::money::{Currency, Money, MoneyError};
use crate::period::Period;
use crate::pricing::{self, Counts, Grant, Item, Part, Priced, draw};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A charge as priced when it was posted: a row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What kind of outcome.
    pub action: String,
    /// Confirmed or assumed.
    pub win: WinKind,
    /// The contract version that priced it.
    pub contract_version: u32,
    /// Outcomes: +1 for a charge, -1 for a void.
    pub quantity: i64,
    /// The list price, with its sign.
    pub amount: Money,
    /// What the outcome is worth, with the same sign, in nanos of that currency; `None` where nobody said so in it.
    pub value: Option<i64>,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 1, 2, 3 … on the invoice.
    pub number: u32,
    /// When the period begins that the line is about: the invoice's own, or an earlier one that is corrected.
    pub period_start: Timestamp,
    /// What it is for.
    pub item: Item,
    /// The contract version that priced it.
    pub contract_version: u32,
    /// How many; outcomes less those taken back.
    pub quantity: i64,
    /// The exact amount.
    pub amount: Money,
    /// The amount in minor units: rounded here, once.
    pub minor: i64,
    /// How the amount came to be.
    pub why: String,
}

/// What a line is about: on later invoices, lines of the same say what has changed.
pub type Key = (Timestamp, u32, Item);

/// What earlier invoices say of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Billed {
    /// How many.
    pub quantity: i64,
    /// The exact amount, in nanos.
    pub nanos: i64,
    /// In minor units.
    pub minor: i64,
}

/// A period with its outcomes and its usage, by the contract version that priced them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Its bounds.
    pub period: Period,
    /// Whether it is a trial: it draws no credits.
    pub trial: bool,
    /// What is charged for.
    pub counts: BTreeMap<u32, Counts>,
}

/// A grant of prepaid credits, and what the lines of all invoices say was drawn of it, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawn {
    /// The grant.
    pub grant: Grant,
    /// What was drawn.
    pub minor: i64,
}

/// The contract version of lines that are of none: prepaid credits.
pub const NO_VERSION: u32 = 0;

/// The lines of an invoice in one currency. They add up to the total, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The lines; a draft without any is not an invoice.
    pub lines: Vec<Line>,
    /// Their sum in minor units.
    pub total_minor: i64,
}

/// Drafts an invoice: what `periods` (in order) come to now, less what was `billed` for them. `versions` are all of the
/// contract's, `grants` all of the customer's.
pub fn draft(
    currency: Currency,
    versions: &[Contract],
    periods: &[Counted],
    billed: &BTreeMap<Key, Billed>,
    grants: &[Drawn],
) -> Result<Draft, MoneyError> {
    let mut now: BTreeMap<Key, (Billed, String)> = BTreeMap::new();
    for counted in periods {
        for (contract, part) in in_force_in(versions, counted) {
            let none = Counts::default();
            let counts = counted.counts.get(&contract.version).unwrap_or(&none);
            for priced in pricing::price(contract, counts, part)? {
                let Priced { item, quantity, amount, why } = priced;
                let said = Billed { quantity, nanos: amount.nanos, minor: amount.to_minor_units()? };
                now.insert((counted.period.start, contract.version, item), (said, why));
            }
        }
    }
    draw_credits(currency, periods, billed, grants, &mut now)?;
    // What is no longer said of a period is taken back.
    for key in billed.keys().filter(|key| periods.iter().any(|counted| counted.period.start == key.0)) {
        now.entry(key.clone()).or_insert_with(|| (Billed::default(), "no longer".into()));
    }
    let mut lines = Vec::new();
    let mut total_minor = 0_i64;
    let mut now: Vec<_> = now.into_iter().collect();
    // Credits stand below what they pay for.
    now.sort_by_key(|((start, version, _), _)| (*start, *version == NO_VERSION));
    for (key, (said, why)) in now {
        let before = billed.get(&key).copied();
        let change = less(said, before.unwrap_or_default()).ok_or(MoneyError::Overflow)?;
        if change == Billed::default() {
            continue;
        }
        total_minor = total_minor.checked_add(change.minor).ok_or(MoneyError::Overflow)?;
        let number = u32::try_from(lines.len() + 1).map_err(|_| MoneyError::Overflow)?;
        let why = match before {
            None => why,
            Some(before) => format!(
                "now {} ({why}), invoiced before {}",
                Money { nanos: said.nanos, currency },
                Money { nanos: before.nanos, currency }
            ),
        };
        let (period_start, contract_version, item) = key;
        let amount = Money { nanos: change.nanos, currency };
        let (quantity, minor) = (change.quantity, change.minor);
        lines.push(Line { number, period_start, item, contract_version, quantity, amount, minor, why });
    }
    Ok(Draft { lines, total_minor })
}

/// What a period comes to so far under all versions together, in nanos, before prepaid credits pay for it.
pub fn come_to(versions: &[Contract], counted: &Counted) -> Result<i64, MoneyError> {
    let (none, mut sum) = (Counts::default(), 0_i64);
    for (contract, part) in in_force_in(versions, counted) {
        let counts = counted.counts.get(&contract.version).unwrap_or(&none);
        for priced in pricing::price(contract, counts, part)? {
            sum = sum.checked_add(priced.amount.nanos).ok_or(MoneyError::Overflow)?;
        }
    }
    Ok(sum)
}

fn less(now: Billed, before: Billed) -> Option<Billed> {
    Some(Billed {
        quantity: now.quantity.checked_sub(before.quantity)?,
        nanos: now.nanos.checked_sub(before.nanos)?,
        minor: now.minor.checked_sub(before.minor)?,
    })
}

/// Pays for each period that is no trial with what is left of the grants: the lines for the others say what was drawn of them.
fn draw_credits(
    currency: Currency,
    periods: &[Counted],
    billed: &BTreeMap<Key, Billed>,
    grants: &[Drawn],
    now: &mut BTreeMap<Key, (Billed, String)>,
) -> Result<(), MoneyError> {
    let overflow = MoneyError::Overflow;
    let mut left: Vec<i64> = Vec::with_capacity(grants.len());
    for Drawn { grant, minor } in grants {
        left.push(grant.minor.checked_sub(*minor).ok_or(overflow.clone())?);
    }
    for Counted { period, .. } in periods.iter().filter(|counted| !counted.trial) {
        let of_period = now.iter().filter(|((start, ..), _)| *start == period.start);
        let mut total = of_period.map(|(_, (said, _))| said.minor);
        let total = total.try_fold(0_i64, i64::checked_add).ok_or(overflow.clone())?;
        let key = |grant: &str| (period.start, NO_VERSION, Item::Credits { grant: grant.into() });
        // What this period drew before is there for it again.
        for (Drawn { grant, .. }, left) in grants.iter().zip(&mut left) {
            let before = billed.get(&key(&grant.id)).map_or(0, |before| before.minor);
            *left = left.checked_sub(before).ok_or(overflow.clone())?;
        }
        let offered: Vec<(Grant, i64)> =
            grants.iter().zip(&left).map(|(drawn, left)| (drawn.grant.clone(), *left)).collect();
        for (grant, taken, why) in draw(&offered, *period, total, currency)? {
            let minor = taken.checked_neg().ok_or(overflow.clone())?;
            let nanos = Money::of_minor_units(minor, currency)?.nanos;
            now.insert(key(&grant), (Billed { quantity: 1, nanos, minor }, why));
            if let Some(at) = grants.iter().position(|drawn| drawn.grant.id == grant) {
                left[at] = left[at].checked_sub(taken).ok_or(overflow.clone())?;
            }
        }
    }
    Ok(())
}

/// The versions that are in force in a period, each with its part of it; and those that priced its outcomes all the same,
/// with none.
fn in_force_in<'a>(versions: &'a [Contract], counted: &Counted) -> Vec<(&'a Contract, Part)> {
    let mut parts = parts(versions, counted.period);
    parts.retain(|(contract, part)| part.in_force > 0 || counted.counts.contains_key(&contract.version));
    parts
}

/// All versions, each with the part of a period in which it is in force.
pub(crate) fn parts(versions: &[Contract], period: Period) -> Vec<(&Contract, Part)> {
    let mut ordered: Vec<&Contract> = versions.iter().collect();
    ordered.sort_by_key(|contract| (contract.effective_from, contract.version));
    let Period { start, end } = period;
    let parts = ordered.iter().enumerate().map(|(nth, contract)| {
        // Of several from the same moment, the last one is in force.
        let until = ordered.get(nth + 1).map(|next| next.effective_from);
        (*contract, Part::of(start, end, contract.effective_from, until))
    });
    parts.collect()
}
