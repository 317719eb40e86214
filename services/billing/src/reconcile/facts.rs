//! Facts and judged cases: each case is judged anew from its facts, by its rule and as of when it was judged last. What is
//! posted for it, and what it adds to the figures, must be just that.

use super::{Name, PAGE, ReconcileError, Reconciled};
use std::collections::BTreeMap;
use verdict_domain::contract::{self, Contract, in_force};
use verdict_domain::economics::{self, Contribution};
use verdict_domain::fact::Fact;
use verdict_domain::judge::judge;
use verdict_domain::ledger::{Row, difference, entries};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::cases::{self, CaseKey, StoredCase};
use verdict_store::parked::Origin;
use verdict_store::{Store, Tx, contracts, figures, history, ledger, reconcile as read};

pub(super) async fn compare(
    store: &Store,
    since: Timestamp,
    now: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let mut after = CaseKey { customer: String::new(), case: String::new() };
    loop {
        // A page at a time is of one moment: nothing keeps a snapshot open for as long as all of it takes.
        let snapshot = store.snapshot().await?;
        let keys = read::cases_page(&snapshot, since, &after, PAGE).await?;
        let Some(last) = keys.last() else { return Ok(()) };
        after = last.clone();
        page(&snapshot, &keys, now, reconciled).await?;
    }
}

async fn page(
    snapshot: &Tx,
    keys: &[CaseKey],
    now: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let facts = cases::facts(snapshot, keys).await?;
    let held = cases::load(snapshot, keys).await?;
    let added = figures::contributions(snapshot, keys).await?;
    let posted = ledger::posted(snapshot, keys).await?;
    let waiting = history::waiting(snapshot, keys, now).await?;
    let contracts = contracts::of_customers(snapshot, keys.iter().map(|key| key.customer.as_str())).await?;
    let references: BTreeMap<String, &CaseKey> =
        keys.iter().map(|key| (serde_json::json!([&key.customer, &key.case]).to_string(), key)).collect();
    let names: Vec<String> = references.keys().cloned().collect();
    let parked = read::parked(snapshot, Origin::Case, &names).await?;
    let parked: Vec<&CaseKey> = parked.iter().filter_map(|name| references.get(name).copied()).collect();
    reconciled.checked("cases", keys.len());
    let nothing = Contribution::new();
    for (key, facts) in &facts {
        if waiting.contains(key) || parked.contains(&key) {
            reconciled.waits("cases", 1);
            continue;
        }
        let versions = contracts.get(&key.customer).map_or(&[][..], Vec::as_slice);
        let posted = posted.get(key).map_or(&[][..], Vec::as_slice);
        let held = held.get(key).map(|held| (held, added.get(key).unwrap_or(&nothing)));
        case(key, facts, held, posted, versions, reconciled);
    }
    Ok(())
}

fn case(
    key: &CaseKey,
    facts: &[Fact],
    held: Option<(&StoredCase, &Contribution)>,
    posted: &[Row],
    versions: &[Contract],
    reconciled: &mut Reconciled,
) {
    let subject = || format!("{}/{}", key.customer, key.case);
    if facts.is_empty() {
        return reconciled.differs(Name::FactsMissing, subject(), "facts", "none");
    }
    let Some((held, added)) = held else {
        let found = format!("{} facts, {} rows posted, never judged", facts.len(), posted.len());
        return reconciled.differs(Name::UnjudgedCase, subject(), "a judgement", found);
    };
    let default = Rule::default();
    let rule = contract::of_case(versions, facts).map_or(&default, |contract| &contract.rule);
    let episodes = judge(facts, rule, held.judged_at).episodes;
    let wanted = entries(facts, &episodes);
    let missing = difference(posted, &wanted);
    if !missing.is_empty() {
        let told = |rows: &[Row]| {
            let told = rows.iter().map(|row| {
                let entry = &row.entry;
                format!(
                    "{} {} {:+} at {}",
                    entry.kind.as_str(),
                    entry.episode,
                    entry.sign,
                    entry.effective_at
                )
            });
            told.collect::<Vec<_>>().join("; ")
        };
        let found = if posted.is_empty() { "nothing posted".into() } else { told(posted) };
        reconciled.differs(Name::LedgerDiffers, subject(), format!("besides: {}", told(&missing)), found);
    }
    let currency_at =
        |at: Timestamp| in_force(versions, at).map_or("XXX", |contract| contract.currency.code()).to_string();
    match economics::contribution(facts, &episodes, currency_at) {
        Ok(contribution) if contribution == *added => {}
        Ok(contribution) => {
            let cost = |of: &Contribution| {
                let sums = of.values().map(|f| (f.cost_nanos, f.outcomes, f.attempts));
                let (nanos, outcomes, attempts) =
                    sums.fold((0_i128, 0, 0), |sum, f| (sum.0 + i128::from(f.0), sum.1 + f.1, sum.2 + f.2));
                format!("{attempts} attempts for {nanos} nanos, {outcomes} outcomes, in {} cells", of.len())
            };
            let (expected, found) = (cost(&contribution), cost(added));
            reconciled.differs(Name::ContributionDiffers, subject(), expected, found);
        }
        Err(overflow) => {
            reconciled.differs(Name::ContributionDiffers, subject(), overflow, "a case that is not parked");
        }
    }
}
