//! What one call goes through: the secret key, the faults on order, the idempotency key, the world, the record.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::faults::{FaultKind, Plan};
use crate::keys::{Answer, Keys};
use crate::params::Params;
use crate::world::World;

/// One call as it went over the wire.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// `GET`, `POST` or `DELETE`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As sent.
    pub query: String,
    /// As sent.
    pub body: String,
    /// As sent.
    pub idempotency_key: Option<String>,
    /// None where the connection was closed instead.
    pub status: Option<u16>,
    /// The JSON that was answered; null for anything else.
    pub response: Value,
}

pub(crate) struct Incoming {
    pub method: String,
    pub path: String,
    pub query: String,
    pub body: String,
    pub key: Option<String>,
    pub authorization: Option<String>,
}

pub(crate) enum Wire {
    Json { answer: Answer, replayed: bool, retry_after: Option<u64> },
    Html502,
    Nothing,
}

pub(crate) struct Outgoing {
    pub wire: Wire,
    pub delay: Duration,
}

impl From<Wire> for Outgoing {
    fn from(wire: Wire) -> Self {
        Self { wire, delay: Duration::ZERO }
    }
}

impl From<ApiError> for Answer {
    fn from(error: ApiError) -> Self {
        Self { status: error.status, body: error.body() }
    }
}

impl From<ApiError> for Outgoing {
    fn from(error: ApiError) -> Self {
        Wire::Json { answer: error.into(), replayed: false, retry_after: None }.into()
    }
}

#[derive(Default)]
pub(crate) struct Double {
    pub world: World,
    pub faults: Plan,
    pub keys: Keys,
    pub calls: Vec<Call>,
    /// A time at which the double's clock stands still.
    pub clock: Option<i64>,
    pub record: Option<File>,
}

impl Double {
    pub fn answer(&mut self, incoming: Incoming) -> Outgoing {
        let outgoing = self.take(&incoming).unwrap_or_else(Outgoing::from);
        let (status, response) = match &outgoing.wire {
            Wire::Json { answer, .. } => (Some(answer.status), answer.body.clone()),
            Wire::Html502 => (Some(502), Value::Null),
            Wire::Nothing => (None, Value::Null),
        };
        let Incoming { method, path, query, body, key, .. } = incoming;
        let call = Call { method, path, query, body, idempotency_key: key, status, response };
        self.write_down(&call);
        self.calls.push(call);
        outgoing
    }

    fn take(&mut self, incoming: &Incoming) -> Result<Outgoing, ApiError> {
        let Incoming { method, path, .. } = incoming;
        authorize(incoming.authorization.as_deref())?;
        let posted = method == "POST";
        let params = Params::parse(if posted { &incoming.body } else { &incoming.query })?;

        let fault = self.faults.next(method, path);
        match fault {
            Some(FaultKind::RateLimited { retry_after }) => {
                let answer = ApiError::rate_limited().into();
                return Ok(Wire::Json { answer, replayed: false, retry_after: Some(retry_after) }.into());
            }
            Some(FaultKind::DropConnection { committed: false }) => return Ok(Wire::Nothing.into()),
            Some(FaultKind::Html502 { committed: false }) => return Ok(Wire::Html502.into()),
            _ => {}
        }
        let delay = match fault {
            Some(FaultKind::HangAfterCommit { ms }) => Duration::from_millis(ms),
            _ => Duration::ZERO,
        };

        let key = incoming.key.as_deref().filter(|_| posted);
        let kept = key.map(|key| self.keys.find(key, path, &params)).transpose()?.flatten();
        let replayed = kept.is_some();
        let answer = kept.unwrap_or_else(|| self.carry_out(incoming, params, key, fault, delay));

        let wire = match fault {
            Some(FaultKind::DropConnection { .. }) => Wire::Nothing,
            Some(FaultKind::Html502 { .. }) => Wire::Html502,
            _ => Wire::Json { answer, replayed, retry_after: None },
        };
        Ok(Outgoing { wire, delay })
    }

    fn carry_out(
        &mut self,
        incoming: &Incoming,
        params: Params,
        key: Option<&str>,
        fault: Option<FaultKind>,
        delay: Duration,
    ) -> Answer {
        self.world.now = self.clock.unwrap_or_else(wall_clock);
        self.world.key = incoming.key.clone();
        let result = match fault {
            Some(FaultKind::ErrorBeforeCommit) => Err(ApiError::internal()),
            Some(FaultKind::ErrorAfterCommit) => self
                .world
                .call(&incoming.method, &incoming.path, params.clone())
                .and_then(|_| Err(ApiError::internal())),
            _ => self.world.call(&incoming.method, &incoming.path, params.clone()),
        };
        let kept = result.as_ref().map_or_else(|error| error.kept, |_| true);
        let answer = result.map_or_else(Answer::from, |body| Answer { status: 200, body });
        if let Some(key) = key.filter(|_| kept) {
            self.keys.keep(key, &incoming.path, params, answer.clone(), Instant::now() + delay);
        }
        answer
    }

    fn write_down(&mut self, call: &Call) {
        let Some(file) = &mut self.record else { return };
        let written = serde_json::to_string(call)
            .map_err(std::io::Error::from)
            .and_then(|line| file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written {
            eprintln!("stripe-double: the traffic could not be recorded: {error}");
        }
    }
}

fn authorize(authorization: Option<&str>) -> Result<(), ApiError> {
    let Some(key) = authorization.and_then(|value| value.strip_prefix("Bearer ")) else {
        return Err(ApiError::unauthorized("You did not provide an API key."));
    };
    if key.strip_prefix("sk_test_").is_some_and(|rest| !rest.is_empty()) {
        return Ok(());
    }
    // Never repeat the key: it may be one that moves real money.
    Err(ApiError::unauthorized("Invalid API Key provided. The double takes test keys only."))
}

// The double stands for a foreign system, whose clock is not ours to inject; where it matters, `Double::clock` is set.
#[allow(clippy::disallowed_methods)]
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
