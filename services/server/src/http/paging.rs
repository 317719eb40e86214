//! Lists in pages, in the address: where a page begins, and where the next one does.

use super::problem::Problem;
use actix_web::http::header::{HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use verdict_reports::pages::{Turn, encoded};

/// Of a list that takes nothing else.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParams {
    /// Where the page before ended: as its `Link` says.
    pub after: Option<String>,
}

/// Reads where the page before ended.
pub(super) fn place<T: DeserializeOwned>(after: Option<&str>) -> Result<Option<T>, Problem> {
    let read = |text: &str| {
        // PostgreSQL's texts hold no NUL, so no page ended there.
        let read = if text.contains("\\u0000") { None } else { serde_json::from_str(text).ok() };
        read.ok_or_else(|| {
            Problem::unprocessable(
                "after: is not where a page ended: take it as a page gave it, or leave it out".into(),
            )
        })
    };
    after.filter(|text| !text.is_empty()).map(read).transpose()
}

/// Where a page ended, as [`place`] reads it.
pub(super) fn told(place: impl Serialize) -> String {
    // Numbers and texts: this cannot fail to serialise.
    serde_json::to_string(&place).unwrap_or_default()
}

/// Cuts what was read for a page, one more than it holds, to the page; and says where it ended if there is more.
pub(super) fn cut<T, P: Serialize>(read: &mut Vec<T>, holds: u32, place: impl Fn(&T) -> P) -> Option<String> {
    let has_more = read.len() > holds as usize;
    read.truncate(holds as usize);
    read.last().filter(|_| has_more).map(|last| told(place(last)))
}

/// Where a page stands that began after this.
pub(super) fn turn(after: Option<&str>, next: Option<String>) -> Turn {
    Turn { is_later: after.is_some_and(|after| !after.is_empty()), next }
}

/// A list as JSON; where it goes on is said by the header `Link` (RFC 8288), `rel="next"`.
pub(super) fn listed(request: &HttpRequest, list: impl Serialize, next: Option<String>) -> HttpResponse {
    let mut response = HttpResponse::Ok().json(list);
    let Some(next) = next else { return response };
    let kept =
        request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("after="));
    let after = format!("after={}", encoded(&next));
    let query: Vec<&str> = kept.chain([after.as_str()]).collect();
    let link = format!("<{}?{}>; rel=\"next\"", request.path(), query.join("&"));
    // An address that came in is one that can go out.
    if let Ok(link) = HeaderValue::from_str(&link) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// Takes the number of a page (`page`, the first being 1) out of a query; the rest of it is what else was asked for.
pub(super) fn numbered(query: &str) -> Result<(usize, String), Problem> {
    let (pages, rest): (Vec<&str>, Vec<&str>) =
        query.split('&').filter(|pair| !pair.is_empty()).partition(|pair| pair.starts_with("page="));
    let number = match pages.last().and_then(|pair| pair.strip_prefix("page=")) {
        None | Some("") => 1,
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Problem::unprocessable(format!("page: `{text}` is not a number from 1 on")))?,
    };
    Ok((number, rest.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_page_is_taken_out() {
        let read = |query| numbered(query).map_err(|problem| problem.detail().to_string());
        assert_eq!(read(""), Ok((1, String::new())));
        assert_eq!(read("from=a&page=3&by=b"), Ok((3, "from=a&by=b".into())));
        assert_eq!(read("page="), Ok((1, String::new())));
        for wrong in ["page=0", "page=-1", "page=x", "page=99999999999999999999999"] {
            assert!(read(wrong).is_err_and(|detail| detail.starts_with("page: ")), "{wrong}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_told() {
        let text = told((1_i64, "a\"b"));
        let read: Option<(i64, String)> = place(Some(&text)).unwrap_or_default();
        assert_eq!(read, Some((1, "a\"b".to_string())));
        assert!(place::<(i64, String)>(Some("")).is_ok_and(|place| place.is_none()));
        for wrong in ["x", "[1]", "[\"a\",1]", "{}"] {
            assert!(
                place::<(i64, String)>(Some(wrong)).is_err_and(|error| error.detail().starts_with("after: "))
            );
        }
    }
}
