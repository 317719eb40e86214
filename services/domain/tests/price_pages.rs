//! What published price pages, shares of a value, usage at cost and prepaid credits come to, case by case, worked out by hand from
//! `docs/RULES.md`. `docs/RESOLUTION_RULES.md` names the pages and their rules.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verdict_domain::contract::Contract;
use verdict_domain::invoice::{Billed, Counted, Drawn, Key, Line, draft};
use verdict_domain::judge::WinKind::{self, Assumed, Confirmed};
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Grant, Tally, Used};
use verdict_domain::time::Timestamp;

const DAY: i64 = 86_400_000_000;

/// 2026-09-01T00:00:00Z and so many days.
fn day(nth: i64) -> Timestamp {
    Timestamp(Timestamp::parse("2026-09-01T00:00:00Z").unwrap().0 + nth * DAY)
}

/// September, October and November of 2026, in UTC.
fn month(nth: usize) -> Period {
    let bounds = [0, 30, 61, 91].map(day);
    Period { start: bounds[nth], end: bounds[nth + 1] }
}

fn contract(currency: &str, fields: &Value) -> Contract {
    let mut contract = json!({
        "customer": "acme", "version": 1, "effective_from": "2026-09-01T00:00:00Z", "currency": currency,
        "bill_to": { "name": "Acme GmbH", "email": "billing@acme.example" },
    });
    for (name, value) in fields.as_object().unwrap() {
        contract[name] = value.clone();
    }
    let contract: Contract = serde_json::from_value(contract).unwrap();
    assert_eq!(contract.check(), Ok(()));
    contract
}

/// Outcomes by action, kind and number; the sum of their list prices counts only for shares.
fn outcomes(of: &[(&str, WinKind, i64, i64)]) -> Counts {
    let tally = |&(action, win, quantity, listed): &(&str, WinKind, i64, i64)| {
        ((action.to_owned(), win), Tally { quantity, listed, ..Tally::default() })
    };
    Counts { outcomes: of.iter().map(tally).collect(), ..Counts::default() }
}

/// A customer's bills, one after the other.
struct Bills {
    contract: Contract,
    grants: Vec<Grant>,
    billed: BTreeMap<Key, Billed>,
}

impl Bills {
    fn new(contract: Contract, grants: &[Grant]) -> Self {
        Self { contract, grants: grants.to_vec(), billed: BTreeMap::new() }
    }

    /// The lines of the next one, as `3 support, confirmed: 2.97 USD = 297`: these months have these counts now.
    fn next(&mut self, months: &[(usize, Counts)]) -> Vec<String> {
        let counted = |(nth, counts): &(usize, Counts)| Counted {
            period: month(*nth),
            trial: false,
            counts: BTreeMap::from([(1, counts.clone())]),
        };
        let periods: Vec<Counted> = months.iter().map(counted).collect();
        let is_meant = |key: &Key| periods.iter().any(|counted| counted.period.start == key.0);
        let billed =
            self.billed.iter().filter(|(key, _)| is_meant(key)).map(|(key, b)| (key.clone(), *b)).collect();
        let drawn: Vec<Drawn> = (self.grants.iter())
            .map(|grant| Drawn { grant: grant.clone(), minor: grant.minor - self.left(&grant.id) })
            .collect();
        let versions = std::slice::from_ref(&self.contract);
        let draft = draft(self.contract.currency, versions, &periods, &billed, &drawn).unwrap();
        assert_eq!(draft.total_minor, draft.lines.iter().map(|line| line.minor).sum::<i64>());
        for Line { period_start, item, contract_version, quantity, amount, minor, .. } in &draft.lines {
            let sum = self.billed.entry((*period_start, *contract_version, item.clone())).or_default();
            sum.quantity += quantity;
            sum.nanos += amount.nanos;
            sum.minor += minor;
        }
        let shown =
            |line: &Line| format!("{} {}: {} = {}", line.quantity, line.item, line.amount, line.minor);
        draft.lines.iter().map(shown).collect()
    }

    /// What is left of a grant, in minor units.
    fn left(&self, id: &str) -> i64 {
        let granted = self.grants.iter().find(|grant| grant.id == id).unwrap().minor;
        let of_grant = |key: &&Key| key.2.sort() == "credits" && key.2.name() == Some(id);
        granted + self.billed.keys().filter(of_grant).map(|key| self.billed[key].minor).sum::<i64>()
    }
}

/// What the first month of these counts comes to.
fn once(contract: Contract, counts: Counts) -> Vec<String> {
    Bills::new(contract, &[]).next(&[(0, counts)])
}

#[test]
fn intercom_fin() {
    // Help article 13513868: a resolution, a procedure's handoff and a disqualification cost 0.99, a qualification 9.99. Whether confirmed
    // or assumed (8205718): 70 and 30 resolutions climb one ladder to 99.00; 70 of 100 bear 69.30.
    let price = |action: &str, amount: &str| json!({ "action": action, "amount": amount });
    let fin = json!({ "prices": [
        price("resolution", "0.99"), price("procedure.handoff", "0.99"),
        price("sales.qualification", "9.99"), price("sales.disqualification", "0.99"),
    ] });
    let month = [
        ("resolution", Confirmed, 70, 0),
        ("resolution", Assumed, 30, 0),
        ("procedure.handoff", Confirmed, 4, 0),
        ("sales.qualification", Confirmed, 3, 0),
        ("sales.disqualification", Confirmed, 2, 0),
    ];
    let expected = [
        "4 procedure.handoff, confirmed: 3.96 USD = 396",
        "70 resolution, confirmed: 69.30 USD = 6930",
        "30 resolution, assumed: 29.70 USD = 2970",
        "2 sales.disqualification, confirmed: 1.98 USD = 198",
        "3 sales.qualification, confirmed: 29.97 USD = 2997",
    ];
    assert_eq!(once(contract("USD", &fin), outcomes(&month)), expected);
    // The two prices that a buyer may ask for instead: an assumed one costs 0.49, 30 are 14.70.
    let two = json!({ "prices": [{ "action": "resolution", "amount": "0.99", "assumed_amount": "0.49" }] });
    let expected = ["70 resolution, confirmed: 69.30 USD = 6930", "30 resolution, assumed: 14.70 USD = 1470"];
    assert_eq!(once(contract("USD", &two), outcomes(&month[..2])), expected);
}

#[test]
fn zendesk() {
    // Automated resolutions (article 5352026794010), by secondary sources: committed ones at 1.50, those beyond at 2.00. 500 committed are a
    // fee of 750.00, and 500 are included: of 437 + 113 are 50 beyond, all assumed: 100.00. Assumed ones climb the same ladder: what is
    // left is 0 confirmed and 50 assumed.
    let zendesk = json!({
        "prices": [{ "action": "resolution", "amount": "2.00", "included": 500 }],
        "fees": [{ "name": "committed", "amount": "1.50", "quantity": 500 }],
    });
    let month = outcomes(&[("resolution", Confirmed, 437, 0), ("resolution", Assumed, 113, 0)]);
    let expected = [
        "437 resolution, confirmed: 0.00 USD = 0",
        "113 resolution, assumed: 100.00 USD = 10000",
        "500 committed: 750.00 USD = 75000",
    ];
    assert_eq!(once(contract("USD", &zendesk), month), expected);
}

#[test]
fn agentforce() {
    // By secondary sources (docs/RESOLUTION_RULES.md): 2 a conversation. 1,234 are 2,468.00.
    let conversations = json!({ "prices": [{ "action": "conversation", "amount": "2" }] });
    let month = outcomes(&[("conversation", Confirmed, 1_234, 0)]);
    let expected = ["1234 conversation, confirmed: 2468.00 USD = 246800"];
    assert_eq!(once(contract("USD", &conversations), month.clone()), expected);
    // Flex credits, by the same: an action is 20 credits, 0.10, and 100,000 credits are sold for 500: packages of 5,000 actions. 5,001
    // actions are two packages, 1,000.00; an action's list price is 500 / 5,000 = 0.10.
    let flex = contract(
        "USD",
        &json!({ "prices": [{ "action": "conversation", "amount": "500", "package": 5_000 }] }),
    );
    let month = outcomes(&[("conversation", Confirmed, 5_001, 0)]);
    let expected = ["5001 conversation, confirmed: 1000.00 USD = 100000"];
    assert_eq!(once(flex, month.clone()), expected);
    // By the single action: 5,001 x 0.10.
    let single = json!({ "prices": [{ "action": "conversation", "amount": "0.10" }] });
    let expected = ["5001 conversation, confirmed: 500.10 USD = 50010"];
    assert_eq!(once(contract("USD", &single), month), expected);
}

#[test]
fn redo_and_hubspot() {
    // Redo (help article 11673216): 0.95 for the first 50, then 0.90, 0.85. Up to where 0.90 goes is not said: 500 here. 600 are
    // 50 x 0.95 + 450 x 0.90 + 100 x 0.85 = 47.50 + 405 + 85 = 537.50.
    let tiers =
        json!([{ "up_to": 50, "amount": "0.95" }, { "up_to": 500, "amount": "0.90" }, { "amount": "0.85" }]);
    let redo = json!({ "prices": [{ "action": "resolution", "tiers": tiers }] });
    let month = outcomes(&[("resolution", Assumed, 600, 0)]);
    let expected = ["600 resolution, assumed: 537.50 USD = 53750"];
    assert_eq!(once(contract("USD", &redo), month.clone()), expected);
    // HubSpot, by secondary sources: 0.50 a resolved conversation.
    let hubspot = json!({ "prices": [{ "action": "resolution", "amount": "0.50" }] });
    let expected = ["600 resolution, assumed: 300.00 USD = 30000"];
    assert_eq!(once(contract("USD", &hubspot), month), expected);
}

#[test]
fn a_share_of_the_value() {
    // 20 % of what an outcome is worth, at least 1, at most 50. Worth 12.34: 2.468; worth 3: 0.60, so 1; worth 400: 80, so 50. Together
    // 53.468, which is rounded once; an assumed one worth 7.77 is 1.554.
    let share =
        json!({ "prices": [{ "action": "recovery", "share": "20", "at_least": "1", "at_most": "50" }] });
    let mut bills = Bills::new(contract("EUR", &share), &[]);
    let three = [("recovery", Confirmed, 3, 53_468_000_000), ("recovery", Assumed, 1, 1_554_000_000)];
    let expected = ["3 recovery, confirmed: 53.468 EUR = 5347", "1 recovery, assumed: 1.554 EUR = 155"];
    assert_eq!(bills.next(&[(0, outcomes(&three))]), expected);
    // The one worth 400 is taken back: its 50, not a third of the sum. 3.468 is 3.47.
    let two = [("recovery", Confirmed, 2, 3_468_000_000), ("recovery", Assumed, 1, 1_554_000_000)];
    assert_eq!(bills.next(&[(0, outcomes(&two))]), ["-1 recovery, confirmed: -50.00 EUR = -5000"]);
}

fn used(requests: i64, known: i64, cost: i64, marked: i64, marked_cost: i64) -> Counts {
    let used = Used { requests, known, cost, marked, marked_cost, sources: ["reported".to_owned()].into() };
    Counts { usage: BTreeMap::from([("chat".to_owned(), used)]), ..Counts::default() }
}

#[test]
fn model_cost_and_a_mark_up() {
    // docs/CONTRACTS.md: of 1,000 requests are 990 of a known cost, 12.40 together, 40 of them with estimated tokens, 0.40 together. 20 % of
    // 12.00 is 2.40, and 950 x 0.001 are 0.95.
    let usage = json!({ "usage": [{ "action": "chat", "percent": "20", "per_request": "0.001" }] });
    let mut bills = Bills::new(contract("USD", &usage), &[]);
    let month = used(1_000, 990, 12_400_000_000, 950, 12_000_000_000);
    let expected = ["1000 chat, model cost: 12.40 USD = 1240", "950 chat, mark-up: 3.35 USD = 335"];
    assert_eq!(bills.next(&[(0, month)]), expected);
    // One more, late, of 0.0025: 20 % are 0.0005, with the request's 0.001 0.0015. 12.4025 is still 12.40, and 3.3515 3.35.
    let late = used(1_001, 991, 12_402_500_000, 951, 12_002_500_000);
    let expected = ["1 chat, model cost: 0.0025 USD = 0", "1 chat, mark-up: 0.0015 USD = 0"];
    assert_eq!(bills.next(&[(0, late)]), expected);
    // Only unknown costs: the requests are shown, and free. Only estimated tokens: the cost without a mark-up.
    let expected = ["3 chat, model cost: 0.00 USD = 0"];
    assert_eq!(once(contract("USD", &usage), used(3, 0, 0, 0, 0)), expected);
    let expected = ["3 chat, model cost: 0.50 USD = 50"];
    assert_eq!(once(contract("USD", &usage), used(3, 3, 500_000_000, 0, 0)), expected);
    // 12.345678901 % of 1.000000004 is 0.123456789504, to the nano 0.123456790.
    let odd = json!({ "usage": [{ "action": "chat", "percent": "12.345678901" }] });
    let expected = ["1 chat, model cost: 1.000000004 USD = 100", "1 chat, mark-up: 0.12345679 USD = 12"];
    assert_eq!(once(contract("USD", &odd), used(1, 1, 1_000_000_004, 1, 1_000_000_004)), expected);
    // Beside outcomes, and in neither discount nor minimum: 10 x 1 less 10 % are 9, 1 is missing to 10; 5 of cost stand beside.
    let both = json!({
        "prices": [{ "action": "chat", "amount": "1" }], "discount": "10", "minimum": "10",
        "usage": [{ "action": "chat", "beside_outcomes": true, "percent": "20" }],
    });
    let mut month = used(9, 9, 5_000_000_000, 9, 5_000_000_000);
    month.outcomes = outcomes(&[("chat", Confirmed, 10, 0)]).outcomes;
    let mut lines = once(contract("USD", &both), month);
    lines.sort();
    let expected = [
        "1 Discount: -1.00 USD = -100",
        "1 Minimum commitment: 1.00 USD = 100",
        "10 chat, confirmed: 10.00 USD = 1000",
        "9 chat, mark-up: 1.00 USD = 100",
        "9 chat, model cost: 5.00 USD = 500",
    ];
    assert_eq!(lines, expected);
}

fn grant(id: &str, minor: i64, from: i64, expires: Option<i64>) -> Grant {
    Grant { id: id.into(), minor, effective_at: day(from), expires_at: expires.map(day) }
}

#[test]
fn prepaid_credits_of_two_grants() {
    let one = contract("USD", &json!({ "prices": [{ "action": "resolution", "amount": "1" }] }));
    let month = |n| outcomes(&[("resolution", Confirmed, n, 0)]);
    let mut bills = Bills::new(one, &[grant("year", 10_000, -5, None), grant("autumn", 3_000, 0, Some(45))]);
    // What expires first is drawn first: 30 of autumn, then 20 of the year's 100, for 50.
    let mut lines = bills.next(&[(0, month(50))]);
    lines.sort();
    let expected = [
        "1 Prepaid credits autumn: -30.00 USD = -3000",
        "1 Prepaid credits year: -20.00 USD = -2000",
        "50 resolution, confirmed: 50.00 USD = 5000",
    ];
    assert_eq!(lines, expected);
    assert_eq!((bills.left("autumn"), bills.left("year")), (0, 8_000));
    // 25 are taken back: September needs 25, all of autumn's; 5 go back to it and 20 to the year's. October, in which autumn is still valid, draws
    // those 5 and 55 of the year's for its 60.
    let mut lines = bills.next(&[(0, month(25)), (1, month(60))]);
    lines.sort();
    let expected = [
        "-1 Prepaid credits year: 20.00 USD = 2000",
        "-25 resolution, confirmed: -25.00 USD = -2500",
        "0 Prepaid credits autumn: 5.00 USD = 500",
        "1 Prepaid credits autumn: -5.00 USD = -500",
        "1 Prepaid credits year: -55.00 USD = -5500",
        "60 resolution, confirmed: 60.00 USD = 6000",
    ];
    assert_eq!(lines, expected);
    assert_eq!((bills.left("autumn"), bills.left("year")), (0, 4_500));
    // All of September is void: autumn's 25 go back, but it has expired before November, which has 45 of the year's for its 70.
    let mut lines = bills.next(&[(0, month(0)), (2, month(70))]);
    lines.sort();
    let expected = [
        "-1 Prepaid credits autumn: 25.00 USD = 2500",
        "-25 resolution, confirmed: -25.00 USD = -2500",
        "1 Prepaid credits year: -45.00 USD = -4500",
        "70 resolution, confirmed: 70.00 USD = 7000",
    ];
    assert_eq!(lines, expected);
    assert_eq!((bills.left("autumn"), bills.left("year")), (2_500, 0));
}

#[test]
fn yen_and_what_is_no_currency_for_stripe() {
    // 7 x 87.5 = 612.5 is 613 yen; of a grant of 600 all is drawn, whole yen: 13 are left to pay.
    let yen = contract("JPY", &json!({ "prices": [{ "action": "resolution", "amount": "87.5" }] }));
    let mut bills = Bills::new(yen, &[grant("g", 600, 0, None)]);
    let mut lines = bills.next(&[(0, outcomes(&[("resolution", Confirmed, 7, 0)]))]);
    lines.sort();
    let expected = ["1 Prepaid credits g: -600 JPY = -600", "7 resolution, confirmed: 612.5 JPY = 613"];
    assert_eq!(lines, expected);
    // Of the currencies with three decimals Stripe takes none to the last of them: no contract bills in one.
    let mut dinar = contract("USD", &json!({ "prices": [{ "action": "resolution", "amount": "1" }] }));
    for code in ["BHD", "JOD", "KWD", "OMR", "TND"] {
        dinar.currency = verdict_domain::money::currency(code).unwrap();
        assert_eq!(dinar.check().unwrap_err().field, "currency");
    }
}
