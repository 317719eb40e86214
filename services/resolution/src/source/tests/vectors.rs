//! Signatures that others made, through the verifier.

use super::*;
use serde::Deserialize;
use std::path::PathBuf;

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
    /// Whether the delivery is found good; a source that is refused finds nothing good.
    fn is_valid(&self, catalogue: &Catalogue) -> bool {
        let (public_url, query) = match self.url.split_once('?') {
            Some((url, query)) => (url, Some(query)),
            None => (self.url.as_str(), None),
        };
        let config = SourceConfig {
            name: "vector".into(),
            scheme: Some(self.scheme.clone()),
            secrets: self.secrets.iter().map(SecretConfig::plain).collect(),
            public_url: Some(public_url.into()),
            tolerance: Some(
                self.tolerance_s
                    .map_or(Tolerance::Off, |seconds| Tolerance::Within(Span(seconds * 1_000_000))),
            ),
            ..SourceConfig::default()
        };
        let header = read::header_of(&self.headers);
        let request = Request { method: &self.method, query, header: &header, body: self.body.as_bytes() };
        let now = Timestamp(self.now.unwrap_or(1_772_446_500) * 1_000_000);
        Source::new(&config, catalogue, &|_| None).is_ok_and(|source| source.verify(&request, now).is_ok())
    }
}

/// Runs the vectors of a file; answers how many there are of each scheme.
fn run(path: PathBuf, catalogue: &Catalogue) -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let vectors: Vec<Vector> = serde_json::from_str(&text).unwrap();
    let wrong: Vec<String> = vectors
        .iter()
        .filter(|vector| vector.is_valid(catalogue) != (vector.expect == "valid"))
        .map(|vector| format!("{} should be {} {}", vector.id, vector.expect, vector.why))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut counts = BTreeMap::new();
    for vector in vectors {
        *counts.entry(vector.scheme).or_default() += 1;
    }
    counts
}

fn beside(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn our_own_vectors_hold_for_every_built_in_scheme() {
    let catalogue = Catalogue::builtin().unwrap();
    let counts = run(beside("../../tests/vectors/signatures.json"), &catalogue);
    for (name, _) in catalogue.schemes() {
        assert!(counts.get(name).is_some_and(|count| *count >= 3), "{name} has too few vectors");
    }
}

/// Recorded facts of platforms may lie beside the repository; they are not part of it.
fn recorded() -> Option<PathBuf> {
    let folder = beside("../../../shared/webhooks");
    if !folder.is_dir() {
        println!("{} is absent: nothing to compare with", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn recorded_vectors_hold() {
    let Some(folder) = recorded() else { return };
    run(folder.join("vectors.json"), &Catalogue::builtin().unwrap());
}

#[test]
fn recorded_payloads_mean_what_is_recorded_of_them() {
    let Some(folder) = recorded() else { return };
    let expected = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Vec<Vec<String>> = serde_json::from_str(&expected).unwrap();
    for line in expected {
        let body = std::fs::read(folder.join("payloads").join(&line[0])).unwrap();
        let headers = [("x-chatwoot-delivery", "d"), ("svix-id", "m"), ("x-helpscout-event", "convo.status")];
        let events = webhook(&source(&line[1]), &headers, &body);
        let event = events.into_iter().find(|event| event.outcome != Outcome::None);
        let (case, customer) = (line.get(3).cloned(), line.get(4).cloned());
        let outcome = event.map_or(Outcome::None, |event| event.outcome);
        let read = match outcome {
            Outcome::None => ("none", None, None),
            Outcome::Ignore => ("ignore", None, None),
            Outcome::Quarantine(whose) => ("quarantine", whose.case, whose.customer),
            Outcome::Fetch(origin) => ("fetch", origin.case, origin.customer),
            Outcome::Fact(fact) => (fact.kind.as_str(), Some(fact.case), Some(fact.customer)),
        };
        assert_eq!(read, (line[2].as_str(), case, customer), "{}", line[0]);
    }
}

#[test]
fn the_recorded_sketch_of_definitions_is_understood() {
    let Some(folder) = recorded() else { return };
    let mut catalogue = Catalogue::builtin().unwrap();
    for (file, table) in [("schemes.toml", "schemes"), ("sources.toml", "platforms")] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let tables: toml::Table = toml::from_str(&text).unwrap();
        for (name, entry) in tables {
            let entry = toml::Table::from_iter([(name, entry)]);
            let mut file = toml::Table::from_iter([(table.to_string(), entry.into())]);
            // The sketch names fetches and does not define them.
            if let Some((_, platform)) = file[table].as_table_mut().and_then(|of| of.iter_mut().next())
                && platform.get("rules").is_some()
            {
                let fetch: toml::Table =
                    toml::from_str("url = 'https://x.example/{case_id}'\nrules = []").unwrap();
                platform.as_table_mut().unwrap().insert("fetch".into(), fetch.into());
            }
            catalogue = catalogue.extended(&file.to_string()).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    run(folder.join("vectors.json"), &catalogue);
}
