//! A customer's own page by its link, what its open periods come to, and the alerts at shares of a cap.

use crate::secrets::KEY;
use crate::{START, attempt, contract, folder, problem, start, start_with, with};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, texts};
use verdict_tests::service::{Service, client};

const PUBLIC_URL: &str = "https://billing.example.com";

/// The path of a link that is made over HTTP.
async fn link(service: &Service, customer: &str, days: u32) -> String {
    let made = service.post(&format!("/v1/customers/{customer}/page-link"), &json!({ "days": days })).await;
    let url = made["url"].as_str().unwrap();
    url.strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url}")).into()
}

/// A page without any key: its status and text. All of them say that no cache and no search engine may keep them.
async fn seen(service: &Service, path: &str) -> (StatusCode, String) {
    looked(client().get(service.url(path))).await
}

async fn looked(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    for (name, value) in [
        ("x-robots-tag", "noindex"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'"),
    ] {
        let said = response.headers()[name].to_str().unwrap();
        assert!(said.contains(value), "{name}: {said}");
    }
    let status = response.status();
    // By chance the token may read as anything.
    let token = response.url().path_segments().and_then(|mut parts| parts.nth(1)).unwrap().to_string();
    let text = response.text().await.unwrap();
    let said = text.replace(&token, "");
    for hidden in ["resolver", "gpt-4o", "openai", "Globex", "g-1", "key:test", "Kim"] {
        assert!(!said.contains(hidden), "{hidden} is not the customer's business:\n{text}");
    }
    (status, text)
}

/// The page, which must be there.
async fn page(service: &Service, path: &str) -> String {
    let (status, text) = seen(service, path).await;
    assert_eq!(status, 200, "{path}\n{text}");
    text
}

/// The subjects of the open alerts of spending, and how many there ever were.
async fn alerts(service: &Service) -> (Vec<String>, usize) {
    let alerts = service.get_json("/v1/alerts").await;
    let alerts = alerts.as_array().unwrap().iter().filter(|alert| alert["kind"] == "spend");
    let (open, over): (Vec<&Value>, Vec<&Value>) = alerts.partition(|alert| alert["cleared_at"].is_null());
    let mut subjects: Vec<String> =
        open.iter().map(|alert| alert["subject"].as_str().unwrap().to_string()).collect();
    subjects.sort();
    (subjects, open.len() + over.len())
}

async fn estimate(service: &Service) -> Value {
    service.get_json("/v1/customers/acme/estimate").await
}

async fn a_customer_sees_its_own(name: &str, database_url: &str) {
    let environment = [("VERDICT_SECRETS_KEY", KEY), ("VERDICT_PUBLIC_URL", PUBLIC_URL)];
    let service = start_with(name, database_url, "", &environment).await;
    service.post("/v1/contracts", &with(&contract("acme"), "/cap", json!("2.5"))).await;
    service.post("/v1/contracts", &with(&contract("globex"), "/bill_to/name", json!("Globex Inc."))).await;
    for (customer, case) in
        [("acme", "a-1"), ("acme", "a-2"), ("acme", "a-3"), ("acme", "p-1"), ("globex", "g-1")]
    {
        service.post("/v1/attempts", &attempt(customer, case)).await;
        if case != "p-1" {
            let confirmed = json!({ "id": format!("r-{case}"), "customer": customer, "case": case, "kind": "confirmed", "occurred_at": rfc3339(START + HOUR) });
            service.post("/v1/resolutions", &confirmed).await;
        }
    }
    service.move_clock(START + 2 * DAY).await;

    // Three come to 2.97, and may come to 2.50. The alerts are raised once, however often it is looked.
    let so_far = estimate(&service).await;
    assert_eq!([&so_far["pending"], &so_far["periods"][0]["total"]], [&json!(1), &json!("2.50")], "{so_far}");
    let both = ["acme 2026-10-01T00:00:00Z cap 100", "acme 2026-10-01T00:00:00Z cap 80"].map(String::from);
    assert_eq!(alerts(&service).await, (both.to_vec(), 2));
    service.move_clock(START + 2 * DAY + HOUR).await;
    assert_eq!(alerts(&service).await, (both.to_vec(), 2));
    let text = service.get_json("/v1/alerts").await[0]["text"].as_str().unwrap().to_string();
    assert!(text.contains("2.97 USD") && text.contains("what is beyond is recorded and free"), "{text}");

    let made = service.command(&["customers", "page", "acme", "--days", "40"]);
    let acme = made.trim().strip_prefix(PUBLIC_URL).unwrap().to_string();
    let globex = link(&service, "globex", 100).await;
    let home = page(&service, &acme).await;
    for text in
        ["Acme Inc.", "This period so far", "2.50 USD", "Outcomes beyond the cap", "There is none yet."]
    {
        assert!(home.contains(text), "{text}\n{home}");
    }
    let outcomes = page(&service, &format!("{acme}/outcomes")).await;
    assert_eq!(outcomes.matches(">Dispute</a>").count(), 3, "{outcomes}");

    // The button: only from this page itself, and what is raised is the customer's word.
    let case = page(&service, &format!("{acme}/cases/a-1")).await;
    assert!(case.contains("Dispute this outcome") && case.contains("The agent answered"), "{case}");
    let id = case.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let send = |headers: &[(&'static str, &str)]| {
        let body = format!("id={id}&episode=start&reason=it+was%0D%0Aour+own+people");
        let request = client().post(service.url(&format!("{acme}/cases/a-1/dispute"))).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    for foreign in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", PUBLIC_URL)],
    ] {
        assert_eq!(looked(send(foreign)).await.0, 403, "{foreign:?}");
    }
    assert_eq!(service.get_json("/v1/disputes").await, json!([]));
    // Sent twice, as by a double click, it is one. The answer leads back to the case.
    for headers in [&[("origin", PUBLIC_URL)][..], &[("sec-fetch-site", "same-origin"), ("origin", "null")]] {
        let (status, text) = looked(send(headers)).await;
        assert!(status == 200 && text.contains("Dispute open") && !text.contains("Dispute this"), "{text}");
    }
    let disputes = service.get_json("/v1/disputes").await;
    assert_eq!(disputes.as_array().unwrap().len(), 1, "{disputes}");
    assert_eq!(
        [&disputes[0]["author"], &disputes[0]["reason"]],
        ["customer:acme via page", "it was our own people"]
    );
    let decision = json!({ "customer": "acme", "case": "a-1", "dispute": disputes[0]["id"], "reason": "we looked", "author": "Kim" });
    service.post("/v1/disputes/accept", &decision).await;
    service.move_clock(START + 2 * DAY + 2 * HOUR).await;
    let case = page(&service, &format!("{acme}/cases/a-1")).await;
    assert!(case.contains("Dispute accepted") && case.contains("verdict void") && case.contains("we looked"));
    // Two come to 1.98: less than 80 % of the cap. With the one that is assumed later it is 2.47.
    assert_eq!(alerts(&service).await, (Vec::new(), 2));
    service.move_clock(START + 4 * DAY).await;
    assert_eq!(alerts(&service).await, (both[1..].to_vec(), 3));

    // The estimate is what is invoiced, line by line; then there is nothing left to watch.
    let so_far = estimate(&service).await;
    let shown = service.command(&["estimate", "acme"]);
    assert!(shown.contains("2.47  USD in total") && shown.contains("0 cases are pending"), "{shown}");
    service.move_clock(START + 34 * DAY).await;
    let invoices = service.get_json("/v1/invoices").await;
    let of =
        |customer: &str| invoices.as_array().unwrap().iter().find(|i| i["customer"] == customer).unwrap();
    assert_eq!(of("acme")["lines"], so_far["periods"][0]["lines"]);
    assert_eq!([&of("acme")["total"], &so_far["pending"]], [&json!("2.47"), &json!(0)]);
    assert_eq!(alerts(&service).await, (Vec::new(), 3));

    let invoice = format!("{acme}/invoices/{}", of("acme")["id"].as_str().unwrap());
    assert!(page(&service, &acme).await.contains("not sent yet"));
    let shown = page(&service, &invoice).await;
    assert!(
        shown.contains("2.47 USD") && shown.contains("accepted") && shown.contains(">a-2</a>"),
        "{shown}"
    );
    let evidence = page(&service, &format!("{invoice}/evidence.csv")).await;
    let rows: Vec<&str> = evidence.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 6, "{evidence}");
    assert_eq!(rows[0], "case,action,kind,effective_at,quantity,list_price,currency,why");
    assert!(
        rows[1].starts_with("a-1,support.resolution,confirmed,2026-10-02T01:00:00Z,1,0.99,USD,"),
        "{evidence}"
    );
    assert!(rows[1].contains("Void: it was confirmed by"), "{evidence}");

    // What is another's, or not final, is not there; nor is anything for a token that is not ours.
    let theirs = of("globex")["id"].as_str().unwrap();
    for path in [format!("invoices/{theirs}"), format!("invoices/{theirs}/evidence.csv"), "cases/g-1".into()]
    {
        let (status, text) = seen(&service, &format!("{acme}/{path}")).await;
        assert_eq!(status, 404, "{path}\n{text}");
    }
    let other_way = client().get(service.url(&format!("{globex}/cases/a-2"))).send().await.unwrap();
    assert_eq!(other_way.status(), 404);
    for at in [3, 20, acme.len() - 2] {
        let mut changed = acme.clone();
        let other = if &changed[at..=at] == "A" { "B" } else { "A" };
        changed.replace_range(at..=at, other);
        assert_eq!(seen(&service, &changed).await.0, 404, "{changed}");
    }
    assert_eq!(seen(&service, &acme[..acme.len() - 1]).await.0, 404);
    let db = connect(database_url).await;
    let change =
        |state: &str| format!("UPDATE invoices SET state = '{state}' WHERE customer = 'acme' RETURNING id");
    for state in ["draft", "shadow"] {
        assert_eq!(texts(&db, &change(state)).await.len(), 1);
        assert!(page(&service, &acme).await.contains("There is none yet."), "{state}");
        assert_eq!(seen(&service, &invoice).await.0, 404, "{state}");
        assert!(!page(&service, &format!("{acme}/cases/a-2")).await.contains("/invoices/"), "{state}");
    }
    texts(&db, &change("final")).await;

    // Links end: by time, and when they are revoked.
    service.move_clock(START + 42 * DAY + HOUR - 1_000_000).await;
    page(&service, &acme).await;
    service.move_clock(START + 42 * DAY + HOUR).await;
    let (status, text) = seen(&service, &acme).await;
    assert!(status == 410 && text.contains("This link has expired"), "{text}");
    let next = link(&service, "acme", 30).await;
    page(&service, &next).await;
    service.command(&["customers", "revoke-pages", "acme"]);
    assert_eq!(seen(&service, &next).await.0, 404);
    assert_eq!(client().get(service.url(&globex)).send().await.unwrap().status(), 200);
    let newest = link(&service, "acme", 30).await;
    page(&service, &newest).await;
}

#[tokio::test]
async fn a_customer_sees_its_own_and_nothing_else_on_sqlite() {
    a_customer_sees_its_own("customer-sqlite", &fresh_sqlite(&folder("customer-sqlite"))).await;
}

#[tokio::test]
async fn a_customer_sees_its_own_and_nothing_else_on_postgres() {
    a_customer_sees_its_own("customer-postgres", &fresh_postgres("doors_customer").await).await;
}

#[tokio::test]
async fn a_link_needs_a_key_an_address_and_a_customer() {
    let ask = async |service: &Service, customer: &str, body: &Value, status: u16| {
        let path = format!("/v1/customers/{customer}/page-link");
        problem(service.try_post(&path, body).await.unwrap(), status).await
    };
    let bare = start("customer-bare").await;
    bare.post("/v1/contracts", &contract("acme")).await;
    assert!(ask(&bare, "acme", &json!({}), 409).await.contains("secrets_key is not set"));
    let refused = bare.try_command(&["customers", "page", "acme"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("secrets_key"));
    let name = "customer-no-address";
    let url = fresh_sqlite(&folder(name));
    let service = start_with(name, &url, "", &[("VERDICT_SECRETS_KEY", KEY)]).await;
    assert!(ask(&service, "acme", &json!({}), 409).await.contains("public_url is not set"));

    let name = "customer-refused";
    let url = fresh_sqlite(&folder(name));
    let environment = [("VERDICT_SECRETS_KEY", KEY), ("VERDICT_PUBLIC_URL", "https://billing.example.com/")];
    let service = start_with(name, &url, "", &environment).await;
    assert!(ask(&service, "nobody", &json!({}), 404).await.contains("nobody"));
    problem(service.get("/v1/customers/nobody/estimate").await, 404).await;
    service.post("/v1/contracts", &contract("acme")).await;
    for body in [json!({ "days": 0 }), json!({ "days": 401 }), json!({ "days": 1, "colour": "red" })] {
        ask(&service, "acme", &body, 422).await;
    }
    page(&service, &link(&service, "acme", 1).await).await;
}
