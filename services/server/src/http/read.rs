//! Reads what a request brings, once it is known that the caller may ask. (Were it read before, who may not even ask would be
//! told what is wrong with it.)

use super::problem::Problem;
use actix_web::{HttpRequest, web};
use serde::de::DeserializeOwned;
use verdict_resolution::read_json;

/// The parameters of an address.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    text(request.query_string())
}

/// Parameters as they stand in an address.
pub(super) fn text<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let read = web::Query::<T>::from_query(query);
    Ok(read.map_err(|error| Problem::unprocessable(format!("query: {error}")))?.into_inner())
}

/// A body, byte for byte.
pub(super) fn bytes(body: Result<web::Bytes, actix_web::Error>) -> Result<web::Bytes, Problem> {
    body.map_err(|error| Problem::unreadable(&error))
}

/// A body of JSON; the message names the field.
pub(super) fn json<T: DeserializeOwned>(body: Result<web::Bytes, actix_web::Error>) -> Result<T, Problem> {
    read_json(&bytes(body)?).map_err(Problem::unprocessable)
}
