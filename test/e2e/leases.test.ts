/** Promise 4 against real processes: whatever is asked to stop while it is used goes on until it is used no more. */
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { WebSocket } from "ws";
import type { ModelEntry } from "../../core/contract/models.js";
import { createHttpClient } from "../../core/runtime/http.js";
import { startSluice } from "../helpers/sluice.js";
import { isAlive } from "../sidecar/models/support.js";
import { Random } from "../simulation/random.js";
import { training } from "./training-rig.js";

const GAZETTEER = fileURLToPath(new URL("../../examples/gazetteer/main.js", import.meta.url));

/** At SIGTERM it cuts at once whatever is open: a stop at the wrong moment is seen by a caller. */
function entryOf(name: string) {
  const flags = ["--port", "{port}", "--name", "{name}", "--misbehave", "--grace-ms", "0", "--train-doc-ms", "100"];
  return { name, command: [process.execPath, GAZETTEER, ...flags] };
}

async function startRig(t: Test, models: readonly string[], dataDir?: string) {
  const config = {
    discovery: { process: models.map(entryOf), docker: { enabled: false as const } },
    models: { concurrency: 4 },
    proxy: { workers: 2 },
  };
  const sluice = await startSluice(t, { config, ...(dataDir === undefined ? {} : { dataDir }) });
  const http = createHttpClient({ socketPath: join(sluice.dataDir, "sidecar.sock") });
  t.teardown(() => http.close());
  const post = async (path: string) => {
    const answer = await http.call({ method: "POST", origin: "http://sidecar", path, headersTimeoutMs: 60_000 });
    return (await answer.body.json()) as unknown;
  };
  return {
    sluice,
    /** Resolves once the route table says so. */
    showsDraining: async (name: string) => {
      const { body } = await http.call({ method: "GET", origin: "http://sidecar", path: "/internal/routes" });
      body.on("error", () => {});
      let text = "";
      await new Promise<void>((resolve) =>
        body.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
          const tables = text
            .split("\n")
            .slice(0, -1)
            .map((line) => JSON.parse(line) as { models?: ModelEntry[] });
          const found = tables.flatMap(({ models = [] }) => models).find((each) => each.state === "draining");
          if (found?.name === name) resolve();
        }),
      );
    },
    ensure: async (name: string) => (await post(`/internal/models/${name}/ensure?wait_ms=20000`)) as ModelEntry,
    stop: async (name: string, waitMs: number): Promise<"stopped" | "held"> => {
      const answer = await post(`/internal/models/${name}/stop?wait_ms=${waitMs}`);
      const { error } = answer as { error?: { code: string } };
      if (error === undefined) return "stopped";
      if (error.code === "MODEL_IN_USE") return "held";
      throw new Error(error.code);
    },
  };
}

t.setTimeout(120_000);

const NOTE = "Patient with kidney failure, seen on 3 May 2024.";

/** @returns what is wrong, or null */
type Use = (base: string, random: Random) => Promise<string | null>;

async function whole(url: string, init: RequestInit): Promise<string | null> {
  const answer = await fetch(url, init).catch((cause: Error) => cause);
  if (answer instanceof Error) return `${url}: ${answer.message}`;
  const text = await answer.text().catch((cause: Error) => cause);
  if (text instanceof Error) return `${url}: cut after ${answer.status}`;
  return answer.status === 200 && text !== "" ? null : `${url}: ${answer.status} ${text.slice(0, 200)}`;
}

const plain = { "content-type": "text/plain" };
const json = { "content-type": "application/json" };

const USES: Readonly<Record<string, Use>> = {
  light: (base, random) =>
    whole(`${base}/process`, {
      method: "POST",
      body: NOTE,
      headers: { ...plain, "x-misbehave": `delay=${random.whole(0, 120)}` },
    }),
  slow: (base) =>
    whole(`${base}/process`, { method: "POST", body: NOTE, headers: { ...plain, "x-misbehave": "slow-body=10" } }),
  gated: (base) => whole(`${base}/process_jsonl`, jsonLines()),
  queued: (base) =>
    whole(`${base}/process_bulk`, { method: "POST", body: JSON.stringify([NOTE, NOTE]), headers: json }),
  socket: (base, random) => converse(`${base.replace("http", "ws")}/stream/ws`, random.whole(0, 150)),
};

function jsonLines(): RequestInit {
  const body = [1, 2].map((each) => JSON.stringify({ name: `${each}`, text: NOTE })).join("\n");
  return { method: "POST", body, headers: { "content-type": "application/x-ndjson" } };
}

async function converse(url: string, holdMs: number): Promise<string | null> {
  const socket = new WebSocket(url);
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  try {
    await once(socket, "open");
    await new Promise((resolve) => setTimeout(resolve, holdMs));
    socket.send(NOTE);
    const answered = await Promise.race([once(socket, "message").then(() => null), closed]);
    if (answered !== null) return `${url}: closed with ${answered}`;
    socket.close(1000);
    return (await closed) === 1000 ? null : `${url}: ended oddly`;
  } catch (cause) {
    return `${url}: ${(cause as Error).message}`;
  }
}

const { sluice, ensure, stop, showsDraining } = await startRig(t, ["a", "b"]);

t.test("models that are asked to stop at random moments are stopped, and no request fails", async (t) => {
  const seed = Number(process.env.LEASES_SEED ?? Date.now() % 1_000_000);
  t.comment(`seed ${seed}`);
  const random = new Random(seed);
  const failures: string[] = [];
  let isOver = false;
  const client = async (uses: number) => {
    for (let each = 0; each < uses; each++) {
      const use = USES[random.pick(Object.keys(USES))]!;
      const failure = await use(`${sluice.url}/models/${random.pick(["a", "b"])}`, random);
      if (failure !== null) failures.push(failure);
      await new Promise((resolve) => setTimeout(resolve, random.whole(0, 400)));
    }
  };
  const results = { stopped: 0, held: 0 };
  const stopper = async (name: string) => {
    while (!isOver) {
      results[await stop(name, random.whole(0, 400))] += 1;
      await new Promise((resolve) => setTimeout(resolve, random.whole(0, 120)));
    }
  };
  const stoppers = [stopper("a"), stopper("b")];
  await Promise.all(Array.from({ length: 5 }, () => client(8)));
  isOver = true;
  await Promise.all(stoppers);
  t.strictSame(failures, []);
  const starts = sluice.lines.filter((line) => line.includes('"model_ready"')).length;
  t.comment(`${results.stopped} stopped, ${results.held} held, ${starts} times ready`);
  t.ok(results.stopped > 2, `${results.stopped} stops`);
  t.ok(starts > 2, "and started again");
});

t.test("a drain that is waited for when the sidecar is killed is forgotten, and the server is used on", async (t) => {
  t.equal(await stop("a", 10_000), "stopped", "both proxies have told by then that they use it no more");
  const { serverId } = await ensure("a");
  const [silent] = sluice.pids().proxies;
  process.kill(silent!, "SIGSTOP");
  const restarted = sluice.nextEvent("restarted");
  // The silent one does not acknowledge, so the drain goes on.
  const stopping = stop("a", 20_000).catch(() => "the sidecar is gone");
  await showsDraining("a");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  t.equal(await stopping, "the sidecar is gone");
  process.kill(silent!, "SIGCONT");
  await restarted;
  t.equal(await USES.light!(`${sluice.url}/models/a`, new Random(1)), null);
  t.equal((await ensure("a")).serverId, serverId, "the same process");
  t.equal(await stop("a", 0), "held", "proxies of the former sidecar may use it");
});

t.test("a proxy that is killed holds what it may have had open; requests go on through the others", async (t) => {
  const { serverId } = await ensure("a");
  const socket = new WebSocket(`${sluice.url.replace("http", "ws")}/models/a/stream/ws`);
  await once(socket, "open");
  const cut = once(socket, "close");
  // Both, since nobody knows which of them has the socket.
  for (const pid of sluice.pids().proxies) {
    const restarted = sluice.nextEvent("restarted");
    process.kill(pid, "SIGKILL");
    await restarted;
  }
  await cut;
  t.equal(await stop("a", 100), "held");
  t.equal(await USES.slow!(`${sluice.url}/models/a`, new Random(1)), null);
  t.equal((await ensure("a")).serverId, serverId, "the same process");
});

t.test("an accepted training keeps its model server through a stop and a start of Sluice", async (t) => {
  const first = await startRig(t, ["a"]);
  const { dataDir } = first.sluice;
  const submitted = await fetch(`${first.sluice.url}/models/a/tasks/train_supervised?test_size=0`, training(60));
  const { uuid } = (await submitted.json()) as { uuid: string };
  const { serverId } = await first.ensure("a");
  const statusOf = async (url: string, waitSeconds: number) =>
    ((await (await fetch(`${url}/tasks/${uuid}?detail=true&wait=${waitSeconds}`)).json()) as { status: string }).status;
  while ((await statusOf(first.sluice.url, 0)) !== "running") await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await first.stop("a", 100), "held");
  const left = first.sluice.nextEvent("model_left_running");
  t.equal(await first.sluice.stop(), 0);
  t.match(await left, { model: "a", reason: /training/ });
  t.ok(isAlive(Number(serverId!.replace("process-", ""))), "it lives on");

  const second = await startRig(t, ["a"], dataDir);
  t.equal((await second.ensure("a")).serverId, serverId, "and is found again");
  t.equal(await second.stop("a", 0), "held");
  t.equal(await statusOf(second.sluice.url, 30), "succeeded");
  t.equal(await second.sluice.stop(), 0);
  t.notOk(isAlive(Number(serverId!.replace("process-", ""))), "unheld, it ends with Sluice");
});
