use super::{HOSTILE, assert_escaped};
use crate::pages::{BillFilter, provider_bill};
use crate::provider_bill::{Agreement, BillRow, BillView, ProviderBill, Unmatched};
use verdict_domain::time::Timestamp;

fn row(day: Option<&str>, model: Option<&str>, billed: Option<i64>, recorded: i64) -> BillRow {
    let covered = billed.map_or(0, |billed| billed.min(recorded));
    BillRow {
        day: day.map(String::from),
        model: model.map(String::from),
        currency: "USD".into(),
        agreement: match billed {
            None => Agreement::NotBilled,
            Some(billed) if billed > recorded => Agreement::Missing,
            Some(_) => Agreement::Agrees,
        },
        billed_nanos: billed,
        recorded_nanos: billed.map_or(0, |_| recorded),
        covered_nanos: covered,
        missing_nanos: billed.map_or(0, |billed| billed - covered),
        excess_nanos: 0,
        not_billed_nanos: if billed.is_none() { recorded } else { 0 },
        attempts: 1_234,
        unknown_cost_attempts: 2,
    }
}

fn bill(name: &str) -> ProviderBill {
    let unmatched = || vec![Unmatched { model: name.into(), currency: "USD".into(), nanos: 5_000_000_000 }];
    ProviderBill {
        provider: name.into(),
        from: "2026-10-01".into(),
        to: "2026-11-01".into(),
        tolerance_percent: "0.5".into(),
        tolerance_amount: "0.01".into(),
        totals: vec![row(None, None, Some(1_250_000_000_000), 1_245_000_000_000)],
        days: vec![
            row(Some("2026-10-01"), None, Some(1_250_000_000_000), 1_245_000_000_000),
            row(Some("2026-10-02"), None, None, 31_400_000_000),
        ],
        models: vec![
            row(None, Some(name), Some(1_250_000_000_000), 1_245_000_000_000),
            row(None, Some(""), None, 1),
        ],
        rows: Vec::new(),
        only_billed: unmatched(),
        only_recorded: unmatched(),
        bills: vec![BillView {
            id: 3,
            file: name.into(),
            sha256: "e3b0c442".into(),
            read_as: name.into(),
            lines: 62,
            imported_by: name.into(),
            imported_at: Timestamp(1_790_812_800_000_000),
            days: 31,
            counting_days: 30,
        }],
    }
}

fn filter(name: &str) -> BillFilter {
    BillFilter {
        from: "2026-10-01".into(),
        to: "2026-11-01".into(),
        provider: name.into(),
        model_names: "gpt-4o-2024-08-06=gpt-4o".into(),
    }
}

#[test]
fn a_bill_shows_what_is_covered_and_what_is_missing() {
    let html = provider_bill(Some(&bill("openai")), &["openai".into()], &filter("openai")).unwrap();
    for text in [
        "<small>missing</small> 5.00</span>",
        "<small>billed</small> <strong>1,250.00</strong>",
        "not billed yet",
        "31.4000",
        "Cost unknown for 2 attempts",
        "model_names=gpt-4o-2024-08-06%3Dgpt-4o",
        "(no model)",
        r#"<option value="openai">"#,
    ] {
        assert!(html.contains(text), "{text}\n{html}");
    }
    let none = provider_bill(None, &[], &filter("")).unwrap();
    assert!(none.contains("<form") && !none.contains("<table"), "only the form: {none}");
}

#[test]
fn a_bill_escapes_and_encodes() {
    assert_escaped(&provider_bill(Some(&bill(HOSTILE)), &[HOSTILE.into()], &filter(HOSTILE)).unwrap());
}

/// The page by its name.
pub(super) fn sample() -> Vec<(String, String)> {
    let html = provider_bill(Some(&bill("openai")), &["openai".into()], &filter("openai")).unwrap();
    vec![("provider_bill".to_string(), html)]
}
