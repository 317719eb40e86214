//! What a customer has agreed to: contracts, their prices and their rule, prepaid credits, and their JSON.

use crate::traffic::{DAY, HOUR, SECOND, is_default, rfc3339};
use serde::Serialize;
use serde_json::{Value, json};

/// One version of a customer's contract.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Contract {
    pub customer: String,
    pub version: u32,
    pub effective_from: i64,
    pub currency: String,
    pub period: Cadence,
    pub time_zone: String,
    pub grace_hours: i64,
    pub bill_to_name: String,
    pub bill_to_email: String,
    pub prices: Vec<ContractPrice>,
    pub fees: Vec<Fee>,
    pub minimum: Option<String>,
    pub cap: Option<String>,
    pub discount: Option<String>,
    pub assumed_at_most: Option<String>,
    pub usage: Vec<UsagePrice>,
    pub approval: bool,
    pub shadow: bool,
    pub corrections: Corrections,
    pub rule: Rule,
}

/// Attempts of an action at their model's cost and a mark-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UsagePrice {
    /// The action.
    pub action: String,
    /// Percent of the cost that is added; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<String>,
    /// What is added for each attempt; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<String>,
    /// Whether the action has a price as well.
    #[serde(skip_serializing_if = "is_default")]
    pub beside_outcomes: bool,
}

/// Where corrections of earlier periods are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Corrections {
    #[default]
    NextInvoice,
    CreditNote,
}

/// Prepaid credits of a customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Unique per customer.
    pub id: String,
    /// Whose.
    pub customer: String,
    /// How much; a decimal of whole minor units.
    pub amount: String,
    /// The contract's.
    pub currency: String,
    /// From when on it is valid.
    pub effective_at: i64,
    /// From when on no more; `None` is never.
    pub expires_at: Option<i64>,
}

/// What its periods are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Cadence {
    #[default]
    Monthly,
    Weekly,
    Quarterly,
    Anniversary,
}

/// What an outcome of an action is charged at: an amount or tiers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContractPrice {
    /// The action priced.
    pub action: String,
    /// For a confirmed outcome; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// For an assumed one, if it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assumed_amount: Option<String>,
    /// How many of a period are free.
    #[serde(skip_serializing_if = "is_default")]
    pub included: i64,
    /// How the tiers are read.
    #[serde(skip_serializing_if = "is_default")]
    pub mode: Mode,
    /// The price by how many there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// For assumed ones, if it differs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumed_tiers: Vec<Tier>,
    /// How many are sold together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<i64>,
    /// Percent of an outcome's value; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// What a share comes to at least; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
    /// What a share comes to at most; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<String>,
}

/// How tiers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Mode {
    #[default]
    Graduated,
    Volume,
}

/// A tier of a price.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// The last package in it; none for the last tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<i64>,
    /// Of each package; a decimal.
    pub amount: String,
    /// Added once; a decimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flat: Option<String>,
}

/// What is charged whatever the outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Fee {
    pub name: String,
    pub amount: String,
    pub quantity: i64,
}

/// How cases are judged. Durations are microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are RULES' own words")]
pub struct Rule {
    pub confirmed_settles_after: i64,
    pub assumed: Assumed,
    pub silence_window: i64,
    pub silence_from: SilenceFrom,
    pub restarted_by: RestartedBy,
    pub follow_up: FollowUp,
    pub negative_feedback: NegativeFeedback,
    pub low_score: Option<i64>,
    pub planned_handoffs: Vec<String>,
    pub evidence: Evidence,
    pub reopen: Reopen,
    pub charges: Charges,
    pub reversal_horizon: i64,
    pub dispute_window: i64,
}

/// Whose word makes an outcome an assumed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Assumed {
    Silence,
    Platform,
    Never,
}

/// From when on the silence is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum SilenceFrom {
    LastActivity,
    FirstActivity,
}

/// Which facts beside the attempts are activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum RestartedBy {
    Answers,
    Messages,
    Everything,
}

/// What a message after the answer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum FollowUp {
    Waits,
    Unresolved,
}

/// What negative feedback does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum NegativeFeedback {
    Refuses,
    Holds,
}

/// Whose word of a win counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Evidence {
    Any,
    Platform,
}

/// What a re-open does to the outcome before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Reopen {
    Void,
    Keep,
}

/// How often a case is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are RULES' own words")]
pub enum Charges {
    EachEpisode,
    OnceACase,
}

impl Default for Rule {
    /// The rule of a case that no contract version covers.
    fn default() -> Self {
        Self {
            confirmed_settles_after: 24 * HOUR,
            assumed: Assumed::Silence,
            silence_window: 72 * HOUR,
            silence_from: SilenceFrom::LastActivity,
            restarted_by: RestartedBy::Messages,
            follow_up: FollowUp::Waits,
            negative_feedback: NegativeFeedback::Refuses,
            low_score: None,
            planned_handoffs: Vec::new(),
            evidence: Evidence::Any,
            reopen: Reopen::Void,
            charges: Charges::EachEpisode,
            reversal_horizon: 30 * DAY,
            dispute_window: 30 * DAY,
        }
    }
}

impl Rule {
    /// As contracts write it.
    pub fn to_json(&self) -> Value {
        let mut rule = json!({
            "confirmed_settles_after": duration(self.confirmed_settles_after),
            "assumed": self.assumed,
            "silence_window": duration(self.silence_window),
            "silence_from": self.silence_from,
            "restarted_by": self.restarted_by,
            "follow_up": self.follow_up,
            "negative_feedback": self.negative_feedback,
            "planned_handoffs": self.planned_handoffs,
            "evidence": self.evidence,
            "reopen": self.reopen,
            "charges": self.charges,
            "reversal_horizon": duration(self.reversal_horizon),
            "dispute_window": duration(self.dispute_window),
        });
        if let Some(low_score) = self.low_score {
            rule["low_score"] = json!(low_score);
        }
        rule
    }
}

impl Contract {
    /// The contract document.
    pub fn to_json(&self) -> Value {
        let mut contract = json!({
            "customer": self.customer,
            "version": self.version,
            "effective_from": rfc3339(self.effective_from),
            "currency": self.currency,
            "period": self.period,
            "time_zone": self.time_zone,
            "grace": format!("{}h", self.grace_hours),
            "bill_to": { "name": self.bill_to_name, "email": self.bill_to_email },
            "prices": self.prices,
            "rule": self.rule.to_json(),
        });
        if !self.fees.is_empty() {
            contract["fees"] = json!(self.fees);
        }
        if !self.usage.is_empty() {
            contract["usage"] = json!(self.usage);
        }
        if self.corrections != Corrections::default() {
            contract["corrections"] = json!(self.corrections);
        }
        for (name, is_so) in [("approval", self.approval), ("shadow", self.shadow)] {
            if is_so {
                contract[name] = json!(true);
            }
        }
        let decimals = [
            ("minimum", &self.minimum),
            ("cap", &self.cap),
            ("discount", &self.discount),
            ("assumed_at_most", &self.assumed_at_most),
        ];
        for (name, decimal) in decimals {
            if let Some(decimal) = decimal {
                contract[name] = json!(decimal);
            }
        }
        contract
    }
}

/// The largest unit that divides it; up to three days are said in hours, as people do.
fn duration(micros: i64) -> String {
    if micros > 3 * DAY && micros % DAY == 0 {
        format!("{}d", micros / DAY)
    } else if micros % HOUR == 0 {
        format!("{}h", micros / HOUR)
    } else {
        format!("{}s", micros / SECOND)
    }
}
