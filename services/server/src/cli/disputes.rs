//! `verdict disputes`.

use super::Outcome;
use crate::clock::wall_clock;
use clap::{Args, Subcommand};
use verdict_resolution::{DisputeDecision, DisputeRequest, decide_dispute, raise_dispute};
use verdict_store::{Store, resolutions};

#[derive(Debug, Subcommand)]
pub(super) enum Disputes {
    /// Lists disputes, the newest first.
    List {
        /// Only those that wait for a decision.
        #[arg(long)]
        open: bool,
    },
    /// Raises a dispute of a case's charged outcome.
    Raise {
        /// Whose case.
        customer: String,
        /// Which case.
        case: String,
        /// The dispute's own id, the same when it is sent again.
        #[arg(long)]
        id: String,
        /// The episode, if not the last one that is charged.
        #[arg(long)]
        episode: Option<String>,
        #[command(flatten)]
        why: Why,
    },
    /// Accepts a dispute: its outcome is void.
    Accept(Decide),
    /// Rejects a dispute: its outcome stands.
    Reject(Decide),
}

#[derive(Debug, Args)]
pub(super) struct Decide {
    /// Whose case.
    customer: String,
    /// Which case.
    case: String,
    /// The dispute's id, as listed.
    dispute: String,
    #[command(flatten)]
    why: Why,
}

#[derive(Debug, Args)]
pub(super) struct Why {
    /// Why.
    #[arg(long)]
    reason: String,
    /// Who says so.
    #[arg(long)]
    author: String,
}

/// What stands beside the author where the command line was the door.
const CALLER: &str = "command line";

pub(super) async fn run(store: &Store, command: Disputes) -> Outcome {
    let now = wall_clock();
    let taken = match command {
        Disputes::List { open } => return list(store, open).await,
        Disputes::Raise { customer, case, id, episode, why } => {
            let Why { reason, author } = why;
            let request = DisputeRequest { id, customer, case, episode, reason, author: Some(author) };
            raise_dispute(store, &request, CALLER, now).await?
        }
        Disputes::Accept(decide) => decide_dispute(store, &decision(decide), true, CALLER, now).await?,
        Disputes::Reject(decide) => decide_dispute(store, &decision(decide), false, CALLER, now).await?,
    };
    match taken? {
        (id, true) => println!("recorded as {id}"),
        (id, false) => println!("{id} is there already"),
    }
    Ok(())
}

fn decision(Decide { customer, case, dispute, why }: Decide) -> DisputeDecision {
    DisputeDecision { customer, case, dispute, reason: why.reason, author: Some(why.author) }
}

async fn list(store: &Store, open: bool) -> Outcome {
    for dispute in resolutions::disputes(store, open, 10_000).await? {
        let reason = dispute.reason.as_deref().unwrap_or("-");
        let author = dispute.author.as_deref().unwrap_or("the platform");
        println!(
            "{}  {}  {}  {}  {}  raised {} by {author}: {reason}",
            dispute.customer,
            dispute.case,
            dispute.id,
            dispute.state,
            dispute.episode.as_deref().unwrap_or("-"),
            dispute.raised_at
        );
    }
    Ok(())
}
