/** A whole sidecar in the test's own process, on fast time, with a real model server, asked over its real socket. */
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BroadcastChannel } from "node:worker_threads";
import type { Test } from "tap";
import { configSchema } from "../../../config/schema.js";
import type { Submission, TaskDetail } from "../../../core/contract/tasks.js";
import { ARMING_CHANNEL, armFailpoints, FAILPOINT_CHANNEL } from "../../../core/runtime/failpoints.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { type Sidecar, startSidecar } from "../../../sidecar/start.js";
import { fastClock } from "../../helpers/fast-clock.js";
import type { RunningGazetteer } from "../../helpers/gazetteer.js";
import { SidecarClient, submissionOf } from "../../helpers/sidecar.js";

/** A second of the scheduler's takes 40 ms: its longest pause is 400 ms, a training is given up after 2.4 s. */
const TIMES = 25;
const FINAL_WITHIN_MS = 10_000;
/** Armed, but nowhere: the calls are counted from the next arming on. */
export const COUNTING = "nowhere=throw:EIO";

export interface FaultRig {
  readonly dataDir: string;
  readonly client: SidecarClient;
  submit(body: Buffer, more?: Partial<Submission>): Promise<Submitted>;
  /** Asks until the task is final; each refusal on the way must be a clear one. */
  final(t: Test, uuid: string): Promise<TaskDetail>;
  stop(): Promise<void>;
}

export interface Submitted {
  readonly uuid: string;
  readonly status: number;
  readonly text: string;
}

export async function newDataDir(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-faults-"));
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));
  return folder;
}

/**
 * @param failpoints the spec its writer's thread begins with; this thread's own are armed by {@link armed}
 * @throws what the sidecar's start throws
 */
export async function startFaultRig(
  dataDir: string,
  server: RunningGazetteer,
  failpoints = COUNTING,
): Promise<FaultRig> {
  const config = configSchema.parse({
    data_dir: dataDir,
    log: { level: "silent" },
    registry: { port: 0 },
    discovery: {
      static: [
        { name: "m", url: server.url },
        { name: "away", url: "http://127.0.0.1:9" },
      ],
      docker: { enabled: false },
    },
  });
  const logger = createLogger({ level: "silent", format: "json", process: "test" });
  const loaded = { config, files: { sluice: null, cmg: null, dotenv: null }, warnings: [] };
  armFailpoints(failpoints);
  const sidecar: Sidecar = await startSidecar(loaded, logger, () => {}, { clock: fastClock(TIMES) });
  armFailpoints(COUNTING);
  await sidecar.firstRoundDone;
  const client = new SidecarClient(join(dataDir, "sidecar.sock"));
  return {
    dataDir,
    client,
    submit: async (body, more = {}) => {
      const uuid = randomUUID();
      const submission = submissionOf({ uuid, ...more });
      const named = { ...submission, headers: [...submission.headers, "X-Request-Id", uuid] };
      return { uuid, ...(await client.submit(named, body)) };
    },
    final: (t, uuid) => finalOf(t, client, uuid),
    stop: async () => {
      armFailpoints(null);
      await sidecar.stop(Date.now());
      await client.close();
    },
  };
}

async function finalOf(t: Test, client: SidecarClient, uuid: string): Promise<TaskDetail> {
  for (const untilMs = Date.now() + FINAL_WITHIN_MS; ; ) {
    const { status, text } = await client.get(`/tasks/${uuid}?detail=true&wait=2`);
    if (status === 200) {
      const detail = JSON.parse(text) as TaskDetail;
      if (detail.status === "succeeded" || detail.status === "failed") return detail;
      if (Date.now() > untilMs) throw new Error(`${uuid} is still ${detail.status}: ${detail.error_message}`);
    } else if (status === 404) throw new Error(`${uuid} was acknowledged and is lost`);
    else checkRefusal(t, status, text);
    if (Date.now() > untilMs) throw new Error(`${uuid} cannot be read: ${text}`);
  }
}

/** A refusal says that the disk is the cause, whether it is full, and what to do. */
export function checkRefusal(t: Test, status: number, text: string): void {
  const { error } = JSON.parse(text) as { error: { code: string; hint?: string } };
  const wanted = error.code === "DISK_FULL" ? 507 : error.code === "STORE_FAILED" ? 503 : "one that names the disk";
  t.equal(status, wanted, `a clear refusal: ${text}`);
  t.ok(error.hint, "with a hint");
}

/**
 * Runs `act` with every thread's failpoints armed.
 * @param threads how many follow the arming
 * @returns how often one acted
 */
export async function armed(spec: string, act: () => Promise<void>, threads = 1): Promise<number> {
  const channel = new BroadcastChannel(FAILPOINT_CHANNEL);
  const heard: unknown[] = [];
  let tell = () => {};
  channel.onmessage = ({ data }) => {
    heard.push(data);
    tell();
  };
  const arm = async (next: string) => {
    armFailpoints(next);
    const before = heard.filter((each) => each === "armed").length;
    const all = new Promise<void>((resolve) => {
      tell = () => heard.filter((each) => each === "armed").length >= before + threads && resolve();
    });
    const arming = new BroadcastChannel(ARMING_CHANNEL);
    arming.postMessage(next);
    await all;
    arming.close();
  };
  try {
    await arm(spec);
    await act();
  } finally {
    await arm(COUNTING);
    channel.close();
  }
  return heard.filter((each) => each !== "armed").length;
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
