/** Metrics under the names and labels the shipped dashboards read (reference cmg-api 5.1 to 5.3). */
import type { Bench } from "./bench.js";
import type { Table } from "./table.js";

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

async function samples({ ask }: Bench, name: string): Promise<Sample[]> {
  const { text } = await ask("GET", "/metrics/");
  return text.split("\n").flatMap((line) => {
    const found = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (found === null || found[1] !== name) return [];
    const labels = Object.fromEntries(
      [...(found[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [label!, value!]),
    );
    return [{ labels, value: Number(found[3]) }];
  });
}

/** The sum over the samples that have these labels. */
async function sum(bench: Bench, name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
  const found = (await samples(bench, name)).filter((each) =>
    Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  );
  return found.reduce((total, { value }) => total + value, 0);
}

const TEXT = { headers: { "content-type": "text/plain" }, body: "x" };

export const METRICS: Table = {
  id: "metrics",
  title: "Metrics",
  config: { more: { ripper: { interval: 1 } } },
  rows: [
    {
      id: "metrics-page",
      says: "GET /metrics/ and anything below it: Prometheus text, version 0.0.4",
      differs: "the two forms of the path alone",
      check: async (t, { ask }) => {
        for (const path of ["/metrics/", "/metrics"]) {
          const { status, headers, text } = await ask("GET", path);
          t.equal(status, 200);
          t.match(headers["content-type"], /^text\/plain; version=0\.0\.4; charset=utf-8$/);
          t.match(text, /^# HELP /m);
        }
      },
    },
    {
      id: "metrics-requests",
      says: "gateway_requests_total by method and endpoint, the raw path, so one series for each task",
      differs: "endpoint is the route's template: series stay bounded",
      check: async (t, bench) => {
        const labels = { method: "GET", endpoint: "/tasks/*" };
        const before = await sum(bench, "gateway_requests_total", labels);
        await bench.ask("GET", "/tasks/one");
        await bench.ask("GET", "/tasks/two");
        t.equal(await sum(bench, "gateway_requests_total", labels), before + 2);
        t.notOk((await samples(bench, "gateway_requests_total")).some((each) => /one|two/.test(each.labels.endpoint!)));
      },
    },
    {
      id: "metrics-own",
      says: "scrapes are counted under /metrics or /metrics/, which dashboards leave out by these words",
      check: async (t, bench) => {
        await bench.ask("GET", "/metrics/");
        const found = (await samples(bench, "gateway_requests_total")).map(({ labels }) => labels.endpoint!);
        const own = found.filter((endpoint) => endpoint.startsWith("/metrics"));
        t.ok(own.length > 0);
        for (const endpoint of own) t.match(endpoint, /^\/metrics\/?$/);
      },
    },
    {
      id: "metrics-deployed",
      says: "gateway_models_deployed_total by model and model_uri: deployments by hand only",
      check: async (t, bench) => {
        await bench.deploy("counted");
        await bench.create("not-counted");
        await bench.ask("GET", "/models/not-counted/info");
        const labels = { model: "counted", model_uri: "models:/counted/1" };
        t.equal(await sum(bench, "gateway_models_deployed_total", labels), 1);
        t.equal(await sum(bench, "gateway_models_deployed_total"), 1);
      },
    },
    {
      id: "metrics-tasks",
      says: "gateway_tasks_processed_total by model and task: queued tasks, and each request to /info as task info",
      check: async (t, bench) => {
        const count = (task: string) => sum(bench, "gateway_tasks_processed_total", { model: "static-one", task });
        const [processes, infos] = [await count("process"), await count("info")];
        const tasks = [
          await bench.ask("POST", "/models/static-one/tasks/process", TEXT),
          await bench.ask("POST", "/models/static-one/tasks/info", TEXT),
        ];
        await bench.ask("GET", "/models/static-one/info");
        for (const { json } of tasks) await bench.ask("GET", `/tasks/${json.uuid}?wait=15`);
        t.equal(await count("process"), processes + 1);
        t.equal(await count("info"), infos + 2);
      },
    },
    {
      id: "metrics-scheduler",
      says: "scheduler_tasks_scheduled_total and scheduler_tasks_completed_total by status, on a port of their own",
      differs: "on the one page; without the labels that name a single task",
      check: async (t, bench) => {
        const good = { status: "succeeded" };
        const [scheduled, completed] = [
          await sum(bench, "scheduler_tasks_scheduled_total"),
          await sum(bench, "scheduler_tasks_completed_total", good),
        ];
        const { json } = await bench.ask("POST", "/models/static-one/tasks/process", TEXT);
        await bench.ask("GET", `/tasks/${json.uuid}?wait=15`);
        t.equal(await sum(bench, "scheduler_tasks_scheduled_total"), scheduled + 1);
        t.equal(await sum(bench, "scheduler_tasks_completed_total", good), completed + 1);
        const { text } = await bench.ask("GET", "/metrics/");
        t.match(text, /^# TYPE scheduler_tasks_requeued_total counter$/m);
        t.notMatch(text, /created_at|finished_at/);
      },
    },
    {
      id: "metrics-ripper",
      says: "ripper_containers_purged_total by deployment_type and reason, ripper_containers_checked_total, on a port of their own",
      differs: "on the one page",
      check: async (t, bench) => {
        await bench.deploy("purged", { ttl: 2 });
        await bench.create("idle", { idle_ttl: 1 });
        await bench.ask("GET", "/models/idle/info");
        const purged = (deployment_type: string, reason: string) =>
          sum(bench, "ripper_containers_purged_total", { deployment_type, reason });
        await bench.until("both are counted", async () => {
          return (await purged("manual", "fixed_ttl_expired")) >= 1 && (await purged("auto", "idle_ttl_expired")) >= 1;
        });
        t.ok((await sum(bench, "ripper_containers_checked_total", { deployment_type: "manual" })) > 0);
      },
    },
    {
      id: "metrics-idle-time",
      says: "ripper_model_idle_time_seconds by model: a histogram, observed when an idle model is removed",
      check: async (t, bench) => {
        t.ok((await sum(bench, "ripper_model_idle_time_seconds_count", { model: "idle" })) >= 1);
        const { text } = await bench.ask("GET", "/metrics/");
        for (const bound of [60, 3600, 86_400]) {
          t.match(text, new RegExp(`ripper_model_idle_time_seconds_bucket\\{[^}]*le="${bound}"`));
        }
      },
    },
  ],
};
