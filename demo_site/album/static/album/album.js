// Shows how far the jobs of an album are.
//
// Every element with data-job is followed by asking REST for its job, as often as the answer says (poll_after_ms, else
// Retry-After). A finished thumbnail brings the address of its image; the last of them names the contact sheet's job.
// Nothing is asked while the tab is hidden.
"use strict";

const RETRY_MS = 2000;
const RETRY_LIMIT_MS = 15000;
const ENDED = new Set(["SUCCESSFUL", "FAILED"]);

const pictures = document.getElementById("pictures");
const sheet = document.getElementById("sheet");
const jobsUrl = pictures.dataset.jobsUrl;

function jobUrl(handle) {
  return `${jobsUrl}${encodeURIComponent(handle)}/`;
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function whenVisible() {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
}

async function ask(handle) {
  const answer = await fetch(jobUrl(handle), { headers: { Accept: "application/json" } });
  if (answer.status >= 500) throw new Error(`the site answered ${answer.status}`);
  const job = await answer.json();
  const pollMs = job.poll_after_ms || Number(answer.headers.get("Retry-After")) * 1000 || 1000;
  return { status: answer.status, job, pollMs };
}

async function follow(card) {
  const handle = card.dataset.job;
  let retryMs = RETRY_MS;
  while (card.dataset.job === handle) {
    await whenVisible();
    let answer;
    try {
      answer = await ask(handle);
      retryMs = RETRY_MS;
    } catch {
      say(card, "the site does not answer; asking again");
      await pause(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_LIMIT_MS);
      continue;
    }
    if (answer.status === 404) return fail(card, "nothing is known of this job");
    if (answer.status !== 200) return fail(card, `not allowed to see the job (${answer.status})`);
    show(card, answer.job);
    if (ENDED.has(answer.job.status)) return;
    await pause(answer.pollMs);
  }
}

function say(card, words) {
  card.querySelector(".state").textContent = words;
}

function fail(card, words) {
  card.dataset.state = "failed";
  say(card, words);
  const again = card.querySelector(".again");
  if (again) again.hidden = false;
  summarise();
}

function show(card, job) {
  if (job.status === "SUCCESSFUL") return finish(card, job.result);
  if (job.status === "FAILED") return fail(card, failureOf(job));
  const isRunning = job.status === "RUNNING";
  card.dataset.state = isRunning ? "running" : "waiting";
  const progress = job.progress || {};
  card.querySelector("progress").value = progress.percent || 0;
  say(card, isRunning ? progress.message || "starting" : "waiting for a worker");
}

function failureOf(job) {
  const error = job.error || {};
  const name = (error.class || "").split(".").pop();
  return [name, error.message].filter(Boolean).join(": ") || job.status_detail || "failed";
}

async function finish(card, result) {
  card.querySelector("progress").value = 100;
  say(card, "loading the picture");
  const image = card.querySelector(".frame img");
  image.src = result.image;
  try {
    await image.decode();
  } catch {
    fail(card, "the picture is made, but could not be loaded");
    return;
  }
  image.hidden = false;
  card.dataset.state = "ready";
  card.querySelector(".work").hidden = true;
  if (card === sheet) {
    const frame = card.querySelector(".frame");
    frame.href = result.image;
    frame.hidden = false;
  } else if (result.contact_sheet_job) {
    followSheet(result.contact_sheet_job);
  }
  summarise();
}

function followSheet(handle) {
  if (sheet.dataset.job === handle) return;
  sheet.dataset.job = handle;
  sheet.dataset.state = "waiting";
  sheet.querySelector("progress").value = 0;
  sheet.querySelector(".work").hidden = false;
  const link = document.getElementById("sheet-job");
  link.href = jobUrl(handle);
  link.textContent = handle;
  link.hidden = false;
  follow(sheet);
}

function summarise() {
  const cards = [...pictures.children];
  const count = (state) => cards.filter((card) => card.dataset.state === state).length;
  const failed = count("failed");
  const words = [`${count("ready")} of ${cards.length} ready`];
  if (failed) words.push(`${failed} failed`);
  document.getElementById("summary").textContent = words.join(", ");
}

summarise();
for (const card of pictures.querySelectorAll("[data-job]")) follow(card);
if (sheet.dataset.job && sheet.dataset.state !== "ready") follow(sheet);
