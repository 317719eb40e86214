//! What reconciliation reads beside what the steps read themselves: pages of keys, sums to compare, and what waits.
//! Only reads.

use crate::bulk;
use crate::cases::CaseKey;
use crate::connect::{Store, StoreError, Tx, all, one};
use crate::figures::{Span, waiting_of};
use crate::invoices::{self, Invoice};
use crate::ledger::Touched;
use crate::parked::Origin;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::economics::Bucket;
use verdict_domain::period::Period;
use verdict_domain::time::Timestamp;

/// The next cases of which something was recorded, judged or posted since then, in the order of their keys, after the
/// one given: also those that only one of the tables knows.
pub async fn cases_page(
    tx: &Tx,
    since: Timestamp,
    after: &CaseKey,
    limit: u32,
) -> Result<Vec<CaseKey>, StoreError> {
    let tables = [
        ("attempts", "recorded_at"),
        ("resolutions", "recorded_at"),
        ("cases", "judged_at"),
        ("outcomes", "posted_at"),
    ];
    keys_page(tx, &tables, since, after, limit).await
}

/// The next cases that have rows in the ledger, or charges, since then.
pub async fn ledger_page(
    tx: &Tx,
    since: Timestamp,
    after: &CaseKey,
    limit: u32,
) -> Result<Vec<CaseKey>, StoreError> {
    keys_page(tx, &[("outcomes", "posted_at"), ("charges", "rated_at")], since, after, limit).await
}

async fn keys_page(
    tx: &Tx,
    tables: &[(&str, &str)],
    since: Timestamp,
    after: &CaseKey,
    limit: u32,
) -> Result<Vec<CaseKey>, StoreError> {
    // From each table no more than a page: the first page of all of them together is among these.
    let of = |(table, time): &(&str, &str)| {
        format!(
            "SELECT * FROM (SELECT DISTINCT customer, case_id FROM {table} \
             WHERE (customer, case_id) > ($1, $2) AND {time} >= $3 ORDER BY customer, case_id LIMIT $4) AS of_{table}"
        )
    };
    let union = tables.iter().map(of).collect::<Vec<_>>().join(" UNION ");
    let sql = format!("{union} ORDER BY customer, case_id LIMIT $4");
    let values =
        [after.customer.as_str().into(), after.case.as_str().into(), since.0.into(), i64::from(limit).into()];
    all(&tx.tx, &sql, values)
        .await?
        .iter()
        .map(|row| Ok(CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? }))
        .collect()
}

/// Which of these things are parked.
pub async fn parked(tx: &Tx, origin: Origin, references: &[String]) -> Result<BTreeSet<String>, StoreError> {
    let select = format!(
        "SELECT keys.customer FROM keys JOIN parked p ON p.reference = keys.customer \
         WHERE p.origin = '{}' AND p.replayed_at IS NULL",
        origin.as_str()
    );
    let keys = references.iter().map(|reference| (reference.as_str(), ""));
    let rows = bulk::select_by_keys(&tx.tx, keys, &select).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Charges that a closed period should have put on its invoice, and how many there are: the first ones, at most `limit`.
/// A charge belongs to the first period of its customer that was closed after it was priced.
pub async fn left_off(
    tx: &Tx,
    since: Timestamp,
    limit: u32,
) -> Result<(u64, Vec<(CaseKey, i64)>), StoreError> {
    let sql = "SELECT c.customer, c.case_id, c.seq, COUNT(*) OVER () FROM charges c \
               WHERE c.invoice_id IS NULL AND c.rated_at >= $1 AND EXISTS (SELECT 1 FROM periods p \
               WHERE p.customer = c.customer AND p.closed_at > c.rated_at AND c.origin_at < p.end_at) \
               ORDER BY c.customer, c.case_id, c.seq LIMIT $2";
    let (mut count, mut first) = (0_i64, Vec::new());
    for row in all(&tx.tx, sql, [since.0.into(), i64::from(limit).into()]).await? {
        let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
        first.push((key, row.try_get_by_index(2)?));
        count = row.try_get_by_index(3)?;
    }
    Ok((count.unsigned_abs(), first))
}

/// The next customers that have a period, a charge or figures, after the one given.
pub async fn customers_page(tx: &Tx, after: &str, limit: u32) -> Result<Vec<String>, StoreError> {
    let of = |(table, also): (&str, String)| {
        format!(
            "SELECT * FROM (SELECT DISTINCT customer FROM {table} WHERE customer > $1{also} ORDER BY customer LIMIT $2) AS of_{table}"
        )
    };
    let a_row_a_customer = format!(" AND level = 'customer' AND days = {}", Span::Ever.days());
    let union = [
        ("contracts", String::new()),
        ("periods", String::new()),
        ("figures_by_level", a_row_a_customer),
        ("figures_to_add", String::new()),
    ]
    .map(of)
    .join(" UNION ");
    let sql = format!("{union} ORDER BY customer LIMIT $2");
    let rows = all(&tx.tx, &sql, [after.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// A customer's closed periods that ended since then, in order, each with when it was billed last.
pub async fn closed_periods(
    tx: &Tx,
    customer: &str,
    since: Timestamp,
) -> Result<Vec<(Touched, Timestamp)>, StoreError> {
    let sql = "SELECT p.start_at, p.end_at, p.trial, p.closed_at, (SELECT MAX(i.drafted_at) FROM invoices i \
               JOIN invoice_lines l ON l.invoice_id = i.id \
               WHERE i.customer = p.customer AND l.period_start = p.start_at) FROM periods p \
               WHERE p.customer = $1 AND p.closed_at IS NOT NULL AND p.end_at >= $2 ORDER BY p.start_at";
    let rows = all(&tx.tx, sql, [customer.into(), since.0.into()]).await?;
    rows.iter()
        .map(|row| {
            let (start, end) = (Timestamp(row.try_get_by_index(0)?), Timestamp(row.try_get_by_index(1)?));
            let (trial, closed_at): (i64, i64) = (row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            let drafted_at: Option<i64> = row.try_get_by_index(4)?;
            let billed_at = Timestamp(drafted_at.map_or(closed_at, |at| at.max(closed_at)));
            Ok((Touched { period: Period { start, end }, trial: trial != 0 }, billed_at))
        })
        .collect()
}

/// When each version of a customer's contract was put.
pub async fn versions_put_at(tx: &Tx, customer: &str) -> Result<BTreeMap<u32, Timestamp>, StoreError> {
    let sql = "SELECT version, recorded_at FROM contracts WHERE customer = $1";
    let rows = all(&tx.tx, sql, [customer.into()]).await?;
    let mut put_at = BTreeMap::new();
    for row in rows {
        let version: i64 = row.try_get_by_index(0)?;
        put_at.insert(u32::try_from(version).unwrap_or_default(), Timestamp(row.try_get_by_index(1)?));
    }
    Ok(put_at)
}

/// An invoice or a credit note whose total is not the sum of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongTotal {
    /// Which.
    pub invoice: String,
    /// What it says, in minor units.
    pub total_minor: i64,
    /// What its lines add up to.
    pub lines_minor: i64,
}

/// The invoices and credit notes drafted since then whose total is not the sum of their lines, at most `limit`; and of
/// how many invoices.
pub async fn wrong_totals(
    tx: &Tx,
    since: Timestamp,
    limit: u32,
) -> Result<(u64, Vec<WrongTotal>), StoreError> {
    let sql = "SELECT i.id, i.total_minor, CAST(COALESCE(SUM(l.amount_minor), 0) AS BIGINT) FROM invoices i \
               LEFT JOIN invoice_lines l ON l.invoice_id = i.id WHERE i.drafted_at >= $1 GROUP BY i.id, i.total_minor \
               HAVING i.total_minor <> COALESCE(SUM(l.amount_minor), 0) ORDER BY i.id LIMIT $2";
    let mut wrong = Vec::new();
    for row in all(&tx.tx, sql, [since.0.into(), i64::from(limit).into()]).await? {
        wrong.push(WrongTotal {
            invoice: row.try_get_by_index(0)?,
            total_minor: row.try_get_by_index(1)?,
            lines_minor: row.try_get_by_index(2)?,
        });
    }
    let sql = "SELECT COUNT(*) FROM invoices WHERE drafted_at >= $1";
    let count: i64 = match one(&tx.tx, sql, [since.0.into()]).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => 0,
    };
    Ok((count.unsigned_abs(), wrong))
}

/// The revenue of a customer's days since then, by currency and UTC day: what the daily figures say, and what charges at
/// their list prices and the lines of closed periods come to.
pub async fn revenue(
    tx: &Tx,
    customer: &str,
    since_day: i64,
) -> Result<BTreeMap<(String, i64), (i64, i64)>, StoreError> {
    let mut days: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    let overflow = || StoreError::Refused(format!("the revenue of `{customer}` overflows"));
    // What a period's price differs from the list prices of what is invoiced of it is revenue of its last day. Trials count none.
    let figures = "SELECT currency, day, CAST(SUM(revenue_nanos) AS BIGINT) FROM daily_figures \
                   WHERE customer = $1 AND bucket = 'revenue' AND day >= $2 GROUP BY currency, day";
    let listed = "SELECT currency, effective_at / 86400000000, CAST(SUM(amount_nanos) AS BIGINT) FROM charges \
                  WHERE customer = $1 AND effective_at / 86400000000 >= $2 AND (free IS NULL OR free <> 'trial') GROUP BY currency, effective_at / 86400000000";
    let lines = "SELECT i.currency, (p.end_at - 1) / 86400000000, CAST(SUM(l.amount_nanos) AS BIGINT) FROM periods p \
                 JOIN invoices i ON i.customer = p.customer \
                 JOIN invoice_lines l ON l.invoice_id = i.id AND l.period_start = p.start_at \
                 WHERE p.customer = $1 AND p.trial = 0 AND (p.end_at - 1) / 86400000000 >= $2 \
                 GROUP BY i.currency, (p.end_at - 1) / 86400000000";
    let invoiced = "SELECT c.currency, (p.end_at - 1) / 86400000000, -CAST(SUM(c.amount_nanos) AS BIGINT) FROM periods p \
                    JOIN charges c ON c.customer = p.customer AND c.origin_at >= p.start_at AND c.origin_at < p.end_at \
                    WHERE p.customer = $1 AND p.trial = 0 AND c.invoice_id IS NOT NULL AND (p.end_at - 1) / 86400000000 >= $2 \
                    GROUP BY c.currency, (p.end_at - 1) / 86400000000";
    // What is noted to be added to the figures is as good as added.
    for (cell, figures) in waiting_of(tx, customer).await? {
        if cell.bucket == Bucket::Revenue && cell.day >= since_day {
            let (figure, _) = days.entry((cell.currency, cell.day)).or_default();
            *figure = figure.checked_add(figures.revenue_nanos).ok_or_else(overflow)?;
        }
    }
    for (sql, is_figure) in [(figures, true), (listed, false), (lines, false), (invoiced, false)] {
        for row in all(&tx.tx, sql, [customer.into(), since_day.into()]).await? {
            let (day, nanos): (i64, i64) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            let (figure, expected) = days.entry((row.try_get_by_index(0)?, day)).or_default();
            let sum = if is_figure { figure } else { expected };
            *sum = sum.checked_add(nanos).ok_or_else(overflow)?;
        }
    }
    Ok(days)
}

/// Where the errand stands that carries a document to Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// There is none: it is a local draft.
    None,
    /// It waits, or is parked.
    Open,
    /// It was carried.
    Done,
    /// A person put right by hand what Stripe refused.
    Settled,
}

/// The next documents drafted since then, in the order of their ids, after the one given; each with its errand.
pub async fn documents_page(
    store: &Store,
    since: Timestamp,
    after: &str,
    limit: u32,
) -> Result<Vec<(Invoice, Errand)>, StoreError> {
    // One errand carries a document; others may be about it.
    let sql = "SELECT i.id, (SELECT MIN(CASE WHEN o.state <> 'done' THEN 0 \
               WHEN o.last_error LIKE 'settled by hand:%' THEN 2 ELSE 1 END) FROM outbox o \
               WHERE o.invoice_id = i.id AND o.sort = i.kind) FROM invoices i \
               WHERE i.id > $1 AND i.drafted_at >= $2 ORDER BY i.id LIMIT $3";
    let mut documents = Vec::new();
    for row in all(&store.db, sql, [after.into(), since.0.into(), i64::from(limit).into()]).await? {
        let (id, done): (String, Option<i64>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let errand = match done {
            None => Errand::None,
            Some(0) => Errand::Open,
            Some(2) => Errand::Settled,
            Some(_) => Errand::Done,
        };
        if let Some(invoice) = invoices::find(store, &id).await? {
            documents.push((invoice, errand));
        }
    }
    Ok(documents)
}

/// When something was first sent to Stripe, by the wall clock: nothing of ours there is older.
pub async fn first_push(store: &Store) -> Result<Option<Timestamp>, StoreError> {
    let first: Option<i64> = match one(&store.db, "SELECT MIN(first_tried_at) FROM outbox", []).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    };
    Ok(first.map(Timestamp))
}
