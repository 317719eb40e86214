//! `verdict figures`.

use super::Outcome;
use clap::Subcommand;
use verdict_store::Store;

/// The figures of the reports.
#[derive(Debug, Subcommand)]
pub(super) enum Figures {
    /// Builds the figures again from the facts and the charges, while the service goes on. Writes only what differs.
    Rebuild,
}

pub(super) async fn run(store: &Store, command: Figures) -> Outcome {
    let Figures::Rebuild = command;
    let rebuilt = verdict_resolution::rebuild_figures(store).await?;
    println!(
        "{} cases looked at, {} put right; {} sums put right",
        rebuilt.cases, rebuilt.wrong_cases, rebuilt.wrong_sums
    );
    Ok(())
}
