//! Connections, transactions and what can go wrong with them.

use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    QueryResult, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use verdict_migrations::{Migrator, MigratorTrait};

/// What can go wrong, by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database is away, busy or chose another transaction: try again.
    #[error("the database cannot be reached or is busy: {0}")]
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
                        // PostgreSQL: connection, transaction rollback, resources, operator intervention,
                        // lock not available, read-only while failing over. SQLite: busy, locked.
                        let passing =
                            ["08", "40", "53", "57", "55P03", "25006"].iter().any(|c| code.starts_with(c))
                                || matches!(code.as_ref(), "5" | "6" | "261" | "517" | "262");
                        if passing { Self::Transient(text) } else { Self::Refused(text) }
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

/// A transaction that writes. Dropped without [`Tx::commit`], it leaves nothing behind.
pub struct Tx {
    pub(crate) tx: DatabaseTransaction,
    _turn: Option<OwnedMutexGuard<()>>,
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
        let db = Database::connect(options).await?;
        let turn = (db.get_database_backend() == DbBackend::Sqlite).then(Arc::default);
        Migrator::up(&db, None).await?;
        Ok(Self { db, turn })
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
        Ok(Tx { tx: self.db.begin_with_options(options).await?, _turn: turn })
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
        Ok(())
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

/// Something stored as JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

/// Something to store as JSON.
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(what: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Refused(format!("{what}: {error}")))
}
