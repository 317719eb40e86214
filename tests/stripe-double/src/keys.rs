//! Idempotency keys: the answer to the first call with a key is the answer to all.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use crate::error::ApiError;
use crate::params::Params;

/// What a call is answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Value,
}

struct Kept {
    path: String,
    params: Params,
    answer: Answer,
    /// When the first call is answered; until then the key is in use.
    ready: Instant,
}

/// The keys seen so far.
#[derive(Default)]
pub(crate) struct Keys(HashMap<String, Kept>);

impl Keys {
    /// The answer kept for the key, if any; a refusal where the key was used for another call or is in use.
    pub fn find(&self, key: &str, path: &str, params: &Params) -> Result<Option<Answer>, ApiError> {
        let Some(kept) = self.0.get(key) else { return Ok(None) };
        if kept.path != path {
            return Err(ApiError::key_of_another_call(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for \
                 ('{path}' vs '{}'). Try using a key other than '{key}' if you meant to execute a different request.",
                kept.path
            )));
        }
        if kept.params != *params {
            return Err(ApiError::key_of_another_call(format!(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                 Try using a key other than '{key}' if you meant to execute a different request."
            )));
        }
        if kept.ready > Instant::now() {
            return Err(ApiError::key_in_use(key));
        }
        Ok(Some(kept.answer.clone()))
    }

    pub fn keep(&mut self, key: &str, path: &str, params: Params, answer: Answer, ready: Instant) {
        self.0.insert(key.to_owned(), Kept { path: path.to_owned(), params, answer, ready });
    }

    /// Forgets every key, as Stripe may after a day.
    pub fn forget(&mut self) {
        self.0.clear();
    }
}
