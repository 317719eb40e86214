//! Who may do what.

use crate::{START, attempt, contract, parked, problem, start, start_on};
use reqwest::header::{LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use verdict_oracle::{HOUR, rfc3339};
use verdict_tests::database::fresh_postgres;
use verdict_tests::service::Service;

const SCOPES: [&str; 5] = ["ingest", "resolve", "billing", "report", "admin"];
const PAGES: [&str; 13] = [
    "/overview",
    "/customers",
    "/agents",
    "/models",
    "/actions",
    "/reports/failure-cost",
    "/reports/provider-bill",
    "/levers",
    "/invoices",
    "/invoices/acme",
    "/alerts",
    "/sources",
    "/parked",
];

/// All that the description names, with something in place of each parameter.
fn operations(service: &Service) -> Vec<(Method, String)> {
    let description: Value = serde_json::from_str(&service.command(&["openapi"])).unwrap();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.replace("{source}", "support").replace(['{', '}'], "");
        for method in item.as_object().unwrap().keys() {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    assert!(operations.len() >= 16, "{operations:?}");
    operations
}

/// What a key needs for a path; `None`: any key will do.
fn scope_of(path: &str) -> Option<&'static str> {
    let scope = match path.split('/').nth(2).unwrap() {
        _ if path == "/v1/figures/rebuild" => "admin",
        "attempts" | "litellm" | "traces" => "ingest",
        "resolutions" => "resolve",
        "contracts" | "credits" | "customers" | "disputes" | "invoices" => "billing",
        "cases" | "chain" | "deliveries" | "export" | "figures" | "provider-bills" | "reconciliation"
        | "reports" => "report",
        "alerts" | "parked" | "prices" | "quarantine" | "sources" | "test-clock" => "admin",
        "status" => return None,
        _ => panic!("{path} is new: say here which scope it needs"),
    };
    Some(scope)
}

fn new_key(service: &Service, scopes: &str) -> String {
    service.command(&["keys", "create", "--name", "narrow", "--scopes", scopes]).trim().into()
}

/// A client that follows no redirects.
fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

async fn call(service: &Service, method: Method, path: &str, key: Option<&str>) -> Response {
    let request = client().request(method, service.url(path));
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    request.send().await.unwrap()
}

/// Sends the login form; gives the answer and the cookie, if it sets one.
async fn log_in(service: &Service, key: &str) -> (Response, Option<String>) {
    let request = client().post(service.url("/login"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let response = request.body(format!("key={key}")).send().await.unwrap();
    let cookie = response.headers().get(SET_COOKIE).map(|value| value.to_str().unwrap().to_string());
    (response, cookie)
}

/// GET of a page with a cookie.
async fn page(service: &Service, path: &str, cookie: &str) -> Response {
    let cookie = cookie.split(';').next().unwrap();
    client().get(service.url(path)).header("cookie", cookie).send().await.unwrap()
}

fn leads_to(response: &Response, path: &str) -> bool {
    response.status() == 303 && response.headers()[LOCATION] == path
}

#[tokio::test]
async fn nothing_answers_without_a_key_that_may() {
    let service = start("access-keys").await;
    let keys: Vec<String> = SCOPES.iter().map(|scope| new_key(&service, scope)).collect();
    let (id, _) = keys[0].rsplit_once('_').unwrap();
    let strangers = ["vk_0123456789ab_0123", "nonsense", &format!("{id}_{}", "0".repeat(64))];
    for (method, path) in operations(&service) {
        // It is opened by a signature alone; `stripe_events` tests it.
        if path == "/webhooks/stripe" {
            continue;
        }
        problem(call(&service, method.clone(), &path, None).await, 401).await;
        for stranger in strangers {
            problem(call(&service, method.clone(), &path, Some(stranger)).await, 401).await;
        }
        if path == "/webhooks/support" {
            continue;
        }
        for (scope, key) in SCOPES.iter().zip(&keys) {
            let response = call(&service, method.clone(), &path, Some(key)).await;
            match scope_of(&path) {
                Some(needed) if needed != *scope => {
                    let detail = problem(response, 403).await;
                    assert!(detail.contains(&format!("`{needed}`")), "{method} {path}: {detail}");
                }
                _ => {
                    let status = response.status().as_u16();
                    assert!(!matches!(status, 401 | 403), "{method} {path} with {scope}: {status}");
                }
            }
        }
    }
}

#[tokio::test]
async fn unknown_addresses_tell_nothing() {
    let service = start("access-unknown").await;
    for key in [None, Some(service.key.as_str())] {
        for (method, path) in [
            (Method::GET, "/v1"),
            (Method::GET, "/v1/nothing"),
            (Method::GET, "/v1/attempts"),
            (Method::DELETE, "/v1/contracts"),
            (Method::PUT, "/login"),
            (Method::GET, "/webhooks/support"),
            (Method::POST, "/webhooks"),
            (Method::GET, "/.env"),
            (Method::GET, "/static/../verdict.toml"),
        ] {
            problem(call(&service, method, path, key).await, 401).await;
        }
    }
}

#[tokio::test]
async fn pages_need_a_login() {
    let service = start("access-pages").await;
    for path in PAGES {
        let response = call(&service, Method::GET, path, None).await;
        assert!(leads_to(&response, "/login"), "{path}: {}", response.status());
        let response = page(&service, path, "verdict_session=0123456789abcdef").await;
        assert!(leads_to(&response, "/login"), "{path}: {}", response.status());
    }
    assert!(leads_to(&call(&service, Method::GET, "/", None).await, "/overview"));
    problem(call(&service, Method::GET, "/openapi.json", None).await, 401).await;
    assert_eq!(call(&service, Method::GET, "/login", None).await.status(), 200);
}

#[tokio::test]
async fn a_login_opens_the_pages_until_the_logout() {
    let service = start("access-login").await;
    for stranger in ["", "nonsense", "vk_0123456789ab_0123"] {
        let (response, cookie) = log_in(&service, stranger).await;
        assert_eq!((response.status().as_u16(), cookie), (401, None), "{stranger}");
    }
    let (response, cookie) = log_in(&service, &service.key).await;
    assert!(leads_to(&response, "/"), "{}", response.status());
    let cookie = cookie.unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let secret = service.key.rsplit_once('_').unwrap().1;
    assert!(!cookie.contains(secret), "the key is in the cookie");
    for path in PAGES.iter().filter(|path| **path != "/invoices/acme") {
        let response = page(&service, path, &cookie).await;
        assert_eq!(response.status(), 200, "{path}");
        assert!(
            response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'")
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    assert_eq!(page(&service, "/invoices/acme", &cookie).await.status(), 404);

    let logout = client().post(service.url("/logout")).header("cookie", cookie.split(';').next().unwrap());
    let response = logout.send().await.unwrap();
    assert!(leads_to(&response, "/login"));
    assert!(response.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert!(leads_to(&page(&service, "/invoices", &cookie).await, "/login"));
}

#[tokio::test]
async fn a_page_names_the_scope_that_a_login_lacks() {
    let service = start("access-narrow").await;
    let (_, cookie) = log_in(&service, &new_key(&service, "ingest")).await;
    let cookie = cookie.unwrap();
    let needed = [["report"; 8].as_slice(), &["billing", "billing", "admin", "admin", "admin"]].concat();
    for (path, scope) in PAGES.iter().zip(needed) {
        let response = page(&service, path, &cookie).await;
        assert_eq!(response.status(), 403, "{path}");
        let html = response.text().await.unwrap();
        assert!(html.contains(scope), "{path}: {html}");
    }
}

#[tokio::test]
async fn a_revoked_key_stops_working_at_once_and_so_does_its_login() {
    let service = start("access-revoked").await;
    let key = new_key(&service, "billing");
    let (_, cookie) = log_in(&service, &key).await;
    let cookie = cookie.unwrap();
    assert_eq!(call(&service, Method::GET, "/v1/invoices", Some(&key)).await.status(), 200);
    assert_eq!(page(&service, "/invoices", &cookie).await.status(), 200);

    let (id, secret) = key.strip_prefix("vk_").unwrap().split_once('_').unwrap();
    service.command(&["keys", "revoke", id]);
    problem(call(&service, Method::GET, "/v1/invoices", Some(&key)).await, 401).await;
    assert!(leads_to(&page(&service, "/invoices", &cookie).await, "/login"));
    assert_eq!(log_in(&service, &key).await.1, None);
    let list = service.command(&["keys", "list"]);
    assert!(list.lines().any(|line| line.starts_with(id) && line.contains("revoked")), "{list}");
    assert!(!list.contains(secret), "{list}");
}

#[tokio::test]
async fn problems_name_the_field_and_the_remedy() {
    let service = start("access-problems").await;
    for (query, field, remedy) in [
        ("from=yesterday", "from", "2026-10-01"),
        ("to=2026-13-01", "to", "2026-10-01"),
        ("from=2026-10-02&to=2026-10-02", "to", "after"),
        ("by=moon", "by", "customer, agent, provider, model, action, reason, day"),
        ("format=xml", "format", "json, csv or xlsx"),
        ("form=csv", "form", "expected"),
    ] {
        let detail = problem(service.get(&format!("/v1/reports/failure-cost?{query}")).await, 422).await;
        assert!(detail.contains(field) && detail.contains(remedy), "{query}: {detail}");
    }
    for path in ["/v1/cases/acme/none", "/v1/invoices/none", "/v1/parked/none"] {
        assert!(problem(service.get(path).await, 404).await.contains("not there"), "{path}");
    }
    let detail = problem(service.post_bytes("/v1/attempts", "text/plain", b"id".to_vec()).await, 422).await;
    assert!(detail.contains("text/plain") && detail.contains("application/json"), "{detail}");
    let detail =
        problem(service.post_bytes("/v1/contracts", "application/json", vec![0xff]).await, 422).await;
    assert!(detail.contains("UTF-8"), "{detail}");
}

/// NUL is the one character that PostgreSQL refuses in a text.
#[tokio::test]
async fn a_nul_in_an_address_or_a_form_is_no_error_of_ours() {
    let url = fresh_postgres("doors_access").await;
    let service = start_on("access-nul", &url).await;
    service.post("/v1/contracts", &contract("acme")).await;
    assert_eq!(log_in(&service, "vk_%00_%00").await.0.status(), 401);
    let mut wrong = Vec::new();
    for path in [
        "/v1/cases/a%00/b",
        "/v1/cases/a/b%00",
        "/v1/invoices/%00",
        "/v1/parked/%00",
        "/v1/reports/failure-cost?customer=%00",
    ] {
        let status = service.get(path).await.status();
        if !matches!(status.as_u16(), 200 | 404 | 422) {
            wrong.push(format!("{path}: {status}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is parked is tried again by a button, by who is logged in and by nobody else.
#[tokio::test]
async fn what_is_parked_is_tried_again_by_a_button() {
    let service = start("access-replay").await;
    let confirmed = json!({ "id": "r", "customer": "acme", "case": "b", "kind": "confirmed", "occurred_at": rfc3339(START + HOUR) });
    service.post("/v1/attempts", &attempt("acme", "b")).await;
    service.post("/v1/resolutions", &confirmed).await;
    service.move_clock(START + 40 * HOUR).await;
    let without_contract = parked(&service).await;
    assert_eq!(without_contract.len(), 1, "{without_contract:?}");
    let path = format!("/parked/{}/replay", without_contract[0]["id"].as_str().unwrap());
    assert!(leads_to(&call(&service, Method::POST, &path, None).await, "/login"));
    let (_, cookie) = log_in(&service, &service.key).await;
    let cookie = cookie.unwrap();
    let press = client().post(service.url(&path)).header("cookie", cookie.split(';').next().unwrap());
    let response = press.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("in line to be done"));
    let shown = page(&service, "/sources", &cookie).await.text().await.unwrap();
    assert!(shown.contains("support") && shown.contains("never"), "{shown}");
}
