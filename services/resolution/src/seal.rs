//! Secrets at rest: sealed under the operator's key with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), each bound to
//! the place where it is stored. The same key, by another derived from it, signs the links of customers' pages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use verdict_store::sources::Sealed;

const NONCE_BYTES: usize = 24;

/// The operator's key. It is never printed.
#[derive(Clone)]
pub struct SealKey {
    cipher: XChaCha20Poly1305,
    /// Signs links, under a key that is derived from the operator's for this alone.
    links: Hmac<Sha256>,
}

/// What the key for links is derived by.
const LINKS: &[u8] = b"verdict links, version 1";

/// Why a key or a sealed secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is no key.
    #[error("secrets_key must be 32 random bytes in base64: make one with `openssl rand -base64 32`")]
    BadKey,
    /// The secret was sealed under another key, or changed.
    #[error(
        "the {kind} `{name}` of source `{source_name}` does not open with this secrets_key: use the key that it was sealed with, or put it again"
    )]
    DoesNotOpen {
        /// Whose secret.
        source_name: String,
        /// Secret or credential.
        kind: String,
        /// Its name.
        name: String,
    },
}

impl SealKey {
    /// Reads a key: 32 bytes in base64. One that nobody drew by chance (all bytes the same, or counting up) is refused.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| SealError::BadKey)?;
        let steps: Vec<u8> = bytes.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
        let is_drawn = steps.iter().any(|step| Some(step) != steps.first());
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| SealError::BadKey)?;
        if !is_drawn {
            return Err(SealError::BadKey);
        }
        let keyed =
            |key: &[u8]| <Hmac<Sha256> as KeyInit>::new_from_slice(key).map_err(|_| SealError::BadKey);
        let derived = keyed(&bytes)?.chain_update(LINKS).finalize().into_bytes();
        Ok(Self { cipher, links: keyed(&derived)? })
    }

    /// The signature of a link: HMAC-SHA-256 of what it says.
    pub fn sign_link(&self, said: &[u8]) -> [u8; 32] {
        self.links.clone().chain_update(said).finalize().into_bytes().into()
    }

    /// Whether a link was signed with this key. How long it takes tells nothing of the right signature.
    pub fn has_signed_link(&self, said: &[u8], signature: &[u8]) -> bool {
        self.links.clone().chain_update(said).verify_slice(signature).is_ok()
    }

    /// Seals `value`: its bytes are put in the place of `place.sealed`.
    pub fn seal(&self, place: Sealed, value: &str) -> Result<Sealed, SealError> {
        let nonce = rand::random::<[u8; NONCE_BYTES]>();
        let aad = bound_to(&place);
        let payload = Payload { msg: value.as_bytes(), aad: aad.as_bytes() };
        // Fails only for a value of more than 2^38 bytes.
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| does_not_open(&place))?;
        Ok(Sealed { sealed: [&nonce[..], &sealed].concat(), ..place })
    }

    /// Opens a sealed secret.
    pub fn open(&self, sealed: &Sealed) -> Result<String, SealError> {
        let opened = sealed.sealed.split_first_chunk::<NONCE_BYTES>().and_then(|(nonce, text)| {
            let aad = bound_to(sealed);
            let payload = Payload { msg: text, aad: aad.as_bytes() };
            self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
        });
        opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| does_not_open(sealed))
    }
}

/// What a sealed secret belongs to: it does not open in another's place.
fn bound_to(place: &Sealed) -> String {
    serde_json::json!([place.source, place.kind, place.name]).to_string()
}

fn does_not_open(place: &Sealed) -> SealError {
    SealError::DoesNotOpen {
        source_name: place.source.clone(),
        kind: place.kind.clone(),
        name: place.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Sealed {
        Sealed {
            source: "support".into(),
            kind: "secret".into(),
            name: name.into(),
            sealed: Vec::new(),
            valid_from: None,
            valid_until: None,
        }
    }

    #[test]
    fn a_secret_opens_with_its_key_in_its_place_and_nowhere_else() -> Result<(), SealError> {
        let key = SealKey::parse("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")?;
        let sealed = key.seal(place("2026"), "whsec_secret")?;
        assert_eq!(key.open(&sealed).as_deref(), Ok("whsec_secret"));
        assert!(!String::from_utf8_lossy(&sealed.sealed).contains("whsec"));
        assert_ne!(key.seal(place("2026"), "whsec_secret")?.sealed, sealed.sealed, "no nonce comes twice");
        assert!(key.open(&Sealed { name: "2027".into(), ..sealed.clone() }).is_err());
        let mut changed = sealed.clone();
        changed.sealed[30] ^= 1;
        assert!(key.open(&changed).is_err());
        assert!(key.open(&Sealed { sealed: vec![1, 2, 3], ..sealed.clone() }).is_err());
        let other = SealKey::parse("AQIEBRYnOElaa3yNnq/A0eLzBBUmN0hZaGt8jZ6vwNE=")?;
        assert!(other.open(&sealed).is_err());
        Ok(())
    }

    #[test]
    fn a_link_is_known_by_the_key_that_signed_it() -> Result<(), SealError> {
        let key = SealKey::parse("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=")?;
        let signature = key.sign_link(b"acme until Friday");
        assert!(key.has_signed_link(b"acme until Friday", &signature));
        assert!(!key.has_signed_link(b"acme until Sunday", &signature));
        assert!(!key.has_signed_link(b"acme until Friday", &signature[..31]));
        let other = SealKey::parse("AQIEBRYnOElaa3yNnq/A0eLzBBUmN0hZaGt8jZ6vwNE=")?;
        assert!(!other.has_signed_link(b"acme until Friday", &signature));
        Ok(())
    }

    #[test]
    fn a_key_that_nobody_drew_is_refused() {
        let zeros = STANDARD.encode([0_u8; 32]);
        let counting: Vec<u8> = (1..=32).collect();
        for key in ["", "short", &zeros, &STANDARD.encode([7_u8; 32]), &STANDARD.encode(counting)] {
            assert_eq!(SealKey::parse(key).err(), Some(SealError::BadKey), "{key}");
        }
    }
}
