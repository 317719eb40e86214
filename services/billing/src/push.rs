//! The step that carries invoices to Stripe.
//!
//! What is sent may be lost on the way there or back, so each call is made under a key derived from what it does,
//! each answer is stored before the next call, and what may be there already is looked up before it is made. Stripe
//! forgets keys after a day: the look-up does not depend on them.

use crate::events::deleted_text;
use crate::stripe::{
    Collection, InvoiceState, InvoiceStatus, NewCustomer, NewInvoice, NewItem, Stripe, StripeError,
};
use sha2::{Digest, Sha256};
use std::time::Duration;
use verdict_domain::invoice::Line;
use verdict_domain::judge::WinKind;
use verdict_domain::pricing::Item;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::invoices::{self, Invoice};
use verdict_store::outbox::{self, Errand, TRIES_PER_KEY};
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError, stripe_events};

/// How long to wait between tries, and how long one try may take.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The wait after the first failed try; it doubles with each.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// For how long an errand is leased: longer than one call can take. The lease is renewed before each call, and who
    /// has lost it stops.
    pub lease: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(2),
            longest: Duration::from_secs(600),
            lease: Duration::from_secs(90),
        }
    }
}

impl Backoff {
    /// The wait after so many tries of a thing: doubled each time, then up to a quarter more, by the thing's id, so that a
    /// thousand things that failed together do not come back together.
    pub(crate) fn wait(&self, tries: i64, id: &str) -> Span {
        let doublings = u32::try_from(tries.clamp(1, 20) - 1).unwrap_or(0);
        let wait = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.longest);
        let salt = id
            .bytes()
            .fold(tries.unsigned_abs(), |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let jitter = wait.as_micros() / 4 * u128::from(salt % 101) / 100;
        Span(i64::try_from(wait.as_micros() + jitter).unwrap_or(i64::MAX))
    }
}

/// Why a push did not succeed.
enum Failure {
    Stripe(StripeError),
    Store(StoreError),
    /// Stripe has something else than we do: for a person.
    Mismatch(String),
    /// Another process has the errand: it goes on with it.
    LostLease,
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

/// The step: carries the next errand that is due. `false`: none is. `now` is the wall clock, also under a test clock:
/// Stripe knows no other.
pub async fn push_next(
    store: &Store,
    stripe: &Stripe,
    backoff: &Backoff,
    now: fn() -> Timestamp,
) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    let leased_until = now().plus(span(backoff.lease));
    let Some(errand) = outbox::lease_errand(&tx, now(), leased_until).await? else { return Ok(false) };
    tx.commit().await?;
    let result = Push { store, stripe, errand: &errand, lease: span(backoff.lease), now }.carry().await;

    let now = now();
    let tx = store.begin().await?;
    match result {
        Ok(state) => outbox::finish_errand(&tx, &errand, state.status.as_str()).await?,
        Err(Failure::Store(error)) => return Err(error),
        Err(Failure::LostLease) => tracing::warn!(errand = errand.id, "another process took the errand over"),
        Err(Failure::Stripe(StripeError::NotNow { retry_after, message })) => {
            let wait = retry_after
                .map_or(backoff.wait(errand.tries, &errand.id), span)
                .max(backoff.wait(errand.tries, &errand.id));
            outbox::retry_errand(&tx, &errand, now.plus(wait), &message).await?;
        }
        Err(Failure::Stripe(StripeError::Unknown { message })) => {
            outbox::retry_errand(&tx, &errand, now.plus(backoff.wait(errand.tries, &errand.id)), &message)
                .await?;
        }
        Err(Failure::Stripe(refused @ StripeError::Refused { .. })) => {
            park(&tx, &errand, refused.to_string(), now).await?;
        }
        Err(Failure::Mismatch(reason)) => park(&tx, &errand, reason, now).await?,
    }
    tx.commit().await?;
    Ok(true)
}

async fn park(
    tx: &verdict_store::Tx,
    errand: &Errand,
    reason: String,
    now: Timestamp,
) -> Result<(), StoreError> {
    let reason = format!("{}. Mend it at Stripe, then replay", reason.trim_end_matches('.'));
    outbox::set_errand_aside(tx, errand, &reason).await?;
    let parked = Parked {
        origin: Origin::Outbox,
        reference: errand.id.clone(),
        headers: "{}".into(),
        body: Vec::new(),
        reason,
    };
    parked::park(tx, &[parked], now).await
}

fn span(duration: Duration) -> Span {
    Span(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// A line as Stripe shows it.
fn describe(invoice: &Invoice, line: &Line) -> String {
    let of = match line.period_start == invoice.period.start {
        true => String::new(),
        false => format!(", correction for the period from {}", line.period_start),
    };
    match &line.item {
        Item::Outcomes { .. } => format!("{} x {}{of}", line.quantity, line.item),
        item => format!("{item}{of}"),
    }
}

/// One try of one errand.
struct Push<'a> {
    store: &'a Store,
    stripe: &'a Stripe,
    errand: &'a Errand,
    lease: Span,
    now: fn() -> Timestamp,
}

impl Push<'_> {
    async fn carry(&self) -> Result<InvoiceState, Failure> {
        let invoice = invoices::find(self.store, &self.errand.invoice)
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("errand `{}` without its invoice", self.errand.id)))?;
        let stripe_customer = self.customer(&invoice).await?;
        let mut state = self.draft(&invoice, &stripe_customer).await?;
        if state.status == InvoiceStatus::Draft {
            let there = self.stripe.list_items(&state.id).await?;
            for line in &invoice.lines {
                if there.iter().any(|item| item.line == Some(line.number)) {
                    continue;
                }
                let item = NewItem {
                    stripe_customer: &stripe_customer,
                    stripe_invoice: &state.id,
                    verdict_invoice: &invoice.id,
                    line: line.number,
                    amount_minor: line.minor,
                    currency: invoice.currency.code(),
                    description: &describe(&invoice, line),
                    quantity: line.quantity,
                    action: line.item.name().unwrap_or_else(|| line.item.sort()),
                    kind: line.item.win().map_or_else(|| line.item.sort(), WinKind::as_str),
                };
                let key = self.key(&self.errand.id, &format!("line-{}", line.number)).await?;
                self.stripe.add_item(&key, &item).await?;
            }
            state = self.stripe.get_invoice(&state.id).await?;
            check_total(&invoice, &state)?;
            if state.status == InvoiceStatus::Draft {
                let key = self.key(&self.errand.id, "finalize").await?;
                state = self.stripe.finalize_invoice(&key, &state.id).await?;
            }
        }
        check_total(&invoice, &state)?;
        Ok(state)
    }

    /// The key of a call that is about to be made: renews the lease first, or fails if it is lost.
    ///
    /// Stripe keeps the answer to a key, even a 500, for a day; so every seventh try, and each replay by a person, has
    /// new keys. By then nothing is on its way any more (seven waits have passed), and what arrived is found by
    /// the look-up. A digest, as a customer's id may have letters that no header can carry.
    async fn key(&self, about: &str, call: &str) -> Result<String, Failure> {
        let tx = self.store.begin().await?;
        let held = outbox::renew_lease(&tx, self.errand, (self.now)().plus(self.lease)).await?;
        tx.commit().await?;
        if !held {
            return Err(Failure::LostLease);
        }
        let generation = (self.errand.tries - 1) / TRIES_PER_KEY;
        let digest = Sha256::digest(format!("{about}\n{call}\n{generation}"));
        Ok(format!("verdict-{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// Stripe's customer for ours: as stored, else as found, else a new one.
    async fn customer(&self, invoice: &Invoice) -> Result<String, Failure> {
        let ours = &invoice.customer;
        let tx = self.store.snapshot().await?;
        let linked = stripe_events::linked(&tx, ours).await?;
        drop(tx);
        match linked {
            // Never a second one by itself: it may have been deleted for a reason.
            Some(linked) if linked.deleted_at.is_some() => {
                return Err(Failure::Mismatch(deleted_text(ours, &linked.stripe_customer)));
            }
            Some(linked) => return Ok(linked.stripe_customer),
            None => {}
        }
        // Nothing there is older than our first try for this customer; clocks may differ by an hour.
        let first = outbox::first_push(self.store, ours).await?;
        let since = first.map_or(0, |at| at.0 / 1_000_000 - 3_600);
        let id = match self.stripe.find_customer(ours, since).await? {
            Some(id) => id,
            None => {
                let new = NewCustomer {
                    verdict_customer: ours,
                    name: &invoice.bill_to.name,
                    email: Some(&invoice.bill_to.email),
                };
                // By customer, not by errand: two invoices of one customer must not make two of it.
                let about = format!("{ours}\n{}\n{}", invoice.bill_to.name, invoice.bill_to.email);
                let key = self.key(&about, "customer").await?;
                self.stripe.create_customer(&key, &new).await?
            }
        };
        let tx = self.store.begin().await?;
        outbox::set_stripe_customer(&tx, ours, &id).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Stripe's invoice for ours: as stored, else as found, else a new draft.
    async fn draft(&self, invoice: &Invoice, stripe_customer: &str) -> Result<InvoiceState, Failure> {
        if let Some(id) = &invoice.stripe_id {
            return Ok(self.stripe.get_invoice(id).await?);
        }
        let state = match self.stripe.find_invoice(stripe_customer, &invoice.id).await? {
            Some(state) => state,
            None => {
                let new = NewInvoice {
                    stripe_customer,
                    verdict_invoice: &invoice.id,
                    currency: invoice.currency.code(),
                    description: &format!("Outcomes from {} to {}", invoice.period.start, invoice.period.end),
                    collection: Collection::SendInvoice { days_until_due: 30 },
                };
                let key = self.key(&self.errand.id, "invoice").await?;
                self.stripe.create_invoice(&key, &new).await?
            }
        };
        let tx = self.store.begin().await?;
        invoices::set_stripe_invoice(&tx, &invoice.id, &state.id, state.status.as_str()).await?;
        tx.commit().await?;
        Ok(state)
    }
}

fn check_total(invoice: &Invoice, state: &InvoiceState) -> Result<(), Failure> {
    if state.total == invoice.total_minor {
        return Ok(());
    }
    Err(Failure::Mismatch(format!(
        "Stripe's invoice {} totals {}, ours {} (in minor units of {})",
        state.id,
        state.total,
        invoice.total_minor,
        invoice.currency.code()
    )))
}
