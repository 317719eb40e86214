//! The pages: each a function of its data to HTML. They need no script, and no file but [`STYLE`]; some are kept up to date by
//! [`LIVE_SCRIPT`], and are the same without it.
//!
//! Templates escape whatever they show. The functions that they call (`self::…`) take references, since askama
//! passes these.

mod alerts;
mod behind;
mod cases;
mod customer;
mod failure_cost;
mod figures;
mod groups;
mod invoices;
mod levers;
mod overview;
mod paging;
mod parked;
mod provider_bill;
mod sources;
#[cfg(test)]
mod tests;

pub use alerts::alerts;
pub use behind::cases_behind;
pub use cases::{case, cases, delivery};
pub use customer::{At, customer_case, customer_home, customer_message, customer_outcomes, encoded};
pub use failure_cost::{Filter, failure_cost};
pub use groups::{check_sort, groups};
pub use invoices::{invoice, invoices};
pub use levers::levers;
pub use overview::{definitions, overview};
pub use paging::{LINES, Turn};
pub use parked::{COUNTED, Said, parked};
pub use provider_bill::{BillFilter, provider_bill};
pub use sources::{SourceHealth, sources};

pub use askama::Error as RenderError;

use askama::Template;
use verdict_domain::money::decimal;
use verdict_domain::time::Timestamp;

/// The style sheet of all pages, which they expect at `/style.css`.
pub const STYLE: &str = include_str!("../static/style.css");

/// What keeps the parts of a page that are marked `data-live` up to date: expected at `/live.js`, it listens at `/live`.
pub const LIVE_SCRIPT: &str = include_str!("../static/live.js");

#[derive(Template)]
#[template(path = "login.html")]
struct Login<'a> {
    error: Option<&'a str>,
}

/// Asks for an API key: posts `key` to `/login`.
pub fn login(error: Option<&str>) -> Result<String, askama::Error> {
    Login { error }.render()
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
}

/// Says one thing, such as that there is no such page.
pub fn message(title: &str, text: &str) -> Result<String, askama::Error> {
    Message { title, text }.render()
}

/// A decimal with its thousands apart: `-1,234.5`.
fn thousands(decimal: &str) -> String {
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |digits| ("-", digits));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut text = sign.to_string();
    for (nth, digit) in whole.chars().enumerate() {
        if nth > 0 && (whole.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// A count for reading.
fn grouped(count: &i64) -> String {
    thousands(&count.to_string())
}

/// How many there are of something.
fn length<T>(things: &[T]) -> String {
    grouped(&i64::try_from(things.len()).unwrap_or(i64::MAX))
}

/// Money to the last nano that is not zero, at least two decimals.
fn exact(nanos: &i64) -> String {
    thousands(&decimal(*nanos, 2))
}

/// A time for reading, to the second unless it is finer.
fn moment(at: &Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.f").to_string()
}

/// The code of a currency, or what stands where no contract says one.
fn currency_name(code: &str) -> &str {
    if code == "XXX" { "no contract" } else { code }
}
