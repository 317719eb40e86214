//! A case explained to its customer: without what is the seller's own business, which is left out before anything is put
//! together.

use super::{Explanation, assemble};
use crate::rejudge::RejudgeError;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::attempt::Cost;
use verdict_domain::contract::Contract;
use verdict_domain::fact::Said;
use verdict_domain::money::Currency;
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey};
use verdict_store::history::{self, Beside, Event, On};
use verdict_store::{Store, Tx, contracts, statement};

/// Explains a case to its customer; `None` if it was never judged. All is read at one moment. It tells nothing of costs,
/// models, agents, the seller's people, or how a webhook was read; and of no invoice that is not final.
pub async fn explain_to_customer(
    store: &Store,
    key: &CaseKey,
    now: Timestamp,
) -> Result<Option<Explanation>, RejudgeError> {
    let snapshot = store.snapshot().await?;
    let contracts = contracts::of_customers(&snapshot, std::iter::once(key.customer.as_str())).await?;
    let contracts = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
    Ok(told_to_customer(&snapshot, std::slice::from_ref(key), contracts, now).await?.remove(key))
}

/// The same for many cases of one customer; those that were never judged are absent.
pub(crate) async fn told_to_customer(
    snapshot: &Tx,
    keys: &[CaseKey],
    contracts: &[Contract],
    now: Timestamp,
) -> Result<BTreeMap<CaseKey, Explanation>, RejudgeError> {
    let timelines = history::timelines(snapshot, keys).await?;
    let mut billed = history::billed(snapshot, keys).await?;
    let waiting = history::waiting(snapshot, keys, now).await?;
    let mut hidden = BTreeSet::new();
    let rows = billed.iter().flat_map(|(key, rows)| rows.iter().map(|row| (key.customer.as_str(), row)));
    let on = rows.filter_map(|(customer, row)| Some((customer, row.price.as_ref()?.on.invoice()?)));
    for (customer, invoice) in on.collect::<BTreeSet<_>>() {
        if !statement::is_final_document(snapshot, customer, invoice).await? {
            hidden.insert(invoice.to_string());
        }
    }
    let prices = billed.values_mut().flatten().filter_map(|row| row.price.as_mut());
    for price in prices.filter(|price| price.on.invoice().is_some_and(|id| hidden.contains(id))) {
        price.on = On::NoneYet;
    }
    let mut told = BTreeMap::new();
    for (key, held) in cases::load(snapshot, keys).await? {
        let events =
            timelines.get(&key).into_iter().flatten().map(without_the_sellers_own).collect::<Vec<_>>();
        let rows = billed.get(&key).map_or(&[][..], Vec::as_slice);
        let mut case = assemble(&key, &held, &events, rows, contracts, waiting.contains(&key))?;
        case.costs.clear();
        case.margin = None;
        case.timeline.iter_mut().for_each(|event| event.attempt = None);
        told.insert(key, case);
    }
    Ok(told)
}

fn without_the_sellers_own(event: &Event) -> Event {
    let mut event = event.clone();
    if let Said::Attempt(attempt) = &mut event.fact.said {
        attempt.agent.clear();
        attempt.model.clear();
        attempt.failure_reason = None;
        attempt.cost = Cost { model_nanos: None, other_nanos: 0, currency: Currency::XXX };
    }
    match &mut event.beside {
        Beside::Attempt {
            provider,
            recorded_nanos,
            price_source,
            cost_changes,
            details,
            service_tier,
            ..
        } => {
            provider.clear();
            *recorded_nanos = None;
            cost_changes.clear();
            *price_source = None;
            *details = None;
            *service_tier = None;
        }
        Beside::Resolution { author, evidence, .. } => {
            author.take_if(|author| !author.starts_with("customer:") || !author.ends_with(" via page"));
            *evidence = None;
        }
    }
    event
}
