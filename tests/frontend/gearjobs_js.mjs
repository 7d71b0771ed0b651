// What `watch` of gearjobs.js does against sites of every kind. Run by test_gearjobs_js.py, by `node --test`; the module
// comes as GEARJOBS_JS. The site is a real HTTP server; each test says how it answers.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { afterEach, beforeEach, test } from "node:test";

const { limits, watch, WatchError } = await import(process.env.GEARJOBS_JS);
const DEADLINE_MS = 10_000;

Object.assign(limits, { held: 2, firstByte: 300, silence: 400, answer: 2000, least: 1, gather: 20, backOff: 10, longest: 50 });

/** A site with one way to answer each path, which keeps count. */
class Site {
  asked = [];
  routes = {};
  open = new Set();

  async start() {
    this.server = createServer((request, response) => {
      const url = new URL(request.url, "http://site");
      const path = url.pathname.replace("/api/jobs/", "");
      this.asked.push({ path, query: url.searchParams, headers: request.headers });
      this.open.add(response);
      response.on("close", () => this.open.delete(response));
      const times = this.asked.filter((one) => one.path === path).length;
      const route = this.routes[path] ?? ((_, answer) => tell(answer, 404, { detail: "Not found." }));
      route(request, response, times, url.searchParams);
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.jobs = `http://127.0.0.1:${this.server.address().port}/api/jobs/`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  paths() {
    return this.asked.map((one) => one.path + (one.query.has("wait") ? "?wait" : ""));
  }
}

function tell(response, status, body, headers = {}) {
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(status === 304 ? undefined : JSON.stringify(body));
}

function job(version, detail = "running", more = {}) {
  const status = { succeeded: "SUCCESSFUL", failed: "FAILED", running: "RUNNING" }[detail] ?? "READY";
  return { id: "H:1", version, status, status_detail: detail, progress: null, poll_after_ms: 5, links: {}, ...more };
}

function progress(percent, message = "") {
  return { progress: { numerator: percent, denominator: 100, percent, message } };
}

/** Answers with the job at each time it is asked, the last one for ever. */
function asks(...jobs) {
  return (_, response, times) => {
    const now = jobs[Math.min(times, jobs.length) - 1];
    tell(response, 200, now, { ETag: `"${now.version}"`, ...(times > 1 ? { "Preference-Applied": "wait=20" } : {}) });
  };
}

function streams(...chunks) {
  return (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const chunk of chunks) response.write(chunk);
    response.end();
  };
}

function event(name, id, body) {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(body)}\n\n`;
}

function noStreams(_, response) {
  tell(response, 200, { results: [], since: 0 });
}

/** Remembers what is told of a job, in order. */
function notes() {
  const told = [];
  return {
    told,
    onstatus: (now) => told.push(now.status_detail),
    onprogress: (now) => now && told.push(now.percent),
    ondata: (value) => told.push(value),
    onwarning: (value) => told.push(`! ${value}`),
    onend: (now) => told.push(`end ${now.status_detail}`),
    ontrouble: (error) => told.push(`trouble ${error.status ?? ""}`),
    onfail: (error) => told.push(`fail ${error.status}`),
  };
}

async function eventually(look, what) {
  for (const ends = Date.now() + DEADLINE_MS; Date.now() < ends; await new Promise((go) => setTimeout(go, 5))) {
    if (look()) return;
  }
  assert.fail(`did not come: ${what}`);
}

let site;
let watched;

beforeEach(async () => {
  site = new Site();
  await site.start();
  watched = [];
});

afterEach(() => {
  for (const one of watched) one.stop();
  delete globalThis.document;
  site.stop();
});

function watching(path = "H:1/", options = {}) {
  const one = watch(site.jobs + path, options);
  watched.push(one);
  return one;
}

test("a job that has ended is asked for once", async () => {
  site.routes["H:1/"] = asks(job(3, "succeeded", { result: 7 }));
  const heard = notes();
  delete heard.ondata;
  delete heard.onwarning;

  const ended = await watching("H:1/", heard).ended;

  assert.equal(ended.result, 7);
  assert.deepEqual(heard.told, ["succeeded", "end succeeded"]);
  assert.deepEqual(site.paths(), ["H:1/"]);
});

test("a stream is followed to its end, and the result is read then", async () => {
  site.routes["H:1/"] = asks(job(1, "waiting"), job(4, "succeeded", { result: "done" }));
  site.routes["H:1/events/"] = streams(
    "retry: 2000\n\n",
    event("status", "2.0", job(2)),
    ": still here\n\n",
    event("progress", "3.0", job(3, "running", progress(40))),
    event("data", "3.1", { kind: "data", sequence: 1, value: { row: 1 } }),
    event("warning", "3.2", { kind: "warning", sequence: 2, value: "slow" }),
    event("end", "4.2", job(4, "succeeded")),
  );
  site.routes["H:1/events/"] = piecewise(site.routes["H:1/events/"]);
  const heard = notes();

  // The list of output, for what the stream did not tell.
  const ended = await watching("H:1/", { ...heard }).ended;

  assert.equal(ended.result, "done");
  assert.deepEqual(heard.told, ["waiting", "running", 40, { row: 1 }, "! slow", "succeeded", "end succeeded"]);
  assert.equal(site.asked[1].headers.accept, "text/event-stream, application/json;q=0.5");
});

/** The list of output where that is asked for, else the stream. */
function piecewise(stream) {
  return (request, response, ...more) => {
    if (request.headers.accept.startsWith("application/json")) noStreams(request, response);
    else stream(request, response, ...more);
  };
}

test("the bytes of a stream may be cut anywhere", async () => {
  const bytes = Buffer.from(event("data", "1.1", { kind: "data", sequence: 1, value: "größer 🐈" }) + event("end", "2.1", job(2, "succeeded")));
  site.routes["H:1/"] = asks(job(1), job(2, "succeeded"));
  site.routes["H:1/events/"] = piecewise(async (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const byte of bytes) {
      response.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    response.end();
  });
  const heard = notes();

  await watching("H:1/", heard).ended;

  assert.deepEqual(heard.told, ["running", "größer 🐈", "succeeded", "end succeeded"]);
});

test("a stream that breaks off goes on from where it was", async () => {
  site.routes["H:1/"] = asks(job(1), job(3, "succeeded"));
  site.routes["H:1/events/"] = (request, response, times) => {
    if (times === 1) streams(event("progress", "2.5", job(2, "running", progress(10))))(request, response);
    else streams(event("end", "3.5", job(3, "succeeded")))(request, response);
  };

  await watching().ended;

  assert.deepEqual(site.asked.filter((one) => one.path === "H:1/events/").map((one) => one.headers["last-event-id"]), [undefined, "2.5"]);
});

for (const [what, answer] of [
  ["that answers with a list", noStreams],
  ["that refuses them", (_, response) => tell(response, 406, { detail: "no streams" })],
  ["behind a proxy that collects them", (_, response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders()],
  ["that does not answer in time", () => {}],
]) {
  test(`a site without streams, ${what}, is asked to wait for news`, async () => {
    site.routes["H:1/"] = (_, response, times) => {
      if (times === 3) return tell(response, 304, null, { "Preference-Applied": "wait=20" });
      return asks(job(1), job(2, "running", progress(50)), job(2), job(3, "failed", { error: { message: "no" } }))(_, response, times);
    };
    site.routes["H:1/events/"] = answer;
    const { ondata, onwarning, ...heard } = notes();

    const ended = await watching("H:1/", heard).ended;

    assert.equal(ended.error.message, "no");
    assert.deepEqual(heard.told, ["running", 50, "failed", "end failed"]);
    assert.deepEqual(site.paths(), ["H:1/", "H:1/events/", "H:1/?wait", "H:1/?wait", "H:1/?wait"]);
    assert.deepEqual(site.asked.slice(2).map((one) => one.headers["if-none-match"]), ['"1"', '"2"', '"2"']);
    assert.equal(site.asked[2].query.get("wait"), "20");
  });
}

test("a site is asked once whether it has streams", async () => {
  for (const name of ["H:1/", "H:2/"]) {
    site.routes[name] = asks(job(1, "running", { id: name.slice(0, 3) }), job(2, "succeeded"));
    site.routes[`${name}events/`] = noStreams;
  }

  await watching("H:1/").ended;
  await watching("H:2/").ended;

  assert.deepEqual(site.paths().filter((path) => path.includes("events")), ["H:1/events/"]);
});

test("data and warnings come without streams, too: each once, and before the end", async () => {
  const pieces = [1, 2, 3].map((sequence) => ({ kind: sequence === 2 ? "warning" : "data", sequence, value: `piece ${sequence}` }));
  site.routes["H:1/"] = asks(job(1), job(2, "running", progress(50)), job(3, "succeeded"));
  site.routes["H:1/events/"] = (request, response, times, query) => {
    const since = Number(query.get("since"));
    const there = request.headers.accept.includes("event-stream") ? [] : pieces.slice(since, since + 2);
    tell(response, 200, { results: there, since });
  };
  const heard = notes();

  await watching("H:1/", heard).ended;

  assert.deepEqual(heard.told, ["running", 50, "piece 1", "! piece 2", "piece 3", "succeeded", "end succeeded"]);
});

test("what has no links is asked itself: a signed link, a status", async () => {
  const plain = (version, detail) => ({ ...job(version, detail), links: undefined });
  site.routes["signed/token/"] = asks(plain(1, "waiting"), plain(2, "running"), plain(3, "succeeded"));
  const heard = notes();

  await watching("signed/token/", heard).ended;

  assert.deepEqual(heard.told, ["waiting", "running", "succeeded", "end succeeded"]);
  assert.deepEqual(site.paths(), ["signed/token/", "signed/token/?wait", "signed/token/?wait"]);
});

test("few requests are held open, and the other jobs share one", async () => {
  let isOver = false;
  let mostStreams = 0;
  const opened = new Set();
  const streaming = () => [...opened].filter((one) => site.open.has(one));
  const now = (id) => (isOver ? job(2, "succeeded", { id }) : job(1, "running", { id }));
  const ids = Array.from({ length: 20 }, (_, number) => `H:${number}`);
  for (const id of ids) {
    site.routes[`${id}/`] = (_, response) => tell(response, 200, now(id));
    site.routes[`${id}/events/`] = (request, response) => {
      if (isOver) return streams(event("end", "2.0", now(id)))(request, response);
      opened.add(response.writeHead(200, { "Content-Type": "text/event-stream" }));
      response.write("retry: 5\n\n");
      mostStreams = Math.max(mostStreams, streaming().length);
    };
  }
  site.routes[""] = (_, response, times, query) => {
    isOver ||= times > 5;
    tell(response, 200, { results: query.get("handle__in").split(",").map(now) });
    if (isOver) for (const one of streaming()) one.end();
  };

  await Promise.all(ids.map((id) => watching(`${id}/`).ended));

  const lists = site.asked.filter((one) => one.path === "").map((one) => one.query);
  assert.equal(mostStreams, 2);
  assert.ok(Math.max(...lists.map((query) => query.get("handle__in").split(",").length)) > 5);
  assert.equal(lists[0].get("fields"), "id,status,status_detail,progress,version,poll_after_ms");
});

test("a job that its list does not have any more is looked for itself", async () => {
  limits.held = 0;
  try {
    site.routes["H:1/"] = (_, response, times) => (times === 1 ? tell(response, 200, job(1)) : tell(response, 404, { detail: "gone" }));
    site.routes[""] = (_, response) => tell(response, 200, { results: [] });
    const heard = notes();

    await assert.rejects(watching("H:1/", heard).ended, (error) => error instanceof WatchError && error.message === "gone");

    assert.deepEqual(heard.told, ["running", "fail 404"]);
  } finally {
    limits.held = 2;
  }
});

test("where as many wait as the site lets, it is not asked without a pause", async () => {
  site.routes["H:1/"] = (_, response, times) => (times === 1 ? tell(response, 200, job(1), { ETag: '"1"' }) : tell(response, 304));
  site.routes["H:1/events/"] = noStreams;
  site.routes[""] = (_, response, times) => tell(response, 200, { results: [job(1, "running", { poll_after_ms: 50 })] });

  watching();
  await eventually(() => site.paths().filter((path) => path === "").length >= 3, "three lists");

  assert.equal(site.paths().filter((path) => path.endsWith("?wait")).length, 1);
});

test("a stream that tells nothing gives way to asking, for as long as it says", async () => {
  site.routes["H:1/"] = asks(job(1), job(2, "succeeded"));
  site.routes["H:1/events/"] = streams("retry: 60000\n\n");
  site.routes[""] = (_, response, times) => tell(response, 200, { results: [job(times < 3 ? 1 : 2, times < 3 ? "running" : "succeeded")] });

  await watching().ended;

  assert.deepEqual(site.paths(), ["H:1/", "H:1/events/", "", "", "", "H:1/"]);
});

test("trouble is told, tried again, and told to be over", async () => {
  site.routes["H:1/"] = (_, response, times) => {
    if (times === 2 || times === 3) return tell(response, 503, { detail: "the queue is down" });
    return tell(response, 200, times < 5 ? job(1) : job(2, "succeeded"), { "Preference-Applied": "wait=20" });
  };
  site.routes["H:1/events/"] = noStreams;
  const { ondata, onwarning, ...heard } = notes();

  await watching("H:1/", heard).ended;

  assert.deepEqual(heard.told, ["running", "trouble 503", "trouble 503", "running", "succeeded", "end succeeded"]);
});

test("a site that says when to come back is not asked before", async () => {
  site.routes["H:1/"] = (_, response, times) => (times === 1 ? tell(response, 429, {}, { "Retry-After": "1" }) : tell(response, 200, job(1, "succeeded")));
  const began = Date.now();

  await watching().ended;

  // Not a second: `limits.longest` bounds it, ten times over.
  assert.ok(Date.now() - began >= 490, `${Date.now() - began} ms`);
});

test("a site that is down is asked again until it is up", async () => {
  const { port } = site.server.address();
  site.stop();
  site.routes["H:1/"] = asks(job(1, "succeeded"));
  const heard = notes();
  delete heard.ondata;
  delete heard.onwarning;

  const one = watching("H:1/", heard);
  await eventually(() => heard.told.length >= 2, "two tries");
  await new Promise((resolve) => site.server.listen(port, "127.0.0.1", resolve));
  await one.ended;

  assert.deepEqual(new Set(heard.told), new Set(["trouble ", "succeeded", "end succeeded"]));
});

for (const status of [401, 403, 404]) {
  test(`an answer of ${status} is final`, async () => {
    site.routes["H:1/"] = (_, response) => tell(response, status, { detail: "no" });

    await assert.rejects(watching().ended, { name: "WatchError", message: "no", status });

    assert.equal(site.asked.length, 1);
  });
}

test("the page to log in by is final", async () => {
  site.routes["H:1/"] = (_, response) => response.writeHead(302, { Location: `${site.jobs}login/` }).end();
  site.routes["login/"] = (_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<form>");

  await assert.rejects(watching().ended, { isFinal: true });
});

test("who stops it is asked for no more, and learns of it", async () => {
  site.routes["H:1/"] = asks(job(1));
  site.routes["H:1/events/"] = (_, response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).write("retry: 5\n\n");
  const stopper = new AbortController();
  const one = watching("H:1/", { signal: stopper.signal });
  await eventually(() => site.asked.length === 2 && site.open.size === 1, "a stream");

  stopper.abort();

  await assert.rejects(one.ended, { name: "AbortError" });
  await eventually(() => site.open.size === 0, "the stream's end");
  assert.equal(site.asked.length, 2);
});

test("a hidden tab asks nothing, and goes on when it is shown", async () => {
  const page = (globalThis.document = Object.assign(new EventTarget(), { hidden: true, baseURI: "http://127.0.0.1/" }));
  site.routes["H:1/"] = asks(job(1), job(2, "succeeded"));
  site.routes["H:1/events/"] = (request, response, times) => {
    if (times > 1) return streams(event("end", "2.0", job(2, "succeeded")))(request, response);
    return response.writeHead(200, { "Content-Type": "text/event-stream" }).write("retry: 5\n\n");
  };
  const show = (hidden) => { page.hidden = hidden; page.dispatchEvent(new Event("visibilitychange")); };
  const heard = notes();
  delete heard.ondata;
  delete heard.onwarning;

  const one = watching("H:1/", heard);
  await new Promise((go) => setTimeout(go, 50));
  assert.deepEqual(site.asked, []);
  show(false);
  await eventually(() => site.open.size === 1 && site.asked.length === 2, "a stream");
  show(true);
  await eventually(() => site.open.size === 0, "no stream");
  show(false);
  await one.ended;

  assert.deepEqual(heard.told, ["running", "succeeded", "end succeeded"]);
});

test("a job does not go back, whatever order its answers come in", async () => {
  site.routes["H:1/"] = asks(job(5, "running", progress(50)), job(6, "succeeded"));
  site.routes["H:1/events/"] = streams(event("progress", "4.0", job(4, "running", progress(10))), event("end", "6.0", job(6, "succeeded")));
  const { ondata, onwarning, ...heard } = notes();

  await watching("H:1/", heard).ended;

  assert.deepEqual(heard.told, ["running", 50, "succeeded", "end succeeded"]);
});

test("a callback that fails does not end it", async () => {
  site.routes["H:1/"] = asks(job(1, "succeeded"));
  const failures = [];
  globalThis.reportError = (error) => failures.push(error.message);

  await watching("H:1/", { onstatus: () => { throw new Error("of the page's"); } }).ended;

  delete globalThis.reportError;
  assert.deepEqual(failures, ["of the page's"]);
});

test("a stream that falls silent is asked for anew", async () => {
  site.routes["H:1/"] = asks(job(1), job(2, "succeeded"));
  site.routes["H:1/events/"] = (request, response, times) => {
    if (times > 1) return streams(event("end", "2.0", job(2, "succeeded")))(request, response);
    return response.writeHead(200, { "Content-Type": "text/event-stream" }).write("retry: 5\n\n");
  };
  const { ondata, onwarning, ...heard } = notes();

  await watching("H:1/", heard).ended;

  assert.deepEqual(heard.told, ["running", "trouble 0", "running", "succeeded", "end succeeded"]);
});
