/** Every method of CogStack Model Gateway's Python client: its request as httpx sends it (reference cmg-api 6.2). */
import { hasKeys, refused } from "./answers.js";
import type { Bench } from "./bench.js";
import type { Answer, Ask } from "./client.js";
import type { Table } from "./table.js";

const HTTPX = {
  accept: "*/*",
  "accept-encoding": "gzip, deflate",
  connection: "keep-alive",
  "user-agent": "python-httpx/0.28.1",
};

/** A request as httpx sends it: its own headers, nulls in JSON. */
function send({ ask }: Bench, method: string, path: string, more: Ask = {}): Promise<Answer> {
  const empty =
    method === "POST" && more.json === undefined && more.body === undefined ? { "content-length": "0" } : {};
  return ask(method, path, { ...more, headers: { ...HTTPX, ...empty, ...more.headers } });
}

/** `wait_for_task` and `get_task_result`: polls as the client does. */
async function result(bench: Bench, submitted: Answer): Promise<Answer> {
  const { uuid } = submitted.json;
  await bench.until("it is final", async () => {
    const task = await send(bench, "GET", `/tasks/${uuid}?detail=true&download=false`);
    return ["succeeded", "failed"].includes(task.json.status);
  });
  return send(bench, "GET", `/tasks/${uuid}?detail=false&download=true`);
}

const TEXT = "Seen on 3 March 2021 by Dr Khan, tel 020 7946 0958";
const MODEL = "/models/static-one";
const text = (body: string): Ask => ({ headers: { "content-type": "text/plain" }, body });

const BOUNDARY = "4d2f8c1e6b7a49d0b0c3a1f2e5d6c7b8";

function trainerExport(id: number): string {
  const documents = [{ id, name: `d${id}`, text: "new thing", annotations: [] }];
  return JSON.stringify({ projects: [{ id, name: `p${id}`, cuis: "", tuis: "", documents }] });
}

const FILES = { "one.json": trainerExport(1), "two.json": trainerExport(2) };

/** A form as httpx writes it: fields first, then files. */
function form(field: string, files: Readonly<Record<string, string>>, fields: Readonly<Record<string, string>>): Ask {
  const parts = [
    ...Object.entries(fields).map(([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}`),
    ...Object.entries(files).map(
      ([name, content]) =>
        `Content-Disposition: form-data; name="${field}"; filename="${name}"\r\nContent-Type: application/json\r\n\r\n${content}`,
    ),
  ];
  const body = `${parts.map((part) => `--${BOUNDARY}\r\n${part}\r\n`).join("")}--${BOUNDARY}--\r\n`;
  return { headers: { "content-type": `multipart/form-data; boundary=${BOUNDARY}` }, body };
}

const ON_DEMAND = "/admin/on-demand";
const CREATE = {
  model_name: "py",
  tracking_id: null,
  model_uri: "models:/py/1",
  idle_ttl: null,
  description: null,
  deploy: null,
  replace_enabled: true,
  inherit_config: true,
};
const UPDATE = {
  tracking_id: null,
  model_uri: null,
  idle_ttl: 60,
  description: null,
  deploy: null,
  clear_tracking_id: false,
  clear_idle_ttl: false,
  clear_description: false,
  clear_deploy: false,
};

export const PYTHON_CLIENT: Table = {
  id: "python-client",
  title: "The Python client, method by method",
  rows: [
    {
      id: "client-process",
      says: "process(text): POST …/tasks/process as text/plain, polled, its result read as JSON",
      check: async (t, bench) => {
        const submitted = await send(bench, "POST", `${MODEL}/tasks/process`, text(TEXT));
        t.equal(submitted.status, 200);
        const { json } = await result(bench, submitted);
        t.match(json, { text: TEXT, annotations: [{}, {}, {}] });
      },
    },
    {
      id: "client-process-bulk",
      says: "process_bulk(texts): a JSON array",
      check: async (t, bench) => {
        const submitted = await send(bench, "POST", `${MODEL}/tasks/process_bulk`, { json: [TEXT, "none"] });
        t.match((await result(bench, submitted)).json, [{ text: TEXT }, { text: "none" }]);
      },
    },
    {
      id: "client-redact",
      says: "redact(text, …): options as query parameters, concepts_to_keep repeated",
      check: async (t, bench) => {
        const query = "concepts_to_keep=a&concepts_to_keep=b&warn_on_no_redaction=true&mask=***&hash=false";
        const submitted = await send(bench, "POST", `${MODEL}/tasks/redact?${query}`, text(TEXT));
        const answer = await result(bench, submitted);
        t.equal(answer.status, 200);
        t.notMatch(answer.text, /Khan/);
      },
    },
    {
      id: "client-train-supervised",
      says: "train_supervised(paths, …): a part trainer_export for each path, description as a field, the rest in the query",
      check: async (t, bench) => {
        const query = "epochs=1&test_size=0.2&early_stopping_patience=-1&log_frequency=1";
        const body = form("trainer_export", FILES, { description: "by client" });
        const submitted = await send(bench, "POST", `${MODEL}/tasks/train_supervised?${query}`, body);
        t.equal(submitted.status, 200);
        t.match((await result(bench, submitted)).json, { run: { status: "FINISHED" } });
      },
    },
    {
      id: "client-train-unsupervised",
      says: "train_unsupervised(paths, …): the same with training_data",
      check: async (t, bench) => {
        const query = "epochs=1&test_size=0.2&log_frequency=1";
        const body = form("training_data", { "notes.json": JSON.stringify([TEXT]) }, {});
        const submitted = await send(bench, "POST", `${MODEL}/tasks/train_unsupervised?${query}`, body);
        t.equal(submitted.status, 200);
        await result(bench, submitted);
        const task = await send(bench, "GET", `/tasks/${submitted.json.uuid}?detail=true&download=false`);
        t.match(task.json.status, /succeeded|failed/);
      },
    },
    {
      id: "client-get-task",
      says: "get_task(uuid, detail): GET /tasks/<uuid>?detail=…&download=false",
      check: async (t, bench) => {
        const { json } = await send(bench, "POST", `${MODEL}/tasks/process`, text(TEXT));
        const brief = await send(bench, "GET", `/tasks/${json.uuid}?detail=false&download=false`);
        hasKeys(t, brief.json, "uuid", "status");
        const whole = await send(bench, "GET", `/tasks/${json.uuid}?detail=true&download=false`);
        t.ok("error_message" in whole.json && "tracking_id" in whole.json, "nulls included");
      },
    },
    {
      id: "client-failed",
      says: "a failed task: status failed and an error_message, which TaskFailedError carries",
      check: async (t, bench) => {
        const headers = { "content-type": "text/plain", "x-misbehave": "status=400" };
        const submitted = await send(bench, "POST", `${MODEL}/tasks/process`, { headers, body: TEXT });
        await result(bench, submitted);
        const task = await send(bench, "GET", `/tasks/${submitted.json.uuid}?detail=true&download=false`);
        t.match(task.json, { status: "failed", error_message: /400/ });
      },
    },
    {
      id: "client-get-models",
      says: "get_models(verbose): GET /models/?verbose=…",
      check: async (t, bench) => {
        for (const verbose of ["false", "true"]) {
          const { status, json } = await send(bench, "GET", `/models/?verbose=${verbose}`);
          t.equal(status, 200);
          hasKeys(t, json, "running", "on_demand");
        }
      },
    },
    {
      id: "client-get-model",
      says: "get_model(name, verbose): GET /models/<name>?verbose=…",
      check: async (t, bench) => {
        const { json } = await send(bench, "GET", `${MODEL}?verbose=false`);
        t.match(json, { name: "static-one", is_running: true });
        t.match((await send(bench, "GET", `${MODEL}?verbose=true`)).json, { runtime: { api_version: /./ } });
      },
    },
    {
      id: "client-get-model-info",
      says: "get_model_info(name): GET /models/<name>/info",
      check: async (t, bench) => {
        const { json } = await send(bench, "GET", `${MODEL}/info`);
        for (const key of ["api_version", "model_type", "model_description", "model_card"]) t.ok(key in json, key);
      },
    },
    {
      id: "client-deploy-model",
      says: "deploy_model(name, …): POST /models/<name> with tracking_id, model_uri and ttl, nulls included",
      check: async (t, bench) => {
        const json = { tracking_id: null, model_uri: "models:/by-client/1", ttl: null };
        const answer = await send(bench, "POST", "/models/by-client", { json });
        t.match(answer, { status: 200, json: { container_name: "by-client", ttl: 86_400 } });
        const byRun = { tracking_id: "run-tagged", model_uri: null, ttl: 60 };
        t.match(await send(bench, "POST", "/models/by-run", { json: byRun }), { status: 200, json: { ttl: 60 } });
      },
    },
    {
      id: "client-remove-model",
      says: "remove_model(name, force): DELETE /models/<name>?force=…, 204",
      check: async (t, bench) => {
        await bench.running("by-client");
        t.equal((await send(bench, "DELETE", "/models/by-client?force=false")).status, 204);
        t.equal((await send(bench, "DELETE", "/models/by-run?force=true")).status, 204);
        refused(t, await send(bench, "DELETE", "/models/by-client?force=false"), 404);
      },
    },
    {
      id: "client-create-on-demand",
      says: "create_on_demand_config(…): POST /admin/on-demand with all eight keys, nulls included",
      check: async (t, bench) => {
        const { status, json } = await send(bench, "POST", ON_DEMAND, { json: CREATE });
        t.equal(status, 201);
        t.match(json, { model_name: "py", model_uri: "models:/py/1", idle_ttl: 3600, enabled: true });
        const deploy = { resources: { limits: { memory: "4g", cpus: "2.0" }, reservations: null } };
        const again = await send(bench, "POST", ON_DEMAND, { json: { ...CREATE, deploy, description: "again" } });
        t.match(again, { status: 201, json: { description: "again" } });
      },
    },
    {
      id: "client-list-on-demand",
      says: "list_on_demand_configs(include_disabled): GET /admin/on-demand?include_disabled=…",
      check: async (t, bench) => {
        t.equal((await send(bench, "GET", `${ON_DEMAND}?include_disabled=false`)).json.total, 1);
        t.equal((await send(bench, "GET", `${ON_DEMAND}?include_disabled=true`)).json.total, 2);
      },
    },
    {
      id: "client-get-on-demand",
      says: "get_on_demand_config(name) and get_on_demand_config_history(name)",
      check: async (t, bench) => {
        t.match((await send(bench, "GET", `${ON_DEMAND}/py`)).json, { model_name: "py", enabled: true });
        t.equal((await send(bench, "GET", `${ON_DEMAND}/py/history`)).json.total, 2);
      },
    },
    {
      id: "client-update-on-demand",
      says: "update_on_demand_config(name, …): PUT with all nine keys, nulls included",
      check: async (t, bench) => {
        const first = await send(bench, "PUT", `${ON_DEMAND}/py`, { json: UPDATE });
        t.match(first, { status: 200, json: { idle_ttl: 60, description: "again", model_uri: "models:/py/1" } });
        const json = { ...UPDATE, idle_ttl: null, clear_idle_ttl: true, clear_description: true, clear_deploy: true };
        const second = await send(bench, "PUT", `${ON_DEMAND}/py`, { json });
        t.equal(second.json.idle_ttl, 3600);
        t.notOk("description" in second.json || "deploy" in second.json);
      },
    },
    {
      id: "client-delete-on-demand",
      says: "delete_on_demand_config(name): DELETE, 204",
      check: async (t, bench) => {
        t.equal((await send(bench, "DELETE", `${ON_DEMAND}/py`)).status, 204);
        t.equal((await send(bench, "GET", `${ON_DEMAND}/py`)).status, 404);
      },
    },
    {
      id: "client-enable-on-demand",
      says: "enable_on_demand_config(id): POST …/<id>/enable without body",
      check: async (t, bench) => {
        const { configs } = (await send(bench, "GET", `${ON_DEMAND}/py/history`)).json;
        const answer = await send(bench, "POST", `${ON_DEMAND}/${configs[0].id}/enable`);
        t.match(answer, { status: 200, json: { id: configs[0].id, enabled: true } });
      },
    },
    {
      id: "client-health",
      says: "health_check() and is_healthy(): GET /health, status at the top when all is well",
      check: async (t, bench) => {
        const { status, json } = await send(bench, "GET", "/health");
        t.match({ status, json }, { status: 200, json: { status: "healthy", components: {} } });
      },
    },
    {
      id: "client-no-redirects",
      says: "it follows no redirects: none of its paths answers with one",
      check: async (t, bench) => {
        for (const path of ["/models/?verbose=false", `${MODEL}?verbose=false`, "/health", ON_DEMAND, "/tasks/x"]) {
          t.notOk((await send(bench, "GET", path)).headers.location, path);
        }
      },
    },
  ],
};
