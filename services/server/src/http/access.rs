//! Who may do what: API keys with scopes, and logins to the pages with such a key.

use super::Door;
use super::problem::Problem;
use actix_web::cookie::time::Duration as CookieDuration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, dev::Payload, web};
use clap::ValueEnum;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::pin::Pin;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::access::{self, ApiKey};
use verdict_store::{Store, StoreError};

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Send attempts.
    Ingest,
    /// Send resolutions.
    Resolve,
    /// Contracts and invoices.
    Billing,
    /// Reports and cases.
    Report,
    /// What is parked or in quarantine, the sources, the test clock.
    Admin,
}

impl Scope {
    /// Its name in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Resolve => "resolve",
            Self::Billing => "billing",
            Self::Report => "report",
            Self::Admin => "admin",
        }
    }
}

const COOKIE: &str = "verdict_session";
/// How long a login lasts.
const SESSION: Span = Span::hours(12);

/// SHA-256 in hex. What is hashed has 256 random bits: nothing slower is needed.
fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn random_hex<const BYTES: usize>() -> String {
    hex(&rand::random::<[u8; BYTES]>())
}

/// Makes a key: what is stored, and what its holder keeps. It cannot be shown again.
pub fn new_key(name: &str, scopes: &[Scope], now: Timestamp) -> (ApiKey, String) {
    let (id, secret) = (random_hex::<6>(), random_hex::<32>());
    let mut scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    scopes.dedup();
    let key = ApiKey {
        id: id.clone(),
        name: name.into(),
        secret_hash: hash(&secret),
        scopes: scopes.join(","),
        created_at: now,
        revoked_at: None,
    };
    (key, format!("vk_{id}_{secret}"))
}

/// The key behind a text such as `vk_ID_SECRET`, if it is one and not revoked.
async fn check(store: &Store, text: &str) -> Result<Option<ApiKey>, StoreError> {
    let Some((id, secret)) = text.strip_prefix("vk_").and_then(|rest| rest.split_once('_')) else {
        return Ok(None);
    };
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let key = access::find_key(store, id).await?;
    // Two hashes are compared, not two secrets: how long it takes tells nothing of use.
    Ok(key.filter(|key| key.secret_hash == hash(secret)))
}

/// Who calls: a key sent along, or one logged in with.
pub(crate) struct Caller {
    key: ApiKey,
}

impl Caller {
    /// The caller as the author of a fact.
    pub fn author(&self) -> String {
        format!("key:{}", self.key.name)
    }

    /// Refuses a caller whose key lacks a scope.
    pub fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.key.scopes.split(',').any(|has| has == scope.as_str()) {
            return Ok(());
        }
        let (name, needed) = (&self.key.name, scope.as_str());
        Err(Problem::forbidden(format!("the key `{name}` lacks the scope `{needed}`: use one that has it")))
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let missing = || Problem::unauthorised("a key is needed: send `Authorization: Bearer KEY`");
            let door = request.app_data::<web::Data<Door>>().ok_or_else(missing)?;
            let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
            let key = match (header, request.cookie(COOKIE)) {
                (Some(header), _) => {
                    let text = header.strip_prefix("Bearer ").ok_or_else(missing)?;
                    check(&door.store, text.trim()).await?
                }
                (None, Some(cookie)) => {
                    access::session_key(&door.store, &hash(cookie.value()), crate::clock::wall_clock())
                        .await?
                }
                (None, None) => return Err(missing()),
            };
            let key = key.ok_or_else(|| Problem::unauthorised("the key is unknown or revoked"))?;
            Ok(Self { key })
        })
    }
}

/// Logs in with a key; `None` if it is none.
pub(crate) async fn log_in(door: &Door, text: &str) -> Result<Option<Cookie<'static>>, StoreError> {
    let Some(key) = check(&door.store, text.trim()).await? else { return Ok(None) };
    let token = random_hex::<32>();
    let now = crate::clock::wall_clock();
    access::open_session(&door.store, &hash(&token), &key.id, now, now.plus(SESSION)).await?;
    Ok(Some(cookie(door, token, CookieDuration::seconds(SESSION.0 / 1_000_000))))
}

/// Logs out, and takes the cookie back.
pub(crate) async fn log_out(door: &Door, request: &HttpRequest) -> Result<Cookie<'static>, StoreError> {
    if let Some(cookie) = request.cookie(COOKIE) {
        access::close_session(&door.store, &hash(cookie.value())).await?;
    }
    Ok(cookie(door, String::new(), CookieDuration::ZERO))
}

/// Not readable by scripts; not sent along from other sites, so that no other site can act with it.
fn cookie(door: &Door, value: String, max_age: CookieDuration) -> Cookie<'static> {
    Cookie::build(COOKIE, value)
        .path("/")
        .http_only(true)
        .secure(door.secure_cookies)
        .same_site(SameSite::Strict)
        .max_age(max_age)
        .finish()
}
