//! `verdict figures`.

use super::Outcome;
use crate::clock::wall_clock;
use crate::rebuild::rebuild_if_asked;
use clap::Subcommand;
use std::time::Duration;
use verdict_store::{Store, rebuilds};

/// The figures of the reports.
#[derive(Debug, Subcommand)]
pub(super) enum Figures {
    /// Builds the figures again from the facts and the charges, while the service goes on. Writes only what differs. One that was
    /// broken off is begun again.
    Rebuild,
}

pub(super) async fn run(store: &Store, command: Figures) -> Outcome {
    let Figures::Rebuild = command;
    let asked = rebuilds::ask(store, "command line", wall_clock()).await?;
    let ended = loop {
        if let Some(ended) = rebuild_if_asked(store).await? {
            break ended;
        }
        let last = rebuilds::last(store).await?.ok_or("nothing was asked for")?;
        match &asked {
            // A service that runs here may have taken it first.
            Some(asked) if asked.id != last.id || last.ended_at.is_some() => break last,
            Some(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            None => {
                let (by, at) = (&last.asked_by, last.asked_at);
                return Err(format!("a rebuild that `{by}` asked for at {at} is not over").into());
            }
        }
    };
    if ended.failed {
        return Err("the figures cannot be rebuilt: the log says why".into());
    }
    let done = ended.done;
    println!(
        "{} cases looked at, {} put right; {} sums put right",
        done.cases, done.wrong_cases, done.wrong_sums
    );
    Ok(())
}
