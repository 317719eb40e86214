//! The step that judges cases: facts in, ledger and figures out, in one transaction.

use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use verdict_domain::contract::{self, Contract, in_force};
use verdict_domain::economics::{self, Cell, Contribution, Figures, Overflow};
use verdict_domain::fact::Fact;
use verdict_domain::judge::{Episode, Judgement, Verdict, WinKind, judge};
use verdict_domain::ledger::{self as rows, Row};
use verdict_domain::pricing::used_by;
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey, StoredCase};
use verdict_store::figures::Changed;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError, Tx, contracts, figures, ledger, usage};

/// The step: judges cases that have new facts or whose time has come, at most `limit` of them. Answers how many
/// it took. A case that the database refuses is found by halving, and parked: it does not hold up the others.
pub async fn judge_cases(store: &Store, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    match judge_together(store, now, limit).await {
        Err(error) if !error.is_transient() && limit > 1 => {
            Box::pin(judge_cases(store, now, limit / 2)).await
        }
        Err(error) if !error.is_transient() => set_aside(store, now, &error.to_string()).await,
        result => result,
    }
}

/// Parks the next case.
async fn set_aside(store: &Store, now: Timestamp, reason: &str) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    tx.claim("judge").await?;
    let keys = cases::take_to_judge(&tx, now, 1).await?;
    for key in &keys {
        parked::park(&tx, &[parked_case(key, reason)], now).await?;
        cases::stop_waking(&tx, key).await?;
    }
    tx.commit().await?;
    Ok(keys.len())
}

fn parked_case(key: &CaseKey, reason: &str) -> Parked {
    Parked {
        origin: Origin::Case,
        reference: serde_json::json!([&key.customer, &key.case]).to_string(),
        headers: "{}".into(),
        body: Vec::new(),
        reason: format!("the case cannot be judged: {reason}"),
    }
}

async fn judge_together(store: &Store, now: Timestamp, limit: u32) -> Result<usize, StoreError> {
    let tx = store.begin().await?;
    tx.claim("judge").await?;
    let keys = cases::take_to_judge(&tx, now, limit).await?;
    if keys.is_empty() {
        return Ok(0);
    }
    let facts = cases::facts(&tx, &keys).await?;
    let held = cases::load(&tx, &keys).await?;
    let mut added = figures::contributions(&tx, &keys).await?;
    let posted = ledger::posted(&tx, &keys).await?;
    let contracts = contracts::of_customers(&tx, keys.iter().map(|key| key.customer.as_str())).await?;

    let mut judged: BTreeMap<CaseKey, StoredCase> = BTreeMap::new();
    let mut to_post: Vec<(CaseKey, Row)> = Vec::new();
    let mut moved: BTreeMap<(String, Cell), Figures> = BTreeMap::new();
    let mut changed: Vec<Changed> = Vec::new();
    let mut parked_cases: Vec<Parked> = Vec::new();
    for (key, facts) in facts {
        let held = held.get(&key);
        let posted = posted.get(&key).map_or(&[][..], Vec::as_slice);
        let contracts = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
        let before = added.remove(&key).unwrap_or_default();
        match look(&facts, held, &before, posted, contracts, now) {
            Ok(look) => {
                if !look.moved.is_empty() {
                    let is_new = before.is_empty();
                    changed.push(Changed { key: key.clone(), is_new, contribution: look.contribution });
                }
                for (cell, figures) in look.moved {
                    let sum = moved.entry((key.customer.clone(), cell)).or_default();
                    *sum = sum
                        .plus(figures)
                        .ok_or_else(|| StoreError::Refused("the figures of a day overflow".into()))?;
                }
                to_post.extend(look.to_post.into_iter().map(|row| (key.clone(), row)));
                judged.insert(key, look.case);
            }
            Err(Overflow) => {
                parked_cases.push(parked_case(
                    &key,
                    "its costs add up to more than 64 bits hold: look at its attempts",
                ));
                cases::stop_waking(&tx, &key).await?;
            }
        }
    }
    let taken = keys.len();
    record_usage(&tx, &keys, &contracts, now).await?;
    cases::save(&tx, judged).await?;
    figures::set_contributions(&tx, changed).await?;
    ledger::post(&tx, &to_post, now).await?;
    figures::add(&tx, moved).await?;
    parked::park(&tx, &parked_cases, now).await?;
    tx.commit().await?;
    Ok(taken)
}

/// Records the attempts that their customer's contract charges at cost and a mark-up, whatever becomes of their case.
async fn record_usage(
    tx: &Tx,
    keys: &[CaseKey],
    contracts: &BTreeMap<String, Vec<Contract>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let versions_of = |customer: &str| contracts.get(customer).map_or(&[][..], Vec::as_slice);
    let is_charged =
        |key: &&CaseKey| versions_of(&key.customer).iter().any(|version| !version.usage.is_empty());
    let keys: Vec<&CaseKey> = keys.iter().filter(is_charged).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let mut used = Vec::new();
    for mut attempt in usage::unrecorded(tx, &keys).await? {
        if let Some(version) = used_by(versions_of(&attempt.customer), &attempt.action, attempt.at) {
            // What another currency's cost comes to in the contract's, nobody knows here.
            attempt.cost_nanos = attempt.cost_nanos.filter(|_| attempt.currency == version.currency.code());
            used.push((attempt, version.version));
        }
    }
    usage::record(tx, &used, now).await
}

/// What a look at a case brings.
struct Look {
    case: StoredCase,
    to_post: Vec<Row>,
    /// What it adds to the figures.
    contribution: Contribution,
    /// What of that is new.
    moved: Contribution,
}

/// Judges one case: pure.
fn look(
    facts: &[Fact],
    held: Option<&StoredCase>,
    before: &Contribution,
    posted: &[Row],
    contracts: &[Contract],
    now: Timestamp,
) -> Result<Look, Overflow> {
    // Time does not run backward for a case, whichever machine's clock judges it.
    let now = held.map_or(now, |held| held.judged_at.max(now));
    let Judgement { episodes, wake_at } = judge(facts, &rule_of(facts, contracts), now);
    let to_post = rows::difference(posted, &rows::entries(facts, &episodes));
    let currency_at = |at: Timestamp| {
        in_force(contracts, at).map_or("XXX", |contract| contract.currency.code()).to_string()
    };
    let contribution = economics::contribution(facts, &episodes, currency_at)?;
    let moved = economics::difference(before, &contribution)?;
    let verdict = episodes.iter().rev().find_map(|episode| episode.verdict).map_or("none", name);
    let case =
        StoredCase { judged_at: now, wake_at, verdict: verdict.into(), episodes: shown(facts, &episodes) };
    Ok(Look { case, to_post, contribution, moved })
}

/// The rule of a case: its contract version's, else the default.
pub(crate) fn rule_of<'a>(facts: &[Fact], contracts: &'a [Contract]) -> Cow<'a, Rule> {
    let contract = contract::of_case(contracts, facts);
    contract.map_or_else(|| Cow::Owned(Rule::default()), |contract| Cow::Borrowed(&contract.rule))
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Won(WinKind::Confirmed) => "confirmed",
        Verdict::Won(WinKind::Assumed) => "assumed",
        Verdict::Failed(_) => "failed",
        Verdict::Void(_) => "void",
    }
}

/// An episode as people are shown it.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settles_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<Timestamp>,
    /// The ids of the facts that decided.
    because: Vec<&'a str>,
    /// Set where it was won but is not charged: an earlier episode is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    not_charged: bool,
}

fn shown(facts: &[Fact], episodes: &[Episode]) -> String {
    let shown: Vec<Shown> = episodes
        .iter()
        .map(|episode| {
            let reason = match episode.verdict {
                Some(Verdict::Failed(reason) | Verdict::Void(reason)) => Some(reason.as_str()),
                _ => None,
            };
            let deciding =
                [episode.win.map(|win| win.answer), episode.win.and_then(|win| win.evidence), episode.taker];
            Shown {
                name: &episode.name,
                verdict: episode.verdict.map(name),
                reason,
                settles_at: episode.win.map(|win| win.settles_at),
                decided_at: episode.decided_at,
                not_charged: episode.win.is_some()
                    && !episode.charged
                    && matches!(episode.verdict, Some(Verdict::Won(_) | Verdict::Void(_))),
                because: deciding.into_iter().flatten().map(|at| facts[at].id.as_str()).collect(),
            }
        })
        .collect();
    // Plain names and numbers: this cannot fail to serialise.
    serde_json::to_string(&shown).unwrap_or_default()
}
