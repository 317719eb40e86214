//! The figures: after every kind of correction they are the sums of the facts, to the nano and on every level; the cases behind a
//! figure add up to it; and they are built again while facts stream in.

use crate::{START, folder, start_on, with};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use verdict_domain::economics::{Bucket, Figures};
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_store::figures::{
    Behind, GroupBy, Order, Place, Slice, Sum, behind_total, cases_behind, cases_behind_within, sums,
};
use verdict_store::{Store, attempts, calls};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, rows};
use verdict_tests::service::{Api, Service};

use sea_orm::ConnectionTrait;

const CUSTOMERS: [&str; 3] = ["acme", "birch", "cedar"];
const ACTIONS: [&str; 2] = ["support.resolution", "refund.processed"];
/// The last one has no price.
const MODELS: [(&str, &str); 3] =
    [("openai", "gpt-4o"), ("anthropic", "claude-haiku-4-5"), ("house", "house-1")];
const CASES: usize = 96;
const COSTS: [Bucket; 5] = [Bucket::Pending, Bucket::Won, Bucket::Retry, Bucket::Free, Bucket::Lost];

fn contract_of(customer: &str) -> Value {
    let prices =
        ACTIONS.map(|action| json!({ "action": action, "amount": "0.99", "assumed_amount": "0.49" }));
    let fees = with(&crate::contract(customer), "/fees", json!([{ "name": "Seats", "amount": "100" }]));
    with(&fees, "/prices", json!(prices))
}

fn case(nth: usize) -> (&'static str, String) {
    (CUSTOMERS[nth % CUSTOMERS.len()], format!("case-{nth:03}"))
}

fn attempt(nth: usize, part: usize, at: i64, status: &str) -> Value {
    let (customer, case) = case(nth);
    let (provider, model) = MODELS[(nth / 3 + part) % MODELS.len()];
    let mut attempt = json!({
        "id": format!("{case}-{part}"), "customer": customer, "case": case, "agent": format!("agent-{}", nth % 2),
        "action": ACTIONS[nth / 2 % 2], "provider": provider, "model": model,
        "usage": { "input_tokens": 1_000 + nth, "output_tokens": 200 + part },
        "started_at": rfc3339(at - MINUTE), "ended_at": rfc3339(at), "status": status,
    });
    if status == "failed" {
        attempt["failure_reason"] = json!("timeout");
    }
    if nth.is_multiple_of(4) {
        attempt["other_costs"] = json!([{ "name": "voice", "amount": "0.013000001", "currency": "USD" }]);
    }
    attempt
}

async fn resolution(api: &Api, nth: usize, kind: &str, at: i64) {
    let (customer, case) = case(nth);
    let said = json!({
        "id": format!("{case}-{kind}-{at}"), "customer": customer, "case": case, "kind": kind, "occurred_at": rfc3339(at),
    });
    api.post("/v1/resolutions", &said).await;
}

/// The cases of one kind out of eight.
fn kind(of: usize) -> impl Iterator<Item = usize> {
    (0..CASES).filter(move |nth| nth % 8 == of)
}

/// Waits for the steps, then compares.
async fn settle(service: &Service, store: &Store, db: &DatabaseConnection, what: &str) {
    service.wait_until_idle(Duration::from_secs(60)).await;
    all_adds_up(store, db, what).await;
}

/// All that can happen to a case, one thing after the other.
async fn corrected(service: &Service, store: &Store, db: &DatabaseConnection) {
    for customer in CUSTOMERS {
        service.post("/v1/contracts", &contract_of(customer)).await;
    }
    service.move_clock(START + 6 * HOUR).await;
    let mut sent = Vec::new();
    for nth in 0..CASES {
        let at = START + HOUR + i64::try_from(nth).unwrap() * MINUTE;
        if nth % 3 != 0 {
            sent.push(attempt(nth, 0, at, "failed"));
        }
        let status = if nth % 8 == 5 { "failed" } else { "answered" };
        sent.push(attempt(nth, 1, at + MINUTE, status));
    }
    service.post("/v1/attempts", &json!(sent)).await;
    settle(service, store, db, "pending").await;

    for (kinds, said) in [([0, 1], "confirmed"), ([2, 2], "escalated"), ([3, 3], "failed")] {
        for of in BTreeSet::from(kinds) {
            for nth in kind(of) {
                resolution(service, nth, said, START + 6 * HOUR).await;
            }
        }
    }
    settle(service, store, db, "handoffs, negative feedback").await;
    service.move_clock(START + 6 * DAY).await;
    settle(service, store, db, "settled and assumed").await;

    service.post("/v1/attempts", &json!(sent)).await;
    settle(service, store, db, "duplicates").await;
    for nth in kind(0).chain(kind(4)) {
        resolution(service, nth, "reopened", START + 5 * DAY).await;
    }
    settle(service, store, db, "re-opened").await;
    let late: Vec<Value> = kind(4)
        .chain(kind(6))
        .map(|nth| attempt(nth, 2, START + 5 * DAY + HOUR, "answered"))
        .chain(kind(7).map(|nth| attempt(nth, 3, START + 2 * HOUR, "failed")))
        .collect();
    service.post("/v1/attempts", &json!(late)).await;
    for nth in kind(5) {
        resolution(service, nth, "confirmed", START + 5 * DAY).await;
    }
    settle(service, store, db, "late attempts, late confirmations without an answer").await;

    for (position, nth) in kind(1).enumerate() {
        let (customer, case) = case(nth);
        let raised =
            json!({ "id": format!("d-{case}"), "customer": customer, "case": case, "reason": "it was us" });
        let raised = service.post("/v1/disputes", &raised).await;
        let decision = json!({
            "customer": customer, "case": case, "dispute": raised["id"], "reason": "we looked", "author": "Kim"
        });
        let path = if position.is_multiple_of(2) { "/v1/disputes/accept" } else { "/v1/disputes/reject" };
        service.post(path, &decision).await;
    }
    settle(service, store, db, "disputes").await;
    service.move_clock(START + 12 * DAY).await;
    settle(service, store, db, "what was late is assumed").await;

    // Another rule, from the beginning on: every case of the customer is judged again.
    let rule = json!({ "negative_feedback": "holds", "charges": "once_a_case" });
    let second = with(&with(&contract_of("birch"), "/version", json!(2)), "/rule", rule);
    service.post("/v1/contracts", &second).await;
    settle(service, store, db, "another rule").await;
    service.move_clock(START + 36 * DAY).await;
    settle(service, store, db, "billed").await;
    let beyond = number(db, "SELECT COUNT(*) FROM periods WHERE beyond_list_nanos <> 0").await;
    assert_eq!(beyond, 3, "the fees are revenue of the period");
}

/// Customer, day, agent, provider, model, action, currency.
type Cell = (String, i64, String, String, String, String, String);

struct Daily {
    cell: Cell,
    bucket: Bucket,
    reason: String,
    figures: Figures,
}

async fn daily(db: &DatabaseConnection, table: &str) -> Vec<Daily> {
    let revenue = if table == "daily_figures" { "revenue_nanos" } else { "CAST(0 AS BIGINT)" };
    let key = "customer, day, agent, provider, model, action, currency, bucket, reason";
    let sql = format!(
        "SELECT {key}, {}, CAST(SUM({revenue}) AS BIGINT) FROM {table} GROUP BY {key}",
        ["attempts", "unknown_costs", "cost_nanos", "other_cost_nanos", "outcomes"]
            .map(|column| format!("CAST(SUM({column}) AS BIGINT)"))
            .join(", ")
    );
    let mut daily = Vec::new();
    for row in rows(db, &sql).await {
        let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
        let number = |at: usize| row.try_get_by_index::<i64>(at).unwrap();
        let figures = Figures {
            attempts: number(9),
            unknown_costs: number(10),
            cost_nanos: number(11),
            other_cost_nanos: number(12),
            outcomes: number(13),
            revenue_nanos: number(14),
        };
        if figures != Figures::default() {
            let cell = (text(0), number(1), text(2), text(3), text(4), text(5), text(6));
            daily.push(Daily { cell, bucket: Bucket::parse(&text(7)).unwrap(), reason: text(8), figures });
        }
    }
    daily
}

type Sums = BTreeMap<(String, String, Bucket), Figures>;

fn grouped(daily: &[Daily], slice: &Slice, by: GroupBy) -> Sums {
    let mut sums = Sums::new();
    for Daily { cell, bucket, reason, figures } in daily {
        let (customer, day, agent, provider, model, action, currency) = cell;
        let is =
            |wanted: &Option<String>, found: &String| wanted.as_ref().is_none_or(|wanted| wanted == found);
        let wanted = (slice.from..slice.to).contains(day)
            && is(&slice.customer, customer)
            && is(&slice.agent, agent)
            && is(&slice.provider, provider)
            && is(&slice.model, model)
            && is(&slice.action, action);
        if wanted {
            let key = match by {
                GroupBy::Customer => customer.clone(),
                GroupBy::Agent => agent.clone(),
                GroupBy::Provider => provider.clone(),
                GroupBy::Model => model.clone(),
                GroupBy::Action => action.clone(),
                GroupBy::Reason => reason.clone(),
                GroupBy::Day => day.to_string(),
            };
            let sum = sums.entry((key, currency.clone(), *bucket)).or_default();
            *sum = sum.plus(*figures).unwrap();
        }
    }
    sums.retain(|_, figures| *figures != Figures::default());
    sums
}

const ALL: [GroupBy; 7] = [
    GroupBy::Customer,
    GroupBy::Agent,
    GroupBy::Provider,
    GroupBy::Model,
    GroupBy::Action,
    GroupBy::Reason,
    GroupBy::Day,
];

async fn all_adds_up(store: &Store, db: &DatabaseConnection, what: &str) {
    let days = daily(db, "daily_figures").await;
    // The costs of attempts, group by group.
    let raw = format!(
        "SELECT customer, ended_at / {DAY}, agent, provider, model, action, cost_currency, COUNT(*), \
         CAST(SUM(CASE WHEN model_cost_nanos IS NULL THEN 1 ELSE 0 END) AS BIGINT), \
         CAST(SUM(COALESCE(model_cost_nanos, 0) + other_cost_nanos) AS BIGINT), CAST(SUM(other_cost_nanos) AS BIGINT) \
         FROM attempts GROUP BY customer, ended_at / {DAY}, agent, provider, model, action, cost_currency"
    );
    let mut facts: BTreeMap<Cell, [i64; 4]> = BTreeMap::new();
    for row in rows(db, &raw).await {
        let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
        let number = |at: usize| row.try_get_by_index::<i64>(at).unwrap();
        let cell = (text(0), number(1), text(2), text(3), text(4), text(5), text(6));
        facts.insert(cell, [number(7), number(8), number(9), number(10)]);
    }
    assert!(facts.len() > 20, "{what}");
    let mut rolled: BTreeMap<Cell, [i64; 4]> = BTreeMap::new();
    for Daily { cell, bucket, figures: f, .. } in &days {
        if COSTS.contains(bucket) {
            let sum = rolled.entry(cell.clone()).or_default();
            let more = [f.attempts, f.unknown_costs, f.cost_nanos, f.other_cost_nanos];
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }
    rolled.retain(|_, sum| *sum != [0; 4]);
    assert_eq!(rolled, facts, "{what}: the buckets add up to the attempts");

    // What cases add is the sums, but for the revenue; and that is the charges and what periods differ from them.
    let everything = Slice { from: i64::MIN, to: i64::MAX, ..Slice::default() };
    let of_cases = daily(db, "case_figures").await;
    for by in ALL {
        let mut sums = grouped(&days, &everything, by);
        sums.retain(|(_, _, bucket), _| *bucket != Bucket::Revenue);
        assert_eq!(sums, grouped(&of_cases, &everything, by), "{what}: by {by:?}");
    }
    let revenue: i64 = days.iter().map(|row| row.figures.revenue_nanos).sum();
    let charges = number(
        db,
        "SELECT CAST((SELECT COALESCE(SUM(amount_nanos), 0) FROM charges) + \
         (SELECT COALESCE(SUM(beyond_list_nanos), 0) FROM periods) AS BIGINT)",
    )
    .await;
    assert_eq!(revenue, charges, "{what}: revenue");

    // Whatever is asked for, whichever level answers: it is what the daily figures say.
    let first = START / DAY;
    let some = |text: &str| Some(text.to_string());
    let filters = [
        Slice::default(),
        Slice { customer: some("birch"), ..Slice::default() },
        Slice { agent: some("agent-1"), ..Slice::default() },
        Slice { provider: some("openai"), ..Slice::default() },
        Slice { model: some("house-1"), ..Slice::default() },
        Slice { action: some(ACTIONS[1]), ..Slice::default() },
        Slice { customer: some("acme"), model: some("gpt-4o"), ..Slice::default() },
        Slice { agent: some("agent-0"), action: some(ACTIONS[0]), ..Slice::default() },
    ];
    let ranges = [
        (i64::MIN, i64::MAX),
        (first - 3, first + 40),
        (first, first + 1),
        (first + 1, first + 26),
        (first, first),
    ];
    for by in ALL {
        for filter in &filters {
            for (from, to) in ranges {
                let slice = Slice { from, to, ..filter.clone() };
                let found = sums(store, &slice, by).await.unwrap();
                let found: Sums = found
                    .into_iter()
                    .map(|Sum { key, currency, bucket, figures }| ((key, currency, bucket), figures))
                    .collect();
                assert_eq!(found, grouped(&days, &slice, by), "{what}: {slice:?} by {by:?}");
            }
        }
    }
    let unknown = number(db, "SELECT COUNT(*) FROM attempts WHERE model_cost_nanos IS NULL").await;
    let listed = attempts::unknown_costs(store).await.unwrap();
    assert_eq!(listed.iter().map(|of| of.attempts).sum::<i64>(), unknown, "{what}: {listed:?}");
    assert!(listed.iter().all(|of| of.provider == "house") && listed.len() <= 3, "{listed:?}");

    let from = first + 5;
    let raw = format!(
        "SELECT provider, model, COALESCE(service_tier, 'standard'), COUNT(*) FROM attempts WHERE ended_at >= {} \
         AND COALESCE(price_source, '') <> 'reported' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        from * DAY
    );
    let text = |row: &sea_orm::QueryResult, at: usize| row.try_get_by_index::<String>(at).unwrap();
    let raw = rows(db, &raw).await;
    let raw =
        raw.iter().map(|row| (text(row, 0), text(row, 1), text(row, 2), row.try_get_by_index(3).unwrap()));
    let used = calls::used(store, from).await.unwrap().into_iter();
    let used = used.map(|used| (used.provider, used.model, used.tier.as_str().to_string(), used.attempts));
    assert_eq!(
        used.collect::<Vec<(_, _, _, i64)>>(),
        raw.collect::<Vec<_>>(),
        "{what}: the models that were called"
    );
}

/// All cases behind a figure, a few at a time.
async fn paged(
    store: &Store,
    behind: &Behind,
    order: Order,
    few: Option<i64>,
) -> BTreeMap<(String, String), BTreeMap<String, Figures>> {
    let mut cases = BTreeMap::new();
    let mut after: Option<Place> = None;
    loop {
        let page = match few {
            Some(few) => cases_behind_within(store, behind, order, after.as_ref(), 5, few).await.unwrap(),
            None => cases_behind(store, behind, order, after.as_ref(), 5).await.unwrap(),
        };
        let Some(last) = page.last() else { return cases };
        let place = last.place(order);
        for case in page {
            let here = case.place(order).rank;
            assert!(after.as_ref().is_none_or(|after| here <= after.rank) && here >= place.rank, "in order");
            assert_ne!(case.verdict, "none");
            let key = (case.key.customer, case.key.case);
            assert!(cases.insert(key, case.figures).is_none(), "listed twice");
        }
        after = Some(place);
    }
}

/// Behind each figure are the cases that add up to it.
async fn the_cases_behind(store: &Store, db: &DatabaseConnection) {
    let days = daily(db, "daily_figures").await;
    let everything = Slice { from: START / DAY - 1, to: START / DAY + 40, ..Slice::default() };
    let mut asked: Vec<Behind> = vec![Behind { of: everything.clone(), ..Behind::default() }];
    let kinds: BTreeSet<(Bucket, &str)> = days.iter().map(|row| (row.bucket, row.reason.as_str())).collect();
    assert!(kinds.len() > 12, "{kinds:?}");
    for (bucket, reason) in kinds {
        let behind = Behind { of: everything.clone(), buckets: vec![bucket], ..Behind::default() };
        asked.push(Behind { reason: Some(reason.into()), ..behind.clone() });
        for of in [
            Slice { customer: Some("acme".into()), ..everything.clone() },
            Slice { model: Some("gpt-4o".into()), agent: Some("agent-0".into()), ..everything.clone() },
            Slice { from: START / DAY, to: START / DAY + 2, ..Slice::default() },
        ] {
            asked.push(Behind { of, ..behind.clone() });
        }
    }
    let failures = vec![Bucket::Lost, Bucket::Retry];
    asked.push(Behind { of: everything, buckets: failures, currency: Some("USD".into()), reason: None });
    let mut behind_something = 0;
    for behind in asked {
        let total = behind_total(store, &behind).await.unwrap();
        let cases = paged(store, &behind, Order::Cost, None).await;
        for (order, few) in
            [(Order::Cost, Some(0)), (Order::Day, None), (Order::Day, Some(0)), (Order::Day, Some(i64::MAX))]
        {
            assert_eq!(paged(store, &behind, order, few).await, cases, "{behind:?} {order:?} {few:?}");
        }
        let mut sum: BTreeMap<String, Figures> = BTreeMap::new();
        for (currency, part) in cases.values().flatten() {
            let sum = sum.entry(currency.clone()).or_default();
            *sum = sum.plus(*part).unwrap();
        }
        for (currency, nanos) in &total.of_no_case {
            sum.entry(currency.clone()).or_default().revenue_nanos += nanos;
        }
        assert_eq!(sum, total.figures, "{behind:?}");
        assert_eq!(total.cases, Some(cases.len() as u64), "{behind:?}");
        behind_something += usize::from(!cases.is_empty());
    }
    assert!(behind_something > 30, "{behind_something}");
}

/// What somebody with SQL can do to the figures.
const BROKEN: [&str; 9] = [
    "DELETE FROM daily_figures WHERE customer = 'acme'",
    "UPDATE daily_figures SET cost_nanos = cost_nanos + 7, attempts = attempts - 1 WHERE bucket = 'won'",
    "INSERT INTO daily_figures VALUES ('nobody', 20000, 'a', 'p', 'm', 'x', 'EUR', 'revenue', '-', 0, 0, 0, 0, 0, 5)",
    "DELETE FROM figures_by_level WHERE level = 'why'",
    "UPDATE figures_by_level SET lost_cost_nanos = lost_cost_nanos + 3, revenue_nanos = 1 WHERE level LIKE 'customer%'",
    "DELETE FROM case_figures WHERE case_id LIKE '%3'",
    "UPDATE case_figures SET attempts = attempts + 1, cost_nanos = cost_nanos + 5 WHERE case_id LIKE '%5' AND number = 1",
    "UPDATE model_calls SET attempts = attempts + 3 WHERE model = 'gpt-4o'",
    "DELETE FROM model_calls WHERE model = 'house-1'",
];

/// `rebuild` is how it is asked for, and waits until it is over.
async fn built_again_while_facts_stream_in(
    service: &Service,
    store: &Store,
    db: &DatabaseConnection,
    round: usize,
    rebuild: impl AsyncFn(),
) {
    let stop = Arc::new(AtomicBool::new(false));
    let (api, stopped) = (service.api(), stop.clone());
    let stream = tokio::spawn(async move {
        let mut sent = 0_usize;
        while !stopped.load(Ordering::Relaxed) {
            let nth = CASES + sent % 40;
            let at = START + 30 * DAY + i64::try_from(sent % 500).unwrap() * MINUTE;
            let status = if sent.is_multiple_of(3) { "failed" } else { "answered" };
            api.post("/v1/attempts", &json!([attempt(nth, 10_000 * round + sent, at, status)])).await;
            if sent.is_multiple_of(5) {
                resolution(&api, nth, "confirmed", at + MINUTE).await;
            }
            sent += 1;
        }
        sent
    });
    for sql in BROKEN {
        let sql = sql.replace("nobody", &format!("nobody-{round}"));
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    rebuild().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::Relaxed);
    let sent = stream.await.unwrap();
    assert!(sent > 5, "{sent} attempts came meanwhile");
    settle(service, store, db, "built again").await;
    let said = service.command(&["figures", "rebuild"]);
    assert!(said.contains(" 0 put right; 0 sums put right"), "{said}");
    let agreed = service.command(&["reconcile"]);
    assert!(agreed.contains("all agrees"), "{agreed}");
}

/// The state of the rebuild that was asked for last, once it is over.
async fn rebuilt(service: &Service) -> Value {
    let mut state = Value::Null;
    crate::until("the figures are built again", async || {
        state = service.get_json("/v1/figures/rebuild").await;
        state["ended_at"].is_string()
    })
    .await;
    state
}

/// One that a process began which then ended: it is begun again, and only then another can be asked for.
async fn asked_over_http(service: &Service, db: &DatabaseConnection) {
    let of_another = format!(
        "INSERT INTO figure_rebuilds (asked_by, asked_at, open, begun, leased_until, cases, customers, wrong_cases, wrong_sums, \
         failed) VALUES ('key:somebody', {START}, 1, 1, {}, 7, 1, 40000, 3, 0)",
        i64::MAX
    );
    db.execute_unprepared(&of_another).await.unwrap();
    let state = service.get_json("/v1/figures/rebuild").await;
    let said = ["state", "asked_by", "cases", "customers"].map(|field| state[field].clone());
    assert_eq!(said, [json!("running"), json!("key:somebody"), json!(7), json!(1)], "{state}");
    let second = service.try_post("/v1/figures/rebuild", &Value::Null).await.unwrap();
    assert!(crate::problem(second, 409).await.contains("a rebuild is not over"));
    let refused = service.try_command(&["figures", "rebuild"]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && told.contains("`key:somebody` asked for"), "{told}");

    // Its process is taken for dead.
    db.execute_unprepared("UPDATE figure_rebuilds SET leased_until = 0 WHERE open = 1").await.unwrap();
    let state = rebuilt(service).await;
    assert_eq!((&state["state"], &state["begun"]), (&json!("done"), &json!(2)), "{state}");
    let count = |field: &str| state[field].as_i64().unwrap();
    assert!(count("cases") > 90 && count("customers") >= 4, "{state}");
    // What was put right before it was broken off stays in the count.
    assert!(count("wrong_cases") > 40_000 && count("wrong_sums") > 3, "{state}");

    let before = number(db, "SELECT COUNT(*) FROM figure_rebuilds").await;
    let asked = service.try_post("/v1/figures/rebuild", &Value::Null).await.unwrap();
    assert_eq!(
        (asked.status().as_u16(), &asked.headers()["location"]),
        (202, &"/v1/figures/rebuild".parse().unwrap())
    );
    let asked: Value = asked.json().await.unwrap();
    let state = rebuilt(service).await;
    assert_eq!((&state["id"], &state["state"]), (&asked["id"], &json!("done")), "{state}");
    assert_eq!((&state["wrong_sums"], &state["begun"]), (&json!(0), &json!(1)), "{state}");
    // Who asked, when and what came of it is kept.
    assert!(asked["asked_by"].as_str().unwrap().starts_with("key:"), "{asked}");
    assert_eq!(number(db, "SELECT COUNT(*) FROM figure_rebuilds").await, before + 1);
}

async fn figures(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let (store, db) = (Store::connect(url).await.unwrap(), connect(url).await);
    corrected(&service, &store, &db).await;
    the_cases_behind(&store, &db).await;
    crate::problem(service.get("/v1/figures/rebuild").await, 404).await;
    let by_command = async || {
        let said = service.command(&["figures", "rebuild"]);
        assert!(!said.contains(" 0 put right") && !said.contains("; 0 sums"), "{said}");
    };
    built_again_while_facts_stream_in(&service, &store, &db, 1, by_command).await;
    built_again_while_facts_stream_in(&service, &store, &db, 2, async || {
        asked_over_http(&service, &db).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_add_up_on_sqlite() {
    figures("figures-sqlite", &fresh_sqlite(&folder("figures-sqlite"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_add_up_on_postgres() {
    figures("figures-postgres", &fresh_postgres("doors_figures").await).await;
}

/// Costs that no sum has room for are set aside, and hold up nobody else's.
async fn more_than_a_sum_holds(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    // With room for what acme costs in the sums over all customers.
    let most = i64::MAX - 1_000_000_000_000_000;
    let note =
        format!("[[{},\"a\",\"p\",\"m\",\"x\",\"USD\",\"won\",\"-\",[1,0,{most},0,0,0]]]", START / DAY);
    for differences in [note.as_str(), note.as_str(), "no JSON"] {
        let sql = format!(
            "INSERT INTO figures_to_add (customer, cells, differences) VALUES ('huge', 1, '{differences}')"
        );
        db.execute_unprepared(&sql).await.unwrap();
    }
    let attempt =
        with(&crate::attempt("acme", "c"), "/reported_cost", json!({ "amount": "1.50", "currency": "USD" }));
    service.post("/v1/attempts", &attempt).await;
    service.move_clock(START + DAY).await;
    service.wait_until_idle(Duration::from_secs(30)).await;
    // The second does not fit beside the first, and the third cannot be read.
    assert_eq!(number(&db, "SELECT COUNT(*) FROM figures_to_add WHERE refused IS NOT NULL").await, 2);
    assert_eq!(number(&db, "SELECT cost_nanos FROM daily_figures WHERE customer = 'huge'").await, most);
    let report = "/v1/reports/failure-cost?from=2026-09-30&to=2026-10-05&by=agent&customer=acme";
    let report = service.get_json(report).await;
    assert_eq!(report["totals"][0]["cost_nanos"], 1_500_000_000_i64, "{report}");
}

#[tokio::test]
async fn more_than_a_sum_holds_is_set_aside_on_sqlite() {
    more_than_a_sum_holds("figures-huge", &fresh_sqlite(&folder("figures-huge"))).await;
}

#[tokio::test]
async fn more_than_a_sum_holds_is_set_aside_on_postgres() {
    more_than_a_sum_holds("figures-huge-postgres", &fresh_postgres("doors_figures_huge").await).await;
}
