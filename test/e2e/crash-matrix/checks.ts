/** What must hold after a crash, whatever it hit. */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Test } from "tap";
import type { TaskDetail } from "../../../core/contract/tasks.js";
import { openForReading } from "../../../sidecar/db/open.js";
import type { SeenRequest } from "../../helpers/gazetteer.js";
import type { SidecarClient } from "../../helpers/sidecar.js";
import type { Entry, Stage } from "./stage.js";

const FINAL_WITHIN_SECONDS = 20;

/** Every task that was promised is there and ends; one that was not promised is whole, or was never there. */
export async function checkLedger(
  t: Test,
  stage: Stage,
  client: SidecarClient,
  ledger: readonly Entry[],
): Promise<void> {
  const ends = await Promise.all(ledger.map((entry) => endOf(t, client, entry)));
  const sent = await stage.requests();
  for (const [index, entry] of ledger.entries()) {
    const detail = ends[index];
    if (detail === null || detail === undefined) continue;
    const calls = sent.filter(({ requestId }) => requestId === entry.uuid);
    checkCalls(t, entry, detail, calls);
    if (detail.status !== "succeeded") continue;
    const { sha256 } = await client.result(entry.uuid);
    t.equal(sha256, detail.result_sha256, "the result is what its hash says");
    if (entry.resultSha256 !== null) t.equal(sha256, entry.resultSha256, "and what the model server answered");
  }
}

async function endOf(t: Test, client: SidecarClient, entry: Entry): Promise<TaskDetail | null> {
  const { uuid, kind } = entry;
  const now = await client.detail(uuid);
  if (now === null) {
    t.notOk(entry.answered, `the ${kind} ${uuid} was answered, and is lost`);
    return null;
  }
  if (kind === "cancelled" && !entry.cancelled && now.status === "pending") await client.cancel(uuid);
  const detail = await client.detail(uuid, FINAL_WITHIN_SECONDS);
  const wanted = { inference: null, training: null, expires: "expired", cancelled: "cancelled" }[kind];
  t.equal(detail?.reason, wanted, `${kind} ${uuid} ended: ${detail?.status} ${detail?.error_message}`);
  t.equal(detail?.status, wanted === null ? "succeeded" : "failed");
  return detail;
}

function checkCalls(t: Test, { uuid, kind, bodySha256 }: Entry, detail: TaskDetail, calls: SeenRequest[]): void {
  if (kind === "training") t.equal(calls.length, 1, `training ${uuid} was sent once`);
  else if (detail.model === "m") t.ok(calls.length >= 1, `${uuid} was sent`);
  else t.equal(calls.length, 0);
  for (const call of calls) t.equal(call.sha256, bodySha256, "what was sent is what was submitted");
}

interface Row {
  readonly uuid: string;
  readonly payload_key: string | null;
  readonly answer_key: string | null;
  readonly answer_sha256: string | null;
  readonly status: string;
  readonly attempt: number;
  readonly ends: number;
}

/** With everything final: no file without a row, no row without its file, one end for each task. */
export async function checkFolder(t: Test, dataDir: string): Promise<void> {
  const database = openForReading(join(dataDir, "sluice.db"));
  try {
    const rows = database
      .prepare(
        `SELECT uuid, payload_key, answer_key, answer_sha256, status, attempt, (SELECT count(*) FROM attempts
           WHERE attempts.seq = tasks.seq AND outcome IS NOT NULL AND outcome NOT IN ('requeued', 'refused')) AS ends FROM tasks`,
      )
      .all() as Row[];
    for (const { uuid, attempt, ends } of rows) t.equal(ends, attempt === 0 ? 0 : 1, `${uuid} ended once`);
    const named = rows.flatMap((row) => [row.payload_key, row.answer_key]).filter((key) => key !== null);
    // A payload's file goes right after the commit that ends its task.
    for (let tries = 0; tries < 40 && (await filesIn(dataDir)).length > named.length; tries++) await pause(50);
    t.same((await filesIn(dataDir)).sort(), named.sort(), "each file belongs to a row, each row has its file");
    for (const { answer_key: key, answer_sha256: hash } of rows) {
      if (key === null) continue;
      const bytes = await readFile(join(dataDir, key));
      t.equal(createHash("sha256").update(bytes).digest("hex"), hash, `${key} matches its hash`);
    }
  } finally {
    database.close();
  }
}

async function filesIn(dataDir: string): Promise<string[]> {
  const found = ["payloads", "results"].map(async (folder) =>
    (await readdir(join(dataDir, folder))).map((name) => `${folder}/${name}`),
  );
  return (await Promise.all(found)).flat();
}
