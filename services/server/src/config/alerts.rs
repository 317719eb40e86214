//! `[alerts]`: from which figures on a person should look.

use super::{ConfigError, list_or_commas};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use verdict_domain::money::{self, Money};
use verdict_reports::Thresholds;

/// The thresholds as they are written. Amounts are such as `500.00 USD`, numbers whole; `off` switches one off, and so does an
/// empty list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// The margin below so many per cent of the revenue.
    #[serde(deserialize_with = "number_or_off", skip_serializing_if = "Option::is_none")]
    pub margin_below: Option<i64>,
    /// Margins and shares are watched where so many episodes are decided.
    pub least_decided: i64,
    /// What failures may cost in a month, all customers together.
    #[serde(deserialize_with = "list_or_commas")]
    pub failure_budget: Vec<String>,
    /// The same for each customer.
    #[serde(deserialize_with = "list_or_commas")]
    pub customer_failure_budget: Vec<String>,
    /// The same for customers by name, instead. Only in the file.
    pub failure_budgets: BTreeMap<String, Vec<String>>,
    /// The share of assumed outcomes rising by more than so many points.
    #[serde(deserialize_with = "number_or_off", skip_serializing_if = "Option::is_none")]
    pub assumed_jump: Option<i64>,
    /// So many attempts of a model without a known cost.
    #[serde(deserialize_with = "number_or_off", skip_serializing_if = "Option::is_none")]
    pub unpriced_attempts: Option<i64>,
    /// A day that costs more than so many times the median day.
    #[serde(deserialize_with = "number_or_off", skip_serializing_if = "Option::is_none")]
    pub spike_times: Option<i64>,
    /// And more than this.
    #[serde(deserialize_with = "list_or_commas")]
    pub spike_above: Vec<String>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            margin_below: Some(0),
            least_decided: 30,
            failure_budget: Vec::new(),
            customer_failure_budget: Vec::new(),
            failure_budgets: BTreeMap::new(),
            assumed_jump: Some(10),
            unpriced_attempts: Some(1),
            spike_times: Some(3),
            spike_above: vec!["20 USD".into(), "20 EUR".into()],
        }
    }
}

/// Those that can be set in the environment: `VERDICT_` before them, in capitals.
pub(super) const ENVIRONMENT: [&str; 8] = [
    "alerts_margin_below",
    "alerts_least_decided",
    "alerts_failure_budget",
    "alerts_customer_failure_budget",
    "alerts_assumed_jump",
    "alerts_unpriced_attempts",
    "alerts_spike_times",
    "alerts_spike_above",
];

impl AlertsConfig {
    /// Reads the thresholds; the message names the one that makes no sense.
    pub fn thresholds(&self) -> Result<Thresholds, ConfigError> {
        for (name, value, least, most) in [
            ("margin_below", self.margin_below, -1_000, 100),
            ("least_decided", Some(self.least_decided), 1, 1_000_000),
            ("assumed_jump", self.assumed_jump, 1, 99),
            ("unpriced_attempts", self.unpriced_attempts, 1, 1_000_000_000),
            ("spike_times", self.spike_times, 2, 1_000),
        ] {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                return Err(ConfigError(format!("alerts.{name} must be from {least} to {most}, or `off`")));
            }
        }
        let mut failure_budgets = BTreeMap::new();
        for (customer, budget) in &self.failure_budgets {
            let name = format!("alerts.failure_budgets.{customer}");
            failure_budgets.insert(customer.clone(), amounts(&name, budget)?);
        }
        Ok(Thresholds {
            margin_below: self.margin_below,
            least_decided: self.least_decided,
            failure_budget: amounts("alerts.failure_budget", &self.failure_budget)?,
            customer_failure_budget: amounts(
                "alerts.customer_failure_budget",
                &self.customer_failure_budget,
            )?,
            failure_budgets,
            assumed_jump: self.assumed_jump,
            unpriced_attempts: self.unpriced_attempts,
            spike_times: self.spike_times,
            spike_above: amounts("alerts.spike_above", &self.spike_above)?,
        })
    }
}

/// Amounts, at most one in a currency. `off` alone is none.
fn amounts(name: &str, texts: &[String]) -> Result<Vec<Money>, ConfigError> {
    if texts.iter().all(|text| text == "off") {
        return Ok(Vec::new());
    }
    let mut amounts: Vec<Money> = Vec::new();
    for text in texts {
        let amount = amount(name, text)?;
        if amounts.iter().any(|other| other.currency == amount.currency) {
            return Err(ConfigError(format!("{name}: two amounts are in {}", amount.currency.code())));
        }
        amounts.push(amount);
    }
    Ok(amounts)
}

/// Reads `500.00 USD`, which is not negative.
pub(super) fn amount(name: &str, text: &str) -> Result<Money, ConfigError> {
    let bad = |reason: String| ConfigError(format!("{name}: {reason}"));
    let (nanos, code) = text
        .split_once(' ')
        .ok_or_else(|| bad(format!("`{text}` is not an amount with its currency such as 500.00 USD")))?;
    let nanos = money::parse_nanos(nanos).map_err(|error| bad(error.to_string()))?;
    if nanos < 0 {
        return Err(bad(format!("`{text}` is negative")));
    }
    Ok(Money { nanos, currency: money::currency(code).map_err(|error| bad(error.to_string()))? })
}

/// A whole number, or `off`.
fn number_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "it is neither a whole number nor `off`")]
    enum Written {
        Number(i64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(Some(number)),
        Written::Text(text) if text == "off" => Ok(None),
        Written::Text(text) => text
            .parse()
            .map(Some)
            .map_err(|_| serde::de::Error::custom(format!("`{text}` is neither a whole number nor `off`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Thresholds, String> {
        let config: AlertsConfig = toml::from_str(toml).map_err(|error| error.to_string())?;
        config.thresholds().map_err(|error| error.to_string())
    }

    #[test]
    fn thresholds_are_read_and_switched_off() {
        let defaults = read("").unwrap();
        assert_eq!((defaults.margin_below, defaults.spike_above.len()), (Some(0), 2));
        assert!(defaults.failure_budget.is_empty());
        let off = read(
            "margin_below = \"off\"\nassumed_jump = \"off\"\nunpriced_attempts = \"off\"\nspike_times = \"off\"\n\
             spike_above = \"off\"",
        );
        let off = off.unwrap();
        assert_eq!(
            (off.margin_below, off.assumed_jump, off.unpriced_attempts, off.spike_times),
            (None, None, None, None)
        );
        assert!(off.spike_above.is_empty());
        let set = read(
            "margin_below = -5\nfailure_budget = \"500 USD, 400.50 EUR\"\n[failure_budgets]\nacme = [\"1 USD\"]",
        );
        let set = set.unwrap();
        assert_eq!(set.margin_below, Some(-5));
        let shown: Vec<String> = set.failure_budget.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["500.00 USD", "400.50 EUR"]);
        assert_eq!(set.failure_budgets["acme"][0].to_string(), "1.00 USD");
    }

    #[test]
    fn nonsense_is_refused_by_its_name() {
        for (toml, name) in [
            ("margin_below = 101", "alerts.margin_below"),
            ("margin_below = 1.5", "neither"),
            ("margin_below = \"none\"", "`none` is neither"),
            ("least_decided = 0", "alerts.least_decided"),
            ("assumed_jump = 0", "alerts.assumed_jump"),
            ("spike_times = 1", "alerts.spike_times"),
            ("unpriced_attempts = 0", "alerts.unpriced_attempts"),
            ("failure_budget = [\"500\"]", "alerts.failure_budget: `500`"),
            ("failure_budget = [\"-1 USD\"]", "alerts.failure_budget: `-1 USD` is negative"),
            ("failure_budget = [\"1e3 USD\"]", "alerts.failure_budget"),
            ("failure_budget = [\"1 USD\", \"2 USD\"]", "two amounts are in USD"),
            ("failure_budget = [\"1 DOLLAR\"]", "DOLLAR"),
            ("failure_budget = [\"off\", \"1 USD\"]", "`off`"),
            ("[failure_budgets]\nacme = [\"x USD\"]", "alerts.failure_budgets.acme"),
            ("margin = 1", "margin"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(name), "{toml}: {error}");
        }
    }
}
