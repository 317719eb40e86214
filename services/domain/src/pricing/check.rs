//! What of a contract's prices cannot be meant, and what would be right.

use super::HUNDRED;
use crate::contract::{Contract, ContractError};
use crate::money;

/// Checks what the types of a contract's prices cannot.
pub(crate) fn check(contract: &Contract) -> Result<(), ContractError> {
    let fault = |field: String, problem: &str| ContractError { field, problem: problem.into() };
    let amount = |field: String, amount: &str, most: i64| match money::parse_nanos(amount) {
        Ok(nanos) if (0..=most).contains(&nanos) => Ok(nanos),
        Ok(_) => Err(fault(field, &format!("must be from 0 to {}", most / money::NANOS_PER_UNIT))),
        Err(error) => Err(fault(field, &error.to_string())),
    };
    let million = 1_000_000 * money::NANOS_PER_UNIT;
    for (nth, price) in contract.prices.iter().enumerate() {
        let field = |name: &str| format!("prices[{nth}].{name}");
        if price.amount.is_some() != price.tiers.is_empty() {
            return Err(fault(field("amount"), "give either `amount` or `tiers`"));
        }
        if price.assumed_amount.is_some() && !price.assumed_tiers.is_empty() {
            return Err(fault(field("assumed_amount"), "give either `assumed_amount` or `assumed_tiers`"));
        }
        for (name, given) in [("amount", &price.amount), ("assumed_amount", &price.assumed_amount)] {
            if let Some(given) = given {
                amount(field(name), given, million)?;
            }
        }
        if price.included < 0 {
            return Err(fault(field("included"), "must be 0 or more"));
        }
        if price.package.is_some_and(|size| !(1..=1_000_000_000).contains(&size)) {
            return Err(fault(field("package"), "must be from 1 to 1,000,000,000"));
        }
        for (name, tiers) in [("tiers", &price.tiers), ("assumed_tiers", &price.assumed_tiers)] {
            let mut below = 0;
            for (at, tier) in tiers.iter().enumerate() {
                let field = |part: &str| format!("prices[{nth}].{name}[{at}].{part}");
                amount(field("amount"), &tier.amount, million)?;
                if let Some(flat) = &tier.flat {
                    amount(field("flat"), flat, million)?;
                }
                let is_last = at + 1 == tiers.len();
                match tier.up_to {
                    None if !is_last => {
                        return Err(fault(field("up_to"), "is missing: only the last tier has no end"));
                    }
                    Some(_) if is_last => {
                        return Err(fault(field("up_to"), "must be left out: the last tier has no end"));
                    }
                    Some(up_to) if up_to <= below => {
                        return Err(fault(field("up_to"), "must be more than the tier's before"));
                    }
                    up_to => below = up_to.unwrap_or(below),
                }
            }
        }
    }
    for (nth, fee) in contract.fees.iter().enumerate() {
        let field = |name: &str| format!("fees[{nth}].{name}");
        if !(1..=128).contains(&fee.name.chars().count()) || fee.name.contains(char::is_control) {
            return Err(fault(field("name"), "must have 1 to 128 characters"));
        }
        if contract.fees[..nth].iter().any(|other| other.name == fee.name) {
            return Err(fault(field("name"), "is there already"));
        }
        amount(field("amount"), &fee.amount, million)?;
        if !(1..=1_000_000).contains(&fee.quantity) {
            return Err(fault(field("quantity"), "must be from 1 to 1,000,000"));
        }
    }
    for (name, percent) in [("discount", &contract.discount), ("assumed_at_most", &contract.assumed_at_most)]
    {
        if let Some(percent) = percent {
            amount(name.into(), percent, HUNDRED)?;
        }
    }
    let most = 1_000_000_000 * money::NANOS_PER_UNIT;
    let bound = |name: &str, given: &Option<String>| {
        given.as_ref().map(|given| amount(name.into(), given, most)).transpose()
    };
    if let (Some(minimum), Some(cap)) = (bound("minimum", &contract.minimum)?, bound("cap", &contract.cap)?)
        && minimum > cap
    {
        return Err(fault("minimum".into(), "must not be more than the cap"));
    }
    Ok(())
}
