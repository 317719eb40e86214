use super::*;
use crate::hostile::well_formed;
use rand::SeedableRng;
use serde_json::json;
use std::collections::BTreeSet;

fn end_of(plan: &Plan) -> i64 {
    plan.end() + 20 * DAY
}

#[test]
fn a_seed_means_the_same_traffic() {
    let plan = Plan::default();
    let traffic = generate(&plan);
    assert_eq!(traffic, generate(&plan));
    assert_ne!(traffic, generate(&Plan { seed: 2, ..plan.clone() }));
    assert_eq!(traffic.attempts.len() + traffic.resolutions.len(), plan.events);
    for (events, customers) in [(0, 3), (1, 8), (777, 8)] {
        let traffic = generate(&Plan { events, customers, ..plan.clone() });
        assert_eq!(traffic.attempts.len() + traffic.resolutions.len(), events);
    }
}

#[test]
fn each_fact_is_there_once() {
    let traffic = generate(&Plan { events: 20_000, customers: 8, ..Plan::default() });
    let attempts: BTreeSet<_> = traffic.attempts.iter().map(|fact| (&fact.customer, &fact.id)).collect();
    assert_eq!(attempts.len(), traffic.attempts.len());
    let resolutions: BTreeSet<_> =
        traffic.resolutions.iter().map(|fact| (&fact.customer, fact.fact_id())).collect();
    assert_eq!(resolutions.len(), traffic.resolutions.len());
}

#[test]
fn everything_occurs() {
    for customers in [3, 6, 8] {
        let plan = Plan { events: 8_000, customers, ..Plan::default() };
        let traffic = generate(&plan);
        let oracle = Oracle::new(&traffic, end_of(&plan));
        let verdicts: BTreeSet<_> = oracle
            .verdicts()
            .into_values()
            .flatten()
            .map(|(_, verdict, reason)| (verdict, reason.unwrap_or("-")))
            .collect();
        let expected = [
            ("assumed", "-"),
            ("confirmed", "-"),
            ("failed", "handoff"),
            ("failed", "negative_feedback"),
            ("failed", "no_answer"),
            ("failed", "reopened"),
            ("failed", "unresolved"),
            ("pending", "-"),
            ("void", "handoff"),
            ("void", "negative_feedback"),
            ("void", "reopened"),
        ];
        assert_eq!(verdicts, BTreeSet::from(expected));

        let rules = || traffic.contracts.iter().map(|contract| &contract.rule);
        let assumed: BTreeSet<_> = rules().map(|rule| rule.assumed).collect();
        assert_eq!(assumed, BTreeSet::from([Assumed::Silence, Assumed::Platform, Assumed::Never]));
        let reopen: BTreeSet<_> = rules().map(|rule| rule.reopen).collect();
        assert_eq!(reopen, BTreeSet::from([Reopen::Void, Reopen::Keep]));
        let silence_from: BTreeSet<_> = rules().map(|rule| rule.silence_from).collect();
        assert_eq!(silence_from, BTreeSet::from([SilenceFrom::LastActivity, SilenceFrom::FirstActivity]));
        let restarted_by: BTreeSet<_> = rules().map(|rule| rule.restarted_by).collect();
        let every = [RestartedBy::Answers, RestartedBy::Messages, RestartedBy::Everything];
        assert_eq!(restarted_by, BTreeSet::from(every));
        let follow_up: BTreeSet<_> = rules().map(|rule| rule.follow_up).collect();
        assert_eq!(follow_up, BTreeSet::from([FollowUp::Waits, FollowUp::Unresolved]));
        let negative: BTreeSet<_> = rules().map(|rule| rule.negative_feedback).collect();
        assert_eq!(negative, BTreeSet::from([NegativeFeedback::Refuses, NegativeFeedback::Holds]));
        let evidence: BTreeSet<_> = rules().map(|rule| rule.evidence).collect();
        assert_eq!(evidence, BTreeSet::from([Evidence::Any, Evidence::Platform]));
        let charges: BTreeSet<_> = rules().map(|rule| rule.charges).collect();
        assert_eq!(charges, BTreeSet::from([Charges::EachEpisode, Charges::OnceACase]));
        let low_score: BTreeSet<_> = rules().map(|rule| rule.low_score.is_some()).collect();
        let planned: BTreeSet<_> = rules().map(|rule| !rule.planned_handoffs.is_empty()).collect();
        assert_eq!([low_score, planned], [BTreeSet::from([false, true]), BTreeSet::from([false, true])]);

        let doors: BTreeSet<_> = traffic.resolutions.iter().map(|fact| (fact.door, fact.kind)).collect();
        let kinds: BTreeSet<_> = doors.iter().map(|(_, kind)| *kind).collect();
        // All but disputes and what is decided of them: they come in by no door of the generator.
        assert_eq!((kinds.len(), doors.len()), (8, 2 * 8));
        let statuses: BTreeSet<_> = traffic.attempts.iter().map(|attempt| attempt.status).collect();
        assert_eq!(statuses.len(), 4);
        let costs = oracle.costs();
        assert!(costs.values().any(|cost| !cost.known));
        let currencies: BTreeSet<_> = costs.values().map(|cost| cost.currency.as_str()).collect();
        assert_eq!(currencies, BTreeSet::from(["EUR", "USD"]));
        let versions: BTreeSet<_> =
            oracle.postings().into_values().flatten().map(|posting| posting.contract_version).collect();
        assert_eq!(versions, BTreeSet::from([1, 2]));
        let invoiced: BTreeSet<_> = oracle.documents().into_iter().map(|invoice| invoice.currency).collect();
        assert_eq!(invoiced, ["EUR", "JPY", "USD"].map(str::to_owned).into());
        let items: BTreeSet<_> = oracle
            .documents()
            .iter()
            .flat_map(|invoice| &invoice.lines)
            .map(|line| line.item.name())
            .collect();
        let few = ["assumed_beyond_share", "minimum", "outcomes"];
        let many = ["assumed_beyond_share", "discount", "fee", "minimum", "outcomes"];
        assert_eq!(items, if customers == 3 { few.into() } else { many.into() });
    }
}

#[test]
fn usage_costs_and_cases_are_varied() {
    let traffic = generate(&Plan { events: 8_000, ..Plan::default() });
    let attempts = &traffic.attempts;
    let share = |count: usize| count * 100 / attempts.len();
    assert!((12..25).contains(&share(attempts.iter().filter(|a| a.reported_cost.is_some()).count())));
    assert!((7..14).contains(&share(attempts.iter().filter(|a| !a.other_costs.is_empty()).count())));
    assert!(attempts.iter().any(|a| a.usage.is_none()));
    let inputs = attempts.iter().filter_map(|a| a.usage.as_ref()?.input_tokens);
    assert!(inputs.clone().any(|tokens| tokens > 200_001) && inputs.clone().any(|tokens| tokens == 200_000));
    let tie = |amount: &Amount| amount.amount.len() > 11 && amount.amount[11..].trim_end_matches('0') == "5";
    assert!(attempts.iter().filter_map(|a| a.reported_cost.as_ref()).any(tie));
    assert!(attempts.iter().all(|a| a.started_at <= a.ended_at));

    let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
    let mut ends = BTreeMap::new();
    let mut twins = 0;
    for attempt in attempts {
        let case = (&attempt.customer, &attempt.case);
        *sizes.entry(case).or_default() += 1;
        twins += usize::from(ends.insert(case, attempt.ended_at) == Some(attempt.ended_at));
    }
    assert!(twins > 0);
    assert_eq!(sizes.into_values().collect::<BTreeSet<_>>(), (1..=5).collect());
    let tried: BTreeSet<_> = attempts.iter().map(|a| (&a.customer, &a.case)).collect();
    assert!(traffic.resolutions.iter().any(|r| !tried.contains(&(&r.customer, &r.case))));
    let priced = |a: &Attempt| {
        let mut contracts = traffic.contracts.iter().filter(|contract| contract.customer == a.customer);
        contracts.all(|contract| contract.prices.iter().any(|price| price.action == a.action))
    };
    assert!(attempts.iter().all(priced));
}

#[test]
fn json_has_the_shapes_of_the_interfaces() {
    let contract = json!({
        "customer": "acme", "version": 1, "effective_from": "2026-09-01T00:00:00.000000Z", "currency": "EUR",
        "period": "monthly", "time_zone": "Europe/Berlin", "grace": "72h",
        "bill_to": { "name": "Acme GmbH", "email": "billing@acme.example" },
        "prices": [{ "action": "support.resolution", "amount": "0.99", "assumed_amount": "0.79" }],
        "rule": { "confirmed_settles_after": "1800s", "assumed": "silence", "silence_window": "72h",
            "silence_from": "first_activity", "restarted_by": "messages", "follow_up": "waits",
            "negative_feedback": "refuses", "low_score": 2, "planned_handoffs": ["refund.processed"],
            "evidence": "any", "reopen": "void", "charges": "once_a_case", "reversal_horizon": "30d",
            "dispute_window": "14d" },
    });
    let rule = Rule {
        confirmed_settles_after: 30 * MINUTE,
        silence_from: SilenceFrom::FirstActivity,
        low_score: Some(2),
        planned_handoffs: vec!["refund.processed".into()],
        charges: Charges::OnceACase,
        dispute_window: 14 * DAY,
        ..Rule::default()
    };
    assert_eq!(super::contract(rule).to_json(), contract);

    let mut attempt = acme(Rule::default()).failed("a1", T + 1).attempts.remove(0);
    attempt.usage = Some(Usage { input_tokens: Some(0), ..Usage::default() });
    attempt.failure_reason = Some("timeout".into());
    let event = json!({
        "id": "a1", "customer": "acme", "case": "c1", "agent": "agent of a1", "action": "support.resolution",
        "provider": "openai", "model": "gpt-4o", "usage": { "input_tokens": 0 },
        "reported_cost": { "amount": "0.01", "currency": "USD" },
        "started_at": "2026-08-31T23:59:59.000001Z", "ended_at": "2026-09-01T00:00:00.000001Z",
        "status": "failed", "failure_reason": "timeout",
    });
    assert_eq!(attempt.to_json(), event);

    let traffic = acme(Rule::default()).resolved_by(Door::Webhook, "r1", T, Kind::Reopened);
    let mut resolution = traffic.resolutions[0].clone();
    assert_eq!(resolution.fact_id(), "support:r1");
    let body = json!({ "id": "r1", "customer": "acme", "case": "c1", "kind": "reopened",
        "occurred_at": "2026-09-01T00:00:00.000000Z" });
    assert_eq!(resolution.to_json(), body);
    resolution.reason = Some("again".into());
    let body = json!({ "type": "resolution.reopened", "timestamp": "2026-09-01T00:00:00.000000Z",
        "data": { "customer": "acme", "case": "c1", "occurred_at": "2026-09-01T00:00:00.000000Z",
            "reason": "again" } });
    assert_eq!(resolution.to_webhook_body(), body);

    let rating = acme(Rule::default()).rated("r2", T, 3).resolutions.remove(0);
    let body = json!({ "id": "r2", "customer": "acme", "case": "c1", "kind": "rated", "score": 3,
        "occurred_at": "2026-09-01T00:00:00.000000Z" });
    assert_eq!(rating.to_json(), body);
    assert_eq!(rating.to_webhook_body()["data"]["score"], json!(3));
}

#[test]
fn shuffling_keeps_everything_and_adds_only_duplicates() {
    let items: Vec<u32> = (0..1000).collect();
    let mixed = shuffle_and_duplicate(&items, 7, 20);
    assert_eq!(mixed, shuffle_and_duplicate(&items, 7, 20));
    assert!((1100..1300).contains(&mixed.len()) && mixed[..1000] != items);
    assert_eq!(mixed.into_iter().collect::<BTreeSet<_>>(), items.iter().copied().collect());
    let mut whole = shuffle_and_duplicate(&items, 7, 0);
    whole.sort_unstable();
    assert_eq!(whole, items);
}

#[test]
fn malformed_bodies_are_distinct_and_spoiled() {
    let bodies = malformed(3, 2_000);
    assert_eq!(bodies, malformed(3, 2_000));
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), 2_000);
    assert!(bodies.iter().any(Vec::is_empty));
    assert!(bodies.iter().any(|body| std::str::from_utf8(body).is_err()));
    // Every sound document differs from a well-formed event by more than its ids.
    let mut sound = well_formed(&mut crate::generate::Random::seed_from_u64(0));
    for body in &bodies {
        if let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(body)
            && document.is_object()
        {
            for field in ["id", "case"] {
                if document[field].as_str().is_some_and(|id| id.starts_with("bad-")) {
                    document[field] = json!("-");
                }
                sound[field] = json!("-");
            }
            assert_ne!(document, sound);
        }
    }
}
