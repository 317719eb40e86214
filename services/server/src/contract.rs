//! Reading and putting a contract version, the same from a file and over HTTP.

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use verdict_domain::contract::{Contract, check_rule};
use verdict_domain::rule::Rule;
use verdict_domain::time::Timestamp;
use verdict_store::contracts::{self, Put};
use verdict_store::{Store, StoreError};

/// How a contract is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Toml,
}

/// Reads and checks a contract version. The error names the field and what would be right.
pub(crate) fn read(format: Format, text: &str) -> Result<Contract, String> {
    let contract: Contract = parse(format, text)?;
    contract.check().map_err(|error| error.to_string())?;
    Ok(contract)
}

/// Reads and checks a rule: by itself, or the `rule` of what it stands in, such as a contract. The error names the field.
pub(crate) fn read_rule(format: Format, text: &str) -> Result<Rule, String> {
    #[derive(Deserialize)]
    struct Holder {
        rule: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Held {
        rule: Rule,
    }
    let rule = match parse::<Holder>(format, text)?.rule {
        Some(_) => parse::<Held>(format, text)?.rule,
        None => parse(format, text)?,
    };
    check_rule(&rule).map_err(|error| error.to_string())?;
    Ok(rule)
}

fn parse<T: DeserializeOwned>(format: Format, text: &str) -> Result<T, String> {
    match format {
        Format::Json => verdict_resolution::read_json(text.as_bytes()),
        Format::Toml => {
            let document = toml::Deserializer::parse(text).map_err(|error| error.to_string())?;
            serde_path_to_error::deserialize(document)
                .map_err(|error| format!("{}: {}", error.path(), error.inner().message()))
        }
    }
}

/// Puts a contract version. `Ok(false)`: the very same one is there already; the inner error says why it cannot be put.
pub(crate) async fn put(
    store: &Store,
    contract: &Contract,
    now: Timestamp,
) -> Result<Result<bool, String>, StoreError> {
    let tx = store.begin().await?;
    let put = contracts::put(&tx, contract, now).await?;
    tx.commit().await?;
    let (customer, version) = (&contract.customer, contract.version);
    Ok(match put {
        Put::Recorded => Ok(true),
        Put::Unchanged => Ok(false),
        Put::Used => {
            let next = version.saturating_add(1);
            Err(format!("version: {version} of `{customer}` is in use and cannot change: put version {next}"))
        }
        Put::OtherWay => Err(format!(
            "stripe.through: another version of `{customer}` goes to Stripe the other way; all versions go one way: take \
             another customer name for the other"
        )),
        Put::OtherCurrency => Err(format!(
            "currency: another version of `{customer}` bills in another one; all versions bill in one"
        )),
    })
}
