//! What an invoice rests on: its charges with their outcomes, and what came in with the facts that decided. Only reads.

use crate::bulk;
use crate::chain::{CHARGES, Cell, Chain, OUTCOMES, Place, hex, read_cells, select_list, usage_page};
use crate::connect::{StoreError, Tx, all, from_json};
use crate::deliveries;
use sea_orm::QueryResult;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::time::Timestamp;

/// An outcome on an invoice, in the words in which it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which case.
    pub case: String,
    /// Which row of the case's ledger.
    pub seq: i64,
    /// The episode of the case.
    pub episode: String,
    /// Charge, void or correction.
    pub entry: String,
    /// +1, or -1 for what is taken back.
    pub quantity: i64,
    /// What kind of outcome.
    pub action: String,
    /// Confirmed or assumed.
    pub win: String,
    /// When it takes effect.
    pub effective_at: Timestamp,
    /// The effective time of the charge that it is, or takes back; not before the customer's first period.
    pub origin_at: Timestamp,
    /// When the period begins that `origin_at` is in.
    pub period_start: Option<Timestamp>,
    /// The contract version that priced it.
    pub contract_version: i64,
    /// The list price with its sign, in nanos.
    pub amount_nanos: i64,
    /// Its currency.
    pub currency: String,
    /// What it is worth to the customer, in nanos and a currency, where that was told.
    pub value: Option<(i64, String)>,
    /// Why it was taken back.
    pub reason: Option<String>,
    /// The row of the case's ledger that it takes back.
    pub reverses: Option<i64>,
    /// The ids of the facts that decided, in order.
    pub facts: Vec<String>,
    /// The outcome's place in its chain.
    pub outcome: Place,
    /// The charge's place in its chain.
    pub charge: Place,
}

/// Where to go on: the charges that are older than the chain come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// After a charge that is older than the chain, by its case and row.
    Older(String, i64),
    /// After a place in the chain.
    Place(i64),
}

impl After {
    /// Before all.
    pub fn start() -> Self {
        Self::Older(String::new(), 0)
    }

    /// After this outcome.
    pub fn outcome(outcome: &Outcome) -> Self {
        match outcome.charge.position {
            Some(position) => Self::Place(position),
            None => Self::Older(outcome.case.clone(), outcome.seq),
        }
    }
}

/// The next outcomes on an invoice, in the order of its charges' chain. Empty at the end.
pub async fn page(tx: &Tx, invoice: &str, mut after: After, limit: u32) -> Result<Vec<Outcome>, StoreError> {
    let select = format!(
        "SELECT {}, {}, c.position, c.link, cb.link, o.position, o.link, ob.link, c.origin_at, p.start_at \
         FROM charges c JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         LEFT JOIN charges cb ON cb.position = c.position - 1 LEFT JOIN outcomes ob ON ob.position = o.position - 1 \
         LEFT JOIN periods p ON p.customer = c.customer AND p.start_at <= c.origin_at AND c.origin_at < p.end_at \
         WHERE c.invoice_id = $1",
        select_list("c", CHARGES),
        select_list("o", OUTCOMES)
    );
    if let After::Older(case, seq) = &after {
        let sql = format!(
            "{select} AND c.position IS NULL AND (c.case_id, c.seq) > ($2, $3) ORDER BY c.case_id, c.seq LIMIT $4"
        );
        let values = [invoice.into(), case.as_str().into(), (*seq).into(), i64::from(limit).into()];
        let rows = all(&tx.tx, &sql, values).await?;
        if !rows.is_empty() {
            return rows.iter().map(read).collect();
        }
        after = After::Place(0);
    }
    let After::Place(place) = after else { return Ok(Vec::new()) };
    let sql = format!("{select} AND c.position > $2 ORDER BY c.position LIMIT $3");
    let rows = all(&tx.tx, &sql, [invoice.into(), place.into(), i64::from(limit).into()]).await?;
    rows.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<Outcome, StoreError> {
    let charge = Cells { names: CHARGES, cells: read_cells(row, 0, CHARGES)? };
    let outcome = Cells { names: OUTCOMES, cells: read_cells(row, CHARGES.len(), OUTCOMES)? };
    let n = CHARGES.len() + OUTCOMES.len();
    let place = |chain, cells: &[Cell], from: usize| {
        let (position, link) = (row.try_get_by_index(from)?, row.try_get_by_index(from + 1)?);
        Place::new(chain, cells, position, link, row.try_get_by_index(from + 2)?)
    };
    let (nanos, currency) = (outcome.int_or_none("value_nanos"), outcome.text_or_none("value_currency"));
    let start: Option<i64> = row.try_get_by_index(n + 7)?;
    Ok(Outcome {
        case: charge.text("case_id")?,
        seq: charge.int("seq")?,
        episode: outcome.text("episode")?,
        entry: outcome.text("kind")?,
        quantity: charge.int("sign")?,
        action: charge.text("action")?,
        win: charge.text("win")?,
        effective_at: Timestamp(charge.int("effective_at")?),
        origin_at: Timestamp(row.try_get_by_index(n + 6)?),
        period_start: start.map(Timestamp),
        contract_version: charge.int("contract_version")?,
        amount_nanos: charge.int("amount_nanos")?,
        currency: charge.text("currency")?,
        value: nanos.zip(currency),
        reason: outcome.text_or_none("reason"),
        reverses: outcome.int_or_none("reverses"),
        facts: from_json("facts", &outcome.text("facts")?)?,
        charge: place(Chain::Charges, &charge.cells, n)?,
        outcome: place(Chain::Outcomes, &outcome.cells, n + 3)?,
    })
}

/// Cells by the names of their columns.
struct Cells {
    names: &'static [crate::chain::Column],
    cells: Vec<Cell<'static>>,
}

impl Cells {
    fn get(&self, name: &str) -> Option<&Cell<'static>> {
        let at = self.names.iter().position(|(column, _)| *column == name)?;
        self.cells.get(at)
    }

    fn text_or_none(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Cell::Text(text)) => Some(text.to_string()),
            _ => None,
        }
    }

    fn int_or_none(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(Cell::Int(number)) => Some(*number),
            _ => None,
        }
    }

    fn text(&self, name: &str) -> Result<String, StoreError> {
        self.text_or_none(name).ok_or_else(|| StoreError::Corrupt(format!("{name} is not there")))
    }

    fn int(&self, name: &str) -> Result<i64, StoreError> {
        self.int_or_none(name).ok_or_else(|| StoreError::Corrupt(format!("{name} is not there")))
    }
}

/// How many charges an invoice holds of a period, contract version, action and kind.
pub type Counts = BTreeMap<(Option<Timestamp>, i64, String, String), i64>;

/// How many charges are on an invoice, by what its lines are about.
pub async fn counts(tx: &Tx, invoice: &str) -> Result<Counts, StoreError> {
    let sql = "SELECT p.start_at, c.contract_version, c.action, c.win, COUNT(*) FROM charges c \
               LEFT JOIN periods p ON p.customer = c.customer AND p.start_at <= c.origin_at AND c.origin_at < p.end_at \
               WHERE c.invoice_id = $1 GROUP BY p.start_at, c.contract_version, c.action, c.win";
    let rows = all(&tx.tx, sql, [invoice.into()]).await?;
    rows.iter()
        .map(|row| {
            let start: Option<i64> = row.try_get_by_index(0)?;
            let key = (
                start.map(Timestamp),
                row.try_get_by_index(1)?,
                row.try_get_by_index(2)?,
                row.try_get_by_index(3)?,
            );
            Ok((key, row.try_get_by_index(4)?))
        })
        .collect()
}

/// A resolution that decided, and the delivery that it came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The case that it is of.
    pub case: String,
    /// How sure it is who said it.
    pub strength: String,
    /// `webhook`, `fetch` or `poll`, where it came by a delivery.
    pub via: Option<String>,
    /// The delivery: its source and id.
    pub delivery: Option<(String, String)>,
    /// SHA-256 of the delivery's body. `None` where nobody knows it: of a delivery from before these digests were
    /// kept, whose bytes are gone.
    pub body_sha256: Option<String>,
}

/// Which of a customer's facts are resolutions, by id, and what they came by.
pub async fn decided(
    tx: &Tx,
    customer: &str,
    facts: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Decided>, StoreError> {
    let select = "SELECT r.id, r.case_id, r.strength, r.evidence FROM keys \
                  JOIN resolutions r ON r.customer = keys.customer AND r.id = keys.key";
    let keys = facts.iter().map(|fact| (customer, *fact));
    let mut decided = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys, select).await? {
        let evidence: Option<String> = row.try_get_by_index(3)?;
        let evidence: serde_json::Value =
            evidence.map_or(Ok(serde_json::Value::Null), |text| from_json("evidence", &text))?;
        let said = |field: &str| evidence.get(field).and_then(|value| value.as_str()).map(String::from);
        decided.insert(
            row.try_get_by_index::<String>(0)?,
            Decided {
                case: row.try_get_by_index(1)?,
                strength: row.try_get_by_index(2)?,
                via: said("via"),
                delivery: said("source").zip(said("delivery")),
                body_sha256: None,
            },
        );
    }
    let deliveries: BTreeSet<(String, String)> =
        decided.values().filter_map(|fact| fact.delivery.clone()).collect();
    let digests = body_digests(tx, &deliveries).await?;
    for fact in decided.values_mut() {
        fact.body_sha256 = fact.delivery.as_ref().and_then(|delivery| digests.get(delivery).cloned());
    }
    Ok(decided)
}

async fn body_digests(
    tx: &Tx,
    deliveries: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<(String, String), String>, StoreError> {
    let select = "SELECT d.source, d.id, d.body_sha256, d.state FROM keys \
                  JOIN deliveries d ON d.source = keys.customer AND d.id = keys.key";
    let keys = deliveries.iter().map(|(source, id)| (source.as_str(), id.as_str()));
    let mut digests = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys, select).await? {
        let (source, id): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let (digest, state): (Option<String>, String) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
        let digest = match digest {
            Some(digest) => Some(digest),
            None if state == "pruned" => None,
            // From before digests were kept: one body at a time, for each may have a megabyte.
            None => {
                let delivery = deliveries::find_in(tx, &source, &id).await?;
                delivery.map(|delivery| hex(&Sha256::digest(&delivery.body)))
            }
        };
        digests.extend(digest.map(|digest| ((source, id), digest)));
    }
    Ok(digests)
}

/// The names of what a row of usage holds, in order.
pub fn usage_columns() -> Vec<&'static str> {
    crate::chain::USAGE.iter().map(|(name, _)| *name).collect()
}

/// The usage on an invoice after an attempt's id: each row's attempt and its content (JSON, as it is digested).
pub async fn usage(
    tx: &Tx,
    invoice: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<(String, String)>, StoreError> {
    let rows = usage_page(tx, invoice, after, i64::from(limit)).await?;
    rows.into_iter()
        .map(|(attempt, content)| {
            let content =
                String::from_utf8(content).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            Ok((attempt, content))
        })
        .collect()
}
