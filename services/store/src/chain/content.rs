//! What of a row is linked, and how that is written: a JSON array without blanks. `docs/EVIDENCE.md` tells it to others, who
//! compute the same from it; so nothing here may change but by a new version.

use super::Chain;
use crate::connect::StoreError;
use sea_orm::{QueryResult, Value};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// How a column is written into the content of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As {
    Text,
    TextOrNull,
    Int,
    IntOrNull,
    /// A text that an evidence file need not tell: as a digest of the row's key (its first three columns) and the text.
    Sealed,
}

/// A column's name, and how it is written.
pub type Column = (&'static str, As);

/// Never changed: a new column of a table goes into a new version of its content (see [`Chain::version`]).
pub const OUTCOMES: &[Column] = &[
    ("customer", As::Text),
    ("case_id", As::Text),
    ("seq", As::Int),
    ("episode", As::Text),
    ("kind", As::Text),
    ("sign", As::Int),
    ("win", As::Text),
    ("action", As::Text),
    ("agent", As::Text),
    ("model", As::Sealed),
    ("effective_at", As::Int),
    ("reason", As::TextOrNull),
    ("reverses", As::IntOrNull),
    ("value_nanos", As::IntOrNull),
    ("value_currency", As::TextOrNull),
    ("facts", As::Text),
    ("posted_at", As::Int),
];

pub const CHARGES: &[Column] = &[
    ("customer", As::Text),
    ("case_id", As::Text),
    ("seq", As::Int),
    ("action", As::Text),
    ("win", As::Text),
    ("sign", As::Int),
    ("contract_version", As::Int),
    ("amount_nanos", As::Int),
    ("currency", As::Text),
    ("value_nanos", As::IntOrNull),
    ("effective_at", As::Int),
    ("rated_at", As::Int),
];

pub const INVOICES: &[Column] = &[
    ("id", As::Text),
    ("kind", As::Text),
    ("corrects", As::TextOrNull),
    ("customer", As::Text),
    ("period_start", As::Int),
    ("period_end", As::Int),
    ("currency", As::Text),
    ("total_minor", As::Int),
    ("bill_to", As::Text),
    ("drafted_at", As::Int),
];

pub const LINES: &[Column] = &[
    ("number", As::Int),
    ("period_start", As::Int),
    ("item", As::Text),
    ("action", As::Text),
    ("win", As::Text),
    ("contract_version", As::Int),
    ("quantity", As::Int),
    ("amount_nanos", As::Int),
    ("amount_minor", As::Int),
    ("why", As::Text),
];

pub const USAGE: &[Column] = &[
    ("customer", As::Text),
    ("attempt_id", As::Text),
    ("action", As::Text),
    ("contract_version", As::Int),
    ("at", As::Int),
    ("cost_nanos", As::IntOrNull),
    ("estimated", As::Int),
    ("price_source", As::TextOrNull),
    ("recorded_at", As::Int),
];

/// Columns that are in no link of their row: what is the link's own, and what is only settled when an invoice is drafted
/// (then it is in the invoice's link).
pub const IN_NO_LINK: [&str; 3] = ["position", "link", "origin_at"];

impl Chain {
    /// What the content of its rows begins with.
    fn version(self) -> &'static str {
        match self {
            Self::Outcomes => "outcomes/1",
            Self::Charges => "charges/1",
            Self::Invoices => "invoices/1",
        }
    }

    /// What of its table is linked.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Outcomes => OUTCOMES,
            Self::Charges => CHARGES,
            Self::Invoices => INVOICES,
        }
    }
}

/// The value of a column, as it goes into a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Null,
}

impl<'a> Cell<'a> {
    pub fn of(value: &'a Value) -> Result<Self, StoreError> {
        Ok(match value {
            Value::String(Some(text)) => Self::Text(Cow::Borrowed(text)),
            Value::BigInt(Some(number)) => Self::Int(*number),
            Value::String(None) | Value::BigInt(None) => Self::Null,
            other => return Err(StoreError::Refused(format!("{other:?} cannot be linked"))),
        })
    }

    pub fn read(row: &QueryResult, at: usize, kind: As) -> Result<Self, StoreError> {
        Ok(match kind {
            As::Int | As::IntOrNull => row.try_get_by_index::<Option<i64>>(at)?.map_or(Self::Null, Self::Int),
            As::Text | As::TextOrNull | As::Sealed => {
                let text: Option<String> = row.try_get_by_index(at)?;
                text.map_or(Self::Null, |text| Self::Text(Cow::Owned(text)))
            }
        })
    }
}

/// Reads the cells of some columns that stand in a row one after the other.
pub fn read_cells(
    row: &QueryResult,
    from: usize,
    columns: &[Column],
) -> Result<Vec<Cell<'static>>, StoreError> {
    columns.iter().enumerate().map(|(nth, (_, kind))| Cell::read(row, from + nth, *kind)).collect()
}

/// JSON without blanks.
pub fn write_json(out: &mut Vec<u8>, cell: &Cell) {
    match cell {
        // A string has no key that is none and no number that is none: this cannot fail.
        Cell::Text(text) => drop(serde_json::to_writer(&mut *out, text.as_ref())),
        Cell::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Cell::Null => out.extend_from_slice(b"null"),
    }
}

/// Writes cells, each after a comma.
fn write_cells(out: &mut Vec<u8>, columns: &[Column], cells: &[Cell]) {
    for (cell, (_, kind)) in cells.iter().zip(columns) {
        out.push(b',');
        match kind {
            As::Sealed => {
                let sealed = cells.iter().take(3).chain([cell]).collect::<Vec<_>>();
                let digest = hex(&Sha256::digest(array(&sealed)));
                write_json(out, &Cell::Text(digest.into()));
            }
            _ => write_json(out, cell),
        }
    }
}

pub fn array(cells: &[&Cell]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (nth, cell) in cells.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write_json(&mut out, cell);
    }
    out.push(b']');
    out
}

/// The content of a row up to its last column: a document's goes on.
pub fn open_content(chain: Chain, position: Option<i64>, cells: &[Cell]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.push(b'[');
    write_json(&mut out, &Cell::Text(chain.version().into()));
    out.push(b',');
    write_json(&mut out, &position.map_or(Cell::Null, Cell::Int));
    write_cells(&mut out, chain.columns(), cells);
    out
}

pub fn content(chain: Chain, position: Option<i64>, cells: &[Cell]) -> Vec<u8> {
    let mut out = open_content(chain, position, cells);
    out.push(b']');
    out
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub fn select_list(table: &str, columns: &[Column]) -> String {
    columns.iter().map(|(name, _)| format!("{table}.{name}")).collect::<Vec<_>>().join(", ")
}
