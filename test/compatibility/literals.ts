/** Words on the wire that existing tests and clients compare (reference cmg-api 1.4). */
import type { Answer } from "./client.js";
import type { Row, Table } from "./table.js";

const detailOf = ({ json }: Answer) => String(json?.detail);
const TEXT = { headers: { "content-type": "text/plain" }, body: "x" };
const UNAVAILABLE = ["not available", "running models", "on-demand models"];

const unavailable: Row[] = [
  ["GET", "/models/nobody/info"],
  ["POST", "/models/nobody/tasks/process"],
].map(([method, path]) => ({
  id: `literal-unavailable-${method!.toLowerCase()}`,
  says: `${method} ${path}: 503 with 'not available', 'running models' and 'on-demand models', in any case`,
  check: async (t, { ask }) => {
    const answer = await ask(method!, path!, method === "POST" ? TEXT : {});
    t.equal(answer.status, 503);
    for (const words of UNAVAILABLE) t.ok(detailOf(answer).toLowerCase().includes(words), words);
  },
}));

export const LITERALS: Table = {
  id: "literals",
  title: "Words that clients compare",
  rows: [
    {
      id: "literal-root",
      says: 'GET /: {"message":"Enter the cult... I mean, the API."}',
      check: async (t, { ask }) =>
        t.strictSame((await ask("GET", "/")).json, { message: "Enter the cult... I mean, the API." }),
    },
    {
      id: "literal-tasks",
      says: "GET /tasks/: 403, Only admins can list tasks",
      check: async (t, { ask }) => t.equal(detailOf(await ask("GET", "/tasks/")), "Only admins can list tasks"),
    },
    {
      id: "literal-task",
      says: "GET /tasks/{uuid}: 404, Task '<uuid>' not found",
      check: async (t, { ask }) => t.equal(detailOf(await ask("GET", "/tasks/some-id")), "Task 'some-id' not found"),
    },
    {
      id: "literal-unknown-task",
      says: "an unknown task: Task '<task>' not found. Supported tasks are: …",
      check: async (t, { ask }) => {
        const answer = await ask("POST", "/models/static-one/tasks/nonsense", TEXT);
        t.equal(answer.status, 404);
        t.match(detailOf(answer), /Task 'nonsense' not found\. Supported tasks are: info, process, process_jsonl, /);
      },
    },
    {
      id: "literal-accepted",
      says: 'an accepted task: {"uuid":"<uuid4>","status":"Task submitted successfully"}',
      check: async (t, { ask }) => {
        const { json } = await ask("POST", "/models/static-one/tasks/process", TEXT);
        t.match(json, { uuid: /^[0-9a-f-]{36}$/, status: "Task submitted successfully" });
      },
    },
    {
      id: "literal-already-running",
      says: "deploying a running name: 409, already running",
      check: async (t, bench) => {
        const answer = await bench.deploy("static-one");
        t.equal(answer.status, 409);
        t.match(detailOf(answer), /already running/i);
      },
    },
    {
      id: "literal-already-exists",
      says: "a configuration that is there: 409, already exists",
      check: async (t, bench) => {
        await bench.create("there");
        const answer = await bench.create("there", { replace_enabled: false });
        t.equal(answer.status, 409);
        t.match(detailOf(answer), /already exists/i);
      },
    },
    {
      id: "literal-uri-required",
      says: "a configuration without URI: 400, model_uri is required",
      check: async (t, { ask }) => {
        const answer = await ask("POST", "/admin/on-demand", { json: { model_name: "bare" } });
        t.equal(answer.status, 400);
        t.match(detailOf(answer), /model_uri is required/i);
      },
    },
    ...unavailable,
    {
      id: "literal-names",
      says: "name and URI rules: Invalid model name, Service name too long, Model URI cannot be empty",
      check: async (t, { ask }) => {
        const create = async (model_name: string, model_uri: string) =>
          detailOf(await ask("POST", "/admin/on-demand", { json: { model_name, model_uri } }));
        t.match(await create("-", "u"), /Invalid model name/);
        t.match(await create("n".repeat(256), "u"), /Service name too long/);
        t.match(await create("fine", " "), /Model URI cannot be empty/);
      },
    },
  ],
};
