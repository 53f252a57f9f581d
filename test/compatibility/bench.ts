/** What every table is held against: a real Sluice, a real model server that somebody else runs, and a stand-in for MLflow. */
import { readdirSync, readFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import type { ConfigInput } from "../../config/schema.js";
import { type RunningGazetteer, startGazetteer } from "../helpers/gazetteer.js";
import { type FakeMlflow, startMlflow } from "../helpers/mlflow.js";
import { type RunningSluice, startSluice } from "../helpers/sluice.js";
import { type Answer, type Client, createClient } from "./client.js";

const SERVE_MODEL = fileURLToPath(new URL("programs/serve-model.js", import.meta.url));

/** What a deployment names arrives in the arguments of its process, and so can be seen there. */
export const COMMAND = [
  process.execPath,
  SERVE_MODEL,
  "{model_uri}",
  "--host=127.0.0.1",
  "--port={port}",
  "--name={name}",
  "--model-type={model_type}",
];

export interface BenchConfig {
  /** Keys of `models.deployment`. */
  readonly deployment?: NonNullable<NonNullable<ConfigInput["models"]>["deployment"]>;
  /** Whole sections. */
  readonly more?: ConfigInput;
}

export interface Bench {
  readonly ask: Client;
  readonly sluice: RunningSluice;
  /** Runs as the static model `static-one`; beside it is `no-info`, which is ready and refuses to tell of itself. */
  readonly server: RunningGazetteer;
  readonly mlflow: FakeMlflow;
  /** Deploys by hand and checks nothing. */
  deploy(name: string, body?: object): Promise<Answer>;
  /** Makes an on-demand configuration and checks nothing. */
  create(name: string, body?: object): Promise<Answer>;
  /** Resolves when the model runs and answers; rejects when that takes too long. */
  running(name: string): Promise<void>;
  /** Resolves when this holds; rejects when that takes too long. */
  until(what: string, holds: () => Promise<boolean> | boolean): Promise<void>;
}

export async function startBench(t: Test, config: BenchConfig = {}): Promise<Bench> {
  const [server, reserved, mlflow] = await Promise.all([
    startGazetteer(t),
    startReserved(t),
    startMlflow(t, MLFLOW_USER),
  ]);
  tellMlflow(mlflow);
  const sluice = await startSluice(t, {
    config: benchConfig(config, { static: { "static-one": server.url, "no-info": reserved }, mlflow }),
  });
  const ask = createClient(sluice.url);
  const running = (name: string) =>
    until(`${name} runs`, async () => (await ask("GET", `/admin/models/${name}`)).json?.state === "ready");
  return {
    ask,
    sluice,
    server,
    mlflow,
    deploy: (name, body = {}) => ask("POST", `/models/${name}`, { json: { model_uri: `models:/${name}/1`, ...body } }),
    create: (name, body = {}) =>
      ask("POST", "/admin/on-demand", { json: { model_name: name, model_uri: `models:/${name}/1`, ...body } }),
    running,
    until,
  };
}

const MLFLOW_USER = { username: "cms", password: "s3cret" };

interface Around {
  /** Name → URL of the model servers that somebody else runs. */
  readonly static: Readonly<Record<string, string>>;
  readonly mlflow: FakeMlflow;
}

function benchConfig({ deployment = {}, more = {} }: BenchConfig, around: Around): ConfigInput {
  const servers = Object.entries(around.static).map(([name, url]) => ({ name, url }));
  return {
    tracking: { uri: around.mlflow.uri, ...MLFLOW_USER },
    ...more,
    discovery: { static: servers, docker: { enabled: false }, ...more.discovery },
    models: { deployment: { driver: "process", process: { command: COMMAND }, ...deployment } },
  };
}

async function startReserved(t: Test): Promise<string> {
  const server = http.createServer((request, response) => {
    if (request.url === "/info") return response.writeHead(418).end("short and stout");
    return response.end("medcat_snomed");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Runs and models under names that say what they are. */
function tellMlflow(mlflow: FakeMlflow): void {
  const run = (run_id: string, tags: Record<string, string> = {}) => mlflow.put({ run_id, status: "FINISHED", tags });
  run("run-tagged", { "training.output.model_uri": "models:/tagged/3" });
  run("run-folder");
  mlflow.putModel({ run_id: "run-folder" });
  run("run-named");
  mlflow.putModel({ run_id: "run-named", artifact_path: "medcat_model_pack" });
  mlflow.putArtifact("run-named", { path: "logs" });
  run("run-two");
  mlflow.putArtifact("run-two", { path: "model_one" });
  mlflow.putArtifact("run-two", { path: "model_two" });
  run("run-file");
  mlflow.putArtifact("run-file", { path: "model.txt", text: "not a folder" });
  run("run-bare");
}

const WITHIN_MS = 15_000;
const PAUSE_MS = 40;

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = performance.now() + WITHIN_MS;
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`not within ${WITHIN_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

/** The process of a deployment by its `container_id`. @throws Error when it is none of a process */
export function pidOf(containerId: unknown): number {
  const pid = /^process-(\d+)$/.exec(String(containerId))?.[1];
  if (pid === undefined) throw new Error(`no process: ${String(containerId)}`);
  return Number(pid);
}

/** Its arguments as the kernel has them; none once it has ended. */
export function argvOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return [];
  }
}

/** The processes that this Sluice has started and that have this among their arguments. */
export function processesWith(argument: string, sluice: RunningSluice): number[] {
  const pids = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  return pids.filter((pid) => argvOf(pid).includes(argument) && parentOf(pid) === sluice.pids().sidecar);
}

function parentOf(pid: number): number {
  return Number(/\) \S (\d+)/.exec(statOf(pid))?.[1]);
}

function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}

/** False too for one that has ended and was not waited for yet. */
export function isAlive(pid: number): boolean {
  return /\) [^Z] /.test(statOf(pid));
}
