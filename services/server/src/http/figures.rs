//! The overview and the groups: what is asked for in the address, for pages and programs.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::reports::{ReportParams, compare, query};
use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;
use verdict_domain::time::Timestamp;
use verdict_reports::pages::check_sort;
use verdict_reports::{Compare, Groups, Overview, StripeFee, View};
use verdict_store::figures::GroupBy;

/// Of which figures, and beside which.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct FigureParams {
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    pub from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    pub to: Option<String>,
    /// Of this customer only.
    pub customer: Option<String>,
    /// Of this agent only.
    pub agent: Option<String>,
    /// Of this model only.
    pub model: Option<String>,
    /// Of this kind of outcome only.
    pub action: Option<String>,
    /// `previous` (default), `year`, `none`, or `days`: those of compare_from and compare_to.
    pub compare: Option<String>,
    /// The first UTC day to compare with.
    pub compare_from: Option<String>,
    /// The first UTC day after.
    pub compare_to: Option<String>,
    /// Of groups: by which column they are sorted on the page, such as `margin` or `-cost`.
    pub sort: Option<String>,
    /// Of groups: `customer` (default), `agent`, `provider`, `model` or `action`.
    pub by: Option<String>,
}

/// Reads a view; the message names the field.
pub(super) fn view(params: &FigureParams, now: Timestamp) -> Result<View, String> {
    let base = ReportParams {
        from: params.from.clone(),
        to: params.to.clone(),
        customer: params.customer.clone(),
        agent: params.agent.clone(),
        model: params.model.clone(),
        action: params.action.clone(),
        ..ReportParams::default()
    };
    let of = query(&base, now)?.of;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let sort = given(&params.sort);
    sort.as_deref().map_or(Ok(()), check_sort)?;
    let own = (params.compare_from.as_deref(), params.compare_to.as_deref());
    let compare = compare(params.compare.as_deref(), own.0, own.1, Compare::Previous)?;
    Ok(View { of, compare, sort })
}

/// What a period brought and cost, beside another.
pub(super) async fn overview_of(door: &Door, view: &View) -> Result<Overview, Problem> {
    Ok(verdict_reports::overview(&door.store, view, fee(door)).await?)
}

/// Groups, each beside itself.
pub(super) async fn groups_of(door: &Door, view: &View, by: GroupBy) -> Result<Groups, Problem> {
    Ok(verdict_reports::groups(&door.store, view, by, fee(door)).await?)
}

fn fee(door: &Door) -> StripeFee {
    StripeFee { basis_points: door.stripe_fee_basis_points }
}

/// What a period brought and cost, beside another: from the daily roll-ups.
#[utoipa::path(
    params(FigureParams),
    responses(
        (status = 200, body = Overview),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/reports/overview")]
pub(super) async fn overview(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<FigureParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let view = view(&params, door.clock.now()).map_err(Problem::unprocessable)?;
    Ok(HttpResponse::Ok().json(overview_of(&door, &view).await?))
}

/// Customers, agents, providers, models or actions, each beside itself in other days: from the daily roll-ups.
#[utoipa::path(
    params(FigureParams),
    responses(
        (status = 200, body = Groups),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/reports/groups")]
pub(super) async fn groups(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<FigureParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let view = view(&params, door.clock.now()).map_err(Problem::unprocessable)?;
    let by = match params.by.as_deref().filter(|by| !by.is_empty()).unwrap_or("customer") {
        "customer" => GroupBy::Customer,
        "agent" => GroupBy::Agent,
        "provider" => GroupBy::Provider,
        "model" => GroupBy::Model,
        "action" => GroupBy::Action,
        other => {
            let text = format!("by: `{other}` is not customer, agent, provider, model or action");
            return Err(Problem::unprocessable(text));
        }
    };
    Ok(HttpResponse::Ok().json(groups_of(&door, &view, by).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use verdict_domain::time::day_text;

    fn read(change: impl FnOnce(&mut FigureParams)) -> Result<View, String> {
        let mut params = FigureParams::default();
        change(&mut params);
        view(&params, Timestamp::parse("2026-11-22T11:00:00Z").unwrap())
    }

    #[test]
    fn the_default_is_this_month_beside_the_last() {
        let view = read(|_| ()).unwrap();
        assert_eq!(view.query(), "from=2026-11-01&to=2026-11-23");
        assert_eq!(
            view.compared().map(|of| (day_text(of.from), day_text(of.to))),
            Some(("2026-10-01".into(), "2026-10-23".into()))
        );
        assert_eq!(read(|of| of.compare = Some(String::new())).unwrap(), view);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let days = |from: &str, to: &str| (Some(from.to_string()), Some(to.to_string()));
        let own = read(|of| (of.compare_from, of.compare_to) = days("2026-01-01", "2026-02-01")).unwrap();
        assert!(own.query().ends_with("&compare_from=2026-01-01&compare_to=2026-02-01"), "{}", own.query());
        for (field, found) in [
            ("compare: ", read(|of| of.compare = Some("moon".into()))),
            ("compare: ", read(|of| of.compare = Some("days".into()))),
            (
                "compare: ",
                read(|of| {
                    of.compare = Some("year".into());
                    of.compare_from = Some("2026-01-01".into());
                }),
            ),
            ("compare_to: ", read(|of| of.compare_from = Some("2026-01-01".into()))),
            ("compare_to: ", read(|of| (of.compare_from, of.compare_to) = days("2026-01-01", "2026-01-01"))),
            ("compare_from: ", read(|of| (of.compare_from, of.compare_to) = days("soon", "2026-01-01"))),
            ("from: ", read(|of| of.from = Some("soon".into()))),
            ("sort: ", read(|of| of.sort = Some("-luck".into()))),
        ] {
            assert!(found.as_ref().is_err_and(|message| message.starts_with(field)), "{field}: {found:?}");
        }
    }
}
