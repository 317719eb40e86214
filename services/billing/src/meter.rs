//! Meter events: for customers whose subscription at Stripe bills them, each settled outcome is told to a meter there.
//!
//! What is owed is written with the charge, so none is lost and none is owed twice. Sending it may fail half-way: the
//! identifier is a function of the outcome, and Stripe takes one event of an identifier for at least a day. What
//! cannot be settled within that day is for a person.

use crate::push::Backoff;
use crate::stripe::{NewMeterEvent, Stripe, StripeError};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use tokio::task::JoinSet;
use verdict_domain::contract::{Contract, Through};
use verdict_domain::time::{Span, Timestamp};
use verdict_store::cases::CaseKey;
use verdict_store::ledger::Charge;
use verdict_store::meter::{self, MeterEvent, Owed};
use verdict_store::outbox::TRIES_PER_KEY;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError, Tx, alerts, stripe_events};

/// How many are sent at once.
const BATCH: u32 = 20;
/// Stripe takes events of the past 35 days, and of at most 5 minutes ahead.
const OLDEST: Span = Span::hours(35 * 24);
const AHEAD: Span = Span(5 * 60 * 1_000_000);
/// Stripe remembers identifiers for 24 hours, and takes cancellations for as long: with a little to spare.
const A_DAY: Span = Span(Span::hours(24).0 - 10 * 60 * 1_000_000);

/// The alert about a customer whose events wait, as nobody has said who it is at Stripe.
pub(crate) const UNLINKED: &str = "stripe_customer_unlinked";

/// Notes what charges owe Stripe's meters, in their transaction. `reversed` says of a charge that takes back which one it
/// takes back.
pub(crate) async fn note(
    tx: &Tx,
    contracts: &BTreeMap<String, Vec<Contract>>,
    charges: &[Charge],
    reversed: &BTreeMap<(CaseKey, i64), i64>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut owed, mut taken_back) = (Vec::new(), Vec::new());
    let mut linked: BTreeMap<&str, bool> = BTreeMap::new();
    for charge in charges {
        let customer = charge.key.customer.as_str();
        let versions = contracts.get(customer).map_or(&[][..], Vec::as_slice);
        let version = versions.iter().find(|contract| contract.version == charge.charge.contract_version);
        let Some(name) = version.and_then(|contract| meter_of(contract, &charge.charge.action)) else {
            continue;
        };
        if charge.charge.quantity < 0 {
            let seq = reversed.get(&(charge.key.clone(), charge.seq)).ok_or_else(|| {
                StoreError::Corrupt(format!(
                    "row {} of case `{}` takes back nothing",
                    charge.seq, charge.key.case
                ))
            })?;
            taken_back.push((&charge.key, *seq));
            continue;
        }
        let is_linked = match linked.get(customer) {
            Some(is_linked) => *is_linked,
            None => stripe_events::linked(tx, customer).await?.is_some_and(|one| one.deleted_at.is_none()),
        };
        linked.insert(customer, is_linked);
        let (key, at) = (charge.key.clone(), charge.effective_at);
        owed.push(Owed { key, seq: charge.seq, name: name.into(), at, linked: is_linked });
    }
    meter::owe(tx, &owed).await?;
    for (key, seq) in taken_back {
        meter::take_back(tx, key, seq).await?;
    }
    for (customer, _) in linked.iter().filter(|(_, is_linked)| !**is_linked) {
        tell_unlinked(tx, customer, now).await?;
    }
    Ok(())
}

/// The meter that an outcome is told to; `None` if it is billed by our invoices, or not at all.
fn meter_of<'a>(contract: &'a Contract, action: &str) -> Option<&'a str> {
    if contract.stripe.through != Through::MeterEvents || contract.shadow {
        return None;
    }
    contract.prices.iter().find(|price| price.action == action)?.meter.as_deref()
}

async fn tell_unlinked(tx: &Tx, customer: &str, now: Timestamp) -> Result<(), StoreError> {
    let text = format!(
        "Outcomes of `{customer}` wait for Stripe's meters: say which customer it is there, with \
         `verdict customers link {customer} cus_…`. Stripe takes none that is older than 35 days"
    );
    alerts::raise(tx, UNLINKED, customer, &text, now).await?;
    Ok(())
}

/// What is to be done about an event that is due.
enum Plan {
    Send(NewMeterEvent),
    Cancel,
    Wait(Timestamp),
    Unlinked,
    Park(&'static str),
}

fn plan(event: &MeterEvent, now: Timestamp) -> Plan {
    let longer = |since: Timestamp, span: Span| since.plus(span) < now;
    if let Some(sent_at) = event.sent_at {
        return match (longer(sent_at, A_DAY), event.unsure_since) {
            (false, _) => Plan::Cancel,
            (true, None) => Plan::Park(
                "the outcome was taken back, and Stripe takes no cancellation after 24 hours: credit it at Stripe, then \
                 replay this, and it counts as settled",
            ),
            (true, Some(_)) => Plan::Park(
                "the outcome was taken back, and it is not known whether Stripe has cancelled it: look there, credit it if \
                 not, then replay this, and it counts as settled",
            ),
        };
    }
    if event.unsure_since.is_some_and(|since| longer(since, A_DAY)) && !event.wanted {
        return Plan::Park(
            "the outcome was taken back, and it is not known whether Stripe ever got it: look there, credit it if it did, then \
             replay this, and it counts as settled",
        );
    }
    if event.unsure_since.is_some_and(|since| longer(since, A_DAY)) {
        return Plan::Park(
            "it is not known whether Stripe got it, and Stripe no longer knows its identifier: look there, and replay this \
             only if it is missing",
        );
    }
    if longer(event.at, OLDEST) {
        return Plan::Park(
            "it is older than the 35 days that Stripe's meters take: bill it at Stripe by hand",
        );
    }
    if event.at > now.plus(AHEAD) {
        return Plan::Wait(Timestamp(event.at.0 - AHEAD.0));
    }
    match &event.stripe_customer {
        None => Plan::Unlinked,
        Some(stripe_customer) => Plan::Send(NewMeterEvent {
            name: event.name.clone(),
            identifier: identifier(event),
            stripe_customer: stripe_customer.clone(),
            at_unix: event.at.0.div_euclid(1_000_000),
        }),
    }
}

fn digest(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An event's identifier at Stripe: a function of the outcome, 72 characters.
fn identifier(event: &MeterEvent) -> String {
    format!("verdict-{}", digest(&[&event.key.customer, &event.key.case, &event.seq.to_string()]))
}

/// The idempotency key of a try: the same for as many tries as share one, and for the same call only.
fn call_key(event: &MeterEvent, call: &str) -> String {
    let generation = (event.tries - 1).max(0) / TRIES_PER_KEY;
    let to = event.stripe_customer.as_deref().unwrap_or_default();
    format!("verdict-{}", digest(&["meter", &identifier(event), call, to, &generation.to_string()]))
}

/// The step: sends meter events that are owed, and cancels those that were taken back, a few at once. `false`: none is due.
/// `now` is the wall clock.
pub async fn send_meter_events(
    store: &Store,
    stripe: &Stripe,
    backoff: &Backoff,
    now: fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    tx.claim("meter").await?;
    let (began, mut calls) = (now(), JoinSet::new());
    let due = meter::due(&tx, began, BATCH).await?;
    let any = !due.is_empty();
    let lease = Span(i64::try_from(backoff.lease.as_micros()).unwrap_or(i64::MAX));
    let mut unlinked = BTreeSet::new();
    let mut leased = Vec::new();
    for mut event in due {
        match plan(&event, began) {
            Plan::Wait(until) => meter::retry(&tx, &event, until, event.unsure_since, None).await?,
            Plan::Park(reason) => park(&tx, &event, reason, began).await?,
            Plan::Unlinked => {
                meter::set_unlinked(&tx, &event).await?;
                unlinked.insert(event.key.customer);
            }
            plan => {
                meter::lease(&tx, &mut event, began, began.plus(lease)).await?;
                leased.push((event, plan));
            }
        }
    }
    for customer in unlinked {
        tell_unlinked(&tx, &customer, began).await?;
    }
    tx.commit().await?;

    for (event, plan) in leased {
        let stripe = stripe.clone();
        calls.spawn(async move {
            let result = match plan {
                Plan::Send(new) => stripe.send_meter_event(&call_key(&event, "send"), &new).await,
                _ => {
                    let key = call_key(&event, "cancel");
                    stripe.cancel_meter_event(&key, &event.name, &identifier(&event)).await
                }
            };
            (event, result)
        });
    }
    let results = calls.join_all().await;
    let (tx, now) = (store.begin().await?, now());
    for (event, result) in results {
        let about = identifier(&event);
        match result {
            Ok(()) if event.sent_at.is_some() => meter::set_cancelled(&tx, &event).await?,
            Ok(()) => meter::set_sent(&tx, &event, event.unsure_since.unwrap_or(began)).await?,
            Err(StripeError::NotNow { message, .. }) => {
                // This try was not applied; one before may have been.
                let next = now.plus(backoff.wait(event.tries, &about));
                meter::retry(&tx, &event, next, event.unsure_since, Some(&message)).await?;
            }
            Err(StripeError::Unknown { message, .. }) => {
                let next = now.plus(backoff.wait(event.tries, &about));
                let unsure = Some(event.unsure_since.unwrap_or(began));
                meter::retry(&tx, &event, next, unsure, Some(&message)).await?;
            }
            Err(StripeError::Refused { status, message, .. }) => {
                let remedy = match event.sent_at {
                    None => "mend it at Stripe, then replay this",
                    Some(_) => "credit it at Stripe, then replay this, and it counts as settled",
                };
                let reason =
                    format!("Stripe refused ({status}): {}. {remedy}", message.trim_end_matches('.'));
                park(&tx, &event, &reason, now).await?;
            }
        }
    }
    tx.commit().await?;
    Ok(any)
}

async fn park(tx: &Tx, event: &MeterEvent, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    meter::set_aside(tx, event, reason).await?;
    let parked = Parked {
        origin: Origin::MeterEvent,
        reference: serde_json::json!([event.key.customer, event.key.case, event.seq]).to_string(),
        headers: "{}".into(),
        body: format!("{} at {}", event.name, event.at).into_bytes(),
        reason: reason.into(),
    };
    parked::park(tx, &[parked], now).await
}
