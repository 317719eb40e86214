//! The pages on paper.

use crate::shop::{Shop, sqlite};
use crate::{browser, logged_in};
use verdict_tests::browser::View;

/// What A4 leaves between margins of 1 cm, across, in CSS pixels (96 to the inch).
const LANDSCAPE: u32 = 1_047;

fn count(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

#[tokio::test]
async fn the_report_is_printed_with_its_table_and_without_its_controls() {
    let shop = Shop::open("paper", &sqlite("paper")).await;
    let browser = browser("paper");
    let page = logged_in(&browser, &shop, View { width: LANDSCAPE, dark: true }).await;
    page.open(&shop.service.url("/reports/failure-cost?from=2026-10-01&to=2026-11-01&by=agent")).await;
    let on_screen = page.text("document.body.innerText").await;
    page.look_as_print().await;
    let on_paper = page.text("document.body.innerText").await;
    for control in ["Log out", "Invoices", "Grouped by", "XLSX", "What the columns mean"] {
        assert!(on_screen.contains(control) && !on_paper.contains(control), "{control}\n{on_paper}");
    }
    for figure in
        ["Failure cost 2026-10-01 to 2026-11-01", "cost of attempts", "returns desk", "Why money was lost"]
    {
        assert!(on_paper.contains(figure), "{figure}\n{on_paper}");
    }
    // Black on white, whoever prefers what; and no table goes beyond the paper.
    let colours = "[document.body, document.querySelector('section')].map(e => getComputedStyle(e)).map(s => [s.color, s.backgroundColor])";
    let black_on_white = ["rgb(0, 0, 0)", "rgb(255, 255, 255)"];
    assert_eq!(page.value(colours).await, serde_json::json!([black_on_white, black_on_white]));
    let widest = "Math.max(...[...document.querySelectorAll('table, svg, pre')].map(e => e.getBoundingClientRect().right))";
    let widest = page.value(widest).await.as_f64().unwrap();
    assert!(widest <= f64::from(LANDSCAPE), "a table is {widest} pixels wide");

    // The file itself: tagged, so that its table is one for a screen reader; on A4, the table across; no link into the navigation.
    let file = page.printed().await;
    assert!(file.starts_with(b"%PDF-"));
    let pages = count(&file, "/Type /Page\n");
    assert!((1..=4).contains(&pages), "{pages} pages");
    assert!(count(&file, "/S /Table") >= 2 && count(&file, "/S /TH") > 20, "no table");
    for path in ["/levers)", "/parked)", "/logout)", "format=xlsx)"] {
        assert_eq!(count(&file, path), 0, "{path}");
    }
    std::fs::write(crate::folder("paper").join("report.pdf"), file).unwrap();
}
