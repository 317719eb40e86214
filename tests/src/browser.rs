//! Headless Chromium, driven over its DevTools protocol: <https://chromedevtools.github.io/devtools-protocol/>.
//!
//! The protocol is spoken over a pipe (`--remote-debugging-pipe`: JSON texts that end with a NUL, read from descriptor 3,
//! written to 4). So there is no port to guess, and the browser ends with the test. What a page does wrong meanwhile
//! (errors of scripts, of the content policy, failed requests) is kept: [`Page::troubles`].

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long anything may take: a machine that is busy with other tests is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running browser; it ends when it is dropped.
pub struct Browser {
    child: Child,
    line: Line,
    folder: PathBuf,
}

/// A page of a browser, in a context of its own: it shares no cookies.
pub struct Page {
    line: Line,
    session: String,
    downloads: PathBuf,
}

/// The width of a window, and what its owner prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// In CSS pixels. What is narrower than 600 is a phone.
    pub width: u32,
    /// `prefers-color-scheme: dark`.
    pub dark: bool,
}

impl View {
    /// A desk by day.
    pub const DESK: Self = Self { width: 1280, dark: false };

    /// Two widths, two themes.
    pub const ALL: [Self; 4] = [
        Self::DESK,
        Self { width: 1280, dark: true },
        Self { width: 400, dark: false },
        Self { width: 400, dark: true },
    ];

    /// `1280-light`.
    pub fn name(self) -> String {
        format!("{}-{}", self.width, if self.dark { "dark" } else { "light" })
    }
}

#[derive(Clone)]
struct Line {
    to: Arc<Mutex<ChildStdin>>,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    asked: u64,
    waiting: HashMap<u64, oneshot::Sender<Value>>,
    sessions: HashMap<String, Session>,
    /// The files of downloads that are done, with the names they were offered under.
    downloads: HashMap<String, (String, bool)>,
}

/// What came of a page.
#[derive(Default)]
struct Session {
    loads: usize,
    troubles: Vec<String>,
}

impl Browser {
    /// Starts one: `chromium` from the path, or what `VERDICT_TEST_CHROMIUM` names. Its profile is in `folder`, which is
    /// emptied. It has one family of fonts, whatever else is installed, so that pages look the same everywhere.
    pub fn start(folder: &Path) -> Self {
        let _ = std::fs::remove_dir_all(folder);
        std::fs::create_dir_all(folder.join("downloads")).unwrap();
        let folder = folder.canonicalize().unwrap();
        std::fs::write(folder.join("fonts.conf"), fonts(&folder)).unwrap();
        let chromium = std::env::var("VERDICT_TEST_CHROMIUM").unwrap_or_else(|_| "chromium".into());
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >&2"#, &chromium])
            .args(ARGUMENTS)
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .env("FONTCONFIG_FILE", folder.join("fonts.conf"))
            .envs([("TZ", "UTC"), ("LANG", "C.UTF-8"), ("LANGUAGE", "en_US"), ("LC_ALL", "C.UTF-8")])
            .env("HOME", &folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .unwrap();
        let heard = Arc::new(Mutex::new(Heard::default()));
        let line = Line { to: Arc::new(Mutex::new(child.stdin.take().unwrap())), heard: Arc::clone(&heard) };
        let from = child.stdout.take().unwrap();
        std::thread::spawn(move || listen(from, &heard));
        Self { child, line, folder }
    }

    /// An empty page in a context of its own: no cookies, an empty cache.
    pub async fn page(&self, view: View) -> Page {
        let context = self.line.ask("", "Target.createBrowserContext", json!({})).await;
        let context = &context["browserContextId"];
        let downloads = self.folder.join("downloads");
        let behaviour = json!({
            "behavior": "allowAndName", "browserContextId": context, "downloadPath": downloads, "eventsEnabled": true,
        });
        self.line.ask("", "Browser.setDownloadBehavior", behaviour).await;
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = self.line.ask("", "Target.createTarget", blank).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.line.ask("", "Target.attachToTarget", attach).await;
        let session = session["sessionId"].as_str().unwrap().to_string();
        let page = Page { line: self.line.clone(), session, downloads };
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"] {
            page.ask(&format!("{domain}.enable"), json!({})).await;
        }
        page.look_as(view).await;
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of the pipe is its end; whatever happens, it is not left running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As root there is no sandbox (it sees only our own pages); `/dev/shm` may be small; nothing is asked of the network.
/// The rest is for pictures that do not depend on the machine.
const ARGUMENTS: [&str; 21] = [
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
    "--lang=en-US",
    "--hide-scrollbars",
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
];

/// Two fonts alone, for whatever family a style sheet asks for: DejaVu Sans, and its monospaced sister.
fn fonts(folder: &Path) -> String {
    let mono = ["monospace", "ui-monospace"].map(|family| {
        format!(
            "<match target=\"pattern\"><test name=\"family\"><string>{family}</string></test>\
             <edit name=\"family\" mode=\"assign\" binding=\"strong\"><string>DejaVu Sans Mono</string></edit></match>\n"
        )
    });
    format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE fontconfig SYSTEM \"fonts.dtd\">\n<fontconfig>\n\
         <dir>/usr/share/fonts/truetype/dejavu</dir>\n<cachedir>{}</cachedir>\n<selectfont>\n\
         <rejectfont><glob>*</glob></rejectfont>\n\
         <acceptfont><glob>*/DejaVuSans.ttf</glob><glob>*/DejaVuSans-Bold.ttf</glob>\
         <glob>*/DejaVuSansMono.ttf</glob><glob>*/DejaVuSansMono-Bold.ttf</glob></acceptfont>\n</selectfont>\n\
         {}</fontconfig>\n",
        folder.join("fonts").display(),
        mono.concat()
    )
}

/// Takes what the browser says until it ends.
fn listen(from: ChildStdout, heard: &Mutex<Heard>) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while from.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
        if bytes.last() == Some(&0) {
            bytes.pop();
        }
        let Ok(mut said) = serde_json::from_slice::<Value>(&bytes) else { break };
        bytes.clear();
        let mut heard = heard.lock().unwrap();
        match said["id"].as_u64() {
            Some(id) => {
                if let Some(waiting) = heard.waiting.remove(&id) {
                    let _ = waiting.send(said);
                }
            }
            None => heard.event(&said["method"].take(), &said["params"], said["sessionId"].as_str()),
        }
    }
    // Whoever still waits is told that nothing comes.
    heard.lock().unwrap().waiting.clear();
}

impl Heard {
    fn event(&mut self, method: &Value, params: &Value, session: Option<&str>) {
        match method.as_str().unwrap_or_default() {
            "Browser.downloadWillBegin" => {
                let name = params["suggestedFilename"].as_str().unwrap_or_default().to_string();
                self.downloads.insert(params["guid"].as_str().unwrap_or_default().into(), (name, false));
                return;
            }
            "Browser.downloadProgress" if params["state"] == "completed" => {
                if let Some(download) = self.downloads.get_mut(params["guid"].as_str().unwrap_or_default()) {
                    download.1 = true;
                }
                return;
            }
            _ => {}
        }
        let Some(session) = session else { return };
        let session = self.sessions.entry(session.into()).or_default();
        if method == "Page.loadEventFired" {
            session.loads += 1;
        }
        session.troubles.extend(trouble(method.as_str().unwrap_or_default(), params));
    }
}

/// What is wrong by an event, if anything is.
fn trouble(method: &str, params: &Value) -> Option<String> {
    // What the browser asks for by itself is none of the page's doing.
    if params.to_string().contains("/favicon.ico") {
        return None;
    }
    let is_wrong = match method {
        "Runtime.exceptionThrown" => true,
        "Runtime.consoleAPICalled" => {
            ["error", "warning", "assert"].iter().any(|kind| params["type"] == *kind)
        }
        "Log.entryAdded" => ["error", "warning"].iter().any(|level| params["entry"]["level"] == *level),
        // A file that is downloaded is a page that was not loaded: that is no failure.
        "Network.loadingFailed" => params["canceled"] != true,
        "Network.responseReceived" => {
            params["response"]["status"].as_u64().is_none_or(|status| status >= 400)
        }
        "Audits.issueAdded" => true,
        _ => false,
    };
    is_wrong.then(|| format!("{method}: {params}"))
}

impl Line {
    /// Asks, and gives the answer; an error of the protocol is one of the test.
    async fn ask(&self, session: &str, method: &str, params: Value) -> Value {
        let (answer, waiting) = oneshot::channel();
        let id = {
            let mut heard = self.heard.lock().unwrap();
            heard.asked += 1;
            let id = heard.asked;
            heard.waiting.insert(id, answer);
            id
        };
        let mut question = json!({ "id": id, "method": method, "params": params });
        if !session.is_empty() {
            question["sessionId"] = session.into();
        }
        let mut bytes = question.to_string().into_bytes();
        bytes.push(0);
        self.to.lock().unwrap().write_all(&bytes).unwrap_or_else(|error| panic!("{method}: {error}"));
        let answer = tokio::time::timeout(PATIENCE, waiting).await;
        let answer = answer.unwrap_or_else(|_| panic!("{method}: no answer"));
        let mut answer = answer.unwrap_or_else(|_| panic!("{method}: the browser has ended; see its log"));
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].take()
    }
}

/// Waits until something is there.
async fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "not there: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

impl Page {
    /// Any method of the protocol.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        self.line.ask(&self.session, method, params).await
    }

    /// Resizes the window and says what its owner prefers. Nothing moves.
    pub async fn look_as(&self, view: View) {
        let phone = view.width < 600;
        let metrics = json!({ "width": view.width, "height": 800, "deviceScaleFactor": 1, "mobile": phone });
        self.ask("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = if view.dark { "dark" } else { "light" };
        let media = json!({ "media": "", "features": [
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ] });
        self.ask("Emulation.setEmulatedMedia", media).await;
    }

    /// Looks as it would on paper of the view's width, printed by somebody who prefers what the view says.
    pub async fn look_as_print(&self, view: View) {
        let scheme = if view.dark { "dark" } else { "light" };
        let features = [json!({ "name": "prefers-color-scheme", "value": scheme })];
        self.ask("Emulation.setEmulatedMedia", json!({ "media": "print", "features": features })).await;
    }

    /// Goes to an address, and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        let before = self.session(|session| session.loads);
        let gone = self.ask("Page.navigate", json!({ "url": url })).await;
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        self.loaded(url, before).await;
    }

    async fn loaded(&self, what: &str, before: usize) {
        wait_for(what, || self.session(|session| (session.loads > before).then_some(()))).await;
    }

    /// How many pages it has loaded.
    pub fn loads(&self) -> usize {
        self.session(|session| session.loads)
    }

    /// Goes back, as with the browser's own button.
    pub async fn back(&self) {
        let history = self.ask("Page.getNavigationHistory", json!({})).await;
        let before = history["currentIndex"].as_u64().unwrap() as usize - 1;
        let entry = &history["entries"][before]["id"];
        self.ask("Page.navigateToHistoryEntry", json!({ "entryId": entry })).await;
        // It may be there as it was left, without being loaded again.
        let start = Instant::now();
        while self.ask("Page.getNavigationHistory", json!({})).await["currentIndex"] != before {
            assert!(start.elapsed() < PATIENCE, "the page before is not there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.until("document.readyState === 'complete'").await;
    }

    fn session<T>(&self, look: impl FnOnce(&mut Session) -> T) -> T {
        look(self.line.heard.lock().unwrap().sessions.entry(self.session.clone()).or_default())
    }

    /// What went wrong since it was last asked.
    pub fn troubles(&self) -> Vec<String> {
        self.session(|session| std::mem::take(&mut session.troubles))
    }

    /// The value of an expression (of a promise: what it comes to).
    pub async fn value(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.ask("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// The same for a text.
    pub async fn text(&self, expression: &str) -> String {
        let value = self.value(expression).await;
        value.as_str().unwrap_or_else(|| panic!("{expression}: {value}")).into()
    }

    /// Waits until an expression is true.
    pub async fn until(&self, expression: &str) {
        let start = Instant::now();
        while self.value(expression).await != true {
            assert!(start.elapsed() < PATIENCE, "not yet: {expression}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Its address, without the host.
    pub async fn path(&self) -> String {
        self.text("location.pathname + location.search + location.hash").await
    }

    /// Clicks on what a selector finds that has this text (any, if it is empty): at its middle, where it must not be covered.
    pub async fn click(&self, selector: &str, text: &str) {
        let (selector, text) = (json!(selector), json!(text));
        let spot = self
            .value(&format!(
                "(() => {{ const found = [...document.querySelectorAll({selector})].filter(e => {text} === '' || \
                 e.textContent.trim() === {text}); if (found.length === 0) return 'nothing there'; const e = found[0]; \
                 e.scrollIntoView({{block: 'center', inline: 'center'}}); const box = e.getClientRects()[0]; \
                 if (!box) return 'it has no place'; const x = box.x + box.width / 2, y = box.y + box.height / 2; \
                 const top = document.elementFromPoint(x, y); \
                 return top && (e.contains(top) || top.contains(e)) ? [x, y] : 'it is covered'; }})()"
            ))
            .await;
        assert!(spot.is_array(), "{selector} {text}: {spot}");
        self.click_at(&spot[0], &spot[1]).await;
    }

    async fn click_at(&self, x: &Value, y: &Value) {
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks, and waits until the page that it leads to is loaded.
    pub async fn follow(&self, selector: &str, text: &str) {
        let before = self.session(|session| session.loads);
        self.click(selector, text).await;
        self.loaded(&format!("what {selector} {text} leads to"), before).await;
    }

    /// Presses a key that leads to another page, and waits for it.
    pub async fn press_and_follow(&self, key: &str) {
        let before = self.session(|session| session.loads);
        self.press(key).await;
        self.loaded(&format!("what {key} leads to"), before).await;
    }

    /// Clicks on what downloads a file: its name and its bytes.
    pub async fn download(&self, selector: &str, text: &str) -> (String, Vec<u8>) {
        self.line.heard.lock().unwrap().downloads.clear();
        self.click(selector, text).await;
        let (file, name) = wait_for(text, || {
            let heard = self.line.heard.lock().unwrap();
            let mut downloads = heard.downloads.iter();
            downloads.find(|(_, (_, done))| *done).map(|(file, (name, _))| (file.clone(), name.clone()))
        })
        .await;
        (name, std::fs::read(self.downloads.join(file)).unwrap())
    }

    /// Types a text, key by key, where the focus is.
    pub async fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.press(&letter.to_string()).await;
        }
    }

    /// Presses a key: a letter, or one of `Tab`, `Shift+Tab`, `Enter`, `Backspace`, `Delete`, `ArrowRight`, `ArrowDown`.
    pub async fn press(&self, key: &str) {
        let (shift, key) = key.strip_prefix("Shift+").map_or((0, key), |key| (8, key));
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Backspace" => (8, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            "Delete" => (46, ""),
            letter => {
                assert_eq!(letter.chars().count(), 1, "unknown key {letter}");
                (u32::from(letter.to_ascii_uppercase().chars().next().unwrap()), letter)
            }
        };
        let down = json!({
            "type": if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "key": key, "code": key, "modifiers": shift,
            "windowsVirtualKeyCode": code, "text": text, "unmodifiedText": text,
        });
        self.ask("Input.dispatchKeyEvent", down).await;
        let up = json!({ "type": "keyUp", "key": key, "code": key, "modifiers": shift, "windowsVirtualKeyCode": code });
        self.ask("Input.dispatchKeyEvent", up).await;
    }

    /// A picture (PNG) of the page from its top, as high as it is, but no higher than so many pixels.
    pub async fn picture(&self, view: View, highest: u64) -> Vec<u8> {
        // No blinking caret (a style sheet of a script's is not the page's: the content policy does not concern it). What sticks
        // while others scroll is drawn in a layer of its own, at a whole pixel or not by chance; unscrolled it
        // stands where it stands anyway.
        let still = "(() => { const sheet = new CSSStyleSheet(); sheet.replaceSync('* { caret-color: transparent !important }'); \
            document.adoptedStyleSheets = [sheet]; window.scrollTo(0, 0); \
            for (const e of document.querySelectorAll('*')) \
              if (getComputedStyle(e).position === 'sticky') e.style.setProperty('position', 'static', 'important'); \
            return document.documentElement.scrollHeight })()";
        let height = self.value(still).await.as_u64().unwrap().min(highest);
        let clip = json!({ "x": 0, "y": 0, "width": view.width, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "clip": clip, "captureBeyondViewport": true });
        let picture = self.ask("Page.captureScreenshot", params).await;
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// What its printer would get (PDF).
    pub async fn printed(&self) -> Vec<u8> {
        let params =
            json!({ "preferCSSPageSize": true, "printBackground": false, "generateTaggedPDF": true });
        let printed = self.ask("Page.printToPDF", params).await;
        STANDARD.decode(printed["data"].as_str().unwrap()).unwrap()
    }
}
