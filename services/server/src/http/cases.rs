//! Cases and what their facts rest on, for programs.

use super::Door;
use super::access::{Caller, Scope};
use super::behind::{self, BehindBody, BehindParams, is_of_figure};
use super::paging;
use super::problem::{Problem, ProblemBody};
use super::read;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verdict_domain::time::Timestamp;
use verdict_reports::{Explanation, RejudgeError, explain};
use verdict_store::Store;
use verdict_store::cases::CaseKey;
use verdict_store::deliveries::{self, Delivery};
use verdict_store::history::{self, Filter, Listed, Place};

/// The most cases on a page of the list.
pub(crate) const SHOWN_CASES: u32 = 200;

/// Which cases to list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseParams {
    /// One customer only.
    pub customer: Option<String>,
    /// `pending`, `confirmed`, `assumed`, `failed`, `void` or `none`: of the case's last episode.
    pub verdict: Option<String>,
    /// What the case's id begins with.
    pub q: Option<String>,
    /// Where the page before ended: as its `Link` says.
    pub after: Option<String>,
}

/// A page of the cases that are asked for, and where the next one begins.
pub(crate) async fn listed(
    store: &Store,
    filter: &Filter,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<Listed>, Option<String>), Problem> {
    let after: Option<(i64, String, String)> = paging::place(after)?;
    let after = after.map(|(judged_at, customer, case)| Place {
        judged_at: Timestamp(judged_at),
        key: CaseKey { customer, case },
    });
    let page = history::list(store, filter, after.as_ref(), limit).await?;
    let told = |Place { judged_at, key }| paging::told((judged_at.0, key.customer, key.case));
    Ok((page.cases, page.next.map(told)))
}

/// Reads which cases to list; the message names the field.
pub(crate) fn filter(params: CaseParams) -> Result<Filter, String> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let verdict = given(params.verdict);
    match verdict.as_deref() {
        None | Some("pending" | "confirmed" | "assumed" | "failed" | "void" | "none") => {}
        Some(other) => {
            return Err(format!(
                "verdict: `{other}` is not pending, confirmed, assumed, failed, void or none"
            ));
        }
    }
    Ok(Filter { customer: given(params.customer), verdict, beginning: given(params.q) })
}

/// A case in a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct ListedBody {
    customer: String,
    case: String,
    /// Of the last episode: `pending`, `confirmed`, `assumed`, `failed`, `void`; `none` without an attempt.
    verdict: String,
    #[schema(value_type = String, format = DateTime)]
    judged_at: Timestamp,
    /// When time alone will change the judgement.
    #[schema(value_type = Option<String>, format = DateTime)]
    wake_at: Option<Timestamp>,
}

impl From<Listed> for ListedBody {
    fn from(Listed { key, verdict, judged_at, wake_at }: Listed) -> Self {
        Self { customer: key.customer, case: key.case, verdict, judged_at, wake_at }
    }
}

/// Cases that were judged, or those behind a figure.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it says in the description what the answer is; the answer is one or the other")]
enum CasesBody {
    Judged(Vec<ListedBody>),
    Behind(BehindBody),
}

/// Lists cases that were judged, the last judged first; those whose ids begin with `q` in the order of their ids. 200 a page:
/// the header `Link` leads to the next one. Or, as the page of cases does, those behind a figure: where one of the parameters of a
/// figure is given (all but `customer`, `verdict`, `q` and `after`), the answer is that of `/v1/figures/cases`.
#[utoipa::path(
    params(
        ("verdict" = Option<String>, Query, description = "Not of a figure: `pending`, `confirmed`, `assumed`, `failed`, `void` or `none`, of the case's last episode"),
        ("q" = Option<String>, Query, description = "Not of a figure: what the case's id begins with"),
        BehindParams
    ),
    responses(
        (status = 200, content((CasesBody = "application/json"), (String = "text/csv"))),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/cases")]
pub(super) async fn list_cases(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    if is_of_figure(request.query_string()) {
        return behind::answer(&door, read::query(&request)?).await;
    }
    let params: CaseParams = read::query(&request)?;
    let after = params.after.clone();
    let filter = filter(params).map_err(Problem::unprocessable)?;
    let (cases, next) = listed(&door.store, &filter, after.as_deref(), SHOWN_CASES).await?;
    Ok(paging::listed(&request, cases.into_iter().map(ListedBody::from).collect::<Vec<_>>(), next))
}

/// The explanation of a case that was judged.
pub(super) async fn explained(door: &Door, customer: String, case: String) -> Result<Explanation, Problem> {
    let key = CaseKey { customer, case };
    match explain(&door.store, &key, door.clock.now()).await {
        Ok(explanation) => explanation.ok_or_else(|| Problem::not_found("this case")),
        Err(RejudgeError::Store(error)) => Err(error.into()),
        Err(RejudgeError::Overflow(error)) => Err(Problem::unprocessable(error.to_string())),
    }
}

/// A case explained: what is held of it and why, in words; what was recorded, billed and paid.
#[utoipa::path(
    params(("customer" = String, Path, description = "Whose case"), ("case" = String, Path, description = "Which case")),
    responses(
        (status = 200, body = Explanation),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/cases/{customer}/{case}")]
pub(super) async fn get_case(
    caller: Caller,
    door: web::Data<Door>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let (customer, case) = path.into_inner();
    Ok(HttpResponse::Ok().json(explained(&door, customer, case).await?))
}

/// A delivery as it came.
#[derive(Serialize, ToSchema)]
struct DeliveryBody {
    source: String,
    id: String,
    /// `webhook`, `fetch` or `poll`.
    via: &'static str,
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// The name of the secret that verified it.
    secret: String,
    /// Those that are kept, as a JSON object.
    #[schema(value_type = Object)]
    headers: serde_json::Value,
    /// For a fetched document the event that it was asked for, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// The bytes as they came, empty once their time of retention is over; what is not UTF-8 in them is shown as U+FFFD.
    body: String,
}

impl From<Delivery> for DeliveryBody {
    fn from(delivery: Delivery) -> Self {
        Self {
            via: delivery.via.as_str(),
            received_at: delivery.received_at,
            headers: serde_json::from_str(&delivery.headers).unwrap_or_default(),
            body: String::from_utf8_lossy(&delivery.body).into_owned(),
            source: delivery.source,
            id: delivery.id,
            secret: delivery.secret,
            origin: delivery.origin,
        }
    }
}

/// One delivery.
pub(super) async fn delivery(door: &Door, source: &str, id: &str) -> Result<Delivery, Problem> {
    let delivery = deliveries::find(&door.store, source, id).await?;
    delivery.ok_or_else(|| Problem::not_found("this delivery"))
}

/// A delivery of a webhook source, or what was fetched or polled from it, as it came.
#[utoipa::path(
    params(
        ("source" = String, Path, description = "The source's name in the configuration"),
        ("id" = String, Path, description = "The delivery's id; `/` in it as `%2F`")
    ),
    responses(
        (status = 200, body = DeliveryBody),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/deliveries/{source}/{id}")]
pub(super) async fn get_delivery(
    caller: Caller,
    door: web::Data<Door>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let (source, id) = path.into_inner();
    Ok(HttpResponse::Ok().json(DeliveryBody::from(delivery(&door, &source, &id).await?)))
}
