//! RULES, "The price of an outcome" and "The price of a period".

use crate::{Contract, ContractPrice, Mode, Posting, Tier, nanos, round_div};
use std::collections::BTreeMap;

/// What a line of an invoice is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Outcomes.
    Outcomes {
        /// Of this action.
        action: String,
        /// `confirmed` or `assumed`.
        kind: &'static str,
    },
    /// A fee.
    Fee {
        /// Its name.
        name: String,
    },
    /// What assumed outcomes come to beyond their share.
    AssumedBeyondShare,
    /// The discount.
    Discount,
    /// What is missing to the minimum.
    Minimum,
    /// What is beyond the cap.
    BeyondCap,
    /// What the models of attempts cost.
    ModelCost {
        /// Attempts of this action.
        action: String,
    },
    /// What is added to that.
    MarkUp {
        /// Attempts of this action.
        action: String,
    },
    /// What a grant of prepaid credits pays.
    Credits {
        /// The grant's id.
        grant: String,
    },
}

impl Item {
    /// What invoices call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Outcomes { .. } => "outcomes",
            Self::Fee { .. } => "fee",
            Self::AssumedBeyondShare => "assumed_beyond_share",
            Self::Discount => "discount",
            Self::Minimum => "minimum",
            Self::BeyondCap => "beyond_cap",
            Self::ModelCost { .. } => "model_cost",
            Self::MarkUp { .. } => "mark_up",
            Self::Credits { .. } => "credits",
        }
    }
}

/// What one contract version prices in a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By action and kind, charges less what took them back.
    pub outcomes: BTreeMap<(String, &'static str), Tally>,
    /// By action, the attempts that are charged as usage.
    pub usage: BTreeMap<String, Used>,
}

/// Outcomes, less those taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub n: i64,
    /// The sum of their list prices.
    pub listed: i128,
}

/// Attempts that are charged as usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How many.
    pub attempts: i64,
    /// The sum of the known costs.
    pub cost: i128,
    /// How many of the known ones bear a mark-up.
    pub marked: i64,
    /// The sum of their costs.
    pub marked_cost: i128,
}

/// A line of a period's price under one contract version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// For what.
    pub item: Item,
    /// How many outcomes, or the fee's quantity; 1 for the others.
    pub quantity: i64,
    /// The exact amount.
    pub nanos: i128,
}

/// The list price of an outcome that is worth so much in a currency; `None` for one without the value that its price is
/// a share of.
pub(crate) fn list_price(
    price: &ContractPrice,
    kind: &str,
    currency: &str,
    value: Option<&(i64, String)>,
) -> Option<i64> {
    if let Some(share) = &price.share {
        let (value, _) = value.filter(|value| value.1 == currency)?;
        let mut of_it = round_div(i128::from(*value) * i128::from(nanos(share)), HUNDRED);
        if let Some(at_least) = &price.at_least {
            of_it = of_it.max(i128::from(nanos(at_least)));
        }
        if let Some(at_most) = &price.at_most {
            of_it = of_it.min(i128::from(nanos(at_most)));
        }
        return Some(i64::try_from(of_it).expect("in range"));
    }
    let tiers = tiers(price, kind == "assumed" && has_assumed_price(price));
    let amount = i128::from(nanos(&tiers[0].amount));
    Some(i64::try_from(round_div(amount, i128::from(price.package.unwrap_or(1)))).expect("in range"))
}

/// What a contract version charges for a period (1 to 6), of which it is in force for `in_force` of
/// `period` microseconds.
pub fn price_period(contract: &Contract, counts: &Counts, in_force: i64, period: i64) -> Vec<Priced> {
    let part = |nanos: i128| round_div(nanos * i128::from(in_force), i128::from(period));
    let percent = |of: i128, percent: &Option<String>| {
        let percent = percent.as_ref().map_or(0, |percent| i128::from(nanos(percent)));
        round_div(of * percent, HUNDRED)
    };
    let mut lines = Vec::new();

    let (mut all_confirmed, mut all_assumed) = (0, 0);
    for price in &contract.prices {
        let tally = |kind| counts.outcomes.get(&(price.action.clone(), kind)).copied().unwrap_or_default();
        let (confirmed, assumed) = (tally("confirmed"), tally("assumed"));
        let (of_confirmed, of_assumed) = match price.share {
            Some(_) => (confirmed.listed, assumed.listed),
            None => outcomes(price, confirmed.n, assumed.n),
        };
        let item = |kind| Item::Outcomes { action: price.action.clone(), kind };
        lines.push(Priced { item: item("confirmed"), quantity: confirmed.n, nanos: of_confirmed });
        lines.push(Priced { item: item("assumed"), quantity: assumed.n, nanos: of_assumed });
        all_confirmed += of_confirmed;
        all_assumed += of_assumed;
    }
    lines.retain(|line| line.quantity != 0 || line.nanos != 0);

    let beyond_share = beyond_share(contract, all_confirmed, all_assumed);
    let outcomes = all_confirmed + all_assumed - beyond_share;
    let mut fees = 0;
    let mut others = vec![(Item::AssumedBeyondShare, 1, -beyond_share)];
    for fee in contract.fees.iter().filter(|_| in_force > 0) {
        let amount = part(i128::from(nanos(&fee.amount)) * i128::from(fee.quantity));
        fees += amount;
        others.push((Item::Fee { name: fee.name.clone() }, fee.quantity, amount));
    }
    others.push((Item::Discount, 1, -percent(outcomes + fees, &contract.discount)));

    let discounted = outcomes - percent(outcomes, &contract.discount);
    if let Some(minimum) = contract.minimum.as_ref().filter(|_| in_force > 0) {
        let missing = part(i128::from(nanos(minimum))) - discounted;
        others.push((Item::Minimum, 1, missing.max(0)));
    }
    if let Some(cap) = contract.cap.as_ref().filter(|_| in_force > 0) {
        let beyond = discounted - part(i128::from(nanos(cap)));
        others.push((Item::BeyondCap, 1, -beyond.max(0)));
    }
    for (item, quantity, nanos) in others {
        if nanos != 0 {
            lines.push(Priced { item, quantity, nanos });
        }
    }

    for usage in &contract.usage {
        let used = counts.usage.get(&usage.action).copied().unwrap_or_default();
        let of_percent = percent(used.marked_cost, &usage.percent);
        let per_request = usage.per_request.as_ref().map_or(0, |amount| i128::from(nanos(amount)));
        let mark_up = of_percent + per_request * i128::from(used.marked);
        for (item, quantity, nanos) in [
            (Item::ModelCost { action: usage.action.clone() }, used.attempts, used.cost),
            (Item::MarkUp { action: usage.action.clone() }, used.marked, mark_up),
        ] {
            if (quantity, nanos) != (0, 0) {
                lines.push(Priced { item, quantity, nanos });
            }
        }
    }
    lines
}

/// 100 percent.
const HUNDRED: i128 = 100_000_000_000;

/// What assumed outcomes come to beyond their share.
fn beyond_share(contract: &Contract, confirmed: i128, assumed: i128) -> i128 {
    let Some(percent) = &contract.assumed_at_most else { return 0 };
    let percent = i128::from(nanos(percent));
    if percent == HUNDRED || assumed <= 0 {
        return 0;
    }
    let at_most = round_div(confirmed.max(0) * percent, HUNDRED - percent);
    (assumed - at_most).max(0)
}

/// What so many confirmed and assumed outcomes come to.
fn outcomes(price: &ContractPrice, confirmed: i64, assumed: i64) -> (i128, i128) {
    let free_confirmed = price.included.min(confirmed.max(0));
    let free_assumed = (price.included - free_confirmed).min(assumed.max(0));
    let (confirmed, assumed) = (confirmed - free_confirmed, assumed - free_assumed);
    if has_assumed_price(price) {
        return (ladder(price, false, confirmed), ladder(price, true, assumed));
    }
    let both = confirmed + assumed;
    if both == 0 {
        return (0, 0);
    }
    let all = ladder(price, false, both);
    // The divisor of a rounding is positive.
    let sign = i128::from(both.signum());
    let of_confirmed = round_div(sign * all * i128::from(confirmed), i128::from(both.abs()));
    (of_confirmed, all - of_confirmed)
}

fn has_assumed_price(price: &ContractPrice) -> bool {
    price.assumed_amount.is_some() || !price.assumed_tiers.is_empty()
}

/// An amount alone is one tier without an end.
fn tiers(price: &ContractPrice, assumed: bool) -> Vec<Tier> {
    let (amount, tiers) =
        if assumed { (&price.assumed_amount, &price.assumed_tiers) } else { (&price.amount, &price.tiers) };
    match amount {
        Some(amount) => vec![Tier { up_to: None, amount: amount.clone(), flat: None }],
        None => tiers.clone(),
    }
}

/// Whether an outcome is one of a price of 0.
pub(crate) fn costs_nothing(price: &ContractPrice, posting: &Posting) -> bool {
    if price.share.is_some() {
        return posting.amount_nanos == 0;
    }
    let tiers = tiers(price, posting.kind == "assumed" && has_assumed_price(price));
    let amounts = tiers.iter().flat_map(|tier| [Some(&tier.amount), tier.flat.as_ref()]).flatten();
    amounts.map(|amount| nanos(amount)).all(|amount| amount == 0)
}

/// What `n` outcomes cost, one package after the other.
fn ladder(price: &ContractPrice, assumed: bool, n: i64) -> i128 {
    if n < 0 {
        return -ladder(price, assumed, -n);
    }
    let mut packages = 0;
    while packages * price.package.unwrap_or(1) < n {
        packages += 1;
    }
    let tiers = tiers(price, assumed);
    let tier_of = |nth: i64| tiers.iter().position(|tier| tier.up_to.is_none_or(|up_to| nth <= up_to));
    let amount = |tier: usize| i128::from(nanos(&tiers[tier].amount));
    let flat = |tier: usize| tiers[tier].flat.as_ref().map_or(0, |flat| i128::from(nanos(flat)));
    if packages == 0 {
        return 0;
    }
    if price.mode == Mode::Volume {
        let tier = tier_of(packages).expect("the last tier has no end");
        return i128::from(packages) * amount(tier) + flat(tier);
    }
    let mut total = 0;
    let mut reached = None;
    for nth in 1..=packages {
        let tier = tier_of(nth).expect("the last tier has no end");
        total += amount(tier);
        if reached != Some(tier) {
            total += flat(tier);
        }
        reached = Some(tier);
    }
    total
}
