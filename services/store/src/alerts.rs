//! Alerts: raised once for a thing, and cleared when it is over.

use crate::connect::{Store, StoreError, Tx, all, one, run};
use std::collections::BTreeMap;
use verdict_domain::time::Timestamp;

/// Something that a person should look at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Alert {
    /// What sort of thing, such as `source_silent`.
    pub kind: String,
    /// Which thing.
    pub subject: String,
    /// What is the matter, and what to do.
    pub text: String,
    /// Where to look: a path of ours.
    pub link: Option<String>,
    /// Since when.
    pub raised_at: Timestamp,
    /// Until when, if it is over.
    pub cleared_at: Option<Timestamp>,
    /// 1, 2, 3 … as they are raised: for [`Place`].
    #[serde(skip)]
    pub number: i64,
}

/// An alert as it should stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which thing.
    pub subject: String,
    /// What is the matter, and what to do.
    pub text: String,
    /// Where to look: a path of ours.
    pub link: Option<String>,
}

/// Makes the alerts of a kind those that are wanted, each subject once: raises what is new, gives what stands its text of now,
/// clears what is gone. Answers what it raised, and how many it cleared.
pub async fn settle<'a>(
    tx: &Tx,
    kind: &str,
    wanted: &'a [Wanted],
    now: Timestamp,
) -> Result<(Vec<&'a Wanted>, usize), StoreError> {
    let sql = "SELECT subject, text, link FROM alerts WHERE kind = $1 AND cleared_at IS NULL";
    let mut standing: BTreeMap<String, (String, Option<String>)> = BTreeMap::new();
    for row in all(&tx.tx, sql, [kind.into()]).await? {
        standing.insert(row.try_get_by_index(0)?, (row.try_get_by_index(1)?, row.try_get_by_index(2)?));
    }
    let mut raised = Vec::new();
    for alert in wanted {
        let stood = standing.remove(&alert.subject);
        if stood.is_none() && raise(tx, kind, &alert.subject, &alert.text, now).await? {
            raised.push(alert);
        }
        let stands_so = stood.is_some_and(|(text, link)| text == alert.text && link == alert.link);
        if !stands_so {
            let sql = "UPDATE alerts SET text = $3, link = $4 WHERE kind = $1 AND subject = $2 AND cleared_at IS NULL";
            let values = [
                kind.into(),
                alert.subject.as_str().into(),
                alert.text.as_str().into(),
                alert.link.clone().into(),
            ];
            run(&tx.tx, sql, values).await?;
        }
    }
    let mut cleared = 0;
    for subject in standing.keys() {
        cleared += usize::from(clear(tx, kind, subject, now).await?);
    }
    Ok((raised, cleared))
}

/// Raises an alert; `false` if it is raised already.
pub async fn raise(
    tx: &Tx,
    kind: &str,
    subject: &str,
    text: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "INSERT INTO alerts (kind, subject, text, raised_at) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (kind, subject) WHERE cleared_at IS NULL DO NOTHING";
    Ok(run(&tx.tx, sql, [kind.into(), subject.into(), text.into(), now.0.into()]).await? > 0)
}

/// Clears an alert; `false` if there was none.
pub async fn clear(tx: &Tx, kind: &str, subject: &str, now: Timestamp) -> Result<bool, StoreError> {
    let sql = "UPDATE alerts SET cleared_at = $3 WHERE kind = $1 AND subject = $2 AND cleared_at IS NULL";
    Ok(run(&tx.tx, sql, [kind.into(), subject.into(), now.0.into()]).await? > 0)
}

/// Where a page of the list of alerts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whether its last one was over.
    pub is_over: bool,
    /// The number of the last one.
    pub number: i64,
}

/// The alerts after a place (the first ones: `None`), those not over first, of either the last raised first; at most `limit`.
pub async fn list(store: &Store, after: Option<Place>, limit: u32) -> Result<Vec<Alert>, StoreError> {
    let mut alerts = Vec::new();
    for is_over in [false, true] {
        let before = match after {
            Some(place) if place.is_over && !is_over => continue,
            Some(place) if place.is_over == is_over => place.number,
            _ => i64::MAX,
        };
        let left = i64::from(limit) - i64::try_from(alerts.len()).unwrap_or(i64::MAX);
        let which = if is_over { "IS NOT NULL" } else { "IS NULL" };
        let sql = format!(
            "SELECT kind, subject, text, raised_at, cleared_at, link, id FROM alerts \
             WHERE cleared_at {which} AND id < $1 ORDER BY id DESC LIMIT $2"
        );
        for row in all(&store.db, &sql, [before.into(), left.into()]).await? {
            let cleared_at: Option<i64> = row.try_get_by_index(4)?;
            alerts.push(Alert {
                kind: row.try_get_by_index(0)?,
                subject: row.try_get_by_index(1)?,
                text: row.try_get_by_index(2)?,
                link: row.try_get_by_index(5)?,
                raised_at: Timestamp(row.try_get_by_index(3)?),
                cleared_at: cleared_at.map(Timestamp),
                number: row.try_get_by_index(6)?,
            });
        }
    }
    Ok(alerts)
}

/// How many are not over.
pub async fn count_standing(store: &Store) -> Result<i64, StoreError> {
    let row = one(&store.db, "SELECT COUNT(*) FROM alerts WHERE cleared_at IS NULL", []).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get_by_index(0))?)
}
