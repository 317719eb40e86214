//! Bills of model providers: in, and beside what was recorded.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use super::reports::days;
use crate::provider_bills::{ImportedBill, check_provider, import};
use actix_web::{HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa::IntoParams;
use verdict_domain::time::{Timestamp, day_text};
use verdict_intake::{BillColumns, read_bill};
use verdict_reports::pages::BillFilter;
use verdict_reports::{BillQuery, ProviderBill, Tolerance, bill_csv, model_names, provider_bill};

/// How to read a bill.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportParams {
    /// Whose bill, by the name that attempts have for the provider, such as `openai`.
    pub provider: Option<String>,
    /// The columns, where the header is that of no known export: `day=Date,model=Model,amount=Cost,currency=Currency`.
    pub columns: Option<String>,
    /// The currency of all rows, where no column says it.
    pub currency: Option<String>,
    /// Takes only rows with this value: `COLUMN=VALUE`.
    pub only: Option<String>,
    /// What the file is called, for the list of imports.
    pub file: Option<String>,
}

/// Imports a CSV of costs that a model provider exports, whole or not at all. Of the bills that tell of a day the newest counts.
#[utoipa::path(
    params(ImportParams),
    request_body(content((String = "text/csv"))),
    responses(
        (status = 201, description = "Imported", body = ImportedBill),
        (status = 200, description = "The same file was imported before", body = ImportedBill),
        (status = 422, description = "A row cannot be read: its line and column", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/provider-bills")]
pub(super) async fn post_provider_bill(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<ImportParams>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let body = read::bytes(body)?;
    let params = params.into_inner();
    let provider = params.provider.unwrap_or_default();
    check_provider(&provider).map_err(Problem::unprocessable)?;
    let only: Vec<String> = params.only.into_iter().collect();
    let mut columns =
        BillColumns::read(&params.columns.unwrap_or_default(), &only).map_err(Problem::unprocessable)?;
    columns.fixed_currency = params.currency;
    let bill =
        read_bill(body.as_ref(), &columns).map_err(|error| Problem::unprocessable(error.to_string()))?;
    let file = params.file.unwrap_or_else(|| "-".into());
    let imported = import(&door.store, bill, &provider, &file, &caller.author(), door.clock.now()).await?;
    match imported.status {
        "imported" => Ok(HttpResponse::Created().json(imported)),
        _ => Ok(HttpResponse::Ok().json(imported)),
    }
}

/// What to compare.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct BillParams {
    /// Whose bill, by the name that attempts have for the provider.
    pub provider: Option<String>,
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    pub from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    pub to: Option<String>,
    /// What the bill calls a model and what attempts do: `gpt-4o-2024-08-06=gpt-4o,…`
    pub model_names: Option<String>,
    /// Agrees within so many per cent of what was billed. Default: 0.5.
    pub tolerance_percent: Option<String>,
    /// Or within this amount. Default: 0.01.
    pub tolerance_amount: Option<String>,
    /// `json` (default) or `csv`.
    pub format: Option<String>,
}

/// Reads what to compare; the message names the field.
fn query(params: &BillParams, now: Timestamp) -> Result<BillQuery, String> {
    let provider = params.provider.clone().unwrap_or_default();
    check_provider(&provider)?;
    let (from, to) = days(params.from.as_deref(), params.to.as_deref(), now)?;
    let names = model_names(params.model_names.as_deref().unwrap_or_default())?;
    let tolerance = Tolerance::read(params.tolerance_percent.as_deref(), params.tolerance_amount.as_deref())?;
    Ok(BillQuery { provider, from, to, names, tolerance })
}

/// What a provider billed beside what was recorded of its models: from the daily roll-ups.
#[utoipa::path(
    params(BillParams),
    responses(
        (status = 200, body = ProviderBill),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/reports/provider-bill")]
pub(super) async fn get_provider_bill(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<BillParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let query = query(&params, door.clock.now()).map_err(Problem::unprocessable)?;
    let bill = provider_bill(&door.store, &query).await?;
    match params.format.as_deref() {
        None | Some("" | "json") => Ok(HttpResponse::Ok().json(bill)),
        Some("csv") => {
            let name = format!("attachment; filename=\"provider-bill-{}-{}.csv\"", bill.from, bill.to);
            Ok(HttpResponse::Ok()
                .content_type("text/csv; charset=utf-8")
                .insert_header(("Content-Disposition", name))
                .body(bill_csv(&bill)))
        }
        Some(other) => Err(Problem::unprocessable(format!("format: `{other}` is not json or csv"))),
    }
}

/// What the page shows: without a provider only the form.
pub(super) async fn looked_at(
    door: &Door,
    params: &BillParams,
) -> Result<(Option<ProviderBill>, BillFilter), Problem> {
    let now = door.clock.now();
    let (from, to) =
        days(params.from.as_deref(), params.to.as_deref(), now).map_err(Problem::unprocessable)?;
    let filter = BillFilter {
        from: day_text(from),
        to: day_text(to),
        provider: params.provider.clone().unwrap_or_default(),
        model_names: params.model_names.clone().unwrap_or_default(),
    };
    if filter.provider.is_empty() {
        return Ok((None, filter));
    }
    let query = query(params, now).map_err(Problem::unprocessable)?;
    Ok((Some(provider_bill(&door.store, &query).await?), filter))
}
