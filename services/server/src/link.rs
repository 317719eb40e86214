//! Links that open one thing without a login: signed, expiring, revocable, and not stored.
//!
//! A token is base64url of: a byte for what sort of link it is, when it expires (microseconds, 8 bytes), 8 random bytes, what
//! it opens, and the signature of all of that together with a generation ([`page_links`]). Raising the generation revokes
//! all links of before.

use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verdict_domain::time::Timestamp;
use verdict_resolution::SealKey;
use verdict_store::{Store, StoreError, page_links};

const SIGNATURE_BYTES: usize = 32;
/// Sort, expiry, and what makes each token another.
const HEAD_BYTES: usize = 1 + 8 + 8;
/// The most bytes of what a link opens: it must fit into an address that browsers and proxies take.
const MOST_SUBJECT: usize = 1_500;

/// What a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// A customer's own page: the subject is the customer.
    CustomerPage,
    /// One view of a report: the subject is the report with its parameters.
    Report,
}

impl Sort {
    fn byte(self) -> u8 {
        match self {
            Self::CustomerPage => 1,
            Self::Report => 2,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::CustomerPage => "c",
            Self::Report => "r",
        }
    }

    /// Whose generation a link's signature covers: the customer's, or that of all reports (no customer's name is empty).
    fn holder(self, subject: &str) -> &str {
        match self {
            Self::CustomerPage => subject,
            Self::Report => "",
        }
    }
}

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

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The whole address.
    pub url: String,
    /// Until when it holds.
    pub expires_at: Timestamp,
}

/// The key for links, if the configuration has one.
pub fn link_key(config: &Config) -> Result<Option<SealKey>, String> {
    config.secrets_key.as_deref().map(SealKey::parse).transpose().map_err(|error| error.to_string())
}

/// What links are made with.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    key: &'a SealKey,
    public_url: &'a str,
}

impl<'a> Maker<'a> {
    /// From what is configured.
    pub fn new((key, public_url): (Option<&'a SealKey>, Option<&'a str>)) -> Result<Self, NoLink> {
        let key = key.ok_or(NoLink::Unconfigured(
            "secrets_key is not set: it signs the link. Make one with `openssl rand -base64 32`",
        ))?;
        let public_url = public_url.ok_or(NoLink::Unconfigured(
            "public_url is not set: the link begins with it. Set it to where others reach the service, such as \
             `https://billing.example.com`",
        ))?;
        Ok(Self { key, public_url })
    }
}

/// Makes a link that holds until `expires_at`.
pub async fn make(
    store: &Store,
    Maker { key, public_url }: Maker<'_>,
    sort: Sort,
    subject: &str,
    expires_at: Timestamp,
) -> Result<Result<Link, NoLink>, StoreError> {
    if subject.len() > MOST_SUBJECT {
        return Ok(Err(NoLink::Invalid("the link would be too long: use shorter filters".into())));
    }
    let generation = page_links::generation(store, sort.holder(subject)).await?;
    let token = token(key, sort, subject, expires_at, generation, rand::random());
    let url = format!("{}/{}/{token}", public_url.trim_end_matches('/'), sort.path());
    Ok(Ok(Link { url, expires_at }))
}

/// Revokes all links of before: to a customer's page (`subject`: the customer), or to all reports.
pub async fn revoke(store: &Store, sort: Sort, subject: &str) -> Result<(), StoreError> {
    page_links::raise_generation(store, sort.holder(subject)).await?;
    Ok(())
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// This subject.
    Subject(String),
    /// Nothing any more.
    Expired,
    /// Nothing: it is not signed by us, changed, of another sort, or revoked.
    Wrong,
}

/// Says what a token of this sort opens at `now`.
pub async fn open(
    store: &Store,
    key: Option<&SealKey>,
    sort: Sort,
    token: &str,
    now: Timestamp,
) -> Result<Opened, StoreError> {
    let (Some(key), Some(read)) = (key, read(token)) else { return Ok(Opened::Wrong) };
    let generation = page_links::generation(store, sort.holder(&read.subject)).await?;
    if read.sort != sort.byte() || !key.has_signed_link(&signed(&read.said, generation), &read.signature) {
        return Ok(Opened::Wrong);
    }
    Ok(if read.expires_at > now { Opened::Subject(read.subject) } else { Opened::Expired })
}

fn token(
    key: &SealKey,
    sort: Sort,
    subject: &str,
    expires_at: Timestamp,
    generation: i64,
    nonce: [u8; 8],
) -> String {
    let said = [&[sort.byte()][..], &expires_at.0.to_be_bytes(), &nonce, subject.as_bytes()].concat();
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
    sort: u8,
    expires_at: Timestamp,
    subject: String,
}

fn read(token: &str) -> Option<Read> {
    if token.len() > (HEAD_BYTES + MOST_SUBJECT + SIGNATURE_BYTES) * 4 / 3 + 4 {
        return None;
    }
    let mut said = URL_SAFE_NO_PAD.decode(token).ok()?;
    let signature = said.split_off(said.len().checked_sub(SIGNATURE_BYTES)?);
    let (head, subject) = said.split_first_chunk::<HEAD_BYTES>()?;
    let (sort, rest) = head.split_first()?;
    let (sort, (expires_at, _)) = (*sort, rest.split_first_chunk::<8>()?);
    let subject = std::str::from_utf8(subject).ok()?.to_string();
    if subject.is_empty() || subject.contains(char::is_control) {
        return None;
    }
    Some(Read { sort, expires_at: Timestamp(i64::from_be_bytes(*expires_at)), subject, signature, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_was_put_in_it_and_no_byte_of_it_can_change() {
        let key = SealKey::parse("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=").ok();
        let key = key.as_ref();
        let sort = Sort::CustomerPage;
        let made = key.map(|key| token(key, sort, "acme ü", Timestamp(7), 3, [9; 8])).unwrap_or_default();
        let holds = |token: &str, generation: i64| {
            let read = read(token);
            let verified = read.as_ref().zip(key);
            verified.is_some_and(|(read, key)| {
                key.has_signed_link(&signed(&read.said, generation), &read.signature)
            })
        };
        let opened = read(&made).map(|read| (read.sort, read.subject, read.expires_at));
        assert_eq!(opened, Some((1, "acme ü".to_string(), Timestamp(7))));
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
