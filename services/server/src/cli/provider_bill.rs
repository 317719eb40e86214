//! `verdict provider-bill` and `verdict report provider-bill`.

use super::{Outcome, ReportFormat, cases, day};
use crate::provider_bills::{check_provider, import};
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use verdict_domain::time::day_text;
use verdict_intake::{BillColumns, read_bill};
use verdict_reports::{BillQuery, Tolerance, bill_csv, bill_table, model_names, provider_bill};
use verdict_store::{Store, provider_bills};

/// How many imports are listed.
const LISTED: u32 = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum ProviderBills {
    /// Imports a CSV of costs that a model provider exports. Of the bills that tell of a day the newest counts.
    Import(Import),
    /// Lists the imports, the newest first.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file, or `-` for standard input.
    file: String,
    /// Whose bill, by the name that attempts have for the provider, such as openai.
    #[arg(long)]
    provider: String,
    /// The columns, where the header is that of no known export: day=Date,model=Model,amount=Cost,currency=Currency.
    #[arg(long, default_value = "")]
    columns: String,
    /// The currency of all rows, where no column says it.
    #[arg(long)]
    currency: Option<String>,
    /// Takes only rows with this value, such as ServiceName=Amazon Bedrock; may be given more than once.
    #[arg(long, value_name = "COLUMN=VALUE")]
    only: Vec<String>,
    /// Who brings it.
    #[arg(long, default_value = "command line")]
    author: String,
}

pub(super) async fn run(store: &Store, command: ProviderBills) -> Outcome {
    match command {
        ProviderBills::Import(command) => import_file(store, command).await,
        ProviderBills::List => list(store).await,
    }
}

async fn import_file(store: &Store, command: Import) -> Outcome {
    check_provider(&command.provider)?;
    let file = &command.file;
    let reader: Box<dyn BufRead + Send> = match file.as_str() {
        "-" => Box::new(BufReader::new(std::io::stdin())),
        name => {
            Box::new(BufReader::new(std::fs::File::open(name).map_err(|error| format!("{name}: {error}"))?))
        }
    };
    let mut columns = BillColumns::read(&command.columns, &command.only)?;
    columns.fixed_currency = command.currency;
    let bill =
        read_bill(reader, &columns).map_err(|error| format!("{file}: {error}: nothing was imported"))?;
    let now = cases::now(store).await?;
    let imported = import(store, bill, &command.provider, file, &command.author, now).await?;
    println!(
        "{}: {} lines of {} from {} to {} (end excluded), {} left away; read as {}",
        imported.status,
        imported.lines,
        imported.provider,
        imported.from,
        imported.to,
        imported.left,
        imported.read_as
    );
    match imported.differs {
        Some(differs) => println!("{differs}"),
        None => println!("what was recorded of these days agrees"),
    }
    Ok(())
}

async fn list(store: &Store) -> Outcome {
    let snapshot = store.snapshot().await?;
    for bill in provider_bills::list(&snapshot, None, (i64::MIN, i64::MAX), LISTED).await? {
        println!(
            "{}  {}  {}  {} to {}  {} lines  {} days, of which {} count  imported {} by {}  sha256 {}  {}",
            bill.id,
            bill.provider,
            bill.file,
            day_text(bill.first_day),
            day_text(bill.last_day),
            bill.lines,
            bill.days,
            bill.counting_days,
            bill.imported_at,
            bill.imported_by,
            bill.sha256,
            bill.read_as
        );
    }
    Ok(())
}

#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Whose bill, by the name that attempts have for the provider.
    #[arg(long)]
    provider: String,
    /// The first UTC day, such as 2026-10-01.
    #[arg(long, value_parser = day)]
    from: i64,
    /// The first UTC day after.
    #[arg(long, value_parser = day)]
    to: i64,
    /// What the bill calls a model and what attempts do: gpt-4o-2024-08-06=gpt-4o,…
    #[arg(long, value_parser = model_names, default_value = "")]
    model_names: Names,
    /// Agrees within so many per cent of what was billed [default: 0.5]
    #[arg(long)]
    tolerance_percent: Option<String>,
    /// Or within this amount [default: 0.01]
    #[arg(long)]
    tolerance_amount: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: ReportFormat,
}

type Names = BTreeMap<String, String>;

pub(super) async fn report(store: &Store, asked: Asked) -> Outcome {
    let Asked { provider, from, to, model_names: names, tolerance_percent, tolerance_amount, format } = asked;
    check_provider(&provider)?;
    if to <= from {
        return Err(format!("--to: {} is not after {}", day_text(to), day_text(from)).into());
    }
    let tolerance = Tolerance::read(tolerance_percent.as_deref(), tolerance_amount.as_deref())?;
    let bill = provider_bill(store, &BillQuery { provider, from, to, names, tolerance }).await?;
    match format {
        ReportFormat::Table => print!("{}", bill_table(&bill)),
        ReportFormat::Csv => print!("{}", bill_csv(&bill)),
        ReportFormat::Json => println!("{}", serde_json::to_string_pretty(&bill)?),
    }
    Ok(())
}
