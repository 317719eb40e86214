//! `verdict verify` and `verdict invoices evidence`.

use super::Outcome;
use clap::{Args, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::time::{Duration, Instant};
use verdict_reports::{EvidenceFormat, Expected, expected};
use verdict_store::Store;
use verdict_store::chain::Chain;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ChainName {
    Outcomes,
    Charges,
    Invoices,
}

/// Computes the chains of outcomes, charges and invoices again, and names each row that was changed, deleted or inserted.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// One chain only.
    #[arg(long, value_enum)]
    chain: Option<ChainName>,
    /// Heads that were printed earlier: finds what was rewritten or cut off as a whole since then.
    #[arg(long, value_name = "HEADS")]
    expect: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FileFormat {
    Csv,
    Json,
}

/// Writes the evidence of an invoice: its lines, and each outcome behind them down to the deliveries.
#[derive(Debug, Args)]
pub(super) struct Evidence {
    /// The invoice's id.
    id: String,
    /// How to write it.
    #[arg(long, value_enum, default_value = "json")]
    format: FileFormat,
    /// Where to write it instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<String>,
}

pub(super) async fn write(store: &Store, command: Evidence) -> Outcome {
    let Evidence { id, format, out } = command;
    let format = match format {
        FileFormat::Csv => EvidenceFormat::Csv,
        FileFormat::Json => EvidenceFormat::Json,
    };
    let evidence = verdict_reports::Evidence::of(store, &id, format).await?;
    let mut evidence = evidence.ok_or_else(|| format!("there is no invoice `{id}`"))?;
    let output: Box<dyn Write> = match &out {
        Some(file) => Box::new(File::create(file).map_err(|error| format!("--out: {file}: {error}"))?),
        None => Box::new(std::io::stdout().lock()),
    };
    let mut output = BufWriter::new(output);
    while let Some(piece) = evidence.next().await? {
        output.write_all(piece.as_bytes())?;
    }
    Ok(output.flush()?)
}

pub(super) async fn verify(store: &Store, command: Verify) -> Outcome {
    let chains = match command.chain {
        None => Chain::ALL.to_vec(),
        Some(ChainName::Outcomes) => vec![Chain::Outcomes],
        Some(ChainName::Charges) => vec![Chain::Charges],
        Some(ChainName::Invoices) => vec![Chain::Invoices],
    };
    let expected = expected(command.expect.as_deref().unwrap_or_default())
        .map_err(|error| format!("--expect: {error}"))?;
    if let Some(unchecked) = expected.iter().find(|expected| !chains.contains(&expected.chain)) {
        return Err(format!("--expect: `{unchecked}` is of a chain that --chain leaves out").into());
    }
    let mut bar = Bar::new();
    let verified = verdict_reports::verify(store, &chains, &expected, |chain, done, all| {
        bar.show(chain.as_str(), done, all);
    })
    .await?;
    bar.clear();
    if command.json {
        println!("{}", serde_json::to_string_pretty(&verified)?);
    }
    let mut heads = Vec::new();
    for chain in &verified {
        if let Some(name) = Chain::parse(chain.chain) {
            let head = Expected { chain: name, position: chain.position, link: chain.link.clone() };
            heads.push(head.to_string());
        }
        if command.json {
            continue;
        }
        for problem in &chain.problems {
            println!("{problem}");
        }
        if chain.more > 0 {
            println!("{}: {} more", chain.chain, chain.more);
        }
        let state = if chain.is_sound() { "ok" } else { "DOES NOT FIT" };
        println!("{}  {} rows  {state}", chain.chain, chain.rows);
        if chain.unlinked > 0 {
            println!(
                "{}  {} rows are older than the chain and were not checked",
                chain.chain, chain.unlinked
            );
        }
    }
    if !command.json {
        println!("heads  {}", heads.join(","));
    }
    match verified.iter().all(verdict_reports::Verified::is_sound) {
        true => Ok(()),
        false => Err("what stands in the database is not what was written".into()),
    }
}

/// How far it is, on a terminal.
struct Bar {
    shown_at: Option<Instant>,
    on_terminal: bool,
}

impl Bar {
    const WIDTH: i64 = 30;

    fn new() -> Self {
        Self { shown_at: None, on_terminal: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, what: &str, done: i64, all: i64) {
        let is_due = self.shown_at.is_none_or(|at| at.elapsed() > Duration::from_millis(200));
        if !self.on_terminal || !is_due {
            return;
        }
        self.shown_at = Some(Instant::now());
        let full = done.saturating_mul(Self::WIDTH) / all.max(1);
        let bar: String = (0..Self::WIDTH).map(|at| if at < full { '#' } else { '.' }).collect();
        eprint!("\r{what:<9} [{bar}] {done} of {all}");
    }

    fn clear(&self) {
        if self.on_terminal && self.shown_at.is_some() {
            eprint!("\r{:<80}\r", "");
        }
    }
}
