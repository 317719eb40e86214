// Keeps the parts of a page that are marked `data-live` up to date. When the service says that figures have changed, the
// page itself is read again, and what differs in those parts is put in place: focus, open details, selections and scrolled
// boxes stay as they are. Without this script the page is the same, and is reloaded by hand.
"use strict";

(() => {
  const parts = () => [...document.querySelectorAll("[data-live]")];
  if (!parts().length || !window.EventSource || !window.fetch) return;

  // What is going on, for all to see; screen readers say it when it changes, and only then.
  const state = document.createElement("p");
  state.className = "live";
  state.setAttribute("role", "status");
  document.getElementById("main").prepend(state);
  const say = (kind, text) => {
    if (state.dataset.state === kind) return;
    state.dataset.state = kind;
    state.textContent = text;
  };
  const live = () => say("live", "Live");
  const paused = () => say("paused", "Paused: reload to see what is new");

  // --- Putting what is new in place ---------------------------------------------------------

  // A row is the same row where its headings are the same, wherever it stands now.
  const key = (node) => {
    if (node.nodeType !== Node.ELEMENT_NODE) return null;
    const said = node.id || node.dataset.key || node.getAttribute("aria-labelledby") || node.getAttribute("aria-label");
    if (said || node.localName !== "tr") return said || null;
    return [...node.querySelectorAll("th, td.code")].map((cell) => cell.textContent).join("\n");
  };
  const isSame = (old, fresh) =>
    old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && key(old) === key(fresh);

  const update = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== Node.ELEMENT_NODE) {
      old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) {
      // Whether details are open is the reader's business.
      if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const keys = new Set([...fresh.childNodes].map(key));
    let at = old.firstChild;
    const drop = () => {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    };
    for (const child of [...fresh.childNodes]) {
      while (at && key(at) !== null && !keys.has(key(at))) drop();
      if (at && isSame(at, child)) {
        const same = at;
        at = at.nextSibling;
        update(same, child);
        continue;
      }
      let match = key(child) === null ? null : at;
      while (match && !isSame(match, child)) match = match.nextSibling;
      old.insertBefore(match ?? child, at);
      if (match) update(match, child);
    }
    while (at) drop();
  };

  const read = async () => {
    const response = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
    // The login is over: what came is its page.
    if (!response.ok || response.redirected) return false;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    const of = new Map([...fresh.querySelectorAll("[data-live]")].map((part) => [part.dataset.live, part]));
    for (const part of parts()) {
      const now = of.get(part.dataset.live);
      if (now) update(part, now);
    }
    return true;
  };

  // --- When -------------------------------------------------------------------------------------

  let source = null;
  let failures = 0;
  let again = 0;
  let doubt = 0;
  let reading = false;
  let isWanted = false;

  const isThere = () => {
    clearTimeout(doubt);
    doubt = 0;
  };
  const stop = () => {
    isThere();
    clearTimeout(again);
    if (source) source.close();
    source = null;
  };
  const later = () => {
    stop();
    paused();
    // 2 s, doubling to a minute, and up to half as much again: not all at once.
    const wait = Math.min(2000 * 2 ** failures, 60000);
    failures += 1;
    again = setTimeout(start, wait * (1 + Math.random() / 2));
  };

  // One reading at a time; a page that takes long is read less often.
  const refresh = async () => {
    isWanted = true;
    if (reading) return;
    reading = true;
    while (isWanted && source) {
      isWanted = false;
      const begun = performance.now();
      try {
        if (!(await read())) {
          stop();
          paused();
          break;
        }
        live();
      } catch {
        later();
        break;
      }
      await new Promise((done) => setTimeout(done, Math.max(1000, 3 * (performance.now() - begun))));
    }
    reading = false;
  };

  const start = () => {
    stop();
    if (document.hidden) return;
    source = new EventSource("/live");
    source.onopen = () => {
      isThere();
      failures = 0;
      live();
    };
    source.addEventListener("figures", refresh);
    source.onerror = () => {
      if (!source) return;
      if (source.readyState === EventSource.CLOSED) return later();
      // The browser connects again, and is told what was missed. Mostly that takes a moment, of which nobody need hear.
      doubt = doubt || setTimeout(paused, 8000);
    };
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      stop();
    } else {
      start();
      refresh();
    }
  });
  addEventListener("pagehide", stop);
  addEventListener("pageshow", (event) => {
    if (event.persisted) start();
  });
  start();
})();
