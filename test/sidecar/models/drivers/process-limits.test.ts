import { spawn } from "node:child_process";
import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../../core/runtime/clock.js";
import { limitsOf } from "../../../../sidecar/models/drivers/limits.js";
import { watchMemory } from "../../../../sidecar/models/drivers/memory-watch.js";
import { ProcessDriver } from "../../../../sidecar/models/drivers/process.js";
import { ProcessGroup, readProcess } from "../../../../sidecar/models/drivers/process-table.js";
import { configOf, folderOf, isAlive, keepLog, until } from "../support.js";

const LIMIT_BYTES = 200 * 2 ** 20;
const GREEDY = "const kept = []; setInterval(() => kept.length < 100 && kept.push(Buffer.alloc(8e6, 1)), 5)";
/** Its child takes the memory, not the leader. */
const GREEDY_CHILD = `require("node:child_process").spawn(process.execPath, ["-e", ${JSON.stringify(GREEDY)}]); setInterval(() => {}, 1000)`;

function driverOf(t: Test, script: string, limits: { memory?: string; cpus?: string }) {
  const { discovery } = configOf({
    discovery: { process: [{ name: "m", command: [process.execPath, "-e", script] }] },
  });
  const { logger, lines } = keepLog();
  const driver = new ProcessDriver({
    name: "m",
    entry: discovery.process[0]!,
    limits: limitsOf({ resources: { limits } }),
    dataDir: join(folderOf(t), "data"),
    clock: systemClock,
    logger,
  });
  const exits: string[] = [];
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await driver.stop(Date.now());
  });
  return { driver, exits, lines, onExit: (cause: string) => void exits.push(cause) };
}

t.test("a process that takes more memory than it may is ended, and the cause says so", async (t) => {
  const { driver, exits, onExit } = driverOf(t, GREEDY, { memory: "200m" });
  await driver.start(onExit);
  await until(() => exits.length > 0, "its end");
  t.strictSame(exits, ["ran out of memory (limit 200 MiB)"]);
});

t.test("what it starts counts too, and goes with it", async (t) => {
  const { driver, exits, onExit } = driverOf(t, GREEDY_CHILD, { memory: "200m" });
  const { id } = await driver.start(onExit);
  await until(() => exits.length > 0, "its end");
  t.strictSame(exits, ["ran out of memory (limit 200 MiB)"]);
  t.notOk(isAlive(Number(id.replace("process-", ""))));
});

t.test("one that was found again is held to its limit as well", async (t) => {
  const later = `setTimeout(() => {${GREEDY}}, 1500)`;
  const first = driverOf(t, later, {});
  await first.driver.start(first.onExit);
  const second = driverOf(t, later, { memory: "200m" });
  t.ok(await second.driver.adopt(second.onExit));
  await until(() => second.exits.length > 0, "its end");
  t.strictSame(second.exits, ["ran out of memory (limit 200 MiB)"]);
});

t.test("memory that processes share is counted once", async (t) => {
  // Forked shells share their parent's pages.
  const script =
    "x=$(head -c 30000000 /dev/zero | tr '\\\\0' a); for i in 1 2 3 4 5 6 7; do (sleep 30; : \"$x\") & done; wait";
  const child = spawn("bash", ["-c", script], { detached: true, stdio: "ignore" });
  const pid = child.pid!;
  const group = new ProcessGroup({ pid, startTime: readProcess(pid)!.startTime, runId: "none" });
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await group.end(0);
  });
  await until(() => group.pids().length >= 8, "the forks");
  let isTold = false;
  const stop = watchMemory({ group, limitBytes: LIMIT_BYTES / 2, clock: systemClock, onExcess: () => (isTold = true) });
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  stop();
  t.notOk(isTold, "eight processes, one piece of memory");
});

t.test("within its limit a server is left alone, and an unheeded limit of processors is told once", async (t) => {
  const { driver, exits, lines, onExit } = driverOf(t, "setInterval(() => {}, 1000)", { memory: "1g", cpus: "0.5" });
  await driver.start(onExit);
  await driver.stop(Date.now());
  t.match(exits, [/^was killed by SIGKILL, by somebody or for want of memory/]);
  await driver.start(onExit);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  t.equal(exits.length, 1);
  t.equal(lines.filter(({ message }) => message.includes("processors")).length, 1);
});

t.test("a followed log ends with the run", async (t) => {
  const { driver, onExit } = driverOf(t, "console.log('one'); setTimeout(() => console.log('two'), 300)", {});
  await driver.start(onExit);
  const log = await driver.logs({ tail: 10, follow: true, signal: new AbortController().signal });
  let text = "";
  for await (const chunk of log) text += String(chunk);
  t.equal(text, "one\ntwo\n");
});
