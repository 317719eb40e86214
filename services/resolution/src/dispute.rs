//! Disputes: raised against one outcome within its window, accepted or rejected. Each step is a fact with an author.

use crate::event::check_name;
use crate::judge::rule_of;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::fact::{Resolution, ResolutionFact, ResolutionKind, Strength};
use verdict_domain::judge::{Episode, Verdict, judge};
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey};
use verdict_store::{Store, StoreError, Tx, contracts, ledger, resolutions};

/// A dispute to raise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeRequest {
    /// Unique per customer and stable across retries of sending it.
    pub id: String,
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// The episode, as the case's page names it; else the last one that is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
    /// Why.
    pub reason: String,
    /// Who disputes it, where that is not the holder of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// A decision of a dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeDecision {
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// The dispute's fact id, such as `operator:d-1`.
    pub dispute: String,
    /// Why.
    pub reason: String,
    /// Who decided, where that is not the holder of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
}

/// Why a dispute is not taken; the caller must mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDisputed {
    /// A field is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is no such case, outcome or dispute.
    #[error("{0}")]
    NotFound(String),
    /// It is too late, or decided otherwise.
    #[error("{0}")]
    Conflict(String),
}

/// What the id of a decision begins with.
const DECISION: &str = "decision:";

/// What came of raising or deciding a dispute: the fact's id and whether it is new.
pub type Taken = Result<(String, bool), NotDisputed>;

/// Raises a dispute of an outcome that is charged, if its window is open.
pub async fn raise_dispute(
    store: &Store,
    request: &DisputeRequest,
    caller: &str,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    if let Err(problem) = check(&[("id", &request.id)], &request.customer, &request.case, &request.reason) {
        return Ok(Err(problem));
    }
    if request.id.starts_with(DECISION) {
        let problem = format!("id: must not begin with `{DECISION}`: the ids of decisions do");
        return Ok(Err(NotDisputed::Invalid(problem)));
    }
    let tx = store.begin().await?;
    // What is disputed must not change meanwhile.
    tx.claim("judge").await?;
    let key = CaseKey { customer: request.customer.clone(), case: request.case.clone() };
    let id = format!("operator:{}", request.id);
    if resolutions::exists(&tx, &key.customer, &id).await? {
        return Ok(Ok((id, false)));
    }
    let episode = match disputable(&tx, &key, request.episode.as_deref(), now).await? {
        Ok(episode) => episode,
        Err(problem) => return Ok(Err(problem)),
    };
    let fact = Said {
        kind: ResolutionKind::Disputed,
        about: episode,
        reason: &request.reason,
        author: &request.author,
    };
    record(&tx, &key, &id, fact, caller, now).await?;
    tx.commit().await?;
    Ok(Ok((id, true)))
}

/// Accepts or rejects a dispute. The first decision holds.
pub async fn decide_dispute(
    store: &Store,
    decision: &DisputeDecision,
    accept: bool,
    caller: &str,
    now: Timestamp,
) -> Result<Taken, StoreError> {
    if let Err(problem) = check(&[], &decision.customer, &decision.case, &decision.reason) {
        return Ok(Err(problem));
    }
    let tx = store.begin().await?;
    tx.claim("judge").await?;
    let key = CaseKey { customer: decision.customer.clone(), case: decision.case.clone() };
    let facts = cases::facts(&tx, std::slice::from_ref(&key)).await?.remove(&key).unwrap_or_default();
    if !facts.iter().any(|fact| fact.id == decision.dispute && fact.is(ResolutionKind::Disputed)) {
        return Ok(Err(NotDisputed::NotFound(format!(
            "dispute: `{}` is no dispute of this case: see `verdict disputes list`",
            decision.dispute
        ))));
    }
    let kind = if accept { ResolutionKind::DisputeAccepted } else { ResolutionKind::DisputeRejected };
    // One decision a dispute, for ever: its id says of which.
    let id = format!("operator:{DECISION}{}", decision.dispute);
    if let Some(there) = facts.iter().find(|fact| fact.id == id) {
        return Ok(match there.is(kind) {
            true => Ok((id, false)),
            false => Err(NotDisputed::Conflict("dispute: it is decided already, and otherwise".into())),
        });
    }
    let fact =
        Said { kind, about: decision.dispute.clone(), reason: &decision.reason, author: &decision.author };
    record(&tx, &key, &id, fact, caller, now).await?;
    tx.commit().await?;
    Ok(Ok((id, true)))
}

fn check(ids: &[(&str, &str)], customer: &str, case: &str, reason: &str) -> Result<(), NotDisputed> {
    for (field, name) in ids.iter().copied().chain([("customer", customer), ("case", case)]) {
        check_name(field, name).map_err(NotDisputed::Invalid)?;
    }
    match reason.chars().count() {
        1..=512 if !reason.contains(char::is_control) => Ok(()),
        _ => Err(NotDisputed::Invalid(
            "reason: must say why, in 1 to 512 characters without control characters".into(),
        )),
    }
}

/// The episode that can be disputed: charged, its window open, and no dispute of it open.
async fn disputable(
    tx: &Tx,
    key: &CaseKey,
    wanted: Option<&str>,
    now: Timestamp,
) -> Result<Result<String, NotDisputed>, StoreError> {
    let facts = cases::facts(tx, std::slice::from_ref(key)).await?.remove(key).unwrap_or_default();
    if facts.is_empty() {
        return Ok(Err(NotDisputed::NotFound(format!("case: `{}` is not there", key.case))));
    }
    let contracts = contracts::of_customers(tx, std::iter::once(key.customer.as_str())).await?;
    let rule = rule_of(&facts, contracts.get(&key.customer).map_or(&[][..], Vec::as_slice));
    let episodes = judge(&facts, &rule, now).episodes;
    let is_charged = |episode: &&Episode| episode.charged && matches!(episode.verdict, Some(Verdict::Won(_)));
    let found = match wanted {
        Some(name) => episodes.iter().find(|episode| episode.name == name),
        None => episodes.iter().rev().find(is_charged),
    };
    let Some(episode) = found.filter(is_charged) else {
        return Ok(Err(NotDisputed::NotFound(
            "episode: it has no outcome that is charged: there is nothing to dispute".into(),
        )));
    };
    if episode.disputes.iter().any(|dispute| dispute.decided.is_none()) {
        return Ok(Err(NotDisputed::Conflict("episode: a dispute of it is open already".into())));
    }
    let invoiced_at = ledger::invoiced_at(tx, key, &episode.name).await?;
    if invoiced_at.is_some_and(|at| at.plus(rule.dispute_window) < now) {
        let closed_at = invoiced_at.map_or(now, |at| at.plus(rule.dispute_window));
        return Ok(Err(NotDisputed::Conflict(format!(
            "episode: its outcome could be disputed until {closed_at}"
        ))));
    }
    Ok(Ok(episode.name.clone()))
}

struct Said<'a> {
    kind: ResolutionKind,
    about: String,
    reason: &'a str,
    author: &'a Option<String>,
}

async fn record(
    tx: &Tx,
    key: &CaseKey,
    id: &str,
    said: Said<'_>,
    caller: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let author = match said.author {
        Some(author) => format!("{author} ({caller})"),
        None => caller.to_string(),
    };
    let resolution = Resolution {
        id: id.into(),
        customer: key.customer.clone(),
        case: key.case.clone(),
        occurred_at: now,
        said: ResolutionFact {
            kind: said.kind,
            score: None,
            about: Some(said.about),
            strength: Strength::Operator,
            value: None,
        },
        reason: Some(said.reason.into()),
        author: Some(author),
        evidence: None,
    };
    resolutions::record(tx, &[resolution], now).await?;
    Ok(())
}
