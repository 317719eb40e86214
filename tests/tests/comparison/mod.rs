//! Everything the service holds, compared with the oracle's.

mod ledger;

use ledger::{documents, expected_documents, expected_postings, postings, same};
use serde_json::Value;
use std::collections::BTreeMap;
use verdict_oracle::{By, Oracle};
use verdict_tests::database::{connect, number, rows};
use verdict_tests::service::Api;

/// Compares all there is; the first difference is shown.
pub async fn compare(api: &Api, database_url: &str, oracle: &Oracle<'_>, parked: usize) {
    let db = connect(database_url).await;
    same("costs", costs(&db).await, expected_costs(oracle));
    same("verdicts", verdicts(&db).await, expected_verdicts(oracle));
    let held = oracle.postings();
    let held = held.iter().flat_map(|((customer, case), of_case)| {
        of_case.iter().map(move |posting| (customer.as_str(), case.as_str(), posting))
    });
    same("postings", postings(&db).await, expected_postings(held));
    documents(api).await.same_as(expected_documents(&oracle.documents()));
    for by in ["customer", "agent", "provider", "model", "action", "reason", "day"] {
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

type Report = BTreeMap<(String, String), [i128; 13]>;

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
            "other_cost_nanos",
            "confirmed",
            "assumed",
            "failed",
            "void",
            "revenue_nanos",
        ];
        figures.insert((text("key"), text("currency")), fields.map(number));
    }
    figures.retain(|_, figures| *figures != [0; 13]);
    figures
}

fn expected_report(oracle: &Oracle<'_>, by: &str) -> Report {
    let by = match by {
        "customer" => By::Customer,
        "agent" => By::Agent,
        "provider" => By::Provider,
        "model" => By::Model,
        "action" => By::Action,
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
            f.other_cost_nanos,
            f.confirmed.into(),
            f.assumed.into(),
            f.failed.into(),
            f.void.into(),
            f.revenue_nanos,
        ];
        figures.insert(key, row);
    }
    figures.retain(|_, figures| *figures != [0; 13]);
    figures
}
