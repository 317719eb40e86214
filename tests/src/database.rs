//! Fresh databases, and looking into them without the service.

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, QueryResult, Statement,
};
use std::path::Path;

/// A server that the tests were started with.
pub fn server(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run `make test`, which starts private servers"))
}

/// Makes a new, empty PostgreSQL database on the tests' server and gives its address.
pub async fn fresh_postgres(name: &str) -> String {
    let server = server("VERDICT_TEST_POSTGRES_URL");
    let admin = connect(&server).await;
    admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await.unwrap();
    admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    postgres(name)
}

/// The address of a database on the tests' server.
pub fn postgres(name: &str) -> String {
    let server = server("VERDICT_TEST_POSTGRES_URL");
    let (base, _) = server.rsplit_once('/').unwrap();
    format!("{base}/{name}")
}

/// A new, empty SQLite database in a folder.
pub fn fresh_sqlite(folder: &Path) -> String {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    sqlite_in(folder)
}

/// The address of a SQLite database in a folder.
pub fn sqlite_in(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("verdict.db").display())
}

/// Connects, to look.
pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(2);
    Database::connect(options).await.unwrap()
}

/// All rows of a query.
pub async fn rows(db: &DatabaseConnection, sql: &str) -> Vec<QueryResult> {
    let backend: DbBackend = db.get_database_backend();
    db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap()
}

/// The one number of a query.
pub async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    rows(db, sql).await[0].try_get_by_index(0).unwrap()
}

/// The texts of a query's first column.
pub async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    rows(db, sql).await.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
