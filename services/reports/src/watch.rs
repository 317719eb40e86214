//! The step that watches the figures: margins, what failures cost, how much is assumed, models without a price, and days that
//! cost far more than others.
//!
//! It reads the roll-ups, never the attempts. What is raised is decided by pure functions of figures and thresholds.

mod spike;
#[cfg(test)]
mod tests;

use crate::count::shown;
use crate::failure_cost::{FailureCost, Query, Row, failure_cost};
use crate::pages::encoded;
use crate::rate::Rate;
use std::collections::BTreeMap;
use verdict_domain::money::{Money, divide_half_away};
use verdict_domain::period;
use verdict_domain::time::{Timestamp, day_text};
use verdict_store::alerts::{self, Wanted};
use verdict_store::figures::{self, GroupBy, Slice};
use verdict_store::{Store, StoreError};

/// From which figures on a person should look. What is `None`, or empty, is not watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Thresholds {
    /// The margin of the month to date, and of the last 30 days, below so many per cent of the revenue.
    pub margin_below: Option<i64>,
    /// A margin and a share of assumed outcomes are watched where so many episodes are decided.
    pub least_decided: i64,
    /// Lost costs and retries of the month to date, of all customers together, above one of these.
    pub failure_budget: Vec<Money>,
    /// The same of each customer.
    pub customer_failure_budget: Vec<Money>,
    /// The same of a customer by name, instead of those of each.
    pub failure_budgets: BTreeMap<String, Vec<Money>>,
    /// The share of assumed outcomes among wins: the last 7 days above the 28 before by more than so many points, and not by
    /// chance.
    pub assumed_jump: Option<i64>,
    /// At least so many attempts of a model in the last 7 days whose cost is unknown.
    pub unpriced_attempts: Option<i64>,
    /// A day that costs more than so many times the median of the 14 days before.
    pub spike_times: Option<i64>,
    /// Such a day only if it costs more than this, in the currencies that are named; in another, any amount.
    pub spike_above: Vec<Money>,
}

/// Of each kind so many alerts stand at most: whoever makes up customers or models fills no table.
const MOST: usize = 1_000;

/// The step: raises an alert for each figure beyond its threshold, of each customer and of all together, gives those that stand
/// their figures of now, and clears those that are over. Answers how many it raised and cleared.
pub async fn watch_figures(
    store: &Store,
    thresholds: &Thresholds,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let found = Found {
        month: look(store, Days::month_to_date(now)).await?,
        last_30: look(store, Days::last(30, now)).await?,
        week: look(store, Days::last(7, now)).await?,
        before: look(store, Days::before_the_last(28, 7, now)).await?,
    };
    let mut wanted = vec![
        ("margin", thin_margins(&found, thresholds)),
        ("failure_budget", failure_budgets(&found.month, thresholds)),
        ("assumed_share", assumed_shares(&found, thresholds)),
        ("unpriced_model", unpriced_models(store, &found.week, thresholds, now).await?),
        ("spend_spike", spikes(store, thresholds, now).await?),
    ];
    let mut changed = 0;
    let tx = store.begin().await?;
    for (kind, wanted) in &mut wanted {
        if wanted.len() > MOST {
            tracing::warn!(kind, count = wanted.len(), most = MOST, "more alerts than are kept");
            wanted.truncate(MOST);
        }
        let (raised, cleared) = alerts::settle(&tx, kind, wanted, now).await?;
        for alert in &raised {
            tracing::warn!(kind, subject = alert.subject, "{}", alert.text);
        }
        changed += raised.len() + cleared;
    }
    tx.commit().await?;
    Ok(changed)
}

/// UTC days, the last excluded, with what they are called.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Days {
    name: String,
    from: i64,
    to: i64,
}

impl Days {
    fn month_to_date(now: Timestamp) -> Self {
        let from = period::month_containing(now).start.day();
        Self { name: format!("month {}", &day_text(from)[..7]), from, to: now.day() + 1 }
    }

    /// So many days, today the last.
    fn last(count: i64, now: Timestamp) -> Self {
        Self { name: format!("last {count} days"), from: now.day() + 1 - count, to: now.day() + 1 }
    }

    /// So many days before the last ones.
    fn before_the_last(count: i64, last: i64, now: Timestamp) -> Self {
        let to = now.day() + 1 - last;
        Self { name: format!("the {count} days before"), from: to - count, to }
    }

    /// `2026-10-01 to 2026-10-12`, the last included.
    fn shown(&self) -> String {
        format!("{} to {}", day_text(self.from), day_text(self.to - 1))
    }

    /// The report of them.
    fn link(&self, by: &str, whose: Whose, more: &str) -> String {
        let (from, to) = (day_text(self.from), day_text(self.to));
        let customer = match whose {
            Whose::All => String::new(),
            Whose::Customer(name) => format!("&customer={}", encoded(name)),
        };
        format!("/reports/failure-cost?from={from}&to={to}&by={by}{customer}{more}")
    }
}

/// The report of some days by customer.
struct Looked {
    days: Days,
    report: FailureCost,
}

async fn look(store: &Store, days: Days) -> Result<Looked, StoreError> {
    let of = Slice { from: days.from, to: days.to, ..Slice::default() };
    let report = failure_cost(store, &Query { of, by: GroupBy::Customer }).await?;
    Ok(Looked { days, report })
}

impl Looked {
    /// The rows of all together, then of each customer.
    fn rows(&self) -> impl Iterator<Item = (Whose<'_>, &Row)> {
        let all = self.report.totals.iter().map(|row| (Whose::All, row));
        all.chain(self.report.rows.iter().map(|row| (Whose::Customer(&row.key), row)))
    }
}

struct Found {
    month: Looked,
    last_30: Looked,
    week: Looked,
    before: Looked,
}

/// Of whom a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose<'a> {
    All,
    Customer(&'a str),
}

impl Whose<'_> {
    /// What an alert is called: no two things have one name.
    fn subject(self, of: &str) -> String {
        match self {
            Self::All => format!("all customers: {of}"),
            Self::Customer(name) => format!("customer {name}: {of}"),
        }
    }
}

fn thin_margins(found: &Found, thresholds: &Thresholds) -> Vec<Wanted> {
    let Some(below) = thresholds.margin_below else { return Vec::new() };
    let looked = [&found.month, &found.last_30].into_iter();
    let rows = looked.flat_map(|looked| looked.rows().map(|(whose, row)| (&looked.days, whose, row)));
    rows.filter_map(|(days, whose, row)| {
        let text = thin_margin(row, below, thresholds.least_decided)?;
        let text = format!("{}: {text}", days.shown());
        Some(Wanted { subject: whose.subject(&days.name), text, link: Some(days.link("model", whose, "")) })
    })
    .collect()
}

/// What is to be said of a margin below so many per cent of its revenue. A loss without any revenue is below every threshold.
fn thin_margin(row: &Row, below: i64, least_decided: i64) -> Option<String> {
    let margin = row.margin_nanos?;
    let decided = row.success.map_or(0, |rate| rate.decided);
    let (part, whole) = (i128::from(margin), i128::from(row.revenue_nanos));
    let is_below = if whole > 0 { part * 100 < i128::from(below) * whole } else { part < 0 };
    if !is_below || decided < least_decided {
        return None;
    }
    let percent = (whole > 0).then(|| divide_half_away(part * 1_000, whole)).flatten();
    let share = percent.map_or(String::new(), |permille| format!(", {}", percents(permille)));
    let unknown = match row.unknown_cost_attempts {
        0 => String::new(),
        count => format!("; the cost of {} is unknown, so it is at most that", attempts(count)),
    };
    let (margin, revenue) = (shown(margin, &row.currency), shown(row.revenue_nanos, &row.currency));
    Some(format!(
        "the margin is {margin} of {revenue} of revenue{share}, below {below} % ({decided} episodes decided{unknown})"
    ))
}

/// `1 attempt`, `2 attempts`.
fn attempts(count: i64) -> String {
    if count == 1 { "1 attempt".into() } else { format!("{count} attempts") }
}

/// `-12.5 %`.
fn percents(permille: i64) -> String {
    let sign = if permille < 0 { "-" } else { "" };
    format!("{sign}{}.{} %", permille.unsigned_abs() / 10, permille.unsigned_abs() % 10)
}

fn failure_budgets(month: &Looked, thresholds: &Thresholds) -> Vec<Wanted> {
    let budgets = |whose: Whose| match whose {
        Whose::All => &thresholds.failure_budget,
        Whose::Customer(name) => {
            thresholds.failure_budgets.get(name).unwrap_or(&thresholds.customer_failure_budget)
        }
    };
    month
        .rows()
        .filter_map(|(whose, row)| {
            let text = beyond_budget(row, budgets(whose))?;
            let subject = whose.subject(&format!("{} {}", month.days.name, row.currency));
            let link = Some(month.days.link("reason", whose, ""));
            Some(Wanted { subject, text: format!("{}: {text}", month.days.shown()), link })
        })
        .collect()
}

/// What is to be said of failures that cost more than the budget in their currency.
fn beyond_budget(row: &Row, budgets: &[Money]) -> Option<String> {
    let budget = budgets.iter().find(|budget| budget.currency.code() == row.currency)?;
    // What does not fit is beyond any budget.
    let cost = row.lost_nanos.saturating_add(row.retry_nanos);
    let unknown = match row.unknown_cost_attempts {
        0 => String::new(),
        count => format!("; the cost of {} is unknown and not in it", attempts(count)),
    };
    (cost > budget.nanos).then(|| {
        let [lost, retries, cost] =
            [row.lost_nanos, row.retry_nanos, cost].map(|nanos| shown(nanos, &row.currency));
        format!("failures cost {cost} ({lost} lost, {retries} of retries), above the budget of {budget} a month{unknown}")
    })
}

/// Wins, and how many of them were assumed; in all currencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wins {
    assumed: i64,
    all: i64,
}

fn wins(looked: &Looked) -> BTreeMap<Whose<'_>, Wins> {
    let mut wins: BTreeMap<Whose, Wins> = BTreeMap::new();
    for (whose, row) in looked.rows() {
        let of = wins.entry(whose).or_default();
        of.assumed = of.assumed.saturating_add(row.assumed);
        of.all = of.all.saturating_add(row.assumed).saturating_add(row.confirmed);
    }
    wins
}

fn assumed_shares(found: &Found, thresholds: &Thresholds) -> Vec<Wanted> {
    let Some(points) = thresholds.assumed_jump else { return Vec::new() };
    let before = wins(&found.before);
    wins(&found.week)
        .into_iter()
        .filter_map(|(whose, now)| {
            let text = assumed_jump(*before.get(&whose)?, now, points, thresholds.least_decided)?;
            let days = Days { from: found.before.days.from, ..found.week.days.clone() };
            let text = format!("{}: {text}", found.week.days.shown());
            Some(Wanted { subject: whose.subject(&days.name), text, link: Some(days.link("day", whose, "")) })
        })
        .collect()
}

/// What is to be said of a share of assumed outcomes that has risen by more than so many points, where that is hardly chance:
/// the 95 % intervals of both have nothing in common.
fn assumed_jump(before: Wins, now: Wins, points: i64, least: i64) -> Option<String> {
    if before.all < least.max(1) || now.all < least.max(1) {
        return None;
    }
    let [b, n] = [before, now].map(|wins| (i128::from(wins.assumed), i128::from(wins.all)));
    let has_risen = (n.0 * b.1 - b.0 * n.1) * 100 > i128::from(points) * n.1 * b.1;
    let (was, is) = (Rate::of(before.assumed, before.all)?, Rate::of(now.assumed, now.all)?);
    (has_risen && is.from_permille > was.to_permille).then(|| {
        format!(
            "{} of {} wins were assumed, {} ({}); in the 28 days before {} of {}, {} ({}); that is more by over {points} points: \
             look whether confirmations still arrive",
            now.assumed,
            now.all,
            is.shown(),
            is.interval(),
            before.assumed,
            before.all,
            was.shown(),
            was.interval()
        )
    })
}

/// Of the providers with unknown costs, the models with at least so many.
async fn unpriced_models(
    store: &Store,
    week: &Looked,
    thresholds: &Thresholds,
    now: Timestamp,
) -> Result<Vec<Wanted>, StoreError> {
    let Some(least) = thresholds.unpriced_attempts else { return Ok(Vec::new()) };
    if week.report.totals.iter().all(|row| row.unknown_cost_attempts == 0) {
        return Ok(Vec::new());
    }
    let days = Days::last(7, now);
    let of = Slice { from: days.from, to: days.to, ..Slice::default() };
    let mut wanted = Vec::new();
    for (provider, _) in unknown(figures::sums(store, &of, GroupBy::Provider).await?, 1) {
        let of = Slice { provider: Some(provider.clone()), ..of.clone() };
        for (model, (unknown, all)) in unknown(figures::sums(store, &of, GroupBy::Model).await?, least) {
            let text = format!(
                "{}: the cost of {unknown} of {} is unknown, and in no sum: give the model a price, see that its \
                 tokens are counted, or send a `reported_cost`",
                days.shown(),
                attempts(all)
            );
            let more = format!("&provider={}&model={}", encoded(&provider), encoded(&model));
            let link = Some(days.link("customer", Whose::All, &more));
            wanted.push(Wanted { subject: format!("{provider} {model}"), text, link });
        }
    }
    Ok(wanted)
}

/// The keys with at least so many attempts of unknown cost: these, and all attempts.
fn unknown(sums: Vec<figures::Sum>, least: i64) -> BTreeMap<String, (i64, i64)> {
    let mut by_key: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for sum in sums {
        let (unknown, attempts) = by_key.entry(sum.key).or_default();
        *unknown = unknown.saturating_add(sum.figures.unknown_costs);
        *attempts = attempts.saturating_add(sum.figures.attempts);
    }
    by_key.retain(|_, (unknown, _)| *unknown >= least);
    by_key
}

async fn spikes(store: &Store, thresholds: &Thresholds, now: Timestamp) -> Result<Vec<Wanted>, StoreError> {
    let Some(times) = thresholds.spike_times else { return Ok(Vec::new()) };
    let today = now.day();
    let costs = figures::daily_costs(store, today - 1 - spike::DAYS, today + 1).await?;
    let mut wanted = Vec::new();
    for ((whose, currency), days) in &spike::by_customer(&costs) {
        let floor = thresholds.spike_above.iter().find(|floor| floor.currency.code() == *currency);
        for day in [today - 1, today] {
            let Some(text) = spike::spike(days, day, times, floor.map_or(0, |floor| floor.nanos), currency)
            else {
                continue;
            };
            let (subject, of) = (
                format!("{} {currency}", day_text(day)),
                Days { name: String::new(), from: day, to: day + 1 },
            );
            let link = Some(of.link("model", *whose, ""));
            wanted.push(Wanted { subject: whose.subject(&subject), text, link });
        }
    }
    Ok(wanted)
}
