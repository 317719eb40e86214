//! Counting an export again: from its facts, by its contracts' own rules or by another, without a database.

#[cfg(test)]
mod tests;

use crate::case::sentences;
use crate::count::{Counted, Overflow, Post, Sums, Tally, count};
use crate::export::{BilledLine, CaseLine, End, FORMAT, Head, VERSION, check};
use crate::rejudge::Change;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::BufRead;
use verdict_domain::contract::{self, Contract};
use verdict_domain::fact::{Fact, in_order};
use verdict_domain::judge::{LossReason, WinKind};
use verdict_domain::ledger::EntryKind;
use verdict_domain::money::Money;
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;

/// What an export says that was billed, and what its facts say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Recount {
    /// Whose cases.
    pub customer: String,
    /// As of when.
    pub as_of: Timestamp,
    /// Cases.
    pub cases: u64,
    /// Of these, those that were not judged or priced to the end when the file was made. They are in no sum.
    pub waiting: u64,
    /// What was billed. (An episode that failed or is pending is not billed, so it is not counted here.)
    pub billed: Tally,
    /// What the facts come to under the contracts' own rules.
    pub recounted: Tally,
    /// How many cases were not billed as they were counted again.
    pub differing: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Under the other rule, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<Other>,
}

/// What the facts come to under another rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Other {
    /// What they come to.
    pub recounted: Tally,
    /// What that is less than what was billed (negative), or more; absent where money is in more than one currency.
    pub difference: Option<Sums>,
    /// How many cases look different under it.
    pub changed: u64,
    /// The first of them.
    pub changes: Vec<Explained>,
}

/// A case that was not billed as it was counted again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which case.
    pub case: String,
    /// What was billed.
    pub billed: String,
    /// What it was counted again as.
    pub recounted: String,
    /// The verdict from the facts, in words.
    pub why: String,
}

/// A case that looks different under another rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Which, and what it was before and after.
    #[serde(flatten)]
    pub change: Change,
    /// The verdict under the other rule, in words.
    pub why: String,
}

/// What is wrong with an export, by its line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct BadExport {
    /// 1, 2, 3 …
    pub line: u64,
    /// What is wrong and what to do.
    pub problem: String,
}

/// Reads lines and holds each against its check.
struct Lines<R> {
    input: R,
    line: u64,
    check: String,
}

impl<R: BufRead> Lines<R> {
    fn bad(&self, problem: impl Into<String>) -> BadExport {
        BadExport { line: self.line, problem: problem.into() }
    }

    /// The next line; the end of the file is a line that is missing.
    fn next(&mut self) -> Result<Vec<u8>, BadExport> {
        self.line += 1;
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line).map_err(|error| self.bad(error.to_string()))?;
        if line.is_empty() {
            return Err(self.bad("is missing: the file was cut off; ask for it again"));
        }
        let text = line.trim_ascii_end();
        let at = text.len().saturating_sub(44);
        let body = text[at..].strip_prefix(b",\"check\":\"").and_then(|rest| rest.strip_suffix(b"\"}"));
        let Some(found) = body else {
            return Err(
                self.bad("has no check at its end: it was cut off or changed; ask for the file again")
            );
        };
        let expected = check(&self.check, &text[..at]);
        if found != expected.as_bytes() {
            return Err(self.bad(
                "does not fit its check: it, or a line before it, was changed, moved or left out; ask for the file again",
            ));
        }
        self.check = expected;
        let mut json = text[..at].to_vec();
        json.push(b'}');
        Ok(json)
    }

    fn read<T: DeserializeOwned>(&self, json: &[u8]) -> Result<T, BadExport> {
        serde_json::from_slice(json).map_err(|error| self.bad(error.to_string()))
    }
}

/// Counts an export again, and under `rule` too if one is given; tells the first `shown` cases that differ.
pub fn recount(input: impl BufRead, rule: Option<&Rule>, shown: usize) -> Result<Recount, BadExport> {
    let mut lines = Lines { input, line: 0, check: String::new() };
    let first = lines.next()?;
    let head: Head = lines.read(&first)?;
    if head.format != FORMAT || head.version != VERSION {
        let found = format!("{} version {}", head.format, head.version);
        return Err(lines.bad(format!("is of {found}; {FORMAT} version {VERSION} is read here")));
    }
    let versions: Vec<Contract> =
        head.contracts.into_iter().map(|terms| terms.contract(&head.customer)).collect();
    let mut recount = Recount {
        customer: head.customer,
        as_of: head.as_of,
        other: rule.map(|_| Other::default()),
        ..Recount::default()
    };
    loop {
        let json = lines.next()?;
        if json.starts_with(b"{\"end\":") {
            let end: End = lines.read(&json)?;
            if end.cases != recount.cases {
                return Err(
                    lines.bad(format!("counts {} cases, but {} came before it", end.cases, recount.cases))
                );
            }
            break;
        }
        let line: CaseLine = lines.read(&json)?;
        recount.cases += 1;
        if line.waits {
            recount.waiting += 1;
            continue;
        }
        recount.add(&line, &versions, rule, shown).map_err(|problem| lines.bad(problem))?;
    }
    if let Some(other) = &mut recount.other {
        let difference = other.recounted.revenue.less(&recount.billed.revenue);
        other.difference = difference.map(|(code, nanos)| Sums([(code, nanos)].into()));
    }
    Ok(recount)
}

impl Recount {
    fn add(
        &mut self,
        line: &CaseLine,
        versions: &[Contract],
        rule: Option<&Rule>,
        shown: usize,
    ) -> Result<(), String> {
        let facts: Vec<Fact> = line.facts.iter().map(|fact| fact.fact()).collect::<Result<_, _>>()?;
        let facts = in_order(facts);
        let notes: Vec<_> = facts
            .iter()
            .map(|fact| {
                line.facts.iter().find(|line| line.id == fact.id).map(|line| line.note()).unwrap_or_default()
            })
            .collect();
        let default = Rule::default();
        let own = contract::of_case(versions, &facts).map_or(&default, |contract| &contract.rule);
        let now = line.judged_at.map_or(self.as_of, |judged_at| judged_at.max(self.as_of));
        let counted = count(&facts, own, versions, now);
        let overflow = |error: Overflow| error.to_string();

        let billed = Stands::billed(&line.billed)?;
        let stands = Stands::counted(&counted).map_err(overflow)?;
        tally_billed(&mut self.billed, &line.billed)?;
        self.recounted.add(&counted).map_err(overflow)?;
        if billed != stands {
            self.differing += 1;
            if self.differences.len() < shown {
                self.differences.push(Difference {
                    case: line.case.clone(),
                    billed: billed.to_string(),
                    recounted: stands.to_string(),
                    why: sentences(&facts, &notes, own, &counted.judgement),
                });
            }
        }
        let (Some(rule), Some(other)) = (rule, &mut self.other) else { return Ok(()) };
        let under = count(&facts, rule, versions, now);
        other.recounted.add(&under).map_err(overflow)?;
        if !counted.looks_like(&under).map_err(overflow)? {
            other.changed += 1;
            if other.changes.len() < shown {
                let change = Change {
                    customer: self.customer.clone(),
                    case: line.case.clone(),
                    before: counted.summary().map_err(overflow)?,
                    after: under.summary().map_err(overflow)?,
                };
                let why = sentences(&facts, &notes, rule, &under.judgement);
                other.changes.push(Explained { change, why });
            }
        }
        Ok(())
    }
}

/// What stands of a case: its charges and voids that nothing corrects, and what all its rows add up to.
#[derive(Debug, PartialEq, Eq)]
struct Stands {
    entries: Vec<Standing>,
    sums: Sums,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    effective_at: Timestamp,
    entry: EntryKind,
    episode: String,
    kind: WinKind,
    action: String,
    reason: Option<LossReason>,
    value: Option<(&'static str, i64)>,
    amount: Option<(&'static str, i64)>,
}

fn parts(money: Money) -> (&'static str, i64) {
    (money.currency.code(), money.nanos)
}

impl Stands {
    fn counted(counted: &Counted) -> Result<Self, Overflow> {
        let standing = |Post { entry, amount }: &Post| Standing {
            effective_at: entry.effective_at,
            entry: entry.kind,
            episode: entry.episode.clone(),
            kind: entry.win,
            action: entry.action.clone(),
            reason: entry.reason,
            value: entry.value.map(parts),
            amount: amount.map(parts),
        };
        let mut entries: Vec<Standing> = counted.posts.iter().map(standing).collect();
        entries.sort();
        Ok(Self { entries, sums: counted.billed()? })
    }

    fn billed(rows: &[BilledLine]) -> Result<Self, String> {
        let corrected: Vec<i64> = rows
            .iter()
            .filter(|row| row.entry == EntryKind::Correction)
            .filter_map(|row| row.reverses)
            .collect();
        let (mut entries, mut sums) = (Vec::new(), Sums::default());
        for row in rows {
            let money = row.money()?;
            if let Some(money) = money {
                sums.add(money).map_err(|error| error.to_string())?;
            }
            if row.entry != EntryKind::Correction && !corrected.contains(&row.seq) {
                entries.push(Standing {
                    effective_at: row.effective_at,
                    entry: row.entry,
                    episode: row.episode.clone(),
                    kind: row.kind,
                    action: row.action.clone(),
                    reason: row.reason,
                    value: row.worth()?.map(parts),
                    amount: money.map(parts),
                });
            }
        }
        sums.0.retain(|_, nanos| *nanos != 0);
        entries.sort();
        Ok(Self { entries, sums })
    }
}

impl std::fmt::Display for Stands {
    /// `0.99 USD (charge of `start`, confirmed, 0.99 USD, effective 2026-10-02T02:00:00Z)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.sums)?;
        let entries: Vec<String> = self
            .entries
            .iter()
            .map(|standing| {
                let price = standing
                    .amount
                    .map_or_else(|| "no price".to_string(), |(code, nanos)| crate::count::shown(nanos, code));
                let (entry, kind) = (standing.entry.as_str(), standing.kind.as_str());
                let (episode, at) = (&standing.episode, standing.effective_at);
                let worth = standing.value.map_or_else(String::new, |(code, nanos)| {
                    format!(", worth {}", crate::count::shown(nanos, code))
                });
                format!("{entry} of `{episode}`, {kind}{worth}, {price}, effective {at}")
            })
            .collect();
        if entries.is_empty() { Ok(()) } else { write!(f, " ({})", entries.join("; ")) }
    }
}

/// Counts what was billed: the charges that stand, and those that a void takes back.
fn tally_billed(tally: &mut Tally, rows: &[BilledLine]) -> Result<(), String> {
    let reversed_by = |kind: EntryKind| -> Vec<i64> {
        rows.iter().filter(|row| row.entry == kind).filter_map(|row| row.reverses).collect()
    };
    let corrected = reversed_by(EntryKind::Correction);
    let stands = |row: &&BilledLine| !corrected.contains(&row.seq);
    let voided: Vec<i64> = rows
        .iter()
        .filter(|row| row.entry == EntryKind::Void)
        .filter(stands)
        .filter_map(|row| row.reverses)
        .collect();
    for charge in rows.iter().filter(|row| row.entry == EntryKind::Charge).filter(stands) {
        match (voided.contains(&charge.seq), charge.kind) {
            (true, _) => tally.void += 1,
            (false, WinKind::Confirmed) => tally.confirmed += 1,
            (false, WinKind::Assumed) => tally.assumed += 1,
        }
        tally.unpriced += u64::from(charge.amount.is_none() && !voided.contains(&charge.seq));
    }
    for row in rows {
        if let Some(money) = row.money()? {
            tally.bill(row.kind, money).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}
