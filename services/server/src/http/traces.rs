//! Spans in: OpenTelemetry's OTLP over HTTP.

use super::access::{Caller, Scope};
use super::problem::{Problem, ProblemBody};
use super::{Door, MAX_BODY, read};
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, post, web};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;
use verdict_intake::{Event, Outcome, Parking, SPAN, decode_export, encode_answer};
use verdict_store::StoreError;

/// Takes an OTLP trace export: spans of calls to models become attempts. Spans that are about something else are
/// ignored. Those that say too little are parked and counted in `partial_success`. The headers `verdict-recorded`,
/// `verdict-duplicate`, `verdict-parked` and `verdict-ignored` say what became of the spans.
#[utoipa::path(
    params(("content-encoding" = Option<String>, Header, description = "`gzip`, or none")),
    request_body(content((String = "application/x-protobuf"), (Object = "application/json"))),
    responses(
        (status = 200, description = "An `ExportTraceServiceResponse`, in the encoding of the request", content(
            (String = "application/x-protobuf"), (Object = "application/json")
        )),
        (status = 400, description = "Not an export", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "More than 32 MiB", body = ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/v1/traces")]
pub(super) async fn post_traces(
    caller: Caller,
    door: web::Data<Door>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> Result<HttpResponse, Problem> {
    caller.may(Scope::Ingest)?;
    let body = read::bytes(body)?;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let body = unpacked(header(CONTENT_ENCODING), &body)?;
    let content_type = header(CONTENT_TYPE).unwrap_or(verdict_intake::PROTOBUF);
    let export = decode_export(content_type, &body).map_err(Problem::bad_request)?;
    let Became { recorded, duplicate, parked, reason } = record(&door, SPAN, export.events).await?;
    let message =
        format!("parked, to be seen with `verdict parked list`; the first: {}", reason.unwrap_or_default());
    // A client reads the answer in the encoding that it sent.
    let is_json = content_type.trim().to_ascii_lowercase().starts_with(verdict_intake::JSON);
    Ok(HttpResponse::Ok()
        .content_type(if is_json { verdict_intake::JSON } else { verdict_intake::PROTOBUF })
        .insert_header(("verdict-recorded", recorded))
        .insert_header(("verdict-duplicate", duplicate + export.repeated))
        .insert_header(("verdict-parked", parked))
        .insert_header(("verdict-ignored", export.ignored))
        .body(encode_answer(content_type, parked, &message)))
}

/// What became of telemetry.
pub(super) struct Became {
    pub recorded: usize,
    pub duplicate: usize,
    pub parked: usize,
    /// Why the first was parked.
    pub reason: Option<String>,
}

/// Records what telemetry tells of. What is no attempt is parked, within bounds: nobody reads the answer.
pub(super) async fn record(
    door: &Door,
    reference: &str,
    events: Vec<Event<'_>>,
) -> Result<Became, StoreError> {
    let parking = Parking { reference, headers: &|_| "{}".into(), within: Some(door.telemetry_parked) };
    let (book, now) = (door.prices.now(), door.clock.now());
    let outcomes = verdict_intake::record_or_park(&door.store, &book, events, parking, now).await?;
    door.worker.nudge();
    let mut became = Became { recorded: 0, duplicate: 0, parked: 0, reason: None };
    for outcome in outcomes {
        match outcome {
            Outcome::Recorded => became.recorded += 1,
            Outcome::Duplicate => became.duplicate += 1,
            Outcome::Rejected(reason) => {
                became.parked += 1;
                became.reason.get_or_insert(reason);
            }
        }
    }
    Ok(became)
}

/// The body without its compression. What would be larger than a body may be is not unpacked to its end.
pub(super) fn unpacked<'a>(encoding: Option<&str>, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Problem> {
    match encoding.unwrap_or("identity").trim().to_ascii_lowercase().as_str() {
        "identity" | "" => Ok(Cow::Borrowed(body)),
        "gzip" => {
            let mut unpacked = Vec::new();
            let most = MAX_BODY as u64 + 1;
            MultiGzDecoder::new(body)
                .take(most)
                .read_to_end(&mut unpacked)
                .map_err(|error| Problem::bad_request(format!("the body is not gzip: {error}")))?;
            if unpacked.len() > MAX_BODY {
                return Err(Problem::too_large(format!("the body unpacks to more than {MAX_BODY} bytes")));
            }
            Ok(Cow::Owned(unpacked))
        }
        other => Err(Problem::bad_request(format!("content-encoding: `{other}` is not `gzip` or none"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    #[test]
    fn a_body_is_unpacked_as_far_as_a_body_may_be_long() {
        let packed = |length: usize| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(&vec![b'a'; length]).and_then(|()| packer.finish()).unwrap_or_default()
        };
        let unpacked = |encoding, body: &[u8]| {
            unpacked(encoding, body).map(|body| body.len()).map_err(|problem| problem.status_code().as_u16())
        };
        assert_eq!(unpacked(None, b"abc"), Ok(3));
        assert_eq!(unpacked(Some("gzip"), &packed(70_000)), Ok(70_000));
        assert_eq!(unpacked(Some("gzip"), &packed(MAX_BODY)), Ok(MAX_BODY));
        assert_eq!(unpacked(Some("gzip"), &packed(MAX_BODY + 1)), Err(413));
        assert_eq!(unpacked(Some("gzip"), &packed(70_000)[..50]), Err(400));
        assert_eq!(unpacked(Some("br"), b"abc"), Err(400));
    }
}
