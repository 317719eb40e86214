//! Which cases are behind a figure: the question as the pages' links ask it, so that every page asks the same way.

use crate::pages::encoded;
use verdict_domain::economics::Bucket;
use verdict_domain::time::day_text;
use verdict_store::figures::{Behind, Order, Slice};

/// The figures that can be asked for, by name, with the buckets that they are the sum of.
pub const FIGURES: [(&str, &[Bucket]); 13] = [
    ("cost", &[Bucket::Won, Bucket::Retry, Bucket::Free, Bucket::Lost, Bucket::Pending]),
    ("failures", &[Bucket::Lost, Bucket::Retry]),
    ("won", &[Bucket::Won]),
    ("retry", &[Bucket::Retry]),
    ("free", &[Bucket::Free]),
    ("lost", &[Bucket::Lost]),
    ("pending", &[Bucket::Pending]),
    ("decided", &[Bucket::Confirmed, Bucket::Assumed, Bucket::Failed, Bucket::Void]),
    ("confirmed", &[Bucket::Confirmed]),
    ("assumed", &[Bucket::Assumed]),
    ("failed", &[Bucket::Failed]),
    ("void", &[Bucket::Void]),
    ("revenue", &[Bucket::Revenue]),
];

/// A figure whose cases are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// One of [`FIGURES`].
    pub figure: &'static str,
    /// Its days, and what else it is of.
    pub of: Slice,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Why it failed or was lost, `-` for what did not.
    pub reason: Option<String>,
    /// Which cases come first. Those behind revenue come by day, whatever it says.
    pub order: Order,
}

impl Asked {
    /// All costs of a slice, the dearest cases first.
    pub fn of(of: Slice) -> Self {
        Self { figure: "cost", of, currency: None, reason: None, order: Order::Cost }
    }

    /// The name of a figure as it is kept; the message names those there are.
    pub fn figure(name: &str) -> Result<&'static str, String> {
        let found = FIGURES.iter().find(|(known, _)| *known == name).map(|(name, _)| *name);
        found.ok_or_else(|| {
            let names: Vec<&str> = FIGURES.iter().map(|(name, _)| *name).collect();
            format!("bucket: `{name}` is none of {}", names.join(", "))
        })
    }

    /// Reads in which order; the message names the orders.
    pub fn order(name: &str) -> Result<Order, String> {
        match name {
            "-cost" => Ok(Order::Cost),
            "-day" => Ok(Order::Day),
            other => Err(format!("sort: `{other}` is not -cost or -day")),
        }
    }

    /// Which cases come first where nobody says it.
    pub fn usual_order(figure: &str) -> Order {
        if figure == "revenue" { Order::Day } else { Order::Cost }
    }

    /// The question as the database is asked it.
    pub fn behind(&self) -> Behind {
        let buckets = FIGURES.iter().find(|(name, _)| *name == self.figure).map_or(&[][..], |(_, of)| of);
        Behind {
            of: self.of.clone(),
            currency: self.currency.clone(),
            buckets: buckets.to_vec(),
            reason: self.reason.clone(),
        }
    }

    /// Whether it counts outcomes; else it is what attempts cost.
    pub fn counts_outcomes(&self) -> bool {
        matches!(self.figure, "decided" | "confirmed" | "assumed" | "failed" | "void")
    }

    /// Whether it is what was charged.
    pub fn is_revenue(&self) -> bool {
        self.figure == "revenue"
    }

    /// The question as the query of an address.
    pub fn query(&self) -> String {
        let (from, to) = (day_text(self.of.from), day_text(self.of.to));
        let sort = match self.order {
            Order::Cost if !self.is_revenue() => "-cost",
            _ => "-day",
        };
        let said = [
            ("from", Some(from.as_str())),
            ("to", Some(to.as_str())),
            ("customer", self.of.customer.as_deref()),
            ("agent", self.of.agent.as_deref()),
            ("provider", self.of.provider.as_deref()),
            ("model", self.of.model.as_deref()),
            ("action", self.of.action.as_deref()),
            ("currency", self.currency.as_deref()),
            ("bucket", Some(self.figure)),
            ("reason", self.reason.as_deref()),
            ("sort", Some(sort)),
        ];
        let said = said.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?))));
        said.collect::<Vec<String>>().join("&")
    }
}
