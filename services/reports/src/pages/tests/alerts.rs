//! The page of alerts.

use super::{HOSTILE, assert_escaped, turn};
use crate::pages::{Turn, alerts};
use verdict_domain::time::Timestamp;
use verdict_store::alerts::Alert;

fn alert(subject: &str, cleared_at: Option<&str>) -> Alert {
    Alert {
        kind: "failure_budget".into(),
        subject: subject.into(),
        text: format!("more than 50.00 USD: {subject}"),
        link: Some(format!("/reports/failure-cost?customer={subject}")),
        raised_at: Timestamp::parse("2026-10-12T08:31:01Z").unwrap(),
        cleared_at: cleared_at.and_then(Timestamp::parse),
        number: 1,
    }
}

#[test]
fn alerts_that_stand_and_those_that_are_over_lead_to_their_figures() {
    let none = alerts(&[], &Turn::default()).unwrap();
    assert!(
        none.contains("No alert was ever raised.")
            && none.contains(r#"<a href="/alerts" aria-current="page">"#)
    );
    assert_escaped(&alerts(&[alert(HOSTILE, None)], &turn(false, Some(HOSTILE))).unwrap());
    let over = alert("globex", Some("2026-10-13T08:00:00Z"));
    let html = alerts(&[alert("acme", None), over.clone()], &Turn::default()).unwrap();
    for text in [
        "<strong>stands</strong>",
        "over since 2026-10-13 08:00:00",
        "failure budget",
        r#"<a href="/reports/failure-cost?customer=acme" aria-label="Look at acme">Look</a>"#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    assert!(!html.contains("None stands") && !html.contains("Next page"));
    let html = alerts(std::slice::from_ref(&over), &Turn::default()).unwrap();
    assert!(html.contains("None stands: nothing needs a person."));
    let later = alerts(&[over], &turn(true, Some("[true,7]"))).unwrap();
    assert!(!later.contains("None stands") && later.contains("/alerts?after=%5Btrue%2C7%5D"));
}

/// Each page by its name.
pub(super) fn sample() -> Vec<(String, String)> {
    let all = [alert("acme", None), alert("globex", Some("2026-10-13T08:00:00Z"))];
    vec![("alerts".to_string(), alerts(&all, &Turn::default()).unwrap())]
}
