//! The pages without a mouse.

use crate::shop::{Shop, sqlite};
use crate::{browser, calm, logged_in};
use serde_json::Value;
use verdict_tests::browser::{Page, View};

/// Numbers what can be used, in the order in which it is read.
const CONTROLS: &str = "(() => { const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex=\"0\"]'; \
    window.controls = [...document.querySelectorAll(all)].filter(e => e.checkVisibility()); return controls.length })()";

/// Which control has the focus (-1: none), what it is, and whether that can be seen: a line around it, all of it in the window.
const FOCUS: &str = "(() => { const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect(); \
    const seen = e.matches(':focus-visible') && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 \
        && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight; \
    return [window.controls.indexOf(e), e.outerHTML.slice(0, 120), seen] })()";

/// Goes through all that can be used by Tab; what is wrong with it.
async fn wrong_with_tab(page: &Page) -> Vec<String> {
    let count = page.value(CONTROLS).await.as_i64().unwrap();
    // From the first on, wherever an `autofocus` has put it.
    page.value("window.controls[0].focus({ focusVisible: true })").await;
    let (mut wrong, mut last, mut seen) = (Vec::new(), 0, 1);
    // A field for a day has a stop for the month, the day, the year and its calendar.
    for _ in 0..4 * count + 4 {
        page.press("Tab").await;
        let focus: Value = page.value(FOCUS).await;
        let at = focus[0].as_i64().unwrap();
        if at == last {
            continue;
        }
        if at != last + 1 {
            wrong.push(format!("after control {last} comes {at}: {}", focus[1]));
        }
        if focus[2] != true {
            wrong.push(format!("the focus cannot be seen: {}", focus[1]));
        }
        (last, seen) = (at, seen + 1);
        if at < 0 || at == count - 1 {
            break;
        }
    }
    if seen != count {
        wrong.push(format!("{seen} of {count} controls are reached"));
    }
    wrong
}

#[tokio::test]
async fn all_can_be_used_by_keyboard_alone() {
    let shop = Shop::open("keyboard", &sqlite("keyboard")).await;
    let browser = browser("keyboard");
    let page = logged_in(&browser, &shop, View::DESK).await;
    let mut wrong = Vec::new();
    for place in shop.places() {
        page.open(&shop.service.url(&place.path)).await;
        let found = wrong_with_tab(&page).await;
        wrong.extend(found.into_iter().map(|wrong| format!("{}: {wrong}", place.name)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    page.troubles();

    // The first stop leads past the navigation, to the content.
    page.open(&shop.service.url("/reports/failure-cost?from=2026-10-01&to=2026-11-01")).await;
    page.press("Tab").await;
    assert_eq!(page.text("document.activeElement.innerText").await, "Skip to the content");
    page.press("Enter").await;
    assert_eq!(page.text("document.activeElement.id").await, "main");
    page.press("Tab").await;
    assert_eq!(page.text("document.activeElement.name").await, "from");
    page.press("Shift+Tab").await;
    assert_eq!(page.text("document.activeElement.innerText").await, "Log out");

    // A heading sorts, what is folded opens, and the focus is there where it was looked.
    page.value(
        "[...document.querySelectorAll('.figures thead a')].find(a => a.innerText === 'lost').focus()",
    )
    .await;
    page.press_and_follow("Enter").await;
    assert_eq!(page.text("document.querySelector('[aria-sort]').innerText").await.trim(), "lost");
    page.value("document.querySelector('summary').focus()").await;
    page.press("Enter").await;
    assert_eq!(page.value("document.querySelector('details').open").await, true);
    calm(&page, "all of it").await;
}
