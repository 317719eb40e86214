//! Bytes as text: hexadecimal and base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How a signature or a key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// Two digits a byte, of either case.
    #[default]
    Hex,
    /// With `+`, `/` and padding.
    Base64,
}

impl Encoding {
    /// The bytes, if the text is well-formed.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Base64 => STANDARD.decode(text).ok(),
            Self::Hex => {
                let digits = text.bytes().map(|byte| char::from(byte).to_digit(16)?.try_into().ok());
                let digits: Vec<u8> = digits.collect::<Option<_>>()?;
                let pairs = digits.chunks_exact(2);
                pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
            }
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The name of bytes that have no name: `sha256:` and their digest.
pub(crate) fn by_digest(bytes: &[u8]) -> String {
    format!("sha256:{}", sha256_hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_well_formed_is_no_bytes() {
        assert_eq!(Encoding::Hex.decode("00fF"), Some(vec![0, 255]));
        assert_eq!(Encoding::Base64.decode("AP8="), Some(vec![0, 255]));
        for odd in ["0", "0g", " 00", "é0"] {
            assert_eq!(Encoding::Hex.decode(odd), None, "{odd}");
        }
        for odd in ["AP8", "AP9=", "A P8=", "AP_="] {
            assert_eq!(Encoding::Base64.decode(odd), None, "{odd}");
        }
    }
}
