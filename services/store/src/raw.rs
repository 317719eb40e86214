//! What was recorded and posted, row by row and as it is stored: for who reckons with it elsewhere. Only reads.

use crate::connect::{StoreError, Tx, all};
use sea_orm::{QueryResult, Value};
use verdict_domain::time::Timestamp;

/// What sort of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Attempts, by when they ended.
    Attempts,
    /// Resolutions, by when they occurred.
    Resolutions,
    /// Rows of the ledger, by when they take effect.
    Outcomes,
    /// Charges at their list prices, by when they take effect.
    Charges,
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// UTF-8.
    Text,
    /// A JSON text.
    Json,
    /// A number of things.
    Count,
    /// Money in nanos, 10^-9 of the currency in the column that is named.
    Nanos(&'static str),
    /// UTC microseconds since 1970.
    Moment,
    /// 1 or 0.
    Flag,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// What it is called, here and in exports.
    pub name: &'static str,
    stored: &'static str,
    /// What its values are.
    pub sort: Sort,
    /// Whether a value may be absent: unknown, or not said.
    pub may_be_absent: bool,
}

const fn column(name: &'static str, sort: Sort) -> Column {
    Column { name, stored: name, sort, may_be_absent: false }
}

impl Column {
    const fn or_none(self) -> Self {
        Self { may_be_absent: true, ..self }
    }

    const fn stored_as(self, stored: &'static str) -> Self {
        Self { stored, ..self }
    }
}

const CUSTOMER: Column = column("customer", Sort::Text);
const CASE: Column = column("case", Sort::Text).stored_as("case_id");

const ATTEMPTS: &[Column] = &[
    CUSTOMER,
    column("id", Sort::Text),
    CASE,
    column("agent", Sort::Text),
    column("action", Sort::Text),
    column("provider", Sort::Text),
    column("model", Sort::Text),
    column("input_tokens", Sort::Count).or_none(),
    column("cached_input_tokens", Sort::Count).or_none(),
    column("cache_write_tokens", Sort::Count).or_none(),
    column("output_tokens", Sort::Count).or_none(),
    column("reasoning_tokens", Sort::Count).or_none(),
    column("usage_estimated", Sort::Flag),
    column("status", Sort::Text),
    column("failure_reason", Sort::Text).or_none(),
    column("model_cost_nanos", Sort::Nanos("cost_currency")).or_none(),
    column("other_cost_nanos", Sort::Nanos("cost_currency")),
    column("cost_currency", Sort::Text),
    column("value_nanos", Sort::Nanos("value_currency")).or_none(),
    column("value_currency", Sort::Text).or_none(),
    column("price_source", Sort::Text).or_none(),
    column("started_at", Sort::Moment),
    column("ended_at", Sort::Moment),
    column("prompt_fingerprint", Sort::Text).or_none(),
    column("details", Sort::Json).or_none(),
    column("recorded_at", Sort::Moment),
];

const RESOLUTIONS: &[Column] = &[
    CUSTOMER,
    column("id", Sort::Text),
    CASE,
    column("kind", Sort::Text),
    column("occurred_at", Sort::Moment),
    column("reason", Sort::Text).or_none(),
    column("score", Sort::Count).or_none(),
    column("about", Sort::Text).or_none(),
    column("value_nanos", Sort::Nanos("value_currency")).or_none(),
    column("value_currency", Sort::Text).or_none(),
    column("strength", Sort::Text),
    column("author", Sort::Text).or_none(),
    column("evidence", Sort::Json).or_none(),
    column("recorded_at", Sort::Moment),
];

const OUTCOMES: &[Column] = &[
    CUSTOMER,
    CASE,
    column("seq", Sort::Count),
    column("episode", Sort::Text),
    column("entry", Sort::Text).stored_as("kind"),
    column("sign", Sort::Count),
    column("kind", Sort::Text).stored_as("win"),
    column("action", Sort::Text),
    column("agent", Sort::Text),
    column("model", Sort::Text),
    column("value_nanos", Sort::Nanos("value_currency")).or_none(),
    column("value_currency", Sort::Text).or_none(),
    column("effective_at", Sort::Moment),
    column("reason", Sort::Text).or_none(),
    column("reverses", Sort::Count).or_none(),
    column("facts", Sort::Json),
    column("posted_at", Sort::Moment),
    column("position", Sort::Count).or_none(),
    column("link", Sort::Text).or_none(),
];

const CHARGES: &[Column] = &[
    CUSTOMER,
    CASE,
    column("seq", Sort::Count),
    column("action", Sort::Text),
    column("kind", Sort::Text).stored_as("win"),
    column("sign", Sort::Count),
    column("contract_version", Sort::Count),
    column("amount_nanos", Sort::Nanos("currency")),
    column("currency", Sort::Text),
    column("value_nanos", Sort::Nanos("currency")).or_none(),
    column("effective_at", Sort::Moment),
    column("origin_at", Sort::Moment),
    column("rated_at", Sort::Moment),
    // What a closing took that had nothing to bill bears the id of a document that was not made.
    column("invoice", Sort::Text)
        .or_none()
        .stored_as("(SELECT i.id FROM invoices i WHERE i.id = charges.invoice_id)"),
    column("nothing_to_bill", Sort::Flag).stored_as(
        "CAST(CASE WHEN invoice_id IS NULL OR EXISTS (SELECT 1 FROM invoices i WHERE i.id = charges.invoice_id) \
         THEN 0 ELSE 1 END AS BIGINT)",
    ),
    column("position", Sort::Count).or_none(),
    column("link", Sort::Text).or_none(),
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Attempts, Self::Resolutions, Self::Outcomes, Self::Charges];

    /// Its name: also that of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Resolutions => "resolutions",
            Self::Outcomes => "outcomes",
            Self::Charges => "charges",
        }
    }

    /// The kind of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Its columns, in their order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Attempts => ATTEMPTS,
            Self::Resolutions => RESOLUTIONS,
            Self::Outcomes => OUTCOMES,
            Self::Charges => CHARGES,
        }
    }

    /// By which of its times a row is in a window.
    pub fn time(self) -> &'static str {
        match self {
            Self::Attempts => "ended_at",
            Self::Resolutions => "occurred_at",
            Self::Outcomes | Self::Charges => "effective_at",
        }
    }
}

/// Rows of a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// From this moment on …
    pub from: Timestamp,
    /// … and before this.
    pub to: Timestamp,
    /// One customer, or all.
    pub customer: Option<String>,
}

/// Where to go on: after the row with this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    customer: String,
    /// The fact's id, or the case.
    id: String,
    seq: i64,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Of [`Sort::Text`] and [`Sort::Json`].
    Text(Vec<Option<String>>),
    /// Of the other sorts.
    Integers(Vec<Option<i64>>),
}

/// Rows, column by column in the order of [`Kind::columns`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How many rows.
    pub rows: usize,
    /// The values of each column.
    pub columns: Vec<Values>,
    /// Where the next page begins.
    pub last: After,
}

/// The next rows of a window in the order of their keys, at most `limit`; `None` at the end.
pub async fn page(
    tx: &Tx,
    kind: Kind,
    window: &Window,
    after: Option<&After>,
    limit: u32,
) -> Result<Option<Page>, StoreError> {
    let columns = kind.columns();
    let is_fact = matches!(kind, Kind::Attempts | Kind::Resolutions);
    let key = if is_fact { "customer, id" } else { "customer, case_id, seq" };
    let (table, time) = (kind.as_str(), kind.time());
    let mut values: Vec<Value> = vec![window.from.0.into(), window.to.0.into(), i64::from(limit).into()];
    let mut only = String::new();
    if let Some(customer) = &window.customer {
        values.push(customer.as_str().into());
        only += &format!(" AND customer = ${}", values.len());
    }
    if let Some(After { customer, id, seq }) = after {
        values.extend([customer.as_str().into(), id.as_str().into()]);
        let n = values.len();
        if is_fact {
            only += &format!(" AND ({key}) > (${}, ${n})", n - 1);
        } else {
            values.push((*seq).into());
            only += &format!(" AND ({key}) > (${}, ${n}, ${})", n - 1, n + 1);
        }
    }
    let stored: Vec<&str> = columns.iter().map(|column| column.stored).collect();
    let sql = format!(
        "SELECT {} FROM {table} WHERE {time} >= $1 AND {time} < $2{only} ORDER BY {key} LIMIT $3",
        stored.join(", ")
    );
    let rows = all(&tx.tx, &sql, values).await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let last = After {
        customer: last.try_get_by_index(0)?,
        id: last.try_get_by_index(1)?,
        seq: if is_fact { 0 } else { last.try_get_by_index(2)? },
    };
    let columns = columns.iter().enumerate().map(|(nth, column)| read(&rows, nth, column.sort));
    Ok(Some(Page { rows: rows.len(), columns: columns.collect::<Result<_, StoreError>>()?, last }))
}

fn read(rows: &[QueryResult], nth: usize, sort: Sort) -> Result<Values, StoreError> {
    Ok(match sort {
        Sort::Text | Sort::Json => {
            Values::Text(rows.iter().map(|row| row.try_get_by_index(nth)).collect::<Result<_, _>>()?)
        }
        Sort::Count | Sort::Nanos(_) | Sort::Moment | Sort::Flag => {
            Values::Integers(rows.iter().map(|row| row.try_get_by_index(nth)).collect::<Result<_, _>>()?)
        }
    })
}
