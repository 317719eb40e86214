//! The step that looks after what Stripe tells.
//!
//! An event may come twice, late, or after one that happened later. So it is taken for no more than a hint that
//! something changed: its object is asked for, and what Stripe says then is written. However the events come, the
//! last look is the same.

use crate::push::Backoff;
use crate::stripe::{CreditNoteNow, DisputeNow, InvoiceNow, Stripe, StripeError, is_id};
use serde::Deserialize;
use verdict_domain::money::{self, minor_decimal};
use verdict_domain::time::{Span, Timestamp};
use verdict_store::invoices::Kind;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::stripe_events::{self, Look, Ours, StripeEvent};
use verdict_store::{Store, StoreError, Tx, alerts};

/// The failed attempts to collect.
const PAYMENT_FAILED: &str = "invoice.payment_failed";

/// The sort of thing that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Invoice,
    CreditNote,
    Customer,
    Dispute,
}

fn about(kind: &str) -> Option<About> {
    Some(match kind {
        "invoice.paid"
        | PAYMENT_FAILED
        | "invoice.voided"
        | "invoice.marked_uncollectible"
        | "invoice.finalized"
        | "invoice.updated"
        | "invoice.deleted" => About::Invoice,
        "credit_note.created" | "credit_note.updated" | "credit_note.voided" => About::CreditNote,
        "customer.deleted" => About::Customer,
        "charge.dispute.created" | "charge.dispute.updated" | "charge.dispute.closed" => About::Dispute,
        _ => return None,
    })
}

/// Reads an event's body, whose signature must have been found good. `now` is the wall clock. The error says what it
/// lacks.
pub fn read_event(body: &[u8], now: Timestamp) -> Result<StripeEvent, String> {
    #[derive(Deserialize)]
    struct Event {
        id: String,
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        livemode: bool,
        account: Option<String>,
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        object: Object,
    }
    #[derive(Deserialize)]
    struct Object {
        id: Option<String>,
    }
    let event: Event =
        serde_json::from_slice(body).map_err(|error| format!("it is no event of Stripe's: {error}"))?;
    if !is_id(&event.id) {
        return Err("it is no event of Stripe's: id: has characters that no id has".into());
    }
    let object = event.data.and_then(|data| data.object.id).filter(|id| is_id(id)).unwrap_or_default();
    let ignored = match about(&event.kind) {
        None => Some("nothing here depends on events of this type"),
        Some(_) if event.account.is_some() => Some("it is about another account's object"),
        Some(_) if object.is_empty() => Some("it names no object"),
        Some(_) => None,
    };
    Ok(StripeEvent {
        id: event.id,
        kind: event.kind.chars().filter(|c| !c.is_control()).take(255).collect(),
        object,
        livemode: event.livemode,
        body: body.to_vec(),
        received_at: now,
        ignored: ignored.map(String::from),
    })
}

/// What Stripe said.
enum Found {
    Invoice(InvoiceNow),
    /// The credit note, and the invoice that it corrects with the number of the look at it.
    CreditNote(CreditNoteNow, InvoiceNow, i64),
    Customer {
        deleted: bool,
    },
    /// The dispute, and the invoices that the disputed payment went to.
    Dispute(DisputeNow, Vec<String>),
}

/// Why nothing was found.
enum Failure {
    Stripe(StripeError),
    Store(StoreError),
}

impl From<StripeError> for Failure {
    fn from(error: StripeError) -> Self {
        Self::Stripe(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What became of a look.
enum Done {
    Applied,
    /// Nothing of ours: the reason.
    Ignored(&'static str),
}

/// The step: looks after the next object that something happened to. `false`: there is none. `now` is the wall clock.
pub async fn apply_stripe_events(
    store: &Store,
    stripe: &Stripe,
    backoff: &Backoff,
    now: fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    tx.claim("stripe_events").await?;
    let lease = Span(i64::try_from(backoff.lease.as_micros()).unwrap_or(i64::MAX));
    let Some(look) = stripe_events::take_object(&tx, now(), now().plus(lease)).await? else {
        return Ok(false);
    };
    tx.commit().await?;
    let found = match look.livemode == stripe.is_live_key() {
        true => Some(find(store, stripe, &look).await),
        false => None,
    };

    let (tx, now) = (store.begin().await?, now());
    if !stripe_events::is_last_look(&tx, &look.object, look.number).await? {
        // Who looked later writes what it saw. Its events may be others: those here are looked after once more.
        stripe_events::retry(&tx, &look, now.plus(backoff.wait(1, &look.object)), None).await?;
        tx.commit().await?;
        return Ok(true);
    }
    match found {
        None => {
            let reason = "it is of test mode and the key is of live mode, or the other way round";
            stripe_events::finish(&tx, &look, "ignored", Some(reason)).await?;
        }
        Some(Ok(found)) => match write(&tx, &look, &found, now).await? {
            Done::Applied => stripe_events::finish(&tx, &look, "applied", None).await?,
            Done::Ignored(reason) => {
                stripe_events::finish(&tx, &look, "ignored", Some(reason)).await?;
            }
        },
        Some(Err(Failure::Store(error))) => return Err(error),
        Some(Err(Failure::Stripe(StripeError::Refused { status, message, .. }))) => {
            refused(&tx, &look, status, &message, now).await?;
        }
        Some(Err(Failure::Stripe(error))) => {
            let wait = backoff.wait(look.tries, &look.object);
            stripe_events::retry(&tx, &look, now.plus(wait), Some(&error.to_string())).await?;
        }
    }
    tx.commit().await?;
    Ok(true)
}

async fn find(store: &Store, stripe: &Stripe, look: &Look) -> Result<Found, Failure> {
    let id = look.object.as_str();
    let kind = look.events.iter().find_map(|(_, kind)| about(kind)).ok_or_else(|| {
        StoreError::Corrupt(format!("the events about `{id}` are of no type that is looked after"))
    })?;
    Ok(match kind {
        About::Invoice => Found::Invoice(stripe.invoice_now(id).await?),
        About::Customer => Found::Customer { deleted: stripe.is_customer_deleted(id).await? },
        About::CreditNote => {
            let note = stripe.credit_note_now(id).await?;
            // What it takes off changes what is to be paid.
            let tx = store.begin().await?;
            let number = stripe_events::begin_look(&tx, &note.invoice).await?;
            tx.commit().await?;
            let invoice = stripe.invoice_now(&note.invoice).await?;
            Found::CreditNote(note, invoice, number)
        }
        About::Dispute => {
            let dispute = stripe.dispute_now(id).await?;
            let invoices = match dispute.payment_intent.as_deref().filter(|id| is_id(id)) {
                Some(payment) => stripe.invoices_paid_by(payment).await?,
                None => Vec::new(),
            };
            Found::Dispute(dispute, invoices)
        }
    })
}

async fn write(tx: &Tx, look: &Look, found: &Found, now: Timestamp) -> Result<Done, StoreError> {
    const NOT_OURS: Done = Done::Ignored("it is about nothing that was made here");
    match found {
        Found::Invoice(invoice) => match write_invoice(tx, &look.object, invoice, now).await? {
            true => Ok(Done::Applied),
            false => Ok(NOT_OURS),
        },
        Found::CreditNote(note, invoice, number) => {
            let mut is_ours = false;
            if let Some(ours) = stripe_events::ours(tx, &look.object, note.named.as_deref()).await?
                && ours.kind == Kind::CreditNote
            {
                stripe_events::set_state(tx, &ours.id, &note.status, None, now).await?;
                is_ours = true;
            }
            if stripe_events::is_last_look(tx, &note.invoice, *number).await? {
                is_ours |= write_invoice(tx, &note.invoice, invoice, now).await?;
            }
            Ok(if is_ours { Done::Applied } else { NOT_OURS })
        }
        Found::Customer { deleted } => {
            let customers = stripe_events::customers_of(tx, &look.object).await?;
            if customers.is_empty() || !deleted {
                return Ok(NOT_OURS);
            }
            stripe_events::set_deleted(tx, &look.object, now).await?;
            for customer in customers {
                let text = deleted_text(&customer, &look.object);
                alerts::raise(tx, CUSTOMER_DELETED, &customer, &text, now).await?;
            }
            Ok(Done::Applied)
        }
        Found::Dispute(dispute, invoices) => {
            for invoice in invoices {
                if let Some(ours) = stripe_events::ours(tx, invoice, None).await? {
                    write_dispute(tx, &look.object, dispute, &ours, now).await?;
                    return Ok(Done::Applied);
                }
            }
            Ok(NOT_OURS)
        }
    }
}

/// The alert about a customer that was deleted at Stripe.
pub(crate) const CUSTOMER_DELETED: &str = "stripe_customer_deleted";

fn deleted_text(customer: &str, stripe_customer: &str) -> String {
    format!(
        "Stripe's customer {stripe_customer} of `{customer}` was deleted there: nothing more is sent for it. Make \
         or choose another at Stripe, then `verdict customers link {customer} cus_…`, and replay what is parked"
    )
}

/// Writes what Stripe says of an invoice. `false`: it is none of ours.
async fn write_invoice(
    tx: &Tx,
    stripe_id: &str,
    invoice: &InvoiceNow,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Some(ours) = stripe_events::ours(tx, stripe_id, invoice.named.as_deref()).await? else {
        return Ok(false);
    };
    if ours.kind != Kind::Invoice {
        return Ok(false);
    }
    let amounts = Some((invoice.paid, invoice.remaining));
    stripe_events::set_state(tx, &ours.id, &invoice.status, amounts, now).await?;
    let rest = format!("{} {}", minor_decimal(invoice.remaining, ours.currency), ours.currency.code());
    let open = invoice.status == "open";
    // That it failed once is told by no field of the invoice: the events are kept, and this asks for any of them.
    let failed = open && invoice.remaining > 0 && stripe_events::ever(tx, stripe_id, PAYMENT_FAILED).await?;
    for (kind, holds, text) in [
        (
            "payment_failed",
            failed,
            format!(
                "Stripe could not collect {rest} for {stripe_id}: ask the customer for another way to pay"
            ),
        ),
        (
            "invoice_uncollectible",
            invoice.status == "uncollectible",
            format!(
                "{stripe_id} was given up at Stripe, with {rest} unpaid: decide whether to go on for this customer"
            ),
        ),
        (
            "invoice_voided",
            invoice.status == "void" && !ours.voided_here,
            format!("{stripe_id} was voided at Stripe: what it bills is not billed again by itself"),
        ),
    ] {
        if holds {
            alerts::raise(tx, kind, &ours.id, &text, now).await?;
        } else {
            alerts::clear(tx, kind, &ours.id, now).await?;
        }
    }
    Ok(true)
}

async fn write_dispute(
    tx: &Tx,
    id: &str,
    dispute: &DisputeNow,
    ours: &Ours,
    now: Timestamp,
) -> Result<(), StoreError> {
    const KIND: &str = "payment_disputed";
    // A warning that was closed is an inquiry that came to nothing.
    if matches!(dispute.status.as_str(), "won" | "warning_closed") {
        alerts::clear(tx, KIND, id, now).await?;
        return Ok(());
    }
    let code = dispute.currency.to_uppercase();
    let amount = match money::currency(&code) {
        Ok(currency) => minor_decimal(dispute.amount, currency),
        Err(_) => format!("{} minor units of", dispute.amount),
    };
    let text = format!(
        "The payment of `{}` is disputed ({}): {amount} {code}. Answer at Stripe; if it is lost, the money is gone",
        ours.id, dispute.reason
    );
    alerts::raise(tx, KIND, id, &text, now).await?;
    Ok(())
}

/// What Stripe does not show is for a person where it is ours.
async fn refused(tx: &Tx, look: &Look, status: u16, message: &str, now: Timestamp) -> Result<(), StoreError> {
    let object = look.object.as_str();
    let is_ours = stripe_events::ours(tx, object, None).await?.is_some()
        || !stripe_events::customers_of(tx, object).await?.is_empty();
    if status == 404 && !is_ours {
        let reason = format!("Stripe does not have it, and neither do we: {message}");
        return stripe_events::finish(tx, look, "ignored", Some(&reason)).await;
    }
    let what = look.events.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>().join(", ");
    let reason =
        format!("{what}: Stripe refused to show {object} ({status}): {message}. Look there, then replay");
    stripe_events::finish(tx, look, "parked", Some(&reason)).await?;
    let parked = Parked {
        origin: Origin::StripeEvent,
        reference: object.into(),
        headers: "{}".into(),
        body: Vec::new(),
        reason,
    };
    parked::park(tx, &[parked], now).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StripeEvent, String> {
        read_event(text.as_bytes(), Timestamp(7))
    }

    #[test]
    fn what_an_event_is_about() {
        let event =
            read(r#"{"id":"evt_1","type":"invoice.paid","livemode":true,"data":{"object":{"id":"in_1"}}}"#)
                .unwrap();
        assert_eq!((event.id.as_str(), event.object.as_str(), event.livemode), ("evt_1", "in_1", true));
        assert_eq!((event.kind.as_str(), event.ignored), ("invoice.paid", None));
        // Nothing else may stand in an address, and each of these is kept all the same.
        for ignored in [
            r#"{"id":"evt_2","type":"invoice.paid","data":{"object":{"id":"../customers"}}}"#,
            r#"{"id":"evt_2","type":"invoice.paid","data":{"object":{}}}"#,
            r#"{"id":"evt_2","type":"invoice.paid"}"#,
            r#"{"id":"evt_2","type":"plan.created","data":{"object":{"id":"plan_1"}}}"#,
            r#"{"id":"evt_2","type":"invoice.paid","account":"acct_1","data":{"object":{"id":"in_1"}}}"#,
        ] {
            assert!(read(ignored).unwrap().ignored.is_some(), "{ignored}");
        }
        for bad in ["", "{}", r#"{"id":"","type":"invoice.paid"}"#, r#"{"id":"a/b","type":"invoice.paid"}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
