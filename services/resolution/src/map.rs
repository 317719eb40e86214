//! The step that reads what was stored: documents in; facts, fetches and what must be parked out.

use crate::Sources;
use crate::event::{check_name, check_time, check_value};
use crate::source::{self, Draft, Event, Origin, Outcome, Quarantine, Source, Stored};
use crate::watch::note_heard;
use serde_json::json;
use std::collections::BTreeMap;
use verdict_domain::fact::{Resolution, ResolutionFact, Strength};
use verdict_domain::time::Timestamp;
use verdict_store::deliveries::{self, Delivery, Via};
use verdict_store::parked::{self, Origin as ParkedOrigin, Parked};
use verdict_store::sources::{self, Fetch};
use verdict_store::{Store, StoreError, Tx, resolutions};

/// The step: reads stored deliveries. What cannot be read, or what the database refuses (found by halving), is parked: it
/// does not hold up the others. Answers how many it took.
pub async fn map_deliveries(
    store: &Store,
    sources: &Sources,
    now: Timestamp,
    limit: u32,
) -> Result<usize, StoreError> {
    match map_together(store, sources, now, limit, None).await {
        Err(error) if !error.is_transient() && limit > 1 => {
            Box::pin(map_deliveries(store, sources, now, limit / 2)).await
        }
        Err(error) if !error.is_transient() => {
            map_together(store, sources, now, 1, Some(error.to_string())).await
        }
        result => result,
    }
}

/// Maps the next deliveries; with `refused`, parks them for that reason.
async fn map_together(
    store: &Store,
    sources: &Sources,
    now: Timestamp,
    limit: u32,
    refused: Option<String>,
) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    tx.claim("map").await?;
    let deliveries = deliveries::to_map(&tx, limit).await?;
    let (mut all, mut mapped, mut parked) = (Reading::default(), Vec::new(), Vec::new());
    for delivery in &deliveries {
        let reading = match &refused {
            Some(reason) => Reading { problems: vec![reason.clone()], ..Reading::default() },
            None => read(sources, delivery, now),
        };
        match reading.reason() {
            None => mapped.push(delivery),
            Some(reason) => parked.push((delivery, reason)),
        }
        all.facts.extend(reading.facts);
        all.fetches.extend(reading.fetches);
    }
    write(&tx, &all, now).await?;
    deliveries::set_states(&tx, mapped.into_iter(), "mapped").await?;
    deliveries::set_states(&tx, parked.iter().map(|(delivery, _)| *delivery), "parked").await?;
    let things: Vec<Parked> =
        parked.into_iter().map(|(delivery, reason)| to_park(delivery, reason)).collect();
    parked::park(&tx, &things, now).await?;
    note_heard(&tx, &deliveries, now).await?;
    tx.commit().await?;
    Ok(deliveries.len())
}

async fn write(tx: &Tx, reading: &Reading, now: Timestamp) -> Result<(), StoreError> {
    resolutions::record(tx, &reading.facts, now).await?;
    for fetch in &reading.fetches {
        sources::fetch_later(tx, fetch).await?;
    }
    Ok(())
}

/// What a delivery says.
#[derive(Default)]
struct Reading {
    facts: Vec<Resolution>,
    fetches: Vec<Fetch>,
    /// What cannot be read of it, and why.
    problems: Vec<String>,
}

impl Reading {
    /// Why a person must look at it, if one must.
    fn reason(&self) -> Option<String> {
        (!self.problems.is_empty()).then(|| self.problems.join("; "))
    }
}

/// Reads a delivery: pure. What of a batch can be read is taken, though its neighbour cannot.
fn read(sources: &Sources, delivery: &Delivery, now: Timestamp) -> Reading {
    let mut reading = Reading::default();
    let Some(source) = sources.get(&delivery.source) else {
        let problem = format!("the source `{}` is not configured", delivery.source);
        reading.problems.push(problem);
        return reading;
    };
    let headers: BTreeMap<String, String> = match serde_json::from_str(&delivery.headers) {
        Ok(headers) => headers,
        Err(error) => {
            reading.problems.push(format!("headers: {error}"));
            return reading;
        }
    };
    let origin: Option<Origin> = match delivery.origin.as_deref().map(serde_json::from_str).transpose() {
        Ok(origin) => origin,
        Err(error) => {
            reading.problems.push(format!("the event that it was asked for: {error}"));
            return reading;
        }
    };
    let stored = Stored {
        via: match delivery.via {
            Via::Webhook => source::Via::Webhook,
            Via::Fetch => source::Via::Fetch,
            Via::Poll => source::Via::Poll,
        },
        id: &delivery.id,
        headers: &headers,
        body: &delivery.body,
        received_at: delivery.received_at,
        origin: origin.as_ref(),
    };
    for event in source.read(&stored) {
        take(&mut reading, source, delivery, event, now);
    }
    reading
}

fn take(reading: &mut Reading, source: &Source, delivery: &Delivery, event: Event, now: Timestamp) {
    let Event { index, rule, outcome } = event;
    let place = |problem: String| if index == 0 { problem } else { format!("event {index}: {problem}") };
    match outcome {
        Outcome::None | Outcome::Ignore => {}
        Outcome::Quarantine(quarantine) => reading.problems.push(place(about(quarantine))),
        Outcome::Fetch(origin) => match serde_json::to_string(&origin) {
            Ok(text) => reading.fetches.push(Fetch {
                source: source.name().into(),
                // The event's own id: of two events that lead to one fact, each may find another answer.
                id: origin.delivery_id.clone(),
                delivery: delivery.id.clone(),
                origin: text,
                tries: 0,
            }),
            Err(error) => reading.problems.push(place(error.to_string())),
        },
        Outcome::Fact(draft) => match resolution(source, delivery, rule.as_deref(), draft, now) {
            Ok(fact) => reading.facts.push(fact),
            Err(problem) => reading.problems.push(place(problem)),
        },
    }
}

/// Why a person must look, and at whose case, where that is known.
fn about(Quarantine { reason, case, customer }: Quarantine) -> String {
    match (case, customer) {
        (Some(case), Some(customer)) => format!("case `{case}` of `{customer}`: {reason}"),
        (Some(case), None) => format!("case `{case}`: {reason}"),
        (None, _) => reason,
    }
}

/// The fact that a rule drafted, with what it rests on.
fn resolution(
    source: &Source,
    delivery: &Delivery,
    rule: Option<&str>,
    draft: Draft,
    now: Timestamp,
) -> Result<Resolution, String> {
    check_name("customer", &draft.customer)?;
    check_name("case", &draft.case)?;
    check_time(draft.occurred_at, now)?;
    let value = draft.value.as_ref();
    let value = value.map(|value| check_value(draft.kind, &value.amount, &value.currency)).transpose()?;
    let strength = match delivery.via {
        Via::Webhook => source.strength(),
        Via::Fetch | Via::Poll => Strength::Fetched,
    };
    let evidence = json!({
        "source": source.name(),
        "delivery": delivery.id,
        "via": delivery.via,
        "rule": rule,
        "secret": (delivery.via == Via::Webhook).then_some(&delivery.secret),
        "values": draft.evidence,
    });
    let shortened = |text: String| -> String { text.chars().filter(|c| !c.is_control()).take(512).collect() };
    Ok(Resolution {
        id: draft.fact_id,
        customer: draft.customer,
        case: draft.case,
        occurred_at: draft.occurred_at,
        said: ResolutionFact { kind: draft.kind, score: draft.score, about: draft.episode, strength, value },
        reason: draft.reason.map(shortened).filter(|reason| !reason.is_empty()),
        author: None,
        evidence: Some(evidence.to_string()),
    })
}

fn to_park(delivery: &Delivery, reason: String) -> Parked {
    Parked {
        origin: ParkedOrigin::Delivery,
        reference: format!("{}/{}", delivery.source, delivery.id),
        headers: delivery.headers.clone(),
        body: delivery.body.clone(),
        reason,
    }
}

/// Tries a parked delivery again: `None` is recorded, `Some(reason)` still cannot be read.
pub async fn replay(
    store: &Store,
    sources: &Sources,
    id: &str,
    reference: &str,
    now: Timestamp,
) -> Result<Option<String>, StoreError> {
    let tx = store.begin().await?;
    let (source, delivery) = reference.split_once('/').unwrap_or_default();
    let Some(delivery) = deliveries::find_in(&tx, source, delivery).await? else {
        return Ok(Some(format!("the delivery `{reference}` is not stored")));
    };
    let reading = read(sources, &delivery, now);
    if let Some(reason) = reading.reason() {
        return Ok(Some(reason));
    }
    write(&tx, &reading, now).await?;
    deliveries::set_states(&tx, std::iter::once(&delivery), "mapped").await?;
    parked::set_replayed(&tx, id, now).await?;
    tx.commit().await?;
    Ok(None)
}
