//! Values that rules compare: scalars by their text, numbers also by their size.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A value of the configuration: a text, a number or `true`/`false`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Literal(pub Value);

/// A value of a source's settings: a [`Literal`] or an array of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Setting(pub Value);

/// The settings of a source, by name.
pub type Settings = BTreeMap<String, Setting>;

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if !is_scalar(&value) {
            return Err(D::Error::custom("give one text, number, true or false here"));
        }
        Ok(Self(value))
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let fits = match &value {
            Value::Array(values) => values.iter().all(is_scalar),
            value => is_scalar(value),
        };
        if !fits {
            return Err(D::Error::custom("give a text, a number, true, false, or an array of these"));
        }
        Ok(Self(value))
    }
}

impl Setting {
    /// Its values: one, or those of the array.
    pub(crate) fn values(&self) -> &[Value] {
        match &self.0 {
            Value::Array(values) => values,
            value => std::slice::from_ref(value),
        }
    }
}

/// Above this a floating-point number no longer tells neighbours apart.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The text of a scalar; arrays and objects have none. Neither has a number too large for 64 bits: it was read with
/// a loss, and two of them could look the same.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Number(number) => {
            let whole = number.is_i64() || number.is_u64();
            let exact = whole || number.as_f64().is_some_and(|number| number.abs() < EXACT);
            exact.then(|| Cow::Owned(number.to_string()))
        }
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether two scalars are the same: by their text, so that `17` is `"17"`; two numbers also by size (`2` is `2.0`).
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (scalar(a), scalar(b)) {
        (Some(first), Some(second)) if first == second => true,
        (Some(_), Some(_)) => a.is_number() && b.is_number() && compared(a, b) == Some(Ordering::Equal),
        _ => false,
    }
}

/// Compares by size what both can be read as numbers: exactly if both are whole.
pub(crate) fn compared(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (scalar(a)?, scalar(b)?);
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return Some(a.cmp(&b));
    }
    decimal(&a)?.partial_cmp(&decimal(&b)?)
}

fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_are_the_same_by_their_text() {
        for (a, b) in [(json!(17), json!("17")), (json!(true), json!("true")), (json!(2), json!(2.0))] {
            assert!(same(&a, &b), "{a} {b}");
        }
        for (a, b) in [
            (json!("2"), json!(2.0)),
            (json!("02"), json!(2)),
            (json!(null), json!("null")),
            (json!([1]), json!([1])),
            (json!(1e30), json!(1e30)),
            (json!("A"), json!("a")),
        ] {
            assert!(!same(&a, &b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_compared_by_size_and_nothing_else_is() {
        let compare = |a, b| compared(&a, &b);
        assert_eq!(compare(json!(10), json!("9")), Some(Ordering::Greater));
        assert_eq!(compare(json!(i64::MAX), json!(i64::MAX - 1)), Some(Ordering::Greater));
        assert_eq!(compare(json!(2.5), json!(3)), Some(Ordering::Less));
        for odd in [json!("nan"), json!("inf"), json!("two"), json!(""), json!([]), json!(null)] {
            assert_eq!(compare(odd.clone(), json!(2)), None, "{odd}");
        }
    }
}
