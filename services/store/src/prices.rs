//! Price books that were imported, which of them is active, and what goes before it. Rows are only ever added.

use crate::connect::{Store, StoreError, Tx, all, known, one, run};
use sea_orm::{QueryResult, Value};
use verdict_domain::attempt::ServiceTier;
use verdict_domain::time::Timestamp;

/// A book as it was imported, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Name and version, with a `/` between them.
    pub id: String,
    /// SHA-256 of the content, in hex.
    pub digest: String,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Stores a book for ever. `false`: the very same is there already; refused if another is there under its id.
pub async fn import(tx: &Tx, book: &Imported, content: &[u8]) -> Result<bool, StoreError> {
    let sql = "INSERT INTO price_books (id, digest, content, imported_at, imported_by) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO NOTHING";
    let values = [
        book.id.as_str().into(),
        book.digest.as_str().into(),
        content.to_vec().into(),
        book.at.0.into(),
        book.by.as_str().into(),
    ];
    if run(&tx.tx, sql, values).await? > 0 {
        return Ok(true);
    }
    let sql = "SELECT digest FROM price_books WHERE id = $1";
    let there: Option<String> = match one(&tx.tx, sql, [book.id.as_str().into()]).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    };
    if there.as_deref() == Some(book.digest.as_str()) {
        return Ok(false);
    }
    Err(StoreError::Refused(format!("another price book `{}` is there", book.id)))
}

/// The books that were imported, in the order of their ids.
pub async fn imported(store: &Store) -> Result<Vec<Imported>, StoreError> {
    let sql = "SELECT id, digest, imported_at, imported_by FROM price_books ORDER BY id";
    all(&store.db, sql, []).await?.iter().map(read_imported).collect()
}

fn read_imported(row: &QueryResult) -> Result<Imported, StoreError> {
    Ok(Imported {
        id: row.try_get_by_index(0)?,
        digest: row.try_get_by_index(1)?,
        at: Timestamp(row.try_get_by_index(2)?),
        by: row.try_get_by_index(3)?,
    })
}

/// A book that was imported, and its content.
pub async fn content(store: &Store, id: &str) -> Result<Option<(Imported, Vec<u8>)>, StoreError> {
    let sql = "SELECT id, digest, imported_at, imported_by, content FROM price_books WHERE id = $1";
    let row = one(&store.db, sql, [id.into()]).await?;
    row.as_ref().map(|row| Ok((read_imported(row)?, row.try_get_by_index(4)?))).transpose()
}

/// That a book was made the one that prices attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Which book.
    pub book: String,
    /// SHA-256 of the list of changes that was shown before, in hex.
    pub diff: String,
    /// Since when.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Makes a book the active one.
pub async fn activate(tx: &Tx, activation: &Activation) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO price_activations (book, diff, activated_at, activated_by) VALUES ($1, $2, $3, $4)";
    let Activation { book, diff, at, by } = activation;
    run(&tx.tx, sql, [book.as_str().into(), diff.as_str().into(), at.0.into(), by.as_str().into()]).await?;
    Ok(())
}

/// All activations, the first first.
pub async fn activations(store: &Store) -> Result<Vec<Activation>, StoreError> {
    let sql = "SELECT book, diff, activated_at, activated_by FROM price_activations ORDER BY seq";
    let read = |row: &QueryResult| {
        Ok(Activation {
            book: row.try_get_by_index(0)?,
            diff: row.try_get_by_index(1)?,
            at: Timestamp(row.try_get_by_index(2)?),
            by: row.try_get_by_index(3)?,
        })
    };
    all(&store.db, sql, []).await?.iter().map(read).collect()
}

/// What says whether prices have changed: the active book (`None`: the one that is built in) and the last override.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// The book that was activated last.
    pub active: Option<String>,
    /// How many overrides there are.
    pub overrides: i64,
}

/// The state of prices. Cheap: asked for every other second.
pub async fn state(store: &Store) -> Result<State, StoreError> {
    let sql = "SELECT (SELECT book FROM price_activations ORDER BY seq DESC LIMIT 1), (SELECT COUNT(*) FROM price_overrides)";
    match one(&store.db, sql, []).await? {
        Some(row) => Ok(State { active: row.try_get_by_index(0)?, overrides: row.try_get_by_index(1)? }),
        None => Ok(State::default()),
    }
}

/// Prices of one's own, in nanos of US dollars per million tokens; `request` in nanos per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnPrices {
    /// Input.
    pub input: i64,
    /// What is read from the cache; `None`: as input.
    pub cached_input: Option<i64>,
    /// What is written to the cache; `None`: as input.
    pub cache_write: Option<i64>,
    /// What of it is kept for an hour; `None`: as what is written.
    pub cache_write_1h: Option<i64>,
    /// Output.
    pub output: i64,
    /// Reasoning; `None`: as output.
    pub reasoning: Option<i64>,
    /// Each request.
    pub request: i64,
}

/// Prices that go before the book's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Its own, the same when it is sent again.
    pub id: String,
    /// For one customer; `None`: for all.
    pub customer: Option<String>,
    /// As attempts name it.
    pub provider: String,
    /// As attempts name it.
    pub model: String,
    /// Which of the provider's services.
    pub tier: ServiceTier,
    /// From when on.
    pub from: Timestamp,
    /// Until when, itself excluded; `None`: for good.
    pub to: Option<Timestamp>,
    /// The prices. `None`: as if there were none, as far as this row reaches.
    pub prices: Option<OwnPrices>,
    /// What for.
    pub note: Option<String>,
}

/// Who recorded an override, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
}

const OVERRIDE: &str = "id, customer, provider, model, service_tier, from_at, to_at, input_nanos, cached_input_nanos, \
     cache_write_nanos, cache_write_1h_nanos, output_nanos, reasoning_nanos, request_nanos, note, recorded_at, recorded_by";

/// Records an override for ever. `false`: the very same is there already; refused if another is there under its id.
pub async fn record_override(tx: &Tx, new: &Override, recorded: &Recorded) -> Result<bool, StoreError> {
    let sql = format!(
        "INSERT INTO price_overrides ({OVERRIDE}) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (id) DO NOTHING"
    );
    let prices = new.prices;
    let values: [Value; 17] = [
        new.id.as_str().into(),
        new.customer.clone().into(),
        new.provider.as_str().into(),
        new.model.as_str().into(),
        new.tier.as_str().into(),
        new.from.0.into(),
        new.to.map(|at| at.0).into(),
        prices.map(|prices| prices.input).into(),
        prices.and_then(|prices| prices.cached_input).into(),
        prices.and_then(|prices| prices.cache_write).into(),
        prices.and_then(|prices| prices.cache_write_1h).into(),
        prices.map(|prices| prices.output).into(),
        prices.and_then(|prices| prices.reasoning).into(),
        prices.map(|prices| prices.request).into(),
        new.note.clone().into(),
        recorded.at.0.into(),
        recorded.by.as_str().into(),
    ];
    if run(&tx.tx, &sql, values).await? > 0 {
        return Ok(true);
    }
    let sql = format!("SELECT {OVERRIDE} FROM price_overrides WHERE id = $1");
    let there = one(&tx.tx, &sql, [new.id.as_str().into()]).await?;
    if there.as_ref().map(read_override).transpose()?.is_some_and(|(there, _)| there == *new) {
        return Ok(false);
    }
    Err(StoreError::Refused(format!("another override `{}` is there", new.id)))
}

/// All overrides, in the order in which they were recorded: of those in force at a time, the last counts.
pub async fn overrides(store: &Store) -> Result<Vec<(Override, Recorded)>, StoreError> {
    let sql = format!("SELECT {OVERRIDE} FROM price_overrides ORDER BY seq");
    all(&store.db, &sql, []).await?.iter().map(read_override).collect()
}

fn read_override(row: &QueryResult) -> Result<(Override, Recorded), StoreError> {
    let (tier, to): (String, Option<i64>) = (row.try_get_by_index(4)?, row.try_get_by_index(6)?);
    let input: Option<i64> = row.try_get_by_index(7)?;
    let prices = match input {
        None => None,
        Some(input) => Some(OwnPrices {
            input,
            cached_input: row.try_get_by_index(8)?,
            cache_write: row.try_get_by_index(9)?,
            cache_write_1h: row.try_get_by_index(10)?,
            output: row.try_get_by_index(11)?,
            reasoning: row.try_get_by_index(12)?,
            request: row.try_get_by_index(13)?,
        }),
    };
    let new = Override {
        id: row.try_get_by_index(0)?,
        customer: row.try_get_by_index(1)?,
        provider: row.try_get_by_index(2)?,
        model: row.try_get_by_index(3)?,
        tier: known(ServiceTier::parse(&tier), "service tier", &tier)?,
        from: Timestamp(row.try_get_by_index(5)?),
        to: to.map(Timestamp),
        prices,
        note: row.try_get_by_index(14)?,
    };
    let recorded = Recorded { at: Timestamp(row.try_get_by_index(15)?), by: row.try_get_by_index(16)? };
    Ok((new, recorded))
}
