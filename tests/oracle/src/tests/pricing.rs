use super::*;
use serde_json::json;

fn tier(up_to: impl Into<Option<i64>>, amount: &str, flat: Option<&str>) -> Tier {
    Tier { up_to: up_to.into(), amount: amount.into(), flat: flat.map(Into::into) }
}

fn some(decimal: &str) -> Option<String> {
    Some(decimal.into())
}

/// Nothing but a price without a word on assumed outcomes.
fn priced(price: ContractPrice) -> Contract {
    let price = ContractPrice { action: "support.resolution".into(), ..price };
    Contract { prices: vec![price], ..contract(Rule::default()) }
}

fn flat(amount: &str) -> ContractPrice {
    ContractPrice { amount: some(amount), ..ContractPrice::default() }
}

fn counts(of: [((String, &'static str), i64); 2]) -> Counts {
    let outcomes = of.into_iter().map(|(key, n)| (key, Tally { n, listed: 0 })).collect();
    Counts { outcomes, ..Counts::default() }
}

/// The lines of so many confirmed and assumed outcomes in short, in millionths.
fn lines_for(
    contract: &Contract,
    confirmed: i64,
    assumed: i64,
    (in_force, period): (i64, i64),
) -> Vec<(String, i64, i128)> {
    let key = |kind| ("support.resolution".to_owned(), kind);
    let counts = counts([(key("confirmed"), confirmed), (key("assumed"), assumed)]);
    let short = |line: Priced| {
        let name = match &line.item {
            Item::Outcomes { kind, .. } => (*kind).to_owned(),
            Item::Fee { name } => name.clone(),
            item => item.name().to_owned(),
        };
        assert_eq!(line.nanos % 1_000, 0, "the example is in millionths");
        (name, line.quantity, line.nanos / 1_000)
    };
    price_period(contract, &counts, in_force, period).into_iter().map(short).collect()
}

fn lines(contract: &Contract, confirmed: i64, assumed: i64) -> Vec<(String, i64, i128)> {
    lines_for(contract, confirmed, assumed, (30, 30))
}

fn line(name: &str, quantity: i64, millionths: i128) -> (String, i64, i128) {
    (name.into(), quantity, millionths)
}

/// What so many confirmed outcomes cost, in hundredths.
fn confirmed(price: &ContractPrice, n: i64) -> i128 {
    lines(&priced(price.clone()), n, 0).iter().map(|line| line.2).sum::<i128>() / 10_000
}

#[test]
fn graduated_tiers_are_climbed_and_each_flat_is_paid_once_reached() {
    let tiers = vec![tier(2, "1", Some("5")), tier(4, "0.5", None), tier(None, "0.25", Some("3"))];
    let price = ContractPrice { tiers, ..ContractPrice::default() };
    // 0; 1+5; 2+5; +0.5; +0.5; +0.25+3; +0.25
    let costs = [0, 1, 2, 3, 4, 5, 6].map(|n| confirmed(&price, n));
    assert_eq!(costs, [0, 600, 700, 750, 800, 1125, 1150]);
    assert_eq!(confirmed(&price, -3), -750);
}

#[test]
fn in_volume_tiers_all_cost_what_the_last_one_costs() {
    let tiers = vec![tier(2, "1", Some("5")), tier(4, "0.5", None), tier(None, "0.25", Some("3"))];
    let price = ContractPrice { tiers, mode: Mode::Volume, ..ContractPrice::default() };
    // 0; 1+5; 2+5; 1.5; 2; 1.25+3; 1.5+3
    let costs = [0, 1, 2, 3, 4, 5, 6].map(|n| confirmed(&price, n));
    assert_eq!(costs, [0, 600, 700, 150, 200, 425, 450]);
    assert_eq!(confirmed(&price, -5), -425);
}

#[test]
fn packages_are_whole_and_tiers_count_them() {
    let price = ContractPrice { package: Some(100), ..flat("80") };
    assert_eq!([0, 1, 100, 101].map(|n| confirmed(&price, n)), [0, 8_000, 8_000, 16_000]);
    let tiers = vec![tier(1, "10", None), tier(None, "4", None)];
    let price = ContractPrice { package: Some(3), tiers, ..ContractPrice::default() };
    assert_eq!([3, 4, 6, 7].map(|n| confirmed(&price, n)), [1_000, 1_400, 1_400, 1_800]);
}

#[test]
fn confirmed_outcomes_are_free_first() {
    let own = ContractPrice { included: 5, assumed_amount: some("0.5"), ..flat("1") };
    let free = |confirmed, assumed| lines(&priced(own.clone()), confirmed, assumed);
    assert_eq!(free(3, 4), [line("confirmed", 3, 0), line("assumed", 4, 1_000_000)]);
    assert_eq!(free(6, 4), [line("confirmed", 6, 1_000_000), line("assumed", 4, 2_000_000)]);
    assert_eq!(free(0, 5), [line("assumed", 5, 0)]);
}

#[test]
fn without_a_price_of_their_own_assumed_outcomes_climb_the_same_ladder() {
    let tiers = vec![tier(2, "1", None), tier(None, "0.5", None)];
    let contract = priced(ContractPrice { tiers, ..ContractPrice::default() });
    // 2 + 2 x 0.5 = 3, of which one of four is 0.75.
    assert_eq!(lines(&contract, 1, 3), [line("confirmed", 1, 750_000), line("assumed", 3, 2_250_000)]);
    // With one: 1, and 2 + 0.5.
    let tiers = vec![tier(2, "1", None), tier(None, "0.5", None)];
    let own = ContractPrice { assumed_tiers: tiers.clone(), tiers, ..ContractPrice::default() };
    assert_eq!(lines(&priced(own), 1, 3), [line("confirmed", 1, 1_000_000), line("assumed", 3, 2_500_000)]);
    // A third is rounded to the nano, the rest is the other's.
    let contract = priced(ContractPrice { package: Some(3), ..flat("1") });
    let key = |kind| ("support.resolution".to_owned(), kind);
    let counts = counts([(key("confirmed"), 2), (key("assumed"), 1)]);
    let nanos: Vec<_> = price_period(&contract, &counts, 1, 1).iter().map(|line| line.nanos).collect();
    assert_eq!(nanos, [666_666_667, 333_333_333]);
}

#[test]
fn assumed_outcomes_are_at_most_a_share() {
    let mut contract = priced(ContractPrice { assumed_amount: some("1"), ..flat("1") });
    contract.assumed_at_most = some("20");
    // A fifth of 10 when 8 are confirmed: 2.
    let beyond = |confirmed, assumed| lines(&contract, confirmed, assumed).split_off(1);
    assert_eq!(beyond(8, 2), [line("assumed", 2, 2_000_000)]);
    let of_five = [line("assumed", 5, 5_000_000), line("assumed_beyond_share", 1, -3_000_000)];
    assert_eq!(beyond(8, 5), of_five);
    let alone = [line("assumed", 3, 3_000_000), line("assumed_beyond_share", 1, -3_000_000)];
    assert_eq!(lines(&contract, 0, 3), alone);
    contract.assumed_at_most = some("100");
    assert_eq!(lines(&contract, 0, 3), [line("assumed", 3, 3_000_000)]);
}

#[test]
fn fees_discount_minimum_and_cap_stand_in_this_order() {
    let mut contract = priced(flat("1"));
    contract.fees = vec![Fee { name: "seats".into(), amount: "6".into(), quantity: 2 }];
    contract.discount = some("10");
    contract.minimum = some("50");
    contract.cap = some("60");
    // 20 less 10 % is 18: 32 are missing. The discount is of 20 + 12.
    let short = [
        line("confirmed", 20, 20_000_000),
        line("seats", 2, 12_000_000),
        line("discount", 1, -3_200_000),
        line("minimum", 1, 32_000_000),
    ];
    assert_eq!(lines(&contract, 20, 0), short);
    // 80 less 10 % is 72: 12 beyond.
    let beyond = line("beyond_cap", 1, -12_000_000);
    assert_eq!(lines(&contract, 80, 0).last(), Some(&beyond));
    assert_eq!(lines(&contract, 60, 0).len(), 3);
    // For 10 of 30 days: 4, and 18 is above 50 / 3, below 60 / 3.
    let third =
        [line("confirmed", 20, 20_000_000), line("seats", 2, 4_000_000), line("discount", 1, -2_400_000)];
    assert_eq!(lines_for(&contract, 20, 0, (10, 30)), third);
    // In force in no part of it.
    let none = [line("confirmed", 20, 20_000_000), line("discount", 1, -2_000_000)];
    assert_eq!(lines_for(&contract, 20, 0, (0, 30)), none);
}

#[test]
fn a_list_price_is_the_first_tiers_divided_by_the_package() {
    let amount = |price: ContractPrice| {
        let mut traffic = acme(Rule::default()).answered("a1", h(0)).answered("a2", h(0)).of_case("c2");
        traffic.contracts[0] = priced(price);
        traffic.entries(h(72))[0].3
    };
    assert_eq!(amount(flat("0.99")), 990_000_000);
    assert_eq!(amount(ContractPrice { package: Some(3), ..flat("2") }), 666_666_667);
    assert_eq!(
        amount(ContractPrice { assumed_tiers: vec![tier(None, "0.5", None)], ..flat("2") }),
        500_000_000
    );
    let tiers = vec![tier(1, "3", Some("9")), tier(None, "1", None)];
    assert_eq!(amount(ContractPrice { tiers, ..ContractPrice::default() }), 3_000_000_000);
}

/// The bounds of the first closed periods, by their first moments, and the end.
fn bounds(contract: Contract, until: &str) -> Vec<String> {
    let now = chrono::DateTime::parse_from_rfc3339(until).unwrap().timestamp_micros();
    let periods = crate::periods::closed_periods(&[contract], "acme", now);
    for (one, next) in periods.iter().zip(periods.iter().skip(1)) {
        assert_eq!(one.end, next.start);
    }
    periods.iter().map(|period| rfc3339(period.start)[..16].to_owned()).collect()
}

#[test]
fn periods_are_weeks_quarters_or_anniversaries() {
    let zoned = |period, time_zone: &str| Contract {
        period,
        time_zone: time_zone.into(),
        grace_hours: 0,
        ..contract(Rule::default())
    };
    // The 1st of September 2026 is a Tuesday; the clocks change in the night to the 25th of October.
    let weeks = bounds(zoned(Cadence::Weekly, "Europe/Berlin"), "2026-11-02T00:00:00Z");
    assert_eq!(weeks[..2], ["2026-08-30T22:00", "2026-09-06T22:00"]);
    assert_eq!(weeks[7..], ["2026-10-18T22:00", "2026-10-25T23:00"]);
    let quarters = bounds(zoned(Cadence::Quarterly, "UTC"), "2027-04-01T00:00:00Z");
    assert_eq!(quarters, ["2026-07-01T00:00", "2026-10-01T00:00", "2027-01-01T00:00"]);
    let mut last_day = zoned(Cadence::Anniversary, "UTC");
    last_day.effective_from =
        chrono::DateTime::parse_from_rfc3339("2027-01-31T12:00:00Z").unwrap().timestamp_micros();
    let months = bounds(last_day, "2027-05-31T00:00:00Z");
    assert_eq!(months, ["2027-01-31T00:00", "2027-02-28T00:00", "2027-03-31T00:00", "2027-04-30T00:00"]);
}

#[test]
fn a_new_cadence_begins_where_the_last_period_ended() {
    let first = Contract { time_zone: "UTC".into(), grace_hours: 0, ..contract(Rule::default()) };
    let weekly = Contract { version: 2, effective_from: h(240), period: Cadence::Weekly, ..first.clone() };
    let periods = crate::periods::closed_periods(&[first, weekly], "acme", h(24 * 49));
    let starts: Vec<_> = periods.iter().map(|period| (period.start - T) / DAY).collect();
    // October begins on a Thursday; the week of the moment 36 hours later ends on Sunday, the 4th.
    assert_eq!(starts, [0, 30, 34, 41]);
}

/// Each case has an answer, assumed after 72 hours of silence.
fn answers(mut traffic: Traffic, at: i64, cases: std::ops::Range<u32>) -> Traffic {
    for case in cases {
        traffic = traffic.answered(&format!("a{case}"), at).of_case(&format!("c{case}"));
    }
    traffic
}

/// Per invoice its lines: days after `T` at which the period begins, name, quantity and minor units.
fn invoiced(oracle: &Oracle) -> Vec<Vec<(i64, &'static str, i64, i64)>> {
    let line = |line: &Line| {
        let days = (line.period_start - T).div_euclid(DAY);
        (days, line.item.name(), line.quantity, line.amount_minor)
    };
    oracle.documents().iter().map(|invoice| invoice.lines.iter().map(line).collect()).collect()
}

#[test]
fn a_fee_makes_an_invoice_each_period_and_for_its_part() {
    let mut traffic = acme(Rule::default());
    let one = &mut traffic.contracts[0];
    one.time_zone = "UTC".into();
    one.effective_from = h(20 * 24);
    one.fees = vec![Fee { name: "platform".into(), amount: "30".into(), quantity: 1 }];
    let oracle = Oracle::new(&traffic, h(70 * 24));
    // 10 of September's 30 days, and October.
    assert_eq!(invoiced(&oracle), [[(0, "fee", 1, 1_000)], [(30, "fee", 1, 3_000)]]);
}

#[test]
fn a_late_outcome_is_billed_by_what_its_period_costs_more() {
    let tiers = vec![tier(2, "1", None), tier(None, "0.5", None)];
    let price = ContractPrice { tiers, ..ContractPrice::default() };
    let mut traffic = acme(Rule::default());
    traffic.contracts[0] = Contract { time_zone: "UTC".into(), ..priced(price) };
    let traffic = answers(traffic, h(240), 1..4);
    let oracle = Oracle::new(&traffic, h(70 * 24));
    assert_eq!(invoiced(&oracle), [[(0, "outcomes", 3, 250)]]);
    // Taken back after September was closed: 2.50 less 2, not the list price.
    let mut void = traffic.clone().resolved("r1", h(34 * 24), Kind::Failed);
    void.resolutions[0].case = "c3".into();
    let invoices = invoiced(&Oracle::new(&void, h(70 * 24)));
    assert_eq!(invoices, [[(0, "outcomes", 3, 250)], [(0, "outcomes", -1, -50)]]);
    // Nothing was known before: all of it is on October's, under September.
    let late = Oracle::new(&traffic, h(70 * 24)).with_facts_from(h(34 * 24));
    assert_eq!(invoiced(&late), [[(0, "outcomes", 3, 250)]]);
    assert_eq!(late.documents()[0].period_start, h(30 * 24));
}

#[test]
fn what_the_invoice_differs_from_the_list_is_revenue_of_the_periods_last_day() {
    let mut traffic = acme(Rule::default());
    traffic.contracts[0] = Contract { time_zone: "UTC".into(), discount: some("10"), ..priced(flat("1")) };
    let traffic = answers(traffic, h(0), 1..3);
    let revenue = |now, by| {
        let report = Oracle::new(&traffic, now).report(T / DAY, T / DAY + 60, by);
        let revenue = report.into_iter().filter(|(_, row)| row.revenue_nanos != 0);
        revenue.map(|((key, _), row)| (key, row.revenue_nanos / 10_000_000)).collect::<Vec<_>>()
    };
    let by_day =
        |rows: &[(&str, i128)]| rows.iter().map(|(key, n)| ((*key).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(revenue(h(33 * 24) - 1, By::Day), by_day(&[("2026-09-04", 200)]));
    assert_eq!(revenue(h(33 * 24), By::Day), by_day(&[("2026-09-04", 200), ("2026-09-30", -20)]));
    assert_eq!(revenue(h(33 * 24), By::Model), by_day(&[("-", -20), ("gpt-4o", 200)]));
}

#[test]
fn contracts_are_written_with_what_they_have() {
    let mut contract = priced(ContractPrice {
        included: 10,
        mode: Mode::Volume,
        tiers: vec![tier(5, "1", Some("2")), tier(None, "0.5", None)],
        assumed_tiers: vec![tier(None, "0.25", None)],
        package: Some(100),
        ..ContractPrice::default()
    });
    contract.period = Cadence::Weekly;
    contract.fees = vec![Fee { name: "seats".into(), amount: "6".into(), quantity: 2 }];
    contract.minimum = some("50");
    contract.cap = some("60");
    contract.discount = some("10");
    contract.assumed_at_most = some("20");
    let found = contract.to_json();
    let prices = json!([{ "action": "support.resolution", "included": 10, "mode": "volume",
        "tiers": [{ "up_to": 5, "amount": "1", "flat": "2" }, { "amount": "0.5" }],
        "assumed_tiers": [{ "amount": "0.25" }], "package": 100 }]);
    assert_eq!((&found["prices"], &found["period"]), (&prices, &json!("weekly")));
    assert_eq!(found["fees"], json!([{ "name": "seats", "amount": "6", "quantity": 2 }]));
    let percents = ["minimum", "cap", "discount", "assumed_at_most"].map(|field| found[field].clone());
    assert_eq!(percents, ["50", "60", "10", "20"].map(|text| json!(text)));
}
