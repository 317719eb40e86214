//! Seeded traffic.

use crate::contracts::contracts;
use crate::oracle::in_force;
use crate::story::Story;
use crate::{DAY, HOUR, MINUTE, Traffic};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// A named algorithm: a seed means the same traffic for ever.
pub(crate) type Random = Xoshiro256PlusPlus;

/// What traffic to generate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The same seed, the same traffic.
    pub seed: u64,
    /// Attempts and resolutions in total.
    pub events: usize,
    /// When the contracts become effective and cases begin to come in.
    pub start: i64,
    /// For how many days cases begin; they may go on for weeks after that.
    pub days: u32,
    /// Three to eight.
    pub customers: usize,
}

impl Default for Plan {
    /// September and October of 2026, when the clocks in Berlin change.
    fn default() -> Self {
        let start = 1_788_220_800_000_000; // 2026-09-01T00:00:00Z
        Self { seed: 1, events: 2_000, start, days: 61, customers: 6 }
    }
}

impl Plan {
    /// The end of the days in which cases begin.
    pub fn end(&self) -> i64 {
        self.start + i64::from(self.days) * DAY
    }
}

/// The traffic of a plan.
///
/// # Panics
/// On a plan without days, or with fewer than three or more than eight customers.
pub fn generate(plan: &Plan) -> Traffic {
    let mut random = Random::seed_from_u64(plan.seed);
    let mut traffic = Traffic { contracts: contracts(plan), ..Traffic::default() };
    let contracts = traffic.contracts.clone();
    let mut cases_of: BTreeMap<&str, u32> = BTreeMap::new();
    let mut left = plan.events;
    while left > 0 {
        let starts_at = busy_time(&mut random, plan);
        let customer = &contracts.choose(&mut random).expect("some").customer;
        let contract = in_force(&contracts, customer, starts_at).expect("effective from the start on");
        let number = cases_of.entry(customer).or_default();
        *number += 1;
        // Numbered per customer: other customers have cases, and resolutions, of the same ids.
        let story = Story::tell(&mut random, contract, *number, starts_at);
        let attempts = story.attempts.len().min(left);
        let resolutions = story.resolutions.len().min(left - attempts);
        traffic.attempts.extend(story.attempts.into_iter().take(attempts));
        traffic.resolutions.extend(story.resolutions.into_iter().take(resolutions));
        left -= attempts + resolutions;
    }
    traffic.attempts.sort_by(|a, b| (a.ended_at, &a.id).cmp(&(b.ended_at, &b.id)));
    traffic.resolutions.sort_by_key(|resolution| resolution.occurred_at);
    traffic
}

/// A time within the plan at which people are about: mostly by day, mostly on weekdays.
fn busy_time(random: &mut Random, plan: &Plan) -> i64 {
    loop {
        let at = random.random_range(plan.start + MINUTE..plan.end());
        let busy = match at.rem_euclid(DAY) / HOUR {
            8..18 => 9,
            6..8 | 18..22 => 4,
            _ => 1,
        };
        // The first day of 1970 was a Thursday.
        let weekend = (at.div_euclid(DAY) + 3).rem_euclid(7) >= 5;
        if random.random_ratio(if weekend { busy } else { 3 * busy }, 27) {
            return at;
        }
    }
}
