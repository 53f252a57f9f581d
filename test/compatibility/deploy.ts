/** Deploying by hand (reference cmg-api 1.6, POST /models/{name}). */
import { hasKeys, invalid, refused } from "./answers.js";
import { argvOf, isAlive, pidOf } from "./bench.js";
import type { Table } from "./table.js";

const URI = { model_uri: "models:/m/1" };

export const DEPLOY: Table = {
  id: "deploy",
  title: "Deploying a model by hand",
  config: { deployment: { manual: { max_ttl: 604_800 } } },
  rows: [
    {
      id: "deploy-answer",
      says: "200 (not 201) with message, model_uri, container_id, container_name and the ttl applied",
      check: async (t, bench) => {
        const { status, json } = await bench.deploy("first", { ttl: 600 });
        t.equal(status, 200);
        hasKeys(t, json, "message", "model_uri", "container_id", "container_name", "ttl");
        t.match(json, { message: /first/, model_uri: "models:/first/1", container_name: "first", ttl: 600 });
        t.ok(isAlive(pidOf(json.container_id)));
        t.ok(argvOf(pidOf(json.container_id)).includes("models:/first/1"), "the URI reached the process");
        await bench.running("first");
        t.equal((await bench.ask("GET", "/models/first/info")).status, 200, "and it serves");
      },
    },
    {
      id: "deploy-at-once",
      says: "the answer comes as soon as it is started, before it is ready, and the model is listed at once",
      check: async (t, bench) => {
        t.equal((await bench.deploy("at-once")).status, 200);
        const names = (await bench.ask("GET", "/models/")).json.running.map((model: { name: string }) => model.name);
        t.ok(names.includes("at-once"));
        t.equal((await bench.ask("GET", "/models/at-once")).status, 200);
        await bench.running("at-once");
      },
    },
    {
      id: "deploy-400-reference",
      says: "no body, {}, nulls and empty texts all lack a reference: 400 asking for one of the two",
      check: async (t, { ask }) => {
        refused(t, await ask("POST", "/models/m1"), 400, /tracking_id/, /model_uri/);
        for (const json of [
          {},
          { tracking_id: null, model_uri: null, ttl: null },
          { tracking_id: "", model_uri: "" },
        ]) {
          refused(t, await ask("POST", "/models/m1", { json }), 400, /tracking_id/, /model_uri/);
        }
      },
    },
    {
      id: "deploy-422-syntax",
      says: "a body that is no JSON: 422, before everything else",
      check: async (t, { ask }) => {
        const headers = { "content-type": "application/json" };
        for (const name of ["m1", "-bad-", "static-one"]) {
          const answer = await ask("POST", `/models/${name}`, { headers, body: '{"ttl": 5,}' });
          t.equal(answer.status, 422, name);
          t.match(answer.json?.detail, [{ type: "json_invalid", loc: ["body", Number], input: {} }]);
        }
      },
    },
    {
      id: "deploy-422-types",
      says: "wrong types: 422, one item for each field",
      check: async (t, { ask }) => {
        const json = { tracking_id: 5, model_uri: { a: 1 }, ttl: 1.5 };
        invalid(
          t,
          await ask("POST", "/models/m1", { json }),
          { type: "string_type", loc: ["body", "tracking_id"], input: 5 },
          { type: "string_type", loc: ["body", "model_uri"], input: { a: 1 } },
          { type: "int_from_float", loc: ["body", "ttl"], input: 1.5 },
        );
      },
    },
    {
      id: "deploy-400-name",
      says: "a bad name: 400 in the words Invalid model name, also when the fields are wrong too",
      check: async (t, { ask }) => {
        refused(t, await ask("POST", "/models/-bad", { json: URI }), 400, /Invalid model name/);
        refused(t, await ask("POST", "/models/-bad", { json: { ttl: "x" } }), 400, /Invalid model name/);
      },
    },
    {
      id: "deploy-tracking-tag",
      says: "a tracking_id alone is resolved by the run's tag training.output.model_uri",
      check: async (t, { ask }) => {
        const { status, json } = await ask("POST", "/models/by-tag", { json: { tracking_id: "run-tagged" } });
        t.equal(status, 200);
        t.equal(json.model_uri, "models:/tagged/3");
      },
    },
    {
      id: "deploy-tracking-folder",
      says: "else by an artifact folder named model; CMG then hands on the bare word model",
      differs: "runs:/<run>/model, a URI that a model server can load",
      check: async (t, { ask }) => {
        const { status, json } = await ask("POST", "/models/by-folder", { json: { tracking_id: "run-folder" } });
        t.equal(status, 200);
        t.equal(json.model_uri, "runs:/run-folder/model");
      },
    },
    {
      id: "deploy-tracking-named",
      says: "else by the only artifact folder with model in its path: runs:/<run>/<path>",
      check: async (t, { ask }) => {
        const { status, json } = await ask("POST", "/models/by-path", { json: { tracking_id: "run-named" } });
        t.equal(status, 200);
        t.equal(json.model_uri, "runs:/run-named/medcat_model_pack");
      },
    },
    {
      id: "deploy-404-tracking",
      says: "an unknown run, none or several such folders, or a file of that name: 404",
      check: async (t, { ask }) => {
        for (const tracking_id of ["run-nowhere", "run-bare", "run-two", "run-file"]) {
          refused(t, await ask("POST", "/models/m2", { json: { tracking_id } }), 404);
        }
        t.equal((await ask("GET", "/models/m2")).status, 404, "nothing was started");
      },
    },
    {
      id: "deploy-both",
      says: "model_uri wins when both are given; the run is not even looked for",
      check: async (t, { ask }) => {
        const json = { tracking_id: "run-nowhere", model_uri: "models:/both/1" };
        t.match(await ask("POST", "/models/both", { json }), { status: 200, json: { model_uri: "models:/both/1" } });
      },
    },
    {
      id: "deploy-409",
      says: "a running name, of whatever kind: 409, already running",
      check: async (t, bench) => {
        refused(t, await bench.deploy("first"), 409, /already running/i, /first/);
        refused(t, await bench.deploy("static-one"), 409, /already running/i);
        await bench.create("auto-one");
        t.equal((await bench.ask("GET", "/models/auto-one/info")).status, 200);
        refused(t, await bench.deploy("auto-one"), 409, /already running/i);
      },
    },
    {
      id: "deploy-409-race",
      says: "of several deployments of one name at the same time one succeeds",
      check: async (t, bench) => {
        const answers = await Promise.all([1, 2, 3, 4].map(() => bench.deploy("raced")));
        t.strictSame(answers.map(({ status }) => status).sort(), [200, 409, 409, 409]);
      },
    },
    {
      id: "deploy-400-max-ttl",
      says: "a ttl above max_ttl: 400 naming the maximum; -1 is allowed all the same",
      check: async (t, bench) => {
        refused(t, await bench.deploy("long", { ttl: 604_801 }), 400, /604800/);
        t.match(await bench.deploy("long", { ttl: 604_800 }), { status: 200, json: { ttl: 604_800 } });
        t.match(await bench.deploy("for-ever", { ttl: -1 }), { status: 200, json: { ttl: -1 } });
      },
    },
    {
      id: "deploy-order",
      says: "of several faults the first in the order reference, resolving, running name, ttl is told",
      check: async (t, { ask }) => {
        const to = (name: string, json: object) => ask("POST", `/models/${name}`, { json });
        refused(t, await to("static-one", { ttl: 999_999_999 }), 400, /model_uri/);
        refused(t, await to("static-one", { tracking_id: "run-nowhere", ttl: 999_999_999 }), 404);
        refused(t, await to("static-one", { ...URI, ttl: 999_999_999 }), 409);
      },
    },
    {
      id: "deploy-over-on-demand",
      says: "the name of an on-demand configuration that does not run may be deployed by hand",
      check: async (t, bench) => {
        await bench.create("either");
        t.equal((await bench.deploy("either", { model_uri: "models:/either/2" })).status, 200);
        await bench.running("either");
        const { json } = await bench.ask("GET", "/models/either?verbose=true");
        t.match(json, { uri: "models:/either/2", deployment_type: "manual" });
      },
    },
    {
      id: "deploy-leftover",
      says: "a name whose last server died: 500 over the record that was left behind, though the server started",
      differs: "200: what really runs is looked at, and there is nothing left behind",
      check: async (t, bench) => {
        const pid = pidOf((await bench.deploy("died")).json.container_id);
        await bench.running("died");
        process.kill(pid, "SIGKILL");
        await bench.until(
          "its end is noticed",
          async () => (await bench.ask("GET", "/models/died")).json.is_running !== true,
        );
        const again = await bench.deploy("died");
        t.equal(again.status, 200, again.text);
        t.not(pidOf(again.json.container_id), pid);
        await bench.running("died");
      },
    },
    {
      id: "deploy-serves",
      says: "a deployed model takes tasks and requests as any other",
      check: async (t, { ask }) => {
        const headers = { "content-type": "text/plain" };
        t.equal((await ask("POST", "/models/first/process", { headers, body: "seen in March" })).status, 200);
        const task = await ask("POST", "/models/first/tasks/process", { headers, body: "seen in March" });
        t.equal(task.status, 200);
        t.match((await ask("GET", `/tasks/${task.json.uuid}?wait=10`)).json, { status: "succeeded" });
      },
    },
  ],
};
