/** Reading models (reference cmg-api 1.6). */
import { hasKeys, refused } from "./answers.js";
import type { Bench } from "./bench.js";
import type { Table } from "./table.js";

const names = (models: { name: string }[]) => models.map(({ name }) => name);
const read = async ({ ask }: Bench, path: string) => (await ask("GET", path)).json;

export const MODELS: Table = {
  id: "models",
  title: "Reading models",
  rows: [
    {
      id: "models-list",
      says: "GET /models/ answers {running, on_demand}; what runs is under running, with name and is_running alone",
      check: async (t, bench) => {
        const json = await read(bench, "/models/");
        hasKeys(t, json, "running", "on_demand");
        t.strictSame(json.running, [
          { name: "static-one", is_running: true },
          { name: "no-info", is_running: true },
        ]);
      },
    },
    {
      id: "models-on-demand",
      says: "on_demand holds the enabled configurations that do not run, by name, with their uri",
      check: async (t, bench) => {
        await bench.create("zeta");
        await bench.create("alpha", { description: "first", idle_ttl: 77 });
        await bench.create("hidden");
        await bench.ask("DELETE", "/admin/on-demand/hidden");
        const { on_demand } = await read(bench, "/models/");
        t.strictSame(on_demand, [
          { name: "alpha", uri: "models:/alpha/1", is_running: false },
          { name: "zeta", uri: "models:/zeta/1", is_running: false },
        ]);
      },
    },
    {
      id: "models-one",
      says: "GET /models/{name} answers one model, running or on demand, as in the list",
      check: async (t, bench) => {
        t.strictSame(await read(bench, "/models/static-one"), { name: "static-one", is_running: true });
        t.strictSame(await read(bench, "/models/alpha"), { name: "alpha", uri: "models:/alpha/1", is_running: false });
      },
    },
    {
      id: "models-unknown",
      says: "an unknown name answers 404, naming it, the running and the on-demand models",
      check: async (t, { ask }) => {
        refused(t, await ask("GET", "/models/nobody"), 404, /nobody/, /static-one/, /alpha/, /zeta/);
        refused(t, await ask("GET", "/models/hidden"), 404, /hidden/);
        refused(t, await ask("GET", "/models/nobody?verbose=true"), 404, /nobody/);
      },
    },
    {
      id: "models-verbose-static",
      says: "verbose: description and model_type out of the server's /info, deployment_type static, runtime the whole /info",
      check: async (t, bench) => {
        const info = (await bench.ask("GET", "/models/static-one/info")).json;
        const model = await read(bench, "/models/static-one?verbose=true");
        hasKeys(t, model, "name", "is_running", "description", "model_type", "deployment_type", "runtime");
        t.strictSame(model.runtime, info);
        t.match(model, { description: info.model_description, model_type: info.model_type, deployment_type: "static" });
        t.strictSame((await read(bench, "/models/?verbose=true")).running[0], model, "the list says the same");
      },
    },
    {
      id: "models-verbose-on-demand",
      says: "verbose, not running: the configuration's description and idle_ttl, deployment_type auto, no runtime",
      check: async (t, bench) => {
        const model = await read(bench, "/models/alpha?verbose=true");
        hasKeys(t, model, "name", "uri", "is_running", "description", "deployment_type", "idle_ttl");
        t.match(model, { description: "first", deployment_type: "auto", idle_ttl: 77, is_running: false });
        const other = await read(bench, "/models/zeta?verbose=true");
        t.notOk("description" in other, "what is not known is left out, never null");
        t.equal(other.idle_ttl, 3600, "the default");
        t.strictSame(names((await read(bench, "/models/?verbose=1")).on_demand), ["alpha", "zeta"]);
      },
    },
    {
      id: "models-deployed",
      says: "a model deployed by hand is under running at once; verbose says manual and its uri, and no idle_ttl",
      check: async (t, bench) => {
        t.equal((await bench.deploy("by-hand")).status, 200);
        t.strictSame(names((await read(bench, "/models/")).running).sort(), ["by-hand", "no-info", "static-one"]);
        await bench.running("by-hand");
        t.strictSame(await read(bench, "/models/by-hand"), {
          name: "by-hand",
          uri: "models:/by-hand/1",
          is_running: true,
        });
        const model = await read(bench, "/models/by-hand?verbose=true");
        t.match(model, { deployment_type: "manual", uri: "models:/by-hand/1", runtime: { api_version: /./ } });
        t.notOk("idle_ttl" in model);
      },
    },
    {
      id: "models-auto-running",
      says: "a running on-demand model moves to running; verbose says auto, the server's own description and no idle_ttl",
      check: async (t, bench) => {
        t.equal((await bench.ask("GET", "/models/alpha/info")).status, 200);
        const list = await read(bench, "/models/");
        t.ok(names(list.running).includes("alpha"));
        t.strictSame(names(list.on_demand), ["zeta"]);
        const model = await read(bench, "/models/alpha?verbose=true");
        t.match(model, { is_running: true, deployment_type: "auto", uri: "models:/alpha/1" });
        t.equal(model.description, model.runtime.model_description);
        t.notOk("idle_ttl" in model);
      },
    },
    {
      id: "models-reading-starts-nothing",
      says: "reading never starts a model",
      check: async (t, bench) => {
        for (const path of ["/models/zeta", "/models/zeta?verbose=true", "/models/?verbose=true"]) {
          await bench.ask("GET", path);
        }
        t.equal((await read(bench, "/models/zeta")).is_running, false);
      },
    },
    {
      id: "models-tracking",
      says: "verbose: tracking holds what MLflow knows of the URI, under seven keys",
      check: async (t, bench) => {
        await bench.create("tracked", { model_uri: "runs:/run-folder/model" });
        const { tracking } = await read(bench, "/models/tracked?verbose=true");
        hasKeys(
          t,
          tracking,
          "uuid",
          "run_id",
          "artifact_path",
          "utc_time_created",
          "mlflow_version",
          "signature",
          "flavors",
        );
        t.match(tracking, {
          uuid: "uuid-run-folder",
          run_id: "run-folder",
          artifact_path: "model",
          utc_time_created: /^2026-01-02 03:04:05/,
          mlflow_version: "2.16.2",
          flavors: { python_function: { loader_module: "mlflow.pyfunc.model" } },
        });
        t.strictSame(tracking.signature, {}, "{} where there is none");
      },
    },
    {
      id: "models-tracking-version",
      says: "tracking is there for a registered version too, with its signature",
      check: async (t, { ask, mlflow, create }) => {
        mlflow.put({ run_id: "run-signed" });
        const inputs = '[{"type": "string", "name": "text", "required": true}]';
        const signature = { inputs, outputs: null, params: null };
        mlflow.putModel({ run_id: "run-signed", artifact_path: "model", signature });
        mlflow.putVersion({ name: "signed", version: "4", run_id: "run-signed" });
        await create("signed", { model_uri: "models:/signed/4" });
        const { tracking } = (await ask("GET", "/models/signed?verbose=true")).json;
        t.match(tracking, { run_id: "run-signed", signature: { inputs } });
      },
    },
    {
      id: "models-tracking-unknown",
      says: "without anything known to MLflow there is no tracking",
      check: async (t, bench) => {
        t.notOk("tracking" in (await read(bench, "/models/zeta?verbose=true")));
        t.notOk("tracking" in (await read(bench, "/models/static-one?verbose=true")));
      },
    },
    {
      id: "models-type-of-version",
      says: "model_type is the tag of the first registered version of the URI's run, before what /info says",
      check: async (t, bench) => {
        bench.mlflow.put({ run_id: "run-typed" });
        bench.mlflow.putModel({ run_id: "run-typed" });
        bench.mlflow.putVersion({ name: "typed", run_id: "run-typed", tags: { model_type: "medcat_icd10" } });
        await bench.create("typed", { model_uri: "runs:/run-typed/model" });
        t.equal((await read(bench, "/models/typed?verbose=true")).model_type, "medcat_icd10");
      },
    },
    {
      id: "models-info-failing",
      says: "a server whose /info fails is still shown: without runtime and description",
      check: async (t, bench) => {
        const model = await read(bench, "/models/no-info?verbose=true");
        t.match(model, { name: "no-info", is_running: true, deployment_type: "static" });
        t.notOk("runtime" in model);
        t.notOk("description" in model);
      },
    },
    {
      id: "models-info",
      says: "GET /models/{name}/info relays the server's own JSON, starting an on-demand model first",
      check: async (t, bench) => {
        const direct = await (await fetch(`${bench.server.url}/info`)).json();
        const relayed = await bench.ask("GET", "/models/static-one/info");
        t.equal(relayed.status, 200);
        t.strictSame(relayed.json, direct);
        t.equal((await bench.ask("GET", "/models/zeta/info")).status, 200);
        t.equal((await read(bench, "/models/zeta")).is_running, true);
      },
    },
    {
      id: "models-info-unavailable",
      says: "/info of a model that cannot be had: 503 in the words clients look for",
      check: async (t, { ask }) => {
        const answer = await ask("GET", "/models/nobody/info");
        refused(t, answer, 503, /not available/i, /running models/i, /on-demand models/i, /nobody/, /static-one/);
      },
    },
    {
      id: "models-info-refused",
      says: "/info that the server refuses: 404 stays 404, everything else becomes 500",
      differs: "the server's own answer arrives as it is, 401 included: the client can act on it",
      check: async (t, { ask }) => {
        const answer = await ask("GET", "/models/no-info/info");
        t.match(answer, { status: 418, text: "short and stout" });
      },
    },
    {
      id: "models-tracking-trouble",
      says: "MLflow in trouble makes the whole verbose answer 500",
      differs: "the model is shown without tracking: MLflow's trouble is no reason to hide a model",
      check: async (t, { ask, mlflow, create }) => {
        await create("troubled", { model_uri: "runs:/run-named/medcat_model_pack" });
        mlflow.misbehaviour = 500;
        const one = await ask("GET", "/models/troubled?verbose=true");
        t.equal(one.status, 200);
        t.equal(one.json.name, "troubled");
        t.equal((await ask("GET", "/models/?verbose=true")).status, 200);
        mlflow.misbehaviour = null;
      },
    },
  ],
};
