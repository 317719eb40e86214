//! What an invoice rests on, and where the chains end.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verdict_reports::{Evidence, EvidenceFormat};
use verdict_store::StoreError;
use verdict_store::chain::{self, Head};

/// How to write the evidence.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceParams {
    /// `json` (default) or `csv`.
    pub format: Option<String>,
}

/// The evidence of an invoice: its lines with why they are there, and each outcome behind them down to the deliveries. The
/// same bytes whenever it is asked for.
#[utoipa::path(
    params(("id" = String, Path, description = "The invoice's id"), EvidenceParams),
    responses(
        (status = 200, description = "A file; see docs/EVIDENCE.md", content((Object = "application/json"), (String = "text/csv"))),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/invoices/{id}/evidence")]
pub(super) async fn get_evidence(
    caller: Caller,
    door: web::Data<Door>,
    id: web::Path<String>,
    params: web::Query<EvidenceParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Billing)?;
    let format = params.format.as_deref().filter(|format| !format.is_empty()).unwrap_or("json");
    let wrong = || Problem::unprocessable(format!("format: `{format}` is not json or csv"));
    let parsed = EvidenceFormat::parse(format).ok_or_else(wrong)?;
    let evidence = Evidence::of(&door.store, &id, parsed).await?;
    let evidence = evidence.ok_or_else(|| Problem::not_found("this invoice"))?;
    // A name that is good in a header and on any disk.
    let name: String =
        id.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let (content_type, name) = match parsed {
        EvidenceFormat::Json => ("application/json", format!("{name}.json")),
        EvidenceFormat::Csv => ("text/csv; charset=utf-8", format!("{name}.csv")),
    };
    // An error in the middle breaks the answer off: who reads it sees that it has no end.
    let pieces = try_unfold(evidence, async |mut evidence| {
        let piece =
            evidence.next().await.inspect_err(|error| tracing::warn!(%error, "evidence broke off"))?;
        Ok::<_, StoreError>(piece.map(|piece| (web::Bytes::from(piece), evidence)))
    });
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header(("Content-Disposition", format!("attachment; filename=\"evidence-{name}\"")))
        .streaming(Box::pin(pieces)))
}

/// Where a chain ends.
#[derive(Serialize, ToSchema)]
struct HeadBody {
    /// `outcomes`, `charges` or `invoices`.
    chain: &'static str,
    /// The place of its last row; 0 if it has none.
    position: i64,
    /// The link of its last row: SHA-256 as 64 hexadecimal digits.
    link: String,
    /// How many rows are older than the chain.
    unlinked: i64,
}

impl From<Head> for HeadBody {
    fn from(Head { chain, position, link, unlinked }: Head) -> Self {
        Self { chain: chain.as_str(), position, link, unlinked }
    }
}

/// Where the chains of outcomes, charges and invoices end now. Who notes it can prove later that nothing before was rewritten:
/// `verdict verify --expect`.
#[utoipa::path(responses((status = 200, body = Vec<HeadBody>)))]
#[get("/v1/chain")]
pub(super) async fn get_chain(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Report)?;
    let heads = chain::heads(&door.store).await?;
    Ok(HttpResponse::Ok().json(heads.into_iter().map(HeadBody::from).collect::<Vec<_>>()))
}
