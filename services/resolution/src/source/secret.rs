//! Secrets: what a source may sign with, and when.

use super::encoding::Encoding;
use super::scheme::{KeyForm, Scheme, SchemeKind};
use ed25519_dalek::VerifyingKey;
use rsa::RsaPublicKey;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use verdict_domain::time::Timestamp;

/// A shorter key can be tried out.
const LEAST_KEY_BYTES: usize = 8;
/// A shorter key is a warning.
const GOOD_KEY_BYTES: usize = 16;
/// The same where the specification itself (Standard Webhooks) asks for more.
const GOOD_WHSEC_BYTES: usize = 24;
/// A shorter RSA key is refused, and one shorter than the second is a warning.
const LEAST_RSA_BITS: usize = 1024;
const GOOD_RSA_BITS: usize = 2048;
/// What stands before the 32 bytes of an Ed25519 key in SPKI form (RFC 8410).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A secret (or a public key) of a source: a text, or a table with a name and the time in which it is valid.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretConfig {
    /// How it is called where a delivery is shown; its place, counted from 1, if left out.
    pub name: Option<String>,
    /// The secret, or `env:NAME` for the value of an environment variable.
    pub value: String,
    /// Not valid before.
    pub from: Option<Timestamp>,
    /// Not valid from then on.
    pub until: Option<Timestamp>,
}

/// A secret as the table that it may be written as.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    value: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl SecretConfig {
    /// A secret without a name that is always valid.
    pub fn plain(value: impl Into<String>) -> Self {
        Self { name: None, value: value.into(), from: None, until: None }
    }

    /// What may be shown: the name of an environment variable, never a secret. The stars are too short to be taken
    /// for a secret where they are read again.
    fn shown(&self) -> &str {
        if self.value.starts_with("env:") { &self.value } else { "***" }
    }
}

impl fmt::Debug for SecretConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SecretConfig");
        shown.field("name", &self.name).field("value", &self.shown());
        shown.field("from", &self.from).field("until", &self.until).finish()
    }
}

/// Secrets are written as stars, so that a configuration can be shown.
impl Serialize for SecretConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.shown().to_string();
        Written { name: self.name.clone(), value, from: self.from, until: self.until }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SecretConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> de::Visitor<'de> for TextOrTable {
            type Value = SecretConfig;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a secret as a text, or a table with `value` and perhaps `name`, `from`, `until`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretConfig, E> {
                Ok(SecretConfig::plain(text))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SecretConfig, A::Error> {
                let Written { name, value, from, until } =
                    Written::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(SecretConfig { name, value, from, until })
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

/// A secret, decoded.
#[derive(Clone)]
pub(crate) struct Key {
    pub name: String,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    pub material: Material,
}

#[derive(Clone)]
pub(crate) enum Material {
    Shared(Vec<u8>),
    Rsa(Box<RsaPublicKey>),
    Ed25519(Box<VerifyingKey>),
}

impl Key {
    /// Decodes a secret. `place` counts from 1. The error tells what would be right and never the secret.
    pub(crate) fn new(
        config: &SecretConfig,
        place: usize,
        scheme: &Scheme,
        resolve: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let value = match config.value.strip_prefix("env:") {
            Some(name) => {
                resolve(name).ok_or(format!("needs the environment variable {name}, which is not set"))?
            }
            None => config.value.clone(),
        };
        let name = config.name.clone().unwrap_or_else(|| place.to_string());
        if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err("its name must have 1 to 64 characters and no control characters".into());
        }
        if let (Some(from), Some(until)) = (config.from, config.until)
            && from >= until
        {
            return Err(format!("is never valid: `from` ({from}) is not before `until` ({until})"));
        }
        if value.trim().is_empty() {
            return Err("is empty; make one of 32 random bytes".into());
        }
        Ok(Self { name, from: config.from, until: config.until, material: decode(&value, scheme)? })
    }

    /// The secret as text, where it is shared and is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.material {
            Material::Shared(bytes) => std::str::from_utf8(bytes).ok(),
            Material::Rsa(_) | Material::Ed25519(_) => None,
        }
    }

    /// Whether it is valid then.
    pub(crate) fn is_valid(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// What is weak about it.
    pub(crate) fn weakness(&self, scheme: &Scheme) -> Option<String> {
        let good = if scheme.key == KeyForm::Whsec { GOOD_WHSEC_BYTES } else { GOOD_KEY_BYTES };
        match &self.material {
            Material::Shared(bytes) if bytes.len() < good => {
                Some(format!("has {} bytes; better are {good} or more", bytes.len()))
            }
            Material::Rsa(key) if key.size() * 8 < GOOD_RSA_BITS => {
                Some(format!("has {} bits; better are {GOOD_RSA_BITS} or more", key.size() * 8))
            }
            _ => None,
        }
    }
}

fn decode(value: &str, scheme: &Scheme) -> Result<Material, String> {
    let decoded = |prefix: &str, encoding: Encoding, right: &str| {
        let text = value.trim();
        encoding.decode(text.strip_prefix(prefix).unwrap_or(text)).ok_or(format!("must be {right}"))
    };
    let bytes = match scheme.key {
        KeyForm::Utf8 => value.as_bytes().to_vec(),
        KeyForm::Whsec => decoded("whsec_", Encoding::Base64, "`whsec_` and base64")?,
        KeyForm::Whpk => decoded("whpk_", Encoding::Base64, "`whpk_` and base64 of 32 bytes")?,
        KeyForm::Base64 => decoded("", Encoding::Base64, "base64")?,
        KeyForm::Hex => decoded("", Encoding::Hex, "hexadecimal")?,
        KeyForm::Pem => der(value).ok_or("must be a public key as PEM")?,
    };
    match scheme.kind {
        SchemeKind::Rsa => rsa(&bytes).map(|key| Material::Rsa(Box::new(key))),
        SchemeKind::Ed25519 => ed25519(&bytes).map(|key| Material::Ed25519(Box::new(key))),
        SchemeKind::Hmac | SchemeKind::Sha | SchemeKind::Token if bytes.len() < LEAST_KEY_BYTES => {
            Err(format!(
                "has {} bytes, and fewer than {LEAST_KEY_BYTES} can be guessed; make one of 32 random bytes",
                bytes.len()
            ))
        }
        SchemeKind::Hmac | SchemeKind::Sha | SchemeKind::Token => Ok(Material::Shared(bytes)),
    }
}

/// The bytes of a PEM. Its first and last line may be missing, and its line ends may be written as `\n`: so they come
/// out of web pages and environment variables.
fn der(text: &str) -> Option<Vec<u8>> {
    let text = text.replace("\\n", "\n");
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    Encoding::Base64.decode(&lines.flat_map(str::split_whitespace).collect::<String>())
}

fn rsa(der: &[u8]) -> Result<RsaPublicKey, String> {
    let key = RsaPublicKey::from_public_key_der(der).ok();
    let key = key.or_else(|| RsaPublicKey::from_pkcs1_der(der).ok());
    let key = key.ok_or("must be an RSA public key (SPKI or PKCS#1) of at most 4096 bits, as PEM")?;
    if key.size() * 8 < LEAST_RSA_BITS {
        return Err(format!("has fewer than {LEAST_RSA_BITS} bits"));
    }
    Ok(key)
}

fn ed25519(bytes: &[u8]) -> Result<VerifyingKey, String> {
    let bytes = bytes.strip_prefix(&ED25519_SPKI).unwrap_or(bytes);
    let bytes: &[u8; 32] = bytes.try_into().map_err(|_| "must be an Ed25519 public key of 32 bytes")?;
    let key = VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak());
    key.ok_or_else(|| "is no sound Ed25519 public key".into())
}
