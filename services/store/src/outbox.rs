//! The outbox: what must reach Stripe, and which of Stripe's customers is ours.

use crate::connect::{Store, StoreError, Tx, known, one, run};
use verdict_domain::contract::BillTo;
use verdict_domain::time::Timestamp;

/// What is to be done at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// To make an invoice there.
    Invoice,
    /// To make a credit note there.
    CreditNote,
    /// To withdraw an invoice there.
    Void,
}

impl Sort {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
            Self::Void => "void",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Invoice, Self::CreditNote, Self::Void].into_iter().find(|sort| sort.as_str() == text)
    }
}

/// Something to be carried to Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errand {
    /// Deterministic: `push:` or `void:`, and the document.
    pub id: String,
    /// The invoice or credit note.
    pub invoice: String,
    /// Whose.
    pub customer: String,
    /// What is to be done.
    pub sort: Sort,
    /// How often it was tried.
    pub tries: i64,
    /// When it was first tried, by the wall clock; `None` if never.
    pub first_tried_at: Option<Timestamp>,
}

/// Puts the push of an invoice into the outbox, in the transaction that drafts it. `false`: it is there already, or its
/// customer is billed by Stripe's meters: such an invoice stays here, as what the meters were told is billed there. A credit note
/// on an invoice that stays here stays here too.
pub async fn send_later(tx: &Tx, invoice: &str) -> Result<bool, StoreError> {
    let sql = "INSERT INTO outbox (id, invoice_id, customer, sort, state, tries, next_try_at) \
               SELECT $1, id, customer, kind, 'waiting', 0, 0 FROM invoices WHERE id = $2 \
               AND terms NOT LIKE '%\"through\":\"meter_events\"%' \
               AND (corrects IS NULL OR kind <> 'credit_note' OR EXISTS (SELECT 1 FROM outbox b WHERE b.id = 'push:' || corrects)) \
               ON CONFLICT (id) DO NOTHING";
    Ok(run(&tx.tx, sql, [format!("push:{invoice}").into(), invoice.into()]).await? > 0)
}

/// Puts the withdrawal of an invoice into the outbox; it waits until the invoice's push is done. `false`: it is there
/// already, or the invoice has no push.
pub async fn void_later(tx: &Tx, invoice: &str) -> Result<bool, StoreError> {
    let sql = "INSERT INTO outbox (id, invoice_id, customer, sort, state, tries, next_try_at) \
               SELECT $1, invoice_id, customer, 'void', 'waiting', 0, 0 FROM outbox WHERE id = $2 AND sort = 'invoice' \
               ON CONFLICT (id) DO NOTHING";
    let ids = [format!("void:{invoice}").into(), format!("push:{invoice}").into()];
    Ok(run(&tx.tx, sql, ids).await? > 0)
}

/// The state of an errand: `waiting`, `parked` or `done`; `None` if there is none of this id.
pub async fn state(tx: &Tx, id: &str) -> Result<Option<String>, StoreError> {
    match one(&tx.tx, "SELECT state FROM outbox WHERE id = $1", [id.into()]).await? {
        Some(row) => Ok(Some(row.try_get_by_index(0)?)),
        None => Ok(None),
    }
}

/// Leases the next errand that is due: nobody else gets it before `leased_until`. The lease is committed
/// before the errand is run, so that a crash leaves a trace that it was tried.
///
/// While an errand of a customer is parked, its others wait, so that they do not go out beside what is wrong; only a void
/// that cannot be is of no concern to them. A credit note and a void wait until their invoice's push is done.
pub async fn lease_errand(
    tx: &Tx,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<Option<Errand>, StoreError> {
    let sql = "SELECT o.id FROM outbox o WHERE o.state = 'waiting' AND o.next_try_at <= $1 \
               AND o.sort IN ('invoice', 'credit_note', 'void') \
               AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.customer = o.customer AND p.state = 'parked' \
               AND p.sort <> 'void') \
               AND (o.sort = 'invoice' OR EXISTS (SELECT 1 FROM invoices i JOIN outbox b \
               ON b.id = 'push:' || COALESCE(i.corrects, i.id) WHERE i.id = o.invoice_id AND b.state = 'done')) \
               ORDER BY o.next_try_at, o.id LIMIT 1";
    let Some(row) = one(&tx.tx, sql, [now.0.into()]).await? else { return Ok(None) };
    let id: String = row.try_get_by_index(0)?;
    let sql = "UPDATE outbox SET next_try_at = $2, tries = tries + 1, first_tried_at = COALESCE(first_tried_at, $3) \
               WHERE id = $1 AND state = 'waiting' AND next_try_at <= $3 \
               RETURNING invoice_id, tries, first_tried_at, customer, sort";
    let values = [id.as_str().into(), leased_until.0.into(), now.0.into()];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(None) };
    let first: Option<i64> = row.try_get_by_index(2)?;
    let sort: String = row.try_get_by_index(4)?;
    Ok(Some(Errand {
        id,
        invoice: row.try_get_by_index(0)?,
        customer: row.try_get_by_index(3)?,
        sort: known(Sort::parse(&sort), "sort of errand", &sort)?,
        tries: row.try_get_by_index(1)?,
        first_tried_at: first.map(Timestamp),
    }))
}

/// The errand is done: Stripe has the document, in this state. What is known of it by then may be newer (it was paid
/// meanwhile): a state of before does not overwrite one of after.
pub async fn finish_errand(tx: &Tx, errand: &Errand, status: &str) -> Result<(), StoreError> {
    run(
        &tx.tx,
        "UPDATE outbox SET state = 'done', last_error = NULL WHERE id = $1",
        [errand.id.as_str().into()],
    )
    .await?;
    // An event may have told of its payment while the errand was on its way: from that it does not go back.
    let sql = "UPDATE invoices SET stripe_status = $2 WHERE id = $1 AND NOT ($2 IN ('draft', 'open') \
               AND COALESCE(stripe_status, '') IN ('paid', 'void', 'uncollectible'))";
    run(&tx.tx, sql, [errand.invoice.as_str().into(), status.into()]).await?;
    Ok(())
}

/// A parked errand was put right by hand at Stripe: it is done and goes nowhere any more. `false`: it is not parked.
pub async fn settle_errand(tx: &Tx, id: &str, because: &str) -> Result<bool, StoreError> {
    let sql = "UPDATE outbox SET state = 'done', last_error = $2 WHERE id = $1 AND state = 'parked'";
    Ok(run(&tx.tx, sql, [id.into(), format!("settled by hand: {because}").into()]).await? > 0)
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
    let sql = "SELECT MIN(first_tried_at) FROM outbox WHERE customer = $1";
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

/// What Stripe's customer was last given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Name and e-mail address; `None` if that is not known.
    pub bill_to: Option<BillTo>,
    /// The beginning of the period of the invoice that it was given for.
    pub period_start: Timestamp,
}

/// What Stripe's customer was last given; `None` if it is not known at all.
pub async fn given(store: &Store, customer: &str) -> Result<Option<Given>, StoreError> {
    let sql = "SELECT name, email, given_for FROM stripe_customers WHERE customer = $1";
    let Some(row) = one(&store.db, sql, [customer.into()]).await? else { return Ok(None) };
    let (name, email): (Option<String>, Option<String>) =
        (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    Ok(Some(Given {
        bill_to: name.zip(email).map(|(name, email)| BillTo { name, email }),
        period_start: Timestamp(row.try_get_by_index(2)?),
    }))
}

/// Remembers what Stripe's customer was given.
pub async fn set_given(
    tx: &Tx,
    customer: &str,
    bill_to: &BillTo,
    period_start: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE stripe_customers SET name = $2, email = $3, given_for = $4 WHERE customer = $1";
    let values =
        [customer.into(), bill_to.name.as_str().into(), bill_to.email.as_str().into(), period_start.0.into()];
    run(&tx.tx, sql, values).await?;
    Ok(())
}
