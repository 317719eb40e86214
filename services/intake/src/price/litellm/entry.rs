//! One entry of LiteLLM's book: its prices by service, by the size of the input, and off the peak.

use super::hours::Hours;
use super::{MODES, PROVIDERS};
use crate::litellm::decimal;
use crate::names;
use crate::price::rates::{Card, MOST, Rates};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::attempt::ServiceTier;
use verdict_domain::money::{divide_half_away, parse_nanos};
use verdict_domain::time::Timestamp;

/// What the fields of each unit begin with, in the order of [`Level`].
const FIELDS: [&str; 6] = [
    "input_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_token",
    "output_cost_per_reasoning_token",
];
const INPUT: usize = 0;
const CACHED: usize = 1;
const WRITE: usize = 2;
const WRITE_1H: usize = 3;
const OUTPUT: usize = 4;
const REASONING: usize = 5;

/// What the fields of a service end with. LiteLLM takes `fast` for another name of `priority`.
const SERVICES: [(ServiceTier, &str); 7] = [
    (ServiceTier::Standard, ""),
    (ServiceTier::Flex, "_flex"),
    (ServiceTier::Balanced, "_balanced"),
    (ServiceTier::Priority, "_priority"),
    (ServiceTier::Fast, "_priority"),
    (ServiceTier::Ultrafast, "_ultrafast"),
    (ServiceTier::Batch, "_batches"),
];

/// Whose higher prices begin at their threshold; all others' begin above it.
const INCLUSIVE: [&str; 1] = ["xai"];

/// The fields of an entry, each the text that it is.
pub(super) struct Fields<'a>(pub BTreeMap<String, &'a RawValue>);

/// What an entry says of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing: it costs what it is part of.
    Nothing,
    /// Its price.
    Price(i64),
    /// The standard service has a price of its own for it, this one has none: that is unknown.
    Unknown,
}

type Level = [Said; 6];

/// Prices by the size of the input above which they hold; the first ones hold for all.
type Levels = Vec<(Option<i64>, Level)>;

/// A model's prices.
pub(super) struct Entry {
    pub name: String,
    /// LiteLLM's name of the provider, without what follows a hyphen in `vertex_ai-…`.
    provider: String,
    /// Our name of it.
    pub ours: String,
    /// The model as the provider names it.
    pub model: String,
    cards: BTreeMap<ServiceTier, Card>,
    off_peak: Option<(Hours, Card)>,
}

impl Fields<'_> {
    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok())
    }

    /// A price by token, in nanos per million tokens.
    fn price(&self, name: &str) -> Result<Option<i64>, String> {
        match self.0.get(name) {
            Some(raw) if raw.get() != "null" => price(name, raw.get()).map(Some),
            _ => Ok(None),
        }
    }

    /// The sizes of input above which the entry has other prices, standard ones or those of a service.
    fn thresholds(&self, service: &str) -> Result<BTreeSet<i64>, String> {
        let mut thresholds = BTreeSet::new();
        for name in self.0.keys() {
            let after = |unit: &str| name.strip_prefix(unit)?.strip_prefix("_above_");
            // Of two that fit, the longer is the unit.
            let Some(rest) = FIELDS.into_iter().rev().find_map(after) else { continue };
            let Some((size, of)) = rest.split_once("_tokens") else { continue };
            if !of.is_empty() && of != service {
                continue;
            }
            // `above_1hr_above_200k` is found with its own unit; another time to live is another unit.
            if size.contains("hr") {
                continue;
            }
            let (digits, by) = match size.strip_suffix('k') {
                Some(digits) => (digits, 1_000),
                None => (size, 1),
            };
            let size = digits.parse::<i64>().ok().and_then(|size| size.checked_mul(by));
            thresholds.insert(size.ok_or_else(|| format!("{name}: `{rest}` names no number of tokens"))?);
        }
        Ok(thresholds)
    }

    /// What is said of a unit above a size, or of all sizes.
    fn said(&self, unit: usize, above: Option<i64>, service: &str) -> Result<Option<i64>, String> {
        let field = FIELDS[unit];
        let Some(size) = above else { return self.price(&format!("{field}{service}")) };
        let mut names = vec![format!("{field}_above_{size}_tokens{service}")];
        if size % 1_000 == 0 {
            names.insert(0, format!("{field}_above_{}k_tokens{service}", size / 1_000));
        }
        for name in names {
            if let Some(price) = self.price(&name)? {
                return Ok(Some(price));
            }
        }
        Ok(None)
    }

    /// The prices of a service, by the size above which they hold.
    fn levels(&self, service: &str) -> Result<Levels, String> {
        let mut level = [Said::Nothing; 6];
        let mut levels = Vec::new();
        let thresholds = self.thresholds(service)?;
        for above in std::iter::once(None).chain(thresholds.into_iter().map(Some)) {
            for (unit, said) in level.iter_mut().enumerate() {
                let (own, standard) = (self.said(unit, above, service)?, self.said(unit, above, "")?);
                // A price for reasoning that is the output's only repeats it.
                if unit == REASONING
                    && standard == self.said(OUTPUT, above, "")?
                    && (own.is_none() || own == standard)
                {
                    continue;
                }
                if let Some(price) = own {
                    *said = Said::Price(price);
                } else if standard.is_some() {
                    *said = Said::Unknown;
                }
            }
            levels.push((above, level));
        }
        Ok(levels)
    }

    /// The steps of `tiered_pricing`, each with a range of input sizes: the first number is excluded, the second included.
    fn tiers(&self) -> Result<Option<Levels>, String> {
        let Some(raw) = self.0.get("tiered_pricing") else { return Ok(None) };
        let tiers: Vec<BTreeMap<String, &RawValue>> =
            serde_json::from_str(raw.get()).map_err(|error| format!("tiered_pricing: {error}"))?;
        let mut steps = Vec::new();
        for (nth, tier) in tiers.into_iter().enumerate() {
            let of_tier = |fault: String| format!("tiered_pricing[{nth}].{fault}");
            let range =
                tier.get("range").and_then(|raw| serde_json::from_str::<[&RawValue; 2]>(raw.get()).ok());
            let bounds = range.and_then(|[from, to]| Some((tokens(from.get())?, tokens(to.get())?)));
            let (from, to) =
                bounds.ok_or_else(|| of_tier("range: is no pair of numbers of tokens".into()))?;
            if let Some(unknown) =
                tier.keys().find(|name| *name != "range" && !FIELDS.contains(&name.as_str()))
            {
                return Err(of_tier(format!("{unknown}: is not known")));
            }
            let fields = Fields(tier);
            let mut level = fields.levels("").map_err(of_tier)?.remove(0).1;
            if level[INPUT] == Said::Nothing {
                return Err(of_tier("input_cost_per_token: is missing".into()));
            }
            if level[OUTPUT] == Said::Nothing
                && let Some(price) = self.price(FIELDS[OUTPUT])?
            {
                level[OUTPUT] = Said::Price(price);
            }
            steps.push((from, to, level));
        }
        steps.sort_by_key(|(from, ..)| *from);
        let joined = steps.windows(2).all(|pair| pair[0].1 == pair[1].0);
        if steps.first().is_none_or(|(from, ..)| *from != 0) || !joined {
            return Err("tiered_pricing: the ranges do not follow each other from 0 on".into());
        }
        let above = |from: i64| (from > 0).then_some(from);
        Ok(Some(steps.into_iter().map(|(from, _, level)| (above(from), level)).collect()))
    }

    /// The hours off the peak, and the prices then.
    fn off_peak(&self) -> Result<Option<(Hours, Level)>, String> {
        let Some(raw) = self.0.get("off_peak_pricing") else { return Ok(None) };
        let of_block = |fault: String| format!("off_peak_pricing.{fault}");
        let block: BTreeMap<String, &RawValue> =
            serde_json::from_str(raw.get()).map_err(|error| format!("off_peak_pricing: {error}"))?;
        let is_known = |name: &str| FIELDS.contains(&name) || Hours::FIELDS.contains(&name);
        if let Some(unknown) = block.keys().find(|name| !is_known(name)) {
            return Err(of_block(format!("{unknown}: is not known")));
        }
        let hours = Hours::read(raw.get()).map_err(of_block)?;
        let level = Fields(block).levels("").map_err(of_block)?.remove(0).1;
        Ok(Some((hours, level)))
    }
}

/// A number of JSON as nanos per million tokens, exact to 10^-15 dollars a token.
fn price(name: &str, number: &str) -> Result<i64, String> {
    let fault = || format!("{name}: `{number}` is no price from 0 to 1 dollar a token");
    let (whole, fraction) = match decimal(number).ok_or_else(fault)? {
        text if text.starts_with('-') => return Err(fault()),
        text => match text.split_once('.') {
            Some((whole, fraction)) => (whole.to_string(), fraction.to_string()),
            None => (text, String::new()),
        },
    };
    // `decimal` gives at most 18 decimals: in all a count of 10^-18.
    let count: i128 = format!("{whole}{fraction:0<18}").parse().map_err(|_| fault())?;
    divide_half_away(count, 1_000).filter(|price| (0..=MOST).contains(price)).ok_or_else(fault)
}

/// A whole number of tokens, however JSON writes it.
fn tokens(number: &str) -> Option<i64> {
    decimal(number)?.parse().ok().filter(|tokens| *tokens >= 0)
}

fn rates(level: Level, request: Option<i64>) -> Rates {
    let or = |unit: usize, other: Option<i64>| match level[unit] {
        Said::Price(price) => Some(price),
        Said::Unknown => None,
        Said::Nothing => other,
    };
    let (input, output) = (or(INPUT, None), or(OUTPUT, None));
    let cache_write = or(WRITE, input);
    Rates {
        input,
        cached_input: or(CACHED, input),
        cache_write,
        cache_write_1h: or(WRITE_1H, cache_write),
        output,
        reasoning: or(REASONING, output),
        request,
    }
}

impl Entry {
    /// Reads an entry; `None` if it is of something that is not paid by its text tokens.
    pub(super) fn read(name: &str, fields: &Fields) -> Result<Option<Self>, String> {
        let is_text = fields.text("mode").is_some_and(|mode| MODES.contains(&mode.as_str()));
        let has_price = fields.0.contains_key(FIELDS[INPUT]) || fields.0.contains_key("tiered_pricing");
        if !is_text || !has_price {
            return Ok(None);
        }
        let provider = fields.text("litellm_provider").ok_or("litellm_provider: is missing")?;
        let inclusive = INCLUSIVE.contains(&provider.as_str());
        let request = match fields.0.get("input_cost_per_request") {
            None => 0,
            Some(raw) => decimal(raw.get())
                .and_then(|text| parse_nanos(&text).ok())
                .filter(|nanos| (0..=MOST).contains(nanos))
                .ok_or_else(|| format!("input_cost_per_request: `{}` is no price", raw.get()))?,
        };
        let card = |levels: &[(Option<i64>, Level)], request: Option<i64>| {
            let mut card: Option<Card> = None;
            for (above, level) in levels {
                let rates = rates(*level, request);
                match (&mut card, above) {
                    (None, _) => card = Some(Card::flat(rates)),
                    (Some(card), above) => {
                        card.add(above.unwrap_or(0).saturating_add(i64::from(!inclusive)), rates);
                    }
                }
            }
            card
        };
        let tiers = fields.tiers()?;
        let mut cards = BTreeMap::new();
        for (tier, ending) in SERVICES {
            let is_standard = tier == ServiceTier::Standard;
            // Steps by range are the standard service's; and one without a price for input has none.
            if !is_standard
                && (tiers.is_some() || fields.price(&format!("{}{ending}", FIELDS[INPUT]))?.is_none())
            {
                continue;
            }
            let levels = match &tiers {
                Some(tiers) => tiers.clone(),
                None => fields.levels(ending)?,
            };
            // A fee for each request is the standard service's too.
            let request = (is_standard || request == 0).then_some(request);
            cards.extend(card(&levels, request).map(|card| (tier, card)));
        }
        let off_peak = match fields.off_peak()? {
            None => None,
            Some((hours, cheaper)) => {
                let mut levels = match tiers {
                    Some(tiers) => tiers,
                    None => fields.levels("")?,
                };
                for (_, level) in &mut levels {
                    for (said, cheaper) in level.iter_mut().zip(cheaper) {
                        if cheaper != Said::Nothing {
                            *said = cheaper;
                        }
                    }
                }
                card(&levels, Some(request)).map(|card| (hours, card))
            }
        };
        let family = provider.split_once('-').filter(|(family, _)| *family == "vertex_ai");
        let family = family.map_or(provider.as_str(), |(family, _)| family).to_ascii_lowercase();
        let of_list = PROVIDERS.iter().find(|(_, theirs)| theirs.contains(&family.as_str()));
        let ours = of_list.map_or_else(|| names::provider(&family), |(ours, _)| (*ours).to_string());
        // `azure/gpt-4o` is azure's gpt-4o; what follows may have more parts, as regions do.
        let own = |prefix: &str| {
            let prefix = prefix.to_ascii_lowercase();
            [&family, &ours, &family.replace('_', "-")].contains(&&prefix) || names::provider(&prefix) == ours
        };
        let model = match name.split_once('/') {
            Some((prefix, model)) if own(prefix) => model,
            _ => name,
        };
        Ok(Some(Self { name: name.into(), provider: family, ours, model: model.into(), cards, off_peak }))
    }

    /// Of two entries for one model, the lower comes first: in the order of [`PROVIDERS`], and what is named without a prefix.
    pub(super) fn rank(&self) -> (usize, bool) {
        let theirs =
            PROVIDERS.iter().find(|(ours, _)| *ours == self.ours).map_or(&[][..], |(_, theirs)| theirs);
        let place = theirs.iter().position(|provider| *provider == self.provider).unwrap_or(theirs.len());
        (place, self.name != self.model)
    }

    /// What it is found by.
    pub(super) fn keys(&self) -> BTreeSet<(String, String)> {
        let mut keys = BTreeSet::new();
        for provider in [&self.provider, &self.ours] {
            for model in [&self.name, &self.model] {
                keys.insert((provider.clone(), model.to_ascii_lowercase()));
            }
        }
        keys
    }

    pub(super) fn same_prices(&self, other: &Self) -> bool {
        self.cards == other.cards && self.off_peak == other.off_peak
    }

    /// Its prices at a time.
    pub(super) fn card(&self, at: Timestamp, tier: ServiceTier) -> Option<Card> {
        match &self.off_peak {
            Some((hours, card)) if tier == ServiceTier::Standard && hours.contain(at) => Some(card.clone()),
            _ => self.cards.get(&tier).cloned(),
        }
    }
}
