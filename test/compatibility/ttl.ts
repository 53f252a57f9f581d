/** How long models live (reference cmg-api 3.7, 3.8). */
import { refused } from "./answers.js";
import { isAlive, pidOf } from "./bench.js";
import type { Table } from "./table.js";

export const TTL: Table = {
  id: "ttl",
  title: "How long models live",
  config: {
    deployment: { manual: { default_ttl: 7200, max_ttl: 3600 }, auto: { default_idle_ttl: 7200 } },
    more: { ripper: { interval: 1 } },
  },
  rows: [
    {
      id: "ttl-default",
      says: "manual.default_ttl where none is given, not compared with max_ttl",
      check: async (t, bench) => {
        t.equal((await bench.deploy("default")).json.ttl, 7200);
        t.equal((await bench.deploy("default-null", { ttl: null })).json.ttl, 7200);
      },
    },
    {
      id: "ttl-forms",
      says: "a ttl is a whole number in any of its forms",
      check: async (t, bench) => {
        t.equal((await bench.deploy("text", { ttl: "900" })).json.ttl, 900);
        const headers = { "content-type": "application/json" };
        const body = '{"model_uri":"models:/float/1","ttl":900.0}';
        t.equal((await bench.ask("POST", "/models/float", { headers, body })).json.ttl, 900);
      },
    },
    {
      id: "ttl-max",
      says: "above max_ttl: 400; up to it, and -1, are fine",
      check: async (t, bench) => {
        refused(t, await bench.deploy("max", { ttl: 3601 }), 400, /3600/);
        t.equal((await bench.deploy("max", { ttl: 3600 })).json.ttl, 3600);
        t.equal((await bench.deploy("minus", { ttl: -1 })).json.ttl, -1);
      },
    },
    {
      id: "ttl-zero",
      says: "0 and less than -1 are accepted and mean expired at once",
      differs: "422: nobody asks for a model that is gone before it is there",
      check: async (t, bench) => {
        for (const ttl of [0, -2, -86_400]) {
          const answer = await bench.deploy("zero", { ttl });
          t.equal(answer.status, 422, String(ttl));
          t.match(answer.json?.detail, [{ loc: ["body", "ttl"], msg: /\S/ }]);
        }
        t.equal((await bench.ask("GET", "/models/zero")).status, 404);
      },
    },
    {
      id: "ttl-manual-ends",
      says: "a manual model is removed its ttl after its creation, used or not",
      check: async (t, bench) => {
        const pid = pidOf((await bench.deploy("short", { ttl: 3 })).json.container_id);
        await bench.running("short");
        await bench.until("it is removed", async () => {
          await bench.ask("GET", "/models/short/info");
          return (await bench.ask("GET", "/models/short")).status === 404;
        });
        await bench.until("its process is gone", () => !isAlive(pid));
        t.equal((await bench.ask("GET", "/models/minus")).status, 200, "those with -1 stay");
        t.equal((await bench.deploy("short", { ttl: 60 })).status, 200, "and the name is free");
      },
    },
    {
      id: "ttl-auto-ends",
      says: "an auto model is stopped when it was not used for its idle_ttl; the next request starts it again",
      check: async (t, bench) => {
        await bench.create("idle", { idle_ttl: 2 });
        t.equal((await bench.ask("GET", "/models/idle/info")).status, 200);
        t.equal((await bench.ask("GET", "/models/idle")).json.is_running, true);
        const isStopped = async () => (await bench.ask("GET", "/models/idle")).json.is_running === false;
        await bench.until("it is stopped", isStopped);
        t.equal((await bench.ask("GET", "/models/idle/info")).status, 200);
      },
    },
    {
      id: "ttl-auto-used",
      says: "its idle time counts from the last task that was queued; running tasks do not count",
      differs: "what is open, waits or runs keeps it up; idle time counts from the end of the last of them",
      check: async (t, bench) => {
        await bench.create("used", { idle_ttl: 2 });
        t.equal((await bench.ask("GET", "/models/used/info")).status, 200);
        const endMs = performance.now() + 4_500;
        while (performance.now() < endMs) {
          t.equal((await bench.ask("GET", "/models/used/healthz")).status, 200);
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        t.equal((await bench.ask("GET", "/models/used")).json.is_running, true);
      },
    },
    {
      id: "ttl-static",
      says: "static models are never removed",
      check: async (t, { ask }) => t.equal((await ask("GET", "/models/static-one")).json.is_running, true),
    },
  ],
};
