//! What an invoice says to its customer: each outcome on it, what it cost by the list, and why it counts.

use crate::case::{Explanation, told_to_customer};
use crate::rejudge::RejudgeError;
use crate::text::quoted;
use verdict_domain::money::decimal;
use verdict_domain::time::Timestamp;
use verdict_store::cases::CaseKey;
use verdict_store::statement::outcomes;
use verdict_store::{Store, contracts};

/// How many outcomes are explained at once.
const PAGE: u32 = 500;

/// CSV (RFC 4180) of a customer's outcomes on an invoice, or (`None`) on none yet. Prices are list prices with their sign;
/// the reasons are those of [`crate::explain_to_customer`]. All is read at one moment.
pub async fn statement(
    store: &Store,
    customer: &str,
    invoice: Option<&str>,
    now: Timestamp,
) -> Result<String, RejudgeError> {
    let snapshot = store.snapshot().await?;
    let contracts = contracts::of_customers(&snapshot, std::iter::once(customer)).await?;
    let contracts = contracts.get(customer).map_or(&[][..], Vec::as_slice);
    let mut text = "case,action,kind,effective_at,quantity,list_price,currency,why\r\n".to_string();
    let mut skip = 0;
    loop {
        let page = outcomes(&snapshot, customer, invoice, skip, PAGE).await?;
        let mut keys: Vec<CaseKey> = page.iter().map(|outcome| outcome.charge.key.clone()).collect();
        keys.sort();
        keys.dedup();
        let told = told_to_customer(&snapshot, &keys, contracts, now).await?;
        for outcome in &page {
            let charge = &outcome.charge;
            let why = told.get(&charge.key).and_then(|case| sentence(case, &outcome.episode));
            let cells = [
                charge.key.case.as_str(),
                &charge.charge.action,
                charge.charge.win.as_str(),
                &charge.effective_at.to_string(),
                &charge.charge.quantity.to_string(),
                &decimal(charge.charge.amount.nanos, 2),
                charge.charge.amount.currency.code(),
                why.unwrap_or_default(),
            ];
            text.push_str(&cells.map(quoted).join(","));
            text.push_str("\r\n");
        }
        if page.len() < PAGE as usize {
            return Ok(text);
        }
        skip = skip.saturating_add(PAGE);
    }
}

fn sentence<'a>(case: &'a Explanation, episode: &str) -> Option<&'a str> {
    let episode = case.episodes.iter().find(|view| view.held.name == episode)?;
    Some(&episode.sentence)
}
