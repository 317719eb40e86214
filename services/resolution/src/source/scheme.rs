//! Schemes: how deliveries are signed, as data.

use super::encoding::Encoding;
use super::moment::TimeFormat;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// How deliveries are signed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheme {
    /// What is computed.
    pub kind: SchemeKind,
    /// The digest of `hmac` and `sha`.
    #[serde(default)]
    pub hash: Hash,
    /// How a secret is written.
    #[serde(default)]
    pub key: KeyForm,
    /// The header that bears the signatures.
    pub header: String,
    /// How that header is built.
    #[serde(default)]
    pub format: Format,
    /// What stands before the signature, such as `sha256=`.
    #[serde(default)]
    pub prefix: String,
    /// Whether the prefix may be left out.
    #[serde(default)]
    pub prefix_optional: bool,
    /// The version of the signatures that count, where the format is `sw`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The key of signatures, where the format is `kv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sig_key: Option<String>,
    /// The key of the timestamp, where the format is `kv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts_key: Option<String>,
    /// How a signature is written.
    #[serde(default)]
    pub encoding: Encoding,
    /// The header with the delivery's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_header: Option<String>,
    /// The header with the timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts_header: Option<String>,
    /// How the timestamp is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts_format: Option<TimeFormat>,
    /// What is signed: a template over `{body}` `{ts}` `{id}` `{method}` `{url}` `{secret}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
}

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemeKind {
    /// HMAC with the secret.
    Hmac,
    /// A plain digest of a template with `{secret}` in it. Legacy: it can be extended by a stranger where the secret
    /// stands first and the body last.
    Sha,
    /// RSA, PKCS#1 v1.5, over SHA-256.
    Rsa,
    /// Ed25519.
    Ed25519,
    /// No signature: the header is the secret itself.
    Token,
}

/// A digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    #[default]
    Sha256,
}

/// How a secret is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyForm {
    /// The text itself is the key.
    #[default]
    Utf8,
    /// `whsec_`, which may be left out, and base64.
    Whsec,
    /// Base64.
    Base64,
    /// Hexadecimal.
    Hex,
    /// A public key as PEM (SPKI or PKCS#1).
    Pem,
    /// `whpk_`, which may be left out, and base64 of the 32 bytes of a public key.
    Whpk,
}

/// How the header of signatures is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One signature.
    #[default]
    Plain,
    /// `t=TIME,v1=SIGNATURE,v1=SIGNATURE`.
    Kv,
    /// `v1,SIGNATURE v1,SIGNATURE`.
    Sw,
}

/// What is signed: a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    text: String,
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Body,
    Ts,
    Id,
    Method,
    Url,
    Secret,
}

impl Signed {
    fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            let (name, after) = after.split_once('}').ok_or(format!("`{text}`: a `{{` is not closed"))?;
            pieces.push(match name {
                "body" => Piece::Body,
                "ts" => Piece::Ts,
                "id" => Piece::Id,
                "method" => Piece::Method,
                "url" => Piece::Url,
                "secret" => Piece::Secret,
                name => {
                    return Err(format!(
                        "`{{{name}}}` is unknown here; there are {{body}} {{ts}} {{id}} {{method}} {{url}} {{secret}}"
                    ));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self { text: text.into(), pieces })
    }

    fn has(&self, piece: &Piece) -> bool {
        self.pieces.contains(piece)
    }
}

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Signed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl Scheme {
    /// The headers that a verification reads, in lower case.
    pub(crate) fn headers(&self) -> impl Iterator<Item = String> {
        let all = [Some(&self.header), self.id_header.as_ref(), self.ts_header.as_ref()];
        all.into_iter().flatten().map(|name| name.to_ascii_lowercase())
    }

    /// Whether what is signed bears the address that it was sent to.
    pub(crate) fn signs_url(&self) -> bool {
        self.signed.as_ref().is_some_and(|signed| signed.has(&Piece::Url))
    }

    /// Whether a time is signed, so that a capture grows stale.
    pub(crate) fn signs_time(&self) -> bool {
        self.signed.as_ref().is_some_and(|signed| signed.has(&Piece::Ts))
    }

    /// What is wrong with it: the field, and what would be right.
    pub(crate) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut must = |right: bool, field, text: &str| {
            if !right {
                faults.push((field, text.to_string()));
            }
        };
        let kind = self.kind;
        must(is_header(&self.header), "header", "is no name of a header");
        for (field, name) in [("id_header", &self.id_header), ("ts_header", &self.ts_header)] {
            must(name.as_ref().is_none_or(|name| is_header(name)), field, "is no name of a header");
        }
        match kind {
            SchemeKind::Rsa => must(self.key == KeyForm::Pem, "key", "must be `pem` for rsa"),
            SchemeKind::Ed25519 => must(
                !matches!(self.key, KeyForm::Utf8 | KeyForm::Whsec),
                "key",
                "must be `whpk`, `pem`, `hex` or `base64` for ed25519",
            ),
            _ => must(
                !matches!(self.key, KeyForm::Pem | KeyForm::Whpk),
                "key",
                "is for public keys; take `utf8`, `whsec`, `base64` or `hex`",
            ),
        }
        if kind == SchemeKind::Token {
            must(self.signed.is_none(), "signed", "a token signs nothing: leave it out");
            must(self.format == Format::Plain, "format", "must be `plain` for token");
            must(self.key == KeyForm::Utf8, "key", "must be `utf8` for token");
            must(self.ts_header.is_none(), "ts_header", "a token signs no time: leave it out");
            return faults;
        }
        must(
            (self.format == Format::Kv) == self.sig_key.is_some(),
            "sig_key",
            "is needed where the format is `kv`, and only there",
        );
        must(
            self.format == Format::Kv || self.ts_key.is_none(),
            "ts_key",
            "is only for the format `kv`; take ts_header",
        );
        must(
            (self.format == Format::Sw) == self.version.is_some(),
            "version",
            "is needed where the format is `sw`, and only there",
        );
        must(
            self.ts_key.is_none() || self.ts_header.is_none(),
            "ts_header",
            "give ts_key or ts_header, not both",
        );
        let timed = self.ts_key.is_some() || self.ts_header.is_some();
        must(
            timed == self.ts_format.is_some(),
            "ts_format",
            "goes together with ts_header or ts_key: unix_s, unix_ms or rfc3339",
        );
        let Some(signed) = &self.signed else {
            must(false, "signed", "is missing: what is signed, such as \"{ts}.{body}\"");
            return faults;
        };
        must(signed.has(&Piece::Body), "signed", "must have {body}, or anything could be in it");
        must(
            signed.has(&Piece::Ts) == timed,
            "signed",
            "must have {ts} where there is ts_header or ts_key, and only there",
        );
        must(
            signed.has(&Piece::Id) == self.id_header.is_some(),
            "signed",
            "must have {id} where there is id_header, and only there",
        );
        must(
            signed.has(&Piece::Secret) == (kind == SchemeKind::Sha),
            "signed",
            "must have {secret} where the kind is `sha`, and only there",
        );
        faults
    }
}

/// Whether this can be the name of a header.
pub(crate) fn is_header(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}
