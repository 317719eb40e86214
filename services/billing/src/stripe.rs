//! The few calls to Stripe that billing makes, and what to do when one fails.
//!
//! A call that writes bears an idempotency key given by the caller and is sent exactly once: whether and when
//! to send again is the caller's to decide, by the kind of [`StripeError`]. Everything made here carries the
//! names of our own records as metadata, so that what became of an unanswered call can be looked up.
//!
//! Lookups list and compare; Stripe's search is not used, as it may lag behind by a minute.
//!
//! The requests are async-stripe's; they are sent and their answers told apart in `wire`.

mod credit_notes;
mod customers;
mod invoices;
mod meter;
mod objects;
mod reconcile;
mod wire;

pub use credit_notes::{Credit, CreditNoteState, NewCreditNote, Split};
pub use customers::NewCustomer;
pub use invoices::{Collection, InvoiceState, InvoiceStatus, ItemState, LineState, NewInvoice, NewItem};
pub use meter::NewMeterEvent;
pub use objects::{CreditNoteNow, DisputeNow, InvoiceNow, is_id};
pub use reconcile::{Seen, SeenPage};

use miniserde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_types::Currency;
use wire::Wire;

/// The most that Stripe gives in one page of a list.
const PAGE: i64 = 100;

/// The longest key that Stripe takes.
const KEY: usize = 255;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No secret key.
    #[error("the Stripe secret key is empty")]
    EmptyKey,
    /// The key or the base URL cannot be used.
    #[error("the Stripe client cannot be configured: {0}")]
    Invalid(String),
}

/// Why a call failed, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe understood and refused: the call as sent will never work, and a person must look at it.
    #[error("Stripe refused ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's error code, where it gives one.
        code: Option<String>,
        /// Stripe's words.
        message: String,
    },
    /// This call was certainly not applied; send it again later, with the same key.
    ///
    /// That is: too many requests (429), a call with the same key still under way (409), no connection at all,
    /// or a secret key that is refused (401, 403): then the key is at fault, not the call, and the same call
    /// works once an operator has put the key right.
    #[error("Stripe cannot take the call now: {message}")]
    NotNow {
        /// How long Stripe asks to wait: an hour at most.
        retry_after: Option<Duration>,
        /// What happened.
        message: String,
    },
    /// It may have been applied or not: time-out, broken connection, 5xx or an unreadable answer.
    ///
    /// Look the object up. If it is not there, send again **with the same key**, as the first call may still be
    /// on its way. Stripe keeps a 500 and repeats it for the key, for a day at least: where the same key keeps
    /// failing and the object is still absent, only a new key can help.
    #[error("it is unknown whether Stripe applied the call: {message}")]
    Unknown {
        /// How long Stripe asks to wait (with a 503): an hour at most.
        retry_after: Option<Duration>,
        /// What happened.
        message: String,
    },
}

impl StripeError {
    fn unknown(message: impl Into<String>) -> Self {
        Self::Unknown { retry_after: None, message: message.into() }
    }
}

/// A client of Stripe's API.
#[derive(Debug, Clone)]
pub struct Stripe {
    wire: Wire,
    live: bool,
}

impl Stripe {
    /// A client that gives up on any one call after `timeout`. `base_url` stands in for Stripe's own.
    pub fn new(secret_key: &str, base_url: Option<&str>, timeout: Duration) -> Result<Self, ConfigError> {
        if secret_key.trim().is_empty() {
            return Err(ConfigError::EmptyKey);
        }
        let wire = Wire::new(secret_key, base_url, timeout).map_err(ConfigError::Invalid)?;
        let live = secret_key.starts_with("sk_live_") || secret_key.starts_with("rk_live_");
        Ok(Self { wire, live })
    }

    /// Whether the key moves real money.
    pub fn is_live_key(&self) -> bool {
        self.live
    }

    async fn post<T: Deserialize>(&self, key: &str, request: &impl StripeRequest) -> Result<T, StripeError> {
        if key.is_empty() || key.len() > KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StripeError::Refused {
                status: 400,
                code: None,
                message: format!(
                    "the idempotency key {key:?} cannot be sent: 1 to {KEY} printable ASCII characters without \
                     spaces fit"
                ),
            });
        }
        let mut request = request.build();
        request.body = request.body.map(|form| in_order(&form));
        self.wire.send(request, Some(key)).await
    }

    async fn get<T: Deserialize>(&self, request: RequestBuilder) -> Result<T, StripeError> {
        self.wire.send(request, None).await
    }

    /// Goes through a list, newest first and page by page, until `take` gives something.
    async fn walk<T: Listed, R>(
        &self,
        list: &impl StripeRequest,
        mut take: impl FnMut(T) -> Option<Result<R, StripeError>>,
    ) -> Result<Option<R>, StripeError> {
        let mut last: Option<String> = None;
        loop {
            let mut request = list.build();
            if let (Some(query), Some(last)) = (&mut request.query, &last) {
                query.push_str(&format!("&starting_after={last}"));
            }
            let page: Page<T> = self.get(request).await?;
            last = page.data.last().map(|object| object.id().to_owned());
            for object in page.data {
                if let Some(found) = take(object) {
                    return found.map(Some);
                }
            }
            // An empty page that promises more would have us ask for the first page for ever.
            if !page.has_more || last.is_none() {
                return Ok(None);
            }
        }
    }
}

// Stripe's answers, of which only what is used is read: its full types refuse an answer in which any one of some
// eighty fields is not as expected.

type Metadata = Option<BTreeMap<String, String>>;

#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    has_more: bool,
}

trait Listed: Deserialize {
    fn id(&self) -> &str;
}

fn is(metadata: &Metadata, name: &str, value: &str) -> bool {
    metadata.as_ref().and_then(|metadata| metadata.get(name)).is_some_and(|found| found == value)
}

fn metadata<const N: usize>(pairs: [(&str, String); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn currency(code: &str) -> Currency {
    // Every code parses: one that the crate does not know is passed on for Stripe to judge.
    let Ok(currency) = code.to_ascii_lowercase().parse::<Currency>();
    currency
}

/// The form with its pairs sorted. The crate takes metadata as a hash map, in whose random order one and the same
/// call would read differently each time, though it bears the same idempotency key.
fn in_order(form: &str) -> String {
    let mut pairs: Vec<&str> = form.split('&').collect();
    pairs.sort_unstable();
    pairs.join("&")
}
