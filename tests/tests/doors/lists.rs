//! Long lists, page by page: in order, each thing once, while more comes; and what is no place in a list is refused.

use crate::cases::databases;
use crate::{START, attempt, contract, problem, start_on};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::connect;
use verdict_tests::service::Service;

/// How many there are of everything: more than two pages hold.
const MANY: usize = 230;

/// The things of a page, in its order: what stands in its addresses between `before` and a quote; and the next page.
async fn page(service: &Service, path: &str, before: &str) -> (Vec<String>, Option<String>) {
    let response = service.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    let html = response.text().await.unwrap();
    let rows = html.split("<main").nth(1).unwrap();
    let things = rows.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_string());
    let next = rows.split(r#"" rel="next">"#).next().filter(|before| before.len() < rows.len());
    let next = next.map(|before| before.rsplit("href=\"").next().unwrap().replace("&#38;", "&"));
    (things.collect(), next)
}

/// All things of a list from this page on, as they are met; `more` comes to pass after each page.
async fn walked(
    service: &Service,
    path: &str,
    before: &str,
    mut more: impl AsyncFnMut(usize),
) -> Vec<String> {
    let (mut things, mut next) = page(service, path, before).await;
    assert!(things.len() <= 100, "{path}: {}", things.len());
    let mut pages = 1;
    while let Some(path) = next {
        more(pages).await;
        let (found, after) = page(service, &path, before).await;
        assert!(found.len() <= 100, "{path}: {}", found.len());
        things.extend(found);
        next = after;
        pages += 1;
        assert!(pages < 20, "{path} does not end");
    }
    things
}

async fn nothing(_: usize) {}

/// So many cases of two customers, all judged at one moment.
async fn cases(service: &Service, name: &str, count: usize) {
    let attempts: Vec<Value> = (0..count)
        .map(|nth| {
            let customer = if nth % 5 == 0 { "globex" } else { "acme" };
            attempt(customer, &format!("{name}-{nth:03}"))
        })
        .collect();
    service.post("/v1/attempts", &json!(attempts)).await;
}

#[tokio::test]
async fn cases_are_listed_in_pages_while_more_are_judged() {
    for (name, url) in databases("lists-cases").await {
        let service = start_on(&name, &url).await;
        service.post("/v1/contracts", &contract("acme")).await;
        cases(&service, "case", MANY).await;
        let failed = json!({ "id": "r-7", "customer": "acme", "case": "case-007", "kind": "failed", "occurred_at": rfc3339(START + HOUR) });
        service.post("/v1/resolutions", &failed).await;
        service.move_clock(START + 2 * HOUR).await;
        let list = |of: &str| {
            let of = of.to_string();
            (0..MANY)
                .map(|nth| format!("{}/case-{nth:03}", if nth % 5 == 0 { "globex" } else { "acme" }))
                .filter(move |case| case.contains(&of))
                .collect::<Vec<_>>()
        };
        let sorted = |mut cases: Vec<String>| {
            cases.sort();
            cases
        };
        let before = r#"<a href="/cases/"#;

        // Judged at one moment: the order is that of their names, from the last on.
        let all = walked(&service, "/cases", before, nothing).await;
        let backwards: Vec<String> = sorted(list("")).into_iter().rev().collect();
        assert_eq!(all, backwards, "{name}");

        // While new ones are judged between the pages: those come first, and are on none of the pages after.
        let met = walked(&service, "/cases", before, async |page| {
            cases(&service, &format!("new-{page}"), 30).await;
            service.move_clock(START + 2 * HOUR + i64::try_from(page).unwrap() * 1_000_000).await;
        });
        assert_eq!(met.await, backwards, "{name}");
        let again = walked(&service, "/cases", before, nothing).await;
        assert_eq!(again.len(), MANY + 60, "{name}");
        assert!(again[..30].iter().all(|case| case.contains("/new-2-")), "{name}: the last judged first");
        assert_eq!(again[60..], backwards[..], "{name}");

        // Each filter, alone and with others.
        for (query, wanted) in [
            ("customer=globex&q=case-", list("globex/")),
            ("q=case-", list("")),
            ("q=case-0", list("case-0")),
            ("verdict=failed", vec!["acme/case-007".to_string()]),
            ("verdict=failed&customer=acme&q=case-00", vec!["acme/case-007".to_string()]),
            ("verdict=failed&customer=globex", Vec::new()),
            ("verdict=void", Vec::new()),
            ("q=case-9", Vec::new()),
            ("q=CASE", Vec::new()),
        ] {
            let found = walked(&service, &format!("/cases?{query}"), before, nothing).await;
            assert_eq!(sorted(found), sorted(wanted), "{name}: {query}");
        }
        let of_one = walked(&service, "/cases?customer=acme&verdict=pending", before, nothing).await;
        let judged = of_one.iter().filter(|case| case.starts_with("acme/case-")).count();
        assert_eq!((of_one.len(), judged), (184 - 1 + 48, 184 - 1), "{name}");
        let by_id = walked(&service, "/cases?q=case-", before, nothing).await;
        assert!(by_id.is_sorted_by_key(|case| case.rsplit('/').next()), "{name}: in the order of their ids");

        // Programs are led on by a header.
        let (mut path, mut met) = (Some("/v1/cases?customer=acme".to_string()), Vec::new());
        while let Some(asked) = path {
            let response = service.get(&asked).await;
            let link = response.headers().get("link").map(|link| link.to_str().unwrap().to_string());
            let list: Vec<Value> = response.json().await.unwrap();
            assert!(list.len() <= 200);
            met.extend(list.iter().map(|case| case["case"].as_str().unwrap().to_string()));
            path = link.map(|link| {
                let (address, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
                assert_eq!(relation, "; rel=\"next\"");
                assert!(address.starts_with("/v1/cases?customer=acme&after="), "{address}");
                address.to_string()
            });
        }
        met.sort();
        met.dedup();
        assert_eq!(met.len(), 184 + 48, "{name}");
    }
}

#[tokio::test]
async fn invoices_parked_things_and_alerts_are_listed_in_pages_while_more_come() {
    for (name, url) in databases("lists-others").await {
        let service = start_on(&name, &url).await;
        let db = connect(&url).await;
        let write = async |rows: Vec<String>, into: &str| {
            db.execute_unprepared(&format!("INSERT INTO {into} VALUES {}", rows.join(", "))).await.unwrap();
        };

        // Invoices of four moments: the newest first, those of a moment by their ids.
        const INVOICES: &str = "invoices (id, kind, customer, period_start, period_end, currency, total_minor, bill_to, terms, \
                                drafted_at, state)";
        let month = |nth: usize| START - DAY * i64::try_from(nth % 4).unwrap();
        let invoice = |id: String, start: i64| {
            format!(
                "('{id}', 'invoice', 'acme', {start}, {}, 'USD', 1, '{{\"name\":\"A\",\"email\":\"a@b.example\"}}', '{{}}', {start}, 'final')",
                start + DAY
            )
        };
        let row = |nth: usize| invoice(format!("acme-{nth:03}"), month(nth));
        write((0..MANY).map(row).collect(), INVOICES).await;
        let line = |nth: usize| {
            format!("('acme-{nth:03}', 1, {START}, 'fee', 'seat', '', 1, 1, 10000000, 1, 'a seat')")
        };
        write(
            (0..MANY).map(line).collect(),
            "invoice_lines (invoice_id, number, period_start, item, action, win, contract_version, quantity, amount_nanos, \
             amount_minor, why)",
        )
        .await;
        let mut wanted: Vec<usize> = (0..MANY).collect();
        wanted.sort_by_key(|nth| (-month(*nth), *nth));
        let wanted: Vec<String> = wanted.into_iter().map(|nth| format!("acme-{nth:03}")).collect();
        let met = walked(&service, "/invoices", r#"<a href="/invoices/"#, async |page| {
            let newer = (0..40).map(|nth| invoice(format!("new-{page}-{nth:03}"), START + DAY));
            write(newer.collect(), INVOICES).await;
        });
        assert_eq!(met.await, wanted, "{name}");
        let all = service.get_json("/v1/invoices").await;
        assert_eq!(all.as_array().unwrap().len(), MANY + 80, "{name}");
        assert_eq!(all[80]["lines"][0]["why"], "a seat", "{name}: each with its own lines");
        assert_eq!(all[0]["lines"], json!([]), "{name}");

        // Parked at one moment: by their ids.
        let parked =
            |id: String, at: i64| format!("('{id}', 'attempt', 'text/plain', '{{}}', '', 'no', {at})");
        const PARKED: &str = "parked (id, origin, reference, headers, body, reason, parked_at)";
        let empty = |rows: Vec<String>| match url.starts_with("postgres") {
            true => rows,
            false => rows.into_iter().map(|row| row.replace("'', 'no'", "x'', 'no'")).collect(),
        };
        write(empty((0..MANY).map(|nth| parked(format!("p-{nth:03}"), START)).collect()), PARKED).await;
        let met = walked(&service, "/parked", r#"action="/parked/"#, async |page| {
            let newer = (0..20).map(|nth| parked(format!("a-{page}-{nth:03}"), START + 1));
            write(empty(newer.collect()), PARKED).await;
        });
        let met = met.await;
        let wanted: Vec<String> = (0..MANY).map(|nth| format!("p-{nth:03}/replay")).collect();
        assert_eq!(met[..MANY], wanted[..], "{name}");
        assert_eq!(met.len(), MANY + 40, "{name}: those that came later are at the end");

        // Alerts: those that stand, then those that are over, of either the last raised first.
        const ALERTS: &str = "alerts (kind, subject, text, raised_at, cleared_at)";
        let alert = |subject: String, over: bool| {
            format!(
                "('test', '{subject}', 'look', {START}, {})",
                if over { START.to_string() } else { "NULL".into() }
            )
        };
        write((0..MANY).map(|nth| alert(format!("s-{nth:03}"), nth % 2 == 0)).collect(), ALERTS).await;
        let order =
            (0..MANY).rev().filter(|nth| nth % 2 == 1).chain((0..MANY).rev().filter(|nth| nth % 2 == 0));
        let wanted: Vec<String> = order.map(|nth| format!("s-{nth:03}</td>")).collect();
        let met =
            walked(&service, "/alerts", r#"<td class="text">test</td><td class="text">"#, async |page| {
                write((0..20).map(|nth| alert(format!("new-{page}-{nth}"), false)).collect(), ALERTS).await;
            });
        let met: Vec<String> =
            met.await.iter().map(|rest| rest.split_inclusive("</td>").next().unwrap().to_string()).collect();
        assert_eq!(met, wanted, "{name}");
        let all = service.get_json("/v1/alerts").await;
        assert_eq!(all.as_array().unwrap().len(), MANY + 40, "{name}");
        assert!(all[0].get("number").is_none(), "{name}: {}", all[0]);
    }
}

#[tokio::test]
async fn what_is_no_place_in_a_list_is_refused() {
    for (name, url) in databases("lists-places").await {
        let service = start_on(&name, &url).await;
        for path in ["/v1/cases", "/v1/invoices", "/v1/parked", "/v1/alerts"] {
            for after in ["x", "[]", "[1,2,3,4]", "%5B%22a%22%5D", "null", "%5B%22%5Cu0000%22%2C%22%22%5D"] {
                let detail = problem(service.get(&format!("{path}?after={after}")).await, 422).await;
                assert!(detail.starts_with("after: "), "{name}: {path} {after}: {detail}");
            }
            assert_eq!(service.get(&format!("{path}?after=")).await.status(), 200, "{name}: {path}");
        }
        let nul = service.get("/v1/cases?after=%5B1%2C%22%5Cu0000%22%2C%22a%22%5D").await;
        assert!(problem(nul, 422).await.starts_with("after: "), "{name}: no database holds NUL");
        for path in [
            "/cases?after=x",
            "/invoices?after=x",
            "/parked?after=x",
            "/alerts?after=x",
            "/invoices/x?after=x",
        ] {
            let response = service.get(path).await;
            assert_eq!(response.status(), 422, "{name}: {path}");
            assert!(response.text().await.unwrap().contains("after: "), "{name}: {path}");
        }
        for path in ["/customers", "/agents", "/models", "/actions", "/reports/failure-cost"] {
            for page in ["0", "-1", "x", "1.5"] {
                let response = service.get(&format!("{path}?page={page}")).await;
                assert_eq!(response.status(), 422, "{name}: {path} {page}");
                assert!(response.text().await.unwrap().contains("page: "), "{name}: {path} {page}");
            }
            assert_eq!(service.get(&format!("{path}?page=7")).await.status(), 200, "{name}: {path}");
        }
    }
}
