//! Samples: definitions prove themselves on deliveries that they bring along.

use super::platform::{Expected, Platform, RuleOutcome, Sample, Via};
use super::read::{Event, Outcome};
use super::{Catalogue, Request, Setting, Source, SourceConfig, Stored};
use verdict_domain::time::Timestamp;

/// How a sample went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleResult {
    /// Whose sample.
    pub platform: String,
    /// Which one.
    pub sample: String,
    /// What came of it that should not, or did not that should; `None` if all is well.
    pub problem: Option<String>,
}

/// When samples are received: 2026-01-01.
const RECEIVED: Timestamp = Timestamp(1_767_225_600_000_000);
/// The customer of platforms that name none, where the sample sets no other.
const CUSTOMER: &str = "sample-customer";

/// Reads all samples of all platforms.
pub fn run_samples(catalogue: &Catalogue) -> Vec<SampleResult> {
    let mut results = Vec::new();
    for (name, platform) in catalogue.platforms() {
        for sample in &platform.samples {
            let problem = run(catalogue, name, platform, sample).err();
            results.push(SampleResult { platform: name.into(), sample: sample.name.clone(), problem });
        }
    }
    results
}

fn run(catalogue: &Catalogue, name: &str, platform: &Platform, sample: &Sample) -> Result<(), String> {
    let mut settings = sample.settings.clone();
    settings.entry("customer".into()).or_insert_with(|| Setting(CUSTOMER.into()));
    // A platform may leave its scheme to the source; nothing is verified here.
    let scheme = catalogue.schemes().next().map(|(name, _)| name.to_string());
    let config = SourceConfig {
        name: "sample".into(),
        platform: Some(name.into()),
        scheme: platform.scheme.clone().or(scheme),
        settings,
        public_url: Some("https://verdict.example/webhooks/sample".into()),
        ..SourceConfig::default()
    };
    let source = Source::new(&config, catalogue, &|_| None).map_err(|error| error.to_string())?;
    let events = match sample.via {
        Via::Webhook => webhook(&source, sample, &sample.body)?,
        Via::Poll => {
            let id = source.item_id(&sample.body);
            source.read(&stored(sample, Via::Poll, &id, &sample.body))
        }
        Via::Fetch => {
            let event = sample.event.as_ref().ok_or("`event` is missing: the body that made us fetch")?;
            let events = webhook(&source, sample, event)?;
            let origin = events.into_iter().find_map(|event| match event.outcome {
                Outcome::Fetch(origin) => Some(origin),
                _ => None,
            });
            let origin = origin.ok_or("`event` does not lead to a fetch")?;
            let fetched = stored(sample, Via::Fetch, &origin.delivery_id, &sample.body);
            source.read(&Stored { origin: Some(&origin), ..fetched })
        }
    };
    compare(&events, &sample.expect)
}

fn stored<'a>(sample: &'a Sample, via: Via, id: &'a str, body: &'a str) -> Stored<'a> {
    let headers = &sample.headers;
    Stored { via, id, headers, body: body.as_bytes(), received_at: RECEIVED, origin: None }
}

fn webhook(source: &Source, sample: &Sample, body: &str) -> Result<Vec<Event>, String> {
    let header = super::read::header_of(&sample.headers);
    let request = Request { method: "POST", query: None, header: &header, body: body.as_bytes() };
    let id = source.delivery_id(&request).map_err(|error| error.to_string())?;
    Ok(source.read(&stored(sample, Via::Webhook, &id, body)))
}

fn compare(events: &[Event], expected: &[Expected]) -> Result<(), String> {
    let events: Vec<&Event> = events.iter().filter(|event| event.outcome != Outcome::None).collect();
    if events.len() != expected.len() {
        return Err(format!("{} events instead of {}: {events:?}", events.len(), expected.len()));
    }
    for (event, expected) in events.into_iter().zip(expected) {
        let value = match &event.outcome {
            Outcome::Fact(fact) => fact.value.as_ref(),
            Outcome::Fetch(origin) => origin.value.as_ref(),
            _ => None,
        };
        let (case, customer, at, score) = match &event.outcome {
            Outcome::Fact(fact) => {
                (Some(&fact.case), Some(&fact.customer), Some(fact.occurred_at), fact.score)
            }
            Outcome::Fetch(origin) => {
                (origin.case.as_ref(), origin.customer.as_ref(), origin.occurred_at, origin.score)
            }
            Outcome::Quarantine(whose) => (whose.case.as_ref(), whose.customer.as_ref(), None, None),
            Outcome::None | Outcome::Ignore => (None, None, None, None),
        };
        let fits = outcome_fits(&event.outcome, expected.outcome)
            && (expected.case.is_none() || case == expected.case.as_ref())
            && (expected.customer.is_none() || customer == expected.customer.as_ref())
            && (expected.occurred_at.is_none() || at == expected.occurred_at)
            && (expected.score.is_none() || score == expected.score)
            && (expected.value.is_none() || value == expected.value.as_ref());
        if !fits {
            return Err(format!("{event:?} instead of {expected:?}"));
        }
    }
    Ok(())
}

fn outcome_fits(outcome: &Outcome, expected: RuleOutcome) -> bool {
    match outcome {
        Outcome::None => false,
        Outcome::Ignore => expected == RuleOutcome::Ignore,
        Outcome::Quarantine(_) => expected == RuleOutcome::Quarantine,
        Outcome::Fetch(_) => expected == RuleOutcome::Fetch,
        Outcome::Fact(fact) => expected.kind() == Some(fact.kind),
    }
}
