use super::*;

pub(super) fn at(time: &str) -> Timestamp {
    Timestamp::parse(time).unwrap_or_default()
}

fn usage(input: i64, cached: i64, output: i64) -> Usage {
    Usage { input: Some(input), cached_input: Some(cached), output: Some(output), ..Usage::default() }
}

fn cost(provider: &str, model: &str, usage: &Usage, tier: Option<ServiceTier>) -> Option<i64> {
    let now = at("2026-10-20T12:00:00Z");
    PriceBook::new().cost_nanos("acme", provider, model, now, usage, tier).map(|priced| priced.nanos)
}

#[test]
fn prices_are_exact_to_the_nano() {
    let cost =
        |provider, model, input, cached, output| cost(provider, model, &usage(input, cached, output), None);
    // OpenAI's price page: gpt-4o at 2.50, cached 1.25, output 10.00 USD per million tokens.
    assert_eq!(cost("openai", "gpt-4o", 1_000, 200, 300), Some(800 * 2_500 + 200 * 1_250 + 300 * 10_000));
    // gpt-4o-mini: 0.15, 0.075, 0.60.
    assert_eq!(cost("openai", "gpt-4o-mini", 1, 1, 0), Some(75));
    // Anthropic's: claude-sonnet-4-5 at 3 and 15, above 200,000 input tokens 6 and 22.50.
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", 200_000, 0, 1), Some(200_000 * 3_000 + 15_000));
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", 200_001, 0, 1), Some(200_001 * 6_000 + 22_500));
    // gpt-5-mini cached at 0.025: 25 nanos a token.
    assert_eq!(cost("openai", "gpt-5-mini", 3, 3, 0), Some(75));
}

#[test]
fn what_is_kept_for_an_hour_costs_twice_the_input() {
    // Anthropic's page on prompt caching: writes at 1.25 times the input, for an hour at twice, reads at a tenth.
    let usage = Usage {
        input: Some(1_000),
        cached_input: Some(100),
        cache_write: Some(600),
        cache_write_1h: Some(400),
        output: Some(0),
        ..Usage::default()
    };
    let wanted = 300 * 3_000 + 100 * 300 + 200 * 3_750 + 400 * 6_000;
    assert_eq!(cost("anthropic", "claude-sonnet-4-5", &usage, None), Some(wanted));
}

#[test]
fn a_service_has_its_own_prices_or_none() {
    let usage = usage(1_000, 0, 1_000);
    let cost = |tier| cost("openai", "gpt-5", &usage, tier);
    // OpenAI's price page: gpt-5 at 1.25 and 10, flex and batch at half of it, priority at twice.
    let standard = 1_000 * 1_250 + 1_000 * 10_000;
    assert_eq!(cost(None), Some(standard));
    assert_eq!(cost(Some(ServiceTier::Standard)), Some(standard));
    assert_eq!(cost(Some(ServiceTier::Flex)), Some(standard / 2));
    assert_eq!(cost(Some(ServiceTier::Batch)), Some(standard / 2));
    assert_eq!(cost(Some(ServiceTier::Priority)), Some(standard * 2));
    for none in [ServiceTier::Scale, ServiceTier::Reserved, ServiceTier::Performance, ServiceTier::Balanced] {
        assert_eq!(cost(Some(none)), None, "{none:?}");
    }
}

#[test]
fn a_price_names_what_it_is_from() {
    let usage = usage(1, 0, 0);
    let now = at("2026-10-20T12:00:00Z");
    let priced = PriceBook::new().cost_nanos("acme", "openai", "gpt-5", now, &usage, None);
    let source = priced.map(|priced| priced.source);
    assert_eq!(source, Some(format!("{BOOK_VERSION}#{}", &BOOK_DIGEST[..12])));
}

#[test]
fn what_is_unknown_stays_unknown() {
    assert_eq!(cost("openai", "no-such-model", &usage(1, 0, 1), None), None);
    assert_eq!(cost("no-such-provider", "gpt-4o", &usage(1, 0, 1), None), None);
    let no_output = Usage { input: Some(1), ..Usage::default() };
    assert_eq!(cost("openai", "gpt-4o", &no_output, None), None);
}

fn own(id: &str, customer: Option<&str>, from: &str, to: Option<&str>, input: Option<&str>) -> Override {
    let sent = OverrideRequest {
        id: id.into(),
        customer: customer.map(String::from),
        provider: "OpenAI".into(),
        model: "gpt-5".into(),
        service_tier: None,
        from: at(from),
        to: to.map(at),
        prices: input.map(|input| PricesRequest {
            input: input.into(),
            cached_input: Some("0.1".into()),
            cache_write: None,
            cache_write_1h: None,
            output: "8".into(),
            reasoning: None,
            request: None,
        }),
        note: None,
    };
    overrides::read_override(&sent).unwrap_or_else(|fault| panic!("{fault}"))
}

#[test]
fn the_customers_own_price_goes_before_the_operators_and_that_before_the_books() {
    let rows = vec![
        own("all", None, "2026-10-01T00:00:00Z", None, Some("1.20")),
        own("acme", Some("acme"), "2026-10-10T00:00:00Z", Some("2026-10-20T00:00:00Z"), Some("1.10")),
        own("all-2", None, "2026-10-15T00:00:00Z", Some("2026-10-16T00:00:00Z"), Some("1.15")),
        // Ends the operator's first one.
        own("all-end", None, "2026-10-25T00:00:00Z", None, None),
    ];
    let book = PriceBook::new().with_overrides(rows.into_iter());
    let usage = usage(1_000, 400, 0);
    let priced = |customer, time, tier| {
        let priced = book.cost_nanos(customer, "openai", "gpt-5", at(time), &usage, tier)?;
        Some((priced.source.split('#').next().unwrap_or_default().to_string(), priced.nanos))
    };
    let cost = |input: i64| 600 * input + 400 * 100;
    let of = |source: &str, nanos| Some((source.to_string(), nanos));
    let list = of(BOOK_VERSION, 600 * 1_250 + 400 * 125);
    for (customer, time, wanted) in [
        ("acme", "2026-09-30T23:59:59Z", list.clone()),
        ("acme", "2026-10-01T00:00:00Z", of("override:all", cost(1_200))),
        ("acme", "2026-10-10T00:00:00Z", of("override:acme", cost(1_100))),
        ("acme", "2026-10-15T12:00:00Z", of("override:acme", cost(1_100))),
        ("globex", "2026-10-15T12:00:00Z", of("override:all-2", cost(1_150))),
        ("globex", "2026-10-16T00:00:00Z", of("override:all", cost(1_200))),
        ("acme", "2026-10-20T00:00:00Z", of("override:all", cost(1_200))),
        ("acme", "2026-10-25T00:00:00Z", list),
    ] {
        assert_eq!(priced(customer, time, None), wanted, "{customer} {time}");
    }
    // Another service has other prices.
    let flex = priced("acme", "2026-10-15T12:00:00Z", Some(ServiceTier::Flex));
    assert_eq!(flex, of(BOOK_VERSION, (600 * 1_250 + 400 * 125) / 2));
}

#[test]
fn an_override_that_is_wrong_is_refused_by_its_field() {
    let good = tell_override(&own("o", None, "2026-10-01T00:00:00Z", None, Some("1")));
    let with = |change: &dyn Fn(&mut OverrideRequest)| {
        let mut sent = good.clone();
        change(&mut sent);
        overrides::read_override(&sent).err().unwrap_or_default()
    };
    let price = |text: &str| {
        with(&|sent| {
            if let Some(prices) = &mut sent.prices {
                prices.reasoning = Some(text.into());
            }
        })
    };
    assert_eq!(with(&|_| {}), "");
    assert!(with(&|sent| sent.id = " ".into()).starts_with("id: "));
    assert!(with(&|sent| sent.model = "a\nb".into()).starts_with("model: "));
    assert!(with(&|sent| sent.provider = "p".repeat(65)).starts_with("provider: "));
    assert!(with(&|sent| sent.customer = Some(String::new())).starts_with("customer: "));
    assert!(with(&|sent| sent.to = Some(sent.from)).starts_with("to: "));
    for wrong in ["-1", "1e3", "1,5", "", "0.1234567891", "1000001"] {
        assert!(price(wrong).starts_with("prices.reasoning: "), "{wrong}: {}", price(wrong));
    }
    assert_eq!(price("0.123456789"), "");
}

#[test]
fn a_diff_shows_what_changes_for_what_was_used() {
    let file = br#"{
      "gpt-5": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1.5e-06,
        "cache_read_input_token_cost": 1.25e-07, "output_cost_per_token": 1e-05},
      "gpt-4o": {"mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 2.5e-06,
        "cache_read_input_token_cost": 1.25e-06, "output_cost_per_token": 1e-05},
      "house-model": {"mode": "chat", "litellm_provider": "acme-ai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}
    }"#;
    let (other, _) =
        PriceBook::of_litellm("litellm/1", "abc", file).unwrap_or_else(|fault| panic!("{fault}"));
    let used = |provider: &str, model: &str| verdict_store::calls::Used {
        provider: provider.into(),
        model: model.into(),
        tier: ServiceTier::Standard,
        attempts: 3,
    };
    let models = [
        used("acme-ai", "house-model"),
        used("acme-ai", "no-model"),
        used("openai", "gpt-4o"),
        used("openai", "gpt-4o-mini"),
        used("openai", "gpt-5"),
    ];
    let now = at("2026-11-20T00:00:00Z");
    let seen = compare::diff(&PriceBook::new(), &other, &models, now);
    let changes: Vec<_> =
        seen.changes.iter().map(|change| (change.change.as_str(), change.model.as_str())).collect();
    assert_eq!(changes, [("gains", "house-model"), ("loses", "gpt-4o-mini"), ("changes", "gpt-5")]);
    assert_eq!((seen.same, seen.unpriced), (1, 1));
    // What is written to the cache costs what input costs.
    let units: Vec<_> = seen.changes[2]
        .units
        .iter()
        .map(|unit| (unit.unit.as_str(), unit.old.as_deref(), unit.new.as_deref()))
        .collect();
    assert_eq!(
        units,
        [
            ("input", Some("1.25"), Some("1.50")),
            ("cache_write", Some("1.25"), Some("1.50")),
            ("cache_write_1h", Some("1.25"), Some("1.50"))
        ]
    );
    // Its digest is that of what was seen: the same for more attempts, another for another change.
    let more: Vec<_> =
        models.iter().cloned().map(|used| verdict_store::calls::Used { attempts: 4, ..used }).collect();
    assert_eq!(compare::diff(&PriceBook::new(), &other, &more, now).digest, seen.digest);
    assert_ne!(compare::diff(&PriceBook::new(), &other, &models[1..], now).digest, seen.digest);
}
