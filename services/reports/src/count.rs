//! What cases come to under a rule, priced: pure. The same for cases of the database ([`crate::rejudge`]) and for those
//! of an export ([`crate::recount`]).

use serde::Serialize;
use std::collections::BTreeMap;
use verdict_domain::contract::{Contract, in_force};
use verdict_domain::fact::Fact;
use verdict_domain::judge::{Judgement, Verdict, WinKind, judge};
use verdict_domain::ledger::{Entry, EntryKind, entries};
use verdict_domain::money::{Currency, Money, decimal};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;

/// A sum that does not fit 64 bits: ask for fewer days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sum overflows; ask for fewer days")]
pub struct Overflow;

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub judgement: Judgement,
    pub posts: Vec<Post>,
}

/// What must stand in the ledger, with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub entry: Entry,
    /// `None`: no contract or price covers it, or its price needs a value that is not told.
    pub amount: Option<Money>,
}

/// Judges a case by a rule and prices what comes of it by the contract versions in force. `facts` are in order.
pub(crate) fn count(facts: &[Fact], rule: &Rule, versions: &[Contract], now: Timestamp) -> Counted {
    let judgement = judge(facts, rule, now);
    let mut posts: Vec<Post> = Vec::new();
    for entry in entries(facts, &judgement.episodes) {
        let amount = match entry.kind {
            EntryKind::Charge => in_force(versions, entry.effective_at)
                .and_then(|contract| contract.list_price(&entry.action, entry.win, entry.value).ok()),
            // The exact opposite of its charge, which stands before it.
            EntryKind::Void | EntryKind::Correction => posts
                .iter()
                .rfind(|post| post.entry.episode == entry.episode)
                .and_then(|charge| charge.amount?.negated().ok()),
        };
        posts.push(Post { entry, amount });
    }
    Counted { judgement, posts }
}

impl Counted {
    /// What is billed for the case, by currency; what adds up to nothing is left out.
    pub fn billed(&self) -> Result<Sums, Overflow> {
        let mut sums = Sums::default();
        for amount in self.posts.iter().filter_map(|post| post.amount) {
            sums.add(amount)?;
        }
        sums.0.retain(|_, nanos| *nanos != 0);
        Ok(sums)
    }

    /// Whether a customer would see the same: verdicts by episode and what is billed, not on which day.
    pub fn looks_like(&self, other: &Self) -> Result<bool, Overflow> {
        let verdicts = |counted: &Self| -> Vec<(String, Option<Verdict>, bool)> {
            let episodes = counted.judgement.episodes.iter();
            episodes.map(|episode| (episode.name.clone(), episode.verdict, episode.charged)).collect()
        };
        Ok(verdicts(self) == verdicts(other) && self.billed()? == other.billed()?)
    }

    /// Its episodes' verdicts and what is billed, in a few words: `confirmed, 0.99 USD`.
    pub fn summary(&self) -> Result<String, Overflow> {
        let episodes: Vec<_> =
            self.judgement.episodes.iter().filter(|episode| episode.verdict.is_some()).collect();
        let verdicts: Vec<String> = episodes
            .iter()
            .map(|episode| {
                let verdict = episode.verdict.map_or_else(String::new, verdict_words);
                match episodes.len() {
                    1 => verdict,
                    _ => format!("{verdict} (`{}`)", episode.name),
                }
            })
            .collect();
        Ok(format!("{}; {}", verdicts.join(", "), self.billed()?))
    }
}

/// `void (reopened)`.
pub(crate) fn verdict_words(verdict: Verdict) -> String {
    let reason = match verdict {
        Verdict::Failed(reason) | Verdict::Void(reason) => Some(reason.as_str().replace('_', " ")),
        Verdict::Pending | Verdict::Won(_) => None,
    };
    let name = verdict_name(verdict);
    reason.map_or(name.to_string(), |reason| format!("{name} ({reason})"))
}

/// `pending`, `confirmed`, `assumed`, `failed` or `void`.
pub(crate) fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pending => "pending",
        Verdict::Won(win) => win.as_str(),
        Verdict::Failed(_) => "failed",
        Verdict::Void(_) => "void",
    }
}

/// Sums of money by currency (its ISO 4217 code), in nanos. Serialised as exact decimals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums(pub BTreeMap<&'static str, i64>);

impl Sums {
    /// Adds an amount.
    pub fn add(&mut self, amount: Money) -> Result<(), Overflow> {
        let sum = self.0.entry(amount.currency.code()).or_default();
        *sum = sum.checked_add(amount.nanos).ok_or(Overflow)?;
        Ok(())
    }

    /// The difference of two, where all that is not zero is in one currency.
    pub fn less(&self, other: &Self) -> Option<(&'static str, i64)> {
        let all = self.0.iter().chain(&other.0).filter(|(_, nanos)| **nanos != 0);
        let mut codes: Vec<&'static str> = all.map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        let [code] = codes.as_slice() else { return None };
        let of = |sums: &Self| sums.0.get(code).copied().unwrap_or(0);
        Some((*code, of(self).checked_sub(of(other))?))
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        for (nth, (code, nanos)) in self.0.iter().enumerate() {
            let comma = if nth > 0 { ", " } else { "" };
            write!(f, "{comma}{}", shown(*nanos, code))?;
        }
        Ok(())
    }
}

impl Serialize for Sums {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(code, nanos)| (code, amount(*nanos, code))))
    }
}

/// `0.99`: exact, with at least the currency's own decimals.
pub(crate) fn amount(nanos: i64, code: &str) -> String {
    let decimals = Currency::from_code(code).and_then(|currency| currency.exponent()).unwrap_or(2);
    decimal(nanos, usize::from(decimals))
}

/// `0.99 USD`.
pub(crate) fn shown(nanos: i64, code: &str) -> String {
    format!("{} {code}", amount(nanos, code))
}

/// Outcomes and revenue of many cases.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Outcomes that somebody confirmed.
    pub confirmed: u64,
    /// Outcomes that were assumed.
    pub assumed: u64,
    /// Outcomes that were taken back.
    pub void: u64,
    /// Episodes that failed.
    pub failed: u64,
    /// Episodes that are not decided.
    pub pending: u64,
    /// Of the confirmed and assumed ones, those that are not charged: an earlier one of their case is.
    pub not_charged: u64,
    /// Of the confirmed and assumed ones, those that no contract or price covers.
    pub unpriced: u64,
    /// What is billed for all of them at list prices, by currency.
    pub revenue: Sums,
    /// Of that, for confirmed outcomes.
    pub revenue_confirmed: Sums,
    /// Of that, for assumed outcomes.
    pub revenue_assumed: Sums,
}

impl Tally {
    /// Adds what a case comes to.
    pub(crate) fn add(&mut self, counted: &Counted) -> Result<(), Overflow> {
        for episode in &counted.judgement.episodes {
            match episode.verdict {
                None => {}
                Some(Verdict::Pending) => self.pending += 1,
                Some(Verdict::Failed(_)) => self.failed += 1,
                Some(Verdict::Void(_)) => self.void += 1,
                Some(Verdict::Won(win)) => {
                    match win {
                        WinKind::Confirmed => self.confirmed += 1,
                        WinKind::Assumed => self.assumed += 1,
                    }
                    self.not_charged += u64::from(!episode.charged);
                    let of_it = |post: &&Post| post.entry.episode == episode.name;
                    let unpriced = counted.posts.iter().filter(of_it).any(|post| post.amount.is_none());
                    self.unpriced += u64::from(unpriced);
                }
            }
        }
        for post in &counted.posts {
            if let Some(amount) = post.amount {
                self.bill(post.entry.win, amount)?;
            }
        }
        Ok(())
    }

    /// Adds a price.
    pub(crate) fn bill(&mut self, win: WinKind, amount: Money) -> Result<(), Overflow> {
        self.revenue.add(amount)?;
        match win {
            WinKind::Confirmed => self.revenue_confirmed.add(amount),
            WinKind::Assumed => self.revenue_assumed.add(amount),
        }
    }
}

/// What attempts cost.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Costs {
    /// Attempts.
    pub attempts: u64,
    /// Of these, whose model cost is unknown: it is in no sum.
    pub unknown_cost_attempts: u64,
    /// What is known, by currency.
    pub known: Sums,
}

impl Costs {
    /// Adds what the attempts of a case cost.
    pub(crate) fn add(&mut self, facts: &[Fact]) -> Result<(), Overflow> {
        for attempt in facts.iter().filter_map(Fact::attempt) {
            self.attempts += 1;
            self.unknown_cost_attempts += u64::from(attempt.cost.model_nanos.is_none());
            self.known.add(attempt.cost.known())?;
        }
        Ok(())
    }
}
