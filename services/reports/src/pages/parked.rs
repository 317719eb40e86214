//! The page of what could not be processed.

use super::paging::{Links, Turn};
use super::{grouped, length, moment};
use askama::Template;
use verdict_store::parked::Listed;

#[derive(Template)]
#[template(path = "parked.html")]
struct Page<'a> {
    items: &'a [Listed],
    total: i64,
    dropped: i64,
    said: Option<&'a Said>,
    turn: Links,
}

/// Beyond so many, things are not counted.
pub const COUNTED: u32 = 10_000;

/// What came of trying something again.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether it is done, or in line to be.
    pub went_well: bool,
    /// In words.
    pub text: String,
}

/// A page of what is parked, each with a button and the command that replays it; of `total`, which is counted up to one more
/// than [`COUNTED`]; and how much telemetry is `dropped`.
pub fn parked(
    items: &[Listed],
    total: i64,
    dropped: i64,
    said: Option<&Said>,
    turn: &Turn,
) -> Result<String, askama::Error> {
    Page { items, total, dropped, said, turn: turn.links("/parked", &[]) }.render()
}

impl Page<'_> {
    fn total(&self) -> String {
        let counted = i64::from(COUNTED);
        if self.total > counted { format!("More than {}", grouped(&counted)) } else { grouped(&self.total) }
    }
}

/// How much of a body is shown.
const SHOWN_BYTES: usize = 200;

/// The first bytes as text; what is none, or cannot be seen, is replaced.
fn beginning(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]);
    let seen = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
    text.chars().map(|letter| if seen(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect()
}
