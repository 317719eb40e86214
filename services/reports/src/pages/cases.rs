//! The pages of cases and of the deliveries that their facts came with.

use super::paging::{Links, Turn};
use super::{grouped, length, moment};
use crate::case::{AmountView, BilledView, EventView, Explanation, changed_by, recorded_as};
use askama::Template;
use verdict_domain::money::decimal;
use verdict_store::deliveries::Delivery;
use verdict_store::history::{Filter, LOOKED_AT, Listed};

/// The verdicts that can be asked for.
const VERDICTS: [&str; 5] = ["pending", "confirmed", "assumed", "failed", "void"];

#[derive(Template)]
#[template(path = "cases.html")]
struct List<'a> {
    cases: &'a [Listed],
    filter: &'a Filter,
    looked_at: String,
    turn: Links,
    verdicts: [&'static str; 5],
}

/// A page of the list of cases, in the order given: of those read by `filter`.
pub fn cases(cases: &[Listed], filter: &Filter, turn: &Turn) -> Result<String, askama::Error> {
    let asked = [("customer", &filter.customer), ("verdict", &filter.verdict), ("q", &filter.beginning)];
    let asked = asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let turn = turn.links("/cases", &asked.collect::<Vec<_>>());
    let looked_at = grouped(&i64::from(LOOKED_AT));
    List { cases, filter, looked_at, turn, verdicts: VERDICTS }.render()
}

impl List<'_> {
    fn is_asked(&self, verdict: &str) -> bool {
        self.filter.verdict.as_deref() == Some(verdict)
    }
}

#[derive(Template)]
#[template(path = "case.html")]
struct One<'a> {
    case: &'a Explanation,
}

/// One case, explained.
pub fn case(case: &Explanation) -> Result<String, askama::Error> {
    One { case }.render()
}

impl One<'_> {
    /// The delivery that a fact came with: its source and id.
    fn delivery<'e>(&self, event: &'e EventView) -> Option<(&'e str, &'e str)> {
        let evidence = event.evidence.as_ref()?;
        Some((evidence.get("source")?.as_str()?, evidence.get("delivery")?.as_str()?))
    }

    /// What the rule that read a delivery looked at, and by which secret the delivery was verified.
    fn looked_at(&self, event: &EventView) -> Vec<(String, String)> {
        let Some(evidence) = &event.evidence else { return Vec::new() };
        let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        let named = ["via", "rule", "secret"].into_iter();
        let named = named.filter_map(|name| Some((name.to_string(), text(evidence.get(name)?))));
        let values = evidence.get("values").and_then(|values| values.as_object());
        let values = values.into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
        named.chain(values).collect()
    }

    /// The terms of the rule, by name.
    fn terms(&self) -> Vec<(String, String)> {
        let Ok(serde_json::Value::Object(rule)) = serde_json::to_value(&self.case.rule) else {
            return Vec::new();
        };
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text.replace('_', " "),
            serde_json::Value::Array(all) if all.is_empty() => "none".into(),
            value => value.to_string(),
        };
        rule.into_iter().map(|(name, value)| (name.replace('_', " "), text(value))).collect()
    }

    fn rows(&self) -> &[BilledView] {
        &self.case.billed
    }
}

/// An amount with its currency: `0.99 USD`.
pub(super) fn money(amount: &AmountView) -> String {
    format!("{} {}", super::thousands(&decimal(amount.nanos, least_decimals(amount))), amount.currency)
}

fn least_decimals(amount: &AmountView) -> usize {
    amount.amount.rsplit_once('.').map_or(0, |(_, decimals)| decimals.len())
}

/// A sentence in parts, by turns plain and between backticks.
pub(super) fn parts(sentence: &str) -> Vec<(bool, &str)> {
    sentence.split('`').enumerate().map(|(nth, part)| (nth % 2 == 1, part)).collect()
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct OneDelivery<'a> {
    delivery: &'a Delivery,
    headers: Vec<(String, String)>,
    body: String,
}

/// A delivery as it came. What is not UTF-8 in its body is shown as U+FFFD, control characters too.
pub fn delivery(delivery: &Delivery) -> Result<String, askama::Error> {
    let headers: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&delivery.headers).unwrap_or_default();
    let text = |value: serde_json::Value| value.as_str().map_or_else(|| value.to_string(), String::from);
    let headers = headers.into_iter().map(|(name, value)| (name, text(value))).collect();
    let is_shown = |c: char| !c.is_control() || c == '\n' || c == '\t';
    let body = String::from_utf8_lossy(&delivery.body);
    let body = body.chars().map(|c| if is_shown(c) { c } else { '\u{fffd}' }).collect();
    OneDelivery { delivery, headers, body }.render()
}
