/** Deploying by hand and configuring on demand where the operator is strict (reference cmg-api 1.6, 1.7, 3.7). */
import { refused } from "./answers.js";
import type { Table } from "./table.js";

const KNOWN = { model_uri: "runs:/run-folder/model" };
const UNKNOWN = { model_uri: "runs:/run-nowhere/model" };

export const DEPLOY_RULES: Table = {
  id: "deploy-rules",
  title: "Where the operator is strict",
  config: {
    deployment: {
      auto: { require_model_uri_validation: true, default_idle_ttl: 1234 },
      manual: { require_model_uri_validation: true, allow_ttl_override: false, default_ttl: 4321, max_ttl: 60 },
    },
  },
  rows: [
    {
      id: "rules-deploy-known",
      says: "manual.require_model_uri_validation: a URI that MLflow knows is deployed, by run or by version",
      check: async (t, bench) => {
        t.equal((await bench.deploy("known", KNOWN)).status, 200);
        bench.mlflow.putVersion({ name: "registered", version: "2", run_id: "run-folder" });
        t.equal((await bench.deploy("registered", { model_uri: "models:/registered/2" })).status, 200);
      },
    },
    {
      id: "rules-deploy-unknown",
      says: "manual.require_model_uri_validation: a URI that MLflow does not know answers 404",
      check: async (t, bench) => {
        refused(t, await bench.deploy("unknown", UNKNOWN), 404, /runs:\/run-nowhere\/model/);
        refused(t, await bench.deploy("unknown", { model_uri: "models:/nobody/1" }), 404);
      },
    },
    {
      id: "rules-deploy-order",
      says: "the URI is validated before the name is found running, and the ttl after both",
      check: async (t, bench) => {
        refused(t, await bench.deploy("static-one", { ...UNKNOWN, ttl: 5 }), 404);
        refused(t, await bench.deploy("static-one", { ...KNOWN, ttl: 5 }), 409);
      },
    },
    {
      id: "rules-ttl-override",
      says: "allow_ttl_override false: any ttl of a client, even the default's own value or -1, answers 403",
      check: async (t, bench) => {
        for (const ttl of [5, 4321, -1]) refused(t, await bench.deploy("own-ttl", { ...KNOWN, ttl }), 403);
        t.equal((await bench.ask("GET", "/models/own-ttl")).status, 404, "nothing was started");
      },
    },
    {
      id: "rules-ttl-default",
      says: "default_ttl is applied where none is given, and is not compared with max_ttl",
      check: async (t, bench) => {
        t.match(await bench.deploy("usual", KNOWN), { status: 200, json: { ttl: 4321 } });
        t.match(await bench.deploy("usual-null", { ...KNOWN, ttl: null }), { status: 200, json: { ttl: 4321 } });
      },
    },
    {
      id: "rules-create",
      says: "auto.require_model_uri_validation: create answers 404 for a URI MLflow does not know, 201 for one it knows",
      check: async (t, bench) => {
        refused(t, await bench.create("strict", UNKNOWN), 404);
        t.equal((await bench.create("strict", KNOWN)).status, 201);
      },
    },
    {
      id: "rules-update",
      says: "the same for update, where it comes before the 404 of an unknown configuration",
      check: async (t, { ask }) => {
        refused(t, await ask("PUT", "/admin/on-demand/strict", { json: UNKNOWN }), 404, /run-nowhere/);
        refused(t, await ask("PUT", "/admin/on-demand/nobody", { json: UNKNOWN }), 404, /run-nowhere/);
        t.equal((await ask("PUT", "/admin/on-demand/strict", { json: KNOWN })).status, 200);
      },
    },
    {
      id: "rules-idle-default",
      says: "auto.default_idle_ttl is what a configuration without idle_ttl gets",
      check: async (t, bench) => {
        t.equal((await bench.create("idle-default", KNOWN)).json.idle_ttl, 1234);
        t.equal((await bench.create("idle-own", { ...KNOWN, idle_ttl: 9 })).json.idle_ttl, 9);
        const json = { clear_idle_ttl: true };
        t.equal((await bench.ask("PUT", "/admin/on-demand/idle-own", { json })).json.idle_ttl, 1234);
      },
    },
  ],
};
