//! The hash chains over the ledger, its charges and the documents: each row has a place, and a link that is a digest of
//! the link before it and of the row's own content. `docs/EVIDENCE.md` is the definition of both.
//!
//! A row is linked in the statement that writes it. What a column holds later than that (the invoice of a charge, the state
//! of a document) is in no link of its row; the charges of a document are in the document's.

mod content;

pub(crate) use content::{CHARGES, Cell, Column, OUTCOMES, USAGE, hex, read_cells, select_list};

use crate::bulk::Kind;
use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use content::{IN_NO_LINK, INVOICES, LINES, array, content, open_content, write_json};
use sea_orm::{ConnectionTrait, Value};
use sha2::{Digest, Sha256};

/// What stands before the first row of a chain.
pub const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One table's rows, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// The ledger of outcomes.
    Outcomes,
    /// Their charges.
    Charges,
    /// Invoices and credit notes.
    Invoices,
}

impl Chain {
    /// All of them, in the order in which a row goes through them.
    pub const ALL: [Self; 3] = [Self::Outcomes, Self::Charges, Self::Invoices];

    /// Its name, which is its table's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcomes => "outcomes",
            Self::Charges => "charges",
            Self::Invoices => "invoices",
        }
    }

    /// The chain of this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chain| chain.as_str() == text)
    }

    fn no_drafts(self) -> &'static str {
        match self {
            Self::Invoices => " AND state <> 'draft'",
            Self::Outcomes | Self::Charges => "",
        }
    }

    /// The columns that name a row, and the one that says when it was written.
    fn key(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Outcomes => (&["customer", "case_id", "seq"], "posted_at"),
            Self::Charges => (&["customer", "case_id", "seq"], "rated_at"),
            Self::Invoices => (&["id"], "drafted_at"),
        }
    }
}

/// The link of a row: SHA-256 over the link before it, a line feed and the row's content.
pub fn link(before: &str, content: &[u8]) -> String {
    hex(&Sha256::new().chain_update(before).chain_update(b"\n").chain_update(content).finalize())
}

/// Takes the next `rows` places of a chain; whoever else writes to it waits until this transaction ends. Answers where the
/// chain ends so far.
async fn take_places(tx: &Tx, chain: Chain, rows: usize) -> Result<(i64, String), StoreError> {
    let sql = "UPDATE chains SET position = position + $2 WHERE name = $1 RETURNING position, link";
    let taken = i64::try_from(rows).unwrap_or(i64::MAX);
    let row = one(&tx.tx, sql, [chain.as_str().into(), taken.into()]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt(format!("chains: `{}` is not there", chain.as_str())))?;
    let position: i64 = row.try_get_by_index(0)?;
    Ok((position - taken, row.try_get_by_index(1)?))
}

async fn set_head(tx: &Tx, chain: Chain, link: &str) -> Result<(), StoreError> {
    let sql = "UPDATE chains SET link = $2 WHERE name = $1";
    run(&tx.tx, sql, [chain.as_str().into(), link.into()]).await?;
    Ok(())
}

/// Adds place and link to rows that are about to be inserted: `columns` are those of the insert, of which the last two are
/// `position` and `link`; `rows` hold all but these.
pub(crate) async fn append(
    tx: &Tx,
    chain: Chain,
    columns: &[(&'static str, Kind)],
    rows: &mut [Vec<Value>],
) -> Result<(), StoreError> {
    let linked = chain.columns();
    // A column that somebody adds to the insert and not to the content could be changed unnoticed.
    let is_known =
        |name: &str| IN_NO_LINK.contains(&name) || linked.iter().any(|(column, _)| *column == name);
    if let Some((name, _)) = columns.iter().find(|(name, _)| !is_known(name)) {
        return Err(StoreError::Corrupt(format!("{}.{name} is in no link", chain.as_str())));
    }
    if rows.is_empty() {
        return Ok(());
    }
    let places: Vec<Option<usize>> =
        linked.iter().map(|(name, _)| columns.iter().position(|(column, _)| column == name)).collect();
    let (mut position, mut before) = take_places(tx, chain, rows.len()).await?;
    for row in rows {
        let cell = |at: &Option<usize>| at.map_or(Ok(Cell::Null), |at| Cell::of(&row[at]));
        let cells = places.iter().map(cell).collect::<Result<Vec<_>, _>>()?;
        position += 1;
        before = link(&before, &content(chain, Some(position), &cells));
        row.extend([position.into(), before.as_str().into()]);
    }
    set_head(tx, chain, &before).await
}

/// Gives a document that has just become final, with its lines and all that is on it, its place and link.
pub(crate) async fn append_invoice(tx: &Tx, id: &str) -> Result<(), StoreError> {
    let (last, before) = take_places(tx, Chain::Invoices, 1).await?;
    let position = last + 1;
    let columns = select_list("i", INVOICES);
    let sql = format!("SELECT {columns} FROM invoices i WHERE i.id = $1");
    let row = one(&tx.tx, &sql, [id.into()]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt(format!("invoice `{id}` is not there")))?;
    let digests = Digests { charges: charges_digest(tx, id).await?, usage: usage_digest(tx, id).await? };
    let content = invoice_content(tx, Some(position), &read_cells(&row, 0, INVOICES)?, &digests).await?;
    let link = link(&before, &content);
    let sql =
        "UPDATE invoices SET position = $2, link = $3, charges_digest = $4, usage_digest = $5 WHERE id = $1";
    let values = [
        id.into(),
        position.into(),
        link.as_str().into(),
        digests.charges.as_str().into(),
        digests.usage.as_str().into(),
    ];
    run(&tx.tx, sql, values).await?;
    set_head(tx, Chain::Invoices, &link).await
}

/// What a document rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Digests {
    charges: String,
    usage: String,
}

async fn invoice_content(
    tx: &Tx,
    position: Option<i64>,
    cells: &[Cell<'_>],
    digests: &Digests,
) -> Result<Vec<u8>, StoreError> {
    let mut out = open_content(Chain::Invoices, position, cells);
    let Some(Cell::Text(id)) = cells.first() else {
        return Err(StoreError::Corrupt("an invoice without an id".into()));
    };
    let columns = select_list("l", LINES);
    let sql = format!("SELECT {columns} FROM invoice_lines l WHERE l.invoice_id = $1 ORDER BY l.number");
    out.extend_from_slice(b",[");
    for (nth, row) in all(&tx.tx, &sql, [id.as_ref().into()]).await?.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        let cells = read_cells(row, 0, LINES)?;
        out.extend(array(&cells.iter().collect::<Vec<_>>()));
    }
    out.push(b']');
    for digest in [&digests.charges, &digests.usage] {
        out.push(b',');
        write_json(&mut out, &Cell::Text(digest.into()));
    }
    out.push(b']');
    Ok(out)
}

/// How many rows are read at once to be digested.
const PAGE: i64 = 10_000;

/// The digest of the charges on a document, in the order of their chain. Those that are older than the chain come first: their
/// digests, sorted (32 bytes each are held in memory; the others are not held).
async fn charges_digest(tx: &Tx, invoice: &str) -> Result<String, StoreError> {
    let mut digest = Sha256::new();
    let mut older: Vec<([u8; 32], i64)> = Vec::new();
    let columns = select_list("c", CHARGES);
    let sql = format!(
        "SELECT {columns}, c.origin_at FROM charges c WHERE c.invoice_id = $1 AND c.position IS NULL \
         AND (c.case_id, c.seq) > ($2, $3) ORDER BY c.case_id, c.seq LIMIT $4"
    );
    let mut after = (String::new(), 0_i64);
    loop {
        let values = [invoice.into(), after.0.as_str().into(), after.1.into(), PAGE.into()];
        let rows = all(&tx.tx, &sql, values).await?;
        let Some(last) = rows.last() else { break };
        after = (last.try_get_by_index(1)?, last.try_get_by_index(2)?);
        for row in &rows {
            let content = content(Chain::Charges, None, &read_cells(row, 0, CHARGES)?);
            older.push((Sha256::digest(&content).into(), row.try_get_by_index(CHARGES.len())?));
        }
    }
    older.sort_unstable();
    for (row, origin_at) in older {
        digest.update(format!("- {} {origin_at}\n", hex(&row)));
    }
    let sql = "SELECT c.position, c.link, c.origin_at FROM charges c WHERE c.invoice_id = $1 AND c.position > $2 \
               ORDER BY c.position LIMIT $3";
    let mut after = 0_i64;
    loop {
        let rows = all(&tx.tx, sql, [invoice.into(), after.into(), PAGE.into()]).await?;
        let Some(last) = rows.last() else { break };
        after = last.try_get_by_index(0)?;
        for row in &rows {
            let (position, origin_at): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
            let link: Option<String> = row.try_get_by_index(1)?;
            digest.update(format!("{position} {} {origin_at}\n", link.unwrap_or_default()));
        }
    }
    Ok(hex(&digest.finalize()))
}

/// The digest of the usage on a document: of its rows' digests, sorted.
async fn usage_digest(tx: &Tx, invoice: &str) -> Result<String, StoreError> {
    let (mut rows, mut after) = (Vec::<[u8; 32]>::new(), String::new());
    loop {
        let page = usage_page(tx, invoice, &after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = last.clone();
        rows.extend(page.iter().map(|(_, content)| <[u8; 32]>::from(Sha256::digest(content))));
    }
    rows.sort_unstable();
    let mut digest = Sha256::new();
    for row in rows {
        digest.update(hex(&row));
        digest.update(b"\n");
    }
    Ok(hex(&digest.finalize()))
}

/// The contents of the usage on a document after an attempt's id, each with its attempt's.
pub(crate) async fn usage_page(
    tx: &Tx,
    invoice: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
    let columns = select_list("u", USAGE);
    let sql = format!(
        "SELECT {columns} FROM usage u WHERE u.invoice_id = $1 AND u.attempt_id > $2 ORDER BY u.attempt_id LIMIT $3"
    );
    let rows = all(&tx.tx, &sql, [invoice.into(), after.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| {
            let cells = read_cells(row, 0, USAGE)?;
            Ok((row.try_get_by_index(1)?, array(&cells.iter().collect::<Vec<_>>())))
        })
        .collect()
}

/// Where a chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which chain.
    pub chain: Chain,
    /// The place of its last row; 0 if it has none.
    pub position: i64,
    /// The link of its last row; [`START`] if it has none.
    pub link: String,
    /// How many rows of the table are older than the chain.
    pub unlinked: i64,
}

/// Where all chains end, in their order.
pub async fn heads(store: &Store) -> Result<Vec<Head>, StoreError> {
    heads_on(&store.db).await
}

/// The same within a transaction.
pub async fn heads_in(tx: &Tx) -> Result<Vec<Head>, StoreError> {
    heads_on(&tx.tx).await
}

async fn heads_on(on: &impl ConnectionTrait) -> Result<Vec<Head>, StoreError> {
    let mut heads = Vec::new();
    for row in all(on, "SELECT name, position, link, unlinked FROM chains", []).await? {
        let name: String = row.try_get_by_index(0)?;
        heads.push(Head {
            chain: known(Chain::parse(&name), "chain", &name)?,
            position: row.try_get_by_index(1)?,
            link: row.try_get_by_index(2)?,
            unlinked: row.try_get_by_index(3)?,
        });
    }
    heads.sort_by_key(|head| head.chain);
    Ok(heads)
}

/// A row of a chain, as it stands in its table now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// Which row, for people.
    pub key: String,
    /// Its place.
    pub position: i64,
    /// Its link.
    pub link: Option<String>,
    /// Its content.
    pub content: Vec<u8>,
    /// What else of it is not what it was: of a document, its charges and usage.
    pub changed: Vec<&'static str>,
}

/// The next rows of a chain after a place, in order.
pub async fn page(tx: &Tx, chain: Chain, after: i64, limit: u32) -> Result<Vec<Linked>, StoreError> {
    let columns = chain.columns();
    let more = if chain == Chain::Invoices { ", t.charges_digest, t.usage_digest" } else { "" };
    let sql = format!(
        "SELECT {}, t.position, t.link{more} FROM {} t WHERE t.position > $1 ORDER BY t.position LIMIT $2",
        select_list("t", columns),
        chain.as_str()
    );
    let mut page = Vec::new();
    for row in all(&tx.tx, &sql, [after.into(), i64::from(limit).into()]).await? {
        let cells = read_cells(&row, 0, columns)?;
        let position: i64 = row.try_get_by_index(columns.len())?;
        let mut changed = Vec::new();
        let content = match (chain, cells.first()) {
            (Chain::Invoices, Some(Cell::Text(id))) => {
                let digests =
                    Digests { charges: charges_digest(tx, id).await?, usage: usage_digest(tx, id).await? };
                let held = |at| row.try_get_by_index::<Option<String>>(columns.len() + at);
                if held(2)?.as_ref() != Some(&digests.charges) {
                    changed.push("the charges on it are not those that it was drafted with");
                }
                if held(3)?.as_ref() != Some(&digests.usage) {
                    changed.push("the usage on it is not what it was drafted with");
                }
                invoice_content(tx, Some(position), &cells, &digests).await?
            }
            _ => content(chain, Some(position), &cells),
        };
        let link = row.try_get_by_index(columns.len() + 1)?;
        page.push(Linked { key: key(chain, &cells), position, link, content, changed });
    }
    Ok(page)
}

fn key(chain: Chain, cells: &[Cell]) -> String {
    let parts = cells.iter().take(chain.key().0.len()).map(|cell| match cell {
        Cell::Text(text) => text.to_string(),
        Cell::Int(number) => number.to_string(),
        Cell::Null => "-".into(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// How many rows of a chain's table have no place in it. (Drafts do not count: they are to get one.)
pub async fn count_unlinked(tx: &Tx, chain: Chain) -> Result<i64, StoreError> {
    let sql = format!("SELECT COUNT(*) FROM {} WHERE position IS NULL{}", chain.as_str(), chain.no_drafts());
    match one(&tx.tx, &sql, []).await? {
        Some(row) => Ok(row.try_get_by_index(0)?),
        None => Ok(0),
    }
}

/// The rows that have no place in their chain, the newest first.
pub async fn unlinked(tx: &Tx, chain: Chain, limit: u32) -> Result<Vec<String>, StoreError> {
    let (columns, written_at) = chain.key();
    let columns = &chain.columns()[..columns.len()];
    let sql = format!(
        "SELECT {} FROM {} t WHERE t.position IS NULL{} ORDER BY t.{written_at} DESC LIMIT $1",
        select_list("t", columns),
        chain.as_str(),
        chain.no_drafts()
    );
    let rows = all(&tx.tx, &sql, [i64::from(limit).into()]).await?;
    rows.iter().map(|row| Ok(key(chain, &read_cells(row, 0, columns)?))).collect()
}

/// A row's place with what one needs to compute its link again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its place; `None`: it is older than the chain.
    pub position: Option<i64>,
    /// The link before it; `None` where there is none to be had.
    pub before: Option<String>,
    /// Its link.
    pub link: Option<String>,
    /// Its content: JSON.
    pub content: String,
}

impl Place {
    /// `before` is the link of the row at the place before, if there is such a row.
    pub(crate) fn new(
        chain: Chain,
        cells: &[Cell],
        position: Option<i64>,
        link: Option<String>,
        before: Option<String>,
    ) -> Result<Self, StoreError> {
        Self::with(content(chain, position, cells), position, link, before)
    }

    fn with(
        content: Vec<u8>,
        position: Option<i64>,
        link: Option<String>,
        before: Option<String>,
    ) -> Result<Self, StoreError> {
        let before = if position == Some(1) { Some(START.into()) } else { before };
        let content = String::from_utf8(content).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(Self { position, before, link, content })
    }
}

/// A document's place in its chain, and the digests of its charges and its usage.
pub async fn invoice_place(
    tx: &Tx,
    id: &str,
) -> Result<Option<(Place, Option<String>, Option<String>)>, StoreError> {
    let columns = select_list("i", INVOICES);
    let sql = format!(
        "SELECT {columns}, i.position, i.link, i.charges_digest, i.usage_digest, p.link \
         FROM invoices i LEFT JOIN invoices p ON p.position = i.position - 1 WHERE i.id = $1"
    );
    let Some(row) = one(&tx.tx, &sql, [id.into()]).await? else { return Ok(None) };
    let cells = read_cells(&row, 0, INVOICES)?;
    let n = INVOICES.len();
    let (position, link): (Option<i64>, Option<String>) =
        (row.try_get_by_index(n)?, row.try_get_by_index(n + 1)?);
    let (charges, usage): (Option<String>, Option<String>) =
        (row.try_get_by_index(n + 2)?, row.try_get_by_index(n + 3)?);
    let digests =
        Digests { charges: charges.clone().unwrap_or_default(), usage: usage.clone().unwrap_or_default() };
    let content = invoice_content(tx, position, &cells, &digests).await?;
    Ok(Some((Place::with(content, position, link, row.try_get_by_index(n + 4)?)?, charges, usage)))
}

/// A document's place and link, where it has one.
pub async fn link_of_invoice(store: &Store, id: &str) -> Result<Option<(i64, String)>, StoreError> {
    let sql = "SELECT position, link FROM invoices WHERE id = $1";
    let Some(row) = one(&store.db, sql, [id.into()]).await? else { return Ok(None) };
    let position: Option<i64> = row.try_get_by_index(0)?;
    Ok(position.zip(row.try_get_by_index(1)?))
}
