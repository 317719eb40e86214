//! What a model provider billed, read from the CSV that it exports: by which columns, and what they say.
//!
//! The known layouts are data ([`LAYOUTS`]). Another file is read by columns that are named. It is read once and in bounded
//! memory: only the sums by day, model and currency are kept.

use crate::litellm::decimal;
use crate::table::{Record, Records, fields, text};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use verdict_domain::money;
use verdict_domain::time::{Timestamp, parse_day};

/// Days times models times currencies that one bill can tell of. Bounds the memory.
const MOST_SUMS: usize = 200_000;
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
type Key = (i64, String, String);

/// What a bill says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillFile {
    /// The digest of the file, in hexadecimal digits.
    pub sha256: String,
    /// By which columns it was read.
    pub read_as: String,
    /// Rows that say a cost.
    pub lines: u64,
    /// Rows that say none (a bucket of OpenAI's without an amount), or are not to be taken.
    pub left: u64,
    /// By UTC day, model (empty: of none, or of all) and currency: the sum in nanos, and of how many rows.
    pub amounts: BTreeMap<Key, (i64, i64)>,
}

/// Why a bill cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The file cannot be read to its end.
    #[error("the file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is no bill; the reason names the line and the column, and says what would be right.
    #[error("{0}")]
    Refused(String),
}

/// Reads a bill whole, or refuses it whole.
pub fn read_bill(reader: impl BufRead, columns: &BillColumns) -> Result<BillFile, BillError> {
    let mut digesting = Digesting { reader, digest: Sha256::new() };
    let mut records = Records::new(&mut digesting, true, 1, 0);
    let header = records.next().transpose()?.ok_or_else(|| refused("the file is empty"))?;
    let plan = Plan::of(&header, columns).map_err(BillError::Refused)?;
    let (mut amounts, mut lines, mut left) = (BTreeMap::new(), 0, 0);
    for record in records {
        let record = record?;
        let at = |reason: String| BillError::Refused(format!("line {}: {reason}", record.line));
        let Some((key, nanos)) = plan.read(&record).map_err(at)? else {
            left += 1;
            continue;
        };
        lines += 1;
        let sum: &mut (i64, i64) = amounts.entry(key).or_default();
        sum.0 = sum.0.checked_add(nanos).ok_or_else(|| at("the amounts of the day overflow".into()))?;
        sum.1 += 1;
        if amounts.len() > MOST_SUMS {
            return Err(at(format!("there are more than {MOST_SUMS} days and models: import it in parts")));
        }
    }
    if amounts.is_empty() {
        return Err(refused("no row says a cost"));
    }
    let sha256 = digesting.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(BillFile { sha256, read_as: plan.read_as, lines, left, amounts })
}

fn refused(reason: &str) -> BillError {
    BillError::Refused(reason.into())
}

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
struct Plan {
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
    read_as: String,
}

impl Plan {
    fn of(header: &Record, columns: &BillColumns) -> Result<Self, String> {
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
    fn read(&self, record: &Record) -> Result<Option<(Key, i64)>, String> {
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

/// Digests what is read through it.
struct Digesting<R> {
    reader: R,
    digest: Sha256,
}

impl<R: BufRead> Read for Digesting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.digest.update(&into[..read]);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Digesting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        // What is consumed is in the buffer already: asking for it reads nothing.
        if let Ok(held) = self.reader.fill_buf() {
            self.digest.update(&held[..count.min(held.len())]);
        }
        self.reader.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, columns: &str, only: &[&str]) -> Result<BillFile, String> {
        let only: Vec<String> = only.iter().map(|text| text.to_string()).collect();
        let columns = BillColumns::read(columns, &only)?;
        read_bill(file.as_bytes(), &columns).map_err(|error| error.to_string())
    }

    fn sums(file: &str, columns: &str, only: &[&str]) -> Vec<(String, String, String, i64, i64)> {
        let bill = read(file, columns, only).unwrap_or_else(|reason| panic!("{reason}"));
        let day = |day: i64| verdict_domain::time::day_text(day);
        bill.amounts.into_iter().map(|((d, m, c), (nanos, lines))| (day(d), m, c, nanos, lines)).collect()
    }

    fn row(
        day: &str,
        model: &str,
        currency: &str,
        nanos: i64,
        lines: i64,
    ) -> (String, String, String, i64, i64) {
        (day.into(), model.into(), currency.into(), nanos, lines)
    }

    const OPENAI: &str = "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,project_id\n\
        1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,0.003835980000000000000000000000,usd,,,\"gpt-4o-2024-08-06, input\",p\n\
        1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,0.5,usd,1000,tokens,\"gpt-4o-2024-08-06, output\",p\n\
        1790553600,1790640000,2026-09-28T00:00:00,2026-09-29T00:00:00,-0.25,usd,,,,\n\
        1790640000,1790726400,2026-09-29T00:00:00+00:00,2026-09-30T00:00:00+00:00,,,,,,\n";

    #[test]
    fn openais_costs_are_read_by_day_and_model() {
        let expected = [
            row("2026-09-28", "", "USD", -250_000_000, 1),
            row("2026-09-28", "gpt-4o-2024-08-06", "USD", 503_835_980, 2),
        ];
        assert_eq!(sums(OPENAI, "", &[]), expected);
        let bill = read(OPENAI, "", &[]).unwrap_or_else(|reason| panic!("{reason}"));
        assert_eq!((bill.lines, bill.left), (3, 1), "an empty bucket says nothing");
        assert_eq!(bill.sha256.len(), 64);
        assert!(bill.read_as.starts_with("openai: day=start_time_iso, model=line_item"), "{}", bill.read_as);
        // The digest is of the file's own bytes.
        let digest: String = Sha256::digest(OPENAI).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(bill.sha256, digest);
        let hours = OPENAI.replace("1790553600,1790640000", "1790553600,1790557200");
        assert_eq!(
            read(&hours, "", &[]).unwrap_err(),
            "line 2: column `end_time`: the row is not of one day: export the costs by day"
        );
    }

    #[test]
    fn anthropics_costs_are_dollars() {
        let file = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,list_price_usd\n\
            2026-08-04,Claude Haiku 4.5,Default,demo,message,≤ 200k,input_no_cache,0.05,0.05\n\
            2026-08-04,Claude Haiku 4.5,Default,demo,message,≤ 200k,output,1.2E-06,0.02\n";
        assert_eq!(sums(file, "", &[]), [row("2026-08-04", "Claude Haiku 4.5", "USD", 50_001_200, 2)]);
    }

    #[test]
    fn what_bills_more_than_models_must_be_narrowed() {
        let file = "BilledCost,BillingCurrency,ChargePeriodStart,ServiceName\n\
            1.5,EUR,2026-10-05T01:00:00Z,Amazon Bedrock\n2.5,EUR,2026-10-05 23:00:00,Amazon Bedrock\n9,EUR,2026-10-05T00:00:00Z,Amazon EC2\n";
        assert!(read(file, "", &[]).unwrap_err().contains("ServiceName=Amazon Bedrock"));
        assert_eq!(
            sums(file, "", &["ServiceName=Amazon Bedrock"]),
            [row("2026-10-05", "", "EUR", 4_000_000_000, 2)]
        );
    }

    #[test]
    fn any_file_is_read_by_columns_that_are_named() {
        let file =
            "\u{feff}When,Model,\"Cost, net\",Cur\n2026-10-05T23:30:00-02:00,m,1,eur\n2026-10-06,m,2,EUR\n";
        let columns = "day=When,model=Model,amount=Cost, net,currency=Cur";
        assert!(
            read(file, columns, &[]).unwrap_err().contains("`net` is not like day=COLUMN"),
            "a comma parts them"
        );
        let file = file.replace("\"Cost, net\"", "Cost");
        let columns = "day=When,model=Model,amount=Cost,currency=Cur";
        assert_eq!(sums(&file, columns, &[]), [row("2026-10-06", "m", "EUR", 3_000_000_000, 2)]);
        for (columns, reason) in [
            ("", "no known export"),
            ("day=When", "name both"),
            ("day=When,amount=Cost", "currency: name its column"),
            ("day=When,amount=Price,currency=Cur", "no column `Price`: it has When, Model, Cost, Cur"),
            ("day=When,day=When", "`day` is there twice"),
            ("price=Cost", "`price` is none of"),
        ] {
            let error = read(&file, columns, &[]).unwrap_err();
            assert!(error.contains(reason), "{columns}: {error}");
        }
    }

    #[test]
    fn a_bad_row_is_named_by_line_and_column() {
        let columns = "day=d,model=m,amount=a,currency=c";
        for (bad, reason) in [
            ("2026-13-01,m,1,USD", "line 3: column `d`: `2026-13-01` is not a day"),
            ("2026-10-01x,m,1,USD", "line 3: column `d`"),
            ("2026-10-01,m,\"1,000\",USD", "line 3: column `a`: `1,000` is not a decimal amount"),
            ("2026-10-01,m,,USD", "line 3: column `a`: `` is not a decimal amount"),
            ("2026-10-01,m,99999999999,USD", "line 3: column `a`: `99999999999` is out of range"),
            ("2026-10-01,m,1,dollars", "line 3: column `c`: `DOLLARS` is not an ISO 4217"),
            ("2026-10-01,m,1", "line 3: has 3 cells, the header 4"),
            ("2026-10-01,m,9000000000,USD", "line 3: the amounts of the day overflow"),
        ] {
            let file = format!("d,m,a,c\n2026-10-01,m,9000000000,USD\n{bad}\n2026-10-01,m,-1,USD\n");
            let error = read(&file, columns, &[]).unwrap_err();
            assert!(error.starts_with(reason), "{bad}: {error}");
        }
        assert_eq!(read("d,m,a,c\n", columns, &[]).unwrap_err(), "no row says a cost");
        assert_eq!(read("", columns, &[]).unwrap_err(), "the file is empty");
    }
}
