//! The cases behind a figure: for programs, and as the page and the command read them.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::reports::days;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use verdict_domain::economics::Figures;
use verdict_domain::time::{Timestamp, day_text};
use verdict_reports::{Asked, CASES_HEADING, cases_csv};
use verdict_store::cases::CaseKey;
use verdict_store::figures::{self, CaseBehind, Order, Place, Slice, Total};
use verdict_store::{Store, StoreError};

/// The most cases on a page.
const SHOWN: u32 = 100;
/// How many cases of a CSV are in memory at a time.
const PIECE: u32 = 1_000;
/// The parameters that ask for a figure: where there is one of them, the list of cases is that of a figure.
const WORDS: [&str; 10] =
    ["from", "to", "agent", "provider", "model", "action", "currency", "bucket", "reason", "sort"];

/// Which figure's cases.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BehindParams {
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
    /// `json` (default), or `csv`: all cases from there on, not only a page.
    pub format: Option<String>,
}

/// Whether a query asks for the cases of a figure.
pub(super) fn is_of_figure(query: &str) -> bool {
    query.split('&').filter_map(|pair| pair.split('=').next()).any(|name| WORDS.contains(&name))
}

/// Reads which figure's cases, and from where on; the message names the field.
pub(crate) fn asked(params: BehindParams, now: Timestamp) -> Result<(Asked, Option<Place>), String> {
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
pub(crate) struct Found {
    pub total: Total,
    pub cases: Vec<CaseBehind>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

pub(crate) async fn found(store: &Store, asked: &Asked, after: Option<&Place>) -> Result<Found, StoreError> {
    let total = figures::behind_total(store, &asked.behind()).await?;
    let (cases, next) = some_of(store, asked, after, SHOWN).await?;
    // Numbers and texts: this cannot fail to serialise.
    let next = next.map(|Place { rank, case }| {
        serde_json::to_string(&(rank, case.customer, case.case)).unwrap_or_default()
    });
    Ok(Found { total, cases, next })
}

/// The next cases behind a figure, and where those after them begin, if there are more.
async fn some_of(
    store: &Store,
    asked: &Asked,
    after: Option<&Place>,
    limit: u32,
) -> Result<(Vec<CaseBehind>, Option<Place>), StoreError> {
    // One more than is wanted says whether there are more.
    let mut cases = figures::cases_behind(store, &asked.behind(), asked.order, after, limit + 1).await?;
    let has_more = cases.len() > limit as usize;
    cases.truncate(limit as usize);
    let next = cases.last().filter(|_| has_more).map(|case| case.place(asked.order));
    Ok((cases, next))
}

/// A CSV of the cases behind a figure that is being written: first the heading, then all cases from a place on, piece by piece.
pub(crate) struct Written {
    store: Store,
    asked: Asked,
    after: Option<Place>,
    has_begun: bool,
    is_over: bool,
}

impl Written {
    pub fn new(store: &Store, asked: Asked, after: Option<Place>) -> Self {
        Self { store: store.clone(), asked, after, has_begun: false, is_over: false }
    }

    /// The next piece, if there is one.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        if self.is_over {
            return Ok(None);
        }
        let (cases, next) = some_of(&self.store, &self.asked, self.after.as_ref(), PIECE).await?;
        (self.is_over, self.after) = (next.is_none(), next);
        let heading = if self.has_begun { "" } else { CASES_HEADING };
        self.has_begun = true;
        Ok(Some(format!("{heading}{}", cases_csv(&cases))))
    }
}

/// The cases that are asked for, in the format that is asked for.
pub(super) async fn answer(door: &Door, params: BehindParams) -> Result<HttpResponse, Problem> {
    let format = params.format.clone();
    let (asked, after) = asked(params, door.clock.now()).map_err(Problem::unprocessable)?;
    match format.as_deref() {
        None | Some("" | "json") => {
            Ok(HttpResponse::Ok().json(BehindBody::from(found(&door.store, &asked, after.as_ref()).await?)))
        }
        Some("csv") => {
            let (from, to) = (day_text(asked.of.from), day_text(asked.of.to));
            let name = format!("attachment; filename=\"cases-{}-{from}-{to}.csv\"", asked.figure);
            // An error in the middle breaks the answer off: who reads it sees that it has no end.
            let pieces = try_unfold(Written::new(&door.store, asked, after), async |mut written| {
                let piece = written.next().await;
                let piece = piece.inspect_err(|error| tracing::warn!(%error, "a list of cases broke off"))?;
                Ok::<_, StoreError>(piece.map(|piece| (web::Bytes::from(piece), written)))
            });
            Ok(HttpResponse::Ok()
                .content_type("text/csv; charset=utf-8")
                .insert_header(("Content-Disposition", name))
                .streaming(Box::pin(pieces)))
        }
        Some(other) => Err(Problem::unprocessable(format!("format: `{other}` is not json or csv"))),
    }
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
pub(crate) struct BehindBody {
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

impl From<Found> for BehindBody {
    fn from(Found { total, cases, next }: Found) -> Self {
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
        Self { total: parts(figures), of_no_case_nanos: of_no_case, count, cases, next }
    }
}

/// The cases behind a figure of the failure-cost report, a hundred a page. What they add to it adds up to the figure.
#[utoipa::path(
    params(BehindParams),
    responses(
        (status = 200, content((BehindBody = "application/json"), (String = "text/csv"))),
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
    answer(&door, params.into_inner()).await
}
