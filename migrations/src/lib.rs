//! The schema, one concern a file (`sql/`), the same for PostgreSQL and SQLite but for a few words.
//!
//! Owns: tables and indexes. Does not own: queries.
//!
//! Invariants:
//! - A landed file is never edited; a change is a new file.
//! - Money and times are 64-bit integers in both databases: a decimal column on SQLite is a float.
//! - The keys of tables that grow with traffic begin with the customer, so that they can be partitioned
//!   or distributed by it.

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

/// Brings a database to the current schema.
pub struct Migrator;

struct SqlFile(&'static str, &'static str);

macro_rules! sql_files {
    ($($name:literal),+ $(,)?) => {
        vec![$(Box::new(SqlFile($name, include_str!(concat!("../sql/", $name, ".sql")))) as Box<dyn MigrationTrait>),+]
    };
}

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        sql_files![
            "0001_attempts",
            "0002_resolutions",
            "0003_cases",
            "0004_contracts",
            "0005_ledger",
            "0006_invoices",
            "0007_figures",
            "0008_access",
            "0009_parked",
            "0010_evidence",
            "0011_sources",
            "0012_statistics",
            "0013_pricing",
            "0014_values",
            "0015_usage",
            "0016_documents",
            "0017_chain",
            "0018_stripe_customers",
            "0019_stripe_events",
            "0020_meter_events",
            "0021_page_links",
            "0023_trials",
            "0024_buckets",
            "0025_indexes",
            "0026_figures",
            "0027_case_figures",
            "0028_free",
            "0029_prices",
            "0030_repricing_and_bills",
            "0031_figure_changes",
            "0032_levers",
            "0033_figures_to_add",
            "0034_lists",
            "0035_charges_by_day",
            "0036_rebuilds_and_calls",
            "0037_allotted",
        ]
    }
}

impl MigrationName for SqlFile {
    fn name(&self) -> &str {
        self.0
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlFile {
    /// A file and the note that it landed, or neither: also on SQLite, where the library would not by itself.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `month`: the first day of the month of `day`. `sqlite`: a line for SQLite alone. `hot`: room on the page, so that an
        // update need not touch the indexes. STRICT: an integer that overflows is an error and does not silently become a float.
        // `bytewise`: SQLite compares texts so anyway.
        let words: &[(&str, &str)] = match manager.get_database_backend() {
            DbBackend::Postgres => &[
                ("{id}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
                ("{bytes}", "BYTEA"),
                ("{clustered}", ""),
                ("{plain}", ""),
                ("{hot}", "WITH (fillfactor = 50)"),
                ("{bytewise}", " COLLATE \"C\""),
                ("{sqlite} ", "-- "),
                (
                    "{month}",
                    "CAST(EXTRACT(EPOCH FROM DATE_TRUNC('month', TIMESTAMP 'epoch' + day * INTERVAL '1 day')) / 86400 AS BIGINT)",
                ),
            ],
            _ => &[
                ("{id}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
                ("{bytes}", "BLOB"),
                ("{clustered}", "WITHOUT ROWID, STRICT"),
                ("{plain}", "STRICT"),
                (" BIGINT", " INTEGER"),
                ("{sqlite} ", ""),
                (
                    "{month}",
                    "CAST(julianday(date(day * 86400, 'unixepoch', 'start of month')) - 2440587.5 AS INTEGER)",
                ),
            ],
        };
        let sql = words.iter().fold(self.1.to_string(), |sql, (word, meaning)| sql.replace(word, meaning));
        let sql = sql.replace("{hot}", "").replace("{bytewise}", "");
        manager.get_connection().execute_unprepared(&sql).await?;
        Ok(())
    }
}
