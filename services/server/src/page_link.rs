//! The link to a customer's own page: signed, expiring, revocable, and not stored.
//!
//! A token is base64url of: a version byte, when it expires (microseconds, 8 bytes), 8 random bytes, the customer, and the
//! signature of all of that together with the customer's generation ([`page_links`]). Raising the generation revokes all
//! links of the customer.

use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verdict_domain::time::{MICROS_PER_DAY, Span, Timestamp};
use verdict_resolution::SealKey;
use verdict_store::{Store, StoreError, contracts, page_links};

const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 32;
/// Version, expiry, and what makes each token another.
const HEAD_BYTES: usize = 1 + 8 + 8;
/// The longest: a customer of 128 characters of 4 bytes.
const MOST_BYTES: usize = HEAD_BYTES + 512 + SIGNATURE_BYTES;

/// How many days a link holds if nobody says otherwise.
pub const DAYS: u32 = 30;
/// How many it holds at most.
const MOST_DAYS: u32 = 400;

/// Why there is no link; the caller must mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoLink {
    /// The configuration lacks something.
    #[error("{0}")]
    Unconfigured(&'static str),
    /// There is no such customer.
    #[error("{0}")]
    NotFound(String),
    /// A field is wrong.
    #[error("{0}")]
    Invalid(String),
}

/// A link to a customer's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageLink {
    /// The whole address.
    pub url: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// The key for links, if the configuration has one.
pub fn link_key(config: &Config) -> Result<Option<SealKey>, String> {
    config.secrets_key.as_deref().map(SealKey::parse).transpose().map_err(|error| error.to_string())
}

/// Makes a link that holds for `days` from `now` on.
pub async fn make_link(
    store: &Store,
    (key, public_url): (Option<&SealKey>, Option<&str>),
    customer: &str,
    days: u32,
    now: Timestamp,
) -> Result<Result<PageLink, NoLink>, StoreError> {
    let Some(key) = key else {
        let remedy = "secrets_key is not set: it signs the link. Make one with `openssl rand -base64 32`";
        return Ok(Err(NoLink::Unconfigured(remedy)));
    };
    let Some(public_url) = public_url else {
        let remedy = "public_url is not set: the link begins with it. Set it to where customers reach the service, \
                      such as `https://billing.example.com`";
        return Ok(Err(NoLink::Unconfigured(remedy)));
    };
    if !(1..=MOST_DAYS).contains(&days) {
        return Ok(Err(NoLink::Invalid(format!("days: must be from 1 to {MOST_DAYS}"))));
    }
    if !has_contract(store, customer).await? {
        return Ok(Err(NoLink::NotFound(format!("customer: `{customer}` has no contract"))));
    }
    let expires_at = now.plus(Span(i64::from(days) * MICROS_PER_DAY));
    let generation = page_links::generation(store, customer).await?;
    let token = token(key, customer, expires_at, generation, rand::random());
    let url = format!("{}/c/{token}", public_url.trim_end_matches('/'));
    Ok(Ok(PageLink { url, expires_at }))
}

/// Whether a customer has a contract.
pub async fn has_contract(store: &Store, customer: &str) -> Result<bool, StoreError> {
    let tx = store.snapshot().await?;
    Ok(!contracts::of_customers(&tx, std::iter::once(customer)).await?.is_empty())
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The page of this customer.
    Page(String),
    /// Nothing any more.
    Expired,
    /// Nothing: it is not signed by us, changed, or revoked.
    Wrong,
}

/// Says what a token opens at `now`.
pub async fn open_link(
    store: &Store,
    key: Option<&SealKey>,
    token: &str,
    now: Timestamp,
) -> Result<Opened, StoreError> {
    let (Some(key), Some(read)) = (key, read(token)) else { return Ok(Opened::Wrong) };
    let generation = page_links::generation(store, &read.customer).await?;
    if !key.has_signed_link(&signed(&read.said, generation), &read.signature) {
        return Ok(Opened::Wrong);
    }
    Ok(if read.expires_at > now { Opened::Page(read.customer) } else { Opened::Expired })
}

fn token(key: &SealKey, customer: &str, expires_at: Timestamp, generation: i64, nonce: [u8; 8]) -> String {
    let said = [&[VERSION][..], &expires_at.0.to_be_bytes(), &nonce, customer.as_bytes()].concat();
    let signature = key.sign_link(&signed(&said, generation));
    URL_SAFE_NO_PAD.encode([&said[..], &signature].concat())
}

/// What is signed: the generation has a fixed length, so that nothing reads as something else.
fn signed(said: &[u8], generation: i64) -> Vec<u8> {
    [&generation.to_be_bytes()[..], said].concat()
}

struct Read {
    said: Vec<u8>,
    signature: Vec<u8>,
    expires_at: Timestamp,
    customer: String,
}

fn read(token: &str) -> Option<Read> {
    if token.len() > MOST_BYTES * 4 / 3 + 4 {
        return None;
    }
    let mut said = URL_SAFE_NO_PAD.decode(token).ok()?;
    let signature = said.split_off(said.len().checked_sub(SIGNATURE_BYTES)?);
    let (head, customer) = said.split_first_chunk::<HEAD_BYTES>()?;
    let (version, rest) = head.split_first()?;
    let (expires_at, _) = rest.split_first_chunk::<8>()?;
    let customer = std::str::from_utf8(customer).ok()?.to_string();
    if *version != VERSION || customer.is_empty() || customer.contains(char::is_control) {
        return None;
    }
    Some(Read { expires_at: Timestamp(i64::from_be_bytes(*expires_at)), customer, signature, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_put_in_it_and_no_byte_of_it_can_change() {
        let key = SealKey::parse("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=").ok();
        let key = key.as_ref();
        let made = key.map(|key| token(key, "acme ü", Timestamp(7), 3, [9; 8])).unwrap_or_default();
        let holds = |token: &str, generation: i64| {
            let read = read(token);
            let verified = read.as_ref().zip(key);
            verified.is_some_and(|(read, key)| {
                key.has_signed_link(&signed(&read.said, generation), &read.signature)
            })
        };
        let opened = read(&made).map(|read| (read.customer, read.expires_at));
        assert_eq!(opened, Some(("acme ü".to_string(), Timestamp(7))));
        assert!(holds(&made, 3) && !holds(&made, 4) && !holds(&made, 2));
        let bytes = URL_SAFE_NO_PAD.decode(&made).unwrap_or_default();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(!holds(&URL_SAFE_NO_PAD.encode(&changed), 3), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(!holds(&URL_SAFE_NO_PAD.encode(&bytes[..cut]), 3), "{cut} bytes");
        }
        for bad in ["", "?", "a/b", &made.replace('_', "/"), &"A".repeat(10_000)] {
            assert!(bad == made || !holds(bad, 3), "{bad}");
        }
    }
}
