//! The ledger of outcomes, and the charges that price them.

use crate::bulk::{self, Insert, Kind};
use crate::cases::CaseKey;
use crate::chain::{self, Chain};
use crate::connect::{Store, StoreError, Tx, all, from_json, known, one, read_money, run, to_json};
use crate::usage;
use sea_orm::{QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::invoice;
use verdict_domain::judge::{LossReason, WinKind};
use verdict_domain::ledger::{Entry, EntryKind, Row};
use verdict_domain::money::{self, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::{Counts, Tally};
use verdict_domain::time::Timestamp;

pub(crate) const OUTCOME_COLUMNS: &str = "o.customer, o.case_id, o.seq, o.episode, o.kind, o.sign, o.win, o.action, \
     o.agent, o.model, o.effective_at, o.reason, o.reverses, o.facts, o.value_nanos, o.value_currency";

pub(crate) fn read_outcome(row: &QueryResult) -> Result<(CaseKey, Row), StoreError> {
    let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
    let (kind, win): (String, String) = (row.try_get_by_index(4)?, row.try_get_by_index(6)?);
    let reason: Option<String> = row.try_get_by_index(11)?;
    let entry = Entry {
        episode: row.try_get_by_index(3)?,
        kind: known(EntryKind::parse(&kind), "entry", &kind)?,
        sign: row.try_get_by_index(5)?,
        win: known(WinKind::parse(&win), "win", &win)?,
        action: row.try_get_by_index(7)?,
        agent: row.try_get_by_index(8)?,
        model: row.try_get_by_index(9)?,
        value: read_money(row, 14)?,
        effective_at: Timestamp(row.try_get_by_index(10)?),
        reason: match reason {
            Some(reason) => Some(known(LossReason::parse(&reason), "reason", &reason)?),
            None => None,
        },
        facts: from_json("facts", &row.try_get_by_index::<String>(13)?)?,
    };
    Ok((key, Row { seq: row.try_get_by_index(2)?, entry, reverses: row.try_get_by_index(12)? }))
}

/// What is posted for cases, each in the order of `seq`; cases without any are absent.
pub async fn posted(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, Vec<Row>>, StoreError> {
    let select = format!(
        "SELECT {OUTCOME_COLUMNS} FROM keys JOIN outcomes o ON o.customer = keys.customer AND o.case_id = keys.key \
         ORDER BY o.customer, o.case_id, o.seq"
    );
    let mut posted: BTreeMap<CaseKey, Vec<Row>> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await? {
        let (key, row) = read_outcome(&row)?;
        posted.entry(key).or_default().push(row);
    }
    Ok(posted)
}

/// Posts rows, and marks them to be rated.
pub async fn post(tx: &Tx, rows: &[(CaseKey, Row)], now: Timestamp) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "outcomes",
        columns: &[
            ("customer", Kind::Text),
            ("case_id", Kind::Text),
            ("seq", Kind::Int),
            ("episode", Kind::Text),
            ("kind", Kind::Text),
            ("sign", Kind::Int),
            ("win", Kind::Text),
            ("action", Kind::Text),
            ("agent", Kind::Text),
            ("model", Kind::Text),
            ("value_nanos", Kind::IntOrNull),
            ("value_currency", Kind::TextOrNull),
            ("effective_at", Kind::Int),
            ("reason", Kind::TextOrNull),
            ("reverses", Kind::IntOrNull),
            ("facts", Kind::Text),
            ("posted_at", Kind::Int),
            ("position", Kind::Int),
            ("link", Kind::Text),
        ],
        // A key that is there already is a broken claim: refuse.
        on_conflict: "",
        returning: "",
    };
    let mut outcomes: Vec<Vec<Value>> = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        let entry = &row.entry;
        outcomes.push(vec![
            key.customer.as_str().into(),
            key.case.as_str().into(),
            row.seq.into(),
            entry.episode.as_str().into(),
            entry.kind.as_str().into(),
            entry.sign.into(),
            entry.win.as_str().into(),
            entry.action.as_str().into(),
            entry.agent.as_str().into(),
            entry.model.as_str().into(),
            entry.value.map(|value| value.nanos).into(),
            entry.value.map(|value| value.currency.code()).into(),
            entry.effective_at.0.into(),
            entry.reason.map(LossReason::as_str).into(),
            row.reverses.into(),
            to_json("facts", &entry.facts)?.into(),
            now.0.into(),
        ]);
    }
    chain::append(tx, Chain::Outcomes, INSERT.columns, &mut outcomes).await?;
    bulk::insert(&tx.tx, &INSERT, outcomes).await?;
    mark_to_rate(tx, rows.iter().map(|(key, row)| (key, row.seq))).await
}

/// Marks outcomes to be rated.
pub async fn mark_to_rate(
    tx: &Tx,
    outcomes: impl Iterator<Item = (&CaseKey, i64)>,
) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "outcomes_to_rate",
        columns: &[("customer", Kind::Text), ("case_id", Kind::Text), ("seq", Kind::Int)],
        on_conflict: "",
        returning: "",
    };
    let row = |(key, seq): (&CaseKey, i64)| -> Vec<Value> {
        vec![key.customer.as_str().into(), key.case.as_str().into(), seq.into()]
    };
    bulk::insert(&tx.tx, &INSERT, outcomes.map(row).collect()).await?;
    Ok(())
}

/// Marks all of a customer's outcomes that have no price to be rated again: its contract changed.
pub(crate) async fn mark_unpriced_to_rate(tx: &Tx, customer: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO outcomes_to_rate (customer, case_id, seq) \
               SELECT o.customer, o.case_id, o.seq FROM outcomes o LEFT JOIN charges c \
               ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq \
               WHERE o.customer = $1 AND c.seq IS NULL";
    run(&tx.tx, sql, [customer.into()]).await?;
    Ok(())
}

/// Takes outcomes to rate, in the order of their keys; the marks go with the transaction. Those that have a price
/// already are left out.
pub async fn take_to_rate(tx: &Tx, limit: u32) -> Result<(bool, Vec<(CaseKey, Row)>), StoreError> {
    let sql = "DELETE FROM outcomes_to_rate WHERE id IN (SELECT id FROM outcomes_to_rate ORDER BY id LIMIT $1) \
               RETURNING customer, case_id";
    let rows = all(&tx.tx, sql, [i64::from(limit).into()]).await?;
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        keys.push((row.try_get_by_index::<String>(0)?, row.try_get_by_index::<String>(1)?));
    }
    keys.sort();
    keys.dedup();
    // All unpriced outcomes of these cases, so that what a row reverses is rated before it.
    let select = format!(
        "SELECT {OUTCOME_COLUMNS} FROM keys JOIN outcomes o ON o.customer = keys.customer AND o.case_id = keys.key \
         LEFT JOIN charges c ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq \
         WHERE c.seq IS NULL ORDER BY o.customer, o.case_id, o.seq"
    );
    let parts = keys.iter().map(|(customer, case)| (customer.as_str(), case.as_str()));
    let outcomes = bulk::select_by_keys(&tx.tx, parts, &select).await?;
    let outcomes = outcomes.iter().map(read_outcome).collect::<Result<_, _>>()?;
    Ok((!rows.is_empty(), outcomes))
}

/// The price of an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Whose case.
    pub key: CaseKey,
    /// Which row of the case's ledger.
    pub seq: i64,
    /// When it takes effect.
    pub effective_at: Timestamp,
    /// The effective time of the charge that it is, or takes back: it names the period whose price it changes.
    pub origin_at: Timestamp,
    /// What it adds to an invoice.
    pub charge: invoice::Charge,
}

/// Records charges.
pub async fn charge(tx: &Tx, charges: &[Charge], now: Timestamp) -> Result<(), StoreError> {
    const INSERT: Insert = Insert {
        table: "charges",
        columns: &[
            ("customer", Kind::Text),
            ("case_id", Kind::Text),
            ("seq", Kind::Int),
            ("action", Kind::Text),
            ("win", Kind::Text),
            ("sign", Kind::Int),
            ("contract_version", Kind::Int),
            ("amount_nanos", Kind::Int),
            ("currency", Kind::Text),
            ("value_nanos", Kind::IntOrNull),
            ("effective_at", Kind::Int),
            ("origin_at", Kind::Int),
            ("rated_at", Kind::Int),
            ("position", Kind::Int),
            ("link", Kind::Text),
        ],
        on_conflict: "",
        returning: "",
    };
    let row = |Charge { key, seq, effective_at, origin_at, charge }: &Charge| -> Vec<Value> {
        vec![
            key.customer.as_str().into(),
            key.case.as_str().into(),
            (*seq).into(),
            charge.action.as_str().into(),
            charge.win.as_str().into(),
            charge.quantity.into(),
            i64::from(charge.contract_version).into(),
            charge.amount.nanos.into(),
            charge.amount.currency.code().into(),
            charge.value.into(),
            effective_at.0.into(),
            origin_at.0.into(),
            now.0.into(),
        ]
    };
    let mut rows: Vec<Vec<Value>> = charges.iter().map(row).collect();
    chain::append(tx, Chain::Charges, INSERT.columns, &mut rows).await?;
    bulk::insert(&tx.tx, &INSERT, rows).await?;
    Ok(())
}

pub(crate) fn read_charge(row: &QueryResult) -> Result<Charge, StoreError> {
    let (win, currency): (String, String) = (row.try_get_by_index(4)?, row.try_get_by_index(8)?);
    let version: i64 = row.try_get_by_index(6)?;
    let charge = invoice::Charge {
        action: row.try_get_by_index(3)?,
        win: known(WinKind::parse(&win), "win", &win)?,
        contract_version: known(u32::try_from(version).ok(), "version", "of a charge")?,
        quantity: row.try_get_by_index(5)?,
        amount: Money {
            nanos: row.try_get_by_index(7)?,
            currency: known(money::currency(&currency).ok(), "currency", &currency)?,
        },
        value: row.try_get_by_index(11)?,
    };
    let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
    let effective_at = Timestamp(row.try_get_by_index(9)?);
    let origin_at = Timestamp(row.try_get_by_index(10)?);
    Ok(Charge { key, seq: row.try_get_by_index(2)?, effective_at, origin_at, charge })
}

pub(crate) const CHARGE_COLUMNS: &str = "c.customer, c.case_id, c.seq, c.action, c.win, c.sign, c.contract_version, \
     c.amount_nanos, c.currency, c.effective_at, c.origin_at, c.value_nanos";

/// All charges of cases.
pub async fn charges_of(tx: &Tx, keys: &[CaseKey]) -> Result<Vec<Charge>, StoreError> {
    let select = format!(
        "SELECT {CHARGE_COLUMNS} FROM keys JOIN charges c ON c.customer = keys.customer AND c.case_id = keys.key"
    );
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await?;
    rows.iter().map(read_charge).collect()
}

/// What a document takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// All that is on no document and whose origin is before the end of the period.
    UntilEnd,
    /// The same, but nothing of earlier periods.
    OfPeriod,
}

/// A period that what is on a document belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// Its bounds.
    pub period: Period,
    /// Whether it was closed as a trial.
    pub trial: bool,
}

/// Puts on `invoice` a customer's charges and usage that are on no document, and answers to which periods belongs what is on it; `period` is one of
/// these in any case. What is older than the first period belongs to the first.
pub async fn put_on_invoice(
    tx: &Tx,
    customer: &str,
    period: Period,
    invoice: &str,
    take: Take,
) -> Result<Vec<Touched>, StoreError> {
    let from = match take {
        Take::UntilEnd => i64::MIN,
        Take::OfPeriod => {
            let sql = "SELECT 1 FROM periods WHERE customer = $1 AND start_at < $2 LIMIT 1";
            let earlier = one(&tx.tx, sql, [customer.into(), period.start.0.into()]).await?;
            if earlier.is_some() { period.start.0 } else { i64::MIN }
        }
    };
    let values = || [customer.into(), period.end.0.into(), invoice.into(), from.into()];
    let sql = "UPDATE charges SET invoice_id = $3, origin_at = CASE WHEN origin_at < first.start_at \
               THEN first.start_at ELSE origin_at END \
               FROM (SELECT MIN(start_at) AS start_at FROM periods WHERE customer = $1) AS first \
               WHERE customer = $1 AND invoice_id IS NULL AND origin_at < $2 AND origin_at >= $4";
    run(&tx.tx, sql, values()).await?;
    let sql = "UPDATE usage SET invoice_id = $3 WHERE customer = $1 AND invoice_id IS NULL AND at < $2 AND at >= $4";
    run(&tx.tx, sql, values()).await?;
    // The periods of this customer alone: a join by the customer would have PostgreSQL read everybody's.
    let sql = "SELECT start_at, end_at, trial FROM periods WHERE customer = $1 AND start_at IN (SELECT CAST($2 AS BIGINT) \
               UNION SELECT p.start_at FROM charges c JOIN periods p ON p.customer = $1 \
               AND p.start_at <= c.origin_at AND c.origin_at < p.end_at WHERE c.invoice_id = $3 GROUP BY p.start_at \
               UNION SELECT p.start_at FROM usage u JOIN periods p ON p.customer = $1 AND u.at < p.end_at \
               AND (p.start_at <= u.at OR p.start_at = (SELECT MIN(start_at) FROM periods WHERE customer = $1)) WHERE u.invoice_id = $3 GROUP BY p.start_at) ORDER BY start_at";
    let rows = all(&tx.tx, sql, [customer.into(), period.start.0.into(), invoice.into()]).await?;
    rows.iter()
        .map(|row| {
            let (start, end) = (Timestamp(row.try_get_by_index(0)?), Timestamp(row.try_get_by_index(1)?));
            let trial: i64 = row.try_get_by_index(2)?;
            Ok(Touched { period: Period { start, end }, trial: trial != 0 })
        })
        .collect()
}

/// Moves what is on a document and belongs to `period` to another one.
pub async fn move_to_invoice(tx: &Tx, period: Period, from: &str, to: &str) -> Result<(), StoreError> {
    let values = || [from.into(), to.into(), period.start.0.into(), period.end.0.into()];
    let sql =
        "UPDATE charges SET invoice_id = $2 WHERE invoice_id = $1 AND origin_at >= $3 AND origin_at < $4";
    run(&tx.tx, sql, values()).await?;
    let sql = "UPDATE usage SET invoice_id = $2 WHERE invoice_id = $1 AND at < $4 AND (at >= $3 OR NOT EXISTS \
               (SELECT 1 FROM periods e WHERE e.customer = usage.customer AND e.start_at < $3))";
    run(&tx.tx, sql, values()).await?;
    Ok(())
}

/// A sum of values that does not fit 64 bits: read in whole units and the rest.
pub(crate) fn worth(row: &QueryResult, at: usize) -> Result<i128, StoreError> {
    let (units, rest): (i64, i64) = (row.try_get_by_index(at)?, row.try_get_by_index(at + 1)?);
    Ok(i128::from(units) * i128::from(money::NANOS_PER_UNIT) + i128::from(rest))
}

/// What of a customer's period is on documents, by contract version: outcomes by action and kind, usage by action.
pub async fn counted(tx: &Tx, customer: &str, period: Period) -> Result<BTreeMap<u32, Counts>, StoreError> {
    let sql = "SELECT contract_version, action, win, CAST(SUM(sign) AS BIGINT), CAST(SUM(amount_nanos) AS BIGINT), \
               CAST(COALESCE(SUM(value_nanos / 1000000000), 0) AS BIGINT), CAST(COALESCE(SUM(value_nanos % 1000000000), 0) AS BIGINT) FROM charges \
               WHERE customer = $1 AND invoice_id IS NOT NULL AND origin_at >= $2 AND origin_at < $3 \
               GROUP BY contract_version, action, win";
    let values = [customer.into(), period.start.0.into(), period.end.0.into()];
    let mut counted: BTreeMap<u32, Counts> = BTreeMap::new();
    for row in all(&tx.tx, sql, values).await? {
        let (version, win): (i64, String) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
        let version = known(u32::try_from(version).ok(), "version", "of a charge")?;
        let win = known(WinKind::parse(&win), "win", &win)?;
        let tally = Tally {
            quantity: row.try_get_by_index(3)?,
            listed: row.try_get_by_index(4)?,
            value: worth(&row, 5)?,
        };
        let counts = counted.entry(version).or_default();
        counts.outcomes.insert((row.try_get_by_index(1)?, win), tally);
    }
    usage::count(tx, customer, period, &mut counted).await?;
    Ok(counted)
}

/// Where a page of the charges on an invoice ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The place of the last one in the chain; `None`: it is older than the chain.
    pub position: Option<i64>,
    /// Its case.
    pub case: String,
    /// Which row of the case's ledger.
    pub seq: i64,
}

/// The charges on an invoice, its evidence, after a place (the first ones: `None`): in the order of the chain, then what is
/// older than that; at most `limit`. And where they end, if there are more.
pub async fn charges_on_invoice(
    store: &Store,
    invoice: &str,
    after: Option<&Place>,
    limit: u32,
) -> Result<(Vec<Charge>, Option<Place>), StoreError> {
    let mut found: Vec<(Charge, Place)> = Vec::new();
    let whole = i64::from(limit) + 1;
    let stretches: [(&str, Vec<Value>); 2] = match after {
        None => [("c.position IS NOT NULL", Vec::new()), ("c.position IS NULL", Vec::new())],
        Some(Place { position: Some(position), .. }) => {
            [("c.position > $3", vec![(*position).into()]), ("c.position IS NULL", Vec::new())]
        }
        Some(Place { position: None, case, seq }) => [
            ("1 = 0", Vec::new()),
            (
                "c.position IS NULL AND (c.case_id, c.seq) > ($3, $4)",
                vec![case.as_str().into(), (*seq).into()],
            ),
        ],
    };
    for (stretch, values) in stretches {
        let left = whole - i64::try_from(found.len()).unwrap_or(i64::MAX);
        let values = [invoice.into(), left.into()].into_iter().chain(values);
        let order = if stretch.contains("IS NULL") { "c.case_id, c.seq" } else { "c.position" };
        let sql = format!(
            "SELECT {CHARGE_COLUMNS}, c.position FROM charges c WHERE c.invoice_id = $1 AND {stretch} \
             ORDER BY {order} LIMIT $2"
        );
        for row in all(&store.db, &sql, values).await? {
            let charge = read_charge(&row)?;
            let place =
                Place { position: row.try_get_by_index(12)?, case: charge.key.case.clone(), seq: charge.seq };
            found.push((charge, place));
        }
    }
    let has_more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| has_more).map(|(_, place)| place.clone());
    Ok((found.into_iter().map(|(charge, _)| charge).collect(), next))
}

/// When the charge of an episode that stands last was put on an invoice; `None` if it is on none.
pub async fn invoiced_at(tx: &Tx, key: &CaseKey, episode: &str) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT i.drafted_at FROM outcomes o \
               JOIN charges c ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq \
               LEFT JOIN invoices i ON i.id = c.invoice_id \
               WHERE o.customer = $1 AND o.case_id = $2 AND o.episode = $3 AND o.kind = 'charge' \
               ORDER BY o.seq DESC LIMIT 1";
    let values = [key.customer.as_str().into(), key.case.as_str().into(), episode.into()];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(None) };
    let at: Option<i64> = row.try_get_by_index(0)?;
    Ok(at.map(Timestamp))
}
