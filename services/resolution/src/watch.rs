//! Watching the sources: one that is silent for longer than is normal for it may have a broken secret, or a subscription
//! that its platform has switched off.

use crate::Sources;
use std::collections::BTreeMap;
use verdict_domain::time::{Span, Timestamp};
use verdict_store::deliveries::{Delivery, Via};
use verdict_store::{Store, StoreError, Tx, alerts, sources};

const SILENT: &str = "source_silent";
/// No source is silent before this, unless the operator says so.
const LEAST_GAP: Span = Span::hours(1);

/// How long a source may be silent: what the operator says, else twice its longest gap so far. `None`: it has not shown
/// yet what is normal.
pub fn allowed_silence(configured: Option<Span>, longest_gap: i64) -> Option<Span> {
    let learned = (longest_gap > 0).then(|| Span(longest_gap.saturating_mul(2)).max(LEAST_GAP));
    configured.or(learned)
}

/// Notes when each source was heard, in the transaction that maps what it sent.
pub(crate) async fn note_heard(tx: &Tx, deliveries: &[Delivery], now: Timestamp) -> Result<(), StoreError> {
    let mut heard: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.via == Via::Webhook) {
        heard.entry(&delivery.source).or_default().push(delivery.received_at);
    }
    for (source, mut times) in heard {
        let state = sources::state(tx, source).await?;
        let was_silent = alerts::clear(tx, SILENT, source, now).await?;
        times.extend(state.last_delivery_at);
        times.sort();
        let gap = times.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].0)).max();
        // A silence that raised an alert is learned only up to what was allowed: an outage does not become normal at
        // once, but a source that is quiet every night is understood within some nights.
        let most = if was_silent { allowed_silence(None, state.longest_gap) } else { None };
        let learned = gap.map(|gap| most.map_or(gap, |most| gap.min(most.0)));
        let longest_gap = learned.map_or(state.longest_gap, |gap| gap.max(state.longest_gap));
        if let Some(&last) = times.last() {
            sources::set_heard(tx, source, last, longest_gap).await?;
        }
    }
    Ok(())
}

/// The step: raises an alert for each source that is silent for longer than is normal. Answers how many it raised.
pub async fn watch_sources(store: &Store, sources: &Sources, now: Timestamp) -> Result<usize, StoreError> {
    let mut raised = 0;
    for state in sources::states(store).await? {
        let Some(source) = sources.get(&state.source) else { continue };
        let allowed = allowed_silence(source.silent_after(), state.longest_gap);
        let (Some(allowed), Some(last)) = (allowed, state.last_delivery_at) else { continue };
        if last.plus(allowed) >= now {
            continue;
        }
        let text = format!(
            "nothing has come since {last}, longer than is normal for it: look whether the platform still sends, and \
             whether its deliveries are in quarantine"
        );
        let tx = store.begin().await?;
        if alerts::raise(&tx, SILENT, &state.source, &text, now).await? {
            tracing::warn!(source = state.source, "{text}");
            raised += 1;
        }
        tx.commit().await?;
    }
    Ok(raised)
}
