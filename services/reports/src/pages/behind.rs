//! The page of the cases behind a figure.

use super::{currency_name, encoded, exact, grouped};
use crate::behind::{Asked, FIGURES};
use askama::Template;
use verdict_domain::economics::Figures;
use verdict_domain::time::day_text;
use verdict_store::figures::{CaseBehind, Order, Total};

#[derive(Template)]
#[template(path = "cases_behind.html")]
struct Page<'a> {
    asked: &'a Asked,
    total: &'a Total,
    cases: &'a [CaseBehind],
    /// The query of the page with what comes after.
    older: Option<String>,
    is_first: bool,
}

/// The cases behind a figure, a page of them; `after` is where the next page begins, if there is one.
pub fn cases_behind(
    asked: &Asked,
    total: &Total,
    cases: &[CaseBehind],
    after: Option<&str>,
    is_first: bool,
) -> Result<String, askama::Error> {
    let older = after.map(|after| format!("{}&after={}", asked.query(), encoded(after)));
    Page { asked, total, cases, older, is_first }.render()
}

impl Page<'_> {
    fn figures(&self) -> Vec<(&'static str, bool)> {
        FIGURES.iter().map(|(name, _)| (*name, *name == self.asked.figure)).collect()
    }

    fn fields(&self) -> [(&'static str, &'static str, &str); 7] {
        let of = &self.asked.of;
        [
            ("customer", "Customer", of.customer.as_deref().unwrap_or_default()),
            ("agent", "Agent", of.agent.as_deref().unwrap_or_default()),
            ("provider", "Provider", of.provider.as_deref().unwrap_or_default()),
            ("model", "Model", of.model.as_deref().unwrap_or_default()),
            ("action", "Action", of.action.as_deref().unwrap_or_default()),
            ("reason", "Reason", self.asked.reason.as_deref().unwrap_or_default()),
            ("currency", "Currency", self.asked.currency.as_deref().unwrap_or_default()),
        ]
    }

    fn is_by_day(&self) -> bool {
        self.asked.order == Order::Day
    }

    fn from(&self) -> String {
        day_text(self.asked.of.from)
    }

    fn to(&self) -> String {
        day_text(self.asked.of.to)
    }

    /// What it comes to, in the figure's own unit.
    fn sum(&self, figures: &Figures) -> String {
        match self.asked.counts_outcomes() {
            true => grouped(&figures.outcomes),
            false if self.asked.is_revenue() => exact(&figures.revenue_nanos),
            false => exact(&figures.cost_nanos),
        }
    }

    /// Whether attempts are told beside it: of what they cost.
    fn has_attempts(&self) -> bool {
        !self.asked.counts_outcomes() && !self.asked.is_revenue()
    }

    /// What of the figure its cases add up to, where that is not all of it.
    fn of_cases(&self, currency: &str, figures: &Figures) -> Option<String> {
        let of_none = self.total.of_no_case.get(currency)?;
        Some(figures.revenue_nanos.checked_sub(*of_none).map_or("–".into(), |nanos| exact(&nanos)))
    }

    /// What of it is of no case.
    fn of_no_case(&self, currency: &str) -> String {
        exact(self.total.of_no_case.get(currency).unwrap_or(&0))
    }

    /// The rows: a case has one for each currency of its part of the figure.
    fn rows(&self) -> Vec<(&CaseBehind, &str, &Figures)> {
        let of = |case: &'_ CaseBehind| case.figures.len();
        let mut rows = Vec::with_capacity(self.cases.iter().map(of).sum());
        for case in self.cases {
            rows.extend(case.figures.iter().map(|(currency, figures)| (case, currency.as_str(), figures)));
        }
        rows
    }
}
