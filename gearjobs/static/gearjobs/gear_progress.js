/*
 * <gear-progress src="...">: a job's progress, live. The template tag `gear_progress` makes one that shows how the job
 * stands without this script; this lets it go on. The parts that it finds in itself are filled in, so that a page may lay
 * them out as it likes; an empty element gets them. It says what comes as events that bubble: `gearjobs:status`,
 * `gearjobs:progress`, `gearjobs:end`, `gearjobs:trouble` and `gearjobs:fail`. Put into a page later, by htmx or by a
 * script, it works as well; taken out, it asks nothing any more. A new `src` is a new job.
 *
 * Only texts are set, never HTML: a worker may say whatever it likes.
 */

const PARTS = ["percent", "message", "state"];

class GearProgress extends HTMLElement {
  static observedAttributes = ["src"];
  #watching = null;
  #followed = null;

  connectedCallback() {
    this.#begin();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#begin();
  }

  disconnectedCallback() {
    this.#end();
  }

  get src() {
    return this.getAttribute("src") ?? "";
  }

  set src(url) {
    this.setAttribute("src", url);
  }

  #end() {
    this.#watching?.stop();
    this.#watching = this.#followed = null;
  }

  async #begin() {
    const src = this.getAttribute("src");
    if (src === this.#followed) return;
    this.#end();
    if (!src) return;
    this.#followed = src;
    if (this.querySelector("progress") === null) this.#build();
    // Where files have the hash of their content in their names, only the server knows how the module is called.
    const { watch } = await import(this.dataset.module ?? "./gearjobs.js");
    if (this.#followed !== src || this.#watching !== null) return;
    this.#watching = watch(src, {
      onstatus: (job) => { this.#show(job); this.#say("status", job); },
      onprogress: (_, job) => { this.#show(job); this.#say("progress", job); },
      onend: (job) => { this.#show(job); this.#say("end", job); },
      ontrouble: (error) => { this.#write("state", this.#word("trouble")); this.#say("trouble", error); },
      onfail: (error) => {
        this.dataset.state = "unknown";
        this.#write("state", this.#word("unknown"));
        this.#say("fail", error);
      },
    });
  }

  #build() {
    const bar = document.createElement("progress");
    bar.max = 100;
    this.append(bar);
    for (const part of PARTS) {
      const place = document.createElement("span");
      place.dataset.part = part;
      if (part === "state") place.setAttribute("role", "status");
      this.append(" ", place);
    }
  }

  #show(job) {
    const percent = job.status === "SUCCESSFUL" ? 100 : job.progress?.percent ?? null;
    const bar = this.querySelector("progress");
    this.dataset.state = job.status_detail;
    // A bar without a value says that nobody knows how long it takes.
    if (percent !== null) bar.value = percent;
    else if (job.status === "RUNNING") bar.removeAttribute("value");
    else bar.value = 0;
    this.#write("percent", percent === null ? "" : `${Math.floor(percent)}%`);
    this.#write("message", job.error ? failureOf(job.error) : job.progress?.message ?? "");
    this.#write("state", this.#word(job.status_detail));
  }

  #write(part, text) {
    const place = this.querySelector(`[data-part="${part}"]`);
    // What is written again would be read out again.
    if (place !== null && place.textContent !== text) place.textContent = text;
  }

  #word(state) {
    return JSON.parse(this.dataset.words ?? "{}")[state] ?? state.replaceAll("_", " ");
  }

  #say(name, detail) {
    this.dispatchEvent(new CustomEvent(`gearjobs:${name}`, { bubbles: true, detail }));
  }
}

function failureOf(error) {
  return [error.class?.split(".").pop(), error.message].filter(Boolean).join(": ");
}

if (!customElements.get("gear-progress")) customElements.define("gear-progress", GearProgress);
