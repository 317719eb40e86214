//! What a customer is shown of its own: documents that are final, and the outcomes that they rest on. Each statement
//! names the customer. Only reads.

use crate::bulk;
use crate::cases::CaseKey;
use crate::connect::{Store, StoreError, Tx, all, known, one};
use crate::ledger::{CHARGE_COLUMNS, Charge, read_charge};
use sea_orm::Value;
use std::collections::BTreeMap;
use verdict_domain::ledger::EntryKind;

/// An outcome that is priced, as a customer is shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its price: the list price of what was posted, with its sign.
    pub charge: Charge,
    /// Of which episode of its case.
    pub episode: String,
    /// Whether it charges or takes back.
    pub entry: EntryKind,
    /// Whether a later row takes it back.
    pub is_taken_back: bool,
    /// The state of the last dispute of its episode: `open`, `accepted`, `rejected`.
    pub dispute: Option<&'static str>,
}

/// The ids of a customer's invoices and credit notes that are final, the newest first, at most `limit`.
pub async fn final_documents(store: &Store, customer: &str, limit: u32) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT id FROM invoices WHERE customer = $1 AND state = 'final' \
               ORDER BY period_start DESC, drafted_at DESC, id LIMIT $2";
    let rows = all(&store.db, sql, [customer.into(), i64::from(limit).into()]).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Whether this is a document of the customer's, and final.
pub async fn is_final_document(tx: &Tx, customer: &str, id: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM invoices WHERE id = $2 AND customer = $1 AND state = 'final'";
    Ok(one(&tx.tx, sql, [customer.into(), id.into()]).await?.is_some())
}

/// A customer's outcomes on an invoice, in the order of the chain, or (`None`) on none yet, in the order of their effective
/// times; at most `limit` after the first `skip`.
pub async fn outcomes(
    tx: &Tx,
    customer: &str,
    invoice: Option<&str>,
    skip: u32,
    limit: u32,
) -> Result<Vec<Outcome>, StoreError> {
    let mut values: Vec<Value> = vec![customer.into(), i64::from(limit).into(), i64::from(skip).into()];
    // Both are read along an index; what is skipped is not joined. `|| ''` keeps SQLite, which knows no numbers, from reading
    // all that the customer has.
    let (on, order) = match invoice {
        Some(invoice) => {
            values.push(invoice.into());
            ("c.customer || '' = $1 AND c.invoice_id = $4", "c.position, c.effective_at, c.case_id, c.seq")
        }
        None => ("c.customer = $1 AND c.invoice_id IS NULL", "c.effective_at, c.case_id, c.seq"),
    };
    let sql = format!(
        "SELECT {CHARGE_COLUMNS}, o.episode, o.kind, r.seq FROM (SELECT * FROM charges c \
         WHERE {on} ORDER BY {order} LIMIT $2 OFFSET $3) AS c \
         JOIN outcomes o ON o.customer = c.customer AND o.case_id = c.case_id AND o.seq = c.seq \
         LEFT JOIN outcomes r ON r.customer = c.customer AND r.case_id = c.case_id AND r.reverses = c.seq \
         ORDER BY {order}"
    );
    let rows = all(&tx.tx, &sql, values).await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in &rows {
        let kind: String = row.try_get_by_index(13)?;
        outcomes.push(Outcome {
            charge: read_charge(row)?,
            episode: row.try_get_by_index(12)?,
            entry: known(EntryKind::parse(&kind), "entry", &kind)?,
            is_taken_back: row.try_get_by_index::<Option<i64>>(14)?.is_some(),
            dispute: None,
        });
    }
    let disputes = disputes(tx, outcomes.iter().map(|outcome| &outcome.charge.key)).await?;
    for outcome in &mut outcomes {
        let about = (outcome.charge.key.clone(), outcome.episode.clone());
        outcome.dispute = disputes.get(&about).copied();
    }
    Ok(outcomes)
}

/// The state of the last dispute of each episode of these cases.
async fn disputes(
    tx: &Tx,
    keys: impl Iterator<Item = &CaseKey>,
) -> Result<BTreeMap<(CaseKey, String), &'static str>, StoreError> {
    let mut keys: Vec<&CaseKey> = keys.collect();
    keys.sort();
    keys.dedup();
    let by_case = bulk::by_case(&tx.tx, "resolutions");
    let select = format!(
        "SELECT r.customer, r.case_id, r.about, d.kind FROM keys JOIN resolutions r {by_case} \
         ON r.customer = keys.customer AND r.case_id = keys.key AND r.kind = 'disputed' AND r.about IS NOT NULL \
         LEFT JOIN resolutions d {by_case} ON d.customer = r.customer AND d.case_id = r.case_id AND d.about = r.id \
         AND d.kind IN ('dispute_accepted', 'dispute_rejected') ORDER BY r.occurred_at, r.id"
    );
    let mut states = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys.into_iter().map(CaseKey::parts), &select).await? {
        let key = CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? };
        let decision: Option<String> = row.try_get_by_index(3)?;
        let state = match decision.as_deref() {
            None => "open",
            Some("dispute_accepted") => "accepted",
            Some(_) => "rejected",
        };
        states.insert((key, row.try_get_by_index(2)?), state);
    }
    Ok(states)
}
