//! The `verdict` command.

use clap::Parser;
use std::process::ExitCode;
use verdict_server::cli::{Cli, run};

/// What is logged unless `VERDICT_LOG` says otherwise: the libraries only when something is wrong.
const DEFAULT_LOG: &str = "info,sqlx=warn,sea_orm_migration=warn,actix_server=warn";

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("VERDICT_LOG").unwrap_or_else(|_| DEFAULT_LOG.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("verdict: {error}");
            ExitCode::FAILURE
        }
    }
}
