//! Invoices, their lines, and the outbox that carries them to Stripe.

use crate::connect::{Store, StoreError, Tx, all, from_json, known, one, run, to_json};
use sea_orm::{ConnectionTrait, QueryResult};
use std::collections::BTreeMap;
use verdict_domain::contract::BillTo;
use verdict_domain::invoice::{Billed, Key, Line};
use verdict_domain::judge::WinKind;
use verdict_domain::money::{self, Currency, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::Item;
use verdict_domain::time::Timestamp;

/// An invoice as drafted, and what Stripe knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Deterministic: the customer and the first day of the period.
    pub id: String,
    /// Whose invoice.
    pub customer: String,
    /// What it bills for.
    pub period: Period,
    /// What it bills in.
    pub currency: Currency,
    /// The sum of its lines, in minor units.
    pub total_minor: i64,
    /// Who gets it.
    pub bill_to: BillTo,
    /// When it was drafted.
    pub drafted_at: Timestamp,
    /// Stripe's invoice, once there is one.
    pub stripe_invoice: Option<String>,
    /// What Stripe calls its state.
    pub stripe_status: Option<String>,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

/// Records a drafted invoice with its lines; refuses a second one for the period.
pub async fn record(tx: &Tx, invoice: &Invoice) -> Result<(), StoreError> {
    let sql = "INSERT INTO invoices (id, customer, period_start, period_end, currency, total_minor, bill_to, \
               drafted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = [
        invoice.id.as_str().into(),
        invoice.customer.as_str().into(),
        invoice.period.start.0.into(),
        invoice.period.end.0.into(),
        invoice.currency.code().into(),
        invoice.total_minor.into(),
        to_json("bill_to", &invoice.bill_to)?.into(),
        invoice.drafted_at.0.into(),
    ];
    run(&tx.tx, sql, values).await?;
    for line in &invoice.lines {
        let sql = "INSERT INTO invoice_lines (invoice_id, number, action, win, contract_version, quantity, \
                   amount_nanos, amount_minor, period_start, item, why) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let values = [
            invoice.id.as_str().into(),
            i64::from(line.number).into(),
            line.item.name().unwrap_or_default().into(),
            line.item.win().map_or("", WinKind::as_str).into(),
            i64::from(line.contract_version).into(),
            line.quantity.into(),
            line.amount.nanos.into(),
            line.minor.into(),
            line.period_start.0.into(),
            line.item.sort().into(),
            line.why.as_str().into(),
        ];
        run(&tx.tx, sql, values).await?;
    }
    Ok(())
}

const COLUMNS: &str = "id, customer, period_start, period_end, currency, total_minor, bill_to, drafted_at, \
     stripe_invoice, stripe_status";

async fn read(on: &impl ConnectionTrait, row: &QueryResult) -> Result<Invoice, StoreError> {
    let code: String = row.try_get_by_index(4)?;
    let currency = known(money::currency(&code).ok(), "currency", &code)?;
    let id: String = row.try_get_by_index(0)?;
    let sql = "SELECT number, action, win, contract_version, quantity, amount_nanos, amount_minor, \
               period_start, item, why FROM invoice_lines WHERE invoice_id = $1 ORDER BY number";
    let mut lines = Vec::new();
    for row in all(on, sql, [id.as_str().into()]).await? {
        let item = read_item(&row, 8, 1, 2)?;
        let small = |value: i64| known(u32::try_from(value).ok(), "number", "of an invoice line");
        lines.push(Line {
            number: small(row.try_get_by_index(0)?)?,
            period_start: Timestamp(row.try_get_by_index(7)?),
            item,
            contract_version: small(row.try_get_by_index(3)?)?,
            quantity: row.try_get_by_index(4)?,
            amount: Money { nanos: row.try_get_by_index(5)?, currency },
            minor: row.try_get_by_index(6)?,
            why: row.try_get_by_index(9)?,
        });
    }
    let (start, end) = (Timestamp(row.try_get_by_index(2)?), Timestamp(row.try_get_by_index(3)?));
    Ok(Invoice {
        id,
        customer: row.try_get_by_index(1)?,
        period: Period { start, end },
        currency,
        total_minor: row.try_get_by_index(5)?,
        bill_to: from_json("bill_to", &row.try_get_by_index::<String>(6)?)?,
        drafted_at: Timestamp(row.try_get_by_index(7)?),
        stripe_invoice: row.try_get_by_index(8)?,
        stripe_status: row.try_get_by_index(9)?,
        lines,
    })
}

fn read_item(row: &QueryResult, sort: usize, name: usize, win: usize) -> Result<Item, StoreError> {
    let text = |at: usize| row.try_get_by_index::<String>(at);
    let (sort, name, win) = (text(sort)?, text(name)?, text(win)?);
    known(Item::parse(&sort, &name, &win), "item", &sort)
}

/// What a customer's invoices say of a period, by what their lines are about.
pub async fn billed(
    tx: &Tx,
    customer: &str,
    period_start: Timestamp,
) -> Result<BTreeMap<Key, Billed>, StoreError> {
    let sql = "SELECT l.contract_version, l.item, l.action, l.win, CAST(SUM(l.quantity) AS BIGINT), \
               CAST(SUM(l.amount_nanos) AS BIGINT), CAST(SUM(l.amount_minor) AS BIGINT) \
               FROM invoices i JOIN invoice_lines l ON l.invoice_id = i.id \
               WHERE i.customer = $1 AND l.period_start = $2 \
               GROUP BY l.contract_version, l.item, l.action, l.win";
    let rows = all(&tx.tx, sql, [customer.into(), period_start.0.into()]).await?;
    rows.iter()
        .map(|row| {
            let version: i64 = row.try_get_by_index(0)?;
            let version = known(u32::try_from(version).ok(), "version", "of an invoice line")?;
            let billed = Billed {
                quantity: row.try_get_by_index(4)?,
                nanos: row.try_get_by_index(5)?,
                minor: row.try_get_by_index(6)?,
            };
            Ok(((period_start, version, read_item(row, 1, 2, 3)?), billed))
        })
        .collect()
}

/// The newest invoices, at most `limit`.
pub async fn list(store: &Store, limit: u32) -> Result<Vec<Invoice>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invoices ORDER BY period_start DESC, customer LIMIT $1");
    let mut invoices = Vec::new();
    for row in all(&store.db, &sql, [i64::from(limit).into()]).await? {
        invoices.push(read(&store.db, &row).await?);
    }
    Ok(invoices)
}

/// One invoice.
pub async fn find(store: &Store, id: &str) -> Result<Option<Invoice>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invoices WHERE id = $1");
    match one(&store.db, &sql, [id.into()]).await? {
        Some(row) => Ok(Some(read(&store.db, &row).await?)),
        None => Ok(None),
    }
}

/// Something to be carried to Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Deterministic: `push:` and the invoice.
    pub id: String,
    /// The invoice to push.
    pub invoice: String,
    /// How often it was tried.
    pub tries: i64,
    /// When it was first tried, by the wall clock; `None` if never.
    pub first_tried_at: Option<Timestamp>,
}

/// Puts the push of an invoice into the outbox, in the transaction that drafts it. `false`: it is there already.
pub async fn send_later(tx: &Tx, invoice: &str) -> Result<bool, StoreError> {
    let sql = "INSERT INTO outbox (id, invoice_id, state, tries, next_try_at) VALUES ($1, $2, 'waiting', 0, 0) \
               ON CONFLICT (id) DO NOTHING";
    Ok(run(&tx.tx, sql, [format!("push:{invoice}").into(), invoice.into()]).await? > 0)
}

/// Leases the next errand that is due: nobody else gets it before `leased_until`. The lease is committed
/// before the errand is run, so that a crash leaves a trace that it was tried.
pub async fn lease_errand(
    tx: &Tx,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<Option<Errand>, StoreError> {
    let sql = "SELECT id FROM outbox WHERE state = 'waiting' AND next_try_at <= $1 ORDER BY next_try_at, id LIMIT 1";
    let Some(row) = one(&tx.tx, sql, [now.0.into()]).await? else { return Ok(None) };
    let id: String = row.try_get_by_index(0)?;
    let sql = "UPDATE outbox SET next_try_at = $2, tries = tries + 1, first_tried_at = COALESCE(first_tried_at, $3) \
               WHERE id = $1 AND state = 'waiting' AND next_try_at <= $3 RETURNING invoice_id, tries, first_tried_at";
    let values = [id.as_str().into(), leased_until.0.into(), now.0.into()];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(None) };
    let first: Option<i64> = row.try_get_by_index(2)?;
    Ok(Some(Errand {
        id,
        invoice: row.try_get_by_index(0)?,
        tries: row.try_get_by_index(1)?,
        first_tried_at: first.map(Timestamp),
    }))
}

/// The errand is done: Stripe has the invoice, in this state.
pub async fn finish_errand(tx: &Tx, errand: &Errand, status: &str) -> Result<(), StoreError> {
    run(
        &tx.tx,
        "UPDATE outbox SET state = 'done', last_error = NULL WHERE id = $1",
        [errand.id.as_str().into()],
    )
    .await?;
    let sql = "UPDATE invoices SET stripe_status = $2 WHERE id = $1";
    run(&tx.tx, sql, [errand.invoice.as_str().into(), status.into()]).await?;
    Ok(())
}

/// The errand is to be tried again at `next_try_at`.
pub async fn retry_errand(
    tx: &Tx,
    errand: &Errand,
    next_try_at: Timestamp,
    error: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET next_try_at = $3, last_error = $4 WHERE id = $1 AND tries = $2";
    let values = [errand.id.as_str().into(), errand.tries.into(), next_try_at.0.into(), error.into()];
    run(&tx.tx, sql, values).await?;
    Ok(())
}

/// So many tries of an errand use the same keys at Stripe.
pub const TRIES_PER_KEY: i64 = 7;

/// Renews the lease of an errand. `false`: somebody else has it.
pub async fn renew_lease(tx: &Tx, errand: &Errand, leased_until: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE outbox SET next_try_at = $3 WHERE id = $1 AND tries = $2 AND state = 'waiting'";
    let values = [errand.id.as_str().into(), errand.tries.into(), leased_until.0.into()];
    Ok(run(&tx.tx, sql, values).await? > 0)
}

/// Puts a parked errand back in line, with new keys: those of before may have Stripe's refusal kept under them.
pub async fn replay_errand(tx: &Tx, id: &str) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET state = 'waiting', next_try_at = 0, tries = tries + $2 WHERE id = $1 AND state = 'parked'";
    run(&tx.tx, sql, [id.into(), TRIES_PER_KEY.into()]).await?;
    Ok(())
}

/// Sets an errand aside until a person has it replayed.
pub async fn set_errand_aside(tx: &Tx, errand: &Errand, error: &str) -> Result<(), StoreError> {
    let sql = "UPDATE outbox SET state = 'parked', last_error = $3 WHERE id = $1 AND tries = $2 AND state = 'waiting'";
    run(&tx.tx, sql, [errand.id.as_str().into(), errand.tries.into(), error.into()]).await?;
    Ok(())
}

/// When anything was first sent to Stripe for a customer, by the wall clock: nothing there is older.
pub async fn first_push(store: &Store, customer: &str) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT MIN(o.first_tried_at) FROM outbox o JOIN invoices i ON i.id = o.invoice_id WHERE i.customer = $1";
    let first: Option<i64> = match one(&store.db, sql, [customer.into()]).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    };
    Ok(first.map(Timestamp))
}

/// Stripe's customer for ours, if it has answered with one.
pub async fn stripe_customer(store: &Store, customer: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT stripe_customer FROM stripe_customers WHERE customer = $1";
    match one(&store.db, sql, [customer.into()]).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}

/// Remembers Stripe's customer for ours; the first one stays.
pub async fn set_stripe_customer(tx: &Tx, customer: &str, stripe_customer: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO stripe_customers (customer, stripe_customer) VALUES ($1, $2) \
               ON CONFLICT (customer) DO NOTHING";
    run(&tx.tx, sql, [customer.into(), stripe_customer.into()]).await?;
    Ok(())
}

/// Remembers Stripe's invoice for ours.
pub async fn set_stripe_invoice(
    tx: &Tx,
    invoice: &str,
    stripe_invoice: &str,
    status: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE invoices SET stripe_invoice = $2, stripe_status = $3 WHERE id = $1";
    run(&tx.tx, sql, [invoice.into(), stripe_invoice.into(), status.into()]).await?;
    Ok(())
}
