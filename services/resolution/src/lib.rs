//! Resolutions, from the webhook to the verdict: verified, stored raw, mapped, and the cases judged.
//!
//! Owns: the schemes, platforms and sources of webhooks (all of them data), the wire form of a resolution, disputes, the
//! steps *map*, *fetch*, *poll*, *watch* and *judge*, rebuilding the figures, the secrets of sources.
//! Does not own: the HTTP door (it hands in headers and bytes), the rules (`domain`), SQL, prices.
//!
//! Invariants:
//! - Nothing that was not verified counts; what was verified is stored byte for byte before it is answered, and what was
//!   not is kept aside within bounds.
//! - A delivery counts once, for ever, under the sender's own id.
//! - How a delivery is read is a function of its bytes and the configuration: it can be read again.
//! - A step pulls its work from the database and commits effect and bookkeeping in one transaction. It can be run at
//!   any time, by anyone, any number of times.

mod ask;
mod dispute;
mod event;
mod fetch;
mod judge;
mod map;
mod rebuild;
mod receive;
mod seal;
pub mod source;
mod watch;

pub use ask::Client;
pub use dispute::{DisputeDecision, DisputeRequest, NotDisputed, Taken, decide_dispute, raise_dispute};
pub use event::{ResolutionEvent, ValueEvent, WebhookData, WebhookEvent, read_json, record};
pub use fetch::{fetch_next, poll_if_due};
pub use judge::judge_cases;
pub use map::{map_deliveries, replay};
pub use rebuild::rebuild_figures;
pub use receive::{Arrival, Refusal, look_at, release};
pub use seal::{SealError, SealKey};
pub use source::Source;
pub use watch::{allowed_silence, watch_sources};

/// The sources that are configured, by name.
pub type Sources = std::collections::BTreeMap<String, Source>;
