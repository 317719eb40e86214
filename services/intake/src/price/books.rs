//! The books as they are stored: imported, opened, activated; and what goes before them.

use super::compare::{Diff, diff, hex};
use super::overrides::{OverrideRequest, read_override};
use super::{BOOK_DIGEST, BOOK_VERSION, PriceBook, Reading};
use sha2::{Digest, Sha256};
use verdict_domain::time::Timestamp;
use verdict_store::prices::{self, Activation, Imported, Recorded, State};
use verdict_store::{Store, StoreError, calls};

/// The name of the book that is built in. Its version is the binary's.
const BUILT_IN: &str = "genai-prices";
/// A diff looks at the models of so many whole UTC days, and of the day itself.
const LOOK_BACK_DAYS: i64 = 90;

/// What can go wrong with a book, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Mend what was given: the message says how.
    #[error("{0}")]
    Invalid(String),
    /// There is no such book.
    #[error("there is no price book `{0}`: `verdict prices list` shows those that are there")]
    NotFound(String),
    /// Another is there under this name, or the prices have changed since they were looked at.
    #[error("{0}")]
    Conflict(String),
    /// The database was away, or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A book that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Name and version.
    pub id: String,
    /// SHA-256, in hex.
    pub digest: String,
    /// Who imported it, and when; `None`: it is built in.
    pub imported: Option<Recorded>,
    /// Whether it prices attempts now.
    pub is_active: bool,
}

/// The books that are there, and which were active since when.
pub async fn list(store: &Store) -> Result<(Vec<Listed>, Vec<Activation>), BookError> {
    let active = active_id(&prices::state(store).await?);
    let built_in = Listed {
        id: BOOK_VERSION.into(),
        digest: BOOK_DIGEST.into(),
        imported: None,
        is_active: active == BOOK_VERSION,
    };
    let listed = |book: Imported| Listed {
        is_active: active == book.id,
        id: book.id,
        digest: book.digest,
        imported: Some(Recorded { at: book.at, by: book.by }),
    };
    let books = std::iter::once(built_in).chain(prices::imported(store).await?.into_iter().map(listed));
    Ok((books.collect(), prices::activations(store).await?))
}

/// The active book. What is built in comes with the binary: where it was activated, an upgrade brings its newer version.
fn active_id(state: &State) -> String {
    match &state.active {
        Some(id) if !is_built_in(id) => id.clone(),
        _ => BOOK_VERSION.into(),
    }
}

fn is_built_in(id: &str) -> bool {
    id.split_once('/').is_some_and(|(name, _)| name == BUILT_IN)
}

/// Opens a book by its id (`name/version`, or a `price_source` as an attempt has it: with the beginning of its digest), with the
/// overrides as they are recorded now.
pub async fn open(store: &Store, id: &str) -> Result<PriceBook, BookError> {
    let (name, digest) = id.split_once('#').unwrap_or((id, ""));
    let not_found = || BookError::NotFound(id.into());
    let book = if name == BOOK_VERSION {
        PriceBook::new()
    } else {
        let (book, content) = prices::content(store, name).await?.ok_or_else(not_found)?;
        let read = PriceBook::of_litellm(&book.id, &book.digest, &content);
        let damaged = |error| StoreError::Corrupt(format!("price book {name}: {error}"));
        if hex(&Sha256::digest(&content)) != book.digest {
            return Err(damaged("its content is not that of its digest".into()).into());
        }
        read.map_err(damaged)?.0
    };
    if !book.digest().starts_with(digest) {
        return Err(not_found());
    }
    Ok(book.with_overrides(overrides(store).await?.into_iter()))
}

async fn overrides(store: &Store) -> Result<Vec<prices::Override>, StoreError> {
    Ok(prices::overrides(store).await?.into_iter().map(|(row, _)| row).collect())
}

/// The prices in force now.
pub async fn open_active(store: &Store) -> Result<PriceBook, BookError> {
    refreshed(store, None, &prices::state(store).await?).await
}

/// The prices of a state; `before` is what is held, whose book need not be read again if it is the same.
pub async fn refreshed(
    store: &Store,
    before: Option<&PriceBook>,
    state: &State,
) -> Result<PriceBook, BookError> {
    let id = active_id(state);
    match before {
        Some(before) if before.id() == id => Ok(before.with_overrides(overrides(store).await?.into_iter())),
        _ => open(store, &id).await,
    }
}

/// Two books to be compared: the one that is built in and the active one, where none is named.
pub async fn pair(
    store: &Store,
    book: Option<&str>,
    other: Option<&str>,
) -> Result<(PriceBook, PriceBook), BookError> {
    let named = |id: Option<&str>| id.filter(|id| !id.is_empty()).map(String::from);
    let book = open(store, named(book).as_deref().unwrap_or(BOOK_VERSION)).await?;
    let other = match named(other) {
        Some(id) => open(store, &id).await?,
        None => open_active(store).await?,
    };
    if book.id() == other.id() {
        return Err(BookError::Invalid(format!(
            "other: `{}` cannot be compared with itself: name another",
            other.id()
        )));
    }
    Ok((book, other))
}

/// Imports LiteLLM's JSON, whole, under a name and a version. `false`: the very same is there already. Nothing is priced by it before
/// it is activated.
pub async fn import(
    store: &Store,
    name: &str,
    version: &str,
    content: &[u8],
    now: Timestamp,
    by: &str,
) -> Result<(PriceBook, Reading, bool), BookError> {
    for (field, text) in [("name", name), ("version", version)] {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err(BookError::Invalid(format!(
                "{field}: `{text}` is not 1 to 64 letters, digits, `.`, `_`, `-` or `+`"
            )));
        }
    }
    if name == BUILT_IN {
        return Err(BookError::Invalid(format!("name: `{BUILT_IN}` is the book that is built in")));
    }
    let id = format!("{name}/{version}");
    let digest = hex(&Sha256::digest(content));
    let (book, reading) = PriceBook::of_litellm(&id, &digest, content).map_err(BookError::Invalid)?;
    let tx = store.begin().await?;
    let row = Imported { id: id.clone(), digest, at: now, by: by.into() };
    let is_new = match prices::import(&tx, &row, content).await {
        Err(StoreError::Refused(_)) => {
            return Err(BookError::Conflict(format!(
                "version: another file is there as `{id}`: a version is one file for ever, give this one another"
            )));
        }
        result => result?,
    };
    tx.commit().await?;
    Ok((book, reading, is_new))
}

/// What would change for the models that attempts of the last 90 days called, if `to` took the place of `from` (`None`: the active
/// book).
pub async fn changes(
    store: &Store,
    from: Option<&str>,
    to: &PriceBook,
    now: Timestamp,
) -> Result<Diff, BookError> {
    let from = match from {
        Some(id) => open(store, id).await?,
        None => open_active(store).await?,
    };
    let used = calls::used(store, now.day() - LOOK_BACK_DAYS).await?;
    Ok(diff(&from, to, &used, now))
}

/// Makes a book the one that prices attempts from now on. `seen` is the digest of the diff that was looked at: if it would be another
/// now, nothing is done.
pub async fn activate(
    store: &Store,
    id: &str,
    seen: &str,
    now: Timestamp,
    by: &str,
) -> Result<Diff, BookError> {
    let book = open(store, id).await?;
    let tx = store.begin().await?;
    tx.claim("prices").await?;
    let diff = changes(store, None, &book, now).await?;
    if diff.from == diff.to {
        return Err(BookError::Conflict(format!("`{}` is active already", diff.to)));
    }
    if diff.digest != seen {
        return Err(BookError::Conflict(format!(
            "diff: `{seen}` is not the digest of what would change now, which is `{}`: look at it again",
            diff.digest
        )));
    }
    let activation = Activation { book: book.id().into(), diff: diff.digest.clone(), at: now, by: by.into() };
    prices::activate(&tx, &activation).await?;
    tx.commit().await?;
    Ok(diff)
}

/// Records an override. `false`: the very same is there already.
pub async fn record_override(
    store: &Store,
    sent: &OverrideRequest,
    now: Timestamp,
    by: &str,
) -> Result<bool, BookError> {
    let new = read_override(sent).map_err(BookError::Invalid)?;
    let tx = store.begin().await?;
    let recorded = Recorded { at: now, by: by.into() };
    match prices::record_override(&tx, &new, &recorded).await {
        Ok(is_new) => {
            tx.commit().await?;
            Ok(is_new)
        }
        Err(StoreError::Refused(_)) => Err(BookError::Conflict(format!(
            "id: another override `{}` is there; one is never changed: record another, which counts from its `from` on",
            new.id
        ))),
        Err(error) => Err(error.into()),
    }
}
