/** The heavy path end to end: how a caller is answered, what a task's page says, and that a client of CMG sees what it knows. */
import t from "tap";
import { createHttpClient } from "../../core/runtime/http.js";
import { startGazetteer } from "../helpers/gazetteer.js";
import { readNotes } from "../helpers/notes.js";
import { startSluice } from "../helpers/sluice.js";

const server = await startGazetteer(t, { args: ["--train-doc-ms", "20"] });
const sluice = await startSluice(t, {
  config: { discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } },
});
const base = `${sluice.url}/models/m`;
const notes = (await readNotes()).map((each) => each.text);
const bulk = (extra: Record<string, string> = {}): RequestInit => ({
  method: "POST",
  headers: { "content-type": "application/json", ...extra },
  body: JSON.stringify(notes),
});

async function json(
  path: string,
  init?: RequestInit,
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const answer = await fetch(path.startsWith("http") ? path : `${sluice.url}${path}`, init);
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
}

t.test("Prefer: respond-async answers 202 at once with where to look", async (t) => {
  const accepted = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async" }));
  t.equal(accepted.status, 202);
  const id = accepted.body.uuid as string;
  t.equal(accepted.headers.get("location"), `/tasks/${id}`);
  t.equal(accepted.headers.get("preference-applied"), "respond-async");
  t.equal(accepted.headers.get("sluice-task-id"), id);
  const done = await json(`/tasks/${id}?detail=true&wait=30`);
  t.match(done.body, {
    uuid: id,
    status: "succeeded",
    type: "process_bulk",
    class: "batch",
    error_message: null,
    result: `${id}_results.json`,
  });
  const result = await fetch(`${sluice.url}/tasks/${id}?download=true`);
  t.equal(result.headers.get("x-task-status"), "succeeded");
  t.equal(((await result.json()) as unknown[]).length, notes.length);
});

t.test("Prefer: wait=N holds that long, then answers 202", async (t) => {
  const quick = await fetch(`${base}/process_bulk`, bulk({ prefer: "wait=30" }));
  t.equal(quick.status, 200);
  const slow = await json(`${base}/process_bulk`, bulk({ prefer: "wait=1", "x-misbehave": "delay=2500" }));
  t.equal(slow.status, 202);
  const done = await json(`/tasks/${slow.body.uuid}?wait=30`);
  t.equal(done.body.status, "succeeded", "and the task goes on");
});

t.test("the way of CMG: uuid at once, then polled, then downloaded", async (t) => {
  const submitted = await json(`${base}/tasks/process`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: notes[0]!,
  });
  t.equal(submitted.status, 200);
  t.same(Object.keys(submitted.body).sort(), ["status", "uuid"]);
  t.equal(submitted.body.status, "Task submitted successfully");
  const id = submitted.body.uuid as string;
  t.same(Object.keys((await json(`/tasks/${id}`)).body).sort(), ["status", "uuid"]);
  await json(`/tasks/${id}?wait=30`);
  const detail = (await json(`/tasks/${id}?detail=true`)).body;
  const elevenKeys =
    "uuid status model type source created_at started_at finished_at result error_message tracking_id".split(" ");
  t.same(Object.keys(detail).slice(0, 11), elevenKeys);
  t.match(detail, { status: "succeeded", model: "m", type: "process", tracking_id: null });
  t.match(detail.source, /^ip=.*; ua=/);
});

t.test("errors of task submission are CMG's", async (t) => {
  const unknown = await json(`${base}/tasks/nonsense`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: "x",
  });
  t.equal(unknown.status, 404);
  t.match(unknown.body.detail, /Task 'nonsense' not found\. Supported tasks are: info, process, process_jsonl, /);
  const wrong = await json(`${base}/tasks/process_bulk`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "x",
  });
  t.equal(wrong.status, 400);
  t.match(wrong.body.detail, /application\/json/);
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const text = await json(`${base}/tasks/process`, { method: "POST", headers: form, body: "x" });
  t.equal(text.body.detail, "Task 'process' takes 'text/plain', not what was sent", "text/plain is named once");
  const away = await json(`${sluice.url}/models/nobody/tasks/process`, {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: "x",
  });
  t.equal(away.status, 503);
  t.match(away.body.detail, /not available.*running models.*on-demand models/is);
  const missing = await json("/tasks/00000000-0000-4000-8000-000000000000");
  t.equal(missing.status, 404);
  t.equal(missing.body.detail, "Task '00000000-0000-4000-8000-000000000000' not found");
  t.match(await json("/tasks/"), { status: 403, body: { detail: "Only admins can list tasks" } });
});

t.test("the same Idempotency-Key meets the same task, another body is refused", async (t) => {
  const first = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "idempotency-key": "k1" }));
  const again = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "idempotency-key": "k1" }));
  t.equal(again.body.uuid, first.body.uuid);
  const held = await fetch(`${base}/process_bulk`, bulk({ "idempotency-key": "k1" }));
  t.equal(held.headers.get("sluice-task-id"), first.body.uuid);
  t.equal(held.status, 200);
  const other = await json(`${base}/process_bulk`, { ...bulk({ "idempotency-key": "k1" }), body: "[]" });
  t.equal(other.status, 422);
  t.match(other.body.error, { code: "IDEMPOTENCY_KEY_REUSED" });
  const asked = (await server.requests()).filter((each) => each.requestId === first.headers.get("x-request-id"));
  t.equal(asked.length, 1, "the model server was asked once");
});

t.test("a waiting task can be cancelled, and its events tell the story", async (t) => {
  const blocker = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "x-misbehave": "delay=1500" }));
  const waiting = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async" }));
  const events = await fetch(`${sluice.url}/tasks/${waiting.body.uuid}/events`);
  t.equal(events.headers.get("content-type")?.split(";")[0], "text/event-stream");
  const cancelled = await json(`/tasks/${waiting.body.uuid}`, { method: "DELETE" });
  t.match(cancelled, { status: 200, body: { status: "failed", reason: "cancelled" } });
  const told = await events.text();
  t.match(told, /event: status\ndata: .*"status":"pending"/);
  t.match(told, /"status":"failed".*"reason":"cancelled"/);
  t.match(await json(`/tasks/${waiting.body.uuid}`, { method: "DELETE" }), { status: 409 });
  t.equal((await json(`/tasks/${blocker.body.uuid}?wait=30`)).body.status, "succeeded");
  const seen = (await server.requests()).filter((each) => each.requestId === waiting.headers.get("x-request-id"));
  t.equal(seen.length, 0, "the cancelled one was never sent");
});

t.test("with the one slot taken, a later urgent task runs before earlier ones", async (t) => {
  const blocker = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "x-misbehave": "delay=1000" }));
  await t.resolves(until(async () => (await json(`/tasks/${blocker.body.uuid}`)).body.status === "scheduled"));
  const early = await Promise.all(
    Array.from({ length: 20 }, () => json(`${base}/process_bulk`, bulk({ prefer: "respond-async" }))),
  );
  const urgent = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "x-sluice-priority": "0" }));
  const finished = async (id: unknown) =>
    Date.parse((await json(`/tasks/${id}?detail=true&wait=60`)).body.started_at as string);
  const urgentAt = await finished(urgent.body.uuid);
  for (const each of early) t.ok((await finished(each.body.uuid)) >= urgentAt);
});

t.test("training: 202 at once for a CMS client, a followed run for a task, busy waits its turn", async (t) => {
  const form = () => {
    const body = new FormData();
    body.set("trainer_export", new Blob([JSON.stringify(exportOf(10))], { type: "application/json" }), "export.json");
    return { method: "POST", body } as RequestInit;
  };
  const plain = await json(`${base}/train_supervised?tracking_id=mine-1&epochs=5`, form());
  t.equal(plain.status, 202);
  t.equal(plain.body.training_id, "mine-1");
  const refused = await json(`${base}/train_supervised?tracking_id=mine-2`, form());
  t.equal(refused.status, 503, "a second one the plain way is told that the trainer is busy");
  t.match(refused.body, {
    message: /Another training/,
    run_id: plain.body.run_id,
    experiment_id: plain.body.experiment_id,
  });
  const task = await json(`${base}/tasks/train_supervised`, form());
  t.equal(task.status, 200);
  const done = await json(`/tasks/${task.body.uuid}?detail=true&wait=60`);
  t.match(done.body, { status: "succeeded", tracking_id: String });
  const result = (await (await fetch(`${sluice.url}/tasks/${task.body.uuid}?download=true`)).json()) as {
    run: Record<string, string>;
  };
  t.equal(result.run.run_id, done.body.tracking_id);
  t.equal(result.run.run_name, task.body.uuid);
  const first = await json(`/tasks/${plain.headers.get("sluice-task-id")}?wait=30`);
  t.equal(first.body.status, "succeeded");
});

t.test("wrong headers are refused before anything is stored", async (t) => {
  for (const [name, value, status] of [
    ["prefer", "wait=soon", 400],
    ["x-sluice-priority", "10", 400],
    ["x-sluice-deadline", "yesterday", 400],
    ["x-sluice-tenant", "a b", 400],
  ] as const) {
    const answer = await json(`${base}/process_bulk`, bulk({ [name]: value }));
    t.equal(answer.status, status, `${name}: ${value}`);
    t.equal(answer.body.source, "sluice");
  }
  const tracking = await json(`${base}/process_bulk_file?tracking_id=-bad`, bulk());
  t.equal(tracking.status, 400);
  t.match(tracking.body.detail, /Invalid tracking ID '-bad'/);
});

t.test("a deadline that passes while a task waits ends it", async (t) => {
  const blocker = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "x-misbehave": "delay=2000" }));
  const late = await json(`${base}/process_bulk`, bulk({ "x-sluice-deadline": "500ms" }));
  t.equal(late.status, 504);
  t.match(late.body.error, { code: "TASK_EXPIRED" });
  t.equal((await json(`/tasks/${blocker.body.uuid}?wait=30`)).body.status, "succeeded");
});

t.test("a caller that hangs up cancels its task while it waits, and only then", async (t) => {
  const blocker = await json(`${base}/process_bulk`, bulk({ prefer: "respond-async", "x-misbehave": "delay=1500" }));
  const gone = new AbortController();
  const held = fetch(`${base}/process_bulk`, { ...bulk({ "x-request-id": "gone-1" }), signal: gone.signal });
  const reasonOf = async (requestId: string) =>
    (await storedTasks()).find((each) => each.request_id === requestId)?.reason;
  await t.resolves(until(async () => (await reasonOf("gone-1")) === null));
  gone.abort();
  await t.rejects(held);
  await t.resolves(until(async () => (await reasonOf("gone-1")) === "cancelled"));
  t.equal((await json(`/tasks/${blocker.body.uuid}?wait=30`)).body.status, "succeeded");
});

/** What an operator's list shows, over the sidecar's socket. */
async function storedTasks(): Promise<{ request_id: string; reason: string | null }[]> {
  const http = createHttpClient({ socketPath: `${sluice.dataDir}/sidecar.sock` });
  const answer = await http.call({ method: "GET", origin: "http://sidecar", path: "/internal/tasks?limit=100" });
  const { tasks } = (await answer.body.json()) as { tasks: { request_id: string; reason: string | null }[] };
  await http.close();
  return tasks;
}

async function until(holds: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const endMs = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > endMs) throw new Error(`did not come true within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A trainer export with this many documents. */
function exportOf(documents: number): unknown {
  return {
    projects: [
      {
        id: 1,
        name: "p",
        cuis: "",
        tuis: "",
        documents: Array.from({ length: documents }, (_, index) => ({
          id: index + 1,
          name: `d${index}`,
          text: "Patient with kidney failure",
          annotations: [
            {
              id: index + 1,
              cui: "C1",
              start: 13,
              end: 27,
              value: "kidney failure",
              correct: true,
              deleted: false,
              killed: false,
              meta_anns: {},
            },
          ],
        })),
      },
    ],
  };
}
