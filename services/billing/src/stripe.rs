//! The few calls to Stripe that billing makes, and what to do when one fails.
//!
//! A call that writes bears an idempotency key given by the caller and is sent exactly once: whether and when
//! to send again is the caller's to decide, by the kind of [`StripeError`]. Everything made here carries the
//! names of our own records as metadata, so that what became of an unanswered call can be looked up.
//!
//! Lookups list and compare; Stripe's search is not used, as it may lag behind by a minute.

mod meter;
mod objects;

pub use meter::NewMeterEvent;
pub use objects::{CreditNoteNow, DisputeNow, InvoiceNow, is_id};

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use miniserde::Deserialize;
use stripe::{IdempotencyKey, RequestStrategy};
use stripe_billing::InvoiceCollectionMethod;
use stripe_billing::invoice::{
    CreateInvoice, CreateInvoicePendingInvoiceItemsBehavior, FinalizeInvoiceInvoice, ListInvoice,
    RetrieveInvoice,
};
use stripe_billing::invoice_item::{CreateInvoiceItem, ListInvoiceItem};
use stripe_client_core::{RequestBuilder, StripeRequest};
use stripe_core::customer::{CreateCustomer, ListCustomer};
use stripe_types::{Currency, RangeQueryTs};

const CUSTOMER: &str = "verdict_customer";
const INVOICE: &str = "verdict_invoice";
const LINE: &str = "verdict_line";

/// The most that Stripe gives in one page of a list.
const PAGE: i64 = 100;

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
        /// How long Stripe asks to wait. `None` so far: async-stripe keeps the `Retry-After` header to itself.
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
        /// What happened.
        message: String,
    },
}

/// A customer to create.
#[derive(Debug, Clone)]
pub struct NewCustomer<'a> {
    /// Our id of the customer.
    pub verdict_customer: &'a str,
    /// The name on the invoice.
    pub name: &'a str,
    /// Where invoices are sent; Stripe demands one for [`Collection::SendInvoice`].
    pub email: Option<&'a str>,
}

/// How an invoice is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Collection {
    /// By the customer's stored payment method.
    ChargeAutomatically,
    /// By the customer, on receipt.
    SendInvoice {
        /// Days from finalising until payment is due.
        days_until_due: u32,
    },
}

/// An empty draft to create.
#[derive(Debug, Clone)]
pub struct NewInvoice<'a> {
    /// Stripe's id of the customer.
    pub stripe_customer: &'a str,
    /// Our id of the invoice.
    pub verdict_invoice: &'a str,
    /// ISO 4217, in any case.
    pub currency: &'a str,
    /// Shown on the invoice.
    pub description: &'a str,
    /// How it is to be paid.
    pub collection: Collection,
}

/// A line to add to a draft.
#[derive(Debug, Clone)]
pub struct NewItem<'a> {
    /// Stripe's id of the customer.
    pub stripe_customer: &'a str,
    /// Stripe's id of the draft.
    pub stripe_invoice: &'a str,
    /// Our id of the invoice.
    pub verdict_invoice: &'a str,
    /// The line's number on our invoice.
    pub line: u32,
    /// The line's amount in the currency's minor unit; may be negative.
    pub amount_minor: i64,
    /// The invoice's currency.
    pub currency: &'a str,
    /// Shown on the line.
    pub description: &'a str,
    /// How many outcomes the line stands for. Kept as metadata: Stripe has no negative quantities.
    pub quantity: i64,
    /// The action that was priced.
    pub action: &'a str,
    /// Confirmed or assumed.
    pub kind: &'a str,
}

/// Where an invoice stands at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceStatus {
    /// May still be changed.
    Draft,
    /// Finalised and awaiting payment.
    Open,
    /// Paid, or nothing was to be paid.
    Paid,
    /// Withdrawn.
    Void,
    /// Given up.
    Uncollectible,
}

impl InvoiceStatus {
    /// What Stripe calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }
}

/// An invoice as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceState {
    /// Stripe's id.
    pub id: String,
    /// Where it stands.
    pub status: InvoiceStatus,
    /// The sum of its lines in the currency's minor unit.
    pub total: i64,
}

/// A line of an invoice as Stripe has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemState {
    /// Stripe's id.
    pub id: String,
    /// The line's number on our invoice; `None` for a line that we did not make.
    pub line: Option<u32>,
    /// In the currency's minor unit.
    pub amount_minor: i64,
}

/// A client of Stripe's API.
#[derive(Debug, Clone)]
pub struct Stripe {
    client: stripe::Client,
    timeout: Duration,
    live: bool,
}

impl Stripe {
    /// A client that gives up on any one call after `timeout`. `base_url` stands in for Stripe's own.
    pub fn new(secret_key: &str, base_url: Option<&str>, timeout: Duration) -> Result<Self, ConfigError> {
        if secret_key.trim().is_empty() {
            return Err(ConfigError::EmptyKey);
        }
        let mut builder = stripe::ClientBuilder::new(secret_key);
        if let Some(url) = base_url {
            // The crate appends paths as they are, so that without the slash they run into the host.
            builder = builder.url(format!("{}/", url.trim_end_matches('/')));
        }
        let client = builder.build().map_err(|error| ConfigError::Invalid(error.to_string()))?;
        let live = secret_key.starts_with("sk_live_") || secret_key.starts_with("rk_live_");
        Ok(Self { client, timeout, live })
    }

    /// Whether the key moves real money.
    pub fn is_live_key(&self) -> bool {
        self.live
    }

    /// Creates a customer and gives its id at Stripe.
    pub async fn create_customer(&self, key: &str, new: &NewCustomer<'_>) -> Result<String, StripeError> {
        let mut request = CreateCustomer::new()
            .name(new.name)
            .metadata(metadata([(CUSTOMER, new.verdict_customer.to_owned())]));
        if let Some(email) = new.email {
            request = request.email(email);
        }
        let customer: CustomerReply = self.post(key, &request).await?;
        Ok(customer.id)
    }

    /// Finds the customer made for ours, among those created since then (Unix time).
    pub async fn find_customer(
        &self,
        verdict_customer: &str,
        created_since_unix: i64,
    ) -> Result<Option<String>, StripeError> {
        let list = ListCustomer::new().limit(PAGE).created(RangeQueryTs::gte(created_since_unix));
        self.walk(&list, |customer: CustomerReply| {
            is(&customer.metadata, CUSTOMER, verdict_customer).then_some(Ok(customer.id))
        })
        .await
    }

    /// Creates an empty draft that Stripe neither finalises by itself nor fills with stray items.
    pub async fn create_invoice(&self, key: &str, new: &NewInvoice<'_>) -> Result<InvoiceState, StripeError> {
        let request = CreateInvoice::new()
            .customer(new.stripe_customer)
            .currency(currency(new.currency))
            .description(new.description)
            .auto_advance(false)
            .pending_invoice_items_behavior(CreateInvoicePendingInvoiceItemsBehavior::Exclude)
            .metadata(metadata([(INVOICE, new.verdict_invoice.to_owned())]));
        let request = match new.collection {
            Collection::ChargeAutomatically => {
                request.collection_method(InvoiceCollectionMethod::ChargeAutomatically)
            }
            Collection::SendInvoice { days_until_due } => {
                request.collection_method(InvoiceCollectionMethod::SendInvoice).days_until_due(days_until_due)
            }
        };
        self.post::<InvoiceReply>(key, &request).await?.state()
    }

    /// Finds the invoice made for ours, in whatever state.
    pub async fn find_invoice(
        &self,
        stripe_customer: &str,
        verdict_invoice: &str,
    ) -> Result<Option<InvoiceState>, StripeError> {
        let list = ListInvoice::new().limit(PAGE).customer(stripe_customer);
        self.walk(&list, |invoice: InvoiceReply| {
            is(&invoice.metadata, INVOICE, verdict_invoice).then(|| invoice.state())
        })
        .await
    }

    /// Adds a line to a draft and gives the id of the item. Stripe takes at most 250 on an invoice.
    pub async fn add_item(&self, key: &str, new: &NewItem<'_>) -> Result<String, StripeError> {
        let request = CreateInvoiceItem::new()
            .customer(new.stripe_customer)
            // An item without an invoice would end up on whichever is made next.
            .invoice(new.stripe_invoice)
            .amount(new.amount_minor)
            .currency(currency(new.currency))
            .description(new.description)
            .metadata(metadata([
                (INVOICE, new.verdict_invoice.to_owned()),
                (LINE, new.line.to_string()),
                ("verdict_quantity", new.quantity.to_string()),
                ("verdict_action", new.action.to_owned()),
                ("verdict_kind", new.kind.to_owned()),
            ]));
        let item: ItemReply = self.post(key, &request).await?;
        Ok(item.id)
    }

    /// The lines of an invoice, newest first.
    pub async fn list_items(&self, stripe_invoice: &str) -> Result<Vec<ItemState>, StripeError> {
        let mut items = Vec::new();
        let list = ListInvoiceItem::new().limit(PAGE).invoice(stripe_invoice);
        self.walk(&list, |item: ItemReply| -> Option<Result<(), StripeError>> {
            items.push(item.state());
            None
        })
        .await?;
        Ok(items)
    }

    /// Finalises a draft; from then on Stripe sends it, collects and reminds by itself.
    pub async fn finalize_invoice(&self, key: &str, id: &str) -> Result<InvoiceState, StripeError> {
        self.post::<InvoiceReply>(key, &FinalizeInvoiceInvoice::new(id).auto_advance(true)).await?.state()
    }

    /// An invoice by its id at Stripe.
    pub async fn get_invoice(&self, id: &str) -> Result<InvoiceState, StripeError> {
        self.get::<InvoiceReply>(RetrieveInvoice::new(id).build()).await?.state()
    }

    async fn post<T: Deserialize>(&self, key: &str, request: &impl StripeRequest) -> Result<T, StripeError> {
        let unfit = |why: String| StripeError::Refused {
            status: 400,
            code: None,
            message: format!("the idempotency key {key:?} cannot be sent: {why}"),
        };
        // Seen here, as the crate would report it like a broken connection.
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unfit("only printable ASCII without spaces fits a header".to_owned()));
        }
        let key = IdempotencyKey::new(key).map_err(|error| unfit(error.to_string()))?;
        let mut request = request.build();
        request.body = request.body.map(|form| in_order(&form));
        let request = request.customize::<T>().request_strategy(RequestStrategy::Idempotent(key));
        Ok(request.timeout(self.timeout).send(&self.client).await?)
    }

    async fn get<T: Deserialize>(&self, request: RequestBuilder) -> Result<T, StripeError> {
        let request = request.customize::<T>().request_strategy(RequestStrategy::Once);
        Ok(request.timeout(self.timeout).send(&self.client).await?)
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

#[derive(Deserialize)]
struct CustomerReply {
    id: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct InvoiceReply {
    id: String,
    status: Option<String>,
    total: i64,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct ItemReply {
    id: String,
    amount: i64,
    metadata: Metadata,
}

impl Listed for CustomerReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for InvoiceReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Listed for ItemReply {
    fn id(&self) -> &str {
        &self.id
    }
}

impl InvoiceReply {
    fn state(self) -> Result<InvoiceState, StripeError> {
        let status = match self.status.as_deref() {
            Some("draft") => InvoiceStatus::Draft,
            Some("open") => InvoiceStatus::Open,
            Some("paid") => InvoiceStatus::Paid,
            Some("void") => InvoiceStatus::Void,
            Some("uncollectible") => InvoiceStatus::Uncollectible,
            other => {
                return Err(StripeError::Unknown {
                    message: format!("invoice {} has status {other:?}", self.id),
                });
            }
        };
        Ok(InvoiceState { id: self.id, status, total: self.total })
    }
}

impl ItemReply {
    fn state(self) -> ItemState {
        let line = self.metadata.as_ref().and_then(|metadata| metadata.get(LINE)?.parse().ok());
        ItemState { id: self.id, line, amount_minor: self.amount }
    }
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

impl From<stripe::StripeError> for StripeError {
    fn from(error: stripe::StripeError) -> Self {
        use stripe::StripeError as Crate;
        match error {
            Crate::Stripe(error, status) => {
                let code = error.code.as_ref().map(|code| code.as_str().to_owned());
                let message = error.message.unwrap_or_else(|| error.type_.to_string());
                match status {
                    401 | 403 | 409 | 429 => Self::NotNow { retry_after: None, message },
                    // 408 and 424: something gave up on waiting, on this side or behind Stripe.
                    400..500 if status != 408 && status != 424 => Self::Refused { status, code, message },
                    _ => Self::Unknown { message: format!("{status}: {message}") },
                }
            }
            // All that the crate tells of a connection that never came about. Should its words ever change, this
            // falls through to the safe side.
            Crate::ClientError(message) if message == "client error (Connect)" => {
                Self::NotNow { retry_after: None, message: "no connection to Stripe".to_owned() }
            }
            other => Self::Unknown { message: other.to_string() },
        }
    }
}
