//! `docs/RESOLUTION_RULES.md`: the rules of the market are read from the page itself, and cases are judged by them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use verdict_domain::attempt::{Cost, Status};
use verdict_domain::contract::check_rule;
use verdict_domain::fact::{AttemptFact, Fact, ResolutionFact, ResolutionKind, Said, Strength, in_order};
use verdict_domain::judge::{Episode, Verdict, judge};
use verdict_domain::ledger::entries;
use verdict_domain::money::Currency;
use verdict_domain::rule::Rule;
use verdict_domain::time::{Span, Timestamp};
use verdict_oracle::HOUR;

/// The rules of the page by their headings.
fn rules() -> BTreeMap<String, Rule> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Block {
        rule: Rule,
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/RESOLUTION_RULES.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut rules = BTreeMap::new();
    for section in page.split("\n## ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        let blocks: Vec<_> =
            text.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
        let [block] = blocks[..] else { panic!("{name}: one rule, not {}", blocks.len()) };
        let Block { rule } = toml::from_str(block).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_rule(&rule).unwrap_or_else(|error| panic!("{name}: {error}"));
        rules.insert(name.to_owned(), rule);
    }
    rules
}

/// What happened, by its hour: `answered`, `handed_off procedure.handoff`, `confirmed token`, `rated 3` …
type Told = (i64, &'static str);

fn fact(number: usize, (hour, told): Told) -> Fact {
    let (what, more) = told.split_once(' ').unwrap_or((told, ""));
    let at = Timestamp(hour * HOUR);
    if let Some(status) = Status::parse(what) {
        let said = Said::Attempt(AttemptFact {
            status,
            failure_reason: None,
            agent: "bot".into(),
            action: if more.is_empty() { "support.resolution".into() } else { more.into() },
            provider: "openai".into(),
            model: "gpt-4o".into(),
            cost: Cost { model_nanos: None, other_nanos: 0, currency: Currency::USD },
            value: None,
        });
        // A failed attempt is `failed`, too; negative feedback is told as `negative`.
        return Fact { at, id: format!("attempt:{number}"), said };
    }
    let kind = ResolutionKind::parse(if what == "negative" { "failed" } else { what }).expect(told);
    let said = Said::Resolution(ResolutionFact {
        kind,
        score: (kind == ResolutionKind::Rated).then(|| more.parse().unwrap()),
        about: (kind == ResolutionKind::DisputeAccepted).then(|| more.into()),
        strength: Strength::parse(more).unwrap_or(Strength::Signed),
        value: None,
    });
    Fact { at, id: format!("desk:{number}"), said }
}

/// An episode in short: `assumed 72`, `pending confirmed 24`, `failed handoff 3`, `assumed 72, void reopened 80`.
fn short(episode: &Episode) -> Option<String> {
    let hour = |at: Timestamp| at.0 / HOUR;
    let win = episode.win.map(|win| format!("{} {}", win.kind.as_str(), hour(win.settles_at)));
    let win = win.unwrap_or_default();
    let decided_at = episode.decided_at.map_or(0, hour);
    Some(match episode.verdict? {
        Verdict::Pending => format!("pending {win}").trim_end().to_owned(),
        Verdict::Won(_) => win,
        Verdict::Failed(reason) => format!("failed {} {decided_at}", reason.as_str()),
        Verdict::Void(reason) => format!("{win}, void {} {decided_at}", reason.as_str()),
    })
}

/// What is expected of a case: why, when it is looked at, what happened, what is held of its episodes, and how
/// many outcomes are left charged.
type Scenario = (&'static str, i64, &'static [Told], &'static [&'static str], i64);

/// Long after everything, in hours.
const LATE: i64 = 20_000;

fn check(vendor: &str, rule: &Rule, scenarios: &[Scenario]) {
    for (why, now, told, expected, charged) in scenarios {
        let facts = in_order(told.iter().enumerate().map(|(number, told)| fact(number, *told)).collect());
        let episodes = judge(&facts, rule, Timestamp(now * HOUR)).episodes;
        let found: Vec<_> = episodes.iter().filter_map(short).collect();
        assert_eq!(found, *expected, "{vendor}: {why}");
        let left: i64 = entries(&facts, &episodes).iter().map(|entry| entry.sign).sum();
        assert_eq!(left, *charged, "{vendor}: {why}: charged");
    }
}

const DEFAULT: &[Scenario] = &[
    ("confirmed settles after a day", 25, &[(0, "answered"), (1, "confirmed")], &["confirmed 25"], 1),
    ("and not before", 24, &[(0, "answered"), (1, "confirmed")], &["pending confirmed 25"], 0),
    ("silence settles after three days", 72, &[(0, "answered")], &["assumed 72"], 1),
    ("and not before", 71, &[(0, "answered")], &["pending assumed 72"], 0),
    ("a message begins the silence anew", LATE, &[(0, "answered"), (10, "message")], &["assumed 82"], 1),
    ("so does the agent", LATE, &[(0, "answered"), (10, "answered")], &["assumed 82"], 1),
    ("thanks do not", LATE, &[(0, "answered"), (10, "acknowledged")], &["assumed 72"], 1),
    ("a greeting never counts", LATE, &[(0, "replied"), (1, "confirmed")], &["failed no_answer 72"], 0),
    (
        "a human goes before all",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (2, "negative"), (3, "escalated")],
        &["failed handoff 3"],
        0,
    ),
    (
        "negative feedback before a re-open",
        LATE,
        &[(0, "answered"), (2, "negative"), (3, "reopened")],
        &["failed negative_feedback 2"],
        0,
    ),
    (
        "a re-open refuses what is not settled",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (24, "reopened")],
        &["failed reopened 24"],
        0,
    ),
    (
        "and takes back what is",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (25, "reopened")],
        &["confirmed 25, void reopened 25"],
        0,
    ),
    (
        "for 30 days",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (25 + 720, "reopened")],
        &["confirmed 25, void reopened 745"],
        0,
    ),
    (
        "and no longer",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (25 + 721, "reopened")],
        &["confirmed 25"],
        1,
    ),
    (
        "one charge an episode",
        LATE,
        &[(0, "answered"), (900, "reopened"), (901, "answered")],
        &["assumed 72", "assumed 973"],
        2,
    ),
    (
        "an accepted dispute knows no horizon",
        LATE,
        &[(0, "answered"), (2_000, "disputed"), (2_010, "dispute_accepted desk:1")],
        &["assumed 72, void dispute 2010"],
        0,
    ),
];

const FIN: &[Scenario] = &[
    ("an affirmative reply confirms at once", 1, &[(0, "answered"), (1, "confirmed")], &["confirmed 1"], 1),
    ("leaving for a day is assumed", 24, &[(0, "answered")], &["assumed 24"], 1),
    ("not for less", 23, &[(0, "answered")], &["pending assumed 24"], 0),
    ("a greeting never counts", LATE, &[(0, "replied")], &["failed no_answer 24"], 0),
    (
        "a further question is unresolved",
        LATE,
        &[(0, "answered"), (3, "message")],
        &["failed unresolved 27"],
        0,
    ),
    ("until it is answered", LATE, &[(0, "answered"), (3, "message"), (4, "answered")], &["assumed 28"], 1),
    ("thanks do not start the day anew", 24, &[(0, "answered"), (20, "acknowledged")], &["assumed 24"], 1),
    ("the wish for a person", LATE, &[(0, "answered"), (3, "escalated")], &["failed handoff 3"], 0),
    (
        "who returns is not charged for",
        LATE,
        &[(0, "answered"), (1_000, "reopened")],
        &["assumed 24, void reopened 1000"],
        0,
    ),
    (
        "even years of periods later",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (9_000, "reopened")],
        &["confirmed 1, void reopened 9000"],
        0,
    ),
    (
        "one charge a conversation",
        LATE,
        &[(0, "answered"), (30, "reopened"), (31, "answered"), (32, "confirmed")],
        &["assumed 24, void reopened 30", "confirmed 32"],
        1,
    ),
    (
        "two questions, one charge",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (2, "message"), (3, "answered"), (4, "confirmed")],
        &["confirmed 1"],
        1,
    ),
    ("negative feedback leaves it pending", 23, &[(0, "answered"), (1, "negative")], &["pending"], 0),
    ("and is no resolution", LATE, &[(0, "answered"), (1, "negative")], &["failed negative_feedback 24"], 0),
    (
        "a better answer is one",
        LATE,
        &[(0, "answered"), (1, "negative"), (2, "answered")],
        &["assumed 26"],
        1,
    ),
    (
        "a procedure's handoff is an outcome",
        LATE,
        &[(0, "handed_off procedure.handoff"), (1, "escalated")],
        &["confirmed 0"],
        1,
    ),
    ("another handoff is none", LATE, &[(0, "answered"), (1, "handed_off")], &["failed handoff 1"], 0),
    (
        "a prospect is qualified",
        LATE,
        &[(0, "replied"), (1, "handed_off sales.qualification")],
        &["confirmed 1"],
        1,
    ),
];

const ZENDESK: &[Scenario] = &[
    ("72 hours and a relevant answer", LATE, &[(0, "answered"), (73, "assumed")], &["assumed 73"], 1),
    (
        "an early word waits for the silence",
        71,
        &[(0, "answered"), (1, "assumed")],
        &["pending assumed 72"],
        0,
    ),
    ("contained but not verified", LATE, &[(0, "answered")], &["failed unresolved 72"], 0),
    (
        "a word that is not the platform's",
        LATE,
        &[(0, "answered"), (73, "assumed token")],
        &["failed unresolved 72"],
        0,
    ),
    (
        "nor by whoever holds a key",
        LATE,
        &[(0, "answered"), (73, "assumed api"), (80, "assumed fetched")],
        &["assumed 80"],
        1,
    ),
    (
        "an assisted escalation",
        LATE,
        &[(0, "answered"), (1, "escalated"), (80, "assumed")],
        &["failed handoff 1"],
        0,
    ),
    (
        "any activity begins the 72 hours anew",
        LATE,
        &[(0, "answered"), (40, "acknowledged"), (100, "assumed")],
        &["assumed 112"],
        1,
    ),
    (
        "a last question does not qualify",
        LATE,
        &[(0, "answered"), (40, "message"), (120, "assumed")],
        &["failed unresolved 112"],
        0,
    ),
    ("a greeting is not relevant", LATE, &[(0, "replied"), (80, "assumed")], &["failed no_answer 72"], 0),
    (
        "counted per conversation",
        LATE,
        &[(0, "answered"), (72, "assumed"), (100, "reopened"), (101, "answered"), (180, "assumed")],
        &["assumed 72", "assumed 180"],
        1,
    ),
];

const ZENDESK_TICKETS: &[Scenario] = &[
    (
        "72 hours after the first message",
        LATE,
        &[(0, "message"), (1, "answered"), (71, "answered"), (72, "assumed")],
        &["assumed 72"],
        1,
    ),
    ("not before", 71, &[(0, "message"), (60, "answered"), (61, "assumed")], &["pending assumed 72"], 0),
    (
        "however much was written",
        LATE,
        &[(0, "message"), (1, "answered"), (50, "message"), (72, "assumed")],
        &["assumed 72"],
        1,
    ),
    ("not verified", LATE, &[(0, "message"), (1, "answered")], &["failed unresolved 73"], 0),
    (
        "a verdict on an earlier answer",
        LATE,
        &[(0, "message"), (1, "answered"), (2, "assumed"), (50, "failed"), (60, "message")],
        &["failed unresolved 132"],
        0,
    ),
    (
        "what is answered later is too late",
        LATE,
        &[(0, "message"), (72, "answered"), (150, "assumed")],
        &["failed unresolved 144"],
        0,
    ),
    (
        "escalated",
        LATE,
        &[(0, "message"), (1, "answered"), (2, "handed_off"), (72, "assumed")],
        &["failed handoff 2"],
        0,
    ),
];

const GORGIAS: &[Scenario] = &[
    ("72 hours without a human", 72, &[(0, "answered")], &["assumed 72"], 1),
    ("a human steps in", LATE, &[(0, "answered"), (71, "escalated")], &["failed handoff 71"], 0),
    ("a human comes too late", LATE, &[(0, "answered"), (73, "escalated")], &["assumed 72"], 1),
    ("thanks do not restart the timer", 72, &[(0, "answered"), (60, "acknowledged")], &["assumed 72"], 1),
    (
        "a question that was answered does",
        LATE,
        &[(0, "answered"), (60, "message"), (61, "answered")],
        &["assumed 133"],
        1,
    ),
    (
        "one that was not is no interaction",
        LATE,
        &[(0, "answered"), (60, "message")],
        &["failed unresolved 132"],
        0,
    ),
    (
        "a later ticket is another",
        LATE,
        &[(0, "answered"), (100, "reopened"), (101, "answered")],
        &["assumed 72", "assumed 173"],
        2,
    ),
];

const REDO: &[Scenario] = &[
    ("resolved without a human", LATE, &[(0, "answered")], &["assumed 72"], 1),
    (
        "a human steps in before it settled",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (2, "escalated")],
        &["failed handoff 2"],
        0,
    ),
    (
        "or at any point after",
        LATE,
        &[(0, "answered"), (5_000, "escalated")],
        &["assumed 72, void handoff 5000"],
        0,
    ),
    (
        "a rating of 3",
        LATE,
        &[(0, "answered"), (80, "rated 3")],
        &["assumed 72, void negative_feedback 80"],
        0,
    ),
    ("a rating of 1, early", LATE, &[(0, "answered"), (8, "rated 1")], &["failed negative_feedback 8"], 0),
    ("a rating of 4", LATE, &[(0, "answered"), (8, "rated 4")], &["assumed 72"], 1),
    ("handed off by the agent", LATE, &[(0, "handed_off")], &["failed handoff 0"], 0),
];

const SIMPLE_CHAT: &[Scenario] = &[
    (
        "a re-open is a new billable episode",
        LATE,
        &[(0, "answered"), (100, "reopened"), (101, "answered")],
        &["assumed 72", "assumed 173"],
        2,
    ),
    (
        "nothing new without an answer",
        LATE,
        &[(0, "answered"), (100, "reopened"), (101, "failed")],
        &["assumed 72", "failed no_answer 173"],
        1,
    ),
    (
        "a confirmation before the re-open stays",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (2, "reopened")],
        &["confirmed 25"],
        1,
    ),
    (
        "silence that the re-open broke was none",
        LATE,
        &[(0, "answered"), (71, "reopened"), (72, "answered")],
        &["failed unresolved 71", "assumed 144"],
        1,
    ),
    (
        "each may be taken back by itself",
        LATE,
        &[(0, "answered"), (100, "reopened"), (101, "answered"), (200, "escalated")],
        &["assumed 72", "assumed 173, void handoff 200"],
        1,
    ),
];

const AGENTFORCE: &[Scenario] = &[
    ("resolved", LATE, &[(0, "answered"), (1, "confirmed")], &["confirmed 25"], 1),
    (
        "free on a human request",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (5, "escalated")],
        &["failed handoff 5"],
        0,
    ),
    (
        "free on negative feedback",
        LATE,
        &[(0, "answered"), (5, "negative")],
        &["failed negative_feedback 5"],
        0,
    ),
    (
        "also after it settled",
        LATE,
        &[(0, "answered"), (100, "negative")],
        &["assumed 72, void negative_feedback 100"],
        0,
    ),
    (
        "no later answer mends it",
        LATE,
        &[(0, "answered"), (5, "negative"), (6, "answered")],
        &["failed negative_feedback 5"],
        0,
    ),
    ("a greeting is no resolution", LATE, &[(0, "replied")], &["failed no_answer 72"], 0),
];

const HUBSPOT: &[Scenario] = &[
    ("resolved by its word", LATE, &[(0, "answered"), (80, "assumed")], &["assumed 80"], 1),
    ("not by silence alone", LATE, &[(0, "answered")], &["failed unresolved 72"], 0),
    (
        "a conversation once",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (800, "reopened"), (801, "answered"), (802, "confirmed")],
        &["confirmed 25", "confirmed 826"],
        1,
    ),
    (
        "handed to a human",
        LATE,
        &[(0, "answered"), (1, "escalated"), (80, "assumed")],
        &["failed handoff 1"],
        0,
    ),
];

const WITN: &[Scenario] = &[
    (
        "72 hours after the last event",
        LATE,
        &[(0, "answered"), (10, "message"), (20, "acknowledged")],
        &["assumed 92"],
        1,
    ),
    ("not before", 91, &[(0, "answered"), (10, "message"), (20, "acknowledged")], &["pending assumed 92"], 0),
    ("a bad signal before then", LATE, &[(0, "answered"), (71, "escalated")], &["failed handoff 71"], 0),
    ("and after then", LATE, &[(0, "answered"), (73, "escalated")], &["assumed 72"], 1),
    (
        "re-opened before then",
        LATE,
        &[(0, "answered"), (1, "confirmed"), (70, "reopened")],
        &["failed reopened 70"],
        0,
    ),
    ("no answer, no outcome", LATE, &[(0, "failed"), (50, "message")], &["failed no_answer 122"], 0),
];

const VENDORS: [(&str, &[Scenario]); 10] = [
    ("Default", DEFAULT),
    ("Intercom Fin", FIN),
    ("Zendesk", ZENDESK),
    ("Zendesk tickets", ZENDESK_TICKETS),
    ("Gorgias", GORGIAS),
    ("Redo", REDO),
    ("Simple Chat", SIMPLE_CHAT),
    ("Agentforce", AGENTFORCE),
    ("HubSpot", HUBSPOT),
    ("witn", WITN),
];

#[test]
fn each_rule_of_the_page_judges_as_its_vendor_does() {
    let rules = rules();
    let names: BTreeSet<&str> = rules.keys().map(String::as_str).collect();
    assert_eq!(names, VENDORS.iter().map(|(name, _)| *name).collect());
    for (vendor, scenarios) in VENDORS {
        assert!(scenarios.len() >= 4);
        check(vendor, &rules[vendor], scenarios);
    }
    println!(
        "{} scenarios of {} rules",
        VENDORS.map(|(_, scenarios)| scenarios.len()).iter().sum::<usize>(),
        rules.len()
    );
}

#[test]
fn the_default_of_the_page_is_the_default() {
    assert_eq!(rules()["Default"], Rule::default());
}

#[test]
fn the_shortest_and_the_longest_timer_of_witn() {
    let rule = &rules()["witn"];
    let day = Span::hours(24).0;
    for (window, hours) in [("1s", 0), ("180d", 180 * 24)] {
        let silence_window: Span = serde_json::from_value(window.into()).unwrap();
        assert!([1_000_000, 180 * day].contains(&silence_window.0));
        let rule = Rule { silence_window, ..rule.clone() };
        check_rule(&rule).unwrap();
        let facts = [fact(0, (0, "answered"))];
        let at = |micros| short(&judge(&facts, &rule, Timestamp(micros)).episodes[0]);
        assert_eq!(at(silence_window.0 - 1), Some(format!("pending assumed {hours}")));
        assert_eq!(at(silence_window.0), Some(format!("assumed {hours}")));
    }
}
