//! The parts of an explanation, as programs get them.

use crate::count::amount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::money::Money;
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::history::InLine;

/// A case explained.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// Whose case.
    pub customer: String,
    /// Which case.
    pub case: String,
    /// Of the last episode: `pending`, `confirmed`, `assumed`, `failed`, `void`; `none` without an attempt.
    pub verdict: String,
    /// When it was judged last.
    #[schema(value_type = String, format = DateTime)]
    pub judged_at: Timestamp,
    /// When time alone will change the judgement.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub wake_at: Option<Timestamp>,
    /// Whether there are facts that were not judged, or outcomes that were not priced, when this was read.
    pub waits: bool,
    /// The contract version whose rule the case follows; absent where the default rule holds.
    pub contract_version: Option<u32>,
    /// The rule of the case.
    #[schema(value_type = Object)]
    pub rule: Rule,
    /// Its episodes in order.
    pub episodes: Vec<EpisodeView>,
    /// All that was recorded, in order.
    pub timeline: Vec<EventView>,
    /// The rows of the ledger, in the order in which they were posted.
    pub billed: Vec<BilledView>,
    /// What is billed in sum at list prices, by currency.
    pub billed_sums: Vec<AmountView>,
    /// What the attempts cost, by currency.
    pub costs: Vec<CostView>,
    /// What is billed at list prices less what is known of the cost; absent where these are in more than one currency.
    pub margin: Option<AmountView>,
}

/// An episode: the stretch between two re-opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EpisodeView {
    /// What is held of it.
    #[serde(flatten)]
    pub held: HeldEpisode,
    /// `confirmed` or `assumed`, for what is won, was won, or is pending and on the way to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The verdict in one sentence.
    pub sentence: String,
    /// Its disputes, in order.
    pub disputes: Vec<DisputeView>,
}

/// What is held of an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldEpisode {
    /// `start`, or the id of the re-open that began it.
    pub name: String,
    /// `pending`, `confirmed`, `assumed`, `failed` or `void`; absent without an attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Why it failed or is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From when on it is billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settles_at: Option<Timestamp>,
    /// When the verdict was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
    /// The ids of the facts that decided.
    #[serde(default)]
    pub because: Vec<String>,
    /// Set where it was won but is not charged: an earlier episode is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_charged: bool,
}

/// A dispute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DisputeView {
    /// The id of the fact that raised it.
    pub id: String,
    /// `open`, `accepted` or `rejected`.
    pub state: &'static str,
    /// Who raised and who decided it, when, and in which words.
    pub sentence: String,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct EventView {
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its id.
    pub id: String,
    /// `answered`, `replied`, `failed` or `handed_off` for an attempt, else what a resolution says.
    pub kind: &'static str,
    /// The same in plain words.
    pub what: String,
    /// For a resolution how much it proves: `signed`, `fetched`, `token`, `api` or `operator`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strength: Option<&'static str>,
    /// Who said so, where it was a person or a program with a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// In which words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it rests on: the source, the delivery, the rule that read it, the values that the rule looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub evidence: Option<serde_json::Value>,
    /// What it says that the outcome is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AmountView>,
    /// For an attempt: by what, and at what cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptView>,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
}

/// What was recorded of an attempt beside its result.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AttemptView {
    /// The agent.
    pub agent: String,
    /// Toward which kind of outcome.
    pub action: String,
    /// Who served the model.
    pub provider: String,
    /// The model.
    pub model: String,
    /// By which of the provider's services, such as `batch`, where the sender told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// What the model cost, with what was changed of it; absent where that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_cost: Option<AmountView>,
    /// What of that repricings changed, in their order: what was recorded is the rest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cost_changes: Vec<CostChangeView>,
    /// What the model cost when the attempt was recorded; absent where that was unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_model_cost: Option<AmountView>,
    /// What else it cost.
    pub other_cost: AmountView,
    /// Where the recorded cost is from; absent where it was unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// What else the sender told.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub details: Option<serde_json::Value>,
}

/// By what a repricing changed what an attempt's model cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostChangeView {
    /// The difference, with its sign.
    pub difference: AmountView,
    /// Whether the cost was unknown before.
    pub newly_known: bool,
    /// By which price book.
    pub book: String,
    /// Where the cost now is from.
    pub price_source: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Which repricing posted it.
    pub repricing: String,
}

/// An amount of money, exact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AmountView {
    /// ISO 4217.
    pub currency: &'static str,
    /// In nanos (10^-9).
    pub nanos: i64,
    /// As a decimal.
    pub amount: String,
}

impl AmountView {
    pub(crate) fn new(nanos: i64, currency: &'static str) -> Self {
        Self { currency, nanos, amount: amount(nanos, currency) }
    }

    pub(crate) fn of(money: Money) -> Self {
        Self::new(money.nanos, money.currency.code())
    }
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BilledView {
    /// 1, 2, 3 … within the case.
    pub seq: i64,
    /// `charge`, `void` or `correction`.
    pub entry: &'static str,
    /// Of which episode.
    pub episode: String,
    /// `confirmed` or `assumed`.
    pub kind: &'static str,
    /// The action that names the price.
    pub action: String,
    /// When it takes effect.
    #[schema(value_type = String, format = DateTime)]
    pub effective_at: Timestamp,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The row that it takes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverses: Option<i64>,
    /// What the outcome is worth; absent where no fact says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<AmountView>,
    /// The list price, with its sign; absent for what has no price. What the period charges is said by `line`.
    pub amount: Option<AmountView>,
    /// The contract version that priced it.
    pub contract_version: Option<u32>,
    /// The invoice that it is on; absent for what waits for one.
    pub invoice: Option<String>,
    /// The line of the invoice that it is counted in; absent without an invoice, or where nothing is left of all that is counted
    /// in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<LineView>,
    /// Set where its period is closed and there was nothing to bill in it: it is on no invoice, and waits for none.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nothing_to_bill: bool,
    /// Why the period's price leaves it out: `trial`, `included`, `cap` or `zero_price`; absent where it is billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free: Option<&'static str>,
    /// The ids of the facts that decided.
    pub facts: Vec<String>,
}

/// The line of an invoice that outcomes of one action and kind are counted in: what their period charges for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LineView {
    /// 1, 2, 3 … on the invoice.
    pub number: i64,
    /// How many outcomes, less those taken back.
    pub quantity: i64,
    /// What they come to.
    pub amount: AmountView,
    /// How that came to be.
    pub why: String,
}

impl LineView {
    pub(crate) fn of(line: &InLine) -> Self {
        let InLine { number, quantity, amount, why } = line;
        Self { number: *number, quantity: *quantity, amount: AmountView::of(*amount), why: why.clone() }
    }
}

/// What attempts cost in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CostView {
    /// What is known.
    pub known: AmountView,
    /// Attempts.
    pub attempts: u64,
    /// Of these, whose model cost is unknown: it is not in the sum.
    pub unknown_cost_attempts: u64,
}

impl Explanation {
    /// Whether there is an attempt whose model cost is unknown: the margin is then less than it says.
    pub fn has_unknown_costs(&self) -> bool {
        self.costs.iter().any(|cost| cost.unknown_cost_attempts > 0)
    }
}
