//! Everything the service holds, compared with the oracle's.

use serde_json::Value;
use std::collections::BTreeMap;
use verdict_oracle::{By, Item, Oracle};
use verdict_tests::database::{connect, number, rows};
use verdict_tests::service::Api;

/// Compares all there is; the first difference is shown.
pub async fn compare(api: &Api, database_url: &str, oracle: &Oracle<'_>, parked: usize) {
    let db = connect(database_url).await;
    same("costs", costs(&db).await, expected_costs(oracle));
    same("verdicts", verdicts(&db).await, expected_verdicts(oracle));
    same("postings", postings(&db).await, expected_postings(oracle));
    same("invoices", invoices(api).await, expected_invoices(oracle));
    for by in ["customer", "agent", "model", "reason", "day"] {
        same(&format!("report by {by}"), report(api, by).await, expected_report(oracle, by));
    }
    let held =
        |of: &str| format!("SELECT COUNT(*) FROM parked WHERE replayed_at IS NULL AND origin {of} 'outcome'");
    let messages = number(&db, &held("<>")).await;
    assert_eq!(messages, i64::try_from(parked).unwrap(), "each malformed message is parked, once");
    let outcomes = number(&db, &held("=")).await;
    assert_eq!(
        outcomes,
        i64::try_from(oracle.parked()).unwrap(),
        "each charge without a price is parked, once"
    );
}

fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: BTreeMap<K, V>,
    expected: BTreeMap<K, V>,
) {
    assert!(!expected.is_empty(), "{what}: the oracle expects nothing");
    for (key, value) in &expected {
        assert_eq!(found.get(key), Some(value), "{what}: {key:?} (left: the service, right: the oracle)");
    }
    for (key, value) in &found {
        assert!(expected.contains_key(key), "{what}: {key:?} {value:?} is not the oracle's");
    }
    println!("{what}: {} agree", expected.len());
}

type Costs = BTreeMap<(String, String), (i64, bool, String)>;

async fn costs(db: &sea_orm::DatabaseConnection) -> Costs {
    let sql = "SELECT customer, id, COALESCE(model_cost_nanos, 0) + other_cost_nanos, model_cost_nanos, cost_currency \
               FROM attempts";
    let row = |row: &sea_orm::QueryResult| {
        let known: Option<i64> = row.try_get_by_index(3).unwrap();
        let key = (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap());
        (key, (row.try_get_by_index(2).unwrap(), known.is_some(), row.try_get_by_index(4).unwrap()))
    };
    rows(db, sql).await.iter().map(row).collect()
}

fn expected_costs(oracle: &Oracle<'_>) -> Costs {
    let cost = |(key, cost): (&(String, String), &verdict_oracle::Cost)| {
        (key.clone(), (cost.nanos, cost.known, cost.currency.clone()))
    };
    oracle.costs().iter().map(cost).collect()
}

type Verdicts = BTreeMap<(String, String), Vec<(String, String, Option<String>)>>;

async fn verdicts(db: &sea_orm::DatabaseConnection) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for row in rows(db, "SELECT customer, case_id, episodes FROM cases").await {
        let episodes: Value = serde_json::from_str(&row.try_get_by_index::<String>(2).unwrap()).unwrap();
        let text = |value: &Value| value.as_str().map(String::from);
        let judged: Vec<_> = (episodes.as_array().unwrap().iter())
            .filter_map(|e| Some((text(&e["name"])?, text(&e["verdict"])?, text(&e["reason"]))))
            .collect();
        if !judged.is_empty() {
            verdicts.insert((row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()), judged);
        }
    }
    verdicts
}

fn expected_verdicts(oracle: &Oracle<'_>) -> Verdicts {
    let plain = |(key, verdicts): (&(String, String), &Vec<verdict_oracle::Verdict>)| {
        let plain = verdicts.iter().map(|(name, verdict, reason)| {
            (name.to_string(), verdict.to_string(), reason.as_ref().map(ToString::to_string))
        });
        (key.clone(), plain.collect())
    };
    oracle.verdicts().iter().map(plain).collect()
}

/// The live postings, netted: what was corrected cancels out.
type Postings = BTreeMap<(String, String, String, String, String, String, String, i64, i64), (i64, i64)>;

async fn postings(db: &sea_orm::DatabaseConnection) -> Postings {
    let sql = "SELECT o.customer, o.case_id, o.episode, o.win, o.action, o.agent, o.model, o.effective_at, \
               c.contract_version, CAST(SUM(o.sign) AS BIGINT), CAST(SUM(c.amount_nanos) AS BIGINT) \
               FROM outcomes o JOIN charges c ON c.customer = o.customer AND c.case_id = o.case_id AND c.seq = o.seq \
               GROUP BY o.customer, o.case_id, o.episode, o.win, o.action, o.agent, o.model, o.effective_at, \
               c.contract_version";
    let mut postings = Postings::new();
    for row in rows(db, sql).await {
        let text = |at: usize| row.try_get_by_index::<String>(at).unwrap();
        let number = |at: usize| row.try_get_by_index::<i64>(at).unwrap();
        let key = (text(0), text(1), text(2), text(3), text(4), text(5), text(6), number(7), number(8));
        postings.insert(key, (number(9), number(10)));
    }
    postings.retain(|_, net| *net != (0, 0));
    postings
}

fn expected_postings(oracle: &Oracle<'_>) -> Postings {
    let mut postings = Postings::new();
    for ((customer, case), of_case) in oracle.postings() {
        for p in of_case {
            let key = (
                customer.clone(),
                case.clone(),
                p.episode.clone(),
                p.kind.to_string(),
                p.action.clone(),
                p.agent.clone(),
                p.model.clone(),
                p.effective_at,
                i64::from(p.contract_version),
            );
            let net = postings.entry(key).or_insert((0, 0));
            *net = (net.0 + i64::from(p.sign), net.1 + p.amount_nanos);
        }
    }
    postings.retain(|_, net| *net != (0, 0));
    postings
}

/// Period, contract version, item, what it names and the kind; quantity, nanos and minor units.
type Lines = Vec<(i64, i64, String, Option<String>, Option<String>, i64, i64, i64)>;
type Invoices = BTreeMap<(String, i64), (i64, String, i64, Lines)>;

fn micros(time: &Value) -> i64 {
    verdict_domain::time::Timestamp::parse(time.as_str().unwrap()).unwrap().0
}

async fn invoices(api: &Api) -> Invoices {
    let mut invoices = Invoices::new();
    for invoice in api.get_json("/v1/invoices").await.as_array().unwrap() {
        let text = |value: &Value| value.as_str().unwrap().to_string();
        let number = |value: &Value| value.as_i64().unwrap();
        let mut lines: Lines = (invoice["lines"].as_array().unwrap().iter())
            .map(|line| {
                let named = |field: &str| line[field].as_str().map(String::from);
                (
                    micros(&line["period_start"]),
                    number(&line["contract_version"]),
                    text(&line["item"]),
                    named("action"),
                    named("kind"),
                    number(&line["quantity"]),
                    number(&line["amount_nanos"]),
                    number(&line["amount_minor"]),
                )
            })
            .collect();
        lines.sort();
        let key = (text(&invoice["customer"]), micros(&invoice["period_start"]));
        let total = number(&invoice["total_minor"]);
        invoices.insert(key, (micros(&invoice["period_end"]), text(&invoice["currency"]), total, lines));
    }
    invoices
}

fn expected_invoices(oracle: &Oracle<'_>) -> Invoices {
    let mut invoices = Invoices::new();
    for invoice in oracle.invoices() {
        let line = |line: &verdict_oracle::Line| {
            let (action, kind) = match line.item.clone() {
                Item::Outcomes { action, kind } => (Some(action), Some(kind.to_string())),
                Item::Fee { name } => (Some(name), None),
                _ => (None, None),
            };
            (
                line.period_start,
                i64::from(line.contract_version),
                line.item.name().to_string(),
                action,
                kind,
                line.quantity,
                line.amount_nanos,
                line.amount_minor,
            )
        };
        let mut lines: Lines = invoice.lines.iter().map(line).collect();
        lines.sort();
        let key = (invoice.customer.clone(), invoice.period_start);
        let value = (invoice.period_end, invoice.currency.clone(), invoice.total_minor, lines);
        assert!(invoices.insert(key, value).is_none(), "one invoice a period");
    }
    invoices
}

type Report = BTreeMap<(String, String), [i128; 12]>;

async fn report(api: &Api, by: &str) -> Report {
    let path = format!("/v1/reports/failure-cost?from=2026-09-01&to=2027-03-01&by={by}");
    let report = api.get_json(&path).await;
    let mut figures = Report::new();
    for row in report["rows"].as_array().unwrap() {
        let text = |field: &str| row[field].as_str().unwrap().to_string();
        let number = |field: &str| i128::from(row[field].as_i64().unwrap());
        let parts = ["won", "retry", "free", "lost", "pending"]
            .iter()
            .map(|part| number(&format!("{part}_nanos")))
            .sum::<i128>();
        assert_eq!(parts, number("cost_nanos"), "the columns add up to the total");
        let fields = [
            "attempts",
            "unknown_cost_attempts",
            "won_nanos",
            "retry_nanos",
            "free_nanos",
            "lost_nanos",
            "pending_nanos",
            "confirmed",
            "assumed",
            "failed",
            "void",
            "revenue_nanos",
        ];
        figures.insert((text("key"), text("currency")), fields.map(number));
    }
    figures.retain(|_, figures| *figures != [0; 12]);
    figures
}

fn expected_report(oracle: &Oracle<'_>, by: &str) -> Report {
    let by = match by {
        "customer" => By::Customer,
        "agent" => By::Agent,
        "model" => By::Model,
        "reason" => By::Reason,
        _ => By::Day,
    };
    let day = |text: &str| verdict_domain::time::parse_day(text).unwrap();
    let mut figures = Report::new();
    for (key, f) in oracle.report(day("2026-09-01"), day("2027-03-01"), by) {
        let row = [
            f.attempts.into(),
            f.unknown_cost_attempts.into(),
            f.won_nanos,
            f.retry_nanos,
            f.free_nanos,
            f.lost_nanos,
            f.pending_nanos,
            f.confirmed.into(),
            f.assumed.into(),
            f.failed.into(),
            f.void.into(),
            f.revenue_nanos,
        ];
        figures.insert(key, row);
    }
    figures.retain(|_, figures| *figures != [0; 12]);
    figures
}
