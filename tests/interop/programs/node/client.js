// A client on GearmaNode: client.js HOST PORT PREFIX. What it says is told in ../../README.md.
"use strict";

const { once } = require("node:events");
const gearmanode = require("./quiet");

const [host, port, prefix] = process.argv.slice(2);

function fail(why) {
  console.error(String(why));
  process.exit(1);
}

// Runs a function in the foreground and says what is heard of it.
function run(client, name) {
  const job = client.submitJob(`${prefix}-${name}`, "hello", { toStringEncoding: "utf8" });
  job.on("status", (status) => console.log(`status ${status.percent_done_num}/${status.percent_done_den}`));
  job.on("workData", (data) => console.log(`data ${data}`));
  job.on("warning", (warning) => console.log(`warning ${warning}`));
  return new Promise((resolve) => {
    job.on("complete", () => resolve(`complete ${job.response}`));
    job.on("exception", (text) => resolve(`exception ${text}`));
    job.on("failed", () => resolve("fail"));
  });
}

async function main() {
  const client = gearmanode.client({ host, port: Number(port) });
  client.on("error", fail);
  client.on("socketError", (uid, error) => fail(error));
  client.on("jobServerError", (uid, code, text) => fail(`${code} ${text}`));
  const server = client.jobServers[0];
  server.setOption("exceptions");
  await once(server, "option");
  for (const name of ["shout", "raise", "refuse"]) {
    console.log(await run(client, name));
  }

  const job = client.submitJob(`${prefix}-shout`, "hello", { background: true });
  await once(job, "created");
  console.log(`background ${job.handle}`);
  for (let isKnown = true; isKnown; ) {
    job.getStatus();
    const [status] = await once(job, "status");
    isKnown = status.known;
  }
  console.log("ended");
  client.close();
}

main().catch(fail);
