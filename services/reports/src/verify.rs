//! The chains computed again from their first rows: what was changed, deleted or inserted since it was written is named.

use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use verdict_store::chain::{self, Chain, Head, Linked, START};
use verdict_store::{Store, StoreError, Tx};

/// How many rows are read at once; of documents fewer, for each brings its charges along.
const PAGE: u32 = 5_000;
const PAGE_OF_INVOICES: u32 = 20;
/// How many problems of a chain are told; what is beyond is counted.
const TOLD: usize = 1_000;

/// What a chain turned out to be.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Which chain.
    pub chain: &'static str,
    /// How many rows it has.
    pub rows: i64,
    /// How many rows of the table are older than the chain: they are not checked.
    pub unlinked: i64,
    /// The place of its last row.
    pub position: i64,
    /// The link of its last row.
    pub link: String,
    /// What does not fit, in order; the first thousand.
    pub problems: Vec<Misfit>,
    /// How many more there are.
    pub more: u64,
}

impl Verified {
    /// Whether all fits.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn tell(&mut self, key: Option<&str>, position: Option<i64>, what: impl Into<String>) {
        if self.problems.len() >= TOLD {
            self.more += 1;
            return;
        }
        let (table, key) = (self.chain, key.map(String::from));
        self.problems.push(Misfit { table, key, position, what: what.into() });
    }
}

/// A row that does not fit its chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misfit {
    /// Of which table.
    pub table: &'static str,
    /// Which row, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        if let Some(position) = self.position {
            write!(f, " {position}")?;
        }
        if let Some(key) = &self.key {
            write!(f, " ({key})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// A head as it was printed earlier: `outcomes:12:LINK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Which chain.
    pub chain: Chain,
    /// The place of the row that was its last then.
    pub position: i64,
    /// The link of that row.
    pub link: String,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.chain.as_str(), self.position, self.link)
    }
}

/// Reads heads as they are printed, with commas or blanks between them. The error names what cannot be read.
pub fn expected(text: &str) -> Result<Vec<Expected>, String> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let mut fields = part.splitn(3, ':');
            let chain = fields.next().and_then(Chain::parse);
            let position = fields.next().and_then(|text| text.parse().ok()).filter(|n: &i64| *n >= 0);
            let is_link =
                |text: &&str| text.len() == START.len() && text.bytes().all(|b| b.is_ascii_hexdigit());
            let link = fields.next().filter(is_link).map(str::to_ascii_lowercase);
            match (chain, position, link) {
                (Some(chain), Some(position), Some(link)) => Ok(Expected { chain, position, link }),
                _ => {
                    Err(format!("`{part}` is not a head such as outcomes:12:LINK, with a link of 64 digits"))
                }
            }
        })
        .collect()
}

/// Computes chains again and holds them against their heads, and against heads that were noted earlier. All is read at one
/// moment; nobody who writes has to wait. `progress` is told how far it is: the chain, rows done, rows in all.
pub async fn verify(
    store: &Store,
    chains: &[Chain],
    expected: &[Expected],
    mut progress: impl FnMut(Chain, i64, i64),
) -> Result<Vec<Verified>, StoreError> {
    let snapshot = store.snapshot().await?;
    let heads = chain::heads_in(&snapshot).await?;
    let mut verified = Vec::new();
    for chain in chains {
        let head = heads.iter().find(|head| head.chain == *chain);
        let head = head.ok_or_else(|| StoreError::Corrupt(format!("chains: no `{}`", chain.as_str())))?;
        verified.push(verify_one(&snapshot, head, expected, &mut progress).await?);
    }
    Ok(verified)
}

async fn verify_one(
    snapshot: &Tx,
    head: &Head,
    expected: &[Expected],
    progress: &mut impl FnMut(Chain, i64, i64),
) -> Result<Verified, StoreError> {
    let chain = head.chain;
    let limit = if chain == Chain::Invoices { PAGE_OF_INVOICES } else { PAGE };
    let expected = expected.iter().filter(|expected| expected.chain == chain);
    let mut walk = Walk {
        verified: Verified {
            chain: chain.as_str(),
            rows: 0,
            unlinked: chain::count_unlinked(snapshot, chain).await?,
            position: head.position,
            link: head.link.clone(),
            problems: Vec::new(),
            more: 0,
        },
        position: 0,
        before: Some(START.into()),
        suspect: None,
        expected: expected.map(|expected| (expected.position, expected.link.clone())).collect(),
    };
    loop {
        progress(chain, walk.position, head.position);
        let page = chain::page(snapshot, chain, walk.position, limit).await?;
        if page.is_empty() {
            break;
        }
        for row in page {
            walk.step(row);
        }
    }
    walk.end(head);
    let mut verified = walk.verified;
    let added = verified.unlinked - head.unlinked;
    if added > 0 {
        let limit = u32::try_from(added).unwrap_or(u32::MAX).min(100);
        for key in chain::unlinked(snapshot, chain, limit).await? {
            let what = "it has no place in the chain, and is more than there were when the chain began";
            verified.tell(Some(&key), None, what);
        }
    }
    if added < 0 {
        let what = format!("{} rows that are older than the chain are missing", -added);
        verified.tell(None, None, what);
    }
    Ok(verified)
}

/// How far a chain is computed.
struct Walk {
    verified: Verified,
    /// The place of the last row.
    position: i64,
    /// Its link; `None` after a gap.
    before: Option<String>,
    /// A row that does not fit: whether it was its content or its link that was changed is told by the next one.
    suspect: Option<Suspect>,
    expected: BTreeMap<i64, String>,
}

struct Suspect {
    key: String,
    position: i64,
    /// The link that it should have.
    computed: String,
}

const CONTENT: &str = "its content was changed";
const LINK: &str = "its link was changed";
const EITHER: &str = "its content, its link or its place was changed";

impl Walk {
    fn step(&mut self, row: Linked) {
        if row.position != self.position + 1 {
            self.resolve(EITHER);
            self.missing(self.position + 1, row.position - 1);
            self.before = None;
        }
        let stored = row.link.unwrap_or_default();
        let computed = self.before.as_ref().map(|before| chain::link(before, &row.content));
        let mut fits = computed.as_ref().is_none_or(|computed| *computed == stored);
        if let Some(suspect) = &self.suspect {
            let follows_computed = chain::link(&suspect.computed, &row.content) == stored;
            self.resolve(match (fits, follows_computed) {
                (true, _) => CONTENT,
                (false, true) => LINK,
                (false, false) => EITHER,
            });
            fits = fits || follows_computed;
        }
        let (key, position) = (row.key, row.position);
        for what in &row.changed {
            self.verified.tell(Some(&key), Some(position), *what);
        }
        if let Some(expected) = self.expected.remove(&position)
            && expected != stored
        {
            let what =
                format!("its link is not {expected}, as expected: what stands up to here was rewritten");
            self.verified.tell(Some(&key), Some(position), what);
        }
        // What a document rests on is in its content: it is told once.
        if let (false, Some(computed), true) = (fits, computed, row.changed.is_empty()) {
            self.suspect = Some(Suspect { key, position, computed });
        }
        self.verified.rows += 1;
        self.position = position;
        self.before = Some(stored);
    }

    fn resolve(&mut self, what: &str) {
        if let Some(Suspect { key, position, .. }) = self.suspect.take() {
            self.verified.tell(Some(&key), Some(position), what);
        }
    }

    fn missing(&mut self, from: i64, to: i64) {
        let what = match to - from {
            0 => "the row is missing".to_string(),
            more => format!("{} rows are missing, up to {to}", more + 1),
        };
        self.verified.tell(None, Some(from), what);
    }

    fn end(&mut self, head: &Head) {
        if let (Some(suspect), true) = (&self.suspect, self.position == head.position) {
            let computed = suspect.computed == head.link;
            let stored = self.before.as_ref() == Some(&head.link);
            self.resolve(match (stored, computed) {
                (true, _) => CONTENT,
                (false, true) => LINK,
                _ => EITHER,
            });
        } else if self.position == head.position && self.before.as_ref() != Some(&head.link) {
            self.verified.tell(None, Some(head.position), "the head's link is not that of the last row");
        }
        self.resolve(EITHER);
        if self.position < head.position {
            self.missing(self.position + 1, head.position);
        }
        if self.position > head.position {
            let what = format!("the head says that the chain ends at {}", head.position);
            self.verified.tell(None, Some(self.position), what);
        }
        for position in std::mem::take(&mut self.expected).into_keys().filter(|position| *position > 0) {
            let what =
                format!("a row with a known link is expected here, and the chain ends at {}", self.position);
            self.verified.tell(None, Some(position), what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_they_are_printed() {
        let heads = format!("outcomes:12:{START},charges:0:{}", START.replace('0', "A"));
        let read = expected(&heads).unwrap();
        let printed = read.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        assert_eq!(printed, heads.to_ascii_lowercase());
        for wrong in
            ["outcomes:1", "cases:1:00", "outcomes:-1:0", &format!("outcomes:x:{START}"), "outcomes:1:00"]
        {
            assert!(expected(wrong).unwrap_err().contains(wrong), "{wrong}");
        }
    }

    fn row(position: i64, before: &str, content: &str) -> Linked {
        let link = Some(chain::link(before, content.as_bytes()));
        let content = content.as_bytes().to_vec();
        Linked { key: format!("k{position}"), position, link, content, changed: Vec::new() }
    }

    fn problems(rows: Vec<Linked>, head: (i64, &str), expected: &[(i64, String)]) -> Vec<String> {
        let head = Head { chain: Chain::Outcomes, position: head.0, link: head.1.into(), unlinked: 0 };
        let (problems, more) = (Vec::new(), 0);
        let verified = Verified {
            chain: "outcomes",
            rows: 0,
            unlinked: 0,
            position: 0,
            link: String::new(),
            problems,
            more,
        };
        let expected = expected.iter().cloned().collect();
        let mut walk = Walk { verified, position: 0, before: Some(START.into()), suspect: None, expected };
        rows.into_iter().for_each(|row| walk.step(row));
        walk.end(&head);
        walk.verified.problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_was_done_to_a_chain_is_told() {
        let mut rows = Vec::new();
        let mut link = START.to_string();
        for position in 1..=5 {
            let row = row(position, &link, &format!("[{position}]"));
            link = row.link.clone().unwrap();
            rows.push(row);
        }
        let head = (5, link.as_str());
        assert_eq!(problems(rows.clone(), head, &[(3, rows[2].link.clone().unwrap())]), Vec::<String>::new());
        assert_eq!(problems(Vec::new(), (0, START), &[]), Vec::<String>::new());
        for at in [0, 2, 4] {
            let place = at + 1;
            let mut changed = rows.clone();
            changed[at].content = b"[]".to_vec();
            assert_eq!(problems(changed, head, &[]), [format!("outcomes {place} (k{place}): {CONTENT}")]);
            let mut relinked = rows.clone();
            relinked[at].link = Some(START.into());
            assert_eq!(problems(relinked, head, &[]), [format!("outcomes {place} (k{place}): {LINK}")]);
            let mut deleted = rows.clone();
            deleted.remove(at);
            assert_eq!(problems(deleted, head, &[]), [format!("outcomes {place}: the row is missing")]);
        }
        let mut swapped = rows.clone();
        let (second, third) = (rows[1].content.clone(), rows[2].content.clone());
        (swapped[1].content, swapped[2].content) = (third, second);
        assert_eq!(problems(swapped, head, &[]).len(), 2);
        // A shorter chain with a head that fits is sound, but for who knows an earlier head.
        let cut = (4, rows[3].link.as_deref().unwrap());
        assert_eq!(problems(rows[..4].to_vec(), cut, &[]), Vec::<String>::new());
        let told = problems(rows[..4].to_vec(), cut, &[(5, link.clone())]);
        assert_eq!(told, ["outcomes 5: a row with a known link is expected here, and the chain ends at 4"]);
        let told = problems(rows.clone(), head, &[(2, link.clone())]);
        assert!(told.len() == 1 && told[0].contains("rewritten"), "{told:?}");
        // A row behind the head.
        let told = problems(rows.clone(), cut, &[]);
        assert_eq!(told, ["outcomes 5: the head says that the chain ends at 4"]);
    }
}
