//! What goes out to platforms.

use super::*;

const INTERCOM: &str = r#"
[[sources]]
name = "desk"
platform = "intercom"
secrets = ["a secret of the tests"]
credentials = { token = "env:TOKEN" }
settings = { api_url = "http://127.0.0.1:9/", customer = "acme" }
"#;

fn from_file(toml: &str) -> Source {
    let file = SourcesFile::parse(toml).unwrap();
    let resolve = |name: &str| (name == "TOKEN").then(|| "t0ken".to_string());
    Source::new(&file.sources[0], &Catalogue::builtin().unwrap(), &resolve).unwrap()
}

#[test]
fn a_fetch_is_a_request_with_the_source_s_credentials() {
    let source = from_file(INTERCOM);
    let body = r#"{"id":"n","app_id":"w","topic":"conversation.admin.closed","created_at":1772446500,"data":{"item":{"id":"9/../1"}}}"#;
    let Outcome::Fetch(origin) = one(&source, body) else { panic!() };
    let request = source.fetch_request(&origin).unwrap();
    assert_eq!(request.url, "http://127.0.0.1:9/conversations/9%2F..%2F1");
    assert!(request.headers.contains(&("Authorization".into(), "Bearer t0ken".into())));
    assert!(!format!("{request:?}").contains("t0ken"));
    let stored = serde_json::to_string(&origin).unwrap();
    assert_eq!(serde_json::from_str::<Origin>(&stored).unwrap(), origin);

    let without = super::source("intercom");
    assert_eq!(without.unmet(), ["credentials.token"]);
    assert!(without.poll().is_none() && without.fetch().is_some());
    let error = without.fetch_request(&origin).unwrap_err();
    assert_eq!(error, "credentials.token is not set for the source `desk`");
    let nameless = Origin { case: None, ..origin };
    assert_eq!(source.fetch_request(&nameless).unwrap_err(), "{case_id} is not known of the event");
}

#[test]
fn a_poll_looks_back_and_goes_from_page_to_page() {
    let source = from_file(INTERCOM);
    let since = Timestamp(1_772_446_500_000_000);
    let first = source.poll_request(since, since, None).unwrap();
    assert_eq!(
        (first.method.as_str(), first.url.as_str()),
        ("POST", "http://127.0.0.1:9/conversations/search")
    );
    let body: Value = serde_json::from_str(first.body.as_deref().unwrap()).unwrap();
    assert_eq!(body["query"]["value"][0]["value"], 1_772_446_500 - 3600);
    let page = source
        .poll_page(br#"{"conversations":[{"id":1},{"id":2}],"pages":{"next":{"starting_after":"a\"b"}}}"#);
    let page = page.unwrap();
    assert_eq!(page.items, [r#"{"id":1}"#, r#"{"id":2}"#]);
    let next = source.poll_request(since, since, page.next.as_deref()).unwrap();
    let body: Value = serde_json::from_str(next.body.as_deref().unwrap()).unwrap();
    assert_eq!(body["pagination"]["starting_after"], "a\"b");
    let last = source.poll_page(br#"{"conversations":[],"pages":{"next":null}}"#).unwrap();
    assert_eq!(last.next, None);
    for odd in [&b"{}"[..], b"<html>", b"{\"conversations\":{}}"] {
        assert!(source.poll_page(odd).is_err());
    }
}

#[test]
fn credentials_stay_with_the_platform_whatever_the_next_page_is() {
    let ada = from_file(
        r#"
[[sources]]
name = "ada"
platform = "ada"
credentials = { token = "env:TOKEN" }
settings = { api_url = "https://acme.ada.support", customer = "acme" }
"#,
    );
    let at = Timestamp(1_772_446_500_000_000);
    let next = |cursor: &str| ada.poll_request(at, at, Some(cursor)).map(|request| request.url);
    let first = ada.poll_request(at, at, None).unwrap().url;
    assert_eq!(
        first,
        "https://acme.ada.support/api/v2/export/conversations?updated_since=2026-03-01T10%3A15%3A00Z&updated_to=2026-03-02T10%3A15%3A00Z"
    );
    assert!(next("https://acme.ada.support/api/v2/x?page=2").is_ok());
    assert_eq!(next("/api/v2/x?page=2").unwrap(), "https://acme.ada.support/api/v2/x?page=2");
    for elsewhere in [
        "https://evil.example/",
        "http://acme.ada.support/",
        "https://acme.ada.support@evil.example/",
        "x",
        "",
    ] {
        assert!(next(elsewhere).is_err(), "{elsewhere}");
    }
}
