/*
 * Keeps the region #gearjobs-live of a page up to date: fetches the page again every data-refresh-ms, takes the region of
 * the answer, and puts it in place of the old one. Rests while the tab is hidden, while the reader selects text in the
 * region, and where the checkbox is off; a region without data-refresh-ms (a job that has ended) is final. Nothing here
 * makes HTML: the server does. Without this file the pages work and stand still.
 */
"use strict";

(() => {
  const REGION_ID = "gearjobs-live";
  const LONGEST_WAIT_MS = 60000;
  const ANSWER_TIMEOUT_MS = 20000;

  const bar = document.getElementById("gearjobs-refresh");
  let failures = 0;
  let timer = 0;
  let isFetching = false;
  let isWanted = true;
  let updatedAt = new Date();
  let says = null;

  const region = () => document.getElementById(REGION_ID);
  const intervalMs = () => Number(region()?.dataset.refreshMs || 0);

  function isInUse() {
    const selection = document.getSelection();
    return Boolean(selection && !selection.isCollapsed && region()?.contains(selection.anchorNode));
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
      if (!isInUse()) swap(fresh);
      failures = 0;
      updatedAt = new Date();
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
    const scrolled = [...old.querySelectorAll("pre")].map((one) => one.scrollTop);
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(document.adoptNode(fresh));
    fresh.querySelectorAll("pre").forEach((one, place) => { one.scrollTop = scrolled[place] || 0; });
    if (focused !== null) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
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
    box.addEventListener("change", () => { isWanted = box.checked; plan(); });
    label.append(box, ` ${bar.dataset.label}`);
    says = document.createElement("span");
    bar.append(label, says);
    tell();
  }

  if (bar === null || intervalMs() === 0) return;
  build();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else refresh();
  });
  plan();
})();
