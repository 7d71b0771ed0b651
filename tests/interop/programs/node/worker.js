// A worker on GearmaNode: worker.js HOST PORT PREFIX. What its functions do is told in ../../README.md.
"use strict";

const gearmanode = require("./quiet");

const [host, port, prefix] = process.argv.slice(2);

const worker = gearmanode.worker({ host, port: Number(port) });
worker.on("error", (error) => {
  console.error(String(error));
  process.exit(1);
});
worker.on("jobServerError", (uid, code, text) => console.error(`${code} ${text}`));

// The letters in capitals, every other byte as it is.
function shouted(payload) {
  return payload.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte));
}

worker.addFunction(`${prefix}-shout`, (job) => {
  job.reportStatus(1, 4);
  job.sendWorkData("part");
  job.reportWarning("careful");
  const result = shouted(job.payload);
  // workComplete() makes text of a result by its toString(), and bytes are not text.
  job.workComplete(result.length === 0 ? "" : { toString: () => result });
});
worker.addFunction(`${prefix}-raise`, (job) => job.reportException("it broke"));
worker.addFunction(`${prefix}-refuse`, (job) => job.reportError());
