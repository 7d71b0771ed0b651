/*
 * Keeps the region #gearjobs-live of a page up to date: fetches the page again every data-refresh-ms, takes the region of
 * the answer, and puts it in place of the old one, with what the reader did there: focus, ticks, opened details, scrolled
 * boxes. Rests while the tab is hidden, while the reader selects text, types or presses something in the region, and
 * where the checkbox is off; a region without data-refresh-ms (a job that has ended) is final. What an element with
 * data-announce says is told to screen readers when it changes, and nothing else is. Nothing here makes HTML: the server
 * does. Without this file the pages work and stand still.
 */
"use strict";

(() => {
  const REGION_ID = "gearjobs-live";
  const LONGEST_WAIT_MS = 60000;
  const ANSWER_TIMEOUT_MS = 20000;
  const TYPED_INTO = "input:not([type=checkbox]):not([type=radio]), select, textarea";
  const TYPED = "input[type=text], input[type=search], input[type=number], textarea";
  const SCROLLED = "pre, .gearjobs-scroll, .module";
  const TICKED = "input[type=checkbox], input[type=radio]";

  const bar = document.getElementById("gearjobs-refresh");
  let failures = 0;
  let timer = 0;
  let isFetching = false;
  let isWanted = true;
  let isPressed = false;
  let updatedAt = new Date();
  let says = null;
  let announces = null;

  const region = () => document.getElementById(REGION_ID);
  const intervalMs = () => Number(region()?.dataset.refreshMs || 0);

  function isInUse() {
    const here = region();
    if (here === null) return false;
    const selection = document.getSelection();
    if (selection && !selection.isCollapsed && here.contains(selection.anchorNode)) return true;
    const active = document.activeElement;
    if (isPressed || (here.contains(active) && active.matches(TYPED_INTO))) return true;
    // What was typed and not sent yet would be lost.
    return [...here.querySelectorAll(TYPED)].some((one) => one.value !== one.defaultValue);
  }

  function plan() {
    clearTimeout(timer);
    if (intervalMs() > 0 && isWanted && !document.hidden) {
      timer = setTimeout(refresh, Math.min(intervalMs() * 2 ** failures, LONGEST_WAIT_MS));
    }
  }

  async function refresh() {
    if (isFetching || isInUse()) {
      plan();
      return;
    }
    isFetching = true;
    try {
      const answer = await fetch(location.href, {
        credentials: "same-origin",
        headers: { "X-Requested-With": "XMLHttpRequest" },
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById(REGION_ID);
      // A redirect to the login page has no such region.
      if (!answer.ok || fresh === null) throw new Error(`no region in the answer, status ${answer.status}`);
      // Whoever began to use it meanwhile, or wants it to stand still, keeps what they see.
      if (isWanted && !isInUse()) {
        swap(document.adoptNode(fresh));
        updatedAt = new Date();
      }
      failures = 0;
    } catch (error) {
      console.warn("gearjobs: the page was not refreshed:", error);
      failures += 1;
    } finally {
      isFetching = false;
    }
    tell();
    plan();
  }

  function swap(fresh) {
    const old = region();
    if (old.innerHTML === fresh.innerHTML && old.dataset.refreshMs === fresh.dataset.refreshMs) return;
    const scrolled = [...old.querySelectorAll(SCROLLED)].map((one) => [one.scrollLeft, one.scrollTop]);
    const focused = old.contains(document.activeElement) ? nameOf(document.activeElement) : null;
    keep(old, fresh, "details[id]", "id", "open");
    keep(old, fresh, TICKED, "name", "checked");
    const said = announced(old);
    old.replaceWith(fresh);
    fresh.querySelectorAll(SCROLLED).forEach((one, place) => {
      [one.scrollLeft, one.scrollTop] = scrolled[place] || [0, 0];
    });
    if (focused !== null) find(fresh, focused)?.focus({ preventScroll: true });
    if (announces !== null && announced(fresh) !== said) announces.textContent = announced(fresh);
  }

  /* What the reader did to elements goes on in those that take their place. */
  function keep(old, fresh, selector, name, property) {
    const state = new Map();
    for (const one of old.querySelectorAll(selector)) state.set(`${one[name]} ${one.value || ""}`, one[property]);
    for (const one of fresh.querySelectorAll(selector)) {
      const before = state.get(`${one[name]} ${one.value || ""}`);
      if (before !== undefined) one[property] = before;
    }
  }

  function nameOf(element) {
    const attributes = ["id", "href", "name", "value", "aria-label"].map((name) => element.getAttribute(name) || "");
    const form = element.closest("form");
    const subject = form?.querySelector("input[name=function], input[name=target]")?.value || "";
    return JSON.stringify([element.tagName, ...attributes, form?.getAttribute("action") || "", subject]);
  }

  function find(fresh, wanted) {
    const candidates = fresh.querySelectorAll("a[href], button, input, summary, [tabindex]");
    return [...candidates].find((one) => nameOf(one) === wanted);
  }

  function announced(where) {
    return [...where.querySelectorAll("[data-announce]")].map((one) => one.textContent.trim()).join(" ");
  }

  function tell() {
    if (says === null) return;
    const isStale = failures > 0;
    bar.classList.toggle("gearjobs-stale", isStale);
    bar.hidden = intervalMs() === 0 && !isStale;
    says.textContent = `${isStale ? bar.dataset.stale : bar.dataset.updated} ${updatedAt.toLocaleTimeString()}`;
  }

  function build() {
    const box = document.createElement("input");
    const label = document.createElement("label");
    box.type = "checkbox";
    box.checked = true;
    box.addEventListener("change", () => { isWanted = box.checked; if (isWanted) refresh(); else clearTimeout(timer); });
    label.append(box, ` ${bar.dataset.label}`);
    says = document.createElement("span");
    announces = document.createElement("span");
    announces.className = "visually-hidden";
    announces.setAttribute("role", "status");
    announces.setAttribute("aria-live", "polite");
    bar.replaceChildren(label, says, announces);
    tell();
  }

  if (bar === null || intervalMs() === 0) return;
  build();
  document.addEventListener("pointerdown", (event) => { isPressed = Boolean(region()?.contains(event.target)); });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { isPressed = false; });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (isWanted) refresh();
  });
  plan();
})();
