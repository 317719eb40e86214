//! What was recorded and posted, row by row, as files.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::reports::days;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text};
use verdict_reports::{ParquetFile, ParquetFileError};
use verdict_store::StoreError;
use verdict_store::raw::{Kind, Window};

/// Which rows to export.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ExportParams {
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    pub from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    pub to: Option<String>,
    /// Of this customer only.
    pub customer: Option<String>,
}

/// Rows as they are stored, as a Parquet file: attempts by when they ended, resolutions by when they occurred, outcomes and
/// charges by when they take effect. Money is integers of nanos, times are UTC microseconds, what is unknown is null. An
/// answer that breaks off is no Parquet file.
#[utoipa::path(
    params(
        ("file" = String, Path, description = "`attempts.parquet`, `resolutions.parquet`, `outcomes.parquet` or `charges.parquet`"),
        ExportParams
    ),
    responses(
        (status = 200, description = "A file; see docs/EXPORTS.md", body = Vec<u8>, content_type = "application/vnd.apache.parquet"),
        (status = 404, description = "There is no such file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/export/{file}")]
pub(super) async fn get_rows(
    caller: Caller,
    door: web::Data<Door>,
    file: web::Path<String>,
    params: web::Query<ExportParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let kind = file.strip_suffix(".parquet").and_then(Kind::parse);
    let kind = kind.ok_or_else(|| {
        let names: Vec<String> = Kind::ALL.iter().map(|kind| format!("{}.parquet", kind.as_str())).collect();
        Problem::missing(format!("`{file}` is not there: there are {}", names.join(", ")))
    })?;
    let (from, to) = days(params.from.as_deref(), params.to.as_deref(), door.clock.now())
        .map_err(Problem::unprocessable)?;
    let name = format!("{}-{}-{}.parquet", kind.as_str(), day_text(from), day_text(to));
    let start = |day: i64| Timestamp(day.saturating_mul(MICROS_PER_DAY));
    let customer = params.customer.clone().filter(|customer| !customer.is_empty());
    let window = Window { from: start(from), to: start(to), customer };
    let snapshot = Arc::new(door.store.snapshot().await?);
    let broken = |error: ParquetFileError| match error {
        ParquetFileError::Store(error) => error,
        ParquetFileError::Format(error) => StoreError::Corrupt(error.to_string()),
    };
    let file = ParquetFile::new(snapshot, kind, window).map_err(broken)?;
    // An error in the middle breaks the answer off: who reads it sees that it has no end.
    let pieces = try_unfold(file, async |mut file| {
        let piece = file.next().await.inspect_err(|error| tracing::warn!(%error, "an export broke off"))?;
        Ok::<_, ParquetFileError>(piece.map(|piece| (web::Bytes::from(piece), file)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/vnd.apache.parquet")
        .insert_header(("Content-Disposition", format!("attachment; filename=\"{name}\"")))
        .streaming(Box::pin(pieces)))
}
