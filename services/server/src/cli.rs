//! The command line.

mod cases;
mod credits;
mod customers;
mod disputes;
mod evidence;
mod export;
mod figures;
mod import;
mod invoices;
mod levers;
mod prices;
mod provider_bill;
mod reconcile;
mod reports;
mod reprice;
mod sources;

use crate::amqp;
use crate::clock::wall_clock;
use crate::config::{Config, parse_start};
use crate::contract::{self, Format};
use crate::http::reports::compare as read_compare;
use crate::http::{Scope, api_description, new_key};
use crate::replay::{Replayed, Settled, replay, settle};
use crate::serve::{Role, serve};
use crate::sources::LiveSources;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use verdict_domain::contract::Contract;
use verdict_domain::time::{MICROS_PER_DAY, Timestamp, day_text, parse_day};
use verdict_intake::books;
use verdict_reports::{Compare, Query, csv, group_by, table};
use verdict_store::figures::{GroupBy, Slice};
use verdict_store::{Store, access, attempts, contracts, parked};

/// Outcome-based billing: pay per successful resolution.
#[derive(Debug, Parser)]
#[command(name = "verdict", version)]
pub struct Cli {
    /// A configuration file (TOML). Without one: defaults and the environment (VERDICT_DATABASE_URL …).
    #[arg(long, global = true, env = "VERDICT_CONFIG")]
    config: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves: HTTP, the queue, the steps.
    Serve {
        /// What this process does.
        #[arg(long, value_enum, value_delimiter = ',', default_value = "http,intake,worker")]
        roles: Vec<Role>,
        /// Starts a simulated time that only moves when told to (`POST /v1/test-clock`).
        #[arg(long, value_name = "TIME", value_parser = parse_start)]
        test_clock: Option<Timestamp>,
    },
    /// API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Contract versions.
    #[command(subcommand)]
    Contracts(Contracts),
    /// Customers and their own pages.
    #[command(subcommand)]
    Customers(customers::Customers),
    Estimate(customers::Estimate),
    /// Invoices and credit notes.
    #[command(subcommand)]
    Invoices(invoices::Invoices),
    /// Prepaid credits.
    #[command(subcommand)]
    Credits(credits::Credits),
    /// Price books, and prices of one's own.
    #[command(subcommand)]
    Prices(prices::Prices),
    /// What could not be processed.
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// The sources of webhooks.
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// Deliveries whose signature no secret had made.
    #[command(subcommand)]
    Quarantine(sources::Quarantine),
    /// Disputes of outcomes.
    #[command(subcommand)]
    Disputes(disputes::Disputes),
    /// Bills of model providers.
    #[command(subcommand)]
    ProviderBill(provider_bill::ProviderBills),
    /// Reports.
    #[command(subcommand, visible_alias = "reports")]
    Report(Report),
    #[command(subcommand)]
    Cases(cases::Cases),
    Explain(cases::Explain),
    Rejudge(cases::Rejudge),
    #[command(subcommand)]
    Export(cases::Export),
    Recount(cases::Recount),
    Verify(evidence::Verify),
    Reconcile(reconcile::Reconcile),
    /// The figures of the reports.
    #[command(subcommand)]
    Figures(figures::Figures),
    #[command(subcommand)]
    Import(import::Import),
    /// Publishes attempt events (JSON, one a line) to the queue, and waits until the broker has them.
    Emit {
        /// A file, or `-` for standard input.
        file: String,
    },
    /// Prints the description of the API (OpenAPI).
    Openapi,
    /// Asks a service that runs here whether it answers.
    Health,
}

#[derive(Debug, Subcommand)]
enum Keys {
    /// Makes a key and prints it, once.
    Create {
        /// What a person calls it.
        #[arg(long)]
        name: String,
        /// What it may do.
        #[arg(long, value_enum, value_delimiter = ',', required = true)]
        scopes: Vec<Scope>,
    },
    /// Lists the keys, without their secrets.
    List,
    /// Revokes a key, at once.
    Revoke {
        /// The part between the underscores.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum Contracts {
    /// Puts a contract version from a TOML or JSON file.
    Put {
        /// The file.
        file: String,
    },
    /// Lists all contract versions as JSON.
    List,
    /// Looks for mistakes in a file. Needs no database.
    Lint {
        /// The file.
        file: String,
    },
    /// Shows what a period would cost under a file, beside what it costs. Changes nothing.
    Preview {
        /// The file.
        file: String,
        /// A UTC day in the period [default: the last period that is over]
        #[arg(long, value_parser = day)]
        day: Option<i64>,
    },
}

#[derive(Debug, Subcommand)]
enum ParkedCommand {
    /// Lists, the oldest first.
    List,
    /// Shows one, with its bytes as they came.
    Show {
        /// Its id.
        id: String,
    },
    /// Takes an errand to Stripe, which somebody put right there by hand, as done: it is not sent any more, and the
    /// customer's others go on.
    Settle {
        /// Its id.
        id: String,
        /// What was done, for whoever asks later.
        #[arg(long)]
        because: String,
    },
    /// Tries one again, or all.
    Replay {
        /// Its id.
        #[arg(required_unless_present = "all")]
        id: Option<String>,
        /// All that are parked.
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Report {
    /// What failure costs.
    FailureCost {
        /// The first UTC day, such as 2026-10-01.
        #[arg(long, value_parser = day)]
        from: i64,
        /// The first UTC day after.
        #[arg(long, value_parser = day)]
        to: i64,
        /// How to group: customer, agent, provider, model, action, reason or day.
        #[arg(long, default_value = "customer", value_parser = group_by)]
        by: GroupBy,
        #[command(flatten)]
        of: Of,
        /// With which days to compare: previous, year, none, or days: those of --compare-from and --compare-to [default: none]
        #[arg(long)]
        compare: Option<String>,
        /// The first UTC day to compare with.
        #[arg(long)]
        compare_from: Option<String>,
        /// The first UTC day after.
        #[arg(long)]
        compare_to: Option<String>,
        /// How to print it.
        #[arg(long, value_enum, default_value = "table")]
        format: ReportFormat,
    },
    /// What a model provider billed, beside what was recorded of its models: covered, missing, excess.
    ProviderBill(provider_bill::Asked),
    /// The models whose attempts have an unknown cost.
    UnknownCosts,
    Levers(levers::Levers),
    Link(reports::Link),
    /// Revokes all links to reports that were made so far.
    RevokeLinks,
}

/// Of which figures.
#[derive(Debug, Args)]
struct Of {
    /// Of this customer only.
    #[arg(long)]
    customer: Option<String>,
    /// Of this agent only.
    #[arg(long)]
    agent: Option<String>,
    /// Of this provider's models only: no outcomes, no revenue (these are of `-`).
    #[arg(long, allow_hyphen_values = true)]
    provider: Option<String>,
    /// Of this model only.
    #[arg(long)]
    model: Option<String>,
    /// Of this kind of outcome only.
    #[arg(long)]
    action: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ReportFormat {
    Table,
    Json,
    Csv,
}

fn day(text: &str) -> Result<i64, String> {
    parse_day(text).ok_or_else(|| format!("`{text}` is not a day such as 2026-10-01"))
}

type Outcome = Result<(), Box<dyn Error>>;

/// Runs a command.
pub async fn run(cli: Cli) -> Outcome {
    if let Command::Openapi = cli.command {
        println!("{}", api_description().to_pretty_json()?);
        return Ok(());
    }
    if let Command::Sources(command) = &cli.command {
        match command {
            sources::SourcesCommand::Lint { file } => return sources::check(file, false),
            sources::SourcesCommand::Test { file } => return sources::check(file, true),
            _ => {}
        }
    }
    if let Command::Import(import::Import::Attempts(import::Attempts { columns: true, .. })) = cli.command {
        return import::print_columns();
    }
    if let Command::Recount(command) = cli.command {
        return cases::recount(command);
    }
    let config = Config::read(cli.config.as_deref())?;
    match cli.command {
        Command::Serve { roles, test_clock } => return Ok(serve(config, &roles, test_clock).await?),
        Command::Emit { file } => return emit(&config, &file).await,
        Command::Health => return health(&config).await,
        _ => {}
    }
    let store = Store::connect(&config.database_url).await?;
    match cli.command {
        Command::Keys(command) => keys(&store, command).await,
        Command::Contracts(command) => contracts(&store, command).await,
        Command::Customers(command) => customers::run(&config, &store, command).await,
        Command::Invoices(command) => invoices::run(&config, &store, command).await,
        Command::Credits(command) => credits::run(&store, command).await,
        Command::Prices(command) => prices::run(&store, command).await,
        Command::Estimate(command) => customers::estimate(&store, command).await,
        Command::Parked(command) => parked_things(&config, &store, command).await,
        Command::Sources(command) => sources::run(&config, &store, command).await,
        Command::Quarantine(command) => sources::quarantined(&config, &store, command).await,
        Command::Disputes(command) => disputes::run(&store, command).await,
        Command::Import(command) => import::run(&store, &config.database_url, command).await,
        Command::ProviderBill(command) => provider_bill::run(&store, command).await,
        Command::Report(command) => report(&config, &store, command).await,
        Command::Cases(command) => cases::run(&store, command).await,
        Command::Explain(command) => cases::explain(&store, command).await,
        Command::Rejudge(command) => cases::rejudge(&store, command).await,
        Command::Export(command) => cases::export(&store, command).await,
        Command::Recount(command) => cases::recount(command),
        Command::Verify(command) => evidence::verify(&store, command).await,
        Command::Reconcile(command) => reconcile::run(&config, &store, command).await,
        Command::Figures(command) => figures::run(&store, command).await,
        Command::Serve { .. } | Command::Emit { .. } | Command::Openapi | Command::Health => Ok(()),
    }
}

async fn keys(store: &Store, command: Keys) -> Outcome {
    match command {
        Keys::Create { name, scopes } => {
            let (key, shown) = new_key(&name, &scopes, wall_clock());
            access::create_key(store, &key).await?;
            println!("{shown}");
            eprintln!("This is the key `{name}` ({}). It is not shown again.", key.scopes);
        }
        Keys::List => {
            for key in access::list_keys(store).await? {
                let state = key.revoked_at.map_or("active".to_string(), |at| format!("revoked {at}"));
                println!("{}  {}  {}  made {}  {state}", key.id, key.name, key.scopes, key.created_at);
            }
        }
        Keys::Revoke { id } => {
            if !access::revoke_key(store, &id, wall_clock()).await? {
                return Err(format!("there is no active key `{id}`: see `verdict keys list`").into());
            }
            println!("revoked");
        }
    }
    Ok(())
}

fn read_contract(file: &str) -> Result<Contract, Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let format = if file.ends_with(".json") { Format::Json } else { Format::Toml };
    Ok(contract::read(format, &text).map_err(|reason| format!("{file}: {reason}"))?)
}

fn lint_contract(file: &str) -> Outcome {
    let contract = read_contract(file)?;
    for warning in contract.warnings() {
        println!("warning: {warning}");
    }
    println!("{file}: version {} of `{}` can be put", contract.version, contract.customer);
    Ok(())
}

/// The period of a contract that contains a day, or the last one that is over.
async fn preview_contract(store: &Store, file: &str, day: Option<i64>) -> Outcome {
    let contract = read_contract(file)?;
    let now = cases::now(store).await?;
    let calendar = contract.calendar(contract.effective_from).ok_or("time_zone: is none")?;
    let at = match day {
        Some(day) => Timestamp(day.saturating_mul(MICROS_PER_DAY)),
        None => Timestamp(calendar.containing(now).start.0 - 1),
    };
    let preview = verdict_reports::preview(store, &contract, calendar.containing(at), now).await?;
    print!("{}", verdict_reports::previewed(&preview, &contract));
    Ok(())
}

async fn contracts(store: &Store, command: Contracts) -> Outcome {
    match command {
        Contracts::Lint { file } => lint_contract(&file)?,
        Contracts::Preview { file, day } => preview_contract(store, &file, day).await?,
        Contracts::Put { file } => {
            let contract = read_contract(&file)?;
            let (customer, version) = (&contract.customer, contract.version);
            match contract::put(store, &contract, wall_clock()).await?? {
                true => println!("recorded version {version} of `{customer}`"),
                false => println!("version {version} of `{customer}` is there already"),
            }
        }
        Contracts::List => println!("{}", serde_json::to_string_pretty(&contracts::list(store).await?)?),
    }
    Ok(())
}

async fn parked_things(config: &Config, store: &Store, command: ParkedCommand) -> Outcome {
    match command {
        ParkedCommand::List => {
            for item in parked::list(store, None, 1_000).await? {
                let thing = &item.parked;
                println!(
                    "{}  {}  {}  {}  {}",
                    item.id,
                    item.parked_at,
                    thing.origin.as_str(),
                    thing.reference,
                    thing.reason
                );
            }
            for gone in parked::dropped(store).await? {
                eprintln!(
                    "{} of `{}` ({} bytes) are gone, the last at {}: only the newest are kept",
                    gone.things, gone.reference, gone.bytes, gone.last_at
                );
            }
        }
        ParkedCommand::Show { id } => {
            let item =
                parked::find(store, &id).await?.ok_or_else(|| format!("nothing is parked under `{id}`"))?;
            let thing = &item.parked;
            println!(
                "origin     {}\nreference  {}\nparked at  {}",
                thing.origin.as_str(),
                thing.reference,
                item.parked_at
            );
            println!("reason     {}\nheaders    {}\n", thing.reason, thing.headers);
            std::io::stdout().write_all(&thing.body)?;
            println!();
        }
        ParkedCommand::Settle { id, because } => match settle(store, &id, &because, wall_clock()).await? {
            Settled::Done => println!("settled"),
            Settled::NotFound => return Err(format!("nothing is parked under `{id}`").into()),
            Settled::NoErrand => {
                return Err(format!("`{id}` is no parked errand to Stripe: only such can be settled").into());
            }
        },
        ParkedCommand::Replay { id, all } => {
            let ids = match (id, all) {
                (Some(id), _) => vec![id],
                _ => parked::list(store, None, 10_000).await?.into_iter().map(|item| item.id).collect(),
            };
            let book = books::open_active(store).await?;
            // The steps are run by the service; here they are only given work.
            let sources = LiveSources::load(config, store).await?.now();
            let mut failed = 0;
            for id in &ids {
                match replay(store, &book, &sources, None, id, wall_clock()).await? {
                    Replayed::Done => println!("{id}  replayed"),
                    Replayed::NotFound => return Err(format!("nothing is parked under `{id}`").into()),
                    Replayed::StillFails(reason) => {
                        failed += 1;
                        println!("{id}  still fails: {reason}");
                    }
                }
            }
            if failed > 0 {
                return Err(format!("{failed} of {} still fail", ids.len()).into());
            }
        }
    }
    Ok(())
}

async fn report(config: &Config, store: &Store, command: Report) -> Outcome {
    match command {
        Report::FailureCost { from, to, by, of, compare, compare_from, compare_to, format } => {
            if to <= from {
                return Err(format!("--to: {} is not after {}", day_text(to), day_text(from)).into());
            }
            let Of { customer, agent, provider, model, action } = of;
            let of = Slice { from, to, customer, agent, provider, model, action };
            let own = (compare_from.as_deref(), compare_to.as_deref());
            let compare = read_compare(compare.as_deref(), own.0, own.1, Compare::Nothing)?;
            let report = verdict_reports::beside(store, &Query { of, by }, compare).await?;
            match format {
                ReportFormat::Table => print!("{}", table(&report)),
                ReportFormat::Csv => print!("{}", csv(&report)),
                ReportFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
            }
        }
        Report::ProviderBill(asked) => provider_bill::report(store, asked).await?,
        Report::Levers(command) => levers::run(config, store, command).await?,
        Report::Link(command) => return reports::link(config, store, command).await,
        Report::RevokeLinks => return reports::revoke_links(store).await,
        Report::UnknownCosts => {
            for model in attempts::unknown_costs(store).await? {
                println!(
                    "{}  {}  {}  {} attempts",
                    model.customer, model.provider, model.model, model.attempts
                );
            }
        }
    }
    Ok(())
}

async fn emit(config: &Config, file: &str) -> Outcome {
    let url = config.amqp_url.as_deref().ok_or("no queue is configured: set VERDICT_AMQP_URL")?;
    let input: Box<dyn Read + Send> = match file {
        "-" => Box::new(std::io::stdin()),
        file => Box::new(std::fs::File::open(file).map_err(|error| format!("{file}: {error}"))?),
    };
    let mut failed = None;
    let lines =
        BufReader::new(input).lines().map_while(|line| line.map_err(|error| failed = Some(error)).ok());
    let bodies = lines.filter(|line| !line.trim().is_empty()).map(String::into_bytes);
    let published = amqp::publish(url, verdict_intake::JSON, bodies).await?;
    println!("{published} events are in the queue");
    match failed {
        Some(error) => Err(format!("{file}: {error}").into()),
        None => Ok(()),
    }
}

/// The login page answers without a key: it stands for the service.
async fn health(config: &Config) -> Outcome {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip(std::net::IpAddr::from([127, 0, 0, 1]));
    }
    let ask = async {
        let mut connection = tokio::net::TcpStream::connect(address).await?;
        connection.write_all(b"GET /login HTTP/1.0\r\n\r\n").await?;
        let mut answer = [0; 15];
        connection.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(std::time::Duration::from_secs(3), ask).await {
        Ok(Ok(answer)) if answer.ends_with(b"200 OK") => Ok(()),
        Ok(Ok(_)) => Err("the service answers, but not as it should".into()),
        Ok(Err(error)) => Err(format!("no answer at {address}: {error}").into()),
        Err(_) => Err(format!("no answer at {address} within 3 s").into()),
    }
}
