//! `[levers]`: how often they are computed, of which days, and with which assumptions.

use super::alerts::amount;
use super::{ConfigError, list_or_commas};
use serde::{Deserialize, Serialize};
use verdict_domain::money;
use verdict_domain::time::Span;
use verdict_reports::{Assumed, Model};

/// What is asked of the levers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeversConfig {
    /// How often they are computed; "0s" is never.
    pub every: Span,
    /// Of how many days before today.
    pub days: i64,
    /// On which models attempts are repriced, such as `openai/gpt-4o-mini`; empty: those in use.
    #[serde(deserialize_with = "list_or_commas")]
    pub models: Vec<String>,
    /// What is assumed of a small model of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distillation: Option<DistillationConfig>,
}

/// The operator's assumptions. Only in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationConfig {
    /// What it costs a month, such as `2000.00 USD`.
    pub monthly: String,
    /// What an attempt costs besides, in the same currency.
    pub per_attempt: String,
    /// Of 100 attempts, so many it does as well as today's model; at most one decimal, as a text.
    pub success: String,
    /// It stands in for this model only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Toward this kind of outcome only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

impl Default for LeversConfig {
    fn default() -> Self {
        Self { every: Span::hours(24), days: 30, models: Vec::new(), distillation: None }
    }
}

/// Those that can be set in the environment: `VERDICT_` before them, in capitals.
pub(super) const ENVIRONMENT: [&str; 3] = ["levers_every", "levers_days", "levers_models"];

/// The most days that are looked at.
const MOST_DAYS: i64 = 400;
/// The most models on which attempts are repriced: each costs a look at the price book for every attempt.
const MOST_MODELS: usize = 20;

impl LeversConfig {
    /// The models by name; the message says which is none.
    pub fn models(&self) -> Result<Vec<Model>, ConfigError> {
        if self.models.len() > MOST_MODELS {
            return Err(ConfigError(format!("levers.models: at most {MOST_MODELS}")));
        }
        let read = |text: &String| {
            Model::parse(text).map_err(|reason| ConfigError(format!("levers.models: {reason}")))
        };
        self.models.iter().map(read).collect()
    }

    /// The assumptions about a small model, if there are any.
    pub fn distillation(&self) -> Result<Option<Assumed>, ConfigError> {
        let Some(DistillationConfig { monthly, per_attempt, success, model, action }) = &self.distillation
        else {
            return Ok(None);
        };
        let monthly = amount("levers.distillation.monthly", monthly)?;
        let per_attempt = amount("levers.distillation.per_attempt", per_attempt)?;
        if monthly.currency != per_attempt.currency {
            let remedy = "levers.distillation: monthly and per_attempt must be in one currency";
            return Err(ConfigError(remedy.into()));
        }
        // Read as nanos of a per cent, of which a tenth is the least.
        let percent = money::parse_nanos(success).ok().filter(|nanos| {
            (0..=100 * money::NANOS_PER_UNIT).contains(nanos) && nanos % (money::NANOS_PER_UNIT / 10) == 0
        });
        let success_permille =
            percent.map(|nanos| nanos / (money::NANOS_PER_UNIT / 10)).ok_or_else(|| {
                let wanted = "a per cent from \"0\" to \"100\" with at most one decimal";
                ConfigError(format!("levers.distillation.success: `{success}` is not {wanted}"))
            })?;
        let (model, action) = (model.clone(), action.clone());
        Ok(Some(Assumed { monthly, per_attempt, success_permille, model, action }))
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if !(1..=MOST_DAYS).contains(&self.days) {
            return Err(ConfigError(format!("levers.days must be from 1 to {MOST_DAYS}")));
        }
        self.models()?;
        self.distillation()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<LeversConfig, String> {
        let config: LeversConfig = toml::from_str(toml).map_err(|error| error.to_string())?;
        config.check().map_err(|error| error.to_string())?;
        Ok(config)
    }

    #[test]
    fn assumptions_are_read_or_refused_by_their_name() {
        let distillation = |more: &str| {
            format!(
                "[distillation]\nmonthly = \"2000 USD\"\nper_attempt = \"0.0004 USD\"\nsuccess = \"80.5\"\n{more}"
            )
        };
        let assumed = read(&distillation("action = \"solve\"")).unwrap().distillation().unwrap().unwrap();
        assert_eq!((assumed.success_permille, assumed.per_attempt.nanos), (805, 400_000));
        assert_eq!((assumed.model, assumed.action.as_deref()), (None, Some("solve")));
        let models = read("models = \"openai/gpt-4o-mini, openai/gpt-5-mini\"").unwrap();
        assert_eq!(models.models().unwrap().len(), 2);
        for (toml, name) in [
            ("days = 0", "levers.days"),
            ("days = 401", "levers.days"),
            ("models = [\"gpt-4o\"]", "levers.models: `gpt-4o`"),
            (&distillation("model = 1"), "model"),
            (&distillation("").replace("80.5", "80.55"), "levers.distillation.success"),
            (&distillation("").replace("80.5", "100.1"), "levers.distillation.success"),
            (&distillation("").replace("80.5", "-1"), "levers.distillation.success"),
            (&distillation("").replace("2000 USD", "2000 EUR"), "one currency"),
            (&distillation("").replace("2000 USD", "2000"), "levers.distillation.monthly"),
            ("[distillation]\nmonthly = \"1 USD\"", "per_attempt"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(name), "{toml}: {error}");
        }
    }
}
