//! Attempts, from the wire to the fact: decoded, validated, priced and recorded in batches.
//!
//! Owns: the wire forms of the attempt event (JSON, protobuf, CloudEvents, CSV) and of what attempts are made of (spans of
//! OpenTelemetry, logs of a LiteLLM proxy), their limits, the price books, and how a call is priced by them; the CSV of a
//! provider's bill.
//! Does not own: the queue and the HTTP door (they hand in bytes), SQL, the judging of cases.
//!
//! Invariants:
//! - One door or the other, it is the same code: [`decode`], then [`record`].
//! - One bad event never stops its neighbours; what the queue brought and cannot be recorded is parked
//!   with its raw bytes. Of what telemetry brought the newest is kept, within bounds, and what goes is counted.
//! - A cost is frozen when the attempt is recorded, with what priced it; an unknown one stays unknown. What it is under another
//!   book is posted beside it, as a difference ([`reprice`]).
//! - Prices are integers. A book, once it is stored, never changes; another one counts only after its activation.

mod accept;
mod bill;
mod litellm;
mod names;
mod price;
mod record;
mod reprice;
mod spans;
mod table;
mod telemetry;
mod wire;

pub use bill::{BillColumns, BillError, BillFile, read_bill};
pub use litellm::{LITELLM, decode_logs};
pub use price::books::{self, BookError};
pub use price::{
    BOOK_DIGEST, BOOK_VERSION, Card, Compared, Diff, Found, ModelChange, OverrideRequest, PriceBook, Priced,
    PricesRequest, Quote, Rates, Reading, Step, UNITS, UnitChange, Unread, disagreements, quotes,
    tell_override,
};
pub use record::{Message, Outcome, Parking, record, record_messages, record_or_park, replay};
pub use reprice::{RepriceError, Repriced, RepricedModel, reprice};
pub use spans::{Export, SPAN, decode_export, encode_answer, otlp};
pub use table::{CSV, Record, Records, Table, column_names};
pub use wire::{
    AmountEvent, AttemptEvent, CLOUD_EVENTS, Event, JSON, MAX_BATCH, NamedAmountEvent, PROTOBUF, UsageEvent,
    decode, proto,
};
