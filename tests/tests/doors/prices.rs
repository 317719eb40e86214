//! Price books: imported, compared and activated while the service runs; prices of one's own; and LiteLLM's list as it is in its
//! package, held against the book that is built in.

use crate::{START, attempt, folder, problem, start, start_on, until, with};
use sea_orm::ConnectionTrait;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use verdict_domain::attempt::{ServiceTier, Usage};
use verdict_domain::time::Timestamp;
use verdict_intake::PriceBook;
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::Service;

/// A small list: gpt-4o is dearer than in the book that is built in, gpt-5 has a flex service, one model is the house's own.
fn small_list() -> Value {
    json!({
        "sample_spec": { "mode": "one of: chat, embedding" },
        "gpt-4o": { "mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 1.2e-05,
                    "cache_read_input_token_cost": 1.5e-06 },
        "gpt-5": { "mode": "chat", "litellm_provider": "openai", "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05,
                   "cache_read_input_token_cost": 1.25e-07, "input_cost_per_token_flex": 6e-07, "output_cost_per_token_flex": 5e-06 },
        "acme-ai/house-model": { "mode": "chat", "litellm_provider": "acme-ai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06 },
        "odd": { "mode": "chat", "litellm_provider": "openai", "input_cost_per_token": "cheap", "output_cost_per_token": 0 },
        "dall-e": { "mode": "image_generation", "litellm_provider": "openai", "output_cost_per_image": 0.04 },
    })
}

/// `gpt-4o`, 1,000 tokens in and 200 out, by some service.
fn call(id: &str, customer: &str, model: &str, tier: Option<&str>) -> Value {
    let call = with(&attempt(customer, id), "/model", json!(model));
    tier.map_or(call.clone(), |tier| with(&call, "/service_tier", json!(tier)))
}

/// What is stored of an attempt: its cost, what it is from, and the service.
async fn stored(db: &sea_orm::DatabaseConnection, id: &str) -> String {
    let sql = format!(
        "SELECT COALESCE(CAST(model_cost_nanos AS TEXT), 'unknown') || ' ' || COALESCE(price_source, '-') || ' ' || \
         COALESCE(service_tier, '-') FROM attempts WHERE id = '{id}'"
    );
    texts(db, &sql).await.remove(0)
}

async fn record(service: &Service, event: &Value) -> Value {
    service.post("/v1/attempts", event).await["results"][0].clone()
}

async fn a_book_is_imported_seen_and_activated(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    let genai = format!("{}#{}", verdict_intake::BOOK_VERSION, &verdict_intake::BOOK_DIGEST[..12]);
    record(&service, &call("before", "acme", "gpt-4o", None)).await;
    assert_eq!(stored(&db, "before").await, format!("4500000 {genai} -"));
    record(&service, &with(&call("house", "acme", "house-model", None), "/provider", json!("acme-ai"))).await;
    assert_eq!(stored(&db, "house").await, "unknown - -");

    // Imported by a command, it prints what would change, and changes nothing.
    let file = folder(name).join("list.json");
    std::fs::write(&file, small_list().to_string()).unwrap();
    let file = file.to_str().unwrap();
    let printed = service.command(&["prices", "import", file, "--version", "1.2.3"]);
    for line in [
        "3 entries priced, 2 not paid by text tokens",
        "cannot be read: odd: input_cost_per_token: `\"cheap\"` is no price from 0 to 1 dollar a token",
        "gains  acme-ai  house-model  standard  input  none -> 1.00  1 attempts",
        "changes  openai  gpt-4o  standard  input  2.50 -> 3.00  1 attempts",
        "changes  openai  gpt-4o  standard  cached_input  1.25 -> 1.50  1 attempts",
    ] {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    // The same again is nothing new; another file is never the same version.
    assert!(service.command(&["prices", "import", file, "--version", "1.2.3"]).contains("is there already"));
    let other = with(&small_list(), "/gpt-4o/input_cost_per_token", json!(4e-6)).to_string();
    let again = "/v1/prices/books?name=litellm&version=1.2.3";
    let refused = service.post_bytes(again, "application/json", other.clone().into_bytes()).await;
    assert!(problem(refused, 409).await.contains("litellm/1.2.3"));
    for (path, body, detail) in [
        ("/v1/prices/books", other.as_str(), "version: is missing"),
        ("/v1/prices/books?version=1/2", &other, "version: `1/2`"),
        ("/v1/prices/books?name=genai-prices&version=1", &other, "name: "),
        ("/v1/prices/books?version=2", "[]", "not LiteLLM's price list"),
        ("/v1/prices/books?version=2", "{}", "no entry of it has a price by token"),
    ] {
        let refused = service.post_bytes(path, "application/json", body.as_bytes().to_vec()).await;
        let told = problem(refused, 422).await;
        assert!(told.contains(detail), "{path}: {told}");
    }
    record(&service, &call("imported", "acme", "gpt-4o", None)).await;
    assert_eq!(stored(&db, "imported").await, format!("4500000 {genai} -"));

    // Without --yes the same is printed, and nothing is done.
    let shown = service.try_command(&["prices", "activate", "litellm/1.2.3"]);
    assert!(!shown.status.success());
    assert!(String::from_utf8_lossy(&shown.stdout).contains("openai  gpt-4o  standard  input  2.50 -> 3.00"));
    assert_eq!(number(&db, "SELECT COUNT(*) FROM price_activations").await, 0);
    let unknown = service.try_command(&["prices", "activate", "litellm/9", "--yes"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no price book `litellm/9`"));

    // With it the running service takes it, without a restart.
    assert!(
        service.command(&["prices", "activate", "litellm/1.2.3", "--yes"]).contains("active: litellm/1.2.3")
    );
    let mut tries = 0;
    let mut source = String::new();
    until("the service has the new book", async || {
        tries += 1;
        let id = format!("after-{tries}");
        record(&service, &call(&id, "acme", "gpt-4o", None)).await;
        source = stored(&db, &id).await;
        !source.contains("genai")
    })
    .await;
    assert!(source.starts_with("5400000 litellm/1.2.3#"), "{source}");
    let books = service.get_json("/v1/prices/books").await;
    let digest = texts(&db, "SELECT digest FROM price_books").await.remove(0);
    assert!(source.contains(&digest[..12]), "{source} {digest}");
    assert_eq!(books["books"][1]["id"], "litellm/1.2.3", "{books}");
    assert_eq!((&books["books"][0]["active"], &books["books"][1]["active"]), (&json!(false), &json!(true)));
    // What was priced before stays.
    assert_eq!(stored(&db, "before").await, format!("4500000 {genai} -"));

    // A service that the book has no price for: unknown, never the standard price.
    for (id, tier, wanted) in [
        ("flex", "flex", "1600000 litellm"),
        ("default", "default", "3250000 litellm"),
        ("auto", "auto", "3250000 litellm"),
        ("priority", "priority", "unknown -"),
        ("scale", "scale", "unknown -"),
    ] {
        assert_eq!(record(&service, &call(id, "acme", "gpt-5", Some(tier))).await["status"], "recorded");
        assert!(stored(&db, id).await.starts_with(wanted), "{}", stored(&db, id).await);
    }
    assert!(stored(&db, "auto").await.ends_with(" standard"));
    assert!(stored(&db, "priority").await.ends_with(" priority"));

    // Back, over HTTP: it has to name what was seen.
    let body = |diff: &Value| json!({ "book": verdict_intake::BOOK_VERSION, "diff": diff });
    let unseen = service.try_post("/v1/prices/activations", &body(&json!("0"))).await.unwrap();
    assert!(problem(unseen, 409).await.starts_with("diff: `0` is not the digest"));
    let diff = service.get_json(&format!("/v1/prices/diff?to={}", verdict_intake::BOOK_VERSION)).await;
    assert_eq!(diff["changes"][0]["change"], "loses", "{diff}");
    service.post("/v1/prices/activations", &body(&diff["digest"])).await;
    let again = service.try_post("/v1/prices/activations", &body(&diff["digest"])).await.unwrap();
    assert!(problem(again, 409).await.contains("is active already"));
    record(&service, &call("back", "acme", "gpt-4o", None)).await;
    assert_eq!(stored(&db, "back").await, format!("4500000 {genai} -"));
    let listed = service.command(&["prices", "list"]);
    assert!(listed.contains("litellm/1.2.3 activated by command line"), "{listed}");
    assert!(listed.contains(&format!("{} activated by key:", verdict_intake::BOOK_VERSION)), "{listed}");
}

#[tokio::test]
async fn a_book_is_imported_seen_and_activated_on_sqlite() {
    let url = fresh_sqlite(&folder("prices"));
    a_book_is_imported_seen_and_activated("prices", &url).await;
}

#[tokio::test]
async fn a_book_is_imported_seen_and_activated_on_postgresql() {
    let url = fresh_postgres("doors_prices").await;
    fresh_sqlite(&folder("prices-postgres"));
    a_book_is_imported_seen_and_activated("prices-postgres", &url).await;
}

async fn prices_of_ones_own_go_first(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    let own = json!({
        "id": "deal", "customer": "acme", "provider": "openai", "model": "gpt-4o", "from": rfc3339(START),
        "to": rfc3339(START + 30 * DAY), "prices": { "input": "2", "cached_input": "1", "output": "8" }, "note": "our volume",
    });
    let created = service.try_post("/v1/prices/overrides", &own).await.unwrap();
    assert_eq!(created.status(), 201);
    let same = service.try_post("/v1/prices/overrides", &own).await.unwrap();
    assert_eq!(same.status(), 200);
    let other =
        service.try_post("/v1/prices/overrides", &with(&own, "/prices/input", json!("3"))).await.unwrap();
    assert!(problem(other, 409).await.contains("another override `deal`"));
    for (pointer, value, detail) in [
        ("/prices/input", json!("-1"), "prices.input: "),
        ("/prices/output", json!("cheap"), "prices.output: "),
        ("/to", json!(rfc3339(START)), "to: is not after `from`"),
        ("/service_tier", json!("flexx"), "service_tier: unknown variant `flexx`"),
        ("/model", json!(""), "model: "),
        ("/modell", json!("gpt-4o"), "modell: unknown field"),
    ] {
        let wrong = with(&with(&own, "/id", json!("wrong")), pointer, value);
        let told = problem(service.try_post("/v1/prices/overrides", &wrong).await.unwrap(), 422).await;
        assert!(told.contains(detail), "{pointer}: {told}");
    }
    service.command(&[
        "prices",
        "override",
        "--id",
        "all",
        "--provider",
        "openai",
        "--model",
        "gpt-4o",
        "--from",
        &rfc3339(START),
        "--input",
        "2.4",
        "--output",
        "9",
    ]);
    let mut tries = 0;
    until("the service has the operator's price", async || {
        tries += 1;
        let id = format!("globex-{tries}");
        record(&service, &call(&id, "globex", "gpt-4o", None)).await;
        stored(&db, &id).await == "4200000 override:all -"
    })
    .await;
    record(&service, &call("acme", "acme", "gpt-4o", None)).await;
    assert_eq!(stored(&db, "acme").await, "3600000 override:deal -");
    // Another service, and another time, have none of them.
    record(&service, &call("acme-flex", "acme", "gpt-4o", Some("priority"))).await;
    assert!(!stored(&db, "acme-flex").await.contains("override"), "{}", stored(&db, "acme-flex").await);
    let early = with(&call("early", "acme", "gpt-4o", None), "/started_at", json!(rfc3339(START - MINUTE)));
    record(&service, &early).await;
    assert!(stored(&db, "early").await.starts_with("4500000 genai-prices"));

    // It ends by another row: from then on there is none.
    let end =
        json!({ "id": "all-end", "provider": "openai", "model": "gpt-4o", "from": rfc3339(START + DAY) });
    assert_eq!(service.try_post("/v1/prices/overrides", &end).await.unwrap().status(), 201);
    let shown = |time: i64, customer: &str| {
        let time = rfc3339(time);
        let arguments = ["prices", "show", "openai/gpt-4o", "--at", &time, "--customer", customer];
        let printed = service.command(&arguments);
        printed.lines().find_map(|line| line.strip_prefix("standard  by ")).unwrap().to_string()
    };
    assert_eq!(shown(START + HOUR, "acme"), "override:deal");
    assert_eq!(shown(START + 30 * DAY, "acme").split('#').next(), Some(verdict_intake::BOOK_VERSION));
    assert_eq!(shown(START + HOUR, "globex"), "override:all");
    assert_eq!(shown(START + DAY, "globex").split('#').next(), Some(verdict_intake::BOOK_VERSION));
    let quoted = service.get_json("/v1/prices?provider=openai&model=gpt-4o&customer=acme").await;
    assert_eq!(quoted[0]["steps"][0]["prices"]["input"], "2.00", "{quoted}");
    assert_eq!(service.get_json("/v1/prices/overrides").await.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn prices_of_ones_own_go_first_on_sqlite() {
    let url = fresh_sqlite(&folder("prices-own"));
    prices_of_ones_own_go_first("prices-own", &url).await;
}

#[tokio::test]
async fn prices_of_ones_own_go_first_on_postgresql() {
    let url = fresh_postgres("doors_prices_own").await;
    fresh_sqlite(&folder("prices-own-postgres"));
    prices_of_ones_own_go_first("prices-own-postgres", &url).await;
}

#[tokio::test]
async fn a_mistyped_service_tier_is_refused_wherever_it_comes_in() {
    let service = start("prices-tier").await;
    let refused =
        service.try_post("/v1/attempts", &call("wrong", "acme", "gpt-5", Some("priorty"))).await.unwrap();
    let body: Value = refused.json().await.unwrap();
    let reason = body["results"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("service_tier: unknown variant `priorty`") && reason.contains("`priority`"),
        "{reason}"
    );

    let names = "id,customer,case,agent,action,provider,model,service_tier,usage.input_tokens,usage.output_tokens,started_at,ended_at,status";
    let row = |tier: &str| {
        let (from, to) = (rfc3339(START + HOUR - MINUTE), rfc3339(START + HOUR));
        format!(
            "csv-{tier},acme,c,resolver,support.resolution,openai,gpt-5,{tier},1000,200,{from},{to},answered"
        )
    };
    let table = format!("{names}\n{}\n{}\n", row("flex"), row("flexx"));
    let answer = service.post_bytes("/v1/attempts", "text/csv", table.into_bytes()).await;
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["results"][0]["status"], "recorded", "{body}");
    assert!(body["results"][1]["reason"].as_str().unwrap().starts_with("service_tier: "), "{body}");

    // Telemetry has nobody who reads an answer: it is parked.
    let span = |id: u8, tier: &str| {
        let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
        let count = |key: &str, value: u32| json!({ "key": key, "value": { "intValue": value.to_string() } });
        json!({
            "traceId": format!("{id:032x}"), "spanId": format!("{id:016x}"), "name": "chat",
            "startTimeUnixNano": ((START + HOUR - MINUTE) * 1_000).to_string(),
            "endTimeUnixNano": ((START + HOUR) * 1_000).to_string(),
            "attributes": [
                text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "openai"),
                text("gen_ai.request.model", "gpt-5"), text("billing.customer_id", "acme"), text("billing.case_id", "c"),
                text("billing.agent", "resolver"), text("openai.request.service_tier", "auto"),
                text("openai.response.service_tier", tier),
                count("gen_ai.usage.input_tokens", 1_000), count("gen_ai.usage.output_tokens", 200),
            ],
        })
    };
    let export =
        json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [span(1, "flex"), span(2, "cheapest")] }] }] });
    service.post("/v1/traces", &export).await;
    let parked = service.get_json("/v1/parked").await;
    assert!(
        parked[0]["reason"].as_str().unwrap().starts_with("service_tier: `cheapest` is not a service tier"),
        "{parked}"
    );
    let db = connect(&format!("sqlite:{}", folder("prices-tier").join("verdict.db").display())).await;
    // The book that is built in has prices of this service from 2026-10-12 on: before, they are unknown.
    let flex = texts(&db, "SELECT service_tier || ' ' || COALESCE(CAST(model_cost_nanos AS TEXT), 'unknown') FROM attempts ORDER BY id").await;
    assert_eq!(flex, ["flex unknown", "flex unknown"]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

/// LiteLLM's list, taken out of its package if it is not there yet. Without it there is nothing to test with: that fails,
/// wherever this runs.
fn litellms_list() -> &'static Path {
    static LIST: OnceLock<PathBuf> = OnceLock::new();
    LIST.get_or_init(install_litellms_list)
}

fn install_litellms_list() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("litellm-prices");
    let installed =
        Command::new(root().join("scripts/install-litellm-prices")).arg(&folder).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    folder.join("model_prices_and_context_window.json")
}

/// Calls that tell units and sizes apart: (input, cached, written, written for an hour, output, reasoning). On both sides of every size
/// that either book knows.
fn samples() -> Vec<Usage> {
    let mut samples = Vec::new();
    for size in
        [1_000, 32_000, 100_000, 128_000, 199_999, 200_000, 256_000, 272_000, 512_000, 524_288, 1_000_000]
    {
        for input in [size, size + 1] {
            for [cached, written, written_1h, output, reasoning] in [
                [0, 0, 0, 0, 0],
                [input, 0, 0, 0, 0],
                [0, input, 0, 0, 0],
                [0, input, input, 0, 0],
                [0, 0, 0, input, 0],
                [0, 0, 0, input, input],
            ] {
                samples.push(Usage {
                    input: Some(input),
                    cached_input: Some(cached),
                    cache_write: Some(written),
                    cache_write_1h: Some(written_1h),
                    output: Some(output),
                    reasoning: Some(reasoning),
                });
            }
        }
    }
    samples
}

/// What the command says of a model: provider, model and service.
type Key = (String, String, String);

#[tokio::test]
async fn litellms_list_as_it_is_prices_as_the_built_in_book_does_or_the_disagreement_is_listed() {
    let service = start("prices-litellm").await;
    let list = litellms_list();
    let now = START + 50 * DAY;
    service.move_clock(now).await;
    let imported = service.command(&["prices", "import", list.to_str().unwrap(), "--version", "test"]);
    assert!(!imported.contains("cannot be read"), "{imported}");

    let printed = service.command(&["prices", "disagreements", "--other", "litellm/test", "--json"]);
    let compared: Value = serde_json::from_str(&printed).unwrap();
    let listed: BTreeSet<Key> = compared["disagree"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            let text = |field: &str| model[field].as_str().unwrap().to_string();
            (text("provider"), text("model"), text("service_tier"))
        })
        .collect();
    let agree = usize::try_from(compared["agree"].as_u64().unwrap()).unwrap();

    // A second time, by what calls cost: a model is on the list if, and only if, some call costs more than rounding another price.
    let content = std::fs::read(list).unwrap();
    let genai = PriceBook::new();
    let (litellm, _) = PriceBook::of_litellm("litellm/test", "", &content).unwrap();
    let at = Timestamp(now);
    let samples = samples();
    let models: BTreeSet<(String, String)> = genai.models().into_iter().chain(litellm.models()).collect();
    let (mut seen, mut both, mut differing) = (BTreeSet::new(), 0, BTreeSet::new());
    let mut alike = Vec::new();
    for (provider, model) in models {
        if !seen.insert((provider.clone(), model.to_ascii_lowercase())) {
            continue;
        }
        for tier in ServiceTier::ALL {
            let priced = |book: &PriceBook| book.card(&provider, &model, at, tier).is_some();
            if !priced(&litellm) || !priced(&genai) {
                continue;
            }
            both += 1;
            let cost = |book: &PriceBook, usage: &Usage| {
                book.cost_nanos("acme", &provider, &model, at, usage, Some(tier)).map(|priced| priced.nanos)
            };
            let differs = samples.iter().any(|usage| match (cost(&genai, usage), cost(&litellm, usage)) {
                (Some(a), Some(b)) => {
                    // A thousandth of a nano by token (all at most twice), and a nano.
                    let tokens = usage.input.unwrap() + usage.output.unwrap();
                    a.abs_diff(b) > u64::try_from(tokens / 1_000 + 1).unwrap()
                }
                (a, b) => a != b,
            });
            if differs {
                differing.insert((provider.clone(), model.clone(), tier.as_str().to_string()));
            } else if tier == ServiceTier::Standard {
                alike.push((provider.clone(), model.clone()));
            }
        }
    }
    let missing: Vec<_> = differing.difference(&listed).collect();
    let needless: Vec<_> = listed.difference(&differing).collect();
    assert!(missing.is_empty(), "not on the list: {missing:?}");
    assert!(needless.is_empty(), "on the list, but alike: {needless:?}");
    assert_eq!(agree, both - listed.len());
    // So many that it is no accident.
    assert!(agree > 900 && alike.len() > 500, "{agree} agree");

    // The service itself, by one book and then by the other: the same calls cost the same.
    let calls = |id: &str| {
        let event = |(nth, (provider, model)): (usize, &(String, String))| {
            let call =
                with(&call(&format!("{id}-{nth:04}"), "acme", model, None), "/provider", json!(provider));
            let call = with(&call, "/started_at", json!(rfc3339(now - MINUTE)));
            with(&call, "/ended_at", json!(rfc3339(now)))
        };
        Value::Array(alike.iter().enumerate().map(event).collect())
    };
    service.post("/v1/attempts", &calls("a")).await;
    let diff = service.get_json("/v1/prices/diff?to=litellm/test").await;
    service.post("/v1/prices/activations", &json!({ "book": "litellm/test", "diff": diff["digest"] })).await;
    service.post("/v1/attempts", &calls("b")).await;
    let db = connect(&format!("sqlite:{}", folder("prices-litellm").join("verdict.db").display())).await;
    let count = |of: &str| format!("SELECT COUNT(*) FROM attempts WHERE id LIKE '{of}'");
    assert_eq!(number(&db, &count("a-%' AND price_source LIKE 'genai-prices/%")).await, alike.len() as i64);
    assert_eq!(number(&db, &count("b-%' AND price_source LIKE 'litellm/test#%")).await, alike.len() as i64);
    let apart = "SELECT COUNT(*) FROM attempts a JOIN attempts b ON b.id = REPLACE(a.id, 'a-', 'b-') \
                 WHERE a.id LIKE 'a-%' AND (a.model_cost_nanos IS NULL OR b.model_cost_nanos IS NULL \
                 OR ABS(a.model_cost_nanos - b.model_cost_nanos) > 2)";
    assert_eq!(number(&db, apart).await, 0);
}

/// A diff tells of how many attempts it is: of those in the last 90 days that their senders did not price.
async fn a_diff_counts_what_attempts_called(name: &str, url: &str) {
    let service = start_on(name, url).await;
    let db = connect(url).await;
    let file = folder(name).join("list.json");
    std::fs::write(&file, small_list().to_string()).unwrap();
    service.command(&["prices", "import", file.to_str().unwrap(), "--version", "1"]);
    let at = |days: i64, event: Value| {
        let event = with(&event, "/started_at", json!(rfc3339(START + days * DAY + HOUR)));
        with(&event, "/ended_at", json!(rfc3339(START + days * DAY + HOUR)))
    };
    let reported = json!({ "amount": "0.25", "currency": "USD" });
    let sent = |days: i64| {
        let mut sent = Vec::new();
        for nth in 0..30_usize {
            let tier = [None, Some("flex"), Some("default"), Some("priority"), Some("standard")][nth % 5];
            let model = ["gpt-4o", "gpt-5", "nobodys-model"][nth % 3];
            let event = at(days, call(&format!("{days}-{nth}"), "acme", model, tier));
            sent.push(if nth % 7 == 6 { with(&event, "/reported_cost", reported.clone()) } else { event });
        }
        // One of them twice.
        sent.push(sent[0].clone());
        Value::Array(sent)
    };
    let diff = async || service.get_json("/v1/prices/diff?to=litellm/1").await;
    for days in [0, 60, 95] {
        service.move_clock(START + (days + 1) * DAY).await;
        for _ in 0..2 {
            service.post("/v1/attempts", &sent(days)).await;
        }
        let since = (START + (days + 1) * DAY) / DAY - 90;
        let diff = diff().await;
        let changes = diff["changes"].as_array().unwrap();
        assert!(changes.len() >= 2, "{diff}");
        let mut counted = 0;
        for change in changes {
            let of = |field: &str| change[field].as_str().unwrap();
            let sql = format!(
                "SELECT COUNT(*) FROM attempts WHERE ended_at >= {} AND COALESCE(price_source, '') <> 'reported' AND \
                 provider = '{}' AND model = '{}' AND COALESCE(service_tier, 'standard') = '{}'",
                since * DAY,
                of("provider"),
                of("model"),
                of("service_tier")
            );
            assert_eq!(change["attempts"], number(&db, &sql).await, "{days}: {change}");
            counted += change["attempts"].as_i64().unwrap();
        }
        assert!(counted >= 7, "{days}: {diff}");
        // What is 95 days old is not in it any more.
        let older = format!("SELECT COUNT(*) FROM attempts WHERE ended_at < {}", since * DAY);
        assert_eq!(number(&db, &older).await, if days == 95 { 30 } else { 0 }, "{days}");
    }
    // Whoever takes the counts away has them back.
    let printed =
        |service: &Service| service.command(&["prices", "diff", verdict_intake::BOOK_VERSION, "litellm/1"]);
    let before = printed(&service);
    assert!(before.contains("openai  gpt-5  flex"), "{before}");
    db.execute_unprepared("DELETE FROM model_calls").await.unwrap();
    assert_ne!(printed(&service), before);
    service.command(&["figures", "rebuild"]);
    assert_eq!(printed(&service), before);
}

#[tokio::test]
async fn a_diff_is_of_the_models_that_were_called() {
    a_diff_counts_what_attempts_called("prices-diff", &fresh_sqlite(&folder("prices-diff"))).await;
    a_diff_counts_what_attempts_called("prices-diff-postgres", &fresh_postgres("doors_prices_diff").await)
        .await;
}

/// LiteLLM's own arithmetic of a plain call by the standard service, in floats, from the fields as they are.
#[allow(clippy::float_arithmetic)]
fn by_the_fields(entry: &Map<String, Value>, input: f64, cached: f64, output: f64) -> Option<f64> {
    let field = |name: &str| entry.get(name).and_then(Value::as_f64);
    let priced = |name: &str| {
        let mut price = field(name);
        let mut sizes: BTreeMap<u64, f64> = BTreeMap::new();
        for (field, value) in entry {
            let size = field
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix("_above_")?.strip_suffix("k_tokens"));
            if let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) {
                sizes.insert(size * 1_000, value.as_f64()?);
            }
        }
        for (size, higher) in sizes {
            let inclusive = entry["litellm_provider"] == "xai";
            if input > size as f64 || (inclusive && input == size as f64) {
                price = Some(higher);
            }
        }
        price
    };
    let input_price = priced("input_cost_per_token")?;
    let cached_price = priced("cache_read_input_token_cost").unwrap_or(input_price);
    let output_price = priced("output_cost_per_token")?;
    let request = field("input_cost_per_request").unwrap_or(0.0);
    Some((input - cached) * input_price + cached * cached_price + output * output_price + request)
}

#[test]
#[allow(clippy::float_arithmetic)]
fn litellms_list_costs_what_its_fields_say() {
    let content = std::fs::read(litellms_list()).unwrap();
    let (book, reading) = PriceBook::of_litellm("litellm/test", "", &content).unwrap();
    let entries: BTreeMap<String, Map<String, Value>> = serde_json::from_slice(&content).unwrap();
    // Monday noon in UTC: on the peak.
    let at = Timestamp::parse("2026-11-16T07:00:00Z").unwrap();
    let mut compared = 0;
    for (name, entry) in &entries {
        let provider = entry.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
        let by_name = entry.contains_key("tiered_pricing") || reading.shadowed.contains(name);
        if by_name || book.card(provider, name, at, ServiceTier::Standard).is_none() {
            continue;
        }
        for (input, cached, output) in
            [(1_000, 0, 500), (90_000, 40_000, 3), (300_000, 100_000, 7), (900_000, 0, 10)]
        {
            let Some(wanted) = by_the_fields(entry, f64::from(input), f64::from(cached), f64::from(output))
            else {
                continue;
            };
            let (input, cached, output) = (Some(input.into()), Some(cached.into()), Some(output.into()));
            let usage = Usage { input, cached_input: cached, output, ..Usage::default() };
            let nanos = book.cost_nanos("acme", provider, name, at, &usage, None).unwrap().nanos;
            let apart = (nanos as f64 - wanted * 1e9).abs();
            assert!(apart <= 1.0 + wanted * 1e9 * 1e-9, "{name} {usage:?}: {nanos} is not {wanted}");
            compared += 1;
        }
    }
    assert!(compared > 10_000, "{compared}");
}
