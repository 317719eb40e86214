//! `verdict export facts`.

use super::{Outcome, day};
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text};
use verdict_reports::ParquetFile;
use verdict_store::raw::{Kind, Window};
use verdict_store::{Store, Tx};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowKind {
    Attempts,
    Resolutions,
    Outcomes,
    Charges,
}

/// What was recorded and posted, row by row, as Parquet: money as integers of nanos, times as UTC microseconds. All files of
/// one call are of one moment.
#[derive(Debug, Args)]
pub(super) struct Facts {
    /// The first UTC day, such as 2026-10-01: of attempts by when they ended, of resolutions by when they occurred, of
    /// outcomes and charges by when they take effect.
    #[arg(long, value_parser = day)]
    from: i64,
    /// The first UTC day after.
    #[arg(long, value_parser = day)]
    to: i64,
    /// Of this customer only.
    #[arg(long)]
    customer: Option<String>,
    /// Which rows.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "attempts,resolutions,outcomes,charges")]
    kind: Vec<RowKind>,
    /// A folder that is there, for `KIND.parquet` of each kind; or, for one kind, the file.
    #[arg(value_name = "DIR-or-FILE")]
    out: PathBuf,
}

pub(super) async fn facts(store: &Store, command: Facts) -> Outcome {
    let Facts { from, to, customer, kind: mut kinds, out } = command;
    if to <= from {
        return Err(format!("--to: {} is not after {}", day_text(to), day_text(from)).into());
    }
    kinds.dedup();
    if kinds.len() > 1 && !out.is_dir() {
        return Err(format!("{}: is no folder; make it first, or ask for one --kind", out.display()).into());
    }
    let start = |day: i64| Timestamp(day.saturating_mul(MICROS_PER_DAY));
    let window = Window { from: start(from), to: start(to), customer };
    let snapshot = Arc::new(store.snapshot().await?);
    for kind in kinds {
        let kind = match kind {
            RowKind::Attempts => Kind::Attempts,
            RowKind::Resolutions => Kind::Resolutions,
            RowKind::Outcomes => Kind::Outcomes,
            RowKind::Charges => Kind::Charges,
        };
        let file = match out.is_dir() {
            true => out.join(format!("{}.parquet", kind.as_str())),
            false => out.clone(),
        };
        let rows = write(snapshot.clone(), kind, &window, &file).await?;
        eprintln!("{rows} {} in {}", kind.as_str(), file.display());
    }
    Ok(())
}

async fn write(
    snapshot: Arc<Tx>,
    kind: Kind,
    window: &Window,
    file: &Path,
) -> Result<u64, Box<dyn std::error::Error>> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let mut output = File::create(file).map_err(failed)?;
    let mut rows = ParquetFile::new(snapshot, kind, window.clone())?;
    while let Some(piece) = rows.next().await? {
        output.write_all(&piece).map_err(failed)?;
    }
    output.flush().map_err(failed)?;
    Ok(rows.rows())
}
