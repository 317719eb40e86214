//! Attempts in CSV: a header that names fields of the event, and a row for each attempt. And the records of a file,
//! one at a time.

use crate::wire::{AttemptEvent, Event, MAX_BATCH, json};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::{self, BufRead};

/// The content type of CSV with a header.
pub const CSV: &str = "text/csv";

/// No event is longer, in any form. Bounds the memory that a quotation mark without its other one takes.
const MAX_RECORD: usize = 128 * 1024;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Text,
    Count,
    Flag,
}

/// The columns, named by the fields of the event in JSON, with dots. `metadata.` goes before a key of one's own;
/// `other_costs.0.` may also be `other_costs.1.` and so on.
const COLUMNS: [(&str, Cell); 29] = [
    ("id", Cell::Text),
    ("customer", Cell::Text),
    ("case", Cell::Text),
    ("agent", Cell::Text),
    ("action", Cell::Text),
    ("provider", Cell::Text),
    ("model", Cell::Text),
    ("service_tier", Cell::Text),
    ("usage.input_tokens", Cell::Count),
    ("usage.cached_input_tokens", Cell::Count),
    ("usage.cache_write_tokens", Cell::Count),
    ("usage.cache_write_1h_tokens", Cell::Count),
    ("usage.output_tokens", Cell::Count),
    ("usage.reasoning_tokens", Cell::Count),
    ("usage.estimated", Cell::Flag),
    ("reported_cost.amount", Cell::Text),
    ("reported_cost.currency", Cell::Text),
    ("other_costs.0.name", Cell::Text),
    ("other_costs.0.amount", Cell::Text),
    ("other_costs.0.currency", Cell::Text),
    ("value.amount", Cell::Text),
    ("value.currency", Cell::Text),
    ("started_at", Cell::Text),
    ("ended_at", Cell::Text),
    ("status", Cell::Text),
    ("failure_reason", Cell::Text),
    ("failure_detail", Cell::Text),
    ("prompt_fingerprint", Cell::Text),
    ("metadata.KEY", Cell::Text),
];

/// The names of all columns, in the order of the event's fields.
pub fn column_names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(name, _)| *name)
}

/// A table's columns, as its header names them.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(String, Cell)>,
}

impl Table {
    /// Reads a header. The error names a column that is none, or is there twice.
    pub fn read(header: &[u8]) -> Result<Self, String> {
        let mut columns: Vec<(String, Cell)> = Vec::new();
        for name in fields(text(header)?.trim_start_matches('\u{feff}'))? {
            let name = name.trim();
            let cell = cell(name).ok_or_else(|| {
                let known: Vec<_> = column_names().collect();
                format!("the header's `{name}` is no column: there are {}", known.join(", "))
            })?;
            if columns.iter().any(|(other, _)| other == name) {
                return Err(format!("the header has `{name}` twice"));
            }
            columns.push((name.into(), cell));
        }
        Ok(Self { columns })
    }

    /// Reads a row. An empty cell is an absent field. The error names the field.
    pub fn event(&self, row: &[u8]) -> Result<AttemptEvent, String> {
        let cells = fields(text(row)?)?;
        if cells.len() != self.columns.len() {
            return Err(format!("the row has {} cells, the header {}", cells.len(), self.columns.len()));
        }
        let mut event = Map::new();
        for ((name, cell), text) in self.columns.iter().zip(cells) {
            if text.is_empty() {
                continue;
            }
            let value = match cell {
                Cell::Text => Value::from(text.into_owned()),
                Cell::Flag => Value::from(
                    text.parse::<bool>().map_err(|_| format!("{name}: `{text}` is not true or false"))?,
                ),
                Cell::Count => Value::from(
                    text.parse::<u64>().map_err(|_| format!("{name}: `{text}` is not a whole number"))?,
                ),
            };
            match name.split_once('.') {
                None => drop(event.insert(name.clone(), value)),
                Some(("other_costs", rest)) => {
                    let costs = event.entry("other_costs").or_insert_with(|| Value::Array(Vec::new()));
                    put_cost(costs, rest, value);
                }
                Some((outer, inner)) => {
                    let outer = event.entry(outer).or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(outer) = outer {
                        outer.insert(inner.into(), value);
                    }
                }
            }
        }
        // One whose cells are all empty is not there.
        if let Some(Value::Array(costs)) = event.get_mut("other_costs") {
            costs.retain(|cost| !cost.is_null());
        }
        json(&Value::Object(event).to_string())
    }
}

/// Puts `0.name` and the like into its place of the list.
fn put_cost(costs: &mut Value, rest: &str, value: Value) {
    let (Value::Array(costs), Some((nth, field))) = (costs, rest.split_once('.')) else { return };
    // The header was read: at most two digits.
    let nth: usize = nth.parse().unwrap_or(0);
    if costs.len() <= nth {
        costs.resize(nth + 1, Value::Null);
    }
    match &mut costs[nth] {
        Value::Object(cost) => drop(cost.insert(field.into(), value)),
        empty => *empty = Value::Object(Map::from_iter([(field.to_string(), value)])),
    }
}

fn cell(name: &str) -> Option<Cell> {
    if let Some(key) = name.strip_prefix("metadata.") {
        return (!key.is_empty()).then_some(Cell::Text);
    }
    let asked = match name.strip_prefix("other_costs.").and_then(|rest| rest.split_once('.')) {
        Some((nth, field)) if nth.len() <= 2 && nth.parse::<u8>().is_ok() => format!("other_costs.0.{field}"),
        _ => name.to_string(),
    };
    COLUMNS.iter().find(|(column, _)| *column == asked).map(|(_, cell)| *cell)
}

pub(crate) fn text(record: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(record).map_err(|error| format!("not UTF-8: {error}"))
}

/// The cells of a record (RFC 4180).
pub(crate) fn fields(record: &str) -> Result<Vec<Cow<'_, str>>, String> {
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let after = if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = 0;
            loop {
                match quoted[end..].find('"') {
                    None => return Err("a quotation mark has no other one".into()),
                    Some(at) if quoted[end + at..].starts_with("\"\"") => end += at + 2,
                    Some(at) => break end += at,
                }
            }
            fields.push(match &quoted[..end] {
                plain if !plain.contains('"') => Cow::Borrowed(plain),
                marked => Cow::Owned(marked.replace("\"\"", "\"")),
            });
            &quoted[end + 1..]
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if rest[..end].contains('"') {
                return Err("a quotation mark is inside a cell that does not begin with one".into());
            }
            fields.push(Cow::Borrowed(&rest[..end]));
            &rest[end..]
        };
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None if after.is_empty() => return Ok(fields),
            None => return Err("there is something between a quotation mark and the comma after it".into()),
        }
    }
}

/// A record of a file: a row of CSV (which may have lines in its cells), or a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its first line, counted from 1.
    pub line: u64,
    /// Its bytes, without the end of the line.
    pub bytes: Vec<u8>,
    /// Where the next record begins, in bytes.
    pub end: u64,
    /// Whether it was longer than an event can be, and is cut off.
    cut: bool,
}

/// Reads the records of a file one by one, in bounded memory. Empty lines are passed over.
pub struct Records<R> {
    reader: R,
    /// Whether a line can end inside quotation marks.
    quoted: bool,
    line: u64,
    end: u64,
}

impl<R: BufRead> Records<R> {
    /// Reads from `reader`, which stands at the beginning of line `line`, `offset` bytes into the file.
    pub fn new(reader: R, quoted: bool, line: u64, offset: u64) -> Self {
        Self { reader, quoted, line, end: offset }
    }

    /// Where the next record begins: its line, and its offset in bytes.
    pub fn place(&self) -> (u64, u64) {
        (self.line, self.end)
    }

    /// What is left to read.
    pub fn into_inner(self) -> R {
        self.reader
    }

    fn next_record(&mut self) -> io::Result<Option<Record>> {
        let mut record = Record { line: self.line, bytes: Vec::new(), end: self.end, cut: false };
        let mut is_open = false;
        loop {
            let before = record.bytes.len();
            // One byte more than a record may have, so that it is known to have too many.
            let room = (MAX_RECORD + 1).saturating_sub(before) as u64;
            let read = io::Read::take(&mut self.reader, room).read_until(b'\n', &mut record.bytes)?;
            self.end += read as u64;
            let line = &record.bytes[before..];
            let is_whole = line.ends_with(b"\n");
            is_open ^= self.quoted && line.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            self.line += u64::from(is_whole);
            record.cut = record.bytes.len() > MAX_RECORD;
            if record.cut && !is_whole {
                self.skip_line()?;
            } else if is_whole && is_open && !record.cut {
                continue;
            }
            if read == 0 && record.bytes.is_empty() {
                return Ok(None);
            }
            while record.bytes.ends_with(b"\n") || record.bytes.ends_with(b"\r") {
                record.bytes.pop();
            }
            if record.bytes.iter().all(u8::is_ascii_whitespace) {
                record = Record { line: self.line, bytes: Vec::new(), end: self.end, cut: false };
                continue;
            }
            record.end = self.end;
            return Ok(Some(record));
        }
    }

    /// The rest of a line that is too long is no part of any record.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let held = self.reader.fill_buf()?;
            if held.is_empty() {
                return Ok(());
            }
            let (taken, ended) = match held.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (held.len(), false),
            };
            self.reader.consume(taken);
            self.end += taken as u64;
            if ended {
                self.line += 1;
                return Ok(());
            }
        }
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

impl Record {
    /// Whether it was longer than a record can be.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The event of the record: a row of a table, or a line of JSON. What it is parked as is in
    /// `raw`: a row goes with its header.
    pub fn event(&self, table: Option<(&[u8], &Table)>) -> Event<'_> {
        let cut = || {
            format!(
                "the record has more than {MAX_RECORD} bytes (is a quotation mark without its other one?)"
            )
        };
        match table {
            _ if self.cut => Event { raw: Cow::Borrowed(&self.bytes), read: Err(cut()) },
            Some((header, table)) => match table.event(&self.bytes) {
                Ok(event) => Event { raw: with_header(header, &self.bytes), read: Ok(event) },
                Err(reason) => Event { raw: with_header(header, &self.bytes), read: Err(reason) },
            },
            None => Event { raw: Cow::Borrowed(&self.bytes), read: text(&self.bytes).and_then(json) },
        }
    }
}

fn with_header(header: &[u8], row: &[u8]) -> Cow<'static, [u8]> {
    Cow::Owned([header, row].join(&b'\n'))
}

/// The events of a body of CSV, at most [`MAX_BATCH`].
pub(crate) fn events(body: &[u8]) -> Vec<Event<'_>> {
    let whole = |reason| vec![Event { raw: Cow::Borrowed(body), read: Err(reason) }];
    // Bytes in memory can always be read.
    let mut records = Records::new(body, true, 1, 0).filter_map(Result::ok);
    let header = records.next().map(|record| record.bytes).unwrap_or_default();
    let table = match Table::read(&header) {
        Ok(table) => table,
        Err(reason) => return whole(reason),
    };
    let rows: Vec<Record> = records.take(MAX_BATCH + 1).collect();
    match rows.len() {
        0 => whole("there is a header, but no row".into()),
        1..=MAX_BATCH => rows
            .iter()
            .map(|row| {
                let event = row.event(Some((&header, &table)));
                Event { raw: Cow::Owned(event.raw.into_owned()), read: event.read }
            })
            .collect(),
        _ => whole(format!("there are more than {MAX_BATCH} rows: send them in parts")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_split_as_rfc_4180_says() {
        let read = |record| fields(record).map(|fields| fields.join("|"));
        assert_eq!(read("a,b,,c"), Ok("a|b||c".into()));
        assert_eq!(read(r#""a","b,""x""",c"#), Ok(r#"a|b,"x"|c"#.into()));
        assert_eq!(read("\"two\nlines\","), Ok("two\nlines|".into()));
        assert_eq!(read(r#""""","#), Ok("\"|".into()));
        for bad in [r#""a"#, r#"a"b,c"#, r#""a"b,c"#, "a,\"\"b"] {
            assert!(fields(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn records_know_their_lines_and_end_where_the_next_begins() {
        let file = "h,i\r\n\n1,\"two\nlines\"\n3,4";
        let read =
            |quoted| Records::new(file.as_bytes(), quoted, 1, 0).filter_map(Result::ok).collect::<Vec<_>>();
        let seen: Vec<_> = read(true)
            .iter()
            .map(|r| (r.line, r.end, String::from_utf8_lossy(&r.bytes).into_owned()))
            .collect();
        assert_eq!(
            seen,
            [(1, 5, "h,i".into()), (3, 20, "1,\"two\nlines\"".into()), (5, 23, "3,4".to_string())]
        );
        assert_eq!(read(false).len(), 4);
        // From any record's end, the rest is the rest.
        let rest = Records::new(&file.as_bytes()[5..], true, 2, 5).filter_map(Result::ok).collect::<Vec<_>>();
        assert_eq!(rest, read(true)[1..]);
    }

    #[test]
    fn a_record_that_does_not_end_is_cut() {
        let long = format!("\"{}\nnext,row\n", "x\n".repeat(MAX_RECORD));
        let records: Vec<_> = Records::new(long.as_bytes(), true, 1, 0).filter_map(Result::ok).collect();
        assert!(records[0].cut && records[0].bytes.len() <= MAX_RECORD + 1);
        assert_eq!(records.last().map(|record| record.bytes.as_slice()), Some(&b"next,row"[..]));
        let line = format!("{}\nnext\n", "x".repeat(3 * MAX_RECORD));
        let records: Vec<_> = Records::new(line.as_bytes(), false, 1, 0).filter_map(Result::ok).collect();
        assert_eq!(records.iter().map(|r| (r.line, r.cut)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    }
}
