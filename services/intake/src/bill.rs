//! What a model provider billed, read from the CSV that it exports. It is read once and in bounded memory: only the sums by day,
//! model and currency are kept.

mod plan;

pub use plan::BillColumns;

use crate::table::Records;
use plan::{Key, Plan};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

/// Days times models times currencies that one bill can tell of. Bounds the memory.
const MOST_SUMS: usize = 200_000;
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
