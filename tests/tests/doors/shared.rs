//! Links to reports: each opens one view, for whoever has it, as long as it holds, and nothing else.

use crate::secrets::KEY;
use crate::{START, attempt, contract, folder, problem, start, start_with, with};
use reqwest::StatusCode;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, MINUTE};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::{Service, client};

const PUBLIC_URL: &str = "https://billing.example.com";

async fn sharing(name: &str, url: &str) -> Service {
    let environment = [("VERDICT_SECRETS_KEY", KEY), ("VERDICT_PUBLIC_URL", PUBLIC_URL)];
    let service = start_with(name, url, "", &environment).await;
    for customer in ["acme", "hooli"] {
        service.post("/v1/contracts", &contract(customer)).await;
        let other = with(&attempt(customer, "c-2"), "/model", json!(format!("model-of-{customer}")));
        service.post("/v1/attempts", &json!([attempt(customer, "c-1"), other])).await;
    }
    service.move_clock(START + 9 * DAY).await;
    service
}

fn path(url: &str) -> String {
    url.trim().strip_prefix(PUBLIC_URL).unwrap_or_else(|| panic!("{url}")).into()
}

async fn link(service: &Service, asked: &Value) -> String {
    path(service.post("/v1/reports/link", asked).await["url"].as_str().unwrap())
}

/// What an address answers without any key, in no cache and to no search engine.
async fn seen(service: &Service, path: &str) -> (StatusCode, String, Vec<u8>) {
    let response = client().get(service.url(path)).send().await.unwrap();
    for (name, value) in
        [("x-robots-tag", "noindex"), ("cache-control", "no-store"), ("referrer-policy", "no-referrer")]
    {
        assert!(response.headers()[name].to_str().unwrap().contains(value), "{path}: {name}");
    }
    assert!(!response.headers().contains_key("set-cookie"));
    let kind = response.headers()["content-type"].to_str().unwrap().to_string();
    (response.status(), kind, response.bytes().await.unwrap().into())
}

async fn opens_one_view(name: &str, url: String) {
    let service = sharing(name, &url).await;
    let asked = json!({ "report": "failure-cost", "from": "2026-10-01", "to": "2026-10-08", "customer": "acme", "by": "model" });
    let query = "from=2026-10-01&to=2026-10-08&customer=acme&by=model";
    // As a file it is what the same question answers to who has a key.
    for format in ["json", "csv"] {
        let (status, _, bytes) =
            seen(&service, &link(&service, &with(&asked, "/format", json!(format))).await).await;
        assert_eq!(status, 200);
        let own = service.get(&format!("/v1/reports/failure-cost?{query}&format={format}")).await;
        assert_eq!(bytes, own.bytes().await.unwrap().to_vec(), "{format}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("model-of-acme") && !text.contains("model-of-hooli"), "{text}");
    }
    let (status, kind, bytes) =
        seen(&service, &link(&service, &with(&asked, "/format", json!("xlsx"))).await).await;
    assert_eq!((status.as_u16(), &bytes[..2]), (200, b"PK".as_slice()));
    assert!(kind.contains("spreadsheetml"), "{kind}");

    // As a page it has all of the view, and no way to anything else.
    let made = service.post("/v1/reports/link", &with(&asked, "/expires", json!("36h"))).await;
    assert_eq!(made["expires_at"], "2026-10-11T12:00:00Z");
    let shared = path(made["url"].as_str().unwrap());
    let (status, _, bytes) = seen(&service, &shared).await;
    let html = String::from_utf8(bytes).unwrap();
    assert_eq!(status, 200, "{html}");
    for shown in [
        "2026-10-01 to 2026-10-08",
        "customer <strong>acme</strong>",
        "model-of-acme",
        "<svg",
        "Cost of failures",
    ] {
        assert!(html.contains(shown), "{shown}\n{html}");
    }
    for hidden in [
        "hooli",
        "href=\"/v1",
        "href=\"/reports",
        "href=\"/cases",
        "href=\"/invoices",
        "<form",
        "<script",
        "data-live",
    ] {
        assert!(!html.contains(hidden), "{hidden}\n{html}");
    }
    // Its parameters are the link's, whatever stands behind it.
    let (status, _, bytes) = seen(&service, &format!("{shared}?customer=hooli&by=customer")).await;
    assert_eq!((status.as_u16(), String::from_utf8(bytes).unwrap()), (200, html));
    let token = shared.strip_prefix("/r/").unwrap();
    for other in [format!("/c/{token}"), format!("/c/{token}/outcomes")] {
        assert_eq!(seen(&service, &other).await.0, 404, "{other}");
    }
    for other in
        [format!("/v1/reports/failure-cost?token={token}"), format!("/r/{token}/cases"), "/live".into()]
    {
        problem(client().get(service.url(&other)).send().await.unwrap(), 401).await;
    }
    // A link to a customer's page opens no report.
    let page = service.post("/v1/customers/acme/page-link", &json!({})).await;
    let page = path(page["url"].as_str().unwrap());
    assert_eq!(seen(&service, &page.replacen("/c/", "/r/", 1)).await.0, 404);

    // One that is changed, has expired or is revoked says so.
    let (status, _, bytes) = seen(&service, &format!("{}A", &shared[..shared.len() - 1])).await;
    let html = String::from_utf8(bytes).unwrap();
    assert!(status == 404 || shared.ends_with('A'), "{status}");
    assert!(html.contains("This link does not work") || shared.ends_with('A'), "{html}");
    assert_eq!(seen(&service, "/r/nonsense").await.0, 404);
    let command = [
        "reports",
        "link",
        "--from",
        "2026-10-01",
        "--to",
        "2026-10-08",
        "--expires",
        "90s",
        "--format",
        "csv",
    ];
    let short = path(&service.command(&command));
    assert_eq!(seen(&service, &short).await.0, 200);
    service.move_clock(START + 9 * DAY + 2 * MINUTE).await;
    let (status, _, bytes) = seen(&service, &short).await;
    assert_eq!(status, 410);
    assert!(String::from_utf8(bytes).unwrap().contains("This link has expired"));
    assert_eq!(seen(&service, &shared).await.0, 200);
    service.command(&["reports", "revoke-links"]);
    let (status, _, bytes) = seen(&service, &shared).await;
    assert_eq!(status, 404);
    assert!(String::from_utf8(bytes).unwrap().contains("revoked"));
    assert_eq!(seen(&service, &page).await.0, 200, "links to customers' pages are others");
    assert_eq!(seen(&service, &link(&service, &asked).await).await.0, 200);
    service.move_clock(START + 17 * DAY + HOUR).await;
}

#[tokio::test]
async fn a_link_opens_one_view_on_sqlite() {
    opens_one_view("shared-sqlite", fresh_sqlite(&folder("shared-sqlite"))).await;
}

#[tokio::test]
async fn a_link_opens_one_view_on_postgres() {
    opens_one_view("shared-postgres", fresh_postgres("doors_shared").await).await;
}

#[tokio::test]
async fn a_link_to_a_report_says_what_it_lacks() {
    let bare = start("shared-bare").await;
    let ask = async |service: &Service, body: &Value, status: u16| {
        problem(service.try_post("/v1/reports/link", body).await.unwrap(), status).await
    };
    assert!(ask(&bare, &json!({}), 409).await.contains("secrets_key is not set"));
    let refused = bare.try_command(&["reports", "link"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("secrets_key"));
    let service = sharing("shared-refused", &fresh_sqlite(&folder("shared-refused"))).await;
    for (body, field) in [
        (json!({ "report": "invoices" }), "report"),
        (json!({ "format": "pdf" }), "format"),
        (json!({ "from": "soon" }), "from"),
        (json!({ "by": "moon" }), "by"),
        (json!({ "expires": "59s" }), "expires"),
        (json!({ "expires": "401d" }), "400 days"),
        (json!({ "expires": "soon" }), "soon"),
        (json!({ "customer": "c".repeat(2_000) }), "too long"),
        (json!({ "colour": "red" }), "colour"),
    ] {
        let detail = ask(&service, &body, 422).await;
        assert!(detail.contains(field), "{body}: {detail}");
    }
}
