/** A model is made available before its /info and its tasks (reference cmg-api 3.5). */
import { refused } from "./answers.js";
import { processesWith } from "./bench.js";
import type { Table } from "./table.js";

const TEXT = { headers: { "content-type": "text/plain" }, body: "Seen on 3 March 2021" };

export const STARTING: Table = {
  id: "starting",
  title: "Models that are started when needed",
  config: { deployment: { auto: { health_check_timeout: 4, deployment_retry_attempts: 0 } } },
  rows: [
    {
      id: "start-ready",
      says: "a running model is used at once",
      check: async (t, { ask }) => t.equal((await ask("POST", "/models/static-one/tasks/process", TEXT)).status, 200),
    },
    {
      id: "start-unknown",
      says: "no running model and no enabled configuration of that name: 503 in the words clients look for",
      check: async (t, bench) => {
        await bench.create("disabled");
        await bench.ask("DELETE", "/admin/on-demand/disabled");
        for (const name of ["nobody", "disabled"]) {
          const words = [/not available/i, /running models/i, /on-demand models/i, new RegExp(name)];
          refused(t, await bench.ask("POST", `/models/${name}/tasks/process`, TEXT), 503, ...words);
          refused(t, await bench.ask("GET", `/models/${name}/info`), 503, ...words);
        }
      },
    },
    {
      id: "start-one-for-all",
      says: "many first requests at the same time give one server, and all succeed",
      check: async (t, bench) => {
        await bench.create("cold");
        const infos = Array.from({ length: 20 }, () => bench.ask("GET", "/models/cold/info"));
        const tasks = Array.from({ length: 20 }, () => bench.ask("POST", "/models/cold/tasks/process", TEXT));
        const statuses = (await Promise.all([...infos, ...tasks])).map(({ status }) => status);
        t.strictSame(
          statuses.filter((status) => status !== 200),
          [],
        );
        t.equal((await bench.ask("GET", "/models/cold?verbose=true")).json.deployment_type, "auto");
        const { running } = (await bench.ask("GET", "/models/")).json;
        t.equal(running.filter((model: { name: string }) => model.name === "cold").length, 1);
      },
    },
    {
      id: "start-at-once",
      says: "a configuration can be used as soon as its creation is answered",
      check: async (t, bench) => {
        for (let round = 0; round < 20; round++) {
          const name = `fresh-${round}`;
          await bench.create(name, { model_uri: "dies:at-once" });
          const { json } = await bench.ask("GET", `/models/${name}/info`);
          t.equal(json?.error?.code, "MODEL_START_FAILED", "it was known, and tried");
        }
      },
    },
    {
      id: "start-by-task",
      says: "a task's request is held until its model is there, then answered with the uuid",
      differs: "the uuid comes at once: the task is written down and waits for its model",
      check: async (t, bench) => {
        await bench.create("by-task");
        const { status, json } = await bench.ask("POST", "/models/by-task/tasks/process", TEXT);
        t.equal(status, 200);
        const done = await bench.ask("GET", `/tasks/${json.uuid}?detail=true&wait=20`);
        t.match(done.json, { status: "succeeded", model: "by-task" });
      },
    },
    {
      id: "start-redeploy",
      says: "the configuration that is enabled at the start is the one that is started",
      check: async (t, bench) => {
        await bench.create("versions");
        await bench.create("versions", { model_uri: "models:/versions/2" });
        await bench.ask("GET", "/models/versions/info");
        t.match((await bench.ask("GET", "/models/versions")).json, { uri: "models:/versions/2", is_running: true });
      },
    },
    {
      id: "start-again",
      says: "a server that died: every request waits out the timeout, then 503",
      differs: "the next request starts it again: what really runs is looked at",
      check: async (t, bench) => {
        await bench.ask("GET", "/models/versions/info");
        const [pid] = processesWith("models:/versions/2", bench.sluice);
        process.kill(pid!, "SIGKILL");
        const ended = async () => (await bench.ask("GET", "/models/versions")).json.is_running === false;
        await bench.until("its end is noticed", ended);
        t.equal((await bench.ask("GET", "/models/versions/info")).status, 200);
        t.equal(processesWith("models:/versions/2", bench.sluice).length, 1);
      },
    },
    {
      id: "start-fails",
      says: "a server that cannot be started: 503, and nothing of it is left",
      check: async (t, bench) => {
        await bench.create("dies", { model_uri: "dies:at-once" });
        const answer = await bench.ask("GET", "/models/dies/info");
        t.equal(answer.status, 503);
        t.match(answer.json?.detail, /dies/);
        t.strictSame(processesWith("dies:at-once", bench.sluice), []);
      },
    },
    {
      id: "start-never-ready",
      says: "a server that is not ready within health_check_timeout: 503, and it is stopped and removed",
      check: async (t, bench) => {
        await bench.create("never", { model_uri: "never:ready" });
        const answer = await bench.ask("GET", "/models/never/info");
        t.equal(answer.status, 503);
        await bench.until("it is stopped", () => processesWith("never:ready", bench.sluice).length === 0);
        t.match((await bench.ask("GET", "/models/never")).json, { is_running: false });
      },
    },
    {
      id: "start-task-fails",
      says: "a task for a model that cannot be started: 503",
      differs: "the uuid comes at once, and the task fails with reason model_unavailable",
      check: async (t, bench) => {
        const { status, json } = await bench.ask("POST", "/models/dies/tasks/process", TEXT);
        t.equal(status, 200);
        const task = (await bench.ask("GET", `/tasks/${json.uuid}?detail=true&wait=20`)).json;
        t.match(task, { status: "failed", reason: "model_unavailable" });
      },
    },
  ],
};
