//! What goes out to a platform: the requests of fetches and polls, as data for whoever sends them.

use super::Source;
use super::ask::{Fetch, Method, Poll};
use super::operand::Scope;
use super::read::{Origin, setting_text};
use super::template::{Escape, Template};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use verdict_domain::time::{Span, Timestamp};

/// A request to a platform.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET` or `POST`.
    pub method: Method,
    /// The whole address, `https://` (or `http://`, where the source's settings say so).
    pub url: String,
    /// Names and values. There may be credentials in them.
    pub headers: Vec<(String, String)>,
    /// Of a `POST`.
    pub body: Option<String>,
    /// How long to wait for the answer.
    pub timeout: Span,
}

/// Headers bear credentials: only their names are shown.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let mut shown = f.debug_struct("HttpRequest");
        shown.field("method", &self.method.as_str()).field("url", &self.url).field("headers", &names);
        shown.field("timeout", &self.timeout).finish()
    }
}

/// A page of what a platform says happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollPage {
    /// The items, each as JSON.
    pub items: Vec<String>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// The parts that requests of fetches and polls have in common.
struct Outgoing<'a> {
    method: Method,
    headers: &'a BTreeMap<String, Template>,
    body: Option<&'a Template>,
    timeout: Span,
}

impl Source {
    /// How to ask the platform for more about an event, if it can be asked.
    pub fn fetch(&self) -> Option<&Fetch> {
        self.platform_rules().fetch.as_ref()
    }

    /// How to ask the platform what happened: `None` also where the source lacks a setting or credential for it.
    pub fn poll(&self) -> Option<&Poll> {
        let poll = self.platform_rules().poll.as_ref()?;
        self.unmet_by(&poll_templates(poll)).is_empty().then_some(poll)
    }

    /// The settings and credentials that fetches and polls need and the source does not have, such as
    /// `credentials.token`.
    pub fn unmet(&self) -> Vec<String> {
        let fetch = self.platform_rules().fetch.as_ref().map(fetch_templates);
        let poll = self.platform_rules().poll.as_ref().map(poll_templates);
        let mut unmet = self.unmet_by(&[fetch, poll].into_iter().flatten().flatten().collect::<Vec<_>>());
        unmet.sort();
        unmet.dedup();
        unmet
    }

    fn unmet_by(&self, templates: &[&Template]) -> Vec<String> {
        let names = templates.iter().flat_map(|template| template.names());
        let configured = names.filter(|name| !PLACES.contains(name));
        configured.filter_map(|name| self.configured(name).err()).collect()
    }

    /// The request that asks for more about an event. The error names what is missing.
    pub fn fetch_request(&self, origin: &Origin) -> Result<HttpRequest, String> {
        let fetch = self.fetch().ok_or("the platform cannot be asked: it has no [fetch]")?;
        let of_event = |value: &Option<String>, what: &str| {
            value.clone().ok_or_else(|| format!("{{{what}}} is not known of the event"))
        };
        let value = |name: &str| match name {
            "case_id" => of_event(&origin.case, name),
            "customer" => of_event(&origin.customer, name),
            "delivery_id" => Ok(origin.delivery_id.clone()),
            name => self.needed(name),
        };
        let url = fetch.url.render(Escape::Url, &value)?;
        let outgoing = Outgoing {
            method: fetch.method,
            headers: &fetch.headers,
            body: fetch.body.as_ref(),
            timeout: fetch.timeout,
        };
        request(outgoing, url, &value)
    }

    /// The request for a page of what happened from `since` (of which the overlap is taken off here) to `until`.
    /// `cursor` is what the page before gave as `next`.
    pub fn poll_request(
        &self,
        since: Timestamp,
        until: Timestamp,
        cursor: Option<&str>,
    ) -> Result<HttpRequest, String> {
        let poll = self.platform_rules().poll.as_ref();
        let poll = poll.ok_or("the platform cannot be asked: it has no [poll]")?;
        let since = Timestamp(since.0.saturating_sub(poll.overlap.0).max(0));
        let seconds = |time: Timestamp| time.0.div_euclid(1_000_000);
        let whole = |time: Timestamp| Timestamp(seconds(time).saturating_mul(1_000_000)).to_string();
        let value = |name: &str| match name {
            "since" => Ok(seconds(since).to_string()),
            "until" => Ok(seconds(until).to_string()),
            "since_rfc3339" => Ok(whole(since)),
            "until_rfc3339" => Ok(whole(until)),
            "cursor" => Ok(cursor.unwrap_or_default().to_string()),
            name => self.needed(name),
        };
        let first = poll.url.render(Escape::Url, &value)?;
        let (url, body) = match cursor {
            None => (first.clone(), poll.body.as_ref()),
            Some(_) => {
                let url = poll.next_url.as_ref().unwrap_or(&poll.url).render(Escape::Url, &value)?;
                let base = if url.starts_with('/') { origin_of(&first).unwrap_or_default() } else { "" };
                (format!("{base}{url}"), poll.next_body.as_ref().or(poll.body.as_ref()))
            }
        };
        // A cursor that is a whole address comes from outside; our credentials stay with the platform.
        if origin_of(&url) != origin_of(&first) {
            return Err(format!("the next page is not at {}", origin_of(&first).unwrap_or_default()));
        }
        request(
            Outgoing { method: poll.method, headers: &poll.headers, body, timeout: poll.timeout },
            url,
            &value,
        )
    }

    /// Reads a page that the platform answered.
    pub fn poll_page(&self, body: &[u8]) -> Result<PollPage, String> {
        let poll = self.platform_rules().poll.as_ref();
        let poll = poll.ok_or("the platform cannot be asked: it has no [poll]")?;
        let page: Value =
            serde_json::from_slice(body).map_err(|error| format!("the page is not JSON: {error}"))?;
        let found = poll.items.find(&page);
        let [Value::Array(items)] = found.as_slice() else {
            return Err("the page has no array where `items` points to".into());
        };
        let scope = Scope {
            body: &page,
            text: None,
            envelope: &page,
            event: None,
            header: &|_| None,
            settings: self.settings(),
            received: Timestamp::default(),
            raw: body,
        };
        let more = poll.more.as_ref().is_none_or(|more| more.holds(&scope));
        let next = poll.next.as_ref().filter(|_| more).and_then(|next| next.text(&scope));
        Ok(PollPage { items: items.iter().map(ToString::to_string).collect(), next })
    }

    fn needed(&self, name: &str) -> Result<String, String> {
        self.configured(name)
            .map_err(|missing| format!("{missing} is not set for the source `{}`", self.name()))
    }

    /// The value of a setting or credential; the error is its full name.
    fn configured(&self, name: &str) -> Result<String, String> {
        match name.strip_prefix("credential:") {
            Some(name) => self.credential(name).ok_or_else(|| format!("credentials.{name}")),
            None => setting_text(self.settings(), name).ok_or_else(|| format!("settings.{name}")),
        }
    }
}

/// What templates may name besides settings and credentials.
pub(crate) const PLACES: [&str; 8] =
    ["case_id", "customer", "delivery_id", "since", "until", "since_rfc3339", "until_rfc3339", "cursor"];

/// All templates of a fetch.
pub(crate) fn fetch_templates(fetch: &Fetch) -> Vec<&Template> {
    [&fetch.url].into_iter().chain(fetch.headers.values()).chain(&fetch.body).collect()
}

/// All templates of a poll.
pub(crate) fn poll_templates(poll: &Poll) -> Vec<&Template> {
    let bodies = [&poll.next_url, &poll.body, &poll.next_body];
    [&poll.url].into_iter().chain(poll.headers.values()).chain(bodies.into_iter().flatten()).collect()
}

fn request(
    outgoing: Outgoing,
    url: String,
    value: &dyn Fn(&str) -> Result<String, String>,
) -> Result<HttpRequest, String> {
    if origin_of(&url).is_none() || url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(format!("`{url}` is not an http(s) address"));
    }
    let mut headers = Vec::new();
    for (name, template) in outgoing.headers {
        let value = template.render(Escape::Plain, value)?;
        if value.chars().any(char::is_control) {
            return Err(format!("the header {name} would have control characters"));
        }
        headers.push((name.clone(), value));
    }
    let body = outgoing.body.map(|body| body.render(Escape::Json, value)).transpose()?;
    Ok(HttpRequest { method: outgoing.method, url, headers, body, timeout: outgoing.timeout })
}

/// Scheme, host and port of an address.
fn origin_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#', '\\']).next().filter(|host| !host.is_empty())?;
    matches!(scheme, "https" | "http").then(|| url.get(..scheme.len() + 3 + host.len())).flatten()
}

/// Whether an address (or a template's beginning) leaves this machine without encryption.
pub(crate) fn is_open(url: &str) -> bool {
    url.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let name =
            if host.starts_with('[') { host.split_inclusive(']').next() } else { host.split(':').next() };
        !matches!(name, Some("127.0.0.1" | "localhost" | "[::1]"))
    })
}
