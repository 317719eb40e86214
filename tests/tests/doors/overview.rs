//! The overview and the groups, over HTTP: the figures of a month beside those of another, on both databases.

use crate::cases::databases;
use crate::{START, attempt, contract, folder, problem, start_with, with};
use reqwest::Client;
use reqwest::header::SET_COOKIE;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::service::Service;

/// An attempt of a case that costs 0.25 USD, at an hour after [`START`].
fn costly(customer: &str, case: &str, hours: i64, status: &str) -> Value {
    let attempt = with(&attempt(customer, case), "/status", json!(status));
    let attempt = with(&attempt, "/ended_at", json!(rfc3339(START + hours * HOUR)));
    let attempt = with(&attempt, "/started_at", json!(rfc3339(START + hours * HOUR - MINUTE)));
    with(&attempt, "/reported_cost", json!({ "amount": "0.25", "currency": "USD" }))
}

async fn confirm(service: &Service, customer: &str, case: &str, hours: i64) {
    let confirmed = json!({
        "id": format!("r-{case}"), "customer": customer, "case": case, "kind": "confirmed",
        "occurred_at": rfc3339(START + hours * HOUR),
    });
    service.post("/v1/resolutions", &confirmed).await;
}

/// Of acme, 40 cases: 30 won, 10 failed and handed over; two more wait. Of globex, billed in euros, one that was won.
async fn told(service: &Service) {
    service.post("/v1/contracts", &contract("acme")).await;
    service.post("/v1/contracts", &with(&contract("globex"), "/currency", json!("EUR"))).await;
    for nth in 0..40 {
        let case = format!("a-{nth}");
        let status = if nth < 30 { "answered" } else { "handed_off" };
        service.post("/v1/attempts", &costly("acme", &case, 1, status)).await;
        if nth < 30 {
            confirm(service, "acme", &case, 2).await;
        }
    }
    service.post("/v1/attempts", &costly("globex", "g-1", 1, "answered")).await;
    confirm(service, "globex", "g-1", 2).await;
    service.move_clock(START + 9 * DAY).await;
    for case in ["late-1", "late-2"] {
        service.post("/v1/attempts", &costly("acme", case, 9 * 24, "answered")).await;
    }
    service.move_clock(START + 9 * DAY + HOUR).await;
}

/// GET of a page by a login.
async fn page(service: &Service, path: &str) -> (u16, String) {
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let login =
        client.post(service.url("/login")).header("content-type", "application/x-www-form-urlencoded");
    let login = login.body(format!("key={}", service.key)).send().await.unwrap();
    let cookie = login.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_string();
    let response = client.get(service.url(path)).header("cookie", cookie).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_month_stands_beside_another_with_what_it_is_worth() {
    for (name, url) in databases("figures").await {
        let config = "stripe_fee_basis_points = 1000\n";
        let service = start_with(&name, &url, config, &[]).await;
        told(&service).await;

        let overview = service.get_json("/v1/reports/overview").await;
        assert_eq!([&overview["from"], &overview["to"]], ["2026-10-01", "2026-10-11"], "{name}");
        assert_eq!(overview["compared"], json!({ "from": "2026-09-01", "to": "2026-09-11" }));
        let counted = &overview["counted"];
        assert_eq!(
            [&counted["confirmed"], &counted["failed"], &counted["pending"]],
            [31, 10, 2],
            "{counted}"
        );
        assert_eq!([&counted["success"]["successes"], &counted["success"]["decided"]], [31, 41]);
        let of = |code: &str| {
            let all = overview["currencies"].as_array().unwrap();
            all.iter().find(|money| money["currency"] == code).unwrap().clone()
        };
        let dollars = of("USD");
        assert_eq!(dollars["left_out"], json!(["globex"]), "its revenue is in euros, its cost in dollars");
        let now = &dollars["now"];
        // 30 won at 0.99; 43 attempts at 0.25, of which one is globex's.
        assert_eq!([&now["revenue_nanos"], &now["cost_nanos"]], [29_700_000_000_i64, 10_750_000_000]);
        assert_eq!(now["margin_nanos"], Value::Null);
        let one = &now["one_currency"];
        assert_eq!([&one["margin_nanos"], &one["won"]], [29_700_000_000_i64 - 10_500_000_000, 30]);
        // (29.70 − 40 × 0.25) / 40 decided attempts.
        assert_eq!(one["profit_per_attempt_nanos"], 492_500_000);
        // (10.50 + 10 % of 29.70) / 30.
        assert_eq!([&now["stripe_fee_nanos"], &now["loaded_cost_nanos"]], [2_970_000_000_i64, 449_000_000]);
        // 2 pending × 30 / 40 × 0.99.
        assert_eq!([&now["pending"], &now["accrued_nanos"]], [2, 1_485_000_000]);
        assert_eq!([&now["failure_nanos"], &now["failure_permille"]], [2_500_000_000_i64, 233]);
        assert_eq!(dollars["before"]["revenue_nanos"], 0);
        assert_eq!(dollars["causes"][0]["key"], "handoff");
        assert_eq!(dollars["trend"].as_array().unwrap().len(), 10);
        assert_eq!(of("EUR")["now"]["accrued_nanos"], Value::Null, "one decided is too few");

        // The days after beside the first: only what waits is in them.
        let query = "from=2026-10-05&to=2026-10-11&compare_from=2026-10-01&compare_to=2026-10-05";
        let groups = service.get_json(&format!("/v1/reports/groups?by=customer&{query}")).await;
        let acme = &groups["lines"][0];
        assert_eq!([&acme["now"]["key"], &acme["before"]["key"]], ["acme", "acme"], "{groups}");
        assert_eq!([&acme["now"]["cost_nanos"], &acme["now"]["margin_nanos"]], [500_000_000, -500_000_000]);
        assert_eq!(acme["before"]["cost_nanos"], 10_000_000_000_i64);
        let agents = service.get_json("/v1/reports/groups?by=agent&customer=globex&compare=none").await;
        assert_eq!(agents["compared"], Value::Null);
        assert!(agents["lines"].as_array().unwrap().iter().all(|line| line["now"]["key"] == "resolver"));

        let (status, html) = page(&service, &format!("/overview?{query}&customer=acme")).await;
        assert_eq!(status, 200);
        for text in
            ["compared with 2026-10-01 to 2026-10-05", "Customer <strong>acme</strong>", "too few: 2 pending"]
        {
            assert!(html.contains(text), "{text}: {html}");
        }
        for path in ["/customers", "/agents", "/models", "/actions"] {
            let (status, html) = page(&service, &format!("{path}?sort=-margin")).await;
            assert!(status == 200 && html.contains("aria-sort=\"descending\""), "{path}: {html}");
        }
        assert!(page(&service, "/definitions").await.1.contains("Pending accrual"));
    }
}

#[tokio::test]
async fn what_cannot_be_compared_is_named() {
    let config = folder("figures-refused");
    let url = verdict_tests::database::fresh_sqlite(&config);
    let service = start_with("figures-refused", &url, "", &[]).await;
    for (query, field) in [
        ("compare=moon", "compare"),
        ("compare_from=2026-10-01", "compare_to"),
        ("compare=year&compare_from=2026-10-01&compare_to=2026-10-02", "compare"),
        ("to=2026-09-01", "to"),
        ("sort=luck", "sort"),
        ("luck=1", "luck"),
    ] {
        for report in ["overview", "groups"] {
            let detail = problem(service.get(&format!("/v1/reports/{report}?{query}")).await, 422).await;
            assert!(crate::names(&detail, field), "{report} {query}: {detail}");
        }
        let (status, html) = page(&service, &format!("/overview?{query}")).await;
        assert!(status == 422 && crate::names(&html, field), "{query}: {html}");
    }
    let detail = problem(service.get("/v1/reports/groups?by=reason").await, 422).await;
    assert!(crate::names(&detail, "by"), "{detail}");
}

/// The failure-cost report beside itself: as JSON, as files, by the command and on its page.
#[tokio::test]
async fn what_failure_costs_stands_beside_other_days() {
    for (name, url) in databases("beside").await {
        let service = start_with(&name, &url, "", &[]).await;
        told(&service).await;
        let days = "from=2026-10-08&to=2026-10-11";
        let own = format!("{days}&compare_from=2026-10-01&compare_to=2026-10-04");
        let alone = service.get_json(&format!("/v1/reports/failure-cost?{days}")).await;
        assert!(alone.get("before").is_none(), "{name}: nothing is compared unless it is asked for: {alone}");
        assert_eq!(alone["rows"].as_array().unwrap().len(), 1, "{alone}");

        let both = service.get_json(&format!("/v1/reports/failure-cost?{own}")).await;
        assert_eq!([&both["before"]["from"], &both["before"]["to"]], ["2026-10-01", "2026-10-04"]);
        let counts = |report: &Value| -> Vec<(String, i64)> {
            let rows = report["rows"].as_array().unwrap().iter().chain(report["totals"].as_array().unwrap());
            let row = |row: &Value| {
                let key = format!("{} {}", row["key"].as_str().unwrap(), row["currency"].as_str().unwrap());
                (key, row["attempts"].as_i64().unwrap())
            };
            rows.map(row).collect()
        };
        let told = |rows: &[(&str, i64)]| -> Vec<(String, i64)> {
            rows.iter().map(|(key, count)| (key.to_string(), *count)).collect()
        };
        // Who has nothing now stands there with zeros, so that what was before adds up.
        let now = [("acme USD", 2), ("globex EUR", 0), ("globex USD", 0), ("total EUR", 0), ("total USD", 2)];
        let before =
            [("acme USD", 40), ("globex EUR", 0), ("globex USD", 1), ("total EUR", 0), ("total USD", 41)];
        assert_eq!(counts(&both), told(&now), "{name}");
        assert_eq!(counts(&both["before"]), told(&before), "{name}");

        let csv =
            service.get(&format!("/v1/reports/failure-cost?{own}&format=csv")).await.text().await.unwrap();
        let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
        let at = |name: &str| lines[0].iter().position(|heading| *heading == name).unwrap();
        let (is, was) = (at("attempts"), at("before_attempts"));
        let read = |line: &Vec<&str>| (format!("{} {}", line[0], line[1]), line[is].parse().unwrap());
        assert_eq!(lines[1..].iter().map(read).collect::<Vec<_>>(), told(&now));
        let read = |line: &Vec<&str>| (format!("{} {}", line[0], line[1]), line[was].parse().unwrap());
        assert_eq!(lines[1..].iter().map(read).collect::<Vec<_>>(), told(&before));

        let arguments = [
            "report",
            "failure-cost",
            "--from",
            "2026-10-08",
            "--to",
            "2026-10-11",
            "--compare-from",
            "2026-10-01",
            "--compare-to",
            "2026-10-04",
            "--format",
        ];
        let printed = service.command(&[&arguments[..], &["json"]].concat());
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), both);
        let printed = service.command(&[&arguments[..], &["table"]].concat());
        assert!(printed.contains("Compared with:\nFailure cost, 2026-10-01 to 2026-10-04"), "{printed}");

        let (status, html) = page(&service, &format!("/reports/failure-cost?{own}")).await;
        assert_eq!(status, 200);
        for text in [
            "compared with 2026-10-01 to 2026-10-04",
            "<small class=\"\">down 38 (−95.0 %)</small>",
            "better</small>",
        ] {
            assert!(html.contains(text), "{text}\n{html}");
        }
        for (wrong, field) in [
            ("compare=moon", "compare: "),
            ("compare_to=2026-10-01", "compare_from: "),
            ("compare=days", "compare: "),
        ] {
            let answer = service.get(&format!("/v1/reports/failure-cost?{wrong}")).await;
            assert!(problem(answer, 422).await.contains(field), "{wrong}");
        }
    }
}

/// acme pays in dollars, globex in euros for what costs dollars: the totals hold what is acme's against each other, whatever the
/// rows are by, and say by currency what they leave out.
#[tokio::test]
async fn totals_in_several_currencies_are_told_by_currency() {
    for (name, url) in databases("currencies").await {
        let service = start_with(&name, &url, "", &[]).await;
        told(&service).await;
        let days = "from=2026-10-01&to=2026-10-11";
        let total = async |by: &str, currency: &str| {
            let report = service.get_json(&format!("/v1/reports/failure-cost?{days}&by={by}")).await;
            let totals = report["totals"].as_array().unwrap().clone();
            totals.into_iter().find(|row| row["currency"] == currency).unwrap()
        };
        for by in ["customer", "agent", "model", "action", "reason", "day", "provider"] {
            let dollars = total(by, "USD").await;
            // 30 x 0.99 less 42 x 0.25; globex's 0.25 is left out.
            assert_eq!(
                dollars["one_currency"]["margin_nanos"], 19_200_000_000_i64,
                "{name}, by {by}: {dollars}"
            );
            assert_eq!(
                (&dollars["one_currency"]["leaves_out"], &dollars["margin_nanos"]),
                (&json!(true), &json!(null))
            );
            let euros = total(by, "EUR").await;
            assert_eq!(euros["one_currency"]["margin_nanos"], json!(null), "{name}, by {by}: {euros}");
            assert_eq!((&euros["revenue_nanos"], &euros["cost_nanos"]), (&json!(990_000_000), &json!(0)));
            let (_, html) = page(&service, &format!("/reports/failure-cost?{days}&by={by}")).await;
            for text in [
                "19.2000",
                "in more than one currency: revenue 0.0000, cost 0.2500",
                "in more than one currency: revenue 0.9900, cost 0.0000",
            ] {
                assert!(html.contains(text), "by {by}: {text}\n{html}");
            }
        }
    }
}
