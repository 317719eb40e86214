//! A platform that no code knows: a file, and nothing else.

use crate::signing::sha256;
use crate::{START, attempt, contract, folder, start_with, until};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use verdict_oracle::{DAY, HOUR};
use verdict_tests::database::{connect, fresh_sqlite, number, texts};
use verdict_tests::platform::Platform;

const SECRET: &str = "what Globodesk and we know of each other";

/// Its own way to sign, its own batches, its own words, its own API.
const GLOBODESK: &str = r#"
[schemes.globodesk]
kind = "hmac"
hash = "sha256"
header = "Globo-Signature"
format = "kv"
sig_key = "s"
ts_key = "t"
ts_format = "unix_ms"
encoding = "base64"
signed = "{ts}|{body}"

[platforms.globodesk]
scheme = "globodesk"
each = "/events"
delivery_id = ["body:/uid"]
case_id = "body:/ticket"
customer = ["body:/org", "setting:customer"]
occurred_at = { at = "body:/at", format = "unix_ms" }
evidence = ["body:/kind", "body:/by", "header:globo-region"]
rules = [
  { name = "solved by the bot", outcome = "confirmed", when = [{ at = "body:/kind", eq = "solved" }, { at = "body:/by", in = "setting:bots" }] },
  { name = "ask for the ticket", outcome = "fetch", when = [{ at = "body:/kind", eq = "closed" }] },
]

[platforms.globodesk.settings]
bots = ["robo"]

[platforms.globodesk.fetch]
url = "{api_url}/tickets/{case_id}"
headers = { Authorization = "Bearer {credential:token}" }
per_minute = 6000
fact_id = "body:/ticket+state"
rules = [
  { name = "done", outcome = "assumed", when = [{ at = "body:/state", eq = "done" }, { at = "event:/kind", eq = "closed" }] },
]

[[platforms.globodesk.samples]]
name = "two of three count"
body = '''{"events":[{"uid":1,"ticket":"T-1","org":"acme","at":1790812800000,"kind":"solved","by":"robo"},{"uid":2,"ticket":"T-2","org":"acme","at":1790812800000,"kind":"solved","by":"kim"},{"uid":3,"ticket":"T-3","org":"acme","at":1790812800000,"kind":"closed"}]}'''
expect = [{ outcome = "confirmed", case = "T-1", customer = "acme", occurred_at = "2026-10-01T00:00:00Z" }, { outcome = "fetch", case = "T-3" }]

[[sources]]
name = "globo"
platform = "globodesk"
secrets = ["what Globodesk and we know of each other"]
credentials = { token = "t0ken" }
settings = { api_url = "http://127.0.0.1:9" }
"#;

#[tokio::test]
async fn a_file_alone_makes_a_platform() {
    let platform = Platform::start("t0ken", |asked| {
        (asked.line == "GET /tickets/T-3").then(|| r#"{"ticket":"T-3","state":"done"}"#.into())
    })
    .await;
    let folder = folder("sources-own");
    let database_url = fresh_sqlite(&folder);
    let file = folder.join("globodesk.toml");
    std::fs::write(&file, GLOBODESK.replace("http://127.0.0.1:9", platform.address())).unwrap();
    let config = format!("source_files = [\"{}\"]\n", file.display());
    let service = start_with("sources-own", &database_url, &config, &[]).await;
    service.post("/v1/contracts", &contract("acme")).await;
    for case in ["T-1", "T-2", "T-3"] {
        service.post("/v1/attempts", &attempt("acme", case)).await;
    }
    service.move_clock(START + 2 * HOUR).await;

    let event = |uid: i64, case: &str, kind: &str, by: &str| json!({ "uid": uid, "ticket": case, "org": "acme", "at": (START + 2 * HOUR) / 1_000, "kind": kind, "by": by });
    let events = [
        event(1, "T-1", "solved", "robo"),
        event(2, "T-2", "solved", "kim"),
        event(3, "T-3", "closed", "kim"),
    ];
    let body = json!({ "events": events }).to_string();
    let time = (START + 2 * HOUR) / 1_000;
    let signature = STANDARD.encode(sha256(SECRET, format!("{time}|{body}").as_bytes()));
    let headers =
        |header: String| vec![("Globo-Signature".into(), header), ("Globo-Region".into(), "eu".into())];
    for (header, status) in [
        (format!("t={time},s={signature}"), 202),
        (format!("t={time},s={signature}"), 202),
        (format!("t={},s={signature}", time + 1), 401),
        (format!("s={signature}"), 401),
        (signature.clone(), 401),
    ] {
        assert_eq!(
            service.deliver("globo", &headers(header.clone()), body.clone()).await.status(),
            status,
            "{header}"
        );
    }
    let db = connect(&database_url).await;
    until("the ticket is fetched", async || number(&db, "SELECT COUNT(*) FROM resolutions").await == 2).await;
    assert_eq!(
        texts(
            &db,
            "SELECT case_id || ' ' || kind || ' ' || strength || ' ' || id FROM resolutions ORDER BY case_id"
        )
        .await,
        ["T-1 confirmed signed globo:1", "T-3 assumed fetched globo:T-3:done"]
    );
    let evidence = texts(&db, "SELECT evidence FROM resolutions WHERE case_id = 'T-1'").await.remove(0);
    for word in ["\"header:globo-region\":\"eu\"", "\"body:/by\":\"robo\"", "\"rule\":\"solved by the bot\""]
    {
        assert!(evidence.contains(word), "{evidence}");
    }
    service.move_clock(START + 2 * DAY).await;
    let verdict =
        async |case: &str| service.get_json(&format!("/v1/cases/acme/{case}")).await["verdict"].clone();
    assert_eq!([verdict("T-1").await, verdict("T-2").await], ["confirmed", "pending"]);
    let listed = service.get_json("/v1/sources").await;
    assert_eq!(
        [&listed[0]["name"], &listed[0]["platform"], &listed[0]["strength"]],
        ["globo", "globodesk", "signed"]
    );
}

/// What a mistake in the file is answered with: its place and what would be right.
#[test]
fn mistakes_in_the_file_are_named_with_their_place_and_their_remedy() {
    let folder = folder("sources-lint");
    let _ = std::fs::create_dir_all(&folder);
    let run = |command: &str, text: &str| {
        let file = folder.join("globodesk.toml");
        std::fs::write(&file, text).unwrap();
        let mut verdict = std::process::Command::new(verdict_tests::service::binary());
        let output = verdict.args(["sources", command]).arg(&file).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(said).unwrap())
    };
    for command in ["lint", "test"] {
        let (code, said) = run(command, GLOBODESK);
        assert_eq!(code, 0, "{said}");
        assert!(said.ends_with("1 schemes, 1 platforms, 1 sources: 0 errors, 0 warnings\n"), "{said}");
        assert_eq!(
            said.contains("ok: platforms.globodesk: sample `two of three count`"),
            command == "test",
            "{said}"
        );
    }
    let faults = [
        ("ts_key = \"t\"\n", "", "schemes.globodesk.ts_format", "goes together with ts_header or ts_key"),
        ("\"{ts}|{body}\"", "\"{ts}|\"", "schemes.globodesk.signed", "must have {body}"),
        ("\"{ts}|{body}\"", "\"{when}|{body}\"", "schemes.globodesk.signed", "there are {body} {ts}"),
        (
            "outcome = \"confirmed\"",
            "outcome = \"solved\"",
            "platforms.globodesk.rules[0].outcome",
            "`confirmed`",
        ),
        ("by\", in = ", "by\", is = ", "platforms.globodesk.rules[0].when[1]", "`starts_with`"),
        (
            "by\", in = \"setting:bots\"",
            "by\"",
            "platforms.globodesk.rules[0].when[1]",
            "give exactly one of eq",
        ),
        (
            "case_id = \"body:/ticket\"",
            "case_id = \"ticket\"",
            "platforms.globodesk.case_id",
            "write body:/pointer",
        ),
        (
            "customer = [\"body:/org\", \"setting:customer\"]\n",
            "",
            "platforms.globodesk.rules[0]",
            "needs `customer`",
        ),
        (
            "scheme = \"globodesk\"",
            "scheme = \"globo\"",
            "platforms.globodesk.scheme",
            "there are bitbucket, chatwoot",
        ),
        (
            "each = \"/events\"",
            "nack = { status = 410 }",
            "platforms.globodesk.nack.status",
            "from 500 to 599",
        ),
        (
            "{api_url}/tickets",
            "http://globodesk.example/tickets",
            "platforms.globodesk.fetch.url",
            "take https://",
        ),
        ("/{case_id}\"", "/{credential:token}\"", "platforms.globodesk.fetch.url", "put it into `headers`"),
        (
            "secrets = [\"what Globodesk and we know of each other\"]",
            "secrets = [\"\"]",
            "sources[0]",
            "32 random bytes",
        ),
        ("platform = \"globodesk\"", "platform = \"globodsk\"", "sources[0]", "there are ada, chatwoot"),
        ("url = \"", "url = ", "line", "url"),
    ];
    for (from, to, place, remedy) in faults {
        assert!(GLOBODESK.contains(from), "{from}");
        let (code, said) = run("lint", &GLOBODESK.replacen(from, to, 1));
        assert_eq!(code, 1, "{to}: {said}");
        assert!(
            said.contains(place) && said.contains(remedy) && said.contains("globodesk.toml"),
            "{to}: {said}"
        );
    }
    // A sample that comes out otherwise is no fault of form: only `test` finds it.
    let otherwise = GLOBODESK.replace("case = \"T-3\"", "case = \"T-4\"");
    assert_eq!(run("lint", &otherwise).0, 0);
    let (code, said) = run("test", &otherwise);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("error: platforms.globodesk: sample `two of three count`"), "{said}");
    // What works, and yet is probably a mistake.
    for (from, to, warning) in [
        ("bots = [\"robo\"]", "robots = [\"robo\"]", "setting:bots has no default"),
        ("what Globodesk and we know of each other", "too short", "better are 16 or more"),
        (
            "settings = { api_url",
            "settings = { colour = \"red\", api_url",
            "settings.colour: is used by nothing",
        ),
        ("credentials = { token = \"t0ken\" }\n", "", "credentials.token is not set"),
    ] {
        let (code, said) = run("lint", &GLOBODESK.replace(from, to));
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("warning: ") && said.contains(warning), "{to}: {said}");
    }
}
