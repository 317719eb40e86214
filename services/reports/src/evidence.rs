//! The evidence of an invoice as a file: each line with why it is there, and each outcome behind it down to the deliveries
//! that its facts came by. `docs/EVIDENCE.md` describes it.
//!
//! It holds nothing of which the invoice's link or a link in it does not tell, but what came in with the facts; and nothing
//! that changes once the invoice is final: no state, no time of the export.

use crate::count::amount;
use crate::text::quoted;
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::judge::WinKind;
use verdict_domain::money::minor_decimal;
use verdict_domain::pricing::Item;
use verdict_domain::time::Timestamp;
use verdict_store::chain::{self, Place};
use verdict_store::evidence::{self as rests, After, Counts, Decided, Outcome};
use verdict_store::invoices::{self, Invoice};
use verdict_store::{Store, StoreError};

/// How many outcomes are read at once.
const PAGE: u32 = 500;

/// How an evidence file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceFormat {
    /// One object.
    Json,
    /// A row an outcome (RFC 4180).
    Csv,
}

impl EvidenceFormat {
    /// The format of this name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// An evidence file that is being written. It is made piece by piece: what it holds of an invoice with very many outcomes
/// is never in memory at once, and between two pieces no connection is held, for what it reads does not change.
pub struct Evidence {
    store: Store,
    format: EvidenceFormat,
    invoice: Invoice,
    next: Next,
    /// Whether an array has an element already.
    begun: bool,
}

enum Next {
    Head,
    Outcomes(After),
    Usage(String),
    End,
    Nothing,
}

impl Evidence {
    /// The evidence of an invoice or credit note; `None` if there is none of this id.
    pub async fn of(store: &Store, id: &str, format: EvidenceFormat) -> Result<Option<Self>, StoreError> {
        let Some(invoice) = invoices::find(store, id).await? else { return Ok(None) };
        Ok(Some(Self { store: store.clone(), format, invoice, next: Next::Head, begun: false }))
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        loop {
            let piece = match std::mem::replace(&mut self.next, Next::Nothing) {
                Next::Nothing => return Ok(None),
                Next::Head => {
                    self.next = Next::Outcomes(After::start());
                    self.head().await?
                }
                Next::Outcomes(after) => self.outcomes(after).await?,
                Next::Usage(after) => self.usage(after).await?,
                Next::End => "\n],\n\"end\":true}\n".into(),
            };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    async fn head(&self) -> Result<String, StoreError> {
        if self.format == EvidenceFormat::Csv {
            return Ok(format!("{}\r\n", HEADINGS.join(",")));
        }
        let snapshot = self.store.snapshot().await?;
        let counts = rests::counts(&snapshot, &self.invoice.id).await?;
        let place = chain::invoice_place(&snapshot, &self.invoice.id).await?;
        let (place, charges_digest, usage_digest) =
            place.ok_or_else(|| StoreError::Corrupt(format!("invoice `{}` is gone", self.invoice.id)))?;
        let invoice = &self.invoice;
        let head = HeadView {
            id: &invoice.id,
            kind: invoice.kind.as_str(),
            corrects: invoice.corrects.as_deref(),
            customer: &invoice.customer,
            period_start: invoice.period.start,
            period_end: invoice.period.end,
            currency: invoice.currency.code(),
            total: minor_decimal(invoice.total_minor, invoice.currency),
            bill_to: &invoice.bill_to,
            drafted_at: invoice.drafted_at,
            chain: chained(&place)?,
            charges_digest,
            usage_digest,
        };
        let mut text = format!(
            "{{\"format\":\"verdict.evidence\",\"version\":1,\n\"invoice\":{},\n\"lines\":[",
            json(&head)?
        );
        for (nth, line) in invoice.lines.iter().enumerate() {
            let outcomes = outcomes_of(line, &counts);
            let view = LineView {
                number: line.number,
                period_start: line.period_start,
                item: line.item.sort(),
                action: line.item.name(),
                kind: line.item.win().map(WinKind::as_str),
                contract_version: line.contract_version,
                quantity: line.quantity,
                amount: amount(line.amount.nanos, invoice.currency.code()),
                rounded: minor_decimal(line.minor, invoice.currency),
                why: &line.why,
                outcomes,
                because: because(line, outcomes),
            };
            text.push_str(if nth == 0 { "\n" } else { ",\n" });
            text.push_str(&json(&view)?);
        }
        text.push_str("\n],\n\"outcomes\":[");
        Ok(text)
    }

    async fn outcomes(&mut self, after: After) -> Result<String, StoreError> {
        let snapshot = self.store.snapshot().await?;
        let page = rests::page(&snapshot, &self.invoice.id, after, PAGE).await?;
        let Some(last) = page.last() else {
            return self.after_outcomes();
        };
        self.next = Next::Outcomes(After::outcome(last));
        let ids: BTreeSet<&str> =
            page.iter().flat_map(|outcome| outcome.facts.iter().map(String::as_str)).collect();
        let decided = rests::decided(&snapshot, &self.invoice.customer, &ids).await?;
        let mut text = String::new();
        for outcome in &page {
            let view = OutcomeView::of(&self.invoice, outcome, &decided)?;
            match self.format {
                EvidenceFormat::Csv => text.push_str(&view.csv(outcome)),
                EvidenceFormat::Json => {
                    text.push_str(if self.begun { ",\n" } else { "\n" });
                    text.push_str(&json(&view)?);
                }
            }
            self.begun = true;
        }
        Ok(text)
    }

    fn after_outcomes(&mut self) -> Result<String, StoreError> {
        if self.format == EvidenceFormat::Csv {
            return Ok(String::new());
        }
        self.next = Next::Usage(String::new());
        self.begun = false;
        Ok(format!("\n],\n\"usage_columns\":{},\n\"usage\":[", json(&rests::usage_columns())?))
    }

    async fn usage(&mut self, after: String) -> Result<String, StoreError> {
        let snapshot = self.store.snapshot().await?;
        let page = rests::usage(&snapshot, &self.invoice.id, &after, PAGE).await?;
        self.next = page.last().map_or(Next::End, |(attempt, _)| Next::Usage(attempt.clone()));
        let mut text = String::new();
        for (_, content) in page {
            text.push_str(if self.begun { ",\n" } else { "\n" });
            text.push_str(&content);
            self.begun = true;
        }
        Ok(text)
    }
}

fn json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

type Line = verdict_domain::invoice::Line;

fn outcomes_of(line: &Line, counts: &Counts) -> i64 {
    let (Some(action), Some(win)) = (line.item.name(), line.item.win()) else { return 0 };
    let version = i64::from(line.contract_version);
    let key = (Some(line.period_start), version, action.to_string(), win.as_str().to_string());
    counts.get(&key).copied().unwrap_or_default()
}

/// Why a line without an outcome of its own is there.
fn because(line: &Line, outcomes: i64) -> Option<&'static str> {
    if outcomes > 0 {
        return None;
    }
    Some(match line.item {
        Item::Outcomes { .. } => {
            "no outcome of it is new: the other outcomes of its period, or another contract version, changed what it costs"
        }
        Item::ModelCost { .. } | Item::MarkUp { .. } => "it is for the attempts under `usage`",
        Item::Credits { .. } => "prepaid credits pay for the other lines of its period",
        Item::Fee { .. } => "the contract version has this fee, whatever the outcomes",
        _ => "it follows from the other lines of its period, by the contract version",
    })
}

#[derive(Serialize)]
struct HeadView<'a> {
    id: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<&'a str>,
    customer: &'a str,
    period_start: Timestamp,
    period_end: Timestamp,
    currency: &'static str,
    total: String,
    bill_to: &'a verdict_domain::contract::BillTo,
    drafted_at: Timestamp,
    chain: ChainView<'a>,
    charges_digest: Option<String>,
    usage_digest: Option<String>,
}

#[derive(Serialize)]
struct LineView<'a> {
    number: u32,
    period_start: Timestamp,
    item: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    contract_version: u32,
    quantity: i64,
    amount: String,
    rounded: String,
    why: &'a str,
    /// How many of the outcomes below are of this line.
    outcomes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'static str>,
}

/// A place in a chain, with what its link is computed from.
#[derive(Serialize)]
struct ChainView<'a> {
    position: Option<i64>,
    before: Option<&'a str>,
    link: Option<&'a str>,
    content: &'a RawValue,
}

fn chained(place: &Place) -> Result<ChainView<'_>, StoreError> {
    let content: &RawValue =
        serde_json::from_str(&place.content).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let (before, link) = (place.before.as_deref(), place.link.as_deref());
    Ok(ChainView { position: place.position, before, link, content })
}

#[derive(Serialize)]
struct OutcomeView<'a> {
    /// The number of the line; `None` where its outcomes came to nothing.
    line: Option<u32>,
    case: &'a str,
    seq: i64,
    episode: &'a str,
    entry: &'a str,
    quantity: i64,
    action: &'a str,
    kind: &'a str,
    effective_at: Timestamp,
    origin_at: Timestamp,
    contract_version: i64,
    list_price: String,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_currency: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reverses: Option<i64>,
    facts: Vec<FactView<'a>>,
    outcome: ChainView<'a>,
    charge: ChainView<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FactView<'a> {
    Attempt {
        attempt: &'a str,
    },
    Resolution {
        resolution: &'a str,
        strength: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        via: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        delivery: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        body_sha256: Option<&'a str>,
    },
}

impl<'a> OutcomeView<'a> {
    fn of(
        invoice: &Invoice,
        outcome: &'a Outcome,
        decided: &'a BTreeMap<String, Decided>,
    ) -> Result<Self, StoreError> {
        let is_its_line = |line: &&Line| {
            Some(line.period_start) == outcome.period_start
                && i64::from(line.contract_version) == outcome.contract_version
                && line.item.name() == Some(&outcome.action)
                && line.item.win().is_some_and(|win| win.as_str() == outcome.win)
        };
        let value = outcome.value.as_ref();
        Ok(Self {
            line: invoice.lines.iter().find(is_its_line).map(|line| line.number),
            case: &outcome.case,
            seq: outcome.seq,
            episode: &outcome.episode,
            entry: &outcome.entry,
            quantity: outcome.quantity,
            action: &outcome.action,
            kind: &outcome.win,
            effective_at: outcome.effective_at,
            origin_at: outcome.origin_at,
            contract_version: outcome.contract_version,
            list_price: amount(outcome.amount_nanos, &outcome.currency),
            currency: &outcome.currency,
            value: value.map(|(nanos, currency)| amount(*nanos, currency)),
            value_currency: value.map(|(_, currency)| currency.as_str()),
            reason: outcome.reason.as_deref(),
            reverses: outcome.reverses,
            facts: facts(outcome, decided),
            outcome: chained(&outcome.outcome)?,
            charge: chained(&outcome.charge)?,
        })
    }

    fn csv(&self, outcome: &Outcome) -> String {
        let number = |number: Option<i64>| number.map_or(String::new(), |number| number.to_string());
        let text = |text: Option<&str>| text.unwrap_or_default().to_string();
        let each = |of: fn(&FactView) -> Option<String>| -> String {
            self.facts.iter().filter_map(of).collect::<Vec<_>>().join(" ")
        };
        let cells = [
            number(self.line.map(i64::from)),
            self.case.into(),
            self.seq.to_string(),
            self.episode.into(),
            self.entry.into(),
            self.quantity.to_string(),
            self.action.into(),
            self.kind.into(),
            self.effective_at.to_string(),
            self.origin_at.to_string(),
            self.contract_version.to_string(),
            self.list_price.clone(),
            self.currency.into(),
            text(self.value.as_deref()),
            text(self.value_currency),
            text(self.reason),
            number(self.reverses),
            outcome.facts.join(" "),
            each(|fact| fact.attempt()),
            each(|fact| fact.delivery()),
            each(|fact| fact.digest()),
            number(self.outcome.position),
            text(self.outcome.link),
            number(self.charge.position),
            text(self.charge.link),
        ];
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        format!("{}\r\n", cells.join(","))
    }
}

const HEADINGS: [&str; 25] = [
    "line",
    "case",
    "seq",
    "episode",
    "entry",
    "quantity",
    "action",
    "kind",
    "effective_at",
    "origin_at",
    "contract_version",
    "list_price",
    "currency",
    "value",
    "value_currency",
    "reason",
    "reverses",
    "facts",
    "attempts",
    "deliveries",
    "body_sha256",
    "outcome_position",
    "outcome_link",
    "charge_position",
    "charge_link",
];

impl FactView<'_> {
    fn attempt(&self) -> Option<String> {
        match self {
            Self::Attempt { attempt } => Some((*attempt).into()),
            Self::Resolution { .. } => None,
        }
    }

    fn delivery(&self) -> Option<String> {
        match self {
            Self::Resolution { source: Some(source), delivery: Some(delivery), .. } => {
                Some(format!("{source}/{delivery}"))
            }
            _ => None,
        }
    }

    fn digest(&self) -> Option<String> {
        match self {
            Self::Resolution { body_sha256: Some(digest), .. } => Some((*digest).into()),
            _ => None,
        }
    }
}

/// The first fact is the answer, an attempt; each other is a resolution of the case, or else an attempt too.
fn facts<'a>(outcome: &'a Outcome, decided: &'a BTreeMap<String, Decided>) -> Vec<FactView<'a>> {
    let view = |(nth, id): (usize, &'a String)| match decided
        .get(id)
        .filter(|fact| nth > 0 && fact.case == outcome.case)
    {
        None => FactView::Attempt { attempt: id.strip_prefix("attempt:").unwrap_or(id) },
        Some(fact) => FactView::Resolution {
            resolution: id,
            strength: &fact.strength,
            via: fact.via.as_deref(),
            source: fact.delivery.as_ref().map(|(source, _)| source.as_str()),
            delivery: fact.delivery.as_ref().map(|(_, delivery)| delivery.as_str()),
            body_sha256: fact.body_sha256.as_deref(),
        },
    };
    outcome.facts.iter().enumerate().map(view).collect()
}
