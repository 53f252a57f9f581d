/** Making on-demand configurations (reference cmg-api 1.7, POST /admin/on-demand). */
import { hasKeys, ISO_TIME, invalid, refused } from "./answers.js";
import type { Table } from "./table.js";

const LIMITS = { limits: { memory: "4g", cpus: "2.0" }, reservations: { memory: "512M", cpus: null } };

export const ON_DEMAND_CREATE: Table = {
  id: "on-demand-create",
  title: "On-demand configurations: making them",
  rows: [
    {
      id: "create-answer",
      says: "201 and the configuration: nulls left out, idle_ttl always there, times in UTC with microseconds",
      check: async (t, bench) => {
        const { status, json } = await bench.create("plain");
        t.equal(status, 201);
        hasKeys(t, json, "id", "model_name", "model_uri", "idle_ttl", "enabled", "created_at", "updated_at");
        t.match(json, { model_name: "plain", model_uri: "models:/plain/1", idle_ttl: 3600, enabled: true });
        t.ok(Number.isInteger(json.id));
        t.match(json.created_at, ISO_TIME);
        t.match(json.updated_at, ISO_TIME);
      },
    },
    {
      id: "create-whole",
      says: "every field is kept and shown; inside deploy too nulls are left out",
      check: async (t, bench) => {
        const given = { idle_ttl: 60, description: "whole", tracking_id: "run-tagged", deploy: { resources: LIMITS } };
        const { status, json } = await bench.create("whole", given);
        t.equal(status, 201);
        t.match(json, { model_uri: "models:/whole/1", idle_ttl: 60, description: "whole", tracking_id: "run-tagged" });
        const resources = { limits: { memory: "4g", cpus: "2.0" }, reservations: { memory: "512M" } };
        t.strictSame(json.deploy, { resources });
      },
    },
    {
      id: "create-name-required",
      says: "without model_name: 422 missing, with the whole body as input",
      check: async (t, { ask }) => {
        const json = { model_uri: "models:/m/1" };
        const item = { type: "missing", loc: ["body", "model_name"], input: json };
        invalid(t, await ask("POST", "/admin/on-demand", { json }), item);
      },
    },
    {
      id: "create-body-required",
      says: "without a body: 422 missing",
      check: async (t, { ask }) => {
        invalid(t, await ask("POST", "/admin/on-demand"), { type: "missing", loc: ["body"], input: null });
      },
    },
    {
      id: "create-no-uri",
      says: "without a reference: 400, model_uri is required",
      check: async (t, { ask }) => {
        const create = (json: object) => ask("POST", "/admin/on-demand", { json: { model_name: "no-uri", ...json } });
        refused(t, await create({}), 400, /model_uri is required/i);
        refused(t, await create({ model_uri: null, tracking_id: null }), 400, /model_uri is required/i);
        refused(t, await create({ model_uri: "", tracking_id: "" }), 400);
        refused(t, await create({ model_uri: "" }), 400);
      },
    },
    {
      id: "create-blank-uri",
      says: "a model_uri of blanks: 400, Model URI cannot be empty; blanks around one are removed",
      check: async (t, bench) => {
        refused(t, await bench.create("blank", { model_uri: "   " }), 400, /Model URI cannot be empty/);
        t.match((await bench.create("blank", { model_uri: "  models:/b/1\t" })).json, { model_uri: "models:/b/1" });
      },
    },
    {
      id: "create-tracking",
      says: "a tracking_id alone sets both; one that cannot be resolved: 404",
      check: async (t, { ask }) => {
        const create = (json: object) => ask("POST", "/admin/on-demand", { json: { model_name: "by-run", ...json } });
        const both = { tracking_id: "run-tagged", model_uri: "models:/tagged/3" };
        t.match(await create({ tracking_id: "run-tagged" }), { status: 201, json: both });
        refused(t, await create({ tracking_id: "run-nowhere" }), 404);
        refused(t, await create({ tracking_id: "run-two" }), 404);
        t.match((await ask("GET", "/admin/on-demand/by-run")).json, both, "and nothing has changed");
      },
    },
    {
      id: "create-both",
      says: "with both references the URI is taken as it is and the tracking_id kept",
      check: async (t, bench) => {
        const given = { tracking_id: "run-nowhere", model_uri: "models:/x/1" };
        t.match(await bench.create("both", given), { status: 201, json: given });
      },
    },
    {
      id: "create-idle-ttl",
      says: "idle_ttl: a whole number above 0, else 422",
      check: async (t, bench) => {
        const loc = ["body", "idle_ttl"];
        const ctx = { gt: 0 };
        for (const input of [0, -1]) {
          invalid(t, await bench.create("idle", { idle_ttl: input }), { type: "greater_than", loc, input, ctx });
        }
        invalid(t, await bench.create("idle", { idle_ttl: 0.5 }), { type: "int_from_float", loc, input: 0.5 });
        invalid(t, await bench.create("idle", { idle_ttl: "x" }), { type: "int_parsing", loc, input: "x" });
        t.equal((await bench.create("idle", { idle_ttl: "90" })).json.idle_ttl, 90);
      },
    },
    {
      id: "create-description",
      says: "an empty description is kept and shown; a number is 422",
      check: async (t, bench) => {
        t.equal((await bench.create("described", { description: "" })).json.description, "");
        const item = { type: "string_type", loc: ["body", "description"], input: 7 };
        invalid(t, await bench.create("described", { description: 7 }), item);
      },
    },
    {
      id: "create-flags",
      says: "replace_enabled and inherit_config are lax booleans; null is 422",
      check: async (t, bench) => {
        for (const flag of ["replace_enabled", "inherit_config"]) {
          const loc = ["body", flag];
          invalid(t, await bench.create("flags", { [flag]: null }), { type: "bool_type", loc, input: null });
          invalid(t, await bench.create("flags", { [flag]: "maybe" }), { type: "bool_parsing", loc, input: "maybe" });
          for (const word of [true, "yes", 1, "ON"]) {
            t.equal((await bench.create("flags", { [flag]: word })).status, 201, `${flag} ${word}`);
          }
        }
      },
    },
    {
      id: "create-memory",
      says: "memory: digits, decimal part, one letter k, m or g; anything else 422 value_error",
      check: async (t, bench) => {
        const deploy = (memory: unknown) => ({ deploy: { resources: { limits: { memory } } } });
        for (const good of ["512m", "4g", "1.5G", "1024", "64K", null]) {
          t.equal((await bench.create("memory", deploy(good))).status, 201, String(good));
        }
        const loc = ["body", "deploy", "resources", "limits", "memory"];
        for (const input of ["4gb", "-1g", "4 g", "", "g", "+4g", "4g\n", "1e3"]) {
          const item = { type: "value_error", loc, input, ctx: { error: {} } };
          invalid(t, await bench.create("memory", deploy(input)), item);
        }
        invalid(t, await bench.create("memory", deploy(4)), { type: "string_type", loc, input: 4 });
      },
    },
    {
      id: "create-cpus",
      says: "cpus: any text, looked at when a server is started; a number is 422",
      check: async (t, bench) => {
        const deploy = (cpus: unknown) => ({ deploy: { resources: { limits: { cpus } } } });
        t.equal((await bench.create("cpus", deploy("1.5"))).json.deploy.resources.limits.cpus, "1.5");
        const loc = ["body", "deploy", "resources", "limits", "cpus"];
        invalid(t, await bench.create("cpus", deploy(2)), { type: "string_type", loc, input: 2 });
      },
    },
    {
      id: "create-inherit",
      says: "inherit_config: what is null comes from the enabled configuration of that name",
      check: async (t, bench) => {
        const first = { idle_ttl: 50, description: "old", deploy: { resources: LIMITS } };
        const old = (await bench.create("heir", first)).json;
        const { status, json } = await bench.ask("POST", "/admin/on-demand", {
          json: { model_name: "heir", description: "new", idle_ttl: null },
        });
        t.equal(status, 201);
        t.match(json, { model_uri: "models:/heir/1", idle_ttl: 50, description: "new" });
        t.strictSame(json.deploy, old.deploy);
        t.not(json.id, old.id, "a new version");
      },
    },
    {
      id: "create-inherit-tracking",
      says: "giving only model_uri keeps the old tracking_id",
      differs: "a new model_uri alone clears the tracking_id: the old run says nothing of the new model",
      check: async (t, bench) => {
        await bench.create("cleared", { tracking_id: "run-tagged" });
        const { json } = await bench.create("cleared", { model_uri: "models:/other/2" });
        t.match(json, { model_uri: "models:/other/2" });
        t.notOk("tracking_id" in json);
      },
    },
    {
      id: "create-no-inherit",
      says: "inherit_config false: nothing is taken over, so a URI must be given",
      check: async (t, bench) => {
        await bench.create("orphan", { idle_ttl: 50, description: "old" });
        const json = { model_name: "orphan", inherit_config: false };
        refused(t, await bench.ask("POST", "/admin/on-demand", { json }), 400, /model_uri is required/i);
        const fresh = (await bench.create("orphan", { inherit_config: false })).json;
        t.equal(fresh.idle_ttl, 3600);
        t.notOk("description" in fresh);
      },
    },
    {
      id: "create-empty-deploy",
      says: "deploy {} counts as given: the new version has none",
      check: async (t, bench) => {
        await bench.create("bare", { deploy: { resources: LIMITS } });
        t.notOk("deploy" in (await bench.create("bare", { deploy: {} })).json);
      },
    },
    {
      id: "create-409",
      says: "an enabled configuration and replace_enabled false: 409, already exists",
      check: async (t, bench) => {
        await bench.create("taken");
        refused(t, await bench.create("taken", { replace_enabled: false }), 409, /already exists/i, /taken/);
        t.equal((await bench.create("free", { replace_enabled: false })).status, 201);
      },
    },
    {
      id: "create-replaces",
      says: "else the old version is disabled, its updated_at changed, and the new one enabled under a new id",
      check: async (t, bench) => {
        const old = (await bench.create("replaced")).json;
        const fresh = (await bench.create("replaced", { model_uri: "models:/replaced/2" })).json;
        t.not(fresh.id, old.id);
        const { configs } = (await bench.ask("GET", "/admin/on-demand/replaced/history")).json;
        t.match(configs, [
          { id: fresh.id, enabled: true },
          { id: old.id, enabled: false, created_at: old.created_at },
        ]);
        t.ok(configs[1].updated_at > old.updated_at);
      },
    },
    {
      id: "create-race",
      says: "of concurrent creates one is enabled in the end; the others fail with a plain 500",
      differs: "each of them succeeds in its turn: 201, or 409 with replace_enabled false",
      check: async (t, bench) => {
        const all = await Promise.all([1, 2, 3, 4].map(() => bench.create("crowd")));
        t.strictSame(
          all.map(({ status }) => status),
          [201, 201, 201, 201],
        );
        const { configs, total } = (await bench.ask("GET", "/admin/on-demand/crowd/history")).json;
        t.equal(total, 4);
        t.equal(configs.filter((each: { enabled: boolean }) => each.enabled).length, 1);
        const few = await Promise.all([1, 2, 3].map(() => bench.create("crowd-2", { replace_enabled: false })));
        t.strictSame(few.map(({ status }) => status).sort(), [201, 409, 409]);
      },
    },
  ],
};
