/** A stand-in for MLflow: a real HTTP server with the part of its REST API 2.0 that is asked here, in memory; it misbehaves on demand. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Teardown } from "./gazetteer.js";
import { createModelAnswers, type FakeModels } from "./mlflow-models.js";

export interface FakeRun {
  run_id: string;
  run_name: string;
  experiment_id: string;
  status: string;
  start_time: number;
  end_time: number | null;
  metrics: Record<string, number>;
  params: Record<string, string>;
  tags: Record<string, string>;
}

/** `null` behaves well; a number answers that status; `slow` never ends; `nonsense` answers 200 and no JSON. */
export type Misbehaviour = number | "slow" | "nonsense" | null;

export interface FakeMlflow extends FakeModels {
  readonly uri: string;
  readonly port: number;
  /** Every path that was asked, without its query. */
  readonly asked: string[];
  misbehaviour: Misbehaviour;
  /** Status by path (below the base path): these alone misbehave. */
  readonly trouble: Map<string, number>;
  put(run: Partial<FakeRun> & { run_id: string }): FakeRun;
  get(runId: string): FakeRun;
  /** Nobody listens any more; `start` brings it back at the same port, with its runs. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface FakeMlflowOptions {
  readonly username?: string;
  readonly password?: string;
  /** Path its API stands below, e.g. `/mlflow`. */
  readonly basePath?: string;
}

export async function startMlflow(t: Teardown, options: FakeMlflowOptions = {}): Promise<FakeMlflow> {
  const runs = new Map<string, FakeRun>();
  const models = createModelAnswers();
  const asked: string[] = [];
  const basePath = options.basePath ?? "";
  let server: http.Server | null = null;
  let port = 0;

  const answer: http.RequestListener = async (req, res) => {
    const url = new URL(req.url ?? "/", "http://mlflow");
    let body = "";
    for await (const chunk of req) body += chunk;
    asked.push(url.pathname);
    const reply = (status: number, json: unknown) =>
      res.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
    if (fake.misbehaviour === "slow") return;
    if (fake.misbehaviour === "nonsense") return void res.end("<html>not MLflow</html>");
    if (fake.misbehaviour !== null) return void reply(fake.misbehaviour, { message: "as asked" });
    const trouble = fake.trouble.get(url.pathname.slice(basePath.length));
    if (trouble !== undefined) return void res.writeHead(trouble).end("<html>trouble</html>");
    if (!isAllowed(req, options)) return void res.writeHead(401).end("You are not authenticated.");
    const file = models.file(url.pathname.slice(basePath.length), url.searchParams);
    if (typeof file === "string") return void res.end(file);
    const path = url.pathname.replace(`${basePath}/api/2.0/mlflow/`, "");
    const whole = [...runs.values()].map((run) => ({ ...run, tags: { ...historyTag(run.run_id), ...run.tags } }));
    const ofModels = file === null ? null : models.answer(path, url.searchParams);
    const ofRuns = () => route(path, url.searchParams, body === "" ? {} : JSON.parse(body), whole);
    const found = ofModels === undefined ? ofRuns() : ofModels;
    reply(found === null ? 404 : 200, found ?? { error_code: "RESOURCE_DOES_NOT_EXIST", message: "no such thing" });
  };

  /** MLflow 2 keeps what it knows of a run's logged models in this tag too. */
  const historyTag = (runId: string): Record<string, string> => {
    const history = models.history(runId);
    return history.length === 0 ? {} : { "mlflow.log-model.history": JSON.stringify(history) };
  };

  const fake: FakeMlflow = {
    putArtifact: models.putArtifact,
    putModel: models.putModel,
    putVersion: models.putVersion,
    get uri() {
      return `http://127.0.0.1:${port}${basePath}`;
    },
    get port() {
      return port;
    },
    asked,
    misbehaviour: null,
    trouble: new Map(),
    put(run) {
      const whole = { ...runs.get(run.run_id), ...run };
      runs.set(run.run_id, { ...NEW_RUN, run_name: run.run_id, start_time: Date.now(), ...whole });
      return runs.get(run.run_id)!;
    },
    get: (runId) => runs.get(runId)!,
    async stop() {
      const old = server;
      server = null;
      if (old === null) return;
      old.closeAllConnections();
      await new Promise((resolve) => old.close(resolve));
    },
    async start() {
      server = http.createServer(answer).listen(port, "127.0.0.1");
      await new Promise((resolve) => server!.once("listening", resolve));
      port = (server.address() as AddressInfo).port;
    },
  };
  t.teardown(() => fake.stop());
  await fake.start();
  return fake;
}

const NEW_RUN = { experiment_id: "1", status: "RUNNING", end_time: null, metrics: {}, params: {}, tags: {} };

function isAllowed(req: http.IncomingMessage, { username, password }: FakeMlflowOptions): boolean {
  if (username === undefined) return true;
  const token = Buffer.from(`${username}:${password ?? ""}`).toString("base64");
  return req.headers.authorization === `Basic ${token}`;
}

interface Query {
  readonly experiment_ids?: string[];
  readonly filter?: string;
  readonly max_results?: number;
}

function route(path: string, parameters: URLSearchParams, query: Query, runs: FakeRun[]): unknown {
  if (path === "runs/get") {
    const run = runs.find((each) => each.run_id === parameters.get("run_id"));
    return run === undefined ? null : { run: wireRun(run) };
  }
  if (path === "runs/search") {
    const found = runs.filter(
      (each) => query.experiment_ids?.includes(each.experiment_id) && matches(each, query.filter),
    );
    // MLflow leaves empty lists out.
    return found.length === 0 ? {} : { runs: found.slice(0, query.max_results).map(wireRun) };
  }
  if (path === "experiments/search") {
    const ids = [...new Set(runs.map((each) => each.experiment_id))];
    return ids.length === 0 ? {} : { experiments: ids.map((id) => ({ experiment_id: id, name: `experiment ${id}` })) };
  }
  return null;
}

/** The two filters that are used: a span of start times, a run's name. */
function matches(run: FakeRun, filter = ""): boolean {
  const name = /^tags\.mlflow\.runName = '([^']*)'$/.exec(filter)?.[1];
  if (name !== undefined) return run.run_name === name;
  const span = /^attributes\.start_time >= (\d+) and attributes\.start_time <= (\d+)$/.exec(filter);
  return span !== null && run.start_time >= Number(span[1]) && run.start_time <= Number(span[2]);
}

function wireRun(run: FakeRun): unknown {
  const { metrics, params, tags, end_time: endTime, ...info } = run;
  const pairs = (record: Record<string, unknown>) => Object.entries(record).map(([key, value]) => ({ key, value }));
  return {
    info: {
      ...info,
      run_uuid: run.run_id,
      ...(endTime === null ? {} : { end_time: endTime }),
      artifact_uri: `mlflow-artifacts:/${run.experiment_id}/${run.run_id}/artifacts`,
      lifecycle_stage: "active",
    },
    data: {
      metrics: Object.entries(metrics).map(([key, value]) => ({ key, value, timestamp: run.start_time, step: 0 })),
      params: pairs(params),
      tags: pairs({ "mlflow.runName": run.run_name, ...tags }),
    },
  };
}
