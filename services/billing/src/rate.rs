//! The step that prices posted outcomes.

use crate::meter;
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::contract::{Contract, Unpriced, in_force};
use verdict_domain::economics::{Bucket, Cell, Figures};
use verdict_domain::invoice;
use verdict_domain::ledger::{EntryKind, Row};
use verdict_domain::pricing::may_be_free;
use verdict_domain::time::Timestamp;
use verdict_store::cases::CaseKey;
use verdict_store::ledger::Charge;
use verdict_store::parked::{self, Origin, Parked};
use verdict_store::{Store, StoreError, allotments, contracts, figures, ledger};

/// The step: prices outcomes, at most those of `limit` marks. `false`: there was nothing to do. An outcome that the
/// database refuses is found by halving, and parked: it does not hold up the others.
pub async fn rate_outcomes(store: &Store, now: Timestamp, limit: u32) -> Result<bool, StoreError> {
    match rate_together(store, now, limit).await {
        Err(error) if !error.is_transient() && limit > 1 => {
            Box::pin(rate_outcomes(store, now, limit / 2)).await
        }
        Err(error) if !error.is_transient() => set_aside(store, now, &error.to_string()).await,
        result => result,
    }
}

/// Parks the outcomes of the next mark.
async fn set_aside(store: &Store, now: Timestamp, reason: &str) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    tx.claim("rate").await?;
    let (any, outcomes) = ledger::take_to_rate(&tx, 1).await?;
    let parked: Vec<Parked> = outcomes
        .iter()
        .map(|(key, row)| unpriced(key, row, format!("it cannot be priced: {reason}")))
        .collect();
    parked::park(&tx, &parked, now).await?;
    tx.commit().await?;
    Ok(any)
}

async fn rate_together(store: &Store, now: Timestamp, limit: u32) -> Result<bool, StoreError> {
    let tx = store.begin().await?;
    tx.claim("rate").await?;
    let (any, outcomes) = ledger::take_to_rate(&tx, limit).await?;
    if !any {
        return Ok(false);
    }
    let contracts =
        contracts::of_customers(&tx, outcomes.iter().map(|(key, _)| key.customer.as_str())).await?;
    let mut keys: Vec<CaseKey> = outcomes.iter().map(|(key, _)| key.clone()).collect();
    keys.dedup();
    let mut priced: BTreeMap<(CaseKey, i64), (Timestamp, invoice::Charge)> = ledger::charges_of(&tx, &keys)
        .await?
        .into_iter()
        .map(|charge| ((charge.key, charge.seq), (charge.origin_at, charge.charge)))
        .collect();

    // What has no price and was taken back by a correction needs none: both come to nothing.
    let corrected: BTreeSet<(CaseKey, i64)> = outcomes
        .iter()
        .filter(|(_, row)| row.entry.kind == EntryKind::Correction)
        .filter_map(|(key, row)| Some((key.clone(), row.reverses?)))
        .collect();
    let (mut charges, mut reversed) = (Vec::new(), BTreeMap::new());
    let (mut parked, mut settled) = (Vec::new(), Vec::new());
    let mut revenue: BTreeMap<(String, Cell), Figures> = BTreeMap::new();
    for (key, row) in outcomes {
        let corrected = corrected.contains(&(key.clone(), row.seq));
        let versions = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
        let (origin_at, charge) = match row.reverses {
            // What it reverses comes before it. If that has no price (and is parked), this waits with it.
            Some(seq) => match priced.get(&(key.clone(), seq)) {
                Some((origin_at, charge)) => {
                    reversed.insert((key.clone(), row.seq), seq);
                    (*origin_at, opposite(charge)?)
                }
                None => continue,
            },
            None => match price(versions, &row) {
                Ok(charge) => (row.entry.effective_at, charge),
                Err(reason) => {
                    let row = unpriced(&key, &row, reason);
                    if corrected {
                        settled.push(row)
                    } else {
                        parked.push(row)
                    }
                    continue;
                }
            },
        };
        let cell = Cell {
            day: row.entry.effective_at.day(),
            agent: row.entry.agent,
            provider: "-".into(),
            model: row.entry.model,
            action: row.entry.action,
            currency: charge.amount.currency.code().into(),
            bucket: Bucket::Revenue,
            reason: "-".into(),
        };
        let added = Figures { revenue_nanos: charge.amount.nanos, ..Figures::default() };
        let sum = revenue.entry((key.customer.clone(), cell)).or_default();
        *sum = sum.plus(added).ok_or_else(|| StoreError::Refused("the revenue of a day overflows".into()))?;
        priced.insert((key.clone(), row.seq), (origin_at, charge.clone()));
        charges.push(Charge { key, seq: row.seq, effective_at: row.entry.effective_at, origin_at, charge });
    }
    ledger::charge(&tx, &charges, now).await?;
    let may_be_free =
        |charge: &&Charge| contracts.get(&charge.key.customer).is_some_and(|versions| may_be_free(versions));
    let priced = charges.iter().filter(may_be_free);
    allotments::mark(&tx, priced.map(|charge| (&charge.key, charge.seq, charge.origin_at))).await?;
    meter::note(&tx, &contracts, &charges, &reversed, now).await?;
    figures::add(&tx, revenue).await?;
    parked::park(&tx, &parked, now).await?;
    for thing in settled {
        parked::set_replayed(&tx, &thing.id(), now).await?;
    }
    tx.commit().await?;
    Ok(true)
}

fn opposite(charge: &invoice::Charge) -> Result<invoice::Charge, StoreError> {
    let amount = charge.amount.negated().map_err(|error| StoreError::Corrupt(error.to_string()))?;
    // Values are never the least integer: they are read as 0 or more.
    let value = charge.value.map(|value| -value);
    Ok(invoice::Charge { quantity: -charge.quantity, amount, value, ..charge.clone() })
}

/// The charge of an outcome, by the version in force when it takes effect; else why there is none.
pub(crate) fn price(versions: &[Contract], row: &Row) -> Result<invoice::Charge, String> {
    let entry = &row.entry;
    let at = entry.effective_at;
    let contract = in_force(versions, at).ok_or_else(|| {
        format!("no contract is in force at {at}: put one with effective_from not after it")
    })?;
    let version = contract.version;
    let (action, win) = (&entry.action, entry.win.as_str());
    let amount = contract.list_price(action, entry.win, entry.value).map_err(|problem| match problem {
        Unpriced::NoPrice => {
            format!("contract version {version} has no price for `{action}`: put a version that has")
        }
        Unpriced::NoValue(currency) | Unpriced::OtherCurrency { contract: currency, .. } => format!(
            "contract version {version}: {problem}: send a resolution `{win}` of this case with a `value` in {code}, \
             `occurred_at` from its deciding answer until {at}; or put a version with another price for `{action}`",
            code = currency.code()
        ),
        Unpriced::Money(error) => format!("contract version {version}: {error}"),
    })?;
    let value = entry.value.filter(|value| value.currency == contract.currency).map(|value| value.nanos);
    Ok(invoice::Charge {
        action: entry.action.clone(),
        win: entry.win,
        contract_version: version,
        quantity: entry.sign,
        amount,
        value,
    })
}

fn unpriced(key: &CaseKey, row: &Row, reason: String) -> Parked {
    let win = row.entry.win.as_str();
    Parked {
        origin: Origin::Outcome,
        reference: serde_json::json!([key.customer, key.case, row.seq]).to_string(),
        headers: "{}".into(),
        body: format!("{win} {}, effective {}", row.entry.action, row.entry.effective_at).into_bytes(),
        reason,
    }
}
