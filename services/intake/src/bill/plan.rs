//! By which columns a bill is read, and what its rows say.
//!
//! The known layouts are data ([`LAYOUTS`]). Another file is read by columns that are named.

use crate::litellm::decimal;
use crate::table::{Record, fields, text};
use verdict_domain::money;
use verdict_domain::time::{Timestamp, parse_day};

/// A model's name is no longer in an attempt either.
const MOST_NAME: usize = 200;

/// What a column says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source<'a> {
    /// This column.
    Column(&'a str),
    /// The same in all rows.
    Fixed(&'a str),
}

/// The columns of a known export.
struct Layout {
    name: &'static str,
    day: &'static str,
    /// The model, or what begins with it and a comma; the file need not have this column.
    model: Option<&'static str>,
    amount: &'static str,
    currency: Source<'static>,
    /// The beginning and the end of what a row is the cost of, in Unix seconds: it must be one day.
    bucket: Option<(&'static str, &'static str)>,
    /// Set where the file bills more than models: rows to take must be named, for instance like this.
    bills_all: Option<&'static str>,
}

/// The exports that are known by their headers. A file whose header has `day` and `amount` of one of them is read as that.
///
/// Sources: OpenAI's cost export (`cost_….csv` of the usage dashboard; its columns are those of the Costs API,
/// platform.openai.com/docs/api-reference/usage/costs). Anthropic's cost export (support.anthropic.com, article 9534590; the
/// columns as its files have them in 2025 and 2026). FOCUS 1.0 to 1.3 (focus.finops.org), which AWS, Azure, Google and others export.
/// AWS Cost and Usage Reports, legacy and 2.0 (docs.aws.amazon.com/cur, "Line item details").
const LAYOUTS: [Layout; 5] = [
    Layout {
        name: "openai",
        day: "start_time_iso",
        model: Some("line_item"),
        amount: "amount_value",
        currency: Source::Column("amount_currency"),
        bucket: Some(("start_time", "end_time")),
        bills_all: None,
    },
    Layout {
        name: "anthropic",
        day: "usage_date_utc",
        model: Some("model"),
        amount: "cost_usd",
        currency: Source::Fixed("USD"),
        bucket: None,
        bills_all: None,
    },
    Layout {
        name: "focus",
        day: "ChargePeriodStart",
        model: None,
        amount: "BilledCost",
        currency: Source::Column("BillingCurrency"),
        bucket: None,
        bills_all: Some("ServiceName=Amazon Bedrock"),
    },
    Layout {
        name: "aws-cur",
        day: "lineItem/UsageStartDate",
        model: None,
        amount: "lineItem/UnblendedCost",
        currency: Source::Column("lineItem/CurrencyCode"),
        bucket: None,
        bills_all: Some("lineItem/ProductCode=AmazonBedrock"),
    },
    Layout {
        name: "aws-cur-2",
        day: "line_item_usage_start_date",
        model: None,
        amount: "line_item_unblended_cost",
        currency: Source::Column("line_item_currency_code"),
        bucket: None,
        bills_all: Some("line_item_product_code=AmazonBedrock"),
    },
];

/// How a bill is to be read, where its header does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillColumns {
    day: Option<String>,
    model: Option<String>,
    amount: Option<String>,
    currency: Option<String>,
    /// The currency of all rows, where no column says it.
    pub fixed_currency: Option<String>,
    only: Vec<(String, String)>,
}

impl BillColumns {
    /// Reads `day=Date,amount=Cost` (also `model=…`, `currency=…`) and, one each, `COLUMN=VALUE` of which rows to take. The
    /// message says what is wrong.
    pub fn read(columns: &str, only: &[String]) -> Result<Self, String> {
        let mut read = Self::default();
        for part in columns.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (what, column) = part
                .split_once('=')
                .filter(|(_, column)| !column.is_empty())
                .ok_or_else(|| format!("columns: `{part}` is not like day=COLUMN"))?;
            let place = match what {
                "day" => &mut read.day,
                "model" => &mut read.model,
                "amount" => &mut read.amount,
                "currency" => &mut read.currency,
                _ => return Err(format!("columns: `{what}` is none of day, model, amount, currency")),
            };
            if place.replace(column.to_string()).is_some() {
                return Err(format!("columns: `{what}` is there twice"));
            }
        }
        for part in only {
            let (column, value) = part
                .split_once('=')
                .filter(|(column, _)| !column.is_empty())
                .ok_or_else(|| format!("only: `{part}` is not like COLUMN=VALUE"))?;
            read.only.push((column.into(), value.into()));
        }
        Ok(read)
    }
}

/// A UTC day, a model (empty: none, or all) and a currency.
pub(super) type Key = (i64, String, String);

/// A column that is there: its name and its place.
#[derive(Debug, Clone)]
struct Place {
    name: String,
    nth: usize,
}

enum Currency {
    In(Place),
    Always(String),
}

/// By which columns the rows of a file are read.
pub(super) struct Plan {
    width: usize,
    day: Place,
    model: Option<Place>,
    /// Whether the model's column says more after a comma.
    is_line_item: bool,
    amount: Place,
    currency: Currency,
    bucket: Option<(Place, Place)>,
    only: Vec<(Place, String)>,
    /// Whether a row without an amount is passed over.
    may_be_empty: bool,
    /// In one line: a file that is read by another plan is another bill.
    pub(super) read_as: String,
}

impl Plan {
    /// The plan for a file with this header; the message says what is wrong with it, or what to name.
    pub(super) fn of(header: &Record, columns: &BillColumns) -> Result<Self, String> {
        let header = text(&header.bytes)?.trim_start_matches('\u{feff}').to_string();
        let names: Vec<String> = fields(&header)?.iter().map(|name| name.trim().to_string()).collect();
        let find = |name: &str| -> Result<Place, String> {
            let mut places = names.iter().enumerate().filter(|(_, known)| *known == name);
            match (places.next(), places.next()) {
                (Some((nth, _)), None) => Ok(Place { name: name.into(), nth }),
                (Some(_), Some(_)) => Err(format!("the header has `{name}` twice")),
                (None, _) => Err(format!("the header has no column `{name}`: it has {}", names.join(", "))),
            }
        };
        let has = |name: &str| names.iter().any(|known| known == name);
        let only: Vec<(Place, String)> = columns
            .only
            .iter()
            .map(|(name, value)| Ok((find(name)?, value.clone())))
            .collect::<Result<_, String>>()?;
        let mut plan = match (&columns.day, &columns.amount) {
            (Some(day), Some(amount)) => {
                Self {
                    width: names.len(),
                    day: find(day)?,
                    model: columns.model.as_deref().map(find).transpose()?,
                    is_line_item: false,
                    amount: find(amount)?,
                    currency: match (&columns.currency, &columns.fixed_currency) {
                        (Some(column), None) => Currency::In(find(column)?),
                        (None, Some(code)) => Currency::Always(code.clone()),
                        _ => return Err(
                            "currency: name its column (columns: currency=COLUMN), or say it, such as USD"
                                .into(),
                        ),
                    },
                    bucket: None,
                    only,
                    may_be_empty: false,
                    read_as: String::new(),
                }
            }
            (None, None) => {
                let layout = LAYOUTS.iter().find(|layout| has(layout.day) && has(layout.amount));
                let layout = layout.ok_or_else(|| {
                    let known = LAYOUTS.map(|layout| format!("{} ({}, {})", layout.name, layout.day, layout.amount));
                    format!(
                        "the header is that of no known export: {}. Name the columns, such as day=Date,model=Model,amount=Cost,currency=Currency",
                        known.join("; ")
                    )
                })?;
                if let Some(example) = layout.bills_all.filter(|_| only.is_empty()) {
                    return Err(format!(
                        "an export of the layout {} bills more than models: say which rows are theirs with only, such as {example}",
                        layout.name
                    ));
                }
                let model = columns.model.as_deref().or(layout.model.filter(|name| has(name)));
                let bucket = layout.bucket.filter(|(from, to)| has(from) && has(to));
                Self {
                    width: names.len(),
                    day: find(layout.day)?,
                    model: model.map(find).transpose()?,
                    is_line_item: model == Some("line_item"),
                    amount: find(layout.amount)?,
                    currency: match layout.currency {
                        Source::Column(column) => Currency::In(find(column)?),
                        Source::Fixed(code) => Currency::Always(code.into()),
                    },
                    bucket: bucket.map(|(from, to)| Ok::<_, String>((find(from)?, find(to)?))).transpose()?,
                    only,
                    may_be_empty: layout.name == "openai",
                    read_as: layout.name.into(),
                }
            }
            _ => return Err("columns: name both, day=COLUMN and amount=COLUMN".into()),
        };
        if let Currency::Always(code) = &plan.currency {
            money::currency(code).map_err(|error| format!("currency: {error}"))?;
        }
        plan.read_as = plan.told();
        Ok(plan)
    }

    /// The plan in one line: a file that is read by another one is another bill.
    fn told(&self) -> String {
        let mut told = vec![format!("day={}", self.day.name)];
        told.extend(self.model.as_ref().map(|place| format!("model={}", place.name)));
        told.push(format!("amount={}", self.amount.name));
        told.push(match &self.currency {
            Currency::In(place) => format!("currency={}", place.name),
            Currency::Always(code) => format!("currency is {code}"),
        });
        told.extend(self.only.iter().map(|(place, value)| format!("only {}={value}", place.name)));
        let told = told.join(", ");
        if self.read_as.is_empty() { told } else { format!("{}: {told}", self.read_as) }
    }

    /// What a row says; `None` where it says nothing, or is not to be taken.
    pub(super) fn read(&self, record: &Record) -> Result<Option<(Key, i64)>, String> {
        if record.is_cut() {
            return Err("is too long (is a quotation mark without its other one?)".into());
        }
        let cells = fields(text(&record.bytes)?)?;
        if cells.len() != self.width {
            return Err(format!("has {} cells, the header {}", cells.len(), self.width));
        }
        let cell = |place: &Place| cells.get(place.nth).map_or("", |cell| cell.trim());
        if self.only.iter().any(|(place, value)| cell(place) != value) {
            return Ok(None);
        }
        let at = |place: &Place, reason: String| format!("column `{}`: {reason}", place.name);
        let amount = cell(&self.amount);
        if amount.is_empty() && self.may_be_empty {
            return Ok(None);
        }
        let day = day(cell(&self.day)).map_err(|reason| at(&self.day, reason))?;
        if let Some((from, to)) = &self.bucket {
            let seconds = |place: &Place| {
                cell(place)
                    .parse::<i64>()
                    .map_err(|_| at(place, format!("`{}` is no Unix time", cell(place))))
            };
            if seconds(to)?.checked_sub(seconds(from)?) != Some(86_400) {
                return Err(at(to, "the row is not of one day: export the costs by day".into()));
            }
        }
        let nanos = decimal(amount)
            .ok_or_else(|| format!("`{}` is not a decimal amount such as 0.99", short(amount)))
            .and_then(|plain| money::parse_nanos(&plain).map_err(|error| error.to_string()))
            .map_err(|reason| at(&self.amount, reason))?;
        let currency = match &self.currency {
            Currency::Always(code) => code.clone(),
            Currency::In(place) => {
                let code = cell(place).to_ascii_uppercase();
                money::currency(&code).map_err(|error| at(place, error.to_string()))?;
                code
            }
        };
        let model = match &self.model {
            None => "",
            // `gpt-4o-2024-08-06, input`: a line of the model's.
            Some(place) if self.is_line_item => cell(place).split(',').next().unwrap_or("").trim(),
            Some(place) => cell(place),
        };
        if let Some(place) = self.model.as_ref().filter(|_| model.len() > MOST_NAME || model.contains('\0')) {
            return Err(at(place, format!("`{}` is no name of at most {MOST_NAME} bytes", short(model))));
        }
        Ok(Some(((day, model.to_string(), currency), nanos)))
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Reads a UTC day: `2026-10-05`, alone or before a time. A time of another zone is taken to UTC; one that names no zone is UTC.
fn day(text: &str) -> Result<i64, String> {
    let is_time = |rest: &str| {
        rest.starts_with(['T', ' '])
            && rest[1..].bytes().all(|byte| byte.is_ascii_digit() || b":.".contains(&byte))
    };
    let zoned = Timestamp::parse(text).map(Timestamp::day);
    let plain = || parse_day(text);
    let local = || {
        let (day, rest) = text.split_at_checked(10)?;
        parse_day(day).filter(|_| is_time(rest))
    };
    zoned
        .or_else(plain)
        .or_else(local)
        .ok_or_else(|| format!("`{}` is not a day such as 2026-10-05, or a time of one", short(text)))
}
