//! The ledger and the documents, the service's and the oracle's, in one form.

use serde_json::Value;
use std::collections::BTreeMap;
use verdict_oracle::{Document, Item, Posting, rfc3339};
use verdict_tests::database::rows;
use verdict_tests::service::Api;

/// Compares; the first difference is shown.
pub fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
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

/// The live postings, netted: what was corrected cancels out. By customer, case, episode, win, action, agent, model, effective
/// time and contract version: how many, and the list price.
pub type Postings = BTreeMap<(String, String, String, String, String, String, String, i64, i64), (i64, i64)>;

/// What the service has posted.
pub async fn postings(db: &sea_orm::DatabaseConnection) -> Postings {
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

/// The oracle's, each with its customer and case.
pub fn expected_postings<'a>(held: impl Iterator<Item = (&'a str, &'a str, &'a Posting)>) -> Postings {
    let mut postings = Postings::new();
    for (customer, case, p) in held {
        let key = (
            customer.to_string(),
            case.to_string(),
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
    postings.retain(|_, net| *net != (0, 0));
    postings
}

/// Customer, beginning of the closed period, and the document that it corrects.
pub type Key = (String, String, Option<String>);

/// Document, beginning of the period, contract version, item, what it names and the kind.
pub type LineKey = (Key, String, i64, String, Option<String>, Option<String>);

/// The documents, and all lines of them.
#[derive(Debug, Default)]
pub struct Documents {
    /// Kind, state, end of the period, currency and total.
    pub heads: BTreeMap<Key, (String, String, i64, String, i64)>,
    /// Quantity, nanos and minor units.
    pub lines: BTreeMap<LineKey, (i64, i64, i64)>,
}

impl Documents {
    /// Compares: the first line that differs is shown, then the first document.
    pub fn same_as(self, expected: Self) {
        same("lines of documents", self.lines, expected.lines);
        same("documents", self.heads, expected.heads);
    }
}

fn micros(time: &Value) -> i64 {
    verdict_domain::time::Timestamp::parse(time.as_str().unwrap()).unwrap().0
}

/// The service's documents. Their ids say what they are.
pub async fn documents(api: &Api) -> Documents {
    let mut documents = Documents::default();
    let list = api.get_json("/v1/invoices").await;
    let list = list.as_array().unwrap();
    assert!(list.len() < 1_000, "the list may be cut");
    let text = |value: &Value| value.as_str().unwrap().to_string();
    let number = |value: &Value| value.as_i64().unwrap();
    let named = |object: &Value, field: &str| object[field].as_str().map(String::from);
    for document in list {
        let customer = text(&document["customer"]);
        let period = text(&document["period_start"]);
        let corrects = named(document, "corrects");
        let mut id = format!("{customer}:{period}");
        if let Some((_, earlier)) = corrects.as_ref().and_then(|corrects| corrects.split_once(':')) {
            id = format!("{id}/{earlier}");
        }
        assert_eq!(text(&document["id"]), id);
        let key = (customer, period, corrects);
        for line in document["lines"].as_array().unwrap() {
            let (action, kind) = (named(line, "action"), named(line, "kind"));
            let (about, version) = (text(&line["period_start"]), number(&line["contract_version"]));
            let key = (key.clone(), about, version, text(&line["item"]), action, kind);
            let value =
                (number(&line["quantity"]), number(&line["amount_nanos"]), number(&line["amount_minor"]));
            assert!(documents.lines.insert(key, value).is_none(), "two lines for one thing: {document}");
        }
        let value = (
            text(&document["kind"]),
            text(&document["state"]),
            micros(&document["period_end"]),
            text(&document["currency"]),
            number(&document["total_minor"]),
        );
        assert!(
            documents.heads.insert(key, value).is_none(),
            "two of one closing about one period: {document}"
        );
    }
    documents
}

/// The oracle's.
pub fn expected_documents<'a>(held: impl IntoIterator<Item = &'a Document>) -> Documents {
    let mut documents = Documents::default();
    for document in held {
        let customer = document.customer.clone();
        let corrects = document.about.map(|about| format!("{customer}:{}", in_seconds(about)));
        let key = (customer, in_seconds(document.period_start), corrects);
        for line in &document.lines {
            let (action, kind) = match line.item.clone() {
                Item::Outcomes { action, kind } => (Some(action), Some(kind.to_string())),
                Item::Fee { name } => (Some(name), None),
                Item::ModelCost { action } | Item::MarkUp { action } => (Some(action), None),
                Item::Credits { grant } => (Some(grant), None),
                _ => (None, None),
            };
            let (about, version) = (in_seconds(line.period_start), i64::from(line.contract_version));
            let key = (key.clone(), about, version, line.item.name().to_string(), action, kind);
            documents.lines.insert(key, (line.quantity, line.amount_nanos, line.amount_minor));
        }
        let value = (
            document.kind.to_string(),
            document.state.to_string(),
            document.period_end,
            document.currency.clone(),
            document.total_minor,
        );
        documents.heads.insert(key, value);
    }
    documents
}

/// Periods begin with a second.
pub fn in_seconds(at: i64) -> String {
    rfc3339(at).replace(".000000Z", "Z")
}
