//! LiteLLM's book: `model_prices_and_context_window.json`, as it is (github.com/BerriAI/litellm, docs.litellm.ai/docs/provider_registration).
//!
//! An object with an entry for each model, whose fields are described in its first one, `sample_spec`. What they mean is what LiteLLM
//! itself computes from them (`litellm/litellm_core_utils/llm_cost_calc/utils.py`), with one difference: LiteLLM takes the standard
//! price where a service has none of its own, here the cost is unknown then.

mod entry;
mod hours;
#[cfg(test)]
mod tests;

use super::rates::Card;
use crate::names;
use entry::{Entry, Fields};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap, HashSet};
use verdict_domain::attempt::ServiceTier;
use verdict_domain::time::Timestamp;

/// Entries of these modes are calls that are paid by their text tokens. Images, speech, videos, searches and the like are not.
const MODES: [&str; 7] =
    ["chat", "completion", "responses", "embedding", "realtime", "evaluation", "moderation"];

/// What the other book and our conventions call the providers that LiteLLM calls otherwise, beside those of [`names::provider`]. Where
/// two of LiteLLM's providers are one, and both have a model, the first one's price counts.
const PROVIDERS: [(&str, &[&str]); 9] = [
    ("aws", &["bedrock_converse", "bedrock"]),
    ("azure", &["azure", "azure_ai", "azure_text"]),
    ("cohere", &["cohere", "cohere_chat"]),
    ("fireworks", &["fireworks_ai", "fireworks_ai-embedding-models"]),
    ("github-copilot", &["github_copilot"]),
    ("google", &["gemini", "vertex_ai"]),
    ("openai", &["openai", "text-completion-openai"]),
    ("meta", &["meta", "meta_llama"]),
    ("voyageai", &["voyage"]),
];

/// The book.
pub(crate) struct LiteLlm {
    entries: Vec<Entry>,
    /// By provider and model, in lower case.
    index: HashMap<(String, String), usize>,
}

/// What became of the entries of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reading {
    /// Entries whose prices are used.
    pub priced: usize,
    /// Entries that are not paid by their text tokens: images, speech, searches, the sample.
    pub skipped: usize,
    /// Entries that cannot be read, and why. They have no price.
    pub unread: Vec<Unread>,
    /// Entries that another one of the same provider and model stands before, with other prices.
    pub shadowed: Vec<String>,
}

/// An entry that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Unread {
    /// Its name in the file.
    pub entry: String,
    /// What is wrong, naming the field.
    pub reason: String,
}

/// The members of an object in their order, also those that are there twice.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object with an entry for each model")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

impl LiteLlm {
    /// Reads a file. The error says what is wrong with it as a whole; an entry that cannot be read has no price and is listed.
    pub(super) fn read(content: &[u8]) -> Result<(Self, Reading), String> {
        let Members(members) = serde_json::from_slice(content).map_err(|error| {
            format!("not LiteLLM's price list, an object with an entry for each model: {error}")
        })?;
        let mut reading = Reading::default();
        let mut seen = HashSet::new();
        let twice: HashSet<String> =
            members.iter().filter(|(name, _)| !seen.insert(name)).map(|(name, _)| name.clone()).collect();
        let mut entries = Vec::new();
        for (name, raw) in members {
            let unread = |reason: String| Unread { entry: name.clone(), reason };
            if twice.contains(&name) {
                if reading.unread.iter().all(|unread| unread.entry != name) {
                    reading.unread.push(unread("it is there twice".into()));
                }
                continue;
            }
            let read = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw.get())
                .map_err(|error| error.to_string())
                .and_then(|fields| Entry::read(&name, &Fields(fields)));
            match read {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => reading.skipped += 1,
                Err(reason) => reading.unread.push(unread(reason)),
            }
        }
        if entries.is_empty() {
            return Err("not LiteLLM's price list: no entry of it has a price by token".into());
        }
        reading.priced = entries.len();
        entries.sort_by_key(|entry| (entry.rank(), entry.name.clone()));
        let mut index: HashMap<(String, String), usize> = HashMap::new();
        for (nth, entry) in entries.iter().enumerate() {
            let mut is_shadowed = false;
            for key in entry.keys() {
                let before = *index.entry(key).or_insert(nth);
                is_shadowed |= !entries[before].same_prices(entry);
            }
            if is_shadowed {
                reading.shadowed.push(entry.name.clone());
            }
        }
        Ok((Self { entries, index }, reading))
    }

    /// A model's prices at a time.
    pub(super) fn card(&self, provider: &str, model: &str, at: Timestamp, tier: ServiceTier) -> Option<Card> {
        let (provider, model) = (provider.trim().to_ascii_lowercase(), model.to_ascii_lowercase());
        let found = |provider: String| self.index.get(&(provider, model.clone()));
        let nth = found(provider.clone()).or_else(|| found(names::provider(&provider)))?;
        self.entries[*nth].card(at, tier)
    }

    /// All models: the provider by our name for it, and the model by the provider's.
    pub(super) fn models(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.ours.as_str(), entry.model.as_str()))
    }
}
