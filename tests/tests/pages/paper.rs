//! The pages on paper.

use crate::shop::{Place, Shop, sqlite};
use crate::{browser, logged_in};
use serde_json::{Value, json};
use verdict_tests::browser::{Page, View};

/// What A4 leaves between margins of 1 cm, across, in CSS pixels (96 to the inch).
const LANDSCAPE: u32 = 1_047;
/// The same upright.
const PORTRAIT: u32 = 718;

fn count(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count()
}

#[tokio::test]
async fn the_report_is_printed_with_its_table_and_without_its_controls() {
    let shop = Shop::open("paper", &sqlite("paper")).await;
    let browser = browser("paper");
    let view = View { width: LANDSCAPE, dark: true };
    let page = logged_in(&browser, &shop, view).await;
    page.open(&shop.service.url("/reports/failure-cost?from=2026-10-01&to=2026-11-01&by=agent")).await;
    let on_screen = page.text("document.body.innerText").await;
    page.look_as_print(view).await;
    let on_paper = page.text("document.body.innerText").await;
    for control in ["Log out", "Invoices", "Grouped by", "XLSX", "What the columns mean"] {
        assert!(on_screen.contains(control) && !on_paper.contains(control), "{control}\n{on_paper}");
    }
    for figure in
        ["Failure cost 2026-10-01 to 2026-11-01", "cost of attempts", "returns desk", "Why money was lost"]
    {
        assert!(on_paper.contains(figure), "{figure}\n{on_paper}");
    }

    // The file itself: tagged, so that its table is one for a screen reader; on A4, the table across; no link into the navigation.
    let file = page.printed().await;
    assert!(file.starts_with(b"%PDF-"));
    let pages = count(&file, "/Type /Page\n");
    assert!((1..=6).contains(&pages), "{pages} pages");
    assert!(count(&file, "/S /Table") >= 2 && count(&file, "/S /TH") > 20, "no table");
    for path in ["/levers)", "/parked)", "/logout)", "format=xlsx)"] {
        assert_eq!(count(&file, path), 0, "{path}");
    }
    std::fs::write(crate::folder("paper").join("report.pdf"), file).unwrap();
}

/// What is wrong with a page on paper of this width: of what is printed across, or of the rest.
async fn wrong_on_paper(page: &Page, width: u32, across: bool) -> Vec<String> {
    let found = page
        .value(&format!(
            "(() => {{ const across = e => !!e.closest('section:has(.figures, .groups)'); \
             const all = [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && across(e) === {across} \
                 && !e.closest('.hidden') && e.getClientRects().length); \
             const name = e => e.localName + '.' + e.className + ' ' + (e.textContent || '').trim().slice(0, 40); \
             const wrong = []; \
             for (const e of all) {{ \
               const box = e.getBoundingClientRect(); \
               if (box.right > {width} + 0.5 || box.left < -0.5) wrong.push('beyond the paper, to ' + box.right + ': ' + name(e)); \
               const style = getComputedStyle(e); \
               if (style.overflowX !== 'visible' && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && !e.closest('svg')) \
                 wrong.push('cut off: ' + name(e)); \
               if (e.matches('header *, nav *, button, input, select, .skip')) wrong.push('a control: ' + name(e)); \
             }} \
             return wrong.slice(0, 5) }})()"
        ))
        .await;
    found.as_array().unwrap().iter().map(|wrong| wrong.as_str().unwrap().to_string()).collect()
}

/// Text that is not dark, on what is not white: by the colours that are painted, from the element outward.
const PALE: &str = "(() => { const parts = colour => colour.match(/[\\d.]+/g).map(Number); \
    const light = colour => { const [r, g, b] = parts(colour); return (r * 299 + g * 587 + b * 114) / 1000 }; \
    const clear = colour => parts(colour)[3] === 0; const wrong = []; \
    for (const e of [document.documentElement, ...document.querySelectorAll('body, body *')]) { \
      if (!e.checkVisibility() || e.closest('svg, .hidden, .legend i')) continue; \
      const style = getComputedStyle(e); const said = e.localName + '.' + e.className; \
      if (!clear(style.backgroundColor) && light(style.backgroundColor) < 235) wrong.push(said + ' on ' + style.backgroundColor); \
      const has = [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.textContent.trim()); \
      if (has && light(style.color) > 125) wrong.push(said + ' in ' + style.color); } \
    if (getComputedStyle(document.documentElement).colorScheme !== 'light') wrong.push('the scheme of the page itself'); \
    return wrong.slice(0, 5) })()";

/// Its links to cases, customers and invoices, which say what the figures are of: as texts that can be read.
const LINKS: &str = "[...document.querySelectorAll('main table tbody th a')].map(a => [a.innerText.trim(), a.checkVisibility()])";

#[tokio::test]
async fn each_page_fits_its_paper_black_on_white_and_without_controls() {
    let shop = Shop::open("papers", &sqlite("papers")).await;
    let browser = browser("papers");
    let page = logged_in(&browser, &shop, View::DESK).await;
    let mut wrong = Vec::new();
    let mut links = 0;
    // Beside days in which there was something, too: that makes the columns wider.
    let compared = "/reports/failure-cost?from=2026-10-16&to=2026-11-01&by=agent";
    let compared = Place { name: "failure-cost-compared", path: compared.into(), status: 200 };
    for place in shop.places().into_iter().chain([compared]) {
        // A form is what the login is.
        if place.name == "login" {
            continue;
        }
        page.look_as(View::DESK).await;
        page.open(&shop.service.url(&place.path)).await;
        let on_screen: Value = page.value(LINKS).await;
        for (width, across) in [(PORTRAIT, false), (LANDSCAPE, true)] {
            let view = View { width, dark: true };
            page.look_as(view).await;
            page.look_as_print(view).await;
            wrong.extend(
                wrong_on_paper(&page, width, across)
                    .await
                    .into_iter()
                    .map(|told| format!("{}: {told}", place.name)),
            );
        }
        let pale = page.value(PALE).await;
        if pale != json!([]) {
            wrong.push(format!("{}: in the dark theme: {pale}", place.name));
        }
        let on_paper: Value = page.value(LINKS).await;
        let is_told = |link: &Value| link[1] == false || on_paper.as_array().unwrap().contains(link);
        let told = on_screen.as_array().unwrap();
        // What stands beside a name to lead elsewhere is a control.
        let lost: Vec<&Value> = told
            .iter()
            .filter(|link| !is_told(link) && link[0] != "failures" && link[0] != "cases")
            .collect();
        if !lost.is_empty() {
            wrong.push(format!("{}: not on paper: {lost:?}", place.name));
        }
        links += told.len();
        let file = page.printed().await;
        assert!(file.starts_with(b"%PDF-") && count(&file, "/Type /Page\n") >= 1, "{}", place.name);
        assert_eq!(count(&file, "/logout)"), 0, "{}", place.name);
    }
    assert!(links > 100, "{links} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
