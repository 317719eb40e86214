//! The one source of time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use verdict_domain::time::Timestamp;

/// The wall clock, or a test clock that stands until it is moved forward.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    test: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// A test clock.
    pub fn test(start: Timestamp) -> Self {
        Self { test: Some(Arc::new(AtomicI64::new(start.0))) }
    }

    /// Whether it is one.
    pub fn is_test(&self) -> bool {
        self.test.is_some()
    }

    /// The time of the service.
    pub fn now(&self) -> Timestamp {
        match &self.test {
            Some(time) => Timestamp(time.load(Ordering::SeqCst)),
            None => wall_clock(),
        }
    }

    /// Moves a test clock forward; it never goes back. `false`: this is none.
    pub fn advance_to(&self, time: Timestamp) -> bool {
        if let Some(test) = &self.test {
            test.fetch_max(time.0, Ordering::SeqCst);
        }
        self.test.is_some()
    }
}

/// The time outside: for leases, logins and waits, which a test clock must not stop.
#[allow(clippy::disallowed_methods)]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
