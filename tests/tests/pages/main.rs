//! The pages as people use them: in headless Chromium, on a month of made-up figures.
//!
//! A new page is a line in [`shop::Shop::places`]: then it is looked at in two widths and two themes, compared with its
//! pictures in `tests/screens`, checked by axe, and walked through by keyboard.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod keyboard;
mod look;
mod month;
mod paper;
mod pictures;
mod shop;
mod walk;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use verdict_tests::browser::{Browser, Page, View};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages").join(name)
}

/// Where axe-core is; with it there are a browser and its fonts.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        let installed = Command::new(root().join("scripts/install-browser")).arg(&folder).output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        folder
    })
}

fn browser(name: &str) -> Browser {
    installed();
    Browser::start(&folder(&format!("{name}-browser")))
}

/// A page of somebody who has typed the shop's key at its door.
async fn logged_in(browser: &Browser, shop: &shop::Shop, view: View) -> Page {
    let page = browser.page(view).await;
    page.open(&shop.service.url("/login")).await;
    type_key(&page, &shop.service.key).await;
    page.press_and_follow("Enter").await;
    assert_ne!(page.path().await, "/login");
    calm(&page, "the login").await;
    page
}

/// Types a key into the one field of the login, which gets the focus by itself a moment after the page is loaded.
async fn type_key(page: &Page, key: &str) {
    page.until("document.activeElement.name === 'key'").await;
    page.type_text(key).await;
    assert_eq!(page.text("document.activeElement.value").await, key);
}

/// Nothing went wrong so far: no error of a script or of the content policy, no failed request.
async fn calm(page: &Page, after: &str) {
    let troubles = page.troubles();
    assert!(troubles.is_empty(), "after {after}:\n{}", troubles.join("\n"));
}
