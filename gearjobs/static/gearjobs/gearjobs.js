/*
 * Follows background jobs over the REST API of gearjobs: `watch(url, {...})`. How they are shown is gear_progress.js's.
 *
 * A job's news come as server-sent events where the site streams them (ASGI), else by requests that wait for news (long
 * polling), else by asking as often as the site advises. A browser has six connections to a site under HTTP/1.1, so few
 * requests of a page are held open at a time; the other jobs are asked for together, one request for all of them. Nothing is
 * asked while the tab is hidden, nor after a job has ended. What fails is tried again, later and later; only an answer that
 * says no is final. An ES module without dependencies; docs/frontend.md explains it.
 */

/** What may be changed before the first `watch`. Times in milliseconds, unless they are called seconds. */
export const limits = {
  /** Requests of this page that are held open at the same time; under HTTP/2 and 3 they share a connection. */
  held: /^h[23]/.test(globalThis.performance?.getEntriesByType?.("navigation")[0]?.nextHopProtocol ?? "") ? 20 : 2,
  /** Seconds that a request waits for news, and the least where a proxy does not let it. */
  waitS: 20,
  leastWaitS: 5,
  /** Seconds that it waits where data and warnings are wanted, which are asked for in between. */
  outputWaitS: 2,
  /** Time until a stream's first byte: what comes later is collected by a proxy. Then, the longest silence. */
  firstByte: 5000,
  silence: 45000,
  /** Time for an answer, beyond what it may wait. */
  answer: 15000,
  /** Least time between two answers, and in which requests for several jobs are gathered. */
  least: 250,
  gather: 150,
  /** The first pause after a failure, and the longest. */
  backOff: 1000,
  longest: 30000,
};

const ENDED = new Set(["SUCCESSFUL", "FAILED"]);
/** Answers that say no for now only. */
const NOT_NOW = new Set([408, 425, 429]);
const LINE = "id,status,status_detail,progress,version,poll_after_ms";
/** Jobs in one request, for an address has its limits. */
const GATHERED = 40;

/** A site's refusal, or that it gave no answer that could be understood. */
export class WatchError extends Error {
  name = "WatchError";

  constructor(message, { status = 0, problem = null, isFinal = false, retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, problem, isFinal, retryAfter });
  }
}

/**
 * Follow a job until it has ended.
 *
 * @param {string|URL} url - of the job (`jobs/<id>/`), its status, or a signed link to it.
 * @param {object} [options] - `onstatus(job)`, `onprogress(progress, job)`, `ondata(value, piece)`, `onwarning(value, piece)`,
 *   `onend(job)`, `ontrouble(error)` for what is tried again, `onfail(error)` for what is not; `headers` and `credentials`
 *   of every request, `signal` to stop by, `inHiddenTabs: true` to go on there.
 * @returns {Watching} with `job` (how it stood last), `ended` (a promise of the ended job, with its result or error) and
 *   `stop()`, after which `ended` is rejected with an AbortError.
 */
export function watch(url, options = {}) {
  return new Watching(url, options);
}

let held = 0;
const streamless = new Set();

class Watching {
  job = null;
  #url;
  #options;
  #stopper = new AbortController();
  #tag = null;
  #restsUntil = 0;
  #waitS = limits.waitS;
  #since = 0;
  #position = "";
  #failures = 0;

  constructor(url, options) {
    this.#url = new URL(url, globalThis.document?.baseURI);
    this.#options = options;
    if (options.signal?.aborted) this.stop();
    options.signal?.addEventListener("abort", () => this.stop(), { once: true });
    this.ended = this.#follow();
    // Whoever uses callbacks need not wait for it.
    this.ended.catch(() => {});
  }

  stop() {
    this.#stopper.abort();
  }

  async #follow() {
    const stopped = this.#stopper.signal;
    for (;;) {
      let round = null;
      try {
        round = await this.#whenShown(stopped);
        await this.#round(round.signal);
        if (ENDED.has(this.job.status)) {
          this.#tell("onend", this.job);
          return this.job;
        }
      } catch (error) {
        if (stopped.aborted) throw stopped.reason;
        if (error.isFinal) {
          this.#tell("onfail", error);
          throw error;
        }
        // The tab was hidden: what was under way goes on when it is shown.
        if (round.signal.aborted) continue;
        this.#tell("ontrouble", error);
        const backOff = Math.min(limits.longest, limits.backOff * 2 ** this.#failures++) * (0.75 + Math.random() / 2);
        await pause(error.retryAfter || backOff, stopped);
      } finally {
        round?.close();
      }
    }
  }

  /* Waits until the tab is shown; returns a signal that ends with that, and a way to forget it. */
  async #whenShown(stopped) {
    const page = this.#options.inHiddenTabs ? undefined : globalThis.document;
    while (page?.hidden) await once(page, "visibilitychange", stopped);
    const hidden = new AbortController();
    const look = () => page.hidden && hidden.abort();
    page?.addEventListener("visibilitychange", look);
    return {
      signal: AbortSignal.any([stopped, hidden.signal]),
      close: () => page?.removeEventListener("visibilitychange", look),
    };
  }

  async #round(signal) {
    if (this.job === null) return this.#ask(this.#url, signal);
    if (held >= limits.held || Date.now() < this.#restsUntil) return this.#poll(signal);
    held += 1;
    try {
      // Only the whole of a job has links: beside a status or a signed link there is nothing.
      const isStreaming = this.job.links && !streamless.has(this.#list) && (await this.#stream(signal));
      if (!isStreaming) await this.#wait(signal);
    } finally {
      held -= 1;
    }
  }

  get #list() {
    return new URL("..", this.#url).href;
  }

  #wantsOutput(job = this.job) {
    return Boolean((this.#options.ondata || this.#options.onwarning) && job.links);
  }

  #fetch(url, accept, signal, headers = {}) {
    return globalThis.fetch(url, {
      // The tags are ours: the browser's own copies would hide a 304.
      cache: "no-store",
      credentials: this.#options.credentials ?? "same-origin",
      headers: { Accept: accept, ...headers, ...this.#options.headers },
      signal,
    });
  }

  /* Asks for the job as it stands; returns whether nothing is new, and whether the answer waited for that. */
  async #ask(url, signal, waitS = 0) {
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(waitS * 1000 + limits.answer)]);
    const answer = await this.#fetch(url, "application/json", inTime, this.#tag ? { "If-None-Match": this.#tag } : {});
    const hasWaited = answer.headers.has("Preference-Applied");
    if (answer.status === 304) {
      this.#recover();
      return { isOld: true, hasWaited };
    }
    const job = await bodyOf(answer);
    this.#tag = answer.headers.get("ETag");
    // What it told comes before its end.
    if (ENDED.has(job.status) && this.#wantsOutput(job)) await this.#readOutput(signal, { toItsEnd: true });
    this.#take(job);
    return { isOld: false, hasWaited };
  }

  async #wait(signal) {
    const url = new URL(this.#url);
    const waitS = this.#wantsOutput() ? Math.min(limits.outputWaitS, this.#waitS) : this.#waitS;
    url.searchParams.set("wait", waitS);
    const least = pause(limits.least, signal);
    let told;
    try {
      told = await this.#ask(url, signal, waitS);
    } catch (error) {
      least.catch(() => {});
      // Perhaps something on the way lets no request wait for so long.
      if (!signal.aborted && !(error.status < 500)) this.#waitS = Math.max(limits.leastWaitS, this.#waitS / 2);
      throw error;
    }
    // As many wait as the site lets.
    if (told.isOld && !told.hasWaited) this.#restsUntil = Date.now() + limits.answer;
    if (ENDED.has(this.job.status)) return least.catch(() => {});
    if (this.#wantsOutput()) await this.#readOutput(signal);
    return least;
  }

  async #poll(signal) {
    await pause(Math.min(limits.longest, this.job.poll_after_ms ?? limits.backOff), signal);
    if (!this.job.links) return this.#ask(this.#url, signal);
    const line = await gathered(this.#list, this.job.id, this.#options, signal);
    // One that the list does not have may be gone; its own address says.
    if (line === null || ENDED.has(line.status)) return this.#ask(this.#url, signal);
    this.#take({ ...this.job, ...line });
    if (this.#wantsOutput()) await this.#readOutput(signal);
  }

  /* Reads the job's stream to its end; returns false where the site has none. */
  async #stream(signal) {
    const clock = new Watchdog(limits.firstByte);
    try {
      const both = AbortSignal.any([signal, clock.signal]);
      const headers = this.#position ? { "Last-Event-ID": this.#position } : {};
      // A site without streams answers with a list, which is no failure.
      const accept = "text/event-stream, application/json;q=0.5";
      const answer = await this.#fetch(new URL("events/", this.#url), accept, both, headers);
      if (!answer.ok && answer.status !== 406) throw await refusalOf(answer);
      if (!answer.ok || !answer.headers.get("Content-Type")?.startsWith("text/event-stream")) {
        await answer.body?.cancel();
        streamless.add(this.#list);
        return false;
      }
      await this.#read(answer.body, clock, signal);
      return true;
    } catch (error) {
      if (!clock.signal.aborted || signal.aborted) throw error;
      if (clock.hasBegun) throw new WatchError("the stream fell silent");
      // Something on the way collects what should come at once.
      streamless.add(this.#list);
      return false;
    } finally {
      clock.stop();
    }
  }

  async #read(body, clock, signal) {
    let retry = limits.backOff;
    let hasTold = false;
    this.#recover();
    for await (const event of eventsOf(body, () => clock.begin(limits.silence))) {
      retry = event.retry ?? retry;
      this.#position = event.id ?? this.#position;
      if (event.data === undefined) continue;
      hasTold = true;
      const told = JSON.parse(event.data);
      if (event.name === "end") return this.#ask(this.#url, signal);
      if (event.name === "data" || event.name === "warning") this.#hand(told);
      else this.#take({ ...this.job, ...told });
    }
    // A stream that told nothing: the site has no place for another one.
    if (!hasTold) this.#restsUntil = Date.now() + retry;
  }

  async #readOutput(signal, { toItsEnd = false } = {}) {
    let told;
    do {
      const inTime = AbortSignal.any([signal, AbortSignal.timeout(limits.answer)]);
      const url = new URL(`events/?since=${this.#since}`, this.#url);
      told = await bodyOf(await this.#fetch(url, "application/json", inTime));
      for (const piece of told.results) this.#hand(piece);
    } while (toItsEnd && told.results.length > 0);
  }

  #hand(piece) {
    if (piece.sequence <= this.#since) return;
    this.#since = piece.sequence;
    this.#tell(piece.kind === "warning" ? "onwarning" : "ondata", piece.value, piece);
  }

  /* Says again how the job stands, after trouble. */
  #recover() {
    if (this.#failures > 0 && this.job !== null) this.#tell("onstatus", this.job);
    this.#failures = 0;
  }

  #take(job) {
    const before = this.job;
    this.#recover();
    // Answers may overtake one another; a job never goes back.
    if (before !== null && (job.version < before.version || ENDED.has(before.status))) return;
    this.job = job;
    const hasMoved = JSON.stringify(job.progress ?? null) !== JSON.stringify(before?.progress ?? null);
    if (job.status_detail !== before?.status_detail) this.#tell("onstatus", job);
    if (hasMoved) this.#tell("onprogress", job.progress, job);
  }

  #tell(name, ...what) {
    try {
      this.#options[name]?.(...what);
    } catch (error) {
      // A fault of the page's is not one of the site's.
      (globalThis.reportError ?? console.error)(error);
    }
  }
}

/* Ends a request whose answer stays away, or falls silent. */
class Watchdog {
  hasBegun = false;
  #ender = new AbortController();
  #timer;

  constructor(time) {
    this.#timer = setTimeout(() => this.#ender.abort(), time);
  }

  get signal() {
    return this.#ender.signal;
  }

  begin(time) {
    this.stop();
    this.hasBegun = true;
    this.#timer = setTimeout(() => this.#ender.abort(), time);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

const gatherings = new Map();

/* Asks for a job together with whatever else is asked for now; returns its line of the list, or null. */
function gathered(list, id, { headers = {}, credentials = "same-origin" }, signal) {
  const key = JSON.stringify([list, headers, credentials]);
  if (!gatherings.has(key) || gatherings.get(key).ids.size >= GATHERED) gatherings.set(key, gathering(key));
  const { ids, lines } = gatherings.get(key);
  ids.add(id);
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    lines.then((found) => resolve(found.get(id) ?? null), reject);
  });
}

function gathering(key) {
  const ids = new Set();
  const lines = pause(limits.gather).then(async () => {
    if (gatherings.get(key)?.ids === ids) gatherings.delete(key);
    const [list, headers, credentials] = JSON.parse(key);
    const query = new URLSearchParams({ handle__in: [...ids].join(","), fields: LINE });
    const answer = await globalThis.fetch(`${list}?${query}`, {
      cache: "no-store",
      credentials,
      headers: { Accept: "application/json", ...headers },
      signal: AbortSignal.timeout(limits.answer),
    });
    return new Map((await bodyOf(answer)).results.map((line) => [line.id, line]));
  });
  // Whoever waits for it hears of its failure.
  lines.catch(() => {});
  return { ids, lines };
}

async function bodyOf(answer) {
  if (!answer.ok) throw await refusalOf(answer);
  const isJson = /\bjson\b/.test(answer.headers.get("Content-Type") ?? "");
  // A page after a redirect is the one to log in by.
  if (!isJson) throw new WatchError("the site answered with something else", { status: answer.status, isFinal: answer.redirected });
  return answer.json();
}

async function refusalOf(answer) {
  const problem = await answer.json().catch(() => null);
  const { status } = answer;
  const retryAfter = Math.min(Number(answer.headers.get("Retry-After") || 0) * 1000 || 0, 10 * limits.longest);
  const isFinal = status >= 400 && status < 500 && !NOT_NOW.has(status);
  return new WatchError(problem?.detail || `the site answered ${status}`, { status, problem, isFinal, retryAfter });
}

async function* eventsOf(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      alive();
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      for (const block of blocks) yield eventOf(block);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function eventOf(block) {
  const event = {};
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "event") event.name = value;
    if (name === "id") event.id = value;
    if (name === "retry") event.retry = Number(value) || undefined;
    if (name === "data") event.data = event.data === undefined ? value : `${event.data}\n${value}`;
  }
  return event;
}

function pause(time, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const give = () => { clearTimeout(timer); reject(signal.reason); };
    const timer = setTimeout(() => { signal?.removeEventListener("abort", give); resolve(); }, time);
    signal?.addEventListener("abort", give, { once: true });
  });
}

function once(target, name, signal) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    target.addEventListener(name, resolve, { once: true, signal });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
