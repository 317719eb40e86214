//! A month, from the overview down to a case and back, and a page that keeps itself up to date: held against what the seller's
//! traffic is known to have cost.

use crate::shop::{NOW, Shop, sqlite};
use crate::walk::{nanos, type_day};
use crate::{browser, calm, logged_in};
use calamine::{Data, Reader, Xlsx};
use serde_json::json;
use std::io::Cursor;
use std::time::{Duration, Instant};
use verdict_oracle::{HOUR, rfc3339};
use verdict_tests::browser::{Browser, Page, View};
use verdict_tests::database::fresh_postgres;

const OCTOBER: &str = "from=2026-10-01&to=2026-11-01";

/// Whether something is what the focus is on.
async fn has_focus(page: &Page, what: &str) -> bool {
    page.value(&format!("document.activeElement === {what}")).await == true
}

/// Tab by Tab to something, as somebody without a mouse gets there.
async fn tab_to(page: &Page, what: &str) {
    for _ in 0..400 {
        if has_focus(page, what).await {
            return;
        }
        page.press("Tab").await;
    }
    panic!("not reached by Tab: {what}");
}

/// The cells of a row of the big table, as texts without what they are compared with.
fn cell(row: &str, nth: usize) -> String {
    format!("{row}.cells[{nth}].firstChild.textContent.trim()")
}

/// The total in dollars, of the big table.
const IN_DOLLARS: &str =
    "[...document.querySelectorAll('.figures tfoot tr')].find(row => row.cells[1].innerText === 'USD')";

/// The column of a heading in the big table.
async fn column(page: &Page, heading: &str) -> usize {
    let nth = page
        .value(&format!(
            "[...document.querySelectorAll('.figures thead tr:last-child th')].findIndex(e => e.innerText.trim() === {})",
            json!(heading)
        ))
        .await;
    // Before them stand the name and the currency.
    usize::try_from(nth.as_u64().unwrap()).unwrap() + 2
}

/// From the overview by its form to a month; the figures of it, what they stand beside, and the way on.
async fn chooses_a_month(page: &Page, shop: &Shop) {
    page.follow("header a", "Verdict").await;
    assert!(page.path().await.starts_with("/overview"));
    type_day(page, "[name=from]", "10012026", "2026-10-01").await;
    type_day(page, "[name=to]", "11012026", "2026-11-01").await;
    // Without a mouse: from where the last day was typed on to the button.
    tab_to(page, "document.querySelector('.figures-filter > button')").await;
    page.press_and_follow("Enter").await;
    assert!(page.path().await.starts_with(&format!("/overview?{OCTOBER}")), "{}", page.path().await);
    let figure = "[...document.querySelectorAll('.tiles > div')].find(e => e.querySelector('dt').innerText === 'Cost' \
                  && e.closest('section').innerText.includes('Money in USD')).querySelector('.figure').innerText";
    let cost = nanos(&page.text(figure).await);
    assert!((cost - shop.truth.cost_nanos).abs() <= 50_000, "{cost} for {}", shop.truth.cost_nanos);
    calm(page, "choosing a month").await;
}

/// To what failures cost in it, sorted, and from a figure to its cases: they are what it says.
async fn follows_a_figure(page: &Page, shop: &Shop) {
    page.follow("nav a", "Failure cost").await;
    assert!(page.path().await.starts_with(&format!("/reports/failure-cost?{OCTOBER}")));
    assert!(
        page.text("document.querySelector('.span').innerText").await.contains("2026-09-01 to 2026-10-01")
    );
    page.follow(".figures thead a", "lost").await;
    let sorted = page
        .value("[...document.querySelectorAll('[aria-sort]')].map(e => [e.innerText.trim(), e.ariaSort])");
    assert_eq!(sorted.await, json!([["lost", "descending"]]));
    let report = page.path().await;

    let lost = column(page, "lost").await;
    let total = page.text(&cell(IN_DOLLARS, lost)).await;
    let exactly = page.text("[...document.querySelectorAll('[aria-label=USD] .sums span')].find(e => e.innerText.startsWith('lost')).querySelector('a').innerText").await;
    assert!((nanos(&exactly) - nanos(&total)).abs() <= 50_000, "{exactly} is shown as {total}");
    // By mouse, in the row of all.
    page.value(&format!("{IN_DOLLARS}.cells[{lost}].querySelector('a').id = 'the-figure'; null")).await;
    page.follow("#the-figure", "").await;
    assert!(page.path().await.starts_with("/cases?"), "{}", page.path().await);
    let said = page.text("document.querySelector('section[aria-labelledby=sum] strong').innerText").await;
    assert_eq!(nanos(&said), nanos(&exactly));
    let parts = "[...document.querySelectorAll('section[aria-labelledby=rows] tbody tr')].map(row => row.querySelector('strong').innerText)";
    let parts = page.value(parts).await;
    let sum: i128 = parts.as_array().unwrap().iter().map(|part| nanos(part.as_str().unwrap())).sum();
    assert_eq!(sum, nanos(&exactly), "the cases add up: {parts}");

    // A case, and back to the list, and back to the report as it was sorted.
    let cases = page.path().await;
    let case = page.text("document.querySelector('section[aria-labelledby=rows] tbody a').innerText").await;
    page.follow("section[aria-labelledby=rows] tbody a", &case).await;
    assert!(page.text("document.querySelector('h1').innerText").await.contains(&case));
    page.back().await;
    assert_eq!(page.path().await, cases);
    page.back().await;
    assert_eq!(page.path().await, report);

    // Revenue, by keyboard: its charges, and what of it is of no case.
    let revenue = page.text("[...document.querySelectorAll('[aria-label=USD] .tiles > div')].find(e => e.innerText.startsWith('Revenue')).querySelector('.figure a').innerText").await;
    tab_to(page, "[...document.querySelectorAll('[aria-label=USD] .tiles > div')].find(e => e.innerText.startsWith('Revenue')).querySelector('a')").await;
    page.press_and_follow("Enter").await;
    assert!(page.path().await.contains("bucket=revenue"), "{}", page.path().await);
    let said = page.text("document.querySelector('section[aria-labelledby=sum] strong').innerText").await;
    assert!((nanos(&said) - nanos(&revenue)).abs() <= 50_000);
    let parts = "[...document.querySelectorAll('section[aria-labelledby=rows] tbody tr')].map(row => row.querySelector('strong').innerText)";
    let parts = page.value(parts).await;
    let sum: i128 = parts.as_array().unwrap().iter().map(|part| nanos(part.as_str().unwrap())).sum();
    assert_eq!(sum, nanos(&said), "nothing but charges at their list prices: {parts}");
    // What the invoice of the month bills to the cent is what is told of it here, but for what was taken back since.
    let of_october = shop
        .service
        .get_json("/v1/figures/cases?from=2026-10-01&to=2026-11-01&bucket=revenue&customer=acme")
        .await;
    let invoices = shop.service.get_json("/v1/invoices").await;
    let invoice =
        invoices.as_array().unwrap().iter().find(|invoice| invoice["id"] == crate::shop::INVOICE).unwrap();
    let billed = nanos(invoice["total"].as_str().unwrap());
    assert_eq!(
        i128::from(of_october["total"]["USD"]["revenue_nanos"].as_i64().unwrap()),
        billed,
        "{of_october}"
    );
    page.back().await;
    calm(page, "following figures").await;
}

/// Takes the workbook along: its sum is the page's, and what the traffic is known to have cost.
async fn takes_the_workbook(page: &Page, shop: &Shop) {
    let total = column(page, "total").await;
    let shown = nanos(&page.text(&cell(IN_DOLLARS, total)).await);
    let (name, workbook) = page.download(".links a", "XLSX").await;
    assert_eq!(name, "failure-cost-2026-10-01-2026-11-01.xlsx");
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(workbook)).unwrap();
    let sheet = workbook.worksheet_range_at(0).unwrap().unwrap();
    let rows: Vec<&[Data]> = sheet.rows().collect();
    let heading = rows.iter().position(|row| row[0] == *"customer").unwrap();
    let at = |name: &str| rows[heading].iter().position(|cell| *cell == *name).unwrap();
    let (cost, currency, before) = (at("cost"), at("currency"), at("before cost"));
    let (mut sum, mut summed, mut compared) = (0, 0, 0);
    for row in rows[heading + 1..].iter().filter(|row| row[currency] == *"USD") {
        let of = |nth: usize| match &row[nth] {
            Data::Float(amount) => crate::walk::of_cell(*amount),
            Data::Empty => 0,
            other => panic!("{other:?}"),
        };
        if row[0] == *"total" {
            sum += of(cost);
        } else {
            summed += of(cost);
        }
        compared += of(before);
    }
    assert_eq!((sum, summed), (shop.truth.cost_nanos, shop.truth.cost_nanos), "the workbook, and the truth");
    assert!((shown - sum).abs() <= 50_000, "{shown} on the page, {sum} in the workbook");
    assert_eq!(compared, 0, "in September there was nothing");
    let attempts = column(page, "all").await;
    let attempts = page.text(&cell(IN_DOLLARS, attempts)).await;
    let exact = shop.service.get_json(&format!("/v1/reports/failure-cost?{OCTOBER}")).await;
    let all: i64 =
        exact["totals"].as_array().unwrap().iter().map(|row| row["attempts"].as_i64().unwrap()).sum();
    assert_eq!(all, shop.truth.attempts, "{attempts} in dollars");
    calm(page, "the workbook").await;
}

async fn month(shop: &Shop, browser: &Browser) {
    let page = logged_in(browser, shop, View::DESK).await;
    chooses_a_month(&page, shop).await;
    follows_a_figure(&page, shop).await;
    takes_the_workbook(&page, shop).await;
}

#[tokio::test]
async fn a_month_is_followed_from_the_overview_to_its_cases_on_sqlite() {
    let shop = Shop::open("month-sqlite", &sqlite("month-sqlite")).await;
    month(&shop, &browser("month-sqlite")).await;
}

#[tokio::test]
async fn a_month_is_followed_from_the_overview_to_its_cases_on_postgres() {
    let shop = Shop::open("month-postgres", &fresh_postgres("pages_month").await).await;
    month(&shop, &browser("month-postgres")).await;
}

/// Whoever gets the address of a view sees the same: days, what it is narrowed down to and compared with, and its order.
#[tokio::test]
async fn a_shared_address_shows_the_same_view() {
    let shop = Shop::open("addresses", &sqlite("addresses")).await;
    let browser = browser("addresses");
    let page = logged_in(&browser, &shop, View::DESK).await;
    let other = logged_in(&browser, &shop, View::DESK).await;
    let seen = "document.querySelector('main').innerText.replace(/^Live\\s*/, '')";
    for (path, narrowed) in [
        ("/overview", "customer"),
        ("/reports/failure-cost", "customer"),
        ("/agents", "agent"),
        ("/cases?bucket=failures&from=2026-10-01&to=2026-11-01", "customer"),
    ] {
        page.open(&shop.service.url(path)).await;
        type_day(&page, "[name=from]", "10022026", "2026-10-02").await;
        type_day(&page, "[name=to]", "10302026", "2026-10-30").await;
        page.value(&format!("document.querySelector('.filter [name={narrowed}]').select()")).await;
        page.type_text(if narrowed == "agent" { "resolver" } else { "acme" }).await;
        page.press_and_follow("Enter").await;
        if path == "/reports/failure-cost" {
            page.follow(".figures thead a", "won").await;
        }
        let address = page.path().await;
        for said in ["from=2026-10-02", "to=2026-10-30", &format!("{narrowed}=")] {
            assert!(address.contains(said), "{said}: {address}");
        }
        let view = page.text(seen).await;
        assert!(view.contains("2026-10-02 to 2026-10-30"), "{view}");
        other.open(&shop.service.url(&address)).await;
        assert_eq!(other.text(seen).await, view, "{address}");
        // The form says what is shown, so that it can be shown once more.
        let form = "[...new FormData(document.querySelector('.filter'))].map(([name, value]) => name + '=' + value).join('&')";
        assert_eq!(other.text(form).await, page.text(form).await);
        other.follow(".filter button", "Show").await;
        assert_eq!(other.text(seen).await, view, "shown once more, as {}", other.path().await);
    }
    calm(&page, "the first").await;
    calm(&other, "the other").await;
}

/// The figures move by themselves: no page is loaded, and the focus stays where it was.
#[tokio::test]
async fn a_page_that_is_open_follows_what_happens() {
    let shop = Shop::open("living", &sqlite("living")).await;
    let browser = browser("living");
    let page = logged_in(&browser, &shop, View::DESK).await;
    page.open(
        &shop.service.url("/reports/failure-cost?from=2026-11-01&to=2026-12-01&customer=acme&compare=none"),
    )
    .await;
    page.until("document.querySelector('.live')?.dataset.state === 'live'").await;
    let figure = |name: &str| {
        format!(
            "[...document.querySelectorAll('[aria-label=USD] .sums span')].find(e => e.innerText.startsWith('{name}')).querySelector('a')"
        )
    };
    let text = async |name: &str| nanos(&page.text(&format!("{}.innerText", figure(name))).await);
    let (pending, lost, total) = (text("pending").await, text("lost").await, text("total").await);
    let mark = format!("window.mark = {{}}; window.held = {}; held.focus(); null", figure("total"));
    page.value(&mark).await;
    let loads = page.loads();
    let is_as_it_was = async |when: &str| {
        assert_eq!(
            page.value("typeof window.mark === 'object' && window.held.isConnected").await,
            true,
            "{when}"
        );
        assert!(has_focus(&page, "window.held").await, "{when}: the focus is elsewhere");
        assert_eq!(page.loads(), loads, "{when}: the page was loaded again");
        assert_eq!(page.text("document.querySelector('.live').innerText").await, "Live", "{when}");
    };

    let attempt = json!({
        "id": "fresh.0", "customer": "acme", "case": "fresh", "agent": "resolver", "action": "support.resolution",
        "provider": "openai", "model": "gpt-4o", "started_at": rfc3339(NOW - 2 * HOUR), "ended_at": rfc3339(NOW - HOUR),
        "status": "answered", "reported_cost": { "amount": "1.25", "currency": "USD" },
    });
    shop.service.post("/v1/attempts", &attempt).await;
    let shows = async |name: &str, nanos: i128| {
        let begun = Instant::now();
        while text(name).await != nanos {
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} is {}, not {nanos}", text(name).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    shows("total", total + 1_250_000_000).await;
    shows("pending", pending + 1_250_000_000).await;
    assert_eq!(text("lost").await, lost);
    is_as_it_was("after an attempt").await;

    // It was no use: what it cost is lost, and no more is spent.
    let said = json!({ "id": "fresh failed", "customer": "acme", "case": "fresh", "kind": "failed", "occurred_at": rfc3339(NOW - HOUR / 2) });
    shop.service.post("/v1/resolutions", &said).await;
    shows("lost", lost + 1_250_000_000).await;
    shows("pending", pending).await;
    assert_eq!(text("total").await, total + 1_250_000_000);
    is_as_it_was("after a resolution").await;
    calm(&page, "what happened").await;
}
