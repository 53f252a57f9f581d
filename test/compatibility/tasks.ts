/** Tasks: their state, their fields, their results (reference cmg-api 1.9, 2). */
import { hasKeys, ISO_TIME, invalid, refused } from "./answers.js";
import type { Bench } from "./bench.js";
import type { Table } from "./table.js";

const CMG_KEYS = [
  "uuid",
  "status",
  "model",
  "type",
  "source",
  "created_at",
  "started_at",
  "finished_at",
  "result",
  "error_message",
  "tracking_id",
];

async function submit({ ask }: Bench, misbehave?: string, task = "process"): Promise<string> {
  const headers = {
    "content-type": "text/plain",
    "user-agent": "compat/1",
    ...(misbehave === undefined ? {} : { "x-misbehave": misbehave }),
  };
  const body = "Seen on 3 March 2021 by Dr Khan";
  const answer = await ask("POST", `/models/static-one/tasks/${task}`, { headers, body });
  return answer.json.uuid;
}

const detailOf = async ({ ask }: Bench, uuid: string) => (await ask("GET", `/tasks/${uuid}?detail=true`)).json;

async function ended(bench: Bench, uuid: string) {
  await bench.ask("GET", `/tasks/${uuid}?wait=15`);
  return detailOf(bench, uuid);
}

export const TASKS: Table = {
  id: "tasks",
  title: "Tasks and their results",
  rows: [
    {
      id: "tasks-list",
      says: "GET /tasks/ always answers 403, Only admins can list tasks",
      check: async (t, { ask }) => {
        const answer = await ask("GET", "/tasks/");
        refused(t, answer, 403);
        t.equal(answer.json.detail, "Only admins can list tasks");
      },
    },
    {
      id: "tasks-unknown",
      says: "an unknown uuid, whatever its form: 404, Task '<uuid>' not found",
      check: async (t, { ask }) => {
        for (const uuid of ["nonsense", "3b241101-e2bb-4255-8caf-4136c566a962"]) {
          for (const query of ["", "?detail=true", "?download=true"]) {
            const answer = await ask("GET", `/tasks/${uuid}${query}`);
            t.equal(answer.status, 404);
            t.equal(answer.json.detail, `Task '${uuid}' not found`);
          }
        }
      },
    },
    {
      id: "tasks-brief",
      says: "neither detail nor download: 200 with uuid and status alone",
      check: async (t, bench) => {
        const uuid = await submit(bench);
        await ended(bench, uuid);
        t.strictSame((await bench.ask("GET", `/tasks/${uuid}`)).json, { uuid, status: "succeeded" });
      },
    },
    {
      id: "tasks-detail",
      says: "detail: eleven keys, nulls included, texts or null",
      differs: "Sluice's own keys stand beside them",
      check: async (t, bench) => {
        const uuid = await submit(bench);
        const task = await ended(bench, uuid);
        for (const key of CMG_KEYS) t.ok(key in task, key);
        t.match(task, { uuid, status: "succeeded", model: "static-one", type: "process", error_message: null });
        t.match(task, { tracking_id: null, created_at: ISO_TIME, started_at: ISO_TIME, finished_at: ISO_TIME });
        t.equal(task.result, `${uuid}_results.json`);
      },
    },
    {
      id: "tasks-source",
      says: "source is ip=<peer>; ua=<User-Agent>",
      check: async (t, bench) => {
        const task = await ended(bench, await submit(bench));
        t.match(task.source, /^ip=(::ffff:)?127\.0\.0\.1; ua=compat\/1$/);
      },
    },
    {
      id: "tasks-waiting",
      says: "a task that waits: status pending or scheduled, no finished_at, no result",
      check: async (t, bench) => {
        const slow = await submit(bench, "delay=700");
        const waiting = await submit(bench);
        const task = await detailOf(bench, waiting);
        t.match(task, { status: /^(pending|scheduled)$/, finished_at: null, result: null, error_message: null });
        t.match(await ended(bench, slow), { status: "succeeded" });
        t.match(await ended(bench, waiting), { status: "succeeded" });
      },
    },
    {
      id: "tasks-download",
      says: "download: the stored bytes as application/octet-stream, attachment, x-task-uuid, x-task-status",
      check: async (t, bench) => {
        const uuid = await submit(bench);
        await ended(bench, uuid);
        for (const query of ["download=true", "download=1&detail=true"]) {
          const answer = await bench.ask("GET", `/tasks/${uuid}?${query}`);
          t.equal(answer.status, 200);
          t.match(answer.headers, {
            "content-type": "application/octet-stream",
            "x-task-uuid": uuid,
            "x-task-status": "succeeded",
          });
          t.match(
            answer.headers["content-disposition"],
            new RegExp(`^attachment; filename="?${uuid}_results\\.json"?$`),
          );
          t.match(answer.json, { text: "Seen on 3 March 2021 by Dr Khan", annotations: Array });
        }
      },
    },
    {
      id: "tasks-download-none",
      says: "download without a result: 200 with the status as JSON, as if download were absent",
      check: async (t, bench) => {
        const slow = await submit(bench, "delay=500");
        const early = await bench.ask("GET", `/tasks/${slow}?download=true`);
        t.equal(early.status, 200);
        t.match(early.json, { uuid: slow, status: /pending|scheduled/ });
        await ended(bench, slow);
        const failed = await submit(bench, "status=400");
        await ended(bench, failed);
        const answer = await bench.ask("GET", `/tasks/${failed}?download=true`);
        t.strictSame(answer.json, { uuid: failed, status: "failed" });
        t.match((await bench.ask("GET", `/tasks/${failed}?download=true&detail=1`)).json, { error_message: /./ });
      },
    },
    {
      id: "tasks-flags",
      says: "detail and download are lax booleans; anything else 422",
      check: async (t, bench) => {
        for (const name of ["detail", "download"]) {
          const item = { type: "bool_parsing", loc: ["query", name], input: "maybe" };
          invalid(t, await bench.ask("GET", `/tasks/nobody?${name}=maybe`), item);
        }
        const uuid = await submit(bench);
        t.ok("model" in (await bench.ask("GET", `/tasks/${uuid}?detail=YES`)).json);
        t.notOk("model" in (await bench.ask("GET", `/tasks/${uuid}?detail=off`)).json);
      },
    },
    {
      id: "tasks-failed",
      says: "an answer of 400 or more fails the task; the server's words are lost",
      differs: "status and body (up to 8 KiB) stand in error_message",
      check: async (t, bench) => {
        const task = await ended(bench, await submit(bench, "status=422"));
        t.match(task, { status: "failed", result: null, error_message: /422/ });
        t.match(task, { started_at: ISO_TIME, finished_at: ISO_TIME });
      },
    },
    {
      id: "tasks-training",
      says: "a 202 makes it running with the run's id as tracking_id, and the run's end is the task's",
      check: async (t, bench) => {
        const note = { id: 1, name: "d", text: "new thing", annotations: [] };
        const content = JSON.stringify({ projects: [{ id: 1, name: "p", cuis: "", tuis: "", documents: [note] }] });
        const part = 'Content-Disposition: form-data; name="trainer_export"; filename="e.json"';
        const headers = { "content-type": "multipart/form-data; boundary=b" };
        const body = `--b\r\n${part}\r\nContent-Type: application/json\r\n\r\n${content}\r\n--b--\r\n`;
        const path = "/models/static-one/tasks/train_supervised?epochs=1";
        const { json } = await bench.ask("POST", path, { headers, body });
        const task = await ended(bench, json.uuid);
        t.equal(task.status, "succeeded", task.error_message);
        t.match(task.tracking_id, /./);
        const result = (await bench.ask("GET", `/tasks/${json.uuid}?download=true`)).json;
        hasKeys(t, result, "run", "timing", "metrics", "params", "tags", "artifacts", "error");
        hasKeys(t, result.run, "run_id", "run_name", "experiment_id", "status", "lifecycle_stage", "internal_url");
        t.match(result, { run: { run_id: task.tracking_id, status: "FINISHED" }, error: null });
        hasKeys(t, result.timing, "started_at", "finished_at", "duration_seconds");
        hasKeys(t, result.artifacts, "artifact_uri");
      },
    },
  ],
};
