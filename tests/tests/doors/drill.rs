//! From each figure of the failure-cost report to the cases behind it: they add up to it, to the nano.

use crate::{START, attempt, contract, folder, problem, start_on, with};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use verdict_oracle::{DAY, HOUR, Plan, generate, rfc3339};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::Service;

/// A seeded October with every variant of the rule, judged.
async fn october(name: &str, url: &str) -> Service {
    let cut = START + 30 * DAY + 14 * HOUR;
    let mut traffic = generate(&Plan { seed: 29, events: 600, start: START, days: 26, customers: 4 });
    traffic.attempts.retain(|attempt| attempt.ended_at <= cut);
    traffic.resolutions.retain(|resolution| resolution.occurred_at <= cut);
    let service = start_on(name, url).await;
    for contract in &traffic.contracts {
        service.post("/v1/contracts", &contract.to_json()).await;
    }
    service.move_clock(cut).await;
    let attempts: Vec<Value> = traffic.attempts.iter().map(|attempt| attempt.to_json()).collect();
    service.post("/v1/attempts", &Value::Array(attempts)).await;
    for resolution in &traffic.resolutions {
        assert!(service.try_resolution(resolution, cut).await, "{resolution:?}");
    }
    service.wait_until_idle(Duration::from_secs(120)).await;
    // Which outcomes are free is told once a minute, or when the clock is moved: not while the test looks.
    service.move_clock(cut + 1).await;
    service
}

/// The columns of the report with the figure that is behind each.
const CELLS: [(&str, &str); 13] = [
    ("attempts", "cost"),
    ("unknown_cost_attempts", "cost"),
    ("won_nanos", "won"),
    ("retry_nanos", "retry"),
    ("free_nanos", "free"),
    ("lost_nanos", "lost"),
    ("pending_nanos", "pending"),
    ("cost_nanos", "cost"),
    ("confirmed", "confirmed"),
    ("assumed", "assumed"),
    ("failed", "failed"),
    ("void", "void"),
    ("revenue_nanos", "revenue"),
];

/// What a cell of the report is in an answer that tells the figure by its parts.
fn told<'a>(part: &'a Value, field: &str) -> &'a Value {
    match field {
        "attempts" => &part["attempts"],
        "unknown_cost_attempts" => &part["unknown_cost_attempts"],
        "revenue_nanos" => &part["revenue_nanos"],
        field if field.ends_with("_nanos") => &part["cost_nanos"],
        _ => &part["outcomes"],
    }
}

fn plain(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let byte = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}

/// The address of the cases behind a cell, written here a second time.
fn query(by: &str, key: Option<&str>, currency: &str, figure: &str) -> String {
    let day = if by == "day" { key } else { None };
    let next = |day: &str| {
        let (month, date) = day.rsplit_once('-').unwrap();
        let date: u32 = date.parse().unwrap();
        match (month, date) {
            ("2026-10", 31) => "2026-11-01".to_string(),
            _ => format!("{month}-{:02}", date + 1),
        }
    };
    let (from, to) =
        day.map_or(("2026-10-01".into(), "2026-11-01".into()), |day| (day.to_string(), next(day)));
    let of = |name: &str| match key {
        Some(key) if by == name => format!("&{name}={}", plain(key)),
        _ => String::new(),
    };
    let narrowed: String = ["customer", "agent", "provider", "model", "action"].into_iter().map(of).collect();
    let sort = if figure == "revenue" { "-day" } else { "-cost" };
    format!("from={from}&to={to}{narrowed}&currency={currency}&bucket={figure}{}&sort={sort}", of("reason"))
}

/// As the page writes an amount exactly.
fn exact(nanos: i64) -> String {
    let (whole, rest) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let decimals = format!("{rest:09}");
    let decimals = decimals.trim_end_matches('0');
    let digits = whole.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{}{text}.{decimals:0<2}", if nanos < 0 { "-" } else { "" })
}

/// The figure of a query, after having added up its cases over all pages.
async fn followed(service: &Service, query: &str, currency: &str) -> Value {
    let first = service.get_json(&format!("/v1/figures/cases?{query}")).await;
    let total = first["total"][currency].clone();
    let (mut sums, mut cases, mut page) = ([0_i64; 5], 0_usize, first.clone());
    const PARTS: [&str; 5] = ["attempts", "unknown_cost_attempts", "cost_nanos", "outcomes", "revenue_nanos"];
    // What periods add beyond list prices is of no case.
    sums[4] = first["of_no_case_nanos"][currency].as_i64().unwrap_or_default();
    let (mut last, mut last_day) = (i64::MAX, "9999".to_string());
    loop {
        for case in page["cases"].as_array().unwrap() {
            if query.contains("sort=-day") {
                let day = case["day"].as_str().unwrap().to_string();
                assert!(day <= last_day, "{query}: {case} after {last_day}");
                last_day = day;
            } else {
                let rank = case["whole_cost_nanos"].as_i64().unwrap();
                assert!(rank <= last, "{query}: {case} after {last}");
                last = rank;
            }
            for (sum, part) in sums.iter_mut().zip(PARTS) {
                *sum += case["figure"][currency][part].as_i64().unwrap();
            }
            cases += 1;
        }
        let Some(next) = page["next"].as_str() else { break };
        page = service.get_json(&format!("/v1/figures/cases?{query}&after={}", plain(next))).await;
    }
    for (sum, part) in sums.iter().zip(PARTS) {
        assert_eq!(*sum, total[part].as_i64().unwrap_or_default(), "{query}: {part} of {cases} cases");
    }
    assert_eq!(first["count"], cases, "{query}");
    total
}

async fn each_figure_leads_to_its_cases(name: &str, url: String) {
    let service = october(name, &url).await;
    let days = "from=2026-10-01&to=2026-11-01";
    let mut followed_figures = 0;
    // The totals are the same whatever the rows are.
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for by in ["customer", "agent", "provider", "model", "action", "reason", "day"] {
        let report = service.get_json(&format!("/v1/reports/failure-cost?{days}&by={by}")).await;
        let page = service.get(&format!("/reports/failure-cost?{days}&by={by}")).await.text().await.unwrap();
        let page = page.replace("&#38;", "&").replace("&amp;", "&");
        let rows = report["rows"].as_array().unwrap().iter().map(|row| (row["key"].as_str(), row));
        let totals = report["totals"].as_array().unwrap().iter().map(|row| (None, row));
        for (key, row) in rows.chain(totals) {
            let currency = row["currency"].as_str().unwrap();
            for (field, figure) in CELLS {
                let query = query(by, key, currency, figure);
                assert!(page.contains(&format!("href=\"/cases?{query}\"")), "{by} {key:?} {field}: {query}");
                // The same question for another column was followed already.
                if matches!(field, "attempts" | "unknown_cost_attempts") {
                    continue;
                }
                if !known.contains_key(&query) {
                    known.insert(query.clone(), followed(&service, &query, currency).await);
                }
                let total = &known[&query];
                let of_row = row[field].as_i64().unwrap();
                assert_eq!(
                    told(total, field).as_i64().unwrap_or_default(),
                    of_row,
                    "{by} {key:?} {field}: {query}"
                );
                if field == "cost_nanos" {
                    for field in ["attempts", "unknown_cost_attempts"] {
                        let told = told(total, field).as_i64().unwrap_or_default();
                        assert_eq!(told, row[field].as_i64().unwrap(), "{by} {key:?} {field}");
                    }
                }
                followed_figures += usize::from(of_row != 0);
                // And the page that the link leads to says it.
                if by == "customer" && of_row != 0 {
                    let html = service.get(&format!("/cases?{query}")).await.text().await.unwrap();
                    let said = if field.ends_with("_nanos") { exact(of_row) } else { of_row.to_string() };
                    assert!(html.contains(&format!("<strong>{said}</strong>")), "{query}: {said}\n{html}");
                }
            }
        }
        if by == "reason" {
            for row in report["rows"].as_array().unwrap() {
                let currency = row["currency"].as_str().unwrap();
                let query = query("reason", row["key"].as_str(), currency, "failures");
                let total = followed(&service, &query, currency).await;
                let failures = row["lost_nanos"].as_i64().unwrap() + row["retry_nanos"].as_i64().unwrap();
                assert_eq!(total["cost_nanos"].as_i64().unwrap_or_default(), failures, "{query}");
            }
        }
    }
    assert!(followed_figures > 300, "{followed_figures}");

    // The dearest lost cases of the page are the first of all lost ones.
    let page = service.get(&format!("/reports/failure-cost?{days}")).await.text().await.unwrap();
    let lost = service.get_json(&format!("/v1/figures/cases?{days}&bucket=lost")).await;
    let (_, dearest) = page.split_once("Dearest lost cases").unwrap();
    for (nth, case) in lost["cases"].as_array().unwrap().iter().take(11).enumerate() {
        let link = format!(
            "/cases/{}/{}\"",
            plain(case["customer"].as_str().unwrap()),
            plain(case["case"].as_str().unwrap())
        );
        assert_eq!(dearest.contains(&link), nth < 10, "{nth}: {link}");
    }

    // By day, page after page, each case once.
    let query = format!("{days}&bucket=cost&sort=-day");
    let (mut seen, mut after, mut last) = (Vec::new(), String::new(), "9999".to_string());
    loop {
        let page = service.get_json(&format!("/v1/figures/cases?{query}{after}")).await;
        for case in page["cases"].as_array().unwrap() {
            let day = case["day"].as_str().unwrap().to_string();
            assert!(day <= last, "{case} after {last}");
            last = day;
            seen.push((case["customer"].to_string(), case["case"].to_string()));
        }
        let html = service.get(&format!("/cases?{query}{after}")).await.text().await.unwrap();
        assert_eq!(html.contains(">Older</a>"), page["next"].is_string());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={}", plain(next));
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert!(all > 100 && seen.len() == all, "{all} cases, {} of them once", seen.len());
    what_a_page_lists_is_fetched_by_the_same_words(&service).await;
}

/// The figure of a query, added up from the rows of a CSV: attempts, of unknown cost, nanos, outcomes, nanos of revenue; and how many cases.
fn added_up(csv: &str, currency: &str) -> ([i64; 5], usize) {
    let mut lines = csv.split_terminator("\r\n");
    let heading = "customer,case,verdict,day,currency,attempts,unknown_cost,cost,outcomes,revenue,case_cost";
    assert_eq!(lines.next(), Some(heading), "{csv}");
    let nanos = |text: &str| {
        let (whole, rest) = text.split_once('.').unwrap();
        let nanos: i64 = format!("{rest:0<9}").parse().unwrap();
        let sign = if text.starts_with('-') { -1 } else { 1 };
        sign * (whole.trim_start_matches('-').parse::<i64>().unwrap() * 1_000_000_000 + nanos)
    };
    let (mut sums, mut cases) = ([0_i64; 5], Vec::new());
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 11, "{line}");
        cases.push((cells[0], cells[1]));
        if cells[4] == currency {
            let count = |cell: usize| cells[cell].parse::<i64>().unwrap();
            for (sum, part) in
                sums.iter_mut().zip([count(5), count(6), nanos(cells[7]), count(8), nanos(cells[9])])
            {
                *sum += part;
            }
        }
    }
    cases.sort_unstable();
    cases.dedup();
    (sums, cases.len())
}

async fn what_a_page_lists_is_fetched_by_the_same_words(service: &Service) {
    let days = "from=2026-10-01&to=2026-11-01";
    for (query, currency) in [
        (format!("{days}&bucket=lost&currency=USD&reason=silence"), "USD"),
        (format!("{days}&bucket=failures&currency=USD&sort=-day"), "USD"),
        (format!("{days}&bucket=decided&currency=USD"), "USD"),
        (format!("{days}&bucket=cost"), "USD"),
        (format!("{days}&bucket=void&reason=-&provider=openai"), "USD"),
        (format!("{days}&bucket=revenue&currency=USD"), "USD"),
    ] {
        let asked = service.get_json(&format!("/v1/cases?{query}")).await;
        assert_eq!(asked, service.get_json(&format!("/v1/figures/cases?{query}")).await, "{query}");
        let response = service.get(&format!("/v1/cases?{query}&format=csv")).await;
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
        let csv = response.text().await.unwrap();
        let (sums, cases) = added_up(&csv, currency);
        let parts = ["attempts", "unknown_cost_attempts", "cost_nanos", "outcomes", "revenue_nanos"];
        for (sum, part) in sums.iter().zip(parts) {
            let of_no_case = &asked["of_no_case_nanos"][currency];
            let of_no_case = of_no_case.as_i64().filter(|_| part == "revenue_nanos").unwrap_or_default();
            let total = asked["total"][currency][part].as_i64().unwrap_or_default();
            assert_eq!(*sum, total - of_no_case, "{query}: {part}");
        }
        assert_eq!(asked["count"], cases, "{query}");

        // And the command by the same words again.
        let options: Vec<String> = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| format!("--{name}={value}"))
            .collect();
        let list = |more: &[&str]| {
            let options = options.iter().map(String::as_str).chain(more.iter().copied());
            service.command(&["cases", "list"].into_iter().chain(options).collect::<Vec<_>>())
        };
        assert_eq!(list(&["--format=csv"]), csv, "{query}");
        let told: Value = serde_json::from_str(&list(&["--format=json"])).unwrap();
        assert_eq!(told, asked, "{query}");
        let table = list(&[]);
        let listed = asked["cases"].as_array().unwrap();
        assert!(table.lines().count() > listed.len(), "{table}");
        assert!(listed.iter().all(|case| table.contains(case["case"].as_str().unwrap())), "{table}");
    }
    let judged = service.get_json("/v1/cases?verdict=failed").await;
    let told: Value = serde_json::from_str(&service.command(&["cases", "list", "--verdict=failed"])).unwrap();
    assert_eq!(told, judged);
    assert!(judged.as_array().unwrap().iter().all(|case| case["verdict"] == "failed"), "{judged}");
}

#[tokio::test]
async fn each_figure_leads_to_its_cases_on_sqlite() {
    each_figure_leads_to_its_cases("drill-sqlite", fresh_sqlite(&folder("drill-sqlite"))).await;
}

#[tokio::test]
async fn each_figure_leads_to_its_cases_on_postgres() {
    each_figure_leads_to_its_cases("drill-postgres", fresh_postgres("doors_drill").await).await;
}

/// Two charges of 0.99 are less than the minimum of the month: what it adds is of no case, and is told.
async fn what_a_period_adds_is_of_no_case(name: &str, url: String) {
    let service = start_on(name, &url).await;
    service.post("/v1/contracts", &with(&contract("acme"), "/minimum", json!("10"))).await;
    for case in ["c-1", "c-2"] {
        service.post("/v1/attempts", &attempt("acme", case)).await;
        let said = json!({ "id": case, "customer": "acme", "case": case, "kind": "confirmed", "occurred_at": rfc3339(START + 2 * HOUR) });
        service.post("/v1/resolutions", &said).await;
    }
    service.move_clock(START + 45 * DAY).await;
    service.wait_until_idle(Duration::from_secs(30)).await;
    let days = "from=2026-10-01&to=2026-11-01";
    let report = service.get_json(&format!("/v1/reports/failure-cost?{days}&by=agent")).await;
    assert_eq!(report["totals"][0]["revenue_nanos"], 10_000_000_000_i64, "{report}");
    let total = followed(&service, &format!("{days}&currency=USD&bucket=revenue&sort=-day"), "USD").await;
    assert_eq!(total["revenue_nanos"], 10_000_000_000_i64);
    let behind = service.get_json(&format!("/v1/figures/cases?{days}&bucket=revenue")).await;
    assert_eq!(behind["of_no_case_nanos"], json!({ "USD": 8_020_000_000_i64 }));
    assert_eq!(behind["cases"].as_array().unwrap().len(), 2);
    // It stands under no agent; each charge stands under its own.
    for (of, cases, revenue) in [("agent=-", 0, 8_020_000_000_i64), ("agent=resolver", 2, 1_980_000_000)] {
        let behind = service.get_json(&format!("/v1/figures/cases?{days}&bucket=revenue&{of}")).await;
        assert_eq!(behind["total"]["USD"]["revenue_nanos"], revenue, "{of}: {behind}");
        assert_eq!(behind["cases"].as_array().unwrap().len(), cases, "{of}: {behind}");
    }
    let html = service.get(&format!("/cases?{days}&bucket=revenue")).await.text().await.unwrap();
    assert!(html.contains("<strong>10.00</strong></td><td>1.98</td><td>8.02</td>"), "{html}");
    assert!(html.contains("2 of them") && html.contains("it stands on <a href=\"/invoices\">"), "{html}");
    // It stands on the last day of the month, and on no other.
    let first = service.get_json("/v1/figures/cases?from=2026-10-01&to=2026-10-31&bucket=revenue").await;
    assert_eq!(
        (&first["total"]["USD"]["revenue_nanos"], &first["of_no_case_nanos"]),
        (&json!(1_980_000_000_i64), &json!({}))
    );
}

#[tokio::test]
async fn what_a_period_adds_is_of_no_case_on_sqlite() {
    what_a_period_adds_is_of_no_case("drill-period", fresh_sqlite(&folder("drill-period"))).await;
}

#[tokio::test]
async fn what_a_period_adds_is_of_no_case_on_postgres() {
    what_a_period_adds_is_of_no_case("drill-period-postgres", fresh_postgres("doors_drill_period").await)
        .await;
}

#[tokio::test]
async fn what_is_wrong_in_a_question_is_named() {
    let service = crate::start("drill-refused").await;
    for (query, field) in [
        ("bucket=profit", "bucket"),
        ("sort=cost", "sort"),
        ("bucket=revenue&sort=-cost", "sort"),
        ("after=1", "after"),
        ("from=soon", "from"),
        ("from=2026-10-02&to=2026-10-02", "to"),
        ("colour=red", "colour"),
    ] {
        let detail = problem(service.get(&format!("/v1/figures/cases?{query}")).await, 422).await;
        assert!(detail.contains(field), "{query}: {detail}");
    }
    for (query, field) in [
        ("bucket=revenue&sort=-cost", "sort"),
        ("agent=bot&sort=cost", "sort"),
        ("agent=bot&after=1", "after"),
        ("from=2026-10-02&to=2026-10-02", "to"),
        ("bucket=lost&verdict=failed", "verdict"),
        ("bucket=lost&format=pdf", "format"),
        ("verdict=won", "verdict"),
        ("colour=red", "colour"),
    ] {
        let detail = problem(service.get(&format!("/v1/cases?{query}")).await, 422).await;
        assert!(detail.contains(field), "{query}: {detail}");
        let options: Vec<String> = query.split('&').map(|pair| format!("--{pair}")).collect();
        let refused = service.try_command(
            &["cases", "list"].into_iter().chain(options.iter().map(String::as_str)).collect::<Vec<_>>(),
        );
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains(field), "{query}: {told}");
    }
    assert_eq!(service.get("/cases?agent=bot").await.status(), 200);
    assert_eq!(service.get("/cases?bucket=lost&verdict=failed").await.status(), 422);
    assert_eq!(service.get("/cases?bucket=revenue&sort=").await.status(), 200);
    let page = service.get("/cases?bucket=profit").await;
    assert_eq!(page.status(), 422);
    assert!(page.text().await.unwrap().contains("bucket"));
    let list = service.get("/cases?customer=acme&verdict=failed").await.text().await.unwrap();
    assert!(list.contains("No such case was judged."), "{list}");
}
