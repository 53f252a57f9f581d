/** Removing models (reference cmg-api 1.6, DELETE /models/{name}). */
import { invalid, refused } from "./answers.js";
import { isAlive, pidOf } from "./bench.js";
import type { Table } from "./table.js";

export const DELETE: Table = {
  id: "delete",
  title: "Removing a model",
  rows: [
    {
      id: "delete-running",
      says: "a running model is stopped and removed: 204, no body, and it is gone",
      check: async (t, bench) => {
        const pid = pidOf((await bench.deploy("running")).json.container_id);
        await bench.running("running");
        const answer = await bench.ask("DELETE", "/models/running");
        t.equal(answer.status, 204);
        t.equal(answer.text, "");
        await bench.until("its process is gone", () => !isAlive(pid));
        t.equal((await bench.ask("GET", "/models/running")).status, 404);
        refused(t, await bench.ask("DELETE", "/models/running"), 404);
      },
    },
    {
      id: "delete-again",
      says: "after that the name may be deployed anew",
      check: async (t, bench) => {
        t.equal((await bench.deploy("running")).status, 200);
        await bench.running("running");
        t.equal((await bench.ask("DELETE", "/models/running?force=false")).status, 204);
      },
    },
    {
      id: "delete-starting",
      says: "a model that is still loading is removed too",
      check: async (t, bench) => {
        const pid = pidOf((await bench.deploy("loading")).json.container_id);
        t.equal((await bench.ask("DELETE", "/models/loading")).status, 204);
        await bench.until("its process is gone", () => !isAlive(pid));
      },
    },
    {
      id: "delete-name",
      says: "a bad name: 400",
      check: async (t, { ask }) => {
        refused(t, await ask("DELETE", "/models/-bad"), 400, /Invalid model name/);
        refused(t, await ask("DELETE", "/models/-bad?force=true"), 400, /Invalid model name/);
      },
    },
    {
      id: "delete-unknown",
      says: "nothing of that name: 404 without force, 204 with it",
      check: async (t, { ask }) => {
        refused(t, await ask("DELETE", "/models/nobody"), 404, /nobody/);
        t.equal((await ask("DELETE", "/models/nobody?force=true")).status, 204);
      },
    },
    {
      id: "delete-stopped",
      says: "a model that does not run: 404 that mentions force; with force 204, and it is gone",
      check: async (t, bench) => {
        const pid = pidOf((await bench.deploy("dead")).json.container_id);
        await bench.running("dead");
        process.kill(pid, "SIGKILL");
        await bench.until(
          "its end is noticed",
          async () => (await bench.ask("GET", "/models/dead")).json.is_running !== true,
        );
        refused(t, await bench.ask("DELETE", "/models/dead"), 404, /force/);
        t.equal((await bench.ask("DELETE", "/models/dead?force=true")).status, 204);
        t.equal((await bench.ask("GET", "/models/dead")).status, 404);
      },
    },
    {
      id: "delete-on-demand",
      says: "a running on-demand model is stopped; its configuration stays and starts it again",
      check: async (t, bench) => {
        await bench.create("on-demand");
        t.equal((await bench.ask("GET", "/models/on-demand/info")).status, 200);
        t.equal((await bench.ask("DELETE", "/models/on-demand")).status, 204);
        t.match((await bench.ask("GET", "/models/on-demand")).json, { is_running: false });
        t.match((await bench.ask("GET", "/admin/on-demand/on-demand")).json, { enabled: true });
        t.equal((await bench.ask("GET", "/models/on-demand/info")).status, 200);
      },
    },
    {
      id: "delete-on-demand-idle",
      says: "an on-demand model that does not run: 404 without force, 204 with it, its configuration untouched",
      check: async (t, bench) => {
        await bench.create("resting");
        refused(t, await bench.ask("DELETE", "/models/resting"), 404);
        t.equal((await bench.ask("DELETE", "/models/resting?force=1")).status, 204);
        t.match((await bench.ask("GET", "/admin/on-demand/resting")).json, { enabled: true });
      },
    },
    {
      id: "delete-static",
      says: "static containers of the project are removed like others",
      differs: "a server that is only named in the configuration is nothing Sluice could stop: it is refused",
      check: async (t, { ask }) => {
        const answer = await ask("DELETE", "/models/static-one");
        t.ok([403, 404, 409].includes(answer.status), `${answer.status}`);
        t.type(answer.json?.detail, "string");
        t.equal((await ask("GET", "/models/static-one")).json.is_running, true);
      },
    },
    {
      id: "delete-force-words",
      says: "force is a lax boolean; anything else 422",
      check: async (t, { ask }) => {
        for (const word of ["true", "True", "1", "yes", "Y", "on", "t"]) {
          t.equal((await ask("DELETE", `/models/nobody?force=${word}`)).status, 204, word);
        }
        for (const word of ["false", "0", "no", "off", "F"]) {
          t.equal((await ask("DELETE", `/models/nobody?force=${word}`)).status, 404, word);
        }
        const loc = ["query", "force"];
        invalid(t, await ask("DELETE", "/models/nobody?force=maybe"), { type: "bool_parsing", loc, input: "maybe" });
        invalid(t, await ask("DELETE", "/models/nobody?force="), { type: "bool_parsing", loc, input: "" });
      },
    },
  ],
};
