//! The one arithmetic of prices, in integers: whatever a price is from, this is how a call is priced by it.

use verdict_domain::attempt::Usage;
use verdict_domain::money::divide_half_away;

const MILLION: i64 = 1_000_000;
/// A dollar a token is more than any vendor asks.
pub(crate) const MOST: i64 = 1_000_000_000_000_000;

/// Prices in nanos of US dollars per million tokens (10^-15 dollars a token); `request` in nanos per request. `None` is no price:
/// what was counted of it has an unknown cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Input that is none of the next three.
    pub input: Option<i64>,
    /// Read from the cache.
    pub cached_input: Option<i64>,
    /// Written to the cache for minutes.
    pub cache_write: Option<i64>,
    /// Written to the cache for an hour.
    pub cache_write_1h: Option<i64>,
    /// Output that is no reasoning.
    pub output: Option<i64>,
    /// Reasoning.
    pub reasoning: Option<i64>,
    /// Each request.
    pub request: Option<i64>,
}

/// What prices are for, as they are shown.
pub const UNITS: [&str; 7] =
    ["input", "cached_input", "cache_write", "cache_write_1h", "output", "reasoning", "request"];

impl Rates {
    /// The prices in the order of [`UNITS`].
    pub fn by_unit(&self) -> [Option<i64>; 7] {
        [
            self.input,
            self.cached_input,
            self.cache_write,
            self.cache_write_1h,
            self.output,
            self.reasoning,
            self.request,
        ]
    }

    /// What a call cost, in nanos. `None`: what it counted is unknown, or has no price here.
    fn cost_nanos(&self, usage: &Usage) -> Option<i64> {
        let (input, output) = (usage.input?, usage.output?);
        let of = |part: Option<i64>| part.unwrap_or(0);
        let (cached, written) = (of(usage.cached_input), of(usage.cache_write));
        let (written_1h, reasoning) = (of(usage.cache_write_1h), of(usage.reasoning));
        let counts = [
            input - cached - written,
            cached,
            written - written_1h,
            written_1h,
            output - reasoning,
            reasoning,
            MILLION,
        ];
        let mut sum = 0_i128;
        for (count, rate) in counts.into_iter().zip(self.by_unit()) {
            if count != 0 {
                // Counts are below 2^31 and rates below 2^50: seven products are far from the end of 128 bits.
                sum += i128::from(count) * i128::from(rate?);
            }
        }
        divide_half_away(sum, i128::from(MILLION))
    }
}

/// A model's prices at a time, by the size of the input: each holds from so many input tokens on. Never empty, and the first
/// holds from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card(Vec<(i64, Rates)>);

impl Card {
    /// One price whatever the size.
    pub(crate) fn flat(rates: Rates) -> Self {
        Self(vec![(0, rates)])
    }

    /// From here on other rates hold. Steps are added from small to large.
    pub(crate) fn add(&mut self, from: i64, rates: Rates) {
        if self.0.last().is_none_or(|(_, before)| *before != rates) {
            self.0.push((from, rates));
        }
    }

    /// The rates, by the number of input tokens from which on they hold.
    pub fn steps(&self) -> &[(i64, Rates)] {
        &self.0
    }

    /// The rates for a call of so many input tokens.
    pub fn rates(&self, input: i64) -> Rates {
        let step = self.0.iter().rev().find(|(from, _)| input >= *from).or(self.0.first());
        step.map(|(_, rates)| *rates).unwrap_or_default()
    }

    /// What a call cost, in nanos of US dollars; `None` if that is unknown.
    pub fn cost_nanos(&self, usage: &Usage) -> Option<i64> {
        self.rates(usage.input?).cost_nanos(usage)
    }
}
