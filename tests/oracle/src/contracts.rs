//! The customers and what they agreed to: the first three together have every variant of the rule.

use crate::{
    Assumed, Cadence, Charges, Contract, ContractPrice, DAY, Evidence, Fee, FollowUp, HOUR, MINUTE, Mode,
    NegativeFeedback, Plan, Reopen, RestartedBy, Rule, SilenceFrom, Tier,
};
use Assumed::{Never, Platform, Silence};
use Charges::OnceACase;
use FollowUp::Unresolved;
use NegativeFeedback::Holds;
use Reopen::{Keep, Void};
use RestartedBy::{Answers, Everything};
use SilenceFrom::FirstActivity;

const SUPPORT: &str = "support.resolution";
const REFUND: &str = "refund.processed";
const SALES: &str = "sales.qualification";

/// The contracts of the plan's customers. All are effective from the plan's start, which is the evening before
/// in New York: that customer's first period is an empty one. The first customer has a second version.
pub(crate) fn contracts(plan: &Plan) -> Vec<Contract> {
    let mid_month = plan.start + i64::from(plan.days / 2).min(15) * DAY;
    let all = [
        contract(
            ("acme", "Acme GmbH", "USD", "Europe/Berlin", 72),
            &[(SUPPORT, "0.99", Some("0.79")), (REFUND, "0.5", None), (SALES, "12.125", Some("9.995"))],
            rule(24 * HOUR, Silence, 72 * HOUR, Void, 30 * DAY),
        ),
        contract(
            ("globex", "Globex SE", "EUR", "Europe/Berlin", 24),
            &[(SUPPORT, "1.2", None), (REFUND, "0.355", None)],
            Rule {
                restarted_by: Answers,
                low_score: Some(2),
                planned_handoffs: vec![REFUND.to_owned()],
                dispute_window: 14 * DAY,
                ..rule(48 * HOUR, Never, 96 * HOUR, Void, 7 * DAY)
            },
        ),
        contract(
            ("initech", "Initech KK", "JPY", "Asia/Tokyo", 72),
            &[(SUPPORT, "110", Some("87.5")), (SALES, "1500", None)],
            Rule {
                follow_up: Unresolved,
                negative_feedback: Holds,
                low_score: Some(3),
                charges: OnceACase,
                ..rule(HOUR, Silence, 24 * HOUR, Keep, 10 * DAY)
            },
        ),
        contract(
            ("umbrella", "Umbrella Inc", "USD", "America/New_York", 72),
            &[(SUPPORT, "0.85", Some("0.425")), (REFUND, "0.333333333", Some("0.111111111"))],
            Rule {
                silence_from: FirstActivity,
                restarted_by: Answers,
                planned_handoffs: vec![REFUND.to_owned(), SALES.to_owned()],
                ..rule(36 * HOUR, Platform, 48 * HOUR, Void, 30 * DAY)
            },
        ),
        contract(
            ("hooli", "Hooli Ltd", "USD", "UTC", 48),
            &[(SUPPORT, "0.7", Some("0.005")), (REFUND, "0.4", None), (SALES, "25", Some("15"))],
            Rule {
                silence_from: FirstActivity,
                restarted_by: Everything,
                follow_up: Unresolved,
                charges: OnceACase,
                ..rule(30 * MINUTE, Silence, 90 * MINUTE, Void, 3 * DAY)
            },
        ),
        contract(
            ("stark", "Stark AG", "EUR", "UTC", 0),
            &[(SUPPORT, "0.99", Some("0")), (SALES, "8.5", Some("6.375"))],
            Rule {
                restarted_by: Everything,
                negative_feedback: Holds,
                evidence: Evidence::Platform,
                ..rule(24 * HOUR, Platform, 12 * HOUR, Keep, 14 * DAY)
            },
        ),
        contract(
            ("wayne", "Wayne Corp", "USD", "America/New_York", 72),
            &[(SUPPORT, "2", None)],
            Rule {
                planned_handoffs: vec![SUPPORT.to_owned()],
                charges: OnceACase,
                ..rule(0, Never, 72 * HOUR, Keep, 5 * DAY)
            },
        ),
        contract(
            ("tyrell", "Tyrell KK", "JPY", "Asia/Tokyo", 24),
            &[(REFUND, "60.5", Some("40")), (SALES, "900", Some("700"))],
            Rule {
                silence_from: FirstActivity,
                low_score: Some(1),
                ..rule(12 * HOUR, Silence, 36 * HOUR, Void, 0)
            },
        ),
    ];
    assert!((3..=all.len()).contains(&plan.customers), "three to eight customers");
    let mut contracts: Vec<Contract> = all.into_iter().take(plan.customers).collect();
    for contract in &mut contracts {
        contract.effective_from = plan.start;
        price_by_period(contract);
    }
    let second = Contract {
        version: 2,
        effective_from: mid_month,
        ..contract(
            ("acme", "Acme GmbH", "USD", "Europe/Berlin", 72),
            &[(SUPPORT, "1.095", Some("0.8")), (REFUND, "0.55", Some("0.45")), (SALES, "11", None)],
            Rule {
                silence_from: FirstActivity,
                restarted_by: Everything,
                low_score: Some(3),
                evidence: Evidence::Platform,
                ..rule(12 * HOUR, Platform, 48 * HOUR, Keep, 14 * DAY)
            },
        )
    };
    contracts.insert(1, second);
    contracts
}

fn contract(
    (customer, bill_to_name, currency, time_zone, grace_hours): (&str, &str, &str, &str, i64),
    prices: &[(&str, &str, Option<&str>)],
    rule: Rule,
) -> Contract {
    let price = |&(action, amount, assumed_amount): &(&str, &str, Option<&str>)| ContractPrice {
        action: action.to_owned(),
        amount: Some(amount.to_owned()),
        assumed_amount: assumed_amount.map(str::to_owned),
        ..ContractPrice::default()
    };
    Contract {
        customer: customer.to_owned(),
        version: 1,
        effective_from: 0,
        currency: currency.to_owned(),
        time_zone: time_zone.to_owned(),
        grace_hours,
        bill_to_name: bill_to_name.to_owned(),
        bill_to_email: format!("billing@{customer}.example"),
        prices: prices.iter().map(price).collect(),
        rule,
        ..Contract::default()
    }
}

/// What depends on how much there is in a period. Who is not named here has flat prices, by the month.
fn price_by_period(contract: &mut Contract) {
    let some = |decimal: &str| Some(decimal.to_owned());
    let fee = |name: &str, amount: &str, quantity| Fee {
        name: name.to_owned(),
        amount: amount.to_owned(),
        quantity,
    };
    match contract.customer.as_str() {
        "globex" => {
            let steps =
                [(Some(40), "1.2", None), (Some(400), "1.075", Some("5")), (None, "0.9", Some("2.505"))];
            contract.prices[0] = ContractPrice {
                amount: None,
                included: 10,
                tiers: tiers(&steps),
                ..contract.prices[0].clone()
            };
            contract.minimum = some("500");
        }
        "initech" => {
            let steps = [(Some(100), "110", None), (Some(1_000), "95.5", None), (None, "80", Some("1000"))];
            contract.prices[0] = ContractPrice {
                amount: None,
                assumed_amount: None,
                mode: Mode::Volume,
                tiers: tiers(&steps),
                ..contract.prices[0].clone()
            };
            contract.prices[1].included = 3;
            contract.assumed_at_most = some("45");
        }
        "umbrella" => {
            contract.prices[0].package = Some(25);
            contract.prices[0].amount = some("21.25");
            contract.prices[0].assumed_amount = some("10.625");
            contract.minimum = some("900");
            contract.discount = some("7.5");
        }
        "hooli" => {
            contract.period = Cadence::Weekly;
            contract.prices[2] = ContractPrice {
                action: SALES.to_owned(),
                share: some("12.5"),
                at_least: some("2"),
                at_most: some("40.000000001"),
                ..ContractPrice::default()
            };
            contract.fees = vec![fee("platform", "49", 1), fee("seat", "12.495", 3)];
            contract.cap = some("2500");
        }
        "stark" => {
            contract.prices[1] =
                ContractPrice { action: SALES.to_owned(), share: some("3.333"), ..ContractPrice::default() };
        }
        "wayne" => {
            contract.period = Cadence::Anniversary;
            contract.discount = some("10");
            contract.fees = vec![fee("onboarding", "100", 1)];
        }
        "tyrell" => {
            contract.period = Cadence::Quarterly;
            contract.minimum = some("10000");
        }
        _ => {}
    }
}

fn tiers(steps: &[(Option<i64>, &str, Option<&str>)]) -> Vec<Tier> {
    let tier = |&(up_to, amount, flat): &(Option<i64>, &str, Option<&str>)| Tier {
        up_to,
        amount: amount.to_owned(),
        flat: flat.map(str::to_owned),
    };
    steps.iter().map(tier).collect()
}

fn rule(
    confirmed_settles_after: i64,
    assumed: Assumed,
    silence_window: i64,
    reopen: Reopen,
    reversal_horizon: i64,
) -> Rule {
    Rule { confirmed_settles_after, assumed, silence_window, reopen, reversal_horizon, ..Rule::default() }
}
