//! Resolutions, from the webhook to the verdict: verified, stored raw, mapped, and the cases judged.
//!
//! Owns: signatures, the wire form of a resolution, the steps *map* and *judge*.
//! Does not own: the HTTP door (it hands in headers and bytes), the rules (`domain`), SQL, prices.
//!
//! Invariants:
//! - Nothing that was not verified is stored; what was verified is stored byte for byte before it is answered.
//! - A delivery counts once, for ever, under the sender's own id.
//! - A step pulls its work from the database and commits effect and bookkeeping in one transaction. It can be run at
//!   any time, by anyone, any number of times.

mod event;
mod judge;
mod map;
mod signature;

pub use event::{ResolutionEvent, WebhookData, WebhookEvent, read_json, record};
pub use judge::judge_cases;
pub use map::{Refusal, map_deliveries, receive, replay};
pub use signature::{BadSignature, Source, SourceError};
