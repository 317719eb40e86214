//! Caching: what the repeats of prompts cost whose first answer was verified.

use super::{BITE, LEAST_ATTEMPTS, LEAST_REPEATS, add, too_few};
use crate::case::HeldEpisode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use verdict_domain::attempt::Status;
use verdict_domain::money;
use verdict_domain::time::Timestamp;
use verdict_store::levers::{Asked, Repeats, Span};
use verdict_store::{Store, StoreError};

/// What a cache of verified answers would have saved: a floor, not a forecast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Caching {
    /// What it rests on.
    pub assumptions: Vec<String>,
    /// All customers together; each has a cache of its own.
    pub all: Cached,
    /// The customers with the most repeats.
    pub customers: Vec<Cached>,
    /// Customers that are in the sum and not in the list.
    pub more_customers: i64,
}

/// What a cache would have saved of a customer's attempts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Cached {
    /// Whose; empty: of all together.
    pub customer: String,
    /// All attempts.
    pub attempts: i64,
    /// Of these, with a fingerprint of their prompt: of the others nothing is known.
    pub with_fingerprint: i64,
    /// Prompts that have repeats which count.
    pub prompts: i64,
    /// Repeats that count.
    pub repeats: i64,
    /// Of these, whose cost is unknown: in no sum.
    pub unknown_costs: i64,
    /// What the models cost of the others, in nanos by currency. Empty where it is refused.
    pub saved_nanos: BTreeMap<String, i64>,
    /// Why nothing is said of what it would have saved.
    pub refused: Option<String>,
}

const ASSUMPTIONS: [&str; 6] = [
    "A cache was empty at the first day and kept what it got; each customer has its own, and nobody is given another's answers.",
    "Two attempts ask the same where customer, agent, kind of outcome and `prompt_fingerprint` are equal: it is as good as the sender's fingerprint.",
    "Only an answer that was verified is given again: the first answer to the prompt in these days decided a confirmed outcome. Assumed outcomes are not verified.",
    "A repeat counts if it began after that outcome was decided, in another case. What a cache would have given before is not counted.",
    "What is saved is the known cost of the model; tools and other costs are spent as before.",
    "The same answer would have helped again: no figure says so. Prompts that will be asked are not forecast.",
];

/// So many customers are listed.
const LISTED: usize = 100;

/// The sums of all customers, and the customers with the most repeats.
#[derive(Default)]
pub(super) struct Caches {
    pub all: Cached,
    listed: Vec<Cached>,
    more: i64,
}

impl Caches {
    pub fn add(&mut self, cached: Cached) -> Result<(), StoreError> {
        let all = &mut self.all;
        for (to, more) in [
            (&mut all.attempts, cached.attempts),
            (&mut all.with_fingerprint, cached.with_fingerprint),
            (&mut all.prompts, cached.prompts),
            (&mut all.repeats, cached.repeats),
            (&mut all.unknown_costs, cached.unknown_costs),
        ] {
            add(to, more)?;
        }
        for (currency, nanos) in &cached.saved_nanos {
            add(all.saved_nanos.entry(currency.clone()).or_default(), *nanos)?;
        }
        self.listed.push(cached);
        self.listed
            .sort_by(|a, b| (b.repeats, b.attempts, &a.customer).cmp(&(a.repeats, a.attempts, &b.customer)));
        if self.listed.len() > LISTED {
            self.listed.truncate(LISTED);
            self.more += 1;
        }
        Ok(())
    }

    pub fn caching(self) -> Caching {
        Caching {
            assumptions: ASSUMPTIONS.map(String::from).to_vec(),
            all: self.all.or_refused(),
            customers: self.listed.into_iter().map(Cached::or_refused).collect(),
            more_customers: self.more,
        }
    }
}

impl Cached {
    pub(super) fn of(customer: &str) -> Self {
        Self { customer: customer.into(), ..Self::default() }
    }

    /// Without its sums where the sample is too small.
    fn or_refused(mut self) -> Self {
        let attempts = too_few("attempts with a fingerprint", self.with_fingerprint, LEAST_ATTEMPTS);
        self.refused = attempts.or_else(|| too_few("repeats", self.repeats, LEAST_REPEATS));
        if self.refused.is_some() {
            self.saved_nanos.clear();
        }
        self
    }
}

/// Counts the repeats of a customer's prompts, page by page.
pub(super) async fn count<F, B>(
    store: &Store,
    span: &Span,
    cached: &mut Cached,
    breathe: &F,
) -> Result<(), StoreError>
where
    F: Fn() -> B + Sync,
    B: Future<Output = ()> + Send,
{
    let mut repeats = Repeats::of(store, span).await?;
    let mut walk = Walk::default();
    loop {
        let page = repeats.next(BITE).await?;
        if page.is_empty() {
            return Ok(());
        }
        let firsts = walk.first_answers(&page);
        let episodes = repeats.episodes(firsts.iter().map(|nth| page[*nth].case.clone())).await?;
        let mut verified = BTreeMap::new();
        for nth in firsts {
            let at = match episodes.get(&page[nth].case) {
                Some(episodes) => verified_at(episodes, &page[nth].id)?,
                None => None,
            };
            verified.insert(nth, at);
        }
        walk.count(&page, &verified, cached)?;
        breathe().await;
    }
}

/// When it was decided that an attempt's answer won, by confirmation; `None`: that is not what is held of it. `episodes` is what
/// is held of its case.
pub(super) fn verified_at(episodes: &str, attempt: &str) -> Result<Option<Timestamp>, StoreError> {
    let episodes: Vec<HeldEpisode> =
        serde_json::from_str(episodes).map_err(|error| StoreError::Corrupt(format!("episodes: {error}")))?;
    // The first fact that decided is the answer.
    let fact = format!("attempt:{attempt}");
    let won = episodes.into_iter().find(|episode| {
        episode.verdict.as_deref() == Some("confirmed") && episode.because.first() == Some(&fact)
    });
    Ok(won.and_then(|episode| episode.decided_at))
}

/// A walk over attempts by prompt and time, whose pages end anywhere.
#[derive(Default)]
pub(super) struct Walk {
    /// The prompt at which the last page ended.
    prompt: Option<(String, String, String)>,
    first: First,
    /// Whether a repeat of it counted.
    counted: bool,
}

/// What is known of the first answer to a prompt.
#[derive(Debug, Clone, Default)]
enum First {
    /// There was none yet.
    #[default]
    Missing,
    /// It did not win, or nobody confirmed it.
    Unverified,
    /// It won in a case, and since then may be given again.
    Verified { case: String, since: Timestamp },
}

impl Walk {
    /// Which attempts of the next page are the first answers to their prompts.
    pub fn first_answers(&self, page: &[Asked]) -> Vec<usize> {
        let mut prompt = self.prompt.as_ref();
        let mut is_missing = matches!(self.first, First::Missing);
        let mut firsts = Vec::new();
        for (nth, asked) in page.iter().enumerate() {
            if prompt != Some(&asked.prompt) {
                (prompt, is_missing) = (Some(&asked.prompt), true);
            }
            if is_missing && asked.status == Status::Answered {
                is_missing = false;
                firsts.push(nth);
            }
        }
        firsts
    }

    /// Counts a page: `verified` holds each of its first answers with the time since when it is verified, if it is.
    pub fn count(
        &mut self,
        page: &[Asked],
        verified: &BTreeMap<usize, Option<Timestamp>>,
        cached: &mut Cached,
    ) -> Result<(), StoreError> {
        for (nth, asked) in page.iter().enumerate() {
            if self.prompt.as_ref() != Some(&asked.prompt) {
                *self = Self { prompt: Some(asked.prompt.clone()), ..Self::default() };
            }
            if let Some(since) = verified.get(&nth) {
                self.first = match since {
                    Some(since) => First::Verified { case: asked.case.clone(), since: *since },
                    None => First::Unverified,
                };
                continue;
            }
            let First::Verified { case, since } = &self.first else { continue };
            if asked.started_at < *since || asked.case == *case {
                continue;
            }
            cached.prompts += i64::from(!self.counted);
            self.counted = true;
            cached.repeats += 1;
            match asked.model_nanos {
                Some(nanos) => {
                    // As it is stored: never another text than a currency's code.
                    let code = money::currency(&asked.currency)
                        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
                    add(cached.saved_nanos.entry(code.code().into()).or_default(), nanos)?;
                }
                None => cached.unknown_costs += 1,
            }
        }
        Ok(())
    }
}
