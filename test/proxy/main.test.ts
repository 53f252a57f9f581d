import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { call, poll, RawClient, startHttp } from "./rig.js";

const PROGRAM = fileURLToPath(new URL("./proxy-process.js", import.meta.url));

async function startProcess(t: Test, config: object = {}): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(PROGRAM, [JSON.stringify({ log: { level: "silent" }, ...config })], {
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  const [ready] = await once(child, "message");
  t.match(ready, { type: "ready", address: { host: "127.0.0.1", port: Number } });
  return { child, port: (ready as { address: { port: number } }).address.port };
}

async function exitOf(child: ChildProcess): Promise<unknown> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode ?? child.signalCode;
}

t.test("SIGTERM lets a request in flight finish and the process ends with 0", async (t) => {
  let finish = () => {};
  const upstream = await startHttp(t, (_req, res) => {
    res.write("half");
    finish = () => res.end("whole");
  });
  const { child, port } = await startProcess(t, {
    discovery: { static: [{ name: "m", url: `http://127.0.0.1:${upstream.port}` }] },
  });
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until("half");
  child.kill("SIGTERM");
  await t.rejects(
    poll(() => child.exitCode !== null, "an early end", 200),
    "it waits",
  );
  finish();
  await client.until("whole");
  t.equal(await exitOf(child), 0);
});

t.test("a second signal forces the end with 1", async (t) => {
  const upstream = await startHttp(t, (_req, res) => res.write("half"));
  const { child, port } = await startProcess(t, {
    discovery: { static: [{ name: "m", url: `http://127.0.0.1:${upstream.port}` }] },
  });
  const client = new RawClient(t, port).send("GET /models/m/x HTTP/1.1\r\nHost: h\r\n\r\n");
  await client.until("half");
  child.kill("SIGTERM");
  await poll(() => client.isClosed || child.exitCode === null, "the drain");
  await t.rejects(
    poll(() => child.exitCode !== null, "an early end", 100),
    "it waits",
  );
  child.kill("SIGTERM");
  t.equal(await exitOf(child), 1);
});

t.test("metrics are exchanged with the supervisor in both directions, and its end is the child's end", async (t) => {
  const { child, port } = await startProcess(t);
  child.send({ type: "metrics-get", id: 7 });
  const [own] = await once(child, "message");
  t.match(own, { type: "metrics", id: 7, metrics: Array });
  const scraped = call(`http://127.0.0.1:${port}/metrics`);
  const [asked] = (await once(child, "message")) as [{ type: string; id: number }];
  t.match(asked, { type: "metrics-all" });
  child.send({ type: "metrics-all", id: asked.id, text: "of_all 3\n" });
  t.equal((await scraped).body, "of_all 3\n");
  child.disconnect();
  t.equal(await exitOf(child), 1);
});
