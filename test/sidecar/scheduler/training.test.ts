/** Following a run through MLflow and its model server, finding one whose answer never came, and ending one. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import type { ModelEntry } from "../../../core/contract/models.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { createCancellations } from "../../../sidecar/scheduler/cancel-training.js";
import type { FollowBounds } from "../../../sidecar/scheduler/run-patience.js";
import { type RunKey, RunSources } from "../../../sidecar/scheduler/run-sources.js";
import { findRun, followRun } from "../../../sidecar/scheduler/training.js";
import type { TaskRow } from "../../../sidecar/tasks/store.js";
import { createMlflow } from "../../../sidecar/tracking/mlflow.js";
import { type FakeMlflow, startMlflow } from "../../helpers/mlflow.js";

const logger = createLogger({ level: "silent", format: "json", process: "test" });

interface Server {
  readonly url: string;
  /** What it answers on `train_eval_info`; null is silence. */
  answer: { status: number; body: unknown } | null;
  readonly asked: string[];
  stop(): Promise<void>;
}

async function startServer(t: Test): Promise<Server> {
  const server = http.createServer((req, res) => {
    fake.asked.push(`${req.method} ${req.url}`);
    if (fake.answer === null) return;
    const isMetrics = req.url?.includes("/train_eval_metrics?") === true;
    res.writeHead(fake.answer.status).end(JSON.stringify(isMetrics ? [{ f1: [0.1, 0.5] }] : fake.answer.body));
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const fake: Server = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: { status: 404, body: [] },
    asked: [],
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  t.teardown(() => fake.stop());
  return fake;
}

function rig(
  t: Test,
  server: Server,
  mlflow: FakeMlflow | null,
  change: { key?: Partial<RunKey>; path?: string } = {},
) {
  const client = createHttpClient({ connectTimeoutMs: 1_000 });
  const tracker =
    mlflow === null
      ? null
      : createMlflow({
          uri: mlflow.uri,
          username: "",
          password: "",
          ca: null,
          clock: systemClock,
          logger,
          retryAfterMs: 50,
        });
  const listeners = new Set<(models: ModelEntry[]) => void>();
  let entry = { name: "m", state: "ready", source: "process", url: `${server.url}${change.path ?? ""}` } as ModelEntry;
  const key: RunKey = { model: "m", runName: "job", runId: "r", notBeforeMs: null, headers: [], ...change.key };
  const catalogue = {
    get: () => entry,
    onChange: (listener: (models: ModelEntry[]) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const sources = new RunSources(
    { http: client, mlflow: tracker, catalogue, clock: systemClock, knockTimeoutMs: 100 },
    key,
  );
  const over = new AbortController();
  let bounds: FollowBounds = { lostAfterMs: 400, limitMs: null };
  const options = { sources, clock: systemClock, bounds: () => bounds, signal: over.signal };
  t.teardown(async () => {
    over.abort(new Error("over"));
    sources.close();
    if (listeners.size > 0) throw new Error("something listens to the catalogue still");
    await tracker?.close();
    await client.close();
  });
  return {
    follow: (facts = { isCancelAsked: false, savesModel: true }, ageMs = 0) =>
      followRun({ ...options, facts: () => facts, ageMs }),
    find: () => findRun(options),
    setBounds: (next: FollowBounds) => {
      bounds = next;
    },
    setEntry(next: Partial<ModelEntry>) {
      entry = { ...entry, ...next } as ModelEntry;
      for (const listener of listeners) listener([entry]);
    },
    stop: () => over.abort(new Error("stopping")),
  };
}

const served = (change: object = {}) => ({
  status: 200,
  body: [
    { run_id: "r", run_name: "job", experiment_id: "1", status: "FINISHED", start_time: 1_000, tags: {}, ...change },
  ],
});

t.test("MLflow is asked first, and the model server then not at all", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r", status: "FINISHED", metrics: { f1: 0.9 }, params: { epochs: "3" } });
  const end = await rig(t, server, mlflow).follow();
  t.match(end, { kind: "finished", named: { metrics: { f1: 0.9 }, params: { epochs: "3" } } });
  t.same(server.asked, []);
});

t.test("without MLflow the model server is asked, below the path of its URL, metrics included", async (t) => {
  const server = await startServer(t);
  server.answer = served();
  const end = await rig(t, server, null, { path: "/base" }).follow();
  t.match(end, { kind: "finished", named: { runId: "r", metrics: { f1: 0.5 }, params: {} } });
  t.same(server.asked, [
    "GET /base/train_eval_info?train_eval_id=job",
    "GET /base/train_eval_metrics?train_eval_id=job",
  ]);
});

t.test("an MLflow that goes away does not hold up a run, and is used again when it is back", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  server.answer = served({ status: "RUNNING" });
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  await mlflow.stop();
  await until(() => server.asked.length > 0);
  mlflow.put({ run_id: "r", status: "FINISHED", params: { epochs: "1" } });
  await mlflow.start();
  t.match(await ended, { kind: "finished", named: { params: { epochs: "1" } } }, "only MLflow knows of its end");
});

t.test("the trap: the named run stays RUNNING, its one sibling brings end and results", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  const began = Date.now();
  mlflow.put({ run_id: "r", run_name: "job", start_time: began });
  mlflow.put({ run_id: "s", run_name: "eager-fox-1", start_time: began + 100 });
  const ended = rig(t, server, mlflow).follow();
  await until(() => mlflow.asked.filter((path) => path.endsWith("runs/search")).length > 0);
  mlflow.put({
    run_id: "s",
    status: "FINISHED",
    metrics: { f1: 0.7 },
    tags: { "training.output.model_uri": "mlflow-artifacts:/1/s/artifacts/m" },
  });
  t.match(await ended, { kind: "finished", named: { runId: "r" }, sibling: { runId: "s", metrics: { f1: 0.7 } } });
});

t.test("a run whose tracker says RUNNING while its server refuses connections is lost after the bound", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  await server.stop();
  following.setEntry({ state: "unreachable" });
  t.match(await ended, { kind: "lost", why: /gone for 0.4 s/ });
});

t.test("a server of ours that ended is not the one that comes back in its place", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  following.setEntry({ state: "absent", url: null });
  following.setEntry({ state: "ready", url: server.url });
  t.match(await ended, { kind: "lost" });
});

t.test("a silent server is at work: its run goes on, whatever the bound", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  server.answer = null;
  const following = rig(t, server, mlflow);
  following.setEntry({ state: "unreachable" });
  following.setBounds({ lostAfterMs: 100, limitMs: null });
  const ended = following.follow();
  await until(() => server.asked.length > 4);
  mlflow.put({ run_id: "r", status: "FINISHED" });
  server.answer = { status: 404, body: [] };
  following.setEntry({ state: "ready" });
  t.match(await ended, { kind: "finished" });
});

t.test("a server that does not know the run, and says so, has lost it", async (t) => {
  const server = await startServer(t);
  t.match(await rig(t, server, null).follow(), { kind: "lost", why: /does not know the run/ });
});

t.test("with MLflow away, a server's 'no such run' may be its own trouble with MLflow", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  following.setBounds({ lostAfterMs: 100, limitMs: null });
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  await mlflow.stop();
  await until(() => server.asked.length > 5);
  mlflow.put({ run_id: "r", status: "FINISHED" });
  await mlflow.start();
  t.match(await ended, { kind: "finished" });
});

t.test("a failure that nothing explains waits a little for an MLflow that may know better", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  const began = Date.now();
  mlflow.put({ run_id: "r", start_time: began });
  const following = rig(t, server, mlflow);
  following.setBounds({ lostAfterMs: 5_000, limitMs: null });
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  await mlflow.stop();
  server.answer = served({ status: "FAILED", start_time: began });
  await until(() => server.asked.length > 0);
  const tags = { "training.output.model_uri": "u" };
  mlflow.put({ run_id: "r", status: "FAILED" });
  mlflow.put({ run_id: "s", start_time: began + 1, status: "FINISHED", tags });
  await mlflow.start();
  t.match(await ended, { kind: "finished", sibling: { runId: "s" } });

  const alone = rig(t, server, mlflow);
  mlflow.put({ run_id: "s", tags: {} });
  mlflow.put({ run_id: "r", status: "RUNNING" });
  const failed = alone.follow();
  const before = server.asked.length;
  await systemClock.sleep(100);
  await mlflow.stop();
  t.match(await failed, { kind: "failed", exceptions: null }, "but not for ever");
  t.ok(server.asked.length > before);
});

t.test("every following has an end, counted from the run's start and not from a restart of ours", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  following.setBounds({ lostAfterMs: 60_000, limitMs: 7_000_000 });
  t.match(await following.follow(undefined, 7_000_000), { kind: "lost", why: /scheduler\.training_limit/ });
});

t.test("a stop of ours lets go of the run and ends nothing", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "r" });
  const following = rig(t, server, mlflow);
  const ended = following.follow();
  await until(() => mlflow.asked.length > 0);
  following.stop();
  await t.rejects(ended, /stopping/);
});

t.test("a training whose answer never came is found by its name, at MLflow or at its server", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  mlflow.put({ run_id: "x", run_name: "job", experiment_id: "9" });
  t.match(await rig(t, server, mlflow, { key: { runId: null } }).find(), { runId: "x", experimentId: "9" });
  server.answer = served();
  t.match(await rig(t, server, null, { key: { runId: null } }).find(), { runId: "r" });
});

t.test("an older run of a name that a client uses again is not taken for it", async (t) => {
  const server = await startServer(t);
  server.answer = served({ start_time: 1_000 });
  t.equal(await rig(t, server, null, { key: { runId: null, notBeforeMs: 2_000 } }).find(), null);
  server.answer = served({ start_time: 3_000 });
  t.match(await rig(t, server, null, { key: { runId: null, notBeforeMs: 2_000 } }).find(), { runId: "r" });
});

t.test("a training that nobody knows was not accepted: that is clear after the bound, and not before", async (t) => {
  const [server, mlflow] = [await startServer(t), await startMlflow(t)];
  const startedMs = performance.now();
  t.equal(await rig(t, server, mlflow, { key: { runId: null } }).find(), null);
  t.ok(performance.now() - startedMs >= 400);
});

const TASK = {
  uuid: "u",
  model: "m",
  attempt: 1,
  headers: ["Cookie", "c"],
  cancelAskedAtMs: null,
} as unknown as TaskRow;

function cancelling(t: Test, url: string | null, isRunning = true) {
  const client = createHttpClient({ connectTimeoutMs: 1_000 });
  t.teardown(() => client.close());
  const marks: (number | null)[] = [];
  const store = {
    async markCancelAsked(_uuid: string, _attempt: number, askedAtMs: number | null) {
      if (isRunning) marks.push(askedAtMs);
      return isRunning;
    },
  };
  const catalogue = { get: () => ({ url }) as ModelEntry };
  return { marks, ...createCancellations({ store, catalogue, http: client, clock: systemClock, logger }) };
}

t.test("a run is cancelled below the path of its server's URL, once, and that is remembered", async (t) => {
  const server = await startServer(t);
  server.answer = { status: 202, body: {} };
  const cancel = cancelling(t, `${server.url}/base`);
  t.match(await cancel.ask(TASK), { accepted: true, message: /will stop the run/ });
  t.match(await cancel.ask(TASK), { accepted: true, message: /was asked before/ });
  t.same(server.asked, ["POST /base/cancel_training"], "a second flag would meet the next run");
  t.match(cancel.marks, [Number]);
  t.equal(cancel.isAsked(TASK), true);
  cancel.forget(TASK);
  t.equal(cancel.isAsked(TASK), false);
  t.equal(cancel.isAsked({ ...TASK, cancelAskedAtMs: 5 }), true, "what an earlier process wrote down counts");
});

t.test("a cancellation that is refused is told in words, and does not count", async (t) => {
  for (const [status, words] of [
    [400, /nothing is running/],
    [401, /credentials/],
    [500, /answered 500/],
  ] as const) {
    const server = await startServer(t);
    server.answer = { status, body: {} };
    const cancel = cancelling(t, server.url);
    t.match(await cancel.ask(TASK), { accepted: false, message: words });
    t.match(cancel.marks, [Number, null]);
    t.equal(cancel.isAsked(TASK), false);
  }
  t.match(await cancelling(t, null).ask(TASK), { accepted: false, message: /not running/ });
  t.match(await cancelling(t, "http://127.0.0.1:9").ask(TASK), { accepted: false, message: /could not be reached/ });
  t.match(await cancelling(t, "http://127.0.0.1:9", false).ask(TASK), { accepted: false, message: /just ended/ });
});

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 1_000) throw new Error("it never came to that");
    await systemClock.sleep(10);
  }
}
