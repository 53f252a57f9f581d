/** Reading, changing, disabling and enabling on-demand configurations (reference cmg-api 1.7). */
import { hasKeys, ISO_TIME, invalid, refused } from "./answers.js";
import type { Bench } from "./bench.js";
import type { Table } from "./table.js";

const BASE = "/admin/on-demand";
const put = ({ ask }: Bench, name: string, json: object) => ask("PUT", `${BASE}/${name}`, { json });
const names = (list: { configs: { model_name: string }[] }) => list.configs.map((each) => each.model_name);

export const ON_DEMAND_CHANGE: Table = {
  id: "on-demand-change",
  title: "On-demand configurations: reading and changing them",
  rows: [
    {
      id: "list-empty",
      says: "GET /admin/on-demand without any: an empty list and total 0",
      check: async (t, { ask }) => t.strictSame((await ask("GET", BASE)).json, { configs: [], total: 0 }),
    },
    {
      id: "list-enabled",
      says: "the enabled ones, by name, and how many they are; include_disabled adds the others",
      check: async (t, bench) => {
        for (const name of ["b-two", "a-one", "c-three", "b-two"]) await bench.create(name);
        await bench.ask("DELETE", `${BASE}/c-three`);
        const list = (await bench.ask("GET", BASE)).json;
        hasKeys(t, list, "configs", "total");
        t.strictSame([names(list), list.total], [["a-one", "b-two"], 2]);
        const all = (await bench.ask("GET", `${BASE}?include_disabled=true`)).json;
        t.strictSame([names(all), all.total], [["a-one", "b-two", "b-two", "c-three"], 4]);
      },
    },
    {
      id: "list-422",
      says: "include_disabled is a lax boolean; anything else 422",
      check: async (t, { ask }) => {
        for (const word of ["on", "YES", "1"]) {
          t.equal((await ask("GET", `${BASE}?include_disabled=${word}`)).json?.total, 4, word);
        }
        const item = { type: "bool_parsing", loc: ["query", "include_disabled"], input: "2" };
        invalid(t, await ask("GET", `${BASE}?include_disabled=2`), item);
      },
    },
    {
      id: "get-config",
      says: "GET one: the enabled configuration; 404 where none is enabled",
      check: async (t, { ask }) => {
        const { status, json } = await ask("GET", `${BASE}/a-one`);
        t.equal(status, 200);
        hasKeys(t, json, "id", "model_name", "model_uri", "idle_ttl", "enabled", "created_at", "updated_at");
        refused(t, await ask("GET", `${BASE}/c-three`), 404, /c-three/);
        refused(t, await ask("GET", `${BASE}/nobody`), 404, /nobody/);
      },
    },
    {
      id: "get-history",
      says: "history: all versions, newest first; 404 only for a name there never was",
      check: async (t, { ask }) => {
        const { configs, total } = (await ask("GET", `${BASE}/b-two/history`)).json;
        t.equal(total, 2);
        t.ok(configs[0].created_at > configs[1].created_at);
        t.strictSame([configs[0].enabled, configs[1].enabled], [true, false]);
        t.equal((await ask("GET", `${BASE}/c-three/history`)).json.total, 1, "also when none is enabled");
        refused(t, await ask("GET", `${BASE}/nobody/history`), 404, /nobody/);
      },
    },
    {
      id: "update-in-place",
      says: "PUT changes what is given, in place: same id, same created_at, no new version",
      check: async (t, bench) => {
        const old = (await bench.create("changed", { idle_ttl: 10, description: "old" })).json;
        const { status, json } = await put(bench, "changed", { idle_ttl: 20, description: null });
        t.equal(status, 200);
        t.match(json, { ...old, idle_ttl: 20, description: "old", updated_at: ISO_TIME });
        t.equal((await bench.ask("GET", `${BASE}/changed/history`)).json.total, 1);
      },
    },
    {
      id: "update-empty",
      says: "{} changes nothing but updated_at; a body there must be",
      check: async (t, bench) => {
        const old = (await bench.ask("GET", `${BASE}/changed`)).json;
        const { json } = await put(bench, "changed", {});
        t.ok(json.updated_at > old.updated_at);
        t.strictSame({ ...json, updated_at: "" }, { ...old, updated_at: "" });
        invalid(t, await bench.ask("PUT", `${BASE}/changed`), { type: "missing", loc: ["body"], input: null });
      },
    },
    {
      id: "update-404",
      says: "no enabled configuration: 404; a reference that cannot be resolved is told before that",
      check: async (t, bench) => {
        refused(t, await put(bench, "nobody", { idle_ttl: 5 }), 404, /nobody/);
        refused(t, await put(bench, "c-three", {}), 404, /c-three/);
        refused(t, await put(bench, "nobody", { tracking_id: "run-nowhere" }), 404, /run-nowhere/);
      },
    },
    {
      id: "update-clear",
      says: "the clear flags win over given values; clear_idle_ttl sets the default",
      check: async (t, bench) => {
        const deploy = { resources: { limits: { memory: "1g" } } };
        await bench.create("clear", { tracking_id: "run-tagged", idle_ttl: 5, description: "d", deploy });
        const { json } = await put(bench, "clear", {
          description: "given",
          clear_description: true,
          clear_tracking_id: "yes",
          clear_idle_ttl: 1,
          clear_deploy: true,
        });
        hasKeys(t, json, "id", "model_name", "model_uri", "idle_ttl", "enabled", "created_at", "updated_at");
        t.equal(json.idle_ttl, 3600);
      },
    },
    {
      id: "update-tracking",
      says: "a tracking_id alone also replaces model_uri",
      check: async (t, bench) => {
        await bench.create("rerun");
        const both = { tracking_id: "run-tagged", model_uri: "models:/tagged/3" };
        t.match(await put(bench, "rerun", { tracking_id: "run-tagged" }), { status: 200, json: both });
      },
    },
    {
      id: "update-uri",
      says: "a model_uri alone keeps the old tracking_id",
      differs: "it clears the tracking_id: the old run says nothing of the new model",
      check: async (t, bench) => {
        const { json } = await put(bench, "rerun", { model_uri: "models:/other/1" });
        t.equal(json.model_uri, "models:/other/1");
        t.notOk("tracking_id" in json);
      },
    },
    {
      id: "update-blank-uri",
      says: "a model_uri of blanks is stored; an empty one 400",
      differs: "both are 400: a model of that URI could never start",
      check: async (t, bench) => {
        refused(t, await put(bench, "changed", { model_uri: "  " }), 400);
        refused(t, await put(bench, "changed", { model_uri: "" }), 400);
        t.equal((await bench.ask("GET", `${BASE}/changed`)).json.model_uri, "models:/changed/1");
      },
    },
    {
      id: "update-deploy",
      says: "deploy is replaced as a whole; {} is stored and shown as {}",
      check: async (t, bench) => {
        const deploy = { resources: { limits: { memory: "1g" } } };
        t.strictSame((await put(bench, "changed", { deploy })).json.deploy, deploy);
        t.strictSame((await put(bench, "changed", { deploy: null })).json.deploy, deploy, "null keeps it");
        t.strictSame((await put(bench, "changed", { deploy: {} })).json.deploy, {});
      },
    },
    {
      id: "update-422",
      says: "the same field rules as for create; the clear flags take no null",
      check: async (t, bench) => {
        const ttl = { type: "greater_than", loc: ["body", "idle_ttl"], input: 0, ctx: { gt: 0 } };
        invalid(t, await put(bench, "changed", { idle_ttl: 0 }), ttl);
        const flag = { type: "bool_type", loc: ["body", "clear_deploy"], input: null };
        invalid(t, await put(bench, "changed", { clear_deploy: null }), flag);
        invalid(t, await put(bench, "nobody", { clear_deploy: null }), flag);
      },
    },
    {
      id: "delete-config",
      says: "DELETE: 204, the configuration is disabled; 404 where none is enabled; the history stays",
      check: async (t, bench) => {
        await bench.create("gone");
        const answer = await bench.ask("DELETE", `${BASE}/gone`);
        t.strictSame([answer.status, answer.text], [204, ""]);
        refused(t, await bench.ask("DELETE", `${BASE}/gone`), 404, /gone/);
        t.match((await bench.ask("GET", `${BASE}/gone/history`)).json.configs, [{ enabled: false }]);
        t.equal((await bench.ask("GET", "/models/gone")).status, 404);
      },
    },
    {
      id: "delete-config-running",
      says: "its running server is left alone",
      check: async (t, bench) => {
        await bench.create("goes-on");
        t.equal((await bench.ask("GET", "/models/goes-on/info")).status, 200);
        await bench.ask("DELETE", `${BASE}/goes-on`);
        t.equal((await bench.ask("GET", "/models/goes-on")).json.is_running, true);
        t.equal((await bench.ask("GET", "/models/goes-on/info")).status, 200);
      },
    },
    {
      id: "update-running",
      says: "a change leaves the running server alone",
      check: async (t, bench) => {
        await bench.create("steady");
        t.equal((await bench.ask("GET", "/models/steady/info")).status, 200);
        await put(bench, "steady", { model_uri: "models:/steady/2" });
        t.match((await bench.ask("GET", "/models/steady")).json, { is_running: true, uri: "models:/steady/1" });
      },
    },
    {
      id: "enable",
      says: "POST …/{id}/enable: that version is enabled, the other of its name disabled",
      check: async (t, bench) => {
        const first = (await bench.create("back")).json;
        const second = (await bench.create("back", { model_uri: "models:/back/2" })).json;
        const { status, json } = await bench.ask("POST", `${BASE}/${first.id}/enable`);
        t.equal(status, 200);
        t.match(json, { id: first.id, enabled: true, model_uri: "models:/back/1" });
        const { configs } = (await bench.ask("GET", `${BASE}/back/history`)).json;
        t.match(configs, [
          { id: second.id, enabled: false },
          { id: first.id, enabled: true },
        ]);
        t.equal((await bench.ask("GET", "/models/back")).json.uri, "models:/back/1");
      },
    },
    {
      id: "enable-enabled",
      says: "one that is enabled is answered unchanged",
      check: async (t, { ask }) => {
        const { json } = await ask("GET", `${BASE}/back`);
        t.strictSame((await ask("POST", `${BASE}/${json.id}/enable`)).json, json);
      },
    },
    {
      id: "enable-errors",
      says: "an unknown id: 404; what is no whole number: 422",
      check: async (t, { ask }) => {
        refused(t, await ask("POST", `${BASE}/999999/enable`), 404, /999999/);
        const item = { type: "int_parsing", loc: ["path", "id"], input: "back" };
        const answer = await ask("POST", `${BASE}/back/enable`);
        t.equal(answer.status, 422);
        t.match(answer.json?.detail, [{ type: item.type, input: item.input }]);
        t.equal(answer.json?.detail?.[0]?.loc?.[0], "path");
      },
    },
  ],
};
