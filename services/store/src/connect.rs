//! Connections, transactions and what can go wrong with them.

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, IsolationLevel, QueryResult, RuntimeErr, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use verdict_domain::money::{self, Money};
use verdict_migrations::{Migrator, MigratorTrait};

/// What can go wrong, by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy, failing, or chose another transaction: try again.
    #[error("the database cannot be reached, is busy or fails: {0}")]
    Transient(String),
    /// The database refuses this statement or row: it will refuse it again.
    #[error("the database refused: {0}")]
    Refused(String),
    /// A stored row cannot be read: call a person.
    #[error("a stored row cannot be read: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        use sea_orm::sqlx::Error as Sqlx;
        let text = error.to_string();
        match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Transient(text),
            DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
                match inner.as_ref() {
                    Sqlx::Database(database) => {
                        let code = database.code().unwrap_or_default();
                        // PostgreSQL: data exception, integrity constraint. SQLite: too big, constraint,
                        // mismatch (the low byte of its extended codes). All else is the machine's or our own
                        // fault, not the row's: it stays where it is until that is mended.
                        let sqlite = code.parse::<u32>().map_or(0, |code| code & 0xff);
                        let of_the_row = match code.len() {
                            // An SQLSTATE has five characters, SQLite's codes have fewer.
                            5 => code.starts_with("22") || code.starts_with("23"),
                            _ => matches!(sqlite, 18..=20),
                        };
                        if of_the_row { Self::Refused(text) } else { Self::Transient(text) }
                    }
                    Sqlx::ColumnDecode { .. } | Sqlx::ColumnNotFound(_) | Sqlx::TypeNotFound { .. } => {
                        Self::Corrupt(text)
                    }
                    Sqlx::Encode(_) | Sqlx::RowNotFound => Self::Refused(text),
                    _ => Self::Transient(text),
                }
            }
            DbErr::Type(_) | DbErr::TryIntoErr { .. } => Self::Corrupt(text),
            _ => Self::Refused(text),
        }
    }
}

/// One database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) db: DatabaseConnection,
    /// SQLite has one writer at a time: here writers queue, instead of polling the file's lock.
    turn: Option<Arc<Mutex<()>>>,
}

/// A transaction that writes, or a [`Store::snapshot`]. Dropped without [`Tx::commit`], it leaves nothing behind.
pub struct Tx {
    pub(crate) tx: DatabaseTransaction,
    _turn: Option<OwnedMutexGuard<()>>,
    /// The first step that it claimed.
    claimed: OnceLock<String>,
}

impl Store {
    /// Connects to `postgres://…` or `sqlite:FILE` and brings the schema up to date.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        let mut options = ConnectOptions::new(url);
        options.sqlx_logging(false).max_connections(12).acquire_timeout(Duration::from_secs(10));
        options.map_sqlx_sqlite_opts(|sqlite| {
            // A message is acknowledged after the commit, so the commit must survive a power cut: FULL.
            sqlite
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(Duration::from_secs(30))
                .pragma("cache_size", "-65536")
        });
        options.map_sqlx_postgres_opts(|postgres| {
            // A machine that died in the middle of a step must not hold the step's claim for hours.
            postgres.options([
                ("idle_in_transaction_session_timeout", "60000"),
                ("tcp_keepalives_idle", "30"),
                ("tcp_keepalives_interval", "10"),
                ("tcp_keepalives_count", "3"),
                // Statements here are short: starting other processes or compiling for them takes longer than they do.
                ("max_parallel_workers_per_gather", "0"),
                ("jit", "off"),
            ])
        });
        let db = Database::connect(options).await?;
        let turn = (db.get_database_backend() == DbBackend::Sqlite).then(Arc::default);
        let store = Self { db, turn };
        // Of processes that start together, one at a time migrates. (SQLite's file lock sees to that by itself, and a
        // transaction held here would be in the migration's way.)
        let claim = match store.turn {
            None => Some(store.begin().await?),
            Some(_) => None,
        };
        if let Some(claim) = &claim {
            claim.claim("migrate").await?;
        }
        Migrator::up(&store.db, None).await?;
        Ok(store)
    }

    /// Begins a transaction that will write.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let turn = match &self.turn {
            Some(turn) => Some(turn.clone().lock_owned().await),
            None => None,
        };
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(Tx { tx: self.db.begin_with_options(options).await?, _turn: turn, claimed: OnceLock::new() })
    }

    /// Begins a transaction that only reads: all that is read in it is of one moment, and no writer waits for it.
    /// (PostgreSQL refuses to write in it.)
    pub async fn snapshot(&self) -> Result<Tx, StoreError> {
        let options = match self.db.get_database_backend() {
            DbBackend::Sqlite => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..TransactionOptions::default()
            },
            _ => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..TransactionOptions::default()
            },
        };
        Ok(Tx { tx: self.db.begin_with_options(options).await?, _turn: None, claimed: OnceLock::new() })
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.db.ping().await?)
    }
}

impl Tx {
    /// Makes all of it last.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }

    /// Claims a step for this transaction: of several processes one at a time runs it, the others wait. (On SQLite the
    /// transaction itself is that claim.)
    pub async fn claim(&self, step: &str) -> Result<(), StoreError> {
        if self.tx.get_database_backend() == DbBackend::Postgres {
            let sql = "SELECT pg_advisory_xact_lock(hashtext($1))";
            one(&self.tx, sql, [format!("verdict.{step}").into()]).await?;
        }
        let _ = self.claimed.set(step.into());
        Ok(())
    }

    /// A step that only this transaction is in, if it claimed one.
    pub(crate) fn claimed(&self) -> Option<&str> {
        self.claimed.get().map(String::as_str)
    }
}

/// Runs a statement; placeholders are `$1`, `$2` … in both databases.
pub(crate) async fn run(
    on: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.execute_raw(statement).await?.rows_affected())
}

/// All rows of a statement.
pub(crate) async fn all(
    on: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.query_all_raw(statement).await?)
}

/// The first row of a statement, if there is one.
pub(crate) async fn one(
    on: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Option<QueryResult>, StoreError> {
    let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
    Ok(on.query_one_raw(statement).await?)
}

/// A stored text that must be one of a set of names.
pub(crate) fn known<T>(parsed: Option<T>, what: &str, text: &str) -> Result<T, StoreError> {
    parsed.ok_or_else(|| StoreError::Corrupt(format!("{what} `{text}`")))
}

/// An amount that may be absent: its nanos in this column, its currency in the next.
pub(crate) fn read_money(row: &QueryResult, column: usize) -> Result<Option<Money>, StoreError> {
    let nanos: Option<i64> = row.try_get_by_index(column)?;
    let code: Option<String> = row.try_get_by_index(column + 1)?;
    let (Some(nanos), Some(code)) = (nanos, code) else { return Ok(None) };
    Ok(Some(Money { nanos, currency: known(money::currency(&code).ok(), "currency", &code)? }))
}

/// Something stored as JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

/// Something to store as JSON.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(format!("{what}: {error}")))
}
