//! The stream that says when figures have changed: who may listen, what is told and when, also where another process did it.

use crate::{START, attempt, contract, folder, problem, start, start_on, with};
use reqwest::Response;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{fresh_postgres, fresh_sqlite};
use verdict_tests::service::{Service, Setup, client};

/// A stream that is read.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(service: &Service, last: Option<i64>) -> Self {
        let request = client().get(service.url("/live")).bearer_auth(&service.key);
        let request = match last {
            Some(last) => request.header("last-event-id", last.to_string()),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    /// The id of the next event; `None` if there is none so soon.
    async fn event(&mut self, patience: Duration) -> Option<i64> {
        let next = async {
            loop {
                if let Some((event, rest)) = self.text.split_once("\n\n") {
                    let (event, rest) = (event.to_string(), rest.to_string());
                    self.text = rest;
                    if event.contains("event: figures") {
                        let id = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
                        return id.parse().unwrap();
                    }
                    continue;
                }
                let piece = self.response.chunk().await.unwrap().expect("the stream does not end");
                self.text.push_str(std::str::from_utf8(&piece).unwrap());
            }
        };
        timeout(patience, next).await.ok()
    }

    /// Reads until nothing comes for a while; gives the last id that came.
    async fn quiet(&mut self) -> Option<i64> {
        let mut last = None;
        while let Some(id) = self.event(Duration::from_millis(2_500)).await {
            last = Some(id);
        }
        last
    }
}

const SOON: Duration = Duration::from_secs(20);

async fn tells_when_figures_change(name: &str, url: String) {
    let mut service = start_on(name, &url).await;
    service.post("/v1/contracts", &contract("acme")).await;
    let mut stream = Stream::open(&service, None).await;
    stream.quiet().await;
    service.post("/v1/attempts", &attempt("acme", "c-1")).await;
    let judged = stream.event(SOON).await.expect("an event once the attempt is judged");
    let report = service.get_json("/v1/reports/failure-cost?from=2026-10-01&to=2026-10-02").await;
    assert_eq!(report["totals"][0]["attempts"], 1, "{report}");
    stream.quiet().await;

    // What changes no figure is not told: the same attempt once more.
    service.post("/v1/attempts", &attempt("acme", "c-1")).await;
    service.wait_until_idle(SOON).await;
    assert_eq!(stream.quiet().await, None);

    // Many changes in a moment are a few events: one a second at most.
    let begun = Instant::now();
    let mut events = 0;
    for nth in 0..12 {
        service.post("/v1/attempts", &attempt("acme", &format!("m-{nth}"))).await;
        while stream.event(Duration::from_millis(150)).await.is_some() {
            events += 1;
        }
    }
    while stream.event(Duration::from_millis(2_500)).await.is_some() {
        events += 1;
    }
    let seconds = begun.elapsed().as_secs() + 1;
    assert!(events >= 1 && events <= seconds, "{events} events in {seconds} s");

    // Time changes figures too: what was pending is decided.
    service.move_clock(START + 20 * DAY).await;
    let last = stream.event(SOON).await.expect("an event once cases are decided");
    let last = stream.quiet().await.unwrap_or(last);
    assert!(last > judged, "{last} after {judged}");

    // Who connects again hears at once of what it missed, and of nothing else.
    drop(stream);
    let mut missed = Stream::open(&service, Some(last - 1)).await;
    assert_eq!(missed.event(Duration::from_secs(5)).await, Some(last));
    let mut knows = Stream::open(&service, Some(last)).await;
    assert_eq!(knows.quiet().await, None);

    // Another process on the same database judges; this one tells. (SQLite is for one process.)
    if url.starts_with("postgres") {
        let other = Setup { test_clock: Some(START + 20 * DAY), ..Setup::new(&url) };
        let other = Service::start(other, &folder(&format!("{name}-other"))).await;
        let mut there = Stream::open(&other, None).await;
        there.quiet().await;
        let late = with(&attempt("acme", "late"), "/ended_at", json!(rfc3339(START + HOUR + 5)));
        service.post("/v1/attempts", &late).await;
        assert!(there.event(SOON).await.is_some(), "an event in the other process");
    }
    service.kill();
}

#[tokio::test]
async fn a_stream_tells_when_figures_change_on_sqlite() {
    tells_when_figures_change("live-sqlite", fresh_sqlite(&folder("live-sqlite"))).await;
}

#[tokio::test]
async fn a_stream_tells_when_figures_change_on_postgres() {
    tells_when_figures_change("live-postgres", fresh_postgres("doors_live").await).await;
}

#[tokio::test]
async fn a_stream_needs_a_login_that_may_see_reports_and_has_its_bounds() {
    let service = start("live-access").await;
    problem(client().get(service.url("/live")).send().await.unwrap(), 401).await;
    let narrow = service.command(&["keys", "create", "--name", "narrow", "--scopes", "ingest"]);
    let request = client().get(service.url("/live")).bearer_auth(narrow.trim());
    assert!(problem(request.send().await.unwrap(), 403).await.contains("`report`"));
    let mut open = Vec::new();
    for _ in 0..256 {
        open.push(Stream::open(&service, None).await);
    }
    let detail = problem(service.get("/live").await, 503).await;
    assert!(detail.contains("256 streams"), "{detail}");
    // A place is free again once somebody has gone.
    open.truncate(200);
    let start = Instant::now();
    while service.get("/live").await.status() != 200 {
        assert!(start.elapsed() < Duration::from_secs(40), "no place became free");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn only_pages_that_are_live_may_run_a_script() {
    let service = start("live-policy").await;
    let script = client().get(service.url("/live.js")).send().await.unwrap();
    assert_eq!(script.headers()["content-type"], "text/javascript; charset=utf-8");
    assert!(script.text().await.unwrap().contains("EventSource"));
    for (path, is_live) in
        [("/reports/failure-cost", true), ("/invoices", false), ("/parked", false), ("/login", false)]
    {
        let response = service.get(path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_string();
        let html = response.text().await.unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("script-src 'self'; connect-src 'self'"), is_live, "{path}: {policy}");
        assert_eq!(html.contains("<script src=\"/live.js\" defer></script>"), is_live, "{path}");
        assert_eq!(html.contains("data-live="), is_live, "{path}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}
