/** The command against the real thing: `sluice serve`, a real model server, real notes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { DATA_FOLDER, readNotes } from "../helpers/notes.js";
import { startSluice } from "../helpers/sluice.js";
import { runSluice } from "./programs/run-sluice.js";

const server = await startGazetteer(t, { args: ["--train-doc-ms", "5"] });
// The last test leaves a slow call behind; stopping need not wait for it.
const sluice = await startSluice(t, {
  config: { discovery: { static: [{ name: "m", url: server.url }] }, proxy: { timeouts: { drain: "500ms" } } },
});
const env = { SLUICE_URL: sluice.url };
const files = ["--config", sluice.configFile, "--data-dir", sluice.dataDir];
const sluiceSays = async (...args: string[]) => {
  const ended = await runSluice(args, { env });
  t.equal(ended.code, 0, ended.stderr);
  return ended.stdout.toString();
};

t.test("a note handed in comes back as the model server itself answers it", async (t) => {
  const note = (await readNotes())[0]!.text;
  const straight = await fetch(`${server.url}/process`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: note,
  });
  const ended = await runSluice(["submit", "m", "process", "-"], { input: note, env });
  t.equal(ended.code, 0, ended.stderr);
  t.equal(ended.stdout.toString(), await straight.text());
});

t.test("a file of notes is annotated into a file", async (t) => {
  const output = join(t.testdir(), "entities.json");
  const input = join(DATA_FOLDER, "sample_texts.json");
  t.equal(await sluiceSays("submit", "m", "process_bulk", input, "--output", output), "");
  const texts = JSON.parse(readFileSync(input, "utf8")) as string[];
  const entities = JSON.parse(readFileSync(output, "utf8")) as { text: string }[];
  t.same(
    entities.map((each) => each.text),
    texts,
  );
});

t.test("a training runs from a form, and its page shows in the list", async (t) => {
  const id = (
    await sluiceSays("submit", "m", "train_supervised", join(DATA_FOLDER, "trainer_export.json"), "--no-wait")
  ).trim();
  t.match(JSON.parse(await sluiceSays("tasks", "wait", id)), { run: { run_name: id } });
  t.match(JSON.parse(await sluiceSays("tasks", "show", id, "--json")), {
    uuid: id,
    status: "succeeded",
    class: "training",
  });
  const listed = JSON.parse(await sluiceSays("tasks", "list", ...files, "--class", "training", "--json")) as unknown[];
  t.match(listed, [{ uuid: id, type: "train_supervised" }]);
  t.match(await sluiceSays("tasks", "list", ...files), `${id}\tsucceeded\tm\ttrain_supervised\t`);
});

t.test("a task that the model server refuses ends with 1 and the server's words", async (t) => {
  const ended = await runSluice(["submit", "m", "process_bulk", "-"], { input: "not JSON", env });
  t.equal(ended.code, 1);
  t.match(ended.stderr, /^sluice: task [0-9a-f-]+ failed \(\w+\): /);
  t.match(ended.stderr, "request id: ");
});

t.test("a waiter lives through the death of the sidecar", async (t) => {
  const slow = await fetch(`${sluice.url}/models/m/process_bulk`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async", "x-misbehave": "delay=1500" },
    body: '["kidney failure"]',
  });
  const { uuid } = (await slow.json()) as { uuid: string };
  const waiter = runSluice(["tasks", "wait", uuid], { env });
  const restarted = sluice.nextEvent("restarted");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
  const ended = await waiter;
  t.equal(ended.code, 0, ended.stderr);
  t.match(ended.stdout.toString(), "kidney failure");
});

t.test("models are listed, and unknown ones are refused with Sluice's words", async (t) => {
  t.match(await sluiceSays("models"), /^m\trunning\t/);
  const ended = await runSluice(["submit", "nobody", "process", "-"], { input: "x", env });
  t.equal(ended.code, 1);
  t.match(ended.stderr, /'nobody' is not available/);
});

t.test("a waiting task is cancelled; its waiter ends with 1", async (t) => {
  const blocker = await fetch(`${sluice.url}/models/m/process_bulk`, {
    method: "POST",
    headers: { "content-type": "application/json", prefer: "respond-async", "x-misbehave": "delay=20000" },
    body: "[]",
  });
  t.equal(blocker.status, 202);
  const id = (
    await sluiceSays("submit", "m", "process_bulk", join(DATA_FOLDER, "sample_texts.json"), "--no-wait")
  ).trim();
  const waiter = runSluice(["tasks", "wait", id], { env });
  t.equal(await sluiceSays("tasks", "cancel", id), `Task ${id} is cancelled.\n`);
  const ended = await waiter;
  t.equal(ended.code, 1);
  t.match(ended.stderr, `task ${id} failed (cancelled)`);
});
