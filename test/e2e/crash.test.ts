/** Promise 1 and 2 under `kill -9` of every process, with a thousand tasks in flight. */
import { setTimeout as pause } from "node:timers/promises";
import t from "tap";
import { createHttpClient } from "../../core/runtime/http.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";

const TASKS = 1_000;
const CONCURRENT = 50;

t.test("kill -9 of any process: each of 1,000 tasks reaches one final state, none is lost", async (t) => {
  let server = await startGazetteer(t);
  const config = {
    discovery: { static: [{ name: "m", url: server.url, concurrency: 4 }], docker: { enabled: false as const } },
    proxy: { workers: 2 },
  };
  let sluice = await startSluice(t, { config });
  const { port, dataDir } = sluice;

  const killing = (async () => {
    for (const victim of ["sidecar", "proxy", "model", "sidecar", "supervisor", "proxy"] as const) {
      await pause(400);
      if (victim === "model") {
        server.kill("SIGKILL");
        await server.exited;
        server = await startGazetteer(t, { port: server.port, requestLog: server.requestLog });
      } else if (victim === "supervisor") {
        process.kill(sluice.pid, "SIGKILL");
        await sluice.exited;
        // It is up when this resolves; how soon is shown where nothing else runs, in restart.test.ts.
        sluice = await startSluice(t, { config, dataDir, port });
      } else {
        const restarted = sluice.nextEvent("restarted");
        process.kill(victim === "sidecar" ? sluice.pids().sidecar : sluice.pids().proxies[0]!, "SIGKILL");
        await restarted;
      }
    }
  })();

  const uuids = await submitAll(`http://127.0.0.1:${port}`);
  await killing;
  t.equal(new Set(uuids).size, TASKS, "each submission is one task, however often it had to be sent");

  const finals = await Promise.all(uuids.map((uuid) => finalStatus(`http://127.0.0.1:${port}`, uuid)));
  t.equal(finals.length, TASKS);
  t.equal(
    finals.filter((each) => each.status === "succeeded").length,
    TASKS,
    JSON.stringify(finals.find((each) => each.status === "failed")),
  );

  const stored = await storedTasks(sluice);
  t.equal(stored.length, TASKS, "and there is no task that nobody was told of");
  const sent = new Map<string, number>();
  for (const { requestId } of await server.requests())
    if (requestId !== null) sent.set(requestId, (sent.get(requestId) ?? 0) + 1);
  t.ok(
    stored.every((each) => (sent.get(each.request_id) ?? 0) >= 1),
    "each was sent at least once",
  );
});

/** Submits every task, with a key, again and again until it is acknowledged: what a careful client does. */
async function submitAll(base: string): Promise<string[]> {
  const uuids: string[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: CONCURRENT }, async () => {
      while (next < TASKS) {
        const number = next++;
        uuids.push(await submitOne(base, number));
        await pause(20);
      }
    }),
  );
  return uuids;
}

async function submitOne(base: string, number: number): Promise<string> {
  const endMs = Date.now() + 60_000;
  for (;;) {
    try {
      const answer = await fetch(`${base}/models/m/tasks/process`, {
        method: "POST",
        headers: { "content-type": "text/plain", "idempotency-key": `task-${number}` },
        body: `Seen on 3 March 2021, note ${number}`,
        signal: AbortSignal.timeout(20_000),
      });
      const body = (await answer.json()) as { uuid?: string };
      if (answer.status === 200 && body.uuid !== undefined) return body.uuid;
      if (answer.status < 500)
        throw new Error(`refused for good: ${answer.status} ${JSON.stringify(body)}`, { cause: "final" });
    } catch (error) {
      if ((error as Error).cause === "final" || Date.now() > endMs) throw error;
    }
    await pause(100);
  }
}

async function finalStatus(base: string, uuid: string): Promise<{ status: string; error_message: string | null }> {
  const endMs = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(`${base}/tasks/${uuid}?detail=true&wait=20`).catch(() => null);
    if (answer !== null) {
      const body = (await answer.json()) as { status: string; error_message: string | null };
      if (answer.status === 404) throw new Error(`${uuid} was acknowledged and is lost`);
      if (body.status === "succeeded" || body.status === "failed") return body;
    }
    if (Date.now() > endMs) throw new Error(`${uuid} did not end`);
  }
}

async function storedTasks(sluice: RunningSluice): Promise<{ uuid: string; request_id: string }[]> {
  const http = createHttpClient({ socketPath: `${sluice.dataDir}/sidecar.sock` });
  const found: { uuid: string; request_id: string }[] = [];
  for (let after: string | null = ""; after !== null; ) {
    const query: string = `/internal/tasks?limit=500${after === "" ? "" : `&after=${after}`}`;
    const answer = await http.call({ method: "GET", origin: "http://sidecar", path: query });
    const page = (await answer.body.json()) as { tasks: { uuid: string; request_id: string }[]; next: string | null };
    found.push(...page.tasks);
    after = page.next;
  }
  await http.close();
  return found;
}

t.test("with the sidecar killed, light requests flow on without one failing", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
  });
  let failed = 0;
  let answered = 0;
  let over = false;
  const traffic = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (!over) {
        const answer = await fetch(`${sluice.url}/models/m/process`, {
          method: "POST",
          headers: { "content-type": "text/plain" },
          body: "3 March 2021",
        });
        await answer.text();
        if (answer.status === 200) answered++;
        else failed++;
        await pause(5);
      }
    }),
  );
  for (let round = 0; round < 3; round++) {
    const restarted = sluice.nextEvent("restarted");
    process.kill(sluice.pids().sidecar, "SIGKILL");
    await restarted;
  }
  over = true;
  await traffic;
  t.equal(failed, 0);
  t.ok(answered > 100);
});

t.test("a held caller gets its answer although the sidecar dies while it waits", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
  });
  const held = fetch(`${sluice.url}/models/m/process_bulk`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-misbehave": "delay=1500" },
    body: JSON.stringify(["3 March 2021"]),
  });
  await pause(500);
  const restarted = sluice.nextEvent("restarted");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
  const answer = await held;
  t.equal(answer.status, 200);
  t.equal(((await answer.json()) as unknown[]).length, 1);
});

t.test("the sidecar dies between the commit and its answer: the caller is told the truth all the same", async (t) => {
  const server = await startGazetteer(t);
  const sluice = await startSluice(t, {
    config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
    env: { SLUICE_FAILPOINTS: "submit.before_answer=kill" },
  });
  const restarted = sluice.nextEvent("restarted");
  const answer = await fetch(`${sluice.url}/models/m/tasks/process`, {
    method: "POST",
    headers: { "content-type": "text/plain", "x-request-id": "once" },
    body: "3 March 2021",
  });
  await restarted;
  t.equal(answer.status, 200);
  const { uuid } = (await answer.json()) as { uuid: string };
  t.equal((await finalStatus(sluice.url, uuid)).status, "succeeded");
  t.equal((await storedTasks(sluice)).length, 1, "it is there once");
});
