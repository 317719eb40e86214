//! `verdict import`: attempts from a file.

use super::Outcome;
use crate::clock::wall_clock;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use verdict_intake::{
    CSV, JSON, Outcome as Recorded, Parking, PriceBook, Record, Records, Table, books, column_names,
};
use verdict_store::Store;

/// Rows in one transaction.
const BATCH: usize = 5_000;

/// Brings in what others have written down.
#[derive(Debug, Subcommand)]
pub(super) enum Import {
    Attempts(Attempts),
}

/// Imports attempts from a file: CSV with a header, or JSON with one attempt a line. The same file may be imported any
/// number of times: an attempt that is there already is left as it is. What is broken off goes on where it stopped.
/// A row that is no attempt is listed with its line and parked, and the command fails at its end.
#[derive(Debug, Args)]
pub(super) struct Attempts {
    /// The file, or `-` for standard input.
    #[arg(required_unless_present = "columns")]
    file: Option<String>,
    /// What is in it [default: by the name: csv if it ends with .csv, else jsonl]
    #[arg(long, value_enum)]
    format: Option<FileFormat>,
    /// Begins at this line (counted from 1), whatever was imported before.
    #[arg(long, value_name = "LINE")]
    from_line: Option<u64>,
    /// Prints the columns that CSV may have, and does nothing else.
    #[arg(long)]
    pub(super) columns: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Csv,
    Jsonl,
}

pub(super) fn print_columns() -> Outcome {
    for name in column_names() {
        println!("{name}");
    }
    Ok(())
}

/// How far an import has come: what is before `offset` is committed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Which file into which database this is about, hashed.
    about: String,
    offset: u64,
    line: u64,
    recorded: u64,
    duplicate: u64,
    bad: u64,
}

impl Progress {
    fn state_file(file: &str) -> PathBuf {
        PathBuf::from(format!("{file}.verdict-import"))
    }

    /// Where an import of this file into this database stopped; from the beginning if none did.
    fn read(file: &str, about: &str) -> Self {
        let state = std::fs::read(Self::state_file(file)).unwrap_or_default();
        let known = serde_json::from_slice::<Self>(&state).ok().filter(|progress| progress.about == about);
        known.unwrap_or_else(|| Self { about: about.into(), ..Self::default() })
    }

    /// Written beside and then moved: it is there whole, or as it was.
    fn write(&self, file: &str) -> Outcome {
        let path = Self::state_file(file);
        let beside = PathBuf::from(format!("{file}.verdict-import.new"));
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        Ok(std::fs::rename(beside, path)?)
    }
}

/// The beginning of the file and where it goes to: another file of the same name, or another database, is another import.
fn about(database_url: &str, start: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [database_url.as_bytes(), start] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is being imported.
struct Source {
    records: Records<Box<dyn BufRead>>,
    /// The header and what it says; `None` for JSON.
    table: Option<(Vec<u8>, Table)>,
    progress: Progress,
    /// The name, for a file whose progress is kept.
    kept_as: Option<String>,
    length: Option<u64>,
}

fn open(command: &Attempts, name: &str, database_url: &str) -> Result<Source, Box<dyn std::error::Error>> {
    let is_csv = match command.format {
        Some(format) => format == FileFormat::Csv,
        None => name.to_ascii_lowercase().ends_with(".csv"),
    };
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let (mut reader, length, mut progress): (Box<dyn BufRead>, _, _) = if name == "-" {
        (Box::new(BufReader::with_capacity(1 << 20, std::io::stdin())), None, Progress::default())
    } else {
        let mut file = File::open(name).map_err(failed)?;
        let mut start = Vec::new();
        (&mut file).take(4_096).read_to_end(&mut start).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        // The first line only: the file may have grown since.
        let first = start.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
        let progress = Progress::read(name, &about(database_url, first));
        let progress = if progress.offset > length {
            Progress { about: progress.about, ..Progress::default() }
        } else {
            progress
        };
        (Box::new(BufReader::with_capacity(1 << 20, file)), Some(length), progress)
    };
    let (mut line, mut offset) = (1, 0);
    let mut table = None;
    if is_csv {
        let mut records = Records::new(reader, true, 1, 0);
        let header =
            records.next().transpose().map_err(failed)?.ok_or_else(|| format!("{name}: has no header"))?;
        let read = Table::read(&header.bytes).map_err(|reason| format!("{name}: {reason}"))?;
        table = Some((header.bytes, read));
        (line, offset) = records.place();
        reader = records.into_inner();
    }
    if let Some(from) = command.from_line {
        progress = Progress { about: progress.about, ..Progress::default() };
        let mut skipped = Vec::new();
        while line < from {
            skipped.clear();
            let read = (&mut reader).take(1 << 20).read_until(b'\n', &mut skipped).map_err(failed)?;
            if read == 0 {
                break;
            }
            offset += read as u64;
            line += u64::from(skipped.ends_with(b"\n"));
        }
    } else if progress.offset > offset {
        eprintln!("{name}: goes on at line {}, where it stopped", progress.line);
        let ahead = progress.offset - offset;
        std::io::copy(&mut (&mut reader).take(ahead), &mut std::io::sink()).map_err(failed)?;
        (line, offset) = (progress.line, progress.offset);
    }
    let kept_as = (name != "-").then(|| name.to_string());
    Ok(Source { records: Records::new(reader, is_csv, line, offset), table, progress, kept_as, length })
}

pub(super) async fn run(store: &Store, database_url: &str, command: Import) -> Outcome {
    let Import::Attempts(command) = command;
    let name = command.file.clone().unwrap_or_default();
    let mut source = open(&command, &name, database_url)?;
    let book = books::open_active(store).await?;
    let bar = source.length.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
    let style = "{wide_bar} {percent}% {msg}, {eta} left";
    bar.set_style(if source.length.is_some() {
        ProgressStyle::with_template(style)?
    } else {
        ProgressStyle::default_spinner()
    });
    let began = std::time::Instant::now();
    let before = source.progress.clone();
    let mut rows = Vec::with_capacity(BATCH);
    loop {
        let record = source.records.next().transpose().map_err(|error| format!("{name}: {error}"))?;
        let is_last = record.is_none();
        rows.extend(record);
        if rows.len() == BATCH || (is_last && !rows.is_empty()) {
            record_rows(store, &book, &name, &mut source, &rows, &bar).await?;
            rows.clear();
            let read = source.progress.recorded + source.progress.duplicate + source.progress.bad;
            let read_now = read - before.recorded - before.duplicate - before.bad;
            bar.set_position(source.progress.offset);
            bar.set_message(format!(
                "{read} rows, {}/s",
                u128::from(read_now) * 1_000 / began.elapsed().as_millis().max(1)
            ));
        }
        if is_last {
            break;
        }
    }
    bar.finish_and_clear();
    if source.kept_as.is_some() {
        // Done: the next import of this file begins at its beginning.
        let _ = std::fs::remove_file(Progress::state_file(&name));
    }
    let Progress { recorded, duplicate, bad, .. } = source.progress;
    println!("{recorded} recorded, {duplicate} were there already, {bad} bad");
    if bad > 0 {
        return Err(format!("{bad} rows are no attempts: see above, and `verdict parked list`").into());
    }
    Ok(())
}

/// Records one batch, and notes that it is.
async fn record_rows(
    store: &Store,
    book: &PriceBook,
    name: &str,
    source: &mut Source,
    rows: &[Record],
    bar: &ProgressBar,
) -> Outcome {
    let table = source.table.as_ref().map(|(header, table)| (header.as_slice(), table));
    let events = rows.iter().map(|row| row.event(table)).collect();
    let headers = |nth: usize| serde_json::json!({ "file": name, "line": rows[nth].line }).to_string();
    let parking =
        Parking { reference: if table.is_some() { CSV } else { JSON }, headers: &headers, within: None };
    let outcomes = verdict_intake::record_or_park(store, book, events, parking, wall_clock()).await?;
    for (row, outcome) in rows.iter().zip(outcomes) {
        match outcome {
            Recorded::Recorded => source.progress.recorded += 1,
            Recorded::Duplicate => source.progress.duplicate += 1,
            Recorded::Rejected(reason) => {
                source.progress.bad += 1;
                bar.suspend(|| eprintln!("line {}: {reason}", row.line));
            }
        }
    }
    (source.progress.line, source.progress.offset) = source.records.place();
    match &source.kept_as {
        Some(file) => source.progress.write(file),
        None => Ok(()),
    }
}
