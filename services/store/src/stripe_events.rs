//! What Stripe tells: its events, each once for ever, and what it says of our invoices and customers.

use crate::connect::{StoreError, Tx, all, known, one, run};
use crate::invoices::Kind;
use verdict_domain::money::{self, Currency};
use verdict_domain::time::Timestamp;

/// An event as it came. All times here are by the wall clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeEvent {
    /// Stripe's id of it.
    pub id: String,
    /// Such as `invoice.paid`.
    pub kind: String,
    /// The id of what it is about; empty if it has none.
    pub object: String,
    /// Whether it is about real money.
    pub livemode: bool,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// When it came.
    pub received_at: Timestamp,
    /// Why nothing is done about it; `None` if something is.
    pub ignored: Option<String>,
}

/// Stores an event, if it is not there already.
pub async fn store(tx: &Tx, event: &StripeEvent) -> Result<(), StoreError> {
    let sql = "INSERT INTO stripe_events (id, type, object, livemode, body, received_at, state, tries, next_try_at, reason) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8) ON CONFLICT (id) DO NOTHING";
    let values = [
        event.id.as_str().into(),
        event.kind.as_str().into(),
        event.object.as_str().into(),
        i64::from(event.livemode).into(),
        event.body.clone().into(),
        event.received_at.0.into(),
        if event.ignored.is_some() { "ignored" } else { "received" }.into(),
        event.ignored.clone().into(),
    ];
    run(&tx.tx, sql, values).await?;
    Ok(())
}

/// A look at one object of Stripe's, for all events about it that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// The object's id at Stripe.
    pub object: String,
    /// Which look at it this is.
    pub number: i64,
    /// The events, each with its type.
    pub events: Vec<(String, String)>,
    /// How often the one of them was tried that was tried most.
    pub tries: i64,
    /// Whether they are about real money.
    pub livemode: bool,
}

/// Takes the object with the oldest event that is due, and all events about it that wait: nobody else gets these
/// before `leased_until`. Commit before looking.
pub async fn take_object(
    tx: &Tx,
    now: Timestamp,
    leased_until: Timestamp,
) -> Result<Option<Look>, StoreError> {
    let sql = "SELECT object FROM stripe_events WHERE state = 'received' AND next_try_at <= $1 \
               ORDER BY next_try_at, received_at, id LIMIT 1";
    let Some(row) = one(&tx.tx, sql, [now.0.into()]).await? else { return Ok(None) };
    let object: String = row.try_get_by_index(0)?;
    let sql = "UPDATE stripe_events SET next_try_at = $2, tries = tries + 1 \
               WHERE object = $1 AND state = 'received' RETURNING id, type, tries, livemode";
    let (mut events, mut tries, mut livemode) = (Vec::new(), 0, false);
    for row in all(&tx.tx, sql, [object.as_str().into(), leased_until.0.into()]).await? {
        events.push((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        tries = tries.max(row.try_get_by_index::<i64>(2)?);
        livemode |= row.try_get_by_index::<i64>(3)? != 0;
    }
    events.sort();
    let number = begin_look(tx, &object).await?;
    Ok(Some(Look { object, number, events, tries, livemode }))
}

/// Notes that somebody begins to look at an object, and answers which look it is.
pub async fn begin_look(tx: &Tx, object: &str) -> Result<i64, StoreError> {
    let sql = "INSERT INTO stripe_looks (object, looks) VALUES ($1, 1) \
               ON CONFLICT (object) DO UPDATE SET looks = stripe_looks.looks + 1 RETURNING looks";
    let row = one(&tx.tx, sql, [object.into()]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt(format!("the looks at `{object}`")))?;
    Ok(row.try_get_by_index(0)?)
}

/// Whether nobody began to look at an object later. Until the transaction ends, nobody does.
pub async fn is_last_look(tx: &Tx, object: &str, number: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE stripe_looks SET looks = looks WHERE object = $1 AND looks = $2";
    Ok(run(&tx.tx, sql, [object.into(), number.into()]).await? > 0)
}

/// What became of the events of a look: `applied`, `ignored` or `parked`. One that is no longer waiting stays.
pub async fn finish(tx: &Tx, look: &Look, state: &str, reason: Option<&str>) -> Result<(), StoreError> {
    for (id, _) in &look.events {
        let sql =
            "UPDATE stripe_events SET state = $2, reason = $3 WHERE id = $1 AND state IN ('received', $2)";
        run(&tx.tx, sql, [id.as_str().into(), state.into(), reason.map(String::from).into()]).await?;
    }
    Ok(())
}

/// The events of a look wait until `next_try_at`.
pub async fn retry(
    tx: &Tx,
    look: &Look,
    next_try_at: Timestamp,
    error: Option<&str>,
) -> Result<(), StoreError> {
    for (id, _) in &look.events {
        let sql =
            "UPDATE stripe_events SET next_try_at = $2, reason = $3 WHERE id = $1 AND state = 'received'";
        run(&tx.tx, sql, [id.as_str().into(), next_try_at.0.into(), error.map(String::from).into()]).await?;
    }
    Ok(())
}

/// Puts the parked events about an object back in line.
pub async fn replay(tx: &Tx, object: &str) -> Result<(), StoreError> {
    let sql =
        "UPDATE stripe_events SET state = 'received', next_try_at = 0 WHERE object = $1 AND state = 'parked'";
    run(&tx.tx, sql, [object.into()]).await?;
    Ok(())
}

/// Whether an event of this type about an object ever came.
pub async fn ever(tx: &Tx, object: &str, kind: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM stripe_events WHERE object = $1 AND type = $2 LIMIT 1";
    Ok(one(&tx.tx, sql, [object.into(), kind.into()]).await?.is_some())
}

/// What of one of our documents is needed to tell a person of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// Our id.
    pub id: String,
    /// Invoice or credit note.
    pub kind: Kind,
    /// What it bills in.
    pub currency: Currency,
    /// Whether it was voided here, so that Stripe's `void` is no news.
    pub voided_here: bool,
}

/// Our document for one of Stripe's: by the id that is stored, else, while none is stored, by ours in its metadata.
pub async fn ours(tx: &Tx, stripe_id: &str, named: Option<&str>) -> Result<Option<Ours>, StoreError> {
    let sql = "SELECT id, kind, currency, (SELECT COUNT(*) FROM outbox o WHERE o.invoice_id = i.id AND o.sort = 'void') \
               FROM invoices i WHERE stripe_id = $1 OR (id = $2 AND stripe_id IS NULL) \
               ORDER BY CASE WHEN stripe_id IS NULL THEN 1 ELSE 0 END LIMIT 1";
    let values = [stripe_id.into(), named.unwrap_or_default().into()];
    let Some(row) = one(&tx.tx, sql, values).await? else { return Ok(None) };
    let (kind, code): (String, String) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    Ok(Some(Ours {
        id: row.try_get_by_index(0)?,
        kind: known(Kind::parse(&kind), "kind of invoice", &kind)?,
        currency: known(money::currency(&code).ok(), "currency", &code)?,
        voided_here: row.try_get_by_index::<i64>(3)? > 0,
    }))
}

/// What Stripe says of a document: what it calls its state and, of an invoice, what is paid and what remains.
pub async fn set_state(
    tx: &Tx,
    id: &str,
    status: &str,
    amounts: Option<(i64, i64)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE invoices SET stripe_status = $2, stripe_paid_minor = $3, stripe_remaining_minor = $4, \
               stripe_checked_at = $5 WHERE id = $1";
    let (paid, remaining) = amounts.unzip();
    run(&tx.tx, sql, [id.into(), status.into(), paid.into(), remaining.into(), now.0.into()]).await?;
    Ok(())
}

/// Stripe's customer for ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Its id at Stripe.
    pub stripe_customer: String,
    /// When we learned that it was deleted there.
    pub deleted_at: Option<Timestamp>,
}

/// Stripe's customer for ours, if there is one.
pub async fn linked(tx: &Tx, customer: &str) -> Result<Option<Linked>, StoreError> {
    let sql = "SELECT stripe_customer, deleted_at FROM stripe_customers WHERE customer = $1";
    let Some(row) = one(&tx.tx, sql, [customer.into()]).await? else { return Ok(None) };
    let deleted_at: Option<i64> = row.try_get_by_index(1)?;
    Ok(Some(Linked { stripe_customer: row.try_get_by_index(0)?, deleted_at: deleted_at.map(Timestamp) }))
}

/// Our customers for one of Stripe's.
pub async fn customers_of(tx: &Tx, stripe_customer: &str) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT customer FROM stripe_customers WHERE stripe_customer = $1 ORDER BY customer";
    let rows = all(&tx.tx, sql, [stripe_customer.into()]).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// Notes that a customer was deleted at Stripe.
pub async fn set_deleted(tx: &Tx, stripe_customer: &str, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE stripe_customers SET deleted_at = $2 WHERE stripe_customer = $1 AND deleted_at IS NULL";
    run(&tx.tx, sql, [stripe_customer.into(), now.0.into()]).await?;
    Ok(())
}

/// A person says which of Stripe's customers is ours, in the place of any before.
pub async fn link(tx: &Tx, customer: &str, stripe_customer: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO stripe_customers (customer, stripe_customer) VALUES ($1, $2) \
               ON CONFLICT (customer) DO UPDATE SET stripe_customer = excluded.stripe_customer, deleted_at = NULL, \
               name = NULL, email = NULL, given_for = 0";
    run(&tx.tx, sql, [customer.into(), stripe_customer.into()]).await?;
    Ok(())
}
