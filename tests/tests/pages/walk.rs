//! A finance person's way through the pages: by mouse and keys alone, with what is seen held against the exact figures.

use crate::shop::{CASE, DELIVERY, INVOICE, Shop, sqlite};
use crate::{browser, calm, logged_in, type_key};
use calamine::{Data, Reader, Xlsx};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Cursor;
use verdict_tests::browser::{Browser, Page, View};
use verdict_tests::database::fresh_postgres;

const NANOS: i128 = 1_000_000_000;

/// A decimal such as `-1,234.5` in nanos, exactly.
pub fn nanos(decimal: &str) -> i128 {
    let decimal = decimal.replace(',', "");
    let (sign, digits) = decimal.strip_prefix('-').map_or((1, decimal.as_str()), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = format!("{fraction:0<9}");
    sign * (whole.parse::<i128>().unwrap() * NANOS + fraction.parse::<i128>().unwrap())
}

/// A cell of a workbook in nanos. It is a float: of an amount below a million it holds all nine decimals.
#[allow(clippy::float_arithmetic)]
pub fn of_cell(amount: f64) -> i128 {
    (amount * 1e9).round() as i128
}

/// A column of the table on the page, from the top, by its heading.
async fn column(page: &Page, table: &str, heading: &str) -> Vec<String> {
    let cells = page
        .value(&format!(
            "(() => {{ const table = document.querySelector({}); const last = [...table.tHead.rows].at(-1); \
             const spanning = [...table.tHead.rows[0].cells].filter(cell => cell.rowSpan === table.tHead.rows.length); \
             const all = table.tHead.rows.length > 1 ? [...spanning, ...last.cells] : [...last.cells]; \
             const nth = all.findIndex(cell => cell.innerText.trim() === {}); if (nth < 0) return null; \
             return [...table.tBodies[0].rows].map(row => row.cells[nth].innerText.trim()) }})()",
            json!(table),
            json!(heading)
        ))
        .await;
    let cells = cells.as_array().unwrap_or_else(|| panic!("no column {heading}")).iter();
    cells.map(|cell| cell.as_str().unwrap().to_string()).collect()
}

/// Chooses in a list by typing, as with a keyboard.
async fn choose(page: &Page, list: &str, option: &str) {
    page.value(&format!("document.querySelector({}).focus()", json!(list))).await;
    page.type_text(option).await;
    let chosen = page.text(&format!("document.querySelector({}).selectedOptions[0].text", json!(list))).await;
    assert_eq!(chosen, option);
}

/// Types a day into a field of the browser's own: month, day, year.
pub async fn type_day(page: &Page, field: &str, digits: &str, day: &str) {
    page.value(&format!("document.querySelector({}).focus()", json!(field))).await;
    page.type_text(digits).await;
    assert_eq!(page.text(&format!("document.querySelector({}).value", json!(field))).await, day);
}

async fn report(shop: &Shop, query: &str) -> Value {
    shop.service.get_json(&format!("/v1/reports/failure-cost?{query}")).await
}

/// What the rows come to in nanos, by currency.
fn sums(rows: &Value, field: &str) -> BTreeMap<String, i128> {
    let mut sums = BTreeMap::new();
    for row in rows.as_array().unwrap() {
        let currency = row["currency"].as_str().unwrap().to_string();
        *sums.entry(currency).or_default() += i128::from(row[field].as_i64().unwrap());
    }
    sums
}

fn keys(report: &Value) -> Vec<&str> {
    report["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect()
}

async fn with_a_wrong_key_nobody_enters(page: &Page, shop: &Shop) {
    page.open(&shop.service.url("/")).await;
    assert_eq!(page.path().await, "/login");
    calm(page, "the way to the login").await;
    type_key(page, "vk_nobody_has_this").await;
    page.follow("button", "Log in").await;
    assert!(
        page.text("document.querySelector('[role=alert]').innerText").await.contains("unknown or revoked")
    );
    let troubles = page.troubles();
    assert!(troubles.iter().all(|trouble| trouble.contains("401")), "{troubles:?}");
}

/// Filters a month and sorts it.
async fn filters_and_sorts(page: &Page, shop: &Shop) {
    page.follow("nav a", "Failure cost").await;
    type_day(page, "[name=from]", "10012026", "2026-10-01").await;
    type_day(page, "[name=to]", "11012026", "2026-11-01").await;
    choose(page, "[name=by]", "agent").await;
    page.follow(".filter button", "Show").await;
    let october = "from=2026-10-01&to=2026-11-01&by=agent";
    assert!(page.path().await.contains(october), "{}", page.path().await);
    let by_name = report(shop, october).await;
    assert_eq!(column(page, ".figures", "agent").await, keys(&by_name));
    assert!(keys(&by_name).len() > 3, "a row for each agent and currency: {by_name}");

    // The most expensive first, and then last; the form keeps it.
    for (sort, direction) in [("-lost_nanos", "descending"), ("lost_nanos", "ascending")] {
        page.follow(".figures thead a", "lost").await;
        let sorted = report(shop, &format!("{october}&sort={sort}")).await;
        let rows = sorted["rows"].as_array().unwrap();
        let in_dollars = rows.iter().filter(|row| row["currency"] == "USD");
        let mut lost: Vec<i64> = in_dollars.map(|row| row["lost_nanos"].as_i64().unwrap()).collect();
        assert_eq!(column(page, ".figures", "agent").await, keys(&sorted));
        assert!(lost.len() == 3 && lost[0] != lost[2], "there is something to sort: {lost:?}");
        if direction == "descending" {
            lost.reverse();
        }
        assert!(lost.is_sorted(), "{direction}: {lost:?}");
        let heading = page.value(
            "[...document.querySelectorAll('[aria-sort]')].map(e => [e.innerText.trim(), e.ariaSort])",
        );
        assert_eq!(heading.await, json!([["lost", direction]]));
    }
    page.follow(".filter button", "Show").await;
    assert!(page.path().await.contains("sort=lost_nanos"), "{}", page.path().await);
    calm(page, "filtering and sorting").await;
}

/// Takes the figures along, and finds the page's sums in them.
async fn exports(page: &Page, shop: &Shop) {
    let asked = page.path().await;
    let asked = asked.split_once('?').unwrap().1;
    let exact = report(shop, asked).await;
    let cost = sums(&exact["totals"], "cost_nanos");
    assert_eq!(sums(&exact["rows"], "cost_nanos"), cost);
    assert!(cost["USD"] > NANOS, "{cost:?}");

    // On the page: exactly, in the line of sums; rounded, under the table.
    let shown = page.text("document.querySelector('[aria-label=USD] .sums strong').innerText").await;
    assert_eq!(nanos(&shown), cost["USD"]);
    let total = "[...document.querySelectorAll('.figures tfoot tr')].map(r => [r.cells[1].innerText, r.cells[9].firstChild.textContent])";
    let totals = page.value(total).await;
    let in_dollars = totals.as_array().unwrap().iter().find(|total| total[0] == "USD").unwrap();
    assert!((nanos(in_dollars[1].as_str().unwrap()) - cost["USD"]).abs() <= NANOS / 200, "{totals}");

    let (name, csv) = page.download(".links a", "CSV").await;
    assert_eq!(name, "failure-cost-2026-10-01-2026-11-01.csv");
    let csv = String::from_utf8(csv).unwrap();
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let headings = lines.next().unwrap();
    let at = |name: &str| headings.iter().position(|heading| *heading == name).unwrap();
    let lines: Vec<_> = lines.filter(|line| line[0] != "total").collect();
    assert_eq!(
        lines.iter().map(|line| line[0]).collect::<Vec<_>>(),
        keys(&exact),
        "in the order of the page"
    );
    let mut summed: BTreeMap<String, i128> = BTreeMap::new();
    for line in &lines {
        *summed.entry(line[at("currency")].into()).or_default() += nanos(line[at("cost")]);
    }
    assert_eq!(summed, cost);

    let (name, workbook) = page.download(".links a", "XLSX").await;
    assert_eq!(name, "failure-cost-2026-10-01-2026-11-01.xlsx");
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(workbook)).unwrap();
    let sheet = workbook.worksheet_range_at(0).unwrap().unwrap();
    let rows: Vec<&[Data]> = sheet.rows().collect();
    let heading = rows.iter().position(|row| row[0] == *"agent").unwrap();
    let at = |name: &str| rows[heading].iter().position(|cell| *cell == *name).unwrap();
    let (currency, cost_at) = (at("currency"), at("cost"));
    let (mut summed, mut totals) = (BTreeMap::new(), BTreeMap::new());
    for row in &rows[heading + 1..] {
        let Data::Float(amount) = row[cost_at] else { panic!("{:?}", row[cost_at]) };
        let into = if row[0] == *"total" { &mut totals } else { &mut summed };
        *into.entry(row[currency].to_string()).or_default() += of_cell(amount);
    }
    assert_eq!(summed, cost, "the rows of the workbook");
    assert_eq!(totals, cost, "its sums");
    calm(page, "the downloads").await;

    page.follow(".links a", "JSON").await;
    let raw: Value = serde_json::from_str(&page.text("document.body.innerText").await).unwrap();
    assert_eq!(raw, exact);
    page.troubles();
}

/// From the list to a case, and along its links: what was billed, by which delivery, on which invoice, and back.
async fn drills_down(page: &Page, shop: &Shop) {
    page.open(&shop.service.url("/")).await;
    page.follow("nav a", "Cases").await;
    choose(page, "[name=verdict]", "failed").await;
    page.follow(".filter button", "Show").await;
    let verdicts = column(page, "main table", "verdict").await;
    assert!(verdicts.len() > 10 && verdicts.iter().all(|verdict| verdict == "failed"), "{verdicts:?}");
    let case = column(page, "main table", "case").await[0].clone();
    page.follow("main tbody a", &case).await;
    assert!(page.text("document.querySelector('h1').innerText").await.contains(&case));
    assert_eq!(page.text("document.querySelector('.facts .verdict').innerText").await, "failed");

    page.follow("nav a", "Cases").await;
    page.value("document.querySelector('[name=q]').focus()").await;
    page.type_text(CASE).await;
    page.press_and_follow("Enter").await;
    page.follow("main tbody a", CASE).await;
    let exact = shop.service.get_json(&format!("/v1/cases/acme/{CASE}")).await;
    let sentence = page.text("document.querySelector('.sentence').innerText").await;
    assert_eq!(sentence, exact["episodes"][0]["sentence"].as_str().unwrap().replace('`', ""));
    page.follow("main a", &format!("support {DELIVERY}")).await;
    assert!(page.text("document.querySelector('pre').innerText").await.contains("resolution.confirmed"));

    page.follow("nav a", "Invoices").await;
    page.follow("main tbody a", INVOICE).await;
    let shown = page.text("document.querySelector('main').innerText").await;
    let invoices = shop.service.get_json("/v1/invoices").await;
    let invoice = invoices.as_array().unwrap().iter().find(|invoice| invoice["id"] == INVOICE).unwrap();
    assert!(shown.contains(&format!("{} USD", invoice["total"].as_str().unwrap())), "{shown}");
    assert!(shown.contains("The lines add up to the total."), "{shown}");
    let (name, evidence) = page.download(".evidence a", "CSV").await;
    assert!(name.ends_with(".csv") && String::from_utf8(evidence).unwrap().contains(CASE), "{name}");
    page.follow(".evidence tbody a", CASE).await;
    assert!(page.path().await.ends_with(CASE), "{}", page.path().await);
    calm(page, "drilling down").await;

    page.follow("header button", "Log out").await;
    page.open(&shop.service.url("/invoices")).await;
    assert_eq!(page.path().await, "/login");
}

async fn walk(shop: &Shop, browser: &Browser) {
    let stranger = browser.page(View::DESK).await;
    with_a_wrong_key_nobody_enters(&stranger, shop).await;
    let page = logged_in(browser, shop, View::DESK).await;
    filters_and_sorts(&page, shop).await;
    exports(&page, shop).await;
    drills_down(&page, shop).await;
}

#[tokio::test]
async fn a_finance_person_finds_exports_and_checks_on_sqlite() {
    let shop = Shop::open("walk-sqlite", &sqlite("walk-sqlite")).await;
    walk(&shop, &browser("walk-sqlite")).await;
}

#[tokio::test]
async fn a_finance_person_finds_exports_and_checks_on_postgres() {
    let shop = Shop::open("walk-postgres", &fresh_postgres("pages_walk").await).await;
    walk(&shop, &browser("walk-postgres")).await;
}
