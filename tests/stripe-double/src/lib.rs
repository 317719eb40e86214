//! A stateful double of the part of Stripe that billing uses, over HTTP, for tests.
//!
//! It knows customers, invoices, invoice items, credit notes and events, keeps idempotency keys as Stripe does,
//! and makes faults on order. What it does not act on it refuses. Its traffic can be recorded as JSON lines, to be
//! checked against Stripe's own schema.
//!
//! Besides `/v1`, over HTTP: `GET /_double/state`; `POST /_double/reset`, `/_double/faults` (a [`Fault`]),
//! `/_double/random_faults` ([`RandomFaults`] or null), `/_double/clock` (`{"now": <Unix time or null>}`).

// An invoice has more fields than `json!` takes by default.
#![recursion_limit = "256"]

mod credit_notes;
mod customers;
mod disputes;
mod double;
mod error;
mod faults;
mod invoices;
mod items;
mod keys;
mod meters;
mod params;
mod server;
mod tax;
mod webhooks;
mod world;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use serde_json::Value;

pub use crate::double::Call;
pub use crate::faults::{Fault, FaultKind, RandomFaults};
use crate::server::Shared;
pub use crate::webhooks::{Delivery, sign};

/// A running double. It stops when dropped.
pub struct StripeDouble {
    /// Where it listens, such as `http://127.0.0.1:12345/`.
    pub base_url: String,
    shared: Shared,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl StripeDouble {
    /// Starts a double on a free port, for a test.
    ///
    /// # Panics
    ///
    /// If it cannot start, as no test can go on without it.
    pub fn start(record: Option<PathBuf>) -> Self {
        match Self::bind(0, record) {
            Ok(double) => double,
            Err(error) => panic!("the double of Stripe cannot start: {error}"),
        }
    }

    /// Starts a double on this port of the loopback address; on a free one for port 0. Its traffic is written to
    /// `record`, whose contents and missing folders make way.
    pub fn bind(port: u16, record: Option<PathBuf>) -> io::Result<Self> {
        let shared = Shared::default();
        if let Some(path) = record {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            shared.lock().record = Some(File::create(path)?);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let base_url = format!("http://{}/", listener.local_addr()?);
        let (send, receive) = mpsc::channel();
        let served = shared.clone();
        // Its own thread and runtime, so that it also works in a test that blocks its own.
        let thread = std::thread::spawn(move || {
            server::run(listener, served, move |handle| {
                // The receiver is only gone if this function is.
                let _ = send.send(handle);
            })
        });
        let handle = receive.recv().map_err(|_| io::Error::other("the server did not come up"))?;
        Ok(Self { base_url, shared, handle, thread: Some(thread) })
    }

    /// The customers as Stripe would show them, in the order of creation.
    pub fn customers(&self) -> Vec<Value> {
        self.objects("customers")
    }

    /// The invoices as Stripe would show them, in the order of creation.
    pub fn invoices(&self) -> Vec<Value> {
        self.objects("invoices")
    }

    /// The invoice items as Stripe would show them, in the order of creation.
    pub fn items(&self) -> Vec<Value> {
        self.objects("invoiceitems")
    }

    /// The credit notes as Stripe would show them, in the order of creation.
    pub fn credit_notes(&self) -> Vec<Value> {
        self.objects("credit_notes")
    }

    /// What happened, in order.
    pub fn events(&self) -> Vec<Value> {
        self.shared.lock().world.events.clone()
    }

    /// The calls to `/v1`, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// Orders faults, besides those already on order.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.lock().faults.scripted.extend(faults);
    }

    /// Makes calls go wrong at random, or stops doing so.
    pub fn random_faults(&self, random: Option<RandomFaults>) {
        self.shared.lock().faults.random = random;
    }

    /// Has the double's clock stand at this Unix time, or follow the wall clock again.
    pub fn set_clock(&self, now: Option<i64>) {
        self.shared.lock().clock = now;
    }

    /// Forgets the idempotency keys, as Stripe may after a day.
    pub fn forget_keys(&self) {
        self.shared.lock().keys.forget();
    }

    /// Forgets everything: objects, keys, calls, faults and clock.
    pub fn reset(&self) {
        self.shared.reset();
    }

    fn objects(&self, kind: &str) -> Vec<Value> {
        match self.shared.lock().world.state()[kind].take() {
            Value::Array(objects) => objects,
            _ => Vec::new(),
        }
    }
}

impl Drop for StripeDouble {
    fn drop(&mut self) {
        // The order to stop is given by the call itself; what it returns only waits for it.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
