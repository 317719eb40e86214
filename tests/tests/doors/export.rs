//! Facts and what was posted for them as Parquet: the same rows, values and sums as in the database, also where a customer has
//! many, and in bounded memory.

use crate::{START, attempt, contract, folder, problem, start_on, with};
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use sea_orm::{ConnectionTrait, DatabaseConnection};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use verdict_oracle::{DAY, HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, fresh_sqlite, number, texts};
use verdict_tests::service::Service;

/// A file's rows as texts by column (`None`: null), and what it says of itself.
struct Read {
    rows: Vec<BTreeMap<String, Option<String>>>,
    groups: usize,
    about: BTreeMap<String, String>,
    types: BTreeMap<String, String>,
}

fn read(file: impl ChunkReader + 'static) -> Read {
    let reader = SerializedFileReader::new(file).unwrap();
    let file = reader.metadata().file_metadata();
    let about = file.key_value_metadata().unwrap().iter();
    let about = about.map(|KeyValue { key, value }| (key.clone(), value.clone().unwrap())).collect();
    let columns = file.schema_descr().columns().iter();
    let types = columns.map(|column| {
        let said = column.logical_type_ref().map(|said| format!("{said:?}")).unwrap_or_default();
        (column.name().to_string(), format!("{} {said}", column.physical_type()))
    });
    let text = |field: &Field| match field {
        Field::Null => None,
        Field::Bool(flag) => Some(i64::from(*flag).to_string()),
        Field::Long(number) | Field::TimestampMicros(number) => Some(number.to_string()),
        Field::Str(text) => Some(text.clone()),
        other => panic!("{other:?} has no place here"),
    };
    let rows = reader.get_row_iter(None).unwrap();
    let rows = rows
        .map(|row| row.unwrap().get_column_iter().map(|(name, field)| (name.clone(), text(field))).collect());
    let types = types.collect();
    Read { rows: rows.collect(), groups: reader.num_row_groups(), about, types }
}

/// What a table holds, as [`read`] gives it: `columns` are those of the file, with what they are in the table where that is
/// another name.
async fn stored(
    db: &DatabaseConnection,
    table: &str,
    columns: &[&str],
    order: &str,
    only: &str,
) -> Vec<String> {
    let cast = |name: &&str| format!("COALESCE(CAST({name} AS TEXT), '∅')");
    let cells: Vec<String> = columns.iter().map(cast).collect();
    texts(db, &format!("SELECT {} FROM {table} {only} ORDER BY {order}", cells.join(" || '|' || "))).await
}

fn lines(read: &Read, columns: &[&str]) -> Vec<String> {
    let line = |row: &BTreeMap<String, Option<String>>| {
        let cell = |name: &&str| row[*name].clone().unwrap_or("∅".into());
        assert_eq!(row.len(), columns.len(), "{row:?}");
        columns.iter().map(cell).collect::<Vec<_>>().join("|")
    };
    read.rows.iter().map(line).collect()
}

const ATTEMPTS: [&str; 26] = [
    "customer",
    "id",
    "case",
    "agent",
    "action",
    "provider",
    "model",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "usage_estimated",
    "status",
    "failure_reason",
    "model_cost_nanos",
    "other_cost_nanos",
    "cost_currency",
    "value_nanos",
    "value_currency",
    "price_source",
    "started_at",
    "ended_at",
    "prompt_fingerprint",
    "details",
    "recorded_at",
];
const RESOLUTIONS: [&str; 14] = [
    "customer",
    "id",
    "case",
    "kind",
    "occurred_at",
    "reason",
    "score",
    "about",
    "value_nanos",
    "value_currency",
    "strength",
    "author",
    "evidence",
    "recorded_at",
];
const OUTCOMES: [&str; 19] = [
    "customer",
    "case",
    "seq",
    "episode",
    "entry",
    "sign",
    "kind",
    "action",
    "agent",
    "model",
    "value_nanos",
    "value_currency",
    "effective_at",
    "reason",
    "reverses",
    "facts",
    "posted_at",
    "position",
    "link",
];
const CHARGES: [&str; 17] = [
    "customer",
    "case",
    "seq",
    "action",
    "kind",
    "sign",
    "contract_version",
    "amount_nanos",
    "currency",
    "value_nanos",
    "effective_at",
    "origin_at",
    "rated_at",
    "invoice",
    "nothing_to_bill",
    "position",
    "link",
];

/// The names in the table, where the file has others.
fn in_table(kind: &str, columns: &[&'static str]) -> Vec<&'static str> {
    let stored = |name: &&'static str| match (kind, *name) {
        (_, "case") => "case_id",
        ("outcomes", "entry") => "kind",
        ("outcomes" | "charges", "kind") => "win",
        (_, "invoice") => "invoice_id",
        (_, "nothing_to_bill") => "(CASE WHEN invoice_id NOT IN (SELECT id FROM invoices) THEN 1 ELSE 0 END)",
        (_, name) => name,
    };
    columns.iter().map(stored).collect()
}

fn said(id: &str, customer: &str, case: &str, kind: &str, at: i64) -> Value {
    json!({ "id": id, "customer": customer, "case": case, "kind": kind, "occurred_at": rfc3339(at), "reason": "ü \"|" })
}

/// Two customers; known, unknown and other costs; a value; an outcome that is charged, invoiced and taken back.
async fn two_customers(name: &str, url: &str) -> Service {
    let service = start_on(name, url).await;
    for customer in ["acme", "hooli"] {
        service.post("/v1/contracts", &contract(customer)).await;
        let unknown = with(&attempt(customer, "c-1"), "/model", json!("nobody-knows-this"));
        let full = json!({
            "id": "c-2", "reported_cost": { "amount": "0.0123", "currency": "EUR" }, "case": "c-1",
            "other_costs": [{ "name": "voice", "amount": "0.04", "currency": "EUR" }],
            "value": { "amount": "12.5", "currency": "USD" }, "status": "failed", "failure_reason": "tool_error",
            "prompt_fingerprint": "4f2a", "metadata": { "queue": "ü" },
        });
        let mut failed = attempt(customer, "c-2");
        failed.as_object_mut().unwrap().extend(full.as_object().unwrap().clone());
        let late = with(&attempt(customer, "c-3"), "/ended_at", json!(rfc3339(START + HOUR + 2)));
        service.post("/v1/attempts", &json!([unknown, failed, late])).await;
        service.post("/v1/resolutions", &said("r-1", customer, "c-1", "confirmed", START + 2 * HOUR)).await;
    }
    service.move_clock(START + 36 * DAY).await;
    service.post("/v1/resolutions", &said("r-2", "acme", "c-1", "reopened", START + 20 * DAY)).await;
    service.wait_until_idle(std::time::Duration::from_secs(30)).await;
    service
}

async fn exported(service: &Service, path: &str) -> Read {
    let response = service.get(path).await;
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(response.headers()["content-type"], "application/vnd.apache.parquet");
    read(response.bytes().await.unwrap())
}

async fn every_row_is_exported(name: &str, url: String) {
    let service = two_customers(name, &url).await;
    let db = connect(&url).await;
    let days = "from=2026-10-01&to=2026-12-01";
    let out = folder(name).join("out");
    std::fs::create_dir_all(&out).unwrap();
    let command = ["export", "facts", "--from", "2026-10-01", "--to", "2026-12-01"];
    service.command(&[&command[..], &[&out.display().to_string()]].concat());
    for (kind, columns, order) in [
        ("attempts", &ATTEMPTS[..], "customer, id"),
        ("resolutions", &RESOLUTIONS[..], "customer, id"),
        ("outcomes", &OUTCOMES[..], "customer, case_id, seq"),
        ("charges", &CHARGES[..], "customer, case_id, seq"),
    ] {
        let file = exported(&service, &format!("/v1/export/{kind}.parquet?{days}")).await;
        let table = in_table(kind, columns);
        let there = stored(&db, kind, &table, order, "").await;
        assert!(there.len() > 2, "{kind}: {there:?}");
        assert_eq!(lines(&file, columns), there, "{kind}");
        let written = read(std::fs::File::open(out.join(format!("{kind}.parquet"))).unwrap());
        assert_eq!(lines(&written, columns), there, "{kind}");
        let one = exported(&service, &format!("/v1/export/{kind}.parquet?{days}&customer=hooli")).await;
        assert_eq!(lines(&one, columns), stored(&db, kind, &table, order, "WHERE customer = 'hooli'").await);
        assert_eq!(one.about["verdict.customer"], "hooli");
        for (name, said) in &file.types {
            let expected = match name.as_str() {
                name if name.ends_with("_at") => "INT64 Timestamp",
                "seq" | "sign" | "score" | "position" | "reverses" | "contract_version" => "INT64 ",
                name if name.ends_with("_nanos") || name.ends_with("_tokens") => "INT64 ",
                "usage_estimated" | "nothing_to_bill" => "BOOLEAN",
                _ => "BYTE_ARRAY String",
            };
            assert!(said.starts_with(expected), "{kind}: {name} is {said}");
            let unit = file.about.get(&format!("verdict.unit.{name}")).map_or("", String::as_str);
            assert_eq!(name.ends_with("_nanos"), unit.starts_with("10^-9 of"), "{name}: {unit}");
        }
    }
    // What the file's attempts add up to is what the report says.
    let file = exported(&service, &format!("/v1/export/attempts.parquet?{days}")).await;
    let report = service.get_json(&format!("/v1/reports/failure-cost?{days}")).await;
    for total in report["totals"].as_array().unwrap() {
        let cells = |name: &str| -> i64 {
            let of =
                file.rows.iter().filter(|row| row["cost_currency"].as_deref() == total["currency"].as_str());
            of.filter_map(|row| row[name].as_ref()?.parse::<i64>().ok()).sum()
        };
        let sum = cells("model_cost_nanos") + cells("other_cost_nanos");
        assert_eq!(json!(sum), total["cost_nanos"], "{total}");
    }
    let unknown = file.rows.iter().filter(|row| row["model_cost_nanos"].is_none()).count();
    assert_eq!(unknown, 2);
    // The bounds are half-open, to the microsecond.
    let none = exported(&service, "/v1/export/attempts.parquet?from=2026-10-02&to=2026-10-03").await;
    assert_eq!((none.rows.len(), none.groups), (0, 0));
    assert!(problem(service.get("/v1/export/moons.parquet").await, 404).await.contains("charges.parquet"));
    assert!(problem(service.get("/v1/export/attempts.parquet?from=x").await, 422).await.contains("from"));
    assert!(problem(service.get("/v1/export/attempts.parquet?form=x").await, 422).await.contains("form"));
    let failed = service.try_command(&[&command[..], &["no-such-folder"]].concat());
    assert!(String::from_utf8_lossy(&failed.stderr).contains("is no folder"));
}

#[tokio::test]
async fn every_row_is_exported_from_sqlite() {
    every_row_is_exported("export-sqlite", fresh_sqlite(&folder("export-sqlite"))).await;
}

#[tokio::test]
async fn every_row_is_exported_from_postgres() {
    every_row_is_exported("export-postgres", fresh_postgres("doors_export").await).await;
}

/// So many attempts at once, in the order in which the file must have them. Each has `details` of a kilobyte.
async fn many(db: &DatabaseConnection, attempts: i64) {
    let at = START + HOUR;
    let sql = format!(
        "INSERT INTO attempts (customer, id, case_id, agent, action, provider, model, input_tokens, status, model_cost_nanos, \
         other_cost_nanos, cost_currency, started_at, ended_at, details, recorded_at, usage_estimated) \
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {attempts}) \
         SELECT 'big', 'a-' || CAST(1000000000 + n AS TEXT), 'c-' || CAST(n AS TEXT), 'bot', 'support.resolution', 'openai', \
         'gpt-4o', CASE WHEN n % 3 = 0 THEN NULL ELSE n END, 'answered', n, 1, 'USD', {at}, {at}, '{}', {at}, 0 FROM n",
        json!({ "words": "x".repeat(1_000) })
    );
    db.execute_unprepared(&sql).await.unwrap();
}

/// The most memory that a process ever had, in bytes (Linux).
fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

async fn bounded_memory(name: &str, url: String) {
    const ATTEMPTS: i64 = 150_000;
    let service = start_on(name, &url).await;
    let db = connect(&url).await;
    many(&db, ATTEMPTS).await;
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, ATTEMPTS);
    let before = peak_memory(service.process_id()).unwrap();
    let response = service.get("/v1/export/attempts.parquet?from=2026-10-01&to=2026-10-02").await;
    let bytes = response.bytes().await.unwrap();
    let used = peak_memory(service.process_id()).unwrap() - before;
    println!("{} bytes of Parquet in {} MB more", bytes.len(), used >> 20);
    // All at once they would be over 300 MB. (SQLite keeps up to 64 MB of the file beside.)
    assert!(used < 180 << 20, "{} MB", used >> 20);
    let reader = SerializedFileReader::new(bytes).unwrap();
    let of = |group: usize| reader.metadata().row_group(group).num_rows();
    let groups: Vec<i64> = (0..reader.num_row_groups()).map(of).collect();
    assert!(groups.len() > 5 && groups.iter().all(|rows| *rows <= 20_000), "{groups:?}");
    let (mut sum, mut last) = (0, String::new());
    for row in reader.get_row_iter(None).unwrap() {
        let cells: BTreeMap<String, Field> = row.unwrap().into_columns().into_iter().collect();
        let (Field::Str(id), Field::Long(nanos)) = (&cells["id"], &cells["model_cost_nanos"]) else {
            panic!("{cells:?}")
        };
        assert!(last < *id, "{id} after {last}");
        last.clone_from(id);
        sum += nanos;
    }
    assert_eq!(sum, ATTEMPTS * (ATTEMPTS + 1) / 2);
}

#[tokio::test]
async fn a_large_table_is_exported_in_bounded_memory_from_sqlite() {
    bounded_memory("export-many-sqlite", fresh_sqlite(&folder("export-many-sqlite"))).await;
}

#[tokio::test]
async fn a_large_table_is_exported_in_bounded_memory_from_postgres() {
    bounded_memory("export-many-postgres", fresh_postgres("doors_export_many").await).await;
}
