//! What periods come to, case by case, worked out by hand from `docs/RULES.md`. The prices are those that people find on
//! price pages: by the resolution, by the package, in tiers, with a commitment, with seats.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, Unpriced};
use verdict_domain::invoice::{Billed, Counted, Draft, Key, draft};
use verdict_domain::judge::WinKind::{self, Assumed, Confirmed};
use verdict_domain::money::{Currency, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Item, Part, Priced, Tally, price};
use verdict_domain::time::Timestamp;

const ACTION: &str = "support.resolution";
const DAY: i64 = 86_400_000_000;
/// A third of a month of 30 days.
const TEN_OF_THIRTY: Part = Part { in_force: 10 * DAY, period: 30 * DAY };

/// A contract in dollars with these fields besides.
fn contract(fields: &Value) -> Contract {
    let mut contract = json!({
        "customer": "acme", "version": 1, "effective_from": "2026-09-01T00:00:00Z", "currency": "USD",
        "bill_to": { "name": "Acme GmbH", "email": "billing@acme.example" },
    });
    for (name, value) in fields.as_object().unwrap() {
        contract[name] = value.clone();
    }
    let contract: Contract = serde_json::from_value(contract).unwrap();
    contract.check().unwrap();
    contract
}

/// A contract of one price with these fields.
fn one_price(fields: &Value) -> Contract {
    let mut price = fields.clone();
    price["action"] = json!(ACTION);
    contract(&json!({ "prices": [price] }))
}

/// A contract of one price, 1 for a confirmed outcome and `assumed` for an assumed one, with these fields.
fn one_dollar(assumed: &str, fields: &Value) -> Contract {
    let mut all = fields.clone();
    all["prices"] = json!([{ "action": ACTION, "amount": "1", "assumed_amount": assumed }]);
    contract(&all)
}

fn counts(confirmed: i64, assumed: i64) -> Counts {
    let tally = |win, quantity| ((ACTION.to_owned(), win), Tally { quantity, ..Tally::default() });
    let outcomes = BTreeMap::from([tally(Confirmed, confirmed), tally(Assumed, assumed)]);
    Counts { outcomes, ..Counts::default() }
}

fn name(item: &Item) -> String {
    match item {
        Item::Outcomes { win, .. } => win.as_str().to_owned(),
        Item::Fee { name } => name.clone(),
        Item::AssumedBeyondShare => "beyond share".into(),
        Item::Discount => "discount".into(),
        Item::Minimum => "minimum".into(),
        Item::BeyondCap => "beyond cap".into(),
        Item::ModelCost { .. } | Item::MarkUp { .. } | Item::Credits { .. } => panic!("not in these cases"),
    }
}

/// The lines as `3 confirmed 2.97`, for a part of the period.
fn lines_for(contract: &Contract, confirmed: i64, assumed: i64, part: Part) -> Vec<String> {
    let line = |line: Priced| format!("{} {} {}", line.quantity, name(&line.item), line.amount);
    let lines = price(contract, &counts(confirmed, assumed), part).unwrap();
    lines.into_iter().map(line).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
}

fn lines(contract: &Contract, confirmed: i64, assumed: i64) -> Vec<String> {
    lines_for(contract, confirmed, assumed, Part::WHOLE)
}

/// What so many confirmed outcomes cost, in cents.
fn cents(contract: &Contract, confirmed: i64) -> i64 {
    let lines = price(contract, &counts(confirmed, 0), Part::WHOLE).unwrap();
    lines.iter().map(|line| line.amount.to_minor_units().unwrap()).sum()
}

/// September and October of 2026, in UTC.
fn month(nth: i64) -> Period {
    let september = Timestamp::parse("2026-09-01T00:00:00Z").unwrap().0;
    let bounds = [0, 30, 61].map(|days| Timestamp(september + days * DAY));
    let nth = usize::try_from(nth).unwrap();
    Period { start: bounds[nth], end: bounds[nth + 1] }
}

/// The invoices of a customer, one after the other.
struct Bills {
    versions: Vec<Contract>,
    billed: BTreeMap<Key, Billed>,
}

impl Bills {
    fn new(versions: Vec<Contract>) -> Self {
        Self { versions, billed: BTreeMap::new() }
    }

    /// The next invoice: these months have these outcomes by version now.
    fn next(&mut self, months: &[(i64, &[(u32, Counts)])]) -> Draft {
        let counted = |(nth, outcomes): &(i64, &[(u32, Counts)])| Counted {
            period: month(*nth),
            trial: false,
            counts: outcomes.iter().cloned().collect(),
        };
        let periods: Vec<Counted> = months.iter().map(counted).collect();
        let draft = draft(self.versions[0].currency, &self.versions, &periods, &self.billed, &[]).unwrap();
        for line in &draft.lines {
            let key = (line.period_start, line.contract_version, line.item.clone());
            let billed = self.billed.entry(key).or_default();
            billed.quantity += line.quantity;
            billed.nanos += line.amount.nanos;
            billed.minor += line.minor;
        }
        draft
    }
}

/// The lines as `v1 3 confirmed 2.97 = 297`.
fn shown(draft: &Draft) -> Vec<String> {
    let line = |line: &verdict_domain::invoice::Line| {
        let amount = line.amount.to_string();
        let amount = amount.rsplit_once(' ').unwrap().0;
        let (version, quantity) = (line.contract_version, line.quantity);
        format!("v{version} {quantity} {} {amount} = {}", name(&line.item), line.minor)
    };
    draft.lines.iter().map(line).collect()
}

#[test]
fn fees_that_no_bill_has_room_for_are_refused() {
    let fees = |quantity: i64, more: Value| {
        let fees = json!([{ "name": "Seats", "amount": "1000000", "quantity": quantity }, more]);
        let contract = json!({
            "customer": "acme", "version": 1, "effective_from": "2026-09-01T00:00:00Z", "currency": "USD",
            "bill_to": { "name": "Acme GmbH", "email": "billing@acme.example" }, "fees": fees,
            "prices": [{ "action": ACTION, "amount": "1" }],
        });
        serde_json::from_value::<Contract>(contract).unwrap()
    };
    let small = json!({ "name": "Support", "amount": "1" });
    let most = fees(999, json!({ "name": "Support", "amount": "1000000" }));
    most.check().unwrap();
    let lines = price(&most, &Counts::default(), Part::WHOLE).unwrap();
    assert_eq!(lines.iter().map(|line| line.amount.nanos).sum::<i64>(), 1_000_000_000_000_000_000);
    // Two of these would be 2 x 10^21 nanos, and the period could never be closed.
    for (contract, field) in
        [(fees(1_000_000, small.clone()), "fees[0].quantity"), (fees(1_000, small), "fees[1].quantity")]
    {
        assert_eq!(contract.check().unwrap_err().field, field);
    }
}

#[test]
fn by_the_resolution() {
    // 1: Intercom's Fin, assumed like confirmed: (60 + 40) x 0.99 = 99; 60/100 of it are 59.40.
    let fin = one_price(&json!({ "amount": "0.99" }));
    assert_eq!(lines(&fin, 60, 40), ["60 confirmed 59.40", "40 assumed 39.60"]);
    // 2: HubSpot: 1,234 x 0.50 = 617.
    assert_eq!(cents(&one_price(&json!({ "amount": "0.50" })), 1_234), 61_700);
    // 3: Agentforce, by the conversation: 7 x 2 = 14.
    assert_eq!(lines(&one_price(&json!({ "amount": "2.00" })), 7, 0), ["7 confirmed 14.00"]);
    // 4: None cost nothing, and make no line.
    assert!(lines(&fin, 0, 0).is_empty());
    // 5: Confirmed only: assumed ones are free, and shown.
    let confirmed = one_price(&json!({ "amount": "1.50", "assumed_amount": "0" }));
    assert_eq!(lines(&confirmed, 2, 3), ["2 confirmed 3.00", "3 assumed 0.00"]);
}

#[test]
fn a_commitment_and_what_goes_beyond() {
    // 6: Zendesk as a committed volume: a fee of 1,000 x 1.50 = 1,500, and 100 beyond at 2.
    let committed = contract(&json!({
        "prices": [{ "action": ACTION, "amount": "2", "included": 1000 }],
        "fees": [{ "name": "committed resolutions", "amount": "1.50", "quantity": 1000 }],
    }));
    let beyond = ["1100 confirmed 200.00", "1000 committed resolutions 1500.00"];
    assert_eq!(lines(&committed, 1_100, 0), beyond);
    // 7: Below it, they are free.
    assert_eq!(lines(&committed, 1, 0), ["1 confirmed 0.00", "1000 committed resolutions 1500.00"]);
    // 8: The same as a minimum: 900 x 1.50 = 1,350, 150 are missing to 1,500. With 1,000, none.
    let minimum = contract(&json!({
        "prices": [{ "action": ACTION, "amount": "1.50" }], "minimum": "1500",
    }));
    assert_eq!(lines(&minimum, 900, 0), ["900 confirmed 1350.00", "1 minimum 150.00"]);
    assert_eq!(lines(&minimum, 1_000, 0), ["1000 confirmed 1500.00"]);
    // 9: A minimum is owed without any outcome.
    assert_eq!(lines(&minimum, 0, 0), ["1 minimum 1500.00"]);
    // 10: Fees are not counted to it: 1 x 1 + 5, and 9 are missing to 10.
    let with_fee = one_dollar("1", &json!({ "minimum": "10", "fees": [{ "name": "seats", "amount": "5" }] }));
    assert_eq!(lines(&with_fee, 1, 0), ["1 confirmed 1.00", "1 seats 5.00", "1 minimum 9.00"]);
}

#[test]
fn by_the_package() {
    // 11: By the hundred at 80: 100 are one package, 101 are two.
    let hundred = one_price(&json!({ "amount": "80", "package": 100 }));
    assert_eq!([0, 1, 100, 101].map(|n| cents(&hundred, n)), [0, 8_000, 8_000, 16_000]);
    // 12: Confirmed and assumed fill the same packages: 150 are two, 160; 60/150 of it are 64.
    assert_eq!(lines(&hundred, 60, 90), ["60 confirmed 64.00", "90 assumed 96.00"]);
    // 13: With a price of their own, each fills packages of its own.
    let own = one_price(&json!({ "amount": "80", "assumed_amount": "40", "package": 100 }));
    assert_eq!(lines(&own, 60, 90), ["60 confirmed 80.00", "90 assumed 40.00"]);
    // 14: Tiers count packages: 10 for the first, 8 for the second and third; 201 are three.
    let tiers = json!([{ "up_to": 1, "amount": "10" }, { "amount": "8" }]);
    let tiered = one_price(&json!({ "package": 100, "tiers": tiers }));
    assert_eq!([100, 101, 201].map(|n| cents(&tiered, n)), [1_000, 1_800, 2_600]);
    // 15: Free ones fill no package: 10 are free, 100 are left.
    let free = one_price(&json!({ "amount": "80", "package": 100, "included": 10 }));
    assert_eq!([10, 110, 111].map(|n| cents(&free, n)), [0, 8_000, 16_000]);
}

fn tiers() -> Value {
    json!([{ "up_to": 100, "amount": "1", "flat": "5" }, { "up_to": 200, "amount": "0.8" }, { "amount": "0.5", "flat": "7" }])
}

#[test]
fn in_tiers() {
    // 16: Graduated: 1 + 5; 100 + 5; + 0.80; 105 + 80; + 0.50 + 7; + 0.50.
    let graduated = one_price(&json!({ "tiers": tiers() }));
    let at = [0, 1, 100, 101, 200, 201, 202];
    assert_eq!(at.map(|n| cents(&graduated, n)), [0, 600, 10_500, 10_580, 18_500, 19_250, 19_300]);
    // 17: Volume: 1 + 5; 100 + 5; 101 x 0.80; 200 x 0.80; 201 x 0.50 + 7; 202 x 0.50 + 7.
    let volume = one_price(&json!({ "mode": "volume", "tiers": tiers() }));
    assert_eq!(at.map(|n| cents(&volume, n)), [0, 600, 10_500, 8_080, 16_000, 10_750, 10_800]);
    // 18: Free ones climb no tier: 10 of 110 are free, the rest is the first tier's.
    let free = one_price(&json!({ "included": 10, "tiers": tiers() }));
    assert_eq!(cents(&free, 110), 10_500);
    // 19: One ladder: 60 + 60 cost 105 + 20 x 0.80 = 121, half of it each.
    assert_eq!(lines(&graduated, 60, 60), ["60 confirmed 60.50", "60 assumed 60.50"]);
    // 20: Two ladders: 60 + 5, and 60 x 0.30 + 10 x 0.10.
    let own = json!([{ "up_to": 60, "amount": "0.30" }, { "amount": "0.10" }]);
    let two = one_price(&json!({ "tiers": tiers(), "assumed_tiers": own }));
    assert_eq!(lines(&two, 60, 70), ["60 confirmed 65.00", "70 assumed 19.00"]);
}

#[test]
fn included_ones_are_confirmed_first() {
    // 21: 10 free: 7 confirmed and 3 of 5 assumed; 2 x 0.50 are left.
    let price = one_price(&json!({ "amount": "1", "assumed_amount": "0.50", "included": 10 }));
    assert_eq!(lines(&price, 7, 5), ["7 confirmed 0.00", "5 assumed 1.00"]);
    // 22: 12 confirmed leave none for assumed ones.
    assert_eq!(lines(&price, 12, 5), ["12 confirmed 2.00", "5 assumed 2.50"]);
    // 23: On one ladder what is left bears it: 0 confirmed and 2 assumed of 2 x 0.99.
    let one = one_price(&json!({ "amount": "0.99", "included": 10 }));
    assert_eq!(lines(&one, 7, 5), ["7 confirmed 0.00", "5 assumed 1.98"]);
}

#[test]
fn assumed_ones_are_at_most_a_share() {
    let fifth = one_dollar("1", &json!({ "assumed_at_most": "20" }));
    // 24: 80 confirmed are four fifths of 100: assumed ones may be 20, and 15 are beyond.
    assert_eq!(lines(&fifth, 80, 35), ["80 confirmed 80.00", "35 assumed 35.00", "1 beyond share -15.00"]);
    assert_eq!(lines(&fifth, 80, 20), ["80 confirmed 80.00", "20 assumed 20.00"]);
    // 25: Without confirmed ones, all are beyond; with 100 percent, none are.
    assert_eq!(lines(&fifth, 0, 3), ["3 assumed 3.00", "1 beyond share -3.00"]);
    assert_eq!(lines(&one_dollar("1", &json!({ "assumed_at_most": "100" })), 0, 3), ["3 assumed 3.00"]);
    // 26: A third, 10 x 33 / 67 = 4.925373134..., to the nano: 5.074626866 of 10 are beyond.
    let third = one_dollar("1", &json!({ "assumed_at_most": "33" }));
    let beyond = ["10 confirmed 10.00", "10 assumed 10.00", "1 beyond share -5.074626866"];
    assert_eq!(lines(&third, 10, 10), beyond);
}

#[test]
fn discount_minimum_and_cap() {
    let fee = json!([{ "name": "platform", "amount": "50" }]);
    // 27: Fees are discounted, too: 10 percent of 100 + 50.
    let discount = one_dollar("1", &json!({ "discount": "10", "fees": fee }));
    let all = ["100 confirmed 100.00", "1 platform 50.00", "1 discount -15.00"];
    assert_eq!(lines(&discount, 100, 0), all);
    // 28: The minimum is held against outcomes after their discount: 100 - 10 = 90, 30 are missing to 120. The missing is not
    // discounted.
    let minimum = one_dollar("1", &json!({ "discount": "10", "minimum": "120" }));
    let missing = ["100 confirmed 100.00", "1 discount -10.00", "1 minimum 30.00"];
    assert_eq!(lines(&minimum, 100, 0), missing);
    // 29: The cap as well, and fees are beyond it: 90 of 80.
    let cap = one_dollar("1", &json!({ "discount": "10", "cap": "80", "fees": fee }));
    let beyond = ["100 confirmed 100.00", "1 platform 50.00", "1 discount -15.00", "1 beyond cap -10.00"];
    assert_eq!(lines(&cap, 100, 0), beyond);
    // 30: What is beyond the share is no part of it: 80 + 20, not 80 + 35, is held against 100.
    let share = one_dollar("1", &json!({ "assumed_at_most": "20", "cap": "100" }));
    assert_eq!(lines(&share, 80, 35).len(), 3);
    // 31: All for nothing.
    let free = one_dollar("1", &json!({ "discount": "100" }));
    assert_eq!(lines(&free, 3, 0), ["3 confirmed 3.00", "1 discount -3.00"]);
}

#[test]
fn for_a_part_of_the_period() {
    let fee = json!([{ "name": "seats", "amount": "10", "quantity": 3 }]);
    // 32: For 10 of 30 days: 3 x 10 / 3 = 10, and of a minimum of 100 are 33.333333333, of which 5 are there.
    let part = one_dollar("1", &json!({ "fees": fee, "minimum": "100", "cap": "120" }));
    let third = ["5 confirmed 5.00", "3 seats 10.00", "1 minimum 28.333333333"];
    assert_eq!(lines_for(&part, 5, 0, TEN_OF_THIRTY), third);
    // 33: Of a cap of 120 are 40: 5 of 45 are beyond.
    let cap = ["45 confirmed 45.00", "3 seats 10.00", "1 beyond cap -5.00"];
    assert_eq!(lines_for(&part, 45, 0, TEN_OF_THIRTY), cap);
    // 34: In force in no part of it: outcomes only.
    let none = Part { in_force: 0, period: 30 * DAY };
    assert_eq!(lines_for(&part, 200, 0, none), ["200 confirmed 200.00"]);
}

#[test]
fn a_line_is_rounded_once() {
    // 35: Yen have no decimals: 3 x 87.5 = 262.5 is 263, and 1 x 0.4 is 0, where the quantity stays.
    let mut yen = one_price(&json!({ "amount": "87.5", "assumed_amount": "0.4" }));
    yen.currency = verdict_domain::money::currency("JPY").unwrap();
    let mut bills = Bills::new(vec![yen]);
    let first = bills.next(&[(0, &[(1, counts(3, 1))])]);
    assert_eq!(shown(&first), ["v1 3 confirmed 262.5 = 263", "v1 1 assumed 0.4 = 0"]);
    // 36: One more of each: 350 less 263 is 87, not 88; 0.8 is 1.
    let second = bills.next(&[(0, &[(1, counts(4, 2))])]);
    assert_eq!(shown(&second), ["v1 1 confirmed 87.5 = 87", "v1 1 assumed 0.4 = 1"]);
    // 37: All is taken back: what was billed, to the yen.
    let third = bills.next(&[(0, &[(1, counts(0, 0))])]);
    assert_eq!(shown(&third), ["v1 -4 confirmed -350 = -350", "v1 -2 assumed -0.8 = -1"]);
    assert_eq!(third.total_minor, -351);
}

#[test]
fn what_is_late_is_billed_by_the_difference() {
    // 38: Graduated: the 101st cost 0.80, not its list price of 1, and is given back with that.
    let mut graduated = Bills::new(vec![one_price(&json!({ "tiers": tiers() }))]);
    assert_eq!(graduated.next(&[(0, &[(1, counts(101, 0))])]).total_minor, 10_580);
    let void = graduated.next(&[(0, &[(1, counts(100, 0))]), (1, &[])]);
    assert_eq!(shown(&void), ["v1 -1 confirmed -0.80 = -80"]);
    assert_eq!((void.total_minor, void.lines[0].period_start), (-80, month(0).start));
    // 39: Volume: without the 201st, 200 cost 160 instead of 107.50. Taking back costs 52.50.
    let mut volume = Bills::new(vec![one_price(&json!({ "mode": "volume", "tiers": tiers() }))]);
    assert_eq!(volume.next(&[(0, &[(1, counts(201, 0))])]).total_minor, 10_750);
    let void = volume.next(&[(0, &[(1, counts(200, 0))])]);
    assert_eq!(shown(&void), ["v1 -1 confirmed 52.50 = 5250"]);
    // 40: Below a minimum nothing is lowered: the outcome's 1 goes to the minimum.
    let mut minimum = Bills::new(vec![one_dollar("1", &json!({ "minimum": "100" }))]);
    assert_eq!(minimum.next(&[(0, &[(1, counts(40, 0))])]).total_minor, 10_000);
    let void = minimum.next(&[(0, &[(1, counts(39, 0))])]);
    assert_eq!(shown(&void), ["v1 -1 confirmed -1.00 = -100", "v1 0 minimum 1.00 = 100"]);
    assert_eq!(void.total_minor, 0);
    // 41: Reached by what is late, the minimum goes, with its quantity.
    let late = minimum.next(&[(0, &[(1, counts(110, 0))])]);
    assert_eq!(shown(&late), ["v1 71 confirmed 71.00 = 7100", "v1 -1 minimum -61.00 = -6100"]);
    // 42: A late one with the month after it; each has a line of its own. Then there is nothing more to say.
    let mut two = Bills::new(vec![one_dollar("1", &json!({}))]);
    two.next(&[(0, &[(1, counts(2, 0))])]);
    let months: [(i64, &[(u32, Counts)]); 2] = [(0, &[(1, counts(3, 0))]), (1, &[(1, counts(5, 0))])];
    let late = two.next(&months);
    assert_eq!(shown(&late), ["v1 1 confirmed 1.00 = 100", "v1 5 confirmed 5.00 = 500"]);
    assert_eq!([late.lines[0].period_start, late.lines[1].period_start], [month(0).start, month(1).start]);
    assert!(two.next(&months).lines.is_empty());
}

#[test]
fn versions_stand_each_for_itself() {
    let fee = |amount: &str| json!([{ "name": "platform", "amount": amount }]);
    let first = one_dollar("1", &json!({ "fees": fee("30"), "minimum": "60" }));
    let second = one_dollar(
        "1",
        &json!({ "version": 2, "effective_from": "2026-09-21T00:00:00Z", "fees": fee("45"), "discount": "50" }),
    );
    let mut bills = Bills::new(vec![first, second]);
    // 43: 20 days of 30 and 60, 10 days of 45; 15 are missing to 40, and the second's 10 + 15 are halved.
    let september = bills.next(&[(0, &[(1, counts(25, 0)), (2, counts(10, 0))])]);
    let expected = [
        "v1 25 confirmed 25.00 = 2500",
        "v1 1 platform 20.00 = 2000",
        "v1 1 minimum 15.00 = 1500",
        "v2 10 confirmed 10.00 = 1000",
        "v2 1 platform 15.00 = 1500",
        "v2 1 discount -12.50 = -1250",
    ];
    assert_eq!(shown(&september), expected);
    assert_eq!(september.total_minor, 7_250);
    // 44: In October the first is in force no more: what it priced costs what it costs, without fee and minimum.
    let october = bills.next(&[(1, &[(1, counts(1, 0))])]);
    let expected =
        ["v1 1 confirmed 1.00 = 100", "v2 1 platform 45.00 = 4500", "v2 1 discount -22.50 = -2250"];
    assert_eq!(shown(&october), expected);
    // 45: A month without outcomes has its fee. A version that begins on the 1st at midnight has all of it.
    let whole = one_dollar("1", &json!({ "fees": fee("30") }));
    assert_eq!(shown(&Bills::new(vec![whole]).next(&[(0, &[])])), ["v1 1 platform 30.00 = 3000"]);
}

#[test]
fn more_taken_back_than_charged_is_negative() {
    // 46: The opposite of what 101 would cost.
    let graduated = one_price(&json!({ "tiers": tiers() }));
    assert_eq!(lines(&graduated, -101, 0), ["-101 confirmed -105.80"]);
    // 47: The discount of a credit is a debit.
    let discount = one_dollar("1", &json!({ "discount": "10" }));
    assert_eq!(lines(&discount, -5, 0), ["-5 confirmed -5.00", "1 discount 0.50"]);
    let mut bills = Bills::new(vec![discount]);
    assert_eq!(bills.next(&[(0, &[(1, counts(-5, 0))])]).total_minor, -450);
}

#[test]
fn a_list_price_is_of_one() {
    let list = |contract: &Contract, win: WinKind| contract.list_price(ACTION, win, None).unwrap().nanos;
    // 48: The first tier's; a hundredth of a package; a third of 2, rounded to the nano.
    assert_eq!(list(&one_price(&json!({ "tiers": tiers() })), Assumed), 1_000_000_000);
    assert_eq!(list(&one_price(&json!({ "amount": "80", "package": 100 })), Confirmed), 800_000_000);
    let thirds = one_price(&json!({ "amount": "1", "assumed_tiers": [{ "amount": "2" }], "package": 3 }));
    assert_eq!((list(&thirds, Confirmed), list(&thirds, Assumed)), (333_333_333, 666_666_667));
}

#[test]
fn a_share_is_of_the_value_within_its_bounds() {
    let contract = one_price(&json!({ "share": "20", "at_least": "1", "at_most": "50" }));
    let usd = |nanos| Some(Money { nanos, currency: Currency::USD });
    let list = |value| contract.list_price(ACTION, Confirmed, value).map(|price| price.nanos);
    // 20 percent of 100; of 2, raised to 1; of 251, lowered to 50; and of 3 nanos a half, rounded up.
    assert_eq!(list(usd(100_000_000_000)), Ok(20_000_000_000));
    assert_eq!(list(usd(2_000_000_000)), Ok(1_000_000_000));
    assert_eq!(list(usd(251_000_000_000)), Ok(50_000_000_000));
    let half = one_price(&json!({ "share": "50" }));
    assert_eq!(half.list_price(ACTION, Assumed, usd(3)).map(|price| price.nanos), Ok(2));
    assert_eq!(half.list_price(ACTION, Assumed, usd(0)).map(|price| price.nanos), Ok(0));
    // Nothing told, and told in another currency: no price, and never free.
    assert_eq!(list(None), Err(Unpriced::NoValue(Currency::USD)));
    let euros = Some(Money { nanos: 100_000_000_000, currency: Currency::EUR });
    let other = Unpriced::OtherCurrency { value: Currency::EUR, contract: Currency::USD };
    assert_eq!(list(euros), Err(other));
    assert_eq!(contract.list_price("else", Confirmed, euros), Err(Unpriced::NoPrice));
}
