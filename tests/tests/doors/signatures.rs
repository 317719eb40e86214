//! Signatures that others made, sent to the real address at the time for which they were made.

use crate::folder;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use verdict_tests::database::{connect, fresh_sqlite, texts};
use verdict_tests::service::{Service, Setup, binary, client};

#[derive(Deserialize)]
struct Vector {
    id: String,
    scheme: String,
    secrets: Vec<String>,
    method: String,
    url: String,
    headers: BTreeMap<String, String>,
    body: String,
    now: Option<i64>,
    tolerance_s: Option<i64>,
    expect: String,
    why: String,
}

impl Vector {
    /// The source that it is sent to.
    fn source(&self, name: &str) -> String {
        let url = self.url.split('?').next().unwrap();
        let tolerance = self.tolerance_s.map_or("off".to_string(), |seconds| format!("{seconds}s"));
        format!(
            "[[sources]]\nname = \"{name}\"\nscheme = \"{}\"\nsecrets = {}\npublic_url = \"{url}\"\ntolerance = \"{tolerance}\"\n",
            self.scheme,
            // A JSON array of texts is one of TOML.
            json!(self.secrets)
        )
    }

    /// Its address at the service: of the source, with the query that was signed.
    fn address(&self, name: &str) -> String {
        let query = self.url.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
        format!("/webhooks/{name}{query}")
    }
}

/// The vectors of a file; `None` where it is not there.
fn read(path: &Path) -> Option<Vec<Vector>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Which sources a file's lint refuses, by their place.
fn refused(service_folder: &Path, config: &str) -> BTreeSet<usize> {
    let file = service_folder.join("all.toml");
    std::fs::write(&file, config).unwrap();
    let output = std::process::Command::new(binary()).args(["sources", "lint"]).arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let places = said.lines().filter_map(|line| line.strip_prefix("error: sources[")?.split(']').next());
    let refused: BTreeSet<usize> = places.map(|place| place.parse().unwrap()).collect();
    assert_eq!(output.status.success(), refused.is_empty(), "{said}");
    refused
}

/// Sends each vector of a file to a source of its own; answers how many there are of each scheme.
async fn run(name: &str, path: PathBuf) -> Option<BTreeMap<String, usize>> {
    let mut vectors = read(&path)?;
    // HTTP takes the white space around a header's value away (RFC 9110, 5.5): these cannot be sent.
    vectors.retain(|vector| vector.headers.values().all(|value| value.trim() == value));
    vectors.sort_by_key(|vector| vector.now);
    let folder = folder(name);
    let database_url = fresh_sqlite(&folder);
    let sources = |chosen: &dyn Fn(usize) -> bool| -> String {
        let chosen = vectors.iter().enumerate().filter(|(nth, _)| chosen(*nth));
        chosen.map(|(nth, vector)| vector.source(&format!("s-{nth}"))).collect()
    };
    let refused = refused(&folder, &sources(&|_| true));
    let smallest = vectors.iter().find_map(|vector| vector.now).unwrap();
    let setup = |config: String| Setup {
        test_clock: Some(smallest * 1_000_000),
        config,
        ..Setup::new(&database_url)
    };
    for nth in &refused {
        let vector = &vectors[*nth];
        assert_eq!(vector.expect, "invalid", "{}: its configuration is refused", vector.id);
        let said = Service::refusal(setup(vector.source(&format!("s-{nth}"))), &folder);
        assert!(said.contains(&format!("source `s-{nth}`")), "{}: {said}", vector.id);
        assert!(vector.secrets.iter().all(|secret| secret.len() < 8 || !said.contains(secret)), "{said}");
    }
    let service = Service::start(setup(sources(&|nth| !refused.contains(&nth))), &folder).await;
    let (mut now, mut wrong) = (smallest, Vec::new());
    let mut quarantined = BTreeSet::new();
    for (nth, vector) in vectors.iter().enumerate().filter(|(nth, _)| !refused.contains(nth)) {
        if let Some(at) = vector.now.filter(|at| *at > now) {
            now = at;
            service.move_clock(now * 1_000_000).await;
        }
        let method = reqwest::Method::from_bytes(vector.method.as_bytes()).unwrap();
        let url = service.url(&vector.address(&format!("s-{nth}")));
        let mut request = client().request(method, url).body(vector.body.clone());
        for (header, value) in &vector.headers {
            request = request.header(header, value.as_bytes());
        }
        let status = request.send().await.unwrap().status();
        let right = if vector.expect == "valid" { status.is_success() } else { status == 401 };
        if !right {
            wrong.push(format!("{}: {status} instead of {} {}", vector.id, vector.expect, vector.why));
        }
        if vector.expect != "valid" && vector.method == "POST" {
            quarantined.insert(format!("s-{nth}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let kept: BTreeSet<String> = service
        .get_json("/v1/quarantine")
        .await
        .as_array()
        .unwrap()
        .iter()
        .map(|kept: &Value| kept["source"].as_str().unwrap().to_string())
        .collect();
    assert_eq!(kept, quarantined, "each bad one is kept, and no good one");
    let db = connect(&database_url).await;
    let stored = texts(&db, "SELECT DISTINCT source FROM deliveries").await.len();
    assert_eq!(stored, vectors.iter().filter(|vector| vector.expect == "valid").count());
    let mut counts = BTreeMap::new();
    for vector in &vectors {
        *counts.entry(vector.scheme.clone()).or_default() += 1;
    }
    Some(counts)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[tokio::test]
async fn each_scheme_takes_what_is_signed_well_and_nothing_else() {
    let counts = run("signatures", root().join("tests/vectors/signatures.json")).await.unwrap();
    assert!(counts.len() >= 19, "{counts:?}");
}

#[tokio::test]
async fn published_signatures_of_vendors_and_libraries_are_told_apart() {
    let file = root().join("../shared/webhooks/vectors.json");
    match run("signatures-published", file).await {
        Some(counts) => assert!(counts.values().sum::<usize>() >= 60, "{counts:?}"),
        None => println!("not run: ../shared/webhooks/vectors.json is not there"),
    }
}
