use super::*;
use crate::periods::day_start;
use Kind::Confirmed;

fn utc(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

#[test]
fn money_rounds_half_away_from_zero() {
    assert_eq!([5, -5, 4, -4, 15].map(|n| round_div(n, 10)), [1, -1, 0, 0, 2]);
    assert_eq!(nanos("0.0123"), 12_300_000);
    assert_eq!(nanos("110"), 110_000_000_000);
    assert_eq!(nanos("0.0000000005"), 1);
    assert_eq!(nanos("0.000000000499999999"), 0);
    assert_eq!(nanos("99999.999999999499999999"), 99_999_999_999_999);
}

/// The cost of an attempt on a model, by its input, cached, cache-write, output and reasoning tokens.
fn book(provider: &str, model: &str, tokens: [Option<u64>; 5]) -> Cost {
    let mut attempt = acme(Rule::default()).answered("a1", T).attempts.remove(0);
    let [input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens] = tokens;
    attempt.provider = provider.into();
    attempt.model = model.into();
    attempt.reported_cost = None;
    attempt.usage = Some(Usage {
        input_tokens,
        cached_input_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        estimated: false,
    });
    cost(&attempt)
}

fn known(nanos: i64) -> Cost {
    Cost { nanos, known: true, currency: "USD".into() }
}

#[test]
fn a_cost_comes_from_the_price_book() {
    let all = [Some(1000), Some(100), Some(10), Some(50), Some(20)];
    // 890 x 1000 + 100 x 100 + 10 x 1250 + 50 x 5000
    assert_eq!(book("anthropic", "claude-haiku-4-5", all), known(1_162_500));
    // No cache-write price: 900 x 150 + 100 x 75 + 50 x 600
    assert_eq!(book("openai", "gpt-4o-mini", all), known(172_500));
    // Nothing split off: 1000 x 2500 + 50 x 10000
    assert_eq!(book("openai", "gpt-4o", [Some(1000), None, None, Some(50), None]), known(3_000_000));
}

#[test]
fn the_tier_of_the_input_holds_for_the_whole_attempt() {
    let tokens = |input| [Some(input), Some(1), Some(1), Some(1), None];
    let sonnet = |input| book("anthropic", "claude-sonnet-4-5", tokens(input));
    assert_eq!(sonnet(200_000), known(199_998 * 3_000 + 300 + 3_750 + 15_000));
    assert_eq!(sonnet(200_001), known(199_999 * 6_000 + 600 + 7_500 + 22_500));
    let gemini = |input| book("google", "gemini-2.5-pro", tokens(input));
    assert_eq!(gemini(200_000), known(199_999 * 1_250 + 125 + 10_000));
    assert_eq!(gemini(200_001), known(200_000 * 2_500 + 250 + 15_000));
}

#[test]
fn a_cost_is_unknown_without_counts_or_price() {
    let unknown = Cost { nanos: 0, known: false, currency: "USD".into() };
    assert_eq!(book("openai", "gpt-4o", [Some(1), None, None, None, None]), unknown);
    assert_eq!(book("openai", "gpt-4o", [None, None, None, Some(1), None]), unknown);
    assert_eq!(book("acme-ai", "house-model-1", [Some(1), None, None, Some(1), None]), unknown);
}

#[test]
fn a_reported_cost_wins_and_other_costs_are_added() {
    let other = |currency: &str| NamedAmount {
        name: "sms".into(),
        amount: "0.0000000025".into(),
        currency: currency.into(),
    };
    let mut attempt = acme(Rule::default()).answered("a1", T).attempts.remove(0);
    attempt.usage = Some(Usage { input_tokens: Some(1), output_tokens: Some(1), ..Usage::default() });
    attempt.reported_cost = Some(Amount { amount: "0.0000000015".into(), currency: "EUR".into() });
    attempt.other_costs = vec![other("EUR"); 2];
    // Each amount is kept to the nano by itself: 2 + 3 + 3.
    assert_eq!(cost(&attempt), Cost { nanos: 8, known: true, currency: "EUR".into() });
    attempt.reported_cost = None;
    attempt.usage = None;
    attempt.other_costs = vec![other("USD")];
    assert_eq!(cost(&attempt), Cost { nanos: 3, known: false, currency: "USD".into() });
}

#[test]
fn a_charge_is_priced_by_the_version_at_its_effective_time() {
    let mut second = Contract { version: 2, effective_from: h(25), ..contract(Rule::default()) };
    second.prices[0].amount = Some("2".into());
    second.prices[0].assumed_amount = None;
    let mut traffic = acme(Rule::default()).answered("a1", h(0)).resolved("r1", h(1), Confirmed);
    traffic.contracts.push(second);
    assert_eq!(traffic.entries(h(25)), [(1, "confirmed", 25, 2_000_000_000)]);
    traffic.contracts[1].effective_from += 1;
    assert_eq!(traffic.entries(h(25)), [(1, "confirmed", 25, 990_000_000)]);
    traffic.contracts[1].effective_from = h(72);
    traffic.resolutions.clear();
    assert_eq!(traffic.entries(h(72)), [(1, "assumed", 72, 2_000_000_000)]);
}

#[test]
fn days_begin_at_midnight_of_the_time_zone() {
    let month_start =
        |zone, year, month| day_start(zone, chrono::NaiveDate::from_ymd_opt(year, month, 1).unwrap());
    let berlin = chrono_tz::Europe::Berlin;
    assert_eq!(month_start(berlin, 2026, 10), utc("2026-09-30T22:00:00Z"));
    assert_eq!(month_start(berlin, 2026, 11), utc("2026-10-31T23:00:00Z"));
    assert_eq!(month_start(chrono_tz::Asia::Tokyo, 2027, 1), utc("2026-12-31T15:00:00Z"));
}

#[test]
fn an_entry_is_on_the_invoice_of_the_month_it_is_effective_in() {
    let charge = |settles_at: &str| utc(settles_at) - 72 * HOUR;
    let traffic = acme(Rule::default())
        .answered("a1", charge("2026-09-30T21:59:59.999999Z"))
        .answered("a2", charge("2026-09-30T22:00:00Z"))
        .of_case("c2")
        .answered("a3", charge("2026-10-31T22:59:59.999999Z"))
        .of_case("c3")
        .answered("a4", charge("2026-10-31T23:00:00Z"))
        .of_case("c4");
    let closes_at = utc("2026-10-31T23:00:00Z") + 72 * HOUR;
    assert_eq!(Oracle::new(&traffic, closes_at - 1).invoices().len(), 1);
    let invoices = Oracle::new(&traffic, closes_at).invoices();
    let [september, october] = &invoices[..] else { panic!("two invoices") };
    assert_eq!((september.lines[0].quantity, september.total_minor), (1, 79));
    assert_eq!(october.period_start, utc("2026-09-30T22:00:00Z"));
    assert_eq!(october.period_end, utc("2026-10-31T23:00:00Z"));
    let line = Line {
        period_start: utc("2026-09-30T22:00:00Z"),
        item: Item::Outcomes { action: "support.resolution".into(), kind: "assumed" },
        contract_version: 1,
        quantity: 2,
        amount_nanos: 1_580_000_000,
        amount_minor: 158,
    };
    assert_eq!(october.lines, [line]);
}

#[test]
fn what_is_taken_back_after_its_invoice_lowers_the_next_one() {
    let traffic = |voided_at| {
        acme(Rule::default()).answered("a1", h(240)).resolved("r1", h(241), Confirmed).resolved(
            "r2",
            voided_at,
            Kind::Failed,
        )
    };
    let late = utc("2026-12-01T00:00:00Z");
    let lines = |traffic: &Traffic| {
        let invoices = Oracle::new(traffic, late).invoices();
        let line = |invoice: &Invoice| {
            let [line] = &invoice.lines[..] else { panic!("one line") };
            (
                rfc3339(invoice.period_start)[..10].to_owned(),
                line.period_start,
                line.quantity,
                line.amount_minor,
            )
        };
        invoices.iter().map(line).collect::<Vec<_>>()
    };
    // September in Berlin; it is closed 72 hours after its end.
    let start = utc("2026-08-31T22:00:00Z");
    let closes_at = utc("2026-10-03T22:00:00Z");
    let september = ("2026-08-31".to_owned(), start, 1, 99);
    let october = ("2026-09-30".to_owned(), start, -1, -99);
    let after = traffic(closes_at + 1);
    assert_eq!(lines(&after), [september, october]);
    // Before the close it is none, whichever month it was in.
    assert_eq!(lines(&traffic(closes_at)), []);
    assert_eq!(lines(&traffic(utc("2026-09-20T00:00:00Z"))), []);
}

#[test]
fn lines_are_grouped_and_rounded_once_to_the_minor_unit() {
    let mut traffic = acme(Rule::default())
        .answered("a1", h(0))
        .answered("a2", h(0))
        .of_case("c2")
        .answered("a3", h(0))
        .of_case("c3")
        .answered("a4", h(0))
        .resolved("r1", h(0), Confirmed);
    let kind = |line: &Line| match line.item {
        Item::Outcomes { kind, .. } => kind,
        _ => panic!("outcomes only"),
    };
    let mut bill = |currency: &str, amount: &str, assumed: &str| {
        traffic.contracts[0].currency = currency.into();
        traffic.contracts[0].prices[0].amount = Some(amount.into());
        traffic.contracts[0].prices[0].assumed_amount = Some(assumed.into());
        let invoice = Oracle::new(&traffic, h(1000)).invoices().remove(0);
        let lines: Vec<_> =
            invoice.lines.iter().map(|line| (kind(line), line.quantity, line.amount_minor)).collect();
        (lines, invoice.total_minor)
    };
    // 2 x 0.3325 is 66.5 cents, where the rounded prices would sum to 66.
    let lines = |assumed, confirmed| vec![("assumed", 2, assumed), ("confirmed", 1, confirmed)];
    assert_eq!(bill("USD", "0.334", "0.3325"), (lines(67, 33), 100));
    assert_eq!(bill("JPY", "87.5", "0.2"), (lines(0, 88), 88));
    assert_eq!(bill("KWD", "0.0005", "1.0002"), (lines(2000, 1), 2001));
    // A line of nothing but a quantity stays.
    assert_eq!(bill("USD", "1", "0"), (lines(0, 100), 100));
}

#[test]
fn the_first_period_contains_the_effective_from() {
    let mut traffic = acme(Rule::default()).answered("a1", h(0));
    traffic.contracts[0].time_zone = "America/New_York".into();
    // August in New York is still going on; September is the first with an invoice.
    assert!(Oracle::new(&traffic, utc("2026-09-30T00:00:00Z")).invoices().is_empty());
    let invoices = Oracle::new(&traffic, utc("2026-10-04T04:00:00Z")).invoices();
    assert_eq!(invoices[0].period_start, utc("2026-09-01T04:00:00Z"));
    assert_eq!(invoices[0].period_end, utc("2026-10-01T04:00:00Z"));
}
