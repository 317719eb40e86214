//! The house rules: which crate may lean on which, whose code comes in, and that what is written down is so.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use verdict_tests::service::binary;

/// Floors, each with the rooms on it and those below that they may lean on.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("verdict-domain", &[]),
    ("verdict-migrations", &[]),
    ("verdict-store", &["verdict-domain", "verdict-migrations"]),
    ("verdict-intake", &["verdict-domain", "verdict-store"]),
    ("verdict-resolution", &["verdict-domain", "verdict-store"]),
    ("verdict-billing", &["verdict-domain", "verdict-store"]),
    ("verdict-reports", &["verdict-domain", "verdict-store"]),
    (
        "verdict-server",
        &[
            "verdict-billing",
            "verdict-domain",
            "verdict-intake",
            "verdict-reports",
            "verdict-resolution",
            "verdict-store",
        ],
    ),
    ("verdict-oracle", &[]),
    ("verdict-judgement", &["verdict-domain", "verdict-oracle"]),
    ("verdict-stripe-double", &[]),
    ("verdict-tests", &["verdict-oracle", "verdict-stripe-double"]),
];

/// What tests may use besides.
const TESTS_MAY_USE: [(&str, &[&str]); 2] = [
    ("verdict-stripe-double", &["verdict-billing"]),
    (
        "verdict-tests",
        &["verdict-domain", "verdict-intake", "verdict-migrations", "verdict-server", "verdict-store"],
    ),
];

/// One sort of library, one room.
const ROOMS: [(&str, &[&str]); 10] = [
    ("sea-orm", &["verdict-store", "verdict-tests"]),
    ("sea-orm-migration", &["verdict-migrations"]),
    ("async-stripe", &["verdict-billing", "verdict-stripe-double"]),
    ("actix-web", &["verdict-server", "verdict-stripe-double"]),
    ("lapin", &["verdict-server", "verdict-tests"]),
    ("clap", &["verdict-server", "verdict-stripe-double", "verdict-tests"]),
    ("genai-prices", &["verdict-intake"]),
    ("prost", &["verdict-intake", "verdict-tests"]),
    ("askama", &["verdict-reports"]),
    ("parquet", &["verdict-reports"]),
];

/// Floor 0 computes; it reads and writes nothing, and takes its time from others.
const DOMAIN_MAY_USE: [&str; 6] = ["chrono", "chrono-tz", "humantime", "iso_currency", "serde", "thiserror"];

/// Licences that let anybody use the whole under Apache-2.0.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The packages that `cargo metadata` tells of, by name.
fn packages(arguments: &[&str]) -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).args(arguments);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// What each crate of the workspace depends on: to be built, or (`dev`) to be tested.
fn dependencies(dev: bool) -> BTreeMap<String, BTreeSet<String>> {
    let name = |value: &Value| value["name"].as_str().unwrap().to_string();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| (dependency["kind"] == "dev") == dev).map(name).collect()
    };
    packages(&["--no-deps"]).iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn crates_lean_only_on_those_below() {
    for (dev, floors) in [(false, &MAY_USE[..]), (true, &TESTS_MAY_USE[..])] {
        for (package, used) in dependencies(dev) {
            let floor = floors.iter().find(|(name, _)| *name == package);
            assert!(dev || floor.is_some(), "{package} is on no floor yet");
            let may_use = floor.map_or(&[][..], |(_, may_use)| may_use);
            let used = used.iter().filter(|name| name.starts_with("verdict-"));
            let beyond: Vec<_> = used.filter(|name| !may_use.contains(&name.as_str())).collect();
            assert!(beyond.is_empty(), "{package} must not depend on {beyond:?}");
        }
    }
}

#[test]
fn each_sort_of_library_has_its_room() {
    let dependencies = dependencies(false);
    for (library, rooms) in ROOMS {
        let is_it = |name: &String| match library {
            "async-stripe" => name.starts_with(library),
            _ => name == library,
        };
        let users: Vec<&str> = dependencies
            .iter()
            .filter(|(_, used)| used.iter().any(is_it))
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(!users.is_empty(), "{library} is used nowhere any more: take it from the list");
        let beyond: Vec<_> = users.iter().filter(|user| !rooms.contains(user)).collect();
        assert!(beyond.is_empty(), "{library} belongs to {rooms:?}, not to {beyond:?}");
    }
    let domain = dependencies["verdict-domain"].iter().map(String::as_str).collect();
    assert_eq!(BTreeSet::from(DOMAIN_MAY_USE), domain, "floor 0 computes and nothing else");
}

/// Whether an SPDX expression allows what [`LICENCES`] allow. `OR` binds less than `AND`; an old way to write it is `/`.
fn is_allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    any_of(&words)
}

fn any_of(words: &[&str]) -> bool {
    split(words, "OR").iter().any(|part| split(part, "AND").iter().all(|part| one(part)))
}

fn one(words: &[&str]) -> bool {
    match words {
        ["(", inner @ .., ")"] => any_of(inner),
        words => LICENCES.contains(&words.join(" ").as_str()),
    }
}

/// Splits at a word where no parenthesis is open.
fn split<'a>(words: &'a [&'a str], at: &str) -> Vec<&'a [&'a str]> {
    let mut depth = 0;
    let outside = |word: &&str| {
        depth += i32::from(*word == "(") - i32::from(*word == ")");
        depth == 0 && *word == at
    };
    words.split(outside).collect()
}

#[test]
fn every_licence_allows_what_ours_does() {
    for (expression, allowed) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("MIT OR GPL-3.0-only", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND Unicode-3.0", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", true),
        ("MIT/Apache-2.0", true),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
    let packages = packages(&[]);
    assert!(packages.len() > 100, "{} packages", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let (name, licence) =
            (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or_default());
        let ours = package["source"].is_null();
        if !is_allowed(licence) || (ours && licence != "Apache-2.0") {
            wrong.push(format!("{name}: {licence}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_unfinished_versions_are_pinned() {
    let manifest = read("Cargo.toml");
    let pinned =
        manifest.lines().filter_map(|line| Some((line, line.split("\"=").nth(1)?.split('"').next()?)));
    for (line, version) in pinned {
        assert!(version.contains('-'), "{line}: only a pre-release needs `=`");
    }
}

#[test]
fn the_price_book_is_named_by_the_version_that_is_built_in() {
    let lock = read("Cargo.lock");
    let entry = lock.split("[[package]]").find(|entry| entry.contains("name = \"genai-prices\"")).unwrap();
    let version = entry.lines().find_map(|line| line.strip_prefix("version = ")).unwrap().trim_matches('"');
    assert_eq!(verdict_intake::BOOK_VERSION, format!("genai-prices/{version}"));
    let digest = entry.lines().find_map(|line| line.strip_prefix("checksum = ")).unwrap().trim_matches('"');
    assert_eq!(verdict_intake::BOOK_DIGEST, digest);
}

#[test]
fn the_description_of_the_api_is_that_of_the_binary() {
    let output = Command::new(binary()).arg("openapi").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (written, now) = (read("docs/openapi.json"), String::from_utf8(output.stdout).unwrap());
    assert!(
        written == now,
        "docs/openapi.json is old: run `cargo run -p verdict-server -- openapi > docs/openapi.json`"
    );
    let api: serde_json::Value = serde_json::from_str(&now).unwrap();
    let mut looked_at = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        for parameter in
            methods.as_object().unwrap().values().filter_map(|of| of["parameters"].as_array()).flatten()
        {
            let name = parameter["name"].as_str().unwrap();
            let is_in_path = path.contains(&format!("{{{name}}}"));
            assert_eq!(parameter["in"] == "path", is_in_path, "{path}: where is `{name}`?");
            looked_at += 1;
        }
    }
    assert!(looked_at > 50, "{looked_at}");
}

#[test]
fn every_room_says_what_it_owns() {
    let mut rooms = 0;
    for room in std::fs::read_dir(root().join("services")).unwrap() {
        let path = room.unwrap().path().join("src/lib.rs");
        let source = std::fs::read_to_string(&path).unwrap();
        let head: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        for words in ["Owns", "Does not own", "Invariants"] {
            assert!(head.contains(words), "{}: the head does not say {words:?}", path.display());
        }
        rooms += 1;
    }
    assert_eq!(rooms, 7, "a room more or less: is it on its floor?");
}

#[test]
fn the_compose_file_runs_the_service_its_database_and_its_queue() {
    let compose = read("docker-compose.yml");
    let section = compose.lines().skip_while(|line| *line != "services:").skip(1);
    let section = section.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let services: BTreeSet<&str> = section
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'))
        .filter(|name| !name.starts_with([' ', '#']))
        .collect();
    assert_eq!(services, BTreeSet::from(["postgres", "rabbitmq", "verdict"]));
}
