//! Faults on order: which calls go wrong, and how.

use serde::{Deserialize, Serialize};

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// A 500 for a call that was not carried out. Like Stripe, the double repeats it for the same idempotency key.
    ErrorBeforeCommit,
    /// A 500 for a call that was carried out. It is repeated for the same key, too.
    ErrorAfterCommit,
    /// The call is carried out, but the answer comes late. Until then its idempotency key is in use.
    HangAfterCommit {
        /// How late, in milliseconds.
        ms: u64,
    },
    /// The connection closes without an answer.
    DropConnection {
        /// Whether the call was carried out.
        #[serde(default = "yes")]
        committed: bool,
    },
    /// A page of HTML with status 502, as from a gateway.
    #[serde(rename = "html_502")]
    Html502 {
        /// Whether the call was carried out.
        #[serde(default = "yes")]
        committed: bool,
    },
    /// A 429, before anything is carried out.
    RateLimited {
        /// Seconds, for the header `Retry-After`.
        retry_after: u64,
    },
}

/// A fault on order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The method it is for; any, if none.
    #[serde(default)]
    pub method: Option<String>,
    /// The path it is for, in which `*` stands for any one segment: `/v1/invoices/*/finalize`.
    pub path: String,
    /// How the call goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many such calls are let through first.
    #[serde(default)]
    pub skip: u32,
    /// How many calls go wrong then.
    #[serde(default = "once")]
    pub count: u32,
}

/// Faults of every kind at random, of which the same seed always makes the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RandomFaults {
    /// Where the sequence starts.
    pub seed: u64,
    /// How many of a thousand calls go wrong.
    pub per_mille: u64,
    /// How long late answers take, in milliseconds.
    #[serde(default)]
    pub hang_ms: u64,
}

fn yes() -> bool {
    true
}

fn once() -> u32 {
    1
}

impl Fault {
    /// A fault for the next call of this method and path.
    pub fn new(method: &str, path: &str, kind: FaultKind) -> Self {
        Self { method: Some(method.to_owned()), path: path.to_owned(), kind, skip: 0, count: 1 }
    }

    /// The same, after letting so many calls through.
    pub fn skip(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// The same, for so many calls.
    pub fn count(self, count: u32) -> Self {
        Self { count, ..self }
    }

    fn is_for(&self, method: &str, path: &str) -> bool {
        let (mut wanted, mut found) = (self.path.split('/'), path.split('/'));
        self.method.as_deref().is_none_or(|wanted| wanted == method)
            && loop {
                match (wanted.next(), found.next()) {
                    (None, None) => break true,
                    (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {}
                    _ => break false,
                }
            }
    }
}

/// The faults still to come.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub scripted: Vec<Fault>,
    pub random: Option<RandomFaults>,
    drawn: u64,
}

impl Plan {
    /// What is to go wrong with this call. Scripted faults go before random ones.
    pub fn next(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        for fault in self.scripted.iter_mut().filter(|fault| fault.is_for(method, path)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if fault.count > 0 {
                fault.count -= 1;
                let kind = fault.kind;
                self.scripted.retain(|fault| fault.count > 0);
                return Some(kind);
            }
        }
        let random = self.random?;
        self.drawn += 1;
        let number = scramble(random.seed.wrapping_add(scramble(self.drawn)));
        let kinds = [
            FaultKind::ErrorBeforeCommit,
            FaultKind::ErrorAfterCommit,
            FaultKind::HangAfterCommit { ms: random.hang_ms },
            FaultKind::DropConnection { committed: false },
            FaultKind::DropConnection { committed: true },
            FaultKind::Html502 { committed: false },
            FaultKind::Html502 { committed: true },
            FaultKind::RateLimited { retry_after: 1 },
        ];
        // Eight kinds: the three highest bits choose one.
        (number % 1000 < random.per_mille).then(|| kinds[(number >> 61) as usize])
    }
}

/// The finishing step of the splitmix64 generator: enough chance for this, and the same on every machine.
fn scramble(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
