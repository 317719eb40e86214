//! `verdict import attempts`: files of CSV and JSON lines, whole, broken off and with bad rows.

use crate::{START, attempt, folder, parked, start, with};
use serde_json::json;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use verdict_oracle::{HOUR, rfc3339};
use verdict_tests::database::{connect, fresh_postgres, number, texts};
use verdict_tests::service::{Service, binary};

const HEADER: &str = "id,customer,case,agent,action,provider,model,usage.input_tokens,usage.output_tokens,started_at,ended_at,status";

/// A row that answers in a case of its own.
fn row(nth: usize) -> String {
    let at = rfc3339(START + HOUR);
    format!("i-{nth},acme,c-{nth},resolver,support.resolution,openai,gpt-4o,1000,200,{at},{at},answered")
}

fn file(name: &str, content: &str) -> String {
    std::fs::create_dir_all(folder("import")).unwrap();
    let path = folder("import").join(name);
    std::fs::write(&path, content).unwrap();
    let _ = std::fs::remove_file(
        path.with_extension(format!("{}.verdict-import", name.rsplit('.').next().unwrap())),
    );
    path.display().to_string()
}

/// Whether it succeeded, what it printed, and what it complained of.
fn import(service: &Service, arguments: &[&str], input: &str) -> (bool, String, String) {
    let output = service.try_command_with(&[&["import", "attempts"], arguments].concat(), input);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_table_with_every_column_says_what_json_says() {
    let service = start("import-columns").await;
    let columns = service.command(&["import", "attempts", "--columns"]);
    let header: Vec<_> =
        columns.lines().map(|name| if name == "metadata.KEY" { "metadata.queue" } else { name }).collect();
    let mut full = attempt("acme", "a-1");
    let more = json!({
        "service_tier": "flex",
        "usage": { "input_tokens": 1_000, "cached_input_tokens": 300, "cache_write_tokens": 100,
                   "cache_write_1h_tokens": 40, "output_tokens": 200, "reasoning_tokens": 50, "estimated": true },
        "reported_cost": { "amount": "0.0123", "currency": "EUR" },
        "other_costs": [{ "name": "voice, minutes", "amount": "0.04", "currency": "EUR" }],
        "value": { "amount": "12.5", "currency": "EUR" },
        "status": "failed", "failure_reason": "tool_error", "failure_detail": "the tool said:\n\"no\"",
        "prompt_fingerprint": "4f2a", "metadata": { "queue": "vip" },
    });
    full.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    // Each cell is what the event has at that place; none of them is missing there.
    let cells = header.iter().map(|name| {
        let cell = full.pointer(&format!("/{}", name.replace('.', "/"))).unwrap_or_else(|| panic!("{name}"));
        let text = cell.as_str().map_or_else(|| cell.to_string(), String::from);
        format!("\"{}\"", text.replace('"', "\"\""))
    });
    let table = format!("{}\r\n{}\r\n", header.join(","), cells.collect::<Vec<_>>().join(","));
    let (ok, printed, errors) = import(&service, &[&file("columns.csv", &table)], "");
    assert!(ok, "{errors}");
    assert_eq!(printed, "1 recorded, 0 were there already, 0 bad\n");
    // The same from standard input as JSON, by another id; and again.
    let lines = format!("{}\n\n{full}\n", with(&full, "/id", json!("a-2")));
    let (ok, printed, errors) = import(&service, &["-"], &lines);
    assert!(ok, "{errors}");
    assert_eq!(printed, "1 recorded, 1 were there already, 0 bad\n");
    let db = connect(&format!("sqlite:{}", folder("import-columns").join("verdict.db").display())).await;
    let distinct = "SELECT COUNT(*) FROM (SELECT DISTINCT customer, case_id, agent, action, provider, model, \
                    input_tokens, cached_input_tokens, cache_write_tokens, cache_write_1h_tokens, output_tokens, \
                    reasoning_tokens, service_tier, status, \
                    failure_reason, model_cost_nanos, other_cost_nanos, cost_currency, price_source, started_at, \
                    ended_at, prompt_fingerprint, details FROM attempts)";
    assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, 2);
    assert_eq!(number(&db, distinct).await, 1);
}

#[tokio::test]
async fn bad_rows_are_named_by_line_and_parked_and_the_rest_is_taken() {
    let service = start("import-bad").await;
    let rows = [
        row(1),
        row(2).replace("acme", ""),
        "\"i-3\",acme,\"two\nlines".to_string() + "\",a,b,c,d,1,2,3,4,answered",
        row(4).replace("1000", "many"),
        row(5) + ",more",
        row(6).replace("answered", "done"),
        row(7),
    ];
    let table = file("bad.csv", &format!("{HEADER}\n{}\n", rows.join("\n")));
    let (ok, printed, errors) = import(&service, &[&table], "");
    assert!(!ok && printed == "2 recorded, 0 were there already, 5 bad\n", "{printed}{errors}");
    for bad in [
        "line 3: ",
        "customer",
        "line 4: ",
        "line 6: usage.input_tokens: `many`",
        "line 7: the row has 13 cells, the header 12",
        "line 8: status: ",
        "5 rows are no attempts",
    ] {
        assert!(errors.contains(bad), "{bad}: {errors}");
    }
    let held = parked(&service).await;
    let headers: Vec<_> = held.iter().map(|held| held["headers"].as_str().unwrap().to_string()).collect();
    assert_eq!(held.len(), 5);
    assert!(
        headers.iter().any(|headers| headers.contains("bad.csv") && headers.contains("\"line\":6")),
        "{headers:?}"
    );
    // Imported again, nothing comes twice; from a line on, what is before it is not looked at.
    let (_, printed, _) = import(&service, &[&table], "");
    assert_eq!(printed, "0 recorded, 2 were there already, 5 bad\n");
    let (ok, printed, errors) = import(&service, &[&table, "--from-line", "9"], "");
    assert!(ok && printed == "0 recorded, 1 were there already, 0 bad\n", "{printed}{errors}");
    assert_eq!(parked(&service).await.len(), 5);
    // A row is replayed by its header, and still fails by its name.
    let replayed = service.try_command(&["parked", "replay", "--all"]);
    let told = String::from_utf8(replayed.stdout).unwrap();
    assert!(told.contains("still fails: status: ") && told.contains("the row has 13 cells"), "{told}");

    for (header, reason) in
        [("id,tokens", "`tokens` is no column"), ("id,id", "`id` twice"), ("", "has no header")]
    {
        let (ok, _, errors) = import(&service, &[&file("header.csv", header)], "");
        assert!(!ok && errors.contains(reason), "{errors}");
    }
    let (ok, _, errors) = import(&service, &["/no/such/file.csv"], "");
    assert!(!ok && errors.contains("/no/such/file.csv"), "{errors}");
}

/// Killed somewhere in the middle, on both databases: the next run goes on where it was, and nothing is lost or twice.
#[tokio::test]
async fn an_import_that_was_broken_off_goes_on_where_it_stopped() {
    const ROWS: usize = 30_000;
    let table = (0..ROWS).map(row).fold(HEADER.to_string(), |table, row| table + "\n" + &row);
    let sqlite = format!("sqlite:{}?mode=rwc", folder("import").join("broken.db").display());
    for (name, url) in [("sqlite", sqlite), ("postgres", fresh_postgres("import_broken").await)] {
        let path = file(&format!("broken-{name}.csv"), &table);
        let state = format!("{path}.verdict-import");
        let _ = std::fs::remove_file(folder("import").join("broken.db"));
        let command = || {
            let mut command = Command::new(binary());
            command.args(["import", "attempts", &path]).env("VERDICT_DATABASE_URL", &url);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        };
        let mut child = command().spawn().unwrap();
        let begun = Instant::now();
        while !std::fs::exists(&state).unwrap() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}: no progress was noted");
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let db = connect(&url).await;
        let recorded = number(&db, "SELECT COUNT(*) FROM attempts").await;
        assert!((5_000..ROWS as i64).contains(&recorded), "{name}: {recorded}");

        let output = command().output().unwrap();
        let (printed, errors) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{name}: {errors}");
        assert!(errors.contains("goes on at line "), "{name}: {errors}");
        // A batch may have been committed and its note not yet written: those are there already.
        let counts: Vec<usize> = printed.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert_eq!((counts.iter().sum::<usize>(), counts[2]), (ROWS, 0), "{name}: {printed}");
        assert_eq!(texts(&db, "SELECT DISTINCT status FROM attempts").await, ["answered"]);
        assert_eq!(number(&db, "SELECT COUNT(*) FROM attempts").await, ROWS as i64, "{name}");
        assert!(!std::fs::exists(&state).unwrap(), "{name}: done");
    }
}
