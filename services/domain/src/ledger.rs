//! The ledger of a case's outcomes: what a judgement says must be posted, and what that adds to what
//! already is. Rows are only ever added; a row that no longer holds is reversed by a correction.

use crate::attempt::stored_as_text;
use crate::fact::Fact;
use crate::judge::{Episode, LossReason, Verdict, WinKind};
use crate::money::Money;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What a row of the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// A win that settled.
    Charge,
    /// A settled win that was taken back.
    Void,
    /// The reversal of a row that late facts refuted.
    Correction,
}

stored_as_text!(EntryKind { Charge = "charge", Void = "void", Correction = "correction" });

/// One outcome to bill or to take back, with all that pricing and evidence need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The episode of the case.
    pub episode: String,
    /// Charge, void or correction.
    pub kind: EntryKind,
    /// +1 adds an outcome, -1 takes one back.
    pub sign: i64,
    /// Confirmed or assumed.
    pub win: WinKind,
    /// The deciding answer's action: it names the price.
    pub action: String,
    /// The deciding answer's agent.
    pub agent: String,
    /// The deciding answer's model.
    pub model: String,
    /// What the outcome is worth: never negative, whatever the sign.
    pub value: Option<Money>,
    /// The moment that decides the period and, for a charge, the contract version.
    pub effective_at: Timestamp,
    /// Why it was taken back.
    pub reason: Option<LossReason>,
    /// The facts that decided, in order.
    pub facts: Vec<String>,
}

/// An entry as posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// 1, 2, 3 … within the case.
    pub seq: i64,
    /// What was posted.
    pub entry: Entry,
    /// The row that this one takes back: set for voids and corrections.
    pub reverses: Option<i64>,
}

/// What a judgement says must stand in the ledger: each episode's charge, and its void if it has one.
pub fn entries(facts: &[Fact], episodes: &[Episode]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for episode in episodes.iter().filter(|episode| episode.charged) {
        let Some(win) = episode.win else { continue };
        let Some(answer) = facts[win.answer].attempt() else { continue };
        let reason = match episode.verdict {
            Some(Verdict::Won(_)) => None,
            Some(Verdict::Void(reason)) => Some(reason),
            _ => continue,
        };
        let ids = |taker: Option<usize>| {
            [Some(win.answer), win.evidence, taker]
                .into_iter()
                .flatten()
                .map(|at| facts[at].id.clone())
                .collect()
        };
        let charge = Entry {
            episode: episode.name.clone(),
            kind: EntryKind::Charge,
            sign: 1,
            win: win.kind,
            action: answer.action.clone(),
            agent: answer.agent.clone(),
            model: answer.model.clone(),
            value: win.valued.and_then(|at| facts[at].value()),
            effective_at: win.settles_at,
            reason: None,
            facts: ids(None),
        };
        if let (Some(reason), Some(taken_at)) = (reason, episode.decided_at) {
            let void = Entry {
                kind: EntryKind::Void,
                sign: -1,
                effective_at: taken_at,
                reason: Some(reason),
                facts: ids(episode.taker),
                ..charge.clone()
            };
            entries.extend([charge, void]);
        } else {
            entries.push(charge);
        }
    }
    entries
}

/// The row that charges an episode, if there is one that no correction takes back.
pub fn charge_of<'a>(rows: impl Iterator<Item = &'a Row> + Clone, episode: &str) -> Option<&'a Row> {
    let is_corrected = |charge: &Row| {
        let corrects =
            |row: &Row| row.entry.kind == EntryKind::Correction && row.reverses == Some(charge.seq);
        rows.clone().any(corrects)
    };
    let mut charges =
        rows.clone().filter(|row| row.entry.kind == EntryKind::Charge && row.entry.episode == episode);
    charges.find(|charge| !is_corrected(charge))
}

/// The rows that turn `posted` (in the order of `seq`) into `wanted`: corrections first, then what is missing.
/// Empty when nothing changed.
pub fn difference(posted: &[Row], wanted: &[Entry]) -> Vec<Row> {
    let corrected: Vec<i64> = posted
        .iter()
        .filter(|row| row.entry.kind == EntryKind::Correction)
        .filter_map(|row| row.reverses)
        .collect();
    let live = || {
        posted.iter().filter(|row| row.entry.kind != EntryKind::Correction && !corrected.contains(&row.seq))
    };
    // The charges first: a void holds only as long as the very charge does that it takes back.
    let mut kept: Vec<&Row> =
        live().filter(|row| row.entry.kind == EntryKind::Charge && holds(&row.entry, wanted)).collect();
    let voids: Vec<&Row> = live()
        .filter(|row| row.entry.kind == EntryKind::Void && holds(&row.entry, wanted))
        .filter(|row| kept.iter().any(|charge| Some(charge.seq) == row.reverses))
        .collect();
    kept.extend(voids);

    let mut added: Vec<Row> = Vec::new();
    let mut next_seq = posted.last().map_or(0, |row| row.seq);
    let mut seq = || {
        next_seq += 1;
        next_seq
    };
    for row in live().filter(|row| !kept.iter().any(|kept| kept.seq == row.seq)) {
        let entry = Entry { kind: EntryKind::Correction, sign: -row.entry.sign, ..row.entry.clone() };
        added.push(Row { seq: seq(), entry, reverses: Some(row.seq) });
    }
    for entry in wanted {
        if kept.iter().any(|row| same(&row.entry, entry)) {
            continue;
        }
        let is_its_charge =
            |row: &&Row| row.entry.kind == EntryKind::Charge && row.entry.episode == entry.episode;
        let reverses = match entry.kind {
            EntryKind::Void => kept.iter().copied().chain(&added).find(is_its_charge).map(|row| row.seq),
            _ => None,
        };
        added.push(Row { seq: seq(), entry: entry.clone(), reverses });
    }
    added
}

fn holds(entry: &Entry, wanted: &[Entry]) -> bool {
    wanted.iter().any(|want| same(entry, want))
}

/// Whether two entries bill the same: the facts named as evidence may differ.
fn same(a: &Entry, b: &Entry) -> bool {
    a.episode == b.episode
        && a.kind == b.kind
        && a.win == b.win
        && a.action == b.action
        && a.agent == b.agent
        && a.model == b.model
        && a.value == b.value
        && a.effective_at == b.effective_at
        && a.reason == b.reason
}
