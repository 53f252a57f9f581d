import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { eventually, isRunning, RunningServe } from "./programs/running-serve.js";

const PROGRAM = fileURLToPath(new URL("./programs/serve.js", import.meta.url));

function start(t: Test, { args = [] as string[], env = {}, dataDir = folder(t), port = "0" } = {}) {
  const running = new RunningServe(PROGRAM, ["serve", "--data-dir", dataDir, "--port", port, ...args], env);
  t.teardown(() => running.end());
  return { running, dataDir };
}

/** A data folder with a short path: a Unix socket's path has at most 107 bytes, which t.testdir() with a sentence in it exceeds. */
function folder(t: Test, files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), "sluice-"));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

async function body(url: string): Promise<string> {
  const [response] = await once(get(url, { agent: false }), "response");
  let text = "";
  for await (const chunk of response) text += chunk;
  return text;
}

const serves = (url: string) =>
  body(url).then(
    () => true,
    () => false,
  );

t.test("says once, on one line, that it is ready and where", async (t) => {
  const { running } = start(t);
  const ready = await running.ready();
  t.match(ready, { event: "ready", url: /^http:\/\/127\.0\.0\.1:\d+$/, pid: running.child.pid });
  t.equal(ready.pids.proxies.length, 1);
  t.match(running.lines[0], { event: "stand-in-following" }, "not before the proxy knows the models");
  t.equal(JSON.parse(await body(ready.url)).pid, ready.pids.proxies[0]);
  await eventually(() => running.stderr.includes("Ctrl-C"), "the words for a person");
  t.match(running.stderr, `localhost:${new URL(ready.url).port}/models/gazetteer/process`);
  await running.end();
  t.equal(running.count("ready"), 1);
});

t.test("several proxies share one free port", async (t) => {
  const dataDir = folder(t, { "sluice.yaml": "proxy: { workers: 2 }\n" });
  const { running } = start(t, { dataDir, args: ["--config", join(dataDir, "sluice.yaml")] });
  const ready = await running.ready();
  t.equal(new Set(ready.pids.proxies).size, 2);
  const answered = new Set<number>();
  await eventually(async () => {
    const pids = await Promise.all(
      Array.from({ length: 8 }, async () => JSON.parse(await body(ready.url)).pid as number),
    );
    for (const pid of pids) answered.add(pid);
    return answered.size === 2;
  }, "both proxies answer");
  t.same([...answered].sort(), [...ready.pids.proxies].sort());
});

for (const which of ["sidecar", "proxy"] as const) {
  t.test(`a ${which} that is killed is started again, on the same port`, async (t) => {
    const { running } = start(t);
    const ready = await running.ready();
    const victim = which === "sidecar" ? ready.pids.sidecar : ready.pids.proxies[0]!;
    process.kill(victim, "SIGKILL");
    const restarted = await running.line((line) => line.event === "restarted", 5_000);
    t.equal(restarted.which, which);
    t.not(which === "sidecar" ? restarted.pids.sidecar : restarted.pids.proxies[0], victim);
    t.ok(await serves(ready.url), "serves again under the same address");
    t.match(
      await body(`${ready.url}/metrics`),
      `sluice_restarts_total{part="${which === "proxy" ? "proxy-1" : which}"} 1`,
    );
    t.equal(running.count("ready"), 1);
  });
}

t.test("a child that hangs at its start is killed and started again", async (t) => {
  const dataDir = folder(t);
  const env = { STAND_IN: `sidecar-hang-once=${join(dataDir, "hung")}`, STAND_IN_START_TIMEOUT_MS: "4000" };
  const { running } = start(t, { env, dataDir });
  await running.ready();
  t.ok(running.lines.some((line) => line.event === "start-timeout"));
});

t.test("a child that says why it cannot start ends everything with that reason", async (t) => {
  const { running, dataDir } = start(t, { env: { STAND_IN: "sidecar-refuse" } });
  t.same(await running.exited, { code: 1, signal: null });
  t.match(running.stderr, "the sidecar cannot start: the stars are wrong");
  t.throws(() => readFileSync(join(dataDir, "serve.lock")), "nothing holds the folder");
});

t.test("a child that dies at every start ends everything after a few tries", async (t) => {
  const { running } = start(t, { env: { STAND_IN: "proxy-die-at-start" } });
  t.same(await running.exited, { code: 1, signal: null });
  t.match(running.stderr, "the proxy-1 cannot start: it ended with exit code 7");
  t.equal(running.count("died"), 2);
});

t.test("SIGTERM lets the proxies finish before the sidecar stops, and ends with 0", async (t) => {
  const { running } = start(t);
  const ready = await running.ready();
  const [response] = await once(get(`${ready.url}/slow`, { agent: false }), "response");
  running.child.kill("SIGTERM");
  let text = "";
  for await (const chunk of response) text += chunk;
  t.equal(text, "begun done", "the request in flight was answered whole");
  t.same(await running.exited, { code: 0, signal: null });
  const stopping = running.lines.filter((line) => line.event === "stand-in-stopping").map((line) => line.part);
  t.same(stopping, ["proxy", "sidecar"]);
  t.notOk(isRunning(ready.pids.sidecar));
  t.notOk(isRunning(ready.pids.proxies[0]!));
});

t.test("children that do not end are killed at the bound", async (t) => {
  const dataDir = folder(t, { "sluice.yaml": "proxy: { timeouts: { drain: 0 } }\n" });
  const env = { STAND_IN: "proxy-slow-stop" };
  const { running } = start(t, { dataDir, env, args: ["--config", join(dataDir, "sluice.yaml")] });
  const ready = await running.ready();
  running.child.kill("SIGTERM");
  t.same(await running.exited, { code: 0, signal: null });
  t.ok(running.lines.some((line) => line.event === "stop-timeout"));
  t.notOk(isRunning(ready.pids.proxies[0]!));
});

t.test("a second signal kills what still drains and ends with 1", async (t) => {
  const { running } = start(t, { env: { STAND_IN: "proxy-slow-stop,sidecar-slow-stop" } });
  const ready = await running.ready();
  running.child.kill("SIGTERM");
  await running.line((line) => line.event === "stand-in-stopping");
  running.child.kill("SIGTERM");
  t.same(await running.exited, { code: 1, signal: null });
  t.notOk(isRunning(ready.pids.sidecar));
  t.notOk(isRunning(ready.pids.proxies[0]!));
});

t.test("SIGHUP reaches the sidecar and nothing restarts", async (t) => {
  const { running } = start(t);
  const ready = await running.ready();
  running.child.kill("SIGHUP");
  await running.line((line) => line.event === "stand-in-reloaded");
  t.ok(isRunning(ready.pids.sidecar));
  t.equal(running.count("restarted"), 0);
});

t.test("when the supervisor is killed its children end and a new one serves the same folder and port", async (t) => {
  const { running, dataDir } = start(t);
  const ready = await running.ready();
  running.child.kill("SIGKILL");
  await running.exited;
  const beganMs = Date.now();
  const { running: next } = start(t, { dataDir, port: new URL(ready.url).port });
  t.equal((await next.ready(5_000)).url, ready.url);
  t.comment(`served again after ${Date.now() - beganMs} ms`);
  t.notOk(isRunning(ready.pids.sidecar));
  t.notOk(isRunning(ready.pids.proxies[0]!));
});

t.test("a port that is taken is named at once, with how to choose another", async (t) => {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  t.teardown(() => holder.close());
  const { port } = holder.address() as AddressInfo;
  const { running } = start(t, { port: String(port) });
  t.same(await running.exited, { code: 1, signal: null });
  t.match(running.stderr, `cannot listen on 127.0.0.1:${port}: port ${port} is taken`);
  t.match(running.stderr, "--port");
  t.equal(running.lines.length, 0, "nothing was started");
});

t.test("a second serve on one data folder is refused, and the first goes on", async (t) => {
  const { running, dataDir } = start(t);
  const ready = await running.ready();
  const { running: second } = start(t, { dataDir });
  t.same(await second.exited, { code: 1, signal: null });
  t.match(second.stderr, `is in use by process ${running.child.pid}`);
  t.ok(await serves(ready.url));
});

t.test("a data folder that cannot be made is said, with what to do", async (t) => {
  const dataDir = join(folder(t, { file: "" }), "file", "data");
  const { running } = start(t, { dataDir });
  t.same(await running.exited, { code: 1, signal: null });
  t.match(running.stderr, `the data folder ${dataDir} cannot be used: ENOTDIR`);
  t.match(running.stderr, "--data-dir");
});

t.test("of several started at the same moment on a stale lock exactly one serves", async (t) => {
  const dataDir = folder(t, { "serve.lock": JSON.stringify({ pid: 2 ** 22 + 1, startTime: "1", url: null }) });
  const all = Array.from({ length: 4 }, () => start(t, { dataDir }).running);
  const ends = await Promise.all(
    all.map((each) =>
      Promise.race([each.ready().then(() => "serves"), each.exited.then(({ code }) => `exit ${code}`)]),
    ),
  );
  t.same(ends.sort(), ["exit 1", "exit 1", "exit 1", "serves"]);
});

t.test("metrics of all parts come as one text, and of those that live when one is gone", async (t) => {
  const dataDir = folder(t, { "sluice.yaml": "proxy: { workers: 2 }\n" });
  const env = { STAND_IN: "sidecar-slow-stop" };
  const { running } = start(t, { dataDir, env, args: ["--config", join(dataDir, "sluice.yaml")] });
  const ready = await running.ready();
  for (let request = 0; request < 5; request++) await body(ready.url);
  const text = await body(`${ready.url}/metrics`);
  t.match(text, "stand_in_requests_total 6", "summed over the proxies");
  t.match(text, "stand_in_sidecar 1");
  t.match(text, 'sluice_up{part="proxy-2"} 1');
  process.kill(ready.pids.sidecar, "SIGSTOP");
  t.teardown(() => isRunning(ready.pids.sidecar) && process.kill(ready.pids.sidecar, "SIGKILL"));
  const without = await body(`${ready.url}/metrics`);
  t.match(without, "stand_in_requests_total 7");
  t.notMatch(without, "stand_in_sidecar");
});
