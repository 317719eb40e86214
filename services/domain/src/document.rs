//! In which documents the lines of a closing are written: the invoice of the period, and credit notes on earlier ones.

use crate::attempt::stored_as_text;
use crate::contract::{Contract, Corrections};
use crate::invoice::{Draft, Line};
use crate::money::MoneyError;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What a period costs, and corrections of earlier ones.
    Invoice,
    /// What is taken off an invoice that is final.
    CreditNote,
}

stored_as_text!(Kind { Invoice = "invoice", CreditNote = "credit_note" });

/// Where a document stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits to be approved: nothing has left the house.
    Draft,
    /// It holds; what changes later is a correction.
    Final,
    /// It belongs to a trial: never charged.
    Shadow,
}

stored_as_text!(State { Draft = "draft", Final = "final", Shadow = "shadow" });

/// A period that lines are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// When it begins.
    pub start: Timestamp,
    /// Whether it is a trial.
    pub trial: bool,
    /// What credit notes can still take off its invoice, in minor units; nothing if that is not final.
    pub creditable_minor: i64,
}

/// A document in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Invoice or credit note.
    pub kind: Kind,
    /// Where it stands when it is written.
    pub state: State,
    /// The earlier period that all of it is about; `None` for the invoice of the closed period.
    pub about: Option<Timestamp>,
    /// Its lines, numbered from 1.
    pub lines: Vec<Line>,
    /// Their sum in minor units.
    pub total_minor: i64,
}

/// The documents that the lines of a closing are written in. `closed` is the period that is closed, `earlier` are the others
/// that lines are about, `terms` the version whose terms hold.
pub fn documents(
    draft: Draft,
    closed: About,
    earlier: &[About],
    terms: &Contract,
) -> Result<Vec<Document>, MoneyError> {
    let mut lines: BTreeMap<Timestamp, Vec<Line>> = BTreeMap::new();
    for line in draft.lines {
        lines.entry(line.period_start).or_default().push(line);
    }
    let mut invoice: Vec<Line> = Vec::new();
    let mut documents = Vec::new();
    for about in earlier {
        let Some(lines) = lines.remove(&about.start) else { continue };
        let total = sum(&lines)?;
        let creditable = -about.creditable_minor;
        let by_note = terms.corrections == Corrections::CreditNote && !about.trial;
        let kind = if by_note && total < 0 && total >= creditable { Kind::CreditNote } else { Kind::Invoice };
        if kind == Kind::Invoice && about.trial == closed.trial {
            invoice.extend(lines);
        } else {
            let state = if about.trial { State::Shadow } else { State::Final };
            documents.push(document(kind, state, Some(about.start), lines)?);
        }
    }
    invoice.extend(lines.into_values().flatten());
    if !invoice.is_empty() {
        let state = match (closed.trial, terms.approval) {
            (true, _) => State::Shadow,
            (false, true) => State::Draft,
            (false, false) => State::Final,
        };
        documents.insert(0, document(Kind::Invoice, state, None, invoice)?);
    }
    Ok(documents)
}

fn document(
    kind: Kind,
    state: State,
    about: Option<Timestamp>,
    mut lines: Vec<Line>,
) -> Result<Document, MoneyError> {
    for (line, number) in lines.iter_mut().zip(1..) {
        line.number = number;
    }
    let total_minor = sum(&lines)?;
    Ok(Document { kind, state, about, lines, total_minor })
}

fn sum(lines: &[Line]) -> Result<i64, MoneyError> {
    lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.minor)).ok_or(MoneyError::Overflow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Currency, Money};
    use crate::pricing::Item;

    const CLOSED: Timestamp = Timestamp(30);

    fn draft(of: &[(i64, i64)]) -> Draft {
        let line = |&(start, minor): &(i64, i64)| Line {
            number: 9,
            period_start: Timestamp(start),
            item: Item::Discount,
            contract_version: 1,
            quantity: 1,
            amount: Money { nanos: minor * 10_000_000, currency: Currency::USD },
            minor,
            why: String::new(),
        };
        let lines: Vec<Line> = of.iter().map(line).collect();
        Draft { total_minor: lines.iter().map(|line| line.minor).sum(), lines }
    }

    fn about(start: i64, trial: bool, creditable_minor: i64) -> About {
        About { start: Timestamp(start), trial, creditable_minor }
    }

    fn terms(corrections: Corrections, approval: bool) -> Contract {
        Contract { corrections, approval, ..Contract::new("acme", Currency::USD, Vec::new()) }
    }

    fn written(
        of: &[(i64, i64)],
        closed: About,
        earlier: &[About],
        terms: &Contract,
    ) -> Vec<(Kind, State, Option<i64>, i64)> {
        let documents = documents(draft(of), closed, earlier, terms).unwrap_or_default();
        for document in &documents {
            assert!(document.lines.iter().zip(1..).all(|(line, number)| line.number == number));
        }
        documents.into_iter().map(|d| (d.kind, d.state, d.about.map(|at| at.0), d.total_minor)).collect()
    }

    #[test]
    fn corrections_go_where_the_terms_say() {
        let closed = about(CLOSED.0, false, 0);
        let earlier = [about(10, false, 500), about(20, false, 100)];
        let lines = [(10, -500), (20, -101), (CLOSED.0, 900)];
        let next = written(&lines, closed, &earlier, &terms(Corrections::NextInvoice, false));
        assert_eq!(next, [(Kind::Invoice, State::Final, None, 299)]);
        // What is more than the invoice can bear stays on the next one.
        let notes = written(&lines, closed, &earlier, &terms(Corrections::CreditNote, true));
        let invoice = (Kind::Invoice, State::Draft, None, 799);
        assert_eq!(notes, [invoice, (Kind::CreditNote, State::Final, Some(10), -500)]);
        // So does what adds to an earlier period.
        let more = written(&[(10, 5)], closed, &earlier, &terms(Corrections::CreditNote, false));
        assert_eq!(more, [(Kind::Invoice, State::Final, None, 5)]);
    }

    #[test]
    fn trials_and_what_is_charged_never_meet() {
        let terms = terms(Corrections::CreditNote, true);
        let lines = [(10, -5), (CLOSED.0, 7)];
        let after = written(&lines, about(CLOSED.0, false, 0), &[about(10, true, 0)], &terms);
        let trial = (Kind::Invoice, State::Shadow, Some(10), -5);
        assert_eq!(after, [(Kind::Invoice, State::Draft, None, 7), trial]);
        let before = written(&lines, about(CLOSED.0, true, 0), &[about(10, true, 0)], &terms);
        assert_eq!(before, [(Kind::Invoice, State::Shadow, None, 2)]);
        let back = written(&lines, about(CLOSED.0, true, 0), &[about(10, false, 5)], &terms);
        assert_eq!(
            back,
            [(Kind::Invoice, State::Shadow, None, 7), (Kind::CreditNote, State::Final, Some(10), -5)]
        );
    }
}
