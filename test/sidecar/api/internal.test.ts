import { once } from "node:events";
import { linkSync, readdirSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { Readable } from "node:stream";
import Fastify from "fastify";
import t from "tap";
import {
  ANSWER_HEADER,
  decodeInternal,
  encodeInternal,
  type RouteSnapshot,
  type StoredAnswer,
  SUBMISSION_HEADER,
} from "../../../core/contract/internal-api.js";
import { listenOnSocket } from "../../../sidecar/app.js";
import { createSidecarMetrics } from "../../../sidecar/metrics.js";
import { failed, inlineBody, sampleAnswer, sampleTask, succeeded } from "../../contract/task-samples.js";
import { startApp, submission } from "./app-rig.js";

const LANE = ["gazetteer", ["interactive"], 0] as const;

t.test("a submission is durable, byte for byte, whatever its content type says", async (t) => {
  const { store, blobs, submit, woken } = await startApp(t);
  const bytes = Buffer.from([0, 255, 13, 10, 123]);
  const { status, json, headers } = await submit({ priority: 4, deadlineMs: 60_000 }, bytes);
  t.equal(status, 201);
  t.match(json, { status: "pending", replayed: false });
  t.equal(headers["sluice-task-id"], json.uuid);
  t.equal(woken(), 1);
  const task = store.get(json.uuid);
  t.match(task, { priority: 4, requestId: "request-7", headers: ["Content-Type", "text/plain"] });
  t.equal(task!.deadlineAtMs! - task!.createdAtMs, 60_000);
  const large = await submit({}, Readable.from([Buffer.alloc(100_000, 1), Buffer.alloc(100_000, 2)]));
  await store.claim(...LANE);
  const claim = await store.claim("gazetteer", ["interactive"], 1e15);
  t.ok(claim);
  t.equal(large.status, 201);
  const { payload } = store.unfinished().find(({ task }) => task.uuid === large.json.uuid)!;
  t.match(payload, { kind: "blob", size: 200_000 });
  for await (const _chunk of await blobs.open(payload, { verify: true }));
});

t.test("no limit of the server's own stands in a large body's way, with or without a content type", async (t) => {
  const { ask, store } = await startApp(t);
  for (const type of [{}, { "content-type": "text/plain;;" }, { "content-type": "application/json" }]) {
    const sent = submission();
    const headers = { ...type, [SUBMISSION_HEADER]: encodeInternal(sent) };
    t.equal((await ask("POST", "/internal/tasks", { headers, body: Buffer.alloc(5_000_000, "{") })).status, 201);
    t.ok(store.get(sent.uuid));
  }
  t.equal(store.countWaiting().bytes, 15_000_000);
});

t.test("what is refused leaves nothing behind", async (t) => {
  const { ask, call, submit, store, dataDir, socketPath } = await startApp(t, {
    config: { proxy: { max_body_size: 100_000, timeouts: { body: "100ms" } }, scheduler: { queue: { max_tasks: 2 } } },
  });
  t.match(await ask("POST", "/internal/tasks", { body: "x" }), {
    status: 400,
    json: { error: { code: "BAD_REQUEST" } },
  });
  t.match(await submit({ class: "none" }), { status: 400 });
  t.match(await submit({}, Buffer.alloc(150_000)), { status: 413, json: { error: { code: "BODY_TOO_LARGE" } } });
  const stalling = new Readable({ read() {} });
  stalling.push(Buffer.alloc(80_000));
  t.match(await submit({}, stalling), { status: 408, json: { error: { code: "BODY_TIMEOUT" } } });
  stalling.destroy();
  const cut = connect(socketPath);
  const header = `${SUBMISSION_HEADER}: ${encodeInternal(submission())}`;
  cut.write(`POST /internal/tasks HTTP/1.1\r\nHost: s\r\n${header}\r\nContent-Length: 90000\r\n\r\n`);
  cut.write(Buffer.alloc(70_000), () => cut.destroy());
  await once(cut, "close");
  t.equal((await submit({ idempotencyKey: "k" }, "same")).status, 201);
  t.match(await submit({ idempotencyKey: "k" }, "same"), { status: 201, json: { replayed: true } });
  t.match(await submit({ idempotencyKey: "k" }, "other"), {
    status: 422,
    json: { error: { code: "IDEMPOTENCY_KEY_REUSED" } },
  });
  t.equal((await submit({}, Buffer.alloc(90_000))).status, 201);
  const full = await submit({}, Buffer.alloc(90_000));
  t.match(full, { status: 429, headers: { "retry-after": "30" }, json: { error: { code: "QUEUE_FULL" } } });
  t.match(await submit({ idempotencyKey: "k" }, "same"), { json: { replayed: true } }, "a full queue still replays");
  t.equal(store.countWaiting().tasks, 2);
  t.equal((await call("GET", "/health")).status, 200);
  t.equal(readdirSync(join(dataDir, "payloads")).length, 1);
});

t.test("an answer is replayed with the model server's own status, headers and bytes", async (t) => {
  const { call, ask, store } = await startApp(t);
  t.match(await ask("GET", "/internal/tasks/none/answer"), { status: 404 });
  const task = sampleTask();
  await store.insert(task);
  t.equal((await ask("GET", `/internal/tasks/${task.uuid}/answer?wait_ms=50`)).status, 204);
  const waiting = call("GET", `/internal/tasks/${task.uuid}/answer?wait_ms=20000`);
  await store.claim("gazetteer", ["interactive"], 1_250);
  const answer = { ...sampleAnswer(), status: 418, headers: ["X-A", "1", "x-a", "2", "Content-Type", "text/csv"] };
  await store.finish(task.uuid, 1, failed("rejected", { ...answer, body: inlineBody("a,b\n") }));
  const { status, headers, body } = await waiting;
  t.equal(status, 200);
  t.same(decodeInternal<StoredAnswer>(String(headers[ANSWER_HEADER])), {
    status: 418,
    headers: answer.headers,
    queueMs: 250,
    upstreamMs: 12,
  });
  t.equal(await body.text(), "a,b\n");
});

t.test("a task that failed without an answer gets one of ours", async (t) => {
  const { ask, store } = await startApp(t);
  const reasons = {
    cancelled: 409,
    expired: 504,
    lost: 502,
    model_unavailable: 503,
    upstream_error: 502,
    internal: 500,
  };
  for (const [reason, status] of Object.entries(reasons)) {
    const task = sampleTask();
    await store.insert(task);
    await store.failWaiting(task.uuid, failed(reason as "lost"));
    const { headers, json } = await ask("GET", `/internal/tasks/${task.uuid}/answer`);
    const answer = decodeInternal<StoredAnswer>(String(headers[ANSWER_HEADER]));
    t.equal(answer.status, status, reason);
    t.match(json, { source: "sluice", detail: "it did not work", error: { requestId: "request-1" } });
  }
});

t.test("a training's 202 is its answer while it runs", async (t) => {
  const { ask, store } = await startApp(t);
  const task = sampleTask({ task: "train_supervised" });
  await store.insert(task);
  const waiting = ask("GET", `/internal/tasks/${task.uuid}/answer?wait_ms=20000`);
  await store.claim(...LANE);
  await store.markRunning(task.uuid, 1, "run", { ...sampleAnswer("{}"), status: 202 });
  const { headers, text } = await waiting;
  t.match(decodeInternal(String(headers[ANSWER_HEADER])), { status: 202 });
  t.equal(text, "{}");
});

t.test("a caller that hangs up takes its waiting task along, unless someone may come back for it", async (t) => {
  const { ask, submit, store } = await startApp(t);
  const hangUp = async (change: Parameters<typeof submit>[0]) => {
    const { uuid } = (await submit(change)).json;
    t.equal((await ask("POST", `/internal/tasks/${uuid}/hang-up`)).status, 204);
    return store.get(uuid)?.status;
  };
  t.equal(await hangUp({ mode: "held" }), "failed");
  t.equal(await hangUp({ mode: "wait" }), "failed");
  t.equal(await hangUp({ mode: "async" }), "pending");
  t.equal(await hangUp({ mode: "held", idempotencyKey: "k" }), "pending");
  t.equal((await ask("POST", "/internal/tasks/none/hang-up")).status, 204);
  const kept = await startApp(t, { config: { tasks: { cancel_on_hang_up: false } } });
  const { uuid } = (await kept.submit({ mode: "held" })).json;
  await kept.ask("POST", `/internal/tasks/${uuid}/hang-up`);
  t.equal(kept.store.get(uuid)?.status, "pending");
});

t.test("a gate's permit lasts as long as its connection, and a caller that left gets none", async (t) => {
  const log: string[] = [];
  let tell = () => {};
  const next = () =>
    new Promise<void>((resolve) => {
      tell = resolve;
    });
  const note = (word: string) => {
    log.push(word);
    tell();
  };
  const { call } = await startApp(t, {
    deps: {
      gate: {
        acquire: async ({ model }, signal) => {
          if (model === "gazetteer") return () => note("released");
          note("waits");
          return new Promise((_, reject) =>
            signal.addEventListener("abort", () => {
              note("gave up");
              reject(signal.reason);
            }),
          );
        },
      },
    },
  });
  const asked = { model: "gazetteer", class: "batch", priority: null, tenant: null, requestId: "r" };
  const held = new AbortController();
  const answer = await call("POST", "/internal/gate", { body: JSON.stringify(asked), signal: held.signal });
  t.equal(answer.status, 200);
  t.same(log, []);
  const released = next();
  answer.body.on("error", () => {});
  held.abort();
  await released;
  t.same(log, ["released"]);
  const left = new AbortController();
  const waits = next();
  const refused = call("POST", "/internal/gate", {
    body: JSON.stringify({ ...asked, model: "busy" }),
    signal: left.signal,
  });
  await waits;
  const gaveUp = next();
  left.abort();
  await t.rejects(refused);
  await gaveUp;
  t.same(log, ["released", "waits", "gave up"]);
});

t.test("the route stream gives a snapshot at once and one after each change", async (t) => {
  const { call, models } = await startApp(t, { config: { proxy: { aliases: [{ port: 8180, model: "gazetteer" }] } } });
  const stream = await call("GET", "/internal/routes");
  const lines: RouteSnapshot[] = [];
  for await (const chunk of stream.body) {
    lines.push(
      ...String(chunk)
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as RouteSnapshot),
    );
    if (lines.length === 1) models.change({ state: "draining" });
    if (lines.length === 2) break;
  }
  t.match(lines[0], {
    version: 1,
    models: [{ state: "ready" }],
    aliases: [{ port: 8180 }],
    routes: { process_bulk: {} },
  });
  t.match(lines[1], { version: 2, models: [{ state: "draining" }] });
});

t.test("lookups: ensure, metrics, the operators' list", async (t) => {
  const { ask, submit, store } = await startApp(t);
  t.match(await ask("POST", "/internal/models/gazetteer/ensure?wait_ms=10"), {
    status: 200,
    json: { name: "gazetteer" },
  });
  for (let i = 0; i < 3; i++) await submit({ mode: "async" });
  await store.claim(...LANE);
  const { text } = await ask("GET", "/internal/metrics");
  t.match(text, /sluice_queue_tasks\{class="interactive",status="pending"\} [23]/);
  const first = await ask("GET", "/internal/tasks?limit=2&status=pending");
  t.equal(first.json.tasks.length, 2);
  t.match(first.json.tasks[0], { class: "interactive", request_id: "request-7" });
  const rest = await ask("GET", `/internal/tasks?limit=2&status=pending&after=${first.json.next}`);
  t.ok(rest.json.tasks.length <= 1);
  t.equal((await ask("GET", "/internal/tasks?status=odd")).status, 422);
  t.equal((await ask("GET", "/internal/tasks?limit=0")).status, 422);
});

t.test("the operators' list is narrowed by every filter, and names each that is wrong", async (t) => {
  const { ask, submit, store } = await startApp(t);
  const uuids: string[] = [];
  for (const tenant of ["north", "south"]) uuids.push((await submit({ tenant, task: "process_bulk" })).json.uuid);
  await store.failWaiting(uuids[0]!, failed("cancelled"));
  const found = async (query: string) =>
    (await ask("GET", `/internal/tasks?${query}`)).json.tasks.map(({ uuid }: { uuid: string }) => uuid);
  const hour = (offset: number) => new Date(Date.now() + offset * 3_600_000).toISOString();
  t.same(await found(`since=${hour(-1)}&until=${hour(1)}&task=process_bulk`), [...uuids].reverse(), "newest first");
  t.same(await found("reason=cancelled&status=failed"), [uuids[0]]);
  t.same(await found("tenant=south&class=interactive&model=gazetteer"), [uuids[1]]);
  for (const none of [`since=${hour(1)}`, `until=${hour(-1)}`, "task=process", "reason=lost", "tenant=west"])
    t.same(await found(none), [], none);
  const wrong = await ask("GET", "/internal/tasks?status=odd&reason=bored&since=yesterday&until=2026-13-45T00:00Z");
  t.equal(wrong.status, 422);
  t.same(
    wrong.json.detail.map(({ loc }: { loc: string[] }) => loc[1]),
    ["status", "reason", "since", "until"],
  );
});

t.test("metrics count what the scheduler tells, with bounded labels", async (t) => {
  const { ask, store } = await startApp(t);
  const metrics = createSidecarMetrics(store);
  const task = { ...(await store.insert(sampleTask())).task, attempt: 1, startedAtMs: 3_000 };
  metrics.scheduled(task);
  metrics.requeued(task);
  metrics.completed(task, succeeded());
  const text = await metrics.text();
  t.match(text, 'scheduler_tasks_scheduled_total{model="gazetteer",class="interactive"} 1');
  t.match(
    text,
    'scheduler_tasks_completed_total{model="gazetteer",class="interactive",status="succeeded",reason=""} 1',
  );
  t.match(text, 'scheduler_tasks_requeued_total{model="gazetteer",class="interactive"} 1');
  t.match(text, 'sluice_queue_wait_seconds_sum{class="interactive"} 2');
  t.notMatch(text, task.uuid);
  t.equal((await ask("GET", "/internal/metrics")).status, 200);
});

t.test("the socket is its owner's alone; a dead one is replaced, a live one is an error", async (t) => {
  const { socketPath, ask } = await startApp(t);
  t.equal(statSync(socketPath).mode & 0o777, 0o600);
  await t.rejects(listenOnSocket(Fastify(), socketPath), { code: "CONFIG_INVALID", message: /already listens/ });
  t.equal((await ask("GET", "/")).status, 200, "and the live one goes on");
  const stale = `${socketPath}.stale`;
  const server = createServer().listen(stale);
  await once(server, "listening");
  // What SIGKILL leaves: the file without its listener.
  linkSync(stale, `${stale}.kept`);
  server.close();
  await once(server, "close");
  const app = Fastify();
  t.teardown(() => app.close());
  await listenOnSocket(app, `${stale}.kept`);
  await t.rejects(listenOnSocket(Fastify(), `/tmp/${"x".repeat(120)}`), {
    code: "CONFIG_INVALID",
    message: /longer than/,
  });
});

t.test("a burst of callers fits the socket's queue", async (t) => {
  const { socketPath } = await startApp(t);
  // All in one turn of the event loop, so that none is accepted before the last one knocks.
  const callers = Array.from({ length: 2_000 }, () => connect(socketPath));
  t.teardown(() => {
    for (const caller of callers) caller.destroy();
  });
  const refused = await Promise.all(
    callers.map((caller) =>
      once(caller, "connect").then(
        () => null,
        (error: NodeJS.ErrnoException) => error.code,
      ),
    ),
  );
  t.same([...new Set(refused)], [null]);
});
