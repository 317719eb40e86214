//! Invoices and credit notes with their lines.

use crate::bulk;
use crate::chain;
use crate::connect::{Store, StoreError, Tx, all, from_json, known, one, run, to_json};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use std::collections::BTreeMap;
use verdict_domain::contract::{BillTo, StripeTerms};
pub use verdict_domain::document::{Kind, State};
use verdict_domain::invoice::{Billed, Key, Line};
use verdict_domain::judge::WinKind;
use verdict_domain::money::{self, Currency, Money};
use verdict_domain::period::Period;
use verdict_domain::pricing::Item;
use verdict_domain::time::Timestamp;

/// An invoice or a credit note, and what Stripe knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Deterministic: the customer and the beginning of the period; of a credit note also what it corrects.
    pub id: String,
    /// Invoice or credit note.
    pub kind: Kind,
    /// Of a credit note, the invoice that it corrects.
    pub corrects: Option<String>,
    /// Where it stands here.
    pub state: State,
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
    /// What Stripe is told.
    pub terms: StripeTerms,
    /// When it was drafted.
    pub drafted_at: Timestamp,
    /// Who approved it, and when.
    pub approved: Option<(Timestamp, String)>,
    /// Stripe's invoice or credit note, once there is one.
    pub stripe_id: Option<String>,
    /// What Stripe calls its state.
    pub stripe_status: Option<String>,
    /// What Stripe said of its payment, once it was asked.
    pub payment: Option<Payment>,
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

/// What Stripe says of an invoice's payment, in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// What was paid.
    pub paid_minor: i64,
    /// What is still to be paid.
    pub remaining_minor: i64,
    /// When Stripe said so, by the wall clock.
    pub checked_at: Timestamp,
}

/// Records a document with its lines; refuses a second one of its id. One that is no draft is linked to what is on it by now:
/// nothing may be put on it or taken from it afterwards.
pub async fn record(tx: &Tx, invoice: &Invoice) -> Result<(), StoreError> {
    let sql = "INSERT INTO invoices (id, kind, corrects, state, terms, customer, period_start, period_end, currency, \
               total_minor, bill_to, drafted_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let values = [
        invoice.id.as_str().into(),
        invoice.kind.as_str().into(),
        invoice.corrects.clone().into(),
        invoice.state.as_str().into(),
        to_json("terms", &invoice.terms)?.into(),
        invoice.customer.as_str().into(),
        invoice.period.start.0.into(),
        invoice.period.end.0.into(),
        invoice.currency.code().into(),
        invoice.total_minor.into(),
        to_json("bill_to", &invoice.bill_to)?.into(),
        invoice.drafted_at.0.into(),
    ];
    run(&tx.tx, sql, values).await?;
    write_lines(tx, invoice).await?;
    match invoice.state {
        State::Draft => Ok(()),
        State::Final | State::Shadow => chain::append_invoice(tx, &invoice.id).await,
    }
}

async fn write_lines(tx: &Tx, invoice: &Invoice) -> Result<(), StoreError> {
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
     stripe_id, stripe_status, kind, corrects, state, terms, approved_at, approved_by, \
     stripe_paid_minor, stripe_remaining_minor, stripe_checked_at";

const LINE_COLUMNS: &str = "number, action, win, contract_version, quantity, amount_nanos, amount_minor, \
     period_start, item, why";

fn read_line(row: &QueryResult, currency: Currency) -> Result<Line, StoreError> {
    let small = |value: i64| known(u32::try_from(value).ok(), "number", "of an invoice line");
    Ok(Line {
        number: small(row.try_get_by_index(0)?)?,
        period_start: Timestamp(row.try_get_by_index(7)?),
        item: read_item(row, 8, 1, 2)?,
        contract_version: small(row.try_get_by_index(3)?)?,
        quantity: row.try_get_by_index(4)?,
        amount: Money { nanos: row.try_get_by_index(5)?, currency },
        minor: row.try_get_by_index(6)?,
        why: row.try_get_by_index(9)?,
    })
}

/// With its lines.
async fn read(on: &impl ConnectionTrait, row: &QueryResult) -> Result<Invoice, StoreError> {
    let mut invoice = read_head(row)?;
    let sql = format!("SELECT {LINE_COLUMNS} FROM invoice_lines WHERE invoice_id = $1 ORDER BY number");
    for row in all(on, &sql, [invoice.id.as_str().into()]).await? {
        invoice.lines.push(read_line(&row, invoice.currency)?);
    }
    Ok(invoice)
}

/// Without its lines.
fn read_head(row: &QueryResult) -> Result<Invoice, StoreError> {
    let code: String = row.try_get_by_index(4)?;
    let currency = known(money::currency(&code).ok(), "currency", &code)?;
    let (start, end) = (Timestamp(row.try_get_by_index(2)?), Timestamp(row.try_get_by_index(3)?));
    let (kind, state): (String, String) = (row.try_get_by_index(10)?, row.try_get_by_index(12)?);
    let (approved_at, approved_by): (Option<i64>, Option<String>) =
        (row.try_get_by_index(14)?, row.try_get_by_index(15)?);
    let amount = |at: usize| row.try_get_by_index::<Option<i64>>(at);
    let payment = match (amount(16)?, amount(17)?, amount(18)?) {
        (Some(paid_minor), Some(remaining_minor), Some(at)) => {
            Some(Payment { paid_minor, remaining_minor, checked_at: Timestamp(at) })
        }
        _ => None,
    };
    Ok(Invoice {
        id: row.try_get_by_index(0)?,
        payment,
        customer: row.try_get_by_index(1)?,
        period: Period { start, end },
        currency,
        total_minor: row.try_get_by_index(5)?,
        bill_to: from_json("bill_to", &row.try_get_by_index::<String>(6)?)?,
        drafted_at: Timestamp(row.try_get_by_index(7)?),
        stripe_id: row.try_get_by_index(8)?,
        stripe_status: row.try_get_by_index(9)?,
        kind: known(Kind::parse(&kind), "kind of invoice", &kind)?,
        corrects: row.try_get_by_index(11)?,
        state: known(State::parse(&state), "state of an invoice", &state)?,
        terms: from_json("terms", &row.try_get_by_index::<String>(13)?)?,
        approved: approved_at.map(Timestamp).zip(approved_by),
        lines: Vec::new(),
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

/// Where a page of the list of invoices ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// When the period of the last one begins.
    pub period_start: Timestamp,
    /// Its id.
    pub id: String,
}

/// The newest invoices after a place (the first ones: `None`), those of a moment in the order of their ids; at most `limit`.
pub async fn list(store: &Store, after: Option<&Place>, limit: u32) -> Result<Vec<Invoice>, StoreError> {
    // Each stretch along the index: what is left of the moment of the place, then what is older.
    let mut stretches: Vec<(&str, Vec<Value>)> = Vec::new();
    match after {
        None => stretches.push(("", Vec::new())),
        Some(Place { period_start, id }) => {
            stretches.push((
                "WHERE period_start = $2 AND id > $3",
                vec![period_start.0.into(), id.as_str().into()],
            ));
            stretches.push(("WHERE period_start < $2", vec![period_start.0.into()]));
        }
    }
    let mut invoices: Vec<Invoice> = Vec::new();
    for (stretch, values) in stretches {
        let left = i64::from(limit) - i64::try_from(invoices.len()).unwrap_or(i64::MAX);
        if left <= 0 {
            break;
        }
        let values = std::iter::once(left.into()).chain(values);
        let sql = format!("SELECT {COLUMNS} FROM invoices {stretch} ORDER BY period_start DESC, id LIMIT $1");
        for row in all(&store.db, &sql, values).await? {
            invoices.push(read_head(&row)?);
        }
    }
    let lines = format!(
        "SELECT {LINE_COLUMNS}, l.invoice_id FROM keys JOIN invoice_lines l ON l.invoice_id = keys.key ORDER BY number"
    );
    let ids = invoices.iter().map(|invoice| ("", invoice.id.as_str()));
    let mut lines_of: BTreeMap<String, Vec<QueryResult>> = BTreeMap::new();
    for row in bulk::select_by_keys(&store.db, ids, &lines).await? {
        lines_of.entry(row.try_get_by_index(10)?).or_default().push(row);
    }
    for invoice in &mut invoices {
        for row in lines_of.remove(&invoice.id).unwrap_or_default() {
            invoice.lines.push(read_line(&row, invoice.currency)?);
        }
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

/// Remembers Stripe's invoice for ours.
pub async fn set_stripe_invoice(
    tx: &Tx,
    invoice: &str,
    stripe_invoice: &str,
    status: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE invoices SET stripe_id = $2, stripe_status = $3 WHERE id = $1";
    run(&tx.tx, sql, [invoice.into(), stripe_invoice.into(), status.into()]).await?;
    Ok(())
}

/// One document, in a transaction that will change it.
pub async fn find_in(tx: &Tx, id: &str) -> Result<Option<Invoice>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM invoices WHERE id = $1");
    match one(&tx.tx, &sql, [id.into()]).await? {
        Some(row) => Ok(Some(read(&tx.tx, &row).await?)),
        None => Ok(None),
    }
}

/// Drops the lines of a draft, which is about to be drafted again.
pub async fn drop_lines(tx: &Tx, draft: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM invoice_lines WHERE invoice_id IN (SELECT id FROM invoices WHERE id = $1 AND state = 'draft')";
    run(&tx.tx, sql, [draft.into()]).await?;
    Ok(())
}

/// Writes a draft anew, whose lines were dropped.
pub async fn redraft(tx: &Tx, invoice: &Invoice) -> Result<(), StoreError> {
    let sql = "UPDATE invoices SET total_minor = $2, drafted_at = $3 WHERE id = $1 AND state = 'draft'";
    run(&tx.tx, sql, [invoice.id.as_str().into(), invoice.total_minor.into(), invoice.drafted_at.0.into()])
        .await?;
    write_lines(tx, invoice).await
}

/// The drafts for which something new was priced since they were drafted: of all customers, or of one.
pub async fn stale_drafts(tx: &Tx, customer: Option<&str>) -> Result<Vec<String>, StoreError> {
    // What is older than the first period belongs to it.
    let sql = "SELECT i.id FROM invoices i WHERE i.state = 'draft' AND ($1 IS NULL OR i.customer = $1) AND (\
               EXISTS (SELECT 1 FROM charges c WHERE c.customer = i.customer AND c.invoice_id IS NULL \
               AND c.origin_at < i.period_end AND (c.origin_at >= i.period_start OR i.period_start = \
               (SELECT MIN(p.start_at) FROM periods p WHERE p.customer = i.customer))) \
               OR EXISTS (SELECT 1 FROM usage u WHERE u.customer = i.customer AND u.invoice_id IS NULL \
               AND u.at < i.period_end AND (u.at >= i.period_start OR i.period_start = \
               (SELECT MIN(p.start_at) FROM periods p WHERE p.customer = i.customer)))) ORDER BY i.id";
    let rows = all(&tx.tx, sql, [customer.map(String::from).into()]).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Makes a draft final, and links it to what is on it. `false`: it is none.
pub async fn approve(tx: &Tx, id: &str, by: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE invoices SET state = 'final', approved_at = $2, approved_by = $3 WHERE id = $1 AND state = 'draft'";
    let approved = run(&tx.tx, sql, [id.into(), now.0.into(), by.into()]).await? > 0;
    if approved {
        chain::append_invoice(tx, id).await?;
    }
    Ok(approved)
}

/// What credit notes can still take off a final invoice, in minor units; nothing if it is none.
pub async fn creditable(tx: &Tx, id: &str) -> Result<i64, StoreError> {
    let sql = "SELECT total_minor + CAST(COALESCE((SELECT SUM(n.total_minor) FROM invoices n \
               WHERE n.corrects = $1 AND n.kind = 'credit_note'), 0) AS BIGINT) \
               FROM invoices WHERE id = $1 AND kind = 'invoice' AND state = 'final'";
    match one(&tx.tx, sql, [id.into()]).await? {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Ok(0),
    }
}
