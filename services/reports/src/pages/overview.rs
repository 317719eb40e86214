//! The overview, and the page of definitions.

use super::failure_cost::reason_text;
use super::figures::{Better, Frame, Tile, cases_href, change, money, narrowed_to, percent, points};
use super::{grouped, moment};
use crate::behind::Asked;
use crate::definitions::{DEFINITIONS, Definition};
use crate::failure_cost::Row;
use crate::overview::{Counted, InCurrency, Overview};
use crate::text::rounded;
use crate::trend::Trend;
use crate::unit::permille;
use crate::view::{View, slice_query};
use askama::Template;
use verdict_store::alerts::Alert;
use verdict_store::figures::Slice;

/// The most causes and customers that the overview lists.
const SHOWN: usize = 8;

#[derive(Template)]
#[template(path = "overview.html")]
struct Page<'a> {
    frame: Frame<'a>,
    overview: &'a Overview,
    counted: Vec<Tile>,
    sections: Vec<Section<'a>>,
    alerts: Option<&'a [Alert]>,
}

/// The overview, `alerts` being those that are not over, if the reader may see them; `today` is a UTC day.
pub fn overview(
    overview: &Overview,
    view: &View,
    alerts: Option<&[Alert]>,
    today: i64,
) -> Result<String, askama::Error> {
    let sections = overview.currencies.iter().map(|money| section(money, &overview.counted, view));
    let page = Page {
        frame: Frame::new("/overview", view, today),
        overview,
        counted: counted(&overview.counted, overview.counted_before.as_ref(), &view.of),
        sections: sections.collect(),
        alerts,
    };
    page.render()
}

/// What the overview says of one currency.
struct Section<'a> {
    money: &'a InCurrency,
    tiles: Vec<Tile>,
    trends: Vec<Trend<'a>>,
    causes: Vec<Cause<'a>>,
    losing: Vec<Losing<'a>>,
}

struct Cause<'a> {
    row: &'a Row,
    text: &'a str,
    together: String,
    share: String,
    width: String,
    href: String,
}

struct Losing<'a> {
    row: &'a Row,
    href: String,
}

impl Section<'_> {
    fn shown(&self, nanos: &i64) -> String {
        rounded(*nanos, &self.money.currency)
    }

    fn margin(&self, row: &Row) -> String {
        money(row.margin_nanos, &self.money.currency)
    }
}

/// Attempts and outcomes.
fn counted(now: &Counted, before: Option<&Counted>, of: &Slice) -> Vec<Tile> {
    let change = |pick: fn(&Counted) -> i64, better| {
        change(Some(pick(now)), before.map(pick), better, |count| grouped(&count))
    };
    let mut success = Tile::new("success", now.success.map_or("–".into(), |rate| rate.shown()));
    if let Some(rate) = now.success {
        success = success.note(format!("95 % interval: {}", rate.interval()));
        let few = if rate.is_of_few() { "few, so it says little: " } else { "" };
        success =
            success.note(format!("{few}{} of {} decided", grouped(&rate.successes), grouped(&rate.decided)));
        if let Some(other) = before.and_then(|before| before.success) {
            success.change = Some(points(rate.permille, other.permille));
            if rate.permille != other.permille
                && rate.from_permille <= other.to_permille
                && other.from_permille <= rate.to_permille
            {
                success = success.note("the intervals overlap: it may be chance");
            }
        }
    } else {
        success = success.note("nothing is decided");
    }
    let mut outcomes = vec![success];
    for (id, pick, better, bucket) in [
        ("confirmed", (|of| of.confirmed) as fn(&Counted) -> i64, Better::More, "confirmed"),
        ("assumed", |of| of.assumed, Better::Neither, "assumed"),
        ("failed", |of| of.failed, Better::Less, "failed"),
        ("void", |of| of.void, Better::Less, "void"),
        ("pending", |of| of.pending, Better::Neither, "pending"),
        ("attempts", |of| of.attempts, Better::Neither, ""),
    ] {
        let mut tile = Tile::new(id, grouped(&pick(now)));
        tile.change = change(pick, better);
        if pick(now) > 0 {
            let bucket = [("bucket", bucket)];
            tile.href = Some(cases_href(of, if bucket[0].1.is_empty() { &[] } else { &bucket }));
        }
        if id == "void"
            && let Some(permille) = now.void_permille
        {
            tile = tile.note(format!("void rate {}", percent(permille)));
        }
        if id == "attempts" && now.unknown_cost_attempts > 0 {
            tile = tile.note(format!("cost unknown for {}", grouped(&now.unknown_cost_attempts)));
        }
        outcomes.push(tile);
    }
    outcomes
}

fn section<'a>(of: &'a InCurrency, counted: &Counted, view: &View) -> Section<'a> {
    let failures = i128::from(of.now.row.lost_nanos) + i128::from(of.now.row.retry_nanos);
    let together = |row: &Row| i128::from(row.lost_nanos) + i128::from(row.retry_nanos);
    let most = of.causes.first().map_or(1, together).max(1);
    let causes = of.causes.iter().take(SHOWN).map(|row| Cause {
        row,
        text: reason_text(&row.key),
        together: money(i64::try_from(together(row)).ok(), &of.currency),
        share: permille(together(row), failures).map_or("–".into(), percent),
        width: format!("{}%", together(row).clamp(0, most) * 100 / most),
        href: cases_href(
            &view.of,
            &[("currency", &of.currency), ("bucket", "failures"), ("reason", &row.key)],
        ),
    });
    let losing = of.losing.iter().take(SHOWN).map(|row| Losing {
        row,
        href: format!("/overview?{}", narrowed_to(view, "customer", &row.key).query()),
    });
    Section {
        money: of,
        tiles: tiles(of, counted, view),
        // What failures cost is too little beside what outcomes bring: it is drawn beside the cost alone, too.
        trends: [true, false]
            .into_iter()
            .filter_map(|of_revenue| Trend::new(&of.trend, of.step, &of.currency, of_revenue))
            .collect(),
        causes: causes.collect(),
        losing: losing.collect(),
    }
}

/// The key figures in a currency.
fn tiles(of: &InCurrency, counted: &Counted, view: &View) -> Vec<Tile> {
    let (now, code) = (&of.now, of.currency.as_str());
    let unit = &now.row.one_currency;
    type Pick = fn(&crate::unit::Measured) -> Option<i64>;
    let tile = |id: &str, pick: Pick, better: Better| {
        let before = of.before.as_ref().and_then(pick);
        let mut tile = Tile::new(id, money(pick(now), code));
        tile.change = change(pick(now), before, better, |nanos| rounded(nanos, code));
        tile
    };
    let left_out = |tile: Tile| {
        if unit.leaves_out { tile.note("not of customers with money in several currencies") } else { tile }
    };
    let behind = |figure| {
        let asked = Asked { figure, currency: Some(code.into()), ..Asked::of(view.of.clone()) };
        Some(format!("/cases?{}", asked.query()))
    };
    let mut cost = tile("cost", |of| Some(of.row.cost_nanos), Better::Neither);
    cost.href = behind("cost");
    if now.row.unknown_cost_attempts > 0 {
        cost = cost.note(format!("unknown for {} attempts", grouped(&now.row.unknown_cost_attempts)));
    }
    let mut failure = tile("failure-cost", |of| of.failure_nanos, Better::Less);
    failure.href = Some(format!("/reports/failure-cost?{}&by=reason", slice_query(&view.of)));
    if let Some(part) = now.failure_permille {
        failure = failure.note(format!("{} of cost", percent(part)));
    }
    let mut margin = left_out(tile("margin", |of| of.row.one_currency.margin_nanos, Better::More));
    if let Some(part) =
        unit.margin_nanos.and_then(|nanos| permille(i128::from(nanos), i128::from(unit.revenue_nanos)))
    {
        margin = margin.note(format!("{} of revenue", percent(part)));
    }
    let mut loaded = left_out(tile("loaded-cost", |of| of.loaded_cost_nanos, Better::Less));
    loaded = match now.stripe_fee_nanos {
        Some(fee) => loaded.note(format!("with Stripe's fee, {} in all", rounded(fee, code))),
        None => loaded.note("without Stripe's fee"),
    };
    let mut profit =
        left_out(tile("profit", |of| of.row.one_currency.profit_per_attempt_nanos, Better::More));
    let decided = unit.attempts - unit.pending_attempts;
    if unit.profit_per_attempt_nanos.is_some() && unit.won > 0 {
        let each = |nanos: i64, of: i64| {
            let each = verdict_domain::money::divide_half_away(i128::from(nanos), i128::from(of.max(1)));
            money(each, code)
        };
        let chance = permille(i128::from(unit.won), i128::from(decided)).map_or("–".into(), percent);
        let (price, cost) =
            (each(unit.revenue_nanos, unit.won), each(unit.cost_nanos - unit.pending_nanos, decided));
        profit = profit.note(format!("{chance} × {price} − {cost}"));
    }
    let mut accrual = Tile::new("accrual", money(now.accrued_nanos, code));
    let pending = grouped(&now.row.pending);
    accrual = match (now.accrued_nanos, now.row.pending) {
        (Some(_), _) => {
            let void = now.void_permille.map_or("–".into(), percent);
            accrual.note(format!("{pending} pending episodes; void rate {void}"))
        }
        (None, 0) => accrual.note("nothing is pending"),
        (None, _) => {
            accrual.note(format!("too few: {pending} pending, and fewer than 30 decided at a price"))
        }
    };
    let mut revenue = tile("revenue", |of| Some(of.row.revenue_nanos), Better::More);
    revenue.href = behind("revenue");
    let mut tiles = vec![revenue, cost, failure, margin, loaded, profit, accrual];
    if counted.success.is_none_or(|rate| rate.is_of_few()) {
        for tile in &mut tiles[4..6] {
            tile.notes.push("few are decided, so it says little".into());
        }
    }
    tiles
}

#[derive(Template)]
#[template(path = "definitions.html")]
struct Definitions {
    definitions: &'static [Definition],
}

/// What each figure says.
pub fn definitions() -> Result<String, askama::Error> {
    Definitions { definitions: &DEFINITIONS }.render()
}
