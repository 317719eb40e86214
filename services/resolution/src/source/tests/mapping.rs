//! Reading by rules.

use super::*;
use serde_json::json;

const OWN: &str = r#"
[platforms.own]
scheme = "github"
delivery_id = ["body:/id"]
case_id = "body:/case"
customer = ["body:/tenant", "setting:customer"]
occurred_at = { at = ["body:/at", "body:/then"], format = "unix_s" }
evidence = ["body:/type", "body:/list"]
settings = { agents = [] }
rules = [
  { outcome = "escalated", when = [{ at = "body:/agent", not_in = ["setting:agents", ""] }] },
  { name = "low", outcome = "failed", when = [{ at = "body:/score", le = 2 }] },
  { outcome = "rated", score = "body:/score", when = [{ at = "body:/score", exists = true }] },
  { outcome = "confirmed", when = [{ at = "body:/list/*/a~1b", eq = "yes" }] },
  { outcome = "assumed", when = [{ at = "body:/type", in = "setting:never" }] },
  { outcome = "message", when = [{ at = "body:/members/*/kind", ne = "bot" }] },
  { outcome = "quarantine", reason = "body:/why", when = [{ at = "body:/why", exists = true }] },
  { outcome = "acknowledged", when = [{ at = "body:/text", contains = "thank" }] },
]
"#;

#[test]
fn the_first_rule_whose_conditions_hold_decides() {
    let own = of(&with_own(OWN), "own", &[("agents", json!(["bot", 7]))]);
    let kind = |more: Value| {
        let mut body = json!({"id": 1, "case": 17, "at": 1_772_446_500.25});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        match one(&own, &body.to_string()) {
            Outcome::Fact(fact) => fact.kind.as_str(),
            Outcome::None => "none",
            Outcome::Quarantine(_) => "quarantine",
            other => panic!("{other:?}"),
        }
    };
    for (more, expected) in [
        (json!({"agent": "kim"}), "escalated"),
        (json!({"agent": 7}), "none"),
        (json!({"agent": "7"}), "none"),
        (json!({"agent": ""}), "none"),
        (json!({"agent": null}), "none"),
        (json!({"agent": {"name": "kim"}}), "none"),
        (json!({"score": 2}), "failed"),
        (json!({"score": "1"}), "failed"),
        (json!({"score": 1.5}), "failed"),
        (json!({"score": 2.5}), "quarantine"),
        (json!({"score": 5}), "rated"),
        (json!({"score": "4.0"}), "rated"),
        (json!({"score": "great"}), "quarantine"),
        (json!({"list": [{"a/b": "no"}, {"a/b": "yes"}]}), "confirmed"),
        (json!({"list": {"x": {"a/b": "yes"}}}), "confirmed"),
        (json!({"type": "any"}), "none"),
        (json!({"members": [{"kind": "bot"}, {"kind": "human"}]}), "none"),
        (json!({"members": [{"kind": "human"}]}), "message"),
        (json!({"members": []}), "none"),
        (json!({"text": "thanks a lot"}), "acknowledged"),
        (json!({"text": ["thank"]}), "acknowledged"),
    ] {
        assert_eq!(kind(more.clone()), expected, "{more}");
    }
    assert_eq!(reason(one(&own, r#"{"id":1,"why":"odd"}"#)), "odd");
}

#[test]
fn a_fact_has_all_that_it_needs_or_a_person_looks_at_it() {
    let own = of(&with_own(OWN), "own", &[]);
    let body = json!({"id": "d1", "case": 17, "at": "1772446500.2500019", "agent": "kim", "list": [1], "type": "a\u{0}b"});
    let Outcome::Fact(fact) = one(&own, &body.to_string()) else { panic!() };
    assert_eq!(
        (fact.fact_id.as_str(), fact.case.as_str(), fact.customer.as_str()),
        ("desk:d1", "17", "tenant-default")
    );
    assert_eq!(fact.occurred_at.to_string(), "2026-03-02T10:15:00.250001Z");
    assert_eq!(Value::Object(fact.evidence), json!({"body:/type": "a b", "body:/list": [1]}));
    for (without, word) in [("id", "id"), ("case", "body:/case"), ("at", "body:/at, body:/then")] {
        let mut body = body.clone();
        body.as_object_mut().unwrap().remove(without);
        let reason = reason(one(&own, &body.to_string()));
        assert!(reason.contains(word), "{without}: {reason}");
    }
    for (odd, value) in
        [("case", json!("x".repeat(129))), ("case", json!("a\nb")), ("at", json!(0)), ("case", json!(1e30))]
    {
        let mut body = body.clone();
        body[odd] = value;
        reason(one(&own, &body.to_string()));
    }
    let mut fallback = body.clone();
    fallback["at"] = json!("yesterday");
    fallback["then"] = json!(1_772_446_500);
    assert!(matches!(one(&own, &fallback.to_string()), Outcome::Fact(_)));
}

#[test]
fn ids_are_limited_in_length_and_customers_have_our_names() {
    let catalogue = with_own(OWN);
    let toml = r#"{"name":"desk","platform":"own","customers":{"844":"acme"}}"#;
    let config: SourceConfig = serde_json::from_str(toml).unwrap();
    let source = Source::new(&config, &catalogue, &|_| None).unwrap();
    let body =
        json!({"id": "x".repeat(300), "case": "c", "tenant": 844, "at": 1_772_446_500, "agent": "kim"});
    let Outcome::Fact(fact) = one(&source, &body.to_string()) else { panic!() };
    assert_eq!(fact.customer, "acme");
    assert!(fact.fact_id.starts_with("desk:sha256:") && fact.fact_id.len() == 76, "{}", fact.fact_id);
}

#[test]
fn bodies_that_are_no_json_need_a_person_and_empty_ones_mean_nothing() {
    let own = of(&with_own(OWN), "own", &[]);
    let deep = "[".repeat(1_000_000);
    let nested = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for body in
        [&b"<xml/>"[..], b"\xff\xfe", b"{\"a\":\"\xff\"}", b"{", deep.as_bytes(), nested.as_bytes(), b"1 2"]
    {
        let mut events = webhook(&own, &[], body);
        assert!(reason(events.remove(0).outcome).starts_with("the body is not JSON"));
    }
    for body in ["", " \n", "null", "[]", "7", "\"x\""] {
        assert_eq!(one(&own, body), Outcome::None, "{body}");
    }
    let raw = with_own("[platforms.own]\nscheme='github'");
    assert_eq!(one(&of(&raw, "own", &[]), "<xml/>"), Outcome::None);
}

#[test]
fn a_batch_is_read_one_by_one() {
    let hubspot = source("hubspot");
    let event = |id: u32| {
        json!({"eventId": id, "subscriptionId": 2, "occurredAt": 1_772_446_500_000_i64, "objectId": 3, "portalId": 4,
            "subscriptionType": "ticket.propertyChange", "propertyName": "hs_pipeline_stage", "propertyValue": "4"})
    };
    let events = webhook(&hubspot, &[], json!([event(1), {"eventId": 9}, event(2)]).to_string().as_bytes());
    let ids: Vec<_> = events
        .iter()
        .map(|event| match &event.outcome {
            Outcome::Fetch(origin) => (event.index, origin.fact_id.as_str()),
            _ => (event.index, "none"),
        })
        .collect();
    let first = "desk:1:2:1772446500000:3";
    assert_eq!(ids, [(0, first), (1, "none"), (2, "desk:2:2:1772446500000:3")]);
    assert!(webhook(&hubspot, &[], b"[]").is_empty());
    assert_eq!(reason(one(&hubspot, "{}")), "what `each` points to is not an array");
    let request = Request { method: "POST", query: None, header: &|_| None, body: b"[]" };
    assert!(hubspot.delivery_id(&request).unwrap().starts_with("sha256:"));

    let batch = with_own(
        r#"
[platforms.own]
scheme = "standard-webhooks"
each = "/events"
delivery_id = ["header:webhook-id"]
case_id = "body:/case"
customer = "envelope:/tenant"
occurred_at = { at = "received:", format = "rfc3339" }
rules = [{ outcome = "message", when = [{ at = "body:/case", exists = true }] }]
"#,
    );
    let body = json!({"tenant": "t", "events": [{"case": "a"}, {"case": "b"}]}).to_string();
    let events = webhook(&of(&batch, "own", &[]), &[("Webhook-Id", "m")], body.as_bytes());
    let ids = events.into_iter().map(|event| match event.outcome {
        Outcome::Fact(fact) => (fact.fact_id, fact.customer, fact.occurred_at),
        other => panic!("{other:?}"),
    });
    let fact = |id: &str| (id.to_string(), "t".to_string(), RECEIVED);
    assert_eq!(ids.collect::<Vec<_>>(), [fact("desk:m:0"), fact("desk:m:1")]);
}

#[test]
fn a_sender_that_names_its_deliveries_in_a_header_must_do_so() {
    let standard = source("standard");
    let id = |value: Option<String>| {
        let header = move |name: &str| value.clone().filter(|_| name.eq_ignore_ascii_case("webhook-id"));
        standard.delivery_id(&Request { method: "POST", query: None, header: &header, body: b"{}" })
    };
    assert_eq!(id(Some("m".into())), Ok("m".into()));
    for bad in [None, Some(String::new()), Some("a\nb".into()), Some("x".repeat(256))] {
        assert_eq!(id(bad.clone()), Err(MissingId("header:webhook-id".into())), "{bad:?}");
    }
    let own = of(&with_own(OWN), "own", &[]);
    let request = Request { method: "POST", query: None, header: &|_| None, body: b"no json" };
    assert!(own.delivery_id(&request).unwrap().starts_with("sha256:"));
}

#[test]
fn what_a_later_reading_needs_is_kept() {
    let kept: Vec<String> = source("helpscout").kept_headers().map(String::from).collect();
    assert_eq!(kept, ["content-type", "user-agent", "x-helpscout-event", "x-helpscout-signature"]);
    assert_eq!(source("gorgias").secret_header().as_deref(), Some("x-outcome-secret"));
    assert_eq!(source("gorgias").strength(), Strength::Token);
    assert_eq!(source("zendesk").strength(), Strength::Signed);
}
