/** Models deployed, started and removed, and on-demand configurations, over the sidecar's own socket and a real model server. */
import type { Readable } from "node:stream";
import t from "tap";
import { readEvents } from "../../../cli/events.js";
import type { ModelEvent } from "../../../core/contract/model-management.js";
import { command } from "../models/support.js";
import { startModelApi } from "./model-rig.js";

const { ask, call } = await startModelApi(t, { discovery: { process: [{ name: "fixed", command: command() }] } });

t.test("a model is deployed, listed, watched, read and removed, as CMG's clients do it", async (t) => {
  const events = await call("GET", "/admin/models/events");
  t.match(events.headers, { "content-type": "text/event-stream", "cache-control": "no-store" });
  const deployed = await ask("POST", "/models/mine/", { model_uri: "models:/mine/1", tracking_id: null, ttl: "3600" });
  t.match(deployed, {
    status: 200,
    json: { model_uri: "models:/mine/1", container_id: /^process-\d+$/, container_name: "mine", ttl: 3600 },
  });
  t.match(deployed.json.message, "mine");
  t.match(await nextOf(events.body, "mine", "ready"), { problem: null, at: /^\d{4}-/ });
  events.body.destroy();
  t.match(await ask("POST", "/models/mine", { model_uri: "models:/mine/1" }), {
    status: 409,
    json: { detail: /already running/ },
  });
  const { running } = (await ask("GET", "/models/?verbose=true")).json;
  t.match(running, [{ name: "mine", uri: "models:/mine/1", is_running: true, deployment_type: "manual" }]);
  const state = (await ask("GET", "/admin/models/mine/")).json;
  t.match(state, { state: "ready", idle_ttl: null, server_id: deployed.json.container_id, expires_at: /\+00:00$/ });
  const removed = await ask("DELETE", "/models/mine?force=no");
  t.match(removed, { status: 204, text: "", headers: { "content-type": "application/json" } });
  t.match(await ask("DELETE", "/models/mine"), { status: 404, json: { detail: /mine/ } });
  t.equal((await ask("DELETE", "/models/mine/?force=true")).status, 204);
  t.equal((await ask("GET", "/models/mine")).status, 404);
});

/** The first event of this model in this state. */
async function nextOf(body: AsyncIterable<Buffer>, model: string, state: string): Promise<ModelEvent> {
  for await (const event of readEvents<ModelEvent>({ [Symbol.asyncIterator]: () => body[Symbol.asyncIterator]() })) {
    if (event.model === model && event.state === state) return event;
  }
  throw new Error("the stream ended");
}

t.test("an operator starts and stops a model; its events begin with the present state", async (t) => {
  const begun = await ask("POST", "/admin/models/fixed/start");
  t.match(begun, { status: 202, json: { name: "fixed", deployment_type: "auto" } });
  const events = await call("GET", "/admin/models/fixed/events/");
  t.match(await nextOf(events.body, "fixed", "ready"), { started_seconds: null });
  events.body.destroy();
  t.match(await ask("POST", "/admin/models/fixed/start/"), { status: 200, json: { state: "ready" } });
  t.match(await ask("POST", "/admin/models/fixed/stop"), { status: 200, json: { state: "absent", server_id: null } });
  const { models } = (await ask("GET", "/admin/models")).json;
  t.match(models, [{ name: "fixed", state: "absent", on_demand: true, expires_at: null }]);
  for (const path of ["/admin/models/nobody", "/admin/models/nobody/events"]) {
    t.match(await ask("GET", path), { status: 404, json: { error: { code: "MODEL_UNKNOWN" } } });
  }
  t.equal((await ask("POST", "/admin/models/nobody/stop")).status, 404);
});

t.test("logs are told on the internal path alone, unless the configuration says so", async (t) => {
  t.equal((await ask("POST", "/models/logged", { model_uri: "u" })).status, 200);
  t.match(await ask("GET", "/admin/models/logged/logs?tail=x"), {
    status: 403,
    json: { error: { code: "LOGS_FORBIDDEN" } },
  });
  const internal = "/internal/models/logged/logs";
  for (const query of ["tail=-1", "tail=10001", "tail=x", "follow=perhaps"]) {
    t.equal((await ask("GET", `${internal}?${query}`)).status, 422, query);
  }
  t.equal((await ask("GET", "/internal/models/nobody/logs")).status, 404);
  const past = await ask("GET", internal);
  t.match(past, { status: 200, headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" } });
  const followed = await call("GET", `${internal}?tail=0&follow=true`);
  t.equal(followed.status, 200, "the head comes though there is no line");
  (followed.body as Readable).destroy();
  t.equal((await ask("DELETE", "/models/logged")).status, 204);
  const allowed = await startModelApi(t, {
    models: { logs_over_http: true, deployment: { driver: "process", process: { command: command() } } },
    discovery: { process: [{ name: "fixed", command: command() }] },
  });
  t.equal((await allowed.ask("GET", "/admin/models/fixed/logs/")).status, 200);
});

t.test("on-demand configurations: seven routes, both forms, CMG's shapes", async (t) => {
  const create = (body: object) => ask("POST", "/admin/on-demand", { model_name: "od", ...body });
  t.same((await ask("GET", "/admin/on-demand/")).json, { configs: [], total: 0 });
  t.match(await create({}), { status: 400, json: { detail: /model_uri is required/ } });
  const first = await create({
    model_uri: " models:/od/1 ",
    tracking_id: null,
    idle_ttl: "60",
    description: "d",
    deploy: { resources: { limits: { memory: "512m", cpus: null }, reservations: null } },
    replace_enabled: "yes",
    inherit_config: 1,
    unknown: "ignored",
  });
  t.match(first, { status: 201, json: { model_uri: "models:/od/1", idle_ttl: 60, enabled: true } });
  t.strictSame(first.json.deploy, { resources: { limits: { memory: "512m" } } });
  t.match(await create({ model_uri: "models:/od/2", replace_enabled: "off" }), {
    status: 409,
    json: { detail: /already exists/ },
  });
  const second = await create({ model_uri: "models:/od/2" });
  t.match(second.json, { description: "d", idle_ttl: 60 }, "taken over");
  t.match((await ask("GET", "/models/od?verbose=1")).json, {
    is_running: false,
    description: "d",
    idle_ttl: 60,
    deployment_type: "auto",
  });
  t.same((await ask("GET", "/admin/on-demand/od/")).json, second.json);
  const history = (await ask("GET", "/admin/on-demand/od/history")).json;
  t.match(history, { total: 2, configs: [{ id: second.json.id }, { id: first.json.id, enabled: false }] });
  t.equal((await ask("GET", "/admin/on-demand?include_disabled=t")).json.total, 2);
  const updated = await ask("PUT", "/admin/on-demand/od", { clear_description: true, clear_deploy: "1", idle_ttl: 90 });
  t.strictSame(
    Object.keys(updated.json).filter((key) => ["description", "deploy"].includes(key)),
    [],
  );
  t.match(updated, { status: 200, json: { id: second.json.id, idle_ttl: 90 } });
  t.match(await ask("POST", `/admin/on-demand/${first.json.id}/enable/`), { status: 200, json: { enabled: true } });
  t.match(await ask("DELETE", "/admin/on-demand/od"), { status: 204, text: "" });
  t.match(await ask("DELETE", "/admin/on-demand/od"), { status: 404, json: { error: { code: "ON_DEMAND_UNKNOWN" } } });
  for (const [method, path] of [
    ["GET", "/admin/on-demand/od"],
    ["GET", "/admin/on-demand/nobody/history"],
    ["PUT", "/admin/on-demand/nobody"],
    ["POST", "/admin/on-demand/999999/enable"],
  ] as const) {
    t.equal((await ask(method, path, method === "PUT" ? { idle_ttl: 5 } : undefined)).status, 404, `${method} ${path}`);
  }
  t.match((await ask("POST", "/admin/on-demand/x/enable")).json.detail, [{ type: "int_parsing", loc: ["path", "id"] }]);
});

t.test("other methods are 405 and name the right ones", async (t) => {
  for (const method of ["HEAD", "OPTIONS"]) {
    t.match(await ask(method, "/models/fixed"), { status: 405, headers: { allow: "GET, POST, DELETE" } });
    t.match(await ask(method, "/admin/on-demand/"), { status: 405, headers: { allow: "GET, POST" } });
    t.match(await ask(method, "/admin/models/fixed/stop"), { status: 405, headers: { allow: "POST" } });
  }
});
