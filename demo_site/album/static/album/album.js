// Puts the pictures of an album into their places as their jobs end.
//
// How far the jobs are is shown by the bars of gearjobs (<gear-progress>), and said in events of theirs. A finished
// thumbnail brings the address of its image; the last of them names the contact sheet's job.
"use strict";

const pictures = document.getElementById("pictures");
const sheet = document.getElementById("sheet");

function jobUrl(handle) {
  return `${pictures.dataset.jobsUrl}${encodeURIComponent(handle)}/`;
}

function cardOf(event) {
  return event.target.closest(".card");
}

function show(card, status) {
  card.dataset.state = { RUNNING: "running", FAILED: "failed" }[status] ?? "waiting";
  const again = card.querySelector(".again");
  if (again) again.hidden = status !== "FAILED";
  summarise();
}

async function finish(card, result) {
  const image = card.querySelector(".frame img");
  image.src = result.image;
  try {
    await image.decode();
  } catch {
    return show(card, "FAILED");
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
  sheet.querySelector(".work").hidden = false;
  sheet.querySelector(".work .faint")?.remove();
  sheet.querySelector("gear-progress").src = jobUrl(handle);
  const link = document.getElementById("sheet-job");
  link.href = jobUrl(handle);
  link.textContent = handle;
  link.hidden = false;
}

function summarise() {
  const cards = [...pictures.children];
  const count = (state) => cards.filter((card) => card.dataset.state === state).length;
  const failed = count("failed");
  const words = [`${count("ready")} of ${cards.length} ready`];
  if (failed) words.push(`${failed} failed`);
  document.getElementById("summary").textContent = words.join(", ");
}

document.addEventListener("gearjobs:status", (event) => {
  // The end has an event of its own.
  if (event.detail.status !== "SUCCESSFUL") show(cardOf(event), event.detail.status);
});
document.addEventListener("gearjobs:end", (event) => {
  if (event.detail.status === "SUCCESSFUL") finish(cardOf(event), event.detail.result);
});
document.addEventListener("gearjobs:fail", (event) => show(cardOf(event), "FAILED"));
summarise();
