//! What a period comes to before it is closed, and which shares of a contract's bounds that reaches.

use crate::contract::Contract;
use crate::invoice::Draft;
use crate::money::{self, Currency, Money, MoneyError};
use crate::period::Period;
use crate::pricing::{HUNDRED, Item, Part, Priced, share};
use crate::time::Timestamp;
use std::fmt;

/// What a customer's open periods would come to if they closed now, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    /// Whose periods.
    pub customer: String,
    /// What they are billed in.
    pub currency: Currency,
    /// The moment of which it tells.
    pub as_of: Timestamp,
    /// The open periods. What is corrected of closed ones stands on the first.
    pub periods: Vec<EstimatedPeriod>,
    /// Cases whose verdict is pending: what they come to is in no line yet.
    pub pending: i64,
}

/// An open period as it would be invoiced now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstimatedPeriod {
    /// Its bounds.
    pub period: Period,
    /// When its grace ends and it is invoiced.
    pub closes_at: Timestamp,
    /// Whether it is only a trial: none of it is charged.
    pub is_trial: bool,
    /// Its lines and their total.
    pub draft: Draft,
}

/// A bound of a contract that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// What outcomes come to at most.
    Cap,
    /// What they should not come to.
    SoftCap,
    /// What the whole of a period should not come to, whichever versions it is priced by.
    Budget,
    /// What outcomes come to at least.
    Minimum,
}

impl Bound {
    /// Its name, as the contract's field has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cap => "cap",
            Self::SoftCap => "soft_cap",
            Self::Budget => "budget",
            Self::Minimum => "minimum",
        }
    }

    fn of(self, contract: &Contract) -> Option<&str> {
        match self {
            Self::Cap => contract.cap.as_deref(),
            Self::SoftCap => contract.soft_cap.as_deref(),
            Self::Budget => contract.budget.as_deref(),
            Self::Minimum => contract.minimum.as_deref(),
        }
    }
}

const BOUNDS: [Bound; 4] = [Bound::Cap, Bound::SoftCap, Bound::Budget, Bound::Minimum];

/// Whether a contract has any bound that is watched.
pub fn is_bounded(contract: &Contract) -> bool {
    BOUNDS.iter().any(|bound| bound.of(contract).is_some())
}

/// What a period comes to so far, in nanos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// The outcomes of a contract version after the discount, before minimum and cap: what these are compared with.
    pub outcomes: i64,
    /// All of the period, under all versions.
    pub total: i64,
}

impl Spent {
    /// Sums up what [`crate::pricing::price`] said under `contract`, beside what the whole period comes to
    /// ([`crate::invoice::come_to`]).
    pub fn of(contract: &Contract, lines: &[Priced], total: i64) -> Result<Self, MoneyError> {
        let sum = |wanted: fn(&Item) -> bool| {
            let wanted = lines.iter().filter(|line| wanted(&line.item));
            wanted.map(|line| line.amount.nanos).try_fold(0_i64, i64::checked_add).ok_or(MoneyError::Overflow)
        };
        let listed = sum(|item| matches!(item, Item::Outcomes { .. } | Item::AssumedBeyondShare))?;
        let discount = contract.discount.as_deref().map_or(Ok(0), money::parse_nanos)?;
        let outcomes = listed.checked_sub(share(listed, discount, HUNDRED)?).ok_or(MoneyError::Overflow)?;
        Ok(Self { outcomes, total })
    }
}

/// A share of a bound that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// Of which bound.
    pub bound: Bound,
    /// The share in percent, as the contract says it.
    pub percent: String,
    /// The bound, for the part of the period.
    pub limit: Money,
    /// What is compared with it.
    pub spent: Money,
    /// Whether the whole of the bound is reached, whatever the share.
    pub is_whole: bool,
}

/// Which shares of its bounds a contract version has reached in its part of a period (of its budget: in the whole), by bound and
/// in the order of `alert_at`. Where nothing is spent, nothing is reached.
pub fn reached(contract: &Contract, part: Part, spent: Spent) -> Result<Vec<Reached>, MoneyError> {
    let mut reached = Vec::new();
    for bound in BOUNDS {
        let Some(limit) = bound.of(contract) else { continue };
        let part = if bound == Bound::Budget { Part::WHOLE } else { part };
        let limit = part.prorate(money::parse_nanos(limit)?)?;
        let figure = if bound == Bound::Budget { spent.total } else { spent.outcomes };
        for percent in &contract.alert_at {
            // A share that does not fit is more than any figure.
            let at = share(limit, money::parse_nanos(percent)?, HUNDRED).ok();
            if figure > 0 && at.is_some_and(|at| figure >= at) {
                let of = |nanos| Money { nanos, currency: contract.currency };
                reached.push(Reached {
                    bound,
                    percent: percent.clone(),
                    limit: of(limit),
                    spent: of(figure),
                    is_whole: figure >= limit,
                });
            }
        }
    }
    Ok(reached)
}

impl fmt::Display for Reached {
    /// With its figures, and what it means.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, percent, limit, spent, is_whole } = self;
        let (what, name) = match bound {
            Bound::Cap => ("outcomes come to", "cap"),
            Bound::SoftCap => ("outcomes come to", "soft cap"),
            Bound::Budget => ("the period comes to", "budget"),
            Bound::Minimum => ("outcomes come to", "minimum"),
        };
        write!(f, "{what} {spent}, {percent} % of the {name} of {limit} is reached: ")?;
        f.write_str(match (bound, is_whole) {
            (Bound::Cap, false) => "outcomes beyond the cap will be recorded and free",
            (Bound::Cap, true) => "what is beyond is recorded and free",
            (Bound::SoftCap | Bound::Budget, _) => "only a notice, all is charged as before",
            (Bound::Minimum, false) => "once the commitment is used up, outcomes cost",
            (Bound::Minimum, true) => "the commitment is used up, from here on outcomes cost",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Price;
    use crate::judge::WinKind;
    use crate::pricing::{Counts, Fee, Tally, price};
    use std::collections::BTreeMap;

    fn contract() -> Contract {
        let text = |text: &str| Some(text.to_string());
        Contract {
            cap: text("100"),
            soft_cap: text("60"),
            budget: text("150"),
            minimum: text("50"),
            discount: text("10"),
            fees: vec![Fee { name: "Seats".into(), amount: "40".into(), quantity: 1 }],
            ..Contract::new("acme", Currency::USD, vec![Price::flat("solved", "1", None)])
        }
    }

    /// Which bounds and percents so many outcomes reach in a part of the period.
    fn names(contract: &Contract, outcomes: i64, part: Part) -> Result<Vec<String>, MoneyError> {
        let tally = Tally { quantity: outcomes, ..Tally::default() };
        let outcomes = BTreeMap::from([(("solved".to_string(), WinKind::Confirmed), tally)]);
        let counts = Counts { outcomes, ..Counts::default() };
        let lines = price(contract, &counts, part)?;
        let spent = Spent::of(contract, &lines, lines.iter().map(|line| line.amount.nanos).sum())?;
        let reached = reached(contract, part, spent)?;
        Ok(reached.iter().map(|one| format!("{} {}", one.bound.as_str(), one.percent)).collect())
    }

    #[test]
    fn shares_are_of_outcomes_after_the_discount_and_budgets_of_all() -> Result<(), MoneyError> {
        let contract = contract();
        let whole = |outcomes| names(&contract, outcomes, Part::WHOLE);
        assert_eq!(whole(0)?, Vec::<String>::new(), "fees are within the budget, and no outcome is there");
        // 44 outcomes come to 39.60, 45 to 40.50: 80 % of the minimum is 40.
        assert_eq!(whole(44)?, Vec::<String>::new());
        assert_eq!(whole(45)?, ["minimum 80"]);
        // 89 come to 80.10. With the fee after its discount it is 116.10: 80 % of the budget is 120.
        assert_eq!(whole(88)?, ["soft_cap 80", "soft_cap 100", "minimum 80", "minimum 100"]);
        assert_eq!(whole(89)?, ["cap 80", "soft_cap 80", "soft_cap 100", "minimum 80", "minimum 100"]);
        // What is beyond the cap is still counted towards it, and not in the total: that is 136 at most.
        let all =
            ["cap 80", "cap 100", "soft_cap 80", "soft_cap 100", "budget 80", "minimum 80", "minimum 100"];
        assert_eq!(whole(112)?, all);
        assert_eq!(whole(1_000)?, all);
        Ok(())
    }

    #[test]
    fn bounds_are_those_of_the_part_of_the_period() -> Result<(), MoneyError> {
        let contract =
            Contract { alert_at: vec!["50".into(), "120.5".into()], fees: Vec::new(), ..contract() };
        let text = |text: &str| Some(text.to_string());
        let third = Part { in_force: 10, period: 30 };
        // A third of the cap is 33.33…, half of that 16.66…: 18 come to 16.20, 19 to 17.10.
        assert_eq!(names(&contract, 18, third)?, ["soft_cap 50", "minimum 50"]);
        assert_eq!(names(&contract, 19, third)?, ["cap 50", "soft_cap 50", "minimum 50"]);
        assert_eq!(names(&contract, 45, third)?.first().map(String::as_str), Some("cap 50"));
        // A budget is that of the whole period: 100 come to 33.33… under the cap.
        let budget = Contract { budget: text("34"), soft_cap: None, minimum: None, ..contract.clone() };
        assert_eq!(names(&budget, 100, third)?, ["cap 50", "cap 120.5", "budget 50"]);
        assert_eq!(names(&contract, 45, third)?.get(1).map(String::as_str), Some("cap 120.5"));
        Ok(())
    }

    #[test]
    fn a_share_beyond_all_money_is_never_reached_and_the_others_are() -> Result<(), MoneyError> {
        let contract = Contract {
            minimum: None,
            cap: None,
            soft_cap: None,
            budget: Some("1000000000".into()),
            alert_at: vec!["100".into(), "1000".into()],
            ..contract()
        };
        let spent = Spent { outcomes: 0, total: 1_000_000_000 * money::NANOS_PER_UNIT };
        let reached = reached(&contract, Part::WHOLE, spent)?;
        assert_eq!(reached.iter().map(|one| one.percent.as_str()).collect::<Vec<_>>(), ["100"]);
        Ok(())
    }

    #[test]
    fn the_words_say_what_it_means() -> Result<(), MoneyError> {
        let contract = Contract { alert_at: vec!["80".into()], ..contract() };
        let words = |outcomes| {
            let of = |nanos: i64| nanos * money::NANOS_PER_UNIT;
            let reached = reached(&contract, Part::WHOLE, Spent { outcomes: of(outcomes), total: of(130) })?;
            Ok::<_, MoneyError>(reached.iter().map(Reached::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            words(90)?[0],
            "outcomes come to 90.00 USD, 80 % of the cap of 100.00 USD is reached: outcomes beyond the cap will be recorded and free"
        );
        assert!(words(101)?[0].ends_with("what is beyond is recorded and free"));
        assert!(
            words(41)?[0].starts_with("the period comes to 130.00 USD, 80 % of the budget of 150.00 USD")
        );
        assert!(words(41)?[1].ends_with("once the commitment is used up, outcomes cost"));
        assert!(words(50)?[2].ends_with("the commitment is used up, from here on outcomes cost"));
        Ok(())
    }

    #[test]
    fn a_bound_of_nothing_is_reached_by_the_first_outcome_only() -> Result<(), MoneyError> {
        let none =
            Contract { cap: Some("0".into()), ..Contract::new("acme", Currency::USD, contract().prices) };
        assert!(is_bounded(&none) && !is_bounded(&Contract { cap: None, ..none.clone() }));
        assert_eq!(names(&none, 0, Part::WHOLE)?, Vec::<String>::new());
        assert_eq!(names(&none, 1, Part::WHOLE)?, ["cap 80", "cap 100"]);
        Ok(())
    }
}
