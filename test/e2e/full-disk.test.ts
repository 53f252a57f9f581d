/** Promise 8 with the disk full: clear refusals, an unharmed light path, nothing lost or sent twice, and healing without a restart. */
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import t, { type Test } from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { requireOrSkip } from "../helpers/services.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";
import { mountSmallDisk } from "../helpers/small-disk.js";

/** Above what stands in the database, and far above what is left on a full disk. */
const BIG_ANSWER = Buffer.alloc(300_000, "answer ");
const SMALL_ANSWER = Buffer.alloc(60_000, "answer ");
/** Long enough for every pause of the sidecar to pass twice. */
const FULL_FOR_MS = 2_500;

interface SlowServer {
  readonly url: string;
  /** Calls that were answered or wait for it, by path. */
  readonly calls: Map<string, number>;
  arrived(path: string): Promise<void>;
  /** Lets every call be answered. */
  answer(): void;
}

/** Holds what it is asked until the test says so. */
async function startSlowServer(t: Test): Promise<SlowServer> {
  const calls = new Map<string, number>();
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const arrivals = new Map<string, () => void>();
  const server = http.createServer((req, res) => {
    const path = new URL(req.url ?? "", "http://model").pathname;
    if (req.method === "GET") return void res.end("{}");
    calls.set(path, (calls.get(path) ?? 0) + 1);
    req.resume().once("end", async () => {
      arrivals.get(path)?.();
      await opened;
      res.end(path === "/process_bulk" ? BIG_ANSWER : SMALL_ANSWER);
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const arrived = (path: string) =>
    new Promise<void>((resolve) => {
      if ((calls.get(path) ?? 0) > 0) resolve();
      else arrivals.set(path, resolve);
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls, arrived, answer: open };
}

function submit({ url }: RunningSluice, model: string, task: string, body: string | Buffer): Promise<Response> {
  const headers = { "content-type": task === "process_bulk" ? "application/json" : "text/plain" };
  return fetch(`${url}/models/${model}/tasks/${task}`, { method: "POST", headers, body });
}

async function uuidOf(answer: Response): Promise<string> {
  return ((await answer.json()) as { uuid: string }).uuid;
}

async function statusOf({ url }: RunningSluice, uuid: string, waitSeconds: number): Promise<string> {
  const answer = await fetch(`${url}/tasks/${uuid}?wait=${waitSeconds}`);
  return ((await answer.json()) as { status: string }).status;
}

async function refusal(t: Test, answer: Response): Promise<void> {
  const { error } = (await answer.json()) as { error: { code: string; hint: string } };
  t.equal(answer.status, 507);
  t.equal(error.code, "DISK_FULL");
  t.match(error.hint, /Free space/);
  t.ok(Number(answer.headers.get("retry-after")) > 0, "it says when to come back");
}

async function lightWorks(t: Test, { url }: RunningSluice): Promise<void> {
  const startedAt = performance.now();
  const live = await fetch(`${url}/livez`);
  t.equal(live.status, 200);
  t.ok(performance.now() - startedAt < 1_000, "alive within 1 s");
  const headers = { "content-type": "text/plain" };
  const light = await fetch(`${url}/models/m/process`, { method: "POST", headers, body: "3 March 2021" });
  t.equal(light.status, 200, await light.text());
}

t.test("with the disk full work is refused clearly, what runs keeps its result, and space heals it", async (t) => {
  const disk = await mountSmallDisk(t, 8);
  if (!requireOrSkip(t, "a disk to fill", typeof disk === "string" ? disk : null) || typeof disk === "string") return;
  const gazetteer = await startGazetteer(t);
  const slow = await startSlowServer(t);
  const sluice = await startSluice(t, {
    dataDir: `${disk.path}/data`,
    config: {
      discovery: {
        static: [
          { name: "m", url: gazetteer.url },
          { name: "slow", url: slow.url, concurrency: 2 },
        ],
        docker: { enabled: false },
      },
    },
  });
  const big = await uuidOf(await submit(sluice, "slow", "process_bulk", '["a note"]'));
  const small = await uuidOf(await submit(sluice, "slow", "process", "a note"));
  const waiting = await uuidOf(await submit(sluice, "slow", "process", "another note"));
  await Promise.all([slow.arrived("/process_bulk"), slow.arrived("/process")]);

  disk.fill();
  await refusal(t, await submit(sluice, "m", "process_bulk", Buffer.alloc(400_000, "x")));
  // The database's log may have room for a few small ones more.
  let refused = await submit(sluice, "m", "process", "x".repeat(20_000));
  for (let more = 0; more < 400 && refused.status === 200; more++)
    refused = await submit(sluice, "m", "process", "x".repeat(20_000));
  await refusal(t, refused);
  await lightWorks(t, sluice);
  slow.answer();
  await pause(FULL_FOR_MS);
  await lightWorks(t, sluice);
  const failures = sluice.lines.filter((line) => line.includes('"level":"error"')).length;
  t.ok(failures < 60, `${failures} errors logged: nothing fails as fast as it can`);
  t.notOk(["succeeded", "failed"].includes(await statusOf(sluice, big, 0)), "a result is not final before it is kept");

  const { pid } = sluice;
  const { sidecar } = sluice.pids();
  disk.free();
  for (const uuid of [big, small, waiting]) t.equal(await statusOf(sluice, uuid, 15), "succeeded");
  t.same([slow.calls.get("/process_bulk"), slow.calls.get("/process")], [1, 2], "nothing was sent twice");
  const result = Buffer.from(await (await fetch(`${sluice.url}/tasks/${big}?download=true`)).arrayBuffer());
  t.equal(hashOf(result), hashOf(BIG_ANSWER));
  const again = await submit(sluice, "m", "process", "3 March 2021");
  t.equal(await statusOf(sluice, await uuidOf(again), 15), "succeeded");
  t.same([sluice.pid, sluice.pids().sidecar], [pid, sidecar], "without a restart");
});

function hashOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
