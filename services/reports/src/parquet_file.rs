//! Recorded facts and what was posted for them as a Parquet file (`docs/EXPORTS.md`), for who reckons with them elsewhere.
//!
//! It is made piece by piece: in memory is one group of rows. Money is 64-bit integers of nanos, times are UTC microseconds,
//! what is unknown is null; no value is a float.

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use std::sync::Arc;
use verdict_store::raw::{self, After, Column, Kind, Sort, Values, Window};
use verdict_store::{StoreError, Tx};

/// Rows that are read at once.
const PAGE: u32 = 2_000;
/// A group of rows is written once it has so many …
const GROUP_ROWS: usize = 20_000;
/// … or so many bytes of texts.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFileError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The format: an error of ours.
    #[error("the Parquet file cannot be written: {0}")]
    Format(#[from] ParquetError),
}

/// A Parquet file that is being written: of rows of one kind and a span of time, in the order of their keys. What it reads is
/// of one moment, that of the snapshot.
pub struct ParquetFile {
    snapshot: Arc<Tx>,
    kind: Kind,
    window: Window,
    after: Option<After>,
    /// Gone once the file is whole.
    writer: Option<SerializedFileWriter<Vec<u8>>>,
    rows: u64,
}

impl ParquetFile {
    /// A file of nothing yet.
    pub fn new(snapshot: Arc<Tx>, kind: Kind, window: Window) -> Result<Self, ParquetFileError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("verdict {}", env!("CARGO_PKG_VERSION")))
            .set_key_value_metadata(Some(about(kind, &window)))
            .build();
        let writer = SerializedFileWriter::new(Vec::new(), schema(kind)?, Arc::new(properties))?;
        Ok(Self { snapshot, kind, window, after: None, writer: Some(writer), rows: 0 })
    }

    /// The next bytes of the file; `None` at its end. A file that breaks off before is none: its footer is written last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, ParquetFileError> {
        let Some(mut writer) = self.writer.take() else { return Ok(None) };
        let Some(group) = self.group().await? else {
            // This writes the footer.
            return Ok(Some(writer.into_inner()?));
        };
        self.rows += group.rows as u64;
        write_group(&mut writer, self.kind, group)?;
        let bytes = std::mem::take(writer.inner_mut());
        self.writer = Some(writer);
        Ok(Some(bytes))
    }

    /// How many rows are written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next rows, as many as make a group; `None` if there are no more.
    async fn group(&mut self) -> Result<Option<Group>, StoreError> {
        let mut group = Group::default();
        while group.rows < GROUP_ROWS && group.bytes < GROUP_BYTES {
            let (after, window) = (self.after.as_ref(), &self.window);
            let Some(page) = raw::page(&self.snapshot, self.kind, window, after, PAGE).await? else { break };
            group.rows += page.rows;
            self.after = Some(page.last);
            group.columns.resize_with(page.columns.len(), Default::default);
            for (to, values) in group.columns.iter_mut().zip(page.columns) {
                match values {
                    Values::Integers(values) => {
                        for value in values {
                            to.levels.push(i16::from(value.is_some()));
                            to.integers.extend(value);
                        }
                    }
                    Values::Text(values) => {
                        for value in values {
                            to.levels.push(i16::from(value.is_some()));
                            group.bytes += value.as_ref().map_or(0, String::len);
                            to.texts.extend(value.map(|text| ByteArray::from(text.into_bytes())));
                        }
                    }
                }
            }
        }
        Ok((group.rows > 0).then_some(group))
    }
}

/// Rows by their columns.
#[derive(Default)]
struct Group {
    rows: usize,
    bytes: usize,
    columns: Vec<Collected>,
}

/// The values of a column that are there, and for each row whether (1) it has one.
#[derive(Default)]
struct Collected {
    levels: Vec<i16>,
    integers: Vec<i64>,
    texts: Vec<ByteArray>,
}

fn write_group(
    writer: &mut SerializedFileWriter<Vec<u8>>,
    kind: Kind,
    group: Group,
) -> Result<(), ParquetFileError> {
    let mut rows = writer.next_row_group()?;
    for (column, values) in kind.columns().iter().zip(group.columns) {
        let missing = || ParquetError::General(format!("the schema has no column `{}`", column.name));
        let to = rows.next_column()?.ok_or_else(missing)?;
        let levels = column.may_be_absent.then_some(values.levels.as_slice());
        match column.sort {
            Sort::Text | Sort::Json => write::<ByteArrayType>(to, &values.texts, levels)?,
            Sort::Flag => {
                let flags: Vec<bool> = values.integers.iter().map(|value| *value != 0).collect();
                write::<BoolType>(to, &flags, levels)?;
            }
            Sort::Count | Sort::Nanos(_) | Sort::Moment => {
                write::<Int64Type>(to, &values.integers, levels)?;
            }
        }
    }
    rows.close()?;
    Ok(())
}

fn write<T: DataType>(
    mut to: SerializedColumnWriter<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    to.typed::<T>().write_batch(values, levels, None)?;
    to.close()
}

fn schema(kind: Kind) -> Result<TypePtr, ParquetError> {
    let field = |column: &Column| {
        let (physical, logical) = match column.sort {
            Sort::Text | Sort::Json => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Sort::Count | Sort::Nanos(_) => (Physical::INT64, None),
            Sort::Moment => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
            Sort::Flag => (Physical::BOOLEAN, None),
        };
        let repetition = if column.may_be_absent { Repetition::OPTIONAL } else { Repetition::REQUIRED };
        let field = Type::primitive_type_builder(column.name, physical);
        Ok(Arc::new(field.with_repetition(repetition).with_logical_type(logical).build()?))
    };
    let fields = kind.columns().iter().map(field).collect::<Result<Vec<_>, ParquetError>>()?;
    Ok(Arc::new(Type::group_type_builder(kind.as_str()).with_fields(fields).build()?))
}

/// What the file says of itself: which rows it has, and in which unit each column is.
fn about(kind: Kind, window: &Window) -> Vec<KeyValue> {
    let said = |key: &str, value: String| KeyValue::new(format!("verdict.{key}"), value);
    let mut about = vec![
        said("format", "facts/1".into()),
        said("kind", kind.as_str().into()),
        said("window", format!("{} in [{}, {})", kind.time(), window.from, window.to)),
    ];
    about.extend(window.customer.iter().map(|customer| said("customer", customer.clone())));
    about.extend(kind.columns().iter().filter_map(|column| {
        let unit = match column.sort {
            Sort::Nanos(currency) => format!("10^-9 of the currency in `{currency}`"),
            Sort::Moment => "microseconds since 1970-01-01T00:00:00Z".into(),
            Sort::Json => "JSON text".into(),
            Sort::Text | Sort::Count | Sort::Flag => return None,
        };
        Some(said(&format!("unit.{}", column.name), unit))
    }));
    about
}
