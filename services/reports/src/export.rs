//! Cases for the customer to count again: JSON Lines with the terms, the facts that the judge reads, and what was billed.
//! Nothing of what the attempts cost, nor by which model.
//!
//! Each line ends with a check: the first 32 hex digits of SHA-256 over the check of the line before (nothing for the
//! first) and the line itself up to `,"check":`. The last line counts the cases. So a line that is damaged, missing or
//! out of its place is found, by its number. (It does not prove who wrote the file: what the facts rest on does.)

use crate::case::Note;
use crate::count::amount;
use crate::rejudge::PAGE;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use verdict_domain::attempt::{Cost, FailureReason, Status};
use verdict_domain::contract::{Contract, Price};
use verdict_domain::fact::{AttemptFact, Fact, ResolutionFact, ResolutionKind, Said, Strength};
use verdict_domain::judge::{LossReason, WinKind};
use verdict_domain::ledger::EntryKind;
use verdict_domain::money::{self, Currency, Money, MoneyError};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::history::{self, Beside, Billed, Event, On, Window};
use verdict_store::{Store, StoreError, cases, contracts};

pub(crate) const FORMAT: &str = "verdict.cases";
pub(crate) const VERSION: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub format: String,
    pub version: u32,
    pub customer: String,
    /// As of when all cases are told (one that was judged later already: as of then).
    pub as_of: Timestamp,
    /// The earliest attempts of the cases are from here on …
    pub from: Timestamp,
    /// … and before this.
    pub to: Timestamp,
    pub contracts: Vec<Terms>,
}

/// What a contract version says of verdicts and prices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub version: u32,
    pub effective_from: Timestamp,
    pub currency: Currency,
    pub prices: Vec<Price>,
    pub rule: Rule,
}

impl Terms {
    fn of(contract: &Contract) -> Self {
        let Contract { version, effective_from, currency, prices, rule, .. } = contract.clone();
        Self { version, effective_from, currency, prices, rule }
    }

    /// As the domain judges and prices by it; whom it bills is not told.
    pub fn contract(self, customer: &str) -> Contract {
        Contract {
            version: self.version,
            effective_from: self.effective_from,
            rule: self.rule,
            ..Contract::new(customer, self.currency, self.prices)
        }
    }
}

/// A case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CaseLine {
    pub case: String,
    /// When it was judged last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<Timestamp>,
    /// Set where something was not judged or priced yet: what was billed is not to be held against it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
    pub facts: Vec<FactLine>,
    pub billed: Vec<BilledLine>,
}

/// A fact: an attempt or a resolution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FactLine {
    pub at: Timestamp,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Status>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<FailureReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What the outcome is worth, as this fact says: an exact decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<Strength>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Value>,
}

impl FactLine {
    fn of(event: &Event) -> Result<Self, StoreError> {
        let fact = &event.fact;
        let (attempt, said) = (fact.attempt(), fact.resolution());
        let (reason, author, evidence) = match &event.beside {
            Beside::Attempt { .. } => (None, None, None),
            Beside::Resolution { reason, author, evidence } => {
                let evidence = evidence.as_deref().map(serde_json::from_str).transpose();
                let evidence = evidence.map_err(|error| StoreError::Corrupt(format!("evidence: {error}")))?;
                (reason.clone(), author.clone(), evidence)
            }
        };
        Ok(Self {
            at: fact.at,
            id: fact.id.clone(),
            attempt: attempt.map(|attempt| attempt.status),
            failure_reason: attempt.and_then(|attempt| attempt.failure_reason),
            agent: attempt.map(|attempt| attempt.agent.clone()),
            action: attempt.map(|attempt| attempt.action.clone()),
            value: fact.value().map(|value| amount(value.nanos, value.currency.code())),
            value_currency: fact.value().map(|value| value.currency.code().into()),
            resolution: said.map(|said| said.kind),
            score: said.and_then(|said| said.score),
            about: said.and_then(|said| said.about.clone()),
            strength: said.map(|said| said.strength),
            reason,
            author,
            evidence,
        })
    }

    /// As the judge reads it. The error names the field.
    pub fn fact(&self) -> Result<Fact, String> {
        let missing = |field: &str| format!("facts: `{}` has no `{field}`", self.id);
        let value = read_money(self.value.as_deref(), self.value_currency.as_deref())
            .map_err(|error| format!("facts: `{}`: value: {error}", self.id))?;
        let said = match (self.attempt, self.resolution) {
            (Some(status), None) => Said::Attempt(AttemptFact {
                status,
                failure_reason: self.failure_reason,
                agent: self.agent.clone().unwrap_or_default(),
                action: self.action.clone().ok_or_else(|| missing("action"))?,
                provider: String::new(),
                model: String::new(),
                cost: Cost { model_nanos: None, other_nanos: 0, currency: Currency::XXX },
                value,
            }),
            (None, Some(kind)) => Said::Resolution(ResolutionFact {
                kind,
                score: self.score,
                about: self.about.clone(),
                strength: self.strength.ok_or_else(|| missing("strength"))?,
                value,
            }),
            _ => return Err(missing("attempt` or `resolution")),
        };
        Ok(Fact { at: self.at, id: self.id.clone(), said })
    }

    pub fn note(&self) -> Note {
        Note::new(self.author.as_deref(), self.reason.as_deref(), self.evidence.as_ref())
    }
}

/// A row of the ledger with its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BilledLine {
    pub seq: i64,
    pub entry: EntryKind,
    pub episode: String,
    pub kind: WinKind,
    pub action: String,
    pub effective_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<LossReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverses: Option<i64>,
    /// What the outcome is worth, where a fact says so: an exact decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_currency: Option<String>,
    /// The list price with its sign; absent for what has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract_version: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// The line of the invoice that it is counted in: what its period charges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<InvoiceLine>,
    /// Set where its period is closed and there was nothing to bill in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing_to_bill: bool,
}

/// The line of an invoice that outcomes of one action and kind are counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InvoiceLine {
    pub number: i64,
    /// How many outcomes, less those taken back.
    pub quantity: i64,
    /// What they come to, in the currency of the row.
    pub amount: String,
    pub why: String,
}

impl BilledLine {
    fn of(billed: &Billed) -> Self {
        let (entry, price) = (&billed.row.entry, billed.price.as_ref());
        Self {
            seq: billed.row.seq,
            entry: entry.kind,
            episode: entry.episode.clone(),
            kind: entry.win,
            action: entry.action.clone(),
            effective_at: entry.effective_at,
            reason: entry.reason,
            reverses: billed.row.reverses,
            value: entry.value.map(|value| amount(value.nanos, value.currency.code())),
            value_currency: entry.value.map(|value| value.currency.code().into()),
            amount: price.map(|price| amount(price.amount.nanos, price.amount.currency.code())),
            currency: price.map(|price| price.amount.currency.code().into()),
            contract_version: price.map(|price| price.contract_version),
            invoice: price.and_then(|price| price.on.invoice().map(String::from)),
            line: price.and_then(|price| price.on.line()).map(|line| InvoiceLine {
                number: line.number,
                quantity: line.quantity,
                amount: amount(line.amount.nanos, line.amount.currency.code()),
                why: line.why.clone(),
            }),
            nothing_to_bill: price.is_some_and(|price| price.on == On::NothingToBill),
        }
    }

    /// Its price. The error names the field.
    pub fn money(&self) -> Result<Option<Money>, String> {
        read_money(self.amount.as_deref(), self.currency.as_deref())
            .map_err(|error| format!("billed: row {}: amount: {error}", self.seq))
    }

    /// What the outcome is worth. The error names the field.
    pub fn worth(&self) -> Result<Option<Money>, String> {
        read_money(self.value.as_deref(), self.value_currency.as_deref())
            .map_err(|error| format!("billed: row {}: value: {error}", self.seq))
    }
}

fn read_money(amount: Option<&str>, code: Option<&str>) -> Result<Option<Money>, MoneyError> {
    let (Some(amount), Some(code)) = (amount, code) else { return Ok(None) };
    Ok(Some(Money { nanos: money::parse_nanos(amount)?, currency: money::currency(code)? }))
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub end: bool,
    pub cases: u64,
}

/// The check of a line: `body` is the line up to `,"check":`.
pub(crate) fn check(before: &str, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(before).chain_update(body).finalize();
    digest[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why cases could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file.
    #[error(transparent)]
    Write(#[from] std::io::Error),
    /// Something cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Writes lines, each with its check.
pub(crate) struct Lines<W> {
    pub out: W,
    pub check: String,
}

impl<W: Write> Lines<W> {
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), ExportError> {
        let mut body = serde_json::to_vec(line)?;
        body.pop();
        self.check = check(&self.check, &body);
        self.out.write_all(&body)?;
        writeln!(self.out, ",\"check\":\"{}\"}}", self.check)?;
        Ok(())
    }
}

/// Writes the cases of one customer's window as of `now`; answers how many. All is read at one moment.
pub async fn export(
    store: &Store,
    customer: &str,
    (from, to): (Timestamp, Timestamp),
    now: Timestamp,
    out: impl Write,
) -> Result<u64, ExportError> {
    let window = Window { from, to, customer: Some(customer.into()) };
    let snapshot = store.snapshot().await?;
    let versions: BTreeMap<String, Vec<Contract>> =
        contracts::of_customers(&snapshot, std::iter::once(customer)).await?;
    let mut terms: Vec<Terms> = versions.into_values().flatten().map(|version| Terms::of(&version)).collect();
    terms.sort_by_key(|terms| terms.version);
    let mut lines = Lines { out, check: String::new() };
    let (format, customer) = (FORMAT.into(), customer.into());
    lines.write(&Head { format, version: VERSION, customer, as_of: now, from, to, contracts: terms })?;
    let (mut written, mut after) = (0, None);
    loop {
        let keys = history::page(&snapshot, &window, after.as_ref(), PAGE).await?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let timelines = history::timelines(&snapshot, &keys).await?;
        let billed = history::billed(&snapshot, &keys).await?;
        let held = cases::load(&snapshot, &keys).await?;
        let waiting = history::waiting(&snapshot, &keys, now).await?;
        for key in keys {
            let events = timelines.get(&key).map_or(&[][..], Vec::as_slice);
            let rows = billed.get(&key).map_or(&[][..], Vec::as_slice);
            lines.write(&CaseLine {
                judged_at: held.get(&key).map(|held| held.judged_at),
                waits: waiting.contains(&key),
                facts: events.iter().map(FactLine::of).collect::<Result<_, _>>()?,
                billed: rows.iter().map(BilledLine::of).collect(),
                case: key.case,
            })?;
            written += 1;
        }
    }
    lines.write(&End { end: true, cases: written })?;
    lines.out.flush()?;
    Ok(written)
}
