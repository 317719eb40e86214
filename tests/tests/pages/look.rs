//! Each page as it looks, in two widths and two themes.

use crate::shop::{Place, Shop, sqlite};
use crate::{browser, installed, logged_in, pictures};
use serde_json::Value;
use verdict_tests::browser::{Page, View};

/// As high as a picture gets: what is below is more of the same.
fn highest(view: View) -> u64 {
    if view.width < 600 { 1_800 } else { 1_500 }
}

/// What is random, or differs with each change elsewhere (ids of what is parked, links of the chains), in place of itself.
const STEADY: &str = "(() => { const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); \
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replace(/[0-9a-f]{32,}/g, id => '0'.repeat(id.length)) })()";

/// What axe finds that is serious or worse, one line each.
async fn violations(page: &Page, axe: &str) -> Vec<String> {
    page.value(&format!("{axe}; null")).await;
    // Style sheets are read as they are: fetching them again is what the content policy forbids.
    let found = page.value("axe.run(document, { preload: false, resultTypes: ['violations'] })").await;
    assert!(!found["passes"].as_array().unwrap().is_empty(), "axe looked at nothing: {found}");
    let serious = found["violations"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|violation| ["serious", "critical"].iter().any(|impact| violation["impact"] == *impact));
    let line = |violation: &Value| {
        let nodes = violation["nodes"].as_array().unwrap();
        let html: Vec<&str> = nodes.iter().take(3).filter_map(|node| node["html"].as_str()).collect();
        format!("{}: {} ({} places): {}", violation["id"], violation["help"], nodes.len(), html.join(" | "))
    };
    serious.map(line).collect()
}

/// What is wrong with one page in one view.
async fn faults(page: &Page, shop: &Shop, place: &Place, view: View, axe: &str) -> Vec<String> {
    let name = format!("{}-{}", place.name, view.name());
    page.open(&shop.service.url(&place.path)).await;
    let mut faults = page.troubles();
    // The page that is not there says so, and nothing else goes wrong.
    faults.retain(|fault| place.status == 200 || !fault.contains(&format!("{}", place.status)));
    let width = page.value("document.documentElement.scrollWidth").await;
    if width.as_u64() > Some(u64::from(view.width)) {
        faults.push(format!("it is {width} pixels wide and scrolls sideways"));
    }
    page.value(STEADY).await;
    faults.extend(pictures::compare(&name, &page.picture(view, highest(view)).await).err());
    faults.extend(violations(page, axe).await);
    faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()
}

#[tokio::test]
async fn each_page_looks_right_in_two_widths_and_two_themes() {
    let shop = Shop::open("look", &sqlite("look")).await;
    let browser = browser("look");
    let axe = std::fs::read_to_string(installed().join("axe.min.js")).unwrap();
    let page = logged_in(&browser, &shop, View::DESK).await;
    let places = shop.places();
    let mut found = Vec::new();
    for view in View::ALL {
        page.look_as(view).await;
        for place in &places {
            found.extend(faults(&page, &shop, place, view, &axe).await);
        }
    }
    let names: Vec<String> = places
        .iter()
        .flat_map(|place| View::ALL.map(|view| format!("{}-{}", place.name, view.name())))
        .collect();
    found.extend(pictures::left_over(&names).iter().map(|name| format!("tests/screens/{name}: of no page")));
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}

#[tokio::test]
async fn what_looks_for_faults_finds_them() {
    let shop = Shop::open("faults", &sqlite("faults")).await;
    let browser = browser("faults");
    let axe = std::fs::read_to_string(installed().join("axe.min.js")).unwrap();
    let page = logged_in(&browser, &shop, View::DESK).await;
    page.open(&shop.service.url("/cases")).await;
    assert_eq!(violations(&page, &axe).await, [] as [&str; 0]);
    // A field without a label, and pale text.
    page.value(
        "const field = document.querySelector('[name=q]'); document.querySelector('form').append(field); \
         document.querySelector('h1').style.color = '#ddd'; null",
    )
    .await;
    let found = violations(&page, &axe).await.join("\n");
    assert!(found.contains("\"label\"") && found.contains("\"color-contrast\""), "{found}");

    page.troubles();
    for (fault, told) in [
        (
            "const script = document.createElement('script'); script.text = '1'; document.body.append(script)",
            "Content",
        ),
        ("setTimeout(() => nothing.there); null", "nothing is not defined"),
        ("console.error('an error of a script')", "an error of a script"),
        ("document.body.append(Object.assign(new Image(), { src: '/none.png' }))", "none.png"),
        ("fetch('/style.css?x').catch(() => null)", "style.css?x"),
    ] {
        page.value(fault).await;
        let start = std::time::Instant::now();
        let mut troubles = String::new();
        while !troubles.contains(told) {
            assert!(start.elapsed().as_secs() < 10, "{fault}: {troubles}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            troubles += &page.troubles().join("\n");
        }
    }
}
