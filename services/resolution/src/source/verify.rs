//! The verifier: one for all schemes.

use super::Request;
use super::encoding::sha256_hex;
use super::scheme::{Format, Hash, Piece, Scheme, SchemeKind};
use super::secret::{Key, Material};
use ed25519_dalek::Signature;
use hmac::{Hmac, KeyInit, Mac};
use rsa::Pkcs1v15Sign;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use verdict_domain::time::{Span, Timestamp};

/// More than any sender has secrets in rotation.
const MOST_SIGNATURES: usize = 10;

/// Why a delivery is refused. The sender sees no more than that it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is missing or cannot be read.
    #[error("the header {0} is missing or malformed")]
    Header(String),
    /// Too old, or from the future: perhaps a replay.
    #[error("the timestamp is too far away from now")]
    Timestamp,
    /// No valid secret of the source made this signature.
    #[error("no signature matches")]
    Mismatch,
}

/// What a good signature tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The name of the secret that matched: its own, or its place.
    pub secret: String,
    /// The id that is signed, where the scheme has one.
    pub id: Option<String>,
    /// The time that is signed, where the scheme has one that can be read.
    pub signed_at: Option<Timestamp>,
}

/// What of a delivery can be signed.
struct Known<'a> {
    body: &'a [u8],
    ts: String,
    id: String,
    method: &'a str,
    url: String,
}

/// Verifies a delivery over its raw bytes with every secret that is valid `now`, in constant time for each.
/// `tolerance` is how far the timestamp may be from now, either way; `None` leaves its age unchecked.
pub(crate) fn verify(
    scheme: &Scheme,
    keys: &[Key],
    request: &Request,
    public_url: Option<&str>,
    tolerance: Option<Span>,
    now: Timestamp,
) -> Result<Verified, BadSignature> {
    let header = |name: &str| {
        let value = (request.header)(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| BadSignature::Header(name.to_ascii_lowercase()))
    };
    let bad = |name: &str| BadSignature::Header(name.to_ascii_lowercase());
    let id = scheme.id_header.as_ref().map(|name| header(name).and_then(|id| valid_id(id).ok_or(bad(name))));
    let id = id.transpose()?;
    let Given { ts, signatures } = read_header(scheme, &header(&scheme.header)?)
        .ok_or_else(|| BadSignature::Header(scheme.header.to_ascii_lowercase()))?;
    let ts = match &scheme.ts_header {
        Some(name) => Some(header(name)?),
        None => ts,
    };
    let signed_at = ts.as_ref().zip(scheme.ts_format).map(|(ts, format)| format.read_signed(ts));
    if let (Some(signed_at), Some(tolerance)) = (signed_at, tolerance) {
        let name = scheme.ts_header.as_ref().unwrap_or(&scheme.header);
        let signed_at = signed_at.ok_or_else(|| bad(name))?;
        if now.0.abs_diff(signed_at.0) > tolerance.0.unsigned_abs() {
            return Err(BadSignature::Timestamp);
        }
    }
    let known = Known {
        body: request.body,
        ts: ts.unwrap_or_default(),
        id: id.clone().unwrap_or_default(),
        method: request.method,
        url: full_url(public_url.unwrap_or_default(), request.query),
    };
    let mut matched = None;
    // All are tried to the end: how long it takes tells nothing of which one fits.
    for key in keys.iter().filter(|key| key.is_valid(now)) {
        if key_matches(scheme, &key.material, &known, &signatures) && matched.is_none() {
            matched = Some(key.name.clone());
        }
    }
    let secret = matched.ok_or(BadSignature::Mismatch)?;
    Ok(Verified { secret, id, signed_at: signed_at.flatten() })
}

/// An id becomes part of a fact's id and is shown to people.
pub(crate) fn valid_id(id: String) -> Option<String> {
    ((1..=255).contains(&id.chars().count()) && !id.chars().any(char::is_control)).then_some(id)
}

/// The address that the sender knows, with the query of the request.
fn full_url(public_url: &str, query: Option<&str>) -> String {
    match query {
        Some(query) if !query.is_empty() && !public_url.contains('?') => format!("{public_url}?{query}"),
        _ => public_url.to_string(),
    }
}

/// What the header of signatures gives.
struct Given {
    ts: Option<String>,
    /// Decoded; what could not be read is left out. The text itself where the scheme is a token.
    signatures: Vec<Vec<u8>>,
}

fn read_header(scheme: &Scheme, value: &str) -> Option<Given> {
    let plain = || match value.strip_prefix(scheme.prefix.as_str()) {
        None if scheme.prefix_optional => Some(value),
        stripped => stripped,
    };
    if scheme.kind == SchemeKind::Token {
        return Some(Given { ts: None, signatures: vec![plain()?.as_bytes().to_vec()] });
    }
    let mut ts = None;
    let signatures: Vec<&str> = match scheme.format {
        Format::Plain => vec![plain()?],
        Format::Sw => {
            let version = format!("{},", scheme.version.as_deref().unwrap_or_default());
            value.split(' ').filter_map(|signature| signature.strip_prefix(&version)).collect()
        }
        Format::Kv => {
            let pairs = value.split(',').map(|pair| pair.trim().split_once('='));
            let pairs: Vec<(&str, &str)> = pairs.collect::<Option<_>>()?;
            let of = |key: &Option<String>| {
                let key = key.clone();
                pairs.iter().filter(move |pair| Some(pair.0) == key.as_deref()).map(|pair| pair.1)
            };
            if scheme.ts_key.is_some() {
                // Two would be ambiguous: which one is the age, which one is signed?
                let mut times = of(&scheme.ts_key);
                ts = Some(times.next().filter(|ts| !ts.is_empty())?.to_string());
                if times.next().is_some() {
                    return None;
                }
            }
            of(&scheme.sig_key).collect()
        }
    };
    let signatures = signatures.into_iter().take(MOST_SIGNATURES);
    Some(Given { ts, signatures: signatures.filter_map(|text| scheme.encoding.decode(text)).collect() })
}

fn key_matches(scheme: &Scheme, key: &Material, known: &Known, signatures: &[Vec<u8>]) -> bool {
    let any = |matches: &dyn Fn(&[u8]) -> bool| {
        signatures.iter().fold(false, |found, signature| matches(signature) | found)
    };
    match key {
        Material::Shared(secret) if scheme.kind == SchemeKind::Token => {
            // Digests are compared, so that not even the length shows.
            let expected = sha256_hex(secret);
            any(&|given| sha256_hex(given).as_bytes().ct_eq(expected.as_bytes()).into())
        }
        Material::Shared(secret) => {
            let expected = tag(scheme, secret, &pieces(scheme, known, secret));
            any(&|given| expected.as_ref().is_some_and(|expected| expected.ct_eq(given).into()))
        }
        Material::Rsa(key) => {
            let digest = digest(Hash::Sha256, &pieces(scheme, known, &[]));
            any(&|given| key.verify(Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), &digest, given).is_ok())
        }
        Material::Ed25519(key) => {
            let message = pieces(scheme, known, &[]).concat();
            any(&|given| {
                let signature = Signature::from_slice(given);
                signature.is_ok_and(|signature| key.verify_strict(&message, &signature).is_ok())
            })
        }
    }
}

/// What is signed, in pieces: the body is not copied.
fn pieces<'a>(scheme: &'a Scheme, known: &'a Known, secret: &'a [u8]) -> Vec<&'a [u8]> {
    let pieces = scheme.signed.iter().flat_map(|signed| &signed.pieces);
    let bytes = pieces.map(|piece| match piece {
        Piece::Text(text) => text.as_bytes(),
        Piece::Body => known.body,
        Piece::Ts => known.ts.as_bytes(),
        Piece::Id => known.id.as_bytes(),
        Piece::Method => known.method.as_bytes(),
        Piece::Url => known.url.as_bytes(),
        Piece::Secret => secret,
    });
    bytes.collect()
}

fn tag(scheme: &Scheme, secret: &[u8], pieces: &[&[u8]]) -> Option<Vec<u8>> {
    match (scheme.kind, scheme.hash) {
        (SchemeKind::Sha, hash) => Some(digest(hash, pieces)),
        (_, Hash::Sha1) => mac::<Hmac<Sha1>>(secret, pieces),
        (_, Hash::Sha256) => mac::<Hmac<Sha256>>(secret, pieces),
    }
}

fn mac<M: Mac + KeyInit>(secret: &[u8], pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    pieces.iter().for_each(|piece| mac.update(piece));
    Some(mac.finalize().into_bytes().to_vec())
}

fn digest(hash: Hash, pieces: &[&[u8]]) -> Vec<u8> {
    fn of<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
        pieces.iter().fold(D::new(), |digest, piece| digest.chain_update(piece)).finalize().to_vec()
    }
    match hash {
        Hash::Sha1 => of::<Sha1>(pieces),
        Hash::Sha256 => of::<Sha256>(pieces),
    }
}
