/** What a sidecar of the crash matrix has around it, and what is asked of it. */
import { createHash, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import type { Submission } from "../../../core/contract/tasks.js";
import { type SeenRequest, startGazetteer } from "../../helpers/gazetteer.js";
import { type RunningSidecar, type SidecarClient, submissionOf } from "../../helpers/sidecar.js";
import { TRAINING } from "../../helpers/training.js";

/** `everything` goes through a task's every way; the others lead to the same places with an answer's file, or a training. */
export type Drive = "everything" | "big" | "training";

/** What was asked of a sidecar, and what it said. */
export interface Entry {
  readonly uuid: string;
  readonly kind: "inference" | "training" | "expires" | "cancelled";
  readonly bodySha256: string;
  /** Of the answer, where it is known beforehand. */
  readonly resultSha256: string | null;
  /** It said that the task is stored. */
  answered: boolean;
  /** It said that the task is cancelled. */
  cancelled: boolean;
}

export interface Stage {
  readonly dataDir: string;
  readonly config: ConfigInput;
  drive(drive: Drive, sidecar: RunningSidecar, ledger: Entry[]): Promise<void>;
  /** What reached a model server. */
  requests(): Promise<readonly SeenRequest[]>;
}

const BIG_BYTES = 200_000;
const BIG_RESULT_SHA256 = sha256(Buffer.from(Array.from({ length: BIG_BYTES }, (_, index) => index % 251)));
export async function startStage(t: Test): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-matrix-"));
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const gazetteer = await startGazetteer(t, { args: ["--train-doc-ms", "1"] });
  const flaky = await startFlaky(t);
  const config: ConfigInput = {
    discovery: {
      static: [
        { name: "m", url: gazetteer.url },
        { name: "flaky", url: flaky },
        { name: "away", url: "http://127.0.0.1:9" },
      ],
      docker: { enabled: false },
    },
  };
  return {
    dataDir: join(folder, "data"),
    config,
    requests: gazetteer.requests,
    async drive(drive, { client }, ledger) {
      try {
        await DRIVES[drive](client, ledger);
      } catch {
        // It died while it was asked: what it had answered stands in the ledger.
      }
    },
  };
}

const DRIVES: Record<Drive, (client: SidecarClient, ledger: Entry[]) => Promise<void>> = {
  async everything(client, ledger) {
    await toItsEnd(client, await submit(client, ledger, { kind: "inference", body: Buffer.from("Seen on 3 March") }));
    await bigOne(client, ledger);
    await submit(client, ledger, { kind: "inference", body: Buffer.from("cut once"), more: { model: "flaky" } });
    const waiting = { model: "away" };
    const overdue = { ...waiting, deadlineMs: 1 };
    await submit(client, ledger, { kind: "expires", body: Buffer.from("too late"), more: overdue });
    const unwanted = await submit(client, ledger, { kind: "cancelled", body: Buffer.from("no"), more: waiting });
    unwanted.cancelled = (await client.cancel(unwanted.uuid)).status === 200;
    await client.get("/health");
    await training(client, ledger);
  },
  big: bigOne,
  training,
};

async function bigOne(client: SidecarClient, ledger: Entry[]): Promise<void> {
  const headers = ["Content-Type", "text/plain", "X-Misbehave", `big=${BIG_BYTES}`];
  const body = Buffer.alloc(BIG_BYTES, "note ");
  await toItsEnd(
    client,
    await submit(client, ledger, { kind: "inference", body, more: { headers } }, BIG_RESULT_SHA256),
  );
}

async function training(client: SidecarClient, ledger: Entry[]): Promise<void> {
  await toItsEnd(client, await submit(client, ledger, { kind: "training", ...TRAINING }));
}

interface Asked {
  readonly kind: Entry["kind"];
  readonly body: Buffer;
  readonly more?: Partial<Submission>;
}

async function submit(
  client: SidecarClient,
  ledger: Entry[],
  { kind, body, more }: Asked,
  resultSha256: string | null = null,
): Promise<Entry> {
  const uuid = randomUUID();
  const entry: Entry = { uuid, kind, bodySha256: sha256(body), resultSha256, answered: false, cancelled: false };
  ledger.push(entry);
  const submission = submissionOf({ uuid, ...more });
  const named = { ...submission, headers: [...submission.headers, "X-Request-Id", uuid] };
  entry.answered = (await client.submit(named, body)).status === 201;
  return entry;
}

async function toItsEnd(client: SidecarClient, { uuid }: Entry): Promise<void> {
  await client.detail(uuid, 8);
}

/**
 * What a crash could leave: a body that is not whole, and one no row names.
 * @param hasTasks false while the database may be blank: a body beside it would be taken for what is left of a lost one
 */
export async function plantLeftovers(dataDir: string, hasTasks: boolean): Promise<void> {
  const leftovers = [`results/${randomUUID()}.part`, ...(hasTasks ? [`payloads/${randomUUID()}`] : [])];
  for (const key of leftovers) {
    await mkdir(dirname(join(dataDir, key)), { recursive: true });
    await writeFile(join(dataDir, key), "left over");
  }
}

/** Cuts each task's first call before it answers, and answers the second. */
async function startFlaky(t: Test): Promise<string> {
  const seen = new Set<string>();
  const server = http.createServer((req, res) => {
    const id = String(req.headers["x-request-id"]);
    req.resume().once("end", () => {
      if (req.method === "GET" || seen.has(id)) res.end("{}");
      else req.socket.destroy();
      seen.add(id);
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
