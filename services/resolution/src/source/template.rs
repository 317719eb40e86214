//! Templates of the requests that go out to platforms.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A text with `{name}` in it. What cannot be a name (as in JSON) stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
}

/// How values are put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Percent-encoded, but for one at the very beginning: that is the base of an address.
    Url,
    /// Within the quotes of a JSON text.
    Json,
    /// As they are.
    Plain,
}

impl Template {
    fn read(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            match after.split_once('}') {
                Some((name, after)) if is_name(name) => {
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Value(name.into()));
                    rest = after;
                }
                _ => {
                    plain.push('{');
                    rest = after;
                }
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        if text.is_empty() {
            return Err("must not be empty".into());
        }
        Ok(Self { text: text.into(), pieces })
    }

    /// The names in it.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The name at the very beginning.
    pub(crate) fn first_name(&self) -> Option<&str> {
        match self.pieces.first() {
            Some(Piece::Value(name)) => Some(name),
            _ => None,
        }
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Puts in the values that `value` gives.
    pub(crate) fn render(
        &self,
        escape: Escape,
        value: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Value(name) => {
                    let value = value(name)?;
                    match escape {
                        Escape::Url if text.is_empty() => text.push_str(value.trim_end_matches('/')),
                        Escape::Url => text.push_str(&percent_encoded(&value)),
                        Escape::Json => {
                            let quoted = serde_json::Value::String(value).to_string();
                            text.push_str(quoted.get(1..quoted.len() - 1).unwrap_or_default());
                        }
                        Escape::Plain => text.push_str(&value),
                    }
                }
            }
        }
        Ok(text)
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-:".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(fits)
}

/// Everything but RFC 3986's unreserved characters, encoded.
fn percent_encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    encoded.collect()
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_leave_their_place() {
        let rendered = |text: &str, escape, value: &str| {
            let template = Template::read(text).unwrap();
            template.render(escape, &|_| Ok(value.to_string())).unwrap()
        };
        for (text, escape, value, expected) in [
            ("https://a/{id}?x=1", Escape::Url, "../b?c#d e&é", "https://a/..%2Fb%3Fc%23d%20e%26%C3%A9?x=1"),
            ("{base}/v2", Escape::Url, "http://127.0.0.1:1/", "http://127.0.0.1:1/v2"),
            (r#"{"a":{"b":"{c}"}}"#, Escape::Json, "x\"y\n", r#"{"a":{"b":"x\"y\n"}}"#),
            ("Bearer {credential:token}", Escape::Plain, "t", "Bearer t"),
            ("{Not} {a b} {", Escape::Plain, "t", "{Not} {a b} {"),
        ] {
            assert_eq!(rendered(text, escape, value), expected);
        }
        assert!(Template::read("").is_err());
    }
}
