//! Settled outcomes, charges, lines, totals and figures: each must be just what the one before it comes to.

use super::{KEPT, Name, PAGE, ReconcileError, Reconciled};
use crate::books::{Books, Reckoned};
use crate::rate::price;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::Contract;
use verdict_domain::invoice::{self, Billed, Key, Line, NO_VERSION};
use verdict_domain::ledger::Row;
use verdict_domain::money::Money;
use verdict_domain::time::{Timestamp, day_text};
use verdict_store::cases::CaseKey;
use verdict_store::ledger::{Charge, Touched};
use verdict_store::parked::Origin;
use verdict_store::{Store, StoreError, Tx, contracts, history, ledger, reconcile as read};

pub(super) async fn compare(
    store: &Store,
    since: Timestamp,
    now: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let mut after = CaseKey { customer: String::new(), case: String::new() };
    loop {
        let snapshot = store.snapshot().await?;
        let keys = read::ledger_page(&snapshot, since, &after, PAGE).await?;
        let Some(last) = keys.last() else { break };
        after = last.clone();
        charges(&snapshot, &keys, now, reconciled).await?;
    }
    let snapshot = store.snapshot().await?;
    let (count, first) = read::left_off(&snapshot, since, KEPT as u32).await?;
    for (key, seq) in &first {
        let subject = format!("{}/{}, row {seq}", key.customer, key.case);
        reconciled.differs(Name::ChargeLeftOff, subject, "on an invoice", "on none");
    }
    if let Some(counted) = reconciled.counts.get_mut(&Name::ChargeLeftOff) {
        *counted = count;
    }
    let (count, wrong) = read::wrong_totals(&snapshot, since, PAGE).await?;
    reconciled.checked.insert("documents".into(), count);
    for total in wrong {
        reconciled.differs(Name::TotalDiffers, total.invoice, total.lines_minor, total.total_minor);
    }
    drop(snapshot);
    let mut after = String::new();
    loop {
        let snapshot = store.snapshot().await?;
        let customers = read::customers_page(&snapshot, &after, PAGE / 10).await?;
        let Some(last) = customers.last() else { return Ok(()) };
        after = last.clone();
        for customer in &customers {
            periods(&snapshot, customer, since, reconciled).await?;
            revenue(&snapshot, customer, since, reconciled).await?;
        }
    }
}

/// Each row of the ledger has its price, or is parked with a reason, or waits.
async fn charges(
    snapshot: &Tx,
    keys: &[CaseKey],
    now: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let posted = ledger::posted(snapshot, keys).await?;
    let contracts = contracts::of_customers(snapshot, keys.iter().map(|key| key.customer.as_str())).await?;
    let mut charged: BTreeMap<(CaseKey, i64), Charge> = BTreeMap::new();
    for charge in ledger::charges_of(snapshot, keys).await? {
        charged.insert((charge.key.clone(), charge.seq), charge);
    }
    let mut unpriced: Vec<(&CaseKey, &Row)> = Vec::new();
    for (key, rows) in &posted {
        reconciled.checked("outcomes", rows.len());
        let versions = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
        for row in rows {
            let Some(found) = charged.remove(&(key.clone(), row.seq)) else {
                unpriced.push((key, row));
                continue;
            };
            let of = |seq: i64| ledger_row(rows, seq);
            if let Err(expected) = holds(row, &found, versions, of) {
                let subject = format!("{}/{}, row {}", key.customer, key.case, row.seq);
                reconciled.differs(Name::ChargeDiffers, subject, expected, told(&found.charge));
            }
        }
    }
    for ((key, seq), charge) in &charged {
        let subject = format!("{}/{}, row {seq}", key.customer, key.case);
        reconciled.differs(Name::ChargeWithoutOutcome, subject, "no charge", told(&charge.charge));
    }
    without_price(snapshot, &posted, &unpriced, now, reconciled).await
}

fn ledger_row(rows: &[Row], seq: i64) -> Option<&Row> {
    rows.iter().find(|row| row.seq == seq)
}

fn told(charge: &invoice::Charge) -> String {
    let invoice::Charge { action, win, contract_version, quantity, amount, value } = charge;
    let worth = value.map_or(String::new(), |nanos| format!(", worth {}", Money { nanos, ..*amount }));
    format!("{quantity:+} {action}, {}{worth}: {amount}, by version {contract_version}", win.as_str())
}

/// Whether a charge is what its row and the contract version that it names come to; else what it should be. What takes a row
/// back is the opposite of that row's charge.
fn holds<'a>(
    row: &Row,
    found: &Charge,
    versions: &[Contract],
    of: impl Fn(i64) -> Option<&'a Row>,
) -> Result<(), String> {
    let version = found.charge.contract_version;
    let contract = versions.iter().find(|contract| contract.version == version);
    let contract = contract.ok_or_else(|| format!("a version that there is; {version} is none"))?;
    let mut charged = row;
    let mut sign = 1;
    while let Some(reversed) = charged.reverses {
        charged = of(reversed).ok_or_else(|| format!("row {reversed}, which it takes back"))?;
        sign = -sign;
    }
    let mut expected = price(std::slice::from_ref(contract), charged)?;
    if sign < 0 {
        expected.quantity = -expected.quantity;
        expected.value = expected.value.map(|nanos| -nanos);
        expected.amount = expected.amount.negated().map_err(|error| error.to_string())?;
    }
    // A row of the first period may be older than it: the closing moves its origin, not its effective time.
    if expected != found.charge || found.effective_at != row.entry.effective_at {
        return Err(format!("{} at {}", told(&expected), row.entry.effective_at));
    }
    Ok(())
}

/// Rows without a price: they wait, or are parked (or what they take back is), or they are differences.
async fn without_price(
    snapshot: &Tx,
    posted: &BTreeMap<CaseKey, Vec<Row>>,
    unpriced: &[(&CaseKey, &Row)],
    now: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    if unpriced.is_empty() {
        return Ok(());
    }
    let mut keys: Vec<CaseKey> = unpriced.iter().map(|(key, _)| (*key).clone()).collect();
    keys.dedup();
    let waiting = history::waiting(snapshot, &keys, now).await?;
    let reference = |key: &CaseKey, seq: i64| serde_json::json!([key.customer, key.case, seq]).to_string();
    let chain = |key: &CaseKey, row: &Row| {
        let rows = posted.get(key).map_or(&[][..], Vec::as_slice);
        std::iter::successors(Some(row.seq), |seq| ledger_row(rows, *seq)?.reverses)
            .map(|seq| reference(key, seq))
            .collect::<Vec<_>>()
    };
    let references: Vec<String> = unpriced.iter().flat_map(|(key, row)| chain(key, row)).collect();
    let parked: BTreeSet<String> = read::parked(snapshot, Origin::Outcome, &references).await?;
    for (key, row) in unpriced {
        if waiting.contains(key) || chain(key, row).iter().any(|name| parked.contains(name)) {
            reconciled.waits("outcomes", 1);
            continue;
        }
        let subject = format!("{}/{}, row {}", key.customer, key.case, row.seq);
        reconciled.differs(
            Name::UnpricedOutcome,
            subject,
            "a price, or a reason why there is none",
            "neither",
        );
    }
    Ok(())
}

/// Closing a closed period once more would change nothing: what it comes to is what all lines about it say.
async fn periods(
    snapshot: &Tx,
    customer: &str,
    since: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let closed = read::closed_periods(snapshot, customer, since).await?;
    if closed.is_empty() {
        return Ok(());
    }
    let books = Books::open(snapshot, customer).await?;
    let put_at = read::versions_put_at(snapshot, customer).await?;
    reconciled.checked("periods", closed.len());
    for (touched, billed_at) in closed {
        let (mut lines, billed) = missing_lines(snapshot, &books, touched).await?;
        // A version that was put since then, of an earlier day: the next closing that touches the period invoices it.
        let later =
            |contract: &Contract| put_at.get(&contract.version).is_none_or(|put_at| *put_at > billed_at);
        if !lines.is_empty()
            && let Some(known) = books.without(later)
            && missing_lines(snapshot, &known, touched).await?.0.is_empty()
        {
            lines.clear();
            reconciled.waits("periods", 1);
        }
        for Line { period_start, contract_version, item, quantity, amount, minor, .. } in lines {
            let subject =
                format!("{customer}, period from {period_start}: {item}, version {contract_version}");
            let before = billed.get(&(period_start, contract_version, item)).copied().unwrap_or_default();
            let figures = |quantity: i64, nanos: i64, minor: i64| {
                let amount = Money { nanos, currency: amount.currency };
                format!("{quantity} for {amount}, {minor} in minor units")
            };
            let sum = |a: i64, b: i64| {
                a.checked_add(b).ok_or_else(|| {
                    ReconcileError::Overflow(format!("the lines of customer `{customer}` overflow"))
                })
            };
            let expected = figures(
                sum(before.quantity, quantity)?,
                sum(before.nanos, amount.nanos)?,
                sum(before.minor, minor)?,
            );
            let found = figures(before.quantity, before.nanos, before.minor);
            reconciled.differs(Name::LineDiffers, subject, expected, found);
        }
    }
    Ok(())
}

/// The lines that closing the period once more would make, and what is billed of it. Prepaid credits are left out: what
/// was granted since is drawn by the next closing that touches the period.
async fn missing_lines(
    snapshot: &Tx,
    books: &Books,
    touched: Touched,
) -> Result<(Vec<Line>, BTreeMap<Key, Billed>), StoreError> {
    let Reckoned { draft, billed, .. } = books.reckon(snapshot, &[touched]).await?;
    let lines = draft.lines.into_iter().filter(|line| line.contract_version != NO_VERSION);
    Ok((lines.collect(), billed))
}

/// The revenue in the daily figures is that of charges and of lines.
async fn revenue(
    snapshot: &Tx,
    customer: &str,
    since: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    // The day in which it begins may be half looked at elsewhere; figures are of whole days.
    for ((currency, day), (figure, expected)) in read::revenue(snapshot, customer, since.day()).await? {
        let subject = format!("{customer}, {}, in nanos of {currency}", day_text(day));
        reconciled.compare(Name::RevenueDiffers, &subject, expected, figure);
    }
    Ok(())
}
