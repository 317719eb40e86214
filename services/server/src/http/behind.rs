//! The cases behind a figure: for programs, and as the page reads them.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::reports::days;
use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use verdict_domain::economics::Figures;
use verdict_domain::time::{Timestamp, day_text};
use verdict_reports::Asked;
use verdict_store::StoreError;
use verdict_store::cases::CaseKey;
use verdict_store::figures::{self, CaseBehind, Order, Place, Slice, Total};

/// The most cases on a page.
const SHOWN: u32 = 100;

/// Which figure's cases.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct BehindParams {
    /// The first UTC day, such as 2026-10-01. Default: the first of this month.
    pub from: Option<String>,
    /// The first UTC day after. Default: tomorrow.
    pub to: Option<String>,
    /// Of this customer only.
    pub customer: Option<String>,
    /// Of this agent only.
    pub agent: Option<String>,
    /// Of this provider's models only; `-`: outcomes.
    pub provider: Option<String>,
    /// Of this model only.
    pub model: Option<String>,
    /// Of this kind of outcome only.
    pub action: Option<String>,
    /// In this currency only.
    pub currency: Option<String>,
    /// The figure: `cost` (default), `failures` (lost and retry), `won`, `retry`, `free`, `lost`, `pending`, `decided`,
    /// `confirmed`, `assumed`, `failed`, `void` or `revenue`.
    pub bucket: Option<String>,
    /// Why it failed or was lost; `-` for what did not.
    pub reason: Option<String>,
    /// `-cost` (default): the cases that cost most first. `-day`: those with the last day; of `revenue` the default, and the only
    /// order: those with the last charge.
    pub sort: Option<String>,
    /// Where the page before ended: its `next`.
    pub after: Option<String>,
}

/// Reads which figure's cases, and from where on; the message names the field.
pub(super) fn asked(params: BehindParams, now: Timestamp) -> Result<(Asked, Option<Place>), String> {
    let (from, to) = days(params.from.as_deref(), params.to.as_deref(), now)?;
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let figure = Asked::figure(given(params.bucket).as_deref().unwrap_or("cost"))?;
    let order = match given(params.sort) {
        None => Asked::usual_order(figure),
        Some(sort) => Asked::order(&sort)?,
    };
    if figure == "revenue" && order == Order::Cost {
        return Err("sort: `-cost` is no order of revenue: ask for -day, the last charge first".into());
    }
    let asked = Asked {
        figure,
        order,
        of: Slice {
            from,
            to,
            customer: given(params.customer),
            agent: given(params.agent),
            provider: given(params.provider),
            model: given(params.model),
            action: given(params.action),
        },
        currency: given(params.currency),
        reason: given(params.reason),
    };
    let after = match given(params.after) {
        None => None,
        Some(text) => {
            let read: Result<(i64, String, String), _> = serde_json::from_str(&text);
            let (rank, customer, case) =
                read.map_err(|_| "after: is not what a page gave as its `next`".to_string())?;
            Some(Place { rank, case: CaseKey { customer, case } })
        }
    };
    Ok((asked, after))
}

/// A page of the cases behind a figure.
pub(super) struct Found {
    pub total: Total,
    pub cases: Vec<CaseBehind>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

pub(super) async fn found(door: &Door, asked: &Asked, after: Option<&Place>) -> Result<Found, StoreError> {
    let behind = asked.behind();
    let total = figures::behind_total(&door.store, &behind).await?;
    // One more than is shown says whether there are more.
    let mut cases = figures::cases_behind(&door.store, &behind, asked.order, after, SHOWN + 1).await?;
    let has_more = cases.len() > SHOWN as usize;
    cases.truncate(SHOWN as usize);
    let last = cases.last().filter(|_| has_more).map(|case| case.place(asked.order));
    // Numbers and texts: this cannot fail to serialise.
    let next = last.map(|Place { rank, case }| {
        serde_json::to_string(&(rank, case.customer, case.case)).unwrap_or_default()
    });
    Ok(Found { total, cases, next })
}

/// A figure, or a case's part of it, in one currency.
#[derive(Serialize, ToSchema)]
struct PartBody {
    /// Attempts whose cost is in a figure of costs.
    attempts: i64,
    /// Of these, whose model cost is unknown.
    unknown_cost_attempts: i64,
    /// Their known cost, in nanos of the currency.
    cost_nanos: i64,
    /// Outcomes, in a figure that counts these.
    outcomes: i64,
    /// Charges less voids and corrections, in `revenue`: in nanos of the currency.
    revenue_nanos: i64,
}

fn parts(figures: BTreeMap<String, Figures>) -> BTreeMap<String, PartBody> {
    let part = |figures: Figures| PartBody {
        attempts: figures.attempts,
        unknown_cost_attempts: figures.unknown_costs,
        cost_nanos: figures.cost_nanos,
        outcomes: figures.outcomes,
        revenue_nanos: figures.revenue_nanos,
    };
    figures.into_iter().map(|(currency, figures)| (currency, part(figures))).collect()
}

/// A case behind a figure.
#[derive(Serialize, ToSchema)]
struct CaseBehindBody {
    customer: String,
    case: String,
    /// Of its last episode.
    verdict: String,
    /// The last UTC day on which it is part of the figure.
    day: String,
    /// Its part of the figure, by currency.
    figure: BTreeMap<String, PartBody>,
    /// What it cost in all, in nanos of the currency in which that is most.
    whole_cost_nanos: i64,
}

/// The cases behind a figure.
#[derive(Serialize, ToSchema)]
struct BehindBody {
    /// The figure, by currency: what all its cases add up to, with `of_no_case_nanos`.
    total: BTreeMap<String, PartBody>,
    /// Of `revenue`: what periods add to it beyond list prices, by currency, in nanos. It is of no case, but on invoices.
    of_no_case_nanos: BTreeMap<String, i64>,
    /// How many cases there are; absent where they are too many to be counted.
    count: Option<u64>,
    cases: Vec<CaseBehindBody>,
    /// Where the next page begins (`after`); absent on the last.
    next: Option<String>,
}

/// The cases behind a figure of the failure-cost report, a hundred a page. What they add to it adds up to the figure.
#[utoipa::path(
    params(BehindParams),
    responses(
        (status = 200, body = BehindBody),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/figures/cases")]
pub(super) async fn get_cases(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<BehindParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let (asked, after) = asked(params.into_inner(), door.clock.now()).map_err(Problem::unprocessable)?;
    let Found { total, cases, next } = found(&door, &asked, after.as_ref()).await?;
    let case = |case: CaseBehind| CaseBehindBody {
        customer: case.key.customer,
        case: case.key.case,
        verdict: case.verdict,
        day: day_text(case.day),
        figure: parts(case.figures),
        whole_cost_nanos: case.whole_cost_nanos,
    };
    let cases = cases.into_iter().map(case).collect();
    let Total { figures, of_no_case, cases: count } = total;
    let total = parts(figures);
    Ok(HttpResponse::Ok().json(BehindBody { total, of_no_case_nanos: of_no_case, count, cases, next }))
}
