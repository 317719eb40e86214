//! Many rows in one statement, and many keys in one query: the two shapes in which the databases differ.
//!
//! PostgreSQL takes one array a column (`UNNEST`): the statement stays the same whatever the number of rows,
//! so it is parsed and planned once. SQLite takes one placeholder a value.

use crate::connect::{StoreError, all};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Value};

/// How a column is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    Bytes,
    /// Never the empty string: that stands for NULL on the way to PostgreSQL, whose arrays here hold no NULLs.
    TextOrNull,
    /// Never the least integer, for the same reason.
    IntOrNull,
}

/// An insert of many rows.
pub(crate) struct Insert<'a> {
    pub table: &'static str,
    pub columns: &'a [(&'static str, Kind)],
    /// What to do with a row whose key is there already.
    pub on_conflict: &'a str,
    /// What to tell of the rows that were written: column names, or nothing.
    pub returning: &'static str,
}

/// SQLite's statements differ with the number of rows, and each is parsed and kept once: so few sizes, not all.
const SQLITE_ROWS: [usize; 4] = [1_000, 200, 20, 1];
/// Its limit of one statement.
const SQLITE_PLACEHOLDERS: usize = 32_766;
/// Bounds the memory of one statement.
const POSTGRES_MAX_ROWS: usize = 10_000;

/// Writes the rows. They must be sorted by key, so that two writers never wait for each other in a circle.
pub(crate) async fn insert(
    on: &impl ConnectionTrait,
    insert: &Insert<'_>,
    mut rows: Vec<Vec<Value>>,
) -> Result<Vec<QueryResult>, StoreError> {
    let sqlite = on.get_database_backend() == DbBackend::Sqlite;
    let mut told = Vec::new();
    while !rows.is_empty() {
        let most = if sqlite { sqlite_rows(rows.len(), insert.columns.len()) } else { POSTGRES_MAX_ROWS };
        let rest = rows.split_off(rows.len().min(most));
        let chunk = std::mem::replace(&mut rows, rest);
        let names: Vec<&str> = insert.columns.iter().map(|(name, _)| *name).collect();
        let (source, values) = if sqlite { values_list(insert, chunk) } else { arrays(insert, chunk) };
        let returning = if insert.returning.is_empty() { "" } else { " RETURNING " };
        let sql = format!(
            "INSERT INTO {} ({}) {source} {}{returning}{}",
            insert.table,
            names.join(", "),
            insert.on_conflict,
            insert.returning
        );
        told.extend(all(on, &sql, values).await?);
    }
    Ok(told)
}

fn sqlite_rows(left: usize, columns: usize) -> usize {
    let fits = |size: &usize| *size <= left && size.saturating_mul(columns) <= SQLITE_PLACEHOLDERS;
    SQLITE_ROWS.into_iter().find(fits).unwrap_or(1)
}

fn values_list(insert: &Insert<'_>, rows: Vec<Vec<Value>>) -> (String, Vec<Value>) {
    let row = format!("({})", vec!["?"; insert.columns.len()].join(", "));
    let list = vec![row; rows.len()].join(", ");
    (format!("VALUES {list}"), rows.into_iter().flatten().collect())
}

fn arrays(insert: &Insert<'_>, rows: Vec<Vec<Value>>) -> (String, Vec<Value>) {
    let mut columns: Vec<Vec<Value>> =
        insert.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for ((column, (_, kind)), value) in columns.iter_mut().zip(insert.columns).zip(row) {
            column.push(match (kind, value) {
                (Kind::TextOrNull, Value::String(None)) => Value::String(Some(String::new())),
                (Kind::IntOrNull, Value::BigInt(None)) => Value::BigInt(Some(i64::MIN)),
                (_, value) => value,
            });
        }
    }
    let (mut selected, mut casts) = (Vec::new(), Vec::new());
    for (nth, (_, kind)) in insert.columns.iter().enumerate() {
        let n = nth + 1;
        selected.push(match kind {
            Kind::TextOrNull => format!("NULLIF(c{n}, '')"),
            Kind::IntOrNull => format!("NULLIF(c{n}, {})", i64::MIN),
            _ => format!("c{n}"),
        });
        casts.push(match kind {
            Kind::Text | Kind::TextOrNull => format!("${n}::text[]"),
            Kind::Int | Kind::IntOrNull => format!("${n}::bigint[]"),
            Kind::Bytes => format!("${n}::bytea[]"),
        });
    }
    let names: Vec<String> = (1..=insert.columns.len()).map(|n| format!("c{n}")).collect();
    let source = format!(
        "SELECT {} FROM UNNEST({}) AS rows ({})",
        selected.join(", "),
        casts.join(", "),
        names.join(", ")
    );
    let values = insert.columns.iter().zip(columns).map(|((_, kind), column)| {
        let kind = match kind {
            Kind::Text | Kind::TextOrNull => ArrayType::String,
            Kind::Int | Kind::IntOrNull => ArrayType::BigInt,
            Kind::Bytes => ArrayType::Bytes,
        };
        Value::Array(kind, Some(Box::new(column)))
    });
    (source, values.collect())
}

/// Selects by many two-part keys. `select` reads from a table `keys (customer, key)` that stands before it.
pub(crate) async fn select_by_keys<'a>(
    on: &impl ConnectionTrait,
    keys: impl Iterator<Item = (&'a str, &'a str)>,
    select: &str,
) -> Result<Vec<QueryResult>, StoreError> {
    let text = |text: &str| Value::String(Some(text.into()));
    let keys: Vec<(Value, Value)> = keys.map(|(customer, key)| (text(customer), text(key))).collect();
    if on.get_database_backend() == DbBackend::Sqlite {
        let mut rows = Vec::new();
        let mut left = keys.as_slice();
        while !left.is_empty() {
            let (chunk, rest) = left.split_at(sqlite_rows(left.len(), 2));
            left = rest;
            let list = vec!["(?, ?)"; chunk.len()].join(", ");
            let values: Vec<Value> = chunk.iter().flat_map(|(a, b)| [a.clone(), b.clone()]).collect();
            rows.extend(
                all(on, &format!("WITH keys (customer, key) AS (VALUES {list}) {select}"), values).await?,
            );
        }
        return Ok(rows);
    }
    let (customers, keys): (Vec<Value>, Vec<Value>) = keys.into_iter().unzip();
    let array = |values| Value::Array(ArrayType::String, Some(Box::new(values)));
    let sql = format!(
        "WITH keys AS (SELECT * FROM UNNEST($1::text[], $2::text[]) AS rows (customer, key)) {select}"
    );
    all(on, &sql, [array(customers), array(keys)]).await
}

/// The index that finds the rows of a table by case, as the statement must name it. SQLite has to be told: without
/// statistics it takes the primary key, which begins with the customer too, and for each case reads all that the customer
/// has.
pub(crate) fn by_case(on: &impl ConnectionTrait, table: &str) -> String {
    match on.get_database_backend() {
        DbBackend::Sqlite => format!("INDEXED BY {table}_of_case"),
        _ => String::new(),
    }
}
