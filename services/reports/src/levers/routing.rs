//! Routing: what the same tokens cost on another model. Arithmetic; it says nothing about success.

use super::{LEAST_ATTEMPTS, Model, Price, add, too_few};
use crate::rate::Rate;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;
use verdict_domain::economics::Bucket;
use verdict_store::figures::{self, GroupBy, Slice};
use verdict_store::levers::Used;
use verdict_store::{Store, StoreError};

/// The same tokens on cheaper models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routing {
    /// What it rests on.
    pub assumptions: Vec<String>,
    /// The models on which it was repriced.
    pub candidates: Vec<Model>,
    /// Each model in use, by kind of outcome, the most attempts first.
    pub routes: Vec<Routed>,
    /// Attempts of models and kinds of outcomes beyond those that are told apart.
    pub more_attempts: i64,
}

/// The attempts of a model toward a kind of outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routed {
    /// The model in use.
    #[serde(flatten)]
    pub model: Model,
    /// The kind of outcome.
    pub action: String,
    /// All attempts.
    pub attempts: i64,
    /// Of these, whose tokens are unknown: left out.
    pub without_tokens: i64,
    /// Of these, for which the price book has no price: left out.
    pub without_price: i64,
    /// How often it succeeded toward this kind of outcome, by the model of the deciding answer.
    pub success: Option<Rate>,
    /// The cheaper ones, the cheapest first. Empty where it is refused.
    pub cheaper: Vec<Cheaper>,
    /// Why nothing is said.
    pub refused: Option<String>,
}

/// The same tokens on another model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cheaper {
    /// The other model.
    #[serde(flatten)]
    pub model: Model,
    /// Attempts that both models have a price for.
    pub attempts: i64,
    /// What their tokens cost on the model in use, by the price book.
    pub now_nanos: i64,
    /// What they cost on the other.
    pub then_nanos: i64,
    /// In which currency.
    pub currency: String,
    /// How often the other succeeded toward this kind of outcome; absent where it was not in use.
    pub success: Option<Rate>,
}

const ASSUMPTIONS: [&str; 4] = [
    "Arithmetic: the tokens of each attempt, priced by the price book at the attempt's time, once on the model in use and once on the other. It says nothing about success.",
    "The other model would need as many tokens, and be given as many from its cache. Others count tokens in another way, and talk more or less.",
    "What an attempt really cost may differ from the book where its sender reported the cost.",
    "Success is that of the episodes which each model's answer decided, in these days. They may have been easier ones: a difference between models is no proof of its cause.",
];

/// So many models, each by kind of outcome, are told apart.
const MOST: usize = 500;
/// So many models in use are tried where the operator names none.
const TRIED: usize = 20;

/// How often models succeeded, by kind of outcome and model.
pub(super) type Success = BTreeMap<(String, String), Rate>;

/// The sums of the attempts that were read.
pub(super) struct Routes {
    candidates: Vec<Model>,
    routes: BTreeMap<(Model, String), Route>,
    more: i64,
}

#[derive(Default)]
struct Route {
    attempts: i64,
    without_tokens: i64,
    without_price: i64,
    currency: Option<String>,
    /// By the place of the candidate.
    others: BTreeMap<usize, Sums>,
}

#[derive(Default)]
struct Sums {
    attempts: i64,
    now: i64,
    then: i64,
}

impl Routes {
    pub fn new(candidates: Vec<Model>) -> Self {
        Self { candidates, routes: BTreeMap::new(), more: 0 }
    }

    pub fn add(&mut self, used: &Used, price: &Price<'_>) -> Result<(), StoreError> {
        let model = Model { provider: used.provider.clone(), model: used.model.clone() };
        let key = (model, used.action.clone());
        if self.routes.len() >= MOST && !self.routes.contains_key(&key) {
            self.more += 1;
            return Ok(());
        }
        let own = key.0.clone();
        let route = self.routes.entry(key).or_default();
        route.attempts += 1;
        if used.usage.input.is_none() || used.usage.output.is_none() {
            route.without_tokens += 1;
            return Ok(());
        }
        let priced = |model: &Model| price(&model.provider, &model.model, used.ended_at, &used.usage);
        // Prices in two currencies cannot be compared.
        let now = priced(&own)
            .filter(|now| route.currency.as_deref().is_none_or(|currency| currency == now.currency.code()));
        let Some(now) = now else {
            route.without_price += 1;
            return Ok(());
        };
        route.currency.get_or_insert_with(|| now.currency.code().into());
        for (nth, candidate) in self.candidates.iter().enumerate().filter(|(_, candidate)| **candidate != own)
        {
            let Some(then) = priced(candidate).filter(|then| then.currency == now.currency) else { continue };
            let sums = route.others.entry(nth).or_default();
            sums.attempts += 1;
            add(&mut sums.now, now.nanos)?;
            add(&mut sums.then, then.nanos)?;
        }
        Ok(())
    }

    pub fn routing(self, success: &Success) -> Routing {
        let candidates = self.candidates;
        let mut routes: Vec<Routed> = self
            .routes
            .into_iter()
            .map(|((model, action), route)| {
                let of = |model: &Model| success.get(&(action.clone(), model.model.clone())).copied();
                let usable = route.attempts - route.without_tokens - route.without_price;
                let refused = too_few("attempts with known tokens and a price", usable, LEAST_ATTEMPTS);
                let mut cheaper: Vec<Cheaper> = route
                    .others
                    .iter()
                    .filter(|(_, sums)| {
                        refused.is_none() && sums.attempts >= LEAST_ATTEMPTS && sums.then < sums.now
                    })
                    .map(|(nth, sums)| Cheaper {
                        model: candidates[*nth].clone(),
                        attempts: sums.attempts,
                        now_nanos: sums.now,
                        then_nanos: sums.then,
                        currency: route.currency.clone().unwrap_or_default(),
                        success: of(&candidates[*nth]),
                    })
                    .collect();
                cheaper.sort_by(|a, b| (a.then_nanos, &a.model).cmp(&(b.then_nanos, &b.model)));
                Routed {
                    success: of(&model),
                    model,
                    attempts: route.attempts,
                    without_tokens: route.without_tokens,
                    without_price: route.without_price,
                    cheaper,
                    refused,
                    action,
                }
            })
            .collect();
        routes.sort_by(|a, b| (b.attempts, &a.model, &a.action).cmp(&(a.attempts, &b.model, &b.action)));
        let assumptions = ASSUMPTIONS.map(String::from).to_vec();
        Routing { assumptions, candidates, routes, more_attempts: self.more }
    }
}

/// The models in use with the most attempts, by the roll-ups.
pub(super) async fn in_use(store: &Store, of: &Slice) -> Result<Vec<Model>, StoreError> {
    let mut models: BTreeMap<Model, i64> = BTreeMap::new();
    let providers = figures::sums(store, of, GroupBy::Provider).await?;
    let providers: BTreeSet<String> =
        providers.into_iter().filter(|sum| sum.figures.attempts != 0).map(|sum| sum.key).collect();
    for provider in providers {
        let of = Slice { provider: Some(provider.clone()), ..of.clone() };
        for sum in figures::sums(store, &of, GroupBy::Model).await? {
            let model = Model { provider: provider.clone(), model: sum.key };
            *models.entry(model).or_default() += sum.figures.attempts;
        }
    }
    let mut models: Vec<(Model, i64)> = models.into_iter().filter(|(_, attempts)| *attempts > 0).collect();
    models.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    Ok(models.into_iter().take(TRIED).map(|(model, _)| model).collect())
}

/// How often each model's answers succeeded toward each kind of outcome that was routed, by the roll-ups.
pub(super) async fn success(store: &Store, of: &Slice, routes: &Routes) -> Result<Success, StoreError> {
    let actions: BTreeSet<&String> = routes.routes.keys().map(|(_, action)| action).collect();
    let mut success = Success::new();
    for action in actions {
        let of = Slice { action: Some(action.clone()), ..of.clone() };
        let mut decided: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for sum in figures::sums(store, &of, GroupBy::Model).await? {
            let (wins, all) = decided.entry(sum.key).or_default();
            match sum.bucket {
                Bucket::Confirmed | Bucket::Assumed => {
                    add(wins, sum.figures.outcomes)?;
                    add(all, sum.figures.outcomes)?;
                }
                Bucket::Failed | Bucket::Void => add(all, sum.figures.outcomes)?,
                _ => {}
            }
        }
        for (model, (wins, all)) in decided {
            if let Some(rate) = Rate::of(wins, all) {
                success.insert((action.clone(), model), rate);
            }
        }
    }
    Ok(success)
}
