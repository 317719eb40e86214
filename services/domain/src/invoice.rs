//! The draft of an invoice: a pure function of the charges of a period.

use crate::judge::WinKind;
use crate::money::{Currency, Money, MoneyError};
use std::collections::BTreeMap;

/// A charge as the invoice sees it: a priced row of the ledger, or several of one kind together.
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
    /// The amount, with its sign.
    pub amount: Money,
}

/// One line of an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// 1, 2, 3 … on the invoice.
    pub number: u32,
    /// What kind of outcome.
    pub action: String,
    /// Confirmed or assumed.
    pub win: WinKind,
    /// The contract version that priced it.
    pub contract_version: u32,
    /// Outcomes, less those taken back.
    pub quantity: i64,
    /// The exact sum.
    pub amount: Money,
    /// The sum in minor units: rounded here, once.
    pub minor: i64,
}

/// The lines of an invoice in one currency. They add up to the total, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The lines; a draft without any is not an invoice.
    pub lines: Vec<Line>,
    /// Their sum in minor units.
    pub total_minor: i64,
}

/// Drafts an invoice in `currency` from its charges, in whatever order they come.
pub fn draft(currency: Currency, charges: &[Charge]) -> Result<Draft, MoneyError> {
    let mut groups: BTreeMap<(&str, WinKind, u32), (i64, Money)> = BTreeMap::new();
    for charge in charges {
        let key = (charge.action.as_str(), charge.win, charge.contract_version);
        let (quantity, amount) = groups.entry(key).or_insert((0, Money::zero(currency)));
        *quantity = quantity.checked_add(charge.quantity).ok_or(MoneyError::Overflow)?;
        *amount = amount.plus(charge.amount)?;
    }
    let mut lines = Vec::new();
    let mut total_minor = 0_i64;
    for ((action, win, contract_version), (quantity, amount)) in groups {
        if quantity == 0 && amount.nanos == 0 {
            continue;
        }
        let minor = amount.to_minor_units()?;
        total_minor = total_minor.checked_add(minor).ok_or(MoneyError::Overflow)?;
        let number = u32::try_from(lines.len() + 1).map_err(|_| MoneyError::Overflow)?;
        lines.push(Line { number, action: action.into(), win, contract_version, quantity, amount, minor });
    }
    Ok(Draft { lines, total_minor })
}
