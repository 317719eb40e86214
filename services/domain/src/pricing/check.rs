//! What of a contract's prices cannot be meant, and what would be right.

use super::HUNDRED;
use crate::contract::{Contract, ContractError, Corrections, Price, Tax, Through};
use crate::money;

/// The most that one thing may cost.
const MILLION: i64 = 1_000_000 * money::NANOS_PER_UNIT;

/// The most that the bounds of a period, and its fees together, may come to: so that a bill has room for them.
const BILLION: i64 = 1_000_000_000 * money::NANOS_PER_UNIT;

/// Checks what the types of a contract's prices cannot.
pub(crate) fn check(contract: &Contract) -> Result<(), ContractError> {
    let fault = |field: String, problem: &str| ContractError { field, problem: problem.into() };
    let amount = |field: String, amount: &str, most: i64| match money::parse_nanos(amount) {
        Ok(nanos) if (0..=most).contains(&nanos) => Ok(nanos),
        Ok(_) => Err(fault(field, &format!("must be from 0 to {}", most / money::NANOS_PER_UNIT))),
        Err(error) => Err(fault(field, &error.to_string())),
    };
    for (nth, price) in contract.prices.iter().enumerate() {
        let field = |name: &str| format!("prices[{nth}].{name}");
        if let Some(share) = &price.share {
            check_share(&field, price, share, &amount)?;
        } else {
            if price.amount.is_some() != price.tiers.is_empty() {
                return Err(fault(field("amount"), "give one of `amount`, `tiers` and `share`"));
            }
            for (name, given) in [("at_least", &price.at_least), ("at_most", &price.at_most)] {
                if given.is_some() {
                    return Err(fault(field(name), "is only for a price by `share`"));
                }
            }
        }
        if price.assumed_amount.is_some() && !price.assumed_tiers.is_empty() {
            return Err(fault(field("assumed_amount"), "give either `assumed_amount` or `assumed_tiers`"));
        }
        for (name, given) in [("amount", &price.amount), ("assumed_amount", &price.assumed_amount)] {
            if let Some(given) = given {
                amount(field(name), given, MILLION)?;
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
                amount(field("amount"), &tier.amount, MILLION)?;
                if let Some(flat) = &tier.flat {
                    amount(field("flat"), flat, MILLION)?;
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
    let mut fees = 0_i128;
    for (nth, fee) in contract.fees.iter().enumerate() {
        let field = |name: &str| format!("fees[{nth}].{name}");
        if !(1..=128).contains(&fee.name.chars().count()) || fee.name.contains(char::is_control) {
            return Err(fault(field("name"), "must have 1 to 128 characters"));
        }
        if contract.fees[..nth].iter().any(|other| other.name == fee.name) {
            return Err(fault(field("name"), "is there already"));
        }
        let nanos = amount(field("amount"), &fee.amount, MILLION)?;
        if !(1..=1_000_000).contains(&fee.quantity) {
            return Err(fault(field("quantity"), "must be from 1 to 1,000,000"));
        }
        fees += i128::from(nanos) * i128::from(fee.quantity);
        if fees > i128::from(BILLION) {
            return Err(fault(
                field("quantity"),
                "is too many: the fees of a period come to at most 1,000,000,000",
            ));
        }
    }
    check_usage(contract, &amount)?;
    check_stripe(contract)?;
    for (nth, share) in contract.alert_at.iter().enumerate() {
        amount(format!("alert_at[{nth}]"), share, 10 * HUNDRED)?;
    }
    if contract.alert_at.len() > 16 {
        return Err(fault("alert_at".into(), "must have at most 16 percents"));
    }
    for (name, percent) in [("discount", &contract.discount), ("assumed_at_most", &contract.assumed_at_most)]
    {
        if let Some(percent) = percent {
            amount(name.into(), percent, HUNDRED)?;
        }
    }
    let bound = |name: &str, given: &Option<String>| {
        given.as_ref().map(|given| amount(name.into(), given, BILLION)).transpose()
    };
    bound("soft_cap", &contract.soft_cap)?;
    bound("budget", &contract.budget)?;
    if let (Some(minimum), Some(cap)) = (bound("minimum", &contract.minimum)?, bound("cap", &contract.cap)?)
        && minimum > cap
    {
        return Err(fault("minimum".into(), "must not be more than the cap"));
    }
    Ok(())
}

/// A price by the share of an outcome's value: each outcome costs its own, so that nothing goes by how many there are.
fn check_share(
    field: &impl Fn(&str) -> String,
    price: &Price,
    share: &str,
    amount: &impl Fn(String, &str, i64) -> Result<i64, ContractError>,
) -> Result<(), ContractError> {
    let by_number = [
        ("amount", price.amount.is_some()),
        ("assumed_amount", price.assumed_amount.is_some()),
        ("tiers", !price.tiers.is_empty()),
        ("assumed_tiers", !price.assumed_tiers.is_empty()),
        ("included", price.included != 0),
        ("package", price.package.is_some()),
    ];
    if let Some((name, _)) = by_number.into_iter().find(|(_, is_given)| *is_given) {
        return Err(ContractError {
            field: field(name),
            problem: "does not go together with `share`".into(),
        });
    }
    amount(field("share"), share, HUNDRED)?;
    let bound = |name: &str, given: &Option<String>| {
        given.as_ref().map(|given| amount(field(name), given, MILLION)).transpose()
    };
    match (bound("at_least", &price.at_least)?, bound("at_most", &price.at_most)?) {
        (Some(least), Some(most)) if least > most => {
            Err(ContractError { field: field("at_least"), problem: "must not be more than `at_most`".into() })
        }
        _ => Ok(()),
    }
}

fn check_usage(
    contract: &Contract,
    amount: &impl Fn(String, &str, i64) -> Result<i64, ContractError>,
) -> Result<(), ContractError> {
    for (nth, usage) in contract.usage.iter().enumerate() {
        let field = |name: &str| format!("usage[{nth}].{name}");
        let fault = |name: &str, problem: &str| ContractError { field: field(name), problem: problem.into() };
        if !(1..=64).contains(&usage.action.chars().count()) || usage.action.contains(char::is_control) {
            return Err(fault("action", "must have 1 to 64 characters"));
        }
        if contract.usage[..nth].iter().any(|other| other.action == usage.action) {
            return Err(fault("action", "is there already"));
        }
        let has_price = contract.prices.iter().any(|price| price.action == usage.action);
        if has_price && !usage.beside_outcomes {
            let remedy = "has a price as well: set `beside_outcomes = true` to charge outcomes and usage of one action";
            return Err(fault("action", remedy));
        }
        if let Some(percent) = &usage.percent {
            amount(field("percent"), percent, 10 * HUNDRED)?;
        }
        if let Some(per_request) = &usage.per_request {
            amount(field("per_request"), per_request, MILLION)?;
        }
    }
    Ok(())
}

fn check_stripe(contract: &Contract) -> Result<(), ContractError> {
    let fault = |field: &str, problem: &str| ContractError { field: field.into(), problem: problem.into() };
    let stripe = &contract.stripe;
    if !(1..=365).contains(&stripe.days_until_due) {
        return Err(fault("stripe.days_until_due", "must be from 1 to 365"));
    }
    // Stripe takes no negative lines on an invoice that it taxes (docs.stripe.com/tax/invoicing).
    if stripe.tax == Tax::Automatic {
        if contract.corrections != Corrections::CreditNote {
            let remedy = "must be `credit_note` with `stripe.tax = \"automatic\"`: Stripe takes no negative lines with it";
            return Err(fault("corrections", remedy));
        }
        let negative = [
            ("discount", &contract.discount),
            ("cap", &contract.cap),
            ("assumed_at_most", &contract.assumed_at_most),
        ];
        if let Some((field, _)) = negative.into_iter().find(|(_, given)| given.is_some()) {
            return Err(fault(
                field,
                "does not go together with `stripe.tax = \"automatic\"`: Stripe takes no negative lines with it",
            ));
        }
    }
    for (nth, price) in contract.prices.iter().enumerate() {
        let field = format!("prices[{nth}].meter");
        match (&price.meter, stripe.through) {
            (None, Through::MeterEvents) => {
                return Err(fault(&field, "is missing: the name of the meter event at Stripe"));
            }
            (Some(_), Through::Invoices) => {
                return Err(fault(&field, "is only for `stripe.through = \"meter_events\"`"));
            }
            (Some(meter), Through::MeterEvents) if !(1..=100).contains(&meter.chars().count()) => {
                return Err(fault(&field, "must have 1 to 100 characters"));
            }
            _ => {}
        }
    }
    Ok(())
}
