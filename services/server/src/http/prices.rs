//! Price books, for operators: imported, compared, activated; and the overrides.

use super::Door;
use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::read;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use verdict_domain::time::Timestamp;
use verdict_intake::{
    BookError, Compared, Diff, OverrideRequest, Quote, Reading, books, disagreements, quotes, tell_override,
};
use verdict_store::prices;

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Invalid(detail) => Self::unprocessable(detail),
            BookError::NotFound(_) => Self::missing(error.to_string()),
            BookError::Conflict(detail) => Self::conflict(detail),
            BookError::Store(error) => error.into(),
        }
    }
}

/// A price book.
#[derive(Serialize, ToSchema)]
struct BookBody {
    /// Its name and version.
    id: String,
    /// SHA-256 of it, in hex.
    digest: String,
    /// Whether it prices attempts now.
    active: bool,
    /// When it was imported; absent: it is built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    imported_at: Option<Timestamp>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    imported_by: Option<String>,
}

/// That a book was made the one that prices attempts.
#[derive(Serialize, ToSchema)]
struct ActivationBody {
    /// Which book.
    book: String,
    /// The digest of the diff that was seen before.
    diff: String,
    #[schema(value_type = String, format = DateTime)]
    activated_at: Timestamp,
    /// By whom.
    activated_by: String,
}

/// The books, and which were made active, the first first.
#[derive(Serialize, ToSchema)]
struct BooksBody {
    books: Vec<BookBody>,
    activations: Vec<ActivationBody>,
}

/// Lists the price books, and when which was made active.
#[utoipa::path(responses((status = 200, body = BooksBody)))]
#[get("/v1/prices/books")]
pub(super) async fn list_books(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let (books, activations) = books::list(&door.store).await?;
    let book = |listed: books::Listed| {
        let (imported_at, imported_by) = listed.imported.map(|imported| (imported.at, imported.by)).unzip();
        BookBody { id: listed.id, digest: listed.digest, active: listed.is_active, imported_at, imported_by }
    };
    let activation = |row: prices::Activation| ActivationBody {
        book: row.book,
        diff: row.diff,
        activated_at: row.at,
        activated_by: row.by,
    };
    Ok(HttpResponse::Ok().json(BooksBody {
        books: books.into_iter().map(book).collect(),
        activations: activations.into_iter().map(activation).collect(),
    }))
}

/// What the book is called.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ImportParams {
    /// Such as `litellm`, which is the default.
    pub name: Option<String>,
    /// Such as `1.109.1`. Must be there.
    pub version: Option<String>,
}

/// A parameter that must be there. (Were it one by its type, its lack would be told to who may not even ask.)
fn needed<'a>(field: &str, given: &'a Option<String>) -> Result<&'a str, Problem> {
    given
        .as_deref()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| Problem::unprocessable(format!("{field}: is missing")))
}

/// What was read of an imported book, and what its activation would change.
#[derive(Serialize, ToSchema)]
struct ImportedBody {
    /// The book's id.
    book: String,
    /// SHA-256 of the file, in hex.
    digest: String,
    reading: Reading,
    diff: Diff,
}

/// Imports LiteLLM's `model_prices_and_context_window.json`, as it is. Nothing is priced by it before it is activated.
#[utoipa::path(
    params(ImportParams),
    request_body = Object,
    responses(
        (status = 201, description = "Imported", body = ImportedBody),
        (status = 200, description = "The very same was there", body = ImportedBody),
        (status = 409, description = "Another file is there under this name and version", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/prices/books")]
pub(super) async fn post_book(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<ImportParams>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let body = read::bytes(body)?;
    let now = door.clock.now();
    let (name, version) = (params.name.as_deref().unwrap_or("litellm"), needed("version", &params.version)?);
    let imported = books::import(&door.store, name, version, &body, now, &caller.author()).await?;
    let (book, reading, is_new) = imported;
    let diff = books::changes(&door.store, None, &book, now).await?;
    let answer = ImportedBody { book: book.id().into(), digest: book.digest().into(), reading, diff };
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(answer))
}

/// Which two books.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffParams {
    /// The first book. Default: the active one.
    pub from: Option<String>,
    /// The second. Must be there.
    pub to: Option<String>,
}

/// What would change for the models that attempts of the last 90 days called, if one book took the place of another.
#[utoipa::path(
    params(DiffParams),
    responses(
        (status = 200, body = Diff),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/prices/diff")]
pub(super) async fn get_diff(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<DiffParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let to = books::open(&door.store, needed("to", &params.to)?).await?;
    let from = params.from.as_deref().filter(|from| !from.is_empty());
    Ok(HttpResponse::Ok().json(books::changes(&door.store, from, &to, door.clock.now()).await?))
}

/// Which book is to price attempts from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActivationRequest {
    /// Its id.
    book: String,
    /// The `digest` of the diff that was looked at.
    diff: String,
}

/// Makes a book the one that prices attempts from now on. Names the digest of the diff that was seen: if something else would
/// change by now, nothing is done.
#[utoipa::path(
    request_body = ActivationRequest,
    responses(
        (status = 201, description = "Active, and what changed by it", body = Diff),
        (status = 404, body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It is active already, or the diff is another by now", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/prices/activations")]
pub(super) async fn post_activation(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let request: ActivationRequest = read::json(body)?;
    let now = door.clock.now();
    let diff = books::activate(&door.store, &request.book, &request.diff, now, &caller.author()).await?;
    door.prices.refresh(&door.store).await?;
    Ok(HttpResponse::Created().json(diff))
}

/// Which prices.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceParams {
    /// Who serves the model, such as `openai`. Must be there.
    pub provider: Option<String>,
    /// The model, such as `gpt-5`. Must be there.
    pub model: Option<String>,
    /// At which time. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// For which customer. Default: for one that has no prices of its own.
    pub customer: Option<String>,
}

/// The prices of a model at a time, for each of the provider's services that has some, and what they are from.
#[utoipa::path(
    params(PriceParams),
    responses(
        (status = 200, body = Vec<Quote>),
        (status = 404, description = "It has no price", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/prices")]
pub(super) async fn get_prices(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<PriceParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let at = params.at.unwrap_or_else(|| door.clock.now());
    let (provider, model) = (needed("provider", &params.provider)?, needed("model", &params.model)?);
    let quoted = quotes(&door.prices.now(), params.customer.as_deref(), provider, model, at);
    if quoted.is_empty() {
        return Err(Problem::missing(format!("there is no price of `{model}` by `{provider}` at {at}")));
    }
    Ok(HttpResponse::Ok().json(quoted))
}

/// Which two books.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct DisagreementParams {
    /// The first book. Default: the one that is built in.
    pub book: Option<String>,
    /// The other. Default: the active one.
    pub other: Option<String>,
    /// At which time. Default: now.
    #[param(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// Where two books price the same model differently, by more than rounding.
#[utoipa::path(
    params(DisagreementParams),
    responses(
        (status = 200, body = Compared),
        (status = 404, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[get("/v1/prices/disagreements")]
pub(super) async fn get_disagreements(
    caller: Caller,
    door: web::Data<Door>,
    params: web::Query<DisagreementParams>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let (book, other) = books::pair(&door.store, params.book.as_deref(), params.other.as_deref()).await?;
    let at = params.at.unwrap_or_else(|| door.clock.now());
    // It takes seconds of computing, which must not hold up the other requests.
    let compared = web::block(move || disagreements(&book, &other, at)).await;
    Ok(HttpResponse::Ok().json(compared.map_err(|error| Problem::unavailable(error.to_string()))?))
}

/// An override, and who recorded it.
#[derive(Serialize, ToSchema)]
struct OverrideBody {
    #[serde(flatten)]
    sent: OverrideRequest,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Timestamp,
    recorded_by: String,
}

/// Lists the overrides, in the order in which they were recorded: of those in force at a time, the last counts.
#[utoipa::path(responses((status = 200, body = Vec<OverrideBody>)))]
#[get("/v1/prices/overrides")]
pub(super) async fn list_overrides(caller: Caller, door: web::Data<Door>) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let rows = prices::overrides(&door.store).await?.into_iter();
    let body = |(row, recorded): (prices::Override, prices::Recorded)| OverrideBody {
        sent: tell_override(&row),
        recorded_at: recorded.at,
        recorded_by: recorded.by,
    };
    Ok(HttpResponse::Ok().json(rows.map(body).collect::<Vec<_>>()))
}

/// Records prices of one's own, which go before the book's: for all customers, or for one. What is priced already stays.
#[utoipa::path(
    request_body = OverrideRequest,
    responses(
        (status = 201, description = "Recorded", body = OverrideRequest),
        (status = 200, description = "The very same was recorded before", body = OverrideRequest),
        (status = 409, description = "Another override has this id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/prices/overrides")]
pub(super) async fn post_override(
    caller: Caller,
    door: web::Data<Door>,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Admin)?;
    let request: OverrideRequest = read::json(body)?;
    let is_new = books::record_override(&door.store, &request, door.clock.now(), &caller.author()).await?;
    door.prices.refresh(&door.store).await?;
    let mut response = if is_new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(request))
}
