import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import type { ModelEntry } from "../../../core/contract/models.js";
import { modelFolder, readRecord, writeRecord } from "../../../sidecar/models/drivers/process-record.js";
import { bootId, readProcess } from "../../../sidecar/models/drivers/process-table.js";
import { command, folderOf, isAlive, linesOf, startCatalogue, until } from "./support.js";

const OWNER = fileURLToPath(new URL("./owner.js", import.meta.url));
const WAIT_MS = 20_000;

/** Has a catalogue in another process start the model, then kills that process. The model's server lives on. */
async function leaveBehind(t: Test, config: ConfigInput): Promise<{ entry: ModelEntry; pid: number; dataDir: string }> {
  const dataDir = join(folderOf(t), "data");
  const owner = spawn(process.execPath, [OWNER, dataDir, JSON.stringify(config), "m"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const entry = JSON.parse(String(await new Promise((resolve) => owner.stdout!.once("data", resolve)))) as ModelEntry;
  await kill(owner);
  const { pid } = (await readRecord(modelFolder(dataDir, "m")))!;
  t.teardown(() => isAlive(pid!) && process.kill(pid!, "SIGKILL"));
  return { entry, pid: pid!, dataDir };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

function configFor(t: Test, ...switches: string[]): ConfigInput {
  const starts = join(folderOf(t), "starts");
  return { discovery: { process: [{ name: "m", command: command("--starts", starts, ...switches) }] } };
}

t.test("a model server outlives its killed sidecar, and the next one finds it, watches it and stops it", async (t) => {
  const config = configFor(t);
  const { entry, pid, dataDir } = await leaveBehind(t, config);
  t.equal((await fetch(`${entry.url}/healthz`)).status, 200, "light requests flow on meanwhile");
  const { catalogue, lines } = await startCatalogue(t, config, dataDir);
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready", url: entry.url });
  t.equal(linesOf(join(folderOf(t), "starts")).length, 1, "it was not started again");
  t.match(
    lines.find(({ event }) => event === "model_adopted"),
    { pid },
  );
  await catalogue.stop(Date.now() + 5_000);
  t.notOk(isAlive(pid));
  t.notOk(existsSync(join(modelFolder(dataDir, "m"), "process.json")));
});

t.test("the death of a server that was found again is noticed, and the next request starts a new one", async (t) => {
  const config = configFor(t);
  const { pid, dataDir } = await leaveBehind(t, config);
  const { catalogue } = await startCatalogue(t, config, dataDir);
  await catalogue.ensureReady("m", WAIT_MS);
  process.kill(pid, "SIGKILL");
  await until(() => catalogue.get("m")?.state === "absent", "absent");
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
  t.equal(linesOf(join(folderOf(t), "starts")).length, 2);
});

t.test("a server whose command has changed is ended before the new one is started", async (t) => {
  const { pid, dataDir } = await leaveBehind(t, configFor(t, "--ignore-term"));
  const { catalogue } = await startCatalogue(t, configFor(t, "--ready-after", "1"), dataDir);
  const began = Date.now();
  await t.rejects(catalogue.ensureReady("m", 100), { code: "MODEL_NOT_READY" });
  t.ok(Date.now() - began < 10_000, "who waits shortly is told shortly");
  t.equal(linesOf(join(folderOf(t), "starts")).length, 1, "the new one waits for the old one's end");
  process.kill(pid, "SIGKILL");
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" });
  t.equal(linesOf(join(folderOf(t), "starts")).length, 2);
});

t.test("a server that is no longer configured is ended", async (t) => {
  const { pid, dataDir } = await leaveBehind(t, configFor(t));
  await startCatalogue(t, {}, dataDir);
  await until(() => !isAlive(pid), "its end");
  await until(() => !existsSync(join(modelFolder(dataDir, "m"), "process.json")), "its record's removal");
});

t.test("a start that was cut off before its number was written down is found by its run id", async (t) => {
  const config = configFor(t);
  const { entry, pid, dataDir } = await leaveBehind(t, config);
  const folder = modelFolder(dataDir, "m");
  const record = (await readRecord(folder))!;
  await writeRecord(folder, { ...record, pid: null, start_time: null });
  const { catalogue } = await startCatalogue(t, config, dataDir);
  t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready", url: entry.url });
  await until(async () => (await readRecord(folder))?.pid === pid, "its number");
  t.equal(linesOf(join(folderOf(t), "starts")).length, 1);
});

t.test("a number that now belongs to another process is never signalled", async (t) => {
  const stranger = spawn(process.execPath, ["-e", "setInterval(()=>{},1000)"], { stdio: "ignore", detached: true });
  t.teardown(() => stranger.kill("SIGKILL"));
  const row = await until(() => readProcess(stranger.pid!), "the stranger");
  const dataDir = join(folderOf(t), "data");
  const record = {
    version: 1,
    run_id: randomUUID(),
    pid: row.pid,
    port: 1,
    command_hash: "x",
    model_uri: null,
  } as const;
  const cases = {
    "another start time": { ...record, start_time: String(Number(row.startTime) - 1), boot_id: bootId() },
    "another start of the machine": { ...record, start_time: row.startTime, boot_id: "another" },
    "no start time": { ...record, start_time: null, boot_id: bootId() },
  };
  for (const [name, each] of Object.entries(cases)) {
    await writeRecord(modelFolder(dataDir, "m"), each);
    const { catalogue } = await startCatalogue(t, configFor(t), dataDir);
    t.match(await catalogue.ensureReady("m", WAIT_MS), { state: "ready" }, name);
    await catalogue.stop(Date.now() + 5_000);
    t.ok(isAlive(stranger.pid!), `${name}: the stranger lives`);
  }
});

t.test("a record that cannot be understood is removed", async (t) => {
  const dataDir = join(folderOf(t), "data");
  const path = join(modelFolder(dataDir, "gone"), "process.json");
  mkdirSync(modelFolder(dataDir, "gone"), { recursive: true });
  writeFileSync(path, "{ half");
  await startCatalogue(t, {}, dataDir);
  await until(() => !existsSync(path), "its removal");
});
