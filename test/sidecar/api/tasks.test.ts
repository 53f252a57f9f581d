import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { failed, sampleAnswer, sampleTask, succeeded } from "../../contract/task-samples.js";
import { startApp } from "./app-rig.js";

t.test("the list is for operators, in both slash forms", async (t) => {
  const { ask } = await startApp(t);
  for (const path of ["/tasks", "/tasks/"]) {
    t.match(await ask("GET", path), { status: 403, json: { source: "sluice", detail: "Only admins can list tasks" } });
  }
  t.match(await ask("GET", "/"), { json: { message: "Enter the cult... I mean, the API." } });
});

t.test("a task is shown in CMG's shapes", async (t) => {
  const { ask, store } = await startApp(t);
  const task = sampleTask({ createdAtMs: Date.UTC(2025, 0, 2, 3, 4, 5, 60) });
  const { uuid } = task;
  t.match(await ask("GET", `/tasks/${uuid}`), {
    status: 404,
    json: { detail: `Task '${uuid}' not found`, error: { code: "TASK_NOT_FOUND", requestId: String } },
  });
  await store.insert(task);
  for (const path of [`/tasks/${uuid}`, `/tasks/${uuid}/`, `/tasks/${uuid}?download=yes&detail=OFF`]) {
    const { status, json, headers } = await ask("GET", path);
    t.same([status, json], [200, { uuid, status: "pending" }]);
    t.equal(headers["sluice-task-id"], uuid);
  }
  await store.claim("gazetteer", ["interactive"], Date.UTC(2025, 0, 2, 3, 4, 6));
  await store.finish(uuid, 1, succeeded());
  const { json } = await ask("GET", `/tasks/${uuid}?detail=true`);
  t.same(Object.keys(json).slice(0, 11), [
    ...["uuid", "status", "model", "type", "source", "created_at", "started_at", "finished_at", "result"],
    ...["error_message", "tracking_id"],
  ]);
  t.match(json, {
    uuid,
    status: "succeeded",
    type: "process",
    created_at: "2025-01-02T03:04:05.060000+00:00",
    started_at: "2025-01-02T03:04:06+00:00",
    result: `${uuid}_results.json`,
    error_message: null,
    tracking_id: null,
    attempts: 1,
    result_status: 200,
    result_bytes: 18,
    attempt_history: [
      { attempt: 1, started_at: "2025-01-02T03:04:06+00:00", ended_at: String, outcome: "succeeded", note: null },
    ],
  });
  t.equal(Object.keys(json).at(-1), "attempt_history");
});

t.test("bad parameters are CMG's 422, all of them together", async (t) => {
  const { ask } = await startApp(t);
  const { status, json } = await ask("GET", "/tasks/x?detail=maybe&download=&wait=301");
  t.equal(status, 422);
  t.match(json.detail, [
    { type: "bool_parsing", loc: ["query", "detail"], input: "maybe" },
    { type: "bool_parsing", loc: ["query", "download"], input: "" },
    { type: "less_than_equal", loc: ["query", "wait"], input: "301" },
  ]);
  for (const wait of ["-1", "soon", "1.5", ""]) t.equal((await ask("GET", `/tasks/x?wait=${wait}`)).status, 422, wait);
});

t.test("a result is downloaded as stored, checked against its hash", async (t) => {
  const { ask, store, blobs, dataDir } = await startApp(t);
  const bytes = Buffer.alloc(300_000, "span ");
  const body = await blobs.write(
    "result",
    (async function* () {
      yield bytes;
    })(),
    { maxBytes: 1e9, idleTimeoutMs: 1e3 },
  );
  const task = sampleTask();
  const { uuid } = task;
  await store.insert(task);
  await store.claim("gazetteer", ["interactive"], 0);
  await store.finish(uuid, 1, succeeded({ ...sampleAnswer(), body }));
  const { status, headers, text } = await ask("GET", `/tasks/${uuid}?download=1&detail=1`);
  t.equal(status, 200);
  t.equal(text, bytes.toString());
  t.match(headers, {
    "content-type": "application/octet-stream",
    "content-disposition": `attachment; filename=${uuid}_results.json`,
    "x-task-uuid": uuid,
    "x-task-status": "succeeded",
  });
  const [name] = readdirSync(join(dataDir, "results"));
  writeFileSync(join(dataDir, "results", name!), Buffer.alloc(300_000, "spam "));
  t.match(await ask("GET", `/tasks/${uuid}?download=1`), { status: 500, json: { error: { code: "RESULT_DAMAGED" } } });
});

t.test("waiting ends with the task, with the time, or at once when it is final", async (t) => {
  const { ask, store } = await startApp(t);
  const task = sampleTask();
  const { uuid } = task;
  await store.insert(task);
  t.match(await ask("GET", `/tasks/${uuid}?wait=1`), { json: { status: "pending" } }, "the second passed");
  const waiting = ask("GET", `/tasks/${uuid}?wait=30`);
  await store.claim("gazetteer", ["interactive"], 0);
  await store.finish(uuid, 1, failed("lost"));
  t.match(await waiting, { json: { status: "failed" } });
  t.match(await ask("GET", `/tasks/${uuid}?wait=30&detail=t&download=t`), { json: { reason: "lost", result: null } });
});

t.test("events tell each change and end with the final state", async (t) => {
  const { call, ask, store } = await startApp(t);
  t.match(await ask("GET", "/tasks/nobody/events"), { status: 404 });
  await store.insert(sampleTask());
  const task = sampleTask();
  const { uuid } = task;
  await store.insert(task);
  const stream = await call("GET", `/tasks/${uuid}/events`);
  t.match(stream.headers, { "content-type": "text/event-stream", "sluice-task-id": uuid });
  const move = async () => {
    await store.claim("gazetteer", ["interactive"], 0);
    await store.claim("gazetteer", ["interactive"], 0);
    await store.finish(uuid, 1, succeeded());
  };
  let text = "";
  const ended = (async () => {
    for await (const chunk of stream.body) {
      text += chunk;
      if (text.split("\n\n").length === 2) void move();
    }
  })();
  await ended;
  const events = text.trim().split("\n\n");
  t.ok(events.every((event) => event.startsWith("event: status\ndata: {")));
  t.same(
    events.map((event) => JSON.parse(event.split("data: ")[1]!)),
    [
      { uuid, status: "pending", position: 1, eta_seconds: null, reason: null },
      { uuid, status: "scheduled", position: null, eta_seconds: null, reason: null },
      { uuid, status: "succeeded", position: null, eta_seconds: null, reason: null },
    ],
  );
});

t.test("deleting cancels what waits, and says what else it found", async (t) => {
  const cancelled: string[] = [];
  let accepted = true;
  const { ask, store } = await startApp(t, {
    deps: {
      cancelTraining: async ({ uuid }) => {
        cancelled.push(uuid);
        return { accepted, message: "words" };
      },
    },
  });
  const task = sampleTask();
  const { uuid } = task;
  t.match(await ask("DELETE", `/tasks/${uuid}`), { status: 404 });
  await store.insert(task);
  t.match(await ask("DELETE", `/tasks/${uuid}`), {
    status: 200,
    headers: { "sluice-task-id": uuid },
    json: { uuid, status: "failed", reason: "cancelled", message: String },
  });
  t.match(await ask("DELETE", `/tasks/${uuid}/`), { status: 409, json: { error: { code: "TASK_ALREADY_FINAL" } } });
  const running = sampleTask({ task: "train_supervised" });
  await store.insert(running);
  await store.claim("gazetteer", ["interactive"], 0);
  t.match(await ask("DELETE", `/tasks/${running.uuid}`), {
    status: 409,
    json: { error: { code: "TASK_NOT_CANCELLABLE" } },
  });
  await store.markRunning(running.uuid, 1, "run", sampleAnswer());
  t.match(await ask("DELETE", `/tasks/${running.uuid}`), {
    status: 202,
    json: { status: "running", message: "words" },
  });
  accepted = false;
  t.match(await ask("DELETE", `/tasks/${running.uuid}`), { status: 409 });
  t.same(cancelled, [running.uuid, running.uuid]);
});

t.test("unknown paths and methods are told in the envelope", async (t) => {
  const { ask } = await startApp(t);
  t.match(await ask("GET", "/nowhere"), { status: 404, json: { source: "sluice", detail: "Not Found" } });
  t.match(await ask("PUT", "/tasks/x"), {
    status: 405,
    headers: { allow: "GET, HEAD, DELETE" },
    json: { detail: "Method Not Allowed" },
  });
  const answer = await ask("GET", "/tasks", { headers: { "x-request-id": "mine" } });
  t.match(answer, { headers: { "x-request-id": "mine" }, json: { error: { requestId: "mine" } } });
  t.match(await ask("GET", "/tasks/%zz"), { status: 400, json: { error: { code: "BAD_REQUEST" } } });
});
