//! How a case came to be what it is: what was recorded of it, posted for it and billed. Only reads.

use crate::allotments::read_free;
use crate::bulk;
use crate::cases::CaseKey;
use crate::connect::{Store, StoreError, Tx, all, known};
use crate::repricings::{self, CostChange};
use crate::{attempts, ledger, resolutions};
use sea_orm::{DbBackend, QueryResult, Value};
use std::collections::{BTreeMap, BTreeSet};
use verdict_domain::fact::Fact;
use verdict_domain::ledger::Row;
use verdict_domain::money::{self, Currency, Money};
use verdict_domain::pricing::Free;
use verdict_domain::time::Timestamp;

/// A fact with what the judge does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What the judge reads.
    pub fact: Fact,
    /// When it was recorded here.
    pub recorded_at: Timestamp,
    /// What else was recorded.
    pub beside: Beside,
}

/// What was recorded of a fact beside what the judge reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// Of an attempt.
    Attempt {
        /// Who served the model.
        provider: String,
        /// What the model cost when the attempt was recorded; the fact has it with what was changed since.
        recorded_nanos: Option<i64>,
        /// Where that is from; `None` where it was unknown.
        price_source: Option<String>,
        /// What repricings changed of it, in their order.
        cost_changes: Vec<CostChange>,
        /// What else the sender told, as a JSON object.
        details: Option<String>,
        /// By which of the provider's services, where the sender told.
        service_tier: Option<String>,
        /// When it began.
        started_at: Timestamp,
    },
    /// Of a resolution.
    Resolution {
        /// The platform's words, or the author's.
        reason: Option<String>,
        /// Who said so.
        author: Option<String>,
        /// What it rests on, as a JSON object.
        evidence: Option<String>,
    },
}

/// All that was recorded of cases, each in the order of its facts.
pub async fn timelines(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, Vec<Event>>, StoreError> {
    let mut timelines: BTreeMap<CaseKey, Vec<Event>> =
        keys.iter().map(|key| (key.clone(), Vec::new())).collect();
    let select = format!(
        "SELECT {}, a.recorded_at, a.price_source, a.details, a.started_at, a.model_cost_nanos, a.service_tier \
         FROM keys JOIN attempts a {} ON a.customer = keys.customer AND a.case_id = keys.key",
        attempts::FACT_COLUMNS,
        bulk::by_case(&tx.tx, "attempts")
    );
    let mut changes = repricings::changes_of(tx, keys).await?;
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await? {
        let (key, fact) = attempts::read_fact(&row)?;
        let id: String = row.try_get_by_index(2)?;
        let beside = Beside::Attempt {
            provider: row.try_get_by_index(14)?,
            price_source: row.try_get_by_index(16)?,
            details: row.try_get_by_index(17)?,
            started_at: Timestamp(row.try_get_by_index(18)?),
            recorded_nanos: row.try_get_by_index(19)?,
            service_tier: row.try_get_by_index(20)?,
            cost_changes: changes.remove(&(key.customer.clone(), id)).unwrap_or_default(),
        };
        let recorded_at = Timestamp(row.try_get_by_index(15)?);
        timelines.entry(key).or_default().push(Event { fact, recorded_at, beside });
    }
    let select = format!(
        "SELECT {}, r.recorded_at, r.reason, r.author, r.evidence \
         FROM keys JOIN resolutions r {} ON r.customer = keys.customer AND r.case_id = keys.key",
        resolutions::FACT_COLUMNS,
        bulk::by_case(&tx.tx, "resolutions")
    );
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await? {
        let (key, fact) = resolutions::read_fact(&row)?;
        let beside = Beside::Resolution {
            reason: row.try_get_by_index(11)?,
            author: row.try_get_by_index(12)?,
            evidence: row.try_get_by_index(13)?,
        };
        let recorded_at = Timestamp(row.try_get_by_index(10)?);
        timelines.entry(key).or_default().push(Event { fact, recorded_at, beside });
    }
    for events in timelines.values_mut() {
        events.sort_by(|a, b| (a.fact.at, &a.fact.id).cmp(&(b.fact.at, &b.fact.id)));
    }
    Ok(timelines)
}

/// A row of the ledger with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    /// What was posted.
    pub row: Row,
    /// Its price; `None` for what has none (yet).
    pub price: Option<Priced>,
}

/// The price of a row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priced {
    /// The list price, with its sign.
    pub amount: Money,
    /// The contract version that priced it.
    pub contract_version: u32,
    /// What it is billed on.
    pub on: On,
    /// Why it is not billed, as far as that is told by now.
    pub free: Option<Free>,
}

/// What a charge is billed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// Nothing yet: it goes by its list price.
    NoneYet,
    /// An invoice or credit note.
    Invoice {
        /// Its id.
        id: String,
        /// The line that it is counted in; `None` where nothing is left of all that is.
        line: Option<InLine>,
    },
    /// No invoice ever: its period is closed, and there was nothing to bill in it.
    NothingToBill,
}

impl On {
    /// The invoice's id.
    pub fn invoice(&self) -> Option<&str> {
        match self {
            Self::Invoice { id, .. } => Some(id),
            Self::NoneYet | Self::NothingToBill => None,
        }
    }

    /// The line of the invoice.
    pub fn line(&self) -> Option<&InLine> {
        match self {
            Self::Invoice { line, .. } => line.as_ref(),
            Self::NoneYet | Self::NothingToBill => None,
        }
    }
}

/// The line that a charge is counted in, with all others of its action and kind in its period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InLine {
    /// 1, 2, 3 … on the invoice.
    pub number: i64,
    /// How many outcomes.
    pub quantity: i64,
    /// What they come to.
    pub amount: Money,
    /// How that came to be.
    pub why: String,
}

/// What was posted for cases and at what price, each in the order of `seq`; cases without any are absent.
pub async fn billed(tx: &Tx, keys: &[CaseKey]) -> Result<BTreeMap<CaseKey, Vec<Billed>>, StoreError> {
    let select = format!(
        "SELECT {}, c.amount_nanos, c.currency, c.contract_version, c.invoice_id, c.free, i.id, \
         l.number, l.quantity, l.amount_nanos, l.why \
         FROM keys JOIN outcomes o ON o.customer = keys.customer AND o.case_id = keys.key \
         LEFT JOIN charges c ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq \
         LEFT JOIN invoices i ON i.id = c.invoice_id \
         LEFT JOIN periods p ON p.customer = c.customer AND p.start_at <= c.origin_at AND c.origin_at < p.end_at \
         LEFT JOIN invoice_lines l ON l.invoice_id = i.id AND l.period_start = p.start_at AND l.item = 'outcomes' \
         AND l.contract_version = c.contract_version AND l.action = c.action AND l.win = c.win \
         ORDER BY o.customer, o.case_id, o.seq",
        ledger::OUTCOME_COLUMNS
    );
    let mut billed: BTreeMap<CaseKey, Vec<Billed>> = BTreeMap::new();
    for row in bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await? {
        let nanos: Option<i64> = row.try_get_by_index(16)?;
        let price = match nanos {
            None => None,
            Some(nanos) => {
                let (code, version): (String, i64) = (row.try_get_by_index(17)?, row.try_get_by_index(18)?);
                let currency = known(money::currency(&code).ok(), "currency", &code)?;
                Some(Priced {
                    amount: Money { nanos, currency },
                    contract_version: known(u32::try_from(version).ok(), "version", "of a charge")?,
                    on: read_on(&row, currency)?,
                    free: read_free(row.try_get_by_index(20)?)?,
                })
            }
        };
        let (key, row) = ledger::read_outcome(&row)?;
        billed.entry(key).or_default().push(Billed { row, price });
    }
    Ok(billed)
}

/// From the columns of [`billed`] on: what names the document, whether there is one, and the line.
fn read_on(row: &QueryResult, currency: Currency) -> Result<On, StoreError> {
    let (named, id): (Option<String>, Option<String>) =
        (row.try_get_by_index(19)?, row.try_get_by_index(21)?);
    let Some(id) = id else {
        // A closing that has nothing to bill makes no document; what it took bears the id that it would have had.
        return Ok(if named.is_some() { On::NothingToBill } else { On::NoneYet });
    };
    let number: Option<i64> = row.try_get_by_index(22)?;
    let line = match number {
        None => None,
        Some(number) => Some(InLine {
            number,
            quantity: row.try_get_by_index(23)?,
            amount: Money { nanos: row.try_get_by_index(24)?, currency },
            why: row.try_get_by_index(25)?,
        }),
    };
    Ok(On::Invoice { id, line })
}

/// Which of these cases wait for a step: what is held or billed of them is not yet what their facts say at `now`.
pub async fn waiting(tx: &Tx, keys: &[CaseKey], now: Timestamp) -> Result<BTreeSet<CaseKey>, StoreError> {
    let select = format!(
        "SELECT keys.customer, keys.key FROM keys \
         JOIN cases_to_judge m ON m.customer = keys.customer AND m.case_id = keys.key \
         UNION SELECT keys.customer, keys.key FROM keys \
         JOIN outcomes_to_rate m ON m.customer = keys.customer AND m.case_id = keys.key \
         UNION SELECT keys.customer, keys.key FROM keys \
         JOIN cases c ON c.customer = keys.customer AND c.case_id = keys.key AND c.wake_at <= {}",
        now.0
    );
    let rows = bulk::select_by_keys(&tx.tx, keys.iter().map(CaseKey::parts), &select).await?;
    rows.iter()
        .map(|row| Ok(CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? }))
        .collect()
}

/// Cases by the time of their earliest attempt (its `ended_at`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From this moment on.
    pub from: Timestamp,
    /// Before this one.
    pub to: Timestamp,
    /// One customer, or all.
    pub customer: Option<String>,
}

/// The next cases of a window, in the order of their keys, after the one given.
pub async fn page(
    tx: &Tx,
    window: &Window,
    after: Option<&CaseKey>,
    limit: u32,
) -> Result<Vec<CaseKey>, StoreError> {
    let mut values: Vec<Value> = vec![window.from.0.into(), window.to.0.into(), i64::from(limit).into()];
    let mut of = Vec::new();
    if let Some(customer) = &window.customer {
        values.push(customer.as_str().into());
        of.push(format!("customer = ${}", values.len()));
    }
    if let Some(after) = after {
        values.extend([after.customer.as_str().into(), after.case.as_str().into()]);
        of.push(format!("(customer, case_id) > (${}, ${})", values.len() - 1, values.len()));
    }
    let of = if of.is_empty() { String::new() } else { format!("WHERE {} ", of.join(" AND ")) };
    let sql = format!(
        "SELECT customer, case_id FROM attempts {of}GROUP BY customer, case_id \
         HAVING MIN(ended_at) >= $1 AND MIN(ended_at) < $2 ORDER BY customer, case_id LIMIT $3"
    );
    let rows = all(&tx.tx, &sql, values).await?;
    rows.iter()
        .map(|row| Ok(CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? }))
        .collect()
}

/// Which cases to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// One customer, or all.
    pub customer: Option<String>,
    /// One verdict, or all.
    pub verdict: Option<String>,
    /// What the case's id begins with.
    pub beginning: Option<String>,
}

/// A case as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which case.
    pub key: CaseKey,
    /// Of its last episode that has one.
    pub verdict: String,
    /// When it was judged last.
    pub judged_at: Timestamp,
    /// When time alone will change that.
    pub wake_at: Option<Timestamp>,
}

/// Where a page of a list of cases ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// When the last case was judged.
    pub judged_at: Timestamp,
    /// The last case.
    pub key: CaseKey,
}

/// A page of a list of cases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Its cases.
    pub cases: Vec<Listed>,
    /// Where it ended, if there may be more. A page that was looked for among many cases may end before it is full.
    pub next: Option<Place>,
}

/// The verdicts that a case is listed with.
pub const VERDICTS: [&str; 6] = ["pending", "confirmed", "assumed", "failed", "void", "none"];

/// Where the beginning of an id and a verdict are asked for, so many cases that begin so are looked at for one page.
pub const LOOKED_AT: u32 = 5_000;

/// Cases for people after a place (the first ones: `None`), at most `limit`: the last judged first; those whose ids begin with
/// something, in the order of their ids. However many cases there are, no more are read than a few pages hold.
pub async fn list(
    store: &Store,
    filter: &Filter,
    after: Option<&Place>,
    limit: u32,
) -> Result<Page, StoreError> {
    let Some(beginning) = &filter.beginning else {
        let cases = last_judged(store, filter, after, limit.saturating_add(1)).await?;
        return Ok(Page::of(cases, limit));
    };
    let Some(verdict) = &filter.verdict else {
        let cases = beginning_with(store, filter, beginning, after, limit.saturating_add(1)).await?;
        return Ok(Page::of(cases, limit));
    };
    let cases = beginning_with(store, filter, beginning, after, LOOKED_AT).await?;
    let last = (cases.len() == LOOKED_AT as usize).then(|| cases.last().map(Listed::place)).flatten();
    let found = cases.into_iter().filter(|case| case.verdict == *verdict);
    let page = Page::of(found.take(limit as usize + 1).collect(), limit);
    Ok(Page { next: page.next.or(last), ..page })
}

impl Page {
    /// Of what was read for it: one more than it holds says that there are more.
    fn of(mut cases: Vec<Listed>, limit: u32) -> Self {
        let has_more = cases.len() > limit as usize;
        cases.truncate(limit as usize);
        Self { next: cases.last().filter(|_| has_more).map(Listed::place), cases }
    }
}

impl Listed {
    /// Where a page ends that ends with this case.
    fn place(&self) -> Place {
        Place { judged_at: self.judged_at, key: self.key.clone() }
    }
}

const LISTED_COLUMNS: &str = "customer, case_id, verdict, judged_at, wake_at";

/// The last judged first, each verdict along its index.
async fn last_judged(
    store: &Store,
    filter: &Filter,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let mut values: Vec<Value> = vec![i64::from(limit).into()];
    let mut of = String::new();
    if let Some(customer) = &filter.customer {
        values.push(customer.as_str().into());
        of += " AND customer = $2";
    }
    if let Some(Place { judged_at, key }) = after {
        let n = values.len();
        values.extend([judged_at.0.into(), key.customer.as_str().into(), key.case.as_str().into()]);
        of += &format!(" AND (judged_at, customer, case_id) < (${}, ${}, ${})", n + 1, n + 2, n + 3);
    }
    const ORDER: &str = "ORDER BY judged_at DESC, customer DESC, case_id DESC LIMIT $1";
    let wanted = |verdict: &&str| filter.verdict.as_deref().is_none_or(|wanted| wanted == *verdict);
    let each = VERDICTS.iter().filter(|verdict| wanted(verdict)).map(|verdict| {
        format!(
            "SELECT * FROM (SELECT {LISTED_COLUMNS} FROM cases WHERE verdict = '{verdict}'{of} {ORDER}) AS {verdict}_cases"
        )
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT {LISTED_COLUMNS} FROM ({}) AS listed {ORDER}", each.join(" UNION ALL "));
    all(&store.db, &sql, values).await?.iter().map(read_listed).collect()
}

/// Those whose ids begin so, in the order of their ids, whatever their verdict.
async fn beginning_with(
    store: &Store,
    filter: &Filter,
    beginning: &str,
    after: Option<&Place>,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    // Byte by byte, as the index is: in another order those of a beginning need not be together.
    let bytewise = match store.db.get_database_backend() {
        DbBackend::Postgres => " COLLATE \"C\"",
        _ => "",
    };
    let (id, customer) = (format!("case_id{bytewise}"), format!("customer{bytewise}"));
    let mut values: Vec<Value> = vec![i64::from(limit).into(), beginning.into()];
    let mut of = vec![format!("{id} >= $2")];
    if let Some(end) = end_of_beginning(beginning) {
        values.push(end.into());
        of.push(format!("{id} < ${}", values.len()));
    }
    if let Some(wanted) = &filter.customer {
        values.push(wanted.as_str().into());
        of.push(format!("customer = ${}", values.len()));
    }
    if let Some(Place { key, .. }) = after {
        values.extend([key.case.as_str().into(), key.customer.as_str().into()]);
        of.push(format!("({id}, {customer}) > (${}, ${})", values.len() - 1, values.len()));
    }
    let sql = format!(
        "SELECT {LISTED_COLUMNS} FROM cases WHERE {} ORDER BY {id}, {customer} LIMIT $1",
        of.join(" AND ")
    );
    all(&store.db, &sql, values).await?.iter().map(read_listed).collect()
}

/// The first text, byte by byte, after all that begin so; `None` if there is none.
fn end_of_beginning(beginning: &str) -> Option<String> {
    let mut end = beginning.to_string();
    while let Some(last) = end.pop() {
        // The next character: UTF-8 is in the order of the code points, and the surrogates are none.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

fn read_listed(row: &QueryResult) -> Result<Listed, StoreError> {
    let wake_at: Option<i64> = row.try_get_by_index(4)?;
    Ok(Listed {
        key: CaseKey { customer: row.try_get_by_index(0)?, case: row.try_get_by_index(1)? },
        verdict: row.try_get_by_index(2)?,
        judged_at: Timestamp(row.try_get_by_index(3)?),
        wake_at: wake_at.map(Timestamp),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::end_of_beginning;

    #[test]
    fn what_begins_so_is_before_its_end() {
        for (beginning, end) in [
            ("a", Some("b")),
            ("case-9", Some("case-:")),
            ("\u{d7ff}", Some("\u{e000}")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
            ("", None),
        ] {
            assert_eq!(end_of_beginning(beginning).as_deref(), end, "{beginning:?}");
            if let Some(end) = end {
                assert!(format!("{beginning}\u{10ffff}").as_str() < end && beginning < end);
            }
        }
    }
}
