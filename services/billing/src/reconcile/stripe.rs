//! Invoices and credit notes with what Stripe has. Each of ours is asked for by the id that is stored; then all that was
//! created at Stripe since is walked through, for what names one of ours and is not it. What Stripe says of an invoice's
//! state is stored, as a webhook that was lost would have done.

use super::{Name, ReconcileError, Reconciled};
use crate::stripe::{ItemState, Seen, Stripe};
use std::collections::BTreeMap;
use std::time::Duration;
use verdict_domain::time::Timestamp;
use verdict_store::invoices::{self, Invoice, Kind, State};
use verdict_store::reconcile::{self as read, Errand};
use verdict_store::{Store, StoreError, outbox};

/// How many of ours are in memory at once, with their lines.
const DOCUMENTS: u32 = 100;
/// The wait before each call: at most 25 a second, a quarter of what Stripe takes, as pushes go on meanwhile.
const PACE: Duration = Duration::from_millis(40);
/// Clocks may differ by so much.
const CLOCKS_DIFFER: i64 = 3_600;

pub(super) async fn compare(
    store: &Store,
    stripe: &Stripe,
    since: Timestamp,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let mut after = String::new();
    loop {
        let documents = read::documents_page(store, since, &after, DOCUMENTS).await?;
        let Some((last, _)) = documents.last() else { break };
        after.clone_from(&last.id);
        for (ours, errand) in &documents {
            match (&ours.stripe_id, errand) {
                (_, Errand::Open) => reconciled.waits("documents", 1),
                (Some(id), _) => document(store, stripe, ours, id, reconciled).await?,
                (None, Errand::Done) => {
                    reconciled.differs(Name::MissingAtStripe, ours.id.clone(), "its id at Stripe", "none");
                }
                (None, Errand::None | Errand::Settled) => {}
            }
        }
    }
    strangers(store, stripe, reconciled).await
}

/// One of ours, with Stripe's of its id.
async fn document(
    store: &Store,
    stripe: &Stripe,
    ours: &Invoice,
    id: &str,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    tokio::time::sleep(PACE).await;
    let seen = match ours.kind {
        Kind::Invoice => stripe.see_invoice(id).await?,
        Kind::CreditNote => stripe.see_credit_note(id).await?,
    };
    reconciled.checked("at_stripe", 1);
    let Some(seen) = seen else {
        reconciled.differs(Name::MissingAtStripe, ours.id.clone(), id, "nothing of this id");
        return Ok(());
    };
    let subject = format!("{} ({id})", ours.id);
    reconciled.compare(Name::AmountDiffersAtStripe, &subject, ours.total_minor, seen.before_tax);
    reconciled.compare(Name::CurrencyDiffersAtStripe, &subject, ours.currency.code(), &seen.currency);
    if let Some(payer) = outbox::stripe_customer(store, &ours.customer).await? {
        let theirs = seen.customer.clone().unwrap_or_default();
        reconciled.compare(Name::CustomerDiffersAtStripe, &subject, payer, theirs);
    }
    if ours.kind == Kind::Invoice {
        tokio::time::sleep(PACE).await;
        items(ours, &stripe.list_items(id).await?, &subject, reconciled);
    }
    let name = match seen.status.as_str() {
        // A void that was asked for here is no difference.
        "void" if was_voided_here(store, &ours.id).await? => None,
        "void" => Some(Name::VoidAtStripe),
        "draft" => Some(Name::DraftAtStripe),
        _ => None,
    };
    match name {
        _ if ours.state != State::Final => {
            reconciled.differs(Name::EarlyAtStripe, subject, ours.state.as_str(), &seen.status);
        }
        Some(name) => reconciled.differs(name, subject, ours.state.as_str(), &seen.status),
        None => {}
    }
    if ours.stripe_status.as_deref() != Some(seen.status.as_str()) {
        let tx = store.begin().await?;
        invoices::set_stripe_invoice(&tx, &ours.id, id, &seen.status).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn was_voided_here(store: &Store, invoice: &str) -> Result<bool, StoreError> {
    let snapshot = store.snapshot().await?;
    Ok(outbox::state(&snapshot, &format!("void:{invoice}")).await?.is_some())
}

/// Each item is our line of its number, and each line has its item.
fn items(ours: &Invoice, theirs: &[ItemState], subject: &str, reconciled: &mut Reconciled) {
    let mut lines: BTreeMap<u32, i64> = ours.lines.iter().map(|line| (line.number, line.minor)).collect();
    for item in theirs {
        // The second item of one number finds its line gone.
        let expected = item.line.and_then(|line| lines.remove(&line));
        let subject = match item.line {
            Some(line) => format!("{subject}, line {line} ({})", item.id),
            None => format!("{subject}, item {}", item.id),
        };
        match expected {
            Some(expected) => {
                reconciled.compare(Name::ItemDiffersAtStripe, &subject, expected, item.amount_minor);
            }
            None => reconciled.differs(Name::ItemDiffersAtStripe, subject, "no such item", item.amount_minor),
        }
    }
    for (line, minor) in lines {
        reconciled.differs(Name::ItemDiffersAtStripe, format!("{subject}, line {line}"), minor, "no item");
    }
}

/// What at Stripe names one of ours, and is not what is stored for it. All since the first push is walked through: a
/// duplicate may be younger than what it doubles, and older than what is compared otherwise.
async fn strangers(
    store: &Store,
    stripe: &Stripe,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let Some(first) = read::first_push(store).await? else { return Ok(()) };
    let since = first.0 / 1_000_000 - CLOCKS_DIFFER;
    for kind in [Kind::Invoice, Kind::CreditNote] {
        let mut after: Option<String> = None;
        loop {
            tokio::time::sleep(PACE).await;
            let (page, next) = match kind {
                Kind::Invoice => stripe.see_invoices(since, after.as_deref()).await?,
                Kind::CreditNote => stripe.see_credit_notes(since, after.as_deref()).await?,
            };
            reconciled.checked("listed_at_stripe", page.len());
            for seen in page {
                stranger(store, kind, seen, reconciled).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(())
}

async fn stranger(
    store: &Store,
    kind: Kind,
    seen: Seen,
    reconciled: &mut Reconciled,
) -> Result<(), ReconcileError> {
    let Some(name) = &seen.ours else { return Ok(()) };
    let subject = format!("{name} ({})", seen.id);
    match invoices::find(store, name).await?.filter(|ours| ours.kind == kind) {
        None => reconciled.differs(Name::UnknownAtStripe, subject, "nothing", &seen.status),
        Some(ours) => match ours.stripe_id {
            Some(id) if id == seen.id => {}
            // Withdrawn is as good as not there.
            Some(_) if seen.status == "void" => {}
            Some(id) => reconciled.differs(Name::TwiceAtStripe, subject, id, &seen.id),
            // A push of it may be on its way: it looks it up before it makes another.
            None if ours.state == State::Final => reconciled.waits("documents", 1),
            None => reconciled.differs(Name::EarlyAtStripe, subject, ours.state.as_str(), &seen.status),
        },
    }
    Ok(())
}
