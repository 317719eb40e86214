//! A case explained: what was recorded of it, what is held of it and why, what was billed and what it cost.

mod sentence;
#[cfg(test)]
pub(crate) mod tests;
mod text;
mod told;
mod view;
mod words;

pub use text::text;
pub(crate) use text::{changed_by, recorded_as};
pub use told::explain_to_customer;
pub(crate) use told::told_to_customer;
pub use view::{
    AmountView, AttemptView, BilledView, CostChangeView, CostView, DisputeView, EpisodeView, EventView,
    Explanation, HeldEpisode, LineView,
};
pub(crate) use words::{Note, time};

use crate::count::{Costs, Sums, verdict_name};
use crate::rejudge::RejudgeError;
pub(crate) use sentence::Charge;
use sentence::{About, sentence};
use std::collections::BTreeMap;
use verdict_domain::contract::{self, Contract};
use verdict_domain::fact::{Fact, Said};
use verdict_domain::judge::{Dispute, Episode, Judgement, Verdict, judge};
use verdict_domain::ledger::EntryKind;
use verdict_domain::pricing::Free;
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey, StoredCase};
use verdict_store::history::{self, Beside, Billed, Event, On};
use verdict_store::{Store, StoreError, contracts};

/// Explains a case; `None` if it was never judged. All is read at one moment.
pub async fn explain(
    store: &Store,
    key: &CaseKey,
    now: Timestamp,
) -> Result<Option<Explanation>, RejudgeError> {
    let snapshot = store.snapshot().await?;
    let keys = std::slice::from_ref(key);
    let Some(held) = cases::load(&snapshot, keys).await?.remove(key) else { return Ok(None) };
    let events = history::timelines(&snapshot, keys).await?.remove(key).unwrap_or_default();
    let billed = history::billed(&snapshot, keys).await?.remove(key).unwrap_or_default();
    let waits = !history::waiting(&snapshot, keys, now).await?.is_empty();
    let contracts = contracts::of_customers(&snapshot, std::iter::once(key.customer.as_str())).await?;
    let contracts = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
    Ok(Some(assemble(key, &held, &events, &billed, contracts, waits)?))
}

/// Puts an explanation together: pure.
pub(crate) fn assemble(
    key: &CaseKey,
    held: &StoredCase,
    events: &[Event],
    billed: &[Billed],
    contracts: &[Contract],
    waits: bool,
) -> Result<Explanation, RejudgeError> {
    let facts: Vec<Fact> = events.iter().map(|event| event.fact.clone()).collect();
    let notes: Vec<Note> = events.iter().map(note).collect::<Result<_, _>>()?;
    let contract = contract::of_case(contracts, &facts);
    let rule = contract.map_or_else(Rule::default, |contract| contract.rule.clone());
    let judgement = judge(&facts, &rule, held.judged_at);
    let held_episodes: Vec<HeldEpisode> = serde_json::from_str(&held.episodes)
        .map_err(|error| StoreError::Corrupt(format!("episodes: {error}")))?;
    let told = |episode: &Episode| charge_of(episode, billed, contracts);
    let views = episode_views(&facts, &notes, &rule, &judgement, told);

    let mut sums = Sums::default();
    for price in billed.iter().filter_map(|billed| billed.price.as_ref()) {
        sums.add(price.amount)?;
    }
    let mut costs: BTreeMap<&'static str, Costs> = BTreeMap::new();
    let mut all_costs = Costs::default();
    for fact in &facts {
        let Said::Attempt(attempt) = &fact.said else { continue };
        costs.entry(attempt.cost.currency.code()).or_default().add(std::slice::from_ref(fact))?;
        all_costs.add(std::slice::from_ref(fact))?;
    }
    Ok(Explanation {
        customer: key.customer.clone(),
        case: key.case.clone(),
        verdict: held.verdict.clone(),
        judged_at: held.judged_at,
        wake_at: held.wake_at,
        waits,
        contract_version: contract.map(|contract| contract.version),
        episodes: as_held(held_episodes, views),
        timeline: events.iter().map(|event| event_view(event, &rule)).collect::<Result<_, _>>()?,
        rule,
        billed: billed.iter().map(billed_view).collect(),
        margin: sums.less(&all_costs.known).map(|(code, nanos)| AmountView::new(nanos, code)),
        billed_sums: sums.0.into_iter().map(|(code, nanos)| AmountView::new(nanos, code)).collect(),
        costs: costs.into_iter().map(|(code, costs)| cost_view(code, &costs)).collect(),
    })
}

/// What is held stays as it is held; where the facts now say something else, the sentence says so.
fn as_held(held: Vec<HeldEpisode>, mut views: Vec<EpisodeView>) -> Vec<EpisodeView> {
    let decided = |episode: &HeldEpisode| {
        (episode.verdict.clone(), episode.reason.clone(), episode.settles_at, episode.decided_at)
    };
    held.into_iter()
        .map(|held| match views.iter().position(|view| view.held.name == held.name) {
            Some(at) => {
                let view = views.remove(at);
                let sentence = match decided(&view.held) == decided(&held) {
                    true => view.sentence,
                    false => format!("It waits to be judged again; by now the facts say: {}", view.sentence),
                };
                EpisodeView { held, sentence, ..view }
            }
            None => EpisodeView {
                held,
                kind: None,
                sentence: "It waits to be judged again.".into(),
                disputes: Vec::new(),
            },
        })
        .collect()
}

/// The episodes of a judgement with their sentences.
pub(crate) fn episode_views<'a>(
    facts: &[Fact],
    notes: &[Note],
    rule: &Rule,
    judgement: &Judgement,
    charge: impl Fn(&Episode) -> Charge<'a>,
) -> Vec<EpisodeView> {
    let episodes = &judgement.episodes;
    let is_pending = |episode: &&Episode| episode.verdict == Some(Verdict::Pending);
    // With several pending ones it is not known which of them time will change first.
    let given_up_at = judgement.wake_at.filter(|_| episodes.iter().filter(is_pending).count() == 1);
    episodes
        .iter()
        .enumerate()
        .map(|(nth, episode)| {
            let is_charged =
                |before: &&Episode| before.charged && matches!(before.verdict, Some(Verdict::Won(_)));
            let charged_before = episodes[..nth].iter().find(is_charged).map(|before| before.name.as_str());
            let charge = charge(episode);
            let about = About { facts, notes, rule, episode, charged_before, given_up_at, charge };
            let deciding =
                [episode.win.map(|win| win.answer), episode.win.and_then(|win| win.evidence), episode.taker];
            let reason = match episode.verdict {
                Some(Verdict::Failed(reason) | Verdict::Void(reason)) => Some(reason.as_str().to_string()),
                _ => None,
            };
            EpisodeView {
                kind: episode.win.map(|win| win.kind.as_str()),
                sentence: sentence(&about),
                disputes: episode.disputes.iter().map(|d| dispute_view(facts, notes, d)).collect(),
                held: HeldEpisode {
                    name: episode.name.clone(),
                    verdict: episode.verdict.map(|verdict| verdict_name(verdict).into()),
                    reason,
                    settles_at: episode.win.map(|win| win.settles_at),
                    decided_at: episode.decided_at,
                    because: deciding.into_iter().flatten().map(|at| facts[at].id.clone()).collect(),
                    not_charged: matches!(episode.verdict, Some(Verdict::Won(_) | Verdict::Void(_)))
                        && !episode.charged,
                },
            }
        })
        .collect()
}

/// The sentences of a case without its bill, each with its episode's name where there are several.
pub(crate) fn sentences(facts: &[Fact], notes: &[Note], rule: &Rule, judgement: &Judgement) -> String {
    let views = episode_views(facts, notes, rule, judgement, |_| Charge::Untold);
    let told: Vec<String> = match views.as_slice() {
        [view] => vec![view.sentence.clone()],
        views => views.iter().map(|view| format!("`{}`: {}", view.held.name, view.sentence)).collect(),
    };
    told.join(" ")
}

fn dispute_view(facts: &[Fact], notes: &[Note], dispute: &Dispute) -> DisputeView {
    let told = |at: usize| {
        let words = notes[at].reason.as_ref().map(|reason| format!(", saying \"{reason}\""));
        format!(
            "{} on {}{}",
            words::source(&facts[at], &notes[at]),
            time(facts[at].at),
            words.unwrap_or_default()
        )
    };
    let (state, decided) = match dispute.decided {
        None => ("open", "It is not decided yet".to_string()),
        Some((at, true)) => ("accepted", format!("Accepted by {}", told(at))),
        Some((at, false)) => ("rejected", format!("Rejected by {}", told(at))),
    };
    let sentence = format!("Disputed by {}. {decided}.", told(dispute.raised));
    DisputeView { id: facts[dispute.raised].id.clone(), state, sentence }
}

/// What was charged for an episode that is won or void.
fn charge_of<'a>(episode: &Episode, billed: &'a [Billed], contracts: &[Contract]) -> Charge<'a> {
    let standing = standing(billed).into_iter();
    let mut charges = standing.filter(|billed| {
        billed.row.entry.kind == EntryKind::Charge && billed.row.entry.episode == episode.name
    });
    let Some(charge) = charges.next() else { return Charge::Due };
    let Some(price) = &charge.price else { return Charge::Unpriced };
    let by_value = contracts
        .iter()
        .filter(|contract| contract.version == price.contract_version)
        .flat_map(|contract| &contract.prices)
        .any(|other| other.action == charge.row.entry.action && other.share.is_some());
    // A price by the value of each is the price of each; else it is where that many come to what the line says.
    let is_its_price = price.on.line().is_some_and(|line| {
        let all = i128::from(line.quantity) * i128::from(price.amount.nanos);
        by_value || all == i128::from(line.amount.nanos)
    });
    Charge::Charged { listed: price.amount, on: &price.on, is_its_price, free: price.free }
}

/// The rows that no correction takes back, and that are none.
pub(crate) fn standing(billed: &[Billed]) -> Vec<&Billed> {
    let is_correction = |billed: &&Billed| billed.row.entry.kind == EntryKind::Correction;
    let corrected: Vec<i64> =
        billed.iter().filter(is_correction).filter_map(|billed| billed.row.reverses).collect();
    billed.iter().filter(|row| !is_correction(row) && !corrected.contains(&row.row.seq)).collect()
}

fn json(what: &str, text: Option<&str>) -> Result<Option<serde_json::Value>, StoreError> {
    let read = |text| serde_json::from_str(text);
    text.map(read).transpose().map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

pub(crate) fn note(event: &Event) -> Result<Note, StoreError> {
    match &event.beside {
        Beside::Attempt { .. } => Ok(Note::default()),
        Beside::Resolution { reason, author, evidence } => {
            let evidence = json("evidence", evidence.as_deref())?;
            Ok(Note::new(author.as_deref(), reason.as_deref(), evidence.as_ref()))
        }
    }
}

fn event_view(event: &Event, rule: &Rule) -> Result<EventView, StoreError> {
    let fact = &event.fact;
    let mut view = EventView {
        at: fact.at,
        id: fact.id.clone(),
        kind: match &fact.said {
            Said::Attempt(attempt) => attempt.status.as_str(),
            Said::Resolution(said) => said.kind.as_str(),
        },
        what: words::what(fact, rule),
        strength: fact.resolution().map(|said| said.strength.as_str()),
        author: None,
        reason: None,
        evidence: None,
        value: fact.value().map(AmountView::of),
        attempt: None,
        recorded_at: event.recorded_at,
    };
    match (&event.beside, &fact.said) {
        (
            Beside::Attempt {
                provider,
                recorded_nanos,
                price_source,
                cost_changes,
                details,
                service_tier,
                started_at,
            },
            Said::Attempt(attempt),
        ) => {
            let code = attempt.cost.currency.code();
            let changed = cost_changes.iter().map(|change| CostChangeView {
                difference: AmountView::new(change.difference_nanos, code),
                newly_known: change.newly_known,
                book: change.book.clone(),
                price_source: change.price_source.clone(),
                at: change.at,
                by: change.author.clone(),
                repricing: change.repricing.clone(),
            });
            view.attempt = Some(AttemptView {
                agent: attempt.agent.clone(),
                action: attempt.action.clone(),
                provider: provider.clone(),
                model: attempt.model.clone(),
                service_tier: service_tier.clone(),
                started_at: *started_at,
                model_cost: attempt.cost.model_nanos.map(|nanos| AmountView::new(nanos, code)),
                cost_changes: changed.collect(),
                recorded_model_cost: recorded_nanos.map(|nanos| AmountView::new(nanos, code)),
                other_cost: AmountView::new(attempt.cost.other_nanos, code),
                price_source: price_source.clone(),
                details: json("details", details.as_deref())?,
            });
        }
        (Beside::Resolution { reason, author, evidence }, _) => {
            (view.reason, view.author) = (reason.clone(), author.clone());
            view.evidence = json("evidence", evidence.as_deref())?;
        }
        (Beside::Attempt { .. }, Said::Resolution(_)) => {}
    }
    Ok(view)
}

fn billed_view(billed: &Billed) -> BilledView {
    let entry = &billed.row.entry;
    let price = billed.price.as_ref();
    BilledView {
        seq: billed.row.seq,
        entry: entry.kind.as_str(),
        episode: entry.episode.clone(),
        kind: entry.win.as_str(),
        action: entry.action.clone(),
        effective_at: entry.effective_at,
        reason: entry.reason.map(|reason| reason.as_str()),
        reverses: billed.row.reverses,
        value: entry.value.map(AmountView::of),
        amount: price.map(|price| AmountView::of(price.amount)),
        contract_version: price.map(|price| price.contract_version),
        invoice: price.and_then(|price| price.on.invoice().map(String::from)),
        line: price.and_then(|price| price.on.line()).map(LineView::of),
        nothing_to_bill: price.is_some_and(|price| price.on == On::NothingToBill),
        free: price.and_then(|price| price.free).map(Free::as_str),
        facts: entry.facts.clone(),
    }
}

fn cost_view(code: &'static str, costs: &Costs) -> CostView {
    CostView {
        known: AmountView::new(costs.known.0.get(code).copied().unwrap_or(0), code),
        attempts: costs.attempts,
        unknown_cost_attempts: costs.unknown_cost_attempts,
    }
}
