/** Tasks on models (reference cmg-api 1.8). */
import { hasKeys, invalid, refused } from "./answers.js";
import type { Bench } from "./bench.js";
import type { Row, Table } from "./table.js";

const BASE = "/models/static-one/tasks";
const text = (body: string) => ({ headers: { "content-type": "text/plain" }, body });
const finalOf = async ({ ask }: Bench, uuid: string) => (await ask("GET", `/tasks/${uuid}?detail=true&wait=15`)).json;

/** CMG's table, written out once more: task, method, path, media type, whether it gets the task's id as tracking_id. */
const TASKS = `
info GET /info application/json -
process POST /process text/plain -
process_jsonl POST /process_jsonl application/x-ndjson -
process_bulk POST /process_bulk application/json -
process_bulk_file POST /process_bulk_file multipart/form-data -
redact POST /redact text/plain -
redact_with_encryption POST /redact_with_encryption application/json -
preview POST /preview text/plain -
preview_trainer_export POST /preview_trainer_export multipart/form-data -
train_supervised POST /train_supervised multipart/form-data yes
train_unsupervised POST /train_unsupervised multipart/form-data yes
train_unsupervised_with_hf_hub_dataset POST /train_unsupervised_with_hf_hub_dataset multipart/form-data yes
train_metacat POST /train_metacat multipart/form-data yes
evaluate POST /evaluate multipart/form-data yes
sanity-check POST /sanity-check multipart/form-data -
iaa-scores POST /iaa-scores multipart/form-data -
concat_trainer_exports POST /concat_trainer_exports multipart/form-data -
annotation-stats POST /annotation-stats multipart/form-data -
`
  .trim()
  .split("\n")
  .map((line) => line.split(" ") as [task: string, method: string, path: string, type: string, tracked: string]);

/** Each task is sent as text/plain, which every one of them takes, and arrives where the table says. */
const eachTask: Row[] = TASKS.map(([task, method, path, type, tracked]) => ({
  id: `task-${task}`,
  says: `${task}: ${method} ${path}, ${type}${tracked === "yes" ? ", with the task's uuid as tracking_id" : ""}`,
  check: async (t, bench) => {
    const wrong = type === "application/json" ? "application/x-ndjson" : "application/json";
    const refusal = await bench.ask("POST", `${BASE}/${task}`, { headers: { "content-type": wrong }, body: "{}" });
    refused(t, refusal, 400, new RegExp(type.replace("/", "\\/")));
    const before = (await bench.server.requests()).length;
    const { status, json } = await bench.ask("POST", `${BASE}/${task}?tracking_id=from-client`, text("x"));
    t.equal(status, 200);
    hasKeys(t, json, "uuid", "status");
    await finalOf(bench, json.uuid);
    const arrived = (await bench.server.requests()).slice(before).filter((each) => each.url.split("?")[0] === path);
    t.equal(arrived[0]?.method, method);
    t.equal(arrived[0]?.trackingId, tracked === "yes" ? json.uuid : "from-client");
  },
}));

export const MODEL_TASKS: Table = {
  id: "model-tasks",
  title: "Tasks on models",
  rows: [
    {
      id: "task-answer",
      says: "200 (not 202) with uuid (version 4) and status Task submitted successfully",
      check: async (t, { ask }) => {
        const { status, json } = await ask("POST", `${BASE}/process`, text("Seen on 3 March 2021"));
        t.equal(status, 200);
        t.match(json, {
          uuid: /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
          status: "Task submitted successfully",
        });
        hasKeys(t, json, "uuid", "status");
      },
    },
    ...eachTask,
    {
      id: "task-unavailable",
      says: "a model that cannot be had: 503, before everything else",
      check: async (t, { ask }) => {
        const words = [/not available/i, /running models/i, /on-demand models/i];
        refused(t, await ask("POST", "/models/nobody/tasks/process", text("x")), 503, ...words);
      },
    },
    {
      id: "task-content-type-missing",
      says: "no content type: 422 with two identical items of type missing",
      differs: "one item is enough",
      check: async (t, { ask }) => {
        const item = { type: "missing", loc: ["header", "content-type"], input: null };
        invalid(t, await ask("POST", `${BASE}/process`, { body: "x" }), item);
      },
    },
    {
      id: "task-unknown",
      says: "an unknown task: 404 with the names of all of them, in their order",
      check: async (t, { ask }) => {
        const answer = await ask("POST", `${BASE}/nonsense`, text("x"));
        const names = TASKS.map(([task]) => task).join(", ");
        refused(t, answer, 404);
        t.ok(answer.json.detail.includes(`Task 'nonsense' not found. Supported tasks are: ${names}`), answer.text);
      },
    },
    {
      id: "task-media-type",
      says: "media types: before the first ';', blanks trimmed; upper case is refused with 400",
      differs: "media types compare without case, as HTTP says",
      check: async (t, { ask }) => {
        for (const type of ["text/plain; charset=utf-8", "text/plain ;x=y", "Text/PLAIN"]) {
          const answer = await ask("POST", `${BASE}/process`, { headers: { "content-type": type }, body: "x" });
          t.equal(answer.status, 200, type);
        }
        refused(t, await ask("POST", `${BASE}/process`, { headers: { "content-type": "text/html" }, body: "x" }), 400);
      },
    },
    {
      id: "task-query",
      says: "query parameters go to the model server; of a repeated one only the last",
      differs: "they arrive as they were sent, repeated ones too",
      check: async (t, bench) => {
        const query = "concepts_to_keep=a&concepts_to_keep=b%20c&mask=%2A";
        const { json } = await bench.ask("POST", `${BASE}/redact?${query}`, text("Seen by Dr Khan"));
        await finalOf(bench, json.uuid);
        t.ok((await bench.server.requests()).some(({ url }) => url === `/redact?${query}`));
      },
    },
    {
      id: "task-json-bytes",
      says: "JSON is parsed and written anew; JSON that is none answers 500 and leaves a task that waits for ever",
      differs:
        "the bytes arrive unchanged; wrong JSON is the model server's to refuse, and its words stand in the task",
      check: async (t, bench) => {
        const headers = { "content-type": "application/json" };
        const body = '[ "Caf\u00e9" , "Dr Khan"]';
        const good = await bench.ask("POST", `${BASE}/process_bulk`, { headers, body });
        t.match(await finalOf(bench, good.json.uuid), { status: "succeeded" });
        const seen = (await bench.server.requests()).filter(({ url }) => url === "/process_bulk");
        t.equal(seen.at(-1)?.bytes, Buffer.byteLength(body));
        const bad = await bench.ask("POST", `${BASE}/process_bulk`, { headers, body: '["cut' });
        t.equal(bad.status, 200);
        const task = await finalOf(bench, bad.json.uuid);
        t.match(task, { status: "failed", error_message: /\b4\d\d\b/ });
      },
    },
    {
      id: "task-form-bytes",
      says: "a form is taken apart and built anew: part types are lost, files of one name collapse",
      differs: "its bytes arrive unchanged, boundary and all",
      check: async (t, bench) => {
        const part = (text: string) =>
          `--b\r\nContent-Disposition: form-data; name="multi_text_file"; filename="same.json"\r\nContent-Type: application/json\r\n\r\n["${text}"]\r\n`;
        const body = `${part("one")}${part("two")}--b--\r\n`;
        const headers = { "content-type": "multipart/form-data; boundary=b" };
        const { json } = await bench.ask("POST", `${BASE}/process_bulk_file`, { headers, body });
        await finalOf(bench, json.uuid);
        const seen = (await bench.server.requests()).filter(({ url }) => url === "/process_bulk_file");
        t.equal(seen.at(-1)?.bytes, Buffer.byteLength(body));
      },
    },
    {
      id: "task-empty-body",
      says: "an empty body is sent on as it is",
      check: async (t, bench) => {
        const { status, json } = await bench.ask("POST", `${BASE}/process`, text(""));
        t.equal(status, 200);
        t.match((await finalOf(bench, json.uuid)).status, /succeeded|failed/);
      },
    },
    {
      id: "task-headers",
      says: "of the client's headers only the content type reaches the model server",
      differs: "authorization and the rest of them arrive too: a model server may ask for its own token",
      check: async (t, bench) => {
        const headers = { "content-type": "text/plain", "x-misbehave": "status=418" };
        const { json } = await bench.ask("POST", `${BASE}/process`, { headers, body: "x" });
        t.match(await finalOf(bench, json.uuid), { status: "failed", error_message: /418/ });
      },
    },
  ],
};
