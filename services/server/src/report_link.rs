//! The link to one view of a report ([`crate::link`]). What it opens is the report's name with its parameters, as in an address:
//! `failure-cost?from=2026-10-01&to=2026-11-01&by=model&format=csv`.

use crate::http::reports::{ReportParams, query};
use crate::link::{self, Link, Maker, NoLink, Sort};
use actix_web::web::Query;
use verdict_domain::time::{Span, Timestamp, day_text};
use verdict_reports::pages::encoded;
use verdict_resolution::SealKey;
use verdict_store::{Store, StoreError};

/// The reports that there are links to.
pub const REPORTS: [&str; 1] = ["failure-cost"];
/// In which forms.
const FORMATS: [&str; 4] = ["page", "json", "csv", "xlsx"];
/// How long a link holds if nobody says otherwise.
pub const HOLDS: Span = Span::hours(7 * 24);
/// How long it holds at least and at most.
const BOUNDS: (Span, Span) = (Span(60_000_000), Span::hours(400 * 24));

/// Makes a link to a view that holds for so long from `now` on. Days that are left out are those of this month, as the link
/// then says.
pub async fn make_report_link(
    store: &Store,
    set: (Option<&SealKey>, Option<&str>),
    (report, params): (&str, ReportParams),
    holds: Span,
    now: Timestamp,
) -> Result<Result<Link, NoLink>, StoreError> {
    let maker = match Maker::new(set) {
        Ok(maker) => maker,
        Err(lacks) => return Ok(Err(lacks)),
    };
    if holds.0 < BOUNDS.0.0 || holds.0 > BOUNDS.1.0 {
        return Ok(Err(NoLink::Invalid("expires: must be from 1 minute to 400 days".into())));
    }
    match subject(report, params, now) {
        Ok(subject) => link::make(store, maker, Sort::Report, &subject, now.plus(holds)).await,
        Err(wrong) => Ok(Err(NoLink::Invalid(wrong))),
    }
}

/// What a link to a view opens; the message names the field that is wrong.
fn subject(report: &str, params: ReportParams, now: Timestamp) -> Result<String, String> {
    if !REPORTS.contains(&report) {
        return Err(format!("report: `{report}` is none of {}", REPORTS.join(", ")));
    }
    let format = params.format.as_deref().filter(|format| !format.is_empty()).unwrap_or("page");
    if !FORMATS.contains(&format) {
        return Err(format!("format: `{format}` is none of {}", FORMATS.join(", ")));
    }
    let of = query(&params, now)?.of;
    let (from, to) = (day_text(of.from), day_text(of.to));
    let said = [
        ("from", Some(from.as_str())),
        ("to", Some(to.as_str())),
        ("by", params.by.as_deref()),
        ("customer", of.customer.as_deref()),
        ("agent", of.agent.as_deref()),
        ("provider", of.provider.as_deref()),
        ("model", of.model.as_deref()),
        ("action", of.action.as_deref()),
        ("format", Some(format)),
    ];
    let said =
        said.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    let said: Vec<String> = said.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    Ok(format!("{report}?{}", said.join("&")))
}

/// The report and its parameters that a link opens; `None`: such links are not made any more.
pub fn view(subject: &str) -> Option<(&'static str, ReportParams)> {
    let (report, said) = subject.split_once('?')?;
    let report = REPORTS.into_iter().find(|known| *known == report)?;
    Some((report, Query::<ReportParams>::from_query(said).ok()?.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_812_800_000_000);

    #[test]
    fn a_subject_is_read_as_what_it_was_made_of() {
        let text = |text: &str| Some(text.to_string());
        let params = ReportParams {
            by: text("model"),
            customer: text("a&b=c?d ü%"),
            model: text("gpt-4o"),
            agent: text(""),
            ..ReportParams::default()
        };
        let made = subject("failure-cost", params, NOW).unwrap();
        let (report, read) = view(&made).unwrap();
        assert_eq!(report, "failure-cost");
        assert_eq!((read.from, read.to), (text("2026-10-01"), text("2026-10-02")));
        assert_eq!((read.customer, read.model, read.agent), (text("a&b=c?d ü%"), text("gpt-4o"), None));
        assert_eq!((read.by, read.format), (text("model"), text("page")));
        assert!(view("failure-cost?by=model&secret=1").is_none());
        assert!(view("parked?by=model").is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |change: fn(&mut ReportParams)| {
            let mut params = ReportParams::default();
            change(&mut params);
            subject("failure-cost", params, NOW).unwrap_err()
        };
        assert!(subject("invoices", ReportParams::default(), NOW).unwrap_err().starts_with("report:"));
        assert!(with(|params| params.format = Some("pdf".into())).starts_with("format:"));
        assert!(with(|params| params.from = Some("soon".into())).starts_with("from:"));
        assert!(with(|params| params.by = Some("moon".into())).starts_with("by:"));
    }
}
