//! The step that carries invoices, credit notes and voids to Stripe.
//!
//! What is sent may be lost on the way there or back, so each call is made under a key derived from what it does,
//! each answer is stored before the next call, and what may be there already is looked up before it is made. Stripe
//! forgets keys after a day: the look-up does not depend on them.

mod credit_note;
mod invoice;
mod void;

pub use void::{VoidAsked, void};

use crate::stripe::{Stripe, StripeError};
use sha2::{Digest, Sha256};
use std::time::Duration;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::invoices::{self, Invoice};
use verdict_store::outbox::{self, Errand, Sort, TRIES_PER_KEY};
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError};

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
    /// For a person: what is wrong, and what to do.
    Wrong(String, String),
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
        Ok(status) => outbox::finish_errand(&tx, &errand, &status).await?,
        Err(Failure::Store(error)) => return Err(error),
        Err(Failure::LostLease) => tracing::warn!(errand = errand.id, "another process took the errand over"),
        Err(Failure::Stripe(
            StripeError::NotNow { retry_after, message } | StripeError::Unknown { retry_after, message },
        )) => {
            let wait = retry_after.map_or(Span(0), span).max(backoff.wait(errand.tries, &errand.id));
            outbox::retry_errand(&tx, &errand, now.plus(wait), &message).await?;
        }
        Err(Failure::Stripe(refused @ StripeError::Refused { .. })) => {
            let remedy = remedy(&errand, &refused);
            park(&tx, &errand, &refused.to_string(), &remedy, now).await?;
        }
        Err(Failure::Wrong(what, remedy)) => park(&tx, &errand, &what, &remedy, now).await?,
    }
    tx.commit().await?;
    Ok(true)
}

/// What a person does about a refusal.
fn remedy(errand: &Errand, refused: &StripeError) -> String {
    let StripeError::Refused { code, message, .. } = refused else { return String::new() };
    match code.as_deref() {
        // The code for it differs by what was asked.
        Some("customer_tax_location_invalid" | "tax_location_invalid") => {
            format!(
                "Give customer `{}` an address at Stripe, which automatic tax needs, then replay",
                errand.customer
            )
        }
        _ if message.contains("automatic tax") => {
            "Automatic tax needs the customer's address at Stripe and takes no \
             negative lines (`corrections = \"credit_note\"` makes none): mend it at Stripe, then replay"
                .into()
        }
        _ => "Mend it at Stripe, then replay".into(),
    }
}

async fn park(
    tx: &verdict_store::Tx,
    errand: &Errand,
    what: &str,
    remedy: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let document = match errand.sort {
        Sort::Invoice => "the invoice",
        Sort::CreditNote => "the credit note",
        Sort::Void => "the void of invoice",
    };
    let meanwhile = match errand.sort {
        Sort::Void => "",
        _ => ". Until then nothing else of this customer goes to Stripe",
    };
    let reason = format!(
        "customer `{}`, {document} `{}`: {}. {}{meanwhile}",
        errand.customer,
        errand.invoice,
        what.trim_end_matches('.'),
        remedy.trim_end_matches('.'),
    );
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

/// Not yet, and certainly nothing was applied: the errand waits.
fn not_now(message: String) -> Failure {
    Failure::Stripe(StripeError::NotNow { retry_after: None, message })
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
    /// Carries it, and gives the state in which Stripe has the document then.
    async fn carry(&self) -> Result<String, Failure> {
        let document = self.document(&self.errand.invoice).await?;
        match self.errand.sort {
            Sort::Invoice => self.carry_invoice(&document).await,
            Sort::CreditNote => self.carry_credit_note(&document).await,
            Sort::Void => self.carry_void(&document).await,
        }
    }

    async fn document(&self, id: &str) -> Result<Invoice, Failure> {
        let found = invoices::find(self.store, id).await?;
        Ok(found.ok_or_else(|| StoreError::Corrupt(format!("errand `{}` without `{id}`", self.errand.id)))?)
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
}
