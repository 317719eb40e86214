//! Reports, for programs.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;
use verdict_domain::period;
use verdict_domain::time::{Timestamp, day_text, parse_day};
use verdict_reports::{Beside, Compare, Query, Sort, beside, csv, group_by, xlsx};
use verdict_store::figures::Slice;
use verdict_store::{StoreError, attempts};

/// What to report.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportParams {
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    pub from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    pub to: Option<String>,
    /// `customer` (default), `agent`, `provider`, `model`, `action`, `reason` or `day`.
    pub by: Option<String>,
    /// Of this customer only.
    pub customer: Option<String>,
    /// Of this agent only.
    pub agent: Option<String>,
    /// Of this provider's models only: no outcomes, no revenue.
    pub provider: Option<String>,
    /// Of this model only.
    pub model: Option<String>,
    /// Of this kind of outcome only.
    pub action: Option<String>,
    /// The order of the rows: the name of one of their fields, with `-` before it for the largest first. Default: `key`. Money is
    /// compared within its currency.
    pub sort: Option<String>,
    /// With which days to compare: `previous`, `year`, `none`, or `days`: those of compare_from and compare_to. Default: `none`; on
    /// the page `previous`.
    pub compare: Option<String>,
    /// The first UTC day to compare with.
    pub compare_from: Option<String>,
    /// The first UTC day after.
    pub compare_to: Option<String>,
    /// `json` (default), `csv` or `xlsx`.
    pub format: Option<String>,
}

/// Reads with which days to compare; `usual` where nothing is said. The message names the field.
pub(crate) fn compare(
    named: Option<&str>,
    from: Option<&str>,
    to: Option<&str>,
    usual: Compare,
) -> Result<Compare, String> {
    let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_string);
    let (own_from, own_to) = (given(from), given(to));
    let has_own = own_from.is_some() || own_to.is_some();
    match given(named).as_deref() {
        None | Some("days") if has_own => {
            let missing =
                |field: &str| format!("{field}: is missing: compare_from and compare_to go together");
            let from = day("compare_from", own_from.as_deref())?.ok_or_else(|| missing("compare_from"))?;
            let to = day("compare_to", own_to.as_deref())?.ok_or_else(|| missing("compare_to"))?;
            if to <= from {
                return Err(format!("compare_to: {} is not after {}", day_text(to), day_text(from)));
            }
            Ok(Compare::Days(from, to))
        }
        Some("days") => Err("compare: `days` needs compare_from and compare_to".into()),
        Some(named @ ("previous" | "year" | "none")) if has_own => Err(format!(
            "compare: `{named}` and days of your own are given: choose `days`, or empty compare_from and compare_to"
        )),
        None => Ok(usual),
        Some("previous") => Ok(Compare::Previous),
        Some("year") => Ok(Compare::Year),
        Some("none") => Ok(Compare::Nothing),
        Some(other) => Err(format!("compare: `{other}` is not previous, year, none or days")),
    }
}

/// The same of what to report.
pub(super) fn compared(params: &ReportParams, usual: Compare) -> Result<Compare, String> {
    compare(params.compare.as_deref(), params.compare_from.as_deref(), params.compare_to.as_deref(), usual)
}

/// Reads a span of UTC days: by default from the first of this month until tomorrow. The message names the field.
pub(crate) fn days(from: Option<&str>, to: Option<&str>, now: Timestamp) -> Result<(i64, i64), String> {
    let from = day("from", from)?.unwrap_or(period::month_containing(now).start.day());
    let to = day("to", to)?.unwrap_or(now.day() + 1);
    match to <= from {
        true => Err(format!("to: {} is not after {}", day_text(to), day_text(from))),
        false => Ok((from, to)),
    }
}

/// Reads what to report; the message names the field.
pub(crate) fn query(params: &ReportParams, now: Timestamp) -> Result<Query, String> {
    let (from, to) = days(params.from.as_deref(), params.to.as_deref(), now)?;
    let by = params.by.as_deref().filter(|by| !by.is_empty()).unwrap_or("customer");
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let of = Slice {
        from,
        to,
        customer: given(&params.customer),
        agent: given(&params.agent),
        provider: given(&params.provider),
        model: given(&params.model),
        action: given(&params.action),
    };
    Ok(Query { of, by: group_by(by)? })
}

/// Reads in which order to report it; the message names the field.
pub(crate) fn sort(params: &ReportParams) -> Result<Option<Sort>, String> {
    params.sort.as_deref().filter(|sort| !sort.is_empty()).map(Sort::read).transpose()
}

/// Reads a day, if there is one.
pub(super) fn day(field: &str, text: Option<&str>) -> Result<Option<i64>, String> {
    let read = |text: &str| {
        parse_day(text).ok_or_else(|| format!("{field}: `{text}` is not a day such as 2026-10-01"))
    };
    text.filter(|text| !text.is_empty()).map(read).transpose()
}

/// What failure costs: from the daily roll-ups.
#[utoipa::path(
    params(ReportParams),
    responses(
        (status = 200, body = Beside),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/reports/failure-cost")]
pub(super) async fn failure_cost(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<ReportParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let query = query(&params, door.clock.now()).map_err(Problem::unprocessable)?;
    let sort = sort(&params).map_err(Problem::unprocessable)?;
    let compare = compared(&params, Compare::Nothing).map_err(Problem::unprocessable)?;
    let mut report = beside(&door.store, &query, compare).await?;
    if let Some(sort) = sort {
        sort.apply(&mut report.now.rows);
    }
    answer(&report, params.format.as_deref())
}

/// A report in a format.
pub(super) fn answer(report: &Beside, format: Option<&str>) -> Result<HttpResponse, Problem> {
    match format {
        None | Some("" | "json") => Ok(HttpResponse::Ok().json(report)),
        Some("csv") => {
            let name =
                format!("attachment; filename=\"failure-cost-{}-{}.csv\"", report.now.from, report.now.to);
            let response = HttpResponse::Ok()
                .content_type("text/csv; charset=utf-8")
                .insert_header(("Content-Disposition", name))
                .body(csv(report));
            Ok(response)
        }
        Some("xlsx") => {
            let name =
                format!("attachment; filename=\"failure-cost-{}-{}.xlsx\"", report.now.from, report.now.to);
            let workbook = xlsx(report).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let response = HttpResponse::Ok()
                .content_type("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
                .insert_header(("Content-Disposition", name))
                .body(workbook);
            Ok(response)
        }
        Some(other) => Err(Problem::unprocessable(format!("format: `{other}` is not json, csv or xlsx"))),
    }
}

/// The models whose attempts have an unknown cost.
#[utoipa::path(responses((status = 200, description = "The most frequent first", body = Vec<Object>)))]
#[get("/v1/reports/unknown-costs")]
pub(super) async fn unknown_costs(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    Ok(HttpResponse::Ok().json(attempts::unknown_costs(&door.store).await?))
}
