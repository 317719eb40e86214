//! Secrets: changed without a loss, put into the running service, and never to be read anywhere.

use crate::signing::{headers, headers_with};
use crate::{START, attempt, contract, folder, problem, start_with, until};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use verdict_oracle::{DAY, HOUR, MINUTE, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::{Service, Setup, WEBHOOK_SECRET};

/// Seals what is stored.
pub const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
const OTHER_KEY: &str = "AQIEBRYnOElaa3yNnq/A0eLzBBUmN0hZaGt8jZ6vwNE=";
const NEW_SECRET: &str = "whsec_b3RoZXIgc2VjcmV0LCBhbHNvIDMyIGJ5dGVzICEhISE=";
const TOKEN: &str = "gorgias-sends-this-token-5512";

fn confirmed(case: &str, at: i64) -> String {
    json!({ "type": "resolution.confirmed", "timestamp": rfc3339(at), "data": { "customer": "acme", "case": case } })
        .to_string()
}

/// The only thing in quarantine.
async fn quarantined(service: &Service) -> Value {
    let list = service.get_json("/v1/quarantine").await;
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    list[0].clone()
}

/// Puts a secret or a credential into the running service.
pub fn put(service: &Service, kind: &str, source: &str, name: &str, value: &str) {
    let command = ["sources", "secret", "put", source, name, "--kind", kind];
    let output = service.try_command_with(&command, value);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"stored\n");
}

async fn replay(service: &Service, id: &Value) -> reqwest::Response {
    service.try_post(&format!("/v1/quarantine/{}/replay", id.as_str().unwrap()), &json!({})).await.unwrap()
}

#[tokio::test]
async fn two_secrets_overlap_while_they_are_changed_and_the_one_that_fits_is_noted() {
    let config = format!(
        "[[sources]]\nname = \"desk\"\nplatform = \"standard\"\nsecrets = [{{ name = \"2025\", value = \"{WEBHOOK_SECRET}\", \
         until = \"{}\" }}, {{ name = \"2026\", value = \"{NEW_SECRET}\", from = \"{}\" }}]\n",
        rfc3339(START + 3 * HOUR),
        rfc3339(START + 2 * HOUR)
    );
    let database_url = fresh_sqlite(&folder("secrets-overlap"));
    let service = start_with("secrets-overlap", &database_url, &config, &[]).await;
    let mut sent = 0;
    for (at, old, new) in [
        (START + HOUR, 202, 401),
        (START + 2 * HOUR - 1_000_000, 202, 401),
        (START + 2 * HOUR, 202, 202),
        (START + 3 * HOUR - 1_000_000, 202, 202),
        (START + 3 * HOUR, 401, 202),
    ] {
        service.move_clock(at).await;
        for (secret, status) in [(WEBHOOK_SECRET, old), (NEW_SECRET, new)] {
            sent += 1;
            let (id, body) = (format!("msg-{sent}"), confirmed("a-1", at));
            let headers = headers_with(secret, "standard", &id, body.as_bytes(), at);
            assert_eq!(
                service.deliver("desk", &headers, body).await.status(),
                status,
                "{secret} at {}",
                rfc3339(at)
            );
        }
    }
    service.move_clock(START + 3 * HOUR).await;
    let db = connect(&database_url).await;
    let secrets = texts(&db, "SELECT secret FROM deliveries ORDER BY received_at, secret").await;
    assert_eq!(secrets, ["2025", "2025", "2025", "2026", "2025", "2026", "2026"]);
    let facts = texts(&db, "SELECT evidence FROM resolutions").await;
    let noted =
        |name: &str| facts.iter().filter(|fact| fact.contains(&format!("\"secret\":\"{name}\""))).count();
    assert_eq!((noted("2025"), noted("2026")), (4, 3));
    assert_eq!(number(&db, "SELECT COUNT(*) FROM quarantine").await, 3);
}

/// The platform signs with a new secret that we do not have yet: nothing is lost, and nothing is started again.
async fn a_botched_change(name: &str, database_url: &str) {
    let config = format!("[[sources]]\nname = \"desk\"\nsecrets = [\"{WEBHOOK_SECRET}\"]\n");
    let service = start_with(name, database_url, &config, &[("VERDICT_SECRETS_KEY", KEY)]).await;
    let db = connect(database_url).await;
    service.post("/v1/contracts", &contract("acme")).await;
    service.post("/v1/attempts", &attempt("acme", "a-1")).await;
    service.move_clock(START + 2 * HOUR).await;
    let came = START + 2 * HOUR;
    let body = confirmed("a-1", came);
    let signed = headers_with(NEW_SECRET, "standard", "msg-1", body.as_bytes(), came);
    assert_eq!(service.deliver("desk", &signed, body.clone()).await.status(), 401);
    let kept = quarantined(&service).await;
    assert_eq!([&kept["source"], &kept["reason"], &kept["body"]], ["desk", "no signature matches", &*body]);
    assert_eq!(kept["received_at"], "2026-10-01T02:00:00Z");
    let id = kept["id"].as_str().unwrap();
    let listed = service.command(&["quarantine", "list"]);
    assert!(
        listed.starts_with(id) && listed.contains("desk") && listed.contains("no signature matches"),
        "{listed}"
    );
    assert!(service.command(&["quarantine", "show", id]).contains(&body));
    // A day later the operator notices.
    service.move_clock(START + DAY).await;
    assert!(problem(replay(&service, &kept["id"]).await, 422).await.contains("no signature matches"));
    put(&service, "secret", "desk", "new", NEW_SECRET);
    let mut tries = 0;
    until("the running service takes the secret up", async || {
        tries += 1;
        let body = confirmed("a-2", START + DAY);
        let signed = headers_with(NEW_SECRET, "standard", "msg-2", body.as_bytes(), START + DAY);
        service.deliver("desk", &signed, body).await.status() == 202
    })
    .await;
    assert!(tries < 300);
    let id = texts(&db, &format!("SELECT id FROM quarantine WHERE received_at = {came}")).await.remove(0);
    assert_eq!(replay(&service, &json!(id)).await.status(), 202);
    problem(replay(&service, &json!(id)).await, 404).await;
    service.move_clock(START + 2 * DAY).await;
    let stored = "SELECT id || ' ' || secret || ' ' || state FROM deliveries ORDER BY id";
    assert_eq!(texts(&db, stored).await, ["msg-1 new mapped", "msg-2 new mapped"]);
    assert_eq!(number(&db, "SELECT received_at FROM deliveries WHERE id = 'msg-1'").await, came);
    let case = service.get_json("/v1/cases/acme/a-1").await;
    assert_eq!(case["verdict"], "confirmed", "judged as of when it had come");

    // The old one still counts; taken away, the new one does not.
    let listed = service.command(&["sources", "secret", "list"]);
    assert!(listed.starts_with("desk  secret  new  from - until -") && !listed.contains("whsec"), "{listed}");
    assert_eq!(service.command(&["sources", "secret", "remove", "desk", "new"]).trim(), "removed");
    assert!(!service.try_command(&["sources", "secret", "remove", "desk", "new"]).status.success());
    let mut nth = 2;
    until("the running service lets the secret go", async || {
        nth += 1;
        let (id, body) = (format!("msg-{nth}"), confirmed("a-3", START + 2 * DAY));
        let signed = headers_with(NEW_SECRET, "standard", &id, body.as_bytes(), START + 2 * DAY);
        service.deliver("desk", &signed, body).await.status() == 401
    })
    .await;
    let body = confirmed("a-4", START + 2 * DAY);
    let signed = headers("standard", "msg-old", body.as_bytes(), START + 2 * DAY);
    assert_eq!(service.deliver("desk", &signed, body).await.status(), 202);
}

#[tokio::test]
async fn a_botched_change_of_secrets_loses_nothing_on_sqlite() {
    a_botched_change("secrets-sqlite", &fresh_sqlite(&folder("secrets-sqlite"))).await;
}

#[tokio::test]
async fn a_botched_change_of_secrets_loses_nothing_on_postgres() {
    a_botched_change("secrets-postgres", &fresh_postgres("doors_secrets").await).await;
}

/// All that the database has, as text.
async fn everything(db: &DatabaseConnection) -> String {
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let mut all = String::new();
    for table in texts(db, tables).await {
        all.push_str(&texts(db, &format!("SELECT t::text FROM {table} t")).await.join("\n"));
    }
    all
}

/// A token is the secret itself, and comes with each delivery.
async fn a_token(name: &str, database_url: &str, is_secret: impl AsyncFn(&DatabaseConnection, &str) -> bool) {
    let config = "[[sources]]\nname = \"shop\"\nplatform = \"gorgias\"\nsettings = { customer = \"acme\" }\n";
    let service = start_with(name, database_url, config, &[("VERDICT_SECRETS_KEY", KEY)]).await;
    let db = connect(database_url).await;
    let body = |id: i64| {
        json!({ "id": id, "type": "ticket-handed-over", "object_id": 77, "created_datetime": rfc3339(START) })
            .to_string()
    };
    let token = |token: &str| vec![("X-Outcome-Secret".to_string(), token.to_string())];
    assert_eq!(service.deliver("shop", &token(TOKEN), body(1)).await.status(), 401, "it has no secret yet");
    let sources = service.get_json("/v1/sources").await;
    assert_eq!([&sources[0]["has_secrets"], &sources[0]["strength"]], [&json!(false), &json!("token")]);
    let kept = quarantined(&service).await;
    problem(replay(&service, &kept["id"]).await, 422).await;
    put(&service, "secret", "shop", "header", &format!("{TOKEN}\n"));
    until("the running service takes the token up", async || {
        replay(&service, &kept["id"]).await.status() == 202
    })
    .await;
    assert_eq!(service.deliver("shop", &token(TOKEN), body(2)).await.status(), 202);
    assert_eq!(service.deliver("shop", &token("gorgias-sends-this-token-5513"), body(3)).await.status(), 401);
    service.move_clock(START + MINUTE).await;
    let facts = texts(&db, "SELECT id || ' ' || kind || ' ' || strength FROM resolutions ORDER BY id").await;
    assert_eq!(facts, ["shop:1 escalated token", "shop:2 escalated token"]);
    assert!(is_secret(&db, TOKEN).await, "the token can be read");
    assert!(
        is_secret(&db, "gorgias-sends-this-token-5513").await,
        "nor can a wrong one: it may be tomorrow's"
    );
}

#[tokio::test]
async fn a_token_is_nowhere_in_the_database_on_sqlite() {
    let folder = folder("secrets-token-sqlite");
    a_token("secrets-token-sqlite", &fresh_sqlite(&folder), async |_, token| !is_in_files(&folder, token))
        .await;
}

#[tokio::test]
async fn a_token_is_nowhere_in_the_database_on_postgres() {
    a_token("secrets-token-postgres", &fresh_postgres("doors_token").await, async |db, token| {
        let all = everything(db).await;
        assert!(all.contains("shop:1"), "{all}");
        !all.contains(token) && !all.contains(&crate::signing::hex(token.as_bytes()))
    })
    .await;
}

/// Whether the files of a SQLite database have these bytes somewhere.
fn is_in_files(folder: &std::path::Path, needle: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files: Vec<_> = files.filter(|file| file.to_string_lossy().contains("verdict.db")).collect();
    assert!(!files.is_empty());
    let has = |bytes: Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    files.into_iter().any(|file| has(std::fs::read(file).unwrap()))
}

#[tokio::test]
async fn what_is_stored_opens_with_its_key_alone_and_without_it_nothing_starts() {
    let name = "secrets-sealed";
    let folder = folder(name);
    let database_url = fresh_sqlite(&folder);
    let config = "[[sources]]\nname = \"desk\"\nplatform = \"intercom\"\nsettings.customer = \"acme\"\n";
    let environment = |key: &str| vec![("VERDICT_SECRETS_KEY".to_string(), key.to_string())];
    let setup = |key: &str| Setup {
        test_clock: Some(START),
        config: config.into(),
        environment: environment(key),
        ..Setup::new(&database_url)
    };
    // A key that nobody drew is refused before anything is sealed with it.
    for key in ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "short", "changeme"] {
        let said = Service::refusal(setup(key), &folder);
        assert!(said.contains("openssl rand -base64 32"), "{said}");
    }
    {
        let service = start_with(name, &database_url, config, &[]).await;
        let without = service.try_command(&["sources", "secret", "put", "desk", "one"]);
        assert!(
            String::from_utf8_lossy(&without.stderr).contains("set secrets_key (VERDICT_SECRETS_KEY) first")
        );
    }
    {
        let mut service = start_with(name, &database_url, config, &[("VERDICT_SECRETS_KEY", KEY)]).await;
        for (kind, place, value) in [
            ("secret", "one", "an intercom client secret"),
            ("credential", "token", "dG9rOmFuLWludGVyY29tLXRva2Vu"),
        ] {
            put(&service, kind, "desk", place, value);
        }
        for (place, value, words) in
            [("desk", "short", "32 random bytes"), ("nobody", "a secret of somebody", "not configured")]
        {
            let command = ["sources", "secret", "put", place, "two"];
            let output = service.try_command_with(&command, value);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains(words), "{said}");
        }
        service.restart().await;
        let body = "{}";
        let signed = headers_with("an intercom client secret", "intercom", "", body.as_bytes(), START);
        assert_eq!(service.deliver("desk", &signed, body).await.status(), 202, "it opens after a restart");
    }
    for secret in ["an intercom client secret", "dG9rOmFuLWludGVyY29tLXRva2Vu", KEY] {
        assert!(!is_in_files(&folder, secret), "{secret} can be read in the database's file");
        let log = std::fs::read_to_string(folder.join("log")).unwrap();
        assert!(!log.contains(secret), "{secret} can be read in the log");
    }
    for (key, words) in
        [("", "set secrets_key (VERDICT_SECRETS_KEY)"), (OTHER_KEY, "of source `desk` does not open")]
    {
        let said = Service::refusal(setup(key), &folder);
        assert!(said.contains(words), "{said}");
    }
}
