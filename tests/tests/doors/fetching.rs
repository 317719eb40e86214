//! Thin events: the platform is asked for the rest, in its own time and within its limits.

use crate::secrets::{KEY, put};
use crate::signing::{hex, sha256};
use crate::{START, attempt, contract, folder, parked, start_with, until, with};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use std::time::Duration;
use verdict_oracle::{DAY, HOUR};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::platform::{Asked, Mood, Platform};
use verdict_tests::service::Service;

const SECRET: &str = "a secret of the thin platform";

/// A platform whose events say that something happened, and no more.
pub const THIN: &str = r#"
[platforms.thin]
scheme = "github"
delivery_id = ["body:/id"]
case_id = "body:/case"
customer = "setting:customer"
occurred_at = { at = "body:/at", format = "unix_s" }
evidence = ["body:/id"]
rules = [{ name = "ask", outcome = "fetch", when = [{ at = "body:/case", exists = true }] }]

[platforms.thin.fetch]
url = "{api_url}/cases/{case_id}"
headers = { Authorization = "Bearer {credential:token}" }
timeout = "1s"
per_minute = 6000
fact_id = "body:/case+state"
evidence = ["body:/state", "body:/by"]
rules = [{ name = "solved", outcome = "confirmed", when = [{ at = "body:/state", eq = "solved" }] }]
"#;

/// A source of that platform.
pub fn thin(name: &str, platform: &Platform, token: &str) -> String {
    let credentials =
        if token.is_empty() { String::new() } else { format!("credentials = {{ token = \"{token}\" }}\n") };
    format!(
        "[[sources]]\nname = \"{name}\"\nplatform = \"thin\"\nsecrets = [\"{SECRET}\"]\n{credentials}\
         settings = {{ customer = \"acme\", api_url = \"{}\" }}\n",
        platform.address()
    )
}

/// Sends an event, which must be taken.
pub async fn send(service: &Service, source: &str, id: &str, case: &str) {
    let body = json!({ "id": id, "case": case, "at": (START + 2 * HOUR) / 1_000_000 }).to_string();
    let signature = format!("sha256={}", hex(&sha256(SECRET, body.as_bytes())));
    let headers = [("X-Hub-Signature-256".to_string(), signature)];
    assert_eq!(service.deliver(source, &headers, body).await.status(), 202);
}

/// Every case is solved.
#[expect(clippy::unnecessary_wraps, reason = "it answers as a platform may")]
pub fn solved(asked: &Asked) -> Option<String> {
    let case = asked.line.rsplit('/').next().unwrap();
    Some(json!({ "case": case, "state": "solved", "by": "bot" }).to_string())
}

const QUICK: (&str, &str) = ("VERDICT_WORKER_TICK_MS", "50");

async fn facts(db: &DatabaseConnection) -> Vec<String> {
    texts(db, "SELECT id FROM resolutions ORDER BY id").await
}

async fn asked_and_judged(name: &str, database_url: &str) {
    let platform = Platform::start("t0ken", solved).await;
    let config = format!("{THIN}{}", thin("desk", &platform, "t0ken"));
    let service = start_with(name, database_url, &config, &[QUICK]).await;
    let db = connect(database_url).await;
    // This customer pays for what was signed or fetched.
    let strict = with(&contract("acme"), "/rule", json!({ "evidence": "platform" }));
    service.post("/v1/contracts", &strict).await;
    service.post("/v1/attempts", &attempt("acme", "a-1")).await;
    service.move_clock(START + 2 * HOUR).await;
    for _ in 0..2 {
        send(&service, "desk", "ev-1", "a-1").await;
    }
    until("it is fetched", async || facts(&db).await == ["desk:a-1:solved"]).await;
    let asked = platform.asked();
    assert_eq!((asked.len(), asked[0].line.as_str(), asked[0].authorised), (1, "GET /cases/a-1", true));
    assert_eq!(texts(&db, "SELECT strength FROM resolutions").await, ["fetched"]);
    let evidence: Value =
        serde_json::from_str(&texts(&db, "SELECT evidence FROM resolutions").await[0]).unwrap();
    assert_eq!(
        evidence,
        json!({
            "source": "desk", "delivery": "fetch:ev-1", "via": "fetch", "rule": "solved", "secret": null,
            "values": { "body:/id": "ev-1", "body:/state": "solved", "body:/by": "bot" },
        })
    );
    let stored = service.get_json("/v1/deliveries/desk/fetch:ev-1").await;
    assert_eq!([&stored["via"], &stored["body"]], ["fetch", r#"{"by":"bot","case":"a-1","state":"solved"}"#]);
    assert!(stored["origin"].as_str().unwrap().contains("ev-1"), "{stored}");
    assert!(!stored.to_string().contains("t0ken"), "{stored}");
    // The event's time counts, not that of the asking.
    assert_eq!(number(&db, "SELECT occurred_at FROM resolutions").await, START + 2 * HOUR);
    // Another event about the same leads to the same fact.
    send(&service, "desk", "ev-2", "a-1").await;
    platform.wait_until_asked(2).await;
    service.move_clock(START + 2 * DAY).await;
    assert_eq!(facts(&db).await, ["desk:a-1:solved"]);
    assert_eq!(service.get_json("/v1/cases/acme/a-1").await["verdict"], "confirmed");
    assert_eq!(texts(&db, "SELECT DISTINCT state FROM fetches").await, ["done"]);
}

#[tokio::test]
async fn a_thin_event_is_asked_for_and_the_answer_is_the_fact_on_sqlite() {
    asked_and_judged("fetching-sqlite", &fresh_sqlite(&folder("fetching-sqlite"))).await;
}

#[tokio::test]
async fn a_thin_event_is_asked_for_and_the_answer_is_the_fact_on_postgres() {
    asked_and_judged("fetching-postgres", &fresh_postgres("doors_fetching").await).await;
}

/// Each platform fails in its own way; none holds up another.
#[tokio::test]
async fn a_platform_that_fails_is_asked_again_until_it_answers() {
    let moods: [(&str, &[Mood], &[f32]); 6] = [
        ("fails", &[Mood::Status(500), Mood::Status(503)], &[2.0, 4.0]),
        ("hangs", &[Mood::Hang], &[3.0]),
        ("garbage", &[Mood::Bytes(b"<html>back soon</html>".to_vec())], &[2.0]),
        ("busy", &[Mood::Busy(4)], &[4.0]),
        ("token", &[Mood::Status(401)], &[2.0]),
        ("forbids", &[Mood::Status(403)], &[2.0]),
    ];
    let mut platforms = Vec::new();
    let mut config = THIN.to_string();
    for (name, moods, _) in moods {
        let platform = Platform::start("t0ken", solved).await;
        platform.will(moods);
        config.push_str(&thin(name, &platform, "t0ken"));
        platforms.push(platform);
    }
    let database_url = fresh_sqlite(&folder("fetching-fails"));
    let service = start_with("fetching-fails", &database_url, &config, &[QUICK]).await;
    let db = connect(&database_url).await;
    service.move_clock(START + 2 * HOUR).await;
    for (name, _, _) in moods {
        send(&service, name, "ev-1", name).await;
    }
    // While it is to wait, "busy" is asked nothing else.
    platforms[3].wait_until_asked(1).await;
    send(&service, "busy", "ev-2", "busy-too").await;
    until("each has answered", async || facts(&db).await.len() == 7).await;
    for ((name, moods, waits), platform) in moods.iter().zip(&platforms) {
        let asked = platform.asked();
        assert_eq!(asked.len(), moods.len() + 1 + usize::from(*name == "busy"), "{name}");
        for (pair, wait) in asked.windows(2).zip(*waits) {
            let gap = (pair[1].at - pair[0].at).as_secs_f32();
            // Up to a quarter more, and what a busy machine takes.
            assert!((*wait..wait * 1.25 + 4.0).contains(&gap), "{name}: {gap} s instead of {wait} s");
        }
    }
    assert_eq!(texts(&db, "SELECT DISTINCT state FROM fetches").await, ["done"]);
    assert_eq!(parked(&service).await, [] as [Value; 0]);
}

async fn given_up(name: &str, database_url: &str) {
    let platform = Platform::start("t0ken", |_| None).await;
    let config = format!("{THIN}{}{}", thin("desk", &platform, "t0ken"), thin("bare", &platform, ""));
    let service = start_with(name, database_url, &config, &[QUICK, ("VERDICT_SECRETS_KEY", KEY)]).await;
    let db = connect(database_url).await;
    service.move_clock(START + 2 * HOUR).await;
    let elsewhere = Mood::Redirect("http://127.0.0.1:1/".into());
    for (mood, words) in [
        (Mood::Well, "the platform answered 404"),
        (elsewhere, "the platform answered 302"),
        (Mood::Bytes(vec![b' '; 9 * 1024 * 1024]), "more than 8388608 bytes"),
        (Mood::Status(410), "the platform answered 410"),
    ] {
        platform.will(&[mood]);
        let before = parked(&service).await.len();
        send(&service, "desk", &format!("ev-{before}"), &format!("a-{before}")).await;
        until(words, async || parked(&service).await.len() == before + 1).await;
        let list = parked(&service).await;
        let last = list.iter().find(|thing| thing["reason"].as_str().unwrap().contains(words)).unwrap();
        assert_eq!(
            [&last["origin"], &last["reference"]],
            ["fetch", &*json!(["desk", format!("ev-{before}")]).to_string()]
        );
    }
    // Without a credential nothing is asked at all.
    send(&service, "bare", "ev-9", "a-9").await;
    until("it is parked", async || parked(&service).await.len() == 5).await;
    let list = parked(&service).await;
    let bare = list
        .iter()
        .find(|thing| thing["reason"].as_str().unwrap().contains("credentials.token is not set"))
        .unwrap();
    assert!(bare["reference"].as_str().unwrap().contains("ev-9"), "{bare}");
    assert_eq!(platform.asked().len(), 4);
    assert_eq!(texts(&db, "SELECT DISTINCT state FROM fetches").await, ["parked"]);

    platform.answers(solved);
    put(&service, "credential", "bare", "token", "t0ken");
    until("all are replayed", async || {
        for thing in parked(&service).await {
            let path = format!("/v1/parked/{}/replay", thing["id"].as_str().unwrap());
            assert_eq!(service.try_post(&path, &json!({})).await.unwrap().status(), 202);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        facts(&db).await.len() == 5
    })
    .await;
    assert_eq!(parked(&service).await, [] as [Value; 0]);
}

#[tokio::test]
async fn what_a_platform_does_not_give_is_parked_and_asked_again_on_replay_on_sqlite() {
    given_up("fetching-parked", &fresh_sqlite(&folder("fetching-parked"))).await;
}

#[tokio::test]
async fn what_a_platform_does_not_give_is_parked_and_asked_again_on_replay_on_postgres() {
    given_up("fetching-parked-pg", &fresh_postgres("doors_fetching_parked").await).await;
}

#[tokio::test]
async fn a_mended_credential_is_taken_up_and_the_fetch_goes_on_by_itself() {
    let platform = Platform::start("n3w", solved).await;
    let database_url = fresh_sqlite(&folder("fetching-credential"));
    let config = format!("{THIN}{}", thin("desk", &platform, "0ld"));
    let environment = [QUICK, ("VERDICT_SECRETS_KEY", KEY)];
    let service = start_with("fetching-credential", &database_url, &config, &environment).await;
    let db = connect(&database_url).await;
    service.move_clock(START + 2 * HOUR).await;
    send(&service, "desk", "ev-1", "a-1").await;
    assert!(!platform.wait_until_asked(1).await[0].authorised);
    put(&service, "credential", "desk", "token", "n3w");
    until("it is fetched", async || facts(&db).await.len() == 1).await;
    assert!(platform.asked().last().unwrap().authorised);
    assert_eq!(parked(&service).await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_platform_is_asked_no_more_often_than_it_allows() {
    let (slow, other) = (Platform::start("t0ken", solved).await, Platform::start("t0ken", solved).await);
    let database_url = fresh_sqlite(&folder("fetching-limit"));
    let limited = THIN.replace("per_minute = 6000", "per_minute = 120");
    let config = format!("{limited}{}{}", thin("slow", &slow, "t0ken"), thin("other", &other, "t0ken"));
    let service = start_with("fetching-limit", &database_url, &config, &[QUICK]).await;
    service.move_clock(START + 2 * HOUR).await;
    for nth in 0..6 {
        send(&service, "slow", &format!("ev-{nth}"), &format!("a-{nth}")).await;
    }
    send(&service, "other", "ev-1", "b-1").await;
    other.wait_until_asked(1).await;
    assert!(slow.asked().len() < 6, "another source does not wait for it");
    let asked = slow.wait_until_asked(6).await;
    for pair in asked.windows(2) {
        let gap = (pair[1].at - pair[0].at).as_millis();
        assert!(gap >= 450, "{gap} ms");
    }
}

#[tokio::test]
async fn a_fetch_that_a_crash_cut_off_is_carried_out_after_it() {
    let platform = Platform::start("t0ken", solved).await;
    platform.will(&[Mood::Hang]);
    let database_url = fresh_sqlite(&folder("fetching-crash"));
    let config = format!("{THIN}{}", thin("desk", &platform, "t0ken"));
    let mut service = start_with("fetching-crash", &database_url, &config, &[QUICK]).await;
    service.move_clock(START + 2 * HOUR).await;
    send(&service, "desk", "ev-1", "a-1").await;
    platform.wait_until_asked(1).await;
    service.restart().await;
    let db = connect(&database_url).await;
    until("it is fetched", async || facts(&db).await == ["desk:a-1:solved"]).await;
    assert_eq!(platform.asked().len(), 2);
}
