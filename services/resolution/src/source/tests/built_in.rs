//! What comes with the service.

use super::*;

#[test]
fn built_in_definitions_have_no_errors_and_their_samples_pass() {
    let catalogue = Catalogue::builtin().unwrap_or_else(|error| panic!("{error}"));
    let errors: Vec<String> = lint(&catalogue, &[], &|_| None)
        .iter()
        .filter(|finding| finding.severity == Severity::Error || !finding.text.starts_with("a plain digest"))
        .map(ToString::to_string)
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let results = run_samples(&catalogue);
    let failed: Vec<&SampleResult> = results.iter().filter(|result| result.problem.is_some()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    for (name, _) in catalogue.platforms() {
        assert!(results.iter().any(|result| result.platform == name), "{name} has no sample");
    }
}

#[test]
fn what_is_read_from_a_file_can_be_written_and_read_again() {
    let catalogue = Catalogue::builtin().unwrap();
    let definitions = Definitions {
        schemes: catalogue.schemes().map(|(name, scheme)| (name.into(), scheme.clone())).collect(),
        platforms: catalogue.platforms().map(|(name, platform)| (name.into(), platform.clone())).collect(),
    };
    let written = serde_json::to_string(&definitions).unwrap();
    assert_eq!(serde_json::from_str::<Definitions>(&written).unwrap(), definitions);
}

#[test]
fn the_same_fact_has_one_id_by_webhook_fetch_and_poll() {
    let source = source("intercom");
    let sent = r#"{"app_id":"w","id":"n1","topic":"conversation.operator.replied","created_at":1772446500,
        "data":{"item":{"id":"9","ai_agent":{"resolution_state":"assumed_resolution"},"statistics":{"count_reopens":0}}}}"#;
    let thin = r#"{"app_id":"w","id":"n2","topic":"conversation.admin.closed","created_at":1772446500,"data":{"item":{"id":"9"}}}"#;
    let document = r#"{"id":"9","state":"closed","updated_at":1772446500,"ai_agent":{"resolution_state":"assumed_resolution"},"statistics":{"count_reopens":0}}"#;
    let Outcome::Fetch(origin) = one(&source, thin) else { panic!() };
    let read = |via, origin| {
        let headers = BTreeMap::new();
        let stored = Stored {
            via,
            id: "x",
            headers: &headers,
            body: document.as_bytes(),
            received_at: RECEIVED,
            origin,
        };
        source.read(&stored).remove(0).outcome
    };
    let outcomes = [one(&source, sent), read(Via::Fetch, Some(&origin)), read(Via::Poll, None)];
    let ids = outcomes.map(|outcome| match outcome {
        Outcome::Fact(fact) => fact.fact_id,
        other => panic!("{other:?}"),
    });
    assert_eq!(ids, ["desk:9:assumed_resolution:0"; 3]);
}

#[test]
fn two_events_with_the_same_body_are_two_deliveries() {
    let source = source("helpscout");
    let id = |event: Option<&'static str>| {
        let header = move |name: &str| event.filter(|_| name == "x-helpscout-event").map(String::from);
        source.delivery_id(&Request { method: "POST", query: None, header: &header, body: b"{\"id\":1}" })
    };
    assert_ne!(id(Some("convo.status")), id(Some("convo.customer.reply.created")));
    assert_eq!(id(Some("convo.status")), id(Some("convo.status")));
    assert!(id(None).is_ok());
}

#[test]
fn front_is_answered_its_challenge_and_nothing_else() {
    let source = source("front");
    let challenge = |value: &'static str| {
        let header = move |name: &str| (name == "x-front-challenge").then(|| value.to_string());
        source.challenge(&Request { method: "POST", query: None, header: &header, body: b"" })
    };
    let answered = challenge("abc").unwrap();
    assert_eq!(
        (answered.value.as_str(), answered.content_type.as_str(), answered.signed),
        ("abc", "text/plain", true)
    );
    assert_eq!(challenge("a\u{7}b"), None);
    let long: &'static str = "x".repeat(257).leak();
    assert_eq!(challenge(long), None);
}
