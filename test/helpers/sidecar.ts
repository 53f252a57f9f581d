/** `sluice sidecar` alone, as its own process: what a supervisor starts, without the rest. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConfigInput } from "../../config/schema.js";
import { encodeInternal, SUBMISSION_HEADER } from "../../core/contract/internal-api.js";
import type { Submission, TaskDetail } from "../../core/contract/tasks.js";
import { createHttpClient, type HttpClient } from "../../core/runtime/http.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));
const BOUND_MS = 30_000;
/** A process that lives longer hangs. */
const LIFE_MS = 90_000;

export interface SidecarOptions {
  readonly dataDir: string;
  readonly config: ConfigInput;
  /** A spec as in `core/runtime/failpoints.ts`. */
  readonly failpoints?: string;
}

export interface RunningSidecar {
  readonly pid: number;
  /** How long it took until it said ready; null when it ended before. */
  readonly ready: Promise<number | null>;
  readonly exited: Promise<NodeJS.Signals | number | null>;
  readonly stderr: () => string;
  kill(signal: NodeJS.Signals): void;
  readonly client: SidecarClient;
}

export async function startSidecarProcess(options: SidecarOptions): Promise<RunningSidecar> {
  const { dataDir, config, failpoints } = options;
  const configFile = join(dataDir, "..", "sluice.yaml");
  await writeFile(
    configFile,
    JSON.stringify({ discovery: { docker: { enabled: false } }, ...config, registry: { port: 0, ...config.registry } }),
  );
  const startedAt = performance.now();
  const child = spawn(process.execPath, [MAIN, "sidecar", "--config", configFile, "--data-dir", dataDir], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      ...(failpoints === undefined ? {} : { SLUICE_FAILPOINTS: failpoints }),
    },
  });
  let complaint = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  // Not SIGKILL: that is how a failpoint ends it.
  const timer = setTimeout(() => child.kill("SIGABRT"), LIFE_MS);
  const client = new SidecarClient(join(dataDir, "sidecar.sock"));
  const exited = once(child, "exit").then(async ([code, signal]) => {
    clearTimeout(timer);
    await client.close();
    return (signal ?? code) as NodeJS.Signals | number | null;
  });
  const ready = Promise.race([
    once(child, "message").then(() => performance.now() - startedAt),
    exited.then(() => null),
  ]);
  return { pid: child.pid!, ready, exited, stderr: () => complaint, kill: (signal) => void child.kill(signal), client };
}

/** The calls a proxy makes, without one. */
export class SidecarClient {
  readonly #http: HttpClient;

  constructor(socketPath: string) {
    this.#http = createHttpClient({ socketPath });
  }

  /** Rejects when the sidecar went away before it answered. */
  async submit(submission: Submission, body: Buffer): Promise<{ status: number; text: string }> {
    const headers = { [SUBMISSION_HEADER]: encodeInternal(submission), "content-length": String(body.length) };
    return this.#call("POST", "/internal/tasks", { headers, body });
  }

  get(path: string): Promise<{ status: number; text: string }> {
    return this.#call("GET", path);
  }

  cancel(uuid: string): Promise<{ status: number; text: string }> {
    return this.#call("DELETE", `/tasks/${uuid}`);
  }

  /** Null when there is no such task. */
  async detail(uuid: string, waitSeconds = 0): Promise<TaskDetail | null> {
    const { status, text } = await this.get(`/tasks/${uuid}?detail=true&wait=${waitSeconds}`);
    return status === 404 ? null : (JSON.parse(text) as TaskDetail);
  }

  async result(uuid: string): Promise<{ status: number; sha256: string }> {
    const answer = await this.#http.call({
      method: "GET",
      origin: "http://sidecar",
      path: `/tasks/${uuid}?download=true`,
    });
    const hash = createHash("sha256");
    for await (const chunk of answer.body) hash.update(chunk as Buffer);
    return { status: answer.status, sha256: hash.digest("hex") };
  }

  async #call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    more: { headers?: Record<string, string>; body?: Buffer } = {},
  ) {
    const answer = await this.#http.call({
      method,
      origin: "http://sidecar",
      path,
      headersTimeoutMs: BOUND_MS,
      ...more,
    });
    return { status: answer.status, text: await answer.body.text() };
  }

  close(): Promise<void> {
    return this.#http.close();
  }
}

export function submissionOf(changes: Partial<Submission> & Pick<Submission, "uuid">): Submission {
  return {
    model: "m",
    task: "process",
    method: "POST",
    path: "/process",
    headers: ["Content-Type", "text/plain"],
    class: "interactive",
    priority: null,
    tenant: null,
    deadlineMs: null,
    mode: "task",
    requestId: changes.uuid,
    source: "ip=127.0.0.1; ua=test",
    idempotencyKey: null,
    callback: null,
    forceTrackingId: false,
    ...changes,
  };
}
