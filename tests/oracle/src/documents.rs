//! RULES, "Documents": in what the lines of a closing are written.

use crate::books::{Books, Line};
use crate::oracle::in_force;
use crate::periods::Period;
use crate::{Contract, Corrections};
use std::collections::BTreeMap;

/// An invoice or a credit note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Who pays.
    pub customer: String,
    /// The first moment of the period that was closed.
    pub period_start: i64,
    /// The first moment after it.
    pub period_end: i64,
    /// `invoice` or `credit_note`.
    pub kind: &'static str,
    /// `final`, `draft`, or `shadow` for a trial's.
    pub state: &'static str,
    /// The beginning of the earlier period that all of it is about; none for the invoice of the closed period. A credit
    /// note corrects the invoice of that period.
    pub about: Option<i64>,
    /// Of all its lines.
    pub currency: String,
    /// By (period, contract version, item).
    pub lines: Vec<Line>,
    /// The sum of the rounded lines.
    pub total_minor: i64,
}

impl Books {
    /// Closes a period: the documents of it and of the earlier ones that are touched.
    pub fn close(&mut self, closed: Period, touched: &[Period]) -> Vec<Document> {
        let terms = self.terms(&closed);
        if terms.shadow {
            self.trials.insert(closed.start);
        }
        let is_trial = terms.shadow;
        let mut own = Vec::new();
        let mut about: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        for line in self.bill(touched) {
            if line.period_start == closed.start {
                own.push(line);
            } else {
                about.entry(line.period_start).or_default().push(line);
            }
        }
        let document = |kind, state, about, lines: Vec<Line>| Document {
            customer: terms.customer.clone(),
            period_start: closed.start,
            period_end: closed.end,
            kind,
            state,
            about,
            currency: terms.currency.clone(),
            total_minor: total(&lines),
            lines,
        };
        let mut documents = Vec::new();
        for (start, lines) in about {
            let of_trial = self.trials.contains(&start);
            let sum = total(&lines);
            let creditable = self.creditable.entry(start).or_default();
            if terms.corrections == Corrections::CreditNote && !of_trial && sum < 0 && -sum <= *creditable {
                *creditable += sum;
                documents.push(document("credit_note", "final", Some(start), lines));
            } else if of_trial == is_trial {
                own.extend(lines);
            } else {
                let state = if of_trial { "shadow" } else { "final" };
                documents.push(document("invoice", state, Some(start), lines));
            }
        }
        if !own.is_empty() {
            let state = match terms {
                Contract { shadow: true, .. } => "shadow",
                Contract { approval: true, .. } => "draft",
                _ => "final",
            };
            own.sort_by(|a, b| {
                let key = |line: &Line| (line.period_start, line.contract_version, line.item.clone());
                key(a).cmp(&key(b))
            });
            if state == "final" {
                self.creditable.insert(closed.start, total(&own));
            }
            documents.push(document("invoice", state, None, own));
        }
        documents
    }

    /// The version in force at a period's last microsecond; the first one if none is.
    fn terms(&self, period: &Period) -> Contract {
        let first = self.versions.iter().min_by_key(|version| (version.effective_from, version.version));
        let first = first.expect("it has a contract");
        in_force(&self.versions, &first.customer, period.end - 1).unwrap_or(first).clone()
    }
}

fn total(lines: &[Line]) -> i64 {
    lines.iter().map(|line| line.amount_minor).sum()
}
