//! The parameters of a call, taken one by one by the code that understands them.

use std::collections::BTreeMap;

use actix_web::web::Query;

use crate::error::ApiError;

type Result<T> = std::result::Result<T, ApiError>;

/// Parameters by their names as sent, such as `metadata[verdict_line]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Params(BTreeMap<String, String>);

/// Bounds on a time of creation, both inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    least: i64,
    most: i64,
}

impl Range {
    pub fn holds(&self, time: i64) -> bool {
        (self.least..=self.most).contains(&time)
    }
}

impl Params {
    /// Reads a query string or a form.
    pub fn parse(text: &str) -> Result<Self> {
        Query::<Vec<(String, String)>>::from_query(text)
            .map(|pairs| Self(pairs.into_inner().into_iter().collect()))
            .map_err(|error| ApiError::parameter("parameter_invalid_string_blank", "", error.to_string()))
    }

    /// An optional text; an empty one counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|text| !text.is_empty())
    }

    pub fn needed(&mut self, name: &str) -> Result<String> {
        match self.0.remove(name) {
            None => Err(ApiError::parameter(
                "parameter_missing",
                name,
                format!("Missing required param: {name}."),
            )),
            Some(text) if text.is_empty() => Err(ApiError::parameter(
                "parameter_invalid_empty",
                name,
                format!("You passed an empty string for '{name}'."),
            )),
            Some(text) => Ok(text),
        }
    }

    pub fn one_of(&mut self, name: &str, ways: &[&'static str]) -> Result<Option<&'static str>> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        match ways.iter().find(|way| **way == text) {
            Some(way) => Ok(Some(way)),
            None => Err(ApiError::parameter(
                "parameter_unknown",
                name,
                format!("Invalid {name}: must be one of {}", ways.join(", ")),
            )),
        }
    }

    pub fn integer(&mut self, name: &str) -> Result<Option<i64>> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            ApiError::parameter("parameter_invalid_integer", name, format!("Invalid integer: {text}"))
        })
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>> {
        Ok(self.one_of(name, &["true", "false"])?.map(|text| text == "true"))
    }

    pub fn currency(&mut self, name: &str) -> Result<Option<String>> {
        let Some(text) = self.0.remove(name) else { return Ok(None) };
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(Some(text.to_ascii_lowercase()));
        }
        Err(ApiError::parameter("parameter_invalid_string", name, format!("Invalid currency: {text}")))
    }

    /// `metadata[...]`, within the bounds that Stripe sets.
    pub fn metadata(&mut self) -> Result<BTreeMap<String, String>> {
        let names: Vec<String> =
            self.0.keys().filter(|name| name.starts_with("metadata[")).cloned().collect();
        let mut metadata = BTreeMap::new();
        for name in names {
            let value = self.0.remove(&name).unwrap_or_default();
            let key = name.trim_start_matches("metadata[").trim_end_matches(']').to_owned();
            let wrong = |what: &str| Err(ApiError::parameter("metadata_invalid", &name, what));
            if key.is_empty() || key.len() > 40 || key.contains(['[', ']']) {
                return wrong("Metadata keys must be 1 to 40 characters long and without brackets.");
            }
            if value.chars().count() > 500 {
                return wrong("Metadata values can have up to 500 characters.");
            }
            metadata.insert(key, value);
        }
        if metadata.len() > 50 {
            return Err(ApiError::parameter(
                "metadata_invalid",
                "metadata",
                "You may have up to 50 metadata keys.",
            ));
        }
        Ok(metadata)
    }

    /// `created=` or `created[gt|gte|lt|lte]=`.
    pub fn created(&mut self) -> Result<Range> {
        if let Some(exact) = self.integer("created")? {
            return Ok(Range { least: exact, most: exact });
        }
        let mut range = Range { least: i64::MIN, most: i64::MAX };
        if let Some(time) = self.integer("created[gte]")? {
            range.least = time;
        }
        if let Some(time) = self.integer("created[gt]")? {
            range.least = range.least.max(time.saturating_add(1));
        }
        if let Some(time) = self.integer("created[lte]")? {
            range.most = time;
        }
        if let Some(time) = self.integer("created[lt]")? {
            range.most = range.most.min(time.saturating_sub(1));
        }
        Ok(range)
    }

    /// Refuses what nobody has taken: Stripe does so with names it does not know, and the double also with those
    /// it does not act on, rather than letting a caller believe that they worked.
    pub fn end(self) -> Result<()> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::parameter(
                "parameter_unknown",
                &name,
                format!("Received unknown parameter (or one that the double does not act on): {name}"),
            )),
        }
    }
}
