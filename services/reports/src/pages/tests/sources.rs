//! The page of the sources.

use super::{HOSTILE, assert_escaped};
use crate::pages::{Said, SourceHealth, sources};
use std::path::Path;
use verdict_domain::time::Timestamp;
use verdict_store::alerts::Alert;
use verdict_store::quarantine::{Listed, Refused};

fn alert(text: &str) -> Alert {
    let raised_at = Timestamp::parse("2026-10-12T08:31:01Z").unwrap();
    Alert {
        kind: "source_silent".into(),
        subject: text.into(),
        text: text.into(),
        link: Some(format!("/reports/failure-cost?customer={text}")),
        raised_at,
        cleared_at: None,
        number: 1,
    }
}

fn source(name: &str, troubles: &[&str]) -> SourceHealth {
    SourceHealth {
        name: name.into(),
        platform: "zendesk".into(),
        strength: "signed".into(),
        last_delivery_at: Timestamp::parse("2026-10-12T08:31:01Z"),
        troubles: troubles.iter().map(ToString::to_string).collect(),
    }
}

fn quarantined(text: &str) -> Listed {
    let refused = Refused {
        source: text.into(),
        method: "POST".into(),
        query: None,
        headers: "{}".into(),
        body: Vec::new(),
        reason: text.into(),
        received_at: Timestamp::parse("2026-10-12T08:31:01Z").unwrap(),
    };
    Listed { id: "4f2a".into(), size: 1_234, refused }
}

#[test]
fn the_sources_say_what_is_the_matter() {
    let empty = sources(&[], &[], &[], None).unwrap();
    for text in ["Nothing needs a person.", "No source of webhooks is configured.", "No delivery waits"] {
        assert!(empty.contains(text), "{text}");
    }
    let said = Said { went_well: false, text: HOSTILE.into() };
    let one = [source(HOSTILE, &[HOSTILE])];
    assert_escaped(&sources(&[alert(HOSTILE)], &one, &[quarantined(HOSTILE)], Some(&said)).unwrap());
    let listed = [source("support", &[]), source("sales", &["silent for longer than is normal for it"])];
    let html = sources(&[alert("sales")], &listed, &[quarantined("sales")], None).unwrap();
    assert!(
        html.contains("well")
            && html.contains(r#"action="/quarantine/4f2a/replay""#)
            && html.contains("1,234")
            && html.contains(r#"<a href="/reports/failure-cost?customer=sales">"#)
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("sources.html"), html.replace("/style.css", "style.css")).unwrap();
}
