//! `verdict reports link` and `verdict reports revoke-links`.

use super::{Of, Outcome, cases};
use crate::config::Config;
use crate::http::reports::ReportParams;
use crate::link::{self, Sort, link_key};
use crate::report_link::make_report_link;
use clap::Args;
use verdict_domain::time::Span;
use verdict_store::Store;

/// Makes a link to one view of a report, for somebody without a key: these days and filters, in this format, and nothing else.
/// Whoever has it, sees it.
#[derive(Debug, Args)]
pub(super) struct Link {
    /// Which report: failure-cost.
    #[arg(long, default_value = "failure-cost")]
    report: String,
    /// The first UTC day, such as 2026-10-01 [default: the first of this month]
    #[arg(long)]
    from: Option<String>,
    /// The first UTC day after [default: tomorrow]
    #[arg(long)]
    to: Option<String>,
    /// How to group: customer, agent, provider, model, action, reason or day [default: customer]
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    of: Of,
    /// What it opens: page, json, csv or xlsx [default: page]
    #[arg(long)]
    format: Option<String>,
    /// How long it holds, such as 12h, from 1m to 400d.
    #[arg(long, default_value = "7d", value_parser = span)]
    expires: Span,
}

/// As in the configuration and over HTTP.
fn span(text: &str) -> Result<Span, String> {
    serde_json::from_value(text.into()).map_err(|error: serde_json::Error| error.to_string())
}

pub(super) async fn link(config: &Config, store: &Store, command: Link) -> Outcome {
    let Link { report, from, to, by, of, format, expires } = command;
    let Of { customer, agent, provider, model, action } = of;
    let params = ReportParams {
        from,
        to,
        by,
        customer,
        agent,
        provider,
        model,
        action,
        format,
        ..ReportParams::default()
    };
    let (key, now) = (link_key(config)?, cases::now(store).await?);
    let set = (key.as_ref(), config.public_url.as_deref());
    let link = make_report_link(store, set, (&report, params), expires, now).await??;
    println!("{}", link.url);
    eprintln!("It holds until {}. Whoever has it, sees this view of the report.", link.expires_at);
    Ok(())
}

pub(super) async fn revoke_links(store: &Store) -> Outcome {
    link::revoke(store, Sort::Report, "").await?;
    println!("all links to reports that were made before are revoked");
    Ok(())
}
